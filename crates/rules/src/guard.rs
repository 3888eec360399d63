//! Weak evidence never blocks: a static check that no rule can hold or deny for what many honest customers do.
//!
//! Some facts say little by themselves: a VPN, Tor, a device shared in a household, a name that resembles another. The guard
//! names such slots. A rule that holds or denies and reads one of them is refused unless it also takes strong evidence to
//! fire, where strong means: something no ordinary customer meets.
//!
//! What is proven. Let every weak slot have any value, and every other slot any value that is *ordinary* for it: what was
//! declared for it, and any value at all if nothing was. A rule that is accepted is true for none of these events. The
//! proof computes, for each part of the condition, what it can be (interval arithmetic for numbers, sets for texts); it
//! overestimates where one slot stands in several places, so it refuses some rules that are fine and accepts none that are
//! not. A clause that reads a weak slot together with a strong one counts as weak for that reason: the weak part can tip it.
//!
//! A rule that fires when its condition is missing is refused if it reads a weak slot: not knowing is no evidence either.
//! Rules that read no weak slot, and rules that only challenge, allow or score, are none of the guard's business.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use domain::Amount;

use crate::{
    intern::{Interner, Symbol},
    nearest::hint,
    possible::{Range, Values, saturated},
    rule::{Rule, WhenMissing},
    schema::{Schema, SlotId, Type},
};

/// The first symbol that no set uses: set symbols are bounded far below.
const FREE_SYMBOL: u32 = 1 << 31;

/// What is ordinary for a slot: values that are no evidence.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Ordinary {
    /// For [`Type::Duration`]: from low to high, in nanoseconds.
    Durations(i64, i64),
    /// For [`Type::Bool`].
    Flag(bool),
    /// For [`Type::Double`], [`Type::Int`] and [`Type::Money`]: from low to high.
    Numbers(f64, f64),
    /// For [`Type::String`].
    Texts(Vec<String>),
}

/// Which slots are weak evidence, and what is ordinary for others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guard {
    weak: BTreeSet<String>,
    ordinary: BTreeMap<String, Ordinary>,
}

/// What is wrong with a guard: it must not fail open by a typing error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// No such slot.
    #[error("the guard names `{name}`, which is no slot{}", hint(nearest.as_deref()))]
    UnknownName {
        /// As written.
        name: String,
        /// The closest one.
        nearest: Option<String>,
    },
    /// Ordinary values of another type than the slot's, or none at all.
    #[error("the guard's ordinary values of `{name}` are none of its type {ty}")]
    WrongType {
        /// The slot.
        name: String,
        /// Its type.
        ty: Type,
    },
}

/// A rule that could block on weak evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule.
    pub rule: String,
    /// The weak slots it reads.
    pub weak: Vec<String>,
    /// Whether it fires when its condition is missing, which is reason enough.
    pub fires_when_missing: bool,
    /// The other slots it reads for which nothing was declared ordinary, so that any value is.
    pub undeclared: Vec<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = self.weak.join(", ");
        if self.fires_when_missing {
            return write!(f, "it would block when nothing is known beside weak evidence ({weak})");
        }
        write!(f, "it can block on weak evidence ({weak}) and what is ordinary for the rest")?;
        if !self.undeclared.is_empty() {
            write!(f, "; nothing is declared ordinary for {}", self.undeclared.join(", "))?;
        }
        f.write_str("; add a clause that no ordinary customer meets, or challenge or score instead")
    }
}

impl Guard {
    /// A guard for the slots of these names.
    pub fn new<N: Into<String>>(weak: impl IntoIterator<Item = N>) -> Self {
        Self { weak: weak.into_iter().map(Into::into).collect(), ordinary: BTreeMap::new() }
    }

    /// With what is ordinary for a slot. For weak slots it has no effect.
    #[must_use]
    pub fn ordinary(mut self, name: impl Into<String>, values: Ordinary) -> Self {
        self.ordinary.insert(name.into(), values);
        self
    }

    /// The names of the weak slots.
    pub fn weak(&self) -> impl Iterator<Item = &str> {
        self.weak.iter().map(String::as_str)
    }

    /// The rules that could block on weak evidence.
    ///
    /// # Errors
    /// The guard itself does not fit the schema.
    pub(crate) fn check(
        &self,
        schema: &Schema,
        interner: &Interner,
        rules: &[Rule],
    ) -> Result<Vec<Refusal>, GuardError> {
        let values = self.values(schema, interner)?;
        let mut refusals = Vec::new();
        for rule in rules.iter().filter(|rule| rule.action.blocks()) {
            let weak: Vec<String> =
                rule.reads.iter().filter(|name| self.weak.contains(*name)).cloned().collect();
            let fires_when_missing = rule.when_missing == WhenMissing::Fire;
            if !weak.is_empty() && (fires_when_missing || values.can_be_true(&rule.logic)) {
                let is_undeclared =
                    |name: &&String| !self.weak.contains(*name) && !self.ordinary.contains_key(*name);
                let undeclared = rule.reads.iter().filter(is_undeclared).cloned().collect();
                refusals.push(Refusal { rule: rule.id.clone(), weak, fires_when_missing, undeclared });
            }
        }
        Ok(refusals)
    }

    /// What is ordinary for each slot; weak ones may be anything.
    fn values(&self, schema: &Schema, interner: &Interner) -> Result<Values<'static>, GuardError> {
        let slot = |name: &str| -> Result<SlotId, GuardError> {
            schema.slot(name).ok_or_else(|| GuardError::UnknownName {
                name: name.to_owned(),
                nearest: schema.nearest(name).map(str::to_owned),
            })
        };
        for name in &self.weak {
            slot(name)?;
        }
        let mut values = Values::default();
        for (name, ordinary) in &self.ordinary {
            let id = slot(name)?;
            let ty = schema.describe(id).ty;
            let wrong = || GuardError::WrongType { name: name.clone(), ty };
            if self.weak.contains(name) {
                continue;
            }
            match (ty, ordinary) {
                (Type::Bool, Ordinary::Flag(value)) => {
                    values.flags.insert(id.0, *value);
                }
                (Type::Duration, Ordinary::Durations(low, high)) if low <= high => {
                    values.ints.insert(id.0, Range { low: *low, high: *high });
                }
                (Type::Double, Ordinary::Numbers(low, high)) if low <= high => {
                    values.doubles.insert(id.0, Range { low: *low, high: *high });
                }
                (Type::Int, Ordinary::Numbers(low, high)) if low.ceil() <= high.floor() => {
                    let (low, high) = (saturated(low.ceil()), saturated(high.floor()));
                    values.ints.insert(id.0, Range { low, high });
                }
                (Type::Money, Ordinary::Numbers(low, high)) if low <= high => {
                    let amount = |end: f64| {
                        if end.is_infinite() { Ok(None) } else { Amount::parse(&format!("{end}")).map(Some) }
                    };
                    let (low, high) =
                        (amount(*low).map_err(|_| wrong())?, amount(*high).map_err(|_| wrong())?);
                    values.amounts.insert(id.0, Range { low, high });
                }
                (Type::String, Ordinary::Texts(texts)) if !texts.is_empty() => {
                    // Texts that no rule mentions are told apart by numbers that no rule uses.
                    let free = (FREE_SYMBOL..).map(Symbol);
                    let symbols =
                        texts.iter().zip(free).map(|(text, free)| interner.lookup(text).unwrap_or(free));
                    values.texts.insert(id.0, symbols.collect());
                }
                _ => return Err(wrong()),
            }
        }
        Ok(values)
    }
}
