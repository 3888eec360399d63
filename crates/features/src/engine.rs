//! The engine: events in, one row of features out, by the plan of a pack.
//!
//! # Semantics
//! - The state is a fold over the records and labels in the order of the calls. No clock, no randomness, no order of
//!   hashing shows in it: the same calls give the same bits in every process. The calls follow a log:
//!   [`Record::position`] only rises.
//! - Time is event time, rounded down to the pack's resolution. Events are ordered by (time, position); a window is
//!   **(t - delay - width, t - delay]** as of the current event: an event of the same time with a later position is
//!   never part of it, one with an earlier position is.
//! - The *watermark* is the newest event time so far. An event up to the pack's `allowed_lateness` behind it is
//!   inserted in its place: its own row is as of its own time, and later rows hold it. One further behind is counted
//!   and changes nothing; its row has only what needs no state. A row that was given out never changes.
//! - An event whose id is among the last [`Limits::events_max`] is a duplicate and changes nothing.
//! - A label has effect from its *arrival* on: from the first event that takes the watermark to its arrival time or
//!   beyond, at the event's own place in the windows. Labels that arrive in the future cannot be seen. A later label for
//!   the same event replaces the earlier one.
//! - Profiles (z-scores) learn in the order of the log; they are not windows. Nor are graphs: an event counts in them
//!   as of the watermark.
//! - Sums, counts and extremes are exact integers, and the features computed from them in one fixed order of operations.
//!
//! # Bounds
//! Entities per key and filter, samples per entity, remembered events and waiting labels: [`Limits`]. What a bound
//! makes the engine forget is counted in [`Counts`].
//!
//! An event time far in the future would make all that follows late: whoever feeds the engine compares times with the
//! clock first.

mod extras;
mod graphs;
mod recent;
mod ring;
mod stream;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use domain::UnixNanos;

pub(crate) use self::ring::MISSING;
use self::{
    graphs::Graph,
    recent::Recent,
    stream::{Known, Stream},
};
use crate::{
    StateDigest,
    hash::pair,
    math,
    pack::{FieldType, Pack},
    plan::{Compute, Op, What, passes},
};

/// Largest magnitude of a cell: exact as a float, and 2^20 squares of it fit 127 bits.
const CELL_MAX: i64 = 1 << 53;
/// Windows over features hold them in millionths.
pub(crate) const NODE_CELLS_PER_UNIT: f64 = 1e6;
/// Most samples per entity that bounds may ask for; keeps sums within their integers.
const SAMPLES_LIMIT: usize = 1 << 20;

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// The hash of a category's text, by [`crate::category`].
    Category(u64),
    /// The hash of an entity, by [`crate::EntityHash`].
    Entity(u64),
    /// The event has no such value. Every field may be missing.
    Missing,
    /// Minor units, at most 2^53 of them.
    Money(i64),
    /// A finite number (`NaN` is taken as missing), at most 2^53 of its last decimal place.
    Number(f64),
}

/// An event.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its place in the log; rises from call to call.
    pub position: u64,
    /// When it happened.
    pub at: UnixNanos,
    /// Its id: labels name it, and a second event with the same one is a duplicate. Hash longer ids.
    pub id: u64,
    /// One value per field of the pack, in the pack's order.
    pub values: &'a [Value],
}

/// What became known about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The event's id.
    pub id: u64,
    /// Whether it was fraud.
    pub is_fraud: bool,
    /// When this became known.
    pub arrival: UnixNanos,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Stepped {
    /// Its id came before; nothing changed, and the row is all `NaN`.
    Duplicate,
    /// It is too far behind; nothing changed, and the row has only what needs no state.
    Late,
    /// It was taken in, and the row is its features.
    Taken,
}

/// What became of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Labelled {
    /// It has effect now.
    Applied,
    /// It waits for its arrival.
    Waiting,
    /// Its event is not, or no longer, remembered.
    Unmatched,
}

/// Why an event was not taken in; the state is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// Not one value per field.
    #[error("{got} values for {want} fields")]
    FieldCount {
        /// Values given.
        got: usize,
        /// Fields of the pack.
        want: usize,
    },
    /// A value beyond what sums can hold, or not finite.
    #[error("field {field:?}: value out of range")]
    OutOfRange {
        /// The field.
        field: String,
    },
    /// A log only goes forward.
    #[error("position {got} is not after {last}")]
    PositionNotLater {
        /// The position given.
        got: u64,
        /// The last one taken.
        last: u64,
    },
    /// The caller's row has another length than the pack has columns.
    #[error("a row of {got} for {want} columns")]
    RowLength {
        /// Length given.
        got: usize,
        /// Columns of the pack.
        want: usize,
    },
    /// A value of another type than its field.
    #[error("field {field:?} is of type {want}")]
    WrongType {
        /// The field.
        field: String,
        /// Its type.
        want: &'static str,
    },
}

/// Why a label was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// As many labels as allowed wait for their arrival.
    #[error("{0} labels wait for their arrival, no more are taken")]
    Full(usize),
}

/// What an engine may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entities held per key and filter, and per kind of node of a graph; one not seen for long makes room.
    pub entities_max: usize,
    /// Samples held per entity; the oldest makes room. At most 2^20.
    pub samples_max: usize,
    /// Events remembered by id, for duplicates and labels: choose more than come in the time a label takes.
    pub events_max: usize,
    /// Labels that wait for their arrival.
    pub labels_max: usize,
}

impl Default for Limits {
    /// 1,000,000 entities, 4,096 samples, 4,194,304 events, 1,048,576 labels.
    fn default() -> Self {
        Self { entities_max: 1_000_000, samples_max: 4_096, events_max: 1 << 22, labels_max: 1 << 20 }
    }
}

/// What the engine did and forgot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Events taken in.
    pub taken: u64,
    /// Duplicates.
    pub duplicates: u64,
    /// Events too far behind.
    pub late: u64,
    /// Labels that had effect.
    pub labels: u64,
    /// Labels whose event is not remembered.
    pub labels_unmatched: u64,
    /// Entities that made room, over all streams and graphs.
    pub evicted: u64,
    /// Samples, links and transfers that made room while a window still held them: counts of that entity are lower
    /// limits.
    pub overflowed: u64,
}

/// What the engine holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Entities, over all streams and graphs.
    pub entities: usize,
    /// Bytes of their state, tables included.
    pub entity_bytes: usize,
    /// Events remembered by id.
    pub events: usize,
    /// Bytes they take.
    pub event_bytes: usize,
    /// Labels that wait.
    pub labels_waiting: usize,
}

/// The current event as streams see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) at: u64,
    pub(crate) position: u64,
    pub(crate) cells: &'a [i64],
}

/// A label that waits: (arrival, order of the calls, id, fraud).
type Waiting = (u64, u64, u64, bool);

/// See the module's head.
#[derive(Debug)]
pub struct Engine {
    pack: Arc<Pack>,
    streams: Vec<Stream>,
    graphs: Vec<Graph>,
    recent: Recent,
    /// Labels that came in the order of their arrival, as most do.
    waiting: VecDeque<Waiting>,
    /// The others, the earliest first.
    waiting_out_of_order: BinaryHeap<Reverse<Waiting>>,
    labels_max: usize,
    /// Some stream also counts legitimate labels.
    counts_known: bool,
    label_calls: u64,
    watermark: Option<u64>,
    last_position: Option<u64>,
    counts: Counts,
    /// Of the current event.
    cells: Vec<i64>,
    numbers: Vec<f64>,
    nodes: Vec<f64>,
    keys: Vec<Option<u64>>,
    /// Per stream, the slot of its entity.
    found: Vec<Option<usize>>,
}

impl Engine {
    /// An engine without state.
    #[must_use]
    pub fn new(pack: Arc<Pack>, limits: Limits) -> Self {
        let plan = pack.plan();
        let is_hash = |field: usize| matches!(plan.fields[field], FieldType::Category | FieldType::Entity);
        let samples_max = limits.samples_max.min(SAMPLES_LIMIT);
        let streams = plan.streams.iter();
        let streams = streams
            .map(|stream| Stream::new(stream, plan.lateness_ticks, is_hash, limits.entities_max, samples_max))
            .collect();
        let marks: usize = plan.graphs.iter().map(|graph| graph.marks.len()).sum();
        let mut kept = plan.streams.iter().flat_map(|stream| &stream.kept);
        Self {
            streams,
            graphs: plan.graphs.iter().map(|graph| Graph::new(graph, limits.entities_max)).collect(),
            recent: Recent::new(limits.events_max, plan.labelled.len() + marks),
            waiting: VecDeque::new(),
            waiting_out_of_order: BinaryHeap::new(),
            labels_max: limits.labels_max,
            counts_known: kept.any(|kept| matches!(kept.what, What::Known { .. })),
            label_calls: 0,
            watermark: None,
            last_position: None,
            counts: Counts::default(),
            cells: vec![MISSING; plan.fields.len()],
            numbers: vec![f64::NAN; plan.fields.len()],
            nodes: vec![f64::NAN; plan.nodes.len()],
            keys: vec![None; plan.labelled.len() + marks],
            found: vec![None; plan.streams.len()],
            pack,
        }
    }

    /// The pack.
    #[must_use]
    pub const fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    /// Takes an event in and writes its features to `row`, one per column of the pack. A feature that cannot be
    /// computed is its `missing` value, `NaN` unless the pack says otherwise.
    ///
    /// # Errors
    /// [`StepError`] when the record does not fit the pack or the log; nothing changed then, and the row is undefined.
    pub fn step(&mut self, record: &Record<'_>, row: &mut [f64]) -> Result<Stepped, StepError> {
        self.admit(record, row)?;
        self.last_position = Some(record.position);
        if self.recent.find(record.id).is_some() {
            self.counts.duplicates += 1;
            row.fill(f64::NAN);
            return Ok(Stepped::Duplicate);
        }
        let at = record.at.0 / self.pack.plan().tick_nanos;
        let is_late = self.is_late(at);
        if is_late {
            self.counts.late += 1;
        } else {
            self.watermark = self.watermark.max(Some(at));
            self.apply_arrived();
        }

        self.compute_row(record, at, self.watermark.filter(|_| !is_late), false, row);
        if is_late {
            return Ok(Stepped::Late);
        }
        self.recent.push(record.id, at, record.position, &self.keys);
        self.counts.taken += 1;
        Ok(Stepped::Taken)
    }

    /// The row [`Engine::step`] would give now, without taking the event in: nothing changes, in what is held nor in
    /// what will be forgotten. Labels that wait stay where they are, so the two agree unless a label arrives between the
    /// watermark and the event. Costs a copy of the state of each entity that is touched.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub fn preview(&mut self, record: &Record<'_>, row: &mut [f64]) -> Result<Stepped, StepError> {
        self.admit(record, row)?;
        if self.recent.find(record.id).is_some() {
            row.fill(f64::NAN);
            return Ok(Stepped::Duplicate);
        }
        let at = record.at.0 / self.pack.plan().tick_nanos;
        let is_late = self.is_late(at);
        let now = self.watermark.max(Some(at)).filter(|_| !is_late);
        self.compute_row(record, at, now, true, row);
        Ok(if is_late { Stepped::Late } else { Stepped::Taken })
    }

    /// Checks a record and turns its values into cells.
    fn admit(&mut self, record: &Record<'_>, row: &[f64]) -> Result<(), StepError> {
        let want = self.pack.columns().len();
        if row.len() != want {
            return Err(StepError::RowLength { got: row.len(), want });
        }
        if let Some(last) = self.last_position.filter(|last| record.position <= *last) {
            return Err(StepError::PositionNotLater { got: record.position, last });
        }
        self.unpack(record.values)
    }

    fn is_late(&self, at: u64) -> bool {
        let lateness = self.pack.plan().lateness_ticks;
        self.watermark.is_some_and(|watermark| at.saturating_add(lateness) < watermark)
    }

    /// Runs the plan over the cells of the current event. `now` is the watermark, `None` for an event that is late.
    fn compute_row(
        &mut self,
        record: &Record<'_>,
        at: u64,
        now: Option<u64>,
        is_preview: bool,
        row: &mut [f64],
    ) {
        let pack = Arc::clone(&self.pack);
        let plan = pack.plan();
        let cells = std::mem::take(&mut self.cells);
        // The state of all entities is asked for before any of it is used: the waits for memory overlap.
        for (place, stream) in self.streams.iter().enumerate() {
            let (key, other) = plan.streams[place].key;
            let found = key_of(&cells, key, other).and_then(|key| stream.find(key));
            std::hint::black_box(found.map(|slot| stream.touch(slot)));
            self.found[place] = found;
        }
        let event = Event { at, position: record.position, cells: &cells };
        self.keys.fill(None);
        for op in &plan.order {
            match op {
                Op::Graph(graph) => {
                    let (plan, graph) = (&plan.graphs[*graph], &mut self.graphs[*graph]);
                    match now {
                        Some(now) if is_preview => graph.preview(plan, &cells, now, &mut self.nodes),
                        Some(now) => graph.step(plan, &cells, now, &mut self.nodes),
                        None => plan.reads.iter().for_each(|(node, _)| self.nodes[*node] = f64::NAN),
                    }
                    for (node, _) in &plan.reads {
                        let value = &mut self.nodes[*node];
                        if value.is_nan() {
                            *value = pack.plan().nodes[*node].missing;
                        }
                    }
                }
                Op::Stream(stream) => {
                    let (key, other) = plan.streams[*stream].key;
                    let key = key_of(&cells, key, other).filter(|_| now.is_some());
                    let found = self.found[*stream];
                    let stream_at_work = &mut self.streams[*stream];
                    let has_sample = if is_preview {
                        stream_at_work.preview(&event, key, found, &mut self.nodes);
                        false
                    } else {
                        stream_at_work.step(&event, key, found, &mut self.nodes)
                    };
                    if has_sample && let Ok(rank) = plan.labelled.binary_search(stream) {
                        self.keys[rank] = key;
                    }
                    for (node, _) in &plan.streams[*stream].reads {
                        let value = &mut self.nodes[*node];
                        if value.is_nan() {
                            *value = plan.nodes[*node].missing;
                        }
                    }
                }
                Op::Node(node) => {
                    let value = self.compute(&plan.nodes[*node].compute, record.at, &cells);
                    self.nodes[*node] = if value.is_nan() { plan.nodes[*node].missing } else { value };
                }
            }
        }
        let marks = plan.graphs.iter().flat_map(|graph| &graph.marks);
        for (mark, field) in self.keys.iter_mut().skip(plan.labelled.len()).zip(marks) {
            *mark = key_of(&cells, *field, None);
        }
        self.cells = cells;
        for (feature, node) in row.iter_mut().zip(&plan.columns) {
            *feature = self.nodes[*node];
        }
    }

    /// Takes a label. The event must have been taken in before the label's arrival; a label that waits has no effect
    /// on any row before it.
    ///
    /// # Errors
    /// [`LabelError::Full`] when too many labels wait.
    pub fn label(&mut self, label: &Label) -> Result<Labelled, LabelError> {
        let arrival = label.arrival.0.div_ceil(self.pack.plan().tick_nanos);
        if self.watermark.is_some_and(|watermark| arrival <= watermark) {
            return Ok(self.apply(label.id, label.is_fraud));
        }
        if self.labels_waiting() >= self.labels_max {
            return Err(LabelError::Full(self.labels_max));
        }
        self.label_calls += 1;
        let waiting = (arrival, self.label_calls, label.id, label.is_fraud);
        if self.waiting.back().is_none_or(|last| *last < waiting) {
            self.waiting.push_back(waiting);
        } else {
            self.waiting_out_of_order.push(Reverse(waiting));
        }
        Ok(Labelled::Waiting)
    }

    /// What it did and forgot so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            evicted: self.streams.iter().map(Stream::evicted).sum::<u64>()
                + self.graphs.iter().map(Graph::evicted).sum::<u64>(),
            overflowed: self.streams.iter().map(Stream::overflowed).sum::<u64>()
                + self.graphs.iter().map(Graph::overflowed).sum::<u64>(),
            ..self.counts
        }
    }

    /// What it holds. Costs O(entities).
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            entities: self.streams.iter().map(Stream::entities).sum::<usize>()
                + self.graphs.iter().map(Graph::entities).sum::<usize>(),
            entity_bytes: self.streams.iter().map(Stream::bytes).sum::<usize>()
                + self.graphs.iter().map(Graph::bytes).sum::<usize>(),
            events: self.recent.len(),
            event_bytes: self.recent.bytes(),
            labels_waiting: self.labels_waiting(),
        }
    }

    /// The newest event time so far, rounded down to the pack's resolution.
    #[must_use]
    pub fn watermark(&self) -> Option<UnixNanos> {
        self.watermark.map(|ticks| UnixNanos(ticks * self.pack.plan().tick_nanos))
    }

    /// SHA-256 of the pack's hash and the whole state. Two engines with one digest answer alike from here on. Costs
    /// O(state).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = StateDigest::new("feature engine 1");
        digest.bytes(&self.pack.hash());
        for number in [self.watermark, self.last_position] {
            digest.number(u64::from(number.is_some()));
            digest.number(number.unwrap_or_default());
        }
        let Counts { taken, duplicates, late, labels, labels_unmatched, .. } = self.counts;
        for number in [taken, duplicates, late, labels, labels_unmatched] {
            digest.number(number);
        }
        self.streams.iter().for_each(|stream| stream.feed(&mut digest));
        self.graphs.iter().for_each(|graph| graph.feed(&mut digest));
        self.recent.feed(&mut digest);
        let out_of_order = self.waiting_out_of_order.iter().map(|Reverse(waiting)| waiting);
        let mut waiting: Vec<&Waiting> = self.waiting.iter().chain(out_of_order).collect();
        waiting.sort_unstable();
        digest.number(waiting.len() as u64);
        for (arrival, _, id, is_fraud) in waiting {
            for number in [*arrival, *id, u64::from(*is_fraud)] {
                digest.number(number);
            }
        }
        digest.finish()
    }

    fn labels_waiting(&self) -> usize {
        self.waiting.len() + self.waiting_out_of_order.len()
    }

    fn apply_arrived(&mut self) {
        loop {
            let in_order = self.waiting.front().copied();
            let other = self.waiting_out_of_order.peek().map(|Reverse(waiting)| *waiting);
            let next = match (in_order, other) {
                (Some(a), Some(b)) => a.min(b),
                (Some(next), None) | (None, Some(next)) => next,
                (None, None) => return,
            };
            if Some(next.0) > self.watermark {
                return;
            }
            if in_order == Some(next) {
                self.waiting.pop_front();
            } else {
                self.waiting_out_of_order.pop();
            }
            let _applied = self.apply(next.2, next.3);
        }
    }

    fn apply(&mut self, id: u64, is_fraud: bool) -> Labelled {
        let Some(found) = self.recent.find(id) else {
            self.counts.labels_unmatched += 1;
            return Labelled::Unmatched;
        };
        self.counts.labels += 1;
        let known = if is_fraud { Known::Fraud } else { Known::Legitimate };
        if known == found.known {
            return Labelled::Applied;
        }
        self.recent.set_known(&found, known);
        // Where only frauds are counted, what was not known and is legitimate changes nothing.
        if is_fraud || found.known == Known::Fraud || self.counts_known {
            for (rank, stream) in self.pack.plan().labelled.iter().enumerate() {
                if let Some(key) = self.recent.key(&found, rank) {
                    self.streams[*stream].label(key, found.at, found.position, known);
                }
            }
        }
        if is_fraud || found.known == Known::Fraud {
            let mut rank = self.pack.plan().labelled.len();
            for (plan, graph) in self.pack.plan().graphs.iter().zip(&mut self.graphs) {
                for field in &plan.marks {
                    if let Some(key) = self.recent.key(&found, rank) {
                        graph.mark(*field, key, is_fraud);
                    }
                    rank += 1;
                }
            }
        }
        Labelled::Applied
    }

    /// Checks the values and turns them into cells.
    fn unpack(&mut self, values: &[Value]) -> Result<(), StepError> {
        let fields = self.pack.fields();
        if values.len() != fields.len() {
            return Err(StepError::FieldCount { got: values.len(), want: fields.len() });
        }
        let per_field = self.cells.iter_mut().zip(&mut self.numbers);
        for ((value, field), (cell, number)) in values.iter().zip(fields).zip(per_field) {
            let out_of_range = || StepError::OutOfRange { field: field.name.clone() };
            (*cell, *number) = match (field.field_type, *value) {
                (_, Value::Missing) => (MISSING, f64::NAN),
                (FieldType::Bool, Value::Bool(flag)) => (i64::from(flag), f64::from(u8::from(flag))),
                (FieldType::Category, Value::Category(hash)) | (FieldType::Entity, Value::Entity(hash)) => {
                    (hash_cell(hash), f64::NAN)
                }
                (FieldType::Money { scale }, Value::Money(minor)) => {
                    if !(-CELL_MAX..=CELL_MAX).contains(&minor) {
                        return Err(out_of_range());
                    }
                    (minor, minor as f64 / POWERS[scale.min(18) as usize])
                }
                (FieldType::Number { .. }, Value::Number(number)) if number.is_nan() => (MISSING, f64::NAN),
                (FieldType::Number { decimals }, Value::Number(number)) => {
                    let scaled = number * POWERS[decimals.min(18) as usize];
                    (rounded_cell(scaled).ok_or_else(out_of_range)?, number)
                }
                (field_type, _) => {
                    return Err(StepError::WrongType { field: field.name.clone(), want: field_type.name() });
                }
            };
        }
        Ok(())
    }

    fn compute(&self, compute: &Compute, at: UnixNanos, cells: &[i64]) -> f64 {
        let secs = at.as_secs();
        let hour = secs / 3_600 % 24;
        // 1 January 1970 was a Thursday.
        let weekday = (secs / 86_400 + 3) % 7;
        let turn = || (secs % 86_400) as f64 / 86_400.0;
        match compute {
            Compute::Field(field) => self.numbers[*field],
            Compute::Log1p(field) => math::ln(1.0 + self.numbers[*field]),
            Compute::Is(filter) => {
                let is_known = filter.iter().all(|condition| cells[condition.field] != MISSING);
                if is_known { f64::from(u8::from(passes(filter, cells))) } else { f64::NAN }
            }
            Compute::Hour => hour as f64,
            Compute::HourAtMost(last) => f64::from(u8::from(hour <= *last)),
            Compute::SinHour => math::sin_cos_turn(turn()).0,
            Compute::CosHour => math::sin_cos_turn(turn()).1,
            Compute::Weekday => weekday as f64,
            Compute::Weekend => f64::from(u8::from(weekday >= 5)),
            Compute::Difference { left, right } => self.nodes[*left] - self.nodes[*right],
            Compute::Ratio { numerator, denominator, floor } => {
                let (numerator, mut denominator) = (self.nodes[*numerator], self.nodes[*denominator]);
                if let Some(floor) = floor.filter(|floor| denominator < *floor) {
                    denominator = floor;
                }
                if denominator == 0.0 { f64::NAN } else { numerator / denominator }
            }
            Compute::Read => f64::NAN,
        }
    }
}

/// Powers of ten that are exact as floats.
const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

fn key_of(cells: &[i64], first: usize, second: Option<usize>) -> Option<u64> {
    let key = |field: usize| Some(cells[field]).filter(|cell| *cell != MISSING).map(i64::cast_unsigned);
    match second {
        None => key(first),
        Some(second) => Some(pair(key(first)?, key(second)?)),
    }
}

/// The cell of a hash; never the missing one.
pub(crate) const fn hash_cell(hash: u64) -> i64 {
    let cell = hash.cast_signed();
    if cell == MISSING { 0 } else { cell }
}

/// The nearest whole cell, if it is in range.
pub(crate) fn rounded_cell(scaled: f64) -> Option<i64> {
    let rounded = scaled.round();
    #[allow(clippy::cast_possible_truncation, reason = "a whole number within 2^53")]
    let cell = (rounded.abs() <= CELL_MAX as f64).then_some(rounded as i64);
    cell
}

/// The cell of a feature: millionths, saturated.
pub(crate) fn node_cell(value: f64) -> i64 {
    if value.is_nan() {
        return MISSING;
    }
    let limit = CELL_MAX as f64;
    rounded_cell((value * NODE_CELLS_PER_UNIT).clamp(-limit, limit)).unwrap_or(MISSING)
}

#[cfg(test)]
mod tests;
