//! Clocks on an HTTP/2 connection: a first request in time, no long silence between requests, a peer that reads; and
//! budgets on its frames ([`admission::frames`]), beyond which it ends with `GOAWAY(ENHANCE_YOUR_CALM)`.
//!
//! [`Guarded`] wraps the byte stream under hyper. Between requests come control frames, which neither start a head nor
//! extend the idle time. Its timers are armed lazily: work that is done at once touches none.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use admission::{FrameBudget, Violation};
use domain::Clock;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::frames::Sent;
use crate::{
    deadline::Deadline,
    pace::{Pace, Resets},
};

/// What the requests of a connection are doing, shared between its byte stream and its service.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    active: AtomicU32,
    /// Bumped when a request starts, makes progress or ends.
    progress: AtomicU64,
    /// The label of what the client did that ends the connection.
    fault: OnceLock<&'static str>,
}

impl Activity {
    pub(crate) fn begin(self: &Arc<Self>) -> Active {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.advance();
        Active(Arc::clone(self))
    }

    fn advance(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// What the client did that ended the connection.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        self.fault.get().copied()
    }
}

/// One request being answered, until the last byte of its response is handed over or given up.
#[derive(Debug)]
pub(crate) struct Active(Arc<Activity>);

impl Active {
    pub(crate) fn advance(&self) {
        self.0.advance();
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.advance();
    }
}

/// The clocks of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    /// From the start of the connection to its first request.
    pub(crate) head: Duration,
    /// Between requests.
    pub(crate) idle: Duration,
    /// Without the peer taking a single byte we want to send; beside it, its [`Pace`].
    pub(crate) write_stall: Duration,
}

/// Reads along what a connection carries, in both directions.
#[derive(Debug)]
pub(crate) struct Watch {
    budget: FrameBudget,
    clock: Arc<dyn Clock>,
    activity: Arc<Activity>,
    sent: Sent,
}

impl Watch {
    pub(crate) fn new(budget: FrameBudget, clock: Arc<dyn Clock>, activity: Arc<Activity>) -> Self {
        Self { budget, clock, activity, sent: Sent::default() }
    }

    fn received(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        // Also where nothing came: the bytes sent may have shown a violation since.
        let judged = self.budget.received(bytes, self.clock.now());
        if let Err(violation) = judged {
            // The first one counts.
            let _is_first = self.activity.fault.set(violation.label()).is_ok();
        }
        judged
    }

    fn sent(&mut self, bytes: &[u8]) {
        // A violation is met at the next read: what was begun is written to its end.
        let _judged = self.budget.sent(bytes, self.clock.now()).is_ok();
        if self.sent.read(bytes) {
            let _is_first = self.activity.fault.set("h2_connection_error").is_ok();
        }
    }

    /// The frame that tells the client to go away, where one may begin.
    fn goodbye(&self) -> Option<[u8; 17]> {
        self.sent.goodbye()
    }
}

/// A byte stream with deadlines; an elapsed one is an I/O error of kind `TimedOut`, upon which hyper closes.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    inner: S,
    clocks: Clocks,
    watch: Watch,
    /// When a request must be there; unset while one is under way, and until the stream first has nothing to read.
    read_due: Option<Instant>,
    read_deadline: Deadline,
    pace: Pace,
    write_deadline: Deadline,
    progress_seen: u64,
}

impl<S> Guarded<S> {
    /// Wraps a stream opened at `opened`.
    pub(crate) fn new(inner: S, clocks: Clocks, watch: Watch, opened: Instant) -> Self {
        Self {
            inner,
            clocks,
            watch,
            read_due: Some(opened + clocks.head),
            read_deadline: Deadline::default(),
            pace: Pace::default(),
            write_deadline: Deadline::default(),
            progress_seen: 0,
        }
    }

    fn watch_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
        taken: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>>
    where
        S: Resets,
    {
        if let Poll::Ready(wrote) = wrote {
            self.pace.took(wrote.as_ref().map_or(0, taken));
            return Poll::Ready(wrote);
        }
        ready!(self.write_deadline.poll(cx, self.pace.due(self.clocks.write_stall)));
        self.inner.reset_at_end();
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer stopped reading or reads too slowly",
        )))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let known = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        let new = buf.filled().get(known..).unwrap_or_default();
        if let Err(violation) = this.watch.received(new) {
            // What goes too far is not even looked at.
            buf.set_filled(known);
            if let Some(goodbye) = this.watch.goodbye() {
                // Best effort: whoever does not take it at once sees the connection close.
                let _sent = Pin::new(&mut this.inner).poll_write(cx, &goodbye).is_ready();
                let _flushed = Pin::new(&mut this.inner).poll_flush(cx).is_ready();
            }
            return Poll::Ready(Err(io::Error::other(violation)));
        }
        let progress = this.watch.activity.progress();
        if progress != this.progress_seen || this.watch.activity.is_active() {
            // The service has its own clocks for bodies and answers.
            this.progress_seen = progress;
            this.read_due = None;
        }
        if read.is_ready() || this.watch.activity.is_active() {
            return read;
        }
        let due = *this.read_due.get_or_insert_with(|| Instant::now() + this.clocks.idle);
        ready!(this.read_deadline.poll(cx, due));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no request in time")))
    }
}

impl<S: AsyncWrite + Resets + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(n)) = &wrote {
            self.watch.sent(buf.get(..*n).unwrap_or_default());
        }
        self.watch_write(cx, wrote, |n| *n)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(n)) = &wrote {
            let mut left = *n;
            for buf in bufs {
                let n = left.min(buf.len());
                self.watch.sent(buf.get(..n).unwrap_or_default());
                left -= n;
            }
        }
        self.watch_write(cx, wrote, |n| *n)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch_write(cx, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch_write(cx, closed, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const CLOCKS: Clocks = Clocks {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        write_stall: Duration::from_secs(10),
    };

    fn watch(activity: &Arc<Activity>) -> Watch {
        let clock = Arc::new(domain::ManualClock::new(domain::UnixNanos::from_secs(1)));
        Watch::new(FrameBudget::new(Arc::default()), clock, Arc::clone(activity))
    }

    /// Reads until the guard gives up; returns the seconds of runtime time it took.
    async fn seconds_until_closed(stream: &mut Guarded<DuplexStream>) -> u64 {
        let start = Instant::now();
        let mut sink = [0; 64];
        loop {
            match stream.read(&mut sink).await {
                Ok(0) => panic!("the peer closed first"),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return start.elapsed().as_secs();
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_without_a_request_end_after_the_head_time_and_later_after_the_idle_time() {
        let activity = Arc::new(Activity::default());
        let (here, mut there) = duplex(64);
        let mut stream = Guarded::new(here, CLOCKS, watch(&activity), Instant::now());
        let pings = tokio::spawn(async move {
            there.write_all(admission::frames::PREFACE).await.unwrap();
            while there.write_all(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
        assert_eq!(seconds_until_closed(&mut stream).await, 10);
        drop(activity.begin());
        assert_eq!(seconds_until_closed(&mut stream).await, 60);
        drop(stream);
        pings.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (here, _there) = duplex(8);
        let mut stream = Guarded::new(here, CLOCKS, watch(&Arc::default()), Instant::now());
        let start = Instant::now();
        assert_eq!(stream.write_all(&[0; 64]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_must_take_enough_on_average() {
        for (piece, served) in [(8, false), (800, true)] {
            let (here, mut there) = duplex(800);
            let mut stream = Guarded::new(here, CLOCKS, watch(&Arc::default()), Instant::now());
            let reads = tokio::spawn(async move {
                let mut into = vec![0; piece];
                while there.read_exact(&mut into).await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            });
            let start = Instant::now();
            let written = stream.write_all(&[0; 40_000]).await;
            assert_eq!(written.is_ok(), served);
            assert_eq!(start.elapsed().as_secs(), if served { 96 } else { 10 });
            drop(stream);
            reads.await.unwrap();
        }
    }
}
