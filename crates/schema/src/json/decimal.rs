//! Exact comparison of JSON numbers by their text: no rounding, no allocation, any length.

use std::cmp::Ordering;

/// A JSON number as sign, significant digits and power of ten: `0.d1d2d3... * 10^exponent`.
///
/// Exponents saturate at 2^60, far beyond what digits can spell out; numbers beyond compare as equally far away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal<'a> {
    is_negative: bool,
    /// Digits before the point, then after it; leading zeros of the whole gone.
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// Reads `text`, which the lexer has accepted as a number.
    pub(crate) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let (is_negative, bytes) = match bytes.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, bytes),
        };
        let end = bytes.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(bytes.len());
        let (mantissa, power) = bytes.split_at(end);
        let power = power.get(1..).map_or(0, saturating_integer);
        let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let (whole, fraction) = mantissa.split_at(point);
        let fraction = fraction.get(1..).unwrap_or_default();
        let whole = without_leading_zeros(whole);
        let (fraction, n_zeros) = if whole.is_empty() {
            let stripped = without_leading_zeros(fraction);
            (stripped, fraction.len() - stripped.len())
        } else {
            (fraction, 0)
        };
        let exponent = power.saturating_add(length(whole.len())).saturating_sub(length(n_zeros));
        let mut number = Self { is_negative, whole, fraction, exponent };
        number.trim();
        number
    }

    /// Drops trailing zeros; the value stays.
    fn trim(&mut self) {
        self.fraction = without_trailing_zeros(self.fraction);
        if self.fraction.is_empty() {
            self.whole = without_trailing_zeros(self.whole);
        }
        if self.is_zero() {
            self.is_negative = false;
            self.exponent = 0;
        }
    }

    const fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    fn digits(&self) -> impl Iterator<Item = u8> + 'a {
        self.whole.iter().chain(self.fraction).map(|digit| digit - b'0')
    }

    fn n_digits(&self) -> i64 {
        length(self.whole.len() + self.fraction.len())
    }

    /// Whether the value is an integer, however it is spelled.
    pub(crate) fn is_integer(&self) -> bool {
        self.is_zero() || self.exponent >= self.n_digits()
    }

    /// Compares values.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            _ => {}
        }
        let magnitude = match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => {
                self.exponent.cmp(&other.exponent).then_with(|| self.digits().cmp(other.digits()))
            }
        };
        if self.is_negative { magnitude.reverse() } else { magnitude }
    }

    /// Whether the value is an integer multiple of `divisor`, which [`Divisor::new`] accepted.
    pub(crate) fn is_multiple_of(&self, divisor: Divisor) -> bool {
        if self.is_zero() {
            return true;
        }
        // The value is V * 10^shift * 10^divisor.exponent, V being the digits without trailing zeros.
        let shift = self.exponent.saturating_sub(self.n_digits()).saturating_sub(divisor.exponent);
        if shift < 0 {
            // V has no factor ten, so a divisor with more trailing places cannot divide it.
            return false;
        }
        let modulus = u128::from(divisor.mantissa);
        let remainder = self.digits().fold(0, |rest, digit| (rest * 10 + u128::from(digit)) % modulus);
        (remainder * power_of_ten(shift.unsigned_abs(), modulus)).is_multiple_of(modulus)
    }
}

/// A positive number that `multipleOf` may name: at most 18 significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Divisor {
    mantissa: u64,
    exponent: i64,
}

impl Divisor {
    /// Digits that keep products below 2^128.
    const DIGITS_MAX: i64 = 18;

    /// From the text of a JSON number; `None` unless it is positive and short enough.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let number = Decimal::new(text);
        if number.is_zero() || number.is_negative || number.n_digits() > Self::DIGITS_MAX {
            return None;
        }
        let mantissa = number.digits().fold(0, |sum, digit| sum * 10 + u64::from(digit));
        Some(Self { mantissa, exponent: number.exponent.saturating_sub(number.n_digits()) })
    }
}

/// `10^power mod modulus`, by squaring. `modulus` is below 2^64, so no product overflows.
fn power_of_ten(mut power: u64, modulus: u128) -> u128 {
    let (mut result, mut base) = (1 % modulus, 10 % modulus);
    while power > 0 {
        if power & 1 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        power >>= 1;
    }
    result
}

/// An optional sign and digits; saturates at the bounds that keep later sums exact.
fn saturating_integer(text: &[u8]) -> i64 {
    const LIMIT: i64 = 1 << 60;
    let (is_negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().fold(0i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit.wrapping_sub(b'0'))).min(LIMIT)
    });
    if is_negative { -value } else { value }
}

fn length(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    &digits[start..]
}

fn without_trailing_zeros(digits: &[u8]) -> &[u8] {
    let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    &digits[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compare(a: &str, b: &str) -> Ordering {
        Decimal::new(a).compare(&Decimal::new(b))
    }

    #[test]
    fn spellings_of_one_value_are_equal() {
        for group in [
            &["0", "-0", "0.0", "0e9", "0.000E-3"][..],
            &["1", "1.0", "10e-1", "0.1e1", "0.01E+2"],
            &["-120", "-1.2e2", "-120.000"],
            &["1e999999999999", "10e999999999998"],
        ] {
            for a in group {
                for b in group {
                    assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn no_precision_is_lost() {
        assert_eq!(compare("0.1000000000000000000000000001", "0.1"), Ordering::Greater);
        assert_eq!(compare("9007199254740993", "9007199254740992"), Ordering::Greater);
        assert_eq!(compare("-9007199254740993", "-9007199254740992"), Ordering::Less);
        assert!(Decimal::new("1e400").is_integer());
        assert!(Decimal::new("1.50e1").is_integer());
        assert!(!Decimal::new("1.05e1").is_integer());
        let step = Divisor::new("0.01").unwrap();
        assert!(Decimal::new("0.07").is_multiple_of(step));
        assert!(Decimal::new("1e300").is_multiple_of(step));
        assert!(!Decimal::new("0.075").is_multiple_of(step));
        assert!(!Decimal::new("10").is_multiple_of(Divisor::new("3").unwrap()));
        assert!(Decimal::new("30").is_multiple_of(Divisor::new("15").unwrap()));
        assert!(Divisor::new("0").is_none() && Divisor::new("-1").is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_integers(a in -100_000i64..100_000, b in -100_000i64..100_000, n in 0u32..4, m in 1u64..500) {
            // a/10^n against b/10^n, spelled in two ways.
            let spelled = |v: i64| format!("{v}e-{n}");
            prop_assert_eq!(compare(&spelled(a), &spelled(b)), a.cmp(&b));
            let plain = format!("{a}.000");
            prop_assert_eq!(compare(&plain, &a.to_string()), Ordering::Equal);
            let divisor = Divisor::new(&format!("{m}e-{n}")).unwrap();
            prop_assert_eq!(Decimal::new(&spelled(a)).is_multiple_of(divisor), a.unsigned_abs().is_multiple_of(m));
            prop_assert_eq!(Decimal::new(&spelled(a)).is_integer(), a.unsigned_abs().is_multiple_of(10u64.pow(n)));
        }
    }
}
