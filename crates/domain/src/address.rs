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
    /// Ethereum-type account, 20 bytes.
    Evm,
    /// TRON account, 20 bytes (without the 0x41 prefix).
    Tron,
}

impl AddressKind {
    /// The family the address belongs to.
    #[must_use]
    pub const fn family(self) -> ChainFamily {
        match self {
            Self::BitcoinP2pkh | Self::BitcoinP2sh | Self::BitcoinWitness { .. } => ChainFamily::Bitcoin,
            Self::Evm => ChainFamily::Evm,
            Self::Tron => ChainFamily::Tron,
        }
    }

    /// A stable byte for storage and hashing.
    #[must_use]
    pub const fn tag(self) -> u8 {
        match self {
            Self::BitcoinP2pkh => 0x01,
            Self::BitcoinP2sh => 0x02,
            Self::BitcoinWitness { version } => 0x10 + version,
            Self::Evm => 0x40,
            Self::Tron => 0x41,
        }
    }

    /// Inverse of [`AddressKind::tag`].
    #[must_use]
    pub const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0x01 => Some(Self::BitcoinP2pkh),
            0x02 => Some(Self::BitcoinP2sh),
            0x10..=0x20 => Some(Self::BitcoinWitness { version: tag - 0x10 }),
            0x40 => Some(Self::Evm),
            0x41 => Some(Self::Tron),
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
            AddressKind::BitcoinP2pkh | AddressKind::BitcoinP2sh | AddressKind::Evm | AddressKind::Tron => {
                payload.len() == 20
            }
            AddressKind::BitcoinWitness { version: 0 } => matches!(payload.len(), 20 | 32),
            AddressKind::BitcoinWitness { version } => {
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
