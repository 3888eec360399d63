//! Clients that hold connections by being slow or silent: heads and bodies byte by byte, answers nobody reads, and
//! thousands of connections that say nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::client::Stream;
use crate::honest::Honest;
use crate::house::House;
use crate::process;
use crate::report::Row;
use crate::signing::Key;

/// Connections of each dripping attack; below the gateway's bound for one source.
const DRIPS: usize = 100;
/// Between two bytes or lines.
const DRIP_PACE: Duration = Duration::from_millis(500);
/// A head must be whole by then, with half a second for the machine.
const HEAD_MAX: Duration = Duration::from_millis(10_500);
/// A body slower than 240 bytes a second must be given up and its connection closed by then; its grace is 5 s.
const BODY_MAX: Duration = Duration::from_secs(15);
/// An answer nobody reads must be given up by then: 10 s without progress, and what comes before.
const READ_MAX: Duration = Duration::from_secs(15);
/// Connections that never read.
const NON_READERS: usize = 50;
/// Memory one of them may cost the gateway.
const NON_READER_BYTES_MAX: u64 = 64 << 10;
/// Silent connections, and how many of one source may stay.
const SILENT: usize = 4_000;
const PER_SOURCE: usize = 128;

const ORDER: &str = "/api/v5/trade/order";

/// What an honest client does beside an attack, and what both found.
async fn beside<T>(
    house: &House,
    key: &Key,
    attack: impl Future<Output = Result<T>>,
) -> Result<(T, crate::honest::Fared)> {
    let honest = Honest::start(house.door.clone(), key.clone());
    let found = attack.await;
    let fared = honest.fared().await;
    Ok((found?, fared))
}

/// Sends `head`, then one piece of `drip` at a time; how long until the gateway closed, `None` if it did not.
async fn drip(mut stream: Stream, head: String, drip: &'static str, max: Duration) -> Option<Duration> {
    let start = Instant::now();
    let work = async {
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        let mut pace = interval(DRIP_PACE);
        let mut sink = [0; 4_096];
        loop {
            tokio::select! {
                read = stream.read(&mut sink) => if matches!(read, Ok(0) | Err(_)) { return },
                _ = pace.tick() => {
                    if stream.write_all(drip.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    timeout(max, work).await.ok().map(|()| start.elapsed())
}

async fn drips(
    house: &House,
    from: Ipv4Addr,
    head: impl Fn() -> String,
    piece: &'static str,
    max: Duration,
) -> Result<Vec<Option<Duration>>> {
    let mut tasks = JoinSet::new();
    for _ in 0..DRIPS {
        let stream = house.door.connect(from, b"http/1.1").await?;
        // A second more than allowed, so that lateness is seen rather than guessed.
        tasks.spawn(drip(stream, head(), piece, max + Duration::from_secs(1)));
    }
    Ok(tasks.join_all().await)
}

fn closed(attack: &str, max: Duration, times: &[Option<Duration>], fared: &crate::honest::Fared) -> Row {
    let n_open = times.iter().filter(|time| time.is_none_or(|time| time > max)).count();
    let last = times.iter().flatten().max().copied().unwrap_or_default();
    Row::new(
        attack,
        &format!("all closed within {:.1} s, others unaffected", max.as_secs_f64()),
        format!(
            "{n_open} of {} open too long, last closed after {:.1} s; {}",
            times.len(),
            last.as_secs_f64(),
            fared.text()
        ),
        n_open == 0 && fared.is_well(),
    )
}

/// Heads that never end, one line at a time.
///
/// # Errors
/// When connections are refused from the start.
pub async fn heads(house: &House) -> Result<Row> {
    let key = house.key("slow-heads")?;
    let head = || "GET /api/v5/public/time HTTP/1.1\r\nHost: localhost\r\n".to_owned();
    let attack = drips(house, Ipv4Addr::new(127, 0, 0, 4), head, "X-A: b\r\n", HEAD_MAX);
    let (times, fared) = beside(house, &key, attack).await?;
    Ok(closed("head drip", HEAD_MAX, &times, &fared))
}

/// Bodies that never end, two bytes a second.
///
/// # Errors
/// When connections are refused from the start.
pub async fn bodies(house: &House) -> Result<Row> {
    let key = house.key("slow-bodies")?;
    let body = "x".repeat(1_000);
    let head = || {
        let signed = key.lines("POST", ORDER, &body);
        format!(
            "POST {ORDER} HTTP/1.1\r\nHost: localhost\r\n{signed}Content-Type: application/json\r\n\
             Content-Length: 1000\r\n\r\n"
        )
    };
    let attack = drips(house, Ipv4Addr::new(127, 0, 0, 5), head, "x", BODY_MAX);
    let (times, fared) = beside(house, &key, attack).await?;
    Ok(closed("body drip", BODY_MAX, &times, &fared))
}

/// Asks `n` times for a large answer and reads nothing of it. Says how many connections are open at the end, after how
/// long, and the most memory the program had.
async fn read_nothing(house: &House, n: usize) -> Result<(usize, Duration, u64)> {
    const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
    let mut streams = Vec::new();
    for _ in 0..n {
        let mut stream = house.door.tcp(HOME, Some(4_096)).await?;
        stream
            .write_all(b"GET /api/v5/market/books?instId=BTC-USDT HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await?;
        streams.push(stream);
    }
    let start = Instant::now();
    let mut look = interval(Duration::from_millis(250));
    let mut peak = 0;
    loop {
        look.tick().await;
        peak = peak.max(process::resident_bytes(house.pid())?);
        let n_open = process::established(house.door.addr, IpAddr::V4(HOME))?;
        if n_open == 0 || start.elapsed() > READ_MAX {
            drop(streams);
            return Ok((n_open, start.elapsed(), peak));
        }
    }
}

/// Large answers that nobody reads. The house must be in front of our own upstream, without TLS.
///
/// # Errors
/// When connections are refused from the start.
pub async fn readers(house: &House) -> Result<Row> {
    let key = house.key("slow-readers")?;
    // The first use of a key costs a slow passphrase check of some 19 MiB, and tables get their memory where they are
    // first used. A few readers see to both; what is there after them is no connection's.
    beside(house, &key, read_nothing(house, NON_READERS / 10)).await?;
    let before = process::resident_bytes(house.pid())?;
    let ((n_open, elapsed, peak), fared) = beside(house, &key, read_nothing(house, NON_READERS)).await?;
    let each = peak.saturating_sub(before) / u64::try_from(NON_READERS)?;
    Ok(Row::new(
        "slow read",
        &format!("all closed within {} s, under 64 KiB each, others unaffected", READ_MAX.as_secs()),
        format!(
            "{n_open} of {NON_READERS} open after {:.1} s, {} KiB each; {}",
            elapsed.as_secs_f64(),
            each >> 10,
            fared.text()
        ),
        n_open == 0 && each < NON_READER_BYTES_MAX && fared.is_well(),
    ))
}

/// Thousands of connections from one source that say nothing, while others work.
///
/// # Errors
/// When `/proc` cannot be read.
pub async fn flood(house: &House) -> Result<Row> {
    const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    let criterion = format!("of {SILENT} connections at most {PER_SOURCE} stay, others unaffected");
    if process::raise_file_limit() < u64::try_from(SILENT)? + 200 {
        return Ok(Row::skipped("connection flood", &criterion, "the limit of open files is too low"));
    }
    let key = house.key("flood")?;
    let attack = async {
        let mut streams = Vec::with_capacity(SILENT);
        let mut n_refused = 0;
        for _ in 0..SILENT {
            match house.door.tcp(HOME, None).await {
                Ok(stream) => streams.push(stream),
                Err(_) => n_refused += 1,
            }
        }
        // What stays, once the gateway has come to every connection: the last was accepted by the kernel just now.
        let mut look = interval(Duration::from_millis(100));
        let start = Instant::now();
        loop {
            look.tick().await;
            let n_open = process::established(house.door.addr, IpAddr::V4(HOME))?;
            if n_open <= PER_SOURCE || start.elapsed() > Duration::from_secs(5) {
                return Ok((n_open, n_refused, streams.len()));
            }
        }
    };
    let ((n_open, n_refused, n_made), fared) = beside(house, &key, attack).await?;
    Ok(Row::new(
        "connection flood",
        &criterion,
        format!("{n_open} stay of {n_made} ({n_refused} refused by the kernel); {}", fared.text()),
        n_open <= PER_SOURCE && fared.is_well(),
    ))
}
