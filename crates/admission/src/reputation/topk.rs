//! The heaviest of very many, in fixed memory: HeavyKeeper.
//!
//! Source: Gong et al., *HeavyKeeper: An Accurate Algorithm for Finding Top-k Elephant Flows*, USENIX ATC 2018. Two
//! rows of counters with fingerprints; whoever meets a counter of another wears it down with a probability that
//! falls exponentially with its count, so the many that come once cannot displace the few that come often. The `k`
//! heaviest are kept by name. Counts are estimates and never too high but by a collision of 32-bit fingerprints.
//!
//! Counts are halved every [`HALF_LIFE`], so that who was heavy yesterday is not so today.

use std::{fmt, hash::Hash, time::Duration};

use domain::UnixNanos;

use crate::hash::Seeded;

/// After which counts are halved.
pub const HALF_LIFE: Duration = Duration::from_secs(60);
/// Most that can be kept by name.
pub const K_MAX: usize = 256;

const ROWS: usize = 2;
/// Counters in a row.
const WIDTH: usize = 4_096;
/// From this count on a counter is no longer worn down: the probability is below 2^-32.
const DECAY_STEPS: usize = 288;

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    print: u32,
    count: u32,
}

/// Counts by key; the `k` heaviest by name.
pub struct TopK<K> {
    k: usize,
    hash: Seeded,
    cells: Box<[[Cell; WIDTH]; ROWS]>,
    /// `1.08^-count` in units of 2^-32.
    decay: Box<[u32; DECAY_STEPS]>,
    random: u64,
    /// Hashes of `top`, in the same order, for a fast search.
    prints: Vec<u64>,
    top: Vec<(K, u32)>,
    halved_at: UnixNanos,
}

impl<K: Hash + Eq + Clone> TopK<K> {
    /// Empty; `k` is cut to 1 up to [`K_MAX`]. `seed` is random and secret.
    #[must_use]
    pub fn new(k: usize, seed: u64) -> Self {
        let k = k.clamp(1, K_MAX);
        let mut decay = Box::new([0; DECAY_STEPS]);
        let mut chance = 1_u64 << 32;
        for step in decay.iter_mut() {
            *step = u32::try_from(chance).unwrap_or(u32::MAX);
            chance = chance * 100 / 108;
        }
        Self {
            k,
            hash: Seeded::new(seed),
            cells: Box::new([[Cell::default(); WIDTH]; ROWS]),
            decay,
            random: seed | 1,
            prints: Vec::with_capacity(k),
            top: Vec::with_capacity(k),
            halved_at: UnixNanos(0),
        }
    }

    /// Counts one more of `map_key` and returns the estimate of its count.
    pub fn add(&mut self, map_key: &K, now: UnixNanos) -> u32 {
        if now.since(self.halved_at) >= HALF_LIFE {
            self.halve(now);
        }
        let hash = self.hash.of(map_key);
        let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
        let print = u32::from_le_bytes([e, f, g, h]);
        let places = [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])];
        let mut estimate = 0;
        for (row, place) in places.into_iter().enumerate() {
            let chance = u32::try_from(self.next_random() >> 32).unwrap_or(0);
            let cell = &mut self.cells[row][usize::from(place) % WIDTH];
            if cell.count > 0 && cell.print != print {
                let limit = self.decay.get(cell.count as usize).copied().unwrap_or(0);
                if chance < limit {
                    cell.count -= 1;
                }
                if cell.count > 0 {
                    continue;
                }
            }
            cell.print = print;
            cell.count = cell.count.saturating_add(1);
            estimate = estimate.max(cell.count);
        }
        self.rank(map_key, hash, estimate);
        estimate
    }

    /// The heaviest with their estimates, heaviest first.
    #[must_use]
    pub fn top(&self) -> Vec<(K, u32)> {
        let mut top = self.top.clone();
        top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        top
    }

    /// Memory, the same from the first key to the last.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        size_of::<[[Cell; WIDTH]; ROWS]>()
            + size_of::<[u32; DECAY_STEPS]>()
            + self.k * (size_of::<u64>() + size_of::<(K, u32)>())
    }

    fn rank(&mut self, map_key: &K, hash: u64, estimate: u32) {
        if let Some(index) = self.prints.iter().position(|print| *print == hash) {
            let (_, count) = &mut self.top[index];
            *count = estimate.max(*count);
        } else if self.top.len() < self.k {
            if estimate > 0 {
                self.prints.push(hash);
                self.top.push((map_key.clone(), estimate));
            }
        } else if estimate > 1 {
            let least = self.top.iter().enumerate().min_by_key(|(_, (_, count))| *count);
            if let Some((index, (_, count))) = least
                && estimate > *count
            {
                self.prints[index] = hash;
                self.top[index] = (map_key.clone(), estimate);
            }
        }
    }

    #[cold]
    fn halve(&mut self, now: UnixNanos) {
        self.halved_at = now;
        self.cells.as_flattened_mut().iter_mut().for_each(|cell| cell.count /= 2);
        self.top.iter_mut().for_each(|(_, count)| *count /= 2);
    }

    /// xorshift64: only has to be cheap and unknown to outsiders.
    const fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl<K> fmt::Debug for TopK<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopK").field("k", &self.k).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos::from_secs(1_000);

    /// Twenty heavy keys among a million that come once.
    #[test]
    fn the_heavy_stand_out_from_a_flood_of_strangers() {
        let mut top = TopK::new(20, 7);
        let memory = top.memory_bytes();
        for i in 0..1_000_000_u64 {
            top.add(&(1_000 + i), NOW);
            if i % 500 == 0 {
                for heavy in 0..20 {
                    top.add(&heavy, NOW);
                }
            }
        }
        let found: Vec<u64> = top.top().into_iter().map(|(map_key, _)| map_key).collect();
        let right = found.iter().filter(|map_key| **map_key < 20).count();
        assert!(right >= 19, "{right} of 20: {found:?}");
        assert!(top.top().iter().all(|(_, count)| *count <= 2_000));
        assert!(top.top()[0].1 >= 1_800, "{:?}", top.top()[0]);
        assert_eq!(top.memory_bytes(), memory);
    }

    #[test]
    fn few_keys_are_counted_exactly_and_counts_fade() {
        let mut top = TopK::new(8, 1);
        for i in 0..5_u64 {
            for _ in 0..=i {
                top.add(&i, NOW);
            }
        }
        assert_eq!(top.top(), [(4, 5), (3, 4), (2, 3), (1, 2), (0, 1)]);
        top.add(&9, NOW.plus(HALF_LIFE));
        assert_eq!(top.top().iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 2, 1, 1, 1, 0]);
    }
}
