//! State of a node, asked piece by piece, all of one block by its hash (EIP-1898): what a node says between two blocks
//! never mixes.
//!
//! The node is believed. Whoever controls it decides what a simulation shows.

use std::{path::Path, time::Duration};

use chain::{
    evm::{Account, Transaction},
    u256::U256,
};
use domain::UnixNanos;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use simulate::{AccountState, Code, Environment, Fork, Need, Snapshot, StateTooLarge};
use watch::follow::{
    SourceError,
    rpc::{Endpoint, Limits, Rpc},
};

use crate::{
    chains,
    exit::{Exit, Failure},
};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer. Code has at most 24 KiB, an access list some thousand entries.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Questions under way at a time.
const AT_ONCE: usize = 8;
/// Most slots of one access list that are asked before they are needed.
const EXPECTED_MAX: usize = 4_096;

/// A node, the block that is asked, and what is known of it.
pub(super) struct Node {
    rpc: Rpc,
    /// The block, as parameter.
    at: String,
    pub(super) environment: Environment,
    pub(super) state: Snapshot,
    pub(super) fetched: usize,
}

/// A block as far as the next one follows from it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    hash: String,
    number: String,
    timestamp: String,
    gas_limit: String,
    gas_used: String,
    base_fee_per_gas: Option<String>,
    miner: Option<String>,
    mix_hash: Option<String>,
    excess_blob_gas: Option<String>,
    withdrawals_root: Option<String>,
    parent_beacon_block_root: Option<String>,
    requests_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListAnswer {
    access_list: Vec<AccessListEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListEntry {
    address: String,
    storage_keys: Vec<String>,
}

fn unusable(error: &SourceError) -> Failure {
    Failure::new(Exit::Busy, format!("node: {error}"))
}

fn malformed(what: &str, text: &str) -> Failure {
    let shown: String = text.chars().take(80).collect();
    Failure::new(Exit::Busy, format!("node: {what}: {shown:?} is none"))
}

fn full(error: StateTooLarge) -> Failure {
    Failure::new(Exit::Input, format!("the transaction touches {error}"))
}

fn integer(what: &str, text: &str) -> Result<U256, Failure> {
    let digits = text.strip_prefix("0x").filter(|digits| !digits.is_empty());
    digits.and_then(|digits| U256::from_hex(digits).ok()).ok_or_else(|| malformed(what, text))
}

fn number(what: &str, text: &str) -> Result<u64, Failure> {
    integer(what, text)?.to_u64().ok_or_else(|| malformed(what, text))
}

fn account(what: &str, text: &str) -> Result<Account, Failure> {
    let bytes = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
    bytes.and_then(|bytes| bytes.try_into().ok()).map(Account).ok_or_else(|| malformed(what, text))
}

impl Node {
    /// Asks a node for its newest block.
    pub(super) async fn open(
        url: &str,
        ca_file: Option<&Path>,
        fork: Option<Fork>,
        now: UnixNanos,
    ) -> Result<Self, Failure> {
        let endpoint =
            Endpoint::http(url).map_err(|error| Failure::new(Exit::Usage, format!("--rpc: {error}")))?;
        let limits = Limits { timeout: PATIENCE, answer_bytes_max: ANSWER_BYTES_MAX };
        let rpc = Rpc::new(endpoint, chains::dial(ca_file)?, limits);
        let chain_id: String = rpc.ask("eth_chainId", "[]").await.map_err(|error| unusable(&error))?;
        let head: Option<Head> =
            rpc.ask("eth_getBlockByNumber", r#"["latest",false]"#).await.map_err(|error| unusable(&error))?;
        let head = head.ok_or_else(|| malformed("newest block", "null"))?;
        let environment = head.next(number("chain id", &chain_id)?, fork, now)?;
        // It goes back into questions, so it must be what it says.
        let hash = integer("block hash", &head.hash)?.to_be_bytes();
        let at = format!(r#"{{"blockHash":"0x{}"}}"#, hex::encode(hash));
        let mut state = Snapshot::new();
        if let Some(before) = environment.number.checked_sub(1) {
            state.put_block_hash(before, hash).map_err(full)?;
        }
        Ok(Self { rpc, at, environment, state, fetched: 2 })
    }

    /// Fetches what the node itself expects the transaction to touch. Not all nodes answer, and what they say is only a
    /// hint: what is missing afterwards is asked for when it is needed.
    pub(super) async fn expect(&mut self, tx: &Transaction) {
        let mut call = serde_json::json!({
            "from": tx.from.to_string(),
            "value": format!("0x{}", hex_quantity(tx.value)),
            "data": format!("0x{}", hex::encode(&tx.input)),
            "gas": format!("{:#x}", tx.gas),
        });
        if let (Some(fields), Some(to)) = (call.as_object_mut(), tx.to) {
            fields.insert("to".to_owned(), serde_json::Value::from(to.to_string()));
        }
        let params = format!("[{call},{}]", self.at);
        self.fetched += 1;
        let answer: Result<AccessListAnswer, _> = self.rpc.ask("eth_createAccessList", &params).await;
        let mut needs = vec![Need::Account(tx.from), Need::Account(self.environment.beneficiary)];
        needs.extend(tx.to.map(Need::Account));
        for entry in answer.map(|answer| answer.access_list).unwrap_or_default() {
            let Ok(of) = account("access list", &entry.address) else { continue };
            needs.push(Need::Account(of));
            needs.extend(entry.storage_keys.iter().filter_map(|key| {
                let slot = integer("access list", key).ok()?;
                Some(Need::Slot(of, slot.to_be_bytes()))
            }));
        }
        needs.truncate(EXPECTED_MAX);
        needs.sort_unstable();
        needs.dedup();
        self.fetched += needs.len();
        let asked =
            stream::iter(needs).map(|need| answer_to(&self.rpc, &self.at, need)).buffer_unordered(AT_ONCE);
        let answers: Vec<Result<Known, Failure>> = asked.collect().await;
        for known in answers.into_iter().flatten() {
            // Whatever does not fit will be missed, and then said.
            if known.keep(&mut self.state).is_err() {
                break;
            }
        }
    }

    /// Fetches one thing.
    pub(super) async fn fetch(&mut self, need: Need) -> Result<(), Failure> {
        self.fetched += 1;
        answer_to(&self.rpc, &self.at, need).await?.keep(&mut self.state).map_err(full)
    }
}

/// An answer.
enum Known {
    Account(Account, AccountState),
    BlockHash(u64, [u8; 32]),
    Slot(Account, [u8; 32], [u8; 32]),
}

impl Known {
    fn keep(self, state: &mut Snapshot) -> Result<(), StateTooLarge> {
        match self {
            Self::Account(of, account) => state.put_account(of, account),
            Self::BlockHash(number, hash) => state.put_block_hash(number, hash),
            Self::Slot(of, slot, value) => state.put_slot(of, slot, value),
        }
    }
}

async fn answer_to(rpc: &Rpc, at: &str, need: Need) -> Result<Known, Failure> {
    match need {
        Need::Account(of) => {
            let params = format!(r#"["{of}",{at}]"#);
            let asked = tokio::try_join!(
                rpc.ask::<String>("eth_getBalance", &params),
                rpc.ask::<String>("eth_getTransactionCount", &params),
                rpc.ask::<String>("eth_getCode", &params),
            );
            let (balance, nonce, code) = asked.map_err(|error| unusable(&error))?;
            let code = code.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
            let code = code.ok_or_else(|| malformed("code", "(not hexadecimal)"))?;
            let state = AccountState {
                balance: integer("balance", &balance)?,
                nonce: number("nonce", &nonce)?,
                code: Code::new(&code),
            };
            Ok(Known::Account(of, state))
        }
        Need::Slot(of, slot) => {
            let params = format!(r#"["{of}","0x{}",{at}]"#, hex::encode(slot));
            let value: String =
                rpc.ask("eth_getStorageAt", &params).await.map_err(|error| unusable(&error))?;
            Ok(Known::Slot(of, slot, integer("storage", &value)?.to_be_bytes()))
        }
        Need::BlockHash(height) => {
            let params = format!(r#"["{height:#x}",false]"#);
            let head: Option<Head> =
                rpc.ask("eth_getBlockByNumber", &params).await.map_err(|error| unusable(&error))?;
            let head = head.ok_or_else(|| malformed("block", "null"))?;
            Ok(Known::BlockHash(height, integer("block hash", &head.hash)?.to_be_bytes()))
        }
    }
}

/// Hexadecimal digits without leading zeros.
fn hex_quantity(value: U256) -> String {
    let digits = hex::encode(value.to_be_bytes());
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
}

impl Head {
    /// The block after it, as far as it can be known: the fees by EIP-1559, the rest as before.
    fn next(&self, chain_id: u64, fork: Option<Fork>, now: UnixNanos) -> Result<Environment, Failure> {
        let field =
            |what: &str, text: &Option<String>| text.as_deref().map(|text| number(what, text)).transpose();
        let gas_limit = number("gas limit", &self.gas_limit)?;
        let base_fee = field("base fee", &self.base_fee_per_gas)?;
        let newest = match (&self.requests_hash, &self.parent_beacon_block_root, &self.withdrawals_root) {
            (Some(_), ..) => Fork::Osaka,
            (_, Some(_), _) => Fork::Cancun,
            (_, _, Some(_)) => Fork::Shanghai,
            _ => Fork::London,
        };
        let timestamp = number("time", &self.timestamp)?;
        Ok(Environment {
            chain_id,
            fork: fork.unwrap_or(newest),
            number: number("number", &self.number)?.saturating_add(1),
            timestamp_s: (now.0 / 1_000_000_000).max(timestamp.saturating_add(1)),
            gas_limit,
            base_fee: next_base_fee(base_fee.unwrap_or(0), number("gas used", &self.gas_used)?, gas_limit),
            beneficiary: self
                .miner
                .as_deref()
                .map_or(Ok(Account::ZERO), |text| account("beneficiary", text))?,
            randomness: match self.mix_hash.as_deref() {
                Some(text) => integer("randomness", text)?.to_be_bytes(),
                None => [0; 32],
            },
            excess_blob_gas: field("excess blob gas", &self.excess_blob_gas)?.unwrap_or(0),
        })
    }
}

/// EIP-1559: an eighth up or down with the gas used above or below half the limit.
fn next_base_fee(base_fee: u64, gas_used: u64, gas_limit: u64) -> u64 {
    let target = gas_limit / 2;
    if target == 0 || base_fee == 0 {
        return base_fee;
    }
    let step = |gas: u64| {
        let step = u128::from(base_fee) * u128::from(gas) / u128::from(target) / 8;
        u64::try_from(step).unwrap_or(u64::MAX)
    };
    if gas_used > target {
        base_fee.saturating_add(step(gas_used - target).max(1))
    } else {
        base_fee.saturating_sub(step(target - gas_used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks 12,965,000 to 12,965,002 of Ethereum: the first three with a base fee.
    #[test]
    fn the_fees_of_the_first_blocks_of_london() {
        assert_eq!(next_base_fee(1_000_000_000, 30_025_257, 30_029_122), 1_124_967_822);
        assert_eq!(next_base_fee(1_000_000_000, 0, 30_000_000), 875_000_000);
        assert_eq!(next_base_fee(1_000_000_000, 15_000_000, 30_000_000), 1_000_000_000);
        assert_eq!(next_base_fee(7, 30_000_000, 30_000_000), 8);
        assert_eq!(next_base_fee(0, 1, 0), 0);
    }

    #[test]
    fn quantities() {
        assert_eq!(hex_quantity(U256::ZERO), "0");
        assert_eq!(hex_quantity(U256::from(0x1f0u64)), "1f0");
        assert!(integer("x", "0x").is_err() && integer("x", "12").is_err());
        assert!(number("x", "0x1ffffffffffffffff").is_err());
    }
}
