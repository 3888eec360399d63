//! Addresses: what decodes encodes to text that decodes to itself, and families that accept the same text
//! mean the same holder.
#![no_main]

use chain::address::{decode, decode_any, detect, encode, namesakes};
use domain::ChainFamily;
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&str; 13] = [
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "3P14159f73E4gFr7JterCCQh9QjiTjiZrG",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb",
    "LNf2JDiuunBz7GMDKFYHN4rq5meXWxiwfb",
    "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9",
    "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
    "ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq",
    "r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk59",
    "X7AcgcsBL6XDcUb289X4mJ8djcdyKaGZMhc9YTE92ehJ2Fu",
    "88xTWZMeKfiTgbfEmPLdsUCQcZinwUfk25EBQZ21XMAZ",
];

const FAMILIES: [ChainFamily; 7] = [
    ChainFamily::Bitcoin,
    ChainFamily::BitcoinCash,
    ChainFamily::Evm,
    ChainFamily::Litecoin,
    ChainFamily::Solana,
    ChainFamily::Tron,
    ChainFamily::Xrp,
];

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&EXAMPLES, data) else { return };
    let mut decoded = Vec::new();
    for family in FAMILIES {
        match decode(family, &text) {
            Ok(address) => {
                decoded.push(address);
                assert_eq!(address.family(), family);
                let canonical = encode(&address);
                assert_eq!(decode(family, &canonical), Ok(address));
                // Only the addresses of Solana's own programs are too short for their form to be told.
                assert!(decode_any(&canonical) == Ok(address) || family == ChainFamily::Solana);
                // Only the case may differ from the canonical text, in families with one way of writing.
                assert!(
                    canonical.eq_ignore_ascii_case(&text)
                        || matches!(
                            family,
                            ChainFamily::BitcoinCash | ChainFamily::Litecoin | ChainFamily::Xrp
                        ),
                    "{canonical}"
                );
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    // Who else accepts a text accepts the same holder.
    if let [first, rest @ ..] = decoded.as_slice() {
        assert!(rest.iter().all(|other| namesakes(first).any(|namesake| namesake == *other)), "{decoded:?}");
    }
    if let Ok(address) = decode_any(&text) {
        assert_eq!(detect(&text), Some(address.family()));
        assert!(decoded.contains(&address));
    }
});
