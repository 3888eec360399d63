use proptest::prelude::*;

use super::*;

const COVERED: &str = r#"("@method" "@authority" "@path" "@query")"#;
const PARAMETERS: [&str; 6] = [
    "created=1700000000",
    "expires=1700000005",
    "nonce=\"AAECAwQFBgcICQoLDA0ODw\"",
    "keyid=\"caponier_live_x\"",
    "alg=\"ed25519\"",
    "tag=\"caponier-v2\"",
];

fn input(covered: &str, parameters: &[&str]) -> String {
    format!("caponier={covered};{}", parameters.join(";"))
}

fn fault(text: &str) -> Fault {
    SignatureInput::parse(text.as_bytes()).unwrap_err()
}

#[test]
fn the_shape_of_the_profile_is_read() {
    let text = input(COVERED, &PARAMETERS);
    let parsed = SignatureInput::parse(text.as_bytes()).unwrap();
    assert_eq!(parsed.params, &text.as_bytes()["caponier=".len()..]);
    assert_eq!((parsed.created.as_secs(), parsed.expires.as_secs()), (1_700_000_000, 1_700_000_005));
    assert_eq!(parsed.nonce, std::array::from_fn(|at| u8::try_from(at).unwrap()));
    assert_eq!((parsed.key_id, parsed.algorithm), ("caponier_live_x", Algorithm::Ed25519));
    assert!(!parsed.content_digest && !parsed.exptime && !parsed.idempotency_key);
    let all = r#"("@method" "@authority" "@path" "@query" "content-digest" "exptime" "idempotency-key")"#;
    let all = input(all, &PARAMETERS);
    let all = SignatureInput::parse(all.as_bytes()).unwrap();
    assert!(all.content_digest && all.exptime && all.idempotency_key);
}

#[test]
fn every_other_shape_is_refused() {
    for covered in [
        "",
        "()",
        r#"("@method" "@authority" "@path")"#,
        r#"("@authority" "@method" "@path" "@query")"#,
        r#"("@method" "@authority" "@path" "@query" "@query")"#,
        r#"("@method" "@authority" "@path" "@query" "exptime" "content-digest")"#,
        r#"("@method" "@authority" "@path" "@query" "content-type")"#,
        r#"("@method"  "@authority" "@path" "@query")"#,
        r#"( "@method" "@authority" "@path" "@query")"#,
        r#"("@method" "@authority" "@path" "@query" )"#,
        r#"("@method" "@authority" "@path" "@query";req)"#,
        r#"("@method" "@authority" "@path" "@query" "content-digest";sf)"#,
        r#"("@Method" "@authority" "@path" "@query")"#,
    ] {
        assert_eq!(fault(&input(covered, &PARAMETERS)), Fault::InputShape, "{covered}");
    }
    let good = input(COVERED, &PARAMETERS);
    for (text, expected) in [
        (String::new(), Fault::InputShape),
        (good.replace("caponier=(", "sig1=("), Fault::InputShape),
        (good.replace("caponier=(", " caponier=("), Fault::InputShape),
        (format!("{good}, {good}"), Fault::InputParameters),
        (format!("{good}, sig1=()"), Fault::InputParameters),
        (format!("{good};x=1"), Fault::InputParameters),
        (format!("{good};x"), Fault::InputParameters),
        (format!("{good};"), Fault::InputParameters),
        (format!("{good} "), Fault::InputParameters),
        (good.replace(";created", "; created"), Fault::InputParameters),
        (good.replace(";created", ";Created"), Fault::InputParameters),
        (good.replace("1700000000", "01700000000"), Fault::InputParameters),
        (good.replace("1700000000", "+1700000000"), Fault::InputParameters),
        (good.replace("1700000000", "1700000000.0"), Fault::InputParameters),
        (good.replace("1700000000", "99999999999"), Fault::InputParameters),
        (good.replace("1700000000", "\"1700000000\""), Fault::InputParameters),
        (good.replace("1700000005", "1700000000"), Fault::Lifetime),
        (good.replace("1700000005", "1699999999"), Fault::Lifetime),
        (good.replace("1700000005", "1700000031"), Fault::Lifetime),
        (good.replace("DA0ODw", "DA0OD"), Fault::Nonce),
        (good.replace("DA0ODw", "DA0ODx"), Fault::Nonce),
        (good.replace("DA0ODw", "DA0+Dw"), Fault::Nonce),
        (good.replace("ed25519", "rsa-pss-sha512"), Fault::InputParameters),
        (good.replace("caponier-v2", "other"), Fault::InputParameters),
        (good.replace("caponier_live_x", ""), Fault::InputParameters),
        (good.replace("caponier_live_x", "a\\\"b"), Fault::InputParameters),
        (good.replace("caponier_live_x", &"x".repeat(65)), Fault::InputParameters),
        (good.replace("caponier_live_x", &"x".repeat(600)), Fault::InputShape),
    ] {
        assert_eq!(fault(&text), expected, "{text}");
    }
    assert!(SignatureInput::parse(good.replace("1700000005", "1700000030").as_bytes()).is_ok());
    for missing in 0..PARAMETERS.len() {
        let mut parameters = PARAMETERS.to_vec();
        let twice = [&parameters[..], &[parameters[missing]]].concat();
        assert_eq!(fault(&input(COVERED, &twice)), Fault::InputParameters);
        parameters.remove(missing);
        assert_eq!(fault(&input(COVERED, &parameters)), Fault::InputParameters);
    }
}

#[test]
fn signatures_and_digests_have_one_spelling() {
    let signature = |bytes: &[u8]| format!("caponier=:{}:", STANDARD.encode(bytes));
    for algorithm in Algorithm::ALL {
        for length in 0..80 {
            let parsed = parse_signature(signature(&vec![7; length]).as_bytes(), algorithm);
            let expected = (length == algorithm.signature_bytes()).then(|| vec![7; length]);
            assert_eq!(parsed.ok(), expected, "{} {length}", algorithm.as_str());
        }
    }
    let good = signature(&[7; 64]);
    assert_eq!(good.len(), SIGNATURE_BYTES_MAX);
    for bad in [
        good.replace("caponier", "sig1"),
        good.replace("==", ""),
        good.replace("w==", "x=="),
        good.replace("caponier=:", "caponier=: "),
        format!("{good}, sig1=:AAAA:"),
        format!("{good};x"),
        good[..good.len() - 1].to_owned(),
    ] {
        assert_eq!(parse_signature(bad.as_bytes(), Algorithm::Ed25519), Err(Fault::SignatureShape), "{bad}");
    }
    // RFC 9530 appendix D: the digest of {"hello": "world"} and a line feed.
    let digest = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    let parsed = parse_content_digest(digest.as_bytes()).unwrap();
    assert_eq!(parsed, crypto::sha256(&[b"{\"hello\": \"world\"}\n"]));
    assert_eq!(content_digest_text(&parsed), digest);
    for bad in [
        "",
        "sha-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=",
        "sha-512=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
        "SHA-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDh=:",
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:, sha-512=:AA==:",
    ] {
        assert_eq!(parse_content_digest(bad.as_bytes()), Err(Fault::ContentDigestShape), "{bad}");
    }
}

proptest! {
    /// The parameters may stand in any order; the text is kept as it stands.
    #[test]
    fn the_order_of_parameters_is_free(order in Just(PARAMETERS.to_vec()).prop_shuffle()) {
        let text = input(COVERED, &order);
        let parsed = SignatureInput::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(parsed.params, &text.as_bytes()["caponier=".len()..]);
        prop_assert_eq!(parsed.created.as_secs(), 1_700_000_000);
    }

    /// One changed byte gives a refusal or another content, never the same content twice.
    #[test]
    fn one_content_has_one_spelling(at in 0_usize..160, byte in any::<u8>()) {
        let good = input(COVERED, &PARAMETERS).into_bytes();
        let at = at % good.len();
        let mut changed = good.clone();
        changed[at] = byte;
        if changed != good && let Ok(parsed) = SignatureInput::parse(&changed) {
            let original = SignatureInput::parse(&good).unwrap();
            prop_assert_ne!(SignatureInput { params: b"", ..parsed }, SignatureInput { params: b"", ..original });
        }
    }

    #[test]
    fn hostile_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..600)) {
        SignatureInput::parse(&text).ok();
        for algorithm in Algorithm::ALL {
            parse_signature(&text, algorithm).ok();
        }
        if let Ok(digest) = parse_content_digest(&text) {
            prop_assert_eq!(content_digest_text(&digest).into_bytes(), text);
        }
    }
}
