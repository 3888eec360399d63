//! Scores that fade, in a table of fixed size.
//!
//! A table is sets of eight places. A subject has its place in one set, found by its fingerprint of 64 bits under a
//! secret seed; a newcomer takes the place of least worth in its set. A flood of strangers, each seen once, pushes
//! out itself: a subject with a score, or one that has lately authenticated, is worth more than they are.
//!
//! A score halves every half-life, on a straight line in between, in whole thousandths of a point.

use std::time::Duration;

use domain::UnixNanos;
use parking_lot::Mutex;

use super::event::{Event, Evidence};

/// Thousandths of a point.
pub(super) const MILLI: u32 = 1_000;
const WAYS: usize = 8;
const SHARDS: usize = 16;
/// A subject with this many authenticated successes, the last of them within [`TRUST`], is trusted.
const SUCCESSES_MIN: u16 = 3;
/// How long a success counts.
const TRUST: Duration = Duration::from_secs(600);
/// What being trusted is worth when places are short, in thousandths of a point.
const TRUST_WORTH: u32 = 50 * MILLI;

/// What is known of a subject.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cell {
    /// 0: nobody.
    print: u64,
    at: UnixNanos,
    succeeded_at: UnixNanos,
    /// A bit for each of 64 classes of those who took part.
    members: u64,
    milli: u32,
    successes: u16,
    counts: Evidence,
}

impl Cell {
    fn fade(&mut self, half_life: Duration, now: UnixNanos) {
        self.milli = faded(self.milli, now.since(self.at), half_life);
        if self.milli == 0 {
            self.counts = Evidence::default();
            self.members = 0;
        }
        self.at = now;
    }

    fn is_trusted(&self, now: UnixNanos) -> bool {
        self.successes >= SUCCESSES_MIN && now.since(self.succeeded_at) < TRUST
    }

    fn worth(&self, half_life: Duration, now: UnixNanos) -> u32 {
        let trust = if self.is_trusted(now) { TRUST_WORTH } else { 0 };
        faded(self.milli, now.since(self.at), half_life).saturating_add(trust)
    }
}

/// What is left of a score after a time.
fn faded(milli: u32, after: Duration, half_life: Duration) -> u32 {
    let (after, half) = (after.as_nanos(), half_life.as_nanos().max(1));
    let halvings = u32::try_from(after / half).unwrap_or(u32::MAX);
    let left = u64::from(milli.checked_shr(halvings).unwrap_or(0));
    let within = u64::try_from(after % half * 1_024 / half).unwrap_or(0);
    u32::try_from(left - left * within / 2_048).unwrap_or(u32::MAX)
}

/// What a subject has come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) milli: u32,
    pub(super) is_trusted: bool,
    /// How many different members took part, up to about 64; too few rather than too many.
    pub(super) n_members: u32,
    pub(super) evidence: Evidence,
}

/// The sets of one lock.
type Shard = Box<[[Cell; WAYS]]>;

/// Scores by fingerprint.
#[derive(Debug)]
pub(super) struct Scores {
    shards: Box<[Mutex<Shard>]>,
    half_life: Duration,
}

impl Scores {
    /// Room for `entries` subjects, rounded up.
    pub(super) fn new(entries: usize, half_life: Duration) -> Self {
        let sets = entries.div_ceil(WAYS * SHARDS).max(1);
        let shard = || Mutex::new(vec![[Cell::default(); WAYS]; sets].into_boxed_slice());
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), half_life }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len() * size_of::<[Cell; WAYS]>()).sum()
    }

    /// Applies `change` to the faded cell of a subject, which is there from now on.
    fn with<T>(&self, print: u64, now: UnixNanos, change: impl FnOnce(&mut Cell) -> T) -> T {
        let print = print.max(1);
        let [.., shard, place_3, place_2, place_1] = print.to_be_bytes();
        let shard = &mut *self.shards[usize::from(shard) % SHARDS].lock();
        let place = u32::from_be_bytes([print.to_be_bytes()[3], place_3, place_2, place_1]) as usize;
        let place = place % shard.len();
        let set = &mut shard[place];
        let index = set.iter().position(|cell| cell.print == print).unwrap_or_else(|| {
            let least = set.iter().enumerate().min_by_key(|(_, cell)| cell.worth(self.half_life, now));
            least.map_or(0, |(index, _)| index)
        });
        let cell = &mut set[index];
        if cell.print != print {
            *cell = Cell { print, at: now, ..Cell::default() };
        }
        cell.fade(self.half_life, now);
        change(cell)
    }

    /// Adds to the score of a subject; `member` is the hash of who took part.
    pub(super) fn add(&self, print: u64, milli: u32, event: Event, member: u64, now: UnixNanos) -> Standing {
        self.with(print, now, |cell| {
            cell.milli = cell.milli.saturating_add(milli);
            cell.counts.count(event);
            cell.members |= 1 << (member % 64);
            Standing {
                milli: cell.milli,
                is_trusted: cell.is_trusted(now),
                n_members: cell.members.count_ones(),
                evidence: cell.counts,
            }
        })
    }

    /// Takes from the score of a subject that did well. Whether it is the first time within `gap`.
    pub(super) fn succeeded(&self, print: u64, milli: u32, gap: Duration, now: UnixNanos) -> bool {
        self.with(print, now, |cell| {
            cell.milli = cell.milli.saturating_sub(milli);
            let since = now.since(cell.succeeded_at);
            if since >= TRUST {
                cell.successes = 0;
            }
            cell.successes = cell.successes.saturating_add(1);
            let first = since >= gap;
            if first {
                cell.succeeded_at = now;
            }
            first
        })
    }

    /// Back to nothing, after a ban: what comes later counts anew.
    pub(super) fn clear(&self, print: u64, now: UnixNanos) {
        self.with(print, now, |cell| {
            cell.milli = 0;
            cell.members = 0;
            cell.counts = Evidence::default();
        });
    }

    /// The score of a subject, without giving it a place.
    pub(super) fn milli(&self, print: u64, now: UnixNanos) -> u32 {
        let print = print.max(1);
        let bytes = print.to_be_bytes();
        let shard = self.shards[usize::from(bytes[4]) % SHARDS].lock();
        let place = u32::from_be_bytes([bytes[3], bytes[5], bytes[6], bytes[7]]) as usize % shard.len();
        let cell = shard[place].iter().find(|cell| cell.print == print);
        cell.map_or(0, |cell| faded(cell.milli, now.since(cell.at), self.half_life))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_secs(30);

    #[test]
    fn scores_halve_and_end_at_nothing() {
        let after = |millis| faded(100_000, Duration::from_millis(millis), HALF);
        assert_eq!(
            [after(0), after(15_000), after(30_000), after(60_000)],
            [100_000, 75_000, 50_000, 25_000]
        );
        assert_eq!(after(30_000 * 31), 0);
        assert_eq!(faded(u32::MAX, Duration::from_secs(u64::MAX), HALF), 0);
        assert!((0..600_000).step_by(777).map(after).is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn strangers_push_out_each_other_and_not_the_guilty_or_the_trusted() {
        let scores = Scores::new(1_024, HALF);
        let memory = scores.memory_bytes();
        let now = UnixNanos::from_secs(1_000);
        let print = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for i in 0..40 {
            scores.add(print(i), 40_000, Event::BadSignature, 0, now);
        }
        for i in 40..50 {
            (0..3).for_each(|_| assert!(scores.succeeded(print(i), 1, Duration::ZERO, now)));
        }
        for i in 1_000..200_000 {
            scores.add(print(i), 5_000, Event::UnknownKey, 0, now);
        }
        assert!((0..40).all(|i| scores.milli(print(i), now) == 40_000));
        let trusted = |i| scores.add(print(i), 0, Event::Slow, 0, now).is_trusted;
        assert!((40..50).all(trusted));
        assert_eq!(scores.memory_bytes(), memory);
    }
}
