//! Reading everything there is, checking all of it. Opening and verifying share this code, so they cannot disagree
//! about what damage is.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::Arc,
};

use domain::{Subject, UnixNanos};
use keyring::{KeyTable, Pseudonym, SlotState};
use tlog::{Frontier, Hash, leaf_hash};

use crate::{
    disk::{Disk, DiskFile, SECTOR_BYTES},
    entry::{EntryRef, Kind},
    frame::{FRAME_HEADER_BYTES, FrameCursor, FrameFault, FrameHeader, Step, Tag},
    layout::{JOURNAL_DIR, parse_segment_name, segment_path},
    log::Attested,
    record,
    segment::{INDEX_EVERY, SEGMENT_HEADER_BYTES, Seal, SegmentHeader},
    verify::{FAULTS_MAX, Fault, FaultKind, Tail},
};

/// What is known about keys while scanning.
pub(crate) enum KeyView<'k> {
    /// Which pseudonyms have slots; without a KEK.
    Slots(&'k HashMap<Pseudonym, SlotState>),
    /// The table itself.
    Table(&'k mut KeyTable),
    /// Nothing, because the table is unreadable; that is a fault of its own.
    Nothing,
}

/// What to do besides the checks that are always done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// What somebody vouches for.
    pub(crate) attested: Option<Attested>,
    /// Open every payload whose key is there.
    pub(crate) open_payloads: bool,
    /// End at the first fault.
    pub(crate) stop_at_fault: bool,
}

/// A segment that was read.
#[derive(Debug)]
pub(crate) struct ScannedSegment {
    pub(crate) first_seq: u64,
    pub(crate) path: String,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) entries: u64,
    /// End of the last good frame.
    pub(crate) len: u64,
    pub(crate) sealed: bool,
    pub(crate) index: Vec<u64>,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) segments: Vec<ScannedSegment>,
    /// A last segment whose header was never completed; holds nothing.
    pub(crate) unfinished: Option<String>,
    pub(crate) next: u64,
    /// The tree over all entries, as long as no fault made it unknowable.
    pub(crate) frontier: Option<Frontier>,
    pub(crate) last_at: UnixNanos,
    pub(crate) faults: Vec<Fault>,
    pub(crate) tail: Option<Tail>,
    /// Whether the last frame is that of a clean shutdown.
    pub(crate) closed: bool,
    /// Pseudonyms whose erasure is recorded.
    pub(crate) erased: HashSet<Pseudonym>,
    /// KEK version of the last recorded rotation.
    pub(crate) rotated_to: Option<u32>,
}

struct Scanner<'s> {
    keys: KeyView<'s>,
    options: Options,
    system: Option<Pseudonym>,
    scan: Scan,
    payload: Vec<u8>,
}

/// Reads all segments. Only what the storage cannot read at all is an error; everything else is a fault.
pub(crate) fn scan(disk: &dyn Disk, keys: KeyView<'_>, options: Options) -> io::Result<Scan> {
    let mut names = Vec::new();
    let mut faults = Vec::new();
    for name in disk.list(JOURNAL_DIR)? {
        match parse_segment_name(&name) {
            Some(first_seq) => names.push(first_seq),
            None => {
                faults.push(Fault::of_file(format!("{JOURNAL_DIR}/{name}"), FaultKind::UnknownFile));
            }
        }
    }
    if options.stop_at_fault {
        // A foreign file does not make the journal unreadable; only verification complains.
        faults.clear();
    }
    let system = match &keys {
        KeyView::Table(table) => Some(table.pseudonym(&Subject::System)),
        KeyView::Slots(_) | KeyView::Nothing => None,
    };
    let scan = Scan {
        segments: Vec::new(),
        unfinished: None,
        next: 0,
        frontier: Some(Frontier::new()),
        last_at: UnixNanos(0),
        faults,
        tail: None,
        closed: false,
        erased: HashSet::new(),
        rotated_to: None,
    };
    let mut scanner = Scanner { keys, options, system, scan, payload: Vec::new() };
    for (idx, first_seq) in names.iter().enumerate() {
        scanner.segment(disk, *first_seq, idx + 1 == names.len())?;
        if scanner.done() {
            break;
        }
    }
    scanner.finish();
    Ok(scanner.scan)
}

impl Scanner<'_> {
    fn done(&self) -> bool {
        let faults = self.scan.faults.len();
        faults >= FAULTS_MAX || (self.options.stop_at_fault && faults > 0)
    }

    fn fault(&mut self, file: &str, offset: u64, seq: Option<u64>, kind: FaultKind) {
        if self.scan.faults.len() < FAULTS_MAX {
            self.scan.faults.push(Fault { file: file.to_owned(), offset, seq, slot: None, kind });
        }
    }

    /// A fault after which the tree cannot be known.
    fn break_tree(&mut self, file: &str, offset: u64, seq: Option<u64>, kind: FaultKind) {
        self.scan.frontier = None;
        self.fault(file, offset, seq, kind);
    }

    fn segment(&mut self, disk: &dyn Disk, first_seq: u64, is_last: bool) -> io::Result<()> {
        let path = segment_path(first_seq);
        if let Some(before) = self.scan.segments.last()
            && !before.sealed
        {
            let (path, len) = (before.path.clone(), before.len);
            self.fault(&path, len, Some(self.scan.next), FaultKind::NotSealed);
        }
        if first_seq != self.scan.next {
            let expected = self.scan.next;
            self.break_tree(&path, 0, Some(expected), FaultKind::Sequence { expected, found: first_seq });
            self.scan.next = first_seq;
        }
        let file = disk.open(&path)?;
        let end = file.len()?;
        let mut header = [0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(0, &mut header)?;
        match SegmentHeader::parse(&header[..read]) {
            Some(header) => {
                if header.first_seq != first_seq {
                    self.fault(&path, 16, Some(first_seq), FaultKind::SegmentHeader);
                }
                let root = self.scan.frontier.as_ref().map(Frontier::root);
                if root.is_some_and(|root| root != header.root) {
                    self.break_tree(&path, 24, Some(first_seq), FaultKind::Root);
                }
            }
            None => {
                let torn = end <= SEGMENT_HEADER_BYTES as u64 && torn(&header[..read], 0, end);
                let begun = self.options.attested.is_some_and(|attested| attested.size > first_seq);
                if is_last && torn && !begun {
                    self.scan.unfinished = Some(path);
                    return Ok(());
                }
                self.fault(&path, 0, Some(first_seq), FaultKind::SegmentHeader);
            }
        }
        self.scan.segments.push(ScannedSegment {
            first_seq,
            path,
            file: Arc::clone(&file),
            entries: 0,
            len: SEGMENT_HEADER_BYTES as u64,
            sealed: false,
            index: Vec::new(),
        });
        self.frames(&*file, end, is_last)
    }

    fn frames(&mut self, file: &dyn DiskFile, end: u64, is_last: bool) -> io::Result<()> {
        let mut cursor = FrameCursor::new(SEGMENT_HEADER_BYTES as u64, end);
        loop {
            if self.done() {
                return Ok(());
            }
            match cursor.step(file)? {
                Step::End => return Ok(()),
                Step::Frame { offset, header, body } => {
                    self.frame(offset, &header, body);
                    if let Some(segment) = self.scan.segments.last_mut() {
                        segment.len = offset + (FRAME_HEADER_BYTES + header.body_len) as u64;
                    }
                }
                Step::Bad { offset, fault, header } => {
                    self.scan.closed = false;
                    let seq = self.scan.next;
                    if is_last && !self.attests_beyond(file, offset, end, seq)? {
                        return self.set_tail(file, offset, end, seq, fault);
                    }
                    let path = self.path();
                    self.break_tree(&path, offset, Some(seq), FaultKind::Frame(fault.into()));
                    match header {
                        Some(header) => self.pass(header.tag),
                        None => {
                            cursor.seek(offset + 1);
                            if cursor.find(file, |header| header.seq >= seq)?.is_none() {
                                return Ok(());
                            }
                        }
                    }
                }
            }
        }
    }

    /// Counts a frame. The number that stands last is no journal's, but a forged frame may state it.
    fn pass(&mut self, tag: Tag) {
        self.scan.next = self.scan.next.saturating_add(u64::from(tag == Tag::Entry));
    }

    fn path(&self) -> String {
        self.scan.segments.last().map(|segment| segment.path.clone()).unwrap_or_default()
    }

    /// Whether anything says that entry `seq` was durable once.
    fn attests_beyond(&self, file: &dyn DiskFile, offset: u64, end: u64, seq: u64) -> io::Result<bool> {
        if self.options.attested.is_some_and(|attested| attested.size > seq) {
            return Ok(true);
        }
        let mut cursor = FrameCursor::new(offset + 1, end);
        Ok(cursor.find(file, |header| header.attested > seq)?.is_some())
    }

    fn set_tail(
        &mut self,
        file: &dyn DiskFile,
        offset: u64,
        end: u64,
        seq: u64,
        fault: FrameFault,
    ) -> io::Result<()> {
        let cut_short = matches!(fault, FrameFault::HeaderShort | FrameFault::BodyShort);
        let torn = cut_short || {
            let len = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let mut bytes = vec![0; len.min(FRAME_HEADER_BYTES + crate::ENTRY_BYTES_MAX)];
            let read = file.read_at(offset, &mut bytes)?;
            torn(&bytes[..read], offset, end)
        };
        let path = self.path();
        if !torn && !self.options.stop_at_fault {
            self.fault(&path, offset, Some(seq), FaultKind::Frame(fault.into()));
        }
        self.scan.tail = Some(Tail { file: path, offset, seq, bytes: end - offset });
        Ok(())
    }

    fn frame(&mut self, offset: u64, header: &FrameHeader, body: &[u8]) {
        let path = self.path();
        let sealed = self.scan.segments.last().is_some_and(|segment| segment.sealed);
        if sealed {
            self.fault(&path, offset, Some(header.seq), FaultKind::AfterSeal);
        }
        if header.seq != self.scan.next {
            let expected = self.scan.next;
            self.break_tree(
                &path,
                offset,
                Some(expected),
                FaultKind::Sequence { expected, found: header.seq },
            );
            self.scan.next = header.seq;
        }
        if header.attested > header.seq {
            self.fault(&path, offset, Some(header.seq), FaultKind::Attested);
        }
        self.scan.closed = header.tag == Tag::Close;
        match header.tag {
            Tag::Mark | Tag::Close => {}
            Tag::Seal => self.seal(&path, offset, body),
            Tag::Entry => self.entry(&path, offset, body),
        }
    }

    fn seal(&mut self, path: &str, offset: u64, body: &[u8]) {
        let root = self.scan.frontier.as_ref().map(Frontier::root);
        let Some(segment) = self.scan.segments.last_mut() else { return };
        segment.sealed = true;
        let entries = segment.entries;
        let seal = Seal::parse(body);
        // After a fault neither number of entries nor root can be expected to match.
        if seal.is_none() || root.is_some_and(|root| seal != Some(Seal { entries, root })) {
            let next = self.scan.next;
            self.break_tree(path, offset, Some(next), FaultKind::Root);
        }
    }

    fn entry(&mut self, path: &str, offset: u64, body: &[u8]) {
        let seq = self.scan.next;
        self.pass(Tag::Entry);
        let mut attested_root: Option<(Hash, Hash)> = None;
        if let Some(frontier) = &mut self.scan.frontier {
            frontier.append(leaf_hash(body));
            attested_root = self
                .options
                .attested
                .filter(|attested| attested.size == frontier.size())
                .and_then(|attested| attested.root)
                .map(|root| (root, frontier.root()));
        }
        if attested_root.is_some_and(|(expected, found)| expected != found) {
            self.break_tree(path, offset, Some(seq), FaultKind::AttestedRoot { size: seq + 1 });
        }
        if let Some(segment) = self.scan.segments.last_mut() {
            if segment.entries.is_multiple_of(INDEX_EVERY) {
                segment.index.push(offset);
            }
            segment.entries += 1;
        }
        let entry = match EntryRef::parse(body) {
            Err(fault) => return self.fault(path, offset, Some(seq), FaultKind::Entry(fault)),
            Ok(entry) if entry.seq != seq => {
                let kind = FaultKind::Sequence { expected: seq, found: entry.seq };
                return self.fault(path, offset, Some(seq), kind);
            }
            Ok(entry) => entry,
        };
        if entry.at < self.scan.last_at {
            self.fault(path, offset, Some(seq), FaultKind::Time);
        }
        self.scan.last_at = self.scan.last_at.max(entry.at);
        if let Err(kind) = self.payload(&entry) {
            self.fault(path, offset, Some(seq), kind);
        }
    }

    /// Checks what needs keys.
    fn payload(&mut self, entry: &EntryRef<'_>) -> Result<(), FaultKind> {
        let state = match &self.keys {
            KeyView::Nothing => return Ok(()),
            KeyView::Slots(slots) => slots.get(&entry.pseudonym).copied(),
            KeyView::Table(table) => table.state(&entry.pseudonym),
        };
        let state = state.ok_or(FaultKind::KeyMissing { pseudonym: entry.pseudonym })?;
        let own = Some(entry.pseudonym) == self.system
            && matches!(entry.kind, Kind::SubjectErased | Kind::KekRotated);
        let KeyView::Table(table) = &mut self.keys else { return Ok(()) };
        if state == SlotState::Erased || !(own || self.options.open_payloads) {
            return Ok(());
        }
        let dek = table.dek(&entry.pseudonym).map_err(FaultKind::Key)?;
        dek.open(entry.aad, entry.sealed, &mut self.payload).map_err(FaultKind::Payload)?;
        if own && entry.kind == Kind::SubjectErased {
            let erased = record::SubjectErased::decode(&self.payload).map_err(FaultKind::Record)?;
            self.scan.erased.insert(erased.pseudonym);
        }
        if own && entry.kind == Kind::KekRotated {
            let rotated = record::KekRotated::decode(&self.payload).map_err(FaultKind::Record)?;
            self.scan.rotated_to = Some(rotated.to);
        }
        Ok(())
    }

    /// What can only be said at the end.
    fn finish(&mut self) {
        let Some(attested) = self.options.attested else { return };
        let found = self.scan.next;
        if found < attested.size && !self.done() {
            let (path, offset) = self
                .scan
                .segments
                .last()
                .map_or_else(|| (JOURNAL_DIR.to_owned(), 0), |segment| (segment.path.clone(), segment.len));
            let kind = FaultKind::Missing { attested: attested.size, found };
            self.fault(&path, offset, Some(found), kind);
        }
    }
}

/// Whether bytes at `offset` of a file that ends at `end` look like writes a power cut lost: nothing there, or zeroes
/// in all that falls into some sector. A sector that was written and then damaged looks otherwise: a frame begins with
/// a letter and goes on with ciphertext, and what is last in a file ends with a checksum.
fn torn(bytes: &[u8], offset: u64, end: u64) -> bool {
    let sector = SECTOR_BYTES as u64;
    let first = usize::try_from(sector - offset % sector).unwrap_or(SECTOR_BYTES);
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    let zero = |part: &[u8]| part.iter().all(|byte| *byte == 0);
    let reaches_end = offset + bytes.len() as u64 == end;
    // Fewer than four zeroes may be the end of a checksum.
    let lost = |part: &[u8]| zero(part) && (part.len() == SECTOR_BYTES || (reaches_end && part.len() >= 4));
    zero(head) || rest.chunks(SECTOR_BYTES).any(lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KEY_TABLE, disk::SimDisk, frame::push_frame, verify};

    #[test]
    fn the_last_sequence_number_is_a_fault_like_any_other() {
        for seq in [u64::MAX - 1, u64::MAX] {
            let disk = SimDisk::new(1);
            disk.plant(KEY_TABLE, &[]);
            let mut bytes = SegmentHeader { first_seq: 0, root: Frontier::new().root() }.encode().to_vec();
            for _ in 0..3 {
                push_frame(&mut bytes, Tag::Entry, seq, 0, |out| out.extend_from_slice(b"forged"));
            }
            // The last body no longer has its checksum.
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            disk.plant(&segment_path(0), &bytes);
            let expected = FaultKind::Sequence { expected: 0, found: seq };
            let kinds: Vec<_> =
                verify(&disk, None, None).faults.into_iter().map(|fault| fault.kind).collect();
            assert!(kinds.contains(&expected), "{kinds:?}");
        }
    }

    #[test]
    fn only_lost_sectors_look_torn() {
        let mut bytes = vec![1; 1200];
        assert!(!torn(&bytes, 100, 1300));
        bytes[412..924].fill(0); // the second sector
        assert!(torn(&bytes, 100, 1300));
        bytes[500] = 1;
        assert!(!torn(&bytes, 100, 1300));
        bytes[..412].fill(0); // the rest of the first sector
        assert!(torn(&bytes, 100, 1300));
        assert!(torn(&[], 0, 0));
        let mut end = vec![1; 600];
        end[512..].fill(0);
        assert!(torn(&end, 0, 600));
        assert!(!torn(&end[..515], 0, 515));
    }
}
