//! From a window to a suspicion.

use chain::label::Confidence;
use scoring::{
    model::file::{FileError, ModelFile},
    shap::Explainer,
};

use super::{FEATURES, Window, features};

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

/// Judges windows.
#[derive(Debug)]
pub struct Detector {
    file: ModelFile,
    explainer: Explainer,
    threshold: f64,
}

/// An address is suspected.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// How sure the model is, 0 to 1.
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
        Self::new(ModelFile::decode(bytes)?)
    }

    /// Of a model with its card.
    ///
    /// # Errors
    /// [`DetectorError`].
    pub fn new(file: ModelFile) -> Result<Self, DetectorError> {
        if !file.model.features().iter().eq(FEATURES.iter().map(|(name, _)| *name)) {
            return Err(DetectorError::OtherFeatures);
        }
        let threshold = file
            .card
            .params
            .iter()
            .find(|(name, _)| name == THRESHOLD)
            .and_then(|(_, value)| value.parse::<f64>().ok())
            .filter(|threshold| threshold.is_finite())
            .ok_or(DetectorError::Threshold)?;
        Ok(Self { explainer: Explainer::new(&file.model), threshold, file })
    }

    /// The model and its card.
    #[must_use]
    pub const fn file(&self) -> &ModelFile {
        &self.file
    }

    /// The logit above which an address is suspected.
    #[must_use]
    pub const fn threshold(&self) -> f64 {
        self.threshold
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

    /// What a window makes of its address; `None` below the threshold.
    #[must_use]
    pub fn judge(&self, window: &Window) -> Option<Suspicion> {
        if window.steps().len() < TRANSACTIONS_MIN {
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
