//! One ring of samples per entity, with a head and a tail cursor per window.
//!
//! After the algorithm of Railgun (VLDB 2021): a cursor pair remembers the last question; the next one moves head
//! and tail over the samples between the two, adding and removing what they pass. Amortised O(1) per sample and
//! window while questions move forward; questions may also move backward.
//!
//! Semantics and bounds are stated at the head of the crate.

use std::{collections::VecDeque, hash::Hash, time::Duration};

use domain::{Amount, UnixNanos};

use crate::{Canonical, EntityTable, ExactSum, StateDigest};

/// Most different items a distinct count tells apart; beyond it the count is declared a lower bound.
pub const DISTINCT_MAX: usize = 64;
/// Most samples per entity that a configuration may ask for; keeps [`ExactSum`] within its range.
const SAMPLES_LIMIT: usize = 1 << 20;

/// A place in the order of events: event time, then journal sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// When it happened.
    pub at: UnixNanos,
    /// Where it stands in the journal; breaks ties.
    pub seq: u64,
}

impl Moment {
    /// After everything.
    pub const LAST: Self = Self::end_of(UnixNanos(u64::MAX));

    /// After everything that happened at `at` and was recorded so far.
    #[must_use]
    pub const fn end_of(at: UnixNanos) -> Self {
        Self { at, seq: u64::MAX }
    }
}

/// One thing that happened to an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample<T> {
    /// When, and where in the journal. One sample per entity and moment.
    pub moment: Moment,
    /// How much; zero where there is nothing to add up. Amounts of different assets belong to different entities.
    pub amount: Amount,
    /// What is counted as different: an address, a device, nothing.
    pub item: T,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// The same entity has a sample of the same moment already; nothing changed.
    Duplicate,
    /// It is the newest of its entity.
    InOrder,
    /// It was inserted among newer ones.
    Inserted,
    /// It is too old to be inserted, and only counted.
    Late,
}

/// Bounds of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entities held; the coldest makes room.
    pub entities_max: usize,
    /// Samples held per entity; the oldest makes room. At most 2^20.
    pub samples_max: usize,
    /// How much older than the newest sample of its entity a sample may be and still be inserted.
    pub lateness: Duration,
}

/// Count and sum of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    /// Samples in the window.
    pub count: usize,
    /// Sum of their amounts; `None` when it exceeds what an [`Amount`] can hold.
    pub sum: Option<Amount>,
    /// Whether nothing that belongs to the window was forgotten.
    pub exact: bool,
}

/// How many different items a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distinct {
    /// Different items, at most [`DISTINCT_MAX`].
    pub count: usize,
    /// False when there are more than can be told apart, or samples of the window were forgotten.
    pub exact: bool,
}

#[derive(Debug, Clone)]
struct Cursor {
    as_of: Moment,
    /// First sample after `as_of`.
    head: usize,
    /// First sample inside the window; at most `head`.
    tail: usize,
    /// Of the samples in `tail..head`.
    sum: ExactSum,
}

#[derive(Debug)]
struct Ring<T> {
    /// Ascending by moment.
    samples: VecDeque<Sample<T>>,
    /// One per window, in the order of `Windows::widths`; empty until the first question.
    cursors: Vec<Cursor>,
    first_at: UnixNanos,
    last_at: UnixNanos,
    /// Time of the newest sample that made room for others, or that an entity evicted before this one came had.
    forgotten_until: Option<UnixNanos>,
    late: u64,
}

/// Windows of fixed widths over the samples of many entities.
#[derive(Debug)]
pub struct Windows<K, T> {
    widths: Vec<Duration>,
    bounds: Bounds,
    rings: EntityTable<K, Ring<T>>,
    /// Time of the newest sample of any entity that made room for others. Whoever is not held now may have been
    /// held then, so an answer is exact only for windows that begin later.
    evicted_until: Option<UnixNanos>,
    late: u64,
}

impl<K: Canonical + Clone + Eq + Hash + Ord, T: Canonical + Clone + Ord> Windows<K, T> {
    /// Empty windows of the given widths, each above zero (a zero width is taken as one nanosecond).
    #[must_use]
    pub fn new(widths: &[Duration], bounds: Bounds) -> Self {
        Self {
            widths: widths.iter().map(|width| (*width).max(Duration::from_nanos(1))).collect(),
            bounds: Bounds { samples_max: bounds.samples_max.clamp(1, SAMPLES_LIMIT), ..bounds },
            rings: EntityTable::new(bounds.entities_max),
            evicted_until: None,
            late: 0,
        }
    }

    /// Entities held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rings.len()
    }

    /// Whether no entity is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// Entities forgotten so far to make room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.rings.evicted()
    }

    /// Samples that were too late to be inserted.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Records a sample. Costs O(1) in order, O(samples of the entity) when inserted.
    pub fn record(&mut self, entity: &K, sample: Sample<T>) -> Recorded {
        let Moment { at, .. } = sample.moment;
        let widest = self.widths.iter().max().copied().unwrap_or_default();
        let evicted_until = self.evicted_until;
        let (ring, evicted) = self.rings.touch_or_evict(entity, || Ring {
            samples: VecDeque::new(),
            cursors: Vec::new(),
            first_at: at,
            last_at: at,
            forgotten_until: evicted_until,
            late: 0,
        });
        self.evicted_until = self.evicted_until.max(evicted.map(|evicted| evicted.last_at));
        let recorded = ring.record(sample, &self.widths, self.bounds.lateness);
        if recorded == Recorded::Late {
            self.late += 1;
        }
        ring.forget(widest.saturating_add(self.bounds.lateness), self.bounds.samples_max);
        recorded
    }

    /// Count and sum of the window with index `window` (in the order given to [`Windows::new`]) as of `as_of`.
    /// An entity that is not held has a count of zero, exact unless one evicted had samples in such a window; an
    /// unknown window is answered as empty and inexact.
    pub fn aggregate(&mut self, entity: &K, window: usize, as_of: Moment) -> Aggregate {
        let Some(width) = self.widths.get(window) else {
            return Aggregate { count: 0, sum: Some(Amount::ZERO), exact: false };
        };
        let exact = self.remembers(entity, as_of.at.minus(*width));
        match self.rings.peek_mut(entity) {
            None => Aggregate { count: 0, sum: Some(Amount::ZERO), exact },
            Some(ring) => ring.aggregate(window, &self.widths, as_of, exact),
        }
    }

    /// As [`Windows::aggregate`] as of the end of `now`, and with it whatever was recorded with a later time: what
    /// is recorded has happened, so a later time is the error of a clock and must not hide a sample. Costs O(1)
    /// amortised where no sample lies ahead, O(samples of the entity) otherwise.
    pub fn recent(&mut self, entity: &K, window: usize, now: UnixNanos) -> Aggregate {
        let ahead =
            self.rings.peek(entity).is_some_and(|ring| ring.newest().is_some_and(|newest| newest > now));
        let Some(width) = self.widths.get(window).filter(|_| ahead) else {
            return self.aggregate(entity, window, Moment::end_of(now));
        };
        let after = now.minus(*width);
        let mut sum = ExactSum::new();
        let mut count = 0;
        for sample in self.between(entity, after, Moment::LAST) {
            sum.add(sample.amount);
            count += 1;
        }
        Aggregate { count, sum: sum.total(), exact: self.remembers(entity, after) }
    }

    /// How many different items the window holds. Costs O(samples in the window).
    #[must_use]
    pub fn distinct(&self, entity: &K, window: usize, as_of: Moment) -> Distinct {
        let Some(width) = self.widths.get(window) else {
            return Distinct { count: 0, exact: false };
        };
        let after = as_of.at.minus(*width);
        let mut seen: Vec<&T> = Vec::new();
        let mut exact = self.remembers(entity, after);
        for sample in self.between(entity, after, as_of) {
            if let Err(place) = seen.binary_search(&&sample.item) {
                if seen.len() == DISTINCT_MAX {
                    exact = false;
                    break;
                }
                seen.insert(place, &sample.item);
            }
        }
        Distinct { count: seen.len(), exact }
    }

    /// The samples after `after` and up to `as_of`, oldest first.
    pub fn between(&self, entity: &K, after: UnixNanos, as_of: Moment) -> impl Iterator<Item = &Sample<T>> {
        self.rings.peek(entity).into_iter().flat_map(move |ring| {
            let tail = ring.samples.partition_point(|sample| sample.moment.at <= after);
            let head = ring.samples.partition_point(|sample| sample.moment <= as_of).max(tail);
            ring.samples.range(tail..head)
        })
    }

    /// Whether every sample after `after` that was in time is still held.
    #[must_use]
    pub fn remembers(&self, entity: &K, after: UnixNanos) -> bool {
        let forgotten_until = match self.rings.peek(entity) {
            Some(ring) => ring.forgotten_until,
            None => self.evicted_until,
        };
        forgotten_until.is_none_or(|forgotten| forgotten <= after)
    }

    /// Times of the first and the last sample of an entity ever, late ones included.
    #[must_use]
    pub fn seen(&self, entity: &K) -> Option<(UnixNanos, UnixNanos)> {
        self.rings.peek(entity).map(|ring| (ring.first_at, ring.last_at))
    }

    /// Feeds the whole state, coldest entity first: what will be forgotten next is part of the state.
    pub fn feed(&self, digest: &mut StateDigest) {
        digest.number(self.rings.len() as u64);
        digest.number(self.rings.evicted());
        digest.optional_time(self.evicted_until);
        digest.number(self.late);
        for (entity, ring) in self.rings.iter() {
            entity.feed(digest);
            digest.time(ring.first_at);
            digest.time(ring.last_at);
            digest.optional_time(ring.forgotten_until);
            digest.number(ring.late);
            digest.number(ring.samples.len() as u64);
            for sample in &ring.samples {
                digest.time(sample.moment.at);
                digest.number(sample.moment.seq);
                digest.amount(sample.amount);
                sample.item.feed(digest);
            }
        }
    }
}

impl<T> Ring<T> {
    fn record(&mut self, sample: Sample<T>, widths: &[Duration], lateness: Duration) -> Recorded {
        let Moment { at, .. } = sample.moment;
        self.first_at = self.first_at.min(at);
        self.last_at = self.last_at.max(at);
        let newest = self.samples.back().map(|newest| newest.moment);
        if newest.is_some_and(|newest| at < newest.at.minus(lateness)) {
            self.late += 1;
            return Recorded::Late;
        }
        let place = self.samples.partition_point(|other| other.moment < sample.moment);
        if self.samples.get(place).is_some_and(|other| other.moment == sample.moment) {
            return Recorded::Duplicate;
        }
        for (cursor, width) in self.cursors.iter_mut().zip(widths) {
            if sample.moment <= cursor.as_of {
                cursor.head += 1;
                if at <= cursor.as_of.at.minus(*width) {
                    cursor.tail += 1;
                } else {
                    cursor.sum.add(sample.amount);
                }
            }
        }
        let in_order = place == self.samples.len();
        self.samples.insert(place, sample);
        if in_order { Recorded::InOrder } else { Recorded::Inserted }
    }

    /// Drops what no window can reach any more, and what exceeds the bound.
    fn forget(&mut self, horizon: Duration, samples_max: usize) {
        let Some(newest) = self.newest() else { return };
        let reachable_after = newest.minus(horizon);
        while let Some(oldest) = self.samples.front() {
            // Times before 1970 + horizon saturate: nothing can be said to be out of reach there.
            let out_of_reach = reachable_after > UnixNanos::default() && oldest.moment.at <= reachable_after;
            if !out_of_reach && self.samples.len() <= samples_max {
                break;
            }
            let (at, amount) = (oldest.moment.at, oldest.amount);
            for cursor in &mut self.cursors {
                if cursor.tail > 0 {
                    cursor.tail -= 1;
                    cursor.head -= 1;
                } else if cursor.head > 0 {
                    cursor.sum.remove(amount);
                    cursor.head -= 1;
                }
            }
            self.samples.pop_front();
            self.forgotten_until = self.forgotten_until.max(Some(at));
        }
    }

    fn newest(&self) -> Option<UnixNanos> {
        self.samples.back().map(|newest| newest.moment.at)
    }

    fn aggregate(&mut self, window: usize, widths: &[Duration], as_of: Moment, exact: bool) -> Aggregate {
        if self.cursors.is_empty() {
            let start = Moment { at: UnixNanos(0), seq: 0 };
            let unasked = Cursor { as_of: start, head: 0, tail: 0, sum: ExactSum::new() };
            // A sample at the very first moment is not after `start`.
            let head = self.samples.partition_point(|sample| sample.moment <= start);
            self.cursors = vec![Cursor { head, tail: head, ..unasked }; widths.len()];
        }
        let after = as_of.at.minus(widths[window]);
        let cursor = &mut self.cursors[window];
        let samples = &self.samples;
        // Backward: what is now after the head leaves the window, unless it was below the tail.
        while let Some(sample) = cursor.head.checked_sub(1).and_then(|index| samples.get(index)) {
            if sample.moment <= as_of {
                break;
            }
            cursor.head -= 1;
            if cursor.head >= cursor.tail {
                cursor.sum.remove(sample.amount);
            }
        }
        while let Some(sample) = cursor.tail.checked_sub(1).and_then(|index| samples.get(index)) {
            if sample.moment.at <= after {
                break;
            }
            cursor.tail -= 1;
            if cursor.tail < cursor.head {
                cursor.sum.add(sample.amount);
            }
        }
        // Forward: enter at the head, leave at the tail.
        while let Some(sample) = samples.get(cursor.head).filter(|sample| sample.moment <= as_of) {
            cursor.sum.add(sample.amount);
            cursor.head += 1;
        }
        while cursor.tail < cursor.head
            && let Some(sample) = samples.get(cursor.tail)
            && sample.moment.at <= after
        {
            cursor.sum.remove(sample.amount);
            cursor.tail += 1;
        }
        // Only at the start of 1970, where `after` saturates, can the tail have stayed beyond the head.
        cursor.tail = cursor.tail.min(cursor.head);
        cursor.as_of = as_of;
        Aggregate { count: cursor.head - cursor.tail, sum: cursor.sum.total(), exact }
    }
}

#[cfg(test)]
mod tests;
