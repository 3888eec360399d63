//! Base58check of 0x41 and 20 bytes: 34 characters that begin with `T`.

use bs58::Alphabet;
use domain::{Address, AddressKind, ChainFamily};

use super::{AddressError, base58, bitcoin, evm};

const VERSION: u8 = 0x41;
const TEXT_LEN: usize = 34;

pub(super) fn has_form(text: &str) -> bool {
    text.starts_with('T') && (26..=36).contains(&text.len())
}

pub(super) fn decode(text: &str) -> Result<Address, AddressError> {
    if evm::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "an EVM", wanted: "a TRON one" });
    }
    if bitcoin::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "a Bitcoin", wanted: "a TRON one" });
    }
    if !text.starts_with('T') {
        return Err(AddressError::Unrecognised { wanted: ChainFamily::Tron.as_str() });
    }
    base58::check_alphabet(text)?;
    if text.len() != TEXT_LEN {
        return Err(AddressError::BadLength { expected: "34 characters", got: text.len() });
    }
    match base58::decode_check(text, Alphabet::BITCOIN)? {
        (VERSION, payload) => Address::new(AddressKind::Tron, &payload)
            .ok_or(AddressError::BadLength { expected: "20 bytes", got: payload.len() }),
        _ => Err(AddressError::WrongNetwork { found: "another network's", wanted: "a TRON one" }),
    }
}

pub(super) fn encode(payload: &[u8]) -> String {
    base58::encode_check(VERSION, payload, Alphabet::BITCOIN)
}
