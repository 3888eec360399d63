//! The attack view, and what is done there.

use axum::{
    Router,
    extract::{Form, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use identity::Capability;
use serde::Deserialize;

use super::{Console, Visit, see_other};
use crate::{
    pages::{self, bans},
    view::BanDeed,
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/bans", get(show).post(act))
}

fn shown(visit: &Visit, console: &Console, status: StatusCode, says: Option<&str>) -> Response {
    let (seen, banned) = (console.0.ports.sight.live(), console.0.ports.sight.bans());
    visit.answer_with(status, pages::BANS.name, &bans::page(&seen, &banned, &visit.viewer, says))
}

async fn show(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::BANS, &headers) {
        Ok(visit) => shown(&visit, &console, StatusCode::OK, None),
        Err(response) => *response,
    }
}

/// What a form says.
#[derive(Deserialize)]
struct Act {
    deed: String,
    target: String,
    minutes: Option<u64>,
    reason: Option<String>,
}

async fn act(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::BANS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let asked = form.ok().and_then(|Form(act)| {
        let target = act.target.trim().to_owned();
        let deed = match (act.deed.as_str(), act.minutes) {
            ("ban", Some(minutes)) => BanDeed::Ban { target, minutes },
            ("lift", _) => BanDeed::Lift { target },
            _ => return None,
        };
        Some((deed, act.reason.unwrap_or_default().trim().to_owned()))
    });
    let Some((deed, reason)) = asked else {
        return shown(&visit, &console, StatusCode::BAD_REQUEST, Some("The form is none of this page."));
    };
    let needs = Capability::ManageBans;
    if !visit.viewer.may(needs) {
        let says = format!("This needs {}, which none of your roles has.", needs.as_str());
        return shown(&visit, &console, StatusCode::FORBIDDEN, Some(&says));
    }
    match console.0.ports.operations.ban(visit.viewer.actor.clone(), deed, reason).await {
        Ok(()) => see_other(pages::BANS.path),
        Err(error) => shown(&visit, &console, StatusCode::CONFLICT, Some(&format!("Not done: {error}."))),
    }
}
