//! The TOML form of a mapping; every fault is reported at once, unknown keys among them.

use std::{ops::Range, time::Duration};

use domain::UnixNanos;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Column, FIELDS_MAX, Field, FieldKind, LabelColumn, Mapping, MappingErrors, MappingFault, SCALE_MAX,
    SUBJECT, Source, TEXT_BYTES_MAX, TimeColumn, TimeFormat, WORDS_MAX,
};
use crate::stream::csv::COLUMNS_MAX;

/// Version of the form.
const VERSION: i64 = 1;
/// Longest name of a field, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest step or delay: a hundred years.
const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Units of time and their nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

pub(super) fn parse(text: &str) -> Result<Mapping, MappingErrors> {
    let mut reader = Reader { text, faults: Vec::new() };
    if text.len() > TEXT_BYTES_MAX {
        reader.fault(None, "", format!("is {} bytes long, at most {TEXT_BYTES_MAX} are read", text.len()));
        return Err(reader.errors());
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        reader.fault(error.span(), "", error.message().to_owned());
    }
    let mapping = reader.mapping(root.get_ref());
    match mapping {
        Some(mapping) if reader.faults.is_empty() => Ok(mapping),
        _ => Err(reader.errors()),
    }
}

/// A length of time such as `7d`, `90m` or `500ms`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let total = number.parse::<u64>().ok()?.checked_mul(*nanos)?;
    Some(Duration::from_nanos(total)).filter(|duration| *duration <= DURATION_MAX)
}

struct Reader<'t> {
    text: &'t str,
    faults: Vec<(usize, MappingFault)>,
}

/// A table with the dotted path it stands at.
#[derive(Clone, Copy)]
struct At<'a, 'i> {
    path: &'a str,
    table: &'a DeTable<'i>,
}

impl At<'_, '_> {
    fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get(key).map(Spanned::span)
    }
}

impl Reader<'_> {
    fn errors(mut self) -> MappingErrors {
        self.faults.sort_by_key(|(at, _)| *at);
        MappingErrors(self.faults.into_iter().map(|(_, fault)| fault).collect())
    }

    fn fault(&mut self, span: Option<Range<usize>>, key: &str, message: String) {
        let (line, column) = span.as_ref().map_or((0, 0), |span| line_column(self.text, span.start));
        let order = span.map_or(0, |span| span.start);
        self.faults.push((order, MappingFault { line, column, key: key.to_owned(), message }));
    }

    fn mapping(&mut self, root: &DeTable<'_>) -> Option<Mapping> {
        let at = At { path: "", table: root };
        self.only(at, &["csv", "field", "id", "label", "name", "subject", "time", "version"]);
        match self.integer(at, "version") {
            Some(VERSION) => {}
            Some(other) => {
                self.fault(at.span("version"), "version", format!("must be {VERSION}, got {other}"));
            }
            None if root.contains_key("version") => {}
            None => self.fault(None, "version", format!("is missing; this program reads {VERSION}")),
        }
        let name = self.text(at, "name").unwrap_or_default();
        let (delimiter, header) = self.csv(at);
        let time = self.table(at, "time", true).and_then(|at| self.time(at));
        let id = self.table(at, "id", false).and_then(|at| {
            self.only(at, &["column"]);
            self.column(at, true)
        });
        let label = self.table(at, "label", false).and_then(|at| self.label(at));
        let fields = self.fields(at);
        let subject = self.text(at, "subject");
        if let Some(subject) = &subject
            && !fields.iter().any(|field| field.name == *subject && field.kind == FieldKind::Entity)
        {
            self.fault(at.span("subject"), "subject", format!("no entity field is called {subject:?}"));
        }
        if !header {
            let columns = fields.iter().filter_map(|field| match &field.source {
                Source::Column(column) => Some((format!("field.{}.column", field.name), column)),
                Source::Constant(_) => None,
            });
            let others = [
                time.as_ref().map(|time| ("time.column".to_owned(), &time.column)),
                id.as_ref().map(|column| ("id.column".to_owned(), column)),
                label.as_ref().map(|label| ("label.column".to_owned(), &label.column)),
            ];
            let named: Vec<String> = columns
                .chain(others.into_iter().flatten())
                .filter(|(_, column)| matches!(column, Column::Named(_)))
                .map(|(key, _)| key)
                .collect();
            for key in named {
                self.fault(None, &key, "must be a position, since csv.header is false".to_owned());
            }
        }
        let subject = subject.unwrap_or_else(|| SUBJECT.to_owned());
        Some(Mapping { name, delimiter, header, subject, time: time?, id, label, fields })
    }

    fn csv(&mut self, root: At<'_, '_>) -> (u8, bool) {
        let Some(at) = self.table(root, "csv", false) else { return (b',', true) };
        self.only(at, &["delimiter", "header"]);
        let delimiter = match self.text(at, "delimiter").as_deref().map(str::as_bytes) {
            None => b',',
            Some([byte]) if !matches!(byte, b'"' | b'\n' | b'\r') && byte.is_ascii() => *byte,
            Some(_) => {
                let message = "must be one ASCII character, no quote and no line end".to_owned();
                self.fault(at.span("delimiter"), "csv.delimiter", message);
                b','
            }
        };
        (delimiter, self.boolean(at, "header").unwrap_or(true))
    }

    fn time(&mut self, at: At<'_, '_>) -> Option<TimeColumn> {
        self.only(at, &["column", "from", "origin", "unit", "until"]);
        let column = self.column(at, true);
        let unit = self.text(at, "unit");
        let mut moment = |name: &str| {
            self.text(at, name).and_then(|text| {
                UnixNanos::parse_rfc3339(&text)
                    .map_err(|error| self.fault(at.span(name), &format!("time.{name}"), error.to_string()))
                    .ok()
            })
        };
        let (origin, from, until) = (moment("origin"), moment("from"), moment("until"));
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            let message = "must be later than time.from".to_owned();
            self.fault(at.span("until"), "time.until", message);
        }
        let format = match unit.as_deref() {
            Some("rfc3339") => {
                if at.table.contains_key("origin") {
                    self.fault(
                        at.span("origin"),
                        "time.origin",
                        "means nothing for times in RFC 3339".to_owned(),
                    );
                }
                Some(TimeFormat::Rfc3339)
            }
            Some(word) => {
                // A bare unit is a step of one; a number before it makes steps of, say, "15m".
                let step = duration(word).or_else(|| duration(&format!("1{word}")));
                match step.filter(|step| !step.is_zero()) {
                    Some(step) => Some(TimeFormat::Steps { step, origin: origin.unwrap_or(UnixNanos(0)) }),
                    None => {
                        let units: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
                        let message = format!(
                            "must be \"rfc3339\", one of {} or a length such as \"15m\", got {word:?}",
                            units.join(", ")
                        );
                        self.fault(at.span("unit"), "time.unit", message);
                        None
                    }
                }
            }
            None if at.table.contains_key("unit") => None,
            None => {
                self.fault(None, "time.unit", "is missing".to_owned());
                None
            }
        };
        Some(TimeColumn { column: column?, format: format?, from, until })
    }

    fn label(&mut self, at: At<'_, '_>) -> Option<LabelColumn> {
        self.only(at, &["column", "delay", "negative", "positive"]);
        let column = self.column(at, true);
        let positive = self.words(at, "positive").unwrap_or_else(|| vec!["1".to_owned()]);
        let negative = self.words(at, "negative").unwrap_or_default();
        if let Some(both) = positive.iter().find(|word| negative.contains(word)) {
            self.fault(at.span("negative"), "label.negative", format!("{both:?} is positive too"));
        }
        let delay = match self.text(at, "delay") {
            Some(text) => duration(&text).or_else(|| {
                let message = format!("must be a length of time such as \"7d\", got {text:?}");
                self.fault(at.span("delay"), "label.delay", message);
                None
            }),
            None if at.table.contains_key("delay") => None,
            None => {
                let message = "is missing: say how long after an event its label is known".to_owned();
                self.fault(None, "label.delay", message);
                None
            }
        };
        Some(LabelColumn { column: column?, positive, negative, delay: delay? })
    }

    fn fields(&mut self, root: At<'_, '_>) -> Vec<Field> {
        let Some(all) = self.table(root, "field", false) else { return Vec::new() };
        if all.table.len() > FIELDS_MAX {
            let message = format!("has {} fields, at most {FIELDS_MAX} are read", all.table.len());
            self.fault(root.span("field"), "field", message);
            return Vec::new();
        }
        let mut fields = Vec::new();
        for (name, value) in all.table {
            let path = format!("field.{}", name.get_ref());
            if !is_name(name.get_ref()) {
                let message = format!(
                    "the name must be of a-z, 0-9 and _, begin with a letter and have at most {NAME_BYTES_MAX} bytes"
                );
                self.fault(Some(name.span()), &path, message);
            }
            let DeValue::Table(table) = value.get_ref() else {
                self.fault(Some(value.span()), &path, "must be a table".to_owned());
                continue;
            };
            fields.extend(self.field(name.get_ref(), At { path: &path, table }));
        }
        fields.sort_by(|left: &Field, right| left.name.cmp(&right.name));
        fields
    }

    fn field(&mut self, name: &str, at: At<'_, '_>) -> Option<Field> {
        let optional = self.boolean(at, "optional").unwrap_or(false);
        let kind = self.text(at, "type");
        let mut keys = vec!["column", "optional", "type", "value"];
        let kind = match kind.as_deref() {
            Some("bool") => {
                keys.push("true");
                Some(FieldKind::Bool {
                    positive: self.words(at, "true").unwrap_or_else(|| vec!["1".into(), "true".into()]),
                })
            }
            Some("category") => Some(FieldKind::Category),
            Some("entity") => Some(FieldKind::Entity),
            Some("money") => {
                keys.extend(["form", "scale", "unit"]);
                Some(self.money(at))
            }
            Some("number") => Some(FieldKind::Number),
            Some(other) => {
                let message = format!("must be bool, category, entity, money or number, got {other:?}");
                self.fault(at.span("type"), &at.path("type"), message);
                None
            }
            None if at.table.contains_key("type") => None,
            None => {
                self.fault(None, &at.path("type"), "is missing".to_owned());
                None
            }
        };
        self.only(at, &keys);
        let source = match (self.column(at, false), self.text(at, "value")) {
            (Some(column), None) => Some(Source::Column(column)),
            (None, Some(value)) => Some(Source::Constant(value)),
            (None, None) if at.table.contains_key("column") || at.table.contains_key("value") => None,
            (column, _) => {
                let message =
                    if column.is_some() { "has column and value" } else { "needs a column or a value" };
                self.fault(at.span("value").or(at.span("type")), at.path, message.to_owned());
                None
            }
        };
        Some(Field { name: name.to_owned(), kind: kind?, source: source?, optional })
    }

    fn money(&mut self, at: At<'_, '_>) -> FieldKind {
        let minor = match self.text(at, "form").as_deref() {
            Some("minor") => true,
            None | Some("decimal") => false,
            Some(other) => {
                let message = format!("must be minor or decimal, got {other:?}");
                self.fault(at.span("form"), &at.path("form"), message);
                false
            }
        };
        let scale = self.integer(at, "scale").unwrap_or(2);
        let scale = u8::try_from(scale).ok().filter(|scale| *scale <= SCALE_MAX).unwrap_or_else(|| {
            self.fault(at.span("scale"), &at.path("scale"), format!("must be 0 to {SCALE_MAX}, got {scale}"));
            0
        });
        FieldKind::Money { minor, scale, unit: self.text(at, "unit").unwrap_or_default() }
    }

    /// Faults for keys nobody reads.
    fn only(&mut self, at: At<'_, '_>, known: &[&str]) {
        for name in at.table.keys() {
            if !known.contains(&name.get_ref().as_ref()) {
                let message = format!("is not a known key; known are {}", known.join(", "));
                self.fault(Some(name.span()), &at.path(name.get_ref()), message);
            }
        }
    }

    fn table<'a, 'i>(&mut self, at: At<'a, 'i>, key: &'static str, needed: bool) -> Option<At<'a, 'i>> {
        match at.table.get(key).map(|value| (value.get_ref(), value.span())) {
            Some((DeValue::Table(table), _)) => Some(At { path: key, table }),
            Some((_, span)) => {
                self.fault(Some(span), key, "must be a table".to_owned());
                None
            }
            None => {
                if needed {
                    self.fault(None, key, "is missing".to_owned());
                }
                None
            }
        }
    }

    fn column(&mut self, at: At<'_, '_>, needed: bool) -> Option<Column> {
        match at.table.get("column").map(|value| (value.get_ref(), value.span())) {
            Some((DeValue::String(name), _)) if !name.is_empty() => Some(Column::Named(name.to_string())),
            Some((DeValue::Integer(integer), span)) => {
                let position = integer.as_str().parse::<usize>().ok();
                let position = position.filter(|position| (1..=COLUMNS_MAX).contains(position));
                if position.is_none() {
                    let message = format!("as a position must be 1 to {COLUMNS_MAX}");
                    self.fault(Some(span), &at.path("column"), message);
                }
                position.map(Column::Position)
            }
            Some((_, span)) => {
                let message = "must be a column's name or its position from 1".to_owned();
                self.fault(Some(span), &at.path("column"), message);
                None
            }
            None => {
                if needed {
                    self.fault(None, &at.path("column"), "is missing".to_owned());
                }
                None
            }
        }
    }

    fn text(&mut self, at: At<'_, '_>, key: &str) -> Option<String> {
        let value = at.table.get(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return Some(text.to_string());
        }
        self.fault(Some(value.span()), &at.path(key), "must be a string".to_owned());
        None
    }

    fn boolean(&mut self, at: At<'_, '_>, key: &str) -> Option<bool> {
        let value = at.table.get(key)?;
        if let DeValue::Boolean(boolean) = value.get_ref() {
            return Some(*boolean);
        }
        self.fault(Some(value.span()), &at.path(key), "must be true or false".to_owned());
        None
    }

    fn integer(&mut self, at: At<'_, '_>, key: &str) -> Option<i64> {
        let value = at.table.get(key)?;
        if let DeValue::Integer(integer) = value.get_ref()
            && let Ok(integer) = i64::from_str_radix(integer.as_str(), integer.radix())
        {
            return Some(integer);
        }
        self.fault(Some(value.span()), &at.path(key), "must be a whole number".to_owned());
        None
    }

    fn words(&mut self, at: At<'_, '_>, key: &str) -> Option<Vec<String>> {
        let value = at.table.get(key)?;
        let words: Option<Vec<String>> = match value.get_ref() {
            DeValue::Array(list) if (1..=WORDS_MAX).contains(&list.len()) => list
                .iter()
                .map(|word| match word.get_ref() {
                    DeValue::String(word) => Some(word.to_string()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        if words.is_none() {
            let message = format!("must be a list of 1 to {WORDS_MAX} strings");
            self.fault(Some(value.span()), &at.path(key), message);
        }
        words
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Line and column of a byte offset, both from 1.
fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}
