//! Reading the published log of this installation: its checkpoint, its files, receipts.

use std::{io, sync::Arc};

use journal::{Attested, disk::Disk};
use tlog::{
    CHECKPOINT_PATH, Checkpoint, CheckpointError, NoteVerifier, ProofError, ProveError, ReadError, Receipt,
    TileSource, inclusion_proof, leaf_hash, read_entry, verify_inclusion,
};

use crate::source::DiskSource;

/// Directory of the log within the data directory.
pub const LOG_DIR: &str = "log";
/// Path of the verifier key below the log directory. For convenience: who verifies should have it from elsewhere.
pub const VKEY_PATH: &str = "vkey";

/// Why there is no checkpoint to speak of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointReadError {
    /// The checkpoint is damaged, forged, or of another log.
    #[error("{LOG_DIR}/{CHECKPOINT_PATH} is not a valid checkpoint of this log")]
    Invalid(#[from] CheckpointError),
    /// The storage failed.
    #[error("{LOG_DIR}/{CHECKPOINT_PATH} cannot be read")]
    Io(#[from] io::Error),
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointReadError),
    /// The log on disk is damaged: what it holds does not lead to the root of the checkpoint.
    #[error("log is damaged: entry {seq} is not proven by it")]
    Damaged {
        /// Sequence number of the entry.
        seq: u64,
        /// What the proof says.
        source: ProofError,
    },
    /// The entry is not covered by a checkpoint yet; ask again after the next one.
    #[error("entry {seq} is not published yet, the log has {size}")]
    NotPublished {
        /// Sequence number of the entry.
        seq: u64,
        /// Entries published.
        size: u64,
    },
    /// A file of the log is missing or malformed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The published log, for readers. Cheap to clone; may be used while a [`Publisher`](crate::Publisher) writes.
#[derive(Debug, Clone)]
pub struct PublishedLog {
    disk: Arc<dyn Disk>,
    verifier: NoteVerifier,
}

impl PublishedLog {
    /// The log in `DATA_DIR/log`, where `disk` is the data directory.
    #[must_use]
    pub const fn new(disk: Arc<dyn Disk>, verifier: NoteVerifier) -> Self {
        Self { disk, verifier }
    }

    /// The public key of the log.
    #[must_use]
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// A file of the log by its path below the prefix (`checkpoint`, `tile/0/000`), as it would be served; none if
    /// there is no such file. Only paths that a log can have are looked up, so that any text from outside is safe.
    ///
    /// # Errors
    /// As the storage reports.
    pub fn file(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        if path == CHECKPOINT_PATH || path == VKEY_PATH || tlog::TileId::parse(path).is_some() {
            self.source().read(path)
        } else {
            Ok(None)
        }
    }

    /// The checkpoint, verified, and its text; none before the first publication.
    ///
    /// # Errors
    /// [`CheckpointReadError`].
    pub fn checkpoint(&self) -> Result<Option<(Checkpoint, String)>, CheckpointReadError> {
        let Some(bytes) = self.source().read(CHECKPOINT_PATH)? else { return Ok(None) };
        let checkpoint = Checkpoint::open(&bytes, &self.verifier)?;
        // A note is valid UTF-8, else it would not have opened.
        Ok(Some((checkpoint, String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// What the journal must contain when it is opened: the entries that the checkpoint commits to. Damage below this
    /// size is corruption, never a torn tail.
    ///
    /// # Errors
    /// [`CheckpointReadError`].
    pub fn attested(&self) -> Result<Option<Attested>, CheckpointReadError> {
        let checkpoint = self.checkpoint()?;
        Ok(checkpoint.map(|(checkpoint, _)| Attested { size: checkpoint.size, root: Some(checkpoint.root) }))
    }

    /// The receipt of entry `seq`: with it and the entry anybody can check offline that the log contains the entry.
    /// Reads at most two tiles per level and one bundle.
    ///
    /// # Errors
    /// [`ReceiptError`]. A receipt that does not verify is never returned.
    pub fn receipt(&self, seq: u64) -> Result<Receipt, ReceiptError> {
        let Some((checkpoint, text)) = self.checkpoint()? else {
            return Err(ReceiptError::NotPublished { seq, size: 0 });
        };
        let (size, root) = (checkpoint.size, checkpoint.root);
        if seq >= size {
            return Err(ReceiptError::NotPublished { seq, size });
        }
        let source = self.source();
        let proof = match inclusion_proof(&source, seq, size) {
            Ok(proof) => proof,
            Err(ProveError::Read(error)) => return Err(error.into()),
            Err(_) => return Err(ReceiptError::NotPublished { seq, size }),
        };
        let entry = read_entry(&source, seq, size)?;
        verify_inclusion(seq, size, leaf_hash(&entry), &proof, root)
            .map_err(|source| ReceiptError::Damaged { seq, source })?;
        Ok(Receipt { extra: None, index: seq, proof, checkpoint: text })
    }

    fn source(&self) -> DiskSource<'_> {
        DiskSource::new(&*self.disk, LOG_DIR)
    }
}
