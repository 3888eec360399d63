//! Least authority over the wire: restrictions, budgets, ages and sightings of keys, and how fast a key ends.

use std::time::Duration;

use auth::{
    Environment, KeyChange, Permission,
    authority::{FirstSeenMode, NotionalBounds, Restrictions, TransferDirection, WeeklyHours},
};
use caponier_client::{Request, Signer};
use domain::{Amount, ApiKeyId, Asset, Clock as _, UnixNanos};
use gateway::CoolDown;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::world::{HOST, KeySpec, NOW, TRADER, WITHDRAWER, World, code, request};

const ORDER: &str = "/api/v5/trade/order";
const WITHDRAWAL: &str = "/api/v5/asset/withdrawal";

fn free() -> Restrictions {
    Restrictions::default()
}

fn order(instrument: &str, size: &str, price: &str) -> String {
    format!(r#"{{"instId":"{instrument}","side":"buy","ordType":"limit","sz":"{size}","px":"{price}"}}"#)
}

fn withdrawal(to: &str) -> String {
    format!(r#"{{"ccy":"USDT","amt":"10","dest":"4","toAddr":"{to}","chain":"USDT-TRC20","fee":"1"}}"#)
}

fn bounds(per_order: Option<&str>, per_day: Option<&str>) -> NotionalBounds {
    let amount = |text: Option<&str>| text.map(|text| Amount::parse(text).unwrap());
    NotionalBounds::new(Asset::parse("USDT").unwrap(), amount(per_order), amount(per_day)).unwrap()
}

fn signed(world: &World, signer: &Signer, method: &str, target: &str, body: &str) -> Vec<(String, String)> {
    let url = format!("http://{HOST}{target}");
    let request = Request::new(method, &url, body.as_bytes()).unwrap();
    let fields = signer.sign(&request, world.clock.now().as_secs()).unwrap();
    let mut fields: Vec<_> = fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    fields.push(("Content-Type".to_owned(), "application/json".to_owned()));
    fields
}

async fn send(world: &World, signer: &Signer, target: &str, body: &str) -> (String, u16) {
    let method = if body.is_empty() { "GET" } else { "POST" };
    world.send(method, target, &signed(world, signer, method, target, body), body).await.code()
}

#[tokio::test]
async fn each_part_is_held() {
    let world = World::start().await;
    let endpoints = free().with_endpoints(&["GET /api/v5/account/*", "POST /api/v5/trade/order"]).unwrap();
    let signer = world.signer(&TRADER, endpoints);
    assert_eq!(send(&world, &signer, "/api/v5/account/balance", "").await, code("0", 200));
    assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "1", "2")).await, code("0", 200));
    assert_eq!(send(&world, &signer, "/api/v5/trade/order?ordId=1", "").await, code("50030", 200));
    let transfer = r#"{"from":"6","to":"18","ccy":"BTC","amt":"1"}"#;
    assert_eq!(send(&world, &signer, "/api/v5/asset/transfer", transfer).await, code("50030", 200));

    let instruments = free().with_instruments(&["BTC-*"]).unwrap();
    let signer = world.signer(&TRADER, instruments);
    assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "1", "2")).await, code("0", 200));
    assert_eq!(send(&world, &signer, ORDER, &order("ETH-USDT", "1", "2")).await, code("51000", 400));
    let batch = format!("[{},{}]", order("BTC-USDT", "1", "2"), order("ETH-USDT", "1", "2"));
    assert_eq!(send(&world, &signer, "/api/v5/trade/batch-orders", &batch).await, code("51000", 400));
    let twice = order("BTC-USDT", "1", "2").replacen('{', r#"{"instid":"ETH-USDT","#, 1);
    assert_eq!(send(&world, &signer, ORDER, &twice).await, code("50002", 400));
    // What cannot be read cannot be held.
    assert_eq!(send(&world, &signer, "/api/v5/trade/order-algo", "{}").await, code("50030", 200));

    let transfers = free().with_transfers(&[TransferDirection::FundingToTrading]).unwrap();
    let signer = world.signer(&TRADER, transfers);
    assert_eq!(send(&world, &signer, "/api/v5/asset/transfer", transfer).await, code("0", 200));
    let back = transfer.replace("\"6\"", "\"x\"").replace("\"18\"", "\"6\"").replace("\"x\"", "\"18\"");
    assert_eq!(send(&world, &signer, "/api/v5/asset/transfer", &back).await, code("50120", 200));

    // 2026-11-22 is a Sunday.
    let hours = WeeklyHours::daily(&[0, 1, 2, 3, 4], 8, 18).unwrap();
    let signer = world.signer(&TRADER, free().with_hours(hours));
    assert_eq!(send(&world, &signer, "/api/v5/account/balance", "").await, code("50120", 200));

    let destinations = free().with_destinations(&["cold-1"]).unwrap();
    let signer = world.signer(&WITHDRAWER, destinations);
    assert_eq!(send(&world, &signer, WITHDRAWAL, &withdrawal("TXabc")).await, code("0", 200));
    assert_eq!(send(&world, &signer, WITHDRAWAL, &withdrawal("TXother")).await, code("58207", 200));
    let destinations = free().with_destinations(&["cold-2"]).unwrap();
    let signer = world.signer(&WITHDRAWER, destinations);
    assert_eq!(send(&world, &signer, WITHDRAWAL, &withdrawal("TXabc")).await, code("58207", 200));
    assert_eq!(world.decide.asked.lock().len(), 1);
}

#[tokio::test]
async fn values_are_bounded_by_order_and_by_day() {
    let world = World::start().await;
    let signer = world.signer(&TRADER, free().with_notional(bounds(Some("100"), Some("250"))));
    assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "2", "50.01")).await, code("51000", 400));
    assert_eq!(world.refusals("notional_too_large"), 1);
    // Nobody knows what a sale at the market is worth.
    let market = r#"{"instId":"BTC-USDT","side":"sell","ordType":"market","sz":"1","tdMode":"cash"}"#;
    assert_eq!(send(&world, &signer, ORDER, market).await, code("51000", 400));
    assert_eq!(world.refusals("notional_unknown"), 1);
    for expected in ["0", "0", "50120"] {
        assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "2", "50")).await, code(expected, 200));
    }
    assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "1", "50")).await, code("0", 200));
    assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "1", "0.01")).await, code("50120", 200));
    // Cancelling is free.
    let cancel = r#"{"instId":"BTC-USDT","ordId":"1"}"#;
    assert_eq!(send(&world, &signer, "/api/v5/trade/cancel-order", cancel).await, code("0", 200));
    let spent = |change: &KeyChange| matches!(change, KeyChange::Spent { .. });
    let n_spent = world.ledger.recorded.lock().iter().filter(|change| spent(change)).count();
    assert!((1..=3).contains(&n_spent), "{n_spent}");
    world.clock.advance(Duration::from_secs(25 * 3_600));
    assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "2", "50")).await, code("0", 200));
}

#[tokio::test]
async fn what_cannot_be_put_on_record_is_not_traded() {
    let world = World::start().await;
    let signer = world.signer(&TRADER, free().with_notional(bounds(None, Some("250"))));
    world.ledger.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "1", "50")).await, code("50001", 503));
    assert_eq!((world.refusals("change_not_recorded"), world.exchange.count()), (1, 0));
    world.ledger.fails.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(send(&world, &signer, ORDER, &order("BTC-USDT", "1", "50")).await, code("0", 200));
}

#[tokio::test]
async fn a_new_key_does_not_withdraw_for_a_day() {
    let young = KeySpec { created_at: NOW, ..WITHDRAWER };
    let world = World::start().await;
    let key = world.key(&young);
    assert_eq!(world.post(&key, WITHDRAWAL, &withdrawal("TXabc")).await.code(), code("58219", 200));
    // Stopping a withdrawal needs no age.
    let stop = r#"{"wdId":"1"}"#;
    assert_eq!(world.post(&key, "/api/v5/asset/cancel-withdrawal", stop).await.code(), code("0", 200));
    world.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(world.post(&key, WITHDRAWAL, &withdrawal("TXabc")).await.code(), code("0", 200));
    // A change of its restrictions makes it new again.
    let (id, at) = (ApiKeyId::parse(&key.id).unwrap(), world.clock.now());
    let restrictions = Box::new(free().with_destinations(&["cold-1"]).unwrap());
    world.change(KeyChange::Restricted { id, at, restrictions });
    assert_eq!(world.post(&key, WITHDRAWAL, &withdrawal("TXabc")).await.code(), code("58219", 200));

    let world = World::configured(|config| config.cool_down = CoolDown::Shadow).await;
    let key = world.key(&young);
    assert_eq!(world.post(&key, WITHDRAWAL, &withdrawal("TXabc")).await.code(), code("0", 200));
    assert_eq!(world.metrics.snapshot().shadows["key_cool_down"], 1);
}

/// A gateway behind a proxy on loopback, so that a test comes from anywhere.
async fn proxied(mode: FirstSeenMode) -> World {
    World::configured(|config| {
        config.first_seen = mode;
        config.proxy_trusted = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await
}

async fn read_from(world: &World, key: &crate::world::Key, ip: &str) -> (String, u16) {
    let target = "/api/v5/account/balance";
    let text = request("GET", target, &world.signed(key, "GET", target, ""), "");
    let text = format!("PROXY TCP4 {ip} 127.0.0.1 5000 443\r\n{text}");
    world.raw(text.as_bytes()).await.unwrap().code()
}

#[tokio::test]
async fn use_from_elsewhere_is_reported_or_ends_the_key() {
    let world = proxied(FirstSeenMode::Shadow).await;
    let key = world.key(&TRADER);
    assert_eq!(read_from(&world, &key, "127.0.0.1").await, code("0", 200));
    world.clock.advance(Duration::from_secs(2 * 86_400));
    for _ in 0..2 {
        assert_eq!(read_from(&world, &key, "127.9.9.9").await, code("0", 200));
    }
    assert_eq!(world.metrics.snapshot().shadows["key_seen_elsewhere"], 1);
    let seen: Vec<bool> = world
        .ledger
        .recorded
        .lock()
        .iter()
        .filter_map(|change| match change {
            KeyChange::Seen { sighting, .. } => Some(sighting.suspect),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [false, true]);

    let world = proxied(FirstSeenMode::Enforce).await;
    let key = world.key(&TRADER);
    assert_eq!(read_from(&world, &key, "127.0.0.1").await, code("0", 200));
    world.clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(read_from(&world, &key, "127.9.9.9").await, code("50100", 400));
    assert_eq!(read_from(&world, &key, "127.0.0.1").await, code("50100", 400));
    let id = ApiKeyId::parse(&key.id).unwrap();
    world.change(KeyChange::Unfrozen { id, at: world.clock.now() });
    assert_eq!(read_from(&world, &key, "127.9.9.9").await, code("0", 200));
}

/// Sends a request over an open connection and reads what comes back.
async fn exchange(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = [0; 4_096];
    let n = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..n]).contains("200 OK")
}

#[tokio::test]
async fn connections_of_a_key_end_with_it() {
    let world = World::start().await;
    let signer = world.signer(&TRADER, free());
    let key = world.key(&KeySpec { account: "bob", environment: Environment::Live, ..TRADER });
    let target = "/api/v5/account/balance";
    let get = |signer: &Signer| request("GET", target, &signed(&world, signer, "GET", target, ""), "");
    let mut own = TcpStream::connect(world.address).await.unwrap();
    assert!(exchange(&mut own, &get(&signer)).await && exchange(&mut own, &get(&signer)).await);
    let mut other = TcpStream::connect(world.address).await.unwrap();
    assert!(exchange(&mut other, &request("GET", target, &world.signed(&key, "GET", target, ""), "")).await);
    // One with a request under way.
    let waiting =
        request("GET", "/api/v5/test/wait", &signed(&world, &signer, "GET", "/api/v5/test/wait", ""), "");
    let mut busy = TcpStream::connect(world.address).await.unwrap();
    busy.write_all(waiting.as_bytes()).await.unwrap();
    world.exchange.waiting.notified().await;

    let start = Instant::now();
    let id = world.registry.summaries().into_iter().find(|key| key.account.as_str() == "alice").unwrap().id;
    assert_eq!(world.change(KeyChange::Frozen { id, at: world.clock.now() }), 2);
    for stream in [&mut own, &mut busy] {
        let ended = timeout(Duration::from_secs(5), stream.read(&mut [0; 1])).await.expect("an end");
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    eprintln!("two connections of a frozen key ended after {took:?}");
    world.clock.advance(Duration::from_millis(1));
    assert!(exchange(&mut other, &request("GET", target, &world.signed(&key, "GET", target, ""), "")).await);
}

#[tokio::test]
async fn a_connection_of_many_keys_ends_with_any() {
    let world = World::start().await;
    let target = "/api/v5/account/balance";
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for number in 0..9 {
        let account = format!("account-{number}");
        let signer =
            world.signer(&KeySpec { account: &account, permissions: &[Permission::Read], ..TRADER }, free());
        assert!(
            exchange(&mut stream, &request("GET", target, &signed(&world, &signer, "GET", target, ""), ""))
                .await
        );
    }
    let unrelated = world.signer(&TRADER, free());
    drop(unrelated);
    let id = world.registry.summaries().into_iter().find(|key| key.account.as_str() == "alice").unwrap().id;
    let restrictions = Box::new(free().with_instruments(&["BTC-USDT"]).unwrap());
    assert_eq!(world.change(KeyChange::Restricted { id, at: UnixNanos(NOW.0), restrictions }), 1);
    let ended = timeout(Duration::from_secs(5), stream.read(&mut [0; 1])).await.expect("an end");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}
