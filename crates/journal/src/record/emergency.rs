//! Payloads of [`Kind::Emergency`](crate::Kind::Emergency): what people stopped at once, and what they let go on.

use domain::{Actor, UnixNanos};

use super::{
    RecordError,
    house::{begin, encoded},
};

/// Longest scope, in bytes: a word, a colon, and the longest account.
const SCOPE_BYTES_MAX: usize = 96;
/// Longest reason, in bytes.
pub const EMERGENCY_REASON_BYTES_MAX: usize = 1_000;

/// Payload of [`Kind::Emergency`](crate::Kind::Emergency).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emergency {
    /// The gateway is no longer told to be on its guard.
    AlarmEnded {
        /// Who ended it before its time.
        by: Actor,
        /// Why.
        reason: String,
    },
    /// The gateway is told to be on its guard.
    AlarmRaised {
        /// When it ends by itself.
        until: UnixNanos,
        /// Who raised it.
        by: Actor,
        /// Why.
        reason: String,
    },
    /// Nothing leaves within the scope from here on.
    Frozen {
        /// What is frozen: `all`, `account:`, `asset:` or `network:` and a name.
        scope: String,
        /// Who froze it.
        by: Actor,
        /// Why.
        reason: String,
    },
    /// Somebody was against a proposal.
    UnfreezeDeclined {
        /// As it was frozen.
        scope: String,
        /// Position of the proposal.
        proposal: u64,
        /// Who declined it, or took it back.
        by: Actor,
        /// Why.
        reason: String,
    },
    /// Somebody would let leave again what is frozen.
    UnfreezeProposed {
        /// As it was frozen.
        scope: String,
        /// Until when somebody else may agree.
        until: UnixNanos,
        /// Who proposes it.
        by: Actor,
        /// Why.
        reason: String,
    },
    /// What was frozen may leave again.
    Unfrozen {
        /// As it was frozen.
        scope: String,
        /// Position of the proposal.
        proposal: u64,
        /// Who proposed it.
        proposed_by: Actor,
        /// Who agreed: another person.
        approved_by: Actor,
    },
}

impl Emergency {
    /// Stable lower-case name of what happened.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::AlarmEnded { .. } => "alarm_ended",
            Self::AlarmRaised { .. } => "alarm_raised",
            Self::Frozen { .. } => "frozen",
            Self::UnfreezeDeclined { .. } => "unfreeze_declined",
            Self::UnfreezeProposed { .. } => "unfreeze_proposed",
            Self::Unfrozen { .. } => "unfrozen",
        }
    }

    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(1, |cbor| {
            let what = self.as_str();
            match self {
                Self::AlarmEnded { by, reason } => {
                    cbor.array(3).text(what).text(&by.to_string()).text(reason);
                }
                Self::AlarmRaised { until, by, reason } => {
                    cbor.array(4).text(what).uint(until.0).text(&by.to_string()).text(reason);
                }
                Self::Frozen { scope, by, reason } => {
                    cbor.array(4).text(what).text(scope).text(&by.to_string()).text(reason);
                }
                Self::UnfreezeDeclined { scope, proposal, by, reason } => {
                    cbor.array(5).text(what).text(scope).uint(*proposal).text(&by.to_string()).text(reason);
                }
                Self::UnfreezeProposed { scope, until, by, reason } => {
                    cbor.array(5).text(what).text(scope).uint(until.0).text(&by.to_string()).text(reason);
                }
                Self::Unfrozen { scope, proposal, proposed_by, approved_by } => {
                    cbor.array(5).text(what).text(scope).uint(*proposal).text(&proposed_by.to_string());
                    cbor.text(&approved_by.to_string());
                }
            }
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 1, "an emergency")?;
        let fields = cbor.list("what happened")?;
        let what = cbor.text("what happened")?;
        let record = match (what, fields) {
            ("alarm_ended", 3) => Self::AlarmEnded {
                by: cbor.parsed("an actor", |text| text.parse().ok())?,
                reason: cbor.parsed("a reason of 1 to 1000 bytes", reason)?,
            },
            ("alarm_raised", 4) => Self::AlarmRaised {
                until: UnixNanos(cbor.u64("a time")?),
                by: cbor.parsed("an actor", |text| text.parse().ok())?,
                reason: cbor.parsed("a reason of 1 to 1000 bytes", reason)?,
            },
            ("frozen", 4) => Self::Frozen {
                scope: cbor.parsed("a scope of 1 to 96 bytes", scope)?,
                by: cbor.parsed("an actor", |text| text.parse().ok())?,
                reason: cbor.parsed("a reason of 1 to 1000 bytes", reason)?,
            },
            ("unfreeze_declined", 5) => Self::UnfreezeDeclined {
                scope: cbor.parsed("a scope of 1 to 96 bytes", scope)?,
                proposal: cbor.u64("a position")?,
                by: cbor.parsed("an actor", |text| text.parse().ok())?,
                reason: cbor.parsed("a reason of 1 to 1000 bytes", reason)?,
            },
            ("unfreeze_proposed", 5) => Self::UnfreezeProposed {
                scope: cbor.parsed("a scope of 1 to 96 bytes", scope)?,
                until: UnixNanos(cbor.u64("a time")?),
                by: cbor.parsed("an actor", |text| text.parse().ok())?,
                reason: cbor.parsed("a reason of 1 to 1000 bytes", reason)?,
            },
            ("unfrozen", 5) => Self::Unfrozen {
                scope: cbor.parsed("a scope of 1 to 96 bytes", scope)?,
                proposal: cbor.u64("a position")?,
                proposed_by: cbor.parsed("an actor", |text| text.parse().ok())?,
                approved_by: cbor.parsed("an actor", |text| text.parse().ok())?,
            },
            _ => return Err(cbor.unexpected("what happened").into()),
        };
        cbor.end()?;
        Ok(record)
    }
}

fn bounded(text: &str, bytes_max: usize) -> Option<String> {
    (1..=bytes_max).contains(&text.len()).then(|| text.to_owned())
}

fn reason(text: &str) -> Option<String> {
    bounded(text, EMERGENCY_REASON_BYTES_MAX)
}

fn scope(text: &str) -> Option<String> {
    bounded(text, SCOPE_BYTES_MAX)
}
