//! A bundle judges live: labels count at once, and `kill -9` changes nothing that was computed.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use caponier::clock::SystemClock;
use domain::{Clock as _, UnixNanos};
use exchange::random::SplitMix64;
use scoring::{
    gbdt::{Params, train},
    matrix::{FeatureNames, Matrix},
    model::{
        card::{ModelCard, Training},
        file::ModelFile,
    },
};
use serde_json::{Value, json};

use crate::{
    operations::{scrape, value},
    support::{House, ROOT, Serving, Settings, tron_address},
};

/// The configuration of a bundle that may have an effect.
const BUNDLES: &str = r#"
[fraud]
bundles = "bundles"
bundle = "test"
mode = "enforce"

[api.permissions]
exchange = "decide, read_decisions, read_health, read_metrics, write_events"
"#;

/// One rule more than the unit tests have: what a label makes of a destination.
const RULE: &str = r#"
[[rule]]
id = "known-bad"
title = "Somebody lost money to the destination"
owner = "fraud-team"
when = "destination_frauds >= 1.0"
action = "deny"
mode = "enforce"
reason = "known frauds paid to the destination: {destination_frauds}"
"#;

/// A model that learned one thing: much withdrawn within a day is fraud.
fn model(pack: &str) -> Vec<u8> {
    let pack = features::Pack::parse(pack).unwrap();
    let names = FeatureNames::new(pack.columns().iter().map(|column| column.name.clone())).unwrap();
    let place = names.position("withdrawn_1d").unwrap();
    let mut rows = Matrix::new(names);
    let mut labels = Vec::new();
    for n in 0..400_u16 {
        let mut row = vec![f32::from(n % 7); pack.columns().len()];
        row[place] = f32::from(n % 100) * 10.0;
        rows.push(&row).unwrap();
        labels.push(n % 100 > 60);
    }
    let params = Params { trees: 30, depth: 3, ..Params::default() };
    let model = train(&rows, &labels, None, None, &params).unwrap();
    let training = Training { rows: 400, positives: 156, period: None, data_hash: [0; 32] };
    let card = ModelCard {
        name: "test".into(),
        version: "1".into(),
        created_by: String::new(),
        created_at: UnixNanos(0),
        training,
        params: Vec::new(),
        metrics: Vec::new(),
        limits: String::new(),
    };
    ModelFile { model, calibration: None, card }.encode().unwrap()
}

async fn house() -> House {
    let house = House::build(Settings { more: BUNDLES, ..Settings::default() }).await;
    let dir = house.path("bundles").join("test");
    fs::create_dir_all(&dir).unwrap();
    let from = |name: &str| fs::read_to_string(format!("{ROOT}/crates/fraud/src/live/tests/{name}")).unwrap();
    let manifest = from("bundle.toml")
        .replace("rules = \"rules.toml\"", "rules = \"rules.toml\"\nmodel = \"model.bin\"");
    fs::write(dir.join("bundle.toml"), manifest).unwrap();
    fs::write(dir.join("pack.toml"), from("pack.toml")).unwrap();
    fs::write(dir.join("rules.toml"), from("rules.toml") + RULE).unwrap();
    fs::write(dir.join("model.bin"), model(&from("pack.toml"))).unwrap();
    house
}

fn question(account: &str, amount: u64, to: &str) -> String {
    json!({
        "type": "withdrawal", "deadline_ms": 5000,
        "withdrawal": {
            "account": account, "asset": "USDT", "amount": amount.to_string(), "network": "tron",
            "address": tron_address(to), "ip": "192.0.2.7", "device": "d-1",
        },
    })
    .to_string()
}

async fn decide(house: &House, serving: &Serving, account: &str, amount: u64, to: &str) -> Value {
    let body = question(account, amount, to);
    let (status, answer) = house.control_api(serving, "POST", "/v1/decisions", body).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    answer
}

fn reason<'a>(answer: &'a Value, code: &str) -> Option<&'a Value> {
    answer["reasons"].as_array().unwrap().iter().find(|reason| reason["code"] == code)
}

fn bundle(house: &House) -> Value {
    house.ask(&["fraud", "bundle", "status"]).exits(0).json()["bundles"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_counts_within_a_second() {
    let house = house().await;
    let serving = house.serve();
    let sha256 = bundle(&house)["bundle"]["sha256"].as_str().unwrap().to_owned();
    let lost = decide(&house, &serving, "anna", 5, "thief").await;
    assert!(reason(&lost, "fraud.rule.known-bad").is_none(), "{lost}");
    house.ask(&["fraud", "bundle", "promote", &sha256, "--reason", "watched"]).exits(0);

    let labelled = SystemClock.now();
    let (account, decision) = ("anna", lost["id"].as_str().unwrap());
    let label =
        ["fraud", "label", "fraud", "--account", account, "--decision", decision, "--source", "customer"];
    house.ask(&label).exits(0);
    let next = decide(&house, &serving, "ben", 5, "thief").await;
    let took = SystemClock.now().since(labelled);
    let known = reason(&next, "fraud.rule.known-bad").unwrap_or_else(|| panic!("{next}"));
    assert_eq!((&next["verdict"], &known["shadow"]), (&json!("deny"), &json!(false)));
    assert_eq!(known["message"], "known frauds paid to the destination: 1 events");
    assert!(
        took < Duration::from_secs(1),
        "{took:?} from the label to the next decision, two programs started"
    );

    // What was decided before the label is as it was.
    let before = house.ask(&["explain", decision]).exits(0).json();
    assert!(reason(&before, "fraud.rule.known-bad").is_none());
    // It turned out otherwise: the later word counts.
    house.ask(&["fraud", "label", "legitimate", "--account", account, "--decision", decision]).exits(0);
    let after = decide(&house, &serving, "carl", 5, "thief").await;
    assert!(reason(&after, "fraud.rule.known-bad").is_none(), "{after}");
    assert_eq!(house.ask(&["fraud", "bundle", "verify"]).exits(0).json()["compared"], json!(3));
    // How long both labels took is told, and how long each entry took that came in since the start.
    let (status, told) = scrape(serving.api(), house.token()).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(value(&told, "caponier_fraud_label_seconds_count"), 2);
    assert!(value(&told, "caponier_fraud_step_seconds_count{place=\"active\"}") >= 5, "{told}");
    assert_eq!(serving.stop(), 0);
    // What is replayed is no news: the next process has taken in none of these labels.
    let serving = house.serve();
    let (_, told) = scrape(serving.api(), house.token()).await;
    assert_eq!(value(&told, "caponier_fraud_label_seconds_count"), 0);
    assert_eq!(value(&told, "caponier_fraud_labels_total{place=\"active\",outcome=\"applied\"}"), 2);
    assert_eq!(serving.stop(), 0);
}

/// Events of a day, each one another: failed and good logins, addresses, labels of what came before.
fn event(number: u64) -> Value {
    let mut event = json!({
        "id": format!("f-{number}"), "account": format!("person-{}", number % 9),
        "occurred_at": SystemClock.now().to_string(), "device": format!("d-{}", number % 5),
        "ip": format!("192.0.2.{}", number % 200),
    });
    let more = match number % 4 {
        0 => {
            json!({ "type": "login", "success": number.is_multiple_of(3), "second_factor": true, "anonymizer": "vpn" })
        }
        1 => {
            json!({ "type": "address_added", "network": "tron", "address": tron_address(&(number % 11).to_string()) })
        }
        2 => json!({ "type": "login", "success": true, "second_factor": false, "country": "CH" }),
        _ => {
            json!({ "type": "label", "label": "fraud", "event": format!("f-{}", number / 2), "source": "test" })
        }
    };
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

/// Kills the program in the middle of events and decisions. After each start every decision that was made comes out the
/// same from the journal alone: features and scores, bit for bit; and two starts have one and the same state.
async fn kill_and_compare(kills: usize) {
    let house = house().await;
    let mut random = SplitMix64::named(5, "fraud kill");
    let next = AtomicU64::new(0);
    let number = || next.fetch_add(1, Ordering::Relaxed);
    let mut compared = 0;
    for round in 0..kills {
        let serving = house.serve();
        let (api, token) = (serving.api(), house.token().to_owned());
        let rounds = 5 + random.below(15);
        let outside = async {
            for n in 0.. {
                let batch: String = (0..7).map(|_| event(number()).to_string() + "\n").collect();
                let told = crate::support::control_api(api, &token, "POST", "/v1/events", batch).await;
                let who = format!("person-{}", n % 9);
                let body = question(&who, 1 + n * 37 % 400, &(n % 11).to_string());
                let decided = crate::support::control_api(api, &token, "POST", "/v1/decisions", body).await;
                match (told, decided) {
                    (Ok((200, answer)), Ok((200, _))) => assert!(answer.get("refused").is_none(), "{answer}"),
                    (Ok((status, answer)), _) if status != 200 => panic!("{answer}"),
                    (_, Ok((status, answer))) if status != 200 => panic!("{answer}"),
                    // The program is gone.
                    _ => return,
                }
                if n == rounds {
                    // The next answers are cut off where they stand.
                    return;
                }
            }
        };
        let second = async {
            for n in 0.. {
                let body = question("person-3", 1 + n % 300, "x");
                let asked =
                    crate::support::control_api(api, house.token(), "POST", "/v1/decisions", body).await;
                if asked.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = outside => {}
            () = second => {}
        }
        serving.kill();

        let serving = house.serve();
        let verified = house.ask(&["fraud", "bundle", "verify"]).exits(0).json();
        assert_eq!(verified["different"], json!(0), "after kill {round}");
        compared = verified["compared"].as_u64().unwrap();
        let state = bundle(&house)["state_sha256"].clone();
        serving.kill();
        let serving = house.serve();
        assert_eq!(bundle(&house)["state_sha256"], state, "after kill {round}");
        serving.kill();
    }
    let serving = house.serve();
    assert!(compared >= kills as u64 * 5, "{compared}");
    // Every alert that was raised is an entry, once.
    let raised = bundle(&house)["alerts"].as_u64().unwrap();
    let entries = || {
        let told = house.ask(&["log", "--kind", "fraud_alert"]).exits(0).stdout;
        let mut ids: Vec<String> = told
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let mut tries = 0;
    let mut ids = entries();
    while (ids.len() as u64) < raised && tries < 50 {
        tries += 1;
        ids = entries();
    }
    assert_eq!(ids.len() as u64, raised);
    ids.dedup();
    assert_eq!(ids.len() as u64, raised, "no alert stands there twice");
    // A restored copy comes to the same state.
    let drill = house.ask(&["backup", "drill"]).exits(0).json();
    assert_eq!(drill["ok"], json!(true), "{drill}");
    eprintln!("{kills} kills: {compared} decisions computed again, {raised} alerts");
    assert_eq!(serving.stop(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_changes_no_feature_no_score_and_no_alert() {
    kill_and_compare(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "nightly: a hundred kills take some minutes"]
async fn nightly_a_hundred_kills_change_nothing() {
    kill_and_compare(100).await;
}
