//! Solana mainnet: 32 bytes in base58.
//!
//! The format has no checksum, so a wrong character goes unnoticed here unless it changes the length.

use domain::{Address, AddressKind, ChainFamily};

use super::{AddressError, base58, bitcoin, evm, litecoin, tron, xrp};

const PAYLOAD_LEN: usize = 32;
const TEXT_LEN: std::ops::RangeInclusive<usize> = 32..=44;
const WANTED: &str = "a Solana one";

/// Below 37 characters the text is more likely another family's; such Solana addresses belong to its own programs.
pub(super) fn has_form(text: &str) -> bool {
    (37..=44).contains(&text.len()) && base58::check_alphabet(text).is_ok()
}

pub(super) fn decode(text: &str) -> Result<Address, AddressError> {
    if evm::has_form(text) {
        return Err(AddressError::WrongNetwork { found: "an EVM", wanted: WANTED });
    }
    base58::check_alphabet(text)?;
    let mut payload = [0u8; PAYLOAD_LEN];
    let decoded = bs58::decode(text).onto(&mut payload);
    if TEXT_LEN.contains(&text.len()) && decoded == Ok(PAYLOAD_LEN) {
        return Address::new(AddressKind::Solana, &payload)
            .ok_or(AddressError::Unrecognised { wanted: ChainFamily::Solana.as_str() });
    }
    for (is, found) in [
        (bitcoin::decode(text).is_ok(), "a Bitcoin"),
        (tron::decode(text).is_ok(), "a TRON"),
        (litecoin::decode(text).is_ok(), "a Litecoin"),
        (xrp::decode(text).is_ok(), "an XRP"),
    ] {
        if is {
            return Err(AddressError::WrongNetwork { found, wanted: WANTED });
        }
    }
    match decoded {
        Ok(got) => Err(AddressError::BadLength { expected: "32 bytes", got }),
        Err(_) => Err(AddressError::BadLength { expected: "32 to 44 characters", got: text.len() }),
    }
}

pub(super) fn encode(payload: &[u8]) -> String {
    bs58::encode(payload).into_string()
}
