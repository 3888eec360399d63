//! Shipping: keep the target equal to what is durable.

use std::{collections::BTreeSet, io, sync::Arc};

use domain::UnixNanos;
use journal::disk::{self, Disk};

use crate::manifest::{FileLine, MANIFEST, MANIFEST_BYTES_MAX, Manifest, ManifestError, SegmentLine};

/// Bytes copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes before the append point that must be equal in source and target.
const OVERLAP_BYTES: u64 = 4096;

/// Largest other file, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 30;

/// How often a file that changes under the reader is read again.
const READS_MAX: usize = 8;

/// Why nothing, or not everything, was shipped. The target's last manifest stays in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShipError {
    /// The target's bytes are not a prefix of the source's: one of them was restored, altered or swapped.
    #[error(
        "{path}: the target does not continue into the journal (at byte {offset}); choose an empty target"
    )]
    Diverged {
        /// Segment.
        path: String,
        /// Where they differ, at the latest.
        offset: u64,
    },
    /// The source kept changing while it was read.
    #[error("{path}: changed while it was read, {READS_MAX} times")]
    Moving {
        /// File.
        path: String,
    },
    /// The target holds the backup of another installation.
    #[error("target belongs to installation {found}, this one is {expected}")]
    OtherInstallation {
        /// In the target.
        found: String,
        /// Ours.
        expected: String,
    },
    /// Reading the data directory failed.
    #[error("read {path}: {error}")]
    Source {
        /// File.
        path: String,
        /// As the storage reports.
        error: io::Error,
    },
    /// The state to ship could not be taken.
    #[error("{0}")]
    Snapshot(String),
    /// Writing the target failed.
    #[error("target {path}: {error}")]
    Target {
        /// File.
        path: String,
        /// As the storage reports.
        error: io::Error,
    },
    /// The target's manifest is damaged.
    #[error("target {0}")]
    TargetManifest(#[from] ManifestError),
}

/// How far the journal is durable, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// Entries.
    pub entries: u64,
    /// RFC 6962 root over them.
    pub root: [u8; 32],
    /// Segments that hold them, in order, each cut behind its last durable entry.
    pub segments: Vec<SegmentLine>,
}

/// A file besides the journal.
pub struct SourceFile {
    /// Path in the data directory: one plain name or two.
    pub path: String,
    /// Digest of its content, where known: a file the target has is then not read at all.
    pub sha256: Option<[u8; 32]>,
    /// Its content, where it must be that of the moment of the snapshot; otherwise it is read from the disk.
    pub bytes: Option<Box<dyn AsRef<[u8]> + Send + Sync>>,
    /// Bytes of a record, for a file to which records are only appended, or changed in place; 0 for any other. What was appended
    /// while it was read is for the next shipment.
    pub record_bytes: usize,
}

impl std::fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Where the shipper learns what there is to ship. Implemented by the product over the journal.
pub trait Source: Send + Sync {
    /// The durable state now. Bytes of segments below the lengths given never change afterwards; files without
    /// content are read from the disk after this call. A data key is durable before the first entry it seals, so
    /// a key table read later holds the key of every entry counted here.
    ///
    /// # Errors
    /// In words.
    fn snapshot(&self) -> Result<(Durable, Vec<SourceFile>), String>;
}

/// What a shipment did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// Entries the target now holds.
    pub entries: u64,
    /// Bytes written.
    pub bytes: u64,
    /// RFC 3339.
    pub at: String,
}

/// Ships one data directory to one target.
pub struct Shipper {
    installation: String,
    from: Arc<dyn Disk>,
    source: Arc<dyn Source>,
    target: Arc<dyn Disk>,
    last: Option<Manifest>,
}

impl std::fmt::Debug for Shipper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shipper").field("installation", &self.installation).finish_non_exhaustive()
    }
}

impl Shipper {
    /// Opens a target, which is empty or holds an earlier backup of the same installation.
    ///
    /// # Errors
    /// [`ShipError`]; the target is untouched.
    pub fn open(
        installation: String,
        from: Arc<dyn Disk>,
        source: Arc<dyn Source>,
        target: Arc<dyn Disk>,
    ) -> Result<Self, ShipError> {
        let last = match read_manifest(&*target) {
            Ok(manifest) => Some(manifest),
            Err(ReadManifest::Absent) => None,
            Err(ReadManifest::Io(error)) => {
                return Err(ShipError::Target { path: MANIFEST.into(), error });
            }
            Err(ReadManifest::Malformed(error)) => return Err(error.into()),
        };
        if let Some(manifest) = &last
            && manifest.installation != installation
        {
            return Err(ShipError::OtherInstallation {
                found: manifest.installation.clone(),
                expected: installation,
            });
        }
        Ok(Self { installation, from, source, target, last })
    }

    /// What the target holds.
    #[must_use]
    pub const fn last(&self) -> Option<&Manifest> {
        self.last.as_ref()
    }

    /// Brings the target up to what is durable now; `None` when it was already.
    ///
    /// Stopping anywhere is safe: new bytes lie beyond the lengths of the manifest in force or under new names,
    /// and the manifest is replaced in one step at the end.
    ///
    /// # Errors
    /// [`ShipError`]; the earlier manifest stays in force.
    pub fn ship(&mut self, now: UnixNanos) -> Result<Option<Shipped>, ShipError> {
        let (durable, others) = self.source.snapshot().map_err(ShipError::Snapshot)?;
        let mut bytes = 0;
        for dir in ["journal", "files"] {
            self.target.create_dir(dir).map_err(|error| target(dir, error))?;
        }
        for segment in &durable.segments {
            bytes += self.ship_segment(segment)?;
        }
        let mut files = Vec::new();
        for file in &others {
            let (line, wrote) = self.ship_file(file)?;
            files.push(line);
            bytes += wrote;
        }
        let manifest = Manifest {
            installation: self.installation.clone(),
            shipped_at: now.to_string(),
            entries: durable.entries,
            root: durable.root,
            segments: durable.segments,
            files,
        };
        let unchanged = self.last.as_ref().is_some_and(|last| {
            (last.entries, &last.segments, &last.files)
                == (manifest.entries, &manifest.segments, &manifest.files)
        });
        if unchanged {
            return Ok(None);
        }
        for dir in ["journal", "files", ""] {
            self.target.sync_dir(dir).map_err(|error| target(dir, error))?;
        }
        disk::replace(&*self.target, MANIFEST, manifest.format().as_bytes())
            .map_err(|error| target(MANIFEST, error))?;
        self.drop_unreferenced(&manifest)?;
        let shipped = Shipped { entries: manifest.entries, bytes, at: manifest.shipped_at.clone() };
        self.last = Some(manifest);
        Ok(Some(shipped))
    }

    /// Appends what is new of one segment. Returns the bytes written.
    fn ship_segment(&self, segment: &SegmentLine) -> Result<u64, ShipError> {
        let path = &segment.path;
        let shipped = self
            .last
            .iter()
            .flat_map(|manifest| &manifest.segments)
            .find(|line| line.path == *path)
            .map_or(0, |line| line.len);
        if shipped == segment.len {
            return Ok(0);
        }
        if shipped > segment.len {
            return Err(ShipError::Diverged { path: path.clone(), offset: segment.len });
        }
        let from = self.from.open(path).map_err(|error| source(path, error))?;
        let to = match self.target.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.target.create(path),
            opened => opened,
        }
        .map_err(|error| target(path, error))?;
        // A cheap look back: bytes already shipped must be the ones now in the journal.
        let overlap = shipped.saturating_sub(OVERLAP_BYTES);
        let ours = read_range(&*from, overlap, shipped).map_err(|error| source(path, error))?;
        let theirs = read_range(&*to, overlap, shipped).map_err(|error| target(path, error))?;
        if ours != theirs {
            return Err(ShipError::Diverged { path: path.clone(), offset: overlap });
        }
        // Leftovers of a shipment that was cut off.
        to.set_len(shipped).map_err(|error| target(path, error))?;
        let mut at = shipped;
        while at < segment.len {
            let end = segment.len.min(at + CHUNK_BYTES as u64);
            let chunk = read_range(&*from, at, end).map_err(|error| source(path, error))?;
            to.write_at(at, &chunk).map_err(|error| target(path, error))?;
            at = end;
        }
        to.sync().map_err(|error| target(path, error))?;
        Ok(segment.len - shipped)
    }

    /// Stores one file by its content. Returns its line and the bytes written.
    fn ship_file(&self, file: &SourceFile) -> Result<(FileLine, u64), ShipError> {
        let path = &file.path;
        let known = file.sha256.and_then(|sha256| {
            let earlier = self.last.iter().flat_map(|manifest| &manifest.files);
            earlier.clone().find(|line| line.path == *path && line.sha256 == sha256)
        });
        if let Some(line) = known {
            return Ok((line.clone(), 0));
        }
        let read;
        let content: &[u8] = match &file.bytes {
            Some(bytes) => (**bytes).as_ref(),
            None => {
                read = self.read_still(path, file.record_bytes)?;
                &read
            }
        };
        let sha256 = crypto::sha256(&[content]);
        let line = FileLine { path: path.clone(), len: content.len() as u64, sha256 };
        let stored = stored_as(&line);
        match self.target.open(&stored) {
            Ok(file) if file.len().is_ok_and(|len| len == line.len) => return Ok((line, 0)),
            Ok(_) => self.target.remove(&stored).map_err(|error| target(&stored, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(target(&stored, error)),
        }
        disk::replace(&*self.target, &stored, content).map_err(|error| target(&stored, error))?;
        Ok((line, content.len() as u64))
    }

    /// Reads a file twice and takes it only when both are equal, or when the second only went on: the key table is written in
    /// place, and grows with every new subject.
    fn read_still(&self, path: &str, record_bytes: usize) -> Result<Vec<u8>, ShipError> {
        let read = || disk::read(&*self.from, path, FILE_BYTES_MAX).map_err(|error| source(path, error));
        let mut before = read()?;
        for _ in 0..READS_MAX {
            let again = read()?;
            if let Some(still) = still(&before, &again, record_bytes) {
                return Ok(still.to_vec());
            }
            before = again;
        }
        Err(ShipError::Moving { path: path.to_owned() })
    }

    /// Removes files no manifest names: among them key tables that still held erased keys.
    fn drop_unreferenced(&self, manifest: &Manifest) -> Result<(), ShipError> {
        let kept: BTreeSet<String> = manifest.files.iter().map(|line| hex::encode(line.sha256)).collect();
        let names = self.target.list("files").map_err(|error| target("files", error))?;
        let mut dropped = false;
        for name in names.into_iter().filter(|name| !kept.contains(name)) {
            let path = format!("files/{name}");
            self.target.remove(&path).map_err(|error| target(&path, error))?;
            dropped = true;
        }
        if dropped {
            self.target.sync_dir("files").map_err(|error| target("files", error))?;
        }
        Ok(())
    }
}

/// What two reads in a row agree on, if that is a whole file: all of it, or all whole records of the first when the second only
/// went on.
pub(crate) fn still<'b>(before: &'b [u8], again: &[u8], record_bytes: usize) -> Option<&'b [u8]> {
    if before == again {
        return Some(before);
    }
    // The last record may have been caught half written.
    let half = before.len().checked_rem(record_bytes)?;
    if again.starts_with(before) { before.get(..before.len() - half) } else { None }
}

pub(crate) enum ReadManifest {
    Absent,
    Io(io::Error),
    Malformed(ManifestError),
}

pub(crate) fn read_manifest(target: &dyn Disk) -> Result<Manifest, ReadManifest> {
    let bytes = match disk::read(target, MANIFEST, MANIFEST_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadManifest::Absent),
        Err(error) => return Err(ReadManifest::Io(error)),
    };
    let text = String::from_utf8(bytes).map_err(|_| ReadManifest::Malformed(ManifestError::Checksum))?;
    Manifest::parse(&text).map_err(ReadManifest::Malformed)
}

/// Name of a file in the target.
pub(crate) fn stored_as(line: &FileLine) -> String {
    format!("files/{}", hex::encode(line.sha256))
}

/// Exactly the bytes `from..to`.
pub(crate) fn read_range(file: &dyn disk::DiskFile, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(to.saturating_sub(from)).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    if file.read_at(from, &mut bytes)? == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn source(path: &str, error: io::Error) -> ShipError {
    ShipError::Source { path: path.to_owned(), error }
}

fn target(path: &str, error: io::Error) -> ShipError {
    ShipError::Target { path: path.to_owned(), error }
}
