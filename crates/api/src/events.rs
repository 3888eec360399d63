//! Events of the exchange, and the lines of it that were refused.

use axum::{
    extract::Request,
    http::{Method, Uri},
};
use serde_json::{Value, json};

use crate::{
    DeadLetter, IntakeError, Permission, Recorded,
    limits::{DEAD_LETTERS_PAGE_MAX, EVENT_BODY_BYTES_MAX},
    problem::{Kind, Problem},
    route::{Action, App, Route, read_body},
    wire::{self, Batch, Fault, Judge, RefusedLine},
};

/// A call about events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventCall {
    /// Shows refused lines.
    DeadLetters,
    /// Records events.
    Record,
}

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/v1/events",
        permission: Permission::WriteEvents,
        action: Action::Event(EventCall::Record),
    },
    Route {
        method: Method::GET,
        path: "/v1/events/dead-letters",
        permission: Permission::WriteEvents,
        action: Action::Event(EventCall::DeadLetters),
    },
];

pub(crate) async fn serve(
    app: &App,
    call: EventCall,
    caller: &str,
    request: Request,
) -> Result<Value, Problem> {
    match call {
        EventCall::DeadLetters => read_dead_letters(app, request.uri()),
        EventCall::Record => record_events(app, caller, request).await,
    }
}

async fn record_events(app: &App, caller: &str, request: Request) -> Result<Value, Problem> {
    let body = read_body(request, EVENT_BODY_BYTES_MAX).await?;
    let intake = &*app.ports().intake;
    let now = app.ports().clock.now();
    let Batch { events, refused } = wire::events(&body, Judge { now, intake })?;
    let recorded = if events.is_empty() {
        Recorded { accepted: 0, duplicates: 0, erased: 0 }
    } else {
        intake.record(events).await.map_err(|error| match error {
            IntakeError::Busy { retry_after } => Problem::busy(retry_after),
            IntakeError::Unavailable { .. } => {
                tracing::error!(%error, "events were refused");
                Problem::new(Kind::Unavailable, "the events may not be recorded; sending them again is safe")
            }
        })?
    };
    // After the others are durable: a batch that is sent again leaves its letters once.
    for line in &refused {
        let fault = (line.fault.field.as_str(), line.fault.reason.as_str());
        intake.dead_letters().push(DeadLetter::new(now, caller, line.line, fault, line.text));
    }
    let Recorded { accepted, duplicates, erased } = recorded;
    if accepted + duplicates + erased == 0
        && let Some(first) = refused.first()
    {
        let others = refused.iter().skip(1).map(RefusedLine::sentence).collect();
        return Err(Problem::of_field(Kind::InvalidEvent, first.fault.clone())
            .on_line(first.line)
            .with_faults(others));
    }
    let mut answer = json!({ "accepted": accepted, "duplicates": duplicates, "erased": erased });
    if !refused.is_empty() {
        let lines: Vec<Value> = refused
            .iter()
            .map(|line| json!({ "line": line.line, "field": line.fault.field, "reason": line.fault.reason }))
            .collect();
        answer["refused"] = json!(lines);
    }
    Ok(answer)
}

fn read_dead_letters(app: &App, uri: &Uri) -> Result<Value, Problem> {
    let mut from = 0;
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let fault = |field: &str, reason: &str| {
            let field = field.chars().take(64).collect();
            Problem::of_field(Kind::InvalidRequest, Fault { field, reason: reason.to_owned() })
        };
        match pair.split_once('=') {
            Some(("from", number)) => {
                from = number.parse().map_err(|_| fault("from", "expected a whole number"))?;
            }
            _ => return Err(fault(pair.split('=').next().unwrap_or_default(), "is not a parameter")),
        }
    }
    Ok(app.ports().intake.dead_letters().page(from, DEAD_LETTERS_PAGE_MAX))
}
