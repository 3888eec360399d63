//! What two HTTP implementations could read differently never reaches the exchange.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::world::{TRADER, World, code, read_message, request};

const BALANCE: &str = "/api/v5/account/balance";
const ORDER: &str = "/api/v5/trade/order";

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn ambiguous_heads_are_refused_by_name() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let good = world.signed(&key, "GET", BALANCE, "");
    for (extra, expected, label) in [
        (header("OK-ACCESS-KEY", &key.id), code("50114", 401), "duplicate_header"),
        (header("OK-ACCESS-SIGN", "x"), code("50114", 401), "duplicate_header"),
        (header("OK-ACCESS-TIMESTAMP", "x"), code("50114", 401), "duplicate_header"),
        (header("ok-access-passphrase", "x"), code("50114", 401), "duplicate_header"),
        (header("X-Simulated-Trading", "0"), code("50114", 401), "duplicate_header"),
        (header("Connection", "OK-ACCESS-SIGN"), code("51000", 400), "connection_option"),
        (header("Connection", "close, x-caponier-account"), code("51000", 400), "connection_option"),
        (header("Expect", "the-unexpected"), code("51000", 400), "expectation"),
        (header("Upgrade", "h2c"), code("51000", 400), "upgrade_unsupported"),
        (header("Host", "other.example"), code("51000", 400), "host_repeated"),
    ] {
        let before = world.refusals(label);
        let headers: Vec<_> = good.iter().cloned().chain([extra.clone()]).collect();
        let reply = world.send("GET", BALANCE, &headers, "").await;
        assert_eq!(reply.code(), expected, "{extra:?}");
        assert_eq!(world.refusals(label), before + 1, "{extra:?}");
    }
    let many: Vec<_> = (0..70).map(|n| header(&format!("x-{n}"), "1")).collect();
    let headers: Vec<_> = good.iter().cloned().chain(many).collect();
    assert_eq!(world.send("GET", BALANCE, &headers, "").await.code(), code("51000", 400));
    assert_eq!(world.exchange.count(), 0);
}

#[tokio::test]
async fn paths_that_servers_spell_differently_are_refused() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    for path in [
        "/api/v5/account/../account/balance",
        "/api/v5/account/./balance",
        "/api/v5/account/%2e%2e/account/balance",
        "/api/v5/account%2fbalance",
        "/api/v5//account/balance",
        "//api/v5/account/balance",
        "/api/v5/account/balance/",
        "/api/v5/account\\balance",
        "/api/v5/account/balance;a=b",
    ] {
        assert_eq!(world.get(&key, path).await.code(), code("51000", 400), "{path}");
    }
    for path in ["/", "/metrics", "/api/v4/account/balance", "/ws/v5/private"] {
        assert_eq!(world.get(&key, path).await.code(), code("50005", 410), "{path}");
    }
    assert_eq!(world.exchange.count(), 0);
}

#[tokio::test]
async fn the_host_must_be_one_and_agree_with_the_target() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let signed = world.signed(&key, "GET", BALANCE, "");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    for (head, expected) in [
        (format!("GET {BALANCE} HTTP/1.1\r\n"), code("51000", 400)),
        (format!("GET {BALANCE} HTTP/1.1\r\nHost: \r\n"), code("51000", 400)),
        (format!("GET http://a.example{BALANCE} HTTP/1.1\r\nHost: b.example\r\n"), code("51000", 400)),
        (format!("GET http://u@a.example{BALANCE} HTTP/1.1\r\nHost: a.example\r\n"), code("51000", 400)),
        (format!("GET http://a.example{BALANCE} HTTP/1.1\r\nHost: a.example\r\n"), code("0", 200)),
    ] {
        let reply = world.raw(format!("{head}{lines}\r\n").as_bytes()).await.expect("an answer");
        assert_eq!(reply.code(), expected, "{head}");
    }
    // The absolute target went on as the path that was signed.
    assert_eq!(world.exchange.last().line, format!("GET {BALANCE} HTTP/1.1"));
    assert_eq!(world.exchange.count(), 1);
}

#[tokio::test]
async fn methods_and_bodies_follow_the_rules() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"] {
        assert_eq!(world.send(method, BALANCE, &[], "").await.code(), code("50115", 405), "{method}");
    }
    assert_eq!(world.post(&key, ORDER, "").await.code(), code("50000", 400));
    for body in ["x", " {}", "\u{feff}{}", "\"{}\"", "1"] {
        assert_eq!(world.post(&key, ORDER, body).await.code(), code("50002", 400), "{body}");
    }
    assert_eq!(world.post(&key, &format!("{ORDER}?a=1"), "{}").await.code(), code("51000", 400));

    let mut text = world.signed(&key, "POST", ORDER, "{}");
    text.retain(|(name, _)| name != "Content-Type");
    let plain: Vec<_> = text.iter().cloned().chain([header("Content-Type", "text/plain")]).collect();
    assert_eq!(world.send("POST", ORDER, &plain, "{}").await.code(), code("50006", 400));
    assert_eq!(world.send("POST", ORDER, &text, "{}").await.code(), code("0", 200));

    let with_body = world.signed(&key, "GET", BALANCE, "{}");
    let with_body: Vec<_> = with_body.into_iter().chain([header("Content-Length", "2")]).collect();
    assert_eq!(world.send("GET", BALANCE, &with_body, "{}").await.code(), code("51000", 400));
    assert_eq!(world.exchange.count(), 1);
}

#[tokio::test]
async fn bodies_are_bounded_by_their_route() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let body = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    assert_eq!(world.post(&key, ORDER, &body(64 << 10)).await.code(), code("0", 200));
    let reply = world.post(&key, ORDER, &body((64 << 10) + 1)).await;
    assert_eq!((reply.code(), world.refusals("body_too_large")), (code("51000", 400), 1));
    assert_eq!(world.post(&key, "/api/v5/account/set-leverage", &body(1 << 20)).await.code(), code("0", 200));
    assert_eq!(world.exchange.count(), 2);
}

#[tokio::test]
async fn raw_heads_that_servers_read_differently_are_answered_in_json() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let signed = world.signed(&key, "POST", ORDER, "{}");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    for (fields, label) in [
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "transfer_encoding"),
        ("Transfer-Encoding: chunked\r\n", "transfer_encoding"),
        ("Content-Length: 2\r\nContent-Length: 2\r\n", "content_length"),
        ("Content-Length: 2, 2\r\n", "content_length"),
        ("Content-Length: +2\r\n", "content_length"),
        ("Content-Length : 2\r\n", "header_field"),
        ("Content-Length: 2\r\n folded: 1\r\n", "header_field"),
        ("Content-Length: 2\nX: 1\r\n", "line_end"),
    ] {
        let before = world.refusals(label);
        let head = format!("POST {ORDER} HTTP/1.1\r\nHost: h\r\n{lines}{fields}\r\n{{}}");
        let reply = world.raw(head.as_bytes()).await.expect("an answer");
        assert_eq!((reply.code(), world.refusals(label)), (code("51000", 400), before + 1), "{fields:?}");
    }
    for (line, label) in [
        ("GET /api/v5/public/time#x HTTP/1.1", "fragment"),
        ("GET /api/v5/public/time?<script> HTTP/1.1", "query_character"),
        ("GET  /api/v5/public/time HTTP/1.1", "request_line"),
        ("GET /api/v5/public/time HTTP/3.0", "request_line"),
        ("\u{16}\u{3}\u{1}", "request_line"),
    ] {
        let before = world.refusals(label);
        let reply = world.raw(format!("{line}\r\nHost: h\r\n\r\n").as_bytes()).await.expect("an answer");
        assert_eq!((reply.code(), world.refusals(label)), (code("51000", 400), before + 1), "{line:?}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(world.raw(long.as_bytes()).await.expect("an answer").code(), code("51000", 400));
    assert_eq!(world.refusals("head_too_large"), 1);
    assert_eq!(world.exchange.count(), 0);
}

#[tokio::test]
async fn a_refused_head_waits_its_turn_and_closes_the_connection() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let good = request("POST", ORDER, &world.signed(&key, "POST", ORDER, "{}"), "{}");
    let smuggled = request("GET", BALANCE, &world.signed(&key, "GET", BALANCE, ""), "");
    let bad =
        format!("GET {BALANCE} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}");
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(format!("{good}{bad}").as_bytes()).await.unwrap();
    let mut buffer = Vec::new();
    let (first, ..) = read_message(&mut stream, &mut buffer).await.expect("the first answer");
    assert_eq!(first, "HTTP/1.1 200 OK");
    let (second, _, body) = read_message(&mut stream, &mut buffer).await.expect("the second answer");
    assert_eq!(second, "HTTP/1.1 400 Bad Request");
    assert!(String::from_utf8(body).unwrap().contains("Transfer-Encoding"));
    assert!(read_message(&mut stream, &mut buffer).await.is_none(), "nothing after it is answered");
    assert_eq!(world.exchange.count(), 1);
}
