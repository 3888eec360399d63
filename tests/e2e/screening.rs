//! Addresses screened over the control API, and past transfers judged anew when a list changes: as somebody who kills the
//! program in between sees it.

use std::fs;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    operations::{scrape, value},
    support::{House, PATIENCE, Serving, Settings, assert_sound},
};

const BAD: &str = "0x00000000000000000000000000000000000000A1";
const FORMAT: &str = "csv:address=address,network=:ETH,category=:scam";

async fn screen(house: &House, serving: &Serving, body: Value) -> (u16, Value) {
    house.control_api(serving, "POST", "/v1/screen", body.to_string()).await.unwrap()
}

fn import(house: &House, address: &str) -> Value {
    let path = house.path("fresh.csv");
    fs::write(&path, format!("address\n{address}\n")).unwrap();
    house
        .ask(&["lists", "import", "--name", "fresh", "--format", FORMAT, path.to_str().unwrap()])
        .exits(0)
        .json()
}

/// What was said of past transfers, in order.
fn told(house: &House) -> Vec<(String, String)> {
    let log = house.ask(&["log", "--kind", "screening", "--reveal"]).exits(0);
    let entries =
        log.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    let alerts = entries.iter().filter(|entry| entry["entry"].is_u64());
    let word = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    alerts.map(|entry| (word(entry, "what"), word(entry, "way"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_gets_its_answer_again_also_after_a_crash() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    import(&house, BAD);
    let body = json!({ "address": BAD, "network": "ethereum", "reference": "w-1", "idempotency_key": "k-1" });
    let (status, first) = screen(&house, &serving, body.clone()).await;
    assert_eq!(
        (status, &first["verdict"], &first["reference"]),
        (200, &json!("deny"), &json!("w-1")),
        "{first}"
    );
    assert_eq!(first["labels"][0]["list"], json!("fresh"));
    import(&house, "0x00000000000000000000000000000000000000b2");
    assert_eq!(screen(&house, &serving, body.clone()).await, (200, first.clone()));
    serving.kill();
    let serving = house.serve();
    assert_eq!(screen(&house, &serving, body.clone()).await, (200, first.clone()));
    let (status, problem) =
        screen(&house, &serving, json!({ "address": BAD, "idempotency_key": "k-1" })).await;
    assert_eq!((status, &problem["type"]), (422, &json!("urn:caponier:problem:idempotency-conflict")));
    // Without the key the lists of now answer.
    let (_, now) = screen(&house, &serving, json!({ "address": BAD })).await;
    assert_eq!(now["verdict"], json!("allow"));
    assert_ne!(now["id"], first["id"]);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_decided_on_as_it_is_screened() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    import(&house, BAD);
    let ask = |path: &'static str, body: Value| {
        let (house, serving) = (&house, &serving);
        async move { house.control_api(serving, "POST", path, body.to_string()).await.unwrap() }
    };
    let screened = |address: &str, network: &str| {
        json!({
            "type": "address_screen",
            "address_screen": { "address": address, "network": network, "reference": "dep-1" },
        })
    };
    let good = "0x00000000000000000000000000000000000000b2";
    for (address, network, code) in [
        (BAD, "ethereum", "watch.scam_address"),
        (good, "ethereum", "watch.not_listed"),
        (good, "bitcoin", "watch.invalid_address"),
    ] {
        let (status, decided) = ask("/v1/decisions", screened(address, network)).await;
        assert_eq!((status, &decided["type"]), (200, &json!("address_screen")), "{decided}");
        assert_eq!(decided["reasons"][0]["code"], code, "{decided}");
        let (_, answer) = ask("/v1/screen", json!({ "address": address, "network": network })).await;
        assert_eq!(decided["verdict"], answer["verdict"], "{decided} {answer}");
    }

    // Which list said so, in which state; and the same step by step, by its id.
    let mut keyed = screened(BAD, "ethereum");
    keyed["idempotency_key"] = json!("dep-1");
    let (_, first) = ask("/v1/decisions", keyed.clone()).await;
    let evidence = &first["reasons"][0]["evidence"];
    assert!(evidence["label"].as_str().unwrap().contains("on list fresh"), "{first}");
    assert!(evidence["list"].as_str().unwrap().contains("source SHA-256"), "{first}");
    assert_eq!(evidence["category"], "scam");
    let id = first["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/decisions/{id}");
    let (status, shown) = house.control_api(&serving, "GET", &path, String::new()).await.unwrap();
    let act = json!({ "address": BAD, "network": "ethereum", "reference": "dep-1" });
    assert_eq!((status, &shown["act"]), (200, &act), "{shown}");
    let path = format!("{path}/explain");
    let (status, told) = house.control_api(&serving, "GET", &path, String::new()).await.unwrap();
    assert_eq!((status, &told["trace"][0]["step"]), (200, &json!("watch")), "{told}");
    assert!(told["sentence"].as_str().unwrap().starts_with("Denied. The destination is listed"), "{told}");

    // In shadow it has no effect; under the key of another request it is refused.
    let (_, shadow) = ask("/v1/decisions?mode=shadow", screened(BAD, "ethereum")).await;
    assert_eq!((&shadow["verdict"], &shadow["would_be"]), (&json!("allow"), &json!("deny")), "{shadow}");
    keyed["address_screen"]["address"] = json!(good);
    assert_eq!(ask("/v1/decisions", keyed.clone()).await.0, 422);
    assert_eq!(ask("/v1/decisions", screened(BAD, "nowhere")).await.0, 400);

    // What was answered is judged again when a list changes, also by who comes after a kill.
    serving.kill();
    let serving = house.serve();
    keyed["address_screen"]["address"] = json!(BAD);
    let again = house.control_api(&serving, "POST", "/v1/decisions", keyed.to_string()).await.unwrap();
    assert_eq!(again, (200, first));
    import(&house, good);
    let said = |what: &str| (what.to_owned(), "answer".to_owned());
    assert_eq!(told_by(&house), [said("raised"), said("retracted")]);

    // Whoever listens for alerts hears of it, also afterwards.
    let mut stream = tokio::net::TcpStream::connect(serving.api()).await.unwrap();
    let request = format!(
        "GET /v1/alerts/stream?after=0 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        house.token()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let listens = async {
        let mut bytes = [0; 4_096];
        while !heard.contains("\"next\":") {
            let got = stream.read(&mut bytes).await.unwrap();
            assert!(got > 0, "ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..got]));
        }
    };
    tokio::time::timeout(PATIENCE, listens).await.unwrap();
    assert!(heard.contains("screening.answer.scam"), "{heard}");
    drop(stream);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

/// What was said, in order of the words.
fn told_by(house: &House) -> Vec<(String, String)> {
    let mut told = told(house);
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_follow_the_lists_whoever_asked() {
    let house = House::build(Settings {
        more: "[api.permissions]\nexchange = \"screen, read_metrics\"\n",
        ..Settings::default()
    })
    .await;
    let serving = house.serve();
    let (over_api, in_bulk) = (BAD, "0x00000000000000000000000000000000000000b2");
    let on_command_line = "0x00000000000000000000000000000000000000c3";
    let (_, answer) = screen(&house, &serving, json!({ "address": over_api, "network": "ethereum" })).await;
    assert_eq!(answer["verdict"], json!("allow"), "{answer}");
    let bulk = house.path("bulk.txt");
    fs::write(&bulk, format!("{in_bulk}\n{over_api},ethereum\n")).unwrap();
    house.ask(&["screen", "--bulk", bulk.to_str().unwrap()]).exits(0);
    house.ask(&["screen", on_command_line]).exits(0);
    // Asked again, it is still one answer.
    house.ask(&["screen", on_command_line]).exits(0);
    let path = house.path("fresh.csv");
    let listed = |addresses: &[&str]| {
        fs::write(&path, format!("address\n{}\n", addresses.join("\n"))).unwrap();
        let path = path.to_str().unwrap();
        let imported = house.ask(&["lists", "import", "--name", "fresh", "--format", FORMAT, path]).exits(0);
        let done = imported.json()["rescreened"].clone();
        ["answers", "raised", "retracted"].map(|name| done[name].as_u64().unwrap())
    };
    assert_eq!(listed(&[over_api, in_bulk, on_command_line]), [3, 3, 0]);
    let said = |what: &str| (what.to_owned(), "answer".to_owned());
    assert_eq!(told(&house), vec![said("raised"); 3]);
    // Somebody has to look at each address, and finds what was answered.
    let alerts = house.ask(&["alerts", "list"]).exits(0).text();
    assert_eq!(alerts.matches("screening.answer.scam").count(), 3, "{alerts}");
    serving.kill();
    assert_eq!(listed(&[on_command_line]), [3, 0, 2]);
    assert_eq!(told(&house), [vec![said("raised"); 3], vec![said("retracted"); 2]].concat());
    let serving = house.serve();
    // Who asks about it now is told by the answer, and nobody else once more.
    let (_, answer) = screen(&house, &serving, json!({ "address": on_command_line })).await;
    assert_eq!(answer["verdict"], json!("deny"), "{answer}");
    assert_eq!(listed(&[on_command_line, "0x00000000000000000000000000000000000000d4"]), [3, 0, 0]);
    assert_eq!(listed(&["0x00000000000000000000000000000000000000d4"]), [3, 0, 1]);
    // Counted since the beginning, the crash notwithstanding.
    let (status, told) = scrape(serving.api(), house.token()).await;
    assert_eq!(status, 200, "{told}");
    let count = |what: &str| {
        value(&told, &format!("caponier_rejudged_total{{of=\"answer\",by=\"list\",what=\"{what}\"}}"))
    };
    assert_eq!((count("raised"), count("retracted")), (3, 3), "{told}");
    assert!(value(&told, "caponier_rejudged_rounds_total") >= 4, "{told}");
    assert_eq!(value(&told, "caponier_list_entries{list=\"fresh\"}"), 1, "{told}");
    assert!(told.contains("caponier_list_age_seconds{list=\"fresh\"} "), "{told}");
    house.ask(&["backup", "drill"]).exits(0);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_transfers_follow_the_lists_through_a_crash() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let event = |id: &str, kind: Value| {
        let mut event = json!({
            "id": id, "account": "walter", "occurred_at": "2026-01-02T03:04:05Z", "asset": "ETH", "amount": "1",
            "network": "ethereum",
        });
        event.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        event.to_string()
    };
    let events = [
        event("e-1", json!({ "type": "withdrawal_accepted", "address": BAD.to_lowercase() })),
        event("e-2", json!({ "type": "deposit", "from": BAD })),
        event("e-3", json!({ "type": "deposit", "from": "0x00000000000000000000000000000000000000b2" })),
    ];
    let (status, recorded) =
        house.control_api(&serving, "POST", "/v1/events", events.join("\n")).await.unwrap();
    assert_eq!((status, &recorded["accepted"]), (200, &json!(3)), "{recorded}");
    assert_eq!(told(&house), []);
    let imported = import(&house, BAD);
    assert_eq!(
        (&imported["rescreened"]["raised"], &imported["rescreened"]["retracted"]),
        (&json!(2), &json!(0)),
        "{imported}"
    );
    let both = |what: &str| {
        vec![(what.to_owned(), "withdrawal".to_owned()), (what.to_owned(), "deposit".to_owned())]
    };
    assert_eq!(told(&house), both("raised"));
    // It is a case about the customer, until the list takes it back.
    let cases = || {
        let listed = house.ask(&["cases", "list", "--account", "walter"]).exits(0).json();
        let cases = listed["cases"].as_array().unwrap().clone();
        cases.iter().map(|case| case["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let show = |case: &str| house.ask(&["cases", "show", case]).exits(0).json();
    let opened = cases();
    assert_eq!(opened.len(), 1, "{opened:?}");
    let told_in = show(&opened[0]);
    let codes: Vec<_> =
        told_in["triggers"].as_array().unwrap().iter().map(|line| line["code"].clone()).collect();
    assert_eq!(codes, ["screening.withdrawal.scam", "screening.deposit.scam"], "{told_in}");
    assert_eq!((&told_in["triggers"][0]["source"], &told_in["state"]), (&json!("screening"), &json!("open")));
    serving.kill();
    // Nothing serves: the import itself scores them.
    let imported = import(&house, "0x00000000000000000000000000000000000000c3");
    assert_eq!(imported["rescreened"]["retracted"], json!(2), "{imported}");
    let serving = house.serve();
    assert_eq!(told(&house), [both("raised"), both("retracted")].concat());
    let moot = show(&opened[0]);
    assert!(moot["triggers"].as_array().unwrap().iter().all(|line| line["is_retracted"] == true), "{moot}");
    assert_eq!(moot["resolution"]["by"], json!("system:caponier"), "nobody had touched it: {moot}");
    let imported = import(&house, BAD);
    assert_eq!(imported["rescreened"]["raised"], json!(2), "{imported}");
    let again = cases();
    assert_eq!(again.len(), 2, "a new case: {again:?}");
    house.ask(&["backup", "drill"]).exits(0);
    // The whole list goes, if that is confirmed.
    let remove = ["lists", "remove", "fresh", "--reason", "the vendor has closed"];
    assert!(house.ask(&remove).exits(64).text().contains("--yes"));
    let confirmed = [&remove[..], &["--yes"]].concat();
    let removed = house.ask(&confirmed).exits(0).json();
    assert_eq!(
        (&removed["listed"], &removed["rescreened"]["retracted"]),
        (&json!(1), &json!(2)),
        "{removed}"
    );
    house.ask(&confirmed).exits(66);
    assert_eq!(serving.stop(), 0);
    // It is not missed: whoever starts now screens without it.
    let serving = house.serve();
    let (status, screened) = screen(&house, &serving, json!({ "address": BAD })).await;
    assert_eq!((status, &screened["verdict"]), (200, &json!("allow")), "{screened}");
    let log = house.ask(&["log", "--kind", "list_removed"]).exits(0);
    assert!(log.text().contains("the vendor has closed"), "{}", log.text());
    // What is missing though it should be there can be given up too.
    import(&house, BAD);
    assert_eq!(serving.stop(), 0);
    fs::remove_dir_all(house.data().join("labels")).unwrap();
    let serving = house.serve();
    assert_eq!(screen(&house, &serving, json!({ "address": BAD })).await.0, 503);
    assert_eq!(house.ask(&confirmed).exits(0).json()["listed"], Value::Null);
    assert_eq!(screen(&house, &serving, json!({ "address": BAD })).await.0, 200);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

/// What was said of the exposure of past transfers: what, category, hops.
fn exposures(house: &House) -> Vec<(String, String, u64)> {
    let log = house.ask(&["log", "--kind", "screening", "--reveal"]).exits(0);
    let entries =
        log.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    let alerts = entries.iter().filter(|entry| entry["hops"].is_u64());
    let word = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    alerts
        .map(|entry| (word(entry, "what"), word(entry, "category"), entry["hops"].as_u64().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exposure_over_others_of_past_transfers_follows_the_lists() {
    // A node that is not there: what was loaded is known all the same.
    let more = "[watch.evm.ethereum]\nurl = \"http://127.0.0.1:9\"\nchain_id = 1\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    // The bad one pays another, which pays the one that pays the customer.
    let middle = "0x00000000000000000000000000000000000000b2";
    let payer = "0x00000000000000000000000000000000000000c3";
    let rows = format!(
        "block,ts,txidx,from,to,value_wei,gas_used,is_error,method_id,input_len\n\
         1,1000,0,{BAD},{middle},500,21000,0,0x,0\n2,1012,0,{middle},{payer},400,21000,0,0x,0\n"
    );
    let table = house.path("transactions.csv");
    fs::write(&table, rows).unwrap();
    let load = ["watch", "load", "--chain", "ethereum", "--transactions", table.to_str().unwrap()];
    house.ask(&load).exits(0);
    let serving = house.serve();
    let event = json!({
        "id": "e-1", "account": "walter", "occurred_at": "2026-01-02T03:04:05Z", "asset": "ETH", "amount": "1",
        "network": "ethereum", "type": "deposit", "from": payer,
    });
    let (status, recorded) =
        house.control_api(&serving, "POST", "/v1/events", event.to_string()).await.unwrap();
    assert_eq!((status, &recorded["accepted"]), (200, &json!(1)), "{recorded}");
    assert_eq!(exposures(&house), []);
    let imported = import(&house, BAD);
    // The payer itself is on no list.
    assert_eq!(imported["rescreened"]["raised"], json!(0), "{imported}");
    let raised = ("exposed".to_owned(), "scam".to_owned(), 2);
    assert_eq!(exposures(&house), std::slice::from_ref(&raised));
    serving.kill();
    // Nothing serves while the label goes.
    import(&house, "0x00000000000000000000000000000000000000d4");
    let retracted = ("no longer exposed".to_owned(), String::new(), 0);
    assert_eq!(exposures(&house), [raised.clone(), retracted.clone()]);
    let serving = house.serve();
    import(&house, BAD);
    assert_eq!(exposures(&house), [raised.clone(), retracted.clone(), raised.clone()]);
    house.ask(&["lists", "remove", "fresh", "--reason", "test", "--yes"]).exits(0);
    assert_eq!(exposures(&house), [raised.clone(), retracted.clone(), raised, retracted]);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}
