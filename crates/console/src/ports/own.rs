//! What somebody sees and does about their own.

use std::net::IpAddr;

use super::{BoxFuture, NotDone, Unavailable, Viewer};
use crate::view::own::{OwnAccount, OwnSessions};

/// The first code was not right, and may be tried again.
pub type Retry = (NotDone, Option<identity::FallbackOffer>);

/// Sessions, the way in without a passkey, and the account somebody develops for. `cookies` are the secrets of the viewer's
/// sessions, as their browser sent them: what a person does about themselves takes a session of theirs, and a name that a link
/// gave is not enough.
pub trait Own: Send + Sync {
    /// Their sessions, and everybody's for those who manage access.
    fn sessions(&self, viewer: &Viewer, cookies: &[&str]) -> OwnSessions;

    /// Ends a session: one of theirs, or anybody's for those who manage access.
    ///
    /// # Errors
    /// [`NotDone`]
    fn end_session<'a>(
        &'a self,
        viewer: &'a Viewer,
        cookies: &'a [&'a str],
        id: &'a str,
    ) -> BoxFuture<'a, Result<(), NotDone>>;

    /// Begins to set a fallback: what to show, once.
    ///
    /// # Errors
    /// [`NotDone`]
    fn begin_fallback(&self, cookies: &[&str]) -> Result<identity::FallbackOffer, NotDone>;

    /// Sets the fallback that was begun, by the first code. On return it is durable.
    ///
    /// # Errors
    /// [`Retry`]
    fn confirm_fallback<'a>(
        &'a self,
        cookies: &'a [&'a str],
        code: &'a str,
        ip: IpAddr,
    ) -> BoxFuture<'a, Result<(), Retry>>;

    /// Takes the fallback away.
    ///
    /// # Errors
    /// [`NotDone`]
    fn end_fallback<'a>(&'a self, cookies: &'a [&'a str]) -> BoxFuture<'a, Result<(), NotDone>>;

    /// Appeals against a withdrawal of the account that was stopped. On return it is durable, and somebody must answer it.
    ///
    /// # Errors
    /// [`NotDone`]
    fn appeal(&self, viewer: Viewer, decision: String, text: String) -> BoxFuture<'_, Result<(), NotDone>>;

    /// The account of a developer; nothing of any other is looked at.
    ///
    /// # Errors
    /// [`Unavailable`]
    fn account(&self, account: &domain::AccountId) -> Result<OwnAccount, Unavailable>;
}
