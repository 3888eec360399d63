//! Money as exact decimals.

use std::{fmt, ops::Neg};

use rust_decimal::Decimal;

/// Why a text is not an amount, or an operation has no exact result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// Not a plain decimal number.
    #[error("not a decimal number: {text:?}")]
    Malformed {
        /// The offending text, cut to 64 characters.
        text: String,
    },
    /// Negative where only non-negative makes sense.
    #[error("amount is negative: {text:?}")]
    Negative {
        /// The offending text.
        text: String,
    },
    /// The result needs more than 96 bits or 28 decimal places.
    #[error("amount is out of range")]
    OutOfRange,
}

/// An exact decimal with up to 28 significant digits; may be negative (differences of balances). Never a float.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Amount(Decimal);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Parses plain decimal notation such as `0.001`; no exponent, sign allowed, at most 28 digits. A longer
    /// fraction is an error, never rounded.
    ///
    /// # Errors
    /// [`AmountError::Malformed`] or [`AmountError::OutOfRange`].
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let malformed = || AmountError::Malformed { text: text.chars().take(64).collect() };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = !digits.is_empty()
            && digits.len() <= 48
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && digits.bytes().filter(|byte| *byte == b'.').count() <= 1
            && digits.bytes().any(|byte| byte.is_ascii_digit());
        if !plain {
            return Err(malformed());
        }
        Decimal::from_str_exact(text).map(Self).map_err(|_| AmountError::OutOfRange)
    }

    /// As [`Amount::parse`], refusing negative numbers.
    ///
    /// # Errors
    /// As [`Amount::parse`], or [`AmountError::Negative`].
    pub fn parse_non_negative(text: &str) -> Result<Self, AmountError> {
        let amount = Self::parse(text)?;
        if amount.0.is_sign_negative() && !amount.0.is_zero() {
            return Err(AmountError::Negative { text: text.chars().take(64).collect() });
        }
        Ok(amount)
    }

    /// `mantissa * 10^-scale`; `scale` at most 28.
    ///
    /// # Errors
    /// [`AmountError::OutOfRange`] when it does not fit.
    pub fn from_parts(mantissa: i128, scale: u32) -> Result<Self, AmountError> {
        Decimal::try_from_i128_with_scale(mantissa, scale).map(Self).map_err(|_| AmountError::OutOfRange)
    }

    /// The canonical (mantissa, scale) pair without trailing zeroes: equal amounts have equal parts.
    #[must_use]
    pub fn parts(self) -> (i128, u32) {
        let canonical = self.0.normalize();
        (canonical.mantissa(), canonical.scale())
    }

    /// Whether it is exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Whether it is below nothing.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self < Self::ZERO
    }

    /// Sum, or `None` out of range.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Difference, or `None` out of range.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Product, or `None` out of range. Beyond 28 digits the last one is rounded half to even.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        self.0.checked_mul(other.0).map(Self)
    }

    /// Quotient, or `None` on division by zero or out of range. Rounded at the 28th digit.
    #[must_use]
    pub fn checked_div(self, other: Self) -> Option<Self> {
        self.0.checked_div(other.0).map(Self)
    }

    /// Rounded towards zero to `places` decimal places.
    #[must_use]
    pub fn truncate(self, places: u32) -> Self {
        Self(self.0.trunc_with_scale(places))
    }

    /// Nearest float, for statistics only; never for balances.
    #[must_use]
    pub fn to_f64_lossy(self) -> f64 {
        use rust_decimal::prelude::ToPrimitive as _;
        self.0.to_f64().unwrap_or(f64::NAN)
    }
}

impl Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimals_parse() {
        for text in ["", ".", "-", "1e5", "0x10", " 1", "1_000", "1..2", "NaN", "+1"] {
            assert!(matches!(Amount::parse(text), Err(AmountError::Malformed { .. })), "{text}");
        }
        assert_eq!(Amount::parse("1.50").unwrap(), Amount::parse("1.5").unwrap());
        assert_eq!(Amount::parse("1.50").unwrap().to_string(), "1.5");
        assert_eq!(Amount::parse("1.50").unwrap().parts(), (15, 1));
        assert!(Amount::parse_non_negative("-0.1").is_err());
        assert_eq!(Amount::parse(&"9".repeat(40)), Err(AmountError::OutOfRange));
    }

    #[test]
    fn tenths_add_up() {
        let tenth = Amount::parse("0.1").unwrap();
        let sum = (0..10).fold(Amount::ZERO, |sum, _| sum.checked_add(tenth).unwrap());
        assert_eq!(sum.to_string(), "1");
    }
}
