//! A chain address in canonical form. Codecs (text to this and back) live in the `chain` crate.

use std::fmt;

use crate::ChainFamily;

/// What the payload of an address is a hash or key of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AddressKind {
    /// Bitcoin pay-to-public-key-hash, 20 bytes.
    BitcoinP2pkh,
    /// Bitcoin pay-to-script-hash, 20 bytes.
    BitcoinP2sh,
    /// Bitcoin witness program; version 0 to 16, 2 to 40 bytes (BIP 141).
    BitcoinWitness {
        /// Witness version.
        version: u8,
    },
    /// Bitcoin Cash pay-to-public-key-hash, 20 bytes.
    BitcoinCashP2pkh,
    /// Bitcoin Cash pay-to-script-hash, 20 or 32 bytes.
    BitcoinCashP2sh,
    /// Ethereum-type account, 20 bytes.
    Evm,
    /// Litecoin pay-to-public-key-hash, 20 bytes.
    LitecoinP2pkh,
    /// Litecoin pay-to-script-hash, 20 bytes.
    LitecoinP2sh,
    /// Litecoin witness program; version 0 to 16, 2 to 40 bytes.
    LitecoinWitness {
        /// Witness version.
        version: u8,
    },
    /// Solana account: an Ed25519 key or an address derived by a program, 32 bytes.
    Solana,
    /// TRON account, 20 bytes (without the 0x41 prefix).
    Tron,
    /// XRP Ledger account, 20 bytes.
    Xrp,
}

impl AddressKind {
    /// The family the address belongs to.
    #[must_use]
    pub const fn family(self) -> ChainFamily {
        match self {
            Self::BitcoinP2pkh | Self::BitcoinP2sh | Self::BitcoinWitness { .. } => ChainFamily::Bitcoin,
            Self::BitcoinCashP2pkh | Self::BitcoinCashP2sh => ChainFamily::BitcoinCash,
            Self::Evm => ChainFamily::Evm,
            Self::LitecoinP2pkh | Self::LitecoinP2sh | Self::LitecoinWitness { .. } => ChainFamily::Litecoin,
            Self::Solana => ChainFamily::Solana,
            Self::Tron => ChainFamily::Tron,
            Self::Xrp => ChainFamily::Xrp,
        }
    }

    /// A stable byte for storage and hashing.
    #[must_use]
    pub const fn tag(self) -> u8 {
        match self {
            Self::BitcoinP2pkh => 0x01,
            Self::BitcoinP2sh => 0x02,
            Self::LitecoinP2pkh => 0x03,
            Self::LitecoinP2sh => 0x04,
            Self::BitcoinCashP2pkh => 0x05,
            Self::BitcoinCashP2sh => 0x06,
            Self::BitcoinWitness { version } => 0x10 + version,
            Self::LitecoinWitness { version } => 0x21 + version,
            Self::Evm => 0x40,
            Self::Tron => 0x41,
            Self::Xrp => 0x42,
            Self::Solana => 0x43,
        }
    }

    /// Inverse of [`AddressKind::tag`].
    #[must_use]
    pub const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0x01 => Some(Self::BitcoinP2pkh),
            0x02 => Some(Self::BitcoinP2sh),
            0x03 => Some(Self::LitecoinP2pkh),
            0x04 => Some(Self::LitecoinP2sh),
            0x05 => Some(Self::BitcoinCashP2pkh),
            0x06 => Some(Self::BitcoinCashP2sh),
            0x10..=0x20 => Some(Self::BitcoinWitness { version: tag - 0x10 }),
            0x21..=0x31 => Some(Self::LitecoinWitness { version: tag - 0x21 }),
            0x40 => Some(Self::Evm),
            0x41 => Some(Self::Tron),
            0x42 => Some(Self::Xrp),
            0x43 => Some(Self::Solana),
            _ => None,
        }
    }
}

/// A decoded, checksum-verified address. Two texts of the same holder compare equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    kind: AddressKind,
    len: u8,
    bytes: [u8; Self::PAYLOAD_BYTES_MAX],
}

impl Address {
    /// Longest payload (a BIP 141 witness program).
    pub const PAYLOAD_BYTES_MAX: usize = 40;

    /// From a kind and its payload; `None` when the length does not fit the kind.
    #[must_use]
    pub fn new(kind: AddressKind, payload: &[u8]) -> Option<Self> {
        let fits = match kind {
            AddressKind::BitcoinP2pkh
            | AddressKind::BitcoinP2sh
            | AddressKind::BitcoinCashP2pkh
            | AddressKind::Evm
            | AddressKind::LitecoinP2pkh
            | AddressKind::LitecoinP2sh
            | AddressKind::Tron
            | AddressKind::Xrp => payload.len() == 20,
            AddressKind::Solana => payload.len() == 32,
            AddressKind::BitcoinCashP2sh
            | AddressKind::BitcoinWitness { version: 0 }
            | AddressKind::LitecoinWitness { version: 0 } => matches!(payload.len(), 20 | 32),
            AddressKind::BitcoinWitness { version } | AddressKind::LitecoinWitness { version } => {
                version <= 16 && (2..=Self::PAYLOAD_BYTES_MAX).contains(&payload.len())
            }
        };
        if !fits {
            return None;
        }
        let mut bytes = [0; Self::PAYLOAD_BYTES_MAX];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { kind, len: u8::try_from(payload.len()).ok()?, bytes })
    }

    /// What the payload is.
    #[must_use]
    pub const fn kind(&self) -> AddressKind {
        self.kind
    }

    /// The chain family.
    #[must_use]
    pub const fn family(&self) -> ChainFamily {
        self.kind.family()
    }

    /// Hash or program, 2 to 40 bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.kind)?;
        self.payload().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_unique_and_lead_back() {
        let kinds: Vec<AddressKind> = (0..=u8::MAX).filter_map(AddressKind::from_tag).collect();
        assert_eq!(kinds.len(), 6 + 17 + 17 + 4);
        for kind in kinds {
            assert_eq!(AddressKind::from_tag(kind.tag()), Some(kind));
            let fits = (0..=Address::PAYLOAD_BYTES_MAX + 1)
                .filter(|len| Address::new(kind, &vec![0; *len]).is_some())
                .count();
            assert!((1..=39).contains(&fits), "{kind:?} fits {fits} lengths");
        }
    }
}
