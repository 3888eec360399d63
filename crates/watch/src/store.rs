//! The directory of lists: which segments are active, how a new state replaces an old one, what verification finds.

mod manifest;
mod memory;
mod update;
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
    segment::{Claim, Key, Listed, Segment, SegmentError},
};
use crypto::sha256;
use domain::{Address, UnixNanos};
use parking_lot::Mutex;

use self::{
    manifest::{Entry, Manifest, ManifestError, Part},
    memory::SegmentBytes,
};
pub use self::{
    update::{CHANGES_MAX, UpdateReport},
    verify::{Fault, verify_dir},
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

/// One segment in memory, with its place on disk.
#[derive(Debug)]
pub(crate) struct Piece {
    entry: Entry,
    segment: Segment<SegmentBytes>,
}

/// One active list: a whole state, and what was added to and removed from it since.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) state: ListState,
    whole: Arc<Piece>,
    added: Option<Arc<Piece>>,
    removed: Option<Arc<Piece>>,
}

impl Active {
    /// Of the parts of one list; `None` without a whole state.
    fn new(parts: impl IntoIterator<Item = Arc<Piece>>) -> Option<Self> {
        let (mut whole, mut added, mut removed) = (None, None, None);
        for piece in parts {
            let place = match piece.entry.part {
                Part::Whole => &mut whole,
                Part::Added => &mut added,
                Part::Removed => &mut removed,
            };
            *place = Some(piece);
        }
        let whole = whole?;
        // Both later parts are written together, and say what state they make of the list.
        let newest = &added.as_ref().unwrap_or(&whole).segment;
        let mut state = ListState {
            name: whole.entry.list.clone(),
            imported_at: newest.imported_at(),
            addresses: whole.segment.address_count() as u64,
            texts: whole.segment.text_count() as u64,
            source_sha256: *newest.source_sha256(),
            segment_sha256: whole.entry.sha256,
        };
        let in_whole = |key: Key<'_>| whole.segment.contains(key);
        let is_removed = |key: Key<'_>| removed.as_ref().is_some_and(|piece| piece.segment.contains(key));
        let mut count = |listed: &Listed<'_>, more: bool| {
            let counter = match listed {
                Listed::Address(_) => &mut state.addresses,
                Listed::Text(_) => &mut state.texts,
            };
            *counter = if more { counter.saturating_add(1) } else { counter.saturating_sub(1) };
        };
        for (listed, _) in removed.iter().flat_map(|piece| piece.segment.entries()) {
            if in_whole(listed.key()) {
                count(&listed, false);
            }
        }
        for (listed, _) in added.iter().flat_map(|piece| piece.segment.entries()) {
            if !in_whole(listed.key()) || is_removed(listed.key()) {
                count(&listed, true);
            }
        }
        Some(Self { state, whole, added, removed })
    }

    /// Calls `found` with every label in force and what it is about.
    pub(crate) fn for_each_entry<'s>(&'s self, mut found: impl FnMut(&Listed<'s>, Label<'s>)) {
        let is_removed =
            |key: Key<'_>| self.removed.as_ref().is_some_and(|piece| piece.segment.contains(key));
        let whole = self.whole.segment.entries().filter(|(listed, _)| !is_removed(listed.key()));
        for (listed, claims) in whole.chain(self.added.iter().flat_map(|piece| piece.segment.entries())) {
            claims.filter_map(|claim| claim.label()).for_each(|label| found(&listed, label));
        }
    }

    fn pieces(&self) -> impl Iterator<Item = &Arc<Piece>> {
        std::iter::once(&self.whole).chain(&self.added).chain(&self.removed)
    }

    /// Whether anything in force is said about `key`.
    fn has(&self, key: Key<'_>) -> bool {
        let has = |piece: &Arc<Piece>| piece.segment.contains(key);
        self.added.as_ref().is_some_and(has) || has(&self.whole) && !self.removed.as_ref().is_some_and(has)
    }

    /// Calls `found` with every claim in force about `key`.
    #[inline]
    fn for_each_claim<'s>(&'s self, key: Key<'_>, mut found: impl FnMut(Claim<'s, SegmentBytes>)) {
        let is_removed = self.removed.as_ref().is_some_and(|piece| piece.segment.contains(key));
        if !is_removed {
            self.whole.segment.claims(key).for_each(&mut found);
        }
        if let Some(added) = &self.added {
            added.segment.claims(key).for_each(&mut found);
        }
    }
}

/// Everything in force at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    manifest: Manifest,
    /// In the order of names.
    pub(crate) lists: Vec<Arc<Active>>,
}

impl Snapshot {
    pub(crate) fn list(&self, name: &ListName) -> Option<&Arc<Active>> {
        self.lists.iter().find(|list| list.state.name == *name)
    }

    /// Calls `found` with category and confidence of every label of `key`, list by list.
    #[inline]
    pub(crate) fn for_each_claim(&self, key: Key<'_>, mut found: impl FnMut(Category, Confidence)) {
        for list in &self.lists {
            list.for_each_claim(key, |claim| found(claim.category(), claim.confidence()));
        }
    }

    /// Calls `found` with the position of every address some segment has, removed ones included; several times if several
    /// have it.
    pub(crate) fn for_each_listed(&self, addresses: &[Address], mut found: impl FnMut(usize)) {
        for list in &self.lists {
            list.whole.segment.for_each_listed(addresses, |at, _| found(at));
            if let Some(added) = &list.added {
                added.segment.for_each_listed(addresses, |at, _| found(at));
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
            list.for_each_claim(key, |claim| {
                if let Some(label) = claim.label() {
                    found(&list.state, label);
                }
            });
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
    /// Names the lists in force and their states: SHA-256 of what `CURRENT` says. Equal for equal states.
    #[must_use]
    pub fn version(&self) -> [u8; 32] {
        sha256(&[&self.snapshot().manifest.to_bytes()])
    }

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
        for parts in manifest.entries.chunk_by(|a, b| a.list == b.list) {
            let mut pieces = Vec::with_capacity(parts.len());
            for entry in parts {
                let path = dir.join(&entry.file);
                let bytes = SegmentBytes::open(&path).map_err(io(&path))?;
                let segment = verify::segment(entry, bytes).map_err(OpenError::Damaged)?;
                pieces.push(Arc::new(Piece { entry: entry.clone(), segment }));
            }
            // A manifest has no part without its list.
            lists.extend(Active::new(pieces).map(Arc::new));
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
        let piece = self.store(&mut manifest, list, Part::Whole, segment)?;
        let state = self.switch(&before, manifest, list, [piece])?;
        report.replaced = before.list(list).map(|old| old.state.addresses + old.state.texts);
        debug_assert_eq!(state.segment_sha256, report.segment_sha256);
        Ok(report)
    }

    /// Writes one segment, reads it back and enters it in `manifest`, which is not yet in force: if we stop here, the
    /// old manifest stands and open removes the file.
    fn store(
        &self,
        manifest: &mut Manifest,
        list: &ListName,
        part: Part,
        segment: Vec<u8>,
    ) -> Result<Arc<Piece>, StoreError> {
        let sha256 = sha256(&[&segment]);
        let file = part.file(list, manifest.generation);
        let entry = Entry { list: list.clone(), part, file, bytes: segment.len() as u64, sha256 };
        manifest.put(entry.clone());
        if manifest.lists() > LISTS_MAX {
            return Err(StoreError::TooManyLists);
        }
        write_file(&self.dir, &entry.file, &segment)
            .map_err(|(path, source)| StoreError::Io { path, source })?;
        drop(segment);
        let path = self.dir.join(&entry.file);
        let bytes = SegmentBytes::open(&path).map_err(|source| StoreError::io(&path, source))?;
        let segment = Segment::parse(bytes)
            .and_then(|segment| segment.verify().map(|()| segment))
            .map_err(|source| StoreError::ReadBack { path, source })?;
        Ok(Arc::new(Piece { entry, segment }))
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
        if manifest.take(list).is_empty() {
            return Ok(false);
        }
        let lists = before.lists.iter().filter(|other| other.state.name != *list).cloned().collect();
        self.put_in_force(&before, manifest, lists)?;
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
            .flat_map(|list| list.pieces())
            .map(|piece| ExportedFile {
                name: piece.entry.file.clone(),
                sha256: piece.entry.sha256,
                content: Content::Segment(Arc::clone(piece)),
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

    /// Puts a list with these parts in force, in place of what it was in `before`. Returns its state.
    fn switch(
        &self,
        before: &Snapshot,
        manifest: Manifest,
        list: &ListName,
        parts: impl IntoIterator<Item = Arc<Piece>>,
    ) -> Result<ListState, StoreError> {
        let active = Arc::new(Active::new(parts).expect("a list in force has a whole state"));
        let state = active.state.clone();
        let mut lists = before.lists.clone();
        match lists.binary_search_by(|other| other.state.name.cmp(list)) {
            Ok(idx) => {
                if let Some(old) = lists.get_mut(idx) {
                    *old = active;
                }
            }
            Err(idx) => lists.insert(idx, active),
        }
        self.put_in_force(before, manifest, lists)?;
        Ok(state)
    }

    /// Makes `manifest` durable, then puts `lists` in force, then removes the segments no longer named.
    fn put_in_force(
        &self,
        before: &Snapshot,
        manifest: Manifest,
        lists: Vec<Arc<Active>>,
    ) -> Result<(), StoreError> {
        // The rename within is the moment at which the new state exists.
        write_file(&self.dir, CURRENT, &manifest.to_bytes())
            .map_err(|(path, source)| StoreError::Io { path, source })?;
        let gone = before.manifest.entries.iter().filter(|old| !manifest.entries.contains(old));
        let gone: Vec<_> = gone.map(|old| self.dir.join(&old.file)).collect();
        self.active.store(Arc::new(Snapshot { manifest, lists }));
        for path in gone {
            // Failing here is harmless: the next open removes it. Nothing reads it any more.
            fs::remove_file(path).ok();
        }
        Ok(())
    }
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
    Segment(Arc<Piece>),
}

impl ExportedFile {
    /// Its content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Bytes(bytes) => bytes,
            Content::Segment(piece) => piece.segment.bytes(),
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
