//! The cross-customer signal: several customers pay one address that nobody knew until today.
//!
//! Fraud that talks its victims into paying (investment fraud, false support, fake shops) shows first where its victims
//! bank together: unrelated customers begin to pay the same fresh address within hours. The alert comes with the
//! second of them, needs no list and no vendor, and no customer learns of another.
//!
//! What it is not: proof. An address may be fresh because a shop or a token sale opened today, so what is found here
//! asks for a second look and never denies.
//!
//! Deterministic: a fold over payments in order; no clock, no randomness that shows.
//!
//! Bounds: the addresses it was made for, the one touched longest ago is forgotten; [`PAYERS_MAX`] payers per fresh
//! address, none once it is no longer fresh.

use std::{hash::Hash, time::Duration};

use domain::UnixNanos;
use features::{Canonical, EntityTable, StateDigest};

/// Payers remembered of one fresh address; further ones are counted as many.
pub const PAYERS_MAX: usize = 16;

/// When an address is fresh, and how many payers are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// An address is fresh for so long after it was first paid or seen. Default 24 h.
    pub fresh: Duration,
    /// So many different payers of a fresh address, the one asking included, are worth a word. Default 2.
    pub payers: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(24 * 3_600), payers: 2 }
    }
}

/// Who paid addresses that were fresh. `K` is an address, `C` a customer.
#[derive(Debug)]
pub struct FreshPayees<K, C> {
    thresholds: Thresholds,
    addresses: EntityTable<K, Payee<C>>,
    /// When the first payment was seen: before, nothing could be known.
    since: Option<UnixNanos>,
}

#[derive(Debug, Clone)]
struct Payee<C> {
    first_seen: UnixNanos,
    /// Each payer with the time of its first payment, in that order; empty once the address is no longer fresh.
    payers: Vec<(C, UnixNanos)>,
}

/// A fresh address with several payers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Different payers, the one asking included; [`PAYERS_MAX`] and more are not told apart.
    pub payers: usize,
    /// When the address was first paid by any of them or seen at all.
    pub first_seen: UnixNanos,
    /// Whether payments have been watched for longer than an address is fresh: before, every address is new.
    pub sure: bool,
}

impl<K: Clone + Eq + Hash + Ord, C: Clone + Eq> FreshPayees<K, C> {
    /// That remembers at most `addresses_max` addresses.
    #[must_use]
    pub fn new(thresholds: Thresholds, addresses_max: usize) -> Self {
        Self { thresholds, addresses: EntityTable::new(addresses_max), since: None }
    }

    /// Takes in that `customer` pays `address`, or tries to.
    pub fn pays(&mut self, address: &K, customer: &C, at: UnixNanos) {
        self.saw_at(at);
        let fresh = self.thresholds.fresh;
        let payee = self.addresses.touch(address, || Payee { first_seen: at, payers: Vec::new() });
        payee.first_seen = payee.first_seen.min(at);
        if at.since(payee.first_seen) >= fresh {
            payee.payers = Vec::new();
        } else if payee.payers.len() < PAYERS_MAX && !payee.payers.iter().any(|(payer, _)| payer == customer)
        {
            payee.payers.push((customer.clone(), at));
        }
    }

    /// Takes in that the address was in use at `at`, by the chain or an address book.
    pub fn seen(&mut self, address: &K, at: UnixNanos) {
        self.saw_at(at);
        let payee = self.addresses.touch(address, || Payee { first_seen: at, payers: Vec::new() });
        payee.first_seen = payee.first_seen.min(at);
    }

    /// What a payment of `customer` to `address` at `at` would make of it; `None` unless the address is fresh and its payers
    /// reach the threshold with it. Changes nothing.
    #[must_use]
    pub fn examine(&self, address: &K, customer: &C, at: UnixNanos) -> Option<Shared> {
        let payee = self.addresses.peek(address)?;
        if at.since(payee.first_seen) >= self.thresholds.fresh {
            return None;
        }
        let recent = payee.payers.iter().filter(|(_, paid)| at.since(*paid) < self.thresholds.fresh);
        let others = recent.filter(|(payer, _)| payer != customer).count();
        let payers = (others + 1).min(PAYERS_MAX);
        let sure = self.since.is_some_and(|since| payee.first_seen.since(since) >= self.thresholds.fresh);
        (others > 0 && payers >= self.thresholds.payers).then_some(Shared {
            payers,
            first_seen: payee.first_seen,
            sure,
        })
    }

    /// Addresses remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether no address is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    fn saw_at(&mut self, at: UnixNanos) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
    }
}

impl<K: Canonical + Clone + Eq + Hash + Ord, C: Canonical> FreshPayees<K, C> {
    /// Feeds everything remembered, in canonical order.
    pub fn feed(&self, digest: &mut StateDigest) {
        digest.optional_time(self.since);
        digest.number(self.addresses.len() as u64);
        digest.number(self.addresses.evicted());
        for (address, payee) in self.addresses.iter() {
            address.feed(digest);
            digest.time(payee.first_seen);
            digest.number(payee.payers.len() as u64);
            for (payer, at) in &payee.payers {
                payer.feed(digest);
                digest.time(*at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600 * 1_000_000_000;

    fn at(hours: u64) -> UnixNanos {
        UnixNanos(1_000_000 * HOUR + hours * HOUR)
    }

    #[test]
    fn the_second_victim_is_warned() {
        let mut payees: FreshPayees<u64, u64> = FreshPayees::new(Thresholds::default(), 100);
        payees.pays(&99, &50, at(0));
        payees.pays(&1, &10, at(30));
        assert_eq!(payees.examine(&1, &10, at(31)), None, "the same customer again");
        let shared = payees.examine(&1, &11, at(53)).unwrap();
        assert_eq!(shared, Shared { payers: 2, first_seen: at(30), sure: true });
        assert_eq!(payees.examine(&1, &11, at(54)), None, "a day old");
        assert_eq!(payees.examine(&2, &11, at(31)), None, "nobody else paid");
        payees.seen(&1, at(29));
        assert_eq!(payees.examine(&1, &11, at(53)), None, "the chain knew it an hour earlier");
    }

    #[test]
    fn in_the_first_day_nothing_is_sure() {
        let mut payees: FreshPayees<u64, u64> = FreshPayees::new(Thresholds::default(), 100);
        payees.pays(&1, &10, at(0));
        assert!(!payees.examine(&1, &11, at(1)).unwrap().sure);
    }

    #[test]
    fn payers_are_bounded() {
        let mut payees: FreshPayees<u64, u64> = FreshPayees::new(Thresholds::default(), 2);
        for customer in 0..100 {
            payees.pays(&1, &customer, at(1));
        }
        assert_eq!(payees.examine(&1, &1_000, at(1)).unwrap().payers, PAYERS_MAX);
        payees.pays(&2, &1, at(1));
        payees.pays(&3, &1, at(1));
        assert_eq!(payees.len(), 2);
        assert_eq!(payees.examine(&1, &1_000, at(1)), None, "forgotten");
    }

    proptest! {
        /// Examining agrees with a plain count over all payments.
        #[test]
        fn agrees_with_a_count(payments in proptest::collection::vec((0_u64..3, 0_u64..6, 0_u64..60), 0..40)) {
            let mut payments = payments;
            payments.sort_by_key(|(.., hours)| *hours);
            let mut payees: FreshPayees<u64, u64> = FreshPayees::new(Thresholds::default(), 100);
            for (idx, (address, customer, hours)) in payments.iter().enumerate() {
                let earlier = payments.iter().take(idx).filter(|(other, ..)| other == address);
                let first = earlier.clone().map(|(.., hours)| *hours).min();
                let others: std::collections::BTreeSet<u64> =
                    earlier.filter(|(_, other, _)| other != customer).map(|(_, other, _)| *other).collect();
                let expected = first.is_some_and(|first| hours - first < 24) && !others.is_empty();
                let found = payees.examine(address, customer, at(*hours));
                prop_assert_eq!(found.is_some(), expected);
                if let Some(found) = found {
                    prop_assert_eq!(found.payers, others.len() + 1);
                }
                payees.pays(address, customer, at(*hours));
            }
        }
    }
}
