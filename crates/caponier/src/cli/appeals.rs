//! The part of the command line about appeals.

use clap::{Args, Subcommand};

use crate::control::{AppealWork, Request};

#[derive(Debug, Subcommand)]
pub(crate) enum AppealsCommand {
    /// List appeals, the newest first.
    List(AppealsList),
    /// Show an appeal and what came of it.
    Show {
        /// As listed, appeal-...
        appeal: String,
    },
    /// Say for a customer that a decision or a ban was wrong; somebody else answers.
    Bring {
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// The customer.
        #[arg(long, value_name = "ACCOUNT")]
        account: String,
        #[command(flatten)]
        against: Against,
        /// What the customer says.
        text: String,
    },
    /// Answer an appeal.
    Answer {
        /// As listed, appeal-...
        appeal: String,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// overturned (it was wrong) or upheld (it stays).
        #[arg(long, value_name = "WHAT")]
        outcome: String,
        /// Why, in words for whoever appealed.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// What is appealed.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Against {
    /// The decision, dec-...
    #[arg(long, value_name = "ID")]
    decision: Option<String>,
    /// The ban, as `caponier bans list` names its target.
    #[arg(long, value_name = "TARGET")]
    ban: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AppealsList {
    /// Only appeals that are open, overturned or upheld.
    #[arg(long)]
    state: Option<String>,
    /// Only appeals of this account.
    #[arg(long)]
    account: Option<String>,
    /// Go on behind this appeal.
    #[arg(long, value_name = "APPEAL")]
    after: Option<String>,
    /// How many at most, 1 to 200.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

impl AppealsCommand {
    /// As a request.
    pub(crate) fn request(self) -> Request {
        match self {
            Self::List(AppealsList { state, account, after, limit }) => {
                Request::AppealsList { account, state, after, limit }
            }
            Self::Show { appeal } => Request::Appeals(AppealWork::Show { appeal }),
            Self::Bring { name, account, against, text } => {
                let (against, id) = match (against.decision, against.ban) {
                    (Some(id), _) => ("decision", id),
                    (None, ban) => ("ban", ban.unwrap_or_default()),
                };
                let against = against.to_owned();
                Request::Appeals(AppealWork::Bring { account, against, by: name, id, text })
            }
            Self::Answer { appeal, name, outcome, reason } => {
                Request::Appeals(AppealWork::Answer { appeal, by: name, outcome, reason })
            }
        }
    }
}
