//! Tiles: the fixed-width files in which a log is stored and served (C2SP tlog-tiles).
//!
//! A hash tile holds up to 256 hashes. Level 0 holds leaf hashes; an entry at level *l* + 1 is the root of a full tile
//! at level *l*. An entry bundle holds the 256 entries behind one level-0 tile. Only the rightmost tile of a level can
//! be partial; its width is part of its name, so a file once written never changes.

use std::{fmt, iter};

use crate::hash::{HASH_BYTES, Hash};

/// Hashes in a full hash tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Bytes of a full hash tile.
pub const TILE_BYTES: usize = TILE_WIDTH as usize * HASH_BYTES;
/// Longest entry, in bytes: bundles prefix each with a 16-bit length.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// Longest entry bundle, in bytes. No file of a log except the checkpoint can be longer.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + ENTRY_BYTES_MAX);
/// Largest accepted tree size. Keeps all index arithmetic clear of overflow.
pub const TREE_SIZE_MAX: u64 = u64::MAX >> 1;

/// log2 of [`TILE_WIDTH`].
const TILE_HEIGHT: u32 = 8;
/// Highest tile level that a tree of [`TREE_SIZE_MAX`] leaves has.
const LEVEL_MAX: u8 = 7;
/// Directory of all tiles and bundles.
const TILE_PREFIX: &str = "tile/";

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Entries themselves.
    Entries,
    /// Hashes of the given level, 0 to 7.
    Hashes(u8),
}

impl TileKind {
    /// How many items of this kind a tree of `size` leaves has, over all tiles.
    const fn items(self, size: u64) -> u64 {
        match self {
            Self::Entries => size,
            Self::Hashes(level) if level <= LEVEL_MAX => size >> (TILE_HEIGHT * level as u32),
            Self::Hashes(_) => 0,
        }
    }
}

/// The name of one tile or entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    kind: TileKind,
    index: u64,
    width: u16,
}

impl TileId {
    /// The tile at `index` as a tree of `size` leaves has it: full, partial or, beyond the right edge, not at all.
    #[must_use]
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let items = kind.items(size.min(TREE_SIZE_MAX));
        let left = items.checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
        let width = u16::try_from(left).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
        (width > 0).then_some(Self { kind, index, width })
    }

    /// What the tile holds.
    #[must_use]
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// Zero-based position among the tiles of its kind.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Number of hashes or entries, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// True if the tile is not full, so that its name carries its width.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }

    /// The full tile that this one is a part of (itself if it is full).
    #[must_use]
    pub const fn full(&self) -> Self {
        Self { kind: self.kind, index: self.index, width: TILE_WIDTH }
    }

    /// Directory with the partial forms of this tile, `tile/0/007.p`.
    #[must_use]
    pub fn partial_dir(&self) -> String {
        format!("{}.p", self.full())
    }

    /// Number of the first leaf that the tile covers.
    #[must_use]
    pub(crate) const fn first_item(&self) -> u64 {
        self.index * TILE_WIDTH as u64
    }

    /// Reads a path such as `tile/0/x001/234` or `tile/entries/007.p/12`; only the one canonical spelling is accepted.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix(TILE_PREFIX)?.split_once('/')?;
        let kind = match kind.as_bytes() {
            b"entries" => TileKind::Entries,
            [digit @ b'0'..=b'7'] => TileKind::Hashes(digit - b'0'),
            _ => return None,
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok().filter(|w| (1..TILE_WIDTH).contains(w))?),
            None => (rest, TILE_WIDTH),
        };
        let mut index = 0_u64;
        let mut elements = number.split('/').peekable();
        while let Some(element) = elements.next() {
            let digits = if elements.peek().is_some() { element.strip_prefix('x')? } else { element };
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let id = Self { kind, index, width };
        // Rejects leading zero groups and zero-padded widths, and numbers that no tree reaches.
        let reachable = index <= kind.items(TREE_SIZE_MAX) / u64::from(TILE_WIDTH);
        (reachable && id.to_string() == path).then_some(id)
    }
}

impl fmt::Display for TileId {
    /// The path of the tile below the log's prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => write!(f, "{TILE_PREFIX}entries/")?,
            TileKind::Hashes(level) => write!(f, "{TILE_PREFIX}{level}/")?,
        }
        let mut divisor = 1;
        while self.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "x{:03}/", self.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_partial() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// All tiles of a tree of `size` leaves: bundles first, then level by level, each from left to right.
pub fn tiles_of(size: u64) -> impl Iterator<Item = TileId> {
    tiles_between(0, size)
}

/// The tiles that a tree of `new` leaves has and its prefix of `old` leaves had not (a wider form counts as new).
/// Empty if the tree did not grow.
pub fn tiles_between(old: u64, new: u64) -> impl Iterator<Item = TileId> {
    iter::once(TileKind::Entries).chain((0..=LEVEL_MAX).map(TileKind::Hashes)).flat_map(move |kind| {
        let (before, after) = (kind.items(old), kind.items(new.min(TREE_SIZE_MAX)));
        let first = before / u64::from(TILE_WIDTH);
        let end = if after > before { after.div_ceil(u64::from(TILE_WIDTH)) } else { first };
        (first..end).filter_map(move |index| TileId::in_tree(kind, index, new))
    })
}

/// The hashes of a tile file; none if its length is not a whole number of hashes.
pub(crate) fn hashes_of(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    rest.is_empty().then(|| hashes.iter().copied().map(Hash).collect())
}

/// The file of a row of hashes.
pub(crate) fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths(ids: impl Iterator<Item = TileId>) -> Vec<String> {
        ids.map(|id| id.to_string()).collect()
    }

    #[test]
    fn paths_of_the_specification() {
        let id = TileId { kind: TileKind::Hashes(0), index: 1_234_067, width: TILE_WIDTH };
        assert_eq!(id.to_string(), "tile/0/x001/x234/067");
        assert_eq!(id.partial_dir(), "tile/0/x001/x234/067.p");
        assert_eq!(TileId::parse("tile/0/x001/x234/067"), Some(id));
        assert_eq!(
            TileId::in_tree(TileKind::Hashes(0), 273, 70_000).unwrap().to_string(),
            "tile/0/273.p/112"
        );
    }

    /// The worked example of tlog-tiles: 70 000 entries.
    #[test]
    fn tiles_of_the_specification() {
        let all: Vec<_> = tiles_of(70_000).collect();
        let count = |kind| all.iter().filter(|id| id.kind == kind).count();
        assert_eq!(count(TileKind::Entries), 274);
        assert_eq!(count(TileKind::Hashes(0)), 274);
        let upper = all.iter().filter(|id| matches!(id.kind, TileKind::Hashes(1..)));
        assert_eq!(paths(upper.copied()), ["tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]);
        assert_eq!(paths(tiles_of(256)), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(
            paths(tiles_between(256, 257)),
            ["tile/entries/001.p/1", "tile/0/001.p/1"],
            "the tile above has not changed"
        );
        assert_eq!(tiles_between(300, 300).count(), 0);
        assert_eq!(tiles_between(300, 20).count(), 0);
        assert_eq!(tiles_of(0).count(), 0);
    }

    #[test]
    fn other_spellings_are_refused() {
        for path in [
            "",
            "tile",
            "tile/",
            "tile/0/",
            "tile/0/7",
            "tile/0/0007",
            "tile/00/007",
            "tile/8/000",
            "tile/63/000",
            "tile/0/x000/007",
            "tile/0/001/007",
            "tile/0/x001",
            "tile/0/007.p",
            "tile/0/007.p/",
            "tile/0/007.p/0",
            "tile/0/007.p/256",
            "tile/0/007.p/01",
            "tile/0/007.p/+1",
            "tile/0/x01/007",
            "tile/entries/-01",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "/tile/0/007",
            "tile/0/007/",
            "tile/0/../007",
            "tile/7/001",
            "tile/0/٣٣٣",
        ] {
            assert_eq!(TileId::parse(path), None, "{path}");
        }
        assert!(TileId::parse("tile/7/000").is_some());
    }

    proptest! {
        #[test]
        fn paths_round_trip(size in 1..=TREE_SIZE_MAX, level in 0_u8..=LEVEL_MAX, entries: bool, pick: u64) {
            let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
            let tiles = kind.items(size).div_ceil(256);
            prop_assume!(tiles > 0);
            let id = TileId::in_tree(kind, pick % tiles, size).unwrap();
            prop_assert_eq!(TileId::parse(&id.to_string()), Some(id));
            prop_assert_eq!(TileId::in_tree(kind, tiles, size), None);
        }

        #[test]
        fn any_text_is_parsed_or_refused(path in "(tile/)?[0-9a-z./]{0,20}") {
            if let Some(id) = TileId::parse(&path) {
                prop_assert_eq!(id.to_string(), path);
            }
        }

        /// Growing in steps names the same full tiles as growing at once, and each step names its edge.
        #[test]
        fn steps_add_up(a in 0_u64..200_000, b in 0_u64..70_000) {
            let mut stepped: Vec<_> = tiles_of(a).chain(tiles_between(a, a + b)).filter(|id| !id.is_partial()).collect();
            stepped.sort();
            let mut whole: Vec<_> = tiles_of(a + b).filter(|id| !id.is_partial()).collect();
            whole.sort();
            prop_assert_eq!(stepped, whole);
            for id in tiles_of(a + b).filter(TileId::is_partial) {
                prop_assert!(tiles_of(a).chain(tiles_between(a, a + b)).any(|other| other == id));
            }
        }
    }
}
