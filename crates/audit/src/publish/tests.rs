//! Publishing: the directory is a valid log for its checkpoint at every moment, whatever fails.

use std::collections::BTreeMap;

use crypto::SigningKey;
use journal::disk::{Injected, SimDisk};
use parking_lot::Mutex;
use proptest::prelude::*;
use tlog::{Receipt, verify_consistency};

use super::*;
use crate::verify::{Report, verify_files};

const NOW: UnixNanos = UnixNanos::from_secs(1);

/// A journal in memory.
#[derive(Debug, Clone, Default)]
struct Entries(Arc<Mutex<(Vec<Vec<u8>>, Frontier)>>);

impl Entries {
    fn of(count: u64) -> Self {
        let entries = Self::default();
        entries.grow_to(count);
        entries
    }

    fn grow_to(&self, count: u64) {
        let mut state = self.0.lock();
        for index in state.1.size()..count {
            let entry = index.to_be_bytes().repeat(usize::try_from(index % 5).unwrap());
            state.1.append(leaf_hash(&entry));
            state.0.push(entry);
        }
    }

    /// The same journal with other bytes in one entry, as if it had been written that way.
    fn forged(&self, at: usize) -> Self {
        let mut entries = self.0.lock().0.clone();
        entries[at].push(b'!');
        let mut frontier = Frontier::new();
        entries.iter().for_each(|entry| frontier.append(leaf_hash(entry)));
        Self(Arc::new(Mutex::new((entries, frontier))))
    }
}

impl LogSource for Entries {
    fn tree(&self) -> (u64, Hash) {
        let state = self.0.lock();
        (state.1.size(), state.1.root())
    }

    fn read(
        &self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        let state = self.0.lock();
        let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
        state.0[range].iter().try_for_each(|entry| visit(entry))
    }
}

fn signer() -> NoteSigner {
    NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).unwrap()
}

fn open(entries: &Entries, disk: &SimDisk) -> Result<(Publisher<Entries>, Published), PublishError> {
    Publisher::open(entries.clone(), Arc::new(disk.clone()), signer(), NOW)
}

/// All files of the log.
fn files(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let below = |path: String| Some((path.strip_prefix("log/")?.to_owned(), disk.content(&path)?));
    disk.paths().into_iter().filter_map(below).collect()
}

fn verify(disk: &SimDisk) -> Report {
    let files = files(disk);
    let paths = files.keys().cloned().map(Ok);
    verify_files(&files, paths, signer().verifier(), |_| {}).unwrap()
}

/// Everything is in order, and nothing lies about.
fn assert_clean(disk: &SimDisk, size: u64) {
    let report = verify(disk);
    assert_eq!((report.faults, report.leftovers), (vec![], vec![]));
    assert_eq!((report.checkpoint.size, report.entries_proven), (size, size));
}

#[test]
fn grows_with_the_journal() {
    let (disk, entries) = (SimDisk::new(1), Entries::default());
    let (mut publisher, published) = open(&entries, &disk).unwrap();
    assert_eq!((published.size, published.root), (0, tlog::empty_root()));
    assert_clean(&disk, 0);
    for size in [1, 2, 255, 256, 257, 600, 1000, 66_000, 66_001] {
        entries.grow_to(size);
        let published = publisher.publish_once(NOW).unwrap().unwrap();
        assert_eq!((published.size, published.root), entries.tree());
        assert_eq!(publisher.publish_once(NOW).unwrap(), None, "nothing new");
        assert_clean(&disk, size);
    }
    drop(publisher);
    let (_, published) = open(&entries, &disk).unwrap();
    assert_eq!((published.size, published.root), entries.tree());
}

#[test]
fn superseded_partial_tiles_are_removed_and_others_kept() {
    let (disk, entries) = (SimDisk::new(1), Entries::default());
    let (mut publisher, _) = open(&entries, &disk).unwrap();
    for size in [100, 200, 300, 400] {
        entries.grow_to(size);
        publisher.publish_once(NOW).unwrap();
    }
    let names: Vec<_> = files(&disk).into_keys().collect();
    assert_eq!(
        names,
        [
            "checkpoint",
            "tile/0/000",
            "tile/0/001.p/144",
            "tile/0/001.p/44",
            "tile/1/000.p/1",
            "tile/entries/000",
            "tile/entries/001.p/144",
            "tile/entries/001.p/44",
            "vkey",
        ]
    );
}

#[test]
fn a_journal_that_is_not_the_published_one_is_refused() {
    let (disk, entries) = (SimDisk::new(1), Entries::of(700));
    drop(open(&entries, &disk).unwrap());
    let before = files(&disk);

    let forged = entries.forged(3);
    assert!(matches!(open(&forged, &disk).unwrap_err(), PublishError::Forked { published: 700 }));
    forged.grow_to(900);
    assert!(matches!(open(&forged, &disk).unwrap_err(), PublishError::Forked { published: 700 }));
    let rolled_back = open(&Entries::of(699), &disk).unwrap_err();
    assert!(matches!(rolled_back, PublishError::RolledBack { published: 700, journal: 699 }));
    for other in [
        NoteSigner::new("log.other", SigningKey::from_seed([1; 32])).unwrap(),
        NoteSigner::new("log.example", SigningKey::from_seed([2; 32])).unwrap(),
    ] {
        let opened = Publisher::open(entries.clone(), Arc::new(disk.clone()), other, NOW);
        assert!(matches!(opened.unwrap_err(), PublishError::VkeyMismatch));
    }
    assert_eq!(files(&disk), before, "a refusal writes nothing");
}

#[test]
fn a_fork_while_running_is_refused_and_stays_refused() {
    let (disk, entries) = (SimDisk::new(1), Entries::of(10));
    let (mut publisher, _) = open(&entries, &disk).unwrap();
    let forged = entries.forged(3);
    forged.grow_to(20);
    *entries.0.lock() = forged.0.lock().clone();
    for _ in 0..2 {
        assert!(matches!(publisher.publish_once(NOW).unwrap_err(), PublishError::Forked { published: 10 }));
    }
    assert_clean(&disk, 10);
}

#[test]
fn damage_is_refused_and_rebuilt() {
    let (disk, entries) = (SimDisk::new(1), Entries::of(700));
    drop(open(&entries, &disk).unwrap());
    let before = files(&disk);
    entries.grow_to(900);
    assert!(disk.flip("log/tile/0/002.p/188", 5));
    assert!(matches!(open(&entries, &disk).unwrap_err(), PublishError::DamagedTiles { size: 700 }));
    disk.remove("log/tile/0/002.p/188").unwrap();
    disk.remove("log/tile/0/001").unwrap();
    assert!(matches!(open(&entries, &disk).unwrap_err(), PublishError::Damaged(ReadError::Missing { .. })));

    let rebuilt = Publisher::rebuild(entries.clone(), Arc::new(disk.clone()), signer(), NOW).unwrap();
    assert_eq!(rebuilt.1.size, 900);
    assert_clean(&disk, 900);
    let after = files(&disk);
    for (path, bytes) in before.iter().filter(|(path, _)| *path != "checkpoint" && !path.contains(".p/")) {
        assert_eq!(after.get(path), Some(bytes), "{path}");
    }

    assert!(disk.flip("log/checkpoint", 300));
    assert!(matches!(open(&entries, &disk).unwrap_err(), PublishError::Checkpoint(_)));
    let forged = Publisher::rebuild(entries, Arc::new(disk), signer(), NOW);
    assert!(matches!(forged.unwrap_err(), PublishError::Checkpoint(_)));
}

#[test]
fn a_rebuild_over_another_journal_is_refused() {
    let (disk, entries) = (SimDisk::new(1), Entries::of(700));
    drop(open(&entries, &disk).unwrap());
    let before = files(&disk);
    let rebuild = |entries| Publisher::rebuild(entries, Arc::new(disk.clone()), signer(), NOW).unwrap_err();
    assert!(matches!(rebuild(entries.forged(3)), PublishError::Forked { published: 700 }));
    assert!(matches!(rebuild(Entries::of(3)), PublishError::RolledBack { published: 700, journal: 3 }));
    assert_eq!(files(&disk), before);
}

#[test]
fn receipts_prove_entries_offline() {
    let (disk, entries) = (SimDisk::new(1), Entries::of(300));
    let (publisher, _) = open(&entries, &disk).unwrap();
    let log = publisher.log();
    for seq in [0, 255, 256, 299] {
        let text = log.receipt(seq).unwrap().to_string();
        let leaf = leaf_hash(&entries.0.lock().0[usize::try_from(seq).unwrap()]);
        let checkpoint = Receipt::parse(&text).unwrap().verify(leaf, signer().verifier()).unwrap();
        assert_eq!(checkpoint.size, 300);
    }
    assert!(matches!(
        log.receipt(300).unwrap_err(),
        crate::ReceiptError::NotPublished { seq: 300, size: 300 }
    ));
    assert!(disk.flip("log/tile/0/001.p/44", 0));
    assert!(matches!(log.receipt(299).unwrap_err(), crate::ReceiptError::Damaged { seq: 299, .. }));
    let attested = log.attested().unwrap().unwrap();
    assert_eq!((attested.size, attested.root), (300, Some(entries.tree().1)));
    assert_eq!(log.file("../LOCK").unwrap(), None);
    assert!(log.file("checkpoint").unwrap().is_some());
}

/// Readers never see anything but a valid log, whatever the publisher is about to do.
#[test]
fn receipts_are_had_while_the_log_grows() {
    let (disk, entries) = (SimDisk::new(1), Entries::of(250));
    let (mut publisher, _) = open(&entries, &disk).unwrap();
    let log = publisher.log();
    let growing = std::sync::atomic::AtomicBool::new(true);
    let receipts = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut receipts = 0_u64;
            loop {
                let more = growing.load(std::sync::atomic::Ordering::SeqCst);
                let size = log.checkpoint().unwrap().unwrap().0.size;
                let seq = size - 1 - receipts % 7;
                let leaf = leaf_hash(&entries.0.lock().0[usize::try_from(seq).unwrap()]);
                log.receipt(seq).unwrap().verify(leaf, signer().verifier()).unwrap();
                receipts += 1;
                if !more {
                    return receipts;
                }
            }
        });
        for size in (260..1_400).step_by(10) {
            entries.grow_to(size);
            publisher.publish_once(NOW).unwrap();
        }
        growing.store(false, std::sync::atomic::Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(receipts > 0);
    assert_clean(&disk, 1_390);
}

/// The power goes, or the storage fails, at every single operation of a publication in turn. Whatever survives is a
/// valid log for the checkpoint in it, that checkpoint is one that was signed, and going on gives a clean log.
#[test]
fn every_crash_point_leaves_a_valid_log() {
    let (sizes, kinds) = ([200_u64, 300, 600], [Injected::PowerCut, Injected::Eio, Injected::Enospc]);
    for kind in kinds {
        for at in 0.. {
            let (disk, entries) = (SimDisk::new(at), Entries::of(sizes[0]));
            disk.inject(at, kind);
            let mut acknowledged = 0;
            let mut publisher = None;
            for size in sizes {
                entries.grow_to(size);
                let result = match publisher.take() {
                    None => open(&entries, &disk),
                    Some(opened) => publish(opened),
                };
                let Ok((opened, published)) = result else { break };
                acknowledged = published.size;
                publisher = Some(opened);
            }
            let finished = disk.changes() <= at;
            drop(publisher);
            if kind == Injected::PowerCut {
                disk.cut_power();
                disk.reboot();
            } else {
                disk.kill_process();
            }
            if files(&disk).contains_key("checkpoint") {
                let report = verify(&disk);
                assert_eq!(report.faults, [], "{kind:?} at {at}");
                let size = report.checkpoint.size;
                assert!(size >= acknowledged && sizes.contains(&size), "{kind:?} at {at}: {size}");
                assert_eq!(report.entries_proven, size);
            } else {
                assert_eq!(acknowledged, 0, "{kind:?} at {at}");
            }
            entries.grow_to(700);
            let (mut publisher, published) = open(&entries, &disk).unwrap();
            assert_eq!(published.size, 700);
            entries.grow_to(1024);
            publisher.publish_once(NOW).unwrap();
            assert_clean(&disk, 1024);
            if finished {
                break;
            }
        }
    }
}

fn publish(mut publisher: Publisher<Entries>) -> Result<(Publisher<Entries>, Published), PublishError> {
    let published = publisher.publish_once(NOW)?.unwrap();
    Ok((publisher, published))
}

/// A storage that fails once: the same publisher goes on from what is on disk.
#[test]
fn a_failed_publication_is_tried_again() {
    for at in 0..40 {
        let (disk, entries) = (SimDisk::new(at), Entries::of(300));
        let (mut publisher, _) = open(&entries, &disk).unwrap();
        entries.grow_to(600);
        disk.inject(disk.changes() + at, Injected::Eio);
        if let Err(error) = publisher.publish_once(NOW) {
            assert!(error.is_transient(), "{error}");
            assert_eq!(verify(&disk).faults, []);
            publisher.publish_once(NOW).unwrap();
        }
        assert_clean(&disk, 600);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Whatever the steps, every checkpoint is consistent with every later one.
    #[test]
    fn checkpoints_are_consistent(steps in prop::collection::vec(1_u64..500, 2..6), restart: bool) {
        let (disk, entries) = (SimDisk::new(1), Entries::default());
        let (mut publisher, first) = open(&entries, &disk).unwrap();
        let mut checkpoints = vec![(first.size, first.root)];
        for step in steps {
            entries.grow_to(entries.tree().0 + step);
            let published = publisher.publish_once(NOW).unwrap().unwrap();
            checkpoints.push((published.size, published.root));
            if restart {
                publisher = open(&entries, &disk).unwrap().0;
            }
        }
        let files = files(&disk);
        let (size, root) = *checkpoints.last().unwrap();
        for (old, old_root) in checkpoints {
            let proof = tlog::consistency_proof(&files, old, size).unwrap();
            prop_assert_eq!(verify_consistency(old, old_root, size, root, &proof), Ok(()));
        }
        assert_clean(&disk, size);
    }
}
