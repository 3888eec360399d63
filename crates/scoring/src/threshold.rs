//! Which score to act on: the threshold with the least expected cost that reviewers and users can bear.
//!
//! Costs are exact integers in minor units of one currency: what a missed positive row costs depends on its amount,
//! an alert costs its review, a false one the trouble it makes besides. Among thresholds that keep within the
//! capacity and the friction budget the cheapest is taken, and of equal ones the highest. Alerting on nothing is
//! always among them.
//!
//! # Bounds
//! Costs and amounts below 2^63 and rows below 2^32 add up in `i128` without overflow.

use thiserror::Error;

use crate::metrics::MetricError;

/// One row of the past with its outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// Its score; higher is more suspicious.
    pub score: f64,
    /// Whether it was what is looked for.
    pub positive: bool,
    /// What was at stake, in minor units.
    pub amount_minor: u64,
}

/// What outcomes cost, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Of the amount of a missed positive row, in basis points: what is not recovered.
    pub missed_bps: u32,
    /// Of a missed positive row, besides.
    pub missed_minor: u64,
    /// Of the amount of a positive row that is found, in basis points: what is lost all the same.
    pub found_bps: u32,
    /// Of every alert: the review.
    pub alert_minor: u64,
    /// Of an alert on a negative row, besides: the trouble for a good user.
    pub friction_minor: u64,
}

/// What a threshold must keep within.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Alerts over all cases, at most: how many can be reviewed. `None` for any number.
    pub alerts_max: Option<u64>,
    /// Share of the negative rows that may be alerted on: the friction budget, in [0, 1].
    pub friction_max: f64,
}

/// A threshold and what it would have meant for the cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Scores of at least this are alerted on; infinite for none.
    pub threshold: f64,
    /// Alerts on positive rows.
    pub true_positives: u64,
    /// Alerts on negative rows.
    pub false_positives: u64,
    /// Amount of the positive rows that are found, in minor units.
    pub found_minor: u128,
    /// Cost of all cases, in minor units.
    pub cost_minor: u128,
}

impl Point {
    /// Alerts.
    #[must_use]
    pub const fn alerts(&self) -> u64 {
        self.true_positives + self.false_positives
    }
}

/// The chosen threshold, and what kept from a cheaper one.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The chosen point.
    pub point: Point,
    /// The cheapest point without limits.
    pub unlimited: Point,
    /// What the limits cost: that point's cost below the chosen one's.
    pub limits_cost_minor: u128,
    /// Whether the unlimited point has too many alerts.
    pub is_bound_by_capacity: bool,
    /// Whether the unlimited point alarms on too many negative rows.
    pub is_bound_by_friction: bool,
}

/// Why there is no threshold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// A share outside its range: above 10,000 basis points, or a friction budget outside [0, 1].
    #[error("`{name}` is outside its range")]
    BadShare {
        /// Which one.
        name: &'static str,
    },
    /// The scores.
    #[error(transparent)]
    Scores(#[from] MetricError),
}

/// Basis points of the whole.
const WHOLE_BPS: u32 = 10_000;

/// The expected cost of every threshold that makes a difference, from infinite to the lowest score.
///
/// # Errors
/// [`ThresholdError`] when there are no cases, a score is NaN or a share is out of range.
pub fn cost_curve(cases: &[Case], costs: &Costs) -> Result<Vec<Point>, ThresholdError> {
    for (name, bps) in [("missed_bps", costs.missed_bps), ("found_bps", costs.found_bps)] {
        if bps > WHOLE_BPS {
            return Err(ThresholdError::BadShare { name });
        }
    }
    if cases.is_empty() {
        return Err(MetricError::Empty.into());
    }
    if let Some(row) = cases.iter().position(|case| case.score.is_nan()) {
        return Err(MetricError::NotANumber { row }.into());
    }
    let mut order: Vec<&Case> = cases.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    // In ten-thousandths of a minor unit, so that basis points stay exact until a point is shown.
    let parts = |case: &Case, bps: u32| u128::from(case.amount_minor) * u128::from(bps);
    let whole = |minor: u64| u128::from(minor) * u128::from(WHOLE_BPS);
    let mut cost: u128 = cases
        .iter()
        .filter(|case| case.positive)
        .map(|case| parts(case, costs.missed_bps) + whole(costs.missed_minor))
        .sum();
    let mut point = Point {
        threshold: f64::INFINITY,
        true_positives: 0,
        false_positives: 0,
        found_minor: 0,
        cost_minor: cost / u128::from(WHOLE_BPS),
    };
    let mut curve = vec![point];
    for case in order {
        cost += whole(costs.alert_minor);
        if case.positive {
            // The cost of missing it was in the sum.
            cost -= parts(case, costs.missed_bps) + whole(costs.missed_minor);
            cost += parts(case, costs.found_bps);
            point.true_positives += 1;
            point.found_minor += u128::from(case.amount_minor);
        } else {
            cost += whole(costs.friction_minor);
            point.false_positives += 1;
        }
        point.cost_minor = cost / u128::from(WHOLE_BPS);
        match curve.last_mut() {
            // Rows with one score are alerted on together.
            Some(last) if last.alerts() > 0 && last.threshold == case.score => {
                *last = Point { threshold: last.threshold, ..point };
            }
            _ => curve.push(Point { threshold: case.score, ..point }),
        }
    }
    Ok(curve)
}

/// The cheapest threshold within the limits.
///
/// # Errors
/// [`ThresholdError`] as for [`cost_curve`], and when the friction budget is out of range.
pub fn choose(cases: &[Case], costs: &Costs, limits: &Limits) -> Result<Choice, ThresholdError> {
    if !(0.0..=1.0).contains(&limits.friction_max) {
        return Err(ThresholdError::BadShare { name: "friction_max" });
    }
    let curve = cost_curve(cases, costs)?;
    let negatives = cases.iter().filter(|case| !case.positive).count();
    let in_capacity = |point: &Point| limits.alerts_max.is_none_or(|most| point.alerts() <= most);
    let in_budget = |point: &Point| point.false_positives as f64 <= limits.friction_max * negatives as f64;
    // The first point alerts on nothing; `min_by_key` takes the first of equal ones, the highest threshold.
    let nothing = curve[0];
    let unlimited = curve.iter().min_by_key(|point| point.cost_minor).copied().unwrap_or(nothing);
    let point = curve
        .iter()
        .filter(|point| in_capacity(point) && in_budget(point))
        .min_by_key(|point| point.cost_minor)
        .copied()
        .unwrap_or(nothing);
    Ok(Choice {
        point,
        unlimited,
        limits_cost_minor: point.cost_minor - unlimited.cost_minor,
        is_bound_by_capacity: !in_capacity(&unlimited),
        is_bound_by_friction: !in_budget(&unlimited),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COSTS: Costs = Costs {
        missed_bps: 9_000,
        missed_minor: 500,
        found_bps: 1_000,
        alert_minor: 200,
        friction_minor: 1_000,
    };
    const NO_LIMITS: Limits = Limits { alerts_max: None, friction_max: 1.0 };

    fn case(score: f64, positive: bool, amount_minor: u64) -> Case {
        Case { score, positive, amount_minor }
    }

    #[test]
    fn the_cheapest_threshold_is_found() {
        let cases = [
            case(0.9, true, 10_000),
            case(0.8, false, 5_000),
            case(0.7, true, 20_000),
            case(0.2, true, 100),
            case(0.1, false, 50),
        ];
        let choice = choose(&cases, &COSTS, &NO_LIMITS).unwrap();
        // Found: 10 % of 30,100 is lost all the same. Four reviews, one of them in vain.
        let cost = 3_010 + 4 * 200 + 1_000;
        assert_eq!(choice.point.cost_minor, cost);
        assert_eq!((choice.point.threshold, choice.point.alerts()), (0.2, 4));
        assert_eq!(choice.point.found_minor, 30_100);
        assert!(!choice.is_bound_by_capacity && !choice.is_bound_by_friction);

        let tight = Limits { alerts_max: Some(2), friction_max: 1.0 };
        let choice = choose(&cases, &COSTS, &tight).unwrap();
        assert_eq!((choice.point.threshold, choice.is_bound_by_capacity), (0.9, true));
        assert!(choice.limits_cost_minor > 0);
        let kind = Limits { alerts_max: None, friction_max: 0.4 };
        let choice = choose(&cases, &COSTS, &kind).unwrap();
        assert_eq!((choice.point.threshold, choice.is_bound_by_friction), (0.9, true));
    }

    #[test]
    fn nothing_may_be_the_best() {
        let choice = choose(&[case(0.9, false, 1), case(0.8, false, 1)], &COSTS, &NO_LIMITS).unwrap();
        assert_eq!((choice.point.threshold, choice.point.cost_minor), (f64::INFINITY, 0));
        let limits = Limits { alerts_max: Some(0), friction_max: 0.0 };
        let choice = choose(&[case(0.9, true, u64::MAX)], &COSTS, &limits).unwrap();
        assert_eq!(choice.point.alerts(), 0);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(choose(&[], &COSTS, &NO_LIMITS), Err(MetricError::Empty.into()));
        let nan = [case(f64::NAN, true, 1)];
        assert_eq!(choose(&nan, &COSTS, &NO_LIMITS), Err(MetricError::NotANumber { row: 0 }.into()));
        let limits = Limits { alerts_max: None, friction_max: f64::NAN };
        let one = [case(0.5, true, 1)];
        assert_eq!(choose(&one, &COSTS, &limits), Err(ThresholdError::BadShare { name: "friction_max" }));
        let costs = Costs { missed_bps: 10_001, ..COSTS };
        assert_eq!(choose(&one, &costs, &NO_LIMITS), Err(ThresholdError::BadShare { name: "missed_bps" }));
    }

    proptest! {
        #[test]
        fn every_point_costs_what_its_cases_do(
            cases in prop::collection::vec(
                ((-4i8..4).prop_map(f64::from), any::<bool>(), prop_oneof![0u64..1_000, any::<u64>()])
                    .prop_map(|(score, positive, amount)| case(score, positive, amount)),
                1..40,
            ),
            alerts_max in prop::option::of(0u64..40),
            friction_max in 0.0f64..=1.0,
        ) {
            let curve = cost_curve(&cases, &COSTS).unwrap();
            let thresholds: Vec<f64> = curve.iter().map(|point| point.threshold).collect();
            prop_assert!(thresholds.is_sorted_by(|a, b| a > b));
            for point in &curve {
                let cost: u128 = cases
                    .iter()
                    .map(|case| {
                        let amount = u128::from(case.amount_minor);
                        match (case.score >= point.threshold, case.positive) {
                            (true, true) => amount * 1_000 + 2_000_000,
                            (true, false) => 12_000_000,
                            (false, true) => amount * 9_000 + 5_000_000,
                            (false, false) => 0,
                        }
                    })
                    .sum();
                prop_assert_eq!(point.cost_minor, cost / 10_000);
            }
            let limits = Limits { alerts_max, friction_max };
            let choice = choose(&cases, &COSTS, &limits).unwrap();
            let good = cases.iter().filter(|case| !case.positive).count() as f64;
            prop_assert!(choice.point.alerts() <= alerts_max.unwrap_or(u64::MAX));
            prop_assert!(choice.point.false_positives as f64 <= friction_max * good);
            for point in &curve {
                let fits = point.alerts() <= alerts_max.unwrap_or(u64::MAX)
                    && point.false_positives as f64 <= friction_max * good;
                prop_assert!(!fits || choice.point.cost_minor <= point.cost_minor);
            }
        }
    }
}
