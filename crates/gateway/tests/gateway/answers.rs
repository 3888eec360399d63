//! Answers of an exchange that says exactly what a test tells it to, byte for byte.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::world::{Key, Reply, TRADER, World, code, read_message, request};

const TARGET: &str = "/api/v5/account/balance";
const OK: &str = r#"{"code":"0","msg":"","data":[]}"#;

/// What every request is answered: pieces sent one after the other, and whether the connection then ends.
#[derive(Debug, Default, Clone)]
struct Script {
    pieces: Vec<Vec<u8>>,
    ends: bool,
}

/// A gateway in front of such an exchange.
struct Stage {
    world: World,
    key: Key,
    script: Arc<Mutex<Script>>,
}

impl Stage {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Mutex::new(Script::default()));
        let told = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    let mut buffer = Vec::new();
                    while read_message(&mut stream, &mut buffer).await.is_some() {
                        let Script { pieces, ends } = told.lock().clone();
                        for piece in pieces {
                            if stream.write_all(&piece).await.is_err() {
                                return;
                            }
                            tokio::task::yield_now().await;
                        }
                        if ends {
                            return;
                        }
                    }
                });
            }
        });
        let world = World::configured(|config| {
            config.upstream.authority = address;
            config.upstream.body_stall_timeout = Duration::from_millis(300);
        })
        .await;
        let key = world.key(&TRADER);
        Self { world, key, script }
    }

    fn says(&self, answer: &str, ends: bool) {
        *self.script.lock() = Script { pieces: vec![answer.as_bytes().to_vec()], ends };
    }

    /// The whole answer as the client gets it, on a connection that then ends.
    async fn raw(&self, version: &str) -> String {
        let headers = self.world.signed(&self.key, "GET", TARGET, "");
        let text = request("GET", TARGET, &headers, "")
            .replace("HTTP/1.1\r\n", &format!("HTTP/{version}\r\nConnection: close\r\n"));
        let mut stream = TcpStream::connect(self.world.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self) -> Reply {
        self.world.get(&self.key, TARGET).await
    }

    fn opened(&self) -> u64 {
        self.world.metrics.snapshot().upstream_connections
    }
}

#[tokio::test]
async fn every_way_to_end_a_body_is_understood() {
    let stage = Stage::start().await;
    stage.says(&format!("HTTP/1.1 200 Fine\r\nX-A:  b \r\nContent-Length: {}\r\n\r\n{OK}", OK.len()), false);
    let answer = stage.raw("1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 31\r\ndate: "), "{answer}");
    assert!(answer.ends_with(&format!("connection: close\r\n\r\n{OK}")), "{answer}");
    stage.says(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n",
        false,
    );
    let answer = stage.raw("1.1").await;
    assert!(answer.contains("transfer-encoding: chunked\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "{answer}");
    let answer = stage.raw("1.0").await;
    assert!(answer.ends_with("\r\n\r\nabcde") && !answer.contains("chunked"), "{answer}");
    assert_eq!(stage.opened(), 1);
    stage.says("HTTP/1.0 404 Gone\r\nDate: then\r\n\r\nuntil the end", true);
    let answer = stage.raw("1.1").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\nDate: then\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n"), "{answer}");
    for status in ["204 No Content", "304 Not Modified"] {
        stage.says(&format!("HTTP/1.1 {status}\r\nETag: a\r\n\r\n"), false);
        let answer = stage.raw("1.1").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\nETag: a\r\n")), "{answer}");
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("content-length"), "{answer}");
    }
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
    stage.says(&format!("{early}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), false);
    let answer = stage.raw("1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"), "{answer}");
}

#[tokio::test]
async fn an_answer_without_a_clear_end_is_none() {
    let stage = Stage::start().await;
    let (mut refused, mut opened) = (0, 0);
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        stage.says(answer, false);
        assert_eq!(stage.get().await.code(), code("50001", 503), "{answer:?}");
        // Whether an order arrived nobody knows.
        let body = format!("{{\"n\":{refused}}}");
        let order = stage.world.post(&stage.key, "/api/v5/account/set-leverage", &body).await;
        assert_eq!(order.code(), code("50004", 400), "{answer:?}");
        refused += 2;
        opened += 2;
        assert_eq!((stage.world.refusals("upstream_malformed"), stage.opened()), (refused, opened));
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_not_taken_for_the_next_answer() {
    let stage = Stage::start().await;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{OK}",
        OK.len()
    );
    stage.says(&format!("{answer}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), false);
    for n in 1..4 {
        assert_eq!(stage.get().await.body, OK.as_bytes());
        assert_eq!(stage.opened(), n, "a connection that says too much is not used again");
    }
}

#[tokio::test]
async fn an_answer_that_stalls_or_lies_breaks_off() {
    let stage = Stage::start().await;
    for (answer, ends) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfX\r\n0\r\n\r\n", false),
    ] {
        stage.says(answer, ends);
        let got = stage.raw("1.1").await;
        assert!(!got.ends_with("0\r\n\r\n") && !got.ends_with("half\r\n\r\n"), "{got}");
    }
}

#[tokio::test]
async fn answers_may_be_cut_anywhere() {
    let stage = Stage::start().await;
    let chunked = "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n";
    let plain = "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nabcde";
    let body = |answer: &str| {
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        // Chunks may be cut like the stream; their bytes may not differ.
        body.split("\r\n")
            .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
            .collect::<String>()
    };
    for (answer, expected) in [(chunked, "abc"), (plain, "abcde")] {
        for cut in 1..answer.len() {
            let (first, rest) = answer.as_bytes().split_at(cut);
            *stage.script.lock() = Script { pieces: vec![first.to_vec(), rest.to_vec()], ends: false };
            stage.world.clock.advance(Duration::from_millis(10));
            let got = stage.raw("1.1").await;
            assert!(got.starts_with("HTTP/1.1 200 OK\r\nX-A: b\r\n"), "cut at {cut}: {got}");
            assert_eq!(body(&got), expected, "cut at {cut}: {got}");
        }
        let pieces = answer.bytes().map(|byte| vec![byte]).collect();
        *stage.script.lock() = Script { pieces, ends: false };
        assert_eq!(body(&stage.raw("1.1").await), expected);
    }
    assert_eq!(stage.opened(), 1);
}
