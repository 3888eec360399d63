use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use proptest::prelude::*;

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_700_000_003);

fn tag(number: u64) -> [u8; 16] {
    let mut tag = [0; 16];
    tag[..8].copy_from_slice(&number.to_le_bytes());
    tag
}

#[test]
fn the_second_sight_is_a_repetition_for_as_long_as_it_could_verify() {
    let window = ReplayWindow::new(1_000, 1);
    for skew_secs in [0, 1, 7, 8, 29, 30] {
        let (early, late) = (NOW.minus(SKEW_MAX), NOW.plus(SKEW_MAX));
        let tag = tag(skew_secs);
        // First seen as early as the timestamp allows, repeated until it expires.
        assert_eq!(window.admit(tag, NOW, early), Ok(()));
        assert_eq!(
            window.admit(tag, NOW, NOW.plus(Duration::from_secs(skew_secs))),
            Err(ReplayError::Repeated)
        );
        assert_eq!(window.admit(tag, NOW, late), Err(ReplayError::Repeated));
    }
    assert_eq!(window.admit(tag(99), NOW, NOW.plus(Duration::from_secs(61))), Err(ReplayError::Forgotten));
    assert_eq!(window.admit(tag(99), NOW.plus(Duration::from_secs(31)), NOW), Err(ReplayError::Forgotten));
}

#[test]
fn a_clock_that_steps_back_fails_closed() {
    let window = ReplayWindow::new(1_000, 1);
    assert_eq!(window.admit(tag(1), NOW, NOW), Ok(()));
    // Pass through every shard an hour later, so that all of them forget.
    let later = NOW.plus(Duration::from_secs(3_600));
    for number in 0..500 {
        assert_eq!(window.admit(tag(number), later, later), Ok(()));
    }
    assert_eq!(window.admit(tag(1), NOW, NOW), Err(ReplayError::Forgotten));
}

#[test]
fn of_parallel_repetitions_exactly_one_passes() {
    let window = ReplayWindow::new(1_000, 1);
    for round in 0..200 {
        let passed = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    if window.admit(tag(round), NOW, NOW).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1);
    }
}

#[test]
fn a_full_window_refuses_and_recovers() {
    let window = ReplayWindow::new(160, 1);
    let mut admitted = 0;
    for number in 0..1_000 {
        match window.admit(tag(number), NOW, NOW) {
            Ok(()) => admitted += 1,
            Err(refused) => assert_eq!(refused, ReplayError::Full),
        }
    }
    assert_eq!((admitted, window.len()), (160, 160));
    // What was refused was not remembered, what was admitted is.
    assert_eq!(
        (0..1_000)
            .filter(|number| window.admit(tag(*number), NOW, NOW) == Err(ReplayError::Repeated))
            .count(),
        160
    );
    let later = NOW.plus(Duration::from_secs(61));
    assert_eq!(window.admit(tag(2_000), later, later), Ok(()));
}

/// The stated size: 1.2 million tags, 20 000 per second over 60 seconds.
#[test]
fn one_million_two_hundred_thousand_entries_take_48_megabytes_at_most() {
    let window = ReplayWindow::new(1_220_000, 1);
    for number in 0..1_200_000_u64 {
        let at = NOW.plus(Duration::from_micros(number * 50));
        assert_eq!(window.admit(tag(number), at, NOW.plus(SKEW_MAX)), Ok(()));
    }
    assert_eq!(window.len(), 1_200_000);
    assert!(window.memory_bytes() <= 48_000_000, "{}", window.memory_bytes());
    assert!(window.memory_bytes_max() <= 48_000_000, "{}", window.memory_bytes_max());
    eprintln!("{} bytes for 1 200 000 entries", window.memory_bytes());
}

proptest! {
    /// Against a map that forgets nothing: no repetition that could verify ever passes, and every first sight does.
    #[test]
    fn agrees_with_a_memory_without_end(
        steps in proptest::collection::vec((0_u64..20_000, -30_000_i64..=30_000, 0_u64..20), 1..300),
    ) {
        let window = ReplayWindow::new(100_000, 5);
        let mut seen: HashMap<(u64, [u8; 16]), ()> = HashMap::new();
        let mut now_millis = NOW.as_millis();
        for (step, skew, number) in steps {
            now_millis += step;
            let timestamp = now_millis.checked_add_signed(skew).unwrap();
            // A signature covers its timestamp: the tag differs with it. Coarse, so that repetitions happen.
            let timestamp = timestamp - timestamp % 10_000;
            let (at, now) = (UnixNanos::from_millis(timestamp), UnixNanos::from_millis(now_millis));
            if !crate::okx::within_skew(at, now) {
                continue;
            }
            let tag = tag(number + timestamp * 100);
            let first = seen.insert((timestamp, tag), ()).is_none();
            prop_assert_eq!(window.admit(tag, at, now), if first { Ok(()) } else { Err(ReplayError::Repeated) });
        }
        for shard in &window.shards {
            let shard = shard.lock();
            prop_assert!(shard.buckets.len() <= BUCKETS_MAX);
            prop_assert_eq!(shard.entries, shard.buckets.iter().map(|bucket| bucket.tags.len()).sum::<usize>());
        }
    }
}
