//! What the gateway is told: where to listen, where the exchange is, how much anyone may ask.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use admission::{ConcurrencyConfig, FrameLimits, Quota, ReputationConfig};
use auth::{Authenticator, authority::FirstSeenMode, oauth::OauthServer, v2::AnswerSigner};
use domain::Clock;
use ipnet::IpNet;
use rustls::ServerConfig;

use crate::{
    model::ApiModel,
    pipeline::{AbuseMode, Challenge, Mode, PolicyError},
    ports::{AppChanges, Changes, Observer, Withdrawals},
    route::RouteTable,
    traffic::Recorder,
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
    /// Who takes in what passes, for a dry run of other routes and limits. Default nobody.
    pub recorder: Option<Arc<dyn Recorder>>,
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
    /// Whether the gateway has the last word, or only looks. Default [`Mode::Enforce`].
    pub mode: Mode,
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
            recorder: None,
            websocket: websocket::Config::default(),
            authorities: Vec::new(),
            apps: None,
            answer_signer: None,
            first_seen: FirstSeenMode::default(),
            cool_down: CoolDown::default(),
            mode: Mode::default(),
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

/// What a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum By {
    /// The account.
    Account,
    /// The account and the instrument of each order; for options its family.
    Instrument,
    /// The API key.
    Key,
    /// The source address (IPv6: /64).
    Source,
}

impl By {
    /// Every way of counting.
    pub const ALL: [Self; 4] = [Self::Account, Self::Instrument, Self::Key, Self::Source];

    /// Its name in configuration and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Instrument => "instrument",
            Self::Key => "key",
            Self::Source => "source",
        }
    }
}

/// A named limit; routes say by name on which they draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name: lower-case letters, digits, `_` and `-`.
    pub name: String,
    /// What it counts by.
    pub by: By,
    /// How much.
    pub quota: Quota,
}

/// Rate limits. All are exact GCRA: a burst, and its refill over a period.
///
/// A private request draws on the limit `key` and on those of its route, all of them or, when one is used up, none.
/// Before anything else, and whatever comes of it, each request draws on `source`. Web sockets draw on the same.
///
/// # Defaults
/// The limits that the built-in route table names, as OKX has them:
///
/// | name | by | default |
/// |---|---|---|
/// | `source` | source | 200 per second, every request |
/// | `public` | source | 400 per 2 s (OKX: 20 per 2 s and endpoint) |
/// | `key` | key | 600 per 2 s, every signed request |
/// | `read` | account | 200 per 2 s (OKX: 10 to 20 per 2 s and endpoint) |
/// | `place`, `amend`, `cancel` | instrument | 60 per 2 s each, single orders |
/// | `place_batch`, `amend_batch`, `cancel_batch` | instrument | 300 orders per 2 s each |
/// | `orders` | account | 1,000 new and changed orders per 2 s; beyond it the answer is 50061 |
/// | `write` | account | 60 per 2 s |
/// | `withdraw` | account | 6 per second |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The limits, `source` and `key` among them; at most [`admission::scopes::LIMITS_MAX`].
    pub limits: Vec<Limit>,
    /// What each remembers. Default 200,000. Beyond it those nearest to full allowance are forgotten first.
    pub entries_max: usize,
    /// Whether answers to private requests say what is left (`RateLimit-Policy`, `RateLimit`). Default yes.
    pub announced: bool,
}

impl Limits {
    /// Sets the quota of a limit; one that is not there is added.
    pub fn set(&mut self, name: &str, by: By, quota: Quota) {
        match self.limits.iter_mut().find(|limit| limit.name == name) {
            Some(limit) => (limit.by, limit.quota) = (by, quota),
            None => self.limits.push(Limit { name: name.to_owned(), by, quota }),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let limit = |name: &str, by, burst, secs| Limit {
            name: name.to_owned(),
            by,
            quota: Quota::new(burst, Duration::from_secs(secs))
                .expect("constant quotas are within the bounds"),
        };
        Self {
            limits: vec![
                limit("source", By::Source, 200, 1),
                limit("public", By::Source, 400, 2),
                limit("key", By::Key, 600, 2),
                limit("read", By::Account, 200, 2),
                limit("place", By::Instrument, 60, 2),
                limit("place_batch", By::Instrument, 300, 2),
                limit("amend", By::Instrument, 60, 2),
                limit("amend_batch", By::Instrument, 300, 2),
                limit("cancel", By::Instrument, 60, 2),
                limit("cancel_batch", By::Instrument, 300, 2),
                limit("orders", By::Account, 1_000, 2),
                limit("write", By::Account, 60, 2),
                limit("withdraw", By::Account, 6, 1),
            ],
            entries_max: 200_000,
            announced: true,
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
    /// A gateway that lets unproven requests pass would vouch for them.
    #[error(
        "a gateway that only observes has no upstream token: the exchange would believe requests nobody proved"
    )]
    ObservesWithToken,
    /// Plain HTTP would cross a network, with passphrases in the clear.
    #[error("plain HTTP at {address} is refused: only loopback addresses may go without TLS")]
    PlainNotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// Routes and limits do not fit each other.
    #[error("routes and limits")]
    Policy(#[source] PolicyError),
    /// The upstream is not usable as configured.
    #[error("upstream configuration")]
    Upstream(#[source] upstream::UpstreamError),
}
