//! A transparency log as an engine: Merkle tree, tiles, signed checkpoints, proofs, receipts and the offline audit.
//!
//! The formats are the public C2SP ones (tlog-tiles, signed-note, tlog-checkpoint, tlog-proof) over RFC 6962 trees, so
//! that logs can be verified with software written by others. Sans-IO: bytes come from a `TileSource`, go to the
//! caller, and nothing here opens a file, asks the time or keeps global state.

mod frontier;
mod hash;
#[cfg(test)]
mod oracle;

pub use self::{
    frontier::{Frontier, FrontierMismatch},
    hash::{HASH_BYTES, Hash, empty_root, leaf_hash, node_hash},
};
