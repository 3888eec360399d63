//! Reading a segment.

use std::{fmt, ops::Range};

use crypto::{Sha256, sha256};
use domain::UnixNanos;

use super::{
    CHUNK_BYTES, ENTRIES_MAX, Key,
    layout::{
        Counts, DIGEST_BYTES, HEADER_BYTES, LONG_BYTES, LONG_PAYLOAD_BYTES, Layout, MAGIC, N_COUNTS,
        NUMBER_BYTES, RECORD_BYTES, SHORT_BYTES, SHORT_PAYLOAD_BYTES, SLOTS_MAX, header, index, slot_of,
        u16_at, u32_at, u64_at,
    },
};
use crate::label::{Category, Confidence, Label};

/// Why bytes are not a segment, or not the segment that was written. Always the fault of the medium or of whoever
/// can write to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// A part does not have the digest it was written with.
    #[error("bytes {} to {} were changed after they were written", range.start, range.end)]
    Changed {
        /// The bytes concerned.
        range: Range<usize>,
    },
    /// The header's counts are impossible.
    #[error("the header is damaged")]
    Header,
    /// The bytes are fewer or more than the header says.
    #[error("the file has {got} bytes, its header says {expected}")]
    Length {
        /// By the header.
        expected: usize,
        /// In truth.
        got: usize,
    },
    /// The bytes do not begin as a segment does.
    #[error("this is not a label segment of version 1")]
    Magic,
}

/// A segment over bytes owned, borrowed or shared.
pub struct Segment<B> {
    bytes: B,
    layout: Layout,
    hash_key: [u8; 16],
    imported_at: UnixNanos,
    source_sha256: [u8; 32],
}

impl<B: AsRef<[u8]>> Segment<B> {
    /// Checks header and lengths, in constant time; see [`Segment::verify`] for the rest.
    ///
    /// # Errors
    /// [`SegmentError`] other than `Changed`.
    pub fn parse(bytes: B) -> Result<Self, SegmentError> {
        let all = bytes.as_ref();
        if all.first_chunk() != Some(&MAGIC) {
            return Err(SegmentError::Magic);
        }
        let head =
            all.get(..HEADER_BYTES).ok_or(SegmentError::Length { expected: HEADER_BYTES, got: all.len() })?;
        let mut counts = [0; N_COUNTS];
        for (idx, count) in counts.iter_mut().enumerate() {
            *count = u64_at(head, header::COUNTS + 8 * idx)
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(SegmentError::Header)?;
        }
        let counts = Counts::from_array(counts);
        // Each table has an empty slot, so that probing ends, and no more slots than a hash can point to.
        let entries = counts.addresses.checked_add(counts.texts).ok_or(SegmentError::Header)?;
        let fits = |slots: usize| (1..=SLOTS_MAX).contains(&slots);
        if entries > ENTRIES_MAX || !fits(counts.short_slots) || !fits(counts.long_slots) {
            return Err(SegmentError::Header);
        }
        let layout = Layout::new(counts).ok_or(SegmentError::Header)?;
        if layout.len() != all.len() {
            return Err(SegmentError::Length { expected: layout.len(), got: all.len() });
        }
        let hash_key = head
            .get(header::HASH_KEY..)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .ok_or(SegmentError::Header)?;
        let source_sha256 = head
            .get(header::SOURCE_SHA256..)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .ok_or(SegmentError::Header)?;
        let imported_at = UnixNanos(u64_at(head, header::IMPORTED_AT).ok_or(SegmentError::Header)?);
        Ok(Self { bytes, layout, hash_key, imported_at, source_sha256 })
    }

    /// Verifies every byte against the digests of the segment, and those against its root.
    ///
    /// This finds damage. It does not find a segment replaced by another valid one: for that, compare
    /// [`Segment::file_sha256`] with what was noted when the segment was built.
    ///
    /// # Errors
    /// [`SegmentError::Changed`] with the first part that differs.
    pub fn verify(&self) -> Result<(), SegmentError> {
        let all = self.bytes.as_ref();
        let digests = all.get(self.layout.digests.clone()).unwrap_or(&[]);
        if all.get(self.layout.root.clone()) != Some(&sha256(&[digests])) {
            return Err(SegmentError::Changed { range: self.layout.digests.start..self.layout.root.end });
        }
        let body = all.get(..self.layout.digests.start).unwrap_or(&[]);
        for (idx, (chunk, digest)) in body.chunks(CHUNK_BYTES).zip(digests.chunks(DIGEST_BYTES)).enumerate() {
            if sha256(&[chunk]) != digest {
                let start = idx * CHUNK_BYTES;
                return Err(SegmentError::Changed { range: start..start + chunk.len() });
            }
        }
        Ok(())
    }

    /// What is said about `key`, in a stable order; empty if nothing is. Constant expected time, no allocation.
    pub fn labels(&self, key: Key<'_>) -> Labels<'_, B> {
        match self.find(key) {
            Some(entry) => {
                let next = index(entry.first);
                Labels {
                    segment: self,
                    next,
                    end: next.saturating_add(usize::from(entry.label_count)),
                    via_references: entry.label_count != 1,
                }
            }
            None => Labels { segment: self, next: 0, end: 0, via_references: false },
        }
    }

    /// Name of the list the segment was built from.
    #[must_use]
    pub fn list(&self) -> &str {
        self.string(1).unwrap_or("")
    }

    /// When the list was imported.
    #[must_use]
    pub const fn imported_at(&self) -> UnixNanos {
        self.imported_at
    }

    /// SHA-256 of the source the segment was built from.
    #[must_use]
    pub const fn source_sha256(&self) -> &[u8; 32] {
        &self.source_sha256
    }

    /// Addresses with at least one label, without opaque texts.
    #[must_use]
    pub const fn address_count(&self) -> usize {
        self.layout.counts.addresses
    }

    /// Opaque texts with at least one label.
    #[must_use]
    pub const fn text_count(&self) -> usize {
        self.layout.counts.texts
    }

    /// Distinct labels.
    #[must_use]
    pub const fn record_count(&self) -> usize {
        self.layout.counts.records
    }

    /// SHA-256 of the whole segment as a file.
    #[must_use]
    pub fn file_sha256(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.bytes.as_ref());
        hasher.finish()
    }

    /// The bytes the segment was parsed from.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    fn find(&self, key: Key<'_>) -> Option<Slot> {
        let hash = key.hash(&self.hash_key);
        let all = self.bytes.as_ref();
        if key.is_short() {
            let table = all.get(self.layout.shorts.clone())?;
            self.probe::<SHORT_BYTES, SHORT_PAYLOAD_BYTES>(table, hash, key)
        } else {
            let table = all.get(self.layout.longs.clone())?;
            self.probe::<LONG_BYTES, LONG_PAYLOAD_BYTES>(table, hash, key)
        }
    }

    /// Probes from where the hash points to the first empty slot.
    fn probe<const STRIDE: usize, const PAYLOAD: usize>(
        &self,
        table: &[u8],
        hash: u64,
        key: Key<'_>,
    ) -> Option<Slot> {
        let (slots, _) = table.as_chunks::<STRIDE>();
        let mut at = slot_of(hash, slots.len());
        // The bound holds against a damaged table without an empty slot.
        for _ in 0..slots.len() {
            let (payload, rest) = slots.get(at)?.split_at_checked(PAYLOAD)?;
            let [tag, len, ..] = *rest else { return None };
            if tag == 0 {
                return None;
            }
            if u32_at(rest, 8).map(u64::from) == Some(hash >> 32)
                && tag == key.tag()
                && let Some(payload) = payload.get(..usize::from(len))
                && match key {
                    Key::Address(address) => payload == address.payload(),
                    Key::Text(text) => {
                        u32_at(payload, 0).and_then(|number| self.string(number)) == Some(text)
                    }
                }
            {
                return Some(Slot { label_count: u16_at(rest, 2)?, first: u32_at(rest, 4)? });
            }
            at = if at + 1 == slots.len() { 0 } else { at + 1 };
        }
        None
    }

    fn record(&self, number: u32) -> Option<Label<'_>> {
        let records = self.bytes.as_ref().get(self.layout.records.clone())?;
        let at = index(number).checked_mul(RECORD_BYTES)?;
        let record = records.get(at..at.checked_add(RECORD_BYTES)?)?;
        let string = |at| self.string(u32_at(record, at)?);
        let time = |at| Some(Some(u64_at(record, at)?).filter(|nanos| *nanos != 0).map(UnixNanos));
        Some(Label {
            category: Category::from_tag(*record.first()?)?,
            confidence: Confidence::from_tag(*record.get(1)?)?,
            text: string(4)?,
            source: string(8)?,
            asset: string(12)?,
            licence: string(16)?,
            first_seen: time(24)?,
            last_seen: time(32)?,
        })
    }

    fn string(&self, number: u32) -> Option<&str> {
        let all = self.bytes.as_ref();
        let number = index(number);
        if number >= self.layout.counts.strings {
            return None;
        }
        let offsets = all.get(self.layout.string_offsets.clone())?;
        let start = index(u32_at(offsets, number * NUMBER_BYTES)?);
        let end = index(u32_at(offsets, (number + 1) * NUMBER_BYTES)?);
        std::str::from_utf8(all.get(self.layout.blob.clone())?.get(start..end)?).ok()
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Segment<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("list", &self.list())
            .field("counts", &self.layout.counts)
            .finish_non_exhaustive()
    }
}

/// A slot that holds the key.
struct Slot {
    label_count: u16,
    first: u32,
}

/// The labels of one address, in a stable order.
pub struct Labels<'a, B> {
    segment: &'a Segment<B>,
    next: usize,
    end: usize,
    via_references: bool,
}

impl<'a, B: AsRef<[u8]>> Iterator for Labels<'a, B> {
    type Item = Label<'a>;

    fn next(&mut self) -> Option<Label<'a>> {
        while self.next < self.end {
            let at = self.next;
            self.next += 1;
            let number = if self.via_references {
                let references = self.segment.bytes.as_ref().get(self.segment.layout.references.clone())?;
                u32_at(references, at.checked_mul(NUMBER_BYTES)?)?
            } else {
                u32::try_from(at).ok()?
            };
            if let Some(label) = self.segment.record(number) {
                return Some(label);
            }
        }
        None
    }
}

impl<B> fmt::Debug for Labels<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labels").field("count", &(self.end - self.next)).finish_non_exhaustive()
    }
}
