//! What a set would have done to the past: per rule how often it fired, how often rightly, whom it would have troubled, and
//! which other rules fired with it.
//!
//! An accumulator: the caller replays events, evaluates the set and records the hits with what is known by now. Memory is
//! bounded whatever is recorded: distinct customers are counted exactly up to a bound and said to be "at least" beyond it,
//! examples are the first few and a fair sample of all (reservoir sampling, Vitter 1985, algorithm R) from a given seed.
//! The same events in the same order with the same seed give the same report.

use std::collections::BTreeSet;

use crate::{
    rule::{Action, Mode},
    set::{Hits, RuleSet},
};

/// Distinct customers remembered for all rules together.
const ENTITIES_TOTAL_MAX: usize = 4_000_000;
/// Sets of more rules have no counts of overlap: those take the square of the number.
pub(crate) const OVERLAP_RULES_MAX: usize = 1_000;
/// Other rules that a report names for each rule.
const OVERLAPS_SHOWN_MAX: usize = 5;
/// Bytes of a case's id that are kept.
const CASE_BYTES_MAX: usize = 128;

/// What is known of an event by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// It was fraud.
    Fraud,
    /// It was not.
    Good,
    /// Nobody knows.
    Unknown,
}

/// An event that was evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Id to find it by; the first 128 bytes are kept of examples.
    pub id: &'a str,
    /// The customer, as the caller numbers them.
    pub entity: u64,
    /// What is known of it.
    pub label: Label,
}

/// How much a backtest remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BacktestBounds {
    /// Distinct customers for each rule.
    pub entities_max: usize,
    /// Examples for each rule, of the first and of the fair sample each.
    pub samples_max: usize,
}

impl Default for BacktestBounds {
    /// 100,000 customers and 10 examples.
    fn default() -> Self {
        Self { entities_max: 100_000, samples_max: 10 }
    }
}

/// A number of distinct things that may have become too large to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Not fewer.
    AtLeast(usize),
    /// So many.
    Exactly(usize),
}

/// Distinct customers, up to a bound.
#[derive(Debug, Clone, Default)]
struct Entities {
    seen: BTreeSet<u64>,
    is_full: bool,
}

impl Entities {
    fn add(&mut self, entity: u64, max: usize, total: &mut usize) {
        if self.seen.contains(&entity) {
            return;
        }
        if self.seen.len() >= max || *total >= ENTITIES_TOTAL_MAX {
            self.is_full = true;
            return;
        }
        self.seen.insert(entity);
        *total += 1;
    }

    fn count(&self) -> Count {
        if self.is_full { Count::AtLeast(self.seen.len()) } else { Count::Exactly(self.seen.len()) }
    }
}

/// Counts of one rule.
#[derive(Debug, Clone, Default)]
struct Tallies {
    n_hits: u64,
    n_fraud: u64,
    n_good: u64,
    good: Entities,
    first: Vec<String>,
    sample: Vec<String>,
    random: u64,
}

/// The accumulator.
#[derive(Debug, Clone)]
pub struct Backtest {
    ids: Vec<String>,
    /// Whether a hit stands in a customer's way: anything but allow and score.
    troubles: Vec<bool>,
    modes: Vec<Mode>,
    bounds: BacktestBounds,
    n_events: u64,
    n_fraud: u64,
    n_good: u64,
    rules: Vec<Tallies>,
    /// Events on which both rules of a pair fired; the pair (i, j) with i < j lies at j (j - 1) / 2 + i.
    pairs: Vec<u32>,
    troubled: Entities,
    n_entities: usize,
    has_pairs: bool,
}

/// What a backtest found.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestReport {
    /// Events recorded.
    pub n_events: u64,
    /// Events known to be fraud.
    pub n_fraud: u64,
    /// Events known to be good.
    pub n_good: u64,
    /// Different customers with an event known to be good on which a rule that challenges, holds or denies fired, in
    /// either mode: the friction the set would cause if all of it were enforced.
    pub good_entities_troubled: Count,
    /// Each rule, in the order of the set.
    pub rules: Vec<RuleReport>,
}

/// What a backtest found about one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleReport {
    /// Its id.
    pub rule: String,
    /// Its mode.
    pub mode: Mode,
    /// Events it fired on.
    pub n_hits: u64,
    /// Of those, known fraud.
    pub n_fraud: u64,
    /// Of those, known good.
    pub n_good: u64,
    /// Fraud among the hits that are known either way; `None` if none is.
    pub precision: Option<f64>,
    /// Share of all known fraud that it fired on; `None` if there was none.
    pub recall: Option<f64>,
    /// Different customers with a hit that is known to be good.
    pub good_entities: Count,
    /// Ids of the first events it fired on.
    pub first: Vec<String>,
    /// Ids of a fair sample of the events it fired on, in no particular order.
    pub sample: Vec<String>,
    /// The rules that fired with it most often, most often first.
    pub overlaps: Vec<Overlap>,
}

/// How often another rule fired on the same events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The other rule.
    pub rule: String,
    /// Events on which both fired.
    pub n_hits: u64,
}

/// Splitmix64 (Steele, Lea, Flood 2014): the next number of a stream.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 to below `end`, fair to one part in 2^64 / `end`.
fn below(state: &mut u64, end: u64) -> u64 {
    let product = u128::from(next(state)) * u128::from(end);
    u64::try_from(product >> 64).unwrap_or(u64::MAX)
}

fn short(id: &str) -> String {
    let mut end = id.len().min(CASE_BYTES_MAX);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    id[..end].to_owned()
}

fn share(part: u64, whole: u64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "a share for people to read")]
    let share = part as f64 / whole as f64;
    (whole > 0).then_some(share)
}

impl Backtest {
    /// An empty one for a set. `seed` chooses the sample.
    #[must_use]
    pub fn new(set: &RuleSet, bounds: BacktestBounds, seed: u64) -> Self {
        let n_rules = set.rules().len();
        let has_pairs = n_rules <= OVERLAP_RULES_MAX;
        let mut state = seed;
        let rules = set.rules().iter().map(|_| Tallies { random: next(&mut state), ..Tallies::default() });
        Self {
            ids: set.rules().iter().map(|rule| rule.id().to_owned()).collect(),
            troubles: set
                .rules()
                .iter()
                .map(|rule| !matches!(rule.action(), Action::Allow | Action::Score))
                .collect(),
            modes: set.rules().iter().map(crate::Rule::mode).collect(),
            bounds,
            n_events: 0,
            n_fraud: 0,
            n_good: 0,
            rules: rules.collect(),
            pairs: vec![0; if has_pairs { n_rules * n_rules.saturating_sub(1) / 2 } else { 0 }],
            troubled: Entities::default(),
            n_entities: 0,
            has_pairs,
        }
    }

    /// Adds an event and the rules that fired on it. Hits of another set are ignored where they name no rule of this one.
    pub fn record(&mut self, hits: &Hits, case: &Case<'_>) {
        self.n_events += 1;
        self.n_fraud += u64::from(case.label == Label::Fraud);
        self.n_good += u64::from(case.label == Label::Good);
        let BacktestBounds { entities_max, samples_max } = self.bounds;
        let hits = hits.as_slice();
        for (nth, hit) in hits.iter().enumerate() {
            let Some(rule) = self.rules.get_mut(hit.rule_idx) else { continue };
            rule.n_hits += 1;
            match case.label {
                Label::Fraud => rule.n_fraud += 1,
                Label::Good => {
                    rule.n_good += 1;
                    rule.good.add(case.entity, entities_max, &mut self.n_entities);
                    if self.troubles.get(hit.rule_idx) == Some(&true) {
                        self.troubled.add(case.entity, entities_max, &mut self.n_entities);
                    }
                }
                Label::Unknown => {}
            }
            if rule.first.len() < samples_max {
                rule.first.push(short(case.id));
            }
            if rule.sample.len() < samples_max {
                rule.sample.push(short(case.id));
            } else if let Ok(at) = usize::try_from(below(&mut rule.random, rule.n_hits))
                && let Some(kept) = rule.sample.get_mut(at)
            {
                *kept = short(case.id);
            }
            if self.has_pairs {
                for other in &hits[..nth] {
                    let (low, high) = (other.rule_idx.min(hit.rule_idx), other.rule_idx.max(hit.rule_idx));
                    if let Some(pair) =
                        high.checked_sub(1).and_then(|less| self.pairs.get_mut(high * less / 2 + low))
                    {
                        *pair = pair.saturating_add(1);
                    }
                }
            }
        }
    }

    fn overlaps(&self, rule: usize) -> Vec<Overlap> {
        if !self.has_pairs {
            return Vec::new();
        }
        let mut overlaps: Vec<(u32, usize)> = (0..self.ids.len())
            .filter(|&other| other != rule)
            .filter_map(|other| {
                let (low, high) = (rule.min(other), rule.max(other));
                self.pairs.get(high * high.checked_sub(1)? / 2 + low).map(|n_hits| (*n_hits, other))
            })
            .filter(|(n_hits, _)| *n_hits > 0)
            .collect();
        overlaps.sort_by_key(|(n_hits, other)| (std::cmp::Reverse(*n_hits), *other));
        overlaps.truncate(OVERLAPS_SHOWN_MAX);
        let named = overlaps.into_iter().filter_map(|(n_hits, other)| {
            self.ids.get(other).map(|id| Overlap { rule: id.clone(), n_hits: n_hits.into() })
        });
        named.collect()
    }

    /// What was found so far.
    #[must_use]
    pub fn report(&self) -> BacktestReport {
        let rules = self.rules.iter().enumerate().zip(self.ids.iter().zip(&self.modes));
        BacktestReport {
            n_events: self.n_events,
            n_fraud: self.n_fraud,
            n_good: self.n_good,
            good_entities_troubled: self.troubled.count(),
            rules: rules
                .map(|((index, rule), (id, mode))| RuleReport {
                    rule: id.clone(),
                    mode: *mode,
                    n_hits: rule.n_hits,
                    n_fraud: rule.n_fraud,
                    n_good: rule.n_good,
                    precision: share(rule.n_fraud, rule.n_fraud + rule.n_good),
                    recall: share(rule.n_fraud, self.n_fraud),
                    good_entities: rule.good.count(),
                    first: rule.first.clone(),
                    sample: rule.sample.clone(),
                    overlaps: self.overlaps(index),
                })
                .collect(),
        }
    }
}
