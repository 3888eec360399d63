//! The one place that reads the machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::{Clock, UnixNanos};

/// The operating system's clock in UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixNanos {
        #[expect(clippy::disallowed_methods, reason = "this is the clock's one home")]
        let now = SystemTime::now();
        // A clock before 1970 reads as 1970: every time-bound check then fails closed.
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}
