//! Writing the log: entries of the journal become tiles, and tiles become a signed checkpoint.
//!
//! The order of one publication, and what a crash after each step leaves:
//!
//! 1. The journal is proven to continue the published log: the published tree plus the new entries must have the
//!    journal's root. Nothing has been written.
//! 2. New full tiles and bundles, then the partial ones of the new size, each written under a temporary name, synced
//!    and renamed. The published checkpoint still stands, its files untouched; more files lie about, with content that
//!    the next attempt writes again.
//! 3. Their directories are synced.
//! 4. Partial tiles that a full one replaces are removed. Readers of the published checkpoint find the full one.
//! 5. The checkpoint is replaced. From here on it is published.
//!
//! So at any moment the directory is a valid log for the checkpoint in it, and recovery is the normal path: start from
//! the published checkpoint. All state besides the files is rebuilt from them.

use std::{collections::BTreeSet, io, sync::Arc};

use domain::UnixNanos;
use journal::{
    Journal,
    disk::{self, Disk},
};
use tlog::{
    CHECKPOINT_PATH, Checkpoint, CheckpointError, EntryTooLong, Frontier, Hash, NoteSigner, ReadError,
    TileFile, TileId, TileWriter, leaf_hash,
};

use crate::{
    log::{CheckpointReadError, LOG_DIR, PublishedLog, VKEY_PATH},
    source::DiskSource,
};

/// Added to the name of a file while it is being written.
pub(crate) const STAGED_SUFFIX: &str = ".new";
/// Directories remembered as existing. Forgetting one costs two system calls.
const DIRS_KNOWN_MAX: usize = 4096;

/// What is published: the durable entries of the journal, in order. Beside its consumer so that the publisher can be
/// tested and simulated without sealing a million entries.
pub trait LogSource: Send + Sync {
    /// Number of durable entries and the root over them, of the same moment.
    fn tree(&self) -> (u64, Hash);

    /// Calls `visit` with the stored bytes of entries `from..to`, all of which are durable, in order; stops at the first
    /// error.
    ///
    /// # Errors
    /// [`PublishError::Journal`] or [`PublishError::Io`] when an entry cannot be read, or whatever `visit` says.
    fn read(
        &self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), PublishError>,
    ) -> Result<(), PublishError>;
}

impl LogSource for Journal {
    fn tree(&self) -> (u64, Hash) {
        Self::tree(self)
    }

    fn read(
        &self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        let mut reader = self.reader(from);
        for seq in from..to {
            let lost = || PublishError::Journal { seq, reason: "durable entry is missing".to_owned() };
            let entry = reader.next_ref().ok_or_else(lost)?;
            let entry = entry.map_err(|error| match error {
                journal::ReadError::Io { file, source } => PublishError::Io { path: file, source },
                damage => PublishError::Journal { seq, reason: damage.to_string() },
            })?;
            visit(entry.bytes)?;
        }
        Ok(())
    }
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The checkpoint on disk is damaged, forged, or of another log.
    #[error("{LOG_DIR}/{CHECKPOINT_PATH} is not a valid checkpoint of this log")]
    Checkpoint(#[from] CheckpointError),
    /// A tile or bundle that is needed to go on is missing or malformed. Rebuilding writes it again.
    #[error("log is damaged: {0}")]
    Damaged(ReadError),
    /// The tiles do not hash to the root of their checkpoint. Rebuilding writes them again.
    #[error("log is damaged: its tiles do not hash to the checkpoint of size {size}")]
    DamagedTiles {
        /// Size of the published checkpoint.
        size: u64,
    },
    /// The entry is too long for a log.
    #[error("entry {seq} does not fit the log")]
    Entry {
        /// Sequence number.
        seq: u64,
        /// The bound.
        source: EntryTooLong,
    },
    /// The journal is not the one that was published: some of the first `published` entries have changed.
    #[error(
        "journal does not continue the published log: its first {published} entries are not those of the checkpoint"
    )]
    Forked {
        /// Size of the published checkpoint.
        published: u64,
    },
    /// The storage failed.
    #[error("{path}: storage failed")]
    Io {
        /// The file or directory.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The journal is damaged.
    #[error("journal cannot be read at entry {seq}: {reason}")]
    Journal {
        /// Sequence number.
        seq: u64,
        /// What the journal says.
        reason: String,
    },
    /// The journal is shorter than what was published.
    #[error(
        "journal was rolled back: it has {journal} entries, the published checkpoint commits to {published}"
    )]
    RolledBack {
        /// Size of the published checkpoint.
        published: u64,
        /// Size of the journal.
        journal: u64,
    },
    /// The log was published under another key.
    #[error("{LOG_DIR}/{VKEY_PATH} is another key than the configured one")]
    VkeyMismatch,
}

impl PublishError {
    /// True if trying again may help: the storage failed, but nothing speaks of damage or manipulation.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

/// A publication that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Entries that the checkpoint commits to.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// When, by the caller's clock. The checkpoint itself carries no time.
    pub at: UnixNanos,
}

/// Writes the log; see the module head. The only writer of `DATA_DIR/log`.
#[derive(Debug)]
pub struct Publisher<L> {
    source: L,
    disk: Arc<dyn Disk>,
    signer: NoteSigner,
    /// None before the first use and after an error: what is on disk decides then.
    edge: Option<Edge>,
    dirs_known: BTreeSet<String>,
}

/// The right edge of the published log.
#[derive(Debug)]
struct Edge {
    writer: TileWriter,
    frontier: Frontier,
    /// False before the first checkpoint ever.
    checkpoint_exists: bool,
}

impl<L: LogSource> Publisher<L> {
    /// Opens the log in `DATA_DIR/log`, where `disk` is the data directory, makes it if there is none, and brings it up
    /// to date with the journal. The name of the signer's key is the origin of the log.
    ///
    /// # Errors
    /// [`PublishError`]; in particular when the journal does not contain what was published.
    pub fn open(
        source: L,
        disk: Arc<dyn Disk>,
        signer: NoteSigner,
        now: UnixNanos,
    ) -> Result<(Self, Published), PublishError> {
        let mut publisher = Self { source, disk, signer, edge: None, dirs_known: BTreeSet::new() };
        publisher.claim()?;
        let published = publisher.publish_once(now)?;
        let published = published.unwrap_or_else(|| publisher.current(now));
        Ok((publisher, published))
    }

    /// As [`Publisher::open`], but writes every tile and bundle again from the journal, for when they are damaged. The
    /// published checkpoint must be intact, and the journal must still contain what it commits to.
    ///
    /// # Errors
    /// As [`Publisher::open`].
    pub fn rebuild(
        source: L,
        disk: Arc<dyn Disk>,
        signer: NoteSigner,
        now: UnixNanos,
    ) -> Result<(Self, Published), PublishError> {
        let mut publisher = Self { source, disk, signer, edge: None, dirs_known: BTreeSet::new() };
        publisher.claim()?;
        if let Some(checkpoint) = publisher.checkpoint()? {
            publisher.rewrite(&checkpoint)?;
        }
        let published = publisher.publish_once(now)?;
        let published = published.unwrap_or_else(|| publisher.current(now));
        Ok((publisher, published))
    }

    /// Publishes what has become durable since; none if nothing has. Durable on return.
    ///
    /// # Errors
    /// [`PublishError`]. The log on disk is as valid as before, and the next call starts from it.
    pub fn publish_once(&mut self, now: UnixNanos) -> Result<Option<Published>, PublishError> {
        let mut edge = match self.edge.take() {
            Some(edge) => edge,
            None => self.load()?,
        };
        let (size, root) = self.source.tree();
        let published = edge.writer.size();
        if size < published {
            return Err(PublishError::RolledBack { published, journal: size });
        }
        // Proven before anything is written or signed: the journal's own root, computed over all its entries, is that
        // of the published tree and the new entries.
        self.source.read(published, size, &mut |entry| {
            edge.frontier.append(leaf_hash(entry));
            Ok(())
        })?;
        if edge.frontier.root() != root {
            return Err(PublishError::Forked { published });
        }
        if size == published && edge.checkpoint_exists {
            self.edge = Some(edge);
            return Ok(None);
        }
        self.write_tiles(&mut edge.writer, size)?;
        let checkpoint = Checkpoint::sign(size, root, &self.signer);
        self.replace(CHECKPOINT_PATH, checkpoint.as_bytes())?;
        edge.checkpoint_exists = true;
        self.edge = Some(edge);
        tracing::debug!(size, root = %root, "log published");
        Ok(Some(Published { size, root, at: now }))
    }

    /// The log for readers.
    #[must_use]
    pub fn log(&self) -> PublishedLog {
        PublishedLog::new(Arc::clone(&self.disk), self.signer.verifier().clone())
    }

    fn current(&self, at: UnixNanos) -> Published {
        let (size, root) = self
            .edge
            .as_ref()
            .map_or_else(|| (0, tlog::empty_root()), |edge| (edge.frontier.size(), edge.frontier.root()));
        Published { size, root, at }
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, PublishError> {
        match self.log().checkpoint() {
            Ok(checkpoint) => Ok(checkpoint.map(|(checkpoint, _)| checkpoint)),
            Err(CheckpointReadError::Invalid(error)) => Err(error.into()),
            Err(CheckpointReadError::Io(source)) => Err(io_error(CHECKPOINT_PATH)(source)),
        }
    }

    /// Makes the directory and the key file, or checks that they are ours.
    fn claim(&mut self) -> Result<(), PublishError> {
        self.make_dirs("")?;
        for path in [CHECKPOINT_PATH, VKEY_PATH] {
            self.remove_if_there(&format!("{}{STAGED_SUFFIX}", join(path)))?;
        }
        let vkey = format!("{}\n", self.signer.verifier());
        match self.log().file(VKEY_PATH).map_err(io_error(VKEY_PATH))? {
            Some(stored) if stored == vkey.as_bytes() => Ok(()),
            Some(_) => Err(PublishError::VkeyMismatch),
            None => self.replace(VKEY_PATH, vkey.as_bytes()),
        }
    }

    /// Reads the right edge of the published log.
    fn load(&self) -> Result<Edge, PublishError> {
        let Some(checkpoint) = self.checkpoint()? else {
            return Ok(Edge {
                writer: TileWriter::new(),
                frontier: Frontier::new(),
                checkpoint_exists: false,
            });
        };
        let source = DiskSource::new(&*self.disk, LOG_DIR);
        let size = checkpoint.size;
        let writer = TileWriter::resume(&source, size).map_err(PublishError::Damaged)?;
        if writer.root() != checkpoint.root {
            return Err(PublishError::DamagedTiles { size });
        }
        let frontier = writer.frontier();
        Ok(Edge { writer, frontier, checkpoint_exists: true })
    }

    /// Writes all files of the published checkpoint again.
    fn rewrite(&mut self, checkpoint: &Checkpoint) -> Result<(), PublishError> {
        let (published, journal) = (checkpoint.size, self.source.tree().0);
        if journal < published {
            return Err(PublishError::RolledBack { published, journal });
        }
        let mut frontier = Frontier::new();
        self.source.read(0, published, &mut |entry| {
            frontier.append(leaf_hash(entry));
            Ok(())
        })?;
        if frontier.root() != checkpoint.root {
            return Err(PublishError::Forked { published });
        }
        self.write_tiles(&mut TileWriter::new(), published)
    }

    /// Writes the files that the log has grown by: durable on return.
    fn write_tiles(&mut self, writer: &mut TileWriter, size: u64) -> Result<(), PublishError> {
        let from = writer.size();
        let mut dirs = BTreeSet::new();
        let mut full = Vec::new();
        // The source is lent to the loop, so the rest of the publisher is taken apart around it.
        let Self { source, disk, dirs_known, .. } = self;
        let mut stage = Stage { disk: &**disk, dirs_known, dirs: &mut dirs };
        let mut seq = from;
        source.read(from, size, &mut |entry| {
            let files = writer.append(entry).map_err(|source| PublishError::Entry { seq, source })?;
            seq += 1;
            for file in files {
                stage.write(&file)?;
                full.push(file.id);
            }
            Ok(())
        })?;
        let mut partial = Vec::new();
        for file in writer.edge() {
            let unchanged = TileId::in_tree(file.id.kind(), file.id.index(), from) == Some(file.id);
            if !unchanged {
                stage.write(&file)?;
                partial.push(file.id);
            }
        }
        for dir in &dirs {
            self.disk.sync_dir(dir).map_err(io_error(dir))?;
        }
        full.iter().try_for_each(|id| self.remove_partials(*id, |_| true))?;
        // What an interrupted publication of another size was about to write.
        partial.iter().try_for_each(|id| self.remove_partials(*id, |name| name.ends_with(STAGED_SUFFIX)))
    }

    /// Removes chosen partial forms of a tile. An empty directory stays.
    fn remove_partials(&self, id: TileId, chosen: impl Fn(&str) -> bool) -> Result<(), PublishError> {
        let dir = join(&id.partial_dir());
        let names = match self.disk.list(&dir) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error(&dir)(error)),
        };
        for name in names.into_iter().filter(|name| chosen(name)) {
            let path = format!("{dir}/{name}");
            self.disk.remove(&path).map_err(io_error(&path))?;
        }
        Ok(())
    }

    fn remove_if_there(&self, path: &str) -> Result<(), PublishError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
            _ => Ok(()),
        }
    }

    fn make_dirs(&mut self, dir: &str) -> Result<(), PublishError> {
        let mut dirs = BTreeSet::new();
        let mut stage = Stage { disk: &*self.disk, dirs_known: &mut self.dirs_known, dirs: &mut dirs };
        stage.make_dirs(&join(dir))?;
        for dir in &dirs {
            self.disk.sync_dir(dir).map_err(io_error(dir))?;
        }
        Ok(())
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let path = join(path);
        disk::replace(&*self.disk, &path, bytes).map_err(io_error(&path))
    }
}

/// Writes files under temporary names and renames them, making directories on the way.
struct Stage<'a> {
    disk: &'a dyn Disk,
    dirs_known: &'a mut BTreeSet<String>,
    /// Directories whose names must be synced before the files count as written.
    dirs: &'a mut BTreeSet<String>,
}

impl Stage<'_> {
    fn write(&mut self, file: &TileFile) -> Result<(), PublishError> {
        let path = join(&file.id.to_string());
        let dir = parent(&path);
        self.make_dirs(dir)?;
        let staged = format!("{path}{STAGED_SUFFIX}");
        let created = match self.disk.create(&staged) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(&staged).and_then(|()| self.disk.create(&staged))
            }
            created => created,
        };
        created
            .and_then(|created| created.write_at(0, &file.bytes).and_then(|()| created.sync()))
            .and_then(|()| self.disk.rename(&staged, &path))
            .map_err(io_error(&path))?;
        if !self.dirs.contains(dir) {
            self.dirs.insert(dir.to_owned());
        }
        Ok(())
    }

    fn make_dirs(&mut self, dir: &str) -> Result<(), PublishError> {
        if dir.is_empty() || self.dirs_known.contains(dir) {
            return Ok(());
        }
        self.make_dirs(parent(dir))?;
        self.disk.create_dir(dir).map_err(io_error(dir))?;
        self.dirs.insert(parent(dir).to_owned());
        if self.dirs_known.len() >= DIRS_KNOWN_MAX {
            self.dirs_known.clear();
        }
        self.dirs_known.insert(dir.to_owned());
        Ok(())
    }
}

/// Path within the data directory of a path below the log's prefix.
fn join(path: &str) -> String {
    if path.is_empty() { LOG_DIR.to_owned() } else { format!("{LOG_DIR}/{path}") }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn io_error(path: &str) -> impl FnOnce(io::Error) -> PublishError + use<> {
    let path = path.to_owned();
    move |source| PublishError::Io { path, source }
}

#[cfg(test)]
mod tests;
