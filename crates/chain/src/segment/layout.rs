//! Where each section of a segment lies, computed from the header's counts and from nothing else.

use std::ops::Range;

use super::{CHUNK_BYTES, filter::BLOCK_BYTES, table::Shape};

/// What every version of the format begins with; two digits of the version follow.
pub(super) const MAGIC_PREFIX: [u8; 6] = *b"CAPLBL";
pub(super) const VERSION: [u8; 2] = *b"03";
pub(super) const HEADER_BYTES: usize = 192;
pub(super) const RECORD_BYTES: usize = 40;
pub(super) const NUMBER_BYTES: usize = 4;
pub(super) const DIGEST_BYTES: usize = 32;
/// A cache line: no bucket of short slots and no block of the filter straddles two.
const ALIGN: usize = 64;

/// Byte offsets within the header.
pub(super) mod header {
    pub(in super::super) const HASH_KEY: usize = 8;
    pub(in super::super) const IMPORTED_AT: usize = 24;
    pub(in super::super) const SOURCE_SHA256: usize = 32;
    pub(in super::super) const COUNTS: usize = 64;
}

/// How many counts the header has.
pub(super) const N_COUNTS: usize = 11;

/// The counts of the header, in the order they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) filter_blocks: usize,
    pub(super) shorts: Shape,
    pub(super) longs: Shape,
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
            self.filter_blocks,
            self.shorts.partitions,
            self.shorts.partition_buckets,
            self.longs.partitions,
            self.longs.partition_buckets,
            self.addresses,
            self.texts,
            self.records,
            self.references,
            self.strings,
            self.blob_bytes,
        ]
    }

    pub(super) const fn from_array(counts: [usize; N_COUNTS]) -> Self {
        let [filter_blocks, sp, sb, lp, lb, addresses, texts, records, references, strings, blob_bytes] =
            counts;
        Self {
            filter_blocks,
            shorts: Shape { partitions: sp, partition_buckets: sb },
            longs: Shape { partitions: lp, partition_buckets: lb },
            addresses,
            texts,
            records,
            references,
            strings,
            blob_bytes,
        }
    }
}

/// Byte ranges of the sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) counts: Counts,
    pub(super) filter: Range<usize>,
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
    pub(super) fn new(counts: Counts, short_bucket_bytes: usize, long_bucket_bytes: usize) -> Option<Self> {
        let mut at = HEADER_BYTES;
        let mut section = |count: usize, stride: usize| {
            let start = at.checked_next_multiple_of(ALIGN)?;
            at = start.checked_add(count.checked_mul(stride)?)?;
            Some(start..at)
        };
        let filter = section(counts.filter_blocks, BLOCK_BYTES)?;
        let shorts = section(counts.shorts.buckets()?, short_bucket_bytes)?;
        let longs = section(counts.longs.buckets()?, long_bucket_bytes)?;
        let records = section(counts.records, RECORD_BYTES)?;
        let references = section(counts.references, NUMBER_BYTES)?;
        let string_offsets = section(counts.strings.checked_add(1)?, NUMBER_BYTES)?;
        let blob = section(counts.blob_bytes, 1)?;
        let body_bytes = blob.end.checked_next_multiple_of(ALIGN)?;
        let digests = section(body_bytes.div_ceil(CHUNK_BYTES), DIGEST_BYTES)?;
        let root = digests.end..digests.end.checked_add(DIGEST_BYTES)?;
        Some(Self { counts, filter, shorts, longs, records, references, string_offsets, blob, digests, root })
    }

    /// Length of the whole file.
    pub(super) const fn len(&self) -> usize {
        self.root.end
    }
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

/// A hash scaled to `0..count`, and what is left of it for a further choice; equally likely everywhere, and the first
/// not decreasing in `hash`.
#[inline]
pub(super) fn scaled(hash: u64, count: usize) -> (usize, u64) {
    let product = u128::from(hash) * count as u128;
    let [low, high] =
        [0, 64].map(|shift| u64::try_from((product >> shift) & u128::from(u64::MAX)).unwrap_or(0));
    (usize::try_from(high).unwrap_or(0), low)
}
