//! Suspects of a chain, as whoever records them asks for them.
//!
//! The log decides who is suspected; a record of it elsewhere (the journal) is brought up to it. A suspicion is told once it is
//! durable here. What a record says of an address is held against the log by [`Flows::standing`]: after a change, or, after a start,
//! for all of them ([`Changed::All`]), so nothing is missed whenever either side stopped.

use std::{collections::BTreeSet, sync::Arc};

use domain::Address;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Flows;
use crate::discovery::{Detector, Opinion, Suspect};

/// Whose suspicion may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Anybody's: the log was read anew.
    All,
    /// Of these numbers, until they are addresses.
    Numbers(BTreeSet<u32>),
    /// Of these.
    Addresses(BTreeSet<Address>),
}

impl Default for Changed {
    fn default() -> Self {
        Self::Numbers(BTreeSet::new())
    }
}

impl Changed {
    pub(super) fn add(&mut self, numbers: BTreeSet<u32>) {
        match self {
            Self::Numbers(known) => known.extend(numbers),
            Self::All | Self::Addresses(_) => {}
        }
    }
}

/// What the log says of an address a record calls suspected.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It is suspected.
    Suspected(Suspect),
    /// The block after which it was suspected left the chain.
    Undone,
    /// It was judged and is not suspected.
    Unsuspected,
    /// Nothing: its beginning is not in the log any more.
    Untold,
}

/// Changes that are durable and not taken yet.
#[derive(Debug)]
pub(super) struct SuspectNews {
    waiting: Mutex<Changed>,
    told: watch::Sender<u64>,
}

impl Default for SuspectNews {
    fn default() -> Self {
        // Whoever records has not seen this log yet.
        Self { waiting: Mutex::new(Changed::All), told: watch::Sender::new(0) }
    }
}

impl SuspectNews {
    pub(super) fn tell(&self, changed: Changed) {
        let mut waiting = self.waiting.lock();
        match (&mut *waiting, changed) {
            (_, Changed::Numbers(numbers)) if numbers.is_empty() => return,
            (Changed::All, _) => {}
            (Changed::Numbers(known), Changed::Numbers(new)) => known.extend(new),
            (waiting, _) => *waiting = Changed::All,
        }
        drop(waiting);
        self.told.send_modify(|times| *times = times.wrapping_add(1));
    }
}

impl Flows {
    /// What judges fresh addresses, if something does.
    #[must_use]
    pub fn detector(&self) -> Option<Arc<Detector>> {
        self.state.read().judge.as_ref().map(|judge| Arc::clone(judge.detector()))
    }

    /// Changes whenever suspicions have, and that is durable.
    #[must_use]
    pub fn suspects_told(&self) -> watch::Receiver<u64> {
        self.suspects.told.subscribe()
    }

    /// Whose suspicion may have changed since this was asked last.
    #[must_use]
    pub fn take_changed_suspects(&self) -> Changed {
        let changed = std::mem::take(&mut *self.suspects.waiting.lock());
        let Changed::Numbers(numbers) = changed else { return changed };
        let state = self.state.read();
        Changed::Addresses(numbers.into_iter().filter_map(|number| state.holders.address(number)).collect())
    }

    /// What was taken could not be recorded: it is to be asked for again.
    pub fn put_back_suspects(&self) {
        *self.suspects.waiting.lock() = Changed::All;
    }

    /// All suspects, in the order of their first appearance.
    #[must_use]
    pub fn suspects(&self) -> Vec<(Address, Suspect)> {
        let state = self.state.read();
        let suspects = state.judge.iter().flat_map(crate::discovery::Judge::suspects);
        suspects
            .filter_map(|(number, suspect)| Some((state.holders.address(number)?, suspect.clone())))
            .collect()
    }

    /// What the log says of an address that is recorded as suspected after the block of this height and hash (zeros: unknown).
    #[must_use]
    pub fn standing(&self, address: &Address, height: u64, block: &[u8; 32]) -> Standing {
        let state = self.state.read();
        let Some(judge) = &state.judge else { return Standing::Unsuspected };
        let number = state.holders.find(address);
        if let Some(suspect) = number.and_then(|number| judge.suspect(number)) {
            return Standing::Suspected(suspect.clone());
        }
        let is_gone = state.tip().is_none_or(|(tip, ..)| tip < height)
            || (*block != [0; 32] && state.hash_at(height).is_some_and(|hash| hash != *block));
        match number.map_or(Opinion::None, |number| judge.opinion(number)) {
            _ if is_gone => Standing::Undone,
            Opinion::None => Standing::Untold,
            Opinion::Unsuspected | Opinion::Suspected => Standing::Unsuspected,
        }
    }
}
