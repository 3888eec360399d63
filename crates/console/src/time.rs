//! Moments as people read them: UTC, with the machine-readable form beside it.

use domain::UnixNanos;
use maud::{Markup, html};

/// `2026-11-22 20:35:01`, UTC, in a `time` element.
pub(crate) fn moment(at: UnixNanos) -> Markup {
    let full = at.to_string();
    stamp(&full)
}

/// The same of an RFC 3339 text.
pub(crate) fn stamp(rfc3339: &str) -> Markup {
    let short: String = rfc3339.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect();
    html! { time datetime=(rfc3339) title=(rfc3339) { (short) } }
}

/// `3 d 4 h`, `4 min 2 s`: the two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min {} s", seconds % 60),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

/// `1 234 567`, with thin spaces.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(
            [span(59), span(61), span(3_700), span(90_000)],
            ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)].map(|s| s.replace('\u{202f}', " ")),
            ["0", "999", "1 000", "1 234 567"]
        );
        assert_eq!(
            stamp("2026-11-22T20:35:01.123Z").into_string(),
            r#"<time datetime="2026-11-22T20:35:01.123Z" title="2026-11-22T20:35:01.123Z">2026-11-22 20:35:01</time>"#
        );
    }
}
