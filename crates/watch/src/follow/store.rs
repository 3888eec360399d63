//! Where a follower's state is kept: one file, replaced as a whole or made longer.

use std::{
    fmt, fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use super::state::{self, BadState};

/// Longest state read: all that its bounds allow is below 150 MiB, and steps behind it are hardly longer.
const BYTES_MAX: u64 = 512 << 20;
/// What the names of states end with.
const SUFFIX: &str = ".state";

/// Why a state could not be loaded or stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What was loaded is not what was stored. Remove the file to follow from `start` again: alerts of its blocks are
    /// then told anew, under the same ids.
    #[error("{} is damaged: {fault}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How it is damaged.
        fault: BadState,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The port to durable memory for one state.
pub trait StateStore: Send + Sync + fmt::Debug {
    /// What was stored last; `None` before the first time.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces it. Durable on return; after an error or a crash either the old or the new bytes are loaded.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn save(&self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Puts more behind what was saved, which has so many bytes. Durable on return; after an error or a crash all, a part or nothing of it may be there, and
    /// whoever goes on saves the whole.
    ///
    /// # Errors
    /// [`StoreError::Io`], also if nothing was saved since the start, or something of another length.
    fn append(&self, behind: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Where it is, for messages.
    fn place(&self) -> PathBuf;
}

/// A file beside others of its kind; the directory is created when needed, with no rights for others.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    /// What was saved since the start, and how long it is.
    saved: Mutex<Option<(fs::File, u64)>>,
}

impl FileStore {
    /// The state of a chain in a directory.
    #[must_use]
    pub fn new(dir: &Path, chain: &str) -> Self {
        Self { path: dir.join(format!("{chain}{SUFFIX}")), saved: Mutex::default() }
    }

    fn io(&self, source: io::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), source }
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<fs::File> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let temporary = self.path.with_extension("state.tmp");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        // If we stop before the rename is durable, the old state is loaded; it was complete.
        fs::rename(&temporary, &self.path)?;
        fs::File::open(dir)?.sync_all()?;
        Ok(file)
    }
}

impl StateStore for FileStore {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        match fs::File::open(&self.path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|error| self.io(error))?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
        }
    }

    fn save(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut saved = self.saved.lock();
        *saved = None;
        let file = self.replace(bytes).map_err(|error| self.io(error))?;
        *saved = Some((file, u64::try_from(bytes.len()).unwrap_or(u64::MAX)));
        Ok(())
    }

    fn append(&self, behind: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut saved = self.saved.lock();
        // After an error nothing is put behind what may be a part.
        let Some((file, len)) = saved.take().filter(|(_, len)| *len == behind) else {
            return Err(self.io(io::Error::other("nothing was saved that more could be put behind")));
        };
        file.write_all_at(bytes, len).and_then(|()| file.sync_data()).map_err(|error| self.io(error))?;
        *saved = Some((file, len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX))));
        Ok(())
    }

    fn place(&self) -> PathBuf {
        self.path.clone()
    }
}

/// Memory that forgets with the process: for tests and for following without a data directory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Option<Vec<u8>>>);

impl StateStore for MemoryStore {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().clone())
    }

    fn save(&self, bytes: &[u8]) -> Result<(), StoreError> {
        *self.0.lock() = Some(bytes.to_vec());
        Ok(())
    }

    fn append(&self, behind: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut saved = self.0.lock();
        let saved = saved.get_or_insert_default();
        if u64::try_from(saved.len()) != Ok(behind) {
            let source = io::Error::other("something else was saved than more is to be put behind");
            return Err(StoreError::Io { path: self.place(), source });
        }
        saved.extend_from_slice(bytes);
        Ok(())
    }

    fn place(&self) -> PathBuf {
        PathBuf::from("memory")
    }
}

/// What is wrong in a directory of states: the file's name, and how. A file that a crash left behind is no fault.
///
/// # Errors
/// Of reading the directory.
pub fn verify_states(dir: &Path) -> io::Result<Vec<(String, String)>> {
    let mut faults = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(faults),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".state.tmp") {
            continue;
        }
        if !name.ends_with(SUFFIX) || !entry.file_type()?.is_file() {
            faults.push((name, "does not belong here".to_owned()));
            continue;
        }
        let mut bytes = Vec::new();
        fs::File::open(entry.path())?.take(BYTES_MAX).read_to_end(&mut bytes)?;
        if let Err(fault) = state::check(&bytes) {
            faults.push((name, fault.to_string()));
        }
    }
    faults.sort();
    Ok(faults)
}
