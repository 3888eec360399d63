//! What the exchange gets, and what the client gets back.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::world::{Key, OK, TRADER, WITHDRAWER, World, code, reply, request};

#[tokio::test]
async fn target_and_body_are_forwarded_as_they_were_signed() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    for target in [
        "/api/v5/account/balance",
        "/api/v5/account/balance?",
        "/api/v5/account/balance?ccy=BTC,ETH",
        "/api/v5/account/balance?ccy=BTC%2CETH",
        "/api/v5/account/balance?ccy=BTC%2cETH&&=&a",
        "/api/v5/account/balance?a=b+c%20d&x=%C3%BC&y=%zz&q='|`{}[]^~",
        "/api/v5/account/balance?url=http://x/../y//z?w",
    ] {
        assert_eq!(world.get(&key, target).await.code(), code("0", 200), "{target}");
        assert_eq!(world.exchange.last().line, format!("GET {target} HTTP/1.1"));
    }
    for body in [
        "{}",
        "{ \"a\" : 1.0e0 ,\n\t\"b\": null, \"a\": \"\\u00fc ü\" }  \r\n",
        "[{\"instId\":\"BTC-USDT\",\"px\":\"30000\"}]",
    ] {
        assert_eq!(world.post(&key, "/api/v5/account/set-leverage", body).await.code(), code("0", 200));
        assert_eq!(world.exchange.last().body, body.as_bytes());
    }
}

#[tokio::test]
async fn the_exchange_is_told_who_asks_and_nothing_it_should_not_know() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let mut headers = world.signed(&key, "GET", "/api/v5/account/balance", "");
    for (name, value) in [
        ("x-caponier-account", "mallory"),
        ("X-Caponier-Upstream-Token", "guess"),
        ("x_caponier_account", "mallory"),
        ("X-Forwarded-For", "10.9.8.7"),
        ("X-Real-IP", "10.9.8.7"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Range", "bytes=0-0,1-1"),
        ("User-Agent", "test"),
        ("expTime", "1795341601000"),
    ] {
        headers.push((name.to_owned(), value.to_owned()));
    }
    assert_eq!(world.send("GET", "/api/v5/account/balance", &headers, "").await.code(), code("0", 200));
    let got = world.exchange.last();
    assert_eq!(got.header("host"), Some(world.exchange.address.to_string().as_str()));
    assert_eq!(got.header("x-caponier-account"), Some("alice"));
    assert_eq!(got.header("x-caponier-key"), Some(key.id.as_str()));
    assert_eq!(got.header("x-caponier-upstream-token"), Some("upstream-token"));
    assert_eq!(got.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(got.header("user-agent"), Some("test"));
    assert_eq!(got.header("exptime"), Some("1795341601000"));
    assert_eq!(got.header("ok-access-key"), Some(key.id.as_str()));
    let absent = ["ok-access-passphrase", "x_caponier_account", "x-real-ip", "keep-alive", "te", "range"];
    for name in absent {
        assert_eq!(got.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn public_data_needs_no_key_and_carries_none() {
    let world = World::start().await;
    let key = Key { id: "key-0".to_owned(), secret: vec![], passphrase: "p".to_owned(), demo: false };
    assert_eq!(world.send("GET", "/api/v5/public/time", &[], "").await.code(), code("0", 200));
    assert_eq!(world.get(&key, "/api/v5/market/ticker?instId=BTC-USDT").await.code(), code("0", 200));
    let got = world.exchange.last();
    assert!(got.headers.iter().all(|(name, _)| !name.starts_with("ok-access-")), "{got:?}");
    assert_eq!(got.header("x-caponier-account"), None);
    // Public for GET only.
    assert_eq!(world.send("POST", "/api/v5/public/time", &[], "{}").await.code(), code("50103", 401));
}

#[tokio::test]
async fn answers_stream_through_without_connection_fields() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let chunked = world.get(&key, "/api/v5/test/chunked").await;
    assert_eq!(chunked.headers["transfer-encoding"], "chunked");
    assert_eq!(chunked.headers["x-kept"], "yes");
    assert!(
        !chunked.headers.contains_key("keep-alive") && !chunked.headers.contains_key("x-caponier-account")
    );
    assert_eq!(chunked.body, b"5\r\n{\"cod\r\n7\r\ne\":\"0\"}\r\n0\r\n\r\n");
    assert_eq!(world.get(&key, "/api/v5/test/large").await.body.len(), 4 << 20);
}

#[tokio::test]
async fn one_upstream_connection_serves_many_requests() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for n in 0..50 {
        let target = format!("/api/v5/account/balance?n={n}");
        let headers = world.signed(&key, "GET", &target, "");
        stream.write_all(request("GET", &target, &headers, "").as_bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().body, OK.as_bytes());
    }
    assert_eq!(world.get(&key, "/api/v5/test/chunked").await.status, 200);
    let counted = world.metrics.snapshot();
    assert_eq!((counted.upstream_connections, counted.connections), (1, 2));
    assert_eq!((counted.requests, counted.forwarded), (51, 51));
}

#[tokio::test]
async fn a_connection_the_exchange_closed_is_not_used_again() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    for n in 0..5 {
        for target in ["/api/v5/test/last", "/api/v5/test/leave"] {
            let body = format!("{{\"n\":{n}}}");
            assert_eq!(world.post(&key, target, &body).await.code(), code("0", 200), "{target}");
        }
    }
    // Every action arrived exactly once.
    assert_eq!(world.exchange.count(), 10);
}

#[tokio::test]
async fn an_exchange_that_does_not_answer_is_reported_truly() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    assert_eq!(world.get(&key, "/api/v5/test/silent").await.code(), code("50004", 400));
    assert_eq!(world.post(&key, "/api/v5/test/silent", "{}").await.code(), code("50004", 400));
    assert_eq!(world.refusals("upstream_timeout"), 2);
    // A read that broke changed nothing; of an action that broke nobody knows.
    assert_eq!(world.get(&key, "/api/v5/test/break").await.code(), code("50001", 503));
    let before = world.exchange.count();
    assert_eq!(world.post(&key, "/api/v5/test/break", "{}").await.code(), code("50004", 400));
    assert_eq!(world.exchange.count(), before + 1);
    assert_eq!(world.refusals("upstream_lost"), 2);
    // A body that breaks off breaks off for the client too.
    let target = "/api/v5/test/half";
    let headers = world.signed(&key, "GET", target, "");
    assert!(world.raw(request("GET", target, &headers, "").as_bytes()).await.is_none());
}

#[tokio::test]
async fn an_exchange_that_is_down_is_reported_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    let world = World::configured(|config| config.upstream.authority = nobody).await;
    let key = world.key(&WITHDRAWER);
    assert_eq!(world.get(&key, "/api/v5/account/balance").await.code(), code("50001", 503));
    assert_eq!(world.post(&key, "/api/v5/trade/order", "{}").await.code(), code("50001", 503));
    let withdrawal = r#"{"ccy":"BTC","amt":"1","dest":"4","toAddr":"bc1q"}"#;
    let reply = world.post(&key, "/api/v5/asset/withdrawal", withdrawal).await;
    assert_eq!(reply.code(), code("50001", 503));
    assert_eq!(reply.headers["x-caponier-decision"], "d-17");
    assert_eq!(world.refusals("upstream_down"), 3);
}

#[tokio::test]
async fn requests_beyond_the_pool_wait_and_are_then_shed() {
    let world = World::configured(|config| {
        config.upstream.connections_max = 1;
        config.upstream.queue_timeout = Duration::from_millis(50);
        config.upstream.response_timeout = Duration::from_secs(30);
    })
    .await;
    let key = world.key(&TRADER);
    let target = "/api/v5/test/wait";
    let headers = world.signed(&key, "GET", target, "");
    let mut first = TcpStream::connect(world.address).await.unwrap();
    first.write_all(request("GET", target, &headers, "").as_bytes()).await.unwrap();
    world.exchange.waiting.notified().await;
    assert_eq!(world.get(&key, "/api/v5/account/balance").await.code(), code("50013", 429));
    world.exchange.release.notify_one();
    assert_eq!(reply(&mut first).await.unwrap().code(), code("0", 200));
    assert_eq!(world.get(&key, "/api/v5/account/balance").await.code(), code("0", 200));
}
