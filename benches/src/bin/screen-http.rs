//! Screening over HTTP: how long requests take that come at a given rate, against a process that serves.
//!
//! `screen-http ADDRESS:PORT TOKEN_FILE ADDRESSES_FILE [RATE] [SECONDS] [CONNECTIONS] [LINES]`. RATE requests a second, each a
//! single address, or so many addresses a line where `LINES` is above 1. Budgets: 20,000 addresses/s on two processors, p99
//! of a request below 2 ms; the load comes from the same machine and takes its share of them.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use anyhow::{Result, bail, ensure};
use benches::{
    mix,
    open_loop::{Schedule, post, run},
};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, token_file, addresses_file, rest @ ..] = arguments.as_slice() else {
        bail!("screen-http ADDRESS:PORT TOKEN_FILE ADDRESSES_FILE [RATE] [SECONDS] [CONNECTIONS] [LINES]");
    };
    let number = |at: usize, default: u64| rest.get(at).map_or(Ok(default), |text| text.parse());
    let (rate, seconds, connections, lines) =
        (number(0, 2_000)?, number(1, 10)?, number(2, 16)?, number(3, 1)?);
    let token = std::fs::read_to_string(token_file)?.trim().to_owned();
    let file = std::fs::read_to_string(addresses_file)?;
    let addresses: Vec<&str> = file.lines().filter(|line| !line.is_empty()).collect();
    ensure!(!addresses.is_empty() && lines > 0, "nothing to ask");
    let schedule = Schedule { host: host.clone(), rate, seconds, connections };
    let media = if lines > 1 { "application/x-ndjson" } else { "application/json" };
    let request = |n: u64| {
        let line = |line: u64| {
            let place = usize::try_from(mix(n * lines + line)).unwrap_or(0) % addresses.len();
            format!("{{\"address\":\"{}\"}}\n", addresses.get(place).copied().unwrap_or_default())
        };
        post(host, "/v1/screen", &token, media, &(0..lines).map(line).collect::<String>())
    };
    let outcome = run(&schedule, request, |_| {})?;
    println!("{:.0} addresses/s over {connections} connections; {outcome}", outcome.rate() * lines as f64);
    Ok(())
}
