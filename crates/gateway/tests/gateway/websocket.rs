//! Web sockets as part of the gateway: who may open them, what they share with REST, how they end.

use auth::{
    KeyChange,
    authority::{FirstSeenMode, NotionalBounds, Origin, Pair, Restrictions, Sighting, WeeklyHours},
    okx,
};
use domain::{Amount, ApiKeyId, Asset, Clock as _};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

use super::world::*;

pub(crate) struct Client(WebSocketStream<TcpStream>);

impl Client {
    pub(crate) async fn open(world: &World, path: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(world.address).await.unwrap();
        let request = format!("ws://{}{path}", world.address).into_client_request()?;
        Ok(Self(client_async(request, stream).await?.0))
    }

    pub(crate) async fn ask(&mut self, message: &Value) -> Value {
        self.0.send(Message::text(message.to_string())).await.unwrap();
        self.hear().await
    }

    async fn hear(&mut self) -> Value {
        match self.0.next().await.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn closed(&mut self) -> u16 {
        match self.0.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn log_in(&mut self, world: &World, key: &Key) -> Value {
        let timestamp = world.clock.now().as_secs();
        let sign = okx::sign_login(&key.secret, &timestamp.to_string());
        // As a number: one of the real clients sends it so.
        let login =
            json!({ "apiKey": key.id, "passphrase": key.passphrase, "timestamp": timestamp, "sign": sign });
        self.ask(&json!({ "op": "login", "args": [login] })).await
    }
}

fn batch(orders: usize) -> Value {
    json!({ "id": "b", "op": "batch-orders", "args": vec![json!({ "instId": "BTC-USDT" }); orders] })
}

fn handshake(changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Origin", "https://elsewhere.example"),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET /ws/v5/public HTTP/1.1\r\nHost: api.example\r\n{fields}\r\n")
}

#[tokio::test]
async fn only_handshakes_open_web_sockets() {
    let world = World::configured(|config| config.websocket.connects = admission_free()).await;
    let reply = world.raw(handshake(&[]).as_bytes()).await.unwrap();
    assert_eq!(
        (reply.status, reply.headers["sec-websocket-accept"].as_str()),
        (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    // Neither compression nor a subprotocol was taken up.
    assert!(!reply.headers.contains_key("sec-websocket-extensions"));
    assert!(!reply.headers.contains_key("sec-websocket-protocol"));

    let old = world.raw(handshake(&[("Sec-WebSocket-Version", "8")]).as_bytes()).await.unwrap();
    assert_eq!((old.code(), old.headers["sec-websocket-version"].as_str()), (code("51000", 400), "13"));
    let key = world.raw(handshake(&[("Sec-WebSocket-Key", "short")]).as_bytes()).await.unwrap();
    assert_eq!(key.code(), code("51000", 400));
    let plain = request("GET", "/ws/v5/public", &[], "");
    assert_eq!(world.raw(plain.as_bytes()).await.unwrap().code(), code("50005", 410));
    for text in [
        handshake(&[]).replacen("GET", "POST", 1),
        handshake(&[]).replacen("/ws/v5/public", "/ws/v5/secret", 1),
        handshake(&[]).replacen("/ws/v5/public", "/WS/v5/public", 1),
        handshake(&[]).replacen("HTTP/1.1", "HTTP/1.0", 1),
        handshake(&[("Upgrade", "h2c")]),
    ] {
        assert_ne!(world.raw(text.as_bytes()).await.unwrap().status, 101, "{text}");
    }
    assert_eq!(world.exchange.count(), 0);
}

fn admission_free() -> admission::Quota {
    admission::Quota::new(1_000, std::time::Duration::from_secs(1)).unwrap()
}

#[tokio::test]
async fn a_source_opens_three_a_second() {
    let world = World::start().await;
    for _ in 0..3 {
        assert_eq!(world.raw(handshake(&[]).as_bytes()).await.unwrap().status, 101);
    }
    let fourth = world.raw(handshake(&[]).as_bytes()).await.unwrap();
    assert_eq!((fourth.code(), fourth.headers["retry-after"].as_str()), (code("50011", 429), "1"));
    assert_eq!(world.refusals("ws_connects_limited"), 1);
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(world.raw(handshake(&[]).as_bytes()).await.unwrap().status, 101);
}

#[tokio::test]
async fn a_login_is_a_use_of_the_key_and_orders_draw_on_the_limits_of_rest() {
    let world = World::start().await;
    let (alice, bob) = (world.key(&TRADER), world.key(&KeySpec { account: "bob", ..TRADER }));
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.ask(&batch(1)).await["code"], "60011");
    let login = client.log_in(&world, &alice).await;
    assert_eq!((&login["event"], &login["code"]), (&json!("login"), &json!("0")));
    assert_eq!(*world.watcher.used.lock(), [alice.id.as_str()]);

    // 300 new orders in batches in 2 seconds, each order counted. This exchange speaks no web sockets.
    for _ in 0..15 {
        assert_eq!(client.ask(&batch(20)).await["code"], "64007");
    }
    let refused = client.ask(&batch(2)).await;
    assert_eq!(
        (&refused["code"], &refused["op"], &refused["id"], &refused["data"]),
        (&json!("50011"), &json!("batch-orders"), &json!("b"), &json!([]))
    );
    // 60 single orders beside them, over web sockets and REST together; a batch of one is one.
    let order = |number: u32| format!(r#"{{"instId":"BTC-USDT","clOrdId":"{number}"}}"#);
    for number in 0..30 {
        assert_eq!(client.ask(&batch(1)).await["code"], "64007");
        let placed = world.post(&alice, "/api/v5/trade/order", &order(number)).await;
        assert_eq!(placed.code(), code("0", 200));
    }
    assert_eq!(client.ask(&batch(1)).await["code"], "50011");
    assert_eq!(world.post(&alice, "/api/v5/trade/order", &order(30)).await.code(), code("50011", 429));
    assert_eq!(world.post(&bob, "/api/v5/trade/order", &order(31)).await.code(), code("0", 200));
    // Cancelling is another budget.
    let cancel = json!({ "op": "cancel-order", "args": [{}] });
    assert_eq!(client.ask(&cancel).await["code"], "64007");
    world.clock.advance(std::time::Duration::from_secs(2));
    assert_eq!(world.post(&alice, "/api/v5/trade/order", &order(32)).await.code(), code("0", 200));
    assert_eq!(client.ask(&batch(20)).await["code"], "64007");
    let told = world.watcher.refused.lock().clone();
    assert!(told.contains(&(Some("alice".to_owned()), "place_rate_limited")), "{told:?}");
    assert!(told.contains(&(None, "ws_not_logged_in")), "{told:?}");

    // What the exchange was asked: an upgrade, in the gateway's own words.
    let upgrade = world.exchange.got.lock().iter().find(|got| got.line.contains("/ws/")).cloned().unwrap();
    assert_eq!(upgrade.line, "GET /ws/v5/private HTTP/1.1");
    assert_eq!(upgrade.header("x-caponier-account"), Some("alice"));
    assert_eq!(upgrade.header("x-caponier-key"), Some(alice.id.as_str()));
    assert_eq!(upgrade.header("x-caponier-upstream-token"), Some("upstream-token"));
    assert_eq!(upgrade.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(upgrade.header("x-caponier-connection"), login["connId"].as_str());
    assert!(upgrade.headers.iter().all(|(name, _)| !name.starts_with("ok-access")));
}

#[tokio::test]
async fn keys_are_good_where_and_while_they_are_good() {
    let world = World::configured(|config| config.websocket.connects = admission_free()).await;
    let elsewhere = world.key(&KeySpec { ips: &["192.0.2.1"], ..TRADER });
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.log_in(&world, &elsewhere).await["code"], "60009");
    let demo = world.key(&KeySpec { environment: auth::Environment::Demo, ..TRADER });
    assert_eq!(client.log_in(&world, &demo).await["code"], "60009");
    let key = world.key(&TRADER);
    assert_eq!(client.log_in(&world, &key).await["code"], "0");
    let id = ApiKeyId::parse(&key.id).unwrap();
    world.registry.apply(KeyChange::Revoked { id, at: NOW }).unwrap();
    let revoked = std::time::Duration::from_secs(1);
    assert_eq!(tokio::time::timeout(revoked, client.closed()).await, Ok(4007));
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.log_in(&world, &key).await["code"], "60032");
}

#[tokio::test]
async fn restricted_keys_do_what_they_may_and_new_restrictions_end_the_connection() {
    let world = World::configured(|config| config.websocket.connects = admission_free()).await;
    let restrict = |key: &Key, restrictions| {
        let id = ApiKeyId::parse(&key.id).unwrap();
        let change = KeyChange::Restricted { id, at: NOW, restrictions: Box::new(restrictions) };
        world.registry.apply(change).unwrap();
    };
    let key = world.key(&TRADER);
    let bounds = NotionalBounds::new(
        Asset::parse("USDT").unwrap(),
        Some(Amount::parse("100").unwrap()),
        Some(Amount::parse("250").unwrap()),
    );
    let restrictions = || {
        Restrictions::default()
            .with_instruments(&["BTC-USDT"])
            .unwrap()
            .with_notional(bounds.clone().unwrap())
    };
    restrict(&key, restrictions());
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.log_in(&world, &key).await["code"], "0");
    let order = |instrument: &str, price: &str| json!({ "instId": instrument, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "1", "px": price });
    let message = |op: &str, args: Value| json!({ "id": "1", "op": op, "args": args });
    let place = |instrument: &str, price: &str| message("order", json!([order(instrument, price)]));
    let sold = json!([{ "instId": "BTC-USDT", "side": "sell", "ordType": "market", "sz": "1" }]);
    // What passes is sent on, to an exchange that speaks no web sockets: 64007.
    for (message, expected) in [
        (place("BTC-USDT", "100"), "64007"),
        (place("ETH-USDT", "1"), "51000"),
        (place("BTC-USDT", "100.1"), "51000"),
        (message("order", sold), "51000"),
        (message("batch-orders", json!([order("BTC-USDT", "1"), order("ETH-USDT", "1")])), "51000"),
        (message("cancel-order", json!([{ "instId": "ETH-USDT", "ordId": "7" }])), "51000"),
        (message("cancel-order", json!([{ "instId": "BTC-USDT", "ordId": "7" }])), "64007"),
        (message("amend-order", json!([{ "instId": "BTC-USDT", "ordId": "7" }])), "51000"),
        (message("batch-orders", json!([order("BTC-USDT", "100"), order("BTC-USDT", "50")])), "64007"),
        // The day's budget, of which REST takes as well.
        (place("BTC-USDT", "1"), "50120"),
    ] {
        let heard = client.ask(&message).await;
        assert_eq!(heard["code"], expected, "{message}: {heard}");
        assert_eq!((&heard["id"], &heard["op"]), (&message["id"], &message["op"]));
    }
    let body = order("BTC-USDT", "1").to_string();
    assert_eq!(world.post(&key, "/api/v5/trade/order", &body).await.code(), code("50120", 200));
    assert!(world.ledger.recorded.lock().iter().any(|change| matches!(change, KeyChange::Spent { .. })));

    // Restrictions that come later end the connection: nothing is acted on any more.
    restrict(&key, restrictions());
    client.0.send(Message::text(batch(1).to_string())).await.unwrap();
    assert_eq!(client.closed().await, 4007);
    // A silent one ends as well, and so does one whose hours are over.
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.log_in(&world, &key).await["code"], "0");
    let start = tokio::time::Instant::now();
    restrict(&key, Restrictions::default());
    assert_eq!(client.closed().await, 4007);
    let took = start.elapsed();
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    // It is ten o'clock.
    restrict(
        &key,
        Restrictions::default().with_hours(WeeklyHours::daily(&[0, 1, 2, 3, 4, 5, 6], 10, 11).unwrap()),
    );
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.log_in(&world, &key).await["code"], "0");
    world.clock.advance(std::time::Duration::from_secs(3_600));
    assert_eq!(client.closed().await, 4007);
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.log_in(&world, &key).await["code"], "60009");
}

/// A login is a use of the key like any other: from a network that is new to it the key is frozen, where that is said.
#[tokio::test]
async fn a_login_from_elsewhere_ends_the_key() {
    let world = World::configured(|config| config.first_seen = FirstSeenMode::Enforce).await;
    let key = world.key(&TRADER);
    let elsewhere = Pair { origin: Origin::V4([203, 0, 113]), ja4: None };
    let sighting = Sighting { pair: elsewhere, at: NOW, suspect: false };
    let id = ApiKeyId::parse(&key.id).unwrap();
    world.registry.apply(KeyChange::Seen { id, sighting }).unwrap();
    world.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    assert_eq!(client.log_in(&world, &key).await["code"], "60009");
    assert_eq!(world.refusals("key_seen_elsewhere"), 1);
    assert!(world.ledger.recorded.lock().iter().any(|change| matches!(change, KeyChange::Frozen { .. })));
    assert_eq!(world.get(&key, "/api/v5/account/balance").await.code(), code("50100", 400));
}

/// A key that is bound to endpoints trades over a web socket what it may trade over REST, and watches only where that is
/// listed.
#[tokio::test]
async fn endpoints_are_those_of_rest_and_of_the_web_socket() {
    let world = World::configured(|config| config.websocket.connects = admission_free()).await;
    let key = world.key(&TRADER);
    let restrict = |endpoints: &[&str]| {
        let (id, restrictions) =
            (ApiKeyId::parse(&key.id).unwrap(), Restrictions::default().with_endpoints(endpoints).unwrap());
        let change = KeyChange::Restricted { id, at: NOW, restrictions: Box::new(restrictions) };
        world.registry.apply(change).unwrap();
    };
    let subscribe =
        json!({ "id": "s", "op": "subscribe", "args": [{ "channel": "orders", "instType": "ANY" }] });
    for (endpoints, watches, trades) in [
        (["POST /api/v5/trade/order"].as_slice(), false, true),
        (&["GET /ws/v5/private"], true, false),
        (&["GET /ws/v5/*", "POST /api/v5/trade/*"], true, true),
    ] {
        restrict(endpoints);
        let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
        assert_eq!(client.log_in(&world, &key).await["code"], "0");
        // What passes is sent on, to an exchange that speaks no web sockets.
        let watched = client.ask(&subscribe).await;
        assert_eq!(watched["code"] == "64007", watches, "{watched}");
        let order = json!({ "id": "o", "op": "order", "args": [{ "instId": "BTC-USDT" }] });
        let traded = client.ask(&order).await;
        assert_eq!(traded["code"] == "64007", trades, "{traded}");
    }
}

#[tokio::test]
async fn the_end_of_the_gateway_is_announced_and_waited_for() {
    let mut world = World::configured(|config| {
        config.websocket.notice = std::time::Duration::from_millis(300);
        config.timeouts.drain = std::time::Duration::from_millis(50);
    })
    .await;
    let key = world.key(&TRADER);
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    client.log_in(&world, &key).await;
    drop(world.stop.take());
    assert_eq!(client.hear().await["code"], "64008");
    // Still served, though the time of ordinary requests is over.
    assert_eq!(client.ask(&batch(1)).await["code"], "64007");
    assert_eq!(client.closed().await, 1001);
    assert!(client.0.next().await.is_none());
    world.stopped.await.unwrap();
}
