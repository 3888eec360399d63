//! One limit per key, for keys that outsiders choose.
//!
//! Bound: `entries_max` entries over all shards, whatever arrives. When a shard is full, the entry **nearest to
//! fresh** gives way: an expired one is worth nothing, and among the others it is the one whose loss forgives least.
//! A flood of strange keys, each seen once, therefore pushes out itself and not the few that are being limited.
//!
//! Which entry that is comes from a heap of the times at which entries become fresh, kept lazily: a new entry is
//! listed as fresh now, an admission moves the time later without touching the heap, and an outdated top is put back
//! in its place when it comes up. A refund between the two can leave an entry listed too late, never out of the heap.
//! So the common path is one lock, one table lookup and no allocation; an eviction costs the logarithm of the
//! entries, amortised.
//!
//! Locks: one of [`SHARDS`], held for one check.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, hash::Hash};

use domain::UnixNanos;
use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::{
    gcra::{Admitted, Gcra, Limited, Quota},
    hash::Seeded,
};

/// Independent locks.
pub const SHARDS: usize = 16;

struct Slot<K> {
    map_key: K,
    state: Gcra,
}

struct Shard<K> {
    /// Places in `slots`, by the hash of the key there.
    table: HashTable<u32>,
    slots: Vec<Slot<K>>,
    /// Exactly one element per slot: a time not after the one at which the slot becomes fresh (but for refunds), and
    /// its place.
    heap: BinaryHeap<Reverse<(UnixNanos, u32)>>,
    /// Entries pushed out while they still limited something.
    evicted: u64,
}

impl<K> Shard<K> {
    const fn new() -> Self {
        Self { table: HashTable::new(), slots: Vec::new(), heap: BinaryHeap::new(), evicted: 0 }
    }
}

impl<K: Hash + Eq> Shard<K> {
    /// Takes out the entry nearest to fresh and returns its place, which is then in neither table nor heap.
    fn evict(&mut self, quota: Quota, hash: &Seeded, now: UnixNanos) -> Option<u32> {
        loop {
            let mut top = self.heap.peek_mut()?;
            let Reverse((listed, place)) = *top;
            let slot = &self.slots[place as usize];
            let fresh_at = slot.state.fresh_at(quota);
            if listed < fresh_at {
                *top = Reverse((fresh_at, place)); // sinks to its place when the guard drops
                continue;
            }
            std::collections::binary_heap::PeekMut::pop(top);
            if !slot.state.is_fresh(quota, now) {
                self.evicted += 1;
            }
            if let Ok(entry) = self.table.find_entry(hash.of(&slot.map_key), |other| *other == place) {
                entry.remove();
            }
            return Some(place);
        }
    }
}

/// A [`Gcra`] per key, bounded in number.
pub struct KeyedLimiter<K> {
    shards: [Mutex<Shard<K>>; SHARDS],
    quota: Quota,
    shard_entries_max: usize,
    hash: Seeded,
}

impl<K: Hash + Eq> KeyedLimiter<K> {
    /// Most entries of one limiter.
    pub const ENTRIES_MAX: usize = 1 << 28;

    /// Empty. `entries_max` is rounded up to a multiple of [`SHARDS`] and cut to [`Self::ENTRIES_MAX`]; the memory is
    /// taken as entries come, about the size of the key and 50 bytes each. `seed` is random and secret: it keeps
    /// outsiders from choosing keys that collide.
    #[must_use]
    pub fn new(quota: Quota, entries_max: usize, seed: u64) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new())),
            quota,
            shard_entries_max: Self::bound_of(entries_max) / SHARDS,
            hash: Seeded::new(seed),
        }
    }

    /// The bound that `entries_max` is rounded and cut to.
    pub(crate) const fn bound_of(entries_max: usize) -> usize {
        let entries_max = if entries_max < Self::ENTRIES_MAX { entries_max } else { Self::ENTRIES_MAX };
        if entries_max == 0 { SHARDS } else { entries_max.div_ceil(SHARDS) * SHARDS }
    }

    /// The quota of every key.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Charges `cost` to `map_key` if it conforms.
    ///
    /// # Errors
    /// [`Limited`]; nothing is charged.
    pub fn check(&self, map_key: K, cost: u32, now: UnixNanos) -> Result<Admitted, Limited> {
        let hash = self.hash.of(&map_key);
        let shard = &mut *self.shards[Seeded::shard::<SHARDS>(hash)].lock();
        if let Some(place) = shard.table.find(hash, |place| shard.slots[*place as usize].map_key == map_key) {
            return shard.slots[*place as usize].state.check(self.quota, cost, now);
        }
        let mut state = Gcra::default();
        let admitted = state.check(self.quota, cost, now)?;
        if cost > 0 {
            self.insert(shard, hash, Slot { map_key, state }, now);
        }
        Ok(admitted)
    }

    /// A limiter of another quota or bound in which every key owes what it owes here; see [`Gcra::under`]. Locks one
    /// shard after the other: what is charged to this one meanwhile may be missing there.
    #[must_use]
    pub fn under(&self, quota: Quota, entries_max: usize, now: UnixNanos) -> Self
    where
        K: Clone,
    {
        let new = Self { hash: self.hash.again(), ..Self::new(quota, entries_max, 0) };
        for (from, into) in self.shards.iter().zip(&new.shards) {
            let (from, into) = (from.lock(), &mut *into.lock());
            for slot in from.slots.iter().filter(|slot| !slot.state.is_fresh(self.quota, now)) {
                let state = slot.state.under(self.quota, quota, now);
                let hash = new.hash.of(&slot.map_key);
                new.insert(into, hash, Slot { map_key: slot.map_key.clone(), state }, now);
            }
        }
        new
    }

    /// Gives back `cost` to `map_key`, for a request that was not carried out after all; never more than a whole
    /// burst.
    pub fn refund(&self, map_key: &K, cost: u32, now: UnixNanos) {
        let hash = self.hash.of(map_key);
        let shard = &mut *self.shards[Seeded::shard::<SHARDS>(hash)].lock();
        if let Some(place) = shard.table.find(hash, |place| shard.slots[*place as usize].map_key == *map_key)
        {
            shard.slots[*place as usize].state.refund(self.quota, cost, now);
        }
    }

    /// Entries at present, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().slots.len()).sum()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Most entries there will ever be.
    #[must_use]
    pub const fn entries_max(&self) -> usize {
        self.shard_entries_max * SHARDS
    }

    /// Entries pushed out while they still limited something, since the start. Growth means that the bound is too
    /// small for the traffic.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().evicted).sum()
    }

    /// Puts an entry that is not there into a free place: a new one, or that of the entry nearest to fresh.
    fn insert(&self, shard: &mut Shard<K>, hash: u64, slot: Slot<K>, now: UnixNanos) {
        let full = shard.slots.len() >= self.shard_entries_max;
        let place = match if full { shard.evict(self.quota, &self.hash, now) } else { None } {
            Some(place) => {
                shard.slots[place as usize] = slot;
                place
            }
            None => {
                shard.slots.push(slot);
                u32::try_from(shard.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        // Listed as if nothing had been charged, so that a refund does not make the listed time too late.
        shard.heap.push(Reverse((now, place)));
        let slots = &shard.slots;
        shard.table.insert_unique(hash, place, |place| self.hash.of(&slots[*place as usize].map_key));
    }
}

impl<K> fmt::Debug for KeyedLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimiter").field("quota", &self.quota).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
