//! The way to the exchange: a bounded pool of HTTP/1.1 connections to one authority.
//!
//! A connection is driven inside the task of the request that uses it, not in a task of its own, which saves two
//! wake-ups a request. While idle nobody drives it; that the other side closed it is noticed when it is taken out.
//! A request is sent at most once: it is tried on another connection only when provably no byte of it was written.
//!
//! Bounds: connections by [`Config::connections_max`], waiting for one by [`Config::queue_timeout`], connecting and
//! answering by their timeouts.

use std::{
    future::{Future as _, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, uri::Authority};
use http_body_util::Full;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{connection::poll_write_gathered, metrics::Metrics};

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
    Lost(#[source] Option<hyper::Error>),
    /// The answer is none this gateway asked for.
    #[error("upstream answered with status {status}")]
    Protocol {
        /// The status of the answer.
        status: StatusCode,
    },
    /// The request was sent; no answer came in time. The outcome is unknown.
    #[error("no answer from the upstream in time")]
    Timeout,
}

/// The pool.
#[derive(Debug)]
pub(crate) struct Upstream {
    config: Config,
    server_name: Option<ServerName<'static>>,
    pub(crate) host: HeaderValue,
    pub(crate) token: Option<HeaderValue>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Wire>>,
    metrics: Arc<Metrics>,
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
        let host = HeaderValue::from_str(&config.authority).map_err(|_| bad())?;
        let token = match &config.token {
            Some(token) => {
                let mut value = HeaderValue::from_str(token.expose()).map_err(|_| UpstreamError::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let permits = Arc::new(Semaphore::new(config.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self { config, server_name, host, token, permits, idle: Mutex::default(), metrics })
    }

    /// Sends a request and gives the head of its answer; the body streams.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout(self.config.queue_timeout, Arc::clone(&self.permits).acquire_owned())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(SendError::Busy)?,
        };
        loop {
            let taken = self.idle.lock().pop();
            let fresh = taken.is_none();
            let mut wire = match taken {
                Some(wire) => wire,
                None => self.connect().await?,
            };
            match wire.exchange(request, self.config.response_timeout).await {
                Ok(response) => return self.answer(response, wire, permit),
                Err(Failed::Unsent(back)) if !fresh => request = *back,
                Err(Failed::Unsent(_)) => {
                    return Err(SendError::Connect(io::ErrorKind::ConnectionAborted.into()));
                }
                Err(Failed::Lost(error)) => return Err(SendError::Lost(error)),
                Err(Failed::Timeout) => return Err(SendError::Timeout),
            }
        }
    }

    fn answer(
        self: &Arc<Self>,
        response: Response<Incoming>,
        wire: Wire,
        permit: OwnedSemaphorePermit,
    ) -> Result<Response<UpstreamBody>, SendError> {
        if response.status().is_informational() {
            return Err(SendError::Protocol { status: response.status() });
        }
        let (head, incoming) = response.into_parts();
        let mut body = UpstreamBody {
            incoming,
            lease: Some(Lease { wire, pool: Arc::clone(self), _permit: permit }),
            stall: self.config.body_stall_timeout,
            timer: None,
        };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        Ok(Response::from_parts(head, body))
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
        let (sender, connection) = Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| SendError::Connect(io::Error::other(error)))?;
        let timer = Box::pin(sleep_until(Instant::now() + self.config.response_timeout));
        Ok(Wire { sender, connection: Some(Box::new(connection)), timer })
    }

    /// Lets go of idle connections that the other side closed.
    pub(crate) fn sweep(&self) {
        let mut idle = std::mem::take(&mut *self.idle.lock());
        idle.retain_mut(Wire::is_ready);
        self.idle.lock().append(&mut idle);
    }

    /// Takes a connection back if it can carry another request.
    fn keep(&self, mut wire: Wire) {
        if wire.is_ready() {
            let mut idle = self.idle.lock();
            if idle.len() < self.config.connections_max {
                idle.push(wire);
            }
        }
    }
}

/// One connection and the handle to send on it.
#[derive(Debug)]
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended. Boxed, because it is large and moves between pool and request.
    connection: Option<Box<Connection<TokioIo<Stream>, Full<Bytes>>>>,
    /// Set at or before the time by which an answer is due. It is moved only when it fires, so that a request which
    /// is answered in time does not touch the timers of the runtime.
    timer: Pin<Box<Sleep>>,
}

/// How sending ended without an answer.
enum Failed {
    Lost(Option<hyper::Error>),
    Timeout,
    Unsent(Box<Request<Full<Bytes>>>),
}

impl Wire {
    /// Lets the connection read and write what it can.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
    }

    /// Whether another request can be sent, after taking note of all that happened meanwhile.
    fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Response<Incoming>, Failed> {
        let due = Instant::now() + within;
        let mut answer = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        let timer = &mut self.timer;
        poll_fn(|cx| {
            if let Some(driven) = connection
                && Pin::new(driven).poll(cx).is_ready()
            {
                *connection = None;
            }
            // Only the connection, driven above, brings the answer, so the answer needs no waker of its own.
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                    Some(request) => Failed::Unsent(Box::new(request)),
                    None => Failed::Lost(Some(error.into_error())),
                })),
                Poll::Pending if connection.is_none() => Poll::Ready(Err(Failed::Lost(None))),
                Poll::Pending => {
                    while timer.as_mut().poll(cx).is_ready() {
                        if timer.deadline() >= due {
                            return Poll::Ready(Err(Failed::Timeout));
                        }
                        timer.as_mut().reset(due);
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// A connection in use.
#[derive(Debug)]
struct Lease {
    wire: Wire,
    pool: Arc<Upstream>,
    _permit: OwnedSemaphorePermit,
}

/// The body of an answer, streaming. Gives its connection back at its end; dropped before, it closes it.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease>,
    stall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Why the body of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("upstream body broke off")]
    Broken(#[source] hyper::Error),
    #[error("upstream body stalled")]
    Stalled,
}

impl UpstreamBody {
    fn finish(&mut self) {
        if let Some(Lease { wire, pool, _permit }) = self.lease.take() {
            pool.keep(wire);
        }
    }

    fn poll_incoming(&mut self) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // As in `exchange`: only driving the connection brings data, so no waker is needed here.
        Pin::new(&mut self.incoming).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stall = self.stall;
        self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stall))).as_mut().poll(cx)
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut polled = this.poll_incoming();
        if polled.is_pending()
            && let Some(lease) = &mut this.lease
        {
            lease.wire.drive(cx);
            polled = this.poll_incoming();
        }
        let Poll::Ready(frame) = polled else {
            ready!(this.poll_stalled(cx));
            this.lease = None;
            return Poll::Ready(Some(Err(BodyError::Stalled)));
        };
        this.timer = None;
        match frame {
            Some(Ok(frame)) => {
                // With a known length the server side may never ask for the end: it is recognised here.
                if this.incoming.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.lease = None;
                Poll::Ready(Some(Err(BodyError::Broken(error))))
            }
            None => {
                this.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => poll_write_gathered(Pin::new(stream), cx, bufs),
            Self::Tls(stream) => poll_write_gathered(Pin::new(stream), cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
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
