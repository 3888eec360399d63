//! Chains followed by the program: a real node, alerts in the journal, a crash in between.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    clients::node_clients,
    support::{PATIENCE, Serving, assert_sound, caponier, caponier_on, finish, folder, skipped},
};

/// A development node. Dropping it ends it.
pub(crate) struct Anvil {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Anvil {
    pub(crate) fn start() -> Option<Self> {
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let program =
            node_clients()?.join(format!("node_modules/@foundry-rs/anvil-linux-{machine}/bin/anvil"));
        if !program.is_file() {
            skipped("anvil is not installed; run cargo xtask setup");
            return None;
        }
        let mut child = Command::new(program)
            .args(["--port", "0", "--no-mining", "--hardfork", "prague"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                line.unwrap().strip_prefix("Listening on ").map(|text| text.trim().parse().unwrap())
            })
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, address })
    }

    /// Asks; one question, one connection.
    pub(crate) fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let reply: Value = serde_json::from_str(&answer[answer.find("\r\n\r\n").unwrap()..]).unwrap();
        assert_eq!(reply["error"], Value::Null, "{method}: {reply}");
        reply["result"].clone()
    }

    pub(crate) fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")]));
    }

    fn pay(&self, from: &str, to: &str) {
        let payment = json!({"from": from, "to": to, "value": "0x2a", "gas": "0x5208"});
        self.ask("eth_sendTransaction", json!([payment]));
    }
}

fn status(data: &Path, config: &Path) -> Value {
    let config = config.to_str().unwrap();
    let done = finish(
        Command::new(env!("CARGO_BIN_EXE_caponier")).args(["--json", "watch", "status", "--config", config]),
    );
    assert!(data.exists());
    done.exits(0).json()["chains"][0].clone()
}

/// Waits until the chain is followed up to a height.
fn followed(data: &Path, config: &Path, height: u64, reorgs: u64) -> Value {
    let mut seen = Value::Null;
    for _ in 0..PATIENCE.as_millis() / 50 {
        seen = status(data, config);
        if seen["height"] == height && seen["phase"] == "following" && seen["reorgs"].as_u64() >= Some(reorgs)
        {
            return seen;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("never at {height}: {seen}");
}

fn alerts(data: &Path) -> Vec<Value> {
    let done = caponier_on(data, &["log", "--kind", "chain_alert", "--reveal"]).exits(0);
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn payments_from_listed_addresses_are_told_made_final_and_taken_back() {
    let Some(node) = Anvil::start() else { return };
    let home = folder();
    let data = home.path().join("data");
    let accounts = node.ask("eth_accounts", json!([]));
    let (bad, good) = (accounts[0].as_str().unwrap(), accounts[1].as_str().unwrap());
    let customer = "0x2100000000000000000000000000000000000021";
    fs::write(home.path().join("sanctioned_addresses_ETH.txt"), format!("{bad}\n")).unwrap();
    fs::write(home.path().join("watched.txt"), format!("{customer} # a customer's\n")).unwrap();
    let config = home.path().join("caponier.toml");
    let chains = format!(
        "[data]\ndir = \"data\"\n[watch.evm.local]\nurl = \"http://{0}\"\nws_url = \"ws://{0}\"\nchain_id = 31337\n\
         confirmations = 3\nstart = 0\naddresses_file = \"watched.txt\"\npoll = \"200ms\"\n",
        node.address
    );
    fs::write(&config, &chains).unwrap();
    let list = home.path().join("sanctioned_addresses_ETH.txt");
    let import =
        ["lists", "import", "--format", "ofac", list.to_str().unwrap(), "--config", config.to_str().unwrap()];
    caponier(&import).exits(0);

    let arguments = ["--json", "watch", "run", "--config", config.to_str().unwrap()];
    let logs = home.path().join("logs");
    let serving = Serving::start(&arguments, &logs);
    node.mine(5);
    node.pay(bad, customer);
    node.pay(good, customer);
    node.mine(1);
    followed(&data, &config, 6, 0);
    // Killed, restarted: what it told it knows.
    serving.kill();
    let stopped = status(&data, &config);
    assert_eq!((stopped["phase"].as_str(), stopped["height"].as_u64()), (Some("stopped"), Some(6)));
    node.pay(bad, customer);
    node.mine(4);
    let serving = Serving::start(&arguments, &logs);
    followed(&data, &config, 10, 0);
    // The newest four blocks did not happen: the second payment is taken back.
    node.ask("anvil_reorg", json!([4, []]));
    node.mine(2);
    let seen = followed(&data, &config, 12, 1);
    assert_eq!((seen["reorg_depth_max"].as_u64(), seen["alerts_waiting"].as_u64()), (Some(4), Some(0)));
    assert_eq!(serving.stop(), 0);

    let told: Vec<(u64, String, String, String)> = alerts(&data)
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            assert_eq!(entry["value"], "42");
            (entry["height"].as_u64().unwrap(), text("alert"), text("state"), text("verdict"))
        })
        .collect();
    let of = |height: u64, alert: &str| {
        let mut states: Vec<&str> = told
            .iter()
            .filter(|(at, kind, ..)| *at == height && kind == alert)
            .map(|(_, _, state, _)| state.as_str())
            .collect();
        // Killed between telling and noting it, it tells again.
        states.dedup();
        states
    };
    assert_eq!(of(6, "listed_counterparty"), ["provisional", "final"], "{told:?}");
    assert_eq!(of(6, "watched_transfer"), ["provisional", "final"], "{told:?}");
    assert_eq!(of(7, "listed_counterparty").last(), Some(&"retracted"), "{told:?}");
    assert!(told.iter().all(|(_, kind, _, verdict)| (kind == "listed_counterparty") == (verdict == "deny")));
    // What lists say of the two that stand changes afterwards: one stranger is listed, the sanctions against the other end.
    let fresh = home.path().join("fresh.csv");
    let config_file = config.to_str().unwrap();
    let judged = |list: &Path, name: &str, format: &str, text: String| {
        fs::write(list, text).unwrap();
        let import =
            ["--json", "lists", "import", "--name", name, "--format", format, list.to_str().unwrap()];
        caponier(&[&import[..], &["--config", config_file]].concat()).exits(0).json()["rescreened"].clone()
    };
    let format = "csv:address=address,network=:ETH,category=:scam";
    let rescreened = judged(&fresh, "fresh", format, format!("address\n{good}\n"));
    assert_eq!((&rescreened["raised"], &rescreened["retracted"]), (&json!(1), &json!(0)), "{rescreened}");
    assert!(rescreened["chain_alerts"].as_u64() >= Some(2), "{rescreened}");
    let rescreened = judged(
        &list,
        "sanctioned_addresses_eth",
        "ofac",
        "0x00000000000000000000000000000000000000d4\n".to_owned(),
    );
    assert_eq!((&rescreened["raised"], &rescreened["retracted"]), (&json!(0), &json!(1)), "{rescreened}");
    assert_sound(&data);

    // A flipped bit in the state is found, and not started from.
    let state = data.join("follow/local.state");
    let mut bytes = fs::read(&state).unwrap();
    bytes[200] ^= 4;
    fs::write(&state, bytes).unwrap();
    let report = caponier(&["--json", "audit", "verify", data.to_str().unwrap()]).exits(1).json();
    assert_eq!(report["faults"][0]["file"], "follow/local.state", "{report}");
    let refused = Serving::try_start(
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_caponier"));
            command.args(arguments);
            command
        },
        &logs,
    );
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, 74, "{refused:?}");
}

/// Trains a model that suspects whoever first receives many coins, on a recording made for that.
fn model(home: &Path) -> std::path::PathBuf {
    let address = |number: u32| format!("0x{number:040x}");
    let mut transactions =
        "block,ts,txidx,from,to,value_wei,gas_used,is_error,method_id,input_len\n".to_owned();
    let mut windows = "account,start,quarter,illicit,split\n".to_owned();
    for account in 1..=120_u32 {
        let illicit = account % 3 == 0;
        let coins = if illicit { 40 + account % 20 } else { 1 + account % 5 };
        let row = format!(
            "{account},{},0,{},{},{coins}000000000000000000,21000,0,0x,0\n",
            1_500_000_000 + 600 * account,
            address(10_000 + account),
            address(account),
        );
        transactions.push_str(&row);
        let split = if account <= 80 { "train" } else { "validate" };
        windows.push_str(&format!("{},0,{},{},{split}\n", address(account), account / 81, u8::from(illicit)));
    }
    let (table, protocol) = (home.join("transactions.csv"), home.join("windows.csv"));
    fs::write(&table, transactions).unwrap();
    fs::write(&protocol, windows).unwrap();
    let model = home.join("discovery.model");
    let paths = [&table, &protocol, &model].map(|path| path.to_str().unwrap());
    caponier(&[
        "watch",
        "evaluate",
        "discovery",
        "--k",
        "2",
        "--transactions",
        paths[0],
        "--windows",
        paths[1],
        "--model-out",
        paths[2],
    ])
    .exits(0);
    model
}

/// Waits until these addresses are suspected, and no others.
fn suspected(config: &Path, expected: &[&str]) -> Value {
    let mut seen = Value::Null;
    for _ in 0..PATIENCE.as_millis() / 50 {
        let done = finish(
            Command::new(env!("CARGO_BIN_EXE_caponier"))
                .args(["--json", "watch", "suspects", "--config"])
                .arg(config),
        );
        seen = done.exits(0).json();
        let found: Vec<String> = seen["suspects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|suspect| suspect["address"].as_str().unwrap().to_lowercase())
            .collect();
        if found == expected {
            return seen;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("never {expected:?}: {seen}");
}

#[test]
fn a_fresh_address_is_suspected_taken_back_with_its_block_and_cleared_by_a_person() {
    let Some(node) = Anvil::start() else { return };
    let home = folder();
    let data = home.path().join("data");
    let accounts = node.ask("eth_accounts", json!([]));
    let payer = accounts[0].as_str().unwrap();
    let pay = |to: &str, wei: u128| {
        let payment = json!({"from": payer, "to": to, "value": format!("{wei:#x}"), "gas": "0x5208"});
        node.ask("eth_sendTransaction", json!([payment]));
        node.mine(1);
    };
    let coin = 1_000_000_000_000_000_000_u128;
    let config = home.path().join("caponier.toml");
    let without = format!(
        "[data]\ndir = \"data\"\n[watch.evm.local]\nurl = \"http://{0}\"\nws_url = \"ws://{0}\"\nchain_id = 31337\n\
         confirmations = 3\nstart = 0\npoll = \"200ms\"\n",
        node.address
    );
    model(home.path());
    let with = format!("{without}discovery_model = \"discovery.model\"\n");
    fs::write(&config, &with).unwrap();
    let at = config.to_str().unwrap();
    let arguments = ["--json", "watch", "run", "--config", at];
    let logs = home.path().join("logs");
    let serving = Serving::start(&arguments, &logs);
    let [one, two, small] = [1_u8, 2, 3].map(|number| format!("0x{}", format!("{number:02x}").repeat(20)));
    pay(&one, 50 * coin);
    pay(&small, 2 * coin);
    pay(&two, 45 * coin);
    let seen = suspected(&config, &[&one, &two]);
    let reasons = seen["suspects"][0]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason.as_str().unwrap().contains("inbound")), "{seen}");
    let screen = |address: &str| caponier(&["--json", "screen", address, "--config", at]);
    let told = screen(&one).json();
    assert_eq!((&told["verdict"], &told["categories"]), (&json!("challenge"), &json!([])), "{told}");
    assert_eq!(told["suspected"][0]["chain"], "local");
    assert_eq!(screen(&small).json()["verdict"], "allow");
    // Somebody looks through what one model suspected on one day; at midnight another case begins.
    let lines = || -> Vec<Value> {
        let list = ["--json", "cases", "list", "--source", "suspicion", "--config", at];
        let cases = caponier(&list).exits(0).json()["cases"].as_array().unwrap().clone();
        let shown = cases.iter().map(|case| {
            assert!(case["entity"].as_str().unwrap().starts_with("suspected:local:"), "{case}");
            let show = ["--json", "cases", "show", case["id"].as_str().unwrap(), "--config", at];
            caponier(&show).exits(0).json()["triggers"].as_array().unwrap().clone()
        });
        shown.flatten().collect()
    };
    assert_eq!(lines().len(), 2);
    assert!(lines().iter().all(|line| line["source"] == "suspicion" && line["is_retracted"] == false));
    // The newest block did not happen.
    node.ask("anvil_reorg", json!([1, []]));
    node.mine(2);
    suspected(&config, &[&one]);
    // Killed before it can say goodbye, it knows what it said.
    serving.kill();
    pay(&two, 44 * coin);
    let serving = Serving::start(&arguments, &logs);
    suspected(&config, &[&one, &two]);
    // A person knows better than a model.
    let clear =
        ["watch", "clear", one.as_str(), "--as", "ann", "--reason", "our own cold wallet", "--config", at];
    caponier(&clear).exits(0);
    caponier(&clear).exits(66);
    suspected(&config, &[&two]);
    assert_eq!(serving.stop(), 0);
    let serving = Serving::start(&arguments, &logs);
    node.mine(1);
    followed(&data, &config, 7, 0);
    suspected(&config, &[&two]);
    assert_eq!(serving.stop(), 0);
    // Without a model nobody is suspected.
    fs::write(&config, &without).unwrap();
    let serving = Serving::start(&arguments, &logs);
    suspected(&config, &[]);
    assert_eq!(serving.stop(), 0);
    let done = caponier_on(&data, &["log", "--kind", "suspicion"]).exits(0);
    let told: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |what: &str, why: Value| {
        told.iter().filter(|entry| entry["what"] == what && entry["why"] == why).count()
    };
    assert_eq!(count("model", Value::Null), 2, "{told:?}");
    assert_eq!(count("raised", Value::Null), 3, "{told:?}");
    assert_eq!((count("withdrawn", json!("reorganisation")), count("withdrawn", json!("analyst"))), (1, 1));
    assert_eq!(count("withdrawn", json!("model")), 1);
    let lines = lines();
    assert_eq!(lines.iter().filter(|line| line["is_retracted"] == true).count(), 3, "{lines:?}");
    assert_sound(&data);
    // A model that is none is named.
    fs::write(home.path().join("discovery.model"), "no model").unwrap();
    fs::write(&config, &with).unwrap();
    let refused = caponier(&["--json", "screen", &one, "--config", at]).exits(65);
    assert!(refused.text().contains("discovery.model"), "{}", refused.text());
}

#[test]
fn a_chain_that_is_configured_wrongly_is_named_with_its_line() {
    let home = folder();
    let config = home.path().join("caponier.toml");
    for (line, text, expected) in [
        (2, "url = \"http://h:1\"\n", "chain_id"),
        (2, "chain_id = 1\n", "watch.evm.x.url"),
        (3, "chain_id = 1\nurl = \"ftp://h\"\n", "not a URL"),
        (3, "chain_id = 1\nurl = \"https://h\"\n", "ca_file"),
        (4, "chain_id = 1\nurl = \"http://h\"\nproof = \"trust\"\n", "roots or links"),
        (4, "chain_id = 1\nurl = \"http://h\"\ntoken = []\n", "is not a known key"),
        (4, "chain_id = 1\nurl = \"http://h\"\ntokens = [\"0x12\"]\n", "0x12"),
        (4, "chain_id = 1\nurl = \"http://h\"\nconfirmations = 512\n", "below headers"),
        (4, "chain_id = 1\nurl = \"http://h\"\npoll = \"1ms\"\n", "50ms"),
    ] {
        fs::write(&config, format!("[watch.evm.x]\n{text}")).unwrap();
        let done = caponier(&["config", "check", config.to_str().unwrap()]).exits(64);
        assert!(done.text().contains(expected), "{}", done.text());
        assert!(line < 4 || done.text().contains(&format!(":{line}:")), "{}", done.text());
    }
    fs::write(&config, "[watch.evm.x]\nchain_id = 1\nurl = \"http://user:pass@h:99/key\"\n").unwrap();
    caponier(&["config", "check", config.to_str().unwrap()]).exits(0);
    // A secret URL comes from a file of its own.
    fs::write(&config, "[watch.bitcoin.x]\nurl = \"file:node.url\"\nzmq_url = \"tcp://127.0.0.1:28332\"\n")
        .unwrap();
    let absent = caponier(&["config", "check", config.to_str().unwrap()]).exits(64);
    assert!(absent.text().contains("node.url"), "{}", absent.text());
    fs::write(home.path().join("node.url"), "http://user:secret@127.0.0.1:8332\n").unwrap();
    caponier(&["config", "check", config.to_str().unwrap()]).exits(0);
    fs::write(&config, "[watch.evm]\nx = 1\n").unwrap();
    caponier(&["config", "check", config.to_str().unwrap()]).exits(64);
}

/// What the test's pool takes and pays out.
const POOLED: u128 = 1_000_000_000_000_000_000;

/// A pool written out by hand. Called with nothing it keeps what comes; called with recipient, relayer and fee it pays the
/// recipient what is left of its amount and the relayer the fee, within its execution, and records the withdrawal.
fn pool_code() -> String {
    let amount = format!("67{POOLED:016x}");
    let call = |value: &str, to: &str| format!("6000600060006000{value}{to}5af150");
    let topic = "e9e508bad6d4c3227e881ca19068f099da81b5164dd6d62b2eaf1e8bc6c34931";
    let run = [
        "36600557005b".to_owned(),
        call(&format!("604035{amount}03"), "600035"),
        call("604035", "602035"),
        "600035600052604035604052".to_owned(),
        format!("6020357f{topic}60606000a200"),
    ]
    .concat();
    format!("0x60{0:02x}600c60003960{0:02x}6000f3{run}", run.len() / 2)
}

#[test]
fn what_comes_out_of_a_mixing_pool_comes_from_the_pool_and_from_nobody_who_paid_in() {
    let Some(node) = Anvil::start() else { return };
    let home = folder();
    let data = home.path().join("data");
    let accounts = node.ask("eth_accounts", json!([]));
    let [thief, honest, relayer] = [0, 1, 2].map(|at| accounts[at].as_str().unwrap());
    let create = json!({"from": relayer, "data": pool_code(), "gas": "0x100000"});
    let hash = node.ask("eth_sendTransaction", json!([create]));
    node.mine(1);
    let receipt = node.ask("eth_getTransactionReceipt", json!([hash]));
    let pool = receipt["contractAddress"].as_str().unwrap();
    let customer = "0x2100000000000000000000000000000000000021";
    let next = "0x2200000000000000000000000000000000000022";
    let list = home.path().join("known.csv");
    fs::write(
        &list,
        format!("address,category,label\n{pool},mixer,The one-coin pool\n{thief},theft,The thief\n"),
    )
    .unwrap();
    fs::write(home.path().join("watched.txt"), format!("{customer}\n")).unwrap();
    let config = home.path().join("caponier.toml");
    let chains = format!(
        "[data]\ndir = \"data\"\n[watch.evm.local]\nurl = \"http://{0}\"\nchain_id = 31337\nconfirmations = 3\nstart = 0\n\
         addresses_file = \"watched.txt\"\npoll = \"200ms\"\nmixers = [\"{pool}={POOLED}\"]\n",
        node.address
    );
    fs::write(&config, &chains).unwrap();
    let at = config.to_str().unwrap();
    let format = "csv:address=address,network=:ETH,category=category,label=label";
    let import = ["lists", "import", "--name", "known", "--format", format, list.to_str().unwrap()];
    caponier(&[&import[..], &["--config", at]].concat()).exits(0);

    let deposit = |from: &str| {
        let payment = json!({"from": from, "to": pool, "value": format!("{POOLED:#x}"), "gas": "0x20000"});
        node.ask("eth_sendTransaction", json!([payment]));
        node.mine(1);
    };
    let fee = POOLED / 100;
    let withdraw = |to: &str| {
        let word = |address: &str| format!("{:0>64}", &address[2..]);
        let data = format!("0x{}{}{fee:064x}", word(to), word(relayer));
        let call = json!({"from": relayer, "to": pool, "data": data, "gas": "0x100000"});
        node.ask("eth_sendTransaction", json!([call]));
        node.mine(1);
    };
    deposit(thief);
    deposit(honest);
    withdraw(customer);
    withdraw(next);
    let held = node.ask("eth_getBalance", json!([customer, "latest"]));
    assert_eq!(held, format!("{:#x}", POOLED - fee), "the node agrees with the arithmetic");

    let arguments = ["--json", "watch", "run", "--config", at];
    let serving = Serving::start(&arguments, &home.path().join("logs"));
    followed(&data, &config, 5, 0);
    let screen = |address: &str| {
        let done = caponier(&["--json", "screen", address, "--config", at]);
        serde_json::from_str::<Value>(&done.stdout).unwrap()
    };
    for address in [customer, next] {
        let told = screen(address);
        let [exposure] = told["seen"][0]["exposure"].as_array().unwrap().as_slice() else { panic!("{told}") };
        assert_eq!(exposure["direction"], "received", "{told}");
        // All of it comes from the pool, and the pool is where following ends: nothing is said of whoever paid in.
        let [share] = exposure["shares"].as_array().unwrap().as_slice() else { panic!("{told}") };
        assert_eq!((&share["category"], share["hops"].as_u64()), (&json!("mixer"), Some(1)), "{told}");
        assert!(!told.to_string().to_lowercase().contains(&thief[2..].to_lowercase()), "{told}");
        assert_eq!(told["derived"], json!([]), "{told}");
    }
    // What went in is told of whoever paid in.
    let told = screen(honest);
    assert!(told.to_string().contains("mixer"), "{told}");
    let told: Vec<Value> = alerts(&data).into_iter().filter(|alert| alert["subject"] == customer).collect();
    assert!(!told.is_empty());
    for alert in &told {
        assert_eq!(alert["alert"], "listed_counterparty", "{alert}");
        assert_eq!(alert["value"], (POOLED - fee).to_string(), "{alert}");
        assert_eq!(alert["category"], "mixer", "{alert}");
    }
    assert_eq!(serving.stop(), 0);

    // Contracts that are none, and pools named twice, are told with their line.
    for (mixers, expected) in [
        ("\"0x12=5\"", "0x12"),
        ("\"1 coin\"", "in wei, are expected"),
        (&format!("\"{pool}=0\""), "no wei"),
        (&format!("\"{pool}=1.5\""), "no whole number"),
        (&format!("\"{pool}=1\", \"{pool}=2\""), "twice"),
    ] {
        let text = format!("[watch.evm.x]\nchain_id = 1\nurl = \"http://h\"\nmixers = [{mixers}]\n");
        fs::write(&config, text).unwrap();
        let done = caponier(&["config", "check", at]).exits(64);
        assert!(done.text().contains(expected) && done.text().contains(":4:"), "{}", done.text());
    }
}
