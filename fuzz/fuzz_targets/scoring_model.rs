//! Model files whose digest is computed: refused with words, or read as what they would be written as, and then they
//! score, explain and describe themselves.
#![no_main]

use std::sync::LazyLock;

use domain::UnixNanos;
use fuzz::{Choices, edited};
use libfuzzer_sys::fuzz_target;
use scoring::{
    calibration::{Calibration, Isotonic, Platt},
    counterfactual::{Changeable, Direction, counterfactual},
    gbdt::{Params, train},
    matrix::{FeatureNames, Matrix},
    model::{
        card::{ModelCard, Training},
        file::ModelFile,
    },
    shap,
};

const HEAD_BYTES: usize = 10;
const DIGEST_BYTES: usize = 32;

fn file(calibration: Option<Calibration>) -> Vec<u8> {
    let mut rows = Matrix::new(FeatureNames::new(["amount", "visits"]).expect("two names"));
    let mut labels = Vec::new();
    for index in 0..60u8 {
        let visits = if index % 5 == 0 { f32::NAN } else { f32::from(index) };
        rows.push(&[f32::from(index % 7), visits]).expect("two values");
        labels.push(index % 7 > 4);
    }
    let params = Params { trees: 3, depth: 3, ..Params::default() };
    let model = train(&rows, &labels, None, None, &params).expect("both labels occur");
    let card = ModelCard {
        name: "payments".to_owned(),
        version: "1".to_owned(),
        created_by: String::new(),
        created_at: UnixNanos::from_secs(1_700_000_000),
        training: Training {
            rows: 60,
            positives: 16,
            period: Some((UnixNanos(1), UnixNanos(2))),
            data_hash: [7; 32],
        },
        params: vec![("depth".to_owned(), "3".to_owned())],
        metrics: vec![("average precision".to_owned(), 0.5)],
        limits: "None known.".to_owned(),
    };
    ModelFile { model, calibration, card }.encode().expect("a small model")
}

static FILES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let isotonic = Isotonic::new(vec![(-1.0, 0.1), (2.0, 0.9)]).expect("points ascend");
    let platt = Platt::new(-1.0, 0.5).expect("the slope falls");
    [None, Some(Calibration::Isotonic(isotonic)), Some(Calibration::Platt(platt))].map(file)
});

fuzz_target!(|data: &[u8]| {
    let Some((way, data)) = data.split_first() else { return };
    let mut bytes = match way % 4 {
        0 => data.to_vec(),
        1 => edited(&[&FILES[0], &FILES[1], &FILES[2]], data),
        _ => {
            // Bytes are replaced, so that the lengths keep fitting.
            let mut choices = Choices::new(data);
            let mut bytes = FILES[choices.below(FILES.len())].clone();
            while !choices.is_empty() {
                let at = HEAD_BYTES + choices.below(bytes.len() - HEAD_BYTES - DIGEST_BYTES);
                bytes[at] = choices.byte();
            }
            bytes
        }
    };
    if *way < 240 && bytes.len() >= DIGEST_BYTES {
        bytes.truncate(bytes.len() - DIGEST_BYTES);
        bytes.extend(crypto::sha256(&[&bytes]));
    }
    let Ok(file) = ModelFile::decode(&bytes) else { return };
    assert_eq!(file.encode().as_deref(), Ok(bytes.as_slice()));
    let width = file.model.features().len();
    for value in [0.0, 3.5, -1e30, f32::NAN] {
        let row = vec![value; width];
        let logit = file.model.logit(&row);
        assert!(logit.is_finite());
        assert!((0.0..=1.0).contains(&file.probability(logit)));
        let explanation = shap::explain(&file.model, &row);
        assert!((explanation.logit() - logit).abs() <= 1e-9 * logit.abs().max(1e5));
        let changeable: Vec<Changeable> =
            (0..width).map(|feature| Changeable { feature, direction: Direction::Either }).collect();
        if let Some(found) = counterfactual(&file.model, &row, logit, &changeable) {
            assert!(found.logit < logit);
        }
    }
    assert!(file.markdown(&[0; 32]).starts_with("# Model "));
    let json: serde_json::Value =
        serde_json::from_str(&file.json(&[0; 32])).expect("the card is JSON to another reader");
    assert_eq!(json["name"], file.card.name.as_str());
});
