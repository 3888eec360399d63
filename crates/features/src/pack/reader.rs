//! Reads one TOML table of a pack: every key is asked for by name and type, and what nobody asked for is an error.

use std::time::Duration;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::fault::{PackError, PackFault, nearest};

/// Longest duration in a pack.
const DURATION_MAX: Duration = Duration::from_secs(3_660 * 86_400);

/// One table with its place in the text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    table: &'a DeTable<'a>,
    line: usize,
    entry: String,
    asked: Vec<&'static str>,
}

/// A duration with the text that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) ticks: u64,
}

/// The line of a byte offset, from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        text: &'a str,
        entry: impl Into<String>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Result<Self, PackError> {
        let (line, entry) = (line_of(text, value.span().start), entry.into());
        match value.get_ref() {
            DeValue::Table(table) => Ok(Self { text, table, line, entry, asked: Vec::new() }),
            _ => {
                Err(PackError { line, entry, fault: PackFault::WrongType { key: "entry", want: "a table" } })
            }
        }
    }

    pub(crate) fn rename(&mut self, entry: String) {
        self.entry = entry;
    }

    pub(crate) fn fault(&self, fault: PackFault) -> PackError {
        PackError { line: self.line, entry: self.entry.clone(), fault }
    }

    /// A fault at the line of a key.
    pub(crate) fn fault_at(&self, key: &str, fault: PackFault) -> PackError {
        let span = self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(name, _)| name.span());
        let line = span.map_or(self.line, |span| line_of(self.text, span.start));
        PackError { line, entry: self.entry.clone(), fault }
    }

    /// The value of a key; the key counts as known from now on.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'a DeValue<'a>> {
        self.asked.push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value.get_ref())
    }

    fn wrong(&self, key: &'static str, want: &'static str) -> PackError {
        self.fault_at(key, PackFault::WrongType { key, want })
    }

    pub(crate) fn missing(&self, key: &'static str) -> PackError {
        self.fault(PackFault::KeyMissing { key })
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<String>, PackError> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(self.wrong(key, "a string")),
        }
    }

    pub(crate) fn required(&mut self, key: &'static str) -> Result<String, PackError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, PackError> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::Boolean(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    /// A finite number, as float or integer.
    pub(crate) fn number(&mut self, key: &'static str) -> Result<Option<f64>, PackError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => number(value).map(Some).ok_or_else(|| self.wrong(key, "a number")),
        }
    }

    /// A whole number from `range`.
    pub(crate) fn whole(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        shown: &'static str,
    ) -> Result<Option<u64>, PackError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let DeValue::Integer(integer) = value else { return Err(self.wrong(key, "a whole number")) };
        let parsed = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        parsed.filter(|whole| range.contains(whole)).map(Some).ok_or_else(|| {
            let text = integer.as_str().to_owned();
            self.fault_at(key, PackFault::OutOfRange { key, text, range: shown })
        })
    }

    /// A string, or an array of strings.
    pub(crate) fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, PackError> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(vec![text.to_string()])),
            Some(DeValue::Array(items)) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                let texts: Option<Vec<String>> = texts.collect();
                texts.map(Some).ok_or_else(|| self.wrong(key, "an array of strings"))
            }
            Some(_) => Err(self.wrong(key, "a string or an array of strings")),
        }
    }

    pub(crate) fn numbers(&mut self, key: &'static str) -> Result<Option<Vec<f64>>, PackError> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::Array(items)) => {
                let numbers: Option<Vec<f64>> = items.iter().map(|item| number(item.get_ref())).collect();
                numbers.map(Some).ok_or_else(|| self.wrong(key, "an array of numbers"))
            }
            Some(_) => Err(self.wrong(key, "an array of numbers")),
        }
    }

    /// A duration in ticks of `tick_nanos`.
    pub(crate) fn span(&self, key: &'static str, text: String, tick_nanos: u64) -> Result<Span, PackError> {
        let Some(duration) = parse_duration(&text) else {
            return Err(self.fault_at(key, PackFault::BadDuration { key, text }));
        };
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if !nanos.is_multiple_of(tick_nanos) {
            return Err(self.fault_at(key, PackFault::NotAMultiple { key, text }));
        }
        Ok(Span { text, ticks: nanos / tick_nanos })
    }

    pub(crate) fn duration(&mut self, key: &'static str, tick_nanos: u64) -> Result<Option<Span>, PackError> {
        match self.text(key)? {
            Some(text) => self.span(key, text, tick_nanos).map(Some),
            None => Ok(None),
        }
    }

    /// Tables in an array, or one table; each read by `read`.
    pub(crate) fn tables<T>(
        &mut self,
        key: &'static str,
        value: &'a DeValue<'a>,
        read: &mut impl FnMut(&mut Self) -> Result<T, PackError>,
    ) -> Result<Vec<T>, PackError> {
        let one = |table: &'a DeTable<'a>, read: &mut dyn FnMut(&mut Self) -> Result<T, PackError>| {
            let entry = format!("{}, {key}", self.entry);
            let mut inner = Self { text: self.text, table, line: self.line, entry, asked: Vec::new() };
            let read = read(&mut inner)?;
            inner.finish()?;
            Ok(read)
        };
        match value {
            DeValue::Table(table) => Ok(vec![one(table, read)?]),
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::Table(table) => one(table, read),
                    _ => Err(self.wrong(key, "a table or an array of tables")),
                })
                .collect(),
            _ => Err(self.wrong(key, "a table or an array of tables")),
        }
    }

    /// Fails on the first key that nobody asked for.
    pub(crate) fn finish(&self) -> Result<(), PackError> {
        let unknown =
            self.table.iter().find(|(name, _)| !self.asked.iter().any(|asked| name.get_ref() == asked));
        match unknown {
            None => Ok(()),
            Some((name, _)) => {
                let key = name.get_ref().to_string();
                let nearest = nearest(&key, self.asked.iter().copied());
                Err(self.fault_at(&key.clone(), PackFault::UnknownKey { key, nearest }))
            }
        }
    }
}

/// A finite number, from an integer or a float.
pub(crate) fn number(value: &DeValue<'_>) -> Option<f64> {
    let parsed = match value {
        DeValue::Integer(integer) => {
            #[allow(clippy::cast_precision_loss, reason = "a number in a pack may be rounded to a float")]
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok()? as f64;
            number
        }
        DeValue::Float(float) => float.as_str().parse().ok()?,
        _ => return None,
    };
    parsed.is_finite().then_some(parsed)
}

/// A whole number followed by ms, s, m, h or d.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let end = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (count, unit) = text.split_at(end);
    let millis_per_unit: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = count.parse::<u64>().ok()?.checked_mul(millis_per_unit)?;
    Some(Duration::from_millis(millis)).filter(|duration| *duration <= DURATION_MAX)
}
