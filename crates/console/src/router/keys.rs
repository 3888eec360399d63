//! The pages of API keys.

use axum::{
    Router,
    extract::{
        Form, Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use identity::Capability;
use serde::Deserialize;

use super::{Console, Visit, see_other};
use crate::{
    pages::{self, keys},
    view::KeyDeed,
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/keys", get(list)).route("/console/keys/{id}", get(one).post(act))
}

#[derive(Deserialize)]
struct Which {
    account: Option<String>,
}

async fn list(
    State(console): State<Console>,
    query: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::KEYS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let account = query.ok().and_then(|Query(which)| which.account).unwrap_or_default();
    let account = account.trim();
    let (lines, more) = console.0.ports.operations.keys(Some(account).filter(|account| !account.is_empty()));
    visit.answer(pages::KEYS.name, &keys::list(&lines, more, account))
}

fn shown(visit: &Visit, console: &Console, id: &str, status: StatusCode, says: Option<&str>) -> Response {
    match console.0.ports.operations.key(id) {
        Some(file) => visit.answer_with(status, "API key", &keys::one(&file, &visit.viewer, says)),
        None => visit.missing("There is no such key, or it was revoked."),
    }
}

async fn one(State(console): State<Console>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match console.admit(&pages::KEYS, &headers) {
        Ok(visit) => shown(&visit, &console, &id, StatusCode::OK, None),
        Err(response) => *response,
    }
}

/// What a form says.
#[derive(Deserialize)]
struct Act {
    deed: String,
    reason: Option<String>,
}

async fn act(
    State(console): State<Console>,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::KEYS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let asked = form.ok().and_then(|Form(act)| {
        let deed = match act.deed.as_str() {
            "freeze" => KeyDeed::Freeze,
            "revoke" => KeyDeed::Revoke,
            "unfreeze" => KeyDeed::Unfreeze,
            _ => return None,
        };
        Some((deed, act.reason.unwrap_or_default().trim().to_owned()))
    });
    let Some((deed, reason)) = asked else {
        return shown(&visit, &console, &id, StatusCode::BAD_REQUEST, Some("The form is none of this page."));
    };
    let needs = Capability::ManageKeys;
    if !visit.viewer.may(needs) {
        let says = format!("This needs {}, which none of your roles has.", needs.as_str());
        return shown(&visit, &console, &id, StatusCode::FORBIDDEN, Some(&says));
    }
    match console.0.ports.operations.change_key(visit.viewer.actor.clone(), &id, deed, reason).await {
        Ok(()) if deed == KeyDeed::Revoke => see_other(pages::KEYS.path),
        Ok(()) => see_other(&format!("/console/keys/{id}")),
        Err(error) => {
            shown(&visit, &console, &id, StatusCode::CONFLICT, Some(&format!("Not done: {error}.")))
        }
    }
}
