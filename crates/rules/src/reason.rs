//! Reasons: one sentence for people, with the event's values in it.
//!
//! `{withdrawals_24h}` stands for the value of a slot with its unit; `{{` and `}}` stand for braces. Values from outside are
//! shortened and stripped of control characters.

use std::fmt::Write as _;

use crate::{
    bounds::TEXT_SHOWN_MAX,
    nearest::hint,
    number::duration_text,
    schema::{Schema, SlotId},
    slots::{Slots, Value},
};

/// What stands for a value that is missing.
const MISSING: &str = "unknown";
/// Decimal places of a float.
const DECIMALS: usize = 4;
/// Units of a duration that are shown: the two largest.
const DURATION_UNITS: usize = 2;

/// A sentence with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Slot(SlotId),
    Words(String),
}

impl Reason {
    /// Reads a sentence; says what is wrong with it.
    pub(crate) fn parse(text: &str, schema: &Schema) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut words = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            words.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                words.push_str(&from[..1]);
                rest = after;
                continue;
            }
            let Some((name, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) else {
                return Err(format!("a brace without its other (a brace itself is `{0}{0}`)", &from[..1]));
            };
            let Some(id) = schema.slot(name) else {
                return Err(format!("unknown name `{name}`{}", hint(schema.nearest(name))));
            };
            parts.push(Part::Words(std::mem::take(&mut words)));
            parts.push(Part::Slot(id));
            rest = after;
        }
        words.push_str(rest);
        parts.push(Part::Words(words));
        parts.retain(|part| !matches!(part, Part::Words(words) if words.is_empty()));
        Ok(Self { parts })
    }

    /// The sentence for one event.
    pub(crate) fn render(&self, slots: &Slots) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Words(words) => out.push_str(words),
                Part::Slot(id) => out.push_str(&slot_text(slots, *id)),
            }
        }
        out
    }
}

/// The value of a slot with its unit.
pub(crate) fn slot_text(slots: &Slots, id: SlotId) -> String {
    slots
        .value(id)
        .map_or_else(|| MISSING.to_owned(), |value| value_text(value, &slots.schema().describe(id).unit))
}

/// A value with a unit.
pub(crate) fn value_text(value: Value<'_>, unit: &str) -> String {
    let text = match value {
        Value::Bool(value) => return (if value { "yes" } else { "no" }).to_owned(),
        Value::Double(value) => double_text(value),
        Value::Duration(nanos) => return short_duration(nanos),
        Value::Int(value) => value.to_string(),
        Value::Money(value) => value.to_string(),
        Value::String(text) => shown(text),
        Value::Timestamp(at) => return at.to_string(),
    };
    match unit {
        "" => text,
        "%" => text + unit,
        _ => format!("{text} {unit}"),
    }
}

/// Four decimal places at most; more digits where that would hide the number.
pub(crate) fn double_text(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.DECIMALS$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    (if text == "-0" { "0" } else { text }).to_owned()
}

/// The two largest units of a duration.
fn short_duration(nanos: i64) -> String {
    let text = duration_text(nanos);
    let mut out = String::new();
    let mut n_units = 0;
    let mut was_digit = true;
    for c in text.chars() {
        if c.is_ascii_digit() && !was_digit {
            n_units += 1;
            if n_units == DURATION_UNITS {
                break;
            }
            out.push(' ');
        }
        was_digit = c.is_ascii_digit() || c == '-';
        out.push(c);
    }
    out
}

/// Text from outside: short, on one line.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(TEXT_SHOWN_MAX) {
        if c.is_control() {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(TEXT_SHOWN_MAX).is_some() {
        out.push('…');
    }
    out
}
