//! The directory of lists: which segments are active, how a new state replaces an old one, what verification finds.

mod manifest;
mod memory;
mod verify;

use std::{
    fmt, fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use chain::{
    label::{Category, Confidence, Label},
    segment::{Key, Segment, SegmentError},
};
use crypto::sha256;
use domain::UnixNanos;
use parking_lot::Mutex;

pub use self::verify::{Fault, verify_dir};
use self::{
    manifest::{Entry, Manifest, ManifestError},
    memory::SegmentBytes,
};
use crate::{Format, ImportError, ImportReport, ListName, ListState, SourceFile, import};

/// Most active lists. Every screening asks each of them.
pub const LISTS_MAX: usize = 64;
/// The file that names the active segments.
pub(crate) const CURRENT: &str = "CURRENT";
const SEGMENT_SUFFIX: &str = ".seg";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Where lists are kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the lists; created if absent. Whoever can write to it decides which addresses are listed.
    pub dir: PathBuf,
}

/// Why the lists could not be opened. Screening without lists the operator relies on would be failing open, so none of
/// these may be ignored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory could not be read or prepared.
    #[error("cannot open the lists in {}", path.display())]
    Io {
        /// What could not be read or written.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not as it was written.
    #[error("the lists are damaged: {0}")]
    Damaged(Fault),
}

/// Why a list could not be stored; the earlier state stays in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was read back is not what was written.
    #[error("{} is not as it was written", path.display())]
    ReadBack {
        /// Which.
        path: PathBuf,
        /// How it differs.
        #[source]
        source: SegmentError,
    },
    /// More than [`LISTS_MAX`].
    #[error("there are {LISTS_MAX} lists already, remove one first")]
    TooManyLists,
}

impl StoreError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// One active list.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) state: ListState,
    entry: Entry,
    segment: Segment<SegmentBytes>,
}

/// Everything in force at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    manifest: Manifest,
    /// In the order of names.
    pub(crate) lists: Vec<Arc<Active>>,
}

impl Snapshot {
    /// Calls `found` with category and confidence of every label of `key`, list by list.
    #[inline]
    pub(crate) fn for_each_claim(&self, key: Key<'_>, mut found: impl FnMut(Category, Confidence)) {
        for list in &self.lists {
            for claim in list.segment.claims(key) {
                found(claim.category(), claim.confidence());
            }
        }
    }

    /// Calls `found` with every label of `key`, list by list. Neither waits nor allocates.
    pub(crate) fn for_each_label<'s>(
        &'s self,
        key: Key<'_>,
        mut found: impl FnMut(&'s ListState, Label<'s>),
    ) {
        for list in &self.lists {
            for label in list.segment.labels(key) {
                found(&list.state, label);
            }
        }
    }
}

/// The lists in force, and the directory they live in.
pub struct Watch {
    dir: PathBuf,
    active: ArcSwap<Snapshot>,
    /// Held by whoever changes the directory; readers do not take it.
    writer: Mutex<()>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Watch {
    /// Opens the directory, verifies every byte of every active list, and removes what a crash left behind.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is served from a directory that is not intact.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let dir = config.dir;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io(&dir))?;
        let current = dir.join(CURRENT);
        let manifest = match fs::read(&current) {
            Ok(bytes) => {
                Manifest::parse(&bytes).map_err(|error| OpenError::Damaged(verify::of_manifest(&error)))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // An empty manifest is written before the first segment, so segments without one mean that it was
                // taken away.
                if file_names(&dir).map_err(io(&dir))?.iter().any(|name| name.ends_with(SEGMENT_SUFFIX)) {
                    return Err(OpenError::Damaged(verify::of_manifest(&ManifestError::Missing)));
                }
                let manifest = Manifest::default();
                write_file(&dir, CURRENT, &manifest.to_bytes())
                    .map_err(|(path, source)| OpenError::Io { path, source })?;
                manifest
            }
            Err(error) => return Err(io(&current)(error)),
        };
        let mut lists = Vec::with_capacity(manifest.entries.len());
        for entry in &manifest.entries {
            let path = dir.join(&entry.file);
            let bytes = SegmentBytes::open(&path).map_err(io(&path))?;
            let segment = verify::segment(entry, bytes).map_err(OpenError::Damaged)?;
            lists.push(Arc::new(activate(entry, segment)));
        }
        for name in file_names(&dir).map_err(io(&dir))? {
            let is_ours = name.ends_with(TEMPORARY_SUFFIX) || name.ends_with(SEGMENT_SUFFIX);
            if is_ours && !manifest.entries.iter().any(|entry| entry.file == name) {
                let path = dir.join(name);
                fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        Ok(Self { dir, active: ArcSwap::from_pointee(Snapshot { manifest, lists }), writer: Mutex::new(()) })
    }

    /// Makes the state of `list` be what `files` say, and nothing else. When this returns, the new state is durable
    /// and in force; an address the new state no longer has does not block any more.
    ///
    /// Several imports run one after the other. Screening goes on meanwhile.
    ///
    /// # Errors
    /// [`ImportError`]; the earlier state stays in force, unchanged.
    pub fn import(
        &self,
        list: &ListName,
        format: &Format,
        files: &[SourceFile],
        now: UnixNanos,
    ) -> Result<ImportReport, ImportError> {
        let _writer = self.writer.lock();
        let import::Imported { segment, mut report } =
            import::build(list, format, files, crypto::random::array(), now)?;
        let before = self.active.load_full();
        let mut manifest = before.manifest.clone();
        manifest.generation += 1;
        let entry = Entry {
            file: format!("{list}.{:020}{SEGMENT_SUFFIX}", manifest.generation),
            list: list.clone(),
            bytes: segment.len() as u64,
            sha256: report.segment_sha256,
        };
        let replaced = manifest.put(entry.clone());
        if manifest.entries.len() > LISTS_MAX {
            return Err(StoreError::TooManyLists.into());
        }

        // If we stop here or after the next step, the old manifest stands and open removes the new segment.
        write_file(&self.dir, &entry.file, &segment)
            .map_err(|(path, source)| StoreError::Io { path, source })?;
        drop(segment);
        let path = self.dir.join(&entry.file);
        let bytes = SegmentBytes::open(&path).map_err(|source| StoreError::io(&path, source))?;
        let segment = Segment::parse(bytes)
            .and_then(|segment| segment.verify().map(|()| segment))
            .map_err(|source| StoreError::ReadBack { path, source })?;
        let active = Arc::new(activate(&entry, segment));

        let mut lists = before.lists.clone();
        match lists.binary_search_by(|other| other.state.name.cmp(list)) {
            Ok(idx) => {
                if let Some(old) = lists.get_mut(idx) {
                    report.replaced = Some(old.state.addresses + old.state.texts);
                    *old = active;
                }
            }
            Err(idx) => lists.insert(idx, active),
        }
        self.switch(manifest, lists, replaced)?;
        Ok(report)
    }

    /// Takes a list out of force. Whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]; the list stays in force.
    pub fn remove(&self, list: &ListName) -> Result<bool, StoreError> {
        let _writer = self.writer.lock();
        let before = self.active.load_full();
        let mut manifest = before.manifest.clone();
        manifest.generation += 1;
        let Some(removed) = manifest.take(list) else { return Ok(false) };
        let lists = before.lists.iter().filter(|other| other.state.name != *list).cloned().collect();
        self.switch(manifest, lists, Some(removed))?;
        Ok(true)
    }

    /// The lists in force, in the order of names.
    #[must_use]
    pub fn lists(&self) -> Vec<ListState> {
        self.active.load().lists.iter().map(|list| list.state.clone()).collect()
    }

    /// All files of the lists in force at this moment, for a backup. They stay readable while they are held, also when
    /// a newer state replaces them; restoring them side by side restores this moment.
    #[must_use]
    pub fn export(&self) -> Vec<ExportedFile> {
        let snapshot = self.active.load_full();
        let current = snapshot.manifest.to_bytes();
        let mut files: Vec<_> = snapshot
            .lists
            .iter()
            .map(|list| ExportedFile {
                name: list.entry.file.clone(),
                sha256: list.entry.sha256,
                content: Content::Segment(Arc::clone(list)),
            })
            .collect();
        // Last, as when it is written: a backup cut short has no manifest that promises more than there is.
        files.push(ExportedFile {
            name: CURRENT.to_owned(),
            sha256: sha256(&[&current]),
            content: Content::Bytes(current),
        });
        files
    }

    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.active.load()
    }

    /// Makes `manifest` durable, then puts `lists` in force, then removes the segment no longer named.
    fn switch(
        &self,
        manifest: Manifest,
        lists: Vec<Arc<Active>>,
        replaced: Option<Entry>,
    ) -> Result<(), StoreError> {
        // The rename within is the moment at which the new state exists.
        write_file(&self.dir, CURRENT, &manifest.to_bytes())
            .map_err(|(path, source)| StoreError::Io { path, source })?;
        self.active.store(Arc::new(Snapshot { manifest, lists }));
        if let Some(old) = replaced {
            // Failing here is harmless: the next open removes it. Nothing reads it any more.
            fs::remove_file(self.dir.join(old.file)).ok();
        }
        Ok(())
    }
}

fn activate(entry: &Entry, segment: Segment<SegmentBytes>) -> Active {
    let state = ListState {
        name: entry.list.clone(),
        imported_at: segment.imported_at(),
        addresses: segment.address_count() as u64,
        texts: segment.text_count() as u64,
        source_sha256: *segment.source_sha256(),
        segment_sha256: entry.sha256,
    };
    Active { state, entry: entry.clone(), segment }
}

/// One file of [`Watch::export`].
#[derive(Debug, Clone)]
pub struct ExportedFile {
    /// Its name within the directory.
    pub name: String,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Bytes(Vec<u8>),
    Segment(Arc<Active>),
}

impl ExportedFile {
    /// Its content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Bytes(bytes) => bytes,
            Content::Segment(active) => active.segment.bytes(),
        }
    }
}

/// Regular files of `dir`, sorted; names that are not UTF-8 are none of ours and left out.
fn file_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Writes a file so that under its name there is either what was there before or all of `bytes`, durably.
fn write_file(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), (PathBuf, io::Error)> {
    use io::Write as _;
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}{TEMPORARY_SUFFIX}"));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    if let Err(source) = written {
        fs::remove_file(&temporary).ok();
        return Err((temporary, source));
    }
    fs::rename(&temporary, &path).map_err(|source| (path, source))?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| (dir.to_owned(), source))
}
