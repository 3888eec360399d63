//! The part of the command line about cases and alerts.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum CasesCommand {
    /// List cases, the newest first.
    List(CasesList),
    /// Show a case: what came together, what waits, who did what.
    Show {
        /// As listed, case-...
        case: String,
    },
    /// Say who works on a case.
    Assign {
        #[command(flatten)]
        by: By,
        /// Their name; nobody any more unless given.
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Add a note.
    Note {
        #[command(flatten)]
        by: By,
        /// What to remember.
        text: String,
    },
    /// Propose to let a held withdrawal through; somebody else must approve it.
    Propose {
        #[command(flatten)]
        by: By,
        /// The decision that held it, dec-...
        decision: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Agree to what somebody else proposed: the customer may ask for the same withdrawal once more.
    Approve {
        #[command(flatten)]
        by: By,
        /// The decision that held it, dec-...
        decision: String,
    },
    /// Refuse a proposal, or take one's own back.
    Decline {
        #[command(flatten)]
        by: By,
        /// The decision that held it, dec-...
        decision: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Close a case: what it was becomes a label that models learn from.
    Resolve {
        #[command(flatten)]
        by: By,
        /// fraud, legitimate or inconclusive.
        #[arg(long, value_name = "WHAT")]
        disposition: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CasesList {
    /// Only cases that are open, assigned, proposed or resolved.
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only cases about this account.
    #[arg(long)]
    pub(crate) account: Option<String>,
    /// Only cases assigned to this name.
    #[arg(long)]
    pub(crate) assignee: Option<String>,
    /// Only cases at least as urgent as low, medium, high or critical.
    #[arg(long)]
    pub(crate) priority: Option<String>,
    /// Only cases with something from this source: appeal, chain_alert, decision, fraud_alert, screening or suspicion.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Open cases only, the most urgent first.
    #[arg(long)]
    pub(crate) urgent: bool,
    /// Go on behind this case.
    #[arg(long, value_name = "CASE")]
    pub(crate) after: Option<String>,
    /// How many at most, 1 to 200.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: u32,
}

/// Who does something with which case.
#[derive(Debug, Args)]
pub(crate) struct By {
    /// The case, case-...
    pub(crate) case: String,
    /// Who you are; recorded as operator:NAME.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: String,
    /// The revision you have seen: if somebody changed the case since, nothing is done.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// List alerts, the newest first.
    List {
        /// Go on behind this one, as the listing before says.
        #[arg(long, value_name = "POSITION")]
        after: Option<u64>,
        /// How many at most, 1 to 200.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
}
