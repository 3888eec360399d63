//! The part of the command line about fraud: evaluation and replay of recorded events.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum FraudCommand {
    /// Train and test on labelled events, fold by fold: learn from some days, wait until the labels of those days
    /// would be known, judge by the days after that.
    Evaluate(Box<Evaluate>),
    /// Stream events through a feature pack and, if given, a model and rules, as live traffic would run through them.
    Replay(Box<Replay>),
    /// Record that an event, a decision or an account turned out to be fraud, or not.
    Label(Label),
    /// Bundles of a feature pack, a model and rules that judge live traffic.
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Show lines that reporters sent and that were no events.
    DeadLetters(DeadLetters),
}

/// Recorded events and how to read them.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// CSV file with events, - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: PathBuf,
    /// TOML file that says which column is what.
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: PathBuf,
    /// Where rows that cannot be read go, one JSON object a line with the reason.
    #[arg(long, value_name = "FILE")]
    pub(crate) dead_letter: Option<PathBuf>,
    /// Feature pack: a built-in one by name (book, default, exchange), or a TOML file.
    #[arg(long, value_name = "NAME|FILE", default_value = "default")]
    pub(crate) pack: String,
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    pub(crate) events: Events,
    /// First day of training of the latest fold, UTC, such as 2018-08-08.
    #[arg(long, value_name = "DATE")]
    pub(crate) train_start: String,
    /// Days of training.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) train_days: u32,
    /// Days between training and test, in which labels are awaited.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) delay_days: u32,
    /// Days of test; each further fold lies so many days earlier.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) test_days: u32,
    /// Folds.
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub(crate) folds: u32,
    /// Subjects that can be looked into each day, for card precision.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) capacity: usize,
    /// Training parameters, a TOML file, instead of those of the pack.
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,
    /// Where the model of the latest fold goes; must not exist.
    #[arg(long, value_name = "FILE")]
    pub(crate) model_out: Option<PathBuf>,
    /// Folds trained at the same time; the result does not depend on it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) events: Events,
    /// Model that scores each event, as fraud evaluate --model-out writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Rules that each event is tried on; nothing acts on what they say.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Where the judgements go, one JSON object per event; must not exist.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write every feature of every event as well.
    #[arg(long, requires = "out")]
    pub(crate) features: bool,
    /// Give reasons for scores from this probability on.
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    pub(crate) reasons_from: f64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Load a bundle from its folder and say what is wrong with it, or what it is.
    Check {
        /// Folder with bundle.toml.
        dir: PathBuf,
    },
    /// Write the built-in exchange bundle to a new folder, to be looked at, changed and put into service.
    New {
        /// Folder to make.
        dir: PathBuf,
    },
    /// Show which bundles judge, and what they did.
    Status,
    /// Compute the decisions the bundles had a say in again, from the journal: the same features and scores, bit for bit,
    /// or exit code 1.
    Verify,
    /// Let the active bundle have an effect, where fraud.mode is enforce.
    Promote {
        /// SHA-256 of the bundle, or its first digits.
        sha256: String,
        /// Who wants it, and why; recorded.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Put the active bundle back into shadow.
    Demote {
        /// Who wants it, and why; recorded.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Label {
    /// What it turned out to be.
    #[arg(value_enum)]
    pub(crate) label: Outcome,
    /// Whose account.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: String,
    /// Id of the event it is about.
    #[arg(long, value_name = "ID", conflicts_with = "decision")]
    pub(crate) event: Option<String>,
    /// Id of the decision it is about. With neither, the label is about the account.
    #[arg(long, value_name = "ID")]
    pub(crate) decision: Option<String>,
    /// Who says so, such as chargeback or customer.
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub(crate) source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Outcome {
    /// It was fraud.
    Fraud,
    /// It was not.
    Legitimate,
}

#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    /// Number of the first one wanted.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) from: u64,
}
