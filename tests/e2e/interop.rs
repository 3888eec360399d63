//! Auditors with software of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use http::Method;
use serde_json::{Value, json};

use crate::support::{BALANCE, House, ROOT, Settings, WITHDRAWAL, finish, skipped, tron_address, withdrawal};

/// Kinds of journal entries that the installation below writes: 1 to this.
const KINDS: u64 = 12;

/// An installation that has written every kind of entry, stopped; and its log's key.
async fn eventful() -> (House, String) {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let vkey = serving.text("log_vkey").to_owned();
    let mut key = Value::Null;
    for name in ["anna", "leaver"] {
        house.open_account(name).await;
        key = house.key(name);
    }
    let mut client = house.client(&serving, &key);
    for (number, amount) in ["10", "20", "999000"].into_iter().enumerate() {
        let body = withdrawal(&tron_address(amount), amount, &format!("wd{number}"));
        client.call(Method::POST, WITHDRAWAL, &body).await.unwrap();
    }
    // A refused request is counted, and the counts are journalled within a second or at the stop.
    let mut forger = key.clone();
    forger["secret"] = json!("00000000000000000000000000000000");
    let refused = house.client(&serving, &forger).call(Method::GET, BALANCE, "").await.unwrap();
    assert_eq!(refused.code(), "50113");
    let list = house.path("sanctioned_addresses_TRX.txt");
    fs::write(&list, tron_address("listed")).unwrap();
    house
        .ask(&["lists", "import", "--format", "ofac", "--name", "sanctions", list.to_str().unwrap()])
        .exits(0);
    house.settle().await;
    let app =
        ["apps", "create", "--name", "Bot", "--redirect-uri", "https://bot.example/", "--scopes", "read"];
    house.ask(&app).exits(0);
    house.ask(&["bans", "add", "192.0.2.7"]).exits(0);
    house.ask(&["keys", "rotate-kek"]).exits(0);
    house.ask(&["subjects", "erase", "leaver", "--yes"]).exits(0);
    house.ask(&["backup", "drill"]).exits(0);
    let lines = (0..600).map(|number| {
        json!({
            "id": format!("bulk-{number}"), "account": format!("person-{}", number % 9),
            "occurred_at": "2026-01-02T03:04:05Z", "type": "login", "success": true, "second_factor": true,
        })
        .to_string()
            + "\n"
    });
    house.control_api(&serving, "POST", "/v1/events", lines.collect()).await.unwrap();
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
    (house, vkey)
}

/// Where Debian's golang-golang-x-mod-dev puts its sources.
const GOPATH: &str = "/usr/share/gocode";

/// Builds the verifier on Go's own implementation, where Go is.
fn go_verifier(dir: &Path) -> Option<PathBuf> {
    if !Path::new(GOPATH).join("src/golang.org/x/mod/sumdb/tlog").exists()
        || finish(Command::new("sh").args(["-c", "command -v go"])).code != 0
    {
        skipped("Go or golang-golang-x-mod-dev is not installed");
        return None;
    }
    let program = dir.join("verify");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(Path::new(ROOT).join("tests/interop/verify.go"));
    build
        .env("GO111MODULE", "off")
        .env("GOPATH", GOPATH)
        .env("GOCACHE", dir.join("go-cache"))
        .env("HOME", dir);
    finish(&mut build).exits(0);
    Some(program)
}

/// An auditor takes the log folder home, with the key from the operator's web site, and a receipt a customer was given; a
/// program on Go's own libraries agrees with all of it, and with nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_verifies_the_log_and_a_receipt() {
    let (house, vkey) = eventful().await;
    let Some(verifier) = go_verifier(&house.path("")) else { return };
    let log = house.data().join("log");
    let receipt = house.ask(&["audit", "receipt", "300"]).exits(0).json();
    // Asking for it opened the directory, which may have published a larger log.
    let receipt_file = house.path("receipt");
    fs::write(&receipt_file, receipt["receipt"].as_str().unwrap()).unwrap();
    let verify = |vkey: &str| {
        finish(
            Command::new(&verifier)
                .args(["-vkey", vkey, "-index", "0,17,255,256,300", "-receipt"])
                .arg(&receipt_file)
                .arg(&log),
        )
    };
    verify(&vkey).exits(0);

    let other = House::build(Settings { data: None, more: "[log]\norigin = \"other.example/log\"" }).await;
    let serving = other.serve();
    let other_vkey = serving.text("log_vkey").to_owned();
    assert_eq!(serving.stop(), 0);
    verify(&other_vkey).exits(1);

    let bundle = log.join("tile/entries/001");
    let mut bytes = fs::read(&bundle).unwrap();
    bytes[1000] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let done = verify(&vkey).exits(1);
    assert!(done.stderr.contains("verify:"), "{done:?}");
}

/// An auditor who writes Python reads every entry with stock CBOR and CDDL libraries and the published schema: each is
/// valid, and each is written in the one deterministic way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_matches_the_published_schema() {
    let Some(python) = crate::clients::python() else { return };
    if finish(Command::new(&python).args(["-c", "import cbor2, pycddl"])).code != 0 {
        return skipped("the Python libraries cbor2 and pycddl are not installed; run cargo xtask setup");
    }
    let (house, _) = eventful().await;
    let check = |schema: &Path| {
        finish(
            Command::new(&python)
                .arg(Path::new(ROOT).join("tests/interop/entries.py"))
                .arg(schema)
                .arg(house.data().join("log")),
        )
    };
    let schema = Path::new(ROOT).join("docs/journal.cddl");
    let seen = check(&schema).exits(0).json();
    let entries = crate::support::assert_sound(house.data())["entries"].clone();
    assert_eq!(seen["entries"], entries, "{seen}");
    // Whatever else an installation records by itself is held to the schema too.
    let kinds: Vec<u64> = seen["kinds"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert!((1..=KINDS).all(|kind| kinds.contains(&kind)), "{seen}");

    // The check can fail: a schema that allows one kind less is not matched.
    let text = fs::read_to_string(&schema).unwrap();
    let narrower = house.path("narrower.cddl");
    let kinds = text.lines().find(|line| line.starts_with("kind = 1..")).unwrap();
    fs::write(&narrower, text.replace(kinds, "kind = 1..11")).unwrap();
    check(&narrower).exits(1);
}
