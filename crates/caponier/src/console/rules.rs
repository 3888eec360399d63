//! Rules and models as the console shows them, and what people do with them there.

use std::sync::Arc;

use api::RulebookError;
use console::{
    BoxFuture, NotDone, Rules,
    rules::{Book, Checked, ModelFile, ModelPage, VersionFile},
};
use domain::Actor;
use tokio::task::block_in_place;

use crate::rulebook::Rulebook;

/// The console's way to the rulebook.
pub(super) struct RulePages(pub(super) Arc<Rulebook>);

fn not_done(error: RulebookError) -> NotDone {
    match error {
        RulebookError::Unavailable { .. } => {
            NotDone("it cannot be done at the moment; the log says why".to_owned())
        }
        other => NotDone(other.to_string()),
    }
}

/// Files are read and journals looked at: other tasks go on meanwhile.
fn now<'a, T: Send + 'a>(
    work: impl FnOnce() -> Result<T, RulebookError> + Send + 'a,
) -> BoxFuture<'a, Result<T, NotDone>> {
    Box::pin(async move { block_in_place(work).map_err(not_done) })
}

impl Rules for RulePages {
    fn book(&self) -> BoxFuture<'_, Book> {
        Box::pin(async { block_in_place(|| self.0.book()) })
    }

    fn text(&self, version: Option<String>) -> BoxFuture<'_, Result<(String, String), NotDone>> {
        now(move || self.0.text(version.as_deref()))
    }

    fn in_force(&self) -> Option<String> {
        self.0.in_force_name()
    }

    fn check(&self, text: String) -> BoxFuture<'_, Result<Checked, NotDone>> {
        now(move || self.0.check(&text))
    }

    fn keep(&self, actor: Actor, text: String, note: String) -> BoxFuture<'_, Result<String, NotDone>> {
        now(move || self.0.keep(&actor, &text, &note))
    }

    fn version(&self, version: String) -> BoxFuture<'_, Result<VersionFile, NotDone>> {
        now(move || self.0.version(&version))
    }

    fn backtest(&self, actor: Actor, version: String, days: u64) -> BoxFuture<'_, Result<(), NotDone>> {
        now(move || self.0.start(&actor, &version, days).map(drop))
    }

    fn cancel(&self, job: u64) -> BoxFuture<'_, Result<(), NotDone>> {
        now(move || self.0.cancel(job))
    }

    fn shadow(&self, actor: Actor, version: String) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(async move { self.0.shadow(&actor, &version).await.map_err(not_done) })
    }

    fn end_shadow(&self, actor: Actor, version: String) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(async move { self.0.end_shadow(&actor, &version).await.map_err(not_done) })
    }

    fn publish(
        &self,
        actor: Actor,
        version: String,
        reason: String,
    ) -> BoxFuture<'_, Result<String, NotDone>> {
        Box::pin(async move { self.0.publish(&actor, &version, &reason).await.map_err(not_done) })
    }

    fn return_to(
        &self,
        actor: Actor,
        version: String,
        from: String,
        reason: String,
    ) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(async move { self.0.return_to(&actor, &version, &from, &reason).await.map_err(not_done) })
    }

    fn models(&self) -> BoxFuture<'_, ModelPage> {
        Box::pin(async { block_in_place(|| self.0.models()) })
    }

    fn model(&self, model: String) -> BoxFuture<'_, Result<ModelFile, NotDone>> {
        now(move || self.0.model(&model))
    }

    fn try_model(&self, actor: Actor, model: String) -> BoxFuture<'_, Result<String, NotDone>> {
        now(move || self.0.try_model(&actor, &model))
    }
}
