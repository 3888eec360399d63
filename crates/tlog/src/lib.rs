//! A transparency log as an engine: Merkle tree, tiles, signed checkpoints, proofs, receipts and the offline audit.
//!
//! The formats are the public C2SP ones (tlog-tiles, signed-note, tlog-checkpoint, tlog-proof) over RFC 6962 trees, so
//! that logs can be verified with software written by others. Sans-IO: bytes come from a `TileSource`, go to the
//! caller, and nothing here opens a file, asks the time or keeps global state.

mod bundle;
mod frontier;
mod hash;
#[cfg(test)]
mod oracle;
mod source;
mod tile;
mod writer;

pub use self::{
    bundle::{BundleCutShort, BundleEntries, EntryTooLong},
    frontier::{Frontier, FrontierMismatch},
    hash::{HASH_BYTES, Hash, empty_root, leaf_hash, node_hash},
    source::{ReadError, TileSource, read_entry},
    tile::{
        BUNDLE_BYTES_MAX, ENTRY_BYTES_MAX, TILE_BYTES, TILE_WIDTH, TREE_SIZE_MAX, TileId, TileKind,
        tiles_between, tiles_of,
    },
    writer::{TileFile, TileWriter},
};
