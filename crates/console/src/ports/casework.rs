//! What the analyst's pages need.

use domain::Actor;

use super::{BoxFuture, NotDone, Unavailable};
use crate::view::{
    AccountFile, AddressFile, CaseFile, CaseFilter, CasePage, DecisionFilter, DecisionPage, Deed,
    Explanation, Export, ExportFilter, Neighbourhood, Rows, TrailFilter,
};

/// Why there is nothing to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Nothing {
    /// It cannot be read now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// There is no such thing, in words for whoever asked.
    #[error("{0}")]
    Unknown(String),
}

/// Decisions, cases, customers and addresses. Everything is a copy of one moment; each call answers within the bounds that its
/// types name and may read the journal.
pub trait Casework: Send + Sync {
    /// Decisions, the newest first. A page may have fewer lines than there are, and still name a next one: looking is bounded.
    ///
    /// # Errors
    /// [`Unavailable`]
    fn decisions(&self, wanted: &DecisionFilter) -> Result<DecisionPage, Unavailable>;

    /// One decision; `None` for an id that names none.
    fn decision<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Explanation>, Unavailable>>;

    /// Says of a decision whether it was fraud: a label from now on.
    ///
    /// # Errors
    /// [`NotDone`]; nothing was recorded then.
    fn label<'a>(
        &'a self,
        actor: &'a Actor,
        decision: &'a str,
        is_fraud: bool,
    ) -> BoxFuture<'a, Result<(), NotDone>>;

    /// Cases: open ones by urgency, or all of them newest first.
    fn cases(&self, wanted: &CaseFilter) -> CasePage;

    /// One case.
    ///
    /// # Errors
    /// [`Unavailable`]
    fn case(&self, id: u64) -> Result<Option<CaseFile>, Unavailable>;

    /// Does something with a case that has this revision. On return it is durable.
    ///
    /// # Errors
    /// [`NotDone`]; nothing was changed then.
    fn act(&self, actor: Actor, case: u64, revision: u64, deed: Deed) -> BoxFuture<'_, Result<(), NotDone>>;

    /// One customer.
    ///
    /// # Errors
    /// [`Nothing`]
    fn account(&self, account: &str, wanted: &TrailFilter) -> Result<AccountFile, Nothing>;

    /// One address, as screening sees it now: of a network, or of whichever its form belongs to. Customers only for those who may
    /// see them.
    ///
    /// # Errors
    /// [`Nothing`]
    fn address(
        &self,
        network: Option<&str>,
        address: &str,
        sees_customers: bool,
    ) -> Result<AddressFile, Nothing>;

    /// Who shares what with `account:X`, `device:X`, `ip:X` or `address:X`.
    ///
    /// # Errors
    /// [`Nothing`]
    fn graph(&self, entity: &str) -> Result<Neighbourhood, Nothing>;

    /// The page of what somebody typed: a decision, a case, a customer, an address, a device. `None` if it is none of them.
    fn find(&self, text: &str) -> Option<String>;

    /// Some rows of a table and what to ask for next.
    ///
    /// # Errors
    /// [`Unavailable`]
    fn rows(&self, table: Export, wanted: &ExportFilter) -> Result<Rows, Unavailable>;
}
