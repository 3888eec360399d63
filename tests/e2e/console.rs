//! The console in a real browser: every page, in light and dark, wide and narrow.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    browser::{Browser, NOTES},
    support::{House, PATIENCE, Serving, Settings, skipped, tron_address},
};

/// Where the packages for Node are installed.
const NODE: &str = "OKX_API_DIR";
const PAGES: [&str; 23] = [
    "/console/sessions",
    "/console/webhooks",
    "/console/emergency",
    "/console/keys",
    "/console/health",
    "/console",
    "/console/decisions",
    "/console/graph",
    "/console/graph?entity=account:customer-1",
    "/console/graph?entity=ip:192.0.2.7",
    "/console/accounts/customer-1",
    "/console/accounts/customer-1?only=trade",
    "/console/addresses",
    "/console/addresses/any/1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "/console/cases?all=1&q=nobody",
    "/console/changes",
    "/console/changes?all=1",
    "/console/bans",
    "/console/lists",
    "/console/rules",
    "/console/models",
    "/console/backups",
    "/console/audit",
];

fn link(house: &House, role: &str) -> String {
    link_for(house, role, "ada")
}

fn link_for(house: &House, role: &str, name: &str) -> String {
    let told = house.ask(&["console", "link", "--role", role, "--name", name]).exits(0).json();
    told["url"].as_str().unwrap().to_owned()
}

/// Waits until an expression is true in the page.
async fn until(browser: &mut Browser, page: &str, expression: &str) {
    let deadline = Instant::now() + PATIENCE;
    while browser.value(page, expression).await != json!(true) {
        assert!(Instant::now() < deadline, "never true: {expression}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn open(browser: &mut Browser, page: &str, url: &str) {
    browser.ask(Some(page), "Page.navigate", json!({ "url": url })).await;
    let loaded = format!("location.href === {} && document.readyState === 'complete'", json!(url));
    until(browser, page, &loaded).await;
}

/// Uses a link as a person would: opens it and presses the button.
async fn sign_in(browser: &mut Browser, page: &str, serving: &Serving, link: &str) {
    open(browser, page, link).await;
    browser.value(page, "document.querySelector('button').click()").await;
    let home = format!("http://{}/console", serving.api());
    until(browser, page, &format!("location.href === {} && document.readyState === 'complete'", json!(home)))
        .await;
}

/// The checks of accessibility, where they are installed.
fn axe() -> Option<String> {
    let folder = PathBuf::from(std::env::var_os(NODE)?);
    fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).ok()
}

async fn with_decisions(serving: &Serving, house: &House) -> String {
    let mut id = String::new();
    for (n, address) in [tron_address("honest"), "not an address <b>".to_owned()].iter().enumerate() {
        let body = json!({ "type": "withdrawal", "withdrawal": {
            "account": format!("customer-{n}"), "asset": "USDT", "amount": "12.5", "network": "tron",
            "address": address, "ip": "192.0.2.7",
        } });
        let (status, answer) =
            house.control_api(serving, "POST", "/v1/decisions", body.to_string()).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        id = answer["id"].as_str().unwrap().to_owned();
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_whole_in_a_browser_of_any_width_and_colour() {
    let Some(mut browser) = Browser::start().await else { return };
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let decision = with_decisions(&serving, &house).await;
    let page = browser.page(NOTES).await;
    sign_in(&mut browser, &page, &serving, &link(&house, "security_engineer,compliance_officer")).await;
    let first_case = "document.querySelector('td[data-label=case] a').getAttribute('href')";

    let base = format!("http://{}", serving.api());
    let mut paths: Vec<String> = PAGES.map(str::to_owned).to_vec();
    paths.push(format!("/console/decisions/{decision}"));
    open(&mut browser, &page, &format!("{base}/console/cases")).await;
    paths.push(browser.value(&page, first_case).await.as_str().unwrap().to_owned());
    let axe = axe();
    if axe.is_none() {
        skipped("axe-core is not installed; run cargo xtask setup");
    }
    for (width, scheme) in [(1280, "light"), (390, "light"), (1280, "dark"), (390, "dark")] {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        browser.ask(Some(&page), "Emulation.setDeviceMetricsOverride", size).await;
        let colours = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.ask(Some(&page), "Emulation.setEmulatedMedia", colours).await;
        for path in &paths {
            open(&mut browser, &page, &format!("{base}{path}")).await;
            let at = format!("{path} at {width} px, {scheme}");
            let wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.value(&page, wider).await, json!(0), "{at} scrolls sideways");
            assert_eq!(
                browser.value(&page, "document.querySelectorAll('h1').length").await,
                json!(1),
                "{at}"
            );
            assert_eq!(browser.value(&page, "sessionStorage.blocked").await, Value::Null, "{at}: blocked");
            if let Some(axe) = &axe {
                // Evaluated by the debugger, which no policy of the page binds.
                browser.value(&page, &format!("{axe};0")).await;
                browser
                    .value(&page, "axe.run().then((found) => { window.found = found.violations }), 0")
                    .await;
                until(&mut browser, &page, "window.found !== undefined").await;
                let grave = "JSON.stringify(found.filter((v) => ['serious', 'critical'].includes(v.impact))\
                             .map((v) => [v.id, v.nodes[0].html]))";
                assert_eq!(browser.value(&page, grave).await, json!("[]"), "{at}");
            }
        }
    }
    let is_complaint = |event: &&Value| {
        event["method"] == "Runtime.exceptionThrown"
            || (event["method"] == "Log.entryAdded" && event["params"]["entry"]["level"] == "error")
            || (event["method"] == "Runtime.consoleAPICalled" && event["params"]["type"] == "error")
    };
    let complaints: Vec<&Value> = browser.events.iter().filter(is_complaint).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    drop(browser);
    assert_eq!(serving.stop(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_page_keeps_up_by_itself_and_a_role_sees_what_it_may() {
    let Some(mut browser) = Browser::start().await else { return };
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let page = browser.page(NOTES).await;
    let way_in = link(&house, "viewer");
    sign_in(&mut browser, &page, &serving, &way_in).await;
    assert_eq!(browser.value(&page, "document.body.innerText.includes('Attack view')").await, json!(false));
    assert_eq!(browser.value(&page, "document.body.innerText.includes('customer-1')").await, json!(false));
    // Nobody loads the page again.
    with_decisions(&serving, &house).await;
    until(&mut browser, &page, "document.body.innerText.includes('customer-1')").await;
    assert_eq!(browser.value(&page, "sessionStorage.blocked").await, Value::Null);

    let base = format!("http://{}", serving.api());
    open(&mut browser, &page, &format!("{base}/console/bans")).await;
    assert_eq!(
        browser.value(&page, "document.querySelector('h1').innerText").await,
        json!("Not for your role")
    );

    // By keyboard: j goes to the first decision, Enter opens it.
    open(&mut browser, &page, &format!("{base}/console/decisions")).await;
    for (key, code) in [("j", 74), ("Enter", 13)] {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { key };
            let press =
                json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code });
            browser.ask(Some(&page), "Input.dispatchKeyEvent", press).await;
        }
    }
    until(&mut browser, &page, "location.pathname.startsWith('/console/decisions/dec-')").await;

    // A link is good once; a session ends where one signs out.
    open(&mut browser, &page, &format!("{base}/console")).await;
    browser.value(&page, "document.querySelector('header form button').click()").await;
    until(&mut browser, &page, "document.body.innerText.includes('You are not signed in')").await;
    open(&mut browser, &page, &way_in).await;
    browser.value(&page, "document.querySelector('button').click()").await;
    until(&mut browser, &page, "document.body.innerText.includes('Not let in')").await;
    drop(browser);
    assert_eq!(serving.stop(), 0);
}

/// Reading needs no script.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_can_be_read_without_scripts() {
    let Some(mut browser) = Browser::start().await else { return };
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    with_decisions(&serving, &house).await;
    let page = browser.page("").await;
    browser.ask(Some(&page), "Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    sign_in(&mut browser, &page, &serving, &link(&house, "viewer")).await;
    assert_eq!(browser.value(&page, "typeof htmx").await, json!("undefined"));
    assert_eq!(browser.value(&page, "document.body.innerText.includes('customer-1')").await, json!(true));
    drop(browser);
    assert_eq!(serving.stop(), 0);
}

/// From the link to a case that is closed, without a script.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_decided_without_scripts() {
    let Some(mut browser) = Browser::start().await else { return };
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    with_decisions(&serving, &house).await;
    let page = browser.page("").await;
    browser.ask(Some(&page), "Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    sign_in(&mut browser, &page, &serving, &link(&house, "compliance_officer")).await;
    open(&mut browser, &page, &format!("http://{}/console/cases", serving.api())).await;
    browser.value(&page, "document.querySelector('td[data-label=case] a').click()").await;
    let has_form =
        "document.readyState === 'complete' && document.querySelector('input[value=resolve]') !== null";
    until(&mut browser, &page, has_form).await;
    let close = "{ const form = document.querySelector('input[value=resolve]').form;
        form.elements.disposition.value = 'legitimate'; form.elements.text.value = 'looked closely';
        form.querySelector('button').click(); }";
    browser.value(&page, close).await;
    let is_closed =
        "document.readyState === 'complete' && document.querySelector('input[value=resolve]') === null
        && document.documentElement.outerHTML.includes('looked closely')";
    until(&mut browser, &page, is_closed).await;
    assert_eq!(browser.value(&page, "typeof htmx").await, json!("undefined"));
    drop(browser);
    assert_eq!(serving.stop(), 0);
}

/// Two people, two browsers: one proposes, the other releases, and neither can do both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_release_a_withdrawal_in_their_browsers() {
    let Some(mut browser) = Browser::start().await else { return };
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    with_decisions(&serving, &house).await;
    let base = format!("http://{}", serving.api());

    let ada = browser.page(NOTES).await;
    sign_in(&mut browser, &ada, &serving, &link_for(&house, "compliance_officer", "ada")).await;
    open(&mut browser, &ada, &format!("{base}/console/cases")).await;
    browser.value(&ada, "document.querySelector('td[data-label=case] a').click()").await;
    until(&mut browser, &ada, "document.querySelector('input[value=propose]') !== null").await;
    let case = browser.value(&ada, "location.href").await.as_str().unwrap().to_owned();
    let propose = "{ const form = document.querySelector('input[value=propose]').form;
        form.elements.text.value = 'called <b>her</b> back'; form.requestSubmit(); }";
    browser.value(&ada, propose).await;
    until(&mut browser, &ada, "document.body.innerText.includes('would release it until')").await;
    let said = "document.body.innerText.includes('called <b>her</b> back')";
    assert_eq!(browser.value(&ada, said).await, json!(true));
    browser.value(&ada, "document.querySelector('input[value=approve]').form.requestSubmit()").await;
    until(&mut browser, &ada, "document.body.innerText.includes('somebody else must approve')").await;

    let ben = browser.page(NOTES).await;
    sign_in(&mut browser, &ben, &serving, &link_for(&house, "approver", "ben")).await;
    open(&mut browser, &ben, &case).await;
    browser.value(&ben, "document.querySelector('input[value=approve]').form.requestSubmit()").await;
    until(&mut browser, &ben, "document.body.innerText.includes('released by user:ada and user:ben')").await;

    // Ada's page is old by now: her form is refused, and shows the case as it is.
    open(&mut browser, &ada, &case).await;
    let stale = "{ const form = document.querySelector('input[value=note]').form;
        form.elements.revision.value = '0'; form.elements.text.value = 'late'; form.requestSubmit(); }";
    browser.value(&ada, stale).await;
    until(&mut browser, &ada, "document.body.innerText.includes('user:ben changed it last')").await;
    drop(browser);
    assert_eq!(serving.stop(), 0);
}

/// Work on several cases without a mouse, and what is told of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cases_are_worked_on_by_keyboard_and_taken_away_as_tables() {
    let Some(mut browser) = Browser::start().await else { return };
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    with_decisions(&serving, &house).await;
    let base = format!("http://{}", serving.api());
    let page = browser.page(NOTES).await;
    sign_in(&mut browser, &page, &serving, &link(&house, "compliance_officer")).await;
    open(&mut browser, &page, &format!("{base}/console/cases")).await;
    // ? shows the keys, f goes to the filter.
    press(&mut browser, &page, "?", 191).await;
    until(&mut browser, &page, "document.getElementById('keys')?.open === true").await;
    press(&mut browser, &page, "?", 191).await;
    until(&mut browser, &page, "document.getElementById('keys')?.open === false").await;
    press(&mut browser, &page, "f", 70).await;
    until(&mut browser, &page, "document.activeElement?.closest('form.filter') != null").await;
    browser.value(&page, "document.activeElement.blur()").await;
    // j goes on and k back; r goes to the reason of what is done with the case.
    for (key, code) in [("j", 74), ("j", 74), ("k", 75)] {
        press(&mut browser, &page, key, code).await;
    }
    let at_first = "document.activeElement?.closest('[data-row]') === document.querySelector('[data-row]')";
    until(&mut browser, &page, at_first).await;
    press(&mut browser, &page, "r", 82).await;
    until(&mut browser, &page, "document.activeElement?.name === 'text'").await;
    open(&mut browser, &page, &format!("{base}/console/bans")).await;
    open(&mut browser, &page, &format!("{base}/console/cases")).await;
    // a assigns the case in which one is.
    press(&mut browser, &page, "j", 74).await;
    until(&mut browser, &page, "document.activeElement?.closest('[data-row]') != null").await;
    press(&mut browser, &page, "a", 65).await;
    until(&mut browser, &page, "document.body?.innerText.includes('assign: 1 done.') === true").await;
    open(&mut browser, &page, &format!("{base}/console/cases?assignee=ada")).await;
    assert_eq!(browser.value(&page, "document.querySelectorAll('[data-row]').length").await, json!(1));
    // Without a reason nothing is written; with one it is, and the page of the case says so.
    let choose = "document.querySelector('td input[type=checkbox]').checked = true";
    browser.value(&page, choose).await;
    browser.value(&page, "document.querySelector('button[value=note]').click()").await;
    until(&mut browser, &page, "document.body?.innerText.includes('Say why') === true").await;
    open(&mut browser, &page, &format!("{base}/console/cases?assignee=ada")).await;
    browser.value(&page, choose).await;
    let write = "{ document.querySelector('.bulk input[name=text]').value = 'asked <i>him</i>';
        document.querySelector('button[value=note]').click(); }";
    browser.value(&page, write).await;
    until(&mut browser, &page, "document.body?.innerText.includes('note: 1 done.') === true").await;
    browser.value(&page, "document.querySelector('td[data-label=case] a').click()").await;
    until(&mut browser, &page, "document.body?.innerText.includes('asked <i>him</i>') === true").await;

    // The same cases as a table, and nothing for those who may not see them.
    let taken = "window.taken = undefined, fetch('/console/export/cases.csv?assignee=ada').then((answer) => answer.text())\
                 .then((text) => { window.taken = text }), 0";
    browser.value(&page, taken).await;
    until(&mut browser, &page, "window.taken !== undefined").await;
    let told = browser.value(&page, "window.taken").await;
    let lines: Vec<&str> = told.as_str().unwrap().trim_end().split("\r\n").collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("case,entity,state") && lines[1].contains(",ada,"),
        "{told}"
    );
    let found = "fetch('/console/find?q=customer-1').then((answer) => { window.found = answer.url }), 0";
    browser.value(&page, found).await;
    until(&mut browser, &page, "window.found?.endsWith('/console/accounts/customer-1') === true").await;

    // Whoever is erased is gone from every page, and said to be.
    house.ask(&["subjects", "erase", "customer-1", "--yes"]).exits(0);
    open(&mut browser, &page, &format!("{base}/console/accounts/customer-1")).await;
    assert_eq!(browser.value(&page, "document.body.innerText.includes('Erased.')").await, json!(true));
    assert_eq!(browser.value(&page, "document.body.innerText.includes('12.5')").await, json!(false));
    open(&mut browser, &page, &format!("{base}/console/graph?entity=ip:192.0.2.7")).await;
    assert_eq!(browser.value(&page, "document.body.innerText.includes('customer-1')").await, json!(false));
    drop(browser);
    assert_eq!(serving.stop(), 0);
}

async fn press(browser: &mut Browser, page: &str, key: &str, code: u32) {
    for kind in ["keyDown", "keyUp"] {
        let press = json!({ "type": kind, "key": key, "text": key, "windowsVirtualKeyCode": code });
        browser.ask(Some(page), "Input.dispatchKeyEvent", press).await;
    }
}
