use proptest::prelude::*;

use super::*;

#[test]
fn a_constant_score_is_chance() {
    let labels = [true, false, false, false];
    assert_eq!(auc_roc(&[0.5; 4], &labels), Ok(0.5));
    assert_eq!(average_precision(&[0.5; 4], &labels), Ok(0.25));
    assert_eq!(precision_at(&[0.5; 4], &labels, 2), Ok(0.25));
    assert_eq!(recall_at_fpr(&[0.5; 4], &labels, 0.5), Ok(0.0));
    assert_eq!(recall_at_fpr(&[0.5; 4], &labels, 1.0), Ok(1.0));
}

#[test]
fn a_ranking_by_hand() {
    let scores = [0.9, 0.8, 0.8, 0.7, 0.1];
    let labels = [true, true, false, false, true];
    // Pairs: 0.9 beats both; 0.8 ties one, beats one; 0.1 beats none.
    assert_eq!(auc_roc(&scores, &labels), Ok(3.5 / 6.0));
    let third = 1.0 / 3.0;
    assert_eq!(
        average_precision(&scores, &labels),
        Ok(third * 1.0 + third * (2.0 / 3.0) + third * (3.0 / 5.0))
    );
    assert_eq!(precision_at(&scores, &labels, 1), Ok(1.0));
    assert_eq!(precision_at(&scores, &labels, 2), Ok(0.75));
    assert_eq!(precision_at(&scores, &labels, 100), Ok(0.6));
    assert_eq!(recall_at_fpr(&scores, &labels, 0.0), Ok(1.0 / 3.0));
    assert_eq!(recall_at_fpr(&scores, &labels, 0.5), Ok(2.0 / 3.0));
}

#[test]
fn what_has_no_value_says_why() {
    assert_eq!(auc_roc(&[], &[]), Err(MetricError::Empty));
    assert_eq!(auc_roc(&[1.0], &[]), Err(MetricError::WrongLength { scores: 1, labels: 0 }));
    assert_eq!(auc_roc(&[1.0, f64::NAN], &[true, false]), Err(MetricError::NotANumber { row: 1 }));
    assert_eq!(auc_roc(&[1.0], &[true]), Err(MetricError::NoNegative));
    assert_eq!(average_precision(&[1.0], &[false]), Err(MetricError::NoPositive));
    assert_eq!(precision_at(&[1.0], &[true], 0), Err(MetricError::BadArgument { name: "k" }));
    assert_eq!(brier(&[1.5], &[true]), Err(MetricError::NotAProbability { row: 0 }));
}

#[test]
fn probabilities_fall_into_their_range() {
    let table = reliability(&[0.0, 0.1, 0.3, 0.7, 1.0], &[false, true, false, true, true], 10).unwrap();
    let rows: Vec<u64> = table.iter().map(|bin| bin.rows).collect();
    assert_eq!(rows, [1, 1, 0, 1, 0, 0, 0, 1, 0, 1]);
    assert_eq!(table[9].observed(), Some(1.0));
    assert_eq!(table[2].observed(), None);
    assert_eq!(brier(&[0.0, 0.5], &[false, true]), Ok(0.125));
    let off = reliability(&[0.2, 0.2], &[false, true], 5).unwrap();
    assert!((expected_calibration_error(&off) - 0.3).abs() < 1e-15);
}

proptest! {
    #[test]
    fn metrics_agree_with_their_definitions(
        rows in prop::collection::vec(((-5i8..5).prop_map(|n| f64::from(n) / 4.0), any::<bool>()), 2..60),
        k in 1u64..70,
    ) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = rows.iter().copied().unzip();
        let positives = labels.iter().filter(|label| **label).count();
        let negatives = labels.len() - positives;
        prop_assume!(positives > 0 && negatives > 0);
        // Every pair, one by one.
        let mut pairs = 0.0;
        for (a, is_a) in &rows {
            for (b, is_b) in &rows {
                if *is_a && !*is_b {
                    pairs += if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 };
                }
            }
        }
        let auc = auc_roc(&scores, &labels).unwrap();
        prop_assert!((auc - pairs / (positives * negatives) as f64).abs() < 1e-12);
        // Every threshold, one by one.
        let mut thresholds = scores.clone();
        thresholds.sort_unstable_by(|a, b| b.total_cmp(a));
        thresholds.dedup();
        let (mut recall, mut sum) = (0.0, 0.0);
        for threshold in thresholds {
            let above: Vec<bool> = rows.iter().filter(|row| row.0 >= threshold).map(|row| row.1).collect();
            let found = above.iter().filter(|label| **label).count() as f64;
            sum += (found / positives as f64 - recall) * found / above.len() as f64;
            recall = found / positives as f64;
        }
        prop_assert!((average_precision(&scores, &labels).unwrap() - sum).abs() < 1e-12);
        let precision = precision_at(&scores, &labels, k).unwrap();
        prop_assert!((0.0..=1.0).contains(&precision));
        // Order of the input does not matter.
        let reversed: (Vec<f64>, Vec<bool>) = rows.iter().rev().copied().unzip();
        prop_assert_eq!(auc.to_bits(), auc_roc(&reversed.0, &reversed.1).unwrap().to_bits());
    }

    #[test]
    fn every_probability_is_in_one_range(p in 0.0f64..=1.0, bins in 1usize..50) {
        let table = reliability(&[p], &[true], bins).unwrap();
        let bin = table.iter().find(|bin| bin.rows == 1).unwrap();
        prop_assert!(bin.from <= p && (p < bin.to || bin.to == 1.0));
    }
}
