//! Exchange clients as their users install them, against the program, over TLS.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::support::{Done, ROOT, Serving, caponier_on, finish, folder, shared_data, skipped, tron_address};

/// The Python that has the pinned clients: as set by the task runner, else where it puts them.
#[allow(clippy::disallowed_methods, reason = "the environment is how the task runner names its tools")]
pub(crate) fn python() -> Option<PathBuf> {
    let named = std::env::var("CAPONIER_TEST_PYTHON").map(PathBuf::from).ok();
    let python = named.unwrap_or_else(|| test_tools().join("venv/bin/python"));
    let found = finish(Command::new("sh").arg("-c").arg("test -x \"$0\"").arg(&python)).code == 0;
    if !found {
        skipped(&format!("no Python with the test clients at {}; run cargo xtask setup", python.display()));
    }
    found.then_some(python)
}

/// Where the task runner puts tools: below the target directory this program was built into.
fn test_tools() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_caponier")).ancestors().nth(2).unwrap().join("test-tools")
}

/// The folder whose `node_modules` hold the client for Node.
#[allow(clippy::disallowed_methods, reason = "the environment is how the task runner names its tools")]
pub(crate) fn node_clients() -> Option<PathBuf> {
    let folder =
        std::env::var("OKX_API_DIR").map(PathBuf::from).unwrap_or_else(|_| test_tools().join("node"));
    let found = folder.join("node_modules/okx-api").is_dir();
    if !found {
        skipped("the exchange client for Node is not installed; run cargo xtask setup");
    }
    found.then_some(folder)
}

/// A client's story with the trader's key, and its verdict.
pub(crate) fn story(mut command: Command, serving: &Serving, more: &[&str]) -> Done {
    let key = &serving.ready["api_keys"][0];
    for (option, value) in [
        ("--gateway", &serving.ready["gateway"]),
        ("--ca", &serving.ready["ca_file"]),
        ("--key", &key["key"]),
        ("--secret", &key["secret"]),
        ("--passphrase", &key["passphrase"]),
    ] {
        command.arg(option).arg(value.as_str().unwrap());
    }
    let done = finish(command.args(more)).exits(0);
    let last: Value = serde_json::from_str(done.stdout.lines().last().unwrap_or_default()).unwrap();
    assert_eq!(last["ok"], true, "{done:?}");
    done
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/clients").join(name)
}

fn ccxt(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(script("ccxt_client.py"));
    command
}

/// The client as its users run it, with the log of its HTTP library on standard error.
fn python_okx(python: &Path) -> Command {
    let mut command = Command::new(python);
    command
        .args([
            "-c",
            "import logging, runpy, sys; logging.basicConfig(level=logging.INFO); \
               sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')",
        ])
        .arg(script("python_okx_client.py"));
    command
}

pub(crate) fn demo(dir: &Path) -> Serving {
    Serving::start(&["demo", "--serve", "--json", "--data-dir", dir.to_str().unwrap()], &dir.join("output"))
}

/// A customer with ccxt and one with python-okx trade and withdraw; then the destination gets on a list, and the
/// same withdrawal is refused, from one second to the next, by the same running program.
#[test]
fn python_clients_trade_and_withdraw_until_the_address_is_listed() {
    let Some(python) = python() else { return };
    let dir = folder();
    let serving = demo(dir.path());
    let address = tron_address("not yet listed");

    story(ccxt(&python), &serving, &["--withdraw-to", &address]);
    let done = story(python_okx(&python), &serving, &["--withdraw-to", &address]);
    assert!(done.stderr.contains("\"HTTP/2 200"), "no HTTP/2 in {}", done.stderr);
    assert!(!done.stderr.contains("\"HTTP/1.1 "), "HTTP/1.1 in {}", done.stderr);

    let list = dir.path().join("sanctioned_addresses_USDT.txt");
    std::fs::write(&list, format!("{}\n{address}\n", tron_address("somebody else"))).unwrap();
    let data = dir.path().join("data");
    let import = ["lists", "import", "--format", "ofac", "--name", "sanctions", list.to_str().unwrap()];
    caponier_on(&data, &import).exits(0);
    assert_eq!(
        caponier_on(&data, &["screen", &address]).exits(1).stdout.lines().next(),
        Some(&*format!("{address}: deny"))
    );

    let refused = ["--withdraw-to", &address, "--expect-refused", "58217"];
    story(python_okx(&python), &serving, &refused);
    story(ccxt(&python), &serving, &["--withdraw-to", &address, "--expect-refused", "ExchangeError"]);
    assert_eq!(serving.stop(), 0);
    crate::support::assert_sound(&data);
}

/// The list of the Office of Foreign Assets Control as published on 27 September 2024 is imported whole, and a
/// withdrawal to an address that really is sanctioned is refused.
#[test]
fn an_address_of_the_real_list_is_refused() {
    let Some(archive) = shared_data("chain/ofac_2024-09-27.tar.zst") else {
        return skipped("the published list is not here");
    };
    let Some(python) = python() else { return };
    let dir = folder();
    let lists = dir.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    let unpack = finish(Command::new("tar").args(["-I", "zstd", "-xf"]).arg(&archive).arg("-C").arg(&lists));
    if unpack.code != 0 {
        return skipped(&format!("tar with zstd is needed: {}", unpack.stderr));
    }
    let serving = demo(dir.path());
    let data = dir.path().join("data");
    let folder = lists.to_str().unwrap();
    let imported =
        caponier_on(&data, &["--json", "lists", "import", "--format", "ofac", "--name", "ofac", folder])
            .exits(0)
            .json();
    assert_eq!(imported["labels"], 654, "{imported}");

    let listed = std::fs::read_to_string(lists.join("sanctioned_addresses_TRX.txt")).unwrap();
    let listed: Vec<&str> = listed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let target = listed[listed.len() / 2];
    story(python_okx(&python), &serving, &["--withdraw-to", target, "--expect-refused", "58217"]);
    let clean = tron_address("in no list");
    story(python_okx(&python), &serving, &["--withdraw-to", &clean]);
    assert_eq!(serving.stop(), 0);
}

/// The same day in the life of a customer who writes JavaScript.
#[test]
fn the_node_client_trades_and_withdraws() {
    let Some(clients) = node_clients() else { return };
    let dir = folder();
    let serving = demo(dir.path());
    let node = || {
        let mut command = Command::new("node");
        command
            .arg(script("okx_api_client.mjs"))
            .env("OKX_API_DIR", &clients)
            .env("NODE_EXTRA_CA_CERTS", serving.text("ca_file"));
        command
    };
    if finish(Command::new("sh").args(["-c", "command -v node"])).code != 0 {
        return skipped("node is not installed");
    }
    let address = tron_address("of a node user");
    story(node(), &serving, &["--withdraw-to", &address]);
    let list = dir.path().join("sanctioned_addresses_TRX.txt");
    std::fs::write(&list, format!("{address}\n")).unwrap();
    let data = dir.path().join("data");
    caponier_on(&data, &["lists", "import", "--format", "ofac", list.to_str().unwrap()]).exits(0);
    story(node(), &serving, &["--withdraw-to", &address, "--expect-refused", "58217"]);
    assert_eq!(serving.stop(), 0);
}
