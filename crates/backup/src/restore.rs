//! From the target back to a data directory.

use std::io;

use journal::disk::{self, Disk};

use crate::{
    manifest::{MANIFEST, Manifest, ManifestError},
    ship::{ReadManifest, read_manifest, read_range, stored_as},
};

/// Bytes copied at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// Why nothing usable was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A stored file is not what the manifest says.
    #[error("backup {path}: content is not what the manifest names")]
    Altered {
        /// Path in the data directory.
        path: String,
    },
    /// Reading the backup failed.
    #[error("read backup {path}: {error}")]
    Backup {
        /// File in the target.
        path: String,
        /// As the storage reports.
        error: io::Error,
    },
    /// Writing the data directory failed.
    #[error("write {path}: {error}")]
    Data {
        /// File.
        path: String,
        /// As the storage reports.
        error: io::Error,
    },
    /// The manifest is damaged.
    #[error("backup {0}")]
    Manifest(#[from] ManifestError),
    /// There is no manifest.
    #[error("no backup here: {MANIFEST} is missing")]
    NoBackup,
    /// The place is in use.
    #[error("the data directory is not empty: {found} is there")]
    NotEmpty {
        /// Something found in it.
        found: String,
    },
}

/// Restores the target's last complete shipment into an empty directory. `progress` is told bytes done and in all.
///
/// The files are checked against the manifest; whether the journal in them is whole is for the journal to say when
/// it is opened, which the caller must do before calling the restore good. A restore that was cut off leaves a
/// directory that is not empty and is refused the next time.
///
/// # Errors
/// [`RestoreError`].
pub fn restore(
    target: &dyn Disk,
    into: &dyn Disk,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, RestoreError> {
    let manifest = match read_manifest(target) {
        Ok(manifest) => manifest,
        Err(ReadManifest::Absent) => return Err(RestoreError::NoBackup),
        Err(ReadManifest::Io(error)) => return Err(backup(MANIFEST, error)),
        Err(ReadManifest::Malformed(error)) => return Err(error.into()),
    };
    for dir in ["", "journal", "keys", "log", "labels"] {
        match into.list(dir) {
            Ok(names) => {
                if let Some(found) = names.into_iter().next() {
                    return Err(RestoreError::NotEmpty { found: format!("{dir}/{found}") });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(data(dir, error)),
        }
    }

    let lens =
        manifest.segments.iter().map(|line| line.len).chain(manifest.files.iter().map(|line| line.len));
    // Whoever can write to the target can state any length; it is found out when the bytes are read.
    let total = lens.fold(0, u64::saturating_add);
    let mut done = 0;
    for line in &manifest.segments {
        make_parent(into, &line.path)?;
        let from = target.open(&line.path).map_err(|error| backup(&line.path, error))?;
        let to = into.create(&line.path).map_err(|error| data(&line.path, error))?;
        let mut at = 0;
        while at < line.len {
            let end = line.len.min(at + CHUNK_BYTES);
            let chunk = read_range(&*from, at, end).map_err(|error| backup(&line.path, error))?;
            to.write_at(at, &chunk).map_err(|error| data(&line.path, error))?;
            at = end;
            done += chunk.len() as u64;
            progress(done, total);
        }
        to.sync().map_err(|error| data(&line.path, error))?;
    }
    for line in &manifest.files {
        let stored = stored_as(line);
        let content = disk::read(target, &stored, line.len).map_err(|error| backup(&stored, error))?;
        if content.len() as u64 != line.len || crypto::sha256(&[&content]) != line.sha256 {
            return Err(RestoreError::Altered { path: line.path.clone() });
        }
        make_parent(into, &line.path)?;
        disk::replace(into, &line.path, &content).map_err(|error| data(&line.path, error))?;
        done += line.len;
        progress(done, total);
    }
    for dir in ["journal", ""] {
        into.sync_dir(dir).map_err(|error| data(dir, error))?;
    }
    Ok(manifest)
}

fn make_parent(into: &dyn Disk, path: &str) -> Result<(), RestoreError> {
    match path.rsplit_once('/') {
        Some((dir, _)) => into.create_dir(dir).map_err(|error| data(dir, error)),
        None => Ok(()),
    }
}

fn backup(path: &str, error: io::Error) -> RestoreError {
    RestoreError::Backup { path: path.to_owned(), error }
}

fn data(path: &str, error: io::Error) -> RestoreError {
    RestoreError::Data { path: path.to_owned(), error }
}
