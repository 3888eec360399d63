//! Recorded state: JSON with the block and the accounts, as `docs/operating/intent.md` says. The accounts are written as
//! genesis files and the prestate tracer of nodes write them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use chain::{evm::Account, u256::U256};
use serde::Deserialize;
use simulate::{AccountState, Code, Environment, Fork, Snapshot};

use crate::exit::{Exit, Failure};

/// Longest file, in bytes.
const BYTES_MAX: u64 = 256 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    chain_id: u64,
    block: Block,
    /// Whether what is not in it is empty; else it is unknown, and a transaction that needs it is not simulated.
    #[serde(default)]
    complete: bool,
    accounts: BTreeMap<String, WireAccount>,
    #[serde(default)]
    block_hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    fork: String,
    number: u64,
    timestamp: u64,
    gas_limit: u64,
    base_fee: u64,
    beneficiary: String,
    #[serde(default)]
    randomness: Option<String>,
    #[serde(default)]
    excess_blob_gas: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireAccount {
    #[serde(default)]
    balance: Option<Number>,
    #[serde(default)]
    nonce: Option<Number>,
    #[serde(default)]
    code: Option<String>,
    /// Of no use here; tracers write it.
    #[serde(default, rename = "codeHash")]
    _code_hash: Option<String>,
    #[serde(default)]
    storage: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Small(u64),
    Text(String),
}

/// Reads a file.
pub(super) fn read(path: &Path, fork: Option<Fork>) -> Result<(Environment, Snapshot), Failure> {
    let text = super::file(path, BYTES_MAX)?;
    parse(&text, fork).map_err(|what| Failure::new(Exit::Input, format!("{}: {what}", path.display())))
}

fn parse(text: &str, fork: Option<Fork>) -> Result<(Environment, Snapshot), String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let block = &file.block;
    let written = Fork::ALL.into_iter().find(|fork| fork.as_str() == block.fork);
    let written = written.ok_or_else(|| format!("block.fork: {:?} is not known", block.fork))?;
    let randomness = block.randomness.as_deref();
    let environment = Environment {
        chain_id: file.chain_id,
        fork: fork.unwrap_or(written),
        number: block.number,
        timestamp_s: block.timestamp,
        gas_limit: block.gas_limit,
        base_fee: block.base_fee,
        beneficiary: account("block.beneficiary", &block.beneficiary)?,
        randomness: randomness.map_or(Ok([0; 32]), |text| word("block.randomness", text))?,
        excess_blob_gas: block.excess_blob_gas,
    };
    let mut state = if file.complete { Snapshot::whole() } else { Snapshot::new() };
    let mut seen = BTreeSet::new();
    for (name, wire) in &file.accounts {
        let of = account("accounts", name)?;
        if !seen.insert(of) {
            return Err(format!("accounts: {name} stands twice"));
        }
        let known = AccountState {
            balance: integer(name, wire.balance.as_ref())?,
            nonce: integer(name, wire.nonce.as_ref())?
                .to_u64()
                .ok_or_else(|| format!("accounts.{name}.nonce: larger than 64 bits"))?,
            code: Code::new(&code(name, wire.code.as_deref())?),
        };
        state.put_account(of, known).map_err(|error| error.to_string())?;
        let mut slots = BTreeSet::new();
        for (slot, value) in &wire.storage {
            let at = word(name, slot)?;
            if !slots.insert(at) {
                return Err(format!("accounts.{name}.storage: {slot} stands twice"));
            }
            state.put_slot(of, at, word(name, value)?).map_err(|error| error.to_string())?;
        }
    }
    for (number, hash) in &file.block_hashes {
        let height = number.parse().map_err(|_| format!("block_hashes: {number:?} is no number"))?;
        state.put_block_hash(height, word("block_hashes", hash)?).map_err(|error| error.to_string())?;
    }
    Ok((environment, state))
}

fn account(what: &str, text: &str) -> Result<Account, String> {
    let bytes = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(Account)
        .ok_or_else(|| format!("{what}: {text:?} is no account"))
}

fn word(what: &str, text: &str) -> Result<[u8; 32], String> {
    let digits = text.strip_prefix("0x").filter(|digits| !digits.is_empty());
    digits
        .and_then(|digits| U256::from_hex(digits).ok())
        .map(U256::to_be_bytes)
        .ok_or_else(|| format!("{what}: {text:?} is no word of 32 bytes"))
}

fn integer(name: &str, number: Option<&Number>) -> Result<U256, String> {
    match number {
        None => Ok(U256::ZERO),
        Some(Number::Small(number)) => Ok(U256::from(*number)),
        Some(Number::Text(text)) => match text.strip_prefix("0x") {
            Some(_) => word(&format!("accounts.{name}"), text).map(U256::from_be_bytes),
            None => text.parse::<u128>().map(U256::from).map_err(|_| {
                format!("accounts.{name}: {text:?} is no number; large ones are written as 0x...")
            }),
        },
    }
}

fn code(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let Some(text) = text else { return Ok(Vec::new()) };
    text.strip_prefix("0x")
        .and_then(|digits| hex::decode(digits).ok())
        .ok_or_else(|| format!("accounts.{name}.code: not hexadecimal with 0x"))
}

#[cfg(test)]
mod tests {
    use simulate::StateSource as _;

    use super::*;

    const FILE: &str = r#"{
        "chain_id": 1,
        "block": {"fork": "prague", "number": 9, "timestamp": 5, "gas_limit": 30000000, "base_fee": 7,
                  "beneficiary": "0x0000000000000000000000000000000000000001"},
        "accounts": {
            "0x1111111111111111111111111111111111111111":
                {"balance": "0xde0b6b3a7640000", "nonce": 3, "code": "0x00", "storage": {"0x0": "0x01"}},
            "0x2222222222222222222222222222222222222222": {"balance": "12"}
        },
        "block_hashes": {"8": "0x00000000000000000000000000000000000000000000000000000000000000aa"}
    }"#;

    #[test]
    fn what_is_written_is_known_and_nothing_else() {
        let (environment, state) = parse(FILE, None).unwrap();
        assert_eq!((environment.fork, environment.number), (Fork::Prague, 9));
        let first = state.account(&Account([0x11; 20])).unwrap();
        assert_eq!((first.balance, first.nonce), (U256::from(1_000_000_000_000_000_000u64), 3));
        assert_eq!(state.slot(&Account([0x11; 20]), &[0; 32]), Some(U256::ONE.to_be_bytes()));
        assert_eq!(state.account(&Account([0x22; 20])).unwrap().balance, U256::from(12u64));
        assert_eq!(state.account(&Account([0x33; 20])), None);
        assert!(state.block_hash(8).is_some() && state.block_hash(7).is_none());
        let complete = FILE.replace("\"chain_id\": 1,", "\"chain_id\": 1, \"complete\": true,");
        let (_, state) = parse(&complete, Some(Fork::Osaka)).unwrap();
        assert_eq!(state.account(&Account([0x33; 20])), Some(AccountState::default()));
    }

    #[test]
    fn faults_are_named() {
        for (from, to, what) in [
            ("prague", "praha", "block.fork: \"praha\" is not known"),
            ("\"0x0\": \"0x01\"", "\"0x0\": \"1\"", "\"1\" is no word of 32 bytes"),
            ("\"0x0\": \"0x01\"", "\"0x0\": \"0x01\", \"0x00\": \"0x02\"", "stands twice"),
            ("\"12\"", "\"-12\"", "is no number"),
            ("\"0x00\"", "\"00\"", "code: not hexadecimal"),
            ("\"8\"", "\"eight\"", "block_hashes: \"eight\" is no number"),
            ("\"chain_id\": 1,", "\"chain_id\": 1, \"more\": 2,", "unknown field"),
        ] {
            assert!(FILE.contains(from), "{from}");
            let error = parse(&FILE.replacen(from, to, 1), None).err().unwrap();
            assert!(error.contains(what), "{error}");
        }
    }
}
