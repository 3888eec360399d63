//! A transparency log as an engine: Merkle tree, tiles, signed checkpoints, proofs, receipts and the offline audit.
//!
//! The formats are the public C2SP ones (tlog-tiles, signed-note, tlog-checkpoint, tlog-proof) over RFC 6962 trees, so
//! that logs can be verified with software written by others. Sans-IO: bytes come from a `TileSource`, go to the
//! caller, and nothing here opens a file, asks the time or keeps global state.

mod audit;
mod bundle;
mod checkpoint;
mod frontier;
mod hash;
mod note;
#[cfg(test)]
mod oracle;
mod proof;
mod receipt;
mod source;
mod tile;
mod writer;

pub use self::{
    audit::{Audit, AuditError, Fault},
    bundle::{BundleCutShort, BundleEntries, EntryTooLong},
    checkpoint::{CHECKPOINT_PATH, Checkpoint, CheckpointError},
    frontier::{Frontier, FrontierMismatch},
    hash::{HASH_BYTES, Hash, empty_root, leaf_hash, node_hash},
    note::{
        KeyError, NOTE_BYTES_MAX, Note, NoteError, NoteSignature, NoteSigner, NoteVerifier, SIGNATURES_MAX,
    },
    proof::{
        INCLUSION_HASHES_MAX, ProofError, ProveError, consistency_proof, inclusion_proof, root_at,
        verify_consistency, verify_inclusion,
    },
    receipt::{RECEIPT_BYTES_MAX, Receipt, ReceiptError},
    source::{ReadError, TileSource, read_entry},
    tile::{
        BUNDLE_BYTES_MAX, ENTRY_BYTES_MAX, TILE_BYTES, TILE_WIDTH, TREE_SIZE_MAX, TileId, TileKind,
        tiles_between, tiles_of,
    },
    writer::{TileFile, TileWriter},
};
