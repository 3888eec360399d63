//! Train, delay, test: which rows a fold learns from and which it is judged by, and card precision.
//!
//! After *Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook* (Le Borgne, Siblini,
//! Lebichot, Bontempi, 2022), chapters "Validation strategies" and "Performance metrics". A day is a calendar day in
//! UTC. With training days `[s, s+n)`, a delay of `d` days and `m` test days the test days are `[s+n+d, s+n+d+m)`.
//! What happened during the delay is not trained on, since its labels are not known when the test begins.
//!
//! Subjects that are known to be compromised are taken out of the test, as their cards would be blocked: all with a
//! fraud in the last [`KNOWN_DAYS`] days of training (or in all of it, if that is shorter), and for each test day
//! `D` all with a fraud from then on up to day `D - d - 1`.
//!
//! No score, no model and no feature is known here.

use std::{collections::BTreeSet, ops::Range};

/// Days before the end of training whose frauds make a subject known, whatever the length of training.
pub const KNOWN_DAYS: u32 = 7;
/// Most folds of one evaluation.
pub const FOLDS_MAX: u32 = 52;
/// Longest of each of the three periods, in days.
pub const PERIOD_DAYS_MAX: u32 = 3_660;
/// Nanoseconds of a day.
const DAY_NANOS: u64 = 86_400 * 1_000_000_000;

/// Days since 1970-01-01 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u32);

impl Day {
    /// The day a moment falls in.
    #[must_use]
    pub fn of(at: domain::UnixNanos) -> Self {
        // 2^64 nanoseconds are less than 2^18 days.
        Self(u32::try_from(at.0 / DAY_NANOS).unwrap_or(u32::MAX))
    }

    /// Its first moment; saturates in 2554.
    #[must_use]
    pub fn start(self) -> domain::UnixNanos {
        domain::UnixNanos(u64::from(self.0).saturating_mul(DAY_NANOS))
    }

    const fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }
}

/// A day since 1970 as people write it, `2018-08-08`.
pub(crate) fn date(day: u32) -> String {
    let mut text = Day(day).start().to_string();
    text.truncate(10);
    text
}

/// What an evaluation is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// First training day of the latest fold.
    pub train_start: Day,
    /// Days of training.
    pub train_days: u32,
    /// Days between training and test.
    pub delay_days: u32,
    /// Days of test; every further fold lies so many days earlier.
    pub test_days: u32,
    /// Folds.
    pub folds: u32,
    /// How many subjects can be looked into per day, for card precision.
    pub capacity: usize,
}

/// Why a protocol makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The earliest fold would begin before 1970.
    #[error("fold {fold} would begin before 1970")]
    BeforeTime {
        /// Which fold, from 1.
        fold: u32,
    },
    /// No subject may be looked into.
    #[error("the capacity must be at least one subject a day")]
    Capacity,
    /// The delay between training and test is shorter than that of the labels.
    #[error(
        "labels arrive {label_days} days after their events, but the test begins {delay_days} days after training"
    )]
    DelayTooShort {
        /// Days until a label arrives, rounded up.
        label_days: u64,
        /// Days between training and test.
        delay_days: u32,
    },
    /// No fold, or too many.
    #[error("{folds} folds; 1 to {FOLDS_MAX} are possible")]
    Folds {
        /// As asked.
        folds: u32,
    },
    /// Nothing to train on or to test, or a period too long.
    #[error("the {what} has {days} days; 1 to {PERIOD_DAYS_MAX} are possible")]
    Period {
        /// Which.
        what: &'static str,
        /// As asked.
        days: u32,
    },
}

/// The days of one fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Days trained on.
    pub train: Range<Day>,
    /// Days tested.
    pub test: Range<Day>,
    /// Days between the two.
    pub delay_days: u32,
}

impl Protocol {
    /// The folds, the latest first.
    ///
    /// # Errors
    /// [`ProtocolError`].
    pub fn folds(&self) -> Result<Vec<Fold>, ProtocolError> {
        for (what, days, least) in
            [("training", self.train_days, 1), ("delay", self.delay_days, 0), ("test", self.test_days, 1)]
        {
            if !(least..=PERIOD_DAYS_MAX).contains(&days) {
                return Err(ProtocolError::Period { what, days });
            }
        }
        if !(1..=FOLDS_MAX).contains(&self.folds) {
            return Err(ProtocolError::Folds { folds: self.folds });
        }
        if self.capacity == 0 {
            return Err(ProtocolError::Capacity);
        }
        (0..self.folds)
            .map(|fold| {
                let start = self
                    .train_start
                    .0
                    .checked_sub(fold * self.test_days)
                    .ok_or(ProtocolError::BeforeTime { fold: fold + 1 })?;
                let train = Day(start)..Day(start).plus(self.train_days);
                let first = train.end.plus(self.delay_days);
                Ok(Fold { train, test: first..first.plus(self.test_days), delay_days: self.delay_days })
            })
            .collect()
    }
}

/// What the protocol asks of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Day of the event.
    pub day: Day,
    /// Whom it is about; `None` if the row does not say.
    pub subject: Option<u32>,
    /// Its label, if it has one.
    pub fraud: Option<bool>,
}

/// The rows of a fold, by index, in their own order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Rows trained on.
    pub train: Vec<usize>,
    /// Rows tested.
    pub test: Vec<usize>,
}

impl Fold {
    /// Picks the rows of this fold. Rows without a label are neither trained on nor tested.
    pub fn select(&self, rows: &[Judged]) -> Selection {
        let mut known_on = vec![BTreeSet::new(); (self.test.end.0 - self.test.start.0) as usize];
        let known_from = self.train.start.max(Day(self.train.end.0.saturating_sub(KNOWN_DAYS)));
        for row in rows {
            let (Some(subject), Some(true)) = (row.subject, row.fraud) else { continue };
            if row.day < known_from {
                continue;
            }
            // A fraud of day f is known on test day D if f <= D - delay - 1, that is from day f + delay + 1 on.
            let from = row.day.plus(self.delay_days + 1).max(self.test.start);
            if let Some(known) = known_on.get_mut((from.0 - self.test.start.0) as usize) {
                known.insert(subject);
            }
        }
        let mut known: BTreeSet<u32> = BTreeSet::new();
        let known_by: Vec<BTreeSet<u32>> = known_on
            .into_iter()
            .map(|more| {
                known.extend(more);
                known.clone()
            })
            .collect();
        let mut selection = Selection::default();
        for (index, row) in rows.iter().enumerate() {
            if row.fraud.is_none() {
                continue;
            }
            if self.train.contains(&row.day) {
                selection.train.push(index);
            } else if self.test.contains(&row.day) {
                let known = &known_by[(row.day.0 - self.test.start.0) as usize];
                if row.subject.is_none_or(|subject| !known.contains(&subject)) {
                    selection.test.push(index);
                }
            }
        }
        selection
    }
}

/// Card precision: each test day the `capacity` subjects with the highest score of that day are looked into, and the
/// share of them with a fraud that day is the precision; a subject found with a fraud is left out on later days. The
/// mean over all test days, those without rows included.
///
/// Ties go to the subject that comes first in `rank`. Rows without a subject are left out.
pub fn card_precision(
    fold: &Fold,
    rows: &[Judged],
    test: &[usize],
    scores: &[f64],
    rank: &[u32],
    capacity: usize,
) -> f64 {
    let mut detected: BTreeSet<u32> = BTreeSet::new();
    let mut total = 0.0;
    let length = days(&fold.test);
    let mut by_day: Vec<Vec<(u32, f64, bool)>> = vec![Vec::new(); length];
    for (row, score) in test.iter().zip(scores) {
        let Some(row) = rows.get(*row) else { continue };
        if let (Some(subject), Some(of_day)) =
            (row.subject, by_day.get_mut((row.day.0 - fold.test.start.0) as usize))
        {
            of_day.push((subject, *score, row.fraud == Some(true)));
        }
    }
    for mut of_day in by_day {
        of_day.retain(|(subject, ..)| !detected.contains(subject));
        of_day.sort_by(|left, right| left.0.cmp(&right.0).then(right.1.total_cmp(&left.1)));
        let mut subjects: Vec<(u32, f64, bool)> = Vec::new();
        for (subject, score, fraud) in of_day {
            match subjects.last_mut() {
                Some(last) if last.0 == subject => last.2 |= fraud,
                _ => subjects.push((subject, score, fraud)),
            }
        }
        let place = |subject: u32| rank.get(subject as usize).copied().unwrap_or(u32::MAX);
        subjects.sort_by(|left, right| {
            right.1.total_cmp(&left.1).then_with(|| place(left.0).cmp(&place(right.0)))
        });
        let found = subjects.iter().take(capacity).filter(|(.., fraud)| *fraud);
        let before = detected.len();
        detected.extend(found.map(|(subject, ..)| *subject));
        total += (detected.len() - before) as f64 / capacity as f64;
    }
    total / length.max(1) as f64
}

fn days(range: &Range<Day>) -> usize {
    (range.end.0 - range.start.0) as usize
}

#[cfg(test)]
mod tests;
