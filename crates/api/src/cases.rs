//! Cases and alerts: what people look at, and what they say about it.
//!
//! Who acts is the token's name; who approves must have another one than who proposed. Every change names the
//! `revision` of the case it rests on, and is refused when somebody else was faster.

mod body;
mod call;
mod json;
mod stream;

use std::{collections::BTreeMap, time::Duration};

use domain::{Actor, UnixNanos};
use fraud::cases::{AlertLine, Ask, Case, CaseError, Filter, Review};

use self::json::alert_json;
pub use self::json::{alerts_json, case_json, cases_json, review_json};
pub use self::{body::case_id, call::CaseCall};
pub(crate) use self::{
    body::{alert_query, ask, case_query},
    call::{ROUTES, case_problem, serve},
    stream::stream,
};
use crate::BoxFuture;

/// Cases or alerts of a page when the caller names no number.
pub(crate) const PAGE_DEFAULT: usize = 50;

/// A case with what it takes to show it.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// The case.
    pub case: Case,
    /// Ids of the decisions in it, by position.
    pub decisions: BTreeMap<u64, String>,
    /// When it was looked at.
    pub now: UnixNanos,
}

/// How far the release of a decision is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionReview {
    /// The case it belongs to.
    pub case: u64,
    /// How far it is.
    pub review: Review,
    /// The id of the decision that used the release, if one did.
    pub used_by: Option<String>,
    /// When it was looked at.
    pub now: UnixNanos,
}

/// Which part of a list of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Newest first, from before this case on.
    Newest(Option<u64>),
    /// Open ones, the most urgent first, behind this case.
    Urgent(Option<u64>),
}

/// Why nothing was done, or is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CasesError {
    /// More arrives than can be recorded; nothing was done.
    #[error("cases are busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The rules of cases.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// It cannot be made durable, or the state stops.
    #[error("cases cannot be changed: {why}")]
    Unavailable {
        /// In words for the operator; not shown to the caller.
        why: String,
    },
    /// There is nothing to appeal.
    #[error("{why}")]
    NotAppealable {
        /// Why, for whoever appeals.
        why: &'static str,
    },
    /// No ban of this name is in force.
    #[error("no ban of this name is in force")]
    UnknownBan,
    /// An id names no decision of this installation.
    #[error("no decision has this id")]
    UnknownDecision,
}

/// Where people work on cases.
pub trait Cases: Send + Sync {
    /// A case.
    ///
    /// # Errors
    /// [`CasesError::Case`] when there is none.
    fn case(&self, id: u64) -> Result<CaseFile, CasesError>;

    /// Some cases.
    ///
    /// # Errors
    /// [`CasesError::Case`] when the case to go on behind is not there.
    fn cases(&self, filter: &Filter, order: Order, max: usize) -> Result<Vec<CaseFile>, CasesError>;

    /// Some alerts, the newest first, from entries before a position.
    fn alerts(&self, before: Option<u64>, max: usize) -> Vec<AlertLine>;

    /// Alerts from entries from a position on that are remembered, oldest first, some `max` of them, and the position behind
    /// all that is told: no entry's alerts are told in part. From a position behind the end: none, and the end.
    ///
    /// # Errors
    /// [`CasesError::Unavailable`].
    fn alerts_from(&self, from: u64, max: usize) -> Result<(Vec<AlertLine>, u64), CasesError>;

    /// Completes when something is durable behind a position, or nothing will ever be.
    fn beyond(&self, position: u64) -> BoxFuture<'_, ()>;

    /// The position of a decision's id.
    ///
    /// # Errors
    /// [`CasesError::UnknownDecision`].
    fn decision(&self, id: &str) -> Result<u64, CasesError>;

    /// Says of any decision what it was about: fraud, or an honest customer. A label at this moment, which replaces an earlier
    /// one; yields the id of the event.
    ///
    /// # Errors
    /// [`CasesError`].
    fn label<'a>(
        &'a self,
        actor: &'a Actor,
        decision: &'a str,
        is_fraud: bool,
    ) -> BoxFuture<'a, Result<String, CasesError>>;

    /// Does something with a case. On return it is durable, and every later decision sees it. Without a revision it
    /// rests on whatever the case is by then.
    fn act(
        &self,
        actor: Actor,
        case: u64,
        revision: Option<u64>,
        ask: Ask,
    ) -> BoxFuture<'_, Result<CaseFile, CasesError>>;
}
