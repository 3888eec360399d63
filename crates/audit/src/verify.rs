//! Checking a log at rest, with nothing but its files and its public key.
//!
//! The engine checks every file that the checkpoint covers. Here every other file is accounted for: a partial tile of an
//! earlier checkpoint must be the beginning of its wider form; files that an interrupted publication left are listed; a
//! file that no log has is a fault.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tlog::{
    Audit, AuditError, BundleEntries, CHECKPOINT_PATH, Checkpoint, Fault, NoteVerifier, TileId, TileKind,
    TileSource,
};

use crate::{log::VKEY_PATH, publish::STAGED_SUFFIX, source::DirSource};

/// Most faults, and most leftovers, that a report lists; all are counted.
pub const FAULTS_MAX: usize = 1000;
/// Deepest directory that a log can have: `tile`, level, five groups of three digits, partial.
const DEPTH_MAX: usize = 9;

/// Why a log cannot be verified at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no checkpoint to verify against.
    #[error("log cannot be verified")]
    Audit(#[from] AuditError),
    /// The directory cannot be listed.
    #[error("{path} cannot be listed")]
    Io {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogFault {
    /// A file that the checkpoint covers.
    #[error(transparent)]
    Covered(#[from] Fault),
    /// A partial tile of an earlier checkpoint is not the beginning of its wider form.
    #[error("{path}: differs from {wider} at byte {offset}")]
    Stale {
        /// The partial tile.
        path: String,
        /// The tile it must be the beginning of.
        wider: String,
        /// First byte that differs.
        offset: usize,
    },
    /// No log has such a file.
    #[error("{path}: not a file of a log")]
    Unknown {
        /// The file.
        path: String,
    },
    /// The file cannot be read.
    #[error("{path}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the source said.
        reason: String,
    },
    /// The key file is not the key that the log was verified with, or is missing.
    #[error("{VKEY_PATH}: not the key of this log")]
    Vkey,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the log was verified against.
    pub checkpoint: Checkpoint,
    /// Entries found to be those that the checkpoint commits to.
    pub entries_proven: u64,
    /// Files looked at, of all kinds.
    pub files: u64,
    /// What is wrong, at most [`FAULTS_MAX`].
    pub faults: Vec<LogFault>,
    /// Number of all faults.
    pub faults_total: u64,
    /// Files that an interrupted publication left, at most [`FAULTS_MAX`]. No checkpoint covers them, so nothing is
    /// known about their content; the next publication writes them again. Not a fault.
    pub leftovers: Vec<String>,
    /// Number of all leftovers.
    pub leftovers_total: u64,
}

impl Report {
    /// True if every byte that the checkpoint covers is as it was when it was signed, and nothing is out of place.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.faults_total == 0
    }

    fn fault(&mut self, fault: LogFault) {
        self.faults_total += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn leftover(&mut self, path: &str) {
        self.leftovers_total += 1;
        if self.leftovers.len() < FAULTS_MAX {
            self.leftovers.push(path.to_owned());
        }
    }
}

/// Verifies the log in a directory. `progress` is told the entries done so far, once per bundle.
///
/// # Errors
/// [`VerifyError`] when there is nothing to verify against; everything else is in the report.
pub fn verify(dir: &Path, verifier: &NoteVerifier, progress: impl FnMut(u64)) -> Result<Report, VerifyError> {
    let mut walk = Walk { root: dir.to_owned(), open: vec![], started: false };
    verify_files(
        &DirSource::new(dir),
        std::iter::from_fn(|| walk.next_file().transpose()),
        verifier,
        progress,
    )
}

/// As [`verify()`], for files wherever they are: `paths` are those of all files there, in any order.
///
/// # Errors
/// As [`verify()`].
pub fn verify_files(
    source: &impl TileSource,
    paths: impl Iterator<Item = Result<String, VerifyError>>,
    verifier: &NoteVerifier,
    mut progress: impl FnMut(u64),
) -> Result<Report, VerifyError> {
    let mut audit = Audit::open(source, verifier)?;
    let mut report = Report {
        checkpoint: audit.checkpoint().clone(),
        entries_proven: 0,
        files: 0,
        faults: Vec::new(),
        faults_total: 0,
        leftovers: Vec::new(),
        leftovers_total: 0,
    };
    while let Some(faults) = audit.step() {
        faults.into_iter().for_each(|fault| report.fault(fault.into()));
        progress(audit.entries_done());
    }
    report.entries_proven = audit.entries_proven();
    let vkey = source.read(VKEY_PATH).ok().flatten();
    if vkey.as_deref() != Some(format!("{verifier}\n").as_bytes()) {
        report.fault(LogFault::Vkey);
    }
    for path in paths {
        let path = path?;
        report.files += 1;
        account(source, &path, &mut report);
    }
    Ok(report)
}

/// Says what a file is that the audit may not have looked at.
fn account(source: &impl TileSource, path: &str, report: &mut Report) {
    if path == CHECKPOINT_PATH || path == VKEY_PATH {
        return;
    }
    if let Some(target) = path.strip_suffix(STAGED_SUFFIX)
        && (target == CHECKPOINT_PATH || target == VKEY_PATH || TileId::parse(target).is_some())
    {
        return report.leftover(path);
    }
    let Some(id) = TileId::parse(path) else {
        return report.fault(LogFault::Unknown { path: path.to_owned() });
    };
    match TileId::in_tree(id.kind(), id.index(), report.checkpoint.size) {
        Some(covered) if covered == id => {}
        Some(covered) if covered.width() > id.width() => check_stale(source, id, covered, report),
        Some(_) | None => report.leftover(path),
    }
}

/// Compares a partial tile with the wider one that has been audited.
fn check_stale(source: &impl TileSource, id: TileId, covered: TileId, report: &mut Report) {
    let path = id.to_string();
    let mut wider = covered.to_string();
    let mut read = |path: &str| match source.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.fault(LogFault::Unreadable { path: path.to_owned(), reason: error.to_string() });
            None
        }
    };
    let Some(stale) = read(&path) else { return };
    let mut whole = read(&wider);
    if whole.is_none() && covered.is_partial() {
        wider = covered.full().to_string();
        whole = read(&wider);
    }
    // A missing tile has been reported by the audit.
    let Some(whole) = whole else { return };
    let width = usize::from(id.width());
    let expected = match id.kind() {
        TileKind::Hashes(_) => whole.get(..width * tlog::HASH_BYTES),
        TileKind::Entries => {
            let mut entries = BundleEntries::new(&whole);
            entries.by_ref().take(width).for_each(drop);
            whole.get(..entries.offset())
        }
    };
    let expected = expected.unwrap_or(&whole);
    if stale != expected {
        let offset = stale.iter().zip(expected).take_while(|(a, b)| a == b).count();
        report.fault(LogFault::Stale { path, wider, offset });
    }
}

/// Lists the files below a directory without keeping more than the names of the directories on the way.
struct Walk {
    root: PathBuf,
    open: Vec<(String, fs::ReadDir)>,
    started: bool,
}

impl Walk {
    fn next_file(&mut self) -> Result<Option<String>, VerifyError> {
        if !self.started {
            self.started = true;
            self.enter(String::new())?;
        }
        loop {
            let Some((dir, entries)) = self.open.last_mut() else { return Ok(None) };
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let dir = dir.clone();
            let failed = |source| VerifyError::Io { path: self.root.join(&dir), source };
            let entry = entry.map_err(failed)?;
            // A name that is not UTF-8 is no file of a log, and stays none when made readable.
            let path = format!("{dir}{}", entry.file_name().to_string_lossy());
            let is_dir = entry.file_type().map_err(failed)?.is_dir();
            if !is_dir || self.open.len() >= DEPTH_MAX {
                return Ok(Some(path));
            }
            self.enter(format!("{path}/"))?;
        }
    }

    fn enter(&mut self, dir: String) -> Result<(), VerifyError> {
        let path = self.root.join(&dir);
        let entries = fs::read_dir(&path).map_err(|source| VerifyError::Io { path, source })?;
        self.open.push((dir, entries));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
