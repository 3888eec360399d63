//! From a judged fold to a model file that can serve.
//!
//! The file holds the trees, a calibration and a card. The calibration is fitted on the tested rows, which the trees
//! never saw; the figures on the card are those of the same rows. The card names the feature pack by its hash, so that
//! the model is never fed by another one.

use domain::UnixNanos;
use features::Pack;
use scoring::{
    calibration::{Calibration, Platt},
    gbdt::Params,
    model::{
        card::{ModelCard, Training},
        file::ModelFile,
    },
};

use super::{FALSE_POSITIVE_RATES, FoldResult, Source, protocol::date};

/// Name of the card's line that holds the hash of the feature pack.
pub const PACK_HASH: &str = "pack_hash";

const LIMITS: &str = "Trained and tested on one recording; the figures hold for events like those of its test days. \
    The calibration was fitted on the tested rows. Subjects known to be compromised were left out of the test. \
    It was not tested against people who know the model.";

/// The model of a fold with all that belongs to it. `created_by` and `created_at` are for the card.
#[must_use]
pub fn model_file<'a>(
    result: &FoldResult,
    source: impl Into<Source<'a>>,
    pack: &Pack,
    params: &Params,
    created_by: &str,
    created_at: UnixNanos,
) -> ModelFile {
    let source = source.into();
    let scores: Vec<f64> = result.scores.iter().map(|(_, score)| *score).collect();
    let fraud = |event: &usize| source.judged[*event].fraud == Some(true);
    let labels: Vec<bool> = result.scores.iter().map(|(event, _)| fraud(event)).collect();
    // Without a fit that keeps the order of scores there is none: probabilities are then the plain sigmoid's.
    let calibration = Platt::fit(&scores, &labels).ok().map(Calibration::Platt);
    let figures = &result.figures;
    let mut metrics = vec![
        ("auc_roc".to_owned(), figures.auc_roc),
        ("average_precision".to_owned(), figures.average_precision),
        ("card_precision".to_owned(), figures.card_precision),
    ];
    for (rate, recall) in FALSE_POSITIVE_RATES.iter().zip(figures.recall) {
        metrics.push((format!("recall_at_fpr_{rate}"), recall));
    }
    let last = result.fold.train.end.0.saturating_sub(1);
    let mut lines = params.describe();
    lines.push(("pack".to_owned(), format!("{} version {}", pack.name(), pack.version())));
    lines.push((PACK_HASH.to_owned(), hex(&pack.hash())));
    ModelFile {
        model: result.model.clone(),
        calibration,
        card: ModelCard {
            name: pack.name().to_owned(),
            version: format!("{} to {}", source.name, date(last)),
            created_by: created_by.to_owned(),
            created_at,
            training: Training {
                rows: result.train_rows as u64,
                positives: result.train_frauds as u64,
                period: Some((result.fold.train.start.start(), result.fold.train.end.start())),
                data_hash: source.sha256,
            },
            params: lines,
            metrics,
            limits: LIMITS.to_owned(),
        },
    }
}

/// A digest in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
