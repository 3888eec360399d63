//! Addresses: what decodes encodes to text that decodes to itself, and the families do not overlap.
#![no_main]

use chain::address::{decode, decode_any, detect, encode};
use domain::ChainFamily;
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&str; 6] = [
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "3P14159f73E4gFr7JterCCQh9QjiTjiZrG",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb",
];

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&EXAMPLES, data) else { return };
    let mut families = 0;
    for family in [ChainFamily::Bitcoin, ChainFamily::Evm, ChainFamily::Tron] {
        match decode(family, &text) {
            Ok(address) => {
                families += 1;
                assert_eq!(address.family(), family);
                let canonical = encode(&address);
                assert_eq!(decode(family, &canonical), Ok(address));
                assert_eq!(decode_any(&canonical), Ok(address));
                // Only the case may differ from the canonical text.
                assert!(canonical.eq_ignore_ascii_case(&text), "{canonical}");
                assert_eq!(detect(&text), Some(family));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(families <= 1);
    assert_eq!(decode_any(&text).is_ok(), families == 1);
});
