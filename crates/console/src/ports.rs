//! What the console needs from the rest of the product.

mod casework;
mod changes;
mod own;
mod rules;
mod webhooks;

use std::{future::Future, net::IpAddr, pin::Pin, sync::Arc};

use domain::{AccountId, Actor};
use identity::{Capability, CodeSignIn};

use crate::view::{
    Backup, Ban, BanDeed, Emergency, EntryPage, Health, KeyDeed, KeyFile, KeyLine, List, Live, StopDeed,
};

pub use self::{
    casework::{Casework, Nothing},
    changes::Changes,
};

pub use self::{
    own::{Own, Retry},
    rules::Rules,
    webhooks::Webhooks,
};

/// A boxed future, so that ports stay object safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is asked for cannot be shown now; in words for the person who asks, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Nothing was done; why, in words for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotDone(pub String);

/// Everything the pages stand on, one port for each family of pages.
#[derive(Clone)]
pub struct Ports {
    /// What there is to see.
    pub sight: Arc<dyn Sight>,
    /// What operators do.
    pub operations: Arc<dyn Operations>,
    /// Rules and models.
    pub rules: Arc<dyn Rules>,
    /// Decisions, cases, customers and addresses.
    pub casework: Arc<dyn Casework>,
    /// Changes that take two persons.
    pub changes: Arc<dyn Changes>,
    /// What people see of their own: sessions, the way in without a passkey, the account they develop for.
    pub own: Arc<dyn Own>,
    /// Endpoints that are told of what happens.
    pub webhooks: Arc<dyn Webhooks>,
    /// Who may see it.
    pub visitors: Arc<dyn Visitors>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// What there is to see. Everything is a copy of one moment.
pub trait Sight: Send + Sync {
    /// The state of everything. Answers at once.
    fn live(&self) -> Live;

    /// Who is banned, the newest first.
    fn bans(&self) -> Vec<Ban>;

    /// The lists in force.
    fn lists(&self) -> Vec<List>;

    /// The backup and its last drill.
    fn backup(&self) -> BoxFuture<'_, Backup>;

    /// Journal entries from a place on, of one kind or of all, redacted; without a place the newest. Looks at a bounded
    /// number of entries, so that a page of a kind may be empty while there are more. A kind there is not is all of them.
    fn entries<'a>(
        &'a self,
        from: Option<u64>,
        kind: Option<&'a str>,
    ) -> BoxFuture<'a, Result<EntryPage, Unavailable>>;
}

/// What operators see and do. On return what was done is durable, and in force.
pub trait Operations: Send + Sync {
    /// What is stopped at present. Answers at once: every page asks.
    fn stopped(&self) -> Emergency;

    /// Stops something, or lets it go on.
    ///
    /// # Errors
    /// [`NotDone`]; nothing was changed then.
    fn stop(&self, actor: Actor, deed: StopDeed) -> BoxFuture<'_, Result<(), NotDone>>;

    /// API keys, of an account or of all, what is worth a look first; at most [`crate::ROWS_MAX`], and how many more
    /// there are.
    fn keys(&self, account: Option<&str>) -> (Vec<KeyLine>, usize);

    /// One API key; `None` for one that is revoked or never was.
    fn key(&self, id: &str) -> Option<KeyFile>;

    /// Changes an API key.
    ///
    /// # Errors
    /// [`NotDone`].
    fn change_key<'a>(
        &'a self,
        actor: Actor,
        id: &'a str,
        deed: KeyDeed,
        reason: String,
    ) -> BoxFuture<'a, Result<(), NotDone>>;

    /// Sends a source away, or lets it in again.
    ///
    /// # Errors
    /// [`NotDone`].
    fn ban(&self, actor: Actor, deed: BanDeed, reason: String) -> BoxFuture<'_, Result<(), NotDone>>;

    /// Restores the backup beside the data and compares; takes as long as a start.
    ///
    /// # Errors
    /// [`NotDone`] when no drill was made; one that failed is one that was made.
    fn drill(&self, actor: Actor) -> BoxFuture<'_, Result<(), NotDone>>;

    /// The proof that an entry is in the published log (c2sp.org/tlog-proof), and the key that verifies it.
    ///
    /// # Errors
    /// [`NotDone`] where there is no such entry, or the log cannot be published now.
    fn proof(&self, seq: u64) -> BoxFuture<'_, Result<(String, String), NotDone>>;

    /// How the installation is.
    fn health(&self) -> BoxFuture<'_, Health>;
}

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// Who.
    pub actor: Actor,
    /// What they may.
    pub capabilities: Vec<Capability>,
    /// The one account they may see, for somebody who develops for it; they have no capability but that of its page.
    pub account: Option<AccountId>,
}

impl Viewer {
    /// Whether they may.
    #[must_use]
    pub fn may(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

/// Why somebody is not let in. Of what they presented the same answer for every reason: a guesser learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLetIn {
    /// Name, phrase and code.
    #[error("name, phrase and code do not fit together, the code was used, or this way in is locked")]
    Code,
    /// The link.
    #[error("the link has been used, has run out, or was never given")]
    Link,
    /// They tried too often.
    #[error("too many tries from your network; wait ten minutes")]
    TooMany,
    /// A sign-in that cannot be recorded is none.
    #[error("sign-ins cannot be recorded at the moment, and none is made without a record")]
    Unrecorded,
}

/// Who may look.
pub trait Visitors: Send + Sync {
    /// Takes a one-time link, from an address: the secret of a new session, for a cookie. On return it is recorded.
    ///
    /// # Errors
    /// [`NotLetIn`]
    fn enter<'a>(&'a self, link: &'a str, ip: IpAddr) -> BoxFuture<'a, Result<String, NotLetIn>>;

    /// Takes name, phrase and one-time code, from an address: the secret of a new session of the API, for its cookie. On return
    /// it is recorded.
    ///
    /// # Errors
    /// [`NotLetIn`]
    fn enter_by_code<'a>(
        &'a self,
        said: CodeSignIn<'a>,
        ip: IpAddr,
    ) -> BoxFuture<'a, Result<String, NotLetIn>>;

    /// Whether persons may sign in by phrase and code.
    fn has_codes(&self) -> bool;

    /// Whose session it is, of a link or of a passkey; `None` when it has ended or never was. Asked for every page.
    fn viewer(&self, session: &str) -> Option<Viewer>;

    /// Whether persons sign in with passkeys.
    fn has_passkeys(&self) -> bool;

    /// Ends a session.
    fn leave<'a>(&'a self, session: &'a str) -> BoxFuture<'a, ()>;
}
