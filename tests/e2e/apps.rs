//! Third-party apps: a customer lets an app act for them without a key, and ends that.
//!
//! The app is a program in another language over libraries of others; the consent page is played by the test, over the
//! control API, as an exchange would.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    BALANCE, House, ORDER, Serving, Settings, WITHDRAWAL, assert_sound, finish, order, skipped, tron_address,
    withdrawal,
};

/// The origin apps know, which leads to the gateway by a name server in the world outside.
const ISSUER: &str = "https://api.exchange.example";
const CONSENT: &str = "https://exchange.example/apps/consent";
const REDIRECT: &str = "https://bot.example/callback";
const OAUTH: &str = "[oauth]\nissuer = \"https://api.exchange.example\"\n\
                     consent_url = \"https://exchange.example/apps/consent\"";

/// An app in a process of its own.
struct App {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl App {
    fn start(house: &House, serving: &Serving, client_id: &str, alg: &str) -> Option<Self> {
        let python = crate::clients::python()?;
        if finish(Command::new(&python).args(["-c", "import authlib, jwcrypto, requests"])).code != 0 {
            skipped("the Python libraries Authlib and jwcrypto are not installed; run cargo xtask setup");
            return None;
        }
        let mut child = Command::new(&python)
            .arg(crate::clients::script("oauth_app.py"))
            .args(["--gateway", serving.text("gateway"), "--issuer", ISSUER, "--client-id", client_id])
            .args(["--redirect-uri", REDIRECT, "--alg", alg, "--ca"])
            .arg(house.path("ca.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, orders, answers: BufReader::new(answers) })
    }

    #[track_caller]
    fn tell(&mut self, order: &Value) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} to {order}"))
    }

    /// Status and code of a call.
    #[track_caller]
    fn call(&mut self, method: &str, path: &str, body: &str, how: &str) -> (u64, String) {
        let got = self.tell(&json!({"do": "call", "method": method, "path": path, "body": body, "how": how}));
        (got["status"].as_u64().unwrap(), got["answer"]["code"].as_str().unwrap().to_owned())
    }

    #[track_caller]
    fn balance(&mut self) -> (u64, String) {
        self.call("GET", BALANCE, "", "good")
    }

    /// Sends the customer to authorize; the handle the consent page is opened with.
    #[track_caller]
    fn authorize(&mut self, scope: &str) -> String {
        let url = self.tell(&json!({"do": "authorize", "scope": scope}));
        let opened = self.tell(&json!({"do": "open", "url": url["url"]}));
        assert_eq!((&opened["status"], &opened["cache"]), (&json!(302), &json!("no-store")), "{opened}");
        let location = opened["location"].as_str().unwrap();
        location.strip_prefix(&format!("{CONSENT}?request=")).unwrap().to_owned()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn ok() -> (u64, String) {
    (200, "0".to_owned())
}

fn refused(code: &str) -> (u64, String) {
    (401, code.to_owned())
}

fn register(house: &House) -> String {
    let app = house
        .ask(&["apps", "create", "--name", "Grid Bot", "--redirect-uri", REDIRECT, "--scopes", "read,trade"])
        .exits(0)
        .json();
    app["client_id"].as_str().unwrap().to_owned()
}

/// What the consent page does when the customer agrees: where it sends the browser.
async fn approve(house: &House, serving: &Serving, handle: &str, account: &str, more: &str) -> String {
    let path = format!("/v1/oauth/authorizations/{handle}");
    let (status, asked) = house.control_api(serving, "GET", &path, String::new()).await.unwrap();
    assert_eq!((status, &asked["name"], &asked["redirect_uri"]), (200, &json!("Grid Bot"), &json!(REDIRECT)));
    let body = format!(r#"{{"decision":"approve","account":"{account}"{more}}}"#);
    let (status, answer) = house.control_api(serving, "POST", &path, body.clone()).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let (again, _) = house.control_api(serving, "POST", &path, body).await.unwrap();
    assert_eq!(again, 409, "a handle is answered once");
    answer["redirect"].as_str().unwrap().to_owned()
}

async fn connect(house: &House, serving: &Serving, app: &mut App, account: &str, scope: &str, more: &str) {
    let handle = app.authorize(scope);
    let redirect = approve(house, serving, &handle, account, more).await;
    let token = app.tell(&json!({"do": "redeem", "redirect": redirect}));
    assert_eq!((&token["token_type"], &token["scope"]), (&json!("DPoP"), &json!(scope)), "{token}");
}

async fn grants(house: &House, serving: &Serving, account: &str) -> Vec<Value> {
    let body = json!({ "account": account }).to_string();
    let (status, answer) = house.control_api(serving, "POST", "/v1/oauth/grants", body).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    answer["grants"].as_array().unwrap().clone()
}

/// A customer's day with an app: consent, balances, an order within the scope, no withdrawal, a restart, a refresh; then
/// a stolen refresh token ends the grant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_lets_an_app_trade_and_a_thief_ends_it() {
    let house = House::build(Settings { data: None, more: OAUTH }).await;
    let serving = house.serve();
    let client_id = register(&house);
    let Some(mut app) = App::start(&house, &serving, &client_id, "ES256") else { return };
    house.open_account("anna").await;

    let document = app.tell(&json!({"do": "metadata"}));
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(document["token_endpoint"], format!("{ISSUER}/oauth2/token"));

    let bound = r#","days":7,"instruments":"BTC-USDT","quote":"USDT","per_order":"100""#;
    connect(&house, &serving, &mut app, "anna", "read trade", bound).await;
    assert_eq!(app.balance(), ok());
    let placed = app.call("POST", ORDER, &order("byanapp"), "good");
    assert_eq!(placed, ok());
    // Beyond the grant: another instrument, more money, a withdrawal.
    let (status, code) = app.call("POST", ORDER, &order("other").replace("BTC-USDT", "ETH-USDT"), "good");
    assert_ne!((status, &*code), (200, "0"));
    let (_, code) = app.call("POST", ORDER, &order("big").replace("0.0001", "1"), "good");
    assert_ne!(code, "0");
    let address = tron_address("an app's wish");
    let drained = app.call("POST", WITHDRAWAL, &withdrawal(&address, "10", "drain"), "good");
    assert_eq!(drained, (200, "50120".to_owned()));

    // What a thief of the token alone can do, and of a request.
    for (how, code) in [
        ("other_key", "50114"),
        ("no_proof", "50114"),
        ("bearer", "50103"),
        ("wrong_method", "50114"),
        ("wrong_path", "50114"),
        ("wrong_token", "50114"),
        ("with_key", "50114"),
    ] {
        assert_eq!(app.call("GET", BALANCE, "", how), refused(code), "{how}");
    }
    let got = app.tell(&json!({"do": "call", "method": "GET", "path": BALANCE, "how": "other_key"}));
    assert!(got["challenge"].as_str().unwrap().starts_with("DPoP error=\"invalid_dpop_proof\""), "{got}");
    assert_eq!(app.balance(), ok());
    assert_ne!(app.call("GET", BALANCE, "", "replay"), ok(), "a proof is good once");

    // Tokens and grants outlive the process.
    let listed = grants(&house, &serving, "anna").await;
    assert_eq!((listed.len(), &listed[0]["scopes"]), (1, &json!("read trade")), "{listed:?}");
    assert_eq!(listed[0]["restrictions"]["per_order"], "100 USDT");
    serving.kill();
    let serving = house.serve();
    app.tell(&json!({"do": "moved", "gateway": serving.text("gateway")}));
    assert_eq!(app.balance(), ok());

    // The refresh token of yesterday is used again: somebody has stolen it, so nobody has it any more.
    let token = app.tell(&json!({"do": "refresh"}));
    assert_eq!(token["token_type"], "DPoP", "{token}");
    assert_eq!(app.balance(), ok());
    let reused = app.tell(&json!({"do": "refresh", "which": "old"}));
    assert_eq!(reused["error"], "invalid_grant", "{reused}");
    assert_eq!(app.balance(), refused("50119"));
    assert_eq!(app.call("GET", BALANCE, "", "old_token"), refused("50119"));
    assert!(grants(&house, &serving, "anna").await.is_empty());

    house.ask(&["backup", "drill"]).exits(0);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
    let log = house.ask(&["log", "--kind", "oauth"]).exits(0).stdout;
    for change in ["app_registered", "granted", "refreshed", "grant_revoked"] {
        assert!(log.contains(change), "no {change} in {log}");
    }
    assert!(!log.contains("anna"), "{log}");
}

/// A grant ends when the customer says so, when the app does, when the operator ends the app, and with the account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_ends_at_once_whoever_ends_it() {
    let house = House::build(Settings { data: None, more: OAUTH }).await;
    let serving = house.serve();
    let client_id = register(&house);
    let Some(mut app) = App::start(&house, &serving, &client_id, "EdDSA") else { return };
    for name in ["anna", "leaver"] {
        house.open_account(name).await;
    }

    // The customer, in the exchange's settings; not by another customer's name.
    connect(&house, &serving, &mut app, "anna", "read", "").await;
    assert_eq!(app.balance(), ok());
    assert_eq!(app.call("POST", ORDER, &order("unasked"), "good"), (200, "50120".to_owned()));
    let listed = grants(&house, &serving, "anna").await;
    let end = format!("/v1/oauth/grants/{}/revoke", listed[0]["grant"].as_str().unwrap());
    let revoke = |account: &str| {
        let body = json!({ "account": account }).to_string();
        house.control_api(&serving, "POST", &end, body)
    };
    assert_eq!(revoke("leaver").await.unwrap().0, 404);
    assert_eq!(app.balance(), ok());
    assert_eq!(revoke("anna").await.unwrap().0, 200);
    assert_eq!(app.balance(), refused("50119"));
    assert_eq!(app.tell(&json!({"do": "refresh"}))["error"], "invalid_grant");

    // The app itself.
    connect(&house, &serving, &mut app, "anna", "read", "").await;
    assert_eq!(app.tell(&json!({"do": "revoke"}))["status"], 200);
    assert_eq!(app.balance(), refused("50119"));

    // A code that comes twice: of two holders one is a thief.
    connect(&house, &serving, &mut app, "anna", "read", "").await;
    assert_eq!(app.tell(&json!({"do": "redeem_again"}))["error"], "invalid_grant");
    assert_eq!(app.balance(), refused("50119"));

    // The customer declines; a wrong verifier gets nothing; what was not registered is no app and no address.
    let handle = app.authorize("read");
    let path = format!("/v1/oauth/authorizations/{handle}");
    let deny = json!({"decision": "deny"}).to_string();
    let (_, denied) = house.control_api(&serving, "POST", &path, deny).await.unwrap();
    assert!(denied["redirect"].as_str().unwrap().starts_with(&format!("{REDIRECT}?error=access_denied")));
    let handle = app.authorize("read");
    let redirect = approve(&house, &serving, &handle, "anna", "").await;
    let wrong = app.tell(&json!({"do": "redeem", "redirect": redirect, "verifier": "x".repeat(64)}));
    assert_eq!(wrong["error"], "invalid_grant", "{wrong}");
    let url = app.tell(&json!({"do": "authorize", "scope": "read"}))["url"].as_str().unwrap().to_owned();
    for (from, to) in [(&*client_id, "nobody"), ("bot.example", "evil.example")] {
        let page = app.tell(&json!({"do": "open", "url": url.replace(from, to)}));
        assert_eq!(page["location"], Value::Null, "{page}");
        assert_eq!(page["cors"], Value::Null);
    }
    let greedy = app.tell(&json!({"do": "open", "url": url.replace("scope=read", "scope=withdraw")}));
    assert!(greedy["location"].as_str().unwrap().starts_with(&format!("{REDIRECT}?error=invalid_scope")));

    // The account, with everything that was sealed for it.
    connect(&house, &serving, &mut app, "leaver", "read", "").await;
    assert_eq!(app.balance(), ok());
    house.ask(&["subjects", "erase", "leaver", "--yes"]).exits(0);
    assert_eq!(app.balance(), refused("50119"));
    let handle = app.authorize("read");
    let path = format!("/v1/oauth/authorizations/{handle}");
    let body = json!({"decision": "approve", "account": "leaver"}).to_string();
    let (status, answer) = house.control_api(&serving, "POST", &path, body).await.unwrap();
    assert_eq!((status, &answer["field"]), (400, &json!("account")), "{answer}");

    // The operator, by grant and by app.
    connect(&house, &serving, &mut app, "anna", "read", "").await;
    let listed = house.ask(&["grants", "list", "--account", "anna"]).exits(0).json();
    let grant = listed["grants"][0]["grant"].as_str().unwrap().to_owned();
    house.ask(&["grants", "revoke", &grant]).exits(0);
    house.ask(&["grants", "revoke", &grant]).exits(66);
    assert_eq!(app.balance(), refused("50119"));
    connect(&house, &serving, &mut app, "anna", "read", "").await;
    assert_eq!(app.balance(), ok());
    house.ask(&["apps", "revoke", &client_id]).exits(0);
    assert_eq!(app.balance(), refused("50119"));
    assert_eq!(app.tell(&json!({"do": "refresh"}))["error"], "invalid_client");
    house
        .ask(&[
            "apps",
            "create",
            "--client-id",
            &client_id,
            "--name",
            "Again",
            "--redirect-uri",
            REDIRECT,
            "--scopes",
            "read",
        ])
        .exits(65);

    house.ask(&["backup", "drill"]).exits(0);
    assert_eq!(serving.stop(), 0);
    let serving = house.serve();
    app.tell(&json!({"do": "moved", "gateway": serving.text("gateway")}));
    assert_eq!(app.balance(), refused("50119"));
    let listed = house.ask(&["grants", "list"]).exits(0).json();
    assert_eq!(listed["grants"], json!([]));
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
    // No token is in any log of ours.
    for file in ["output/stdout", "output/stderr"] {
        assert!(!fs::read_to_string(house.path(file)).unwrap().contains("cap_at_"));
    }
}
