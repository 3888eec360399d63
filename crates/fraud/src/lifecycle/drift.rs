//! Whether what a model is fed, and what it says, still look as they did.
//!
//! [`Monitor`] takes each judged record once, in order: its features, its probability; and each label. The first
//! [`Settings::window`] records are the reference. Every further window is compared with it:
//! - each feature and the probability by population stability index ([`scoring::drift::Reference`]), with the
//!   Kolmogorov-Smirnov statistic of the known values beside it;
//! - the mean of the probability and the share of fraud among labels by ADWIN, which needs no window and so is faster.
//!
//! A shift says that the model should be judged again, not that it is worse. One that lasts is told once, and again only
//! after it was gone.
//!
//! # Bounds
//! [`FEATURES_MAX`] features, [`WINDOW_MAX`] records of a window: 8 bytes for each, twice.

use scoring::drift::{Adwin, DriftError, Reference, kolmogorov_smirnov};

use super::entry::millionths;

/// Features watched; those behind are not.
pub const FEATURES_MAX: usize = 512;
/// Records of a window, at most.
pub const WINDOW_MAX: usize = 50_000;
/// Records of a window, at least: fewer say nothing about the tails of a distribution.
pub const WINDOW_MIN: usize = 200;

/// How drift is looked for.
///
/// # Defaults
/// - `window` 2,000 records, `bins` 10: some 200 records a bin.
/// - `psi` 0.25, by the usual reading a shifted distribution.
/// - `delta` 0.002, the chance of a false alarm in one search of ADWIN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Records of a window.
    pub window: usize,
    /// Bins of a reference.
    pub bins: usize,
    /// The stability index from which on a shift is told.
    pub psi: f64,
    /// As [`Adwin::new`].
    pub delta: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: 2_000, bins: 10, psi: 0.25, delta: 0.002 }
    }
}

/// What has shifted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A feature, by its place in the pack.
    Feature(usize),
    /// The share of fraud among labels.
    Labels,
    /// The probability a model gives.
    Score,
}

/// By what a shift was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// ADWIN: the mean before and after.
    Adwin {
        /// Mean of what was forgotten, in millionths.
        before: i64,
        /// Mean of what was kept, in millionths.
        after: i64,
    },
    /// Stability index and Kolmogorov-Smirnov statistic, in millionths.
    Psi {
        /// The index.
        psi: i64,
        /// The largest distance of the two distributions; of their known values only, zero if one has none.
        ks: i64,
    },
}

/// A shift that was not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// What.
    pub subject: Subject,
    /// By what.
    pub measure: Measure,
    /// Judged records by then.
    pub records: u64,
}

/// How far a subject is from its reference now.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    /// What.
    pub subject: Subject,
    /// Population stability index.
    pub psi: f64,
    /// Kolmogorov-Smirnov statistic of the known values; `None` if one side has none.
    pub ks: Option<f64>,
}

/// Values of one subject.
#[derive(Debug, Clone, Default)]
struct Column {
    first: Vec<f64>,
    window: Vec<f64>,
    reference: Option<Reference>,
    is_shifted: bool,
}

impl Column {
    /// Compares a full window with the reference, or makes it the reference. The window is empty afterwards.
    fn close(&mut self, settings: &Settings) -> Option<(f64, Option<f64>)> {
        let window = std::mem::take(&mut self.window);
        let Some(reference) = &self.reference else {
            self.reference = Reference::new(&window, settings.bins).ok();
            self.first = window;
            self.first.retain(|value| !value.is_nan());
            return None;
        };
        let psi = reference.psi(&window).ok()?;
        let known: Vec<f64> = window.into_iter().filter(|value| !value.is_nan()).collect();
        let ks = kolmogorov_smirnov(&self.first, &known).ok().map(|test| test.statistic);
        Some((psi, ks))
    }
}

/// See the module's head.
#[derive(Debug, Clone)]
pub struct Monitor {
    settings: Settings,
    /// Features, then the probability.
    columns: Vec<Column>,
    scores: Adwin,
    labels: Adwin,
    records: u64,
    in_window: usize,
    latest: Vec<Distance>,
    told: u64,
}

impl Monitor {
    /// Without records.
    ///
    /// # Errors
    /// [`DriftError::BadParameter`] naming a setting outside its range.
    pub fn new(features: usize, settings: Settings) -> Result<Self, DriftError> {
        if !(WINDOW_MIN..=WINDOW_MAX).contains(&settings.window) {
            return Err(DriftError::BadParameter { name: "window" });
        }
        if !(2..=100).contains(&settings.bins) {
            return Err(DriftError::BadParameter { name: "bins" });
        }
        if !(settings.psi > 0.0 && settings.psi.is_finite()) {
            return Err(DriftError::BadParameter { name: "psi" });
        }
        Ok(Self {
            columns: vec![Column::default(); features.min(FEATURES_MAX) + 1],
            scores: Adwin::new(settings.delta)?,
            labels: Adwin::new(settings.delta)?,
            settings,
            records: 0,
            in_window: 0,
            latest: Vec::new(),
            told: 0,
        })
    }

    /// Takes in a judged record: its features, `NaN` where unknown, and the model's probability if it has one.
    pub fn record(&mut self, row: &[f64], probability: Option<f64>, shifts: &mut Vec<Shift>) {
        self.records += 1;
        self.in_window += 1;
        let features = self.columns.len() - 1;
        for (place, column) in self.columns.iter_mut().enumerate() {
            let value = if place == features { probability } else { row.get(place).copied() };
            column.window.push(value.unwrap_or(f64::NAN));
        }
        if let Some(probability) = probability
            && let Ok(Some(change)) = self.scores.add(probability.clamp(0.0, 1.0))
        {
            self.tell(Subject::Score, adwin(change), shifts);
        }
        if self.in_window < self.settings.window {
            return;
        }
        self.in_window = 0;
        self.latest.clear();
        let mut found = Vec::new();
        for (place, column) in self.columns.iter_mut().enumerate() {
            let subject = if place == features { Subject::Score } else { Subject::Feature(place) };
            let Some((psi, ks)) = column.close(&self.settings) else { continue };
            let is_shifted = psi >= self.settings.psi;
            if is_shifted && !column.is_shifted {
                let measure = Measure::Psi { psi: millionths(psi), ks: millionths(ks.unwrap_or(0.0)) };
                found.push((subject.clone(), measure));
            }
            column.is_shifted = is_shifted;
            self.latest.push(Distance { subject, psi, ks });
        }
        for (subject, measure) in found {
            self.tell(subject, measure, shifts);
        }
    }

    /// Takes in a label, when it arrives.
    pub fn label(&mut self, is_fraud: bool, shifts: &mut Vec<Shift>) {
        if let Ok(Some(change)) = self.labels.add(f64::from(u8::from(is_fraud))) {
            self.tell(Subject::Labels, adwin(change), shifts);
        }
    }

    fn tell(&mut self, subject: Subject, measure: Measure, shifts: &mut Vec<Shift>) {
        self.told += 1;
        shifts.push(Shift { subject, measure, records: self.records });
    }

    /// Judged records so far.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Shifts told so far.
    #[must_use]
    pub const fn told(&self) -> u64 {
        self.told
    }

    /// Whether there is a reference to compare with.
    #[must_use]
    pub const fn has_reference(&self) -> bool {
        self.records >= self.settings.window as u64
    }

    /// How far each subject was from its reference in the last whole window behind it.
    #[must_use]
    pub fn latest(&self) -> &[Distance] {
        &self.latest
    }

    /// Mean probability in ADWIN's window, and share of fraud among the labels in its window.
    #[must_use]
    pub fn means(&self) -> (Option<f64>, Option<f64>) {
        (self.scores.mean(), self.labels.mean())
    }
}

fn adwin(change: scoring::drift::Change) -> Measure {
    Measure::Adwin { before: millionths(change.before), after: millionths(change.after) }
}

impl Subject {
    /// In words, with the names of the features.
    #[must_use]
    pub fn name<'n>(&self, features: &[&'n str]) -> &'n str {
        match self {
            Self::Feature(place) => features.get(*place).copied().unwrap_or("a feature"),
            Self::Labels => "share of fraud among labels",
            Self::Score => "score",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator that needs no crate: SplitMix64 (Steele, Lea, Flood 2014).
    struct Mix(u64);

    impl Mix {
        fn unit(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    fn run(seed: u64, records: usize, shift_from: usize, by: f64) -> (Monitor, Vec<Shift>) {
        let mut random = Mix(seed);
        let mut monitor = Monitor::new(3, Settings { window: 1_000, ..Settings::default() }).unwrap();
        let mut shifts = Vec::new();
        for record in 0..records {
            let moved = if record >= shift_from { by } else { 0.0 };
            let row =
                [random.unit(), random.unit() + moved, if random.unit() < 0.3 { f64::NAN } else { 1.0 }];
            let score = (random.unit() * 0.2 + moved * 0.3).clamp(0.0, 1.0);
            monitor.record(&row, Some(score), &mut shifts);
            if record % 10 == 0 {
                monitor.label(random.unit() < 0.1 + moved * 0.5, &mut shifts);
            }
        }
        (monitor, shifts)
    }

    #[test]
    fn a_stream_that_stays_raises_no_alarm_and_one_that_moves_is_told_once_and_soon() {
        for seed in 0..5 {
            let (monitor, shifts) = run(seed, 30_000, usize::MAX, 0.0);
            assert_eq!(shifts, [], "seed {seed}");
            assert_eq!((monitor.records(), monitor.latest().len()), (30_000, 4));
            let (_, shifts) = run(seed, 30_000, 15_000, 0.4);
            let of = |subject: Subject| {
                shifts
                    .iter()
                    .filter(|shift| shift.subject == subject)
                    .map(|shift| shift.records)
                    .collect::<Vec<_>>()
            };
            assert_eq!(of(Subject::Feature(0)), Vec::<u64>::new());
            assert_eq!(of(Subject::Feature(1)), [16_000], "once, with the first whole window");
            assert_eq!(of(Subject::Feature(2)), Vec::<u64>::new());
            let first = of(Subject::Score)[0];
            assert!((15_000..15_600).contains(&first), "ADWIN needs no whole window: {first}");
            assert!(!of(Subject::Labels).is_empty());
        }
    }

    #[test]
    fn settings_have_ranges() {
        for (settings, name) in [
            (Settings { window: 10, ..Settings::default() }, "window"),
            (Settings { bins: 1, ..Settings::default() }, "bins"),
            (Settings { psi: f64::NAN, ..Settings::default() }, "psi"),
            (Settings { delta: 0.0, ..Settings::default() }, "delta"),
        ] {
            assert_eq!(Monitor::new(1, settings).unwrap_err(), DriftError::BadParameter { name });
        }
    }

    #[test]
    fn a_column_nobody_knows_and_a_missing_score_are_no_shift() {
        let mut monitor = Monitor::new(1, Settings { window: 200, ..Settings::default() }).unwrap();
        let mut shifts = Vec::new();
        for _ in 0..2_000 {
            monitor.record(&[f64::NAN], None, &mut shifts);
        }
        assert_eq!(shifts, []);
    }
}
