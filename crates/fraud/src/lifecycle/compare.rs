//! Champion against challenger on the same rows.
//!
//! One pass of the feature engine makes the rows; both models score them, so that nothing but the model differs. The days
//! must lie behind everything that either model learned from, and behind the time its labels took to arrive: otherwise a
//! model would be asked about what it was taught. Labels enter the features when they arrive and not before, as everywhere.
//!
//! Two figures, each with a bootstrap interval over whole subjects (rows of one customer are drawn together):
//! - average precision;
//! - where events have an `amount`: the share of the value of all fraud that stands among the rows with the highest scores, as
//!   many per day as people can look into.

use std::{ops::Range, sync::Arc, time::Duration};

use domain::{Actor, UnixNanos};
use features::Pack;
use scoring::{
    bootstrap::{BootstrapError, Params, Rows, Side, difference, difference_by},
    metrics::{MetricError, average_precision},
    model::file::ModelFile,
};

use super::{Compared, Digest, entry::millionths};
use crate::{
    evaluate::{
        EvaluateError, Source, Table,
        protocol::{Day, Fold, date},
    },
    history::{History, HistoryError, Silence},
    recording::Recording,
    replay::{ReplayError, check_model},
};

/// Name of the field that says what was at stake.
const AMOUNT: &str = "amount";

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// An interval cannot be computed.
    #[error("difference: {0}")]
    Bootstrap(#[from] BootstrapError),
    /// The rows cannot be made.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The journal's past does not say.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A model does not say what it learned from.
    #[error("{which} does not say what days it learned from, so nobody can say which days are new to it")]
    NoPeriod {
        /// Champion or challenger.
        which: &'static str,
    },
    /// No row to judge.
    #[error("no labelled event to judge from {} to {}", date(*first_day), date(*last_day))]
    NoRows {
        /// First day.
        first_day: u32,
        /// Last day.
        last_day: u32,
    },
    /// A model is fed by another pack.
    #[error("{which}: {fault}")]
    OtherPack {
        /// Champion or challenger.
        which: &'static str,
        /// What does not fit.
        fault: Box<ReplayError>,
    },
    /// A model learned from days that are judged, or too close before.
    #[error(
        "{which} learned from events until {until}, whose labels arrived {label_days} days later; judge days from then on"
    )]
    Overlap {
        /// Champion or challenger.
        which: &'static str,
        /// End of what it learned from.
        until: UnixNanos,
        /// Days until a label arrives, rounded up.
        label_days: u32,
    },
}

/// What is compared.
#[derive(Debug)]
pub struct Contest<'a> {
    /// The model in force, with its digest.
    pub champion: (&'a ModelFile, Digest),
    /// The new one.
    pub challenger: (&'a ModelFile, Digest),
    /// Days judged.
    pub days: Range<Day>,
    /// Rows people can look into per day.
    pub capacity: usize,
    /// How to draw.
    pub bootstrap: Params,
}

/// Compares two models on a recording. `actor` is for the entry.
///
/// # Errors
/// [`CompareError`].
pub fn compare(
    recording: &Recording,
    pack: &Arc<Pack>,
    contest: &Contest<'_>,
    actor: Actor,
) -> Result<Compared, CompareError> {
    let delay = recording.label_delay().ok_or(EvaluateError::NoLabels)?;
    let label_days = u32::try_from(delay.as_secs().div_ceil(86_400)).unwrap_or(u32::MAX);
    let fold = checked(pack, contest, delay, label_days)?;
    let table = Table::compute(recording, pack, std::slice::from_ref(&fold))?;
    contested(&recording.into(), &table, &fold, &|events| amounts(recording, events), contest, actor)
}

/// As [`compare`], on the journal's own past. `delay_days`: how long labels take to arrive.
///
/// # Errors
/// [`CompareError`].
pub fn compare_history(
    history: &History,
    pack: &Arc<Pack>,
    contest: &Contest<'_>,
    (delay_days, silence, until): (u32, Silence, Option<Day>),
    actor: Actor,
) -> Result<Compared, CompareError> {
    let delay = Duration::from_secs(u64::from(delay_days) * 86_400);
    let fold = checked(pack, contest, delay, delay_days)?;
    let judged = history.view(&fold, silence, until)?;
    let values = history.values_minor();
    let amounts = |events: &[usize]| {
        let of = |event: &usize| values.get(*event).and_then(|value| i64::try_from(*value).ok()).unwrap_or(0);
        let amounts: Vec<i64> = events.iter().map(of).collect();
        // Where nothing is valued there is no value to find.
        amounts.iter().any(|amount| *amount > 0).then_some(amounts)
    };
    contested(&history.source(&judged), &history.table(), &fold, &amounts, contest, actor)
}

/// The days as a fold, if they are new to both models.
fn checked(
    pack: &Pack,
    contest: &Contest<'_>,
    delay: Duration,
    label_days: u32,
) -> Result<Fold, CompareError> {
    let Contest { champion, challenger, days, .. } = contest;
    for (which, (file, _)) in [("champion", champion), ("challenger", challenger)] {
        new_to(which, file, pack, days, (delay, label_days))?;
    }
    Ok(Fold { train: days.start..days.start, test: days.clone(), delay_days: label_days })
}

/// Whether days lie behind everything a model of this pack learned from, and behind the time its labels took to arrive.
pub(crate) fn new_to(
    which: &'static str,
    file: &ModelFile,
    pack: &Pack,
    days: &Range<Day>,
    (delay, label_days): (Duration, u32),
) -> Result<(), CompareError> {
    check_model(file, pack).map_err(|fault| CompareError::OtherPack { which, fault: Box::new(fault) })?;
    let (_, until) = file.card.training.period.ok_or(CompareError::NoPeriod { which })?;
    if until.plus(delay) > days.start.start() {
        return Err(CompareError::Overlap { which, until, label_days });
    }
    Ok(())
}

/// Amounts of events in minor units; `None` where there are none.
type Amounts<'a> = &'a dyn Fn(&[usize]) -> Option<Vec<i64>>;

fn contested(
    source: &Source<'_>,
    table: &Table,
    fold: &Fold,
    amounts: Amounts<'_>,
    contest: &Contest<'_>,
    actor: Actor,
) -> Result<Compared, CompareError> {
    let Contest { champion, challenger, days, capacity, bootstrap } = contest;
    let judged = source.judged;
    let mut events = fold.select(judged).test;
    events.retain(|event| table.has_row(*event));
    let none = || CompareError::NoRows {
        first_day: days.start.0,
        last_day: days.end.0.saturating_sub(1).max(days.start.0),
    };
    let rows = table.rows_of(&events).filter(|_| !events.is_empty()).ok_or_else(none)?;
    let labels: Vec<bool> = events.iter().map(|event| judged[*event].fraud == Some(true)).collect();
    // Rows without a subject stand alone, behind all subjects.
    let units: Vec<u64> = events
        .iter()
        .map(|event| judged[*event].subject.map_or(u64::from(u32::MAX) + 1 + *event as u64, u64::from))
        .collect();
    let (old, new) = (champion.0.model.logits(&rows), challenger.0.model.logits(&rows));
    let pair = Rows { champion: &old, challenger: &new, labels: &labels, units: Some(&units) };
    let by_rank = difference(&pair, average_precision, bootstrap)?;
    let amounts = amounts(&events);
    let places = capacity.saturating_mul((days.end.0 - days.start.0) as usize);
    let by_value = match &amounts {
        Some(amounts) => Some(difference_by(
            labels.len(),
            Some(&units),
            |side, draw| {
                let scores = if side == Side::Champion { &old } else { &new };
                value_found(scores, &labels, amounts, draw, places)
            },
            bootstrap,
        )?),
        None => None,
    };
    Ok(Compared {
        champion: champion.1,
        challenger: challenger.1,
        data: source.sha256,
        from: days.start.start(),
        until: days.end.start(),
        rows: labels.len() as u64,
        positives: labels.iter().filter(|fraud| **fraud).count() as u64,
        average_precision: by_rank.into(),
        value: by_value.map(Into::into),
        confidence: u64::try_from(millionths(bootstrap.confidence)).unwrap_or(0),
        rounds: u64::from(bootstrap.rounds),
        seed: bootstrap.seed,
        actor,
    })
}

/// Minor units at stake in each event; nothing where an event says nothing. `None` if the mapping has no amount.
fn amounts(recording: &Recording, events: &[usize]) -> Option<Vec<i64>> {
    let field = recording.fields().iter().position(|field| field.name == AMOUNT)?;
    let of = |event: &usize| match recording.cells(*event).get(field) {
        Some(features::Value::Money(minor)) => (*minor).max(0),
        _ => 0,
    };
    Some(events.iter().map(of).collect())
}

/// The share of the value of all fraud that stands among the `places` drawn rows with the highest scores; of equal scores
/// the rows in order of their number.
fn value_found(
    scores: &[f64],
    labels: &[bool],
    amounts: &[i64],
    draw: &[usize],
    places: usize,
) -> Result<f64, MetricError> {
    let fraud = |row: &usize| if labels[*row] { i128::from(amounts[*row]) } else { 0 };
    let all: i128 = draw.iter().map(fraud).sum();
    if all == 0 {
        return Err(MetricError::NoPositive);
    }
    let mut order = draw.to_vec();
    let places = places.min(order.len());
    if places < order.len() {
        order.select_nth_unstable_by(places, |a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    }
    let found: i128 = order.iter().take(places).map(fraud).sum();
    Ok(found as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use scoring::model::file::digest;

    use super::*;
    use crate::{
        evaluate::{
            model::model_file,
            protocol::Protocol,
            run,
            tests::{CARDS, FIRST_DAY, MAPPING},
        },
        mapping::Mapping,
        preset::preset,
    };

    fn world() -> Recording {
        let mapping = Mapping::parse(MAPPING).unwrap();
        Recording::read(CARDS.csv().as_bytes(), &mapping, &mut |_| Ok(())).unwrap()
    }

    /// Trained on so many days from a day on, with so many trees.
    fn trained(
        recording: &Recording,
        pack: &Arc<Pack>,
        from: u32,
        days: u32,
        trees: u32,
    ) -> (ModelFile, Digest) {
        let mut params = preset("book").unwrap().params;
        params.trees = trees;
        let protocol = Protocol {
            train_start: Day(FIRST_DAY + from),
            train_days: days,
            delay_days: 7,
            test_days: 5,
            folds: 1,
            capacity: 5,
        };
        let folds = protocol.folds().unwrap();
        let table = Table::compute(recording, pack, &folds).unwrap();
        let result = run(recording, &table, &folds[0], &params, 5).unwrap();
        let file = model_file(&result, recording, pack, &params, "test", UnixNanos(1));
        let digest = digest(&file.encode().unwrap()).unwrap();
        (file, digest)
    }

    #[test]
    fn models_are_compared_on_days_new_to_both_and_a_better_one_is_told() {
        let recording = world();
        let mapping = Mapping::parse(MAPPING).unwrap();
        let present: Vec<&str> = mapping.fields.iter().map(|field| field.name.as_str()).collect();
        let pack = Arc::new(Pack::parse_for(preset("book").unwrap().pack, &present).unwrap());
        let (weak, weak_digest) = trained(&recording, &pack, 10, 3, 1);
        let (strong, strong_digest) = trained(&recording, &pack, 10, 20, 40);
        let actor: Actor = "operator:ann".parse().unwrap();
        let contest = |from: u32| Contest {
            champion: (&weak, weak_digest),
            challenger: (&strong, strong_digest),
            days: Day(FIRST_DAY + from)..Day(FIRST_DAY + 58),
            capacity: 5,
            bootstrap: Params { rounds: 200, ..Params::default() },
        };
        // The strong one learned until day 30, whose labels were there on day 37.
        let refused = compare(&recording, &pack, &contest(36), actor.clone()).unwrap_err();
        assert!(
            matches!(refused, CompareError::Overlap { which: "challenger", label_days: 7, .. }),
            "{refused}"
        );
        let told = compare(&recording, &pack, &contest(37), actor.clone()).unwrap();
        assert!(told.average_precision.low > 0, "{told:?}");
        assert!(told.average_precision.low <= told.average_precision.observed);
        let value = told.value.unwrap();
        assert!(value.low <= value.observed && value.observed <= value.high, "{told:?}");
        assert!(told.positives > 20, "{told:?}");
        assert_eq!(compare(&recording, &pack, &contest(37), actor.clone()).unwrap(), told, "the same again");
        // Against itself nothing is better, and the gate stays shut.
        let same = Contest { champion: (&strong, strong_digest), ..contest(37) };
        let same = compare(&recording, &pack, &same, actor.clone()).unwrap().average_precision;
        assert!(same.observed == 0 && same.low <= 0, "{same:?}");
        let other = Arc::new(Pack::parse_for(preset("default").unwrap().pack, &present).unwrap());
        let refused = compare(&recording, &other, &contest(37), actor).unwrap_err();
        assert!(matches!(refused, CompareError::OtherPack { which: "champion", .. }));
    }

    #[test]
    fn value_is_found_from_the_top() {
        let (scores, labels) = ([0.9, 0.8, 0.7, 0.1], [true, false, true, true]);
        let amounts = [10, 1_000, 70, 20];
        let found = |places| value_found(&scores, &labels, &amounts, &[0, 1, 2, 3], places).unwrap();
        assert_eq!([found(0), found(1), found(3), found(9)], [0.0, 0.1, 0.8, 1.0]);
        let twice = value_found(&scores, &labels, &amounts, &[0, 0, 3], 1).unwrap();
        assert_eq!(twice, 10.0 / 40.0);
        assert_eq!(value_found(&scores, &labels, &amounts, &[1], 1), Err(MetricError::NoPositive));
    }
}
