//! The page of those who develop for one account.

use axum::{
    Router,
    extract::{Form, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use serde::Deserialize;

use super::{Console, Visit, see_other};
use crate::{
    pages::{self, own},
    view::KeyDeed,
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route(pages::OWN.path, get(show).post(act))
}

fn shown(console: &Console, visit: &Visit, status: StatusCode, says: Option<&str>) -> Response {
    let Some(account) = &visit.viewer.account else { return visit.missing("You develop for no account.") };
    match console.0.ports.own.account(account) {
        Ok(own) => visit.answer_with(status, pages::OWN.name, &own::page(account.as_str(), &own, says)),
        Err(error) => visit.unavailable(&error),
    }
}

async fn show(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::OWN, &headers) {
        Ok(visit) => shown(&console, &visit, StatusCode::OK, None),
        Err(response) => *response,
    }
}

#[derive(Deserialize)]
struct Act {
    key: Option<String>,
    deed: String,
    decision: Option<String>,
    text: Option<String>,
}

/// What takes away alone: nobody gets more by this page.
async fn act(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::OWN, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let act = match form {
        Ok(Form(Act { deed, decision: Some(decision), text, .. })) if deed == "appeal" => {
            return appeal(&console, &visit, decision, text.unwrap_or_default()).await;
        }
        other => other.ok(),
    };
    let asked = act.and_then(|Form(act)| {
        let deed = match act.deed.as_str() {
            "freeze" => KeyDeed::Freeze,
            "revoke" => KeyDeed::Revoke,
            _ => return None,
        };
        Some((act.key?, deed))
    });
    let Some((key, deed)) = asked else {
        return shown(&console, &visit, StatusCode::BAD_REQUEST, Some("The form is none of this page."));
    };
    let operations = &console.0.ports.operations;
    let is_own = |file: &crate::KeyFile| {
        visit.viewer.account.as_ref().is_some_and(|account| account.as_str() == file.line.account)
    };
    // A key of another account is one that is not there.
    if !operations.key(&key).as_ref().is_some_and(is_own) {
        let says = "The account has no such key, or it was revoked.";
        return shown(&console, &visit, StatusCode::NOT_FOUND, Some(says));
    }
    let why = "by the developer of its account".to_owned();
    match operations.change_key(visit.viewer.actor.clone(), &key, deed, why).await {
        Ok(()) => see_other(pages::OWN.path),
        Err(error) => shown(&console, &visit, StatusCode::CONFLICT, Some(&format!("Not done: {error}."))),
    }
}

/// Whether a decision is one of theirs is for the port to say, as if it were not there.
async fn appeal(console: &Console, visit: &Visit, decision: String, text: String) -> Response {
    let text = text.trim().to_owned();
    if text.is_empty() {
        return shown(console, visit, StatusCode::BAD_REQUEST, Some("Say what is wrong about the decision."));
    }
    match console.0.ports.own.appeal(visit.viewer.clone(), decision, text).await {
        Ok(()) => see_other(pages::OWN.path),
        Err(error) => shown(console, visit, StatusCode::CONFLICT, Some(&format!("Not done: {error}."))),
    }
}
