//! When a message that was not taken is tried again: after 5 seconds, then twice as long each time, at most a day.
//!
//! Each wait is shortened at random by up to a quarter, so that many messages that failed together do not come together.

use std::time::Duration;

/// How often and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The wait before the second try.
    pub first: Duration,
    /// Tries altogether.
    pub tries: u32,
}

impl Schedule {
    /// Longest wait between two tries.
    pub const WAIT_MAX: Duration = Duration::from_secs(86_400);
    /// The wait before the second try when nothing else is said.
    pub const FIRST: Duration = Duration::from_secs(5);
    /// Tries when nothing else is said: the last comes some four days after the first.
    pub const TRIES: u32 = 18;

    /// How long to wait after `tries` tries; `None` when that was the last. `random` is uniform over all values.
    #[must_use]
    pub fn wait(&self, tries: u32, random: u32) -> Option<Duration> {
        if tries >= self.tries {
            return None;
        }
        let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(doubled).min(Self::WAIT_MAX);
        let nanos = full.as_nanos() / 4 * u128::from(random) / u128::from(u32::MAX);
        let shortened = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Some(full.saturating_sub(shortened))
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { first: Self::FIRST, tries: Self::TRIES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_five_seconds_to_a_day() {
        let schedule = Schedule::default();
        let waits: Vec<u64> = (1..=18).map_while(|tries| Some(schedule.wait(tries, 0)?.as_secs())).collect();
        assert_eq!(
            waits,
            [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960, 81920, 86400, 86400]
        );
        assert_eq!(waits.iter().sum::<u64>() / 86_400, 3);
        assert_eq!(schedule.wait(1, u32::MAX), Some(Duration::from_millis(3_750)));
        assert_eq!(schedule.wait(18, 0), None);
        let endless = Schedule { first: Duration::from_millis(1), tries: u32::MAX };
        assert_eq!(endless.wait(4_000_000, 0), Some(Schedule::WAIT_MAX));
    }
}
