//! Bitcoin mainnet: base58check P2PKH and P2SH, bech32 witness version 0 (BIP 173), bech32m versions 1 to 16 (BIP 350).
//! The base58check helpers serve TRON too, which uses the same encoding with its own version byte.

use bech32::{
    Fe32, Hrp,
    primitives::decode::{PaddingError, SegwitHrpstringError},
    segwit,
};
use domain::{Address, AddressKind, ChainFamily};

use super::{AddressError, evm, tron};

const P2PKH: u8 = 0x00;
const P2SH: u8 = 0x05;
const PAYLOAD_LEN: usize = 20;
/// Version byte, payload, four bytes of double SHA-256.
const CHECKED_LEN: usize = 1 + PAYLOAD_LEN + 4;
/// The bech32 alphabet in the order of values.
const BECH32_ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Prefixes of witness addresses of networks that share Bitcoin's format, with whose they are.
const FOREIGN_HRPS: [(&str, &str); 4] = [
    ("tb1", "a Bitcoin testnet"),
    ("bcrt1", "a Bitcoin regtest"),
    ("ltc1", "a Litecoin"),
    ("tltc1", "a Litecoin testnet"),
];

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

pub(super) fn has_form(text: &str) -> bool {
    has_prefix(text, "bc1") || (text.starts_with(['1', '3']) && (25..=36).contains(&text.len()))
}

pub(super) fn decode(text: &str) -> Result<Address, AddressError> {
    const WANTED: &str = "a Bitcoin mainnet one";
    if has_prefix(text, "bc1") {
        return decode_witness(text);
    }
    if let Some((_, found)) = FOREIGN_HRPS.iter().find(|(hrp, _)| has_prefix(text, hrp)) {
        return Err(AddressError::WrongNetwork { found, wanted: WANTED });
    }
    if evm::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "an EVM", wanted: WANTED });
    }
    if tron::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "a TRON", wanted: WANTED });
    }
    let ours = text.starts_with(['1', '3']);
    check_base58_alphabet(text).map_err(|error| {
        if ours { error } else { AddressError::Unrecognised { wanted: ChainFamily::Bitcoin.as_str() } }
    })?;
    let (version, payload) = decode_base58check(text).map_err(|error| {
        if ours { error } else { AddressError::Unrecognised { wanted: ChainFamily::Bitcoin.as_str() } }
    })?;
    let kind = match version {
        P2PKH => AddressKind::BitcoinP2pkh,
        P2SH => AddressKind::BitcoinP2sh,
        0x6f | 0xc4 => return Err(AddressError::WrongNetwork { found: "a Bitcoin testnet", wanted: WANTED }),
        0x30 | 0x32 => return Err(AddressError::WrongNetwork { found: "a Litecoin", wanted: WANTED }),
        0x1e | 0x16 => return Err(AddressError::WrongNetwork { found: "a Dogecoin", wanted: WANTED }),
        0x4c | 0x10 => return Err(AddressError::WrongNetwork { found: "a Dash", wanted: WANTED }),
        _ => return Err(AddressError::WrongNetwork { found: "another network's", wanted: WANTED }),
    };
    Address::new(kind, &payload).ok_or(AddressError::BadLength { expected: "20 bytes", got: payload.len() })
}

/// The first character outside the base58 alphabet (which leaves out `0`, `O`, `I` and `l`) is an error.
pub(super) fn check_base58_alphabet(text: &str) -> Result<(), AddressError> {
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
pub(super) fn decode_base58check(text: &str) -> Result<(u8, [u8; PAYLOAD_LEN]), AddressError> {
    const EXPECTED: &str = "25 bytes with version and checksum";
    // One byte more than right, so that a text one byte too long is counted and not just refused.
    let mut checked = [0u8; CHECKED_LEN + 1];
    let len = match bs58::decode(text).with_check(None).onto(&mut checked) {
        // The payload without its checksum.
        Ok(len) => len + 4,
        Err(bs58::decode::Error::InvalidChecksum { .. }) => {
            // Distinguish a wrong length, where the last four bytes are no checksum, from a wrong character.
            match bs58::decode(text).onto(&mut checked) {
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

pub(super) fn encode_base58check(version: u8, payload: &[u8]) -> String {
    let mut versioned = Vec::with_capacity(1 + payload.len());
    versioned.push(version);
    versioned.extend_from_slice(payload);
    bs58::encode(versioned).with_check().into_string()
}

fn decode_witness(text: &str) -> Result<Address, AddressError> {
    check_bech32_characters(text)?;
    let (_, version, program) = segwit::decode(text).map_err(|error| witness_error(&error.0, text.len()))?;
    Address::new(AddressKind::BitcoinWitness { version: version.to_u8() }, &program)
        .ok_or(AddressError::BadWitnessProgram { reason: "its length does not fit the witness version" })
}

/// One case throughout, and only characters of the alphabet after `bc1`.
fn check_bech32_characters(text: &str) -> Result<(), AddressError> {
    let mut case = None;
    for (idx, character) in text.char_indices() {
        if character.is_ascii_alphabetic() {
            let upper = character.is_ascii_uppercase();
            if *case.get_or_insert(upper) != upper {
                return Err(AddressError::MixedCase { position: idx + 1 });
            }
        }
        if idx >= "bc1".len() && !BECH32_ALPHABET.contains(character.to_ascii_lowercase()) {
            return Err(AddressError::BadCharacter { alphabet: "bech32", character, position: idx + 1 });
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

pub(super) fn encode(kind: AddressKind, payload: &[u8]) -> String {
    match kind {
        AddressKind::BitcoinP2sh => encode_base58check(P2SH, payload),
        AddressKind::BitcoinWitness { version } => {
            let version = Fe32::try_from(version).expect("an address has a witness version of at most 16");
            let hrp = Hrp::parse("bc").expect("bc is a human-readable part");
            segwit::encode(hrp, version, payload).expect("an address has a program that fits its version")
        }
        _ => encode_base58check(P2PKH, payload),
    }
}
