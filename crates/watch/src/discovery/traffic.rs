//! What the stream has shown of an address before it meets the one that is judged.
//!
//! Private victims pay from addresses that few have dealt with; customers of a service are paid by one that many deal with, and
//! so are its own inflows. That is behaviour of the other side and needs no list: per address its transactions, how many went
//! either way, what they left there, and how many different addresses it has dealt with, the latter up to [`PEERS_MAX`].
//!
//! What it is not: a balance (transfers within a contract's execution are not seen) or an age. All of it counts what the
//! stream holds, so a model trained on one kind of recording (all transactions of a chain, or those of chosen accounts) does
//! not fit the other kind.
//!
//! Bounds: some 180 bytes for each address number, which the caller bounds; a look takes at most [`PEERS_MAX`] comparisons.

/// Different counterparties of one address that are told apart.
pub const PEERS_MAX: usize = 32;

/// What was seen of one address.
#[derive(Debug, Clone, Default)]
struct Account {
    received: u32,
    sent: u32,
    /// Transactions besides: contracts it created.
    others: u32,
    /// Received less sent, whole coins.
    coins: f64,
    peers: Vec<u32>,
}

/// What had been seen of the other side of a transaction before it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Peer {
    /// Transactions it was part of.
    pub transactions: u32,
    /// Transactions it received.
    pub received: u32,
    /// Transactions it sent.
    pub sent: u32,
    /// Different addresses it dealt with, other than the one that is judged; at most [`PEERS_MAX`].
    pub counterparties: u32,
    /// What it received less what it sent, whole coins.
    pub coins: f64,
}

/// What was seen of every address, by number.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    accounts: Vec<Account>,
}

impl Traffic {
    /// What has been seen of `other`, looked at by `judged`.
    #[must_use]
    pub fn peer(&self, other: u32, judged: u32) -> Peer {
        let Some(account) = self.accounts.get(other as usize) else { return Peer::default() };
        let strangers = account.peers.iter().filter(|peer| **peer != judged).count();
        Peer {
            transactions: account.received.saturating_add(account.sent).saturating_add(account.others),
            received: account.received,
            sent: account.sent,
            counterparties: u32::try_from(strangers).unwrap_or(u32::MAX),
            coins: account.coins,
        }
    }

    /// Takes in a transaction: `coins` are what it moved, in whole coins, nothing if it was reverted. Without a recipient it
    /// created a contract; without a sender it is an allocation of the first block.
    pub fn observe(&mut self, from: Option<u32>, to: Option<u32>, coins: f64) {
        if let Some(from) = from {
            let account = self.account(from);
            match to {
                Some(to) if to != from => {
                    account.sent = account.sent.saturating_add(1);
                    account.coins -= coins;
                    account.meet(to);
                }
                _ => account.others = account.others.saturating_add(1),
            }
        }
        if let Some(to) = to
            && from != Some(to)
        {
            let account = self.account(to);
            account.coins += coins;
            match from {
                Some(from) => {
                    account.received = account.received.saturating_add(1);
                    account.meet(from);
                }
                None => account.others = account.others.saturating_add(1),
            }
        }
    }

    fn account(&mut self, number: u32) -> &mut Account {
        let at = number as usize;
        if self.accounts.len() <= at {
            self.accounts.resize_with(at + 1, Account::default);
        }
        // The table was just made long enough.
        #[expect(clippy::indexing_slicing, reason = "resized above")]
        &mut self.accounts[at]
    }
}

impl Account {
    fn meet(&mut self, other: u32) {
        if self.peers.len() < PEERS_MAX && !self.peers.contains(&other) {
            self.peers.push(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_judged_address_does_not_count_itself() {
        let mut traffic = Traffic::default();
        assert_eq!(traffic.peer(7, 1), Peer::default(), "never seen");
        traffic.observe(None, Some(7), 5.0);
        traffic.observe(Some(7), Some(1), 2.0);
        traffic.observe(Some(7), None, 0.0);
        traffic.observe(Some(7), Some(7), 0.5);
        traffic.observe(Some(2), Some(7), 1.0);
        let seen = Peer { transactions: 5, received: 1, sent: 1, counterparties: 1, coins: 4.0 };
        assert_eq!(traffic.peer(7, 1), seen);
        assert_eq!(traffic.peer(7, 9), Peer { counterparties: 2, ..seen });
    }

    proptest! {
        /// Equal to counting everything anew, as far as counterparties are told apart.
        #[test]
        fn equals_its_definition(
            transactions in proptest::collection::vec((proptest::option::of(0_u32..60), proptest::option::of(0_u32..60), 0_u32..9), 0..200),
            other in 0_u32..60,
            judged in 0_u32..60,
        ) {
            let mut traffic = Traffic::default();
            let (mut received, mut sent, mut part, mut coins) = (0, 0, 0, 0_i64);
            let mut met = BTreeSet::new();
            for (from, to, moved) in transactions {
                traffic.observe(from, to, f64::from(moved));
                part += u32::from(from == Some(other) || to == Some(other));
                if from == to {
                    continue;
                }
                if from == Some(other) {
                    coins -= to.map_or(0, |_| i64::from(moved));
                    sent += u32::from(to.is_some());
                    met.extend(to);
                }
                if to == Some(other) {
                    coins += i64::from(moved);
                    received += u32::from(from.is_some());
                    met.extend(from);
                }
            }
            let peer = traffic.peer(other, judged);
            prop_assert_eq!((peer.received, peer.sent, peer.transactions), (received, sent, part));
            prop_assert!((peer.coins - coins as f64).abs() < 1e-9);
            let strangers = met.iter().filter(|met| **met != judged).count();
            prop_assert!(peer.counterparties as usize <= PEERS_MAX);
            if met.len() <= PEERS_MAX {
                prop_assert_eq!(peer.counterparties as usize, strangers);
            } else {
                prop_assert!(peer.counterparties as usize >= PEERS_MAX - 1);
            }
        }
    }
}
