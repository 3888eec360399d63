//! What the decision path needs from others.

use std::{future::Future, pin::Pin, sync::Arc};

use domain::{Decision, Finding, UnixNanos, WithdrawalRequest};

/// A boxed future, so that ports stay object safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source could not look; in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceUnavailable(pub String);

/// Somebody with something to say about a withdrawal.
///
/// Contract: an answer must not depend on the wall clock beyond `now`; it sees every decision whose
/// [`DecisionLog::append`] has returned. It may be dropped at any await point when the deadline passes.
pub trait FindingSource: Send + Sync {
    /// Lower-case name for messages and metrics.
    fn name(&self) -> &'static str;

    /// What is known about the request; an empty list means nothing to say.
    fn examine<'a>(
        &'a self,
        request: &'a WithdrawalRequest,
        now: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>>;
}

/// The decision could not be made durable, so it does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("decision log unavailable: {0}")]
pub struct LogUnavailable(pub String);

/// Where decisions become durable.
pub trait DecisionLog: Send + Sync {
    /// Appends. When it returns `Ok(position)` the decision survives a crash, and every later
    /// [`FindingSource::examine`] sees it. On an error the decision may or may not have reached the disk, but
    /// nobody has acted on it.
    fn append(&self, decision: Arc<Decision>) -> BoxFuture<'_, Result<u64, LogUnavailable>>;

    /// Reads back the decision at a position, or `None` when there is none or its subject was erased.
    fn read(&self, position: u64) -> BoxFuture<'_, Result<Option<Arc<Decision>>, LogUnavailable>>;
}
