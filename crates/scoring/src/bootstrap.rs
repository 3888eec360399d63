//! Whether a challenger is better than the champion, or only luckier: bootstrap intervals for differences.
//!
//! Percentile bootstrap (Efron 1979): units are drawn with replacement, both scores are judged on the same draw, and
//! the interval holds the middle of the differences. A unit is whatever is independent, a row or a customer or a day:
//! rows of one unit are drawn together, since drawing dependent rows one by one makes intervals too narrow.
//!
//! The seed is an argument, so anybody can repeat the interval.
//!
//! # Bounds
//! [`ROUNDS_MAX`] rounds; each costs one evaluation of the metric on both scores.

use thiserror::Error;

use crate::{metrics::MetricError, random::Random};

/// Draws, at most.
pub const ROUNDS_MAX: u32 = 100_000;
/// Draws, at least: fewer have no tails.
pub const ROUNDS_MIN: u32 = 100;

/// How to draw.
///
/// # Defaults
/// 1,000 rounds, confidence 0.95, seed 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// Draws, [`ROUNDS_MIN`] to [`ROUNDS_MAX`].
    pub rounds: u32,
    /// Share of the differences the interval holds, in (0, 1).
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { rounds: 1_000, confidence: 0.95, seed: 0 }
    }
}

/// Challenger less champion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// On all rows.
    pub observed: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Share of the draws in which the challenger was better; a tie counts half.
    pub challenger_better: f64,
    /// Draws on which the metric had a value.
    pub rounds: u32,
}

/// Why there is no interval.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// A parameter outside its range.
    #[error("the parameter `{name}` is outside its range")]
    BadParameter {
        /// Which one.
        name: &'static str,
    },
    /// The metric has no value on all rows.
    #[error("the metric")]
    Metric(#[source] MetricError),
    /// The metric had no value on more than half of the draws: too few positive units.
    #[error("the metric has a value on {valid} of {rounds} draws only")]
    TooFewDraws {
        /// Draws with a value.
        valid: u32,
        /// All draws.
        rounds: u32,
    },
    /// Not one champion's score, challenger's score, label and unit for each row.
    #[error("scores, labels and units have different lengths")]
    WrongLength,
}

/// The rows to compare on.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The champion's scores.
    pub champion: &'a [f64],
    /// The challenger's scores.
    pub challenger: &'a [f64],
    /// What happened.
    pub labels: &'a [bool],
    /// What each row belongs to; rows with one number are drawn together. `None` if every row stands alone.
    pub units: Option<&'a [u64]>,
}

/// The interval for challenger less champion by a metric such as [`crate::metrics::average_precision`].
///
/// # Errors
/// [`BootstrapError`] when input does not fit together or the metric has no value.
pub fn difference(
    rows: &Rows<'_>,
    metric: impl Fn(&[f64], &[bool]) -> Result<f64, MetricError>,
    params: &Params,
) -> Result<Difference, BootstrapError> {
    let n = rows.labels.len();
    if rows.champion.len() != n || rows.challenger.len() != n {
        return Err(BootstrapError::WrongLength);
    }
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    difference_by(
        n,
        rows.units,
        |side, draw| {
            let of = match side {
                Side::Champion => rows.champion,
                Side::Challenger => rows.challenger,
            };
            scores.clear();
            scores.extend(draw.iter().map(|row| of[*row]));
            labels.clear();
            labels.extend(draw.iter().map(|row| rows.labels[*row]));
            metric(&scores, &labels)
        },
        params,
    )
}

/// Whose scores are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The model in force.
    Champion,
    /// The one that would replace it.
    Challenger,
}

/// The interval for challenger less champion by a metric over rows that the caller keeps: it is given whose scores to
/// judge and which of the `n` rows are drawn, some of them several times. `units` as [`Rows::units`].
///
/// # Errors
/// As [`difference`].
pub fn difference_by(
    n: usize,
    units: Option<&[u64]>,
    mut metric: impl FnMut(Side, &[usize]) -> Result<f64, MetricError>,
    params: &Params,
) -> Result<Difference, BootstrapError> {
    if !(ROUNDS_MIN..=ROUNDS_MAX).contains(&params.rounds) {
        return Err(BootstrapError::BadParameter { name: "rounds" });
    }
    if !(params.confidence > 0.0 && params.confidence < 1.0) {
        return Err(BootstrapError::BadParameter { name: "confidence" });
    }
    if units.is_some_and(|units| units.len() != n) {
        return Err(BootstrapError::WrongLength);
    }
    let all: Vec<usize> = (0..n).collect();
    let observed = metric(Side::Challenger, &all).map_err(BootstrapError::Metric)?
        - metric(Side::Champion, &all).map_err(BootstrapError::Metric)?;
    let units = by_unit(units, n);
    let mut random = Random::new(params.seed);
    let mut differences = Vec::new();
    let mut draw = Vec::new();
    for _ in 0..params.rounds {
        draw.clear();
        for _ in 0..units.len() {
            draw.extend_from_slice(&units[random.below(units.len())]);
        }
        // A draw without a positive row has no precision; it says nothing about the difference.
        if let (Ok(new), Ok(old)) = (metric(Side::Challenger, &draw), metric(Side::Champion, &draw)) {
            differences.push(new - old);
        }
    }
    let valid = u32::try_from(differences.len()).unwrap_or(u32::MAX);
    if valid < params.rounds.div_ceil(2) {
        return Err(BootstrapError::TooFewDraws { valid, rounds: params.rounds });
    }
    differences.sort_unstable_by(f64::total_cmp);
    let better: f64 = differences
        .iter()
        .map(|difference| {
            if *difference > 0.0 {
                1.0
            } else if *difference == 0.0 {
                0.5
            } else {
                0.0
            }
        })
        .sum();
    let tail = (1.0 - params.confidence) / 2.0;
    Ok(Difference {
        observed,
        low: quantile(&differences, tail),
        high: quantile(&differences, 1.0 - tail),
        challenger_better: better / f64::from(valid),
        rounds: valid,
    })
}

/// Row numbers by unit, in the order of the units' numbers.
fn by_unit(units: Option<&[u64]>, n: usize) -> Vec<Vec<usize>> {
    let Some(units) = units else { return (0..n).map(|row| vec![row]).collect() };
    let mut by_unit: std::collections::BTreeMap<u64, Vec<usize>> = std::collections::BTreeMap::new();
    for (row, unit) in units.iter().enumerate() {
        by_unit.entry(*unit).or_default().push(row);
    }
    by_unit.into_values().collect()
}

/// The value at a share of sorted values, by a straight line between neighbours.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last index")]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (at - at.floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{auc_roc, average_precision};

    /// Scores with the given amount of noise around the truth.
    fn rows(seed: u64, n: usize, noise: [f64; 2]) -> (Vec<f64>, Vec<f64>, Vec<bool>) {
        let mut random = Random::new(seed);
        let mut out = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            let label = random.unit() < 0.2;
            let truth = f64::from(u8::from(label));
            out.0.push(truth + noise[0] * random.unit());
            out.1.push(truth + noise[1] * random.unit());
            out.2.push(label);
        }
        out
    }

    fn compare(seed: u64, noise: [f64; 2], units: Option<&[u64]>) -> Difference {
        let (champion, challenger, labels) = rows(seed, 400, noise);
        let rows = Rows { champion: &champion, challenger: &challenger, labels: &labels, units };
        let params = Params { rounds: 200, ..Params::default() };
        difference(&rows, auc_roc, &params).unwrap()
    }

    #[test]
    fn a_better_challenger_is_told_from_an_equal_one() {
        let better = compare(1, [3.0, 1.5], None);
        assert!(better.low > 0.0 && better.challenger_better > 0.99, "{better:?}");
        assert!(better.low <= better.observed && better.observed <= better.high);
        let equal = compare(2, [2.0, 2.0], None);
        assert!(equal.low < 0.0 && equal.high > 0.0, "{equal:?}");
        assert_eq!(compare(2, [2.0, 2.0], None), equal);
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        // Both scores have the same law: the true difference is 0.
        let held = (0..60u64)
            .filter(|seed| {
                let difference = compare(100 + seed, [2.0, 2.0], None);
                difference.low <= 0.0 && difference.high >= 0.0
            })
            .count();
        assert!((50..=60).contains(&held), "{held} of 60");
    }

    #[test]
    fn copies_in_one_unit_prove_nothing() {
        let (champion, challenger, labels) = rows(5, 150, [2.5, 2.0]);
        let copies = 8;
        let repeat = |values: &[f64]| values.iter().flat_map(|v| vec![*v; copies]).collect::<Vec<f64>>();
        let (champion, challenger) = (repeat(&champion), repeat(&challenger));
        let labels: Vec<bool> = labels.iter().flat_map(|label| vec![*label; copies]).collect();
        let units: Vec<u64> = (0..150).flat_map(|unit| vec![unit; copies]).collect();
        let width = |units| {
            let rows = Rows { champion: &champion, challenger: &challenger, labels: &labels, units };
            let found = difference(&rows, auc_roc, &Params { rounds: 300, ..Params::default() }).unwrap();
            found.high - found.low
        };
        assert!(width(Some(&units)) > 2.0 * width(None));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let rows =
            Rows { champion: &[0.1, 0.2], challenger: &[0.1, 0.3], labels: &[false, true], units: None };
        let with =
            |rows: &Rows<'_>, params: Params| difference(rows, average_precision, &params).unwrap_err();
        let wrong = |name| BootstrapError::BadParameter { name };
        assert_eq!(with(&rows, Params { rounds: 1, ..Params::default() }), wrong("rounds"));
        assert_eq!(with(&rows, Params { confidence: 1.0, ..Params::default() }), wrong("confidence"));
        let short = Rows { units: Some(&[1]), ..rows };
        assert_eq!(with(&short, Params::default()), BootstrapError::WrongLength);
        let none = Rows { labels: &[false, false], ..rows };
        assert_eq!(with(&none, Params::default()), BootstrapError::Metric(MetricError::NoPositive));
        // Has a value on the rows as they are and on no draw of them that is ordered otherwise.
        let strict = |scores: &[f64], labels: &[bool]| {
            if labels == [false, true] { average_precision(scores, labels) } else { Err(MetricError::Empty) }
        };
        match difference(&rows, strict, &Params::default()) {
            Err(BootstrapError::TooFewDraws { valid, rounds: 1_000 }) => assert!((180..320).contains(&valid)),
            other => panic!("{other:?}"),
        }
    }
}
