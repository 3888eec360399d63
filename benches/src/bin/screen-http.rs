//! Screening over HTTP: requests a second and how long each takes, against a process that serves.
//!
//! `screen-http ADDRESS:PORT TOKEN_FILE ADDRESSES_FILE [SECONDS] [CONNECTIONS] [LINES]`. Each connection sends one request at a
//! time: a single address, or so many addresses a line where `LINES` is above 1. Budgets: 20,000 addresses/s on two
//! processors, p99 of a request below 2 ms; the load comes from the same machine and takes its share of them.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use benches::mix;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Requests made up beforehand.
const N_REQUESTS: u64 = 512;

fn request(host: &str, token: &str, addresses: &[&str], lines: u64, n: u64) -> Vec<u8> {
    let at = |n: u64| {
        let place = usize::try_from(mix(n)).unwrap_or(0) % addresses.len();
        addresses.get(place).copied().unwrap_or_default()
    };
    let body: String =
        (0..lines).map(|line| format!("{{\"address\":\"{}\"}}\n", at(n * lines + line))).collect();
    let media = if lines > 1 { "application/x-ndjson" } else { "application/json" };
    format!(
        "POST /v1/screen HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: {media}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one answer; its status must be 200.
async fn answered(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let (mut head, mut wanted) = (None, usize::MAX);
    while buffer.len() < wanted {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the connection ended");
        }
        if head.is_none()
            && let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let text = std::str::from_utf8(buffer.get(..end).unwrap_or_default())?.to_ascii_lowercase();
            ensure!(text.starts_with("http/1.1 200"), "{text}");
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            wanted = end + 4 + length.context("no length")?.trim().parse::<usize>()?;
            head = Some(end);
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, token_file, addresses_file, rest @ ..] = arguments.as_slice() else {
        bail!("screen-http ADDRESS:PORT TOKEN_FILE ADDRESSES_FILE [SECONDS] [CONNECTIONS] [LINES]");
    };
    let number = |at: usize, default: u64| rest.get(at).map_or(Ok(default), |text| text.parse());
    let (seconds, connections, lines) = (number(0, 10)?, number(1, 8)?, number(2, 1)?);
    let token = std::fs::read_to_string(token_file)?.trim().to_owned();
    let file = std::fs::read_to_string(addresses_file)?;
    let addresses: Vec<&str> = file.lines().filter(|line| !line.is_empty()).collect();
    ensure!(!addresses.is_empty() && connections > 0 && lines > 0, "nothing to ask");
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = Vec::new();
    for connection in 0..connections {
        let requests: Vec<Vec<u8>> = (0..N_REQUESTS)
            .map(|n| request(host, &token, &addresses, lines, connection * N_REQUESTS + n))
            .collect();
        let host = host.clone();
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(&host).await?;
            stream.set_nodelay(true)?;
            let (mut times, mut buffer) = (Vec::new(), Vec::with_capacity(1 << 20));
            for request in requests.iter().cycle() {
                let before = Instant::now();
                if before >= until {
                    break;
                }
                stream.write_all(request).await?;
                answered(&mut stream, &mut buffer).await?;
                times.push(before.elapsed());
            }
            Ok::<_, anyhow::Error>(times)
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    times.sort_unstable();
    let at = |share: usize| {
        times.get(times.len() * share / 1_000).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    let rate = times.len() as f64 / seconds as f64;
    println!(
        "{rate:.0} requests/s, {:.0} addresses/s over {connections} connections: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        rate * lines as f64,
        at(500),
        at(990),
        at(999)
    );
    Ok(())
}
