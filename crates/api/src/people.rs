//! Persons and programs at the API: who calls, and how persons store a passkey and sign in.
//!
//! A program presents a bearer token. A person has a session in a cookie that no script can read and no other site can
//! send (`__Host-`, `HttpOnly`, `Secure`, `SameSite=Strict`); what changes something must also say `x-caponier-csrf`, which only a
//! page of the session knows. Nothing has effect before it is recorded.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::UnixNanos;
use identity::{
    CEREMONY_LIFE, Change, Desk, Enrolment, Means, Origin, Principal, Refused, SESSION_LIFE, SignIn,
    webauthn::{ALGORITHMS, PART_BYTES_MAX, WebauthnError},
};
use serde_json::{Value, json};

use crate::{
    BoxFuture, Permission,
    auth::{Caller, bearer},
    limits::SIGN_IN_BODY_BYTES_MAX,
    problem::{Kind, Problem},
    route::{Action, App, Route, json_response, read_body, respond},
    wire::{Fault, Fields},
};

/// A call about the caller's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionCall {
    /// Ends it.
    End,
    /// Says who calls.
    Show,
}

/// The routes of the family that need a permission.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/v1/session",
        permission: Permission::OwnSession,
        action: Action::Session(SessionCall::Show),
    },
    Route {
        method: Method::POST,
        path: "/v1/session/end",
        permission: Permission::OwnSession,
        action: Action::Session(SessionCall::End),
    },
];

/// Name of the cookie of a session.
pub(crate) const COOKIE: &str = "__Host-caponier-session";
/// Header by which a page of the session proves itself.
pub(crate) const CSRF: &str = "x-caponier-csrf";
/// Longest invitation, in bytes.
const INVITE_BYTES_MAX: usize = 128;

/// Why a change of an identity has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be recorded: {why}")]
pub struct NotRecorded {
    /// In words for the operator; not shown to the caller.
    pub why: String,
}

/// Where changes of identities are recorded.
pub trait IdentityLog: Send + Sync {
    /// When it returns, the change is durable and has effect at the desk.
    fn record(&self, change: Change, at: UnixNanos) -> BoxFuture<'_, Result<(), NotRecorded>>;
}

/// What is known of persons and programs.
#[derive(Clone)]
pub struct People {
    /// Who they are.
    pub desk: Arc<Desk>,
    /// Where what they do is recorded.
    pub log: Arc<dyn IdentityLog>,
    /// Where pages are, as browsers say it; `None` where persons do not sign in.
    pub origin: Option<Origin>,
}

impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("People").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Address of the peer of a connection, put into each of its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

fn peer(request: &Request) -> IpAddr {
    // Every connection is accepted from somewhere; the other case exists for tests of single requests.
    request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0)
}

/// The one cookie of a session.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = pairs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE);
    let ((_, value), None) = (found.next()?, found.next()) else { return None };
    Some(value)
}

fn caller_of(principal: Principal) -> Caller {
    Caller::new(principal.actor, principal.capabilities)
}

/// Who calls: a configured token, a program's, or a person's session.
pub(crate) fn caller(app: &App, request: &Request) -> Result<Caller, Problem> {
    let unauthenticated =
        || Problem::new(Kind::Unauthenticated, "send Authorization: Bearer and a token, or sign in");
    let headers = request.headers();
    if headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(headers).ok_or_else(unauthenticated)?;
        if let Some(caller) = app.tokens().caller(token) {
            return Ok(caller.clone());
        }
        let now = app.ports().clock.now();
        let program = app.ports().people.desk.program(token.as_bytes(), peer(request), now);
        return program.map(caller_of).ok_or_else(unauthenticated);
    }
    let cookie = cookie(headers).ok_or_else(unauthenticated)?;
    let now = app.ports().clock.now();
    let (principal, _) = app.ports().people.desk.session(cookie, now).ok_or_else(unauthenticated)?;
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let said = headers.get(CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let site = headers.get("sec-fetch-site").map_or("same-origin".as_bytes(), HeaderValue::as_bytes);
        if !Desk::is_csrf(cookie, said) || site != b"same-origin" {
            let detail = format!("send {CSRF} as the session's own pages do");
            return Err(Problem::new(Kind::CsrfMissing, detail));
        }
    }
    Ok(caller_of(principal))
}

fn origin(app: &App) -> Result<&Origin, Problem> {
    let none = || Problem::new(Kind::NotFound, "persons do not sign in: identity.origin is not configured");
    app.ports().people.origin.as_ref().ok_or_else(none)
}

fn refused(error: &Refused) -> Problem {
    let kind = match error {
        Refused::Invitation => Kind::InvitationRefused,
        _ => Kind::PasskeyRefused,
    };
    Problem::new(kind, error.to_string())
}

fn disbelieved(error: &WebauthnError) -> Problem {
    Problem::new(Kind::PasskeyRefused, error.to_string())
}

async fn record(app: &App, change: Change) -> Result<(), Problem> {
    app.ports().people.log.record(change, app.ports().clock.now()).await.map_err(|error| {
        tracing::error!(%error, "a change of an identity has no effect");
        Problem::new(Kind::Unavailable, "nothing was done")
    })
}

/// What binary parts are sent as.
fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The binary parts of a body.
struct Parts(Fields);

impl Parts {
    async fn read(request: Request) -> Result<Self, Problem> {
        let body = read_body(request, SIGN_IN_BODY_BYTES_MAX).await?;
        Fields::parse(&body).map(Self).map_err(invalid)
    }

    fn bytes(&mut self, name: &str, bytes_max: usize) -> Result<Vec<u8>, Problem> {
        let decode = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "expected base64url without padding")?;
            if bytes.len() > bytes_max { Err("is too long") } else { Ok(bytes) }
        };
        self.0.parsed(name, decode).map_err(invalid)
    }

    fn challenge(&mut self) -> Result<[u8; 32], Problem> {
        let bytes = self.bytes("challenge", 32)?;
        bytes.try_into().map_err(|_| {
            invalid(Fault { field: "challenge".to_owned(), reason: "expected 32 bytes".to_owned() })
        })
    }

    fn invite(&mut self) -> Result<String, Problem> {
        self.0.label("invite", INVITE_BYTES_MAX).map_err(invalid)
    }

    fn finish(self) -> Result<(), Problem> {
        self.0.finish("this request").map_err(invalid)
    }
}

fn invalid(fault: Fault) -> Problem {
    Problem::of_field(Kind::InvalidRequest, fault)
}

/// `POST /v1/enrolment/begin`
pub(crate) async fn begin_enrolment(app: &App, request: Request) -> Result<Value, Problem> {
    let origin = origin(app)?;
    let mut parts = Parts::read(request).await?;
    let invite = parts.invite()?;
    parts.finish()?;
    let (challenge, now) = (crypto::random::array(), app.ports().clock.now());
    let begun = app.ports().people.desk.begin_enrolment(invite.as_bytes(), challenge, now);
    let (user, known) = begun.map_err(|error| refused(&error))?;
    let known: Vec<String> = known.iter().map(|id| encoded(id)).collect();
    // What authenticators keep is no name of a person.
    let handle = crypto::sha256(&[b"caponier user 1", user.as_bytes()]);
    Ok(json!({
        "challenge": encoded(&challenge), "rp_id": origin.rp_id(), "user": user, "user_id": encoded(&handle),
        "algorithms": ALGORITHMS, "exclude": known, "timeout_ms": timeout_ms(),
    }))
}

fn timeout_ms() -> u64 {
    u64::try_from(CEREMONY_LIFE.as_millis()).unwrap_or(u64::MAX)
}

/// `POST /v1/enrolment/finish`
pub(crate) async fn finish_enrolment(app: &App, request: Request) -> Result<Value, Problem> {
    let origin = origin(app)?;
    let mut parts = Parts::read(request).await?;
    let (invite, challenge) = (parts.invite()?, parts.challenge()?);
    let client_data = parts.bytes("client_data", PART_BYTES_MAX)?;
    let attestation = parts.bytes("attestation", PART_BYTES_MAX)?;
    parts.finish()?;
    let enrolment = Enrolment { challenge: &challenge, client_data: &client_data, attestation: &attestation };
    // One at a time from judging to recording: an invitation is good for one passkey.
    let _turn = app.people_turn().lock().await;
    let people = &app.ports().people;
    let judged = people.desk.finish_enrolment(invite.as_bytes(), enrolment, origin, app.ports().clock.now());
    let change = judged.map_err(|error| refused(&error))?.map_err(|error| disbelieved(&error))?;
    let user = change.about().to_owned();
    record(app, change).await?;
    Ok(json!({ "user": user, "enrolled": true }))
}

/// `POST /v1/session/begin`
pub(crate) fn begin_sign_in(app: &App) -> Result<Value, Problem> {
    let origin = origin(app)?;
    let challenge = crypto::random::array();
    app.ports().people.desk.begin_sign_in(challenge, app.ports().clock.now());
    Ok(json!({ "challenge": encoded(&challenge), "rp_id": origin.rp_id(), "timeout_ms": timeout_ms() }))
}

/// `POST /v1/session/finish`
pub(crate) async fn finish_sign_in(app: &App, request: Request) -> Response {
    match signed_in(app, request).await {
        Err(problem) => problem.into_response(),
        Ok((body, cookie)) => with_cookie(&body, &cookie),
    }
}

fn with_cookie(body: &Value, cookie: &str) -> Response {
    let mut response = respond(body.to_string(), "application/json");
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

async fn signed_in(app: &App, request: Request) -> Result<(Value, String), Problem> {
    let origin = origin(app)?;
    let ip = peer(&request);
    let mut parts = Parts::read(request).await?;
    let challenge = parts.challenge()?;
    let passkey = parts.bytes("passkey", PART_BYTES_MAX)?;
    let client_data = parts.bytes("client_data", PART_BYTES_MAX)?;
    let authenticator_data = parts.bytes("authenticator_data", PART_BYTES_MAX)?;
    let signature = parts.bytes("signature", PART_BYTES_MAX)?;
    parts.finish()?;
    let sign_in = SignIn {
        challenge: &challenge,
        passkey: &passkey,
        client_data: &client_data,
        authenticator_data: &authenticator_data,
        signature: &signature,
    };
    let _turn = app.people_turn().lock().await;
    let (desk, now) = (&app.ports().people.desk, app.ports().clock.now());
    let change = desk.finish_sign_in(sign_in, origin, ip, now).map_err(|error| {
        tracing::warn!(%ip, %error, "a sign-in was refused");
        disbelieved(&error)
    })?;
    let user = change.about().to_owned();
    record(app, change).await?;
    let session = desk.open_session(&user, &crypto::random::array(), (Means::Passkey, ip), now);
    let cookie = session.cookie.expose();
    let set = format!(
        "{COOKIE}={cookie}; Path=/; Max-Age={}; HttpOnly; Secure; SameSite=Strict",
        SESSION_LIFE.as_secs()
    );
    let body = json!({
        "user": user, "csrf": session.csrf, "expires_at": session.expires_at.to_string(),
    });
    Ok((body, set))
}

pub(crate) fn serve(app: &App, call: SessionCall, caller: &Caller, headers: &HeaderMap) -> Response {
    match call {
        SessionCall::End => end(app, caller, headers),
        SessionCall::Show => json_response(Ok(show(app, caller, headers))),
    }
}

/// `GET /v1/session`
fn show(app: &App, caller: &Caller, headers: &HeaderMap) -> Value {
    let capabilities: Vec<&str> = caller.permissions().iter().map(|one| one.as_str()).collect();
    let mut shown = json!({ "actor": caller.actor().to_string(), "capabilities": capabilities });
    if let (Some(object), true, Some(cookie)) =
        (shown.as_object_mut(), caller.actor().kind().is_person(), cookie(headers))
    {
        object.insert("csrf".to_owned(), json!(Desk::csrf(cookie)));
        if let Some((_, ends_at)) = app.ports().people.desk.session(cookie, app.ports().clock.now()) {
            object.insert("expires_at".to_owned(), json!(ends_at.to_string()));
        }
    }
    shown
}

/// `POST /v1/session/end`
fn end(app: &App, caller: &Caller, headers: &HeaderMap) -> Response {
    match cookie(headers).filter(|_| caller.actor().kind().is_person()) {
        None => {
            Problem::new(Kind::NotFound, "the call was made by a token and not in a session").into_response()
        }
        Some(cookie) => {
            app.ports().people.desk.end_session(cookie);
            let gone = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict");
            with_cookie(&json!({ "ended": true }), &gone)
        }
    }
}

/// `GET /enrol`: the page an invitation leads to. The invitation stands behind the `#`, which browsers send nowhere.
pub(crate) fn page() -> Response {
    let digest = base64::engine::general_purpose::STANDARD.encode(crypto::sha256(&[SCRIPT.as_bytes()]));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{digest}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let mut response = Response::new(Body::from(PAGE.replace("SCRIPT", SCRIPT)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

const PAGE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>Caponier: store a passkey</title></head><body><main><h1>Store a passkey</h1>\
<p>This link works once. Your device will ask for your fingerprint, face or PIN; none of them leaves it.</p>\
<p><button id=\"store\">Store a passkey</button></p><p id=\"said\" role=\"status\"></p>\
<noscript><p>Passkeys need JavaScript on this page.</p></noscript></main><script>SCRIPT</script></body></html>\n";

const SCRIPT: &str = include_str!("people/enrol.js");
