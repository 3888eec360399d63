//! What the fraud engine found beside the decisions it is asked for.

use std::fmt;

use crate::{AccountId, Amount, Finding, UnixNanos, Verdict};

/// Parts per million: a probability without a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ppm(u32);

impl Ppm {
    /// Certainty.
    pub const ONE: Self = Self(1_000_000);

    /// So many millionths; more than one million is one million.
    #[must_use]
    pub const fn new(ppm: u32) -> Self {
        if ppm > Self::ONE.0 { Self::ONE } else { Self(ppm) }
    }

    /// The nearest to a probability; what is not a number is none.
    #[must_use]
    pub fn of(probability: f64) -> Option<Self> {
        if probability.is_nan() {
            return None;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to one million after the clamp"
        )]
        let ppm = (probability.clamp(0.0, 1.0) * 1e6).round() as u32;
        Some(Self(ppm))
    }

    /// In millionths.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// As a number from 0 to 1.
    #[must_use]
    pub fn probability(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// This share of an amount; `None` out of range.
    #[must_use]
    pub fn share_of(self, amount: Amount) -> Option<Amount> {
        amount.checked_mul(Amount::from_parts(i128::from(self.0), 6).ok()?)
    }
}

/// Whom an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertEntity {
    /// A customer's account.
    Account(AccountId),
    /// A network, such as `192.0.2.0/24`, where no account is known.
    Network(String),
}

impl fmt::Display for AlertEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "account:{account}"),
            Self::Network(network) => write!(f, "network:{network}"),
        }
    }
}

/// Something people should look at: an entry of the journal on which rules or a score fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FraudAlert {
    /// Names the alert for ever; the same entry judged by the same bundle has the same id.
    pub id: String,
    /// Whom it is about.
    pub entity: AlertEntity,
    /// When what it is about happened.
    pub at: UnixNanos,
    /// Position of the entry in the journal: an event, a decision, a change of a key or refusals.
    pub entry: u64,
    /// What happened, as the kind of the record.
    pub kind: String,
    /// Probability of fraud, if there is a model.
    pub score: Option<Ppm>,
    /// What was at stake, in the reference currency, if that is known.
    pub value: Option<Amount>,
    /// The share of it that is expected to be lost, if both are known.
    pub expected_loss: Option<Amount>,
    /// What fired, strictest first; never empty. The first one leads. Those in shadow ask for nothing.
    pub findings: Vec<Finding>,
    /// SHA-256 of the bundle that judged.
    pub bundle: [u8; 32],
}

impl FraudAlert {
    /// The strictest verdict asked for, in shadow or not.
    #[must_use]
    pub fn severity(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Allow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_bounded_and_exact() {
        assert_eq!(Ppm::of(0.25), Some(Ppm::new(250_000)));
        assert_eq!(Ppm::of(7.0), Some(Ppm::ONE));
        assert_eq!(Ppm::of(-1.0), Some(Ppm::new(0)));
        assert_eq!(Ppm::of(f64::NAN), None);
        assert_eq!(Ppm::new(u32::MAX), Ppm::ONE);
        let amount = Amount::parse("1000").unwrap();
        assert_eq!(Ppm::new(1_500).share_of(amount), Some(Amount::parse("1.5").unwrap()));
    }
}
