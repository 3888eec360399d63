//! Figures about a model, on windows it was not trained on.

use std::collections::{BTreeMap, BTreeSet};

use scoring::{
    calibration::{Calibration, Platt},
    gbdt::TrainError,
    metrics::{MetricError, auc_roc, average_precision, recall_at_fpr, steps},
    model::{
        Model,
        file::{FileError, ModelFile, digest},
    },
};
use serde_json::{Value, json};

use super::{
    Collected, Origin, Sample, Split,
    learn::{self, Aim},
};
use crate::discovery::{Detector, DetectorError};

/// Rates of false alarms figures are told at.
const RATES: [f64; 5] = [0.001, 0.005, 0.01, 0.02, 0.05];
/// The rate the threshold of a model is set for.
const THRESHOLD_RATE: f64 = 0.01;
/// Above this, coins of one account do not count in the capped figure: a few accounts hold nearly all value.
const CAP: f64 = 100.0;
/// Flagged accounts whose reasons are told.
const EXPLAINED: usize = 10;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// The model cannot be used.
    #[error("the model")]
    Detector(#[from] DetectorError),
    /// A window kind is missing, so nothing can be told.
    #[error("judged windows")]
    Metric(#[from] MetricError),
    /// Nothing could be trained.
    #[error("the windows of split train cannot be trained on")]
    Train(#[from] TrainError),
}

/// Figures, and the model they are about.
#[derive(Debug)]
pub struct Judged {
    /// The model that serves, its threshold and its figures in its card.
    pub detector: Detector,
    figures: Value,
}

impl Judged {
    /// As one JSON object.
    #[must_use]
    pub const fn to_json(&self) -> &Value {
        &self.figures
    }

    /// The bytes of the model file, and its card as one JSON object.
    ///
    /// # Errors
    /// [`FileError`] when the model is out of bounds.
    pub fn model(&self) -> Result<(Vec<u8>, Value), FileError> {
        let file = self.detector.file();
        let bytes = file.encode()?;
        let sha256 = digest(&bytes).unwrap_or_default();
        let card = serde_json::from_str(&file.json(&sha256)).unwrap_or(Value::Null);
        Ok((bytes, card))
    }
}

/// Trains on the training windows and judges on the others; with `given`, judges that model instead. With `rolling`, also
/// tells every quarter by a model trained on the quarters before it.
///
/// # Errors
/// [`JudgeError`].
pub fn judge(
    collected: &Collected,
    given: Option<ModelFile>,
    origin: &Origin,
    rolling: bool,
) -> Result<Judged, JudgeError> {
    let validate: Vec<&Sample> = of(collected, Split::Validate);
    let mut figures = json!({
        "transactions_per_window": collected.k,
        "windows": {
            "train": of(collected, Split::Train).len(),
            "validate": validate.len(),
            "validate_illicit": validate.iter().filter(|sample| sample.illicit).count(),
            "new_benign": of(collected, Split::New).len(),
        },
    });
    let mut put = |name: &str, value: Value| {
        if let Value::Object(figures) = &mut figures {
            figures.insert(name.to_owned(), value);
        }
    };
    let trained_here = given.is_none();
    let file = match given {
        Some(file) => file,
        None => {
            let before = learn::first_of(collected, |sample| sample.split == Split::Validate);
            let protocol =
                learn::train(collected, Aim::Whole, before, |sample| sample.split == Split::Train)?;
            put("ranking", ranking(&protocol, &validate)?);
            put("ranking_by_quarter", by_quarter(&protocol, &validate));
            if rolling {
                put("ranking_rolling_origin", rolling_origin(collected));
                put("value_saved_rolling_origin", value_rolling_origin(collected));
            }
            let mut file = learn::learn(collected, origin)?;
            let (threshold, calibration) = threshold(collected, &file.model);
            learn::set_threshold(&mut file.card, threshold);
            file.calibration = calibration;
            file
        }
    };
    let serving = ranking(&file.model, &validate)?;
    put("ranking_serving", serving.clone());
    put("ranking_serving_by_quarter", by_quarter(&file.model, &validate));
    let curves = Curves::of(collected, &file.model, |sample| sample.split == Split::Validate);
    let thresholds: Vec<Value> = RATES.iter().map(|rate| curves.at(*rate)).collect();
    put("value", curves.bounds());
    put("value_saved", Value::Array(thresholds));
    let mut detector = Detector::new(file)?;
    let realised = curves.with(detector.threshold());
    put("at_threshold", realised);
    put("flagged", explained(&detector, collected, &validate));
    if trained_here {
        let mut file = detector.into_file();
        file.card.metrics = card_metrics(&serving);
        detector = Detector::new(file)?;
    }
    Ok(Judged { detector, figures })
}

fn of(collected: &Collected, split: Split) -> Vec<&Sample> {
    collected.samples.iter().filter(|sample| sample.split == split && !sample.rows.is_empty()).collect()
}

/// Figures of whole windows.
fn ranking(model: &Model, samples: &[&Sample]) -> Result<Value, MetricError> {
    let scores: Vec<f64> =
        samples.iter().filter_map(|sample| sample.last()).map(|row| model.logit(row)).collect();
    let labels: Vec<bool> = samples.iter().map(|sample| sample.illicit).collect();
    let positives = count(labels.iter().filter(|label| **label).count());
    let best_f1 = steps(&scores, &labels)?
        .iter()
        .map(|step| {
            #[expect(clippy::cast_precision_loss, reason = "counts of windows are small")]
            let (hits, alarms) = (step.true_positives as f64, step.false_positives as f64);
            2.0 * hits / (positives + hits + alarms)
        })
        .fold(0.0, f64::max);
    Ok(json!({
        "windows": labels.len(),
        "illicit": labels.iter().filter(|label| **label).count(),
        "best_f1": best_f1,
        "auc": auc_roc(&scores, &labels)?,
        "average_precision": average_precision(&scores, &labels)?,
        "recall_at_fpr_0.001": recall_at_fpr(&scores, &labels, 0.001)?,
        "recall_at_fpr_0.01": recall_at_fpr(&scores, &labels, 0.01)?,
        "recall_at_fpr_0.05": recall_at_fpr(&scores, &labels, 0.05)?,
    }))
}

fn card_metrics(ranking: &Value) -> Vec<(String, f64)> {
    let Value::Object(figures) = ranking else { return Vec::new() };
    figures.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

fn by_quarter(model: &Model, samples: &[&Sample]) -> Value {
    let quarters: BTreeSet<u64> = samples.iter().map(|sample| sample.quarter).collect();
    let told = quarters.into_iter().filter_map(|quarter| {
        let of: Vec<&Sample> = samples.iter().copied().filter(|sample| sample.quarter == quarter).collect();
        // A quarter with windows of one kind only has no ranking.
        Some((quarter.to_string(), ranking(model, &of).ok()?))
    });
    Value::Object(told.collect())
}

/// Whether the table of windows names it.
fn in_table(sample: &&Sample) -> bool {
    matches!(sample.split, Split::Train | Split::Validate)
}

/// Each quarter by a model trained on the whole windows of all quarters before it, whatever the table's split.
fn rolling_origin(collected: &Collected) -> Value {
    let samples: Vec<&Sample> = collected.samples.iter().filter(in_table).collect();
    let quarters: BTreeSet<u64> = samples.iter().map(|sample| sample.quarter).collect();
    let told = quarters.into_iter().filter_map(|quarter| {
        let before = learn::first_of(collected, |sample| in_table(&sample) && sample.quarter == quarter);
        let earlier = |sample: &Sample| in_table(&sample) && sample.quarter < quarter;
        let model = learn::train(collected, Aim::Whole, before, earlier).ok()?;
        let of: Vec<&Sample> = samples
            .iter()
            .copied()
            .filter(|sample| sample.quarter == quarter && !sample.rows.is_empty())
            .collect();
        Some((quarter.to_string(), ranking(&model, &of).ok()?))
    });
    Value::Object(told.collect())
}

/// Value saved in each quarter by a model that serves, trained on the quarters before it, whatever the table's split.
fn value_rolling_origin(collected: &Collected) -> Value {
    let samples = collected.samples.iter().filter(in_table);
    let quarters: BTreeSet<u64> = samples.map(|sample| sample.quarter).collect();
    let told = quarters.into_iter().filter_map(|quarter| {
        let of = |sample: &Sample| in_table(&sample) && sample.quarter == quarter;
        let before = learn::first_of(collected, of);
        let earlier = |sample: &Sample| in_table(&sample) && sample.quarter < quarter;
        let model = learn::train(collected, Aim::Serve, before, earlier).ok()?;
        let curves = Curves::of(collected, &model, of);
        let mut value = curves.bounds();
        if let Value::Object(value) = &mut value {
            let saved: Vec<Value> = RATES.iter().map(|rate| curves.at(*rate)).collect();
            value.insert("value_saved".to_owned(), Value::Array(saved));
        }
        Some((quarter.to_string(), value))
    });
    Value::Object(told.collect())
}

/// The logit that [`THRESHOLD_RATE`] of the benign windows of the last training quarter exceed at some time, by a model trained
/// on the quarters before, and what its logits there mean as probabilities; both of the training windows themselves where
/// there is only one such quarter.
fn threshold(collected: &Collected, serving: &Model) -> (f64, Option<Calibration>) {
    let train = of(collected, Split::Train);
    let last = train.iter().map(|sample| sample.quarter).max().unwrap_or(0);
    let of_last = |sample: &Sample| sample.split == Split::Train && sample.quarter == last;
    let before = learn::first_of(collected, of_last);
    let earlier = learn::train(collected, Aim::Serve, before, |sample| {
        sample.split == Split::Train && sample.quarter < last
    });
    let (model, judged): (&Model, Vec<&Sample>) = match &earlier {
        Ok(model) => (model, train.iter().copied().filter(|sample| sample.quarter == last).collect()),
        Err(_) => (serving, train),
    };
    let (mut benign, mut scores, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for sample in judged {
        let logits = logits(model, sample);
        if !sample.illicit {
            benign.push(highest(&logits));
        }
        labels.resize(labels.len() + logits.len(), sample.illicit);
        scores.extend(logits);
    }
    // The order of logits counts what is at stake, so their plain logistic function is no probability.
    let calibration = Platt::fit(&scores, &labels).ok().map(Calibration::Platt);
    (exceeded_by(benign, THRESHOLD_RATE), calibration)
}

fn logits(model: &Model, sample: &Sample) -> Vec<f64> {
    sample.rows.iter().map(|row| model.logit(row)).collect()
}

fn highest(logits: &[f64]) -> f64 {
    logits.iter().copied().fold(f64::MIN, f64::max)
}

/// The value that at most a share of `rate` of the scores exceed.
fn exceeded_by(mut scores: Vec<f64>, rate: f64) -> f64 {
    scores.sort_by(|a, b| b.total_cmp(a));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
    let allowed = (count(scores.len()) * rate).floor() as usize;
    scores.get(allowed).copied().unwrap_or(0.0)
}

/// Scores along the judged windows.
struct Curves<'c> {
    collected: &'c Collected,
    /// Place of the sample, and its logit after each transaction.
    illicit: Vec<(usize, Vec<f64>)>,
    /// Highest logit of each benign window.
    benign: Vec<f64>,
    /// Likewise of accounts that are benign and new.
    new_benign: Vec<f64>,
}

impl<'c> Curves<'c> {
    fn of(collected: &'c Collected, model: &Model, wanted: impl Fn(&Sample) -> bool) -> Self {
        let mut curves = Self { collected, illicit: Vec::new(), benign: Vec::new(), new_benign: Vec::new() };
        let judged = collected.samples.iter().enumerate().filter(|(_, sample)| !sample.rows.is_empty());
        for (at, sample) in judged {
            let is_wanted = wanted(sample);
            match (sample.split, sample.illicit) {
                (Split::New, _) => curves.new_benign.push(highest(&logits(model, sample))),
                (_, true) if is_wanted => curves.illicit.push((at, logits(model, sample))),
                (_, false) if is_wanted => curves.benign.push(highest(&logits(model, sample))),
                _ => {}
            }
        }
        curves
    }

    /// At the lowest threshold that at most `rate` of the benign windows ever exceed.
    fn at(&self, rate: f64) -> Value {
        let mut value = self.with(exceeded_by(self.benign.clone(), rate));
        if let Value::Object(value) = &mut value {
            value.insert("benign_rate_allowed".to_owned(), json!(rate));
        }
        value
    }

    fn with(&self, threshold: f64) -> Value {
        let mut flagged = 0;
        let (mut saved, mut total, mut saved_capped, mut total_capped) = (0.0, 0.0, 0.0, 0.0);
        let mut after: BTreeMap<usize, u64> = BTreeMap::new();
        for (at, logits) in &self.illicit {
            let (Some(sample), Some(inflow)) =
                (self.collected.samples.get(*at), self.collected.inflow_total.get(*at))
            else {
                continue;
            };
            total += inflow;
            total_capped += inflow.min(CAP);
            let Some(first) = logits.iter().position(|logit| *logit > threshold) else { continue };
            flagged += 1;
            *after.entry(first + 1).or_default() += 1;
            let rest = (inflow - sample.inflow.get(first).copied().unwrap_or(*inflow)).max(0.0);
            saved += rest;
            if *inflow > 0.0 {
                saved_capped += rest / inflow * inflow.min(CAP);
            }
        }
        let above =
            |scores: &[f64]| share(scores.iter().filter(|score| **score > threshold).count(), scores.len());
        json!({
            "threshold_logit": threshold,
            "illicit_flagged": flagged,
            "illicit_flagged_share": share(flagged, self.illicit.len()),
            "benign_rate": above(&self.benign),
            "new_benign_rate": above(&self.new_benign),
            "value_saved": ratio(saved, total),
            "value_saved_capped_100_coins": ratio(saved_capped, total_capped),
            "flagged_after_transactions": after.into_iter().map(|(n, count)| (n.to_string(), json!(count))).collect::<serde_json::Map<_, _>>(),
        })
    }

    /// What there is to save: the sum, and the shares that arrive after the first inbound transactions.
    fn bounds(&self) -> Value {
        let inflow = |at: &usize| self.collected.inflow_total.get(*at).copied().unwrap_or(0.0);
        let total: f64 = self.illicit.iter().map(|(at, _)| inflow(at)).sum();
        let mut largest: Vec<f64> = self.illicit.iter().map(|(at, _)| inflow(at)).collect();
        largest.sort_by(|a, b| b.total_cmp(a));
        let after = |n: usize| -> f64 {
            let left = self.illicit.iter().map(|(at, _)| {
                let first = self.collected.inflow_first.get(*at).and_then(|sums| sums.get(n - 1));
                first.map_or(0.0, |first| inflow(at) - first)
            });
            ratio(left.sum(), total)
        };
        json!({
            "inflow_coins": total,
            "share_of_largest_five_accounts": ratio(largest.iter().take(5).sum(), total),
            "share_after_first_inbound": after(1),
            "share_after_third_inbound": after(3),
            "share_after_fifth_inbound": after(5),
        })
    }
}

/// The flagged windows with the highest scores, and why.
fn explained(detector: &Detector, collected: &Collected, samples: &[&Sample]) -> Value {
    let mut flagged: Vec<(f64, &Sample, &[f32])> = samples
        .iter()
        .filter_map(|sample| {
            let row = sample.last()?;
            let logit = detector.file().model.logit(row);
            (logit > detector.threshold()).then_some((logit, *sample, row))
        })
        .collect();
    flagged.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.account.cmp(&b.1.account)));
    let told = flagged.into_iter().take(EXPLAINED).map(|(logit, sample, row)| {
        let reasons: Vec<Value> = detector
            .reasons(row)
            .into_iter()
            .map(|reason| {
                json!({
                    "feature": reason.feature, "meaning": reason.meaning,
                    "value": (!reason.value.is_nan()).then_some(reason.value), "raised": reason.raised,
                })
            })
            .collect();
        json!({
            "account": collected.parties.text(sample.account),
            "illicit": sample.illicit,
            "logit": logit,
            "reasons": reasons,
        })
    });
    Value::Array(told.collect())
}

fn share(part: usize, of: usize) -> f64 {
    ratio(count(part), count(of))
}

fn ratio(part: f64, of: f64) -> f64 {
    if of > 0.0 { part / of } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of windows are small")]
const fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{
        super::collect::tests::{address, collected},
        *,
    };

    #[test]
    fn value_saved_by_its_definition() {
        // 10 + 30 + 60 coins to one account, 300 at once to the other.
        let payments = [(1, 9, 1, 10), (2, 9, 1, 30), (3, 8, 2, 300), (4, 9, 1, 60), (5, 7, 3, 1)];
        let windows =
            [1, 2, 3].map(|n| format!("{},0,0,{},validate\n", address(n), u32::from(n < 3))).concat();
        let collected = collected(&payments, &windows, None, 2);
        let curves = Curves {
            collected: &collected,
            illicit: vec![(0, vec![1.0, 3.0]), (1, vec![3.0])],
            benign: vec![2.0, 1.0],
            new_benign: vec![],
        };
        let at = |threshold: f64| {
            let value = curves.with(threshold);
            let number = |name: &str| value[name].as_f64().unwrap();
            (number("value_saved"), number("value_saved_capped_100_coins"), number("benign_rate"))
        };
        // Flagged by its second transaction, 60 of 400 are still to come; of the other nothing is.
        assert_eq!(at(2.5), (0.15, 0.3, 0.0));
        // By its first, 90 are; a threshold that is only reached does not flag.
        assert_eq!(at(0.5), (0.225, 0.45, 1.0));
        assert_eq!(at(3.0), (0.0, 0.0, 0.0));
    }

    #[test]
    fn the_rate_of_false_alarms_is_never_exceeded() {
        let scores: Vec<f64> = (0..1_000).map(f64::from).collect();
        for (rate, allowed) in [(0.0, 0), (0.001, 1), (0.0015, 1), (0.01, 10)] {
            let threshold = exceeded_by(scores.clone(), rate);
            let above = scores.iter().filter(|score| **score > threshold).count();
            assert_eq!(above, allowed, "{rate}");
        }
        assert_eq!(exceeded_by(vec![1.0; 50], 0.1), 1.0, "ties stay below");
    }
}
