//! Which limits a request draws on, and what a client hears when one is used up.

use std::num::NonZeroU32;

use admission::{KeyedLimiter, Limited};
use auth::{FirstSight, Refusal, Verified};
use domain::{AccountId, ApiKeyId, UnixNanos};

use super::{Routed, Shared, json};
use crate::{
    answer::Refused,
    config::Limits,
    connection::Source,
    route::{Budget, Route},
};

/// A request within its limits, and seen for the first time if it changes something.
#[derive(Debug)]
pub(crate) struct Charged {
    verified: Verified,
    _first: FirstSight,
}

impl Charged {
    /// Whose request it is.
    pub(crate) const fn verified(&self) -> &Verified {
        &self.verified
    }

    /// As [`Charged::verified`].
    pub(crate) fn into_verified(self) -> Verified {
        self.verified
    }
}

impl Shared {
    /// Charges a request to its key and account, then lets it through once.
    pub(super) fn charge(
        &self,
        routed: &Routed<'_>,
        body: &[u8],
        verified: Verified,
        now: UnixNanos,
    ) -> Result<Charged, Refused> {
        let cost = cost(routed.route, body).map_err(|refused| refused.of(verified.account()))?;
        self.limiters.key(verified.key_id(), verified.account(), now)?;
        self.limiters.account(verified.account(), routed.route.budget, cost, now)?;
        let first = self.admit_once(&verified, routed.is_get, now)?;
        Ok(Charged { verified, _first: first })
    }
}

/// What a request costs: 1, or as many as the orders it carries.
fn cost(route: &Route, body: &[u8]) -> Result<u32, Refused> {
    if !route.cost_is_array_length {
        return Ok(1);
    }
    let orders = json::element_count(body).map_err(|_| Refusal::JsonInvalid)?;
    let orders = u32::try_from(orders).ok().and_then(NonZeroU32::new).map_or(1, NonZeroU32::get);
    Ok(orders)
}

/// The limiters of all budgets. Bounded by `entries_max` each.
#[derive(Debug)]
pub(crate) struct Limiters {
    source: KeyedLimiter<Source>,
    key: KeyedLimiter<ApiKeyId>,
    amend: KeyedLimiter<AccountId>,
    cancel: KeyedLimiter<AccountId>,
    orders: KeyedLimiter<AccountId>,
    place: KeyedLimiter<AccountId>,
    read: KeyedLimiter<AccountId>,
    withdraw: KeyedLimiter<AccountId>,
    write: KeyedLimiter<AccountId>,
}

impl Limiters {
    /// `seed` is random and secret.
    pub(crate) fn new(limits: &Limits, seed: u64) -> Self {
        let per_account = |quota| KeyedLimiter::new(quota, limits.entries_max, seed);
        Self {
            source: KeyedLimiter::new(limits.source, limits.entries_max, seed),
            key: KeyedLimiter::new(limits.key, limits.entries_max, seed),
            amend: per_account(limits.amend),
            cancel: per_account(limits.cancel),
            orders: per_account(limits.orders),
            place: per_account(limits.place),
            read: per_account(limits.read),
            withdraw: per_account(limits.withdraw),
            write: per_account(limits.write),
        }
    }

    /// Charges one request to where it comes from.
    pub(crate) fn source(&self, source: Source, now: UnixNanos) -> Result<(), Refused> {
        match self.source.check(source, 1, now) {
            Ok(_) => Ok(()),
            Err(limited) => Err(refused(Refusal::RateLimited, "source_rate_limited", limited)),
        }
    }

    /// Charges one request to the API key it is signed with.
    pub(crate) fn key(&self, key: &ApiKeyId, account: &AccountId, now: UnixNanos) -> Result<(), Refused> {
        match self.key.check(key.clone(), 1, now) {
            Ok(_) => Ok(()),
            Err(limited) => Err(refused(Refusal::RateLimited, "key_rate_limited", limited).of(account)),
        }
    }

    /// Charges `cost` to an account's budget. New and amended orders also draw on the account's order rate; where
    /// that one refuses, the budget has been charged.
    pub(crate) fn account(
        &self,
        account: &AccountId,
        budget: Budget,
        cost: u32,
        now: UnixNanos,
    ) -> Result<(), Refused> {
        let (limiter, label) = match budget {
            Budget::Amend => (&self.amend, "amend_rate_limited"),
            Budget::Cancel => (&self.cancel, "cancel_rate_limited"),
            Budget::Place => (&self.place, "place_rate_limited"),
            Budget::Read => (&self.read, "read_rate_limited"),
            Budget::Withdraw => (&self.withdraw, "withdraw_rate_limited"),
            Budget::Write => (&self.write, "write_rate_limited"),
        };
        limiter
            .check(account.clone(), cost, now)
            .map_err(|limited| refused(Refusal::RateLimited, label, limited).of(account))?;
        if matches!(budget, Budget::Amend | Budget::Place) {
            self.orders.check(account.clone(), cost, now).map_err(|limited| {
                refused(Refusal::OrderRateLimited, "order_rate_limited", limited).of(account)
            })?;
        }
        Ok(())
    }
}

fn refused(refusal: Refusal, label: &'static str, limited: Limited) -> Refused {
    Refused { retry_after: limited.retry_after(), ..Refused::from(refusal) }.labelled(label)
}
