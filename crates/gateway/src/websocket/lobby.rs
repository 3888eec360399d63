//! What all web sockets share: how fast a source may open them, and how many an account has open.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use admission::KeyedLimiter;
use domain::{AccountId, UnixNanos};
use parking_lot::Mutex;

use super::Config;

/// Shared by all web sockets. Bounded: sources by the limiter, accounts by those that are logged in.
#[derive(Debug)]
pub(crate) struct Lobby<S> {
    config: Config,
    connects: KeyedLimiter<S>,
    seats: Seats,
}

type Seats = Arc<Mutex<HashMap<AccountId, usize>>>;

impl<S: Hash + Eq> Lobby<S> {
    /// `sources_max` sources are remembered; `seed` is random and secret.
    pub(crate) fn new(config: Config, sources_max: usize, seed: u64) -> Self {
        Self {
            config,
            connects: KeyedLimiter::new(config.connects, sources_max, seed),
            seats: Seats::default(),
        }
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// Charges a new connection to where it comes from; if that is too much, says how long to wait.
    pub(crate) fn enter(&self, source: S, now: UnixNanos) -> Result<(), Option<Duration>> {
        self.connects.check(source, 1, now).map(drop).map_err(|limited| limited.retry_after())
    }

    /// A place for one more connection of an account, if there is one.
    pub(crate) fn seat(&self, account: &AccountId) -> Option<Seat> {
        let mut seats = self.seats.lock();
        let taken = seats.entry(account.clone()).or_default();
        if *taken >= self.config.per_account_max {
            return None;
        }
        *taken += 1;
        Some(Seat { account: account.clone(), seats: Arc::clone(&self.seats) })
    }
}

/// A connection's place among those of its account; given up when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    account: AccountId,
    seats: Seats,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.seats.lock();
        if let Some(taken) = seats.get_mut(&self.account) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                seats.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_given_back() {
        let lobby: Lobby<u8> = Lobby::new(Config { per_account_max: 2, ..Config::default() }, 100, 1);
        let alice = AccountId::parse("alice").unwrap();
        let first = lobby.seat(&alice).unwrap();
        let _second = lobby.seat(&alice).unwrap();
        assert!(lobby.seat(&alice).is_none());
        assert!(lobby.seat(&AccountId::parse("bob").unwrap()).is_some());
        drop(first);
        assert!(lobby.seat(&alice).is_some());
        assert_eq!(lobby.seats.lock().len(), 1, "accounts that are gone are forgotten");
    }

    #[test]
    fn a_source_opens_three_connections_a_second() {
        let lobby: Lobby<u8> = Lobby::new(Config::default(), 100, 1);
        let now = UnixNanos::from_secs(1_800_000_000);
        for _ in 0..3 {
            assert_eq!(lobby.enter(1, now), Ok(()));
        }
        let wait = lobby.enter(1, now).unwrap_err().unwrap();
        assert_eq!(lobby.enter(2, now), Ok(()));
        assert_eq!(lobby.enter(1, now.plus(wait)), Ok(()));
    }
}
