//! What people do with cases, and how it stands in the journal.
//!
//! ```cddl
//! case-entry =
//!     [1, "policy", window: uint, proposal-life: uint, release-life: uint, reference: asset,
//!      medium-from: tstr, high-from: tstr, critical-from: tstr,
//!      sla-low: uint, sla-medium: uint, sla-high: uint, sla-critical: uint,
//!      challenge-ppm: 0..1000000, hold-ppm: 0..1000000]                   ; times in seconds
//!   / [1, "assigned", case-head, to: name / null]
//!   / [1, "noted",    case-head, text]
//!   / [1, "proposed", case-head, decision: uint, until: time-ns, reason: text]
//!   / [1, "approved", case-head, decision: uint, until: time-ns]
//!   / [1, "declined", case-head, decision: uint, reason: text]
//!   / [1, "resolved", case-head, disposition, reason: text]
//!   / [1, "appealed", actor: tstr, account: tstr, against: ["ban", tstr] / ["decision", uint], text]
//!   / [1, "answered", case-head, appeal: uint, outcome: "overturned" / "upheld", reason: text]
//!
//! case-head = [case: uint, revision: uint, actor: tstr]   ; the case's first entry; its revision before this change
//! disposition = "fraud" / "legitimate" / "inconclusive"
//! name = tstr .size (1..64)
//! text = tstr .size (1..2000)
//! ```

use std::time::Duration;

use domain::{Actor, Asset, UnixNanos};
use minicbor::Encoder;

use super::{
    appeal::{Appealed, Outcome},
    policy::Policy,
};
use crate::record::{Encoded, Fields, RecordError, encoded, optional};

const VERSION: u8 = 1;

/// Longest reason or note, in bytes.
pub const TEXT_BYTES_MAX: usize = 2_000;
/// Longest name somebody is assigned by, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest actor with its kind, in bytes.
pub(super) const ACTOR_BYTES_MAX: usize = 80;

/// What a case turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Disposition {
    /// It was fraud: the label is fraud, and what was released but not used is no longer.
    Fraud,
    /// It was not: the label is legitimate.
    Legitimate,
    /// Nobody knows: there is no label.
    Inconclusive,
}

impl Disposition {
    /// Every disposition.
    pub const ALL: [Self; 3] = [Self::Fraud, Self::Legitimate, Self::Inconclusive];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fraud => "fraud",
            Self::Legitimate => "legitimate",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// The disposition of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|disposition| disposition.as_str() == name)
    }

    /// What a model learns from it: whether it was fraud; `None` if nothing.
    #[must_use]
    pub const fn label(self) -> Option<bool> {
        match self {
            Self::Fraud => Some(true),
            Self::Legitimate => Some(false),
            Self::Inconclusive => None,
        }
    }
}

/// One thing done with a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// An appeal is answered.
    Answer {
        /// Position of the appeal.
        appeal: u64,
        /// What came of it.
        outcome: Outcome,
        /// Why, in words for whoever appealed.
        reason: String,
    },
    /// Somebody is to work on it, or nobody any more.
    Assign {
        /// Their name.
        to: Option<String>,
    },
    /// Something to remember.
    Note {
        /// In words.
        text: String,
    },
    /// A held withdrawal should be let through.
    Propose {
        /// Position of the decision that held it.
        decision: u64,
        /// Until when somebody may agree.
        until: UnixNanos,
        /// Why.
        reason: String,
    },
    /// A second person agrees.
    Approve {
        /// Position of the decision that held it.
        decision: u64,
        /// Until when the withdrawal may be repeated.
        until: UnixNanos,
    },
    /// A proposal is taken back, or somebody disagrees.
    Decline {
        /// Position of the decision.
        decision: u64,
        /// Why.
        reason: String,
    },
    /// What the case turned out to be; it is closed.
    Resolve {
        /// What it was.
        disposition: Disposition,
        /// Why.
        reason: String,
    },
}

impl Action {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answered",
            Self::Approve { .. } => "approved",
            Self::Assign { .. } => "assigned",
            Self::Decline { .. } => "declined",
            Self::Note { .. } => "noted",
            Self::Propose { .. } => "proposed",
            Self::Resolve { .. } => "resolved",
        }
    }

    /// The text somebody wrote, if this has one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Note { text } => Some(text),
            Self::Answer { reason, .. }
            | Self::Propose { reason, .. }
            | Self::Decline { reason, .. }
            | Self::Resolve { reason, .. } => Some(reason),
            Self::Approve { .. } | Self::Assign { .. } => None,
        }
    }

    /// Whether every text in it is within its bounds and of one paragraph.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let name = match self {
            Self::Assign { to: Some(name) } => name_is_well_formed(name),
            _ => true,
        };
        name && self.text().is_none_or(text_is_well_formed)
    }
}

/// 1 to [`NAME_BYTES_MAX`] visible ASCII characters.
fn name_is_well_formed(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// 1 to [`TEXT_BYTES_MAX`] bytes, no control character but the line feed, and something to read.
pub(super) fn text_is_well_formed(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX
        && !text.trim().is_empty()
        && !text.chars().any(|c| c.is_control() && c != '\n')
}

/// Something done with a case, by whom, and what they had seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseAction {
    /// The case, by the position of its first entry.
    pub case: u64,
    /// Its revision when the actor decided: if it has another one by then, nothing is done.
    pub revision: u64,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
}

/// What an entry of the journal says about cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseEntry {
    /// Somebody did something.
    Action(CaseAction),
    /// Somebody appeals.
    Appealed(Appealed),
    /// From here on these numbers hold.
    Policy(Policy),
}

impl CaseEntry {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Action(done) => done.action.as_str(),
            Self::Appealed(_) => "appealed",
            Self::Policy(_) => "policy",
        }
    }

    /// The payload for the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(|encoder| match self {
            Self::Action(action) => encode_action(encoder, action),
            Self::Appealed(appealed) => appealed.encode(encoder, VERSION),
            Self::Policy(policy) => encode_policy(encoder, policy),
        })
    }

    /// From a payload of the journal; what decodes encodes to the same bytes.
    ///
    /// # Errors
    /// [`RecordError`] naming the field.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (mut fields, what, behind) = Fields::begin(bytes, VERSION)?;
        let expected = match what.as_str() {
            "policy" => 13,
            "assigned" | "noted" => 2,
            "approved" | "declined" | "resolved" => 3,
            "answered" | "proposed" => 4,
            "appealed" => Appealed::FIELDS,
            _ => return Err(fields.bad("what", 2)),
        };
        if behind != expected {
            return Err(fields.bad("payload", 0));
        }
        let entry = match what.as_str() {
            "appealed" => Self::Appealed(Appealed::decode(&mut fields)?),
            "policy" => Self::Policy(decode_policy(&mut fields)?),
            _ => Self::Action(decode_action(&mut fields, &what)?),
        };
        if entry.encode() == bytes { Ok(entry) } else { Err(RecordError::NotDeterministic) }
    }
}

fn encode_action(encoder: &mut Encoder<Vec<u8>>, done: &CaseAction) -> Encoded {
    let CaseAction { case, revision, actor, action } = done;
    let fields = match action {
        Action::Assign { .. } | Action::Note { .. } => 2,
        Action::Approve { .. } | Action::Decline { .. } | Action::Resolve { .. } => 3,
        Action::Answer { .. } | Action::Propose { .. } => 4,
    };
    encoder.array(fields + 2)?.u8(VERSION)?.str(action.as_str())?;
    encoder.array(3)?.u64(*case)?.u64(*revision)?.str(&actor.to_string())?;
    match action {
        Action::Assign { to } => {
            optional(encoder, to.as_deref(), |encoder, name| encoder.str(name).map(drop))
        }
        Action::Answer { appeal, outcome, reason } => {
            encoder.u64(*appeal)?.str(outcome.as_str())?.str(reason).map(drop)
        }
        Action::Note { text } => encoder.str(text).map(drop),
        Action::Propose { decision, until, reason } => {
            encoder.u64(*decision)?.u64(until.0)?.str(reason).map(drop)
        }
        Action::Approve { decision, until } => encoder.u64(*decision)?.u64(until.0).map(drop),
        Action::Decline { decision, reason } => encoder.u64(*decision)?.str(reason).map(drop),
        Action::Resolve { disposition, reason } => encoder.str(disposition.as_str())?.str(reason).map(drop),
    }
}

fn decode_action(fields: &mut Fields<'_>, what: &str) -> Result<CaseAction, RecordError> {
    if fields.list("case-head")? != 3 {
        return Err(fields.bad("case-head", 0));
    }
    let case = fields.number("case")?;
    let revision = fields.number("revision")?;
    let actor = fields.parsed("actor", ACTOR_BYTES_MAX, |text| text.parse().ok())?;
    let text = |fields: &mut Fields<'_>, field| {
        fields.parsed(field, TEXT_BYTES_MAX, |text| text_is_well_formed(text).then(|| text.to_owned()))
    };
    let action = match what {
        "answered" => Action::Answer {
            appeal: fields.number("appeal")?,
            outcome: fields.parsed("outcome", 16, Outcome::named)?,
            reason: text(fields, "reason")?,
        },
        "assigned" => Action::Assign {
            to: fields.optional(|fields| {
                fields.parsed("to", NAME_BYTES_MAX, |name| name_is_well_formed(name).then(|| name.to_owned()))
            })?,
        },
        "noted" => Action::Note { text: text(fields, "text")? },
        "proposed" => Action::Propose {
            decision: fields.number("decision")?,
            until: fields.time("until")?,
            reason: text(fields, "reason")?,
        },
        "approved" => Action::Approve { decision: fields.number("decision")?, until: fields.time("until")? },
        "declined" => {
            Action::Decline { decision: fields.number("decision")?, reason: text(fields, "reason")? }
        }
        _ => Action::Resolve {
            disposition: fields.parsed("disposition", 16, Disposition::named)?,
            reason: text(fields, "reason")?,
        },
    };
    Ok(CaseAction { case, revision, actor, action })
}

fn encode_policy(encoder: &mut Encoder<Vec<u8>>, policy: &Policy) -> Encoded {
    encoder.array(15)?.u8(VERSION)?.str("policy")?;
    for duration in [policy.window, policy.proposal_life, policy.release_life] {
        encoder.u64(duration.as_secs())?;
    }
    encoder.str(policy.reference.as_str())?;
    for amount in [policy.medium_from, policy.high_from, policy.critical_from] {
        encoder.str(&amount.to_string())?;
    }
    for duration in policy.sla {
        encoder.u64(duration.as_secs())?;
    }
    encoder.u32(policy.challenge_ppm)?.u32(policy.hold_ppm).map(drop)
}

fn decode_policy(fields: &mut Fields<'_>) -> Result<Policy, RecordError> {
    let seconds = |fields: &mut Fields<'_>, field| fields.number(field).map(Duration::from_secs);
    let ppm = |fields: &mut Fields<'_>, field| {
        let number = fields.number(field)?;
        u32::try_from(number).map_err(|_| fields.bad(field, 0))
    };
    let policy = Policy {
        window: seconds(fields, "window")?,
        proposal_life: seconds(fields, "proposal-life")?,
        release_life: seconds(fields, "release-life")?,
        reference: fields.parsed("reference", Asset::BYTES_MAX, |text| Asset::parse(text).ok())?,
        medium_from: fields.amount("medium-from")?,
        high_from: fields.amount("high-from")?,
        critical_from: fields.amount("critical-from")?,
        sla: [
            seconds(fields, "sla-low")?,
            seconds(fields, "sla-medium")?,
            seconds(fields, "sla-high")?,
            seconds(fields, "sla-critical")?,
        ],
        challenge_ppm: ppm(fields, "challenge-ppm")?,
        hold_ppm: ppm(fields, "hold-ppm")?,
    };
    policy.check().map_err(|_| fields.bad("policy", 0))?;
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::appeal::Against, *};

    fn entries() -> Vec<CaseEntry> {
        let actor: Actor = "user:alice".parse().unwrap();
        let (decision, until, reason) = (7, UnixNanos(9_000_000_000), "called back".to_owned());
        let actions = [
            Action::Assign { to: Some("alice".into()) },
            Action::Assign { to: None },
            Action::Note { text: "first line\nsecond line, \u{e9}".into() },
            Action::Propose { decision, until, reason: reason.clone() },
            Action::Approve { decision, until },
            Action::Decline { decision, reason: reason.clone() },
            Action::Answer { appeal: 290, outcome: Outcome::Upheld, reason: reason.clone() },
            Action::Resolve { disposition: Disposition::Fraud, reason },
        ];
        let mut entries: Vec<CaseEntry> = actions
            .into_iter()
            .map(|action| {
                CaseEntry::Action(CaseAction { case: 300, revision: 2, actor: actor.clone(), action })
            })
            .collect();
        entries.push(CaseEntry::Policy(Policy::default()));
        for against in [Against::Ban("key \"k\" at 192.0.2.9".into()), Against::Decision(70_000)] {
            let account = domain::AccountId::parse("u-1").unwrap();
            let text = "it was me, <b>really</b>".to_owned();
            entries.push(CaseEntry::Appealed(Appealed { by: actor.clone(), account, against, text }));
        }
        entries
    }

    #[test]
    fn every_entry_round_trips_and_no_part_of_it_decodes() {
        for entry in entries() {
            let bytes = entry.encode();
            assert_eq!(CaseEntry::decode(&bytes).as_ref(), Ok(&entry));
            for cut in 0..bytes.len() {
                assert!(CaseEntry::decode(&bytes[..cut]).is_err(), "{entry:?} cut at {cut}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(CaseEntry::decode(&longer), Err(RecordError::NotDeterministic));
        }
    }

    #[test]
    fn known_bytes() {
        let actor = "user:al".parse().unwrap();
        let done = CaseAction { case: 3, revision: 0, actor, action: Action::Note { text: "x".into() } };
        let mut expected = vec![0x84, 1, 0x65];
        expected.extend(b"noted");
        expected.extend([0x83, 3, 0, 0x67]);
        expected.extend(b"user:al");
        expected.extend([0x61, b'x']);
        assert_eq!(CaseEntry::Action(done).encode(), expected);
        expected[1] = 2;
        assert_eq!(CaseEntry::decode(&expected), Err(RecordError::Version { got: 2 }));
    }

    #[test]
    fn texts_have_bounds() {
        let note = |text: String| Action::Note { text }.is_well_formed();
        assert!(note("a\nb".into()) && note("x".repeat(TEXT_BYTES_MAX)));
        for text in [String::new(), "  \n".into(), "a\u{7}".into(), "x".repeat(TEXT_BYTES_MAX + 1)] {
            assert!(!note(text));
        }
        assert!(!Action::Assign { to: Some("two words".into()) }.is_well_formed());
    }

    proptest! {
        #[test]
        fn changed_bytes_are_refused_or_another_entry(
            which in 0..11_usize, position in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = entries()[which].encode();
            let position = position.index(bytes.len());
            bytes[position] = byte;
            if let Ok(entry) = CaseEntry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }
}
