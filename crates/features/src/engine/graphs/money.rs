//! How money moves between nodes: accounts, addresses, whatever the transfers of the pack lead from and to.
//!
//! A node holds its latest transfers of the window. What it sends takes first what it received first, so how much of
//! what came in went out again, and how long it stayed, are exact over the transfers held. A transfer closes a *cycle*
//! if its money came from its own receiver: a chain of transfers, none later than the next, each passing on no more than
//! its sender received by the one before and at least the given share of it.

use std::collections::HashSet;

use super::VISITS_MAX;
use crate::{
    EntityTable, StateDigest,
    engine::MISSING,
    graph::{Account, Move},
    plan::{GraphRead, MoneyPlan, MoneyRead, passes},
};

/// Stands for an end that the event does not name: it has no node, and is nobody's partner.
const UNNAMED: u64 = u64::MAX;

/// A node and what is known about it.
#[derive(Debug, Clone, Default)]
struct Node {
    account: Account,
    /// Events known as fraud that named it.
    frauds: u32,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Money {
    plan: MoneyPlan,
    window_nanos: u64,
    nodes: EntityTable<u64, Node>,
    overflowed: u64,
    /// Of one search: (node, what it passed on, when), each looked at once.
    seen: HashSet<(u64, u64, u64), foldhash::fast::RandomState>,
}

fn key(cell: i64) -> Option<u64> {
    (cell != MISSING).then_some(cell.cast_unsigned())
}

impl Money {
    pub(crate) fn new(plan: MoneyPlan, window: u64, entities_max: usize) -> Self {
        Self {
            window_nanos: window.saturating_mul(plan.tick_nanos),
            nodes: EntityTable::new(entities_max),
            overflowed: 0,
            seen: HashSet::default(),
            plan,
        }
    }

    pub(crate) fn entities(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) const fn evicted(&self) -> u64 {
        self.nodes.evicted()
    }

    pub(crate) const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    pub(crate) fn bytes(&self) -> usize {
        let held = |node: &Node| node.account.bytes() + size_of::<(u64, Node, u64)>();
        self.nodes.iter().map(|(_, node)| held(node)).sum()
    }

    pub(crate) fn mark(&mut self, key: u64, is_fraud: bool) {
        if is_fraud {
            let node = self.nodes.touch(&key, Node::default);
            node.frauds = node.frauds.saturating_add(1);
        } else if let Some(node) = self.nodes.peek_mut(&key) {
            node.frauds = node.frauds.saturating_sub(1);
        }
    }

    /// As [`Money::step`], and takes it back.
    pub(crate) fn preview(&mut self, cells: &[i64], now: u64, reads: &[(usize, GraphRead)], row: &mut [f64]) {
        let overflowed = self.overflowed;
        self.nodes.begin_trial();
        self.step(cells, now, reads, row);
        self.nodes.roll_back();
        self.overflowed = overflowed;
    }

    pub(crate) fn step(&mut self, cells: &[i64], now: u64, reads: &[(usize, GraphRead)], row: &mut [f64]) {
        let at = now.saturating_mul(self.plan.tick_nanos);
        let mut cycle: Option<u8> = None;
        for place in 0..self.plan.transfers.len() {
            let transfer = &self.plan.transfers[place];
            if !passes(&transfer.filter, cells) {
                continue;
            }
            let (from, to) = (key(cells[transfer.from]), key(cells[transfer.to]));
            // What is missing or negative moves nothing.
            let Ok(minor) = u64::try_from(cells[transfer.value]) else { continue };
            if from == to {
                continue;
            }
            let closed = self.transfer(from, to, minor, at);
            cycle = closed.map_or(cycle, |closed| Some(cycle.map_or(closed, |other| other.min(closed))));
        }
        for (node, read) in reads {
            let GraphRead::Money { of, read } = read else { continue };
            row[*node] = match read {
                MoneyRead::Cycle => cycle.map_or(0.0, f64::from),
                read => key(cells[*of]).map_or(f64::NAN, |node| self.read(*read, node, at)),
            };
        }
    }

    /// Takes a transfer in; returns how many transfers the shortest cycle has that it closes.
    fn transfer(&mut self, from: Option<u64>, to: Option<u64>, minor: u64, at: u64) -> Option<u8> {
        let max = self.plan.transfers_max;
        let ends = [(from, to, true), (to, from, false)];
        for (node, other, is_sent) in ends {
            let Some(node) = node else { continue };
            let other = other.unwrap_or(UNNAMED);
            let new = if is_sent {
                Move::sent(other, minor, at, false)
            } else {
                Move::received(other, minor, at, false)
            };
            let account = &mut self.nodes.touch(&node, Node::default).account;
            account.forget_before(at, self.window_nanos);
            self.overflowed += u64::from(account.moves.len() >= max);
            account.push(new, 0, max);
        }
        self.cycle(from?, to?, minor, at)
    }

    /// A breadth-first search backward over receipts, from the sender of the closing transfer to its receiver.
    fn cycle(&mut self, from: u64, to: u64, minor: u64, at: u64) -> Option<u8> {
        let cycle = self.plan.cycle;
        let span = cycle.span.saturating_mul(self.plan.tick_nanos);
        let is_live = |receipt: &Move| {
            receipt.at.saturating_add(self.window_nanos) > at && receipt.at.saturating_add(span) >= at
        };
        // (node, what it passed on, when, transfers from there on)
        let mut ways = vec![(from, minor, at, 1_u8)];
        let (mut next, mut visits) = (0, 0);
        let mut seen = std::mem::take(&mut self.seen);
        seen.clear();
        let mut closed = None;
        'search: while let Some((node, sent, sent_at, transfers)) = ways.get(next).copied() {
            next += 1;
            if transfers >= cycle.hops_max {
                break;
            }
            let Some(held) = self.nodes.peek(&node) else { continue };
            for receipt in held.account.moves.iter().rev().take_while(|receipt| is_live(receipt)) {
                visits += 1;
                if visits > VISITS_MAX {
                    break 'search;
                }
                let least = u128::from(receipt.minor) * u128::from(cycle.kept_percent);
                let is_passed_on = sent <= receipt.minor && u128::from(sent) * 100 >= least;
                if receipt.is_sent || receipt.at > sent_at || !is_passed_on || receipt.other == UNNAMED {
                    continue;
                }
                if receipt.other == to {
                    closed = Some(transfers + 1);
                    break 'search;
                }
                if seen.insert((receipt.other, receipt.minor, receipt.at)) {
                    ways.push((receipt.other, receipt.minor, receipt.at, transfers + 1));
                }
            }
        }
        self.seen = seen;
        closed
    }

    fn read(&mut self, read: MoneyRead, node: u64, at: u64) -> f64 {
        if let Some(held) = self.nodes.peek_mut(&node) {
            held.account.forget_before(at, self.window_nanos);
        }
        let unseen = Node::default();
        let account = &self.nodes.peek(&node).unwrap_or(&unseen).account;
        let share = |part: u128, whole: u128| if whole == 0 { f64::NAN } else { part as f64 / whole as f64 };
        let total = |is_sent: bool| {
            let moves = account.moves.iter().filter(|held| held.is_sent == is_sent);
            moves.map(|held| u128::from(held.minor)).sum::<u128>() as f64 / self.plan.per_unit
        };
        let unnamed = account.partners.last().filter(|partner| partner.other == UNNAMED);
        match read {
            MoneyRead::Cycle => f64::NAN,
            MoneyRead::Dwell { per } => {
                let pass = account.pass_through();
                share(pass.stayed, pass.forwarded) / per
            }
            MoneyRead::FanIn => {
                f64::from(account.fan_in - u32::from(unnamed.is_some_and(|unnamed| unnamed.received > 0)))
            }
            MoneyRead::FanOut => {
                f64::from(account.fan_out - u32::from(unnamed.is_some_and(|unnamed| unnamed.sent > 0)))
            }
            MoneyRead::FraudPartners => {
                let is_fraud = |other: u64| self.nodes.peek(&other).is_some_and(|node| node.frauds > 0);
                account.partners.iter().filter(|partner| is_fraud(partner.other)).count() as f64
            }
            MoneyRead::PassThrough => {
                let pass = account.pass_through();
                share(pass.forwarded, pass.received)
            }
            MoneyRead::Received => total(false),
            MoneyRead::Sent => total(true),
        }
    }

    pub(crate) fn feed(&self, digest: &mut StateDigest) {
        digest.number(self.nodes.len() as u64);
        digest.number(self.nodes.evicted());
        digest.number(self.overflowed);
        for (key, node) in self.nodes.iter() {
            digest.number(*key);
            digest.number(u64::from(node.frauds));
            node.account.feed(digest);
        }
    }
}
