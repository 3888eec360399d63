//! The part of the command line about chains: replay and evaluation.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum WatchCommand {
    /// Follow the chains of --config without serving the API, until SIGTERM; `caponier run` follows them too.
    Run,
    /// Show how far each chain is followed.
    Status,
    /// List the addresses a model suspects on followed chains, in the order they were recorded.
    Suspects {
        /// From this entry of the journal on.
        #[arg(long, default_value_t = 0, value_name = "ENTRY")]
        from: u64,
        /// How many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
        limit: u64,
    },
    /// Say that a suspected address is harmless: no model suspects it any more.
    Clear {
        /// The address.
        address: String,
        /// Who says so.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// Why; it stands in the journal.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take recorded transactions in as the history of a chain of --config, from before it is followed. While nothing serves.
    Load(Load),
    /// Run recorded transactions past what watches live ones; say what it saw and how fast it was.
    Replay(Replay),
    /// Measure what watches, on recorded data.
    #[command(subcommand)]
    Evaluate(EvaluateCommand),
}

/// Tables of a recorded stretch of an EVM chain. `-` reads standard input; a pipe may stand for any file.
#[derive(Debug, Args)]
pub(crate) struct Recording {
    /// Transactions: CSV with the columns block, ts, txidx, from, to, `value_wei`, `gas_used`, `is_error`, `method_id`, `input_len`,
    /// in the order of the chain.
    #[arg(long, value_name = "FILE")]
    pub(crate) transactions: PathBuf,
    /// Token transfers: CSV with the columns block, ts, txidx, token, from, to, value, decimals, symbol.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// Addresses of 20 bytes each, for tables that name address N instead of writing it out.
    #[arg(long, value_name = "FILE")]
    pub(crate) addresses: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Name of the chain, as in [watch.evm.NAME].
    #[arg(long, value_name = "NAME")]
    pub(crate) chain: String,
    #[command(flatten)]
    pub(crate) recording: Recording,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Labels to screen against: CSV with the columns chain, address, category and, if there, label, source, licence,
    /// confidence.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Model of `watch evaluate discovery` that judges the first transactions of every address.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Write the suspected addresses as a table that `lists import` takes.
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) suspected_out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvaluateCommand {
    /// Look-alike addresses: how many real victims would have been warned, how often others would be.
    Poisoning(EvaluatePoisoning),
    /// Labels spread over a graph: how often a share of them finds what the others hide.
    Propagation(EvaluatePropagation),
    /// Clusters of addresses that spent together: how many, how fast, and whether a reference agrees.
    Clustering(EvaluateClustering),
    /// Discovery of malicious addresses nobody has listed: train on the training windows, judge on the others.
    Discovery(EvaluateDiscovery),
}

#[derive(Debug, Args)]
pub(crate) struct EvaluatePoisoning {
    /// Payments to look-alikes: CSV with the columns `topics_to_addr` (paid) and `intended_addr` (meant) and, if there, chain.
    #[arg(long, value_name = "FILE")]
    pub(crate) payoffs: PathBuf,
    /// Organic transactions to count false alarms on, as for replay.
    #[arg(long, value_name = "FILE")]
    pub(crate) transactions: Option<PathBuf>,
    /// Organic token transfers, as for replay.
    #[arg(long, value_name = "FILE", requires = "transactions")]
    pub(crate) tokens: Option<PathBuf>,
    /// Addresses of the organic tables, as for replay.
    #[arg(long, value_name = "FILE", requires = "transactions")]
    pub(crate) addresses: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluatePropagation {
    /// Nodes: CSV with the columns node and class (illicit, licit or unknown).
    #[arg(long, value_name = "FILE")]
    pub(crate) nodes: PathBuf,
    /// Edges: CSV with the columns src and dst (money flows from src to dst) and, if there, kind.
    #[arg(long, value_name = "FILE")]
    pub(crate) edges: PathBuf,
    /// How many times, each with another choice of the labels that are revealed.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) seeds: u32,
    /// What share of the labels is revealed.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = share)]
    pub(crate) reveal: f64,
}

/// A share: more than nothing and less than all.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a number such as 0.5 is expected".to_owned())?;
    if share > 0.0 && share < 1.0 { Ok(share) } else { Err("must be between 0 and 1".to_owned()) }
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateClustering {
    /// Transactions in the order of the chain: CSV with the columns txid, inputs (addresses, spaces between), outputs
    /// (address:satoshi, spaces between) and, if there, height and coinjoin (1 or 0; else judged by shape).
    #[arg(long, value_name = "FILE")]
    pub(crate) transactions: PathBuf,
    /// Clusters to compare with: CSV with the columns address and cluster.
    #[arg(long, value_name = "FILE")]
    pub(crate) reference: Option<PathBuf>,
    /// Join the inputs of `CoinJoin` transactions too.
    #[arg(long)]
    pub(crate) without_guard: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateDiscovery {
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Windows of the protocol: CSV with the columns account, start, quarter, illicit, split (train or validate).
    #[arg(long, value_name = "FILE")]
    pub(crate) windows: PathBuf,
    /// Accounts: CSV with the columns address, illicit; of the benign ones, every other is trained on by its first
    /// transactions, and the rest tell how often new benign accounts are flagged.
    #[arg(long, value_name = "FILE")]
    pub(crate) accounts: Option<PathBuf>,
    /// Transactions per window.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) k: u8,
    /// Judge this model instead of training one.
    #[arg(long, value_name = "FILE", conflicts_with = "model_out")]
    pub(crate) model: Option<PathBuf>,
    /// Write the model that serves.
    #[arg(long, value_name = "FILE")]
    pub(crate) model_out: Option<PathBuf>,
    /// Also judge every quarter by a model trained on the quarters before it.
    #[arg(long)]
    pub(crate) rolling: bool,
}
