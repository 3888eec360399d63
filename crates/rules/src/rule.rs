//! One rule: a condition, what is done when it holds, and the words for it.

use std::fmt;

use crypto::Sha256;
use domain::{UnixNanos, Verdict};

use crate::{
    ast::Expr,
    bounds::{FIXTURES_MAX, LIST_VALUES_MAX},
    reason::Reason,
    schema::{Schema, SlotId},
    slots::Slots,
    tree::{Logic, Tally},
};

/// What a rule asks for when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Speaks for the request.
    Allow,
    /// The customer proves it is them.
    Challenge,
    /// It does not happen.
    Deny,
    /// It waits for people.
    Hold,
    /// Adds the rule's weight to a score.
    Score,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Challenge, Self::Deny, Self::Hold, Self::Score];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Deny => "deny",
            Self::Hold => "hold",
            Self::Score => "score",
        }
    }

    /// As a verdict; `None` for a score, which is none by itself.
    #[must_use]
    pub const fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Allow => Some(Verdict::Allow),
            Self::Challenge => Some(Verdict::Challenge),
            Self::Deny => Some(Verdict::Deny),
            Self::Hold => Some(Verdict::Hold),
            Self::Score => None,
        }
    }

    /// Whether it keeps a customer from what they asked for.
    #[must_use]
    pub const fn blocks(self) -> bool {
        matches!(self, Self::Deny | Self::Hold)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a rule has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It has.
    Enforce,
    /// It is only watched. Where every rule begins.
    Shadow,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Enforce, Self::Shadow];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// What a rule does when its condition is missing, because what it reads is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenMissing {
    /// It fires: not knowing is reason enough.
    Fire,
    /// It stays quiet.
    Quiet,
}

impl WhenMissing {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Fire, Self::Quiet];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fire => "fire",
            Self::Quiet => "quiet",
        }
    }
}

/// An example a rule carries: it was run when the rules were loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixture {
    /// What it shows.
    pub name: String,
    /// Whether the rule fires on it.
    pub expect: bool,
}

/// A rule of a loaded set: parsed, checked, compiled, its fixtures run.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) when: Expr,
    pub(crate) action: Action,
    pub(crate) weight: f64,
    pub(crate) reason_text: String,
    pub(crate) reason: Reason,
    pub(crate) owner: String,
    pub(crate) mode: Mode,
    pub(crate) when_missing: WhenMissing,
    pub(crate) valid_from: Option<UnixNanos>,
    pub(crate) fixtures: Vec<Fixture>,
    pub(crate) logic: Logic,
    pub(crate) tally: Tally,
    pub(crate) reads: Vec<String>,
    /// The named lists its condition uses, sorted.
    pub(crate) lists: Vec<String>,
    pub(crate) logic_hash: [u8; 32],
    pub(crate) hash: [u8; 32],
}

impl Rule {
    /// Stable id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Short title for people.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The condition in canonical text.
    #[must_use]
    pub fn when(&self) -> String {
        self.when.to_string()
    }

    /// What it asks for.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// What it adds to a score; zero unless its action is [`Action::Score`].
    #[must_use]
    pub const fn weight(&self) -> f64 {
        self.weight
    }

    /// The sentence as written, with its `{places}`.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason_text
    }

    /// Who answers for it.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether it has an effect.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What it does when its condition is missing.
    #[must_use]
    pub const fn when_missing(&self) -> WhenMissing {
        self.when_missing
    }

    /// From when on it counts; always, if `None`.
    #[must_use]
    pub const fn valid_from(&self) -> Option<UnixNanos> {
        self.valid_from
    }

    /// Its examples.
    #[must_use]
    pub fn fixtures(&self) -> &[Fixture] {
        &self.fixtures
    }

    /// The slots its condition reads, sorted by name.
    #[must_use]
    pub fn reads(&self) -> &[String] {
        &self.reads
    }

    /// Worst case of one evaluation in steps. A step is one comparison, calculation or probe of a list; sixteen bytes of
    /// the longest string are one step. At most [`crate::bounds::COST_MAX`].
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.tally.cost
    }

    /// SHA-256 of everything about it that has an effect or is shown: all but its fixtures, layout and comments.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Whether another rule decides alike: same condition, lists, types, action, weight and treatment of what is missing.
    /// Title, owner, reason, mode and time may differ.
    #[must_use]
    pub fn decides_as(&self, other: &Self) -> bool {
        self.logic_hash == other.logic_hash
    }

    /// Whether it is true, false, or missing (`None`) for an event, whatever its mode and time.
    #[must_use]
    pub fn truth(&self, slots: &Slots) -> Option<bool> {
        self.logic.eval(slots)
    }

    pub(crate) fn fires(&self, slots: &Slots) -> bool {
        self.logic.eval(slots).unwrap_or(self.when_missing == WhenMissing::Fire)
    }

    /// The slots it reads.
    pub(crate) fn slot_ids(&self) -> impl Iterator<Item = SlotId> {
        self.tally.reads.iter().map(|&slot| SlotId(slot))
    }
}

/// Hashes fields so that no two different sequences of fields give the same bytes: each has its length in front.
pub(crate) struct Fields(Sha256);

impl Fields {
    /// For one purpose, named by a tag.
    pub(crate) fn new(tag: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.add(tag.as_bytes());
        fields
    }

    pub(crate) fn add(&mut self, field: &[u8]) {
        // A length is below 2^64 on every machine there is.
        let len = u64::try_from(field.len()).unwrap_or(u64::MAX);
        self.0.update(&len.to_be_bytes());
        self.0.update(field);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finish()
    }
}

impl Rule {
    /// Computes the hashes. `lists` are those the condition names, with the hashes of their values.
    pub(crate) fn seal(&mut self, schema: &Schema, lists: &[(&str, [u8; 32])]) {
        debug_assert!(lists.len() <= LIST_VALUES_MAX && self.fixtures.len() <= FIXTURES_MAX);
        let mut logic = Fields::new("caponier rule logic 1");
        logic.add(self.when.to_string().as_bytes());
        logic.add(self.action.as_str().as_bytes());
        logic.add(&self.weight.to_bits().to_be_bytes());
        logic.add(self.when_missing.as_str().as_bytes());
        for (name, hash) in lists {
            logic.add(name.as_bytes());
            logic.add(hash);
        }
        // The type of what is read is part of what a condition means.
        for id in self.slot_ids() {
            let slot = schema.describe(id);
            logic.add(slot.name.as_bytes());
            logic.add(slot.ty.as_str().as_bytes());
        }
        self.logic_hash = logic.finish();
        let mut whole = Fields::new("caponier rule 1");
        whole.add(&self.logic_hash);
        for text in [&self.id, &self.title, &self.reason_text, &self.owner] {
            whole.add(text.as_bytes());
        }
        whole.add(self.mode.as_str().as_bytes());
        whole.add(&self.valid_from.map_or(Vec::new(), |at| at.0.to_be_bytes().to_vec()));
        self.hash = whole.finish();
    }
}
