//! Every flipped bit, lost file and cut is found and named.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use crypto::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::{note::NoteSigner, oracle, tile::tiles_of, writer::TileWriter};

type Memory = BTreeMap<String, Vec<u8>>;

static SIGNER: LazyLock<NoteSigner> =
    LazyLock::new(|| NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).unwrap());

/// A log as it is after checkpoints at each of `sizes`.
fn log(sizes: &[u64]) -> Memory {
    let mut memory = Memory::new();
    let mut writer = TileWriter::new();
    for size in sizes {
        let mut files = Vec::new();
        for index in writer.size()..*size {
            files.extend(writer.append(&oracle::entry(index)).unwrap());
        }
        files.extend(writer.edge());
        memory.extend(files.into_iter().map(|file| (file.id.to_string(), file.bytes)));
        let checkpoint = Checkpoint::sign(*size, writer.root(), &SIGNER);
        memory.insert(CHECKPOINT_PATH.to_owned(), checkpoint.into_bytes());
    }
    memory
}

fn faults(memory: &Memory) -> Vec<Fault> {
    Audit::open(memory, SIGNER.verifier()).unwrap().collect()
}

/// The file that a fault names.
fn path(fault: &Fault) -> &str {
    match fault {
        Fault::Disagreement { path, .. }
        | Fault::Entry { path, .. }
        | Fault::File(
            ReadError::CutShort { path, .. }
            | ReadError::Missing { path }
            | ReadError::Unreadable { path, .. }
            | ReadError::WrongCount { path, .. }
            | ReadError::WrongLength { path, .. },
        )
        | Fault::Hash { path, .. }
        | Fault::Tile { path, .. } => path,
        Fault::Root => "",
    }
}

/// Two tile levels and a partial tile at each; shared since it takes a moment to build.
static DEEP: LazyLock<Arc<Memory>> = LazyLock::new(|| Arc::new(log(&[66_000])));

#[test]
fn sound_logs_have_no_faults() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 700] {
        let memory = log(&[size]);
        let mut audit = Audit::open(&memory, SIGNER.verifier()).unwrap();
        assert_eq!(audit.by_ref().collect::<Vec<_>>(), [], "size {size}");
        assert_eq!((audit.entries_proven(), audit.entries_done()), (size, size));
        assert_eq!(audit.checkpoint().size, size);
    }
    assert_eq!(faults(&DEEP), []);
}

#[test]
fn wider_tiles_serve_in_place_of_partial_ones() {
    let mut memory = log(&[600]);
    let later = log(&[700]);
    memory.extend(later.into_iter().filter(|(path, _)| path != CHECKPOINT_PATH));
    memory.remove("tile/0/002.p/88");
    memory.remove("tile/entries/002.p/88");
    assert_eq!(faults(&memory).len(), 3, "no full tile yet: both files are missed, and so the root");
    memory.extend(log(&[1000]).into_iter().filter(|(path, _)| path != CHECKPOINT_PATH));
    assert_eq!(faults(&memory), []);
}

#[test]
fn a_changed_entry_is_named() {
    let mut memory = log(&[700]);
    // Record 301 starts behind 45 others of its bundle.
    let start: usize = (256..301).map(|index| 2 + oracle::entry(index).len()).sum();
    memory.get_mut("tile/entries/001").unwrap()[start + 2] ^= 0x80;
    let fault = Fault::Entry { path: "tile/entries/001".to_owned(), record: 301 };
    assert_eq!(faults(&memory), [fault]);
    let mut audit = Audit::open(&memory, SIGNER.verifier()).unwrap();
    let steps: Vec<_> = std::iter::from_fn(|| audit.step()).map(|faults| faults.len()).collect();
    assert_eq!((steps, audit.entries_proven()), (vec![0, 1, 0], 699));
}

#[test]
fn a_changed_hash_is_named_at_every_level() {
    for (path, slot, record, records) in [
        ("tile/0/000", 7, 7, 1),
        ("tile/0/257.p/208", 207, 65_999, 1),
        ("tile/1/000", 255, 65_280, 256),
        ("tile/1/001.p/1", 0, 65_536, 256),
        ("tile/2/000.p/1", 0, 0, 65_536),
    ] {
        let mut memory = (**DEEP).clone();
        memory.get_mut(path).unwrap()[32 * slot] ^= 1;
        assert_eq!(faults(&memory), [Fault::Hash { path: path.to_owned(), slot, record, records }]);
    }
}

#[test]
fn several_faults_do_not_hide_each_other() {
    let mut memory = (**DEEP).clone();
    memory.get_mut("tile/1/000").unwrap()[40] ^= 4;
    memory.remove("tile/0/002");
    memory.get_mut("tile/entries/003").unwrap()[2 + 2 + 1] ^= 1;
    memory.get_mut("tile/0/257.p/208").unwrap()[0] ^= 4;
    memory.get_mut("tile/entries/256").unwrap().push(0);
    let found = faults(&memory);
    let paths: Vec<_> = found.iter().map(path).collect();
    let expected = ["tile/0/257.p/208", "tile/1/000", "tile/0/002", "tile/entries/003", "tile/entries/256"];
    assert_eq!(paths, expected, "{found:?}");
}

/// The same place damaged at every level: only the entries can say what the hashes were.
#[test]
fn faults_one_above_the_other_are_all_named() {
    let mut memory = (**DEEP).clone();
    let damaged = ["tile/2/000.p/1", "tile/1/000", "tile/0/000"];
    for path in damaged {
        memory.get_mut(path).unwrap()[31] ^= 1;
    }
    let found = faults(&memory);
    assert_eq!(found.iter().map(path).collect::<Vec<_>>(), damaged, "{found:?}");
    assert!(found.iter().all(|fault| matches!(fault, Fault::Hash { slot: 0, record: 0, .. })));
}

#[test]
fn a_tile_and_its_entry_changed_together_are_still_found() {
    let mut memory = log(&[700]);
    // The tile is made to agree with the changed entry: only the tile above can tell.
    let bundle = memory.get_mut("tile/entries/000").unwrap();
    bundle[4] ^= 1;
    let changed = leaf_hash(BundleEntries::new(bundle).nth(1).unwrap().unwrap());
    memory.get_mut("tile/0/000").unwrap()[32..64].copy_from_slice(&changed.0);
    assert_eq!(faults(&memory), [Fault::Tile { path: "tile/0/000".to_owned(), record: 0, records: 256 }]);
}

#[test]
fn another_history_under_the_same_checkpoint_is_found() {
    let mut memory = log(&[700]);
    let mut writer = TileWriter::new();
    let mut files = Vec::new();
    (0..700_u64).for_each(|index| files.extend(writer.append(&index.to_le_bytes()).unwrap()));
    files.extend(writer.edge());
    memory.extend(files.into_iter().map(|file| (file.id.to_string(), file.bytes)));
    assert_eq!(faults(&memory), [Fault::Root]);
    let mut audit = Audit::open(&memory, SIGNER.verifier()).unwrap();
    assert_eq!((audit.by_ref().count(), audit.entries_proven()), (1, 0));
}

#[test]
fn without_a_checkpoint_there_is_no_audit() {
    let mut memory = log(&[3]);
    let stranger = NoteSigner::new("log.example", SigningKey::from_seed([2; 32])).unwrap();
    assert!(matches!(Audit::open(&memory, stranger.verifier()), Err(AuditError::Checkpoint(_))));
    memory.remove(CHECKPOINT_PATH);
    assert!(matches!(
        Audit::open(&memory, SIGNER.verifier()),
        Err(AuditError::Read(ReadError::Missing { .. }))
    ));
}

/// The record whose bytes or length prefix cover position `at` of a bundle.
fn record_at(bundle: &[u8], first: u64, at: usize) -> u64 {
    let mut entries = BundleEntries::new(bundle);
    let mut record = first;
    while entries.next().is_some() && entries.offset() <= at {
        record += 1;
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// The whole promise at once: any bit of any file that the checkpoint covers.
    #[test]
    fn any_flipped_bit_is_found_and_named(size in 1_u64..900, which: prop::sample::Index, at: prop::sample::Index, bit in 0..8) {
        let mut memory = log(&[size]);
        let ids: Vec<_> = tiles_of(size).filter(|id| !memory[&id.to_string()].is_empty()).collect();
        let id = *which.get(&ids);
        let name = id.to_string();
        let bytes = memory.get_mut(&name).unwrap();
        let at = at.index(bytes.len());
        let record = record_at(bytes, id.first_item(), at);
        bytes[at] ^= 1_u8 << bit;
        let found = faults(&memory);
        prop_assert!(!found.is_empty());
        prop_assert!(found.iter().all(|fault| path(fault) == name), "{:?} in {}", found, name);
        if let TileKind::Hashes(_) = id.kind() {
            let (record, records) = span(id, (at / 32) as u64, 1);
            prop_assert_eq!(found, [Fault::Hash { path: name, slot: at / 32, record, records }]);
        } else {
            prop_assert!(found.contains(&Fault::Entry { path: name.clone(), record }), "{:?}: {}", found, record);
        }
    }

    #[test]
    fn any_cut_or_added_byte_is_found_and_named(size in 1_u64..900, which: prop::sample::Index, cut: bool, lost: bool) {
        let mut memory = log(&[size]);
        let ids: Vec<_> = tiles_of(size).collect();
        let name = which.get(&ids).to_string();
        if lost {
            memory.remove(&name);
        } else if cut {
            memory.get_mut(&name).unwrap().pop();
        } else {
            memory.get_mut(&name).unwrap().push(0);
        }
        let found = faults(&memory);
        prop_assert!(!found.is_empty());
        prop_assert!(found.iter().all(|fault| path(fault) == name), "{:?} in {}", found, name);
    }

    /// Damage without a plan: it ends, does not panic, and is never taken for a sound log.
    #[test]
    fn heavy_damage_is_survived(size in 1_u64..900, hits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let sound = log(&[size]);
        let mut memory = sound.clone();
        let ids: Vec<_> = tiles_of(size).collect();
        for (which, at, byte) in hits {
            let bytes = memory.get_mut(&which.get(&ids).to_string()).unwrap();
            match byte {
                0..=250 if !bytes.is_empty() => {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                251 | 252 => bytes.truncate(at.index(bytes.len() + 1)),
                _ => bytes.push(byte),
            }
        }
        prop_assert_eq!(faults(&memory).is_empty(), memory == sound);
    }
}
