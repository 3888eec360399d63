//! v2 keys, sessions and least authority, as customers and operators meet them.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{
    clients::{demo, python, script, story},
    support::{Serving, assert_sound, caponier_on, finish, folder, tron_address},
};

fn json(data: &Path, arguments: &[&str], exit: i32) -> Value {
    caponier_on(data, &[&["--json"], arguments].concat()).exits(exit).json()
}

/// A key pair made by the client, its public half registered by the operator; the id and the file of the private half.
fn registered(python: &Path, serving: &Serving, dir: &Path) -> (String, String) {
    let file = dir.join("customer.pem");
    let file = file.to_str().unwrap().to_owned();
    finish(Command::new(python).arg(script("v2_client.py")).args(["--make-key", &file])).exits(0);
    let public = format!("{file}.pub");
    let data = Path::new(serving.text("data_dir")).to_owned();
    let create = [
        "keys",
        "create",
        "--account",
        "trader",
        "--permissions",
        "read,trade,withdraw",
        "--ip",
        "127.0.0.0/8",
        "--public-key",
        &public,
    ];
    let key = json(&data, &create, 0);
    assert_eq!((&key["algorithm"], &key["account"]), (&"ed25519".into(), &"trader".into()));
    (key["key"].as_str().unwrap().to_owned(), file)
}

/// The client in `clients/python` trades with httpx and requests, withdraws with the key and not with a session, and sees
/// every change on the way refused; the operator sees where the key was used, and ends it.
#[test]
fn a_customer_with_a_key_pair_trades_and_withdraws() {
    let Some(python) = python() else { return };
    let dir = folder();
    let serving = demo(dir.path());
    let data = Path::new(serving.text("data_dir")).to_owned();
    let (key, file) = registered(&python, &serving, dir.path());
    let tell = |steps: i32| {
        let mut command = Command::new(&python);
        command.arg(script("v2_client.py"));
        for (option, value) in [
            ("--gateway", serving.text("gateway")),
            ("--ca", serving.text("ca_file")),
            ("--key", key.as_str()),
            ("--key-file", file.as_str()),
            ("--withdraw-to", tron_address("v2").as_str()),
        ] {
            command.args([option, value]);
        }
        finish(&mut command).exits(steps)
    };
    let told: Value = serde_json::from_str(tell(0).stdout.trim()).unwrap();
    assert_eq!(told["ok"], true, "{told}");

    let shown = json(&data, &["keys", "show", &key], 0);
    assert_eq!((&shown["scheme"], &shown["state"]), (&"v2".into(), &"active".into()));
    assert_eq!(shown["known_from"][0]["network"], "127.0.0.0/24");
    let ja4 = shown["known_from"][0]["ja4"].as_str().unwrap();
    assert!(ja4.starts_with("t13"), "{ja4}");
    let used: Vec<&str> =
        shown["last_uses"].as_array().unwrap().iter().filter_map(|one| one["permission"].as_str()).collect();
    assert!(["read", "trade", "withdraw"].iter().all(|one| used.contains(one)), "{used:?}");

    json(&data, &["keys", "revoke", &key], 0);
    let refused = tell(1);
    assert!(refused.stdout.contains("50119"), "{}", refused.stdout);
    let all = json(&data, &["keys", "list", "--all"], 0);
    let revoked = |one: &&Value| one["key"] == key.as_str() && one["state"] == "revoked";
    assert_eq!(all["keys"].as_array().unwrap().iter().filter(revoked).count(), 1);
    assert_eq!(serving.stop(), 0);
    assert_sound(&data);
}

/// What a restricted key may not do, unmodified clients see as the exceptions they know; the restrictions survive a
/// restart, and so does what was spent.
#[test]
fn clients_see_restrictions_as_they_see_the_exchange_s() {
    let Some(python) = python() else { return };
    let dir = folder();
    let serving = demo(dir.path());
    let data = Path::new(serving.text("data_dir")).to_owned();
    let key = serving.ready["api_keys"][0]["key"].as_str().unwrap().to_owned();
    let restrict = [
        "keys",
        "restrict",
        &key,
        "--instrument",
        "ETH-USDT",
        "--max-order-notional",
        "500",
        "--max-day-notional",
        "5000",
        "--transfer",
        "funding_to_trading",
        "--withdraw-to",
        &format!("tron:{}", tron_address("the only one")),
    ];
    let shown = json(&data, &restrict, 0);
    assert_eq!(shown["restrictions"]["instruments"], serde_json::json!(["ETH-USDT"]));
    let mut command = Command::new(&python);
    command.arg(script("restricted_client.py"));
    story(command, &serving, &["--withdraw-to", &tron_address("elsewhere")]);
    let shown = json(&data, &["keys", "show", &key], 0);
    assert_eq!(shown["day_spent"], "200", "{shown}");
    assert_eq!(serving.stop(), 0);

    let after = json(&data, &["keys", "show", &key], 0);
    assert_eq!(after["restrictions"], shown["restrictions"]);
    let spent: f64 = after["day_spent"].as_str().unwrap().parse().unwrap();
    assert!((200.0..=1_000.0).contains(&spent), "{spent}");
    json(&data, &["keys", "restrict", &key], 64);
    json(&data, &["keys", "restrict", &key, "--hours", "noon"], 65);
    json(&data, &["keys", "show", "nobody"], 66);
    let lifted = json(&data, &["keys", "restrict", &key, "--none"], 0);
    assert_eq!((&lifted["restricted"], &lifted["day_spent"]), (&false.into(), &Value::Null));
    assert_sound(&data);
}
