//! Values in a quote asset, counted in whole [`Notional`] atoms and always rounded up.
//!
//! A bound must hold whatever the digits: a product of two [`Amount`]s may need more digits than an `Amount` has, and
//! rounding to nearest could round down. So values are integers of 10^-12, every product is rounded up, and what does
//! not fit is no value.

use std::fmt;

use domain::Amount;

/// A value in 10^-12 of the quote asset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Notional(u128);

impl Notional {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Decimal places of an atom.
    pub const PLACES: u32 = 12;

    /// From atoms.
    #[must_use]
    pub const fn from_atoms(atoms: u128) -> Self {
        Self(atoms)
    }

    /// Atoms.
    #[must_use]
    pub const fn atoms(self) -> u128 {
        self.0
    }

    /// `amount` itself, rounded up; `None` if negative or out of range.
    #[must_use]
    pub fn of(amount: Amount) -> Option<Self> {
        let (mantissa, scale) = amount.parts();
        let mantissa = u128::try_from(mantissa).ok()?;
        match Self::PLACES.checked_sub(scale) {
            Some(places) => mantissa.checked_mul(10_u128.pow(places)).map(Self),
            None => Some(Self(mantissa.div_ceil(10_u128.checked_pow(scale - Self::PLACES)?))),
        }
    }

    /// This many times `factor`, rounded up; `None` if negative or out of range.
    #[must_use]
    pub fn times(self, factor: Amount) -> Option<Self> {
        let (mantissa, scale) = factor.parts();
        let product = self.0.checked_mul(u128::try_from(mantissa).ok()?)?;
        Some(Self(product.div_ceil(10_u128.checked_pow(scale)?)))
    }

    /// Sum; `None` out of range.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl fmt::Display for Notional {
    /// Decimal, without zeroes at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{self:?}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Debug for Notional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u128.pow(Self::PLACES);
        write!(f, "{}.{:012}", self.0 / unit, self.0 % unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(left: &str, right: &str) -> Option<u128> {
        Notional::of(Amount::parse(left).unwrap())?.times(Amount::parse(right).unwrap()).map(Notional::atoms)
    }

    #[test]
    fn values_are_shown_without_zeroes_at_the_end() {
        let shown = |atoms| Notional::from_atoms(atoms).to_string();
        assert_eq!([shown(0), shown(10_000_000_000_000), shown(100_500_000_000_000)], ["0", "10", "100.5"]);
        assert_eq!(shown(1), "0.000000000001");
    }

    #[test]
    fn products_are_exact_or_rounded_up() {
        assert_eq!(value("0.5", "68000.1"), Some(34_000_050_000_000_000));
        assert_eq!(value("0.0000000000001", "1"), Some(1));
        assert_eq!(value("3", "0.3333333333333"), Some(1_000_000_000_000));
        assert_eq!(value("0", "5"), Some(0));
        assert_eq!(value("1", "-1"), None);
        assert_eq!(value("79228162514264337593543950335", "79228162514264337593543950335"), None);
    }

    proptest! {
        /// Never below the exact product, and above by less than one atom per step.
        #[test]
        fn never_rounds_down(left in 0_u64.., left_scale in 0_u32..=18, right in 0_u32.., right_scale in 0_u32..=9) {
            let amount = |mantissa: u64, scale| Amount::from_parts(mantissa.into(), scale).unwrap();
            let size = amount(left, left_scale);
            let Some(found) = Notional::of(size).and_then(|size| size.times(amount(right.into(), right_scale))) else {
                return Ok(());
            };
            // exact = left * right / 10^(ls + rs), compared in units of 10^-(ls + rs)
            let unit = 10_u128.pow(left_scale + right_scale);
            let exact = u128::from(left) * u128::from(right);
            if let (Some(exact), Some(found)) =
                (exact.checked_mul(10_u128.pow(12)), found.atoms().checked_mul(unit))
            {
                prop_assert!(found >= exact);
                // The size is off by less than an atom, and so by less than `right` after the product.
                let slack = (u128::from(right) / 10_u128.pow(right_scale) + 2).checked_mul(unit);
                prop_assert!(slack.is_none_or(|slack| found - exact <= slack));
            }
        }
    }
}
