//! A journal on a simulated disk.

use std::sync::Arc;

use domain::{AccountId, ManualClock, Subject, UnixNanos};
use journal::{
    Attested, Config, DiskKek, Draft, Journal, KekStore as _, Kind, OpenError, Opened, Recovery,
    Verification, disk::SimDisk,
};
use keyring::KekFile;
use tlog::{Frontier, Hash, leaf_hash};

pub(crate) const KEK: &str = "data.kek";

/// A disk and what is needed to open the journal on it, again and again.
pub(crate) struct Bench {
    pub(crate) disk: SimDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        DiskKek::new(Arc::new(disk.clone()), KEK).create().unwrap();
        let clock = Arc::new(ManualClock::new(UnixNanos::from_secs(1_000)));
        Self { disk, clock, config: Config::default() }
    }

    pub(crate) fn kek(&self) -> DiskKek {
        DiskKek::new(Arc::new(self.disk.clone()), KEK)
    }

    pub(crate) fn keks(&self) -> KekFile {
        KekFile::parse(self.kek().load().unwrap().expose()).unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<(Journal, Recovery), OpenError> {
        let disk = Arc::new(self.disk.clone());
        Journal::open(self.config.clone(), disk, Arc::new(self.kek()), Arc::clone(&self.clock) as _)
    }

    pub(crate) fn open(&self) -> (Journal, Recovery) {
        self.try_open().unwrap()
    }

    pub(crate) fn verify(&self) -> Verification {
        journal::verify(&self.disk, Some(&self.keks()), None)
    }

    pub(crate) fn attest(&mut self, journal: &Journal) {
        let (size, root) = journal.tree();
        self.config.attested = Some(Attested { size, root: Some(root) });
    }
}

/// SplitMix64, so that a failing seed can be run again.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }
}

pub(crate) fn account(name: &str) -> Subject {
    Subject::Account(AccountId::parse(name).unwrap())
}

pub(crate) fn draft(name: &str, payload: &str) -> Draft {
    Draft {
        at: UnixNanos::from_secs(1),
        subject: account(name),
        kind: Kind::Event,
        payload: payload.as_bytes().to_vec(),
    }
}

/// The payload of one entry.
pub(crate) fn payload(journal: &Journal, seq: u64) -> Opened {
    journal.open_payload(&journal.entry(seq).unwrap().unwrap()).unwrap()
}

/// The payloads of all entries, erased ones as `None`.
pub(crate) fn payloads(journal: &Journal) -> Vec<(Kind, Option<Vec<u8>>)> {
    let mut out = Vec::new();
    for (seq, entry) in journal.reader(0).enumerate() {
        let entry = entry.unwrap();
        assert_eq!(entry.seq, seq as u64);
        out.push(match journal.open_payload(&entry).unwrap() {
            Opened::Payload(payload) => (entry.kind, Some(payload)),
            Opened::Erased => (entry.kind, None),
        });
    }
    assert_eq!(out.len() as u64, journal.size());
    out
}

/// The root over the first `size` entries, from their bytes.
pub(crate) fn recomputed_root(journal: &Journal, size: u64) -> Hash {
    let mut frontier = Frontier::new();
    for entry in journal.reader(0).take(usize::try_from(size).unwrap()) {
        frontier.append(leaf_hash(entry.unwrap().bytes()));
    }
    frontier.root()
}
