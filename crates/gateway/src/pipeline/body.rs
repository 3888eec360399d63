//! A request's body, wherever it comes from, within its bounds: size, total time, and a least rate after a grace
//! period.

use std::{future::Future, time::Duration};

/// Time before the least rate counts.
const GRACE: Duration = Duration::from_secs(5);
/// Least rate after the grace period, in bytes per second.
const BYTES_PER_SECOND_MIN: u64 = 240;

/// Why a body is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The connection broke, or the framing is wrong.
    Broken,
    /// More bytes than the route allows.
    TooLarge,
    /// Slower than the least rate, or longer than the total time.
    TooSlow,
}

impl Unreadable {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Broken => "body_broken",
            Self::TooLarge => "body_too_large",
            Self::TooSlow => "body_too_slow",
        }
    }
}

/// A body that may still be on its way.
pub(crate) trait Body: Send {
    /// Whether the connection under it can be handed over to another protocol.
    const CAN_UPGRADE: bool;

    /// Whether there is none.
    fn is_empty(&self) -> bool;

    /// Whether all of it has arrived.
    fn is_here(&self) -> bool;

    /// Waits for all of it; a declared length beyond `bytes_max` is refused before a byte is read.
    fn read(
        &mut self,
        bytes_max: usize,
        total: Duration,
    ) -> impl Future<Output = Result<(), Unreadable>> + Send;

    /// The bytes, once it was read.
    fn bytes(&self) -> &[u8];
}

/// When the next byte must be there, counted from the start.
pub(crate) fn due(received: usize, total: Duration) -> Duration {
    let earned = Duration::from_millis(received as u64 * 1_000 / BYTES_PER_SECOND_MIN);
    (GRACE + earned).min(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_earn_time_up_to_the_total() {
        let total = Duration::from_secs(30);
        assert_eq!(due(0, total), GRACE);
        assert_eq!(due(240, total), Duration::from_secs(6));
        // One byte a second: after 5 s with 5 bytes the next is due at 5.02 s.
        assert_eq!(due(5, total), Duration::from_millis(5_020));
        assert_eq!(due(64 << 10, total), total);
    }
}
