//! A data directory with segments that somebody else wrote, checksums included: verifying and opening it end, agree
//! and name what is wrong.
#![no_main]

use std::sync::{Arc, LazyLock};

use crypto::Secret;
use domain::{ManualClock, UnixNanos};
use fuzz::Choices;
use journal::{
    Config, DiskKek, Journal, KEY_TABLE,
    disk::{Disk as _, SimDisk},
    verify,
};
use keyring::{KekFile, KeyRandom, KeyTable};
use libfuzzer_sys::fuzz_target;

static KEKS: LazyLock<KekFile> = LazyLock::new(|| KekFile::generate([1; 32]));
static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (_, write) = KeyTable::create(&KEKS, &KeyRandom { key: Secret::new([2; 32]), nonce: [3; 12] });
    write.bytes.to_vec()
});

/// A segment header with a checksum that matches.
fn header(choices: &mut Choices<'_>, first_seq: u64) -> Vec<u8> {
    let mut bytes = b"CAPJSEG1\0\0\0\x01\0\0\0\0".to_vec();
    bytes.extend_from_slice(&first_seq.to_be_bytes());
    // The root over no entries, unless chosen otherwise.
    let root: [u8; 32] = if choices.byte() % 4 == 0 { choices.array() } else { crypto::sha256(&[]) };
    bytes.extend_from_slice(&root);
    bytes.extend_from_slice(&[0; 4]);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

/// An entry of the deterministic form with the sequence number asked for.
fn entry(choices: &mut Choices<'_>, seq: u64) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x86, 0x01];
    match seq {
        0..=23 => bytes.push(seq.to_be_bytes()[7]),
        24..=0xff => bytes.extend_from_slice(&[0x18, seq.to_be_bytes()[7]]),
        0x100..=0xffff => {
            bytes.push(0x19);
            bytes.extend_from_slice(&seq.to_be_bytes()[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            bytes.push(0x1a);
            bytes.extend_from_slice(&seq.to_be_bytes()[4..]);
        }
        _ => {
            bytes.push(0x1b);
            bytes.extend_from_slice(&seq.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[choices.byte() % 24, 1 + choices.byte() % 10, 0x50]);
    bytes.extend_from_slice(&choices.array::<16>());
    bytes.push(1);
    let sealed = choices.byte() % 24;
    bytes.push(0x40 | sealed);
    bytes.extend_from_slice(&vec![7; usize::from(sealed)]);
    bytes
}

/// A frame with checksums that match; mostly in its place.
fn frame(choices: &mut Choices<'_>, next: &mut u64, out: &mut Vec<u8>) {
    let seq = if choices.byte() % 4 == 0 { choices.number() } else { *next };
    let attested = if choices.byte() % 4 == 0 { choices.number() } else { seq };
    let (tag, body) = match choices.byte() % 8 {
        0 => (*b"MARK", Vec::new()),
        1 => (*b"CLOS", Vec::new()),
        2 => {
            let entries = choices.number().to_be_bytes();
            (*b"SEAL", [&entries[..], &choices.array::<32>()].concat())
        }
        3 => (choices.array(), choices.bytes(40).to_vec()),
        4 => {
            let len = usize::from(choices.byte());
            (*b"ENTR", choices.bytes(len).to_vec())
        }
        _ => (*b"ENTR", entry(choices, seq)),
    };
    *next = if tag == *b"ENTR" { seq.wrapping_add(1) } else { seq };
    let len = u32::try_from(body.len()).expect("bodies are short");
    let mut bytes = tag.to_vec();
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&attested.to_be_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(&bytes);
    out.extend_from_slice(&body);
}

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let disk = SimDisk::new(1);
    disk.plant(KEY_TABLE, &TABLE);
    let mut next = 0;
    for _ in 0..1 + choices.byte() % 3 {
        let first_seq = if choices.byte() % 4 == 0 { choices.number() } else { next };
        let mut bytes = if choices.byte() % 8 == 0 { Vec::new() } else { header(&mut choices, first_seq) };
        next = first_seq;
        for _ in 0..choices.byte() % 8 {
            frame(&mut choices, &mut next, &mut bytes);
        }
        let torn = usize::from(choices.byte() % 64);
        bytes.extend_from_slice(choices.bytes(torn));
        if choices.byte() % 8 == 0 {
            bytes.truncate(choices.below(bytes.len() + 1));
        }
        disk.plant(&format!("journal/{first_seq:020}.seg"), &bytes);
    }

    let without_keys = verify(&disk, None, None);
    let with_keys = verify(&disk, Some(&KEKS), None);
    assert!(with_keys.faults.len() >= without_keys.faults.len());
    for fault in &with_keys.faults {
        assert!(!fault.to_string().is_empty());
    }
    if !without_keys.faults.is_empty() && choices.byte() % 4 != 0 {
        return;
    }

    // What opens, opened: everything before the tail is there, and verifies after a clean end.
    disk.plant("kek", KEKS.to_text().expose().as_bytes());
    let kek = Arc::new(DiskKek::new(Arc::new(disk.clone()), "kek"));
    let clock = Arc::new(ManualClock::new(UnixNanos(1_000)));
    if let Ok((journal, _)) = Journal::open(Config::default(), Arc::new(disk.clone()), kek, clock) {
        assert!(journal.size() >= with_keys.size);
        drop(journal);
        let after = verify(&disk, Some(&KEKS), None);
        if with_keys.faults.is_empty() {
            assert_eq!(after.faults, []);
        }
        assert_eq!(after.tail, None);
    } else {
        assert!(!with_keys.faults.is_empty(), "a journal without faults opens");
    }
    _ = disk.list("journal");
});
