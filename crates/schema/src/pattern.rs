//! Patterns: the part of ECMA-262 regular expressions that Rust's engine reads the same way, compiled to a DFA.
//!
//! Matching is one table look-up per byte: nothing backtracks, nothing is allocated. A pattern that uses more than the
//! shared part (look-around, back references, `\b`, classes in classes, flags) is refused at import. Bounds:
//! [`PATTERN_BYTES_MAX`] of source, [`DFA_BYTES_MAX`] of tables.

use std::fmt;

use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// Bytes of one pattern's source.
pub(crate) const PATTERN_BYTES_MAX: usize = 512;
/// Bytes of one pattern's tables, and of the memory that building them may take.
const DFA_BYTES_MAX: usize = 256 << 10;
/// Nested groups.
const NEST_MAX: u32 = 16;

/// A compiled pattern. It matches anywhere in the text unless it anchors itself, as JSON Schema has it.
pub(crate) struct Pattern {
    source: Box<str>,
    dfa: dense::DFA<Vec<u32>>,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.source)
    }
}

impl Pattern {
    /// Compiles `source`; the error says what is not understood.
    pub(crate) fn new(source: &str) -> Result<Self, &'static str> {
        if source.len() > PATTERN_BYTES_MAX {
            return Err("a pattern of more than 512 bytes");
        }
        let translated = translate(source)?;
        let dfa = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::LeftmostFirst)
                    .dfa_size_limit(Some(DFA_BYTES_MAX))
                    .determinize_size_limit(Some(DFA_BYTES_MAX)),
            )
            .syntax(syntax::Config::new().nest_limit(NEST_MAX))
            .thompson(regex_automata::nfa::thompson::Config::new().nfa_size_limit(Some(DFA_BYTES_MAX)))
            .build(&translated)
            .map_err(|_| "a pattern that is no regular expression or grows too large")?;
        Ok(Self { source: source.into(), dfa })
    }

    /// Whether `text` contains a match.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let input = Input::new(text).anchored(Anchored::No).earliest(true);
        // The search fails only on quit bytes, of which there are none; a failure would be no match.
        matches!(self.dfa.try_search_fwd(&input), Ok(Some(_)))
    }
}

/// Spells the pattern so that Rust's engine means what ECMA-262 means, or says what has no such spelling.
fn translate(source: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(source.len() + 16);
    let mut rest = source.chars().peekable();
    let mut in_class = false;
    let mut previous = '\0';
    while let Some(character) = rest.next() {
        match character {
            '\\' => {
                let escaped = rest.next().ok_or("a pattern that ends in a backslash")?;
                escape(&mut out, escaped, in_class)?;
            }
            '[' if in_class => return Err("`[` inside a class"),
            '[' => {
                in_class = true;
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if rest.peek() == Some(&']') {
                    return Err("an empty class");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // Set operations of Rust's classes, literals in ECMA-262.
            '&' | '~' if in_class && previous == character => return Err("`&&` or `~~` inside a class"),
            '-' if in_class && previous == '-' => return Err("`--` inside a class"),
            '(' if !in_class => {
                out.push('(');
                if rest.next_if_eq(&'?').is_some() {
                    if rest.next_if_eq(&':').is_none() {
                        return Err("look-around, a flag or a named group");
                    }
                    out.push_str("?:");
                }
            }
            '{' if !in_class && !rest.peek().is_some_and(char::is_ascii_digit) => {
                return Err("`{` that opens no count");
            }
            '}' | ']' if !in_class && !closes_count(&out) => return Err("a bracket that closes nothing"),
            '.' if !in_class => out.push_str("[^\\n\\r\\u2028\\u2029]"),
            other => out.push(other),
        }
        previous = character;
    }
    Ok(out)
}

/// Whether what was written so far is inside `{...`.
fn closes_count(out: &str) -> bool {
    out.rfind('{').is_some_and(|at| out[at + 1..].bytes().all(|byte| byte.is_ascii_digit() || byte == b','))
}

fn escape(out: &mut String, escaped: char, in_class: bool) -> Result<(), &'static str> {
    let class = match escaped {
        'd' => "0-9",
        'w' => "A-Za-z0-9_",
        't' | 'n' | 'r' | 'f' | 'v' => {
            out.push('\\');
            out.push(escaped);
            return Ok(());
        }
        // With a backslash these two mean the edges of words in Rust's engine.
        '<' | '>' => {
            out.push(escaped);
            return Ok(());
        }
        other if other.is_ascii_punctuation() => {
            out.push('\\');
            out.push(other);
            return Ok(());
        }
        _ => return Err("an escape other than \\d, \\w, \\t, \\n, \\r, \\f, \\v and escaped punctuation"),
    };
    if in_class {
        out.push_str(class);
    } else {
        out.push('[');
        out.push_str(class);
        out.push(']');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_ecma_262_says() {
        for (pattern, text, expected) in [
            (r"^[A-Z0-9]{2,10}-[A-Z]{3,5}$", "BTC-USDT", true),
            (r"^[A-Z0-9]{2,10}-[A-Z]{3,5}$", "BTC-USDT\n", false),
            (r"^\d+$", "٣", false),
            (r"^[\w.-]+$", "a_b.c-1", true),
            (r"b", "abc", true),
            (r"^(?:buy|sell)$", "sell", true),
            (r"^(?:buy|sell)$", "sells", false),
            (r"^.$", "é", true),
            (r"^.$", "\u{2028}", false),
            (r"^a\/\$$", "a/$", true),
            (r"^[^a]$", "b", true),
            (r"^\<[\<\>]$", "<>", true),
            ("", "anything", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(text), expected, "{pattern} {text:?}");
        }
    }

    #[test]
    fn what_has_another_meaning_or_grows_is_refused() {
        for pattern in [
            r"(?=a)",
            r"(?i)a",
            r"(a)\1",
            r"\bword",
            r"\s",
            r"\p{L}",
            r"[a[b]]",
            r"[a&&b]",
            r"a{",
            r"a{,3}",
            r"[]",
            r"[a--b]",
            r"(",
            r"*",
            r"a}",
            r"a]",
            r"\",
            r"(?<n>a)",
            r"(?:a{1,1000}){1,1000}",
            r"^(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:a))))))))))))))))))$",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::new(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    }
}
