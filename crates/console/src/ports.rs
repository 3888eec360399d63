//! What the console needs from the rest of the product.

use std::{future::Future, pin::Pin};

use domain::Actor;
use identity::Capability;

use crate::view::{Backup, Ban, DecisionPage, EntryPage, Explanation, List, Live};

/// A boxed future, so that ports stay object safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is asked for cannot be shown now; in words for the person who asks, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// What there is to see. Everything is a copy of one moment.
pub trait Sight: Send + Sync {
    /// The state of everything. Answers at once.
    fn live(&self) -> Live;

    /// Decisions before a place in the journal, or the newest.
    fn decisions(&self, before: Option<u64>) -> BoxFuture<'_, Result<DecisionPage, Unavailable>>;

    /// One decision; `None` for an id that names none.
    fn decision<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Explanation>, Unavailable>>;

    /// Who is banned, the newest first.
    fn bans(&self) -> Vec<Ban>;

    /// The lists in force.
    fn lists(&self) -> Vec<List>;

    /// The backup and its last drill.
    fn backup(&self) -> BoxFuture<'_, Backup>;

    /// Journal entries from a place on, redacted; without one the newest.
    fn entries(&self, from: Option<u64>) -> BoxFuture<'_, Result<EntryPage, Unavailable>>;
}

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// Who.
    pub actor: Actor,
    /// What they may.
    pub capabilities: Vec<Capability>,
}

impl Viewer {
    /// Whether they may.
    #[must_use]
    pub fn may(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

/// Why somebody is not let in. The same answer for every reason: a guesser learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link has been used, has run out, or was never given")]
pub struct NotLetIn;

/// Who may look.
pub trait Visitors: Send + Sync {
    /// Takes a one-time link: the secret of a new session, for a cookie.
    ///
    /// # Errors
    /// [`NotLetIn`]
    fn enter<'a>(&'a self, link: &'a str) -> BoxFuture<'a, Result<String, NotLetIn>>;

    /// Whose session it is; `None` when it has ended or never was. Asked for every page.
    fn viewer(&self, session: &str) -> Option<Viewer>;

    /// Ends a session.
    fn leave<'a>(&'a self, session: &'a str) -> BoxFuture<'a, ()>;
}
