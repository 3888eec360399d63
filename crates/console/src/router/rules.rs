//! The pages of rules, and what is done there.

use axum::{
    Router,
    extract::{
        DefaultBodyLimit, Form, Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use identity::Capability;
use serde::Deserialize;

use super::{Console, Visit};
use crate::{
    headers::{Nonce, secure},
    pages::{self, rules},
    view::rules::VersionFile,
};

/// Longest form: rules of the most bytes, each of which a browser may write as three.
pub(super) const FORM_BYTES_MAX: usize = 3 * crate::RULES_TEXT_BYTES_MAX + (64 << 10);
/// Where a draft is written.
pub(super) const EDIT: &str = "/console/rules/edit";
/// How often a page with a backtest that runs is loaded again, in seconds.
const REFRESH_SECS: &str = "3";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/rules", get(list))
        .route("/console/rules/source", get(source))
        .route(EDIT, get(edit).post(draft).layer(DefaultBodyLimit::max(FORM_BYTES_MAX)))
        .route("/console/rules/versions/{version}", get(version).post(act))
}

#[derive(Deserialize)]
struct Which {
    of: Option<String>,
}

async fn list(State(console): State<Console>, headers: HeaderMap) -> Response {
    let visit = match console.admit(&pages::RULES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let book = console.0.ports.rules.book().await;
    visit.answer(pages::RULES.name, &rules::list(&book, &visit.viewer))
}

async fn source(
    State(console): State<Console>,
    query: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::RULES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let of = query.ok().and_then(|Query(which)| which.of);
    match console.0.ports.rules.text(of).await {
        Ok((sha256, text)) => visit.answer("Source", &rules::source(&sha256, &text, &visit.viewer)),
        Err(error) => visit.missing(&format!("There is no such source: {error}.")),
    }
}

async fn edit(
    State(console): State<Console>,
    query: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::RULES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    if let Some(refused) = visit.lacks(Capability::WriteRules) {
        return refused;
    }
    let of = query.ok().and_then(|Query(which)| which.of);
    match console.0.ports.rules.text(of).await {
        Ok((_, text)) => visit.answer("Draft", &rules::edit(&text, "", None, None)),
        Err(error) => visit.missing(&format!("There is nothing to begin from: {error}.")),
    }
}

#[derive(Deserialize)]
struct Draft {
    deed: String,
    text: String,
    note: Option<String>,
}

async fn draft(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Result<Form<Draft>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::RULES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    if let Some(refused) = visit.lacks(Capability::WriteRules) {
        return refused;
    }
    let draft = match form {
        Ok(Form(draft)) => draft,
        Err(rejection) => {
            let says = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                format!("Rules of more than {} bytes are brought as a folder.", crate::RULES_TEXT_BYTES_MAX)
            } else {
                "The form is none of this page.".to_owned()
            };
            return visit.answer_with(rejection.status(), "Draft", &rules::edit("", "", None, Some(&says)));
        }
    };
    let note = draft.note.unwrap_or_default();
    let port = &console.0.ports.rules;
    let again = |status, checked: Option<&_>, says: Option<&str>| {
        visit.answer_with(status, "Draft", &rules::edit(&draft.text, &note, checked, says))
    };
    if draft.text.len() > crate::RULES_TEXT_BYTES_MAX {
        let says =
            format!("Rules of more than {} bytes are brought as a folder.", crate::RULES_TEXT_BYTES_MAX);
        return again(StatusCode::PAYLOAD_TOO_LARGE, None, Some(&says));
    }
    let checked = match port.check(draft.text.clone()).await {
        Ok(checked) => checked,
        Err(error) => return again(StatusCode::CONFLICT, None, Some(&format!("Not checked: {error}."))),
    };
    match draft.deed.as_str() {
        "check" => again(StatusCode::OK, Some(&checked), None),
        "keep" if matches!(checked, crate::rules::Checked::Faulty(..)) => {
            again(StatusCode::CONFLICT, Some(&checked), Some("Not kept: it does not compile."))
        }
        "keep" => match port.keep(visit.viewer.actor.clone(), draft.text.clone(), note.clone()).await {
            Ok(version) => to(&version),
            Err(error) => again(StatusCode::CONFLICT, Some(&checked), Some(&format!("Not kept: {error}."))),
        },
        _ => again(StatusCode::BAD_REQUEST, Some(&checked), Some("The form is none of this page.")),
    }
}

fn to(version: &str) -> Response {
    let mut response = Redirect::to(&format!("/console/rules/versions/{version}")).into_response();
    secure(response.headers_mut(), &Nonce::fresh());
    response
}

impl Visit {
    /// A version as it is now, with what came of the last form.
    async fn version(
        &self,
        console: &Console,
        version: &str,
        status: StatusCode,
        says: Option<&str>,
    ) -> Response {
        let port = &console.0.ports.rules;
        let file: VersionFile = match port.version(version.to_owned()).await {
            Ok(file) => file,
            Err(error) => return self.missing(&format!("There is no such version: {error}.")),
        };
        let in_force = port.in_force();
        let page = rules::one(&file, in_force.as_deref(), &self.viewer, says);
        let mut response = self.answer_with(status, "Version", &page);
        let is_going = file.job.is_some_and(|job| matches!(job.state, "running" | "waiting"));
        // Never after a form: that would send it again.
        if is_going && status == StatusCode::OK && says.is_none() {
            let name = HeaderName::from_static("refresh");
            response.headers_mut().insert(name, HeaderValue::from_static(REFRESH_SECS));
        }
        response
    }
}

async fn version(
    State(console): State<Console>,
    Path(version): Path<String>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::RULES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    visit.version(&console, &version, StatusCode::OK, None).await
}

#[derive(Deserialize)]
struct Act {
    deed: String,
    days: Option<u64>,
    job: Option<u64>,
    from: Option<String>,
    text: Option<String>,
}

async fn act(
    State(console): State<Console>,
    Path(version): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::RULES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let port = &console.0.ports.rules;
    let actor = visit.viewer.actor.clone();
    let Ok(Form(act)) = form else {
        let says = Some("The form is none of this page.");
        return visit.version(&console, &version, StatusCode::BAD_REQUEST, says).await;
    };
    let needs = if act.deed == "return" { Capability::ApproveRules } else { Capability::WriteRules };
    if let Some(refused) = visit.lacks(needs) {
        return refused;
    }
    let done = match (act.deed.as_str(), act.days, act.job, act.from) {
        ("backtest", Some(days), ..) => port.backtest(actor, version.clone(), days).await,
        ("cancel", _, Some(job), _) => port.cancel(job).await,
        ("end_shadow", ..) => port.end_shadow(actor, version.clone()).await,
        ("publish", ..) => {
            return match port.publish(actor, version.clone(), act.text.unwrap_or_default()).await {
                Ok(change) => {
                    let page = rules::proposed(&version, &change);
                    visit.answer_with(StatusCode::OK, "Proposed", &page)
                }
                Err(error) => {
                    let says = format!("Not proposed: {error}.");
                    visit.version(&console, &version, StatusCode::CONFLICT, Some(&says)).await
                }
            };
        }
        ("shadow", ..) => port.shadow(actor, version.clone()).await,
        ("return", _, _, Some(from)) => {
            port.return_to(actor, version.clone(), from, act.text.unwrap_or_default()).await
        }
        _ => {
            let says = Some("The form is none of this page.");
            return visit.version(&console, &version, StatusCode::BAD_REQUEST, says).await;
        }
    };
    match done {
        Ok(()) => to(&version),
        Err(error) => {
            let says = format!("Not done: {error}.");
            visit.version(&console, &version, StatusCode::CONFLICT, Some(&says)).await
        }
    }
}
