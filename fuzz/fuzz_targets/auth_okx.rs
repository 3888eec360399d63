//! Timestamps, signatures and address lists of API keys: accepted text has one spelling.
#![no_main]

use auth::{IpAllowList, okx};
use domain::UnixNanos;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(at) = okx::parse_timestamp(data) {
        assert_eq!(okx::timestamp_text(at).as_bytes(), data);
        assert!(okx::within_skew(at, at));
        assert_eq!(UnixNanos::parse_rfc3339(&okx::timestamp_text(at)), Ok(at));
    }
    if let Some(at) = okx::parse_login_timestamp(data) {
        assert_eq!((at.0 / 1_000_000_000).to_string().as_bytes(), data);
    }

    // A signature depends on nothing but the concatenation of its parts.
    let middle = data.len() / 2;
    let (target, body) = data.split_at(middle);
    if let Ok(target) = std::str::from_utf8(target) {
        let signature = okx::sign(b"secret", "t", "GET", target, body);
        assert_eq!(signature.len(), okx::SIGNATURE_BYTES);
        assert_eq!(signature, okx::sign(b"secret", "tGET", "", "", data));
    }

    let Ok(text) = std::str::from_utf8(data) else { return };
    let entries: Vec<&str> = text.split(',').collect();
    if let Ok(list) = IpAllowList::parse(&entries) {
        let shown: Vec<String> = list.entries().collect();
        let read = IpAllowList::parse(&shown).expect("what is shown can be read");
        assert_eq!(read, list);
        assert_eq!(read.entries().collect::<Vec<_>>(), shown);
    }
});
