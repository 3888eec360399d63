//! ONNX files: refused with words, or read as a model that scores, explains and is written like any other.
#![no_main]

use std::sync::LazyLock;

use fuzz::{Choices, edited};
use libfuzzer_sys::fuzz_target;
use scoring::{
    matrix::{FeatureNames, Matrix},
    onnx, shap,
};

const FEATURES: [&str; 3] = ["amount", "visits", "age"];

/// A field of a protocol buffer that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

/// A field of a protocol buffer that is a small number.
fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// An attribute: its name, its type and a field with its value.
fn attribute(name: &str, r#type: u8, value: Vec<u8>) -> Vec<u8> {
    // Field 20, a number: the key takes two bytes.
    field(5, &[field(1, name.as_bytes()), value, vec![0xa0, 0x01, r#type]].concat())
}

fn ints(name: &str, values: &[u8]) -> Vec<u8> {
    attribute(name, 7, values.iter().flat_map(|value| number(8, *value)).collect())
}

fn floats(name: &str, values: &[f32]) -> Vec<u8> {
    attribute(name, 6, field(7, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()))
}

fn texts(name: &str, values: &[&str]) -> Vec<u8> {
    attribute(name, 8, values.iter().flat_map(|value| field(9, value.as_bytes())).collect())
}

/// Two trees that split on all features, as a classifier or a regressor.
fn file(is_classifier: bool) -> Vec<u8> {
    let (prefix, op) =
        if is_classifier { ("class", "TreeEnsembleClassifier") } else { ("target", "TreeEnsembleRegressor") };
    let mut node: Vec<Vec<u8>> = vec![field(1, b"X")];
    if is_classifier {
        node.push(field(2, b"label"));
        node.push(ints("classlabels_int64s", &[0, 1]));
    } else {
        node.push(attribute("n_targets", 2, number(3, 1)));
    }
    node.extend([
        field(2, b"scores"),
        field(4, op.as_bytes()),
        field(7, b"ai.onnx.ml"),
        floats("base_values", &[0.5]),
        ints("nodes_treeids", &[0, 0, 0, 0, 0, 1, 1, 1]),
        ints("nodes_nodeids", &[0, 1, 2, 3, 4, 0, 1, 2]),
        ints("nodes_featureids", &[0, 1, 0, 0, 0, 2, 0, 0]),
        texts(
            "nodes_modes",
            &["BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF", "BRANCH_GTE", "LEAF", "LEAF"],
        ),
        floats("nodes_values", &[0.5, 1.5, 0.0, 0.0, 0.0, -3.0, 0.0, 0.0]),
        ints("nodes_truenodeids", &[1, 2, 0, 0, 0, 1, 0, 0]),
        ints("nodes_falsenodeids", &[4, 3, 0, 0, 0, 2, 0, 0]),
        ints("nodes_missing_value_tracks_true", &[1, 0, 0, 0, 0, 1, 0, 0]),
        attribute("post_transform", 3, field(4, b"LOGISTIC")),
        ints(&format!("{prefix}_ids"), &[0; 5]),
        ints(&format!("{prefix}_nodeids"), &[2, 3, 4, 1, 2]),
        ints(&format!("{prefix}_treeids"), &[0, 0, 0, 1, 1]),
        floats(&format!("{prefix}_weights"), &[-1.0, 2.0, 0.25, 1.0, -0.5]),
    ]);
    let tensor = field(1, &number(1, 1));
    let input = field(11, &[field(1, b"X"), field(2, &tensor)].concat());
    let graph = [field(1, &node.concat()), input, field(12, &field(1, b"scores"))].concat();
    let opset = field(8, &[field(1, b"ai.onnx.ml"), number(2, 1)].concat());
    [field(7, &graph), opset].concat()
}

fn names() -> FeatureNames {
    FeatureNames::new(FEATURES).expect("three names")
}

static FILES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let files = [true, false].map(file);
    for file in &files {
        onnx::import(file, names()).expect("an example is read");
    }
    files
});

fuzz_target!(|data: &[u8]| {
    let Some((way, data)) = data.split_first() else { return };
    let bytes = match way % 4 {
        0 => data.to_vec(),
        1 => edited(&[&FILES[0], &FILES[1]], data),
        _ => {
            // Bytes are replaced, so that the lengths keep fitting.
            let mut choices = Choices::new(data);
            let mut bytes = FILES[choices.below(FILES.len())].clone();
            while !choices.is_empty() {
                let at = choices.below(bytes.len());
                bytes[at] = choices.byte();
            }
            bytes
        }
    };
    let model = match onnx::import(&bytes, names()) {
        Ok(model) => model,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut rows = Matrix::new(names());
    for row in [[0.0, 1.5, -3.0], [0.5, 9.0, f32::NAN], [-1e30, f32::NAN, 1e30]] {
        rows.push(&row).expect("three values");
    }
    let counted = model.recounted(&rows);
    for row in rows.rows() {
        let logit = model.logit(row);
        assert!(logit.is_finite());
        assert_eq!(counted.logit(row).to_bits(), logit.to_bits());
        for model in [&model, &counted] {
            let explanation = shap::explain(model, row);
            assert!((explanation.logit() - logit).abs() <= 1e-9 * logit.abs().max(1e5));
        }
    }
});
