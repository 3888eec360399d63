use domain::AccountId;
use proptest::prelude::*;

use super::*;

fn random(seed: u8) -> KeyRandom {
    KeyRandom { key: Secret::new([seed; 32]), nonce: [seed; NONCE_BYTES] }
}

fn account(name: &str) -> Subject {
    Subject::Account(AccountId::parse(name).unwrap())
}

fn apply(file: &mut Vec<u8>, write: &SlotWrite) {
    let at = usize::try_from(write.offset()).unwrap();
    if file.len() < at + SLOT_BYTES {
        file.resize(at + SLOT_BYTES, 0);
    }
    file[at..at + SLOT_BYTES].copy_from_slice(&write.bytes);
}

/// A table of three subjects, the last one erased, with the file it wrote.
fn sample(keks: &KekFile) -> (KeyTable, Vec<u8>) {
    let mut file = Vec::new();
    let (mut table, write) = KeyTable::create(keks, &random(1));
    apply(&mut file, &write);
    for (name, seed) in [("alice", 2), ("bob", 3), ("carol", 4)] {
        let pseudonym = table.pseudonym(&account(name));
        let (_, write) = table.dek_or_create(&pseudonym, || random(seed)).unwrap();
        apply(&mut file, &write.unwrap());
    }
    let carol = table.pseudonym(&account("carol"));
    apply(&mut file, &table.erase(&carol).unwrap());
    (table, file)
}

fn opens(table: &mut KeyTable, subject: &Subject, sealed: &[u8]) -> bool {
    let pseudonym = table.pseudonym(subject);
    table.dek(&pseudonym).is_ok_and(|dek| dek.open(b"", sealed, &mut Vec::new()).is_ok())
}

#[test]
fn a_reloaded_table_has_the_same_keys_and_pseudonyms() {
    let keks = KekFile::generate([7; 32]);
    let (mut table, file) = sample(&keks);
    let mut sealed = Vec::new();
    let alice = table.pseudonym(&account("alice"));
    table.dek(&alice).unwrap().seal(&[0; 12], b"", b"hello", &mut sealed);

    let mut loaded = KeyTable::load(&file, &keks, true).unwrap();
    assert_eq!(loaded.pseudonym(&account("alice")), alice);
    assert_ne!(loaded.pseudonym(&Subject::System), alice);
    assert!(opens(&mut loaded, &account("alice"), &sealed));
    assert!(!opens(&mut loaded, &account("bob"), &sealed));
    assert_eq!((loaded.live(), loaded.slots()), (2, 4));
}

#[test]
fn an_erased_subject_has_no_key_again() {
    let keks = KekFile::generate([7; 32]);
    let (mut table, file) = sample(&keks);
    let carol = table.pseudonym(&account("carol"));
    let mut loaded = KeyTable::load(&file, &keks, true).unwrap();
    for table in [&mut table, &mut loaded] {
        assert_eq!(table.dek(&carol).unwrap_err(), KeyError::Erased);
        assert_eq!(table.dek_or_create(&carol, || random(9)).unwrap_err(), KeyError::Erased);
        assert_eq!(table.state(&carol), Some(SlotState::Erased));
        assert_eq!(table.erased_pseudonyms().collect::<Vec<_>>(), [carol]);
    }
    // The key material is gone from the file, not merely marked.
    let (_, clean) = {
        let (mut table, write) = KeyTable::create(&keks, &random(1));
        let mut file = Vec::new();
        apply(&mut file, &write);
        let (_, write) = table.dek_or_create(&carol, || random(4)).unwrap();
        (table, write.unwrap().bytes)
    };
    assert!(!file.windows(48).any(|window| window == &clean[44..92]));
    assert_eq!(table.erase(&Pseudonym([0; 16])).unwrap_err(), KeyError::Unknown);
}

#[test]
fn every_flipped_bit_is_found_and_its_slot_named_even_without_the_kek() {
    let keks = KekFile::generate([7; 32]);
    let (_, mut file) = sample(&keks);
    file.extend_from_slice(&[0; SLOT_BYTES]); // an empty slot
    for bit in 0..file.len() * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        let (_, problems) = KeyTable::check(&file);
        assert_eq!(problems.len(), 1, "bit {bit}");
        assert_eq!(problems[0].slot, bit / 8 / SLOT_BYTES);
        assert!(matches!(KeyTable::load(&file, &keks, false), Err(TableError::Damaged(_))));
        file[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(KeyTable::load(&file, &keks, true).is_ok());
}

#[test]
fn forged_moved_and_repeated_slots_are_refused() {
    let keks = KekFile::generate([7; 32]);
    let (_, file) = sample(&keks);
    let fault = |file: &[u8]| match KeyTable::load(file, &keks, false) {
        Err(TableError::Damaged(problems)) => problems[0],
        other => panic!("{other:?}"),
    };
    let mut moved = file.clone();
    moved.copy_within(SLOT_BYTES..2 * SLOT_BYTES, 2 * SLOT_BYTES);
    assert_eq!(fault(&moved), SlotProblem { slot: 2, fault: SlotFault::Moved { number: 1 } });

    // Marking a slot erased, or live again, with a recomputed checksum does not help without the KEK.
    let mut forged = file.clone();
    forged[SLOT_BYTES + 4] = 2;
    let crc = crc32c::crc32c(&forged[SLOT_BYTES..SLOT_BYTES + 124]);
    forged[SLOT_BYTES + 124..2 * SLOT_BYTES].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(fault(&forged), SlotProblem { slot: 1, fault: SlotFault::Mac });

    assert_eq!(fault(&file[..file.len() - 1]), SlotProblem { slot: 3, fault: SlotFault::Short });
    let other = KekFile::generate([7; 32]).begin_rotation([8; 32]).unwrap().finish_rotation();
    assert!(matches!(
        KeyTable::load(&file, &other, false),
        Err(TableError::Damaged(problems)) if problems.len() == 4
            && problems[0].fault == SlotFault::UnknownKek { version: 1 }
    ));
    assert!(matches!(KeyTable::load(&[], &keks, false), Err(TableError::NoPseudonymKey)));
}

#[test]
fn a_rotation_can_stop_after_any_slot() {
    let old = KekFile::generate([7; 32]);
    let both = old.begin_rotation([8; 32]).unwrap();
    for stop in 0..=4 {
        let (mut table, mut file) = sample(&old);
        let mut sealed = Vec::new();
        let alice = table.pseudonym(&account("alice"));
        table.dek(&alice).unwrap().seal(&[0; 12], b"", b"hello", &mut sealed);

        table.replace_keks(&both).unwrap();
        for write in table.rewrap(0, stop, || [5; 12]).unwrap() {
            apply(&mut file, &write);
        }
        // Interrupted here: the file still loads with both versions, and the rest is finished.
        let mut loaded = KeyTable::load(&file, &both, true).unwrap();
        assert!(opens(&mut loaded, &account("alice"), &sealed));
        assert_eq!(loaded.replace_keks(&both.finish_rotation()).is_ok(), stop == 4);
        let rest = loaded.rewrap(0, usize::MAX, || [6; 12]).unwrap();
        assert_eq!(rest.len(), 4 - stop);
        for write in rest {
            apply(&mut file, &write);
        }
        loaded.replace_keks(&both.finish_rotation()).unwrap();
        let mut finished = KeyTable::load(&file, &both.finish_rotation(), true).unwrap();
        assert!(opens(&mut finished, &account("alice"), &sealed));
        assert_eq!(finished.pseudonym(&account("alice")), alice);
        let carol = finished.pseudonym(&account("carol"));
        assert_eq!(finished.dek(&carol).unwrap_err(), KeyError::Erased);
    }
}

#[test]
fn an_empty_slot_left_by_a_lost_write_is_used_again() {
    let keks = KekFile::generate([7; 32]);
    let (_, mut file) = sample(&keks);
    file[SLOT_BYTES..2 * SLOT_BYTES].fill(0);
    let mut table = KeyTable::load(&file, &keks, true).unwrap();
    let alice = table.pseudonym(&account("alice"));
    assert_eq!(table.dek(&alice).unwrap_err(), KeyError::Unknown);
    let (_, write) = table.dek_or_create(&alice, || random(9)).unwrap();
    assert_eq!(write.unwrap().slot, 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), magic: bool) {
        let keks = KekFile::generate([7; 32]);
        prop_assert!(KeyTable::load(&bytes, &keks, true).is_err());
        if magic && bytes.len() >= SLOT_BYTES {
            bytes[..8].copy_from_slice(b"CKS1\x01\x01\0\0");
            let crc = crc32c::crc32c(&bytes[..124]);
            bytes[124..SLOT_BYTES].copy_from_slice(&crc.to_be_bytes());
            prop_assert!(KeyTable::load(&bytes, &keks, true).is_err());
        }
    }
}
