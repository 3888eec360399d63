//! The running exchange: its wire answers, what it reports, and what it asks before money leaves.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use bytes::Bytes;
use domain::{AccountId, Amount, Asset, Destination, DeviceId, ManualClock, Network, UnixNanos, Verdict};
use exchange::{
    Answer, Config, Desk, EventsTarget, Exchange, Token, WebWithdrawal,
    ledger::{NewWithdrawal, Person, Refusal, WithdrawalState},
};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

const TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
const PATIENCE: Duration = Duration::from_secs(20);

/// How the listener treats the next call.
#[derive(Debug, Clone)]
enum Mood {
    /// Keeps the events and loses the answer.
    AnswerLost,
    /// Claims to have taken fewer events than were sent.
    Miscount,
    /// Refuses.
    Refuse,
}

/// A stand-in for the decision listener.
#[derive(Debug, Default)]
struct Listener {
    moods: Mutex<Vec<Mood>>,
    lines: Mutex<Vec<Value>>,
    known: Mutex<HashSet<String>>,
    calls: Mutex<usize>,
    asked: Mutex<Vec<Value>>,
    answer: Mutex<Option<(StatusCode, Value)>>,
}

async fn events(State(listener): State<Arc<Listener>>, headers: HeaderMap, body: String) -> Response {
    *listener.calls.lock() += 1;
    if headers.get("authorization").is_none_or(|token| token != "Bearer reporter") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mood = listener.moods.lock().pop();
    if matches!(mood, Some(Mood::Refuse)) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (mut accepted, mut duplicates) = (0, 0);
    for line in body.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if listener.known.lock().insert(line["id"].as_str().unwrap().to_owned()) {
            accepted += 1;
            listener.lines.lock().push(line);
        } else {
            duplicates += 1;
        }
    }
    match mood {
        Some(Mood::AnswerLost) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Mood::Miscount) => Json(json!({ "accepted": 0, "duplicates": 0 })).into_response(),
        _ => Json(json!({ "accepted": accepted, "duplicates": duplicates })).into_response(),
    }
}

async fn decisions(State(listener): State<Arc<Listener>>, Json(question): Json<Value>) -> Response {
    listener.asked.lock().push(question);
    let answer = listener.answer.lock().clone();
    let (status, body) = answer.unwrap_or((StatusCode::INTERNAL_SERVER_ERROR, Value::Null));
    (status, Json(body)).into_response()
}

struct House {
    exchange: Exchange,
    desk: Desk,
    listener: Arc<Listener>,
    serving: JoinHandle<()>,
}

async fn house(moods: Vec<Mood>) -> House {
    let listener = Arc::new(Listener { moods: Mutex::new(moods), ..Listener::default() });
    let routes = Router::new().route("/v1/events", post(events)).route("/v1/decisions", post(decisions));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = EventsTarget { addr: socket.local_addr().unwrap(), token: Token::new("reporter".into()) };
    let routes = routes.with_state(Arc::clone(&listener));
    let serving = tokio::spawn(async move { axum::serve(socket, routes).await.unwrap() });
    let exchange = start(Some(target)).await;
    let desk = exchange.desk();
    House { exchange, desk, listener, serving }
}

async fn start(events: Option<EventsTarget>) -> Exchange {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        upstream_token: Token::new("upstream".into()),
        seed: 5,
        events,
        clock: Arc::new(ManualClock::new(UnixNanos::from_secs(1_800_000_000))),
    };
    let exchange = Exchange::start(config).await.unwrap();
    for name in ["alice", "bob"] {
        exchange.desk().open_account(&account(name)).unwrap();
    }
    exchange
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn usdt() -> Asset {
    Asset::parse("USDT").unwrap()
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn alice() -> Person {
    let device = Some(DeviceId::parse("phone").unwrap());
    Person { account: account("alice"), device, ip: "192.0.2.1".parse().unwrap() }
}

fn fund(desk: &Desk) {
    desk.deposit(&account("alice"), &usdt(), amount("1000"), Network::Tron, Some(TRON)).unwrap();
    let btc = Asset::parse("BTC").unwrap();
    desk.deposit(&account("bob"), &btc, amount("1"), Network::Bitcoin, None).unwrap();
}

async fn call(exchange: &Exchange, method: Method, path: &str, who: &str, body: &str) -> (StatusCode, Value) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", exchange.local_addr()))
        .header("x-caponier-upstream-token", "upstream")
        .header("x-caponier-account", who)
        .header("x-caponier-key", "key-1")
        .body(Full::from(body.to_owned()))
        .unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn flush(exchange: &Exchange) {
    tokio::time::timeout(PATIENCE, exchange.flush()).await.expect("events are acknowledged");
}

#[tokio::test]
async fn events_arrive_once_and_in_order_whatever_happens_to_the_answers() {
    let house = house(vec![Mood::Miscount, Mood::AnswerLost, Mood::Refuse]).await;
    let House { exchange, desk, listener, serving } = house;
    desk.login(&alice(), true, true).unwrap();
    fund(&desk);
    desk.add_device(&alice()).unwrap();
    desk.change_credential(&alice(), domain::Credential::Password).unwrap();
    desk.add_address(&alice(), Network::Tron, TRON).unwrap();
    flush(&exchange).await;

    let order = json!({
        "instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "limit", "px": "60000", "sz": "0.01",
    });
    let (_, placed) = call(&exchange, Method::POST, "/api/v5/trade/order", "bob", &order.to_string()).await;
    assert_eq!(placed["data"][0]["sCode"], "0", "{placed}");
    let order =
        json!({ "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "market", "sz": "60" });
    let (_, placed) = call(&exchange, Method::POST, "/api/v5/trade/order", "alice", &order.to_string()).await;
    assert_eq!(placed["data"][0]["sCode"], "0", "{placed}");
    flush(&exchange).await;

    let lines = listener.lines.lock().clone();
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "login",
            "deposit",
            "balance_changed",
            "deposit",
            "balance_changed",
            "device_added",
            "credential_changed",
            "address_added",
            "order_filled",
            "order_filled",
            "balance_changed",
            "balance_changed",
            "balance_changed",
            "balance_changed",
        ]
    );
    assert_eq!(lines[0]["device"], "phone");
    assert_eq!(lines[0]["ip"], "192.0.2.1");
    assert_eq!(lines[0]["occurred_at"], "2027-01-15T08:00:00.000Z");
    let alice_usdt =
        lines.iter().rfind(|line| line["account"] == "alice" && line["asset"] == "USDT").unwrap();
    assert_eq!(alice_usdt["total"], desk.balance(&account("alice"), &usdt()).total().to_string());
    // Refused, lost, miscounted: at least three calls more than would have been needed.
    assert!(*listener.calls.lock() >= 4);
    assert_eq!(exchange.stop().await, 0);
    serving.abort();
}

#[tokio::test]
async fn events_wait_while_the_listener_is_away() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    drop(socket);
    let exchange = start(Some(EventsTarget { addr, token: Token::new("reporter".into()) })).await;
    exchange.desk().login(&alice(), false, false).unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(200), exchange.flush()).await;
    assert!(waited.is_err(), "nothing was acknowledged");
    assert_eq!(exchange.stop().await, 1);
}

fn web_withdrawal(client_id: &str) -> WebWithdrawal {
    let request = NewWithdrawal {
        account: account("alice"),
        asset: usdt(),
        amount: amount("100"),
        fee: None,
        destination: Destination::OnChain { network: Network::Tron, address: TRON.into(), tag: None },
        client_id: Some(client_id.to_owned()),
    };
    WebWithdrawal { request, person: alice() }
}

#[tokio::test]
async fn a_web_withdrawal_goes_on_only_if_allowed() {
    let House { exchange, desk, listener, serving } = house(Vec::new()).await;
    fund(&desk);
    let decided = |verdict: &str| {
        Some((
            StatusCode::OK,
            json!({ "id": "d-1", "verdict": verdict, "reasons": [{ "code": "a.b", "message": "because" }] }),
        ))
    };
    let cases = [
        (decided("allow"), WithdrawalState::Waiting, Verdict::Allow),
        (decided("hold"), WithdrawalState::UnderReview, Verdict::Hold),
        (decided("challenge"), WithdrawalState::Failed, Verdict::Challenge),
        (decided("deny"), WithdrawalState::Failed, Verdict::Deny),
        (decided("perhaps"), WithdrawalState::Failed, Verdict::Deny),
        (Some((StatusCode::OK, json!({}))), WithdrawalState::Failed, Verdict::Deny),
        (
            Some((StatusCode::ACCEPTED, json!({ "id": "d", "verdict": "allow" }))),
            WithdrawalState::Failed,
            Verdict::Deny,
        ),
        (None, WithdrawalState::Failed, Verdict::Deny),
    ];
    for (number, (answer, state, verdict)) in cases.into_iter().enumerate() {
        *listener.answer.lock() = answer.clone();
        let outcome = desk.withdraw(&web_withdrawal(&format!("w{number}"))).await.unwrap();
        assert_eq!((outcome.withdrawal.state, outcome.answer.verdict()), (state, verdict), "{answer:?}");
    }
    // Two of eight still hold 101 each.
    let balance = desk.balance(&account("alice"), &usdt());
    assert_eq!((balance.available, balance.held), (amount("798"), amount("202")));
    let question = listener.asked.lock().first().cloned().unwrap();
    assert_eq!(question["type"], "withdrawal");
    assert_eq!(question["deadline_ms"], 1000);
    assert_eq!(
        question["withdrawal"],
        json!({
            "account": "alice", "asset": "USDT", "amount": "100", "fee": "1", "network": "tron",
            "address": TRON, "client_id": "w0", "ip": "192.0.2.1", "device": "phone",
        })
    );
    let keys: HashSet<_> =
        listener.asked.lock().iter().map(|asked| asked["idempotency_key"].to_string()).collect();
    assert_eq!(keys.len(), 8);

    // What was decided is not decided again.
    let again = desk.withdraw(&web_withdrawal("w0")).await;
    assert_eq!(again, Err(Refusal::AlreadyExists { what: "clientId" }));
    exchange.stop().await;
    serving.abort();
}

#[tokio::test]
async fn a_web_withdrawal_fails_when_nobody_answers() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    drop(socket);
    let exchange = start(Some(EventsTarget { addr, token: Token::new("reporter".into()) })).await;
    let desk = exchange.desk();
    fund(&desk);
    let outcome = desk.withdraw(&web_withdrawal("w")).await.unwrap();
    assert!(matches!(outcome.answer, Answer::Unclear { .. }), "{:?}", outcome.answer);
    assert_eq!(outcome.withdrawal.state, WithdrawalState::Failed);
    assert_eq!(desk.balance(&account("alice"), &usdt()).available, amount("1000"));
    exchange.stop().await;
}

#[tokio::test]
async fn hostile_bodies_get_json_answers() {
    let exchange = start(None).await;
    fund(&exchange.desk());
    let order = "/api/v5/trade/order";
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("\"{}\"", "x".repeat(exchange::BODY_BYTES_MAX));
    let many = json!(vec![json!({}); 21]).to_string();
    let cases = [
        (order, "", 400, "50000"),
        (order, "{", 400, "50002"),
        (order, deep.as_str(), 400, "50002"),
        (order, long.as_str(), 413, "51000"),
        (order, "[]", 400, "51000"),
        ("/api/v5/trade/batch-orders", "{}", 400, "51000"),
        ("/api/v5/trade/batch-orders", "[]", 400, "51000"),
        ("/api/v5/trade/batch-orders", "[1]", 400, "51000"),
        ("/api/v5/trade/batch-orders", many.as_str(), 400, "51111"),
        ("/api/v5/asset/withdrawal", r#"{"ccy":"USDT","amt":0.1,"dest":"4","toAddr":"x"}"#, 400, "51000"),
    ];
    for (path, body, status, code) in cases {
        let (got, answer) = call(&exchange, Method::POST, path, "alice", body).await;
        assert_eq!((got.as_u16(), answer["code"].as_str()), (status, Some(code)), "{path} {:.40}", body);
        assert_eq!(answer["data"], json!([]));
    }
    let partly = json!([
        { "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "50000", "sz": "0.01" },
        { "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "50000", "sz": "1" },
    ]);
    let (_, answer) =
        call(&exchange, Method::POST, "/api/v5/trade/batch-orders", "alice", &partly.to_string()).await;
    assert_eq!(answer["code"], "2");
    assert_eq!((&answer["data"][0]["sCode"], &answer["data"][1]["sCode"]), (&json!("0"), &json!("51008")));
    exchange.stop().await;
}

#[tokio::test]
async fn withdrawals_over_the_api_use_the_right_codes() {
    let exchange = start(None).await;
    fund(&exchange.desk());
    let withdraw = |change: Value| {
        let mut body = json!({
            "ccy": "USDT", "amt": "100", "dest": "4", "toAddr": TRON, "chain": "USDT-TRC20", "fee": "1",
        });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let exchange = &exchange;
        async move {
            let answer =
                call(exchange, Method::POST, "/api/v5/asset/withdrawal", "alice", &body.to_string()).await.1;
            answer["code"].as_str().unwrap().to_owned()
        }
    };
    for (change, code) in [
        (json!({ "amt": "1000" }), "58350"),
        (json!({ "amt": "1" }), "58206"),
        (json!({ "amt": "0.0000001" }), "51000"),
        (json!({ "fee": "0.5" }), "58211"),
        (json!({ "fee": "500" }), "58210"),
        (json!({ "chain": "" }), "51000"),
        (json!({ "chain": "USDT-Solana" }), "51000"),
        (json!({ "chain": "USDT-ERC20" }), "58222"),
        (json!({ "toAddr": "TR7" }), "58222"),
        (json!({ "dest": "3", "toAddr": "nobody" }), "58213"),
        (json!({ "dest": "9" }), "51000"),
        (json!({ "clientId": "w1" }), "0"),
        (json!({ "clientId": "w1" }), "0"),
        (json!({ "clientId": "w1", "amt": "99" }), "50071"),
    ] {
        assert_eq!(withdraw(change.clone()).await, code, "{change}");
    }
    let (_, history) = call(&exchange, Method::GET, "/api/v5/asset/withdrawal-history", "alice", "").await;
    assert_eq!(history["data"].as_array().unwrap().len(), 1);
    assert_eq!(history["data"][0]["state"], "0");
    let id = json!({ "wdId": history["data"][0]["wdId"] }).to_string();
    for (who, code) in [("bob", "51000"), ("alice", "0"), ("alice", "58216")] {
        let (_, answer) = call(&exchange, Method::POST, "/api/v5/asset/cancel-withdrawal", who, &id).await;
        assert_eq!(answer["code"], code, "{who}");
    }
    assert_eq!(exchange.desk().balance(&account("alice"), &usdt()).available, amount("1000"));
    exchange.stop().await;
}

#[tokio::test]
async fn a_sub_account_is_funded_trades_in_batches_and_does_not_withdraw() {
    let exchange = start(None).await;
    fund(&exchange.desk());
    exchange.desk().open_sub_account(&account("alice"), &account("alice-bot")).unwrap();
    let post = async |path: &str, who: &str, body: Value| {
        call(&exchange, Method::POST, path, who, &body.to_string()).await.1
    };
    let transfer = |kind: &str, amount: &str| json!({ "ccy": "USDT", "amt": amount, "subAcct": "alice-bot", "type": kind });
    for (who, kind, amount, code) in [
        ("alice", "1", "500", "0"),
        ("alice", "1", "501", "58350"),
        ("alice", "2", "100", "0"),
        ("alice", "0", "1", "51000"),
        ("bob", "2", "1", "59510"),
        ("alice-bot", "1", "1", "59510"),
    ] {
        let answer = post("/api/v5/asset/transfer", who, transfer(kind, amount)).await;
        assert_eq!(answer["code"], code, "{who} {kind} {amount}");
    }
    let (_, list) = call(&exchange, Method::GET, "/api/v5/users/subaccount/list", "alice", "").await;
    assert_eq!(
        (list["data"].as_array().unwrap().len(), &list["data"][0]["subAcct"]),
        (1, &json!("alice-bot"))
    );
    let (_, config) = call(&exchange, Method::GET, "/api/v5/account/config", "alice-bot", "").await;
    assert_eq!((&config["data"][0]["mainUid"], &config["data"][0]["type"]), (&json!("alice"), &json!("1")));

    let order = json!({ "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": "10000", "sz": "0.01" });
    let placed = post("/api/v5/trade/batch-orders", "alice-bot", json!([order, order])).await;
    assert_eq!(placed["code"], "0");
    let amend = |n: usize, size: &str| json!({ "instId": "BTC-USDT", "ordId": placed["data"][n]["ordId"], "newSz": size, "reqId": "r1" });
    let amended =
        post("/api/v5/trade/amend-batch-orders", "alice-bot", json!([amend(0, "0.02"), amend(1, "9")])).await;
    assert_eq!((&amended["code"], &amended["data"][0]["reqId"]), (&json!("2"), &json!("r1")));
    assert_eq!(amended["data"][1]["sCode"], "51008");
    let orders = exchange.desk().open_orders(&account("alice-bot")).unwrap();
    assert_eq!(
        orders.iter().map(|order| order.terms.quantity).collect::<Vec<_>>(),
        [amount("0.01"), amount("0.02")]
    );

    let withdrawal =
        json!({ "ccy": "USDT", "amt": "10", "dest": "4", "toAddr": TRON, "chain": "USDT-TRC20", "fee": "1" });
    assert_eq!(post("/api/v5/asset/withdrawal", "alice-bot", withdrawal).await["code"], "58209");
    exchange.stop().await;
}
