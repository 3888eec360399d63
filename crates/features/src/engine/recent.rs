//! The last events by id: which ids came already, and where an event's samples are when its label comes.
//!
//! A ring of fixed length; the oldest event makes room. About 30 bytes per event and 8 per labelled stream.

use hashbrown::HashTable;

use super::stream::Known;
use crate::{StateDigest, hash::spread};

/// No sample in this stream.
const NO_KEY: u64 = u64::MAX;

/// One remembered event.
#[derive(Debug, Clone, Copy)]
struct Past {
    id: u64,
    at: u64,
    position: u64,
    known: Known,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Recent {
    index: HashTable<u32>,
    pasts: Vec<Past>,
    /// Of each event, the key of its sample in each labelled stream.
    keys: Vec<u64>,
    /// Keys per event.
    streams: usize,
    next: usize,
    events_max: usize,
}

/// Where the samples of a remembered event are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    place: usize,
    pub(crate) at: u64,
    pub(crate) position: u64,
    pub(crate) known: Known,
}

impl Recent {
    pub(crate) fn new(events_max: usize, streams: usize) -> Self {
        Self {
            index: HashTable::new(),
            pasts: Vec::new(),
            keys: Vec::new(),
            streams,
            next: 0,
            events_max: events_max.clamp(1, (u32::MAX - 1) as usize),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pasts.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.index.allocation_size() + self.pasts.capacity() * size_of::<Past>() + self.keys.capacity() * 8
    }

    pub(crate) fn find(&self, id: u64) -> Option<Found> {
        let place = *self.index.find(spread(id), |place| self.pasts[*place as usize].id == id)? as usize;
        let Past { at, position, known, .. } = self.pasts[place];
        Some(Found { place, at, position, known })
    }

    /// The key of the event's sample in the labelled stream `stream` (by its rank among those).
    pub(crate) fn key(&self, found: &Found, stream: usize) -> Option<u64> {
        Some(self.keys[found.place * self.streams + stream]).filter(|key| *key != NO_KEY)
    }

    pub(crate) fn set_known(&mut self, found: &Found, known: Known) {
        self.pasts[found.place].known = known;
    }

    /// Remembers an event whose id is not held.
    pub(crate) fn push(&mut self, id: u64, at: u64, position: u64, keys: &[Option<u64>]) {
        let past = Past { id, at, position, known: Known::Nothing };
        let keys = keys.iter().map(|key| key.unwrap_or(NO_KEY));
        let place = self.next;
        if self.pasts.len() < self.events_max {
            self.pasts.push(past);
            self.keys.extend(keys);
        } else {
            let old = self.pasts[place].id;
            if let Ok(held) = self.index.find_entry(spread(old), |other| *other as usize == place) {
                held.remove();
            }
            self.pasts[place] = past;
            for (to, key) in self.keys[place * self.streams..].iter_mut().zip(keys) {
                *to = key;
            }
        }
        self.next = if place + 1 == self.events_max { 0 } else { place + 1 };
        let pasts = &self.pasts;
        let number = u32::try_from(place).unwrap_or(u32::MAX);
        self.index.insert_unique(spread(id), number, |other| spread(pasts[*other as usize].id));
    }

    pub(crate) fn feed(&self, digest: &mut StateDigest) {
        digest.number(self.pasts.len() as u64);
        digest.number(self.next as u64);
        for Past { id, at, position, known } in &self.pasts {
            for number in [*id, *at, *position, *known as u64] {
                digest.number(number);
            }
        }
        self.keys.iter().for_each(|key| digest.number(*key));
    }
}
