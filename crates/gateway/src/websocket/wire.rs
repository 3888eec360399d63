//! One side of a conversation: messages in, messages out, with everything that may wait bounded.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{Sink as _, SinkExt as _, Stream as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{answer::Closing, meter::Metered};

/// Bytes read from a connection at a time.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes collected before they are written without waiting for a flush.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Longest header of a frame.
const FRAME_HEADER_BYTES_MAX: usize = 14;
/// Bytes read and thrown away after a goodbye, so that it is not lost in a reset.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// How much a side may send and leave unread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Longest message read.
    pub(super) message_bytes_max: usize,
    /// What may wait to be written.
    pub(super) buffer_bytes_max: usize,
}

impl Bounds {
    pub(super) fn library(self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(self.buffer_bytes_max)
            .max_message_size(Some(self.message_bytes_max))
            .max_frame_size(Some(self.message_bytes_max))
    }
}

/// What came from a side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Binary,
    /// The side closed, giving a code and a reason.
    Closed(u16, String),
    /// The side is gone.
    End,
    /// A control frame; a ping is answered by the library.
    Ping,
    Pong,
    Text(String),
}

/// One side.
#[derive(Debug)]
pub(super) struct Wire<S> {
    socket: WebSocketStream<Metered<S>>,
    /// Whether something may wait to be written.
    dirty: bool,
    /// Bytes queued since nothing waited, and how many were written then.
    queued: u64,
    written_before: u64,
    /// How often nothing waited any more.
    emptied: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// The side of a client whose handshake was answered; `leftover` is what came after it already.
    pub(super) async fn of_client(stream: S, leftover: Vec<u8>, bounds: Bounds) -> Self {
        let stream = Metered::new(stream, bounds.message_bytes_max);
        let library = Some(bounds.library());
        let socket = WebSocketStream::from_partially_read(stream, leftover, Role::Server, library).await;
        Self::of(socket)
    }

    pub(super) fn of(socket: WebSocketStream<Metered<S>>) -> Self {
        let written_before = socket.get_ref().written();
        Self { socket, dirty: false, queued: 0, written_before, emptied: 0 }
    }

    /// How many bytes wait to be written; 0 once all are, else at most a few too many.
    pub(super) fn waiting(&self) -> usize {
        let written = self.written() - self.written_before;
        usize::try_from(self.queued.saturating_sub(written)).unwrap_or(usize::MAX)
    }

    /// Whether something may wait to be written.
    pub(super) const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// How often nothing waited any more.
    pub(super) const fn emptied(&self) -> u64 {
        self.emptied
    }

    /// Bytes ever written to the connection.
    pub(super) fn written(&self) -> u64 {
        self.socket.get_ref().written()
    }

    /// Queues a text; it is written as the side is driven.
    pub(super) fn say(&mut self, text: impl Into<String>) -> Result<(), Closing> {
        let text = text.into();
        self.dirty = true;
        let framed = text.len() + FRAME_HEADER_BYTES_MAX;
        self.queued = self.queued.saturating_add(u64::try_from(framed).unwrap_or(u64::MAX));
        // Whether the connection takes it at once is not asked: what it does not take waits, within the bound.
        match Pin::new(&mut self.socket).start_send(Message::text(text)) {
            Ok(()) => Ok(()),
            Err(Error::WriteBufferFull(_)) => Err(Closing::BUFFER_FULL),
            Err(_) => Err(Closing::ABNORMAL),
        }
    }

    /// Writes what waits and, if `read`, gives what comes. Pending while there is neither.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Result<Incoming, Closing>> {
        if self.dirty {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.dirty = false;
                    (self.queued, self.written_before) = (0, self.written());
                    self.emptied += 1;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(Incoming::End)),
                Poll::Pending => {}
            }
        }
        if !read {
            return Poll::Pending;
        }
        let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
            None => return Poll::Ready(Ok(Incoming::End)),
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(self.ended_by(&error)),
        };
        self.socket.get_mut().finished();
        Poll::Ready(Ok(match message {
            Message::Binary(_) => Incoming::Binary,
            Message::Close(Some(frame)) => Incoming::Closed(frame.code.into(), frame.reason.to_string()),
            Message::Close(None) => Incoming::End,
            // Frames as such are not given out by the library.
            Message::Frame(_) | Message::Pong(_) => Incoming::Pong,
            Message::Ping(_) => {
                // The library has queued the answer.
                self.dirty = true;
                Incoming::Ping
            }
            Message::Text(text) => Incoming::Text(text.to_string()),
        }))
    }

    fn ended_by(&self, error: &Error) -> Result<Incoming, Closing> {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => Err(Closing::TOO_LONG),
            Error::Io(_) if self.socket.get_ref().is_overrun() => Err(Closing::FRAGMENTS),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ok(Incoming::End),
            Error::Protocol(_) | Error::Capacity(_) => Err(Closing::PROTOCOL),
            Error::Utf8(_) => Err(Closing::NOT_UTF8),
            _ => Ok(Incoming::End),
        }
    }

    /// Says goodbye, giving the reason, and leaves. To be bounded in time by the caller.
    pub(super) async fn leave(mut self, closing: Closing) {
        self.goodbye(closing).await;
    }

    async fn goodbye(&mut self, closing: Closing) {
        let reason: Utf8Bytes = closing.reason.into_owned().into();
        let frame = CloseFrame { code: CloseCode::from(closing.code), reason };
        if self.socket.close(Some(frame)).await.is_err() {
            // Whoever said goodbye first is answered by the library, and whoever is gone cannot be told.
            let _told = self.socket.flush().await.is_ok();
        }
    }

    /// Says goodbye, giving the reason, and takes what still comes until the side is gone as well: a connection closed
    /// with bytes unread is reset, and the reason may be lost. To be bounded in time by the caller.
    pub(super) async fn close(mut self, closing: Closing) {
        self.goodbye(closing).await;
        let mut stream = self.socket.into_inner().into_inner();
        if stream.shutdown().await.is_err() {
            return;
        }
        let (mut discarded, mut buffer) = (0, [0; 1024]);
        while discarded < LINGER_BYTES_MAX {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => discarded += length,
            }
        }
    }
}
