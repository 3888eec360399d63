//! Passes for ever: at every announced head, at every tick of the poll, and again after every error.

use std::{future::Future, pin::Pin, time::Duration};

use chain::headers::Header;
use domain::UnixNanos;
use tokio::sync::watch;

use super::{
    follower::{FollowError, Follower},
    source::Source,
    status::Phase,
};

/// Shortest wait after an error; doubled with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// Least time between two lines of the log about errors: a node may fail many times a second.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// What waits: a port, so that tests decide how long a second takes.
pub trait Timer: Send + Sync {
    /// Ends after a while.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The runtime's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Waits between attempts: from [`BACKOFF_MIN`], doubled each time, to the longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) const fn new(longest: Duration) -> Self {
        Self { next: BACKOFF_MIN, longest }
    }

    pub(super) const fn reset(&mut self) {
        self.next = BACKOFF_MIN;
    }

    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next.min(self.longest);
        self.next = self.next.saturating_mul(2).min(self.longest);
        wait
    }
}

/// Follows until `stop` becomes true or its sender is gone. `heads` announces heads; without announcements the node is
/// asked every `poll`, which is also the longest wait after an error.
pub async fn run<S: Source>(
    mut follower: Follower<S>,
    mut heads: watch::Receiver<Option<Header>>,
    timer: &dyn Timer,
    poll: Duration,
    mut stop: watch::Receiver<bool>,
) -> Follower<S> {
    let mut backoff = Backoff::new(poll);
    let mut announced = None;
    let mut announcing = true;
    let mut said = Said::default();
    loop {
        let outcome = tokio::select! {
            // Dropping a pass between two of its steps is as a crash there; nothing durable is half done.
            outcome = follower.pass(announced.take()) => outcome,
            () = stopped(&mut stop) => break,
        };
        let wait = match outcome {
            Ok(()) => {
                said.works(&follower);
                backoff.reset();
                poll
            }
            // It may have to catch up itself; asking it more often does not help.
            Err(error @ FollowError::NodeBehind { .. }) => {
                note(&follower, &error);
                said.fails(&follower, &error);
                poll
            }
            Err(error) => {
                note(&follower, &error);
                said.fails(&follower, &error);
                backoff.wait()
            }
        };
        stalled(&follower);
        tokio::select! {
            changed = heads.changed(), if announcing => match changed {
                Ok(()) => {
                    // A head between this one and the last is found by its parent hash.
                    announced = *heads.borrow_and_update();
                    follower.status().write(|status| status.heads_announced += 1);
                }
                Err(_) => announcing = false,
            },
            () = timer.sleep(wait) => {}
            () = stopped(&mut stop) => break,
        }
    }
    follower.status().write(|status| status.phase = Phase::Stopped);
    follower
}

/// What the log was told of errors; all of them are counted in the status.
#[derive(Debug, Default)]
struct Said {
    /// When the log last heard of an error.
    at: Option<UnixNanos>,
    /// Whether it heard that following fails and not yet that it works again.
    fails: bool,
}

impl Said {
    fn fails<S: Source>(&mut self, follower: &Follower<S>, error: &FollowError) {
        let now = follower.clock().now();
        if self.at.is_some_and(|at| now.since(at) < SAID_EVERY) {
            return;
        }
        (self.at, self.fails) = (Some(now), true);
        tracing::warn!(chain = follower.settings().chain, kind = error.as_str(), %error, "not followed, trying again");
    }

    fn works<S: Source>(&mut self, follower: &Follower<S>) {
        if std::mem::take(&mut self.fails) {
            tracing::info!(chain = follower.settings().chain, "followed again");
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    drop(stop.wait_for(|stop| *stop).await);
}

fn note<S: Source>(follower: &Follower<S>, error: &FollowError) {
    let now = follower.clock().now();
    follower.status().write(|status| {
        status.phase = Phase::Failing;
        *status.errors.entry(error.as_str()).or_default() += 1;
        status.last_error = Some((now, error.to_string()));
    });
}

/// A node without a new head for too long is told apart from one that answers.
fn stalled<S: Source>(follower: &Follower<S>) {
    let now = follower.clock().now();
    let after = follower.settings().stalled_after;
    follower.status().write(|status| {
        let is_old = status.head_at.is_some_and(|at| now.since(at) > after);
        if is_old && status.phase == Phase::Following {
            status.phase = Phase::Stalled;
            *status.errors.entry("stalled").or_default() += 1;
            status.last_error =
                Some((now, format!("the node has had no new block for more than {} s", after.as_secs())));
        }
    });
}
