//! One person stops money at once, two let it go on, and a crash changes neither.

use domain::AccountId;
use http::Method;
use serde_json::{Value, json};

use crate::support::{HOME, House, Serving, Settings, WITHDRAWAL, assert_sound, tron_address, withdrawal};

async fn ask(house: &House, serving: &Serving, path: &str, body: Value) -> (u16, Value) {
    house.control_api(serving, "POST", path, body.to_string()).await.unwrap()
}

async fn decide(house: &House, serving: &Serving, account: &str, key: Option<&str>) -> (u16, Value) {
    let body = json!({ "type": "withdrawal", "idempotency_key": key, "withdrawal": {
        "account": account, "asset": "USDT", "amount": "1", "network": "tron",
        "address": tron_address("friend"), "ip": HOME,
    } });
    ask(house, serving, "/v1/decisions", body).await
}

fn paid(house: &House, account: &str) -> usize {
    house.desk().withdrawals(&AccountId::parse(account).unwrap()).unwrap().len()
}

/// The number of the proposal that waits.
fn proposal(house: &House) -> String {
    house.ask(&["emergency"]).exits(0).json()["freezes"][0]["unfreeze"]["proposal"].to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_stops_withdrawals_survives_kill_and_takes_two_people_to_lift() {
    let more = "[limits]\nwithdraw = \"100 / 1s\"\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    let serving = house.serve();
    house.open_account("gina").await;
    house.open_account("otto").await;
    house.settle().await;
    let key = house.key("gina");
    let mut client = house.client(&serving, &key);
    let friend = tron_address("friend");
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&friend, "5", "w1")).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);
    let (status, first) = decide(&house, &serving, "otto", Some("k1")).await;
    assert_eq!((status, &first["verdict"]), (200, &json!("allow")), "{first}");

    // A program may stop: an exchange's own monitoring does it within a second.
    let freeze = json!({ "scope": "asset:USDT", "reason": "unexplained outflow" });
    let (status, state) = ask(&house, &serving, "/v1/emergency/freeze", freeze.clone()).await;
    assert_eq!((status, &state["freezes"][0]["scope"]), (200, &json!("asset:USDT")), "{state}");
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&friend, "5", "w2")).await.unwrap();
    assert_eq!(answer.code(), "58204", "{}", answer.json);
    let why = house.ask(&["explain", answer.decision_id().unwrap()]).exits(0).json();
    assert_eq!(
        (&why["verdict"], &why["reasons"][0]["code"]),
        (&json!("deny"), &json!("decide.frozen")),
        "{why}"
    );
    let (status, again) = decide(&house, &serving, "otto", Some("k1")).await;
    assert_eq!((status, &again["type"]), (503, &json!("urn:caponier:problem:frozen")), "{again}");
    assert_eq!(decide(&house, &serving, "otto", None).await.1["verdict"], "deny");

    // To stop it twice changes nothing; it may not lift anything.
    let entries = house.ask(&["backup", "status"]).exits(0).json()["entries"].clone();
    let (_, twice) = ask(&house, &serving, "/v1/emergency/freeze", freeze.clone()).await;
    assert_eq!(twice, state);
    assert_eq!(house.ask(&["backup", "status"]).exits(0).json()["entries"], entries);
    let (status, refused) = ask(&house, &serving, "/v1/emergency/unfreeze/propose", freeze).await;
    assert_eq!((status, &refused["type"]), (403, &json!("urn:caponier:problem:four-eyes")), "{refused}");

    // The process dies at once; the freeze does not.
    serving.kill();
    let serving = house.serve();
    assert_eq!(decide(&house, &serving, "otto", None).await.1["verdict"], "deny");
    let lift = ["unfreeze", "propose", "asset:USDT", "--as", "ann", "--reason", "reconciled"];
    house.ask(&lift).exits(0);
    let number = proposal(&house);
    let approve = |who: &'static str| ["unfreeze", "approve", "asset:USDT", "--as", who, "--proposal"];
    let with = |words: [&str; 6], number: &str| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        house.ask(&words.iter().map(String::as_str).chain([number]).collect::<Vec<_>>())
    };
    with(approve("ann"), &number).exits(1);
    with(approve("ben"), "1").exits(66);
    assert_eq!(decide(&house, &serving, "otto", None).await.1["verdict"], "deny");
    serving.kill();
    let serving = house.serve();
    assert_eq!(proposal(&house), number, "the proposal is durable as well");
    with(approve("ben"), &number).exits(0);
    let (status, again) = decide(&house, &serving, "otto", Some("k1")).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]), "{again}");
    let mut client = house.client(&serving, &key);
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&friend, "5", "w3")).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);
    assert_eq!(paid(&house, "gina"), 2);
    serving.kill();
    let serving = house.serve();
    assert_eq!(decide(&house, &serving, "otto", None).await.1["verdict"], "allow");
    assert_eq!(serving.stop(), 0);
    let told = house.ask(&["log", "--kind", "emergency"]).exits(0).stdout;
    let what: Vec<Value> =
        told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["what"].clone()).collect();
    assert_eq!(what, ["frozen", "unfreeze_proposed", "unfrozen"]);
    assert_sound(house.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scopes_reach_as_far_as_they_say_and_an_alarm_ends() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("gina").await;
    house.open_account("otto").await;
    house.settle().await;
    for scope in ["account:gina", "network:bitcoin", "asset:BTC"] {
        house.ask(&["freeze", scope, "--as", "ann", "--reason", "drill"]).exits(0);
    }
    house.ask(&["freeze", "planet:mars", "--as", "ann", "--reason", "drill"]).exits(64);
    house.ask(&["freeze", "all", "--as", "ann", "--reason", " "]).exits(64);
    house.ask(&["unfreeze", "propose", "all", "--as", "ann", "--reason", "x"]).exits(66);
    assert_eq!(decide(&house, &serving, "gina", None).await.1["verdict"], "deny");
    assert_eq!(decide(&house, &serving, "otto", None).await.1["verdict"], "allow");

    house.ask(&["alarm", "end", "--as", "ann", "--reason", "x"]).exits(66);
    house.ask(&["alarm", "raise", "--as", "ann", "--reason", "flood", "--minutes", "0"]).exits(64);
    let raised =
        house.ask(&["alarm", "raise", "--as", "ann", "--reason", "flood", "--minutes", "5"]).exits(0);
    assert_eq!(raised.json()["alarm"]["by"], "operator:ann");
    let (status, state) = house.control_api(&serving, "GET", "/v1/emergency", String::new()).await.unwrap();
    assert_eq!((status, state["freezes"].as_array().unwrap().len()), (200, 3), "{state}");
    assert!(state["alarm"]["until"].is_string());
    let ended = house.ask(&["alarm", "end", "--as", "ben", "--reason", "over"]).exits(0).json();
    assert!(ended["alarm"].is_null(), "{ended}");
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}
