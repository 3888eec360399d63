//! What the decision path needs from others.

use std::{future::Future, pin::Pin, sync::Arc};

use domain::{AccountId, Decision, Finding, ReasonCode, UnixNanos, WithdrawalRequest};

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

/// People looked at a held withdrawal and let it through, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Position of the decision that held it.
    pub held: u64,
    /// The reasons they saw. A release answers these and no others.
    pub reasons: Vec<ReasonCode>,
}

/// Who knows what people let through.
///
/// Contract: an answer sees every decision whose [`DecisionLog::append`] has returned, and a release that such a
/// decision used ([`crate::release_used`]) is not given again.
pub trait Releases: Send + Sync {
    /// The release of a withdrawal of this account with this fingerprint ([`crate::fingerprint`]), if one is in force.
    /// An error means that nobody can say; there is no release then.
    fn release(
        &self,
        account: &AccountId,
        fingerprint: [u8; 16],
        now: UnixNanos,
    ) -> Result<Option<Release>, SourceUnavailable>;
}
