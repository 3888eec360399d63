//! The accept loop, the life of a connection, and the end of both.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use http::HeaderValue;
use hyper::{server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{BuildError, Config, Deps, Timeouts},
    connection::{Activity, Census, Clocks, Guarded, Presence, Source},
    head::HEAD_BYTES_MAX,
    limits::Limiters,
    metrics::Metrics,
    service::{Peer, Shared},
    tls::ALPN_H2,
    upstream::Upstream,
};

/// Connections the system holds ready for us to accept.
const BACKLOG: u32 = 4096;
/// Concurrent HTTP/2 requests of a connection.
const H2_STREAMS_MAX: u32 = 100;
/// Streams the peer may reset before they were accepted, and streams we had to reset, before the connection is closed.
const H2_RESETS_MAX: usize = 100;
/// Bytes of answers buffered per HTTP/2 stream.
const H2_SEND_BYTES_MAX: usize = 64 << 10;
/// Silence after which an HTTP/2 peer with requests in flight is asked whether it is still there.
const H2_PING_AFTER: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system refuses a connection for lack of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection whose requests make no progress for one to two of these is closed: the peer keeps its windows shut.
const STUCK_CHECK: Duration = Duration::from_secs(60);
/// How often idle upstream connections that the exchange closed are let go.
const UPSTREAM_SWEEP: Duration = Duration::from_secs(5);

impl Config {
    /// Binds the listener and makes the gateway; [`Gateway::run`] starts it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`] naming the part of the configuration.
    pub fn build(self, deps: Deps) -> Result<Gateway, BuildError> {
        let address = self.listen;
        if self.tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(BuildError::PlainNotLoopback { address });
        }
        let metrics = Arc::new(Metrics::default());
        let upstream =
            Arc::new(Upstream::new(self.upstream, Arc::clone(&metrics)).map_err(BuildError::Upstream)?);
        let listener = listen(address).map_err(|source| BuildError::Listen { address, source })?;
        let local_addr = listener.local_addr().map_err(|source| BuildError::Listen { address, source })?;
        let shared = Shared {
            authenticator: deps.authenticator,
            clock: deps.clock,
            limiters: Limiters::new(&self.limits, u64::from_le_bytes(crypto::random::array())),
            metrics,
            observer: deps.observer,
            passphrase_checks: Arc::new(Semaphore::new(
                self.passphrase_checks_max.clamp(1, Semaphore::MAX_PERMITS),
            )),
            routes: self.routes,
            timeouts: self.timeouts,
            upstream,
            withdrawals: deps.withdrawals,
        };
        Ok(Gateway {
            listener,
            local_addr,
            tls: self.tls,
            census: Arc::new(Census::new(self.connections_max, self.connections_per_source_max)),
            shared: Arc::new(shared),
        })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A bound gateway. Connections wait in the system's backlog until [`Gateway::run`].
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    local_addr: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    census: Arc<Census>,
    shared: Arc<Shared>,
}

impl Gateway {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Its counters.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.shared.metrics)
    }

    /// Serves until `shutdown` ends, then drains: no new connections, idle ones are closed (HTTP/2: GOAWAY), requests
    /// in flight get [`Timeouts::drain`] to finish; what is left is cut off.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut sweep = interval(UPSTREAM_SWEEP);
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        if let Some(presence) = self.admit(address) {
                            let serve = serve(
                                Arc::clone(&self.shared),
                                self.tls.clone(),
                                stream,
                                address,
                                presence,
                                stopping.clone(),
                            );
                            connections.spawn(serve);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = sweep.tick() => self.shared.upstream.sweep(),
            }
        }
        drop(self.listener);
        drop(stopping);
        let _ = stop.send(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(self.shared.timeouts.drain, drained).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "connections cut off at the end of the drain time"
            );
        }
        connections.shutdown().await;
    }

    fn admit(&self, address: SocketAddr) -> Option<Presence> {
        match self.census.admit(Source::of(address.ip())) {
            Ok(presence) => {
                self.shared.metrics.connection();
                Some(presence)
            }
            Err(over) => {
                self.shared.metrics.refusal(over.label());
                self.shared.observer.refused(address.ip(), None, over.label(), self.shared.clock.now());
                None
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve(
    shared: Arc<Shared>,
    tls: Option<Arc<ServerConfig>>,
    stream: TcpStream,
    address: SocketAddr,
    presence: Presence,
    stopping: watch::Receiver<bool>,
) {
    let _counted = presence;
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let timeouts = shared.timeouts;
    match tls {
        Some(config) => match timeout(timeouts.handshake, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_H2);
                converse(shared, stream, h2, address, stopping).await;
            }
            Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(_) => {
                shared.metrics.refusal("handshake_too_slow");
                shared.observer.refused(address.ip(), None, "handshake_too_slow", shared.clock.now());
            }
        },
        None => {
            let Ok(Ok(h2)) = timeout(timeouts.head, speaks_h2(&stream)).await else { return };
            converse(shared, stream, h2, address, stopping).await;
        }
    }
}

/// Whether the first bytes of a plain connection are those of HTTP/2 with prior knowledge (RFC 9113 section 3.4).
async fn speaks_h2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 3];
    let peeked = stream.peek(&mut first).await?;
    Ok(first.get(..peeked) == Some(b"PRI"))
}

async fn converse<S>(
    shared: Arc<Shared>,
    stream: S,
    h2: bool,
    address: SocketAddr,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ip = address.ip().to_canonical();
    let Ok(forwarded_for) = HeaderValue::from_str(&ip.to_string()) else { return };
    let activity = Arc::new(Activity::default());
    let stream = Guarded::new(stream, clocks(&shared.timeouts, h2), Arc::clone(&activity));
    let peer = Arc::new(Peer { ip, forwarded_for, source: Source::of(ip), activity: Arc::clone(&activity) });
    let service = service_fn(move |request| Arc::clone(&shared).serve(Arc::clone(&peer), request));
    let stop = async move {
        // An error means the gateway is gone, which is also an end.
        drop(stopping.wait_for(|stop| *stop).await);
    };
    if h2 {
        let mut builder = conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(H2_STREAMS_MAX)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(H2_RESETS_MAX)
            .max_local_error_reset_streams(H2_RESETS_MAX)
            .max_send_buf_size(H2_SEND_BYTES_MAX)
            .keep_alive_interval(H2_PING_AFTER)
            .keep_alive_timeout(H2_PING_TIMEOUT);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        drive(connection, conn::http2::Connection::graceful_shutdown, stop, &activity).await;
    } else {
        let mut builder = conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(HEAD_BYTES_MAX);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        drive(connection, conn::http1::Connection::graceful_shutdown, stop, &activity).await;
    }
}

const fn clocks(timeouts: &Timeouts, h2: bool) -> Clocks {
    Clocks { head: timeouts.head, idle: timeouts.idle, write_stall: timeouts.write_stall, multiplexed: h2 }
}

/// Runs a connection until it ends, is stuck, or has drained after `stop`.
async fn drive<C>(
    connection: C,
    graceful_shutdown: fn(std::pin::Pin<&mut C>),
    stop: impl Future<Output = ()>,
    activity: &Activity,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut stop = pin!(stop);
    let mut check = pin!(sleep_until(Instant::now() + STUCK_CHECK));
    let mut stopped = false;
    let mut progress = None;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = &mut stop, if !stopped => {
                stopped = true;
                graceful_shutdown(connection.as_mut());
            }
            () = &mut check => {
                let now = activity.is_active().then(|| activity.progress());
                if now.is_some() && now == progress {
                    return;
                }
                progress = now;
                check.as_mut().reset(Instant::now() + STUCK_CHECK);
            }
        }
    }
}
