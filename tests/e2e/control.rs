//! One process holds a data directory; everybody else asks it.

use std::{fs, process::Command};

use http::Method;
use serde_json::{Value, json};

use crate::support::{BALANCE, House, Serving, Settings, WITHDRAWAL, tron_address, withdrawal};

/// An operator starts the program twice by mistake: the second one ends and says why, the first one goes on. Commands
/// meanwhile go to the process that serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_and_commands_reach_the_first() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;

    // Its control API would want the same address, so the second one gets another.
    let other = house.path("other.toml");
    let text = fs::read_to_string(house.config()).unwrap();
    let address = format!("listen = \"{}\"", serving.api());
    assert!(text.contains(&address));
    fs::write(&other, text.replace(&address, "listen = \"127.0.0.1:0\"")).unwrap();
    let mut second = Command::new(env!("CARGO_BIN_EXE_caponier"));
    second.args(["run", "--json", "--config"]).arg(&other);
    let refused = Serving::try_start(second, &house.path("second")).expect_err("one process at a time");
    assert_eq!(refused.code, 75, "{refused:?}");
    assert!(refused.text().contains(house.data().to_str().unwrap()), "{refused:?}");

    let key = house.key("anna");
    let mut client = house.client(&serving, &key);
    assert_eq!(client.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");
    let listed = house.ask(&["keys", "list"]).exits(0).json();
    assert_eq!(listed["keys"][0]["key"], key["key"]);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
    assert!(listed["keys"][0].get("secret").is_none(), "{listed}");
    assert_eq!(house.ask(&["backup", "drill"]).exits(0).json()["ok"], true);
    let receipt = house.ask(&["audit", "receipt", "0"]).exits(0).json();
    assert!(receipt["receipt"].as_str().unwrap().starts_with("c2sp.org/tlog-proof@v1"), "{receipt}");
    assert_eq!(house.ask(&["explain", "dec-1-0000000000000000"]).exits(66).json()["exit"], 66);
    assert_eq!(house.ask(&["keys", "revoke", "00000000-0000-0000-0000-000000000000"]).code, 66);

    // The same commands by text, for people.
    let text = crate::support::caponier_on(house.data(), &["keys", "list"]).exits(0).stdout;
    assert!(text.contains("anna") && text.contains("read+trade+withdraw"), "{text}");
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
}

/// A key is reported stolen while its thief holds a connection open: the thief's next request is refused. A frozen
/// key comes back to life when it is released, a revoked one never.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_on_its_open_connection() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let id = key["key"].as_str().unwrap();
    let mut thief = house.client(&serving, &key);
    let mut works = async || thief.call(Method::GET, BALANCE, "").await.unwrap().code().to_owned();
    assert_eq!(works().await, "0");
    house.ask(&["keys", "freeze", id]).exits(0);
    assert_ne!(works().await, "0");
    house.ask(&["keys", "unfreeze", id]).exits(0);
    assert_eq!(works().await, "0");
    house.ask(&["keys", "revoke", id]).exits(0);
    assert_eq!(works().await, "50119");
    assert_eq!(house.ask(&["keys", "unfreeze", id]).code, 66);
    assert_eq!(works().await, "50119");
    assert_eq!(house.ask(&["keys", "list"]).exits(0).json()["keys"], json!([]));
    assert_eq!(serving.stop(), 0);

    // Nor after a restart.
    let serving = house.serve();
    let mut thief = house.client(&serving, &key);
    assert_eq!(thief.call(Method::GET, BALANCE, "").await.unwrap().code(), "50119");
    assert_eq!(serving.stop(), 0);
}

/// The key-encryption key is replaced while customers withdraw: no one notices, and the old key file opens nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_encryption_key_is_replaced_under_way() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let mut client = house.client(&serving, &key);
    let mut decisions = Vec::new();
    for round in 0..3 {
        let body = withdrawal(&tron_address("everyday"), "5", &format!("wd{round}"));
        let answer = client.call(Method::POST, WITHDRAWAL, &body).await.unwrap();
        assert_eq!(answer.code(), "0", "{}", answer.json);
        decisions.push(answer.decision_id().unwrap().to_owned());
        if round == 1 {
            fs::copy(house.path("data.kek"), house.path("yesterday.kek")).unwrap();
            let rotated = house.ask(&["keys", "rotate-kek"]).exits(0).json();
            assert_eq!(rotated["to"].as_u64(), rotated["from"].as_u64().map(|from| from + 1), "{rotated}");
        }
    }
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
    for id in &decisions {
        assert_eq!(house.ask(&["explain", id]).exits(0).json()["verdict"], "allow");
    }
    let yesterday = crate::support::caponier(&[
        "--json",
        "audit",
        "verify",
        house.data().to_str().unwrap(),
        "--kek-file",
        house.path("yesterday.kek").to_str().unwrap(),
    ]);
    let report: Value = yesterday.exits(1).json();
    assert_eq!(report["ok"], json!(false));
}
