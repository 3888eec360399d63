//! Backups that prove they restore.
//!
//! [`Shipper`] copies the sealed journal, byte for byte and only as far as it is durable, to a target directory,
//! together with the key table and the few files a start needs. [`restore()`] rebuilds a data directory from the
//! target and [`drill()`] rehearses that: it restores into an empty place, lets the product rebuild all derived
//! state there, and compares it with the live installation.
//!
//! It never holds a plaintext or a key-encryption key: what it ships is sealed already, and the key table is
//! wrapped. The target therefore shows sizes, times and pseudonyms, nothing else. An erased subject's key is gone
//! from the target with the next shipment, since the key table is replaced and the old one removed.
//!
//! Target layout:
//!
//! ```text
//! MANIFEST                  what belongs together, written last (see [`Manifest`])
//! journal/<first seq>.seg   segments, appended to
//! files/<sha256>            everything else, by content
//! ```

mod drill;
mod manifest;
mod restore;
mod ship;

pub use self::{
    drill::{Difference, Drill, DrillError, Installation, StateDigest, drill},
    manifest::{FileLine, MANIFEST, Manifest, ManifestError, SegmentLine},
    restore::{RestoreError, restore},
    ship::{Durable, ShipError, Shipped, Shipper, Source, SourceFile},
};

#[cfg(test)]
mod tests;
