//! Sessions, and the way in without a passkey.

use axum::{
    Router,
    extract::{Form, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;

use super::{Console, Remote, Visit, see_other};
use crate::{
    NotDone,
    pages::{self, sessions},
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/sessions", get(show))
        .route("/console/sessions/end", post(end))
        .route("/console/sessions/fallback", post(begin))
        .route("/console/sessions/fallback/confirm", post(confirm))
        .route("/console/sessions/fallback/end", post(end_fallback))
}

fn cookies(headers: &HeaderMap) -> Vec<&str> {
    super::sessions(headers).collect()
}

fn shown(
    console: &Console,
    visit: &Visit,
    headers: &HeaderMap,
    (status, says): (StatusCode, Option<&str>),
) -> Response {
    let own = console.0.ports.own.sessions(&visit.viewer, &cookies(headers));
    visit.answer_with(status, pages::SESSIONS.name, &sessions::page(&own, &visit.viewer, says))
}

fn not_done(console: &Console, visit: &Visit, headers: &HeaderMap, error: &NotDone) -> Response {
    shown(console, visit, headers, (StatusCode::CONFLICT, Some(&format!("Not done: {error}."))))
}

/// Who sends a form of these pages.
fn admitted(console: &Console, headers: &HeaderMap) -> Result<Visit, Box<Response>> {
    console.admit_form(&pages::SESSIONS, headers)
}

async fn show(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::SESSIONS, &headers) {
        Ok(visit) => shown(&console, &visit, &headers, (StatusCode::OK, None)),
        Err(response) => *response,
    }
}

#[derive(Deserialize)]
struct Which {
    id: String,
}

async fn end(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Result<Form<Which>, FormRejection>,
) -> Response {
    let visit = match admitted(&console, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let Ok(Form(Which { id })) = form else {
        let says = (StatusCode::BAD_REQUEST, Some("The form is none of this page."));
        return shown(&console, &visit, &headers, says);
    };
    match console.0.ports.own.end_session(&visit.viewer, &cookies(&headers), &id).await {
        Ok(()) => see_other(pages::SESSIONS.path),
        Err(error) => not_done(&console, &visit, &headers, &error),
    }
}

async fn begin(State(console): State<Console>, headers: HeaderMap) -> Response {
    let visit = match admitted(&console, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    match console.0.ports.own.begin_fallback(&cookies(&headers)) {
        Ok(offer) => visit.answer(pages::SESSIONS.name, &sessions::offer(&offer, None)),
        Err(error) => not_done(&console, &visit, &headers, &error),
    }
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn confirm(
    State(console): State<Console>,
    Remote(ip): Remote,
    headers: HeaderMap,
    form: Result<Form<Code>, FormRejection>,
) -> Response {
    let visit = match admitted(&console, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let code = form.map(|Form(Code { code })| code).unwrap_or_default();
    match console.0.ports.own.confirm_fallback(&cookies(&headers), &code, ip).await {
        Ok(()) => see_other(pages::SESSIONS.path),
        Err((error, Some(offer))) => {
            let says = format!("Not set: {error}.");
            let page = sessions::offer(&offer, Some(&says));
            visit.answer_with(StatusCode::CONFLICT, pages::SESSIONS.name, &page)
        }
        Err((error, None)) => not_done(&console, &visit, &headers, &error),
    }
}

async fn end_fallback(State(console): State<Console>, headers: HeaderMap) -> Response {
    let visit = match admitted(&console, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    match console.0.ports.own.end_fallback(&cookies(&headers)).await {
        Ok(()) => see_other(pages::SESSIONS.path),
        Err(error) => not_done(&console, &visit, &headers, &error),
    }
}
