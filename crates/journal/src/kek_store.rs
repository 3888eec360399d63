//! Where the KEK file lives: beside the data directory, never inside it.

use std::{io, path::Path, sync::Arc};

use crypto::Secret;
use keyring::KekFile;

use crate::disk::{self, Disk, RealDisk};

/// Longest KEK file, in bytes.
const KEK_FILE_BYTES_MAX: u64 = 1024;

/// The port to the KEK file.
///
/// [`KekStore::save`] replaces the whole text at once and is durable on return: a crash leaves the old or the new
/// text. Called only while a rotation runs, by one thread at a time.
pub trait KekStore: Send + Sync + std::fmt::Debug {
    /// The text of the file.
    ///
    /// # Errors
    /// As the storage reports; `NotFound` if there is no file.
    fn load(&self) -> io::Result<Secret<String>>;

    /// Replaces the text.
    ///
    /// # Errors
    /// As the storage reports.
    fn save(&self, text: &Secret<String>) -> io::Result<()>;
}

/// A KEK file on a [`Disk`]; on the real one it has mode 0600.
#[derive(Debug, Clone)]
pub struct DiskKek {
    disk: Arc<dyn Disk>,
    path: String,
}

impl DiskKek {
    /// The file `path` on `disk`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, path: impl Into<String>) -> Self {
        Self { disk, path: path.into() }
    }

    /// The file at `path` of the operating system; its directory must exist.
    ///
    /// # Errors
    /// `InvalidInput` if the path names no file in UTF-8, else as the operating system reports.
    pub fn at(path: &Path) -> io::Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Ok(Self::new(Arc::new(RealDisk::existing(dir)?), name))
    }

    /// Writes a new file with one fresh KEK.
    ///
    /// # Errors
    /// `AlreadyExists` if there is one: overwriting it would lose every payload.
    pub fn create(&self) -> io::Result<()> {
        match self.load() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.save(&KekFile::generate(crypto::random::array()).to_text())
            }
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) => Err(error),
        }
    }
}

impl KekStore for DiskKek {
    fn load(&self) -> io::Result<Secret<String>> {
        let bytes = Secret::new(disk::read(&*self.disk, &self.path, KEK_FILE_BYTES_MAX)?);
        let text = std::str::from_utf8(bytes.expose()).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Secret::new(text.to_owned()))
    }

    fn save(&self, text: &Secret<String>) -> io::Result<()> {
        disk::replace(&*self.disk, &self.path, text.expose().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimDisk;

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let kek = DiskKek::new(Arc::new(SimDisk::new(1)), "data.kek");
        assert_eq!(kek.load().unwrap_err().kind(), io::ErrorKind::NotFound);
        kek.create().unwrap();
        let text = kek.load().unwrap();
        KekFile::parse(text.expose()).unwrap();
        assert_eq!(kek.create().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(kek.load().unwrap().expose(), text.expose());
    }
}
