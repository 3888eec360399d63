//! Formats of strings that are asserted, not merely noted.
//!
//! `date` and `date-time` are RFC 3339 with real calendar days, `uuid` RFC 9562, `ipv4` and `ipv6` textual addresses,
//! `decimal` a JSON number in a string (the format registry of the OpenAPI Initiative).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::json::lexer::Lexer;

/// A format of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Date,
    DateTime,
    Decimal,
    Ipv4,
    Ipv6,
    Uuid,
}

impl Format {
    /// By its name in a document.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "date" => Self::Date,
            "date-time" => Self::DateTime,
            "decimal" => Self::Decimal,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }

    /// Whether `text` has this format.
    pub(crate) fn admits(self, text: &str) -> bool {
        match self {
            Self::Date => date(text.as_bytes()),
            Self::DateTime => date_time(text.as_bytes()),
            Self::Decimal => is_number(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Uuid => uuid(text.as_bytes()),
        }
    }
}

/// Whether the whole text is a JSON number.
pub(crate) fn is_number(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    lexer.number().is_ok_and(|number| number.len() == text.len())
}

/// Whether `text` is a UUID in its textual form.
pub(crate) fn uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Two digits as a number.
fn two(text: &[u8]) -> Option<u8> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    }
}

fn date(text: &[u8]) -> bool {
    let [century @ .., _, _, b'-', _, _, b'-', _, _] = text else { return false };
    if century.len() != 2 {
        return false;
    }
    let (Some(hundreds), Some(year), Some(month), Some(day)) =
        (two(century), two(&text[2..4]), two(&text[5..7]), two(&text[8..10]))
    else {
        return false;
    };
    // A year is a leap year by its last two digits, except that whole centuries need theirs to be.
    let is_leap = if year == 0 { hundreds % 4 == 0 } else { year % 4 == 0 };
    let days = match month {
        2 => 28 + u8::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn date_time(text: &[u8]) -> bool {
    let Some((day, time)) = text.split_at_checked(10) else { return false };
    let [b'T' | b't', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = time else { return false };
    let is_time = two(&[*h1, *h2]).is_some_and(|hour| hour < 24)
        && two(&[*m1, *m2]).is_some_and(|minute| minute < 60)
        && two(&[*s1, *s2]).is_some_and(|second| second < 60);
    let zone = match rest.split_first() {
        Some((b'.', fraction)) => {
            let n_digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if n_digits == 0 {
                return false;
            }
            &fraction[n_digits..]
        }
        _ => rest,
    };
    let is_zone = match zone {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            two(&[*h1, *h2]).is_some_and(|hour| hour < 24)
                && two(&[*m1, *m2]).is_some_and(|minute| minute < 60)
        }
        _ => false,
    };
    date(day) && is_time && is_zone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_admit_what_their_documents_say() {
        for (name, text, expected) in [
            ("date", "2024-02-29", true),
            ("date", "2023-02-29", false),
            ("date", "2100-02-29", false),
            ("date", "2000-02-29", true),
            ("date", "2024-13-01", false),
            ("date", "2024-1-01", false),
            ("date-time", "2020-12-08T09:08:57.715Z", true),
            ("date-time", "2020-12-08t09:08:57+05:30", true),
            ("date-time", "2020-12-08 09:08:57Z", false),
            ("date-time", "2020-12-08T24:08:57Z", false),
            ("date-time", "2020-12-08T09:08:57.Z", false),
            ("date-time", "2020-12-08T09:08:57", false),
            ("date-time", "é", false),
            ("decimal", "0.001", true),
            ("decimal", "-1e5", true),
            ("decimal", ".5", false),
            ("decimal", "1 ", false),
            ("decimal", "", false),
            ("ipv4", "1.2.3.4", true),
            ("ipv4", "01.2.3.4", false),
            ("ipv6", "::ffff:1.2.3.4", true),
            ("ipv6", "1.2.3.4", false),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", true),
            ("uuid", "123e4567e89b12d3a456426614174000", false),
        ] {
            assert_eq!(Format::named(name).unwrap().admits(text), expected, "{name} {text}");
        }
        assert_eq!(Format::named("email"), None);
    }
}
