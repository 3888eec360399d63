//! What the API needs from the rest of the product.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use auth::oauth::{Consent, ConsentError, ConsentView, GrantNumber, GrantSummary};
use decide::JudgeRequest;
use domain::{AccountId, ActKind, Asset, Decision, Event, Judgement, Verdict, WithdrawalRequest};

use crate::DeadLetters;

use crate::DecisionReview;

/// A boxed future, so that ports stay object safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What became of a batch of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Events recorded now.
    pub accepted: usize,
    /// Events whose id had been recorded before, or occurred earlier in the same batch.
    pub duplicates: usize,
    /// Events about persons whose data was erased. Nothing can be recorded about them any more; they are
    /// acknowledged so that the reporter does not wait for ever.
    pub erased: usize,
}

/// Why a batch was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// More arrives than can be recorded; nothing of the batch was.
    #[error("intake is busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Events cannot be made durable. Part of the batch may have been; sending it again is safe.
    #[error("events cannot be recorded: {why}")]
    Unavailable {
        /// In words for the operator; not shown to the caller.
        why: String,
    },
}

/// Where events go.
pub trait Intake: Send + Sync {
    /// Records events in order. When it returns `Ok`, every event of the batch survives a crash and every later
    /// decision sees it. An event whose id is known is counted as a duplicate and changes nothing. Dropping the
    /// future may leave the batch recorded or not.
    fn record(&self, events: Vec<Event>) -> BoxFuture<'_, Result<Recorded, IntakeError>>;

    /// Whether the exchange trades in an asset. Where nobody said which ones it does, all are known.
    fn knows_asset(&self, asset: &Asset) -> bool;

    /// Where the decision of an id stands; `None` for an id of no decision of this installation.
    fn decision_position(&self, id: &str) -> Option<u64>;

    /// Where refused lines go.
    fn dead_letters(&self) -> &DeadLetters;
}

/// A decision and its id.
#[derive(Debug, Clone)]
pub struct Decided {
    /// To look it up with; printable ASCII without a slash.
    pub id: String,
    /// What was decided.
    pub decision: Arc<Decision>,
}

/// Why there is no decision. The action must then not go ahead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// More is asked than can be decided.
    #[error("the decision path is busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The withdrawal was let through before, and its scope has been frozen since.
    #[error("withdrawals of {scope} are frozen")]
    Frozen {
        /// Id of the decision that let it through.
        earlier: String,
        /// What is frozen.
        scope: String,
    },
    /// The caller used one idempotency key for two different requests.
    #[error("idempotency key was already used for a different request")]
    IdempotencyConflict {
        /// Id of the decision the key belongs to.
        earlier: String,
    },
    /// The decision could not be made or recorded.
    #[error("no decision can be made: {why}")]
    Unavailable {
        /// In words for the operator; not shown to the caller.
        why: String,
    },
}

/// A decision read back.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Its id.
    pub id: String,
    /// What was decided.
    pub decision: Arc<Decision>,
    /// Its position in the journal, where known: what an inclusion proof is asked for by.
    pub position: Option<u64>,
    /// How far its release is, if it was held.
    pub review: Option<DecisionReview>,
}

/// A decision about something else than a withdrawal.
#[derive(Debug, Clone)]
pub struct JudgedAct {
    /// To look it up with; printable ASCII without a slash.
    pub id: String,
    /// What was decided.
    pub judgement: Arc<Judgement>,
    /// Its position in the journal.
    pub position: u64,
}

/// Why a decision cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("decisions cannot be read: {why}")]
pub struct ExplainError {
    /// In words for the operator; not shown to the caller.
    pub why: String,
}

/// A decision read back, whatever it was about.
#[derive(Debug, Clone)]
pub enum FoundDecision {
    /// About something else than a withdrawal.
    Act(JudgedAct),
    /// About a withdrawal.
    Withdrawal(Explained),
}

/// Which decisions are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Withdrawals.
    pub withdrawals: bool,
    /// Acts of these kinds.
    pub acts: Vec<ActKind>,
    /// Only with one of these verdicts; any if none is named.
    pub verdicts: Vec<Verdict>,
    /// Only about this customer.
    pub account: Option<AccountId>,
}

impl Default for DecisionFilter {
    /// All about withdrawals.
    fn default() -> Self {
        Self { withdrawals: true, acts: Vec::new(), verdicts: Vec::new(), account: None }
    }
}

impl DecisionFilter {
    fn takes(&self, verdict: Verdict, account: Option<&AccountId>) -> bool {
        (self.verdicts.is_empty() || self.verdicts.contains(&verdict))
            && (self.account.is_none() || self.account.as_ref() == account)
    }

    /// Whether a decision about a withdrawal is wanted.
    #[must_use]
    pub fn takes_withdrawal(&self, decision: &Decision) -> bool {
        self.withdrawals && self.takes(decision.verdict, Some(&decision.request.account))
    }

    /// Whether a decision about an act is wanted.
    #[must_use]
    pub fn takes_act(&self, judgement: &Judgement) -> bool {
        self.acts.contains(&judgement.act.kind()) && self.takes(judgement.verdict, judgement.act.account())
    }
}

/// A decision of a page.
#[derive(Debug, Clone)]
pub struct ListedDecision {
    /// As shown by its id.
    pub found: FoundDecision,
    /// The cursor behind it.
    pub next: String,
}

/// A page of decisions, oldest first.
#[derive(Debug, Clone)]
pub struct DecisionPage {
    /// Those of the page.
    pub decisions: Vec<ListedDecision>,
    /// The cursor behind the page: printable ASCII, opaque to callers.
    pub next: String,
    /// Whether there may be more behind it already.
    pub more: bool,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The cursor lies behind the end of the journal: it was given before a restore.
    #[error("cursor lies behind the end")]
    CursorStale,
    /// The installation did not make the cursor.
    #[error("cursor is not of this installation")]
    CursorUnknown,
    /// Decisions cannot be read.
    #[error("decisions cannot be read: {why}")]
    Unavailable {
        /// In words for the operator; not shown to the caller.
        why: String,
    },
}

/// The decision path.
pub trait Decisions: Send + Sync {
    /// Decides within `deadline`; in shadow, nothing has an effect. When it returns `Ok`, the decision is durable. The same account and idempotency
    /// key get the first decision again. Dropping the future may leave a decision that nobody acted on.
    fn decide(
        &self,
        request: WithdrawalRequest,
        idempotency_key: Option<String>,
        deadline: Duration,
        is_shadow: bool,
    ) -> BoxFuture<'_, Result<Decided, DecideError>>;

    /// Decides about what is no withdrawal. When it returns `Ok`, the decision is durable. The same caller and key get the
    /// first decision again. Dropping the future may leave a decision that nobody acted on.
    fn judge(&self, request: JudgeRequest) -> BoxFuture<'_, Result<JudgedAct, DecideError>>;

    /// Reads a decision about an act back; `None` for an id that names none, whatever its form.
    fn judgement<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<JudgedAct>, ExplainError>>;

    /// Reads a decision back; `None` for an id that names none, whatever its form.
    fn explain<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Explained>, ExplainError>>;

    /// The proof that the journal holds the entry at a position, as far as there is one.
    fn proof(&self, position: u64) -> BoxFuture<'_, crate::Proof>;

    /// Those decisions behind a cursor, from the beginning without one, that are wanted, at most `limit`. Looks at a bounded number of entries,
    /// so a page may be empty while there is more. Decisions about persons whose data was erased are left out.
    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
        filter: &'a DecisionFilter,
    ) -> BoxFuture<'a, Result<DecisionPage, PageError>>;

    /// The cursor behind everything that is durable now.
    fn end(&self) -> String;

    /// Completes when something is durable behind the cursor, or nothing will ever be.
    fn beyond<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, ()>;
}

/// Why an answer for a customer, or the end of a grant, is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Nothing can be recorded about the customer any more.
    #[error("data of the account was erased")]
    AccountErased,
    /// The authorization server refuses.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// The customer has no such grant.
    #[error("account has no such grant")]
    GrantUnknown,
    /// It cannot be made durable.
    #[error("grant cannot be ended: {why}")]
    Unavailable {
        /// In words for the operator; not shown to the caller.
        why: String,
    },
}

/// The authorization server for third-party apps, as the consent page of the exchange needs it.
pub trait Consents: Send + Sync {
    /// What to ask the customer.
    ///
    /// # Errors
    /// [`GrantError::Consent`] for a handle that cannot be answered (any more).
    fn view(&self, handle: &str) -> Result<ConsentView, GrantError>;

    /// The customer agrees: where to send the browser. The address holds a secret.
    ///
    /// # Errors
    /// [`GrantError`].
    fn approve(&self, handle: &str, consent: Consent) -> Result<String, GrantError>;

    /// The customer declines: where to send the browser.
    ///
    /// # Errors
    /// [`GrantError`].
    fn deny(&self, handle: &str) -> Result<String, GrantError>;

    /// What a customer has granted.
    fn grants(&self, account: &AccountId) -> Vec<GrantSummary>;

    /// Ends a grant of a customer. When it returns, the end is durable and in force.
    fn revoke(&self, account: AccountId, grant: GrantNumber) -> BoxFuture<'_, Result<(), GrantError>>;
}

/// Whether the parts behind the API work.
pub trait Health: Send + Sync {
    /// What does not work, one sentence each, without secrets; empty when all is well. Answers at once.
    fn faults(&self) -> Vec<String>;
}

/// Counters for a monitoring system.
pub trait Metrics: Send + Sync {
    /// Every counter in the OpenMetrics text format 1.0, which Prometheus reads. No secret and no name of a
    /// customer is in it. Answers at once.
    fn exposition(&self) -> String;
}
