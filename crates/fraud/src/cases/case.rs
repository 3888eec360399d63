//! One case: what came together about somebody, and what people did with it.

use std::{collections::VecDeque, fmt};

use domain::{AccountId, Actor, Amount, Asset, ReasonCode, UnixNanos, Verdict};
use features::StateDigest;

use super::{
    action::Disposition,
    appeal::Appeal,
    policy::{Policy, Priority, expected},
};

/// Alerts and decisions a case lists; older ones are only counted.
pub const TRIGGERS_MAX: usize = 64;
/// Held withdrawals a case lists. One that nobody proposed makes room for the next, the oldest first.
pub const HELD_MAX: usize = 64;
/// Things people did that a case lists; after these only its end is taken in.
pub const ACTIONS_MAX: usize = 256;
/// Longest name of an entity or code kept, in bytes.
const NAME_BYTES_MAX: usize = 160;
/// Codes a release answers.
const COVERS_MAX: usize = 32;

/// Whom a case is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    /// A customer.
    Account(AccountId),
    /// Something else by name, such as an address on a chain.
    Other(Box<str>),
}

impl Entity {
    /// Something that is no account; the name is cut where it is too long.
    #[must_use]
    pub fn other(name: &str) -> Self {
        Self::Other(cut(name).into())
    }

    /// The account, if it is one.
    #[must_use]
    pub const fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Account(account) => Some(account),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "account:{account}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// Text of a bounded length.
pub(super) fn cut(text: &str) -> String {
    let end = (0..=NAME_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

/// Where something came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Somebody says that a decision or ban was wrong.
    Appeal,
    /// Something seen on a chain.
    ChainAlert,
    /// A withdrawal that waits.
    Decision,
    /// An event that rules or a model found suspicious.
    FraudAlert,
    /// A past transfer, answer or alert whose address came onto a list.
    Screening,
    /// An address of a followed chain that a model suspects.
    Suspicion,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 6] =
        [Self::Appeal, Self::ChainAlert, Self::Decision, Self::FraudAlert, Self::Screening, Self::Suspicion];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Appeal => "appeal",
            Self::ChainAlert => "chain_alert",
            Self::Decision => "decision",
            Self::FraudAlert => "fraud_alert",
            Self::Screening => "screening",
            Self::Suspicion => "suspicion",
        }
    }

    /// The source of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// What may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtRisk {
    /// So much of an asset.
    Asset {
        /// Which.
        asset: Asset,
        /// How much.
        amount: Amount,
    },
    /// Nobody knows.
    Unknown,
    /// So much of the reference asset.
    Value(Amount),
}

/// A withdrawal that waits for people, as a release needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What was asked: equal requests of one account have equal fingerprints.
    pub fingerprint: [u8; 16],
    /// Reasons that had an effect; a release answers these and no others.
    pub reasons: Vec<ReasonCode>,
}

/// Something that opens a case or joins one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Where it came from.
    pub source: Source,
    /// Its entry in the journal.
    pub position: u64,
    /// When that was recorded.
    pub at: UnixNanos,
    /// Whom it is about.
    pub entity: Entity,
    /// Why, for machines.
    pub code: String,
    /// What it asks for.
    pub verdict: Verdict,
    /// What may be lost.
    pub at_risk: AtRisk,
    /// The chance of fraud in millionths, where something was scored.
    pub probability_ppm: Option<u32>,
    /// The name by which it may be taken back.
    pub alert: Option<String>,
    /// The withdrawal that waits, if one does.
    pub held: Option<Held>,
    /// Position of the entry an alert is about, if it is not its own.
    pub about: Option<u64>,
}

/// A trigger as its case keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it came from.
    pub source: Source,
    /// Its entry in the journal.
    pub position: u64,
    /// When.
    pub at: UnixNanos,
    /// Why.
    pub code: String,
    /// What it asks for.
    pub verdict: Verdict,
    /// The chance of fraud it was weighed by, in millionths.
    pub probability_ppm: u32,
    /// What may be lost, times that chance, in the reference asset; `None` if nobody knows.
    pub expected_loss: Option<Amount>,
    /// Whether it was taken back.
    pub is_retracted: bool,
    /// Position of the entry an alert is about, if it is not its own.
    pub about: Option<u64>,
    /// Its name, if it may be taken back.
    pub(super) alert: Option<String>,
    /// Lines of one withdrawal repeated count once.
    pub(super) fingerprint: Option<[u8; 16]>,
}

impl Line {
    /// Weighs a trigger. `value`: what may be lost, in the reference asset.
    pub(super) fn of(
        trigger: &Trigger,
        value: Option<Amount>,
        policy: &Policy,
        fingerprint: Option<[u8; 16]>,
    ) -> Self {
        let probability_ppm = policy.probability(trigger.probability_ppm, trigger.verdict);
        Self {
            source: trigger.source,
            position: trigger.position,
            at: trigger.at,
            code: cut(&trigger.code),
            verdict: trigger.verdict,
            probability_ppm,
            expected_loss: value.map(|value| expected(value, probability_ppm)),
            is_retracted: false,
            about: trigger.about,
            alert: trigger.alert.as_deref().map(cut),
            fingerprint,
        }
    }
}

/// What made room in a case.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// The name of an alert that is no longer listed.
    pub(super) alert: Option<String>,
    /// A held withdrawal that is no longer listed.
    pub(super) held: Option<HeldItem>,
}

/// How far the release of a held withdrawal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// Nobody has proposed anything.
    Held,
    /// One person would let it through.
    Proposed {
        /// Who.
        by: Actor,
        /// When.
        at: UnixNanos,
        /// Until when somebody may agree.
        until: UnixNanos,
        /// Why.
        reason: String,
    },
    /// Two people let it through; it may be asked for once more.
    Released {
        /// Who proposed.
        proposed_by: Actor,
        /// Who agreed.
        approved_by: Actor,
        /// When.
        at: UnixNanos,
        /// Until when.
        until: UnixNanos,
    },
    /// It was asked for again and let through.
    Used {
        /// Who proposed.
        proposed_by: Actor,
        /// Who agreed.
        approved_by: Actor,
        /// The decision that let it through.
        by: u64,
    },
    /// The case was closed without it.
    Refused {
        /// Who closed it.
        by: Actor,
        /// When.
        at: UnixNanos,
    },
}

impl Review {
    /// Stable lower-case name of the state at a moment; a proposal or release that ran out is `expired`.
    #[must_use]
    pub fn state(&self, now: UnixNanos) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Proposed { until, .. } | Self::Released { until, .. } if now > *until => "expired",
            Self::Proposed { .. } => "proposed",
            Self::Released { .. } => "released",
            Self::Used { .. } => "used",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether it waits for a proposal: nobody made one, or what came of it has run out.
    pub(super) fn is_open(&self, now: UnixNanos) -> bool {
        matches!(self.state(now), "held" | "expired")
    }
}

/// A held withdrawal of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldItem {
    /// Position of the decision that held it.
    pub decision: u64,
    /// When that was.
    pub at: UnixNanos,
    /// What was asked.
    pub fingerprint: [u8; 16],
    /// Reasons a release answers.
    pub reasons: Vec<ReasonCode>,
    /// How far its release is.
    pub review: Review,
}

/// Something somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its entry in the journal.
    pub position: u64,
    /// When.
    pub at: UnixNanos,
    /// Who.
    pub actor: Actor,
    /// What, as [`super::Action::as_str`].
    pub what: &'static str,
    /// The decision it was about.
    pub decision: Option<u64>,
    /// What they wrote, or who was assigned.
    pub text: Option<String>,
}

/// What a case turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What it was.
    pub disposition: Disposition,
    /// Who said so.
    pub by: Actor,
    /// When.
    pub at: UnixNanos,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Position of the entry that opened it; its name.
    pub id: u64,
    /// Whom it is about.
    pub entity: Entity,
    /// When it was opened.
    pub opened_at: UnixNanos,
    /// When something joined it last.
    pub latest_at: UnixNanos,
    /// By when somebody must have looked.
    pub deadline: UnixNanos,
    /// How urgent it is.
    pub priority: Priority,
    /// What may be lost, times the chance, in the reference asset; `None` if part of it is unknown.
    pub expected_loss: Option<Amount>,
    /// Changes by people so far.
    pub revision: u64,
    /// Who works on it.
    pub assignee: Option<String>,
    /// What came together, oldest first.
    pub lines: VecDeque<Line>,
    /// How many there were in all.
    pub triggers: u64,
    /// Withdrawals that wait or waited, oldest first.
    pub held: Vec<HeldItem>,
    /// Appeals that belong to it, oldest first.
    pub appeals: Vec<Appeal>,
    /// What people did, oldest first.
    pub done: Vec<Done>,
    /// What it turned out to be, once somebody said.
    pub resolution: Option<Resolution>,
}

impl Case {
    pub(super) fn new(id: u64, entity: Entity, at: UnixNanos) -> Self {
        Self {
            id,
            entity,
            opened_at: at,
            latest_at: at,
            deadline: UnixNanos(u64::MAX),
            priority: Priority::Low,
            expected_loss: Some(Amount::ZERO),
            revision: 0,
            assignee: None,
            lines: VecDeque::new(),
            triggers: 0,
            held: Vec::new(),
            appeals: Vec::new(),
            done: Vec::new(),
            resolution: None,
        }
    }

    /// Stable lower-case name of its state at a moment.
    #[must_use]
    pub fn state(&self, now: UnixNanos) -> &'static str {
        if self.resolution.is_some() {
            "resolved"
        } else if self.held.iter().any(|item| item.review.state(now) == "proposed") {
            "proposed"
        } else if self.assignee.is_some() {
            "assigned"
        } else {
            "open"
        }
    }

    /// Every name [`Case::state`] may give.
    pub const STATES: [&'static str; 4] = ["assigned", "open", "proposed", "resolved"];

    /// The held withdrawal of a decision.
    #[must_use]
    pub fn item(&self, decision: u64) -> Option<&HeldItem> {
        self.held.iter().find(|item| item.decision == decision)
    }

    /// Whether everything that opened it was taken back.
    #[must_use]
    pub fn is_moot(&self) -> bool {
        self.triggers == self.lines.len() as u64 && self.lines.iter().all(|line| line.is_retracted)
    }

    /// Takes a trigger in. Yields its line, and what made room.
    pub(super) fn join(&mut self, trigger: &Trigger, value: Option<Amount>, policy: &Policy) -> (Line, Left) {
        let mut left = Left::default();
        self.latest_at = trigger.at;
        self.triggers += 1;
        if self.lines.len() >= TRIGGERS_MAX {
            left.alert = self.lines.pop_front().and_then(|line| line.alert);
        }
        // An alert about a withdrawal that is held is about the same loss.
        let about = trigger.about.and_then(|decision| self.item(decision)).map(|item| item.fingerprint);
        let fingerprint = trigger.held.as_ref().map(|held| held.fingerprint).or(about);
        let line = Line::of(trigger, value, policy, fingerprint);
        self.lines.push_back(line.clone());
        if let Some(held) = &trigger.held {
            if self.held.len() >= HELD_MAX {
                let idle = self.held.iter().position(|item| item.review.is_open(trigger.at));
                left.held = Some(self.held.remove(idle.unwrap_or(0)));
            }
            self.held.push(HeldItem {
                decision: trigger.position,
                at: trigger.at,
                fingerprint: held.fingerprint,
                reasons: held.reasons.iter().take(COVERS_MAX).cloned().collect(),
                review: Review::Held,
            });
        }
        self.weigh(trigger.at, policy);
        (line, left)
    }

    /// Sums up what may be lost: each withdrawal once, however often it was repeated, and the worst of the alerts,
    /// which may all be about one loss. A case may become more urgent, and then its deadline comes nearer.
    pub(super) fn weigh(&mut self, at: UnixNanos, policy: &Policy) {
        let mut withdrawals: std::collections::BTreeMap<[u8; 16], Option<Amount>> = Default::default();
        let mut worst: Option<Amount> = Some(Amount::ZERO);
        for line in self.lines.iter().filter(|line| !line.is_retracted) {
            match line.fingerprint {
                Some(fingerprint) => {
                    let known = withdrawals.entry(fingerprint).or_insert(Some(Amount::ZERO));
                    *known = largest(*known, line.expected_loss);
                }
                None => worst = largest(worst, line.expected_loss),
            }
        }
        self.expected_loss = withdrawals.into_values().fold(worst, |sum, loss| sum?.checked_add(loss?));
        self.priority = policy.priority(self.expected_loss);
        self.deadline = self.deadline.min(policy.deadline(self.priority, at));
    }

    pub(super) fn feed(&self, digest: &mut StateDigest) {
        let amount = |digest: &mut StateDigest, amount: Option<Amount>| {
            digest.number(u64::from(amount.is_some()));
            digest.amount(amount.unwrap_or_default());
        };
        digest.number(self.id);
        digest.bytes(self.entity.to_string().as_bytes());
        for time in [self.opened_at, self.latest_at, self.deadline] {
            digest.time(time);
        }
        digest.bytes(self.priority.as_str().as_bytes());
        amount(digest, self.expected_loss);
        digest.number(self.revision);
        digest.bytes(self.assignee.as_deref().unwrap_or_default().as_bytes());
        digest.number(self.triggers);
        digest.number(self.lines.len() as u64);
        for line in &self.lines {
            digest.number(line.position);
            digest.bytes(line.code.as_bytes());
            digest.number(u64::from(line.probability_ppm));
            amount(digest, line.expected_loss);
            digest.number(u64::from(line.is_retracted));
        }
        digest.number(self.held.len() as u64);
        for item in &self.held {
            digest.number(item.decision);
            digest.bytes(&item.fingerprint);
            digest.number(item.reasons.len() as u64);
            item.reasons.iter().for_each(|reason| digest.bytes(reason.as_str().as_bytes()));
            digest.bytes(format!("{:?}", item.review).as_bytes());
        }
        digest.number(self.appeals.len() as u64);
        self.appeals.iter().for_each(|appeal| appeal.feed(digest));
        digest.number(self.done.len() as u64);
        for done in &self.done {
            digest.number(done.position);
            digest.bytes(done.actor.to_string().as_bytes());
            digest.bytes(done.what.as_bytes());
            digest.bytes(done.text.as_deref().unwrap_or_default().as_bytes());
        }
        let resolved = self.resolution.as_ref();
        digest.optional_time(resolved.map(|resolution| resolution.at));
        digest.bytes(resolved.map_or("", |resolution| resolution.disposition.as_str()).as_bytes());
    }
}

/// The larger of two losses; one that is unknown is larger than any.
fn largest(one: Option<Amount>, other: Option<Amount>) -> Option<Amount> {
    Some(one?.max(other?))
}
