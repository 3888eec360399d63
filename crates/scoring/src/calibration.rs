//! From a logit to a probability that can be believed: isotonic or Platt.
//!
//! Boosting at base logit 0 with class weights ranks well but its sigmoid is no probability; fitted on rows that were
//! not trained on, these are. Neither turns a ranking around (Platt: up to rounding). Not here: how good the result
//! is ([`crate::metrics`]).
//!
//! - **Isotonic** (pool adjacent violators, Ayer et al. 1955; Zadrozny and Elkan 2002): the monotone function nearest
//!   in squares, between its points a straight line, outside them flat.
//! - **Platt** (Platt 1999 with the corrections of Lin, Lin and Weng 2007): 1/(1 + exp(a x + b)), its targets drawn in
//!   from 0 and 1 by one row. For few rows.
//!
//! # Bounds
//! [`POINTS_MAX`] points; logits of size at most [`SCORE_MAX`].

use thiserror::Error;

use crate::{
    math::{exp, ln, ln_1p},
    model::sigmoid,
};

/// Points of an isotonic function.
pub const POINTS_MAX: usize = 1 << 16;
/// Size of a logit, at most. Beyond it differences overflow.
pub const SCORE_MAX: f64 = 1e9;
/// Newton steps of the Platt fit.
const STEPS_MAX: u32 = 100;
/// The gradient at which the Platt fit is done.
const GRADIENT_MIN: f64 = 1e-10;
/// Keeps the Hessian of the Platt fit invertible.
const RIDGE: f64 = 1e-12;

/// Why there is no calibration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// No rows.
    #[error("there are no rows")]
    Empty,
    /// A label that never occurs; a probability of 0 or 1 everywhere is none.
    #[error("both labels must occur")]
    OneLabel,
    /// A slope that turns the ranking around, or a number that is not finite.
    #[error("the slope must not turn the ranking around")]
    Slope,
    /// A logit that is no number or too large.
    #[error("row {row}: a logit is a number of size at most {SCORE_MAX}")]
    Score {
        /// Which row, counted from 0.
        row: usize,
    },
    /// Points that do not ascend, or no probabilities.
    #[error("point {point}: logits ascend, and probabilities do not descend")]
    Points {
        /// Which point, counted from 0.
        point: usize,
    },
    /// More points than [`POINTS_MAX`].
    #[error("more than {POINTS_MAX} points")]
    TooManyPoints,
    /// Not one label for each logit.
    #[error("{labels} labels for {scores} logits")]
    WrongLength {
        /// Logits.
        scores: usize,
        /// Labels.
        labels: usize,
    },
}

/// A function from logits to probabilities that never falls.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibration {
    /// Straight lines between points.
    Isotonic(Isotonic),
    /// A logistic function.
    Platt(Platt),
}

impl Calibration {
    /// The probability of a logit, in [0, 1].
    #[must_use]
    pub fn probability(&self, logit: f64) -> f64 {
        match self {
            Self::Isotonic(isotonic) => isotonic.probability(logit),
            Self::Platt(platt) => platt.probability(logit),
        }
    }
}

fn check(scores: &[f64], labels: &[bool]) -> Result<(), CalibrationError> {
    if scores.len() != labels.len() {
        return Err(CalibrationError::WrongLength { scores: scores.len(), labels: labels.len() });
    }
    if scores.is_empty() {
        return Err(CalibrationError::Empty);
    }
    if let Some(row) = scores.iter().position(|score| !is_score(*score)) {
        return Err(CalibrationError::Score { row });
    }
    if labels.iter().all(|label| *label) || labels.iter().all(|label| !*label) {
        return Err(CalibrationError::OneLabel);
    }
    Ok(())
}

fn is_score(score: f64) -> bool {
    score.is_finite() && score.abs() <= SCORE_MAX
}

/// Points with straight lines between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Isotonic {
    points: Vec<(f64, f64)>,
}

impl Isotonic {
    /// From points (logit, probability): logits ascend, probabilities do not descend.
    ///
    /// # Errors
    /// [`CalibrationError`] when they do not, or there are none or too many.
    pub fn new(points: Vec<(f64, f64)>) -> Result<Self, CalibrationError> {
        if points.is_empty() {
            return Err(CalibrationError::Empty);
        }
        if points.len() > POINTS_MAX {
            return Err(CalibrationError::TooManyPoints);
        }
        let mut before: Option<(f64, f64)> = None;
        for (point, &(x, y)) in points.iter().enumerate() {
            let follows = before.is_none_or(|(bx, by)| bx < x && by <= y);
            if !is_score(x) || !(0.0..=1.0).contains(&y) || !follows {
                return Err(CalibrationError::Points { point });
            }
            before = Some((x, y));
        }
        Ok(Self { points })
    }

    /// Fits logits and what happened. Rows with one logit count as one by their mean.
    ///
    /// # Errors
    /// [`CalibrationError`] when input does not fit together.
    pub fn fit(scores: &[f64], labels: &[bool]) -> Result<Self, CalibrationError> {
        check(scores, labels)?;
        let mut rows: Vec<(f64, bool)> = scores.iter().map(|s| s + 0.0).zip(labels.iter().copied()).collect();
        rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        // Blocks of rows that share a probability, ascending. Counts are exact, so the order of merges does not matter.
        let mut blocks: Vec<Pool> = Vec::new();
        for (score, label) in rows {
            match blocks.last_mut() {
                Some(last) if last.to == score => last.take(u64::from(label), 1),
                _ => blocks.push(Pool { from: score, to: score, positives: u64::from(label), rows: 1 }),
            }
        }
        let mut pooled: Vec<Pool> = Vec::with_capacity(blocks.len());
        for mut block in blocks {
            while let Some(last) = pooled.last()
                && !last.is_below(&block)
            {
                block.from = last.from;
                block.take(last.positives, last.rows);
                pooled.pop();
            }
            pooled.push(block);
        }
        let mut points = Vec::with_capacity(2 * pooled.len());
        for block in pooled {
            let probability = block.positives as f64 / block.rows as f64;
            points.push((block.from, probability));
            if block.to > block.from {
                points.push((block.to, probability));
            }
        }
        Self::new(points)
    }

    /// The points (logit, probability).
    #[must_use]
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    fn probability(&self, logit: f64) -> f64 {
        let behind = self.points.partition_point(|(x, _)| *x < logit);
        let (first, last) = (self.points[0], self.points[self.points.len() - 1]);
        match behind {
            0 => first.1,
            _ if behind == self.points.len() => last.1,
            _ => {
                let ((x0, y0), (x1, y1)) = (self.points[behind - 1], self.points[behind]);
                // Rounding is monotone, so this is; the clamp keeps it from passing the point ahead.
                (y0 + (y1 - y0) * ((logit - x0) / (x1 - x0))).clamp(y0, y1)
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Pool {
    from: f64,
    to: f64,
    positives: u64,
    rows: u64,
}

impl Pool {
    const fn take(&mut self, positives: u64, rows: u64) {
        self.positives += positives;
        self.rows += rows;
    }

    fn is_below(&self, other: &Self) -> bool {
        u128::from(self.positives) * u128::from(other.rows)
            < u128::from(other.positives) * u128::from(self.rows)
    }
}

/// The probability 1/(1 + exp(slope x + offset)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Platt {
    slope: f64,
    offset: f64,
}

impl Platt {
    /// From its numbers; the slope is not positive.
    ///
    /// # Errors
    /// [`CalibrationError::Slope`] when it is, or a number is not finite.
    pub fn new(slope: f64, offset: f64) -> Result<Self, CalibrationError> {
        if slope.is_finite() && offset.is_finite() && slope <= 0.0 {
            Ok(Self { slope, offset })
        } else {
            Err(CalibrationError::Slope)
        }
    }

    /// Fits logits and what happened, by Newton's method with backtracking.
    ///
    /// # Errors
    /// [`CalibrationError`] when input does not fit together or the fit would turn the ranking around.
    pub fn fit(scores: &[f64], labels: &[bool]) -> Result<Self, CalibrationError> {
        check(scores, labels)?;
        let positives = labels.iter().filter(|label| **label).count() as f64;
        let negatives = labels.len() as f64 - positives;
        let high = (positives + 1.0) / (positives + 2.0);
        let low = 1.0 / (negatives + 2.0);
        let target = |label: bool| if label { high } else { low };
        let loss = |a: f64, b: f64| -> f64 {
            scores
                .iter()
                .zip(labels)
                .map(|(&x, &label)| {
                    let f = a * x + b;
                    let t = target(label);
                    // log(1 + exp(f)) - (1 - t) f without overflow.
                    if f >= 0.0 { t * f + ln_1p(exp(-f)) } else { (t - 1.0) * f + ln_1p(exp(f)) }
                })
                .sum()
        };
        let (mut a, mut b) = (0.0, ln((negatives + 1.0) / (positives + 1.0)));
        let mut value = loss(a, b);
        for _ in 0..STEPS_MAX {
            let (mut haa, mut hbb, mut hab, mut ga, mut gb) = (RIDGE, RIDGE, 0.0, 0.0, 0.0);
            for (&x, &label) in scores.iter().zip(labels) {
                let p = sigmoid(-(a * x + b));
                let curve = p * (1.0 - p);
                haa += x * x * curve;
                hbb += curve;
                hab += x * curve;
                let slope = target(label) - p;
                ga += x * slope;
                gb += slope;
            }
            if ga.abs() < GRADIENT_MIN && gb.abs() < GRADIENT_MIN {
                break;
            }
            let det = haa * hbb - hab * hab;
            let (da, db) = (-(hbb * ga - hab * gb) / det, -(haa * gb - hab * ga) / det);
            let descent = ga * da + gb * db;
            let mut size = 1.0;
            let next = loop {
                let (na, nb) = (a + size * da, b + size * db);
                let new = loss(na, nb);
                if new < value + 1e-4 * size * descent {
                    break Some((na, nb, new));
                }
                size /= 2.0;
                if size < 1e-10 {
                    break None;
                }
            };
            let Some((na, nb, new)) = next else { break };
            (a, b, value) = (na, nb, new);
        }
        Self::new(a, b)
    }

    /// Slope and offset.
    #[must_use]
    pub const fn numbers(&self) -> (f64, f64) {
        (self.slope, self.offset)
    }

    fn probability(&self, logit: f64) -> f64 {
        sigmoid(-(self.slope * logit + self.offset))
    }
}

#[cfg(test)]
mod tests;
