//! A raw server behind the gateway that writes down every request it is sent, as a naive exchange would read it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Duration, sleep};

/// Bytes of the answer to a path that ends in `/books`, for readers that never read.
pub const LARGE_ANSWER_BYTES: usize = 4 << 20;
/// Heads kept; more are counted only.
const HEADS_MAX: usize = 4_096;

/// What arrived so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Requests.
    pub n_requests: usize,
    /// Their heads, the latest [`HEADS_MAX`] at most.
    pub heads: Vec<String>,
}

/// The server.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where it listens.
    pub addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Upstream {
    /// Starts it on a free port of loopback.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        Self::with(None).await
    }

    /// One that works on `places` requests at a time, each for `service`; the others wait.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn limited(places: usize, service: Duration) -> Result<Self> {
        Self::with(Some(Desk { places: Arc::new(Semaphore::new(places)), service })).await
    }

    async fn with(desk: Option<Desk>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen")?;
        let upstream = Self { addr: listener.local_addr()?, seen: Arc::default() };
        let seen = Arc::clone(&upstream.seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, desk) = (Arc::clone(&seen), desk.clone());
                tokio::spawn(async move { serve(stream, &seen, desk.as_ref()).await });
            }
        });
        Ok(upstream)
    }

    /// Forgets what arrived and returns it.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where requests are worked on.
#[derive(Debug, Clone)]
struct Desk {
    places: Arc<Semaphore>,
    service: Duration,
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Seen>, desk: Option<&Desk>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = Vec::new();
    let mut chunk = vec![0; 16_384];
    loop {
        let end = loop {
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut chunk).await {
                Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let length =
            field(&head, "content-length").and_then(|value| value.parse::<usize>().ok()).unwrap_or(0);
        while buffer.len() < end + length {
            match stream.read(&mut chunk).await {
                Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
                _ => return,
            }
        }
        buffer.drain(..end + length);
        let is_large = head.lines().next().is_some_and(|line| line.contains("/books"));
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.n_requests += 1;
            if seen.heads.len() < HEADS_MAX {
                seen.heads.push(head);
            }
        }
        if let Some(desk) = desk {
            let Ok(_place) = desk.places.acquire().await else { return };
            sleep(desk.service).await;
        }
        let body = if is_large {
            format!(r#"{{"code":"0","msg":"","data":["{}"]}}"#, "x".repeat(LARGE_ANSWER_BYTES))
        } else {
            r#"{"code":"0","msg":"","data":[]}"#.to_owned()
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The first value of a header field.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
