//! Training a model on the windows that may be trained on.

use crypto::Sha256;
use domain::UnixNanos;
use scoring::{
    gbdt::{self, Params, TrainError},
    matrix::{FeatureNames, Matrix},
    model::{
        Model,
        card::{ModelCard, Training},
        file::ModelFile,
    },
};

use super::{Collected, Sample, Split};
use crate::discovery::{FEATURES, THRESHOLD, feature_names};

/// Who has a model trained, and when.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Who or what.
    pub created_by: String,
    /// When.
    pub created_at: UnixNanos,
}

/// Where the model must not be trusted.
const LIMITS: &str = "Trained on windows of benign and illicit accounts from the same quarters, without the price of gas, the \
    date or the age of the account: a model that sees those tells epochs apart, not behaviour (in the best-known table of \
    illicit Ethereum accounts nearly every benign account is years older than the illicit ones). Benign windows begin in \
    the middle of an account's life, illicit ones at its beginning, so part of what is told apart is being new: expect more \
    false alarms on new benign accounts than the stated rate, and see the figure told apart. Scores drift with time: look at \
    the figures per quarter and train anew. A score is a suspicion, never proof.";

/// How the model is trained.
fn params() -> Params {
    Params { trees: 400, depth: 6, rate: 0.05, lambda: 2.0, column_share: 0.5, seed: 1, ..Params::default() }
}

/// Which rows of a window are trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// One row after each transaction, for a model that is asked after each. Those before the last weigh, together, half of
    /// the last one.
    Prefixes,
    /// The whole window only, as the protocol judges it.
    Whole,
}

/// What only tells windows that begin in the middle of a life from those that begin one. Where the model serves, every window
/// begins a life, and a model that leans on these is blind there.
const MIDDLE_OF_LIFE: [&str; 2] = ["balance_min", "begins_out"];

/// Takes out of a row what the serving model must not see.
fn hide(row: &mut [f32]) {
    for (value, (name, _)) in row.iter_mut().zip(FEATURES) {
        if MIDDLE_OF_LIFE.contains(name) {
            *value = f32::NAN;
        }
    }
}

/// Rows, labels and weights of windows.
fn rows<'s>(samples: impl Iterator<Item = &'s Sample>, wanted: Rows) -> (Matrix, Vec<bool>, Vec<f32>) {
    let names = FeatureNames::new(feature_names()).expect("the names of features are unique");
    let (mut matrix, mut labels, mut weights) = (Matrix::new(names), Vec::new(), Vec::new());
    for sample in samples {
        let earlier = sample.rows.len().saturating_sub(1);
        let from = if wanted == Rows::Whole { earlier } else { 0 };
        for (at, row) in sample.rows.iter().enumerate().skip(from) {
            let mut row = row.clone();
            if wanted == Rows::Prefixes {
                hide(&mut row);
            }
            // Features are never infinite; where a matrix is full, the windows taken so far are trained on.
            if matrix.push(&row).is_err() {
                return (matrix, labels, weights);
            }
            labels.push(sample.illicit);
            #[expect(clippy::cast_precision_loss, reason = "windows are short")]
            weights.push(if at == earlier { 1.0 } else { 0.5 / earlier as f32 });
        }
    }
    (matrix, labels, weights)
}

/// Trains on the windows of `collected` that `wanted` agrees to.
///
/// # Errors
/// [`TrainError`], also when there is nothing to train on.
pub(super) fn train(
    collected: &Collected,
    kind: Rows,
    wanted: impl Fn(&Sample) -> bool,
) -> Result<Model, TrainError> {
    let (matrix, labels, weights) = rows(collected.samples.iter().filter(|sample| wanted(sample)), kind);
    gbdt::train(&matrix, &labels, Some(&weights), None, &params())
}

/// Writes the threshold into a card.
pub(super) fn set_threshold(card: &mut ModelCard, threshold: f64) {
    for (name, value) in &mut card.params {
        if name == THRESHOLD {
            *value = threshold.to_string();
        }
    }
}

/// Trains on all training windows and writes the card; the threshold is the caller's to set.
///
/// # Errors
/// [`TrainError`].
pub fn learn(collected: &Collected, origin: &Origin) -> Result<ModelFile, TrainError> {
    let used = |sample: &&Sample| sample.split == Split::Train;
    let model = train(collected, Rows::Prefixes, |sample| used(&sample))?;
    let (matrix, labels, _) = rows(collected.samples.iter().filter(used), Rows::Prefixes);
    let mut digest = Sha256::new();
    for (row, label) in matrix.rows().zip(&labels) {
        row.iter().for_each(|value| digest.update(&value.to_be_bytes()));
        digest.update(&[u8::from(*label)]);
    }
    let times = collected.samples.iter().filter(used).filter(|sample| !sample.rows.is_empty());
    let began = times.clone().map(|sample| sample.began).min();
    let ended = times.map(|sample| sample.ended).max();
    let mut described = params().describe();
    described.push(("transactions_per_window".to_owned(), collected.k.to_string()));
    described.push((THRESHOLD.to_owned(), "0".to_owned()));
    let card = ModelCard {
        name: "discovery".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_by: origin.created_by.clone(),
        created_at: origin.created_at,
        training: Training {
            rows: labels.len() as u64,
            positives: labels.iter().filter(|label| **label).count() as u64,
            period: began.zip(ended),
            data_hash: digest.finish(),
        },
        params: described,
        metrics: Vec::new(),
        limits: LIMITS.to_owned(),
    };
    Ok(ModelFile { model, calibration: None, card })
}
