//! Builds a log of a million entries of 300 bytes in memory, then audits it: budget at least 0.78 M entries/s audited
//! on one thread. Run with `cargo bench -p tlog`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "the only public item is main")]

use std::{collections::BTreeMap, time::Instant};

use crypto::SigningKey;
use tlog::{
    Audit, CHECKPOINT_PATH, Checkpoint, NoteSigner, TileWriter, consistency_proof, inclusion_proof,
    leaf_hash, verify_inclusion,
};

const ENTRIES: u64 = 1_000_000;
const ENTRY_BYTES: usize = 300;

fn entry(index: u64) -> [u8; ENTRY_BYTES] {
    let mut entry = [0x5a; ENTRY_BYTES];
    entry[..8].copy_from_slice(&index.to_be_bytes());
    entry
}

fn report(what: &str, operations: u64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {operations} in {seconds:.3} s = {:.3} M/s", operations as f64 / seconds / 1e6);
}

fn main() {
    let signer = NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).unwrap();
    let start = Instant::now();
    let mut log = BTreeMap::new();
    let mut writer = TileWriter::new();
    for index in 0..ENTRIES {
        for file in writer.append(&entry(index)).unwrap() {
            log.insert(file.id.to_string(), file.bytes);
        }
    }
    log.extend(writer.edge().into_iter().map(|file| (file.id.to_string(), file.bytes)));
    let checkpoint = Checkpoint::sign(ENTRIES, writer.root(), &signer);
    log.insert(CHECKPOINT_PATH.to_owned(), checkpoint.into_bytes());
    report("entries written", ENTRIES, start);

    let start = Instant::now();
    let mut audit = Audit::open(&log, signer.verifier()).unwrap();
    assert_eq!(audit.by_ref().next(), None);
    assert_eq!(audit.entries_proven(), ENTRIES);
    report("entries audited", ENTRIES, start);

    let start = Instant::now();
    let root = audit.checkpoint().root;
    for index in (0..ENTRIES).step_by(1000) {
        let proof = inclusion_proof(&log, index, ENTRIES).unwrap();
        verify_inclusion(index, ENTRIES, leaf_hash(&entry(index)), &proof, root).unwrap();
    }
    report("inclusion proofs made and verified", ENTRIES / 1000, start);

    let start = Instant::now();
    for old in (1..ENTRIES).step_by(1000) {
        consistency_proof(&log, old, ENTRIES).unwrap();
    }
    report("consistency proofs made", ENTRIES / 1000, start);
}
