//! `[watch.evm.NAME]` and `[watch.bitcoin.NAME]`: the chains to follow.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use chain::{
    evm::{Account, POOLS_MAX, Pools, Proof},
    headers::{RING_MAX, RING_MIN},
    u256::U256,
};
use domain::{Address, ChainFamily, Network};
use watch::{
    ListName,
    follow::rpc::{Endpoint, Limits},
};

use super::reader::{Reader, Section, duration};

/// Most chains followed by one installation.
pub const CHAINS_MAX: usize = 32;
/// Most tokens named as genuine on one chain.
const TOKENS_MAX: usize = 10_000;
/// Most transfers that can be kept of a chain, some 70 bytes of memory each.
const FLOWS_MAX: u64 = 400_000_000;
/// Fewest, so that blocks which can be taken back fit.
const FLOWS_MIN: u64 = 1_000_000;
const FLOWS_DEFAULT: u64 = 5_000_000;
const EVM: &str = "watch.evm";
const BITCOIN: &str = "watch.bitcoin";
const EVM_FIELDS: [&str; 18] = [
    "addresses_file",
    "answer_size",
    "ca_file",
    "chain_id",
    "confirmations",
    "discovery_model",
    "flows_max",
    "headers",
    "mixers",
    "poll",
    "proof",
    "stalled_after",
    "start",
    "tell",
    "timeout",
    "tokens",
    "url",
    "ws_url",
];

const BITCOIN_FIELDS: [&str; 14] = [
    "addresses_file",
    "answer_size",
    "ca_file",
    "confirmations",
    "flows_max",
    "headers",
    "network",
    "poll",
    "stalled_after",
    "start",
    "tell",
    "timeout",
    "url",
    "zmq_url",
];

/// One chain to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The operator's name of it: 1 to 48 of a-z, 0-9, `-` and `_`.
    pub name: String,
    /// How its node is reached and what it speaks.
    pub node: Node,
    /// Roots to trust in TLS.
    pub ca_file: Option<PathBuf>,
    /// How long and how much is waited for.
    pub limits: Limits,
    /// Blocks on top of each other that make the first final.
    pub confirmations: u64,
    /// Headers kept.
    pub headers_max: usize,
    /// Height to begin at.
    pub start: Option<u64>,
    /// How often the node is asked when it announces nothing.
    pub poll: Duration,
    /// When a node without a new block counts as stalled.
    pub stalled_after: Duration,
    /// File of the addresses to watch.
    pub addresses_file: Option<PathBuf>,
    /// Contracts of genuine tokens, sorted.
    pub tokens: Vec<Address>,
    /// Most transfers kept for exposure; none: it is not looked at.
    pub flows_max: usize,
    /// File of the model that judges fresh addresses; none: nobody is suspected.
    pub discovery_model: Option<PathBuf>,
    /// Whether transfers of listed addresses that touch no watched one are told.
    pub tell_listed: bool,
    /// Whether transfers of watched addresses are told where no list says anything.
    pub tell_watched: bool,
}

/// What kind of node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Of Bitcoin.
    Bitcoin {
        /// JSON-RPC.
        http: Endpoint,
        /// Publications of new blocks.
        zmq: Option<Endpoint>,
        /// `main`, `test`, `testnet4`, `signet` or `regtest`.
        network: String,
    },
    /// Of an EVM chain.
    Evm {
        /// JSON-RPC.
        http: Endpoint,
        /// Announcements.
        web_socket: Option<Endpoint>,
        /// EIP-155.
        chain_id: u64,
        /// What is recomputed.
        proof: Proof,
        /// Mixing pools of its coin.
        mixers: Pools,
    },
}

impl Chain {
    /// Whose addresses it has.
    #[must_use]
    pub const fn family(&self) -> ChainFamily {
        match self.node {
            Node::Bitcoin { .. } => ChainFamily::Bitcoin,
            Node::Evm { .. } => ChainFamily::Evm,
        }
    }

    /// Which network of withdrawals it is, if it is one.
    #[must_use]
    pub fn network(&self) -> Option<Network> {
        match &self.node {
            Node::Bitcoin { network, .. } => (network == "main").then_some(Network::Bitcoin),
            Node::Evm { chain_id, .. } => match chain_id {
                1 => Some(Network::Ethereum),
                10 => Some(Network::Optimism),
                56 => Some(Network::Bnb),
                137 => Some(Network::Polygon),
                8_453 => Some(Network::Base),
                42_161 => Some(Network::Arbitrum),
                43_114 => Some(Network::Avalanche),
                _ => None,
            },
        }
    }
}

/// Reads all chains.
pub(super) fn read(read: &mut Reader<'_>) -> Vec<Chain> {
    let evms = read.sections(EVM, &EVM_FIELDS);
    let bitcoins = read.sections(BITCOIN, &BITCOIN_FIELDS);
    let n_chains = evms.len() + bitcoins.len();
    if n_chains > CHAINS_MAX {
        read.fault(EVM, format!("{n_chains} chains, at most {CHAINS_MAX} are followed"));
    }
    for section in &bitcoins {
        if evms.iter().any(|other| other.name == section.name) {
            read.section_fault(BITCOIN, section, "url", "another chain has this name".to_owned());
        }
    }
    let mut chains: Vec<Chain> = Vec::new();
    chains.extend(evms.iter().take(CHAINS_MAX).filter_map(|section| evm(read, section)));
    chains.extend(bitcoins.iter().take(CHAINS_MAX).filter_map(|section| bitcoin(read, section)));
    chains
}

fn bitcoin(read: &mut Reader<'_>, section: &Section) -> Option<Chain> {
    let at = |parse: fn(&str) -> Result<Endpoint, watch::follow::rpc::BadUrl>| {
        move |text: &str| parse(text).map_err(|error| error.to_string())
    };
    let http = url(read, BITCOIN, section, "url", at(Endpoint::http));
    let zmq = url(read, BITCOIN, section, "zmq_url", at(Endpoint::tcp));
    let network = read.section_text(BITCOIN, section, "network", "main", |text| {
        if matches!(text, "main" | "test" | "testnet4" | "signet" | "regtest") {
            Ok(text.to_owned())
        } else {
            Err(format!("must be main, test, testnet4, signet or regtest, got {text:?}"))
        }
    });
    let ca_file = path(read, BITCOIN, section, "ca_file");
    if http.is_none() {
        read.section_fault(BITCOIN, section, "url", "is needed: where the node answers JSON-RPC".to_owned());
    }
    trusts(read, BITCOIN, section, http.iter().any(|endpoint| endpoint.tls), ca_file.as_ref());
    let node = Node::Bitcoin { http: http?, zmq, network: network? };
    common(
        read,
        BITCOIN,
        section,
        node,
        ca_file,
        Vec::new(),
        &Defaults { confirmations: 6, poll: "5s", stalled: "3h" },
    )
}

/// TLS needs roots to trust.
fn trusts(
    read: &mut Reader<'_>,
    key: &'static str,
    section: &Section,
    wants_tls: bool,
    ca_file: Option<&PathBuf>,
) {
    if wants_tls && ca_file.is_none() {
        let message =
            "is needed for https and wss: the roots to trust, such as \"/etc/ssl/certs/ca-certificates.crt\"";
        read.section_fault(key, section, "ca_file", message.to_owned());
    }
}

/// What differs between kinds of chains.
struct Defaults {
    confirmations: u64,
    poll: &'static str,
    stalled: &'static str,
}

fn evm(read: &mut Reader<'_>, section: &Section) -> Option<Chain> {
    let chain_id = read.section_number(EVM, section, "chain_id", None, 1..=u64::MAX);
    if chain_id.is_none() {
        read.section_fault(EVM, section, "chain_id", "is needed: the chain's number (EIP-155)".to_owned());
    }
    let http = url(read, EVM, section, "url", |text| Endpoint::http(text).map_err(|error| error.to_string()));
    let web_socket = url(read, EVM, section, "ws_url", |text| {
        Endpoint::web_socket(text).map_err(|error| error.to_string())
    });
    if http.is_none() {
        read.section_fault(EVM, section, "url", "is needed: where the node answers JSON-RPC".to_owned());
    }
    let proof = read.section_text(EVM, section, "proof", "roots", |text| match text {
        "roots" => Ok(Proof::Roots),
        "links" => Ok(Proof::Links),
        _ => Err(format!("must be roots or links, got {text:?}")),
    });
    let tokens = read.section_list(EVM, section, "tokens").unwrap_or_default();
    let tokens = tokens_of(read, section, &tokens);
    let ca_file = path(read, EVM, section, "ca_file");
    let wants_tls = http.iter().chain(&web_socket).any(|endpoint| endpoint.tls);
    trusts(read, EVM, section, wants_tls, ca_file.as_ref());
    let mixers = read.section_list(EVM, section, "mixers").unwrap_or_default();
    let mixers = mixers_of(read, section, &mixers);
    let node = Node::Evm { http: http?, web_socket, chain_id: chain_id?, proof: proof?, mixers };
    common(
        read,
        EVM,
        section,
        node,
        ca_file,
        tokens,
        &Defaults { confirmations: 12, poll: "2s", stalled: "3m" },
    )
}

/// What all kinds of chains have.
fn common(
    read: &mut Reader<'_>,
    key: &'static str,
    section: &Section,
    node: Node,
    ca_file: Option<PathBuf>,
    tokens: Vec<Address>,
    defaults: &Defaults,
) -> Option<Chain> {
    if ListName::parse(&section.name).is_err() {
        let message = "the name of a chain is 1 to 48 of a-z, 0-9, - and _".to_owned();
        read.section_fault(key, section, "url", message);
    }
    let (ring_min, ring_max) = (RING_MIN as u64, RING_MAX as u64);
    let headers = read.section_number(key, section, "headers", Some(512), ring_min..=ring_max)?;
    let confirmations =
        read.section_number(key, section, "confirmations", Some(defaults.confirmations), 1..=ring_max)?;
    if confirmations >= headers {
        read.section_fault(key, section, "confirmations", format!("must be below headers, {headers}"));
    }
    let mut span = |field, default: &str, millis: std::ops::RangeInclusive<u128>| {
        read.section_text(key, section, field, default, |text| {
            let span = duration(text)?;
            if millis.contains(&span.as_millis()) {
                Ok(span)
            } else {
                Err(format!("must be from {}ms to {}ms, got {text:?}", millis.start(), millis.end()))
            }
        })
    };
    let poll = span("poll", defaults.poll, 50..=600_000)?;
    let timeout = span("timeout", "10s", 100..=120_000)?;
    let stalled_after = span("stalled_after", defaults.stalled, 1_000..=86_400_000)?;
    let answer_size = read.section_text(key, section, "answer_size", "64 MiB", super::reader::size)?;
    let answer_bytes_max =
        usize::try_from(answer_size).ok().filter(|size| (1 << 20..=1 << 30).contains(size));
    let Some(answer_bytes_max) = answer_bytes_max else {
        read.section_fault(key, section, "answer_size", "must be from 1 MiB to 1 GiB".to_owned());
        return None;
    };
    let tell = read.section_list(key, section, "tell");
    let tell = tell.unwrap_or_else(|| vec!["listed".to_owned(), "watched".to_owned()]);
    for word in &tell {
        if !matches!(word.as_str(), "listed" | "watched") {
            read.section_fault(key, section, "tell", format!("{word:?} must be listed or watched"));
        }
    }
    let flows_max = read.section_number(key, section, "flows_max", Some(FLOWS_DEFAULT), 0..=FLOWS_MAX)?;
    if flows_max != 0 && flows_max < FLOWS_MIN {
        let message = format!("must be 0 (no flows are kept) or at least {FLOWS_MIN}");
        read.section_fault(key, section, "flows_max", message);
    }
    let discovery_model = path(read, key, section, "discovery_model");
    if discovery_model.is_some() && flows_max == 0 {
        let message = "needs flows: flows_max must not be 0".to_owned();
        read.section_fault(key, section, "discovery_model", message);
    }
    let tells = |word: &str| tell.iter().any(|told| told == word);
    Some(Chain {
        name: section.name.clone(),
        node,
        ca_file,
        limits: Limits { timeout, answer_bytes_max },
        confirmations,
        headers_max: usize::try_from(headers).unwrap_or(RING_MIN),
        start: read.section_number(key, section, "start", None, 0..=u64::MAX),
        poll,
        stalled_after,
        addresses_file: path(read, key, section, "addresses_file"),
        tokens,
        flows_max: usize::try_from(flows_max).unwrap_or(usize::MAX),
        discovery_model,
        tell_listed: tells("listed"),
        tell_watched: tells("watched"),
    })
}

/// A URL, or `file:PATH` of a file that holds it: URLs of hosted nodes are secrets.
fn url(
    read: &mut Reader<'_>,
    key: &'static str,
    section: &Section,
    field: &str,
    parse: impl Fn(&str) -> Result<Endpoint, String>,
) -> Option<Endpoint> {
    let text = read.section_text(key, section, field, "", |text| Ok(text.to_owned()))?;
    if text.is_empty() {
        return None;
    }
    let parsed = match text.strip_prefix("file:") {
        // Text alone is judged: any place will do.
        Some(_) if !read.reads_files() => {
            parse(PLACES.iter().find(|place| parse(place).is_ok()).unwrap_or(&""))
        }
        Some(path) => url_file(&read.beside(path))
            .map_err(|error| format!("{path} cannot be read: {error}"))
            .and_then(|text| parse(text.trim())),
        None => parse(&text),
    };
    parsed.map_err(|message| read.section_fault(key, section, field, message)).ok()
}

/// One of each form, for a configuration whose files are not looked at.
const PLACES: [&str; 3] = ["http://127.0.0.1:1", "ws://127.0.0.1:1", "tcp://127.0.0.1:1"];
/// Longest file of a URL, in bytes.
const URL_BYTES_MAX: u64 = 4_096;

fn url_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(URL_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn path(read: &mut Reader<'_>, key: &'static str, section: &Section, field: &str) -> Option<PathBuf> {
    let text = read.section_text(key, section, field, "", |text| Ok(text.to_owned()))?;
    (!text.is_empty()).then(|| read.beside(&text))
}

/// `CONTRACT=WEI` each.
fn mixers_of(read: &mut Reader<'_>, section: &Section, texts: &[String]) -> Pools {
    let pool = |text: &String| -> Result<(Account, U256), String> {
        let (contract, wei) = text.split_once('=').ok_or_else(|| {
            format!("{text:?}: a contract, = and what it takes and pays out, in wei, are expected")
        })?;
        let contract = chain::address::decode(ChainFamily::Evm, contract.trim());
        let contract = contract.map_err(|error| format!("{text:?}: {error}"))?;
        let contract: [u8; 20] =
            contract.payload().try_into().map_err(|_| format!("{text:?}: no contract"))?;
        let wei: u128 =
            wei.trim().parse().map_err(|_| format!("{text:?}: {wei:?} is no whole number of wei"))?;
        Ok((Account(contract), U256::from(wei)))
    };
    let mut pools = Vec::new();
    for text in texts {
        match pool(text) {
            Ok(found) => pools.push(found),
            Err(message) => read.section_fault(EVM, section, "mixers", message),
        }
    }
    Pools::new(pools).unwrap_or_else(|| {
        let message = format!("holds a pool twice, one of no wei, or more than {POOLS_MAX}");
        read.section_fault(EVM, section, "mixers", message);
        Pools::none()
    })
}

fn tokens_of(read: &mut Reader<'_>, section: &Section, texts: &[String]) -> Vec<Address> {
    if texts.len() > TOKENS_MAX {
        read.section_fault(EVM, section, "tokens", format!("has more than {TOKENS_MAX} contracts"));
    }
    let mut tokens = Vec::new();
    for text in texts.iter().take(TOKENS_MAX) {
        match chain::address::decode(ChainFamily::Evm, text) {
            Ok(address) => tokens.push(address),
            Err(error) => read.section_fault(EVM, section, "tokens", format!("{text:?}: {error}")),
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}
