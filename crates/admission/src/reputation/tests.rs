use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(10_000);

fn reputation(change: impl FnOnce(&mut ReputationConfig)) -> Reputation {
    let mut config = ReputationConfig::default();
    change(&mut config);
    Reputation::new(config, 7)
}

fn at(ip: &str) -> Sighting<'static> {
    Sighting { peer: Proven::by_handshake(ip.parse().unwrap()), api_key: None, ja4: None }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The same event again and again, `per_second` times: the first ban and how long it took.
fn onset(
    reputation: &Reputation,
    who: Sighting<'_>,
    event: Event,
    per_second: u64,
) -> Option<(Ban, Duration)> {
    (0..per_second * 60).find_map(|i| {
        let now = UnixNanos(NOW.0 + i * 1_000_000_000 / per_second);
        let ban = reputation.record(who, event, now).into_iter().next()?;
        Some((ban, now.since(NOW)))
    })
}

#[test]
fn a_flood_is_banned_within_two_seconds_and_let_in_after_a_minute() {
    for (event, per_second) in [
        (Event::BadSignature, 12),
        (Event::UnknownKey, 12),
        (Event::Malformed, 6),
        (Event::Replay, 3),
        (Event::HandshakeFailure, 12),
        (Event::Slow, 6),
        (Event::H2Violation, 2),
        (Event::RefusedRoute, 12),
        (Event::RateLimited, 60),
    ] {
        let reputation = reputation(|_| {});
        let (ban, after) = onset(&reputation, at("192.0.2.1"), event, per_second).unwrap();
        assert!(after <= Duration::from_secs(2), "{event:?} after {after:?}");
        assert_eq!(ban.target, Target::Source(Source::of(ip("192.0.2.1"))));
        assert_eq!((ban.reason, ban.strikes, ban.enforced), (Some(event), 0, true));
        assert_eq!(ban.ttl(), Duration::from_secs(60));
        assert_eq!(ban.evidence.seen().collect::<Vec<_>>(), [(event, ban.evidence.of(event))]);
        assert!(reputation.is_banned(ip("192.0.2.1"), ban.since));
        assert!(reputation.is_banned(ip("::ffff:192.0.2.1"), ban.since));
        assert!(!reputation.is_banned(ip("192.0.2.2"), ban.since));
        assert!(!reputation.is_banned(ip("192.0.2.1"), ban.until));
        assert_eq!(reputation.bans(ban.since), std::slice::from_ref(&ban));
        assert!(reputation.lift(&ban.target));
        assert!(!reputation.is_banned(ip("192.0.2.1"), ban.since));
        assert!(!reputation.lift(&ban.target));
    }
}

#[test]
fn an_occasional_mistake_is_never_banned() {
    let reputation = reputation(|_| {});
    for i in 0..5_000 {
        let now = NOW.plus(Duration::from_secs(5) * i);
        assert!(reputation.record(at("192.0.2.1"), Event::BadSignature, now).is_empty());
    }
    assert!(reputation.points(Source::of(ip("192.0.2.1")), NOW.plus(Duration::from_secs(25_000))) < 60);
}

#[test]
fn repetition_makes_bans_longer_up_to_an_hour() {
    let reputation = reputation(|_| {});
    let mut now = NOW;
    let mut ttls = Vec::new();
    for _ in 0..5 {
        let ban = (0..100)
            .find_map(|_| reputation.record(at("2001:db8::1"), Event::Malformed, now).into_iter().next())
            .unwrap();
        // Another address of the same subscriber, while it lasts: reported once.
        assert!(reputation.is_banned(ip("2001:db8::ffff"), now));
        for _ in 0..100 {
            assert!(reputation.record(at("2001:db8::2"), Event::Malformed, now).is_empty());
        }
        ttls.push(ban.ttl().as_secs());
        now = ban.until.plus(Duration::from_secs(400));
    }
    assert_eq!(ttls, [60, 240, 960, 3_600, 3_600]);
    let much_later = now.plus(Duration::from_secs(25 * 3_600));
    let ban = (0..100)
        .find_map(|_| reputation.record(at("2001:db8::1"), Event::Malformed, much_later).into_iter().next())
        .unwrap();
    assert_eq!((ban.strikes, ban.ttl().as_secs()), (0, 60));
}

/// One bad client behind an address that honest ones share.
#[test]
fn behind_a_shared_address_the_key_is_banned_and_not_the_address() {
    let reputation = reputation(|_| {});
    for i in 0..10 {
        reputation.succeeded(at("192.0.2.1"), NOW.minus(Duration::from_secs(20 - i)));
    }
    let bad = Sighting { api_key: Some("key-b"), ..at("192.0.2.1") };
    let mut bans = Vec::new();
    for i in 0..100_u64 {
        bans.extend(reputation.record(bad, Event::BadSignature, UnixNanos(NOW.0 + i * 20_000_000)));
    }
    let target = Target::KeyAtSource { api_key: "key-b".into(), source: Source::of(ip("192.0.2.1")) };
    assert_eq!(bans.iter().map(|ban| &ban.target).collect::<Vec<_>>(), [&target]);
    let now = NOW.plus(Duration::from_secs(3));
    assert!(!reputation.is_banned(ip("192.0.2.1"), now));
    assert!(reputation.key_banned_until(ip("192.0.2.1"), "key-b", now).is_some());
    assert_eq!(reputation.key_banned_until(ip("192.0.2.1"), "key-a", now), None);
    // Whoever knows the id of a key cannot lock out its owner, who is elsewhere.
    assert_eq!(reputation.key_banned_until(ip("198.51.100.1"), "key-b", now), None);
    // A flood without end is banned in spite of the successes.
    let (ban, _) = onset(&reputation, at("192.0.2.1"), Event::Malformed, 100).unwrap();
    assert_eq!(ban.target, Target::Source(Source::of(ip("192.0.2.1"))));
}

#[test]
fn successes_lower_the_score() {
    let reputation = reputation(|_| {});
    let source = Source::of(ip("192.0.2.1"));
    (0..10).for_each(|_| drop(reputation.record(at("192.0.2.1"), Event::BadSignature, NOW)));
    assert_eq!(reputation.points(source, NOW), 50);
    (0..20).for_each(|_| reputation.succeeded(at("192.0.2.1"), NOW));
    assert_eq!(reputation.points(source, NOW), 30);
    (0..100).for_each(|_| reputation.succeeded(at("192.0.2.1"), NOW));
    assert_eq!(reputation.points(source, NOW), 0);
}

#[test]
fn many_sources_of_a_network_ban_the_network() {
    let reputation = reputation(|_| {});
    let mut bans = Vec::new();
    for round in 0..15 {
        for host in 0..20 {
            let peer = Proven::by_handshake(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)));
            let who = Sighting { peer, api_key: None, ja4: None };
            let now = NOW.plus(Duration::from_millis(100 * round));
            bans.extend(reputation.record(who, Event::BadSignature, now));
        }
    }
    assert_eq!(bans[0].target, Target::Prefix(Source::of(ip("192.0.2.0")).prefix()));
    assert_eq!(bans[0].target.to_string(), "192.0.2.0/24");
    assert!(reputation.is_banned(ip("192.0.2.200"), NOW));
    assert!(!reputation.is_banned(ip("192.0.3.0"), NOW));
    // One source alone never does, however bad it is.
    let reputation = self::reputation(|config| config.source_points = u32::MAX / 1_000);
    for _ in 0..2_000 {
        assert!(reputation.record(at("192.0.2.1"), Event::Replay, NOW).is_empty());
    }
}

#[test]
fn nothing_on_the_never_ban_list_is_banned_nor_a_network_around_it() {
    let reputation = reputation(|config| {
        config.never_ban = vec!["192.0.2.7/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    });
    let mut bans = Vec::new();
    for _ in 0..100 {
        for host in 0..20 {
            let peer = Proven::by_handshake(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)));
            let who = Sighting { peer, api_key: None, ja4: None };
            bans.extend(reputation.record(who, Event::Replay, NOW));
        }
        bans.extend(reputation.record(at("2001:db8:1::1"), Event::Replay, NOW));
    }
    assert!(!bans.is_empty());
    assert!(!reputation.is_banned(ip("192.0.2.7"), NOW));
    assert!(bans.iter().all(|ban| matches!(ban.target, Target::Source(_))));
    assert_eq!(bans.len(), 19);
    assert!(reputation.counts().spared > 0);
    let target = Target::Prefix(Source::of(ip("192.0.2.9")).prefix());
    assert_eq!(reputation.ban(target, TTL_MAX, None, NOW), Err(BanRefused::NeverBan));
    let target = Target::Source(Source::of(ip("192.0.9.9")));
    let ban = reputation.ban(target, TTL_MAX * 9, None, NOW).unwrap();
    assert_eq!((ban.ttl(), ban.reason), (TTL_MAX, None));
    assert!(reputation.is_banned(ip("192.0.9.9"), NOW));
}

#[test]
fn shadow_mode_decides_reports_and_bans_nobody() {
    let reputation = reputation(|config| config.shadow = true);
    let (ban, _) = onset(&reputation, at("192.0.2.1"), Event::Malformed, 100).unwrap();
    assert!(!ban.enforced);
    assert!(!reputation.is_banned(ip("192.0.2.1"), ban.since));
    assert_eq!(reputation.bans(ban.since), std::slice::from_ref(&ban));
    // Reported once while it lasts.
    for _ in 0..1_000 {
        assert!(reputation.record(at("192.0.2.1"), Event::Malformed, ban.since).is_empty());
    }
    reputation.set_shadow(false);
    let (ban, _) = {
        let later = ban.until;
        let found = (0..100)
            .find_map(|_| reputation.record(at("192.0.2.1"), Event::Malformed, later).into_iter().next());
        (found.unwrap(), ())
    };
    assert!(ban.enforced);
    assert_eq!(ban.strikes, 1);
}

#[test]
fn a_bad_operator_or_fingerprint_halves_the_bar_of_strangers() {
    let reputation = reputation(|_| {});
    reputation.set_asn_table(Arc::new(AsnTable::parse("10.0.0.0/8 64496\n").unwrap()));
    let needed = |who: Sighting<'_>| {
        (1..100).find(|_| !reputation.record(who, Event::Malformed, NOW).is_empty()).unwrap()
    };
    assert_eq!(needed(at("10.0.0.1")), 10);
    for i in 0..200_u32 {
        let peer = Proven::by_handshake(IpAddr::from(Ipv4Addr::from(0x0a10_0000 + (i << 8))));
        reputation.record(Sighting { peer, api_key: None, ja4: Some("t13d") }, Event::Malformed, NOW);
    }
    assert_eq!(needed(at("10.99.0.1")), 5);
    assert_eq!(needed(at("11.99.0.1")), 10);
    assert_eq!(needed(Sighting { ja4: Some("t13d"), ..at("12.99.0.1") }), 5);
    assert_eq!(needed(Sighting { ja4: Some("t12d"), ..at("13.99.0.1") }), 10);
}

#[test]
fn new_bans_are_limited_in_rate_and_number() {
    let reputation = reputation(|config| {
        config.new_bans = Quota::new(100, Duration::from_secs(1)).unwrap();
        config.bans_max = 160;
    });
    let bans_of = |range: std::ops::Range<u32>, n: u32, now: UnixNanos| -> usize {
        range
            .map(|i| {
                let peer = Proven::by_handshake(IpAddr::from(Ipv4Addr::from(0x0a00_0000 + (i << 8))));
                let who = Sighting { peer, api_key: None, ja4: None };
                (0..n).map(|_| reputation.record(who, Event::H2Violation, now).len()).sum::<usize>()
            })
            .sum()
    };
    assert_eq!(bans_of(0..300, 2, NOW), 100);
    assert_eq!(reputation.counts(), ReputationCounts { bans: 100, spared: 0, suppressed: 200 });
    for second in 1..20 {
        bans_of(second * 1_000..second * 1_000 + 300, 2, NOW.plus(Duration::from_secs(u64::from(second))));
        assert!(reputation.n_bans_remembered() <= 160);
    }
    assert!(reputation.n_bans_remembered() >= 150);
}

/// The i-th of very many sources: IPv4 and IPv6 in turn.
fn stranger(i: u32) -> Proven {
    let scattered = i.wrapping_mul(0x9e37_79b1);
    Proven::by_handshake(if i.is_multiple_of(2) {
        Ipv4Addr::from(scattered).into()
    } else {
        Ipv6Addr::from(u128::from(scattered) << 64).into()
    })
}

fn flood(n: u32) -> Reputation {
    let reputation = reputation(|_| {});
    let attacker = at("203.0.113.9");
    (0..19).for_each(|_| drop(reputation.record(attacker, Event::BadSignature, NOW)));
    let memory = reputation.memory_bytes();
    for i in 0..n {
        let api_key = format!("key-{i}");
        let who = Sighting { peer: stranger(i), api_key: Some(&api_key), ja4: None };
        reputation.record(who, Event::UnknownKey, UnixNanos(NOW.0 + u64::from(i)));
    }
    // Networks of strangers may be banned; the score tables are what they were.
    let bans_bytes = reputation.bans.memory_bytes();
    assert_eq!(reputation.memory_bytes() - bans_bytes, memory);
    assert!(memory < 20 << 20, "{memory}");
    assert!(bans_bytes < 30 << 20, "{bans_bytes}");
    // The attacker is not forgotten in the flood.
    let ban = reputation.record(attacker, Event::BadSignature, UnixNanos(NOW.0 + u64::from(n)));
    assert_eq!(ban.len(), 1);
    reputation
}

#[test]
fn a_flood_of_strangers_neither_grows_it_nor_hides_an_attacker() {
    flood(300_000);
}

#[test]
#[ignore = "half a minute without optimisation"]
fn ten_million_strangers_fit_into_a_hundred_megabytes() {
    let resident = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    };
    let before = resident();
    let reputation = flood(10_000_000);
    let grown = resident().saturating_sub(before);
    eprintln!(
        "10,000,000 sources and keys: {grown} kB resident, {} bytes of tables",
        reputation.memory_bytes()
    );
    assert!(grown < 100 << 10, "{grown} kB");
}

#[test]
fn a_full_table_of_bans_is_bounded_in_memory() {
    let reputation = reputation(|config| config.bans_max = 10_000);
    for i in 0..40_000_u32 {
        let peer = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + i));
        // Of equal scores the newcomer takes the place of another.
        assert!(reputation.ban(Target::Source(Source::of(peer)), TTL_MAX, None, NOW).is_ok());
    }
    assert!(reputation.n_bans_remembered() <= 10_000);
    let bytes = reputation.bans.memory_bytes();
    assert!(bytes < 10_000 * 2 * 250, "{bytes}");
}

#[test]
fn people_ban_operators_and_spare_whom_the_list_names() {
    let reputation = reputation(|config| config.never_ban.push("203.0.113.8/32".parse().unwrap()));
    let table = AsnTable::parse("203.0.113.0/24 64500\n2001:db8::/32 AS64500\n192.0.2.0/24,64501\n").unwrap();
    reputation.set_asn_table(Arc::new(table));
    assert!(
        reputation.knows_operator(64_500)
            && !reputation.knows_operator(64_502)
            && !reputation.knows_operator(0)
    );
    let target = Target::Operator(64_500);
    let minute = Duration::from_secs(60);
    let ban = reputation.ban(target.clone(), minute, None, NOW).unwrap();
    assert_eq!((ban.target.to_string(), ban.enforced), ("AS64500".to_owned(), true));
    let until = |ip: &str, now| reputation.banned_until(ip.parse().unwrap(), now);
    for (ip, is_banned) in [
        ("203.0.113.7", true),
        ("2001:db8::1", true),
        ("203.0.113.8", false),
        ("192.0.2.1", false),
        ("198.51.100.1", false),
    ] {
        assert_eq!(until(ip, NOW), is_banned.then(|| NOW.plus(minute)), "{ip}");
    }
    assert_eq!(until("203.0.113.7", NOW.plus(minute)), None);
    assert!(reputation.lift(&target));
    assert_eq!(until("203.0.113.7", NOW), None);
}
