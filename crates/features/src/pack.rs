//! A feature pack: which fields an event has and which features are computed from them, as TOML text.
//!
//! Parsing compiles the pack into a plan of streams, cursors and sums; whatever is wrong is found here, with its line,
//! and never while events flow. Every kind of feature is described in `docs/operating/feature-packs.md`.
//!
//! Bounds: 1 MiB of text, 128 fields, 16 graphs, 1024 features (hidden and expanded ones included), durations up to 3660 days.

mod fault;
mod graphs;
mod kinds;
mod reader;

use std::time::Duration;

use crypto::Sha256;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub use self::fault::{PackError, PackFault};
use self::{
    fault::nearest,
    graphs::GRAPHS_MAX,
    kinds::Builder,
    reader::{Reader, line_of},
};
use crate::plan::Plan;

/// Longest text of a pack, in bytes.
pub const PACK_BYTES_MAX: usize = 1 << 20;
/// Most fields of a pack.
pub const FIELDS_MAX: usize = 128;
/// Most features of a pack, hidden ones and one per window included.
pub const FEATURES_MAX: usize = 1_024;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldType {
    /// Yes or no.
    Bool,
    /// One of a few texts, as [`crate::category`] hashes it.
    Category,
    /// Somebody or something with a state of its own, as [`crate::EntityHash`] hashes it.
    Entity,
    /// Integer minor units; a unit has 10^`scale` of them.
    Money {
        /// Decimal places of the unit, 0 to 18.
        scale: u32,
    },
    /// A number; sums and extremes are exact over its value rounded to `decimals` decimal places.
    Number {
        /// 0 to 12.
        decimals: u32,
    },
}

impl FieldType {
    /// The name in a pack.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Category => "category",
            Self::Entity => "entity",
            Self::Money { .. } => "money",
            Self::Number { .. } => "number",
        }
    }
}

/// A field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; unique in the pack.
    pub name: String,
    /// What it holds.
    pub field_type: FieldType,
    /// Unit of its value, for people.
    pub unit: String,
    /// Meaning, for people.
    pub doc: String,
}

/// A computed feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name; unique in the pack.
    pub name: String,
    /// The kind of feature, as in the pack.
    pub kind: String,
    /// Unit, for people.
    pub unit: String,
    /// Meaning, for people.
    pub doc: String,
    /// Who answers for it.
    pub owner: String,
    /// What stands for a value that cannot be computed.
    pub missing: f64,
}

/// A parsed, compiled pack.
#[derive(Debug, Clone)]
pub struct Pack {
    name: String,
    version: u64,
    doc: String,
    resolution: Duration,
    allowed_lateness: Duration,
    fields: Vec<Field>,
    columns: Vec<Column>,
    omitted: Vec<String>,
    hash: [u8; 32],
    plan: Plan,
}

impl Pack {
    /// Parses and compiles a pack.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, PackError> {
        Self::build(text, None)
    }

    /// As [`Pack::parse`], for events that have only some of the fields: features that need another one are left out
    /// and listed by [`Pack::omitted`], together with the features that refer to them.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse_for(text: &str, present: &[&str]) -> Result<Self, PackError> {
        Self::build(text, Some(present))
    }

    fn build(text: &str, present: Option<&[&str]>) -> Result<Self, PackError> {
        let whole = |line, fault| PackError { line, entry: "pack".to_owned(), fault };
        if text.len() > PACK_BYTES_MAX {
            return Err(whole(1, PackFault::TooMany { what: "bytes", max: PACK_BYTES_MAX }));
        }
        let root = DeTable::parse(text).map_err(|error| {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            whole(line, PackFault::Syntax { message: error.message().to_owned() })
        })?;
        let root = root.get_ref();
        for (key, _) in root {
            let known = ["feature", "field", "graph", "pack"];
            if !known.iter().any(|name| key.get_ref() == name) {
                let nearest = nearest(key.get_ref(), known);
                let fault = PackFault::UnknownKey { key: key.get_ref().to_string(), nearest };
                return Err(whole(line_of(text, key.span().start), fault));
            }
        }
        let found = |key: &str| root.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value);
        let entry = |key: &'static str| found(key).ok_or_else(|| whole(1, PackFault::KeyMissing { key }));
        let mut reader = Reader::new(text, "pack", entry("pack")?)?;
        let name = reader.required("name")?;
        let version = reader.whole("version", 1..=u64::from(u32::MAX), "from 1")?;
        let version = version.ok_or_else(|| reader.missing("version"))?;
        let doc = reader.text("doc")?.unwrap_or_default();
        let tick_nanos = match reader.duration("resolution", 1)? {
            None => 1_000_000,
            Some(span) if span.ticks > 0 => span.ticks,
            Some(span) => {
                let range = "above zero";
                let fault = PackFault::OutOfRange { key: "resolution", text: span.text, range };
                return Err(reader.fault_at("resolution", fault));
            }
        };
        let lateness_ticks = match reader.duration("allowed_lateness", tick_nanos)? {
            Some(span) => span.ticks,
            None => reader.span("allowed_lateness", "10m".to_owned(), tick_nanos)?.ticks,
        };
        reader.finish()?;

        let mut builder = Builder::new(tick_nanos, lateness_ticks);
        for (index, value) in entries(text, "field", entry("field")?)?.iter().enumerate() {
            if index >= FIELDS_MAX {
                return Err(whole(1, PackFault::TooMany { what: "fields", max: FIELDS_MAX }));
            }
            let reader = Reader::new(text, format!("field {}", index + 1), value)?;
            builder.field(reader, present)?;
        }
        let graphs = found("graph").map(|value| entries(text, "graph", value)).transpose()?;
        for (index, value) in graphs.into_iter().flatten().enumerate() {
            if index >= GRAPHS_MAX {
                return Err(whole(1, PackFault::TooMany { what: "graphs", max: GRAPHS_MAX }));
            }
            builder.graph(Reader::new(text, format!("graph {}", index + 1), value)?)?;
        }
        for (index, value) in entries(text, "feature", entry("feature")?)?.iter().enumerate() {
            let reader = Reader::new(text, format!("feature {}", index + 1), value)?;
            builder.feature(reader)?;
        }
        let Builder { fields, columns, omitted, mut plan, .. } = builder;
        plan.seal();
        let mut digest = Sha256::new();
        digest.update(b"caponier feature pack 1\n");
        feed(root, &mut digest);
        for name in &omitted {
            digest.update(name.as_bytes());
            digest.update(b"\n");
        }
        Ok(Self {
            name,
            version,
            doc,
            resolution: Duration::from_nanos(tick_nanos),
            allowed_lateness: Duration::from_nanos(lateness_ticks.saturating_mul(tick_nanos)),
            fields,
            columns,
            omitted,
            hash: digest.finish(),
            plan,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, from 1.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// What it is for.
    #[must_use]
    pub fn doc(&self) -> &str {
        &self.doc
    }

    /// The step in which the engine reads time; event times are rounded down to it.
    #[must_use]
    pub const fn resolution(&self) -> Duration {
        self.resolution
    }

    /// How much older than the newest event an event may be and still enter its windows.
    #[must_use]
    pub const fn allowed_lateness(&self) -> Duration {
        self.allowed_lateness
    }

    /// The fields of an event, in the order of [`crate::Record::values`].
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The features, in the order of a row.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Features left out because the events lack a field, by name.
    #[must_use]
    pub fn omitted(&self) -> &[String] {
        &self.omitted
    }

    /// Where a field stands in a record.
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Where a feature stands in a row.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// SHA-256 over what the pack computes: everything in it but `doc` and `owner`, whatever its layout, and what was
    /// left out. Two packs with one hash compute the same rows.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// The tables of an array of tables.
fn entries<'a>(
    text: &str,
    key: &'static str,
    value: &'a Spanned<DeValue<'a>>,
) -> Result<Vec<&'a Spanned<DeValue<'a>>>, PackError> {
    match value.get_ref() {
        DeValue::Array(items) => Ok(items.iter().collect()),
        _ => Err(PackError {
            line: line_of(text, value.span().start),
            entry: "pack".to_owned(),
            fault: PackFault::WrongType { key, want: "an array of tables, as in [[feature]]" },
        }),
    }
}

/// Feeds a table in key order, each item with its type and length.
fn feed(table: &DeTable<'_>, digest: &mut Sha256) {
    let shown = |key: &str| !matches!(key, "doc" | "owner");
    digest.update(b"t");
    digest.update(&(table.iter().filter(|(key, _)| shown(key.get_ref())).count() as u64).to_be_bytes());
    for (key, value) in table.iter().filter(|(key, _)| shown(key.get_ref())) {
        feed_text(b"k", key.get_ref(), digest);
        feed_value(value.get_ref(), digest);
    }
}

fn feed_text(kind: &[u8], text: &str, digest: &mut Sha256) {
    digest.update(kind);
    digest.update(&(text.len() as u64).to_be_bytes());
    digest.update(text.as_bytes());
}

fn feed_value(value: &DeValue<'_>, digest: &mut Sha256) {
    match value {
        DeValue::String(text) => feed_text(b"s", text, digest),
        DeValue::Integer(_) | DeValue::Float(_) => {
            let number = reader::number(value).unwrap_or(f64::NAN);
            digest.update(b"n");
            digest.update(&number.to_bits().to_be_bytes());
        }
        DeValue::Boolean(flag) => digest.update(if *flag { b"1" } else { b"0" }),
        DeValue::Datetime(at) => feed_text(b"d", &at.to_string(), digest),
        DeValue::Array(items) => {
            digest.update(b"a");
            digest.update(&(items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| feed_value(item.get_ref(), digest));
        }
        DeValue::Table(table) => feed(table, digest),
    }
}

#[cfg(test)]
mod tests;
