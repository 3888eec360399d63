//! What is in force, through replacement, restart, damage and interruption.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use domain::{UnixNanos, Verdict};
use tempfile::TempDir;
use watch::{Config, Format, ImportError, LISTS_MAX, OpenError, StoreError, Watch, verify_dir};

use crate::support::{NOW, file, list, ofac, open, tagpack};

const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const B: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";

fn labels_dir(dir: &TempDir) -> PathBuf {
    dir.path().join("labels")
}

fn names(dir: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(labels_dir(dir))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_newer_state_replaces_the_earlier_one_and_survives_restart() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    assert_eq!(ofac(&watch, "XBT", A).unwrap().replaced, None);
    assert_eq!(watch.screen(A, None).verdict, Verdict::Deny);
    let report = ofac(&watch, "XBT", B).unwrap();
    assert_eq!(report.replaced, Some(1));
    assert_eq!(watch.screen(A, None).verdict, Verdict::Allow);
    assert_eq!(watch.screen(B, None).verdict, Verdict::Deny);
    assert_eq!(names(&dir), ["CURRENT", "ofac.00000000000000000002.seg"]);
    let lists = watch.lists();
    drop(watch);

    let watch = open(&dir);
    assert_eq!(watch.lists(), lists);
    assert_eq!(lists[0].imported_at, NOW);
    assert_eq!(lists[0].segment_sha256, report.segment_sha256);
    assert_eq!(watch.screen(A, None).verdict, Verdict::Allow);
    assert_eq!(watch.screen(B, None).verdict, Verdict::Deny);
}

#[test]
fn lists_are_independent_and_can_be_removed() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    ofac(&watch, "XBT", A).unwrap();
    tagpack(&watch, &format!("currency: BTC\ncategory: exchange\ntags: [{{address: {A}}}]\n")).unwrap();
    let screening = watch.screen(A, None);
    assert_eq!(
        screening.labels.iter().map(|label| label.list.as_str()).collect::<Vec<_>>(),
        ["ofac", "tags"]
    );
    assert_eq!(screening.verdict, Verdict::Deny);
    assert!(watch.remove(&list("ofac")).unwrap());
    assert!(!watch.remove(&list("ofac")).unwrap());
    assert_eq!(watch.screen(A, None).verdict, Verdict::Allow);
    assert_eq!(watch.screen(A, None).labels.len(), 1);
    drop(watch);
    assert_eq!(open(&dir).lists().len(), 1);
}

#[test]
fn a_failed_import_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    ofac(&watch, "XBT", A).unwrap();
    let (lists, files) = (watch.lists(), names(&dir));
    ofac(&watch, "XBT", &format!("{B}\nbroken\n")).unwrap_err();
    assert_eq!((watch.lists(), names(&dir)), (lists, files));
    assert_eq!(watch.screen(B, None).verdict, Verdict::Allow);
}

#[test]
fn the_number_of_lists_is_bounded() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let import = |n: usize| {
        let source = [file("sanctioned_addresses_XBT.txt", A)];
        watch.import(&list(&format!("l{n}")), &Format::Ofac { ticker: None }, &source, NOW)
    };
    (0..LISTS_MAX).for_each(|n| drop(import(n).unwrap()));
    assert!(matches!(import(LISTS_MAX), Err(ImportError::Store(StoreError::TooManyLists))));
    assert!(import(0).is_ok());
    assert_eq!(watch.lists().len(), LISTS_MAX);
}

#[test]
fn what_an_interrupted_import_left_is_no_fault_and_is_removed() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    ofac(&open(&dir), "XBT", A).unwrap();
    for name in ["ofac.00000000000000000002.seg", "ofac.00000000000000000003.seg.tmp", "CURRENT.tmp"] {
        fs::write(labels_dir(&dir).join(name), "half").unwrap();
    }
    assert_eq!(verify_dir(&labels_dir(&dir)), []);
    let watch = open(&dir);
    assert_eq!(names(&dir), ["CURRENT", "ofac.00000000000000000001.seg"]);
    assert_eq!(watch.screen(A, None).verdict, Verdict::Deny);
    ofac(&watch, "XBT", B).unwrap();
    assert_eq!(open(&dir).screen(B, None).verdict, Verdict::Deny);
}

#[test]
fn every_flipped_bit_of_every_file_is_named_and_never_served() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    ofac(&watch, "XBT", A).unwrap();
    tagpack(&watch, &format!("currency: BTC\nabuse: scam\ntags: [{{address: {B}}}]\n")).unwrap();
    drop(watch);
    for name in names(&dir) {
        let path = labels_dir(&dir).join(&name);
        let intact = fs::read(&path).unwrap();
        // Every byte, each with another of its bits.
        for at in 0..intact.len() {
            let mut damaged = intact.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&path, &damaged).unwrap();
            let faults = verify_dir(&labels_dir(&dir));
            assert_eq!(faults.len(), 1, "{name} byte {at}: {faults:?}");
            assert_eq!(faults[0].file, name);
            if let Some(range) = &faults[0].bytes {
                assert!(range.contains(&(at as u64)), "{name} byte {at}: {range:?}");
            }
        }
        fs::write(&path, &intact[..intact.len() - 1]).unwrap();
        assert_eq!(verify_dir(&labels_dir(&dir)).len(), 1);
        assert!(matches!(
            Watch::open(Config { dir: labels_dir(&dir) }),
            Err(OpenError::Damaged(fault)) if fault.file == name
        ));
        fs::write(&path, &intact).unwrap();
    }
    assert_eq!(verify_dir(&labels_dir(&dir)), []);
}

#[test]
fn taken_away_and_foreign_files_are_named() {
    let dir = TempDir::new().unwrap();
    assert_eq!(verify_dir(&labels_dir(&dir)), []);
    ofac(&open(&dir), "XBT", A).unwrap();
    let segment = labels_dir(&dir).join("ofac.00000000000000000001.seg");
    let current = labels_dir(&dir).join("CURRENT");

    fs::write(labels_dir(&dir).join("notes.txt"), "x").unwrap();
    assert_eq!(verify_dir(&labels_dir(&dir))[0].file, "notes.txt");
    fs::remove_file(labels_dir(&dir).join("notes.txt")).unwrap();

    let manifest = fs::read(&current).unwrap();
    fs::remove_file(&current).unwrap();
    assert_eq!(verify_dir(&labels_dir(&dir))[0].file, "CURRENT");
    assert!(matches!(Watch::open(Config { dir: labels_dir(&dir) }), Err(OpenError::Damaged(_))));
    assert!(segment.exists());
    fs::write(&current, manifest).unwrap();

    // Another intact segment of the same list, under the right name.
    let other = TempDir::new().unwrap();
    ofac(&open(&other), "XBT", B).unwrap();
    fs::copy(labels_dir(&other).join("ofac.00000000000000000001.seg"), &segment).unwrap();
    let faults = verify_dir(&labels_dir(&dir));
    assert!(faults[0].to_string().contains("not the one CURRENT names"), "{}", faults[0]);
    fs::remove_file(&segment).unwrap();
    assert_eq!(verify_dir(&labels_dir(&dir)).len(), 1);
    assert!(matches!(Watch::open(Config { dir: labels_dir(&dir) }), Err(OpenError::Io { .. })));
}

#[test]
fn an_export_restores_the_moment_also_after_it_is_gone() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    ofac(&watch, "XBT", A).unwrap();
    let files = watch.export();
    ofac(&watch, "XBT", B).unwrap();
    watch.remove(&list("ofac")).unwrap();

    let restored = TempDir::new().unwrap();
    fs::create_dir(labels_dir(&restored)).unwrap();
    for file in &files {
        assert_eq!(crypto::sha256(&[file.bytes()]), file.sha256);
        fs::write(labels_dir(&restored).join(&file.name), file.bytes()).unwrap();
    }
    assert_eq!(verify_dir(&labels_dir(&restored)), []);
    let watch = open(&restored);
    assert_eq!(watch.screen(A, None).verdict, Verdict::Deny);
    assert_eq!(watch.screen(B, None).verdict, Verdict::Allow);
}

#[test]
fn screening_sees_the_old_or_the_new_state_never_neither() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let lines = format!("{A}\n{B}\n");
    ofac(&watch, "XBT", &lines).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0u64;
            while !done.load(Ordering::Relaxed) || seen == 0 {
                assert_eq!(watch.screen(A, None).labels.len(), 1);
                seen += 1;
            }
            seen
        });
        for n in 1..20 {
            let source = [file("sanctioned_addresses_XBT.txt", &lines)];
            watch
                .import(&list("ofac"), &Format::Ofac { ticker: None }, &source, UnixNanos::from_secs(n))
                .unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}
