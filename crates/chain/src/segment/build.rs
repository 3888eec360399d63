//! Building a segment. Memory: about 60 bytes per address while collecting, plus the finished segment (about 65).

use std::collections::HashMap;

use crypto::{Sha256, sha256};
use domain::{Address, AddressKind, UnixNanos};

use super::{
    CHUNK_BYTES, ENTRIES_MAX, Key, LABELS_PER_ADDRESS_MAX, OPAQUE_TAG, STRING_BYTES_MAX,
    layout::{
        Counts, DIGEST_BYTES, HEADER_BYTES, LONG_BYTES, LONG_PAYLOAD_BYTES, Layout, MAGIC, N_COUNTS,
        NUMBER_BYTES, RECORD_BYTES, SHORT_BYTES, SHORT_PAYLOAD_BYTES, header, index, slot_of,
    },
};
use crate::label::Label;

/// What a segment cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More than [`STRING_BYTES_MAX`].
    #[error("a text has {got} bytes, at most {STRING_BYTES_MAX} are allowed")]
    LongText {
        /// Bytes found.
        got: usize,
    },
    /// More than [`ENTRIES_MAX`] addresses.
    #[error("more than {ENTRIES_MAX} addresses")]
    TooManyAddresses,
    /// More than [`LABELS_PER_ADDRESS_MAX`] labels of one address.
    #[error("one address has {got} labels, at most {LABELS_PER_ADDRESS_MAX} are allowed")]
    TooManyLabels {
        /// Labels found.
        got: usize,
    },
    /// More distinct labels or text than 32-bit numbers reach.
    #[error("the list has too many distinct labels or too much text for one segment")]
    TooMuchText,
}

/// Collects labels, then writes the segment.
pub struct Builder {
    hash_key: [u8; 16],
    imported_at: UnixNanos,
    source_sha256: [u8; 32],
    strings: Strings,
    records: HashMap<Record, u32>,
    pending: Vec<Pending>,
}

/// One (key, label) pair. Ordered by key, then record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    tag: u8,
    len: u8,
    payload: [u8; LONG_PAYLOAD_BYTES],
    record: u32,
}

impl Pending {
    fn is_short(&self) -> bool {
        self.tag != OPAQUE_TAG && usize::from(self.len) <= SHORT_PAYLOAD_BYTES
    }

    fn same_key(&self, other: &Self) -> bool {
        (self.tag, self.len, self.payload) == (other.tag, other.len, other.payload)
    }

    fn payload(&self) -> &[u8] {
        self.payload.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Record {
    category: u8,
    confidence: u8,
    /// Text, source, asset, licence.
    strings: [u32; 4],
    first_seen: u64,
    last_seen: u64,
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        put(&mut bytes, 0, &[self.category, self.confidence]);
        write_numbers(&mut bytes, 4, &self.strings);
        put(&mut bytes, 24, &self.first_seen.to_le_bytes());
        put(&mut bytes, 32, &self.last_seen.to_le_bytes());
        bytes
    }
}

/// Distinct strings by number.
#[derive(Default)]
struct Strings {
    numbers: HashMap<Box<str>, u32>,
    offsets: Vec<u32>,
    blob: Vec<u8>,
}

impl Strings {
    fn intern(&mut self, text: &str) -> Result<u32, BuildError> {
        if let Some(number) = self.numbers.get(text) {
            return Ok(*number);
        }
        if text.len() > STRING_BYTES_MAX {
            return Err(BuildError::LongText { got: text.len() });
        }
        let number = u32::try_from(self.offsets.len()).map_err(|_| BuildError::TooMuchText)?;
        let start = u32::try_from(self.blob.len()).map_err(|_| BuildError::TooMuchText)?;
        self.offsets.push(start);
        self.blob.extend_from_slice(text.as_bytes());
        self.numbers.insert(text.into(), number);
        Ok(number)
    }

    fn text(&self, number: u32) -> &str {
        let number = index(number);
        let start = self.offsets.get(number).map_or(0, |offset| index(*offset));
        let end = self.offsets.get(number + 1).map_or(self.blob.len(), |offset| index(*offset));
        self.blob.get(start..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl Builder {
    /// An empty segment of the list `list`. `hash_key` must be random and stay unknown to whoever chooses addresses.
    ///
    /// # Errors
    /// [`BuildError::LongText`] when the name of the list is too long.
    pub fn new(
        list: &str,
        hash_key: [u8; 16],
        imported_at: UnixNanos,
        source_sha256: [u8; 32],
    ) -> Result<Self, BuildError> {
        let mut strings = Strings::default();
        strings.intern("")?;
        strings.intern(list)?;
        Ok(Self {
            hash_key,
            imported_at,
            source_sha256,
            strings,
            records: HashMap::new(),
            pending: Vec::new(),
        })
    }

    /// Adds a label of `key`. The same label of the same key is kept once.
    ///
    /// # Errors
    /// [`BuildError`]; no label is added then.
    pub fn push(&mut self, key: Key<'_>, label: &Label<'_>) -> Result<(), BuildError> {
        let record = Record {
            category: label.category.tag(),
            confidence: label.confidence.tag(),
            strings: [
                self.strings.intern(label.text)?,
                self.strings.intern(label.source)?,
                self.strings.intern(label.asset)?,
                self.strings.intern(label.licence)?,
            ],
            first_seen: label.first_seen.map_or(0, |at| at.0),
            last_seen: label.last_seen.map_or(0, |at| at.0),
        };
        let number;
        let bytes = match key {
            Key::Address(address) => address.payload(),
            Key::Text(text) => {
                number = self.strings.intern(text)?.to_le_bytes();
                &number
            }
        };
        let len = u8::try_from(bytes.len()).map_err(|_| BuildError::LongText { got: bytes.len() })?;
        let mut payload = [0; LONG_PAYLOAD_BYTES];
        put(&mut payload, 0, bytes);
        let next = u32::try_from(self.records.len()).map_err(|_| BuildError::TooMuchText)?;
        let record = *self.records.entry(record).or_insert(next);
        self.pending.push(Pending { tag: key.tag(), len, payload, record });
        Ok(())
    }

    /// Labels added so far, repeated ones included.
    #[must_use]
    pub const fn label_count(&self) -> usize {
        self.pending.len()
    }

    /// The finished segment.
    ///
    /// # Errors
    /// [`BuildError`] when a bound of the format is exceeded.
    pub fn finish(mut self) -> Result<Vec<u8>, BuildError> {
        // Equal keys fall together, then equal pairs; the order does not depend on that of the source.
        self.pending.sort_unstable();
        self.pending.dedup();

        let layout = Layout::new(self.count()?).ok_or(BuildError::TooMuchText)?;
        let mut out = vec![0; layout.len()];
        put(&mut out, 0, &MAGIC);
        put(&mut out, header::HASH_KEY, &self.hash_key);
        put(&mut out, header::IMPORTED_AT, &self.imported_at.0.to_le_bytes());
        put(&mut out, header::SOURCE_SHA256, &self.source_sha256);
        for (idx, count) in layout.counts.as_array().into_iter().enumerate() {
            put(&mut out, header::COUNTS + 8 * idx, &(count as u64).to_le_bytes());
        }
        const { assert!(header::COUNTS + 8 * N_COUNTS <= HEADER_BYTES) };
        self.write_entries(&mut out, &layout);
        for (record, number) in &self.records {
            put(&mut out, layout.records.start + index(*number) * RECORD_BYTES, &record.to_bytes());
        }
        self.strings
            .offsets
            .push(u32::try_from(self.strings.blob.len()).map_err(|_| BuildError::TooMuchText)?);
        write_numbers(&mut out, layout.string_offsets.start, &self.strings.offsets);
        put(&mut out, layout.blob.start, &self.strings.blob);
        seal(&mut out, &layout);
        Ok(out)
    }

    /// The header's counts; the pairs are sorted and distinct.
    fn count(&self) -> Result<Counts, BuildError> {
        let mut counts = Counts {
            records: self.records.len(),
            strings: self.strings.offsets.len(),
            blob_bytes: self.strings.blob.len(),
            ..Counts::default()
        };
        let (mut shorts, mut longs) = (0, 0);
        for group in self.pending.chunk_by(Pending::same_key) {
            if group.len() > LABELS_PER_ADDRESS_MAX {
                return Err(BuildError::TooManyLabels { got: group.len() });
            }
            let Some(head) = group.first() else { continue };
            *(if head.is_short() { &mut shorts } else { &mut longs }) += 1;
            *(if head.tag == OPAQUE_TAG { &mut counts.texts } else { &mut counts.addresses }) += 1;
            counts.references += if group.len() > 1 { group.len() } else { 0 };
        }
        if shorts + longs > ENTRIES_MAX {
            return Err(BuildError::TooManyAddresses);
        }
        u32::try_from(counts.references).map_err(|_| BuildError::TooMuchText)?;
        (counts.short_slots, counts.long_slots) = (slots_for(shorts), slots_for(longs));
        Ok(counts)
    }

    fn write_entries(&self, out: &mut [u8], layout: &Layout) {
        let mut references = Vec::with_capacity(layout.counts.references);
        for group in self.pending.chunk_by(Pending::same_key) {
            let Some(head) = group.first() else { continue };
            let first = if group.len() == 1 {
                head.record
            } else {
                // `count` has checked that both numbers fit.
                let first = u32::try_from(references.len()).unwrap_or(u32::MAX);
                references.extend(group.iter().map(|pending| pending.record));
                first
            };
            let (table, stride, payload_bytes) = if head.is_short() {
                (layout.shorts.clone(), SHORT_BYTES, SHORT_PAYLOAD_BYTES)
            } else {
                (layout.longs.clone(), LONG_BYTES, LONG_PAYLOAD_BYTES)
            };
            let hash = self.hash_of(head);
            let table = out.get_mut(table).unwrap_or(&mut []);
            let slot = empty_slot(table, hash, stride, payload_bytes);
            put(slot, 0, head.payload());
            put(slot, payload_bytes, &[head.tag, head.len]);
            put(slot, payload_bytes + 2, &u16::try_from(group.len()).unwrap_or(u16::MAX).to_le_bytes());
            put(slot, payload_bytes + 4, &first.to_le_bytes());
            put(slot, payload_bytes + 8, hash.to_le_bytes().get(4..).unwrap_or(&[]));
        }
        write_numbers(out, layout.references.start, &references);
    }

    fn hash_of(&self, pending: &Pending) -> u64 {
        match AddressKind::from_tag(pending.tag).and_then(|kind| Address::new(kind, pending.payload())) {
            Some(address) => Key::Address(&address).hash(&self.hash_key),
            None => {
                let number = pending.payload.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk));
                Key::Text(self.strings.text(number)).hash(&self.hash_key)
            }
        }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("labels", &self.pending.len()).finish_non_exhaustive()
    }
}

/// Writes `bytes` at `at`, for which the layout has made room.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out.get_mut(at..at + bytes.len())
        .expect("the layout has room for what was counted")
        .copy_from_slice(bytes);
}

fn write_numbers(out: &mut [u8], at: usize, numbers: &[u32]) {
    for (idx, number) in numbers.iter().enumerate() {
        put(out, at + NUMBER_BYTES * idx, &number.to_le_bytes());
    }
}

/// Slots for so many entries: at most half are taken, so that probes stay short, and one is always empty.
const fn slots_for(entries: usize) -> usize {
    entries * 2 + 1
}

/// The first empty slot from where the hash points; there always is one.
fn empty_slot(table: &mut [u8], hash: u64, stride: usize, tag_at: usize) -> &mut [u8] {
    let slot_count = table.len() / stride;
    let mut at = slot_of(hash, slot_count);
    while table.get(at * stride + tag_at).is_some_and(|tag| *tag != 0) {
        at = if at + 1 == slot_count { 0 } else { at + 1 };
    }
    table.get_mut(at * stride..(at + 1) * stride).unwrap_or(&mut [])
}

/// Writes the digests of all chunks, and their root.
fn seal(out: &mut [u8], layout: &Layout) {
    let (body, tail) = out.split_at_mut(layout.digests.start);
    let mut root = Sha256::new();
    for (chunk, digest) in body.chunks(CHUNK_BYTES).zip(tail.chunks_mut(DIGEST_BYTES)) {
        digest.copy_from_slice(&sha256(&[chunk]));
        root.update(digest);
    }
    put(out, layout.root.start, &root.finish());
}
