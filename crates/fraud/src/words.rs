//! Times and shares as people say them.

use std::time::Duration;

use domain::Amount;

/// The two largest units: `3 d 4 h`, `2 h 5 min`, `40 min`, `12 s`.
pub(crate) fn duration(time: Duration) -> String {
    let secs = time.as_secs();
    let (large, small) = match secs {
        0..60 => ((secs, "s"), (0, "")),
        60..3_600 => ((secs / 60, "min"), (secs % 60, "s")),
        3_600..172_800 => ((secs / 3_600, "h"), (secs % 3_600 / 60, "min")),
        _ => ((secs / 86_400, "d"), (secs % 86_400 / 3_600, "h")),
    };
    match (large, small) {
        ((large, unit), (0, _)) => format!("{large} {unit}"),
        ((large, unit), (small, small_unit)) => format!("{large} {unit} {small} {small_unit}"),
    }
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) part: Amount,
    pub(crate) whole: Amount,
}

impl Share {
    /// Whether the part is at least `percent` of the whole. A whole of nothing, or numbers out of range, count as
    /// reached: money errs on the strict side.
    pub(crate) fn reaches(self, percent: u32) -> bool {
        if self.whole <= Amount::ZERO {
            return true;
        }
        let scaled = |amount: Amount, by: u32| {
            Amount::from_parts(i128::from(by), 0).ok().and_then(|by| amount.checked_mul(by))
        };
        match (scaled(self.part, 100), scaled(self.whole, percent)) {
            (Some(part), Some(whole)) => part >= whole,
            _ => true,
        }
    }

    /// `92.5 %`, rounded down; `more than 100 %` where that is so.
    pub(crate) fn percent(self) -> String {
        if self.part > self.whole || self.whole <= Amount::ZERO {
            return "more than 100 %".to_owned();
        }
        let percent = Amount::from_parts(100, 0)
            .ok()
            .and_then(|hundred| self.part.checked_mul(hundred))
            .and_then(|part| part.checked_div(self.whole));
        percent.map_or_else(|| "nearly 100 %".to_owned(), |percent| format!("{} %", percent.truncate(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_are_enough() {
        let said = |secs| duration(Duration::from_secs(secs));
        assert_eq!(said(12), "12 s");
        assert_eq!(said(60), "1 min");
        assert_eq!(said(3_599), "59 min 59 s");
        assert_eq!(said(7_500), "2 h 5 min");
        assert_eq!(said(86_400), "24 h");
        assert_eq!(said(176_400), "2 d 1 h");
    }

    #[test]
    fn a_share_is_exact_at_its_edge() {
        let share = |part: &str, whole: &str| Share {
            part: Amount::parse(part).unwrap(),
            whole: Amount::parse(whole).unwrap(),
        };
        assert!(share("0.5", "1").reaches(50));
        assert!(!share("0.4999999999999999", "1").reaches(50));
        assert!(share("1", "0").reaches(100));
        assert_eq!(share("0.9259", "1").percent(), "92.5 %");
        assert_eq!(share("1", "1").percent(), "100 %");
        assert_eq!(share("2", "1").percent(), "more than 100 %");
        let most = "79228162514264337593543950335";
        assert!(share(most, most).reaches(50));
    }
}
