//! What changed, handed to every connection, and how many connections watch a channel of an account.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::AccountId;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::FEED_OPERATIONS_MAX;
use crate::ledger::Update;

/// Connections that may watch one channel of one account.
pub(super) const WATCHERS_PER_CHANNEL_MAX: usize = 30;

/// The updates of one operation.
pub(super) type Updates = Arc<[Update]>;

/// How many connections watch each channel of each account. Bounded by accounts times channels.
type Watchers = Arc<Mutex<HashMap<(AccountId, &'static str), usize>>>;

/// Hands updates to connections.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Nothing once the exchange stops.
    sender: Mutex<Option<broadcast::Sender<Updates>>>,
    watchers: Watchers,
    connections: AtomicU64,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            sender: Mutex::new(Some(broadcast::Sender::new(FEED_OPERATIONS_MAX))),
            watchers: Arc::default(),
            connections: AtomicU64::new(0),
        }
    }

    /// Hands on what one operation changed.
    pub(crate) fn publish(&self, updates: Vec<Update>) {
        if let Some(sender) = self.sender.lock().as_ref().filter(|_| !updates.is_empty()) {
            // An error means that nobody watches.
            let _watched = sender.send(updates.into()).is_ok();
        }
    }

    /// Ends every connection.
    pub(crate) fn close(&self) {
        *self.sender.lock() = None;
    }

    /// From now on, every update; nothing when the exchange stops.
    pub(super) fn subscribe(&self) -> Option<broadcast::Receiver<Updates>> {
        self.sender.lock().as_ref().map(broadcast::Sender::subscribe)
    }

    /// A number no other connection has.
    pub(super) fn number_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a connection as a watcher of a channel.
    pub(super) fn watch(&self, account: &AccountId, channel: &'static str) -> Watching {
        let key = (account.clone(), channel);
        let mut watchers = self.watchers.lock();
        let count = watchers.entry(key.clone()).or_default();
        *count += 1;
        Watching { key, count: *count, watchers: Arc::clone(&self.watchers) }
    }
}

/// One connection's place among the watchers of a channel; given up when dropped.
#[derive(Debug)]
pub(super) struct Watching {
    key: (AccountId, &'static str),
    watchers: Watchers,
    /// Watchers when it came, itself included.
    pub(super) count: usize,
}

impl Watching {
    pub(super) const fn channel(&self) -> &'static str {
        self.key.1
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut watchers = self.watchers.lock();
        if let Some(count) = watchers.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                watchers.remove(&self.key);
            }
        }
    }
}
