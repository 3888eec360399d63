//! Label segments: an edited one does not open or does not verify, and looking things up in it ends without a panic.
#![no_main]

use std::sync::LazyLock;

use chain::{
    address::decode_any,
    label::{Category, Confidence, Label},
    segment::{Builder, Key, Segment},
};
use domain::{Address, UnixNanos};
use fuzz::{Choices, edited};
use libfuzzer_sys::fuzz_target;

const TEXT: &str = "an-address-of-another-network";

static ADDRESSES: LazyLock<Vec<Address>> = LazyLock::new(|| {
    ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"]
        .map(|text| decode_any(text).expect("a valid address"))
        .to_vec()
});

static SEGMENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut builder = Builder::new("list", [7; 16], UnixNanos(5), [8; 32]).expect("a short name");
    for (text, category) in [("a", Category::Scam), ("b", Category::Mixer)] {
        let label = Label {
            category,
            confidence: Confidence::Forensic,
            text,
            source: "source",
            asset: "BTC",
            licence: "",
            first_seen: None,
            last_seen: Some(UnixNanos(9)),
        };
        for address in ADDRESSES.iter() {
            builder.push(Key::Address(address), &label).expect("a small segment");
        }
        builder.push(Key::Text(TEXT), &label).expect("a small segment");
    }
    builder.finish().expect("a small segment")
});

fuzz_target!(|data: &[u8]| {
    let Some((way, data)) = data.split_first() else { return };
    let bytes = if way % 4 == 0 {
        edited(&[&SEGMENT], data)
    } else {
        // Bytes are replaced, so that the lengths keep fitting.
        let (mut bytes, mut choices) = (SEGMENT.clone(), Choices::new(data));
        while !choices.is_empty() {
            let at = choices.below(bytes.len());
            bytes[at] = choices.byte();
        }
        bytes
    };
    let Ok(segment) = Segment::parse(bytes.as_slice()) else { return };
    assert_eq!(segment.verify().is_ok(), bytes == *SEGMENT);
    let mut labels = 0;
    for address in ADDRESSES.iter() {
        labels += segment.labels(Key::Address(address)).map(|label| label.text.len()).count();
    }
    labels += segment.labels(Key::Text(TEXT)).map(|label| label.source.len()).count();
    assert!(labels < 1 << 18 && segment.list().len() <= bytes.len());
});
