//! Cases: alerts and held withdrawals that belong together, and what people decide about them.
//!
//! [`Cases`] is a fold over the journal and nothing else: decisions, alerts and the entries people cause go in, in
//! journal order, and the same entries give the same cases. It reads no clock; times are those of the entries, and
//! whoever looks brings `now`.
//!
//! # Release by four eyes
//! A held withdrawal is let through only after two different people said so: one proposes, another approves before the
//! proposal runs out. The fold itself enforces this; an entry that breaks a rule is ignored and counted, however it came
//! to stand in the journal. Two actors whose names differ only in case, or only in how they came in, are one person
//! here. A release answers the reasons that were seen, is good for one repetition of the same withdrawal, and ends.
//!
//! # Concurrency
//! Every change names the revision of the case it rests on. If another person changed the case meanwhile, the change
//! is refused with [`CaseError::Conflict`]. Alerts that join do not count as changes: nobody outside can keep people
//! from deciding.
//!
//! # Bounds
//! [`CASES_MAX`] cases, [`ALERTS_MAX`] alerts, [`PRICES_MAX`] prices, and the bounds of each case. What makes
//! room is the case closed longest ago, else the least urgent open one. A forgotten case takes its releases with it,
//! which errs on the strict side.

mod action;
mod appeal;
mod case;
mod policy;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::{AccountId, Actor, ActorKind, Amount, Asset, ReasonCode, UnixNanos, Verdict};
use features::StateDigest;

pub use self::{
    action::{Action, CaseAction, CaseEntry, Disposition, NAME_BYTES_MAX, TEXT_BYTES_MAX},
    appeal::{
        APPEALS_MAX, APPEALS_OF_ALL_PER_DAY_MAX, APPEALS_PER_CASE_MAX, APPEALS_PER_DAY_MAX, Against, Answer,
        Appeal, Appealed, BAN_BYTES_MAX, Outcome,
    },
    case::{
        ACTIONS_MAX, AtRisk, Case, Done, Entity, HELD_MAX, Held, HeldItem, Line, Resolution, Review, Source,
        TRIGGERS_MAX, Trigger,
    },
    policy::{PPM, Policy, PolicyError, Priority},
};

/// Cases remembered.
pub const CASES_MAX: usize = 50_000;
/// Alerts listed.
pub const ALERTS_MAX: usize = 20_000;
/// Assets whose last price against the reference is remembered.
pub const PRICES_MAX: usize = 4_096;
/// Most cases or alerts of one page.
pub const PAGE_MAX: usize = 200;

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The appeal has its answer.
    #[error("appeal {appeal} is {outcome} already")]
    Answered {
        /// The appeal.
        appeal: u64,
        /// What came of it.
        outcome: &'static str,
    },
    /// An appeal waits for an answer.
    #[error("appeal-{appeal} waits for an answer")]
    AppealOpen {
        /// The appeal.
        appeal: u64,
    },
    /// Somebody else changed the case first.
    #[error("case has revision {revision} by now, {by} changed it last; look again")]
    Conflict {
        /// Its revision now.
        revision: u64,
        /// Who changed it last.
        by: String,
    },
    /// The case has too long a history.
    #[error("case has {ACTIONS_MAX} actions, no more are taken in but its end")]
    Full,
    /// A text or name is empty, too long or has control characters.
    #[error(
        "text must be 1 to {TEXT_BYTES_MAX} bytes without control characters, a name 1 to {NAME_BYTES_MAX} visible \
         ASCII characters"
    )]
    Malformed,
    /// There is no proposal, or it ran out.
    #[error("nobody has proposed to release decision {decision}, or the proposal has run out")]
    NoProposal {
        /// Position of the decision.
        decision: u64,
    },
    /// Programs do not judge.
    #[error("{actor} is no person who may decide about cases")]
    NotAPerson {
        /// Who tried.
        actor: String,
    },
    /// No such case, or it was forgotten.
    #[error("there is no case {case}")]
    NotFound {
        /// The case.
        case: u64,
    },
    /// Who appeals cannot answer.
    #[error("{actor} brought this appeal; somebody else must answer it")]
    OwnAppeal {
        /// Who tried.
        actor: String,
    },
    /// Who proposes cannot approve.
    #[error("{actor} proposed this; somebody else must approve it")]
    OwnProposal {
        /// Who tried.
        actor: String,
    },
    /// The proposal exists already, or it was decided.
    #[error("decision {decision} is {state}")]
    Pending {
        /// Position of the decision.
        decision: u64,
        /// How far it is.
        state: &'static str,
    },
    /// The case is closed.
    #[error("case was resolved as {disposition} by {by}")]
    Resolved {
        /// What it was.
        disposition: &'static str,
        /// Who said so.
        by: String,
    },
    /// The account, the case or the installation has as many appeals as it may have.
    #[error(
        "an account may appeal {APPEALS_PER_DAY_MAX} times within a day, a case may have {APPEALS_PER_CASE_MAX} appeals"
    )]
    TooManyAppeals,
    /// The time of a proposal or release lies in the past or too far ahead.
    #[error("proposal or release would not end within the time the policy allows")]
    Until,
    /// There is no such appeal, or not in this case.
    #[error("there is no appeal-{appeal} here")]
    UnknownAppeal {
        /// Position of the appeal.
        appeal: u64,
    },
    /// The case has no such held withdrawal.
    #[error("decision {decision} is no held withdrawal of this case")]
    UnknownDecision {
        /// Position of the decision.
        decision: u64,
    },
}

/// What somebody asks to be done; times are filled in from the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// As [`Action::Answer`].
    Answer {
        /// Position of the appeal.
        appeal: u64,
        /// What came of it.
        outcome: Outcome,
        /// Why.
        reason: String,
    },
    /// As [`Action::Approve`].
    Approve {
        /// Position of the decision.
        decision: u64,
    },
    /// As [`Action::Assign`].
    Assign {
        /// Their name.
        to: Option<String>,
    },
    /// As [`Action::Decline`].
    Decline {
        /// Position of the decision.
        decision: u64,
        /// Why.
        reason: String,
    },
    /// As [`Action::Note`].
    Note {
        /// In words.
        text: String,
    },
    /// As [`Action::Propose`].
    Propose {
        /// Position of the decision.
        decision: u64,
        /// Why.
        reason: String,
    },
    /// As [`Action::Resolve`].
    Resolve {
        /// What it was.
        disposition: Disposition,
        /// Why.
        reason: String,
    },
}

/// A release that may be used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Position of the decision that held the withdrawal.
    pub held: u64,
    /// The case.
    pub case: u64,
    /// Reasons it answers.
    pub reasons: Vec<ReasonCode>,
    /// Until when.
    pub until: UnixNanos,
}

/// An alert as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertLine {
    /// Whom it is about.
    pub entity: Entity,
    /// The case it belongs to; none if it asks for nothing.
    pub case: Option<u64>,
    /// The rest.
    pub line: Line,
}

/// Which cases to list. Absent means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// In this state, as [`Case::state`] names it.
    pub state: Option<String>,
    /// About this entity, as it is displayed.
    pub entity: Option<String>,
    /// Assigned to this name.
    pub assignee: Option<String>,
    /// At least as urgent.
    pub priority: Option<Priority>,
    /// With something from this source, among what is kept of each case.
    pub source: Option<Source>,
}

/// Counts for a monitoring system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Cases that are not resolved.
    pub open: usize,
    /// Of those, past their deadline at the moment asked for.
    pub overdue: usize,
    /// When the oldest open case was opened.
    pub oldest: Option<UnixNanos>,
    /// All cases remembered.
    pub cases: usize,
    /// Cases that made room.
    pub forgotten: u64,
    /// Entries that broke a rule and changed nothing.
    pub ignored: u64,
    /// Releases nobody used yet, those that ran out included.
    pub releases: usize,
}

/// The fold.
#[derive(Debug, Clone, Default)]
pub struct Cases {
    policy: Policy,
    prices: BTreeMap<Asset, Amount>,
    cases: BTreeMap<u64, Case>,
    /// The case of an entity that new triggers may join.
    open_of: BTreeMap<Entity, u64>,
    /// Open cases by urgency.
    open: BTreeSet<(Priority, u64)>,
    /// Closed cases by when they were closed.
    closed: BTreeSet<(UnixNanos, u64)>,
    /// The case of each held withdrawal listed.
    held_in: BTreeMap<u64, u64>,
    /// Released and unused, by account and fingerprint.
    ready: BTreeMap<(AccountId, [u8; 16]), BTreeSet<u64>>,
    /// The case of each alert listed that may be taken back.
    alert_in: BTreeMap<String, u64>,
    alerts: VecDeque<AlertLine>,
    /// The case of each appeal.
    appeals: BTreeMap<u64, u64>,
    /// The appeal that waits, by what it is against.
    appealed: BTreeMap<Against, u64>,
    /// When and of whom appeals came within a day.
    appeals_of_late: VecDeque<(UnixNanos, AccountId)>,
    forgotten: u64,
    ignored: u64,
}

impl Cases {
    /// The policy in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A case.
    #[must_use]
    pub fn case(&self, id: u64) -> Option<&Case> {
        self.cases.get(&id)
    }

    /// The case of a held withdrawal, and the withdrawal.
    #[must_use]
    pub fn held(&self, decision: u64) -> Option<(&Case, &HeldItem)> {
        let case = self.cases.get(self.held_in.get(&decision)?)?;
        Some((case, case.item(decision)?))
    }

    /// Takes an alert or decision in. An alert that asks for nothing is listed and opens no case.
    pub fn trigger(&mut self, trigger: &Trigger) {
        if let Some(name) = &trigger.alert
            && self.alert_in.contains_key(&case::cut(name))
        {
            return; // The same alert in a later state, or once more after a crash.
        }
        if trigger.verdict == Verdict::Allow {
            let value = self.value(&trigger.at_risk);
            let line = Line::of(trigger, value, &self.policy, None);
            self.list(AlertLine { entity: trigger.entity.clone(), case: None, line });
            return;
        }
        let open = self.joinable(&trigger.entity, trigger.at);
        self.join(trigger, open);
    }

    /// The open case of somebody that what comes now joins.
    fn joinable(&self, entity: &Entity, at: UnixNanos) -> Option<u64> {
        let joins = |case: &Case| at.since(case.latest_at) <= self.policy.window;
        self.open_of.get(entity).copied().filter(|id| self.cases.get(id).is_some_and(joins))
    }

    /// Puts a trigger into an open case, or opens one for it. Yields the case.
    fn join(&mut self, trigger: &Trigger, open: Option<u64>) -> u64 {
        let value = self.value(&trigger.at_risk);
        let id = open.unwrap_or_else(|| self.open_case(trigger));
        let Some(case) = self.cases.get_mut(&id) else { return id };
        let urgency = (case.priority, id);
        let (line, left) = case.join(trigger, value, &self.policy);
        self.open.remove(&urgency);
        self.open.insert((case.priority, id));
        if let Some(alert) = left.alert {
            self.alert_in.remove(&alert);
        }
        if let Some(item) = left.held {
            self.held_in.remove(&item.decision);
            // A release of a withdrawal that no longer stands in its case does not stand either.
            if let Some(account) = trigger.entity.account() {
                remove_ready(&mut self.ready, account, item.fingerprint, item.decision);
            }
        }
        if trigger.held.is_some() {
            self.held_in.insert(trigger.position, id);
        }
        if let Some(name) = &trigger.alert {
            self.alert_in.insert(case::cut(name), id);
        }
        if !matches!(trigger.source, Source::Appeal | Source::Decision) {
            self.list(AlertLine { entity: trigger.entity.clone(), case: Some(id), line });
        }
        id
    }

    fn list(&mut self, alert: AlertLine) {
        if self.alerts.len() >= ALERTS_MAX {
            self.alerts.pop_front();
        }
        self.alerts.push_back(alert);
    }

    fn open_case(&mut self, trigger: &Trigger) -> u64 {
        let id = trigger.position;
        while self.cases.len() >= CASES_MAX {
            let oldest =
                self.closed.first().map(|(_, id)| *id).or_else(|| self.open.first().map(|(_, id)| *id));
            let Some(oldest) = oldest else { break };
            self.forget(oldest);
            self.forgotten += 1;
        }
        let case = Case::new(id, trigger.entity.clone(), trigger.at);
        self.open.insert((case.priority, id));
        self.cases.insert(id, case);
        self.open_of.insert(trigger.entity.clone(), id);
        id
    }

    fn forget(&mut self, id: u64) {
        let Some(case) = self.cases.remove(&id) else { return };
        self.open.remove(&(case.priority, id));
        if let Some(resolution) = &case.resolution {
            self.closed.remove(&(resolution.at, id));
        }
        if self.open_of.get(&case.entity) == Some(&id) {
            self.open_of.remove(&case.entity);
        }
        self.forget_appeals(&case);
        for item in &case.held {
            self.held_in.remove(&item.decision);
            if let Some(account) = case.entity.account() {
                remove_ready(&mut self.ready, account, item.fingerprint, item.decision);
            }
        }
        for alert in case.lines.iter().filter_map(|line| line.alert.as_ref()) {
            self.alert_in.remove(alert);
        }
    }

    /// An alert is taken back. A case that nobody touched and of which nothing is left is closed as inconclusive
    /// by Caponier itself.
    pub fn retract(&mut self, alert: &str, at: UnixNanos) {
        let alert = case::cut(alert);
        let Some(id) = self.alert_in.get(&alert).copied() else { return };
        let Some(case) = self.cases.get_mut(&id) else { return };
        let mut position = None;
        for line in case.lines.iter_mut().filter(|line| line.alert.as_ref() == Some(&alert)) {
            line.is_retracted = true;
            position = Some(line.position);
        }
        if let Some(position) = position
            && let Ok(at) = self.alerts.binary_search_by_key(&position, |alert| alert.line.position)
            && let Some(listed) = self.alerts.get_mut(at)
        {
            listed.line.is_retracted = true;
        }
        if case.resolution.is_none() {
            let before = (case.priority, id);
            case.weigh(at, &self.policy);
            self.open.remove(&before);
            self.open.insert((case.priority, id));
        }
        if case.is_moot() && case.revision == 0 && case.resolution.is_none() {
            let by = Actor::system();
            case.resolution = Some(Resolution { disposition: Disposition::Inconclusive, by, at });
            self.close(id);
        }
    }

    /// As [`Cases::retract`], of an alert that may be raised anew under its name: what is said of a past transfer changes
    /// with the lists. Its line stays, retracted.
    pub fn withdraw(&mut self, alert: &str, at: UnixNanos) {
        self.retract(alert, at);
        let alert = case::cut(alert);
        let Some(case) = self.alert_in.remove(&alert).and_then(|id| self.cases.get_mut(&id)) else { return };
        for line in case.lines.iter_mut().filter(|line| line.alert.as_ref() == Some(&alert)) {
            line.alert = None;
        }
    }

    /// An asset was traded against another at this price.
    pub fn fill(&mut self, base: &Asset, quote: &Asset, price: Amount) {
        if *quote != self.policy.reference || price.is_zero() || price.is_negative() {
            return;
        }
        // What trades first stays: an exchange lists its main assets long before the thousandth other.
        if self.prices.len() < PRICES_MAX || self.prices.contains_key(base) {
            self.prices.insert(base.clone(), price);
        }
    }

    /// What something is worth in the reference asset, as far as is known.
    #[must_use]
    pub fn value(&self, at_risk: &AtRisk) -> Option<Amount> {
        match at_risk {
            AtRisk::Unknown => None,
            AtRisk::Value(value) => Some(*value),
            AtRisk::Asset { asset, amount } if *asset == self.policy.reference => Some(*amount),
            AtRisk::Asset { asset, amount } => self.prices.get(asset)?.checked_mul(*amount),
        }
    }

    /// Makes the entry of what somebody asks for, if it may be done now. `revision`: what they have seen.
    ///
    /// # Errors
    /// [`CaseError`].
    pub fn prepare(
        &self,
        case: u64,
        revision: u64,
        actor: Actor,
        ask: Ask,
        now: UnixNanos,
    ) -> Result<CaseAction, CaseError> {
        let action = match ask {
            Ask::Answer { appeal, outcome, reason } => Action::Answer { appeal, outcome, reason },
            Ask::Approve { decision } => {
                Action::Approve { decision, until: now.plus(self.policy.release_life) }
            }
            Ask::Assign { to } => Action::Assign { to },
            Ask::Decline { decision, reason } => Action::Decline { decision, reason },
            Ask::Note { text } => Action::Note { text },
            Ask::Propose { decision, reason } => {
                Action::Propose { decision, until: now.plus(self.policy.proposal_life), reason }
            }
            Ask::Resolve { disposition, reason } => Action::Resolve { disposition, reason },
        };
        let done = CaseAction { case, revision, actor, action };
        self.check(&done, now)?;
        Ok(done)
    }

    /// Whether an action may be done at a moment.
    ///
    /// # Errors
    /// [`CaseError`].
    pub fn check(&self, done: &CaseAction, at: UnixNanos) -> Result<(), CaseError> {
        let CaseAction { case: id, revision, actor, action } = done;
        let case = self.cases.get(id).ok_or(CaseError::NotFound { case: *id })?;
        if actor.kind() == ActorKind::System {
            return Err(CaseError::NotAPerson { actor: actor.to_string() });
        }
        if !action.is_well_formed() {
            return Err(CaseError::Malformed);
        }
        if let Some(resolution) = &case.resolution
            && !matches!(action, Action::Note { .. })
        {
            return Err(CaseError::Resolved {
                disposition: resolution.disposition.as_str(),
                by: resolution.by.to_string(),
            });
        }
        if *revision != case.revision {
            let by = case.done.last().map_or_else(|| "nobody".to_owned(), |last| last.actor.to_string());
            return Err(CaseError::Conflict { revision: case.revision, by });
        }
        if case.done.len() >= ACTIONS_MAX && !matches!(action, Action::Answer { .. } | Action::Resolve { .. })
        {
            return Err(CaseError::Full);
        }
        let item = |decision: u64| case.item(decision).ok_or(CaseError::UnknownDecision { decision });
        let lasts = |until: UnixNanos, life: std::time::Duration| {
            if until > at && until <= at.plus(life) { Ok(()) } else { Err(CaseError::Until) }
        };
        match action {
            Action::Answer { appeal, .. } => Self::check_answer(case, *appeal, actor),
            Action::Assign { .. } | Action::Note { .. } => Ok(()),
            Action::Resolve { .. } => match case.appeals.iter().find(|appeal| appeal.answer.is_none()) {
                Some(appeal) => Err(CaseError::AppealOpen { appeal: appeal.id }),
                None => Ok(()),
            },
            Action::Propose { decision, until, .. } => {
                let item = item(*decision)?;
                if !item.review.is_open(at) {
                    return Err(CaseError::Pending { decision: *decision, state: item.review.state(at) });
                }
                lasts(*until, self.policy.proposal_life)
            }
            Action::Approve { decision, until } => match &item(*decision)?.review {
                Review::Proposed { by, until: open_until, .. } if at <= *open_until => {
                    if is_same_person(by, actor) {
                        return Err(CaseError::OwnProposal { actor: actor.to_string() });
                    }
                    lasts(*until, self.policy.release_life)
                }
                _ => Err(CaseError::NoProposal { decision: *decision }),
            },
            Action::Decline { decision, .. } => match &item(*decision)?.review {
                Review::Proposed { until, .. } if at <= *until => Ok(()),
                _ => Err(CaseError::NoProposal { decision: *decision }),
            },
        }
    }

    /// Takes an entry in that was recorded at `at`. One that breaks a rule changes nothing and is counted.
    ///
    /// # Errors
    /// [`CaseError`] when nothing was done.
    pub fn apply(&mut self, position: u64, at: UnixNanos, entry: CaseEntry) -> Result<(), CaseError> {
        match entry {
            CaseEntry::Policy(policy) => {
                if policy.reference != self.policy.reference {
                    // Prices were against another asset.
                    self.prices.clear();
                }
                self.policy = policy;
                Ok(())
            }
            CaseEntry::Appealed(appealed) => {
                let taken = self.appealed(position, at, appealed);
                self.ignored += u64::from(taken.is_err());
                taken
            }
            CaseEntry::Action(done) => {
                if let Err(error) = self.check(&done, at) {
                    self.ignored += 1;
                    return Err(error);
                }
                self.act(position, at, done);
                Ok(())
            }
        }
    }

    fn act(&mut self, position: u64, at: UnixNanos, done: CaseAction) {
        let CaseAction { case: id, actor, action, .. } = done;
        let Some(case) = self.cases.get_mut(&id) else { return };
        case.revision += 1;
        let what = action.as_str();
        let (decision, text) = match &action {
            Action::Answer { outcome, reason, .. } => (None, Some(format!("{}: {reason}", outcome.as_str()))),
            Action::Approve { decision, .. } => (Some(*decision), None),
            Action::Assign { to } => (None, to.clone()),
            Action::Decline { decision, reason } | Action::Propose { decision, reason, .. } => {
                (Some(*decision), Some(reason.clone()))
            }
            Action::Note { text } => (None, Some(text.clone())),
            Action::Resolve { disposition, reason } => {
                (None, Some(format!("{}: {reason}", disposition.as_str())))
            }
        };
        case.done.push(Done { position, at, actor: actor.clone(), what, decision, text });
        let item = decision.and_then(|decision| case.held.iter_mut().find(|item| item.decision == decision));
        match (action, item) {
            (Action::Answer { appeal, outcome, reason }, _) => {
                self.answered(id, appeal, Answer { outcome, reason, by: actor, at });
            }
            (Action::Assign { to }, _) => case.assignee = to,
            (Action::Propose { until, reason, decision }, Some(item)) => {
                item.review = Review::Proposed { by: actor, at, until, reason };
                let (fingerprint, entity) = (item.fingerprint, case.entity.clone());
                // What was released before and ran out is not released any more.
                if let Some(account) = entity.account() {
                    remove_ready(&mut self.ready, account, fingerprint, decision);
                }
            }
            (Action::Approve { until, decision }, Some(item)) => {
                if let Review::Proposed { by: proposed_by, .. } = item.review.clone() {
                    item.review = Review::Released { proposed_by, approved_by: actor, at, until };
                    if let Some(account) = case.entity.account() {
                        let key = (account.clone(), item.fingerprint);
                        self.ready.entry(key).or_default().insert(decision);
                    }
                }
            }
            (Action::Decline { .. }, Some(item)) => item.review = Review::Held,
            (Action::Resolve { disposition, .. }, _) => {
                let keeps_releases = disposition != Disposition::Fraud;
                for item in &mut case.held {
                    match &item.review {
                        Review::Used { .. } => continue,
                        Review::Released { .. } if keeps_releases => continue,
                        _ => {}
                    }
                    item.review = Review::Refused { by: actor.clone(), at };
                    if let Some(account) = case.entity.account() {
                        remove_ready(&mut self.ready, account, item.fingerprint, item.decision);
                    }
                }
                case.resolution = Some(Resolution { disposition, by: actor, at });
                self.close(id);
            }
            _ => {}
        }
    }

    fn close(&mut self, id: u64) {
        let Some(case) = self.cases.get(&id) else { return };
        self.open.remove(&(case.priority, id));
        if let Some(resolution) = &case.resolution {
            self.closed.insert((resolution.at, id));
        }
        if self.open_of.get(&case.entity) == Some(&id) {
            self.open_of.remove(&case.entity);
        }
    }

    /// The release that lets a withdrawal through at a moment; of several the one that ends first.
    #[must_use]
    pub fn release(&self, account: &AccountId, fingerprint: [u8; 16], now: UnixNanos) -> Option<Release> {
        let held = self.ready.get(&(account.clone(), fingerprint))?;
        held.iter()
            .filter_map(|held| {
                let (case, item) = self.held(*held)?;
                match &item.review {
                    Review::Released { until, .. } if now <= *until => Some(Release {
                        held: *held,
                        case: case.id,
                        reasons: item.reasons.clone(),
                        until: *until,
                    }),
                    _ => None,
                }
            })
            .min_by_key(|release| (release.until, release.held))
    }

    /// A decision let a released withdrawal through: the release is used.
    pub fn used(&mut self, held: u64, by: u64) {
        let Some(id) = self.held_in.get(&held) else { return };
        let Some(case) = self.cases.get_mut(id) else { return };
        let Some(item) = case.held.iter_mut().find(|item| item.decision == held) else { return };
        if let Review::Released { proposed_by, approved_by, .. } = item.review.clone() {
            item.review = Review::Used { proposed_by, approved_by, by };
            if let Some(account) = case.entity.account() {
                remove_ready(&mut self.ready, account, item.fingerprint, held);
            }
        }
    }

    /// Cases, the newest first, that were opened before `before`.
    pub fn newest<'c>(
        &'c self,
        filter: &'c Filter,
        before: Option<u64>,
        now: UnixNanos,
    ) -> impl Iterator<Item = &'c Case> {
        let cases = self.cases.range(..before.unwrap_or(u64::MAX)).rev().map(|(_, case)| case);
        cases.filter(move |case| is_wanted(case, filter, now))
    }

    /// Open cases, the most urgent first and of equal ones the oldest, behind the case `after`.
    pub fn urgent<'c>(
        &'c self,
        filter: &'c Filter,
        after: Option<&Case>,
        now: UnixNanos,
    ) -> impl Iterator<Item = &'c Case> {
        let after = after.map(|case| (std::cmp::Reverse(case.priority), case.id));
        let mut order: Vec<(std::cmp::Reverse<Priority>, u64)> =
            self.open.iter().map(|(priority, id)| (std::cmp::Reverse(*priority), *id)).collect();
        order.sort_unstable();
        let cases = order.into_iter().filter(move |place| after.is_none_or(|after| *place > after));
        cases.filter_map(|(_, id)| self.cases.get(&id)).filter(move |case| is_wanted(case, filter, now))
    }

    /// Alerts, the newest first, from entries before `before`.
    pub fn alerts(&self, before: Option<u64>) -> impl Iterator<Item = &AlertLine> {
        let end = before.map_or(self.alerts.len(), |before| {
            self.alerts.partition_point(|alert| alert.line.position < before)
        });
        self.alerts.range(..end).rev()
    }

    /// Counts at a moment.
    #[must_use]
    pub fn sizes(&self, now: UnixNanos) -> Sizes {
        let overdue = |(_, id): &&(Priority, u64)| {
            self.cases.get(id).is_some_and(|case| case.done.is_empty() && case.deadline < now)
        };
        Sizes {
            open: self.open.len(),
            overdue: self.open.iter().filter(overdue).count(),
            oldest: self
                .open
                .iter()
                .filter_map(|(_, id)| self.cases.get(id))
                .map(|case| case.opened_at)
                .min(),
            cases: self.cases.len(),
            forgotten: self.forgotten,
            ignored: self.ignored,
            releases: self.ready.values().map(BTreeSet::len).sum(),
        }
    }

    /// The state as a digest, for comparison with that of another fold over the same entries.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = StateDigest::new("cases");
        digest.bytes(&CaseEntry::Policy(self.policy.clone()).encode());
        digest.number(self.prices.len() as u64);
        for (asset, price) in &self.prices {
            digest.bytes(asset.as_str().as_bytes());
            digest.amount(*price);
        }
        digest.number(self.cases.len() as u64);
        self.cases.values().for_each(|case| case.feed(&mut digest));
        digest.number(self.alerts.len() as u64);
        for alert in &self.alerts {
            digest.number(alert.line.position);
            digest.number(u64::from(alert.line.is_retracted));
        }
        for (at, account) in &self.appeals_of_late {
            digest.time(*at);
            digest.bytes(account.as_str().as_bytes());
        }
        digest.number(self.forgotten);
        digest.number(self.ignored);
        digest.finish()
    }
}

fn is_wanted(case: &Case, filter: &Filter, now: UnixNanos) -> bool {
    filter.state.as_deref().is_none_or(|state| case.state(now) == state)
        && filter.entity.as_deref().is_none_or(|entity| case.entity.to_string() == entity)
        && filter.assignee.as_ref().is_none_or(|name| case.assignee.as_ref() == Some(name))
        && filter.priority.is_none_or(|priority| case.priority >= priority)
        && filter.source.is_none_or(|source| case.lines.iter().any(|line| line.source == source))
}

/// One person may come in by the command line and by the API, and spell their name in capitals.
fn is_same_person(one: &Actor, other: &Actor) -> bool {
    one.id().eq_ignore_ascii_case(other.id())
}

fn remove_ready(
    ready: &mut BTreeMap<(AccountId, [u8; 16]), BTreeSet<u64>>,
    account: &AccountId,
    fingerprint: [u8; 16],
    decision: u64,
) {
    let key = (account.clone(), fingerprint);
    if let Some(held) = ready.get_mut(&key) {
        held.remove(&decision);
        if held.is_empty() {
            ready.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
