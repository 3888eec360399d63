//! Overload and abuse: what the configuration says to the gateway, and what becomes of its bans.
//!
//! Each ban is journalled, and told to the process that drops packets where one is configured. Both happen beside the
//! requests: the gateway refuses by itself whatever becomes of either.

use std::{fs, path::Path, sync::Arc, time::Duration};

use admission::reputation::AsnTable;
use bouncer::decisions;
use domain::{Actor, Subject, UnixNanos};
use gateway::{
    Ban, BanTarget, Bans, Target,
    route::{Class, Handling, Route, Verb},
};
use ipnet::IpNet;
use journal::{
    Draft, Kind,
    record::{self, BanEvent},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    config::{self, Config},
    control::{BansImported, ListedBan},
    exit::{Exit, Failure},
    ground::{FoundBans, Ground},
};

/// Bans waiting to be journalled: more than may be new in a second.
pub(crate) const NEWS_MAX: usize = 4_096;
/// Longest file of operators (ASN) that is read, in bytes.
const ASN_FILE_BYTES_MAX: u64 = 256 << 20;

/// What happened to a target.
#[derive(Debug, Clone)]
pub enum News {
    /// It was banned, or would have been.
    Banned(Ban),
    /// An operator let it in again.
    Lifted(Target, Option<Actor>, UnixNanos),
}

/// What the gateway is told.
pub(crate) fn settings(config: &Config) -> gateway::Abuse {
    let config::Abuse { mode, challenge, challenge_bits, .. } = &config.abuse;
    let mut abuse = gateway::Abuse {
        mode: *mode,
        challenge: gateway::Challenge { mode: *challenge, bits: *challenge_bits },
        ..gateway::Abuse::default()
    };
    abuse.reputation.never_ban.extend(&config.bans.never);
    abuse
}

/// The pages that browsers ask for, as lines of the table of routes.
pub(crate) fn pages(config: &Config) -> impl Iterator<Item = Route> {
    config.abuse.challenge_paths.iter().map(|path| Route {
        handling: Handling::Browser,
        criticality: Class::Public.criticality(Handling::Browser),
        ..Route::new(Verb::Any, path, Class::Public).drawing_on(&["public"])
    })
}

/// Reads the table of operators, where one is configured.
///
/// # Errors
/// [`Failure`] naming file and line.
pub(crate) fn asn_table(file: Option<&Path>) -> Result<Option<Arc<AsnTable>>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let bytes = fs::metadata(file).map_err(|error| Failure::io(file.display(), error))?.len();
    if bytes > ASN_FILE_BYTES_MAX {
        return Err(Failure::new(
            Exit::Input,
            format!("{}: {bytes} bytes, at most {ASN_FILE_BYTES_MAX} are read", file.display()),
        ));
    }
    let text = fs::read_to_string(file).map_err(|error| Failure::io(file.display(), error))?;
    let table = AsnTable::parse(&text)
        .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", file.display())))?;
    Ok(Some(Arc::new(table)))
}

/// Puts bans of before the start in force again, and has their packets dropped for what is left of them.
pub(crate) fn restore(found: FoundBans, bans: &Bans, helper: Option<&bouncer::Client>, now: UnixNanos) {
    let mut n_restored = 0_u64;
    for ban in found.into_bans(now) {
        let Some(ban) = bans.restore(ban) else { continue };
        n_restored += 1;
        if let Some(helper) = helper {
            pass_on(helper, &News::Banned(Ban { since: now, ..ban }));
        }
    }
    if n_restored > 0 {
        tracing::info!(bans = n_restored, "bans of before the start are in force again");
    }
}

/// Journals bans and passes them on until `end`, and what had happened by then.
pub(crate) async fn record(
    ground: Arc<Ground>,
    helper: Option<bouncer::Client>,
    mut news: mpsc::Receiver<News>,
    mut end: oneshot::Receiver<()>,
) {
    let mut batch = Vec::new();
    let mut ends = false;
    while !ends {
        tokio::select! {
            biased;
            n = news.recv_many(&mut batch, NEWS_MAX) => ends = n == 0,
            // A sender that is gone says the same.
            _ = &mut end => {
                ends = true;
                while let Ok(last) = news.try_recv() {
                    batch.push(last);
                }
            }
        }
        if batch.is_empty() {
            continue;
        }
        if let Some(helper) = &helper {
            batch.iter().for_each(|news| pass_on(helper, news));
        }
        let drafts: Vec<Draft> = batch.drain(..).map(|news| draft(&news)).collect();
        if let Err(error) = ground.record(drafts).await {
            tracing::error!(%error, "bans were not recorded");
        }
    }
}

fn draft(news: &News) -> Draft {
    let (at, record) = match news {
        News::Banned(ban) => (
            ban.since,
            record::Ban {
                what: if ban.enforced { BanEvent::Banned } else { BanEvent::Shadow },
                target: ban.target.to_string(),
                reason: ban.reason.map(|reason| reason.label().to_owned()),
                evidence: ban
                    .evidence
                    .seen()
                    .map(|(event, count)| (event.label().to_owned(), u64::from(count)))
                    .collect(),
                score: u64::from(ban.score),
                until: ban.until,
                strikes: u64::from(ban.strikes),
                by: ban.by.clone(),
            },
        ),
        News::Lifted(target, by, at) => (
            *at,
            record::Ban {
                what: BanEvent::Lifted,
                target: target.to_string(),
                reason: None,
                evidence: Vec::new(),
                score: 0,
                until: *at,
                strikes: 0,
                by: by.clone(),
            },
        ),
    };
    Draft { at, subject: Subject::System, kind: Kind::Ban, payload: record.encode() }
}

/// The network that a target is, if it is one.
fn net_of(target: &Target) -> Option<bouncer::Prefix> {
    let net = match target {
        Target::Source(source) => source.net(),
        Target::Prefix(prefix) => prefix.net(),
        _ => return None,
    };
    bouncer::Prefix::new(net).ok()
}

fn as_packets(ban: &Ban) -> Option<bouncer::Ban> {
    let reason = ban.reason.map_or("operator", admission::reputation::Event::label);
    (ban.enforced).then_some(())?;
    Some(bouncer::Ban {
        prefix: net_of(&ban.target)?,
        ttl: bouncer::Ttl::clamp(ban.ttl().as_secs()),
        reason: bouncer::Reason::of(reason),
    })
}

fn pass_on(helper: &bouncer::Client, news: &News) {
    match news {
        News::Banned(ban) => {
            if let Some(ban) = as_packets(ban)
                && helper.ban(ban).is_err()
            {
                tracing::warn!("a ban was not passed on: too many wait");
            }
        }
        News::Lifted(target, ..) => {
            if let Some(prefix) = net_of(target) {
                helper.lift(&prefix);
            }
        }
    }
}

/// What somebody names: an address or network, a network operator, or a key at an address.
fn target(net: &str, api_key: Option<&str>) -> Result<BanTarget, Failure> {
    let bad = || {
        let message =
            format!("{net:?} is no address, no network such as 192.0.2.0/24 and no operator such as AS64500");
        Failure::new(Exit::Input, message)
    };
    if let (Some(asn), None) = (net.strip_prefix("AS"), api_key) {
        return asn.parse().map(BanTarget::Operator).map_err(|_| bad());
    }
    let net: IpNet =
        net.parse().or_else(|_| net.parse::<std::net::IpAddr>().map(IpNet::from)).map_err(|_| bad())?;
    match api_key {
        None => Ok(BanTarget::Net(net)),
        Some(api_key) => {
            let api_key = domain::ApiKeyId::parse(api_key)
                .map_err(|error| Failure::new(Exit::Input, format!("{api_key:?}: {error}")))?;
            Ok(BanTarget::KeyAtSource(api_key, net.addr()))
        }
    }
}

/// Whether a text names something to ban.
///
/// # Errors
/// [`Failure`] for what is no target.
pub(crate) fn is_target(net: &str) -> Result<(), Failure> {
    target(net, None).map(drop)
}

/// A ban's target as it is listed: the network, and the key where only that is sent away.
pub(crate) fn as_listed(text: &str) -> (&str, Option<&str>) {
    let key_at = || text.strip_prefix("key \"")?.rsplit_once("\" at ");
    key_at().map_or((text, None), |(key, net)| (net, Some(key)))
}

fn refused(error: &gateway::BanError) -> Failure {
    Failure::new(Exit::Input, error.to_string())
}

fn listed(ban: &Ban) -> ListedBan {
    ListedBan {
        target: ban.target.to_string(),
        reason: ban.reason.map_or("operator", admission::reputation::Event::label).to_owned(),
        evidence: ban
            .evidence
            .seen()
            .map(|(event, count)| (event.label().to_owned(), u64::from(count)))
            .collect(),
        score: (ban.reason.is_some()).then_some(ban.score),
        since: ban.since.to_string(),
        until: ban.until.to_string(),
        strikes: ban.strikes,
        by: ban.by.as_ref().map(ToString::to_string),
        in_force: ban.enforced,
    }
}

/// Bans as an operator sees them, the next to end first.
pub(crate) fn list(bans: &Bans) -> Vec<ListedBan> {
    let mut current = bans.current();
    current.sort_by_key(|ban| ban.until);
    current.iter().map(listed).collect()
}

/// Bans by hand.
///
/// # Errors
/// [`Failure`] for what is no target, or never banned.
pub(crate) fn add(
    bans: &Bans,
    (net, api_key): (&str, Option<&str>),
    minutes: u64,
    by: Actor,
) -> Result<ListedBan, Failure> {
    let target = target(net, api_key)?;
    let ban = bans.ban(&target, Duration::from_secs(minutes.saturating_mul(60)), Some(by));
    ban.map(|ban| listed(&ban)).map_err(|error| refused(&error))
}

/// Lets in again; whether there was a ban.
///
/// # Errors
/// [`Failure`] for what is no target.
pub(crate) fn lift(bans: &Bans, (net, api_key): (&str, Option<&str>), by: &Actor) -> Result<bool, Failure> {
    bans.lift(&target(net, api_key)?, Some(by)).map_err(|error| refused(&error))
}

/// Bans of addresses and networks that are in force, in the JSON form of CrowdSec's local API.
pub(crate) fn export(bans: &Bans, now: UnixNanos) -> String {
    let left = |mut ban: Ban| {
        ban.since = now;
        as_packets(&ban)
    };
    decisions::write(&bans.current().into_iter().filter_map(left).collect::<Vec<_>>())
}

/// Takes in a list in that form.
///
/// # Errors
/// [`Failure`] when the file cannot be read; single decisions that cannot be taken in are counted.
pub(crate) fn import(bans: &Bans, file: &Path) -> Result<BansImported, Failure> {
    let bytes = fs::metadata(file).map_err(|error| Failure::io(file.display(), error))?.len();
    let fits = usize::try_from(bytes).is_ok_and(|bytes| bytes <= decisions::DECISIONS_BYTES_MAX);
    if !fits {
        return Err(Failure::new(Exit::Input, format!("{}: too long", file.display())));
    }
    let text = fs::read_to_string(file).map_err(|error| Failure::io(file.display(), error))?;
    let read = decisions::read(&text)
        .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", file.display())))?;
    let mut imported =
        BansImported { skipped: u64::try_from(read.n_skipped).unwrap_or(u64::MAX), ..Default::default() };
    for decision in &read.new {
        let ttl = Duration::from_secs(decision.seconds);
        match bans.ban(&BanTarget::Net(decision.prefix.net()), ttl, Some(Actor::operator())) {
            Ok(_) => imported.banned += 1,
            Err(error) => {
                tracing::warn!(prefix = %decision.prefix, %error, "not banned");
                imported.skipped += 1;
            }
        }
    }
    for prefix in &read.deleted {
        match bans.lift(&BanTarget::Net(prefix.net()), Some(&Actor::operator())) {
            Ok(lifted) => imported.lifted += u64::from(lifted),
            Err(_) => imported.skipped += 1,
        }
    }
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use bouncer::{Limits, Server, Setup, Table, client::BATCH_EVERY};
    use domain::{Clock as _, ManualClock};

    use super::*;

    fn ban(target: Target, enforced: bool) -> Ban {
        let now = UnixNanos::from_secs(1_000);
        Ban {
            target,
            reason: Some(admission::reputation::Event::BadSignature),
            by: None,
            evidence: admission::reputation::Evidence::default(),
            score: 100,
            since: now,
            until: now.plus(Duration::from_secs(60)),
            strikes: 0,
            enforced,
        }
    }

    /// A ban reaches the packet filter, one of the shadow mode and one of a key do not, and a lifted one leaves it.
    #[test]
    fn bans_are_passed_on_to_the_packet_filter() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, script) = (dir.path().join("socket"), dir.path().join("script"));
        let clock = Arc::new(ManualClock::new(UnixNanos::from_secs(1_000)));
        let table = Table::new(Limits::default(), Setup::default(), clock.now());
        let firewall = Box::new(bouncer::DryRun(fs::File::create(&script).unwrap()));
        let uid = rustix::process::geteuid().as_raw();
        let mut server = Server::start(&socket, uid, BATCH_EVERY, table, firewall, clock.clone()).unwrap();
        let serving = std::thread::spawn(move || server.serve_next().map(drop));
        let helper = bouncer::Client::start(socket, Duration::from_millis(5), clock).unwrap();

        let source = |ip: &str| admission::reputation::Source::of(ip.parse().unwrap());
        let bad = Target::Source(source("192.0.2.7"));
        let key = Target::KeyAtSource { api_key: "k".into(), source: source("192.0.2.8") };
        for news in [ban(bad.clone(), true), ban(Target::Source(source("192.0.2.9")), false), ban(key, true)]
        {
            pass_on(&helper, &News::Banned(news));
        }
        let wait = |in_force: usize| {
            for _ in 0..4_000 {
                if helper.status().connected && helper.status().in_force == in_force {
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
            panic!("{:?}", helper.status());
        };
        wait(1);
        pass_on(&helper, &News::Lifted(bad, None, UnixNanos::from_secs(1_001)));
        wait(0);
        drop(helper);
        serving.join().unwrap().unwrap();
        let said = fs::read_to_string(script).unwrap();
        assert!(said.contains("add element inet caponier ban4 { 192.0.2.7 timeout 60s }"), "{said}");
        assert!(!said.contains("192.0.2.8") && !said.contains("192.0.2.9"), "{said}");
    }
}
