//! The life of one connection: moves messages between the client, the session and the exchange, and ends it when
//! time, either side, the key or the house says so.

use std::{net::IpAddr, time::Duration};

use auth::{Environment, Login, Refusal};
use http::HeaderValue;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::client_async_with_config;

use super::{
    CLIENT_BUFFER_BYTES_MAX, Config, Scope, UPSTREAM_MESSAGE_BYTES_MAX,
    answer::{ACCOUNT_FULL_LABEL, Closing, WsError},
    lobby::Lobby,
    message::Credentials,
    meter::Metered,
    ports::{Denied, Door, Introduction},
    session::{Leg, Said, Session, Step},
    wire::{Bounds, Incoming, Wire},
};
use crate::upgrade::Duplex;

/// Bytes a side must take in a second of what waits for it.
const DRAIN_RATE_MIN: u64 = 240;
/// How often in that time it is looked whether it does.
const LOOKS_PER_STALL: u32 = 10;
/// How long a goodbye may take.
pub(crate) const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// How long the exchange has to answer whether it is there.
const UPSTREAM_PONG_MAX: Duration = Duration::from_secs(10);

const fn client_bounds(config: &Config) -> Bounds {
    Bounds {
        message_bytes_max: config.message_bytes_max,
        // The longest message of the exchange always fits: nothing is read for a client for whom too much waits
        // already.
        buffer_bytes_max: 2 * CLIENT_BUFFER_BYTES_MAX + UPSTREAM_MESSAGE_BYTES_MAX,
    }
}

const fn upstream_bounds(config: &Config) -> Bounds {
    Bounds {
        message_bytes_max: UPSTREAM_MESSAGE_BYTES_MAX,
        // Nothing is read from the client while anything waits for the exchange, so this holds a few messages at most.
        buffer_bytes_max: config.message_bytes_max.saturating_mul(8),
    }
}

/// Who came, and to where.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The address that is judged.
    pub(crate) ip: IpAddr,
    /// The address as the exchange is told it.
    pub(crate) forwarded_for: HeaderValue,
    /// Whether this is demo trading.
    pub(crate) environment: Environment,
    pub(crate) scope: Scope,
    /// The name of the connection: 8 hexadecimal digits.
    pub(crate) connection_id: String,
    /// What came after the handshake already.
    pub(crate) leftover: Vec<u8>,
}

/// What a connection obeys besides its own bounds.
#[derive(Debug)]
pub(crate) struct Orders<K> {
    /// Turns true when the gateway stops.
    pub(crate) draining: watch::Receiver<bool>,
    /// Completes when this connection is to end at once.
    pub(crate) kill: K,
}

/// Serves a connection whose handshake was answered, to its end. Says why it ended; nothing if the client left.
pub(crate) async fn serve<S, Q, K>(
    door: &dyn Door,
    lobby: &Lobby<Q>,
    guest: Guest,
    stream: S,
    orders: Orders<K>,
) -> Option<Closing>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    Q: std::hash::Hash + Eq + Sync,
    K: Future<Output = ()> + Send,
{
    let Guest { ip, forwarded_for, environment, scope, connection_id, leftover } = guest;
    let now = Instant::now();
    let config = lobby.config();
    let mut relay = Relay {
        door,
        lobby,
        config,
        ip,
        forwarded_for,
        environment,
        session: Session::new(scope, config, connection_id),
        client: Wire::of_client(stream, leftover, client_bounds(&config)).await,
        client_stall: None,
        anonymous: None,
        identified: None,
        aimless_since: Some(now),
        active_at: now,
        in_force_at: now,
        looked_at: now,
        held: None,
        ends_at: None,
    };
    let closing = relay.run(orders).await;
    let Relay { client, session, anonymous, identified, .. } = relay;
    let goodbye = closing.clone().unwrap_or(Closing::GOING_AWAY);
    if let Some(closing) = closing.as_ref().filter(|closing| !closing.label.is_empty()) {
        door.refused(ip, session.account(), closing.label, door.now());
    }
    // A client that left hears its own goodbye returned; one that takes nothing hears nothing.
    let goodbyes = async {
        tokio::join!(client.close(goodbye), leave(anonymous), leave(identified));
    };
    let _said = timeout(GOODBYE_MAX, goodbyes).await.is_ok();
    closing
}

/// Says goodbye to the exchange.
async fn leave(upstream: Option<Upstream>) {
    if let Some(upstream) = upstream {
        upstream.wire.leave(Closing::GOING_AWAY).await;
    }
}

/// A connection to the exchange.
struct Upstream {
    wire: Wire<Box<dyn Duplex>>,
    stall: Option<Stall>,
    heard_at: Instant,
    /// Whether it was asked if it is there since it was heard.
    pinged: bool,
}

/// What a side had taken when it last took enough, and when that was.
#[derive(Debug, Clone, Copy)]
struct Stall {
    written: u64,
    emptied: u64,
    since: Instant,
}

/// What happened.
enum Event {
    Client(Result<Incoming, Closing>),
    Draining,
    Killed,
    Upstream(Leg, Result<Incoming, Closing>),
}

struct Relay<'a, S, Q> {
    door: &'a dyn Door,
    lobby: &'a Lobby<Q>,
    config: Config,
    ip: IpAddr,
    forwarded_for: HeaderValue,
    environment: Environment,
    session: Session,
    client: Wire<S>,
    client_stall: Option<Stall>,
    anonymous: Option<Upstream>,
    identified: Option<Upstream>,
    /// Since when there is neither a login nor a subscription.
    aimless_since: Option<Instant>,
    /// When something last came or went.
    active_at: Instant,
    /// When the key was last found to be in force.
    in_force_at: Instant,
    /// A message that came too soon, and when it is looked at. Nothing is read before.
    held: Option<(Incoming, Instant)>,
    /// When it was last looked at how fast the sides take what waits for them.
    looked_at: Instant,
    /// When an announced end comes.
    ends_at: Option<Instant>,
}

impl<S, Q> Relay<'_, S, Q>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    Q: std::hash::Hash + Eq + Sync,
{
    /// Until the connection ends; nothing if the client ended it.
    async fn run<K: Future<Output = ()> + Send>(&mut self, orders: Orders<K>) -> Option<Closing> {
        let Orders { mut draining, kill } = orders;
        let mut kill = std::pin::pin!(kill);
        loop {
            let deadline = self.deadline();
            if deadline <= Instant::now() {
                // First, or a side that always has something to say would keep it from ever being looked at.
                if let Err(closing) = self.on_time() {
                    return Some(closing);
                }
            }
            let announced = self.ends_at.is_some();
            let event = tokio::select! {
                biased;
                () = &mut kill => Event::Killed,
                // An error means that whoever could say so is gone: the gateway ends.
                _ = draining.wait_for(|draining| *draining), if !announced => Event::Draining,
                event = self.next() => event,
                () = sleep_until(deadline) => continue,
            };
            match self.on(event).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(closing) => return Some(closing),
            }
        }
    }

    /// The next message from any side. Writes what waits meanwhile.
    async fn next(&mut self) -> Event {
        let congested = self.client.waiting() > CLIENT_BUFFER_BYTES_MAX;
        let pausing = match self.held.take() {
            Some((incoming, at)) if at <= Instant::now() => return Event::Client(Ok(incoming)),
            held => {
                self.held = held;
                self.held.is_some()
            }
        };
        std::future::poll_fn(|cx| {
            let mut upstream_waits = false;
            for leg in [Leg::Identified, Leg::Anonymous] {
                let upstream = match leg {
                    Leg::Anonymous => &mut self.anonymous,
                    Leg::Identified => &mut self.identified,
                };
                if let Some(upstream) = upstream {
                    if let std::task::Poll::Ready(incoming) = upstream.wire.poll(cx, !congested) {
                        return std::task::Poll::Ready(Event::Upstream(leg, incoming));
                    }
                    upstream_waits |= upstream.wire.is_dirty();
                }
            }
            // Whoever sends faster than the exchange takes waits for it.
            let read = !congested && !pausing && !upstream_waits;
            let incoming = std::task::ready!(self.client.poll(cx, read));
            std::task::Poll::Ready(Event::Client(incoming))
        })
        .await
    }

    /// Acts on what happened. False when the client is gone.
    async fn on(&mut self, event: Event) -> Result<bool, Closing> {
        match event {
            Event::Killed => return Err(Closing::ABNORMAL),
            Event::Draining => {
                self.ends_at = Some(Instant::now() + self.config.notice);
                let notice = self.session.upgrade_notice();
                self.say(notice)?;
            }
            Event::Client(incoming) => return self.on_client(incoming?).await,
            Event::Upstream(leg, incoming) => self.on_upstream(leg, incoming)?,
        }
        Ok(true)
    }

    async fn on_client(&mut self, incoming: Incoming) -> Result<bool, Closing> {
        self.active_at = Instant::now();
        let now = self.door.now();
        if let Some(pause) = self.session.pace(now) {
            self.held = Some((incoming, Instant::now() + pause));
            return Ok(true);
        }
        match incoming {
            Incoming::Binary => return Err(Closing::NOT_TEXT),
            Incoming::Closed(..) | Incoming::End => return Ok(false),
            Incoming::Ping | Incoming::Pong => self.session.on_ping(now)?,
            Incoming::Text(text) => {
                self.door.active();
                for step in self.session.on_text(&text, self.door, now)? {
                    self.take(step).await?;
                }
                let aimless = !self.session.is_established();
                self.aimless_since = aimless.then(|| self.aimless_since.unwrap_or_else(Instant::now));
            }
        }
        Ok(true)
    }

    async fn take(&mut self, step: Step) -> Result<(), Closing> {
        match step {
            Step::Say(said) => self.say(said),
            Step::LogIn(credentials) => {
                let said = self.log_in(&credentials).await?;
                self.say(said)
            }
            Step::Spend { spending, text, otherwise } => {
                let (worth, denied) = spending.split();
                let now = self.door.now();
                // A client that is not logged in has nothing to spend, and no such step.
                let spent = match self.session.verified() {
                    Some(verified) => self.door.spend(verified, worth, now).await,
                    None => Err(Denied::from(Refusal::SystemError)),
                };
                match spent {
                    Ok(()) => self.forward(Leg::Identified, text, otherwise).await,
                    Err(refused) => self.say(denied(&refused, self.door.now())),
                }
            }
            Step::Forward { leg, text, otherwise } => self.forward(leg, text, otherwise).await,
        }
    }

    /// Sends a message on; if that cannot be done, says `otherwise`.
    async fn forward(&mut self, leg: Leg, text: String, otherwise: Said) -> Result<(), Closing> {
        if let Err(error) = self.open(leg).await {
            tracing::warn!(reason = %error, "no web socket to the exchange");
            return self.say(otherwise);
        }
        let upstream = match leg {
            Leg::Anonymous => &mut self.anonymous,
            Leg::Identified => &mut self.identified,
        };
        match upstream {
            Some(upstream) => upstream.wire.say(text).map_err(|_| Closing::ABNORMAL),
            None => self.say(otherwise),
        }
    }

    async fn log_in(&mut self, credentials: &Credentials) -> Result<Said, Closing> {
        let login = Login {
            api_key: credentials.api_key.as_bytes(),
            sign: credentials.sign.as_bytes(),
            timestamp: credentials.timestamp.as_bytes(),
            passphrase: credentials.passphrase.expose(),
            environment: self.environment,
        };
        match self.door.log_in(login, self.ip).await {
            Ok(verified) => match self.lobby.seat(verified.account()) {
                Some(seat) => Ok(self.session.logged_in(verified, seat)),
                None => {
                    let error = WsError::login(&Refusal::RateLimited, ACCOUNT_FULL_LABEL);
                    self.session.login_refused(&error)
                }
            },
            Err(denied) => {
                let refused = self.session.login_refused(&WsError::login(&denied.refusal, denied.label));
                if refused.is_err() {
                    // The connection ends for the number of failures; the last one counts as well.
                    self.door.refused(self.ip, None, denied.label, self.door.now());
                }
                refused
            }
        }
    }

    /// Connects to the exchange unless that was done.
    async fn open(&mut self, leg: Leg) -> Result<(), OpenError> {
        let (upstream, identity) = match leg {
            Leg::Anonymous => (&mut self.anonymous, None),
            Leg::Identified => (&mut self.identified, self.session.verified()),
        };
        if upstream.is_some() {
            return Ok(());
        }
        let introduction = Introduction {
            scope: self.session.scope(),
            identity,
            forwarded_for: &self.forwarded_for,
            connection_id: self.session.connection_id(),
        };
        let request = self.door.introduce(introduction).map_err(OpenError::Introduction)?;
        let connecting = async {
            let stream = self.door.connect().await.map_err(OpenError::Connect)?;
            let stream = Metered::new(stream, UPSTREAM_MESSAGE_BYTES_MAX);
            let library = upstream_bounds(&self.config).library();
            let opened = client_async_with_config(request, stream, Some(library)).await;
            opened.map_err(|error| OpenError::Handshake(Box::new(error)))
        };
        let (socket, _) =
            timeout(self.config.connect, connecting).await.map_err(|_| OpenError::Timeout)??;
        let (wire, heard_at) = (Wire::of(socket), Instant::now());
        *upstream = Some(Upstream { wire, stall: None, heard_at, pinged: false });
        Ok(())
    }

    fn on_upstream(&mut self, leg: Leg, incoming: Result<Incoming, Closing>) -> Result<(), Closing> {
        let upstream = match leg {
            Leg::Anonymous => &mut self.anonymous,
            Leg::Identified => &mut self.identified,
        };
        if let Some(upstream) = upstream {
            (upstream.heard_at, upstream.pinged) = (Instant::now(), false);
        }
        match incoming {
            // Clients' pings are answered here, so this answers ours.
            Ok(Incoming::Text(text)) if text == "pong" => Ok(()),
            Ok(Incoming::Text(text)) => self.say(Said { text, label: None }),
            Ok(Incoming::Ping | Incoming::Pong) => Ok(()),
            Ok(Incoming::Closed(code, reason)) => Err(Closing::by_exchange(code, reason)),
            Ok(Incoming::Binary | Incoming::End) | Err(_) => Err(Closing::ABNORMAL),
        }
    }

    fn say(&mut self, said: Said) -> Result<(), Closing> {
        self.active_at = Instant::now();
        if let Some(label) = said.label {
            self.door.refused(self.ip, self.session.account(), label, self.door.now());
        }
        self.client.say(said.text)
    }

    /// When something is due at the latest.
    fn deadline(&self) -> Instant {
        let mut deadline = self.active_at + self.config.idle;
        let mut due = |at: Instant| deadline = deadline.min(at);
        if let Some(since) = self.aimless_since {
            due(since + self.config.establish);
        }
        if self.session.verified().is_some() {
            due(self.in_force_at + self.config.in_force_period);
        }
        for at in [self.ends_at, self.held.as_ref().map(|(_, at)| *at)].into_iter().flatten() {
            due(at);
        }
        let upstreams = [&self.anonymous, &self.identified].into_iter().flatten();
        if self.client.is_dirty() || upstreams.clone().any(|upstream| upstream.wire.is_dirty()) {
            due(self.looked_at + self.config.write_stall / LOOKS_PER_STALL);
        }
        for upstream in upstreams {
            due(upstream.silence_ends_at(&self.config));
        }
        deadline
    }

    fn on_time(&mut self) -> Result<(), Closing> {
        let now = Instant::now();
        if self.ends_at.is_some_and(|at| at <= now) {
            return Err(Closing::GOING_AWAY);
        }
        if self.active_at + self.config.idle <= now {
            return Err(Closing::IDLE);
        }
        if self.aimless_since.is_some_and(|since| since + self.config.establish <= now) {
            let private = self.session.scope() == Scope::Private;
            return Err(if private { Closing::LOGIN_FAILED } else { Closing::IDLE });
        }
        if self.in_force_at + self.config.in_force_period <= now {
            self.session.check_in_force(self.door.now())?;
            self.in_force_at = now;
        }
        self.looked_at = now;
        let congested = self.client.waiting() > CLIENT_BUFFER_BYTES_MAX;
        let patience = self.config.write_stall;
        self.client_stall =
            look(self.client_stall, &self.client, patience, now).map_err(|Stalled| Closing::BUFFER_FULL)?;
        for upstream in [&mut self.anonymous, &mut self.identified].into_iter().flatten() {
            upstream.stall =
                look(upstream.stall, &upstream.wire, patience, now).map_err(|Stalled| Closing::ABNORMAL)?;
            if congested {
                // Nothing is read from it, so its silence says nothing.
                (upstream.heard_at, upstream.pinged) = (now, false);
            } else if upstream.silence_ends_at(&self.config) <= now {
                if upstream.pinged {
                    return Err(Closing::ABNORMAL);
                }
                upstream.pinged = true;
                upstream.wire.say("ping").map_err(|_| Closing::ABNORMAL)?;
            }
        }
        Ok(())
    }
}

impl Upstream {
    /// When its silence is no longer accepted: asked once, then given up.
    fn silence_ends_at(&self, config: &Config) -> Instant {
        let patience = if self.pinged { UPSTREAM_PONG_MAX } else { Duration::ZERO };
        self.heard_at + config.upstream_ping + patience
    }
}

/// A side takes too little of what waits for it.
struct Stalled;

/// Looks whether a side takes what waits for it; nothing to look at when nothing waits.
fn look<S: AsyncRead + AsyncWrite + Unpin>(
    stall: Option<Stall>,
    wire: &Wire<S>,
    patience: Duration,
    now: Instant,
) -> Result<Option<Stall>, Stalled> {
    if !wire.is_dirty() {
        return Ok(None);
    }
    let fresh = Stall { written: wire.written(), emptied: wire.emptied(), since: now };
    let Some(known) = stall.filter(|known| known.emptied == fresh.emptied) else { return Ok(Some(fresh)) };
    let needed = patience.as_secs().saturating_mul(DRAIN_RATE_MIN).max(1);
    match wire.written() - known.written {
        taken if taken >= needed => Ok(Some(fresh)),
        _ if now - known.since >= patience => Err(Stalled),
        _ => Ok(Some(known)),
    }
}

/// Why there is no connection to the exchange.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("cannot connect to the exchange: {0}")]
    Connect(std::io::Error),
    #[error("the exchange refused the handshake: {0}")]
    Handshake(Box<tokio_tungstenite::tungstenite::Error>),
    #[error("the request cannot be written: {}", .0.label())]
    Introduction(Refusal),
    #[error("the exchange took too long")]
    Timeout,
}
