//! The part of the command line about changes that take two persons.

use clap::{Args, Subcommand};

use crate::control::{ChangeSay, Request};

#[derive(Debug, Subcommand)]
pub(crate) enum ChangesCommand {
    /// List changes somebody asked for, the newest first.
    List {
        /// Only open, approved, executed, failed, declined, withdrawn or expired ones.
        #[arg(long)]
        state: Option<String>,
        /// Go on behind this one.
        #[arg(long, value_name = "CHANGE")]
        after: Option<String>,
        /// How many at most, 1 to 200.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Show a change: what it does, who asked for it, and the digest that is approved.
    Show {
        /// As listed, chg-...
        change: String,
    },
    /// Agree to what somebody else asked for; it is done at once.
    Approve {
        #[command(flatten)]
        by: Said,
        /// The digest of what you have seen, as shown.
        #[arg(long, value_name = "HEX")]
        digest: String,
    },
    /// Refuse what somebody else asked for.
    Decline {
        #[command(flatten)]
        by: Said,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take back what you asked for.
    Withdraw {
        #[command(flatten)]
        by: Said,
    },
}

/// Who says something about which change.
#[derive(Debug, Args)]
pub(crate) struct Said {
    /// The change, chg-...
    pub(crate) change: String,
    /// Who you are; recorded as operator:NAME.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: String,
}

impl ChangesCommand {
    /// What to ask the installation.
    pub(crate) fn request(self) -> Request {
        let act = |Said { change, name }: Said, say| Request::ChangesAct { change, by: name, say };
        match self {
            Self::List { state, after, limit } => Request::ChangesList { state, after, limit },
            Self::Show { change } => Request::ChangesShow { change },
            Self::Approve { by, digest } => act(by, ChangeSay::Approve { digest }),
            Self::Decline { by, reason } => act(by, ChangeSay::Decline { reason }),
            Self::Withdraw { by } => act(by, ChangeSay::Withdraw),
        }
    }
}
