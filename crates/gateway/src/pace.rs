//! How slowly a client may take what is sent to it.
//!
//! It must take something at least every so often, and a least amount on average: [`BYTES_PER_SECOND_MIN`] over the time
//! that bytes wait for it, with [`GRACE`] ahead. What was taken faster earns no more than the grace again, so that no
//! window of time is slower. Time in which nothing waits, because the exchange works or the client asks nothing, does
//! not count. What the kernel took in counts as taken.
//!
//! Work that is done at once looks at no clock.

use std::{io, time::Duration};

use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::server::TlsStream;

use crate::hello::Replayed;

/// Least average rate while bytes wait.
const BYTES_PER_SECOND_MIN: u64 = 240;
/// Waiting ahead of that rate.
const GRACE: Duration = Duration::from_secs(10);

/// The pace at which one client takes bytes.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Waiting it may still cost, at most [`GRACE`].
    left: Duration,
    /// Since when bytes wait.
    since: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { left: GRACE, since: None }
    }
}

impl Pace {
    /// Bytes wait: when at the latest some must be taken, `stall` being the longest time for any.
    pub(crate) fn due(&mut self, stall: Duration) -> Instant {
        let since = *self.since.get_or_insert_with(Instant::now);
        since + stall.min(self.left)
    }

    /// The client took `n` bytes, or nothing waits any more.
    pub(crate) fn took(&mut self, n: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        if self.left < GRACE {
            let earned = Duration::from_millis((n as u64).saturating_mul(1_000) / BYTES_PER_SECOND_MIN);
            self.left = self.left.saturating_add(earned).min(GRACE);
        }
    }
}

/// A stream that can end without delivering what waits in the kernel: a client that is too slow would keep that, and
/// the connection, long after it was given up.
pub(crate) trait Resets {
    /// Makes the end of the stream a reset. Best effort: without it the kernel goes on for a while.
    fn reset_at_end(&self);
}

fn logged(set: io::Result<()>) {
    if let Err(error) = set {
        tracing::debug!(%error, "a slow connection is closed and not reset");
    }
}

impl Resets for TcpStream {
    fn reset_at_end(&self) {
        logged(self.set_zero_linger());
    }
}

impl Resets for TlsStream<Replayed<TcpStream>> {
    fn reset_at_end(&self) {
        self.get_ref().0.get_ref().reset_at_end();
    }
}

#[cfg(test)]
impl Resets for tokio::io::DuplexStream {
    fn reset_at_end(&self) {}
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        time::{advance, sleep},
    };

    use super::*;

    const STALL: Duration = Duration::from_secs(10);

    /// The seconds of a client that takes `n` bytes every `every`, until it is late; `None` if it never is.
    async fn seconds(n: usize, every: Duration) -> Option<u64> {
        let (mut pace, start) = (Pace::default(), Instant::now());
        while start.elapsed() < Duration::from_secs(3_600) {
            let due = pace.due(STALL);
            if due < Instant::now() + every {
                return Some((due - start).as_secs());
            }
            advance(every).await;
            pace.took(n);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_must_take_something_and_enough() {
        let secs = Duration::from_secs;
        assert_eq!(seconds(1 << 20, secs(11)).await, Some(10), "nothing in time");
        assert_eq!(seconds(1, secs(5)).await, Some(10));
        assert_eq!(
            seconds(120, secs(1)).await,
            Some(19),
            "half the rate uses the grace up in twice the time"
        );
        assert_eq!(seconds(239 * 5, secs(5)).await.map(|at| at > 1_000), Some(true));
        for (n, every) in
            [(240, secs(1)), (2_400, secs(9)), (30 << 10, secs(9)), (2, Duration::from_millis(8))]
        {
            assert_eq!(seconds(n, every).await, None, "{n} every {every:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts_and_speed_is_not_saved_up() {
        let mut pace = Pace::default();
        pace.took(1 << 30);
        for _ in 0..10 {
            sleep(Duration::from_secs(60)).await;
            pace.took(1);
        }
        assert_eq!(pace.due(STALL) - Instant::now(), GRACE);
        assert_eq!(pace.due(Duration::from_secs(3)) - Instant::now(), Duration::from_secs(3));
        sleep(Duration::from_secs(9)).await;
        pace.took(0);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(pace.due(STALL) - Instant::now(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_reset_leaves_nothing_to_deliver() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.reset_at_end();
        drop(stream);
        // The byte may still be read or be gone; after it comes no orderly end.
        let mut sink = Vec::new();
        let error = client.read_to_end(&mut sink).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
