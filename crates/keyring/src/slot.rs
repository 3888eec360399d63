//! One slot of the key table: 128 bytes, so a slot never crosses a 512-byte sector and is replaced whole or not
//! at all.
//!
//! Integers big-endian. All zero means empty. Otherwise:
//!
//! ```text
//!    0  4   magic "CKS1"
//!    4  1   state: 1 live, 2 erased
//!    5  1   purpose: 1 DEK of a subject, 2 pseudonym key
//!    6  2   zero
//!    8  4   DEK version
//!   12  4   KEK version: wraps the key, authenticates the slot
//!   16 16   pseudonym ("pseudonym key" and zeroes for purpose 2)
//!   32 12   nonce of the wrapping (zero when erased)
//!   44 48   wrapped key: 32 bytes of ciphertext, 16 of tag (zero when erased)
//!   92  8   number of the slot
//!  100  8   zero
//!  108 16   HMAC-SHA256 over bytes 0..108 under the KEK's slot key, cut to 16
//!  124  4   CRC-32C over bytes 0..124
//! ```
//!
//! The CRC finds every damaged bit without a key; the MAC finds what somebody without the KEK made up or moved.
//! The wrapping (AES-256-GCM-SIV) has purpose, pseudonym, DEK version and KEK version as associated data.

use crypto::{AeadKey, MacKey, NONCE_BYTES, Secret, TAG_BYTES, ct_eq};

use crate::{DekVersion, Kek, KekVersion, Pseudonym};

/// Bytes of a slot.
pub const SLOT_BYTES: usize = 128;

const MAGIC: [u8; 4] = *b"CKS1";
const WRAPPED_BYTES: usize = 32 + TAG_BYTES;
const MAC_AT: usize = 108;
const CRC_AT: usize = 124;

/// What a slot's key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Seals a subject's payloads.
    Dek,
    /// Turns subjects into pseudonyms.
    PseudonymKey,
}

impl Purpose {
    /// Stands in the pseudonym field of the pseudonym key's own slot.
    pub(crate) const PSEUDONYM_KEY_NAME: Pseudonym = Pseudonym(*b"pseudonym key\0\0\0");

    const fn tag(self) -> u8 {
        match self {
            Self::Dek => 1,
            Self::PseudonymKey => 2,
        }
    }

    const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::Dek),
            2 => Some(Self::PseudonymKey),
            _ => None,
        }
    }
}

/// Whether a slot still has its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// The key is there.
    Live,
    /// The key was destroyed; the pseudonym remains so that it is never given out again.
    Erased,
}

/// What is wrong with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotFault {
    /// Does not match its CRC.
    #[error("does not match its checksum")]
    Checksum,
    /// The same pseudonym has an earlier slot.
    #[error("repeats the pseudonym of slot {first}")]
    Duplicate {
        /// The earlier slot.
        first: usize,
    },
    /// Matches its checksum, yet is no slot of this format.
    #[error("is not of a known format")]
    Format,
    /// Does not match its MAC.
    #[error("does not authenticate under its KEK")]
    Mac,
    /// Written for another place in the table.
    #[error("belongs to slot {number}")]
    Moved {
        /// Where it belongs.
        number: u64,
    },
    /// The file ends within the slot.
    #[error("is cut short")]
    Short,
    /// The KEK file does not hold the version.
    #[error("needs KEK version {version}, which the KEK file does not hold")]
    UnknownKek {
        /// The version it needs.
        version: u32,
    },
    /// The wrapped key does not open.
    #[error("wraps a key that does not open")]
    Wrap,
}

/// What a KEK version derives for slots.
pub(crate) struct SlotKeys {
    pub(crate) version: KekVersion,
    wrap: AeadKey,
    mac: MacKey,
}

impl SlotKeys {
    pub(crate) fn new(kek: &Kek) -> Self {
        Self { version: kek.version(), wrap: kek.wrap_key(), mac: kek.slot_mac_key() }
    }
}

impl std::fmt::Debug for SlotKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SlotKeys(version {}, <secret>)", self.version)
    }
}

/// A slot whose checksum and form are good; whether it is authentic takes the KEK to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Live or erased.
    pub state: SlotState,
    /// What the key is for.
    pub purpose: Purpose,
    /// Version of the DEK.
    pub dek_version: DekVersion,
    /// The KEK that wraps it.
    pub kek_version: KekVersion,
    /// Whose key.
    pub pseudonym: Pseudonym,
    /// Place in the table.
    pub number: u64,
    nonce: [u8; NONCE_BYTES],
    wrapped: [u8; WRAPPED_BYTES],
}

impl Slot {
    /// A slot that wraps `key`; `nonce` must be fresh random bytes.
    pub(crate) fn wrap(
        number: u64,
        purpose: Purpose,
        pseudonym: Pseudonym,
        dek_version: DekVersion,
        key: &Secret<[u8; 32]>,
        keys: &SlotKeys,
        nonce: [u8; NONCE_BYTES],
    ) -> Self {
        let mut slot = Self {
            state: SlotState::Live,
            purpose,
            dek_version,
            kek_version: keys.version,
            pseudonym,
            number,
            nonce,
            wrapped: [0; WRAPPED_BYTES],
        };
        let wrapped = keys.wrap.seal(&nonce, &slot.wrap_aad(), key.expose());
        slot.wrapped.copy_from_slice(&wrapped);
        slot
    }

    /// The same slot without its key.
    pub(crate) fn erased(self, keys: &SlotKeys) -> Self {
        Self {
            state: SlotState::Erased,
            kek_version: keys.version,
            nonce: [0; NONCE_BYTES],
            wrapped: [0; WRAPPED_BYTES],
            ..self
        }
    }

    /// The wrapped key.
    pub(crate) fn unwrap(&self, keys: &SlotKeys) -> Result<Secret<[u8; 32]>, SlotFault> {
        let opened = Secret::new(
            keys.wrap.open(&self.nonce, &self.wrap_aad(), &self.wrapped).map_err(|_| SlotFault::Wrap)?,
        );
        let mut key = [0; 32];
        key.copy_from_slice(opened.expose());
        Ok(Secret::new(key))
    }

    fn wrap_aad(&self) -> [u8; 41] {
        let mut aad = [0; 41];
        aad[..16].copy_from_slice(b"caponier wrap v1");
        aad[16] = self.purpose.tag();
        aad[17..33].copy_from_slice(&self.pseudonym.0);
        aad[33..37].copy_from_slice(&self.dek_version.0.to_be_bytes());
        aad[37..].copy_from_slice(&self.kek_version.0.to_be_bytes());
        aad
    }

    /// The 128 bytes, authenticated under `keys`, which must be those of `kek_version`.
    pub(crate) fn encode(&self, keys: &SlotKeys) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = match self.state {
            SlotState::Live => 1,
            SlotState::Erased => 2,
        };
        bytes[5] = self.purpose.tag();
        bytes[8..12].copy_from_slice(&self.dek_version.0.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.kek_version.0.to_be_bytes());
        bytes[16..32].copy_from_slice(&self.pseudonym.0);
        bytes[32..44].copy_from_slice(&self.nonce);
        bytes[44..92].copy_from_slice(&self.wrapped);
        bytes[92..100].copy_from_slice(&self.number.to_be_bytes());
        let mac = keys.mac.sign(&[&bytes[..MAC_AT]]);
        bytes[MAC_AT..CRC_AT].copy_from_slice(&mac[..CRC_AT - MAC_AT]);
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads the slot at place `number`; `None` when it is empty.
    ///
    /// # Errors
    /// [`SlotFault::Checksum`], [`SlotFault::Format`] or [`SlotFault::Moved`].
    pub fn parse(number: u64, bytes: &[u8; SLOT_BYTES]) -> Result<Option<Self>, SlotFault> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if crc32c::crc32c(&bytes[..CRC_AT]).to_be_bytes() != bytes[CRC_AT..] {
            return Err(SlotFault::Checksum);
        }
        let state = match bytes[4] {
            1 => SlotState::Live,
            2 => SlotState::Erased,
            _ => return Err(SlotFault::Format),
        };
        let purpose = Purpose::from_tag(bytes[5]).ok_or(SlotFault::Format)?;
        if bytes[..4] != MAGIC || bytes[6..8] != [0; 2] || bytes[100..MAC_AT] != [0; 8] {
            return Err(SlotFault::Format);
        }
        let slot = Self {
            state,
            purpose,
            dek_version: DekVersion(u32::from_be_bytes(array(&bytes[8..12]))),
            kek_version: KekVersion(u32::from_be_bytes(array(&bytes[12..16]))),
            pseudonym: Pseudonym(array(&bytes[16..32])),
            number: u64::from_be_bytes(array(&bytes[92..100])),
            nonce: array(&bytes[32..44]),
            wrapped: array(&bytes[44..92]),
        };
        if slot.number == number { Ok(Some(slot)) } else { Err(SlotFault::Moved { number: slot.number }) }
    }

    /// Whether `bytes`, from which this slot was read, carry the MAC of `keys`.
    pub(crate) fn authenticate(&self, bytes: &[u8; SLOT_BYTES], keys: &SlotKeys) -> Result<(), SlotFault> {
        let mac = keys.mac.sign(&[&bytes[..MAC_AT]]);
        if ct_eq(&mac[..CRC_AT - MAC_AT], &bytes[MAC_AT..CRC_AT]) { Ok(()) } else { Err(SlotFault::Mac) }
    }
}

/// A copy of a slice whose length the caller has already fixed.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
