//! Reading durable entries in order.
//!
//! Every frame is checked again when it is read: disks also go bad while a process runs.

use std::{io, sync::Arc};

use keyring::{KeyError, UnsealError};

use crate::{
    entry::{Entry, EntryFault, EntryRef},
    frame::{FrameCursor, Step, Tag},
    log::Shared,
    segment::Segment,
};

/// An opened payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The payload in clear.
    Payload(Vec<u8>),
    /// The subject was erased; nobody can open it any more.
    Erased,
}

/// Why an entry cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes in the file are not those that were written.
    #[error("{file} is damaged at byte {offset}, entry {seq}: {what}")]
    Damaged {
        /// Path within the data directory.
        file: String,
        /// Where the bad frame begins.
        offset: u64,
        /// Which entry was expected there.
        seq: u64,
        /// What is wrong.
        what: String,
    },
    /// The file cannot be read.
    #[error("{file} cannot be read")]
    Io {
        /// Path within the data directory.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// The subject's key cannot be had.
    #[error("key of entry {seq} is missing")]
    Key {
        /// Which entry.
        seq: u64,
        /// The cause.
        source: KeyError,
    },
    /// The payload does not open although its key is there.
    #[error("payload of entry {seq} does not open")]
    Payload {
        /// Which entry.
        seq: u64,
        /// The cause.
        source: UnsealError,
    },
}

/// Reads durable entries in order; see [`crate::Journal::reader`]. Holds one buffer of about 1 MiB. After an error it
/// ends.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    next: u64,
    /// Entries below this are known to be durable and in the present segment.
    limit: u64,
    place: Option<(Arc<Segment>, FrameCursor)>,
    broken: bool,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, from_seq: u64) -> Self {
        Self { shared, next: from_seq, limit: 0, place: None, broken: false }
    }

    /// Sequence number of the entry that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The segment that holds entry `seq`.
    fn segment_of(&self, seq: u64) -> Option<Arc<Segment>> {
        let segments = self.shared.segments.read();
        let after = segments.partition_point(|segment| segment.first_seq <= seq);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// Finds out what is durable beyond the present segment's known part; `false` if nothing is.
    fn refresh(&mut self) -> bool {
        let size = self.shared.published.tree().0;
        if self.next >= size {
            return false;
        }
        let inside = |segment: &Segment, next: u64| {
            next.checked_sub(segment.first_seq).is_some_and(|idx| idx < segment.state.read().entries)
        };
        if !self.place.as_ref().is_some_and(|(segment, _)| inside(segment, self.next)) {
            let Some(segment) = self.segment_of(self.next) else { return false };
            let offset = segment.offset_near(self.next);
            self.place = Some((segment, FrameCursor::new(offset, 0)));
        }
        if let Some((segment, cursor)) = &mut self.place {
            let state = segment.state.read();
            cursor.extend(state.len);
            self.limit = size.min(segment.first_seq + state.entries);
        }
        true
    }

    /// The next entry without a copy; `None` when all durable ones were read. The fast way to fold the journal.
    pub fn next_ref(&mut self) -> Option<Result<EntryRef<'_>, ReadError>> {
        if self.broken || (self.next >= self.limit && !self.refresh()) {
            return None;
        }
        self.broken = true;
        let (segment, cursor) = self.place.as_mut()?;
        // Skips frames before the wanted one: after a random access, and marks.
        let wanted = loop {
            let offset = cursor.offset();
            match peek(segment, cursor, self.next) {
                Ok(Some(true)) => break offset,
                Ok(Some(false)) => {}
                Ok(None) => {
                    return Some(Err(damaged(segment, offset, self.next, "the entry is missing")));
                }
                Err(error) => return Some(Err(error)),
            }
        };
        cursor.seek(wanted);
        let body = match cursor.step(&*segment.file) {
            Ok(Step::Frame { body, .. }) => body,
            Ok(_) => return Some(Err(damaged(segment, wanted, self.next, "the frame changed"))),
            Err(source) => return Some(Err(ReadError::Io { file: segment.path.clone(), source })),
        };
        let entry = match EntryRef::parse(body) {
            Ok(entry) if entry.seq == self.next => entry,
            Ok(_) => return Some(Err(damaged(segment, wanted, self.next, "another entry stands there"))),
            Err(fault) => return Some(Err(entry_fault(segment, wanted, self.next, &fault))),
        };
        self.broken = false;
        self.next += 1;
        Some(Ok(entry))
    }
}

/// Steps over one frame; whether it is entry `seq`, or `None` at the end.
fn peek(segment: &Segment, cursor: &mut FrameCursor, seq: u64) -> Result<Option<bool>, ReadError> {
    match cursor.step(&*segment.file) {
        Ok(Step::Frame { header, .. }) => Ok(Some(header.tag == Tag::Entry && header.seq == seq)),
        Ok(Step::Bad { offset, .. }) => Err(damaged(segment, offset, seq, "the frame fails its checksum")),
        Ok(Step::End) => Ok(None),
        Err(source) => Err(ReadError::Io { file: segment.path.clone(), source }),
    }
}

fn damaged(segment: &Segment, offset: u64, seq: u64, what: &str) -> ReadError {
    ReadError::Damaged { file: segment.path.clone(), offset, seq, what: what.to_owned() }
}

fn entry_fault(segment: &Segment, offset: u64, seq: u64, fault: &EntryFault) -> ReadError {
    damaged(segment, offset, seq, &fault.to_string())
}

impl Iterator for Reader {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_ref().map(|entry| entry.map(|entry| entry.to_entry()))
    }
}
