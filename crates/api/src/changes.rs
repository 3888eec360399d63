//! Changes that take two persons: what is asked for, and what the second person says.
//!
//! Whoever approves sends the digest of what they saw, so that nothing else is approved. Asking for a change belongs to the
//! part the change is about; everything after it is the same for all.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{Method, Uri},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::UnixNanos;
use identity::{
    Capability, Principal,
    requests::{ChangeRequest, End, RequestError, State, TEXT_BYTES_MAX},
};
use serde_json::{Map, Value, json};

use crate::{
    BoxFuture, Permission,
    auth::Caller,
    limits::{CASE_BODY_BYTES_MAX, PAGE_MAX},
    problem::{Kind, Problem},
    query::{Query, fault},
    route::{Action, App, Route, read_body, segment},
    wire::{Fault, Fields},
};

/// Requests of a page when the caller names no number.
pub(crate) const PAGE_DEFAULT: usize = 50;

/// A request with what it takes to show it.
#[derive(Debug, Clone)]
pub struct ChangeFile {
    /// The request.
    pub request: ChangeRequest,
    /// What only those see who may approve it, and who asked: names and values.
    pub details: Vec<(String, String)>,
    /// When it was looked at.
    pub now: UnixNanos,
}

/// Why nothing was done with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangesError {
    /// Too much waits to be recorded.
    #[error("too much waits to be recorded")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Who would decide lacks what it takes.
    #[error("{} is needed", needs.as_str())]
    Missing {
        /// What it takes.
        needs: Capability,
    },
    /// What is asked for makes no sense.
    #[error("{why}")]
    NotPossible {
        /// Why.
        why: String,
    },
    /// The command line of one machine counts as one person where persons sign in.
    #[error("an operator asked for it: somebody who signs in must decide")]
    OneShell,
    /// By the rules of requests.
    #[error(transparent)]
    Rule(#[from] RequestError),
    /// It cannot be recorded, or read.
    #[error("it cannot be recorded: {why}")]
    Unavailable {
        /// In words for the operator.
        why: String,
    },
}

/// Where changes that take two persons wait.
pub trait ChangeRequests: Send + Sync {
    /// Requests in a state, or in any, before a number, the newest first.
    fn list(&self, state: Option<State>, before: Option<u64>, max: usize) -> Vec<ChangeFile>;

    /// One of them, as this caller may see it.
    ///
    /// # Errors
    /// [`ChangesError`].
    fn show(&self, who: &Principal, id: u64) -> Result<ChangeFile, ChangesError>;

    /// Agrees to what has this digest; on return it is done or has failed.
    ///
    /// # Errors
    /// [`ChangesError`]; [`ChangesError::Unavailable`] may come after the approval is recorded, which then counts.
    fn approve(
        &self,
        who: Principal,
        id: u64,
        digest: [u8; 32],
    ) -> BoxFuture<'_, Result<ChangeFile, ChangesError>>;

    /// Refuses.
    ///
    /// # Errors
    /// [`ChangesError`].
    fn decline(
        &self,
        who: Principal,
        id: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<ChangeFile, ChangesError>>;

    /// Takes back what one asked for.
    ///
    /// # Errors
    /// [`ChangesError`].
    fn withdraw(&self, who: Principal, id: u64) -> BoxFuture<'_, Result<ChangeFile, ChangesError>>;
}

/// A call about change requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeCall {
    /// Agrees.
    Approve,
    /// Refuses.
    Decline,
    /// Lists them.
    List,
    /// Shows one.
    Show,
    /// Takes one's own back.
    Withdraw,
}

const fn route(method: Method, path: &'static str, call: ChangeCall) -> Route {
    Route { method, path, permission: Permission::ReadChanges, action: Action::Change(call) }
}

/// The routes of the family. What it takes to approve and to decline is a property of the request.
pub(crate) const ROUTES: &[Route] = &[
    route(Method::GET, "/v1/changes", ChangeCall::List),
    route(Method::GET, "/v1/changes/{change}", ChangeCall::Show),
    route(Method::POST, "/v1/changes/{change}/approve", ChangeCall::Approve),
    route(Method::POST, "/v1/changes/{change}/decline", ChangeCall::Decline),
    route(Method::POST, "/v1/changes/{change}/withdraw", ChangeCall::Withdraw),
];

/// The number in a request's name, `chg-12`.
#[must_use]
pub fn change_id(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("chg-")?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// The digest a body names.
pub(crate) fn approval(body: &[u8]) -> Result<[u8; 32], Fault> {
    let mut fields = Fields::parse(body)?;
    let digest = fields.parsed("digest", |text| {
        let bytes = if text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            hex_bytes(text)
        } else {
            None
        };
        bytes.ok_or("expected 64 lower-case hexadecimal digits")
    })?;
    fields.finish("this call")?;
    Ok(digest)
}

/// 32 bytes of lower-case hexadecimal.
fn hex_bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The reason a body gives.
pub(crate) fn refusal(body: &[u8]) -> Result<String, Fault> {
    let mut fields = Fields::parse(body)?;
    let reason = words(&mut fields, "reason")?;
    fields.finish("this call")?;
    Ok(reason)
}

/// Words of a person: something to read, no control character but the line feed.
pub(crate) fn words(fields: &mut Fields, name: &str) -> Result<String, Fault> {
    let text = fields.text(name)?;
    if text.len() > TEXT_BYTES_MAX || text.trim().is_empty() {
        return Err(fields.fault(name, format!("must be 1 to {TEXT_BYTES_MAX} bytes long")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(fields.fault(name, "has a control character"));
    }
    Ok(text)
}

fn empty(body: &[u8]) -> Result<(), Fault> {
    Fields::parse(body)?.finish("this call")
}

type Asked = (Option<State>, Option<u64>, usize);

fn query(uri: &Uri) -> Result<Asked, Problem> {
    let mut query = Query::parse(uri)?;
    let state = query.take("state").map(|name| {
        let known = State::ALL.map(State::as_str).join(", ");
        State::named(&name).ok_or_else(|| fault("state", format!("expected {known}")))
    });
    let before = query
        .take("after")
        .map(|text| change_id(&text).ok_or_else(|| fault("after", "is no change request")));
    let (state, before) = (state.transpose()?, before.transpose()?);
    let max = query.count("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_DEFAULT);
    query.finish()?;
    Ok((state, before, max))
}

pub(crate) async fn serve(
    app: &App,
    call: ChangeCall,
    caller: &Caller,
    request: Request,
) -> Result<Value, Problem> {
    let port = &*app.ports().changes;
    let uri = request.uri().clone();
    let invalid = |fault| Problem::of_field(Kind::InvalidRequest, fault);
    if call == ChangeCall::List {
        let (state, before, max) = query(&uri)?;
        let files = port.list(state, before, max);
        return Ok(changes_json(&files, files.len() == max));
    }
    let unknown = || Problem::new(Kind::NotFound, "no change request has this id");
    let id = change_id(segment(&uri, 3)).ok_or_else(unknown)?;
    let who = caller.principal();
    let done = match call {
        ChangeCall::Approve => {
            let digest = approval(&read_body(request, CASE_BODY_BYTES_MAX).await?).map_err(invalid)?;
            port.approve(who, id, digest).await
        }
        ChangeCall::Decline => {
            let reason = refusal(&read_body(request, CASE_BODY_BYTES_MAX).await?).map_err(invalid)?;
            port.decline(who, id, reason).await
        }
        ChangeCall::Withdraw => {
            empty(&read_body(request, CASE_BODY_BYTES_MAX).await?).map_err(invalid)?;
            port.withdraw(who, id).await
        }
        ChangeCall::Show | ChangeCall::List => port.show(&who, id),
    };
    done.map(|file| change_json(&file)).map_err(|error| change_problem(&error))
}

/// What a refusal is on the wire.
pub(crate) fn change_problem(error: &ChangesError) -> Problem {
    let kind = match error {
        ChangesError::Busy { retry_after } => return Problem::busy(*retry_after),
        ChangesError::Unavailable { .. } => {
            tracing::error!(%error, "a change request is not what it should be");
            let detail = "look at the request again: it may have been changed or not";
            return Problem::new(Kind::Unavailable, detail);
        }
        ChangesError::Missing { .. } => Kind::PermissionMissing,
        ChangesError::OneShell
        | ChangesError::Rule(
            RequestError::Concerned { .. }
            | RequestError::NotAPerson { .. }
            | RequestError::NotYours { .. }
            | RequestError::OwnRequest { .. },
        ) => Kind::FourEyes,
        ChangesError::Rule(RequestError::NotFound { .. }) => Kind::NotFound,
        ChangesError::Rule(RequestError::Malformed { .. } | RequestError::Until) => Kind::InvalidRequest,
        ChangesError::NotPossible { .. } | ChangesError::Rule(_) => Kind::ChangeConflict,
    };
    Problem::new(kind, error.to_string())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn summary(file: &ChangeFile) -> Map<String, Value> {
    let ChangeRequest { id, opened_at, opened, digest, payload_sha256, approved, end } = &file.request;
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    put("id", json!(format!("chg-{id}")));
    put("kind", json!(opened.kind));
    put("state", json!(file.request.state(file.now).as_str()));
    put("summary", json!(opened.summary));
    put("reason", json!(opened.reason));
    put("opened_by", json!(opened.by.to_string()));
    put("opened_at", json!(opened_at.to_string()));
    put("expires_at", json!(opened.expires_at.to_string()));
    put("needs", json!(opened.needs.as_str()));
    put("concerns", json!(opened.concerns));
    put("digest", json!(hexadecimal(digest)));
    put("payload_sha256", json!(hexadecimal(payload_sha256)));
    put("precondition", json!(hexadecimal(&opened.precondition)));
    put("approved_by", json!(approved.as_ref().map(|(by, _)| by.to_string())));
    put("approved_at", json!(approved.as_ref().map(|(_, at)| at.to_string())));
    put("ended_at", json!(end.as_ref().map(|(_, at)| at.to_string())));
    let (by, said) = match end {
        Some((End::Declined { by, reason }, _)) => (Some(by.to_string()), Some(reason.clone())),
        Some((End::Executed { outcome }, _)) => (None, Some(outcome.clone())),
        Some((End::Failed { why }, _)) => (None, Some(why.clone())),
        Some((End::Withdrawn, _)) => (Some(opened.by.to_string()), None),
        None => (None, None),
    };
    put("ended_by", json!(by));
    put("outcome", json!(said));
    shown
}

/// A request as shown. The change itself is in it while the request waits, for those who see its details.
#[must_use]
pub fn change_json(file: &ChangeFile) -> Value {
    let mut shown = summary(file);
    let details: Vec<Value> =
        file.details.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let sees = !details.is_empty();
    shown.insert("details".to_owned(), json!(details));
    let payload = sees.then(|| STANDARD.encode(&file.request.opened.payload));
    shown.insert("payload".to_owned(), json!(payload));
    Value::Object(shown)
}

/// A page of requests.
#[must_use]
pub fn changes_json(files: &[ChangeFile], has_more: bool) -> Value {
    let next = files.last().filter(|_| has_more).map(|file| format!("chg-{}", file.request.id));
    let shown: Vec<Value> = files.iter().map(|file| Value::Object(summary(file))).collect();
    json!({ "changes": shown, "next": next })
}
