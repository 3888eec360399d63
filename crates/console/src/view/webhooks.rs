//! Endpoints that are told of what happens, as pages show them.

use domain::UnixNanos;

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookLine {
    /// Its name.
    pub name: String,
    /// Where messages go.
    pub url: String,
    /// Of what it is told, as types and families.
    pub events: Vec<String>,
    /// Whether messages name accounts.
    pub accounts: bool,
    /// How messages are signed: `hmac` or `ed25519`.
    pub scheme: &'static str,
    /// `enabled`, `paused` or `disabled`.
    pub state: &'static str,
    /// Why it is disabled, in words.
    pub disabled_why: Option<&'static str>,
    /// When the state began.
    pub state_at: UnixNanos,
    /// Messages taken since the start.
    pub delivered: u64,
    /// Tries that failed since the start, by what they came to.
    pub failed: Vec<(&'static str, u64)>,
    /// Messages that wait.
    pub waiting: u64,
    /// Entries that were not looked at yet.
    pub behind: u64,
    /// Messages given up on.
    pub dead: usize,
    /// Whether the last tries all failed.
    pub is_failing: bool,
    /// The last try, and what it came to.
    pub last: Option<(UnixNanos, String)>,
    /// The public key, where there is one.
    pub public_key: Option<String>,
    /// Until when the key before signs as well.
    pub previous_until: Option<UnixNanos>,
    /// Who added it.
    pub added_by: String,
    /// When.
    pub added_at: UnixNanos,
}

/// A message that was given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLine {
    /// Its id.
    pub id: String,
    /// As what it is told.
    pub kind: &'static str,
    /// The entry it tells of.
    pub entry: u64,
    /// When.
    pub at: UnixNanos,
    /// After how many tries.
    pub tries: u32,
    /// What the last came to.
    pub why: String,
}

/// An endpoint with what was given up on: the oldest, at most [`crate::ROWS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookFile {
    /// As listed.
    pub line: WebhookLine,
    /// What was given up on.
    pub dead: Vec<DeadLine>,
}

/// Something to do about endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookDeed {
    /// Adds one.
    Add {
        /// How messages are signed.
        scheme: String,
    },
    /// Changes what it is told, and where.
    Change,
    /// Forgets dead letters: one, or all.
    Discard(Option<String>),
    /// Lets messages go out again.
    Enable {
        /// What waited is not wanted any more.
        skip: bool,
    },
    /// Holds messages back.
    Pause,
    /// Removes it.
    Remove,
    /// Tries dead letters again: one, or all.
    Replay(Option<String>),
    /// Signs with a new key.
    Rotate {
        /// Hours both keys sign.
        overlap_hours: u64,
    },
    /// Sends a message that says nothing.
    Test,
}

/// What a form says of an endpoint beside the deed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookWords {
    /// Where to.
    pub url: String,
    /// Of what, divided by commas.
    pub events: String,
    /// Whether messages name accounts.
    pub accounts: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookDone {
    /// Done; there is nothing to add.
    Done,
    /// What whoever receives needs to check signatures; a secret is shown this once.
    Key(String),
    /// What a try came to.
    Tried {
        /// Whether the message was taken.
        taken: bool,
        /// In words.
        says: String,
    },
}
