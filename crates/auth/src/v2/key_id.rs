//! Ids that say what they are: `caponier_live_...`, `caponier_demo_...` and `caponier_session_...`.
//!
//! A fixed prefix, 22 digits of base 62 (128 random bits) and six more of a CRC-32 over all that stands before, so that
//! a scanner for leaked credentials finds them without false alarms and without asking anybody. The ids are
//! public; what they lead to is not. Bound: [`KEY_ID_BYTES`].

use domain::ApiKeyId;

use crate::key::Environment;

/// Length of a key id.
pub const KEY_ID_BYTES: usize = LIVE.len() + RANDOM_DIGITS + CHECK_DIGITS;

const LIVE: &str = "caponier_live_";
const DEMO: &str = "caponier_demo_";
const SESSION: &str = "caponier_session_";
const RANDOM_DIGITS: usize = 22;
const CHECK_DIGITS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key id from 16 random bytes.
///
/// # Panics
/// Never: the digits are characters of an id and fewer than its bound.
#[must_use]
pub fn generate_key_id(environment: Environment, random: [u8; 16]) -> ApiKeyId {
    let prefix = match environment {
        Environment::Demo => DEMO,
        Environment::Live => LIVE,
    };
    ApiKeyId::parse(&compose(prefix, random)).expect("letters, digits and underscores are an id")
}

/// The environment a key id is made for; nothing for a text of another form or with a wrong checksum.
#[must_use]
pub fn parse_key_id(text: &str) -> Option<Environment> {
    if is_composed(text, LIVE) {
        Some(Environment::Live)
    } else if is_composed(text, DEMO) {
        Some(Environment::Demo)
    } else {
        None
    }
}

/// A session id from 16 random bytes.
pub(super) fn generate_session_id(random: [u8; 16]) -> String {
    compose(SESSION, random)
}

/// Whether a text names a session and not a key.
pub(super) fn is_session_id(text: &str) -> bool {
    text.starts_with(SESSION)
}

fn compose(prefix: &str, random: [u8; 16]) -> String {
    let mut text = prefix.to_owned();
    push_digits(&mut text, u128::from_be_bytes(random), RANDOM_DIGITS);
    let check = crc32(text.as_bytes());
    push_digits(&mut text, u128::from(check), CHECK_DIGITS);
    text
}

fn is_composed(text: &str, prefix: &str) -> bool {
    let whole = prefix.len() + RANDOM_DIGITS + CHECK_DIGITS;
    if text.len() != whole || !text.starts_with(prefix) || !text.is_ascii() {
        return false;
    }
    let (front, check) = text.split_at(whole - CHECK_DIGITS);
    let mut expected = String::with_capacity(CHECK_DIGITS);
    push_digits(&mut expected, u128::from(crc32(front.as_bytes())), CHECK_DIGITS);
    front[prefix.len()..].bytes().all(|byte| byte.is_ascii_alphanumeric()) && check == expected
}

/// The value in base 62, most significant digit first, in exactly `digits` digits.
fn push_digits(text: &mut String, mut value: u128, digits: usize) {
    let mut reversed = [b'0'; RANDOM_DIGITS];
    for digit in &mut reversed[..digits] {
        *digit = DIGITS[usize::try_from(value % 62).unwrap_or(0)];
        value /= 62;
    }
    text.extend(reversed[..digits].iter().rev().map(|digit| char::from(*digit)));
}

/// CRC-32 as in IEEE 802.3 and ISO-HDLC, bit by bit: for a few dozen bytes when a key is made.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let id = generate_key_id(Environment::Live, [0; 16]);
        assert!(id.as_str().starts_with("caponier_live_0000000000000000000000"), "{id}");
        assert_eq!(id.as_str().len(), KEY_ID_BYTES);
        let greatest = generate_key_id(Environment::Demo, [0xff; 16]);
        assert!(greatest.as_str().starts_with("caponier_demo_7n42DGM5Tflk9n8mt7Fhc7"), "{greatest}");
        assert!(is_session_id(&generate_session_id([1; 16])) && !is_session_id(id.as_str()));
        for bad in ["", "caponier_live_", "4f1d2c3b-0000-0000-0000-000000000000"] {
            assert_eq!(parse_key_id(bad), None);
        }
    }

    proptest! {
        #[test]
        fn every_id_is_recognised_and_every_slip_is_noticed(
            random in any::<[u8; 16]>(),
            live in any::<bool>(),
            at in 0..KEY_ID_BYTES,
            other in "[ -~]",
        ) {
            let environment = if live { Environment::Live } else { Environment::Demo };
            let id = generate_key_id(environment, random);
            prop_assert_eq!(parse_key_id(id.as_str()), Some(environment));
            let mut slip = id.as_str().to_owned();
            slip.replace_range(at..=at, &other);
            prop_assert_eq!(parse_key_id(&slip).is_some(), slip == id.as_str());
        }
    }
}
