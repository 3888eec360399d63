//! Address text to [`Address`] and back, for the mainnets of Bitcoin, Bitcoin Cash, EVM chains, Litecoin, Solana, TRON
//! and the XRP Ledger.
//!
//! Decoding verifies every checksum the format has and is strict: nothing is trimmed, folded or guessed, and a text
//! that is refused says what is wrong and where. Encoding gives the one canonical text: base58check (legacy Bitcoin and
//! Litecoin, TRON, XRP), base58 (Solana, which has no checksum), lower-case bech32 or bech32m (BIP 173, BIP 350),
//! `CashAddr` with its prefix, mixed-case hexadecimal (EIP-55).
//!
//! What it is not: a judgement. Whether an address is dangerous is a matter of labels, whether it exists of a node.
//!
//! Bounds: texts above [`TEXT_BYTES_MAX`] are refused before they are looked at; nothing allocates more than that.

mod base58;
mod bitcoin;
mod bitcoin_cash;
mod evm;
mod litecoin;
mod scan;
mod solana;
mod tron;
mod witness;
mod xrp;

use domain::{Address, AddressKind, ChainFamily};

pub(crate) use self::scan::{is_invisible, resembles};

/// Longest text looked at, in bytes. The longest valid address here (a 40-byte witness program) has 90.
pub const TEXT_BYTES_MAX: usize = 128;

/// Why a text is not an address of the wanted family. Every variant is the sender's fault.
///
/// `position` counts characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A character outside the alphabet of the format.
    #[error("character {position} ({character:?}) is not part of the {alphabet} alphabet")]
    BadCharacter {
        /// Which alphabet.
        alphabet: &'static str,
        /// The character.
        character: char,
        /// Where.
        position: usize,
    },
    /// The check digits do not belong to the rest: a typing or copying error.
    #[error("the {encoding} checksum does not match, at least one character is wrong")]
    BadChecksum {
        /// Which checksum.
        encoding: &'static str,
    },
    /// Too few or too many characters or bytes for the format.
    #[error("the length is {got}, expected {expected}")]
    BadLength {
        /// What is right, in words.
        expected: &'static str,
        /// What was found.
        got: usize,
    },
    /// A witness version, padding or program that BIP 141, 173 or 350 forbid.
    #[error("the witness program is not valid: {reason}")]
    BadWitnessProgram {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No text.
    #[error("the address is empty")]
    Empty,
    /// A character that prints as nothing, or reorders text.
    #[error("character {position} (U+{:04X}) is invisible", u32::from(*.character))]
    Invisible {
        /// The character.
        character: char,
        /// Where.
        position: usize,
    },
    /// A character of another script that looks like one of the alphabet: the text was made to deceive, or was damaged.
    #[error("character {position} (U+{:04X}) only looks like {resembles:?}", u32::from(*.character))]
    LookAlike {
        /// The character.
        character: char,
        /// What it imitates.
        resembles: char,
        /// Where.
        position: usize,
    },
    /// Upper and lower case in a format that allows only one of them.
    #[error("character {position} changes between upper and lower case, which the format does not allow")]
    MixedCase {
        /// The first character whose case differs from those before.
        position: usize,
    },
    /// Upper and lower case mixed otherwise than EIP-55 says.
    #[error("the EIP-55 checksum does not match: character {position} has the wrong case")]
    MixedCaseChecksum {
        /// The first character in the wrong case.
        position: usize,
    },
    /// A character outside ASCII.
    #[error("character {position} (U+{:04X}) is not ASCII", u32::from(*.character))]
    NonAscii {
        /// The character.
        character: char,
        /// Where.
        position: usize,
    },
    /// A well-formed text that names no holder a list could name, or carries what is not in use.
    #[error("the address cannot be screened: {reason}")]
    NotScreenable {
        /// Why.
        reason: &'static str,
    },
    /// More than [`TEXT_BYTES_MAX`].
    #[error("the text is {got} bytes long, at most {TEXT_BYTES_MAX} are looked at")]
    TooLong {
        /// Bytes found.
        got: usize,
    },
    /// The text has the shape of no format known here.
    #[error("the text has the form of no {wanted} address")]
    Unrecognised {
        /// What was wanted.
        wanted: &'static str,
    },
    /// White space before, within or after.
    #[error("character {position} is white space")]
    Whitespace {
        /// Where.
        position: usize,
    },
    /// A well-formed address of another network.
    #[error("this is {found} address, expected {wanted}")]
    WrongNetwork {
        /// Whose it is, with its article.
        found: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
}

/// Decodes `text` as an address of `family`, verifying its checksum.
///
/// # Errors
/// [`AddressError`], naming what is wrong and at which character where there is one.
pub fn decode(family: ChainFamily, text: &str) -> Result<Address, AddressError> {
    scan::plain(text)?;
    match family {
        ChainFamily::Bitcoin => bitcoin::decode(text),
        ChainFamily::BitcoinCash => bitcoin_cash::decode(text),
        ChainFamily::Evm => evm::decode(text),
        ChainFamily::Litecoin => litecoin::decode(text),
        ChainFamily::Solana => solana::decode(text),
        ChainFamily::Tron => tron::decode(text),
        ChainFamily::Xrp => xrp::decode(text),
    }
}

/// Like [`decode`], with the destination tag the text carries: only an X-address of the XRP Ledger has one.
///
/// # Errors
/// [`AddressError`], as [`decode`].
pub fn decode_tagged(family: ChainFamily, text: &str) -> Result<(Address, Option<u32>), AddressError> {
    match family {
        ChainFamily::Xrp => {
            scan::plain(text)?;
            xrp::decode_tagged(text)
        }
        other => decode(other, text).map(|address| (address, None)),
    }
}

/// The family whose form `text` has, without verifying checksums; each text has at most one.
///
/// Forms that two families share count for the older one: a base58 text that begins with 1 or 3 is taken for Bitcoin,
/// although Bitcoin Cash and Litecoin have written such too.
#[must_use]
pub fn detect(text: &str) -> Option<ChainFamily> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    if evm::has_form(text) {
        Some(ChainFamily::Evm)
    } else if tron::has_form(text) {
        Some(ChainFamily::Tron)
    } else if bitcoin::has_form(text) {
        Some(ChainFamily::Bitcoin)
    } else if litecoin::has_form(text) {
        Some(ChainFamily::Litecoin)
    } else if bitcoin_cash::has_form(text) {
        Some(ChainFamily::BitcoinCash)
    } else if xrp::has_form(text) {
        Some(ChainFamily::Xrp)
    } else if solana::has_form(text) {
        Some(ChainFamily::Solana)
    } else {
        None
    }
}

/// Decodes `text` as an address of whichever family its form belongs to.
///
/// # Errors
/// [`AddressError`], as [`decode`]; [`AddressError::Unrecognised`] when the form belongs to none.
pub fn decode_any(text: &str) -> Result<Address, AddressError> {
    scan::plain(text)?;
    match detect(text) {
        Some(family) => decode(family, text),
        None => Err(AddressError::Unrecognised {
            wanted: "Bitcoin, Bitcoin Cash, EVM, Litecoin, Solana, TRON or XRP",
        }),
    }
}

/// The canonical text of an address.
#[must_use]
pub fn encode(address: &Address) -> String {
    match address.kind() {
        AddressKind::Evm => evm::encode(address.payload()),
        AddressKind::Tron => tron::encode(address.payload()),
        AddressKind::Solana => solana::encode(address.payload()),
        AddressKind::Xrp => xrp::encode(address.payload()),
        kind @ (AddressKind::BitcoinCashP2pkh | AddressKind::BitcoinCashP2sh) => {
            bitcoin_cash::encode(kind, address.payload())
        }
        kind @ (AddressKind::LitecoinP2pkh
        | AddressKind::LitecoinP2sh
        | AddressKind::LitecoinWitness { .. }) => litecoin::encode(kind, address.payload()),
        kind => bitcoin::encode(kind, address.payload()),
    }
}

/// Addresses of other families that are, or were, written with the same text: Bitcoin's base58check form served Bitcoin
/// Cash, and that of its script hashes Litecoin. Whoever holds one holds the others, and a list may name any of them.
pub fn namesakes(address: &Address) -> impl Iterator<Item = Address> {
    let kinds: &'static [AddressKind] = match address.kind() {
        AddressKind::BitcoinP2pkh | AddressKind::BitcoinCashP2pkh => {
            &[AddressKind::BitcoinP2pkh, AddressKind::BitcoinCashP2pkh]
        }
        AddressKind::BitcoinP2sh | AddressKind::BitcoinCashP2sh | AddressKind::LitecoinP2sh => {
            &[AddressKind::BitcoinP2sh, AddressKind::BitcoinCashP2sh, AddressKind::LitecoinP2sh]
        }
        _ => &[],
    };
    let address = *address;
    kinds
        .iter()
        .filter(move |kind| **kind != address.kind())
        .filter_map(move |kind| Address::new(*kind, address.payload()))
}

#[cfg(test)]
mod tests;
