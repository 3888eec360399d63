//! The replay window: a signed request is accepted once.
//!
//! The scheme has no nonce, so the signature itself is remembered. A request can verify only while its own
//! timestamp is within [`SKEW_MAX`] of the clock, and a repetition carries the same timestamp; therefore signatures
//! are kept in buckets **by the timestamp they cover**, a lookup touches one bucket, and a bucket is dropped only
//! when every timestamp in it has expired. So a repetition is told for as long as it could verify, 60 seconds at
//! most, and nothing is kept longer than [`BUCKET_SECS`] more while requests keep coming.
//!
//! Fails closed: a full window refuses ([`ReplayError::Full`]), and so does a clock that stepped back to times
//! whose bucket is gone ([`ReplayError::Forgotten`]).
//!
//! Bound: `entries_max` tags of 16 bytes; see [`ReplayWindow::memory_bytes_max`].

use std::{collections::VecDeque, fmt};

use domain::UnixNanos;
use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::{hash::Seeded, okx::SKEW_MAX};

/// Independent locks.
pub const SHARDS: usize = 16;

/// Seconds of request timestamps in one bucket.
pub const BUCKET_SECS: u64 = 8;

/// Live buckets: those that overlap the 60 seconds of acceptable timestamps, one of them partly at either end.
pub const BUCKETS_MAX: usize = 9;

/// Bytes per slot of a table: the tag and one byte of the table's own.
const SLOT_BYTES: usize = 17;

/// Why a request is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The timestamp is older than what is still remembered, so a repetition could not be told. Happens when the
    /// clock steps back.
    #[error("timestamp is older than the replay window")]
    Forgotten,
    /// No room to remember one more; letting it through would let its repetition through.
    #[error("replay window is full")]
    Full,
    /// The same signed request was seen before.
    #[error("request was seen before")]
    Repeated,
}

/// One epoch of timestamps and the tags seen for it.
struct Bucket {
    /// Timestamp in seconds divided by [`BUCKET_SECS`].
    epoch: u64,
    tags: HashTable<[u8; 16]>,
}

#[derive(Default)]
struct Shard {
    /// Ascending by epoch, at most [`BUCKETS_MAX`].
    buckets: VecDeque<Bucket>,
    /// Tags in all buckets.
    entries: usize,
    /// Epochs below this are dropped and stay so, whatever the clock does.
    floor: u64,
}

impl Shard {
    fn drop_before(&mut self, epoch: u64) {
        self.floor = self.floor.max(epoch);
        while let Some(bucket) = self.buckets.pop_front_if(|bucket| bucket.epoch < epoch) {
            self.entries -= bucket.tags.len();
        }
    }
}

/// Tags of accepted requests.
pub struct ReplayWindow {
    shards: [Mutex<Shard>; SHARDS],
    shard_entries_max: usize,
    hash: Seeded,
}

impl ReplayWindow {
    /// Empty, for at most `entries_max` tags, which are spread over the shards: the first shard is full when about 99 %
    /// of a large window are. `seed` is random and secret: without it, whoever holds a key could
    /// fill one shard instead of spreading over all.
    ///
    /// The tags in flight are about 60 s times the rate of signed requests other than GET, so 1.2 million entries
    /// serve 20 000 requests per second.
    #[must_use]
    pub fn new(entries_max: usize, seed: u64) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::default())),
            shard_entries_max: entries_max.div_ceil(SHARDS),
            hash: Seeded::new(seed),
        }
    }

    /// Remembers a request whose signature has verified. Of any number of concurrent calls with one tag exactly one
    /// succeeds.
    ///
    /// `tag` is unforgeable, such as the front of the MAC; `timestamp` is the one the signature covers.
    ///
    /// # Errors
    /// [`ReplayError`]; the request must then be refused.
    pub fn admit(&self, tag: [u8; 16], timestamp: UnixNanos, now: UnixNanos) -> Result<(), ReplayError> {
        let hash = self.hash.of(&tag);
        let epoch = epoch(timestamp);
        let mut shard = self.shards[Seeded::shard::<SHARDS>(hash)].lock();
        shard.drop_before(self::epoch(now.minus(SKEW_MAX)));
        if epoch < shard.floor {
            return Err(ReplayError::Forgotten);
        }
        // A timestamp beyond the window would open a bucket that outlives its time.
        if timestamp > now.plus(SKEW_MAX) {
            return Err(ReplayError::Forgotten);
        }
        let place = shard.buckets.partition_point(|bucket| bucket.epoch < epoch);
        let known = shard.buckets.get(place).is_some_and(|bucket| bucket.epoch == epoch);
        if known && shard.buckets[place].tags.find(hash, |seen| *seen == tag).is_some() {
            return Err(ReplayError::Repeated);
        }
        if shard.entries >= self.shard_entries_max || (!known && shard.buckets.len() >= BUCKETS_MAX) {
            return Err(ReplayError::Full);
        }
        if !known {
            shard.buckets.insert(place, Bucket { epoch, tags: HashTable::new() });
        }
        shard.buckets[place].tags.insert_unique(hash, tag, |seen| self.hash.of(seen));
        shard.entries += 1;
        Ok(())
    }

    /// Tags remembered at present, in all shards.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().entries).sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the tables at present.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.shards
            .iter()
            .flat_map(|shard| {
                shard
                    .lock()
                    .buckets
                    .iter()
                    .map(|bucket| bucket.tags.num_buckets() * SLOT_BYTES)
                    .collect::<Vec<_>>()
            })
            .sum()
    }

    /// Most bytes the tables ever take, but for the one per shard that is being doubled: a table is at least 7/16
    /// full, so a tag takes at most 39 bytes.
    #[must_use]
    pub const fn memory_bytes_max(&self) -> usize {
        self.shard_entries_max * SHARDS * SLOT_BYTES * 16 / 7
    }
}

impl fmt::Debug for ReplayWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayWindow").field("entries", &self.len()).finish_non_exhaustive()
    }
}

const fn epoch(at: UnixNanos) -> u64 {
    at.as_secs() / BUCKET_SECS
}

#[cfg(test)]
mod tests;
