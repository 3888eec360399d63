//! Tokens of the language: the subset of CEL's lexis that rules need.
//!
//! Source: Common Expression Language specification, "Syntax". Left out, each with an error of its own: unsigned integers,
//! bytes, triple-quoted strings, maps.

use crate::{
    bounds::{SOURCE_BYTES_MAX, TEXT_BYTES_MAX},
    error::{ExpressionError, ExpressionFault},
    span::Span,
};

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Double(f64),
    End,
    /// Magnitude; a sign is an operator, so the smallest integer has a magnitude of its own.
    Int(u64),
    /// An operator, bracket or separator, by its text.
    Mark(&'static str),
    Name(String),
    Text(String),
}

impl Token {
    /// As an error message names it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Double(_) | Self::Int(_) => "a number".to_owned(),
            Self::End => "the end".to_owned(),
            Self::Mark(mark) => format!("`{mark}`"),
            Self::Name(name) => format!("`{name}`"),
            Self::Text(_) => "a string".to_owned(),
        }
    }
}

/// Longer marks first.
const MARKS: [&str; 22] = [
    "&&", "||", "<=", ">=", "==", "!=", "(", ")", "[", "]", ",", ".", "?", ":", "+", "-", "*", "/", "%", "!",
    "<", ">",
];

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

/// The tokens of a source with their places, [`Token::End`] last.
pub(crate) fn tokens(source: &str) -> Result<Vec<(Token, Span)>, ExpressionError> {
    if source.len() > SOURCE_BYTES_MAX {
        let fault = ExpressionFault::TooLarge { what: "bytes", max: SOURCE_BYTES_MAX };
        return Err(ExpressionError::new("", Span::default(), fault));
    }
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let (token, span) = lexer.next()?;
        let is_end = token == Token::End;
        tokens.push((token, span));
        if is_end {
            return Ok(tokens);
        }
    }
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, start: usize, fault: ExpressionFault) -> ExpressionError {
        ExpressionError::new(self.source, Span::new(start, self.at), fault)
    }

    fn malformed(&self, start: usize, what: impl Into<String>) -> ExpressionError {
        self.error(start, ExpressionFault::Malformed { what: what.into() })
    }

    fn unsupported(&self, start: usize, what: &'static str) -> ExpressionError {
        self.error(start, ExpressionFault::Unsupported { what })
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c: char| !wanted(c)).unwrap_or(rest.len());
    }

    fn skip_blank(&mut self) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c'));
            if !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn next(&mut self) -> Result<(Token, Span), ExpressionError> {
        self.skip_blank();
        let start = self.at;
        let token = match self.peek() {
            None => Token::End,
            Some('"' | '\'') => self.text(false)?,
            Some('r' | 'R') if self.rest()[1..].starts_with(['"', '\'']) => {
                self.at += 1;
                self.text(true)?
            }
            Some('b' | 'B') if self.rest()[1..].starts_with(['"', '\'']) => {
                self.at += 1;
                return Err(self.unsupported(start, "bytes"));
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                Token::Name(self.source[start..self.at].to_owned())
            }
            Some(c) if c.is_ascii_digit() => self.number()?,
            Some('.') if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            Some(c) => match MARKS.into_iter().find(|mark| self.rest().starts_with(mark)) {
                Some(mark) => {
                    self.at += mark.len();
                    Token::Mark(mark)
                }
                None => {
                    self.at += c.len_utf8();
                    return Err(match c {
                        '=' => self.malformed(start, "`=` (equality is `==`)"),
                        '&' => self.malformed(start, "`&` (and is `&&`)"),
                        '|' => self.malformed(start, "`|` (or is `||`)"),
                        '{' | '}' => self.unsupported(start, "maps and messages"),
                        c => self.malformed(start, format!("unexpected character {c:?}")),
                    });
                }
            },
        };
        Ok((token, Span::new(start, self.at)))
    }

    fn number(&mut self) -> Result<Token, ExpressionError> {
        let start = self.at;
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            self.take_while(|c| c.is_ascii_hexdigit());
            let digits = &self.source[start + 2..self.at];
            let value = u64::from_str_radix(digits, 16);
            self.number_ends(start)?;
            return value.map(Token::Int).map_err(|_| self.malformed(start, "not a 64-bit integer"));
        }
        self.take_while(|c| c.is_ascii_digit());
        let mut is_double = false;
        if self.rest().starts_with('.') && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) {
            is_double = true;
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.rest().starts_with(['e', 'E']) {
            let after = &self.rest()[1..];
            let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                is_double = true;
                self.at += 1 + after.len() - digits.len();
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        let text = &self.source[start..self.at];
        let token = if is_double {
            text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Token::Double)
        } else {
            text.parse().ok().map(Token::Int)
        };
        self.number_ends(start)?;
        token.ok_or_else(|| self.malformed(start, "a number out of range"))
    }

    /// Letters right behind a number are a unit or a typing error, never a new word.
    fn number_ends(&mut self, start: usize) -> Result<(), ExpressionError> {
        let digits_end = self.at;
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        match &self.source[digits_end..self.at] {
            "" => Ok(()),
            "u" | "U" => Err(self.unsupported(start, "unsigned integers")),
            _ => Err(self.malformed(start, "letters behind a number (a duration is `duration(\"24h\")`)")),
        }
    }

    fn text(&mut self, is_raw: bool) -> Result<Token, ExpressionError> {
        let start = self.at;
        let Some(quote) = self.peek() else { return Ok(Token::End) };
        self.at += 1;
        if self.rest().starts_with([quote]) && self.rest()[1..].starts_with([quote]) {
            return Err(self.unsupported(start, "triple-quoted strings"));
        }
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else { return Err(self.malformed(start, "a string without end")) };
            self.at += c.len_utf8();
            match c {
                c if c == quote => break,
                '\n' | '\r' => return Err(self.malformed(start, "a string without end on its line")),
                '\\' if !is_raw => text.push(self.escape()?),
                c => text.push(c),
            }
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(self
                .error(start, ExpressionFault::TooLarge { what: "bytes in a string", max: TEXT_BYTES_MAX }));
        }
        Ok(Token::Text(text))
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, ExpressionError> {
        let start = self.at - 1;
        let c = self.peek().unwrap_or('\n');
        self.at += if c == '\n' { 0 } else { c.len_utf8() };
        let (n_digits, radix) = match c {
            'a' => return Ok('\x07'),
            'b' => return Ok('\x08'),
            'f' => return Ok('\x0c'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\x0b'),
            '\\' | '?' | '"' | '\'' | '`' => return Ok(c),
            'x' | 'X' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => {
                self.at -= 1;
                (3, 8)
            }
            _ => return Err(self.malformed(start, "an unknown escape")),
        };
        let digits: String = self.rest().chars().take(n_digits).collect();
        let code = u32::from_str_radix(&digits, radix).ok();
        let is_whole = digits.len() == n_digits && digits.chars().all(|c| c.is_digit(radix));
        match code.and_then(char::from_u32).filter(|_| is_whole) {
            Some(c) => {
                self.at += n_digits;
                Ok(c)
            }
            None => Err(self.malformed(start, "an escape that is no character")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &[Token]) {
        let tokens: Vec<Token> = tokens(source)
            .unwrap_or_else(|error| panic!("{source}: {error}"))
            .into_iter()
            .map(|(t, _)| t)
            .collect();
        let (end, rest) = tokens.split_last().unwrap();
        assert_eq!((rest, end), (expected, &Token::End), "{source}");
    }

    #[test]
    fn numbers_strings_names_and_comments() {
        check("1 0xfF 18446744073709551615", &[Token::Int(1), Token::Int(255), Token::Int(u64::MAX)]);
        check("1.5 .5 1e3 2E-1", &[1.5, 0.5, 1000.0, 0.2].map(Token::Double));
        check("5.size", &[Token::Int(5), Token::Mark("."), Token::Name("size".to_owned())]);
        check(
            r#"'a"b' "\x41\u00e9\101\n" r'\n'"#,
            &["a\"b", "AéA\n", "\\n"].map(|t| Token::Text(t.to_owned())),
        );
        check("a // b\n<= // c", &[Token::Name("a".to_owned()), Token::Mark("<=")]);
        check("r b", &["r", "b"].map(|name| Token::Name(name.to_owned())));
    }

    #[test]
    fn what_is_no_token_is_named() {
        for (source, said) in [
            ("a = 1", "equality is `==`"),
            ("a & b", "and is `&&`"),
            ("10m", "letters behind a number"),
            ("1u", "unsigned integers"),
            ("0x", "not a 64-bit integer"),
            ("1e999", "out of range"),
            ("99999999999999999999", "out of range"),
            ("'abc", "without end"),
            ("'a\nb'", "without end on its line"),
            (r"'\q'", "unknown escape"),
            (r"'\ud800'", "no character"),
            (r"'\u00", "no character"),
            (r"'\", "unknown escape"),
            ("b'x'", "bytes"),
            ("'''x'''", "triple-quoted"),
            ("{}", "maps"),
            ("é", "unexpected character"),
        ] {
            let error = tokens(source).expect_err(source).to_string();
            assert!(error.contains(said), "{source}: {error}");
        }
    }
}
