//! Taking the fields of an object one by one, each with its own error, until none is left.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use domain::{Amount, Network, UnixNanos};

use super::json::Json;

/// What is wrong with which field. The field is empty when the whole text is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) field: String,
    pub(crate) reason: String,
}

/// The fields of an object that were not taken yet.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Put before field names in errors, such as `withdrawal.`.
    prefix: &'static str,
    left: BTreeMap<String, Json>,
}

impl Fields {
    /// Parses a text that must be one JSON object.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Fault> {
        let whole = |reason: String| Fault { field: String::new(), reason };
        match serde_json::from_slice(text) {
            Ok(Json::Object(left)) => Ok(Self { prefix: "", left }),
            Ok(other) => Err(whole(format!("expected an object, got {}", other.kind()))),
            Err(error) => Err(whole(format!("not valid JSON: {error}"))),
        }
    }

    pub(crate) fn fault(&self, name: &str, reason: impl Into<String>) -> Fault {
        Fault { field: format!("{}{name}", self.prefix), reason: reason.into() }
    }

    /// A value; `null` is the same as absent.
    fn take(&mut self, name: &str) -> Option<Json> {
        self.left.remove(name).filter(|value| *value != Json::Null)
    }

    fn need<T>(&self, name: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| self.fault(name, "is missing"))
    }

    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.fault(name, format!("expected a string, got {}", other.kind()))),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, Fault> {
        let text = self.optional_text(name)?;
        self.need(name, text)
    }

    /// A text of 1 to `bytes_max` bytes without control characters.
    pub(crate) fn optional_label(&mut self, name: &str, bytes_max: usize) -> Result<Option<String>, Fault> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        if text.is_empty() || text.len() > bytes_max {
            return Err(
                self.fault(name, format!("is {} bytes long, 1 to {bytes_max} are allowed", text.len()))
            );
        }
        if text.chars().any(char::is_control) {
            return Err(self.fault(name, "has a control character"));
        }
        Ok(Some(text))
    }

    pub(crate) fn label(&mut self, name: &str, bytes_max: usize) -> Result<String, Fault> {
        let label = self.optional_label(name, bytes_max)?;
        self.need(name, label)
    }

    pub(crate) fn optional_bool(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        match self.take(name) {
            Some(Json::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.fault(name, format!("expected true or false, got {}", other.kind()))),
            None => Ok(None),
        }
    }

    pub(crate) fn bool(&mut self, name: &str) -> Result<bool, Fault> {
        let value = self.optional_bool(name)?;
        self.need(name, value)
    }

    pub(crate) fn optional_integer(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Integer(value)) => Ok(Some(value)),
            Some(Json::OtherNumber) => Err(self.fault(name, "expected a whole number that is not negative")),
            Some(other) => Err(self.fault(name, format!("expected a whole number, got {}", other.kind()))),
        }
    }

    /// A whole number of a type narrower than 64 bits.
    pub(crate) fn optional_number<T: TryFrom<u64>>(&mut self, name: &str) -> Result<Option<T>, Fault> {
        let Some(number) = self.optional_integer(name)? else { return Ok(None) };
        let too_large = |_| self.fault(name, format!("{number} is too large"));
        T::try_from(number).map(Some).map_err(too_large)
    }

    pub(crate) fn number<T: TryFrom<u64>>(&mut self, name: &str) -> Result<T, Fault> {
        let number = self.optional_number(name)?;
        self.need(name, number)
    }

    /// A text that one of the domain's parsers reads.
    pub(crate) fn optional_parsed<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Fault> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|error| self.fault(name, error.to_string()))
    }

    pub(crate) fn parsed<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Fault> {
        let value = self.optional_parsed(name, parse)?;
        self.need(name, value)
    }

    /// An amount of nothing or more, as a decimal string. A JSON number is refused: it has passed through a float
    /// in too many senders.
    pub(crate) fn optional_amount(&mut self, name: &str) -> Result<Option<Amount>, Fault> {
        if matches!(self.left.get(name), Some(Json::Integer(_) | Json::OtherNumber)) {
            return Err(self.fault(name, "expected a decimal string such as \"0.5\", got a number"));
        }
        self.optional_parsed(name, Amount::parse_non_negative)
    }

    pub(crate) fn amount(&mut self, name: &str) -> Result<Amount, Fault> {
        let amount = self.optional_amount(name)?;
        self.need(name, amount)
    }

    pub(crate) fn time(&mut self, name: &str) -> Result<UnixNanos, Fault> {
        self.parsed(name, UnixNanos::parse_rfc3339)
    }

    pub(crate) fn network(&mut self, name: &str) -> Result<Network, Fault> {
        self.parsed(name, Network::from_str)
    }

    /// An object inside this one.
    pub(crate) fn object(&mut self, name: &str, prefix: &'static str) -> Result<Self, Fault> {
        match self.take(name) {
            Some(Json::Object(left)) => Ok(Self { prefix, left }),
            Some(other) => Err(self.fault(name, format!("expected an object, got {}", other.kind()))),
            None => Err(self.fault(name, "is missing")),
        }
    }

    /// Refuses what was not taken: a mistyped name must not be silent. `what` completes "is not a field of …".
    pub(crate) fn finish(self, what: &str) -> Result<(), Fault> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(64).collect();
                Err(self.fault(&name, format!("is not a field of {what}")))
            }
        }
    }
}
