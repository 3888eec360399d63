//! A real node (anvil) and just enough of JSON-RPC to ask it.
//!
//! The program comes from the test set-up (`cargo xtask setup`); where it is absent the tests say so and pass.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use chain::{evm::Account, u256::U256};
use serde_json::{Value, json};
use simulate::{AccountState, Code, Need, Snapshot};

/// The node's program: as the task runner names it, else where it puts it.
#[allow(clippy::disallowed_methods, reason = "the environment is how the task runner names its tools")]
pub(crate) fn program() -> Option<PathBuf> {
    let tools = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("test-tools/node");
    let node = std::env::var("OKX_API_DIR").map(PathBuf::from).unwrap_or(tools);
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let program = node.join(format!("node_modules/@foundry-rs/anvil-linux-{machine}/bin/anvil"));
    if !program.is_file() {
        eprintln!("skipped: no anvil at {}; run cargo xtask setup", program.display());
        return None;
    }
    Some(program)
}

/// A running node. Dropping it ends it.
pub(crate) struct Anvil {
    child: Child,
    address: SocketAddr,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Anvil {
    pub(crate) fn start(program: &Path, fork: &str) -> Self {
        let mut child = Command::new(program)
            .args(["--port", "0", "--no-mining", "--hardfork", fork, "--order", "fifo"])
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
            .expect("an address");
        // Whoever does not read lets the node wait.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    pub(crate) fn ask(&self, method: &str, params: &Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.to_ascii_lowercase().contains("content-length"), "{head}");
        let reply: Value = serde_json::from_str(body).unwrap();
        assert_eq!(reply.get("error"), None, "{method} {params}");
        reply["result"].clone()
    }

    pub(crate) fn mine(&self) {
        self.ask("anvil_mine", &json!(["0x1"]));
    }

    /// What a simulation needs, of the newest block.
    pub(crate) fn fetch(&self, need: &Need, state: &mut Snapshot) {
        match need {
            Need::Account(of) => {
                let of_text = of.to_string();
                let about = |method| self.ask(method, &json!([of_text, "latest"]));
                let code = bytes(about("eth_getCode").as_str().unwrap());
                let account = AccountState {
                    balance: number(&about("eth_getBalance")),
                    nonce: number(&about("eth_getTransactionCount")).to_u64().unwrap(),
                    code: Code::new(&code),
                };
                state.put_account(*of, account).unwrap();
            }
            Need::Slot(of, slot) => {
                let at = format!("0x{}", hex::encode(slot));
                let value = self.ask("eth_getStorageAt", &json!([of.to_string(), at, "latest"]));
                state.put_slot(*of, *slot, number(&value).to_be_bytes()).unwrap();
            }
            Need::BlockHash(height) => {
                let block = self.ask("eth_getBlockByNumber", &json!([format!("{height:#x}"), false]));
                let hash = number(&block["hash"]).to_be_bytes();
                state.put_block_hash(*height, hash).unwrap();
            }
        }
    }
}

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    hex::decode(&text[2..]).unwrap()
}

pub(crate) fn number(value: &Value) -> U256 {
    U256::from_hex(&value.as_str().unwrap()[2..]).unwrap()
}

pub(crate) fn account(value: &Value) -> Account {
    Account(bytes(value.as_str().unwrap()).try_into().unwrap())
}
