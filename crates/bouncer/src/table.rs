//! The bans in force as the privileged process knows them: checks, limits and what the packet filter has to change.
//! Pure: time is an argument, nothing is run.
//!
//! The table is what ought to be; the packet filter follows it, batch by batch or, when it went astray, by
//! [`Table::rebuild`]. Ends are counted here and enforced by the kernel.
//!
//! Bounds: [`Limits::entries_max`] bans of about 150 bytes each; a batch has at most
//! [`BATCH_COMMANDS_MAX`](crate::protocol::BATCH_COMMANDS_MAX) commands.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use domain::UnixNanos;

use crate::{
    never::NeverBan,
    nft::{self, Setup},
    prefix::Prefix,
    protocol::{Applied, Ban, Command, Reason, Refusal, Reply, Ttl},
};

/// How many bans, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bans in force.
    pub entries_max: usize,
    /// New bans per second, in the long run.
    pub new_per_second: u32,
    /// New bans at once.
    pub new_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries_max: 100_000, new_per_second: 1_000, new_burst: 10_000 }
    }
}

#[derive(Debug, Clone)]
struct Entry {
    ends: UnixNanos,
    reason: Reason,
}

/// What a batch comes to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For the packet filter; empty if nothing changes.
    pub script: String,
    /// For the client, in order, without the closing line.
    pub replies: Vec<Reply>,
    /// For the closing line.
    pub applied: Applied,
}

/// The bans in force.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    setup: Setup,
    /// Single addresses.
    addresses: HashMap<Prefix, Entry>,
    /// Networks; none lies in another.
    networks: BTreeMap<Prefix, Entry>,
    /// New bans that may still be made at `refilled`, in billionths.
    credit: u64,
    refilled: UnixNanos,
}

/// Credit for one new ban.
const ONE_BAN: u64 = 1_000_000_000;

impl Table {
    /// An empty table for a packet filter set up so.
    #[must_use]
    pub fn new(limits: Limits, setup: Setup, now: UnixNanos) -> Self {
        let credit = u64::from(limits.new_burst) * ONE_BAN;
        Self { limits, setup, addresses: HashMap::new(), networks: BTreeMap::new(), credit, refilled: now }
    }

    /// Number of bans, those included that ran out since the last batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len() + self.networks.len()
    }

    /// Whether there are no bans.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is never banned.
    #[must_use]
    pub const fn never(&self) -> &NeverBan {
        &self.setup.never
    }

    /// Carries out commands in order; an `Err` stands for one that was refused when it was read.
    pub fn batch(&mut self, commands: &[Result<Command, Refusal>], now: UnixNanos) -> Outcome {
        self.addresses.retain(|_, entry| entry.ends > now);
        self.networks.retain(|_, entry| entry.ends > now);
        self.refill(now);
        let mut outcome = Outcome::default();
        // Prefixes with a change, and whether the packet filter had them before.
        let mut touched = BTreeMap::new();
        let (mut flushed, mut listed) = (false, false);
        for (idx, command) in commands.iter().enumerate() {
            let done = match command {
                Err(refusal) => Err(*refusal),
                Ok(Command::Add(ban)) => {
                    self.add(ban, now, &mut touched).inspect(|()| outcome.applied.added += 1)
                }
                Ok(Command::Remove(prefix)) => {
                    if self.take(prefix).is_some() {
                        touched.entry(*prefix).or_insert(true);
                        outcome.applied.removed += 1;
                    }
                    Ok(())
                }
                Ok(Command::Flush) => {
                    outcome.applied.removed += self.len();
                    self.addresses.clear();
                    self.networks.clear();
                    flushed = true;
                    Ok(())
                }
                // Once: the answer is as long as the table.
                Ok(Command::List) if std::mem::replace(&mut listed, true) => Ok(()),
                Ok(Command::List) => {
                    outcome.replies.extend(self.bans(now).map(Reply::Ban));
                    Ok(())
                }
                Ok(Command::Apply) => Ok(()),
            };
            if let Err(refusal) = done {
                outcome.applied.refused += 1;
                outcome.replies.push(Reply::Refused { idx, refusal });
            }
        }
        outcome.applied.in_force = self.len();
        let mut begun = Vec::new();
        let mut ended = Vec::new();
        for (prefix, was) in touched {
            if was && !flushed {
                ended.push(prefix);
            }
            if let Some(entry) = self.entry(&prefix) {
                begun.push((prefix, remaining(entry.ends, now)));
            }
        }
        outcome.script = nft::change(flushed, &ended, &begun);
        outcome
    }

    /// A script that makes the packet filter what it ought to be, whatever it was.
    #[must_use]
    pub fn rebuild(&self, now: UnixNanos) -> String {
        let all: Vec<(Prefix, Ttl)> = self.bans(now).map(|ban| (ban.prefix, ban.ttl)).collect();
        nft::setup(&self.setup) + &nft::change(false, &[], &all)
    }

    /// The bans in force.
    pub fn bans(&self, now: UnixNanos) -> impl Iterator<Item = Ban> + '_ {
        self.addresses.iter().chain(&self.networks).filter(move |(_, entry)| entry.ends > now).map(
            move |(prefix, entry)| Ban {
                prefix: *prefix,
                ttl: remaining(entry.ends, now),
                reason: entry.reason.clone(),
            },
        )
    }

    fn entry(&self, prefix: &Prefix) -> Option<&Entry> {
        if prefix.is_address() { self.addresses.get(prefix) } else { self.networks.get(prefix) }
    }

    fn take(&mut self, prefix: &Prefix) -> Option<Entry> {
        if prefix.is_address() { self.addresses.remove(prefix) } else { self.networks.remove(prefix) }
    }

    fn add(
        &mut self,
        ban: &Ban,
        now: UnixNanos,
        touched: &mut BTreeMap<Prefix, bool>,
    ) -> Result<(), Refusal> {
        let Ban { prefix, ttl, reason } = ban;
        let ends = now.plus(Duration::from_secs(ttl.seconds().into()));
        if self.setup.never.protects(prefix) {
            return Err(Refusal::Protected);
        }
        let known = self.entry(prefix).map(|entry| entry.ends);
        if known.is_some_and(|known| known >= ends) {
            return Ok(());
        }
        let mut inner = Vec::new();
        if known.is_none() {
            if !prefix.is_address() {
                if self.networks.keys().any(|network| network.contains(prefix)) {
                    return Err(Refusal::Covered);
                }
                inner.extend(self.networks.keys().filter(|network| prefix.contains(network)).copied());
            }
            if self.len() - inner.len() >= self.limits.entries_max {
                return Err(Refusal::Full);
            }
            self.credit = self.credit.checked_sub(ONE_BAN).ok_or(Refusal::Rate)?;
        }
        for network in inner {
            self.networks.remove(&network);
            touched.entry(network).or_insert(true);
        }
        let entry = Entry { ends, reason: reason.clone() };
        if prefix.is_address() {
            self.addresses.insert(*prefix, entry);
        } else {
            self.networks.insert(*prefix, entry);
        }
        touched.entry(*prefix).or_insert(known.is_some());
        Ok(())
    }

    fn refill(&mut self, now: UnixNanos) {
        let passed = u64::try_from(now.since(self.refilled).as_nanos()).unwrap_or(u64::MAX);
        self.refilled = self.refilled.max(now);
        let gained = passed.saturating_mul(self.limits.new_per_second.into());
        self.credit = self.credit.saturating_add(gained).min(u64::from(self.limits.new_burst) * ONE_BAN);
    }
}

/// Whole seconds until `ends`, rounded up.
fn remaining(ends: UnixNanos, now: UnixNanos) -> Ttl {
    let left = ends.since(now);
    Ttl::clamp(left.as_secs() + u64::from(left.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const START: UnixNanos = UnixNanos::from_secs(1_000);

    fn at(seconds: u64) -> UnixNanos {
        START.plus(Duration::from_secs(seconds))
    }

    fn table(limits: Limits) -> Table {
        let mut never = NeverBan::default();
        never.add("192.0.2.0/28").unwrap();
        Table::new(limits, Setup { never, syn_per_second: None }, START)
    }

    fn read(lines: &[&str]) -> Vec<Result<Command, Refusal>> {
        lines.iter().map(|line| Command::parse(line).map_err(|error| error.refusal().unwrap())).collect()
    }

    fn refusals(outcome: &Outcome) -> Vec<Refusal> {
        let refusal = |reply: &Reply| match reply {
            Reply::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        };
        outcome.replies.iter().filter_map(refusal).collect()
    }

    #[test]
    fn a_ban_begins_is_lengthened_and_ends() {
        let mut table = table(Limits::default());
        let outcome = table.batch(&read(&["add 203.0.113.7 60 a", "add 2001:db8::/64 9 b"]), START);
        assert_eq!(
            outcome.script,
            "add element inet caponier ban4 { 203.0.113.7 timeout 60s }\n\
             add element inet caponier net6 { 2001:db8::/64 timeout 9s }\n"
        );
        // Shorter changes nothing; longer replaces, in one transaction.
        assert_eq!(table.batch(&read(&["add 203.0.113.7 10 a"]), at(1)).script, "");
        assert_eq!(
            table.batch(&read(&["add 203.0.113.7 90 c"]), at(2)).script,
            "delete element inet caponier ban4 { 203.0.113.7 }\n\
             add element inet caponier ban4 { 203.0.113.7 timeout 90s }\n"
        );
        assert_eq!(table.bans(at(8)).count(), 2);
        let listed = table.batch(&read(&["list", "list"]), at(9));
        let expected = Reply::parse("ban 203.0.113.7 83 c").unwrap();
        assert_eq!((listed.replies, listed.script), (vec![expected], String::new()));
        let removed = table.batch(&read(&["remove 203.0.113.7", "remove 203.0.113.7"]), at(9));
        assert_eq!(removed.script, "delete element inet caponier ban4 { 203.0.113.7 }\n");
        assert_eq!((removed.applied.removed, removed.applied.in_force), (1, 0));
        assert!(table.is_empty());
    }

    #[test]
    fn networks_never_overlap_and_addresses_stand_beside_them() {
        let mut table = table(Limits::default());
        table.batch(
            &read(&["add 203.0.113.0/26 60 a", "add 203.0.113.64/26 60 a", "add 203.0.113.1 60 a"]),
            START,
        );
        let wider = table.batch(&read(&["add 203.0.113.0/24 30 b", "add 203.0.113.128/25 60 c"]), START);
        assert_eq!(refusals(&wider), [Refusal::Covered]);
        assert_eq!(
            wider.script,
            "delete element inet caponier net4 { 203.0.113.0/26, 203.0.113.64/26 }\n\
             add element inet caponier net4 { 203.0.113.0/24 timeout 30s }\n"
        );
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn protected_full_and_rate_are_refused_and_the_rest_is_done() {
        let mut table = table(Limits { entries_max: 3, new_per_second: 1, new_burst: 4 });
        let outcome = table.batch(
            &read(&["add 192.0.2.0/24 9 x", "add 127.0.0.1 9 x", "add 9.0.0.0/8 9 x", "add 9.9.9.9 9 x"]),
            START,
        );
        assert_eq!(refusals(&outcome), [Refusal::Protected, Refusal::Protected, Refusal::TooWide]);
        assert_eq!((outcome.applied.added, outcome.applied.in_force), (1, 1));
        let outcome = table.batch(&read(&["add 9.9.9.1 9 x", "add 9.9.9.2 9 x", "add 9.9.9.3 9 x"]), START);
        assert_eq!(refusals(&outcome), [Refusal::Full]);
        let outcome = table.batch(&read(&["flush", "add 9.9.9.4 9 x", "add 9.9.9.5 9 x"]), START);
        assert_eq!(refusals(&outcome), [Refusal::Rate]);
        assert!(outcome.script.starts_with("flush set inet caponier ban4\n"), "{}", outcome.script);
        // Known bans cost nothing, and credit comes back with time.
        let outcome = table.batch(&read(&["add 9.9.9.4 60 x", "add 9.9.9.5 9 x"]), at(1));
        assert_eq!(refusals(&outcome), []);
    }

    /// A packet filter as strict as nftables: what is deleted must be there, what is added must not overlap.
    #[derive(Debug, Default, PartialEq)]
    struct Filter(BTreeSet<Prefix>);

    impl Filter {
        fn run(&mut self, script: &str) {
            for line in script.lines() {
                let elements = line.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
                let prefixes = elements.split(',').filter(|element| !element.trim().is_empty());
                for element in prefixes {
                    let prefix = Prefix::parse(element.split_whitespace().next().unwrap()).unwrap();
                    if line.starts_with("delete ") {
                        assert!(self.0.remove(&prefix), "{prefix} is not there: {script}");
                    } else {
                        let overlaps = |other: &Prefix| {
                            other.is_address() == prefix.is_address()
                                && (other.contains(&prefix) || prefix.contains(other))
                        };
                        assert!(!self.0.iter().any(overlaps), "{prefix} overlaps: {script}");
                        self.0.insert(prefix);
                    }
                }
                if line.starts_with("flush set") {
                    self.0.clear();
                }
            }
        }
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let prefix = (0_u8..4, 0_u8..=255, 24_u8..=32).prop_map(|(net, host, len)| {
            let address = std::net::IpAddr::from([198, 51, net, host]);
            Prefix::new(ipnet::IpNet::new(address, len).unwrap().trunc()).unwrap()
        });
        let reason = Reason::parse("x").unwrap();
        prop_oneof![
            12 => (prefix.clone(), 500_u32..1_000).prop_map(move |(prefix, ttl)| Command::Add(Ban {
                prefix,
                ttl: Ttl::new(ttl).unwrap(),
                reason: reason.clone(),
            })),
            4 => prefix.prop_map(Command::Remove),
            1 => Just(Command::Flush),
        ]
    }

    proptest! {
        #[test]
        fn the_packet_filter_follows_the_table(batches in prop::collection::vec(prop::collection::vec(any_command(), 0..20), 1..8)) {
            let mut table = table(Limits::default());
            let mut filter = Filter::default();
            for (second, batch) in (0..).zip(batches) {
                let outcome = table.batch(&batch.into_iter().map(Ok).collect::<Vec<_>>(), at(second));
                filter.run(&outcome.script);
                let expected: BTreeSet<Prefix> = table.bans(at(second)).map(|ban| ban.prefix).collect();
                prop_assert_eq!(&filter.0, &expected);
                let mut rebuilt = Filter::default();
                let all: Vec<(Prefix, Ttl)> = table.bans(at(second)).map(|ban| (ban.prefix, ban.ttl)).collect();
                rebuilt.run(&nft::change(false, &[], &all));
                prop_assert_eq!(&rebuilt, &filter);
            }
        }
    }
}
