//! Appending: drafts in, a [`Pending`] out that resolves when they are durable.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use domain::{Subject, UnixNanos};
use keyring::Pseudonym;
use parking_lot::{Condvar, Mutex};

use crate::entry::{Kind, PAYLOAD_BYTES_MAX};

/// Most drafts in one append.
pub(crate) const APPEND_DRAFTS_MAX: usize = 4_096;

/// Most payload bytes in one append.
pub(crate) const APPEND_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most drafts waiting for the writer, over all callers.
pub(crate) const QUEUE_DRAFTS_MAX: usize = 65_536;

/// Most payload bytes waiting for the writer, over all callers.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Drafts after which a batch is written without waiting for more.
const BATCH_DRAFTS: usize = 4_096;

/// Payload bytes after which a batch is written without waiting for more.
const BATCH_BYTES: usize = 1024 * 1024;

/// What is to become an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// When it happened or was decided; moved up to the time of the entry before if that is later.
    pub at: UnixNanos,
    /// Whose key seals the payload.
    pub subject: Subject,
    /// What the payload is.
    pub kind: Kind,
    /// The payload in clear, at most [`PAYLOAD_BYTES_MAX`] bytes; see [`crate::record`].
    pub payload: Vec<u8>,
}

/// Where an append ended up: entries `first .. first + count`, adjacent and in the order of the drafts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Sequence number of the first draft.
    pub first: u64,
    /// Number of drafts.
    pub count: u64,
}

/// Why an append did not become durable. None of its drafts is in the journal then, except after
/// [`AppendError::Failed`], where that is unknown until the journal is opened again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The journal was closed.
    #[error("journal is closed")]
    Closed,
    /// The storage failed, now or earlier; the journal takes nothing more until it is opened again.
    #[error("journal has failed: {reason}")]
    Failed {
        /// What failed.
        reason: Arc<str>,
    },
    /// No room for another subject's key.
    #[error("key table is full")]
    KeyTableFull,
    /// No drafts, or more than fit one append.
    #[error("an append takes 1 to 4096 drafts of 8388608 bytes together, got {drafts} of {bytes} bytes")]
    OutOfBounds {
        /// Drafts given.
        drafts: usize,
        /// Payload bytes given.
        bytes: usize,
    },
    /// Too much is waiting to be written; try again later.
    #[error("journal is overloaded")]
    Overloaded,
    /// A subject's key was erased: nothing can be recorded about it any more.
    #[error("subject {pseudonym} was erased")]
    SubjectErased {
        /// Its pseudonym.
        pseudonym: Pseudonym,
    },
    /// A payload is too long.
    #[error("payload of draft {index} is {bytes} bytes long, at most {PAYLOAD_BYTES_MAX} are allowed")]
    TooLong {
        /// Which draft, from 0.
        index: usize,
        /// Its payload's length.
        bytes: usize,
    },
}

#[derive(Debug, Default)]
struct Outcome {
    result: Option<Result<Appended, AppendError>>,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Slot {
    outcome: Mutex<Outcome>,
    decided: Condvar,
}

/// An append on its way. Dropping it does not take the append back.
#[derive(Debug)]
#[must_use = "an append is durable only once this resolves"]
pub struct Pending(Arc<Slot>);

impl Pending {
    /// A pending append and where its outcome is put.
    pub(crate) fn new() -> (Self, Reply) {
        let slot = Arc::new(Slot::default());
        (Self(Arc::clone(&slot)), Reply { slot, sent: false })
    }

    /// One that has failed already.
    pub(crate) fn refused(error: AppendError) -> Self {
        let (pending, reply) = Self::new();
        reply.send(Err(error));
        pending
    }

    /// Blocks until the append is durable or has failed. Not for use in async code: await it there.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn wait(self) -> Result<Appended, AppendError> {
        let mut outcome = self.0.outcome.lock();
        loop {
            if let Some(result) = outcome.result.clone() {
                return result;
            }
            self.0.decided.wait(&mut outcome);
        }
    }
}

impl Future for Pending {
    type Output = Result<Appended, AppendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcome = self.0.outcome.lock();
        match &outcome.result {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                outcome.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Where the outcome of an append is put. Dropped without one (the writer died), it reports a failure: nobody waits
/// for ever.
#[derive(Debug)]
pub(crate) struct Reply {
    slot: Arc<Slot>,
    sent: bool,
}

impl Reply {
    pub(crate) fn send(mut self, result: Result<Appended, AppendError>) {
        self.put(result);
    }

    fn put(&mut self, result: Result<Appended, AppendError>) {
        self.sent = true;
        let waker = {
            let mut outcome = self.slot.outcome.lock();
            outcome.result = Some(result);
            outcome.waker.take()
        };
        self.slot.decided.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.sent {
            self.put(Err(AppendError::Failed { reason: "the writer stopped".into() }));
        }
    }
}

/// One append in the queue.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) bytes: usize,
    pub(crate) reply: Reply,
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    drafts: usize,
    bytes: usize,
    closing: bool,
    failed: Option<Arc<str>>,
}

impl QueueState {
    fn refusal(&self) -> Option<AppendError> {
        if let Some(reason) = &self.failed {
            return Some(AppendError::Failed { reason: Arc::clone(reason) });
        }
        self.closing.then_some(AppendError::Closed)
    }
}

impl Queue {
    /// Puts drafts in line.
    pub(crate) fn push(&self, drafts: Vec<Draft>) -> Pending {
        let bytes = drafts.iter().map(|draft| draft.payload.len()).sum();
        let too_long = drafts.iter().position(|draft| draft.payload.len() > PAYLOAD_BYTES_MAX);
        if let Some(index) = too_long {
            let bytes = drafts[index].payload.len();
            return Pending::refused(AppendError::TooLong { index, bytes });
        }
        if drafts.is_empty() || drafts.len() > APPEND_DRAFTS_MAX || bytes > APPEND_BYTES_MAX {
            return Pending::refused(AppendError::OutOfBounds { drafts: drafts.len(), bytes });
        }
        let mut state = self.state.lock();
        if let Some(error) = state.refusal() {
            return Pending::refused(error);
        }
        if state.drafts + drafts.len() > QUEUE_DRAFTS_MAX || state.bytes + bytes > QUEUE_BYTES_MAX {
            return Pending::refused(AppendError::Overloaded);
        }
        let (pending, reply) = Pending::new();
        state.drafts += drafts.len();
        state.bytes += bytes;
        state.jobs.push_back(Job { drafts, bytes, reply });
        drop(state);
        self.changed.notify_one();
        pending
    }

    /// Waits for work: everything that is in line, up to about one batch; `None` once closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closing {
                return None;
            }
            self.changed.wait(&mut state);
        }
        let mut jobs = Vec::new();
        let (mut drafts, mut bytes) = (0, 0);
        while drafts < BATCH_DRAFTS
            && bytes < BATCH_BYTES
            && let Some(job) = state.jobs.pop_front()
        {
            drafts += job.drafts.len();
            bytes += job.bytes;
            jobs.push(job);
        }
        state.drafts -= drafts;
        state.bytes -= bytes;
        Some(jobs)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().jobs.is_empty()
    }

    /// Takes nothing more in; what is in line is still written.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_one();
    }

    /// Fails everything in line and everything to come.
    pub(crate) fn fail(&self, reason: &Arc<str>) {
        let jobs = {
            let mut state = self.state.lock();
            state.failed.get_or_insert_with(|| Arc::clone(reason));
            state.drafts = 0;
            state.bytes = 0;
            std::mem::take(&mut state.jobs)
        };
        for job in jobs {
            job.reply.send(Err(AppendError::Failed { reason: Arc::clone(reason) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafts(count: usize, bytes: usize) -> Vec<Draft> {
        let draft = Draft {
            at: UnixNanos(0),
            subject: Subject::System,
            kind: Kind::Lifecycle,
            payload: vec![0; bytes],
        };
        vec![draft; count]
    }

    #[test]
    fn appends_out_of_bounds_are_refused() {
        let queue = Queue::default();
        let refused = |drafts| queue.push(drafts).wait().unwrap_err();
        assert_eq!(refused(vec![]), AppendError::OutOfBounds { drafts: 0, bytes: 0 });
        assert!(matches!(refused(drafts(APPEND_DRAFTS_MAX + 1, 1)), AppendError::OutOfBounds { .. }));
        let long = PAYLOAD_BYTES_MAX + 1;
        assert_eq!(refused(drafts(2, long)), AppendError::TooLong { index: 0, bytes: long });
        assert!(queue.is_idle());
    }

    #[test]
    fn a_full_queue_says_overloaded_and_a_closed_one_closed() {
        let queue = Queue::default();
        let waiting: Vec<Pending> = (0..QUEUE_DRAFTS_MAX / APPEND_DRAFTS_MAX)
            .map(|_| queue.push(drafts(APPEND_DRAFTS_MAX, 1)))
            .collect();
        assert_eq!(queue.push(drafts(1, 1)).wait().unwrap_err(), AppendError::Overloaded);
        assert_eq!(queue.take().unwrap().len(), 1);
        let late = queue.push(drafts(1, 1));
        queue.close();
        assert_eq!(queue.push(drafts(1, 1)).wait().unwrap_err(), AppendError::Closed);
        queue.fail(&"disk gone".into());
        assert_eq!(late.wait().unwrap_err(), AppendError::Failed { reason: "disk gone".into() });
        assert!(waiting.into_iter().all(|pending| pending.wait().is_err()));
        assert!(queue.take().is_none());
    }
}
