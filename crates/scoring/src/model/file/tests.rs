use proptest::prelude::*;

use super::*;
use crate::{gbdt, matrix::Matrix};

fn sample(calibration: Option<Calibration>) -> ModelFile {
    let mut rows = Matrix::new(FeatureNames::new(["amount", "visits | `7d`"]).unwrap());
    let mut labels = Vec::new();
    for index in 0..40u8 {
        rows.push(&[f32::from(index % 7), if index % 5 == 0 { f32::NAN } else { f32::from(index) }]).unwrap();
        labels.push(index % 7 > 4);
    }
    let params = gbdt::Params { trees: 3, depth: 2, ..gbdt::Params::default() };
    let model = gbdt::train(&rows, &labels, None, None, &params).unwrap();
    let card = ModelCard {
        name: "payments".to_owned(),
        version: "1".to_owned(),
        created_by: "nobody \"in\" particular\n".to_owned(),
        created_at: UnixNanos::from_secs(1_700_000_000),
        training: Training {
            rows: 40,
            positives: 10,
            period: Some((UnixNanos::from_secs(1), UnixNanos::from_secs(2))),
            data_hash: [7; 32],
        },
        params: params.describe(),
        metrics: vec![("average precision".to_owned(), 0.75)],
        limits: "Simulated data only.".to_owned(),
    };
    ModelFile { model, calibration, card }
}

fn calibrations() -> [Option<Calibration>; 3] {
    [
        None,
        Some(Calibration::Isotonic(Isotonic::new(vec![(-1.0, 0.1), (2.0, 0.9)]).unwrap())),
        Some(Calibration::Platt(Platt::new(-1.0, 0.5).unwrap())),
    ]
}

/// Encodes with a digest that is right whatever was done to the content.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - DIGEST_BYTES);
    bytes.extend(sha256(&[&bytes]));
    bytes
}

#[test]
fn a_file_reads_back() {
    for calibration in calibrations() {
        let file = sample(calibration);
        let bytes = file.encode().unwrap();
        let read = ModelFile::decode(&bytes).unwrap();
        assert_eq!(read, file);
        assert_eq!(read.encode().unwrap(), bytes);
        assert_eq!(digest(&bytes).unwrap(), sha256(&[&bytes[..bytes.len() - 32]]));
        for row in [[1.0, 2.0], [6.0, f32::NAN]] {
            assert_eq!(read.model.logit(&row).to_bits(), file.model.logit(&row).to_bits());
        }
    }
}

#[test]
fn damage_is_found_at_every_byte() {
    let bytes = sample(None).encode().unwrap();
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 1;
        assert!(ModelFile::decode(&damaged).is_err(), "byte {index}");
        assert!(ModelFile::decode(&bytes[..index]).is_err(), "{index} bytes");
    }
    assert_eq!(ModelFile::decode(b"no model"), Err(FileError::NotAModel));
    let mut newer = bytes;
    newer[9] = 2;
    assert_eq!(ModelFile::decode(&newer), Err(FileError::UnknownVersion { found: 2 }));
}

#[test]
fn what_an_author_may_not_write_is_refused() {
    let file = sample(None);
    let mut card = file.clone();
    card.card.metrics.push(("x".to_owned(), f64::NAN));
    let not_finite = FileError::Card(CardError::NotFinite { name: "x".to_owned() });
    assert_eq!(card.encode(), Err(not_finite));
    let mut card = file.clone();
    card.card.limits = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(card.encode(), Err(FileError::Card(CardError::TextLength { field: "limits" })));
    let mut card = file.clone();
    card.card.training.positives = 41;
    assert_eq!(card.encode(), Err(FileError::Card(CardError::Positives)));

    // A threshold in the bytes becomes a NaN.
    let bytes = file.encode().unwrap();
    let Node::Split { threshold, .. } = file.model.trees()[0].nodes()[0] else { panic!("a split") };
    let at = bytes.windows(4).position(|window| window == threshold.to_be_bytes()).unwrap();
    let mut nan = bytes.clone();
    nan[at..at + 4].copy_from_slice(&f32::NAN.to_be_bytes());
    let tree = ModelError::Tree { tree: 0, node: 0, error: TreeError::WrongNumber };
    assert_eq!(ModelFile::decode(&seal(nan)), Err(FileError::Model(tree)));
    let mut unknown = bytes.clone();
    unknown[at - 1] = 9;
    let tree = ModelError::Tree { tree: 0, node: 0, error: TreeError::UnknownFeature { feature: 9 } };
    assert_eq!(ModelFile::decode(&seal(unknown)), Err(FileError::Model(tree)));
    let mut tag = bytes.clone();
    tag[at - 2] = 3;
    assert_eq!(
        ModelFile::decode(&seal(tag)),
        Err(FileError::Malformed { offset: at - 2, expected: "a node" })
    );
    // The same content in more bytes: a length of five in two bytes.
    let mut longer = bytes[..HEAD_BYTES].to_vec();
    longer.extend([0x98, 5]);
    longer.extend(&bytes[HEAD_BYTES + 1..]);
    assert_eq!(ModelFile::decode(&seal(longer)), Err(FileError::NotCanonical));
    let mut more = bytes;
    more.insert(more.len() - DIGEST_BYTES, 0);
    assert!(matches!(
        ModelFile::decode(&seal(more)),
        Err(FileError::Malformed { expected: "the digest", .. })
    ));
}

#[test]
fn a_tree_that_ends_early_or_late_is_refused() {
    const SPLIT: [u8; 10] = [1, 0, 0x3f, 0x80, 0, 0, 0, 0, 0, 0];
    const LEAF_ONE: [u8; 9] = [0, 0x3f, 0x80, 0, 0, 0, 0, 0, 1];
    let read = |parts: &[&[u8]]| read_tree(&parts.concat(), NODES_MAX);
    assert_eq!(read(&[&LEAF_ONE]).ok().unwrap().len(), 1);
    let whole = read(&[&SPLIT, &LEAF_ONE, &SPLIT, &LEAF_ONE, &LEAF_ONE]).ok().unwrap();
    assert_eq!(whole.iter().map(Node::cover).collect::<Vec<_>>(), [3, 1, 2, 1, 1]);
    let incomplete: [&[&[u8]]; 6] = [
        &[],
        &[&SPLIT],
        &[&SPLIT, &LEAF_ONE],
        &[&SPLIT, &SPLIT, &LEAF_ONE],
        &[&SPLIT, &SPLIT, &LEAF_ONE, &LEAF_ONE],
        &[&LEAF_ONE, &LEAF_ONE],
    ];
    for parts in incomplete {
        let fault = read(parts).unwrap_err();
        assert!(matches!(fault, TreeFault::Tree { error: TreeError::Incomplete, .. }), "{fault:?}");
    }
    assert!(matches!(read(&[&SPLIT, &LEAF_ONE[..8]]), Err(TreeFault::Malformed { left: 8 })));
    let deep = [SPLIT; DEPTH_MAX as usize + 1].concat();
    assert!(matches!(read(&[&deep]), Err(TreeFault::Tree { node: 12, error: TreeError::Deep })));
    assert!(matches!(read_tree(&LEAF_ONE, 0), Err(TreeFault::TooMany)));
}

#[test]
fn probabilities_come_from_the_calibration() {
    let [plain, isotonic, _] = calibrations().map(sample);
    assert_eq!(plain.probability(0.0), 0.5);
    assert_eq!(isotonic.probability(2.0), 0.9);
}

#[test]
fn a_card_can_be_read() {
    let file = sample(calibrations()[1].clone());
    let text = file.markdown(&[0xab; 32]);
    for line in [
        "# Model payments",
        "| created | 2023-11-14T22:13:20.000Z |",
        "| created by | nobody \"in\" particular  |",
        "| positive rows | 10 (25.0000 %) |",
        "| visits \\| \\`7d\\` | ",
        "| average precision | 0.750000 |",
        "Simulated data only.",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let json = file.json(&[0xab; 32]);
    assert!(json.starts_with("{\"name\":\"payments\",\"version\":\"1\""), "{json}");
    for part in [
        "\"created_by\":\"nobody \\\"in\\\" particular\\u000a\"",
        "\"positive_share\":0.25",
        "\"calibration\":\"isotonic\"",
        "\"metrics\":[{\"name\":\"average precision\",\"value\":0.75}]",
        "\"limits\":\"Simulated data only.\"}",
    ] {
        assert!(json.contains(part), "{part} is not in {json}");
    }
}

proptest! {
    /// Content anybody may have written, digest right: decoding ends, and what it accepts is its own encoding.
    #[test]
    fn edited_files_are_refused_or_read_back(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        which in 0usize..3,
    ) {
        let mut bytes = sample(calibrations()[which].clone()).encode().unwrap();
        for (index, byte) in edits {
            let index = HEAD_BYTES + index.index(bytes.len() - HEAD_BYTES - DIGEST_BYTES);
            bytes[index] = byte;
        }
        if let Some(cut) = cut {
            let keep = HEAD_BYTES + DIGEST_BYTES + cut.index(bytes.len() - HEAD_BYTES - DIGEST_BYTES);
            bytes.truncate(keep);
        }
        let bytes = seal(bytes);
        if let Ok(file) = ModelFile::decode(&bytes) {
            prop_assert_eq!(file.encode().unwrap(), bytes);
        }
    }
}
