//! The way to the exchange: a bounded pool of HTTP/1.1 connections to one authority.
//!
//! A connection is driven inside the task of the request that uses it, not in a task of its own, which saves two
//! wake-ups a request. While idle nobody drives it; that the other side closed it is noticed when it is taken out.
//! The one that was used last is used next. A request is sent at most once: it is tried on another connection only
//! when provably no byte of it was written. Whatever arrives that no request asked for closes the connection.
//!
//! Bounds: connections by [`Config::connections_max`], waiting for one by [`Config::queue_timeout`], connecting and
//! answering by their timeouts, an answer's head by its length, interim answers by [`INTERIM_ANSWERS_MAX`].

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use http::{HeaderValue, uri::Authority};
use parking_lot::Mutex;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    buffer::Buffer,
    deadline::{Deadline, Overdue},
    http1::{
        answer::{self, AnswerHead, Malformed},
        body::{Framing, Step},
    },
    metrics::Metrics,
    upgrade::Duplex,
};

/// Most interim answers (1xx), which are skipped, before an answer.
const INTERIM_ANSWERS_MAX: usize = 8;

/// Where the exchange is and how long it may take.
#[derive(Debug, Clone)]
pub struct Config {
    /// Host and port, such as `127.0.0.1:9000`; also the `Host` of forwarded requests.
    pub authority: String,
    /// TLS towards the exchange; `None` for plain HTTP on a trusted network.
    pub tls: Option<Arc<ClientConfig>>,
    /// Sent as `x-caponier-upstream-token`, so that the exchange can refuse whoever comes around the gateway.
    /// Who knows it can act for every account.
    pub token: Option<crypto::Secret<String>>,
    /// Most connections, and so most requests in flight. Default 256.
    pub connections_max: usize,
    /// Time to set up a connection, TLS included. Default 2 s.
    pub connect_timeout: Duration,
    /// Time a request waits for a free connection. Default 500 ms.
    pub queue_timeout: Duration,
    /// Time from sending a request to the head of its answer. Default 10 s.
    pub response_timeout: Duration,
    /// Longest pause inside the body of an answer. Default 10 s.
    pub body_stall_timeout: Duration,
}

impl Config {
    /// The defaults for an authority.
    #[must_use]
    pub fn new(authority: impl Into<String>) -> Self {
        Self {
            authority: authority.into(),
            tls: None,
            token: None,
            connections_max: 256,
            connect_timeout: Duration::from_secs(2),
            queue_timeout: Duration::from_millis(500),
            response_timeout: Duration::from_secs(10),
            body_stall_timeout: Duration::from_secs(10),
        }
    }
}

/// Why there is no answer from the exchange.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SendError {
    /// All connections are in use.
    #[error("no free upstream connection in time")]
    Busy,
    /// The exchange does not take connections.
    #[error("no connection to the upstream")]
    Connect(#[source] io::Error),
    /// The request was sent, or part of it; the connection then broke. The outcome is unknown.
    #[error("upstream connection broke before the answer")]
    Lost(#[source] io::Error),
    /// The answer cannot be told from what follows it, or is none this gateway asked for. The outcome is unknown.
    #[error("upstream answer cannot be read")]
    Malformed(#[source] Malformed),
    /// The request was sent; no answer came in time. The outcome is unknown.
    #[error("no answer from the upstream in time")]
    Timeout,
}

/// Why the body of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("upstream body broke off")]
    Broken(#[source] io::Error),
    #[error("upstream body cannot be read")]
    Malformed(#[source] Malformed),
    #[error("upstream body stalled")]
    Stalled,
}

/// The pool.
pub(crate) struct Upstream {
    config: Config,
    /// As [`Config::response_timeout`] until it is changed, in nanoseconds.
    response_nanos: AtomicU64,
    server_name: Option<ServerName<'static>>,
    /// The lines every forwarded request has: `Host`, and the token if there is one.
    lines: crypto::SecretBytes,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Wire>>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("authority", &self.config.authority).finish_non_exhaustive()
    }
}

/// A configuration that names no reachable kind of place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Not `host:port`.
    #[error("upstream authority {authority:?} is not host:port")]
    Authority {
        /// The text.
        authority: String,
    },
    /// The token cannot be a header value.
    #[error("upstream token has characters that cannot be in a header")]
    Token,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Upstream {
    pub(crate) fn new(config: Config, metrics: Arc<Metrics>) -> Result<Self, UpstreamError> {
        let bad = || UpstreamError::Authority { authority: config.authority.clone() };
        let authority: Authority = config.authority.parse().map_err(|_| bad())?;
        if authority.port_u16().is_none() || authority.as_str().contains('@') {
            return Err(bad());
        }
        let server_name = match config.tls {
            Some(_) => Some(
                ServerName::try_from(authority.host().trim_matches(['[', ']']).to_owned())
                    .map_err(|_| bad())?,
            ),
            None => None,
        };
        let mut lines = format!("host: {}\r\n", config.authority);
        if let Some(token) = &config.token {
            // Whatever cannot be a field's value would break the head.
            HeaderValue::from_str(token.expose()).map_err(|_| UpstreamError::Token)?;
            lines.push_str("x-caponier-upstream-token: ");
            lines.push_str(token.expose());
            lines.push_str("\r\n");
        }
        let lines = crypto::SecretBytes::new(lines.into_bytes());
        let permits = Arc::new(Semaphore::new(config.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
        let response_nanos = AtomicU64::new(nanos(config.response_timeout));
        Ok(Self { config, response_nanos, server_name, lines, permits, idle: Mutex::default(), metrics })
    }

    /// The lines that every request to the exchange has: `Host`, and the token if there is one.
    pub(crate) fn lines(&self) -> &[u8] {
        self.lines.expose()
    }

    /// Host and port of the exchange.
    pub(crate) fn authority(&self) -> &str {
        &self.config.authority
    }

    /// What the exchange knows the gateway by.
    pub(crate) fn token(&self) -> Option<&str> {
        self.config.token.as_ref().map(|token| token.expose().as_str())
    }

    /// A connection that does not belong to the pool, for something other than requests; how many there are is the
    /// caller's to bound.
    pub(crate) async fn open(&self) -> io::Result<Box<dyn Duplex>> {
        match self.connect().await {
            Ok(wire) => Ok(Box::new(wire.stream)),
            Err(SendError::Connect(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Changes how long an answer may take, for requests from now on.
    pub(crate) fn set_response_timeout(&self, timeout: Duration) {
        self.response_nanos.store(nanos(timeout), Ordering::Relaxed);
    }

    fn response_timeout(&self) -> Duration {
        Duration::from_nanos(self.response_nanos.load(Ordering::Relaxed))
    }

    /// Sends a whole request and gives the head of its answer; the body is read from the answer.
    pub(crate) async fn send(self: &Arc<Self>, mut request: Buffer) -> Result<Answer, SendError> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout(self.config.queue_timeout, Arc::clone(&self.permits).acquire_owned())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(SendError::Busy)?,
        };
        loop {
            let (mut wire, fresh) = match self.take() {
                Some(wire) => (wire, false),
                None => (self.connect().await?, true),
            };
            match wire.exchange(request, self.response_timeout()).await {
                Ok((head, buffer)) => return Ok(self.answer(head, buffer, wire, permit)),
                Err(Failed::Unsent(back, _)) if !fresh => request = back,
                Err(Failed::Unsent(_, error)) => return Err(SendError::Connect(error)),
                Err(Failed::Sent(error)) => return Err(error),
            }
        }
    }

    fn answer(
        self: &Arc<Self>,
        head: AnswerHead,
        buffer: Buffer,
        wire: Wire,
        permit: OwnedSemaphorePermit,
    ) -> Answer {
        let lease = Some(Lease { wire, pool: Arc::clone(self), _permit: permit });
        let AnswerHead { framing, keep_alive, .. } = head;
        let stall = self.config.body_stall_timeout;
        Answer { head, body: AnswerBody { buffer, framing, keep_alive, lease, stall, due: None } }
    }

    /// The idle connection that was used last and still stands.
    fn take(&self) -> Option<Wire> {
        loop {
            let mut wire = self.idle.lock().pop()?;
            if wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    async fn connect(&self) -> Result<Wire, SendError> {
        let connecting = async {
            let stream = TcpStream::connect(self.config.authority.as_str()).await?;
            stream.set_nodelay(true)?;
            match (&self.config.tls, &self.server_name) {
                (Some(tls), Some(name)) => {
                    let connector = TlsConnector::from(Arc::clone(tls));
                    connector.connect(name.clone(), stream).await.map(|tls| Stream::Tls(Box::new(tls)))
                }
                _ => Ok(Stream::Plain(stream)),
            }
        };
        let stream = match timeout(self.config.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(SendError::Connect)?,
            Err(_) => return Err(SendError::Connect(io::ErrorKind::TimedOut.into())),
        };
        self.metrics.upstream_connection();
        Ok(Wire { stream, deadline: Deadline::default() })
    }

    /// Lets go of idle connections that the other side closed.
    pub(crate) fn sweep(&self) {
        let mut idle = std::mem::take(&mut *self.idle.lock());
        idle.retain_mut(Wire::is_quiet);
        self.idle.lock().append(&mut idle);
    }

    /// Takes a connection back for another request.
    fn keep(&self, wire: Wire) {
        let mut idle = self.idle.lock();
        if idle.len() < self.config.connections_max {
            idle.push(wire);
        }
    }
}

/// One connection.
#[derive(Debug)]
struct Wire {
    stream: Stream,
    deadline: Deadline,
}

/// How sending ended without an answer.
enum Failed {
    /// No byte was written; here is the request again.
    Unsent(Buffer, io::Error),
    Sent(SendError),
}

/// As [`Failed`], while the request is still borrowed.
enum Broke {
    Unsent(io::Error),
    Sent(SendError),
}

impl From<SendError> for Broke {
    fn from(error: SendError) -> Self {
        Self::Sent(error)
    }
}

impl Wire {
    /// Whether it is open and silent, as it must be between requests.
    fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut byte).is_pending()
    }

    /// Sends `request` and reads the head of its answer, which stays in front of the buffer given back.
    async fn exchange(
        &mut self,
        mut request: Buffer,
        within: Duration,
    ) -> Result<(AnswerHead, Buffer), Failed> {
        let Self { stream, deadline } = self;
        let mut answer = Buffer::default();
        let (mut written, mut interim) = (0, 0);
        let mut due = None;
        let exchanged = deadline.within(&mut due, within, |cx| {
            // The exchange may answer what it has not read to its end.
            if let Poll::Ready(Err(broke)) = poll_send(cx, stream, &mut request, &mut written) {
                return Poll::Ready(Err(broke));
            }
            poll_head(cx, stream, &mut answer, &mut interim).map_err(Broke::Sent)
        });
        match exchanged.await {
            Err(Overdue) => Err(Failed::Sent(SendError::Timeout)),
            Ok(Err(Broke::Sent(error))) => Err(Failed::Sent(error)),
            Ok(Err(Broke::Unsent(error))) => Err(Failed::Unsent(request, error)),
            Ok(Ok(mut head)) => {
                // The rest of a request that was answered early would be read as the next.
                head.keep_alive &= request.is_empty();
                Ok((head, answer))
            }
        }
    }
}

/// Sends what the connection takes.
fn poll_send(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    request: &mut Buffer,
    written: &mut usize,
) -> Poll<Result<(), Broke>> {
    while !request.is_empty() {
        match ready!(Pin::new(&mut *stream).poll_write(cx, request.unread())) {
            Ok(0) => return Poll::Ready(Err(SendError::Lost(io::ErrorKind::WriteZero.into()).into())),
            Ok(n) => {
                *written += n;
                request.consume(n);
            }
            // What TLS holds back may have been sent in part.
            Err(error) if *written == 0 && matches!(stream, Stream::Plain(_)) => {
                return Poll::Ready(Err(Broke::Unsent(error)));
            }
            Err(error) => return Poll::Ready(Err(SendError::Lost(error).into())),
        }
    }
    let flushed = ready!(Pin::new(stream).poll_flush(cx));
    Poll::Ready(flushed.map_err(|error| SendError::Lost(error).into()))
}

/// Reads up to the end of a head that is no interim answer's.
fn poll_head(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    answer: &mut Buffer,
    interim: &mut usize,
) -> Poll<Result<AnswerHead, SendError>> {
    loop {
        match answer::parse(answer.unread()).map_err(SendError::Malformed)? {
            // Nobody asked for another protocol.
            Some(head) if head.status == 101 || *interim > INTERIM_ANSWERS_MAX => {
                return Poll::Ready(Err(SendError::Malformed(Malformed::StatusLine)));
            }
            Some(head) if head.status < 200 => {
                *interim += 1;
                answer.consume(head.head_bytes);
            }
            Some(head) => return Poll::Ready(Ok(head)),
            None => {
                if ready!(answer.poll_fill(cx, stream)).map_err(SendError::Lost)? == 0 {
                    return Poll::Ready(Err(SendError::Lost(io::ErrorKind::UnexpectedEof.into())));
                }
            }
        }
    }
}

/// A connection in use.
#[derive(Debug)]
struct Lease {
    wire: Wire,
    pool: Arc<Upstream>,
    _permit: OwnedSemaphorePermit,
}

/// An answer whose body may still be on its way.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: AnswerHead,
    body: AnswerBody,
}

impl Answer {
    /// The fields to pass on.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.head.fields(self.body.buffer.unread())
    }

    /// The body; the head is done with.
    pub(crate) fn into_body(mut self) -> AnswerBody {
        self.body.buffer.consume(self.head.head_bytes);
        self.body
    }
}

/// The body of an answer. Gives its connection back at its end; dropped before, it closes it.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    buffer: Buffer,
    framing: Framing,
    keep_alive: bool,
    lease: Option<Lease>,
    stall: Duration,
    /// When the next byte must be there.
    due: Option<Instant>,
}

impl AnswerBody {
    /// What there is: so many bytes of [`AnswerBody::unread`], nothing yet, or the end.
    pub(crate) fn step(&mut self) -> Result<Step, BodyError> {
        loop {
            match self.framing.step(self.buffer.unread()).map_err(BodyError::Malformed)? {
                Step::Skip(n) => self.buffer.consume(n),
                Step::End => {
                    self.finish();
                    return Ok(Step::End);
                }
                step => return Ok(step),
            }
        }
    }

    /// Length of what is left, where the answer said so.
    pub(crate) const fn bytes_left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            Framing::Empty => Some(0),
            _ => None,
        }
    }

    /// The bytes that [`AnswerBody::step`] told of stand in front.
    pub(crate) fn unread(&self) -> &[u8] {
        self.buffer.unread()
    }

    /// The first `n` bytes were used.
    pub(crate) fn consume(&mut self, n: usize) {
        self.buffer.consume(n);
    }

    /// Waits for more.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Some(Lease { wire, .. }) = &mut self.lease else {
            return Poll::Ready(Err(BodyError::Broken(io::ErrorKind::NotConnected.into())));
        };
        let Poll::Ready(filled) = self.buffer.poll_fill(cx, &mut wire.stream) else {
            let due = *self.due.get_or_insert_with(|| Instant::now() + self.stall);
            return wire.deadline.poll(cx, due).map(|()| Err(BodyError::Stalled));
        };
        self.due = None;
        Poll::Ready(match filled {
            Ok(0) if self.framing == Framing::UntilClose => {
                self.framing = Framing::Empty;
                Ok(())
            }
            Ok(0) => Err(BodyError::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(BodyError::Broken(error)),
        })
    }

    /// Gives the connection back, unless it ends or says more than it was asked.
    fn finish(&mut self) {
        if let Some(Lease { wire, pool, _permit }) = self.lease.take()
            && self.keep_alive
            && self.buffer.is_empty()
        {
            pool.keep(wire);
        }
    }
}

/// A connection's bytes, with or without TLS.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
