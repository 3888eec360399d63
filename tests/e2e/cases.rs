//! Held withdrawals as people work on them: two people release, the customer repeats, once.

use domain::{AccountId, Credential};
use exchange::ledger::Person;
use http::Method;
use serde_json::{Value, json};

use crate::support::{
    HOME, House, Serving, Settings, WITHDRAWAL, assert_sound, control_api, secret, tron_address, withdrawal,
};

/// An installation with two people of its own beside the exchange, and one who may only look.
async fn house() -> House {
    let more = "[limits]\nwithdraw = \"100 / 1s\"\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    for (name, byte) in [("ann", 21_u8), ("ben", 22), ("eve", 23)] {
        secret(&house.path(&format!("{name}.token")), &hex::encode([byte; 32]));
    }
    let config = std::fs::read_to_string(house.config()).unwrap().replace(
        "exchange = \"exchange.token\"\n",
        "exchange = \"exchange.token\"\nann = \"ann.token\"\nben = \"ben.token\"\neve = \"eve.token\"\n\
         [api.permissions]\nann = \"read_cases, work_cases, approve_releases\"\n\
         ben = \"read_cases, work_cases, approve_releases\"\neve = \"read_cases\"\n",
    );
    std::fs::write(house.config(), config).unwrap();
    house
}

fn token(name: &str) -> String {
    hex::encode(
        [match name {
            "ann" => 21_u8,
            "ben" => 22,
            _ => 23,
        }; 32],
    )
}

async fn post(serving: &Serving, who: &str, path: &str, body: Value) -> (u16, Value) {
    control_api(serving.api(), &token(who), "POST", path, body.to_string()).await.unwrap()
}

async fn get(serving: &Serving, who: &str, path: &str) -> (u16, Value) {
    control_api(serving.api(), &token(who), "GET", path, String::new()).await.unwrap()
}

async fn review(house: &House, serving: &Serving, decision: &str) -> Value {
    let path = format!("/v1/decisions/{decision}");
    let (status, told) = house.control_api(serving, "GET", &path, String::new()).await.unwrap();
    assert_eq!(status, 200, "{told}");
    told["review"].clone()
}

/// Opens an account and changes its password, so that withdrawals are held.
async fn suspicious_account(house: &House, name: &str) -> Value {
    house.open_account(name).await;
    let person = Person { account: AccountId::parse(name).unwrap(), device: None, ip: HOME };
    house.desk().change_credential(&person, Credential::Email).unwrap();
    house.settle().await;
    house.key(name)
}

fn paid(house: &House, account: &str) -> usize {
    house.desk().withdrawals(&AccountId::parse(account).unwrap()).unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_release_a_held_withdrawal_and_it_passes_once() {
    let house = house().await;
    let serving = house.serve();
    let key = suspicious_account(&house, "gina").await;
    let mut client = house.client(&serving, &key);
    let friend = tron_address("friend");
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&friend, "5", "w1")).await.unwrap();
    assert_eq!(answer.code(), "58219", "{}", answer.json);
    let held = answer.decision_id().unwrap().to_owned();
    assert_eq!(review(&house, &serving, &held).await["state"], "held");

    let (status, cases) = get(&serving, "eve", "/v1/cases?account=gina&order=urgent").await;
    assert_eq!((status, cases["cases"].as_array().unwrap().len()), (200, 1), "{cases}");
    let case = cases["cases"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(cases["cases"][0]["expected_loss"], "2.5", "{cases}");
    let path = |call: &str| format!("/v1/cases/{case}/{call}");

    // One person is not enough, however they come in; who may only look changes nothing.
    let propose = json!({ "revision": 0, "decision": held, "reason": "called back" });
    assert_eq!(post(&serving, "eve", &path("propose"), propose.clone()).await.0, 403);
    assert_eq!(post(&serving, "ann", &path("propose"), propose.clone()).await.0, 200);
    let (status, refused) = post(&serving, "ben", &path("propose"), propose).await;
    assert_eq!((status, &refused["type"]), (409, &json!("urn:caponier:problem:case-conflict")), "{refused}");
    let approve = json!({ "revision": 1, "decision": held });
    let (status, refused) = post(&serving, "ann", &path("approve"), approve.clone()).await;
    assert_eq!((status, &refused["type"]), (403, &json!("urn:caponier:problem:four-eyes")), "{refused}");
    house.ask(&["cases", "approve", &case, "--as", "ANN", &held]).exits(1);
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&friend, "5", "w1")).await.unwrap();
    assert_eq!(answer.code(), "58219", "one person released it: {}", answer.json);
    let (status, done) = post(&serving, "ben", &path("approve"), approve).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(review(&house, &serving, &held).await["state"], "released");

    // The process dies; what people said does not.
    serving.kill();
    let serving = house.serve();
    assert_eq!(review(&house, &serving, &held).await["state"], "released");

    // Other amounts and recipients stay held; the released one passes once, however many ask at once.
    let mut client = house.client(&serving, &key);
    for (to, amount) in [(&friend, "6"), (&tron_address("other"), "5")] {
        let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(to, amount, "w2")).await.unwrap();
        assert_eq!(answer.code(), "58219", "{}", answer.json);
    }
    let asking: Vec<_> = (0..6)
        .map(|number| {
            let mut client = house.client(&serving, &key);
            let body = withdrawal(&friend, "5", &format!("again{number}"));
            tokio::spawn(async move { client.call(Method::POST, WITHDRAWAL, &body).await.unwrap() })
        })
        .collect();
    let mut codes = Vec::new();
    for asked in asking {
        codes.push(asked.await.unwrap().code().to_owned());
    }
    codes.sort_unstable();
    assert_eq!(codes, ["0", "58219", "58219", "58219", "58219", "58219"]);
    assert_eq!(paid(&house, "gina"), 1);
    let used = review(&house, &serving, &held).await;
    assert_eq!(used["state"], "used", "{used}");
    let passed = used["used_by"].as_str().unwrap().to_owned();
    let why = house.ask(&["explain", &passed]).exits(0).json();
    assert_eq!(why["verdict"], "allow", "{why}");
    assert!(why.to_string().contains("decide.released"), "{why}");
    assert_eq!(serving.stop(), 0);

    // Without a process the command line does the same; closing the case teaches once.
    house
        .ask(&["cases", "resolve", &case, "--as", "ann", "--disposition", "good", "--reason", "x"])
        .exits(64);
    let resolve = ["cases", "resolve", &case, "--as", "ann", "--disposition", "legitimate", "--reason", "ok"];
    let done = house.ask(&resolve).exits(0).json();
    assert_eq!(done["resolution"]["disposition"], "legitimate", "{done}");
    house.ask(&resolve).exits(1);
    let log = house.ask(&["log", "--kind", "event,case", "--reveal"]).exits(0).stdout;
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let labels = entries.iter().filter(|entry| entry["event"] == "label").count();
    assert_eq!(labels, done["held"].as_array().unwrap().len(), "{log}");
    let who: Vec<&str> = entries.iter().filter_map(|entry| entry["by"].as_str()).collect();
    assert_eq!(who, ["service:ann", "service:ben", "operator:ann"], "{log}");

    // What a backup restores is the same state, cases included.
    house.ask(&["backup", "drill"]).exits(0);
    assert_sound(house.data());
}

/// Fraud ends a release that nobody used, and erasing the person takes the case away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fraud_takes_a_release_back_and_erasure_takes_the_case() {
    let house = house().await;
    let serving = house.serve();
    let key = suspicious_account(&house, "hank").await;
    let mut client = house.client(&serving, &key);
    let thief = tron_address("thief");
    let ask = withdrawal(&thief, "7", "w1");
    let answer = client.call(Method::POST, WITHDRAWAL, &ask).await.unwrap();
    let held = answer.decision_id().unwrap().to_owned();
    let listed = house.ask(&["cases", "list", "--account", "hank"]).exits(0).json();
    let case = listed["cases"][0]["id"].as_str().unwrap().to_owned();
    house.ask(&["cases", "propose", &case, "--as", "ann", &held, "--reason", "seems fine"]).exits(0);
    house.ask(&["cases", "approve", &case, "--as", "ben", &held, "--revision", "0"]).exits(1);
    house.ask(&["cases", "approve", &case, "--as", "ben", &held, "--revision", "1"]).exits(0);
    house
        .ask(&["cases", "resolve", &case, "--as", "eve", "--disposition", "fraud", "--reason", "stolen"])
        .exits(0);
    assert_eq!(review(&house, &serving, &held).await["state"], "refused");
    let answer = client.call(Method::POST, WITHDRAWAL, &ask).await.unwrap();
    assert_eq!(answer.code(), "58219", "{}", answer.json);
    assert_eq!(paid(&house, "hank"), 0);
    let more = house.ask(&["cases", "list", "--account", "hank"]).exits(0).json();
    assert_eq!(more["cases"].as_array().unwrap().len(), 2, "a new story: {more}");

    house.ask(&["subjects", "erase", "hank", "--yes"]).exits(0);
    house.ask(&["cases", "show", &case]).exits(66);
    let left = house.ask(&["cases", "list"]).exits(0).json();
    assert_eq!(left["cases"], json!([]), "{left}");
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}
