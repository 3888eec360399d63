//! The pages of decisions.

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use serde::Deserialize;

use super::{Console, cases::filled};
use crate::{
    pages::{self, decisions},
    view::DecisionFilter,
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/decisions", get(list)).route("/console/decisions/{id}", get(one))
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

async fn one(State(console): State<Console>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let visit = match console.admit(&pages::DECISIONS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    match console.0.ports.casework.decision(&id).await {
        Ok(Some(explanation)) => visit.answer("Decision", &decisions::one(&explanation, &visit.viewer)),
        Ok(None) => visit.missing("No decision has this id."),
        Err(error) => visit.unavailable(&error),
    }
}
