//! What an installation holds and does: API keys, bans, lists, backups, the log. The same the command line tells and does.
//!
//! What changes something is recorded with the name of the caller before it is answered, and is safe to repeat.
//!
//! # Bounds
//! Keys are listed account by account; bans at most [`PAGE_MAX`] a page; of the journal at most
//! [`ENTRIES_MAX`] entries are looked at in one call.

use axum::{
    extract::Request,
    http::{Method, Uri},
};
use domain::{AccountId, Actor, ApiKeyId};
use serde_json::{Value, json};

use crate::{
    BoxFuture, Permission,
    auth::Caller,
    limits::{
        INSTALLATION_BODY_BYTES_MAX, NAME_BYTES_MAX, PAGE_MAX, RESTRICTIONS_BODY_BYTES_MAX, WORDS_BYTES_MAX,
    },
    problem::{Kind, Problem},
    query::{Query, fault},
    route::{Action, App, Route, read_body, segment},
    wire::{Fault, Fields},
};

/// Entries of the journal looked at in one call.
pub const ENTRIES_MAX: usize = 1_000;
/// Longest ban, in minutes.
pub const BAN_MINUTES_MAX: u64 = 60;

/// A call about the installation's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallationCall {
    /// How far the backup is, and the last drill.
    Backup,
    /// Bans.
    BanAdd,
    /// Lets in again.
    BanLift,
    /// Lists bans.
    Bans,
    /// The newest signed checkpoint.
    Checkpoint,
    /// Tries a restore.
    Drill,
    /// A page of journal entries in words.
    Entries,
    /// Shows a key.
    Key,
    /// Takes a key out of force until it is unfrozen.
    KeyFreeze,
    /// Restricts a key, in place of what it was restricted to.
    KeyRestrict,
    /// Takes a key out of force for ever.
    KeyRevoke,
    /// Puts a frozen key in force again.
    KeyUnfreeze,
    /// Lists an account's keys.
    Keys,
    /// Lists label lists.
    Lists,
    /// The proof that the log holds an entry.
    Receipt,
}

/// What is asked of the installation, every value checked for its form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallationAsk {
    /// How far the backup is, and the last drill.
    Backup,
    /// Bans an address or network, or a key there.
    BanAdd {
        /// Address, network or operator.
        target: String,
        /// Only requests that name this key.
        api_key: Option<String>,
        /// For how long, at most [`BAN_MINUTES_MAX`].
        minutes: u64,
    },
    /// Lets in again.
    BanLift {
        /// As it was banned.
        target: String,
        /// As it was banned.
        api_key: Option<String>,
    },
    /// All bans.
    Bans,
    /// The newest signed checkpoint.
    Checkpoint,
    /// Tries a restore.
    Drill,
    /// Journal entries in words, those of `kinds` alone unless that is empty.
    Entries {
        /// The first position looked at.
        from: u64,
        /// By name.
        kinds: Vec<String>,
        /// Positions looked at, at most [`ENTRIES_MAX`].
        looked_at: usize,
    },
    /// A key.
    Key(ApiKeyId),
    /// Takes a key out of force until it is unfrozen.
    KeyFreeze(ApiKeyId),
    /// Restricts a key, in place of what it was restricted to.
    KeyRestrict(ApiKeyId, Box<KeyLimits>),
    /// Takes a key out of force for ever.
    KeyRevoke(ApiKeyId),
    /// Puts a frozen key in force again.
    KeyUnfreeze(ApiKeyId),
    /// The keys of an account.
    Keys(AccountId),
    /// Label lists in force.
    Lists,
    /// The proof that the log holds the entry at a position.
    Receipt(u64),
}

/// What a key may do at most, in words. An empty list or an absent value restricts nothing. Whether the words have a meaning
/// is for [`Installations::ask`] to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyLimits {
    /// Most all orders of a day may be worth, in `notional_asset`.
    pub day_max: Option<String>,
    /// Entries of the address book: ids, or `network:address`.
    pub destinations: Vec<String>,
    /// `POST /api/v5/trade/order`, `GET /api/v5/account/*`.
    pub endpoints: Vec<String>,
    /// `Mon-Fri 08-18`, UTC.
    pub hours: Vec<String>,
    /// `BTC-USDT`, `BTC-*`.
    pub instruments: Vec<String>,
    /// The asset that `order_max` and `day_max` are in.
    pub notional_asset: Option<String>,
    /// Most one order may be worth.
    pub order_max: Option<String>,
    /// `funding_to_trading` and the like.
    pub transfers: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallationError {
    /// What was asked cannot be; in words for the caller.
    #[error("{0}")]
    Invalid(String),
    /// There is nothing of that name; in words for the caller.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be read or recorded; for the operator, not shown to the caller.
    #[error("{0}")]
    Unavailable(String),
}

/// The parts of an installation, as their operators see them.
pub trait Installations: Send + Sync {
    /// Does what is asked, as the described answer of the call. A change is durable on return, with the name of who made it.
    /// No secret is in any answer.
    fn ask(&self, ask: InstallationAsk, by: &Actor) -> BoxFuture<'_, Result<Value, InstallationError>>;
}

/// Characters of a cursor and of a list of kinds at most, as the description says.
pub(crate) const QUERY_CHARS_MAX: usize = 256;

const fn get(path: &'static str, permission: Permission, call: InstallationCall) -> Route {
    Route { method: Method::GET, path, permission, action: Action::Installation(call) }
}

const fn post(path: &'static str, permission: Permission, call: InstallationCall) -> Route {
    Route { method: Method::POST, path, permission, action: Action::Installation(call) }
}

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[
    get("/v1/lists", Permission::ReadInstallation, InstallationCall::Lists),
    get("/v1/keys", Permission::ReadAccess, InstallationCall::Keys),
    get("/v1/keys/{key}", Permission::ReadAccess, InstallationCall::Key),
    post("/v1/keys/{key}/freeze", Permission::ManageKeys, InstallationCall::KeyFreeze),
    post("/v1/keys/{key}/unfreeze", Permission::ManageKeys, InstallationCall::KeyUnfreeze),
    post("/v1/keys/{key}/restrict", Permission::ManageKeys, InstallationCall::KeyRestrict),
    post("/v1/keys/{key}/revoke", Permission::ManageKeys, InstallationCall::KeyRevoke),
    get("/v1/bans", Permission::ReadAccess, InstallationCall::Bans),
    post("/v1/bans", Permission::ManageBans, InstallationCall::BanAdd),
    post("/v1/bans/lift", Permission::ManageBans, InstallationCall::BanLift),
    get("/v1/backup", Permission::ReadInstallation, InstallationCall::Backup),
    post("/v1/backup/drills", Permission::RunDrills, InstallationCall::Drill),
    get("/v1/audit/checkpoint", Permission::ReadInstallation, InstallationCall::Checkpoint),
    get("/v1/audit/entries", Permission::ReadInstallation, InstallationCall::Entries),
    get("/v1/audit/receipts/{position}", Permission::ReadInstallation, InstallationCall::Receipt),
];

pub(crate) async fn serve(
    app: &App,
    call: InstallationCall,
    caller: &Caller,
    request: Request,
) -> Result<Value, Problem> {
    let uri = request.uri().clone();
    let ask = match call {
        InstallationCall::Backup => plain(&uri, InstallationAsk::Backup)?,
        InstallationCall::BanAdd | InstallationCall::BanLift => {
            let body = read_body(request, INSTALLATION_BODY_BYTES_MAX).await?;
            ban(call, &body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?
        }
        InstallationCall::Bans => return bans(app, &uri, caller.actor()).await,
        InstallationCall::Checkpoint => plain(&uri, InstallationAsk::Checkpoint)?,
        InstallationCall::Drill => plain(&uri, InstallationAsk::Drill)?,
        InstallationCall::Entries => entries(&uri)?,
        InstallationCall::Key => InstallationAsk::Key(key(&uri)?),
        InstallationCall::KeyFreeze => InstallationAsk::KeyFreeze(key(&uri)?),
        InstallationCall::KeyRestrict => {
            let id = key(&uri)?;
            let body = read_body(request, RESTRICTIONS_BODY_BYTES_MAX).await?;
            let limits = limits(&body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
            InstallationAsk::KeyRestrict(id, Box::new(limits))
        }
        InstallationCall::KeyRevoke => InstallationAsk::KeyRevoke(key(&uri)?),
        InstallationCall::KeyUnfreeze => InstallationAsk::KeyUnfreeze(key(&uri)?),
        InstallationCall::Keys => keys(&uri)?,
        InstallationCall::Lists => plain(&uri, InstallationAsk::Lists)?,
        InstallationCall::Receipt => {
            let position = segment(&uri, 4).parse();
            let none = |_| Problem::new(Kind::NotFound, "a position is a whole number");
            InstallationAsk::Receipt(position.map_err(none)?)
        }
    };
    let changes = matches!(
        call,
        InstallationCall::BanAdd
            | InstallationCall::BanLift
            | InstallationCall::Drill
            | InstallationCall::KeyFreeze
            | InstallationCall::KeyRestrict
            | InstallationCall::KeyRevoke
            | InstallationCall::KeyUnfreeze
    );
    if changes {
        tracing::info!(caller = %caller.actor(), ?ask, "asked over the control API");
    }
    app.ports().installation.ask(ask, caller.actor()).await.map_err(|error| refused(&error))
}

fn refused(error: &InstallationError) -> Problem {
    match error {
        InstallationError::Invalid(why) => Problem::new(Kind::InvalidRequest, why.as_str()),
        InstallationError::NotFound(why) => Problem::new(Kind::NotFound, why.as_str()),
        InstallationError::Unavailable(_) => {
            tracing::error!(%error, "the installation did not answer");
            Problem::new(Kind::Unavailable, "look again: it may have been done or not")
        }
    }
}

/// A call without parameters.
fn plain(uri: &Uri, ask: InstallationAsk) -> Result<InstallationAsk, Problem> {
    Query::parse(uri)?.finish()?;
    Ok(ask)
}

fn key(uri: &Uri) -> Result<ApiKeyId, Problem> {
    ApiKeyId::parse(segment(uri, 3)).map_err(|_| Problem::new(Kind::NotFound, "no key has this id"))
}

fn keys(uri: &Uri) -> Result<InstallationAsk, Problem> {
    let mut query = Query::parse(uri)?;
    let account = query.take("account").ok_or_else(|| fault("account", "is missing"))?;
    let account = AccountId::parse(&account).map_err(|error| fault("account", error.to_string()))?;
    query.finish()?;
    Ok(InstallationAsk::Keys(account))
}

fn entries(uri: &Uri) -> Result<InstallationAsk, Problem> {
    let mut query = Query::parse(uri)?;
    let from = query.take("from").unwrap_or_else(|| "0".to_owned());
    let digits = !from.is_empty() && from.bytes().all(|byte| byte.is_ascii_digit());
    let from =
        from.parse().ok().filter(|_| digits).ok_or_else(|| fault("from", "expected a whole number"))?;
    let kinds = query.text("kind", QUERY_CHARS_MAX)?.unwrap_or_default();
    let kinds = kinds.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let looked_at = query.count("limit", 1..=ENTRIES_MAX)?.unwrap_or(PAGE_MAX);
    query.finish()?;
    Ok(InstallationAsk::Entries { from, kinds, looked_at })
}

/// The body of `POST /v1/keys/{key}/restrict`; the empty object takes all restrictions away.
pub(crate) fn limits(body: &[u8]) -> Result<KeyLimits, Fault> {
    let mut fields = Fields::parse(body)?;
    let mut words = |name, between: char| {
        let text = fields.optional_label(name, WORDS_BYTES_MAX)?.unwrap_or_default();
        let words = text.split(between).map(str::trim).filter(|word| !word.is_empty());
        Ok::<Vec<String>, Fault>(words.map(str::to_owned).collect())
    };
    let (destinations, endpoints) = (words("destinations", ',')?, words("endpoints", ',')?);
    let (instruments, transfers) = (words("instruments", ',')?, words("transfers", ',')?);
    // A span of hours may name days with commas between.
    let hours = words("hours", ';')?;
    let mut word = |name| fields.optional_label(name, NAME_BYTES_MAX);
    let limits = KeyLimits {
        day_max: word("day_max")?,
        notional_asset: word("notional_asset")?,
        order_max: word("order_max")?,
        destinations,
        endpoints,
        hours,
        instruments,
        transfers,
    };
    fields.finish("restrictions of a key")?;
    Ok(limits)
}

/// The body of a call that bans or lifts.
pub(crate) fn ban(call: InstallationCall, body: &[u8]) -> Result<InstallationAsk, Fault> {
    let mut fields = Fields::parse(body)?;
    let target = fields.label("target", NAME_BYTES_MAX)?;
    let api_key = fields.optional_label("api_key", ApiKeyId::BYTES_MAX)?;
    let ask = if call == InstallationCall::BanAdd {
        let minutes = fields.optional_integer("minutes")?.unwrap_or(BAN_MINUTES_MAX);
        if !(1..=BAN_MINUTES_MAX).contains(&minutes) {
            return Err(fields.fault("minutes", format!("expected 1 to {BAN_MINUTES_MAX}")));
        }
        InstallationAsk::BanAdd { target, api_key, minutes }
    } else {
        InstallationAsk::BanLift { target, api_key }
    };
    fields.finish("a ban")?;
    Ok(ask)
}

/// Bans in the order of their targets, a page of them.
async fn bans(app: &App, uri: &Uri, by: &Actor) -> Result<Value, Problem> {
    let mut query = Query::parse(uri)?;
    let after = query.text("after", QUERY_CHARS_MAX)?;
    let limit = query.count("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_MAX);
    query.finish()?;
    let all = app.ports().installation.ask(InstallationAsk::Bans, by).await;
    let all = all.map_err(|error| refused(&error))?;
    let target = |ban: &Value| ban.get("target").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut all: Vec<Value> = all.as_array().cloned().unwrap_or_default();
    all.sort_by_key(target);
    let mut rest = all.into_iter().filter(|ban| after.as_ref().is_none_or(|after| target(ban) > *after));
    let page: Vec<Value> = rest.by_ref().take(limit).collect();
    let next = rest.next().and_then(|_| page.last().map(target));
    Ok(json!({ "bans": page, "next": next }))
}
