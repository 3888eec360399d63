//! The public side of the journal: a transparency log that anybody can verify with software of their own.
//!
//! [`Publisher`] follows the journal and writes tiles and signed checkpoints; [`PublishedLog`] reads them and issues
//! receipts; [`verify()`] checks a log at rest, file by file, and names what is wrong. The formats and the Merkle tree are
//! the engine [`tlog`]'s.
//!
//! Not here: the journal itself, key storage, serving over HTTP. The log holds what the journal's entries hold: envelopes
//! and sealed payloads, never anything in clear.

mod log;
mod publish;
mod publishing;
mod source;
mod verify;

pub use self::{
    log::{CheckpointReadError, LOG_DIR, PublishedLog, ReceiptError, VKEY_PATH},
    publish::{LogSource, PublishError, Published, Publisher},
    publishing::{Publishing, Status},
    source::{DirSource, DiskSource},
    verify::{FAULTS_MAX, LogFault, Report, VerifyError, verify, verify_files},
};
