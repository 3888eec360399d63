//! The accept loop, the life of a connection, and the end of both.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use admission::{Class, ConcurrencyConfig, Ja4};
use arc_swap::{ArcSwap, ArcSwapOption};
use auth::v2::{self, SignatureVerifier};
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    config::{BuildError, Config, Deps, Limits},
    connection::{Admitted, Census, Connections, OverCap, Presence, Source},
    hello::{Hello, Replayed},
    http1, http2,
    metrics::Metrics,
    model::ApiModel,
    pace::Resets,
    peer::{Peer, TlsFacts},
    pipeline::{Bans, ChallengeMode, Challenger, Guard, Mode, Policy, PolicyError, Shared, Turnstile},
    proxy_protocol,
    route::RouteTable,
    tls::ALPN_H2,
    upstream::Upstream,
    websocket::{self, WebSockets},
};

/// Connections the system holds ready for us to accept.
const BACKLOG: u32 = 4096;
/// Pause after the system refuses a connection for lack of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often idle upstream connections that the exchange closed are let go.
const UPSTREAM_SWEEP: Duration = Duration::from_secs(5);
/// How often sessions that have run out are forgotten.
const SESSION_SWEEP: Duration = Duration::from_secs(60);

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
        if self.mode == Mode::Observe && self.upstream.token.is_some() {
            return Err(BuildError::ObservesWithToken);
        }
        let metrics = Arc::new(Metrics::default());
        // More than there are connections would only wait for one.
        let limit_max = u32::try_from(self.upstream.connections_max).unwrap_or(u32::MAX);
        let concurrency = self.abuse.concurrency;
        let concurrency = ConcurrencyConfig {
            limit_max: concurrency.limit_max.min(limit_max).max(concurrency.limit_min),
            ..concurrency
        };
        let upstream =
            Arc::new(Upstream::new(self.upstream, Arc::clone(&metrics)).map_err(BuildError::Upstream)?);
        let listener = listen(address).map_err(|source| BuildError::Listen { address, source })?;
        let local_addr = listener.local_addr().map_err(|source| BuildError::Listen { address, source })?;
        let (stop, stopping) = watch::channel(false);
        let seed = || u64::from_le_bytes(crypto::random::array());
        let notice = self.websocket.notice;
        let entries_max = self.limits.entries_max;
        let policy = Policy::new(self.routes, &self.limits, seed()).map_err(BuildError::Policy)?;
        let authorities =
            if self.authorities.is_empty() { loopback_names(local_addr.port()) } else { self.authorities };
        let signatures = SignatureVerifier::new(
            Arc::clone(deps.authenticator.registry()),
            v2::Config::new(authorities, seed()),
        )
        .map_err(BuildError::Authorities)?;
        let census = Arc::new(Census::new(self.connections_max, self.connections_per_source_max));
        let mut web_sockets = None;
        let shared = Arc::new_cyclic(|shared| Shared {
            answer_signer: self.answer_signer,
            apps: self.apps,
            authenticator: deps.authenticator,
            challenger: Challenger::new(self.abuse.challenge, &crypto::Secret::new(crypto::random::array())),
            changes: deps.changes,
            clock: deps.clock,
            cool_down: self.cool_down,
            first_seen: self.first_seen,
            frames: Arc::new(self.abuse.frames),
            guard: Guard::new(&self.abuse, Arc::clone(&census), seed()),
            metrics,
            mode: self.mode,
            model: ArcSwapOption::new(self.model),
            learner: self.learn.then(Mutex::default),
            observer: deps.observer,
            passphrase_checks: Arc::new(Semaphore::new(
                self.passphrase_checks_max.clamp(1, Semaphore::MAX_PERMITS),
            )),
            policy: ArcSwap::from_pointee(policy),
            proxy_trusted: self.proxy_trusted,
            recorder: self.recorder,
            signatures,
            stopping,
            timeouts: self.timeouts,
            turnstile: Turnstile::new(concurrency),
            upgrades: {
                let of = WebSockets::new(Weak::clone(shared), self.websocket, entries_max, seed());
                Some(Arc::clone(web_sockets.insert(Arc::new(of))) as _)
            },
            upstream,
            withdrawals: deps.withdrawals,
        });
        Ok(Gateway {
            listener,
            local_addr,
            tls: self.tls,
            census,
            shared,
            web_sockets,
            goodbye: notice + websocket::GOODBYE_MAX,
            stop,
        })
    }
}

/// The names a client on this machine reaches `port` by.
fn loopback_names(port: u16) -> Vec<String> {
    ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}")).into()
}

/// Waits until all tasks ended.
async fn all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
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
    web_sockets: Option<Arc<WebSockets>>,
    /// How long connections that say goodbye take for it.
    goodbye: Duration,
    stop: watch::Sender<bool>,
}

impl Gateway {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What its requests share, without its listener.
    #[cfg(test)]
    pub(crate) fn shared(self) -> Arc<Shared> {
        self.shared
    }

    /// Its bans, to see and to change them while it runs.
    #[must_use]
    pub fn bans(&self) -> Bans {
        Bans(Arc::clone(&self.shared))
    }

    /// Its open connections, to end some of them while it runs.
    #[must_use]
    pub fn connections(&self) -> Connections {
        Connections(Arc::clone(&self.census))
    }

    /// What changes its settings and looks into it while it runs.
    #[must_use]
    pub fn control(&self) -> Control {
        Control {
            shared: Arc::clone(&self.shared),
            census: Arc::clone(&self.census),
            web_sockets: self.web_sockets.clone(),
        }
    }

    /// Its counters.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.shared.metrics)
    }

    /// Serves until `shutdown` ends, then drains: no new connections, idle ones are closed (HTTP/2: GOAWAY), requests
    /// in flight get [`Timeouts::drain`](crate::Timeouts::drain) to finish; what is left is cut off.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut connections = JoinSet::new();
        let mut sweep = interval(UPSTREAM_SWEEP);
        let mut session_sweep = interval(SESSION_SWEEP);
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        if let Some(presence) = self.admit(address, &stream) {
                            let line = Arc::clone(&presence.line);
                            let serve = serve(
                                Arc::clone(&self.shared),
                                self.tls.clone(),
                                stream,
                                address,
                                presence,
                            );
                            line.runs_as(connections.spawn(serve));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = sweep.tick() => self.shared.upstream.sweep(),
                _ = session_sweep.tick() => {
                    self.shared.signatures.sweep(self.shared.clock.now());
                }
            }
        }
        drop(self.listener);
        // HTTP/2 connections say that they end; the others end when they are idle.
        self.stop.send_replace(true);
        self.census.drain();
        if timeout(self.shared.timeouts.drain, all(&mut connections)).await.is_err() {
            let cut_off = self.census.cut_off();
            if cut_off > 0 {
                tracing::warn!(connections = cut_off, "connections cut off at the end of the drain time");
            }
            let left = self.goodbye.saturating_sub(self.shared.timeouts.drain);
            // Whatever is left after that is ended below.
            let _all = timeout(left, all(&mut connections)).await.is_ok();
        }
        connections.shutdown().await;
    }

    fn admit(&self, address: SocketAddr, stream: &TcpStream) -> Option<Presence> {
        let now = self.shared.clock.now();
        let direct = !self.shared.is_proxy(address.ip());
        match self.census.admit(direct.then(|| Source::of(address.ip())), now) {
            // Asked with its place taken: whoever is banned from here on finds it there and ends it.
            Ok(Admitted { .. }) if direct && is_banned(&self.shared, address.ip(), stream) => None,
            Ok(Admitted { presence, evicted }) => {
                self.shared.metrics.connection();
                if evicted {
                    self.shared.metrics.refusal("connection_evicted");
                }
                Some(presence)
            }
            Err(over) => {
                self.shared.metrics.refusal(over.label());
                self.shared.observer.refused(address.ip(), None, over.label(), now);
                self.shared.hold_against_ip(address.ip(), None, None, over.label(), now);
                None
            }
        }
    }
}

/// How much is with the exchange, and what was turned away for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Requests with the exchange.
    pub in_flight: u32,
    /// How many there may be at present.
    pub limit: u32,
    /// Requests turned away since the start, by class, the least important first.
    pub shed: [(Class, u64); Class::ALL.len()],
}

/// Changes settings of a gateway while it runs.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
    census: Arc<Census>,
    web_sockets: Option<Arc<WebSockets>>,
}

/// Routes and limits that fit each other, ready to be put in force.
#[derive(Debug)]
pub struct Prepared(Policy);

impl Control {
    /// Puts another model of the API in force, or none, for requests from now on.
    pub fn set_model(&self, model: Option<Arc<ApiModel>>) {
        self.shared.model.store(model);
    }

    /// Readies other routes and limits. A limit whose name, quota and bound stay is kept as it is; one whose quota
    /// changes keeps what was used of it until now, up to a whole burst of the new quota; one of a new name is fresh.
    ///
    /// # Errors
    /// [`PolicyError`]; nothing changes.
    pub fn prepare(&self, routes: RouteTable, limits: &Limits) -> Result<Prepared, PolicyError> {
        let now = self.shared.clock.now();
        self.shared.policy.load().reshaped(routes, limits, now).map(Prepared)
    }

    /// Puts routes and limits in force for requests from now on; those under way end under the ones they began with.
    /// What these use of a limit whose quota changed, between [`Control::prepare`] and now, is not counted.
    pub fn set_policy(&self, prepared: Prepared) {
        self.shared.policy.store(Arc::new(prepared.0));
    }

    /// Changes the caps on open connections, in all and of one source. Connections beyond a lower cap stay; newcomers
    /// take the places of idle ones or are refused until there are fewer.
    pub fn set_connection_caps(&self, everyone_max: usize, per_source_max: usize) {
        self.census.set_caps(everyone_max, per_source_max);
    }

    /// Changes how long the exchange may take for an answer, for requests from now on.
    pub fn set_response_timeout(&self, timeout: Duration) {
        self.shared.upstream.set_response_timeout(timeout);
    }

    /// Changes the bounds of web sockets: the rate of new ones and their number for an account at once, what a connection
    /// may do for those that begin from now on. [`websocket::Config::notice`] stays as it was. Another rate of new ones
    /// begins afresh.
    pub fn set_web_sockets(&self, config: websocket::Config) {
        if let Some(web_sockets) = &self.web_sockets {
            web_sockets.set_config(config);
        }
    }

    /// Asks browsers for proof of work from now on, or no longer.
    pub fn set_challenge(&self, mode: ChallengeMode) {
        self.shared.challenger.set_mode(mode);
    }

    /// While an alarm is raised, browsers are asked for proof of work whatever the mode, and who would be banned in shadow
    /// mode is banned. Bans that are switched off stay so.
    pub fn set_alarm(&self, is_raised: bool) {
        self.shared.challenger.set_alarm(is_raised);
        self.shared.guard.set_alarm(is_raised);
    }

    /// How much is with the exchange.
    #[must_use]
    pub fn load(&self) -> Load {
        let concurrency = &self.shared.turnstile.concurrency;
        Load {
            in_flight: concurrency.in_flight(),
            limit: concurrency.limit(),
            shed: Class::ALL.map(|class| (class, concurrency.shed(class))),
        }
    }

    /// What was learned from requests that succeeded, as an OpenAPI 3.1 document; `None` where nothing is learned.
    #[must_use]
    pub fn learned(&self) -> Option<String> {
        self.shared.learner.as_ref().map(|learner| learner.lock().export())
    }
}

/// Whether a connection is to be let go at once; it is then reset, which leaves nothing behind here.
fn is_banned(shared: &Shared, ip: IpAddr, stream: &TcpStream) -> bool {
    let now = shared.clock.now();
    let banned = shared.guard.banned_until(ip, now).is_some();
    if banned {
        shared.metrics.refusal("banned");
        shared.observer.refused(ip, None, "banned", now);
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "a banned connection is closed and not reset");
        }
    }
    banned
}

/// Serves one connection to its end.
async fn serve(
    shared: Arc<Shared>,
    tls: Option<Arc<ServerConfig>>,
    mut stream: TcpStream,
    address: SocketAddr,
    presence: Presence,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let timeouts = shared.timeouts;
    let mut ip = address.ip();
    if shared.is_proxy(ip) {
        let refused = match timeout(timeouts.handshake, read_proxy_header(&mut stream)).await {
            Ok(Ok(stated)) => {
                ip = stated.unwrap_or(ip);
                // What the proxy says in its own name, such as health checks, is not counted by source.
                stated.and_then(|ip| presence.belongs_to(Source::of(ip)).err()).map(OverCap::label)
            }
            Ok(Err(error)) => {
                tracing::warn!(%address, %error, "a trusted proxy did not say whom it speaks for");
                Some("proxy_header")
            }
            Err(_) => Some("proxy_header_too_slow"),
        };
        if let Some(label) = refused {
            shared.metrics.refusal(label);
            shared.observer.refused(ip, None, label, shared.clock.now());
            shared.hold_against_ip(ip, None, None, label, shared.clock.now());
            return;
        }
        if !shared.is_proxy(ip) && is_banned(&shared, ip, &stream) {
            return;
        }
    }
    let opened = Instant::now();
    let peer = |facts| Arc::new(Peer::new(ip, facts, Arc::clone(&presence.line)));
    match tls {
        Some(config) => match timeout(timeouts.handshake, shake_hands(config, stream)).await {
            Ok(Ok((stream, ja4))) => {
                let session = stream.get_ref().1;
                let h2 = session.alpn_protocol() == Some(ALPN_H2);
                let facts = TlsFacts { ja4, version: session.protocol_version() };
                converse(shared, peer(Some(facts)), stream, h2, opened).await;
            }
            Ok(Err(Failed::Silent)) => {}
            Ok(Err(Failed::Handshake(error, ja4))) => {
                tracing::debug!(%address, %error, "TLS handshake failed");
                shared.note_abuse(&peer(Some(TlsFacts { ja4, version: None })), "handshake_failed");
            }
            Err(_) => shared.note_slow(&peer(None), "handshake_too_slow"),
        },
        None => {
            let Ok(Ok(h2)) = timeout(timeouts.head, speaks_h2(&stream)).await else { return };
            converse(shared, peer(None), stream, h2, opened).await;
        }
    }
}

/// Why there is no TLS connection.
enum Failed {
    /// The client left without a word, as health checks do.
    Silent,
    Handshake(io::Error, Option<Ja4>),
}

/// Agrees on TLS; gives the fingerprint of the client as well.
async fn shake_hands(
    config: Arc<ServerConfig>,
    mut stream: TcpStream,
) -> Result<(TlsStream<Replayed<TcpStream>>, Option<Ja4>), Failed> {
    let hello = Hello::read(&mut stream).await.map_err(|_| Failed::Silent)?;
    if hello.is_empty() {
        return Err(Failed::Silent);
    }
    let ja4 = hello.ja4;
    let accepted = TlsAcceptor::from(config).accept(hello.replayed(stream)).await;
    accepted.map(|stream| (stream, ja4)).map_err(|error| Failed::Handshake(error, ja4))
}

/// Reads exactly the header of a trusted proxy; gives the client's address.
async fn read_proxy_header(stream: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut header = Vec::new();
    loop {
        match proxy_protocol::step(&header).map_err(io::Error::other)? {
            proxy_protocol::Step::Done(ip) => return Ok(ip.map(|ip| ip.to_canonical())),
            proxy_protocol::Step::Read(n) => {
                let known = header.len();
                header.resize(known + n, 0);
                stream.read_exact(header.get_mut(known..).unwrap_or_default()).await?;
            }
        }
    }
}

/// Whether the first bytes of a plain connection are those of HTTP/2 with prior knowledge (RFC 9113 section 3.4).
async fn speaks_h2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 3];
    let peeked = stream.peek(&mut first).await?;
    Ok(first.get(..peeked) == Some(b"PRI"))
}

async fn converse<S>(shared: Arc<Shared>, peer: Arc<Peer>, stream: S, h2: bool, opened: Instant)
where
    S: AsyncRead + AsyncWrite + Resets + Unpin + Send + 'static,
{
    tracing::debug!(ip = %peer.ip, connection = peer.line.id(), tls = ?peer.tls, h2, "connection opened");
    if h2 {
        http2::serve(shared, peer, stream, opened).await;
    } else {
        http1::server::Connection::new(&shared, &peer, stream, opened).run().await;
    }
}
