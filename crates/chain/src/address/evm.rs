//! `0x` and 40 hexadecimal digits, with the optional mixed-case checksum of EIP-55.

use domain::{Address, AddressKind, ChainFamily};
use sha3::{Digest, Keccak256};

use super::{AddressError, bitcoin, tron};

const DIGITS: usize = 40;

pub(super) fn has_form(text: &str) -> bool {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).is_some()
}

pub(super) fn decode(text: &str) -> Result<Address, AddressError> {
    // `0X` appears where software upper-cases whole addresses.
    let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        return Err(if bitcoin::has_form(text) {
            AddressError::WrongNetwork { found: "a Bitcoin", wanted: "an EVM one" }
        } else if tron::has_form(text) {
            AddressError::WrongNetwork { found: "a TRON", wanted: "an EVM one" }
        } else {
            AddressError::Unrecognised { wanted: ChainFamily::Evm.as_str() }
        });
    };
    if let Some((idx, byte)) = digits.bytes().enumerate().find(|(_, byte)| !byte.is_ascii_hexdigit()) {
        return Err(AddressError::BadCharacter {
            alphabet: "hexadecimal",
            character: char::from(byte),
            position: idx + 3,
        });
    }
    if digits.len() != DIGITS {
        return Err(AddressError::BadLength {
            expected: "40 hexadecimal digits after 0x",
            got: digits.len(),
        });
    }
    let mut payload = [0u8; DIGITS / 2];
    for (byte, pair) in payload.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().fold(0, |value, digit| (value << 4) | nibble(*digit));
    }
    let has_upper = digits.bytes().any(|byte| byte.is_ascii_uppercase());
    let has_lower = digits.bytes().any(|byte| byte.is_ascii_lowercase());
    if has_upper && has_lower {
        let canonical = checksummed(&payload);
        if let Some(idx) = digits.bytes().zip(canonical).position(|(given, right)| given != right) {
            return Err(AddressError::MixedCaseChecksum { position: idx + 3 });
        }
    }
    Address::new(AddressKind::Evm, &payload)
        .ok_or(AddressError::BadLength { expected: "20 bytes", got: payload.len() })
}

pub(super) fn encode(payload: &[u8]) -> String {
    let mut out = String::with_capacity(2 + DIGITS);
    out.push_str("0x");
    out.extend(checksummed(payload).map(char::from));
    out
}

/// The 40 digits in the case EIP-55 prescribes: a letter is upper case where the digit of the Keccak-256 of the
/// lower-case text at the same place is 8 or more.
fn checksummed(payload: &[u8]) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(payload) {
        for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 0x0f]) {
            *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        }
    }
    let hash = Keccak256::digest(digits);
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
        for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 0x0f]) {
            if value >= 8 {
                digit.make_ascii_uppercase();
            }
        }
    }
    digits
}

/// The value of a hexadecimal digit; the caller has checked that it is one.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
