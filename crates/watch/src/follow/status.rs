//! What a follower says of itself: for operators, monitoring and tests.

use std::{collections::BTreeMap, fmt, sync::Arc};

use chain::headers::BlockId;
use domain::UnixNanos;
use parking_lot::Mutex;

use super::state::Totals;

/// What a follower is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// It has not reached the node yet.
    #[default]
    Starting,
    /// It is behind and reads blocks.
    CatchingUp,
    /// It has what the node has.
    Following,
    /// The node has had no new block for longer than the operator thinks possible.
    Stalled,
    /// The last attempt failed; the next one follows.
    Failing,
    /// It has ended.
    Stopped,
}

impl Phase {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching_up",
            Self::Following => "following",
            Self::Stalled => "stalled",
            Self::Failing => "failing",
            Self::Stopped => "stopped",
        }
    }
}

/// One moment of a follower.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The operator's name of the chain.
    pub chain: String,
    /// What it is doing.
    pub phase: Phase,
    /// The newest block taken in.
    pub tip: Option<BlockId>,
    /// The newest final block.
    pub finalized: Option<BlockId>,
    /// The height of the node's newest block.
    pub head_height: Option<u64>,
    /// When the node's newest block became known here.
    pub head_at: Option<UnixNanos>,
    /// From the arrival of the newest head to the delivery of its alerts, in nanoseconds.
    pub head_to_done_ns: Option<u64>,
    /// Counters.
    pub totals: Totals,
    /// Alerts that are not taken over yet.
    pub news_waiting: u64,
    /// Errors so far, by name.
    pub errors: BTreeMap<&'static str, u64>,
    /// The last error and when.
    pub last_error: Option<(UnixNanos, String)>,
    /// Heads announced by subscription.
    pub heads_announced: u64,
    /// Subscriptions made; more than one means that the connection was lost.
    pub subscriptions: u64,
}

impl Status {
    /// Blocks the node is ahead of us.
    #[must_use]
    pub fn lag_blocks(&self) -> Option<u64> {
        Some(self.head_height?.saturating_sub(self.tip?.height))
    }
}

/// A status that one task writes and others read.
#[derive(Clone, Default)]
pub struct StatusCell(Arc<Mutex<Status>>);

impl fmt::Debug for StatusCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusCell")
    }
}

impl StatusCell {
    /// Of a chain that nothing is known of yet.
    #[must_use]
    pub fn new(chain: &str) -> Self {
        let status = Status { chain: chain.to_owned(), ..Status::default() };
        Self(Arc::new(Mutex::new(status)))
    }

    /// The status now.
    #[must_use]
    pub fn read(&self) -> Status {
        self.0.lock().clone()
    }

    pub(super) fn write(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.lock());
    }
}
