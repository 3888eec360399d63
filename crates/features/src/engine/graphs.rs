//! The graphs of a pack at work: who shares what, and how money moves.
//!
//! A graph follows the log, not event time: an event counts in it as of the watermark, the newest event time so far,
//! which is at most the pack's lateness after its own. So its times only rise, what ran out is exactly what is older
//! than its window, and no way back is needed.
//!
//! Nodes per table, links per node and steps per search are bounded; what the tables forget is counted.

mod money;
mod sharing;

use self::{money::Money, sharing::Sharing};
use crate::{
    StateDigest,
    plan::{GraphPlan, GraphRead, GraphShape},
};

/// Most links or transfers that one search looks at.
pub(crate) const VISITS_MAX: usize = 4_096;

/// See the module's head.
#[derive(Debug)]
pub(crate) enum Graph {
    Money(Box<Money>),
    Sharing(Box<Sharing>),
}

impl Graph {
    pub(crate) fn new(plan: &GraphPlan, entities_max: usize) -> Self {
        match &plan.shape {
            GraphShape::Money(money) => {
                Self::Money(Box::new(Money::new(money.clone(), plan.window, entities_max)))
            }
            GraphShape::Sharing(sharing) => {
                let reads = plan.reads.iter().filter_map(|(_, read)| match read {
                    GraphRead::Sharing(read) => Some(*read),
                    GraphRead::Money { .. } => None,
                });
                let depth_max = sharing::depth_max(sharing, reads);
                Self::Sharing(Box::new(Sharing::new(sharing.clone(), plan.window, depth_max, entities_max)))
            }
        }
    }

    /// Takes the event in at `now` and writes what its features read to `nodes`.
    pub(crate) fn step(&mut self, plan: &GraphPlan, cells: &[i64], now: u64, nodes: &mut [f64]) {
        match self {
            Self::Money(money) => money.step(cells, now, &plan.reads, nodes),
            Self::Sharing(sharing) => sharing.step(cells, now, &plan.reads, nodes),
        }
    }

    /// As [`Graph::step`], and takes it back.
    pub(crate) fn preview(&mut self, plan: &GraphPlan, cells: &[i64], now: u64, nodes: &mut [f64]) {
        match self {
            Self::Money(money) => money.preview(cells, now, &plan.reads, nodes),
            Self::Sharing(sharing) => sharing.preview(cells, now, &plan.reads, nodes),
        }
    }

    /// The entity in this field is known for one fraud more, or one less.
    pub(crate) fn mark(&mut self, field: usize, key: u64, is_fraud: bool) {
        match self {
            Self::Money(money) => money.mark(key, is_fraud),
            Self::Sharing(sharing) => sharing.mark(field, key, is_fraud),
        }
    }

    pub(crate) fn entities(&self) -> usize {
        match self {
            Self::Money(money) => money.entities(),
            Self::Sharing(sharing) => sharing.entities(),
        }
    }

    pub(crate) fn evicted(&self) -> u64 {
        match self {
            Self::Money(money) => money.evicted(),
            Self::Sharing(sharing) => sharing.evicted(),
        }
    }

    /// Links or transfers that made room while they still counted.
    pub(crate) fn overflowed(&self) -> u64 {
        match self {
            Self::Money(money) => money.overflowed(),
            Self::Sharing(sharing) => sharing.overflowed(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Money(money) => money.bytes(),
            Self::Sharing(sharing) => sharing.bytes(),
        }
    }

    pub(crate) fn feed(&self, digest: &mut StateDigest) {
        match self {
            Self::Money(money) => money.feed(digest),
            Self::Sharing(sharing) => sharing.feed(digest),
        }
    }
}
