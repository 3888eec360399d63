//! Litecoin mainnet: base58check P2PKH (`L`) and P2SH (`M`, formerly `3`), bech32 and bech32m (`ltc1`).
//!
//! Addresses of the extension block (`ltcmweb1`, LIP 4) are refused: they name nobody a list could name.

use bs58::Alphabet;
use domain::{Address, AddressKind, ChainFamily};

use super::{
    AddressError, base58, evm, tron,
    witness::{self, has_prefix},
};

const P2PKH: u8 = 0x30;
const P2SH: u8 = 0x32;
/// That of Bitcoin, in use until 2017 and still understood by wallets.
const P2SH_FORMER: u8 = 0x05;
const MWEB_PREFIX: &str = "ltcmweb1";
const WANTED: &str = "a Litecoin mainnet one";

/// In base58 an address may begin with the letters `ltc1` in mixed case; those have at most 34 characters.
fn is_witness(text: &str) -> bool {
    let has_lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
    let has_upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    has_prefix(text, "ltc1") && (text.len() > 36 || !(has_lower && has_upper))
}

pub(super) fn has_form(text: &str) -> bool {
    is_witness(text)
        || has_prefix(text, MWEB_PREFIX)
        || (text.starts_with(['L', 'M']) && (26..=36).contains(&text.len()))
}

pub(super) fn decode(text: &str) -> Result<Address, AddressError> {
    if is_witness(text) {
        return witness::decode(text, "ltc1", |version| AddressKind::LitecoinWitness { version });
    }
    if has_prefix(text, MWEB_PREFIX) {
        return Err(AddressError::NotScreenable {
            reason: "addresses of Litecoin's extension block hide who receives",
        });
    }
    for (prefix, found) in [("tltc1", "a Litecoin testnet"), ("bc1", "a Bitcoin")] {
        if has_prefix(text, prefix) {
            return Err(AddressError::WrongNetwork { found, wanted: WANTED });
        }
    }
    if evm::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "an EVM", wanted: WANTED });
    }
    if tron::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "a TRON", wanted: WANTED });
    }
    if !text.starts_with(['1', '3', 'L', 'M']) {
        return Err(AddressError::Unrecognised { wanted: ChainFamily::Litecoin.as_str() });
    }
    base58::check_alphabet(text)?;
    let (version, payload) = base58::decode_check(text, Alphabet::BITCOIN)?;
    let kind = match version {
        P2PKH => AddressKind::LitecoinP2pkh,
        P2SH | P2SH_FORMER => AddressKind::LitecoinP2sh,
        0x00 => return Err(AddressError::WrongNetwork { found: "a Bitcoin", wanted: WANTED }),
        _ => return Err(AddressError::WrongNetwork { found: "another network's", wanted: WANTED }),
    };
    Address::new(kind, &payload).ok_or(AddressError::BadLength { expected: "20 bytes", got: payload.len() })
}

pub(super) fn encode(kind: AddressKind, payload: &[u8]) -> String {
    match kind {
        AddressKind::LitecoinP2sh => base58::encode_check(P2SH, payload, Alphabet::BITCOIN),
        AddressKind::LitecoinWitness { version } => witness::encode("ltc", version, payload),
        _ => base58::encode_check(P2PKH, payload, Alphabet::BITCOIN),
    }
}
