//! Publishes a million entries of 300 bytes to a real disk, then one entry at a time, then verifies the log. Budgets: an
//! entry is published within a second of being durable, and a million entries are verified in at most 1.5 s.
//!
//! `cargo bench -p audit [-- DIR]` keeps the log in DIR, which must not exist, for other verifiers.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "the only public item is main")]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use audit::{LOG_DIR, LogSource, PublishError, Publisher, verify};
use crypto::SigningKey;
use domain::UnixNanos;
use journal::disk::RealDisk;
use tlog::{Frontier, Hash, NoteSigner, leaf_hash};

const ENTRIES: u64 = 1_000_000;
const ENTRY_BYTES: usize = 300;

fn entry(index: u64) -> [u8; ENTRY_BYTES] {
    let mut entry = [0x5a; ENTRY_BYTES];
    entry[..8].copy_from_slice(&index.to_be_bytes());
    entry
}

struct Entries(Arc<Mutex<Frontier>>);

impl Entries {
    fn grow(frontier: &Mutex<Frontier>, by: u64) {
        let mut frontier = frontier.lock().unwrap();
        for _ in 0..by {
            let leaf = leaf_hash(&entry(frontier.size()));
            frontier.append(leaf);
        }
    }
}

impl LogSource for Entries {
    fn tree(&self) -> (u64, Hash) {
        let frontier = self.0.lock().unwrap();
        (frontier.size(), frontier.root())
    }

    fn read(
        &self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        (from..to).try_for_each(|index| visit(&entry(index)))
    }
}

fn main() {
    let scratch = tempfile::tempdir().unwrap();
    let keep = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let dir = keep.unwrap_or_else(|| scratch.path().join("data"));
    let disk = Arc::new(RealDisk::new(&dir).unwrap());
    let signer = NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).unwrap();
    let verifier = signer.verifier().clone();
    let frontier = Arc::new(Mutex::new(Frontier::new()));
    Entries::grow(&frontier, ENTRIES);
    let source = Entries(Arc::clone(&frontier));

    let start = Instant::now();
    let (mut publisher, published) = Publisher::open(source, disk, signer, UnixNanos(0)).unwrap();
    assert_eq!(published.size, ENTRIES);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "published {ENTRIES} entries at once in {seconds:.2} s = {:.0} entries/s",
        ENTRIES as f64 / seconds
    );

    for batch in [1_u64, 1_000, 50_000] {
        let mut took: Vec<Duration> = (0..20)
            .map(|_| {
                Entries::grow(&frontier, batch);
                let start = Instant::now();
                publisher.publish_once(UnixNanos(0)).unwrap();
                start.elapsed()
            })
            .collect();
        took.sort();
        println!("published {batch} more entries: median {:?}, longest of 20 {:?}", took[10], took[19]);
    }

    let size = frontier.lock().unwrap().size();
    let start = Instant::now();
    let report = verify(&dir.join(LOG_DIR), &verifier, |_| {}).unwrap();
    assert!(report.is_sound() && report.entries_proven == size, "{report:?}");
    let seconds = start.elapsed().as_secs_f64();
    println!("verified {size} entries in {seconds:.2} s = {:.0} entries/s", size as f64 / seconds);

    let log = publisher.log();
    let start = Instant::now();
    let receipts: Vec<_> = (0..size).step_by(1009).map(|seq| (seq, log.receipt(seq).unwrap())).collect();
    println!(
        "made {} receipts, {:?} each",
        receipts.len(),
        start.elapsed() / u32::try_from(receipts.len()).unwrap()
    );
    let start = Instant::now();
    for (seq, receipt) in &receipts {
        receipt.verify(leaf_hash(&entry(*seq)), &verifier).unwrap();
    }
    println!(
        "checked {} receipts, {:?} each",
        receipts.len(),
        start.elapsed() / u32::try_from(receipts.len()).unwrap()
    );
}
