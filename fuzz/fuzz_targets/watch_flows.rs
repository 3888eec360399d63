//! Logs of flows: bytes are refused, or entries that are written again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    assert_ne!(watch::fuzz::flows(data), Some(false));
});
