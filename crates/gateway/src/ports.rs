//! What the gateway needs from others: the withdrawal decision, an observer of what happened at the door, and a record
//! of what requests change about their keys. The product crate plugs these in; the gateway knows neither who decides
//! nor who watches.

use std::{fmt, future::Future, net::IpAddr, pin::Pin};

use admission::{Ban, reputation::Target};
use auth::{Change, authority::DestinationId, oauth::AppChange};
use domain::{AccountId, Actor, ApiKeyId, Destination, ReasonCode, UnixNanos, Verdict, WithdrawalRequest};

/// A boxed future that may borrow from its maker.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The answer to a withdrawal request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Identifier of the decision, for the client to quote and for people to look up.
    pub id: String,
    /// What to do.
    pub verdict: Verdict,
    /// The decisive reason.
    pub code: ReasonCode,
    /// The decisive reason in words.
    pub message: String,
}

/// No decision could be made durable in time. The gateway fails closed: nothing is forwarded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no decision could be made: {reason}")]
pub struct DecisionUnavailable {
    /// What was missing, for the log; never shown to the client.
    pub reason: String,
}

/// Decides about withdrawals.
///
/// # Contract
/// When the future returns, the decision is durable: the gateway forwards an allowed withdrawal at once. The
/// future is bounded in time by its maker; the gateway adds its own outer bound
/// ([`Timeouts::decision`](crate::Timeouts::decision)) and treats its end as [`DecisionUnavailable`]. Dropping the
/// future (the client went away) must leave either a whole decision or none.
pub trait Withdrawals: Send + Sync + fmt::Debug {
    /// Decides about `request`, as it stands now. A request sent again is decided again, also under the same
    /// `clientId`: an earlier yes must not outlive what has become known since, and every request that is
    /// forwarded counts towards the limits.
    fn decide(&self, request: WithdrawalRequest) -> BoxFuture<'_, Result<Answer, DecisionUnavailable>>;

    /// Which entry of the account's address book a destination is; `None` for one that is in no entry. Keys may be
    /// bound to entries. Without an address book there are none, and such a key withdraws nowhere.
    fn entry(&self, account: &AccountId, destination: &Destination) -> Option<DestinationId> {
        let _ = (account, destination);
        None
    }
}

/// Sees refusals and the use of keys. Called on the request path: must return at once and never block.
pub trait Observer: Send + Sync + fmt::Debug {
    /// A request from `ip` was refused for the reason `label`; `account` is known only once the signature holds.
    fn refused(&self, ip: IpAddr, account: Option<&AccountId>, label: &'static str, at: UnixNanos);

    /// A request signed with `key` passed verification.
    fn key_used(&self, key: &ApiKeyId, at: UnixNanos);

    /// Somebody is banned, or would be in shadow mode.
    fn banned(&self, _ban: &Ban) {}

    /// An operator ended a ban before its time.
    fn lifted(&self, _target: &Target, _by: Option<&Actor>, _at: UnixNanos) {}
}

/// A change could not be made durable, so it is not in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a change was not recorded: {reason}")]
pub struct NotRecorded {
    /// What was missing, for the log; never shown to the client.
    pub reason: String,
}

/// Records what requests change about the keys they are signed with: budgets, sightings, freezes.
pub trait Changes: Send + Sync + fmt::Debug {
    /// Records a change. When it returns, the change is durable and in force for all requests. The gateway adds its own
    /// bound in time ([`Timeouts::decision`](crate::Timeouts::decision)).
    fn record(
        &self,
        account: &AccountId,
        change: Change,
        at: UnixNanos,
    ) -> BoxFuture<'_, Result<(), NotRecorded>>;

    /// As [`Changes::record`], later and without being waited for: must return at once, and may drop the change where
    /// too many wait.
    fn note(&self, account: &AccountId, change: Change, at: UnixNanos);
}

/// Records what apps and their customers change by way of the authorization server.
pub trait AppChanges: Send + Sync + fmt::Debug {
    /// Records a change. When it returns, the change is durable and in force for all requests.
    fn record(&self, change: AppChange) -> BoxFuture<'_, Result<(), NotRecorded>>;
}

/// Records nothing, so whatever must be on record is refused: keys with a bound on a day's orders cannot trade.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unrecorded;

impl Changes for Unrecorded {
    fn record(&self, _: &AccountId, _: Change, _: UnixNanos) -> BoxFuture<'_, Result<(), NotRecorded>> {
        Box::pin(std::future::ready(Err(NotRecorded { reason: "there is no record".to_owned() })))
    }

    fn note(&self, _: &AccountId, _: Change, _: UnixNanos) {}
}

/// An observer that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn refused(&self, _: IpAddr, _: Option<&AccountId>, _: &'static str, _: UnixNanos) {}

    fn key_used(&self, _: &ApiKeyId, _: UnixNanos) {}
}
