//! Bitcoin mainnet: base58check P2PKH and P2SH, bech32 witness version 0 (BIP 173), bech32m versions 1 to 16 (BIP 350).

use bs58::Alphabet;
use domain::{Address, AddressKind, ChainFamily};

use super::{
    AddressError, base58, bitcoin_cash, evm, litecoin, tron,
    witness::{self, has_prefix},
};

const P2PKH: u8 = 0x00;
const P2SH: u8 = 0x05;

/// Prefixes of witness addresses of networks that share Bitcoin's format, with whose they are.
const FOREIGN_HRPS: [(&str, &str); 3] =
    [("tb1", "a Bitcoin testnet"), ("bcrt1", "a Bitcoin regtest"), ("tltc1", "a Litecoin testnet")];

pub(super) fn has_form(text: &str) -> bool {
    has_prefix(text, "bc1") || (text.starts_with(['1', '3']) && (25..=36).contains(&text.len()))
}

pub(super) fn decode(text: &str) -> Result<Address, AddressError> {
    const WANTED: &str = "a Bitcoin mainnet one";
    if has_prefix(text, "bc1") {
        return witness::decode(text, "bc1", |version| AddressKind::BitcoinWitness { version });
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
    if litecoin::has_form(text) && litecoin::decode(text).is_ok() {
        return Err(AddressError::WrongNetwork { found: "a Litecoin", wanted: WANTED });
    }
    if bitcoin_cash::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "a Bitcoin Cash", wanted: WANTED });
    }
    let ours = text.starts_with(['1', '3']);
    base58::check_alphabet(text).map_err(|error| {
        if ours { error } else { AddressError::Unrecognised { wanted: ChainFamily::Bitcoin.as_str() } }
    })?;
    let (version, payload) = base58::decode_check(text, Alphabet::BITCOIN).map_err(|error| {
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

pub(super) fn encode(kind: AddressKind, payload: &[u8]) -> String {
    match kind {
        AddressKind::BitcoinP2sh => base58::encode_check(P2SH, payload, Alphabet::BITCOIN),
        AddressKind::BitcoinWitness { version } => witness::encode("bc", version, payload),
        _ => base58::encode_check(P2PKH, payload, Alphabet::BITCOIN),
    }
}
