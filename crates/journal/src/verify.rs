//! Checking a journal at rest: every byte of segments and key table, with or without keys.
//!
//! Does not need the journal's lock and changes nothing. Beside a running process it may meet a batch that is just
//! being written, and then reports an unacknowledged tail.

use std::{collections::HashMap, io};

use keyring::{KekFile, KeyError, KeyTable, Pseudonym, SLOT_BYTES, SlotFault, SlotState, UnsealError};
use tlog::Hash;

use crate::{
    disk::{self, Disk},
    entry::EntryFault,
    frame::FrameFault,
    layout::{JOURNAL_DIR, KEY_TABLE, KEYS_DIR},
    log::Attested,
    record::RecordError,
    scan::{KeyView, Options, scan},
};

/// Most faults reported; a journal with more has none that matter.
pub(crate) const FAULTS_MAX: usize = 10_000;

/// Largest key table, in bytes.
pub(crate) const KEY_TABLE_BYTES_MAX: u64 = (keyring::SLOTS_MAX * SLOT_BYTES) as u64;

/// What is wrong, in one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// A frame stands behind the footer of a full segment.
    #[error("a frame follows the footer")]
    AfterSeal,
    /// A frame claims more than can have been durable.
    #[error("the frame attests entries that follow it")]
    Attested,
    /// The Merkle root at the attested size is another one.
    #[error("the Merkle root over {size} entries is not the attested one")]
    AttestedRoot {
        /// The attested size.
        size: u64,
    },
    /// A frame's body is no entry.
    #[error("{0}")]
    Entry(EntryFault),
    /// A frame is damaged.
    #[error("{0}")]
    Frame(FrameProblem),
    /// A subject's key is unusable.
    #[error("{0}")]
    Key(KeyError),
    /// No slot has the pseudonym of an entry.
    #[error("the key table has no slot for pseudonym {pseudonym}")]
    KeyMissing {
        /// The pseudonym.
        pseudonym: Pseudonym,
    },
    /// The erasure of a subject is recorded, yet its key is there: the table is older than the journal.
    #[error("the key of erased pseudonym {pseudonym} is present")]
    KeyNotErased {
        /// The pseudonym.
        pseudonym: Pseudonym,
    },
    /// Fewer entries than were attested.
    #[error("only {found} of {attested} attested entries are there")]
    Missing {
        /// Entries that were durable once.
        attested: u64,
        /// Entries found.
        found: u64,
    },
    /// The key table has no pseudonym key.
    #[error("the key table has no pseudonym key")]
    NoPseudonymKey,
    /// A segment that is not the last has no footer.
    #[error("the segment has no footer although another one follows")]
    NotSealed,
    /// A payload does not open although its key is there.
    #[error("{0}")]
    Payload(UnsealError),
    /// A payload of the journal's own opens but is malformed.
    #[error("{0}")]
    Record(RecordError),
    /// Number of entries or Merkle root is not what a segment states.
    #[error("the Merkle root or number of entries is not the one stated")]
    Root,
    /// A segment header is damaged.
    #[error("the segment header is damaged")]
    SegmentHeader,
    /// Entries are missing, repeated or out of order.
    #[error("entry {found} stands where {expected} is due")]
    Sequence {
        /// What should stand there.
        expected: u64,
        /// What does.
        found: u64,
    },
    /// A slot of the key table is damaged.
    #[error("{0}")]
    Slot(SlotFault),
    /// An entry is older than the one before.
    #[error("the entry's time is before that of the entry before it")]
    Time,
    /// A file that does not belong there.
    #[error("the file does not belong to the journal")]
    UnknownFile,
    /// A file cannot be read.
    #[error("cannot be read: {message}")]
    Unreadable {
        /// What the storage reports.
        message: String,
    },
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameProblem {
    /// The body does not match its checksum.
    #[error("the frame's body does not match its checksum")]
    Body,
    /// The header does not match its checksum.
    #[error("the frame's header does not match its checksum")]
    Header,
    /// The header is of an unknown form.
    #[error("the frame's header is of an unknown form")]
    HeaderForm,
    /// The file ends within the frame.
    #[error("the frame is cut short")]
    Short,
}

impl From<FrameFault> for FrameProblem {
    fn from(fault: FrameFault) -> Self {
        match fault {
            FrameFault::BodyChecksum => Self::Body,
            FrameFault::HeaderChecksum => Self::Header,
            FrameFault::HeaderFormat => Self::HeaderForm,
            FrameFault::HeaderShort | FrameFault::BodyShort => Self::Short,
        }
    }
}

/// Damage, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path within the data directory.
    pub file: String,
    /// Where the damaged frame, header or slot begins, in bytes.
    pub offset: u64,
    /// Which entry stands or should stand there.
    pub seq: Option<u64>,
    /// Which slot of the key table.
    pub slot: Option<u64>,
    /// What is wrong.
    pub kind: FaultKind,
}

impl Fault {
    pub(crate) fn of_file(file: String, kind: FaultKind) -> Self {
        Self { file, offset: 0, seq: None, slot: None, kind }
    }

    pub(crate) fn of_slot(slot: usize, kind: FaultKind) -> Self {
        let offset = (slot * SLOT_BYTES) as u64;
        Self { file: KEY_TABLE.to_owned(), offset, seq: None, slot: Some(slot as u64), kind }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.file, self.offset)?;
        if let Some(seq) = self.seq {
            write!(f, ", entry {seq}")?;
        }
        if let Some(slot) = self.slot {
            write!(f, ", slot {slot}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

/// What a crash left behind the last good frame: never acknowledged, cut off when the journal is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Path within the data directory.
    pub file: String,
    /// Where it begins.
    pub offset: u64,
    /// The entry that would have begun there.
    pub seq: u64,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// The result of [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Everything that is wrong, in file order; at most 10,000.
    pub faults: Vec<Fault>,
    /// What a crash left at the end, if anything.
    pub tail: Option<Tail>,
    /// Entries found, damaged ones included.
    pub size: u64,
    /// Merkle root over them; `None` if a fault made it unknowable.
    pub root: Option<Hash>,
    /// Segments read.
    pub segments: usize,
    /// Subjects with a key.
    pub keys_live: usize,
    /// Subjects whose key was erased.
    pub keys_erased: usize,
    /// Whether the journal was shut down cleanly.
    pub closed: bool,
}

/// Checks everything in the journal's and the key table's directories, naming each fault's file, offset and entry or
/// slot. With `keks` it also authenticates every slot and opens every payload that was not erased; with `attested` it
/// also checks that what somebody vouches for is there.
#[must_use]
pub fn verify(disk: &dyn Disk, keks: Option<&KekFile>, attested: Option<Attested>) -> Verification {
    let mut faults = Vec::new();
    let bytes = match disk::read(disk, KEY_TABLE, KEY_TABLE_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            faults.push(Fault::of_file(KEY_TABLE.to_owned(), unreadable(&error)));
            None
        }
    };
    match disk.list(KEYS_DIR) {
        Ok(names) => {
            // Other files in the directory belong to others, who check them.
            let staged = names.into_iter().filter(|name| name == "table.new");
            faults.extend(
                staged.map(|name| Fault::of_file(format!("{KEYS_DIR}/{name}"), FaultKind::UnknownFile)),
            );
        }
        Err(error) => faults.push(Fault::of_file(KEYS_DIR.to_owned(), unreadable(&error))),
    }
    let (slots, slot_faults) = KeyTable::check(bytes.as_deref().unwrap_or_default());
    let states: HashMap<Pseudonym, SlotState> = slots
        .iter()
        .filter(|slot| slot.purpose == keyring::Purpose::Dek)
        .map(|slot| (slot.pseudonym, slot.state))
        .collect();
    let keys_live = states.values().filter(|state| **state == SlotState::Live).count();
    let keys_erased = states.len() - keys_live;
    let mut table = None;
    if let (Some(keks), Some(bytes)) = (keks, &bytes) {
        match KeyTable::load(bytes, keks, true) {
            Ok(loaded) => table = Some(loaded),
            Err(keyring::TableError::Damaged(problems)) => faults.extend(
                problems.iter().map(|problem| Fault::of_slot(problem.slot, FaultKind::Slot(problem.fault))),
            ),
            Err(_) => faults.push(Fault::of_file(KEY_TABLE.to_owned(), FaultKind::NoPseudonymKey)),
        }
    } else {
        faults.extend(
            slot_faults.iter().map(|problem| Fault::of_slot(problem.slot, FaultKind::Slot(problem.fault))),
        );
    }
    faults.truncate(FAULTS_MAX);
    // A damaged table is named already; each entry whose slot is unreadable need not be named as well.
    let keys = match &mut table {
        Some(table) => KeyView::Table(table),
        None if faults.is_empty() => KeyView::Slots(&states),
        None => KeyView::Nothing,
    };
    let options = Options { attested, open_payloads: true, stop_at_fault: false };
    match scan(disk, keys, options) {
        Err(error) => {
            faults.push(Fault::of_file(JOURNAL_DIR.to_owned(), unreadable(&error)));
            Verification {
                faults,
                tail: None,
                size: 0,
                root: None,
                segments: 0,
                keys_live,
                keys_erased,
                closed: false,
            }
        }
        Ok(scan) => {
            faults.extend(scan.faults);
            if let Some(table) = &table {
                faults.extend(
                    scan.erased
                        .iter()
                        .filter(|pseudonym| table.state(pseudonym) == Some(SlotState::Live))
                        .map(|pseudonym| {
                            Fault::of_file(
                                KEY_TABLE.to_owned(),
                                FaultKind::KeyNotErased { pseudonym: *pseudonym },
                            )
                        }),
                );
            }
            Verification {
                faults,
                tail: scan.tail,
                size: scan.next,
                root: scan.frontier.map(|frontier| frontier.root()),
                segments: scan.segments.len(),
                keys_live,
                keys_erased,
                closed: scan.closed,
            }
        }
    }
}

fn unreadable(error: &io::Error) -> FaultKind {
    FaultKind::Unreadable { message: error.to_string() }
}
