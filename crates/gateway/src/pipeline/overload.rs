//! How many requests the exchange is given at once, and whose turn it is when it cannot keep up.
//!
//! The limit follows the latency of the exchange alone; what clients send slowly and what we decide about does not
//! count. A request asks for its [`Turn`] once its sender is proven and before anything is charged to it: what is
//! shed here costs the client nothing and may be sent again as it is. Cancels go last and have a reserve. A burst
//! beyond the limit waits a little ([`Turnstile`]); what lasts is turned away.
//!
//! Bounds: [`WAITING_MAX`] that wait, [`patience`].

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use admission::{Class, Concurrency, ConcurrencyConfig, Outcome, Permit, Shed};
use auth::Refusal;
use domain::UnixNanos;
use tokio::{sync::Notify, time::timeout};

use super::Shared;
use crate::{
    answer::Refused,
    route::{self, Budget, Handling, Route},
    upstream::SendError,
};

/// When a client that was turned away may come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How much a request matters.
pub(crate) fn class(route: &Route) -> Class {
    match (route.class, route.handling) {
        (_, Handling::Browser) => Class::Anonymous,
        (route::Class::Public, _) => Class::PublicRead,
        _ => class_of(route.budget),
    }
}

/// How much a private request matters.
pub(crate) const fn class_of(budget: Budget) -> Class {
    match budget {
        Budget::Amend => Class::Amend,
        Budget::Cancel => Class::Cancel,
        Budget::Place => Class::Place,
        Budget::Read => Class::PrivateRead,
        // Transfers between own accounts and settings: needed to trade, but not in this moment.
        Budget::Withdraw | Budget::Write => Class::Withdraw,
    }
}

/// How long a request may wait for its turn: a burst is no overload. Who waits longer would only be answered late.
const fn patience(class: Class) -> Duration {
    Duration::from_millis(match class {
        Class::Anonymous | Class::PublicRead | Class::PrivateRead => 500,
        Class::Withdraw | Class::Place | Class::Amend => 100,
        Class::Cancel => 1_000,
    })
}

/// Most requests that wait; further ones are turned away at once.
const WAITING_MAX: u32 = 4_096;

/// Those that wait in one class, the first first.
#[derive(Debug, Default)]
struct Queue {
    waiting: AtomicU32,
    turn: Notify,
}

/// Where requests wait for their turn: the more important first, and in each class in their order.
#[derive(Debug)]
pub(crate) struct Turnstile {
    pub(crate) concurrency: Arc<Concurrency>,
    /// In all queues.
    waiting: AtomicU32,
    queues: [Queue; Class::ALL.len()],
}

/// One that waits, until it is dropped.
struct Waiting<'t>(&'t Turnstile, &'t Queue);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
        self.1.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Turnstile {
    pub(crate) fn new(config: ConcurrencyConfig) -> Arc<Self> {
        let concurrency = Concurrency::new(config);
        Arc::new(Self { concurrency, waiting: AtomicU32::new(0), queues: Default::default() })
    }

    fn turn(self: &Arc<Self>, permit: Permit) -> Turn {
        Turn { permit: Some(permit), of: Arc::clone(self) }
    }

    /// Wakes who is next: of those that wait, who may have the most under way.
    fn call(&self) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let next = self.queues.iter().rev().find(|queue| queue.waiting.load(Ordering::Acquire) > 0);
        if let Some(queue) = next {
            queue.turn.notify_one();
        }
    }

    /// A turn at once, or none.
    pub(crate) fn pass(self: &Arc<Self>, class: Class) -> Result<Turn, Shed> {
        self.concurrency.admit(class).map(|permit| self.turn(permit))
    }

    /// A turn, for which a request waits a while.
    async fn enter(self: &Arc<Self>, class: Class) -> Result<Turn, Shed> {
        let shed = match self.concurrency.try_admit(class) {
            Ok(permit) => return Ok(self.turn(permit)),
            Err(shed) => shed,
        };
        let queue = &self.queues[class as usize];
        let waited = if self.waiting.fetch_add(1, Ordering::AcqRel) < WAITING_MAX {
            queue.waiting.fetch_add(1, Ordering::AcqRel);
            let _waiting = Waiting(self, queue);
            timeout(patience(class), self.called(class, queue)).await.ok()
        } else {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            None
        };
        match waited {
            Some(permit) => {
                // There may be room for more than one: the limit moves.
                self.call();
                Ok(self.turn(permit))
            }
            None => {
                self.concurrency.turned_away(class);
                Err(shed)
            }
        }
    }

    async fn called(&self, class: Class, queue: &Queue) -> Permit {
        loop {
            let mut turn = pin!(queue.turn.notified());
            // Whoever ends from here on is heard.
            turn.as_mut().enable();
            if let Ok(permit) = self.concurrency.try_admit(class) {
                return permit;
            }
            turn.await;
        }
    }
}

/// One request with the exchange. When it ends, however it does, the next one is called.
#[derive(Debug)]
pub(crate) struct Turn {
    permit: Option<Permit>,
    of: Arc<Turnstile>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.of.call();
    }
}

impl Shared {
    /// Lets one more request be under way, perhaps after a short wait, or says that there are enough.
    pub(crate) async fn let_through(&self, class: Class, now: UnixNanos) -> Result<Turn, Refused> {
        self.turnstile.enter(class).await.map_err(|shed| self.turn_away(shed, now))
    }

    /// Says that there are enough requests under way.
    pub(crate) fn turn_away(&self, shed: Shed, now: UnixNanos) -> Refused {
        tracing::debug!(%shed, "shed");
        self.challenger.overloaded(now);
        let refusal = match shed.class {
            Class::Amend | Class::Cancel | Class::Place | Class::Withdraw => Refusal::SystemBusy,
            Class::Anonymous | Class::PrivateRead | Class::PublicRead => Refusal::ServiceUnavailable,
        };
        Refused { retry_after: Some(RETRY_AFTER), ..Refused::from(refusal).labelled("shed") }
    }
}

impl Turn {
    /// Says how the request ended that took `latency` from its first byte to the head of its answer.
    pub(super) fn settle(mut self, latency: Duration, answered: Result<u16, &SendError>, now: UnixNanos) {
        let outcome = match answered {
            Ok(502..=504) => Outcome::Overloaded,
            Ok(_) => Outcome::Answered,
            Err(SendError::Malformed(_)) => Outcome::Ignored,
            Err(_) => Outcome::Overloaded,
        };
        if let Some(permit) = self.permit.take() {
            permit.done(latency, outcome, now);
        }
    }
}
