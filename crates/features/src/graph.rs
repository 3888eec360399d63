//! The entity graph, kept up to date event by event: who shares a device, an address or a document with whom, and how
//! money moves between accounts.
//!
//! Accounts are linked to *things* (devices, IP addresses, withdrawal addresses, documents) and to each other by
//! transfers. For an account it answers with [`GraphFacts`]: the size of its component over shared things, how many
//! share one thing with it, hops to a known fraud; fan-in and fan-out, how much of what came in went out again and how
//! fast, closed cycles of money, transfers out of the ordinary, and what those it deals with look like.
//!
//! # Semantics
//! A fold in the order of the calls; time is an argument and never read. Transfers count for [`GraphLimits::window`],
//! things as long; components for one to two times that (two overlapping epochs). Numbers about *other* accounts are
//! as of their own last event. Nothing here is a verdict: a shared device alone says little about anyone.
//!
//! # Bounds
//! Accounts, things, transfers per account, links per account and per thing, and the steps of each search are bounded
//! by [`GraphLimits`]. The oldest makes room; a search that hits its bound answers with what it found.

mod account;
mod forest;

use std::time::Duration;

use domain::UnixNanos;

pub(crate) use self::account::{Account, Move};
use self::forest::{Components, Node};
use crate::EntityTable;

/// Largest transfer in minor units; keeps sums within their integers.
const MINOR_MAX: u64 = 1 << 53;

/// What the graph may hold, and what counts as a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphLimits {
    /// Accounts held.
    pub accounts_max: usize,
    /// Things held.
    pub things_max: usize,
    /// Transfers held per account, both directions together.
    pub transfers_max: usize,
    /// Things held per account, and accounts held per thing.
    pub links_max: usize,
    /// How long a transfer or a link counts.
    pub window: Duration,
    /// Most transfers of a cycle; at least 2.
    pub cycle_hops_max: u8,
    /// Longest time from the first to the last transfer of a cycle.
    pub cycle_span: Duration,
    /// What a hop of a cycle passes on at least, in hundredths of what it received. It passes on no more than it got.
    pub cycle_kept_percent: u8,
    /// Transfers looked at per search for a cycle, and accounts per search for a fraud.
    pub visits_max: usize,
}

impl Default for GraphLimits {
    /// 1,000,000 accounts and things, 256 transfers, 64 links, 90 days; cycles of up to 5 transfers within 30 days
    /// that keep 70 hundredths per hop; 256 visits.
    fn default() -> Self {
        Self {
            accounts_max: 1_000_000,
            things_max: 1_000_000,
            transfers_max: 256,
            links_max: 64,
            window: Duration::from_secs(90 * 86_400),
            cycle_hops_max: 5,
            cycle_span: Duration::from_secs(30 * 86_400),
            cycle_kept_percent: 70,
            visits_max: 256,
        }
    }
}

/// Money from one account to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Who pays.
    pub from: u64,
    /// Who is paid.
    pub to: u64,
    /// Minor units of one currency, at most 2^53. Give different assets graphs of their own.
    pub minor: u64,
    /// When.
    pub at: UnixNanos,
}

/// What a transfer closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// The accounts in the order of the money, from the one it returned to; as many as there are transfers.
    pub accounts: Vec<u64>,
    /// When the first transfer of the cycle was made.
    pub began: UnixNanos,
}

/// Why a transfer was not taken in; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// More than 2^53 minor units.
    #[error("transfer of {0} minor units is out of range")]
    OutOfRange(u64),
    /// From an account to itself.
    #[error("transfer from an account to itself")]
    ToItself,
}

/// The names of [`GraphFacts::row`], in its order.
pub const GRAPH_FACTS: [&str; 37] = [
    "component_accounts",
    "things",
    "shared_degree",
    "hops_to_fraud",
    "sent",
    "received",
    "fan_out",
    "fan_in",
    "reciprocal",
    "sent_mean",
    "sent_min",
    "sent_max",
    "sent_stddev",
    "received_mean",
    "received_min",
    "received_max",
    "received_stddev",
    "odd_sent",
    "odd_received",
    "sent_gap_mean_secs",
    "sent_gap_stddev_secs",
    "received_gap_mean_secs",
    "received_gap_stddev_secs",
    "since_sent_secs",
    "since_received_secs",
    "pass_through",
    "time_to_forward_secs",
    "cycles",
    "paid_fan_out_mean",
    "paid_fan_in_mean",
    "paid_odd_mean",
    "paid_odd_sum",
    "payer_fan_out_mean",
    "payer_fan_in_mean",
    "payer_odd_mean",
    "payer_odd_sum",
    "fraud_partners",
];

/// What the graph knows about one account. Missing is `NaN`; amounts are in minor units.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphFacts {
    row: [f64; GRAPH_FACTS.len()],
}

impl GraphFacts {
    /// All facts in the order of [`GRAPH_FACTS`].
    #[must_use]
    pub const fn row(&self) -> &[f64; GRAPH_FACTS.len()] {
        &self.row
    }

    /// A fact by name; `None` if there is no such fact.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<f64> {
        GRAPH_FACTS.iter().position(|fact| *fact == name).map(|place| self.row[place])
    }
}

/// A thing: the accounts that used it, with the time of last use.
#[derive(Debug, Clone, Default)]
struct Thing {
    accounts: Vec<(u64, u64)>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Graph {
    limits: GraphLimits,
    window_nanos: u64,
    accounts: EntityTable<u64, Account>,
    things: EntityTable<u64, Thing>,
    components: Components,
    scratch: Vec<u64>,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Puts (entity, time) in front of or over the entry of the same entity; the oldest entry makes room.
fn refresh(entries: &mut Vec<(u64, u64)>, entity: u64, at: u64, window_nanos: u64, max: usize) {
    entries.retain(|(_, used)| used.saturating_add(window_nanos) > at);
    if let Some(entry) = entries.iter_mut().find(|(other, _)| *other == entity) {
        entry.1 = entry.1.max(at);
        return;
    }
    if entries.len() >= max.max(1)
        && let Some(oldest) = (0..entries.len()).min_by_key(|place| entries[*place].1)
    {
        entries.remove(oldest);
    }
    entries.push((entity, at));
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(limits: GraphLimits) -> Self {
        let window_nanos = nanos(limits.window);
        let nodes_max = limits.accounts_max.saturating_add(limits.things_max);
        Self {
            window_nanos,
            accounts: EntityTable::new(limits.accounts_max),
            things: EntityTable::new(limits.things_max),
            components: Components::new(window_nanos, nodes_max),
            scratch: Vec::new(),
            limits,
        }
    }

    /// Accounts held.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// How often components were forgotten early because the graph was full.
    #[must_use]
    pub const fn components_cut_short(&self) -> u64 {
        self.components.cut_short()
    }

    /// The account used the thing.
    pub fn link(&mut self, account: u64, thing: u64, at: UnixNanos) {
        let (max, window) = (self.limits.links_max, self.window_nanos);
        let held = self.accounts.touch(&account, Account::default);
        refresh(&mut held.things, thing, at.0, window, max);
        let held = self.things.touch(&thing, Thing::default);
        refresh(&mut held.accounts, account, at.0, window, max);
        self.components.join(Node::Account(account), Node::Thing(thing), at.0);
    }

    /// The account is known for fraud, or no longer.
    pub fn mark(&mut self, account: u64, is_fraud: bool) {
        self.accounts.touch(&account, Account::default).is_fraud = is_fraud;
    }

    /// Money moved. Returns the cycle that this transfer closed, the shortest found first.
    ///
    /// # Errors
    /// [`GraphError`]; nothing changed then.
    pub fn transfer(&mut self, transfer: &Transfer) -> Result<Option<Cycle>, GraphError> {
        let Transfer { from, to, minor, at } = *transfer;
        if from == to {
            return Err(GraphError::ToItself);
        }
        if minor > MINOR_MAX {
            return Err(GraphError::OutOfRange(minor));
        }
        let (after, max) = (at.0.saturating_sub(self.window_nanos), self.limits.transfers_max.max(1));
        let sender = self.accounts.touch(&from, Account::default);
        // Half or double of what is usual is out of the ordinary.
        let is_odd = sender
            .usual(&mut self.scratch)
            .is_some_and(|usual| minor.saturating_mul(2) <= usual || minor >= usual.saturating_mul(2).max(1));
        sender.push(Move::sent(to, minor, at.0, is_odd), after, max);
        self.accounts.touch(&to, Account::default).push(
            Move::received(from, minor, at.0, is_odd),
            after,
            max,
        );
        let cycle = self.cycle(transfer);
        for account in cycle.iter().flat_map(|cycle| &cycle.accounts) {
            if let Some(account) = self.accounts.peek_mut(account) {
                account.cycles = account.cycles.saturating_add(1);
            }
        }
        Ok(cycle)
    }

    /// The shortest way the money of this transfer came from its own receiver, within the limits of a cycle: a
    /// breadth-first search backward in time.
    fn cycle(&self, transfer: &Transfer) -> Option<Cycle> {
        let earliest = transfer.at.0.saturating_sub(nanos(self.limits.cycle_span));
        let kept = u128::from(self.limits.cycle_kept_percent);
        // (account, amount it sent, time it sent it, place of who it paid in this list, transfers so far)
        let mut ways = vec![(transfer.from, transfer.minor, transfer.at.0, usize::MAX, 1_u8)];
        let (mut next, mut visits) = (0, 0);
        while let Some((account, sent, sent_at, _, hops)) = ways.get(next).copied() {
            if hops >= self.limits.cycle_hops_max {
                return None;
            }
            let held = self.accounts.peek(&account)?;
            for receipt in held.moves.iter().rev().filter(|held| !held.is_sent) {
                visits += 1;
                if visits > self.limits.visits_max || receipt.at < earliest {
                    break;
                }
                let enough = u128::from(sent) * 100 >= u128::from(receipt.minor) * kept;
                if receipt.at > sent_at || sent > receipt.minor || !enough {
                    continue;
                }
                if receipt.other == transfer.to {
                    let mut accounts = vec![transfer.to, account];
                    let mut place = ways[next].3;
                    while let Some((account, _, _, after, _)) = ways.get(place) {
                        accounts.push(*account);
                        place = *after;
                    }
                    return Some(Cycle { accounts, began: UnixNanos(receipt.at) });
                }
                if !ways.iter().any(|(seen, ..)| *seen == receipt.other) {
                    ways.push((receipt.other, receipt.minor, receipt.at, next, hops + 1));
                }
            }
            next += 1;
        }
        None
    }

    /// What is known about an account at `at`. Costs O(transfers held + partners + visits).
    #[must_use]
    pub fn facts(&self, account: u64, at: UnixNanos) -> GraphFacts {
        let unseen = Account::default();
        let held = match self.accounts.peek(&account) {
            // What ran out since its last event must not count.
            Some(held) => {
                let mut held = held.clone();
                held.forget(at.0.saturating_sub(self.window_nanos), usize::MAX);
                held
            }
            None => unseen,
        };
        let sent = Side::of(&held, true);
        let received = Side::of(&held, false);
        let pass = held.pass_through();
        let share = |part: u128, whole: u128| if whole == 0 { f64::NAN } else { part as f64 / whole as f64 };
        let live = |thing: &&(u64, u64)| thing.1.saturating_add(self.window_nanos) > at.0;
        let things: Vec<u64> = held.things.iter().filter(live).map(|(thing, _)| *thing).collect();
        let sharing = things.iter().filter_map(|thing| self.things.peek(thing)).map(|thing| {
            let live =
                |other: &&(u64, u64)| other.0 != account && other.1.saturating_add(self.window_nanos) > at.0;
            thing.accounts.iter().filter(live).count()
        });
        let since = |time: Option<u64>| time.map_or(f64::NAN, |time| secs(at.0.saturating_sub(time)));
        let paid = self.around(&held, true);
        let payers = self.around(&held, false);
        let row = [
            f64::from(self.components.size(account)),
            things.len() as f64,
            sharing.max().unwrap_or(0) as f64,
            self.hops(account, &things, at).map_or(f64::NAN, f64::from),
            sent.count as f64,
            received.count as f64,
            f64::from(held.fan_out),
            f64::from(held.fan_in),
            f64::from(held.reciprocal),
            sent.mean,
            sent.min,
            sent.max,
            sent.stddev,
            received.mean,
            received.min,
            received.max,
            received.stddev,
            f64::from(held.odd_sent),
            f64::from(held.odd_received),
            sent.gap_mean,
            sent.gap_stddev,
            received.gap_mean,
            received.gap_stddev,
            since(sent.last),
            since(received.last),
            share(pass.forwarded, pass.received),
            share(pass.stayed, pass.forwarded),
            f64::from(held.cycles),
            paid.fan_out_mean,
            paid.fan_in_mean,
            paid.odd_mean,
            paid.odd_sum,
            payers.fan_out_mean,
            payers.fan_in_mean,
            payers.odd_mean,
            payers.odd_sum,
            paid.frauds + payers.frauds,
        ];
        GraphFacts { row }
    }

    /// Hops over shared things to the nearest account known for fraud: 0 itself, 1, 2, or `None` if none is found.
    fn hops(&self, account: u64, things: &[u64], at: UnixNanos) -> Option<u8> {
        let is_fraud = |account: &u64| self.accounts.peek(account).is_some_and(|held| held.is_fraud);
        if is_fraud(&account) {
            return Some(0);
        }
        let live = |entry: &&(u64, u64)| entry.1.saturating_add(self.window_nanos) > at.0;
        let mut visits = 0;
        let mut seen = vec![account];
        for thing in things {
            for (other, _) in
                self.things.peek(thing).into_iter().flat_map(|thing| thing.accounts.iter().filter(live))
            {
                visits += 1;
                if visits > self.limits.visits_max {
                    return None;
                }
                if is_fraud(other) {
                    return Some(1);
                }
                if !seen.contains(other) {
                    seen.push(*other);
                }
            }
        }
        for near in &seen[1..] {
            let Some(near) = self.accounts.peek(near) else { continue };
            for (thing, _) in near.things.iter().filter(live).filter(|(thing, _)| !things.contains(thing)) {
                for (other, _) in
                    self.things.peek(thing).into_iter().flat_map(|thing| thing.accounts.iter().filter(live))
                {
                    visits += 1;
                    if visits > self.limits.visits_max {
                        return None;
                    }
                    if is_fraud(other) {
                        return Some(2);
                    }
                }
            }
        }
        None
    }

    /// What the accounts look like that it pays, or that pay it; at most `links_max` of them, by account hash.
    fn around(&self, held: &Account, paid: bool) -> Around {
        let (mut count, mut fan_out, mut fan_in, mut odd, mut frauds) = (0_u32, 0, 0, 0, 0_u32);
        let partners =
            held.partners.iter().filter(|partner| if paid { partner.sent > 0 } else { partner.received > 0 });
        for partner in partners.take(self.limits.links_max) {
            let Some(other) = self.accounts.peek(&partner.other) else { continue };
            count += 1;
            fan_out += other.fan_out;
            fan_in += other.fan_in;
            odd += other.odd_sent + other.odd_received;
            // A partner on both sides is counted once.
            frauds += u32::from(other.is_fraud && (paid || partner.sent == 0));
        }
        let mean = |sum: u32| if count == 0 { f64::NAN } else { f64::from(sum) / f64::from(count) };
        Around {
            fan_out_mean: mean(fan_out),
            fan_in_mean: mean(fan_in),
            odd_mean: mean(odd),
            odd_sum: f64::from(odd),
            frauds: f64::from(frauds),
        }
    }
}

/// Figures over an account's partners.
struct Around {
    fan_out_mean: f64,
    fan_in_mean: f64,
    odd_mean: f64,
    odd_sum: f64,
    frauds: f64,
}

/// Figures over one direction of an account's transfers.
struct Side {
    count: u64,
    mean: f64,
    min: f64,
    max: f64,
    stddev: f64,
    gap_mean: f64,
    gap_stddev: f64,
    last: Option<u64>,
}

fn secs(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

impl Side {
    fn of(held: &Account, sent: bool) -> Self {
        let moves = || held.moves.iter().filter(move |held| held.is_sent == sent);
        let count = moves().count();
        let mean = |sum: f64, count: usize| if count == 0 { f64::NAN } else { sum / count as f64 };
        let amounts = || moves().map(|held| held.minor as f64);
        let average = mean(amounts().sum(), count);
        let spread = |of: f64| (of - average) * (of - average);
        let gaps = || moves().zip(moves().skip(1)).map(|(a, b)| secs(b.at.saturating_sub(a.at)));
        let n_gaps = count.saturating_sub(1);
        let gap_mean = mean(gaps().sum(), n_gaps);
        Self {
            count: count as u64,
            mean: average,
            min: amounts().reduce(f64::min).unwrap_or(f64::NAN),
            max: amounts().reduce(f64::max).unwrap_or(f64::NAN),
            stddev: mean(amounts().map(spread).sum(), count).sqrt(),
            gap_mean,
            gap_stddev: mean(gaps().map(|gap| (gap - gap_mean) * (gap - gap_mean)).sum(), n_gaps).sqrt(),
            last: moves().map(|held| held.at).max(),
        }
    }
}

#[cfg(test)]
mod tests;
