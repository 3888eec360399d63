//! What expressions may read: slots with a name, a type, a unit and a meaning.
//!
//! The caller draws the schema up from what it computes (columns of a feature pack, fields of an event) and fills the
//! slots of each event; names are resolved to slot numbers when rules load.

use std::{collections::BTreeMap, fmt};

use crate::{
    bounds::{NAME_BYTES_MAX, SLOTS_MAX},
    error::SchemaError,
    nearest::nearest,
    parse::RESERVED,
};

/// The first part of the names of lists.
pub(crate) const LISTS: &str = "lists";

/// The type of a slot and of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Type {
    /// True or false.
    Bool,
    /// A finite 64-bit float.
    Double,
    /// Signed nanoseconds, up to 292 years.
    Duration,
    /// A signed 64-bit integer.
    Int,
    /// An exact decimal amount.
    Money,
    /// Text of at most [`crate::bounds::TEXT_BYTES_MAX`] bytes; compared for equality as an integer.
    String,
    /// Nanoseconds since 1970 in UTC, until 2262.
    Timestamp,
}

impl Type {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Double => "double",
            Self::Duration => "duration",
            Self::Int => "int",
            Self::Money => "money",
            Self::String => "string",
            Self::Timestamp => "timestamp",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing an expression may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Name: words of letters, digits and `_`, with dots between them.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// Unit for people, as it stands behind the number; empty if there is none.
    pub unit: String,
    /// One sentence on what it means.
    pub doc: String,
}

impl Slot {
    /// A slot without unit or sentence.
    #[must_use]
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self { name: name.into(), ty, unit: String::new(), doc: String::new() }
    }

    /// With a unit.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// With a sentence on its meaning.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }
}

/// The number of a slot in its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub(crate) u16);

impl SlotId {
    /// The position in [`Schema::slots`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The slots that expressions may read, in the caller's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    slots: Vec<Slot>,
    by_name: BTreeMap<String, SlotId>,
}

/// Whether a text can name a slot: dotted words, none of them reserved.
pub(crate) fn is_slot_name(name: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !RESERVED.contains(&word)
            && !matches!(word, "true" | "false")
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_word) && name.split('.').next() != Some(LISTS)
}

impl Schema {
    /// From slots, in the order the caller counts them in.
    ///
    /// # Errors
    /// A name that is none or comes twice, or more than [`SLOTS_MAX`] slots.
    pub fn new(slots: Vec<Slot>) -> Result<Self, SchemaError> {
        if slots.len() > SLOTS_MAX {
            return Err(SchemaError::TooMany { max: SLOTS_MAX });
        }
        let mut by_name = BTreeMap::new();
        for (id, slot) in (0..).map(SlotId).zip(&slots) {
            if !is_slot_name(&slot.name) {
                return Err(SchemaError::Name(slot.name.clone()));
            }
            if by_name.insert(slot.name.clone(), id).is_some() {
                return Err(SchemaError::Duplicate(slot.name.clone()));
            }
        }
        Ok(Self { slots, by_name })
    }

    /// The number of a slot by its name.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<SlotId> {
        self.by_name.get(name).copied()
    }

    /// The slots in order; [`SlotId::index`] is the position.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// A slot by its number.
    ///
    /// # Panics
    /// If the number is of another, larger schema.
    #[must_use]
    pub fn describe(&self, id: SlotId) -> &Slot {
        &self.slots[id.index()]
    }

    /// The known name closest to one that is not known.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.slots.iter().map(|slot| slot.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_dots_and_unique() {
        let slots = |names: &[&str]| names.iter().map(|name| Slot::new(*name, Type::Int)).collect();
        let schema = Schema::new(slots(&["a", "device.age", "_x1"])).unwrap();
        assert_eq!(schema.slot("device.age").map(SlotId::index), Some(1));
        assert_eq!(schema.slot("device"), None);
        for name in ["", "1a", "a b", "a..b", "in", "x.true", "lists.a", "null", "é"] {
            assert_eq!(Schema::new(slots(&[name])), Err(SchemaError::Name(name.to_owned())));
        }
        assert_eq!(Schema::new(slots(&["a", "a"])), Err(SchemaError::Duplicate("a".to_owned())));
        let many: Vec<Slot> = (0..=SLOTS_MAX).map(|n| Slot::new(format!("s{n}"), Type::Int)).collect();
        assert_eq!(Schema::new(many), Err(SchemaError::TooMany { max: SLOTS_MAX }));
    }
}
