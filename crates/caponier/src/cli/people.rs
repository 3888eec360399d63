//! `caponier users` and `caponier services`: who may use the control API.

use clap::{Args, Subcommand};

use crate::control::Request;

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Invite a person to store a passkey; the link is shown once and works once, for a day. With roles, or for a person who is
    /// known, it is good when somebody who may approve access has approved it, if anybody else can sign in who may.
    Invite {
        /// Their name, as records show it.
        user: String,
        /// What they do: admin, aml_analyst, approver, auditor, compliance_officer, fraud_analyst, security_engineer,
        /// sre or viewer; may be repeated. In place of the roles before.
        #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
        roles: Vec<String>,
        #[command(flatten)]
        why: Why,
    },
    /// List persons.
    List,
    /// Replace a person's roles, in open sessions as well. What gives more waits until somebody who may approve access has
    /// approved it, if anybody else can sign in who may.
    Roles {
        /// Their name.
        user: String,
        /// As for invite; none takes all away.
        #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
        roles: Vec<String>,
        #[command(flatten)]
        why: Why,
    },
    /// End a person's way in by phrase and one-time codes: they sign in by passkey alone until they set a new one.
    FallbackEnd {
        /// Their name.
        user: String,
    },
    /// Remove a person: passkeys, roles and open sessions.
    Remove {
        /// Their name.
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServicesCommand {
    /// Create a token for a program, in place of the one of that name; it is shown once. It is good when somebody who may approve
    /// access has approved it, if anybody can sign in who may.
    Create(ServicesCreate),
    /// List programs.
    List,
    /// Revoke a program's token at once.
    Revoke {
        /// The program's name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServicesCreate {
    /// The program's name, as records show it.
    pub(crate) name: String,
    /// What it may do, such as decide or write_events; may be repeated.
    #[arg(long = "may", value_name = "CAPABILITY", value_delimiter = ',', required = true)]
    pub(crate) capabilities: Vec<String>,
    /// Networks it may call from, at most 20 addresses or CIDR blocks.
    #[arg(long = "ip", value_name = "CIDR", value_delimiter = ',')]
    pub(crate) ips: Vec<String>,
    /// Days until the token ends, at most 366.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub(crate) days: u32,
    #[command(flatten)]
    pub(crate) why: Why,
}

/// Who asks for something, and why.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Who you are; recorded as operator:NAME.
    #[arg(long = "as", value_name = "NAME", default_value = "local")]
    pub(crate) asker: String,
    /// Why, for whoever approves it.
    #[arg(long, value_name = "TEXT", default_value = "asked for on the command line")]
    pub(crate) reason: String,
}

impl UsersCommand {
    /// What to ask the installation.
    pub(crate) fn request(self) -> Request {
        match self {
            Self::Invite { user, roles, why } => {
                Request::PeopleInvite { user, roles, by: why.asker, reason: why.reason }
            }
            Self::List => Request::PeopleList,
            Self::Roles { user, roles, why } => {
                Request::PeopleRoles { user, roles, by: why.asker, reason: why.reason }
            }
            Self::FallbackEnd { user } => Request::PeopleFallbackEnd { user },
            Self::Remove { user } => Request::PeopleRemove { user },
        }
    }
}

impl ServicesCommand {
    /// What to ask the installation.
    pub(crate) fn request(self) -> Request {
        match self {
            Self::Create(ServicesCreate { name, capabilities, ips, days, why }) => {
                let Why { asker: by, reason } = why;
                Request::ServicesCreate { name, capabilities, ips, days, by, reason }
            }
            Self::List => Request::ServicesList,
            Self::Revoke { name } => Request::ServicesRevoke { name },
        }
    }
}
