use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn quota(burst: u32, per: Duration) -> Quota {
    Quota::new(burst, per).unwrap()
}

/// A token bucket in exact fractions: tokens times `per`, refilled step by step. Shares no formula with the
/// engine, which keeps a time and no tokens.
struct TokenBucket {
    burst: u128,
    per: u128,
    /// Tokens times `per`.
    level: u128,
    at: u64,
}

impl TokenBucket {
    fn new(quota: Quota) -> Self {
        let (burst, per) = (u128::from(quota.burst), u128::from(quota.per_nanos));
        Self { burst, per, level: burst * per, at: 0 }
    }

    fn take(&mut self, cost: u32, now: u64) -> bool {
        self.level = (self.level + u128::from(now - self.at) * self.burst).min(self.burst * self.per);
        self.at = now;
        let price = u128::from(cost) * self.per;
        let conforms = price <= self.level;
        if conforms {
            self.level -= price;
        }
        conforms
    }
}

#[test]
fn quotas_out_of_range_are_refused() {
    assert!(matches!(Quota::new(0, Duration::from_secs(1)), Err(QuotaError::Burst { got: 0, .. })));
    assert!(matches!(
        Quota::new(Quota::BURST_MAX + 1, Duration::from_secs(1)),
        Err(QuotaError::Burst { .. })
    ));
    assert!(matches!(Quota::new(1, Duration::ZERO), Err(QuotaError::Period { .. })));
    assert!(matches!(Quota::new(1, Duration::from_secs(86_401)), Err(QuotaError::Period { .. })));
    assert_eq!(quota(60, Duration::from_millis(2_500)).per(), Duration::from_millis(2_500));
}

#[test]
fn burst_then_one_per_emission_interval() {
    let quota = quota(60, Duration::from_secs(2));
    let start = UnixNanos::from_secs(1_700_000_000);
    let mut state = Gcra::default();
    for left in (0..60).rev() {
        assert_eq!(state.check(quota, 1, start).unwrap().remaining, left);
    }
    // 2 s / 60 = 33.333.. ms, reported rounded up; one nanosecond less is refused, exactly that is admitted.
    let retry_after = Duration::from_nanos(33_333_334);
    assert_eq!(state.check(quota, 1, start), Err(Limited::TooSoon { retry_after }));
    assert_eq!(
        state.check(quota, 1, start.plus(Duration::from_nanos(33_333_333))),
        Err(Limited::TooSoon { retry_after: Duration::from_nanos(1) })
    );
    let admitted = state.check(quota, 1, start.plus(retry_after)).unwrap();
    assert_eq!(admitted.remaining, 0);
    assert_eq!(admitted.reset_after, Duration::from_secs(2));
}

#[test]
fn a_cost_above_the_burst_never_passes() {
    let quota = quota(20, Duration::from_secs(2));
    let mut state = Gcra::default();
    let refused = state.check(quota, 21, UnixNanos::from_secs(10)).unwrap_err();
    assert_eq!(refused, Limited::CostAboveBurst { cost: 21, burst: 20 });
    assert_eq!(refused.retry_after(), None);
    assert_eq!(state, Gcra::default());
    assert!(state.check(quota, 20, UnixNanos::from_secs(10)).is_ok());
}

#[test]
fn cost_zero_asks_and_charges_nothing() {
    let quota = quota(2, Duration::from_secs(1));
    let mut state = Gcra::default();
    state.check(quota, 2, UnixNanos::from_secs(1)).unwrap();
    let before = state;
    assert_eq!(state.check(quota, 0, UnixNanos::from_secs(1)).unwrap().remaining, 0);
    assert_eq!(state, before);
}

#[test]
fn a_clock_that_steps_back_costs_one_period_at_most() {
    let quota = quota(10, Duration::from_secs(1));
    let mut state = Gcra::default();
    state.check(quota, 10, UnixNanos::from_secs(1_000_000)).unwrap();
    let refused = state.check(quota, 10, UnixNanos::from_secs(10)).unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let quota = quota(Quota::BURST_MAX, Duration::from_secs(86_400));
    for now in [0, 1, u64::MAX - 1, u64::MAX] {
        let mut state = Gcra::default();
        assert!(state.check(quota, Quota::BURST_MAX, UnixNanos(now)).is_ok());
        assert!(state.check(quota, 1, UnixNanos(now)).is_err());
        assert!(state.fresh_at(quota).0 >= now);
    }
}

/// Ten times too much for 60 seconds, at uneven steps: with the bucket empty at the start, the admitted count is
/// the quota within 1 %; with it full, one burst more.
#[test]
fn the_rate_over_a_minute_is_the_quota() {
    for (burst, per_millis) in [(60, 2_000), (300, 2_000), (1_000, 2_000), (6, 1_000), (7, 3_000)] {
        let quota = quota(burst, Duration::from_millis(per_millis));
        let expected = u64::from(burst) * 60_000 / per_millis;
        let step = 60 * SECOND / (expected * 10);
        for fresh in [false, true] {
            let mut state = Gcra::default();
            let start = 1_700_000_000 * SECOND;
            if !fresh {
                state.check(quota, burst, UnixNanos(start)).unwrap();
            }
            let mut now = start;
            let mut admitted = 0_u64;
            for round in 0.. {
                now += step / 2 + step * (round % 3) / 2;
                if now > start + 60 * SECOND {
                    break;
                }
                admitted += u64::from(state.check(quota, 1, UnixNanos(now)).is_ok());
            }
            let expected = if fresh { expected + u64::from(burst) } else { expected };
            assert!(admitted <= expected, "{burst}/{per_millis} ms: {admitted} of {expected}");
            assert!(admitted * 100 >= expected * 99, "{burst}/{per_millis} ms: {admitted} of {expected}");
        }
    }
}

proptest! {
    /// The same verdict as the token bucket on every request of every history.
    #[test]
    fn agrees_with_the_token_bucket(
        burst in 1_u32..200,
        per_nanos in 1_000_u64..5 * SECOND,
        steps in proptest::collection::vec((0_u64..2 * SECOND, 0_u32..40), 1..200),
    ) {
        let quota = quota(burst, Duration::from_nanos(per_nanos));
        let (mut state, mut oracle, mut now) = (Gcra::default(), TokenBucket::new(quota), 0);
        for (step, cost) in steps {
            now += step % (per_nanos * 2);
            let admitted = state.check(quota, cost, UnixNanos(now));
            prop_assert_eq!(admitted.is_ok(), oracle.take(cost, now), "at {} cost {}", now, cost);
            if let Ok(admitted) = admitted {
                prop_assert_eq!(u128::from(admitted.remaining), oracle.level / oracle.per);
            }
        }
    }

    /// In no span is more admitted than a burst and what the span is worth.
    #[test]
    fn every_span_keeps_the_bound(
        burst in 1_u32..20,
        per_nanos in 1_000_u64..SECOND,
        steps in proptest::collection::vec(0_u64..SECOND, 1..100),
    ) {
        let quota = quota(burst, Duration::from_nanos(per_nanos));
        let (mut state, mut now, mut admitted) = (Gcra::default(), 7, Vec::new());
        for step in steps {
            now += step % per_nanos;
            if state.check(quota, 1, UnixNanos(now)).is_ok() {
                admitted.push(now);
            }
        }
        for (first, from) in admitted.iter().enumerate() {
            for (last, to) in admitted.iter().enumerate().skip(first) {
                let count = u128::try_from(last - first + 1).unwrap();
                // count <= burst + (to - from) * burst / per, without division
                let bound = u128::from(burst) * u128::from(per_nanos) + u128::from(to - from) * u128::from(burst);
                prop_assert!(count * u128::from(per_nanos) <= bound);
            }
        }
    }

    /// Waiting as long as told is enough, and a nanosecond less is not.
    /// Whoever is used to the brim stays so, nobody gains or loses more than one request by a change of quota.
    #[test]
    fn a_change_of_quota_keeps_what_is_used(
        (from, to) in ((1_u32..500, 1_u64..10_000), (1_u32..500, 1_u64..10_000)),
        cost in 0_u32..500,
        now in 10 * SECOND..20 * SECOND,
    ) {
        let of = |(burst, millis): (u32, u64)| quota(burst, Duration::from_millis(millis));
        let (from, to, now) = (of(from), of(to), UnixNanos(now));
        let mut state = Gcra::default();
        let cost = cost.min(from.burst());
        state.check(from, cost, now).unwrap();
        let left = state.under(from, to, now).check(to, 0, now).unwrap().remaining;
        prop_assert_eq!(left, to.burst() - cost.min(to.burst()));
        prop_assert_eq!(state.under(from, from, now).check(from, 0, now), state.check(from, 0, now));
    }

    #[test]
    fn retry_after_is_exact(
        burst in 1_u32..500,
        per_nanos in 1_000_u64..5 * SECOND,
        first in 1_u32..500,
        second in 1_u32..500,
        start in 0_u64..u64::MAX / 2,
    ) {
        let quota = quota(burst, Duration::from_nanos(per_nanos));
        let mut state = Gcra::default();
        state.check(quota, first.min(burst), UnixNanos(start)).unwrap();
        let second = second.min(burst);
        if let Err(refused) = state.check(quota, second, UnixNanos(start)) {
            let wait = refused.retry_after().unwrap();
            let mut early = state;
            prop_assert!(early.check(quota, second, UnixNanos(start).plus(wait - Duration::from_nanos(1))).is_err());
            prop_assert!(state.check(quota, second, UnixNanos(start).plus(wait)).is_ok());
        }
    }
}
