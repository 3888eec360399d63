//! Suspicions in force: which addresses a model suspects, as the journal records it, and who overruled it.
//!
//! A fold over what is recorded of suspicions, in the order of the journal. Followed chains decide what is recorded
//! ([`crate::flows::Flows::standing`]); [`news`] says what is missing for the record to be what they say. An address a person has
//! cleared stays cleared: no model suspects it again.
//!
//! What it is not: a list. A suspicion is never knowledge: it marks nobody for other suspicions, ends no path of money, and asks for a
//! hold at most, by default for a challenge.
//!
//! Bounds: [`SUSPICIONS_MAX`] addresses in all; the ones recorded first are forgotten first.

use std::collections::{BTreeMap, VecDeque};

use domain::{Address, UnixNanos};
use foldhash::HashMap;
use parking_lot::RwLock;

use crate::{
    discovery::Suspect,
    flows::{Changed, Flows, Standing},
};

/// Addresses remembered, some 1 KiB each.
pub const SUSPICIONS_MAX: usize = 1 << 18;

/// One suspicion as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The operator's name of the chain on which it was seen.
    pub chain: String,
    /// SHA-256 of the model's file.
    pub model: [u8; 32],
    /// How sure the model is, in millionths.
    pub probability: u32,
    /// Height of the block after which it was suspected.
    pub height: u64,
    /// Hash of that block; zeros: unknown.
    pub block: [u8; 32],
    /// The transaction; zeros: unknown.
    pub transaction: [u8; 32],
    /// Transactions of it that were seen.
    pub transactions: u64,
    /// Why, as sentences.
    pub reasons: Vec<String>,
    /// When it was recorded.
    pub at: UnixNanos,
    /// Position of its entry in the journal.
    pub entry: u64,
}

/// A person's word that an address is not to be suspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: UnixNanos,
}

/// Why a suspicion ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// A person cleared the address.
    Analyst,
    /// The model does not say so, or none judges any more.
    Model,
    /// The block left the chain.
    Reorganisation,
}

impl Why {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Analyst, Self::Model, Self::Reorganisation];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Analyst => "analyst",
            Self::Model => "model",
            Self::Reorganisation => "reorganisation",
        }
    }

    /// The cause of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == name)
    }
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// An address is suspected, or for another reason than is recorded.
    Raised(Address, Suspect),
    /// It is no longer.
    Withdrawn(Address, Why),
}

#[derive(Debug, Default)]
struct State {
    /// By address, then by chain.
    held: HashMap<Address, BTreeMap<String, Held>>,
    cleared: HashMap<Address, Cleared>,
    /// In the order of their first record; those that ended are skipped.
    oldest_first: VecDeque<Address>,
    /// Which model judges each chain.
    models: BTreeMap<String, [u8; 32]>,
}

/// The suspicions of one installation. Calls take a short lock and never wait for anything else.
#[derive(Debug, Default)]
pub struct Suspicions(RwLock<State>);

impl Suspicions {
    /// Takes in that addresses of a chain are judged by another model, or by none.
    pub fn apply_model(&self, chain: &str, model: Option<[u8; 32]>) {
        let mut state = self.0.write();
        match model {
            Some(model) => state.models.insert(chain.to_owned(), model),
            None => state.models.remove(chain),
        };
    }

    /// Takes in that an address is suspected.
    pub fn apply_raised(&self, address: Address, held: Held) {
        let mut state = self.0.write();
        let State { held: all, oldest_first, cleared, .. } = &mut *state;
        if cleared.contains_key(&address) {
            return;
        }
        let chains = all.entry(address).or_insert_with(|| {
            oldest_first.push_back(address);
            BTreeMap::new()
        });
        chains.insert(held.chain.clone(), held);
        while all.len() > SUSPICIONS_MAX {
            let Some(oldest) = oldest_first.pop_front() else { break };
            all.remove(&oldest);
        }
        // Addresses that ended and came back stand in it twice.
        if oldest_first.len() > 2 * SUSPICIONS_MAX {
            oldest_first.retain(|address| all.contains_key(address));
        }
    }

    /// Takes in that an address is suspected no longer on a chain.
    pub fn apply_withdrawn(&self, address: &Address, chain: &str) {
        let mut state = self.0.write();
        if let Some(chains) = state.held.get_mut(address) {
            chains.remove(chain);
            if chains.is_empty() {
                state.held.remove(address);
            }
        }
    }

    /// Takes in that a person has cleared an address, on all chains.
    pub fn apply_cleared(&self, address: Address, cleared: Cleared) {
        let mut state = self.0.write();
        state.held.remove(&address);
        if state.cleared.len() < SUSPICIONS_MAX || state.cleared.contains_key(&address) {
            state.cleared.insert(address, cleared);
        }
    }

    /// What is suspected of an address, by the name of the chain.
    #[must_use]
    pub fn of(&self, address: &Address) -> Vec<Held> {
        let state = self.0.read();
        if state.held.is_empty() {
            return Vec::new();
        }
        state.held.get(address).map(|chains| chains.values().cloned().collect()).unwrap_or_default()
    }

    /// Whether an address is suspected.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.0.read().held.contains_key(address)
    }

    /// Who cleared an address.
    #[must_use]
    pub fn cleared(&self, address: &Address) -> Option<Cleared> {
        self.0.read().cleared.get(address).cloned()
    }

    /// Suspicions from an entry of the journal on, at most `limit`, in the order of their entries.
    #[must_use]
    pub fn list(&self, from: u64, limit: usize) -> Vec<(Address, Held)> {
        let state = self.0.read();
        let mut all: Vec<(Address, &Held)> = state
            .held
            .iter()
            .flat_map(|(address, chains)| chains.values().map(|held| (*address, held)))
            .filter(|(_, held)| held.entry >= from)
            .collect();
        all.sort_unstable_by_key(|(address, held)| (held.entry, *address));
        all.into_iter().take(limit).map(|(address, held)| (address, held.clone())).collect()
    }

    /// How many addresses are suspected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().held.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// By which model each chain is judged.
    #[must_use]
    pub fn models(&self) -> BTreeMap<String, [u8; 32]> {
        self.0.read().models.clone()
    }

    /// Chains with a model or with suspects.
    #[must_use]
    pub fn chains(&self) -> Vec<String> {
        let state = self.0.read();
        let held = state.held.values().flat_map(BTreeMap::keys);
        let all: std::collections::BTreeSet<&String> = state.models.keys().chain(held).collect();
        all.into_iter().cloned().collect()
    }

    /// The addresses suspected on a chain, in their order.
    #[must_use]
    pub fn on(&self, chain: &str) -> Vec<Address> {
        let state = self.0.read();
        let mut on: Vec<Address> = state
            .held
            .iter()
            .filter(|(_, chains)| chains.contains_key(chain))
            .map(|(address, _)| *address)
            .collect();
        on.sort_unstable();
        on
    }

    fn held_on(&self, address: &Address, chain: &str) -> (Option<Held>, bool) {
        let state = self.0.read();
        let held = state.held.get(address).and_then(|chains| chains.get(chain)).cloned();
        (held, state.cleared.contains_key(address))
    }

    /// SHA-256 of everything remembered: equal for equal folds.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let state = self.0.read();
        let mut hash = crypto::Sha256::new();
        hash.update(b"caponier watch suspicions v1");
        let text = |hash: &mut crypto::Sha256, text: &str| {
            hash.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(text.as_bytes());
        };
        for (chain, model) in &state.models {
            text(&mut hash, chain);
            hash.update(model);
        }
        let mut addresses: Vec<&Address> = state.held.keys().collect();
        addresses.sort_unstable();
        for address in addresses {
            hash.update(&[address.kind().tag()]);
            hash.update(address.payload());
            for held in state.held.get(address).into_iter().flat_map(BTreeMap::values) {
                text(&mut hash, &held.chain);
                hash.update(&held.model);
                hash.update(&held.probability.to_le_bytes());
                hash.update(&held.entry.to_le_bytes());
            }
        }
        let mut cleared: Vec<(&Address, &Cleared)> = state.cleared.iter().collect();
        cleared.sort_unstable_by_key(|(address, _)| **address);
        for (address, cleared) in cleared {
            hash.update(address.payload());
            text(&mut hash, &cleared.by);
            hash.update(&cleared.at.0.to_le_bytes());
        }
        hash.finish()
    }
}

/// What is to be recorded so that the record is what a chain says, in the order of addresses. `model`: SHA-256 of the file of the
/// model that judges it.
#[must_use]
pub fn news(recorded: &Suspicions, flows: &Flows, model: &[u8; 32], changed: &Changed) -> Vec<News> {
    let chain = &**flows.chain();
    let addresses: Vec<Address> = match changed {
        Changed::All => {
            let mut addresses: Vec<Address> =
                flows.suspects().into_iter().map(|(address, _)| address).collect();
            addresses.extend(recorded.on(chain));
            addresses.sort_unstable();
            addresses.dedup();
            addresses
        }
        Changed::Addresses(addresses) => addresses.iter().copied().collect(),
        Changed::Numbers(_) => Vec::new(),
    };
    let told = addresses.into_iter().filter_map(|address| {
        let (held, is_cleared) = recorded.held_on(&address, chain);
        let (height, block) = held.as_ref().map_or((0, [0; 32]), |held| (held.height, held.block));
        match (flows.standing(&address, height, &block), held) {
            (Standing::Suspected(suspect), held) => {
                let is_told = held.is_some_and(|held| {
                    (held.height, held.block, held.model) == (suspect.height, suspect.block, *model)
                });
                (!is_told && !is_cleared).then_some(News::Raised(address, suspect))
            }
            (_, None) | (Standing::Untold, Some(_)) => None,
            (Standing::Undone, Some(_)) => Some(News::Withdrawn(address, Why::Reorganisation)),
            (Standing::Unsuspected, Some(_)) => Some(News::Withdrawn(address, Why::Model)),
        }
    });
    told.collect()
}
