//! Persons in a real browser, which makes and uses the passkeys, and programs with tokens of their own.

use std::{fs, process::Command, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    browser::Browser,
    support::{House, PATIENCE, Serving, Settings, control_api, finish, skipped},
};

/// An installation where persons sign in, and its origin as a browser on this machine has it.
async fn house_with_people() -> (House, String) {
    house_with("").await
}

/// The same with more keys of `[identity]`.
async fn house_with(keys: &str) -> (House, String) {
    let house = House::build(Settings::default()).await;
    let file = house.config();
    let text = fs::read_to_string(&file).unwrap();
    let (_, api) = text.split_once("[api]\nlisten = \"").unwrap();
    let port = api.split_once('"').unwrap().0.rsplit_once(':').unwrap().1.to_owned();
    let origin = format!("http://localhost:{port}");
    fs::write(&file, format!("{text}\n[identity]\norigin = \"{origin}\"\n{keys}")).unwrap();
    (house, origin)
}

/// A page whose browser has an authenticator that makes and uses passkeys.
async fn page_with_authenticator(browser: &mut Browser) -> String {
    let page = browser.page("").await;
    browser.ask(Some(&page), "WebAuthn.enable", json!({})).await;
    let options = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": true, "automaticPresenceSimulation": true,
    });
    browser.ask(Some(&page), "WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await;
    page
}

/// What is called on a page that is at the origin: status and body.
async fn fetch(browser: &mut Browser, page: &str, method: &str, path: &str, headers: &Value) -> Value {
    let expression = format!(
        "fetch({path:?}, {{ method: {method:?}, headers: {headers} }}).then(async (a) => [a.status, await a.json()])"
    );
    let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
    let mut got = browser.ask(Some(page), "Runtime.evaluate", params).await;
    got["result"]["value"].take()
}

/// A form of a page sent from a page that is at the origin: the status of where it led to, its path, and the page.
async fn form(
    browser: &mut Browser,
    page: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> (u64, String, String) {
    let fields = json!(fields);
    let expression = format!(
        "fetch({path:?}, {{ method: 'POST', body: new URLSearchParams({fields}) }})\
         .then(async (a) => [a.status, new URL(a.url).pathname, await a.text()])"
    );
    let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
    let got = browser.ask(Some(page), "Runtime.evaluate", params).await;
    let value = &got["result"]["value"];
    let text = |at: usize| value[at].as_str().unwrap_or_default().to_owned();
    (value[0].as_u64().unwrap_or_default(), text(1), text(2))
}

/// What an authenticator app shows for a secret, computed by oathtool.
fn code(secret: &str, moment: &str) -> String {
    let mut tool = Command::new("oathtool");
    tool.args(["--totp", "--base32", "--now", moment, secret]);
    finish(&mut tool).exits(0).stdout.trim().to_owned()
}

async fn api(serving: &Serving, token: &str, path: &str) -> u16 {
    control_api(serving.api(), token, "GET", path, String::new()).await.unwrap().0
}

/// The first person opens the set-up link, stores a passkey and is signed in; the link works once; a restart ends the
/// session and not the passkey; a person who is removed is out at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_stores_a_passkey_and_signs_in_with_it() {
    let Some(mut browser) = Browser::start().await else { return };
    let (house, origin) = house_with_people().await;
    let serving = house.serve();
    let link = serving.text("setup").to_owned();
    assert!(link.starts_with(&format!("{origin}/enrol#")), "{link}");

    let page = page_with_authenticator(&mut browser).await;
    let said = enrol(&mut browser, &page, &link).await;
    assert!(said.starts_with("Stored. admin is signed in until"), "{said}");
    let policy = browser.events.iter().filter(|event| event["method"] == "Log.entryAdded");
    assert_eq!(policy.filter(|event| event.to_string().contains("Content Security Policy")).count(), 0);
    let cookies = browser.ask(Some(&page), "Network.getCookies", json!({ "urls": [origin] })).await;
    let [cookie] = &cookies["cookies"].as_array().unwrap()[..] else { panic!("{cookies}") };
    assert_eq!((&cookie["name"], &cookie["sameSite"]), (&json!("__Host-caponier-session"), &json!("Strict")));
    assert_eq!((&cookie["httpOnly"], &cookie["secure"]), (&json!(true), &json!(true)));

    // What the role allows, and nothing without the page's word.
    let me = fetch(&mut browser, &page, "GET", "/v1/session", &json!({})).await;
    assert_eq!((&me[0], &me[1]["actor"]), (&json!(200), &json!("user:admin")), "{me}");
    assert_eq!(fetch(&mut browser, &page, "GET", "/v1/health", &json!({})).await[0], 200);
    assert_eq!(fetch(&mut browser, &page, "GET", "/v1/decisions", &json!({})).await[0], 403);
    let wordless = fetch(&mut browser, &page, "POST", "/v1/session/end", &json!({})).await;
    assert_eq!(wordless[1]["type"], "urn:caponier:problem:csrf-missing", "{wordless}");
    let roles = ["users", "roles", "admin", "--role", "admin,viewer"];
    house.ask(&roles).exits(0);
    assert_eq!(fetch(&mut browser, &page, "GET", "/v1/decisions", &json!({})).await[0], 200);

    // The link was used up, for the same browser and for another.
    let again = enrol(&mut browser, &page, &link).await;
    assert!(again.starts_with("Not stored: invitation is not good"), "{again}");
    assert_eq!(serving.stop(), 0);

    let serving = house.serve();
    assert!(serving.ready["setup"].is_null(), "somebody has a passkey");
    browser.ask(Some(&page), "Page.navigate", json!({ "url": format!("{origin}/enrol") })).await;
    let deadline = Instant::now() + PATIENCE;
    while fetch(&mut browser, &page, "GET", "/v1/session", &json!({})).await[0] != 401 {
        assert!(Instant::now() < deadline, "the session outlived the process");
        sleep(Duration::from_millis(50)).await;
    }
    let users = house.ask(&["users", "list"]).exits(0).json();
    assert_eq!(users["users"][0]["passkeys"], 1, "{users}");
    house.ask(&["users", "remove", "admin"]).exits(0);
    let users = house.ask(&["users", "list"]).exits(0).json();
    assert_eq!(users["users"], json!([]));
    drop(browser);
    assert_eq!(serving.stop(), 0);
    let log = house.ask(&["log", "--kind", "identity"]).exits(0).stdout;
    for change in ["invited", "enrolled", "signed_in", "roles_set", "user_removed"] {
        assert!(log.contains(&format!("\"change\":{change:?}")), "{change} not in {log}");
    }
}

/// Whoever has no passkey at hand signs in by a phrase and a code of their app, each code once, and approves nothing; over a
/// restart. The codes are oathtool's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phrase_and_a_code_let_in_without_the_passkey() {
    let Some(mut browser) = Browser::start().await else { return };
    if finish(Command::new("sh").args(["-c", "command -v oathtool"])).code != 0 {
        return skipped("oathtool is not installed; run cargo xtask setup");
    }
    let (house, origin) = house_with("totp = \"fallback\"\n").await;
    let serving = house.serve();
    let link = serving.text("setup").to_owned();
    let page = page_with_authenticator(&mut browser).await;
    let said = enrol(&mut browser, &page, &link).await;
    assert!(said.starts_with("Stored."), "{said}");

    let (status, _, offer) = form(&mut browser, &page, "/console/sessions/fallback", &[]).await;
    assert_eq!(status, 200, "{offer}");
    assert!(offer.contains("<svg"), "a picture for the app");
    let shown = |class: &str| {
        let (_, rest) = offer.split_once(&format!("<code class=\"{class}\">")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let (phrase, secret) = (shown("phrase"), shown("secret").replace(' ', ""));
    let confirm = "/console/sessions/fallback/confirm";
    let (status, ..) = form(&mut browser, &page, confirm, &[("code", "000000")]).await;
    assert_eq!(status, 409, "not a code of this app");
    let now = code(&secret, "now");
    let (status, path, _) = form(&mut browser, &page, confirm, &[("code", &now)]).await;
    assert_eq!((status, path.as_str()), (200, "/console/sessions"));
    form(&mut browser, &page, "/console/leave", &[]).await;
    assert_eq!(fetch(&mut browser, &page, "GET", "/v1/session", &json!({})).await[0], 401);
    assert_eq!(serving.stop(), 0);

    let serving = house.serve();
    browser.ask(Some(&page), "Page.navigate", json!({ "url": format!("{origin}/enrol") })).await;
    let deadline = Instant::now() + PATIENCE;
    while fetch(&mut browser, &page, "GET", "/v1/session", &json!({})).await[0] != 401 {
        assert!(Instant::now() < deadline, "the process does not answer");
        sleep(Duration::from_millis(50)).await;
    }
    let enter = "/console/enter/code";
    let later = code(&secret, "now + 30 seconds");
    for (phrase, code) in [("AAAA-AAAA-AAAA-AAAA-AAAA", later.as_str()), (phrase.as_str(), now.as_str())] {
        let fields = [("name", "admin"), ("phrase", phrase), ("code", code)];
        let (status, ..) = form(&mut browser, &page, enter, &fields).await;
        assert_eq!(status, 403, "a wrong phrase, and a code that was used");
    }
    let fields = [("name", "admin"), ("phrase", phrase.as_str()), ("code", later.as_str())];
    let (status, ..) = form(&mut browser, &page, enter, &fields).await;
    assert_eq!(status, 200);
    let me = fetch(&mut browser, &page, "GET", "/v1/session", &json!({})).await;
    assert_eq!(me[1]["actor"], "user:admin", "{me}");
    let may = me[1]["capabilities"].as_array().unwrap();
    assert!(may.contains(&json!("read_health")) && !may.contains(&json!("approve_access")), "{me}");
    form(&mut browser, &page, "/console/leave", &[]).await;
    let (status, ..) = form(&mut browser, &page, enter, &fields).await;
    assert_eq!(status, 403, "each code is good once");

    house.ask(&["users", "fallback-end", "admin"]).exits(0);
    drop(browser);
    assert_eq!(serving.stop(), 0);
    let log = house.ask(&["log", "--kind", "identity"]).exits(0).stdout;
    for change in ["fallback_set", "signed_in_by_code", "fallback_ended"] {
        assert!(log.contains(&format!("\"change\":{change:?}")), "{change} not in {log}");
    }
    assert!(!log.contains(&secret) && !log.contains(&phrase));
}

/// Whoever develops for one account sees and ends its keys, and nothing of others; the record of their sign-in goes when the
/// account is erased, and everything starts again over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_developer_sees_and_ends_the_keys_of_one_account_alone() {
    let Some(mut browser) = Browser::start().await else { return };
    let house = House::build(Settings::default()).await;
    let id = |key: &Value| key["key"].as_str().unwrap().to_owned();
    let (own, other) = (id(&house.key("kestrel")), id(&house.key("osprey")));
    let serving = house.serve();
    let page = browser.page("").await;
    let link = house.ask(&["console", "link", "--account", "kestrel", "--name", "dev"]).exits(0).json();
    browser.ask(Some(&page), "Page.navigate", json!({ "url": link["url"] })).await;
    let press = "(() => { const button = document.querySelector('main.sign-in form button'); if (document.readyState \
                 !== 'complete' || button === null) return false; button.click(); return true; })()";
    until(&mut browser, &page, press).await;
    until(&mut browser, &page, "location.pathname === '/console/own' && document.readyState === 'complete'")
        .await;
    let seen = browser.value(&page, "document.documentElement.outerHTML").await;
    let seen = seen.as_str().unwrap();
    assert!(seen.contains(&own) && !seen.contains(&other) && !seen.contains("osprey"), "{seen}");

    for (key, deed, status) in [(&other, "revoke", 404), (&own, "unfreeze", 400), (&own, "freeze", 200)] {
        let fields = [("key", key.as_str()), ("deed", deed)];
        assert_eq!(form(&mut browser, &page, "/console/own", &fields).await.0, status, "{deed}");
    }
    let listed = house.ask(&["keys", "list"]).exits(0).json().to_string();
    assert_eq!(listed.matches("\"frozen\"").count(), 1, "{listed}");
    let fields = [("deed", "unfreeze"), ("reason", "again")];
    let path = format!("/console/keys/{own}");
    assert_eq!(form(&mut browser, &page, &path, &fields).await.0, 403);
    drop(browser);

    let told = house.ask(&["log", "--kind", "identity", "--reveal"]).exits(0).stdout;
    assert!(told.contains("entered_by_link") && told.contains("kestrel"), "{told}");
    house.ask(&["subjects", "erase", "kestrel", "--yes"]).exits(0);
    let told = house.ask(&["log", "--kind", "identity", "--reveal"]).exits(0).stdout;
    assert!(!told.contains("kestrel"), "{told}");
    assert_eq!(serving.stop(), 0);
    let serving = house.serve();
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
}

/// Once somebody can sign in who may approve, more roles wait for them: at the API by the digest they saw, over a kill, and in
/// the console; what was shown to who asked is good for nothing before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gives_more_waits_for_a_second_person_over_a_kill() {
    let Some(mut browser) = Browser::start().await else { return };
    let (house, origin) = house_with_people().await;
    let serving = house.serve();
    let link = serving.text("setup").to_owned();
    let page = page_with_authenticator(&mut browser).await;
    let said = enrol(&mut browser, &page, &link).await;
    assert!(said.starts_with("Stored."), "{said}");

    let invited =
        house.ask(&["users", "invite", "ben", "--role", "approver", "--as", "carl"]).exits(0).json();
    let change = invited["change"].as_str().unwrap().to_owned();
    assert!(invited["expires_at"].is_null(), "{invited}");
    let users = house.ask(&["users", "list"]).exits(0).json();
    assert_eq!(users["users"].as_array().unwrap().len(), 1, "{users}");
    // Neither who asked nor another name at the same shell.
    let shown = house.ask(&["changes", "show", &change]).exits(0).json();
    let digest = shown["digest"].as_str().unwrap().to_owned();
    for name in ["carl", "dora"] {
        house.ask(&["changes", "approve", &change, "--as", name, "--digest", &digest]).exits(1);
    }
    let me = fetch(&mut browser, &page, "GET", "/v1/session", &json!({})).await;
    let word = json!({ "x-caponier-csrf": me[1]["csrf"] });
    let path = format!("/v1/changes/{change}");
    let seen = fetch(&mut browser, &page, "GET", &path, &json!({})).await;
    assert_eq!((&seen[1]["state"], &seen[1]["digest"]), (&json!("open"), &json!(digest)), "{seen}");
    let approve = format!(
        "fetch('{path}/approve', {{ method: 'POST', headers: {word}, body: JSON.stringify({{ digest: '{digest}' }}) }})\
         .then(async (a) => [a.status, await a.json()])"
    );
    let params = json!({ "expression": approve, "returnByValue": true, "awaitPromise": true });
    let done = browser.ask(Some(&page), "Runtime.evaluate", params).await;
    let done = &done["result"]["value"];
    assert_eq!((&done[0], &done[1]["state"]), (&json!(200), &json!("executed")), "{done}");
    let users = house.ask(&["users", "list"]).exits(0).json();
    assert_eq!(users["users"][1]["roles"], json!(["approver"]), "{users}");

    // A kill while it waits: it waits on, and somebody who comes by a link approves it in the console.
    let asked =
        house.ask(&["users", "roles", "ben", "--role", "approver,admin", "--as", "carl"]).exits(0).json();
    let number = asked["id"].as_str().unwrap().trim_start_matches("chg-").to_owned();
    serving.kill();
    let serving = house.serve();
    let way_in = ["console", "link", "--role", "security_engineer", "--name", "dora"];
    let way_in =
        house.ask(&way_in).exits(0).json()["url"].as_str().unwrap().replace("127.0.0.1", "localhost");
    browser.ask(Some(&page), "Page.navigate", json!({ "url": way_in })).await;
    let press = |selector: &str| {
        format!(
            "(() => {{ const button = document.querySelector({selector:?}); if (document.readyState !== 'complete' \
             || button === null) return false; button.click(); return true; }})()"
        )
    };
    until(&mut browser, &page, &press("main.sign-in form button")).await;
    until(&mut browser, &page, "document.querySelector('nav.main .badge') !== null").await;
    let at = format!("{origin}/console/changes/{number}");
    browser.ask(Some(&page), "Page.navigate", json!({ "url": at })).await;
    until(&mut browser, &page, &press("form:has(input[value=approve]) button")).await;
    until(&mut browser, &page, "document.querySelector('main .badge')?.textContent === 'executed'").await;
    let users = house.ask(&["users", "list"]).exits(0).json();
    assert_eq!(users["users"][1]["roles"], json!(["admin", "approver"]), "{users}");
    drop(browser);
    assert_eq!(serving.stop(), 0);
    let log = house.ask(&["log", "--kind", "change_request"]).exits(0).stdout;
    for what in ["opened", "approved", "executed"] {
        assert_eq!(log.matches(&format!("\"what\":{what:?}")).count(), 2, "{what} in {log}");
    }
}

/// Waits until an expression is true in the page.
async fn until(browser: &mut Browser, page: &str, expression: &str) {
    let deadline = Instant::now() + PATIENCE;
    while browser.value(page, expression).await != json!(true) {
        assert!(Instant::now() < deadline, "never true: {expression}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Opens a link, presses the button, and waits for what the page says.
async fn enrol(browser: &mut Browser, page: &str, link: &str) -> String {
    // Another page first: an address that differs behind the # alone is not loaded anew.
    browser.ask(Some(page), "Page.navigate", json!({ "url": "about:blank" })).await;
    browser.ask(Some(page), "Page.navigate", json!({ "url": link })).await;
    let deadline = Instant::now() + PATIENCE;
    let mut pressed = false;
    loop {
        let ready = "document.readyState === 'complete' && location.pathname === '/enrol'";
        if !pressed && browser.value(page, ready).await == json!(true) {
            browser.value(page, "document.getElementById('store').click()").await;
            pressed = true;
        }
        if pressed
            && let Value::String(said) =
                browser.value(page, "document.getElementById('said').textContent").await
            && !said.is_empty()
        {
            return said;
        }
        assert!(Instant::now() < deadline, "the page says nothing: {:?}", browser.events);
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_has_a_token_until_it_is_revoked() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let create = |more: &[&str]| {
        let arguments = [&["services", "create", "monitor", "--may", "read_health"][..], more].concat();
        let created = house.ask(&arguments).exits(0).json();
        created["token"].as_str().unwrap().to_owned()
    };
    let elsewhere = create(&["--ip", "192.0.2.0/24"]);
    assert_eq!(api(&serving, &elsewhere, "/v1/health").await, 401, "bound to another network");
    let token = create(&["--ip", "127.0.0.1"]);
    assert_eq!(api(&serving, &token, "/v1/health").await, 200);
    assert_eq!(api(&serving, &token, "/v1/decisions").await, 403);
    assert_eq!(api(&serving, &elsewhere, "/v1/health").await, 401, "replaced");
    assert_eq!(serving.stop(), 0);

    let serving = house.serve();
    assert_eq!(api(&serving, &token, "/v1/health").await, 200, "known after a restart");
    let listed = house.ask(&["services", "list"]).exits(0).stdout;
    assert!(listed.contains("monitor") && !listed.contains(&token));
    house.ask(&["services", "revoke", "monitor"]).exits(0);
    assert_eq!(api(&serving, &token, "/v1/health").await, 401);
    house.ask(&["services", "revoke", "monitor"]).exits(66);
    house.ask(&["services", "create", "exchange", "--may", "decide"]).exits(65);
    house.ask(&["backup", "drill"]).exits(0);
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
}
