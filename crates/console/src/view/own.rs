//! What somebody sees of their own.

use domain::UnixNanos;
use identity::FallbackState;

use super::{DecisionLine, KeyFile};

/// A session in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLine {
    /// Names it, and opens nothing.
    pub id: String,
    /// Whose.
    pub user: String,
    /// By what it was opened.
    pub means: String,
    /// From where.
    pub ip: String,
    /// When it was opened.
    pub begun_at: UnixNanos,
    /// When it was used last.
    pub used_at: UnixNanos,
    /// Whether it is the one that asks.
    pub is_this: bool,
}

/// Sessions, and the way in without a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSessions {
    /// The newest first, at most [`crate::ROWS_MAX`].
    pub sessions: Vec<SessionLine>,
    /// How many more there are.
    pub more: usize,
    /// What the person set to sign in without a passkey; `None` where that is not offered, or they came by a link.
    pub fallback: Option<FallbackState>,
    /// Whether one can be set in this session: a passkey opened it just now.
    pub is_fresh: bool,
}

/// Requests of one account that were refused, in one second for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// The second.
    pub at: UnixNanos,
    /// The reason, as the answer named it.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// An appeal of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAppeal {
    /// Its name.
    pub id: String,
    /// The decision it is against, or the ban.
    pub against: String,
    /// When it was brought.
    pub at: UnixNanos,
    /// `open`, `overturned` or `upheld`.
    pub state: &'static str,
    /// What was answered, for the customer.
    pub reason: Option<String>,
}

/// What a developer sees of the account they develop for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAccount {
    /// Its API keys, at most [`crate::ROWS_MAX`].
    pub keys: Vec<KeyFile>,
    /// How many more there are.
    pub keys_more: usize,
    /// Withdrawals that were not allowed, the newest first. The reason is a group and not the rule: who probes learns no limit.
    pub stopped: Vec<DecisionLine>,
    /// Requests that were refused, the newest first.
    pub refused: Vec<RefusedLine>,
    /// How many of the newest entries of the journal were looked at.
    pub looked_at: u64,
    /// What was appealed, the newest first.
    pub appeals: Vec<OwnAppeal>,
    /// Where to ask for a second look, in the exchange's own words.
    pub appeal: Option<String>,
}
