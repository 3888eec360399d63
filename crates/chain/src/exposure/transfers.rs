//! Transfers by holder and time.

use std::collections::HashMap;

use crate::graph::{GraphError, accumulate, check_size};

use super::Direction;

/// Most transfers that are not merged yet.
pub const RECENT_MAX: usize = 4_000_000;

/// Money from one holder to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    /// Who paid.
    pub from: u32,
    /// Who received.
    pub to: u32,
    /// When, in any unit that does not fall along the chain, such as the height of the block.
    pub time: u32,
    /// How much; finite and not negative.
    pub amount: f64,
}

/// Why transfers were refused. Nothing is changed then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransfersError {
    /// An amount that is none.
    #[error("transfer {position} has the amount {amount}")]
    BadAmount {
        /// Position of the transfer, from 0.
        position: usize,
        /// Its amount.
        amount: f64,
    },
    /// Too many holders or transfers.
    #[error("the transfers do not fit a graph")]
    Graph(#[from] GraphError),
    /// What was merged cannot be undone.
    #[error("cannot undo to time {wanted}: transfers up to {merged} are merged")]
    Merged {
        /// Time asked for.
        wanted: u32,
        /// Time of the newest merged transfer.
        merged: u32,
    },
    /// A transfer older than the one before.
    #[error("transfer {position} has time {time}, after one of time {last}")]
    OutOfOrder {
        /// Position of the transfer, from 0.
        position: usize,
        /// Its time.
        time: u32,
        /// The time before.
        last: u32,
    },
    /// More than [`RECENT_MAX`].
    #[error("{got} transfers are not merged, at most {RECENT_MAX}")]
    TooManyRecent {
        /// How many there would be.
        got: usize,
    },
}

/// A transfer seen from one of its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Who is at the other end.
    pub other: u32,
    /// When.
    pub time: u32,
    /// Its number, from 0 in the order given.
    pub number: u32,
    /// How much.
    pub amount: f64,
}

/// What a holder received or paid in all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Turnover {
    /// How many transfers.
    pub transfers: usize,
    /// How much.
    pub amount: f64,
}

/// All transfers seen from one end.
#[derive(Debug, Clone, Default)]
struct Side {
    starts: Vec<u32>,
    others: Vec<u32>,
    times: Vec<u32>,
    numbers: Vec<u32>,
    /// Amounts of the row up to and with this one: any stretch of time is one subtraction.
    running: Vec<f64>,
    recent: HashMap<u32, Vec<Entry>>,
}

/// The part of a holder's transfers that time allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Eligible<'t> {
    others: &'t [u32],
    times: &'t [u32],
    numbers: &'t [u32],
    running: &'t [f64],
    /// Amounts of the row before its first.
    before: f64,
    recent: &'t [Entry],
    pub(super) total: f64,
}

impl Eligible<'_> {
    pub(super) const fn len(&self) -> usize {
        self.others.len() + self.recent.len()
    }

    /// Leaves at most `max` transfers, those nearest in time to the query; returns the amount of the others.
    pub(super) fn keep(&mut self, max: usize, direction: Direction) -> f64 {
        let excess = self.len().saturating_sub(max);
        if excess == 0 {
            return 0.0;
        }
        let whole = self.total;
        let row = self.others.len();
        // Source: the oldest go, which are the first of the row. Destination: the newest, the last of the recent.
        let (rows, recent) = match direction {
            Direction::Source => (excess.min(row)..row, excess.saturating_sub(row)..self.recent.len()),
            Direction::Destination => {
                let kept = self.recent.len().saturating_sub(excess);
                (0..row.min(max), 0..kept)
            }
        };
        if let Some(last_gone) = rows.start.checked_sub(1).and_then(|at| self.running.get(at)) {
            self.before = *last_gone;
        }
        self.others = self.others.get(rows.clone()).unwrap_or_default();
        self.times = self.times.get(rows.clone()).unwrap_or_default();
        self.numbers = self.numbers.get(rows.clone()).unwrap_or_default();
        self.running = self.running.get(rows).unwrap_or_default();
        self.recent = self.recent.get(recent).unwrap_or_default();
        let row_total = self.running.last().map_or(0.0, |last| last - self.before);
        whole - row_total - self.recent.iter().map(|entry| entry.amount).sum::<f64>()
    }

    pub(super) fn for_each(&self, mut found: impl FnMut(Entry)) {
        let mut before = self.before;
        let rest = self.times.iter().zip(self.numbers).zip(self.running);
        for (other, ((time, number), running)) in self.others.iter().zip(rest) {
            found(Entry { other: *other, time: *time, number: *number, amount: running - before });
            before = *running;
        }
        self.recent.iter().copied().for_each(found);
    }
}

impl Side {
    fn new(nodes: usize, transfers: &[Transfer], ends: impl Fn(&Transfer) -> (u32, u32)) -> Self {
        let mut starts = vec![0_u32; nodes + 1];
        for transfer in transfers {
            if let Some(count) = starts.get_mut(ends(transfer).0 as usize + 1) {
                *count += 1;
            }
        }
        accumulate(&mut starts);
        let len = transfers.len();
        let mut side = Self {
            others: vec![0; len],
            times: vec![0; len],
            numbers: vec![0; len],
            running: vec![0.0; len],
            starts,
            recent: HashMap::new(),
        };
        for (number, transfer) in (0_u32..).zip(transfers) {
            let (own, other) = ends(transfer);
            // Each start moves to the end of its row, which is the start of the next; put back below.
            if let Some(next) = side.starts.get_mut(own as usize) {
                let at = *next as usize;
                *next += 1;
                side.put(at, other, transfer.time, number, transfer.amount);
            }
        }
        side.starts.rotate_right(1);
        if let Some(first) = side.starts.first_mut() {
            *first = 0;
        }
        side.accumulate_rows();
        side
    }

    fn put(&mut self, at: usize, other: u32, time: u32, number: u32, amount: f64) {
        if let (Some(to_other), Some(to_time), Some(to_number), Some(to_amount)) = (
            self.others.get_mut(at),
            self.times.get_mut(at),
            self.numbers.get_mut(at),
            self.running.get_mut(at),
        ) {
            (*to_other, *to_time, *to_number, *to_amount) = (other, time, number, amount);
        }
    }

    /// Amounts to running sums, row by row.
    fn accumulate_rows(&mut self) {
        for row in self.starts.windows(2) {
            let range = row[0] as usize..row[1] as usize;
            let mut sum = 0.0;
            for amount in self.running.get_mut(range).into_iter().flatten() {
                sum += *amount;
                *amount = sum;
            }
        }
    }

    /// Of `node`, up to `time` (source) or from it on (destination).
    fn eligible(&self, node: u32, time: u32, direction: Direction) -> Eligible<'_> {
        let at = node as usize;
        let (start, end) = match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(start), Some(end)) => (*start as usize, *end as usize),
            _ => (0, 0),
        };
        let recent = self.recent.get(&node).map_or(&[][..], Vec::as_slice);
        let times = self.times.get(start..end).unwrap_or_default();
        let (first, last, recent) = match direction {
            Direction::Source => {
                let to = recent.partition_point(|entry| entry.time <= time);
                let last = start + times.partition_point(|other| *other <= time);
                (start, last, recent.get(..to).unwrap_or_default())
            }
            Direction::Destination => {
                let from = recent.partition_point(|entry| entry.time < time);
                let first = start + times.partition_point(|other| *other < time);
                (first, end, recent.get(from..).unwrap_or_default())
            }
        };
        let running = self.running.get(first..last).unwrap_or_default();
        let before = match first > start {
            true => self.running.get(first - 1).copied().unwrap_or_default(),
            false => 0.0,
        };
        let base = running.last().map_or(0.0, |last| last - before);
        Eligible {
            others: self.others.get(first..last).unwrap_or_default(),
            times: self.times.get(first..last).unwrap_or_default(),
            numbers: self.numbers.get(first..last).unwrap_or_default(),
            running,
            before,
            recent,
            total: base + recent.iter().map(|entry| entry.amount).sum::<f64>(),
        }
    }

    fn push(&mut self, own: u32, entry: Entry) {
        self.recent.entry(own).or_default().push(entry);
    }

    fn pop(&mut self, own: u32) {
        if let Some(entries) = self.recent.get_mut(&own) {
            entries.pop();
            if entries.is_empty() {
                self.recent.remove(&own);
            }
        }
    }

    /// Moves the oldest recent entries of each row, up to `time`, into the rows.
    fn merge(&mut self, nodes: usize, time: u32) {
        let len_of = |node: usize| -> usize {
            let own = u32::try_from(node).unwrap_or(u32::MAX);
            let recent =
                self.recent.get(&own).map_or(0, |recent| recent.partition_point(|entry| entry.time <= time));
            self.row(node).len() + recent
        };
        let len: usize = (0..nodes).map(len_of).sum();
        let mut merged = Self {
            starts: Vec::with_capacity(nodes + 1),
            others: Vec::with_capacity(len),
            times: Vec::with_capacity(len),
            numbers: Vec::with_capacity(len),
            running: Vec::with_capacity(len),
            recent: HashMap::new(),
        };
        merged.starts.push(0);
        let mut recent_of = std::mem::take(&mut self.recent);
        for node in 0..nodes {
            let row = self.row(node);
            merged.others.extend_from_slice(self.others.get(row.clone()).unwrap_or_default());
            merged.times.extend_from_slice(self.times.get(row.clone()).unwrap_or_default());
            merged.numbers.extend_from_slice(self.numbers.get(row.clone()).unwrap_or_default());
            let running = self.running.get(row).unwrap_or_default();
            merged.running.extend_from_slice(running);
            let mut sum = running.last().copied().unwrap_or_default();
            let own = u32::try_from(node).unwrap_or(u32::MAX);
            if let Some(recent) = recent_of.get_mut(&own) {
                let to = recent.partition_point(|entry| entry.time <= time);
                for entry in recent.drain(..to) {
                    sum += entry.amount;
                    merged.others.push(entry.other);
                    merged.times.push(entry.time);
                    merged.numbers.push(entry.number);
                    merged.running.push(sum);
                }
                if recent.is_empty() {
                    recent_of.remove(&own);
                }
            }
            merged.starts.push(u32::try_from(merged.others.len()).unwrap_or(u32::MAX));
        }
        merged.recent = recent_of;
        *self = merged;
    }

    fn row(&self, node: usize) -> std::ops::Range<usize> {
        match (self.starts.get(node), self.starts.get(node + 1)) {
            (Some(start), Some(end)) => *start as usize..*end as usize,
            _ => 0..0,
        }
    }
}

/// The transfers of a graph, numbered in the order they were given.
#[derive(Debug, Clone, Default)]
pub struct Transfers {
    received: Side,
    sent: Side,
    nodes: usize,
    merged: usize,
    /// Time of the newest merged transfer.
    merged_time: Option<u32>,
    /// Those not merged, oldest first.
    recent: Vec<Transfer>,
}

impl Transfers {
    /// `transfers` in the order of time, between holders 0 to `nodes - 1`.
    ///
    /// # Errors
    /// [`TransfersError`].
    pub fn new(nodes: usize, transfers: &[Transfer]) -> Result<Self, TransfersError> {
        check_size(nodes, transfers.len())?;
        check(nodes, None, transfers)?;
        Ok(Self {
            received: Side::new(nodes, transfers, |transfer| (transfer.to, transfer.from)),
            sent: Side::new(nodes, transfers, |transfer| (transfer.from, transfer.to)),
            nodes,
            merged: transfers.len(),
            merged_time: transfers.last().map(|last| last.time),
            recent: Vec::new(),
        })
    }

    /// How many transfers there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.merged + self.recent.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds transfers that follow those there are; `nodes` holders now, if that is more than before.
    ///
    /// # Errors
    /// [`TransfersError`].
    pub fn append(&mut self, nodes: usize, transfers: &[Transfer]) -> Result<(), TransfersError> {
        let nodes = self.nodes.max(nodes);
        check_size(nodes, self.len().saturating_add(transfers.len()))?;
        let got = self.recent.len() + transfers.len();
        if got > RECENT_MAX {
            return Err(TransfersError::TooManyRecent { got });
        }
        check(nodes, self.recent.last().map(|last| last.time).or(self.merged_time), transfers)?;
        self.nodes = nodes;
        for transfer in transfers {
            // Fewer than 2^32, as checked.
            let number = u32::try_from(self.len()).unwrap_or(u32::MAX);
            let Transfer { from, to, time, amount } = *transfer;
            self.received.push(to, Entry { other: from, time, number, amount });
            self.sent.push(from, Entry { other: to, time, number, amount });
            self.recent.push(*transfer);
        }
        Ok(())
    }

    /// Takes back all transfers after `time`; returns how many.
    ///
    /// # Errors
    /// [`TransfersError::Merged`] when some of them were merged.
    pub fn undo_to(&mut self, time: u32) -> Result<usize, TransfersError> {
        if let Some(merged) = self.merged_time.filter(|merged| *merged > time) {
            return Err(TransfersError::Merged { wanted: time, merged });
        }
        let mut undone = 0;
        while let Some(transfer) = self.recent.pop_if(|transfer| transfer.time > time) {
            self.received.pop(transfer.to);
            self.sent.pop(transfer.from);
            undone += 1;
        }
        Ok(undone)
    }

    /// Merges transfers up to `time`, which can then not be undone. Copies the whole graph, one of its two sides at a
    /// time.
    pub fn merge(&mut self, time: u32) {
        self.received.merge(self.nodes, time);
        self.sent.merge(self.nodes, time);
        let count = self.recent.partition_point(|transfer| transfer.time <= time);
        if let Some(last) = self.recent.drain(..count).next_back() {
            self.merged_time = Some(last.time);
        }
        self.merged += count;
    }

    /// How many transfers are not merged.
    #[must_use]
    pub const fn recent_len(&self) -> usize {
        self.recent.len()
    }

    /// What a holder received ([`Direction::Source`]) or paid ([`Direction::Destination`]) in all.
    #[must_use]
    pub fn turnover(&self, node: u32, direction: Direction) -> Turnover {
        let all = self.all(node, direction);
        Turnover { transfers: all.len(), amount: all.total }
    }

    /// Calls `found` with every transfer a holder received or paid, in the order of time.
    pub fn for_each_of(&self, node: u32, direction: Direction, found: impl FnMut(Entry)) {
        self.all(node, direction).for_each(found);
    }

    fn all(&self, node: u32, direction: Direction) -> Eligible<'_> {
        let time = match direction {
            Direction::Source => u32::MAX,
            Direction::Destination => 0,
        };
        self.eligible(node, time, direction)
    }

    pub(super) fn eligible(&self, node: u32, time: u32, direction: Direction) -> Eligible<'_> {
        match direction {
            Direction::Source => self.received.eligible(node, time, direction),
            Direction::Destination => self.sent.eligible(node, time, direction),
        }
    }
}

fn check(nodes: usize, mut last: Option<u32>, transfers: &[Transfer]) -> Result<(), TransfersError> {
    for (position, transfer) in transfers.iter().enumerate() {
        let Transfer { from, to, time, amount } = *transfer;
        let node = from.max(to);
        if node as usize >= nodes {
            return Err(GraphError::NoSuchNode { edge: position, node, nodes }.into());
        }
        if !(amount.is_finite() && amount >= 0.0) {
            return Err(TransfersError::BadAmount { position, amount });
        }
        if let Some(last) = last.filter(|last| *last > time) {
            return Err(TransfersError::OutOfOrder { position, time, last });
        }
        last = Some(time);
    }
    Ok(())
}
