//! Clusters of addresses that spent together: the multi-input heuristic on UTXO chains.
//!
//! Whoever signs one transaction with several inputs most likely holds them all (Nakamoto 2008, section 10; Meiklejohn et
//! al. 2013). The exception is a transaction made by several people to hide just that; [`coinjoin`] recognises its
//! known shapes, and such transactions join nothing. Change is not guessed: a wrong guess collapses clusters (Moeser and
//! Narayanan 2021).
//!
//! A cluster is named by the smallest number in it, so two runs that number addresses alike agree to the bit, in
//! whatever order the transactions came. Blocks can be undone: between [`Clusters::begin_block`] and
//! [`Clusters::settle`] every write is journalled, also those that only shorten paths.
//!
//! What it is not: proof of ownership. Bounds: [`crate::graph::NODES_MAX`] addresses of 4 bytes each; the journal holds
//! 8 bytes per write of the blocks not yet settled, at most [`BLOCKS_MAX`] of them.

pub mod coinjoin;

use std::collections::VecDeque;

use crate::graph::{GraphError, NODES_MAX};

/// Most blocks that can be undone at a time.
pub const BLOCKS_MAX: usize = 1_024;
/// Transactions whose inputs are touched before any is joined.
const BATCH: usize = 64;

/// Why a block was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A block does not stand above the one before.
    #[error("block {got} after block {last}")]
    OutOfOrder {
        /// Its height.
        got: u64,
        /// Height of the newest block.
        last: u64,
    },
    /// More than [`BLOCKS_MAX`] blocks are not settled.
    #[error("{BLOCKS_MAX} blocks are not settled; settle some before block {got}")]
    TooManyBlocks {
        /// Height of the block that found no room.
        got: u64,
    },
    /// Blocks that were settled cannot be undone.
    #[error("cannot undo to block {wanted}: blocks up to {settled} are settled")]
    Settled {
        /// Height asked for.
        wanted: u64,
        /// Highest settled height.
        settled: u64,
    },
}

/// A block that can be undone.
#[derive(Debug, Clone, Copy)]
struct Open {
    height: u64,
    /// Writes to the journal since it began.
    writes: usize,
}

/// The clusters of all addresses, each a number below [`Clusters::len`].
#[derive(Debug, Clone, Default)]
pub struct Clusters {
    /// A smaller number of the same cluster, or the number itself if it is the smallest.
    parents: Vec<u32>,
    /// What was overwritten by the open blocks, oldest first: number and parent.
    journal: VecDeque<(u32, u32)>,
    open: VecDeque<Open>,
    settled: Option<u64>,
}

impl Clusters {
    /// `len` addresses, each its own cluster.
    ///
    /// # Errors
    /// [`GraphError::TooManyNodes`].
    pub fn new(len: usize) -> Result<Self, GraphError> {
        let mut clusters = Self::default();
        clusters.grow(len)?;
        Ok(clusters)
    }

    /// Makes room for numbers below `len`; the new ones are clusters of their own. Undoing a block does not take them away.
    ///
    /// # Errors
    /// [`GraphError::TooManyNodes`].
    pub fn grow(&mut self, len: usize) -> Result<(), GraphError> {
        if len > NODES_MAX {
            return Err(GraphError::TooManyNodes { got: len });
        }
        let (from, to) = (self.parents.len(), u32::try_from(len).unwrap_or(u32::MAX));
        if let Ok(from) = u32::try_from(from) {
            self.parents.extend(from..to.max(from));
        }
        Ok(())
    }

    /// How many addresses there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.parents.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The cluster of a number: its smallest member. A number nobody has seen is its own.
    #[must_use]
    pub fn cluster_of(&self, number: u32) -> u32 {
        let mut at = number;
        // Parents are smaller than their children, so this ends.
        while let Some(parent) = self.parents.get(at as usize)
            && *parent < at
        {
            at = *parent;
        }
        at
    }

    /// Opens a block: what is joined from here on belongs to it and can be undone.
    ///
    /// # Errors
    /// [`ClusterError::OutOfOrder`], [`ClusterError::TooManyBlocks`].
    pub fn begin_block(&mut self, height: u64) -> Result<(), ClusterError> {
        let last = self.open.back().map(|open| open.height).or(self.settled);
        match last {
            Some(last) if height <= last => Err(ClusterError::OutOfOrder { got: height, last }),
            _ if self.open.len() >= BLOCKS_MAX => Err(ClusterError::TooManyBlocks { got: height }),
            _ => {
                self.open.push_back(Open { height, writes: 0 });
                Ok(())
            }
        }
    }

    /// Declares blocks up to `height` final: they can no longer be undone, and their journal is dropped.
    pub fn settle(&mut self, height: u64) {
        while let Some(open) = self.open.front()
            && open.height <= height
        {
            self.journal.drain(..open.writes.min(self.journal.len()));
            self.settled = Some(open.height);
            self.open.pop_front();
        }
    }

    /// Undoes every block above `height`, newest first; returns how many.
    ///
    /// # Errors
    /// [`ClusterError::Settled`] when blocks above `height` are final already; nothing is changed.
    pub fn undo_to(&mut self, height: u64) -> Result<usize, ClusterError> {
        if let Some(settled) = self.settled.filter(|settled| *settled > height) {
            return Err(ClusterError::Settled { wanted: height, settled });
        }
        let mut undone = 0;
        while let Some(open) = self.open.back()
            && open.height > height
        {
            for _ in 0..open.writes {
                if let Some((number, parent)) = self.journal.pop_back()
                    && let Some(place) = self.parents.get_mut(number as usize)
                {
                    *place = parent;
                }
            }
            self.open.pop_back();
            undone += 1;
        }
        Ok(undone)
    }

    /// Joins the owners of the inputs of one transaction. Numbers never grown to are ignored.
    pub fn join(&mut self, inputs: &[u32]) {
        let Some((first, rest)) = inputs.split_first() else { return };
        let mut root = self.root(*first);
        for number in rest {
            root = self.union(root, *number);
        }
    }

    /// [`Clusters::join`] of many transactions: `inputs` of all of them, `ends` where those of each end.
    ///
    /// Faster than one by one where clusters lie scattered in memory: the inputs of a batch are read ahead, so that the
    /// processor waits for many of them at once.
    pub fn join_all(&mut self, inputs: &[u32], ends: &[usize]) {
        let mut start = 0;
        for batch in ends.chunks(BATCH) {
            let end = batch.last().copied().unwrap_or(start);
            let ahead = inputs.get(start..end).unwrap_or_default();
            let touched = ahead.iter().fold(0, |sum: u32, number| {
                sum.wrapping_add(self.parents.get(*number as usize).copied().unwrap_or_default())
            });
            std::hint::black_box(touched);
            for end in batch {
                self.join(inputs.get(start..*end).unwrap_or_default());
                start = *end;
            }
        }
    }

    /// Joins the cluster named `root` with that of `number`; returns the name of the whole.
    fn union(&mut self, root: u32, number: u32) -> u32 {
        let other = self.root(number);
        if (root.max(other) as usize) >= self.parents.len() {
            return if (root as usize) < self.parents.len() { root } else { other };
        }
        if root != other {
            self.write(root.max(other), root.min(other));
        }
        root.min(other)
    }

    /// The root of a number, each node on the way pointed at its grandparent (path halving; Tarjan and van Leeuwen 1984).
    #[inline]
    fn root(&mut self, number: u32) -> u32 {
        let mut at = number;
        loop {
            let Some(parent) = self.parents.get(at as usize).copied() else { return at };
            if parent == at {
                return at;
            }
            let grandparent = self.parents.get(parent as usize).copied().unwrap_or(parent);
            if grandparent == parent {
                return parent;
            }
            self.write(at, grandparent);
            at = grandparent;
        }
    }

    #[inline]
    fn write(&mut self, number: u32, parent: u32) {
        if let Some(place) = self.parents.get_mut(number as usize) {
            if let Some(open) = self.open.back_mut() {
                self.journal.push_back((number, *place));
                open.writes += 1;
            }
            *place = parent;
        }
    }
}

#[cfg(test)]
mod tests;
