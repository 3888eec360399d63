//! Captured requests sent again, altered, or with times of other forms. The house is the demo: its orders are real.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::client::{Answer, Answers, Door};
use crate::house::House;
use crate::report::Row;
use crate::signing::{Key, get, now_millis, post};

const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);
const ORDER: &str = "/api/v5/trade/order";
const BALANCE: &str = "/api/v5/account/balance";
/// Replays at the same time.
const PARALLEL: usize = 20;

async fn send(door: Door, request: String) -> Result<Answer> {
    let mut stream = door.connect(HOME, b"http/1.1").await?;
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    Answers::default().next(&mut stream).await?.ok_or_else(|| anyhow::anyhow!("closed without an answer"))
}

fn order(client_id: &str) -> String {
    format!(
        r#"{{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"10000","sz":"0.0001","clOrdId":"{client_id}"}}"#
    )
}

/// Runs all of it.
///
/// # Errors
/// When the honest requests themselves fail, because then the rest says nothing.
pub async fn run(house: &House) -> Result<Vec<Row>> {
    let key = house.key("")?;
    let door = || house.door.clone();
    let mut faults = Vec::new();
    let mut expect = |what: &str, answer: &Answer, is_right: bool| {
        if !is_right {
            faults.push(format!("{what}: {} {}", answer.status, answer.code));
        }
    };
    let is_accepted = |answer: &Answer| answer.status == 200 && answer.code == "0";

    let captured = post(&key, ORDER, &order("replay1"));
    let first = send(door(), captured.clone()).await?;
    ensure!(is_accepted(&first), "the first order is refused: {first:?}");
    let again = send(door(), captured.clone()).await?;
    expect("order again", &again, again.code == "50042");
    let read = get(&key, BALANCE);
    for what in ["read", "read again"] {
        let answer = send(door(), read.clone()).await?;
        expect(what, &answer, is_accepted(&answer));
    }
    // The signature covers target and body without a mark between them.
    let moved = post(&key, &format!("{ORDER}?x=1"), &order("moved1"));
    let body = order("moved1");
    let boundary = moved
        .replace(&format!("{ORDER}?x=1"), ORDER)
        .replace(&format!("\r\n\r\n{body}"), &format!("\r\n\r\n?x=1{body}"));
    let boundary = boundary
        .replace(&format!("Content-Length: {}", body.len()), &format!("Content-Length: {}", body.len() + 4));
    let answer = send(door(), boundary).await?;
    expect("boundary of target and body moved", &answer, !is_accepted(&answer));
    for (what, from, to) in [
        ("body altered", "0.0001", "0.9999"),
        ("method altered", "POST ", "PUT "),
        ("target altered", "/trade/order HTTP", "/trade/cancel-order HTTP"),
        ("second key", "\r\nOK-ACCESS-SIGN", "\r\nOK-ACCESS-KEY: x\r\nOK-ACCESS-SIGN"),
        ("passphrase altered", "PASSPHRASE: ", "PASSPHRASE: x"),
        ("timestamp altered", "TIMESTAMP: 2", "TIMESTAMP: 3"),
    ] {
        let altered = post(&key, ORDER, &order("altered1")).replacen(from, to, 1);
        let answer = send(door(), altered).await?;
        expect(what, &answer, !is_accepted(&answer) && answer.status < 500);
    }
    for (skew, is_fresh) in [(-28_000i64, true), (29_000, true), (-31_500, false), (33_000, false)] {
        let at = now_millis().checked_add_signed(skew).unwrap_or_default();
        let signed = key.lines_at(at, "GET", BALANCE, "");
        let answer = send(door(), plain_get(&signed)).await?;
        expect(&format!("skew of {skew} ms"), &answer, is_accepted(&answer) == is_fresh);
    }
    for timestamp in [
        "",
        "0",
        "1700000000",
        "2026-11-22T00:00:00Z",
        "2026-11-22 00:00:00.000",
        "99999999999999999999",
        "NaN",
    ] {
        let answer = send(door(), plain_get(&key.lines_with(timestamp, "GET", BALANCE, ""))).await?;
        expect(&format!("timestamp {timestamp:?}"), &answer, answer.status == 401);
    }
    let n_parallel = parallel(&house.door, &key).await?;
    let n_faults = faults.len();
    Ok(vec![
        Row::new(
            "replay and tamper",
            "accepted: the first order, reads, skews up to 29 s; nothing else",
            if n_faults == 0 { "as it should".to_owned() } else { faults.join("; ") },
            n_faults == 0,
        ),
        Row::new(
            "parallel replay",
            &format!("exactly 1 of {PARALLEL} accepted"),
            format!("{n_parallel} accepted"),
            n_parallel == 1,
        ),
    ])
}

fn plain_get(signed: &str) -> String {
    format!("GET {BALANCE} HTTP/1.1\r\nHost: localhost\r\n{signed}\r\n")
}

/// One order on many connections at once; how many were accepted.
async fn parallel(door: &Door, key: &Key) -> Result<usize> {
    let captured = post(key, ORDER, &order("parallel1"));
    let mut tasks = JoinSet::new();
    for _ in 0..PARALLEL {
        tasks.spawn(send(door.clone(), captured.clone()));
    }
    let answers = tasks.join_all().await;
    let n_accepted =
        answers.iter().flatten().filter(|answer| answer.status == 200 && answer.code == "0").count();
    Ok(n_accepted)
}
