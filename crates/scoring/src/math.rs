//! Exponential and logarithm out of additions, multiplications and divisions in a fixed order.
//!
//! The system's mathematics library chooses its code by processor, and the last bit with it. A model must be the same
//! from the same rows, and a probability from the same logit, on every machine that replays a decision. `sqrt` is
//! exact by IEEE 754 and needs no own.

/// ln 2 in two parts; the first has 32 bits, so that whole multiples of it are exact.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Adding and taking away 1.5 * 2^52 rounds to a whole number.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// Terms of the exponential's series: |rest| is at most 0.3466, and 0.3466^14 / 14! is below 1e-17.
const TERMS: usize = 14;
/// 1/n! from n = 0.
const SERIES: [f64; TERMS] = {
    let mut series = [1.0; TERMS];
    let mut factorial = 1.0;
    let mut n = 1;
    while n < TERMS {
        factorial *= n as f64; // exact up to 18!
        series[n] = 1.0 / factorial;
        n += 1;
    }
    series
};

/// The exponential, to within 1e-15 of itself; zero below -708, infinite above 709, NaN of NaN.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the exponent is 2 to 2,046")]
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
    let whole = (x * std::f64::consts::LOG2_E + ROUNDER) - ROUNDER;
    let rest = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    let mut sum = 0.0;
    for term in SERIES.iter().rev() {
        sum = sum * rest + term;
    }
    sum * f64::from_bits(((whole as i64 + 1_023) as u64) << 52)
}

/// The natural logarithm of a normal number above zero, to within 1e-15 (absolute, or of itself if that is more); NaN
/// for others.
pub(crate) fn ln(x: f64) -> f64 {
    if !x.is_normal() || x < 0.0 {
        return f64::NAN;
    }
    let bits = x.to_bits();
    let mut exponent = i32::try_from(bits >> 52).unwrap_or(0) - 1_023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1_023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    let whole = f64::from(exponent);
    whole * LN_2_HIGH + (twice_artanh((mantissa - 1.0) / (mantissa + 1.0)) + whole * LN_2_LOW)
}

/// ln(1 + x) for x in [0, 1], exact to the last bits for small x too.
pub(crate) fn ln_1p(x: f64) -> f64 {
    twice_artanh(x / (2.0 + x))
}

/// 2 artanh z, which is ln((1 + z) / (1 - z)), for |z| up to 1/3: the next term, z^35 / 35, is below 1e-18.
fn twice_artanh(z: f64) -> f64 {
    let square = z * z;
    let mut sum = 0.0;
    let mut odd = 33.0;
    while odd >= 1.0 {
        sum = sum * square + 1.0 / odd;
        odd -= 2.0;
    }
    2.0 * z * sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_are_what_they_say() {
        assert_eq!((exp(0.0), exp(-0.0)), (1.0, 1.0));
        assert_eq!((exp(f64::NEG_INFINITY), exp(-709.0)), (0.0, 0.0));
        assert_eq!((exp(f64::INFINITY), exp(710.0)), (f64::INFINITY, f64::INFINITY));
        assert!(exp(f64::NAN).is_nan() && exp(709.0).is_finite() && exp(-708.0) > 0.0);
        assert_eq!((ln(1.0), ln_1p(0.0)), (0.0, 0.0));
        assert!(ln(0.0).is_nan() && ln(-1.0).is_nan() && ln(f64::INFINITY).is_nan() && ln(f64::NAN).is_nan());
    }

    /// The bits of some values, so that another machine that computes others fails here.
    #[test]
    fn bits_are_the_same_everywhere() {
        let sum = (-7_000..7_000)
            .map(|step| exp(f64::from(step) / 10.0).to_bits() ^ ln(f64::from(step + 7_001)).to_bits())
            .fold(0u64, |sum, bits| sum.rotate_left(7) ^ bits);
        assert_eq!(sum, 15_012_099_181_680_684_996);
    }

    proptest! {
        #[test]
        fn values_agree_with_the_library(x in -708.0f64..709.0, small in 0.0f64..=1.0) {
            prop_assert!((exp(x) / x.exp() - 1.0).abs() < 1e-15, "exp {}", x);
            let positive = x.exp();
            prop_assert!((ln(positive) - positive.ln()).abs() <= 1e-15 * positive.ln().abs().max(1.0));
            prop_assert!((ln_1p(small) - small.ln_1p()).abs() <= 1e-15 * small.ln_1p());
            let tiny = small * 1e-12;
            prop_assert!((ln_1p(tiny) - tiny.ln_1p()).abs() <= 1e-15 * tiny.ln_1p());
        }

        #[test]
        fn probabilities_never_fall(x in -800.0f64..800.0) {
            let next = crate::model::sigmoid(x.next_up());
            prop_assert!((0.0..=1.0).contains(&next));
            prop_assert!(next - crate::model::sigmoid(x) >= -1e-15);
        }
    }
}
