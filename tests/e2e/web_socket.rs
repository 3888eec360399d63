//! Web sockets as customers use them, through the real program over TLS to an exchange that speaks them.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use auth::okx;
use domain::Clock as _;
use futures_util::{SinkExt as _, StreamExt as _};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::{
    clients,
    support::{House, PATIENCE, Serving, Settings, folder, trusting},
};

/// The unmodified clients for Python.
#[test]
fn python_clients_watch_and_trade() {
    let Some(python) = clients::python() else { return };
    let dir = folder();
    let serving = clients::demo(dir.path());
    let run = |name: &str| {
        let mut command = Command::new(&python);
        command.arg(clients::script(name));
        command
    };
    clients::story(run("ccxt_ws_client.py"), &serving, &[]);
    clients::story(run("python_okx_ws_client.py"), &serving, &[]);
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(&dir.path().join("data"));
}

/// The unmodified client for Node.
#[test]
fn the_node_client_watches_and_trades() {
    let Some(folder_of_clients) = clients::node_clients() else { return };
    let dir = folder();
    let serving = clients::demo(dir.path());
    let mut command = Command::new("node");
    command
        .arg(clients::script("okx_api_ws_client.mjs"))
        .env("OKX_API_DIR", &folder_of_clients)
        .env("NODE_EXTRA_CA_CERTS", serving.text("ca_file"));
    clients::story(command, &serving, &[]);
    assert_eq!(serving.stop(), 0);
}

struct Client(WebSocketStream<TlsStream<TcpStream>>);

impl Client {
    async fn open(serving: &Serving, ca: &Path, path: &str) -> Self {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(trusting(ca))
            .with_no_client_auth();
        let stream = TcpStream::connect(serving.gateway()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
        let request = format!("wss://localhost{path}").into_client_request().unwrap();
        Self(client_async(request, stream).await.unwrap().0)
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn next(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.0.next()).await.expect("nothing came").map(Result::unwrap)
    }

    /// The next message of which something holds.
    async fn hear(&mut self, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await.expect("the connection ended") {
                Message::Text(text) => {
                    let message = serde_json::from_str(&text).unwrap();
                    if holds(&message) {
                        return message;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The end, and its code.
    async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await.expect("the connection ended without a word") {
                Message::Close(Some(frame)) => return frame.code.into(),
                Message::Text(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn log_in(&mut self, key: &Value) -> Value {
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        let timestamp = caponier::clock::SystemClock.now().as_secs().to_string();
        let sign = okx::sign_login(text("secret").as_bytes(), &timestamp);
        let login = json!({ "apiKey": text("key"), "passphrase": text("passphrase"), "timestamp": timestamp, "sign": sign });
        self.say(&json!({ "op": "login", "args": [login] })).await;
        self.hear(|message| message["event"] != "notice").await
    }
}

fn buy(id: &str) -> Value {
    json!({ "id": id, "op": "order", "args": [{
        "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "10000", "sz": "0.0001",
    }] })
}

/// A thief holds a connection with a stolen key: freezing the key ends it within a second, mid-conversation, and he
/// does not come back in. The owner's other key goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_key_ends_its_open_sockets() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let (stolen, kept) = (house.key("anna"), house.key("anna"));
    let ca = house.path("ca.pem");
    let mut thief = Client::open(&serving, &ca, "/ws/v5/private").await;
    let mut owner = Client::open(&serving, &ca, "/ws/v5/private").await;
    for (client, key) in [(&mut thief, &stolen), (&mut owner, &kept)] {
        assert_eq!(client.log_in(key).await["code"], "0");
        client
            .say(&json!({ "op": "subscribe", "args": [{ "channel": "orders", "instType": "SPOT" }] }))
            .await;
        client.hear(|message| message["event"] == "subscribe").await;
    }
    thief.say(&buy("1")).await;
    assert_eq!(thief.hear(|message| message["op"] == "order").await["code"], "0");
    // Everybody of the account sees it.
    owner.hear(|message| message["data"][0]["state"] == "live").await;

    house.ask(&["keys", "freeze", stolen["key"].as_str().unwrap()]).exits(0);
    let ended = timeout(Duration::from_secs(1), thief.closed()).await;
    assert_eq!(ended, Ok(4007));
    let mut again = Client::open(&serving, &ca, "/ws/v5/private").await;
    assert_eq!(again.log_in(&stolen).await["code"], "60009");
    owner.say(&buy("2")).await;
    assert_eq!(owner.hear(|message| message["op"] == "order").await["code"], "0");

    // Nobody withdraws here, whatever it is called.
    for op in ["withdrawal", "withdraw", "transfer", "asset/withdrawal"] {
        owner.say(&json!({ "op": op, "args": [{ "ccy": "USDT", "amt": "1" }] })).await;
        assert_eq!(owner.hear(|message| message["event"] == "error").await["code"], "60019", "{op}");
    }
    drop((owner, again));
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
}

/// The operator stops the program for an upgrade: a trader on a web socket is told, finishes what he does and leaves;
/// then the program ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_announced_to_open_sockets() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let mut client = Client::open(&serving, &house.path("ca.pem"), "/ws/v5/private").await;
    assert_eq!(client.log_in(&key).await["code"], "0");
    client.say(&buy("1")).await;
    assert_eq!(client.hear(|message| message["op"] == "order").await["code"], "0");
    let stopping = tokio::task::spawn_blocking(|| serving.stop());
    let notice = client.hear(|message| message["event"] == "notice").await;
    assert_eq!(notice["code"], "64008");
    client.say(&buy("2")).await;
    assert_eq!(client.hear(|message| message["op"] == "order").await["code"], "0");
    client.0.close(None).await.unwrap();
    assert_eq!(timeout(PATIENCE, stopping).await.unwrap().unwrap(), 0);
    crate::support::assert_sound(house.data());
}

/// What an operator allows web sockets: from the start, and after a reload for newcomers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds_are_the_operators() {
    let house = House::build(Settings::default()).await;
    let config = std::fs::read_to_string(house.config()).unwrap();
    let with = |bounds: &str| format!("{config}\n[websocket]\nconnects = \"100 / 1s\"\n{bounds}");
    std::fs::write(house.config(), with("control_per_hour = 2\nconnections_per_account = 1\n")).unwrap();
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let ca = house.path("ca.pem");
    let subscribe = json!({ "op": "subscribe", "args": [{ "channel": "orders", "instType": "SPOT" }] });
    let mut first = Client::open(&serving, &ca, "/ws/v5/private").await;
    assert_eq!(first.log_in(&key).await["code"], "0");
    first.say(&subscribe).await;
    first.hear(|message| message["event"] == "subscribe").await;
    first.say(&subscribe).await;
    assert_eq!(first.hear(|message| message["event"] == "error").await["code"], "60014");
    let mut second = Client::open(&serving, &ca, "/ws/v5/private").await;
    assert_ne!(second.log_in(&key).await["code"], "0", "there is one connection of the account");

    let wider = "control_per_hour = 3\nconnections_per_account = 2\nnotice = \"1s\"\n";
    std::fs::write(house.config(), with(wider)).unwrap();
    let reloaded = house.ask(&["reload"]).exits(0).json();
    let (now, later) = (["connections_per_account", "control_per_hour"], ["notice"]);
    let named =
        |names: &[&str]| json!(names.iter().map(|name| format!("websocket.{name}")).collect::<Vec<_>>());
    assert_eq!((&reloaded["in_force"], &reloaded["at_next_start"]), (&named(&now), &named(&later)));
    // One that is open has room for an account's second connection at once, but what it may do stays.
    assert_eq!(second.log_in(&key).await["code"], "0");
    second.say(&subscribe).await;
    assert_eq!(second.hear(|message| message["event"] == "error").await["code"], "60014");
    drop(second);
    let mut third = Client::open(&serving, &ca, "/ws/v5/private").await;
    assert_eq!(third.log_in(&key).await["code"], "0");
    for _ in 0..2 {
        third.say(&subscribe).await;
        third.hear(|message| message["event"] == "subscribe").await;
    }
    drop((first, third));
    assert_eq!(serving.stop(), 0);
}

/// A key with bounds trades over a web socket within them, and its day's budget is one over both ways and a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_key_trades_within_its_bounds() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let id = key["key"].as_str().unwrap();
    // At 10,000 USDT: 0.0002 BTC in one order, 0.0005 BTC in a day.
    let restrict = ["keys", "restrict", id, "--instrument", "BTC-USDT", "--max-order-notional", "2"];
    house.ask(&[&restrict[..], &["--max-day-notional", "5"]].concat()).exits(0);
    let order = |id: &str, instrument: &str, size: &str| {
        json!({ "id": id, "op": "order", "args": [{ "instId": instrument, "tdMode": "cash", "side": "buy",
            "ordType": "limit", "px": "10000", "sz": size }] })
    };
    let ca = house.path("ca.pem");
    let mut client = Client::open(&serving, &ca, "/ws/v5/private").await;
    assert_eq!(client.log_in(&key).await["code"], "0");
    for (id, instrument, size, code) in [
        ("1", "BTC-USDT", "0.0002", "0"),
        ("2", "BTC-USDT", "0.0003", "51000"),
        ("3", "ETH-USDT", "0.0001", "51000"),
        ("4", "BTC-USDT", "0.0002", "0"),
        ("5", "BTC-USDT", "0.0002", "50120"),
        ("6", "BTC-USDT", "0.0001", "0"),
    ] {
        client.say(&order(id, instrument, size)).await;
        let heard = client.hear(|message| message["op"] == "order").await;
        assert_eq!((&heard["id"], &heard["code"]), (&json!(id), &json!(code)), "{heard}");
    }
    let shown = house.ask(&["keys", "show", id]).exits(0).json();
    assert_eq!(shown["day_spent"], "5", "{shown}");
    drop(client);
    assert_eq!(serving.stop(), 0);
    let serving = house.serve();
    let mut client = Client::open(&serving, &ca, "/ws/v5/private").await;
    assert_eq!(client.log_in(&key).await["code"], "0");
    client.say(&order("7", "BTC-USDT", "0.0001")).await;
    assert_eq!(client.hear(|message| message["op"] == "order").await["code"], "50120");
    // New restrictions close it.
    house.ask(&["keys", "restrict", id, "--instrument", "BTC-USDT"]).exits(0);
    assert_eq!(client.closed().await, 4007);
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
}
