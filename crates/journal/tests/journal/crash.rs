//! Power cuts and faults. Each round lets several threads append, erase and rotate until the power goes at a random
//! operation, starts again with whatever the disk kept, and checks: what was acknowledged is there, nothing is there
//! that was not submitted, the tree is right, and no state is half-way.

use std::collections::{HashMap, HashSet};

use journal::{AppendError, Health, Kind, OpenError, Opened, disk::Injected};
use keyring::Pseudonym;
use parking_lot::Mutex;

use crate::support::{Bench, Rng, account, draft, payload, payloads, recomputed_root};

/// What the outside world knows over all lives of one journal.
#[derive(Default)]
struct Known {
    submitted: HashSet<String>,
    acknowledged: HashMap<u64, (String, String)>,
    /// Subjects whose erasure was begun, and those where it was acknowledged.
    erasing: HashSet<String>,
    erased: HashSet<String>,
}

fn one_life(bench: &mut Bench, known: &Mutex<Known>, rng: &mut Rng, life: u64) {
    // Opening too may lose its power, several times over.
    let journal = loop {
        if rng.below(3) == 0 {
            bench.disk.inject(bench.disk.changes() + rng.below(12), Injected::PowerCut);
        }
        let opened = bench.try_open();
        bench.disk.calm();
        match opened {
            Ok((journal, _)) if journal.health() == Health::Running => break journal,
            Err(OpenError::Corrupt { file, offset, what, .. }) => {
                panic!("life {life}: {file} at {offset}: {what}")
            }
            interrupted => {
                drop(interrupted);
                bench.disk.cut_power();
                bench.disk.reboot();
                check_at_rest(bench);
            }
        }
    };
    check(&journal, &known.lock());

    bench.disk.inject(bench.disk.changes() + rng.below(60), Injected::PowerCut);
    let seeds: Vec<u64> = (0..3).map(|_| rng.below(u64::MAX)).collect();
    let last_acknowledged = Mutex::new((0, None));
    std::thread::scope(|scope| {
        for (thread, seed) in seeds.into_iter().enumerate() {
            let (journal, last_acknowledged) = (&journal, &last_acknowledged);
            scope.spawn(move || {
                let mut rng = Rng(seed);
                for round in 0.. {
                    // Now and then a batch large enough for two threads and two writes.
                    let count = if rng.below(6) == 0 { 64 + rng.below(64) } else { 1 + rng.below(7) };
                    let names: Vec<String> = (0..count).map(|_| format!("s{}", rng.below(12))).collect();
                    let texts: Vec<String> = (0..names.len())
                        .map(|idx| {
                            let filler = "x".repeat(rng.index(700));
                            format!("{life}/{thread}/{round}/{idx} {filler}")
                        })
                        .collect();
                    known.lock().submitted.extend(texts.iter().cloned());
                    let drafts = names.iter().zip(&texts).map(|(name, text)| draft(name, text)).collect();
                    match journal.append(drafts).wait() {
                        Ok(appended) => {
                            let mut known = known.lock();
                            for (seq, pair) in (appended.first..).zip(names.into_iter().zip(texts)) {
                                known.acknowledged.insert(seq, pair);
                            }
                            let tree = journal.tree();
                            let mut last = last_acknowledged.lock();
                            if tree.0 > last.0 {
                                *last = (tree.0, Some(tree.1));
                            }
                        }
                        Err(AppendError::SubjectErased { .. }) => {}
                        Err(AppendError::Failed { .. }) => return,
                        Err(other) => panic!("{other}"),
                    }
                    if thread == 0 && rng.below(10) == 0 {
                        let name = format!("s{}", rng.below(12));
                        known.lock().erasing.insert(name.clone());
                        if journal.erase(&account(&name)).is_ok() {
                            known.lock().erased.insert(name);
                        }
                    }
                    if thread == 1 && rng.below(10) == 0 && journal.rotate_kek(&mut |_, _| {}).is_err() {
                        return;
                    }
                }
            });
        }
    });
    assert!(matches!(journal.health(), Health::Failed { .. }));
    drop(journal);
    bench.disk.cut_power();
    bench.disk.reboot();
    check_at_rest(bench);
    // A checkpoint published meanwhile must always be found again.
    let (size, root) = *last_acknowledged.lock();
    if rng.below(2) == 0 && size > 0 {
        bench.config.attested = Some(journal::Attested { size, root });
    }
}

/// Before recovery nothing but a tail is wrong. A tail whose last sector kept fewer than four bytes cannot be told
/// from damage and is reported as such, in its place.
fn check_at_rest(bench: &Bench) {
    use journal::disk::Disk as _;
    if !matches!(bench.disk.list("journal"), Ok(names) if !names.is_empty()) {
        return;
    }
    let verification = journal::verify(&bench.disk, None, bench.config.attested);
    let tail = verification.tail;
    for fault in &verification.faults {
        assert!(tail.as_ref().is_some_and(|tail| tail.offset == fault.offset), "{fault}");
    }
}

fn check(journal: &journal::Journal, known: &Known) {
    assert_eq!(journal.root(), recomputed_root(journal, journal.size()));
    let mut recorded_erasures: HashSet<Pseudonym> = HashSet::new();
    let mut seen = HashSet::new();
    for (seq, (kind, content)) in (0..).zip(payloads(journal)) {
        match (kind, content) {
            (Kind::Event, Some(content)) => {
                let text = String::from_utf8(content).unwrap();
                assert!(known.submitted.contains(&text), "phantom entry {seq}: {text}");
                assert!(seen.insert(text), "entry {seq} is there twice");
            }
            (Kind::Event, None) => {
                let names = known.erasing.iter();
                let pseudonyms: Vec<Pseudonym> =
                    names.map(|name| journal.pseudonym(&account(name))).collect();
                assert!(pseudonyms.contains(&journal.entry(seq).unwrap().unwrap().pseudonym));
            }
            (Kind::SubjectErased, Some(content)) => {
                recorded_erasures.insert(journal::record::SubjectErased::decode(&content).unwrap().pseudonym);
            }
            (_, content) => assert!(content.is_some()),
        }
    }
    for (seq, (name, text)) in &known.acknowledged {
        assert!(*seq < journal.size(), "acknowledged entry {seq} is lost");
        let opened = payload(journal, *seq);
        let erased = recorded_erasures.contains(&journal.pseudonym(&account(name)));
        assert_eq!(opened == Opened::Erased, erased, "entry {seq} of {name}");
        assert!(opened == Opened::Erased || opened == Opened::Payload(text.clone().into_bytes()));
        assert!(!known.erased.contains(name) || erased, "the erasure of {name} is lost");
    }
}

fn power_cuts(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut rng = Rng(seed);
        let mut bench = Bench::new(seed);
        bench.config.segment_bytes_max = 2_000 + rng.below(30_000);
        let known = Mutex::new(Known::default());
        for life in 0..4 {
            one_life(&mut bench, &known, &mut rng, life);
        }
        let (journal, _) = bench.open();
        check(&journal, &known.lock());
        journal.close().unwrap();
        assert_eq!(bench.verify().faults, [], "seed {seed}");
        assert!(bench.keks().previous().is_none(), "seed {seed}: a rotation is unfinished");
    }
}

// Four tests, so that they run beside each other: 400 power cuts under load, and about as many while opening.
#[test]
fn power_cuts_lose_nothing_acknowledged_1() {
    power_cuts(0..25);
}

#[test]
fn power_cuts_lose_nothing_acknowledged_2() {
    power_cuts(25..50);
}

#[test]
fn power_cuts_lose_nothing_acknowledged_3() {
    power_cuts(50..75);
}

#[test]
fn power_cuts_lose_nothing_acknowledged_4() {
    power_cuts(75..100);
}

#[test]
#[ignore = "minutes: some 20,000 power cuts, for releases"]
fn many_power_cuts_lose_nothing_acknowledged() {
    power_cuts(100..5_000);
}

#[test]
fn kills_lose_nothing_that_was_written() {
    for seed in 0..30 {
        let bench = Bench::new(seed);
        for life in 0..5 {
            let (journal, recovery) = bench.open();
            assert_eq!(recovery.size, life * 2);
            assert!(recovery.discarded.is_none());
            journal.append(vec![draft("alice", "a")]).wait().unwrap();
            journal.append(vec![draft("bob", "b")]).wait().unwrap();
            bench.disk.kill_process();
        }
    }
}

#[test]
fn every_failing_operation_stops_the_journal_and_loses_nothing() {
    for fault in [Injected::Eio, Injected::Enospc, Injected::PowerCut] {
        let mut finished = false;
        for number in 0..200 {
            let mut bench = Bench::new(number);
            bench.config.segment_bytes_max = 600;
            let (journal, _) = bench.open();
            let before = bench.disk.changes();
            bench.disk.inject(before + number, fault);
            let mut acknowledged = 0;
            let mut failed = false;
            for round in 0..12 {
                match journal.append(vec![draft(&format!("a{}", round % 3), &format!("{round}"))]).wait() {
                    Ok(appended) => {
                        assert!(!failed, "an append after a failed one was taken");
                        assert_eq!(appended.first, acknowledged);
                        acknowledged += 1;
                    }
                    Err(AppendError::Failed { reason }) => {
                        failed = true;
                        assert!(!reason.is_empty());
                        assert!(matches!(journal.health(), Health::Failed { .. }));
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            if fault != Injected::PowerCut {
                // What is durable stays readable.
                assert_eq!(journal.reader(0).count() as u64, acknowledged);
            }
            let closed = journal.close();
            drop(journal);
            finished |= bench.disk.changes() < before + number;
            bench.disk.cut_power();
            bench.disk.reboot();
            let (journal, recovery) = bench.open();
            assert!(!failed || closed.is_err());
            assert!(recovery.size >= acknowledged);
            for seq in 0..acknowledged {
                assert_eq!(payload(&journal, seq), Opened::Payload(seq.to_string().into_bytes()));
            }
            if finished {
                break;
            }
        }
        assert!(finished, "more operations than tried");
    }
}

#[test]
fn a_full_disk_stops_the_journal_until_there_is_room() {
    let bench = Bench::new(3);
    let (journal, _) = bench.open();
    bench.disk.limit(Some(20_000));
    let mut acknowledged = 0;
    let reason = loop {
        match journal.append(vec![draft("alice", &"x".repeat(1_000))]).wait() {
            Ok(_) => acknowledged += 1,
            Err(AppendError::Failed { reason }) => break reason,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(acknowledged > 10 && reason.contains("journal/00000000000000000000.seg"), "{reason}");
    assert!(journal.close().is_err());
    bench.disk.limit(None);
    let (journal, recovery) = bench.open();
    assert!(recovery.discarded.is_some());
    assert_eq!(journal.size(), acknowledged + 1, "and the record of the recovery");
    journal.append(vec![draft("alice", "again")]).wait().unwrap();
}

#[test]
fn an_erasure_cut_anywhere_is_done_or_not_done() {
    let mut outcomes = HashSet::new();
    for number in 0..10 {
        for seed in 0..8 {
            let bench = Bench::new(seed);
            let (journal, _) = bench.open();
            journal.append(vec![draft("alice", "a"), draft("bob", "b")]).wait().unwrap();
            bench.disk.inject(bench.disk.changes() + number, Injected::PowerCut);
            let erased = journal.erase(&account("alice")).is_ok();
            drop(journal);
            bench.disk.cut_power();
            bench.disk.reboot();
            let (journal, _) = bench.open();
            let gone = payload(&journal, 0) == Opened::Erased;
            let recorded = payloads(&journal).iter().filter(|(kind, _)| *kind == Kind::SubjectErased).count();
            assert_eq!(recorded, usize::from(gone), "an erasure is recorded if and only if it was done");
            assert!(gone || !erased);
            assert_eq!(payload(&journal, 1), Opened::Payload(b"b".to_vec()));
            outcomes.insert((erased, gone));
        }
    }
    assert_eq!(outcomes.len(), 3, "all three outcomes were met: {outcomes:?}");
}

#[test]
fn a_rotation_cut_anywhere_is_finished_when_opening() {
    let mut finished_by_opening = 0;
    for number in 0..25 {
        for seed in 0..8 {
            let bench = Bench::new(seed);
            let (journal, _) = bench.open();
            journal.append((0..9).map(|idx| draft(&format!("a{idx}"), "x")).collect()).wait().unwrap();
            bench.disk.inject(bench.disk.changes() + number, Injected::PowerCut);
            let rotated = journal.rotate_kek(&mut |_, _| {}).is_ok();
            drop(journal);
            bench.disk.cut_power();
            bench.disk.reboot();
            let (journal, recovery) = bench.open();
            finished_by_opening += u64::from(recovery.rotation_finished.is_some());
            let keks = bench.keks();
            assert!(keks.previous().is_none());
            assert!(!rotated || keks.current().version().0 == 2);
            let all = payloads(&journal);
            assert!(all[..9].iter().all(|(_, content)| content.as_deref() == Some(b"x")));
            let records = all.iter().filter(|(kind, _)| *kind == Kind::KekRotated).count();
            assert_eq!(records, usize::from(keks.current().version().0 == 2));
            journal.close().unwrap();
            assert_eq!(bench.verify().faults, []);
        }
    }
    assert!(finished_by_opening > 10, "{finished_by_opening}");
}
