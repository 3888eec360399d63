//! Damage at rest: every flipped bit of a closed journal is found and placed, by verification and by opening.

use journal::{Attested, FaultKind, OpenError, ReadError};
use tlog::Hash;

use crate::support::{Bench, Rng, account, draft, payloads};

/// A closed journal with several segments, several subjects and an erasure.
fn closed() -> Bench {
    let mut bench = Bench::new(1);
    bench.config.segment_bytes_max = 300;
    let (journal, _) = bench.open();
    for round in 0..3 {
        journal.append(vec![draft("alice", &format!("a{round}")), draft("bob", "b")]).wait().unwrap();
    }
    journal.erase(&account("bob")).unwrap();
    journal.close().unwrap();
    assert!(journal.segments().len() >= 3);
    bench
}

fn flippable(bench: &Bench) -> Vec<(String, usize)> {
    let paths = bench.disk.paths().into_iter().filter(|path| path.contains('/'));
    paths.map(|path| (path.clone(), bench.disk.content(&path).unwrap().len() * 8)).collect()
}

#[test]
fn every_flipped_bit_is_found_and_its_place_named() {
    let bench = closed();
    let keks = bench.keks();
    assert_eq!(bench.verify().faults, []);
    let mut flips = 0;
    for (path, bits) in flippable(&bench) {
        for bit in 0..bits {
            assert!(bench.disk.flip(&path, bit));
            // Without a key all bits, with the keys a sample: it takes much longer.
            let with_keks = [None, Some(&keks)];
            for keks in &with_keks[..if bit % 13 == 0 { 2 } else { 1 }] {
                let faults = journal::verify(&bench.disk, *keks, None).faults;
                let named = faults.iter().any(|fault| {
                    // Frames and slots here are shorter than 256 bytes.
                    let at = (bit / 8) as u64;
                    fault.file == path && fault.offset <= at && at < fault.offset + 256
                });
                assert!(named, "bit {bit} of {path}: {faults:?}");
            }
            assert!(bench.disk.flip(&path, bit));
            flips += 1;
        }
    }
    assert!(flips > 10_000, "{flips}");
    assert_eq!(bench.verify().faults, []);
}

/// With the checkpoint at hand nothing goes unnoticed that changes what the journal says: overwritten, cut, swapped,
/// repeated or removed pieces of any file.
#[test]
fn random_damage_is_found_or_leaves_every_entry_in_place() {
    let mut bench = closed();
    let (journal, _) = bench.open();
    let expected = payloads(&journal);
    bench.attest(&journal);
    journal.close().unwrap();
    let files: Vec<(String, Vec<u8>)> = flippable(&bench)
        .into_iter()
        .map(|(path, _)| (path.clone(), bench.disk.content(&path).unwrap()))
        .collect();
    let (mut found, mut harmless) = (0, 0);
    for seed in 0..4_000 {
        let mut rng = Rng(seed);
        let (path, content) = &files[rng.index(files.len())];
        let mut bytes = content.clone();
        let (from, to) = (rng.index(bytes.len()), rng.index(bytes.len()));
        let len = 1 + rng.index(200);
        let mask = u8::try_from(1 + rng.below(255)).unwrap();
        match rng.below(6) {
            0 => bytes.truncate(from),
            1 => bytes[from..].iter_mut().take(len).for_each(|byte| *byte = 0),
            2 => bytes[from..].iter_mut().take(len).for_each(|byte| *byte ^= mask),
            3 => {
                let piece: Vec<u8> = bytes[from..].iter().take(len).copied().collect();
                bytes.splice(to..to, piece);
            }
            4 => {
                bytes.drain(from..(from + len).min(content.len()));
            }
            _ => bytes.extend_from_slice(&content[from..]),
        }
        bench.disk.plant(path, &bytes);
        let faults = journal::verify(&bench.disk, None, bench.config.attested).faults;
        match bench.try_open() {
            Err(OpenError::Corrupt { .. }) => {
                assert!(!faults.is_empty(), "seed {seed}: opening saw what verification did not");
                found += 1;
            }
            Err(other) => panic!("seed {seed}: {other}"),
            Ok((journal, _)) => {
                assert_eq!(payloads(&journal)[..expected.len()], expected, "seed {seed}");
                journal.close().unwrap();
                harmless += 1;
            }
        }
        files.iter().for_each(|(path, content)| bench.disk.plant(path, content));
    }
    assert!(found > 3_000 && harmless > 0, "{found} found, {harmless} harmless");
}

#[test]
fn damage_while_open_is_an_error_of_the_reader() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    journal.append(vec![draft("alice", "a"), draft("alice", "b"), draft("alice", "c")]).wait().unwrap();
    let path = "journal/00000000000000000000.seg";
    let second = (usize::try_from(journal.segments()[0].len_durable).unwrap() - 64) / 3 + 64;
    assert!(bench.disk.flip(path, (second + 40) * 8));
    let mut reader = journal.reader(0);
    assert_eq!(reader.next().unwrap().unwrap().seq, 0);
    let damaged = reader.next().unwrap().unwrap_err();
    assert!(
        matches!(&damaged, ReadError::Damaged { file, seq: 1, offset, .. }
        if file == path && *offset == second as u64),
        "{damaged}"
    );
    assert!(reader.next().is_none());
    assert!(journal.entry(1).is_err() && journal.entry(0).is_ok());
}

#[test]
fn opening_refuses_every_flipped_bit_or_loses_nothing_by_it() {
    let bench = closed();
    let (journal, _) = bench.open();
    let expected = payloads(&journal);
    journal.close().unwrap();
    let files = flippable(&bench);
    let good: Vec<(String, Vec<u8>)> =
        files.iter().map(|(path, _)| (path.clone(), bench.disk.content(path).unwrap())).collect();
    let (mut refused, mut opened) = (0, 0);
    for (path, bits) in files {
        for bit in (0..bits).step_by(11) {
            assert!(bench.disk.flip(&path, bit));
            match bench.try_open() {
                Err(OpenError::Corrupt { file, offset, .. }) => {
                    assert_eq!(file, path);
                    assert!(offset <= (bit / 8) as u64);
                    refused += 1;
                }
                Err(other) => panic!("bit {bit} of {path}: {other}"),
                Ok((journal, _)) => {
                    // Only the three marks behind the last entry can be cut off.
                    assert_eq!(payloads(&journal)[..expected.len()], expected);
                    journal.close().unwrap();
                    opened += 1;
                }
            }
            good.iter().for_each(|(path, content)| bench.disk.plant(path, content));
        }
    }
    assert!(refused > 1_000 && opened <= 3 * 24, "{refused} refused, {opened} opened");
}

#[test]
fn after_a_kill_every_flip_in_an_acknowledged_entry_is_refused() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    journal.append(vec![draft("alice", "a"), draft("alice", "b")]).wait().unwrap();
    journal.append(vec![draft("alice", "c")]).wait().unwrap();
    let segment = journal.segments().pop().unwrap();
    bench.disk.kill_process();
    drop(journal);
    let good = bench.disk.content(&segment.path).unwrap();
    for bit in (0..usize::try_from(segment.len_durable).unwrap() * 8).step_by(3) {
        assert!(bench.disk.flip(&segment.path, bit));
        let refused = matches!(bench.try_open(), Err(OpenError::Corrupt { .. }));
        assert!(refused, "bit {bit}");
        bench.disk.plant(&segment.path, &good);
    }
    let (journal, recovery) = bench.open();
    assert!(!recovery.clean && recovery.discarded.is_none());
    assert_eq!(journal.size(), 3);
}

#[test]
fn a_tail_that_ends_within_a_frame_is_cut_and_said_so() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    journal.append(vec![draft("alice", "a")]).wait().unwrap();
    let end = usize::try_from(journal.segments()[0].len_durable).unwrap();
    bench.disk.kill_process();
    drop(journal);
    let path = "journal/00000000000000000000.seg";
    let whole = bench.disk.content(path).unwrap();
    // An unfinished frame behind the mark: every possible length of it.
    let frame = whole[64..end].to_vec();
    for cut in 1..frame.len() {
        let mut content = whole.clone();
        content.extend_from_slice(&frame[..cut]);
        bench.disk.plant(path, &content);
        let verification = bench.verify();
        assert_eq!(verification.faults, []);
        let tail = verification.tail.unwrap();
        assert_eq!((tail.offset, tail.seq, tail.bytes), (whole.len() as u64, 1, cut as u64));
        if cut % 16 == 0 {
            let (journal, recovery) = bench.open();
            let discarded = recovery.discarded.unwrap();
            assert_eq!(discarded.head, frame[..cut]);
            assert_eq!(journal.size(), 2, "the recovery is recorded");
            journal.close().unwrap();
            assert_eq!(bench.verify().faults, []);
        }
    }
    // A complete frame with a wrong checksum is damage, not a tail.
    let mut content = whole.clone();
    content.extend_from_slice(&frame);
    *content.last_mut().unwrap() ^= 1;
    bench.disk.plant(path, &content);
    assert!(matches!(
        &bench.verify().faults[..],
        [fault] if fault.offset == whole.len() as u64 && matches!(fault.kind, FaultKind::Frame(_))
    ));
}

#[test]
fn what_was_attested_must_be_there() {
    let mut bench = Bench::new(1);
    let (journal, _) = bench.open();
    journal.append(vec![draft("alice", "a"), draft("alice", "b")]).wait().unwrap();
    bench.attest(&journal);
    let attested = bench.config.attested.unwrap();
    let early = bench.disk.content("journal/00000000000000000000.seg").unwrap();
    journal.append(vec![draft("alice", "c")]).wait().unwrap();
    journal.close().unwrap();
    drop(bench.open());

    bench.config.attested = Some(Attested { root: Some(Hash([7; 32])), ..attested });
    assert!(matches!(bench.try_open(), Err(OpenError::Corrupt { seq: Some(1), .. })));
    bench.config.attested = Some(Attested { size: 4, root: None });
    assert!(matches!(bench.try_open(), Err(OpenError::Corrupt { .. })));
    let faults = journal::verify(&bench.disk, None, bench.config.attested).faults;
    assert!(matches!(faults[0].kind, FaultKind::Missing { attested: 4, found: 3 }));

    // A torn last entry below the attested size is damage, and nothing is cut.
    bench.config.attested = Some(attested);
    let torn = &early[..early.len() - 64];
    bench.disk.plant("journal/00000000000000000000.seg", torn);
    assert!(matches!(bench.try_open(), Err(OpenError::Corrupt { seq: Some(1), .. })));
    assert_eq!(bench.disk.content("journal/00000000000000000000.seg").unwrap(), torn);
}

#[test]
fn missing_foreign_and_swapped_files_are_named() {
    let bench = closed();
    let paths: Vec<String> =
        bench.disk.paths().into_iter().filter(|path| path.starts_with("journal/")).collect();
    let contents: Vec<Vec<u8>> = paths.iter().map(|path| bench.disk.content(path).unwrap()).collect();
    // Swapped.
    bench.disk.plant(&paths[0], &contents[1]);
    bench.disk.plant(&paths[1], &contents[0]);
    assert!(bench.verify().faults.iter().any(|fault| fault.file == paths[0]));
    assert!(matches!(bench.try_open(), Err(OpenError::Corrupt { file, .. }) if file == paths[0]));
    bench.disk.plant(&paths[0], &contents[0]);
    bench.disk.plant(&paths[1], &contents[1]);
    // Foreign.
    bench.disk.plant("journal/notes.txt", b"x");
    assert!(matches!(
        &bench.verify().faults[..],
        [fault] if fault.file == "journal/notes.txt" && fault.kind == FaultKind::UnknownFile
    ));
    drop(bench.open());
    // Missing.
    use journal::disk::Disk as _;
    bench.disk.remove(&paths[1]).unwrap();
    let kind = |faults: Vec<journal::Fault>| faults.into_iter().map(|fault| fault.kind).next_back();
    assert!(matches!(kind(bench.verify().faults), Some(FaultKind::Sequence { .. })));
    assert!(matches!(bench.try_open(), Err(OpenError::Corrupt { .. })));
}

#[test]
fn lost_keys_are_damage() {
    let bench = closed();
    let table = bench.disk.content("keys/table").unwrap();
    bench.disk.plant("keys/table", &table[..256]);
    assert!(matches!(bench.try_open(), Err(OpenError::Corrupt { seq: Some(_), .. })));
    assert!(bench.verify().faults.iter().any(|fault| matches!(fault.kind, FaultKind::KeyMissing { .. })));
    use journal::disk::Disk as _;
    bench.disk.remove("keys/table").unwrap();
    assert!(matches!(bench.try_open(), Err(OpenError::Corrupt { file, .. }) if file == "keys/table"));
    bench.disk.plant("keys/table", &table);
    // Segments gone, keys there: not a new journal.
    for path in bench.disk.paths().into_iter().filter(|path| path.starts_with("journal/")) {
        bench.disk.remove(&path).unwrap();
    }
    assert!(matches!(bench.try_open(), Err(OpenError::Corrupt { file, .. }) if file == "journal"));
}
