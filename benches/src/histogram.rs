//! Counts of values in buckets whose width grows with the value, so that every quantile is off by 1 in 64 at most, however
//! large the values (the idea of Tene's `HdrHistogram`).

/// Buckets for each power of two.
const SUB: u64 = 64;
/// Bits of a place within a power of two.
const SUB_BITS: u32 = SUB.trailing_zeros();
/// All of a `u64`.
const BUCKETS: usize = 64 * 59;
const _: () = assert!(BUCKETS as u64 == SUB * (64 - SUB_BITS as u64 + 1));

/// Counts of values.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    largest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, largest: 0 }
    }
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        if let Some(bucket) = self.counts.get_mut(bucket(value)) {
            *bucket += 1;
            self.count += 1;
            self.largest = self.largest.max(value);
        }
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.largest = self.largest.max(other.largest);
    }

    /// Values counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The value that this share of all values does not exceed: the upper end of its bucket, or the largest value; 0 if there
    /// are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let mut seen = 0;
        for (bucket, count) in (0..).zip(&self.counts) {
            seen += count;
            if *count > 0 && seen as f64 >= share * self.count as f64 {
                return highest(bucket).min(self.largest);
            }
        }
        self.largest
    }
}

fn bucket(value: u64) -> usize {
    let power = value.max(SUB).ilog2() - SUB_BITS;
    let place = (value >> power) + SUB * u64::from(power);
    usize::try_from(place).unwrap_or(BUCKETS)
}

/// The largest value of a bucket.
fn highest(bucket: u64) -> u64 {
    let power = (bucket / SUB).saturating_sub(1);
    let first = bucket - SUB * power;
    (u128::from(first + 1) << power).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_in_their_buckets_and_buckets_are_narrow() {
        let values =
            (0..63).flat_map(|power| [1u64 << power, (1 << power) + 1, (3 << power) - 1, (1 << power) / 3]);
        for value in values.chain([u64::MAX, 127, 128, 129]) {
            let bucket = bucket(value);
            assert!(bucket < BUCKETS, "{value}");
            let (low, high) = (
                bucket.checked_sub(1).map_or(0, |before| highest(before as u64) + 1),
                highest(bucket as u64),
            );
            assert!((low..=high).contains(&value), "{value} is not in {low}..={high}");
            assert!(high - low <= value / SUB, "{value}: {low}..={high}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        let mut values: Vec<u64> = (0..10_000).map(|n| crate::mix(n) % 1_000_000).collect();
        for half in values.chunks(5_000) {
            let mut part = Histogram::default();
            half.iter().for_each(|value| part.record(*value));
            histogram.merge(&part);
        }
        values.sort_unstable();
        assert_eq!((histogram.count(), histogram.quantile(1.0)), (10_000, values[9_999]));
        for (share, at) in [(0.0001, 0), (0.5, 4_999), (0.99, 9_899), (0.999, 9_989)] {
            let (exact, shown) = (values[at], histogram.quantile(share));
            assert!(exact <= shown && shown <= exact + exact / SUB + 1, "{share}: {shown} for {exact}");
        }
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }
}
