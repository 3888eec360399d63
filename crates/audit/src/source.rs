//! Where the files of a log are read from: the journal's storage, or a directory.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use journal::disk::{self, Disk};
use tlog::{BUNDLE_BYTES_MAX, TileSource};

/// Longest file that a log can have, in bytes; anything longer is malformed.
const FILE_BYTES_MAX: u64 = BUNDLE_BYTES_MAX as u64;

/// A log under a prefix of a [`Disk`].
#[derive(Debug, Clone, Copy)]
pub struct DiskSource<'a> {
    disk: &'a dyn Disk,
    prefix: &'a str,
}

impl<'a> DiskSource<'a> {
    /// The log in directory `prefix`.
    #[must_use]
    pub const fn new(disk: &'a dyn Disk, prefix: &'a str) -> Self {
        Self { disk, prefix }
    }
}

impl TileSource for DiskSource<'_> {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        found(disk::read(self.disk, &format!("{}/{path}", self.prefix), FILE_BYTES_MAX))
    }
}

/// A log in a directory of the operating system, opened for reading only.
#[derive(Debug, Clone)]
pub struct DirSource {
    root: PathBuf,
}

impl DirSource {
    /// The log in directory `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl TileSource for DirSource {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = found(File::open(self.root.join(path)))? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
