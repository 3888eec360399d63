//! Connections in paused time: a client of frames, a gateway of limits and keys, and an exchange that says what it is
//! told to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use auth::{
    ApiKey, Authenticator, Environment, IpAllowList, KeyChange, Login, NewApiKey, Permission, Permissions,
    Refusal, Registry, ReplayWindow, Verification, Verified, okx,
};
use crypto::SecretBytes;
use domain::{AccountId, ApiKeyId, UnixNanos};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use parking_lot::Mutex;
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server,
        protocol::{CloseFrame, Role},
    },
};

use super::{
    answer::Closing,
    lobby::Lobby,
    ports::{Denied, Door, Introduction},
    relay::{Guest, Orders, serve},
    *,
};
use crate::pipeline::authority::Worth;
use crate::{ports::BoxFuture, upgrade::Duplex};

const SECRET: &[u8] = b"22582BD0CFF14C41EDBF1AB98506286D";
const PASSPHRASE: &str = "Correct-Horse-1";
/// 2026-11-22T10:00:00Z.
const START: UnixNanos = UnixNanos::from_secs(1_795_341_600);
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// The exchange's end of one connection, with the headers it was opened with.
struct ExchangeSide {
    socket: WebSocketStream<DuplexStream>,
    headers: http::HeaderMap,
    path: String,
}

impl ExchangeSide {
    async fn hear(&mut self) -> String {
        match self.socket.next().await.unwrap().unwrap() {
            Message::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }
}

/// The rest of the gateway, as far as web sockets see it.
struct House {
    started: Instant,
    authenticator: Authenticator,
    registry: Arc<Registry>,
    refused: Mutex<Vec<&'static str>>,
    charged: Mutex<Vec<(&'static str, usize)>>,
    /// What the next charge is refused with.
    deny: Mutex<Option<Refusal>>,
    exchange: Mutex<Option<mpsc::UnboundedSender<ExchangeSide>>>,
    connects: AtomicUsize,
}

impl House {
    fn permit(&self, id: &str, permissions: &[Permission]) {
        let new = NewApiKey {
            id: ApiKeyId::parse(id).unwrap(),
            account: AccountId::parse("alice").unwrap(),
            label: String::new(),
            permissions: Permissions::new(permissions).unwrap(),
            ip_allow: IpAllowList::parse(&["192.0.2.0/24"]).unwrap(),
            environment: Environment::Live,
            secret: SecretBytes::new(SECRET.to_vec()),
        };
        let key = ApiKey::create(new, PASSPHRASE.as_bytes(), [1; 16], START).unwrap();
        self.registry.apply(KeyChange::Created(Box::new(key))).unwrap();
    }

    fn seconds(&self) -> u64 {
        self.now().as_secs()
    }
}

impl Door for House {
    fn now(&self) -> UnixNanos {
        START.plus(self.started.elapsed())
    }

    fn log_in<'a>(&'a self, login: Login<'a>, ip: IpAddr) -> BoxFuture<'a, Result<Verified, Denied>> {
        Box::pin(async move {
            match self.authenticator.verify_login(&login, ip, self.now())? {
                Verification::Verified(verified) => Ok(verified),
                Verification::CheckPassphrase(check) => {
                    check.run()?;
                    match self.authenticator.verify_login(&login, ip, self.now())? {
                        Verification::Verified(verified) => Ok(verified),
                        Verification::CheckPassphrase(_) => panic!("checked twice"),
                    }
                }
            }
        })
    }

    fn charge(
        &self,
        _: &Verified,
        endpoint: &'static str,
        orders: &[&RawValue],
        _: UnixNanos,
    ) -> Result<Worth, Denied> {
        self.charged.lock().push((endpoint, orders.len()));
        self.deny.lock().take().map_or(Ok(Worth::NOTHING), |refusal| Err(refusal.into()))
    }

    fn spend<'a>(&'a self, _: &'a Verified, _: Worth, _: UnixNanos) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(std::future::ready(Err(Refusal::SystemError.into())))
    }

    fn connect(&self) -> BoxFuture<'_, io::Result<Box<dyn Duplex>>> {
        Box::pin(async {
            self.connects.fetch_add(1, Ordering::Relaxed);
            let Some(exchange) = self.exchange.lock().clone() else {
                return Err(io::ErrorKind::ConnectionRefused.into());
            };
            let (here, there) = duplex(8 * 1024);
            tokio::spawn(async move {
                let mut seen = None;
                #[allow(clippy::result_large_err, reason = "the type is the library's")]
                let callback = |request: &server::Request, response: server::Response| {
                    seen = Some((request.headers().clone(), request.uri().path().to_owned()));
                    Ok(response)
                };
                let socket = accept_hdr_async(there, callback).await.unwrap();
                let (headers, path) = seen.unwrap();
                let _taken = exchange.send(ExchangeSide { socket, headers, path }).is_ok();
            });
            Ok(Box::new(here) as Box<dyn Duplex>)
        })
    }

    fn introduce(&self, introduction: Introduction<'_>) -> Result<http::Request<()>, Refusal> {
        let identity = introduction.identity.map(|verified| verified.account().as_str().to_owned());
        let request = handshake::request("exchange", introduction.scope)
            .header("x-forwarded-for", introduction.forwarded_for)
            .header("x-caponier-account", identity.unwrap_or_default());
        request.body(()).map_err(|_| Refusal::SystemError)
    }

    fn active(&self) {}

    fn refused(&self, _: IpAddr, _: Option<&AccountId>, label: &'static str, _: UnixNanos) {
        self.refused.lock().push(label);
    }
}

/// One connection and everything around it.
struct World {
    house: Arc<House>,
    client: WebSocketStream<DuplexStream>,
    exchange: mpsc::UnboundedReceiver<ExchangeSide>,
    draining: watch::Sender<bool>,
    kill: Option<tokio::sync::oneshot::Sender<()>>,
    serving: JoinHandle<Option<Closing>>,
}

fn config() -> Config {
    Config::default()
}

async fn world(scope: Scope) -> World {
    configured(scope, config()).await
}

async fn configured(scope: Scope, config: Config) -> World {
    let (here, there) = duplex(8 * 1024);
    let mut world = raw(scope, config, there);
    world.client = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
    world
}

/// A connection whose client the test plays byte by byte. The client of the world is then nobody.
fn raw(scope: Scope, config: Config, stream: DuplexStream) -> World {
    let registry = Arc::new(Registry::new(100, 7));
    let (sides, exchange) = mpsc::unbounded_channel();
    let house = Arc::new(House {
        started: Instant::now(),
        authenticator: Authenticator::new(Arc::clone(&registry), ReplayWindow::new(100, 7), [9; 32]),
        registry,
        refused: Mutex::default(),
        charged: Mutex::default(),
        deny: Mutex::default(),
        exchange: Mutex::new(Some(sides)),
        connects: AtomicUsize::new(0),
    });
    let (draining, drained) = watch::channel(false);
    let (kill, killed) = tokio::sync::oneshot::channel();
    let guest = Guest {
        ip: CLIENT,
        forwarded_for: HeaderValue::from_static("192.0.2.7"),
        environment: Environment::Live,
        scope,
        connection_id: "a4d3ae55".to_owned(),
        leftover: Vec::new(),
    };
    let door = Arc::clone(&house);
    let serving = tokio::spawn(async move {
        let lobby: Lobby<u8> = Lobby::new(config, 100, 1);
        let orders = Orders { draining: drained, kill: async { drop(killed.await) } };
        serve(&*door, &lobby, guest, stream, orders).await
    });
    let (nobody, _) = duplex(1);
    let client =
        futures_util::FutureExt::now_or_never(WebSocketStream::from_raw_socket(nobody, Role::Client, None));
    World { house, client: client.unwrap(), exchange, draining, kill: Some(kill), serving }
}

impl World {
    async fn say(&mut self, message: &Value) {
        self.client.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        match self.client.next().await.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap_or(Value::String(text.to_string())),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, message: &Value) -> Value {
        self.say(message).await;
        self.hear().await
    }

    /// The end: the code the client is given and what the connection says it ended for.
    async fn closed(mut self) -> (u16, Option<Closing>) {
        let code = loop {
            match self.client.next().await {
                Some(Ok(Message::Close(Some(frame)))) => break frame.code.into(),
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        };
        while self.client.next().await.is_some() {}
        drop(self.client);
        (code, self.serving.await.unwrap())
    }

    fn login(&self) -> Value {
        let timestamp = self.house.seconds().to_string();
        let sign = okx::sign_login(SECRET, &timestamp);
        json!({ "op": "login", "args": [{ "apiKey": "key-1", "passphrase": PASSPHRASE, "timestamp": timestamp, "sign": sign }] })
    }

    async fn log_in(&mut self) {
        self.house.permit("key-1", &[Permission::Read, Permission::Trade]);
        let login = self.login();
        let answer = self.ask(&login).await;
        assert_eq!(answer, json!({ "event": "login", "code": "0", "msg": "", "connId": "a4d3ae55" }));
    }
}

fn order() -> Value {
    json!({ "id": "7", "op": "order", "args": [{ "instId": "BTC-USDT", "side": "buy", "sz": "1" }] })
}

fn subscribe(channel: &str) -> Value {
    json!({ "id": "s", "op": "subscribe", "args": [{ "channel": channel, "instId": "BTC-USDT" }] })
}

#[tokio::test(start_paused = true)]
async fn an_owner_logs_in_and_trades_as_himself() {
    let mut world = world(Scope::Private).await;
    assert_eq!(world.ask(&order()).await["code"], "60011");
    assert_eq!(world.ask(&subscribe("orders")).await["code"], "60011");
    world.client.send(Message::text("pong")).await.unwrap();
    world.client.send(Message::text("ping")).await.unwrap();
    assert_eq!(world.hear().await, "pong");
    assert_eq!(world.house.connects.load(Ordering::Relaxed), 0, "the exchange hears nothing of strangers");
    world.log_in().await;
    assert_eq!(world.ask(&world.login()).await["code"], "60031");

    let text = r#"{"id":"7", "op":"order","expTime":"1","args":[{"instId":"BTC-USDT","sz":"0.10"}]}"#;
    world.client.send(Message::text(text)).await.unwrap();
    let mut exchange = world.exchange.recv().await.unwrap();
    assert_eq!(exchange.hear().await, text, "what was sent is what arrives");
    assert_eq!(exchange.path, "/ws/v5/private");
    assert_eq!(exchange.headers["x-caponier-account"], "alice");
    assert_eq!(exchange.headers["x-forwarded-for"], "192.0.2.7");
    for offered in ["sec-websocket-extensions", "sec-websocket-protocol", "origin"] {
        assert!(!exchange.headers.contains_key(offered), "{offered}");
    }
    exchange.say(r#"{"id":"7","op":"order","code":"0"}"#).await;
    assert_eq!(world.hear().await["code"], "0");
    assert_eq!(*world.house.charged.lock(), [("/api/v5/trade/order", 1)]);
    world.say(&json!({ "op": "batch-cancel-orders", "args": [{}, {}, {}] })).await;
    exchange.hear().await;
    assert_eq!(world.house.charged.lock()[1], ("/api/v5/trade/cancel-batch-orders", 3));
    assert_eq!(world.house.connects.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_is_refused_for_what_is_wrong_with_it() {
    let mut world = world(Scope::Private).await;
    world.house.permit("key-1", &[Permission::Trade]);
    let with = |name: &str, value: Value, world: &World| {
        let mut login = world.login();
        login["args"][0][name] = value;
        login
    };
    for (name, value, code) in [
        ("apiKey", json!("nobody"), "60005"),
        ("sign", json!("+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M="), "60007"),
        ("timestamp", json!("soon"), "60004"),
        ("passphrase", json!(""), "60027"),
    ] {
        assert_eq!(world.ask(&with(name, value, &world)).await["code"], code, "{name}");
    }
    let (code, closing) = {
        world.say(&with("passphrase", json!("Wrong-Horse-1"), &world)).await;
        let house = Arc::clone(&world.house);
        let ended = world.closed().await;
        assert_eq!(*house.refused.lock().last().unwrap(), "ws_login_failed");
        assert!(house.refused.lock().contains(&"passphrase_incorrect"));
        ended
    };
    assert_eq!((code, closing), (4001, Some(Closing::LOGIN_FAILED)));
}

#[tokio::test(start_paused = true)]
async fn logins_within_one_second_all_succeed_and_old_ones_do_not() {
    let mut one = world(Scope::Private).await;
    let login = one.login();
    one.log_in().await;
    // The same signature on another connection: clients do that.
    let mut two = world(Scope::Private).await;
    two.house.permit("key-1", &[Permission::Read]);
    assert_eq!(two.ask(&login).await["code"], "0");
    let mut late = configured(
        Scope::Private,
        Config { establish: Duration::from_secs(90), idle: Duration::from_secs(90), ..config() },
    )
    .await;
    late.house.permit("key-1", &[Permission::Read]);
    let login = late.login();
    tokio::time::advance(Duration::from_millis(30_001)).await;
    assert_eq!(late.ask(&login).await["code"], "60006");
}

#[tokio::test(start_paused = true)]
async fn refused_orders_are_answered_in_their_own_form() {
    let mut world = world(Scope::Private).await;
    world.log_in().await;
    for (refusal, code) in [(Refusal::RateLimited, "50011"), (Refusal::OrderRateLimited, "50061")] {
        *world.house.deny.lock() = Some(refusal.clone());
        let answer = world.ask(&order()).await;
        assert_eq!(
            (&answer["id"], &answer["op"], &answer["data"]),
            (&json!("7"), &json!("order"), &json!([]))
        );
        assert_eq!((&answer["code"], &answer["msg"]), (&json!(code), &json!(refusal.message())));
        assert!(world.house.refused.lock().contains(&refusal.label()));
    }
    assert_eq!(world.house.connects.load(Ordering::Relaxed), 0);
    // An exchange that is away is said so, and tried again.
    *world.house.exchange.lock() = None;
    for _ in 0..2 {
        assert_eq!(world.ask(&order()).await["code"], "64007");
    }
    assert_eq!(world.ask(&subscribe("orders")).await["code"], "64007");
    assert_eq!(world.house.connects.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn permissions_hold_for_each_operation() {
    let mut reader = world(Scope::Private).await;
    reader.house.permit("key-1", &[Permission::Read]);
    assert_eq!(reader.ask(&reader.login()).await["code"], "0");
    assert_eq!(reader.ask(&order()).await["code"], "50120");
    assert!(reader.house.charged.lock().is_empty());
    let mut trader = world(Scope::Private).await;
    trader.house.permit("key-1", &[Permission::Trade]);
    assert_eq!(trader.ask(&trader.login()).await["code"], "0");
    assert_eq!(trader.ask(&subscribe("orders")).await["code"], "50120");
    // Market data is anybody's, and is asked for as anybody where the key may not read.
    let mut business = world(Scope::Business).await;
    business.house.permit("key-1", &[Permission::Trade]);
    assert_eq!(business.ask(&business.login()).await["code"], "0");
    business.say(&subscribe("trades-all")).await;
    let exchange = business.exchange.recv().await.unwrap();
    assert_eq!(exchange.headers["x-caponier-account"], "");
    assert_eq!(business.ask(&order()).await["code"], "60028");
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_before_logging_in_keeps_both() {
    let mut world = world(Scope::Business).await;
    world.say(&subscribe("trades-all")).await;
    let mut anonymous = world.exchange.recv().await.unwrap();
    anonymous.hear().await;
    world.log_in().await;
    world.say(&subscribe("deposit-info")).await;
    let mut identified = world.exchange.recv().await.unwrap();
    identified.hear().await;
    assert_eq!(
        (&anonymous.headers["x-caponier-account"], &identified.headers["x-caponier-account"]),
        (&HeaderValue::from_static(""), &HeaderValue::from_static("alice"))
    );
    anonymous.say(r#"{"from":"anonymous"}"#).await;
    assert_eq!(world.hear().await["from"], "anonymous");
    identified.say(r#"{"from":"identified"}"#).await;
    assert_eq!(world.hear().await["from"], "identified");

    // One message about both: each argument goes where its subscription went, however it is spelled.
    let both = json!({ "id": "u", "op": "unsubscribe", "args": [
        { "instId": "BTC-USDT", "channel": "deposit-info" },
        { "channel": "trades-all", "instId": "BTC-USDT" },
    ] });
    world.say(&both).await;
    let (one, two) = (anonymous.hear().await, identified.hear().await);
    assert!(one.contains("trades-all") && !one.contains("deposit-info"), "{one}");
    assert!(two.contains("deposit-info") && !two.contains("trades-all"), "{two}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_no_longer_good_ends_the_connection_within_a_second() {
    for freeze in [true, false] {
        let mut world = world(Scope::Private).await;
        world.log_in().await;
        world.say(&order()).await;
        let _exchange = world.exchange.recv().await.unwrap();
        tokio::time::sleep(Duration::from_secs(7)).await;
        let (id, at) = (ApiKeyId::parse("key-1").unwrap(), world.house.now());
        let change = if freeze { KeyChange::Frozen { id, at } } else { KeyChange::Revoked { id, at } };
        world.house.registry.apply(change).unwrap();
        let changed = Instant::now();
        let (code, _) = world.closed().await;
        assert_eq!(code, 4007);
        assert!(changed.elapsed() < Duration::from_secs(1), "{:?}", changed.elapsed());
    }
    // An order sent in that moment does not pass either.
    let mut world = world(Scope::Private).await;
    world.log_in().await;
    let (id, at) = (ApiKeyId::parse("key-1").unwrap(), world.house.now());
    world.house.registry.apply(KeyChange::Frozen { id, at }).unwrap();
    world.say(&order()).await;
    let house = Arc::clone(&world.house);
    assert_eq!(world.closed().await.0, 4007);
    assert!(house.charged.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn silence_and_absence_end_connections() {
    // Nothing at all.
    let quiet = world(Scope::Public).await;
    let start = Instant::now();
    assert_eq!(quiet.closed().await.0, 4004);
    assert_eq!(start.elapsed().as_secs(), 30);

    // Pings without a purpose.
    for (scope, code) in [(Scope::Public, 4004), (Scope::Private, 4001)] {
        let mut aimless = world(scope).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        aimless.client.send(Message::text("ping")).await.unwrap();
        let start = Instant::now();
        assert_eq!(aimless.closed().await.0, code);
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    // With a purpose, pings or data keep it alive, and the exchange is asked whether it is there.
    let mut world = world(Scope::Public).await;
    world.say(&subscribe("tickers")).await;
    let mut exchange = world.exchange.recv().await.unwrap();
    exchange.hear().await;
    for _ in 0..5 {
        assert_eq!(exchange.hear().await, "ping");
        exchange.say("pong").await;
        world.client.send(Message::text("ping")).await.unwrap();
        assert_eq!(world.hear().await, "pong");
    }
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(19)).await;
        exchange.say("{}").await;
        assert_eq!(world.hear().await, json!({}));
    }
    // An exchange that is not there any more is not waited for.
    let start = Instant::now();
    tokio::time::sleep(Duration::from_secs(15)).await;
    world.client.send(Message::text("ping")).await.unwrap();
    assert_eq!(world.closed().await.0, 4006);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn control_operations_are_counted_by_the_hour() {
    let mut world = world(Scope::Public).await;
    let mut exchange = None;
    for n in 0..480 {
        let op = if n % 2 == 0 { "unsubscribe" } else { "subscribe" };
        world.say(&json!({ "op": op, "args": [{ "channel": "tickers", "instId": "BTC-USDT" }] })).await;
        if exchange.is_none() {
            exchange = world.exchange.recv().await;
        }
        exchange.as_mut().unwrap().hear().await;
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    let mut exchange = exchange.unwrap();
    assert_eq!(world.ask(&subscribe("trades")).await["code"], "60014");
    assert_eq!(world.ask(&world.login()).await["code"], "60023");
    // Keep it busy until the first is an hour ago: unsubscribing once more does not make it so.
    let mut unsubscribe = subscribe("tickers");
    unsubscribe["op"] = "unsubscribe".into();
    assert_eq!(world.ask(&unsubscribe).await["code"], "60014");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(3_600_000 - 4_810) {
        tokio::time::sleep(Duration::from_secs(15)).await;
        exchange.say("{}").await;
        world.hear().await;
    }
    world.say(&subscribe("trades")).await;
    loop {
        let heard = exchange.hear().await;
        if heard != "ping" {
            assert!(heard.contains("trades"), "{heard}");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn subscriptions_have_a_total_length() {
    let mut world = world(Scope::Public).await;
    let long = |n: u32| json!({ "op": "subscribe", "args": [{ "channel": "x".repeat(15_000), "n": n }] });
    world.say(&long(0)).await;
    let mut exchange = world.exchange.recv().await.unwrap();
    exchange.hear().await;
    for n in [1, 2, 3, 0, 1] {
        world.say(&long(n)).await;
        exchange.hear().await;
    }
    assert_eq!(world.ask(&long(4)).await["code"], "60012");
    let mut unsubscribe = long(2);
    unsubscribe["op"] = "unsubscribe".into();
    world.say(&unsubscribe).await;
    exchange.hear().await;
    world.say(&long(4)).await;
    assert!(exchange.hear().await.contains("\"n\":4"));
}

#[tokio::test(start_paused = true)]
async fn hostile_clients_are_let_go() {
    // Malformed messages, beyond what a mistake explains.
    let mut world_ = world(Scope::Public).await;
    for _ in 0..20 {
        assert_eq!(world_.ask(&json!({ "op": "withdraw" })).await["code"], "60019");
    }
    world_.say(&json!(7)).await;
    assert_eq!(world_.closed().await.0, 4002);
    // Pings, as text and as frames.
    for text in [true, false] {
        let mut world_ = world(Scope::Public).await;
        let mut sent = 0;
        loop {
            let ping = if text { Message::text("ping") } else { Message::Ping(vec![1; 125].into()) };
            if sent == 101 || world_.client.send(ping).await.is_err() {
                break;
            }
            sent += 1;
            if text && sent <= 100 {
                assert_eq!(world_.hear().await, "pong");
            }
        }
        assert_eq!(world_.closed().await.0, 4002, "text: {text}");
    }
    // Binary messages.
    let mut world_ = world(Scope::Public).await;
    world_.client.send(Message::binary(vec![0; 10])).await.unwrap();
    assert_eq!(world_.closed().await.0, 4002);
}

#[tokio::test(start_paused = true)]
async fn messages_are_read_no_faster_than_they_may_come() {
    let mut world = configured(
        Scope::Private,
        Config { messages: Quota::new(10, Duration::from_secs(1)).unwrap(), ..config() },
    )
    .await;
    world.log_in().await;
    let start = Instant::now();
    world.say(&order()).await;
    let mut exchange = world.exchange.recv().await.unwrap();
    exchange.hear().await;
    for _ in 0..50 {
        world.say(&order()).await;
        exchange.hear().await;
    }
    let took = start.elapsed().as_secs_f64();
    assert!((3.9..5.0).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_let_go_and_costs_little_until_then() {
    let (here, there) = duplex(4 * 1024);
    let mut world = raw(Scope::Public, config(), there);
    let mut client = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
    client.send(Message::text(subscribe("books").to_string())).await.unwrap();
    let mut exchange = world.exchange.recv().await.unwrap();
    exchange.hear().await;
    let start = Instant::now();
    let flood = tokio::spawn(async move {
        let mut sent = 0_usize;
        let text = "x".repeat(10_000);
        while exchange.socket.send(Message::text(text.as_str())).await.is_ok() {
            sent += text.len();
        }
        sent
    });
    assert_eq!(world.serving.await.unwrap(), Some(Closing::BUFFER_FULL));
    let took = start.elapsed().as_secs();
    assert!((10..=12).contains(&took), "{took}: ten seconds of nothing, one to notice, one for the goodbye");
    let sent = flood.await.unwrap();
    assert!(sent <= CLIENT_BUFFER_BYTES_MAX + 60_000, "{sent} bytes were taken for a client that reads none");
    assert_eq!(*world.house.refused.lock(), ["ws_slow_reader"]);
    // One that reads all of it, a little slowly, stays.
    let mut slow = self::world(Scope::Public).await;
    slow.say(&subscribe("books")).await;
    let mut exchange = slow.exchange.recv().await.unwrap();
    exchange.hear().await;
    tokio::spawn(async move {
        for _ in 0..40 {
            exchange.say(&json!("x".repeat(10_000)).to_string()).await;
        }
        loop {
            assert_eq!(exchange.hear().await, "ping");
            exchange.say("pong").await;
        }
    });
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        slow.client.send(Message::text("ping")).await.unwrap();
        while slow.hear().await == "pong" {}
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_does_not_take_orders_slows_its_clients_and_then_ends_them() {
    let mut world = world(Scope::Private).await;
    world.log_in().await;
    let long = json!({ "op": "order", "args": [{ "x": "y".repeat(60_000) }] });
    world.say(&long).await;
    let exchange = world.exchange.recv().await.unwrap();
    let start = Instant::now();
    let house = Arc::clone(&world.house);
    let World { mut client, serving, .. } = world;
    tokio::spawn(async move { while client.send(Message::text(long.to_string())).await.is_ok() {} });
    assert_eq!(serving.await.unwrap(), Some(Closing::ABNORMAL));
    assert!(start.elapsed() < Duration::from_secs(12));
    assert!(house.charged.lock().len() <= 2, "more was read than could be sent on");
    drop(exchange);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_announced_a_minute_before() {
    let mut world = world(Scope::Public).await;
    world.say(&subscribe("tickers")).await;
    let mut exchange = world.exchange.recv().await.unwrap();
    exchange.hear().await;
    world.draining.send_replace(true);
    let start = Instant::now();
    let notice = world.hear().await;
    assert_eq!((&notice["event"], &notice["code"]), (&json!("notice"), &json!("64008")));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(10)).await;
            if exchange.socket.send(Message::text("{}")).await.is_err() {
                return;
            }
        }
    });
    assert_eq!(world.hear().await, json!({}), "until then it is served");
    let (code, closing) = world.closed().await;
    assert_eq!((code, closing), (1001, Some(Closing::GOING_AWAY)));
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn ends_from_outside_are_passed_on() {
    let mut world_ = world(Scope::Public).await;
    drop(world_.kill.take());
    assert_eq!(world_.closed().await.0, 4006);
    for (sent, heard) in [(4008, 4008), (1012, 4006), (1000, 4006)] {
        let mut world_ = world(Scope::Public).await;
        world_.say(&subscribe("tickers")).await;
        let mut exchange = world_.exchange.recv().await.unwrap();
        let frame = CloseFrame { code: sent.into(), reason: "because".into() };
        exchange.socket.close(Some(frame)).await.unwrap();
        assert_eq!(world_.closed().await.0, heard);
    }
    // The exchange vanishes.
    let mut world_ = world(Scope::Public).await;
    world_.say(&subscribe("tickers")).await;
    drop(world_.exchange.recv().await.unwrap());
    assert_eq!(world_.closed().await.0, 4006);
    // The client leaves, with and without a word.
    for polite in [true, false] {
        let mut world_ = world(Scope::Public).await;
        world_.say(&subscribe("tickers")).await;
        let mut exchange = world_.exchange.recv().await.unwrap();
        exchange.hear().await;
        if polite {
            world_.client.close(None).await.unwrap();
        }
        drop(world_.client);
        // The exchange hears of it.
        match exchange.socket.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1001),
            other => panic!("{other:?}"),
        }
        while exchange.socket.next().await.is_some() {}
        drop(exchange);
        assert_eq!(world_.serving.await.unwrap(), None);
        assert!(world_.house.refused.lock().is_empty());
    }
}

/// A frame as a client sends it, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        medium @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Sends bytes and gives all that comes back until the end.
async fn raw_exchange(bytes: &[u8], chunk: usize) -> (Vec<u8>, Option<Closing>) {
    let (here, there) = duplex(256 * 1024);
    let world = raw(Scope::Public, config(), there);
    let (mut reader, mut writer) = tokio::io::split(here);
    let bytes = bytes.to_vec();
    let writing = tokio::spawn(async move {
        for chunk in bytes.chunks(chunk) {
            if writer.write_all(chunk).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        writer
    });
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    drop(writing.await.unwrap());
    drop(reader);
    (answer, world.serving.await.unwrap())
}

/// Cases of RFC 6455 sections 5 and 7, as the Autobahn suite groups them: frames that must end the connection, and
/// with which code.
#[tokio::test(start_paused = true)]
async fn forbidden_frames_fail_the_connection() {
    let unmasked = [0x81, 0x04, b'p', b'i', b'n', b'g'].to_vec();
    let fragments = |middle: Vec<u8>| [frame(0x01, b"pi"), middle].concat();
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unmasked", unmasked, 1002),
        ("reserved bit 1", frame(0xC1, b"ping"), 1002),
        ("reserved bit 2", frame(0xA1, b"ping"), 1002),
        ("reserved bit 3", frame(0x91, b"ping"), 1002),
        ("reserved data opcode", frame(0x83, b""), 1002),
        ("reserved data opcode", frame(0x87, b""), 1002),
        ("reserved control opcode", frame(0x8B, b""), 1002),
        ("reserved control opcode", frame(0x8F, b""), 1002),
        ("ping of 126 bytes", frame(0x89, &[0; 126]), 1002),
        ("fragmented ping", frame(0x09, b"x"), 1002),
        ("continuation of nothing", frame(0x80, b"x"), 1002),
        ("text inside a text", fragments(frame(0x81, b"ng")), 1002),
        ("text that is not UTF-8", frame(0x81, b"\xce\xba\xff"), 1007),
        ("text that ends inside a character", frame(0x81, b"\xce"), 1007),
        ("surrogate", frame(0x81, b"\xed\xa0\x80"), 1007),
        ("not UTF-8 in a fragment, before the end", fragments(frame(0x00, b"\xf4\x90\x80\x80")), 1007),
        ("message too long", frame(0x81, &[b'x'; 65_537]), 1009),
        (
            "message too long in fragments",
            [frame(0x01, &[b'x'; 40_000]), frame(0x80, &[b'x'; 40_000])].concat(),
            1009,
        ),
        ("close of one byte", frame(0x88, b"\x03"), 1002),
        ("binary", frame(0x82, b"ping"), 4002),
    ];
    for (name, bytes, code) in &cases {
        for chunk in [1, 7, bytes.len()] {
            let (answer, _) = raw_exchange(bytes, chunk).await;
            let close = answer.first() == Some(&0x88);
            let found = answer.get(2..4).map(|code| u16::from_be_bytes([code[0], code[1]]));
            assert!(close && found == Some(*code), "{name} in pieces of {chunk}: {answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn allowed_frames_are_understood_however_they_come() {
    let close = frame(0x88, &1000_u16.to_be_bytes());
    let cases: Vec<(&str, Vec<u8>, &[u8])> = vec![
        ("whole", frame(0x81, b"ping"), b"\x81\x04pong"),
        ("in two", [frame(0x01, b"pi"), frame(0x80, b"ng")].concat(), b"\x81\x04pong"),
        (
            "with empty fragments",
            [frame(0x01, b""), frame(0x00, b"ping"), frame(0x80, b"")].concat(),
            b"\x81\x04pong",
        ),
        (
            "ping between fragments",
            [frame(0x01, b"pi"), frame(0x89, b"hey"), frame(0x80, b"ng")].concat(),
            b"\x8a\x03hey\x81\x04pong",
        ),
        ("unasked pong", [frame(0x8A, b"x"), frame(0x81, b"ping")].concat(), b"\x81\x04pong"),
        ("ping of 125 bytes", frame(0x89, &[7; 125]), &[&[0x8a, 125][..], &[7; 125]].concat().leak()[..]),
    ];
    for (name, bytes, expected) in &cases {
        for chunk in 1..=bytes.len() + close.len() {
            let (answer, closing) = raw_exchange(&[&bytes[..], &close].concat(), chunk).await;
            assert!(answer.starts_with(expected), "{name} in pieces of {chunk}: {answer:?}");
            // A goodbye is answered with its own code.
            assert_eq!(&answer[expected.len()..], b"\x88\x02\x03\xe8", "{name} in pieces of {chunk}");
            assert_eq!(closing, None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_ends_is_not_read_for_ever() {
    // Empty fragments: no bound on what the message holds would stop them.
    let mut bytes = frame(0x01, b"p");
    for _ in 0..100_000 {
        bytes.extend(frame(0x00, b""));
    }
    let (answer, closing) = raw_exchange(&bytes, 4_096).await;
    assert_eq!(closing, Some(Closing::FRAGMENTS));
    assert_eq!(answer.get(2..4), Some(&1009_u16.to_be_bytes()[..]));
    // The longest message there may be, in the smallest fragments that are worth something, is read.
    let mut bytes = Vec::new();
    let text = " ".repeat(Config::default().message_bytes_max);
    for (n, part) in text.as_bytes().chunks(64).enumerate() {
        let last = (n + 1) * 64 >= text.len();
        bytes.extend(frame(if last { 0x80 } else { 0 } | u8::from(n == 0), part));
    }
    bytes.extend(frame(0x88, &1000_u16.to_be_bytes()));
    let (answer, closing) = raw_exchange(&bytes, 1_000).await;
    assert_eq!(closing, None);
    assert!(String::from_utf8_lossy(&answer).contains("60012"), "it was read, and is no request");
}
