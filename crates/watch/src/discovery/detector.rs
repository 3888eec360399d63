//! From a window to a suspicion.

use chain::label::Confidence;
use domain::Address;
use scoring::{
    model::file::{FileError, ModelFile},
    shap::Explainer,
    tree::{Node, Tree},
};

use super::{FEATURES, WINDOW_MAX, Window, features};

/// Reasons named with a suspicion.
const REASONS: usize = 5;
/// Fewest transactions of a window that are judged.
const TRANSACTIONS_MIN: usize = 1;

/// Why a model cannot judge windows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectorError {
    /// It is no model file, or a damaged one.
    #[error("not a model that can be used")]
    File(#[from] FileError),
    /// It was trained on other features.
    #[error("the model has other features than this program measures; train it anew")]
    OtherFeatures,
    /// Its card states no threshold.
    #[error("the card of the model has no finite {THRESHOLD}")]
    Threshold,
}

/// Name of the parameter of a model card that holds the logit above which an address is suspected.
pub const THRESHOLD: &str = "threshold_logit";

/// Name of the parameter of a model card that holds how many transactions the windows had which it was trained on.
pub const TRANSACTIONS: &str = "transactions_per_window";

/// Name of the parameter of a model card that says which tokens' transfers were in what it was trained on.
pub const TOKENS: &str = "tokens_sha256";

/// Features that depend on transfers of tokens.
const TOKEN_FEATURES: [&str; 5] = ["token_in", "token_out", "tokens", "tokens_in", "token_senders"];

/// Names a set of tokens: hexadecimal SHA-256 of their contracts' texts, sorted, each ended by a line feed.
#[must_use]
pub fn tokens_digest(tokens: &[Address]) -> String {
    let mut texts: Vec<String> = tokens.iter().map(chain::address::encode).collect();
    texts.sort_unstable();
    texts.dedup();
    let lines: String = texts.into_iter().map(|text| text + "\n").collect();
    crate::import::hex(&crypto::sha256(&[lines.as_bytes()]))
}

/// Judges windows.
#[derive(Debug)]
pub struct Detector {
    file: ModelFile,
    explainer: Explainer,
    threshold: f64,
    transactions: usize,
    sha256: [u8; 32],
}

/// An address is suspected.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// How sure the model is, 0 to 1: as often as windows with this score were illicit when it was trained, where illicit ones
    /// are far more frequent than among all accounts.
    pub probability: f64,
    /// What raised the score most, first the most.
    pub reasons: Vec<Reason>,
}

/// One thing that raised a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// Name of the feature.
    pub feature: &'static str,
    /// What it measures.
    pub meaning: &'static str,
    /// Its value in the window; NaN for unknown.
    pub value: f32,
    /// By how much it raised the logit.
    pub raised: f64,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.value.is_nan() {
            write!(f, "{}: none", self.meaning)
        } else {
            write!(f, "{}: {}", self.meaning, self.value)
        }
    }
}

impl Suspicion {
    /// How a label of this suspicion is qualified: a model's word, whatever its score.
    #[must_use]
    pub const fn confidence(&self) -> Confidence {
        Confidence::Heuristic
    }
}

impl Detector {
    /// Of a model file.
    ///
    /// # Errors
    /// [`DetectorError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DetectorError> {
        Ok(Self { sha256: crypto::sha256(&[bytes]), ..Self::new(ModelFile::decode(bytes)?)? })
    }

    /// Of a model with its card.
    ///
    /// # Errors
    /// [`DetectorError`].
    pub fn new(file: ModelFile) -> Result<Self, DetectorError> {
        if !file.model.features().iter().eq(FEATURES.iter().map(|(name, _)| *name)) {
            return Err(DetectorError::OtherFeatures);
        }
        let param = |wanted: &str| file.card.params.iter().find(|(name, _)| name == wanted);
        let transactions = param(TRANSACTIONS)
            .and_then(|(_, value)| value.parse::<usize>().ok())
            .map_or(WINDOW_MAX, |transactions| transactions.clamp(TRANSACTIONS_MIN, WINDOW_MAX));
        let threshold = param(THRESHOLD)
            .and_then(|(_, value)| value.parse::<f64>().ok())
            .filter(|threshold| threshold.is_finite())
            .ok_or(DetectorError::Threshold)?;
        let sha256 = crypto::sha256(&[&file.encode()?]);
        Ok(Self { explainer: Explainer::new(&file.model), threshold, transactions, sha256, file })
    }

    /// The model and its card.
    #[must_use]
    pub const fn file(&self) -> &ModelFile {
        &self.file
    }

    /// Whether its score depends on transfers of tokens.
    #[must_use]
    pub fn looks_at_tokens(&self) -> bool {
        let is_used = |at: usize| FEATURES.get(at).is_some_and(|(name, _)| TOKEN_FEATURES.contains(name));
        self.file.model.trees().iter().flat_map(Tree::nodes).any(|node| match node {
            Node::Split { feature, .. } => is_used(*feature as usize),
            Node::Leaf { .. } => false,
        })
    }

    /// The tokens it was trained on, as [`tokens_digest`] names them; `None` where its card does not say.
    #[must_use]
    pub fn tokens(&self) -> Option<&str> {
        let params = &self.file.card.params;
        params.iter().find(|(name, _)| name == TOKENS).map(|(_, value)| value.as_str())
    }

    /// SHA-256 of the file.
    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The logit above which an address is suspected.
    #[must_use]
    pub const fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The transactions of a window after which it is judged no more: as many as the model was trained on, 1 to
    /// [`WINDOW_MAX`]; what it would say of longer ones is unknown.
    #[must_use]
    pub const fn transactions(&self) -> usize {
        self.transactions
    }

    /// The model and its card, taken out.
    #[must_use]
    pub fn into_file(self) -> ModelFile {
        self.file
    }

    /// The logit of a window.
    #[must_use]
    pub fn logit(&self, window: &Window) -> f64 {
        self.file.model.logit(&features(window))
    }

    /// What a window makes of its address; `None` below the threshold, and for a window of more transactions than
    /// [`Self::transactions`].
    #[must_use]
    pub fn judge(&self, window: &Window) -> Option<Suspicion> {
        if !(TRANSACTIONS_MIN..=self.transactions).contains(&window.steps().len()) {
            return None;
        }
        let row = features(window);
        let logit = self.file.model.logit(&row);
        if logit <= self.threshold {
            return None;
        }
        Some(Suspicion { probability: self.file.probability(logit), reasons: self.reasons(&row) })
    }

    /// What raised the score of a row most.
    #[must_use]
    pub fn reasons(&self, row: &[f32]) -> Vec<Reason> {
        self.explainer
            .explain(row)
            .raising(REASONS)
            .into_iter()
            .filter_map(|(at, raised)| {
                let (feature, meaning) = *FEATURES.get(at)?;
                Some(Reason { feature, meaning, value: row.get(at).copied().unwrap_or(f32::NAN), raised })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::UnixNanos;
    use scoring::{
        gbdt::{self, Params},
        matrix::{FeatureNames, Matrix},
        model::card::{ModelCard, Training},
    };

    use super::*;
    use crate::discovery::{Direction, Peer, Step, feature_names};

    fn window(transactions: usize) -> Window {
        let mut window = Window::default();
        for at in 0..transactions {
            window.push(Step {
                at: UnixNanos::from_secs(at as u64),
                direction: Direction::In,
                other: 1,
                coins: 1.0,
                digits: 1,
                gas_used: 21_000,
                failed: false,
                input_bytes: 0,
                method: None,
                peer: Peer::default(),
            });
        }
        window
    }

    fn detector(params: &[(&str, &str)]) -> Result<Detector, DetectorError> {
        let mut rows = Matrix::new(FeatureNames::new(feature_names()).unwrap());
        rows.push(&features(&window(1))).unwrap();
        rows.push(&features(&window(2))).unwrap();
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let model = gbdt::train(&rows, &[true, false], None, None, &Params { trees: 1, ..Params::default() })
            .unwrap();
        let training = Training { rows: 2, positives: 1, period: None, data_hash: [0; 32] };
        let card = ModelCard {
            name: "discovery".to_owned(),
            version: "1".to_owned(),
            created_by: "test".to_owned(),
            created_at: UnixNanos(0),
            training,
            params,
            metrics: Vec::new(),
            limits: "none".to_owned(),
        };
        Detector::new(ModelFile { model, calibration: None, card })
    }

    #[test]
    fn a_window_is_judged_as_long_as_the_model_was_trained_on() {
        let short = detector(&[(THRESHOLD, "-9"), (TRANSACTIONS, "3")]).unwrap();
        assert!(short.judge(&window(3)).is_some());
        assert!(short.judge(&window(0)).is_none() && short.judge(&window(4)).is_none());
        for (told, expected) in [("0", 1), ("900", WINDOW_MAX), ("x", WINDOW_MAX)] {
            assert_eq!(
                detector(&[(THRESHOLD, "0"), (TRANSACTIONS, told)]).unwrap().transactions(),
                expected,
                "{told}"
            );
        }
        assert!(matches!(detector(&[(THRESHOLD, "inf")]), Err(DetectorError::Threshold)));
    }
}
