//! State that only some features need, and that does not fit into words: extremes, sets of values, times of frauds.

use std::collections::VecDeque;

use super::ring::MISSING;

/// What a slot holds beside its ring.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    /// Samples that left the ring: a sample's number is this plus its index.
    pub(crate) popped: u64,
    pub(crate) extremes: Vec<Extreme>,
    pub(crate) sets: Vec<Set>,
    /// Times of the samples that are labelled fraud, ascending.
    pub(crate) frauds: Vec<u64>,
    /// The extremes must be rebuilt before they are read.
    pub(crate) is_stale: bool,
}

impl Extras {
    pub(crate) fn new(extremes: usize, sets: usize) -> Self {
        Self {
            extremes: vec![Extreme::default(); extremes],
            sets: vec![Set::default(); sets],
            ..Self::default()
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let deques: usize = self.extremes.iter().map(|extreme| extreme.0.capacity() * 16 + 32).sum();
        let sets: usize = self.sets.iter().map(|set| set.0.capacity() * 16 + 24).sum();
        size_of::<Self>() + deques + sets + self.frauds.capacity() * 8
    }
}

/// The smallest or largest cell of a window: a monotonic queue of (sample number, cell), the extreme in front.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extreme(VecDeque<(u64, i64)>);

impl Extreme {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// A sample later than all others enters.
    pub(crate) fn enter(&mut self, number: u64, cell: i64, largest: bool) {
        if cell == MISSING {
            return;
        }
        while self.0.back().is_some_and(|(_, back)| if largest { *back <= cell } else { *back >= cell }) {
            self.0.pop_back();
        }
        self.0.push_back((number, cell));
    }

    /// The oldest sample leaves.
    pub(crate) fn leave(&mut self, number: u64) {
        if self.0.front().is_some_and(|(front, _)| *front == number) {
            self.0.pop_front();
        }
    }

    pub(crate) fn cell(&self) -> Option<i64> {
        self.0.front().map(|(_, cell)| *cell)
    }
}

/// How many samples of a window have which cell. Exact: bounded by the samples a ring may hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Set(Vec<(i64, u32)>);

impl Set {
    pub(crate) fn enter(&mut self, cell: i64) {
        if cell == MISSING {
            return;
        }
        match self.0.binary_search_by_key(&cell, |(other, _)| *other) {
            Ok(place) => self.0[place].1 += 1,
            Err(place) => self.0.insert(place, (cell, 1)),
        }
    }

    pub(crate) fn leave(&mut self, cell: i64) {
        if let Ok(place) = self.0.binary_search_by_key(&cell, |(other, _)| *other) {
            self.0[place].1 -= 1;
            if self.0[place].1 == 0 {
                self.0.remove(place);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
