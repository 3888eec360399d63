//! What all web sockets share: how fast a source may open them, and how many an account has open.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use admission::KeyedLimiter;
use arc_swap::ArcSwap;
use domain::{AccountId, UnixNanos};
use parking_lot::Mutex;

use super::Config;

/// Shared by all web sockets. Bounded: sources by the limiter, accounts by those that are logged in.
#[derive(Debug)]
pub(crate) struct Lobby<S> {
    settings: ArcSwap<Settings<S>>,
    seats: Seats,
    sources_max: usize,
    seed: u64,
}

/// What may be replaced while web sockets are open.
#[derive(Debug)]
struct Settings<S> {
    config: Config,
    connects: Arc<KeyedLimiter<S>>,
}

type Seats = Arc<Mutex<HashMap<AccountId, usize>>>;

impl<S: Hash + Eq> Lobby<S> {
    /// `sources_max` sources are remembered; `seed` is random and secret.
    pub(crate) fn new(config: Config, sources_max: usize, seed: u64) -> Self {
        let connects = Arc::new(KeyedLimiter::new(config.connects, sources_max, seed));
        let settings = ArcSwap::from_pointee(Settings { config, connects });
        Self { settings, seats: Seats::default(), sources_max, seed }
    }

    /// The bounds of a connection that begins now.
    pub(crate) fn config(&self) -> Config {
        self.settings.load().config
    }

    /// Puts other bounds in force: of newcomers at once, of what a connection may do for those that begin from now on.
    /// How long the end is announced stays, since whoever stops the gateway waits for so long. Another rate of new
    /// connections begins afresh.
    pub(crate) fn set_config(&self, config: Config) {
        let before = self.settings.load();
        let config = Config { notice: before.config.notice, ..config };
        let connects = if config.connects == before.config.connects {
            Arc::clone(&before.connects)
        } else {
            Arc::new(KeyedLimiter::new(config.connects, self.sources_max, self.seed))
        };
        self.settings.store(Arc::new(Settings { config, connects }));
    }

    /// Charges a new connection to where it comes from; if that is too much, says how long to wait.
    pub(crate) fn enter(&self, source: S, now: UnixNanos) -> Result<(), Option<Duration>> {
        self.settings.load().connects.check(source, 1, now).map(drop).map_err(|limited| limited.retry_after())
    }

    /// A place for one more connection of an account, if there is one.
    pub(crate) fn seat(&self, account: &AccountId) -> Option<Seat> {
        let mut seats = self.seats.lock();
        let taken = seats.entry(account.clone()).or_default();
        if *taken >= self.config().per_account_max {
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
    fn other_bounds_hold_for_newcomers_at_once() {
        let now = UnixNanos::from_secs(1_800_000_000);
        let before = Config::default();
        let lobby: Lobby<u8> = Lobby::new(before, 100, 1);
        for _ in 0..3 {
            lobby.enter(1, now).unwrap();
        }
        let alice = AccountId::parse("alice").unwrap();
        let _first = lobby.seat(&alice).unwrap();
        // The same rate goes on as it is; the notice is not changed.
        let fewer = Config { per_account_max: 1, notice: Duration::from_secs(1), ..before };
        lobby.set_config(fewer);
        assert!(lobby.enter(1, now).is_err() && lobby.seat(&alice).is_none());
        assert_eq!(lobby.config(), Config { notice: before.notice, ..fewer });
        lobby.set_config(Config {
            connects: admission::Quota::new(1, Duration::from_secs(1)).unwrap(),
            ..fewer
        });
        assert_eq!((lobby.enter(1, now).is_ok(), lobby.enter(1, now).is_ok()), (true, false));
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
