//! Webhooks: what is recorded is told elsewhere, signed so that others can check it, at least once, whatever dies.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};

use crate::{
    clients::{python, script},
    support::{HOME, House, PATIENCE, Serving, Settings, assert_sound, finish, skipped, tron_address},
};

const LOOPBACK: &str =
    "[webhooks]\nprivate_networks = [\"127.0.0.0/8\"]\nfirst_retry = \"10ms\"\ntries = 3\n";

/// A message as it arrived.
#[derive(Debug, Clone)]
struct Message {
    path: String,
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

impl Message {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

/// What the other side answers to a message: a status; 0 for never.
type Answer = dyn Fn(&Message) -> u16 + Send + Sync;

/// The other side.
struct Receiver {
    at: SocketAddr,
    got: Arc<Mutex<Vec<Message>>>,
    count: watch::Sender<usize>,
    answer: Arc<Mutex<Arc<Answer>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind((HOME, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let answer: Arc<Answer> = Arc::new(|_: &Message| 204);
        let this = Self {
            at,
            got: Arc::default(),
            count: watch::Sender::new(0),
            answer: Arc::new(Mutex::new(answer)),
        };
        let (got, count, answer) = (Arc::clone(&this.got), this.count.clone(), Arc::clone(&this.answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (got, count, answer) = (Arc::clone(&got), count.clone(), Arc::clone(&answer));
                let serve = service_fn(move |request: Request<Incoming>| {
                    let (got, count, answer) = (Arc::clone(&got), count.clone(), Arc::clone(&answer));
                    async move {
                        let (head, body) = request.into_parts();
                        let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
                        let message = Message {
                            path: head.uri.to_string(),
                            id: header("webhook-id"),
                            timestamp: header("webhook-timestamp"),
                            signature: header("webhook-signature"),
                            body: String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap(),
                        };
                        let says = Arc::clone(&*answer.lock().unwrap());
                        let status = says(&message);
                        got.lock().unwrap().push(message);
                        count.send_modify(|count| *count += 1);
                        if status == 0 {
                            std::future::pending::<()>().await;
                        }
                        let mut response = Response::new(Full::new(Bytes::new()));
                        *response.status_mut() = StatusCode::from_u16(status).unwrap();
                        if status == 307 {
                            response.headers_mut().insert("location", "/elsewhere".parse().unwrap());
                        }
                        Ok::<_, hyper::Error>(response)
                    }
                });
                tokio::spawn(async move {
                    // The sender may be killed in the middle.
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), serve)
                            .await,
                    );
                });
            }
        });
        this
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    fn answers(&self, answer: impl Fn(&Message) -> u16 + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    fn got(&self) -> Vec<Message> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until what arrived is as it should be.
    async fn until(&self, what: &str, is_so: impl Fn(&[Message]) -> bool) {
        let mut count = self.count.subscribe();
        let waits = async {
            while !is_so(&self.got()) {
                count.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, waits).await.is_err() {
            panic!("{what}: {:?}", self.got());
        }
    }
}

async fn api(house: &House, serving: &Serving, path: &str, body: Value) -> (u16, Value) {
    house.control_api(serving, "POST", path, body.to_string()).await.unwrap()
}

/// Asks for a decision and answers its id.
async fn decide(house: &House, serving: &Serving, account: &str) -> Option<String> {
    let body = json!({ "type": "withdrawal", "withdrawal": {
        "account": account, "asset": "USDT", "amount": "1", "network": "tron",
        "address": tron_address("friend"), "ip": HOME,
    } });
    let answer = house.control_api(serving, "POST", "/v1/decisions", body.to_string()).await;
    let (status, answer) = answer.ok()?;
    (status == 200).then(|| answer["id"].as_str().unwrap().to_owned())
}

fn endpoint(house: &House, name: &str) -> Value {
    let all = house.ask(&["webhooks", "list"]).exits(0).json();
    let all = all["endpoints"].as_array().unwrap().clone();
    all.into_iter().find(|one| one["name"] == name).unwrap()
}

/// Waits until the list says something of an endpoint.
async fn eventually(house: &House, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let waits = async {
        loop {
            let seen = endpoint(house, name);
            if is_so(&seen) {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waits).await;
    waited.unwrap_or_else(|_| panic!("{}", endpoint(house, name)))
}

/// Every counter, as text.
async fn scrape(house: &House, serving: &Serving) -> String {
    let mut stream = tokio::net::TcpStream::connect(serving.api()).await.unwrap();
    let token = house.token();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// Lets libraries that are not ours check messages, each by its keys.
fn check_elsewhere(messages: &[(Message, Vec<String>)]) {
    let Some(python) = python() else { return };
    if finish(Command::new(&python).args(["-c", "import standardwebhooks, cryptography"])).code != 0 {
        return skipped("the reference library of Standard Webhooks is not installed; run cargo xtask setup");
    }
    let mut child = Command::new(python)
        .arg(script("standard_webhooks.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for (message, keys) in messages {
        let Message { id, timestamp, signature, body, .. } = message;
        let line =
            json!({ "id": id, "timestamp": timestamp, "signature": signature, "body": body, "keys": keys });
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the other side does not believe a signature");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: usize = messages.iter().map(|(_, keys)| keys.len()).sum();
    assert_eq!(verdict, json!({ "ok": true, "checked": keys }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_signed_so_that_others_can_check_them_and_say_little() {
    let house = House::build(Settings { more: LOOPBACK, ..Settings::default() }).await;
    let serving = house.serve();
    let receiver = Receiver::start().await;
    house.open_account("gina").await;

    // One by the command line, with a shared secret; one over the API, with a public key, that may know accounts.
    let arguments = [
        "webhooks",
        "add",
        "siem",
        &receiver.url("/siem?a=b"),
        "--events",
        "decision, freeze",
        "--as",
        "ann",
    ];
    let siem = house.ask(&arguments).exits(0).json();
    let first = siem["key"].as_str().unwrap().to_owned();
    assert!(first.starts_with("whsec_"), "{siem}");
    let body = json!({
        "name": "desk", "url": receiver.url("/desk"), "events": "decision,freeze", "scheme": "ed25519", "accounts": true,
    });
    let (status, desk) = api(&house, &serving, "/v1/webhooks", body.clone()).await;
    let public = desk["key"].as_str().unwrap_or_else(|| panic!("{status} {desk}")).to_owned();
    assert_eq!(desk["endpoint"]["public_key"], json!(public), "{desk}");
    assert_eq!(api(&house, &serving, "/v1/webhooks", body).await.0, 400, "the name is taken");
    assert!(!endpoint(&house, "siem").to_string().contains(&first), "a secret is shown once");

    let decision = decide(&house, &serving, "gina").await.unwrap();
    let freeze = json!({ "scope": "account:gina", "reason": "gina called" });
    assert_eq!(api(&house, &serving, "/v1/emergency/freeze", freeze).await.0, 200);
    receiver.until("two messages to each of two", |got| got.len() >= 4).await;
    let got = receiver.got();
    let of = |path: &str, kind: &str| {
        let found: Vec<_> =
            got.iter().filter(|one| one.path.starts_with(path) && one.kind() == kind).collect();
        assert_eq!(found.len(), 1, "{path} {kind}: {got:?}");
        found[0].clone()
    };
    let (told, known) = (of("/siem?a=b", "decision.allowed"), of("/desk", "decision.allowed"));
    assert_eq!(told.json()["data"]["decision"], json!(decision), "{told:?}");
    assert_eq!(
        (told.id.as_str(), told.id.len()),
        (known.id.as_str(), 36),
        "one id for one thing that happened"
    );
    assert_eq!(known.json()["data"]["account"], "gina");
    assert_eq!(of("/desk", "freeze.frozen").json()["data"]["scope"], "account:gina");
    assert_eq!(of("/siem", "freeze.frozen").json()["data"]["scope"], "account");
    for message in got.iter().filter(|one| one.path.starts_with("/siem")) {
        assert!(
            !message.body.contains("gina") && !message.body.contains(&tron_address("friend")),
            "{message:?}"
        );
    }

    // Both keys sign for a while; without an overlap only the new one does.
    let rotated = house.ask(&["webhooks", "rotate", "siem", "--as", "ann"]).exits(0).json();
    let second = rotated["key"].as_str().unwrap().to_owned();
    assert!(second != first && rotated["endpoint"]["previous_key_until"].is_string(), "{rotated}");
    decide(&house, &serving, "gina").await.unwrap();
    receiver
        .until("a third", |got| got.iter().filter(|one| one.path.starts_with("/siem")).count() >= 3)
        .await;
    let path = "/v1/webhooks/siem/rotate";
    let (status, rotated) = api(&house, &serving, path, json!({ "overlap_hours": 0 })).await;
    let third = rotated["key"].as_str().unwrap_or_else(|| panic!("{status} {rotated}")).to_owned();
    decide(&house, &serving, "gina").await.unwrap();
    receiver
        .until("a fourth", |got| got.iter().filter(|one| one.path.starts_with("/siem")).count() >= 4)
        .await;
    let siem: Vec<Message> = receiver.got().into_iter().filter(|one| one.path.starts_with("/siem")).collect();
    assert_eq!(siem[2].signature.split(' ').count(), 2, "{siem:?}");
    assert_eq!(siem[3].signature.split(' ').count(), 1, "{siem:?}");
    let mut checks = vec![
        (siem[0].clone(), vec![first.clone()]),
        (siem[1].clone(), vec![first.clone()]),
        (siem[2].clone(), vec![first, second]),
        (siem[3].clone(), vec![third]),
    ];
    checks
        .extend(got.iter().filter(|one| one.path == "/desk").map(|one| (one.clone(), vec![public.clone()])));
    check_elsewhere(&checks);

    let (status, test) = api(&house, &serving, "/v1/webhooks/desk/test", json!({})).await;
    assert_eq!(
        (status, &test["delivered"], &test["says"]),
        (200, &json!(true), &json!("answered 204")),
        "{test}"
    );
    let exposition = scrape(&house, &serving).await;
    assert!(exposition.contains("caponier_webhook_delivered_total{endpoint=\"siem\"} 4"), "{exposition}");
    let log = house.ask(&["log", "--kind", "webhook"]).exits(0).text();
    assert!(!log.contains("whsec_") && log.contains("rotated"), "{log}");
    assert_eq!(house.ask(&["webhooks", "remove", "siem", "--as", "ann"]).exits(0).json()["removed"], "siem");
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appeal_is_told_when_it_is_brought_and_when_it_is_answered() {
    let house = House::build(Settings { more: LOOPBACK, ..Settings::default() }).await;
    let serving = house.serve();
    let receiver = Receiver::start().await;
    house.open_account("gina").await;
    let url = receiver.url("/appeals");
    house.ask(&["webhooks", "add", "shop", &url, "--events", "appeal,case.opened", "--as", "ann"]).exits(0);
    house.ask(&["bans", "add", "192.0.2.7", "--minutes", "30"]).exits(0);
    let body = json!({ "account": "gina", "against": "ban", "id": "192.0.2.7", "text": "it was my sister" });
    let (status, brought) = api(&house, &serving, "/v1/appeals", body).await;
    assert_eq!(status, 200, "{brought}");
    let id = brought["id"].as_str().unwrap();
    house
        .ask(&["appeals", "answer", id, "--as", "ann", "--outcome", "overturned", "--reason", "she is known"])
        .exits(0);
    receiver.until("three messages", |got| got.len() >= 3).await;
    let got = receiver.got();
    let of = |kind: &str| {
        let found = got.iter().find(|message| message.kind() == kind);
        found.unwrap_or_else(|| panic!("{kind}: {got:?}")).json()["data"].clone()
    };
    let (opened, answered) = (of("appeal.opened"), of("appeal.answered"));
    assert_eq!((&opened["appeal"], &opened["against"]), (&json!(id), &json!("ban")), "{opened}");
    assert_eq!((&answered["appeal"], &answered["outcome"]), (&json!(id), &json!("overturned")), "{answered}");
    assert_eq!(of("case.opened")["case"], brought["case"]);
    // What was said, whose it is and where it comes from is nobody's business there.
    for message in &got {
        for private in ["sister", "known", "gina", "192.0.2.7"] {
            assert!(!message.body.contains(private), "{private}: {message:?}");
        }
    }
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_loses_no_message_and_what_comes_twice_comes_under_the_same_id() {
    const ROUNDS: usize = 3;
    const EACH: usize = 12;

    let house = House::build(Settings { more: LOOPBACK, ..Settings::default() }).await;
    let mut serving = house.serve();
    let receiver = Receiver::start().await;
    house.open_account("gina").await;
    let arguments = ["webhooks", "add", "siem", &receiver.url("/"), "--events", "decision", "--as", "ann"];
    house.ask(&arguments).exits(0);

    let mut promised = BTreeSet::new();
    for round in 0..ROUNDS {
        let before = receiver.got().len();
        for _ in 0..EACH {
            promised.extend(decide(&house, &serving, "gina").await);
        }
        // In the middle: some have arrived, some are under way, none of it is recorded.
        receiver.until("the first of a round", |got| got.len() > before + round).await;
        serving.kill();
        serving = house.serve();
    }
    assert!(promised.len() >= ROUNDS * EACH, "{promised:?}");
    let told = |got: &[Message]| -> BTreeSet<String> {
        got.iter().map(|one| one.json()["data"]["decision"].as_str().unwrap().to_owned()).collect()
    };
    receiver.until("every decision", |got| promised.is_subset(&told(got))).await;
    let mut seen: BTreeMap<String, (String, String)> = BTreeMap::new();
    for message in receiver.got() {
        let decision = message.json()["data"]["decision"].as_str().unwrap().to_owned();
        let first = seen.entry(decision).or_insert((message.id.clone(), message.body.clone()));
        assert_eq!((&first.0, &first.1), (&message.id, &message.body), "the same again");
    }
    let ids: BTreeSet<_> = seen.values().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), seen.len(), "one id each");

    // An orderly stop records how far it went: nothing comes twice then.
    eventually(&house, "siem", |one| one["waiting"] == 0).await;
    assert_eq!(serving.stop(), 0);
    let before = receiver.got().len();
    let serving = house.serve();
    let last = decide(&house, &serving, "gina").await.unwrap();
    receiver.until("the last", |got| told(got).contains(&last)).await;
    assert_eq!(receiver.got().len(), before + 1);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_on_is_kept_by_name_and_410_ends_it() {
    let house = House::build(Settings { more: LOOPBACK, ..Settings::default() }).await;
    let serving = house.serve();
    let (receiver, stuck) = (Receiver::start().await, Receiver::start().await);
    stuck.answers(|_| 0);
    house.open_account("gina").await;
    for (name, url) in [("siem", receiver.url("/")), ("stuck", stuck.url("/"))] {
        house.ask(&["webhooks", "add", name, &url, "--events", "decision,freeze", "--as", "ann"]).exits(0);
    }
    // The endpoint takes all but one kind; another one never answers, which is nobody else's matter.
    receiver.answers(|message| if message.kind() == "freeze.frozen" { 500 } else { 200 });
    decide(&house, &serving, "gina").await.unwrap();
    eventually(&house, "siem", |one| one["delivered"] == 1).await;
    let freeze = json!({ "scope": "asset:BTC", "reason": "x" });
    assert_eq!(api(&house, &serving, "/v1/emergency/freeze", freeze).await.0, 200);
    let is_dead = |one: &Value| one["dead_letters"] == 1;
    // It took nothing over all tries of a message, so it is asked no more until somebody has looked.
    let seen = eventually(&house, "siem", |one| is_dead(one) && one["state"] == "disabled").await;
    assert_eq!(seen["disabled_why"], "unreachable", "{seen}");
    let path = "/v1/webhooks/siem/change";
    assert_eq!(api(&house, &serving, path, json!({ "enabled": true })).await.1["state"], "enabled");
    let (status, letters) =
        house.control_api(&serving, "GET", "/v1/webhooks/siem/dead-letters", String::new()).await.unwrap();
    let letter = &letters["dead_letters"][0];
    assert_eq!(
        (status, &letter["type"], &letter["tries"], &letter["why"]),
        (200, &json!("freeze.frozen"), &json!(3), &json!("answered 500")),
        "{letters}"
    );
    let id = letter["id"].as_str().unwrap().to_owned();
    let tries = |got: &[Message]| got.iter().filter(|one| one.id == id).count();
    assert_eq!(tries(&receiver.got()), 3);

    // Once more in vain, then it is taken.
    let replay = "/v1/webhooks/siem/dead-letters/replay";
    let (status, answer) =
        api(&house, &serving, replay, json!({ "message": format!("msg_{:032}", 0) })).await;
    assert_eq!(status, 404, "{answer}");
    assert_eq!(api(&house, &serving, replay, json!({})).await, (200, json!({ "replaying": 1 })));
    receiver.until("a replay", |got| tries(got) == 4).await;
    receiver.answers(|_| 200);
    let command = ["webhooks", "replay", "siem", "--message", &id, "--as", "ann"];
    house.ask(&command).exits(0);
    receiver.until("another replay", |got| tries(got) == 5).await;
    eventually(&house, "siem", |one| one["dead_letters"] == 0).await;

    // Gone is gone, until somebody says otherwise; then it is told what it has missed.
    receiver.answers(|_| 410);
    let missed = decide(&house, &serving, "gina").await.unwrap();
    let seen = eventually(&house, "siem", |one| one["state"] == "disabled").await;
    assert_eq!(seen["disabled_why"], "gone", "{seen}");
    let later = decide(&house, &serving, "gina").await.unwrap();
    receiver.answers(|_| 200);
    house.ask(&["webhooks", "enable", "siem", "--as", "ann"]).exits(0);
    let told = |got: &[Message], decision: &str| got.iter().filter(|one| one.body.contains(decision)).count();
    receiver.until("what was missed", |got| told(got, &missed) == 2 && told(got, &later) == 1).await;

    // What is paused waits in the journal; what is skipped does not come.
    house.ask(&["webhooks", "pause", "siem", "--as", "ann"]).exits(0);
    let skipped = decide(&house, &serving, "gina").await.unwrap();
    house.ask(&["webhooks", "enable", "siem", "--skip", "--as", "ann"]).exits(0);
    let wanted = decide(&house, &serving, "gina").await.unwrap();
    receiver.until("the one behind", |got| told(got, &wanted) == 1).await;
    assert_eq!(told(&receiver.got(), &skipped), 0);

    assert_eq!(serving.stop(), 0, "an endpoint that never answers does not hold up the end");
    let kept = endpoint(&house, "stuck");
    assert_eq!(kept["state"], "enabled", "{kept}");
    assert_sound(house.data());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_where_it_must_not() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let receiver = Receiver::start().await;
    let add = |name: &str, url: &str| {
        house.ask(&["webhooks", "add", name, url, "--events", "decision", "--as", "ann"])
    };
    for url in [
        receiver.url("/"),
        "https://127.0.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[::1]/".to_owned(),
        "https://[::ffff:10.0.0.1]/".to_owned(),
        "http://93.184.215.14/".to_owned(),
        "https://user:secret@example.com/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let refused = add("bad", &url);
        assert_eq!(refused.code, 64, "{url}: {refused:?}");
    }
    // Where a name leads is seen when it is sent to: the address that is connected to decides.
    for (name, url) in [
        ("plain", format!("http://localhost:{}/", receiver.at.port())),
        ("tls", format!("https://localhost:{}/", receiver.at.port())),
        ("number", format!("http://2130706433:{}/", receiver.at.port())),
    ] {
        add(name, &url).exits(0);
        let (status, test) = api(&house, &serving, &format!("/v1/webhooks/{name}/test"), json!({})).await;
        assert_eq!((status, &test["delivered"]), (200, &json!(false)), "{test}");
        let says = test["says"].as_str().unwrap();
        assert!(
            says.contains("not in webhooks.private_networks") || says.contains("does not resolve"),
            "{says}"
        );
        assert_eq!(house.ask(&["webhooks", "test", name]).code, 1);
    }
    assert!(receiver.got().is_empty());
    assert_eq!(serving.stop(), 0);

    // Permitted by the operator, a redirect is still not followed.
    let more = "[webhooks]\nprivate_networks = [\"127.0.0.0/8\"]\ntime_limit = \"300ms\"\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    let serving = house.serve();
    receiver.answers(|_| 307);
    house
        .ask(&["webhooks", "add", "siem", &receiver.url("/"), "--events", "decision", "--as", "ann"])
        .exits(0);
    let (_, test) = api(&house, &serving, "/v1/webhooks/siem/test", json!({})).await;
    assert_eq!(test["says"], "answered 307: redirects are not followed", "{test}");
    assert_eq!(receiver.got().len(), 1);
    receiver.answers(|_| 0);
    let (_, test) = api(&house, &serving, "/v1/webhooks/siem/test", json!({})).await;
    assert_eq!(test["says"], "no answer within 300 ms", "{test}");
    let (status, _) = api(&house, &serving, "/v1/webhooks/nobody/test", json!({})).await;
    assert_eq!(status, 404);
    assert_eq!(serving.stop(), 0);
}
