//! When a key is good: hours of the week, UTC.
//!
//! One bit per hour. Exact, of fixed size, and without time zones, daylight saving or dates: a desk in another zone
//! writes its hours in UTC.

use std::fmt;

use domain::UnixNanos;

/// Hours of a week.
pub const HOURS: u16 = 168;

/// Seconds of an hour.
const HOUR_SECS: u64 = 3_600;

/// The Unix epoch was a Thursday, three days after a Monday.
const EPOCH_HOUR: u64 = 3 * 24;

/// Hours of the week in which a key is good; Monday 00:00 to 01:00 UTC is hour 0. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeeklyHours([u8; Self::BYTES]);

impl WeeklyHours {
    /// Length of the stored form.
    pub const BYTES: usize = 21;

    /// The hours from `from` to before `to` on each of `weekdays`; Monday is 0, hours are 0 to 24.
    ///
    /// `None` if that is no hour at all, or a number is out of range.
    #[must_use]
    pub fn daily(weekdays: &[u8], from: u8, to: u8) -> Option<Self> {
        if to > 24 || weekdays.iter().any(|day| *day > 6) {
            return None;
        }
        let mut bits = [0; Self::BYTES];
        for day in weekdays {
            for hour in from..to {
                let hour = usize::from(*day) * 24 + usize::from(hour);
                bits[hour / 8] |= 1 << (hour % 8);
            }
        }
        Self::from_bytes(bits)
    }

    /// These hours and the others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] | other.0[index]))
    }

    /// From storage: hour `n` is bit `n % 8`, least significant first, of byte `n / 8`. `None` without any hour.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Option<Self> {
        (bytes != [0; Self::BYTES]).then_some(Self(bytes))
    }

    /// For storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Whether `now` lies in one of the hours.
    #[must_use]
    pub fn contains(&self, now: UnixNanos) -> bool {
        let hour = (now.as_secs() / HOUR_SECS + EPOCH_HOUR) % u64::from(HOURS);
        usize::try_from(hour).is_ok_and(|hour| self.0[hour / 8] & (1 << (hour % 8)) != 0)
    }
}

impl fmt::Debug for WeeklyHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours: u32 = self.0.iter().map(|byte| byte.count_ones()).sum();
        write!(f, "WeeklyHours({hours} of {HOURS})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_calendar() {
        let office = WeeklyHours::daily(&[0, 1, 2, 3, 4], 9, 17).unwrap();
        for (text, inside) in [
            ("2026-11-20T09:00:00.000Z", true), // a Friday
            ("2026-11-20T08:59:59.999Z", false),
            ("2026-11-20T16:59:59.999Z", true),
            ("2026-11-20T17:00:00.000Z", false),
            ("2026-11-21T12:00:00.000Z", false), // Saturday
            ("2026-11-22T12:00:00.000Z", false), // Sunday
            ("2026-11-23T12:00:00.000Z", true),  // Monday
            ("1970-01-01T09:30:00.000Z", true),  // Thursday
        ] {
            assert_eq!(office.contains(UnixNanos::parse_rfc3339(text).unwrap()), inside, "{text}");
        }
        assert_eq!(WeeklyHours::from_bytes(*office.as_bytes()), Some(office));
        let weekend = WeeklyHours::daily(&[6], 23, 24).unwrap();
        assert!(office.or(weekend).contains(UnixNanos::parse_rfc3339("2026-11-22T23:30:00.000Z").unwrap()));
        assert_eq!(weekend.as_bytes()[20], 0x80);
        for (days, from, to) in [(&[7][..], 0, 1), (&[0], 0, 25), (&[0], 5, 5), (&[0], 6, 5), (&[], 0, 24)] {
            assert_eq!(WeeklyHours::daily(days, from, to), None);
        }
    }
}
