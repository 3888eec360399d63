//! One timer per connection for whatever is due next.
//!
//! A timer of the runtime is moved only when it would fire too late, or fires too early: work that is done in time
//! touches no timer.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// What was due did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overdue;

/// A timer that is set when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Ready once `due` is past.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// What `poll` gives, unless it is still pending at `due`; unset, that is `span` after it first was pending.
    pub(crate) async fn within<T>(
        &mut self,
        due: &mut Option<Instant>,
        span: Duration,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Overdue> {
        poll_fn(|cx| {
            if let Poll::Ready(done) = poll(cx) {
                return Poll::Ready(Ok(done));
            }
            let due = *due.get_or_insert_with(|| Instant::now() + span);
            self.poll(cx, due).map(|()| Err(Overdue))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_own_end() {
        let mut deadline = Deadline::default();
        let start = Instant::now();
        for (seconds, ends_at) in [(10, 10), (60, 70), (1, 71), (5, 76)] {
            let mut due = None;
            let never = deadline.within(&mut due, Duration::from_secs(seconds), |_| Poll::<()>::Pending);
            assert_eq!(never.await, Err(Overdue));
            assert_eq!(start.elapsed().as_secs(), ends_at);
        }
        assert_eq!(deadline.within(&mut None, Duration::ZERO, |_| Poll::Ready(7)).await, Ok(7));
        // A due time that is carried over is not moved.
        let mut due = Some(Instant::now() + Duration::from_secs(3));
        let carried = deadline.within(&mut due, Duration::from_secs(60), |_| Poll::<()>::Pending);
        assert_eq!(carried.await, Err(Overdue));
        assert_eq!(start.elapsed().as_secs(), 79);
    }
}
