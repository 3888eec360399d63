//! Journal entries: what parses is its own encoding, and nothing of it is lost.
#![no_main]

use fuzz::edited;
use journal::{Entry, EntryRef};
use libfuzzer_sys::fuzz_target;

/// Version 1, entry 5, kind 2, pseudonym of zeroes, key version 1, four sealed bytes.
const EXAMPLE: &[u8] =
    b"\x82\x86\x01\x05\x1a\x00\x01\x00\x00\x02\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x44abcd";

fuzz_target!(|data: &[u8]| {
    let bytes = edited(&[EXAMPLE], data);
    let parsed = EntryRef::parse(&bytes);
    match Entry::parse(&bytes) {
        Ok(entry) => {
            assert_eq!(entry.bytes(), bytes);
            let (entry, parsed) = (entry.as_ref(), parsed.expect("both read the same"));
            assert_eq!(format!("{entry:?}"), format!("{parsed:?}"));
        }
        Err(fault) => assert_eq!(Some(fault), parsed.err()),
    }
});
