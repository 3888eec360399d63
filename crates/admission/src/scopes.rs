//! Limits by scope: one request draws on several limits at once, such as its source, its API key, its account, its
//! account and instrument, and the order rate of its sub-account.
//!
//! [`Scopes`] holds a fixed table of limits, each a bounded [`KeyedLimiter`]; what a scope is keyed by is up to the
//! caller, who folds it into a [`ScopeKey`]. [`Scopes::charge`] takes all that one request costs:
//!
//! - all limits conform: each is charged, and the [`Granted`] names the tightest for the `RateLimit` header fields
//!   ([`header`]);
//! - one does not: **nothing is charged**, not even the limits before it, and [`Refused`] names it.
//!
//! Limits are charged one after the other and refunded when a later one refuses, not under a common lock. A charge
//! that is about to be refunded can therefore make another request at the same instant be refused; it can never let
//! more through than a limit allows. Put the limit that refuses most often first.
//!
//! Memory: about 70 bytes per entry of each limit, up to its bound, whatever arrives.

pub mod header;

use std::{fmt, hash::Hash, sync::Arc};

use domain::UnixNanos;

use crate::{
    gcra::{Admitted, Limited, Quota},
    hash::Seeded,
    limiter::KeyedLimiter,
};

/// Most limits in one table.
pub const LIMITS_MAX: usize = 1_024;
/// Longest name of a limit, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// One limit of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeLimit {
    /// Its name in metrics, reports and header fields: lower-case letters, digits, `_` and `-`.
    pub name: String,
    /// How much, for each key.
    pub quota: Quota,
    /// Most keys at once; see [`KeyedLimiter::new`].
    pub entries_max: usize,
}

/// A table that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopesError {
    /// Two limits of the same name.
    #[error("limit {name} is there twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A name that is empty, too long or has other characters.
    #[error("limit {index} has a name that is not 1 to {NAME_BYTES_MAX} of a-z, 0-9, _ and -")]
    Name {
        /// Place in the table, from zero.
        index: usize,
    },
    /// More than [`LIMITS_MAX`].
    #[error("{got} limits are given, at most {LIMITS_MAX} are allowed")]
    TooMany {
        /// How many.
        got: usize,
    },
}

/// A limit of one table, by its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(u16);

/// What a limit counts by, folded to 128 bits under a secret seed: nobody without the seed can find two that agree,
/// and by chance they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScopeKey(u64, u64);

/// What a request costs in one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// The limit.
    pub limit: LimitId,
    /// By what it counts.
    pub scope_key: ScopeKey,
    /// How much; a batch of orders costs their number. Zero only asks.
    pub cost: u32,
}

/// A request that every limit let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// The limit of which the smallest part is left; none if there was no charge.
    pub tightest: Option<(LimitId, Admitted)>,
}

/// A request that one limit did not let through; nothing is charged anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{limited}")]
pub struct Refused {
    /// The limit that refused.
    pub limit: LimitId,
    /// Why, and how long to wait for this limit.
    pub limited: Limited,
}

struct Entry {
    name: String,
    limiter: Arc<KeyedLimiter<ScopeKey>>,
}

/// A table of limits.
pub struct Scopes {
    limits: Vec<Entry>,
    seed: u64,
    low: Seeded,
    high: Seeded,
}

impl Scopes {
    /// All limits fresh. `seed` is random and secret.
    ///
    /// # Errors
    /// [`ScopesError`] naming the limit.
    pub fn new(limits: Vec<ScopeLimit>, seed: u64) -> Result<Self, ScopesError> {
        Self::made(limits, seed, |limit| Arc::new(KeyedLimiter::new(limit.quota, limit.entries_max, seed)))
    }

    /// Another table that goes on where this one is, so that no change of a table is a fresh start for anybody:
    ///
    /// - a limit of the same name, quota and bound is **shared** by both tables, so not a charge is lost;
    /// - one of the same name with another quota or bound is copied: what a key has used counts as used, up to a whole
    ///   burst of the new quota ([`Gcra::under`](crate::gcra::Gcra::under)); what is charged here during the copy may
    ///   be missing there;
    /// - one of another name starts fresh.
    ///
    /// Keys are folded as here. Takes time in proportion to the entries of the limits that changed.
    ///
    /// # Errors
    /// [`ScopesError`] naming the limit.
    pub fn reshaped(&self, limits: Vec<ScopeLimit>, now: UnixNanos) -> Result<Self, ScopesError> {
        Self::made(limits, self.seed, |limit| {
            let Some(old) = self.limits.iter().find(|old| old.name == limit.name) else {
                return Arc::new(KeyedLimiter::new(limit.quota, limit.entries_max, self.seed));
            };
            let same_bound =
                old.limiter.entries_max() == KeyedLimiter::<ScopeKey>::bound_of(limit.entries_max);
            if old.limiter.quota() == limit.quota && same_bound {
                return Arc::clone(&old.limiter);
            }
            Arc::new(old.limiter.under(limit.quota, limit.entries_max, now))
        })
    }

    fn made(
        limits: Vec<ScopeLimit>,
        seed: u64,
        limiter: impl Fn(&ScopeLimit) -> Arc<KeyedLimiter<ScopeKey>>,
    ) -> Result<Self, ScopesError> {
        if limits.len() > LIMITS_MAX {
            return Err(ScopesError::TooMany { got: limits.len() });
        }
        for (index, limit) in limits.iter().enumerate() {
            if !is_name(&limit.name) {
                return Err(ScopesError::Name { index });
            }
            if limits[..index].iter().any(|other| other.name == limit.name) {
                return Err(ScopesError::Duplicate { name: limit.name.clone() });
            }
        }
        let entry = |limit: ScopeLimit| Entry { limiter: limiter(&limit), name: limit.name };
        Ok(Self {
            limits: limits.into_iter().map(entry).collect(),
            seed,
            low: Seeded::new(seed ^ 0x6c6f_7700),
            high: Seeded::new(seed.rotate_left(32) ^ 0x6869_6768),
        })
    }

    /// The limit of a name.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<LimitId> {
        let index = self.limits.iter().position(|limit| limit.name == name)?;
        u16::try_from(index).ok().map(LimitId)
    }

    /// The name of a limit of this table.
    #[must_use]
    pub fn name(&self, limit: LimitId) -> &str {
        self.limits.get(usize::from(limit.0)).map_or("", |limit| &limit.name)
    }

    /// The quota of a limit of this table.
    #[must_use]
    pub fn quota(&self, limit: LimitId) -> Option<Quota> {
        self.limits.get(usize::from(limit.0)).map(|limit| limit.limiter.quota())
    }

    /// Folds what a limit counts by, such as an account, or an account and an instrument.
    #[must_use]
    pub fn key_of<T: Hash + ?Sized>(&self, value: &T) -> ScopeKey {
        ScopeKey(self.low.of(value), self.high.of(value))
    }

    /// Charges one request to all its limits, or to none. A limit that stands there twice is charged twice.
    /// A limit of another table is a mistake of the caller's and counts as one that allows nothing.
    ///
    /// # Errors
    /// [`Refused`] naming the first limit that does not conform.
    pub fn charge(&self, charges: &[Charge], now: UnixNanos) -> Result<Granted, Refused> {
        let mut tightest: Option<(LimitId, Admitted, Quota)> = None;
        for (index, charge) in charges.iter().enumerate() {
            let checked = match self.limits.get(usize::from(charge.limit.0)) {
                Some(limit) => limit
                    .limiter
                    .check(charge.scope_key, charge.cost, now)
                    .map(|admitted| (admitted, limit.limiter.quota())),
                None => Err(Limited::CostAboveBurst { cost: charge.cost, burst: 0 }),
            };
            match checked {
                Ok((admitted, quota)) => {
                    let is_tighter = tightest.as_ref().is_none_or(|(_, least, of)| {
                        let (left, least) = (u64::from(admitted.remaining), u64::from(least.remaining));
                        left * u64::from(of.burst()) < least * u64::from(quota.burst())
                    });
                    if is_tighter {
                        tightest = Some((charge.limit, admitted, quota));
                    }
                }
                Err(limited) => {
                    self.refund(&charges[..index], now);
                    return Err(Refused { limit: charge.limit, limited });
                }
            }
        }
        Ok(Granted { tightest: tightest.map(|(limit, admitted, _)| (limit, admitted)) })
    }

    /// Gives back what [`Scopes::charge`] took at `now` or before, for a request that was not carried out after all.
    /// Never gives more than a whole burst.
    pub fn refund(&self, charges: &[Charge], now: UnixNanos) {
        for charge in charges {
            if let Some(limit) = self.limits.get(usize::from(charge.limit.0)) {
                limit.limiter.refund(&charge.scope_key, charge.cost, now);
            }
        }
    }

    /// Entries of all limits at present.
    #[must_use]
    pub fn len(&self) -> usize {
        self.limits.iter().map(|limit| limit.limiter.len()).sum()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Most entries of all limits that there will ever be.
    #[must_use]
    pub fn entries_max(&self) -> usize {
        self.limits.iter().map(|limit| limit.limiter.entries_max()).sum()
    }
}

/// Names go into header fields and metrics as they are.
fn is_name(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed)
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for limit in &self.limits {
            map.entry(&limit.name, &limit.limiter.quota());
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests;
