//! Tile paths and entry bundles: an accepted path has one spelling, a bundle is read to its end or its first fault.
#![no_main]

use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use tlog::{BundleEntries, TREE_SIZE_MAX, TileId};

const EXAMPLES: [&[u8]; 3] = [b"tile/entries/x001/x234/067.p/12", b"tile/0/x001/067", b"tile/7/000.p/1"];

fuzz_target!(|data: &[u8]| {
    let bytes = edited(&EXAMPLES, data);
    if let Ok(path) = std::str::from_utf8(&bytes)
        && let Some(tile) = TileId::parse(path)
    {
        assert_eq!(tile.to_string(), path);
        assert!((1..=256).contains(&tile.width()));
        assert_eq!(tile.is_partial(), tile.full() != tile);
        if let Some(widest) = TileId::in_tree(tile.kind(), tile.index(), TREE_SIZE_MAX) {
            assert!(widest.width() >= tile.width() || widest.is_partial());
        }
    }
    let mut entries = BundleEntries::new(&bytes);
    let (mut read, mut faults) = (0, 0);
    for entry in entries.by_ref() {
        assert_eq!(faults, 0, "nothing follows a fault");
        match entry {
            Ok(entry) => read += 2 + entry.len(),
            Err(fault) => {
                assert_eq!(fault.offset, read);
                faults += 1;
            }
        }
    }
    assert_eq!(entries.offset(), bytes.len());
    assert!(faults == 1 || read == bytes.len());
});
