//! The generic cell rate algorithm, exact to the fraction of a nanosecond.
//!
//! Source: ATM Forum Traffic Management 4.1 (AF-TM-0121.000), section 4.4.2, in its virtual scheduling form; equal to
//! a token bucket of `burst` tokens that refills continuously at `burst / per`.
//!
//! With the emission interval `T = per / burst`, the state is the theoretical arrival time `TAT` at which the
//! bucket is full again. A request of cost `n` at time `t` conforms if and only if
//!
//! ```text
//! max(TAT, t) + n * T <= t + burst * T
//! ```
//!
//! and then `TAT` becomes the left side. `T` need not be a whole number of nanoseconds (60 in 2 s is not), so times
//! are kept in units of `1 / burst` nanosecond, in which `T` is exactly `per` in nanoseconds. Nothing is rounded
//! but the durations that are reported, and those upwards: who waits as long as told is admitted.
//!
//! In any span of length `L`, at most `burst + L * burst / per` are admitted: over a long time exactly the quota,
//! and one burst on top after a silence.

use std::time::Duration;

use domain::UnixNanos;

/// A quota that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// Nothing could ever be admitted, or more than the arithmetic is proven for.
    #[error("burst is {got}, 1 to {max} are allowed")]
    Burst {
        /// The number given.
        got: u32,
        /// The greatest accepted.
        max: u32,
    },
    /// Shorter than a microsecond or longer than a day.
    #[error("period is {got:?}, 1 microsecond to 1 day is allowed")]
    Period {
        /// The period given.
        got: Duration,
    },
}

/// So many per so long: `burst` at once after a silence, and `burst` in every `per` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    burst: u32,
    per_nanos: u64,
}

impl Quota {
    /// Greatest burst.
    pub const BURST_MAX: u32 = 1_000_000_000;

    /// `burst` requests per `per`, such as 60 per 2 seconds.
    ///
    /// # Errors
    /// [`QuotaError`] naming the argument.
    pub const fn new(burst: u32, per: Duration) -> Result<Self, QuotaError> {
        const DAY_NANOS: u128 = 24 * 3_600 * 1_000_000_000;
        if burst == 0 || burst > Self::BURST_MAX {
            return Err(QuotaError::Burst { got: burst, max: Self::BURST_MAX });
        }
        if per.as_nanos() < 1_000 || per.as_nanos() > DAY_NANOS {
            return Err(QuotaError::Period { got: per });
        }
        let per_nanos = per.as_secs() * 1_000_000_000 + per.subsec_nanos() as u64;
        Ok(Self { burst, per_nanos })
    }

    /// Most that is admitted at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// How long an empty bucket takes to fill.
    #[must_use]
    pub const fn per(self) -> Duration {
        Duration::from_nanos(self.per_nanos)
    }

    /// A time in units of `1 / burst` nanosecond. At most 2^64 * 10^9, far within 128 bits.
    fn scaled(self, at: UnixNanos) -> u128 {
        u128::from(at.0) * u128::from(self.burst)
    }

    /// `T` times `count`, in the same unit.
    fn emission(self, count: u32) -> u128 {
        u128::from(self.per_nanos) * u128::from(count)
    }

    /// A span of the same unit as a duration, rounded up.
    fn duration(self, span: u128) -> Duration {
        Duration::from_nanos(u64::try_from(span.div_ceil(u128::from(self.burst))).unwrap_or(u64::MAX))
    }
}

/// The state of one limit under one [`Quota`]. A fresh one admits a whole burst. Meaningless under another quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gcra {
    /// Theoretical arrival time, in units of `1 / burst` nanosecond.
    tat: u128,
}

/// A request that was let through and charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// How much more could be let through right now.
    pub remaining: u32,
    /// How long until a whole burst could be, if nothing comes in between.
    pub reset_after: Duration,
}

/// A request that was not let through; nothing is charged for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Limited {
    /// The cost exceeds the burst: the request will never pass, and waiting does not help.
    #[error("cost {cost} exceeds the burst of {burst}, which no waiting changes")]
    CostAboveBurst {
        /// What was asked for.
        cost: u32,
        /// The most that is ever admitted at once.
        burst: u32,
    },
    /// Too much in too short a time.
    #[error("rate limit is used up for {retry_after:?}")]
    TooSoon {
        /// How long to wait until the same request would pass, if nothing comes in between.
        retry_after: Duration,
    },
}

impl Limited {
    /// How long to wait; nothing when waiting does not help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CostAboveBurst { .. } => None,
            Self::TooSoon { retry_after } => Some(*retry_after),
        }
    }
}

impl Gcra {
    /// Charges `cost` if it conforms. A cost of zero always conforms and only asks.
    ///
    /// After the clock steps back, the state counts as an empty bucket at worst, never as a debt.
    ///
    /// # Errors
    /// [`Limited`]; the state is unchanged.
    pub fn check(&mut self, quota: Quota, cost: u32, now: UnixNanos) -> Result<Admitted, Limited> {
        if cost > quota.burst {
            return Err(Limited::CostAboveBurst { cost, burst: quota.burst });
        }
        let at = quota.scaled(now);
        let full = quota.emission(quota.burst);
        let used = self.tat.saturating_sub(at).min(full) + quota.emission(cost);
        if let Some(excess) = used.checked_sub(full).filter(|excess| *excess > 0) {
            return Err(Limited::TooSoon { retry_after: quota.duration(excess) });
        }
        if cost > 0 {
            self.tat = at + used;
        }
        let remaining = (full - used) / quota.emission(1);
        Ok(Admitted {
            remaining: u32::try_from(remaining).unwrap_or(quota.burst),
            reset_after: quota.duration(used),
        })
    }

    /// Gives back `cost`, for a request that was not carried out after all; never more than a whole burst.
    pub fn refund(&mut self, quota: Quota, cost: u32, now: UnixNanos) {
        let least = quota.scaled(now).min(self.tat);
        self.tat = self.tat.saturating_sub(quota.emission(cost)).max(least);
    }

    /// The same state under another quota: what is used counts as used, request for request, up to a whole burst of the
    /// new quota, and wears off at its rate.
    #[must_use]
    pub fn under(self, from: Quota, to: Quota, now: UnixNanos) -> Self {
        let used = self.tat.saturating_sub(from.scaled(now)).min(from.emission(from.burst));
        // A request is `per` units on either side. At most 10^23 times 10^14, within 128 bits.
        let used = (used * to.emission(1)).div_ceil(from.emission(1)).min(to.emission(to.burst));
        Self { tat: to.scaled(now) + used }
    }

    /// Whether the state is worth no more than a fresh one at `now`.
    #[must_use]
    pub fn is_fresh(&self, quota: Quota, now: UnixNanos) -> bool {
        self.tat <= quota.scaled(now)
    }

    /// The time from which the state is worth no more than a fresh one, rounded down.
    #[must_use]
    pub fn fresh_at(&self, quota: Quota) -> UnixNanos {
        UnixNanos(u64::try_from(self.tat / u128::from(quota.burst)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
