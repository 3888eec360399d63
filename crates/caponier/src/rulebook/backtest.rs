//! A bundle against the installation's own past: what its rules would have said, what its score is worth, beside the bundle
//! that judges now.
//!
//! The journal is folded from its beginning by the step that serves, since windows need what was before; only records
//! within the stretch asked for are counted. What is known of a record is what labels say by now: its own label, else its
//! account's, else nothing; records without one count in no precision.
//!
//! Bounds: [`LABELS_MAX`] labels, [`SCORES_MAX`] scores, [`ACCOUNTS_MAX`] customers over all rules; what lies beyond is left
//! out, and said to be for customers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use decide::DecisionIds;
use domain::{EventKind, LabelTarget, UnixNanos};
use fraud::live::{
    Bundle, Judged,
    record::{kind, labelled},
};
use parking_lot::Mutex;
use rules::{Backtest, BacktestBounds, Case, Count, Label};
use scoring::metrics;

use super::report::{ModelFound, Report, RuleFound};
use crate::{
    bundles::{Lives, Place, tap::Tap},
    exit::Failure,
    ground::Ground,
};

/// Labels remembered.
const LABELS_MAX: usize = 1 << 20;
/// Scores with a label that are remembered.
const SCORES_MAX: usize = 1 << 20;
/// Different customers remembered for all rules together.
const ACCOUNTS_MAX: usize = 1 << 20;
/// Points of a curve that are told.
const CURVE_MAX: usize = 60;
/// Ranges of a reliability table.
const BINS: usize = 10;
/// Decides which examples are drawn: the same past gives the same report.
const SEED: u64 = 1;

/// What is to be judged by what.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) bundle: Arc<Bundle>,
    /// The one that judges now, if it is another.
    pub(super) base: Option<Arc<Bundle>>,
    pub(super) from: UnixNanos,
    pub(super) until: UnixNanos,
    /// Entries of the journal.
    pub(super) end: u64,
    pub(super) by: String,
}

#[derive(Debug, Default)]
struct Labels {
    records: BTreeMap<[u8; 16], bool>,
    accounts: BTreeMap<[u8; 16], bool>,
}

fn short(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.iter_mut().zip(crypto::sha256(&[bytes])).for_each(|(to, from)| *to = from);
    short
}

impl Labels {
    fn take(&mut self, event: &domain::Event) {
        let EventKind::Label { target, is_fraud, .. } = &event.kind else { return };
        let (map, key) = match (labelled(target), target) {
            (Some(id), _) => (&mut self.records, id.with_bytes(short)),
            (None, LabelTarget::Account) => (&mut self.accounts, short(event.account.as_str().as_bytes())),
            (None, _) => return,
        };
        if map.len() < LABELS_MAX || map.contains_key(&key) {
            map.insert(key, *is_fraud);
        }
    }

    fn of(&self, judged: &Judged<'_>) -> Option<bool> {
        let own = (!self.records.is_empty()).then(|| judged.record.id.with_bytes(short));
        let own = own.and_then(|key| self.records.get(&key));
        let account = judged.record.account.filter(|_| own.is_none() && !self.accounts.is_empty());
        let account = account.and_then(|account| self.accounts.get(&short(account.as_str().as_bytes())));
        own.or(account).copied()
    }
}

struct Counting {
    backtest: Option<Backtest>,
    /// Different customers of each rule.
    accounts: Vec<BTreeSet<u64>>,
    n_accounts: usize,
    is_at_least: bool,
    /// Hits of each rule of the bundle that judges now.
    before: Vec<u64>,
    events: u64,
    fraud: u64,
    good: u64,
    scores: Vec<f64>,
    outcomes: Vec<bool>,
}

impl Counting {
    fn new(question: &Question) -> Self {
        let set = question.bundle.rules();
        let n_before =
            question.base.as_ref().and_then(|base| base.rules()).map_or(0, |set| set.rules().len());
        Self {
            backtest: set.map(|set| Backtest::new(set, BacktestBounds::default(), SEED)),
            accounts: vec![BTreeSet::new(); set.map_or(0, |set| set.rules().len())],
            n_accounts: 0,
            is_at_least: false,
            before: vec![0; n_before],
            events: 0,
            fraud: 0,
            good: 0,
            scores: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    fn record(&mut self, judged: &Judged<'_>, known: Option<bool>, ids: &DecisionIds) {
        let Some(scores) = judged.scores else { return };
        self.events += 1;
        self.fraud += u64::from(known == Some(true));
        self.good += u64::from(known == Some(false));
        if let (Some(score), Some(is_fraud)) = (scores.model, known)
            && self.scores.len() < SCORES_MAX
        {
            self.scores.push(score);
            self.outcomes.push(is_fraud);
        }
        let (Some(hits), Some(backtest)) = (judged.hits, &mut self.backtest) else { return };
        let label = match known {
            Some(true) => Label::Fraud,
            Some(false) => Label::Good,
            None => Label::Unknown,
        };
        if hits.is_empty() {
            backtest.record(hits, &Case { id: "", entity: 0, label });
            return;
        }
        let [a, b, c, d, e, f, g, h, ..] =
            judged.record.account.map_or([0; 16], |account| short(account.as_str().as_bytes()));
        let entity = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let is_decision =
            [kind::WITHDRAWAL_REQUESTED, kind::WITHDRAWAL_DECIDED].contains(&judged.record.kind);
        let id =
            if is_decision { ids.id(judged.entry).to_string() } else { format!("entry-{}", judged.entry) };
        backtest.record(hits, &Case { id: &id, entity, label });
        for hit in hits {
            let Some(accounts) = self.accounts.get_mut(hit.rule_idx) else { continue };
            if judged.record.account.is_none() || accounts.contains(&entity) {
                continue;
            }
            if self.n_accounts == ACCOUNTS_MAX {
                self.is_at_least = true;
                continue;
            }
            self.n_accounts += 1;
            accounts.insert(entity);
        }
    }

    fn before(&mut self, judged: &Judged<'_>) {
        for hit in judged.hits.into_iter().flatten() {
            if let Some(n) = self.before.get_mut(hit.rule_idx) {
                *n += 1;
            }
        }
    }

    fn report(self, question: &Question, at: UnixNanos) -> Report {
        let hex_of = |bundle: &Arc<Bundle>| hex::encode(bundle.hash());
        let found = self.backtest.as_ref().map(Backtest::report);
        let old = question.base.as_ref().and_then(|base| base.rules());
        let mut is_at_least = self.is_at_least;
        let mut counted = |count: Count| match count {
            Count::AtLeast(n) => {
                is_at_least = true;
                n as u64
            }
            Count::Exactly(n) => n as u64,
        };
        let set = question.bundle.rules();
        let good_troubled = found.as_ref().map_or(0, |found| counted(found.good_entities_troubled));
        let rules = found.into_iter().flat_map(|found| found.rules).enumerate();
        let rules = rules
            .map(|(place, found)| {
                let was = old.and_then(|old| old.rules().iter().position(|rule| rule.id() == found.rule));
                let action = set.and_then(|set| set.rules().get(place)).map(|rule| rule.action().as_str());
                RuleFound {
                    action: action.unwrap_or_default().to_owned(),
                    mode: found.mode.as_str().to_owned(),
                    hits: found.n_hits,
                    hits_before: was.and_then(|was| self.before.get(was).copied()),
                    fraud: found.n_fraud,
                    good: found.n_good,
                    precision: found.precision,
                    recall: found.recall,
                    accounts: self.accounts.get(place).map_or(0, |accounts| accounts.len() as u64),
                    good_accounts: counted(found.good_entities),
                    examples: found.sample,
                    with: found.overlaps.into_iter().map(|other| (other.rule, other.n_hits)).collect(),
                    rule: found.rule,
                }
            })
            .collect();
        Report {
            sha256: hex_of(&question.bundle),
            compared_with: question.base.as_ref().map(hex_of),
            from: question.from.to_string(),
            until: question.until.to_string(),
            at: at.to_string(),
            by: question.by.clone(),
            entries: question.end,
            events: self.events,
            fraud: self.fraud,
            good: self.good,
            good_troubled,
            rules,
            model: question
                .bundle
                .model()
                .and_then(|(_, sha256)| worth(&sha256, &self.scores, &self.outcomes)),
            is_at_least,
        }
    }
}

/// What a score is worth; `None` without labels of both kinds.
fn worth(model: &[u8; 32], scores: &[f64], outcomes: &[bool]) -> Option<ModelFound> {
    let steps = metrics::steps(scores, outcomes).ok()?;
    let last = steps.last()?;
    let (frauds, rows) = (last.true_positives, outcomes.len() as u64);
    let every = steps.len().div_ceil(CURVE_MAX).max(1);
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let chosen = steps.iter().enumerate().filter(|(n, _)| n % every == 0 || n + 1 == steps.len());
    let curve = chosen.map(|(_, step)| {
        let alarms = step.true_positives + step.false_positives;
        (step.score, share(step.true_positives, frauds), share(step.true_positives, alarms))
    });
    let table = metrics::reliability(scores, outcomes, BINS).ok()?;
    let reliability = table.iter().filter_map(|bin| Some((bin.rows, bin.expected()?, bin.observed()?)));
    Some(ModelFound {
        model: hex::encode(model),
        rows,
        frauds,
        average_precision: metrics::average_precision(scores, outcomes).ok()?,
        auc_roc: metrics::auc_roc(scores, outcomes).ok()?,
        brier: metrics::brier(scores, outcomes).ok()?,
        calibration_error: metrics::expected_calibration_error(&table),
        curve: curve.collect(),
        reliability: reliability.collect(),
    })
}

/// Runs it. `go_on` is told entries done and in all, and says whether to go on; `None` when it said no. `now` is when it
/// was done, asked at the end.
///
/// # Errors
/// [`Failure`] when the journal cannot be read.
pub(super) fn run(
    ground: &Ground,
    ids: DecisionIds,
    question: &Question,
    now: &dyn Fn() -> UnixNanos,
    go_on: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<Report>, Failure> {
    // Labels first, since they come after what they are about. Reading costs a fraction of folding.
    let total = question.end.saturating_mul(2);
    let mut labels = Labels::default();
    let mut is_wanted = true;
    let mut told = 0;
    ground.events(question.end, &mut |position, event| {
        labels.take(event);
        if position >= told {
            told = position + 1_024;
            is_wanted = go_on(position, total);
        }
        is_wanted
    })?;
    if !is_wanted {
        return Ok(None);
    }
    let counting = Arc::new(Mutex::new(Counting::new(question)));
    let (from, until) = (question.from, question.until);
    let tap = {
        let counting = Arc::clone(&counting);
        Tap::new(move |place, _, judged| {
            if judged.record.at < from || judged.record.at >= until {
                return;
            }
            match place {
                Place::Active => counting.lock().record(judged, labels.of(judged), &ids),
                Place::Challenger => counting.lock().before(judged),
            }
        })
    };
    let mut bundles = vec![(Place::Active, Arc::clone(&question.bundle))];
    bundles.extend(question.base.iter().map(|base| (Place::Challenger, Arc::clone(base))));
    let lives = Lives::watched(bundles, tap)?;
    let is_done = ground.play(lives, question.end, &mut |done| go_on(question.end + done, total))?;
    if !is_done {
        return Ok(None);
    }
    let counting = std::mem::replace(&mut *counting.lock(), Counting::new(question));
    Ok(Some(counting.report(question, now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_worth_something_only_where_both_kinds_are_known() {
        assert_eq!(worth(&[0; 32], &[], &[]), None);
        assert_eq!(worth(&[0; 32], &[0.5, 0.6], &[true, true]), None);
        let scores: Vec<f64> = (0..1_000).map(|n| f64::from(n) / 1_000.0).collect();
        let outcomes: Vec<bool> = (0..1_000).map(|n| n % 10 < n / 100).collect();
        let found = worth(&[7; 32], &scores, &outcomes).unwrap();
        assert_eq!((found.rows, found.frauds), (1_000, 450));
        assert!(found.curve.len() <= CURVE_MAX + 1 && found.reliability.len() == BINS);
        let (_, recall, precision) = *found.curve.last().unwrap();
        assert!((recall - 1.0).abs() < 1e-12 && (precision - 0.45).abs() < 1e-12);
        assert!(found.curve.is_sorted_by(|a, b| a.0 >= b.0 && a.1 <= b.1));
        assert!(found.auc_roc > 0.7 && found.calibration_error < 0.06, "{found:?}");
    }
}
