//! The past of an installation as rows to learn from and to be judged by: what the journal's fold computed, with the labels
//! that arrived.
//!
//! A [`Writer`] is shown every record by the step that serves ([`crate::live::Live::apply_with`]) and writes what training
//! needs: the features of judged records, labels when they arrive, and when the time of events comes to another day. A
//! [`History`] reads that back. So there is no second fold, and rows are what live traffic was judged by.
//!
//! # When a label counts
//! In the order of the journal. What is trained knows the labels that stand before the first entry of the first test day,
//! and no row that came late behind it; the test is judged by all labels up to the end. Labels of the future therefore
//! change neither a feature nor a model ([`History::view`]).
//!
//! # Silence
//! Most good customers are never labelled. [`Silence::Legitimate`] takes a row without a label as good once labels had time
//! to arrive; [`Silence::LeftOut`] learns from labelled rows alone.
//!
//! # Format
//! Between two processes of one version, never kept: magic, columns, hash of the pack; then pieces by their tag, numbers big
//! endian; then the end with the number of entries. A file that ends without its end is refused.
//!
//! Bounds: [`ROWS_MAX`] rows of [`CELLS_MAX`] values in all, [`LABELS_MAX`] labels.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read, Write},
    ops::Range,
};

use features::Pack;
use scoring::matrix::{FeatureNames, Matrix, MatrixError, quantise};

use crate::{
    evaluate::{
        Source, Table,
        protocol::{Day, Fold, Judged, date},
    },
    live::{self, manifest::minor_units, record::Cell, record::Field},
    recording::Hashed,
};

/// Rows of a history, at most.
pub const ROWS_MAX: usize = 1 << 24;
/// Values of all rows together, at most: 2 GiB.
pub const CELLS_MAX: usize = 1 << 29;
/// Labels of a history, at most.
pub const LABELS_MAX: usize = 1 << 24;
/// Days the time of events can come to.
const MARKS_MAX: usize = 1 << 18;

const MAGIC: &[u8; 20] = b"caponier history 01\n";
const ROW: u8 = 1;
const LABEL: u8 = 2;
const MARK: u8 = 3;
const END: u8 = 4;
/// A subject that is nobody.
const NOBODY: u8 = 0;

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// It is no history, or a damaged one.
    #[error("no history of the journal: {what} after {rows} rows")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Rows read by then.
        rows: usize,
    },
    /// No row was judged in those days.
    #[error("no record of the kinds that are judged lies in these days")]
    Empty,
    /// Reading or writing failed.
    #[error("history of the journal")]
    Io(#[from] io::Error),
    /// The rows are no matrix.
    #[error("features: {0}")]
    Matrix(#[from] MatrixError),
    /// It was computed by another pack.
    #[error("history was computed by another feature pack")]
    OtherPack,
    /// More than [`ROWS_MAX`] rows, [`CELLS_MAX`] values or [`LABELS_MAX`] labels.
    #[error("more rows or labels than can be held; choose fewer days or kinds")]
    TooMany,
    /// Labels of the last days cannot have arrived.
    #[error(
        "labels take {delay_days} days and the journal's events end on {}: days until {} \
         cannot be judged yet; choose earlier days, or leave out what has no label",
        date(*last_day), date(*until)
    )]
    TooYoung {
        /// Days until a label arrives.
        delay_days: u32,
        /// The last day events come from.
        last_day: u32,
        /// End of the days judged, since 1970.
        until: u32,
    },
}

/// What a record without a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Good, once labels had time to arrive.
    Legitimate,
    /// Neither learned from nor judged.
    LeftOut,
}

/// Writes a history. Errors are kept until [`Writer::finish`].
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    days: Range<Day>,
    /// Kinds that are wanted; empty for all.
    kinds: Vec<String>,
    day: Option<Day>,
    rows: usize,
    labels: usize,
    failed: Option<HistoryError>,
}

impl<W: Write> Writer<W> {
    /// Begins a history of records of `days` over this pack; of the kinds named, or of all that are judged.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(mut out: W, pack: &Pack, days: Range<Day>, kinds: Vec<String>) -> Result<Self, HistoryError> {
        out.write_all(MAGIC)?;
        out.write_all(&u32::try_from(pack.columns().len()).unwrap_or(u32::MAX).to_be_bytes())?;
        out.write_all(&pack.hash())?;
        Ok(Self { out, days, kinds, day: None, rows: 0, labels: 0, failed: None })
    }

    /// Takes in a record, in the order of the journal, whether it is judged or not.
    pub fn record(&mut self, judged: &live::Judged<'_>) {
        if self.failed.is_none()
            && let Err(error) = self.write_record(judged)
        {
            self.failed = Some(error);
        }
    }

    fn write_record(&mut self, judged: &live::Judged<'_>) -> Result<(), HistoryError> {
        let live::Judged { entry, record, row, scores, id, subject, .. } = judged;
        let day = Day::of(record.at);
        if self.day.is_none_or(|before| before < day) {
            self.day = Some(day);
            self.out.write_all(&[MARK])?;
            self.out.write_all(&entry.to_be_bytes())?;
            self.out.write_all(&day.0.to_be_bytes())?;
        }
        let is_wanted = scores.is_some()
            && self.days.contains(&day)
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == record.kind));
        if !is_wanted {
            return Ok(());
        }
        if self.rows >= ROWS_MAX || self.rows.saturating_mul(row.len()) >= CELLS_MAX {
            return Err(HistoryError::TooMany);
        }
        self.rows += 1;
        let value = match record.cell(Field::Value) {
            Cell::Money(value) => minor_units(Some(value)),
            _ => 0,
        };
        self.out.write_all(&[ROW])?;
        for number in [*entry, *id, record.at.0, value, subject.unwrap_or(0)] {
            self.out.write_all(&number.to_be_bytes())?;
        }
        self.out.write_all(&[if subject.is_some() { 1 } else { NOBODY }])?;
        for value in *row {
            let value = if value.is_nan() { f32::NAN } else { quantise(*value) };
            self.out.write_all(&value.to_bits().to_be_bytes())?;
        }
        Ok(())
    }

    /// Takes in a label that stands at the position `entry` and is about the record of this id.
    pub fn label(&mut self, entry: u64, id: u64, is_fraud: bool) {
        if self.failed.is_some() {
            return;
        }
        if self.labels >= LABELS_MAX {
            self.failed = Some(HistoryError::TooMany);
            return;
        }
        self.labels += 1;
        let mut piece = [LABEL; 18];
        piece[1..9].copy_from_slice(&entry.to_be_bytes());
        piece[9..17].copy_from_slice(&id.to_be_bytes());
        piece[17] = u8::from(is_fraud);
        if let Err(error) = self.out.write_all(&piece) {
            self.failed = Some(error.into());
        }
    }

    /// Ends the history of so many entries; yields rows and labels written.
    ///
    /// # Errors
    /// The first error since the beginning.
    pub fn finish(mut self, entries: u64) -> Result<(usize, usize), HistoryError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.out.write_all(&[END])?;
        self.out.write_all(&entries.to_be_bytes())?;
        self.out.flush()?;
        Ok((self.rows, self.labels))
    }
}

/// A history in memory.
#[derive(Debug)]
pub struct History {
    matrix: Matrix,
    entries: Vec<u64>,
    days: Vec<Day>,
    subjects: Vec<Option<u32>>,
    values_minor: Vec<u64>,
    /// By row, in the order of the journal: position and what the label says.
    labels: BTreeMap<usize, Vec<(u64, bool)>>,
    /// Where the time of events first came to a day.
    marks: Vec<(u64, Day)>,
    /// Subjects by number, in the order they came; the number is all that is known of them.
    n_subjects: u32,
    sha256: [u8; 32],
}

struct Pieces<R> {
    input: R,
    rows: usize,
}

impl<R: Read> Pieces<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], HistoryError> {
        let mut bytes = [0; N];
        match self.input.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(HistoryError::Damaged { what: "it breaks off", rows: self.rows })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn number(&mut self) -> Result<u64, HistoryError> {
        self.array().map(u64::from_be_bytes)
    }
}

impl History {
    /// Reads a history that was written over this pack.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn read(input: impl Read, pack: &Pack) -> Result<Self, HistoryError> {
        let mut hashed = Hashed::new(input);
        let mut pieces = Pieces { input: &mut hashed, rows: 0 };
        if pieces.array::<20>()? != *MAGIC {
            return Err(HistoryError::Damaged { what: "it begins otherwise", rows: 0 });
        }
        let columns = u32::from_be_bytes(pieces.array()?) as usize;
        if pieces.array::<32>()? != pack.hash() || columns != pack.columns().len() {
            return Err(HistoryError::OtherPack);
        }
        let names = FeatureNames::new(pack.columns().iter().map(|column| column.name.clone()))?;
        let mut history = Self {
            matrix: Matrix::new(names),
            entries: Vec::new(),
            days: Vec::new(),
            subjects: Vec::new(),
            values_minor: Vec::new(),
            labels: BTreeMap::new(),
            marks: Vec::new(),
            n_subjects: 0,
            sha256: [0; 32],
        };
        let mut row = vec![0.0_f32; columns];
        let mut row_of: HashMap<u64, usize> = HashMap::new();
        let mut known: HashMap<u64, u32> = HashMap::new();
        let mut labels = 0;
        loop {
            let rows = pieces.rows;
            let damaged = |what| HistoryError::Damaged { what, rows };
            match pieces.array::<1>()? {
                [ROW] => {
                    if rows >= ROWS_MAX || rows.saturating_mul(columns) >= CELLS_MAX {
                        return Err(HistoryError::TooMany);
                    }
                    let (entry, id) = (pieces.number()?, pieces.number()?);
                    let (at, value, subject) = (pieces.number()?, pieces.number()?, pieces.number()?);
                    let is_somebody = pieces.array::<1>()? != [NOBODY];
                    for cell in &mut row {
                        *cell = f32::from_bits(u32::from_be_bytes(pieces.array()?));
                    }
                    history.matrix.push(&row)?;
                    row_of.insert(id, rows);
                    let subject = is_somebody.then(|| {
                        *known.entry(subject).or_insert_with(|| {
                            history.n_subjects += 1;
                            history.n_subjects - 1
                        })
                    });
                    history.entries.push(entry);
                    history.days.push(Day::of(domain::UnixNanos(at)));
                    history.subjects.push(subject);
                    history.values_minor.push(value);
                    pieces.rows += 1;
                }
                [LABEL] => {
                    let (entry, id) = (pieces.number()?, pieces.number()?);
                    let [is_fraud] = pieces.array()?;
                    labels += 1;
                    if labels > LABELS_MAX {
                        return Err(HistoryError::TooMany);
                    }
                    // Of a record that is not asked about.
                    let Some(row) = row_of.get(&id) else { continue };
                    history.labels.entry(*row).or_default().push((entry, is_fraud != 0));
                }
                [MARK] => {
                    let (entry, day) = (pieces.number()?, Day(u32::from_be_bytes(pieces.array()?)));
                    if history.marks.last().is_some_and(|(_, before)| *before >= day)
                        || history.marks.len() >= MARKS_MAX
                    {
                        return Err(damaged("days that do not rise"));
                    }
                    history.marks.push((entry, day));
                }
                [END] => {
                    pieces.number()?;
                    break;
                }
                _ => return Err(damaged("a piece of no known kind")),
            }
        }
        if history.entries.is_empty() {
            return Err(HistoryError::Empty);
        }
        history.sha256 = hashed.finish();
        Ok(history)
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Never: a history without rows is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Rows that somebody labelled, and frauds among them by their last label.
    #[must_use]
    pub fn labelled(&self) -> (usize, usize) {
        let frauds = self.labels.values().filter(|labels| labels.last().is_some_and(|(_, fraud)| *fraud));
        (self.labels.len(), frauds.count())
    }

    /// SHA-256 of what was read.
    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// What was at stake in each row, in hundredths of the reference currency.
    #[must_use]
    pub fn values_minor(&self) -> &[u64] {
        &self.values_minor
    }

    /// The rows as folds take them.
    #[must_use]
    pub fn table(&self) -> Table {
        Table::of(self.matrix.clone(), (0..self.n_subjects).collect())
    }

    /// The entry at which the time of events first came to a day; the end if it never did.
    fn reaches(&self, day: Day) -> u64 {
        self.marks.iter().find(|(_, reached)| *reached >= day).map_or(u64::MAX, |(entry, _)| *entry)
    }

    /// Days, subjects and labels as they are known to whoever trains by this fold: see the module's head. `until`: labels
    /// that arrived from this day on are not looked at.
    ///
    /// # Errors
    /// [`HistoryError::TooYoung`].
    pub fn view(
        &self,
        fold: &Fold,
        silence: Silence,
        until: Option<Day>,
    ) -> Result<Vec<Judged>, HistoryError> {
        let last_day = self.marks.last().map_or(0, |(_, day)| day.0);
        let last_day = until.map_or(last_day, |until| last_day.min(until.0.saturating_sub(1)));
        let test_end = fold.test.end.0;
        if silence == Silence::Legitimate && last_day.saturating_add(1) < test_end + fold.delay_days {
            return Err(HistoryError::TooYoung { delay_days: fold.delay_days, last_day, until: test_end });
        }
        let trained_at = self.reaches(fold.test.start);
        let end = until.map_or(u64::MAX, |until| self.reaches(until));
        let silent = (silence == Silence::Legitimate).then_some(false);
        let judged = self.days.iter().enumerate().map(|(row, day)| {
            let known_before = |entry: u64| {
                let labels = self.labels.get(&row).map(Vec::as_slice).unwrap_or_default();
                labels.iter().rev().find(|(at, _)| *at < entry).map(|(_, is_fraud)| *is_fraud).or(silent)
            };
            let fraud = if fold.train.contains(day) {
                // A row that came late was not there to learn from.
                (self.entries[row] < trained_at).then(|| known_before(trained_at)).flatten()
            } else {
                known_before(end)
            };
            Judged { day: *day, subject: self.subjects[row], fraud }
        });
        Ok(judged.collect())
    }

    /// What the rows are called and where they come from, with a view of them.
    #[must_use]
    pub const fn source<'a>(&self, judged: &'a [Judged]) -> Source<'a> {
        Source { name: "journal", sha256: self.sha256, judged }
    }
}

#[cfg(test)]
mod tests;
