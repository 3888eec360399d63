//! A JSON document as a tree: for the OpenAPI documents that are read and written, never for requests.
//!
//! Members keep their order, numbers their text. A repeated member name is refused.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::lexer::{Kind, Lexer, Malformed};

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Array(Vec<Self>),
    Bool(bool),
    Null,
    Number(String),
    Object(Vec<(String, Self)>),
    String(String),
}

/// Why a document was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DocumentFault {
    Malformed { offset: usize },
    RepeatedName { name: String, offset: usize },
    TooDeep,
    TooManyValues,
}

impl From<Malformed> for DocumentFault {
    fn from(Malformed { offset }: Malformed) -> Self {
        Self::Malformed { offset }
    }
}

impl Json {
    /// Reads a document of at most `values_max` values nested at most `depth_max` deep.
    pub(crate) fn parse(text: &str, depth_max: usize, values_max: usize) -> Result<Self, DocumentFault> {
        let mut parser = Parser { lexer: Lexer::new(text), values_left: values_max };
        let value = parser.value(depth_max)?;
        parser.lexer.end()?;
        Ok(value)
    }

    /// An object of these members.
    pub(crate) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A string.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// A whole number.
    pub(crate) fn count(count: u64) -> Self {
        Self::Number(count.to_string())
    }

    /// Adds a member to an object; on any other value does nothing.
    pub(crate) fn push(&mut self, name: impl Into<String>, value: Self) {
        if let Self::Object(members) = self {
            members.push((name.into(), value));
        }
    }

    /// The member `name` of an object.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(found, _)| found == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// As indented text with a line end.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text.push('\n');
        text
    }

    fn write(&self, out: &mut String, indent: usize) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(out, text),
            Self::Array(values) => {
                out.push('[');
                for (i, value) in values.iter().enumerate() {
                    line(out, i > 0, indent + 1);
                    value.write(out, indent + 1);
                }
                close(out, values.is_empty(), indent, ']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    line(out, i > 0, indent + 1);
                    write_string(out, name);
                    out.push_str(": ");
                    value.write(out, indent + 1);
                }
                close(out, members.is_empty(), indent, '}');
            }
        }
    }
}

fn line(out: &mut String, needs_comma: bool, indent: usize) {
    if needs_comma {
        out.push(',');
    }
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", indent));
}

fn close(out: &mut String, is_empty: bool, indent: usize, bracket: char) {
    if !is_empty {
        line(out, false, indent);
    }
    out.push(bracket);
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    values_left: usize,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, DocumentFault> {
        self.values_left = self.values_left.checked_sub(1).ok_or(DocumentFault::TooManyValues)?;
        Ok(match self.lexer.kind()? {
            Kind::String => Json::String(self.lexer.string()?.decoded().into_owned()),
            Kind::Number => Json::Number(self.lexer.number()?.to_owned()),
            Kind::Object | Kind::Array if depth == 0 => return Err(DocumentFault::TooDeep),
            Kind::Array => {
                self.lexer.open();
                let mut values = Vec::new();
                while self.lexer.element(values.is_empty())? {
                    values.push(self.value(depth - 1)?);
                }
                Json::Array(values)
            }
            Kind::Object => {
                self.lexer.open();
                let mut members: Vec<(String, Json)> = Vec::new();
                let mut names = BTreeSet::new();
                while let Some(name) = self.lexer.member(members.is_empty())? {
                    let name = name.decoded().into_owned();
                    if !names.insert(name.clone()) {
                        return Err(DocumentFault::RepeatedName { name, offset: self.lexer.offset() });
                    }
                    let value = self.value(depth - 1)?;
                    members.push((name, value));
                }
                Json::Object(members)
            }
            word => {
                self.lexer.word(word)?;
                match word {
                    Kind::True => Json::Bool(true),
                    Kind::False => Json::Bool(false),
                    _ => Json::Null,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text = "{\"a\":[1.50,{},[],null,true,false,-2e3],\"ü\\\"\\\\\\n\\u0001\":\"x\"}";
        let tree = Json::parse(text, 8, 100).unwrap();
        assert_eq!(Json::parse(&tree.to_text(), 8, 100).unwrap(), tree);
        assert_eq!(tree.member("ü\"\\\n\u{1}"), Some(&Json::text("x")));
    }

    #[test]
    fn documents_are_bounded_and_unambiguous() {
        assert_eq!(Json::parse("[[[]]]", 2, 9), Err(DocumentFault::TooDeep));
        assert_eq!(Json::parse("[1,2,3]", 2, 3), Err(DocumentFault::TooManyValues));
        let repeated = Json::parse("{\"a\":1,\"\\u0061\":2}", 2, 9);
        assert!(matches!(repeated, Err(DocumentFault::RepeatedName { name, .. }) if name == "a"), "repeated");
    }
}
