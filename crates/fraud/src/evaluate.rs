//! Training and testing on recorded events, fold by fold, as [`protocol`] says.
//!
//! One pass of the feature engine over the recording makes the rows of all folds: [`Table::compute`]. What it computes
//! for an event is what live traffic would have computed: the engine is fed in the order of event time, and a label
//! enters it when it arrives and not before. Then [`run`] trains and judges one fold; folds know nothing of each
//! other and may run side by side.
//!
//! It tunes nothing and chooses no threshold. The same recording, pack and parameters give the same figures.

pub mod model;
pub mod protocol;

use std::sync::Arc;

use features::{Pack, Stepped};
use scoring::{
    gbdt::{self, Params, TrainError},
    matrix::{FeatureNames, Matrix, MatrixError},
    metrics::{self, MetricError},
    model::Model,
};

use self::protocol::{Fold, Judged, ProtocolError, Selection, card_precision, date};
use crate::{
    feed::{Feed, FeedError},
    recording::Recording,
};

/// False-positive rates at which recall is reported.
pub const FALSE_POSITIVE_RATES: [f64; 5] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01];

/// Why an evaluation cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The recording does not fit the pack.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The rows are no matrix.
    #[error("the features are no matrix: {0}")]
    Matrix(#[from] MatrixError),
    /// A figure cannot be computed.
    #[error("test from {}: {error}", date(*first_day))]
    Metric {
        /// First day of the test, since 1970.
        first_day: u32,
        /// Why.
        error: MetricError,
    },
    /// The recording has no labels.
    #[error("the mapping has no label: there is nothing to learn from")]
    NoLabels,
    /// The fold lies outside the recording.
    #[error("no labelled event from {} to {}: nothing to {purpose}", date(*first_day), date(*last_day))]
    NoRows {
        /// First day.
        first_day: u32,
        /// Last day.
        last_day: u32,
        /// Train or test.
        purpose: &'static str,
    },
    /// The protocol makes no sense.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Training failed.
    #[error("training: {0}")]
    Train(#[from] TrainError),
}

/// Rows of features for all folds.
#[derive(Debug, Clone)]
pub struct Table {
    matrix: Matrix,
    /// Row of each event in the matrix; `None` for events that no fold needs.
    row: Vec<Option<usize>>,
    ranks: Vec<u32>,
    duplicates: u64,
}

impl Table {
    /// Of rows that are there already, one for each event; `ranks`: the order of subjects among equal scores.
    pub(crate) fn of(matrix: Matrix, ranks: Vec<u32>) -> Self {
        let row = (0..matrix.n_rows()).map(Some).collect();
        Self { matrix, row, ranks, duplicates: 0 }
    }

    /// Streams the recording through the pack and keeps the rows that the folds need. Everything before them warms
    /// the state up; nothing after the last test day is looked at.
    ///
    /// # Errors
    /// [`EvaluateError`]; also when labels arrive later than the protocol waits for them.
    pub fn compute(recording: &Recording, pack: &Arc<Pack>, folds: &[Fold]) -> Result<Self, EvaluateError> {
        let delay = recording.label_delay().ok_or(EvaluateError::NoLabels)?;
        let label_days = delay.as_secs().div_ceil(86_400);
        for fold in folds {
            if label_days > u64::from(fold.delay_days) {
                let delay_days = fold.delay_days;
                return Err(ProtocolError::DelayTooShort { label_days, delay_days }.into());
            }
        }
        let names = FeatureNames::new(pack.columns().iter().map(|column| column.name.clone()))?;
        let width = names.len();
        let mut table = Self {
            matrix: Matrix::new(names),
            row: vec![None; recording.len()],
            ranks: recording.subject_ranks(),
            duplicates: 0,
        };
        let end = folds.iter().map(|fold| fold.test.end).max();
        let mut feed = Feed::new(Arc::clone(pack), recording.fields(), Some(delay))?;
        let mut values = vec![0.0; width];
        for (event, judged) in recording.judged().iter().enumerate() {
            if end.is_none_or(|end| judged.day >= end) {
                break;
            }
            let (time, id) = (recording.time(event), recording.id(event));
            let stepped = feed.step(time, id, recording.cells(event), judged.fraud, &mut values)?;
            if stepped != Stepped::Taken {
                // Events come in the order of their time, so none is late.
                table.duplicates += 1;
                continue;
            }
            let needed = judged.fraud.is_some()
                && folds
                    .iter()
                    .any(|fold| fold.train.contains(&judged.day) || fold.test.contains(&judged.day));
            if needed {
                table.row[event] = Some(table.matrix.n_rows());
                table.matrix.push_f64(&values)?;
            }
        }
        Ok(table)
    }

    /// Names of the features, in the order of a row.
    #[must_use]
    pub const fn names(&self) -> &FeatureNames {
        self.matrix.names()
    }

    /// Rows of some events, in their order; `None` if one of them has none.
    pub(crate) fn rows_of(&self, events: &[usize]) -> Option<Matrix> {
        let rows: Option<Vec<usize>> = events.iter().map(|event| *self.row.get(*event)?).collect();
        Some(self.matrix.select(&rows?))
    }

    /// Whether an event has a row.
    pub(crate) fn has_row(&self, event: usize) -> bool {
        self.row.get(event).is_some_and(Option::is_some)
    }

    /// Events whose id was seen before; they are neither trained on nor tested.
    #[must_use]
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }
}

/// The figures of one fold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Area under the ROC curve.
    pub auc_roc: f64,
    /// Average precision.
    pub average_precision: f64,
    /// Card precision at the protocol's capacity.
    pub card_precision: f64,
    /// Recall at each of [`FALSE_POSITIVE_RATES`].
    pub recall: [f64; FALSE_POSITIVE_RATES.len()],
}

impl Figures {
    fn map2(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            auc_roc: f(self.auc_roc, other.auc_roc),
            average_precision: f(self.average_precision, other.average_precision),
            card_precision: f(self.card_precision, other.card_precision),
            recall: std::array::from_fn(|rate| f(self.recall[rate], other.recall[rate])),
        }
    }

    /// Mean and population standard deviation over folds; `None` without folds.
    #[must_use]
    pub fn summary(folds: &[Self]) -> Option<(Self, Self)> {
        let n = folds.len() as f64;
        let mean = folds.iter().copied().reduce(|a, b| a.map2(b, |a, b| a + b))?.map2(folds[0], |a, _| a / n);
        let squares = folds.iter().map(|fold| fold.map2(mean, |a, mean| (a - mean) * (a - mean)));
        let variance = squares.reduce(|a, b| a.map2(b, |a, b| a + b))?;
        Some((mean, variance.map2(variance, |sum, _| (sum / n).sqrt())))
    }
}

/// What came of one fold.
#[derive(Debug, Clone)]
pub struct FoldResult {
    /// Its days.
    pub fold: Fold,
    /// Rows trained on.
    pub train_rows: usize,
    /// Frauds among them.
    pub train_frauds: usize,
    /// Rows tested.
    pub test_rows: usize,
    /// Frauds among them.
    pub test_frauds: usize,
    /// How well the tested rows were ranked.
    pub figures: Figures,
    /// Score of each tested row, in logits, with the event's place in the recording.
    pub scores: Vec<(usize, f64)>,
    /// The model that was trained.
    pub model: Model,
}

/// Events that are learned from or judged, and where they come from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What they are called.
    pub name: &'a str,
    /// SHA-256 of what was read.
    pub sha256: [u8; 32],
    /// Day, subject and label of each event.
    pub judged: &'a [Judged],
}

impl<'a> From<&'a Recording> for Source<'a> {
    fn from(recording: &'a Recording) -> Self {
        Self { name: recording.name(), sha256: recording.sha256(), judged: recording.judged() }
    }
}

/// Trains and judges one fold.
///
/// # Errors
/// [`EvaluateError`].
pub fn run<'a>(
    source: impl Into<Source<'a>>,
    table: &Table,
    fold: &Fold,
    params: &Params,
    capacity: usize,
) -> Result<FoldResult, EvaluateError> {
    let judged = source.into().judged;
    let mut selection = fold.select(judged);
    // A repeated event has no row.
    selection.train.retain(|event| table.row[*event].is_some());
    selection.test.retain(|event| table.row[*event].is_some());
    let Selection { train, test } = selection;
    for (events, days, purpose) in [(&train, &fold.train, "train on"), (&test, &fold.test, "test")] {
        if events.is_empty() {
            let (first_day, last_day) = (days.start.0, days.end.0 - 1);
            return Err(EvaluateError::NoRows { first_day, last_day, purpose });
        }
    }
    let part = |events: &[usize]| {
        let rows: Vec<usize> = events.iter().filter_map(|event| table.row[*event]).collect();
        let labels: Vec<bool> = events.iter().map(|event| judged[*event].fraud == Some(true)).collect();
        (table.matrix.select(&rows), labels)
    };
    let (rows, labels) = part(&train);
    let model = gbdt::train(&rows, &labels, None, None, params)?;
    let train_frauds = labels.iter().filter(|fraud| **fraud).count();
    let (rows, labels) = part(&test);
    let scores = model.logits(&rows);
    let metric = |error| EvaluateError::Metric { first_day: fold.test.start.0, error };
    let mut recall = [0.0; FALSE_POSITIVE_RATES.len()];
    for (recall, rate) in recall.iter_mut().zip(FALSE_POSITIVE_RATES) {
        *recall = metrics::recall_at_fpr(&scores, &labels, rate).map_err(metric)?;
    }
    let figures = Figures {
        auc_roc: metrics::auc_roc(&scores, &labels).map_err(metric)?,
        average_precision: metrics::average_precision(&scores, &labels).map_err(metric)?,
        card_precision: card_precision(fold, judged, &test, &scores, &table.ranks, capacity),
        recall,
    };
    Ok(FoldResult {
        fold: fold.clone(),
        train_rows: train.len(),
        train_frauds,
        test_rows: test.len(),
        test_frauds: labels.iter().filter(|fraud| **fraud).count(),
        figures,
        scores: test.into_iter().zip(scores).collect(),
        model,
    })
}

#[cfg(test)]
pub(crate) mod tests;
