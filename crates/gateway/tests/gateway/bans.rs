//! Sources and keys that misbehave are sent away for a while, and nobody else is.

use std::time::Duration;

use caponier_client::{Request, Session, Signer};
use gateway::{AbuseMode, BanTarget};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    message_signatures::{fields, free, now, open, send, send_in, url},
    websocket::Client,
    world::{Key, TRADER, World, code, reply, request},
};

const BALANCE: &str = "/api/v5/account/balance";
const CANCEL: &str = "/api/v5/trade/cancel-order";

/// A gateway for which loopback is a source like any other.
async fn world(mode: AbuseMode) -> World {
    World::configured(|config| {
        config.abuse.mode = mode;
        config.abuse.reputation.never_ban.clear();
    })
    .await
}

/// A request with a signature that is not its own, on a connection of its own.
async fn forged(world: &World, key: &Key) -> Option<(String, u16)> {
    let headers = world.signed(key, "GET", "/api/v5/account/positions", "");
    let text = request("GET", BALANCE, &headers, "");
    try_raw(world, text.as_bytes()).await
}

/// Sends bytes; `None` when the connection ends without an answer, at whatever moment.
async fn try_raw(world: &World, bytes: &[u8]) -> Option<(String, u16)> {
    let mut stream = TcpStream::connect(world.address).await.ok()?;
    stream.write_all(bytes).await.ok()?;
    reply(&mut stream).await.map(|reply| reply.code())
}

#[tokio::test]
async fn bad_signatures_end_in_a_ban_that_ends() {
    let world = world(AbuseMode::Enforce).await;
    let key = world.key(&TRADER);
    // Stays open, idle, from the same source.
    let mut held = TcpStream::connect(world.address).await.unwrap();
    held.write_all(request("GET", "/api/v5/public/time", &[], "").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut held).await.unwrap().code(), code("0", 200));
    let mut answered = 0;
    while let Some(said) = forged(&world, &key).await {
        assert_eq!(said.1, if said.0 == "50113" { 401 } else { 429 });
        answered += 1;
        assert!(answered < 100, "still served");
    }
    // Ten signatures of 5 points ban the key at this source; who goes on is refused for a point each, until 100 are a
    // ban of the source. The one that crosses the bar may still be answered or not.
    assert!((59..=60).contains(&answered), "{answered}");
    assert_eq!(held.read(&mut [0; 1]).await.unwrap_or(0), 0, "what was open has ended");
    let bans = world.watcher.bans.lock().clone();
    assert_eq!(bans, ["key \"key-0\" at 127.0.0.1 true", "127.0.0.1 true"]);
    assert!(forged(&world, &key).await.is_none());
    assert!(world.refusals("banned") >= 1);
    // The key is banned as long as the source, and both end by themselves.
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
}

#[tokio::test]
async fn a_banned_key_may_still_cancel() {
    let world = world(AbuseMode::Enforce).await;
    let key = world.key(&TRADER);
    let other = world.key(&TRADER);
    // The source has lately authenticated: its bar is higher, that of a key is not.
    for _ in 0..5 {
        assert_eq!(world.get(&other, BALANCE).await.code(), code("0", 200));
    }
    for _ in 0..10 {
        assert_eq!(forged(&world, &key).await, Some(code("50113", 401)));
    }
    let refused = world.get(&key, BALANCE).await;
    assert_eq!(refused.code(), code("50011", 429));
    assert_eq!(refused.headers["retry-after"], "60");
    assert_eq!(world.refusals("key_banned"), 1);
    assert_eq!(world.post(&key, CANCEL, "{}").await.code(), code("0", 200));
    assert_eq!(world.get(&other, BALANCE).await.code(), code("0", 200));
    let target =
        BanTarget::KeyAtSource(domain::ApiKeyId::parse(&key.id).unwrap(), "127.0.0.1".parse().unwrap());
    assert!(world.bans.lift(&target, None).unwrap());
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
    let bans = world.watcher.bans.lock().clone();
    assert_eq!(bans, ["key \"key-0\" at 127.0.0.1 true", "key \"key-0\" at 127.0.0.1 lifted"]);
}

/// A request of a v2 key or of a session of it, signed for another target.
enum By<'a> {
    Key(&'a Signer),
    Session(&'a Session),
}

async fn forged_by(world: &World, by: By<'_>) -> (String, u16) {
    let elsewhere = url("/api/v5/account/positions");
    let request = Request::new("GET", &elsewhere, b"").unwrap();
    let signed = match by {
        By::Key(signer) => signer.sign(&request, now(world)),
        By::Session(session) => session.sign(&request, now(world)),
    };
    world.send("GET", BALANCE, &fields(&signed.unwrap()), "").await.code()
}

/// Guesses at the signature of a v2 key, at its body or at the MAC of its session are held against the key at their
/// source, as those of the OKX scheme are; its other requests there are refused before they cost anything.
#[tokio::test]
async fn v2_keys_and_their_sessions_are_banned_where_they_are_misused() {
    for kind in ["key", "session", "body"] {
        let world = world(AbuseMode::Enforce).await;
        let (signer, other) = (world.signer(&TRADER, free()), world.signer(&TRADER, free()));
        let session = open(&world, &signer).await;
        for _ in 0..5 {
            assert_eq!(send(&world, &other, "GET", BALANCE, "").await.code(), code("0", 200));
        }
        for _ in 0..10 {
            let said = match kind {
                "key" => forged_by(&world, By::Key(&signer)).await,
                "session" => forged_by(&world, By::Session(&session)).await,
                _ => {
                    let order = url("/api/v5/trade/order");
                    let request = Request::new("POST", &order, b"{}").unwrap();
                    let signed = signer.sign(&request, now(&world)).unwrap();
                    world.send("POST", "/api/v5/trade/order", &fields(&signed), "{ }").await.code()
                }
            };
            assert_eq!(said, code("50113", 401), "{kind}");
        }
        let bans = world.watcher.bans.lock().clone();
        let banned = world.bans.current();
        assert_eq!((bans.len(), banned.len()), (1, 1), "{kind}: {bans:?}");
        assert!(
            bans[0].starts_with("key \"caponier_live_") && bans[0].ends_with(" at 127.0.0.1 true"),
            "{bans:?}"
        );
        assert_eq!(send(&world, &signer, "GET", BALANCE, "").await.code(), code("50011", 429), "{kind}");
        assert_eq!(send_in(&world, &session, "GET", BALANCE, "").await.code(), code("50011", 429), "{kind}");
        assert_eq!(world.refusals("key_banned"), 2);
        assert_eq!(send(&world, &signer, "POST", CANCEL, "{}").await.code(), code("0", 200));
        assert_eq!(send_in(&world, &session, "POST", CANCEL, "{}").await.code(), code("0", 200));
        assert_eq!(send(&world, &other, "GET", BALANCE, "").await.code(), code("0", 200));
    }
}

/// Guesses by way of a web socket count as those over REST do; a banned key may log in, and then only cancel.
#[tokio::test]
async fn logins_are_held_against_the_key_they_name() {
    let world = World::configured(|config| {
        config.abuse.reputation.never_ban.clear();
        config.websocket.connects = admission::Quota::new(100, Duration::from_secs(1)).unwrap();
    })
    .await;
    let (key, other) = (world.key(&TRADER), world.key(&TRADER));
    for _ in 0..5 {
        assert_eq!(world.get(&other, BALANCE).await.code(), code("0", 200));
    }
    let guess = Key { secret: b"another".to_vec(), ..key.clone() };
    for _ in 0..5 {
        let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
        for _ in 0..2 {
            assert_eq!(client.log_in(&world, &guess).await["code"], "60007");
        }
    }
    let bans = world.watcher.bans.lock().clone();
    assert_eq!(bans, [format!("key \"{}\" at 127.0.0.1 true", key.id)]);
    assert_eq!(world.get(&key, BALANCE).await.code(), code("50011", 429));
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.log_in(&world, &key).await["code"], "0");
    let ask = |op: &str| serde_json::json!({ "id": "1", "op": op, "args": [{ "instId": "BTC-USDT" }] });
    assert_eq!(client.ask(&ask("order")).await["code"], "50011");
    // It is sent on, to an exchange that speaks no web sockets.
    assert_ne!(client.ask(&ask("cancel-order")).await["code"], "50011");
}

/// All networks of an operator at once, but for the addresses that are never banned.
#[tokio::test]
async fn people_ban_network_operators() {
    let world = World::configured(|config| {
        config.proxy_trusted = vec!["127.0.0.0/8".parse().unwrap()];
        config.abuse.reputation.never_ban = vec!["192.0.2.9/32".parse().unwrap()];
    })
    .await;
    let operator = BanTarget::Operator(64_500);
    assert!(world.bans.ban(&operator, Duration::from_secs(60), None).is_err(), "there is no table");
    let table = admission::reputation::AsnTable::parse("192.0.2.0/25 64500\n").unwrap();
    world.bans.set_asn_table(std::sync::Arc::new(table));
    let mut held = Vec::new();
    for ip in ["192.0.2.7", "192.0.2.9", "192.0.2.200"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let header = format!("PROXY TCP4 {ip} 127.0.0.1 1 443\r\n");
        let get = request("GET", "/api/v5/public/time", &[], "");
        stream.write_all(format!("{header}{get}").as_bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().code(), code("0", 200));
        held.push((ip, stream, header + &get));
    }
    world.bans.ban(&operator, Duration::from_secs(60), None).unwrap();
    for (ip, mut stream, again) in held {
        let get = request("GET", "/api/v5/public/time", &[], "");
        let goes_on = stream.write_all(get.as_bytes()).await.is_ok() && reply(&mut stream).await.is_some();
        let comes_in = try_raw(&world, again.as_bytes()).await.is_some();
        assert_eq!((goes_on, comes_in), (ip != "192.0.2.7", ip != "192.0.2.7"), "{ip}");
    }
    assert!(world.bans.lift(&operator, None).unwrap());
}

#[tokio::test]
async fn shadow_reports_and_off_does_not() {
    for (mode, reported) in [(AbuseMode::Shadow, true), (AbuseMode::Off, false)] {
        let world = world(mode).await;
        let key = world.key(&TRADER);
        for _ in 0..30 {
            assert!(forged(&world, &key).await.is_some());
        }
        let bans = world.watcher.bans.lock().clone();
        assert_eq!(bans.contains(&"127.0.0.1 false".to_owned()), reported, "{bans:?}");
        assert_eq!(world.refusals("banned") + world.refusals("key_banned"), 0);
    }
}

#[tokio::test]
async fn business_is_no_abuse() {
    let world = world(AbuseMode::Enforce).await;
    let key = world.key(&TRADER);
    for _ in 0..40 {
        // Not permitted, and expired.
        assert_eq!(world.post(&key, "/api/v5/asset/withdrawal", "{}").await.code().1, 403);
    }
    let headers = crate::world::signed_at(&key, "2020-01-01T00:00:00.000Z", "GET", BALANCE, "");
    for _ in 0..40 {
        assert_eq!(world.send("GET", BALANCE, &headers, "").await.code().0, "50102");
    }
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
    assert!(world.bans.current().is_empty());
}

#[tokio::test]
async fn an_operator_bans_and_lifts() {
    let world = world(AbuseMode::Enforce).await;
    let key = world.key(&TRADER);
    let here = BanTarget::Net("127.0.0.0/24".parse().unwrap());
    world.bans.ban(&here, Duration::from_secs(7_200), None).unwrap();
    assert_eq!(world.bans.current()[0].ttl(), Duration::from_secs(3_600), "never longer than an hour");
    assert!(try_raw(&world, b"GET / HTTP/1.1\r\n\r\n").await.is_none());
    assert!(world.bans.lift(&here, None).unwrap());
    assert!(!world.bans.lift(&here, None).unwrap());
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
    let wide = BanTarget::Net("127.0.0.0/8".parse().unwrap());
    assert!(world.bans.ban(&wide, Duration::from_secs(1), None).is_err());
    // The default list spares loopback from operators too.
    let spared = World::start().await;
    assert!(spared.bans.ban(&here, Duration::from_secs(1), None).is_err());
}

#[tokio::test]
async fn behind_a_proxy_the_client_is_banned_and_the_proxy_never() {
    let world = World::configured(|config| {
        config.proxy_trusted = vec!["127.0.0.0/8".parse().unwrap()];
        config.abuse.reputation.never_ban.clear();
    })
    .await;
    let key = world.key(&TRADER);
    let from = async |ip: &str, text: &str| {
        let header = format!("PROXY TCP4 {ip} 127.0.0.1 1234 443\r\n");
        try_raw(&world, format!("{header}{text}").as_bytes()).await
    };
    let bad = request("GET", BALANCE, &world.signed(&key, "GET", "/other", ""), "");
    let good = || request("GET", BALANCE, &world.signed(&key, "GET", BALANCE, ""), "");
    for _ in 0..60 {
        drop(from("192.0.2.7", &bad).await);
    }
    assert_eq!(from("192.0.2.7", &good()).await, None);
    assert_eq!(from("192.0.2.8", &good()).await, Some(code("0", 200)));
    // Connections without a header are the proxy's own doing.
    for _ in 0..50 {
        assert!(try_raw(&world, b"GET / HTTP/1.1\r\n\r\n").await.is_none());
    }
    assert_eq!(from("192.0.2.8", &good()).await, Some(code("0", 200)));
}
