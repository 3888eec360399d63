//! Decisions: made, explained, page by page, and as they are made.
//!
//! # Bounds
//! A page holds at most [`PAGE_MAX`] decisions and looks at a bounded number of journal entries; at most [`STREAMS_MAX`]
//! streams run at a time, each for at most [`STREAM_TIME_MAX`]. A stream reads on only when its client has taken what it
//! was sent.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, Method, Uri, header},
    response::{IntoResponse as _, Response},
};
use decide::JudgeRequest;
use domain::{AccountId, ActKind, Verdict};
use serde_json::{Value, json};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    DecideError, DecisionFilter, DecisionPage, ExplainError, FoundDecision, JudgedAct, ListedDecision,
    PageError, Permission,
    auth::Caller,
    cases::case_problem,
    installation::QUERY_CHARS_MAX,
    limits::{
        CASE_BODY_BYTES_MAX, DEADLINE_GRACE, DECISION_BODY_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, PAGE_MAX,
        STREAM_BEAT, STREAM_TIME_MAX, STREAMS_MAX,
    },
    problem::{Kind, Problem},
    query::{Query, fault},
    route::{Action, App, Route, json_response, read_body, segment},
    trace::{Subject, explain_json},
    wire::{self, Asked, DecisionRequest},
};

/// Header with the caller's key (draft-ietf-httpapi-idempotency-key-header).
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Header with the milliseconds a decision may take.
pub(crate) const DEADLINE: &str = "x-deadline-ms";

/// A call about decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionCall {
    /// Decides on what is about to happen.
    Decide,
    /// Shows a decision.
    Explain,
    /// Says what a decision was about.
    Label,
    /// Lists decisions page by page.
    List,
    /// Streams decisions as they are made.
    Stream,
    /// Explains a decision step by step.
    Trace,
}

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/v1/decisions",
        permission: Permission::Decide,
        action: Action::Decision(DecisionCall::Decide),
    },
    Route {
        method: Method::GET,
        path: "/v1/decisions",
        permission: Permission::ReadDecisions,
        action: Action::Decision(DecisionCall::List),
    },
    Route {
        method: Method::GET,
        path: "/v1/decisions/stream",
        permission: Permission::ReadDecisions,
        action: Action::Decision(DecisionCall::Stream),
    },
    Route {
        method: Method::GET,
        path: "/v1/decisions/{id}",
        permission: Permission::ReadDecisions,
        action: Action::Decision(DecisionCall::Explain),
    },
    Route {
        method: Method::GET,
        path: "/v1/decisions/{id}/explain",
        permission: Permission::ReadDecisions,
        action: Action::Decision(DecisionCall::Trace),
    },
    Route {
        method: Method::POST,
        path: "/v1/decisions/{id}/label",
        permission: Permission::WorkCases,
        action: Action::Decision(DecisionCall::Label),
    },
];

pub(crate) async fn serve(app: &Arc<App>, call: DecisionCall, caller: &Caller, request: Request) -> Response {
    match call {
        DecisionCall::Decide => json_response(decide(app, &caller.actor().to_string(), request).await),
        DecisionCall::Explain => json_response(explain(app, request.uri()).await),
        DecisionCall::Label => json_response(label(app, caller, request).await),
        DecisionCall::List => json_response(list(app, request.uri()).await),
        DecisionCall::Stream => stream(app, request.uri()).await,
        DecisionCall::Trace => {
            json_response(trace(app, request.uri(), caller.may(Permission::ReadCases)).await)
        }
    }
}

/// What the headers and the query say.
fn sent(request: &Request) -> Result<(wire::Sent, bool), Problem> {
    let mut query = Query::parse(request.uri())?;
    let is_shadow = match query.take("mode").as_deref() {
        None | Some("enforce") => false,
        Some("shadow") => true,
        Some(_) => return Err(fault("mode", "expected enforce or shadow")),
    };
    query.finish()?;
    let header = |name: &'static str| {
        let mut values = request.headers().get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => {
                value.to_str().map(|text| Some(text.trim())).map_err(|_| fault(name, "is not visible ASCII"))
            }
            (Some(_), Some(_)) => Err(fault(name, "is given twice")),
        }
    };
    // A string of RFC 8941, in quotes, or bare as many clients send it.
    let key = header(IDEMPOTENCY_KEY)?.map(|text| {
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).to_owned()
    });
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX) {
        let reason = format!("expected 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes");
        return Err(fault(IDEMPOTENCY_KEY, reason));
    }
    let deadline_ms = header(DEADLINE)?
        .map(|text| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or_else(|| fault(DEADLINE, "expected a whole number"))
        })
        .transpose()?;
    Ok((wire::Sent { idempotency_key: key, deadline_ms }, is_shadow))
}

async fn decide(app: &App, caller: &str, request: Request) -> Result<Value, Problem> {
    let (sent, is_shadow) = sent(&request)?;
    let body = read_body(request, DECISION_BODY_BYTES_MAX).await?;
    let judge = wire::Judge { now: app.ports().clock.now(), intake: &*app.ports().intake };
    let DecisionRequest { asked, idempotency_key, deadline } = wire::decision_request(&body, sent, judge)
        .map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
    let decisions = &app.ports().decisions;
    let deciding = async {
        match asked {
            Asked::Withdrawal(withdrawal) => {
                let decided = decisions.decide(withdrawal, idempotency_key, deadline, is_shadow).await?;
                Ok(wire::answer_json(&decided))
            }
            Asked::Act(act) => {
                let mode: &[u8] = if is_shadow { b"shadow" } else { b"enforce" };
                let request = JudgeRequest {
                    act,
                    caller: caller.to_owned(),
                    idempotency_key,
                    request_sha256: crypto::sha256(&[mode, &body]),
                    deadline,
                    is_shadow,
                };
                let JudgedAct { id, judgement, .. } = decisions.judge(request).await?;
                Ok(wire::judged_json(&id, &judgement))
            }
        }
    };
    match timeout(deadline + DEADLINE_GRACE, deciding).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(DecideError::Busy { retry_after })) => Err(Problem::busy(retry_after)),
        Ok(Err(DecideError::Frozen { earlier, scope })) => {
            Err(Problem::new(Kind::Frozen, format!("withdrawals of {scope} are frozen")).of_decision(earlier))
        }
        Ok(Err(DecideError::IdempotencyConflict { earlier })) => {
            let problem = Problem::new(Kind::IdempotencyConflict, "use a new key for a new request");
            Err(problem.of_decision(earlier))
        }
        Ok(Err(error @ DecideError::Unavailable { .. })) => {
            tracing::error!(%error, "there is no decision");
            Err(Problem::new(
                Kind::Unavailable,
                "there is no decision; what was asked about must not go ahead",
            ))
        }
        Err(_elapsed) => {
            tracing::error!(?deadline, "there was no decision in time");
            Err(Problem::new(Kind::DeadlineExceeded, "what was asked about must not go ahead"))
        }
    }
}

async fn explain(app: &App, uri: &Uri) -> Result<Value, Problem> {
    Ok(found_json(&found(app, segment(uri, 3)).await?))
}

fn found_json(found: &FoundDecision) -> Value {
    match found {
        FoundDecision::Act(JudgedAct { id, judgement, position }) => {
            wire::judgement_json(id, judgement, *position)
        }
        FoundDecision::Withdrawal(explained) => wire::explanation_json(explained),
    }
}

async fn found(app: &App, id: &str) -> Result<FoundDecision, Problem> {
    let unreadable = |error: ExplainError| {
        tracing::error!(%error, "a decision was not explained");
        Problem::new(Kind::Unavailable, "decisions cannot be read at the moment")
    };
    let decisions = &app.ports().decisions;
    if let Some(explained) = decisions.explain(id).await.map_err(unreadable)? {
        return Ok(FoundDecision::Withdrawal(explained));
    }
    let judged = decisions.judgement(id).await.map_err(unreadable)?;
    judged.map(FoundDecision::Act).ok_or_else(|| Problem::new(Kind::NotFound, "no decision has this id"))
}

/// `GET /v1/decisions/{id}/explain`
async fn trace(app: &App, uri: &Uri, with_evidence: bool) -> Result<Value, Problem> {
    let found = found(app, segment(uri, 3)).await?;
    let (subject, position) = match &found {
        FoundDecision::Act(JudgedAct { id, judgement, position }) => {
            (Subject::act(id, judgement), Some(*position))
        }
        FoundDecision::Withdrawal(explained) => {
            (Subject::withdrawal(&explained.id, &explained.decision), explained.position)
        }
    };
    let position = position.ok_or_else(|| Problem::new(Kind::NotFound, "the journal does not hold it"))?;
    let proof = app.ports().decisions.proof(position).await;
    Ok(explain_json(&subject, &proof, with_evidence))
}

/// The body of `POST /v1/decisions/{id}/label`: whether it was fraud.
pub(crate) fn label_body(body: &[u8]) -> Result<bool, wire::Fault> {
    let mut fields = wire::Fields::parse(body)?;
    let is_fraud = fields.parsed("label", |name| match name {
        "fraud" => Ok(true),
        "legitimate" => Ok(false),
        _ => Err("expected fraud or legitimate"),
    })?;
    fields.finish("this call")?;
    Ok(is_fraud)
}

/// `POST /v1/decisions/{id}/label`
async fn label(app: &App, caller: &Caller, request: Request) -> Result<Value, Problem> {
    let uri = request.uri().clone();
    let body = read_body(request, CASE_BODY_BYTES_MAX).await?;
    let is_fraud = label_body(&body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
    let id = segment(&uri, 3);
    let recorded = app.ports().cases.label(caller.actor(), id, is_fraud).await;
    let event = recorded.map_err(|error| case_problem(&error))?;
    Ok(json!({ "decision": id, "label": if is_fraud { "fraud" } else { "legitimate" }, "event": event }))
}

fn refused(error: &PageError) -> Problem {
    match error {
        PageError::CursorStale => Problem::new(
            Kind::StaleCursor,
            "after: the journal is shorter than when this was given, as after a restore; begin anew",
        ),
        PageError::CursorUnknown => {
            let reason = "was not given by this installation".to_owned();
            Problem::of_field(Kind::InvalidRequest, wire::Fault { field: "after".to_owned(), reason })
        }
        PageError::Unavailable { .. } => {
            tracing::error!(%error, "decisions were not listed");
            Problem::new(Kind::Unavailable, "decisions cannot be read at the moment")
        }
    }
}

/// What every type together is called in a query.
const EVERY_TYPE: &str = "all";
/// Of a withdrawal.
const WITHDRAWAL: &str = "withdrawal";

/// Types of decisions a list may be asked for.
pub(crate) fn types() -> Vec<&'static str> {
    let acts = ActKind::ALL.map(ActKind::as_str);
    [WITHDRAWAL].into_iter().chain(acts).chain([EVERY_TYPE]).collect()
}

/// Which decisions a query asks for: withdrawals, unless it names types.
fn filter(query: &mut Query) -> Result<DecisionFilter, Problem> {
    let names = |text: Option<String>| -> Vec<String> {
        text.iter().flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect()
    };
    let mut filter = DecisionFilter::default();
    let kinds = names(query.text("type", QUERY_CHARS_MAX)?);
    if !kinds.is_empty() {
        filter.withdrawals = false;
    }
    for name in kinds {
        match name.as_str() {
            EVERY_TYPE => (filter.withdrawals, filter.acts) = (true, ActKind::ALL.to_vec()),
            WITHDRAWAL => filter.withdrawals = true,
            name => filter.acts.push(
                ActKind::named(name)
                    .ok_or_else(|| fault("type", format!("expected {}", types().join(", "))))?,
            ),
        }
    }
    for name in names(query.text("verdict", QUERY_CHARS_MAX)?) {
        let bad = |_| fault("verdict", format!("expected {}", Verdict::ALL.map(Verdict::as_str).join(", ")));
        filter.verdicts.push(name.parse().map_err(bad)?);
    }
    if let Some(account) = query.take("account") {
        let account = AccountId::parse(&account).map_err(|error| fault("account", error.to_string()))?;
        filter.account = Some(account);
    }
    Ok(filter)
}

/// `GET /v1/decisions`
async fn list(app: &App, uri: &Uri) -> Result<Value, Problem> {
    let mut query = Query::parse(uri)?;
    let after = query.take("after");
    let limit = query.count("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_MAX);
    let filter = filter(&mut query)?;
    query.finish()?;
    let page = app.ports().decisions.page(after.as_deref(), limit, &filter).await;
    let DecisionPage { decisions, next, more } = page.map_err(|error| refused(&error))?;
    let decisions: Vec<Value> = decisions.iter().map(|listed| found_json(&listed.found)).collect();
    Ok(json!({ "decisions": decisions, "next": next, "more": more }))
}

/// A stream between two lines.
struct Stream {
    app: Arc<App>,
    waiting: VecDeque<ListedDecision>,
    next: String,
    filter: DecisionFilter,
    more: bool,
    ends_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    fn take(&mut self, page: DecisionPage) {
        self.waiting.extend(page.decisions);
        self.next = page.next;
        self.more = page.more;
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(listed) = self.waiting.pop_front() {
                let line = json!({ "decision": found_json(&listed.found), "next": listed.next });
                return Some(Bytes::from(format!("{line}\n")));
            }
            if !self.more {
                let decisions = &self.app.ports().decisions;
                tokio::select! {
                    () = self.app.stopped() => return None,
                    () = sleep_until(self.ends_at) => return None,
                    () = sleep(STREAM_BEAT) => return Some(Bytes::from_static(b"\n")),
                    () = decisions.beyond(&self.next) => {}
                }
            } else if Instant::now() >= self.ends_at || self.app.is_stopped() {
                return None;
            }
            match self.app.ports().decisions.page(Some(&self.next), PAGE_MAX, &self.filter).await {
                Ok(page) => self.take(page),
                Err(error) => {
                    tracing::error!(%error, "a stream of decisions has ended");
                    return None;
                }
            }
        }
    }
}

/// `GET /v1/decisions/stream`
async fn stream(app: &Arc<App>, uri: &Uri) -> Response {
    match open(app, uri).await {
        Err(problem) => problem.into_response(),
        Ok(stream) => {
            let lines = futures_util::stream::unfold(stream, |mut stream| async {
                let line = stream.line().await?;
                Some((Ok::<_, Infallible>(line), stream))
            });
            ndjson(Body::from_stream(lines))
        }
    }
}

/// An answer of one object a line, without end.
pub(crate) fn ndjson(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A place for a stream.
pub(crate) fn stream_place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    app.streams().try_acquire_owned().map_err(|_none| {
        Problem::busy(Duration::from_secs(1)).saying(format!("at most {STREAMS_MAX} streams run at a time"))
    })
}

async fn open(app: &Arc<App>, uri: &Uri) -> Result<Stream, Problem> {
    let mut query = Query::parse(uri)?;
    let after = query.take("after");
    let filter = filter(&mut query)?;
    query.finish()?;
    let place = stream_place(app)?;
    let after = after.unwrap_or_else(|| app.ports().decisions.end());
    let page = app.ports().decisions.page(Some(&after), PAGE_MAX, &filter).await;
    let page = page.map_err(|error| refused(&error))?;
    let mut stream = Stream {
        app: Arc::clone(app),
        waiting: VecDeque::new(),
        next: String::new(),
        filter,
        more: true,
        ends_at: Instant::now() + STREAM_TIME_MAX,
        _place: place,
    };
    stream.take(page);
    Ok(stream)
}
