//! The port to storage, and what it promises.
//!
//! Paths are relative, with `/` between parts. All calls may come from several threads.
//!
//! **What is durable when.** A write is visible to reads at once and durable once a later [`DiskFile::sync`] of the
//! same file has returned `Ok`. Until then a power cut may keep any subset of the 512-byte sectors written, in any
//! order, each wholly old or wholly new; lost sectors of a grown file read as zeroes or lie beyond its end. A name
//! (create, rename, remove) is durable once a later [`Disk::sync_dir`] of its directory has returned `Ok`; names
//! become durable in the order they were made. After a failed sync nothing is known about the writes before it, and
//! trying again does not help: the caller must stop and recover from what a fresh start reads.

use std::{fmt, io, sync::Arc};

pub use self::{
    real::RealDisk,
    sim::{Injected, SimDisk},
};

mod real;
mod sim;

/// Unit a power cut leaves whole.
pub const SECTOR_BYTES: usize = 512;

/// A tree of files.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a new, empty file that only this user can read; an error if the name exists.
    ///
    /// # Errors
    /// As the storage reports.
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a directory; no error if it exists.
    ///
    /// # Errors
    /// As the storage reports.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Names of the files in a directory, sorted; without directories.
    ///
    /// # Errors
    /// As the storage reports; `NotFound` if there is no such directory.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Holds a lock that excludes every other holder, in this process or another, until dropped. Makes the file if
    /// needed.
    ///
    /// # Errors
    /// `WouldBlock` if it is held, else as the storage reports.
    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// As the storage reports; `NotFound` if there is no such file.
    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the storage reports.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Renames a file within its directory, replacing what has the name: readers see the old or the new content.
    ///
    /// # Errors
    /// As the storage reports.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the names in a directory durable; `""` is the root.
    ///
    /// # Errors
    /// As the storage reports.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Its length, in bytes.
    ///
    /// # Errors
    /// As the storage reports.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// As the storage reports.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads from `offset` until `buffer` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// As the storage reports.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Cuts the file, or lengthens it with zeroes.
    ///
    /// # Errors
    /// As the storage reports.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// As the storage reports.
    fn sync(&self) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, lengthening the file as needed.
    ///
    /// # Errors
    /// As the storage reports; part of the bytes may then have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// A lock that is held.
pub trait DiskLock: Send + Sync + fmt::Debug {}

/// Reads a whole file.
///
/// # Errors
/// As the storage reports; `FileTooLarge` above `bytes_max`.
pub fn read(disk: &dyn Disk, path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = file.len()?;
    let fits = usize::try_from(len).ok().filter(|_| len <= bytes_max);
    let mut bytes = vec![0; fits.ok_or(io::ErrorKind::FileTooLarge)?];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a file's content at once: afterwards, and after a crash at any moment, it is wholly old or wholly new.
/// Durable on return. Uses the name with `.new` added, which a crash may leave behind.
///
/// # Errors
/// As the storage reports.
pub fn replace(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<()> {
    let staged = format!("{path}.new");
    match disk.remove(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&staged)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(&staged, path)?;
    disk.sync_dir(parent(path))
}

/// The directory part of a path; `""` for the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
