//! What an attack found: the criterion, what was measured, and whether it holds.

use std::fmt::Write as _;

/// Whether a criterion held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It held.
    Pass,
    /// It did not.
    Miss,
    /// It was not measured here; the measured column says why.
    Skipped,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The attack.
    pub attack: String,
    /// What must hold.
    pub criterion: String,
    /// What was seen.
    pub measured: String,
    /// Whether it held.
    pub verdict: Verdict,
}

impl Row {
    /// A line whose criterion holds or not.
    #[must_use]
    pub fn new(attack: &str, criterion: &str, measured: String, holds: bool) -> Self {
        let verdict = if holds { Verdict::Pass } else { Verdict::Miss };
        Self { attack: attack.to_owned(), criterion: criterion.to_owned(), measured, verdict }
    }

    /// A line that was not measured.
    #[must_use]
    pub fn skipped(attack: &str, criterion: &str, why: &str) -> Self {
        let (attack, criterion) = (attack.to_owned(), criterion.to_owned());
        Self { attack, criterion, measured: why.to_owned(), verdict: Verdict::Skipped }
    }

    /// An attack that could not be carried out counts as a miss.
    #[must_use]
    pub fn broken(attack: &str, criterion: &str, error: &anyhow::Error) -> Self {
        Self::new(attack, criterion, format!("could not be carried out: {error:#}"), false)
    }
}

/// The whole table as text.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let verdict = match row.verdict {
            Verdict::Pass => "pass",
            Verdict::Miss => "MISS",
            Verdict::Skipped => "skip",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{verdict}  {:<34} {}\n      measured: {}",
            row.attack, row.criterion, row.measured
        );
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let _ = writeln!(
        text,
        "{} passed, {} missed, {} skipped",
        count(Verdict::Pass),
        count(Verdict::Miss),
        count(Verdict::Skipped)
    );
    text
}
