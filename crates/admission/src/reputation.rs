//! Who has lately behaved badly, and whom to ban for a while.
//!
//! Every wrong a source does ([`Event`]) adds points to the source (an IPv4 address or IPv6 /64), the network around
//! it (/24, /48), its operator (by an [`AsnTable`]), the API key *at that source*, and its JA4 fingerprint; points
//! halve every thirty seconds, and an authenticated success takes one away. Above a bar, the source, the network or
//! the key at that source is banned for a minute, then four times as long each time it happens again, up to an hour:
//! [`Reputation::record`] returns the new [`Ban`]s with the evidence, for the journal, the metrics and the export.
//!
//! Care is taken that a ban hits who earned it:
//!
//! - only sources proven by a TCP handshake are scored ([`Proven`]);
//! - addresses on the never-ban list are never banned, nor any network that holds one;
//! - behind a source that has lately authenticated sits somebody honest: its bar is twenty times as high, while the
//!   bar of a key there is as low as ever, so that one bad client behind a shared address is stopped by its key;
//! - a key is banned at the source that misuses it and nowhere else: nobody can lock out a key by misusing its id;
//! - a network is banned only when at least eight of its sources take part, and never wider than /24 or /48; an
//!   operator is banned by people only, a fingerprint never: a bad one halves the bar of sources without successes;
//! - new bans are limited in rate and in number;
//! - in shadow mode everything is decided and reported and nothing is banned.
//!
//! Memory: tables of fixed size, about 17 MB with the defaults, and up to `bans_max` bans of about 250 bytes. Locks:
//! one of sixteen per table, held for one step.

pub mod asn;
mod bans;
mod event;
mod place;
mod restore;
mod score;
pub mod topk;

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use domain::{Actor, UnixNanos};
use ipnet::IpNet;
use parking_lot::{Mutex, RwLock};

pub use self::{
    asn::{AsnTable, AsnTableError},
    event::{Event, Evidence, Weights},
    place::{Prefix, Proven, Source},
    topk::TopK,
};
use self::{
    bans::Bans,
    score::{MILLI, Scores, Standing},
};
use crate::{
    gcra::{Gcra, Quota},
    hash::Seeded,
};

/// Most networks on the never-ban list.
pub const NEVER_BAN_MAX: usize = 4_096;
/// Longest API key id that is told apart, in bytes; the rest is cut off.
pub const KEY_BYTES_MAX: usize = 128;
/// A ban never lasts longer.
pub const TTL_MAX: Duration = Duration::from_secs(3_600);
/// How much longer the next ban lasts than the last.
const TTL_FACTOR: u32 = 4;
/// How much higher the bar is for a source or network with authenticated successes.
const TRUSTED_FACTOR: u32 = 20;
/// From how many points on an operator or a fingerprint is a bad sign for those that share it.
const BAD_SIGN_POINTS: u32 = 2_000;
/// Sources of a network that must take part before it is banned.
const PREFIX_SOURCES_MIN: u32 = 8;
/// Networks, operators and fingerprints hear of a source's success once in this time.
const SUCCESS_GAP: Duration = Duration::from_secs(1);

/// What counts as too much, and for how long a ban lasts.
///
/// # Defaults
/// - `bans_max`: 100,000
/// - `half_life`: 30 s
/// - `key_points`: 50, of one key at one source
/// - `never_ban`: loopback, `127.0.0.0/8` and `::1/128`
/// - `new_bans`: 1,000 in a second
/// - `prefix_points`: 1,000, of one /24 or /48
/// - `shadow`: no
/// - `source_points`: 100
/// - `sources`: 131,072 places for sources, half as many for keys, a quarter for networks
/// - `ttl`: one minute, the first time
/// - `weights`: see [`Weights`]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReputationConfig {
    /// Most bans at once.
    pub bans_max: usize,
    /// After which a score has halved.
    pub half_life: Duration,
    /// From how many points on a key is banned at a source.
    pub key_points: u32,
    /// Never banned, nor any network that holds one; cut off after [`NEVER_BAN_MAX`].
    pub never_ban: Vec<IpNet>,
    /// How many bans may be new.
    pub new_bans: Quota,
    /// From how many points on a network is banned.
    pub prefix_points: u32,
    /// Decide and report, but ban nobody.
    pub shadow: bool,
    /// From how many points on a source is banned.
    pub source_points: u32,
    /// Sources whose score is kept.
    pub sources: usize,
    /// How long the first ban of a target lasts; cut to [`TTL_MAX`].
    pub ttl: Duration,
    /// Points for each event.
    pub weights: Weights,
}

impl Default for ReputationConfig {
    fn default() -> Self {
        let loopback_4 = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8);
        let loopback_6 = ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128);
        Self {
            bans_max: 100_000,
            half_life: Duration::from_secs(30),
            key_points: 50,
            never_ban: vec![loopback_4.into(), loopback_6.into()],
            new_bans: NEW_BANS,
            prefix_points: 1_000,
            shadow: false,
            source_points: 100,
            sources: 1 << 17,
            ttl: Duration::from_secs(60),
            weights: Weights::default(),
        }
    }
}

const NEW_BANS: Quota = match Quota::new(1_000, Duration::from_secs(1)) {
    Ok(quota) => quota,
    Err(_) => panic!("the burst is at least 1 and at most 10^9"),
};

/// Who did something.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// From where.
    pub peer: Proven,
    /// The API key id that was named, whether it exists or not.
    pub api_key: Option<&'a str>,
    /// The [JA4 fingerprint](crate::ja4) of its TLS client.
    pub ja4: Option<&'a str>,
}

/// What a ban hits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// Requests that name this API key, from this source.
    KeyAtSource {
        /// The key id as it was named, cut to [`KEY_BYTES_MAX`].
        api_key: Box<str>,
        /// The source.
        source: Source,
    },
    /// Everything from the networks of an operator, by its autonomous system number; only by a person's decision.
    Operator(u32),
    /// Everything from a network.
    Prefix(Prefix),
    /// Everything from a source.
    Source(Source),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyAtSource { api_key, source } => write!(f, "key {api_key:?} at {source}"),
            Self::Operator(asn) => write!(f, "AS{asn}"),
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::Source(source) => source.fmt(f),
        }
    }
}

/// A decision to let a target in no more for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// What it hits.
    pub target: Target,
    /// The event that made up most of the score; none for a ban by an operator.
    pub reason: Option<Event>,
    /// Who decided, of a ban by an operator, where they are known.
    pub by: Option<Actor>,
    /// What was seen while the score lasted.
    pub evidence: Evidence,
    /// Points at the decision.
    pub score: u32,
    /// When it was decided.
    pub since: UnixNanos,
    /// When it ends.
    pub until: UnixNanos,
    /// How many bans of the same target came before, as far as they are remembered.
    pub strikes: u32,
    /// Whether it is in force; not in shadow mode.
    pub enforced: bool,
}

impl Ban {
    /// How long it lasts in all.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        self.until.since(self.since)
    }
}

/// Why an operator's ban is not put in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BanRefused {
    /// There are as many as there may be, all with a higher score.
    #[error("as many bans are in force as there may be")]
    Full,
    /// The target is on the never-ban list, or holds an address that is.
    #[error("target is on the never-ban list")]
    NeverBan,
}

/// What was decided since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReputationCounts {
    /// Bans, in shadow mode too.
    pub bans: u64,
    /// Bans not made because of the never-ban list.
    pub spared: u64,
    /// Bans not made because there were too many new ones or too many in all.
    pub suppressed: u64,
}

/// Scores and bans.
pub struct Reputation {
    config: ReputationConfig,
    hash: Seeded,
    sources: Scores,
    prefixes: Scores,
    keys: Scores,
    operators: Scores,
    fingerprints: Scores,
    heaviest: Mutex<TopK<Source>>,
    operators_of: RwLock<Arc<AsnTable>>,
    bans: Bans,
    /// Whether an operator was ever banned: only then addresses are looked up.
    bans_operators: AtomicBool,
    new_bans: Mutex<Gcra>,
    shadow: AtomicBool,
    n_bans: AtomicU64,
    n_spared: AtomicU64,
    n_suppressed: AtomicU64,
}

/// Of which table a fingerprint is.
#[derive(Clone, Copy, Hash)]
enum Kind {
    Fingerprint,
    Key,
    Operator,
}

impl Reputation {
    /// Nobody is known. `seed` is random and secret: it keeps outsiders from choosing who shares a place.
    #[must_use]
    pub fn new(mut config: ReputationConfig, seed: u64) -> Self {
        config.never_ban.truncate(NEVER_BAN_MAX);
        config.ttl = config.ttl.clamp(Duration::from_secs(1), TTL_MAX);
        let scores = |entries: usize| Scores::new(entries, config.half_life);
        Self {
            hash: Seeded::new(seed),
            sources: scores(config.sources),
            prefixes: scores(config.sources / 4),
            keys: scores(config.sources / 2),
            operators: scores(4_096),
            fingerprints: scores(4_096),
            heaviest: Mutex::new(TopK::new(32, seed)),
            operators_of: RwLock::default(),
            bans: Bans::new(config.bans_max),
            bans_operators: AtomicBool::new(false),
            new_bans: Mutex::default(),
            shadow: AtomicBool::new(config.shadow),
            n_bans: AtomicU64::new(0),
            n_spared: AtomicU64::new(0),
            n_suppressed: AtomicU64::new(0),
            config,
        }
    }

    /// Puts another table of operators in place.
    pub fn set_asn_table(&self, table: Arc<AsnTable>) {
        *self.operators_of.write() = table;
    }

    /// Switches shadow mode on or off for decisions to come.
    pub fn set_shadow(&self, shadow: bool) {
        self.shadow.store(shadow, Relaxed);
    }

    /// Whether a source or the network around it is banned. For every connection and request.
    #[must_use]
    pub fn is_banned(&self, ip: IpAddr, now: UnixNanos) -> bool {
        self.banned_until(ip, now).is_some()
    }

    /// The number of the operator of an address, if the table says so.
    #[must_use]
    pub fn operator_of(&self, ip: IpAddr) -> Option<u32> {
        self.operators_of.read().find(ip)
    }

    /// Whether the table has an operator.
    #[must_use]
    pub fn knows_operator(&self, asn: u32) -> bool {
        self.operators_of.read().has(asn)
    }

    /// Whether an address is on the never-ban list.
    #[must_use]
    pub fn is_never_banned(&self, ip: IpAddr) -> bool {
        let source = Source::of(ip).net();
        self.config.never_ban.iter().any(|never| never.contains(&source) || source.contains(never))
    }

    /// Until when a source, the network around it or its operator is banned.
    #[must_use]
    pub fn banned_until(&self, ip: IpAddr, now: UnixNanos) -> Option<UnixNanos> {
        if self.bans.is_empty() {
            return None;
        }
        let source = Source::of(ip);
        let prefix = source.prefix();
        let (source_print, prefix_print) = (self.hash.of(&source), self.hash.of(&prefix));
        let (source, prefix) = (Target::Source(source), Target::Prefix(prefix));
        let until = self.bans.hits(prefix_print, [(source_print, &source), (prefix_print, &prefix)], now);
        if until.is_some() || !self.bans_operators.load(Relaxed) || self.is_never_banned(ip) {
            return until;
        }
        let operator = Target::Operator(self.operator_of(ip)?);
        let (shard_print, print) = self.prints(&operator);
        self.bans.hits(shard_print, [(print, &operator)], now)
    }

    /// Until when an API key is banned at a source.
    #[must_use]
    pub fn key_banned_until(&self, ip: IpAddr, api_key: &str, now: UnixNanos) -> Option<UnixNanos> {
        if self.bans.is_empty() {
            return None;
        }
        let source = Source::of(ip);
        let print = self.key_print(cut(api_key), source);
        self.bans
            .find(self.hash.of(&source.prefix()), print, now)
            .filter(|ban| ban.enforced)
            .map(|ban| ban.until)
    }

    /// Takes in something a source did wrong. Returns the bans that follow from it, seldom any; already banned
    /// targets are not banned again.
    pub fn record(&self, sighting: Sighting<'_>, event: Event, now: UnixNanos) -> Vec<Ban> {
        let milli = u32::from(self.config.weights.of(event)) * MILLI;
        let ip = sighting.peer.ip();
        let source = Source::of(ip);
        let prefix = source.prefix();
        let (source_print, prefix_print) = (self.hash.of(&source), self.hash.of(&prefix));
        self.heaviest.lock().add(&source, now);

        let mut is_bad_sign = false;
        let mut sign = |scores: &Scores, print: u64| {
            let standing = scores.add(print, milli, event, source_print, now);
            is_bad_sign |= standing.milli >= BAD_SIGN_POINTS * MILLI;
        };
        if let Some(ja4) = sighting.ja4 {
            sign(&self.fingerprints, self.hash.of(&(Kind::Fingerprint, cut(ja4))));
        }
        if let Some(asn) = self.operator_of(ip) {
            sign(&self.operators, self.hash.of(&(Kind::Operator, asn)));
        }

        let mut bans = Vec::new();
        if let Some(api_key) = sighting.api_key.map(cut) {
            let print = self.key_print(api_key, source);
            let standing = self.keys.add(print, milli, event, 0, now);
            if standing.milli >= self.config.key_points.saturating_mul(MILLI) {
                let target = Target::KeyAtSource { api_key: api_key.into(), source };
                bans.extend(self.decide(target, prefix_print, print, &self.keys, standing, now));
            }
        }
        let standing = self.sources.add(source_print, milli, event, 0, now);
        if standing.milli >= bar(self.config.source_points, standing.is_trusted, is_bad_sign) {
            let target = Target::Source(source);
            bans.extend(self.decide(target, prefix_print, source_print, &self.sources, standing, now));
        }
        let standing = self.prefixes.add(prefix_print, milli, event, source_print, now);
        if standing.n_members >= PREFIX_SOURCES_MIN
            && standing.milli >= bar(self.config.prefix_points, standing.is_trusted, is_bad_sign)
        {
            let target = Target::Prefix(prefix);
            bans.extend(self.decide(target, prefix_print, prefix_print, &self.prefixes, standing, now));
        }
        bans
    }

    /// Takes in an authenticated success: points are taken away and the source is trusted for a while. Cheap enough
    /// for every request.
    pub fn succeeded(&self, sighting: Sighting<'_>, now: UnixNanos) {
        let source = sighting.peer.source();
        if !self.sources.succeeded(self.hash.of(&source), MILLI, SUCCESS_GAP, now) {
            return;
        }
        self.prefixes.succeeded(self.hash.of(&source.prefix()), MILLI, SUCCESS_GAP, now);
        if let Some(ja4) = sighting.ja4 {
            let print = self.hash.of(&(Kind::Fingerprint, cut(ja4)));
            self.fingerprints.succeeded(print, MILLI, Duration::ZERO, now);
        }
    }

    /// Bans by an operator's decision, whatever the score and the rate of new bans.
    ///
    /// # Errors
    /// [`BanRefused`].
    pub fn ban(
        &self,
        target: Target,
        ttl: Duration,
        by: Option<Actor>,
        now: UnixNanos,
    ) -> Result<Ban, BanRefused> {
        let (shard_print, print) = self.prints(&target);
        if self.is_spared(&target) {
            return Err(BanRefused::NeverBan);
        }
        let ban = Ban {
            target,
            reason: None,
            by,
            evidence: Evidence::default(),
            score: u32::MAX,
            since: now,
            until: now.plus(ttl.min(TTL_MAX)),
            strikes: self.bans.strikes(shard_print, print, now),
            enforced: true,
        };
        if !self.insert(shard_print, print, &ban, now) {
            return Err(BanRefused::Full);
        }
        self.n_bans.fetch_add(1, Relaxed);
        Ok(ban)
    }

    /// Puts a ban in force. Whether there was room for it.
    fn insert(&self, shard_print: u64, print: u64, ban: &Ban, now: UnixNanos) -> bool {
        if matches!(ban.target, Target::Operator(_)) {
            self.bans_operators.store(true, Relaxed);
        }
        self.bans.insert(shard_print, print, ban.clone(), now)
    }

    /// Ends a ban and forgets that it was. Whether there was one.
    pub fn lift(&self, target: &Target) -> bool {
        let (shard_print, print) = self.prints(target);
        self.bans.remove(shard_print, print)
    }

    /// Bans that have not ended, those of the shadow mode included, in no order. For the export.
    #[must_use]
    pub fn bans(&self, now: UnixNanos) -> Vec<Ban> {
        self.bans.current(now)
    }

    /// Points of a source at present.
    #[must_use]
    pub fn points(&self, source: Source, now: UnixNanos) -> u32 {
        self.sources.milli(self.hash.of(&source), now) / MILLI
    }

    /// The sources with the most events lately, with estimates of how many, most first; at most 32.
    #[must_use]
    pub fn heaviest(&self) -> Vec<(Source, u32)> {
        self.heaviest.lock().top()
    }

    /// What was decided since the start.
    #[must_use]
    pub fn counts(&self) -> ReputationCounts {
        ReputationCounts {
            bans: self.n_bans.load(Relaxed),
            spared: self.n_spared.load(Relaxed),
            suppressed: self.n_suppressed.load(Relaxed),
        }
    }

    /// Bans remembered, those that have ended included.
    #[must_use]
    pub fn n_bans_remembered(&self) -> usize {
        self.bans.len()
    }

    /// Memory of all tables. Grows with the number of bans, up to their bound, and with nothing else.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let scores = [&self.sources, &self.prefixes, &self.keys, &self.operators, &self.fingerprints];
        scores.into_iter().map(Scores::memory_bytes).sum::<usize>()
            + self.heaviest.lock().memory_bytes()
            + self.operators_of.read().memory_bytes()
            + self.bans.memory_bytes()
    }

    fn key_print(&self, api_key: &str, source: Source) -> u64 {
        self.hash.of(&(Kind::Key, api_key, source))
    }

    /// The fingerprints of the network a target lies in, and of the target.
    fn prints(&self, target: &Target) -> (u64, u64) {
        match target {
            Target::KeyAtSource { api_key, source } => {
                (self.hash.of(&source.prefix()), self.key_print(api_key, *source))
            }
            Target::Operator(asn) => {
                let print = self.hash.of(&(Kind::Operator, *asn));
                (print, print)
            }
            Target::Prefix(prefix) => (self.hash.of(prefix), self.hash.of(prefix)),
            Target::Source(source) => (self.hash.of(&source.prefix()), self.hash.of(source)),
        }
    }

    /// Whether a target is, or holds, an address on the never-ban list.
    fn is_spared(&self, target: &Target) -> bool {
        let net = match target {
            Target::KeyAtSource { source, .. } | Target::Source(source) => source.net(),
            Target::Prefix(prefix) => prefix.net(),
            // Its addresses on the list are spared one by one.
            Target::Operator(_) => return false,
        };
        self.config.never_ban.iter().any(|never| never.contains(&net) || net.contains(never))
    }

    fn decide(
        &self,
        target: Target,
        shard_print: u64,
        print: u64,
        scores: &Scores,
        standing: Standing,
        now: UnixNanos,
    ) -> Option<Ban> {
        if self.bans.find(shard_print, print, now).is_some() {
            return None;
        }
        // Whatever becomes of it, the score begins anew: a target that cannot be banned is not judged at every event.
        scores.clear(print, now);
        if self.is_spared(&target) {
            self.n_spared.fetch_add(1, Relaxed);
            return None;
        }
        if self.new_bans.lock().check(self.config.new_bans, 1, now).is_err() {
            self.n_suppressed.fetch_add(1, Relaxed);
            return None;
        }
        let strikes = self.bans.strikes(shard_print, print, now);
        let ttl = self.config.ttl.saturating_mul(TTL_FACTOR.saturating_pow(strikes)).min(TTL_MAX);
        let ban = Ban {
            target,
            reason: standing.evidence.main(&self.config.weights),
            by: None,
            evidence: standing.evidence,
            score: standing.milli / MILLI,
            since: now,
            until: now.plus(ttl),
            strikes,
            enforced: !self.shadow.load(Relaxed),
        };
        if !self.bans.insert(shard_print, print, ban.clone(), now) {
            self.n_suppressed.fetch_add(1, Relaxed);
            return None;
        }
        self.n_bans.fetch_add(1, Relaxed);
        Some(ban)
    }
}

/// The bar in thousandths of a point.
const fn bar(points: u32, is_trusted: bool, is_bad_sign: bool) -> u32 {
    let milli = points.saturating_mul(MILLI);
    if is_trusted {
        milli.saturating_mul(TRUSTED_FACTOR)
    } else if is_bad_sign {
        milli / 2
    } else {
        milli
    }
}

/// The beginning of a text from outside, at most [`KEY_BYTES_MAX`] bytes.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(KEY_BYTES_MAX)).unwrap_or_default()
}

impl fmt::Debug for Reputation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reputation").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
