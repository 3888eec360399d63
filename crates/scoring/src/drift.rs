//! Whether scores and features still look as they did when the model was made.
//!
//! - [`Reference`]: population stability index over quantile bins of a reference sample. The usual reading: below 0.1
//!   stable, above 0.25 shifted.
//! - [`kolmogorov_smirnov`]: the largest distance between two empirical distributions and how likely it is by chance.
//! - [`Adwin`]: a window over a stream that forgets its past when its mean has changed (Bifet and Gavalda, "Learning
//!   from Time-Changing Data with Adaptive Windowing", SDM 2007).
//!
//! Sans-IO: what is compared and when is the caller's business. A shift says that the model should be judged again,
//! not that it is worse.
//!
//! # Bounds
//! [`BINS_MAX`] bins; ADWIN keeps at most [`ROWS_MAX`] times [`BUCKETS`] + 1 buckets, whatever the stream's length.

use thiserror::Error;

use crate::math::{exp, ln};

/// Bins of a reference, at most.
pub const BINS_MAX: usize = 1_000;
/// Buckets of one size that ADWIN keeps (the paper's M).
pub const BUCKETS: usize = 5;
/// Sizes of buckets: powers of two below 2^32.
pub const ROWS_MAX: usize = 32;
/// Values between two searches for a change.
const CLOCK: u64 = 32;
/// Values a side of the window must have to be compared.
const SIDE_MIN: u64 = 5;
/// The share an empty bin counts as: without it such a bin alone would be an infinite shift.
const SHARE_MIN: f64 = 1e-4;

/// Why drift cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DriftError {
    /// A parameter outside its range.
    #[error("the parameter `{name}` is outside its range")]
    BadParameter {
        /// Which one.
        name: &'static str,
    },
    /// No values.
    #[error("there are no values")]
    Empty,
    /// A value that is no number where there must be one.
    #[error("value {index} is not a number")]
    NotANumber {
        /// Which value, counted from 0.
        index: usize,
    },
    /// A value outside [0, 1].
    #[error("the value is outside 0 to 1")]
    OutOfRange,
}

/// What a sample looked like: counts in bins of about equal size, and of unknown values.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Ascending; a value belongs to the bin of the first cut it does not exceed.
    cuts: Vec<f64>,
    /// One for each bin, the last for unknown values.
    counts: Vec<u64>,
}

impl Reference {
    /// Cuts a sample at its quantiles; NaN is an unknown value.
    ///
    /// # Errors
    /// [`DriftError`] when there is no known value, or `bins` is not in 2 to [`BINS_MAX`].
    pub fn new(sample: &[f64], bins: usize) -> Result<Self, DriftError> {
        if !(2..=BINS_MAX).contains(&bins) {
            return Err(DriftError::BadParameter { name: "bins" });
        }
        let mut known: Vec<f64> = sample.iter().copied().filter(|value| !value.is_nan()).collect();
        if known.is_empty() {
            return Err(DriftError::Empty);
        }
        known.sort_unstable_by(f64::total_cmp);
        let mut cuts: Vec<f64> = (1..bins).map(|bin| known[(bin * known.len()).div_ceil(bins) - 1]).collect();
        cuts.dedup();
        let mut reference = Self { cuts, counts: Vec::new() };
        reference.counts = reference.count(sample);
        Ok(reference)
    }

    fn count(&self, sample: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; self.cuts.len() + 2];
        for value in sample {
            let bin = if value.is_nan() {
                self.cuts.len() + 1
            } else {
                self.cuts.partition_point(|cut| cut < value)
            };
            counts[bin] += 1;
        }
        counts
    }

    /// The population stability index of another sample: the sum over bins of (q - p) ln(q / p), p and q being the
    /// shares of the reference and of the sample, each at least 0.0001.
    ///
    /// # Errors
    /// [`DriftError::Empty`] when there is no value.
    pub fn psi(&self, sample: &[f64]) -> Result<f64, DriftError> {
        if sample.is_empty() {
            return Err(DriftError::Empty);
        }
        let counts = self.count(sample);
        let share = |counts: &[u64], bin: usize| {
            let total: u64 = counts.iter().sum();
            (counts[bin] as f64 / total as f64).max(SHARE_MIN)
        };
        Ok((0..counts.len())
            .map(|bin| {
                let (p, q) = (share(&self.counts, bin), share(&counts, bin));
                (q - p) * ln(q / p)
            })
            .sum())
    }
}

/// The distance of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov {
    /// The largest distance of the two distribution functions, in [0, 1].
    pub statistic: f64,
    /// How likely a distance of this size is if both samples have one distribution; asymptotic, for some 10 values
    /// each.
    pub p_value: f64,
}

/// The two-sample Kolmogorov-Smirnov test.
///
/// # Errors
/// [`DriftError`] when a sample is empty or has a NaN.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Result<KolmogorovSmirnov, DriftError> {
    let sorted = |sample: &[f64]| {
        if sample.is_empty() {
            return Err(DriftError::Empty);
        }
        if let Some(index) = sample.iter().position(|value| value.is_nan()) {
            return Err(DriftError::NotANumber { index });
        }
        let mut sorted: Vec<f64> = sample.iter().map(|value| value + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Ok(sorted)
    };
    let (a, b) = (sorted(a)?, sorted(b)?);
    let (mut i, mut j) = (0, 0);
    let mut statistic = 0.0f64;
    while i < a.len() && j < b.len() {
        let value = a[i].min(b[j]);
        while i < a.len() && a[i] <= value {
            i += 1;
        }
        while j < b.len() && b[j] <= value {
            j += 1;
        }
        statistic = statistic.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let root = (n * m / (n + m)).sqrt();
    // Stephens' correction for finite samples.
    Ok(KolmogorovSmirnov { statistic, p_value: kolmogorov((root + 0.12 + 0.11 / root) * statistic) })
}

/// The chance that the Kolmogorov distribution exceeds `x`.
fn kolmogorov(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0; // below 1e-12 of it
    }
    let mut sum = 0.0;
    for k in 1..=100 {
        let k = f64::from(k);
        let term = exp(-2.0 * k * k * x * x);
        sum += if k % 2.0 == 1.0 { term } else { -term };
        if term < 1e-16 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// A change that ADWIN found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Mean of the values it forgot.
    pub before: f64,
    /// Mean of the values it kept.
    pub after: f64,
    /// How many it forgot.
    pub forgotten: u64,
}

/// Neighbouring values summed up.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    sum: f64,
    /// Sum of squared distances from the bucket's mean.
    spread: f64,
}

/// A window over a stream of values in [0, 1] whose length follows the data: it grows while the mean stays, and
/// forgets the older part when the two parts' means differ by more than chance allows.
#[derive(Debug, Clone)]
pub struct Adwin {
    delta: f64,
    /// `rows[i]` holds buckets of 2^i values, oldest first; higher rows are older.
    rows: Vec<Vec<Bucket>>,
    width: u64,
    seen: u64,
}

impl Adwin {
    /// Without values. `delta` bounds the chance of a false alarm in one search, in (0, 1); 0.002 is usual.
    ///
    /// # Errors
    /// [`DriftError::BadParameter`].
    pub fn new(delta: f64) -> Result<Self, DriftError> {
        if delta > 0.0 && delta < 1.0 {
            Ok(Self { delta, rows: Vec::new(), width: 0, seen: 0 })
        } else {
            Err(DriftError::BadParameter { name: "delta" })
        }
    }

    /// Values in the window.
    #[must_use]
    pub const fn width(&self) -> u64 {
        self.width
    }

    /// Mean of the window; `None` without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.width > 0).then(|| self.total() / self.width as f64)
    }

    fn total(&self) -> f64 {
        self.oldest_first().map(|(_, bucket)| bucket.sum).sum()
    }

    /// Buckets with their number of values, from the oldest.
    fn oldest_first(&self) -> impl Iterator<Item = (u64, Bucket)> {
        self.rows
            .iter()
            .enumerate()
            .rev()
            .flat_map(|(row, buckets)| buckets.iter().map(move |bucket| (1u64 << row, *bucket)))
    }

    /// Takes a value in; the change if one shows now. The past is forgotten only as far as is certain, so one change of
    /// the stream may show as several in a row.
    ///
    /// # Errors
    /// [`DriftError::OutOfRange`]; nothing is taken in then.
    pub fn add(&mut self, value: f64) -> Result<Option<Change>, DriftError> {
        if !(0.0..=1.0).contains(&value) {
            return Err(DriftError::OutOfRange);
        }
        self.push(value);
        self.seen += 1;
        if !self.seen.is_multiple_of(CLOCK) || self.width < 2 * SIDE_MIN {
            return Ok(None);
        }
        let (mut forgotten, mut sum) = (0, 0.0);
        while self.is_changed() {
            let Some((values, bucket)) = self.drop_oldest() else { break };
            forgotten += values;
            sum += bucket.sum;
        }
        let after = self.mean().unwrap_or(0.0);
        Ok((forgotten > 0).then(|| Change { before: sum / forgotten as f64, after, forgotten }))
    }

    fn push(&mut self, value: f64) {
        let mut bucket = Bucket { sum: value, spread: 0.0 };
        self.width += 1;
        for row in 0..ROWS_MAX {
            if self.rows.len() == row {
                self.rows.push(Vec::with_capacity(BUCKETS + 1));
            }
            self.rows[row].push(bucket);
            if self.rows[row].len() <= BUCKETS {
                return;
            }
            // Two of the oldest become one of the next size.
            let (first, second) = (self.rows[row].remove(0), self.rows[row].remove(0));
            let size = (1u64 << row) as f64;
            let gap = (first.sum - second.sum) / size;
            let spread = first.spread + second.spread + gap * gap * size / 2.0;
            bucket = Bucket { sum: first.sum + second.sum, spread };
        }
        // Beyond the last row the oldest values go.
        self.width -= 1u64 << ROWS_MAX;
    }

    fn drop_oldest(&mut self) -> Option<(u64, Bucket)> {
        let row = self.rows.iter().rposition(|buckets| !buckets.is_empty())?;
        let bucket = self.rows[row].remove(0);
        self.rows.truncate(row + 1);
        self.width -= 1u64 << row;
        Some((1u64 << row, bucket))
    }

    /// Whether some cut divides the window into parts whose means differ by more than the paper's bound (its
    /// variance form, with delta' = delta / ln(width)).
    fn is_changed(&self) -> bool {
        if self.width < 2 * SIDE_MIN {
            return false;
        }
        let width = self.width as f64;
        let total = self.total();
        let mean = total / width;
        let variance = self
            .oldest_first()
            .map(|(values, bucket)| {
                let gap = bucket.sum / values as f64 - mean;
                bucket.spread + gap * gap * values as f64
            })
            .sum::<f64>()
            / width;
        let log = ln(2.0 * ln(width) / self.delta);
        let (mut n0, mut sum0) = (0u64, 0.0);
        for (values, bucket) in self.oldest_first() {
            n0 += values;
            sum0 += bucket.sum;
            let n1 = self.width - n0;
            if n0 < SIDE_MIN {
                continue;
            }
            if n1 < SIDE_MIN {
                break;
            }
            let inverse = 1.0 / n0 as f64 + 1.0 / n1 as f64;
            let bound = (2.0 * inverse * variance * log).sqrt() + 2.0 / 3.0 * inverse * log;
            if (sum0 / n0 as f64 - (total - sum0) / n1 as f64).abs() > bound {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Random;

    fn sample(seed: u64, n: usize, shift: f64) -> Vec<f64> {
        let mut random = Random::new(seed);
        (0..n).map(|_| random.unit() + random.unit() + shift).collect()
    }

    #[test]
    fn a_shift_shows_and_sameness_does_not() {
        let reference = Reference::new(&sample(1, 5_000, 0.0), 10).unwrap();
        assert!(reference.psi(&sample(2, 5_000, 0.0)).unwrap() < 0.01);
        assert!(reference.psi(&sample(3, 5_000, 0.4)).unwrap() > 0.25);
        let unknown: Vec<f64> = sample(4, 1_000, 0.0)
            .into_iter()
            .enumerate()
            .map(|(index, value)| if index % 3 == 0 { f64::NAN } else { value })
            .collect();
        assert!(reference.psi(&unknown).unwrap() > 0.25, "values became unknown");
        // A crowd at one value is one bin.
        let crowd = Reference::new(&[0.0; 100], 10).unwrap();
        assert!(crowd.psi(&[0.0; 50]).unwrap() < 1e-3);
        assert!(crowd.psi(&[1.0; 50]).unwrap() > 1.0);
        assert_eq!(Reference::new(&[f64::NAN], 10), Err(DriftError::Empty));
        assert_eq!(Reference::new(&[1.0], 1), Err(DriftError::BadParameter { name: "bins" }));
    }

    #[test]
    fn the_distance_of_two_samples() {
        let same = kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((same.statistic, same.p_value), (0.0, 1.0));
        let apart = kolmogorov_smirnov(&sample(1, 500, 0.0), &sample(2, 400, 2.5)).unwrap();
        assert!(apart.statistic == 1.0 && apart.p_value < 1e-100, "{apart:?}");
        let half = kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(half.statistic, 0.5);
        // Critical values of the Kolmogorov distribution.
        assert!((kolmogorov(1.358_1) - 0.05).abs() < 1e-4 && (kolmogorov(1.627_6) - 0.01).abs() < 1e-4);
        let alarms = (0..300)
            .filter(|seed| {
                let (a, b) = (sample(1_000 + seed, 120, 0.0), sample(2_000 + seed, 80, 0.0));
                kolmogorov_smirnov(&a, &b).unwrap().p_value < 0.05
            })
            .count();
        assert!((5..=27).contains(&alarms), "{alarms} of 300 at 5 %");
        assert_eq!(kolmogorov_smirnov(&[], &[1.0]), Err(DriftError::Empty));
        assert_eq!(kolmogorov_smirnov(&[1.0], &[f64::NAN]), Err(DriftError::NotANumber { index: 0 }));
    }

    #[test]
    fn a_changed_mean_is_found_soon_and_the_past_forgotten() {
        let mut adwin = Adwin::new(0.002).unwrap();
        let mut random = Random::new(11);
        for _ in 0..3_000 {
            let hit = f64::from(u8::from(random.unit() < 0.2));
            assert_eq!(adwin.add(hit).unwrap(), None, "a false alarm");
        }
        assert_eq!(adwin.width(), 3_000);
        let found = (1..500).find_map(|n| {
            let hit = f64::from(u8::from(random.unit() < 0.5));
            adwin.add(hit).unwrap().map(|change| (n, change))
        });
        let (delay, change) = found.expect("the change is found");
        assert!(delay < 200, "{delay}");
        assert!((change.before - 0.2).abs() < 0.05 && change.after > 0.25, "{change:?}");
        for _ in 0..1_000 {
            adwin.add(f64::from(u8::from(random.unit() < 0.5))).unwrap();
        }
        assert!((adwin.mean().unwrap() - 0.5).abs() < 0.06);
    }

    #[test]
    fn false_alarms_are_rare() {
        let mut alarms = 0;
        for seed in 0..20 {
            let mut adwin = Adwin::new(0.002).unwrap();
            let mut random = Random::new(seed);
            for _ in 0..5_000 {
                alarms += u32::from(adwin.add(random.unit()).unwrap().is_some());
            }
        }
        assert!(alarms <= 2, "{alarms} in 100,000 values");
    }

    #[test]
    fn values_outside_are_refused() {
        let mut adwin = Adwin::new(0.5).unwrap();
        for value in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
            assert_eq!(adwin.add(value), Err(DriftError::OutOfRange));
        }
        assert_eq!((adwin.width(), adwin.mean()), (0, None));
        assert_eq!(Adwin::new(0.0).unwrap_err(), DriftError::BadParameter { name: "delta" });
    }

    proptest! {
        #[test]
        fn the_window_is_the_youngest_values(values in prop::collection::vec(0.0f64..=1.0, 1..600)) {
            let mut adwin = Adwin::new(0.01).unwrap();
            for (index, value) in values.iter().enumerate() {
                adwin.add(*value).unwrap();
                let width = usize::try_from(adwin.width()).unwrap();
                let window = &values[index + 1 - width..=index];
                let mean = window.iter().sum::<f64>() / width as f64;
                prop_assert!((adwin.mean().unwrap() - mean).abs() < 1e-9);
                let buckets: usize = adwin.rows.iter().map(Vec::len).sum();
                prop_assert!(buckets <= (BUCKETS + 1) * (width.ilog2() as usize + 1));
                let values: u64 = adwin.oldest_first().map(|(values, _)| values).sum();
                prop_assert_eq!(values, adwin.width());
            }
        }

        #[test]
        fn psi_is_never_negative(
            a in prop::collection::vec(-3.0f64..3.0, 1..50),
            b in prop::collection::vec(-3.0f64..3.0, 1..50),
        ) {
            let psi = Reference::new(&a, 5).unwrap().psi(&b).unwrap();
            prop_assert!(psi >= 0.0);
            let ks = kolmogorov_smirnov(&a, &b).unwrap();
            prop_assert!((0.0..=1.0).contains(&ks.statistic) && (0.0..=1.0).contains(&ks.p_value));
            prop_assert_eq!(ks, kolmogorov_smirnov(&b, &a).unwrap());
        }
    }
}
