//! Bans in force, and those that ended lately, by what they hit.
//!
//! Bound: `bans_max` over all shards. When a shard is full, one that has ended gives way, else the one with the
//! lowest score, which may be the newcomer. Bans that ended are kept as long as there is room, for at most
//! [`STRIKES_KEPT`], because the next one lasts longer.
//!
//! A source and the network around it lie in the same shard, so a lookup takes one lock, shared, and searches twice.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use domain::UnixNanos;
use hashbrown::{HashTable, hash_table::Entry};
use parking_lot::RwLock;

use super::{Ban, Target};

const SHARDS: usize = 16;
/// How long a ban that has ended makes the next one longer.
const STRIKES_KEPT: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug)]
struct Slot {
    print: u64,
    ban: Ban,
}

/// Bans by fingerprint.
#[derive(Debug)]
pub(super) struct Bans {
    shards: [RwLock<HashTable<Slot>>; SHARDS],
    shard_max: usize,
    /// Slots in all shards: nothing needs to be looked up while it is zero.
    n_slots: AtomicUsize,
}

impl Bans {
    pub(super) fn new(bans_max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::new(HashTable::new())),
            shard_max: bans_max.div_ceil(SHARDS).max(1),
            n_slots: AtomicUsize::new(0),
        }
    }

    /// Whether nothing was ever banned, or all of it was lifted.
    pub(super) fn is_empty(&self) -> bool {
        self.n_slots.load(Ordering::Relaxed) == 0
    }

    fn shard(&self, shard_print: u64) -> &RwLock<HashTable<Slot>> {
        &self.shards[usize::from(shard_print.to_le_bytes()[6]) % SHARDS]
    }

    /// Whether one of `targets` is banned now; `shard_print` is the fingerprint of the network they lie in.
    pub(super) fn hits<const N: usize>(
        &self,
        shard_print: u64,
        targets: [(u64, &Target); N],
        now: UnixNanos,
    ) -> Option<UnixNanos> {
        let shard = self.shard(shard_print).read();
        targets.into_iter().find_map(|(print, target)| {
            let slot = shard.find(print, |slot| slot.print == print && slot.ban.target == *target)?;
            (slot.ban.enforced && now < slot.ban.until).then_some(slot.ban.until)
        })
    }

    /// A ban that has not ended, in force or in shadow.
    pub(super) fn find(&self, shard_print: u64, print: u64, now: UnixNanos) -> Option<Ban> {
        let shard = self.shard(shard_print).read();
        let slot = shard.find(print, |slot| slot.print == print)?;
        (now < slot.ban.until).then(|| slot.ban.clone())
    }

    /// How many bans of the same target came before, as far as they are remembered.
    pub(super) fn strikes(&self, shard_print: u64, print: u64, now: UnixNanos) -> u32 {
        let shard = self.shard(shard_print).read();
        let slot = shard.find(print, |slot| slot.print == print);
        slot.filter(|slot| now.since(slot.ban.until) < STRIKES_KEPT).map_or(0, |slot| slot.ban.strikes + 1)
    }

    /// Puts a ban in force, in place of an older one of the same target. Whether there was room for it.
    pub(super) fn insert(&self, shard_print: u64, print: u64, ban: Ban, now: UnixNanos) -> bool {
        let shard = &mut *self.shard(shard_print).write();
        let is_new = shard.find(print, |slot| slot.print == print).is_none();
        if is_new && shard.len() >= self.shard_max {
            let worth = |slot: &Slot| if slot.ban.until <= now { 0 } else { slot.ban.score.max(1) };
            let least = shard.iter().map(|slot| (worth(slot), slot.print)).min();
            let Some((worth, least)) = least.filter(|(worth, _)| *worth <= ban.score) else { return false };
            debug_assert!(worth <= ban.score);
            if let Ok(entry) = shard.find_entry(least, |slot| slot.print == least) {
                entry.remove();
                self.n_slots.fetch_sub(1, Ordering::Relaxed);
            }
        }
        match shard.entry(print, |slot| slot.print == print, |slot| slot.print) {
            Entry::Occupied(mut slot) => slot.get_mut().ban = ban,
            Entry::Vacant(place) => {
                place.insert(Slot { print, ban });
                self.n_slots.fetch_add(1, Ordering::Relaxed);
            }
        }
        true
    }

    /// Ends a ban and forgets it. Whether there was one.
    pub(super) fn remove(&self, shard_print: u64, print: u64) -> bool {
        let mut shard = self.shard(shard_print).write();
        let Ok(entry) = shard.find_entry(print, |slot| slot.print == print) else { return false };
        entry.remove();
        self.n_slots.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Bans that have not ended, in no order.
    pub(super) fn current(&self, now: UnixNanos) -> Vec<Ban> {
        let mut bans = Vec::new();
        for shard in &self.shards {
            let shard = shard.read();
            bans.extend(shard.iter().filter(|slot| now < slot.ban.until).map(|slot| slot.ban.clone()));
        }
        bans
    }

    /// Slots in use, those of bans that have ended included.
    pub(super) fn len(&self) -> usize {
        self.n_slots.load(Ordering::Relaxed)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().allocation_size()).sum()
    }
}
