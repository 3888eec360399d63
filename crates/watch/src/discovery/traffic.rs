//! What the stream has shown of an address before it meets the one that is judged.
//!
//! Private victims pay from addresses that few have dealt with; customers of a service are paid by one that many deal with, and
//! so are its own inflows. That is behaviour of the other side and needs no list: per address its transactions, how many went
//! either way, what they left there, and how many different addresses it has dealt with, the latter up to [`PEERS_MAX`].
//!
//! Money of addresses known to be malicious ([`Traffic::mark`]) is followed as a share: what an address sends is tainted as much as
//! what it has received (haircut). That is how a laundering chain shows at its next, fresh link. Whoever marks says from
//! which moment on it was known; the address that is judged itself never counts.
//!
//! What it is not: exposure to the last unit ([`chain::flow`]), a balance (transfers within a contract's execution are not seen) or an age. All of it counts what the
//! stream holds, so a model trained on one kind of recording (all transactions of a chain, or those of chosen accounts) does
//! not fit the other kind.
//!
//! Bounds: some 200 bytes for each address number, which the caller bounds; a look takes at most [`PEERS_MAX`] comparisons.

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
    /// Received in all, whole coins.
    coins_in: f64,
    /// The part of that which came from marked addresses, directly or through others.
    coins_tainted: f64,
    marked: bool,
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
    /// Whether it was known to be malicious.
    pub marked: bool,
    /// Share of what it had received that came from marked addresses; 1 for a marked one.
    pub tainted: f64,
}

/// What an address had done at some moment, for [`Traffic::restore`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Kept {
    received: u32,
    sent: u32,
    others: u32,
    coins: f64,
    coins_in: f64,
    coins_tainted: f64,
    peers: usize,
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
            marked: account.marked,
            tainted: account.tainted(),
        }
    }

    /// From now on an address is known to be malicious.
    pub fn mark(&mut self, number: u32) {
        self.account(number).marked = true;
    }

    /// From now on an address is not known to be malicious any more; what it passed on meanwhile stays tainted.
    pub fn unmark(&mut self, number: u32) {
        self.account(number).marked = false;
    }

    /// What is needed to take back what an address will do.
    #[must_use]
    pub fn keep(&self, number: u32) -> Kept {
        let account = self.accounts.get(number as usize);
        account.map_or_else(Kept::default, |account| Kept {
            received: account.received,
            sent: account.sent,
            others: account.others,
            coins: account.coins,
            coins_in: account.coins_in,
            coins_tainted: account.coins_tainted,
            peers: account.peers.len(),
        })
    }

    /// Takes back what an address did since; whether it is marked stays.
    pub fn restore(&mut self, number: u32, kept: Kept) {
        let account = self.account(number);
        let Kept { received, sent, others, coins, coins_in, coins_tainted, peers } = kept;
        (account.received, account.sent, account.others) = (received, sent, others);
        (account.coins, account.coins_in, account.coins_tainted) = (coins, coins_in, coins_tainted);
        account.peers.truncate(peers);
    }

    /// Takes in a transaction: `coins` are what it moved, in whole coins, nothing if it was reverted. Without a recipient it
    /// created a contract; without a sender it is an allocation of the first block.
    pub fn observe(&mut self, from: Option<u32>, to: Option<u32>, coins: f64) {
        let mut tainted = 0.0;
        if let Some(from) = from {
            let account = self.account(from);
            tainted = account.tainted();
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
            account.coins_in += coins;
            account.coins_tainted += coins * tainted;
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
    fn tainted(&self) -> f64 {
        match (self.marked, self.coins_in > 0.0) {
            (true, _) => 1.0,
            (false, true) => self.coins_tainted / self.coins_in,
            (false, false) => 0.0,
        }
    }

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
        let seen =
            Peer { transactions: 5, received: 1, sent: 1, counterparties: 1, coins: 4.0, ..Peer::default() };
        assert_eq!(traffic.peer(7, 1), seen);
        assert_eq!(traffic.peer(7, 9), Peer { counterparties: 2, ..seen });
    }

    #[test]
    fn taint_is_passed_on_by_share() {
        let mut traffic = Traffic::default();
        traffic.observe(None, Some(1), 9.0);
        traffic.observe(Some(1), Some(2), 1.0);
        assert!(traffic.peer(2, 0).tainted.abs() < 1e-12, "nobody knew then");
        traffic.mark(1);
        traffic.observe(Some(1), Some(2), 1.0);
        traffic.observe(Some(8), Some(2), 2.0);
        traffic.observe(Some(2), Some(3), 3.0);
        let peers = [1, 2, 3, 8].map(|other| traffic.peer(other, 0));
        assert_eq!(peers.map(|peer| peer.marked), [true, false, false, false]);
        assert_eq!(peers.map(|peer| (peer.tainted * 100.0).round()), [100.0, 25.0, 25.0, 0.0]);
    }

    proptest! {
        /// A share stays one, whatever flows.
        #[test]
        fn taint_is_a_share(
            transactions in proptest::collection::vec((0_u32..9, 0_u32..9, 0_u32..9, any::<bool>()), 0..100),
        ) {
            let mut traffic = Traffic::default();
            for (from, to, moved, mark) in transactions {
                if mark {
                    traffic.mark(from);
                }
                traffic.observe(Some(from), Some(to), f64::from(moved));
            }
            for other in 0..9 {
                let tainted = traffic.peer(other, 0).tainted;
                prop_assert!((0.0..=1.0 + 1e-9).contains(&tainted), "{}", tainted);
            }
        }

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
