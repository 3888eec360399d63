use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn limiter(burst: u32, per: Duration, entries_max: usize) -> KeyedLimiter<u64> {
    KeyedLimiter::new(Quota::new(burst, per).unwrap(), entries_max, 7)
}

#[test]
fn keys_are_limited_apart() {
    let limiter = limiter(2, Duration::from_secs(1), 100);
    let now = UnixNanos::from_secs(100);
    for _ in 0..2 {
        assert!(limiter.check(1, 1, now).is_ok());
        assert!(limiter.check(2, 1, now).is_ok());
    }
    assert!(limiter.check(1, 1, now).is_err());
    assert!(limiter.check(2, 1, now).is_err());
    assert!(limiter.check(3, 1, now).is_ok());
    assert_eq!(limiter.len(), 3);
}

#[test]
fn what_is_refused_or_free_leaves_no_entry() {
    let limiter = limiter(2, Duration::from_secs(1), 100);
    assert!(limiter.check(1, 3, UnixNanos::from_secs(1)).is_err());
    assert!(limiter.check(2, 0, UnixNanos::from_secs(1)).is_ok());
    assert!(limiter.is_empty());
}

#[test]
fn a_flood_of_strange_keys_neither_grows_it_nor_frees_the_limited() {
    flood(500_000);
}

#[test]
#[ignore = "ten seconds without optimisation"]
fn a_flood_of_ten_million_strange_keys() {
    flood(10_000_000);
}

/// Distinct keys against a bound of 1 024: the bound holds throughout, and a key that is being limited is still
/// limited afterwards.
fn flood(keys: u64) {
    let limiter = limiter(10, Duration::from_secs(60), 1_024);
    let start = 100 * SECOND;
    let hot: u64 = u64::MAX;
    limiter.check(hot, 10, UnixNanos(start)).unwrap();
    for strange in 0..keys {
        limiter.check(strange, 1, UnixNanos(start + strange * SECOND / keys)).unwrap();
        if strange % 100_000 == 0 {
            assert!(limiter.len() <= limiter.entries_max());
        }
    }
    assert_eq!(limiter.entries_max(), 1_024);
    assert_eq!(limiter.len(), 1_024);
    assert!(limiter.check(hot, 1, UnixNanos(start + SECOND)).is_err());
    assert!(limiter.evicted() > keys * 9 / 10);
    for shard in &limiter.shards {
        let shard = shard.lock();
        assert_eq!(shard.heap.len(), shard.slots.len());
        assert_eq!(shard.table.len(), shard.slots.len());
    }
}

#[test]
fn expired_entries_give_way_before_live_ones() {
    let limiter = limiter(10, Duration::from_secs(10), 512);
    // Live until second 110 and 101.
    for map_key in 0..256 {
        limiter.check(map_key, 10, UnixNanos::from_secs(100)).unwrap();
    }
    for map_key in 256..4_096 {
        let _ = limiter.check(map_key, 1, UnixNanos::from_secs(100));
    }
    let evicted = limiter.evicted();
    // At second 105 only the first kind lives; every shard has room for new keys at the cost of expired ones.
    let live = |map_key| limiter.check(map_key, 10, UnixNanos::from_secs(105)).is_err();
    assert!((0..256).all(live));
    for map_key in 10_000..10_064 {
        limiter.check(map_key, 1, UnixNanos::from_secs(105)).unwrap();
    }
    assert_eq!(limiter.evicted(), evicted);
    assert!((0..256).all(live));
}

/// The entry that gives way is the one nearest to fresh, also when later admissions have moved it.
#[test]
fn the_nearest_to_fresh_gives_way() {
    let quota = Quota::new(100, Duration::from_secs(100)).unwrap();
    let hash = Seeded::new(7);
    let limiter: KeyedLimiter<u64> = KeyedLimiter::new(quota, 4 * SHARDS, 7);
    // Five keys of one shard, which has four places.
    let keys: Vec<u64> =
        (0..).filter(|map_key| Seeded::shard::<SHARDS>(hash.of(map_key)) == 3).take(5).collect();
    let now = UnixNanos::from_secs(1_000);
    for (map_key, cost) in keys.iter().zip([1, 2, 3, 4]) {
        limiter.check(*map_key, cost, now).unwrap();
    }
    limiter.check(keys[0], 50, now).unwrap(); // now the second is nearest
    limiter.check(keys[4], 90, now).unwrap();
    let remaining = |map_key| limiter.check(map_key, 0, now).unwrap().remaining;
    assert_eq!(keys.iter().map(|map_key| remaining(*map_key)).collect::<Vec<_>>(), [49, 100, 97, 96, 10]);
    assert_eq!(limiter.evicted(), 1);
}

#[test]
fn concurrent_checks_admit_the_burst_and_no_more() {
    let limiter = limiter(1_000, Duration::from_secs(60), 64);
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    if limiter.check(9, 1, UnixNanos::from_secs(5)).is_ok() {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 1_000);
}

#[test]
fn text_keys_and_tuples_work() {
    let quota = Quota::new(1, Duration::from_secs(1)).unwrap();
    let limiter: KeyedLimiter<(String, &str)> = KeyedLimiter::new(quota, 16, 1);
    assert!(limiter.check(("alice".into(), "BTC-USDT"), 1, UnixNanos(0)).is_ok());
    assert!(limiter.check(("alice".into(), "BTC-USDT"), 1, UnixNanos(0)).is_err());
    assert!(limiter.check(("alice".into(), "ETH-USDT"), 1, UnixNanos(0)).is_ok());
}
