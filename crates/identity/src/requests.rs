//! Changes that take two persons: one asks, another agrees, and only then it is done.
//!
//! A request holds the exact bytes of the change, what it says in words, and a digest of the state it was made against.
//! Whoever agrees names the [`ChangeRequest::digest`] of what they saw, so nothing else can be agreed to. What a change is and
//! how it is done is not known here; this is the fold over what was recorded, and the rules that hold for every change.
//!
//! What persons are is taken from names: `operator:anna`, `user:Anna` and a link for `anna` are one person. Programs neither
//! ask nor agree, since nobody can say who holds a token.
//!
//! An engine without clock, disk or randomness: time is an argument. Entries that break a rule change nothing and are counted,
//! the same on every replay.
//!
//! # Bounds
//! [`PAYLOAD_BYTES_MAX`], [`TEXT_BYTES_MAX`], [`OPEN_MAX`], [`OPEN_PER_PERSON_MAX`], [`KEPT_MAX`], [`LIFE_MAX`].

mod record;

use std::{collections::BTreeMap, time::Duration};

use crypto::{ct_eq, sha256};
use domain::{Actor, ActorKind, UnixNanos};

pub use self::record::{Entry, EntryError};
use crate::Capability;

/// Longest change, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Longest summary, reason or outcome, in bytes.
pub const TEXT_BYTES_MAX: usize = 2_000;
/// Longest name of a kind of change, in bytes.
pub const KIND_BYTES_MAX: usize = 64;
/// Requests that wait at a time.
pub const OPEN_MAX: usize = 256;
/// Requests of one person that wait at a time.
pub const OPEN_PER_PERSON_MAX: usize = 32;
/// Requests that are remembered; of those that ended the oldest are forgotten first. The journal keeps them all.
pub const KEPT_MAX: usize = 1_000;
/// Longest time a request waits.
pub const LIFE_MAX: Duration = Duration::from_secs(7 * 86_400);
/// How long a request waits when nothing else is said.
pub const LIFE_DEFAULT: Duration = Duration::from_secs(86_400);

/// A change somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Which kind of change: lower-case letters, digits, dots and underscores.
    pub kind: String,
    /// The change itself, as its kind writes it.
    pub payload: Vec<u8>,
    /// What it does, in words, without anything about customers.
    pub summary: String,
    /// Digest of the state the change was made against, as its kind computes it.
    pub precondition: [u8; 32],
    /// What it takes to agree.
    pub needs: Capability,
    /// A person it is about, who therefore cannot agree either.
    pub concerns: Option<String>,
    /// Why it is wanted.
    pub reason: String,
    /// Who asks.
    pub by: Actor,
    /// Until when it can be agreed to and done.
    pub expires_at: UnixNanos,
}

impl Opened {
    /// What somebody agrees to: SHA-256 of the entry as it stands in the journal.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[&Entry::Opened(self.clone()).encode()])
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Somebody else refused.
    Declined {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
    },
    /// It was done.
    Executed {
        /// What came of it, in words.
        outcome: String,
    },
    /// It was agreed to and could not be done.
    Failed {
        /// Why.
        why: String,
    },
    /// Who asked took it back.
    Withdrawn,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Agreed to, about to be done.
    Approved,
    /// Refused.
    Declined,
    /// Done.
    Executed,
    /// Ran out before it was agreed to or done.
    Expired,
    /// Agreed to and not possible.
    Failed,
    /// Waits for somebody else.
    Open,
    /// Taken back.
    Withdrawn,
}

impl State {
    /// Every state, in the order of names.
    pub const ALL: [Self; 7] = [
        Self::Approved,
        Self::Declined,
        Self::Executed,
        Self::Expired,
        Self::Failed,
        Self::Open,
        Self::Withdrawn,
    ];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Executed => "executed",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Open => "open",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRequest {
    /// Where it stands in the journal, which is its number.
    pub id: u64,
    /// When it was asked for.
    pub opened_at: UnixNanos,
    /// What is asked; the payload is emptied when the request has ended.
    pub opened: Opened,
    /// What is agreed to; see [`Opened::digest`].
    pub digest: [u8; 32],
    /// SHA-256 of the payload alone.
    pub payload_sha256: [u8; 32],
    /// Who agreed, and when.
    pub approved: Option<(Actor, UnixNanos)>,
    /// How it ended, and when.
    pub end: Option<(End, UnixNanos)>,
}

impl ChangeRequest {
    /// Where it stands at a moment.
    #[must_use]
    pub fn state(&self, now: UnixNanos) -> State {
        match &self.end {
            Some((End::Declined { .. }, _)) => State::Declined,
            Some((End::Executed { .. }, _)) => State::Executed,
            Some((End::Failed { .. }, _)) => State::Failed,
            Some((End::Withdrawn, _)) => State::Withdrawn,
            None if now >= self.opened.expires_at => State::Expired,
            None if self.approved.is_some() => State::Approved,
            None => State::Open,
        }
    }

    /// Whether something may still become of it.
    fn is_live(&self, now: UnixNanos) -> bool {
        matches!(self.state(now), State::Open | State::Approved)
    }
}

/// Why something is not done with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The person it is about does not agree to it.
    #[error("the change is about {person}, who cannot approve it")]
    Concerned {
        /// Who.
        person: String,
    },
    /// What was seen is not what is asked.
    #[error("the digest is not that of the request: look at it again")]
    Digest,
    /// There is no room.
    #[error("as many requests wait as may wait")]
    Full,
    /// A text or a kind.
    #[error("{what} is empty, too long, or has characters it may not have")]
    Malformed {
        /// Which.
        what: &'static str,
    },
    /// There is none.
    #[error("there is no request {request}")]
    NotFound {
        /// Its number.
        request: u64,
    },
    /// A program or the system.
    #[error("{actor} is not a person")]
    NotAPerson {
        /// Who.
        actor: String,
    },
    /// Only who asked takes back.
    #[error("only {by} can withdraw it")]
    NotYours {
        /// Who asked.
        by: String,
    },
    /// Who asks does not agree.
    #[error("{actor} asked for it: somebody else must approve")]
    OwnRequest {
        /// Who.
        actor: String,
    },
    /// It is over, or not yet so far.
    #[error("the request is {state}")]
    State {
        /// Where it stands.
        state: &'static str,
    },
    /// The time it may wait.
    #[error("a request waits 1 minute to 7 days")]
    Until,
}

/// Whether two actors are one person: names alone count, in any case of letters, since one person may come by the command
/// line, a link and a passkey.
#[must_use]
pub fn is_same_person(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty()
        && text.len() <= TEXT_BYTES_MAX
        && !text.chars().any(|char| char.is_control() && char != '\n')
}

fn person(actor: &Actor) -> Result<(), RequestError> {
    match actor.kind() {
        ActorKind::Operator | ActorKind::User => Ok(()),
        ActorKind::Service | ActorKind::System => Err(RequestError::NotAPerson { actor: actor.to_string() }),
    }
}

fn said(what: &'static str, text: &str) -> Result<(), RequestError> {
    if is_text(text) { Ok(()) } else { Err(RequestError::Malformed { what }) }
}

/// Every request that is remembered.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    requests: BTreeMap<u64, ChangeRequest>,
    ignored: u64,
}

impl Requests {
    /// One of them.
    #[must_use]
    pub fn request(&self, id: u64) -> Option<&ChangeRequest> {
        self.requests.get(&id)
    }

    /// Before a number, or all of them, the newest first.
    pub fn newest(&self, before: Option<u64>) -> impl Iterator<Item = &ChangeRequest> {
        self.requests.range(..before.unwrap_or(u64::MAX)).rev().map(|(_, request)| request)
    }

    /// Those that were agreed to and not done, the oldest first; also such that ran out meanwhile.
    #[must_use]
    pub fn unfinished(&self) -> Vec<u64> {
        let waits = |request: &&ChangeRequest| request.approved.is_some() && request.end.is_none();
        self.requests.values().filter(waits).map(|request| request.id).collect()
    }

    /// Whether an entry keeps the rules at a moment.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn check(&self, entry: &Entry, at: UnixNanos) -> Result<(), RequestError> {
        let find = |id: u64| self.requests.get(&id).ok_or(RequestError::NotFound { request: id });
        let wants = |request: &ChangeRequest, state: State| match request.state(at) {
            found if found == state => Ok(()),
            found => Err(RequestError::State { state: found.as_str() }),
        };
        match entry {
            Entry::Approved { request, digest, by } => {
                let request = find(*request)?;
                wants(request, State::Open)?;
                person(by)?;
                if is_same_person(request.opened.by.id(), by.id()) {
                    return Err(RequestError::OwnRequest { actor: by.to_string() });
                }
                if let Some(person) = &request.opened.concerns
                    && is_same_person(person, by.id())
                {
                    return Err(RequestError::Concerned { person: person.clone() });
                }
                if ct_eq(&request.digest, digest) { Ok(()) } else { Err(RequestError::Digest) }
            }
            Entry::Declined { request, reason, by } => {
                let request = find(*request)?;
                wants(request, State::Open)?;
                person(by)?;
                if is_same_person(request.opened.by.id(), by.id()) {
                    return Err(RequestError::OwnRequest { actor: by.to_string() });
                }
                said("reason", reason)
            }
            Entry::Executed { request, outcome: text } => {
                let request = find(*request)?;
                wants(request, State::Approved)?;
                said("outcome", text)
            }
            Entry::Failed { request, why } => {
                let request = find(*request)?;
                if request.approved.is_none() || request.end.is_some() {
                    return Err(RequestError::State { state: request.state(at).as_str() });
                }
                said("reason", why)
            }
            Entry::Opened(opened) => self.check_opened(opened, at),
            Entry::Withdrawn { request, by } => {
                let request = find(*request)?;
                wants(request, State::Open)?;
                person(by)?;
                if is_same_person(request.opened.by.id(), by.id()) {
                    Ok(())
                } else {
                    Err(RequestError::NotYours { by: request.opened.by.to_string() })
                }
            }
        }
    }

    fn check_opened(&self, opened: &Opened, at: UnixNanos) -> Result<(), RequestError> {
        person(&opened.by)?;
        let is_kind = |kind: &str| {
            (1..=KIND_BYTES_MAX).contains(&kind.len())
                && kind
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'_')
        };
        if !is_kind(&opened.kind) {
            return Err(RequestError::Malformed { what: "kind" });
        }
        if opened.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(RequestError::Malformed { what: "change" });
        }
        said("summary", &opened.summary)?;
        said("reason", &opened.reason)?;
        if opened.expires_at <= at || opened.expires_at > at.plus(LIFE_MAX) {
            return Err(RequestError::Until);
        }
        let live = || self.requests.values().filter(|request| request.is_live(at));
        let own = live().filter(|request| is_same_person(request.opened.by.id(), opened.by.id())).count();
        if live().count() >= OPEN_MAX || own >= OPEN_PER_PERSON_MAX {
            return Err(RequestError::Full);
        }
        Ok(())
    }

    /// Takes an entry in that was recorded at `position`. One that breaks a rule changes nothing and is counted.
    ///
    /// # Errors
    /// [`RequestError`] when nothing was done.
    pub fn apply(&mut self, position: u64, at: UnixNanos, entry: Entry) -> Result<(), RequestError> {
        if let Err(error) = self.check(&entry, at) {
            self.ignored += 1;
            return Err(error);
        }
        let (id, end) = match entry {
            Entry::Opened(opened) => {
                self.make_room(at);
                let (digest, payload_sha256) = (opened.digest(), sha256(&[&opened.payload]));
                let request = ChangeRequest {
                    id: position,
                    opened_at: at,
                    opened,
                    digest,
                    payload_sha256,
                    approved: None,
                    end: None,
                };
                self.requests.insert(position, request);
                return Ok(());
            }
            Entry::Approved { request, by, .. } => {
                if let Some(request) = self.requests.get_mut(&request) {
                    request.approved = Some((by, at));
                }
                return Ok(());
            }
            Entry::Declined { request, reason, by } => (request, End::Declined { by, reason }),
            Entry::Executed { request, outcome } => (request, End::Executed { outcome }),
            Entry::Failed { request, why } => (request, End::Failed { why }),
            Entry::Withdrawn { request, .. } => (request, End::Withdrawn),
        };
        if let Some(request) = self.requests.get_mut(&id) {
            request.end = Some((end, at));
            request.opened.payload = Vec::new();
        }
        Ok(())
    }

    /// Forgets the oldest request that nothing can become of.
    fn make_room(&mut self, at: UnixNanos) {
        if self.requests.len() < KEPT_MAX {
            return;
        }
        let over = self.requests.values().find(|request| !request.is_live(at)).map(|request| request.id);
        if let Some(id) = over {
            self.requests.remove(&id);
        }
    }

    /// What two states are compared by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = crypto::Sha256::new();
        for request in self.requests.values() {
            hasher.update(format!("{request:?}\n").as_bytes());
        }
        hasher.update(&self.ignored.to_be_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
