//! Counters of the gateway. Labels are compile-time names, so their number is bounded by the code.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use foldhash::HashMap;
use parking_lot::RwLock;

/// Counters since the start; cheap to bump from any request.
#[derive(Debug, Default)]
pub struct Metrics {
    connections: AtomicU64,
    forwarded: AtomicU64,
    requests: AtomicU64,
    upstream_connections: AtomicU64,
    refusals: Labelled,
    departures: Labelled,
    shadows: Labelled,
}

/// Counters by label.
#[derive(Debug, Default)]
struct Labelled(RwLock<HashMap<&'static str, AtomicU64>>);

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// Connections accepted within the caps.
    pub connections: u64,
    /// Requests the upstream answered.
    pub forwarded: u64,
    /// Requests received.
    pub requests: u64,
    /// Connections opened to the upstream.
    pub upstream_connections: u64,
    /// Requests that depart from the model of the API and passed, by label, sorted by label.
    pub departures: BTreeMap<&'static str, u64>,
    /// Refused requests and connections by label, sorted by label.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Requests that passed although a rule in shadow speaks against them, by label, sorted by label.
    pub shadows: BTreeMap<&'static str, u64>,
}

impl Metrics {
    pub(crate) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn forwarded(&self) {
        self.forwarded.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn upstream_connection(&self) {
        self.upstream_connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refusal(&self, label: &'static str) {
        self.refusals.count(label);
    }

    pub(crate) fn departure(&self, label: &'static str) {
        self.departures.count(label);
    }

    pub(crate) fn shadow(&self, label: &'static str) {
        self.shadows.count(label);
    }

    /// The counters now. Not a consistent cut: requests in flight may show in one counter and not yet in another.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            connections: self.connections.load(Ordering::Relaxed),
            forwarded: self.forwarded.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            upstream_connections: self.upstream_connections.load(Ordering::Relaxed),
            departures: self.departures.snapshot(),
            refusals: self.refusals.snapshot(),
            shadows: self.shadows.snapshot(),
        }
    }
}

impl Labelled {
    fn count(&self, label: &'static str) {
        if let Some(count) = self.0.read().get(label) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.0.write().entry(label).or_default().fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.0.read().iter().map(|(label, count)| (*label, count.load(Ordering::Relaxed))).collect()
    }
}
