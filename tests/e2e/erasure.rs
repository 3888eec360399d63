//! What is never written down in clear, and what becomes unreadable for ever.

use std::fs;

use http::Method;
use serde_json::json;

use crate::support::{
    BALANCE, House, ORDER, Settings, WITHDRAWAL, assert_sound, files, order, secret, tron_address, withdrawal,
};

/// Bytes of one slot of the key table.
const SLOT_BYTES: usize = 128;

/// Where in a slot the wrapped data key stands; zero once erased.
const WRAPPED_KEY: std::ops::Range<usize> = 44..92;

/// Everything below these folders of an installation, by path.
fn everything(house: &House, folders: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in folders {
        let root = house.path(folder);
        for file in files(&root) {
            found.push((format!("{folder}/{file}"), fs::read(root.join(&file)).unwrap()));
        }
    }
    found
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// A person with telling names lives a full day: login, orders over HTTP/1.1 and HTTP/2, withdrawals that pass and
/// fail, a mistyped request. Afterwards neither the files nor the most talkative log know the person, and no secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_address_or_secret_is_written_in_clear() {
    let house = House::build(Settings { data: None, more: "[telemetry]\nlog_level = \"trace\"" }).await;
    let serving = house.serve();
    let (account, label) = ("canary-account-kestrel", "canary-label-osprey");
    let passphrase = "Canary-Passphrase-7!";
    secret(&house.path("passphrase"), passphrase);
    house.open_account(account).await;
    let key = house
        .ask(&[
            "keys",
            "create",
            "--account",
            account,
            "--label",
            label,
            "--permissions",
            "read,trade,withdraw",
            "--ip",
            "127.0.0.0/8",
            "--passphrase-file",
            house.path("passphrase").to_str().unwrap(),
        ])
        .exits(0)
        .json();
    let address = tron_address("canary");
    let listed = tron_address("canary of the list");
    let list = house.path("sanctioned_addresses_TRX.txt");
    fs::write(&list, format!("{}\n", tron_address("somebody else"))).unwrap();
    house
        .ask(&["lists", "import", "--format", "ofac", "--name", "sanctions", list.to_str().unwrap()])
        .exits(0);

    let mut client = house.client(&serving, &key);
    assert_eq!(client.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");
    assert_eq!(client.call(Method::POST, ORDER, &order("canaryorderheron")).await.unwrap().code(), "0");
    let passed =
        client.call(Method::POST, WITHDRAWAL, &withdrawal(&address, "10", "canarywithdrawal")).await.unwrap();
    assert_eq!(passed.code(), "0", "{}", passed.json);
    for (target, body) in [
        (WITHDRAWAL, withdrawal(&listed, "999999", "canarytoomuch")),
        (WITHDRAWAL, withdrawal(&address, "10", "canaryhalf").replace("\"dest\"", "\"dest\":\"4\",\"dest\"")),
        (ORDER, format!("not json {account} {address}")),
        (BALANCE, String::new()),
    ] {
        client.call(Method::POST, target, &body).await.unwrap();
    }
    let target = format!("{BALANCE}?ccy=USDT&address={address}");
    client.call(Method::GET, &target, "").await.unwrap();
    crate::support::over_http2(&house, &serving, &key, ORDER, &order("canaryordereider")).await;

    let event = json!({
        "id": "canary-event", "account": account, "occurred_at": "2026-01-02T03:04:05Z", "type": "deposit",
        "device": "canary-device-plover", "asset": "USDT", "amount": "5", "network": "tron", "from": address,
    });
    let (status, answer) =
        house.control_api(&serving, "POST", "/v1/events", event.to_string() + "\n").await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let bad = event.to_string().replace("\"deposit\"", "\"nonsense\"");
    assert_eq!(house.control_api(&serving, "POST", "/v1/events", bad).await.unwrap().0, 400);
    house.settle().await;
    assert_eq!(house.ask(&["explain", passed.decision_id().unwrap()]).exits(0).json()["verdict"], "allow");
    house.ask(&["screen", &address]).exits(0);
    house.ask(&["keys", "list"]).exits(0);
    house.ask(&["backup", "drill"]).exits(0);
    assert_eq!(serving.stop(), 0);

    let clear = [
        account,
        label,
        passphrase,
        key["secret"].as_str().unwrap(),
        &address,
        &listed,
        "canarywithdrawal",
        "canaryorderheron",
        "canaryordereider",
        "canary-device-plover",
        house.token(),
        &hex::encode([9_u8; 32]),
    ];
    let written = everything(&house, &["data", "backup", "output"]);
    assert!(written.len() > 10);
    for (path, content) in &written {
        for text in clear {
            if contains(content, text.as_bytes()) {
                let content = String::from_utf8_lossy(content);
                let line = content.lines().find(|line| line.contains(text)).unwrap_or_default();
                panic!("{text:?} stands in {path}: {line:.400}");
            }
        }
    }
    let log = written.iter().find(|(path, _)| path == "output/stderr").unwrap();
    assert!(contains(&log.1, b"TRACE"), "a log that says nothing proves nothing");
    assert_sound(house.data());
}

/// A customer leaves and wants to be forgotten. The key of their data is destroyed in the data directory and in the
/// backup: nothing about them can be read any more, by anybody, in any copy the program keeps, and the log still
/// verifies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_is_gone_from_directory_and_backup() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let (mut decisions, mut clients) = (Vec::new(), Vec::new());
    for name in ["leaver", "stayer"] {
        house.open_account(name).await;
        let key = house.key(name);
        let mut client = house.client(&serving, &key);
        let body = withdrawal(&tron_address(name), "10", name);
        let answer = client.call(Method::POST, WITHDRAWAL, &body).await.unwrap();
        assert_eq!(answer.code(), "0", "{}", answer.json);
        decisions.push(answer.decision_id().unwrap().to_owned());
        clients.push(client);
    }
    house.settle().await;
    assert_eq!(house.ask(&["backup", "drill"]).exits(0).json()["ok"], true);
    let table = fs::read(house.data().join("keys/table")).unwrap();

    assert_eq!(house.ask(&["subjects", "erase", "leaver"]).code, 64, "without --yes nothing happens");
    house.ask(&["explain", &decisions[0]]).exits(0);
    house.ask(&["subjects", "erase", "leaver", "--yes"]).exits(0);

    house.ask(&["explain", &decisions[0]]).exits(66);
    house.ask(&["explain", &decisions[1]]).exits(0);
    assert_eq!(clients[0].call(Method::GET, BALANCE, "").await.unwrap().code(), "50119");
    assert_eq!(clients[1].call(Method::GET, BALANCE, "").await.unwrap().code(), "0");
    assert_eq!(house.ask(&["backup", "drill"]).exits(0).json()["ok"], true);

    // Exactly one slot differs, and the wrapped key it held is in no file any more.
    let after = fs::read(house.data().join("keys/table")).unwrap();
    let changed: Vec<(&[u8], &[u8])> = table
        .chunks(SLOT_BYTES)
        .zip(after.chunks(SLOT_BYTES))
        .filter(|(before, after)| before != after)
        .collect();
    let [(old, new)] = changed[..] else { panic!("{} slots changed", changed.len()) };
    assert!(old[WRAPPED_KEY].iter().any(|byte| *byte != 0) && new[WRAPPED_KEY].iter().all(|byte| *byte == 0));
    let nowhere = |when: &str| {
        for (path, content) in everything(&house, &["data", "backup"]) {
            for piece in old[WRAPPED_KEY].chunks(16) {
                assert!(!contains(&content, piece), "{when}: a piece of the destroyed key is in {path}");
            }
        }
    };
    // The search can find: the key of somebody who stays is in the directory and in the backup.
    let stays = after.chunks(SLOT_BYTES).map(|slot| &slot[WRAPPED_KEY]).find(|key| key[0] != 0).unwrap();
    for folder in ["data", "backup"] {
        assert!(
            everything(&house, &[folder]).iter().any(|(_, content)| contains(content, stays)),
            "{folder}"
        );
    }
    nowhere("while serving");
    assert_eq!(serving.stop(), 0);
    nowhere("after the stop");
    assert_sound(house.data());

    // Neither a restart nor a restore brings the person back.
    house.ask(&["explain", &decisions[0]]).exits(66);
    fs::remove_dir_all(house.data()).unwrap();
    house.ask(&["backup", "restore", "--from", house.path("backup").to_str().unwrap()]).exits(0);
    assert_sound(house.data());
    house.ask(&["explain", &decisions[0]]).exits(66);
    house.ask(&["explain", &decisions[1]]).exits(0);
}
