//! Reading a request body within its bounds: size, total time, and a least rate after a grace period.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

/// Time before the least rate counts.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// Least rate after the grace period, in bytes per second.
pub(crate) const BYTES_PER_SECOND_MIN: u64 = 240;

/// Why a body is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The connection broke, or the framing is wrong.
    Broken,
    /// More bytes than the route allows.
    TooLarge,
    /// Slower than the least rate, or longer than the total time.
    TooSlow,
}

impl Unreadable {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Broken => "body_broken",
            Self::TooLarge => "body_too_large",
            Self::TooSlow => "body_too_slow",
        }
    }
}

/// When the next byte must be there, counted from the start.
fn due(received: usize, total: Duration) -> Duration {
    let earned = Duration::from_millis(received as u64 * 1_000 / BYTES_PER_SECOND_MIN);
    (GRACE + earned).min(total)
}

/// The whole body. Trailers are dropped.
pub(crate) async fn read(
    body: &mut Incoming,
    bytes_max: usize,
    total: Duration,
) -> Result<Bytes, Unreadable> {
    // A declared length beyond the bound is refused before a byte is read.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Unreadable::TooLarge);
    }
    let mut start = None;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut received = 0;
    loop {
        // A frame that is already there needs no timer.
        let ready = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
        let frame = match ready {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let start = *start.get_or_insert_with(Instant::now);
                let next = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
                timeout_at(start + due(received, total), next).await.map_err(|_| Unreadable::TooSlow)?
            }
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Unreadable::Broken)?.into_data() else { continue };
        received += data.len();
        if received > bytes_max {
            return Err(Unreadable::TooLarge);
        }
        // Nearly every body is one frame, which is then not copied.
        if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_earn_time_up_to_the_total() {
        let total = Duration::from_secs(30);
        assert_eq!(due(0, total), GRACE);
        assert_eq!(due(240, total), Duration::from_secs(6));
        // One byte a second: after 5 s with 5 bytes the next is due at 5.02 s.
        assert_eq!(due(5, total), Duration::from_millis(5_020));
        assert_eq!(due(64 << 10, total), total);
    }
}
