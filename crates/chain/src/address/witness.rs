//! Witness programs in bech32 (version 0, BIP 173) and bech32m (versions 1 to 16, BIP 350), and the alphabet they share
//! with `CashAddr`.

use bech32::{
    Fe32, Hrp,
    primitives::decode::{PaddingError, SegwitHrpstringError},
    segwit,
};
use domain::{Address, AddressKind};

use super::AddressError;

/// The alphabet in the order of values.
pub(super) const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

pub(super) fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// Decodes `text`, which begins with `prefix` (human-readable part and separator) in either case.
pub(super) fn decode(
    text: &str,
    prefix: &str,
    kind: impl FnOnce(u8) -> AddressKind,
) -> Result<Address, AddressError> {
    check_characters(text, prefix.len(), "bech32")?;
    let (_, version, program) = segwit::decode(text).map_err(|error| witness_error(&error.0, text.len()))?;
    Address::new(kind(version.to_u8()), &program)
        .ok_or(AddressError::BadWitnessProgram { reason: "its length does not fit the witness version" })
}

pub(super) fn encode(hrp: &str, version: u8, program: &[u8]) -> String {
    let version = Fe32::try_from(version).expect("an address has a witness version of at most 16");
    let hrp = Hrp::parse(hrp).expect("a constant human-readable part");
    segwit::encode(hrp, version, program).expect("an address has a program that fits its version")
}

/// One case throughout, and only characters of the alphabet from `prefix_len` on.
pub(super) fn check_characters(
    text: &str,
    prefix_len: usize,
    alphabet: &'static str,
) -> Result<(), AddressError> {
    let mut case = None;
    for (idx, character) in text.char_indices() {
        if character.is_ascii_alphabetic() {
            let upper = character.is_ascii_uppercase();
            if *case.get_or_insert(upper) != upper {
                return Err(AddressError::MixedCase { position: idx + 1 });
            }
        }
        if idx >= prefix_len && !ALPHABET.contains(character.to_ascii_lowercase()) {
            return Err(AddressError::BadCharacter { alphabet, character, position: idx + 1 });
        }
    }
    Ok(())
}

fn witness_error(error: &SegwitHrpstringError, len: usize) -> AddressError {
    match error {
        SegwitHrpstringError::TooLong(_) => {
            AddressError::BadLength { expected: "at most 90 characters", got: len }
        }
        SegwitHrpstringError::Checksum(_) => AddressError::BadChecksum { encoding: "bech32" },
        SegwitHrpstringError::InvalidWitnessVersion(_) => {
            AddressError::BadWitnessProgram { reason: "the witness version is above 16" }
        }
        SegwitHrpstringError::Padding(PaddingError::NonZero) => {
            AddressError::BadWitnessProgram { reason: "its padding is not zero" }
        }
        SegwitHrpstringError::Padding(_) => {
            AddressError::BadWitnessProgram { reason: "it has too much padding" }
        }
        SegwitHrpstringError::WitnessLength(_) => {
            AddressError::BadWitnessProgram { reason: "its length does not fit the witness version" }
        }
        _ => AddressError::BadLength { expected: "14 to 90 characters", got: len },
    }
}
