//! One pass over a body before anything in it is believed: strict JSON, bounded depth, and no object whose members two
//! readers could tell apart differently.
//!
//! Parsers disagree about objects that name a member twice, and some match names without regard to case. Names must
//! therefore be printable ASCII without escapes and differ by more than case, at every level. Bounds: depth
//! [`DEPTH_MAX`]; objects of up to [`NAMES_INLINE`] members are checked without allocation.

use super::lexer::{Kind, Lexer, Malformed};

/// Nested arrays and objects in a body.
pub(crate) const DEPTH_MAX: usize = 64;
/// Names of one object that are compared in place; more are collected and sorted.
const NAMES_INLINE: usize = 32;

/// Why a body is not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A member's name that two readers could spell differently: escapes, or anything but printable ASCII.
    AmbiguousName,
    /// Not JSON, or not UTF-8.
    Malformed,
    /// Two members of one object with the same name, in any case.
    RepeatedName,
    /// More than [`DEPTH_MAX`] nested values.
    TooDeep,
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The body as text, if it is one JSON value that has one reading.
pub(crate) fn scan(body: &[u8]) -> Result<&str, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| Refusal::Malformed)?;
    let mut lexer = Lexer::new(text);
    value(&mut lexer, DEPTH_MAX)?;
    lexer.end()?;
    Ok(text)
}

fn value(lexer: &mut Lexer<'_>, depth: usize) -> Result<(), Refusal> {
    match lexer.kind()? {
        Kind::String => {
            lexer.string()?;
        }
        Kind::Number => {
            lexer.number()?;
        }
        Kind::Object | Kind::Array if depth == 0 => return Err(Refusal::TooDeep),
        Kind::Object => object(lexer, depth - 1)?,
        Kind::Array => {
            lexer.open();
            let mut is_first = true;
            while lexer.element(is_first)? {
                is_first = false;
                value(lexer, depth - 1)?;
            }
        }
        word => lexer.word(word)?,
    }
    Ok(())
}

fn object<'a>(lexer: &mut Lexer<'a>, depth: usize) -> Result<(), Refusal> {
    lexer.open();
    let mut inline: [&'a str; NAMES_INLINE] = [""; NAMES_INLINE];
    let mut n_inline = 0;
    let mut all: Vec<&'a str> = Vec::new();
    while let Some(name) = lexer.member(n_inline == 0)? {
        if name.has_escapes || name.raw.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
            return Err(Refusal::AmbiguousName);
        }
        let name = name.raw;
        if n_inline < NAMES_INLINE {
            if inline[..n_inline].iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) {
                return Err(Refusal::RepeatedName);
            }
            inline[n_inline] = name;
            n_inline += 1;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&inline);
            }
            all.push(name);
        }
        value(lexer, depth)?;
    }
    all.sort_unstable_by(|a, b| folded(a).cmp(folded(b)));
    if all.windows(2).any(|pair| pair[0].eq_ignore_ascii_case(pair[1])) {
        return Err(Refusal::RepeatedName);
    }
    Ok(())
}

fn folded(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes().map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        for (body, refusal) in [
            (r#"{"toAddr":"a","toAddr":"b"}"#, Refusal::RepeatedName),
            (r#"{"toAddr":"a","TOADDR":"b"}"#, Refusal::RepeatedName),
            (r#"[{"x":[{"a":1,"b":{},"a":2}]}]"#, Refusal::RepeatedName),
            (r#"{"toAddr":"a","\u0074oAddr":"b"}"#, Refusal::AmbiguousName),
            ("{\"toAddſ\":\"b\"}", Refusal::AmbiguousName),
            (r#"{"a":1}{"a":2}"#, Refusal::Malformed),
            ("", Refusal::Malformed),
        ] {
            assert_eq!(scan(body.as_bytes()), Err(refusal), "{body}");
        }
        assert_eq!(scan(b"{\"a\":\"\xff\"}"), Err(Refusal::Malformed));
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(scan(deep(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(scan(deep(DEPTH_MAX + 1).as_bytes()), Err(Refusal::TooDeep));
    }

    #[test]
    fn large_objects_are_held_to_the_same_rule() {
        let object = |names: &[String]| {
            let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        let names: Vec<String> = (0..400).map(|i| format!("n{i}")).collect();
        assert!(scan(object(&names).as_bytes()).is_ok());
        for (at, name) in [(399, "N0"), (32, "n31"), (31, "N30"), (399, "n398")] {
            let mut names = names.clone();
            names[at] = name.to_owned();
            assert_eq!(scan(object(&names).as_bytes()), Err(Refusal::RepeatedName), "{at} {name}");
        }
    }
}
