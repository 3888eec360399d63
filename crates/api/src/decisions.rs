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
use serde_json::{Value, json};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    DecideError, DecisionPage, ListedDecision, PageError, Permission,
    limits::{DEADLINE_GRACE, DECISION_BODY_BYTES_MAX, PAGE_MAX, STREAM_BEAT, STREAM_TIME_MAX, STREAMS_MAX},
    problem::{Kind, Problem},
    query::Query,
    route::{Action, App, Route, json_response, read_body},
    wire::{self, DecisionRequest},
};

/// A call about decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionCall {
    /// Decides on a withdrawal.
    Decide,
    /// Explains a decision.
    Explain,
    /// Lists decisions page by page.
    List,
    /// Streams decisions as they are made.
    Stream,
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
];

pub(crate) async fn serve(app: &Arc<App>, call: DecisionCall, request: Request) -> Response {
    match call {
        DecisionCall::Decide => json_response(decide(app, request).await),
        DecisionCall::Explain => json_response(explain(app, request.uri()).await),
        DecisionCall::List => json_response(list(app, request.uri()).await),
        DecisionCall::Stream => stream(app, request.uri()).await,
    }
}

async fn decide(app: &App, request: Request) -> Result<Value, Problem> {
    let body = read_body(request, DECISION_BODY_BYTES_MAX).await?;
    let DecisionRequest { withdrawal, idempotency_key, deadline } =
        wire::decision_request(&body, app.ports().clock.now())
            .map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
    let deciding = app.ports().decisions.decide(withdrawal, idempotency_key, deadline);
    match timeout(deadline + DEADLINE_GRACE, deciding).await {
        Ok(Ok(decided)) => Ok(wire::answer_json(&decided)),
        Ok(Err(DecideError::Busy { retry_after })) => Err(Problem::busy(retry_after)),
        Ok(Err(error @ DecideError::Frozen { .. })) => Err(Problem::new(Kind::Frozen, error.to_string())),
        Ok(Err(DecideError::IdempotencyConflict)) => {
            Err(Problem::new(Kind::IdempotencyConflict, "use a new key for a new request"))
        }
        Ok(Err(error @ DecideError::Unavailable { .. })) => {
            tracing::error!(%error, "a withdrawal was not decided");
            Err(Problem::new(Kind::Unavailable, "there is no decision; the withdrawal must not go ahead"))
        }
        Err(_elapsed) => {
            tracing::error!(?deadline, "a withdrawal was not decided in time");
            Err(Problem::new(Kind::DeadlineExceeded, "the withdrawal must not go ahead"))
        }
    }
}

async fn explain(app: &App, uri: &Uri) -> Result<Value, Problem> {
    let id = uri.path().rsplit('/').next().unwrap_or_default();
    match app.ports().decisions.explain(id).await {
        Ok(Some(explained)) => Ok(wire::explanation_json(&explained)),
        Ok(None) => Err(Problem::new(Kind::NotFound, "no decision has this id")),
        Err(error) => {
            tracing::error!(%error, "a decision was not explained");
            Err(Problem::new(Kind::Unavailable, "decisions cannot be read at the moment"))
        }
    }
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

/// `GET /v1/decisions`
async fn list(app: &App, uri: &Uri) -> Result<Value, Problem> {
    let mut query = Query::parse(uri)?;
    let after = query.take("after");
    let limit = query.count("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_MAX);
    query.finish()?;
    let page = app.ports().decisions.page(after.as_deref(), limit).await.map_err(|error| refused(&error))?;
    let DecisionPage { decisions, next, more } = page;
    let decisions: Vec<Value> =
        decisions.iter().map(|listed| wire::explanation_json(&listed.explained)).collect();
    Ok(json!({ "decisions": decisions, "next": next, "more": more }))
}

/// A stream between two lines.
struct Stream {
    app: Arc<App>,
    waiting: VecDeque<ListedDecision>,
    next: String,
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
                let line =
                    json!({ "decision": wire::explanation_json(&listed.explained), "next": listed.next });
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
            match self.app.ports().decisions.page(Some(&self.next), PAGE_MAX).await {
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
            let mut response = Response::new(Body::from_stream(lines));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
    }
}

async fn open(app: &Arc<App>, uri: &Uri) -> Result<Stream, Problem> {
    let mut query = Query::parse(uri)?;
    let after = query.take("after");
    query.finish()?;
    let Ok(place) = app.streams().try_acquire_owned() else {
        return Err(Problem::busy(Duration::from_secs(1))
            .saying(format!("at most {STREAMS_MAX} streams run at a time")));
    };
    let after = after.unwrap_or_else(|| app.ports().decisions.end());
    let page = app.ports().decisions.page(Some(&after), PAGE_MAX).await.map_err(|error| refused(&error))?;
    let mut stream = Stream {
        app: Arc::clone(app),
        waiting: VecDeque::new(),
        next: String::new(),
        more: true,
        ends_at: Instant::now() + STREAM_TIME_MAX,
        _place: place,
    };
    stream.take(page);
    Ok(stream)
}
