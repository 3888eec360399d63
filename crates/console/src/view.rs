//! What pages are rendered from: plain values, in words where the product has words.

mod casework;
mod changes;
mod operations;
pub mod own;
pub mod rules;
mod webhooks;

use domain::{UnixNanos, Verdict};

pub use self::{
    casework::*,
    changes::{ChangeFile, ChangeLine, Say},
    operations::{
        BanDeed, Checked, Emergency, Guarded, Health, KeyDeed, KeyFile, KeyLine, Proposed, Setting, StopDeed,
        Stopped,
    },
    webhooks::{DeadLine, WebhookDeed, WebhookDone, WebhookFile, WebhookLine, WebhookWords},
};

/// Whether a part acts on what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Acts.
    Enforcing,
    /// Ought to work, and does not.
    Failing,
    /// Does not run.
    Off,
    /// Only reports.
    Shadow,
    /// Does its work; it judges nobody.
    Working,
}

impl Mode {
    /// As shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforcing => "enforcing",
            Self::Failing => "failing",
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Working => "working",
        }
    }
}

/// How something is meant. Never the only signal: a word always stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Wrong.
    Bad,
    /// As it should be.
    Good,
    /// Neither.
    Plain,
    /// Wants attention.
    Warn,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Warn => "warn",
        }
    }

    pub(crate) const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Good,
            Verdict::Challenge | Verdict::Hold => Self::Warn,
            Verdict::Deny => Self::Bad,
        }
    }
}

/// A part of the product and how it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Such as `withdrawal decisions`.
    pub name: String,
    /// Whether it acts.
    pub mode: Mode,
    /// One short sentence.
    pub detail: String,
}

/// What one second saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Second {
    /// Requests the upstream answered.
    pub forwarded: u64,
    /// Requests and connections refused.
    pub refused: u64,
}

/// The state of everything, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The moment.
    pub at: UnixNanos,
    /// When the process started.
    pub started_at: UnixNanos,
    /// The last seconds, oldest first.
    pub seconds: Vec<Second>,
    /// Requests since the start.
    pub requests: u64,
    /// Requests the upstream answered since the start.
    pub forwarded: u64,
    /// Refusals since the start by reason, most first.
    pub refusals: Vec<(String, u64)>,
    /// Decisions since the start, in the order of [`Verdict::ALL`].
    pub decided: [u64; 4],
    /// Requests for a decision that got none.
    pub undecided: u64,
    /// The parts.
    pub parts: Vec<Part>,
    /// What does not work, one sentence each.
    pub faults: Vec<String>,
    /// The newest decisions, newest first.
    pub decisions: Vec<DecisionLine>,
    /// Entries in the journal.
    pub entries: u64,
    /// Bans in force.
    pub bans: usize,
}

/// A decision in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionLine {
    /// To look it up with.
    pub id: String,
    /// When.
    pub at: UnixNanos,
    /// Whose funds.
    pub account: String,
    /// Amount and asset.
    pub amount: String,
    /// Where to.
    pub destination: String,
    /// Over which network, if it is one whose addresses are understood.
    pub network: Option<&'static str>,
    /// What was decided.
    pub verdict: Verdict,
    /// The reason that decided, for people; empty if nothing spoke against it.
    pub reason: String,
}

/// Decisions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecisionPage {
    /// At most [`crate::ROWS_MAX`].
    pub lines: Vec<DecisionLine>,
    /// Where the next older page begins; `None` at the end.
    pub before: Option<u64>,
}

/// A named value behind a finding.
pub type Evidence = (String, String);

/// What one source said.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Who.
    pub source: &'static str,
    /// The stable reason.
    pub code: String,
    /// What it asks for.
    pub verdict: Verdict,
    /// Whether it only watches.
    pub shadow: bool,
    /// One sentence.
    pub message: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// What would have changed it.
    pub would_pass_if: Option<String>,
    /// The score behind it, where there is one.
    pub score: Option<Score>,
}

/// A decision with everything behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// In short.
    pub line: DecisionLine,
    /// What was asked, name and value.
    pub asked: Vec<Evidence>,
    /// What was found, strictest first.
    pub found: Vec<Found>,
    /// Its place in the journal.
    pub position: Option<u64>,
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// An address, a network, or a key at one.
    pub target: String,
    /// Why.
    pub reason: String,
    /// What was seen of it, with how often.
    pub evidence: Vec<(String, u64)>,
    /// Since when, RFC 3339.
    pub since: String,
    /// Until when, RFC 3339.
    pub until: String,
    /// Whether requests are refused for it.
    pub in_force: bool,
}

/// A list of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its name.
    pub name: String,
    /// Addresses on it.
    pub addresses: u64,
    /// When it was imported, RFC 3339.
    pub imported_at: String,
}

/// A rehearsed restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// Whether everything was equal.
    pub ok: bool,
    /// Entries restored.
    pub entries: u64,
    /// When, RFC 3339.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What was compared, or what differed.
    pub detail: String,
}

/// The backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backup {
    /// Where to; `None` without a backup.
    pub target: Option<String>,
    /// Entries in the journal.
    pub entries: u64,
    /// Entries in the copy.
    pub entries_shipped: u64,
    /// RFC 3339.
    pub shipped_at: Option<String>,
    /// The last drill.
    pub last_drill: Option<Drill>,
}

/// A journal entry in words, redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// What kind.
    pub kind: String,
    /// Its fields, name and value.
    pub fields: Vec<Evidence>,
}

/// Entries, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntryPage {
    /// At most [`crate::ROWS_MAX`].
    pub entries: Vec<Entry>,
    /// Where the page begins.
    pub from: u64,
    /// Entries in all.
    pub size: u64,
    /// Only entries of this kind; empty for all.
    pub kind: String,
    /// Every kind there is.
    pub kinds: Vec<&'static str>,
}

/// A case in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseLine {
    /// Its number.
    pub id: u64,
    /// Whom it is about.
    pub entity: String,
    /// `open`, `assigned`, `proposed` or `resolved`.
    pub state: String,
    /// `low` to `critical`.
    pub priority: String,
    /// What may be lost, times the chance, with its unit; `None` if nobody knows.
    pub expected_loss: Option<String>,
    /// When it was opened.
    pub opened_at: UnixNanos,
    /// By when somebody must have looked.
    pub deadline: UnixNanos,
    /// Whether that has passed and nobody has.
    pub is_overdue: bool,
    /// Who works on it.
    pub assignee: Option<String>,
    /// Alerts and decisions in it.
    pub triggers: u64,
    /// The reason of the newest of them.
    pub newest: String,
    /// Its state as a number, which a change names.
    pub revision: u64,
}

/// A withdrawal of a case that waits or waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLine {
    /// Id of the decision that held it.
    pub decision: String,
    /// When.
    pub at: UnixNanos,
    /// Why.
    pub reasons: Vec<String>,
    /// `held`, `proposed`, `released`, `used`, `refused` or `expired`.
    pub state: String,
    /// Who said what so far.
    pub detail: String,
    /// What was asked; `None` where it cannot be read back, or is one of too many.
    pub asked: Option<DecisionLine>,
}

/// What somebody does with a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Answers an appeal.
    Answer {
        /// Its number.
        appeal: u64,
        /// What came of it: overturned or upheld.
        outcome: String,
        /// Why.
        reason: String,
    },
    /// Agrees to a release.
    Approve {
        /// Of this decision.
        decision: String,
    },
    /// Gives it to somebody, or to nobody.
    Assign {
        /// Their name.
        to: Option<String>,
    },
    /// Disagrees with a release.
    Decline {
        /// Of this decision.
        decision: String,
        /// Why.
        reason: String,
    },
    /// Writes something down.
    Note {
        /// In words.
        text: String,
    },
    /// Would release a withdrawal.
    Propose {
        /// Of this decision.
        decision: String,
        /// Why.
        reason: String,
    },
    /// Says what it was.
    Resolve {
        /// `fraud`, `legitimate` or `inconclusive`.
        disposition: String,
        /// Why.
        reason: String,
    },
}
