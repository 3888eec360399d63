//! The offline audit: checks every file that a checkpoint covers and names what is wrong, down to the record.
//!
//! It works from the signed root downwards. The partial tiles of the right edge must hash to the root; each full tile
//! must hash to its entry in the tile above; each entry must hash to its place in the level-0 tile. Whatever has been
//! authenticated from above decides who is wrong when two files disagree. A damaged tile is repaired in memory from
//! what lies below it, so one fault does not hide others.
//!
//! One pass, each file read once unless something is wrong. Memory: one tile per level and one bundle. It does not look
//! for files that the checkpoint does not cover; the caller who can list files does.

use std::collections::VecDeque;

use crate::{
    bundle::BundleEntries,
    checkpoint::{CHECKPOINT_PATH, Checkpoint, CheckpointError},
    hash::{Hash, leaf_hash, perfect_root},
    note::NoteVerifier,
    source::{ReadError, TileSource, check_bundle, entry_ends, read_file, read_hashes, read_widest},
    tile::{TILE_WIDTH, TileId, TileKind},
    writer::{edge_root, edge_tile},
};

/// Up to this many disagreeing hashes, every combination of stored and recomputed ones is tried against the root.
const COMBINED_MAX: usize = 10;

/// Why an audit cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The checkpoint is not to be believed.
    #[error("{CHECKPOINT_PATH}: not a valid checkpoint of this log")]
    Checkpoint(#[from] CheckpointError),
    /// There is no checkpoint, or it cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// One thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Entry and leaf hash differ, and neither can be authenticated.
    #[error("{path}: record {record} does not hash to its leaf in {tile}, and neither is proven")]
    Disagreement {
        /// The bundle.
        path: String,
        /// The level-0 tile.
        tile: String,
        /// Index of the record.
        record: u64,
    },
    /// The entry is not the one that was logged.
    #[error("{path}: record {record} is not what was logged")]
    Entry {
        /// The bundle.
        path: String,
        /// Index of the record.
        record: u64,
    },
    /// A file is missing, malformed or unreadable.
    #[error(transparent)]
    File(#[from] ReadError),
    /// A stored hash is wrong, while what it stands for is intact.
    #[error("{path}: hash {slot}, over {records} records from {record}, is wrong")]
    Hash {
        /// The tile.
        path: String,
        /// Zero-based place in the tile.
        slot: usize,
        /// First record that the hash covers.
        record: u64,
        /// How many records it covers.
        records: u64,
    },
    /// The tiles of the right edge do not hash to the checkpoint's root, nor does what lies below them.
    #[error("tiles do not hash to the root of the checkpoint")]
    Root,
    /// The tile does not hash to its entry in the tile above, nor does what lies below it.
    #[error("{path}: hashes of {records} records from {record} on are not those of the tile above")]
    Tile {
        /// The tile.
        path: String,
        /// First record that the tile covers.
        record: u64,
        /// How many records it covers.
        records: u64,
    },
}

/// From what a damaged tile is recomputed.
#[derive(Debug, Clone, Copy)]
enum Depth {
    /// From the entries alone: works when tiles are damaged one above the other.
    Entries,
    /// From the tiles of the level below: cheap, and needs no entries.
    NextLevel,
}

/// The order in which repairs are tried.
const DEPTHS: [Depth; 2] = [Depth::NextLevel, Depth::Entries];

/// A row of hashes and whether it is proven to be under the root.
#[derive(Debug, Clone)]
struct Row {
    /// Number of the tile.
    index: u64,
    /// None: neither readable nor recomputable.
    hashes: Option<Vec<Hash>>,
    proven: bool,
}

/// An audit under way: an iterator over the faults, in the order in which they are found.
#[derive(Debug)]
pub struct Audit<S> {
    source: S,
    checkpoint: Checkpoint,
    /// Partial tiles of all levels, lowest first.
    edge: Vec<Vec<Hash>>,
    edge_proven: bool,
    /// The full tile last opened at each level from 1 up (place 0 is level 1).
    open: Vec<Option<Row>>,
    /// Next level-0 tile, with its bundle.
    next: u64,
    entries_proven: u64,
    /// Bounded: filled by one bundle at a time and drained before the next.
    faults: VecDeque<Fault>,
}

impl<S: TileSource> Audit<S> {
    /// Reads and verifies the checkpoint and the right edge of the log.
    ///
    /// # Errors
    /// [`AuditError`] when there is no checkpoint to audit against.
    pub fn open(source: S, verifier: &NoteVerifier) -> Result<Self, AuditError> {
        let missing = || ReadError::Missing { path: CHECKPOINT_PATH.to_owned() };
        let bytes = read_file(&source, CHECKPOINT_PATH)?.ok_or_else(missing)?;
        let checkpoint = Checkpoint::open(&bytes, verifier)?;
        let mut audit = Self {
            source,
            checkpoint,
            edge: Vec::new(),
            edge_proven: false,
            open: Vec::new(),
            next: 0,
            entries_proven: 0,
            faults: VecDeque::new(),
        };
        audit.open_edge();
        Ok(audit)
    }

    /// The checkpoint that everything is checked against; its signature is valid.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Entries found to be those that the checkpoint commits to, so far. At the end of an audit without faults this is
    /// the size of the log.
    #[must_use]
    pub const fn entries_proven(&self) -> u64 {
        self.entries_proven
    }

    /// Entries looked at so far, for showing progress.
    #[must_use]
    pub fn entries_done(&self) -> u64 {
        self.next.saturating_mul(u64::from(TILE_WIDTH)).min(self.checkpoint.size)
    }

    /// Checks the next bundle and returns the faults found since the last step, none at the end. For those who show
    /// progress or want to stop in between; the iterator does the same.
    pub fn step(&mut self) -> Option<Vec<Fault>> {
        if self.next >= self.checkpoint.size.div_ceil(u64::from(TILE_WIDTH)) && self.faults.is_empty() {
            return None;
        }
        self.check(self.next);
        self.next += 1;
        Some(std::mem::take(&mut self.faults).into())
    }

    fn open_edge(&mut self) {
        let size = self.checkpoint.size;
        let levels = size.checked_ilog2().map_or(0, |top| top / 8 + 1);
        let mut ids = Vec::new();
        let mut stored = Vec::new();
        for level in (0_u8..).take(levels as usize) {
            let id = edge_tile(TileKind::Hashes(level), size);
            stored.push(id.map_or(Some(Vec::new()), |id| self.read_or_report(id)));
            ids.push(id);
        }
        let root = self.checkpoint.root;
        let matches = |rows: &[Vec<Hash>]| edge_root(rows) == root;
        let whole: Option<Vec<_>> = stored.iter().cloned().collect();
        if let Some(rows) = whole.filter(|rows| matches(rows)) {
            self.edge = rows;
            self.edge_proven = true;
            return;
        }
        let repaired = DEPTHS.into_iter().find_map(|depth| {
            let below: Vec<_> =
                ids.iter().map(|id| id.map_or(Some(Vec::new()), |id| self.row_below(id, depth))).collect();
            reconcile(&stored, &below, matches)
        });
        if let Some((rows, wrong)) = repaired {
            for (level, slot) in wrong {
                self.faults.extend(ids[level].map(|id| hash_fault(id, slot)));
            }
            self.edge = rows;
            self.edge_proven = true;
        } else {
            self.faults.push_back(Fault::Root);
            self.edge = stored.into_iter().map(Option::unwrap_or_default).collect();
        }
    }

    fn read_or_report(&mut self, id: TileId) -> Option<Vec<Hash>> {
        read_hashes(&self.source, id).map_err(|error| self.faults.push_back(error.into())).ok()
    }

    /// The row of hashes that a tile should hold, recomputed from what lies below it; none unless all of that is
    /// readable.
    fn row_below(&self, id: TileId, depth: Depth) -> Option<Vec<Hash>> {
        match id.kind() {
            TileKind::Hashes(0) => {
                let bundle = TileId::in_tree(TileKind::Entries, id.index(), self.checkpoint.size)?;
                let (found, bytes) = read_widest(&self.source, bundle).ok()?;
                Some(check_bundle(bundle, found, bytes).ok()?.entries().map(leaf_hash).collect())
            }
            TileKind::Hashes(level) => (id.first_item()..id.first_item() + u64::from(id.width()))
                .map(|child| {
                    let child = TileId::in_tree(TileKind::Hashes(level - 1), child, self.checkpoint.size)?;
                    let stored = match depth {
                        Depth::NextLevel => read_hashes(&self.source, child).ok(),
                        Depth::Entries => None,
                    };
                    Some(perfect_root(&stored.or_else(|| self.row_below(child, depth))?))
                })
                .collect(),
            TileKind::Entries => None,
        }
    }

    /// What the tiles above say that full tile `index` of the level below `level` hashes to, and whether that is
    /// proven.
    fn hash_above(&mut self, level: u8, index: u64) -> (Option<Hash>, bool) {
        let parent = index / u64::from(TILE_WIDTH);
        let slot = usize::try_from(index % u64::from(TILE_WIDTH)).unwrap_or(usize::MAX);
        let partial = TileId::in_tree(TileKind::Hashes(level), parent, self.checkpoint.size)
            .is_none_or(|id| id.is_partial());
        if partial {
            let row = self.edge.get(usize::from(level));
            return (row.and_then(|row| row.get(slot)).copied(), self.edge_proven);
        }
        let place = usize::from(level - 1);
        let cached = self.open.get(place).and_then(Option::as_ref).is_some_and(|row| row.index == parent);
        if !cached {
            let row = self.open_full(level, parent);
            if self.open.len() <= place {
                self.open.resize_with(place + 1, || None);
            }
            self.open[place] = Some(row);
        }
        match &self.open[place] {
            Some(Row { hashes: Some(hashes), proven, .. }) => (hashes.get(slot).copied(), *proven),
            _ => (None, false),
        }
    }

    /// Reads a full tile and authenticates it from above, repairing it from below where that is possible.
    fn open_full(&mut self, level: u8, index: u64) -> Row {
        let (expected, proven_above) = self.hash_above(level + 1, index);
        let Some(id) = TileId::in_tree(TileKind::Hashes(level), index, self.checkpoint.size) else {
            return Row { index, hashes: None, proven: false };
        };
        let stored = self.read_or_report(id);
        let matches = |rows: &[Vec<Hash>]| rows.first().map(|row| perfect_root(row)) == expected;
        if let Some(row) = stored.as_ref()
            && (expected.is_none() || matches(std::slice::from_ref(row)))
        {
            return Row { index, hashes: stored, proven: proven_above && expected.is_some() };
        }
        let repaired = DEPTHS.into_iter().find_map(|depth| {
            let below = self.row_below(id, depth);
            reconcile(std::slice::from_ref(&stored), std::slice::from_ref(&below), matches)
        });
        if let Some((mut rows, wrong)) = repaired {
            self.faults.extend(wrong.into_iter().map(|(_, slot)| hash_fault(id, slot)));
            return Row { index, hashes: rows.pop(), proven: proven_above };
        }
        let (record, records) = span(id, 0, u64::from(TILE_WIDTH));
        self.faults.push_back(Fault::Tile { path: id.to_string(), record, records });
        Row { index, hashes: stored, proven: false }
    }

    /// Checks one level-0 tile and its bundle.
    fn check(&mut self, index: u64) {
        let size = self.checkpoint.size;
        let tile = TileId::in_tree(TileKind::Hashes(0), index, size);
        let bundle = TileId::in_tree(TileKind::Entries, index, size);
        let (Some(tile), Some(bundle)) = (tile, bundle) else { return };
        let row = if tile.is_partial() {
            Row { index, hashes: self.edge.first().cloned(), proven: self.edge_proven }
        } else {
            self.open_full(0, index)
        };
        let (found, bytes) = match read_widest(&self.source, bundle) {
            Ok(read) => read,
            Err(error) => return self.faults.push_back(error.into()),
        };
        let leaves = row.hashes.unwrap_or_default();
        let fault = |record| {
            let path = found.to_string();
            if row.proven {
                Fault::Entry { path, record }
            } else {
                Fault::Disagreement { path, tile: tile.to_string(), record }
            }
        };
        // A wrong length shifts all entries after it, so in a malformed bundle the first difference is the cause.
        let malformed = entry_ends(found, &bytes).err();
        let differences_max = if malformed.is_some() { 1 } else { usize::from(TILE_WIDTH) };
        self.faults.extend(malformed.map(Fault::File));
        let mut differences = 0;
        let records = bundle.first_item()..;
        for ((record, entry), leaf) in records.zip(BundleEntries::new(&bytes)).zip(&leaves) {
            if entry.is_ok_and(|entry| leaf_hash(entry) == *leaf) {
                self.entries_proven += u64::from(row.proven);
                continue;
            }
            self.faults.push_back(fault(record));
            differences += 1;
            if differences >= differences_max {
                break;
            }
        }
    }
}

impl<S: TileSource> Iterator for Audit<S> {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        loop {
            if let Some(fault) = self.faults.pop_front() {
                return Some(fault);
            }
            if self.next >= self.checkpoint.size.div_ceil(u64::from(TILE_WIDTH)) {
                return None;
            }
            self.check(self.next);
            self.next += 1;
        }
    }
}

/// First record and number of records under `slots` hashes of a tile from `slot` on.
fn span(id: TileId, slot: u64, slots: u64) -> (u64, u64) {
    let TileKind::Hashes(level) = id.kind() else { return (id.first_item() + slot, slots) };
    let each = 1_u64.checked_shl(8 * u32::from(level)).unwrap_or(0);
    ((id.first_item() + slot).saturating_mul(each), each.saturating_mul(slots))
}

fn hash_fault(id: TileId, slot: usize) -> Fault {
    let (record, records) = span(id, slot as u64, 1);
    Fault::Hash { path: id.to_string(), slot, record, records }
}

/// Rows of hashes, lowest level first.
type Rows = Vec<Vec<Hash>>;

/// Finds which of the stored hashes are wrong: mixes stored rows with recomputed ones until `matches` is satisfied.
/// Gives the right rows and the places (row, slot) where the stored ones were wrong. Rows that could not be read are
/// taken as recomputed and have no wrong places.
fn reconcile(
    stored: &[Option<Vec<Hash>>],
    below: &[Option<Vec<Hash>>],
    matches: impl Fn(&[Vec<Hash>]) -> bool,
) -> Option<(Rows, Vec<(usize, usize)>)> {
    let rows: Rows =
        stored.iter().zip(below).map(|(a, b)| a.as_ref().or(b.as_ref()).cloned()).collect::<Option<_>>()?;
    let mut differing = Vec::new();
    for (level, (row, below)) in rows.iter().zip(below).enumerate() {
        for (slot, (hash, other)) in row.iter().zip(below.iter().flatten()).enumerate() {
            if hash != other {
                differing.push((level, slot, *other));
            }
        }
    }
    let all = 1_usize.checked_shl(u32::try_from(differing.len()).ok()?);
    let combinations: Box<dyn Iterator<Item = Option<usize>>> = match all {
        Some(all) if differing.len() <= COMBINED_MAX => Box::new((0..all).map(Some)),
        _ => Box::new(std::iter::once(None)),
    };
    for mask in combinations {
        let mut mixed = rows.clone();
        let mut wrong = Vec::new();
        for (bit, (level, slot, other)) in differing.iter().enumerate() {
            if mask.is_none_or(|mask| mask >> bit & 1 == 1) {
                mixed[*level][*slot] = *other;
                wrong.push((*level, *slot));
            }
        }
        if matches(&mixed) {
            return Some((mixed, wrong));
        }
    }
    None
}

#[cfg(test)]
mod tests;
