//! `kill -9` in the middle of the day: nothing that was acknowledged is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use caponier::demo::client::Client;
use exchange::random::SplitMix64;
use http::Method;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::support::{
    House, ORDER, PATIENCE, Serving, Settings, control_api, order, tron_address, withdrawal,
};

/// Times the program is killed.
const KILLS: usize = 5;

/// Events in one report.
const BATCH: u64 = 10;

/// What the outside was promised.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Ids of events whose batch was answered with 200.
    events: BTreeSet<u64>,
    /// Decision ids and the verdict that was answered.
    decisions: BTreeMap<String, String>,
    /// Idempotency keys, and the id of the decision made under them.
    keyed: BTreeMap<String, String>,
}

/// The outside: what it sends, and what it was told.
#[derive(Debug)]
struct Load {
    acknowledged: Mutex<Acknowledged>,
    /// Acknowledgements so far.
    count: watch::Sender<u64>,
    /// Makes everything that is sent once unlike everything else.
    next: AtomicU64,
}

impl Load {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn note(&self, what: impl FnOnce(&mut Acknowledged)) {
        what(&mut self.acknowledged.lock().unwrap());
        self.count.send_modify(|count| *count += 1);
    }

    /// Waits until the outside was told so many things.
    async fn reaches(&self, count: u64) {
        let mut seen = self.count.subscribe();
        let reached = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| *seen >= count)).await;
        drop(reached.expect("the load gets answers").unwrap());
    }
}

fn event(number: u64) -> Value {
    json!({
        "id": format!("load-{number}"), "account": format!("person-{}", number % 7),
        "occurred_at": "2026-01-02T03:04:05Z", "type": "order_filled", "instrument": "BTC-USDT",
        "quantity": "0.01", "price": "65000",
    })
}

fn report(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|number| event(number).to_string() + "\n").collect()
}

/// Reports events until the connection breaks.
async fn reporter(load: Arc<Load>, api: std::net::SocketAddr, token: String) {
    loop {
        let first = load.next.fetch_add(BATCH, Ordering::Relaxed);
        let numbers = first..first + BATCH;
        let Ok((status, answer)) =
            control_api(api, &token, "POST", "/v1/events", report(numbers.clone())).await
        else {
            return;
        };
        assert_eq!((status, &answer["accepted"]), (200, &json!(BATCH)), "{answer}");
        load.note(|acknowledged| acknowledged.events.extend(numbers));
    }
}

fn question(number: u64) -> String {
    json!({
        "type": "withdrawal", "idempotency_key": format!("key-{number}"), "deadline_ms": 5000,
        "withdrawal": {
            "account": "reported", "asset": "USDT", "amount": "10", "network": "tron",
            "address": tron_address(&number.to_string()), "ip": "192.0.2.7",
        },
    })
    .to_string()
}

/// Asks for decisions, as the exchange's web site does, until the connection breaks.
async fn web_site(load: Arc<Load>, api: std::net::SocketAddr, token: String) {
    loop {
        let number = load.number();
        let Ok((status, answer)) = control_api(api, &token, "POST", "/v1/decisions", question(number)).await
        else {
            return;
        };
        assert_eq!(status, 200, "{answer}");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        load.note(|acknowledged| {
            acknowledged.decisions.insert(text("id"), text("verdict"));
            acknowledged.keyed.insert(format!("key-{number}"), text("id"));
        });
    }
}

/// Withdraws through the gateway until the connection breaks. Beyond the rate limit there is no decision.
async fn customer(load: Arc<Load>, mut client: Client) {
    loop {
        let number = load.number();
        let body = withdrawal(&tron_address("everyday"), "5", &format!("wd{number}"));
        let Ok(answer) = client.call(Method::POST, crate::support::WITHDRAWAL, &body).await else { return };
        let Some(id) = answer.decision_id() else {
            assert_eq!(answer.code(), "50011", "{}", answer.json);
            continue;
        };
        let verdict = match answer.code() {
            "0" => "allow",
            "58204" | "58207" | "58208" => "hold",
            other => panic!("code {other}: {}", answer.json),
        };
        load.note(|acknowledged| {
            acknowledged.decisions.insert(id.to_owned(), verdict.to_owned());
        });
    }
}

/// Trades until the connection breaks.
async fn trader(load: Arc<Load>, mut client: Client) {
    loop {
        let number = load.number();
        let Ok(answer) = client.call(Method::POST, ORDER, &order(&format!("o{number}"))).await else {
            return;
        };
        assert!(["0", "50011", "50061", "1"].contains(&answer.code()), "{}", answer.json);
    }
}

/// Everything that was promised is there.
async fn keeps_promises(house: &House, serving: &Serving, load: &Load) {
    let (events, decisions, keyed) = {
        let acknowledged = load.acknowledged.lock().unwrap();
        (acknowledged.events.clone(), acknowledged.decisions.clone(), acknowledged.keyed.clone())
    };
    let events: Vec<u64> = events.into_iter().collect();
    for batch in events.chunks(500) {
        let (status, answer) =
            house.control_api(serving, "POST", "/v1/events", report(batch.iter().copied())).await.unwrap();
        let counts = (&answer["accepted"], &answer["duplicates"]);
        assert_eq!((status, counts), (200, (&json!(0), &json!(batch.len()))), "{answer}");
    }
    for (id, verdict) in &decisions {
        let (status, answer) =
            house.control_api(serving, "GET", &format!("/v1/decisions/{id}"), String::new()).await.unwrap();
        assert_eq!((status, &answer["verdict"]), (200, &json!(verdict)), "{id}: {answer}");
    }
    // Asked again, the web site gets the decision it had.
    for (key, id) in keyed.iter().rev().take(20) {
        let number = key.trim_start_matches("key-").parse().unwrap();
        let (_, answer) =
            house.control_api(serving, "POST", "/v1/decisions", question(number)).await.unwrap();
        assert_eq!(answer["id"], json!(id), "{key}");
    }
    // The operator's command knows them as well.
    if let Some((id, verdict)) = decisions.last_key_value() {
        assert_eq!(house.ask(&["explain", id]).exits(0).json()["verdict"], json!(verdict));
    }
}

/// An exchange at work; the machine's power button is pressed again and again, at moments nobody chose. After each
/// time the directory passes the audit as it lies there, and after each start everything is known that was ever
/// acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let mut random = SplitMix64::named(11, "kill");
    let house = House::build(Settings::default()).await;
    let load = Arc::new(Load {
        acknowledged: Mutex::default(),
        count: watch::Sender::new(0),
        next: AtomicU64::new(0),
    });
    let mut keys = Vec::new();
    for round in 0..KILLS {
        let serving = house.serve();
        if round == 0 {
            for name in ["anna", "ben"] {
                house.open_account(name).await;
                keys.push(house.key(name));
            }
        }
        keeps_promises(&house, &serving, &load).await;
        let mut outside = JoinSet::new();
        for _ in 0..2 {
            outside.spawn(reporter(Arc::clone(&load), serving.api(), house.token().to_owned()));
        }
        outside.spawn(web_site(Arc::clone(&load), serving.api(), house.token().to_owned()));
        for key in &keys {
            outside.spawn(customer(Arc::clone(&load), house.client(&serving, key)));
            outside.spawn(trader(Arc::clone(&load), house.client(&serving, key)));
        }
        let told = *load.count.borrow();
        load.reaches(told + 50 + random.below(150)).await;
        serving.kill();
        while let Some(ended) = outside.join_next().await {
            ended.expect("every answer was one of those expected");
        }

        let (code, report) = crate::support::audit_verify(house.data());
        assert_eq!((code, &report["faults"]), (0, &json!([])), "after kill {round}: {report}");
    }
    let serving = house.serve();
    keeps_promises(&house, &serving, &load).await;
    house.settle().await;
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());

    let acknowledged = load.acknowledged.lock().unwrap();
    let through_gateway = acknowledged.decisions.len() - acknowledged.keyed.len();
    eprintln!(
        "{KILLS} kills: {} events, {} decisions, {through_gateway} of them withdrawals through the gateway",
        acknowledged.events.len(),
        acknowledged.decisions.len(),
    );
    assert!(acknowledged.events.len() > 500 && acknowledged.keyed.len() > 50 && through_gateway > 10);
}

/// The power fails between two steps of a publication: what it had staged is no damage, is mentioned, and is gone after
/// the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_publication_is_no_damage() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    assert_eq!(serving.stop(), 0);
    let report = crate::support::assert_sound(house.data());
    assert_eq!(report["leftovers"], json!([]));

    let log = house.data().join("log");
    let checkpoint = std::fs::read(log.join("checkpoint")).unwrap();
    std::fs::write(log.join("checkpoint.new"), &checkpoint[..checkpoint.len() / 2]).unwrap();
    let report = crate::support::assert_sound(house.data());
    assert_eq!(report["leftovers"], json!(["log/checkpoint.new"]));
    let told = crate::support::caponier(&["audit", "verify", house.data().to_str().unwrap()]).exits(0);
    assert!(told.stdout.contains("note: ") && told.stdout.contains("log/checkpoint.new"), "{}", told.stdout);

    assert_eq!(house.serve().stop(), 0);
    let report = crate::support::assert_sound(house.data());
    assert_eq!(report["leftovers"], json!([]));
}

/// What an operator was told, by command.
#[derive(Debug, Default)]
struct Acts {
    /// Keys that were created for accounts nobody tried to erase, and whether freezing them was acknowledged.
    keys: BTreeMap<String, bool>,
    /// Keys of accounts whose erasure was acknowledged.
    erased: BTreeSet<String>,
    /// An address of the list as last acknowledged.
    list: Option<String>,
    /// One of each list whose import was begun since: any of them may have come into force unsaid.
    attempted: Vec<String>,
    /// Number of the next thing to do; one that was cut off is not done again.
    next: usize,
}

/// An operator who does one thing after another, until the machine goes down, and notes what was acknowledged.
fn operate(house: &House, acts: &Mutex<Acts>, went_down: &AtomicBool) {
    let list = house.path("sanctioned_addresses_TRX.txt");
    loop {
        let number = acts.lock().unwrap().next;
        acts.lock().unwrap().next += 1;
        // None: the machine went down under it, and nobody knows whether it happened.
        let ask = |arguments: &[&str]| {
            if went_down.load(Ordering::SeqCst) {
                return None;
            }
            let done = house.ask(arguments);
            let down = went_down.load(Ordering::SeqCst);
            assert!(done.code == 0 || down, "{arguments:?}: {done:?}");
            (done.code == 0).then(|| done.json())
        };
        let account = format!("account-{number}");
        let Some(key) = ask(&["keys", "create", "--account", &account, "--permissions", "read"]) else {
            return;
        };
        let key = key["key"].as_str().unwrap().to_owned();
        acts.lock().unwrap().keys.insert(key.clone(), false);
        match number % 4 {
            0 => {
                let addresses: Vec<String> =
                    (0..200).map(|line| tron_address(&format!("{number} {line}"))).collect();
                let content = addresses.join("\n");
                std::fs::write(&list, &content).unwrap();
                acts.lock().unwrap().attempted.push(addresses[0].clone());
                let import =
                    ["lists", "import", "--format", "ofac", "--name", "sanctions", list.to_str().unwrap()];
                if ask(&import).is_none() {
                    return;
                }
                let mut acts = acts.lock().unwrap();
                acts.list = Some(addresses[0].clone());
                acts.attempted.clear();
            }
            1 => {
                if ask(&["keys", "rotate-kek"]).is_none() {
                    return;
                }
            }
            2 => {
                if ask(&["keys", "freeze", &key]).is_none() {
                    return;
                }
                acts.lock().unwrap().keys.insert(key, true);
            }
            _ => {
                acts.lock().unwrap().keys.remove(&key);
                if ask(&["subjects", "erase", &account, "--yes"]).is_none() {
                    return;
                }
                acts.lock().unwrap().erased.insert(key);
            }
        }
    }
}

/// What the operator did is done.
fn acts_hold(house: &House, acts: &Acts) {
    let listed = house.ask(&["keys", "list"]).exits(0).json();
    let states: BTreeMap<&str, &str> = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["key"].as_str().unwrap(), key["state"].as_str().unwrap()))
        .collect();
    for (key, frozen) in &acts.keys {
        let state = states.get(key.as_str()).unwrap_or_else(|| panic!("key {key} is gone: {listed}"));
        assert!(*state == "frozen" || !frozen, "freezing {key} is forgotten: {listed}");
    }
    for key in &acts.erased {
        assert!(!states.contains_key(key.as_str()), "{key} of an erased account is back: {listed}");
    }
    if let Some(acknowledged) = &acts.list {
        // An attempt may have come through although nobody was told; a state that came into force just before the
        // power failed is recorded on the next start, so nothing is ever in doubt.
        let candidates = acts.attempted.iter().chain([acknowledged]);
        let verdicts: Vec<_> = candidates.map(|address| house.ask(&["screen", address])).collect();
        let listed = verdicts.iter().any(|done| done.code == 1);
        assert!(listed, "neither {acknowledged} nor any of {:?} is listed: {verdicts:?}", acts.attempted);
    }
}

/// The power fails while an operator creates, freezes and erases, imports a list and replaces the key-encryption key, under
/// the exchange's reports. What was acknowledged holds after the next start, the directory passes the audit as it
/// lies, and so does what is restored from the backup as it lies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_acts_outlive_kill_9() {
    let mut random = SplitMix64::named(12, "kill");
    let house = Arc::new(House::build(Settings::default()).await);
    let load = Arc::new(Load {
        acknowledged: Mutex::default(),
        count: watch::Sender::new(0),
        next: AtomicU64::new(0),
    });
    let acts = Arc::new(Mutex::new(Acts::default()));
    for round in 0..KILLS {
        let serving = house.serve();
        acts_hold(&house, &acts.lock().unwrap());
        let reports = tokio::spawn(reporter(Arc::clone(&load), serving.api(), house.token().to_owned()));
        let went_down = Arc::new(AtomicBool::new(false));
        let operator = tokio::task::spawn_blocking({
            let (house, acts, went_down) = (Arc::clone(&house), Arc::clone(&acts), Arc::clone(&went_down));
            move || operate(&house, &acts, &went_down)
        });
        let told = *load.count.borrow();
        load.reaches(told + 60 + random.below(120)).await;
        went_down.store(true, Ordering::SeqCst);
        serving.kill();
        reports.await.expect("every answer was one of those expected");
        operator.await.expect("every command did what it should");

        let (code, report) = crate::support::audit_verify(house.data());
        assert_eq!((code, &report["faults"]), (0, &json!([])), "after kill {round}: {report}");
        let restored = house.path(&format!("restored-{round}"));
        let kek = house.path("data.kek");
        std::fs::copy(&kek, house.path(&format!("restored-{round}.kek"))).unwrap();
        let backup = house.path("backup");
        crate::support::caponier_on(&restored, &["backup", "restore", "--from", backup.to_str().unwrap()])
            .exits(0);
        crate::support::assert_sound(&restored);
    }
    let serving = house.serve();
    acts_hold(&house, &acts.lock().unwrap());
    assert_eq!(serving.stop(), 0);
    acts_hold(&house, &acts.lock().unwrap());
    crate::support::assert_sound(house.data());
    let acts = acts.lock().unwrap();
    eprintln!("{KILLS} kills: {} acts, {} keys, {} erased", acts.next, acts.keys.len(), acts.erased.len());
    assert!(acts.next >= 10 && !acts.erased.is_empty() && acts.list.is_some(), "{acts:?}");
}
