//! The command line.

pub(crate) mod appeals;
pub(crate) mod cases;
pub(crate) mod changes;
pub(crate) mod docs;
pub(crate) mod emergency;
pub(crate) mod fraud;
pub(crate) mod intent;
pub(crate) mod people;
pub(crate) mod watch;
pub(crate) mod webhooks;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Self-hosted security platform for crypto exchanges: guard the crossing.
#[derive(Debug, Parser)]
#[command(name = "caponier", version, about, propagate_version = true, subcommand_required = true)]
#[command(
    after_help = "Exit codes: 0 yes, 1 no, 64 usage or configuration, 65 malformed input, 66 not found, \
                        70 defect, 74 input/output or damaged data, 75 busy"
)]
pub(crate) struct Cli {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which installation a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Data directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Key-encryption key; beside the data directory with the suffix .kek unless given.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kek_file: Option<PathBuf>,
    /// Configuration file; says where the data directory is, among all else.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve: gateway, decisions, log and backup, until SIGTERM.
    Run,
    /// Have the running process read its configuration and certificates again, without dropping a request.
    Reload,
    /// Check a configuration file, or print the annotated default.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// API keys, and the key-encryption key.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Persons who use the control API.
    #[command(subcommand)]
    Users(people::UsersCommand),
    /// Programs that use the control API, and their tokens.
    #[command(subcommand)]
    Services(people::ServicesCommand),
    /// Third-party apps that customers may let act for them.
    #[command(subcommand)]
    Apps(AppsCommand),
    /// What customers have granted to apps.
    #[command(subcommand)]
    Grants(GrantsCommand),
    /// Persons whose data is sealed.
    #[command(subcommand)]
    Subjects(SubjectsCommand),
    /// Recorded events against feature packs, models and rules.
    #[command(subcommand)]
    Fraud(fraud::FraudCommand),
    /// Transactions and typed messages before they are signed.
    #[command(subcommand)]
    Intent(intent::IntentCommand),
    /// What people look at: held withdrawals and alerts that belong together.
    #[command(subcommand)]
    Cases(cases::CasesCommand),
    /// What customers say was wrong: decisions and bans, and the answers they get.
    #[command(subcommand)]
    Appeals(appeals::AppealsCommand),
    /// What takes two persons: asked for by one, approved by another.
    #[command(subcommand)]
    Changes(changes::ChangesCommand),
    /// Deny every withdrawal of a scope from now on; one person is enough.
    Freeze(emergency::Freeze),
    /// Lift a freeze, by two persons.
    #[command(subcommand)]
    Unfreeze(emergency::UnfreezeCommand),
    /// Put the gateway on its guard for a while.
    #[command(subcommand)]
    Alarm(emergency::AlarmCommand),
    /// Say what is stopped at present: freezes, proposals to lift them, the alarm.
    Emergency,
    /// Programs elsewhere that are told of what happens.
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// What rules, models and chains found suspicious.
    #[command(subcommand)]
    Alerts(cases::AlertsCommand),
    /// Lists of labelled addresses.
    #[command(subcommand)]
    Lists(ListsCommand),
    /// Screen an address, or a file of them; exit code 1 when something speaks against one.
    Screen(Screen),
    /// Say why a decision was made.
    Explain {
        /// As shown to the client, dec-...
        decision_id: String,
    },
    /// Routes and limits together.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The route table: which request needs what.
    #[command(subcommand)]
    Routes(RoutesCommand),
    /// The model of the trading API: what may be asked of it.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Who is sent away by the gateway for a while.
    #[command(subcommand)]
    Bans(BansCommand),
    /// The console: pages for people.
    #[command(subcommand)]
    Console(ConsoleCommand),
    /// The transparency log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// What happened and what was decided, one JSON object a line.
    Log(Log),
    /// Backups: state, restore, rehearsal.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Chains: recorded transactions replayed, and what watches them measured.
    #[command(subcommand)]
    Watch(watch::WatchCommand),
    /// Look at the installation of --config from this machine and say what is wrong; exit code 1 when something is.
    Doctor,
    /// Documents made by the program itself: the API's description, manual pages, shell completions.
    #[command(subcommand)]
    Docs(docs::DocsCommand),
    /// Write a configuration that puts the gateway in front of your own API and refuses nobody.
    Connect(Connect),
    /// Show it all on loopback: a simulated exchange, honest users, attackers.
    Demo(Demo),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report every fault of a configuration file; start nothing.
    Check {
        /// The file; as good as --config.
        file: Option<PathBuf>,
    },
    /// Print the annotated default file.
    Default,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Create an API key; the secret is shown once.
    Create(Box<KeysCreate>),
    /// List API keys.
    List {
        /// Only this account's.
        #[arg(long)]
        account: Option<String>,
        /// With revoked keys, of which only the id is kept.
        #[arg(long, conflicts_with = "account")]
        all: bool,
    },
    /// Show all that is known of an API key: restrictions, the day's budget, from where it was used.
    Show {
        /// The key's id.
        key: String,
    },
    /// Replace what an API key is restricted to. Its connections end at once; it does not withdraw for a day.
    Restrict {
        /// The key's id.
        key: String,
        #[command(flatten)]
        restrictions: Box<RestrictionFlags>,
        /// Take all restrictions away.
        #[arg(long, conflicts_with = "RestrictionFlags")]
        none: bool,
    },
    /// Revoke an API key at once and for good.
    Revoke {
        /// The key's id (OK-ACCESS-KEY).
        key: String,
    },
    /// Suspend an API key at once.
    Freeze {
        /// The key's id (OK-ACCESS-KEY).
        key: String,
    },
    /// Let a frozen API key work again.
    Unfreeze {
        /// The key's id (OK-ACCESS-KEY).
        key: String,
    },
    /// Replace the key-encryption key and rewrap every data key.
    RotateKek,
}

#[derive(Debug, Args)]
pub(crate) struct KeysCreate {
    /// The account the key acts for.
    #[arg(long)]
    pub(crate) account: String,
    /// A name for people.
    #[arg(long, default_value = "")]
    pub(crate) label: String,
    /// What the key may do.
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    pub(crate) permissions: Vec<Permission>,
    /// Networks it may be used from, at most 20 addresses or CIDR blocks.
    #[arg(long = "ip", value_name = "CIDR", value_delimiter = ',')]
    pub(crate) ips: Vec<String>,
    /// For the demo-trading environment.
    #[arg(long)]
    pub(crate) demo_trading: bool,
    /// Public key of a v2 key, Ed25519 or P-256: a PEM file, or the key itself in Base64. The private key stays with
    /// the customer; without this option a secret is made.
    #[arg(long, value_name = "FILE|BASE64", conflicts_with = "passphrase_file")]
    pub(crate) public_key: Option<String>,
    #[command(flatten)]
    pub(crate) restrictions: RestrictionFlags,
    /// File with the passphrase (8 to 32 characters with digit, upper, lower and special); without it one is made.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// What a key may do at most. What is not named is not restricted.
#[derive(Debug, Args)]
#[group(multiple = true)]
pub(crate) struct RestrictionFlags {
    /// Endpoint it may call, such as "POST /api/v5/trade/order" or "GET /api/v5/account/*"; may be repeated.
    #[arg(long = "endpoint", value_name = "PATTERN")]
    pub(crate) endpoints: Vec<String>,
    /// Instrument it may trade, such as BTC-USDT or BTC-*; may be repeated.
    #[arg(long = "instrument", value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) instruments: Vec<String>,
    /// Most one order may be worth.
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) max_order_notional: Option<String>,
    /// Most all orders of any 24 hours may be worth.
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) max_day_notional: Option<String>,
    /// The asset these two are in; USDT unless given.
    #[arg(long, value_name = "ASSET")]
    pub(crate) notional_asset: Option<String>,
    /// Hours it is good in, UTC, such as "Mon-Fri 08-18", "Sat,Sun 10-12" or "00-06"; may be repeated.
    #[arg(long, value_name = "HOURS")]
    pub(crate) hours: Vec<String>,
    /// Direction it may transfer in: funding_to_trading, trading_to_funding, master_to_sub, sub_to_master or
    /// sub_to_sub; may be repeated.
    #[arg(long = "transfer", value_name = "DIRECTION", value_delimiter = ',')]
    pub(crate) transfers: Vec<String>,
    /// Entry of the address book it may withdraw to, as NETWORK:ADDRESS or by its id; may be repeated.
    #[arg(long = "withdraw-to", value_name = "ENTRY")]
    pub(crate) withdraw_to: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Permission {
    Read,
    Trade,
    Withdraw,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppsCommand {
    /// Register an app. It holds no secret: it proves itself by a key of its own.
    Create {
        /// Its public name for ever, 4 to 64 letters, digits, - and _; made unless given.
        #[arg(long)]
        client_id: Option<String>,
        /// What customers are shown.
        #[arg(long)]
        name: String,
        /// Where the browser is sent back to: https, or http with a loopback address; at most 8.
        #[arg(long = "redirect-uri", value_name = "URL", required = true)]
        redirect_uris: Vec<String>,
        /// What it may ask for at most.
        #[arg(long, value_enum, value_delimiter = ',', required = true)]
        scopes: Vec<Scope>,
    },
    /// List apps.
    List,
    /// End an app and every grant to it, at once and for good.
    Revoke {
        /// Its client id.
        client_id: String,
    },
}

/// What an app may ask for; never to withdraw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    Read,
    Trade,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// List grants that are in force.
    List {
        /// Only this account's.
        #[arg(long)]
        account: Option<String>,
    },
    /// End a grant and all its tokens, at once and for good.
    Revoke {
        /// As listed, grant-...
        grant: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubjectsCommand {
    /// Destroy an account's data key: its payloads become unreadable, the proofs still hold.
    Erase {
        /// The account.
        account: String,
        /// Confirms that this cannot be undone.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ListsCommand {
    /// Import a list; it replaces the earlier state of the list of that name, all or nothing.
    Import(ListsImport),
    /// Add addresses to a list or take some out, without importing it anew; the next whole import takes it back.
    Update(ListsUpdate),
    /// Say what importing would change, and change nothing; exit code 1 when it would change something.
    Diff(ListsImport),
    /// Take a whole list out of force: nothing it names counts any more, and alerts that rested on it are taken back.
    Remove {
        /// Its name.
        name: String,
        /// Why; it stands in the journal.
        #[arg(long)]
        reason: String,
        /// Confirms that addresses of the list are to be paid again.
        #[arg(long)]
        yes: bool,
    },
    /// Print a list as a TagPack.
    Export {
        /// Its name.
        name: String,
    },
    /// Show the active lists.
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct ListsImport {
    /// Format of the files: ofac (one address a line, file named sanctioned_addresses_TICKER.txt), ofac-xml (as the Treasury
    /// publishes them, classic or advanced), scamsniffer (JSON), tagpack (GraphSense, YAML, with the actors of the same folder), or csv:FIELD=COLUMN,... with the fields address, network, category, label, source, licence,
    /// confidence, first_seen and last_seen; FIELD=:VALUE gives every row the same.
    #[arg(long)]
    pub(crate) format: String,
    /// Name of the list; the file's name unless given.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A file, or a folder whose files are read.
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ListsUpdate {
    /// Name of the list.
    pub(crate) name: String,
    /// Format of the files, as for import.
    #[arg(long)]
    pub(crate) format: String,
    /// File with what to add.
    #[arg(long, value_name = "FILE")]
    pub(crate) add: Option<PathBuf>,
    /// File with the addresses to take out.
    #[arg(long, value_name = "FILE")]
    pub(crate) remove: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Screen {
    /// The address as text.
    #[arg(required_unless_present = "bulk", conflicts_with = "bulk")]
    pub(crate) address: Option<String>,
    /// Network, such as bitcoin, ethereum or tron; any that fits unless given.
    #[arg(long)]
    pub(crate) network: Option<String>,
    /// File with an address a line, a comma and its network behind it where that is known; - reads standard input. Prints a
    /// line for each.
    #[arg(long, value_name = "FILE")]
    pub(crate) bulk: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say what the routes and limits of --config would have done to recorded traffic; exit code 1 when they would have
    /// refused a request that was admitted.
    DryRun {
        /// Recording, as telemetry.traffic_file makes it.
        #[arg(long, value_name = "FILE")]
        traffic: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoutesCommand {
    /// Print the built-in table of OKX v5, as gateway.routes_file is written.
    Default,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Compile an OpenAPI document, or say what is wrong with it; list its operations and what is not checked.
    Check {
        /// The document, JSON.
        document: PathBuf,
    },
    /// Print what the running process learned, as an OpenAPI document to be reviewed.
    Learned,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConsoleCommand {
    /// Print a link that lets one browser in, once, within ten minutes.
    Link {
        /// Who will use it, as the console shows it.
        #[arg(long, default_value = "operator")]
        name: String,
        /// viewer, fraud_analyst, aml_analyst, security_engineer, sre, compliance_officer, approver, auditor or admin;
        /// several with commas between.
        #[arg(long, default_value = "viewer")]
        role: String,
        /// In place of roles: for a developer of this account, who sees its keys, what was refused and how to appeal, and
        /// nothing else.
        #[arg(long, conflicts_with = "role", value_name = "ACCOUNT")]
        account: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BansCommand {
    /// Show the bans, the next to end first.
    List,
    /// Ban at once; what is open ends.
    Add {
        /// IPv4 address or /24, IPv6 address, /64 or /48; or a network operator such as AS64500.
        target: String,
        /// Only requests that name this API key, from the source of the address.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// For how long, at most an hour.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=60))]
        minutes: u64,
    },
    /// Let in again.
    Lift {
        /// As it was banned.
        target: String,
        /// The key that was banned there.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// Print the bans of addresses in the JSON form of CrowdSec's local API.
    Export,
    /// Take in such a list.
    Import {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check every byte of a data directory, or of a copy of its log folder; exit code 1 names what is wrong.
    Verify {
        /// Data directory, or a folder with a checkpoint.
        dir: PathBuf,
        /// Verifier key to trust instead of the one in the folder.
        #[arg(long)]
        vkey: Option<String>,
    },
    /// Print a proof that an entry is in the log (c2sp.org/tlog-proof).
    Receipt {
        /// Sequence number of the entry.
        seq: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// First entry.
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    pub(crate) from: u64,
    /// Only entries of these kinds, such as decision, refusals or api_key.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kind: Vec<String>,
    /// Name persons, addresses and networks in full.
    #[arg(long)]
    pub(crate) reveal: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// How far the copy is behind.
    Status,
    /// Restore into the data directory, which must not exist or be empty.
    Restore {
        /// Backup target to read.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Rehearse a restore now and journal the result.
    Drill,
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Where your API answers in plain HTTP, such as http://127.0.0.1:9000.
    pub(crate) url: String,
    /// Folder to write to; created when absent.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Where the gateway will listen; loopback, until it has a certificate.
    #[arg(long, default_value = "127.0.0.1:8443", value_name = "ADDRESS")]
    pub(crate) listen: std::net::SocketAddr,
    /// Where the control API and the console will listen.
    #[arg(long, default_value = "127.0.0.1:8444", value_name = "ADDRESS")]
    pub(crate) api_listen: std::net::SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Print only the summary; with --json one object.
    #[arg(long)]
    pub(crate) headless: bool,
    /// Print links to the console and stay under attack until Ctrl-C, as on a terminal.
    #[arg(long, conflicts_with_all = ["headless", "serve"])]
    pub(crate) stay: bool,
    /// Start the installation without attackers and run until SIGTERM.
    #[arg(long, conflicts_with = "headless")]
    pub(crate) serve: bool,
    /// Seed of the population.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}
