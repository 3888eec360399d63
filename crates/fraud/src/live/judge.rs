//! From the features of a record to findings: score, reasons, rules, and what would have been different.
//!
//! The model asks for a challenge from one threshold on and for a hold from another. A hold needs more than weak
//! evidence: what the weak features added to the score (their positive Shapley values) is taken away first, and if the
//! rest is below the threshold, the model asks for a challenge at most. So a shared device or a VPN alone, however much
//! the model makes of it, never stops anybody.

use domain::{Evidence, Finding, FindingSource, Ppm, ReasonCode, Verdict};
use rules::{Hits, Mode, Slots};
use scoring::{
    anomaly::HalfSpaceTrees,
    counterfactual::{Counterfactual, counterfactual},
    matrix::quantise,
    shap::Explanation,
};

use super::{bundle::Bundle, record::Record};
use crate::evaluate::model::hex;

/// Features named as reasons for a score, at most.
pub const REASONS_MAX: usize = 5;
/// Rules told of one record, at most; the strictest.
pub const RULES_TOLD_MAX: usize = 16;

/// Reason codes of findings that are of no rule.
pub(crate) mod code {
    use domain::ReasonCode;

    pub(crate) const ANOMALY: ReasonCode = ReasonCode::new("fraud.unusual");
    pub(crate) const MODEL: ReasonCode = ReasonCode::new("fraud.model_score");
    pub(crate) const POINTS: ReasonCode = ReasonCode::new("fraud.rule_points");
}

/// Room for judging, reused from record to record.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) row: Vec<f64>,
    quantised: Vec<f32>,
    anomaly_row: Vec<f32>,
    slots: Option<Slots>,
    hits: Hits,
}

impl Bench {
    pub(crate) fn new(bundle: &Bundle) -> Self {
        let columns = bundle.pack.columns().len();
        Self {
            row: vec![0.0; columns],
            quantised: vec![0.0; columns],
            anomaly_row: Vec::with_capacity(bundle.anomaly_features.len()),
            slots: bundle.rules.as_ref().map(rules::RuleSet::slots),
            hits: Hits::default(),
        }
    }

    /// The rules that fired on the last record that was scored; `None` without rules.
    pub(crate) fn hits(&self) -> Option<&Hits> {
        self.slots.is_some().then_some(&self.hits)
    }
}

/// The numbers of a judged record.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores {
    /// Probability of fraud by the model, before it is rounded to millionths.
    pub model: Option<f64>,
    /// How unusual it is, from 0 to 1; `None` until enough was seen.
    pub anomaly: Option<f64>,
}

impl Bundle {
    /// Scores the row on the bench and finds the rules that fire; nothing is explained yet.
    pub(crate) fn score(
        &self,
        bench: &mut Bench,
        record: &Record<'_>,
        anomaly: Option<&HalfSpaceTrees>,
    ) -> Scores {
        for (quantised, value) in bench.quantised.iter_mut().zip(&bench.row) {
            *quantised = quantise(*value);
        }
        let model = self.scorer.as_ref().map(|scorer| {
            let file = &scorer.file;
            file.probability(file.model.logit(&bench.quantised))
        });
        bench.anomaly_row.clear();
        bench.anomaly_row.extend(self.anomaly_features.iter().map(|feature| bench.quantised[*feature]));
        // The trees were built over these very features.
        let anomaly = anomaly.and_then(|trees| trees.score(&bench.anomaly_row).ok().flatten());
        if let (Some(set), Some(slots)) = (&self.rules, &mut bench.slots) {
            self.rule_binding.fill(slots, record, &bench.row, model, anomaly);
            if set.evaluate(slots, record.at, &mut bench.hits).is_err() {
                unreachable!("the slots were made by this very set");
            }
        }
        Scores { model, anomaly }
    }

    /// Lets the anomaly trees learn from the row on the bench.
    pub(crate) fn learn(bench: &Bench, anomaly: &mut HalfSpaceTrees) {
        // The trees were built over these very features.
        let _learned = anomaly.learn(&bench.anomaly_row);
    }

    /// Whether anything fired that an alert is raised on.
    pub(crate) fn is_alarming(&self, bench: &Bench, scores: Scores) -> bool {
        let thresholds = &self.manifest.thresholds;
        scores.model.is_some_and(|score| score >= thresholds.alert_from)
            || self.unusual_from().is_some_and(|from| scores.anomaly.is_some_and(|score| score >= from))
            || self
                .fired(bench)
                .any(|(rule, _)| rule.action().verdict().is_some_and(|asked| asked > Verdict::Allow))
            || self.points(bench, false) >= thresholds.points_challenge_from
    }

    fn unusual_from(&self) -> Option<f64> {
        self.manifest.anomaly.as_ref().map(|anomaly| anomaly.from)
    }

    fn fired<'a>(&'a self, bench: &'a Bench) -> impl Iterator<Item = (&'a rules::Rule, rules::Hit)> + 'a {
        let rules = self.rules.as_ref().map_or(&[][..], |set| set.rules());
        bench.hits.into_iter().filter_map(|hit| Some((rules.get(hit.rule_idx)?, *hit)))
    }

    /// Places in the set of the rules that fired.
    pub(crate) fn fired_places<'a>(&self, bench: &'a Bench) -> impl Iterator<Item = usize> + use<'a> {
        bench.hits.into_iter().map(|hit| hit.rule_idx)
    }

    /// Points of the scoring rules that fired; those in force only, or all.
    fn points(&self, bench: &Bench, in_force_only: bool) -> f64 {
        let Some(set) = &self.rules else { return 0.0 };
        let in_force = set.score(&bench.hits, Mode::Enforce);
        if in_force_only { in_force } else { in_force + set.score(&bench.hits, Mode::Shadow) }
    }

    /// What is found in the row on the bench, in words. `is_in_shadow`: nothing of it has an effect. `asked` tells what
    /// the model asks for: by its thresholds for decisions, or a challenge from the alert threshold on.
    pub(crate) fn findings(
        &self,
        bench: &Bench,
        scores: Scores,
        is_in_shadow: bool,
        is_alert: bool,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(score) = scores.model {
            findings.extend(self.of_model(bench, score, is_in_shadow, is_alert));
        }
        findings.extend(self.of_rules(bench, is_in_shadow));
        findings.extend(self.of_points(bench, is_in_shadow));
        findings.extend(self.of_anomaly(scores));
        findings
    }

    fn of_model(&self, bench: &Bench, score: f64, is_in_shadow: bool, is_alert: bool) -> Option<Finding> {
        let scorer = self.scorer.as_ref()?;
        let thresholds = &self.manifest.thresholds;
        let percent = format!("{:.1} %", score * 100.0);
        let mut evidence = vec![
            Evidence::new(
                "model_score",
                Ppm::of(score).map_or_else(String::new, |ppm| ppm.get().to_string()),
            ),
            Evidence::new("model_sha256", hex(&scorer.sha256)),
        ];
        let least = if is_alert { thresholds.alert_from } else { thresholds.challenge_from };
        if score < least {
            return (!is_alert).then(|| Finding {
                source: FindingSource::Fraud,
                code: code::MODEL,
                verdict: Verdict::Allow,
                shadow: is_in_shadow,
                message: format!("the model gives {percent} probability of fraud"),
                evidence,
                would_pass_if: None,
            });
        }
        let explanation = scorer.explainer.explain(&bench.quantised);
        let strong = self.without_weak(&explanation);
        let mut verdict = Verdict::Challenge;
        let mut message = format!("the model gives {percent} probability of fraud");
        if score >= thresholds.hold_from {
            if scorer.file.probability(strong) >= thresholds.hold_from {
                verdict = Verdict::Hold;
            } else {
                message.push_str("; without weak evidence it would be below the threshold of a hold");
            }
        }
        for (place, (feature, added)) in explanation.raising(REASONS_MAX).into_iter().enumerate() {
            let column = &self.pack.columns()[feature];
            let words = reason(column, bench.row[feature]);
            message.push_str(if place == 0 { ", because " } else { ", " });
            message.push_str(&words);
            evidence.push(Evidence {
                name: column.name.clone().into(),
                value: format!("{} ({added:+.4} logit)", shown(bench.row[feature])),
            });
        }
        Some(Finding {
            source: FindingSource::Fraud,
            code: code::MODEL,
            verdict,
            shadow: is_in_shadow,
            message,
            evidence,
            would_pass_if: self.otherwise(scorer.challenge_logit, bench),
        })
    }

    /// The logit without what weak features added to it.
    fn without_weak(&self, explanation: &Explanation) -> f64 {
        let weak = explanation.values.iter().zip(&self.is_weak);
        let added: f64 =
            weak.filter(|(value, is_weak)| **is_weak && **value > 0.0).map(|(value, _)| *value).sum();
        explanation.logit() - added
    }

    /// The nearest change that keeps the score below a challenge, in words.
    fn otherwise(&self, threshold: f64, bench: &Bench) -> Option<String> {
        let scorer = self.scorer.as_ref()?;
        if self.changeable.is_empty() || !threshold.is_finite() {
            return None;
        }
        let found = counterfactual(&scorer.file.model, &bench.quantised, threshold, &self.changeable)?;
        let Counterfactual { changes, .. } = found;
        let words: Vec<String> = changes
            .iter()
            .map(|change| {
                let column = &self.pack.columns()[change.feature];
                let bound = if change.to < change.from { "at most" } else { "at least" };
                let value = shown(f64::from(change.to));
                format!("{} were {bound} {value}{}", column.name, unit(column))
            })
            .collect();
        (!words.is_empty()).then(|| words.join(" and "))
    }

    fn of_rules(&self, bench: &Bench, is_in_shadow: bool) -> Vec<Finding> {
        let (Some(set), Some(slots)) = (&self.rules, &bench.slots) else { return Vec::new() };
        let mut fired: Vec<(Verdict, rules::Hit)> = self
            .fired(bench)
            .filter_map(|(rule, hit)| rule.action().verdict().map(|verdict| (verdict, hit)))
            .collect();
        // The strictest first; the order of the set decides among equals.
        fired.sort_by_key(|(verdict, hit)| (std::cmp::Reverse(*verdict), hit.rule_idx));
        let told = fired.into_iter().take(RULES_TOLD_MAX);
        told.filter_map(|(verdict, hit)| {
            let explained = set.explain(hit, slots)?;
            let mut evidence = vec![
                Evidence::new("rule", format!("{} of {} {}", explained.rule, set.name(), set.version())),
                Evidence::new("rule_sha256", hex(&explained.rule_hash)),
            ];
            if !explained.missing.is_empty() {
                evidence.push(Evidence::new("missing", explained.missing.join(", ")));
            }
            Some(Finding {
                source: FindingSource::Fraud,
                code: ReasonCode::stored(&format!("fraud.rule.{}", explained.rule)),
                verdict,
                shadow: is_in_shadow || explained.mode == Mode::Shadow,
                message: explained.reason,
                evidence,
                would_pass_if: explained.would_pass_if,
            })
        })
        .collect()
    }

    fn of_points(&self, bench: &Bench, is_in_shadow: bool) -> Option<Finding> {
        let least = self.manifest.thresholds.points_challenge_from;
        let all = self.points(bench, false);
        if all < least {
            return None;
        }
        let in_force = self.points(bench, true);
        Some(Finding {
            source: FindingSource::Fraud,
            code: code::POINTS,
            verdict: Verdict::Challenge,
            shadow: is_in_shadow || in_force < least,
            message: format!("scoring rules add up to {all} points, of which {in_force} are in force"),
            evidence: vec![Evidence::new("points", all.to_string())],
            would_pass_if: Some(format!("the points were below {least}")),
        })
    }

    /// Unusual is not fraud: this is told and never has an effect.
    fn of_anomaly(&self, scores: Scores) -> Option<Finding> {
        let (from, score) = (self.unusual_from()?, scores.anomaly?);
        (score >= from).then(|| Finding {
            source: FindingSource::Fraud,
            code: code::ANOMALY,
            verdict: Verdict::Challenge,
            shadow: true,
            message: format!("it is unlike what was seen lately: {score:.3} of 1"),
            evidence: vec![Evidence::new("anomaly_score", format!("{score:.6}"))],
            would_pass_if: None,
        })
    }

    /// Which bundle judged by what, and on which features: enough to judge again.
    pub(crate) fn provenance(&self, bench: &Bench, entries: u64) -> Vec<Evidence> {
        let mut evidence = vec![
            Evidence::new("bundle", format!("{} {}", self.name(), self.version())),
            Evidence::new("bundle_sha256", hex(&self.hash())),
            Evidence::new("pack_sha256", hex(&self.pack.hash())),
        ];
        if let Some(set) = &self.rules {
            evidence.push(Evidence::new("rules_sha256", hex(set.hash())));
        }
        evidence.push(Evidence::new("features_sha256", hex(&features_sha256(&bench.row))));
        evidence.push(Evidence::new("as_of", entries.to_string()));
        evidence
    }
}

/// SHA-256 over every bit of a row; one NaN is as good as another.
pub(crate) fn features_sha256(row: &[f64]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(row.len() * 8);
    for value in row {
        let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
        bytes.extend_from_slice(&bits.to_be_bytes());
    }
    crypto::sha256(&[&bytes])
}

/// `amount_z (how unusual the amount is) is 4.2 deviations`.
fn reason(column: &features::Column, value: f64) -> String {
    let what =
        if column.doc.is_empty() { column.name.clone() } else { format!("{} ({})", column.name, column.doc) };
    if value.is_nan() {
        return format!("{what} is not known");
    }
    format!("{what} is {}{}", shown(value), unit(column))
}

fn unit(column: &features::Column) -> String {
    if column.unit.is_empty() { String::new() } else { format!(" {}", column.unit) }
}

/// At most four decimal places, without trailing zeroes.
fn shown(value: f64) -> String {
    if value.is_nan() {
        return "unknown".to_owned();
    }
    let text = format!("{value:.4}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}
