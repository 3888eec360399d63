//! Which column of a CSV file means what: a small TOML document, so that any set of recorded events can be replayed
//! and evaluated without code of its own.
//!
//! A mapping names the event time, an event id, the label and its delay, and the fields that feature packs speak of
//! (`subject`, `counterparty`, `amount`, ...). It computes nothing and knows no feature. [`Mapping::bind`] resolves
//! it against a header; [`Reading::read`] then turns one row into one [`Event`], or says which column and value it
//! stumbled over.
//!
//! Bounds: [`TEXT_BYTES_MAX`] of document, [`FIELDS_MAX`] fields, [`WORDS_MAX`] words per list.

mod parse;
mod read;

use std::{fmt, time::Duration};

pub use self::read::{BindError, Event, EventFault, Problem, Reading, VALUE_BYTES_MAX, Value};

/// Longest document, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// Most fields of a mapping.
pub const FIELDS_MAX: usize = 64;
/// Most words of a list such as the positive labels.
pub const WORDS_MAX: usize = 256;
/// Most decimal places of an amount: a minor unit of 10^-18 is that of ether.
pub const SCALE_MAX: u8 = 18;
/// The field that names whom an alert is about, unless the mapping says otherwise.
pub const SUBJECT: &str = "subject";

/// How events are read from rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// What the set is called in reports.
    pub name: String,
    /// Byte between fields.
    pub delimiter: u8,
    /// Whether the first row names the columns.
    pub header: bool,
    /// The entity field whose value an alert is about: the card, the customer, the account.
    pub subject: String,
    /// The event time.
    pub time: TimeColumn,
    /// The event id; without it, the number of the row is the id.
    pub id: Option<Column>,
    /// What became known of the event later.
    pub label: Option<LabelColumn>,
    /// The fields, in the order of their names.
    pub fields: Vec<Field>,
}

impl Mapping {
    /// Parses a document.
    ///
    /// # Errors
    /// [`MappingErrors`]: every fault with its line and column.
    pub fn parse(text: &str) -> Result<Self, MappingErrors> {
        parse::parse(text)
    }

    /// Position of a field by name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By the name the header gives it.
    Named(String),
    /// By position, from 1.
    Position(usize),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Position(position) => write!(f, "{position}"),
        }
    }
}

/// Where the event time is and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeColumn {
    /// The column.
    pub column: Column,
    /// How it is written.
    pub format: TimeFormat,
    /// An earlier one is a fault of its row.
    pub from: Option<domain::UnixNanos>,
    /// This one or a later one is a fault of its row: a clock far ahead would make every event behind it late.
    pub until: Option<domain::UnixNanos>,
}

/// How an event time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339 text with any offset.
    Rfc3339,
    /// A whole number of steps after an origin, such as days since the start of a simulation.
    Steps {
        /// Length of a step.
        step: Duration,
        /// What step 0 is, in nanoseconds since 1970.
        origin: domain::UnixNanos,
    },
}

/// Where the label is, and when it becomes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelColumn {
    /// The column.
    pub column: Column,
    /// What is written for fraud.
    pub positive: Vec<String>,
    /// What is written for no fraud; empty: everything else but the empty text, which is no label.
    pub negative: Vec<String>,
    /// How long after the event its label arrives.
    pub delay: Duration,
}

/// A field that feature packs can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Where it comes from.
    pub source: Source,
    /// Whether an empty value is a missing one; otherwise it is a fault of the row.
    pub optional: bool,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// True for these words, false for all others.
    Bool {
        /// The words for true.
        positive: Vec<String>,
    },
    /// A word that is compared for equality, such as a channel.
    Category,
    /// Something with a history: a customer, a device, an address.
    Entity,
    /// An amount of money, held in minor units.
    Money {
        /// Whether the column holds minor units as a whole number, instead of a decimal number of major units.
        minor: bool,
        /// Decimal places of the unit: a minor unit is `10^-scale`.
        scale: u8,
        /// What it is an amount of, for people.
        unit: String,
    },
    /// A decimal number.
    Number,
}

impl FieldKind {
    /// Its word in a mapping.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bool { .. } => "bool",
            Self::Category => "category",
            Self::Entity => "entity",
            Self::Money { .. } => "money",
            Self::Number => "number",
        }
    }
}

/// Where the value of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A column of the row.
    Column(Column),
    /// The same text for every row.
    Constant(String),
}

/// One fault of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFault {
    /// Line, from 1; 0 for the whole document.
    pub line: usize,
    /// Column, from 1; 0 for the whole document.
    pub column: usize,
    /// The key it is about, dotted; empty for the whole document.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for MappingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Every fault of a mapping, in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct MappingErrors(pub Vec<MappingFault>);

#[cfg(test)]
mod tests;
