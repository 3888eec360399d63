//! Decisions page by page, and as they are made.
//!
//! # Bounds
//! A page holds at most [`PAGE_MAX`] decisions and looks at a bounded number of journal entries; at most [`STREAMS_MAX`]
//! streams run at a time, each for at most [`STREAM_TIME_MAX`]. A stream reads on only when its client has taken what it
//! was sent.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    DecisionPage, ListedDecision, PageError,
    limits::{PAGE_MAX, STREAM_BEAT, STREAM_TIME_MAX, STREAMS_MAX},
    problem::{Kind, Problem},
    query::Query,
    route::App,
    wire,
};

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
pub(crate) async fn list(app: &App, uri: &Uri) -> Result<Value, Problem> {
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
pub(crate) async fn stream(app: &Arc<App>, uri: &Uri) -> Response {
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
