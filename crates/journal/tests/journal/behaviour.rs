//! What the journal does when nothing goes wrong.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use domain::{Subject, UnixNanos};
use journal::{
    AppendError, Appended, Draft, EraseError, Health, Journal, Kind, OpenError, Opened, PAYLOAD_BYTES_MAX,
    Stopped, disk::RealDisk, record,
};

use crate::support::{Bench, account, draft, payload, payloads, recomputed_root};

#[test]
fn what_is_appended_is_read_back_in_order_also_after_reopening() {
    let bench = Bench::new(1);
    let (journal, recovery) = bench.open();
    assert!(recovery.created && recovery.clean && recovery.size == 0);
    let first = journal.append(vec![draft("alice", "one"), draft("bob", "two")]).wait().unwrap();
    let second = journal.append(vec![draft("alice", "three")]).wait().unwrap();
    assert_eq!((first, second), (Appended { first: 0, count: 2 }, Appended { first: 2, count: 1 }));
    let expected = ["one", "two", "three"].map(|text| (Kind::Event, Some(text.as_bytes().to_vec())));
    assert_eq!(payloads(&journal), expected);
    assert_eq!(journal.root(), recomputed_root(&journal, 3));
    let alice = journal.entry(0).unwrap().unwrap().pseudonym;
    assert_eq!(journal.entry(2).unwrap().unwrap().pseudonym, alice);
    assert_eq!(journal.pseudonym(&account("alice")), alice);
    assert!(journal.entry(3).unwrap().is_none());
    let root = journal.root();
    journal.close().unwrap();
    assert_eq!(journal.health(), Health::Closed);
    assert_eq!(journal.append(vec![draft("alice", "late")]).wait(), Err(AppendError::Closed));

    let (journal, recovery) = bench.open();
    assert!(recovery.clean && !recovery.created && recovery.discarded.is_none());
    assert_eq!((recovery.size, recovery.root), (3, root));
    assert_eq!(payloads(&journal), expected);
    assert_eq!(journal.append(vec![draft("alice", "four")]).wait().unwrap().first, 3);
    drop(journal);
    let verification = bench.verify();
    assert_eq!(verification.faults, []);
    assert!(verification.closed && verification.size == 4 && verification.keys_live == 2);
}

#[test]
fn payloads_and_subjects_never_stand_in_clear_on_the_disk() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    journal.append(vec![draft("alice@example.com", "a very secret payload")]).wait().unwrap();
    journal.close().unwrap();
    for path in bench.disk.paths() {
        let content = bench.disk.content(&path).unwrap();
        for text in ["very secret", "alice"] {
            assert!(!content.windows(text.len()).any(|window| window == text.as_bytes()), "{path}");
        }
    }
}

#[test]
fn segments_roll_and_random_access_finds_every_entry() {
    let mut bench = Bench::new(1);
    bench.config.segment_bytes_max = 100_000;
    let (journal, _) = bench.open();
    for batch in 0..20 {
        let drafts = (0..50).map(|idx| draft("alice", &format!("{}", batch * 50 + idx))).collect();
        journal.append(drafts).wait().unwrap();
    }
    let segments = journal.segments();
    assert!(segments.len() > 1, "{}", segments.len());
    assert!(segments.iter().rev().skip(1).all(|segment| segment.sealed && segment.entries > 0));
    assert_eq!(segments.iter().map(|segment| segment.entries).sum::<u64>(), 1_000);
    for pair in segments.windows(2) {
        assert_eq!(pair[0].first_seq + pair[0].entries, pair[1].first_seq);
    }
    for reopened in [false, true] {
        let journal = if reopened { bench.open().0 } else { journal.clone() };
        for seq in (0..1_000).rev().step_by(7) {
            assert_eq!(payload(&journal, seq), Opened::Payload(seq.to_string().into_bytes()));
        }
        assert_eq!(journal.reader(990).count(), 10);
        assert_eq!(journal.root(), recomputed_root(&journal, 1_000));
        journal.close().unwrap();
    }
    let verification = bench.verify();
    assert_eq!((verification.faults, verification.segments), (vec![], segments.len()));
}

#[test]
fn large_and_small_batches_make_one_journal() {
    let mut bench = Bench::new(1);
    bench.config.segment_bytes_max = 200_000;
    let (journal, _) = bench.open();
    let mut texts = Vec::new();
    for count in [1, 63, 64, 65, 1_000, 2, 999, 4_096] {
        let before = texts.len();
        texts.extend((before..before + count).map(|seq| seq.to_string().repeat(seq % 9)));
        let named = |(seq, text): (usize, &String)| draft(&format!("s{}", seq % 300), text);
        let drafts = (before..).zip(&texts[before..]).map(named).collect();
        let appended = Appended { first: before as u64, count: count as u64 };
        assert_eq!(journal.append(drafts).wait(), Ok(appended));
        assert_eq!(journal.root(), recomputed_root(&journal, journal.size()));
    }
    let refused: Vec<Draft> = (0..200).map(|idx| draft(&format!("s{idx}"), "late")).collect();
    journal.erase(&account("s150")).unwrap();
    assert!(matches!(journal.append(refused).wait(), Err(AppendError::SubjectErased { .. })));
    for (seq, text) in (0..).zip(&texts).step_by(97) {
        let expected =
            if seq % 300 == 150 { Opened::Erased } else { Opened::Payload(text.clone().into_bytes()) };
        assert_eq!(payload(&journal, seq), expected);
    }
    assert_eq!(journal.size(), texts.len() as u64 + 1, "nothing of the refused batch, the erasure's record");
    journal.close().unwrap();
    assert_eq!(bench.verify().faults, []);
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    let mut reader = journal.reader(0);
    assert!(reader.next().is_none());
    for round in 0..5 {
        journal.append(vec![draft("alice", "x"), draft("alice", "y")]).wait().unwrap();
        assert_eq!(reader.next().unwrap().unwrap().seq, 2 * round);
        assert_eq!(reader.next_ref().unwrap().unwrap().seq, 2 * round + 1);
        assert!(reader.next().is_none());
    }
}

#[test]
fn time_in_the_journal_never_runs_backwards() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    let at = |secs| Draft { at: UnixNanos::from_secs(secs), ..draft("alice", "x") };
    journal.append(vec![at(10), at(5), at(12)]).wait().unwrap();
    journal.close().unwrap();
    let (journal, _) = bench.open();
    journal.append(vec![at(1)]).wait().unwrap();
    let times: Vec<u64> = journal.reader(0).map(|entry| entry.unwrap().at.as_secs()).collect();
    assert_eq!(times, [10, 10, 12, 12]);
}

#[test]
fn appends_from_many_threads_keep_their_drafts_together() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = &journal;
            scope.spawn(move || {
                for round in 0..50 {
                    let name = format!("{thread}");
                    let drafts = (0..3).map(|idx| draft(&name, &format!("{thread}/{round}/{idx}"))).collect();
                    let appended = journal.append(drafts).wait().unwrap();
                    for idx in 0..3 {
                        let expected = format!("{thread}/{round}/{idx}").into_bytes();
                        assert_eq!(payload(journal, appended.first + idx), Opened::Payload(expected));
                    }
                }
            });
        }
    });
    assert_eq!(journal.size(), 600);
    assert_eq!(journal.root(), recomputed_root(&journal, 600));
}

#[test]
fn payloads_up_to_the_bound_are_taken() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    let longest = Draft { payload: vec![7; PAYLOAD_BYTES_MAX], ..draft("alice", "") };
    let empty = draft("alice", "");
    journal.append(vec![longest.clone(), empty]).wait().unwrap();
    assert_eq!(payload(&journal, 0), Opened::Payload(longest.payload));
    assert_eq!(payload(&journal, 1), Opened::Payload(vec![]));
    let longer = Draft { payload: vec![7; PAYLOAD_BYTES_MAX + 1], ..draft("alice", "") };
    assert!(matches!(journal.append(vec![longer]).wait(), Err(AppendError::TooLong { index: 0, .. })));
    assert_eq!(journal.size(), 2);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn appends_and_growth_can_be_awaited() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    let follower = {
        let journal = journal.clone();
        std::thread::spawn(move || {
            let first = block_on(journal.wait_beyond(0));
            let end = block_on(journal.wait_beyond(1));
            drop(journal);
            (first, end)
        })
    };
    assert_eq!(block_on(journal.append(vec![draft("alice", "x")])).unwrap().first, 0);
    journal.close().unwrap();
    assert_eq!(follower.join().unwrap(), (Ok(1), Err(Stopped::Closed)));
}

#[test]
fn a_second_opener_is_refused_until_the_first_has_closed() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn journal::disk::Disk> = Arc::new(RealDisk::new(dir.path().join("data")).unwrap());
    let kek = journal::DiskKek::at(&dir.path().join("data.kek")).unwrap();
    kek.create().unwrap();
    let bench = Bench::new(1);
    let open = || {
        let clock = Arc::clone(&bench.clock) as _;
        Journal::open(bench.config.clone(), Arc::clone(&disk), Arc::new(kek.clone()), clock)
    };
    let (journal, _) = open().unwrap();
    journal.append(vec![draft("alice", "on a real disk")]).wait().unwrap();
    assert!(matches!(open(), Err(OpenError::Locked)));
    journal.close().unwrap();
    let (journal, recovery) = open().unwrap();
    assert!(recovery.clean);
    assert_eq!(payload(&journal, 0), Opened::Payload(b"on a real disk".to_vec()));
    assert_eq!(journal.rotate_kek(&mut |_, _| {}).unwrap().rows, 2);
    journal.erase(&account("alice")).unwrap();
    journal.close().unwrap();
    assert_eq!(journal::verify(&*disk, None, None).faults, []);
}

#[test]
fn an_erased_subject_is_unreadable_and_takes_no_more() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    journal.append(vec![draft("alice", "a"), draft("bob", "b")]).wait().unwrap();
    let root = journal.root();
    let pseudonym = journal.pseudonym(&account("alice"));
    let appended = journal.erase(&account("alice")).unwrap();
    assert!(matches!(journal.erase(&account("carol")), Err(EraseError::Unknown)));
    assert!(matches!(journal.erase(&Subject::System), Err(EraseError::System)));
    for reopened in [false, true] {
        let journal = if reopened { bench.open().0 } else { journal.clone() };
        assert_eq!(payload(&journal, 0), Opened::Erased);
        assert_eq!(payload(&journal, 1), Opened::Payload(b"b".to_vec()));
        let Opened::Payload(record) = payload(&journal, appended.first) else {
            panic!("sealed by the system")
        };
        assert_eq!(record::SubjectErased::decode(&record), Ok(record::SubjectErased { pseudonym }));
        let refused = journal.append(vec![draft("bob", "c"), draft("alice", "d")]).wait();
        assert_eq!(refused, Err(AppendError::SubjectErased { pseudonym }));
        assert_eq!(journal.size(), 3, "an append is taken whole or not at all");
        // The proofs over what was there still hold.
        assert_eq!(recomputed_root(&journal, 2), root);
        journal.close().unwrap();
    }
    let verification = bench.verify();
    assert_eq!((verification.faults, verification.keys_erased), (vec![], 1));
}

#[test]
fn a_key_table_from_before_an_erasure_is_erased_again() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    journal.append(vec![draft("alice", "a")]).wait().unwrap();
    let old_table = bench.disk.content("keys/table").unwrap();
    journal.erase(&account("alice")).unwrap();
    journal.close().unwrap();
    // A restore brings back the table of an older backup, without the slot the system's key took since.
    let mut table = bench.disk.content("keys/table").unwrap();
    table[..old_table.len()].copy_from_slice(&old_table);
    bench.disk.plant("keys/table", &table);
    let faults = bench.verify().faults;
    assert!(matches!(&faults[..], [journal::Fault { kind: journal::FaultKind::KeyNotErased { .. }, .. }]));
    let (journal, recovery) = bench.open();
    assert_eq!(recovery.erasures_repeated, 1);
    assert_eq!(payload(&journal, 0), Opened::Erased);
    journal.close().unwrap();
    assert_eq!(bench.verify().faults, []);
}

#[test]
fn a_rotated_kek_reads_everything_and_the_old_one_nothing() {
    let bench = Bench::new(1);
    let old_kek = bench.keks();
    let (journal, _) = bench.open();
    journal.append((0..10).map(|idx| draft(&format!("a{idx}"), "x")).collect()).wait().unwrap();
    journal.erase(&account("a3")).unwrap();
    let before = payloads(&journal);
    let mut steps = Vec::new();
    let rotated = journal.rotate_kek(&mut |done, total| steps.push((done, total))).unwrap();
    assert_eq!((rotated.from.0, rotated.to.0, rotated.rows), (1, 2, 12));
    assert_eq!(steps, [(12, 12)]);
    journal.append(vec![draft("new", "y")]).wait().unwrap();
    journal.close().unwrap();

    let keks = bench.keks();
    assert!(keks.previous().is_none() && keks.current().version().0 == 2);
    let (journal, recovery) = bench.open();
    assert!(recovery.clean && recovery.rotation_finished.is_none());
    assert_eq!(payloads(&journal)[..before.len()], before);
    assert_eq!(payloads(&journal)[before.len()].0, Kind::KekRotated);
    journal.close().unwrap();
    assert_eq!(bench.verify().faults, []);
    assert!(!journal::verify(&bench.disk, Some(&old_kek), None).faults.is_empty());
}

#[test]
fn the_old_kek_stays_until_copies_can_do_without_it() {
    let bench = Bench::new(1);
    let (journal, _) = bench.open();
    journal.append(vec![draft("alice", "x")]).wait().unwrap();
    let unreachable = &mut || Err(std::io::Error::other("backup is unreachable"));
    let failed = journal.rotate_kek_after(unreachable, &mut |_, _| {}).unwrap_err();
    assert!(matches!(failed, journal::RotateError::Copy { .. }), "{failed}");
    assert_eq!(bench.keks().previous().map(|kek| kek.version().0), Some(1));
    assert_eq!(payload(&journal, 0), Opened::Payload(b"x".to_vec()));

    // When the copy is brought up to date, both versions are still there: it can be read before and after.
    let mut seen = None;
    let mut settled = || {
        seen = bench.keks().previous().map(|kek| kek.version().0);
        Ok(())
    };
    let rotated = journal.rotate_kek_after(&mut settled, &mut |_, _| {}).unwrap();
    assert_eq!((rotated.from.0, rotated.to.0, rotated.rows, seen), (1, 2, 0, Some(1)));
    assert!(bench.keks().previous().is_none());
    journal.close().unwrap();
    assert_eq!(bench.verify().faults, []);
}
