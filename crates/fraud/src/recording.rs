//! A whole recording in memory, in the order of event time: what evaluation and training work on.
//!
//! Rows of the file need not be sorted; events are put into the order of (event time, place in the file), which is
//! the order a journal would have had. Nothing is corrected and nothing left out: rows that cannot be read are handed
//! to the caller as dead letters and counted.
//!
//! Bounds: [`EVENTS_MAX`] events; 16 bytes per field and about 40 more per event, and the text of each subject once.

use std::{
    collections::HashMap,
    io::{self, Read},
};

use crypto::Sha256;
use domain::UnixNanos;

use crate::{
    evaluate::protocol::{Day, Judged},
    feed::{engine_value, event_id},
    mapping::{Event, Field, Mapping},
    stream::{DeadLetter, Events, Next, StreamError},
};

/// Most events of a recording.
pub const EVENTS_MAX: usize = 1 << 26;

/// Why a recording cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// No event was read.
    #[error("no event could be read: {dead} rows are dead letters")]
    Empty {
        /// How many rows could not be read.
        dead: u64,
    },
    /// Reading failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The mapping names no subject.
    #[error("the mapping has no entity field {subject:?}: it names whom an alert is about")]
    Subject {
        /// The field that is missing.
        subject: String,
    },
    /// More than [`EVENTS_MAX`] events.
    #[error("more than {EVENTS_MAX} events")]
    TooManyEvents,
}

/// Events in the order of event time.
#[derive(Debug, Clone)]
pub struct Recording {
    name: String,
    fields: Vec<Field>,
    times: Vec<UnixNanos>,
    ids: Vec<u64>,
    judged: Vec<Judged>,
    /// Row by row, one per field.
    cells: Vec<features::Value>,
    subjects: Vec<Box<str>>,
    dead: u64,
    label_delay: Option<std::time::Duration>,
    sha256: [u8; 32],
}

/// Hashes what is read.
#[derive(Debug)]
pub(crate) struct Hashed<R> {
    input: R,
    digest: Sha256,
}

impl<R> Hashed<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, digest: Sha256::new() }
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.digest.finish()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into)?;
        self.digest.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl Recording {
    /// Reads all events; `dead` is told of each row that is none, in the order of the file.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn read(
        input: impl Read,
        mapping: &Mapping,
        dead: &mut dyn FnMut(&DeadLetter) -> io::Result<()>,
    ) -> Result<Self, RecordingError> {
        let subject = mapping
            .field(&mapping.subject)
            .ok_or_else(|| RecordingError::Subject { subject: mapping.subject.clone() })?;
        let mut hashed = Hashed::new(input);
        let mut recording = Self {
            name: mapping.name.clone(),
            fields: mapping.fields.clone(),
            times: Vec::new(),
            ids: Vec::new(),
            judged: Vec::new(),
            cells: Vec::new(),
            subjects: Vec::new(),
            dead: 0,
            label_delay: mapping.label.as_ref().map(|label| label.delay),
            sha256: [0; 32],
        };
        let mut known: HashMap<Box<str>, u32> = HashMap::new();
        let mut events = Events::open(&mut hashed, mapping)?;
        let mut event = Event::default();
        loop {
            match events.next(&mut event).map_err(StreamError::Io)? {
                Next::End => break,
                Next::Dead(letter) => {
                    recording.dead += 1;
                    dead(&letter).map_err(StreamError::Io)?;
                }
                Next::Event if recording.times.len() >= EVENTS_MAX => {
                    return Err(RecordingError::TooManyEvents);
                }
                Next::Event => {
                    let subject = event.text(subject).map(|text| match known.get(text) {
                        Some(subject) => *subject,
                        None => {
                            // There are no more subjects than events, and those are bounded.
                            let subject = u32::try_from(recording.subjects.len()).unwrap_or(u32::MAX);
                            recording.subjects.push(text.into());
                            known.insert(text.into(), subject);
                            subject
                        }
                    });
                    recording.times.push(event.time);
                    recording.ids.push(event_id(event.id()));
                    let day = Day::of(event.time);
                    recording.judged.push(Judged { day, subject, fraud: event.label });
                    for field in 0..recording.fields.len() {
                        let kind = &recording.fields[field].kind;
                        recording.cells.push(engine_value(&event, field, kind));
                    }
                }
            }
        }
        drop(events);
        if recording.times.is_empty() {
            return Err(RecordingError::Empty { dead: recording.dead });
        }
        recording.sort();
        recording.sha256 = hashed.finish();
        Ok(recording)
    }

    /// Puts the events into the order of (time, place in the file).
    fn sort(&mut self) {
        if self.times.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        // Stable: what happened at one moment stays in the order of the file.
        order.sort_by_key(|event| self.times[*event]);
        let width = self.fields.len();
        self.times = order.iter().map(|event| self.times[*event]).collect();
        self.ids = order.iter().map(|event| self.ids[*event]).collect();
        self.judged = order.iter().map(|event| self.judged[*event]).collect();
        self.cells =
            order.iter().flat_map(|event| &self.cells[event * width..(event + 1) * width]).copied().collect();
    }

    /// What the mapping calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Never: there is at least one event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Rows that could not be read.
    #[must_use]
    pub const fn dead(&self) -> u64 {
        self.dead
    }

    /// SHA-256 of the bytes read, as `sha256sum` prints it.
    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// How long after an event its label arrives; `None` if there are no labels.
    #[must_use]
    pub const fn label_delay(&self) -> Option<std::time::Duration> {
        self.label_delay
    }

    /// The fields of the mapping.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Day, subject and label of each event.
    #[must_use]
    pub fn judged(&self) -> &[Judged] {
        &self.judged
    }

    /// Place of each subject in the order of their names: shorter first, then by bytes, so that whole numbers stand
    /// in their own order.
    #[must_use]
    pub fn subject_ranks(&self) -> Vec<u32> {
        let mut order: Vec<usize> = (0..self.subjects.len()).collect();
        order.sort_by_key(|subject| (self.subjects[*subject].len(), &self.subjects[*subject]));
        let mut ranks = vec![0; order.len()];
        for (rank, subject) in order.into_iter().enumerate() {
            ranks[subject] = u32::try_from(rank).unwrap_or(u32::MAX);
        }
        ranks
    }

    pub(crate) fn time(&self, event: usize) -> UnixNanos {
        self.times[event]
    }

    pub(crate) fn id(&self, event: usize) -> u64 {
        self.ids[event]
    }

    pub(crate) fn cells(&self, event: usize) -> &[features::Value] {
        let width = self.fields.len();
        &self.cells[event * width..(event + 1) * width]
    }

    /// Replaces labels, for tests that ask whether a label leaks.
    #[cfg(test)]
    pub(crate) fn relabel(&mut self, label: impl Fn(usize, Judged) -> Option<bool>) {
        for (event, judged) in self.judged.iter_mut().enumerate() {
            judged.fraud = label(event, *judged);
        }
    }
}
