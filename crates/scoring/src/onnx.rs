//! Models trained elsewhere: tree ensembles from ONNX files, as LightGBM, XGBoost and scikit-learn are exported by
//! onnxmltools and skl2onnx.
//!
//! `TreeEnsembleClassifier` and `TreeEnsembleRegressor` of the operator set `ai.onnx.ml` (versions 1 to 5) become a
//! [`Model`] like one trained here, with reasons, counterfactuals, file and digest. This is no runtime: a file that does
//! more than score one row by one ensemble of trees is refused, and so is whatever would make the imported score
//! another one than the exported:
//!
//! | in the file | here |
//! |---|---|
//! | input | one tensor of `f32`, one column for each feature, in the order of the names given |
//! | classifier | two classes, one weight a leaf, for class 0, and `LOGISTIC`: the sum is the logit of the second class |
//! | regressor | one target, `SUM`; `LOGISTIC`, or `NONE`: then its output must be a logit, which no file says |
//! | modes | `BRANCH_LEQ`, `BRANCH_LT`, `BRANCH_GTE`, `BRANCH_GT`; `x < t` is `x <= t'` with the next lower `t'` |
//! | missing values | as `nodes_missing_value_tracks_true` says |
//! | behind the ensemble | `Identity`, `ZipMap`, a `Cast` of the label, a `Mul` by the constant 1 |
//!
//! Scores equal those of an ONNX runtime up to the rounding of its sums, which are `f32`.
//!
//! A file does not say how many rows came to a leaf, so every leaf counts one row. Reasons need better: give the model
//! rows ([`Model::recounted`]).
//!
//! # Bounds
//! [`BYTES_MAX`]; trees, nodes, depth, features and logits as any model has them.

mod ensemble;
mod graph;
mod wire;

use prost::Message as _;
use thiserror::Error;

use crate::{
    matrix::FeatureNames,
    model::{Model, ModelError},
    tree::DEPTH_MAX,
};

/// Bytes of a file.
pub const BYTES_MAX: usize = 64 << 20;
/// Characters of a name from a file that an error shows.
const SHOWN_CHARS: usize = 64;

/// Why a file was refused. Nodes of the graph are shown by name, or by number if they have none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// An attribute that is absent, occurs twice or has another type, length or value than can be imported.
    #[error("node {node:?}, attribute {attribute:?}: {fault}")]
    Attribute {
        /// The node of the graph.
        node: String,
        /// The attribute.
        attribute: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// A part of the file beside the nodes of its graph.
    #[error("{part}: {fault}")]
    File {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        fault: &'static str,
    },
    /// No protocol buffer, or none of an ONNX file.
    #[error("not an ONNX file: {0}")]
    Malformed(String),
    /// The trees are valid, but no model.
    #[error("the trees are no model")]
    Model(#[from] ModelError),
    /// An operation that cannot be imported.
    #[error("node {node:?}, operation {op:?}: {fault}")]
    Node {
        /// The node of the graph.
        node: String,
        /// Its operation.
        op: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// More bytes than [`BYTES_MAX`].
    #[error("larger than {BYTES_MAX} bytes")]
    TooLarge,
    /// A node of a tree that cannot be imported.
    #[error("node {node:?}, tree {tree}, node {id} of it: {fault}")]
    Tree {
        /// The node of the graph.
        node: String,
        /// The tree, as the file numbers it.
        tree: i64,
        /// The tree's node, as the file numbers it.
        id: i64,
        /// What is wrong.
        fault: TreeFault,
    },
}

/// Why a node of a tree cannot be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TreeFault {
    /// A child the tree does not have.
    #[error("the child {0} does not exist")]
    ChildMissing(i64),
    /// A split on equality, or no mode of the format.
    #[error("the mode is none of BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, BRANCH_GT, LEAF")]
    Mode,
    /// A column that the rows do not have.
    #[error("there is no feature {0}")]
    NoFeature(i64),
    /// A weight for a node that is none or a split.
    #[error("there is a weight but no leaf")]
    NoLeaf,
    /// A leaf without a weight.
    #[error("the leaf has no weight")]
    NoWeight,
    /// A threshold or weight that is no finite number, or a threshold with no number below where one is needed.
    #[error("a number is not finite or has none below it")]
    Number,
    /// Two nodes with one number.
    #[error("the number occurs twice")]
    NumberTwice,
    /// Deeper than a tree here can be.
    #[error("deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A node that is not below the first of its tree.
    #[error("nothing leads to it")]
    Unreachable,
    /// A node that two others lead to, or one that leads to itself.
    #[error("two ways lead to it")]
    VisitedTwice,
    /// Two weights for one leaf.
    #[error("the leaf has two weights")]
    WeightTwice,
}

/// Reads an ensemble of trees over the features, which name the columns of the file's input in order.
///
/// Every leaf counts one row; see [`Model::recounted`].
///
/// # Errors
/// [`OnnxError`], for whatever cannot be imported exactly.
pub fn import(bytes: &[u8], features: FeatureNames) -> Result<Model, OnnxError> {
    if bytes.len() > BYTES_MAX {
        return Err(OnnxError::TooLarge);
    }
    let file = wire::Model::decode(bytes).map_err(|error| OnnxError::Malformed(shown(&error.to_string())))?;
    let ensemble = graph::ensemble(&file, features.len())?;
    let (base_logit, trees) = ensemble::trees(&ensemble, features.len())?;
    Ok(Model::new(features, base_logit, trees)?)
}

/// A text from a file, as far as an error shows it.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests;
