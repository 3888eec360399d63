//! A real journal forged by somebody who can compute every checksum but has no key: what verifies with the keys is a
//! beginning of the true journal, and what verifies against an attested root holds all of it.
#![no_main]

use std::sync::{Arc, LazyLock};

use domain::{AccountId, ManualClock, Subject, UnixNanos};
use fuzz::Choices;
use journal::{
    Attested, Config, DiskKek, Draft, Journal, KEY_TABLE, Kind,
    disk::{Disk as _, SimDisk},
    record::{Lifecycle, LifecycleEvent},
    verify,
};
use keyring::KekFile;
use libfuzzer_sys::fuzz_target;

const SEGMENT: &str = "journal/00000000000000000000.seg";
const HEADER_BYTES: usize = 64;
const FRAME_HEADER_BYTES: usize = 32;

static KEKS: LazyLock<KekFile> = LazyLock::new(|| KekFile::generate([1; 32]));
static GOOD: LazyLock<Good> = LazyLock::new(good);

/// A journal of a few entries, closed.
struct Good {
    table: Vec<u8>,
    header: Vec<u8>,
    frames: Vec<Frame>,
    attested: Attested,
}

#[derive(Clone)]
struct Frame {
    tag: [u8; 4],
    seq: u64,
    attested: u64,
    body: Vec<u8>,
}

impl Frame {
    fn push(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.tag);
        out.extend_from_slice(&u32::try_from(self.body.len()).expect("bodies are short").to_be_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.attested.to_be_bytes());
        out.extend_from_slice(&crc32c::crc32c(&self.body).to_be_bytes());
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_be_bytes());
        out.extend_from_slice(&self.body);
    }
}

fn good() -> Good {
    let disk = SimDisk::new(1);
    disk.create_dir("").expect("a root");
    disk.plant("kek", KEKS.to_text().expose().as_bytes());
    let kek = Arc::new(DiskKek::new(Arc::new(disk.clone()), "kek"));
    let clock = Arc::new(ManualClock::new(UnixNanos(1_000)));
    let (journal, _) =
        Journal::open(Config::default(), Arc::new(disk.clone()), kek, clock).expect("a new journal");
    let lifecycle =
        Lifecycle { what: LifecycleEvent::Started, version: "1".to_owned(), detail: "fuzz".to_owned() };
    let accounts = ["alice", "bob"].map(|name| Subject::Account(AccountId::parse(name).expect("a valid id")));
    for subject in [accounts[0].clone(), accounts[1].clone(), accounts[0].clone(), Subject::System] {
        let draft =
            Draft { at: UnixNanos(2_000), subject, kind: Kind::Lifecycle, payload: lifecycle.encode() };
        journal.append(vec![draft]).wait().expect("durable");
    }
    let (size, root) = journal.tree();
    drop(journal);
    let segment = disk.content(SEGMENT).expect("the first segment");
    let mut frames = Vec::new();
    let (header, mut rest) = segment.split_at(HEADER_BYTES);
    let long = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    while let Some((head, after)) = rest.split_at_checked(FRAME_HEADER_BYTES) {
        let len = usize::from(u16::from_be_bytes([head[6], head[7]]));
        let (body, after) = after.split_at(len);
        let tag = head[..4].try_into().expect("four bytes");
        frames.push(Frame {
            tag,
            seq: long(&head[8..16]),
            attested: long(&head[16..24]),
            body: body.to_vec(),
        });
        rest = after;
    }
    assert!(rest.is_empty() && frames.len() > 4);
    let table = disk.content(KEY_TABLE).expect("a key table");
    Good { table, header: header.to_vec(), frames, attested: Attested { size, root: Some(root) } }
}

fn entries(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().filter(|frame| frame.tag == *b"ENTR").map(|frame| frame.body.as_slice()).collect()
}

fuzz_target!(|data: &[u8]| {
    let good = &*GOOD;
    let mut choices = Choices::new(data);
    let mut frames = good.frames.clone();
    while !choices.is_empty() && !frames.is_empty() {
        let at = choices.below(frames.len());
        match choices.byte() % 8 {
            0 => drop(frames.remove(at)),
            1 if frames.len() < 64 => frames.insert(at, frames[at].clone()),
            2 => {
                let other = choices.below(frames.len());
                frames.swap(at, other);
            }
            3 => frames[at].seq = choices.number(),
            4 => frames[at].attested = choices.number(),
            5 => frames[at].tag = [*b"ENTR", *b"MARK", *b"SEAL", *b"CLOS"][choices.below(4)],
            6 => frames.truncate(at + 1),
            _ => {
                let body = &mut frames[at].body;
                if !body.is_empty() {
                    let byte = choices.below(body.len());
                    body[byte] ^= choices.byte();
                }
            }
        }
    }
    let mut segment = good.header.clone();
    frames.iter().for_each(|frame| frame.push(&mut segment));
    let disk = SimDisk::new(1);
    disk.plant(KEY_TABLE, &good.table);
    disk.plant(SEGMENT, &segment);

    let (true_entries, found_entries) = (entries(&good.frames), entries(&frames));
    let verified = verify(&disk, Some(&KEKS), None);
    if verified.faults.is_empty() {
        let size = usize::try_from(verified.size).expect("a small journal");
        assert!(size <= true_entries.len(), "nothing is added");
        assert_eq!(true_entries[..size], found_entries[..size], "nothing is changed");
    }
    if verify(&disk, Some(&KEKS), Some(good.attested)).faults.is_empty() {
        assert_eq!(verified.size, good.attested.size, "nothing is missing");
    }
});
