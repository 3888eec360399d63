//! Sources: every file opens by saying what it is, stays readable, and leaves no work behind unsaid.

use crate::tree;

/// Lines of one source file; beyond this it holds more than one idea.
const FILE_LINES_MAX: usize = 1_000;

/// Words for work left undone. Split so that this file does not hold them.
const UNDONE: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// What code of an engine (floor 1) or a word (floor 0) never says outside its tests.
const NOT_IN_ENGINES: [&str; 9] = [
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os::unix",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "thread_local!",
];
/// The crates of floors 0 and 1, except `crypto`, which reads the system's randomness and nothing else.
const ENGINES: [&str; 13] = [
    "admission",
    "auth",
    "chain",
    "domain",
    "features",
    "intent",
    "keyring",
    "rules",
    "schema",
    "scoring",
    "simulate",
    "tlog",
    "webhook",
];
/// The one home of the clock among the words.
const CLOCK_HOME: &str = "crates/domain/src/time.rs";

/// Where `unsafe` may be asked for, for memory-mapped label segments only; fenced and proven in its own head.
const UNSAFE_HOME: &str = "crates/watch/src/";

/// The code of a file before its tests begin.
fn before_tests(text: &str) -> &str {
    text.find("#[cfg(test)]").map_or(text, |end| &text[..end])
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let mut faults = Vec::new();
    for path in tree::rust_files() {
        // `foo/tests.rs` belongs to `foo.rs` and needs no head of its own.
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = tree::read(&path);
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if !first.starts_with("//! ") {
            faults.push(tree::shown(&path));
        }
    }
    tree::assert_no_faults("a file opens with `//!`", &faults);
}

#[test]
fn no_file_is_a_giant() {
    let mut faults = Vec::new();
    for path in tree::rust_files() {
        let n_lines = tree::read(&path).lines().count();
        if n_lines > FILE_LINES_MAX {
            faults.push(format!("{}: {n_lines} lines", tree::shown(&path)));
        }
    }
    tree::assert_no_faults(&format!("at most {FILE_LINES_MAX} lines"), &faults);
}

#[test]
fn no_work_is_left_undone() {
    let mut faults = Vec::new();
    for path in tree::rust_files() {
        for (index, line) in tree::read(&path).lines().enumerate() {
            if UNDONE.iter().any(|word| line.contains(word)) {
                faults.push(format!("{}:{}: {}", tree::shown(&path), index + 1, line.trim()));
            }
        }
    }
    tree::assert_no_faults("nothing is left for later in the sources", &faults);
}

#[test]
fn words_and_engines_touch_no_outside_world() {
    let mut faults = Vec::new();
    let mut n_files = 0;
    for path in tree::rust_files() {
        let shown = tree::shown(&path);
        let is_engine = ENGINES.iter().any(|name| shown.starts_with(&format!("crates/{name}/src/")));
        if !is_engine || shown.ends_with("/tests.rs") || shown.contains("/tests/") || shown == CLOCK_HOME {
            continue;
        }
        n_files += 1;
        let text = tree::read(&path);
        for (index, line) in before_tests(&text).lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            if !is_comment && NOT_IN_ENGINES.iter().any(|word| line.contains(word)) {
                faults.push(format!("{shown}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(n_files >= ENGINES.len(), "only {n_files} engine files found");
    tree::assert_no_faults("words and engines are sans-IO: time, files and sockets are arguments", &faults);
}

#[test]
fn unsafe_is_fenced() {
    let mut faults = Vec::new();
    for path in tree::rust_files() {
        let shown = tree::shown(&path);
        if shown.starts_with(UNSAFE_HOME) || shown.starts_with("xtask/tests/guards/") {
            continue;
        }
        for (index, line) in tree::read(&path).lines().enumerate() {
            if line.contains("allow(unsafe_code") || line.contains("expect(unsafe_code") {
                faults.push(format!("{shown}:{}", index + 1));
            }
        }
    }
    tree::assert_no_faults("unsafe is allowed only in its fenced home", &faults);
}
