//! Sources that misbehave: every refusal is held against its source or says nothing, enough of them are a ban.
//!
//! A banned source is let go when it connects, before anything is read from it, and its open connections end at once.
//! A key that is banned at a source is refused there, except for cancels: whoever placed orders can get out of them.
//! Each ban and its end by a person is told to the [`Observer`](crate::Observer); the end by time is in the ban.
//!
//! Not here: scores and who is spared (the `admission` engine), dropping packets (whoever observes may see to that).

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use admission::{
    Ban, Reputation, Sighting,
    reputation::{AsnTable, BanRefused, Proven, ReputationCounts, Source, Target},
};
use auth::Refusal;
use domain::{Actor, ApiKeyId, UnixNanos};
use ipnet::IpNet;

use super::{Shared, events};
use crate::{answer::Refused, config::Abuse, connection::Census, peer::Peer, route::Criticality};

/// What is done about sources that misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbuseMode {
    /// They are banned for a while.
    Enforce,
    /// Nobody keeps a score.
    Off,
    /// Bans are decided and reported, and have no effect.
    Shadow,
}

impl AbuseMode {
    const ALL: [Self; 3] = [Self::Enforce, Self::Off, Self::Shadow];

    const fn number(self) -> u8 {
        match self {
            Self::Enforce => 0,
            Self::Off => 1,
            Self::Shadow => 2,
        }
    }
}

/// Scores, bans, and the connections that a ban ends.
#[derive(Debug)]
pub(crate) struct Guard {
    mode: AtomicU8,
    /// Somebody says that there is an attack: what is in shadow has an effect.
    alarm: AtomicBool,
    reputation: Reputation,
    census: Arc<Census>,
}

impl Guard {
    /// `seed` is random and secret.
    pub(crate) fn new(config: &Abuse, census: Arc<Census>, seed: u64) -> Self {
        let reputation = Reputation::new(config.reputation.clone(), seed);
        let guard = Self { mode: AtomicU8::new(0), alarm: AtomicBool::new(false), reputation, census };
        guard.set_mode(config.mode);
        guard
    }

    fn mode(&self) -> AbuseMode {
        let number = self.mode.load(Ordering::Relaxed);
        AbuseMode::ALL.into_iter().find(|mode| mode.number() == number).unwrap_or(AbuseMode::Enforce)
    }

    fn set_mode(&self, mode: AbuseMode) {
        self.mode.store(mode.number(), Ordering::Relaxed);
        self.settle();
    }

    pub(crate) fn set_alarm(&self, is_raised: bool) {
        if self.alarm.swap(is_raised, Ordering::Relaxed) != is_raised {
            self.settle();
        }
    }

    /// Bans have an effect where the mode says so, and those of the shadow mode while there is an alarm.
    fn settle(&self) {
        let mode = self.mode();
        let alarmed = mode == AbuseMode::Shadow && self.alarm.load(Ordering::Relaxed);
        self.reputation.set_shadow(mode != AbuseMode::Enforce && !alarmed);
    }

    /// Until when a source is to be let go at once.
    pub(crate) fn banned_until(&self, ip: IpAddr, now: UnixNanos) -> Option<UnixNanos> {
        self.reputation.banned_until(ip, now)
    }

    /// The number of the operator of an address, where a table says so.
    pub(crate) fn operator_of(&self, ip: IpAddr) -> Option<u32> {
        self.reputation.operator_of(ip)
    }

    /// Whether there are bans at all: only then it is worth knowing early whom a request names.
    pub(crate) fn has_bans(&self) -> bool {
        self.reputation.n_bans_remembered() > 0
    }

    /// Ends what a ban hits.
    fn carry_out(&self, ban: &Ban) -> usize {
        match &ban.target {
            _ if !ban.enforced => 0,
            Target::Source(source) => self.census.kill(|net| source.net().contains(&net)),
            Target::Prefix(prefix) => self.census.kill(|net| prefix.net().contains(&net)),
            Target::Operator(asn) => self.census.kill(|net| {
                let operator = self.operator_of(net.addr());
                operator == Some(*asn) && !self.reputation.is_never_banned(net.addr())
            }),
            // Its requests are refused one by one.
            _ => 0,
        }
    }
}

impl Shared {
    /// Holds a refusal against its source, if it says anything against it. `api_key` is the id that was named.
    pub(crate) fn hold_against(
        &self,
        peer: &Peer,
        api_key: Option<&str>,
        label: &'static str,
        now: UnixNanos,
    ) {
        self.hold_against_ip(peer.ip, api_key, peer.ja4(), label, now);
    }

    /// As [`Shared::hold_against`], of a connection about which nothing else is known.
    pub(crate) fn hold_against_ip(
        &self,
        ip: IpAddr,
        api_key: Option<&str>,
        ja4: Option<&str>,
        label: &'static str,
        now: UnixNanos,
    ) {
        let Some(Some(event)) = events::classified(label) else { return };
        // What a proxy does in its own name is no client's doing.
        if self.guard.mode() == AbuseMode::Off || self.is_proxy(ip) {
            return;
        }
        let api_key = api_key.filter(|_| events::blames_key(event));
        let sighting = Sighting { peer: Proven::by_handshake(ip), api_key, ja4 };
        for ban in self.guard.reputation.record(sighting, event, now) {
            self.observer.banned(&ban);
            let ended = self.guard.carry_out(&ban);
            tracing::warn!(
                target = %ban.target,
                reason = ban.reason.map(admission::reputation::Event::label),
                score = ban.score,
                seconds = ban.ttl().as_secs(),
                enforced = ban.enforced,
                connections = ended,
                "banned"
            );
        }
    }

    /// Takes in that a request of a proven sender was good.
    pub(crate) fn speak_for(&self, peer: &Peer, now: UnixNanos) {
        if self.guard.mode() == AbuseMode::Off {
            return;
        }
        let sighting = Sighting { peer: Proven::by_handshake(peer.ip), api_key: None, ja4: peer.ja4() };
        self.guard.reputation.succeeded(sighting, now);
    }

    /// Refuses a key that is banned where the request comes from; cancels pass.
    pub(crate) fn check_key(
        &self,
        ip: IpAddr,
        api_key: Option<&str>,
        criticality: Criticality,
        now: UnixNanos,
    ) -> Result<(), Refused> {
        let until = match api_key {
            Some(api_key) if criticality != Criticality::Cancel => {
                self.guard.reputation.key_banned_until(ip, api_key, now)
            }
            _ => None,
        };
        match until {
            None => Ok(()),
            Some(until) => Err(Refused {
                retry_after: Some(until.since(now)),
                ..Refused::from(Refusal::RateLimited).labelled("key_banned")
            }),
        }
    }
}

/// What an operator bans or lifts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BanTarget {
    /// One API key at the source of an address.
    KeyAtSource(ApiKeyId, IpAddr),
    /// A source (an IPv4 address or IPv6 /64) or the network around one (/24 or /48).
    Net(IpNet),
    /// All networks of an operator, by its autonomous system number. Only people ban operators.
    Operator(u32),
}

/// Why a ban was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BanError {
    /// Neither a source nor the network around one.
    #[error(
        "{net} can be neither banned nor lifted: write an IPv4 address or /24, or an IPv6 address, /64 or /48"
    )]
    Net {
        /// As given.
        net: IpNet,
    },
    /// No address is known to be of the operator: there is no table of operators, or it is not in it.
    #[error("AS{asn} is not in the table of network operators")]
    Operator {
        /// Its number.
        asn: u32,
    },
    /// The engine refuses.
    #[error(transparent)]
    Refused(#[from] BanRefused),
}

impl BanTarget {
    fn target(&self) -> Result<Target, BanError> {
        match self {
            Self::KeyAtSource(api_key, ip) => {
                Ok(Target::KeyAtSource { api_key: api_key.as_str().into(), source: Source::of(*ip) })
            }
            Self::Operator(asn) => Ok(Target::Operator(*asn)),
            Self::Net(net) => match (net, net.prefix_len()) {
                (IpNet::V4(_), 32) | (IpNet::V6(_), 64 | 128) => Ok(Target::Source(Source::of(net.addr()))),
                (IpNet::V4(_), 24) | (IpNet::V6(_), 48) => {
                    Ok(Target::Prefix(Source::of(net.addr()).prefix()))
                }
                _ => Err(BanError::Net { net: *net }),
            },
        }
    }
}

/// The bans of a gateway, for its operator.
#[derive(Debug, Clone)]
pub struct Bans(pub(crate) Arc<Shared>);

impl Bans {
    /// Those in force, and those of the shadow mode, in no order.
    #[must_use]
    pub fn current(&self) -> Vec<Ban> {
        self.0.guard.reputation.bans(self.0.clock.now())
    }

    /// Until when requests from an address are refused, or those from there that name a key; `None` if they are not.
    #[must_use]
    pub fn banned_until(&self, ip: IpAddr, api_key: Option<&str>, now: UnixNanos) -> Option<UnixNanos> {
        let reputation = &self.0.guard.reputation;
        let of_key = || reputation.key_banned_until(ip, api_key?, now);
        reputation.banned_until(ip, now).or_else(of_key)
    }

    /// Bans for a time, at most an hour, on behalf of somebody; what is open ends at once.
    ///
    /// # Errors
    /// [`BanError`].
    pub fn ban(&self, target: &BanTarget, ttl: Duration, by: Option<Actor>) -> Result<Ban, BanError> {
        if let BanTarget::Operator(asn) = *target
            && !self.0.guard.reputation.knows_operator(asn)
        {
            return Err(BanError::Operator { asn });
        }
        let ban = self.0.guard.reputation.ban(target.target()?, ttl, by, self.0.clock.now())?;
        self.0.observer.banned(&ban);
        self.0.guard.carry_out(&ban);
        Ok(ban)
    }

    /// Takes in a ban that was made before a restart; as it is in force, if it is. Nobody is told: it was told when it
    /// was made. Where nobody keeps a score ([`AbuseMode::Off`]), only what an operator banned is in force.
    pub fn restore(&self, ban: Ban) -> Option<Ban> {
        let restored = self.0.guard.reputation.restore(ban, self.0.clock.now());
        if let Some(ban) = &restored {
            self.0.guard.carry_out(ban);
        }
        restored
    }

    /// Ends a ban on behalf of somebody; whether there was one.
    ///
    /// # Errors
    /// [`BanError::Net`].
    pub fn lift(&self, target: &BanTarget, by: Option<&Actor>) -> Result<bool, BanError> {
        let target = target.target()?;
        let lifted = self.0.guard.reputation.lift(&target);
        if lifted {
            self.0.observer.lifted(&target, by, self.0.clock.now());
        }
        Ok(lifted)
    }

    /// What was decided since the start.
    #[must_use]
    pub fn counts(&self) -> ReputationCounts {
        self.0.guard.reputation.counts()
    }

    /// The sources with the most events lately, with estimates of how many, most first.
    #[must_use]
    pub fn heaviest(&self) -> Vec<(Source, u32)> {
        self.0.guard.reputation.heaviest()
    }

    /// Memory of scores and bans.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.0.guard.reputation.memory_bytes()
    }

    /// Puts another mode in force for what is to come. Bans stay until they end.
    pub fn set_mode(&self, mode: AbuseMode) {
        self.0.guard.set_mode(mode);
    }

    /// Puts another table of operators in place.
    pub fn set_asn_table(&self, table: Arc<AsnTable>) {
        self.0.guard.reputation.set_asn_table(table);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::pipeline::limits::Policy;

    /// Resident memory of this process in bytes (proc(5), `statm`).
    fn resident_bytes() -> u64 {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        4_096 * text.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
    }

    /// Ten million sources with a key of their own each, all of them guessing: what is kept of them has a bound.
    #[test]
    #[ignore = "some minutes without optimization"]
    fn ten_million_strangers_leave_little_behind() {
        let config = crate::Config::new("127.0.0.1:0".parse().unwrap(), "127.0.0.1:1");
        let before = resident_bytes();
        let guard = Guard::new(&config.abuse, Arc::new(Census::new(1, 1)), 7);
        let policy = Policy::new(config.routes, &config.limits, 7).unwrap();
        let mut banned = 0;
        for i in 0..10_000_000_u32 {
            // Ten minutes' worth.
            let now = UnixNanos(1_000_000_000_000 + u64::from(i) * 60_000);
            let ip = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + i));
            let api_key = format!("key-{i}");
            drop(policy.source(Source::of(ip), now));
            let sighting = Sighting { peer: Proven::by_handshake(ip), api_key: Some(&api_key), ja4: None };
            banned += guard.reputation.record(sighting, admission::reputation::Event::UnknownKey, now).len();
        }
        let grown = resident_bytes().saturating_sub(before);
        eprintln!("{} MB more for ten million sources and keys, {banned} bans", grown >> 20);
        assert!(grown < 100 << 20, "{grown} bytes");
    }
}
