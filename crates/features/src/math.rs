//! Logarithm, exponential, sine and cosine out of additions, multiplications and divisions in a fixed order.
//!
//! The system's mathematics library chooses its code by processor, and the last bit with it. A feature must be the
//! same bits on every machine that replays it, so these four are written out; `sqrt` is exact by IEEE 754. Errors
//! stay below 2e-15 (relative; absolute for sine and cosine).

const LN_2: f64 = std::f64::consts::LN_2;

/// The natural logarithm of a number above zero; `NaN` otherwise.
pub(crate) fn ln(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    if x.is_infinite() {
        return x;
    }
    // Subnormal numbers are scaled up first.
    let (x, mut exponent) = if x < f64::MIN_POSITIVE { (x * (1_u64 << 54) as f64, -54) } else { (x, 0) };
    let bits = x.to_bits();
    exponent += i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0) - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh z with z = (m - 1) / (m + 1), |z| < 0.1716: z^23 / 23 is below 1e-18.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let square = z * z;
    let mut series = 0.0;
    for odd in (1..=21_i32).rev().step_by(2) {
        series = series * square + 1.0 / f64::from(odd);
    }
    f64::from(exponent) * LN_2 + 2.0 * z * series
}

/// The exponential; saturates at zero and infinity.
pub(crate) fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 709.0 {
        return f64::INFINITY;
    }
    if x < -708.0 {
        return 0.0;
    }
    let whole = (x / LN_2).round();
    let rest = x - whole * LN_2;
    // |rest| < 0.35: rest^15 / 15! is below 1e-19.
    let mut series = 1.0;
    for n in (1..=14_i32).rev() {
        series = 1.0 + series * rest / f64::from(n);
    }
    #[allow(clippy::cast_possible_truncation, reason = "between -1022 and 1023 by the range of x")]
    let exponent = whole as i64;
    series * f64::from_bits(u64::try_from(exponent + 1023).unwrap_or(1) << 52)
}

/// Sine and cosine of a share of a full turn between 0 and 1.
pub(crate) fn sin_cos_turn(turn: f64) -> (f64, f64) {
    // Quarters, so that the series sees at most an eighth of a turn.
    let quarters = (turn * 4.0).round();
    let angle = (turn - quarters / 4.0) * std::f64::consts::TAU;
    let square = angle * angle;
    let (mut sin, mut cos) = (1.0, 1.0);
    for n in (1..=9_i32).rev() {
        sin = 1.0 - sin * square / f64::from(2 * n * (2 * n + 1));
        cos = 1.0 - cos * square / f64::from((2 * n - 1) * 2 * n);
    }
    sin *= angle;
    if quarters == 1.0 {
        (cos, -sin)
    } else if quarters == 2.0 {
        (-sin, -cos)
    } else if quarters == 3.0 {
        (-cos, sin)
    } else {
        (sin, cos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) -> bool {
        (got - want).abs() <= 2e-15 * want.abs().max(1.0)
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_the_library(x in 1e-9_f64..1e15, y in -20.0_f64..20.0, turn in 0.0_f64..1.0) {
            proptest::prop_assert!(close(ln(x), x.ln()), "ln {x}: {} {}", ln(x), x.ln());
            proptest::prop_assert!((exp(y) / y.exp() - 1.0).abs() < 4e-15, "exp {y}: {} {}", exp(y), y.exp());
            let (sin, cos) = sin_cos_turn(turn);
            let angle = turn * std::f64::consts::TAU;
            proptest::prop_assert!(close(sin, angle.sin()) && close(cos, angle.cos()), "turn {turn}: {sin} {cos}");
        }
    }

    #[test]
    fn edges() {
        assert_eq!(ln(1.0), 0.0);
        assert!(ln(0.0).is_nan() && ln(-1.0).is_nan() && ln(f64::NAN).is_nan());
        assert!(close(ln(5e-324), 5e-324_f64.ln()));
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(1e9), f64::INFINITY);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(sin_cos_turn(0.0), (0.0, 1.0));
        assert_eq!(sin_cos_turn(0.25), (1.0, -0.0));
    }
}
