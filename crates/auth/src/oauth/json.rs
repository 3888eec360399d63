//! The little JSON that tokens need: one object of texts and whole numbers, at most one level of objects inside.
//!
//! Stricter than RFC 8259: names are unique; there are no fractions, exponents, signs, arrays, booleans or nulls,
//! which no accepted token has. The depth bounds the recursion, [`MEMBERS_MAX`] the work.

use std::borrow::Cow;

/// Most members of an object.
pub(super) const MEMBERS_MAX: usize = 12;

/// Levels of objects.
const DEPTH_MAX: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Object(Object<'a>),
    Text(Cow<'a, str>),
}

/// The members in the order they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Object<'a> {
    /// Reads a text that is one object and nothing else but white space.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut reader = Reader { text, at: 0 };
        reader.skip_blanks();
        let object = reader.object(DEPTH_MAX)?;
        reader.skip_blanks();
        (reader.at == text.len()).then_some(object)
    }

    /// Whether every member is one of these.
    pub(super) fn has_only(&self, names: &[&str]) -> bool {
        self.0.iter().all(|(name, _)| names.contains(&&**name))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.member(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Object(_) => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.member(name)? {
            Value::Number(number) => Some(*number),
            Value::Object(_) | Value::Text(_) => None,
        }
    }

    pub(super) fn object(&self, name: &str) -> Option<&Self> {
        match self.member(name)? {
            Value::Object(object) => Some(object),
            Value::Number(_) | Value::Text(_) => None,
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Object<'a>> {
        self.expect(b'{')?;
        let mut members: Vec<(Cow<'a, str>, Value<'a>)> = Vec::new();
        self.skip_blanks();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Object(members));
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.skip_blanks();
            self.expect(b':')?;
            self.skip_blanks();
            let value = match self.peek()? {
                b'"' => Value::Text(self.string()?),
                b'{' if depth > 1 => Value::Object(self.object(depth - 1)?),
                b'0'..=b'9' => Value::Number(self.number()?),
                _ => return None,
            };
            if members.len() >= MEMBERS_MAX || members.iter().any(|(known, _)| *known == name) {
                return None;
            }
            members.push((name, value));
            self.skip_blanks();
            match self.next()? {
                b',' => {}
                b'}' => return Some(Object(members)),
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<u64> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let digits = &self.text[start..self.at];
        let leading_zero = digits.len() > 1 && digits.starts_with('0');
        if leading_zero { None } else { digits.parse().ok() }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        loop {
            match self.next()? {
                b'"' => {
                    let tail = &self.text[copied..self.at - 1];
                    return Some(match owned {
                        None => Cow::Borrowed(tail),
                        Some(mut text) => {
                            text.push_str(tail);
                            Cow::Owned(text)
                        }
                    });
                }
                b'\\' => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[copied..self.at - 1]);
                    let escaped = self.escape()?;
                    owned.get_or_insert_default().push(escaped);
                    copied = self.at;
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4()?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    self.expect(b'\\')?;
                    self.expect(b'u')?;
                    let second = self.hex4().filter(|second| (0xdc00..0xe000).contains(second))?;
                    0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code)?
            }
            _ => return None,
        })
    }

    fn hex4(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |code, _| Some(code * 16 + char::from(self.next()?).to_digit(16)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn objects_are_read() {
        let object = Object::parse(
            br#" { "a" : "x\/\u00e9\ud83d\ude00" , "b":{"c":"d"},"n":18446744073709551615,"z":0} "#,
        )
        .unwrap();
        assert_eq!(object.text("a"), Some("x/é😀"));
        assert_eq!(object.object("b").unwrap().text("c"), Some("d"));
        assert_eq!((object.number("n"), object.number("z")), (Some(u64::MAX), Some(0)));
        assert_eq!((object.text("b"), object.number("a"), object.text("A")), (None, None, None));
        assert!(object.has_only(&["z", "n", "b", "a"]) && !object.has_only(&["a", "b", "n"]));
        assert_eq!(Object::parse(b"{}"), Some(Object(Vec::new())));
    }

    #[test]
    fn what_no_token_has_is_refused() {
        for bad in [
            "",
            "{",
            "[]",
            "\"a\"",
            "{}x",
            "{\"a\":1,}",
            "{,}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,\"\\u0061\":1}",
            "{\"a\":01}",
            "{\"a\":-1}",
            "{\"a\":1.0}",
            "{\"a\":1e3}",
            "{\"a\":18446744073709551616}",
            "{\"a\":true}",
            "{\"a\":null}",
            "{\"a\":[]}",
            "{\"a\":{\"b\":{}}}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\ud800\\u0041\"}",
            "{\"a\":\"\\udc00\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"",
            "{\"a\":\"\\u00\"}",
        ] {
            assert_eq!(Object::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Object::parse(b"{\"a\":\"\xff\"}"), None);
        let members = |count: usize| {
            let all: Vec<String> = (0..count).map(|n| format!("\"{n}\":1")).collect();
            format!("{{{}}}", all.join(","))
        };
        assert!(Object::parse(members(12).as_bytes()).is_some());
        assert!(Object::parse(members(13).as_bytes()).is_none());
    }

    proptest! {
        /// Another parser reads the same, or both do not.
        #[test]
        fn agrees_with_another_parser(text in r#"\{("(a|b|\\u0061|\\n)":("x\\"?"|[0-9]{1,3}|\{\}),?){0,3}\}"#) {
            if let Some(object) = Object::parse(text.as_bytes()) {
                let other: serde_json::Value = serde_json::from_str(&text).unwrap();
                for (name, value) in &object.0 {
                    match value {
                        Value::Text(text) => prop_assert_eq!(other[&**name].as_str(), Some(&**text)),
                        Value::Number(number) => prop_assert_eq!(other[&**name].as_u64(), Some(*number)),
                        Value::Object(_) => prop_assert!(other[&**name].is_object()),
                    }
                }
            }
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            Object::parse(&bytes);
        }
    }
}
