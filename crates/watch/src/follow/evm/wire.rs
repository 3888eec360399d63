//! What nodes answer, as JSON, and as the words of [`chain::evm`].
//!
//! Strict where it matters: a hash has 32 bytes, a quantity is hexadecimal with `0x` and fits, a log has at most four
//! topics. Unknown fields are ignored, since every client adds some. Errors name line and column of the answer.
//!
//! Bounds: the answer is limited by whoever read it; nothing here grows beyond a small multiple of it.

use std::{borrow::Cow, fmt};

use chain::{
    evm::{Account, Authorization, Block, BlockHeader, Bloom, Log, Outcome, Receipt, Transaction},
    headers::{BlockHash, BlockId, Header},
    u256::U256,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor},
};

/// Most topics of a log.
const TOPICS_MAX: usize = 4;

/// Exactly `N` bytes, written as `0x` and twice as many digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed<const N: usize>(pub(super) [u8; N]);

/// A number below 2^64, `0x` and at least one digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Quantity(pub(super) u64);

/// A number below 2^256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Big(U256);

/// Any bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

fn digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

fn unhex_into(digits: &str, out: &mut [u8]) -> Option<()> {
    if digits.len() != out.len() * 2 {
        return None;
    }
    let value = |digit: u8| -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            b'A'..=b'F' => Some(digit - b'A' + 10),
            _ => None,
        }
    };
    for (byte, pair) in out.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (value(*high)? << 4) | value(*low)?;
    }
    Some(())
}

/// Reads a text without copying it and hands it to `parse`.
struct Text<T, F>(&'static str, F, std::marker::PhantomData<T>);

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Text<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        let shown: String = text.chars().take(80).collect();
        (self.1)(text).ok_or_else(|| E::custom(format_args!("{shown:?} is not {}", self.0)))
    }
}

fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    what: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(what, parse, std::marker::PhantomData))
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "hexadecimal bytes of the right length", |text| {
            let mut out = [0; N];
            unhex_into(digits(text)?, &mut out)?;
            Some(Self(out))
        })
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a hexadecimal quantity below 2^64", |text| {
            U256::from_hex(digits(text)?).ok()?.to_u64().map(Self)
        })
    }
}

impl<'de> Deserialize<'de> for Big {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a hexadecimal quantity below 2^256", |text| {
            U256::from_hex(digits(text)?).ok().map(Self)
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "hexadecimal bytes", |text| {
            let digits = digits(text)?;
            let mut out = vec![0; digits.len() / 2];
            unhex_into(digits, &mut out)?;
            Some(Self(out))
        })
    }
}

/// A header as `newHeads` and `eth_getBlockBy...` give it: what links it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireHeader {
    hash: Fixed<32>,
    parent_hash: Fixed<32>,
    number: Quantity,
    timestamp: Quantity,
}

impl WireHeader {
    pub(super) const fn link(&self) -> Header {
        Header {
            id: BlockId { height: self.number.0, hash: BlockHash(self.hash.0) },
            parent: BlockHash(self.parent_hash.0),
            time_s: self.timestamp.0,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireBlock {
    hash: Fixed<32>,
    parent_hash: Fixed<32>,
    sha3_uncles: Fixed<32>,
    miner: Fixed<20>,
    state_root: Fixed<32>,
    transactions_root: Fixed<32>,
    receipts_root: Fixed<32>,
    logs_bloom: Fixed<256>,
    #[serde(default)]
    difficulty: Big,
    number: Quantity,
    gas_limit: Quantity,
    gas_used: Quantity,
    timestamp: Quantity,
    extra_data: Bytes,
    mix_hash: Option<Fixed<32>>,
    nonce: Option<Fixed<8>>,
    base_fee_per_gas: Option<Big>,
    withdrawals_root: Option<Fixed<32>>,
    blob_gas_used: Option<Quantity>,
    excess_blob_gas: Option<Quantity>,
    parent_beacon_block_root: Option<Fixed<32>>,
    requests_hash: Option<Fixed<32>>,
    transactions: Vec<WireTransaction>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTransaction {
    #[serde(rename = "type", default)]
    kind: Quantity,
    hash: Fixed<32>,
    from: Fixed<20>,
    to: Option<Fixed<20>>,
    #[serde(default)]
    value: Big,
    #[serde(default)]
    nonce: Quantity,
    #[serde(default)]
    gas: Quantity,
    gas_price: Option<Big>,
    max_fee_per_gas: Option<Big>,
    max_priority_fee_per_gas: Option<Big>,
    max_fee_per_blob_gas: Option<Big>,
    #[serde(default)]
    blob_versioned_hashes: Vec<Fixed<32>>,
    chain_id: Option<Big>,
    #[serde(default)]
    input: Bytes,
    #[serde(default)]
    access_list: Option<Vec<WireAccess>>,
    #[serde(default)]
    authorization_list: Option<Vec<WireAuthorization>>,
    y_parity: Option<Big>,
    v: Option<Big>,
    r: Option<Big>,
    s: Option<Big>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAccess {
    address: Fixed<20>,
    storage_keys: Vec<Fixed<32>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAuthorization {
    chain_id: Big,
    address: Fixed<20>,
    nonce: Quantity,
    y_parity: Option<Quantity>,
    v: Option<Quantity>,
    r: Big,
    s: Big,
}

impl From<WireBlock> for Block {
    fn from(wire: WireBlock) -> Self {
        let zero = Fixed([0; 32]);
        Self {
            hash: BlockHash(wire.hash.0),
            header: BlockHeader {
                parent_hash: BlockHash(wire.parent_hash.0),
                ommers_hash: wire.sha3_uncles.0,
                beneficiary: Account(wire.miner.0),
                state_root: wire.state_root.0,
                transactions_root: wire.transactions_root.0,
                receipts_root: wire.receipts_root.0,
                logs_bloom: Bloom(Box::new(wire.logs_bloom.0)),
                difficulty: wire.difficulty.0,
                number: wire.number.0,
                gas_limit: wire.gas_limit.0,
                gas_used: wire.gas_used.0,
                timestamp: wire.timestamp.0,
                extra_data: wire.extra_data.0,
                mix_hash: wire.mix_hash.unwrap_or(zero).0,
                nonce: wire.nonce.unwrap_or(Fixed([0; 8])).0,
                base_fee_per_gas: wire.base_fee_per_gas.map(|fee| fee.0),
                withdrawals_root: wire.withdrawals_root.map(|root| root.0),
                blob_gas_used: wire.blob_gas_used.map(|gas| gas.0),
                excess_blob_gas: wire.excess_blob_gas.map(|gas| gas.0),
                parent_beacon_block_root: wire.parent_beacon_block_root.map(|root| root.0),
                requests_hash: wire.requests_hash.map(|hash| hash.0),
            },
            transactions: wire.transactions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<WireTransaction> for Transaction {
    fn from(wire: WireTransaction) -> Self {
        let or_zero = |value: Option<Big>| value.unwrap_or_default().0;
        // Typed transactions say the parity by its own name; some nodes repeat it as v, some say only one of them.
        let v = if wire.kind.0 == 0 { wire.v } else { wire.y_parity.or(wire.v) };
        let access_list = wire.access_list.unwrap_or_default();
        Self {
            kind: wire.kind.0,
            hash: wire.hash.0,
            from: Account(wire.from.0),
            to: wire.to.map(|to| Account(to.0)),
            value: wire.value.0,
            nonce: wire.nonce.0,
            gas: wire.gas.0,
            gas_price: or_zero(wire.gas_price),
            max_fee_per_gas: or_zero(wire.max_fee_per_gas),
            max_priority_fee_per_gas: or_zero(wire.max_priority_fee_per_gas),
            max_fee_per_blob_gas: or_zero(wire.max_fee_per_blob_gas),
            blob_versioned_hashes: wire.blob_versioned_hashes.into_iter().map(|hash| hash.0).collect(),
            chain_id: or_zero(wire.chain_id),
            input: wire.input.0,
            access_list: access_list
                .into_iter()
                .map(|access| {
                    (Account(access.address.0), access.storage_keys.into_iter().map(|key| key.0).collect())
                })
                .collect(),
            authorizations: wire
                .authorization_list
                .unwrap_or_default()
                .into_iter()
                .map(|authorization| Authorization {
                    chain_id: authorization.chain_id.0,
                    delegate: Account(authorization.address.0),
                    nonce: authorization.nonce.0,
                    // Absent both: 2 is the parity of no signature.
                    y_parity: authorization.y_parity.or(authorization.v).map_or(2, |parity| parity.0),
                    r: authorization.r.0,
                    s: authorization.s.0,
                })
                .collect(),
            v: or_zero(v),
            r: or_zero(wire.r),
            s: or_zero(wire.s),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireReceipt {
    #[serde(rename = "type", default)]
    kind: Quantity,
    transaction_hash: Fixed<32>,
    transaction_index: Quantity,
    block_hash: Fixed<32>,
    status: Option<Quantity>,
    root: Option<Bytes>,
    cumulative_gas_used: Quantity,
    logs_bloom: Fixed<256>,
    logs: Vec<WireLog>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLog {
    address: Fixed<20>,
    #[serde(deserialize_with = "topics")]
    topics: Vec<Fixed<32>>,
    data: Bytes,
    log_index: Quantity,
    block_hash: Fixed<32>,
    transaction_hash: Fixed<32>,
}

fn topics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Fixed<32>>, D::Error> {
    let topics = Vec::deserialize(deserializer)?;
    if topics.len() > TOPICS_MAX {
        return Err(D::Error::custom(format_args!("a log with {} topics", topics.len())));
    }
    Ok(topics)
}

impl WireReceipt {
    /// As the engine's word; an error in words when its parts contradict each other.
    pub(super) fn receipt(self) -> Result<Receipt, String> {
        let index = self.transaction_index.0;
        let outcome = match (self.status, self.root) {
            (Some(Quantity(0)), _) => Outcome::Status(false),
            (Some(Quantity(1)), _) => Outcome::Status(true),
            (Some(Quantity(other)), _) => {
                return Err(format!("receipt {index} has the status {other}"));
            }
            (None, Some(Bytes(root))) => Outcome::StateRoot(
                root.try_into().map_err(|_| format!("receipt {index} has a root that is none"))?,
            ),
            (None, None) => return Err(format!("receipt {index} has neither status nor root")),
        };
        let mut logs = Vec::with_capacity(self.logs.len());
        for log in self.logs {
            if log.block_hash != self.block_hash || log.transaction_hash != self.transaction_hash {
                return Err(format!("receipt {index} has log {} of another one", log.log_index.0));
            }
            logs.push(Log {
                emitter: Account(log.address.0),
                topics: log.topics.into_iter().map(|topic| topic.0).collect(),
                data: log.data.0,
                index: log.log_index.0,
            });
        }
        Ok(Receipt {
            transaction: self.transaction_hash.0,
            index,
            block: BlockHash(self.block_hash.0),
            kind: self.kind.0,
            outcome,
            cumulative_gas_used: self.cumulative_gas_used.0,
            logs_bloom: Bloom(Box::new(self.logs_bloom.0)),
            logs,
        })
    }
}

/// The params of a question, as JSON text.
pub(super) fn quoted(bytes: &[u8]) -> Cow<'static, str> {
    let mut text = String::with_capacity(bytes.len() * 2 + 4);
    text.push_str("\"0x");
    bytes.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
    text.push('"');
    text.into()
}

#[cfg(test)]
mod tests;
