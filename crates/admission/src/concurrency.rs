//! How many requests may be under way upstream at once, and who goes first when not all may.
//!
//! The limit follows the latency: as long as requests are answered about as fast as they ever are, it grows; when
//! they begin to queue, it shrinks ([`estimate`]). Requests have a [`Class`]. Each class is admitted only while fewer
//! than its share of the limit are under way, whoever they are, so that the classes are shed in order, least
//! important first. Cancels have a reserve above the limit that nobody else can take: whoever places orders can
//! always get out of them.
//!
//! Not here: waiting. A request that is not admitted is refused at once, because a queue in front of an overloaded
//! server only adds to the latency of everyone.
//!
//! Sources: Google SRE workbook on criticality and load shedding; the adaptive concurrency filter of Envoy and the
//! Gradient2 limit of Netflix's concurrency-limits for the way the limit follows the latency.
//!
//! Cost: no lock and no allocation in [`Concurrency::admit`]; a few relaxed atomic operations there and in
//! [`Permit::done`]; ten times in a second one request finds the lock free and moves the limit.

mod estimate;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use domain::UnixNanos;
use parking_lot::Mutex;

use self::estimate::{Estimate, Window};

/// How much a request matters, in the order in which classes are shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Without any sign of who asks: sign-up, log-in, pages.
    Anonymous,
    /// Market data.
    PublicRead,
    /// Own balances, orders and positions.
    PrivateRead,
    /// Moving money out.
    Withdraw,
    /// New orders.
    Place,
    /// Changed orders, and new ones that can only reduce a position.
    Amend,
    /// Cancelled orders, and freezes.
    Cancel,
}

impl Class {
    /// Every class, in the order in which they are shed.
    pub const ALL: [Self; 7] = [
        Self::Anonymous,
        Self::PublicRead,
        Self::PrivateRead,
        Self::Withdraw,
        Self::Place,
        Self::Amend,
        Self::Cancel,
    ];

    /// A stable name for metrics and reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::PublicRead => "public_read",
            Self::PrivateRead => "private_read",
            Self::Withdraw => "withdraw",
            Self::Place => "place",
            Self::Amend => "amend",
            Self::Cancel => "cancel",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }

    /// Of the limit, in percent.
    const fn share_percent(self) -> u64 {
        match self {
            Self::Anonymous => 50,
            Self::PublicRead => 60,
            Self::PrivateRead => 70,
            Self::Withdraw => 80,
            Self::Place => 90,
            Self::Amend => 100,
            Self::Cancel => 125,
        }
    }
}

/// Least that cancels have above the limit.
const RESERVE_MIN: u32 = 8;

/// How a request ended, for the estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered: its latency counts.
    Answered,
    /// Given up by the client or refused by us: says nothing about the server.
    Ignored,
    /// Timed out, refused or failed at the server: it has too much to do, whatever the latency says.
    Overloaded,
}

/// Bounds of the limit.
///
/// # Defaults
/// - `limit_initial`: 128
/// - `limit_max`: 4,096
/// - `limit_min`: 8
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyConfig {
    /// Requests under way at once before anything is known.
    pub limit_initial: u32,
    /// The limit never grows beyond this.
    pub limit_max: u32,
    /// The limit never falls below this; at least 1.
    pub limit_min: u32,
}

impl Default for ConcurrencyConfig {
    fn default() -> Self {
        Self { limit_initial: 128, limit_max: 4_096, limit_min: 8 }
    }
}

/// A request that is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{in_flight} requests are under way, {} are admitted up to {ceiling}", class.label())]
pub struct Shed {
    /// Of the request.
    pub class: Class,
    /// Requests under way.
    pub in_flight: u32,
    /// From how many on this class is shed.
    pub ceiling: u32,
}

/// What was measured since the estimate last moved. Read and reset without a common lock: a sample that falls
/// between two windows is counted in one of them.
#[derive(Debug, Default)]
struct Samples {
    nanos: AtomicU64,
    answered: AtomicU32,
    overloaded: AtomicU32,
    in_flight_max: AtomicU32,
    shed: AtomicU32,
}

/// The limit on requests under way, shared by all connections.
pub struct Concurrency {
    in_flight: AtomicU32,
    ceilings: [AtomicU32; Class::ALL.len()],
    window_ends: AtomicU64,
    samples: Samples,
    shed: [AtomicU64; Class::ALL.len()],
    estimate: Mutex<Estimate>,
}

impl Concurrency {
    /// Nothing under way. Bounds that contradict each other are put in order: the least wins.
    #[must_use]
    pub fn new(config: ConcurrencyConfig) -> Arc<Self> {
        let estimate = Estimate::new(config);
        let this = Self {
            in_flight: AtomicU32::new(0),
            ceilings: Default::default(),
            window_ends: AtomicU64::new(0),
            samples: Samples::default(),
            shed: Default::default(),
            estimate: Mutex::new(estimate),
        };
        this.set_ceilings(estimate.limit(), estimate.limit());
        Arc::new(this)
    }

    /// Lets a request through if its class may have one more under way.
    ///
    /// # Errors
    /// [`Shed`]; nothing is counted as under way.
    pub fn admit(self: &Arc<Self>, class: Class) -> Result<Permit, Shed> {
        self.try_admit(class).inspect_err(|_| self.turned_away(class))
    }

    /// Counts a request that [`Concurrency::try_admit`] did not let through as turned away for good.
    pub fn turned_away(&self, class: Class) {
        self.shed[class.index()].fetch_add(1, Relaxed);
    }

    /// As [`Concurrency::admit`], for a caller who may try again before the client is turned away.
    ///
    /// # Errors
    /// [`Shed`]; nothing is counted as under way.
    pub fn try_admit(self: &Arc<Self>, class: Class) -> Result<Permit, Shed> {
        let ceiling = self.ceilings[class.index()].load(Relaxed);
        let admitted =
            self.in_flight.fetch_update(Relaxed, Relaxed, |count| (count < ceiling).then_some(count + 1));
        match admitted {
            Ok(_) => Ok(Permit { of: Arc::clone(self) }),
            Err(in_flight) => {
                self.samples.shed.fetch_add(1, Relaxed);
                Err(Shed { class, in_flight, ceiling })
            }
        }
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The limit at present; changed orders are admitted up to it.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.estimate.lock().limit()
    }

    /// Requests of a class that were not admitted, since the start.
    #[must_use]
    pub fn shed(&self, class: Class) -> u64 {
        self.shed[class.index()].load(Relaxed)
    }

    fn set_ceilings(&self, limit: u32, limit_of_cancels: u32) {
        for class in Class::ALL {
            let limit = if class == Class::Cancel { limit_of_cancels } else { limit };
            let ceiling = u32::try_from(u64::from(limit) * class.share_percent() / 100).unwrap_or(u32::MAX);
            let ceiling =
                if class == Class::Cancel { ceiling.max(limit.saturating_add(RESERVE_MIN)) } else { ceiling };
            self.ceilings[class.index()].store(ceiling.max(1), Relaxed);
        }
    }

    fn measured(&self, latency: Duration, outcome: Outcome, in_flight: u32, now: UnixNanos) {
        let samples = &self.samples;
        match outcome {
            Outcome::Answered => {
                let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).min(estimate::NANOS_MAX);
                samples.nanos.fetch_add(nanos, Relaxed);
                samples.answered.fetch_add(1, Relaxed);
            }
            Outcome::Ignored => return,
            Outcome::Overloaded => {
                samples.overloaded.fetch_add(1, Relaxed);
            }
        }
        if in_flight > samples.in_flight_max.load(Relaxed) {
            samples.in_flight_max.store(in_flight, Relaxed);
        }
        if now.0 >= self.window_ends.load(Relaxed) {
            self.close_window(now);
        }
    }

    #[cold]
    fn close_window(&self, now: UnixNanos) {
        let Some(mut estimate) = self.estimate.try_lock() else { return }; // somebody else is at it
        if now.0 < self.window_ends.load(Relaxed) {
            return;
        }
        let samples = &self.samples;
        let window = Window {
            nanos: samples.nanos.swap(0, Relaxed),
            answered: samples.answered.swap(0, Relaxed),
            overloaded: samples.overloaded.swap(0, Relaxed),
            in_flight_max: samples.in_flight_max.swap(0, Relaxed),
            shed: samples.shed.swap(0, Relaxed),
        };
        let lasts = estimate.step(window, now);
        self.window_ends.store(now.plus(lasts).0, Relaxed);
        self.set_ceilings(estimate.limit_now(), estimate.limit());
    }
}

impl fmt::Debug for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concurrency")
            .field("in_flight", &self.in_flight())
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

/// One request under way; dropped without [`Permit::done`], it counts as [`Outcome::Ignored`].
#[derive(Debug)]
#[must_use = "a request is under way as long as its permit lives"]
pub struct Permit {
    of: Arc<Concurrency>,
}

impl Permit {
    /// The request has ended: `latency` is the time the server took, from the first byte sent to the head of the
    /// answer.
    pub fn done(self, latency: Duration, outcome: Outcome, now: UnixNanos) {
        let in_flight = self.of.in_flight.load(Relaxed);
        self.of.measured(latency, outcome, in_flight, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
