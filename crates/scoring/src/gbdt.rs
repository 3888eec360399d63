//! Gradient-boosted trees for a rare yes: histogram training with logistic loss.
//!
//! Second-order boosting (Friedman 2001; Chen and Guestrin, KDD 2016) over binned features. What decides with rare
//! events is not the usual tuning but two details:
//!
//! - **The base logit is 0 by default, not the base rate.** Starting at a rate of 0.9 % a row weighs p(1-p) = 0.009,
//!   and a leaf limit of 1 forbids every leaf below some 113 rows: exactly the groups fraud hides in. At logit 0 a
//!   row weighs 0.25.
//! - **Bins know distinct values.** A feature with no more distinct values than bins is cut at every midpoint, so
//!   training on it is exact. Otherwise a value that fills a bin by itself has one, and the other rows share the
//!   rest evenly, so that a crowd at zero does not swallow the few others.
//!
//! A value that is unknown (NaN) goes the way that lowers the loss more, learnt at each split; where a split saw no
//! unknown value, with the larger child.
//!
//! Single-threaded and deterministic: the same input gives the same model, byte for byte, on every machine.
//! Thresholds lie on `f32` values, and bins and thresholds divide rows alike, so the score in training is the score
//! in service bit for bit.
//!
//! # Bounds
//! [`TREES_MAX`] trees of depth [`DEPTH_MAX`], [`BINS_MAX`] bins. Memory: 2 bytes a cell, 44
//! a row, and 16 bytes a bin for each level.

mod bins;
mod grow;
mod histogram;

use thiserror::Error;

use crate::{
    matrix::Matrix,
    metrics,
    model::{Model, ModelError, TREES_MAX, sigmoid},
    random::Random,
    tree::DEPTH_MAX,
};
use bins::Binned;
use grow::Grower;

/// Bins of one feature, at most.
pub const BINS_MAX: u16 = 16_384;
/// Size of base logits and leaf values, at most: more says nothing about a probability.
pub const LOGIT_MAX: f64 = 1e4;
/// The smallest leaf limit. Below it the rounding of sums could pass for rows.
pub const MIN_HESSIAN_MIN: f64 = 1e-6;
/// The least a row weighs in the second order, however certain the model is of it.
const HESSIAN_FLOOR: f64 = 1e-16;

/// How to train.
///
/// # Defaults
/// 150 trees of depth 4, rate 0.08, lambda 10, gamma 0, min hessian 1, 1,024 bins, no constraint, positive weight 1,
/// base logit 0, every column for every tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Trees, at most [`TREES_MAX`]. Early stopping may leave fewer.
    pub trees: u32,
    /// Splits on the way to a leaf, 1 to [`DEPTH_MAX`].
    pub depth: u8,
    /// Factor on each leaf, above 0 and at most 1.
    pub rate: f64,
    /// Ridge penalty on leaf values, not negative.
    pub lambda: f64,
    /// The gain a split must exceed, not negative.
    pub gamma: f64,
    /// The least second-order weight of a child: a row weighs at most 0.25 times its sample weight.
    pub min_hessian: f64,
    /// Bins of a feature, 2 to [`BINS_MAX`].
    pub bins: u16,
    /// For each feature +1 if the score must not fall when the value rises, -1 if it must not rise, 0 for either.
    /// Empty means 0 for all. Unknown values are not constrained.
    pub monotone: Vec<i8>,
    /// Factor on the weight of positive rows, above 0.
    pub positive_weight: f64,
    /// The logit before the first tree.
    pub base_logit: f64,
    /// Share of the columns each tree may use, above 0 and at most 1; at least one column is used.
    pub column_share: f64,
    /// Seed of the choice of columns.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            trees: 150,
            depth: 4,
            rate: 0.08,
            lambda: 10.0,
            gamma: 0.0,
            min_hessian: 1.0,
            bins: 1_024,
            monotone: Vec::new(),
            positive_weight: 1.0,
            base_logit: 0.0,
            column_share: 1.0,
            seed: 0,
        }
    }
}

impl Params {
    /// As lines for a model card, in the order of the fields.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        let monotone: Vec<String> = self.monotone.iter().map(ToString::to_string).collect();
        [
            ("trees", self.trees.to_string()),
            ("depth", self.depth.to_string()),
            ("rate", self.rate.to_string()),
            ("lambda", self.lambda.to_string()),
            ("gamma", self.gamma.to_string()),
            ("min_hessian", self.min_hessian.to_string()),
            ("bins", self.bins.to_string()),
            ("monotone", monotone.join(" ")),
            ("positive_weight", self.positive_weight.to_string()),
            ("base_logit", self.base_logit.to_string()),
            ("column_share", self.column_share.to_string()),
            ("seed", self.seed.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn check(&self, n_features: usize) -> Result<(), TrainError> {
        let wrong = |name| Err(TrainError::BadParameter { name });
        let is_size = |value: f64| value.is_finite() && value >= 0.0;
        let is_share = |value: f64| value > 0.0 && value <= 1.0;
        match () {
            () if self.trees == 0 || self.trees as usize > TREES_MAX => wrong("trees"),
            () if self.depth == 0 || self.depth > DEPTH_MAX => wrong("depth"),
            () if !is_share(self.rate) => wrong("rate"),
            () if !is_size(self.lambda) => wrong("lambda"),
            () if !is_size(self.gamma) => wrong("gamma"),
            () if !is_size(self.min_hessian) || self.min_hessian < MIN_HESSIAN_MIN => wrong("min_hessian"),
            () if self.bins < 2 || self.bins > BINS_MAX => wrong("bins"),
            () if !self.monotone.is_empty() && self.monotone.len() != n_features => wrong("monotone"),
            () if self.monotone.iter().any(|sign| !(-1..=1).contains(sign)) => wrong("monotone"),
            () if !is_size(self.positive_weight) || self.positive_weight == 0.0 => wrong("positive_weight"),
            () if !self.base_logit.is_finite() || self.base_logit.abs() > LOGIT_MAX => wrong("base_logit"),
            () if !is_share(self.column_share) => wrong("column_share"),
            () => Ok(()),
        }
    }
}

/// Rows that are not trained on but decide when to stop: where their average precision was best.
#[derive(Debug, Clone, Copy)]
pub struct Validation<'a> {
    /// Rows with the features of the training rows.
    pub rows: &'a Matrix,
    /// Their labels.
    pub labels: &'a [bool],
    /// Trees without a better average precision after which training ends; at least 1.
    pub patience: u32,
}

/// Why training was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A parameter outside its range.
    #[error("the parameter `{name}` is outside its range")]
    BadParameter {
        /// Which one.
        name: &'static str,
    },
    /// A weight that is negative or not finite, or all are 0.
    #[error("row {row}: a weight is finite and not negative, and not all are 0")]
    BadWeight {
        /// Which row, counted from 0.
        row: usize,
    },
    /// Other features in the validation rows than in the training rows.
    #[error("the validation rows have other features")]
    OtherFeatures,
    /// The result is out of bounds; the rate or lambda is too far out.
    #[error("training went out of bounds")]
    Model(#[from] ModelError),
    /// Labels of one kind only.
    #[error("{part}: both labels must occur")]
    OneLabel {
        /// `training` or `validation`.
        part: &'static str,
    },
    /// Not one label or weight for each row.
    #[error("{part}: {found} for {rows} rows")]
    WrongLength {
        /// `labels`, `weights` or `validation labels`.
        part: &'static str,
        /// Rows.
        rows: usize,
        /// Labels or weights.
        found: usize,
    },
}

/// Trains a model on rows, their labels (true is what is looked for) and, if given, their weights.
///
/// # Errors
/// [`TrainError`] when input does not fit together or a parameter is outside its range.
pub fn train(
    rows: &Matrix,
    labels: &[bool],
    weights: Option<&[f32]>,
    validation: Option<&Validation<'_>>,
    params: &Params,
) -> Result<Model, TrainError> {
    params.check(rows.n_features())?;
    check_labels("training", "labels", rows, labels)?;
    if let Some(weights) = weights {
        check_weights(rows, weights)?;
    }
    if let Some(validation) = validation {
        if validation.rows.names() != rows.names() {
            return Err(TrainError::OtherFeatures);
        }
        if validation.patience == 0 {
            return Err(TrainError::BadParameter { name: "patience" });
        }
        check_labels("validation", "validation labels", validation.rows, validation.labels)?;
    }

    let row_weights: Vec<f64> = labels
        .iter()
        .enumerate()
        .map(|(row, &label)| {
            let class = if label { params.positive_weight } else { 1.0 };
            weights.map_or(1.0, |weights| f64::from(weights[row])) * class
        })
        .collect();
    let binned = Binned::new(rows, params.bins);
    let mut grower = Grower::new(&binned, params);
    let mut random = Random::new(params.seed);
    let mut scores = vec![params.base_logit; labels.len()];
    let mut gradients = vec![[0.0; 2]; labels.len()];
    let mut stopping = validation.map(|validation| Stopping::new(validation, params.base_logit));
    let mut trees = Vec::new();
    for _ in 0..params.trees {
        for (((gradient, &score), &label), &weight) in
            gradients.iter_mut().zip(&scores).zip(labels).zip(&row_weights)
        {
            let p = sigmoid(score);
            let g = if label { p - 1.0 } else { p };
            *gradient = [g * weight, (p * (1.0 - p)).max(HESSIAN_FLOOR) * weight];
        }
        let nodes = grower.grow(&gradients, &mut scores, &mut random);
        let tree = crate::tree::Tree::new(nodes, rows.n_features())
            .map_err(|(node, error)| ModelError::Tree { tree: trees.len(), node, error })?;
        let go_on = stopping.as_mut().is_none_or(|stopping| stopping.goes_on(&tree));
        trees.push(tree);
        if !go_on {
            break;
        }
    }
    if let Some(stopping) = stopping {
        trees.truncate(stopping.best_trees);
    }
    Ok(Model::new(rows.names().clone(), params.base_logit, trees)?)
}

fn check_labels(
    part: &'static str,
    what: &'static str,
    rows: &Matrix,
    labels: &[bool],
) -> Result<(), TrainError> {
    if labels.len() != rows.n_rows() {
        return Err(TrainError::WrongLength { part: what, rows: rows.n_rows(), found: labels.len() });
    }
    if labels.iter().all(|label| *label) || labels.iter().all(|label| !*label) {
        return Err(TrainError::OneLabel { part });
    }
    Ok(())
}

fn check_weights(rows: &Matrix, weights: &[f32]) -> Result<(), TrainError> {
    if weights.len() != rows.n_rows() {
        return Err(TrainError::WrongLength { part: "weights", rows: rows.n_rows(), found: weights.len() });
    }
    if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
        return Err(TrainError::BadWeight { row });
    }
    if weights.iter().all(|weight| *weight == 0.0) { Err(TrainError::BadWeight { row: 0 }) } else { Ok(()) }
}

/// Early stopping on the average precision of the validation rows.
struct Stopping<'a> {
    validation: &'a Validation<'a>,
    scores: Vec<f64>,
    n_trees: usize,
    best_trees: usize,
    best: f64,
}

impl<'a> Stopping<'a> {
    fn new(validation: &'a Validation<'a>, base_logit: f64) -> Self {
        let scores = vec![base_logit; validation.labels.len()];
        Self { validation, scores, n_trees: 0, best_trees: 0, best: f64::NEG_INFINITY }
    }

    /// Takes the next tree in; whether training should go on.
    fn goes_on(&mut self, tree: &crate::tree::Tree) -> bool {
        for (score, row) in self.scores.iter_mut().zip(self.validation.rows.rows()) {
            *score += f64::from(tree.value(row));
        }
        self.n_trees += 1;
        // Scores are finite and both labels occur, so there is an average precision.
        let precision = metrics::average_precision(&self.scores, self.validation.labels).unwrap_or(0.0);
        if precision > self.best {
            self.best = precision;
            self.best_trees = self.n_trees;
        }
        self.n_trees - self.best_trees < self.validation.patience as usize
    }
}

#[cfg(test)]
mod tests;
