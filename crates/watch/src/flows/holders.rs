//! Holders by number: the nodes of the graphs.
//!
//! Numbers are given in the order of first appearance and never taken back, also when the block that brought a holder leaves
//! the chain, so that the same log always gives the same numbers. Numbers 0 and 1 are nobody. A holder without an address is what one
//! transaction gathers.

use std::hash::BuildHasher as _;

use chain::graph::NODES_MAX;
use domain::Address;
use hashbrown::HashTable;

/// Who pays what comes from nobody.
pub(super) const NOBODY: u32 = 0;
/// Who receives what goes to nobody: another number, or what was burnt would seem to have paid what is minted.
pub(super) const NOWHERE: u32 = 1;
/// The first number of somebody.
pub(super) const FIRST: usize = 2;

/// Addresses and numbers.
#[derive(Debug)]
pub(super) struct Holders {
    addresses: Vec<Option<Address>>,
    by_address: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
}

impl Default for Holders {
    fn default() -> Self {
        Self {
            addresses: vec![None; FIRST],
            by_address: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

impl Holders {
    pub(super) const fn len(&self) -> usize {
        self.addresses.len()
    }

    pub(super) fn address(&self, number: u32) -> Option<Address> {
        self.addresses.get(number as usize).copied().flatten()
    }

    /// Those from a number on.
    pub(super) fn from(&self, number: usize) -> &[Option<Address>] {
        self.addresses.get(number..).unwrap_or_default()
    }

    pub(super) fn find(&self, address: &Address) -> Option<u32> {
        let hash = self.hasher.hash_one(address);
        self.by_address.find(hash, |at| self.address(*at).as_ref() == Some(address)).copied()
    }

    /// The number of an address, a new one if it has none; `None` when there are no more numbers.
    pub(super) fn number(&mut self, address: Address) -> Option<u32> {
        match self.find(&address) {
            Some(number) => Some(number),
            None => self.add(Some(address)),
        }
    }

    /// One more holder; an address must not have a number yet.
    pub(super) fn add(&mut self, address: Option<Address>) -> Option<u32> {
        if self.addresses.len() >= NODES_MAX {
            return None;
        }
        let number = u32::try_from(self.addresses.len()).ok()?;
        self.addresses.push(address);
        if let Some(address) = address {
            let Self { addresses, by_address, hasher } = self;
            // Only addresses stand in the table.
            let rehash = |at: &u32| {
                addresses.get(*at as usize).copied().flatten().map_or(0, |address| hasher.hash_one(address))
            };
            by_address.insert_unique(hasher.hash_one(address), number, rehash);
        }
        Some(number)
    }
}
