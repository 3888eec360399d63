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

/// Whether a text is a moment in RFC 3339 as the product writes them, UTC.
pub(crate) fn is_moment(text: &str) -> bool {
    let form = b"0000-00-00T00:00:00";
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let bytes = text.as_bytes();
    (form.len() + 1..=form.len() + 11).contains(&bytes.len())
        && bytes.ends_with(b"Z")
        && bytes.iter().zip(form).all(fits)
}

/// The day and the time of day of a moment, UTC.
pub(crate) fn day_and_time(at: UnixNanos) -> (String, String) {
    let full = at.to_string();
    let part = |from: usize, to: usize| full.get(from..to).unwrap_or_default().to_owned();
    (part(0, 10), part(11, 19))
}

/// An amount with its asset, its whole part grouped: `19 000 USDT`. What does not begin with a decimal number stays as it is.
pub(crate) fn amount(text: &str) -> String {
    let whole = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(whole);
    if digits.len() < 4 || digits.starts_with('0') {
        return text.to_owned();
    }
    grouped(digits) + &rest.replace(' ', "\u{a0}")
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

/// `1 234 567`, with spaces that do not break.
pub(crate) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{a0}');
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
            [count(0), count(999), count(1_000), count(1_234_567)].map(|s| s.replace('\u{a0}', " ")),
            ["0", "999", "1 000", "1 234 567"]
        );
        assert_eq!(
            ["19000 USDT", "19000.00125 BTC", "12.5 USDT", "unknown", "", "0001"]
                .map(|text| amount(text).replace('\u{a0}', " ")),
            ["19 000 USDT", "19 000.00125 BTC", "12.5 USDT", "unknown", "", "0001"]
        );
        assert!(is_moment("2026-11-22T20:35:01Z") && is_moment("2026-11-22T20:35:01.123456789Z"));
        assert!(
            ![
                "",
                "2026-11-22",
                "2026-11-22T20:35:01",
                "2026-11-22T20:35:01.123Z and more",
                "x026-11-22T20:35:01Z"
            ]
            .iter()
            .any(|text| is_moment(text))
        );
        assert_eq!(
            stamp("2026-11-22T20:35:01.123Z").into_string(),
            r#"<time datetime="2026-11-22T20:35:01.123Z" title="2026-11-22T20:35:01.123Z">2026-11-22 20:35:01</time>"#
        );
    }
}
