//! The part of the command line about chains: replay and evaluation.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum WatchCommand {
    /// Follow the chains of --config without serving the API, until SIGTERM; `caponier run` follows them too.
    Run,
    /// Show how far each chain is followed.
    Status,
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
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Labels to screen against: CSV with the columns chain, address, category and, if there, label, source, licence,
    /// confidence.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvaluateCommand {
    /// Look-alike addresses: how many real victims would have been warned, how often others would be.
    Poisoning(EvaluatePoisoning),
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
