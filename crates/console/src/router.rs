//! From a request to a page: one module for each family of pages, and what they have in common.

mod backups;
mod bans;
mod cases;
mod changes;
mod decisions;
mod doors;
mod emergency;
mod export;
mod inquiry;
mod keys;
mod live;
mod models;
mod own;
mod rules;
mod sessions;
mod webhooks;

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use futures_util::StreamExt as _;
use identity::Capability;
use maud::{Markup, html};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::{
    assets,
    headers::{IMMUTABLE, Nonce, secure},
    layout::{Frame, outside},
    pages::{self, Page, audit, lists},
    ports::{Ports, Unavailable, Viewer},
};

/// Most live pages at a time, over all viewers.
pub const STREAMS_MAX: usize = 64;
/// Largest form of a page, in bytes; that of a draft of rules may be larger.
const FORM_BYTES_MAX: usize = 256 << 10;
/// Of a form that is too large, at most so much is passed over before it is answered.
const DRAINED_BYTES_MAX: usize = 16 << 20;
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
    ports: Ports,
    streams: Arc<Semaphore>,
    exports: Arc<Semaphore>,
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
    pub fn new(ports: Ports) -> Self {
        Self(Arc::new(Inside {
            ports,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            exports: Arc::new(Semaphore::new(export::EXPORTS_MAX)),
        }))
    }

    /// Everything below `/console`, and `/`, which leads there.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(async || Redirect::to("/console")))
            .route("/console/lists", get(label_lists))
            .route("/console/health", get(health))
            .route("/console/audit", get(entries))
            .route("/console/audit/{seq}", get(proof))
            .route("/console/assets/{file}", get(asset))
            .route("/console/{*rest}", get(not_found))
            .merge(cases::routes())
            .merge(backups::routes())
            .merge(bans::routes())
            .merge(changes::routes())
            .merge(decisions::routes())
            .merge(export::routes())
            .merge(inquiry::routes())
            .merge(doors::routes())
            .merge(emergency::routes())
            .merge(keys::routes())
            .merge(live::routes())
            .merge(models::routes())
            .merge(own::routes())
            .merge(rules::routes())
            .merge(sessions::routes())
            .merge(webhooks::routes())
            .layer(middleware::from_fn_with_state(self.clone(), small_forms))
            .with_state(self.clone())
    }

    /// Ends the live pages within a second, so that the server can stop.
    pub fn close(&self) {
        self.0.streams.close();
    }

    fn viewer(&self, headers: &HeaderMap) -> Option<Viewer> {
        sessions(headers).find_map(|session| self.0.ports.visitors.viewer(session))
    }

    /// The page of somebody without a session; with the form of a link they followed, or why they see it.
    fn door(&self, status: StatusCode, link: Option<&str>, says: Option<&str>) -> Response {
        let nonce = Nonce::fresh();
        let has_passkeys = self.0.ports.visitors.has_passkeys();
        let text = html! {
            @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
            (doors::door_text(link, has_passkeys, self.0.ports.visitors.has_codes()))
        };
        let script = has_passkeys.then_some(&nonce);
        html_answer(status, &nonce, outside("Sign in", script, &text))
    }

    /// Who asks, if they may see the page; else the answer they get.
    fn admit(&self, page: &'static Page, headers: &HeaderMap) -> Result<Visit, Box<Response>> {
        // The cookie of a session that is none any more: they were in the middle of something.
        let had_session = sessions(headers).next().is_some();
        self.let_in(page, headers, had_session.then_some("Your session has ended."), None)
    }

    /// Who sends a form of a page, if they may see the page; else the answer they get, which says that nothing was done.
    fn admit_form(&self, page: &'static Page, headers: &HeaderMap) -> Result<Visit, Box<Response>> {
        if !is_same_origin(headers) {
            return Err(Box::new(refused_cross_site()));
        }
        let ended = "Your session has ended: nothing was done. Sign in and do it again.";
        self.let_in(page, headers, Some(ended), Some("Nothing was done."))
    }

    fn let_in(
        &self,
        page: &'static Page,
        headers: &HeaderMap,
        ended: Option<&str>,
        undone: Option<&str>,
    ) -> Result<Visit, Box<Response>> {
        let Some(viewer) = self.viewer(headers) else {
            return Err(Box::new(self.door(StatusCode::UNAUTHORIZED, None, ended)));
        };
        // Who develops for one account learns nothing of the rest.
        let banner = if viewer.may(Capability::ReadHealth) {
            pages::emergency::banner(&self.0.ports.operations.stopped(), &viewer)
        } else {
            Markup::default()
        };
        let waiting =
            if viewer.may(pages::CHANGES.capability) { self.0.ports.changes.waiting(&viewer) } else { 0 };
        let visit = Visit { viewer, nonce: Nonce::fresh(), page, waiting, banner };
        if visit.viewer.may(page.capability) {
            return Ok(visit);
        }
        let text = html! {
            h1 { "Not for your role" }
            p { "This page needs " code { (page.capability.as_str()) } ", which none of your roles has." }
            @if let Some(undone) = undone { p { b { (undone) } } }
        };
        Err(Box::new(visit.answer_with(StatusCode::FORBIDDEN, page.name, &text)))
    }
}

/// Where a request comes from, as the listener saw the connection. Without a listener, which tests do without, from nowhere.
struct Remote(IpAddr);

impl<S: Sync> FromRequestParts<S> for Remote {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(info.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip())))
    }
}

/// Somebody who looks at a page.
struct Visit {
    viewer: Viewer,
    nonce: Nonce,
    page: &'static Page,
    banner: Markup,
    /// Changes that wait for them.
    waiting: usize,
}

impl Visit {
    fn answer(&self, title: &str, content: &Markup) -> Response {
        self.answer_with(StatusCode::OK, title, content)
    }

    fn answer_with(&self, status: StatusCode, title: &str, content: &Markup) -> Response {
        let Self { viewer, nonce, page, waiting, banner } = self;
        let frame = Frame { nonce, viewer, page, waiting: *waiting, banner };
        html_answer(status, &self.nonce, frame.render(title, content))
    }

    /// The answer to somebody who may see the page and not do this.
    fn lacks(&self, capability: Capability) -> Option<Response> {
        (!self.viewer.may(capability)).then(|| {
            let text = html! {
                h1 { "Not for your role" }
                p { "This needs " code { (capability.as_str()) } ", which none of your roles has." }
            };
            self.answer_with(StatusCode::FORBIDDEN, self.page.name, &text)
        })
    }

    fn unavailable(&self, why: &Unavailable) -> Response {
        let text = html! { h1 { (self.page.name) } p.card.notice.bad role="alert" { (why) } };
        self.answer_with(StatusCode::SERVICE_UNAVAILABLE, self.page.name, &text)
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

/// Back to a page after a form was carried out.
fn see_other(path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    secure(response.headers_mut(), &Nonce::fresh());
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

async fn label_lists(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::LISTS, &headers) {
        Err(response) => *response,
        Ok(visit) => visit.answer(pages::LISTS.name, &lists::page(&console.0.ports.sight.lists())),
    }
}

async fn health(State(console): State<Console>, headers: HeaderMap) -> Response {
    match console.admit(&pages::HEALTH, &headers) {
        Err(response) => *response,
        Ok(visit) => {
            let health = console.0.ports.operations.health().await;
            visit.answer(pages::HEALTH.name, &pages::health::page(&health))
        }
    }
}

#[derive(Deserialize)]
struct From {
    from: Option<String>,
    kind: Option<String>,
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
    let asked = query.ok().map(|Query(asked)| asked);
    // An empty field of the form is none.
    let from =
        |asked: &From| asked.from.as_deref().filter(|text| !text.is_empty()).map(str::parse).transpose();
    let Some((Ok(from), kind)) = asked.map(|asked| (from(&asked), asked.kind)) else {
        return visit.missing("The address names no entry: from is a number.");
    };
    match console.0.ports.sight.entries(from, kind.as_deref().filter(|kind| !kind.is_empty())).await {
        Ok(page) => visit.answer(pages::AUDIT.name, &audit::page(&page)),
        Err(error) => visit.unavailable(&error),
    }
}

async fn proof(State(console): State<Console>, Path(seq): Path<String>, headers: HeaderMap) -> Response {
    let visit = match console.admit(&pages::AUDIT, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let Ok(seq) = seq.parse() else { return visit.missing("The address names no entry.") };
    let entry = match console.0.ports.sight.entries(Some(seq), None).await {
        Ok(page) => page.entries.into_iter().find(|entry| entry.seq == seq),
        Err(error) => return visit.unavailable(&error),
    };
    let Some(entry) = entry else { return visit.missing("There is no such entry.") };
    let proof = console.0.ports.operations.proof(seq).await;
    visit.answer("Entry", &audit::one(&entry, proof.as_ref()))
}

fn refused_cross_site() -> Response {
    let text = html! {
        h1 { "Refused" }
        p { "The request does not come from a page of this console: nothing was done." }
        p { a href="/console" { "To the console" } }
    };
    outside_answer(StatusCode::FORBIDDEN, &text)
}

/// Answers a form that is too large before anything looks at it. Who is signed in may finish sending, and sees why: a browser
/// shows no answer that comes before it has sent everything.
async fn small_forms(State(console): State<Console>, request: Request, next: Next) -> Response {
    let most = if request.uri().path() == rules::EDIT { rules::FORM_BYTES_MAX } else { FORM_BYTES_MAX };
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    if length <= most {
        return next.run(request).await;
    }
    if console.viewer(request.headers()).is_some() && length <= DRAINED_BYTES_MAX {
        let mut rest = request.into_body().into_data_stream();
        while let Some(Ok(_)) = rest.next().await {}
    }
    let text = html! {
        h1 { "Too large" }
        p { "The form has " (length >> 10) " KiB and may have " (most >> 10) " KiB: nothing was done." }
        p { a href="/console" { "To the console" } }
    };
    outside_answer(StatusCode::PAYLOAD_TOO_LARGE, &text)
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
