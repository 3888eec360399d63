//! Every file in the directory of a log is accounted for.

use std::fs;

use crypto::SigningKey;
use tlog::{NoteSigner, TileWriter};

use super::*;

fn signer() -> NoteSigner {
    NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).unwrap()
}

fn put(dir: &Path, path: &str, bytes: &[u8]) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A log published at each of the sizes, all partial tiles kept.
fn log(sizes: &[u64]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = TileWriter::new();
    for size in sizes {
        let mut files = Vec::new();
        for index in writer.size()..*size {
            files.extend(writer.append(&index.to_be_bytes()).unwrap());
        }
        files.extend(writer.edge());
        files.into_iter().for_each(|file| put(dir.path(), &file.id.to_string(), &file.bytes));
        put(dir.path(), CHECKPOINT_PATH, Checkpoint::sign(*size, writer.root(), &signer()).as_bytes());
    }
    put(dir.path(), VKEY_PATH, format!("{}\n", signer().verifier()).as_bytes());
    dir
}

fn report(dir: &Path) -> Report {
    verify(dir, signer().verifier(), |_| {}).unwrap()
}

#[test]
fn a_sound_log_and_its_progress() {
    let dir = log(&[100, 700]);
    let mut seen = Vec::new();
    let report = verify(dir.path(), signer().verifier(), |done| seen.push(done)).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.entries_proven, report.files), (700, 2 + 2 * 4 + 1));
    assert_eq!(seen, [256, 512, 700]);
}

#[test]
fn unknown_files_and_leftovers_are_named() {
    let dir = log(&[700]);
    for path in ["notes.txt", "tile/0/000.bak", "tile/0/1", "tile/8/000", "a/b/c/d/e/f/g/h/i/j"] {
        put(dir.path(), path, b"x");
    }
    put(dir.path(), "tile/0/003", b"x");
    put(dir.path(), "tile/0/002.p/200", b"x");
    put(dir.path(), "tile/entries/002.p/200.new", b"x");
    put(dir.path(), "checkpoint.new", b"x");
    let mut report = report(dir.path());
    report.leftovers.sort();
    assert_eq!(
        report.leftovers,
        ["checkpoint.new", "tile/0/002.p/200", "tile/0/003", "tile/entries/002.p/200.new"]
    );
    let mut unknown: Vec<_> = report.faults.iter().map(ToString::to_string).collect();
    unknown.sort();
    assert_eq!(
        unknown,
        [
            "a/b/c/d/e/f/g/h/i: not a file of a log",
            "notes.txt: not a file of a log",
            "tile/0/000.bak: not a file of a log",
            "tile/0/1: not a file of a log",
            "tile/8/000: not a file of a log",
        ]
    );
    assert!(!report.is_sound());
}

#[test]
fn partial_tiles_of_earlier_checkpoints_are_compared() {
    for path in ["tile/0/002.p/88", "tile/entries/002.p/88", "tile/1/000.p/1", "tile/0/000.p/100"] {
        let dir = log(&[100, 300, 600, 700]);
        assert!(report(dir.path()).is_sound());
        let mut bytes = fs::read(dir.path().join(path)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 0x40;
        put(dir.path(), path, &bytes);
        let report = report(dir.path());
        assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
        assert!(
            matches!(&report.faults[0], LogFault::Stale { path: at, offset, .. } if at == path && *offset == last),
            "{:?}",
            report.faults
        );
        bytes[last] ^= 0x40;
        bytes.push(0);
        put(dir.path(), path, &bytes);
        assert!(matches!(&self::report(dir.path()).faults[..], [LogFault::Stale { .. }]));
    }
}

#[test]
fn the_key_file_must_be_the_key() {
    let dir = log(&[3]);
    put(dir.path(), VKEY_PATH, b"log.example+00000000+AA==\n");
    assert_eq!(report(dir.path()).faults, [LogFault::Vkey]);
    fs::remove_file(dir.path().join(VKEY_PATH)).unwrap();
    assert_eq!(report(dir.path()).faults, [LogFault::Vkey]);
}

#[test]
fn without_a_log_there_is_nothing_to_verify() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(verify(dir.path(), signer().verifier(), |_| {}), Err(VerifyError::Audit(_))));
}

/// Any bit of any file, one file of each kind at a time.
#[test]
fn any_flipped_bit_in_any_file_is_found() {
    let dir = log(&[100, 300, 600]);
    let mut walk = Walk { root: dir.path().to_owned(), open: vec![], started: false };
    let paths: Vec<_> = std::iter::from_fn(|| walk.next_file().unwrap()).collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let bytes = fs::read(dir.path().join(&path)).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(12)) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            put(dir.path(), &path, &flipped);
            match verify(dir.path(), signer().verifier(), |_| {}) {
                Ok(report) => {
                    assert!(!report.is_sound(), "{path} at {at}");
                    // A covered tile at fault also differs from its own earlier forms.
                    let named = report.faults.iter().any(|fault| fault.to_string().starts_with(&path));
                    assert!(named, "{path} at {at}: {:?}", report.faults);
                }
                Err(error) => assert_eq!(path, CHECKPOINT_PATH, "{error}"),
            }
        }
        put(dir.path(), &path, &bytes);
    }
    assert!(report(dir.path()).is_sound());
}
