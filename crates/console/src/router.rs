//! From a request to a page.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{
        Form, Path, Query, Request, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{
        IntoResponse, Redirect, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use futures_util::stream;
use identity::Capability;
use maud::{Markup, html};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::interval};

use crate::{
    assets,
    headers::{IMMUTABLE, Nonce, secure},
    layout::{Frame, outside},
    pages::{self, Page, audit, backups, bans, cases, decisions, lists, live},
    ports::{Sight, Unavailable, Viewer, Visitors},
    view::Deed,
};

/// Most live pages at a time, over all viewers.
pub const STREAMS_MAX: usize = 64;
/// Between two states of a live page.
const TICK: Duration = Duration::from_secs(1);
/// The cookie of a session that a link opened. The prefix binds it to this origin and to TLS or the own machine (RFC
/// 6265bis, 4.1.3.2).
const COOKIE: &str = "__Host-caponier-link";
/// The cookie of a session that a passkey opened, set by the control API.
const PASSKEY_COOKIE: &str = "__Host-caponier-session";
/// Sessions of one request that are looked at: of a link, and of a passkey, and what else bears their names.
const SESSIONS_LOOKED_AT: usize = 4;
/// Longest secret of a link or a session that is looked at, in bytes.
const SECRET_BYTES_MAX: usize = 128;

/// The pages over what they show.
#[derive(Clone)]
pub struct Console(Arc<Inside>);

struct Inside {
    sight: Arc<dyn Sight>,
    visitors: Arc<dyn Visitors>,
    streams: Arc<Semaphore>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console")
            .field("streams_free", &self.0.streams.available_permits())
            .finish_non_exhaustive()
    }
}

impl Console {
    /// Over what it shows and who may see it.
    #[must_use]
    pub fn new(sight: Arc<dyn Sight>, visitors: Arc<dyn Visitors>) -> Self {
        Self(Arc::new(Inside { sight, visitors, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }))
    }

    /// Everything below `/console`, and `/`, which leads there.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(async || Redirect::to("/console")))
            .route("/console", get(live_page))
            .route("/console/live", get(live_stream))
            .route("/console/decisions", get(decision_list))
            .route("/console/decisions/{id}", get(decision))
            .route("/console/cases", get(case_list))
            .route("/console/cases/{id}", get(case).post(act))
            .route("/console/bans", get(ban_list))
            .route("/console/lists", get(label_lists))
            .route("/console/backups", get(backup))
            .route("/console/audit", get(entries))
            .route("/console/enter", get(door).post(enter))
            .route("/console/leave", post(leave))
            .route("/console/assets/{file}", get(asset))
            .route("/console/{*rest}", get(not_found))
            .with_state(self.clone())
    }

    /// Ends the live pages within a second, so that the server can stop.
    pub fn close(&self) {
        self.0.streams.close();
    }

    fn viewer(&self, headers: &HeaderMap) -> Option<Viewer> {
        sessions(headers).find_map(|session| self.0.visitors.viewer(session))
    }

    /// The page of somebody without a session; with the form of a link they followed, or why they were not let in.
    fn door(&self, status: StatusCode, link: Option<&str>, refused: Option<crate::NotLetIn>) -> Response {
        let nonce = Nonce::fresh();
        let has_passkeys = self.0.visitors.has_passkeys();
        let text = html! {
            (door_text(link, has_passkeys))
            @if let Some(refused) = refused {
                p.card.notice.bad role="alert" { "Not let in: " (refused) "." }
            }
        };
        let script = has_passkeys.then_some(&nonce);
        html_answer(status, &nonce, outside("Sign in", script, &text))
    }

    /// Who asks, if they may see the page; else the answer they get.
    fn admit(&self, page: &'static Page, headers: &HeaderMap) -> Result<Visit, Box<Response>> {
        let Some(viewer) = self.viewer(headers) else {
            return Err(Box::new(self.door(StatusCode::UNAUTHORIZED, None, None)));
        };
        let visit = Visit { viewer, nonce: Nonce::fresh(), page };
        if visit.viewer.may(page.capability) {
            return Ok(visit);
        }
        let text = html! {
            h1 { "Not for your role" }
            p { "This page needs " code { (page.capability.as_str()) } ", which none of your roles has." }
        };
        Err(Box::new(visit.answer_with(StatusCode::FORBIDDEN, page.name, &text)))
    }
}

/// Somebody who looks at a page.
struct Visit {
    viewer: Viewer,
    nonce: Nonce,
    page: &'static Page,
}

impl Visit {
    fn answer(&self, title: &str, content: &Markup) -> Response {
        self.answer_with(StatusCode::OK, title, content)
    }

    fn answer_with(&self, status: StatusCode, title: &str, content: &Markup) -> Response {
        let frame = Frame { nonce: &self.nonce, viewer: &self.viewer, page: self.page };
        html_answer(status, &self.nonce, frame.render(title, content))
    }

    fn unavailable(&self, why: &Unavailable) -> Response {
        let text = html! { h1 { (self.page.name) } p.card.notice.bad role="alert" { (why) } };
        self.answer_with(StatusCode::SERVICE_UNAVAILABLE, self.page.name, &text)
    }

    /// A case as it is now, with what came of the last form.
    fn case(&self, console: &Console, id: &str, status: StatusCode, says: Option<&str>) -> Response {
        match id.parse().ok().and_then(|id| console.0.sight.case(id)) {
            Some(file) => self.answer_with(status, "Case", &cases::one(&file, &self.viewer, says)),
            None => self.missing("There is no such case, or it was forgotten."),
        }
    }

    fn missing(&self, what: &str) -> Response {
        let text = html! { h1 { "Not here" } p { (what) } };
        self.answer_with(StatusCode::NOT_FOUND, "Not here", &text)
    }
}

fn html_answer(status: StatusCode, nonce: &Nonce, page: Markup) -> Response {
    let mut response = (status, page.into_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    secure(headers, nonce);
    response
}

fn outside_answer(status: StatusCode, content: &Markup) -> Response {
    let nonce = Nonce::fresh();
    html_answer(status, &nonce, outside("Sign in", None, content))
}

/// The secrets of sessions the request has, of a length worth looking at.
fn sessions(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| [COOKIE, PASSKEY_COOKIE].contains(name))
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty() && value.len() <= SECRET_BYTES_MAX)
        .take(SESSIONS_LOOKED_AT)
}

/// Whether a request that changes something comes from a page of this origin. Browsers say so themselves; one that does
/// not is held to the origin it names.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let host = text(header::HOST).filter(|host| !host.is_empty());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    matches!((host, origin), (Some(host), Some((_, origin))) if host.eq_ignore_ascii_case(origin))
}

async fn live_page(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::LIVE, &headers) {
        Err(response) => *response,
        Ok(visit) => {
            let seen = console.0.sight.live();
            let decisions = visit.viewer.may(Capability::ReadDecisions);
            visit.answer(pages::LIVE.name, &live::page(&seen, &visit.nonce, decisions))
        }
    }
}

/// One state after the other, until the session ends, the product stops, or the viewer goes.
async fn live_stream(State(console): State<Console>, headers: HeaderMap) -> Response {
    if let Err(response) = console.admit(&pages::LIVE, &headers) {
        return *response;
    }
    let Ok(place) = Arc::clone(&console.0.streams).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], "too many live pages")
            .into_response();
    };
    let session: Vec<String> = sessions(&headers).map(str::to_owned).collect();
    let states = stream::unfold(
        (console, session, interval(TICK), place),
        async |(console, session, mut ticks, place)| {
            ticks.tick().await;
            let viewer = session.iter().find_map(|session| console.0.visitors.viewer(session))?;
            if console.0.streams.is_closed() {
                return None;
            }
            let seen = console.0.sight.live();
            let markup = live::numbers(&seen, viewer.may(Capability::ReadDecisions)).into_string();
            // A line break within data would end the line of the event.
            let event = Event::default().data(markup.replace(['\r', '\n'], " "));
            Some((Ok::<_, Infallible>(event), (console, session, ticks, place)))
        },
    );
    let mut response = Sse::new(states).into_response();
    secure(response.headers_mut(), &Nonce::fresh());
    response
}

#[derive(Deserialize)]
struct Before {
    before: Option<u64>,
}

async fn decision_list(
    State(console): State<Console>,
    query: Result<Query<Before>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::DECISIONS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let Ok(Query(Before { before })) = query else {
        return visit.missing("The address names no page of decisions.");
    };
    match console.0.sight.decisions(before).await {
        Ok(page) => visit.answer(pages::DECISIONS.name, &decisions::list(&page)),
        Err(error) => visit.unavailable(&error),
    }
}

async fn decision(State(console): State<Console>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let visit = match console.admit(&pages::DECISIONS, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    match console.0.sight.decision(&id).await {
        Ok(Some(explanation)) => visit.answer("Decision", &decisions::one(&explanation)),
        Ok(None) => visit.missing("No decision has this id."),
        Err(error) => visit.unavailable(&error),
    }
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
    visit.answer(pages::CASES.name, &cases::list(&console.0.sight.cases(all), all))
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
    match console.0.sight.act(visit.viewer.actor.clone(), number, revision, deed).await {
        Ok(()) => {
            let mut response = Redirect::to(&format!("/console/cases/{number}")).into_response();
            secure(response.headers_mut(), &Nonce::fresh());
            response
        }
        Err(error) => visit.case(&console, &id, StatusCode::CONFLICT, Some(&format!("Not done: {error}."))),
    }
}

async fn ban_list(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::BANS, &headers) {
        Err(response) => *response,
        Ok(visit) => {
            let (seen, banned) = (console.0.sight.live(), console.0.sight.bans());
            visit.answer(pages::BANS.name, &bans::page(&seen, &banned))
        }
    }
}

async fn label_lists(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::LISTS, &headers) {
        Err(response) => *response,
        Ok(visit) => visit.answer(pages::LISTS.name, &lists::page(&console.0.sight.lists())),
    }
}

async fn backup(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::BACKUPS, &headers) {
        Err(response) => *response,
        Ok(visit) => {
            let backup = console.0.sight.backup().await;
            visit.answer(pages::BACKUPS.name, &backups::page(&backup))
        }
    }
}

#[derive(Deserialize)]
struct From {
    from: Option<u64>,
}

async fn entries(
    State(console): State<Console>,
    query: Result<Query<From>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::AUDIT, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let Ok(Query(From { from })) = query else {
        return visit.missing("The address names no entry: from is a number.");
    };
    match console.0.sight.entries(from).await {
        Ok(page) => visit.answer(pages::AUDIT.name, &audit::page(&page)),
        Err(error) => visit.unavailable(&error),
    }
}

/// What somebody without a session is told; with the form of a link they followed.
fn door_text(link: Option<&str>, has_passkeys: bool) -> Markup {
    html! {
        h1 { "Caponier" }
        @if let Some(link) = link {
            p { "This link lets one browser in, once." }
            form method="post" action="/console/enter" {
                input type="hidden" name="link" value=(link);
                button { "Sign in" }
            }
        } @else {
            p { "You are not signed in." }
            @if has_passkeys {
                p { button #passkey { "Sign in with a passkey" } }
                p.card.notice.bad #said role="alert" hidden {}
                noscript { p { "Passkeys need scripts." } }
            }
            p { "On the machine that runs Caponier, ask for a link:" }
            pre { code { "caponier console link --role viewer --name YOUR-NAME" } }
            p.muted { "It can be used once, for a few minutes." }
        }
    }
}

#[derive(Deserialize)]
struct Link {
    link: Option<String>,
}

/// A link only shows a button: whatever follows links on its own (a mail filter, a preview) must not use it up.
async fn door(State(console): State<Console>, query: Result<Query<Link>, QueryRejection>) -> Response {
    let link = query.ok().and_then(|Query(Link { link })| link).filter(|link| link.len() <= SECRET_BYTES_MAX);
    console.door(StatusCode::OK, link.as_deref(), None)
}

async fn enter(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Result<Form<Link>, FormRejection>,
) -> Response {
    if !is_same_origin(&headers) {
        return refused_cross_site();
    }
    let link = form.ok().and_then(|Form(Link { link })| link).filter(|link| link.len() <= SECRET_BYTES_MAX);
    let entered = match &link {
        Some(link) => console.0.visitors.enter(link).await,
        None => Err(crate::NotLetIn),
    };
    match entered {
        Ok(session) => {
            let mut response = Redirect::to("/console").into_response();
            let cookie = format!("{COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=Strict");
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            secure(response.headers_mut(), &Nonce::fresh());
            response
        }
        Err(refused) => console.door(StatusCode::FORBIDDEN, None, Some(refused)),
    }
}

async fn leave(State(console): State<Console>, headers: HeaderMap) -> Response {
    if !is_same_origin(&headers) {
        return refused_cross_site();
    }
    for session in sessions(&headers) {
        console.0.visitors.leave(session).await;
    }
    let mut response = Redirect::to("/console").into_response();
    for cookie in [COOKIE, PASSKEY_COOKIE] {
        let gone = format!("{cookie}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
        if let Ok(gone) = HeaderValue::try_from(gone) {
            response.headers_mut().append(header::SET_COOKIE, gone);
        }
    }
    secure(response.headers_mut(), &Nonce::fresh());
    response
}

fn refused_cross_site() -> Response {
    let text = html! { h1 { "Refused" } p { "The request does not come from a page of this console." } };
    outside_answer(StatusCode::FORBIDDEN, &text)
}

async fn asset(uri: Uri) -> Response {
    match assets::find(uri.path()) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, IMMUTABLE),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ],
            Body::from(asset.bytes),
        )
            .into_response(),
        None => (StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

async fn not_found(State(console): State<Console>, request: Request) -> Response {
    match console.admit(&pages::LIVE, request.headers()) {
        Ok(visit) => visit.missing("There is no page under this address."),
        Err(response) => *response,
    }
}

#[cfg(test)]
mod tests;
