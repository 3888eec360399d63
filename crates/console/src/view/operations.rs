//! What operators see and do: what is stopped, API keys, bans, the state of health.

use domain::UnixNanos;

use super::{Evidence, Tone};

/// Somebody would let leave again what is frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Names it.
    pub number: u64,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Until when somebody else may agree.
    pub until: UnixNanos,
}

/// Something from which nothing leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// `all`, `account:NAME`, `asset:NAME` or `network:NAME`.
    pub scope: String,
    /// Whether the scope is a customer's account, whose name is not for everybody.
    pub is_account: bool,
    /// Since when.
    pub at: UnixNanos,
    /// Who stopped it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What waits for a second person.
    pub proposal: Option<Proposed>,
}

/// The gateway is on its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: UnixNanos,
}

/// What is stopped at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Emergency {
    /// Freezes, the widest first.
    pub frozen: Vec<Stopped>,
    /// The alarm, while there is one.
    pub alarm: Option<Guarded>,
    /// Whether the gateway only looks, so that what it carries is not stopped.
    pub only_looks: bool,
}

/// What somebody stops, or lets go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopDeed {
    /// Agrees to a proposal.
    Approve {
        /// What is frozen.
        scope: String,
        /// The proposal.
        number: u64,
    },
    /// Disagrees with a proposal, or takes it back.
    Decline {
        /// What is frozen.
        scope: String,
        /// The proposal.
        number: u64,
        /// Why.
        reason: String,
    },
    /// Ends the alarm.
    EndAlarm {
        /// Why.
        reason: String,
    },
    /// Freezes.
    Freeze {
        /// What.
        scope: String,
        /// Why.
        reason: String,
    },
    /// Proposes to let it leave again.
    Propose {
        /// What is frozen.
        scope: String,
        /// Why.
        reason: String,
    },
    /// Raises the alarm.
    RaiseAlarm {
        /// For how long.
        minutes: u64,
        /// Why.
        reason: String,
    },
}

/// An API key in one line. Nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// Its id.
    pub id: String,
    /// Whose.
    pub account: String,
    /// What its owner calls it.
    pub label: String,
    /// `read`, `trade`, `withdraw`.
    pub permissions: Vec<String>,
    /// Networks it is bound to; empty for none.
    pub ips: Vec<String>,
    /// `active`, `frozen` or `revoked`.
    pub state: String,
    /// RFC 3339.
    pub created_at: Option<String>,
    /// RFC 3339.
    pub last_used_at: Option<String>,
    /// What is worth a look about it, in a few words each.
    pub remarks: Vec<String>,
}

/// An API key with what is known of its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// In short.
    pub line: KeyLine,
    /// Scheme, environment, when it may withdraw, what it spent.
    pub facts: Vec<Evidence>,
    /// What it is restricted to; empty for nothing.
    pub restrictions: Vec<Evidence>,
    /// When, from where, by what client, for what; the latest first.
    pub uses: Vec<[String; 4]>,
    /// Network, client, when last; whether it was reported as new and nobody has looked since.
    pub known_from: Vec<([String; 3], bool)>,
}

/// What somebody does with an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDeed {
    /// Suspends it.
    Freeze,
    /// Ends it for good.
    Revoke,
    /// Lets it work again.
    Unfreeze,
}

/// What somebody does about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BanDeed {
    /// Sends it away.
    Ban {
        /// An address, a network or `AS` and a number.
        target: String,
        /// For how long.
        minutes: u64,
    },
    /// Lets it in again.
    Lift {
        /// As listed.
        target: String,
    },
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What.
    pub what: String,
    /// How it is.
    pub tone: Tone,
    /// In words, with what to do.
    pub words: String,
}

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// As TOML, without what opens something.
    pub value: String,
    /// The line of the file where it is given; `None` for a default.
    pub line: Option<usize>,
}

/// How the installation is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// What was looked at, the worst first.
    pub checked: Vec<Checked>,
    /// What is known of it, name and value.
    pub facts: Vec<Evidence>,
    /// The configuration in force; what is secret is a path and no value.
    pub settings: Vec<Setting>,
    /// The file it stands in.
    pub file: String,
    /// When that was read last.
    pub read_at: UnixNanos,
    /// Whether that was after the start.
    pub is_reloaded: bool,
    /// SHA-256 over the settings, hexadecimal.
    pub digest: String,
}
