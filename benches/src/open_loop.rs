//! Open-loop load over HTTP/1.1: requests fall due on a fixed schedule, whether or not earlier ones were answered.
//!
//! Latency counts from the moment a request was due, so a process that stalls is charged for every request it made wait, and not
//! only for the one it was slow with (Tene, "How NOT to Measure Latency": coordinated omission). What the loader itself is
//! late by is in the figures too; it runs on the same machine, so they are upper bounds.
//!
//! # Bounds
//! One request under way for each of [`CONNECTIONS_MAX`] kept-alive connections, each with a thread that mostly sleeps.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::histogram::Histogram;

/// Connections of one run.
pub const CONNECTIONS_MAX: u64 = 512;
/// Before the schedule begins, so that every thread is there.
const LEAD: Duration = Duration::from_millis(200);
/// The part of a run that is not counted: connections and caches are cold.
const WARM: Duration = Duration::from_secs(1);
/// Bytes of an answer's head and body, at most.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Different failures that are told apart.
const FAILURES_MAX: usize = 16;

/// What is sent, how fast and for how long.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Address and port.
    pub host: String,
    /// Requests a second.
    pub rate: u64,
    /// Seconds that count; one more comes before them.
    pub seconds: u64,
    /// Connections.
    pub connections: u64,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Microseconds from due to answered, of answers with status 200.
    pub latency: Histogram,
    /// What went wrong, and how often; nothing of it is in the latencies.
    pub failures: BTreeMap<String, u64>,
    /// From the first counted request due to the last answer.
    pub elapsed: Duration,
}

impl Outcome {
    fn fail(&mut self, what: String) {
        let what = if self.failures.len() < FAILURES_MAX { what } else { "others".to_owned() };
        *self.failures.entry(what).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        self.latency.merge(&other.latency);
        for (what, count) in other.failures {
            *self.failures.entry(what).or_default() += count;
        }
        self.elapsed = self.elapsed.max(other.elapsed);
    }

    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.latency.count() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| self.latency.quantile(share) as f64 / 1e3;
        write!(
            f,
            "{:.0} answers/s: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, most {:.2} ms; {} failures",
            self.rate(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            self.failures.values().sum::<u64>()
        )?;
        self.failures.iter().try_for_each(|(what, count)| write!(f, "\n  {count} times: {what}"))
    }
}

/// Bytes of a request with a body.
#[must_use]
pub fn post(host: &str, path: &str, token: &str, media: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: {media}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends request after request as they fall due; `request` makes the one of a number, `answered` sees the body of its answer.
///
/// # Errors
/// The schedule makes no sense, or nothing can be connected to.
pub fn run(
    schedule: &Schedule,
    request: impl Fn(u64) -> Vec<u8> + Sync,
    answered: impl Fn(&[u8]) + Sync,
) -> Result<Outcome> {
    ensure!(schedule.rate > 0 && schedule.seconds > 0, "a rate and a time above zero");
    ensure!((1..=CONNECTIONS_MAX).contains(&schedule.connections), "1 to {CONNECTIONS_MAX} connections");
    let start = Instant::now() + LEAD;
    let warm = schedule.rate * WARM.as_secs();
    let end = warm + schedule.rate * schedule.seconds;
    let next = AtomicU64::new(0);
    let worker = || -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut stream = Some(connect(&schedule.host)?);
        let mut buffer = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return Ok(outcome);
            }
            let bytes = request(number);
            let due = start + Duration::from_secs(1).mul_f64(number as f64 / schedule.rate as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut connection = match stream.take().map_or_else(|| connect(&schedule.host), Ok) {
                Ok(connection) => connection,
                Err(error) => {
                    outcome.fail(format!("{error:#}"));
                    continue;
                }
            };
            let status = exchange(&mut connection, &bytes, &mut buffer);
            let took = due.elapsed();
            match status {
                Ok((200, body)) => {
                    stream = Some(connection);
                    if number >= warm {
                        outcome.latency.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                        outcome.elapsed = start.elapsed().saturating_sub(WARM);
                    }
                    answered(buffer.get(body..).unwrap_or_default());
                }
                Ok((status, _)) => {
                    stream = Some(connection);
                    outcome.fail(format!("status {status}"));
                }
                Err(error) => outcome.fail(format!("{error:#}")),
            }
        }
    };
    let mut all = Outcome::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..schedule.connections).map(|_| scope.spawn(worker)).collect();
        for thread in threads {
            match thread.join() {
                Ok(outcome) => all.merge(outcome?),
                Err(_) => bail!("a thread of the load failed"),
            }
        }
        Ok(())
    })?;
    Ok(all)
}

fn connect(host: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(host).with_context(|| format!("no connection to {host}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

/// Sends a request and reads its answer into the buffer: the status, and where the body begins.
fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Result<(u16, usize)> {
    stream.write_all(request)?;
    buffer.clear();
    let mut chunk = [0; 16 << 10];
    let mut whole: Option<(u16, usize, usize)> = None;
    loop {
        if let Some((status, body, end)) = whole
            && buffer.len() >= end
        {
            return Ok((status, body));
        }
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "the connection ended within an answer");
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        ensure!(buffer.len() <= ANSWER_BYTES_MAX, "an answer of more than {ANSWER_BYTES_MAX} bytes");
        if whole.is_none()
            && let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = std::str::from_utf8(buffer.get(..end).unwrap_or_default())?.to_ascii_lowercase();
            let status = head.split(' ').nth(1).context("no status")?.parse()?;
            let length = head.split("\r\ncontent-length:").nth(1).and_then(|rest| rest.lines().next());
            whole = Some((status, end + 4, end + 4 + length.context("no length")?.trim().parse::<usize>()?));
        }
    }
}
