//! Places in a text: byte ranges, lines, columns, excerpts with a caret.

use std::fmt::Write as _;

/// Columns of an excerpt; longer lines are shown around the fault.
const EXCERPT_COLUMNS: usize = 100;

/// A range of bytes of a source, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Span {
    /// From its ends.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of this to the end of `other`.
    #[must_use]
    pub const fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// A line and a column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// The largest boundary of a character that is not behind `at`.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where in `text` the byte `at` stands.
pub(crate) fn place(text: &str, at: usize) -> Place {
    let before = &text[..boundary(text, at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

/// The line of `span.start` with carets under the span, two lines without a newline at the end.
pub(crate) fn excerpt(text: &str, span: Span) -> String {
    let start = boundary(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let line: Vec<char> = text[line_start..line_end].trim_end_matches('\r').chars().collect();
    let column = text[line_start..start].chars().count();
    let end = boundary(text, span.end.clamp(start, line_end));
    let n_carets = text[start..end].chars().count().max(1);
    let first = column.saturating_sub(EXCERPT_COLUMNS / 2);
    let first = if line.len() <= EXCERPT_COLUMNS { 0 } else { first };
    let shown: String = line
        .iter()
        .skip(first)
        .take(EXCERPT_COLUMNS)
        .map(|c| if c.is_control() { ' ' } else { *c })
        .collect();
    let n_carets = n_carets.min(EXCERPT_COLUMNS.saturating_sub(column - first).max(1));
    let mut out = format!("  | {shown}\n  | ");
    // Writing to a string does not fail.
    let _ = write!(out, "{}{}", " ".repeat(column - first), "^".repeat(n_carets));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let text = "ab\nçd e\n";
        assert_eq!(place(text, 0), Place { line: 1, column: 1 });
        assert_eq!(place(text, 6), Place { line: 2, column: 3 });
        assert_eq!(place(text, 999), Place { line: 3, column: 1 });
        assert_eq!(excerpt(text, Span::new(5, 6)), "  | çd e\n  |  ^");
        assert_eq!(excerpt("", Span::new(0, 0)), "  | \n  | ^");
    }

    #[test]
    fn long_lines_are_shown_around_the_fault() {
        let text = format!("{}!{}", "a".repeat(500), "b".repeat(500));
        let shown = excerpt(&text, Span::new(500, 501));
        let (line, carets) = shown.split_once('\n').unwrap();
        assert!(line.len() < 120);
        assert_eq!(line.find('!'), carets.find('^'));
    }
}
