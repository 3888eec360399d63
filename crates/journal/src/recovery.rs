//! Opening: the same path after a clean shutdown and after a crash.
//!
//! 1. Take the lock, read KEK file and key table (or make the table).
//! 2. Scan all segments. Damage ends here, before anything was changed.
//! 3. Cut off what was never acknowledged; make everything that is left durable.
//! 4. Finish what a crash interrupted: an erasure, a rotation of the KEK, the begin of a segment.
//! 5. Record what was done.

use std::{io, sync::Arc};

use crypto::Sha256;
use domain::Clock;
use keyring::{KekFile, KekFileError, KekVersion, KeyTable, Pseudonym, SlotState, TableError};
use parking_lot::{Mutex, RwLock};
use tlog::{Frontier, Hash};

use crate::{
    AppendError, Journal,
    append::Queue,
    disk::{self, Disk, DiskFile},
    entry::Kind,
    kek_store::KekStore,
    keys::{self, RotateError},
    layout::{JOURNAL_DIR, KEY_TABLE, KEYS_DIR, LOCK},
    log::{Config, Shared},
    record,
    scan::{KeyView, Options, Scan, scan},
    segment::{Segment, SegmentHeader, SegmentState},
    verify::{KEY_TABLE_BYTES_MAX, Tail},
    watch::Published,
    writer::{Nonces, Pseudonyms, Writer, fresh_key, write_slots},
};

/// Bytes of a discarded tail that are kept in the report.
const DISCARDED_HEAD_BYTES: usize = 64 * 1024;

/// Why the journal does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file is damaged, or entries that were durable are missing. Nothing was changed.
    #[error("{file} is damaged at byte {offset}{}: {what}", seq.map_or_else(String::new, |seq| format!(", entry {seq}")))]
    Corrupt {
        /// Path within the data directory.
        file: String,
        /// Where the damaged frame, header or slot begins.
        offset: u64,
        /// Which entry stands or should stand there.
        seq: Option<u64>,
        /// What is wrong.
        what: String,
    },
    /// The storage reports an error.
    #[error("{what} failed")]
    Io {
        /// What was done.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// The KEK file is damaged.
    #[error("KEK file is unusable")]
    Kek {
        /// The cause.
        #[from]
        source: KekFileError,
    },
    /// The KEK file cannot be read.
    #[error("KEK file cannot be read")]
    KekUnavailable {
        /// The cause.
        source: io::Error,
    },
    /// Another process has the journal open.
    #[error("another process has this data directory open")]
    Locked,
    /// What recovery did could not be recorded.
    #[error("recovery could not be recorded")]
    Record {
        /// The cause.
        #[from]
        source: AppendError,
    },
}

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the journal was made just now.
    pub created: bool,
    /// Whether it had been shut down cleanly.
    pub clean: bool,
    /// Entries, those that record the recovery included.
    pub size: u64,
    /// Merkle root over them.
    pub root: Hash,
    /// What a crash had left behind the last good frame: never acknowledged, now cut off.
    pub discarded: Option<Discarded>,
    /// Subjects whose recorded erasure the key table lacked, as after a restore; erased again.
    pub erasures_repeated: u64,
    /// A rotation of the KEK that a crash had interrupted: the version it has now been finished to.
    pub rotation_finished: Option<KekVersion>,
}

/// A tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// Which file, where in it and before which entry.
    pub tail: Tail,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// The bytes themselves, up to 64 KiB.
    pub head: Vec<u8>,
}

/// What has to be recorded once the writer runs.
pub(crate) struct Unrecorded {
    erased: Vec<Pseudonym>,
    rotation: Option<(KekFile, u64, bool)>,
}

pub(crate) struct Recovered {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) recovery: Recovery,
    pub(crate) unrecorded: Unrecorded,
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> OpenError {
    let what = what.into();
    move |source| OpenError::Io { what, source }
}

pub(crate) fn recover(
    config: Config,
    disk: Arc<dyn Disk>,
    kek: Arc<dyn KekStore>,
    clock: Arc<dyn Clock>,
) -> Result<Recovered, OpenError> {
    let lock = disk.lock(LOCK).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => OpenError::Io { what: format!("locking {LOCK}"), source },
    })?;
    let keks = KekFile::parse(kek.load().map_err(|source| OpenError::KekUnavailable { source })?.expose())?;
    for dir in [JOURNAL_DIR, KEYS_DIR] {
        disk.create_dir(dir).map_err(io_error(format!("making {dir}")))?;
    }
    disk.sync_dir("").map_err(io_error("syncing the data directory"))?;
    let fresh = disk.list(JOURNAL_DIR).map_err(io_error(format!("listing {JOURNAL_DIR}")))?.is_empty();
    let (mut table, key_file) = open_table(&*disk, &keks, fresh)?;

    let options = Options { attested: config.attested, open_payloads: false, stop_at_fault: true };
    let mut found =
        scan(&*disk, KeyView::Table(&mut table), options).map_err(io_error("reading the journal"))?;
    if let Some(fault) = found.faults.first() {
        return Err(OpenError::Corrupt {
            file: fault.file.clone(),
            offset: fault.offset,
            seq: fault.seq,
            what: fault.kind.to_string(),
        });
    }
    let Some(frontier) = found.frontier.take() else {
        // Only a fault makes the tree unknowable, and faults have ended the scan above.
        return Err(corrupt(JOURNAL_DIR, "the Merkle tree is unknown"));
    };
    let created = found.segments.is_empty() && found.unfinished.is_none();
    if found.segments.is_empty() && table.live() > 0 {
        return Err(corrupt(JOURNAL_DIR, "the key table is in use but there are no segments"));
    }

    let discarded = cut_tail(&*disk, &found)?;
    let segments = adopt_segments(&*disk, &found, &frontier)?;
    let Some(segment) = segments.last().cloned() else {
        return Err(corrupt(JOURNAL_DIR, "there are no segments"));
    };

    let erasures_repeated = repeat_erasures(&mut table, &*key_file, &found)?;
    let erased = table.erased_pseudonyms().filter(|erased| !found.erased.contains(erased)).collect();
    let tail = segment.state.read().len;
    let (size, root) = (frontier.size(), frontier.root());
    let shared = Arc::new(Shared {
        config,
        disk,
        clock,
        kek,
        key_file: Mutex::new(key_file),
        keys: Mutex::new(table),
        queue: Queue::default(),
        published: Arc::new(Published::new(size, root)),
        segments: RwLock::new(segments),
        rotation: Mutex::new(()),
    });
    let mut rotation = None;
    if keks.previous().is_some() {
        let rows = keys::rewrap_all(&shared, &mut |_, _| {}).map_err(rotate_error)?;
        let recorded = found.rotated_to == Some(keks.current().version().0);
        rotation = Some((keks, rows, recorded));
    }
    let writer = Writer {
        shared: Arc::clone(&shared),
        lock,
        frontier,
        last_at: found.last_at,
        segment,
        tail,
        nonces: Nonces::new(),
        pseudonyms: Pseudonyms::default(),
        second: None,
    };
    let recovery = Recovery {
        created,
        clean: found.closed || created,
        size,
        root,
        discarded,
        erasures_repeated,
        rotation_finished: None,
    };
    Ok(Recovered { shared, writer, recovery, unrecorded: Unrecorded { erased, rotation } })
}

fn corrupt(file: &str, what: &str) -> OpenError {
    OpenError::Corrupt { file: file.to_owned(), offset: 0, seq: None, what: what.to_owned() }
}

fn rotate_error(error: RotateError) -> OpenError {
    match error {
        RotateError::Kek { source } => OpenError::Io { what: "saving the KEK file".to_owned(), source },
        RotateError::Table { source } => OpenError::Io { what: format!("rewrapping {KEY_TABLE}"), source },
        RotateError::Key { source } => corrupt(KEY_TABLE, &source.to_string()),
        other => corrupt(KEY_TABLE, &other.to_string()),
    }
}

/// Loads the key table; makes it where there is neither journal nor table.
fn open_table(
    disk: &dyn Disk,
    keks: &KekFile,
    fresh: bool,
) -> Result<(KeyTable, Arc<dyn DiskFile>), OpenError> {
    let named = || io_error(format!("reading {KEY_TABLE}"));
    let existing = match disk::read(disk, KEY_TABLE, KEY_TABLE_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(named()(error)),
    };
    // A crash while the journal was being made may have left a table without content.
    let blank = existing.as_ref().is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0));
    if fresh && blank {
        let making = || io_error(format!("making {KEY_TABLE}"));
        let file = match existing {
            Some(_) => disk.open(KEY_TABLE),
            None => disk.create(KEY_TABLE),
        }
        .map_err(making())?;
        let (table, write) = KeyTable::create(keks, &fresh_key());
        file.set_len(0).map_err(making())?;
        write_slots(&*file, &[write]).map_err(making())?;
        disk.sync_dir(KEYS_DIR).map_err(making())?;
        return Ok((table, file));
    }
    let Some(bytes) = existing else {
        return Err(corrupt(KEY_TABLE, "the key table is missing"));
    };
    let table = KeyTable::load(&bytes, keks, false).map_err(|error| match error {
        TableError::Damaged(problems) => {
            let (slot, what) = problems.first().map_or((0, String::new()), |problem| {
                (problem.slot, format!("slot {} {}", problem.slot, problem.fault))
            });
            OpenError::Corrupt {
                file: KEY_TABLE.to_owned(),
                offset: (slot * keyring::SLOT_BYTES) as u64,
                seq: None,
                what,
            }
        }
        other => corrupt(KEY_TABLE, &other.to_string()),
    })?;
    let file = disk.open(KEY_TABLE).map_err(named())?;
    // Slots written just before a kill are visible but perhaps not durable.
    file.sync().map_err(named())?;
    disk.sync_dir(KEYS_DIR).map_err(named())?;
    Ok((table, file))
}

/// Cuts off what was never acknowledged.
fn cut_tail(disk: &dyn Disk, found: &Scan) -> Result<Option<Discarded>, OpenError> {
    if let Some(path) = &found.unfinished {
        let named = || io_error(format!("removing the unfinished {path}"));
        disk.remove(path).map_err(named())?;
        disk.sync_dir(JOURNAL_DIR).map_err(named())?;
    }
    let Some(tail) = &found.tail else { return Ok(None) };
    let named = || io_error(format!("cutting {}", tail.file));
    let file = disk.open(&tail.file).map_err(named())?;
    let mut hasher = Sha256::new();
    let mut head = Vec::new();
    let mut chunk = vec![0; DISCARDED_HEAD_BYTES];
    let mut offset = tail.offset;
    loop {
        let read = file.read_at(offset, &mut chunk).map_err(named())?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        if head.is_empty() {
            head.extend_from_slice(&chunk[..read]);
        }
        offset += read as u64;
    }
    file.set_len(tail.offset).map_err(named())?;
    file.sync().map_err(named())?;
    Ok(Some(Discarded { tail: tail.clone(), sha256: hasher.finish(), head }))
}

/// Makes what was found durable, and sees that there is a segment to write to.
fn adopt_segments(
    disk: &dyn Disk,
    found: &Scan,
    frontier: &Frontier,
) -> Result<Vec<Arc<Segment>>, OpenError> {
    let mut segments: Vec<Arc<Segment>> = found
        .segments
        .iter()
        .map(|scanned| {
            Arc::new(Segment {
                first_seq: scanned.first_seq,
                path: scanned.path.clone(),
                file: Arc::clone(&scanned.file),
                state: RwLock::new(SegmentState {
                    entries: scanned.entries,
                    len: scanned.len,
                    sealed: scanned.sealed,
                    index: scanned.index.clone(),
                }),
            })
        })
        .collect();
    if let Some(last) = segments.last() {
        // Frames a killed process had written but not synced are kept, so they must become durable now.
        last.file.sync().map_err(io_error(format!("syncing {}", last.path)))?;
        disk.sync_dir(JOURNAL_DIR).map_err(io_error(format!("syncing {JOURNAL_DIR}")))?;
    }
    if segments.last().is_none_or(|last| last.state.read().sealed) {
        let header = SegmentHeader { first_seq: frontier.size(), root: frontier.root() };
        let what = format!("making the segment at entry {}", header.first_seq);
        segments.push(Segment::create(disk, &header).map_err(io_error(what))?);
    }
    Ok(segments)
}

/// Erases again what the journal says was erased: a key table restored from a backup may be older.
fn repeat_erasures(table: &mut KeyTable, file: &dyn DiskFile, found: &Scan) -> Result<u64, OpenError> {
    let mut writes = Vec::new();
    for pseudonym in &found.erased {
        if table.state(pseudonym) == Some(SlotState::Live) {
            writes.extend(table.erase(pseudonym));
        }
    }
    if !writes.is_empty() {
        write_slots(file, &writes).map_err(io_error(format!("erasing in {KEY_TABLE}")))?;
    }
    Ok(writes.len() as u64)
}

/// Records what recovery did, and ends a rotation that was interrupted.
pub(crate) fn record(
    journal: &Journal,
    recovery: &mut Recovery,
    unrecorded: Unrecorded,
) -> Result<(), OpenError> {
    let shared = journal.shared();
    let mut drafts = Vec::new();
    if let Some(Discarded { tail, sha256, .. }) = &recovery.discarded {
        let hash: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let detail = format!(
            "cut {} unacknowledged bytes off {} at byte {}, before entry {}; sha256 {hash}",
            tail.bytes, tail.file, tail.offset, tail.seq
        );
        let payload = record::Lifecycle {
            what: record::LifecycleEvent::Recovered,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            detail,
        };
        drafts.push(shared.system_draft(Kind::Lifecycle, payload.encode()));
    }
    for pseudonym in unrecorded.erased {
        let payload = record::SubjectErased { pseudonym };
        drafts.push(shared.system_draft(Kind::SubjectErased, payload.encode()));
    }
    if let Some((keks, rows, false)) = &unrecorded.rotation {
        let from = keks.previous().map_or(0, |kek| kek.version().0);
        let payload = record::KekRotated { from, to: keks.current().version().0, rows: *rows };
        drafts.push(shared.system_draft(Kind::KekRotated, payload.encode()));
    }
    for chunk in drafts.chunks(crate::append::APPEND_DRAFTS_MAX) {
        journal.append(chunk.to_vec()).wait()?;
    }
    if let Some((keks, _, _)) = unrecorded.rotation {
        keys::retire_previous(shared, &keks).map_err(rotate_error)?;
        recovery.rotation_finished = Some(keks.current().version());
    }
    (recovery.size, recovery.root) = journal.tree();
    Ok(())
}
