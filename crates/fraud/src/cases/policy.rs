//! How cases are grouped, weighed and timed: numbers an operator sets, journalled when they change.
//!
//! The fold over the journal uses the policy that was in force when an entry was written, never that of the present
//! configuration: with other numbers an old journal would group into other cases, and what people decided about
//! them would hang in the air.

use std::time::Duration;

use domain::{Amount, Asset, UnixNanos, Verdict};

/// One million: probabilities are counted in millionths.
pub const PPM: u32 = 1_000_000;

/// How soon somebody must look, by what may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Below all bounds.
    Low,
    /// At least [`Policy::medium_from`].
    Medium,
    /// At least [`Policy::high_from`], or of unknown value.
    High,
    /// At least [`Policy::critical_from`].
    Critical,
}

impl Priority {
    /// Every priority, the least urgent first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The priority of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == name)
    }
}

/// What an operator sets.
///
/// # Defaults
/// - `window` 24 h: what happens to an account within a day is one story.
/// - `proposal_life` 8 h: a shift; `release_life` 24 h: a customer on another continent can still repeat the request.
/// - `reference` USDT: expected losses are in it; other assets are valued by the last fill against it.
/// - `medium_from`, `high_from`, `critical_from`: 1,000, 10,000, 100,000 of it.
/// - `sla` 24 h, 4 h, 1 h, 15 min, the least urgent first.
/// - `challenge_ppm` 200,000 and `hold_ppm` 500,000: the chance of fraud behind a decision that carries no score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What comes within this time of the last alert joins its open case. Whole seconds.
    pub window: Duration,
    /// How long a proposal waits for a second person. Whole seconds.
    pub proposal_life: Duration,
    /// How long a released withdrawal may be repeated. Whole seconds.
    pub release_life: Duration,
    /// The asset losses are expressed in.
    pub reference: Asset,
    /// Expected loss from which a case is of medium priority.
    pub medium_from: Amount,
    /// From which it is of high priority.
    pub high_from: Amount,
    /// From which it is critical.
    pub critical_from: Amount,
    /// Time to look by priority, in the order of [`Priority::ALL`]. Whole seconds.
    pub sla: [Duration; 4],
    /// Chance of fraud behind a challenge without a score, in millionths.
    pub challenge_ppm: u32,
    /// Chance of fraud behind a hold without a score, in millionths.
    pub hold_ppm: u32,
}

impl Default for Policy {
    fn default() -> Self {
        let amount = |units: i128| Amount::from_parts(units, 0).unwrap_or(Amount::ZERO);
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        Self {
            window: hours(24),
            proposal_life: hours(8),
            release_life: hours(24),
            reference: reference_asset(),
            medium_from: amount(1_000),
            high_from: amount(10_000),
            critical_from: amount(100_000),
            sla: [hours(24), hours(4), hours(1), Duration::from_secs(900)],
            challenge_ppm: 200_000,
            hold_ppm: 500_000,
        }
    }
}

fn reference_asset() -> Asset {
    Asset::parse("USDT").unwrap_or_else(|_| unreachable!("USDT is an asset"))
}

/// Why a policy makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The bounds of the priorities do not rise.
    #[error("medium_from, high_from and critical_from must rise")]
    Bounds,
    /// A time that is zero, not in whole seconds, or longer than a year.
    #[error("{what} must be whole seconds, one to 31536000")]
    Duration {
        /// Which one.
        what: &'static str,
    },
    /// A probability above one.
    #[error("{what} must be at most 1000000 millionths")]
    Probability {
        /// Which one.
        what: &'static str,
    },
}

/// Longest time of a policy.
const LIFE_MAX: Duration = Duration::from_secs(31_536_000);

impl Policy {
    /// Whether the numbers make sense together.
    ///
    /// # Errors
    /// [`PolicyError`] naming the one at fault.
    pub fn check(&self) -> Result<(), PolicyError> {
        let [low, medium, high, critical] = self.sla;
        for (what, duration) in [
            ("window", self.window),
            ("proposal_life", self.proposal_life),
            ("release_life", self.release_life),
            ("sla_low", low),
            ("sla_medium", medium),
            ("sla_high", high),
            ("sla_critical", critical),
        ] {
            if duration.subsec_nanos() != 0 || duration.is_zero() || duration > LIFE_MAX {
                return Err(PolicyError::Duration { what });
            }
        }
        if self.medium_from.is_negative()
            || self.medium_from > self.high_from
            || self.high_from > self.critical_from
        {
            return Err(PolicyError::Bounds);
        }
        for (what, ppm) in [("challenge_ppm", self.challenge_ppm), ("hold_ppm", self.hold_ppm)] {
            if ppm > PPM {
                return Err(PolicyError::Probability { what });
            }
        }
        Ok(())
    }

    /// The priority of an expected loss; one that is unknown is high, since it may be anything.
    #[must_use]
    pub fn priority(&self, expected_loss: Option<Amount>) -> Priority {
        match expected_loss {
            None => Priority::High,
            Some(loss) if loss >= self.critical_from => Priority::Critical,
            Some(loss) if loss >= self.high_from => Priority::High,
            Some(loss) if loss >= self.medium_from => Priority::Medium,
            Some(_) => Priority::Low,
        }
    }

    /// By when somebody must have looked at what came at `at`.
    #[must_use]
    pub fn deadline(&self, priority: Priority, at: UnixNanos) -> UnixNanos {
        let [low, medium, high, critical] = self.sla;
        at.plus(match priority {
            Priority::Low => low,
            Priority::Medium => medium,
            Priority::High => high,
            Priority::Critical => critical,
        })
    }

    /// The chance of fraud, in millionths: as scored, else by verdict.
    #[must_use]
    pub fn probability(&self, scored: Option<u32>, verdict: Verdict) -> u32 {
        scored.map_or_else(
            || match verdict {
                Verdict::Allow => 0,
                Verdict::Challenge => self.challenge_ppm,
                Verdict::Hold => self.hold_ppm,
                Verdict::Deny => PPM,
            },
            |ppm| ppm.min(PPM),
        )
    }
}

/// `value` times a probability in millionths; the exact product, or the value itself where that has no exact form.
#[must_use]
pub(crate) fn expected(value: Amount, ppm: u32) -> Amount {
    let share = Amount::from_parts(i128::from(ppm.min(PPM)), 6).unwrap_or(Amount::ZERO);
    value.checked_mul(share).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_follow_the_bounds() {
        let policy = Policy::default();
        policy.check().unwrap();
        let of = |text: &str| policy.priority(Some(Amount::parse(text).unwrap()));
        assert_eq!(of("999.99"), Priority::Low);
        assert_eq!(of("1000"), Priority::Medium);
        assert_eq!(of("10000"), Priority::High);
        assert_eq!(of("100000"), Priority::Critical);
        assert_eq!(policy.priority(None), Priority::High);
        let at = UnixNanos::from_secs(100);
        assert_eq!(policy.deadline(Priority::Critical, at), UnixNanos::from_secs(1_000));
        assert_eq!(policy.probability(None, Verdict::Hold), 500_000);
        assert_eq!(policy.probability(Some(2 * PPM), Verdict::Hold), PPM);
        assert_eq!(expected(Amount::parse("3").unwrap(), 500_000), Amount::parse("1.5").unwrap());
    }

    #[test]
    fn senseless_policies_are_refused_by_name() {
        let bad = Policy { window: Duration::from_millis(1_500), ..Policy::default() };
        assert_eq!(bad.check(), Err(PolicyError::Duration { what: "window" }));
        let bad = Policy { sla: [Duration::ZERO; 4], ..Policy::default() };
        assert_eq!(bad.check(), Err(PolicyError::Duration { what: "sla_low" }));
        let bad = Policy { hold_ppm: PPM + 1, ..Policy::default() };
        assert_eq!(bad.check(), Err(PolicyError::Probability { what: "hold_ppm" }));
        let bad = Policy { medium_from: Amount::parse("10001").unwrap(), ..Policy::default() };
        assert_eq!(bad.check(), Err(PolicyError::Bounds));
    }
}
