//! Points in time and the clock port.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time between 1970 and 2554: {text:?}")]
pub struct TimeError {
    text: String,
}

/// Nanoseconds since 1970-01-01T00:00:00Z, without leap seconds. Reaches the year 2554.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// From milliseconds; saturates at the end of the range.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds; saturates at the end of the range.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Later by `by`; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Earlier by `by`; saturates at 1970.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier`; zero if it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Parses RFC 3339 text with any offset.
    ///
    /// # Errors
    /// [`TimeError`] when the text is not a time or lies outside the range.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError { text: text.chars().take(64).collect() };
        let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| bad())?;
        u64::try_from(parsed.unix_timestamp_nanos()).map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for UnixNanos {
    /// RFC 3339 in UTC with milliseconds, `2026-11-22T10:00:00.123Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0)) else {
            return write!(f, "{}ns", self.0);
        };
        let at = at.to_offset(UtcOffset::UTC);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

/// Where time comes from. The one real implementation lives in the product crate; engines never see a clock,
/// they are given `now`.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time. May step backwards when the machine's clock is set; callers that need order keep
    /// their own high-water mark.
    fn now(&self) -> UnixNanos;
}

/// A clock that moves only when told to; for tests and simulation.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Starts at `now`.
    #[must_use]
    pub const fn new(now: UnixNanos) -> Self {
        Self(AtomicU64::new(now.0))
    }

    /// Moves forward by `by`.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Jumps to `now`, in either direction.
    pub fn set(&self, now: UnixNanos) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_to_the_millisecond() {
        let at = UnixNanos::parse_rfc3339("2020-12-08T09:08:57.715Z").unwrap();
        assert_eq!(at.as_millis(), 1_607_418_537_715);
        assert_eq!(at.to_string(), "2020-12-08T09:08:57.715Z");
        assert!(UnixNanos::parse_rfc3339("1969-12-31T23:59:59Z").is_err());
        assert!(UnixNanos::parse_rfc3339("yesterday").is_err());
    }
}
