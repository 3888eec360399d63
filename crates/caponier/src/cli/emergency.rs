//! The part of the command line about emergencies.

use clap::{Args, Subcommand};

/// Who does it, and why.
#[derive(Debug, Args)]
pub(crate) struct Signed {
    /// Who you are; recorded as operator:NAME.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Freeze {
    /// all, account:NAME, asset:NAME or network:NAME.
    pub(crate) scope: String,
    #[command(flatten)]
    pub(crate) signed: Signed,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UnfreezeCommand {
    /// Propose to lift a freeze; somebody else must approve within an hour.
    Propose {
        /// As it was frozen.
        scope: String,
        #[command(flatten)]
        signed: Signed,
    },
    /// Agree to what somebody else proposed: the freeze ends.
    Approve {
        /// As it was frozen.
        scope: String,
        /// The proposal's number, as caponier emergency shows it.
        #[arg(long, value_name = "N")]
        proposal: u64,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
    },
    /// Refuse a proposal, or take one's own back: the freeze stays.
    Decline {
        /// As it was frozen.
        scope: String,
        /// The proposal's number, as caponier emergency shows it.
        #[arg(long, value_name = "N")]
        proposal: u64,
        #[command(flatten)]
        signed: Signed,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlarmCommand {
    /// Ask browsers for proof of work and ban who would be banned in shadow mode, for some minutes.
    Raise {
        #[command(flatten)]
        signed: Signed,
        /// For how long; it ends by itself.
        #[arg(long, default_value_t = 30, value_name = "N")]
        minutes: u64,
    },
    /// End the alarm before its time.
    End {
        #[command(flatten)]
        signed: Signed,
    },
}
