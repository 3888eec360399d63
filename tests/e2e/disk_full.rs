//! The disk fills up: money stops, promises stand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    BALANCE, House, Serving, Settings, WITHDRAWAL, audit_verify, finish, folder, skipped, tron_address,
    withdrawal,
};

/// Reports sent before the disk must be full.
const REPORTS_MAX: usize = 2000;

/// Events in one report.
const BATCH: usize = 20;

fn report(batch: usize) -> String {
    (0..BATCH)
        .map(|line| {
            json!({
                "id": format!("full-{batch}-{line}"), "account": "reported",
                "occurred_at": "2026-01-02T03:04:05Z", "type": "balance_changed", "asset": "USDT", "total": "1",
            })
            .to_string()
                + "\n"
        })
        .collect()
}

/// An exchange works until the journal cannot grow. `constrained` starts the program with little room left, `release`
/// makes room again.
async fn story(house: House, constrained: impl FnOnce() -> Command, release: impl FnOnce()) {
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let mut client = house.client(&serving, &key);
    let mut decisions = Vec::new();
    let ask = |number: usize| withdrawal(&tron_address("everyday"), "5", &format!("wd{number}"));
    let answer = client.call(Method::POST, WITHDRAWAL, &ask(0)).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);
    decisions.push(answer.decision_id().unwrap().to_owned());
    house.settle().await;
    assert_eq!(serving.stop(), 0);

    let serving = Serving::start_command(constrained(), &house.path("constrained"));
    let mut client = house.client(&serving, &key);
    let answer = client.call(Method::POST, WITHDRAWAL, &ask(1)).await.unwrap();
    assert_eq!(answer.code(), "0", "there is room yet: {}", answer.json);
    decisions.push(answer.decision_id().unwrap().to_owned());
    let (healthy, _) = house.control_api(&serving, "GET", "/v1/health", String::new()).await.unwrap();
    assert_eq!(healthy, 200);

    let mut reported = 0;
    let refused: Value = loop {
        assert!(reported < REPORTS_MAX, "the disk never fills");
        let (status, answer) =
            house.control_api(&serving, "POST", "/v1/events", report(reported)).await.unwrap();
        if status != 200 {
            assert_eq!(status, 503, "{answer}");
            break answer;
        }
        reported += 1;
    };
    assert_eq!(refused["type"], "urn:caponier:problem:unavailable", "{refused}");

    // No decision, no withdrawal; whoever only looks is served.
    let held = |desk: exchange::Desk| {
        let account = domain::AccountId::parse("anna").unwrap();
        desk.withdrawals(&account).unwrap().len()
    };
    let before = held(house.desk());
    for number in 2..4 {
        let answer = client.call(Method::POST, WITHDRAWAL, &ask(number)).await.unwrap();
        assert_eq!((answer.code(), answer.status.as_u16()), ("50001", 503), "{}", answer.json);
        assert_eq!(answer.decision_id(), None);
    }
    assert_eq!(held(house.desk()), before, "the exchange saw a withdrawal nobody decided on");
    assert_eq!(client.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");

    // It says so.
    let (status, health) = house.control_api(&serving, "GET", "/v1/health", String::new()).await.unwrap();
    assert_eq!(status, 503, "{health}");
    assert!(health["faults"][0].as_str().unwrap().contains("journal"), "{health}");
    assert!(serving.log().contains("journal"), "{}", serving.log());
    let revoke = house.ask(&["keys", "freeze", key["key"].as_str().unwrap()]);
    assert_eq!(revoke.code, 74, "a change that cannot be recorded is refused: {revoke:?}");
    let code = serving.stop();
    assert_eq!(code, 74, "a stop that could not record itself says so");

    // Nothing is damaged, there is at most a tail that nobody was promised.
    let (code, audit) = audit_verify(house.data());
    assert_eq!((code, &audit["faults"]), (0, &json!([])), "{audit}");

    release();
    let serving = house.serve();
    for batch in 0..reported {
        let (status, answer) =
            house.control_api(&serving, "POST", "/v1/events", report(batch)).await.unwrap();
        assert_eq!((status, &answer["duplicates"]), (200, &json!(BATCH)), "batch {batch}: {answer}");
    }
    for id in &decisions {
        assert_eq!(house.ask(&["explain", id]).exits(0).json()["verdict"], "allow");
    }
    let mut client = house.client(&serving, &key);
    let answer = client.call(Method::POST, WITHDRAWAL, &ask(5)).await.unwrap();
    assert_eq!(answer.code(), "0", "{}", answer.json);
    house.settle().await;
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(house.data());
    eprintln!("{reported} reports fitted");
}

/// The operator's limit on file sizes is reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_grow_stops_money_and_loses_nothing() {
    let house = House::build(Settings::default()).await;
    let config = house.config();
    let limited = || {
        // 64 blocks of 512 bytes. The signal is ignored, so that writes fail as they do on a full disk.
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_caponier")])
            .args(["run", "--json", "--config", &config]);
        command
    };
    story(house, limited, || ()).await;
}

/// A small file system, unmounted when dropped.
struct Small(PathBuf);

impl Small {
    /// Mounts one of two mebibytes, where this user may.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let done = finish(Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at));
        (done.code == 0).then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        finish(Command::new("umount").arg("-l").arg(&self.0));
    }
}

/// The file system itself is full, because something else on it grew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_file_system_stops_money_and_loses_nothing() {
    let disk = folder();
    let Some(mounted) = Small::mount(&disk.path().join("disk")) else {
        return skipped("mounting a file system takes root");
    };
    let place = mounted.0.clone();
    let house = House::build(Settings { data: Some(place.join("data")), more: "" }).await;
    let command = house.run_command();
    let ballast = place.join("ballast");
    let fill = || {
        let free = rustix::fs::statvfs(&place).unwrap();
        let leave = 64 << 10;
        let size = usize::try_from(free.f_bavail * free.f_frsize).unwrap() - leave;
        fs::write(&ballast, vec![1; size]).unwrap();
        command
    };
    story(house, fill, || fs::remove_file(&ballast).unwrap()).await;
    drop(mounted);
}
