//! What people see of their own, and that those who develop for one account see nothing else.

use crypto::Secret;
use identity::{FallbackOffer, FallbackState};

use super::*;
use crate::{
    ports::{Operations as _, Own, Retry},
    view::own::{OwnAccount, OwnAppeal, OwnSessions, RefusedLine, SessionLine},
};

/// Somebody with two sessions, a fallback that was begun, and an account.
pub(super) struct Mine;

fn offer() -> FallbackOffer {
    let secret = |text: &str| Secret::new(text.to_owned());
    FallbackOffer { uri: secret("otpauth://totp/x"), secret: secret("MZXW6"), phrase: secret(EVIL) }
}

fn done<'a>(is_done: bool) -> BoxFuture<'a, Result<(), NotDone>> {
    Box::pin(std::future::ready(if is_done { Ok(()) } else { Err(NotDone(EVIL.to_owned())) }))
}

impl Own for Mine {
    fn sessions(&self, _: &Viewer, cookies: &[&str]) -> OwnSessions {
        let line = |id: &str, is_this| SessionLine {
            id: id.to_owned(),
            user: EVIL.to_owned(),
            means: EVIL.to_owned(),
            ip: EVIL.to_owned(),
            begun_at: UnixNanos::from_secs(1),
            used_at: UnixNanos::from_secs(2),
            is_this,
        };
        OwnSessions {
            sessions: vec![line("s-1", !cookies.is_empty()), line(EVIL, false)],
            more: 1,
            fallback: Some(FallbackState::Locked),
            is_fresh: true,
        }
    }

    fn end_session<'a>(
        &'a self,
        _: &'a Viewer,
        _: &'a [&'a str],
        id: &'a str,
    ) -> BoxFuture<'a, Result<(), NotDone>> {
        done(id == "s-1")
    }

    fn begin_fallback(&self, cookies: &[&str]) -> Result<FallbackOffer, NotDone> {
        if cookies.contains(&"viewer") { Ok(offer()) } else { Err(NotDone(EVIL.to_owned())) }
    }

    fn confirm_fallback<'a>(
        &'a self,
        _: &'a [&'a str],
        code: &'a str,
        _: IpAddr,
    ) -> BoxFuture<'a, Result<(), Retry>> {
        Box::pin(async move {
            match code {
                "123456" => Ok(()),
                "000000" => Err((NotDone(EVIL.to_owned()), Some(offer()))),
                _ => Err((NotDone(EVIL.to_owned()), None)),
            }
        })
    }

    fn end_fallback<'a>(&'a self, cookies: &'a [&'a str]) -> BoxFuture<'a, Result<(), NotDone>> {
        done(cookies.contains(&"viewer"))
    }

    fn appeal(&self, viewer: Viewer, decision: String, text: String) -> BoxFuture<'_, Result<(), NotDone>> {
        let is_own = viewer.account.is_some_and(|account| account.as_str() == "customer-1");
        done(is_own && decision == "d-1" && text == "it was me")
    }

    fn account(&self, account: &AccountId) -> Result<OwnAccount, Unavailable> {
        if account.as_str() == "dark" {
            return Err(Unavailable(EVIL.to_owned()));
        }
        let key = operations::Office.key("k-1");
        Ok(OwnAccount {
            keys: key.into_iter().collect(),
            keys_more: 2,
            stopped: vec![line()],
            refused: vec![RefusedLine { at: UnixNanos::from_secs(1), reason: EVIL.to_owned(), count: 3 }],
            looked_at: 20_000,
            appeals: ["dec-9", EVIL]
                .map(|against| OwnAppeal {
                    id: EVIL.to_owned(),
                    against: against.to_owned(),
                    at: UnixNanos::from_secs(1),
                    state: "open",
                    reason: Some(EVIL.to_owned()),
                })
                .to_vec(),
            appeal: Some(EVIL.to_owned()),
        })
    }
}

async fn post_as(
    path: &str,
    session: Option<&str>,
    site: &str,
    form: &str,
) -> (StatusCode, HeaderMap, String) {
    let request = asked(&Method::POST, path, session)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", site)
        .body(Body::from(form.to_owned()))
        .unwrap();
    answer(request).await
}

#[tokio::test]
async fn who_develops_for_one_account_reaches_its_page_and_nothing_else() {
    let dev = Some("of:customer-1");
    let (status, _, body) = get_as("/console/own", dev).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("Account customer-1") && body.contains("id=\"appeal\""));
    assert!(!body.contains("<script>") && !body.contains("<img src=x"));
    // What is stopped elsewhere is nothing to them.
    assert!(!body.contains("class=\"stop"), "{body}");
    let (status, headers, _) = get_as("/console", dev).await;
    assert_eq!((status, headers[header::LOCATION].as_bytes()), (StatusCode::SEE_OTHER, &b"/console/own"[..]));
    let more = ["/console/live", "/console/find?q=x", "/console/rules/new", "/console/none"];
    let exports =
        ["cases", "alerts", "decisions", "bans"].map(|table| format!("/console/export/{table}.csv"));
    let others = all_pages().into_iter().map(|(path, _)| path);
    for path in others.chain(more.map(str::to_owned)).chain(exports) {
        if path == "/console" || path == "/console/own" {
            continue;
        }
        let (status, _, body) = get_as(&path, dev).await;
        assert!(!status.is_success() && !status.is_redirection(), "{path}: {status}");
        assert!(!body.contains("1.5 BTC") && !body.contains("&lt;"), "{path} tells them something");
    }
    for path in [
        "/console/keys/k-1",
        "/console/bans",
        "/console/emergency",
        "/console/cases/12",
        "/console/cases/many",
        "/console/changes/42",
        "/console/backups",
        "/console/rules",
        "/console/rules/draft",
        "/console/models/0def",
        "/console/sessions/end",
        "/console/sessions/fallback",
        "/console/sessions/fallback/confirm",
        "/console/sessions/fallback/end",
    ] {
        let (status, _, body) =
            post_as(path, dev, "same-origin", "id=s-1&code=123456&deed=freeze&reason=x").await;
        assert!(!status.is_success() && !status.is_redirection(), "{path}: {status}");
        assert!(!body.contains("1.5 BTC"), "{path}");
    }
}

#[tokio::test]
async fn a_key_of_another_account_is_one_that_is_not_there() {
    let dev = Some("of:customer-1");
    for (form, status) in [
        ("key=k-1&deed=revoke", StatusCode::NOT_FOUND),
        ("key=none&deed=freeze", StatusCode::NOT_FOUND),
        // Nobody gets more by this page.
        ("key=k-1&deed=unfreeze", StatusCode::BAD_REQUEST),
        ("deed=freeze", StatusCode::BAD_REQUEST),
        ("deed=appeal&decision=d-1&text=it+was+me", StatusCode::SEE_OTHER),
        ("deed=appeal&decision=d-2&text=it+was+me", StatusCode::CONFLICT),
        ("deed=appeal&decision=d-1&text=+", StatusCode::BAD_REQUEST),
        ("deed=appeal&text=it+was+me", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(post_as("/console/own", dev, "same-origin", form).await.0, status, "{form}");
    }
    let cross = post_as("/console/own", dev, "cross-site", "key=k-1&deed=revoke").await;
    assert!(cross.0 == StatusCode::FORBIDDEN && cross.2.contains("Refused"));
    assert_eq!(post_as("/console/own", Some("admin"), "same-origin", "key=k-1&deed=revoke").await.0, 403);
    let (status, _, body) = get_as("/console/own", Some("of:dark")).await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && body.contains("&lt;script&gt;"));
}

#[tokio::test]
async fn phrase_and_code_are_a_form_and_every_refusal_has_its_page() {
    let (_, _, door) = get_as("/console", None).await;
    assert!(door.contains("action=\"/console/enter/code\""));
    let send = async |form: &str, site: &str| post_as("/console/enter/code", None, site, form).await;
    let (status, headers, _) = send("name=viewer&phrase=ABCDE&code=123456", "same-origin").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(
        headers[header::SET_COOKIE],
        "__Host-caponier-session=viewer; Path=/; Secure; HttpOnly; SameSite=Strict"
    );
    let long = format!("name=viewer&phrase={}&code=1", "A".repeat(SECRET_BYTES_MAX + 1));
    for (form, site, status, words) in [
        ("name=viewer&phrase=ABCDE&code=123456", "cross-site", StatusCode::FORBIDDEN, "Refused"),
        ("name=viewer&phrase=ABCDE&code=7", "same-origin", StatusCode::FORBIDDEN, "do not fit together"),
        ("name=viewer&phrase=ABCDE&code=000000", "same-origin", StatusCode::SERVICE_UNAVAILABLE, "recorded"),
        ("name=ben&phrase=A&code=1", "same-origin", StatusCode::TOO_MANY_REQUESTS, "too many tries"),
        ("name=viewer", "same-origin", StatusCode::FORBIDDEN, "do not fit together"),
        (&long, "same-origin", StatusCode::FORBIDDEN, "do not fit together"),
    ] {
        let (got, headers, body) = send(form, site).await;
        assert!(got == status && body.contains(words), "{form}: {got}");
        assert!(!headers.contains_key(header::SET_COOKIE));
    }
}

#[tokio::test]
async fn a_fallback_is_shown_once_and_set_by_a_code() {
    let (_, _, page) = get_as("/console/sessions", Some("viewer")).await;
    assert!(page.contains("this one") && page.contains("locked") && page.contains("1 more"));
    let send =
        async |path: &str, session: &str, form: &str| post_as(path, Some(session), "same-origin", form).await;
    let (status, headers, shown) = send("/console/sessions/fallback", "viewer", "").await;
    assert_eq!((status, headers[header::CACHE_CONTROL].as_bytes()), (StatusCode::OK, &b"no-store"[..]));
    assert!(shown.contains("<svg class=\"qr\"") && shown.contains("MZXW6") && !shown.contains("<script>"));
    for (path, session, form, status) in [
        ("/console/sessions/fallback", "sre", "", StatusCode::CONFLICT),
        ("/console/sessions/fallback/confirm", "viewer", "code=123456", StatusCode::SEE_OTHER),
        ("/console/sessions/fallback/confirm", "viewer", "code=7", StatusCode::CONFLICT),
        ("/console/sessions/fallback/confirm", "viewer", "", StatusCode::CONFLICT),
        ("/console/sessions/fallback/end", "viewer", "", StatusCode::SEE_OTHER),
        ("/console/sessions/fallback/end", "sre", "", StatusCode::CONFLICT),
        ("/console/sessions/end", "viewer", "id=s-1", StatusCode::SEE_OTHER),
        ("/console/sessions/end", "viewer", "id=other", StatusCode::CONFLICT),
        ("/console/sessions/end", "viewer", "", StatusCode::BAD_REQUEST),
        ("/console/sessions/end", "nobody", "id=s-1", StatusCode::UNAUTHORIZED),
    ] {
        let (got, _, body) = send(path, session, form).await;
        assert_eq!(got, status, "{path} {form} as {session}");
        assert!(!body.contains("<script>"), "{path}");
    }
    let (_, _, again) = send("/console/sessions/fallback/confirm", "viewer", "code=000000").await;
    assert!(again.contains("<svg class=\"qr\"") && again.contains("Not set"), "the same once more");
    for path in ["end", "fallback", "fallback/confirm", "fallback/end"] {
        let path = format!("/console/sessions/{path}");
        let (status, ..) = post_as(&path, Some("viewer"), "cross-site", "id=s-1&code=123456").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
}
