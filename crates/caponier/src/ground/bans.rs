//! Bans found in the journal on start, for the gateway to put in force again.
//!
//! Collected while the journal is replayed and taken once; a ban that ended long before the newest entry is of no use to
//! anybody and is dropped on the way. Bound: [`BANS_MAX`] targets, those that end first are dropped.

use std::{collections::BTreeMap, time::Duration};

use admission::reputation::{Ban, Event, Target};
use domain::UnixNanos;
use journal::record::{self, BanEvent};

/// Most bans remembered: as many as the gateway keeps.
const BANS_MAX: usize = 100_000;
/// How long a ban that has ended still makes the next one longer.
const STRIKES_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// The newest ban of each target.
#[derive(Debug, Default)]
pub struct FoundBans {
    by_target: BTreeMap<String, Ban>,
}

impl FoundBans {
    /// Takes in one entry, recorded at `at`. A target of a form not known here is left out.
    pub(super) fn apply(&mut self, record: record::Ban, at: UnixNanos) {
        if record.what == BanEvent::Lifted {
            self.by_target.remove(&record.target);
            return;
        }
        let Some(target) = Target::parse(&record.target) else { return };
        let count = |count: u64| u16::try_from(count).unwrap_or(u16::MAX);
        let seen = |(label, n): &(String, u64)| Some((Event::parse(label)?, count(*n)));
        // A ban for a reason that is not known any more stays one that was decided by score.
        let reason = record.reason.as_deref().map(|label| Event::parse(label).unwrap_or(Event::Malformed));
        let ban = Ban {
            target,
            reason,
            by: record.by,
            evidence: record.evidence.iter().filter_map(seen).collect(),
            score: u32::try_from(record.score).unwrap_or(u32::MAX),
            since: at,
            until: record.until,
            strikes: u32::try_from(record.strikes).unwrap_or(u32::MAX),
            enforced: record.what == BanEvent::Banned,
        };
        self.by_target.insert(record.target, ban);
        // Now and then, so that each entry costs little.
        if self.by_target.len() >= 2 * BANS_MAX {
            self.prune(at);
        }
    }

    /// Those that may still matter at `now`, the first to end first.
    pub fn into_bans(mut self, now: UnixNanos) -> Vec<Ban> {
        self.prune(now);
        let mut bans: Vec<Ban> = self.by_target.into_values().collect();
        bans.sort_by_key(|ban| ban.until);
        bans
    }

    fn prune(&mut self, now: UnixNanos) {
        self.by_target.retain(|_, ban| now < ban.until.plus(STRIKES_KEPT));
        let over = self.by_target.len().saturating_sub(BANS_MAX);
        if over > 0 {
            let mut ends: Vec<(UnixNanos, String)> =
                self.by_target.iter().map(|(target, ban)| (ban.until, target.clone())).collect();
            ends.sort_unstable();
            for (_, target) in ends.into_iter().take(over) {
                self.by_target.remove(&target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixNanos = UnixNanos::from_secs(1_000_000);

    fn at(seconds: u64) -> UnixNanos {
        START.plus(Duration::from_secs(seconds))
    }

    fn entry(what: BanEvent, target: &str, until: u64) -> record::Ban {
        record::Ban {
            what,
            target: target.to_owned(),
            reason: Some("bad_signature".to_owned()),
            evidence: vec![("bad_signature".to_owned(), 70_000), ("of the future".to_owned(), 1)],
            score: 100,
            until: at(until),
            strikes: 1,
            by: None,
        }
    }

    #[test]
    fn the_last_word_about_a_target_holds() {
        let mut found = FoundBans::default();
        let key = "key \"k\" at 192.0.2.9";
        for (what, target, from, until) in [
            (BanEvent::Banned, "192.0.2.7", 0, 60),
            (BanEvent::Banned, "192.0.2.7", 61, 301),
            (BanEvent::Banned, "192.0.2.8", 61, 121),
            (BanEvent::Lifted, "192.0.2.8", 70, 70),
            (BanEvent::Shadow, key, 70, 130),
            (BanEvent::Banned, "a target of the future", 70, 130),
        ] {
            found.apply(entry(what, target, until), at(from));
        }
        let bans = found.into_bans(at(100));
        let seen: Vec<_> =
            bans.iter().map(|ban| (ban.target.to_string(), ban.since, ban.until, ban.enforced)).collect();
        assert_eq!(
            seen,
            [(key.to_owned(), at(70), at(130), false), ("192.0.2.7".to_owned(), at(61), at(301), true)]
        );
        assert_eq!(bans[0].evidence.of(Event::BadSignature), u16::MAX);
        assert_eq!((bans[0].strikes, bans[0].reason), (1, Some(Event::BadSignature)));
    }

    #[test]
    fn what_ended_a_day_ago_is_dropped_and_the_number_is_bounded() {
        let mut found = FoundBans::default();
        for n in 0..u32::try_from(BANS_MAX + 500).unwrap() {
            let target = std::net::Ipv4Addr::from(0x0b00_0000 + n).to_string();
            found.apply(entry(BanEvent::Banned, &target, 60 + u64::from(n)), at(u64::from(n)));
        }
        let bans = found.into_bans(at(90_000));
        // Of 100,500, a day after the 3,540th had ended: 96,959 are left.
        assert_eq!(bans.first().map(|ban| ban.until), Some(at(90_000 - 86_400 + 1)));
        let mut full = FoundBans::default();
        for n in 0..u32::try_from(BANS_MAX + 500).unwrap() {
            let target = std::net::Ipv4Addr::from(0x0b00_0000 + n).to_string();
            full.apply(entry(BanEvent::Banned, &target, 60 + u64::from(n)), START);
        }
        let bans = full.into_bans(START);
        assert_eq!((bans.len(), bans[0].until), (BANS_MAX, at(560)));
    }
}
