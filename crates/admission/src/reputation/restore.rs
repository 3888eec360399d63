//! Bans written down and taken in again: a target as its text, and a ban of before a restart.
//!
//! Whoever keeps bans keeps the text of their [`Target`]; [`Target::parse`] reads exactly what its `Display` wrote and
//! nothing else. [`Reputation::restore`] judges anew whether a ban may be in force: the never-ban list and the mode are
//! those of now, and no ban ends later than [`TTL_MAX`] from now, whatever was written.

use std::sync::atomic::Ordering::Relaxed;

use domain::UnixNanos;
use ipnet::IpNet;

use super::{Ban, Event, Evidence, KEY_BYTES_MAX, Reputation, Source, TTL_MAX, Target};

/// What comes before a key id in the text of a target.
const KEY: &str = "key ";
/// What comes between a key id and a source.
const AT: &str = " at ";

impl Target {
    /// Reads what `Display` wrote; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let target = match text.strip_prefix(KEY) {
            // A source holds no spaces, so the last ` at ` is ours.
            Some(rest) => {
                let (quoted, source) = rest.rsplit_once(AT)?;
                let api_key = unquoted(quoted)?;
                Self::KeyAtSource { api_key: api_key.into(), source: source_of(source)? }
            }
            None => match text.parse::<IpNet>() {
                Ok(net) if matches!((net, net.prefix_len()), (IpNet::V4(_), 24) | (IpNet::V6(_), 48)) => {
                    Self::Prefix(Source::of(net.addr()).prefix())
                }
                _ => Self::Source(source_of(text)?),
            },
        };
        // One spelling: bits behind a prefix, other escapes or a mapped address would be a second one.
        (target.to_string() == text).then_some(target)
    }
}

/// A source from its text: an IPv4 address, or an IPv6 /64.
fn source_of(text: &str) -> Option<Source> {
    match text.parse::<IpNet>() {
        Ok(net) => (net.prefix_len() == 64).then(|| Source::of(net.addr())),
        Err(_) => text.parse().ok().map(Source::of),
    }
}

/// The text of a Rust string literal as `{:?}` writes it, at most [`KEY_BYTES_MAX`] bytes.
fn unquoted(literal: &str) -> Option<String> {
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut text = String::new();
    while let Some(next) = rest.next() {
        text.push(match next {
            '"' => return None,
            '\\' => match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let (digits, after) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                    rest = after.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                quoted @ ('"' | '\\' | '\'') => quoted,
                _ => return None,
            },
            plain => plain,
        });
        if text.len() > KEY_BYTES_MAX {
            return None;
        }
    }
    Some(text)
}

impl Event {
    /// Reads a [`label`](Self::label).
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.label() == label)
    }
}

impl FromIterator<(Event, u16)> for Evidence {
    /// Of an event that is there twice the last count holds.
    fn from_iter<T: IntoIterator<Item = (Event, u16)>>(counts: T) -> Self {
        let mut evidence = Self::default();
        for (event, count) in counts {
            evidence.set(event, count);
        }
        evidence
    }
}

impl Reputation {
    /// Puts a ban of before a restart in force again, for what is left of it. One that has ended is remembered only to
    /// make the next one longer. In shadow mode what was decided by score goes on as a shadow; what an operator banned
    /// stays banned. Gives the ban as it is in force, if it is.
    pub fn restore(&self, ban: Ban, now: UnixNanos) -> Option<Ban> {
        if self.is_spared(&ban.target) {
            return None;
        }
        let by_operator = ban.reason.is_none();
        let ban = Ban {
            until: ban.until.min(now.plus(TTL_MAX)),
            enforced: ban.enforced && (by_operator || !self.shadow.load(Relaxed)),
            ..ban
        };
        let (shard_print, print) = self.prints(&ban.target);
        let is_kept = self.bans.insert(shard_print, print, ban.clone(), now);
        (is_kept && ban.enforced && now < ban.until).then_some(ban)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::reputation::ReputationConfig;

    const NOW: UnixNanos = UnixNanos::from_secs(1_000_000);

    fn source(ip: &str) -> Source {
        Source::of(ip.parse().unwrap())
    }

    fn ban(ip: &str, reason: Option<Event>, seconds: u64) -> Ban {
        Ban {
            target: Target::Source(source(ip)),
            reason,
            by: None,
            evidence: [(Event::BadSignature, 20)].into_iter().collect(),
            score: 100,
            since: UnixNanos::from_secs(999_990),
            until: UnixNanos::from_secs(seconds),
            strikes: 2,
            enforced: true,
        }
    }

    #[test]
    fn only_what_was_written_is_read() {
        for target in [
            Target::Source(source("192.0.2.7")),
            Target::Source(source("2001:db8::1")),
            Target::Prefix(source("192.0.2.7").prefix()),
            Target::Prefix(source("2001:db8::1").prefix()),
            Target::KeyAtSource { api_key: "a\" at 1.2.3.4\u{7f}\u{301}\n'\\".into(), source: source("::1") },
        ] {
            assert_eq!(Target::parse(&target.to_string()), Some(target.clone()), "{target}");
        }
        for text in [
            "",
            "AS",
            "AS064500",
            "AS+1",
            "as1",
            "AS4294967296",
            "192.0.2.0/25",
            "192.0.2.7/24",
            "192.0.2.7/32",
            "::ffff:192.0.2.7",
            "2001:db8::/32",
            "2001:db8::1",
            "key \"a\" at 192.0.2.0/24",
            "key \"a at 192.0.2.7",
            "key \"\\x41\" at 192.0.2.7",
            "key \"a\"b\" at ::/64",
            "key \"\\u{41}\" at 192.0.2.7",
            "192.0.2.7 ",
        ] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_ban_goes_on_where_it_was() {
        let reputation = Reputation::new(ReputationConfig::default(), 7);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(reputation.restore(ban("192.0.2.7", Some(Event::Slow), 1_000_030), NOW).is_some());
        assert!(reputation.restore(ban("192.0.2.8", Some(Event::Slow), 999_999), NOW).is_none());
        assert!(reputation.restore(ban("127.0.0.1", None, 1_000_030), NOW).is_none());
        assert_eq!(reputation.banned_until(address("192.0.2.7"), NOW), Some(UnixNanos::from_secs(1_000_030)));
        assert!(reputation.banned_until(address("192.0.2.7"), NOW.plus(Duration::from_secs(30))).is_none());
        assert!(
            !reputation.is_banned(address("192.0.2.8"), NOW)
                && !reputation.is_banned(address("127.0.0.1"), NOW)
        );
        // What has ended makes the next one longer: it is the fourth.
        let again =
            reputation.ban(Target::Source(source("192.0.2.8")), Duration::from_secs(60), None, NOW).unwrap();
        assert_eq!(again.strikes, 3);
        // However long it is said to last.
        let far = reputation.restore(ban("192.0.2.9", None, 9_999_999), NOW).unwrap();
        assert_eq!(far.until, NOW.plus(TTL_MAX));
        // Restored bans are none that were decided now.
        assert_eq!(reputation.counts().bans, 1);
    }

    #[test]
    fn the_mode_is_that_of_now() {
        let config = ReputationConfig { shadow: true, ..ReputationConfig::default() };
        let reputation = Reputation::new(config, 7);
        assert!(reputation.restore(ban("192.0.2.7", Some(Event::Slow), 1_000_030), NOW).is_none());
        assert!(reputation.restore(ban("192.0.2.8", None, 1_000_030), NOW).is_some());
        let current = reputation.bans(NOW);
        assert_eq!(current.iter().filter(|ban| ban.enforced).count(), 1);
        assert_eq!(current.len(), 2);
    }

    proptest! {
        #[test]
        fn every_key_id_comes_back(api_key in "\\PC{0,20}|[\\x00-\\x7f]{0,20}", ip in any::<u32>()) {
            let target = Target::KeyAtSource { api_key: api_key.into(), source: Source::of(IpAddr::from(ip.to_be_bytes())) };
            prop_assert_eq!(Target::parse(&target.to_string()), Some(target));
        }

        #[test]
        fn hostile_texts_are_no_targets_or_their_own(text in "(key )?[\"\\\\a-u{}0-9]{0,12}( at )?[0-9a-f.:/]{0,20}") {
            if let Some(target) = Target::parse(&text) {
                prop_assert_eq!(target.to_string(), text);
            }
        }
    }
}
