//! What the graph keeps of one account: its latest transfers, whom it deals with, what it shares.

use std::collections::VecDeque;

use crate::StateDigest;

/// One side of a transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) other: u64,
    pub(crate) minor: u64,
    pub(crate) at: u64,
    pub(crate) is_sent: bool,
    /// Far from what its sender used to send.
    pub(crate) is_odd: bool,
    /// Of a receipt: what was not sent on yet.
    left: u64,
    /// Of a receipt: minor units sent on times the seconds they stayed.
    stayed: u128,
}

impl Move {
    pub(crate) const fn sent(other: u64, minor: u64, at: u64, is_odd: bool) -> Self {
        Self { other, minor, at, is_sent: true, is_odd, left: 0, stayed: 0 }
    }

    pub(crate) const fn received(other: u64, minor: u64, at: u64, is_odd: bool) -> Self {
        Self { other, minor, at, is_sent: false, is_odd, left: minor, stayed: 0 }
    }
}

/// Another account it deals with, by the transfers held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partner {
    pub(crate) other: u64,
    pub(crate) sent: u32,
    pub(crate) received: u32,
}

/// See the module's head.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// In the order of the log.
    pub(crate) moves: VecDeque<Move>,
    /// Ascending by account.
    pub(crate) partners: Vec<Partner>,
    pub(crate) fan_out: u32,
    pub(crate) fan_in: u32,
    /// Partners that it both pays and is paid by.
    pub(crate) reciprocal: u32,
    pub(crate) odd_sent: u32,
    pub(crate) odd_received: u32,
    /// Cycles closed through it.
    pub(crate) cycles: u32,
    pub(crate) is_fraud: bool,
    /// Things it uses, with the time of last use.
    pub(crate) things: Vec<(u64, u64)>,
    /// Moves before this index have nothing left to send on.
    unspent: usize,
}

/// Pass-through over the receipts held.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PassThrough {
    pub(crate) received: u128,
    pub(crate) forwarded: u128,
    pub(crate) stayed: u128,
}

impl Account {
    /// Median of what it sent, over the transfers held.
    pub(crate) fn usual(&self, scratch: &mut Vec<u64>) -> Option<u64> {
        scratch.clear();
        scratch.extend(self.moves.iter().filter(|held| held.is_sent).map(|held| held.minor));
        if scratch.is_empty() {
            return None;
        }
        let middle = scratch.len() / 2;
        Some(*scratch.select_nth_unstable(middle).1)
    }

    /// Takes a move in; what it sends takes first what it received first.
    pub(crate) fn push(&mut self, new: Move, after: u64, moves_max: usize) {
        self.forget(after, moves_max.saturating_sub(1));
        if new.is_sent {
            let mut rest = new.minor;
            while rest > 0
                && let Some(held) = self.moves.get_mut(self.unspent)
            {
                let taken = held.left.min(rest);
                held.left -= taken;
                rest -= taken;
                let secs = new.at.saturating_sub(held.at) / 1_000_000_000;
                held.stayed += u128::from(taken) * u128::from(secs);
                if held.left > 0 {
                    break;
                }
                self.unspent += 1;
            }
        }
        self.count(&new, true);
        self.moves.push_back(new);
    }

    /// Drops moves up to the time `after`, and the oldest beyond the bound.
    pub(crate) fn forget(&mut self, after: u64, moves_max: usize) {
        while let Some(oldest) = self.moves.front().copied() {
            if oldest.at > after && self.moves.len() <= moves_max {
                break;
            }
            self.moves.pop_front();
            self.unspent = self.unspent.saturating_sub(1);
            self.count(&oldest, false);
        }
    }

    /// Drops moves that are `window` old or older at `now`.
    pub(crate) fn forget_before(&mut self, now: u64, window: u64) {
        while self.moves.front().is_some_and(|oldest| oldest.at.saturating_add(window) <= now) {
            if let Some(oldest) = self.moves.pop_front() {
                self.unspent = self.unspent.saturating_sub(1);
                self.count(&oldest, false);
            }
        }
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.moves.capacity() * size_of::<Move>() + self.partners.capacity() * size_of::<Partner>()
    }

    /// Feeds what the transfers held say; the rest follows from them.
    pub(crate) fn feed(&self, digest: &mut StateDigest) {
        digest.number(self.moves.len() as u64);
        digest.number(self.unspent as u64);
        for Move { other, minor, at, is_sent, is_odd, left, stayed } in &self.moves {
            for number in [*other, *minor, *at, u64::from(*is_sent), u64::from(*is_odd), *left] {
                digest.number(number);
            }
            digest.bytes(&stayed.to_be_bytes());
        }
    }

    fn count(&mut self, held: &Move, enters: bool) {
        let place = match self.partners.binary_search_by_key(&held.other, |partner| partner.other) {
            Ok(place) => place,
            Err(place) => {
                self.partners.insert(place, Partner { other: held.other, sent: 0, received: 0 });
                place
            }
        };
        let partner = &mut self.partners[place];
        let was = (partner.sent > 0, partner.received > 0);
        let step = |count: &mut u32| *count = if enters { *count + 1 } else { count.saturating_sub(1) };
        step(if held.is_sent { &mut partner.sent } else { &mut partner.received });
        if held.is_odd {
            step(if held.is_sent { &mut self.odd_sent } else { &mut self.odd_received });
        }
        let is = (partner.sent > 0, partner.received > 0);
        if is == (false, false) {
            self.partners.remove(place);
        }
        let change = |count: &mut u32, was: bool, is: bool| {
            *count = (*count + u32::from(is)).saturating_sub(u32::from(was));
        };
        change(&mut self.fan_out, was.0, is.0);
        change(&mut self.fan_in, was.1, is.1);
        change(&mut self.reciprocal, was.0 && was.1, is.0 && is.1);
    }

    pub(crate) fn pass_through(&self) -> PassThrough {
        let receipts = self.moves.iter().filter(|held| !held.is_sent);
        receipts.fold(PassThrough::default(), |sum, held| PassThrough {
            received: sum.received + u128::from(held.minor),
            forwarded: sum.forwarded + u128::from(held.minor - held.left),
            stayed: sum.stayed + held.stayed,
        })
    }
}
