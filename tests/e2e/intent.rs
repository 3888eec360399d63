//! Transactions and typed messages before they are signed, as a person at the command line sees them.

use std::fs;

use serde_json::{Value, json};

use crate::support::{caponier, caponier_on, folder};

const ME: &str = "1111111111111111111111111111111111111111";
const TOKEN: &str = "2222222222222222222222222222222222222222";
const STRANGER: &str = "3333333333333333333333333333333333333333";

/// A text of bytes in RLP; all here are short.
fn text(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte] if *byte < 0x80 => vec![*byte],
        _ => {
            let mut out = prefix(0x80, bytes.len());
            out.extend(bytes);
            out
        }
    }
}

fn prefix(offset: u8, len: usize) -> Vec<u8> {
    match u8::try_from(len).unwrap() {
        short @ 0..=55 => vec![offset + short],
        long => vec![offset + 56, long],
    }
}

/// An unsigned transaction of type 2, in hexadecimal.
fn unsigned(chain_id: u16, to: &str, value: u64, data: &str) -> String {
    let bytes = |digits: &str| hex::decode(digits).unwrap();
    let short = |number: u64| {
        let digits = number.to_be_bytes();
        text(&digits[number.leading_zeros() as usize / 8..])
    };
    let mut items = short(u64::from(chain_id));
    for number in [0, 1, 2_000_000_000, 200_000] {
        items.extend(short(number));
    }
    items.extend(text(&bytes(to)));
    items.extend(short(value));
    items.extend(text(&bytes(data)));
    items.push(0xc0);
    let mut out = vec![2];
    out.extend(prefix(0xc0, items.len()));
    out.extend(items);
    hex::encode(out)
}

fn kinds(effects: &Value) -> Vec<&str> {
    effects.as_array().unwrap().iter().map(|effect| effect["kind"].as_str().unwrap()).collect()
}

#[test]
fn an_unlimited_approval_is_told_and_a_trusted_small_one_passes() {
    let approve = |amount: &str| unsigned(1, TOKEN, 0, &format!("095ea7b3{STRANGER:0>64}{amount:0>64}"));
    let unlimited = approve(&"f".repeat(64));
    let from = format!("0x{ME}");
    let told = caponier(&["--json", "intent", "decode", "--tx", &unlimited, "--from", &from]).exits(1).json();
    assert_eq!(
        (&told["ok"], &told["severity"], &told["understood"]),
        (&json!(false), &json!("danger"), &json!(true))
    );
    assert_eq!(kinds(&told["effects"]), ["allowance"]);
    assert_eq!(told["screened"], Value::Null);
    let said = caponier(&["intent", "decode", "--tx", &unlimited, "--from", &from]).exits(1).text();
    assert!(
        said.contains("may move an unlimited amount of token") && said.contains("nobody was screened"),
        "{said}"
    );
    assert!(said.ends_with("do not sign this unseen\n"), "{said}");
    let small = approve("5");
    let trusted = format!("0x{STRANGER}");
    let arguments =
        ["intent", "decode", "--tx", &small, "--from", &from, "--trust", &trusted, "--chain-id", "1"];
    assert!(caponier(&arguments).exits(0).text().contains("nothing speaks against it"));
    let other = ["--json", "intent", "decode", "--tx", &small, "--trust", &trusted, "--chain-id", "5"];
    assert_eq!(kinds(&caponier(&other).exits(1).json()["effects"])[0], "other_chain");
}

#[test]
fn what_is_malformed_is_named() {
    let fault = |arguments: &[&str], exit| caponier(arguments).exits(exit).stderr;
    assert!(fault(&["intent", "decode", "--tx", "0x02zz"], 65).contains("not hexadecimal"));
    assert!(fault(&["intent", "decode", "--tx", "0x05c0"], 65).contains("type 0x05 is not known"));
    assert!(fault(&["intent", "decode", "--typed", "/nowhere/at/all"], 66).contains("/nowhere/at/all"));
    let tx = unsigned(1, TOKEN, 0, "");
    assert!(fault(&["intent", "decode", "--tx", &tx, "--from", "0x12"], 64).contains("--from"));
    // The example of EIP-155, signed by another.
    let signed = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
    let from = format!("0x{ME}");
    assert!(
        fault(&["intent", "decode", "--tx", signed, "--from", &from], 65).contains("is signed by 0x9d8a")
    );
    let told = caponier(&["--json", "intent", "decode", "--tx", signed]).exits(0).json();
    assert_eq!(told["transaction"]["from"], "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
}

#[test]
fn a_typed_message_is_read_and_hashed() {
    let home = folder();
    let file = home.path().join("message.json");
    let permit = json!({
        "types": {
            "EIP712Domain": [{"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}],
            "Permit": [
                {"name": "owner", "type": "address"}, {"name": "spender", "type": "address"},
                {"name": "value", "type": "uint256"}, {"name": "nonce", "type": "uint256"},
                {"name": "deadline", "type": "uint256"},
            ],
        },
        "primaryType": "Permit",
        "domain": {"chainId": 1, "verifyingContract": format!("0x{TOKEN}")},
        "message": {
            "owner": format!("0x{ME}"), "spender": format!("0x{STRANGER}"), "value": "0xff", "nonce": 0, "deadline": 1,
        },
    });
    fs::write(&file, permit.to_string()).unwrap();
    let told = caponier(&["--json", "intent", "decode", "--typed", file.to_str().unwrap()]).exits(0).json();
    assert_eq!(kinds(&told["effects"]), ["allowance"]);
    assert_eq!(told["effects"][0]["severity"], "caution");
    assert_eq!(told["message"]["signing_hash"].as_str().unwrap().len(), 66);
}

#[test]
fn everybody_concerned_is_screened() {
    let home = folder();
    let data = home.path().join("data");
    let list = home.path().join("sanctioned_addresses_ETH.txt");
    fs::write(&list, format!("0x{STRANGER}\n")).unwrap();
    caponier_on(&data, &["lists", "import", "--format", "ofac", "--name", "ofac", list.to_str().unwrap()])
        .exits(0);
    let pay = |to: &str| unsigned(1, to, 7, "");
    let (bad, good) = (pay(STRANGER), pay(TOKEN));
    let told = caponier_on(&data, &["--json", "intent", "decode", "--screen", "--tx", &bad]).exits(1).json();
    assert_eq!(told["severity"], "plain");
    assert_eq!(told["screened"][0]["verdict"], "deny");
    assert_eq!(told["screened"][0]["roles"], json!(["recipient"]));
    let told = caponier_on(&data, &["--json", "intent", "decode", "--screen", "--tx", &good]).exits(0).json();
    assert_eq!(told["screened"][0]["verdict"], "allow");
    // No installation to ask: an answer without screening would be read as one with.
    let nowhere = home.path().join("nowhere");
    caponier_on(&nowhere, &["intent", "decode", "--screen", "--tx", &good]).exits(66);
}

#[cfg(not(feature = "simulation"))]
#[test]
fn without_an_evm_nothing_is_simulated() {
    let tx = unsigned(1, TOKEN, 7, "");
    let said = caponier(&["intent", "simulate", "--tx", &tx, "--state", "x.json"]).exits(64).stderr;
    assert!(said.contains("--features simulation"), "{said}");
}

#[cfg(feature = "simulation")]
mod simulation {
    use super::*;
    use crate::chains::Anvil;

    /// A contract that passes what it is paid on to a stranger: `PUSH0 x4 CALLVALUE PUSH20 stranger GAS CALL`.
    fn forwarder() -> String {
        format!("0x5f5f5f5f3473{STRANGER}5af100")
    }

    #[test]
    fn a_recorded_state_shows_what_a_payment_does() {
        let home = folder();
        let file = home.path().join("state.json");
        let state = json!({
            "chain_id": 1,
            "block": {
                "fork": "prague", "number": 9, "timestamp": 1_700_000_000, "gas_limit": 30_000_000, "base_fee": 7,
                "beneficiary": format!("0x{:0>40}", "1"),
            },
            "complete": true,
            "accounts": {
                format!("0x{ME}"): {"balance": "0xde0b6b3a7640000"},
                format!("0x{TOKEN}"): {"code": forwarder()},
            },
        });
        fs::write(&file, state.to_string()).unwrap();
        let from = format!("0x{ME}");
        let tx = unsigned(1, TOKEN, 500, "");
        let arguments =
            ["--json", "intent", "simulate", "--tx", &tx, "--from", &from, "--state", file.to_str().unwrap()];
        let told = caponier(&arguments).exits(1).json();
        assert_eq!(told["severity"], "plain", "its text is a payment");
        assert_eq!(kinds(&told["simulation"]["effects"]), ["native_transfer", "native_transfer"]);
        assert_eq!(told["differences"][0]["kind"], "unsaid");
        assert_eq!(told["differences"][0]["severity"], "danger");
        // Without the rest of the world it cannot be told.
        let mut part = state;
        part["complete"] = json!(false);
        fs::write(&file, part.to_string()).unwrap();
        let said = caponier(&arguments[1..]).exits(66).stderr;
        assert!(said.contains("is not in it"), "{said}");
    }

    #[test]
    fn a_real_node_lends_its_state() {
        let Some(node) = Anvil::start() else { return };
        let accounts = node.ask("eth_accounts", json!([]));
        let me = accounts[0].as_str().unwrap().to_owned();
        let to = accounts[1].as_str().unwrap().trim_start_matches("0x").to_owned();
        let url = format!("http://{}", node.address);
        let run = |tx: &str, exit| {
            let arguments = ["--json", "intent", "simulate", "--tx", tx, "--from", &me, "--rpc", &url];
            caponier(&arguments).exits(exit).json()
        };
        let told = run(&unsigned(31_337, &to, 42, ""), 0);
        assert_eq!(told["ok"], true);
        assert_eq!(told["simulation"]["gas_used"], 21_000);
        assert_eq!(told["differences"], json!([]));
        node.ask("anvil_setCode", json!([format!("0x{TOKEN}"), forwarder()]));
        let told = run(&unsigned(31_337, TOKEN, 42, ""), 1);
        assert_eq!(kinds(&told["simulation"]["effects"]), ["native_transfer", "native_transfer"]);
        let native = told["simulation"]["native"].as_array().unwrap();
        let stranger = native.iter().find(|change| change["account"] == format!("0x{STRANGER}")).unwrap();
        assert_eq!((&stranger["before"], &stranger["after"]), (&json!("0"), &json!("42")));
        // For another chain than the node's.
        let other = run(&unsigned(1, &to, 42, ""), 1);
        assert_eq!(kinds(&other["effects"])[0], "other_chain");
        assert_eq!(other["simulation"]["done"], false);
        // Nobody there.
        drop(node);
        let arguments =
            ["intent", "simulate", "--tx", &unsigned(1, &to, 1, ""), "--from", &me, "--rpc", &url];
        caponier(&arguments).exits(75);
    }
}
