//! What the pages of rules and models need.

use domain::Actor;

use super::{BoxFuture, NotDone};
use crate::view::rules::{Book, Checked, ModelFile, ModelPage, VersionFile};

/// Rules as people work on them. Versions are named by their SHA-256 in hex.
pub trait Rules: Send + Sync {
    /// Everything about rules.
    fn book(&self) -> BoxFuture<'_, Book>;

    /// SHA-256 and text of the rules of a version, or of those in force.
    ///
    /// # Errors
    /// [`NotDone`] when there is none.
    fn text(&self, version: Option<String>) -> BoxFuture<'_, Result<(String, String), NotDone>>;

    /// The version in force.
    fn in_force(&self) -> Option<String>;

    /// What is wrong with a text, or what it changes.
    ///
    /// # Errors
    /// [`NotDone`] when nothing is in force that it could be checked beside.
    fn check(&self, text: String) -> BoxFuture<'_, Result<Checked, NotDone>>;

    /// Keeps a text as a version.
    ///
    /// # Errors
    /// [`NotDone`]; nothing was kept then.
    fn keep(&self, actor: Actor, text: String, note: String) -> BoxFuture<'_, Result<String, NotDone>>;

    /// A version.
    ///
    /// # Errors
    /// [`NotDone`] when there is none.
    fn version(&self, version: String) -> BoxFuture<'_, Result<VersionFile, NotDone>>;

    /// Begins a backtest.
    ///
    /// # Errors
    /// [`NotDone`]
    fn backtest(&self, actor: Actor, version: String, days: u64) -> BoxFuture<'_, Result<(), NotDone>>;

    /// Ends a backtest.
    ///
    /// # Errors
    /// [`NotDone`]
    fn cancel(&self, job: u64) -> BoxFuture<'_, Result<(), NotDone>>;

    /// Puts a version in shadow.
    ///
    /// # Errors
    /// [`NotDone`]; what judges is as before then.
    fn shadow(&self, actor: Actor, version: String) -> BoxFuture<'_, Result<(), NotDone>>;

    /// Takes a version out of shadow.
    ///
    /// # Errors
    /// [`NotDone`]; what judges is as before then.
    fn end_shadow(&self, actor: Actor, version: String) -> BoxFuture<'_, Result<(), NotDone>>;

    /// Proposes to put a version in force, which somebody else then approves: the id of the change request.
    ///
    /// # Errors
    /// [`NotDone`]; nothing was asked for then.
    fn publish(
        &self,
        actor: Actor,
        version: String,
        reason: String,
    ) -> BoxFuture<'_, Result<String, NotDone>>;

    /// Puts a version that was in force before in force again, in place of `from`.
    ///
    /// # Errors
    /// [`NotDone`]; what judges is as before then.
    fn return_to(
        &self,
        actor: Actor,
        version: String,
        from: String,
        reason: String,
    ) -> BoxFuture<'_, Result<(), NotDone>>;

    /// Models, and how far what they are fed has moved.
    fn models(&self) -> BoxFuture<'_, ModelPage>;

    /// A model by its digest in hex.
    ///
    /// # Errors
    /// [`NotDone`] when there is none.
    fn model(&self, model: String) -> BoxFuture<'_, Result<ModelFile, NotDone>>;

    /// Makes a version of the bundle in force with another model: its SHA-256.
    ///
    /// # Errors
    /// [`NotDone`] when it does not fit.
    fn try_model(&self, actor: Actor, model: String) -> BoxFuture<'_, Result<String, NotDone>>;
}
