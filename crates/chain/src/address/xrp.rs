//! XRP Ledger mainnet: classic addresses (`r`), and X-addresses (XLS-5), which carry a destination tag.
//!
//! Base58check with the ledger's own alphabet. The canonical text is the classic one: the tag says whose deposit it is
//! within an account and is no part of the account.

use bs58::Alphabet;
use domain::{Address, AddressKind, ChainFamily};

use super::{AddressError, base58, bitcoin, evm, tron};

const ACCOUNT: u8 = 0x00;
/// Two bytes of prefix, 20 of account, flag, eight of tag.
const X_LEN: usize = 31;
const X_PREFIX: [u8; 2] = [0x05, 0x44];
const X_TEST_PREFIX: [u8; 2] = [0x04, 0x93];
const WANTED: &str = "an XRP mainnet one";

fn is_x(text: &str) -> bool {
    text.starts_with(['X', 'T']) && (46..=48).contains(&text.len())
}

pub(super) fn has_form(text: &str) -> bool {
    (text.starts_with('r') && (25..=36).contains(&text.len())) || (text.starts_with('X') && is_x(text))
}

pub(super) fn decode(text: &str) -> Result<Address, AddressError> {
    decode_tagged(text).map(|(address, _)| address)
}

/// The account and the destination tag, if the text carries one.
pub(super) fn decode_tagged(text: &str) -> Result<(Address, Option<u32>), AddressError> {
    for (is, found) in [
        (evm::has_form(text), "an EVM"),
        (tron::has_form(text), "a TRON"),
        (bitcoin::has_form(text), "a Bitcoin"),
    ] {
        if is {
            return Err(AddressError::WrongNetwork { found, wanted: WANTED });
        }
    }
    if is_x(text) {
        return decode_x(text);
    }
    if !text.starts_with('r') {
        return Err(AddressError::Unrecognised { wanted: ChainFamily::Xrp.as_str() });
    }
    base58::check_alphabet(text)?;
    match base58::decode_check(text, Alphabet::RIPPLE)? {
        (ACCOUNT, payload) => Ok((account(&payload)?, None)),
        _ => Err(AddressError::WrongNetwork { found: "another network's", wanted: WANTED }),
    }
}

fn decode_x(text: &str) -> Result<(Address, Option<u32>), AddressError> {
    base58::check_alphabet(text)?;
    let mut bytes = [0u8; X_LEN + 4];
    let len = bs58::decode(text)
        .with_alphabet(Alphabet::RIPPLE)
        .with_check(None)
        .onto(&mut bytes)
        .map_err(|_| AddressError::BadChecksum { encoding: "X-address" })?;
    let bad = AddressError::BadLength { expected: "35 bytes with prefix and checksum", got: len + 4 };
    if len != X_LEN {
        return Err(bad);
    }
    let Some((prefix, rest)) = bytes.split_first_chunk::<2>() else { return Err(bad) };
    let Some((payload, [flag, tag @ ..])) = rest.split_first_chunk::<20>() else { return Err(bad) };
    match *prefix {
        X_PREFIX => {}
        X_TEST_PREFIX => return Err(AddressError::WrongNetwork { found: "an XRP testnet", wanted: WANTED }),
        _ => return Err(AddressError::WrongNetwork { found: "another network's", wanted: WANTED }),
    }
    let wrong = |reason| AddressError::NotScreenable { reason };
    let tag = tag.first_chunk().map_or(0, |tag| u64::from_le_bytes(*tag));
    let tag = match (*flag, u32::try_from(tag)) {
        (0, Ok(0)) => None,
        (0, _) => return Err(wrong("it says that it has no tag, and has one")),
        (1, Ok(tag)) => Some(tag),
        _ => return Err(wrong("its tag has a size that is not in use")),
    };
    Ok((account(payload)?, tag))
}

fn account(payload: &[u8; 20]) -> Result<Address, AddressError> {
    Address::new(AddressKind::Xrp, payload)
        .ok_or(AddressError::BadLength { expected: "20 bytes", got: payload.len() })
}

pub(super) fn encode(payload: &[u8]) -> String {
    base58::encode_check(ACCOUNT, payload, Alphabet::RIPPLE)
}
