//! The handle: open, append, read, follow, close.

use std::{sync::Arc, thread::JoinHandle};

use domain::{Clock, Subject, UnixNanos};
use keyring::{KeyError, KeyTable, Pseudonym};
use parking_lot::{Mutex, RwLock};
use tlog::Hash;

use crate::{
    append::{Draft, Pending, Queue},
    disk::{Disk, DiskFile},
    entry::{Entry, EntryRef},
    kek_store::KekStore,
    reader::{Opened, ReadError, Reader},
    recovery::{self, OpenError, Recovery},
    segment::Segment,
    watch::{Beyond, Published},
};

/// How the journal is kept.
///
/// # Defaults
/// - `segment_bytes_max`: 64 MiB.
/// - `attested`: none.
#[derive(Debug, Clone)]
pub struct Config {
    /// A segment of at least this many bytes is sealed and a new one begun. A segment exceeds it by at most one
    /// batch.
    pub segment_bytes_max: u64,
    /// What a signed checkpoint says was durable, if there is one. Anything missing or different below it is
    /// damage, also where it could pass for a torn tail.
    pub attested: Option<Attested>,
}

impl Default for Config {
    fn default() -> Self {
        Self { segment_bytes_max: 64 * 1024 * 1024, attested: None }
    }
}

/// A state of the journal that somebody vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attested {
    /// Number of entries.
    pub size: u64,
    /// Merkle root over them, where known.
    pub root: Option<Hash>,
}

/// Whether the journal takes entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Running,
    /// It was closed.
    Closed,
    /// The storage failed; nothing acknowledged is lost; open again to recover.
    Failed {
        /// What failed.
        reason: Arc<str>,
    },
}

/// A segment, for backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Path within the data directory.
    pub path: String,
    /// Sequence number of its first entry.
    pub first_seq: u64,
    /// Entries in it that are durable.
    pub entries: u64,
    /// Bytes of it that are durable. Up to here the file does not change any more.
    pub len_durable: u64,
    /// Whether it is complete.
    pub sealed: bool,
}

/// What handle, writer and readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) kek: Arc<dyn KekStore>,
    /// Held for as long as it takes to write and sync slots computed from `keys`. Locked before `keys`, so that
    /// slots reach the file in the order they were computed.
    pub(crate) key_file: Mutex<Arc<dyn DiskFile>>,
    pub(crate) keys: Mutex<KeyTable>,
    pub(crate) queue: Queue,
    pub(crate) published: Arc<Published>,
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    /// Held by the one rotation that runs.
    pub(crate) rotation: Mutex<()>,
}

impl Shared {
    /// Stops the journal for good: nothing is known about writes under way.
    pub(crate) fn fail(&self, reason: &Arc<str>) {
        self.published.stop(Health::Failed { reason: Arc::clone(reason) });
        self.queue.fail(reason);
    }

    /// A draft of the journal's own, now.
    pub(crate) fn system_draft(&self, kind: crate::Kind, payload: Vec<u8>) -> Draft {
        Draft { at: self.clock.now(), subject: Subject::System, kind, payload }
    }
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    fn close(&self) {
        self.shared.queue.close();
        // Held until the writer has ended, so that a second caller waits as well.
        let mut writer = self.writer.lock();
        if let Some(thread) = writer.take() {
            // If it panicked, its alarm has failed the journal already.
            drop(thread.join());
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// The open journal. Cheap to clone; when the last clone goes, it is closed.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Handle>);

impl Journal {
    /// Opens the journal in a data directory, or makes one; recovers what a crash left.
    ///
    /// Reads and checks every entry: about a second for a million. Blocks; not for use on an async worker thread.
    ///
    /// # Errors
    /// [`OpenError`]. [`OpenError::Corrupt`] names the damage; nothing was changed then.
    pub fn open(
        config: Config,
        disk: Arc<dyn Disk>,
        kek: Arc<dyn KekStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), OpenError> {
        let opened = recovery::recover(config, disk, kek, clock)?;
        let shared = Arc::clone(&opened.shared);
        let writer = opened.writer;
        let thread = std::thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { what: "start of the writer".to_owned(), source })?;
        let journal = Self(Arc::new(Handle { shared, writer: Mutex::new(Some(thread)) }));
        let mut report = opened.recovery;
        recovery::record(&journal, &mut report, opened.unrecorded)?;
        Ok((journal, report))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Puts drafts in line to be written together, in order. Never blocks.
    ///
    /// Resolves once all are durable; until then none is visible to readers. Whatever waits at the same time is
    /// made durable by one sync.
    pub fn append(&self, drafts: Vec<Draft>) -> Pending {
        self.0.shared.queue.push(drafts)
    }

    /// Number of durable entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree().0
    }

    /// Merkle root over all durable entries (RFC 6962).
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tree().1
    }

    /// Size and root of the same moment.
    #[must_use]
    pub fn tree(&self) -> (u64, Hash) {
        self.0.shared.published.tree()
    }

    /// Resolves to the size as soon as more than `size` entries are durable.
    pub fn wait_beyond(&self, size: u64) -> Beyond {
        Beyond::new(Arc::clone(&self.0.shared.published), size)
    }

    /// Whether entries are taken.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.shared.published.health()
    }

    /// Reads durable entries from `from_seq` on. At the end it yields `None`; asked again later it goes on with
    /// what has become durable since.
    #[must_use]
    pub fn reader(&self, from_seq: u64) -> Reader {
        Reader::new(Arc::clone(&self.0.shared), from_seq)
    }

    /// One entry; `None` if it is not (yet) durable. Reads up to 256 frames.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn entry(&self, seq: u64) -> Result<Option<Entry>, ReadError> {
        if seq >= self.size() {
            return Ok(None);
        }
        self.reader(seq).next().transpose()
    }

    /// Opens an entry's payload.
    ///
    /// # Errors
    /// [`ReadError::Payload`] if it does not open although its key is there.
    pub fn open_payload(&self, entry: &Entry) -> Result<Opened, ReadError> {
        let mut payload = Vec::new();
        Ok(if self.open_payload_into(&entry.as_ref(), &mut payload)? {
            Opened::Payload(payload)
        } else {
            Opened::Erased
        })
    }

    /// As [`Journal::open_payload`], into a buffer that is reused; `false` if the subject was erased.
    ///
    /// # Errors
    /// As [`Journal::open_payload`].
    pub fn open_payload_into(&self, entry: &EntryRef<'_>, payload: &mut Vec<u8>) -> Result<bool, ReadError> {
        payload.clear();
        let dek = self.0.shared.keys.lock().dek(&entry.pseudonym);
        match dek {
            Err(KeyError::Erased) => Ok(false),
            Err(source) => Err(ReadError::Key { seq: entry.seq, source }),
            Ok(dek) => dek
                .open(entry.aad, entry.sealed, payload)
                .map(|()| true)
                .map_err(|source| ReadError::Payload { seq: entry.seq, source }),
        }
    }

    /// The pseudonym under which a subject's entries are recorded.
    #[must_use]
    pub fn pseudonym(&self, subject: &Subject) -> Pseudonym {
        self.0.shared.keys.lock().pseudonym(subject)
    }

    /// Whether the subject's key was erased: nothing more can be recorded about it.
    #[must_use]
    pub fn is_erased(&self, subject: &Subject) -> bool {
        let mut keys = self.0.shared.keys.lock();
        let pseudonym = keys.pseudonym(subject);
        matches!(keys.dek(&pseudonym), Err(KeyError::Erased))
    }

    /// All segments, oldest first, as they are now.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let segments = self.0.shared.segments.read().clone();
        segments
            .iter()
            .map(|segment| {
                let state = segment.state.read();
                SegmentInfo {
                    path: segment.path.clone(),
                    first_seq: segment.first_seq,
                    entries: state.entries,
                    len_durable: state.len,
                    sealed: state.sealed,
                }
            })
            .collect()
    }

    /// The storage the journal is on, for those who keep files beside it.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.0.shared.disk
    }

    /// The time by the journal's clock.
    #[must_use]
    pub fn now(&self) -> UnixNanos {
        self.0.shared.clock.now()
    }

    /// Takes nothing more in, writes what is in line, closes the files. Blocks until done; may be called again.
    ///
    /// # Errors
    /// [`crate::Stopped::Failed`] if the storage failed, now or earlier: the next open will recover.
    pub fn close(&self) -> Result<(), crate::Stopped> {
        self.0.close();
        match self.health() {
            Health::Failed { reason } => Err(crate::Stopped::Failed { reason }),
            Health::Running | Health::Closed => Ok(()),
        }
    }
}
