//! What is wrong with an expression, a document or what was put into slots; each with its place.

use std::fmt;

use crate::{
    bounds::FAULTS_MAX,
    nearest::hint,
    schema::Type,
    span::{Place, Span, excerpt, place},
};

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionFault {
    /// Constants that no evaluation can make a value of.
    #[error("is always missing: it divides by zero or leaves its range")]
    AlwaysMissing,
    /// A function with the wrong arguments.
    #[error("`{function}` takes {expected}")]
    Arguments {
        /// The function.
        function: String,
        /// What it takes.
        expected: &'static str,
    },
    /// `a < b < c`.
    #[error("comparisons do not chain (write `a < b && b < c`)")]
    Chained,
    /// More work than a rule may cost.
    #[error("costs up to {cost} steps, at most {max}")]
    Costly {
        /// Worst case.
        cost: u32,
        /// Bound.
        max: u32,
    },
    /// Not a literal of its kind.
    #[error("{what} is not {expected}")]
    Literal {
        /// The text.
        what: String,
        /// The form it should have.
        expected: &'static str,
    },
    /// Text that is no expression.
    #[error("{what}")]
    Malformed {
        /// What was found, and what would have been right.
        what: String,
    },
    /// An expression that is the same for every event.
    #[error("reads no slot, so it is the same for every event")]
    ReadsNothing,
    /// A bound.
    #[error("more than {max} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// Bound.
        max: usize,
    },
    /// Types that do not fit.
    #[error("{what}")]
    Types {
        /// The types and the operation.
        what: String,
    },
    /// A name of no function.
    #[error("unknown function `{name}`{}", hint(nearest.as_deref()))]
    UnknownFunction {
        /// As written.
        name: String,
        /// The closest one.
        nearest: Option<String>,
    },
    /// A name of no list.
    #[error("unknown list `{name}`{}", hint(nearest.as_deref()))]
    UnknownList {
        /// As written.
        name: String,
        /// The closest one.
        nearest: Option<String>,
    },
    /// A name of no slot.
    #[error("unknown name `{name}`{}", hint(nearest.as_deref()))]
    UnknownName {
        /// As written.
        name: String,
        /// The closest one.
        nearest: Option<String>,
    },
    /// Part of CEL, not of this language.
    #[error("{what} are not part of this language")]
    Unsupported {
        /// The feature.
        what: &'static str,
    },
}

/// A fault of an expression and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong.
    pub fault: ExpressionFault,
    /// Where in the expression.
    pub place: Place,
    /// The bytes of the expression that are at fault.
    pub span: Span,
    excerpt: String,
}

impl ExpressionError {
    pub(crate) fn new(source: &str, span: Span, fault: ExpressionFault) -> Self {
        Self { fault, place: place(source, span.start), span, excerpt: excerpt(source, span) }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "{line}:{column}: {}\n{}", self.fault, self.excerpt)
    }
}

impl std::error::Error for ExpressionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.fault)
    }
}

/// What is wrong with a schema. The caller's own fault, or its configuration's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The same name twice.
    #[error("slot `{0}` is declared twice")]
    Duplicate(String),
    /// Not a name, or one that the language keeps for itself.
    #[error("`{0}` cannot name a slot")]
    Name(String),
    /// Too many slots.
    #[error("more than {max} slots")]
    TooMany {
        /// Bound.
        max: usize,
    },
}

/// Why a value did not enter its slot. The slot is missing then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The number is no value of the slot's type.
    #[error("slot `{slot}` is {expected}: the value does not fit")]
    OutOfRange {
        /// The slot's name.
        slot: String,
        /// Its type.
        expected: Type,
    },
    /// The slot holds another type.
    #[error("slot `{slot}` is {expected}, not {got}")]
    Type {
        /// The slot's name.
        slot: String,
        /// Its type.
        expected: Type,
        /// The type of the value.
        got: Type,
    },
    /// More bytes of text than a slot or all of them hold.
    #[error("slot `{slot}`: text beyond the bounds")]
    TooLong {
        /// The slot's name.
        slot: String,
    },
    /// No slot of this schema.
    #[error("slot number {0} is not in the schema")]
    Unknown(u16),
}

/// The slots belong to another set of rules, so their strings mean something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the slots were made for another set of rules")]
pub struct ForeignSlots;

/// One fault of a document of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in the document.
    pub place: Place,
    /// The rule, if it is in one.
    pub rule: Option<String>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The line with carets, if it shows anything.
    pub excerpt: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.place.line, self.place.column)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        f.write_str(&self.message)?;
        self.excerpt.as_ref().map_or(Ok(()), |excerpt| write!(f, "\n{excerpt}"))
    }
}

/// Why a document was refused: every fault that was found, in order, up to [`FAULTS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// The faults.
    pub faults: Vec<Fault>,
    /// How many more there were.
    pub more: usize,
}

impl LoadError {
    /// From faults in any order and a number of faults that were only counted.
    pub(crate) fn new(mut faults: Vec<Fault>, more: usize) -> Self {
        faults.sort_by_key(|fault| fault.place);
        let more = more + faults.len().saturating_sub(FAULTS_MAX);
        faults.truncate(FAULTS_MAX);
        Self { faults, more }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_faults = self.faults.len() + self.more;
        write!(f, "the rules were refused: {n_faults} {}", if n_faults == 1 { "fault" } else { "faults" })?;
        for fault in &self.faults {
            write!(f, "\n{fault}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}
