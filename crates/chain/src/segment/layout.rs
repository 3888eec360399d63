//! Where each section of a segment lies, computed from the header's counts and from nothing else.

use std::ops::Range;

use super::CHUNK_BYTES;

pub(super) const MAGIC: [u8; 8] = *b"CAPLBL01";
pub(super) const HEADER_BYTES: usize = 128;
pub(super) const SHORT_BYTES: usize = 32;
pub(super) const LONG_BYTES: usize = 64;
pub(super) const RECORD_BYTES: usize = 40;
pub(super) const NUMBER_BYTES: usize = 4;
pub(super) const DIGEST_BYTES: usize = 32;
pub(super) const SHORT_PAYLOAD_BYTES: usize = 20;
pub(super) const LONG_PAYLOAD_BYTES: usize = 40;
/// What half a hash can point to.
pub(super) const SLOTS_MAX: usize = 1 << 32;
/// A cache line: no slot straddles two.
const ALIGN: usize = 64;

/// Byte offsets within the header.
pub(super) mod header {
    pub(in super::super) const HASH_KEY: usize = 8;
    pub(in super::super) const IMPORTED_AT: usize = 24;
    pub(in super::super) const SOURCE_SHA256: usize = 32;
    pub(in super::super) const COUNTS: usize = 64;
}

/// How many counts the header has.
pub(super) const N_COUNTS: usize = 8;

/// The counts of the header, in the order they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) short_slots: usize,
    pub(super) long_slots: usize,
    pub(super) addresses: usize,
    pub(super) texts: usize,
    pub(super) records: usize,
    pub(super) references: usize,
    pub(super) strings: usize,
    pub(super) blob_bytes: usize,
}

impl Counts {
    pub(super) const fn as_array(&self) -> [usize; N_COUNTS] {
        [
            self.short_slots,
            self.long_slots,
            self.addresses,
            self.texts,
            self.records,
            self.references,
            self.strings,
            self.blob_bytes,
        ]
    }

    pub(super) const fn from_array(counts: [usize; N_COUNTS]) -> Self {
        let [short_slots, long_slots, addresses, texts, records, references, strings, blob_bytes] = counts;
        Self { short_slots, long_slots, addresses, texts, records, references, strings, blob_bytes }
    }
}

/// Byte ranges of the sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) counts: Counts,
    pub(super) shorts: Range<usize>,
    pub(super) longs: Range<usize>,
    pub(super) records: Range<usize>,
    pub(super) references: Range<usize>,
    pub(super) string_offsets: Range<usize>,
    pub(super) blob: Range<usize>,
    pub(super) digests: Range<usize>,
    pub(super) root: Range<usize>,
}

impl Layout {
    /// `None` when the counts do not fit the address space: only a damaged header has such.
    pub(super) fn new(counts: Counts) -> Option<Self> {
        let mut at = HEADER_BYTES;
        let mut section = |count: usize, stride: usize| {
            let start = at.checked_next_multiple_of(ALIGN)?;
            at = start.checked_add(count.checked_mul(stride)?)?;
            Some(start..at)
        };
        let shorts = section(counts.short_slots, SHORT_BYTES)?;
        let longs = section(counts.long_slots, LONG_BYTES)?;
        let records = section(counts.records, RECORD_BYTES)?;
        let references = section(counts.references, NUMBER_BYTES)?;
        let string_offsets = section(counts.strings.checked_add(1)?, NUMBER_BYTES)?;
        let blob = section(counts.blob_bytes, 1)?;
        let body_bytes = blob.end.checked_next_multiple_of(ALIGN)?;
        let digests = section(body_bytes.div_ceil(CHUNK_BYTES), DIGEST_BYTES)?;
        let root = digests.end..digests.end.checked_add(DIGEST_BYTES)?;
        Some(Self { counts, shorts, longs, records, references, string_offsets, blob, digests, root })
    }

    /// Length of the whole file.
    pub(super) const fn len(&self) -> usize {
        self.root.end
    }
}

/// Where probing for a hash starts: its lower half, scaled to the number of slots.
pub(super) fn slot_of(hash: u64, slot_count: usize) -> usize {
    let scaled = (hash & u64::from(u32::MAX)) * slot_count.min(SLOTS_MAX) as u64;
    usize::try_from(scaled >> 32).unwrap_or(0)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// A stored number as an index; exact on every platform this builds for (64 bits).
pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
