//! The file of one chain: frames of entries, appended and never changed.
//!
//! ```text
//! file  = "caponier flows 1\n", length of the name u16, name of the chain, frame*
//! frame = "FLOW", bytes of the body u32, the first 8 bytes of the SHA-256 of those 8, body,
//!         the first 16 bytes of the SHA-256 of all before of the frame
//! ```

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use crypto::sha256;

use super::{
    frame::{Entry, MOVED_HEAD_BYTES, Reader, head},
    holders::Holders,
};

const FORMAT: &[u8] = b"caponier flows 1\n";
const MAGIC: &[u8; 4] = b"FLOW";
const HEAD_BYTES: usize = 16;
const DIGEST_BYTES: usize = 16;
/// Longest body of a frame.
pub(super) const BODY_BYTES_MAX: usize = 1 << 30;
/// What the names of logs end with.
pub(super) const SUFFIX: &str = ".flows";

/// Why a log could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// What was read is not what was written. Remove the file to begin again with nothing known of the past.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The file cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The blocks taken in since the last frame do not fit one.
    #[error("{} bytes of one frame are too many", .got)]
    TooLong {
        /// How many.
        got: usize,
    },
}

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    chain: String,
    file: Arc<File>,
    /// Bytes that are durable.
    len: u64,
    /// Body of the next frame.
    pub(super) pending: Vec<u8>,
}

/// Where movements are read back.
#[derive(Debug, Clone)]
pub(super) struct Reading(Arc<File>);

impl Reading {
    /// Value and transaction of a movement that is durable.
    pub(super) fn moved(&self, offset: u64) -> Option<(u128, [u8; 32])> {
        let mut bytes = [0; MOVED_HEAD_BYTES];
        self.0.read_exact_at(&mut bytes, offset).ok()?;
        Some(head(&bytes))
    }
}

fn beginning(chain: &str) -> Vec<u8> {
    let mut bytes = FORMAT.to_vec();
    bytes.extend_from_slice(&u16::try_from(chain.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(chain.as_bytes());
    bytes
}

fn frame_head(body: usize) -> Option<[u8; HEAD_BYTES]> {
    let mut head = [0; HEAD_BYTES];
    let (start, digest) = head.split_at_mut(8);
    start.get_mut(..4)?.copy_from_slice(MAGIC);
    start.get_mut(4..)?.copy_from_slice(&u32::try_from(body).ok()?.to_le_bytes());
    digest.copy_from_slice(sha256(&[&*start]).get(..8)?);
    Some(head)
}

impl Log {
    /// Opens the log of a chain in a directory, or begins one; calls `found` with every entry and with where its bytes begin in
    /// the file, front to back.
    ///
    /// # Errors
    /// [`LogError`]. What an interrupted write left at the end is cut off.
    pub(super) fn open(dir: &Path, chain: &str, found: impl FnMut(Entry, u64)) -> Result<Self, LogError> {
        let path = dir.join(format!("{chain}{SUFFIX}"));
        let named = |source| LogError::Io { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(named)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(named)?;
        let expected = beginning(chain);
        let bytes = file.metadata().map_err(named)?.len();
        if bytes < expected.len() as u64 {
            // A new file, or one whose first write was interrupted: nothing was acknowledged.
            file.set_len(0).map_err(named)?;
            file.write_all(&expected).map_err(named)?;
            file.sync_all().map_err(named)?;
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(named)?;
        }
        let (sound, len) = read(&path, &mut file, &expected, found)?;
        if sound < len {
            tracing::warn!(
                file = %path.display(), offset = sound, bytes = len - sound,
                "cut off a frame that was never acknowledged"
            );
            file.set_len(sound).map_err(named)?;
            file.sync_all().map_err(named)?;
        }
        Ok(Self { path, chain: chain.to_owned(), file: Arc::new(file), len: sound, pending: Vec::new() })
    }

    /// Where the next byte of [`Log::pending`] will stand in the file.
    pub(super) const fn next_offset(&self) -> u64 {
        self.len + (HEAD_BYTES + self.pending.len()) as u64
    }

    pub(super) fn reading(&self) -> Reading {
        Reading(Arc::clone(&self.file))
    }

    /// The fault of an entry that is sound but cannot follow those before it.
    pub(super) fn does_not_fit(&self, offset: u64) -> LogError {
        let what = "a block does not follow those before it, or finds no room";
        LogError::Damaged { path: self.path.clone(), offset, what }
    }

    pub(super) const fn durable_bytes(&self) -> u64 {
        self.len
    }

    /// Makes what is pending one durable frame. After an error it is pending still.
    pub(super) fn flush(&mut self) -> Result<(), LogError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let too_long = LogError::TooLong { got: self.pending.len() };
        if self.pending.len() > BODY_BYTES_MAX {
            return Err(too_long);
        }
        let Some(head) = frame_head(self.pending.len()) else { return Err(too_long) };
        let digest = sha256(&[&head, &self.pending]);
        let digest = digest.get(..DIGEST_BYTES).unwrap_or_default();
        let write = || {
            let body = self.len + HEAD_BYTES as u64;
            self.file.write_all_at(&head, self.len)?;
            self.file.write_all_at(&self.pending, body)?;
            self.file.write_all_at(digest, body + self.pending.len() as u64)?;
            self.file.sync_data()
        };
        // If we stop before the sync is done, the frame is cut off on the next open, and its blocks are told again.
        write().map_err(|source| LogError::Io { path: self.path.clone(), source })?;
        self.len += (HEAD_BYTES + self.pending.len() + DIGEST_BYTES) as u64;
        self.pending.clear();
        // A catch-up may have left a large buffer.
        self.pending.shrink_to(1 << 20);
        Ok(())
    }

    /// What reads every durable entry again.
    pub(super) fn replay(&self) -> Replay {
        Replay { path: self.path.clone(), chain: self.chain.clone() }
    }

    /// Puts a log of these entries in its place. If we stop before the rename, the old one stands.
    pub(super) fn replace(
        &mut self,
        write: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
    ) -> Result<(), LogError> {
        let named = |source| LogError::Io { path: self.path.clone(), source };
        let temporary = self.path.with_extension("flows.tmp");
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(&temporary);
        let file = file.map_err(named)?;
        let mut out = io::BufWriter::new(&file);
        let replaced = out.write_all(&beginning(&self.chain)).and_then(|()| {
            write(&mut |body| {
                let head = frame_head(body.len()).ok_or_else(|| io::Error::other("a frame is too long"))?;
                let digest = sha256(&[&head, body]);
                out.write_all(&head)?;
                out.write_all(body)?;
                out.write_all(digest.get(..DIGEST_BYTES).unwrap_or_default())
            })
        });
        replaced.and_then(|()| out.flush()).map_err(named)?;
        drop(out);
        file.sync_all().map_err(named)?;
        fs::rename(&temporary, &self.path).map_err(named)?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(named)?;
        self.len = file.metadata().map_err(named)?.len();
        self.file = Arc::new(file);
        self.pending.clear();
        Ok(())
    }
}

/// A log to be read from its beginning.
#[derive(Debug, Clone)]
pub(super) struct Replay {
    path: PathBuf,
    chain: String,
}

impl Replay {
    /// Calls `found` with every durable entry and with where its bytes begin.
    pub(super) fn run(&self, found: impl FnMut(Entry, u64)) -> Result<(), LogError> {
        let mut file =
            File::open(&self.path).map_err(|source| LogError::Io { path: self.path.clone(), source })?;
        read(&self.path, &mut file, &beginning(&self.chain), found).map(drop)
    }
}

/// Reads all frames; up to where they are sound, and how long the file is.
fn read(
    path: &Path,
    file: &mut File,
    expected: &[u8],
    mut found: impl FnMut(Entry, u64),
) -> Result<(u64, u64), LogError> {
    let named = |source| LogError::Io { path: path.to_owned(), source };
    let damaged = |offset, what| LogError::Damaged { path: path.to_owned(), offset, what };
    let len = file.metadata().map_err(named)?.len();
    file.seek(SeekFrom::Start(0)).map_err(named)?;
    let mut source = io::BufReader::with_capacity(1 << 20, file);
    let mut start = vec![0; expected.len()];
    source.read_exact(&mut start).map_err(named)?;
    if start != expected {
        return Err(damaged(0, "it does not begin as the log of this chain"));
    }
    let mut holders = Holders::default().len();
    let mut offset = expected.len() as u64;
    let mut body = Vec::new();
    while len - offset >= HEAD_BYTES as u64 {
        let mut head = [0; HEAD_BYTES];
        source.read_exact(&mut head).map_err(named)?;
        let [_, _, _, _, a, b, c, d, ..] = head;
        let bytes = u32::from_le_bytes([a, b, c, d]);
        if frame_head(bytes as usize) != Some(head) {
            let rest_is_zero = head == [0; HEAD_BYTES] && is_zero(&mut source).map_err(named)?;
            // Space that was made for a frame which never came.
            return if rest_is_zero {
                Ok((offset, len))
            } else {
                Err(damaged(offset, "no frame begins here"))
            };
        }
        let end = offset + HEAD_BYTES as u64 + u64::from(bytes) + DIGEST_BYTES as u64;
        if end > len {
            return Ok((offset, len));
        }
        body.resize(bytes as usize, 0);
        source.read_exact(&mut body).map_err(named)?;
        let mut digest = [0; DIGEST_BYTES];
        source.read_exact(&mut digest).map_err(named)?;
        if sha256(&[&head, &body]).get(..DIGEST_BYTES) != Some(&digest) {
            return match end == len {
                true => Ok((offset, len)),
                false => Err(damaged(offset, "a frame does not have the digest it ends with")),
            };
        }
        let mut reader = Reader { bytes: &body, position: 0 };
        while reader.position < body.len() {
            let at = offset + (HEAD_BYTES + reader.position) as u64;
            let entry =
                reader.entry(holders).ok_or_else(|| damaged(at, "it is not as it would be written"))?;
            if let Entry::Block(block) = &entry {
                holders += block.holders.len();
            }
            found(entry, at);
        }
        offset = end;
    }
    Ok((offset, len))
}

fn is_zero(source: &mut impl io::Read) -> io::Result<bool> {
    let mut bytes = [0; 4096];
    loop {
        match source.read(&mut bytes)? {
            0 => return Ok(true),
            read if bytes.iter().take(read).any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// What is wrong with the logs of a directory: the file's name, and how. What an interrupted write left is no fault.
///
/// # Errors
/// Of reading the directory.
pub fn verify_logs(dir: &Path) -> io::Result<Vec<(String, String)>> {
    let mut faults = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(faults),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".flows.tmp") {
            continue;
        }
        let Some(chain) = name.strip_suffix(SUFFIX).filter(|_| entry.path().is_file()) else {
            faults.push((name, "does not belong here".to_owned()));
            continue;
        };
        let expected = beginning(chain);
        let mut file = File::open(entry.path())?;
        if file.metadata()?.len() < expected.len() as u64 {
            continue;
        }
        if let Err(fault) = read(&entry.path(), &mut file, &expected, |_, _| ()) {
            faults.push((name, fault.to_string()));
        }
    }
    faults.sort();
    Ok(faults)
}
