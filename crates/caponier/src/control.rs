//! What an operator can ask of an installation, whether it is running or not.
//!
//! One [`Request`], one [`Response`], two ways to carry them: if a process holds the data directory, over its
//! unix socket (`control.sock`, mode 0600, same user only); otherwise the command opens the directory itself.
//! Both ends run [`crate::core::Core::handle`].

use serde::{Deserialize, Serialize};

/// Longest request or response line, in bytes.
pub const LINE_BYTES_MAX: u64 = 16 << 20;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant is the command of the same name; see the command line's help")]
pub enum Request {
    KeysCreate {
        account: String,
        label: String,
        read: bool,
        trade: bool,
        withdraw: bool,
        ips: Vec<String>,
        demo_trading: bool,
        passphrase: Option<String>,
    },
    KeysList {
        account: Option<String>,
    },
    KeysRevoke {
        key: String,
    },
    KeysFreeze {
        key: String,
    },
    KeysUnfreeze {
        key: String,
    },
    KeysRotateKek,
    SubjectsErase {
        account: String,
    },
    ListsImport {
        format: String,
        name: Option<String>,
        path: String,
    },
    ListsStatus,
    ListsUpdate {
        name: String,
        format: String,
        add: Option<String>,
        remove: Option<String>,
    },
    ListsExport {
        name: String,
    },
    Screen {
        address: String,
        network: Option<String>,
    },
    Explain {
        id: String,
    },
    AuditReceipt {
        seq: u64,
    },
    BackupStatus,
    BackupDrill,
    /// Reads the configuration file again.
    Reload,
    /// What was learned of the trading API.
    ModelLearned,
    /// Who is banned at the gateway.
    BansList,
    BansAdd {
        /// An address or network.
        target: String,
        /// Only requests that name this key.
        api_key: Option<String>,
        minutes: u64,
    },
    BansLift {
        target: String,
        api_key: Option<String>,
    },
    BansExport,
    BansImport {
        path: String,
    },
    /// A page of journal entries in words.
    Entries {
        from: u64,
        kinds: Vec<String>,
        entries_max: u64,
        reveal: bool,
    },
}

/// A created API key. The only time the secret is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedKey {
    /// `OK-ACCESS-KEY`.
    pub key: String,
    /// Secret of the HMAC.
    pub secret: String,
    /// `OK-ACCESS-PASSPHRASE`.
    pub passphrase: String,
    /// The account.
    pub account: String,
}

/// An API key without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedKey {
    /// `OK-ACCESS-KEY`.
    pub key: String,
    /// The account.
    pub account: String,
    /// A name for people.
    pub label: String,
    /// `read`, `trade`, `withdraw`.
    pub permissions: Vec<String>,
    /// Networks it is bound to.
    pub ips: Vec<String>,
    /// `live` or `demo`.
    pub environment: String,
    /// `active` or `frozen`. Revoked keys are not listed: only their ids are kept, in the journal.
    pub state: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, to the day it was last used on.
    pub last_used_at: Option<String>,
}

/// An imported list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedList {
    /// Its name.
    pub name: String,
    /// Labels taken in.
    pub labels: u64,
    /// Distinct addresses.
    pub addresses: u64,
    /// Labels on chains without a codec here, matched as exact text.
    pub kept_as_text: u64,
    /// Entries that are no addresses (transaction hashes).
    pub skipped: u64,
    /// Digest of what was read, hexadecimal SHA-256.
    pub sha256: String,
    /// RFC 3339.
    pub imported_at: String,
}

/// A changed list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatedList {
    /// Its name.
    pub name: String,
    /// Addresses labels were added of.
    pub added: u64,
    /// Addresses taken out, whether they were listed or not.
    pub removed: u64,
    /// Of those, how many were listed.
    pub removed_listed: u64,
    /// Changes since the list was last imported whole, which takes them back.
    pub changes: u64,
    /// Addresses listed now.
    pub listed: u64,
}

/// State of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupState {
    /// Target folder; `None` when no backup is configured.
    pub target: Option<String>,
    /// Entries in the journal.
    pub entries: u64,
    /// Entries in the copy.
    pub entries_shipped: u64,
    /// RFC 3339 of the last shipment.
    pub shipped_at: Option<String>,
    /// Result of the last drill in words.
    pub last_drill: Option<DrillResult>,
}

/// Result of a rehearsed restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillResult {
    /// Whether everything was equal.
    pub ok: bool,
    /// Entries restored.
    pub entries: u64,
    /// Root hash over them, base64.
    pub root: String,
    /// How long it took.
    pub took_ms: u64,
    /// What was compared, or what differed.
    pub detail: String,
    /// RFC 3339.
    pub at: String,
}

/// What reading the configuration file again changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Keys whose new values are in force now.
    pub in_force: Vec<String>,
    /// Keys whose new values wait for the next start.
    pub at_next_start: Vec<String>,
    /// Whether certificates were read again from their files.
    pub certificates: bool,
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedBan {
    /// An address, a network, or a key at one.
    pub target: String,
    /// What it did most of; `operator` where somebody decided.
    pub reason: String,
    /// What was seen of it, with how often.
    pub evidence: std::collections::BTreeMap<String, u64>,
    /// Points at the decision.
    pub score: Option<u32>,
    /// RFC 3339.
    pub since: String,
    /// RFC 3339.
    pub until: String,
    /// Bans of the same target before.
    pub strikes: u32,
    /// Not in shadow mode.
    pub in_force: bool,
}

/// What came of a list of bans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BansImported {
    /// Taken in.
    pub banned: u64,
    /// Ended because the list says so.
    pub lifted: u64,
    /// No bans of addresses, over, too wide, or of somebody who is never banned.
    pub skipped: u64,
}

/// What came of a [`Request`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", content = "value", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant answers the request of the same name")]
pub enum Response {
    KeyCreated(CreatedKey),
    Keys(Vec<ListedKey>),
    KeyChanged { key: String, state: String },
    KekRotated { from: u32, to: u32, rows: u64 },
    SubjectErased { account: String },
    ListImported(ImportedList),
    Lists(Vec<ImportedList>),
    ListUpdated(UpdatedList),
    TagPack(String),
    Screened(serde_json::Value),
    Explained(serde_json::Value),
    Receipt(String),
    Backup(BackupState),
    Drilled(DrillResult),
    Entries { next: u64, entries: Vec<serde_json::Value> },
    Reloaded(Reloaded),
    Learned(String),
    Bans(Vec<ListedBan>),
    Banned(ListedBan),
    BanLifted { target: String, lifted: bool },
    BansExported(String),
    BansImported(BansImported),
}

/// One line on the socket, from the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Work goes on: done of total, in units named by `what`.
    Progress {
        /// Units.
        what: String,
        /// Done so far.
        done: u64,
        /// In all.
        total: u64,
    },
    /// It is done.
    Done(Box<Response>),
    /// It failed.
    Failed {
        /// See [`crate::exit::Exit::code`].
        exit: u8,
        /// In words.
        message: String,
    },
}
