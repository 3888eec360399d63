//! Addresses by number: what a stream of transfers is counted by.
//!
//! Tables name an address either by its text or by its place in a file of addresses; both become numbers without gaps, in
//! the order of first appearance, so that state per address is a plain array.
//!
//! Bounds: [`PARTIES_MAX`] addresses, 48 bytes each.

use std::io::{self, Read};

use domain::{Address, AddressKind};
use hashbrown::HashTable;

/// Most different addresses of one stream.
pub const PARTIES_MAX: usize = 1 << 26;
/// Bytes of an EVM address.
pub(crate) const PAYLOAD: usize = 20;

/// The number of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party(pub(crate) u32);

impl Party {
    /// As an index into state per address.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Why a file of addresses is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressesError {
    /// Its length is no multiple of 20.
    #[error("{bytes} bytes are no whole number of addresses of 20 bytes")]
    Length {
        /// Bytes found.
        bytes: usize,
    },
    /// It could not be read.
    #[error("cannot read")]
    Read(#[source] io::Error),
    /// More than [`PARTIES_MAX`].
    #[error("more than {PARTIES_MAX} addresses")]
    TooMany,
}

/// Why an address of a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartyError {
    /// Neither a number nor 40 hexadecimal digits.
    #[error("{text:?} is neither an address (0x and 40 hexadecimal digits) nor a number")]
    Form {
        /// What was found, cut.
        text: String,
    },
    /// A number without a file of addresses that has it.
    #[error("there is no address number {number}, the file of addresses has {addresses}")]
    Number {
        /// What was found.
        number: u64,
        /// How many there are.
        addresses: usize,
    },
    /// More than [`PARTIES_MAX`].
    #[error("more than {PARTIES_MAX} different addresses")]
    TooMany,
}

/// The addresses of a stream.
#[derive(Debug, Default)]
pub struct Parties {
    payloads: Vec<[u8; PAYLOAD]>,
    by_payload: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    /// Addresses of the file, which rows may name by number.
    numbered: usize,
}

impl Parties {
    /// With the addresses of a file: 20 bytes each, the first is number 0.
    ///
    /// # Errors
    /// [`AddressesError`].
    pub fn read(source: impl Read) -> Result<Self, AddressesError> {
        let mut bytes = Vec::new();
        source
            .take((PARTIES_MAX * PAYLOAD) as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(AddressesError::Read)?;
        if bytes.len() > PARTIES_MAX * PAYLOAD {
            return Err(AddressesError::TooMany);
        }
        let (payloads, []) = bytes.as_chunks::<PAYLOAD>() else {
            return Err(AddressesError::Length { bytes: bytes.len() });
        };
        let mut parties = Self { payloads: payloads.to_vec(), numbered: payloads.len(), ..Self::default() };
        // An address that stands in the file twice is known by its first number; rows that use the second mean it.
        let Self { payloads, by_payload, hasher, .. } = &mut parties;
        by_payload.reserve(payloads.len(), |at| hash(hasher, payloads.get(*at as usize)));
        for at in 0..u32::try_from(payloads.len()).unwrap_or(u32::MAX) {
            let payload = payloads.get(at as usize);
            let hashed = hash(hasher, payload);
            if by_payload.find(hashed, |other| payloads.get(*other as usize) == payload).is_none() {
                by_payload.insert_unique(hashed, at, |at| hash(hasher, payloads.get(*at as usize)));
            }
        }
        Ok(parties)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.payloads.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// The address.
    #[must_use]
    pub fn address(&self, party: Party) -> Option<Address> {
        Address::new(AddressKind::Evm, self.payloads.get(party.index())?)
    }

    /// The address as text, without a checksum's letter case; the number if it is of no address here.
    #[must_use]
    pub fn text(&self, party: Party) -> String {
        match self.payloads.get(party.index()) {
            Some(payload) => format!("0x{}", crate::import::hex(payload)),
            None => party.0.to_string(),
        }
    }

    /// Whom a value of a row names; `None` if it is empty.
    ///
    /// # Errors
    /// [`PartyError`].
    pub fn of_row(&mut self, value: &[u8]) -> Result<Option<Party>, PartyError> {
        if value.is_empty() {
            return Ok(None);
        }
        if let Some(digits) = value.strip_prefix(b"0x").or_else(|| value.strip_prefix(b"0X")) {
            let payload = payload(digits).ok_or_else(|| form(value))?;
            return self.of_payload(payload).map(Some);
        }
        if value.len() > 10 || !value.iter().all(u8::is_ascii_digit) {
            return Err(form(value));
        }
        let number = value.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        match u32::try_from(number) {
            Ok(party) if (party as usize) < self.numbered => Ok(Some(Party(party))),
            _ => Err(PartyError::Number { number, addresses: self.numbered }),
        }
    }

    /// Whom an address is, if it is anybody here.
    #[must_use]
    pub fn find(&self, address: &Address) -> Option<Party> {
        let payload: [u8; PAYLOAD] = address.payload().try_into().ok()?;
        if address.kind() != AddressKind::Evm {
            return None;
        }
        let hashed = hash(&self.hasher, Some(&payload));
        self.by_payload
            .find(hashed, |at| self.payloads.get(*at as usize) == Some(&payload))
            .map(|at| Party(*at))
    }

    /// # Errors
    /// [`PartyError::TooMany`].
    pub(crate) fn of_payload(&mut self, payload: [u8; PAYLOAD]) -> Result<Party, PartyError> {
        let Self { payloads, by_payload, hasher, .. } = self;
        let hashed = hash(hasher, Some(&payload));
        if let Some(at) = by_payload.find(hashed, |at| payloads.get(*at as usize) == Some(&payload)) {
            return Ok(Party(*at));
        }
        let at = u32::try_from(payloads.len()).map_err(|_| PartyError::TooMany)?;
        if payloads.len() >= PARTIES_MAX {
            return Err(PartyError::TooMany);
        }
        payloads.push(payload);
        by_payload.insert_unique(hashed, at, |at| hash(hasher, payloads.get(*at as usize)));
        Ok(Party(at))
    }
}

fn hash(hasher: &foldhash::fast::RandomState, payload: Option<&[u8; PAYLOAD]>) -> u64 {
    use std::hash::BuildHasher as _;
    hasher.hash_one(payload)
}

fn form(value: &[u8]) -> PartyError {
    PartyError::Form { text: String::from_utf8_lossy(value).chars().take(48).collect() }
}

/// 40 hexadecimal digits of either case.
pub(crate) fn payload(digits: &[u8]) -> Option<[u8; PAYLOAD]> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    if pairs.len() != PAYLOAD {
        return None;
    }
    let mut payload = [0; PAYLOAD];
    for (byte, [high, low]) in payload.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(payload)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_name_the_same() {
        let bytes: Vec<u8> = [[1_u8; 20], [2; 20]].concat();
        let mut parties = Parties::read(bytes.as_slice()).unwrap();
        let text = |digit: char| format!("0x{}", format!("0{digit}").repeat(20));
        let one = parties.of_row(b"0").unwrap().unwrap();
        assert_eq!(parties.of_row(text('1').as_bytes()), Ok(Some(one)));
        assert_eq!(parties.of_row(text('3').as_bytes()), Ok(Some(Party(2))));
        assert_eq!(parties.text(Party(2)), text('3'));
        assert_eq!(parties.find(&parties.address(one).unwrap()), Some(one));
        assert_eq!(parties.of_row(b""), Ok(None));
        assert_eq!(parties.of_row(b"2"), Err(PartyError::Number { number: 2, addresses: 2 }));
        for bad in [b"0x12".as_slice(), b"-1", b"x", b"99999999999", &[0xff; 42]] {
            assert!(matches!(parties.of_row(bad), Err(PartyError::Form { .. })));
        }
        assert!(matches!(Parties::read(&bytes[1..]), Err(AddressesError::Length { bytes: 39 })));
    }
}
