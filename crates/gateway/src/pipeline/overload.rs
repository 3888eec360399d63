//! How many requests the exchange is given at once, and whose turn it is when it cannot keep up.
//!
//! The limit follows the latency of the exchange alone; what clients send slowly and what we decide about does not
//! count. A request asks for its [`Turn`] once its sender is proven and before anything is charged to it: what is
//! shed here costs the client nothing and may be sent again as it is. Cancels go last and have a reserve. A burst
//! beyond the limit waits a little ([`Turnstile`]); what lasts is turned away.
//!
//! Bounds: [`WAITING_MAX`] that wait, [`patience`].

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering, fence},
    },
    time::Duration,
};

use admission::{Class, Concurrency, ConcurrencyConfig, Outcome, Permit, Shed};
use auth::Refusal;
use domain::UnixNanos;
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};

use super::Shared;
use crate::{answer::Refused, upstream::SendError};

/// When a client that was turned away may come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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

/// Requests that wait, by class, in their order; those that gave up are left out when it is their turn.
type Queues = [VecDeque<oneshot::Sender<Permit>>; Class::ALL.len()];

/// Where requests wait for their turn: the more important first, and in each class in their order.
#[derive(Debug)]
pub(crate) struct Turnstile {
    pub(crate) concurrency: Arc<Concurrency>,
    /// In all queues, or about to be: nobody is called while it is zero.
    waiting: AtomicU32,
    queues: Mutex<Queues>,
}

/// One that waits. Who leaves with a permit in its hand passes it on.
struct Waiting<'t>(&'t Turnstile, oneshot::Receiver<Permit>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.1.close();
        if let Ok(permit) = self.1.try_recv() {
            drop(permit);
            self.0.call();
        }
    }
}

impl Turnstile {
    pub(crate) fn new(config: ConcurrencyConfig) -> Arc<Self> {
        let concurrency = Concurrency::new(config);
        Arc::new(Self { concurrency, waiting: AtomicU32::new(0), queues: Mutex::default() })
    }

    fn turn(self: &Arc<Self>, permit: Permit) -> Turn {
        Turn { permit: Some(permit), of: Arc::clone(self) }
    }

    /// Lets those pass for whom there is room now, the most important first.
    fn call(&self) {
        // Against the one in `wait_in_line`: whoever found no room before ours was given back is seen here.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let queues = &mut *self.queues.lock();
        for (queue, class) in queues.iter_mut().zip(Class::ALL).rev() {
            while !queue.is_empty() {
                // What a more important class has no room for, the others have none for either.
                let Ok(mut permit) = self.concurrency.try_admit(class) else { return };
                while let Some(next) = queue.pop_front() {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    match next.send(permit) {
                        Ok(()) => break,
                        Err(back) => permit = back,
                    }
                }
            }
        }
    }

    /// A turn at once, or none.
    pub(crate) fn pass(self: &Arc<Self>, class: Class) -> Result<Turn, Shed> {
        self.concurrency.admit(class).map(|permit| self.turn(permit))
    }

    /// A turn, for which a request waits a while.
    async fn enter(self: &Arc<Self>, class: Class) -> Result<Turn, Shed> {
        if self.waiting.load(Ordering::Relaxed) == 0
            && let Ok(permit) = self.concurrency.try_admit(class)
        {
            return Ok(self.turn(permit));
        }
        let permit = match self.wait_in_line(class) {
            Line::Passed(permit) => Some(permit),
            Line::Full => None,
            Line::Waits(mut waiting) => {
                timeout(patience(class), &mut waiting.1).await.ok().and_then(Result::ok)
            }
        };
        // A last attempt names the numbers of this moment, and counts.
        permit.map_or_else(|| self.pass(class), |permit| Ok(self.turn(permit)))
    }

    fn wait_in_line(&self, class: Class) -> Line<'_> {
        let queues = &mut *self.queues.lock();
        let [.., queue] = &mut queues[..=class as usize] else { return Line::Full };
        while queue.front().is_some_and(oneshot::Sender::is_closed) {
            queue.pop_front();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let others = self.waiting.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        // Nobody goes before those of their class that came before them.
        if queue.is_empty()
            && let Ok(permit) = self.concurrency.try_admit(class)
        {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Line::Passed(permit);
        }
        if others >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Line::Full;
        }
        let (called, waits) = oneshot::channel();
        queue.push_back(called);
        Line::Waits(Waiting(self, waits))
    }
}

/// What came of standing in line.
enum Line<'t> {
    Full,
    Passed(Permit),
    Waits(Waiting<'t>),
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
