//! `Signature-Input`, `Signature`, `Content-Digest` and the body of a session request: accepted text has one spelling.
#![no_main]

use auth::v2::{
    Algorithm, SignatureInput,
    fields::{content_digest_text, parse_content_digest, parse_signature},
    session::parse_session_body,
};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

const INPUT: &[u8] = br#"caponier=("@method" "@authority" "@path" "@query" "content-digest" "exptime" "idempotency-key");created=1700000000;expires=1700000005;nonce="AAECAwQFBgcICQoLDA0ODw";keyid="caponier_live_x";alg="ed25519";tag="caponier-v2""#;
const SIGNATURE: &[u8] = b"caponier=:AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8=:";
const DIGEST: &[u8] = b"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
const BODY: &[u8] = br#"{"publicKey":"BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"}"#;

fuzz_target!(|data: &[u8]| {
    let text = edited(&[INPUT, SIGNATURE, DIGEST, BODY], data);
    if let Ok(input) = SignatureInput::parse(&text) {
        assert_eq!(&text[..9], b"caponier=");
        assert_eq!(input.params, &text[9..]);
        let life = input.expires.0 - input.created.0;
        assert!((1_000_000_000..=30_000_000_000).contains(&life));
        // No byte in it can end a line of the signature base or start another field.
        assert!(text.iter().all(|byte| (b' '..=b'~').contains(byte)));
        assert!(!text.contains(&b','));
    }
    for algorithm in Algorithm::ALL {
        if let Ok(signature) = parse_signature(&text, algorithm) {
            assert_eq!(signature.len(), algorithm.signature_bytes());
        }
    }
    if let Ok(digest) = parse_content_digest(&text) {
        assert_eq!(content_digest_text(&digest).as_bytes(), text);
    }
    if let Ok(key) = parse_session_body(&text) {
        let read: serde_json::Value = serde_json::from_slice(&text).expect("what is accepted is JSON");
        assert_eq!(read.as_object().map(serde_json::Map::len), Some(1));
        assert!(read["publicKey"].is_string() && key.len() == 32);
    }
});
