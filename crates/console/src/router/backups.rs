//! The page of backups, and the drill that is made there.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use identity::Capability;

use super::{Console, Visit, see_other};
use crate::pages::{self, backups};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/backups", get(show).post(drill))
}

async fn shown(visit: &Visit, console: &Console, status: StatusCode, says: Option<&str>) -> Response {
    let backup = console.0.ports.sight.backup().await;
    visit.answer_with(status, pages::BACKUPS.name, &backups::page(&backup, &visit.viewer, says))
}

async fn show(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::BACKUPS, &headers) {
        Ok(visit) => shown(&visit, &console, StatusCode::OK, None).await,
        Err(response) => *response,
    }
}

async fn drill(State(console): State<Console>, headers: HeaderMap) -> Response {
    let visit = match console.admit_form(&pages::BACKUPS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let needs = Capability::RunDrills;
    if !visit.viewer.may(needs) {
        let says = format!("This needs {}, which none of your roles has.", needs.as_str());
        return shown(&visit, &console, StatusCode::FORBIDDEN, Some(&says)).await;
    }
    match console.0.ports.operations.drill(visit.viewer.actor.clone()).await {
        Ok(()) => see_other(pages::BACKUPS.path),
        Err(error) => {
            let says = format!("No drill was made: {error}.");
            shown(&visit, &console, StatusCode::CONFLICT, Some(&says)).await
        }
    }
}
