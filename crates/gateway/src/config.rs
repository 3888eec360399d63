//! What the gateway is told: where to listen, where the exchange is, how much anyone may ask.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use admission::{ConcurrencyConfig, FrameLimits, Quota, ReputationConfig};
use auth::{Authenticator, authority::FirstSeenMode, oauth::OauthServer, v2::AnswerSigner};
use domain::Clock;
use ipnet::IpNet;
use rustls::ServerConfig;

use crate::{
    model::ApiModel,
    pipeline::{AbuseMode, Challenge},
    ports::{AppChanges, Changes, Observer, Withdrawals},
    route::RouteTable,
    upstream, websocket,
};

/// Configuration of the gateway.
///
/// # Defaults
/// [`Config::new`] sets all but the two addresses; each field says its default.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 picks a free one, see [`Gateway::local_addr`](crate::Gateway::local_addr).
    pub listen: SocketAddr,
    /// TLS of the listener, see [`tls`](crate::tls). Default `None`: plain HTTP, which is refused unless `listen` is
    /// a loopback address.
    pub tls: Option<Arc<ServerConfig>>,
    /// The exchange.
    pub upstream: upstream::Config,
    /// Which request needs what. Default [`RouteTable::okx_v5`].
    pub routes: RouteTable,
    /// Rate limits.
    pub limits: Limits,
    /// What is done about overload and abuse.
    pub abuse: Abuse,
    /// Time bounds.
    pub timeouts: Timeouts,
    /// Most open connections. Default 10,000; an idle one costs some 20 KiB.
    pub connections_max: usize,
    /// Most open connections of one IPv4 address or IPv6 /64. Default 128.
    pub connections_per_source_max: usize,
    /// The positive model of the API. Default `None`: shapes are not looked at.
    pub model: Option<Arc<ApiModel>>,
    /// Whether requests that succeed are learned from, see [`Control::learned`](crate::Control::learned). Default no:
    /// it copies every request.
    pub learn: bool,
    /// Networks of the proxies in front. A connection from there must begin with a PROXY protocol header (version 1
    /// or 2), and the address in it counts as the client's, also for limits and address bindings of keys; whoever
    /// can open connections from there can be anybody. Default none: no such header is accepted from anywhere.
    pub proxy_trusted: Vec<IpNet>,
    /// Web sockets.
    pub websocket: websocket::Config,
    /// The names clients reach the gateway by, as they stand in `Host`: HTTP message signatures for another name are
    /// refused. At most [`AUTHORITIES_MAX`](auth::v2::AUTHORITIES_MAX), lower case. Default none, which stands for the
    /// loopback names with the port that is listened at.
    pub authorities: Vec<String>,
    /// Third-party apps that act for customers. Default `None`: their endpoints are unavailable, and no access token is
    /// good.
    pub apps: Option<Apps>,
    /// Signs answers to clients that ask for it. Default `None`: answers are not signed.
    pub answer_signer: Option<Arc<AnswerSigner>>,
    /// What is done about a key that is used from a network and with software not seen with it before. Default
    /// [`FirstSeenMode::Shadow`].
    pub first_seen: FirstSeenMode,
    /// What is done about withdrawals with a key that is new or whose restrictions were changed in the last
    /// [24 hours](auth::authority::COOL_DOWN). Default [`CoolDown::Enforce`].
    pub cool_down: CoolDown,
    /// Slow passphrase checks at a time, some 20 ms of one core and 19 MiB each. Default 2.
    pub passphrase_checks_max: usize,
}

impl Config {
    /// The defaults, listening at `listen` for the exchange at `upstream` (`host:port`).
    #[must_use]
    pub fn new(listen: SocketAddr, upstream: impl Into<String>) -> Self {
        Self {
            listen,
            tls: None,
            upstream: upstream::Config::new(upstream),
            routes: RouteTable::okx_v5(),
            limits: Limits::default(),
            abuse: Abuse::default(),
            timeouts: Timeouts::default(),
            connections_max: 10_000,
            connections_per_source_max: 128,
            model: None,
            learn: false,
            proxy_trusted: Vec::new(),
            websocket: websocket::Config::default(),
            authorities: Vec::new(),
            apps: None,
            answer_signer: None,
            first_seen: FirstSeenMode::default(),
            cool_down: CoolDown::default(),
            passphrase_checks_max: 2,
        }
    }
}

/// What serves third-party apps.
#[derive(Debug, Clone)]
pub struct Apps {
    /// The authorization server; whoever asks customers for consent shares it.
    pub server: Arc<OauthServer>,
    /// Records what it changes.
    pub changes: Arc<dyn AppChanges>,
}

/// What is done about withdrawals with a key that is too new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CoolDown {
    /// They are refused: 58219.
    #[default]
    Enforce,
    /// Nothing.
    Off,
    /// They are counted.
    Shadow,
}

/// Rate limits. All are exact GCRA: a burst, and its refill over a period.
///
/// The limit per key and the limits per account hold side by side; those per account hold across all keys of the account and all endpoints of a budget; the exchange's own
/// limits per instrument and endpoint stand behind them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests per source address (IPv6: /64), before anything costly. Default 200 per second.
    pub source: Quota,
    /// Requests per API key, whatever they do. Default 600 per 2 s.
    pub key: Quota,
    /// New orders per account, each order of a batch counted. Default 300 per 2 s (OKX: 60 per 2 s and instrument,
    /// 300 per 2 s in batches).
    pub place: Quota,
    /// Amended orders per account. Default as `place`, independent of it.
    pub amend: Quota,
    /// Cancelled orders per account. Default as `place`, independent of it.
    pub cancel: Quota,
    /// New and amended orders per account together; beyond it the answer is 50061. Default 1,000 per 2 s.
    pub orders: Quota,
    /// Private reads per account. Default 200 per 2 s (OKX: 10 to 20 per 2 s and endpoint).
    pub read: Quota,
    /// Other private actions per account. Default 60 per 2 s.
    pub write: Quota,
    /// Withdrawals per account. Default 6 per second.
    pub withdraw: Quota,
    /// Sources and (account, budget) pairs remembered, each. Default 200,000. Beyond it those nearest to full
    /// allowance are forgotten first.
    pub entries_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let per = |burst, secs| {
            Quota::new(burst, Duration::from_secs(secs)).expect("constant quotas are within the bounds")
        };
        Self {
            source: per(200, 1),
            key: per(600, 2),
            place: per(300, 2),
            amend: per(300, 2),
            cancel: per(300, 2),
            orders: per(1_000, 2),
            read: per(200, 2),
            write: per(60, 2),
            withdraw: per(6, 1),
            entries_max: 200_000,
        }
    }
}

/// What is done about overload and abuse.
///
/// # Defaults
/// Abuse is banned for a while, loopback never; the limit on requests under way adapts; no challenges.
#[derive(Debug, Clone)]
pub struct Abuse {
    /// Whether sources that misbehave are banned. Default [`AbuseMode::Enforce`].
    pub mode: AbuseMode,
    /// What counts as too much, and who is never banned.
    pub reputation: ReputationConfig,
    /// What one HTTP/2 connection may make the gateway do. Holds in every mode.
    pub frames: FrameLimits,
    /// Bounds of the limit on requests that are with the exchange at once. The limit never grows beyond the
    /// connections there may be to the exchange.
    pub concurrency: ConcurrencyConfig,
    /// Proof of work for browsers.
    pub challenge: Challenge,
}

impl Default for Abuse {
    fn default() -> Self {
        Self {
            mode: AbuseMode::Enforce,
            reputation: ReputationConfig::default(),
            frames: FrameLimits::default(),
            concurrency: ConcurrencyConfig::default(),
            challenge: Challenge::default(),
        }
    }
}

/// Time bounds.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// TLS handshake, and before it the header of a trusted proxy, each. Default 5 s.
    pub handshake: Duration,
    /// From the first byte of a request head to its last; also from the start of a connection. Default 10 s.
    pub head: Duration,
    /// Between requests. Default 60 s.
    pub idle: Duration,
    /// Whole request body; besides, 240 bytes per second after 5 s of grace. Default 30 s.
    pub body: Duration,
    /// Without the client taking any byte of an answer; besides, 240 bytes per second while bytes wait for it, with
    /// 10 s of grace. Default 10 s.
    pub write_stall: Duration,
    /// Decision about a withdrawal. Default 5 s; its end refuses the withdrawal.
    pub decision: Duration,
    /// Waiting for a slow passphrase check to begin. Default 5 s.
    pub passphrase: Duration,
    /// Requests in flight when the gateway stops. Web sockets have at least their
    /// [notice](websocket::Config::notice). Default 30 s.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body: Duration::from_secs(30),
            write_stall: Duration::from_secs(10),
            decision: Duration::from_secs(5),
            passphrase: Duration::from_secs(5),
            drain: Duration::from_secs(30),
        }
    }
}

/// What the gateway works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Verifies requests.
    pub authenticator: Arc<Authenticator>,
    /// Records what requests change about their keys.
    pub changes: Arc<dyn Changes>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Sees refusals and the use of keys.
    pub observer: Arc<dyn Observer>,
    /// Decides about withdrawals.
    pub withdrawals: Arc<dyn Withdrawals>,
}

/// Why no gateway could be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The names the gateway is reached by are not usable.
    #[error("names the gateway is reached by")]
    Authorities(#[source] auth::v2::ConfigError),
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Plain HTTP would cross a network, with passphrases in the clear.
    #[error("plain HTTP at {address} is refused: only loopback addresses may go without TLS")]
    PlainNotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The upstream is not usable as configured.
    #[error("upstream configuration")]
    Upstream(#[source] upstream::UpstreamError),
}
