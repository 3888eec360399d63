//! A Bitcoin node as a source of blocks (JSON-RPC of Bitcoin Core, version 23 or later).
//!
//! A block is asked for by its hash, once with its raw header (80 bytes) and once with everything
//! (`getblock` at verbosity 3): the raw transactions of that answer are parsed by [`chain::bitcoin`] and proven against the
//! header, so they are not believed but recomputed. What their inputs spend is in no block that is looked at; it comes from
//! the same answer (`prevout`) and **is the node's word**, checked only in sum: no transaction pays out more than it takes.
//! The other way, a store of all unspent outputs, would need tens of gigabytes to save that trust.

use chain::{
    bitcoin::{Block, Facts, MONEY_MAX, Prevout, facts},
    headers::{BlockHash, BlockId, Header},
    u256::U256,
};
use domain::Address;
use serde::Deserialize;

use super::{
    rpc::Rpc,
    rules::{Finding, Movement, Rules},
    source::{self, Source, SourceError},
};

/// The node's code for a height above its head.
const OUT_OF_RANGE: i64 = -8;
/// The node's code for a block it does not have.
const NOT_FOUND: i64 = -5;

/// A node.
#[derive(Debug)]
pub struct BitcoinNode {
    rpc: Rpc,
    network: String,
}

impl BitcoinNode {
    /// A node that must follow the network of this name: `main`, `test`, `testnet4`, `signet` or `regtest`.
    #[must_use]
    pub fn new(rpc: Rpc, network: &str) -> Self {
        Self { rpc, network: network.to_owned() }
    }
}

/// 32 bytes as the node prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hash([u8; 32]);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Hex(bytes) = Hex::deserialize(deserializer)?;
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::custom("a hash does not have 32 bytes"))
    }
}

/// Any bytes as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Digits)
    }
}

/// Reads digits where they stand: a block holds megabytes of them.
struct Digits;

impl serde::de::Visitor<'_> for Digits {
    type Value = Hex;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hexadecimal digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hex, E> {
        let mut bytes = vec![0; text.len() / 2];
        hex::decode_to_slice(text, &mut bytes).map_err(E::custom)?;
        Ok(Hex(bytes))
    }
}

#[derive(Debug, Deserialize)]
struct ChainName {
    chain: String,
}

#[derive(Debug, Deserialize)]
struct WireHeader {
    hash: Hash,
    height: u64,
    time: u64,
    previousblockhash: Option<Hash>,
}

impl WireHeader {
    fn link(&self) -> Header {
        Header {
            id: BlockId { height: self.height, hash: BlockHash(self.hash.0) },
            parent: BlockHash(self.previousblockhash.map_or([0; 32], |hash| hash.0)),
            time_s: self.time,
        }
    }
}

#[derive(Debug, Deserialize)]
struct WireBlock {
    height: u64,
    tx: Vec<WireTransaction>,
}

#[derive(Debug, Deserialize)]
struct WireTransaction {
    hex: Hex,
    vin: Vec<WireInput>,
}

#[derive(Debug, Deserialize)]
struct WireInput {
    prevout: Option<WirePrevout>,
}

#[derive(Debug, Deserialize)]
struct WirePrevout {
    value: Box<serde_json::value::RawValue>,
    #[serde(rename = "scriptPubKey")]
    script: WireScript,
}

#[derive(Debug, Deserialize)]
struct WireScript {
    hex: Hex,
}

/// Coins as the node prints them, in satoshi: digits, a point, at most eight digits, never through floating point.
fn satoshi(text: &str) -> Option<u64> {
    let (coins, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if coins.is_empty() || coins.len() > 8 || fraction.len() > 8 || !plain(coins) || !plain(fraction) {
        return None;
    }
    let coins: u64 = coins.parse().ok()?;
    let fraction: u64 = format!("{fraction:0<8}").parse().ok()?;
    Some(coins * 100_000_000 + fraction).filter(|value| *value <= MONEY_MAX)
}

/// A refusal that means there is nothing.
fn absent<T>(answer: Result<T, SourceError>, code: i64) -> Result<Option<T>, SourceError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(SourceError::Refused { code: got, .. }) if got == code => Ok(None),
        Err(error) => Err(error),
    }
}

impl BitcoinNode {
    async fn header_of(&self, hash: &BlockHash) -> Result<Option<Header>, SourceError> {
        let header = self.rpc.ask::<WireHeader>("getblockheader", &format!(r#"["{hash}",true]"#)).await;
        Ok(absent(header, NOT_FOUND)?.map(|header| header.link()))
    }
}

impl Source for BitcoinNode {
    type Facts = Facts;

    async fn identify(&self) -> Result<BlockHash, SourceError> {
        let ChainName { chain } = self.rpc.ask("getblockchaininfo", "[]").await?;
        if chain != self.network {
            let (expected, got) = (self.network.clone(), chain.chars().take(32).collect());
            return Err(SourceError::WrongChain { what: "network", expected, got });
        }
        let Hash(genesis) = self.rpc.ask("getblockhash", "[0]").await?;
        Ok(BlockHash(genesis))
    }

    async fn head(&self) -> Result<Header, SourceError> {
        let Hash(best) = self.rpc.ask("getbestblockhash", "[]").await?;
        self.header_of(&BlockHash(best)).await?.ok_or(SourceError::Gone(BlockHash(best)))
    }

    async fn header_at(&self, height: u64) -> Result<Option<Header>, SourceError> {
        let hash = self.rpc.ask::<Hash>("getblockhash", &format!("[{height}]")).await;
        match absent(hash, OUT_OF_RANGE)? {
            Some(Hash(hash)) => self.header_of(&BlockHash(hash)).await,
            None => Ok(None),
        }
    }

    async fn header(&self, id: BlockId) -> Result<Option<Header>, SourceError> {
        self.header_of(&id.hash).await
    }

    async fn facts(&self, header: &Header) -> Result<Option<Facts>, SourceError> {
        let hash = header.id.hash;
        let (raw_params, block_params) = (format!(r#"["{hash}",false]"#), format!(r#"["{hash}",3]"#));
        let (raw, block) = tokio::join!(
            self.rpc.ask::<Hex>("getblockheader", &raw_params),
            self.rpc.ask::<WireBlock>("getblock", &block_params),
        );
        let (Some(raw), Some(block)) = (absent(raw, NOT_FOUND)?, absent(block, NOT_FOUND)?) else {
            return Ok(None);
        };
        decode(header, &raw, block).map(Some)
    }
}

fn decode(header: &Header, Hex(raw): &Hex, wire: WireBlock) -> Result<Facts, SourceError> {
    let malformed = |detail: String| SourceError::Malformed { method: "getblock", detail };
    let raw: &[u8; 80] =
        raw.as_slice().try_into().map_err(|_| malformed("a header does not have 80 bytes".to_owned()))?;
    let transactions = wire.tx.iter().map(|transaction| transaction.hex.0.as_slice());
    let block =
        Block::from_parts(header.id.hash, raw, transactions).map_err(SourceError::ContradictsBitcoin)?;
    if block.header().parent != header.parent || wire.height != header.id.height {
        return Err(malformed(format!(
            "block {} says other things of itself than its header did",
            header.id
        )));
    }
    let mut prevouts = Vec::with_capacity(wire.tx.len());
    for (transaction, proven) in wire.tx.into_iter().zip(block.transactions()) {
        let mut spent = Vec::new();
        if !proven.is_coinbase() {
            for input in transaction.vin {
                let prevout = input.prevout.ok_or_else(|| {
                    malformed("an input without prevout: Bitcoin Core 23 or later is needed".to_owned())
                })?;
                let value = satoshi(prevout.value.get())
                    .ok_or_else(|| malformed(format!("{} is no amount", prevout.value.get())))?;
                spent.push(Prevout { value, script: prevout.script.hex.0 });
            }
        }
        prevouts.push(spent);
    }
    facts(&block, header.id.height, prevouts)
        .map_err(|index| malformed(format!("what transaction {index} spends does not fit what it pays")))
}

impl source::Facts for Facts {
    /// Inputs of one transaction have one owner, so a payment comes from the input that a list speaks against, else from the
    /// one that is watched, else from the first. What goes back to an input's own address is change and no movement.
    fn examine(&self, rules: &Rules, found: &mut dyn FnMut(Finding)) {
        for (index, moved) in (0u64..).zip(&self.transactions) {
            let owners = || moved.inputs.iter().filter_map(|input| input.address);
            let payer = rules.payer(owners());
            for (vout, paid) in (0u64..).zip(&moved.outputs) {
                if paid.address.is_some_and(|to| owners().any(|from| from == to)) {
                    continue;
                }
                let movement = Movement {
                    transaction: moved.transaction,
                    position: (index << 32) | vout,
                    from: payer,
                    to: paid.address,
                    asset: None,
                    value: U256::from(paid.value),
                };
                rules.movement(&movement, found);
            }
        }
    }
}

impl Rules {
    /// Who pays, of the owners of a transaction's inputs.
    fn payer(&self, owners: impl Iterator<Item = Address> + Clone) -> Option<Address> {
        let listed = owners.clone().find(|owner| {
            self.screen.listing(owner).is_some_and(|listing| listing.verdict > domain::Verdict::Allow)
        });
        let watched = || owners.clone().find(|owner| self.watched.contains(owner));
        listed.or_else(watched).or_else(|| owners.clone().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_or_refused() {
        let read = |json: &str| serde_json::from_str::<Hex>(json).map(|Hex(bytes)| bytes);
        assert_eq!(read(r#""00fFAb""#).unwrap(), [0, 0xff, 0xab]);
        assert_eq!(read(r#""\u0030\u0031""#).unwrap(), [1]);
        assert_eq!(read(r#""""#).unwrap(), Vec::<u8>::new());
        for bad in [r#""0""#, r#""0g""#, r#""0x00""#, r#""é0""#, "7", "null"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Hash>(r#""00""#).is_err());
    }

    #[test]
    fn amounts_never_pass_through_floating_point() {
        for (text, value) in [
            ("0.00000001", Some(1)),
            ("50", Some(5_000_000_000)),
            ("20999999.9769", Some(2_099_999_997_690_000)),
            ("0.1", Some(10_000_000)),
            ("21000000.00000001", None),
            ("1e-8", None),
            ("-1", None),
            ("0.000000001", None),
            ("", None),
            (".5", None),
            ("1.+5", None),
        ] {
            assert_eq!(satoshi(text), value, "{text}");
        }
    }

    /// Splits what stands behind the number of transactions into transactions, by their form alone.
    fn transactions(mut rest: &[u8]) -> Vec<&[u8]> {
        fn number(bytes: &[u8]) -> (usize, usize) {
            let wide = |from: &[u8]| from.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            match bytes[0] {
                0xfd => (wide(&bytes[1..3]), 3),
                0xfe => (wide(&bytes[1..5]), 5),
                small => (usize::from(small), 1),
            }
        }
        let mut found = Vec::new();
        while !rest.is_empty() {
            let is_segwit = rest[4] == 0;
            let mut at = if is_segwit { 6 } else { 4 };
            let script = |at: usize| {
                let (length, width) = number(&rest[at..]);
                at + width + length
            };
            let (inputs, width) = number(&rest[at..]);
            at += width;
            for _ in 0..inputs {
                at = script(at + 36) + 4;
            }
            let (outputs, width) = number(&rest[at..]);
            at += width;
            for _ in 0..outputs {
                at = script(at + 8);
            }
            for _ in 0..if is_segwit { inputs } else { 0 } {
                let (items, width) = number(&rest[at..]);
                at += width;
                for _ in 0..items {
                    at = script(at);
                }
            }
            let (one, others) = rest.split_at(at + 4);
            found.push(one);
            rest = others;
        }
        found
    }

    /// What a block costs from the node's answer to the flows that are kept of it, taken in again and again at rising heights.
    /// What its inputs spend is made up, each from another address.
    #[test]
    #[ignore = "nightly: a figure, to be run in release"]
    fn nightly_blocks_a_second() {
        use crate::flows::{self, BlockFlows, Flows};
        use std::{fmt::Write as _, process::Command, sync::Arc, time::Duration};

        const N_BLOCKS: u64 = 50;
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/chain/btc_block.raw.zst");
        let bytes = match Command::new("zstd").args(["-dc", path]).output() {
            Ok(output) if output.status.success() => output.stdout,
            _ => return eprintln!("skipped: no recorded Bitcoin block, or no zstd"),
        };
        let raw = Hex(bytes[..80].to_vec());
        // 2,500 transactions: a number of three bytes.
        let mut json = "{\"height\":7,\"tx\":[".to_owned();
        let (mut inputs, mut made) = (0_u32, Vec::new());
        for bytes in transactions(&bytes[83..]) {
            made.push(format!("{{\"hex\":\"{}\",\"vin\":[", hex::encode(bytes)));
            let segwit = if bytes[4] == 0 { 6 } else { 4 };
            let n_inputs = match bytes[segwit] {
                0xfd => u32::from(bytes[segwit + 1]) | u32::from(bytes[segwit + 2]) << 8,
                small => u32::from(small),
            };
            let one = made.last_mut().unwrap();
            for number in 0..n_inputs {
                inputs += 1;
                let comma = if number == 0 { "" } else { "," };
                let _ = write!(
                    one,
                    "{comma}{{\"prevout\":{{\"value\":20000.00000001,\"scriptPubKey\":{{\"hex\":\"0014{inputs:040x}\"}}}}}}"
                );
            }
            one.push_str("]}");
        }
        json.push_str(&made.join(","));
        json.push_str("]}");
        let parsed = chain::bitcoin::BlockHeader::parse(raw.0.as_slice().try_into().unwrap());
        let header =
            Header { id: BlockId { height: 7, hash: parsed.hash }, parent: parsed.parent, time_s: 1 };
        let dir = tempfile::TempDir::new().unwrap();
        let watch = Arc::new(crate::Watch::open(crate::Config { dir: dir.path().join("labels") }).unwrap());
        let config = flows::Config {
            dir: dir.path().join("flows"),
            chain: "test".to_owned(),
            family: domain::ChainFamily::Bitcoin,
            tokens: Vec::new(),
            transfers_max: 10_000_000,
        };
        let kept = Flows::open(config, watch).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a figure")]
        let now = std::time::Instant::now;
        let (mut decoding, mut keeping) = (Duration::ZERO, Duration::ZERO);
        let mut movements = 0;
        for height in 1..=N_BLOCKS {
            let started = now();
            let wire: WireBlock = serde_json::from_str(&json).unwrap();
            let facts = decode(&header, &raw, wire).unwrap();
            decoding += started.elapsed();
            let started = now();
            let mut block = BlockFlows::of_bitcoin(&facts);
            block.height = height;
            block.hash[..8].copy_from_slice(&height.to_be_bytes());
            movements = block.movements.len();
            kept.take(&block);
            kept.flush().unwrap();
            keeping += started.elapsed();
        }
        let each = |spent: Duration| spent.as_secs_f64() * 1e3 / 50.0;
        eprintln!(
            "{inputs} inputs, {} bytes of JSON, {movements} movements: {:.2} ms to proven facts, {:.2} ms to kept flows and \
             clusters, synced; {:.0} blocks a second",
            json.len(),
            each(decoding),
            each(keeping),
            1e3 / (each(decoding) + each(keeping))
        );
        assert_eq!(kept.tip().map(|(height, _)| height), Some(N_BLOCKS));
    }
}
