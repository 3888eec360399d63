use crypto::{P256SigningKey, SigningKey};
use proptest::prelude::*;

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_562_262_616);
const TARGET: [&str; 2] = ["https://server.example.com", "/token"];

/// RFC 9449 section 4.1, figure 2.
const RFC_PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

/// RFC 9449 section 7.1, figure 12, with the access token of figure 12.
const RFC_RESOURCE_PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const RFC_ACCESS_TOKEN: &[u8] = b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

fn sign(header: &str, claims: &str, key: &SigningKey) -> String {
    let input = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let signature = key.sign(input.as_bytes());
    format!("{input}.{}", base64url(&signature))
}

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

fn header() -> String {
    let x = base64url(&key().verifying_key().0);
    format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#)
}

const CLAIMS: &str = r#"{"jti":"1","htm":"POST","htu":"https://server.example.com/token","iat":1562262616}"#;

#[test]
fn rfc_9449_known_answers() {
    let proof = DpopProof::parse(RFC_PROOF.as_bytes()).unwrap();
    assert_eq!(base64url(proof.thumbprint()), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!((proof.jti.as_str(), proof.issued_at()), ("-BwC3ESc6acc2lTc", NOW));
    assert_eq!(proof.check(b"POST", &TARGET, None, NOW), Ok(()));

    let proof = DpopProof::parse(RFC_RESOURCE_PROOF.as_bytes()).unwrap();
    let target = ["https://resource.example.org", "/protectedresource"];
    assert_eq!(proof.check(b"GET", &target, Some(RFC_ACCESS_TOKEN), NOW), Ok(()));
    assert_eq!(proof.check(b"GET", &target, Some(b"another"), NOW), Err(DpopError::AccessTokenMismatch));
    assert_eq!(proof.check(b"GET", &target, None, NOW), Err(DpopError::AccessTokenMismatch));
}

/// RFC 8037 appendix A.3.
#[test]
fn rfc_8037_thumbprint() {
    let x = array_from_base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    let key = PublicKey::ed25519(x).unwrap();
    assert_eq!(base64url(&thumbprint(&key)), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn ed25519_proofs_verify_under_both_names() {
    for alg in ["EdDSA", "Ed25519"] {
        let text = sign(&header().replace("EdDSA", alg), CLAIMS, &key());
        let proof = DpopProof::parse(text.as_bytes()).unwrap();
        assert_eq!(proof.key().as_bytes(), key().verifying_key().0);
        assert_eq!(proof.check(b"POST", &TARGET, None, NOW), Ok(()));
    }
}

#[test]
fn a_proof_is_for_one_request_only() {
    let proof = DpopProof::parse(sign(&header(), CLAIMS, &key()).as_bytes()).unwrap();
    let check = |method: &str, target: &[&str], now| proof.check(method.as_bytes(), target, None, now);
    assert_eq!(check("GET", &TARGET, NOW), Err(DpopError::Method));
    assert_eq!(check("post", &TARGET, NOW), Err(DpopError::Method));
    for target in [
        &["https://server.example.com", "/token2"][..],
        &["https://server.example.com", "/"],
        &["https://server.example.com"],
        &["https://server.example.com:443", "/token"],
        &["http://server.example.com", "/token"],
        &["https://server.example.com", "/token?a=b"],
        &[],
    ] {
        assert_eq!(check("POST", target, NOW), Err(DpopError::Target), "{target:?}");
    }
    assert_eq!(check("POST", &TARGET, NOW.plus(AGE_MAX)), Ok(()));
    assert_eq!(check("POST", &TARGET, NOW.minus(AGE_MAX)), Ok(()));
    let second = Duration::from_secs(1);
    assert_eq!(check("POST", &TARGET, NOW.plus(AGE_MAX + second)), Err(DpopError::OutOfTime));
    assert_eq!(check("POST", &TARGET, NOW.minus(AGE_MAX + second)), Err(DpopError::OutOfTime));
}

#[test]
fn every_deviation_is_refused() {
    use DpopError as E;
    let parse = |text: &str| DpopProof::parse(text.as_bytes()).unwrap_err();
    let with_header = |from: &str, to: &str| {
        let changed = header().replace(from, to);
        assert_ne!(changed, header(), "{from}");
        parse(&sign(&changed, CLAIMS, &key()))
    };
    assert_eq!(with_header("dpop+jwt", "JWT"), E::Header);
    assert_eq!(with_header(r#""typ":"dpop+jwt","#, ""), E::Header);
    assert_eq!(with_header(r#""typ""#, r#""kid":"1","typ""#), E::Header);
    assert_eq!(with_header(r#""typ""#, r#""crit":["x"],"typ""#), E::Header);
    for alg in ["none", "HS256", "RS256", "ES256", "eddsa", "ES384", ""] {
        assert_eq!(with_header(r#""EdDSA""#, &format!(r#""{alg}""#)), E::Algorithm, "{alg}");
    }
    assert_eq!(with_header(r#""alg":"EdDSA","#, ""), E::Algorithm);
    assert_eq!(with_header(r#""crv":"Ed25519""#, r#""crv":"Ed448""#), E::Key);
    assert_eq!(with_header(r#""kty":"OKP""#, r#""kty":"oct""#), E::Key);
    assert_eq!(with_header(r#""kty":"OKP""#, r#""d":"AAAA","kty":"OKP""#), E::Key);
    assert_eq!(with_header(r#""x":""#, r#""x":"A"#), E::Key);
    assert_eq!(with_header(r#""jwk":"#, r#""jwu":"#), E::Header);

    let with_claims = |from: &str, to: &str| {
        let changed = CLAIMS.replace(from, to);
        assert_ne!(changed, CLAIMS, "{from}");
        parse(&sign(&header(), &changed, &key()))
    };
    for (from, to) in [
        (r#""jti":"1","#, ""),
        (r#""jti":"1""#, r#""jti":"""#),
        (r#""jti":"1""#, r#""jti":1"#),
        (r#","iat":1562262616"#, ""),
        ("1562262616", "\"1562262616\""),
        ("1562262616", "1562262616.0"),
        ("1562262616", "-1"),
        ("1562262616", "18446744073709551615"),
        (r#""htm""#, r#""HTM""#),
        (r#""jti""#, r#""exp":1,"jti""#),
        (r#""jti""#, r#""ath":"AAAA","jti""#),
        (r#""jti""#, r#""jti":"0","jti""#),
    ] {
        assert_eq!(with_claims(from, to), E::Claims, "{from} {to}");
    }
    let long = CLAIMS.replace(r#""jti":"1""#, &format!(r#""jti":"{}""#, "a".repeat(129)));
    assert_eq!(parse(&sign(&header(), &long, &key())), E::Claims);

    let good = sign(&header(), CLAIMS, &key());
    assert_eq!(parse(&sign(&header(), CLAIMS, &SigningKey::from_seed([8; 32]))), E::Signature);
    assert_eq!(parse(&good[..good.rfind('.').unwrap() + 1]), E::Signature);
    for shape in [format!("{good}."), good.replacen('.', "", 1), format!("{good}="), format!(" {good}")] {
        assert_eq!(parse(&shape), E::Shape, "{shape}");
    }
    assert_eq!(parse(""), E::Shape);
    assert_eq!(parse(&"a".repeat(PROOF_BYTES_MAX + 1)), E::Shape);
    // An HMAC under the public key, by which careless verifiers were taken in.
    let hs = header().replace("EdDSA", "HS256");
    let input = format!("{}.{}", base64url(hs.as_bytes()), base64url(CLAIMS.as_bytes()));
    let mac = crypto::hmac_sha256(&key().verifying_key().0, &[input.as_bytes()]);
    assert_eq!(parse(&format!("{input}.{}", base64url(&mac))), E::Algorithm);
}

#[test]
fn p256_signatures_of_another_form_are_refused() {
    let key = P256SigningKey::generate();
    let point = key.verifying_key();
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, base64url(x), base64url(y));
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let input = format!("{}.{}", base64url(header.as_bytes()), base64url(CLAIMS.as_bytes()));
    let signature = key.sign(input.as_bytes());
    assert!(DpopProof::parse(format!("{input}.{}", base64url(&signature)).as_bytes()).is_ok());
    for other in [&signature[..63], &[&signature[..], &[0]].concat(), &[0; 64]] {
        let text = format!("{input}.{}", base64url(other));
        assert_eq!(DpopProof::parse(text.as_bytes()), Err(DpopError::Signature));
    }
    // A point that is not on the curve.
    let off = header.replace(&base64url(y), &base64url(x));
    assert_eq!(DpopProof::parse(sign(&off, CLAIMS, &self::key()).as_bytes()), Err(DpopError::Key));
}

#[test]
fn tags_tell_repetitions() {
    let proof = |jti: &str, seed: u8| {
        let key = SigningKey::from_seed([seed; 32]);
        let x = base64url(&key.verifying_key().0);
        let header =
            format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
        let claims = CLAIMS.replace(r#""jti":"1""#, &format!(r#""jti":"{jti}""#));
        DpopProof::parse(sign(&header, &claims, &key).as_bytes()).unwrap().tag()
    };
    assert_eq!(proof("1", 7), proof("1", 7));
    assert_ne!(proof("1", 7), proof("2", 7));
    assert_ne!(proof("1", 7), proof("1", 8));
}

proptest! {
    /// One changed byte anywhere is another proof or none, never this one with another meaning.
    #[test]
    fn a_changed_proof_does_not_pass(position in 0..400_usize, byte in any::<u8>()) {
        let good = sign(&header(), CLAIMS, &key());
        let mut bytes = good.clone().into_bytes();
        let position = position % bytes.len();
        prop_assume!(bytes[position] != byte);
        bytes[position] = byte;
        prop_assert!(DpopProof::parse(&bytes).is_err());
    }
}
