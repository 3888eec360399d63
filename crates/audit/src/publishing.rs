//! The publisher at work: a thread that publishes at an interval.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use domain::{Clock, UnixNanos};
use parking_lot::{Condvar, Mutex};

use crate::publish::{LogSource, Published, Publisher};

/// How the publisher fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Entries that the newest checkpoint commits to.
    pub size: u64,
    /// When the log was last known to be up to date with the journal.
    pub current_at: UnixNanos,
    /// Why publishing fails at present; none if it does not.
    pub failing: Option<String>,
    /// True once publishing has ended for good: because it was stopped, or because log or journal are damaged or
    /// manipulated and somebody has to look.
    pub ended: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    status: Status,
    stop: bool,
}

/// The thread that publishes. Stopped and joined when dropped.
#[derive(Debug)]
pub struct Publishing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Publishing {
    /// Publishes every `interval` what has become durable; one second is usual. `published` is what
    /// [`Publisher::open`] gave.
    ///
    /// A failing storage is tried again at the next interval, from what is on disk. Damage or manipulation ends
    /// publishing: no checkpoint is signed over a journal that does not continue the log.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn spawn<L: LogSource + 'static>(
        mut publisher: Publisher<L>,
        published: Published,
        interval: Duration,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let status = Status { size: published.size, current_at: published.at, failing: None, ended: false };
        let state = Mutex::new(State { status, stop: false });
        let shared = Arc::new(Shared { state, wake: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log-publisher".to_owned()).spawn(move || {
            loop {
                let stop = {
                    let mut state = theirs.state.lock();
                    if !state.stop {
                        theirs.wake.wait_for(&mut state, interval);
                    }
                    state.stop
                };
                // Once more after the request to stop, so that a clean end leaves nothing unpublished.
                let ended = theirs.publish(&mut publisher, clock.now()) || stop;
                if ended {
                    theirs.state.lock().status.ended = true;
                    return;
                }
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How it fares.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.state.lock().status.clone()
    }

    /// Publishes what is left and ends. Returns the final status.
    #[must_use]
    pub fn stop(mut self) -> Status {
        self.end();
        self.status()
    }

    fn end(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            let mut state = self.shared.state.lock();
            state.status.failing = Some("the publisher panicked".to_owned());
            state.status.ended = true;
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// Publishes once; true if that was the last time.
    fn publish<L: LogSource>(&self, publisher: &mut Publisher<L>, now: UnixNanos) -> bool {
        let result = publisher.publish_once(now);
        let mut state = self.state.lock();
        let status = &mut state.status;
        match result {
            Ok(published) => {
                status.size = published.map_or(status.size, |published| published.size);
                status.current_at = now;
                status.failing = None;
                false
            }
            Err(error) => {
                let transient = error.is_transient();
                tracing::error!(error = %error, transient, "log not published");
                status.failing = Some(error.to_string());
                !transient
            }
        }
    }
}

#[cfg(test)]
mod tests;
