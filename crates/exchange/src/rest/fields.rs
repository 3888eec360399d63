//! Reading parameters. Clients send empty strings and null for what they leave out: both count as absent.

use domain::{Amount, Asset};
use serde_json::{Map, Value};

use super::codes::Fault;

/// Rows in one answer.
const ROWS_MAX: usize = 100;

/// Parameters of a request: a JSON object, or a query as an object of strings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(pub(crate) Map<String, Value>);

impl Fields {
    /// The parameters in one JSON object.
    pub(crate) fn of(body: &Value) -> Result<Self, Fault> {
        body.as_object().cloned().map(Self).ok_or_else(|| Fault::parameter("body"))
    }

    /// A text; integers count as their digits, other numbers are refused because they may have been rounded.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Fault::parameter(name)),
        }
    }

    pub(crate) fn required(&self, name: &str) -> Result<String, Fault> {
        self.text(name)?.ok_or_else(|| Fault::parameter(name))
    }

    pub(crate) fn amount(&self, name: &str) -> Result<Option<Amount>, Fault> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        Amount::parse_non_negative(&text).map(Some).map_err(|_| Fault::parameter(name))
    }

    pub(crate) fn asset(&self, name: &str) -> Result<Option<Asset>, Fault> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        Asset::parse(&text).map(Some).map_err(|_| Fault::parameter(name))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Fault::parameter(name))
    }

    /// Whether a row matches a filter parameter: true when the parameter is absent.
    pub(crate) fn allows(&self, name: &str, actual: &str) -> Result<bool, Fault> {
        Ok(self.text(name)?.is_none_or(|wanted| wanted == actual))
    }

    /// One page of rows, newest first, by a key that falls: `after` asks for older, `before` for newer rows.
    pub(crate) fn page<T>(
        &self,
        rows: impl Iterator<Item = T>,
        key: impl Fn(&T) -> u64,
    ) -> Result<Vec<T>, Fault> {
        let (after, before) = (self.number("after")?, self.number("before")?);
        let limit = self.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(ROWS_MAX);
        let rows = rows
            .filter(|row| after.is_none_or(|after| key(row) < after))
            .filter(|row| before.is_none_or(|before| key(row) > before));
        Ok(rows.take(limit.clamp(1, ROWS_MAX)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_means_absent_and_fractions_are_texts() {
        let fields =
            Fields::of(&json!({"a": "", "b": null, "c": 5, "d": 0.1, "e": "0.1", "f": "-1"})).unwrap();
        assert_eq!(fields.text("a"), Ok(None));
        assert_eq!(fields.text("b"), Ok(None));
        assert_eq!(fields.amount("c").unwrap().unwrap().to_string(), "5");
        assert!(fields.amount("d").is_err());
        assert_eq!(fields.amount("e").unwrap().unwrap().to_string(), "0.1");
        assert!(fields.amount("f").is_err());
        assert!(fields.required("missing").is_err());
        assert!(Fields::of(&json!([])).is_err());
    }

    #[test]
    fn pages_are_cut_by_key_and_bounded() {
        let fields = Fields::of(&json!({"after": "8", "before": 3, "limit": "2"})).unwrap();
        assert_eq!(fields.page((0..10).rev(), |row| *row).unwrap(), [7, 6]);
        let all = Fields::of(&json!({"limit": 1_000_000})).unwrap();
        assert_eq!(all.page((0..1_000).rev(), |row| *row).unwrap().len(), 100);
    }
}
