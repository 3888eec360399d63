//! Journal and log on one disk: what was published is never lost, and no other journal passes for the published one.

use std::{collections::BTreeMap, sync::Arc};

use audit::{PublishError, PublishedLog, Publisher, verify_files};
use crypto::SigningKey;
use domain::{AccountId, ManualClock, Subject, UnixNanos};
use journal::{
    Attested, Config, DiskKek, Draft, Journal, Kind, OpenError,
    disk::{Injected, SimDisk},
};
use tlog::{NoteSigner, leaf_hash};

const NOW: UnixNanos = UnixNanos::from_secs(1_000);

fn signer() -> NoteSigner {
    NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).unwrap()
}

fn new_disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    DiskKek::new(Arc::new(disk.clone()), "data.kek").create().unwrap();
    disk
}

fn open(disk: &SimDisk, attested: Option<Attested>) -> Result<Journal, OpenError> {
    let config = Config { attested, ..Config::default() };
    let kek = Arc::new(DiskKek::new(Arc::new(disk.clone()), "data.kek"));
    Ok(Journal::open(config, Arc::new(disk.clone()), kek, Arc::new(ManualClock::new(NOW)))?.0)
}

fn publisher(journal: &Journal, disk: &SimDisk) -> Result<Publisher<Journal>, PublishError> {
    Ok(Publisher::open(journal.clone(), Arc::new(disk.clone()), signer(), NOW)?.0)
}

fn log(disk: &SimDisk) -> PublishedLog {
    PublishedLog::new(Arc::new(disk.clone()), signer().verifier().clone())
}

/// Appends `count` entries; false if the storage fails.
fn append(journal: &Journal, count: u64, text: &str) -> bool {
    let draft = |index: u64| Draft {
        at: NOW,
        subject: Subject::Account(AccountId::parse(&format!("account-{}", index % 7)).unwrap()),
        kind: Kind::Event,
        payload: format!("{text} {index}").into_bytes(),
    };
    journal.append((0..count).map(draft).collect()).wait().is_ok()
}

/// Files below a directory.
fn files(disk: &SimDisk, dir: &str) -> BTreeMap<String, Vec<u8>> {
    let below = |path: String| Some((path.strip_prefix(dir)?.to_owned(), disk.content(&path)?));
    disk.paths().into_iter().filter_map(below).collect()
}

fn assert_sound(disk: &SimDisk, size: u64) {
    let files = files(disk, "log/");
    let report = verify_files(&files, files.keys().cloned().map(Ok), signer().verifier(), |_| {}).unwrap();
    assert_eq!((report.faults, report.leftovers), (vec![], vec![]));
    assert_eq!((report.checkpoint.size, report.entries_proven), (size, size));
}

#[test]
fn the_log_is_the_journal() {
    let disk = new_disk(1);
    let journal = open(&disk, None).unwrap();
    let mut publisher = publisher(&journal, &disk).unwrap();
    for _ in 0..5 {
        assert!(append(&journal, 123, "entry"));
        publisher.publish_once(NOW).unwrap();
    }
    assert_sound(&disk, 615);
    let log = publisher.log();
    let (checkpoint, _) = log.checkpoint().unwrap().unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), journal.tree());
    for entry in journal.reader(0).step_by(50) {
        let entry = entry.unwrap();
        let receipt = log.receipt(entry.seq).unwrap();
        receipt.verify(leaf_hash(entry.bytes()), signer().verifier()).unwrap();
    }
    journal.close().unwrap();
}

/// The power goes somewhere in the midst of appending and publishing, with both on one disk.
#[test]
fn what_is_published_survives_any_power_cut() {
    let mut published_max = 0;
    for seed in 0..80 {
        let disk = new_disk(seed);
        let mut published = 0;
        let mut cut = false;
        {
            let journal = open(&disk, None).unwrap();
            disk.inject(disk.changes() + 5 * seed, Injected::PowerCut);
            let mut publisher = publisher(&journal, &disk).ok();
            while let (Some(opened), false) = (&mut publisher, cut) {
                cut = !append(&journal, 60, "entry");
                match opened.publish_once(NOW) {
                    Ok(step) => published = step.map_or(published, |step| step.size),
                    Err(error) => {
                        assert!(error.is_transient(), "{error}");
                        break;
                    }
                }
            }
        }
        disk.cut_power();
        disk.reboot();

        let attested = log(&disk).attested().unwrap();
        assert!(attested.map_or(0, |attested| attested.size) >= published, "seed {seed}");
        published_max = published_max.max(published);
        let journal = open(&disk, attested).unwrap();
        let mut publisher = publisher(&journal, &disk).unwrap();
        assert!(append(&journal, 600, "later"));
        publisher.publish_once(NOW).unwrap();
        assert_sound(&disk, journal.size());
    }
    assert!(published_max >= 600, "the cuts also come late: {published_max}");
}

#[test]
fn a_journal_that_was_rolled_back_or_replaced_is_refused() {
    let disk = new_disk(1);
    let journal = open(&disk, None).unwrap();
    assert!(append(&journal, 100, "entry"));
    journal.close().unwrap();
    drop(journal);
    let earlier: Vec<_> = ["journal/", "keys/"].map(|dir| (dir, files(&disk, dir))).into();

    let journal = open(&disk, None).unwrap();
    let mut opened = publisher(&journal, &disk).unwrap();
    assert!(append(&journal, 100, "withdrawal"));
    let published = opened.publish_once(NOW).unwrap().unwrap().size;
    journal.close().unwrap();
    drop((journal, opened));
    let attested = log(&disk).attested().unwrap();
    open(&disk, attested).unwrap().close().unwrap();

    // An earlier copy of journal and keys is put in place; the journal itself cannot know.
    let put_back = || {
        for (dir, files) in &earlier {
            for path in disk.paths().into_iter().filter(|path| path.starts_with(dir)) {
                disk.plant(&path, &[]);
                journal::disk::Disk::remove(&disk, &path).unwrap();
            }
            files.iter().for_each(|(path, content)| disk.plant(&format!("{dir}{path}"), content));
        }
    };
    put_back();
    assert!(open(&disk, attested).is_err());
    let rolled_back = open(&disk, None).unwrap();
    let refused = publisher(&rolled_back, &disk).unwrap_err();
    assert!(
        matches!(refused, PublishError::RolledBack { published: size, .. } if size == published),
        "{refused}"
    );

    // And then it grows again, with another history.
    assert!(append(&rolled_back, 300, "something else"));
    let refused = publisher(&rolled_back, &disk).unwrap_err();
    assert!(matches!(refused, PublishError::Forked { published: size } if size == published), "{refused}");
    rolled_back.close().unwrap();
    drop(rolled_back);
    assert!(open(&disk, attested).is_err());
    assert_sound(&disk, published);
}
