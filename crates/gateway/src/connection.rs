//! What one client connection may cost: caps on their number, and clocks on silence, slow heads and slow readers.
//!
//! [`Guarded`] wraps the byte stream under hyper. It lets only HTTP/1 heads through that [`head`](crate::head) finds
//! unambiguous. Its clocks are timers of the runtime, armed lazily: a request that
//! arrives in one piece and is read at once touches no timer. hyper's own head timer is off, because it also runs
//! while a connection is idle and would close pooled connections.

use std::{
    future::Future as _,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::head::Framing;

/// A source of connections and requests: an IPv4 address, or an IPv6 /64 (what one subscriber gets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    V4([u8; 4]),
    V6Net([u8; 8]),
}

impl Source {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6Net([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverCap {
    Everyone,
    Source,
}

impl OverCap {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Everyone => "connections_max",
            Self::Source => "connections_per_source_max",
        }
    }
}

/// Counts open connections, in all and by source. Holds one entry per source with an open connection, so the map is
/// bounded by the cap on all connections.
#[derive(Debug)]
pub(crate) struct Census {
    everyone_max: usize,
    per_source_max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    everyone: usize,
    by_source: HashMap<Source, usize>,
}

impl Census {
    pub(crate) fn new(everyone_max: usize, per_source_max: usize) -> Self {
        Self { everyone_max, per_source_max, open: Mutex::default() }
    }

    pub(crate) fn admit(self: &Arc<Self>, source: Source) -> Result<Presence, OverCap> {
        let mut open = self.open.lock();
        if open.everyone >= self.everyone_max {
            return Err(OverCap::Everyone);
        }
        let count = open.by_source.entry(source).or_default();
        if *count >= self.per_source_max {
            return Err(OverCap::Source);
        }
        *count += 1;
        open.everyone += 1;
        Ok(Presence { census: Arc::clone(self), source })
    }
}

/// One counted connection; leaves the census when dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    census: Arc<Census>,
    source: Source,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut open = self.census.open.lock();
        open.everyone = open.everyone.saturating_sub(1);
        if let Some(count) = open.by_source.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_source.remove(&self.source);
            }
        }
    }
}

/// What the requests of a connection are doing, shared between its byte stream and its service.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    active: AtomicU32,
    /// Bumped when a request starts, makes progress or ends.
    progress: AtomicU64,
}

impl Activity {
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.advance();
        InFlight(Arc::clone(self))
    }

    pub(crate) fn advance(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }
}

/// One request being answered, until the last byte of its response is handed over or given up.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Activity>);

impl InFlight {
    pub(crate) fn advance(&self) {
        self.0.advance();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.advance();
    }
}

/// The clocks of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    /// From the first byte of a request head (or the start of the connection) to its last.
    pub(crate) head: Duration,
    /// Between requests.
    pub(crate) idle: Duration,
    /// Without the peer taking a single byte we want to send.
    pub(crate) write_stall: Duration,
    /// Whether requests share the connection (HTTP/2): then bytes between requests are control frames, which neither
    /// start a head nor extend the idle time.
    pub(crate) multiplexed: bool,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// No request yet under way; closes at the instant, which is set when the stream first has nothing to read.
    Idle(Option<Instant>),
    /// Part of a head is there.
    Head(Option<Instant>),
}

/// A byte stream with deadlines; an elapsed one is an I/O error of kind `TimedOut`, upon which hyper closes.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    inner: S,
    clocks: Clocks,
    activity: Arc<Activity>,
    stage: Stage,
    progress_seen: u64,
    /// Of HTTP/1 connections.
    framing: Option<Framing>,
    /// Bytes to hand on before anything else is read.
    ready: Vec<u8>,
    read_timer: Pin<Box<Sleep>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    stalled: bool,
}

impl<S> Guarded<S> {
    /// Wraps a stream that was just opened: the first head is due within the head time.
    pub(crate) fn new(inner: S, clocks: Clocks, activity: Arc<Activity>) -> Self {
        let due = Instant::now() + clocks.head;
        Self {
            inner,
            clocks,
            activity,
            stage: Stage::Head(Some(due)),
            progress_seen: 0,
            framing: (!clocks.multiplexed).then(Framing::default),
            ready: Vec::new(),
            read_timer: Box::pin(sleep_until(due)),
            write_timer: None,
            stalled: false,
        }
    }

    /// Ready when the peer has kept us waiting for longer than its stage allows.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = match &mut self.stage {
            Stage::Idle(due) => due.get_or_insert_with(|| Instant::now() + self.clocks.idle),
            Stage::Head(due) => due.get_or_insert_with(|| Instant::now() + self.clocks.head),
        };
        // A timer that fires too early is set again then; only one that would fire too late is set now.
        if self.read_timer.deadline() > *deadline {
            self.read_timer.as_mut().reset(*deadline);
        }
        while self.read_timer.as_mut().poll(cx).is_ready() {
            if self.read_timer.deadline() >= *deadline {
                return Poll::Ready(());
            }
            self.read_timer.as_mut().reset(*deadline);
        }
        Poll::Pending
    }

    fn watch_write<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = false;
            return wrote;
        }
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now())));
        if !self.stalled {
            self.stalled = true;
            timer.as_mut().reset(Instant::now() + self.clocks.write_stall);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer stopped reading")))
    }
}

/// Most bytes that are copied together to be written from one place: a head and a short body.
const GATHER_BYTES_MAX: usize = 1024;

/// Writes `bufs` as one piece if they are few bytes: copying those costs less than having the system read a list.
pub(crate) fn poll_write_gathered<S: AsyncWrite>(
    stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    bufs: &[io::IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [buf] = bufs {
        return stream.poll_write(cx, buf);
    }
    let mut whole = [0; GATHER_BYTES_MAX];
    let mut rest = whole.as_mut_slice();
    for buf in bufs {
        let Some((to, after)) = rest.split_at_mut_checked(buf.len()) else {
            return stream.poll_write_vectored(cx, bufs);
        };
        to.copy_from_slice(buf);
        rest = after;
    }
    let n = GATHER_BYTES_MAX - rest.len();
    stream.poll_write(cx, whole.get(..n).unwrap_or_default())
}

/// Bytes read at once while a head is incomplete.
const PIECE_BYTES: usize = 2048;

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads bytes that may be handed on.
    fn poll_admitted(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(framing) = &mut self.framing else {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        };
        loop {
            if !self.ready.is_empty() {
                let n = self.ready.len().min(buf.remaining());
                buf.put_slice(self.ready.get(..n).unwrap_or_default());
                self.ready.drain(..n);
                return Poll::Ready(Ok(()));
            }
            if framing.is_refused() {
                // Not the end of the stream: that would read as if the peer had left, and nothing would be answered.
                // The head handed on in its place asks for the connection to be closed.
                return Poll::Pending;
            }
            if framing.is_inside_head() {
                let mut piece = [0; PIECE_BYTES];
                let mut piece = ReadBuf::new(&mut piece);
                ready!(Pin::new(&mut self.inner).poll_read(cx, &mut piece))?;
                if piece.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
                framing.feed_pending(piece.filled(), &mut self.ready);
            } else {
                let before = buf.filled().len();
                ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
                let new = buf.filled().get(before..).unwrap_or_default();
                if new.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let handed_on = framing.feed(new, &mut self.ready);
                buf.set_filled(before + handed_on);
                if handed_on > 0 {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let filled = buf.filled().len();
        let read = this.poll_admitted(cx, buf);
        if this.activity.is_active() {
            // The service has its own clocks for bodies and answers.
            this.progress_seen = this.activity.progress();
            this.stage = Stage::Idle(None);
            return read;
        }
        let progress = this.activity.progress();
        if progress != this.progress_seen {
            this.progress_seen = progress;
            this.stage = Stage::Idle(None);
        }
        // Between the requests of a multiplexed connection come control frames, which begin no head.
        let head_begun = this
            .framing
            .as_ref()
            .is_some_and(|framing| framing.is_inside_head() || buf.filled().len() > filled);
        if head_begun && matches!(this.stage, Stage::Idle(_)) {
            this.stage = Stage::Head(None);
        }
        if read.is_ready() {
            return read;
        }
        ready!(this.poll_overdue(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no whole request in time")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch_write(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = poll_write_gathered(Pin::new(&mut self.inner), cx, bufs);
        self.watch_write(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch_write(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const CLOCKS: Clocks = Clocks {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        write_stall: Duration::from_secs(10),
        multiplexed: false,
    };

    #[test]
    fn sources_share_a_cap_and_leave_no_trace() {
        let census = Arc::new(Census::new(3, 2));
        let here = Source::of("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(here, Source::of("10.0.0.1".parse().unwrap()));
        let net = Source::of("2001:db8::1".parse().unwrap());
        assert_eq!(net, Source::of("2001:db8::ffff:1".parse().unwrap()));
        let held = [census.admit(here).unwrap(), census.admit(here).unwrap()];
        assert_eq!(census.admit(here).unwrap_err(), OverCap::Source);
        let third = census.admit(net).unwrap();
        assert_eq!(census.admit(net).unwrap_err(), OverCap::Everyone);
        drop((held, third));
        assert!(census.open.lock().by_source.is_empty());
        assert_eq!(census.open.lock().everyone, 0);
    }

    /// Reads until the guard gives up; returns the seconds of runtime time it took.
    async fn seconds_until_closed(stream: &mut Guarded<tokio::io::DuplexStream>) -> u64 {
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
    async fn silence_and_dripped_heads_end_after_the_head_time() {
        let (here, mut there) = duplex(64);
        let mut stream = Guarded::new(here, CLOCKS, Arc::default());
        let drip = tokio::spawn(async move {
            while there.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(seconds_until_closed(&mut stream).await, 10);
        drop(stream);
        drip.await.unwrap();
        let (here, _there) = duplex(64);
        assert_eq!(seconds_until_closed(&mut Guarded::new(here, CLOCKS, Arc::default())).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_connection_may_idle_longer_and_then_drip_only_the_head_time() {
        let activity = Arc::new(Activity::default());
        let (here, mut there) = duplex(64);
        let mut stream = Guarded::new(here, CLOCKS, Arc::clone(&activity));
        drop(activity.begin());
        assert_eq!(seconds_until_closed(&mut stream).await, 60);
        drop(activity.begin());
        let start = Instant::now();
        let mut sink = [0; 64];
        let drip = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            while there.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        while stream.read(&mut sink).await.is_ok() {}
        assert_eq!(start.elapsed().as_secs(), 40);
        drop(stream);
        drip.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn control_frames_do_not_extend_an_idle_multiplexed_connection() {
        let activity = Arc::new(Activity::default());
        let (here, mut there) = duplex(64);
        let mut stream = Guarded::new(here, Clocks { multiplexed: true, ..CLOCKS }, Arc::clone(&activity));
        drop(activity.begin());
        let pings = tokio::spawn(async move {
            while there.write_all(b"ping").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
        assert_eq!(seconds_until_closed(&mut stream).await, 60);
        drop(stream);
        pings.await.unwrap();
    }

    #[tokio::test]
    async fn gathered_writes_are_the_bytes_in_order() {
        for lengths in [vec![], vec![5], vec![0, 3, 0, 4], vec![1_000, 24], vec![1_000, 25], vec![3_000, 1]] {
            let pieces: Vec<Vec<u8>> = (1_u8..).zip(lengths).map(|(at, length)| vec![at; length]).collect();
            let bufs: Vec<_> = pieces.iter().map(|piece| io::IoSlice::new(piece)).collect();
            let (mut here, mut there) = duplex(8 << 10);
            let n = poll_fn(|cx| poll_write_gathered(Pin::new(&mut here), cx, &bufs)).await.unwrap();
            drop(here);
            let mut read = Vec::new();
            there.read_to_end(&mut read).await.unwrap();
            assert_eq!(read.len(), n);
            assert!(pieces.concat().starts_with(&read), "{n}");
            assert_eq!(n == 0, pieces.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (here, _there) = duplex(8);
        let mut stream = Guarded::new(here, CLOCKS, Arc::default());
        let start = Instant::now();
        assert_eq!(stream.write_all(&[0; 64]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}
