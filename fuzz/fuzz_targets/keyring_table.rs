//! Key tables whose slots carry a checksum that matches: checking and loading them name what is wrong.
#![no_main]

use std::sync::LazyLock;

use crypto::Secret;
use fuzz::edited;
use keyring::{KekFile, KeyRandom, KeyTable, SLOT_BYTES};
use libfuzzer_sys::fuzz_target;

static KEKS: LazyLock<KekFile> = LazyLock::new(|| KekFile::generate([1; 32]));
static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (_, write) = KeyTable::create(&KEKS, &KeyRandom { key: Secret::new([2; 32]), nonce: [3; 12] });
    [write.bytes, write.bytes, [0; SLOT_BYTES]].concat()
});

fuzz_target!(|data: &[u8]| {
    let Some((plain, data)) = data.split_first() else { return };
    let mut bytes = edited(&[&TABLE], data);
    if *plain < 192 {
        for slot in bytes.chunks_exact_mut(SLOT_BYTES) {
            let (content, checksum) = slot.split_at_mut(SLOT_BYTES - 4);
            checksum.copy_from_slice(&crc32c::crc32c(content).to_be_bytes());
        }
    }
    let (slots, problems) = KeyTable::check(&bytes);
    assert!(slots.len() + problems.len() <= bytes.len().div_ceil(SLOT_BYTES));
    if KeyTable::load(&bytes, &KEKS, true).is_ok() {
        assert_eq!(problems, []);
        // Only the slots that the key itself authenticated can be there.
        assert_eq!(bytes[..SLOT_BYTES], TABLE[..SLOT_BYTES]);
        assert!(bytes[SLOT_BYTES..].iter().all(|byte| *byte == 0));
    }
});
