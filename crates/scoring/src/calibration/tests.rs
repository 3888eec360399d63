use proptest::prelude::*;

use super::*;
use crate::{metrics, random::Random};

#[test]
fn violators_are_pooled() {
    let scores = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let labels = [false, true, false, true, true, true];
    let fit = Isotonic::fit(&scores, &labels).unwrap();
    assert_eq!(fit.points(), [(1.0, 0.0), (2.0, 0.5), (3.0, 0.5), (4.0, 1.0), (6.0, 1.0)]);
    let fit = Calibration::Isotonic(fit);
    for (logit, expected) in
        [(f64::NEG_INFINITY, 0.0), (1.5, 0.25), (2.7, 0.5), (3.5, 0.75), (9.0, 1.0), (f64::INFINITY, 1.0)]
    {
        assert_eq!(fit.probability(logit), expected, "{logit}");
    }
}

#[test]
fn a_logistic_truth_is_found_again() {
    let mut random = Random::new(9);
    let mut rows = Vec::new();
    for _ in 0..20_000 {
        let x = random.unit() * 8.0 - 4.0;
        rows.push((x, random.unit() < sigmoid(1.5 * x - 1.0)));
    }
    let (scores, labels): (Vec<f64>, Vec<bool>) = rows.into_iter().unzip();
    let platt = Platt::fit(&scores, &labels).unwrap();
    let (slope, offset) = platt.numbers();
    assert!((slope + 1.5).abs() < 0.06 && (offset - 1.0).abs() < 0.06, "{slope} {offset}");
    let isotonic = Isotonic::fit(&scores, &labels).unwrap();
    for calibration in [Calibration::Platt(platt), Calibration::Isotonic(isotonic)] {
        let probabilities: Vec<f64> = scores.iter().map(|x| calibration.probability(*x)).collect();
        let table = metrics::reliability(&probabilities, &labels, 10).unwrap();
        assert!(metrics::expected_calibration_error(&table) < 0.02);
        let raw: Vec<f64> = scores.iter().map(|x| sigmoid(*x)).collect();
        assert!(metrics::brier(&probabilities, &labels).unwrap() < metrics::brier(&raw, &labels).unwrap());
    }
}

#[test]
fn few_rows_give_no_certainty() {
    let platt = Platt::fit(&[-1.0, 1.0], &[false, true]).unwrap();
    let p = Calibration::Platt(platt).probability(1.0);
    assert!((p - 2.0 / 3.0).abs() < 1e-6, "{p}");
    assert_eq!(Platt::fit(&[1.0, -1.0], &[false, true]), Err(CalibrationError::Slope));
}

#[test]
fn what_does_not_fit_is_refused() {
    let fit = |scores: &[f64], labels: &[bool]| Isotonic::fit(scores, labels).unwrap_err();
    assert_eq!(fit(&[], &[]), CalibrationError::Empty);
    assert_eq!(fit(&[1.0], &[]), CalibrationError::WrongLength { scores: 1, labels: 0 });
    assert_eq!(fit(&[1.0], &[true]), CalibrationError::OneLabel);
    assert_eq!(fit(&[0.0, f64::NAN], &[true, false]), CalibrationError::Score { row: 1 });
    assert_eq!(fit(&[0.0, 1e10], &[true, false]), CalibrationError::Score { row: 1 });
    let new = |points: &[(f64, f64)]| Isotonic::new(points.to_vec()).unwrap_err();
    assert_eq!(new(&[]), CalibrationError::Empty);
    assert_eq!(new(&[(0.0, 0.5), (0.0, 0.6)]), CalibrationError::Points { point: 1 });
    assert_eq!(new(&[(0.0, 0.5), (1.0, 0.4)]), CalibrationError::Points { point: 1 });
    assert_eq!(new(&[(0.0, 1.5)]), CalibrationError::Points { point: 0 });
    assert_eq!(Platt::new(0.1, 0.0), Err(CalibrationError::Slope));
    assert_eq!(Platt::new(-1.0, f64::NAN), Err(CalibrationError::Slope));
}

proptest! {
    #[test]
    fn calibrations_never_fall(
        rows in prop::collection::vec(((-20i8..20).prop_map(|n| f64::from(n) / 3.0), any::<bool>()), 2..80),
        probes in prop::collection::vec(-9.0f64..9.0, 2..50),
    ) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = rows.into_iter().unzip();
        prop_assume!(labels.iter().any(|label| *label) && labels.iter().any(|label| !*label));
        let mut probes = probes;
        probes.sort_unstable_by(f64::total_cmp);
        let mut calibrations = vec![Calibration::Isotonic(Isotonic::fit(&scores, &labels).unwrap())];
        calibrations.extend(Platt::fit(&scores, &labels).map(Calibration::Platt));
        for calibration in calibrations {
            let probabilities: Vec<f64> = probes.iter().map(|x| calibration.probability(*x)).collect();
            prop_assert!(probabilities.is_sorted());
            prop_assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    /// No other monotone choice of values at the logits is nearer in squares: moving any block up or down is worse.
    #[test]
    fn isotonic_is_the_nearest_monotone_function(
        rows in prop::collection::vec(((0u8..12).prop_map(f64::from), any::<bool>()), 2..60),
    ) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = rows.iter().copied().unzip();
        prop_assume!(labels.iter().any(|label| *label) && labels.iter().any(|label| !*label));
        let fit = Calibration::Isotonic(Isotonic::fit(&scores, &labels).unwrap());
        // The min-max formula: the largest over starts of the smallest over ends of the mean between them.
        for x in 0..12u8 {
            if !scores.contains(&f64::from(x)) { continue; }
            let mean = |from: u8, to: u8| {
                let inside: Vec<f64> = rows
                    .iter()
                    .filter(|(score, _)| (f64::from(from)..=f64::from(to)).contains(score))
                    .map(|(_, label)| f64::from(u8::from(*label)))
                    .collect();
                (!inside.is_empty()).then(|| inside.iter().sum::<f64>() / inside.len() as f64)
            };
            let expected = (0..=x)
                .filter(|from| scores.contains(&f64::from(*from)))
                .map(|from| (x..12).filter_map(|to| mean(from, to)).fold(f64::INFINITY, f64::min))
                .fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((fit.probability(f64::from(x)) - expected).abs() < 1e-12);
        }
    }
}
