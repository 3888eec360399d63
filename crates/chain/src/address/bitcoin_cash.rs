//! Bitcoin Cash mainnet: `CashAddr` with or without its prefix, token-aware types included, and the older base58check
//! form, which is Bitcoin's own.
//!
//! Source: the `CashAddr` specification of Bitcoin Cash. The canonical text is lower case with its prefix.

use bs58::Alphabet;
use domain::{Address, AddressKind, ChainFamily};

use super::{
    AddressError, base58, evm, tron,
    witness::{ALPHABET, check_characters, has_prefix},
};

const PREFIX: &str = "bitcoincash";
/// Prefix, separator, version, 32 bytes, checksum: the longest text, in characters after the separator.
const DIGITS_MAX: usize = 61;
const DIGITS_MIN: usize = 42;
const CHECKSUM_DIGITS: usize = 8;
const WANTED: &str = "a Bitcoin Cash mainnet one";

/// The text after the prefix, and where it starts.
fn after_prefix(text: &str) -> Option<(&str, usize)> {
    let start = PREFIX.len() + 1;
    if has_prefix(text, "bitcoincash:") {
        return Some((text.get(start..)?, start));
    }
    let bare = text.starts_with(['q', 'p', 'r', 'z', 'Q', 'P', 'R', 'Z'])
        && matches!(text.len(), DIGITS_MIN | DIGITS_MAX);
    bare.then_some((text, 0))
}

pub(super) fn has_form(text: &str) -> bool {
    after_prefix(text).is_some()
}

pub(super) fn decode(text: &str) -> Result<Address, AddressError> {
    if let Some((digits, start)) = after_prefix(text) {
        check_characters(text, start, "CashAddr")?;
        return decode_cash(digits);
    }
    if text.contains(':') {
        let found = if has_prefix(text, "bchtest:") { "a Bitcoin Cash testnet" } else { "another network's" };
        return Err(AddressError::WrongNetwork { found, wanted: WANTED });
    }
    if evm::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "an EVM", wanted: WANTED });
    }
    if tron::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "a TRON", wanted: WANTED });
    }
    if has_prefix(text, "bc1") {
        return Err(AddressError::WrongNetwork { found: "a Bitcoin", wanted: WANTED });
    }
    if !text.starts_with(['1', '3']) {
        return Err(AddressError::Unrecognised { wanted: ChainFamily::BitcoinCash.as_str() });
    }
    base58::check_alphabet(text)?;
    let (version, payload) = base58::decode_check(text, Alphabet::BITCOIN)?;
    let kind = match version {
        0x00 => AddressKind::BitcoinCashP2pkh,
        0x05 => AddressKind::BitcoinCashP2sh,
        _ => return Err(AddressError::WrongNetwork { found: "another network's", wanted: WANTED }),
    };
    Address::new(kind, &payload).ok_or(AddressError::BadLength { expected: "20 bytes", got: payload.len() })
}

fn decode_cash(digits: &str) -> Result<Address, AddressError> {
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) {
        return Err(AddressError::BadLength {
            expected: "42 or 61 characters after the prefix",
            got: digits.len(),
        });
    }
    let values: Vec<u8> = digits
        .chars()
        .filter_map(|digit| ALPHABET.find(digit.to_ascii_lowercase()))
        .filter_map(|value| u8::try_from(value).ok())
        .collect();
    if polymod(prefix_values().chain(values.iter().copied())) != 0 {
        return Err(AddressError::BadChecksum { encoding: "CashAddr" });
    }
    let data = values.get(..values.len() - CHECKSUM_DIGITS).unwrap_or(&[]);
    let (mut bytes, mut held, mut bits) = (Vec::with_capacity(33), 0u32, 0u32);
    for value in data {
        held = (held << 5) | u32::from(*value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(low_byte(held >> bits));
            held &= (1 << bits) - 1;
        }
    }
    let wrong = |reason| AddressError::NotScreenable { reason };
    if bits >= 5 || held != 0 {
        return Err(wrong("its padding is not zero"));
    }
    let Some((version, payload)) = bytes.split_first() else {
        return Err(wrong("it has no version"));
    };
    let kind = match version >> 3 {
        // Types 2 and 3 are 0 and 1 of a wallet that understands tokens.
        0 | 2 => AddressKind::BitcoinCashP2pkh,
        1 | 3 => AddressKind::BitcoinCashP2sh,
        _ => return Err(wrong("its type is not in use")),
    };
    let len = match version & 7 {
        0 => 20,
        3 => 32,
        _ => return Err(wrong("its hash has a size that is not in use")),
    };
    if payload.len() != len {
        return Err(AddressError::BadLength { expected: "the bytes its version says", got: payload.len() });
    }
    Address::new(kind, payload).ok_or_else(|| wrong("its hash has a size that is not in use"))
}

pub(super) fn encode(kind: AddressKind, payload: &[u8]) -> String {
    let type_bits = if kind == AddressKind::BitcoinCashP2sh { 1 << 3 } else { 0 };
    let size_bits = if payload.len() == 32 { 3 } else { 0 };
    let mut values = Vec::with_capacity(DIGITS_MAX);
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in [type_bits | size_bits].iter().chain(payload) {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            values.push(low_byte(held >> bits) & 31);
            held &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        values.push(low_byte(held << (5 - bits)) & 31);
    }
    let checksum = polymod(prefix_values().chain(values.iter().copied()).chain([0; CHECKSUM_DIGITS]));
    values.extend((0..CHECKSUM_DIGITS).rev().map(|place| (checksum >> (5 * place)).to_le_bytes()[0] & 31));
    let mut text = format!("{PREFIX}:");
    text.extend(values.iter().filter_map(|value| ALPHABET.chars().nth(usize::from(*value))));
    text
}

const fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

/// The prefix as the checksum covers it: the lower five bits of each letter, then zero.
fn prefix_values() -> impl Iterator<Item = u8> {
    PREFIX.bytes().map(|letter| letter & 31).chain([0])
}

/// The BCH code of the specification, over 40 bits.
fn polymod(values: impl Iterator<Item = u8>) -> u64 {
    const GENERATORS: [u64; 5] =
        [0x98_f2bc_8e61, 0x79_b76d_99e2, 0xf3_3e5f_b3c4, 0xae_2eab_e2a8, 0x1e_4f43_e470];
    values.fold(1u64, |checksum, value| {
        let top = checksum >> 35;
        let shifted = ((checksum & 0x07_ffff_ffff) << 5) ^ u64::from(value);
        (0..).zip(GENERATORS).fold(
            shifted,
            |sum, (bit, generator)| {
                if top >> bit & 1 == 1 { sum ^ generator } else { sum }
            },
        )
    }) ^ 1
}
