//! The pages of changes that take two persons.

use axum::{
    Router,
    extract::{
        Form, Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use serde::Deserialize;

use super::{Console, Visit};
use crate::{
    headers::{Nonce, secure},
    pages::{self, changes},
    view::Say,
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/changes", get(list)).route("/console/changes/{id}", get(one).post(say))
}

#[derive(Deserialize)]
struct Which {
    all: Option<String>,
}

async fn list(
    State(console): State<Console>,
    query: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::CHANGES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let all = query.is_ok_and(|Query(which)| which.all.is_some());
    let lines = console.0.ports.changes.list(&visit.viewer, all);
    visit.answer(pages::CHANGES.name, &changes::list(&lines, all))
}

/// A change as it is now, with what came of the last form.
fn shown(console: &Console, visit: &Visit, id: &str, status: StatusCode, says: Option<&str>) -> Response {
    match id.parse().ok().and_then(|id| console.0.ports.changes.one(&visit.viewer, id)) {
        Some(file) => visit.answer_with(status, "Change", &changes::one(&file, says)),
        None => visit.missing("There is no such change, or it was forgotten."),
    }
}

async fn one(State(console): State<Console>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match console.admit(&pages::CHANGES, &headers) {
        Ok(visit) => shown(&console, &visit, &id, StatusCode::OK, None),
        Err(response) => *response,
    }
}

/// What a form of a change says.
#[derive(Deserialize)]
struct Said {
    say: String,
    digest: Option<String>,
    reason: Option<String>,
}

impl Said {
    /// `None` for a form no page has.
    fn say(self) -> Option<Say> {
        match (self.say.as_str(), self.digest, self.reason) {
            ("approve", Some(digest), None) => Some(Say::Approve { digest }),
            ("decline", None, Some(reason)) => Some(Say::Decline { reason: reason.trim().to_owned() }),
            ("withdraw", None, None) => Some(Say::Withdraw),
            _ => None,
        }
    }
}

async fn say(
    State(console): State<Console>,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Said>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::CHANGES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let said = form.ok().and_then(|Form(said)| said.say());
    let (Ok(number), Some(say)) = (id.parse::<u64>(), said) else {
        let says = Some("The form is none of this page.");
        return shown(&console, &visit, &id, StatusCode::BAD_REQUEST, says);
    };
    // What it takes is a property of the change: the port holds the viewer to it.
    match console.0.ports.changes.say(&visit.viewer, number, say).await {
        Ok(()) => {
            let mut response = Redirect::to(&format!("/console/changes/{number}")).into_response();
            secure(response.headers_mut(), &Nonce::fresh());
            response
        }
        Err(error) => {
            let says = format!("Not done: {error}.");
            shown(&console, &visit, &id, StatusCode::CONFLICT, Some(&says))
        }
    }
}
