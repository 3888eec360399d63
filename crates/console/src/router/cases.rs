//! The pages of cases, and what is done there.

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

use super::{Console, is_same_origin, refused_cross_site};
use crate::{
    headers::{Nonce, secure},
    pages::{self, cases},
    view::Deed,
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/cases", get(case_list)).route("/console/cases/{id}", get(case).post(act))
}

#[derive(Deserialize)]
struct Which {
    all: Option<String>,
}

async fn case_list(
    State(console): State<Console>,
    query: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::CASES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let all = query.is_ok_and(|Query(which)| which.all.is_some());
    visit.answer(pages::CASES.name, &cases::list(&console.0.ports.sight.cases(all), all))
}

async fn case(State(console): State<Console>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let visit = match console.admit(&pages::CASES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    visit.case(&console, &id, StatusCode::OK, None)
}

/// What a form of a case says.
#[derive(Deserialize)]
struct Act {
    revision: u64,
    deed: String,
    decision: Option<String>,
    disposition: Option<String>,
    text: Option<String>,
}

impl Act {
    /// What is to be done to which revision, and what it takes; `None` for a form no page has.
    fn deed(self) -> Option<(u64, Deed, Capability)> {
        let text = self.text.unwrap_or_default().trim().to_owned();
        let (deed, needs) = match (self.deed.as_str(), self.decision) {
            ("approve", Some(decision)) => (Deed::Approve { decision }, Capability::ApproveReleases),
            ("decline", Some(decision)) => (Deed::Decline { decision, reason: text }, Capability::WorkCases),
            ("propose", Some(decision)) => (Deed::Propose { decision, reason: text }, Capability::WorkCases),
            ("assign", None) => {
                (Deed::Assign { to: Some(text).filter(|to| !to.is_empty()) }, Capability::WorkCases)
            }
            ("note", None) => (Deed::Note { text }, Capability::WorkCases),
            ("resolve", None) => {
                (Deed::Resolve { disposition: self.disposition?, reason: text }, Capability::WorkCases)
            }
            _ => return None,
        };
        Some((self.revision, deed, needs))
    }
}

async fn act(
    State(console): State<Console>,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    if !is_same_origin(&headers) {
        return refused_cross_site();
    }
    let visit = match console.admit(&pages::CASES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let asked = form.ok().and_then(|Form(act)| act.deed());
    let (Ok(number), Some((revision, deed, needs))) = (id.parse::<u64>(), asked) else {
        return visit.case(&console, &id, StatusCode::BAD_REQUEST, Some("The form is none of this page."));
    };
    if !visit.viewer.may(needs) {
        let says = format!("This needs {}, which none of your roles has.", needs.as_str());
        return visit.case(&console, &id, StatusCode::FORBIDDEN, Some(&says));
    }
    match console.0.ports.sight.act(visit.viewer.actor.clone(), number, revision, deed).await {
        Ok(()) => {
            let mut response = Redirect::to(&format!("/console/cases/{number}")).into_response();
            secure(response.headers_mut(), &Nonce::fresh());
            response
        }
        Err(error) => visit.case(&console, &id, StatusCode::CONFLICT, Some(&format!("Not done: {error}."))),
    }
}
