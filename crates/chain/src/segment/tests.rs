use std::collections::{BTreeMap, BTreeSet};

use domain::{AddressKind, UnixNanos};
use proptest::prelude::*;

use super::*;
use crate::label::{Category, Confidence, Label};

const KEY: [u8; 16] = [7; 16];

fn label(category: Category, text: &str) -> Label<'_> {
    Label {
        category,
        confidence: Confidence::Forensic,
        text,
        source: "https://example.org",
        asset: "ETH",
        licence: "MIT",
        first_seen: None,
        last_seen: Some(UnixNanos::from_secs(1_700_000_000)),
    }
}

fn builder() -> Builder {
    Builder::new("test", KEY, UnixNanos::from_secs(1), [3; 32]).unwrap()
}

fn evm(byte: u8) -> Address {
    Address::new(AddressKind::Evm, &[byte; 20]).unwrap()
}

#[test]
fn an_empty_segment_answers_nothing() {
    let segment = Segment::parse(builder().finish().unwrap()).unwrap();
    segment.verify().unwrap();
    assert_eq!(segment.labels(Key::Address(&evm(1))).count(), 0);
    assert_eq!((segment.list(), segment.address_count(), segment.text_count()), ("test", 0, 0));
    assert_eq!(segment.imported_at(), UnixNanos::from_secs(1));
    assert_eq!(segment.source_sha256(), &[3; 32]);
}

#[test]
fn contradicting_labels_stand_side_by_side_and_families_are_apart() {
    let mut b = builder();
    let tron = Address::new(AddressKind::Tron, &[1; 20]).unwrap();
    let taproot = Address::new(AddressKind::BitcoinWitness { version: 1 }, &[1; 32]).unwrap();
    b.push(Key::Address(&evm(1)), &label(Category::Exchange, "an exchange")).unwrap();
    b.push(Key::Address(&evm(1)), &label(Category::Phishing, "a thief")).unwrap();
    b.push(Key::Address(&evm(1)), &label(Category::Phishing, "a thief")).unwrap();
    b.push(Key::Address(&taproot), &label(Category::Scam, "x")).unwrap();
    b.push(Key::Text("884Bz8UH63aYs"), &label(Category::Sanctions, "y")).unwrap();
    let segment = Segment::parse(b.finish().unwrap()).unwrap();
    let of =
        |key: Key<'_>| segment.labels(key).map(|label| (label.category, label.text)).collect::<BTreeSet<_>>();
    assert_eq!(
        of(Key::Address(&evm(1))),
        BTreeSet::from([(Category::Phishing, "a thief"), (Category::Exchange, "an exchange")])
    );
    assert_eq!(segment.labels(Key::Address(&evm(1))).count(), 2);
    assert_eq!(of(Key::Address(&tron)), BTreeSet::new());
    assert_eq!(of(Key::Address(&taproot)), BTreeSet::from([(Category::Scam, "x")]));
    assert_eq!(of(Key::Text("884Bz8UH63aYs")), BTreeSet::from([(Category::Sanctions, "y")]));
    assert_eq!(of(Key::Text("884Bz8UH63aYt")), BTreeSet::new());
    assert_eq!((segment.address_count(), segment.text_count(), segment.record_count()), (2, 1, 4));
    let found = segment.labels(Key::Address(&taproot)).next().unwrap();
    assert_eq!(found, label(Category::Scam, "x"));
}

#[test]
fn the_order_of_addresses_does_not_change_the_bytes() {
    let mut forward = builder();
    let mut backward = builder();
    for byte in 0..50 {
        forward.push(Key::Address(&evm(byte)), &label(Category::Scam, "s")).unwrap();
        backward.push(Key::Address(&evm(49 - byte)), &label(Category::Scam, "s")).unwrap();
    }
    assert_eq!(forward.finish().unwrap(), backward.finish().unwrap());
}

#[test]
fn every_flipped_bit_is_found_and_named() {
    let mut b = builder();
    for byte in 0..9 {
        b.push(Key::Address(&evm(byte)), &label(Category::Scam, "s")).unwrap();
    }
    b.push(Key::Address(&evm(1)), &label(Category::Mixer, "m")).unwrap();
    let bytes = b.finish().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = match Segment::parse(damaged.as_slice()) {
            Err(error) => error,
            Ok(segment) => {
                // Reading damaged bytes must not panic.
                for byte in 0..12 {
                    let _ = segment.labels(Key::Address(&evm(byte))).count();
                }
                segment.verify().expect_err("a flipped bit is found")
            }
        };
        if let SegmentError::Changed { range } = error {
            assert!(range.contains(&(bit / 8)), "bit {bit}: {range:?}");
        }
    }
    for len in 0..bytes.len() {
        assert!(Segment::parse(&bytes[..len]).is_err(), "truncated to {len}");
    }
}

#[test]
fn another_version_is_named_and_anything_else_is_no_segment() {
    let mut bytes = builder().finish().unwrap();
    bytes[7] = b'1';
    let error = Segment::parse(bytes.as_slice()).unwrap_err();
    assert_eq!(error, SegmentError::Version { found: "01".to_owned() });
    assert!(error.to_string().contains("import them again"));
    bytes[7] = 0;
    assert_eq!(Segment::parse(bytes.as_slice()).unwrap_err(), SegmentError::Magic);
}

#[test]
fn many_addresses_asked_at_once_answer_as_one_by_one() {
    let mut b = builder();
    let taproot = |byte: u8| Address::new(AddressKind::BitcoinWitness { version: 1 }, &[byte; 32]).unwrap();
    for byte in 0..100 {
        b.push(Key::Address(&evm(byte)), &label(Category::Scam, "s")).unwrap();
        b.push(Key::Address(&taproot(byte)), &label(Category::Mixer, "m")).unwrap();
        b.push(Key::Address(&evm(byte / 2)), &label(Category::Exchange, "e")).unwrap();
    }
    let segment = Segment::parse(b.finish().unwrap()).unwrap();
    let asked: Vec<Address> = (0..=255).flat_map(|byte| [evm(byte), taproot(byte)]).collect();
    let mut found = Vec::new();
    segment.for_each_listed(&asked, |idx, claims| found.push((idx, claims.count())));
    let one_by_one: Vec<_> = asked
        .iter()
        .map(|address| segment.labels(Key::Address(address)).count())
        .enumerate()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(found, one_by_one);
    assert_eq!(found.len(), 200);
}

#[test]
fn bounds_are_enforced() {
    let long = "x".repeat(STRING_BYTES_MAX + 1);
    assert_eq!(
        builder().push(Key::Address(&evm(1)), &label(Category::Scam, &long)),
        Err(BuildError::LongText { got: STRING_BYTES_MAX + 1 })
    );
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum OwnedKey {
    Address(Address),
    Text(String),
}

impl OwnedKey {
    fn key(&self) -> Key<'_> {
        match self {
            Self::Address(address) => Key::Address(address),
            Self::Text(text) => Key::Text(text),
        }
    }
}

/// Few distinct keys, so that several labels meet on one.
fn any_key() -> impl Strategy<Value = OwnedKey> {
    prop_oneof![
        (0u8..4).prop_map(|b| OwnedKey::Address(evm(b))),
        (0u8..4).prop_map(|b| OwnedKey::Address(Address::new(AddressKind::BitcoinP2pkh, &[b; 20]).unwrap())),
        (0u8..4).prop_map(|b| {
            OwnedKey::Address(Address::new(AddressKind::BitcoinWitness { version: 0 }, &[b; 32]).unwrap())
        }),
        (2usize..41).prop_map(|n| {
            OwnedKey::Address(Address::new(AddressKind::BitcoinWitness { version: 1 }, &vec![1; n]).unwrap())
        }),
        "[ab]{1,3}".prop_map(OwnedKey::Text),
        any::<[u8; 20]>().prop_map(|p| OwnedKey::Address(Address::new(AddressKind::Tron, &p).unwrap())),
    ]
}

proptest! {
    #[test]
    fn equals_a_map(
        pairs in proptest::collection::vec((any_key(), 0usize..Category::ALL.len(), "[a-c]{0,2}"), 0..200),
        probes in proptest::collection::vec(any_key(), 0..50),
        hash_key: [u8; 16],
    ) {
        let mut model: BTreeMap<OwnedKey, BTreeSet<(Category, String)>> = BTreeMap::new();
        let mut b = Builder::new("model", hash_key, UnixNanos(0), [0; 32]).unwrap();
        for (key, category, text) in &pairs {
            let category = Category::ALL[*category];
            b.push(key.key(), &label(category, text)).unwrap();
            model.entry(key.clone()).or_default().insert((category, text.clone()));
        }
        let segment = Segment::parse(b.finish().unwrap()).unwrap();
        segment.verify().unwrap();
        prop_assert_eq!(segment.address_count() + segment.text_count(), model.len());
        let mut entries = BTreeSet::new();
        for (listed, claims) in segment.entries() {
            let key = match listed {
                Listed::Address(address) => OwnedKey::Address(address),
                Listed::Text(text) => OwnedKey::Text(text.to_owned()),
            };
            let of_key = claims.filter_map(|c| c.label()).map(|l| (l.category, l.text.to_owned())).collect();
            prop_assert_eq!(model.get(&key), Some(&of_key));
            prop_assert!(segment.contains(listed.key()));
            prop_assert!(entries.insert(key));
        }
        prop_assert_eq!(entries.len(), model.len());
        for key in pairs.iter().map(|(key, _, _)| key).chain(&probes) {
            let found: Vec<_> = segment.labels(key.key()).map(|l| (l.category, l.text.to_owned())).collect();
            let distinct: BTreeSet<_> = found.iter().cloned().collect();
            prop_assert_eq!(found.len(), distinct.len());
            prop_assert_eq!(distinct, model.get(key).cloned().unwrap_or_default());
        }
    }
}
