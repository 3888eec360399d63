//! A seeded hash that picks the shard and the place inside it.
//!
//! Not a MAC: it only keeps outsiders, who do not know the seed, from choosing inputs that collide.

use std::{
    fmt,
    hash::{Hash, Hasher as _},
};

use foldhash::{SharedSeed, quality::FoldHasher};

pub(crate) struct Seeded {
    seed: u64,
    shared: SharedSeed,
}

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, shared: SharedSeed::from_u64(seed) }
    }

    /// Another that hashes alike.
    pub(crate) const fn again(&self) -> Self {
        Self::new(self.seed)
    }

    pub(crate) fn of<T: Hash + ?Sized>(&self, value: &T) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// One of `SHARDS`, at most 256, from bits the table inside does not use: it takes the lowest for the place
    /// and the highest seven for the tag.
    pub(crate) const fn shard<const SHARDS: usize>(hash: u64) -> usize {
        hash.to_le_bytes()[6] as usize % SHARDS
    }
}

impl fmt::Debug for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeded(<secret>)")
    }
}
