//! Building a segment. Memory: 72 bytes per address while collecting and grouping, plus the finished segment (about 40).

use std::collections::HashMap;

use crypto::{Sha256, sha256};
use domain::UnixNanos;

use super::{
    CHUNK_BYTES, ENTRIES_MAX, Field, Key, LABELS_PER_ADDRESS_MAX, LONG_BUCKET, LONG_FIELD, LONG_PAYLOAD,
    LONG_SLOT, OPAQUE_TAG, SHORT_BUCKET, SHORT_FIELD, SHORT_SLOT, STRING_BYTES_MAX, ShortField, filter,
    hash_long,
    layout::{
        Counts, DIGEST_BYTES, HEADER_BYTES, Layout, MAGIC_PREFIX, N_COUNTS, NUMBER_BYTES, RECORD_BYTES,
        VERSION, header, index,
    },
    table::{self, Shape, number_of},
};
use crate::label::Label;

/// Hash keys tried before building is given up. Each fails for less than one list in a million.
const HASH_KEYS_MAX: usize = 16;

/// What a segment cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No hash key tried spreads the addresses well enough.
    #[error("the addresses find no place under {HASH_KEYS_MAX} different hash keys")]
    Crowded,
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
    shorts: Vec<Pending<SHORT_FIELD>>,
    longs: Vec<Pending<LONG_FIELD>>,
}

/// One (key, label) pair. Ordered by hash, then key, then record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pending<const FIELD: usize> {
    /// Upper and lower half, so that no space is lost to alignment.
    hash: [u32; 2],
    field: [u8; FIELD],
    record: u32,
}

impl<const FIELD: usize> Pending<FIELD> {
    const fn hash(&self) -> u64 {
        let [upper, lower] = self.hash;
        (upper as u64) << 32 | lower as u64
    }

    fn set_hash(&mut self, hash: u64) {
        let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
        self.hash = [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])];
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
            shorts: Vec::new(),
            longs: Vec::new(),
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
        let field = match key.field() {
            Field::Spelled(text, len) => {
                let mut field = [0; LONG_FIELD];
                put(&mut field, 0, &self.strings.intern(&text)?.to_le_bytes());
                put(&mut field, LONG_PAYLOAD, &[key.tag(), len]);
                Field::Long(field)
            }
            inline => inline,
        };
        let next = u32::try_from(self.records.len()).map_err(|_| BuildError::TooMuchText)?;
        let record = *self.records.entry(record).or_insert(next);
        match field {
            Field::Short(field) => {
                self.shorts.push(Pending { hash: [0; 2], field: field.to_bytes(), record });
            }
            Field::Long(field) => self.longs.push(Pending { hash: [0; 2], field, record }),
            Field::Spelled(..) => {}
        }
        Ok(())
    }

    /// Labels added so far, repeated ones included.
    #[must_use]
    pub const fn label_count(&self) -> usize {
        self.shorts.len() + self.longs.len()
    }

    /// The finished segment.
    ///
    /// # Errors
    /// [`BuildError`] when a bound of the format is exceeded.
    pub fn finish(mut self) -> Result<Vec<u8>, BuildError> {
        for _ in 0..HASH_KEYS_MAX {
            if let Some(segment) = self.assemble()? {
                return Ok(segment);
            }
            // Some keys crowd each other under this hash; the next one is as unknown as the first.
            let next = sha256(&[b"next hash key", &self.hash_key]);
            self.hash_key = next.first_chunk().copied().unwrap_or(self.hash_key);
        }
        Err(BuildError::Crowded)
    }

    /// The segment under the present hash key; `None` when some keys find no place under it.
    fn assemble(&mut self) -> Result<Option<Vec<u8>>, BuildError> {
        let Self { hash_key, strings, shorts, longs, .. } = self;
        for pending in &mut *shorts {
            pending.set_hash(ShortField::from_bytes(&pending.field).hash(hash_key));
        }
        for pending in &mut *longs {
            let tag = pending.field.get(LONG_PAYLOAD).copied().unwrap_or(0);
            let len = pending.field.get(LONG_PAYLOAD + 1).copied().map_or(0, usize::from);
            pending.set_hash(match pending.field.get(..len) {
                Some(payload) if len <= LONG_PAYLOAD => hash_long(hash_key, payload, tag),
                _ => hash_long(hash_key, strings.text(number_of::<0>(&pending.field)).as_bytes(), tag),
            });
        }
        // In the order of hashes equal keys fall together, then equal pairs; that of the source leaves no trace.
        let mut sets = Sets { n_records: self.records.len(), ..Sets::default() };
        let shorts = group(&mut self.shorts, &mut sets)?;
        let longs = group(&mut self.longs, &mut sets)?;
        let entries = shorts.len() + longs.len();
        if entries > ENTRIES_MAX {
            return Err(BuildError::TooManyAddresses);
        }
        let texts = longs.iter().filter(|entry| entry.field.get(LONG_PAYLOAD) == Some(&OPAQUE_TAG)).count();
        let counts = Counts {
            filter_blocks: filter::blocks_for(entries),
            shorts: Shape::for_keys(shorts.len(), SHORT_BUCKET / SHORT_SLOT),
            longs: Shape::for_keys(longs.len(), LONG_BUCKET / LONG_SLOT),
            addresses: entries - texts,
            texts,
            records: self.records.len(),
            references: sets.references.len(),
            strings: self.strings.offsets.len(),
            blob_bytes: self.strings.blob.len(),
        };
        let layout = Layout::new(counts, SHORT_BUCKET, LONG_BUCKET).ok_or(BuildError::TooMuchText)?;
        let mut out = vec![0; layout.len()];
        let bits = out.get_mut(layout.filter.clone()).unwrap_or(&mut []);
        shorts
            .iter()
            .map(Entry::hash)
            .chain(longs.iter().map(Entry::hash))
            .for_each(|hash| filter::add(bits, hash));
        let placed = fill::<SHORT_BUCKET, SHORT_SLOT, SHORT_FIELD>(
            &shorts,
            counts.shorts,
            out.get_mut(layout.shorts.clone()).unwrap_or(&mut []),
        )
        .and_then(|()| {
            fill::<LONG_BUCKET, LONG_SLOT, LONG_FIELD>(
                &longs,
                counts.longs,
                out.get_mut(layout.longs.clone()).unwrap_or(&mut []),
            )
        });
        if placed.is_none() {
            return Ok(None);
        }
        self.write_rest(&mut out, &layout, &sets.references)?;
        Ok(Some(out))
    }

    /// Everything but the filter and the tables.
    fn write_rest(&self, out: &mut [u8], layout: &Layout, references: &[u32]) -> Result<(), BuildError> {
        const { assert!(header::COUNTS + 8 * N_COUNTS <= HEADER_BYTES) };
        put(out, 0, &MAGIC_PREFIX);
        put(out, MAGIC_PREFIX.len(), &VERSION);
        put(out, header::HASH_KEY, &self.hash_key);
        put(out, header::IMPORTED_AT, &self.imported_at.0.to_le_bytes());
        put(out, header::SOURCE_SHA256, &self.source_sha256);
        for (idx, count) in layout.counts.as_array().into_iter().enumerate() {
            put(out, header::COUNTS + 8 * idx, &(count as u64).to_le_bytes());
        }
        for (record, number) in &self.records {
            put(out, layout.records.start + index(*number) * RECORD_BYTES, &record.to_bytes());
        }
        write_numbers(out, layout.references.start, references);
        write_numbers(out, layout.string_offsets.start, &self.strings.offsets);
        let end = u32::try_from(self.strings.blob.len()).map_err(|_| BuildError::TooMuchText)?;
        put(out, layout.string_offsets.end - NUMBER_BYTES, &end.to_le_bytes());
        put(out, layout.blob.start, &self.strings.blob);
        seal(out, layout);
        Ok(())
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("labels", &self.label_count()).finish_non_exhaustive()
    }
}

/// Sets of several records, each once.
#[derive(Default)]
struct Sets {
    n_records: usize,
    numbers: HashMap<Box<[u32]>, u32>,
    references: Vec<u32>,
}

impl Sets {
    /// The label number of a set: the record's own for one record.
    fn number(&mut self, records: &[u32]) -> Result<u32, BuildError> {
        if let [record] = records {
            return Ok(*record);
        }
        if let Some(number) = self.numbers.get(records) {
            return Ok(*number);
        }
        if records.len() > LABELS_PER_ADDRESS_MAX {
            return Err(BuildError::TooManyLabels { got: records.len() });
        }
        let number =
            u32::try_from(self.n_records + self.references.len()).map_err(|_| BuildError::TooMuchText)?;
        self.references.push(u32::try_from(records.len()).map_err(|_| BuildError::TooMuchText)?);
        self.references.extend_from_slice(records);
        self.numbers.insert(records.into(), number);
        Ok(number)
    }
}

/// A key with the number of its labels: like [`Pending`], each key once.
type Entry<const FIELD: usize> = Pending<FIELD>;

/// Sorts the pairs and makes one entry of those of each key.
fn group<const FIELD: usize>(
    pending: &mut Vec<Pending<FIELD>>,
    sets: &mut Sets,
) -> Result<Vec<Entry<FIELD>>, BuildError> {
    pending.sort_unstable();
    pending.dedup();
    let mut entries = Vec::with_capacity(pending.len());
    let mut records = Vec::new();
    for same in pending.chunk_by(|a, b| (a.hash, a.field) == (b.hash, b.field)) {
        records.clear();
        records.extend(same.iter().map(|pending| pending.record));
        if let Some(first) = same.first() {
            entries.push(Pending { record: sets.number(&records)?, ..*first });
        }
    }
    Ok(entries)
}

/// Writes the entries, which are in the order of hashes, into `table`; `None` when some find no place.
fn fill<const BUCKET: usize, const SLOT: usize, const FIELD: usize>(
    entries: &[Entry<FIELD>],
    shape: Shape,
    table: &mut [u8],
) -> Option<()> {
    let (buckets, _) = table.as_chunks_mut::<BUCKET>();
    let mut hashes = Vec::new();
    for same in entries.chunk_by(|a, b| shape.partition_of(a.hash()) == shape.partition_of(b.hash())) {
        hashes.clear();
        hashes.extend(same.iter().map(Entry::hash));
        let first = shape.partition_of(*hashes.first()?) * shape.partition_buckets;
        let slots = table::place(&hashes, shape, BUCKET / SLOT)?;
        for (bucket, keys) in buckets.get_mut(first..)?.iter_mut().zip(slots.chunks(BUCKET / SLOT)) {
            for (slot, key) in bucket.as_chunks_mut::<SLOT>().0.iter_mut().zip(keys) {
                if let Some(entry) = key.and_then(|key| same.get(key)) {
                    put(slot, 0, &entry.field);
                    put(slot, FIELD, &entry.record.to_le_bytes());
                }
            }
        }
    }
    Some(())
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
