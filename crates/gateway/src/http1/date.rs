//! The time in an answer's `Date` field: RFC 9110 section 5.6.7, `Sun, 06 Nov 1994 08:49:37 GMT`.

use domain::UnixNanos;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends the time in the one form that is written today.
pub(crate) fn push(out: &mut Vec<u8>, at: UnixNanos) {
    let seconds = at.0 / 1_000_000_000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that a leap day is the last; an era is 400 years, of 146,097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let name = |names: &[&'static str], at: u64| {
        usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or_default()
    };
    out.extend_from_slice(name(&DAYS, days % 7).as_bytes());
    out.extend_from_slice(b", ");
    push_padded(out, day, 2);
    out.push(b' ');
    out.extend_from_slice(name(&MONTHS, month).as_bytes());
    out.push(b' ');
    push_padded(out, year, 4);
    for (before, part) in [(b' ', of_day / 3_600), (b':', of_day / 60 % 60), (b':', of_day % 60)] {
        out.push(before);
        push_padded(out, part, 2);
    }
    out.extend_from_slice(b" GMT");
}

fn push_padded(out: &mut Vec<u8>, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_as_the_standard_does() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_200, "Fri, 01 Mar 2024 00:00:00 GMT"),
            (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            let mut out = Vec::new();
            push(&mut out, UnixNanos::from_secs(seconds));
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
