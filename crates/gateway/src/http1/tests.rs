//! Whole connections without sockets: deadlines on paused time, streams cut anywhere, framing that must be refused.

use std::{sync::Arc, time::Duration};

use auth::{Authenticator, Registry, ReplayWindow};
use domain::{Clock, ManualClock, UnixNanos, Verdict, WithdrawalRequest};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::server::Connection;
use crate::{
    Answer, BoxFuture, Config, DecisionUnavailable, Deps, Unobserved, Unrecorded, Withdrawals,
    answer::Refused,
    connection::{Admitted, Census, InFlight, Presence, Source},
    listener::Gateway,
    peer::Peer,
    pipeline::Shared,
    route::{Class, Handling, Route, RouteTable, Verb},
    upgrade::{Duplex, Upgrades},
};

const NOW: UnixNanos = UnixNanos::from_secs(1_795_341_600);

#[derive(Debug)]
struct Nobody;

impl Withdrawals for Nobody {
    fn decide(&self, _: WithdrawalRequest) -> BoxFuture<'_, Result<Answer, DecisionUnavailable>> {
        let answer = Answer {
            id: "d".to_owned(),
            verdict: Verdict::Deny,
            code: domain::ReasonCode::new("test"),
            message: String::new(),
        };
        Box::pin(async move { Ok(answer) })
    }
}

/// Gives back in capitals what it gets, until the client closes.
#[derive(Debug, Default)]
struct Shout(Mutex<Vec<String>>);

impl Upgrades for Shout {
    fn accept<'a>(
        &self,
        path: &str,
        fields: &mut dyn Iterator<Item = (&'a [u8], &'a [u8])>,
        _: &Peer,
        now: UnixNanos,
    ) -> Result<String, Refused> {
        assert_eq!(now, NOW);
        let fields = fields.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>();
        self.0.lock().push(format!("{path} {}", fields.join(" ")));
        Ok("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned())
    }

    fn serve(
        &self,
        path: String,
        mut stream: Box<dyn Duplex>,
        leftover: Vec<u8>,
        peer: Arc<Peer>,
        mut in_flight: InFlight,
    ) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            in_flight.authenticated().unwrap();
            self.0.lock().push(format!("{path} {}", peer.ip));
            stream.write_all(&leftover.to_ascii_uppercase()).await.unwrap();
            let mut piece = [0; 64];
            while let Ok(n @ 1..) = stream.read(&mut piece).await {
                stream.write_all(&piece[..n].to_ascii_uppercase()).await.unwrap();
            }
        })
    }
}

/// A gateway of which only the rules are used: no upstream listens.
fn gateway() -> Gateway {
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), "127.0.0.1:1");
    let open = |verb, path: &str, handling| Route {
        body_bytes_max: 64 << 10,
        handling,
        ..Route::new(verb, path, Class::Public)
    };
    config.routes = RouteTable::new(vec![
        open(Verb::Any, "/open", Handling::Forward),
        open(Verb::Get, "/ws", Handling::WebSocket),
    ])
    .unwrap();
    let authenticator = Authenticator::new(Arc::new(Registry::new(1, 7)), ReplayWindow::new(1, 7), [9; 32]);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
    let deps = Deps {
        authenticator: Arc::new(authenticator),
        changes: Arc::new(Unrecorded),
        clock,
        observer: Arc::new(Unobserved),
        withdrawals: Arc::new(Nobody),
    };
    config.build(deps).unwrap()
}

/// One connection being served.
struct Client {
    stream: DuplexStream,
    task: JoinHandle<()>,
    shared: Arc<Shared>,
    presence: Presence,
}

fn open_with(shared: Arc<Shared>, room: usize) -> Client {
    let census = Arc::new(Census::new(10, 10));
    let ip = "192.0.2.1".parse().unwrap();
    let Admitted { presence, .. } = census.admit(Some(Source::of(ip)), NOW).unwrap();
    let peer = Arc::new(Peer::new(ip, None, Arc::clone(&presence.line)));
    let (here, stream) = duplex(room);
    let serving = Arc::clone(&shared);
    let task =
        tokio::spawn(async move { Connection::new(&serving, &peer, here, Instant::now()).run().await });
    presence.line.runs_as(task.abort_handle());
    Client { stream, task, shared, presence }
}

async fn open() -> Client {
    open_with(gateway().shared(), 1 << 20)
}

impl Client {
    /// Sends, and gives the seconds after which the connection is closed with what was answered.
    async fn seconds_until_closed(mut self, sent: &str) -> (u64, String) {
        let start = Instant::now();
        self.stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = self.stream.read_to_string(&mut answer).await.unwrap();
        (start.elapsed().as_secs(), answer)
    }

    /// Everything that is answered to what is sent, after which the client says that no more comes.
    async fn answers(mut self, sent: &[u8]) -> String {
        self.stream.write_all(sent).await.unwrap();
        self.stream.shutdown().await.unwrap();
        let mut answer = String::new();
        let _ = self.stream.read_to_string(&mut answer).await.unwrap();
        self.task.await.unwrap();
        answer
    }

    async fn read(&mut self) -> String {
        let mut piece = [0; 4096];
        let n = self.stream.read(&mut piece).await.unwrap();
        String::from_utf8(piece[..n].to_vec()).unwrap()
    }

    fn refusals(&self, label: &str) -> u64 {
        self.shared.metrics.snapshot().refusals.get(label).copied().unwrap_or_default()
    }
}

const ELSEWHERE: &str = "GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n";

/// A head that never ends, a minute of it.
const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Writes a byte every second.
async fn drip(stream: &mut DuplexStream, text: &str) {
    for byte in text.as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_head_is_due_ten_seconds_after_the_connection() {
    assert_eq!(open().await.seconds_until_closed("").await, (10, String::new()));
    assert_eq!(open().await.seconds_until_closed("GET /open HTTP/1.1\r\nHost:").await, (10, String::new()));
    let mut client = open().await;
    let start = Instant::now();
    tokio::select! {
        () = drip(&mut client.stream, LONG) => panic!("it was never closed"),
        ended = &mut client.task => ended.unwrap(),
    }
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(client.shared.metrics.snapshot().refusals["head_too_slow"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_answered_connection_may_idle_a_minute_and_then_has_ten_seconds_for_a_head() {
    let (seconds, answer) = open().await.seconds_until_closed(ELSEWHERE).await;
    assert_eq!(seconds, 60);
    assert!(answer.starts_with("HTTP/1.1 410 ") && answer.contains("50005"), "{answer}");
    let mut client = open().await;
    client.stream.write_all(ELSEWHERE.as_bytes()).await.unwrap();
    assert!(client.read().await.starts_with("HTTP/1.1 410 "));
    let start = Instant::now();
    sleep(Duration::from_secs(30)).await;
    tokio::select! {
        () = drip(&mut client.stream, LONG) => panic!("it was never closed"),
        ended = &mut client.task => ended.unwrap(),
    }
    assert_eq!(start.elapsed().as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_body_has_a_least_rate_and_a_last_moment() {
    let head = "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n";
    let slow = async |bytes_per_second: usize| {
        let mut client = open().await;
        let start = Instant::now();
        client.stream.write_all(head.as_bytes()).await.unwrap();
        let piece = "{".repeat(bytes_per_second);
        let mut answer = [0; 512];
        let n = loop {
            tokio::select! {
                read = client.stream.read(&mut answer) => break read.unwrap(),
                () = sleep(Duration::from_secs(1)) => client.stream.write_all(piece.as_bytes()).await.unwrap(),
            }
        };
        assert!(String::from_utf8_lossy(&answer[..n]).contains("50004"));
        assert_eq!(client.refusals("body_too_slow"), 1);
        start.elapsed().as_secs()
    };
    assert_eq!(slow(1).await, 5);
    // 239 bytes per second are too few, but only seconds later is that certain: the grace is used up slowly.
    assert_eq!(slow(120).await, 9);
    assert_eq!(slow(240).await, 30);
    assert_eq!(slow(1_000).await, 30);
}

#[tokio::test(start_paused = true)]
async fn who_sends_a_body_too_slowly_is_not_waited_for_after_the_answer() {
    let head = "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n";
    let mut client = open().await;
    let start = Instant::now();
    client.stream.write_all(head.as_bytes()).await.unwrap();
    let sent = tokio::select! {
        () = drip(&mut client.stream, LONG) => panic!("it was never closed"),
        ended = &mut client.task => ended,
    };
    sent.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    let mut answer = String::new();
    let _ = client.stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("50004") && answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_refused_request_is_waited_for_two_seconds_at_most() {
    for (length, kept) in [(1_000, true), (100_000, false)] {
        // Its body is not wanted, small enough to be skipped or not.
        let head = format!("POST /elsewhere HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        let mut client = open().await;
        let start = Instant::now();
        client.stream.write_all(head.as_bytes()).await.unwrap();
        let answer = client.read().await;
        assert!(answer.starts_with("HTTP/1.1 410 "), "{answer}");
        assert_eq!(answer.contains("connection: close\r\n"), !kept, "{answer}");
        tokio::select! {
            () = drip(&mut client.stream, LONG) => panic!("it was never closed"),
            ended = &mut client.task => ended.unwrap(),
        }
        assert_eq!(start.elapsed().as_secs(), if kept { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let mut client = open_with(gateway().shared(), 100);
    let start = Instant::now();
    client.stream.write_all(ELSEWHERE.as_bytes()).await.unwrap();
    client.task.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(client.shared.metrics.snapshot().refusals["answer_too_slow"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_must_take_its_answers_at_a_least_rate() {
    /// The seconds until the gateway gives a client up that takes `piece` bytes every `pause` and goes on asking;
    /// `None` if it still serves it after ten minutes.
    async fn seconds(piece: usize, pause: Duration) -> Option<u64> {
        let client = open_with(gateway().shared(), 100);
        let start = Instant::now();
        let (mut reader, mut writer) = tokio::io::split(client.stream);
        let asking =
            tokio::spawn(async move { while writer.write_all(ELSEWHERE.as_bytes()).await.is_ok() {} });
        let mut into = vec![0; piece];
        while !client.task.is_finished() && start.elapsed() < Duration::from_secs(600) {
            sleep(pause).await;
            if reader.read_exact(&mut into).await.is_err() {
                break;
            }
        }
        asking.abort();
        if !client.task.is_finished() {
            return None;
        }
        assert_eq!(client.shared.metrics.snapshot().refusals["answer_too_slow"], 1);
        Some(start.elapsed().as_secs())
    }
    // A few bytes now and then: the first time that it is late is noticed at once.
    assert_eq!(seconds(1, Duration::from_secs(5)).await, Some(15));
    assert_eq!(seconds(20, Duration::from_secs(1)).await, Some(11));
    assert!(seconds(60, Duration::from_millis(500)).await.is_some_and(|at| (18..=22).contains(&at)));
    // Slow links pass.
    assert_eq!(seconds(100, Duration::from_millis(100)).await, None);
    assert_eq!(seconds(100, Duration::from_millis(400)).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_be_ended_from_outside_at_any_time() {
    let client = open().await;
    client.presence.line.kill();
    assert!(client.task.await.unwrap_err().is_cancelled());
    let client = open().await;
    client.presence.line.drain();
    assert!(client.task.await.unwrap_err().is_cancelled(), "it was idle");
    let mut client = open().await;
    client.stream.write_all(b"GET /elsewhere HTTP/1.1\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    client.presence.line.drain();
    client.stream.write_all(b"Host: h\r\n\r\n").await.unwrap();
    let answer = client.read().await;
    assert!(answer.contains("410") && answer.contains("connection: close\r\n"), "{answer}");
    client.task.await.unwrap();
}

#[tokio::test]
async fn answers_have_the_form_that_was_asked_for() {
    let answer = open().await.answers(b"HEAD /open HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-length: "), "{answer}");
    let answer = open().await.answers(ELSEWHERE.as_bytes()).await;
    assert!(answer.contains("\r\ndate: Sun, 22 Nov 2026 10:00:00 GMT\r\n"), "{answer}");
    assert!(!answer.contains("connection:"), "{answer}");
    let old = ELSEWHERE.replace("1.1", "1.0");
    let answer = open().await.answers(format!("{old}{old}").as_bytes()).await;
    assert_eq!((answer.matches("HTTP/1.1 ").count(), answer.matches("connection: close").count()), (1, 1));
    let kept = old.replace("Host", "Connection: keep-alive\r\nHost");
    let answer = open().await.answers(format!("{kept}{kept}").as_bytes()).await;
    assert_eq!(
        (answer.matches("HTTP/1.1 ").count(), answer.matches("connection: keep-alive").count()),
        (2, 2)
    );
    let closed = ELSEWHERE.replace("Host", "Connection: close\r\nHost");
    let answer = open().await.answers(format!("{closed}{closed}").as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1);
}

#[tokio::test]
async fn a_client_that_waits_for_a_word_gets_it_when_its_body_is_wanted() {
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    };
    let mut client = open().await;
    client.stream.write_all(head("/open").as_bytes()).await.unwrap();
    assert_eq!(client.read().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.stream.write_all(b"xx").await.unwrap();
    assert!(client.read().await.contains("50002"));
    // Its body is not wanted, so it is not asked for, and cannot be told from what follows.
    let answer = open().await.answers(head("/elsewhere").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 410 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn an_upgrade_is_handed_over_with_what_was_sent_ahead() {
    let upgrade =
        "GET /ws?a=b HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\n";
    let taken_by = |upgrades| {
        let mut shared = Arc::try_unwrap(gateway().shared()).expect("only here");
        shared.upgrades = upgrades;
        Arc::new(shared)
    };
    let refused = open_with(taken_by(None), 1 << 10).answers(upgrade.as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 410 "), "nobody takes it: {refused}");
    let shout = Arc::new(Shout::default());
    let taking = || taken_by(Some(Arc::clone(&shout) as _));
    let mut client = open_with(taking(), 1 << 10);
    client.stream.write_all(format!("{upgrade}ahead").as_bytes()).await.unwrap();
    let mut answer = vec![0; 41];
    client.stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), "HTTP/1.1 101 Switching Protocols\r\n\r\nAHEAD");
    client.stream.write_all(b"later").await.unwrap();
    assert_eq!(client.read().await, "LATER");
    assert_eq!(*shout.0.lock(), ["/ws Host Connection Upgrade X-A", "/ws 192.0.2.1"]);
    client.presence.line.kill();
    assert!(client.task.await.unwrap_err().is_cancelled());

    for plain in [
        upgrade.replace("Upgrade: websocket\r\n", ""),
        upgrade.replace("1.1", "1.0"),
        upgrade.replace("GET", "POST"),
        upgrade.replace("X-A: b", "Content-Length: 2"),
    ] {
        let answer = open_with(taking(), 1 << 10).answers(plain.as_bytes()).await;
        assert!(!answer.contains("101"), "{plain} {answer}");
    }
}

/// Each is followed by a request that must never be seen.
const AMBIGUOUS: &[&str] = &[
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nTransfer\u{e9}-Encoding: chunked\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\n\"Transfer-Encoding\": chunked\r\n\r\n",
    "POST /open HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\ncontent-length: 2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: -2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 2 \u{c}\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 1e0\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551618\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length : 2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length\t: 2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\n Content-Length: 2\r\n\r\n{}",
    "POST /open HTTP/1.1\r\n Host: h\r\n\r\n",
    "POST /open HTTP/1.1\nHost: h\nContent-Length: 2\n\n{}",
    "POST /open HTTP/1.1\r\nHost: h\r\nX\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n",
    "POST /open HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n",
    "\r\nGET /open HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /open HTTP/1.1 \r\nHost: h\r\n\r\n",
    "GET  /open HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /open\tHTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /open HTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /open HTTP/9.9\r\nHost: h\r\n\r\n",
    "GET /open\r\n\r\n",
    "GET /op#en HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n",
];

#[tokio::test]
async fn nothing_is_read_after_a_request_whose_end_is_not_clear() {
    for head in AMBIGUOUS {
        let stream = format!("{head}{ELSEWHERE}");
        let answer = open().await.answers(stream.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?} {answer}");
        assert!(answer.contains("connection: close\r\n"), "{head:?} {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head:?} {answer}");
    }
}

/// What a client may send one after the other, each with the code of its answer.
const PIPELINED: &[(&str, &str)] = &[
    ("GET /elsewhere?a=b HTTP/1.1\r\nHost: h\r\nX-A:  b\t\r\n\r\n", "50005"),
    ("POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /", "50002"),
    ("POST /open HTTP/1.1\r\nHost: h\r\ncontent-length:0\r\n\r\n", "50000"),
    ("GET /open HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n\r\n\r", "51000"),
    ("PUT /open HTTP/1.1\r\nHost: h\r\n\r\n", "50115"),
    ("GET //open HTTP/1.1\r\nHost: h\r\n\r\n", "51000"),
    ("GET /a/../open HTTP/1.1\r\nHost: h\r\n\r\n", "51000"),
    ("GET /%6fpen HTTP/1.1\r\nHost: h\r\n\r\n", "51000"),
    ("GET /open HTTP/1.1\r\nHost: h\r\n\r\n", "50001"),
    ("GET /open HTTP/1.1\r\n\r\n", "51000"),
];

async fn codes(stream: &[u8], cuts: &[usize]) -> Vec<String> {
    let client = open().await;
    let (mut reader, mut writer) = tokio::io::split(client.stream);
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut at = 0;
    for end in ends {
        writer.write_all(&stream[at..end]).await.unwrap();
        at = end;
        // The other side reads what there is before more comes.
        tokio::task::yield_now().await;
    }
    writer.shutdown().await.unwrap();
    let mut answer = String::new();
    let _ = reader.read_to_string(&mut answer).await.unwrap();
    answer.split("{\"code\":\"").skip(1).map(|rest| rest[..5].to_owned()).collect()
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order_wherever_they_are_cut() {
    let stream: Vec<u8> = PIPELINED.iter().flat_map(|(request, _)| request.bytes()).collect();
    let expected: Vec<_> = PIPELINED.iter().map(|(_, code)| (*code).to_owned()).collect();
    for cut in 0..stream.len() {
        assert_eq!(codes(&stream, &[cut]).await, expected, "cut at {cut}");
    }
    let every: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(codes(&stream, &every).await, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cuts_never_change_the_answers(
        picks in proptest::collection::vec(0..PIPELINED.len(), 1..6),
        bad in proptest::option::of(0..AMBIGUOUS.len()),
        cuts in proptest::collection::vec(any::<usize>(), 0..9),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut stream: Vec<u8> = picks.iter().flat_map(|pick| PIPELINED[*pick].0.bytes()).collect();
        let mut expected: Vec<_> = picks.iter().map(|pick| PIPELINED[*pick].1.to_owned()).collect();
        if let Some(bad) = bad {
            stream.extend_from_slice(AMBIGUOUS[bad].as_bytes());
            expected.push("51000".to_owned());
        }
        prop_assert_eq!(runtime.block_on(codes(&stream, &cuts)), expected);
    }
}
