//! The part of the suite that takes seconds and needs no other programs, against the program as it was last built.
//!
//! Floods and machine-dependent figures are in `cargo xtask attack` only.

#![allow(clippy::print_stderr, reason = "tests say what they skip and what they measured")]

use std::path::PathBuf;

use attack::house::House;
use attack::report::{Row, Verdict, table};
use attack::upstream::Upstream;
use attack::{framing, http2, replay, slow};

/// The program beside this package's own; the whole workspace's tests build both.
fn program() -> Option<PathBuf> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_attack")).with_file_name("caponier");
    if program.exists() {
        return Some(program);
    }
    eprintln!("skipped: {} is not built", program.display());
    None
}

#[track_caller]
fn assert_all(rows: &[Row]) {
    eprint!("{}", table(rows));
    assert!(!rows.is_empty() && rows.iter().all(|row| row.verdict == Verdict::Pass), "{}", table(rows));
}

#[tokio::test]
async fn ambiguous_requests_never_reach_the_exchange() {
    let Some(program) = program() else { return };
    let upstream = Upstream::start().await.unwrap();
    let house = House::plain(&program, upstream.addr, true).unwrap();
    assert_all(&framing::run(&house, &upstream).await.unwrap());
}

#[tokio::test]
async fn replayed_and_altered_requests_are_refused() {
    let Some(program) = program() else { return };
    assert_all(&replay::run(&House::demo(&program).unwrap()).await.unwrap());
}

#[tokio::test]
async fn http2_abuse_is_ended() {
    let Some(program) = program() else { return };
    let house = House::demo(&program).unwrap();
    let rows = http2::run(&house, http2::Measure::Behaviour, |_| true).await.unwrap();
    assert_all(&rows);
    assert_eq!(rows.len(), http2::names().count());
}

#[tokio::test]
async fn silent_connections_leave_room_for_others() {
    let Some(program) = program() else { return };
    let upstream = Upstream::start().await.unwrap();
    let house = House::plain(&program, upstream.addr, true).unwrap();
    assert_all(&[slow::flood(&house).await.unwrap()]);
}
