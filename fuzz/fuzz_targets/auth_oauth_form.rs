//! Queries and form bodies of apps: no browser is sent anywhere but to the consent page or a registered address, and
//! nobody gets a token without a consent.
#![no_main]

use std::sync::{Arc, LazyLock};

use auth::{
    ReplayWindow,
    oauth::{App, AppChange, AuthorizeFailure, Form, Ledger, OauthConfig, OauthServer, parse_scope},
};
use crypto::Secret;
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);
const REDIRECT: &str = "https://app.example/cb?a=b";
const CONSENT: &str = "https://www.example.com/consent";

const EXAMPLES: [&[u8]; 3] = [
    b"response_type=code&client_id=app-1&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fa%3Db&scope=read+trade&state=xyz&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
    b"grant_type=authorization_code&client_id=app-1&code=AAAA&redirect_uri=x&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    b"grant_type=refresh_token&client_id=app-1&refresh_token=cap_rt_AAAA&token=cap_at_AAAA",
];

static SERVER: LazyLock<OauthServer> = LazyLock::new(|| {
    let config = OauthConfig::new("https://api.example.com", CONSENT).expect("valid settings");
    let scopes = parse_scope("read trade").expect("valid scopes");
    let app = App::new("app-1", "Bot", &[REDIRECT], scopes, NOW).expect("a valid app");
    let ledger = Arc::new(Ledger::new(8));
    ledger.apply(AppChange::Registered(Arc::new(app))).expect("room for an app");
    OauthServer::new(config, ledger, &Secret::new([1; 32]), ReplayWindow::new(100, 1))
});

fuzz_target!(|data: &[u8]| {
    let bytes = edited(&EXAMPLES, data);
    if let Ok(form) = Form::parse(&bytes) {
        for name in ["client_id", "redirect_uri", "state", "code", "scope"] {
            if let Some(value) = form.value(name) {
                assert!(!value.is_empty() && !value.chars().any(char::is_control));
            }
        }
    }
    match SERVER.authorize(&bytes, [7; 16], NOW) {
        Ok(url) => {
            let handle = url.strip_prefix(CONSENT).and_then(|rest| rest.strip_prefix("?request="));
            let view = SERVER.consent_view(handle.expect("the consent page"), NOW).expect("our own handle");
            assert_eq!((view.app.client_id(), view.redirect_uri.as_str()), ("app-1", REDIRECT));
        }
        Err(AuthorizeFailure::Redirect(url)) => {
            let rest = url.strip_prefix(REDIRECT).expect("the registered address");
            assert!(rest.starts_with("&error=") && url.is_ascii() && !url.contains(char::is_whitespace));
        }
        Err(AuthorizeFailure::Page(_)) => {}
    }
    if let Ok(handle) = std::str::from_utf8(&bytes) {
        assert!(SERVER.consent_view(handle, NOW).is_none(), "a handle without our MAC");
    }
    let outcome = SERVER.token(&bytes, Some(data), NOW);
    assert!(outcome.answer.is_err() && outcome.change.is_none());
    assert!(SERVER.revoke(&bytes, NOW).change.is_none(), "a token without our MAC");
});
