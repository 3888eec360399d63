//! Which score to act on, from costs, the people there are, and the good users that may be troubled.
//!
//! A model scores the labelled events of days that are new to it; [`scoring::threshold`] finds the score that would have been
//! cheapest there, within the alerts people can look into and the share of good users that may be questioned. From that score
//! on the customer is asked, or an alert is raised. A hold takes more: the lowest score from which on at least
//! [`Asked::hold_precision`] of what would have been held was fraud.
//!
//! What it is not: a promise. The past was judged under the thresholds of its time, and what was stopped then never became
//! a loss; costs are the operator's.

use std::{ops::Range, sync::Arc, time::Duration};

use features::Pack;
use scoring::{
    model::file::ModelFile,
    threshold::{self, Case, Choice, Costs, Limits, Point, ThresholdError},
};

use super::compare::{CompareError, new_to};
use crate::{
    evaluate::{
        EvaluateError, Table,
        protocol::{Day, Fold, Judged, date},
    },
    history::{History, HistoryError, Silence},
    recording::Recording,
};

/// Alerts at which the table has a line: one, two, five, and so on by tens.
const STEPS: [u64; 3] = [1, 2, 5];

/// Why nothing was chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The days or the model.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The rows cannot be made.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The journal's past does not say.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// No labelled event in those days, or no fraud among them.
    #[error(
        "{rows} labelled events from {} to {}, {frauds} of them frauds: nothing to choose by",
        date(*first_day), date(*last_day)
    )]
    NoRows {
        /// Labelled events.
        rows: usize,
        /// Frauds among them.
        frauds: usize,
        /// First day.
        first_day: u32,
        /// Last day.
        last_day: u32,
    },
    /// A share or the scores.
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
}

/// What thresholds are chosen under.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Days of history.
    pub days: Range<Day>,
    /// What outcomes cost, in minor units of the amounts.
    pub costs: Costs,
    /// Alerts that people can look into each day; `None` for any number.
    pub alerts_per_day: Option<u64>,
    /// Share of the good events that may be questioned, in [0, 1].
    pub friction_max: f64,
    /// Share of frauds among what is held, at least, in [0, 1].
    pub hold_precision: f64,
}

/// What was chosen, and from what.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The threshold, and the cheapest without limits. Infinite: nothing pays.
    pub choice: Choice,
    /// From where on to hold; `None` if no score is that sure.
    pub hold_from: Option<f64>,
    /// The limits over all days.
    pub limits: Limits,
    /// Events scored.
    pub rows: u64,
    /// Frauds among them.
    pub frauds: u64,
    /// Value of the frauds, in minor units.
    pub fraud_minor: u128,
    /// Frauds of which no amount is known.
    pub unvalued: u64,
    /// Some points of the curve, the highest threshold first; the chosen one and the cheapest are among them.
    pub points: Vec<Point>,
}

/// Chooses by a recording.
///
/// # Errors
/// [`ChooseError`].
pub fn by_recording(
    recording: &Recording,
    pack: &Arc<Pack>,
    model: &ModelFile,
    asked: &Asked,
) -> Result<Chosen, ChooseError> {
    let delay = recording.label_delay().ok_or(EvaluateError::NoLabels)?;
    let label_days = u32::try_from(delay.as_secs().div_ceil(86_400)).unwrap_or(u32::MAX);
    new_to("model", model, pack, &asked.days, (delay, label_days))?;
    let fold =
        Fold { train: asked.days.start..asked.days.start, test: asked.days.clone(), delay_days: label_days };
    let table = Table::compute(recording, pack, std::slice::from_ref(&fold))?;
    let field = recording.fields().iter().position(|field| field.name == "amount");
    let amount = |event: usize| match field.and_then(|field| recording.cells(event).get(field)) {
        Some(features::Value::Money(minor)) => u64::try_from(*minor).unwrap_or(0),
        _ => 0,
    };
    chosen(recording.judged(), &table, &fold, &amount, model, asked)
}

/// Chooses by the journal's own past. `delay_days`: how long labels take to arrive.
///
/// # Errors
/// [`ChooseError`].
pub fn by_history(
    history: &History,
    pack: &Arc<Pack>,
    model: &ModelFile,
    (delay_days, silence, until): (u32, Silence, Option<Day>),
    asked: &Asked,
) -> Result<Chosen, ChooseError> {
    let delay = Duration::from_secs(u64::from(delay_days) * 86_400);
    new_to("model", model, pack, &asked.days, (delay, delay_days))?;
    let fold = Fold { train: asked.days.start..asked.days.start, test: asked.days.clone(), delay_days };
    let judged = history.view(&fold, silence, until)?;
    let amount = |event: usize| history.values_minor().get(event).copied().unwrap_or(0);
    chosen(&judged, &history.table(), &fold, &amount, model, asked)
}

fn chosen(
    judged: &[Judged],
    table: &Table,
    fold: &Fold,
    amount: &dyn Fn(usize) -> u64,
    model: &ModelFile,
    asked: &Asked,
) -> Result<Chosen, ChooseError> {
    let mut events = fold.select(judged).test;
    events.retain(|event| table.has_row(*event));
    let frauds = events.iter().filter(|event| judged[**event].fraud == Some(true)).count();
    let none = || ChooseError::NoRows {
        rows: events.len(),
        frauds,
        first_day: asked.days.start.0,
        last_day: asked.days.end.0.saturating_sub(1),
    };
    let rows = table.rows_of(&events).filter(|_| frauds > 0).ok_or_else(none)?;
    let cases: Vec<Case> = events
        .iter()
        .zip(model.model.logits(&rows))
        .map(|(event, logit)| Case {
            score: model.probability(logit),
            positive: judged[*event].fraud == Some(true),
            amount_minor: amount(*event),
        })
        .collect();
    let days = u64::from(asked.days.end.0.saturating_sub(asked.days.start.0));
    let limits = Limits {
        alerts_max: asked.alerts_per_day.map(|alerts| alerts.saturating_mul(days)),
        friction_max: asked.friction_max,
    };
    if !(0.0..=1.0).contains(&asked.hold_precision) {
        return Err(ThresholdError::BadShare { name: "hold_precision" }.into());
    }
    let choice = threshold::choose(&cases, &asked.costs, &limits)?;
    let curve = threshold::cost_curve(&cases, &asked.costs)?;
    let is_sure = |point: &&Point| {
        point.alerts() > 0
            && point.threshold >= choice.point.threshold
            && point.true_positives as f64 >= asked.hold_precision * point.alerts() as f64
    };
    let positive = || cases.iter().filter(|case| case.positive);
    Ok(Chosen {
        hold_from: curve.iter().rfind(is_sure).map(|point| point.threshold),
        points: shown(&curve, &choice),
        limits,
        rows: cases.len() as u64,
        frauds: positive().count() as u64,
        fraud_minor: positive().map(|case| u128::from(case.amount_minor)).sum(),
        unvalued: positive().filter(|case| case.amount_minor == 0).count() as u64,
        choice,
    })
}

/// The points to show: at every step the one with the most alerts within it, the chosen one and the cheapest.
fn shown(curve: &[Point], choice: &Choice) -> Vec<Point> {
    let most = curve.last().map_or(0, Point::alerts);
    let mut points = vec![choice.point, choice.unlimited];
    let mut ten = 1_u64;
    while ten <= most {
        for step in STEPS {
            let within = curve.partition_point(|point| point.alerts() <= ten.saturating_mul(step));
            points.extend(curve.get(within.saturating_sub(1)).copied());
        }
        ten = ten.saturating_mul(10);
    }
    points.sort_by(|a, b| b.threshold.total_cmp(&a.threshold));
    points.dedup_by(|a, b| a.threshold.to_bits() == b.threshold.to_bits());
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(score: f64, positive: bool, amount_minor: u64) -> Case {
        Case { score, positive, amount_minor }
    }

    #[test]
    fn the_table_holds_what_was_chosen_and_rises() {
        let cases: Vec<Case> =
            (0..2_000_u32).map(|n| case(f64::from(n) / 2_000.0, n % 100 > 70 && n > 1_000, 5_000)).collect();
        let costs = Costs {
            missed_bps: 10_000,
            missed_minor: 0,
            found_bps: 0,
            alert_minor: 100,
            friction_minor: 900,
        };
        let limits = Limits { alerts_max: Some(300), friction_max: 1.0 };
        let choice = threshold::choose(&cases, &costs, &limits).unwrap();
        let points = shown(&threshold::cost_curve(&cases, &costs).unwrap(), &choice);
        assert!(points.contains(&choice.point) && points.contains(&choice.unlimited));
        assert!(points.is_sorted_by(|a, b| a.threshold > b.threshold && a.alerts() < b.alerts()));
        assert!((10..30).contains(&points.len()), "{}", points.len());
    }
}
