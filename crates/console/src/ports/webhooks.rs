//! What the pages of webhooks stand on.

use super::{BoxFuture, NotDone, Viewer};
use crate::view::{WebhookDeed, WebhookDone, WebhookFile, WebhookLine, WebhookWords};

/// Endpoints that are told of what happens.
pub trait Webhooks: Send + Sync {
    /// All of them, in the order of names.
    fn list(&self) -> Vec<WebhookLine>;

    /// One, with what was given up on.
    fn one(&self, name: &str) -> Option<WebhookFile>;

    /// What they can be told of: families, each with its types.
    fn types(&self) -> Vec<(&'static str, Vec<&'static str>)>;

    /// Does something about one. On return it is durable and in force, or was tried.
    ///
    /// # Errors
    /// [`NotDone`].
    fn act<'a>(
        &'a self,
        viewer: &'a Viewer,
        name: &'a str,
        deed: WebhookDeed,
        words: WebhookWords,
    ) -> BoxFuture<'a, Result<WebhookDone, NotDone>>;
}
