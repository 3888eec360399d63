//! What an operator can ask of an installation, whether it is running or not.
//!
//! One [`Request`], one [`Response`], two ways to carry them: if a process holds the data directory, over its
//! unix socket (`control.sock`, mode 0600, same user only); otherwise the command opens the directory itself.
//! Both ends run [`crate::core::Core::handle`].

mod people;
mod webhooks;

use domain::Actor;
use serde::{Deserialize, Serialize};

pub use self::{
    people::{CreatedService, InvitedUser, ListedService, ListedUser},
    webhooks::WebhookWork,
};

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
        /// Who asks; whoever uses the machine if nobody is named.
        #[serde(skip)]
        by: Option<Actor>,
        /// Of a v2 key; without one the key is of the OKX scheme.
        #[serde(default)]
        public_key: Option<String>,
        #[serde(default)]
        restrictions: RestrictionWords,
    },
    KeysList {
        account: Option<String>,
        /// With revoked ones, of which only the id is known.
        #[serde(default)]
        all: bool,
    },
    KeysRestrict {
        key: String,
        /// In place of those before.
        restrictions: RestrictionWords,
        #[serde(skip)]
        by: Option<Actor>,
    },
    KeysShow {
        key: String,
    },
    KeysRevoke {
        key: String,
        #[serde(skip)]
        by: Option<Actor>,
    },
    KeysFreeze {
        key: String,
        #[serde(skip)]
        by: Option<Actor>,
    },
    KeysUnfreeze {
        key: String,
        #[serde(skip)]
        by: Option<Actor>,
    },
    KeysRotateKek,
    SubjectsErase {
        account: String,
    },
    AppsCreate {
        client_id: Option<String>,
        name: String,
        redirect_uris: Vec<String>,
        read: bool,
        trade: bool,
    },
    AppsList,
    AppsRevoke {
        client_id: String,
    },
    /// An invitation to store a passkey; the link is shown once.
    PeopleInvite {
        user: String,
        /// By name.
        roles: Vec<String>,
        /// Name of the operator.
        by: String,
        reason: String,
    },
    PeopleList,
    PeopleRemove {
        user: String,
    },
    /// The end of a person's phrase and one-time codes.
    PeopleFallbackEnd {
        user: String,
    },
    PeopleRoles {
        user: String,
        /// By name, in place of those before.
        roles: Vec<String>,
        /// Name of the operator.
        by: String,
        reason: String,
    },
    /// A program's token, which is shown once.
    ServicesCreate {
        name: String,
        /// By name.
        capabilities: Vec<String>,
        ips: Vec<String>,
        days: u32,
        /// Name of the operator.
        by: String,
        reason: String,
    },
    ServicesList,
    ServicesRevoke {
        name: String,
    },
    GrantsList {
        account: Option<String>,
    },
    GrantsRevoke {
        grant: String,
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
    SuspectsList {
        from: u64,
        limit: u64,
    },
    SuspectsClear {
        address: String,
        by: String,
        reason: String,
    },
    ListsRemove {
        name: String,
        reason: String,
    },
    /// What importing would change.
    ListsDiff {
        format: String,
        name: Option<String>,
        path: String,
    },
    /// Addresses and, where one is given, their network.
    ScreenAll {
        lines: Vec<(String, Option<String>)>,
    },
    AppealsList {
        account: Option<String>,
        state: Option<String>,
        /// Go on behind this appeal.
        after: Option<String>,
        limit: u32,
    },
    /// Brings, shows or answers an appeal.
    Appeals(AppealWork),
    CasesList {
        state: Option<String>,
        account: Option<String>,
        assignee: Option<String>,
        priority: Option<String>,
        #[serde(default)]
        source: Option<String>,
        urgent: bool,
        /// Go on behind this case.
        after: Option<String>,
        limit: u32,
    },
    CasesShow {
        case: String,
    },
    /// Does something with a case.
    CasesAct {
        case: String,
        /// Name of the operator.
        by: String,
        /// What they have seen.
        revision: Option<u64>,
        work: CaseWork,
    },
    /// Changes that take two persons.
    ChangesList {
        state: Option<String>,
        /// Go on behind this one.
        after: Option<String>,
        limit: u32,
    },
    ChangesShow {
        change: String,
    },
    /// Says something about a change somebody asked for.
    ChangesAct {
        change: String,
        /// Name of the operator.
        by: String,
        say: ChangeSay,
    },
    /// What is stopped at present.
    EmergencyShow,
    /// Stops something at once, or lets it go on.
    Emergency {
        /// Name of the operator.
        by: String,
        work: EmergencyWork,
    },
    /// About endpoints that are told of what happens.
    Webhooks {
        /// Name of the operator, where something is changed.
        by: String,
        work: WebhookWork,
    },
    AlertsList {
        /// Position of the last one of the page before.
        after: Option<u64>,
        limit: u32,
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
    /// How far each chain is followed.
    ChainsStatus,
    /// Reads the configuration file again.
    Reload,
    /// About fraud.
    Fraud(FraudRequest),
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
        #[serde(skip)]
        by: Option<Actor>,
    },
    BansLift {
        target: String,
        api_key: Option<String>,
        #[serde(skip)]
        by: Option<Actor>,
    },
    BansExport,
    BansImport {
        path: String,
    },
    /// A one-time link to the console.
    ConsoleLink {
        name: String,
        /// Separated by commas; empty with an account.
        roles: String,
        /// The one account it opens.
        account: Option<String>,
    },
    /// A page of journal entries in words.
    Entries {
        from: u64,
        kinds: Vec<String>,
        entries_max: u64,
        reveal: bool,
    },
}

/// Something to do with an appeal; `by` is the name of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "with", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant is the command of the same name; see the command line's help")]
pub enum AppealWork {
    Answer { appeal: String, by: String, outcome: String, reason: String },
    Bring { account: String, against: String, by: String, id: String, text: String },
    Show { appeal: String },
}

/// Something to do with a case; decisions by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant is the command of the same name; see the command line's help")]
pub enum CaseWork {
    Approve { decision: String },
    Assign { to: Option<String> },
    Decline { decision: String, reason: String },
    Note { text: String },
    Propose { decision: String, reason: String },
    Resolve { disposition: String, reason: String },
}

/// What is said about a change somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant is the command of the same name; see the command line's help")]
pub enum ChangeSay {
    Approve { digest: String },
    Decline { reason: String },
    Withdraw,
}

/// Something to stop, or to let go on; scopes in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant is the command of the same name; see the command line's help")]
pub enum EmergencyWork {
    AlarmEnd { reason: String },
    AlarmRaise { minutes: u64, reason: String },
    Freeze { scope: String, reason: String },
    UnfreezeApprove { scope: String, proposal: u64 },
    UnfreezeDecline { scope: String, proposal: u64, reason: String },
    UnfreezePropose { scope: String, reason: String },
}

/// What can be asked about fraud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case", deny_unknown_fields)]
pub enum FraudRequest {
    /// Lines of reporters that were no events, from a number on.
    DeadLetters {
        /// The first number wanted.
        from: u64,
    },
    /// Something turned out to be fraud, or not.
    Label(LabelWords),
    /// Which bundles judge, and what they did.
    Bundles,
    /// How far features, scores and labels have moved under the bundles at work.
    Drift,
    /// Models and which of them are in force.
    Models(ModelsRequest),
    /// The journal's past as rows to learn from, written to a new file.
    History {
        /// Folder of the bundle whose pack computes the rows, absolute.
        bundle: String,
        /// First day of the rows, since 1970.
        from: u32,
        /// End of the days.
        until: u32,
        /// Kinds of records; empty for all that the bundle judges.
        kinds: Vec<String>,
        /// Where the file goes, absolute; it must not exist.
        out: String,
    },
    /// Decisions by the bundles are computed again from the journal.
    Recompute,
    /// The active bundle is to have an effect.
    Promote {
        /// Beginning of its SHA-256: nothing else is promoted by mistake.
        sha256: String,
        /// Who wants it, and why.
        reason: String,
    },
    /// The active bundle is to have no effect any more.
    Demote {
        /// Who wants it, and why.
        reason: String,
    },
}

/// What can be asked about models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "models", rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelsRequest {
    /// Takes a model file in.
    Add {
        /// Where it lies, absolute.
        path: String,
        /// How it did on days after those it learned from.
        #[serde(default)]
        backtest: Option<BacktestWords>,
        /// Name of the operator.
        by: String,
    },
    /// Records a comparison that was made from the files.
    Compared {
        /// The entry as it will stand in the journal, hexadecimal.
        entry: String,
    },
    /// All models.
    List,
    /// Puts a model in force.
    Promote {
        /// Beginning of its digest.
        digest: String,
        /// Name of the operator.
        by: String,
        /// Why it is forced past the gate, if it is.
        #[serde(default)]
        forced: Option<String>,
    },
    /// Puts the champion before in force again.
    Rollback {
        /// Beginning of the digest of the champion to be taken out of force.
        digest: String,
        /// Name of the operator.
        by: String,
        /// Why.
        reason: String,
    },
    /// One model.
    Show {
        /// Beginning of its digest.
        digest: String,
    },
}

/// A temporal backtest; figures in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BacktestWords {
    /// Average precision.
    pub average_precision: i64,
    /// Area under the ROC curve.
    pub auc_roc: i64,
    /// Rows judged.
    pub rows: u64,
    /// Frauds among them.
    pub positives: u64,
    /// End of the days judged, nanoseconds since 1970.
    pub until: u64,
}

/// What turned out, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelWords {
    /// Whose account.
    pub account: String,
    /// Id of the event it is about.
    #[serde(default)]
    pub event: Option<String>,
    /// Id of the decision it is about. With neither it is about the account.
    #[serde(default)]
    pub decision: Option<String>,
    /// Whether it was fraud.
    pub is_fraud: bool,
    /// Who says so.
    pub source: String,
}

/// What a key may do at most, in words. An empty list or an absent value restricts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestrictionWords {
    /// `POST /api/v5/trade/order`, `GET /api/v5/account/*`.
    pub endpoints: Vec<String>,
    /// `BTC-USDT`, `BTC-*`.
    pub instruments: Vec<String>,
    /// The asset that `order_max` and `day_max` are in.
    pub notional_asset: Option<String>,
    /// Most one order may be worth.
    pub order_max: Option<String>,
    /// Most all orders of a day may be worth.
    pub day_max: Option<String>,
    /// `funding_to_trading` and the like.
    pub transfers: Vec<String>,
    /// Entries of the address book: ids, or `network:address`.
    pub destinations: Vec<String>,
    /// `Mon-Fri 08-18`, UTC.
    pub hours: Vec<String>,
}

/// A registered v2 key. Nothing about it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredKey {
    /// `keyid` of its signatures.
    pub key: String,
    /// The account.
    pub account: String,
    /// `alg` of its signatures.
    pub algorithm: String,
}

/// All that is known of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownKey {
    /// As listed.
    #[serde(flatten)]
    pub listed: ListedKey,
    /// Those in force.
    pub restrictions: RestrictionWords,
    /// RFC 3339, when they were last changed.
    pub restricted_at: Option<String>,
    /// RFC 3339, from when on it may withdraw, as far as its age goes; `None` without the permission.
    pub may_withdraw_from: Option<String>,
    /// What it has asked for in the last 24 to 25 hours, in `notional_asset`; `None` without a bound on the day.
    pub day_spent: Option<String>,
    /// How it was used since the process started, latest first.
    pub last_uses: Vec<KeyUse>,
    /// From where it is known to be used, last used first.
    pub known_from: Vec<KnownFrom>,
    /// Who did what with it, newest first.
    #[serde(default)]
    pub acts: Vec<KeyAct>,
}

/// Something that was done with a key on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAct {
    /// RFC 3339.
    pub at: String,
    /// `created`, `frozen`, `restricted`, `unfrozen`.
    pub what: String,
    /// `user:anna`, `service:exchange`, `operator:local`; `None` where the entry names nobody.
    pub by: Option<String>,
}

/// One way a key was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// RFC 3339, the last time.
    pub at: String,
    /// From where.
    pub ip: String,
    /// TLS fingerprint of the client.
    pub ja4: Option<String>,
    /// `read`, `trade` or `withdraw`.
    pub permission: String,
}

/// A network and software a key is used from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFrom {
    /// Its number or block.
    pub network: String,
    /// TLS fingerprint of the client.
    pub ja4: Option<String>,
    /// RFC 3339.
    pub last_used_at: String,
    /// Whether it was reported as new and nobody has looked since.
    pub suspect: bool,
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
    /// `okx` or `v2`.
    #[serde(default)]
    pub scheme: String,
    /// Whether it is restricted beyond permissions and networks.
    #[serde(default)]
    pub restricted: bool,
    /// `active` or `frozen`; `revoked` for one of which only the id is kept, all else is empty then.
    pub state: String,
    /// RFC 3339.
    pub created_at: Option<String>,
    /// RFC 3339, to the day it was last used on.
    pub last_used_at: Option<String>,
}

/// A third-party app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedApp {
    /// `client_id`.
    pub client_id: String,
    /// What customers are shown.
    pub name: String,
    /// Where answers may go.
    pub redirect_uris: Vec<String>,
    /// What it may ask for at most: `read`, `trade`, or both.
    pub scopes: String,
    /// `active` or `revoked`.
    pub state: String,
    /// RFC 3339.
    pub registered_at: String,
}

/// A customer's grant to an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedGrant {
    /// Its name, as in `x-caponier-key`.
    pub grant: String,
    /// Whose app.
    pub client_id: String,
    /// The customer.
    pub account: String,
    /// `read`, `trade`, or both.
    pub scopes: String,
    /// `live` or `demo`.
    pub environment: String,
    /// What the app may do at most, by name.
    pub restrictions: std::collections::BTreeMap<String, String>,
    /// RFC 3339.
    pub granted_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// RFC 3339, since the start.
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
    /// What became of past transfers by it; of an import alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescreened: Option<Rescreened>,
}

/// Past transfers scored again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rescreened {
    /// Transfers looked at.
    pub transfers: u64,
    /// Addresses whose screening was answered before.
    #[serde(default)]
    pub answers: u64,
    /// Alerts of followed chains looked at.
    #[serde(default)]
    pub chain_alerts: u64,
    /// Alerts raised.
    pub raised: u64,
    /// Alerts taken back.
    pub retracted: u64,
}

/// What importing a list would change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ListDiff {
    /// Name of the list.
    pub name: String,
    /// Addresses it would name that it does not.
    pub added: u64,
    /// Addresses it would name no longer.
    pub removed: u64,
    /// Addresses under another category, or with another verdict.
    pub changed: u64,
    /// Of those three, addresses that would be stopped and were not.
    pub stricter: u64,
    /// And those that would be stopped less.
    pub milder: u64,
    /// The first differences, in the order of addresses.
    pub first: Vec<ListDifference>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDifference {
    /// The address.
    pub address: String,
    /// Category and verdict of the state in force.
    pub before: Option<(String, String)>,
    /// Category and verdict of the other.
    pub after: Option<(String, String)>,
}

/// A list that is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovedList {
    /// Its name.
    pub name: String,
    /// Addresses and texts it named; none where it was missing already.
    pub listed: Option<u64>,
    /// What past transfers are judged otherwise; `None` if they were not scored yet.
    pub rescreened: Option<Rescreened>,
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
    /// What became of past transfers by it.
    pub rescreened: Option<Rescreened>,
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

/// How far a chain is followed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChainStatus {
    /// The operator's name of it.
    pub chain: String,
    /// `starting`, `catching_up`, `following`, `stalled`, `failing` or `stopped`.
    pub phase: String,
    /// The newest block taken in.
    pub height: Option<u64>,
    /// Its hash.
    pub hash: Option<String>,
    /// The newest final block.
    pub finalized: Option<u64>,
    /// The node's newest block.
    pub head_height: Option<u64>,
    /// Blocks the node is ahead.
    pub lag_blocks: Option<u64>,
    /// Since the node's newest block became known.
    pub head_age_ms: Option<u64>,
    /// From the arrival of the newest head to the delivery of its alerts.
    pub head_to_done_us: Option<u64>,
    /// Blocks taken in, ever.
    pub blocks: u64,
    /// Reorganisations followed.
    pub reorgs: u64,
    /// The deepest of them.
    pub reorg_depth_max: u64,
    /// Alerts told.
    pub alerts: u64,
    /// Alerts that became final.
    pub alerts_final: u64,
    /// Alerts taken back.
    pub alerts_retracted: u64,
    /// Of those, alerts that were final already.
    pub alerts_retracted_after_final: u64,
    /// Alerts that wait to be journalled.
    pub alerts_waiting: u64,
    /// Times that following began anew because a branch was too old.
    pub restarts: u64,
    /// Subscriptions to heads made.
    pub subscriptions: u64,
    /// Errors by name, since the start.
    pub errors: std::collections::BTreeMap<String, u64>,
    /// The last one, with its time.
    pub last_error: Option<String>,
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
    /// Who decided, where somebody did and they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
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
    KeyRegistered(RegisteredKey),
    KeyShown(Box<ShownKey>),
    Keys(Vec<ListedKey>),
    KeyChanged {
        key: String,
        state: String,
    },
    AppCreated(ListedApp),
    Apps(Vec<ListedApp>),
    AppRevoked {
        client_id: String,
    },
    Invited(InvitedUser),
    People(Vec<ListedUser>),
    PersonRemoved {
        user: String,
    },
    FallbackEnded {
        user: String,
    },
    RolesSet {
        user: String,
        roles: Vec<String>,
    },
    ServiceCreated(CreatedService),
    Services(Vec<ListedService>),
    ServiceRevoked {
        name: String,
    },
    Grants(Vec<ListedGrant>),
    GrantRevoked {
        grant: String,
    },
    KekRotated {
        from: u32,
        to: u32,
        rows: u64,
    },
    SubjectErased {
        account: String,
    },
    ListImported(ImportedList),
    Lists(Vec<ImportedList>),
    ListUpdated(UpdatedList),
    ListRemoved(RemovedList),
    Suspects(serde_json::Value),
    SuspectCleared {
        address: String,
    },
    TagPack(String),
    ListDiff(ListDiff),
    Changes(serde_json::Value),
    Change(serde_json::Value),
    Appeals(serde_json::Value),
    Appeal(serde_json::Value),
    Cases(serde_json::Value),
    /// What is stopped.
    Emergency(serde_json::Value),
    Webhooks(serde_json::Value),
    Case(serde_json::Value),
    Alerts(serde_json::Value),
    Screened(serde_json::Value),
    ScreenedAll(Vec<serde_json::Value>),
    Explained(serde_json::Value),
    Receipt(String),
    Backup(BackupState),
    Chains(Vec<ChainStatus>),
    Drilled(DrillResult),
    Entries {
        next: u64,
        entries: Vec<serde_json::Value>,
    },
    Reloaded(Reloaded),
    Learned(String),
    Fraud(serde_json::Value),
    Bans(Vec<ListedBan>),
    Banned(ListedBan),
    BanLifted {
        target: String,
        lifted: bool,
    },
    BansExported(String),
    BansImported(BansImported),
    ConsoleLink {
        url: String,
        until: String,
    },
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
