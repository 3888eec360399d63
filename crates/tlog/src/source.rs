//! Reading tiles: the port through which proofs and audits see a stored log, and the one place that checks shapes.

use std::{collections::BTreeMap, io};

use crate::{
    bundle::{BundleCutShort, BundleEntries},
    hash::{HASH_BYTES, Hash},
    tile::{TileId, TileKind, hashes_of},
};

/// Where the files of a log are read from: a directory, a server, memory.
///
/// What it returns is not trusted; everything read is checked against a checkpoint.
pub trait TileSource {
    /// The file at `path` below the log's prefix (`checkpoint`, `tile/0/000`), or none if there is no such file.
    ///
    /// Implementations must not return more than [`BUNDLE_BYTES_MAX`](crate::BUNDLE_BYTES_MAX) + 1 bytes: a longer
    /// file is malformed whatever follows.
    ///
    /// # Errors
    /// Whatever kept an existing file from being read.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
}

impl<S: TileSource + ?Sized> TileSource for &S {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        (**self).read(path)
    }
}

/// A log held in memory.
impl TileSource for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(path).cloned())
    }
}

/// Why a tile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bundle ends within an entry.
    #[error("{path}: bundle ends within entry {record}, which starts at byte {offset}")]
    CutShort {
        /// The file.
        path: String,
        /// Index in the log of the unfinished entry.
        record: u64,
        /// Where it starts, in bytes.
        offset: usize,
    },
    /// There is no such file.
    #[error("{path}: missing")]
    Missing {
        /// The file.
        path: String,
    },
    /// The bundle has another number of entries than its name says.
    #[error("{path}: holds {got} entries, {expected} expected")]
    WrongCount {
        /// The file.
        path: String,
        /// Entries expected.
        expected: usize,
        /// Entries found; counting stops one beyond the expected number.
        got: usize,
    },
    /// The hash tile has another length than its name says.
    #[error("{path}: {got} bytes long, {expected} expected")]
    WrongLength {
        /// The file.
        path: String,
        /// Length expected, in bytes.
        expected: usize,
        /// Length found, in bytes.
        got: usize,
    },
    /// The file exists but the source could not read it.
    #[error("{path}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the source said.
        reason: String,
    },
}

/// Reads one file.
pub(crate) fn read_file(source: &impl TileSource, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
    source
        .read(path)
        .map_err(|error| ReadError::Unreadable { path: path.to_owned(), reason: error.to_string() })
}

/// Reads a tile, or the full tile in its place: a log may drop a partial tile once the full one exists.
pub(crate) fn read_widest(source: &impl TileSource, id: TileId) -> Result<(TileId, Vec<u8>), ReadError> {
    let path = id.to_string();
    if let Some(bytes) = read_file(source, &path)? {
        return Ok((id, bytes));
    }
    if id.is_partial()
        && let Some(bytes) = read_file(source, &id.full().to_string())?
    {
        return Ok((id.full(), bytes));
    }
    Err(ReadError::Missing { path })
}

/// The hashes of a hash tile, as many as `id` asks for.
pub(crate) fn read_hashes(source: &impl TileSource, id: TileId) -> Result<Vec<Hash>, ReadError> {
    let (found, bytes) = read_widest(source, id)?;
    let expected = usize::from(found.width()) * HASH_BYTES;
    match hashes_of(&bytes) {
        Some(mut hashes) if bytes.len() == expected => {
            hashes.truncate(usize::from(id.width()));
            Ok(hashes)
        }
        _ => Err(ReadError::WrongLength { path: found.to_string(), expected, got: bytes.len() }),
    }
}

/// The bytes of an entry bundle, checked to be as many entries as `id` asks for and nothing else.
pub(crate) fn read_bundle(source: &impl TileSource, id: TileId) -> Result<Bundle, ReadError> {
    let (found, bytes) = read_widest(source, id)?;
    check_bundle(id, found, bytes)
}

/// Checks the form of a bundle file and cuts it to the entries that `id` asks for.
pub(crate) fn check_bundle(id: TileId, found: TileId, mut bytes: Vec<u8>) -> Result<Bundle, ReadError> {
    let mut ends = entry_ends(found, &bytes)?;
    ends.truncate(usize::from(id.width()));
    bytes.truncate(ends.last().copied().unwrap_or(0));
    Ok(Bundle { bytes, ends })
}

/// Where each entry of a bundle file ends; an error unless they are as many as the file's name says and nothing else.
pub(crate) fn entry_ends(found: TileId, bytes: &[u8]) -> Result<Vec<usize>, ReadError> {
    let expected = usize::from(found.width());
    let mut ends = Vec::with_capacity(expected);
    let mut entries = BundleEntries::new(bytes);
    while let Some(entry) = entries.next() {
        if let Err(BundleCutShort { offset }) = entry {
            let record = found.first_item().saturating_add(ends.len() as u64);
            return Err(ReadError::CutShort { path: found.to_string(), record, offset });
        }
        ends.push(entries.offset());
        if ends.len() > expected {
            break;
        }
    }
    if ends.len() == expected {
        Ok(ends)
    } else {
        Err(ReadError::WrongCount { path: found.to_string(), expected, got: ends.len() })
    }
}

/// A bundle whose shape has been checked.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) bytes: Vec<u8>,
    /// Where each entry ends.
    ends: Vec<usize>,
}

impl Bundle {
    /// The entries in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start + 2..*end).unwrap_or_default())
    }
}

/// Reads one entry of a log of `size` entries. The entry is not trusted until its hash is proven.
///
/// # Errors
/// [`ReadError`]; an index beyond the log is a missing file.
pub fn read_entry(source: &impl TileSource, index: u64, size: u64) -> Result<Vec<u8>, ReadError> {
    let missing = || ReadError::Missing { path: format!("entry {index} of a log of {size}") };
    let slot = index % u64::from(crate::tile::TILE_WIDTH);
    let bundle = index / u64::from(crate::tile::TILE_WIDTH);
    let id = TileId::in_tree(TileKind::Entries, bundle, size).filter(|_| index < size).ok_or_else(missing)?;
    let bundle = read_bundle(source, id)?;
    bundle.entries().nth(usize::try_from(slot).unwrap_or(usize::MAX)).map(<[u8]>::to_vec).ok_or_else(missing)
}
