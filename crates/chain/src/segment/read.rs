//! Reading a segment.

use std::{fmt, ops::Range};

use crypto::{Sha256, sha256};
use domain::{Address, AddressKind, UnixNanos, Verdict};

use super::{
    CHUNK_BYTES, ENTRIES_MAX, Field, HEADER_BYTES, Key, LONG_BUCKET, LONG_FIELD, LONG_PAYLOAD, LONG_SLOT,
    OPAQUE_TAG, SHORT_BUCKET, SHORT_FIELD, SHORT_PAYLOAD, SHORT_SLOT, filter, hash_long,
    layout::{
        Counts, DIGEST_BYTES, Layout, MAGIC_PREFIX, N_COUNTS, NUMBER_BYTES, RECORD_BYTES, VERSION, header,
        index, u32_at, u64_at,
    },
    table::{self, number_of},
};
use crate::label::{Category, Confidence, Label};

/// Addresses of which the memory is asked for at once; one bit each of a `u32`.
const BATCH: usize = 32;

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
    #[error("this is not a label segment")]
    Magic,
    /// A segment of a version this build does not read.
    #[error(
        "this is a label segment of format version {found}, this build reads version 3; take the directory of lists away \
         and import them again, until then screening is refused"
    )]
    Version {
        /// The two digits of the version.
        found: String,
    },
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
        match all.strip_prefix(&MAGIC_PREFIX).and_then(<[u8]>::first_chunk) {
            Some(&VERSION) => {}
            Some([a, b]) if a.is_ascii_digit() && b.is_ascii_digit() => {
                return Err(SegmentError::Version { found: format!("{}{}", char::from(*a), char::from(*b)) });
            }
            _ => return Err(SegmentError::Magic),
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
        let entries = counts.addresses.checked_add(counts.texts).ok_or(SegmentError::Header)?;
        if entries > ENTRIES_MAX || !counts.shorts.is_sound() || !counts.longs.is_sound() {
            return Err(SegmentError::Header);
        }
        let layout = Layout::new(counts, SHORT_BUCKET, LONG_BUCKET).ok_or(SegmentError::Header)?;
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

    /// What is said about `key`, in a stable order; empty if nothing is. Constant expected time; no allocation, but for
    /// payloads above 32 bytes.
    #[inline]
    pub fn claims(&self, key: Key<'_>) -> Claims<'_, B> {
        match self.find(key) {
            Some(number) => self.claims_of(number),
            None => Claims { segment: self, next: 0, end: 0, via_references: false },
        }
    }

    /// Like [`Segment::claims`], with the texts read.
    pub fn labels(&self, key: Key<'_>) -> impl Iterator<Item = Label<'_>> {
        self.claims(key).filter_map(|claim| claim.label())
    }

    /// Calls `found` with the position and the claims of every address of `addresses` something is said about.
    ///
    /// Many times faster than asking one by one where most addresses are clean: the processor waits for the memory of
    /// several at once.
    pub fn for_each_listed<'s>(&'s self, addresses: &[Address], mut found: impl FnMut(usize, Claims<'s, B>)) {
        let filter = self.bytes.as_ref().get(self.layout.filter.clone()).unwrap_or(&[]);
        let mut asked = [None; BATCH];
        for (batch, first) in addresses.chunks(BATCH).zip((0..).step_by(BATCH)) {
            // Hashing first: it would stand between one question to memory and the next.
            for (asked, address) in asked.iter_mut().zip(batch) {
                *asked = match Key::Address(address).field() {
                    Field::Short(field) => Some(field.hash(&self.hash_key)),
                    _ => None,
                };
            }
            let mut candidates = 0u32;
            for (bit, asked) in (0..).zip(asked.iter().take(batch.len())) {
                let may_have = asked.is_none_or(|hash| filter::may_have(filter, hash));
                candidates |= u32::from(may_have) << bit;
            }
            while candidates != 0 {
                let bit = index(candidates.trailing_zeros());
                candidates &= candidates - 1;
                if let Some(address) = batch.get(bit)
                    && let Some(number) = self.find(Key::Address(address))
                {
                    found(first + bit, self.claims_of(number));
                }
            }
        }
    }

    /// Everything listed, with its claims; in an order that says nothing.
    pub fn entries(&self) -> impl Iterator<Item = (Listed<'_>, Claims<'_, B>)> {
        let table = |range: Range<usize>| self.bytes.as_ref().get(range).unwrap_or(&[]);
        let shorts = table(self.layout.shorts.clone())
            .as_chunks::<SHORT_BUCKET>()
            .0
            .iter()
            .flat_map(table::slots::<SHORT_BUCKET, SHORT_SLOT>)
            .filter_map(|slot| {
                let (payload, [tag, ..]) = slot.split_first_chunk::<SHORT_PAYLOAD>()? else { return None };
                let address = Address::new(AddressKind::from_tag(*tag)?, payload)?;
                Some((Listed::Address(address), self.claims_of(number_of::<SHORT_FIELD>(slot))))
            });
        let longs = table(self.layout.longs.clone())
            .as_chunks::<LONG_BUCKET>()
            .0
            .iter()
            .flat_map(table::slots::<LONG_BUCKET, LONG_SLOT>)
            .filter_map(|slot| Some((self.long_key(slot)?, self.claims_of(number_of::<LONG_FIELD>(slot)))));
        shorts.chain(longs)
    }

    /// The key in a long slot; `None` for an empty or damaged one.
    fn long_key(&self, slot: &[u8; LONG_SLOT]) -> Option<Listed<'_>> {
        let (payload, [tag, len, ..]) = slot.split_first_chunk::<LONG_PAYLOAD>()? else { return None };
        if *tag == 0 {
            return None;
        }
        if *tag == OPAQUE_TAG {
            return self.string(number_of::<0>(payload)).map(Listed::Text);
        }
        let kind = AddressKind::from_tag(*tag)?;
        let len = usize::from(*len);
        let address = if len <= LONG_PAYLOAD {
            Address::new(kind, payload.get(..len)?)?
        } else {
            let hex = self.string(number_of::<0>(payload))?.as_bytes();
            let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let bytes: Option<Vec<u8>> =
                hex.as_chunks::<2>().0.iter().map(|[a, b]| Some(digit(a)? << 4 | digit(b)?)).collect();
            Address::new(kind, &bytes?)?
        };
        Some(Listed::Address(address))
    }

    /// Whether `key` has an entry.
    #[inline]
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.find(key).is_some()
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

    /// The label number of `key`.
    #[inline]
    fn find(&self, key: Key<'_>) -> Option<u32> {
        match key.field() {
            Field::Short(field) => {
                let all = self.bytes.as_ref();
                // Straight to the table: to ask the filter first spares one line of memory where the address is
                // clean, and costs one more where it is listed. It pays where many are asked at once.
                let hash = field.hash(&self.hash_key);
                let table = all.get(self.layout.shorts.clone())?;
                table::find_words::<SHORT_BUCKET, SHORT_SLOT, _>(
                    table,
                    self.layout.counts.shorts,
                    hash,
                    field.0,
                )
            }
            other => self.find_long(key.tag(), &other),
        }
    }

    /// The same for what is not among the short slots.
    fn find_long(&self, tag: u8, field: &Field<'_>) -> Option<u32> {
        let all = self.bytes.as_ref();
        let filter = all.get(self.layout.filter.clone())?;
        match field {
            Field::Short(_) => None,
            Field::Long(field) => {
                let (payload, [tag, len, ..]) = field.split_at_checked(LONG_PAYLOAD)? else { return None };
                let hash = hash_long(&self.hash_key, payload.get(..usize::from(*len))?, *tag);
                if !filter::may_have(filter, hash) {
                    return None;
                }
                let table = all.get(self.layout.longs.clone())?;
                let shape = self.layout.counts.longs;
                table::find::<LONG_BUCKET, LONG_SLOT, LONG_FIELD>(table, shape, hash, field)
            }
            Field::Spelled(text, len) => {
                let hash = hash_long(&self.hash_key, text.as_bytes(), tag);
                if !filter::may_have(filter, hash) {
                    return None;
                }
                self.find_spelled(hash, text, [tag, *len])
            }
        }
    }

    /// The same for a key that stands among the strings.
    fn find_spelled(&self, hash: u64, text: &str, tag_and_len: [u8; 2]) -> Option<u32> {
        let (buckets, _) = self.bytes.as_ref().get(self.layout.longs.clone())?.as_chunks::<LONG_BUCKET>();
        let in_either = self.layout.counts.longs.buckets_of(hash);
        in_either
            .into_iter()
            .filter_map(|bucket| buckets.get(bucket))
            .flat_map(table::slots::<LONG_BUCKET, LONG_SLOT>)
            .find(|slot| {
                slot.get(LONG_PAYLOAD..).and_then(<[u8]>::first_chunk) == Some(&tag_and_len)
                    && self.string(number_of::<0>(*slot)) == Some(text)
            })
            .map(|slot| number_of::<LONG_FIELD>(slot))
    }

    /// The claims with a label number.
    #[inline]
    fn claims_of(&self, number: u32) -> Claims<'_, B> {
        let number = index(number);
        let Some(at) = number.checked_sub(self.layout.counts.records) else {
            return Claims { segment: self, next: number, end: number + 1, via_references: false };
        };
        let next = at.saturating_add(1);
        let count = self.reference(at).map_or(0, index);
        Claims { segment: self, next, end: next.saturating_add(count), via_references: true }
    }

    fn reference(&self, at: usize) -> Option<u32> {
        u32_at(self.bytes.as_ref().get(self.layout.references.clone())?, at.checked_mul(NUMBER_BYTES)?)
    }

    #[inline]
    fn claim(&self, number: usize) -> Option<Claim<'_, B>> {
        let (records, _) = self.bytes.as_ref().get(self.layout.records.clone())?.as_chunks::<RECORD_BYTES>();
        let record = records.get(number)?;
        let [category, confidence, ..] = *record;
        Some(Claim {
            segment: self,
            record,
            category: Category::from_tag(category)?,
            confidence: Confidence::from_tag(confidence)?,
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

/// What an entry of a segment is about; [`Key`] with the address at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed<'a> {
    /// An address whose codec is known.
    Address(Address),
    /// A text on a network without a codec here.
    Text(&'a str),
}

impl Listed<'_> {
    /// To look it up elsewhere.
    #[must_use]
    pub const fn key(&self) -> Key<'_> {
        match self {
            Self::Address(address) => Key::Address(address),
            Self::Text(text) => Key::Text(text),
        }
    }
}

/// One label, its texts not yet read.
pub struct Claim<'a, B> {
    segment: &'a Segment<B>,
    record: &'a [u8; RECORD_BYTES],
    category: Category,
    confidence: Confidence,
}

impl<'a, B: AsRef<[u8]>> Claim<'a, B> {
    /// What kind.
    #[must_use]
    pub const fn category(&self) -> Category {
        self.category
    }

    /// How surely.
    #[must_use]
    pub const fn confidence(&self) -> Confidence {
        self.confidence
    }

    /// What this label asks for.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.category.verdict_with(self.confidence)
    }

    /// The whole label; `None` only in a damaged segment.
    #[must_use]
    pub fn label(&self) -> Option<Label<'a>> {
        let string = |at| self.segment.string(u32_at(self.record, at)?);
        let time = |at| Some(Some(u64_at(self.record, at)?).filter(|nanos| *nanos != 0).map(UnixNanos));
        Some(Label {
            category: self.category,
            confidence: self.confidence,
            text: string(4)?,
            source: string(8)?,
            asset: string(12)?,
            licence: string(16)?,
            first_seen: time(24)?,
            last_seen: time(32)?,
        })
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Claim<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.label().fmt(f)
    }
}

/// The labels of one address, in a stable order.
pub struct Claims<'a, B> {
    segment: &'a Segment<B>,
    next: usize,
    end: usize,
    via_references: bool,
}

impl<'a, B: AsRef<[u8]>> Iterator for Claims<'a, B> {
    type Item = Claim<'a, B>;

    #[inline]
    fn next(&mut self) -> Option<Claim<'a, B>> {
        while self.next < self.end {
            let at = self.next;
            self.next += 1;
            let number = if self.via_references { index(self.segment.reference(at)?) } else { at };
            if let Some(claim) = self.segment.claim(number) {
                return Some(claim);
            }
        }
        None
    }
}

impl<B> fmt::Debug for Claims<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("count", &(self.end - self.next)).finish_non_exhaustive()
    }
}
