//! Counts what crosses a connection: how many bytes a message has taken so far, and whether anything moves.
//!
//! The library bounds what a message holds. It does not bound how many frames it comes in, and a message of empty
//! fragments would never end; the bytes since the last whole message bound that.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes on the wire beyond those of the message itself: the headers of its frames, and what is read ahead.
pub(super) const OVERHEAD_BYTES_MAX: usize = 16 * 1024;

/// A connection that is counted.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    /// Bytes read since the last whole message.
    unfinished: usize,
    unfinished_max: usize,
    /// Whether the bound was passed; then nothing is read any more.
    overrun: bool,
    /// Bytes ever written.
    written: u64,
}

impl<S> Metered<S> {
    /// Fails reading once a message of at most `message_bytes_max` has taken too many bytes.
    pub(super) const fn new(stream: S, message_bytes_max: usize) -> Self {
        let unfinished_max = message_bytes_max + OVERHEAD_BYTES_MAX;
        Self { stream, unfinished: 0, unfinished_max, overrun: false, written: 0 }
    }

    /// The connection itself.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// A message is whole.
    pub(super) const fn finished(&mut self) {
        self.unfinished = 0;
    }

    pub(super) const fn is_overrun(&self) -> bool {
        self.overrun
    }

    pub(super) const fn written(&self) -> u64 {
        self.written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.unfinished = self.unfinished.saturating_add(buffer.filled().len() - before);
        if self.unfinished > self.unfinished_max {
            self.overrun = true;
            return Poll::Ready(Err(io::Error::other("a message takes more bytes than it may")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.written = self.written.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
