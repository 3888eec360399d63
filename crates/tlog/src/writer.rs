//! The writing side: entries in, files out.
//!
//! Holds the right edge only (at most 255 hashes per level and one unfinished bundle), so memory is bounded by
//! 16 MiB + 64 KiB however long the log is. Decides nothing about when or in which order files reach the disk.

use crate::{
    bundle::{self, EntryTooLong},
    frontier::{Frontier, fold_right},
    hash::{Hash, empty_root, leaf_hash, perfect_root},
    source::{ReadError, TileSource, read_bundle, read_hashes},
    tile::{TILE_WIDTH, TileId, TileKind, bytes_of},
};

/// A file of the log, to be stored under the path of `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileFile {
    /// Name and width.
    pub id: TileId,
    /// Whole content.
    pub bytes: Vec<u8>,
}

/// Turns a sequence of entries into tiles; see the module head.
#[derive(Debug, Clone, Default)]
pub struct TileWriter {
    size: u64,
    /// The unfinished bundle.
    bundle: Vec<u8>,
    /// The unfinished tile of each level, fewer than 256 hashes each.
    rows: Vec<Vec<Hash>>,
}

impl TileWriter {
    /// The writer of an empty log.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, bundle: Vec::new(), rows: Vec::new() }
    }

    /// Continues a stored log of `size` entries. Compare [`TileWriter::root`] with the published checkpoint before
    /// going on: what was read is not trusted.
    ///
    /// # Errors
    /// [`ReadError`] when a tile or bundle of the right edge is missing or malformed.
    pub fn resume(source: &impl TileSource, size: u64) -> Result<Self, ReadError> {
        let bundle = match edge_tile(TileKind::Entries, size) {
            Some(id) => read_bundle(source, id)?.bytes,
            None => Vec::new(),
        };
        Ok(Self { size, bundle, rows: edge_rows(size, |id| read_hashes(source, id))? })
    }

    /// Number of entries so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends the next entry and returns the full tiles that it completes: mostly none.
    ///
    /// # Errors
    /// [`EntryTooLong`]; nothing has been appended then.
    ///
    /// # Panics
    /// At 2^64 - 1 entries, which no log reaches.
    pub fn append(&mut self, entry: &[u8]) -> Result<Vec<TileFile>, EntryTooLong> {
        bundle::push(&mut self.bundle, entry)?;
        self.size = self.size.checked_add(1).expect("a log has fewer than 2^64 entries");
        let mut completed = Vec::new();
        let full = |kind, items: u64, bytes| {
            let id = TileId::in_tree(kind, (items - 1) / u64::from(TILE_WIDTH), self.size)?;
            Some(TileFile { id, bytes })
        };
        if self.size.is_multiple_of(u64::from(TILE_WIDTH)) {
            completed.extend(full(TileKind::Entries, self.size, std::mem::take(&mut self.bundle)));
        }
        let mut carry = Some(leaf_hash(entry));
        let mut level = 0_u8;
        while let Some(hash) = carry.take() {
            if self.rows.len() <= usize::from(level) {
                self.rows.push(Vec::with_capacity(usize::from(TILE_WIDTH)));
            }
            let row = &mut self.rows[usize::from(level)];
            row.push(hash);
            if row.len() == usize::from(TILE_WIDTH) {
                let items = self.size >> (8 * u32::from(level));
                completed.extend(full(TileKind::Hashes(level), items, bytes_of(row)));
                carry = Some(perfect_root(row));
                row.clear();
            }
            level += 1;
        }
        Ok(completed)
    }

    /// The partial tiles of the current size. Together with all full tiles given out so far they are the whole log.
    #[must_use]
    pub fn edge(&self) -> Vec<TileFile> {
        let rows = (0_u8..).zip(&self.rows).map(|(level, row)| (TileKind::Hashes(level), bytes_of(row)));
        std::iter::once((TileKind::Entries, self.bundle.clone()))
            .chain(rows)
            .filter_map(|(kind, bytes)| Some(TileFile { id: edge_tile(kind, self.size)?, bytes }))
            .collect()
    }

    /// The root of the tree over all entries so far. At most 2 048 hash operations.
    #[must_use]
    pub fn root(&self) -> Hash {
        edge_root(&self.rows)
    }

    /// The tree over all entries so far in its compact form. At most 2 048 hash operations.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        Frontier::from_parts(self.size, edge_subtrees(&self.rows))
    }
}

/// The partial tile of a kind in a tree of `size` leaves.
pub(crate) fn edge_tile(kind: TileKind, size: u64) -> Option<TileId> {
    let level = match kind {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => level,
    };
    let items = size.checked_shr(8 * u32::from(level))?;
    TileId::in_tree(kind, items / u64::from(TILE_WIDTH), size)
}

/// The partial tiles of all levels, lowest first; a level without one is an empty row.
pub(crate) fn edge_rows<E>(
    size: u64,
    mut read: impl FnMut(TileId) -> Result<Vec<Hash>, E>,
) -> Result<Vec<Vec<Hash>>, E> {
    let levels = size.checked_ilog2().map_or(0, |top| top / 8 + 1);
    (0_u8..)
        .zip(0..levels)
        .map(|(level, _)| edge_tile(TileKind::Hashes(level), size).map_or(Ok(Vec::new()), &mut read))
        .collect()
}

/// The root of the tree whose partial tiles are `rows`, lowest level first.
pub(crate) fn edge_root(rows: &[Vec<Hash>]) -> Hash {
    fold_right(&edge_subtrees(rows)).unwrap_or_else(empty_root)
}

/// The roots of the perfect subtrees of that tree, largest first.
fn edge_subtrees(rows: &[Vec<Hash>]) -> Vec<Hash> {
    let mut subtrees = Vec::new();
    for row in rows.iter().rev() {
        let mut rest = row.as_slice();
        for bit in (0..8).rev() {
            if row.len() & (1 << bit) != 0 {
                let (perfect, after) = rest.split_at(1 << bit);
                subtrees.push(perfect_root(perfect));
                rest = after;
            }
        }
    }
    subtrees
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{oracle, tile::tiles_of};

    type Memory = BTreeMap<String, Vec<u8>>;

    fn store(memory: &mut Memory, files: Vec<TileFile>) {
        for file in files {
            let old = memory.insert(file.id.to_string(), file.bytes.clone());
            assert!(old.is_none_or(|old| old == file.bytes), "{} changed", file.id);
        }
    }

    fn grow(memory: &mut Memory, writer: &mut TileWriter, to: u64) {
        for index in writer.size()..to {
            store(memory, writer.append(&oracle::entry(index)).unwrap());
        }
        store(memory, writer.edge());
    }

    /// The names and the content of every file, from the definitions.
    fn expected(size: u64) -> Memory {
        let leaves = oracle::leaves(usize::try_from(size).unwrap());
        tiles_of(size)
            .map(|id| {
                let items = id.first_item()..id.first_item() + u64::from(id.width());
                let bytes = match id.kind() {
                    TileKind::Entries => items.fold(Vec::new(), |mut bundle, index| {
                        bundle::push(&mut bundle, &oracle::entry(index)).unwrap();
                        bundle
                    }),
                    TileKind::Hashes(level) => {
                        let span = 256_usize.pow(u32::from(level));
                        let roots: Vec<_> = items
                            .map(|i| usize::try_from(i).unwrap() * span)
                            .map(|start| oracle::root(&leaves[start..start + span]))
                            .collect();
                        bytes_of(&roots)
                    }
                };
                (id.to_string(), bytes)
            })
            .collect()
    }

    #[test]
    fn crosses_two_levels() {
        let (mut memory, mut writer) = (Memory::new(), TileWriter::new());
        grow(&mut memory, &mut writer, 65_536 + 300);
        assert_eq!(memory, expected(65_536 + 300));
        assert_eq!(writer.root(), oracle::root(&oracle::leaves(65_836)));
        let mut frontier = Frontier::new();
        oracle::leaves(65_836).into_iter().for_each(|leaf| frontier.append(leaf));
        assert_eq!(writer.frontier(), frontier);
    }

    #[test]
    fn too_long_an_entry_changes_nothing() {
        let mut writer = TileWriter::new();
        writer.append(b"one").unwrap();
        let (root, edge) = (writer.root(), writer.edge());
        assert_eq!(writer.append(&[0; 65_536]), Err(EntryTooLong { got: 65_536 }));
        assert_eq!((writer.size(), writer.root(), writer.edge()), (1, root, edge));
    }

    #[test]
    fn resuming_names_what_is_wrong() {
        let (mut memory, mut writer) = (Memory::new(), TileWriter::new());
        grow(&mut memory, &mut writer, 700);
        assert_eq!(TileWriter::resume(&memory, 700).unwrap().root(), writer.root());
        memory.get_mut("tile/0/002.p/188").unwrap().pop();
        assert_eq!(
            TileWriter::resume(&memory, 700).unwrap_err(),
            ReadError::WrongLength { path: "tile/0/002.p/188".to_owned(), expected: 6016, got: 6015 }
        );
        memory.remove("tile/0/002.p/188");
        assert_eq!(
            TileWriter::resume(&memory, 700).unwrap_err(),
            ReadError::Missing { path: "tile/0/002.p/188".to_owned() }
        );
        memory.get_mut("tile/entries/002.p/188").unwrap().pop();
        assert!(matches!(
            TileWriter::resume(&memory, 700).unwrap_err(),
            ReadError::CutShort { record: 699, .. }
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// In steps with a restart at each, from whatever is stored: the same files as from scratch.
        #[test]
        fn incremental_is_from_scratch(steps in prop::collection::vec(1_u64..400, 1..6), drop_partials: bool) {
            let mut memory = Memory::new();
            let mut size = 0;
            for step in steps {
                let mut writer = TileWriter::resume(&memory, size).unwrap();
                size += step;
                grow(&mut memory, &mut writer, size);
                prop_assert_eq!(writer.root(), oracle::root(&oracle::leaves(usize::try_from(size).unwrap())));
            }
            if drop_partials {
                // A wider tile serves in place of a partial one.
                let mut writer = TileWriter::resume(&memory, size).unwrap();
                grow(&mut memory, &mut writer, size.next_multiple_of(65_536).min(size + 300));
                memory.retain(|path, _| {
                    let id = TileId::parse(path).unwrap();
                    !id.is_partial() || !tiles_of(writer.size()).any(|other| other == id.full())
                });
                prop_assert_eq!(
                    TileWriter::resume(&memory, size).unwrap().root(),
                    oracle::root(&oracle::leaves(usize::try_from(size).unwrap()))
                );
            } else {
                for (path, bytes) in expected(size) {
                    prop_assert_eq!(memory.get(&path), Some(&bytes), "{}", path);
                }
            }
        }
    }
}
