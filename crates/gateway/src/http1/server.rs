//! One client connection: requests in order, each read, admitted, sent on and answered before the next is looked at.
//!
//! What a client sends ahead (pipelining) waits in the buffer or in the system's. While a request is with the exchange
//! the connection holds no memory of it, and nobody watches whether the client leaves: what was sent on is finished,
//! so that its connection to the exchange can be used again. An answer goes out with one write if it fits a buffer.
//!
//! Clocks: the first head from the start of the connection, later ones from their first byte; silence between
//! requests; a body by its least rate; a client that takes nothing of its answer, or too little. One timer serves them
//! all. Who is refused for slowness is not waited for any more.
//!
//! Bounds: one buffer for what is read, one for what is written, a body within its route's bound.

use std::{
    future::{Future as _, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BufMut as _;
use domain::UnixNanos;
use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::Instant,
};

use super::{
    body::{Framing, Step},
    date,
    head::{self, Head},
    text,
};
use crate::{
    answer::{DECISION, RATE_LIMIT, RATE_LIMIT_POLICY, Refused, Reply},
    buffer::{BUFFER_BYTES, Buffer},
    config::Timeouts,
    connection::InFlight,
    deadline::Deadline,
    pace::{Pace, Resets},
    peer::Peer,
    pipeline::{Admitted, Answered, Body, Own, Relayed, Shared, Stopped, Unreadable, due, push_field},
    strict::Violation,
};

/// Most bytes of a body read at once.
const BODY_READ_BYTES_MAX: usize = 64 << 10;
/// Answers are sent in pieces of at most this and one buffer.
const WRITE_BYTES: usize = BUFFER_BYTES;
/// Most bytes of a refused body that are thrown away to keep the connection, and how long that may take.
const SKIP_BYTES_MAX: u64 = 64 << 10;
const SKIP: Duration = Duration::from_secs(2);
/// After an answer to a request that was not read to its end, how long and how many bytes of it are taken and thrown
/// away: closing at once would reset the connection, and the client might never see the answer (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 64 << 10;

/// A client connection that speaks HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Connection<'a, S> {
    shared: &'a Shared,
    peer: &'a Arc<Peer>,
    stream: S,
    buffer: Buffer,
    deadline: Deadline,
    pace: Pace,
    /// When the first head must be there; later ones have their own time.
    first_due: Option<Instant>,
}

/// What came of waiting for a request.
#[allow(clippy::large_enum_variant, reason = "a head is the usual case, and boxing it costs each request")]
enum Next {
    Head(Head, InFlight, UnixNanos),
    Refused(Violation, InFlight, UnixNanos),
    /// The connection is over.
    Closed,
}

/// What is done after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next request is awaited.
    Next,
    /// So many bytes of a body nobody wants are thrown away, then the next request is awaited.
    Skip(u64),
    /// The connection ends as agreed.
    Close,
    /// The connection ends while the client may still be sending.
    Linger,
    /// Nothing more can be said.
    Drop,
}

/// What came of a request.
enum Served {
    Answered(After),
    /// The connection goes on as another protocol: the path it asked for.
    Upgraded(String, InFlight),
}

impl<'a, S: AsyncRead + AsyncWrite + Resets + Unpin + Send + 'static> Connection<'a, S> {
    /// A connection opened at `opened`.
    pub(crate) fn new(shared: &'a Shared, peer: &'a Arc<Peer>, stream: S, opened: Instant) -> Self {
        let first_due = Some(opened + shared.timeouts.head);
        let (buffer, deadline, pace) = (Buffer::default(), Deadline::default(), Pace::default());
        Self { shared, peer, stream, buffer, deadline, pace, first_due }
    }

    /// Serves it to its end.
    pub(crate) async fn run(mut self) {
        loop {
            let after = match self.next().await {
                Next::Head(head, in_flight, now) => match self.serve(&head, in_flight, now).await {
                    Served::Answered(after) => after,
                    Served::Upgraded(path, in_flight) => return self.hand_over(path, in_flight).await,
                },
                Next::Refused(violation, in_flight, now) => {
                    let refused = self.shared.charge_source(self.peer, now).err();
                    let refused = refused.unwrap_or_else(|| violation.into());
                    self.refuse(&refused, &Shape::UNKNOWN, &in_flight, now, After::Linger).await
                }
                Next::Closed => return,
            };
            let after = match after {
                After::Skip(left) => self.skip(left).await,
                after => after,
            };
            match after {
                // Read after the request was counted out: a drain either sees it idle or is seen here.
                After::Next if !self.peer.line.is_draining() => {}
                After::Next | After::Close => return self.close(false).await,
                After::Linger | After::Skip(_) => return self.close(true).await,
                After::Drop => return,
            }
        }
    }

    /// Waits for a whole head.
    async fn next(&mut self) -> Next {
        let Timeouts { head: head_time, idle, .. } = self.shared.timeouts;
        let mut due = self.first_due.take();
        let is_first = due.is_some();
        if self.buffer.is_empty() {
            let silence = if is_first { head_time } else { idle };
            match self.fill(&mut due, silence).await {
                Ok(n) if n > 0 => {}
                Err(Unread::Overdue) if is_first => return self.too_slow(),
                _ => return Next::Closed,
            }
        }
        if !is_first {
            due = None;
        }
        let mut now = self.shared.clock.now();
        let Ok(in_flight) = self.peer.line.begin(now) else { return Next::Closed };
        loop {
            match head::parse(self.buffer.unread()) {
                Ok(Some(head)) => return Next::Head(head, in_flight, now),
                Err(violation) => return Next::Refused(violation, in_flight, now),
                Ok(None) => {}
            }
            loop {
                let seen = self.buffer.len();
                match self.fill(&mut due, head_time).await {
                    Ok(n) if n > 0 => {}
                    Err(Unread::Overdue) => return self.too_slow(),
                    _ => return Next::Closed,
                }
                let new = self.buffer.unread().get(seen..).unwrap_or_default();
                // Inside a line the judgement stays the same, unless the head is too long.
                if new.iter().any(|byte| *byte < b' ') || self.buffer.len() >= head::HEAD_BYTES_MAX {
                    break;
                }
            }
            now = self.shared.clock.now();
        }
    }

    fn too_slow(&self) -> Next {
        self.shared.note_slow(self.peer, "head_too_slow");
        Next::Closed
    }

    async fn fill(&mut self, due: &mut Option<Instant>, span: Duration) -> Result<usize, Unread> {
        let Self { buffer, stream, deadline, .. } = self;
        match deadline.within(due, span, |cx| buffer.poll_fill(cx, stream)).await {
            Ok(Ok(n)) => Ok(n),
            Ok(Err(_)) => Err(Unread::Broken),
            Err(_) => Err(Unread::Overdue),
        }
    }

    /// Answers one request.
    async fn serve(&mut self, head: &Head, mut in_flight: InFlight, now: UnixNanos) -> Served {
        let (head_part, rest) = self.buffer.unread().split_at(head.head_bytes.min(self.buffer.len()));
        let arrived = usize::try_from(head.body_bytes).unwrap_or(usize::MAX).min(rest.len());
        let view = head.view(head_part);
        let shape = Shape { is_head: view.method() == b"HEAD", is_http10: head.is_http10 };
        let mut body = Content {
            arrived: rest.get(..arrived).unwrap_or_default(),
            whole: Vec::new(),
            left: head.body_bytes - arrived as u64,
            says_continue: head.expects_continue && !head.is_http10,
            was_too_slow: false,
            write_stall: self.shared.timeouts.write_stall,
            stream: &mut self.stream,
            deadline: &mut self.deadline,
            pace: &mut self.pace,
        };
        let admitted = self.shared.admit(self.peer, view, &mut body, &mut in_flight, now).await;
        let path = match &admitted {
            Ok(Admitted::Upgrade(_)) => view.path().to_owned(),
            _ => String::new(),
        };
        let after = match (body.left, head.keep_alive) {
            (0, true) => After::Next,
            (0, false) => After::Close,
            _ if body.was_too_slow => After::Close,
            // Who waits for a word may send the body or not.
            (left, true) if left <= SKIP_BYTES_MAX && !head.expects_continue => After::Skip(left),
            _ => After::Linger,
        };
        // From here on the request is held only in the words for the exchange.
        self.buffer.consume(head.head_bytes + arrived);
        let answered = match admitted {
            Ok(Admitted::Forward(passage)) => self.shared.forward(passage).await,
            Ok(Admitted::Reply(reply)) => Ok(Answered::Whole(reply)),
            Ok(Admitted::Own(own)) => {
                in_flight.refused();
                return Served::Answered(self.say(&own, &shape, now, after).await);
            }
            Ok(Admitted::Upgrade(answer)) => {
                let mut out = Buffer::default();
                out.writer().extend_from_slice(answer.as_bytes());
                return match self.write(&mut out).await {
                    Ok(()) => Served::Upgraded(path, in_flight),
                    Err(_) => Served::Answered(After::Drop),
                };
            }
            Err(Stopped::Refused(refused)) => Err(refused),
            Err(Stopped::Ended) => return Served::Answered(After::Drop),
        };
        Served::Answered(match answered {
            Ok(answered) => {
                in_flight.served();
                match answered {
                    Answered::Passed(passed) => self.pass_on(passed, &shape, now, after).await,
                    Answered::Whole(reply) => self.reply(&reply, &shape, now, after).await,
                }
            }
            Err(refused) => self.refuse(&refused, &shape, &in_flight, now, after).await,
        })
    }

    /// Gives the connection away, with what was read of it.
    async fn hand_over(self, path: String, in_flight: InFlight) {
        if let Some(taker) = &self.shared.upgrades {
            self.peer.line.says_goodbye();
            let leftover = self.buffer.unread().to_vec();
            taker.serve(path, Box::new(self.stream), leftover, Arc::clone(self.peer), in_flight).await;
        }
    }

    /// What will be done after an answer that is about to be written.
    fn settled(&self, after: After) -> After {
        match after {
            After::Next if self.peer.line.is_draining() => After::Close,
            After::Skip(_) if self.peer.line.is_draining() => After::Linger,
            after => after,
        }
    }

    async fn refuse(
        &mut self,
        refused: &Refused,
        shape: &Shape,
        in_flight: &InFlight,
        now: UnixNanos,
        after: After,
    ) -> After {
        self.shared.note_refusal(self.peer, refused, in_flight, now);
        let mut out = Buffer::default();
        let into = out.writer();
        push_status(into, refused.status());
        for (name, value) in refused.fields() {
            push_field(into, name.as_bytes(), value.as_bytes());
        }
        self.finish(out, refused.body().as_bytes(), shape, now, after).await
    }

    /// Answers with something of the gateway's own.
    async fn say(&mut self, own: &Own, shape: &Shape, now: UnixNanos, after: After) -> After {
        let mut out = Buffer::default();
        let into = out.writer();
        push_status(into, own.status);
        for (name, value) in own.fields() {
            push_field(into, name.as_bytes(), value.as_bytes());
        }
        self.finish(out, own.body.as_bytes(), shape, now, after).await
    }

    /// Sends an answer of which the first fields are written.
    async fn finish(
        &mut self,
        mut out: Buffer,
        body: &[u8],
        shape: &Shape,
        now: UnixNanos,
        after: After,
    ) -> After {
        let after = self.settled(after);
        let into = out.writer();
        push_length(into, body.len() as u64);
        push_date(into, now);
        shape.push_connection(into, after);
        into.extend_from_slice(b"\r\n");
        if !shape.is_head {
            into.extend_from_slice(body);
        }
        self.write(&mut out).await.map_or(After::Drop, |()| after)
    }

    async fn reply(&mut self, reply: &Reply, shape: &Shape, now: UnixNanos, after: After) -> After {
        let after = self.settled(after);
        let mut out = Buffer::default();
        let into = out.writer();
        push_status(into, reply.status);
        for (name, value) in &reply.fields {
            push_field(into, name, value);
        }
        push_length(into, reply.body.len() as u64);
        if !reply.has_date {
            push_date(into, now);
        }
        shape.push_connection(into, after);
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(&reply.body);
        self.write(&mut out).await.map_or(After::Drop, |()| after)
    }

    async fn pass_on(&mut self, answered: Relayed, shape: &Shape, now: UnixNanos, after: After) -> After {
        let Relayed { answer, decision, standing } = answered;
        let framing = answer.head.framing;
        let is_open_ended = matches!(framing, Framing::Chunked | Framing::UntilClose);
        let is_chunked = is_open_ended && !shape.is_http10;
        let after = match self.settled(after) {
            // The end of the connection is the end of the body.
            _ if is_open_ended && !is_chunked => After::Close,
            after => after,
        };
        let mut out = Buffer::default();
        let into = out.writer();
        push_status(into, answer.head.status);
        for (name, value) in answer.fields() {
            push_field(into, name, value);
        }
        match framing {
            Framing::Length(length) => push_length(into, length),
            Framing::Empty if matches!(answer.head.status, 204 | 304) => {}
            Framing::Empty => push_length(into, 0),
            _ if is_chunked => into.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            _ => {}
        }
        if !answer.head.has_date {
            push_date(into, now);
        }
        if let Some(decision) = decision {
            push_field(into, DECISION.as_bytes(), decision.as_bytes());
        }
        if let Some(standing) = standing {
            push_field(into, RATE_LIMIT_POLICY.as_bytes(), standing.policy().as_bytes());
            into.extend_from_slice(RATE_LIMIT.as_bytes());
            into.extend_from_slice(b": ");
            standing.push_left(into);
            into.extend_from_slice(b"\r\n");
        }
        shape.push_connection(into, after);
        into.extend_from_slice(b"\r\n");
        let mut body = answer.into_body();
        loop {
            match body.step() {
                Ok(Step::Data(n)) => {
                    let into = out.writer();
                    if is_chunked {
                        into.extend_from_slice(format!("{n:x}\r\n").as_bytes());
                    }
                    into.extend_from_slice(body.unread().get(..n).unwrap_or_default());
                    if is_chunked {
                        into.extend_from_slice(b"\r\n");
                    }
                    body.consume(n);
                    if out.len() >= WRITE_BYTES && self.write(&mut out).await.is_err() {
                        return After::Drop;
                    }
                }
                Ok(Step::End) => break,
                Ok(Step::More | Step::Skip(_)) => {
                    if self.write(&mut out).await.is_err() {
                        return After::Drop;
                    }
                    if let Err(error) = poll_fn(|cx| body.poll_fill(cx)).await {
                        tracing::debug!(error = &error as &dyn std::error::Error, "an answer broke off");
                        return After::Drop;
                    }
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "an answer broke off");
                    return After::Drop;
                }
            }
        }
        if is_chunked {
            out.writer().extend_from_slice(b"0\r\n\r\n");
        }
        self.write(&mut out).await.map_or(After::Drop, |()| after)
    }

    async fn write(&mut self, out: &mut Buffer) -> io::Result<()> {
        let stall = self.shared.timeouts.write_stall;
        let written = write_all(&mut self.stream, &mut self.deadline, &mut self.pace, stall, out).await;
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            self.stream.reset_at_end();
            self.shared.note_slow(self.peer, "answer_too_slow");
        }
        written
    }

    /// Throws away the rest of a body.
    async fn skip(&mut self, mut left: u64) -> After {
        let mut due = None;
        while left > 0 {
            if self.buffer.is_empty() {
                match self.fill(&mut due, SKIP).await {
                    Ok(n) if n > 0 => {}
                    _ => return After::Drop,
                }
            }
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            self.buffer.consume(n);
            left -= n as u64;
        }
        After::Next
    }

    /// Says that no more will be sent; may wait for what the client still sends.
    async fn close(mut self, lingers: bool) {
        let Self { stream, deadline, buffer, .. } = &mut self;
        let mut due = None;
        let mut left = LINGER_BYTES_MAX;
        let closed = deadline.within(&mut due, LINGER, |cx| Pin::new(&mut *stream).poll_shutdown(cx)).await;
        while lingers && matches!(closed, Ok(Ok(()))) && left > 0 {
            buffer.consume(buffer.len());
            match deadline.within(&mut due, LINGER, |cx| buffer.poll_fill(cx, stream)).await {
                Ok(Ok(n)) if n > 0 => left = left.saturating_sub(n),
                _ => return,
            }
        }
    }
}

/// Why nothing was read.
enum Unread {
    Broken,
    Overdue,
}

/// What of a request matters for the form of its answer.
struct Shape {
    is_head: bool,
    is_http10: bool,
}

impl Shape {
    /// Of a request that could not be read.
    const UNKNOWN: Self = Self { is_head: false, is_http10: false };

    fn push_connection(&self, out: &mut Vec<u8>, after: After) {
        match after {
            After::Next | After::Skip(_) if self.is_http10 => {
                out.extend_from_slice(b"connection: keep-alive\r\n")
            }
            After::Next | After::Skip(_) => {}
            After::Close | After::Linger | After::Drop => out.extend_from_slice(b"connection: close\r\n"),
        }
    }
}

fn push_status(out: &mut Vec<u8>, status: u16) {
    if status == 200 {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    out.extend_from_slice(b"HTTP/1.1 ");
    text::push_number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn push_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    text::push_number(out, length);
    out.extend_from_slice(b"\r\n");
}

fn push_date(out: &mut Vec<u8>, now: UnixNanos) {
    out.extend_from_slice(b"date: ");
    date::push(out, now);
    out.extend_from_slice(b"\r\n");
}

/// Writes all of `out`, at the pace at which the peer must take it.
async fn write_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    deadline: &mut Deadline,
    pace: &mut Pace,
    stall: Duration,
    out: &mut Buffer,
) -> io::Result<()> {
    let mut in_time = |cx: &mut Context<'_>, polled: Poll<io::Result<usize>>| {
        if let Poll::Ready(taken) = polled {
            pace.took(*taken.as_ref().unwrap_or(&0));
            return Poll::Ready(taken);
        }
        ready!(deadline.poll(cx, pace.due(stall)));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer stopped reading or reads too slowly",
        )))
    };
    while !out.is_empty() {
        let write = poll_fn(|cx| {
            let polled = Pin::new(&mut *stream).poll_write(cx, out.unread());
            in_time(cx, polled)
        });
        match write.await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => out.consume(n),
        }
    }
    let flush = poll_fn(|cx| {
        let polled = Pin::new(&mut *stream).poll_flush(cx);
        in_time(cx, polled.map_ok(|()| 0))
    });
    flush.await.map(drop)
}

/// The body of a request: what arrived with its head, and what is still to come.
struct Content<'c, S> {
    arrived: &'c [u8],
    /// All of it, if more than what arrived with the head was read.
    whole: Vec<u8>,
    left: u64,
    says_continue: bool,
    /// Whether it came too slowly.
    was_too_slow: bool,
    write_stall: Duration,
    stream: &'c mut S,
    deadline: &'c mut Deadline,
    pace: &'c mut Pace,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Body for Content<'_, S> {
    const CAN_UPGRADE: bool = true;

    fn is_empty(&self) -> bool {
        self.left == 0 && self.arrived.is_empty()
    }

    fn is_here(&self) -> bool {
        self.left == 0
    }

    async fn read(&mut self, bytes_max: usize, total: Duration) -> Result<(), Unreadable> {
        if self.left.saturating_add(self.arrived.len() as u64) > bytes_max as u64 {
            return Err(Unreadable::TooLarge);
        }
        if self.left == 0 {
            return Ok(());
        }
        if self.says_continue && self.arrived.is_empty() {
            let mut word = Buffer::default();
            word.writer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            write_all(self.stream, self.deadline, self.pace, self.write_stall, &mut word)
                .await
                .map_err(|_| Unreadable::Broken)?;
        }
        self.whole.extend_from_slice(self.arrived);
        let start = Instant::now();
        while self.left > 0 {
            // The memory grows with what has arrived, not with what was announced.
            let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(BODY_READ_BYTES_MAX);
            let mut due = Some(start + due(self.whole.len(), total));
            let Self { whole, stream, deadline, .. } = self;
            let read = deadline.within(&mut due, total, |cx| {
                let mut into = (&mut *whole).limit(room);
                let read = ready!(pin!(stream.read_buf(&mut into)).poll(cx));
                Poll::Ready(read)
            });
            match read.await {
                Err(_) => {
                    self.was_too_slow = true;
                    return Err(Unreadable::TooSlow);
                }
                Ok(Ok(n)) if n > 0 => self.left -= n as u64,
                Ok(_) => return Err(Unreadable::Broken),
            }
        }
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        if self.whole.is_empty() { self.arrived } else { &self.whole }
    }
}
