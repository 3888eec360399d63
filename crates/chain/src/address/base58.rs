//! Base58check: a version byte, a payload, four bytes of double SHA-256. Bitcoin and its kin, TRON, and the XRP Ledger,
//! whose alphabet has another order.

use bs58::Alphabet;

use super::AddressError;

const PAYLOAD_LEN: usize = 20;
/// Version byte, payload, checksum.
const CHECKED_LEN: usize = 1 + PAYLOAD_LEN + 4;

/// The first character outside the base58 alphabet (which leaves out `0`, `O`, `I` and `l`) is an error.
pub(super) fn check_alphabet(text: &str) -> Result<(), AddressError> {
    match text
        .bytes()
        .position(|byte| !byte.is_ascii_alphanumeric() || matches!(byte, b'0' | b'O' | b'I' | b'l'))
    {
        Some(idx) => Err(AddressError::BadCharacter {
            alphabet: "base58",
            character: text.as_bytes().get(idx).map_or('?', |byte| char::from(*byte)),
            position: idx + 1,
        }),
        None => Ok(()),
    }
}

/// Version byte and 20-byte payload, with the checksum verified.
pub(super) fn decode_check(text: &str, alphabet: &Alphabet) -> Result<(u8, [u8; PAYLOAD_LEN]), AddressError> {
    const EXPECTED: &str = "25 bytes with version and checksum";
    // One byte more than right, so that a text one byte too long is counted and not just refused.
    let mut checked = [0u8; CHECKED_LEN + 1];
    let len = match bs58::decode(text).with_alphabet(alphabet).with_check(None).onto(&mut checked) {
        // The payload without its checksum.
        Ok(len) => len + 4,
        Err(bs58::decode::Error::InvalidChecksum { .. }) => {
            // Distinguish a wrong length, where the last four bytes are no checksum, from a wrong character.
            match bs58::decode(text).with_alphabet(alphabet).onto(&mut checked) {
                Ok(CHECKED_LEN) => return Err(AddressError::BadChecksum { encoding: "base58check" }),
                Ok(got) => return Err(AddressError::BadLength { expected: EXPECTED, got }),
                Err(_) => return Err(AddressError::BadLength { expected: EXPECTED, got: CHECKED_LEN + 2 }),
            }
        }
        Err(bs58::decode::Error::InvalidCharacter { character, index }) => {
            return Err(AddressError::BadCharacter { alphabet: "base58", character, position: index + 1 });
        }
        Err(bs58::decode::Error::NoChecksum) => {
            return Err(AddressError::BadLength { expected: EXPECTED, got: 0 });
        }
        Err(_) => return Err(AddressError::BadLength { expected: EXPECTED, got: CHECKED_LEN + 2 }),
    };
    match checked.get(..len) {
        Some([version, rest @ ..]) if len == CHECKED_LEN => {
            let mut payload = [0; PAYLOAD_LEN];
            for (to, from) in payload.iter_mut().zip(rest) {
                *to = *from;
            }
            Ok((*version, payload))
        }
        _ => Err(AddressError::BadLength { expected: EXPECTED, got: len }),
    }
}

pub(super) fn encode_check(version: u8, payload: &[u8], alphabet: &Alphabet) -> String {
    let mut versioned = Vec::with_capacity(1 + payload.len());
    versioned.push(version);
    versioned.extend_from_slice(payload);
    bs58::encode(versioned).with_alphabet(alphabet).with_check().into_string()
}
