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
    /// Choose from which score on to question, alert and hold: by what mistakes cost, the people there are, and the good
    /// users that may be troubled.
    Thresholds(Box<Thresholds>),
    /// Models: taken in, compared, put in force, taken back.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Say how far features and scores of a recording have moved since its first events.
    Drift(Box<Drift>),
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

/// The past to learn from or to judge by: a recording, or the journal's own.
#[derive(Debug, Args)]
pub(crate) struct Past {
    /// CSV file with events, - for standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "from_journal", requires = "mapping")]
    pub(crate) events: Option<PathBuf>,
    /// TOML file that says which column is what.
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// Where rows that cannot be read go, one JSON object a line with the reason.
    #[arg(long, value_name = "FILE")]
    pub(crate) dead_letter: Option<PathBuf>,
    /// Feature pack: a built-in one by name (book, default, exchange), or a TOML file.
    #[arg(long, value_name = "NAME|FILE", default_value = "default")]
    pub(crate) pack: String,
    /// The records this installation judged, with the labels that arrived, instead of a recording.
    #[arg(long, conflicts_with_all = ["events", "mapping", "pack", "dead_letter"])]
    pub(crate) from_journal: bool,
    /// Folder of the bundle whose pack makes the rows of the journal; the active bundle by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Only records of this kind, of the journal; again for more. All that the bundle judges by default.
    #[arg(long = "kind", value_name = "KIND", requires = "from_journal")]
    pub(crate) kinds: Vec<String>,
    /// Labels that came to the journal from this day on are not looked at, UTC.
    #[arg(long, value_name = "DATE", requires = "from_journal")]
    pub(crate) until: Option<String>,
    /// What a record of the journal without a label is.
    #[arg(long, value_enum, default_value = "legitimate", requires = "from_journal")]
    pub(crate) unlabelled: Unlabelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Unlabelled {
    /// Good, once labels had time to arrive.
    Legitimate,
    /// Neither learned from nor judged.
    LeftOut,
}

impl Past {
    /// The recording, if it is one.
    pub(crate) fn recording(&self) -> Option<Events> {
        Some(Events {
            events: self.events.clone()?,
            mapping: self.mapping.clone()?,
            dead_letter: self.dead_letter.clone(),
            pack: self.pack.clone(),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Thresholds {
    #[command(flatten)]
    pub(crate) past: Past,
    /// Model file whose scores are judged; that of --bundle by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// First day judged, UTC, such as 2018-08-08; new to the model.
    #[arg(long, value_name = "DATE")]
    pub(crate) test_start: String,
    /// Days judged.
    #[arg(long, value_name = "N", default_value_t = 14)]
    pub(crate) test_days: u32,
    /// Days until a label arrives, of the journal.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) delay_days: u32,
    /// Cost of a missed fraud as a share of its amount, in hundredths of a percent.
    #[arg(long, value_name = "BPS", default_value_t = 10_000)]
    pub(crate) missed_bps: u32,
    /// Cost of a missed fraud besides, in hundredths of the currency.
    #[arg(long, value_name = "MINOR", default_value_t = 0)]
    pub(crate) missed_minor: u64,
    /// Cost of a fraud that is found all the same, as a share of its amount, in hundredths of a percent.
    #[arg(long, value_name = "BPS", default_value_t = 500)]
    pub(crate) found_bps: u32,
    /// Cost of looking into an alert, in hundredths of the currency.
    #[arg(long, value_name = "MINOR", default_value_t = 1_500)]
    pub(crate) alert_minor: u64,
    /// Cost of questioning a good user besides, in hundredths of the currency.
    #[arg(long, value_name = "MINOR", default_value_t = 5_000)]
    pub(crate) friction_minor: u64,
    /// Alerts people can look into each day; any number by default.
    #[arg(long, value_name = "N")]
    pub(crate) alerts_per_day: Option<u64>,
    /// Share of the good events that may be questioned.
    #[arg(long, value_name = "SHARE", default_value_t = 0.005)]
    pub(crate) friction_max: f64,
    /// Hold from the score on from which at least this share was fraud.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    pub(crate) hold_precision: f64,
    /// Write the thresholds, and what they were chosen by, into bundle.toml of --bundle.
    #[arg(long, requires = "bundle")]
    pub(crate) write: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    pub(crate) past: Past,
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

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Train on recorded events, test on the days after, and keep the model with its backtest.
    Train {
        #[command(flatten)]
        evaluate: Box<Evaluate>,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
    },
    /// Keep a model file that was made elsewhere.
    Add {
        /// The file.
        file: PathBuf,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
    },
    /// List models.
    List,
    /// Show a model: its card, its file, its comparisons.
    Show {
        /// Its digest, or the first digits.
        digest: String,
    },
    /// Compare a model with the champion of its pack on days that are new to both.
    Challenge(Box<Challenge>),
    /// Put a model in force, if its last comparison says that it is better.
    Promote {
        /// Its digest, or the first digits.
        digest: String,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// Put it in force whatever the comparison says.
        #[arg(long, requires = "reason")]
        force: bool,
        /// Why it is forced; recorded.
        #[arg(long, value_name = "TEXT", requires = "force")]
        reason: Option<String>,
        /// Folder of a bundle that is to judge by it: its model file is replaced.
        #[arg(long, value_name = "DIR")]
        bundle: Option<PathBuf>,
    },
    /// Put the champion before in force again.
    Rollback {
        /// Digest of the champion that is taken out of force, or the first digits.
        digest: String,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// Why; recorded.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Folder of a bundle that is to judge by it: its model file is replaced.
        #[arg(long, value_name = "DIR")]
        bundle: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Challenge {
    /// Digest of the challenger, or the first digits.
    pub(crate) digest: String,
    #[command(flatten)]
    pub(crate) past: Past,
    /// Days until a label arrives, of the journal.
    #[arg(long, value_name = "N", default_value_t = 7, requires = "from_journal")]
    pub(crate) delay_days: u32,
    /// First day judged, UTC, such as 2018-08-08.
    #[arg(long, value_name = "DATE")]
    pub(crate) test_start: String,
    /// Days judged.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) test_days: u32,
    /// Events that can be looked into each day, for the value that is found.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) capacity: usize,
    /// Draws of the bootstrap, 100 to 100,000.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) rounds: u32,
    /// Share of the differences that the intervals hold.
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub(crate) confidence: f64,
    /// Seed of the draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Who you are; recorded as operator:NAME.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Drift {
    #[command(flatten)]
    pub(crate) events: Events,
    /// Model whose scores are watched as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Events of a window; the first window is the reference.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub(crate) window: usize,
    /// Stability index from which on a shift is told.
    #[arg(long, value_name = "PSI", default_value_t = 0.25)]
    pub(crate) psi: f64,
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
    /// Show how far what the bundles are fed and say has moved.
    Drift,
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
