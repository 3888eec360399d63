//! Decisions and events over HTTP: how long requests take that come at a given rate, against a process that serves with its
//! journal.
//!
//! `decision-http ADDRESS:PORT TOKEN_FILE decisions|strangers|events [RATE] [SECONDS] [CONNECTIONS] [BATCH]`. RATE requests a
//! second: withdrawals of 20,000 accounts to 140,000 addresses, or batches of BATCH events about these accounts (orders,
//! deposits, logins). With `decisions` the exchange has told beforehand what the accounts hold, which devices they use and
//! which addresses they entered, and one withdrawal in a hundred takes most of a balance to an address nobody knows; with
//! `strangers` nothing was told, so that each is questioned and leads to a case: the worst that can come. Budget: p99 of a decision below 5 ms at 5,000/s on two processors; the load comes from the same machine and takes
//! its share of them. What decides is what the process has in force: promote a bundle first
//! (`docs/operating/fraud-live.md`) to have its model and rules in the figures. Verdicts and the codes of reasons are
//! counted, since a decision that a source did not answer in time is quick too.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "events are told with the time they happen at")]

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail, ensure};
use benches::{
    mix,
    open_loop::{Schedule, post, run},
};
use domain::UnixNanos;
use serde_json::Value;

const N_ACCOUNTS: u64 = 20_000;
/// Addresses that one account pays to.
const N_ADDRESSES: u64 = 7;
/// What an account holds.
const BALANCE: u64 = 1_000_000;
/// One withdrawal in so many takes most of a balance to an address nobody knows.
const ODD_ONE_IN: u64 = 100;
/// Accounts told of in one request.
const TOLD_TOGETHER: u64 = 50;
/// How long log and backup are given to have in what was told.
const CATCH_UP: Duration = Duration::from_secs(8);
/// One answer in so many is read by the load, which takes its time from the same processors.
const READ_ONE_IN: u64 = 16;
/// Different words that are counted.
const WORDS_MAX: usize = 64;

fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// An address of an account, the same in each run.
fn address(account: u64, number: u64) -> String {
    let to = mix(account * N_ADDRESSES + number);
    format!("0x{to:016x}{:016x}{:08x}", mix(to), to >> 40)
}

fn withdrawal(run: u64, n: u64) -> String {
    let random = mix(n);
    let account = random % N_ACCOUNTS;
    let is_odd = n.is_multiple_of(ODD_ONE_IN);
    let (to, most) = if is_odd {
        (address(N_ACCOUNTS + n, 0), BALANCE * 9 / 10)
    } else {
        (address(account, (random >> 20) % N_ADDRESSES), 1 + (random >> 30) % 900)
    };
    format!(
        "{{\"type\":\"withdrawal\",\"withdrawal\":{{\"account\":\"load-{run:x}-{account}\",\"asset\":\"USDT\",\
         \"amount\":\"{most}.{:02}\",\"network\":\"ethereum\",\"address\":\"{to}\",\"ip\":\"198.51.100.{}\",\
         \"device\":\"d-{account}\"}}}}",
        (random >> 40) % 100,
        account % 250
    )
}

/// What the exchange told about an account before it withdraws.
fn known(run: u64, account: u64, at: UnixNanos) -> String {
    let head = |what: &str| {
        format!(
            "{{\"id\":\"load-{run:x}-{account}-{what}\",\"account\":\"load-{run:x}-{account}\",\"occurred_at\":\"{at}\""
        )
    };
    let mut lines = format!(
        "{},\"type\":\"balance_changed\",\"asset\":\"USDT\",\"total\":\"{BALANCE}\"}}\n\
         {},\"type\":\"device_added\",\"device\":\"d-{account}\"}}\n",
        head("balance"),
        head("device")
    );
    for number in 0..N_ADDRESSES {
        let (head, to) = (head(&number.to_string()), address(account, number));
        let line =
            format!("{head},\"type\":\"address_added\",\"network\":\"ethereum\",\"address\":\"{to}\"}}\n");
        lines.push_str(&line);
    }
    lines
}

fn event(run: u64, n: u64, at: UnixNanos) -> String {
    let random = mix(n ^ run);
    let account = random % N_ACCOUNTS;
    let head = format!(
        "{{\"id\":\"load-{run:x}-{n}\",\"account\":\"load-{run:x}-{account}\",\"occurred_at\":\"{at}\""
    );
    match (random >> 20) % 4 {
        0 => format!(
            "{head},\"type\":\"login\",\"success\":true,\"second_factor\":true,\"device\":\"d-{account}\",\
             \"ip\":\"198.51.100.{}\",\"country\":\"CH\",\"asn\":64500}}\n",
            account % 250
        ),
        1 => format!(
            "{head},\"type\":\"deposit\",\"asset\":\"USDT\",\"amount\":\"{0}\",\"value\":\"{0}\",\"network\":\"ethereum\"}}\n",
            1 + (random >> 30) % 900
        ),
        _ => format!(
            "{head},\"type\":\"order_filled\",\"instrument\":\"BTC-USDT\",\"quantity\":\"0.01\",\"price\":\"65000\"}}\n"
        ),
    }
}

/// Counts a word of an answer.
fn count(words: &mut BTreeMap<String, u64>, word: Option<&Value>) {
    let word = word.and_then(Value::as_str).unwrap_or("none");
    if words.len() < WORDS_MAX || words.contains_key(word) {
        *words.entry(word.to_owned()).or_default() += 1;
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, token_file, kind, rest @ ..] = arguments.as_slice() else {
        bail!(
            "decision-http ADDRESS:PORT TOKEN_FILE decisions|strangers|events [RATE] [SECONDS] [CONNECTIONS] [BATCH]"
        );
    };
    let number = |at: usize, default: u64| rest.get(at).map_or(Ok(default), |text| text.parse());
    let (rate, seconds, connections, batch) =
        (number(0, 5_000)?, number(1, 20)?, number(2, 64)?, number(3, 1)?);
    let are_decisions = match kind.as_str() {
        "decisions" | "strangers" => true,
        "events" => false,
        other => bail!("decisions, strangers or events, not {other}"),
    };
    ensure!(batch > 0, "nothing to tell");
    let token = std::fs::read_to_string(token_file)?.trim().to_owned();
    let schedule = Schedule { host: host.clone(), rate, seconds, connections };
    let begun = now();
    if kind == "decisions" {
        let told = Schedule {
            host: host.clone(),
            rate: 100,
            seconds: N_ACCOUNTS / TOLD_TOGETHER / 100,
            connections: 4,
        };
        let each = |n: u64| {
            let accounts = n * TOLD_TOGETHER..(n + 1) * TOLD_TOGETHER;
            let lines: String = accounts.map(|account| known(begun.0, account, begun)).collect();
            post(host, "/v1/events", &token, "application/x-ndjson", &lines)
        };
        let outcome = run(&told, each, |_| {})?;
        ensure!(outcome.failures.is_empty(), "what is known could not be told: {outcome}");
        // That was an hour's worth of events in four seconds: log and backup have it in after some more.
        std::thread::sleep(CATCH_UP);
    }
    let request = |n: u64| {
        if are_decisions {
            return post(host, "/v1/decisions", &token, "application/json", &withdrawal(begun.0, n));
        }
        let at = now();
        let body: String = (0..batch).map(|line| event(begun.0, n * batch + line, at)).collect();
        post(host, "/v1/events", &token, "application/x-ndjson", &body)
    };
    let words: Mutex<[BTreeMap<String, u64>; 2]> = Mutex::default();
    let answers = AtomicU64::new(0);
    let answered = |body: &[u8]| {
        let is_read = are_decisions && answers.fetch_add(1, Ordering::Relaxed).is_multiple_of(READ_ONE_IN);
        if is_read && let Ok(answer) = serde_json::from_slice::<Value>(body) {
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            count(&mut words[0], answer.get("verdict"));
            for reason in answer.get("reasons").and_then(Value::as_array).into_iter().flatten() {
                count(&mut words[1], reason.get("code"));
            }
        }
    };
    let outcome = run(&schedule, request, answered)?;
    println!("{kind}, {rate} requests/s over {connections} connections: {outcome}");
    if !are_decisions {
        println!("{:.0} events/s", outcome.rate() * batch as f64);
    }
    for (what, words) in
        ["verdicts", "reasons"].iter().zip(words.into_inner().unwrap_or_else(PoisonError::into_inner))
    {
        for (word, count) in words {
            println!("  {what}, of one answer in {READ_ONE_IN}: {word} {count}");
        }
    }
    Ok(())
}
