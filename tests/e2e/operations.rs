//! What the people who run it need: counters for their monitoring.

use std::{fs, process::Command};

use http::Method;
use serde_json::Value;

use crate::{
    clients::python,
    support::{
        BALANCE, House, PATIENCE, Settings, WITHDRAWAL, certificates, finish, secret, skipped, tron_address,
        withdrawal,
    },
};

/// One scrape with a token; the status and the text.
pub(crate) async fn scrape(api: std::net::SocketAddr, token: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let talk = async {
        let mut stream = tokio::net::TcpStream::connect(api).await.unwrap();
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = tokio::time::timeout(PATIENCE, talk).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The value of a series, by its line's beginning.
#[track_caller]
pub(crate) fn value(text: &str, series: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {series} in {text}"))
}

/// The counters count what happened, name nobody, are there only for the token that may read them, and a parser that is
/// not ours reads them.
#[tokio::test(flavor = "multi_thread")]
async fn counters_tell_what_happened_and_name_nobody() {
    let settings = Settings {
        more: "[api.permissions]\nexchange = \"decide, read_decisions, read_health, read_metrics, write_events\"\n",
        ..Settings::default()
    };
    let house = House::build(settings).await;
    let scraper = hex::encode([5_u8; 32]);
    secret(&house.path("prometheus.token"), &scraper);
    let config = fs::read_to_string(house.config()).unwrap();
    let config = config
        .replace("[api.tokens]\n", "[api.tokens]\nprometheus = \"prometheus.token\"\n")
        .replace("[api.permissions]\n", "[api.permissions]\nprometheus = \"read_metrics\"\n");
    fs::write(house.config(), config).unwrap();
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let mut client = house.client(&serving, &key);
    for (amount, number) in [("10", 1), ("20", 2), ("999000", 3)] {
        let body = withdrawal(&tron_address(amount), amount, &format!("wd{number}"));
        client.call(Method::POST, WITHDRAWAL, &body).await.unwrap();
    }
    let mut forger = key.clone();
    forger["secret"] = Value::from("00000000000000000000000000000000");
    let refused = house.client(&serving, &forger).call(Method::GET, BALANCE, "").await.unwrap();
    assert_eq!(refused.code(), "50113");

    let (status, text) = scrape(serving.api(), &scraper).await;
    assert_eq!(status, 200, "{text}");
    let decided: u64 = ["allow", "challenge", "hold", "deny", "none"]
        .map(|verdict| value(&text, &format!("caponier_decisions_total{{verdict=\"{verdict}\"}}")))
        .iter()
        .sum();
    assert_eq!(decided, 3, "{text}");
    assert_eq!(value(&text, "caponier_decision_seconds_count"), 3);
    assert_eq!(value(&text, "caponier_journal_up"), 1);
    assert_eq!(value(&text, "caponier_api_keys"), 1);
    assert_eq!(value(&text, "caponier_gateway_requests_total"), 4);
    let refusals: Vec<&str> =
        text.lines().filter(|line| line.starts_with("caponier_gateway_refusals_total{")).collect();
    assert!(refusals.iter().any(|line| line.contains("signature") && line.ends_with(" 1")), "{refusals:?}");
    for name in ["anna", key["key"].as_str().unwrap(), &tron_address("10"), "127.0.0.1"] {
        assert!(!text.contains(name), "{name} in {text}");
    }

    // The scraper's token does nothing else, and the other way round no other token is needed.
    let health = crate::support::control_api(serving.api(), &scraper, "GET", "/v1/health", String::new());
    assert_eq!(health.await.unwrap().0, 403);
    assert_eq!(scrape(serving.api(), &hex::encode([6_u8; 32])).await.0, 401);

    match python() {
        None => skipped("no Python environment with prometheus-client"),
        Some(python) => {
            let file = house.path("metrics.txt");
            fs::write(&file, &text).unwrap();
            let script = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as f; \
                          print(len([m for m in f(open(sys.argv[1]).read())]))";
            let read = finish(Command::new(python).args(["-c", script]).arg(&file)).exits(0);
            assert!(read.stdout.trim().parse::<u32>().unwrap() >= 10, "{}", read.stdout);
        }
    }
    assert_eq!(serving.stop(), 0);
}

/// The decision log tells what happened and why, by pseudonym unless asked to reveal, running or stopped alike, and never
/// a secret.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_why_and_hides_who() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna-the-customer").await;
    let key = house.key("anna-the-customer");
    let mut client = house.client(&serving, &key);
    let address = tron_address("10");
    let answer = client.call(Method::POST, WITHDRAWAL, &withdrawal(&address, "10", "wd1")).await.unwrap();
    let mut forger = key.clone();
    forger["secret"] = Value::from("00000000000000000000000000000000");
    house.client(&serving, &forger).call(Method::GET, BALANCE, "").await.unwrap();
    let lines = |done: crate::support::Done| -> Vec<Value> {
        done.exits(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let running = lines(house.ask(&["log"]));
    assert_eq!(serving.stop(), 0);
    let stopped = lines(house.ask(&["log"]));
    assert_eq!(stopped[..running.len()], running[..]);

    let sequence: Vec<u64> = stopped.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (0..stopped.len() as u64).collect::<Vec<_>>());
    let decision = stopped.iter().find(|entry| entry["kind"] == "decision").unwrap();
    assert_eq!(decision["amount"], "10");
    assert_eq!(decision["ip"], "127.0.0.0/24");
    assert!(decision["reasons"].is_array(), "{decision}");
    let id = decision["id"].as_str().unwrap();
    assert_eq!(answer.code(), "0");
    house.ask(&["explain", id]).exits(0);
    let refused = stopped.iter().find(|entry| entry["kind"] == "refusals").unwrap();
    assert!(refused["reason"].as_str().unwrap().contains("signature"), "{refused}");

    let text = house.ask(&["log"]).exits(0).stdout;
    for hidden in ["anna-the-customer", &address, key["key"].as_str().unwrap()] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    let revealed = house.ask(&["log", "--reveal", "--kind", "decision,api_key"]).exits(0).stdout;
    assert!(revealed.contains("anna-the-customer") && revealed.contains(&address), "{revealed}");
    for secret in ["secret", "passphrase"].map(|name| key[name].as_str().unwrap()) {
        assert!(!text.contains(secret) && !revealed.contains(secret));
    }
    let kinds: Vec<Value> = lines(house.ask(&["log", "--kind", "decision"]));
    assert_eq!(kinds.len(), 1);
    assert!(house.ask(&["log", "--kind", "nonsense"]).exits(64).text().contains("refusals"));
}

/// New certificate files and a reload: new connections see the new certificate, the old connection goes on, faults change
/// nothing, and what needs a restart is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_everything_it_can_or_nothing() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let mut before = house.client(&serving, &key);
    assert_eq!(before.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");

    let unchanged = house.ask(&["reload"]).exits(0).json();
    assert_eq!(unchanged["in_force"], serde_json::json!([]));
    assert_eq!(unchanged["certificates"], false);

    // Key and certificate that do not belong together: nothing changes.
    let old_key = fs::read(house.path("server.key")).unwrap();
    certificates(&house.path(""));
    let new_key = fs::read(house.path("server.key")).unwrap();
    fs::write(house.path("server.key"), &old_key).unwrap();
    let refused = house.ask(&["reload"]).exits(64);
    assert!(refused.text().contains("server.key"), "{refused:?}");
    assert_eq!(before.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");

    fs::write(house.path("server.key"), &new_key).unwrap();
    let config = fs::read_to_string(house.config()).unwrap();
    fs::write(house.config(), config.replace("segment_size = \"1 MiB\"", "segment_size = \"2 MiB\""))
        .unwrap();
    let reloaded = house.ask(&["reload"]).exits(0).json();
    assert_eq!(reloaded["certificates"], true);
    assert_eq!(reloaded["at_next_start"], serde_json::json!(["data.segment_size"]));
    // The client of before holds its connection; a new one needs the new authority.
    assert_eq!(before.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");
    let mut after = house.client(&serving, &key);
    assert_eq!(after.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");

    // A fault in the file is told with its place, and changes nothing.
    fs::write(house.config(), "version = 1\n[limits]\nsource = 7\n").unwrap();
    let refused = house.ask(&["reload"]);
    assert!(refused.code == 64 && refused.text().contains("limits.source"), "{refused:?}");
    fs::write(house.config(), &config).unwrap();
    let log = house.ask(&["log", "--kind", "lifecycle"]).exits(0).stdout;
    assert_eq!(log.matches("\"reconfigured\"").count(), 1, "{log}");
    assert_eq!(serving.stop(), 0);
    assert_eq!(house.ask(&["reload"]).code, 66);
}
