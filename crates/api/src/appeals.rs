//! Appeals: a customer, or somebody for them, says that a decision or a ban was wrong, and gets an answer.
//!
//! The account is named beside what is appealed: an id that is not of that account is unknown, so nobody learns of others'
//! decisions. Who brings an appeal cannot answer it.

use axum::{
    extract::Request,
    http::{Method, Uri},
};
use domain::{AccountId, Actor};
use fraud::cases::{Appeal, BAN_BYTES_MAX, Outcome, PAGE_MAX, TEXT_BYTES_MAX};
use serde_json::{Value, json};

use crate::{
    BoxFuture, CasesError, Permission,
    auth::Caller,
    cases::case_problem,
    limits::CASE_BODY_BYTES_MAX,
    problem::{Kind, Problem},
    query::{Query, fault},
    route::{Action, App, Route, read_body, segment},
    wire::{Fault, Fields},
};

/// Longest id of what is appealed, in bytes.
pub const AGAINST_BYTES_MAX: usize = BAN_BYTES_MAX;

/// What an appeal is against, as its caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppealAgainst {
    /// A ban, as bans are listed.
    Ban(String),
    /// A decision, by its id.
    Decision(String),
}

impl AppealAgainst {
    /// Names of the kinds.
    pub const KINDS: [&'static str; 2] = ["ban", "decision"];

    /// Of a kind and what it is.
    #[must_use]
    pub fn named(kind: &str, id: String) -> Option<Self> {
        match kind {
            "ban" => Some(Self::Ban(id)),
            "decision" => Some(Self::Decision(id)),
            _ => None,
        }
    }
}

/// An appeal as it is brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAppeal {
    /// Whose.
    pub account: AccountId,
    /// Against what.
    pub against: AppealAgainst,
    /// What is said.
    pub text: String,
}

/// An appeal with what it takes to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppealFile {
    /// The appeal.
    pub appeal: Appeal,
    /// The id of the decision it is against.
    pub decision: Option<String>,
}

/// Which appeals to list. Absent means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppealFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// In this state, as [`Appeal::state`] names it.
    pub state: Option<String>,
}

/// Where appeals are brought and answered.
pub trait Appeals: Send + Sync {
    /// Brings an appeal; durable on return.
    ///
    /// # Errors
    /// [`CasesError`].
    fn bring(&self, by: Actor, new: NewAppeal) -> BoxFuture<'_, Result<AppealFile, CasesError>>;

    /// An appeal.
    ///
    /// # Errors
    /// [`CasesError::Case`] when there is none.
    fn appeal(&self, id: u64) -> Result<AppealFile, CasesError>;

    /// Some appeals, the newest first, brought before one.
    fn appeals(&self, wanted: &AppealFilter, before: Option<u64>, max: usize) -> Vec<AppealFile>;

    /// Answers an appeal. Overturned, it becomes a label, lifts the ban, and proposes to release a withdrawal that is held.
    ///
    /// # Errors
    /// [`CasesError`].
    fn answer(
        &self,
        by: Actor,
        appeal: u64,
        outcome: Outcome,
        reason: String,
    ) -> BoxFuture<'_, Result<AppealFile, CasesError>>;
}

/// A call about appeals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppealCall {
    /// Answers an appeal.
    Answer,
    /// Brings an appeal.
    Bring,
    /// Lists appeals.
    List,
    /// Shows an appeal.
    Show,
}

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/v1/appeals",
        permission: Permission::ReadCases,
        action: Action::Appeal(AppealCall::List),
    },
    Route {
        method: Method::POST,
        path: "/v1/appeals",
        permission: Permission::Appeal,
        action: Action::Appeal(AppealCall::Bring),
    },
    Route {
        method: Method::GET,
        path: "/v1/appeals/{appeal}",
        permission: Permission::Appeal,
        action: Action::Appeal(AppealCall::Show),
    },
    Route {
        method: Method::POST,
        path: "/v1/appeals/{appeal}/answer",
        permission: Permission::WorkCases,
        action: Action::Appeal(AppealCall::Answer),
    },
];

pub(crate) async fn serve(
    app: &App,
    call: AppealCall,
    caller: &Caller,
    request: Request,
) -> Result<Value, Problem> {
    let port = &*app.ports().appeals;
    let uri = request.uri().clone();
    let id = || {
        let unknown = || Problem::new(Kind::NotFound, "no appeal has this id");
        appeal_id(segment(&uri, 3)).ok_or_else(unknown)
    };
    let told = |result: Result<AppealFile, CasesError>| {
        result.map(|file| appeal_json(&file)).map_err(|error| case_problem(&error))
    };
    let invalid = |fault: Fault| Problem::of_field(Kind::InvalidRequest, fault);
    match call {
        AppealCall::List => {
            let (wanted, before, max) = list_query(&uri)?;
            let files = port.appeals(&wanted, before, max);
            Ok(appeals_json(&files, files.len() == max))
        }
        AppealCall::Show => told(port.appeal(id()?)),
        AppealCall::Bring => {
            let body = read_body(request, CASE_BODY_BYTES_MAX).await?;
            let new = new_appeal(&body).map_err(invalid)?;
            told(port.bring(caller.actor().clone(), new).await)
        }
        AppealCall::Answer => {
            let id = id()?;
            let body = read_body(request, CASE_BODY_BYTES_MAX).await?;
            let (outcome, reason) = answer(&body).map_err(invalid)?;
            told(port.answer(caller.actor().clone(), id, outcome, reason).await)
        }
    }
}

/// The number in an appeal's name, `appeal-12`.
#[must_use]
pub fn appeal_id(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("appeal-")?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

fn list_query(uri: &Uri) -> Result<(AppealFilter, Option<u64>, usize), Problem> {
    let mut query = Query::parse(uri)?;
    let state = query.take("state");
    if state.as_ref().is_some_and(|state| !Appeal::STATES.contains(&state.as_str())) {
        return Err(fault("state", format!("expected {}", Appeal::STATES.join(", "))));
    }
    let account = query.take("account");
    let account = account
        .map(|account| AccountId::parse(&account).map_err(|error| fault("account", error.to_string())));
    let before =
        query.take("after").map(|text| appeal_id(&text).ok_or_else(|| fault("after", "is no appeal")));
    let max = query.count("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_MAX);
    let wanted = AppealFilter { account: account.transpose()?, state };
    let before = before.transpose()?;
    query.finish()?;
    Ok((wanted, before, max))
}

/// Words of an appeal or its answer.
fn words(fields: &mut Fields, name: &str) -> Result<String, Fault> {
    let text = fields.text(name)?;
    if text.len() > TEXT_BYTES_MAX || text.trim().is_empty() {
        return Err(fields.fault(name, format!("must be 1 to {TEXT_BYTES_MAX} bytes long")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(fields.fault(name, "has a control character"));
    }
    Ok(text)
}

/// The body of `POST /v1/appeals`.
pub(crate) fn new_appeal(body: &[u8]) -> Result<NewAppeal, Fault> {
    let mut fields = Fields::parse(body)?;
    let account = fields.parsed("account", AccountId::parse)?;
    let known = AppealAgainst::KINDS.join(", ");
    let kind = fields.parsed("against", |kind| {
        AppealAgainst::KINDS.into_iter().find(|name| *name == kind).ok_or(format!("expected {known}"))
    })?;
    let id = fields.label("id", AGAINST_BYTES_MAX)?;
    let text = words(&mut fields, "text")?;
    let against = AppealAgainst::named(kind, id).ok_or_else(|| fields.fault("against", "is unknown"))?;
    fields.finish("this call")?;
    Ok(NewAppeal { account, against, text })
}

/// The body of `POST /v1/appeals/{appeal}/answer`.
pub(crate) fn answer(body: &[u8]) -> Result<(Outcome, String), Fault> {
    let mut fields = Fields::parse(body)?;
    let known = Outcome::ALL.map(Outcome::as_str).join(", ");
    let outcome =
        fields.parsed("outcome", |name| Outcome::named(name).ok_or_else(|| format!("expected {known}")))?;
    let reason = words(&mut fields, "reason")?;
    fields.finish("this call")?;
    Ok((outcome, reason))
}

/// An appeal and what came of it.
#[must_use]
pub fn appeal_json(file: &AppealFile) -> Value {
    let AppealFile { appeal, decision } = file;
    let mut value = json!({
        "id": format!("appeal-{}", appeal.id),
        "case": format!("case-{}", appeal.case),
        "account": appeal.account.as_str(),
        "against": appeal.against.as_str(),
        "text": appeal.text,
        "by": appeal.by.to_string(),
        "at": appeal.at.to_string(),
        "state": appeal.state(),
    });
    match (&appeal.against, decision) {
        (fraud::cases::Against::Ban(target), _) => value["ban"] = json!(target),
        (fraud::cases::Against::Decision(_), Some(id)) => value["decision"] = json!(id),
        (fraud::cases::Against::Decision(_), None) => {}
    }
    if let Some(answer) = &appeal.answer {
        value["reason"] = json!(answer.reason);
        value["answered_by"] = json!(answer.by.to_string());
        value["answered_at"] = json!(answer.at.to_string());
    }
    value
}

/// A page of appeals, and where the next begins: `{"appeals":[...],"next":"appeal-12"}`.
#[must_use]
pub fn appeals_json(files: &[AppealFile], is_full: bool) -> Value {
    let next = files.last().filter(|_| is_full).map(|file| format!("appeal-{}", file.appeal.id));
    json!({ "appeals": files.iter().map(appeal_json).collect::<Vec<_>>(), "next": next })
}
