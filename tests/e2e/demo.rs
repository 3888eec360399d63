//! The first thing anybody runs.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use crate::support::{caponier, folder};

/// What the demo promises to show; a check that is dropped or renamed must be dropped or renamed here too.
const CHECKS: [&str; 15] = [
    "honest_users_trade",
    "altered_request_refused",
    "replayed_order_refused",
    "parallel_replays_pass_once",
    "stolen_key_elsewhere_refused",
    "read_only_key_cannot_withdraw",
    "flood_is_limited",
    "listed_address_is_denied",
    "account_takeover_is_held",
    "revoked_key_stops_at_once",
    "erased_person_is_unreadable",
    "backup_drill_passes",
    "books_balance",
    "log_verifies",
    "no_plaintext_on_disk",
];

/// A newcomer runs the demo twice, with different people in it, and every claim holds both times.
#[test]
fn every_check_holds_for_two_populations() {
    for seed in ["1", "4242"] {
        let dir = folder();
        let data_dir = dir.path().to_str().unwrap();
        let done =
            caponier(&["demo", "--headless", "--json", "--seed", seed, "--data-dir", data_dir]).exits(0);
        let report = done.json();
        assert_eq!(report["ok"], true, "{report}");
        assert_eq!(report["seed"].to_string(), seed);
        assert_eq!(done.stderr, "", "a quiet demo has nothing to warn of");
        let checks = report["checks"].as_array().unwrap();
        let names: BTreeSet<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
        assert!(names.is_superset(&BTreeSet::from(CHECKS)), "missing checks: {report}");
        for check in checks {
            assert_eq!(check["ok"], true, "{check}");
            assert_ne!(check["detail"], "", "{check}");
        }
        // The folder it was given stays, and stands up to the auditor's command.
        crate::support::assert_sound(&dir.path().join("data"));
    }
}

/// Somebody tries the demo without saying where: nothing of it stays behind.
#[test]
fn a_demo_without_a_folder_leaves_nothing() {
    let home = folder();
    let done = crate::support::finish(
        Command::new(env!("CARGO_BIN_EXE_caponier"))
            .args(["demo", "--headless"])
            .current_dir(home.path())
            .env("TMPDIR", home.path()),
    )
    .exits(0);
    let held = done.stdout.lines().filter(|line| line.starts_with("ok  ")).count();
    assert!(held >= CHECKS.len(), "{}", done.stdout);
    assert!(done.stdout.contains(&format!("{held} of {held} checks hold")), "{}", done.stdout);
    assert_eq!(crate::support::files(home.path()), Vec::<String>::new());
}

/// A process that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop((self.0.kill(), self.0.wait()));
    }
}

/// Somebody watches: links that open, attacks that go on, commands that work, and nothing left behind.
#[test]
fn a_watched_demo_stays_under_attack_until_it_is_interrupted() {
    let home = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_caponier"));
    command.args(["demo", "--stay"]).current_dir(home.path()).env("TMPDIR", home.path());
    let mut child = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = Vec::new();
    let mut until = |what: &str| {
        for line in lines.by_ref() {
            said.push(line);
            if said.last().unwrap().contains(what) {
                return said.clone();
            }
        }
        panic!("never said {what:?}: {said:#?}");
    };
    let said = until("Attacks go on until Ctrl-C");
    // What it proposes to try is what a newcomer types.
    let proposed: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix("  caponier ")).collect();
    assert!(proposed.len() >= 6, "{said:#?}");
    for line in proposed {
        let arguments: Vec<&str> = line.split(' ').collect();
        let done = caponier(&arguments);
        // A doctor may have advice about an installation of one second.
        let may_advise = arguments[0] == "doctor" && done.code == 1;
        assert!(done.code == 0 || may_advise, "{line}: {done:?}");
    }
    until("stopped  ");
    let pid = rustix::process::Pid::from_child(&child.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let rest = until(" checks hold");
    assert!(rest.iter().all(|line| !line.starts_with("FAIL")), "{rest:#?}");
    assert_eq!(rest.iter().filter(|line| line.contains("/console/enter?link=")).count(), 2);
    assert!(child.0.wait().unwrap().success());
    assert_eq!(crate::support::files(home.path()), Vec::<String>::new());
}
