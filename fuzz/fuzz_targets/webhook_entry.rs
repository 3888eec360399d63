//! Webhooks: entries re-encode to the same bytes; URLs, keys and choices of types are what they say they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webhook::{Entry, Events, SigningKey, Target};

fuzz_target!(|data: &[u8]| {
    if let Ok(entry) = Entry::decode(data) {
        assert_eq!(entry.encode(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(target) = text.parse::<Target>() {
        let scheme = if target.is_tls() { "https" } else { "http" };
        let again: Target = format!("{scheme}://{}{}", target.authority(), target.path()).parse().unwrap();
        assert_eq!((again.host(), again.port(), again.path()), (target.host(), target.port(), target.path()));
    }
    if let Ok(key) = SigningKey::parse(text) {
        let again = SigningKey::from_bytes(key.scheme(), key.bytes()).unwrap();
        assert_eq!(again.verifier().expose(), key.verifier().expose());
    }
    if let Ok(events) = text.parse::<Events>() {
        assert_eq!(events.to_string().parse(), Ok(events));
    }
});
