//! Payloads of [`Kind::Ban`](crate::Kind::Ban): who was sent away for a while, why and for how long.

use domain::{Actor, UnixNanos};

use super::{
    RecordError,
    house::{begin, encoded},
};
use crate::cbor::Strict;

/// Most kinds of evidence in a ban.
const EVIDENCE_MAX: usize = 64;
/// Fields of an entry that names nobody.
const FIELDS: usize = 7;

/// What happened to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BanEvent {
    /// It is banned.
    Banned,
    /// An operator let it in before the ban ended.
    Lifted,
    /// It would be banned, were bans in force.
    Shadow,
}

impl BanEvent {
    /// Every event.
    pub const ALL: [Self; 3] = [Self::Banned, Self::Lifted, Self::Shadow];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::Lifted => "lifted",
            Self::Shadow => "shadow",
        }
    }
}

/// Payload of [`Kind::Ban`](crate::Kind::Ban).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// What happened.
    pub what: BanEvent,
    /// To whom: an address, a network, or a key at one.
    pub target: String,
    /// What it did most of, as a stable label; none where an operator decided.
    pub reason: Option<String>,
    /// What was seen of it lately, each with how often; at most 64 kinds.
    pub evidence: Vec<(String, u64)>,
    /// Points at the decision.
    pub score: u64,
    /// When the ban ends.
    pub until: UnixNanos,
    /// Bans of the same target before.
    pub strikes: u64,
    /// Who decided, where they are known; none of a ban by score.
    pub by: Option<Actor>,
}

impl Ban {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let evidence = self.evidence.get(..EVIDENCE_MAX).unwrap_or(&self.evidence);
        let fields = if self.by.is_some() { FIELDS + 1 } else { FIELDS };
        encoded(fields, |cbor| {
            cbor.text(self.what.as_str())
                .text(&self.target)
                .optional(self.reason.as_ref(), |cbor, reason| cbor.text(reason))
                .array(evidence.len());
            for (event, count) in evidence {
                cbor.array(2).text(event).uint(*count);
            }
            cbor.uint(self.score).uint(self.until.0).uint(self.strikes);
            if let Some(by) = &self.by {
                cbor.text(&by.to_string());
            }
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        // The array tells: nobody is named in an entry that is one field shorter.
        let is_signed = Strict::new(payload).array(FIELDS + 2, "a ban").is_ok();
        let mut cbor = begin(payload, if is_signed { FIELDS + 1 } else { FIELDS }, "a ban")?;
        let what = cbor
            .parsed("what happened", |text| BanEvent::ALL.into_iter().find(|event| event.as_str() == text))?;
        let target = cbor.text("a target")?.to_owned();
        let reason = cbor.optional(|cbor| cbor.text("a reason"))?.map(str::to_owned);
        let n = cbor.list("evidence")?;
        if n > EVIDENCE_MAX {
            return Err(cbor.unexpected("at most 64 kinds of evidence").into());
        }
        let mut evidence = Vec::with_capacity(n);
        for _ in 0..n {
            cbor.array(2, "evidence")?;
            evidence.push((cbor.text("an event")?.to_owned(), cbor.u64("a count")?));
        }
        let record = Self {
            what,
            target,
            reason,
            evidence,
            score: cbor.u64("a score")?,
            until: UnixNanos(cbor.u64("a time")?),
            strikes: cbor.u64("a number of bans")?,
            by: is_signed.then(|| cbor.parsed("an actor", |text| text.parse::<Actor>().ok())).transpose()?,
        };
        cbor.end()?;
        Ok(record)
    }
}
