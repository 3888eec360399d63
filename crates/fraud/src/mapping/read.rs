//! From a row to an event, strictly: what cannot be read is a fault of that row, with its column and value.

use std::ops::Range;

use domain::UnixNanos;

use super::{Column, FieldKind, Mapping, Source, TimeColumn, TimeFormat};
use crate::stream::csv::Row;

/// Longest text of an id, an entity or a category, in bytes.
pub const VALUE_BYTES_MAX: usize = 256;
/// How much of an offending value an error shows, in characters.
const SHOWN_CHARS: usize = 64;

/// Why a mapping does not fit a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The header names a column twice that the mapping reads.
    #[error("the header names column {column:?} twice")]
    Ambiguous {
        /// The column.
        column: String,
    },
    /// A constant of the mapping cannot be read as its type.
    #[error("field {field}: {fault}")]
    Constant {
        /// The field.
        field: String,
        /// What is wrong with the constant.
        fault: Box<EventFault>,
    },
    /// The mapping reads a column that the header lacks.
    #[error("the header has no column {column:?}; it has {header}")]
    Missing {
        /// The column.
        column: String,
        /// The columns there are.
        header: String,
    },
}

/// Why a row is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}, got {value:?}")]
pub struct EventFault {
    /// The column, as the mapping names it.
    pub column: String,
    /// The value, cut to 64 characters.
    pub value: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The row has fewer columns.
    #[error("the row has no such column")]
    Absent,
    /// Empty, and the field is not optional.
    #[error("must not be empty")]
    Empty,
    /// The amount has more decimal places than its unit.
    #[error("has more than {scale} decimal places")]
    FinerThanUnit {
        /// Decimal places of the unit.
        scale: u8,
    },
    /// The label is neither a positive nor a negative word.
    #[error("is no word of the label")]
    Label,
    /// Not a finite decimal number.
    #[error("is no decimal number")]
    NotANumber,
    /// Not a time in the stated form.
    #[error("is no time of the stated form between 1970 and 2554")]
    NotATime,
    /// Earlier than `time.from`, or not before `time.until`.
    #[error("is not within time.from and time.until")]
    OutOfPeriod,
    /// Not a whole number.
    #[error("is no whole number of minor units")]
    NotWhole,
    /// Not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// The amount does not fit 64 bits of minor units.
    #[error("exceeds 64 bits of minor units")]
    OutOfRange,
    /// Longer than [`VALUE_BYTES_MAX`].
    #[error("is longer than {VALUE_BYTES_MAX} bytes")]
    TooLong,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// Nothing was given.
    Missing,
    /// An amount in minor units.
    Money(i64),
    /// A number.
    Number(f64),
    /// An entity or a category, by its place in the event's text.
    Text(Range<usize>),
}

/// One event as the mapping reads it. Its buffers are reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct Event {
    /// When it happened.
    pub time: UnixNanos,
    /// Its label, if the row has one. It is known only after the label's delay.
    pub label: Option<bool>,
    /// The value of each field of the mapping, in order.
    pub values: Vec<Value>,
    id: Range<usize>,
    text: String,
}

impl Event {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text.get(self.id.clone()).unwrap_or_default()
    }

    /// The text of an entity or category field; `None` if it is missing or of another type.
    #[must_use]
    pub fn text(&self, field: usize) -> Option<&str> {
        match self.values.get(field)? {
            Value::Text(range) => self.text.get(range.clone()),
            _ => None,
        }
    }
}

/// A mapping resolved against a header.
#[derive(Debug, Clone)]
pub struct Reading {
    mapping: Mapping,
    time: usize,
    id: Option<usize>,
    label: Option<usize>,
    /// Column of each field; `None` for constants.
    fields: Vec<Option<usize>>,
    /// Columns of the header; rows must have as many.
    columns: Option<usize>,
}

impl Mapping {
    /// Resolves columns against the header; `None` when the file has none.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(&self, header: Option<&Row>) -> Result<Reading, BindError> {
        let names: Vec<&[u8]> = header.map(|row| row.fields().collect()).unwrap_or_default();
        let find = |column: &Column| match column {
            Column::Position(position) => Ok(position - 1),
            Column::Named(name) => {
                let mut places = names.iter().enumerate().filter(|(_, given)| **given == name.as_bytes());
                match (places.next(), places.next()) {
                    (Some((place, _)), None) => Ok(place),
                    (Some(_), Some(_)) => Err(BindError::Ambiguous { column: name.clone() }),
                    (None, _) => {
                        let header: Vec<String> = names.iter().take(64).map(|name| shown(name)).collect();
                        Err(BindError::Missing { column: name.clone(), header: header.join(", ") })
                    }
                }
            }
        };
        let reading = Reading {
            time: find(&self.time.column)?,
            id: self.id.as_ref().map(find).transpose()?,
            label: self.label.as_ref().map(|label| find(&label.column)).transpose()?,
            fields: self
                .fields
                .iter()
                .map(|field| match &field.source {
                    Source::Column(column) => find(column).map(Some),
                    Source::Constant(_) => Ok(None),
                })
                .collect::<Result<_, _>>()?,
            columns: header.map(Row::len),
            mapping: self.clone(),
        };
        // A constant that cannot be read would fault every row; it is a fault of the mapping.
        let mut scratch = String::new();
        for field in &self.fields {
            if let Source::Constant(text) = &field.source {
                value(&field.kind, field.optional, text.as_bytes(), &mut scratch).map_err(|problem| {
                    let fault =
                        EventFault { column: field.name.clone(), value: shown(text.as_bytes()), problem };
                    BindError::Constant { field: field.name.clone(), fault: Box::new(fault) }
                })?;
            }
        }
        Ok(reading)
    }
}

impl Reading {
    /// The mapping that was resolved.
    #[must_use]
    pub const fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Reads a row into `event`; `number` is the number of the row and its id where the mapping names none.
    ///
    /// # Errors
    /// [`EventFault`]: the first column that cannot be read.
    pub fn read(&self, row: &Row, number: u64, event: &mut Event) -> Result<(), EventFault> {
        let mapping = &self.mapping;
        event.text.clear();
        event.values.clear();
        if let Some(columns) = self.columns
            && row.len() != columns
        {
            let value = format!("{} of {columns} columns", row.len());
            return Err(EventFault { column: "(row)".to_owned(), value, problem: Problem::Absent });
        }
        let fault = |column: &Column, given: &[u8], problem| EventFault {
            column: column.to_string(),
            value: shown(given),
            problem,
        };
        let get = |column: &Column, place: usize| {
            row.field(place).ok_or_else(|| fault(column, b"", Problem::Absent))
        };

        let column = &mapping.time.column;
        let given = get(column, self.time)?;
        event.time =
            time(mapping.time.format, given).ok_or_else(|| fault(column, given, Problem::NotATime))?;
        let TimeColumn { from, until, .. } = mapping.time;
        if from.is_some_and(|from| event.time < from) || until.is_some_and(|until| event.time >= until) {
            return Err(fault(column, given, Problem::OutOfPeriod));
        }

        event.id = match (&mapping.id, self.id) {
            (Some(column), Some(place)) => {
                let given = get(column, place)?;
                if given.is_empty() {
                    return Err(fault(column, given, Problem::Empty));
                }
                push_text(given, &mut event.text).map_err(|problem| fault(column, given, problem))?
            }
            _ => {
                let start = event.text.len();
                event.text.push_str(&number.to_string());
                start..event.text.len()
            }
        };

        event.label = match (&mapping.label, self.label) {
            (Some(label), Some(place)) => {
                let given = get(&label.column, place)?;
                let is = |words: &[String]| words.iter().any(|word| word.as_bytes() == given);
                if is(&label.positive) {
                    Some(true)
                } else if given.is_empty() {
                    None
                } else if label.negative.is_empty() || is(&label.negative) {
                    Some(false)
                } else {
                    return Err(fault(&label.column, given, Problem::Label));
                }
            }
            _ => None,
        };

        for (field, place) in mapping.fields.iter().zip(&self.fields) {
            let read = match (&field.source, place) {
                (Source::Column(column), Some(place)) => {
                    let given = get(column, *place)?;
                    value(&field.kind, field.optional, given, &mut event.text)
                        .map_err(|problem| fault(column, given, problem))?
                }
                (Source::Constant(text), _) => {
                    value(&field.kind, field.optional, text.as_bytes(), &mut event.text).map_err(
                        |problem| EventFault {
                            column: field.name.clone(),
                            value: shown(text.as_bytes()),
                            problem,
                        },
                    )?
                }
                (Source::Column(_), None) => Value::Missing,
            };
            event.values.push(read);
        }
        Ok(())
    }
}

/// Text for an error message: bounded, and readable whatever the bytes are.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(4 * SHOWN_CHARS)).unwrap_or_default())
        .chars()
        .take(SHOWN_CHARS)
        .collect()
}

fn push_text(given: &[u8], into: &mut String) -> Result<Range<usize>, Problem> {
    if given.len() > VALUE_BYTES_MAX {
        return Err(Problem::TooLong);
    }
    let text = std::str::from_utf8(given).map_err(|_| Problem::NotUtf8)?;
    let start = into.len();
    into.push_str(text);
    Ok(start..into.len())
}

fn value(kind: &FieldKind, optional: bool, given: &[u8], text: &mut String) -> Result<Value, Problem> {
    if given.is_empty() {
        return if optional { Ok(Value::Missing) } else { Err(Problem::Empty) };
    }
    match kind {
        FieldKind::Bool { positive } => Ok(Value::Bool(positive.iter().any(|word| word.as_bytes() == given))),
        FieldKind::Category | FieldKind::Entity => push_text(given, text).map(Value::Text),
        FieldKind::Money { minor: true, .. } => {
            whole(given).unwrap_or(Err(Problem::NotWhole)).map(Value::Money)
        }
        FieldKind::Money { minor: false, scale, .. } => decimal(given, *scale).map(Value::Money),
        FieldKind::Number => number(given).map(Value::Number).ok_or(Problem::NotANumber),
    }
}

/// A whole number of minor units: `None` if it is none, an error if it does not fit.
fn whole(given: &[u8]) -> Option<Result<i64, Problem>> {
    let digits = given.strip_prefix(b"-").unwrap_or(given);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(given).ok()?;
    Some(text.parse().map_err(|_| Problem::OutOfRange))
}

/// A decimal number of major units as minor units, exactly.
fn decimal(given: &[u8], scale: u8) -> Result<i64, Problem> {
    let (negative, digits) = match given {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (mut places, mut seen, mut minor) = (None, false, 0_i64);
    let mut push = |digit: u8| -> Result<(), Problem> {
        minor = minor
            .checked_mul(10)
            .and_then(|minor| minor.checked_sub(i64::from(digit)))
            .ok_or(Problem::OutOfRange)?;
        Ok(())
    };
    for byte in digits {
        match (byte, &mut places) {
            (b'.', None) => places = Some(0_u8),
            (b'0'..=b'9', None) => {
                seen = true;
                push(byte - b'0')?;
            }
            (b'0'..=b'9', Some(places)) if *places < scale => {
                seen = true;
                *places += 1;
                push(byte - b'0')?;
            }
            // Zeroes past the unit change nothing.
            (b'0', Some(_)) => seen = true,
            (b'1'..=b'9', Some(_)) => return Err(Problem::FinerThanUnit { scale }),
            _ => return Err(Problem::NotANumber),
        }
    }
    if !seen {
        return Err(Problem::NotANumber);
    }
    for _ in places.unwrap_or(0)..scale {
        push(0)?;
    }
    // Summed below zero, so that the most negative number fits as well.
    if negative { Ok(minor) } else { minor.checked_neg().ok_or(Problem::OutOfRange) }
}

/// A finite number in plain or exponent notation; the words for infinities and NaN are none.
fn number(given: &[u8]) -> Option<f64> {
    let plain = given.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let number: f64 = std::str::from_utf8(given).ok().filter(|_| plain)?.parse().ok()?;
    number.is_finite().then_some(number)
}

fn time(format: TimeFormat, given: &[u8]) -> Option<UnixNanos> {
    match format {
        TimeFormat::Rfc3339 => UnixNanos::parse_rfc3339(std::str::from_utf8(given).ok()?).ok(),
        TimeFormat::Steps { step, origin } => {
            let steps: i128 = whole(given)?.ok()?.into();
            let offset = steps.checked_mul(i128::try_from(step.as_nanos()).ok()?)?;
            u64::try_from(i128::from(origin.0).checked_add(offset)?).ok().map(UnixNanos)
        }
    }
}
