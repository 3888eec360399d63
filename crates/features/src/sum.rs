//! Money that is added and later taken away without a trace.
//!
//! An [`Amount`] has 28 digits, so adding a satoshi to a large sum may round, and taking the large part away again
//! would leave the rounding behind. A sliding sum does this all the time. [`ExactSum`] keeps one integer per
//! decimal scale instead; it rounds only when the total is read, and only beyond 28 digits.

use domain::Amount;

/// The exact sum of up to 2^24 amounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExactSum {
    /// (decimal scale, sum of the mantissas of that scale), ascending by scale, no zero sums. At most 29 entries.
    by_scale: Vec<(u32, i128)>,
}

impl ExactSum {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_scale: Vec::new() }
    }

    /// Adds an amount.
    pub fn add(&mut self, amount: Amount) {
        let (mantissa, scale) = amount.parts();
        self.shift(scale, mantissa);
    }

    /// Takes an amount away that was added before.
    pub fn remove(&mut self, amount: Amount) {
        let (mantissa, scale) = amount.parts();
        self.shift(scale, -mantissa);
    }

    /// A mantissa has at most 96 bits, so 2^24 of them stay below 2^120: the addition cannot overflow.
    fn shift(&mut self, scale: u32, by: i128) {
        if by == 0 {
            return;
        }
        match self.by_scale.binary_search_by_key(&scale, |(scale, _)| *scale) {
            Ok(index) => {
                if let Some(entry) = self.by_scale.get_mut(index) {
                    entry.1 += by;
                    if entry.1 == 0 {
                        self.by_scale.remove(index);
                    }
                }
            }
            Err(index) => self.by_scale.insert(index, (scale, by)),
        }
    }

    /// The total; `None` when it exceeds what an [`Amount`] can hold. Digits beyond the 28th are rounded.
    #[must_use]
    pub fn total(&self) -> Option<Amount> {
        self.by_scale.iter().try_fold(Amount::ZERO, |total, (scale, mantissa)| {
            total.checked_add(Amount::from_parts(*mantissa, *scale).ok()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_amount_leaves_no_trace() {
        let dust = Amount::parse("0.000000000000000001").unwrap();
        let whale = Amount::parse("12345678901234567890123").unwrap();
        let mut sum = ExactSum::new();
        sum.add(dust);
        sum.add(whale);
        sum.remove(whale);
        assert_eq!(sum.total(), Some(dust));
        sum.remove(dust);
        assert_eq!(sum, ExactSum::new());
    }

    #[test]
    fn beyond_the_range_is_none() {
        let most = Amount::from_parts((1 << 96) - 1, 0).unwrap();
        let mut sum = ExactSum::new();
        sum.add(most);
        assert_eq!(sum.total(), Some(most));
        sum.add(most);
        assert_eq!(sum.total(), None);
    }
}
