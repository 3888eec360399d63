//! `GET /v1/alerts/stream`: alerts as they come, one object a line, without end.
//!
//! A line's `next` is the position of the journal behind its alert; a stream that begins there goes on where the other ended.
//! Several alerts of one entry have one position: all but the last of them lead back to it, so that after an end in between
//! they are told once more rather than not at all.
//!
//! # Bounds
//! The newest alerts are remembered, and no others can be told. A stream has one of [`STREAMS_MAX`](crate::limits::STREAMS_MAX)
//! places, lasts at most [`STREAM_TIME_MAX`], and reads on only when its client has taken what it was sent.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::Uri,
    response::{IntoResponse as _, Response},
};
use fraud::cases::AlertLine;
use serde_json::json;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until},
};

use super::{alert_json, case_problem};
use crate::{
    decisions::{ndjson, stream_place},
    limits::{PAGE_MAX, STREAM_BEAT, STREAM_TIME_MAX},
    problem::{Kind, Problem},
    query::{Query, fault},
    route::App,
};

/// A stream between two lines.
struct Stream {
    app: Arc<App>,
    waiting: VecDeque<AlertLine>,
    /// Everything before it was told or waits.
    reached: u64,
    /// Whether there should be something new.
    is_woken: bool,
    ends_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(alert) = self.waiting.pop_front() {
                let position = alert.line.position;
                let is_last = self.waiting.front().is_none_or(|other| other.line.position != position);
                let next = if is_last { position + 1 } else { position };
                let line = json!({ "alert": alert_json(&alert), "next": next.to_string() });
                return Some(Bytes::from(format!("{line}\n")));
            }
            if Instant::now() >= self.ends_at || self.app.is_stopped() {
                return None;
            }
            let app = Arc::clone(&self.app);
            let cases = &app.ports().cases;
            let before = self.reached;
            match cases.alerts_from(self.reached, PAGE_MAX) {
                Ok((alerts, reached)) => {
                    self.waiting.extend(alerts);
                    self.reached = reached;
                }
                Err(error) => {
                    tracing::error!(%error, "a stream of alerts has ended");
                    return None;
                }
            }
            if self.waiting.is_empty() && self.reached == before {
                // Woken for nothing: the journal has stopped.
                if self.is_woken {
                    return None;
                }
                tokio::select! {
                    () = app.stopped() => return None,
                    () = sleep_until(self.ends_at) => return None,
                    () = sleep(STREAM_BEAT) => return Some(Bytes::from_static(b"\n")),
                    () = cases.beyond(before) => self.is_woken = true,
                }
            } else {
                self.is_woken = false;
            }
        }
    }
}

pub(crate) fn stream(app: &Arc<App>, uri: &Uri) -> Response {
    match open(app, uri) {
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

fn open(app: &Arc<App>, uri: &Uri) -> Result<Stream, Problem> {
    let mut query = Query::parse(uri)?;
    let after = query.text("after", 64)?.map(|text| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| digits).ok_or_else(|| fault("after", "is not the next of a line"))
    });
    let after = after.transpose()?;
    query.finish()?;
    let place = stream_place(app)?;
    // Nothing of it is kept: it says how far the journal is.
    let end = app.ports().cases.alerts_from(u64::MAX, 1).map_err(|error| case_problem(&error))?.1;
    if after.is_some_and(|after| after > end) {
        let detail = "after: the journal is shorter than when this was given, as after a restore; begin anew";
        return Err(Problem::new(Kind::StaleCursor, detail));
    }
    Ok(Stream {
        app: Arc::clone(app),
        waiting: VecDeque::new(),
        reached: after.unwrap_or(end),
        is_woken: false,
        ends_at: Instant::now() + STREAM_TIME_MAX,
        _place: place,
    })
}
