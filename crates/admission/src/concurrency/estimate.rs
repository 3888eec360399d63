//! The limit as a function of what was measured, a window at a time.
//!
//! As in Envoy's gradient controller and Netflix's Gradient2, with `base` the latency without a queue:
//!
//! ```text
//! gradient = clamp(tolerance * base / latency, 1/2, 1)
//! limit   += (limit * gradient + sqrt(limit) - limit) / 5
//! ```
//!
//! The square root lets the limit grow while there is no queue and is the queue that is aimed at. The limit does not
//! grow when nobody asked for it: fewer than half under way and nothing shed. It falls by a tenth when more than a
//! tenth of the requests failed.
//!
//! `base` is the least mean of a window, and measured anew by a *probe*: every five seconds, and when the limit has
//! fallen by half since the last one, the limit is halved for two windows, of which the first lets the queue drain
//! and the second is the new base. Without probes a standing queue would in time pass for the normal state, and a
//! server that has become slow for other reasons would be throttled without end. Cancels are not probed with.
//!
//! All in whole numbers, so the same measurements give the same limits on every machine.

use std::time::Duration;

use domain::UnixNanos;

use super::ConcurrencyConfig;

/// Longest latency that is told apart from longer ones: four seconds. 2^32 of them fit the sum.
pub(super) const NANOS_MAX: u64 = 4_000_000_000;
/// Least time between two steps.
const WINDOW_MIN: Duration = Duration::from_millis(100);
/// Most time between two steps.
const WINDOW_MAX: Duration = Duration::from_secs(2);
/// Fewer samples than this do not make a step.
const SAMPLES_MIN: u32 = 10;
/// Steps from the limit to its target, of which one is taken at a time.
const SMOOTHING: u64 = 5;
/// How much slower than without a queue is still well, in thousandths.
const TOLERANCE_PERMILLE: u64 = 1_500;
/// Between two probes, ordinarily.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// Between two probes, at least.
const PROBE_GAP: Duration = Duration::from_secs(1);
/// The limit is kept in thousandths.
const MILLI: u64 = 1_000;

/// What one window saw.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// Sum of the latencies of those answered.
    pub(super) nanos: u64,
    pub(super) answered: u32,
    pub(super) overloaded: u32,
    pub(super) in_flight_max: u32,
    pub(super) shed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Steady,
    /// The queue drains.
    Settle,
    /// The next window is the base.
    Measure,
}

/// The state of the limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    limit_milli: u64,
    min_milli: u64,
    max_milli: u64,
    /// Latency without a queue; 0 when nothing is known.
    base_nanos: u64,
    phase: Phase,
    probed_at: UnixNanos,
    /// The limit at the last probe, or the greatest since.
    high_milli: u64,
}

impl Estimate {
    pub(super) fn new(config: ConcurrencyConfig) -> Self {
        let min = config.limit_min.max(1);
        let max = config.limit_max.max(min);
        let limit_milli = u64::from(config.limit_initial.clamp(min, max)) * MILLI;
        Self {
            limit_milli,
            min_milli: u64::from(min) * MILLI,
            max_milli: u64::from(max) * MILLI,
            base_nanos: 0,
            phase: Phase::Steady,
            probed_at: UnixNanos(0),
            high_milli: limit_milli,
        }
    }

    /// The limit.
    pub(super) fn limit(&self) -> u32 {
        u32::try_from(self.limit_milli / MILLI).unwrap_or(u32::MAX)
    }

    /// The limit for everybody but cancels: half of it during a probe.
    pub(super) fn limit_now(&self) -> u32 {
        if self.phase == Phase::Steady { self.limit() } else { (self.limit() / 2).max(1) }
    }

    /// Takes in a window and returns how long the next one lasts.
    pub(super) fn step(&mut self, window: Window, now: UnixNanos) -> Duration {
        if window.answered.saturating_add(window.overloaded) < SAMPLES_MIN {
            // A quiet time is as good as a probe to let a queue drain, but measures nothing.
            return WINDOW_MIN;
        }
        let mean = window.nanos.checked_div(u64::from(window.answered)).unwrap_or(0).max(1);
        if self.probed_at == UnixNanos(0) {
            self.probed_at = now;
        }
        match self.phase {
            Phase::Settle => self.phase = Phase::Measure,
            Phase::Measure => {
                self.phase = Phase::Steady;
                if window.answered > 0 {
                    self.base_nanos = mean;
                }
                self.probed_at = now;
                self.high_milli = self.limit_milli;
            }
            Phase::Steady => {
                if window.answered > 0 && (self.base_nanos == 0 || mean < self.base_nanos) {
                    self.base_nanos = mean;
                }
                self.steer(window, mean);
                self.probe_when_due(now);
            }
        }
        Duration::from_nanos(mean.saturating_mul(2)).clamp(WINDOW_MIN, WINDOW_MAX)
    }

    fn steer(&mut self, window: Window, mean: u64) {
        let limit = self.limit_milli;
        let failed = window.overloaded > window.answered / 9;
        let next = if failed {
            limit - limit / 10
        } else {
            let allowed = u128::from(self.base_nanos) * u128::from(TOLERANCE_PERMILLE);
            let gradient = u64::try_from(allowed / u128::from(mean)).unwrap_or(MILLI).clamp(MILLI / 2, MILLI);
            let target = limit * gradient / MILLI + (limit * MILLI).isqrt();
            let wanted = window.shed > 0 || u64::from(window.in_flight_max) * 2 * MILLI >= limit;
            if target >= limit {
                if wanted { limit + (target - limit).div_ceil(SMOOTHING) } else { limit }
            } else {
                limit - (limit - target) / SMOOTHING
            }
        };
        self.limit_milli = next.clamp(self.min_milli, self.max_milli);
        self.high_milli = self.high_milli.max(self.limit_milli);
    }

    fn probe_when_due(&mut self, now: UnixNanos) {
        let since = now.since(self.probed_at);
        let fell = self.limit_milli * 2 < self.high_milli;
        if since >= PROBE_EVERY || (fell && since >= PROBE_GAP) {
            self.phase = Phase::Settle;
        }
    }
}
