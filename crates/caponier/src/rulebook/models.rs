//! Models as people look at them: the registry, the file of each, drift, and a version of the bundle in force with one.

use api::RulebookError;
use console::rules::{Comparison, DriftLine, DriftView, ModelFile as Shown, ModelLine, ModelPage};
use domain::Actor;
use fraud::{
    lifecycle::{Compared, Digest, Known, Registry, drift::Measure},
    live::Bundle,
};
use scoring::model::file::{ModelFile, digest as model_digest};

use super::{Rulebook, words};
use crate::{bundles::Place, core::Core};

/// Points of a calibration that are shown.
const POINTS_MAX: usize = 40;
/// Scores between which a calibration is shown, as logits.
const LOGIT_END: f64 = 8.0;

fn decimal(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let size = millionths.unsigned_abs();
    format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
}

fn line(core: &Core, registry: &Registry, digest: &Digest, known: &Known) -> ModelLine {
    let registered = &known.registered;
    let is_champion = registry.champion(&registered.pack) == Some(digest);
    let lives = core.ground.lives();
    let judges: Vec<&str> = lives
        .iter()
        .filter(|(_, live)| live.bundle().model().is_some_and(|(_, sha256)| sha256 == *digest))
        .map(|(place, _)| match place {
            Place::Active => "in force",
            Place::Challenger => "in shadow",
        })
        .collect();
    ModelLine {
        digest: hex::encode(digest),
        name: format!("{} {}", registered.name, registered.version),
        pack: registered.pack_name.clone(),
        state: if is_champion { "champion" } else { "kept" },
        judges: judges.join(", "),
        learned: (registered.rows, registered.positives),
        backtest: registered
            .backtest
            .as_ref()
            .map_or_else(String::new, |test| decimal(test.average_precision)),
        at: known.at,
        by: registered.actor.to_string(),
    }
}

fn comparison(at: domain::UnixNanos, compared: &Compared) -> Comparison {
    let of = |name: &'static str, interval: &fraud::lifecycle::Interval| {
        (name, interval.observed, interval.low, interval.high)
    };
    let mut differences = vec![of("average precision", &compared.average_precision)];
    differences.extend(compared.value.as_ref().map(|value| of("value found", value)));
    Comparison {
        at,
        champion: hex::encode(compared.champion),
        challenger: hex::encode(compared.challenger),
        differences,
        rows: (compared.rows, compared.positives),
    }
}

impl Rulebook {
    fn named_model(&self, text: &str) -> Result<(Digest, Known), RulebookError> {
        let why = || RulebookError::NotFound { why: "no model has this digest".to_owned() };
        let digest: Digest = super::digest(text).ok_or_else(why)?;
        let known = self.core.ground.read(|fold| fold.models().model(&digest).cloned());
        known.map(|known| (digest, known)).ok_or_else(why)
    }

    /// The file of a model, if it is there and is the one that was registered.
    fn model_bytes(&self, digest: &Digest, known: &Known) -> Option<Vec<u8>> {
        let path = self.core.config.data.dir.join(crate::core::model_path(digest));
        let bytes = std::fs::read(path).ok()?;
        let is_the_one = crypto::sha256(&[&bytes]) == known.registered.file;
        (is_the_one && model_digest(&bytes) == Some(*digest)).then_some(bytes)
    }

    /// Models, drift beside the bundles at work, and shifts that were recorded.
    pub(crate) fn models(&self) -> ModelPage {
        let (mut models, mut shifts) = self.core.ground.read(|fold| {
            let registry = fold.models();
            let models: Vec<ModelLine> =
                registry.models().map(|(digest, known)| line(&self.core, registry, digest, known)).collect();
            let shifts: Vec<_> = registry
                .drifted()
                .map(|(at, drifted)| {
                    let words = match drifted.measure {
                        Measure::Adwin { before, after } => {
                            format!("mean from {} to {}", decimal(before), decimal(after))
                        }
                        Measure::Psi { psi, ks } => {
                            format!("stability index {}, KS {}", decimal(psi), decimal(ks))
                        }
                    };
                    (*at, drifted.subject.clone(), words)
                })
                .collect();
            (models, shifts)
        });
        models.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.digest.cmp(&b.digest)));
        shifts.reverse();
        let lives = self.core.ground.lives();
        let drift = lives.iter().map(|(place, live)| self.drift(place, live.bundle())).collect();
        ModelPage { models, drift, shifts }
    }

    fn drift(&self, place: Place, bundle: &Bundle) -> DriftView {
        let told = self.core.ground.lives().drifts().told_of(place, bundle);
        let lines = told["last_window"].as_array().into_iter().flatten().map(|line| DriftLine {
            subject: line["subject"].as_str().unwrap_or_default().to_owned(),
            psi: line["psi"].as_f64().unwrap_or(0.0),
            ks: line["ks"].as_f64(),
        });
        let mut lines: Vec<DriftLine> = lines.collect();
        lines.sort_by(|a, b| b.psi.total_cmp(&a.psi).then_with(|| a.subject.cmp(&b.subject)));
        DriftView {
            place: place.as_str(),
            judged: told["judged"].as_u64().unwrap_or(0),
            has_reference: told["has_reference"].as_bool().unwrap_or(false),
            lines,
        }
    }

    /// A model with all that is known of it.
    ///
    /// # Errors
    /// [`RulebookError::NotFound`] when there is none.
    pub(crate) fn model(&self, text: &str) -> Result<Shown, RulebookError> {
        let (digest, known) = self.named_model(text)?;
        let (line, comparisons) = self.core.ground.read(|fold| {
            let registry = fold.models();
            let about = registry.pack(&known.registered.pack).into_iter().flat_map(|pack| &pack.comparisons);
            let about = about
                .filter(|(_, compared)| compared.challenger == digest || compared.champion == digest)
                .map(|(at, compared)| comparison(*at, compared));
            (line(&self.core, registry, &digest, &known), about.collect())
        });
        let file = self.model_bytes(&digest, &known).and_then(|bytes| ModelFile::decode(&bytes).ok());
        let mut shown = Shown {
            line,
            is_readable: file.is_some(),
            card: Vec::new(),
            limits: String::new(),
            importance: Vec::new(),
            calibration: Vec::new(),
            comparisons,
            found: self.measured(text),
        };
        if let Some(file) = &file {
            shown.card = card(file);
            shown.limits.clone_from(&file.card.limits);
            shown.importance = importance(file);
            shown.calibration = calibration(file);
        }
        Ok(shown)
    }

    /// What the newest backtest of a version with this model found.
    fn measured(&self, model: &str) -> Option<(String, console::rules::FoundModel)> {
        let reports = self.versions.list().into_iter().filter_map(|(digest, _)| self.report(&digest));
        let with = reports.filter(|report| report.model.as_ref().is_some_and(|found| found.model == model));
        let newest = with.max_by(|a, b| a.at.cmp(&b.at))?;
        let found = words::backtested(&newest).model?;
        Some((newest.sha256, found))
    }

    /// Makes a version of the bundle in force with another model.
    ///
    /// # Errors
    /// [`RulebookError`] when there is no such model, its file is damaged, or it does not fit.
    pub(crate) fn try_model(&self, actor: &Actor, text: &str) -> Result<String, RulebookError> {
        let (digest, known) = self.named_model(text)?;
        let why = "the file of the model is missing or damaged".to_owned();
        let bytes = self.model_bytes(&digest, &known).ok_or(RulebookError::Conflict { why })?;
        let name = format!("{} {}", known.registered.name, known.registered.version);
        self.keep_with_model(actor, bytes, &name)
    }
}

fn card(file: &ModelFile) -> Vec<(String, String)> {
    let card = &file.card;
    let mut lines = vec![
        ("made by".to_owned(), card.created_by.clone()),
        ("made".to_owned(), card.created_at.to_string()),
        ("trees".to_owned(), file.model.trees().len().to_string()),
    ];
    if let Some((from, until)) = card.training.period {
        lines.push(("days learned from".to_owned(), format!("{from} to {until}")));
    }
    lines.extend(card.metrics.iter().map(|(name, value)| (name.replace('_', " "), format!("{value:.4}"))));
    lines.extend(card.params.iter().map(|(name, value)| (name.replace('_', " "), value.clone())));
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

fn importance(file: &ModelFile) -> Vec<(String, f64)> {
    let gains = file.model.gain_importance();
    let sum: f64 = gains.iter().sum();
    let names = file.model.features().iter().map(str::to_owned);
    let mut shares: Vec<(String, f64)> =
        names.zip(gains).map(|(name, gain)| (name, if sum > 0.0 { gain / sum } else { 0.0 })).collect();
    shares.retain(|(_, share)| *share > 0.0);
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    shares
}

/// The probability a score stands for before calibration, and after.
fn calibration(file: &ModelFile) -> Vec<(f64, f64)> {
    if file.calibration.is_none() {
        return Vec::new();
    }
    let step = 2.0 * LOGIT_END / (POINTS_MAX - 1) as f64;
    let logits = (0..POINTS_MAX).map(|n| step.mul_add(n as f64, -LOGIT_END));
    logits.map(|logit| (scoring::model::sigmoid(logit), file.probability(logit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_decimals() {
        assert_eq!([0, -7, 1_500_000].map(decimal), ["0.000000", "-0.000007", "1.500000"]);
    }
}
