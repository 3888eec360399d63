//! Who uses the same things: devices, addresses, documents.
//!
//! An account is linked to a thing from the event that names both until the window after its last such event. An account
//! holds the `links_max` things it used last. A thing of more than `hub_above` accounts is a *hub* (an airport, a VPN, a
//! carrier's gateway): it connects nobody; a thing holds one account more than that, which is all it takes to know.
//!
//! The search from an account is breadth first: things of an account by last use, the newest first, then the accounts of
//! a thing in the same order. It ends after `reach_max` accounts, or [`VISITS_MAX`] links.

use std::collections::HashSet;

use super::VISITS_MAX;
use crate::{
    EntityTable, StateDigest,
    engine::MISSING,
    hash::pair,
    plan::{GraphRead, SharingPlan, SharingRead, passes},
};

/// An account with its things, or a thing with its accounts.
#[derive(Debug, Clone, Default)]
struct Node {
    /// (other end, last use), the newest last.
    links: Vec<(u64, u64)>,
    /// Events known as fraud that named it.
    frauds: u32,
}

impl Node {
    /// Links to `other` as of `now`; returns whether a link that still counted made room.
    fn link(&mut self, other: u64, now: u64, window: u64, links_max: usize) -> bool {
        let is_live = |used: u64| used.saturating_add(window) > now;
        self.links.retain(|(held, used)| *held != other && is_live(*used));
        let is_full = self.links.len() >= links_max;
        if is_full {
            self.links.remove(0);
        }
        self.links.push((other, now));
        is_full
    }

    /// The other ends that count, the newest first.
    fn live(&self, now: u64, window: u64) -> impl Iterator<Item = u64> {
        let is_live = move |used: u64| used.saturating_add(window) > now;
        self.links.iter().rev().take_while(move |(_, used)| is_live(*used)).map(|(other, _)| *other)
    }
}

/// What the search from an account saw.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    accounts: u32,
    shared_accounts: u32,
    shared_frauds: u32,
    shared_things: u32,
    hops: Option<u8>,
}

/// How far a search must go for what is read: the accounts `depth` things away.
pub(crate) fn depth_max(plan: &SharingPlan, reads: impl Iterator<Item = SharingRead>) -> usize {
    let depth = reads.map(|read| match read {
        SharingRead::ComponentAccounts => usize::MAX,
        SharingRead::HopsToFraud => usize::from(plan.hops_max).div_ceil(2),
        SharingRead::SharedAccounts | SharingRead::SharedFrauds | SharingRead::SharedThings => 1,
    });
    depth.max().unwrap_or(0)
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Sharing {
    plan: SharingPlan,
    window: u64,
    depth_max: usize,
    accounts: EntityTable<u64, Node>,
    things: EntityTable<u64, Node>,
    overflowed: u64,
    /// Of one search: accounts in the order found, with their distance in things.
    queue: Vec<(u64, usize)>,
    seen_accounts: HashSet<u64, foldhash::fast::RandomState>,
    seen_things: HashSet<u64, foldhash::fast::RandomState>,
}

impl Sharing {
    pub(crate) fn new(plan: SharingPlan, window: u64, depth_max: usize, entities_max: usize) -> Self {
        Self {
            accounts: EntityTable::new(entities_max),
            things: EntityTable::new(entities_max),
            overflowed: 0,
            queue: Vec::new(),
            seen_accounts: HashSet::default(),
            seen_things: HashSet::default(),
            plan,
            window,
            depth_max,
        }
    }

    pub(crate) fn entities(&self) -> usize {
        self.accounts.len() + self.things.len()
    }

    pub(crate) const fn evicted(&self) -> u64 {
        self.accounts.evicted() + self.things.evicted()
    }

    pub(crate) const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    pub(crate) fn bytes(&self) -> usize {
        let nodes = self.accounts.iter().chain(self.things.iter());
        nodes.map(|(_, node)| size_of::<(u64, Node, u64)>() + node.links.capacity() * 16).sum()
    }

    /// The thing in a field of the event; things of different fields are different.
    fn thing(place: usize, cell: i64) -> Option<u64> {
        (cell != MISSING).then(|| pair(place as u64, cell.cast_unsigned()))
    }

    pub(crate) fn mark(&mut self, field: usize, key: u64, is_fraud: bool) {
        let (table, key) = match self.plan.things.iter().position(|thing| *thing == field) {
            Some(place) => (&mut self.things, pair(place as u64, key)),
            None => (&mut self.accounts, key),
        };
        if is_fraud {
            let node = table.touch(&key, Node::default);
            node.frauds = node.frauds.saturating_add(1);
        } else if let Some(node) = table.peek_mut(&key) {
            node.frauds = node.frauds.saturating_sub(1);
        }
    }

    /// As [`Sharing::step`], and takes it back.
    pub(crate) fn preview(
        &mut self,
        cells: &[i64],
        now: u64,
        reads: &[(usize, GraphRead)],
        nodes: &mut [f64],
    ) {
        let overflowed = self.overflowed;
        self.accounts.begin_trial();
        self.things.begin_trial();
        self.step(cells, now, reads, nodes);
        self.accounts.roll_back();
        self.things.roll_back();
        self.overflowed = overflowed;
    }

    pub(crate) fn step(&mut self, cells: &[i64], now: u64, reads: &[(usize, GraphRead)], nodes: &mut [f64]) {
        let cell = cells[self.plan.account];
        if cell == MISSING {
            reads.iter().for_each(|(node, _)| nodes[*node] = f64::NAN);
            return;
        }
        let account = cell.cast_unsigned();
        if passes(&self.plan.filter, cells) {
            for (place, field) in self.plan.things.iter().enumerate() {
                let Some(thing) = Self::thing(place, cells[*field]) else { continue };
                let held = self.accounts.touch(&account, Node::default);
                self.overflowed += u64::from(held.link(thing, now, self.window, self.plan.links_max));
                let held = self.things.touch(&thing, Node::default);
                // One account more than makes a hub: which of them it holds does not matter then.
                held.link(account, now, self.window, self.plan.hub_above.saturating_add(1));
            }
        }
        let seen = self.look(account, now);
        for (node, read) in reads {
            let GraphRead::Sharing(read) = read else { continue };
            nodes[*node] = match read {
                SharingRead::ComponentAccounts => f64::from(seen.accounts),
                SharingRead::HopsToFraud => seen.hops.map_or(f64::NAN, f64::from),
                SharingRead::SharedAccounts => f64::from(seen.shared_accounts),
                SharingRead::SharedFrauds => f64::from(seen.shared_frauds),
                SharingRead::SharedThings => f64::from(seen.shared_things),
            };
        }
    }

    fn look(&mut self, account: u64, now: u64) -> Seen {
        let Self { plan, accounts, things, queue, seen_accounts, seen_things, .. } = self;
        let window = self.window;
        let is_fraud = |node: &Node| node.frauds > 0;
        queue.clear();
        seen_accounts.clear();
        seen_things.clear();
        queue.push((account, 0));
        seen_accounts.insert(account);
        let mut seen = Seen { accounts: 1, ..Seen::default() };
        let mut hops: Option<usize> = accounts.peek(&account).filter(|node| is_fraud(node)).map(|_| 0);
        let (mut next, mut visits) = (0, 0);
        'search: while let Some((near, depth)) = queue.get(next).copied() {
            next += 1;
            if depth >= self.depth_max {
                break;
            }
            for thing in accounts.peek(&near).into_iter().flat_map(|node| node.live(now, window)) {
                visits += 1;
                if visits > VISITS_MAX {
                    break 'search;
                }
                if !seen_things.insert(thing) {
                    continue;
                }
                let Some(node) = things.peek(&thing) else { continue };
                let users = node.live(now, window).count();
                if users > plan.hub_above {
                    continue;
                }
                if is_fraud(node) {
                    hops = Some(hops.map_or(2 * depth + 1, |hops| hops.min(2 * depth + 1)));
                }
                seen.shared_things += u32::from(depth == 0 && users > 1);
                for other in node.live(now, window) {
                    visits += 1;
                    if visits > VISITS_MAX {
                        break 'search;
                    }
                    if seen_accounts.contains(&other) {
                        continue;
                    }
                    if queue.len() >= plan.reach_max {
                        break 'search;
                    }
                    seen_accounts.insert(other);
                    let is_known = accounts.peek(&other).is_some_and(is_fraud);
                    if is_known {
                        hops = Some(hops.map_or(2 * depth + 2, |hops| hops.min(2 * depth + 2)));
                    }
                    seen.accounts += 1;
                    seen.shared_accounts += u32::from(depth == 0);
                    seen.shared_frauds += u32::from(depth == 0 && is_known);
                    queue.push((other, depth + 1));
                }
            }
        }
        seen.hops = hops.and_then(|hops| u8::try_from(hops).ok()).filter(|hops| *hops <= plan.hops_max);
        seen
    }

    pub(crate) fn feed(&self, digest: &mut StateDigest) {
        for table in [&self.accounts, &self.things] {
            digest.number(table.len() as u64);
            digest.number(table.evicted());
            for (key, node) in table.iter() {
                digest.number(*key);
                digest.number(u64::from(node.frauds));
                digest.number(node.links.len() as u64);
                for (other, used) in &node.links {
                    digest.number(*other);
                    digest.number(*used);
                }
            }
        }
        digest.number(self.overflowed);
    }
}
