//! The way in and out.

use axum::{
    Router,
    extract::{
        Form, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    COOKIE, Console, PASSKEY_COOKIE, Remote, SECRET_BYTES_MAX, is_same_origin, refused_cross_site, sessions,
};
use crate::{
    NotLetIn,
    headers::{Nonce, secure},
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/enter", get(door).post(enter))
        .route("/console/enter/code", post(enter_by_code))
        .route("/console/leave", post(leave))
}

/// What somebody without a session is told; with the form of a link they followed.
pub(super) fn door_text(link: Option<&str>, has_passkeys: bool, has_codes: bool) -> Markup {
    html! {
        h1 { "Sign in" }
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
            @if has_codes {
                details {
                    summary { "Without your passkey" }
                    form.stacked method="post" action="/console/enter/code" {
                        label { "Name" input name="name" required maxlength="64" autocomplete="username"; }
                        label { "Phrase" input name="phrase" type="password" required maxlength="64" autocomplete="current-password"; }
                        label { "Code" input name="code" required inputmode="numeric" pattern="[0-9]{6}" maxlength="6" autocomplete="one-time-code"; }
                        button { "Sign in" }
                    }
                }
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
    Remote(ip): Remote,
    headers: HeaderMap,
    form: Result<Form<Link>, FormRejection>,
) -> Response {
    if !is_same_origin(&headers) {
        return refused_cross_site();
    }
    let link = form.ok().and_then(|Form(Link { link })| link).filter(|link| link.len() <= SECRET_BYTES_MAX);
    let entered = match &link {
        Some(link) => console.0.ports.visitors.enter(link, ip).await,
        None => Err(NotLetIn::Link),
    };
    match entered {
        Ok(session) => {
            let mut response = Redirect::to("/console").into_response();
            set_cookie(&mut response, COOKIE, &session);
            response
        }
        Err(refused) => not_let_in(&console, refused),
    }
}

fn set_cookie(response: &mut Response, name: &str, session: &str) {
    let cookie = format!("{name}={session}; Path=/; Secure; HttpOnly; SameSite=Strict");
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    secure(response.headers_mut(), &Nonce::fresh());
}

fn not_let_in(console: &Console, refused: NotLetIn) -> Response {
    let status = match refused {
        NotLetIn::Code | NotLetIn::Link => StatusCode::FORBIDDEN,
        NotLetIn::TooMany => StatusCode::TOO_MANY_REQUESTS,
        NotLetIn::Unrecorded => StatusCode::SERVICE_UNAVAILABLE,
    };
    console.door(status, None, Some(&format!("Not let in: {refused}.")))
}

#[derive(Deserialize)]
struct Said {
    name: String,
    phrase: String,
    code: String,
}

async fn enter_by_code(
    State(console): State<Console>,
    Remote(ip): Remote,
    headers: HeaderMap,
    form: Result<Form<Said>, FormRejection>,
) -> Response {
    if !is_same_origin(&headers) {
        return refused_cross_site();
    }
    let is_short = |said: &Said| {
        [&said.name, &said.phrase, &said.code].iter().all(|text| text.len() <= SECRET_BYTES_MAX)
    };
    let entered = match form.ok().map(|Form(said)| said).filter(is_short) {
        Some(Said { name, phrase, code }) => {
            let said = identity::CodeSignIn { user: &name, phrase: &phrase, code: &code };
            console.0.ports.visitors.enter_by_code(said, ip).await
        }
        None => Err(NotLetIn::Code),
    };
    match entered {
        Ok(session) => {
            let mut response = Redirect::to("/console").into_response();
            set_cookie(&mut response, PASSKEY_COOKIE, &session);
            response
        }
        Err(refused) => not_let_in(&console, refused),
    }
}

async fn leave(State(console): State<Console>, headers: HeaderMap) -> Response {
    if !is_same_origin(&headers) {
        return refused_cross_site();
    }
    for session in sessions(&headers) {
        console.0.ports.visitors.leave(session).await;
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
