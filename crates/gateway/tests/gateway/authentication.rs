//! Every refusal of the authentication table that a client can cause, and replay.

use std::time::Duration;

use auth::{Environment, KeyChange, Permission};
use domain::{ApiKeyId, Clock as _};

use crate::world::{KeySpec, NOW, TRADER, WITHDRAWER, World, code, request, signed_at};

const BALANCE: &str = "/api/v5/account/balance?ccy=BTC";
const ORDER: &str = r#"{"instId":"BTC-USDT","side":"buy","sz":"1"}"#;

fn without(mut headers: Vec<(String, String)>, name: &str) -> Vec<(String, String)> {
    headers.retain(|(other, _)| other != name);
    headers
}

fn with(headers: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut headers = without(headers.to_vec(), name);
    headers.push((name.to_owned(), value.to_owned()));
    headers
}

#[tokio::test]
async fn each_credential_header_is_demanded() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let good = world.signed(&key, "GET", BALANCE, "");
    for (name, expected) in [
        ("OK-ACCESS-KEY", "50103"),
        ("OK-ACCESS-PASSPHRASE", "50104"),
        ("OK-ACCESS-SIGN", "50106"),
        ("OK-ACCESS-TIMESTAMP", "50107"),
    ] {
        let missing = world.send("GET", BALANCE, &without(good.clone(), name), "").await;
        assert_eq!(missing.code(), code(expected, 401), "{name}");
        let empty = world.send("GET", BALANCE, &with(&good, name, ""), "").await;
        assert_eq!(empty.code(), code(expected, 401), "{name}");
    }
    assert_eq!(world.exchange.count(), 0);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let good = world.signed(&key, "GET", BALANCE, "");
    for (name, value, expected) in [
        ("OK-ACCESS-KEY", "nobody", "50111"),
        ("OK-ACCESS-TIMESTAMP", "2026-11-22T10:00:00.000000Z", "50112"),
        ("OK-ACCESS-TIMESTAMP", "1795341600", "50112"),
        ("OK-ACCESS-SIGN", "X/i/q53ENYaVFJP/x3gMqfyuIw8hS3HPa3eFxfQQFaY=", "50113"),
        ("OK-ACCESS-PASSPHRASE", "Wrong-Horse-1", "50105"),
        ("x-simulated-trading", "1", "50101"),
    ] {
        let reply = world.send("GET", BALANCE, &with(&good, name, value), "").await;
        assert_eq!(reply.code(), code(expected, 401), "{name}: {value}");
    }
    assert_eq!(world.exchange.count(), 0);
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
    // The accepted passphrase is now remembered; a wrong one is still wrong.
    let reply = world.send("GET", BALANCE, &with(&good, "OK-ACCESS-PASSPHRASE", "Wrong-Horse-1"), "").await;
    assert_eq!(reply.code(), code("50105", 401));
    assert_eq!(world.exchange.count(), 1);
    assert_eq!(*world.watcher.used.lock(), [key.id]);
}

#[tokio::test]
async fn timestamps_may_differ_by_half_a_minute() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    for (skew_secs, ahead, expected) in [
        (29, true, ("0", 200)),
        (29, false, ("0", 200)),
        (31, true, ("50102", 401)),
        (31, false, ("50102", 401)),
    ] {
        let skew = Duration::from_secs(skew_secs);
        let at = if ahead { NOW.plus(skew) } else { NOW.minus(skew) };
        let headers = signed_at(&key, &at.to_string(), "GET", BALANCE, "");
        let reply = world.send("GET", BALANCE, &headers, "").await;
        assert_eq!(reply.code(), code(expected.0, expected.1), "{skew_secs} ahead={ahead}");
    }
}

#[tokio::test]
async fn standing_and_rights_of_the_key_count() {
    let world = World::start().await;
    let frozen = world.key(&TRADER);
    let id = ApiKeyId::parse(&frozen.id).unwrap();
    world.registry.apply(KeyChange::Frozen { id, at: NOW }).unwrap();
    assert_eq!(world.get(&frozen, BALANCE).await.code(), code("50100", 400));

    let revoked = world.key(&TRADER);
    assert_eq!(world.get(&revoked, BALANCE).await.code(), code("0", 200));
    let id = ApiKeyId::parse(&revoked.id).unwrap();
    world.registry.apply(KeyChange::Revoked { id, at: NOW }).unwrap();
    assert_eq!(world.get(&revoked, BALANCE).await.code(), code("50119", 200));

    let unused = KeySpec { created_at: NOW.minus(Duration::from_secs(15 * 86_400)), ..TRADER };
    assert_eq!(world.get(&world.key(&unused), BALANCE).await.code(), code("50119", 200));

    let elsewhere = world.key(&KeySpec { ips: &["10.0.0.0/8"], ..TRADER });
    let reply = world.get(&elsewhere, BALANCE).await;
    assert_eq!(reply.code(), code("50110", 401));
    assert_eq!(reply.json()["msg"], "Your IP 127.0.0.1 is not included in your API key's IP whitelist.");

    let demo = world.key(&KeySpec { environment: Environment::Demo, ..TRADER });
    assert_eq!(world.get(&demo, BALANCE).await.code(), code("0", 200));
    let live = with(&world.signed(&demo, "GET", BALANCE, ""), "x-simulated-trading", "0");
    assert_eq!(world.send("GET", BALANCE, &live, "").await.code(), code("50101", 401));

    let reader = world.key(&KeySpec { permissions: &[Permission::Read], ..TRADER });
    assert_eq!(world.post(&reader, "/api/v5/trade/order", ORDER).await.code(), code("50120", 200));
    let withdrawal = "/api/v5/asset/withdrawal";
    assert_eq!(world.post(&reader, withdrawal, "{}").await.code(), code("50035", 403));
    let bound = world.key(&KeySpec { ips: &["127.0.0.0/8"], ..TRADER });
    assert_eq!(world.post(&bound, withdrawal, "{}").await.code(), code("50120", 200));
    let unbound = world.key(&KeySpec { permissions: &Permission::ALL, ..TRADER });
    assert_eq!(world.post(&unbound, withdrawal, "{}").await.code(), code("50035", 403));
    assert!(world.decide.asked.lock().is_empty());
}

#[tokio::test]
async fn a_changed_request_does_not_verify() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
    let order = "/api/v5/trade/order";
    let signed = world.signed(&key, "POST", order, ORDER);
    let changed = ORDER.replace("\"1\"", "\"9\"");
    assert_eq!(world.send("POST", order, &signed, &changed).await.code(), code("50113", 401));
    let other = "/api/v5/trade/cancel-order";
    assert_eq!(world.send("POST", other, &signed, ORDER).await.code(), code("50113", 401));
    let get = world.signed(&key, "GET", order, "");
    assert_eq!(world.send("POST", order, &get, ORDER).await.code(), code("50113", 401));
    // Bytes moved between path and body sign to the same prehash; both splits are refused for their form.
    let moved = world.signed(&key, "POST", order, &format!("?x=1{ORDER}"));
    assert_eq!(world.send("POST", &format!("{order}?x=1"), &moved, ORDER).await.code(), code("51000", 400));
    assert_eq!(world.send("POST", order, &moved, &format!("?x=1{ORDER}")).await.code(), code("50002", 400));
    assert_eq!(world.exchange.count(), 1);
}

#[tokio::test]
async fn a_repetition_is_refused_unless_it_is_a_read() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let read = world.signed(&key, "GET", BALANCE, "");
    for _ in 0..2 {
        assert_eq!(world.send("GET", BALANCE, &read, "").await.code(), code("0", 200));
    }
    let order = world.signed(&key, "POST", "/api/v5/trade/order", ORDER);
    assert_eq!(world.send("POST", "/api/v5/trade/order", &order, ORDER).await.code(), code("0", 200));
    for _ in 0..2 {
        let reply = world.send("POST", "/api/v5/trade/order", &order, ORDER).await;
        assert_eq!(reply.code(), code("50042", 200));
    }
    // One millisecond later it is another order.
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.post(&key, "/api/v5/trade/order", ORDER).await.code(), code("0", 200));
    assert_eq!(world.exchange.count(), 4);
    assert!(world.watcher.refused.lock().contains(&(Some("alice".to_owned()), "repeated")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_twenty_parallel_repetitions_passes() {
    let world = std::sync::Arc::new(World::start().await);
    let key = world.key(&WITHDRAWER);
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
    for round in 0..10 {
        let before = world.exchange.count();
        world.clock.advance(Duration::from_secs(1));
        let body = format!(r#"{{"ccy":"BTC","amt":"{}","dest":"4","toAddr":"bc1q"}}"#, round + 1);
        let target = "/api/v5/asset/withdrawal";
        let headers = signed_at(&key, &world.clock.now().to_string(), "POST", target, &body);
        let bytes = request("POST", target, &headers, &body).into_bytes();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (world, bytes) = (std::sync::Arc::clone(&world), bytes.clone());
                tokio::spawn(async move { world.raw(&bytes).await.unwrap().code().0 })
            })
            .collect();
        let mut codes = Vec::new();
        for task in tasks {
            codes.push(task.await.unwrap());
        }
        codes.sort();
        // The limit of six withdrawals a second stands before the replay check.
        assert_eq!(codes.iter().filter(|code| *code == "0").count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| *code == "50042").count(), 5, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| *code == "50011").count(), 14, "{codes:?}");
        assert_eq!(world.exchange.count(), before + 1);
    }
}
