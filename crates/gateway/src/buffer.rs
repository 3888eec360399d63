//! Byte buffers of connections, taken when bytes arrive and given back when they are used up.
//!
//! An idle connection holds none, and the one that was just used is used next, so it is still in the processor's
//! cache. Each thread keeps some; what one thread takes another may give back.
//!
//! Bounds: a buffer reads at most [`BUFFER_BYTES`] at a time, a thread keeps at most [`KEPT_PER_THREAD`], and a buffer
//! that grew beyond [`KEPT_BYTES_MAX`] is freed instead of kept.

use std::{
    cell::RefCell,
    future::Future as _,
    io,
    pin::pin,
    task::{Context, Poll},
};

use bytes::BufMut as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Most bytes a buffer holds of what was read and not yet used; a request or answer head must fit.
pub(crate) const BUFFER_BYTES: usize = 16 << 10;
/// Largest buffer that is kept for the next user: a full one that was copied with its head written anew.
const KEPT_BYTES_MAX: usize = 40 << 10;
/// Buffers a thread keeps.
const KEPT_PER_THREAD: usize = 32;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take() -> Vec<u8> {
    let kept = KEPT.try_with(|kept| kept.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
}

fn give_back(mut bytes: Vec<u8>) {
    if bytes.capacity() < BUFFER_BYTES || bytes.capacity() > KEPT_BYTES_MAX {
        return;
    }
    bytes.clear();
    // At the end of a thread its kept buffers may be gone before its last connection.
    let _ = KEPT.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT_PER_THREAD {
            kept.push(bytes);
        }
    });
}

/// Bytes read or about to be written. Empty, it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// The bytes not yet used.
    pub(crate) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    /// Room to write bytes to be sent.
    pub(crate) fn writer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = take();
        }
        &mut self.bytes
    }

    /// The first `n` bytes are used. The memory goes back once all are.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        if self.is_empty() {
            self.release();
        }
    }

    fn release(&mut self) {
        self.start = 0;
        give_back(std::mem::take(&mut self.bytes));
    }

    /// Reads once into the free room. `Ok(0)` is the end of the stream, or a buffer that is full.
    pub(crate) fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<usize>> {
        if self.start > 0 && self.bytes.len() >= BUFFER_BYTES {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let room = BUFFER_BYTES.saturating_sub(self.bytes.len());
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut into = self.writer().limit(room);
        let polled = pin!(stream.read_buf(&mut into)).poll(cx);
        if self.is_empty() {
            self.release();
        }
        polled
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn memory_is_held_only_while_bytes_are() {
        let (mut here, mut there) = duplex(1 << 20);
        let mut buffer = Buffer::default();
        let waiting = poll_fn(|cx| Poll::Ready(buffer.poll_fill(cx, &mut here).is_pending())).await;
        assert!(waiting && buffer.bytes.capacity() == 0);
        there.write_all(&[b'x'; BUFFER_BYTES + 5]).await.unwrap();
        assert_eq!(poll_fn(|cx| buffer.poll_fill(cx, &mut here)).await.unwrap(), BUFFER_BYTES);
        assert_eq!(poll_fn(|cx| buffer.poll_fill(cx, &mut here)).await.unwrap(), 0, "it is full");
        assert_eq!(buffer.bytes.capacity(), BUFFER_BYTES);
        buffer.consume(BUFFER_BYTES - 1);
        assert_eq!(poll_fn(|cx| buffer.poll_fill(cx, &mut here)).await.unwrap(), 5);
        assert_eq!((buffer.unread(), buffer.len()), (b"xxxxxx".as_slice(), 6));
        buffer.consume(6);
        assert!(buffer.is_empty() && buffer.bytes.capacity() == 0);
        KEPT.with(|kept| assert_eq!(kept.borrow().len(), 1));
    }

    #[test]
    fn a_thread_keeps_few_and_none_that_grew() {
        let mut many: Vec<Buffer> = (0..2 * KEPT_PER_THREAD).map(|_| Buffer::default()).collect();
        many.iter_mut().for_each(|buffer| buffer.writer().push(1));
        drop(many);
        KEPT.with(|kept| assert_eq!(kept.borrow().len(), KEPT_PER_THREAD));
        let mut large = Buffer::default();
        large.writer().resize(KEPT_BYTES_MAX + 1, 0);
        drop(large);
        KEPT.with(|kept| assert_eq!(kept.borrow().len(), KEPT_PER_THREAD - 1));
    }
}
