//! The page of what is stopped.

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
    pages::{self, emergency},
    view::StopDeed,
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/emergency", get(show).post(act))
}

fn shown(visit: &Visit, console: &Console, status: StatusCode, says: Option<&str>) -> Response {
    let state = console.0.ports.operations.stopped();
    visit.answer_with(status, pages::EMERGENCY.name, &emergency::page(&state, &visit.viewer, says))
}

async fn show(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::EMERGENCY, &headers) {
        Ok(visit) => shown(&visit, &console, StatusCode::OK, None),
        Err(response) => *response,
    }
}

/// What a form says.
#[derive(Deserialize)]
struct Act {
    deed: String,
    kind: Option<String>,
    name: Option<String>,
    scope: Option<String>,
    number: Option<u64>,
    minutes: Option<u64>,
    reason: Option<String>,
}

impl Act {
    /// What is to be done, and what it takes; `None` for a form no page has.
    fn deed(self) -> Option<(StopDeed, Capability)> {
        let reason = self.reason.unwrap_or_default().trim().to_owned();
        Some(match self.deed.as_str() {
            "freeze" => {
                let kind = self.kind?;
                let name = self.name.unwrap_or_default();
                let scope = if kind == "all" { kind } else { format!("{kind}:{}", name.trim()) };
                (StopDeed::Freeze { scope, reason }, Capability::FreezeOutflow)
            }
            "propose" => (StopDeed::Propose { scope: self.scope?, reason }, Capability::UnfreezeOutflow),
            "approve" => {
                (StopDeed::Approve { scope: self.scope?, number: self.number? }, Capability::UnfreezeOutflow)
            }
            "decline" => (
                StopDeed::Decline { scope: self.scope?, number: self.number?, reason },
                Capability::UnfreezeOutflow,
            ),
            "raise" => (StopDeed::RaiseAlarm { minutes: self.minutes?, reason }, Capability::RaiseAlarm),
            "end" => (StopDeed::EndAlarm { reason }, Capability::RaiseAlarm),
            _ => return None,
        })
    }
}

async fn act(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::EMERGENCY, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let Some((deed, needs)) = form.ok().and_then(|Form(act)| act.deed()) else {
        return shown(&visit, &console, StatusCode::BAD_REQUEST, Some("The form is none of this page."));
    };
    if !visit.viewer.may(needs) {
        let says = format!("This needs {}, which none of your roles has.", needs.as_str());
        return shown(&visit, &console, StatusCode::FORBIDDEN, Some(&says));
    }
    match console.0.ports.operations.stop(visit.viewer.actor.clone(), deed).await {
        Ok(()) => see_other(pages::EMERGENCY.path),
        Err(error) => shown(&visit, &console, StatusCode::CONFLICT, Some(&format!("Not done: {error}."))),
    }
}
