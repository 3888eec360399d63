//! How well scores rank and how far probabilities can be believed.
//!
//! Rows with one score are one group everywhere: no metric depends on the order of the input. Thresholds that follow
//! from costs are in [`crate::threshold`], intervals for differences in [`crate::bootstrap`].

use thiserror::Error;

/// Why a metric has no value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetricError {
    /// An argument outside its range.
    #[error("the argument `{name}` is outside its range")]
    BadArgument {
        /// Which one.
        name: &'static str,
    },
    /// No rows.
    #[error("there are no rows")]
    Empty,
    /// No negative label.
    #[error("there is no negative label")]
    NoNegative,
    /// No positive label.
    #[error("there is no positive label")]
    NoPositive,
    /// A score that is no number.
    #[error("row {row}: the score is not a number")]
    NotANumber {
        /// Which row, counted from 0.
        row: usize,
    },
    /// A probability outside [0, 1].
    #[error("row {row}: no probability")]
    NotAProbability {
        /// Which row, counted from 0.
        row: usize,
    },
    /// Not one label for each score.
    #[error("{labels} labels for {scores} scores")]
    WrongLength {
        /// Scores.
        scores: usize,
        /// Labels.
        labels: usize,
    },
}

/// Rows with one score, from the highest: what a threshold at this score lets in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The score.
    pub score: f64,
    /// Positive rows with at least this score.
    pub true_positives: u64,
    /// Negative rows with at least this score.
    pub false_positives: u64,
}

/// The ranking as steps, from the highest score to the lowest. Both kinds of metric and threshold read it.
///
/// # Errors
/// [`MetricError`] when lengths differ, there are no rows, or a score is NaN.
pub fn steps(scores: &[f64], labels: &[bool]) -> Result<Vec<Step>, MetricError> {
    check(scores, labels)?;
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut steps: Vec<Step> = Vec::new();
    for (score, label) in order {
        let (positives, negatives) = (u64::from(label), u64::from(!label));
        match steps.last_mut() {
            // Equality, not bits: -0 and 0 are one score.
            Some(last) if last.score == score => {
                last.true_positives += positives;
                last.false_positives += negatives;
            }
            last => {
                let (before_true, before_false) =
                    last.map_or((0, 0), |last| (last.true_positives, last.false_positives));
                steps.push(Step {
                    score,
                    true_positives: before_true + positives,
                    false_positives: before_false + negatives,
                });
            }
        }
    }
    Ok(steps)
}

fn check(scores: &[f64], labels: &[bool]) -> Result<(), MetricError> {
    if scores.len() != labels.len() {
        return Err(MetricError::WrongLength { scores: scores.len(), labels: labels.len() });
    }
    if scores.is_empty() {
        return Err(MetricError::Empty);
    }
    match scores.iter().position(|score| score.is_nan()) {
        Some(row) => Err(MetricError::NotANumber { row }),
        None => Ok(()),
    }
}

/// Steps with the totals of both labels, each at least 1.
fn both_labels(scores: &[f64], labels: &[bool]) -> Result<(Vec<Step>, u64, u64), MetricError> {
    let steps = steps(scores, labels)?;
    let (positives, negatives) = totals(&steps);
    match (positives, negatives) {
        (0, _) => Err(MetricError::NoPositive),
        (_, 0) => Err(MetricError::NoNegative),
        _ => Ok((steps, positives, negatives)),
    }
}

/// All positive and all negative rows.
pub(crate) fn totals(steps: &[Step]) -> (u64, u64) {
    steps.last().map_or((0, 0), |last| (last.true_positives, last.false_positives))
}

/// Area under the ROC curve: the probability that a positive row scores above a negative one, a tie counting half.
///
/// # Errors
/// [`MetricError`], also when only one label occurs.
pub fn auc_roc(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    let (steps, positives, negatives) = both_labels(scores, labels)?;
    // Twice the number of ordered pairs, exact: positives above, plus half of those at the same score.
    let mut twice = 0u128;
    let (mut above, mut before) = (0u64, 0u64);
    for step in &steps {
        let new = step.false_positives - before;
        twice += u128::from(new) * u128::from(above + step.true_positives);
        above = step.true_positives;
        before = step.false_positives;
    }
    Ok(twice as f64 / 2.0 / (positives as f64 * negatives as f64))
}

/// Average precision: the sum over distinct scores, descending, of the growth of recall times the precision. Rows with
/// one score enter together; nothing is interpolated.
///
/// # Errors
/// [`MetricError`], also when no label is positive.
pub fn average_precision(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    let steps = steps(scores, labels)?;
    let (positives, _) = totals(&steps);
    if positives == 0 {
        return Err(MetricError::NoPositive);
    }
    let mut sum = 0.0;
    let mut before = 0;
    for step in &steps {
        let new = step.true_positives - before;
        if new > 0 {
            let precision = step.true_positives as f64 / (step.true_positives + step.false_positives) as f64;
            sum += new as f64 / positives as f64 * precision;
        }
        before = step.true_positives;
    }
    Ok(sum)
}

/// Share of positive rows among the `k` with the highest scores; all rows if there are fewer. Where a score is shared
/// by rows within and beyond the `k`, they count by their average.
///
/// # Errors
/// [`MetricError`], also when `k` is 0.
pub fn precision_at(scores: &[f64], labels: &[bool], k: u64) -> Result<f64, MetricError> {
    let steps = steps(scores, labels)?;
    if k == 0 {
        return Err(MetricError::BadArgument { name: "k" });
    }
    let k = k.min(scores.len() as u64);
    let (mut before_true, mut before_all) = (0, 0);
    for step in &steps {
        let all = step.true_positives + step.false_positives;
        if all >= k {
            let share = (k - before_all) as f64 / (all - before_all) as f64;
            let found = before_true as f64 + (step.true_positives - before_true) as f64 * share;
            return Ok(found / k as f64);
        }
        (before_true, before_all) = (step.true_positives, all);
    }
    Err(MetricError::Empty)
}

/// The largest recall whose false positive rate is at most `rate`: share of positive rows found at the lowest
/// threshold that still alarms on no more than this share of the negative ones.
///
/// # Errors
/// [`MetricError`], also when `rate` is outside [0, 1] or only one label occurs.
pub fn recall_at_fpr(scores: &[f64], labels: &[bool], rate: f64) -> Result<f64, MetricError> {
    let (steps, positives, negatives) = both_labels(scores, labels)?;
    if !(0.0..=1.0).contains(&rate) {
        return Err(MetricError::BadArgument { name: "rate" });
    }
    let found = steps
        .iter()
        .take_while(|step| step.false_positives as f64 <= rate * negatives as f64)
        .last()
        .map_or(0, |step| step.true_positives);
    Ok(found as f64 / positives as f64)
}

/// Mean squared distance of probabilities from what happened (Brier 1950); 0 is perfect.
///
/// # Errors
/// [`MetricError`], also when a value is no probability.
pub fn brier(probabilities: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    check_probabilities(probabilities, labels)?;
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(p, &label)| {
            let distance = p - f64::from(u8::from(label));
            distance * distance
        })
        .sum();
    Ok(sum / probabilities.len() as f64)
}

/// Rows whose probability lies in one range, and what happened to them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// The lower end of the range, included.
    pub from: f64,
    /// The upper end, excluded except for 1.
    pub to: f64,
    /// Rows in it.
    pub rows: u64,
    /// Positive rows in it.
    pub positives: u64,
    /// Sum of the probabilities.
    pub probability_sum: f64,
}

impl ReliabilityBin {
    /// Mean probability; `None` without rows.
    #[must_use]
    pub fn expected(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.probability_sum / self.rows as f64)
    }

    /// Share of positive rows; `None` without rows.
    #[must_use]
    pub fn observed(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.positives as f64 / self.rows as f64)
    }
}

/// Ranges of a reliability table, at most.
pub const RELIABILITY_BINS_MAX: usize = 1_000;

/// Probabilities beside what happened, in `bins` ranges of equal width.
///
/// # Errors
/// [`MetricError`], also when a value is no probability or `bins` is not in 1 to [`RELIABILITY_BINS_MAX`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of bins")]
pub fn reliability(
    probabilities: &[f64],
    labels: &[bool],
    bins: usize,
) -> Result<Vec<ReliabilityBin>, MetricError> {
    check_probabilities(probabilities, labels)?;
    if !(1..=RELIABILITY_BINS_MAX).contains(&bins) {
        return Err(MetricError::BadArgument { name: "bins" });
    }
    let edge = |index: usize| index as f64 / bins as f64;
    let mut table: Vec<ReliabilityBin> = (0..bins)
        .map(|index| ReliabilityBin {
            from: edge(index),
            to: edge(index + 1),
            rows: 0,
            positives: 0,
            probability_sum: 0.0,
        })
        .collect();
    for (&probability, &label) in probabilities.iter().zip(labels) {
        let mut index = ((probability * bins as f64) as usize).min(bins - 1);
        // The product may be rounded across an edge.
        if probability < edge(index) {
            index -= 1;
        } else if index + 1 < bins && probability >= edge(index + 1) {
            index += 1;
        }
        let bin = &mut table[index];
        bin.rows += 1;
        bin.positives += u64::from(label);
        bin.probability_sum += probability;
    }
    Ok(table)
}

/// Expected calibration error: the distance between expected and observed over the table, weighted by rows.
#[must_use]
pub fn expected_calibration_error(table: &[ReliabilityBin]) -> f64 {
    let rows: u64 = table.iter().map(|bin| bin.rows).sum();
    let sum: f64 = table.iter().map(|bin| (bin.probability_sum - bin.positives as f64).abs()).sum();
    if rows == 0 { 0.0 } else { sum / rows as f64 }
}

fn check_probabilities(probabilities: &[f64], labels: &[bool]) -> Result<(), MetricError> {
    check(probabilities, labels)?;
    match probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
        Some(row) => Err(MetricError::NotAProbability { row }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
