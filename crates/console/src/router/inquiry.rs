//! The pages of one customer, one address, and who is linked to whom; and the field that leads to them.

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use identity::Capability;
use maud::html;
use serde::Deserialize;

use super::{Console, Visit, cases::filled};
use crate::{
    headers::{Nonce, secure},
    pages::{self, accounts, address, graph, moments::finder},
    ports::Nothing,
    view::TrailFilter,
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/accounts/{account}", get(account))
        .route("/console/addresses", get(addresses))
        .route("/console/addresses/{network}/{address}", get(one_address))
        .route("/console/graph", get(neighbourhood))
        .route("/console/find", get(find))
}

fn nothing(visit: &Visit, why: &Nothing) -> Response {
    match why {
        Nothing::Unavailable(error) => visit.unavailable(error),
        Nothing::Unknown(what) => visit.missing(what),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Only {
    only: String,
    from: String,
}

async fn account(
    State(console): State<Console>,
    Path(account): Path<String>,
    query: Result<Query<Only>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::GRAPH, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let wanted = query.ok().and_then(|Query(Only { only, from })| {
        let sorts: Vec<String> = only.split(',').filter(|sort| !sort.is_empty()).map(str::to_owned).collect();
        let known = |sort: &String| pages::moments::SORTS.iter().any(|(name, _)| name == sort);
        let from = match filled(&from) {
            None => None,
            Some(from) => Some(from.parse().ok()?),
        };
        sorts.iter().all(known).then_some(TrailFilter { sorts, from })
    });
    let Some(wanted) = wanted else { return visit.missing("The address names no page of a customer.") };
    match console.0.ports.casework.account(&account, &wanted) {
        Ok(file) => visit.answer("Customer", &accounts::one(&file, &wanted)),
        Err(why) => nothing(&visit, &why),
    }
}

async fn addresses(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::ADDRESSES, &headers) {
        Ok(visit) => visit.answer(pages::ADDRESSES.name, &address::empty()),
        Err(response) => *response,
    }
}

async fn one_address(
    State(console): State<Console>,
    Path((network, text)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::ADDRESSES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let network = Some(network.as_str()).filter(|network| *network != "any");
    let sees_customers = visit.viewer.may(Capability::ReadCases);
    match console.0.ports.casework.address(network, &text, sees_customers) {
        Ok(file) => visit.answer("Address", &address::one(&file)),
        Err(why) => nothing(&visit, &why),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Of {
    entity: String,
    q: String,
}

async fn neighbourhood(
    State(console): State<Console>,
    query: Result<Query<Of>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::GRAPH, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let Some(entity) = query.ok().and_then(|Query(of)| filled(&of.entity)) else {
        return visit.answer(pages::GRAPH.name, &graph::empty());
    };
    match console.0.ports.casework.graph(&entity) {
        Ok(of) => visit.answer(pages::GRAPH.name, &graph::one(&of)),
        Err(why) => nothing(&visit, &why),
    }
}

/// Leads to what somebody typed; whether they may see it is for that page to say.
async fn find(
    State(console): State<Console>,
    query: Result<Query<Of>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::LIVE, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let text = query.ok().and_then(|Query(of)| filled(&of.q));
    // Whether a customer exists is not for everybody to find out.
    let may = [Capability::ReadCases, Capability::ReadDecisions, Capability::Screen];
    let found = text
        .filter(|_| may.iter().any(|capability| visit.viewer.may(*capability)))
        .and_then(|text| console.0.ports.casework.find(&text));
    if let Some(path) = found {
        let mut response = Redirect::to(&path).into_response();
        secure(response.headers_mut(), &Nonce::fresh());
        return response;
    }
    let text = html! {
        h1 { "Nothing found" }
        p { "No customer, address, device, decision or case has this name, or it was not active lately." }
        (finder())
    };
    visit.answer_with(axum::http::StatusCode::NOT_FOUND, "Nothing found", &text)
}
