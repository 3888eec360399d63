//! Appeals as customers bring them and people answer them: nothing moves by an answer alone.

use domain::{AccountId, Credential};
use exchange::ledger::Person;
use http::Method;
use serde_json::{Value, json};

use crate::support::{
    HOME, House, Serving, Settings, WITHDRAWAL, assert_sound, control_api, secret, tron_address, withdrawal,
};

/// An installation with a program that appeals for customers and two people.
async fn house() -> House {
    let more = "[limits]\nwithdraw = \"100 / 1s\"\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    for (name, byte) in [("ann", 21_u8), ("ben", 22), ("shop", 24)] {
        secret(&house.path(&format!("{name}.token")), &hex::encode([byte; 32]));
    }
    let config = std::fs::read_to_string(house.config()).unwrap().replace(
        "exchange = \"exchange.token\"\n",
        "exchange = \"exchange.token\"\nann = \"ann.token\"\nben = \"ben.token\"\nshop = \"shop.token\"\n\
         [api.permissions]\nann = \"read_cases, work_cases\"\nben = \"read_cases, approve_releases\"\n\
         shop = \"appeal\"\n",
    );
    std::fs::write(house.config(), config).unwrap();
    house
}

fn token(name: &str) -> String {
    hex::encode(
        [match name {
            "ann" => 21_u8,
            "ben" => 22,
            _ => 24,
        }; 32],
    )
}

async fn post(serving: &Serving, who: &str, path: &str, body: Value) -> (u16, Value) {
    control_api(serving.api(), &token(who), "POST", path, body.to_string()).await.unwrap()
}

async fn get(serving: &Serving, who: &str, path: &str) -> (u16, Value) {
    control_api(serving.api(), &token(who), "GET", path, String::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_withdrawal_is_appealed_overturned_and_still_takes_two() {
    let house = house().await;
    let serving = house.serve();
    for name in ["gina", "nora"] {
        house.open_account(name).await;
    }
    let person = Person { account: AccountId::parse("gina").unwrap(), device: None, ip: HOME };
    house.desk().change_credential(&person, Credential::Email).unwrap();
    house.settle().await;
    let key = house.key("gina");
    let mut client = house.client(&serving, &key);
    let friend = tron_address("friend");
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&friend, "5", "w1")).await.unwrap();
    assert_eq!(answer.code(), "58219", "{}", answer.json);
    let held = answer.decision_id().unwrap().to_owned();

    // Only whose decision it is may appeal, and only once at a time.
    let appeal = |account: &str, id: &str| json!({ "account": account, "against": "decision", "id": id, "text": "it was me" });
    assert_eq!(post(&serving, "ann", "/v1/appeals", appeal("gina", &held)).await.0, 403);
    assert_eq!(post(&serving, "shop", "/v1/appeals", appeal("nora", &held)).await.0, 404);
    assert_eq!(post(&serving, "shop", "/v1/appeals", appeal("gina", "dec-1-00")).await.0, 404);
    let (status, brought) = post(&serving, "shop", "/v1/appeals", appeal("gina", &held)).await;
    assert_eq!((status, &brought["state"]), (200, &json!("open")), "{brought}");
    assert_eq!(brought["decision"], held, "{brought}");
    assert_eq!(post(&serving, "shop", "/v1/appeals", appeal("gina", &held)).await.0, 409);
    let (id, case) = (brought["id"].as_str().unwrap(), brought["case"].as_str().unwrap());
    let path = format!("/v1/appeals/{id}");
    let (_, file) = get(&serving, "ann", &format!("/v1/cases/{case}")).await;
    assert_eq!(
        (&file["appeals"][0]["id"], &file["held"][0]["decision"]),
        (&json!(id), &json!(held)),
        "{file}"
    );

    // A case with an open appeal is not closed; the one who brought it does not answer it.
    let close = json!({ "revision": file["revision"], "disposition": "fraud", "reason": "x" });
    assert_eq!(post(&serving, "ann", &format!("/v1/cases/{case}/resolve"), close).await.0, 409);
    house
        .ask(&["appeals", "answer", id, "--as", "shop", "--outcome", "overturned", "--reason", "me"])
        .exits(1);
    let overturn = json!({ "outcome": "overturned", "reason": "we called and she confirmed" });
    let (status, done) = post(&serving, "ann", &format!("{path}/answer"), overturn).await;
    assert_eq!((status, &done["state"]), (200, &json!("overturned")), "{done}");

    // The process dies; the answer, the label and the proposal stand.
    serving.kill();
    let serving = house.serve();
    let (_, told) = get(&serving, "shop", &path).await;
    assert_eq!(told["reason"], "we called and she confirmed", "{told}");
    let (_, file) = get(&serving, "ann", &format!("/v1/cases/{case}")).await;
    assert_eq!(file["held"][0]["review"]["state"], "proposed", "{file}");
    assert_eq!(file["held"][0]["review"]["proposed_by"], "service:ann", "{file}");
    let log = house.ask(&["log", "--kind", "event", "--reveal"]).exits(0).stdout;
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.iter().filter(|entry| entry["event"] == "label").count(), 1, "{log}");
    let mut client = house.client(&serving, &key);
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&friend, "5", "w2")).await.unwrap();
    assert_eq!(answer.code(), "58219", "an answer let money go: {}", answer.json);
    let approve = json!({ "revision": file["revision"], "decision": held });
    let (status, approved) = post(&serving, "ben", &format!("/v1/cases/{case}/approve"), approve).await;
    assert_eq!(status, 200, "{approved}");
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&friend, "5", "w3")).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);

    // What was let through is nothing to appeal.
    let passed = house.ask(&["cases", "show", case]).exits(0).json();
    let used = passed["held"][0]["review"]["used_by"].as_str().unwrap().to_owned();
    assert_eq!(post(&serving, "shop", "/v1/appeals", appeal("gina", &used)).await.0, 409);

    // What the log shows without --reveal says nothing of what was written.
    let log = house.ask(&["log", "--kind", "case"]).exits(0).stdout;
    assert!(log.contains("appealed") && log.contains("overturned") && !log.contains("it was me"), "{log}");
    assert_eq!(serving.stop(), 0);
    house.ask(&["backup", "drill"]).exits(0);

    // And of an erased person nothing is left, nor can anything be added.
    house.ask(&["subjects", "erase", "gina", "--yes"]).exits(0);
    house.ask(&["appeals", "show", id]).exits(66);
    assert_sound(house.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overturned_ban_is_lifted_and_appeals_of_a_day_are_bounded() {
    let house = house().await;
    let serving = house.serve();
    house.open_account("olga").await;
    let targets: Vec<String> = (1..=9).map(|n| format!("192.0.2.{n}")).collect();
    let bring =
        |target: &str| json!({ "account": "olga", "against": "ban", "id": target, "text": "our office" });
    assert_eq!(post(&serving, "shop", "/v1/appeals", bring("192.0.2.1")).await.0, 404, "nobody is banned");
    for target in &targets {
        house.ask(&["bans", "add", target, "--minutes", "30"]).exits(0);
    }
    let mut ids = Vec::new();
    for target in &targets[..8] {
        let (status, brought) = post(&serving, "shop", "/v1/appeals", bring(target)).await;
        assert_eq!((status, &brought["ban"]), (200, &json!(target)), "{brought}");
        ids.push(brought["id"].as_str().unwrap().to_owned());
    }
    let (status, refused) = post(&serving, "shop", "/v1/appeals", bring(&targets[8])).await;
    assert_eq!(
        (status, &refused["type"]),
        (409, &json!("urn:caponier:problem:appeal-conflict")),
        "{refused}"
    );

    for (at, id) in ids.iter().enumerate() {
        let outcome = if at == 0 { "overturned" } else { "upheld" };
        let words = ["appeals", "answer", id, "--as", "ann", "--outcome", outcome, "--reason", "looked"];
        house.ask(&words).exits(0);
    }
    let listed = house.ask(&["bans", "list"]).exits(0).json();
    let left: Vec<&str> =
        listed["bans"].as_array().unwrap().iter().filter_map(|ban| ban["target"].as_str()).collect();
    assert!(!left.contains(&"192.0.2.1") && left.len() == 8, "{left:?}");
    // Nothing but appeals: the case closed with the last answer.
    let cases = house.ask(&["cases", "list", "--account", "olga"]).exits(0).json();
    assert_eq!(cases["cases"][0]["disposition"], "legitimate", "{cases}");
    let text = crate::support::caponier(&[
        "--config",
        &house.config(),
        "appeals",
        "list",
        "--state",
        "upheld",
        "--limit",
        "2",
    ])
    .stdout;
    assert!(text.contains("upheld") && text.contains("more: --after appeal-"), "{text}");
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}
