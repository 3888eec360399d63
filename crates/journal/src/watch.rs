//! How far the journal is durable, for those who follow it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tlog::Hash;

use crate::log::Health;

/// Why there will be no more entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// The journal was closed.
    #[error("journal is closed")]
    Closed,
    /// The storage failed.
    #[error("journal has failed: {reason}")]
    Failed {
        /// What failed.
        reason: Arc<str>,
    },
}

#[derive(Debug)]
struct State {
    size: u64,
    root: Hash,
    health: Health,
    waiting: Vec<(u64, Waker)>,
    next_id: u64,
}

/// What is durable. Waiters are one per live [`Beyond`].
#[derive(Debug)]
pub(crate) struct Published(Mutex<State>);

impl Published {
    pub(crate) fn new(size: u64, root: Hash) -> Self {
        Self(Mutex::new(State { size, root, health: Health::Running, waiting: Vec::new(), next_id: 0 }))
    }

    pub(crate) fn tree(&self) -> (u64, Hash) {
        let state = self.0.lock();
        (state.size, state.root)
    }

    pub(crate) fn health(&self) -> Health {
        self.0.lock().health.clone()
    }

    pub(crate) fn advance(&self, size: u64, root: Hash) {
        self.change(|state| {
            state.size = size;
            state.root = root;
        });
    }

    /// The first failure stays.
    pub(crate) fn stop(&self, health: Health) {
        self.change(|state| {
            if state.health == Health::Running {
                state.health = health;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waiting = {
            let mut state = self.0.lock();
            change(&mut state);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// Resolves to the journal's size once that exceeds a given one; see [`crate::Journal::wait_beyond`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Beyond {
    published: Arc<Published>,
    size: u64,
    id: Option<u64>,
}

impl Beyond {
    pub(crate) fn new(published: Arc<Published>, size: u64) -> Self {
        Self { published, size, id: None }
    }
}

impl Future for Beyond {
    type Output = Result<u64, Stopped>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let published = Arc::clone(&self.published);
        let mut state = published.0.lock();
        if state.size > self.size {
            return Poll::Ready(Ok(state.size));
        }
        match &state.health {
            Health::Running => {}
            Health::Closed => return Poll::Ready(Err(Stopped::Closed)),
            Health::Failed { reason } => {
                return Poll::Ready(Err(Stopped::Failed { reason: Arc::clone(reason) }));
            }
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next_id += 1;
            state.next_id
        });
        state.waiting.retain(|(other, _)| *other != id);
        state.waiting.push((id, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.published.0.lock().waiting.retain(|(other, _)| *other != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn followers_are_woken_by_growth_and_by_the_end() {
        let published = Arc::new(Published::new(3, Hash([0; 32])));
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut beyond = Beyond::new(Arc::clone(&published), 3);
        assert!(Pin::new(&mut beyond).poll(&mut context).is_pending());
        assert!(Pin::new(&mut beyond).poll(&mut context).is_pending());
        published.advance(5, Hash([1; 32]));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(Pin::new(&mut beyond).poll(&mut context), Poll::Ready(Ok(5)));

        let mut beyond = Beyond::new(Arc::clone(&published), 5);
        assert!(Pin::new(&mut beyond).poll(&mut context).is_pending());
        published.stop(Health::Closed);
        assert_eq!(Pin::new(&mut beyond).poll(&mut context), Poll::Ready(Err(Stopped::Closed)));
        let mut dropped = Beyond::new(Arc::clone(&published), 9);
        drop(Pin::new(&mut dropped).poll(&mut context));
        drop(dropped);
        assert!(published.0.lock().waiting.is_empty());
    }
}
