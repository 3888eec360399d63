//! Numbers that meet: integers and floats compared exactly, durations as text, parts of times.

use std::cmp::Ordering;

/// Nanoseconds in the units of a duration, largest first. CEL has no day; people who write rules do.
const UNITS: [(&str, i64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("ms", 1_000_000),
    ("m", 60_000_000_000),
    ("us", 1_000),
    ("ns", 1),
    ("s", 1_000_000_000),
];
pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2^63 as a float: the first one above every integer.
const INT_END: f64 = 9_223_372_036_854_775_808.0;
/// 2^53: up to here every integer is a float.
const EXACT_MAX: u64 = 1 << 53;

/// The nearest float of an integer.
#[allow(clippy::cast_precision_loss, reason = "promotion to double rounds, as documented")]
pub(crate) const fn to_double(value: i64) -> f64 {
    value as f64
}

/// The float that equals an integer, if its neighbourhood is exact.
pub(crate) fn exact_double(value: i64) -> Option<f64> {
    (value.unsigned_abs() <= EXACT_MAX).then(|| to_double(value))
}

/// A float without its fraction, if that is an integer; CEL's `int()`.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked and the fraction is to go")]
pub(crate) fn to_int(value: f64) -> Option<i64> {
    (value.is_finite() && (-INT_END..INT_END).contains(&value)).then_some(value as i64)
}

/// The integer that equals a float.
pub(crate) fn exact_int(value: f64) -> Option<i64> {
    to_int(value).filter(|_| value.fract() == 0.0)
}

/// The order of an integer and a finite float as numbers, without rounding either.
pub(crate) fn compare(int: i64, double: f64) -> Ordering {
    if double >= INT_END {
        return Ordering::Less;
    }
    match to_int(double) {
        None => Ordering::Greater,
        // The fraction has the sign of the float, so it decides between equals.
        Some(whole) => int.cmp(&whole).then_with(|| 0.0_f64.total_cmp(&(double.fract() + 0.0))),
    }
}

/// A finite float, or missing.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Parses CEL's duration text, `-1h30m`, `1.5s`, and days, `7d`. `None` if it is none or out of range.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut nanos = 0_i128;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let (unit, size) = UNITS.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        nanos = nanos.checked_add(scaled(number, i128::from(size))?)?;
        rest = &after[unit.len()..];
    }
    i64::try_from(if is_negative { -nanos } else { nanos }).ok()
}

/// A plain decimal times a unit, towards zero.
fn scaled(number: &str, size: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    if whole.len() + fraction.len() == 0 || whole.len() > 19 || fraction.len() > 18 || fraction.contains('.')
    {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    digits(whole)?.checked_mul(size)?.checked_add(digits(fraction)?.checked_mul(size)? / scale)
}

/// Units of a duration's text, largest first.
const SHOWN: [(&str, i64); 7] =
    [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

/// A duration as [`parse_duration`] reads it: every unit that is not zero, largest first.
pub(crate) fn duration_text(nanos: i64) -> String {
    let mut rest = nanos.unsigned_abs();
    let mut out = if nanos < 0 { "-".to_owned() } else { String::new() };
    for (unit, size) in SHOWN {
        let size = size.unsigned_abs();
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if nanos == 0 { "0s".to_owned() } else { out }
}

/// A part of a time that CEL's accessors give. Times are in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimePart {
    /// Of a timestamp: 0 is Sunday.
    DayOfWeek,
    /// Of a timestamp: 0 to 23.
    HourOfDay,
    /// Of a duration: whole hours in all of it.
    Hours,
    /// Of a duration: whole minutes in all of it.
    Minutes,
    /// Of a duration: whole seconds in all of it.
    Seconds,
}

impl TimePart {
    pub(crate) const fn of(self, nanos: i64) -> i64 {
        match self {
            // 1970-01-01 was a Thursday.
            Self::DayOfWeek => (nanos.div_euclid(DAY) + 4).rem_euclid(7),
            Self::HourOfDay => nanos.rem_euclid(DAY) / HOUR,
            Self::Hours => nanos / HOUR,
            Self::Minutes => nanos / MINUTE,
            Self::Seconds => nanos / SECOND,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_and_write() {
        for (text, nanos) in [
            ("24h", Some(DAY)),
            ("7d", Some(7 * DAY)),
            ("1h30m", Some(90 * MINUTE)),
            ("1.5s", Some(1_500_000_000)),
            ("-2ms", Some(-2_000_000)),
            (".5s", Some(500_000_000)),
            ("0", Some(0)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("9223372036854775808ns", None),
            ("106752d", None),
            ("1", None),
            ("", None),
            ("-", None),
            ("h", None),
            (".s", None),
            ("1..5s", None),
            ("1 h", None),
            ("99999999999999999999999999999999999999999s", None),
        ] {
            assert_eq!(parse_duration(text), nanos, "{text}");
        }
        assert_eq!(duration_text(DAY + 90 * MINUTE), "1d1h30m");
        assert_eq!(duration_text(0), "0s");
    }

    #[test]
    fn integers_and_floats_compare_without_rounding() {
        assert_eq!(compare((1 << 53) + 1, 9_007_199_254_740_992.0), Ordering::Greater);
        assert_eq!(compare(i64::MAX, 9_223_372_036_854_775_808.0), Ordering::Less);
        assert_eq!(compare(i64::MIN, -9_223_372_036_854_775_808.0), Ordering::Equal);
        assert_eq!(compare(i64::MIN, -1e300), Ordering::Greater);
        assert_eq!(compare(0, -0.0), Ordering::Equal);
        assert_eq!(compare(-1, -1.5), Ordering::Greater);
        assert_eq!(compare(1, 1.5), Ordering::Less);
        assert_eq!(to_int(-9.9e18), None);
        assert_eq!(to_int(-9_223_372_036_854_775_808.0), Some(i64::MIN));
    }

    proptest! {
        #[test]
        fn every_duration_reads_back(nanos: i64) {
            prop_assert_eq!(parse_duration(&duration_text(nanos)), Some(nanos));
        }

        #[test]
        fn small_numbers_compare_as_floats_do(int in -1000_i64..1000, quarter in -4000_i32..4000) {
            let double = f64::from(quarter) / 4.0;
            prop_assert_eq!(Some(compare(int, double)), to_double(int).partial_cmp(&double));
        }

        #[test]
        fn parsing_never_panics(text in "[-+0-9.dhmsun]{0,24}") {
            let _ = parse_duration(&text);
        }
    }
}
