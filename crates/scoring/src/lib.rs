//! Scoring: gradient-boosted trees with reasons, calibration, anomaly scores, metrics and drift.
//!
//! Sans-IO and deterministic: rows, labels, seeds and times are arguments, files are byte slices. The same input gives
//! the same model, score, reason and threshold. What a feature means is the business of `features`, what a score
//! leads to that of `fraud` and `watch`.
//!
//! - [`matrix`]: rows of named features, NaN for unknown.
//! - [`gbdt`]: training. [`model`]: scoring, the model file, the model card. [`tree`]: the stored form of a tree.
//! - `onnx`, with the feature of that name: models trained elsewhere.
//! - [`shap`]: what each feature added to a score. [`counterfactual`]: what would lower it enough.
//! - [`calibration`]: from scores to probabilities. [`threshold`]: from probabilities and costs to actions.
//! - [`anomaly`]: how unusual a row is, without labels.
//! - [`metrics`]: ranking and calibration figures. [`bootstrap`]: whether a difference is luck. [`drift`]: whether the
//!   world still looks as it did.

pub mod anomaly;
pub mod bootstrap;
pub mod calibration;
pub mod counterfactual;
pub mod drift;
pub mod gbdt;
mod math;
pub mod matrix;
pub mod metrics;
pub mod model;
#[cfg(feature = "onnx")]
pub mod onnx;
mod random;
mod row;
pub mod shap;
pub mod threshold;
pub mod tree;
