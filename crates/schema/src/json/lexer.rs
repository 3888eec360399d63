//! A pull lexer for JSON text (RFC 8259). It allocates nothing and recurses only in `skip`, whose depth is an argument.

use std::borrow::Cow;

/// Text that is no JSON, and where that showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Byte offset of the first byte that cannot stand there.
    pub(crate) offset: usize,
}

/// A position in JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// A string as it stands between its quotation marks, escapes not yet resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quoted<'a> {
    pub(crate) raw: &'a str,
    pub(crate) has_escapes: bool,
}

/// What a value is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Array,
    False,
    Null,
    Number,
    Object,
    String,
    True,
}

impl<'a> Lexer<'a> {
    /// At the start of `text`.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The byte offset.
    pub(crate) const fn offset(&self) -> usize {
        self.at
    }

    const fn fault<T>(&self) -> Result<T, Malformed> {
        Err(Malformed { offset: self.at })
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// What the next value is; nothing of it is consumed.
    pub(crate) fn kind(&mut self) -> Result<Kind, Malformed> {
        self.skip_space();
        Ok(match self.byte() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't') => Kind::True,
            Some(b'f') => Kind::False,
            Some(b'n') => Kind::Null,
            _ => return self.fault(),
        })
    }

    /// That nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { self.fault() }
    }

    /// Consumes the word of `kind`, one of `true`, `false`, `null`.
    pub(crate) fn word(&mut self, kind: Kind) -> Result<(), Malformed> {
        let word = match kind {
            Kind::True => "true",
            Kind::False => "false",
            _ => "null",
        };
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            self.fault()
        }
    }

    /// Consumes a string. The lexer stands at its opening mark.
    pub(crate) fn string(&mut self) -> Result<Quoted<'a>, Malformed> {
        if self.byte() != Some(b'"') {
            return self.fault();
        }
        self.at += 1;
        let start = self.at;
        let mut has_escapes = false;
        loop {
            match self.byte() {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Quoted { raw, has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                Some(0..=0x1f) | None => return self.fault(),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Consumes one escape; a surrogate must be the first of a pair.
    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                0xd800..=0xdbff => {
                    if self.byte() != Some(b'\\') {
                        return self.fault();
                    }
                    self.at += 1;
                    if self.byte() == Some(b'u') && matches!(self.code_unit()?, 0xdc00..=0xdfff) {
                        Ok(())
                    } else {
                        self.fault()
                    }
                }
                0xdc00..=0xdfff => self.fault(),
                _ => Ok(()),
            },
            _ => self.fault(),
        }
    }

    /// Consumes `uXXXX`.
    fn code_unit(&mut self) -> Result<u16, Malformed> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
        let Some(digits) = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)) else {
            return self.fault();
        };
        let unit = digits.iter().fold(0u16, |unit, digit| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => digit - b'A' + 10,
            };
            unit << 4 | u16::from(value)
        });
        self.at += 5;
        Ok(unit)
    }

    /// Consumes a number and returns its text.
    pub(crate) fn number(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.fault(),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.fault() } else { Ok(()) }
    }

    /// Consumes the bracket that opens the object or array the lexer stands at.
    pub(crate) fn open(&mut self) {
        self.at += 1;
    }

    /// The next element of an array, or its end. `is_first` is whether none came before.
    pub(crate) fn element(&mut self, is_first: bool) -> Result<bool, Malformed> {
        self.separator(is_first, b']')
    }

    /// The name of the next member of an object, its colon consumed; `None` at the end of the object.
    pub(crate) fn member(&mut self, is_first: bool) -> Result<Option<Quoted<'a>>, Malformed> {
        if !self.separator(is_first, b'}')? {
            return Ok(None);
        }
        self.skip_space();
        let name = self.string()?;
        self.skip_space();
        if self.byte() != Some(b':') {
            return self.fault();
        }
        self.at += 1;
        Ok(Some(name))
    }

    fn separator(&mut self, is_first: bool, end: u8) -> Result<bool, Malformed> {
        self.skip_space();
        match self.byte() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if is_first => Ok(true),
            _ => self.fault(),
        }
    }

    /// Consumes a value of at most `depth` nested brackets.
    pub(crate) fn skip(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.kind()? {
            Kind::String => self.string().map(|_| ()),
            Kind::Number => self.number().map(|_| ()),
            Kind::Object | Kind::Array if depth == 0 => self.fault(),
            Kind::Object => {
                self.open();
                let mut is_first = true;
                while self.member(is_first)?.is_some() {
                    is_first = false;
                    self.skip(depth - 1)?;
                }
                Ok(())
            }
            Kind::Array => {
                self.open();
                let mut is_first = true;
                while self.element(is_first)? {
                    is_first = false;
                    self.skip(depth - 1)?;
                }
                Ok(())
            }
            word => self.word(word),
        }
    }
}

impl<'a> Quoted<'a> {
    /// The string itself. Allocates only when it has escapes.
    pub(crate) fn decoded(self) -> Cow<'a, str> {
        if !self.has_escapes {
            return Cow::Borrowed(self.raw);
        }
        let mut text = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = rest.find('\\') {
            text.push_str(&rest[..at]);
            let (decoded, len) = decode_escape(&rest[at..]);
            text.push(decoded);
            rest = &rest[at + len..];
        }
        text.push_str(rest);
        Cow::Owned(text)
    }
}

/// The character of the escape at the start of `text`, which the lexer has accepted, and the escape's length in bytes.
fn decode_escape(text: &str) -> (char, usize) {
    let unit = |at: usize| text.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match text.as_bytes().get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => match (unit(2), unit(8)) {
            (Some(high @ 0xd800..=0xdbff), Some(low)) => {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00);
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            (Some(code), _) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            (None, _) => (char::REPLACEMENT_CHARACTER, text.len()),
        },
        Some(&byte) => (char::from(byte), 2),
        None => (char::REPLACEMENT_CHARACTER, text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_decode_as_written() {
        let mut lexer = Lexer::new(r#""a\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00z""#);
        let quoted = lexer.string().unwrap();
        assert_eq!(quoted.decoded(), "a\"\\/\u{8}\u{c}\n\r\tAé😀z");
        lexer.end().unwrap();
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_shows() {
        for (text, offset) in [
            ("", 0),
            ("01", 1),
            ("-", 1),
            ("1.", 2),
            ("1e", 2),
            ("+1", 0),
            ("nul", 0),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{\"a\" 1}", 5),
            ("{a:1}", 1),
            ("{\"a\":1,}", 7),
            ("\"\\x\"", 2),
            ("\"\\ud800\"", 7),
            ("\"\\ud800\\n\"", 8),
            ("\"\\udc00\"", 7),
            ("\"\\ud800\\ud800\"", 13),
            ("\"\\u12g4\"", 2),
            ("\"\u{1}\"", 1),
            ("\"a", 2),
            ("[1] 2", 4),
            ("[[[[1]]]]", 3),
        ] {
            let mut lexer = Lexer::new(text);
            let outcome = lexer.skip(3).and_then(|()| lexer.end());
            assert_eq!(outcome, Err(Malformed { offset }), "{text}");
        }
    }
}
