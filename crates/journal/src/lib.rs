//! The journal: an append-only, sealed, Merkle-hashed log of what happened and what was decided. The one ground
//! state; everything else is a fold over it.
//!
//! [`Journal`] is the handle. An append is acknowledged when it is durable; a reader sees durable entries only.
//! Entries are sealed per subject under keys of the [`keyring`]; erasing a subject destroys its key and leaves the
//! hashes valid. Damage is found, named and never skipped; only a tail that was never acknowledged is cut off when
//! opening after a crash.
//!
//! Not a database: there is no lookup but by sequence number. Not a queue: readers keep their own place.
//!
//! - [`Disk`](disk::Disk): the port to files, with a real and a simulated implementation.
//! - [`record`]: codecs of the payloads the journal's own crate knows; to the log itself payloads are opaque.
//! - [`verify()`]: checks a journal at rest, with or without keys.
//!
//! The byte layout is drawn in `docs/internals/journal.md`; the schema of entries is `docs/journal.cddl`.

mod append;
mod batch;
mod cbor;
pub mod disk;
mod entry;
mod frame;
mod kek_store;
mod keys;
mod layout;
mod log;
mod reader;
pub mod record;
mod recovery;
mod scan;
mod second;
mod segment;
mod verify;
mod watch;
mod writer;

pub use self::{
    append::{AppendError, Appended, Draft, Pending},
    entry::{ENTRY_BYTES_MAX, Entry, EntryFault, EntryRef, Kind, PAYLOAD_BYTES_MAX},
    kek_store::{DiskKek, KekStore},
    keys::{EraseError, RotateError, Rotated},
    layout::{JOURNAL_DIR, KEY_TABLE, KEYS_DIR, LOCK},
    log::{Attested, Config, Health, Journal, SegmentInfo},
    reader::{Opened, ReadError, Reader},
    recovery::{Discarded, OpenError, Recovery},
    verify::{Fault, FaultKind, FrameProblem, Tail, Verification, verify},
    watch::{Beyond, Stopped},
};
