//! The part of the command line about webhooks.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Name of the endpoint: 1 to 48 of a-z, 0-9, - and _.
    pub(crate) name: String,
    /// Where messages go: https, or http within webhooks.private_networks.
    pub(crate) url: String,
    /// Of what it is told: types and families of them, separated by commas; see caponier webhooks types.
    #[arg(long, value_name = "TYPES")]
    pub(crate) events: String,
    /// hmac (a shared secret) or ed25519 (a public key).
    #[arg(long, default_value = "hmac", value_name = "SCHEME")]
    pub(crate) scheme: String,
    /// Messages name accounts and addresses.
    #[arg(long)]
    pub(crate) accounts: bool,
    /// File with a key to take over, whsec_... or whsk_...; without it a new one is made.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Who you are; recorded as operator:NAME.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) by: String,
}

#[derive(Debug, Args)]
pub(crate) struct Change {
    /// Which endpoint.
    pub(crate) name: String,
    /// Where messages go from now on.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Of what it is told from now on.
    #[arg(long, value_name = "TYPES")]
    pub(crate) events: Option<String>,
    /// Whether messages name accounts and addresses.
    #[arg(long, value_name = "BOOL")]
    pub(crate) accounts: Option<bool>,
    /// Who you are; recorded as operator:NAME.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) by: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// Add an endpoint; its key is shown this once.
    Add(Add),
    /// Send an endpoint's messages elsewhere, or others.
    Change(Change),
    /// Let messages go out again; what waited is told.
    Enable {
        /// Which endpoint.
        name: String,
        /// What waited is not wanted any more: begin with what happens now.
        #[arg(long)]
        skip: bool,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        by: String,
    },
    /// Hold messages back; they wait in the journal.
    Pause {
        /// Which endpoint.
        name: String,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        by: String,
    },
    /// Sign with a new key, and with the one before for a while; the new key is shown this once.
    Rotate {
        /// Which endpoint.
        name: String,
        /// How long both sign, in hours; at most 168.
        #[arg(long, default_value_t = api::OVERLAP_HOURS, value_name = "N")]
        overlap_hours: u64,
        /// File with a key to take over.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        by: String,
    },
    /// Remove an endpoint, with what waits for it.
    Remove {
        /// Which endpoint.
        name: String,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        by: String,
    },
    /// List endpoints, and how it goes with them.
    List,
    /// List what endpoints can be told of.
    Types,
    /// Send a message that says nothing, now; exit code 1 when it is not taken.
    Test {
        /// Which endpoint.
        name: String,
    },
    /// List what was given up on.
    DeadLetters {
        /// Which endpoint.
        name: String,
    },
    /// Try what was given up on once more each, one or all; only while caponier runs.
    Replay {
        /// Which endpoint.
        name: String,
        /// Which message, msg_...; without it all.
        #[arg(long, value_name = "ID")]
        message: Option<String>,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        by: String,
    },
    /// Forget what was given up on, one or all.
    Discard {
        /// Which endpoint.
        name: String,
        /// Which message, msg_...; without it all.
        #[arg(long, value_name = "ID")]
        message: Option<String>,
        /// Who you are; recorded as operator:NAME.
        #[arg(long = "as", value_name = "NAME")]
        by: String,
    },
}
