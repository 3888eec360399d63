//! Models of LightGBM, XGBoost and scikit-learn, exported by the tools their users export with: what is imported
//! scores rows as ONNX Runtime does, and what cannot be is refused.
//!
//! `tests/interop/onnx_models.py` trains and scores. It needs the packages of `tests/interop/onnx.txt`, which
//! `cargo xtask setup` installs; without them the test says so and does nothing.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use scoring::{matrix::FeatureNames, model::sigmoid, onnx, shap};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The Python of the tests, if it has the packages.
#[allow(clippy::disallowed_methods, reason = "the environment is how the task runner names its tools")]
fn python() -> Option<PathBuf> {
    let python = std::env::var("CAPONIER_TEST_PYTHON").map(PathBuf::from).unwrap_or_else(|_| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("."));
        target.join("test-tools/venv/bin/python")
    });
    let imports = "import lightgbm, onnxmltools, onnxruntime, skl2onnx, sklearn, xgboost";
    let has = Command::new(&python).args(["-c", imports]).output();
    let found = has.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!(
            "skipped: {} has not the packages of tests/interop/onnx.txt; run cargo xtask setup",
            python.display()
        );
    }
    found.then_some(python)
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).expect("the script wrote it");
    let (floats, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn imported_models_score_as_the_runtime_does() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(ROOT).join("tests/interop/onnx_models.py");
    let made = Command::new(python).arg(script).arg(folder.path()).arg("7").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let lines = String::from_utf8(made.stdout).unwrap();
    let mut imported = 0;
    for line in lines.lines() {
        let [name, features, kind] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let file = |suffix: &str| folder.path().join(format!("{name}.{suffix}"));
        let n_features: usize = features.parse().unwrap();
        let names = FeatureNames::new((0..n_features).map(|index| format!("x{index}"))).unwrap();
        let model = onnx::import(&fs::read(file("onnx")).unwrap(), names);
        if name.starts_with("refused") {
            assert!(matches!(model, Err(onnx::OnnxError::Attribute { .. })), "{name}: {model:?}");
            continue;
        }
        let model = model.unwrap_or_else(|error| panic!("{name}: {error}"));
        imported += 1;
        let (rows, scores) = (floats(&file("rows")), floats(&file("scores")));
        assert_eq!(rows.len(), scores.len() * n_features);
        // The runtime adds in f32: one rounding of the largest partial sum for each tree.
        let explainer = shap::Explainer::new(&model);
        let mut worst: f64 = 0.0;
        for (index, (row, &score)) in rows.chunks_exact(n_features).zip(&scores).enumerate() {
            let logit = model.logit(row);
            let ours = if kind == "sum" { logit } else { sigmoid(logit) };
            worst = worst.max((ours - f64::from(score)).abs());
            if index % 100 == 0 {
                assert!((explainer.explain(row).logit() - logit).abs() <= 1e-9);
            }
        }
        eprintln!(
            "{name}: {} trees, {} rows, largest difference {worst:e}",
            model.trees().len(),
            scores.len()
        );
        assert!(worst <= 1e-5, "{name}: {worst}");
    }
    assert_eq!(imported, 8);
}
