//! A draft of rules on its way into force and back, by the control API: what was tried is what stands, and whatever is
//! refused leaves everything as it was.

use std::fs;

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    support::{House, PATIENCE, ROOT, Serving, Settings, tron_address},
    visitor::Visitor,
};

/// The configuration of a bundle that may have an effect.
const BUNDLES: &str = "[fraud]\nbundles = \"bundles\"\nbundle = \"test\"\nmode = \"enforce\"\n";
/// A rule the bundle does not have.
const BIG: &str = r#"
[[rule]]
id = "big"
title = "Much at once"
owner = "fraud-team"
when = "amount >= money(\"500\")"
action = "challenge"
mode = "enforce"
reason = "{amount} at once"

[[rule.fixture]]
name = "a thousand"
given = { amount = "1000" }
expect = true

[[rule.fixture]]
name = "ten"
given = { amount = "10" }
expect = false
"#;

fn piece(name: &str) -> String {
    fs::read_to_string(format!("{ROOT}/crates/fraud/src/live/tests/{name}")).unwrap()
}

/// The rules of [`house`] in their next version.
pub(crate) fn raised() -> String {
    piece("rules.toml").replace("version = \"1\"", "version = \"2\"") + BIG
}

/// An installation with a bundle at work.
pub(crate) async fn house() -> House {
    let house = House::build(Settings { more: BUNDLES, ..Settings::default() }).await;
    let dir = house.path("bundles").join("test");
    fs::create_dir_all(&dir).unwrap();
    for name in ["bundle.toml", "pack.toml", "rules.toml"] {
        fs::write(dir.join(name), piece(name)).unwrap();
    }
    house
}

struct Desk<'a> {
    house: &'a House,
    serving: &'a Serving,
}

impl Desk<'_> {
    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.house.control_api(self.serving, method, path, body).await.unwrap()
    }

    async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    async fn refused(&self, path: &str, body: Value, status: u16, words: &str) {
        let before = self.house.ask(&["fraud", "bundle", "status"]).exits(0).json();
        let (got, answer) = self.send("POST", path, body).await;
        assert_eq!(got, status, "{path}: {answer}");
        assert!(answer.to_string().contains(words), "{path}: {answer}");
        let after = self.house.ask(&["fraud", "bundle", "status"]).exits(0).json();
        let places = |told: &Value| {
            let bundles = told["bundles"].as_array().unwrap().iter();
            bundles.map(|one| (one["place"].clone(), one["bundle"]["sha256"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(places(&before), places(&after), "{path} changed what judges");
    }

    async fn decide(&self, account: &str, amount: u64) -> Value {
        let body = json!({ "type": "withdrawal", "deadline_ms": 10_000, "withdrawal": {
            "account": account, "asset": "USDT", "amount": amount.to_string(), "network": "tron",
            "address": tron_address("shop"), "ip": "192.0.2.7", "device": "d-1",
        } });
        self.ok("POST", "/v1/decisions", body).await
    }

    /// Backtests a version and waits until it is over.
    async fn backtest(&self, version: &str) -> Value {
        let begun =
            self.ok("POST", &format!("/v1/rules/versions/{version}/backtest"), json!({ "days": 30 })).await;
        let path = format!("/v1/backtests/{}", begun["backtest"]);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let job = self.ok("GET", &path, Value::Null).await;
            if !["waiting", "running"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(Instant::now() < deadline, "{job}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn at_work(&self) -> (String, Option<String>, bool) {
        let told = self.ok("GET", "/v1/rules", Value::Null).await;
        let sets = told["at_work"].as_array().unwrap();
        let of = |place: &str| {
            let set = sets.iter().find(|set| set["place"] == place)?;
            Some((set["version"].as_str()?.to_owned(), set["has_effect"].as_bool()?))
        };
        let (active, has_effect) = of("active").unwrap();
        (active, of("challenger").map(|(version, _)| version), has_effect)
    }
}

/// Whether a rule fired, and whether it had no effect.
fn fired(answer: &Value, rule: &str) -> Option<bool> {
    let code = format!("fraud.rule.{rule}");
    let reasons = answer["reasons"].as_array().unwrap();
    reasons.iter().find(|reason| reason["code"] == code.as_str())?["shadow"].as_bool()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_checked_tried_on_the_past_and_watched_over_a_crash() {
    let house = house().await;
    let serving = house.serve();
    let desk = Desk { house: &house, serving: &serving };
    let mut decided = Vec::new();
    for (n, amount) in [10, 600, 700, 20].into_iter().enumerate() {
        decided.push(desk.decide(&format!("c-{n}"), amount).await);
    }
    for (n, word) in [(1, "fraud"), (2, "legitimate")] {
        let (account, id) = (format!("c-{n}"), decided[n]["id"].as_str().unwrap());
        house.ask(&["fraud", "label", word, "--account", &account, "--decision", id]).exits(0);
    }
    let (old, none, _) = desk.at_work().await;
    assert_eq!(none, None);

    // What does not compile is told by line and column, and nothing of it is kept.
    let check = |text: String| desk.ok("POST", "/v1/rules/check", json!({ "text": text }));
    let bad = check(raised().replace("amount >=", "amont >=")).await;
    let line = 1 + raised().lines().position(|line| line.contains("amount >=")).unwrap();
    let fault = &bad["faults"][0];
    assert_eq!(
        (&bad["compiles"], &fault["line"], &fault["rule"]),
        (&json!(false), &json!(line), &json!("big"))
    );
    assert!(fault["message"].as_str().unwrap().contains("did you mean `amount`"), "{bad}");
    let bad = check(raised().replace(
        "name = \"ten\"\ngiven = { amount = \"10\" }",
        "name = \"ten\"\ngiven = { amount = \"5000\" }",
    ))
    .await;
    assert!(bad["faults"][0]["message"].as_str().unwrap().contains("ten"), "an example that fails: {bad}");
    let keep = |text: String| json!({ "text": text, "note": "much at once" });
    let versions = "/v1/rules/versions";
    desk.refused(versions, keep(raised().replace("amount >=", "amont >=")), 400, "unknown name").await;
    desk.refused(versions, keep(piece("rules.toml")), 400, "nothing would change").await;
    desk.refused(versions, keep(piece("rules.toml") + BIG), 400, "raise [pack] version").await;
    desk.refused(versions, keep("x".repeat((1 << 20) + 1)), 400, "longer than").await;
    let good = check(raised()).await;
    assert_eq!((&good["compiles"], &good["compiled"]["added"]), (&json!(true), &json!(["big"])));
    assert_eq!(good["compiled"]["unrehearsed"], json!(["big"]));

    let kept = desk.ok("POST", versions, keep(raised())).await;
    let new = kept["version"].as_str().unwrap().to_owned();
    assert_eq!(kept["version"], good["compiled"]["version"], "what was checked is what was kept");
    let at = |what: &str| format!("/v1/rules/versions/{new}/{what}");
    desk.refused(&at("shadow"), Value::Null, 409, "no backtest").await;
    desk.refused(&at("return"), json!({ "from": old, "reason": "r" }), 409, "never was in force").await;
    desk.refused(&at("shadow-end"), Value::Null, 409, "another one").await;
    desk.refused(&at("backtest"), json!({ "days": 0 }), 400, "days are").await;
    desk.refused(&format!("/v1/rules/versions/{}/shadow", "00".repeat(32)), Value::Null, 404, "no version")
        .await;
    let (status, _) = desk.send("GET", "/v1/rules/versions/zz", Value::Null).await;
    assert_eq!(status, 404);

    // The past as it was: two of four withdrawals, one of them fraud.
    let job = desk.backtest(&new).await;
    assert_eq!((&job["state"], &job["failure"]), (&json!("done"), &Value::Null));
    let found = desk.ok("GET", &format!("/v1/rules/versions/{new}"), Value::Null).await["found"].clone();
    assert_eq!((&found["sha256"], &found["compared_with"]), (&json!(new), &json!(old)));
    let rule = found["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "big").unwrap();
    assert_eq!((&rule["hits"], &rule["hits_before"]), (&json!(2), &Value::Null));
    assert_eq!(
        (&rule["precision"], &rule["recall"], &rule["accounts"]),
        (&json!(0.5), &json!(1.0), &json!(2))
    );
    assert_eq!(rule["good_accounts"], json!(1));
    let mut examples: Vec<&str> =
        rule["examples"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    examples.sort_unstable();
    let mut expected: Vec<&str> = [1, 2].map(|n| decided[n]["id"].as_str().unwrap()).into();
    expected.sort_unstable();
    assert_eq!(examples, expected, "examples are decisions one can look at");

    // In shadow it judges and has no effect; the bundle in force is as it was.
    let shown = desk.ok("POST", &at("shadow"), Value::Null).await;
    assert_eq!(shown["state"], "in shadow");
    assert_eq!(desk.at_work().await, (old.clone(), Some(new.clone()), false));
    desk.refused(&at("shadow"), Value::Null, 409, "at work already").await;
    let watched = desk.decide("dora", 900).await;
    assert_eq!(fired(&watched, "big"), Some(true), "{watched}");
    serving.kill();

    // After a crash it still stands there, and what rules did is what it was.
    let serving = house.serve();
    let desk = Desk { house: &house, serving: &serving };
    assert_eq!(desk.at_work().await, (old.clone(), Some(new.clone()), false));
    let told = desk.ok("GET", "/v1/rules", Value::Null).await;
    let set = told["at_work"].as_array().unwrap().iter().find(|set| set["place"] == "challenger").unwrap();
    let big = set["lines"].as_array().unwrap().iter().find(|line| line["rule"] == "big").unwrap();
    assert_eq!(big["hits_7_days"], json!(1), "{set}");
    assert_eq!(house.ask(&["fraud", "bundle", "verify"]).exits(0).json()["different"], json!(0));

    let shown = desk.ok("POST", &at("shadow-end"), Value::Null).await;
    assert_eq!(shown["state"], "draft");
    assert_eq!(desk.at_work().await, (old, None, false));
    assert_eq!(fired(&desk.decide("emma", 900).await, "big"), None);

    // A folder that was changed is another bundle; a damaged version is none.
    let rules = house.data().join("bundles").join(&new).join("rules.toml");
    fs::write(&rules, piece("rules.toml")).unwrap();
    let (status, answer) = desk.send("GET", &format!("/v1/rules/versions/{new}"), Value::Null).await;
    assert!(status == 503, "{answer}");
    desk.refused(&at("backtest"), json!({ "days": 1 }), 503, "as before").await;
    assert_eq!(serving.stop(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_put_a_version_in_force_and_one_takes_it_back() {
    let house = house().await;
    let serving = house.serve();
    let desk = Desk { house: &house, serving: &serving };
    let (old, ..) = desk.at_work().await;
    house.ask(&["fraud", "bundle", "promote", &old, "--reason", "watched"]).exits(0);
    desk.decide("anna", 600).await;
    let kept = desk.ok("POST", "/v1/rules/versions", json!({ "text": raised(), "note": "n" })).await;
    let new = kept["version"].as_str().unwrap().to_owned();
    let ann = Visitor::with_role(&house, &serving, "compliance_officer", "ann").await;
    let at_console = format!("/console/rules/versions/{new}");
    let (status, page) = ann.post(&at_console, "deed=publish&text=better").await;
    assert!(status == 409 && page.contains("only what is watched in shadow"), "{page}");
    assert_eq!(desk.backtest(&new).await["state"], "done");
    assert_eq!(ann.post(&at_console, "deed=shadow").await.0, 303);
    let (status, page) = ann.post(&at_console, "deed=publish&text=better").await;
    assert_eq!(status, 200, "{page}");
    let (_, rest) = page.split_once("/console/changes/").unwrap_or_else(|| panic!("{page}"));
    let change = format!("chg-{}", rest.split('"').next().unwrap());

    // Nobody agrees to their own, nor to something else than what was asked for.
    let shown = house.ask(&["changes", "show", &change]).exits(0).json();
    let digest = shown["digest"].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned();
    let approve = |name: &str, digest: &str| {
        house.ask(&["changes", "approve", &change, "--as", name, "--digest", digest])
    };
    assert_ne!(approve("ann", &digest).code, 0, "her own");
    assert_ne!(approve("ben", &"00".repeat(32)).code, 0, "another digest");
    assert_eq!(desk.at_work().await, (old.clone(), Some(new.clone()), true), "nothing happened yet");
    approve("ben", &digest).exits(0);
    assert_eq!(
        desk.at_work().await,
        (new.clone(), None, true),
        "with the effect the other one had, out of shadow"
    );
    assert_eq!(fired(&desk.decide("ben", 600).await, "big"), Some(false));
    assert_ne!(approve("carl", &digest).code, 0, "once");
    serving.kill();

    // It holds over a crash, and is in the journal.
    let serving = house.serve();
    let desk = Desk { house: &house, serving: &serving };
    assert_eq!(desk.at_work().await, (new.clone(), None, true));
    let log = house.ask(&["log", "--kind", "fraud_bundle"]).exits(0).stdout;
    assert!(log.contains(&new) && log.contains(&change), "{log}");

    // Back: only from what is in force, and only to what was.
    let back = format!("/v1/rules/versions/{old}/return");
    desk.refused(&back, json!({ "from": old, "reason": "alerts doubled" }), 409, "is in force").await;
    desk.refused(&back, json!({ "from": "00".repeat(32), "reason": "r" }), 409, "another one by now").await;
    let shown = desk.ok("POST", &back, json!({ "from": new, "reason": "alerts doubled" })).await;
    assert_eq!(shown["state"], "in force");
    assert_eq!(desk.at_work().await, (old.clone(), None, true));
    assert_eq!(fired(&desk.decide("dora", 600).await, "big"), None);
    // Forward again, to what was in force a moment ago; then the configured folder changes, and counts again.
    let forward = json!({ "from": old, "reason": "it was not the rules" });
    desk.ok("POST", &format!("/v1/rules/versions/{new}/return"), forward).await;
    let folder = house.path("bundles").join("test").join("rules.toml");
    fs::write(&folder, piece("rules.toml").replace("version = \"1\"", "version = \"9\"")).unwrap();
    house.ask(&["reload"]).exits(0);
    let (present, _, has_effect) = desk.at_work().await;
    assert!(present != new && present != old && !has_effect, "the operator's folder, in shadow first");
    assert_eq!(serving.stop(), 0);
}
