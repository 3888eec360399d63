//! Where a key is used from: its last uses, and the first use from somewhere new.
//!
//! Stolen keys are used from other networks and by other software than their owners'. A pair of network and TLS
//! fingerprint (JA4) that was never seen with a key that may move or trade funds is worth a look, and, where the
//! operator says so, a frozen key. The rule starts in shadow.
//!
//! **What is known** is journalled: each new pair is one record ([`Sighting`]), so a restart does not begin to learn
//! again. For [`LEARNING`] after its first use a key learns without a word. A pair that is reported is on record as
//! *suspect*; unfreezing the key makes its suspects known, since somebody has looked.
//!
//! Bounds: [`PAIRS_MAX`] pairs a key, the longest unused forgotten first (which can only cause a report too many),
//! [`RECORDS_PER_DAY_MAX`] records a day, [`USES_MAX`] uses.

use std::{fmt, net::IpAddr, time::Duration};

use domain::UnixNanos;

/// Pairs remembered per key.
pub const PAIRS_MAX: usize = 32;

/// Records of one key in a day; further new pairs are reported without one.
pub const RECORDS_PER_DAY_MAX: u8 = 16;

/// Last uses remembered per key.
pub const USES_MAX: usize = 16;

/// How long a key learns from its first use.
pub const LEARNING: Duration = DAY;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A TLS client fingerprint in JA4 form, `t13d1516h2_8daaf6152771_02713d6af862`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ja4([u8; Self::BYTES]);

impl Ja4 {
    /// Length of the text, in bytes.
    pub const BYTES: usize = 36;

    /// Reads the text: 10 letters and digits, and twice 12 hexadecimal digits, joined by `_`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; Self::BYTES] = text.as_bytes().try_into().ok()?;
        let plain = |(place, byte): (usize, &u8)| match place {
            10 | 23 => *byte == b'_',
            0..10 => byte.is_ascii_alphanumeric(),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        };
        bytes.iter().enumerate().all(plain).then_some(Self(bytes))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A network as far as a customer keeps to it: the number of its operator where known, else the /24 or /48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// Autonomous system number.
    Asn(u32),
    /// The first 24 bits of an IPv4 address.
    V4([u8; 3]),
    /// The first 48 bits of an IPv6 address.
    V6([u8; 6]),
}

impl Origin {
    /// Of a client's address.
    #[must_use]
    pub fn of(ip: IpAddr, asn: Option<u32>) -> Self {
        match (asn, ip.to_canonical()) {
            (Some(asn), _) => Self::Asn(asn),
            (None, IpAddr::V4(ip)) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            (None, IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asn(asn) => write!(f, "AS{asn}"),
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6(octets) => {
                let mut all = [0; 16];
                all[..6].copy_from_slice(octets);
                write!(f, "{}/48", IpAddr::from(all))
            }
        }
    }
}

/// A network and a fingerprint; the fingerprint is absent where TLS ends elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    /// From where.
    pub origin: Origin,
    /// With what software.
    pub ja4: Option<Ja4>,
}

/// A pair seen with a key for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// What was seen.
    pub pair: Pair,
    /// When.
    pub at: UnixNanos,
    /// Whether the key had ceased to learn.
    pub suspect: bool,
}

/// What is done about a new pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstSeenMode {
    /// Nothing is remembered.
    Off,
    /// It is reported.
    #[default]
    Shadow,
    /// The key is to be frozen.
    Enforce,
}

/// What a use of a key brings to light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// A new pair while the key learns: to be journalled, nothing else.
    Learnt(Sighting),
    /// Nothing new.
    None,
    /// A new pair after that. In [`FirstSeenMode::Enforce`] the request is to be refused and the key frozen; in
    /// [`FirstSeenMode::Shadow`] it is to be reported, once. `record` is to be journalled.
    Suspect {
        /// The finding as a record; `None` past [`RECORDS_PER_DAY_MAX`], or if it is on record already.
        record: Option<Sighting>,
        /// What was seen.
        pair: Pair,
    },
}

/// A pair that a key is known to be used from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// From where, with what.
    pub pair: Pair,
    /// When last, as far as this process has seen.
    pub used_at: UnixNanos,
    /// Whether it was reported and nobody has looked since.
    pub suspect: bool,
}

/// The pairs of one key.
#[derive(Debug, Clone, Default)]
pub struct Sightings {
    pairs: Vec<Known>,
    first_at: Option<UnixNanos>,
    day: u64,
    records_today: u8,
}

impl Sightings {
    /// Notes a use, and says what is new about it. `network` is the same use by the network alone, where `pair` is by its
    /// operator: a network that is known makes its operator known, so that a table of operators that is new here takes no
    /// key for stolen.
    pub fn observe(
        &mut self,
        pair: Pair,
        network: Option<Pair>,
        mode: FirstSeenMode,
        now: UnixNanos,
    ) -> Novelty {
        if mode == FirstSeenMode::Off {
            return Novelty::None;
        }
        if let Some(known) = self.pairs.iter_mut().find(|known| known.pair == pair) {
            known.used_at = known.used_at.max(now);
            let refused = known.suspect && mode == FirstSeenMode::Enforce;
            return if refused { Novelty::Suspect { record: None, pair } } else { Novelty::None };
        }
        let is_known = |known: &Known| !known.suspect && Some(known.pair) == network;
        let is_settled = now.since(*self.first_at.get_or_insert(now)) > LEARNING;
        let suspect = is_settled && !self.pairs.iter().any(is_known);
        let today = now.as_secs() / DAY.as_secs();
        if today > self.day {
            (self.day, self.records_today) = (today, 0);
        }
        if self.records_today >= RECORDS_PER_DAY_MAX {
            // Not remembered, so it stays new: in enforcement it stays refused as well.
            return if suspect { Novelty::Suspect { record: None, pair } } else { Novelty::None };
        }
        self.records_today += 1;
        let sighting = Sighting { pair, at: now, suspect };
        self.apply(sighting);
        if suspect { Novelty::Suspect { record: Some(sighting), pair } } else { Novelty::Learnt(sighting) }
    }

    pub(crate) fn has(&self, pair: Pair) -> bool {
        self.pairs.iter().any(|known| known.pair == pair)
    }

    /// A known pair was used again.
    pub(crate) fn touch(&mut self, pair: Pair, at: UnixNanos) {
        if let Some(known) = self.pairs.iter_mut().find(|known| known.pair == pair) {
            known.used_at = known.used_at.max(at);
        }
    }

    /// Takes in a journalled sighting. Doing so twice changes nothing.
    pub fn apply(&mut self, sighting: Sighting) {
        let Sighting { pair, at, suspect } = sighting;
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        if self.has(pair) {
            return;
        }
        if self.pairs.len() >= PAIRS_MAX {
            let oldest = self.pairs.iter().enumerate().min_by_key(|(_, known)| known.used_at);
            if let Some((oldest, _)) = oldest {
                self.pairs.swap_remove(oldest);
            }
        }
        // Most keys are used from one place: no room is kept for more.
        self.pairs.reserve_exact(1);
        self.pairs.push(Known { pair, used_at: at, suspect });
    }

    /// The known pairs, the last used first.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        let mut known = self.pairs.clone();
        known.sort_by_key(|one| std::cmp::Reverse(one.used_at));
        known
    }

    /// The key was unfrozen: somebody has looked at its suspects.
    pub fn acquit(&mut self) {
        self.pairs.iter_mut().for_each(|known| known.suspect = false);
    }
}

/// One way a key was used, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastUse {
    /// When last.
    pub at: UnixNanos,
    /// From where.
    pub ip: IpAddr,
    /// With what software.
    pub ja4: Option<Ja4>,
    /// For what: the permission the endpoint needs.
    pub permission: crate::key::Permission,
}

/// The last ways a key was used. Since the start only: for a person to look at, not for decisions.
#[derive(Debug, Clone, Default)]
pub struct LastUses(Vec<LastUse>);

impl LastUses {
    /// Notes a use; one of the same kind takes the place of the one before.
    pub fn note(&mut self, last: LastUse) {
        let same = |one: &LastUse| (one.ip, one.ja4, one.permission) == (last.ip, last.ja4, last.permission);
        if let Some(known) = self.0.iter_mut().find(|one| same(one)) {
            known.at = known.at.max(last.at);
        } else if self.0.len() < USES_MAX {
            self.0.reserve_exact(1);
            self.0.push(last);
        } else if let Some(oldest) = self.0.iter_mut().min_by_key(|one| one.at) {
            *oldest = last;
        }
    }

    /// Latest first.
    #[must_use]
    pub fn latest_first(&self) -> Vec<LastUse> {
        let mut uses = self.0.clone();
        uses.sort_by_key(|one| std::cmp::Reverse(one.at));
        uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Permission;

    const START: UnixNanos = UnixNanos::from_secs(1_800_000_000);

    fn pair(ip: &str, ja4: &str) -> Pair {
        Pair { origin: Origin::of(ip.parse().unwrap(), None), ja4: Ja4::parse(ja4) }
    }

    const CURL: &str = "t13d1516h2_8daaf6152771_02713d6af862";
    const BOT: &str = "t13d301000_1d37bd780c83_ef7df7f74e48";

    #[test]
    fn networks_and_fingerprints_have_one_form() {
        let shown = |ip: &str, asn| Origin::of(ip.parse().unwrap(), asn).to_string();
        assert_eq!(shown("203.0.113.7", None), "203.0.113.0/24");
        assert_eq!(shown("::ffff:203.0.113.7", None), "203.0.113.0/24");
        assert_eq!(shown("2001:db8:1:2::3", None), "2001:db8:1::/48");
        assert_eq!(shown("2001:db8:1:2::3", Some(64_500)), "AS64500");
        assert_eq!(Ja4::parse(CURL).unwrap().as_str(), CURL);
        for bad in ["", "t13d1516h2_8daaf6152771-02713d6af862", &CURL.to_uppercase(), &CURL[1..]] {
            assert_eq!(Ja4::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_key_learns_for_a_day_and_then_reports_once() {
        let mut sightings = Sightings::default();
        let (home, office, thief) =
            (pair("203.0.113.7", CURL), pair("198.51.100.1", CURL), pair("192.0.2.1", BOT));
        let shadow = FirstSeenMode::Shadow;
        assert!(matches!(sightings.observe(home, None, shadow, START), Novelty::Learnt(_)));
        assert_eq!(sightings.observe(pair("203.0.113.99", CURL), None, shadow, START), Novelty::None);
        assert!(matches!(sightings.observe(office, None, shadow, START.plus(LEARNING)), Novelty::Learnt(_)));
        let later = START.plus(LEARNING + Duration::from_secs(1));
        let Novelty::Suspect { record: Some(record), pair: seen } =
            sightings.observe(thief, None, shadow, later)
        else {
            panic!("a thief is new")
        };
        assert!(record.suspect && seen == thief);
        assert_eq!(sightings.observe(thief, None, shadow, later), Novelty::None);
        // The same software from elsewhere is new, as is other software from home.
        for other in [pair("192.0.2.1", CURL), pair("203.0.113.7", BOT)] {
            assert!(matches!(
                sightings.observe(other, None, shadow, later),
                Novelty::Suspect { record: Some(_), .. }
            ));
        }
    }

    #[test]
    fn a_table_of_operators_takes_no_key_for_stolen() {
        let (mode, later) = (FirstSeenMode::Enforce, START.plus(LEARNING * 2));
        let (home, thief) = (pair("203.0.113.7", CURL), pair("192.0.2.1", CURL));
        let by_operator = |of: Pair, asn| Pair { origin: Origin::Asn(asn), ..of };
        let mut sightings = Sightings::default();
        sightings.observe(home, None, mode, START);
        let Novelty::Suspect { .. } = sightings.observe(thief, None, mode, later) else { panic!() };
        let learnt = sightings.observe(by_operator(home, 64_500), Some(home), mode, later);
        assert!(matches!(learnt, Novelty::Learnt(sighting) if !sighting.suspect), "{learnt:?}");
        // From now on all of the operator is known, other software there is not, and the suspect stays one.
        let elsewhere = pair("198.51.100.1", CURL);
        assert_eq!(
            sightings.observe(by_operator(elsewhere, 64_500), Some(elsewhere), mode, later),
            Novelty::None
        );
        for (of, asn) in [(pair("203.0.113.7", BOT), 64_500), (thief, 64_501), (elsewhere, 64_502)] {
            let found = sightings.observe(by_operator(of, asn), Some(of), mode, later);
            assert!(matches!(found, Novelty::Suspect { record: Some(_), .. }), "{found:?}");
        }
    }

    #[test]
    fn in_enforcement_a_suspect_stays_refused_until_somebody_has_looked() {
        let (home, thief) = (pair("203.0.113.7", CURL), pair("192.0.2.1", BOT));
        let mut sightings = Sightings::default();
        let later = START.plus(LEARNING * 2);
        sightings.observe(home, None, FirstSeenMode::Enforce, START);
        let first = sightings.observe(thief, None, FirstSeenMode::Enforce, later);
        let Novelty::Suspect { record: Some(record), .. } = first else { panic!("{first:?}") };
        let again = Novelty::Suspect { record: None, pair: thief };
        assert_eq!(sightings.observe(thief, None, FirstSeenMode::Enforce, later), again);
        assert_eq!(sightings.observe(home, None, FirstSeenMode::Enforce, later), Novelty::None);

        // After a restart as well.
        let mut restarted = Sightings::default();
        restarted.apply(Sighting { pair: home, at: START, suspect: false });
        restarted.apply(record);
        assert_eq!(restarted.observe(thief, None, FirstSeenMode::Enforce, later), again);
        restarted.acquit();
        assert_eq!(restarted.observe(thief, None, FirstSeenMode::Enforce, later), Novelty::None);
    }

    #[test]
    fn memory_and_records_are_bounded() {
        let mut sightings = Sightings::default();
        sightings.observe(pair("203.0.113.7", CURL), None, FirstSeenMode::Enforce, START);
        let later = START.plus(DAY * 3);
        let mut records = 0;
        for host in 0..=255_u8 {
            let new = Pair { origin: Origin::V4([10, 0, host]), ja4: None };
            let Novelty::Suspect { record, .. } = sightings.observe(new, None, FirstSeenMode::Enforce, later)
            else {
                panic!("{host}")
            };
            records += usize::from(record.is_some());
        }
        assert_eq!(records, usize::from(RECORDS_PER_DAY_MAX));
        for host in 0..=255_u8 {
            let pair = Pair { origin: Origin::V4([10, 1, host]), ja4: None };
            sightings.apply(Sighting { pair, at: later, suspect: true });
        }
        assert_eq!(sightings.pairs.len(), PAIRS_MAX);
    }

    #[test]
    fn last_uses_are_the_latest_of_each_kind() {
        let mut uses = LastUses::default();
        let last = |second, host| LastUse {
            at: UnixNanos::from_secs(second),
            ip: IpAddr::from([10, 0, 0, host]),
            ja4: None,
            permission: Permission::Read,
        };
        for second in 0..100 {
            uses.note(last(second, 1));
        }
        assert_eq!(uses.latest_first(), [last(99, 1)]);
        for host in 2..=20 {
            uses.note(last(100 + u64::from(host), host));
        }
        let all = uses.latest_first();
        assert_eq!((all.len(), all[0], all[15]), (USES_MAX, last(120, 20), last(105, 5)));
    }
}
