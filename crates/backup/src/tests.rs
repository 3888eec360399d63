//! The story: a target disk that loses power at any moment must still restore one whole shipment, never a mixture,
//! and never keep a key that was erased before it.

use std::{collections::BTreeMap, sync::Arc};

use domain::UnixNanos;
use journal::disk::{self, Disk, Injected, SimDisk};
use parking_lot::Mutex;

use crate::{
    Durable, Installation, RestoreError, SegmentLine, ShipError, Shipper, Source, SourceFile, StateDigest,
    drill, restore,
};

const SEGMENT: &str = "journal/00000000000000000000.seg";

/// A journal that is just a growing file.
#[derive(Default)]
struct Live(Mutex<Durable0>);

#[derive(Default)]
struct Durable0 {
    entries: u64,
    len: u64,
}

impl Source for Live {
    fn snapshot(&self) -> Result<(Durable, Vec<SourceFile>), String> {
        let state = self.0.lock();
        let durable = Durable {
            entries: state.entries,
            root: [u8::try_from(state.entries).unwrap(); 32],
            segments: vec![SegmentLine { path: SEGMENT.into(), len: state.len }],
        };
        let label: Box<dyn AsRef<[u8]> + Send + Sync> = Box::new(b"labels".to_vec());
        let files = vec![
            SourceFile {
                path: "labels/list.seg".into(),
                sha256: Some(crypto::sha256(&[b"labels"])),
                bytes: Some(label),
                record_bytes: 0,
            },
            SourceFile { path: "keys/table".into(), sha256: None, bytes: None, record_bytes: 12 },
        ];
        Ok((durable, files))
    }
}

struct World {
    from: SimDisk,
    live: Arc<Live>,
    target: SimDisk,
}

impl World {
    fn new(seed: u64) -> Self {
        let from = SimDisk::new(seed);
        from.plant(SEGMENT, b"");
        from.plant("keys/table", b"key of alice, key of bob");
        Self { from, live: Arc::default(), target: SimDisk::new(seed ^ 1) }
    }

    fn grow(&self, text: &[u8]) {
        let mut content = self.from.content(SEGMENT).unwrap();
        content.extend_from_slice(text);
        self.from.plant(SEGMENT, &content);
        let mut state = self.live.0.lock();
        state.entries += 1;
        state.len = content.len() as u64;
    }

    fn shipper(&self) -> Result<Shipper, ShipError> {
        let source: Arc<dyn Source> = Arc::clone(&self.live) as _;
        Shipper::open("inst".into(), Arc::new(self.from.clone()), source, Arc::new(self.target.clone()))
    }

    fn restored(&self) -> BTreeMap<String, Vec<u8>> {
        let into = SimDisk::new(9);
        restore(&self.target, &into, &mut |_, _| ()).unwrap();
        into.paths().into_iter().map(|path| (path.clone(), into.content(&path).unwrap())).collect()
    }
}

#[test]
fn what_is_shipped_is_what_is_restored() {
    let world = World::new(1);
    let mut shipper = world.shipper().unwrap();
    world.grow(b"one");
    assert_eq!(shipper.ship(UnixNanos(1)).unwrap().unwrap().entries, 1);
    assert_eq!(shipper.ship(UnixNanos(2)).unwrap(), None);
    world.grow(b"two");
    // Bytes beyond the durable length, as of a batch being written, are not shipped.
    let mut content = world.from.content(SEGMENT).unwrap();
    content.extend_from_slice(b"not durable");
    world.from.plant(SEGMENT, &content);
    shipper.ship(UnixNanos(3)).unwrap().unwrap();
    let restored = world.restored();
    assert_eq!(restored[SEGMENT], b"onetwo");
    assert_eq!(restored["keys/table"], b"key of alice, key of bob");
    assert_eq!(restored["labels/list.seg"], b"labels");
}

/// A table that never stands still because subjects keep coming is shipped all the same, by whole records.
#[test]
fn a_file_that_only_grows_is_read_up_to_where_it_was() {
    use crate::ship::still;
    assert_eq!(still(b"aabb", b"aabb", 0), Some(&b"aabb"[..]));
    assert_eq!(still(b"aabb", b"aabbcc", 2), Some(&b"aabb"[..]));
    assert_eq!(still(b"aabbc", b"aabbcc", 2), Some(&b"aabb"[..]), "half a record");
    assert_eq!(still(b"aabb", b"aabbcc", 0), None, "a file that is replaced whole");
    assert_eq!(still(b"aabb", b"aaXXcc", 2), None, "erased in between");
    assert_eq!(still(b"aabb", b"aa", 2), None);
}

#[test]
fn an_erased_key_is_nowhere_in_the_target() {
    let world = World::new(2);
    let mut shipper = world.shipper().unwrap();
    world.grow(b"one");
    shipper.ship(UnixNanos(1)).unwrap();
    world.from.plant("keys/table", b"................ key of bob");
    world.grow(b"erased");
    shipper.ship(UnixNanos(2)).unwrap();
    for path in world.target.paths() {
        let content = world.target.content(&path).unwrap();
        assert!(!content.windows(5).any(|window| window == b"alice"), "{path}");
    }
}

#[test]
fn a_power_cut_at_any_change_leaves_a_whole_shipment() {
    for seed in 0..4 {
        let mut cut_at = 0;
        loop {
            let world = World::new(seed);
            world.grow(b"first shipment");
            let mut shipper = world.shipper().unwrap();
            shipper.ship(UnixNanos(1)).unwrap();
            let before = world.restored();
            world.grow(&[b'x'; 3000]);
            world.from.plant("keys/table", b"newer keys");
            world.target.inject(world.target.changes() + cut_at, Injected::PowerCut);
            let shipped = shipper.ship(UnixNanos(2));
            world.target.reboot();
            let after = world.restored();
            let mut whole = before.clone();
            whole.insert(SEGMENT.into(), world.from.content(SEGMENT).unwrap());
            whole.insert("keys/table".into(), b"newer keys".to_vec());
            assert!(after == before || after == whole, "seed {seed} cut {cut_at}");
            // Going on after the reboot completes it.
            let mut again = world.shipper().unwrap();
            again.ship(UnixNanos(3)).unwrap();
            assert_eq!(world.restored(), whole, "seed {seed} cut {cut_at}");
            if shipped.is_ok() {
                break;
            }
            cut_at += 1;
        }
        assert!(cut_at > 5, "the cuts reached into the shipment");
    }
}

#[test]
fn a_target_of_another_history_is_refused() {
    let world = World::new(3);
    world.grow(b"ours");
    world.shipper().unwrap().ship(UnixNanos(1)).unwrap();
    // The journal was replaced by another of the same length and more.
    world.from.plant(SEGMENT, b"them");
    world.grow(b"more");
    assert!(matches!(world.shipper().unwrap().ship(UnixNanos(2)), Err(ShipError::Diverged { .. })));
    // The journal is shorter than what was shipped.
    world.from.plant(SEGMENT, b"our");
    world.live.0.lock().len = 3;
    assert!(matches!(world.shipper().unwrap().ship(UnixNanos(2)), Err(ShipError::Diverged { .. })));
    let source: Arc<dyn Source> = Arc::clone(&world.live) as _;
    let other =
        Shipper::open("other".into(), Arc::new(world.from.clone()), source, Arc::new(world.target.clone()));
    assert!(matches!(other, Err(ShipError::OtherInstallation { .. })));
}

#[test]
fn damage_in_the_target_and_a_used_place_are_refused() {
    let world = World::new(4);
    world.grow(b"one");
    let into = SimDisk::new(1);
    assert!(matches!(restore(&world.target, &into, &mut |_, _| ()), Err(RestoreError::NoBackup)));
    world.shipper().unwrap().ship(UnixNanos(1)).unwrap();
    let stored: Vec<String> =
        world.target.paths().into_iter().filter(|path| path.starts_with("files/")).collect();
    for path in stored {
        assert!(world.target.flip(&path, 3));
        assert!(matches!(
            restore(&world.target, &SimDisk::new(1), &mut |_, _| ()),
            Err(RestoreError::Altered { .. })
        ));
        assert!(world.target.flip(&path, 3));
    }
    into.plant("keys/table", b"in use");
    assert!(matches!(restore(&world.target, &into, &mut |_, _| ()), Err(RestoreError::NotEmpty { .. })));
}

/// "Rebuilds" by reading the one segment.
struct Sizes;

impl Installation for Sizes {
    fn rebuild(&self, restored: Arc<dyn Disk>, entries: u64) -> Result<StateDigest, String> {
        let content = disk::read(&*restored, SEGMENT, 1 << 20).map_err(|error| error.to_string())?;
        Ok(digest(entries, &content))
    }
}

fn digest(entries: u64, content: &[u8]) -> StateDigest {
    let parts = BTreeMap::from([("content".to_owned(), String::from_utf8_lossy(content).into_owned())]);
    StateDigest { entries, root: [0; 32], parts }
}

#[test]
fn a_drill_says_what_differs() {
    let world = World::new(5);
    world.grow(b"one");
    world.shipper().unwrap().ship(UnixNanos(1)).unwrap();
    let run = |live| drill(&Sizes, &world.target, Arc::new(SimDisk::new(1)), live, &mut |_, _| ());
    assert_eq!(run(digest(1, b"one")).unwrap().differences, []);
    let differences = run(digest(1, b"ONE")).unwrap().differences;
    assert_eq!(differences.len(), 1);
    assert_eq!((differences[0].name.as_str(), differences[0].restored.as_str()), ("content", "one"));
    assert!(run(digest(2, b"one")).is_err(), "the copy is behind");
}

#[test]
fn lengths_nobody_has_are_refused_when_they_are_not_found() {
    let world = World::new(5);
    world.grow(b"one");
    world.shipper().unwrap().ship(UnixNanos(0)).unwrap();
    let text = String::from_utf8(world.target.content(crate::MANIFEST).unwrap()).unwrap();
    let mut manifest = crate::Manifest::parse(&text).unwrap();
    manifest.segments[0].len = u64::MAX;
    world.target.plant(crate::MANIFEST, manifest.format().as_bytes());
    let outcome = restore(&world.target, &SimDisk::new(7), &mut |_, _| {});
    assert!(matches!(outcome, Err(RestoreError::Backup { ref path, .. }) if path == SEGMENT), "{outcome:?}");
}
