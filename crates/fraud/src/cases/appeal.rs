//! Appeals: somebody says that a decision or a ban was wrong, and gets an answer.
//!
//! An appeal is part of a case of its account. Who made it cannot answer it, and a case with one that nobody answered
//! cannot be closed. Nothing is let through by an answer: a held withdrawal still takes its release by two people.
//!
//! # Bounds
//! One appeal per decision or ban waits for an answer at a time, [`APPEALS_PER_DAY_MAX`] are taken of an account within a
//! day and [`APPEALS_OF_ALL_PER_DAY_MAX`] of all, a case lists [`APPEALS_PER_CASE_MAX`], and [`APPEALS_MAX`] are remembered;
//! the one answered earliest makes room. Appeals are made by programs for customers, so a flood is a flood of customers.

use std::{collections::BTreeSet, time::Duration};

use domain::{AccountId, Actor, ActorKind, Amount, UnixNanos, Verdict};
use features::StateDigest;
use minicbor::Encoder;

use super::{
    AtRisk, Case, CaseError, Cases, Disposition, Entity, Resolution, Source, Trigger,
    action::text_is_well_formed, is_same_person,
};
use crate::record::{Encoded, Fields, RecordError};

/// Appeals remembered.
pub const APPEALS_MAX: usize = 20_000;
/// Appeals of one case.
pub const APPEALS_PER_CASE_MAX: usize = 32;
/// Appeals of one account within a day.
pub const APPEALS_PER_DAY_MAX: usize = 8;
/// Appeals of all accounts within a day.
pub const APPEALS_OF_ALL_PER_DAY_MAX: usize = 4_000;
/// Longest name of a ban, in bytes.
pub const BAN_BYTES_MAX: usize = 160;
/// For how long appeals count.
const DAY: Duration = Duration::from_secs(86_400);

/// What an appeal is against.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Against {
    /// A ban, as bans are listed.
    Ban(String),
    /// A decision, by its position.
    Decision(u64),
}

impl Against {
    /// Stable lower-case name of its kind.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ban(_) => "ban",
            Self::Decision(_) => "decision",
        }
    }

    fn is_well_formed(&self) -> bool {
        match self {
            Self::Ban(target) => {
                let visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
                (1..=BAN_BYTES_MAX).contains(&target.len()) && target.bytes().all(visible)
            }
            Self::Decision(_) => true,
        }
    }
}

/// What came of an appeal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It was wrong: the label is legitimate, a ban is lifted.
    Overturned,
    /// It was right and stays.
    Upheld,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 2] = [Self::Overturned, Self::Upheld];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overturned => "overturned",
            Self::Upheld => "upheld",
        }
    }

    /// The outcome of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// An answer to an appeal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What came of it.
    pub outcome: Outcome,
    /// Why, in words for whoever appealed.
    pub reason: String,
    /// Who said so.
    pub by: Actor,
    /// When.
    pub at: UnixNanos,
}

/// An appeal as its case keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appeal {
    /// Its entry in the journal; its name.
    pub id: u64,
    /// The case it belongs to.
    pub case: u64,
    /// Whose.
    pub account: AccountId,
    /// Against what.
    pub against: Against,
    /// What was said.
    pub text: String,
    /// Who brought it.
    pub by: Actor,
    /// When.
    pub at: UnixNanos,
    /// What came of it, once somebody said.
    pub answer: Option<Answer>,
}

impl Appeal {
    /// Every name [`Appeal::state`] may give.
    pub const STATES: [&'static str; 3] = ["open", "overturned", "upheld"];

    /// Stable lower-case name of how far it is.
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.answer.as_ref().map_or("open", |answer| answer.outcome.as_str())
    }

    pub(super) fn feed(&self, digest: &mut StateDigest) {
        digest.number(self.id);
        digest.bytes(format!("{:?}", self.against).as_bytes());
        digest.bytes(self.text.as_bytes());
        digest.bytes(self.by.to_string().as_bytes());
        digest.optional_time(self.answer.as_ref().map(|answer| answer.at));
        digest.bytes(self.state().as_bytes());
        digest.bytes(self.answer.as_ref().map_or("", |answer| &answer.reason).as_bytes());
    }
}

/// An appeal as it is brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appealed {
    /// Who brings it.
    pub by: Actor,
    /// Whose.
    pub account: AccountId,
    /// Against what.
    pub against: Against,
    /// What is said.
    pub text: String,
}

impl Appealed {
    /// Fields behind the version and the name.
    pub(super) const FIELDS: u64 = 4;

    pub(super) fn encode(&self, encoder: &mut Encoder<Vec<u8>>, version: u8) -> Encoded {
        encoder.array(Self::FIELDS + 2)?.u8(version)?.str("appealed")?;
        encoder
            .str(&self.by.to_string())?
            .str(self.account.as_str())?
            .array(2)?
            .str(self.against.as_str())?;
        match &self.against {
            Against::Ban(target) => encoder.str(target)?,
            Against::Decision(position) => encoder.u64(*position)?,
        };
        encoder.str(&self.text).map(drop)
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, RecordError> {
        let by = fields.parsed("actor", super::action::ACTOR_BYTES_MAX, |text| text.parse().ok())?;
        let account = fields.parsed("account", AccountId::BYTES_MAX, |text| AccountId::parse(text).ok())?;
        if fields.list("against")? != 2 {
            return Err(fields.bad("against", 0));
        }
        let against = match fields.text("against", 16)?.as_str() {
            "ban" => Against::Ban(fields.text("ban", BAN_BYTES_MAX)?),
            "decision" => Against::Decision(fields.number("decision")?),
            _ => return Err(fields.bad("against", 0)),
        };
        if !against.is_well_formed() {
            return Err(fields.bad("against", 0));
        }
        let text = fields.parsed("text", super::TEXT_BYTES_MAX, |text| {
            text_is_well_formed(text).then(|| text.to_owned())
        })?;
        Ok(Self { by, account, against, text })
    }
}

impl Cases {
    /// An appeal by its name.
    #[must_use]
    pub fn appeal(&self, id: u64) -> Option<&Appeal> {
        self.cases.get(self.appeals.get(&id)?)?.appeals.iter().find(|appeal| appeal.id == id)
    }

    /// Appeals, the newest first, brought before `before`.
    pub fn appeals(&self, before: Option<u64>) -> impl Iterator<Item = &Appeal> {
        self.appeals.range(..before.unwrap_or(u64::MAX)).rev().filter_map(|(id, _)| self.appeal(*id))
    }

    /// Appeals nobody answered.
    #[must_use]
    pub fn open_appeals(&self) -> usize {
        self.appealed.len()
    }

    /// Whether an appeal may be brought at a moment. That the account has such a decision or ban, and that anything was
    /// refused, is known to the caller alone.
    ///
    /// # Errors
    /// [`CaseError`].
    pub fn check_appeal(&self, appealed: &Appealed, at: UnixNanos) -> Result<(), CaseError> {
        let Appealed { by, account, against, text } = appealed;
        if by.kind() == ActorKind::System {
            return Err(CaseError::NotAPerson { actor: by.to_string() });
        }
        if !text_is_well_formed(text) || !against.is_well_formed() {
            return Err(CaseError::Malformed);
        }
        if let Some(appeal) = self.appealed.get(against) {
            return Err(CaseError::AppealOpen { appeal: *appeal });
        }
        let (mut of_account, mut of_all) = (0, 0);
        for (when, who) in self.appeals_of_late.iter().rev() {
            if at.since(*when) >= DAY {
                break;
            }
            of_all += 1;
            of_account += usize::from(who == account);
        }
        if of_account >= APPEALS_PER_DAY_MAX || of_all >= APPEALS_OF_ALL_PER_DAY_MAX {
            return Err(CaseError::TooManyAppeals);
        }
        let is_full = |case: &Case| case.appeals.len() >= APPEALS_PER_CASE_MAX;
        if self.case_of_appeal(appealed, at).and_then(|id| self.cases.get(&id)).is_some_and(is_full)
            || (self.appeals.len() >= APPEALS_MAX && self.earliest_answered().is_none())
        {
            return Err(CaseError::TooManyAppeals);
        }
        Ok(())
    }

    /// The open case an appeal joins: that of the held withdrawal it is about, else the one about the account.
    fn case_of_appeal(&self, appealed: &Appealed, at: UnixNanos) -> Option<u64> {
        let held = match &appealed.against {
            Against::Decision(position) => self.held_in.get(position).copied(),
            Against::Ban(_) => None,
        };
        let is_open = |id: &u64| self.cases.get(id).is_some_and(|case| case.resolution.is_none());
        held.filter(is_open).or_else(|| self.joinable(&Entity::Account(appealed.account.clone()), at))
    }

    fn earliest_answered(&self) -> Option<u64> {
        let waiting: BTreeSet<u64> = self.appealed.values().copied().collect();
        self.appeals.keys().copied().find(|id| !waiting.contains(id))
    }

    /// Takes an appeal in that was recorded at `at`.
    pub(super) fn appealed(
        &mut self,
        position: u64,
        at: UnixNanos,
        appealed: Appealed,
    ) -> Result<(), CaseError> {
        self.check_appeal(&appealed, at)?;
        if self.appeals.len() >= APPEALS_MAX
            && let Some(id) = self.earliest_answered()
            && let Some(case) = self.appeals.remove(&id).and_then(|case| self.cases.get_mut(&case))
        {
            case.appeals.retain(|appeal| appeal.id != id);
        }
        let joins = self.case_of_appeal(&appealed, at);
        let Appealed { by, account, against, text } = appealed;
        let trigger = Trigger {
            source: Source::Appeal,
            position,
            at,
            entity: Entity::Account(account.clone()),
            code: format!("appeal.{}", against.as_str()),
            verdict: Verdict::Hold,
            // Nothing is lost by waiting but patience: what it is about has a weight of its own.
            at_risk: AtRisk::Value(Amount::ZERO),
            probability_ppm: None,
            alert: None,
            held: None,
            about: match &against {
                Against::Decision(position) => Some(*position),
                Against::Ban(_) => None,
            },
        };
        let case = self.join(&trigger, joins);
        while self.appeals_of_late.front().is_some_and(|(when, _)| at.since(*when) >= DAY) {
            self.appeals_of_late.pop_front();
        }
        self.appeals_of_late.push_back((at, account.clone()));
        self.appealed.insert(against.clone(), position);
        self.appeals.insert(position, case);
        if let Some(case) = self.cases.get_mut(&case) {
            let id = case.id;
            case.appeals.push(Appeal {
                id: position,
                case: id,
                account,
                against,
                text,
                by,
                at,
                answer: None,
            });
        }
        Ok(())
    }

    /// Whether somebody may answer an appeal of a case.
    pub(super) fn check_answer(case: &Case, appeal: u64, actor: &Actor) -> Result<(), CaseError> {
        let found = case.appeals.iter().find(|found| found.id == appeal);
        let found = found.ok_or(CaseError::UnknownAppeal { appeal })?;
        if found.answer.is_some() {
            return Err(CaseError::Answered { appeal, outcome: found.state() });
        }
        if is_same_person(&found.by, actor) {
            return Err(CaseError::OwnAppeal { actor: actor.to_string() });
        }
        Ok(())
    }

    /// Takes an answer in. A case of which nothing is left but answered appeals is closed with the last of them.
    pub(super) fn answered(&mut self, id: u64, appeal: u64, answer: Answer) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        let Some(found) = case.appeals.iter_mut().find(|found| found.id == appeal) else { return };
        self.appealed.remove(&found.against);
        let (by, at) = (answer.by.clone(), answer.at);
        found.answer = Some(answer);
        let only_appeals = case.triggers == case.lines.len() as u64
            && case.held.is_empty()
            && case.lines.iter().all(|line| line.source == Source::Appeal || line.is_retracted);
        if only_appeals && case.appeals.iter().all(|appeal| appeal.answer.is_some()) {
            let overturned = case.appeals.iter().any(|appeal| appeal.state() == "overturned");
            let disposition = if overturned { Disposition::Legitimate } else { Disposition::Inconclusive };
            case.resolution = Some(Resolution { disposition, by, at });
            self.close(id);
        }
    }

    /// A case is no longer remembered, and its appeals neither.
    pub(super) fn forget_appeals(&mut self, case: &Case) {
        for appeal in &case.appeals {
            self.appeals.remove(&appeal.id);
            if self.appealed.get(&appeal.against) == Some(&appeal.id) {
                self.appealed.remove(&appeal.against);
            }
        }
    }
}
