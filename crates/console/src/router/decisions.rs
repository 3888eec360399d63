//! The pages of decisions.

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
use identity::Capability;
use serde::Deserialize;

use super::{Console, Visit, cases::filled};
use crate::{
    headers::{Nonce, secure},
    pages::{self, decisions},
    view::DecisionFilter,
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/decisions", get(list))
        .route("/console/decisions/{id}", get(one).post(label))
}

/// What the address of a list says.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Which {
    before: String,
    verdict: String,
    account: String,
    q: String,
}

impl Which {
    /// `None` for an address that no page leads to.
    pub(super) fn filter(self) -> Option<DecisionFilter> {
        Some(DecisionFilter {
            before: match filled(&self.before) {
                None => None,
                Some(before) => Some(before.parse().ok()?),
            },
            verdict: match filled(&self.verdict) {
                None => None,
                Some(verdict) => Some(verdict.parse().ok()?),
            },
            account: filled(&self.account),
            text: filled(&self.q),
        })
    }
}

async fn list(
    State(console): State<Console>,
    query: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::DECISIONS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let Some(wanted) = query.ok().and_then(|Query(which)| which.filter()) else {
        return visit.missing("The address names no page of decisions.");
    };
    match console.0.ports.casework.decisions(&wanted) {
        Ok(page) => visit.answer(pages::DECISIONS.name, &decisions::list(&page, &wanted)),
        Err(error) => visit.unavailable(&error),
    }
}

/// What was just said of a decision.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    labelled: String,
}

async fn one(
    State(console): State<Console>,
    Path(id): Path<String>,
    query: Result<Query<Said>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::DECISIONS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let says = match query.ok().map(|Query(said)| said.labelled).as_deref() {
        Some("legitimate") => Some(Ok("Recorded: this was honest. Models and rules learn it from now on.")),
        Some("fraud") => Some(Ok("Recorded: this was fraud. Models and rules learn it from now on.")),
        _ => None,
    };
    shown(&visit, &console, &id, StatusCode::OK, says).await
}

/// What the form of a decision says.
#[derive(Deserialize)]
struct Label {
    label: String,
}

async fn label(
    State(console): State<Console>,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Label>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::DECISIONS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let asked = form.ok().map(|Form(Label { label })| label);
    let (name, is_fraud) = match asked.as_deref() {
        Some("fraud") => ("fraud", true),
        Some("legitimate") => ("legitimate", false),
        _ => {
            let says = Some(Err("The form is none of this page."));
            return shown(&visit, &console, &id, StatusCode::BAD_REQUEST, says).await;
        }
    };
    if !visit.viewer.may(Capability::WorkCases) {
        let says = Some(Err("This needs work_cases, which none of your roles has."));
        return shown(&visit, &console, &id, StatusCode::FORBIDDEN, says).await;
    }
    match console.0.ports.casework.label(&visit.viewer.actor, &id, is_fraud).await {
        Ok(()) => {
            // Ids of decisions are made of letters, digits and dashes; one that was labelled is one.
            let mut response =
                Redirect::to(&format!("/console/decisions/{id}?labelled={name}")).into_response();
            secure(response.headers_mut(), &Nonce::fresh());
            response
        }
        Err(error) => {
            let says = format!("Not done: {error}.");
            shown(&visit, &console, &id, StatusCode::CONFLICT, Some(Err(&says))).await
        }
    }
}

/// A decision, with what came of the last form.
async fn shown(
    visit: &Visit,
    console: &Console,
    id: &str,
    status: StatusCode,
    says: Option<Result<&str, &str>>,
) -> Response {
    match console.0.ports.casework.decision(id).await {
        Ok(Some(explanation)) => {
            visit.answer_with(status, "Decision", &decisions::one(&explanation, &visit.viewer, says))
        }
        Ok(None) => visit.missing("No decision has this id."),
        Err(error) => visit.unavailable(&error),
    }
}
