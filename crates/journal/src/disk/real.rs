//! Files under a root directory of the operating system.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{FlockOperation, flock};

use super::{Disk, DiskFile, DiskLock};

/// The real storage. Files are made with mode 0600, directories with 0700.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// Files under `root`, which is made if it does not exist (its parent must).
    ///
    /// # Errors
    /// As the operating system reports.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        match DirBuilder::new().mode(0o700).create(&root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self { root }),
        }
    }

    /// Files under `root`, which must exist.
    ///
    /// # Errors
    /// As the operating system reports.
    pub fn existing(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        if root.is_dir() { Ok(Self { root }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn full(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.full(path))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(self.full(path)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.full(dir))? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.full(path))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealLock { _file: file }))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.full(path))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.full(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.full(from), self.full(to))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.full(dir))?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}

/// The lock goes with the open file.
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl DiskLock for RealLock {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::disk::{read, replace};

    #[test]
    fn files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path().join("data")).unwrap();
        disk.create_dir("a").unwrap();
        disk.create_dir("a").unwrap();
        replace(&disk, "a/x", b"one").unwrap();
        replace(&disk, "a/x", b"two!").unwrap();
        assert_eq!(read(&disk, "a/x", 4).unwrap(), b"two!");
        assert_eq!(read(&disk, "a/x", 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(disk.list("a").unwrap(), ["x"]);
        let mode = |path: &str| disk.full(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a/x"), mode("a"), mode("")), (0o600, 0o700, 0o700));
        assert!(disk.create("a/x").is_err());
        assert!(RealDisk::existing(dir.path().join("none")).is_err());
    }

    #[test]
    fn a_lock_excludes_others_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path()).unwrap();
        let held = disk.lock("LOCK").unwrap();
        assert_eq!(disk.lock("LOCK").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        disk.lock("LOCK").unwrap();
    }
}
