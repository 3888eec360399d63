//! Web sockets of the running exchange, seen by a client that knows nothing but the protocol.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{sync::Arc, time::Duration};

use domain::{AccountId, Amount, Asset, ManualClock, Network, UnixNanos};
use exchange::{
    Config, Exchange, Token,
    ledger::{NewOrder, OrderKind, QuantityOf, Side},
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

/// Longest wait for anything; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

type Headers = &'static [(&'static str, &'static str)];

const NOBODY: Headers = &[];
const ALICE: Headers = &[("x-caponier-account", "alice"), ("x-caponier-upstream-token", "upstream")];

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn open(exchange: &Exchange, path: &str, headers: Headers) -> Result<Self, Error> {
        let mut request = format!("ws://{}{path}", exchange.local_addr()).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(exchange.local_addr()).await.unwrap();
        let (socket, _) = client_async(request, stream).await?;
        Ok(Self(socket))
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("nothing came");
        match message.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap_or(Value::String(text.to_string())),
            other => panic!("{other:?}"),
        }
    }

    /// The next message of a channel.
    async fn hear_on(&mut self, channel: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["arg"]["channel"] == channel {
                return message;
            }
        }
    }

    async fn ask(&mut self, message: &Value) -> Value {
        self.say(message).await;
        self.hear().await
    }

    /// Demands that the next message is the end, with this code.
    async fn closed(&mut self) -> u16 {
        let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("nothing came");
        match message.unwrap().unwrap() {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("{other:?}"),
        }
    }
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

async fn start() -> Exchange {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        upstream_token: Token::new("upstream".into()),
        seed: 5,
        events: None,
        clock: Arc::new(ManualClock::new(UnixNanos::from_secs(1_800_000_000))),
    };
    let exchange = Exchange::start(config).await.unwrap();
    let desk = exchange.desk();
    for name in ["alice", "bob"] {
        desk.open_account(&account(name)).unwrap();
        for (asset, network, funds) in [("USDT", Network::Tron, "100000"), ("BTC", Network::Bitcoin, "10")] {
            desk.deposit(&account(name), &Asset::parse(asset).unwrap(), amount(funds), network, None)
                .unwrap();
        }
    }
    exchange
}

fn bob_sells(exchange: &Exchange, price: &str, quantity: &str) {
    let terms = NewOrder {
        account: account("bob"),
        instrument: "BTC-USDT".into(),
        side: Side::Sell,
        kind: OrderKind::Limit,
        price: Some(amount(price)),
        quantity: amount(quantity),
        quantity_of: QuantityOf::Base,
        client_id: None,
        tag: None,
    };
    exchange.desk().place_order(terms).unwrap();
}

fn subscribe(arg: &Value) -> Value {
    json!({ "id": "7", "op": "subscribe", "args": [arg] })
}

fn buy(price: &str, quantity: &str) -> Value {
    json!({ "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": price, "sz": quantity })
}

#[tokio::test]
async fn only_the_gateway_opens_private_sockets() {
    let exchange = start().await;
    let wrong: [Headers; 4] = [
        NOBODY,
        &[("x-caponier-account", "alice")],
        &[("x-caponier-account", "alice"), ("x-caponier-upstream-token", "guess")],
        &[("x-caponier-account", "nobody"), ("x-caponier-upstream-token", "upstream")],
    ];
    for headers in wrong {
        match Client::open(&exchange, "/ws/v5/private", headers).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 401, "{headers:?}"),
            other => panic!("{headers:?}: {:?}", other.err()),
        }
    }
    // A false identity is refused even where none is needed.
    assert!(Client::open(&exchange, "/ws/v5/public", wrong[1]).await.is_err());
    let mut private = Client::open(&exchange, "/ws/v5/private", ALICE).await.unwrap();
    let login = private.ask(&json!({ "op": "login", "args": [{}] })).await;
    assert_eq!((&login["event"], &login["code"]), (&json!("login"), &json!("0")));
    const NAMED: [(&str, &str); 2] =
        [("x-caponier-connection", "0badcafe"), ("x-caponier-upstream-token", "upstream")];
    for (headers, named) in [(&NAMED[..], true), (&NAMED[..1], false)] {
        let mut client = Client::open(&exchange, "/ws/v5/public", headers).await.unwrap();
        let said = client.ask(&json!({ "op": "login", "args": [{}] })).await;
        assert_eq!(said["connId"] == "0badcafe", named, "{said}");
    }
    let mut public = Client::open(&exchange, "/ws/v5/public", NOBODY).await.unwrap();
    assert_eq!(public.ask(&json!({ "op": "login", "args": [{}] })).await["code"], "60009");
    assert_eq!(public.ask(&json!({ "op": "order", "args": [buy("1", "1")] })).await["code"], "60028");
    assert_eq!(exchange.stop().await, 0);
}

#[tokio::test]
async fn an_order_is_placed_amended_filled_and_seen_on_every_channel() {
    let exchange = start().await;
    bob_sells(&exchange, "50000", "0.5");
    let mut alice = Client::open(&exchange, "/ws/v5/private", ALICE).await.unwrap();

    let ack = alice.ask(&subscribe(&json!({ "channel": "orders", "instType": "SPOT" }))).await;
    assert_eq!((&ack["id"], &ack["event"]), (&json!("7"), &json!("subscribe")));
    assert_eq!(ack["arg"], json!({ "channel": "orders", "instType": "SPOT" }));
    let count = alice.hear().await;
    assert_eq!((&count["event"], &count["connCount"]), (&json!("channel-conn-count"), &json!("1")));
    assert_eq!(count["connId"], ack["connId"]);

    let placed = alice.ask(&json!({ "id": "1", "op": "order", "args": [buy("40000", "1")] })).await;
    // The change of the order may be pushed before or after the operation is answered.
    let (placed, live) =
        if placed["op"] == "order" { (placed, alice.hear().await) } else { (alice.hear().await, placed) };
    assert_eq!(
        (&placed["id"], &placed["code"], &placed["data"][0]["sCode"]),
        (&json!("1"), &json!("0"), &json!("0"))
    );
    let id = placed["data"][0]["ordId"].clone();
    assert_eq!((&live["data"][0]["ordId"], &live["data"][0]["state"]), (&id, &json!("live")));
    assert_eq!(live["arg"]["uid"], "alice");

    alice.say(&subscribe(&json!({ "channel": "account" }))).await;
    assert_eq!(alice.hear().await["event"], "subscribe");
    assert_eq!(alice.hear().await["event"], "channel-conn-count");
    let snapshot = alice.hear().await;
    assert_eq!(snapshot["eventType"], "snapshot");
    let usdt = |message: &Value| {
        let details = message["data"][0]["details"].as_array().unwrap();
        details.iter().find(|row| row["ccy"] == "USDT").cloned().unwrap()
    };
    assert_eq!(usdt(&snapshot)["frozenBal"], "40000");

    alice.say(&json!({ "id": "2", "op": "amend-order", "args": [{ "instId": "BTC-USDT", "ordId": id, "newPx": "50000" }] })).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.push(alice.hear().await);
    }
    let of = |name: &str| seen.iter().filter(|message| message["arg"]["channel"] == name).collect::<Vec<_>>();
    let states: Vec<_> = of("orders").iter().map(|message| message["data"][0]["state"].clone()).collect();
    assert_eq!(states, ["live", "partially_filled"]);
    let filled = &of("orders")[1]["data"][0];
    assert_eq!(
        (&filled["fillSz"], &filled["accFillSz"], &filled["execType"]),
        (&json!("0.5"), &json!("0.5"), &json!("T"))
    );
    assert_eq!(usdt(of("account")[0])["frozenBal"], "25000");
    assert!(seen.iter().any(|message| message["op"] == "amend-order" && message["code"] == "0"));

    // The number of an instrument is as good as its id.
    let code = json!({ "id": "9", "op": "amend-order", "args": [{ "instIdCode": 10_001, "ordId": id, "newSz": "0.9" }] });
    let instruments = exchange.desk().catalog();
    assert_eq!(instruments.instrument_of_code(10_001).unwrap().id, "BTC-USDT");
    alice.say(&code).await;
    let mut answered = false;
    for _ in 0..3 {
        answered |= alice.hear().await["code"] == "0";
    }
    assert!(answered, "the order was amended");

    alice.say(&json!({ "op": "unsubscribe", "args": [{ "channel": "account" }] })).await;
    assert_eq!(alice.hear().await["event"], "unsubscribe");
    alice.say(&json!({ "id": "3", "op": "batch-cancel-orders", "args": [{ "instId": "BTC-USDT", "ordId": id }, { "instId": "BTC-USDT", "ordId": "5" }] })).await;
    let (one, two) = (alice.hear().await, alice.hear().await);
    let (answer, push) = if one["op"].is_string() { (one, two) } else { (two, one) };
    assert_eq!((&answer["code"], &answer["data"][1]["sCode"]), (&json!("2"), &json!("51400")));
    assert_eq!(push["data"][0]["state"], "canceled");
    assert_eq!(exchange.stop().await, 0);
}

#[tokio::test]
async fn market_data_is_a_snapshot_and_then_the_changes() {
    let exchange = start().await;
    bob_sells(&exchange, "50000", "0.5");
    bob_sells(&exchange, "50010", "0.5");
    let mut client = Client::open(&exchange, "/ws/v5/public", NOBODY).await.unwrap();
    client.say(&subscribe(&json!({ "channel": "books", "instId": "BTC-USDT" }))).await;
    assert_eq!(client.hear().await["event"], "subscribe");
    let snapshot = client.hear().await;
    assert_eq!((&snapshot["action"], &snapshot["data"][0]["prevSeqId"]), (&json!("snapshot"), &json!(-1)));
    assert_eq!(snapshot["data"][0]["asks"], json!([["50000", "0.5", "0", "1"], ["50010", "0.5", "0", "1"]]));

    let mut alice = Client::open(&exchange, "/ws/v5/private", ALICE).await.unwrap();
    let placed = alice.ask(&json!({ "id": "1", "op": "batch-orders", "args": [buy("50000", "0.5")] })).await;
    assert_eq!(placed["code"], "0");
    let update = client.hear().await;
    assert_eq!(update["action"], "update");
    assert_eq!(update["data"][0]["prevSeqId"], snapshot["data"][0]["seqId"]);
    assert_eq!(update["data"][0]["asks"], json!([["50000", "0", "0", "0"]]));
    assert_eq!(update["data"][0]["bids"], json!([]));

    for (channel, price) in [("tickers", "askPx"), ("books5", "asks")] {
        client.say(&subscribe(&json!({ "channel": channel, "instId": "BTC-USDT" }))).await;
        assert_eq!(client.hear().await["event"], "subscribe");
        let first = client.hear().await;
        let first = &first["data"][0][price];
        assert!(*first == json!("50010") || first[0][0] == json!("50010"), "{first}");
    }
    client.say(&subscribe(&json!({ "channel": "trades", "instId": "BTC-USDT" }))).await;
    assert_eq!(client.hear().await["event"], "subscribe");
    let placed = alice.ask(&json!({ "id": "2", "op": "order", "args": [buy("50010", "0.1")] })).await;
    assert_eq!(placed["code"], "0");
    // Books and tickers may be pushed first.
    let trade = client.hear_on("trades").await;
    assert_eq!(trade["data"][0]["px"], "50010");
    assert_eq!(exchange.stop().await, 0);
}

#[tokio::test]
async fn hostile_messages_are_answered_or_end_the_connection() {
    let exchange = start().await;
    let mut client = Client::open(&exchange, "/ws/v5/private", ALICE).await.unwrap();
    client.0.send(Message::text("ping")).await.unwrap();
    assert_eq!(client.hear().await, "pong");
    let args = json!([{ "channel": "orders", "instType": "SPOT" }]);
    for (text, code) in [
        (String::new(), "60012"),
        ("{".to_owned(), "60012"),
        ("[]".to_owned(), "60012"),
        ("null".to_owned(), "60012"),
        (json!({ "op": 7 }).to_string(), "60019"),
        (json!({ "op": ["order"] }).to_string(), "60012"),
        (json!({ "op": "withdraw", "args": args }).to_string(), "60019"),
        (json!({ "op": "subscribe" }).to_string(), "60013"),
        (json!({ "op": "subscribe", "args": [7] }).to_string(), "60013"),
        (json!({ "op": "subscribe", "args": [{ "channel": 0.5 }] }).to_string(), "60013"),
        (json!({ "op": "subscribe", "args": [{ "channel": "orders" }] }).to_string(), "60013"),
        (
            json!({ "op": "subscribe", "args": [{ "channel": "tickers", "instId": "BTC-USDT" }] })
                .to_string(),
            "60018",
        ),
        (json!({ "op": "subscribe", "args": [{ "channel": "account", "ccy": "NIX" }] }).to_string(), "60018"),
        (json!({ "op": "unsubscribe", "args": args }).to_string(), "60018"),
        (json!({ "op": "order", "args": [] }).to_string(), "60013"),
        (json!({ "op": "order", "args": [{}, {}] }).to_string(), "60013"),
        (json!({ "op": "batch-orders", "args": vec![json!({}); 21] }).to_string(), "51111"),
    ] {
        client.0.send(Message::text(text.clone())).await.unwrap();
        assert_eq!(client.hear().await["code"], code, "{text}");
    }
    let poor = client.ask(&json!({ "id": "9", "op": "order", "args": [buy("50000", "500")] })).await;
    assert_eq!((&poor["code"], &poor["data"][0]["sCode"]), (&json!("1"), &json!("51008")));

    client.0.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(client.closed().await, 4002);
    let mut client = Client::open(&exchange, "/ws/v5/public", NOBODY).await.unwrap();
    let sent = client.0.send(Message::text("x".repeat(64 * 1024 + 1))).await;
    assert!(sent.is_ok());
    assert!(!matches!(client.0.next().await, Some(Ok(Message::Text(_)))), "a message too long was read");
    assert_eq!(exchange.stop().await, 0);
}

#[tokio::test]
async fn one_channel_of_one_account_has_room_for_thirty_connections() {
    let exchange = start().await;
    let mut clients = Vec::new();
    for n in 1..=31 {
        let mut client = Client::open(&exchange, "/ws/v5/private", ALICE).await.unwrap();
        client.say(&subscribe(&json!({ "channel": "orders", "instType": "ANY" }))).await;
        assert_eq!(client.hear().await["event"], "subscribe");
        let count = client.hear().await;
        let expected = if n <= 30 { "channel-conn-count" } else { "channel-conn-count-error" };
        assert_eq!((&count["event"], &count["connCount"]), (&json!(expected), &json!(n.min(30).to_string())));
        clients.push(client);
    }
    // The one that was refused hears nothing of orders, the others do.
    let answer = clients[30].ask(&json!({ "id": "1", "op": "order", "args": [buy("1", "1")] })).await;
    assert_eq!(answer["op"], "order");
    assert_eq!(clients[0].hear().await["data"][0]["state"], "live");
    clients[30].0.send(Message::text("ping")).await.unwrap();
    assert_eq!(clients[30].hear().await, "pong");
    assert_eq!(exchange.stop().await, 0);
    assert_eq!(clients[30].closed().await, 1001, "a stopping exchange says goodbye");
}
