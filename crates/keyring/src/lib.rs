//! The key hierarchy: KEK file, one data key (DEK) per subject, sealed payloads, pseudonyms, erasure.
//!
//! ```text
//! KEK file (beside the data directory)      1 or 2 versions, newest is current
//!   └─ wraps ─> key table (fixed 128-byte slots)
//!                 ├─ slot: pseudonym key     Subject ── HMAC-SHA256, 16 bytes ──> Pseudonym
//!                 └─ slot: DEK of a subject  HKDF-SHA-512 ──> K_enc, commitment C
//!                                              └─ seals ─> payloads
//! ```
//!
//! An engine: no clock, file or socket; random bytes are arguments; operations on the key table return the bytes
//! the caller has to write. Not an access control: whoever holds the KEK file and the table can open everything
//! that was not erased.
//!
//! Losing the KEK file loses every payload. Erasing a subject overwrites its slot; afterwards its payloads are
//! noise, while the journal's hashes over the ciphertext still hold.

mod dek;
mod kek;
mod slot;
mod table;

pub use self::{
    dek::{Dek, SEAL_OVERHEAD_BYTES, UnsealError},
    kek::{Kek, KekFile, KekFileError, KekVersion},
    slot::{Purpose, SLOT_BYTES, Slot, SlotFault, SlotState},
    table::{DEKS_CACHED_MAX, KeyError, KeyRandom, KeyTable, SLOTS_MAX, SlotProblem, SlotWrite, TableError},
};

use std::fmt;

/// Which DEK of a subject; counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DekVersion(pub u32);

impl DekVersion {
    /// The first DEK of a subject.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for DekVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What stands for a subject in clear text: a keyed hash, the same for the same subject as long as the key table
/// lives, and meaningless without its pseudonym key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pseudonym(pub [u8; 16]);

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
