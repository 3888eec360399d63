//! `caponier audit verify`: every byte of a data directory, or of a copy of its log, with nothing running.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use audit::{LOG_DIR, VKEY_PATH};
use crypto::Secret;
use journal::{
    Attested,
    disk::{Disk, RealDisk},
};
use keyring::KekFile;
use scoring::model::file::{FILE_BYTES_MAX, ModelFile};
use serde::Serialize;
use tlog::NoteVerifier;

use crate::{
    bundles::versions::{self, Digest, VERSIONS_DIR, Versions},
    core::{FLOWS_DIR, FOLLOW_DIR, LABELS_DIR, MODELS_DIR, chain},
    exit::{Exit, Failure},
};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FoundFault {
    /// Path within the directory.
    pub(crate) file: String,
    /// Byte at which the damaged frame, slot or file part begins.
    pub(crate) offset: Option<u64>,
    /// Journal entry concerned.
    pub(crate) entry: Option<u64>,
    /// What is wrong.
    pub(crate) what: String,
}

/// What was checked and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verified {
    /// Whether nothing is wrong.
    pub(crate) ok: bool,
    /// Entries in the journal, or covered by the checkpoint when only a log was given.
    pub(crate) entries: u64,
    /// RFC 6962 root over them, base64.
    pub(crate) root: Option<String>,
    /// Entries the signed checkpoint commits to; each was found to be in the log's tiles.
    pub(crate) checkpoint_entries: Option<u64>,
    /// Whether payloads were opened with the key-encryption key.
    pub(crate) payloads_opened: bool,
    /// Bytes after the last durable entry that were never acknowledged, as a crash leaves them.
    pub(crate) unacknowledged_tail: Option<String>,
    /// Files of the log that no checkpoint covers yet, as a publication leaves them that a crash interrupted; the next
    /// one writes them again.
    pub(crate) leftovers: Vec<String>,
    /// Everything that is wrong.
    pub(crate) faults: Vec<FoundFault>,
}

/// Names allowed in a data directory besides those of the parts.
const DIRS: [&str; 8] = [
    journal::JOURNAL_DIR,
    journal::KEYS_DIR,
    LOG_DIR,
    LABELS_DIR,
    FOLLOW_DIR,
    FLOWS_DIR,
    MODELS_DIR,
    VERSIONS_DIR,
];

pub(crate) fn verify(
    dir: &Path,
    vkey: Option<&str>,
    kek_file: &Path,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Verified, Failure> {
    if dir.join(journal::JOURNAL_DIR).is_dir() {
        verify_data_dir(dir, vkey, kek_file, progress)
    } else if dir.join(tlog::CHECKPOINT_PATH).is_file() {
        let mut verified = empty();
        verify_log(dir, "", vkey, &mut verified, progress);
        verified.entries = verified.checkpoint_entries.unwrap_or(0);
        verified.ok = verified.faults.is_empty();
        Ok(verified)
    } else {
        Err(Failure::new(
            Exit::NotFound,
            format!("{}: neither a data directory nor a log: no journal/ and no checkpoint", dir.display()),
        ))
    }
}

const fn empty() -> Verified {
    Verified {
        ok: false,
        entries: 0,
        root: None,
        checkpoint_entries: None,
        payloads_opened: false,
        unacknowledged_tail: None,
        leftovers: Vec::new(),
        faults: Vec::new(),
    }
}

fn verify_data_dir(
    dir: &Path,
    vkey: Option<&str>,
    kek_file: &Path,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Verified, Failure> {
    let disk: Arc<dyn Disk> =
        Arc::new(RealDisk::existing(dir).map_err(|error| Failure::io(dir.display(), error))?);
    let mut verified = empty();
    let keks = match fs::read_to_string(kek_file) {
        Ok(text) => match KekFile::parse(Secret::new(text).expose()) {
            Ok(keks) => Some(keks),
            Err(error) => {
                verified.fault(&kek_file.display().to_string(), error.to_string());
                None
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::io(kek_file.display(), error)),
    };
    verified.payloads_opened = keks.is_some();

    let attested = verify_log(&dir.join(LOG_DIR), "log/", vkey, &mut verified, progress);
    progress("journal", 0, 1);
    let journal = journal::verify(&*disk, keks.as_ref(), attested);
    progress("journal", 1, 1);
    verified.entries = journal.size;
    verified.root = journal.root.map(tlog::Hash::to_base64);
    verified.unacknowledged_tail = journal.tail.map(|tail| {
        format!("{}: {} bytes from byte {} on, before entry {}", tail.file, tail.bytes, tail.offset, tail.seq)
    });
    for fault in journal.faults {
        verified.faults.push(FoundFault {
            what: fault.kind.to_string(),
            file: fault.file,
            offset: Some(fault.offset),
            entry: fault.seq,
        });
    }
    for fault in watch::verify_dir(&dir.join(LABELS_DIR)) {
        verified.faults.push(FoundFault {
            file: format!("{LABELS_DIR}/{}", fault.file),
            offset: fault.bytes.map(|bytes| bytes.start),
            entry: None,
            what: fault.problem,
        });
    }
    let states = dir.join(FOLLOW_DIR);
    let faults =
        watch::follow::store::verify_states(&states).map_err(|error| Failure::io(states.display(), error))?;
    for (file, what) in faults {
        verified.fault(&format!("{FOLLOW_DIR}/{file}"), what);
    }
    let logs = dir.join(FLOWS_DIR);
    let faults = watch::flows::verify_logs(&logs).map_err(|error| Failure::io(logs.display(), error))?;
    for (file, what) in faults {
        verified.fault(&format!("{FLOWS_DIR}/{file}"), what);
    }
    verify_models(&dir.join(MODELS_DIR), &mut verified)?;
    verify_versions(dir, &mut verified)?;
    verify_names(dir, &mut verified)?;
    verified.ok = verified.faults.is_empty();
    Ok(verified)
}

impl Verified {
    fn fault(&mut self, file: &str, what: String) {
        self.faults.push(FoundFault { file: file.to_owned(), offset: None, entry: None, what });
    }
}

/// Verifies a log and returns what its checkpoint attests.
fn verify_log(
    dir: &Path,
    prefix: &str,
    vkey: Option<&str>,
    verified: &mut Verified,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Option<Attested> {
    let path = dir.join(VKEY_PATH);
    let named = format!("{prefix}{VKEY_PATH}");
    let text = match vkey {
        Some(vkey) => vkey.to_owned(),
        None => match fs::read_to_string(&path) {
            Ok(text) => text.trim_end_matches('\n').to_owned(),
            Err(error) => {
                verified.fault(&named, format!("cannot be read: {error}"));
                return None;
            }
        },
    };
    let verifier = match NoteVerifier::parse(&text) {
        Ok(verifier) => verifier,
        Err(error) => {
            verified.fault(&named, format!("not a verifier key: {error}"));
            return None;
        }
    };
    let report = match audit::verify(dir, &verifier, |done| progress("entries proven", done, 0)) {
        Ok(report) => report,
        Err(error) => {
            verified.fault(&format!("{prefix}{}", tlog::CHECKPOINT_PATH), chain(&error));
            return None;
        }
    };
    for fault in &report.faults {
        let text = fault.to_string();
        // The log's faults begin with their file.
        let (file, what) = text.split_once(": ").unwrap_or(("", &text));
        verified.fault(&format!("{prefix}{file}"), what.to_owned());
    }
    verified.leftovers.extend(report.leftovers.iter().map(|leftover| format!("{prefix}{leftover}")));
    verified.checkpoint_entries = Some(report.checkpoint.size);
    if verified.root.is_none() {
        verified.root = Some(report.checkpoint.root.to_base64());
    }
    Some(Attested { size: report.checkpoint.size, root: Some(report.checkpoint.root) })
}

/// Nothing may lie in a data directory that no check covers.
fn verify_names(dir: &Path, verified: &mut Verified) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(dir.display(), error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && DIRS.contains(&name.as_str()) {
            continue;
        }
        if name == journal::LOCK && kind.is_file() {
            let mut byte = [0];
            let read =
                fs::File::open(entry.path()).and_then(|mut file| file.read(&mut byte)).map_err(failed)?;
            if read > 0 {
                verified.fault(&name, "must be empty".to_owned());
            }
            continue;
        }
        let socket = std::os::unix::fs::FileTypeExt::is_socket(&kind);
        if !(socket && name == "control.sock") {
            verified.fault(&name, "no file of a data directory".to_owned());
        }
    }
    for entry in fs::read_dir(dir.join(journal::KEYS_DIR)).map_err(failed)? {
        let name = format!("{}/{}", journal::KEYS_DIR, entry.map_err(failed)?.file_name().to_string_lossy());
        if name != journal::KEY_TABLE {
            verified.fault(&name, "no file of a data directory".to_owned());
        }
    }
    Ok(())
}

/// Each model file must be whole and be the model its name says.
fn verify_models(models: &Path, verified: &mut Verified) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(models.display(), error);
    let entries = match fs::read_dir(models) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let shown = format!("{MODELS_DIR}/{name}");
        // What a crash leaves behind while a file is taken in.
        if name.ends_with(".model.new") {
            verified.leftovers.push(shown);
            continue;
        }
        let length = fs::metadata(&path).map_err(failed)?.len();
        if length > FILE_BYTES_MAX as u64 {
            verified.fault(&shown, "is longer than a model file may be".to_owned());
            continue;
        }
        let bytes = fs::read(&path).map_err(failed)?;
        let digest = scoring::model::file::digest(&bytes).map(hex::encode);
        match ModelFile::decode(&bytes) {
            Err(error) => verified.fault(&shown, chain(&error)),
            Ok(_) if digest.as_deref() != name.strip_suffix(".model") => {
                verified.fault(&shown, "is another model than its name says".to_owned());
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Each version of a bundle must be the bundle its name says; what is noted beside it must be readable.
fn verify_versions(dir: &Path, verified: &mut Verified) -> Result<(), Failure> {
    let folder = dir.join(VERSIONS_DIR);
    let failed = |error: io::Error| Failure::io(folder.display(), error);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    let versions = Versions::of(dir);
    for entry in entries {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        let shown = format!("{VERSIONS_DIR}/{name}");
        let digest: Option<Digest> = hex::decode(&name).ok().and_then(|bytes| bytes.try_into().ok());
        match digest {
            // Which versions judge; without it those of the configuration do.
            None if name == versions::PLACES => match versions.places() {
                Err(failure) => verified.fault(&shown, failure.message),
                Ok(places) => {
                    for missing in places.versions().iter().filter(|digest| !versions.has(digest)) {
                        verified.fault(&shown, format!("names {}, which is not kept", hex::encode(missing)));
                    }
                }
            },
            // What a crash leaves behind while a file is written.
            None if name.ends_with(".new") => verified.leftovers.push(shown),
            None => verified.fault(&shown, "no file of a data directory".to_owned()),
            // The same while a version is kept or makes room: the manifest is written last and removed first.
            Some(digest) if !versions.has(&digest) => verified.leftovers.push(shown),
            Some(digest) => verify_version(&versions, &digest, &shown, verified)?,
        }
    }
    Ok(())
}

fn verify_version(
    versions: &Versions,
    digest: &Digest,
    shown: &str,
    verified: &mut Verified,
) -> Result<(), Failure> {
    let pieces = match versions.load(digest) {
        Ok((_, pieces)) => pieces,
        Err(failure) => {
            verified.fault(shown, failure.message);
            return Ok(());
        }
    };
    if versions.about(digest).is_none() {
        verified.fault(shown, "nothing readable says who kept it".to_owned());
    }
    let dir = versions.dir(digest);
    for entry in fs::read_dir(&dir).map_err(|error| Failure::io(dir.display(), error))? {
        let entry = entry.map_err(|error| Failure::io(dir.display(), error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".new") {
            verified.leftovers.push(format!("{shown}/{name}"));
        } else if pieces.iter().all(|(piece, _)| piece != name) && !versions::BESIDE.contains(&name.as_str())
        {
            verified.fault(&format!("{shown}/{name}"), "no file of a version".to_owned());
        }
    }
    Ok(())
}

/// The origin a data directory's log was published under, for commands that have no configuration.
pub(crate) fn origin(data_dir: &Path) -> Option<String> {
    let disk = RealDisk::existing(data_dir).ok()?;
    let text = journal::disk::read(&disk, &format!("{LOG_DIR}/{VKEY_PATH}"), 4096).ok()?;
    let verifier = NoteVerifier::parse(std::str::from_utf8(&text).ok()?.trim_end_matches('\n')).ok()?;
    Some(verifier.name().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bundles::versions::{About, Pieces};

    fn faults_of(dir: &Path) -> Vec<String> {
        let mut verified = empty();
        verify_versions(dir, &mut verified).unwrap();
        verified.faults.into_iter().map(|fault| format!("{}: {}", fault.file, fault.what)).collect()
    }

    /// A version kept from the console makes no data directory unsound; one that was changed afterwards does.
    #[test]
    fn versions_of_bundles_are_what_their_names_say() {
        let dir = tempfile::tempdir().unwrap();
        assert!(faults_of(dir.path()).is_empty(), "none are kept");
        let mut pieces = Pieces::default();
        for (name, text) in fraud::preset::bundle("exchange").into_iter().flatten() {
            pieces = pieces.with(name, text.as_bytes().to_vec());
        }
        let about = About { by: "user:ann".to_owned(), at: 1, note: "n".to_owned(), base: None };
        let versions = Versions::of(dir.path());
        let digest = versions.keep(&pieces, &about, &BTreeSet::new()).unwrap();
        versions.write_beside(&digest, versions::REPORT, b"{}").unwrap();
        assert!(faults_of(dir.path()).is_empty());

        let version = versions.dir(&digest);
        fs::write(version.join("stray"), "x").unwrap();
        fs::write(dir.path().join(VERSIONS_DIR).join("stray"), "x").unwrap();
        let faults = faults_of(dir.path());
        assert!(
            faults.len() == 2 && faults.iter().all(|fault| fault.contains("stray: no file of")),
            "{faults:?}"
        );
        fs::remove_file(version.join("stray")).unwrap();
        fs::remove_file(dir.path().join(VERSIONS_DIR).join("stray")).unwrap();

        let rules = fs::read_to_string(version.join("rules.toml")).unwrap();
        fs::write(version.join("rules.toml"), rules.replacen("action = \"hold\"", "action = \"deny\"", 1))
            .unwrap();
        assert_eq!(faults_of(dir.path()).len(), 1);
        fs::write(version.join("rules.toml"), rules).unwrap();
        fs::write(dir.path().join(VERSIONS_DIR).join(versions::PLACES), "{").unwrap();
        assert!(faults_of(dir.path())[0].contains("damaged"));
    }
}
