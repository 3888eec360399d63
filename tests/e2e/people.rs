//! Persons in a real browser, which makes and uses the passkeys, and programs with tokens of their own.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    browser::Browser,
    support::{House, PATIENCE, Serving, Settings, control_api},
};

/// An installation where persons sign in, and its origin as a browser on this machine has it.
async fn house_with_people() -> (House, String) {
    let house = House::build(Settings::default()).await;
    let file = house.config();
    let text = fs::read_to_string(&file).unwrap();
    let (_, api) = text.split_once("[api]\nlisten = \"").unwrap();
    let port = api.split_once('"').unwrap().0.rsplit_once(':').unwrap().1.to_owned();
    let origin = format!("http://localhost:{port}");
    fs::write(&file, format!("{text}\n[identity]\norigin = \"{origin}\"\n")).unwrap();
    (house, origin)
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

    let page = browser.page("").await;
    browser.ask(Some(&page), "WebAuthn.enable", json!({})).await;
    let options = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": true, "automaticPresenceSimulation": true,
    });
    browser.ask(Some(&page), "WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await;
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

/// Once somebody can sign in who may approve, more roles wait for them: at the API by the digest they saw, over a kill, and in
/// the console; what was shown to who asked is good for nothing before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gives_more_waits_for_a_second_person_over_a_kill() {
    let Some(mut browser) = Browser::start().await else { return };
    let (house, origin) = house_with_people().await;
    let serving = house.serve();
    let link = serving.text("setup").to_owned();
    let page = browser.page("").await;
    browser.ask(Some(&page), "WebAuthn.enable", json!({})).await;
    let options = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": true, "automaticPresenceSimulation": true,
    });
    browser.ask(Some(&page), "WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await;
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
