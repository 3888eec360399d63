//! Durable appends against the bare disk, and replay.
//!
//! Appends: batches of 1,000 payloads of 300 bytes over 1,000 accounts, one batch at a time and with two under way,
//! against `write` and `fdatasync` of the same payload bytes into one file on the same disk. The three take turns, so
//! that a slow phase of the disk meets all of them; what counts is the ratio of the medians. Replay: every entry read,
//! checked and opened by one thread, in processor time.
//!
//! `cargo run --release -p benches --bin journal [DIR]`; `DIR` is on the disk to measure (default: the temporary
//! directory). Budgets: ratio at least 0.5, at least 500,000 entries per second and core.

#![allow(clippy::print_stdout, reason = "the figures are the purpose")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::{
    fs::File,
    io::Write as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use domain::{AccountId, ManualClock, Subject, UnixNanos};
use journal::{Config, DiskKek, Draft, Journal, Kind, disk::RealDisk};
use rustix::time::{ClockId, clock_gettime};

const ENTRIES: usize = 1_000;
const PAYLOAD_BYTES: usize = 300;
const ROUNDS: usize = 30;
const BATCHES: usize = 10;

fn batch(accounts: &[Subject]) -> Vec<Draft> {
    let draft = |idx: usize| Draft {
        at: UnixNanos::from_secs(1),
        subject: accounts[idx % accounts.len()].clone(),
        kind: Kind::Event,
        payload: vec![0x5a; PAYLOAD_BYTES],
    };
    (0..ENTRIES).map(draft).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn rate(time: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "small whole numbers")]
    let entries = (ENTRIES * BATCHES) as f64;
    entries / time.as_secs_f64()
}

fn thread_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

fn main() -> anyhow::Result<()> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent)?;
    let disk = Arc::new(RealDisk::new(dir.path().join("data"))?);
    let kek = DiskKek::at(&dir.path().join("data.kek"))?;
    kek.create()?;
    let clock = Arc::new(ManualClock::new(UnixNanos::from_secs(1)));
    let open = || {
        let (disk, kek, clock) = (Arc::clone(&disk), kek.clone(), Arc::clone(&clock));
        Journal::open(Config::default(), disk, Arc::new(kek), clock)
    };
    let (journal, _) = open()?;
    let accounts: Vec<Subject> = (0..1_000)
        .map(|idx| AccountId::parse(&format!("account-{idx}")).map(Subject::Account))
        .collect::<Result<_, _>>()?;
    journal.append(batch(&accounts)).wait()?; // makes the keys

    let mut raw_file = File::create(dir.path().join("raw"))?;
    let bytes = vec![0x5a; ENTRIES * PAYLOAD_BYTES];
    let (mut raw, mut single, mut double) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..BATCHES {
            raw_file.write_all(&bytes)?;
            raw_file.sync_data()?;
        }
        raw.push(begun.elapsed());

        let batches: Vec<Vec<Draft>> = (0..BATCHES).map(|_| batch(&accounts)).collect();
        let begun = Instant::now();
        for drafts in batches {
            journal.append(drafts).wait()?;
        }
        single.push(begun.elapsed());

        let mut batches = (0..BATCHES).map(|_| batch(&accounts)).collect::<Vec<_>>().into_iter();
        let begun = Instant::now();
        let mut under_way = journal.append(batches.next().context("a first batch")?);
        for drafts in batches {
            let next = journal.append(drafts);
            std::mem::replace(&mut under_way, next).wait()?;
        }
        under_way.wait()?;
        double.push(begun.elapsed());
    }
    let (raw, single, double) = (median(raw), median(single), median(double));
    let written: u64 = journal.segments().iter().map(|segment| segment.len_durable).sum();
    println!("raw write + fdatasync   {:>10.0} entries/s", rate(raw));
    println!(
        "one batch at a time     {:>10.0} entries/s  ratio {:.2}",
        rate(single),
        rate(single) / rate(raw)
    );
    println!(
        "two batches under way   {:>10.0} entries/s  ratio {:.2}",
        rate(double),
        rate(double) / rate(raw)
    );
    println!("bytes per 300-byte payload  {}", written / journal.size());

    let mut best = Duration::MAX;
    for _ in 0..3 {
        let (wall, begun) = (Instant::now(), thread_time());
        let mut reader = journal.reader(0);
        let (mut payload, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = reader.next_ref() {
            anyhow::ensure!(journal.open_payload_into(&entry?, &mut payload)?, "nothing was erased");
            bytes += payload.len();
        }
        anyhow::ensure!(bytes as u64 == journal.size() * PAYLOAD_BYTES as u64, "every byte came back");
        let spent = thread_time() - begun;
        best = best.min(spent);
        println!("replay of {} entries: {:?} processor, {:?} wall", journal.size(), spent, wall.elapsed());
    }
    let per_entry = best / u32::try_from(journal.size())?;
    println!(
        "replay                  {:>10} entries/s per core",
        Duration::from_secs(1).as_nanos() / per_entry.as_nanos()
    );

    journal.close()?;
    drop(journal);
    let begun = Instant::now();
    let (journal, recovery) = open()?;
    println!("opening {} entries: {:?} wall", recovery.size, begun.elapsed());
    journal.close()?;
    Ok(())
}
