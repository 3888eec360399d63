//! Arguments of `caponier intent`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum IntentCommand {
    /// Say what a transaction or typed message would do, from its text alone; exit code 1 unless all of it is understood
    /// and nothing is dangerous.
    Decode(Decode),
    /// Execute a transaction on a node's state or on a recorded one, and compare what it does with what it says.
    Simulate(Box<Simulate>),
}

/// What is to be signed, and what may be relied on.
#[derive(Debug, Args)]
pub(crate) struct Subject {
    /// Who would sign it; a signed transaction says so itself.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: Option<String>,
    /// Chain id that is meant.
    #[arg(long, value_name = "N")]
    pub(crate) chain_id: Option<u64>,
    /// Accounts you vouch for, as spenders, operators, delegates, owners, modules or code; others are strangers.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) trust: Vec<String>,
    /// Screen everybody concerned against the lists of the installation (--data-dir or --config).
    #[arg(long)]
    pub(crate) screen: bool,
}

#[derive(Debug, Args)]
#[group(id = "text", required = true, multiple = false)]
pub(crate) struct Text {
    /// Transaction in hexadecimal, unsigned or signed: legacy or of type 1 to 4.
    #[arg(long, value_name = "HEX")]
    pub(crate) tx: Option<String>,
    /// File with a transaction in hexadecimal; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) tx_file: Option<PathBuf>,
    /// File with a typed message (EIP-712, JSON); - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) typed: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Decode {
    #[command(flatten)]
    pub(crate) text: Text,
    #[command(flatten)]
    pub(crate) subject: Subject,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Transaction in hexadecimal, unsigned or signed.
    #[arg(long, value_name = "HEX", required_unless_present = "tx_file", conflicts_with = "tx_file")]
    pub(crate) tx: Option<String>,
    /// File with a transaction in hexadecimal; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) tx_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// Node to ask for state, http:// or https://; one that is yours, since it learns what you are about to sign.
    #[arg(long, value_name = "URL", required_unless_present = "state", conflicts_with = "state")]
    pub(crate) rpc: Option<String>,
    /// Certificates to trust for https://, PEM.
    #[arg(long, value_name = "FILE", requires = "rpc")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Recorded state: JSON with block and accounts, see docs/operating/intent.md.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Rules of execution: london, paris, shanghai, cancun, prague or osaka; of a node, the newest its block fits unless
    /// given.
    #[arg(long, value_name = "FORK")]
    pub(crate) fork: Option<String>,
    /// Seconds for all of it, the node's answers included.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
}
