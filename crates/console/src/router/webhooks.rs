//! The pages of webhooks.

use axum::{
    Router,
    extract::{Form, Path, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use identity::Capability;
use maud::{Markup, html};
use serde::Deserialize;

use super::{Console, Visit, see_other};
use crate::{
    pages::{self, webhooks},
    view::{WebhookDeed, WebhookDone, WebhookWords},
};

/// Hours two keys sign side by side when a form does not say.
const OVERLAP_HOURS: u64 = 24;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/webhooks", get(list).post(add))
        .route("/console/webhooks/{name}", get(one).post(act))
}

async fn list(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::WEBHOOKS, &headers) {
        Ok(visit) => listed(&console, &visit, StatusCode::OK, None),
        Err(response) => *response,
    }
}

fn listed(console: &Console, visit: &Visit, status: StatusCode, says: Option<&str>) -> Response {
    let port = &console.0.ports.webhooks;
    let page = webhooks::list(&port.list(), &port.types(), &visit.viewer, says);
    visit.answer_with(status, pages::WEBHOOKS.name, &page)
}

fn shown(console: &Console, visit: &Visit, name: &str, status: StatusCode, notice: &Markup) -> Response {
    let port = &console.0.ports.webhooks;
    match port.one(name) {
        Some(file) => {
            visit.answer_with(status, "Endpoint", &webhooks::one(&file, &port.types(), &visit.viewer, notice))
        }
        None => visit.missing("There is no such endpoint."),
    }
}

async fn one(State(console): State<Console>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match console.admit(&pages::WEBHOOKS, &headers) {
        Ok(visit) => shown(&console, &visit, &name, StatusCode::OK, &html! {}),
        Err(response) => *response,
    }
}

/// What a form says.
#[derive(Deserialize, Default)]
struct Said {
    deed: Option<String>,
    name: Option<String>,
    url: Option<String>,
    events: Option<String>,
    accounts: Option<String>,
    scheme: Option<String>,
    skip: Option<String>,
    message: Option<String>,
    overlap_hours: Option<u64>,
}

impl Said {
    /// `None` for a form no page has.
    fn deed(&self) -> Option<WebhookDeed> {
        Some(match self.deed.as_deref()? {
            "change" => WebhookDeed::Change,
            "discard" => WebhookDeed::Discard(self.message.clone()),
            "enable" => WebhookDeed::Enable { skip: self.skip.is_some() },
            "pause" => WebhookDeed::Pause,
            "remove" => WebhookDeed::Remove,
            "replay" => WebhookDeed::Replay(self.message.clone()),
            "rotate" => WebhookDeed::Rotate { overlap_hours: self.overlap_hours.unwrap_or(OVERLAP_HOURS) },
            "test" => WebhookDeed::Test,
            _ => return None,
        })
    }

    fn words(self) -> WebhookWords {
        let trimmed = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
        WebhookWords {
            url: trimmed(self.url),
            events: trimmed(self.events),
            accounts: self.accounts.is_some(),
        }
    }
}

/// Who may do something about endpoints, and from a page of ours.
fn admitted(console: &Console, headers: &HeaderMap) -> Result<Visit, Box<Response>> {
    let visit = console.admit_form(&pages::WEBHOOKS, headers)?;
    match visit.lacks(Capability::ManageWebhooks) {
        Some(response) => Err(Box::new(response)),
        None => Ok(visit),
    }
}

fn not_done(why: &str) -> Markup {
    html! { p.card.notice.bad role="alert" { (why) } }
}

async fn add(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Result<Form<Said>, FormRejection>,
) -> Response {
    let visit = match admitted(&console, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let Ok(Form(said)) = form else {
        return listed(&console, &visit, StatusCode::BAD_REQUEST, Some("The form is none of this page."));
    };
    let name = said.name.clone().unwrap_or_default().trim().to_owned();
    let deed = WebhookDeed::Add { scheme: said.scheme.clone().unwrap_or_else(|| "hmac".to_owned()) };
    match console.0.ports.webhooks.act(&visit.viewer, &name, deed, said.words()).await {
        // A secret is in this answer and in no address.
        Ok(done) => shown(&console, &visit, &name, StatusCode::OK, &webhooks::came(&done)),
        Err(error) => listed(&console, &visit, StatusCode::CONFLICT, Some(&format!("Not added: {error}."))),
    }
}

async fn act(
    State(console): State<Console>,
    Path(name): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Said>, FormRejection>,
) -> Response {
    let visit = match admitted(&console, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let said = form.map(|Form(said)| said).unwrap_or_default();
    let Some(deed) = said.deed() else {
        let notice = not_done("The form is none of this page.");
        return shown(&console, &visit, &name, StatusCode::BAD_REQUEST, &notice);
    };
    let is_end = deed == WebhookDeed::Remove;
    match console.0.ports.webhooks.act(&visit.viewer, &name, deed, said.words()).await {
        Ok(WebhookDone::Done) if is_end => see_other(pages::WEBHOOKS.path),
        Ok(WebhookDone::Done) => see_other(&format!("/console/webhooks/{name}")),
        Ok(done) => shown(&console, &visit, &name, StatusCode::OK, &webhooks::came(&done)),
        Err(error) => {
            let notice = not_done(&format!("Not done: {error}."));
            shown(&console, &visit, &name, StatusCode::CONFLICT, &notice)
        }
    }
}
