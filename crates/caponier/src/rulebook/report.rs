//! What a backtest found, in the form it is kept and told in.

use serde::{Deserialize, Serialize};

/// Bytes of a report, at most: a set of the most rules with all their examples.
pub(crate) const REPORT_BYTES_MAX: u64 = 16 << 20;

/// What a bundle would have done to a stretch of the installation's own past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// Hex of the bundle.
    pub(crate) sha256: String,
    /// Hex of the bundle it is compared with, if any judged.
    pub(crate) compared_with: Option<String>,
    /// Begin of the stretch, included; RFC 3339.
    pub(crate) from: String,
    /// End of the stretch, excluded; RFC 3339.
    pub(crate) until: String,
    /// When it was done; RFC 3339.
    pub(crate) at: String,
    /// Who asked.
    pub(crate) by: String,
    /// Entries of the journal it was replayed through.
    pub(crate) entries: u64,
    /// Records judged within the stretch.
    pub(crate) events: u64,
    /// Of those, known fraud.
    pub(crate) fraud: u64,
    /// Of those, known good.
    pub(crate) good: u64,
    /// Different customers known to be good whom a rule that challenges, holds or denies named, in either mode.
    pub(crate) good_troubled: u64,
    /// Whether some numbers of customers are too large to count, and are what was counted.
    pub(crate) is_at_least: bool,
    /// Each rule, as the set has them.
    pub(crate) rules: Vec<RuleFound>,
    /// What the model's score is worth, where the bundle has a model and labels of both kinds are known.
    pub(crate) model: Option<ModelFound>,
}

/// What was found about a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleFound {
    /// Its id.
    pub(crate) rule: String,
    /// What it asks for.
    pub(crate) action: String,
    /// `shadow` or `enforce`.
    pub(crate) mode: String,
    /// Records it fired on.
    pub(crate) hits: u64,
    /// Records the rule of this id in the bundle compared with fired on; `None` if it has none.
    pub(crate) hits_before: Option<u64>,
    /// Of its hits, known fraud.
    pub(crate) fraud: u64,
    /// Known good.
    pub(crate) good: u64,
    /// Fraud among the hits that are known either way.
    pub(crate) precision: Option<f64>,
    /// Share of all known fraud.
    pub(crate) recall: Option<f64>,
    /// Different customers it named.
    pub(crate) accounts: u64,
    /// Different customers among the hits known to be good.
    pub(crate) good_accounts: u64,
    /// Records it fired on, drawn fairly: ids of decisions, `entry-N` for others.
    pub(crate) examples: Vec<String>,
    /// Rules that fired with it most often.
    pub(crate) with: Vec<(String, u64)>,
}

/// What a score is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFound {
    /// Hex of the model.
    pub(crate) model: String,
    /// Records with a known label.
    pub(crate) rows: u64,
    /// Of those, fraud.
    pub(crate) frauds: u64,
    /// Area under precision over recall, as average precision.
    pub(crate) average_precision: f64,
    /// Area under the curve of true over false alarms.
    pub(crate) auc_roc: f64,
    /// Mean squared distance of probability and outcome.
    pub(crate) brier: f64,
    /// Expected calibration error.
    pub(crate) calibration_error: f64,
    /// Threshold, recall, precision: falling thresholds.
    pub(crate) curve: Vec<(f64, f64, f64)>,
    /// Rows, mean probability, share of fraud: rising probabilities, ranges without rows left out.
    pub(crate) reliability: Vec<(u64, f64, f64)>,
}
