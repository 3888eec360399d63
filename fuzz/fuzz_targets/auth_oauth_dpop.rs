//! Proofs of possession: header and claims are edited and signed, so that what lies behind the signature is reached.
//! Another JSON reader sees the same claims in what is accepted.
#![no_main]

use auth::oauth::dpop::DpopProof;
use crypto::SigningKey;
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const HEADER: &[u8] = br#"{"typ":"dpop+jwt","alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"6kpsY-KcUgq-9VB7Eyp6DLVcPoHuxMbTHwpAAMf8sHM"}}"#;
const CLAIMS: &[u8] =
    br#"{"jti":"1","htm":"POST","htu":"https:\/\/a.example\/token","iat":1562262616,"ath":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}"#;

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

fuzz_target!(|data: &[u8]| {
    // The plain bytes.
    let _ = DpopProof::parse(data);

    let (first, rest) = data.split_at(data.len() / 2);
    let key = SigningKey::from_seed([7; 32]);
    let header = String::from_utf8_lossy(HEADER)
        .replace("6kpsY-KcUgq-9VB7Eyp6DLVcPoHuxMbTHwpAAMf8sHM", &base64url(&key.verifying_key().0));
    let (header, claims) = (edited(&[header.as_bytes()], first), edited(&[CLAIMS], rest));
    let input = format!("{}.{}", base64url(&header), base64url(&claims));
    let text = format!("{input}.{}", base64url(&key.sign(input.as_bytes())));
    let Ok(proof) = DpopProof::parse(text.as_bytes()) else { return };

    assert_eq!(proof.key().as_bytes(), key.verifying_key().0, "signed by the key it carries");
    let header: Value = serde_json::from_slice(&header).expect("another reader reads the header");
    assert_eq!(header["typ"], "dpop+jwt");
    assert!(header["alg"] == "EdDSA" || header["alg"] == "Ed25519");
    let claims: Value = serde_json::from_slice(&claims).expect("another reader reads the claims");
    let text = |name: &str| claims[name].as_str().expect("a text").to_owned();
    let at = UnixNanos::from_secs(claims["iat"].as_u64().expect("a number"));
    assert_eq!(proof.issued_at(), at);
    assert!(!text("jti").is_empty());
    let token = claims.get("ath").map(|_| &b""[..]);
    let checked = proof.check(text("htm").as_bytes(), &[&text("htu")], token, at);
    let other_token = token.is_some() && text("ath") != "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    assert_eq!(checked.is_ok(), !other_token, "{checked:?}");
});
