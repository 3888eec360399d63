//! Changes that take two persons, as pages show them.

use domain::UnixNanos;
use identity::Capability;

/// A change somebody asked for, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLine {
    /// Its number.
    pub id: u64,
    /// Which kind of change.
    pub kind: String,
    /// What it does, in words.
    pub summary: String,
    /// Where it stands: `open`, `approved`, `executed`, `failed`, `declined`, `withdrawn` or `expired`.
    pub state: &'static str,
    /// Who asked.
    pub by: String,
    /// When.
    pub opened_at: UnixNanos,
    /// Until when it can be agreed to.
    pub expires_at: UnixNanos,
    /// Whether it waits for the one who looks.
    pub waits_for_viewer: bool,
}

/// One change with all there is to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeFile {
    /// As listed.
    pub line: ChangeLine,
    /// Why it is wanted.
    pub reason: String,
    /// What it takes to agree.
    pub needs: Capability,
    /// Names and values, for those who may see them.
    pub details: Vec<(String, String)>,
    /// What is agreed to, hexadecimal.
    pub digest: String,
    /// SHA-256 of the change alone, hexadecimal.
    pub payload_sha256: String,
    /// Who agreed, and when.
    pub approved: Option<(String, UnixNanos)>,
    /// How it ended: when, by whom, what was said.
    pub ended: Option<(UnixNanos, Option<String>, String)>,
    /// Why the one who looks cannot agree, if the request is open and they cannot.
    pub not_yours: Option<String>,
    /// Whether the one who looks asked for it and may take it back.
    pub may_withdraw: bool,
}

/// What is said about a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// Agrees to what has this digest, hexadecimal.
    Approve {
        /// As the page showed it.
        digest: String,
    },
    /// Refuses.
    Decline {
        /// Why.
        reason: String,
    },
    /// Takes back.
    Withdraw,
}
