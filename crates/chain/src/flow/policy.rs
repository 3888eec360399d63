//! The rules by which taint travels: which lots leave a holder, and which of them reach whom.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
};

use super::{Lot, Source, ratio::apportion};

/// Which part of mixed money is the tainted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// What was received first is spent first; outputs are filled in their order.
    Fifo,
    /// Every part of a holding has the same share of taint, and so has every output. Units that cannot be divided go to
    /// the largest remainders, so shares are off by less than one unit per movement.
    Haircut,
    /// What was received last is spent first; outputs are filled in their order.
    Lifo,
    /// One tainted unit taints all of a holding, and all outputs it is paid to. The source is that with the lowest number.
    Poison,
    /// Taint in, highest out: tainted money is spent first and goes to the largest outputs.
    Tiho,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 5] = [Self::Fifo, Self::Haircut, Self::Lifo, Self::Poison, Self::Tiho];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Haircut => "haircut",
            Self::Lifo => "lifo",
            Self::Poison => "poison",
            Self::Tiho => "tiho",
        }
    }

    /// Whether the order of receipt does not matter, so that lots of one source can be one.
    pub(super) const fn is_unordered(self) -> bool {
        matches!(self, Self::Haircut | Self::Poison | Self::Tiho)
    }

    /// Takes `amount` out of lots that sum to `total`, which is at least that.
    pub(super) fn take(self, lots: &mut VecDeque<Lot>, total: u128, amount: u128) -> Vec<Lot> {
        match self {
            Self::Fifo => take_ends(lots, amount, VecDeque::pop_front, VecDeque::push_front),
            Self::Lifo => take_ends(lots, amount, VecDeque::pop_back, VecDeque::push_back),
            Self::Tiho => {
                // Sources in their order, what is clean last.
                lots.make_contiguous().sort_by_key(|lot| (lot.source.is_none(), lot.source));
                take_ends(lots, amount, VecDeque::pop_front, VecDeque::push_front)
            }
            // Under poison there is one lot, or none.
            Self::Haircut | Self::Poison => take_shares(lots, total, amount),
        }
    }

    /// Hands `taken` to outputs of the same sum: the lots of each, in their order.
    pub(super) fn deal(self, taken: &[Lot], outputs: &[u128]) -> Vec<Vec<Lot>> {
        match self {
            Self::Fifo | Self::Lifo => fill(taken, outputs, 0..outputs.len()),
            Self::Tiho => {
                let mut lots = taken.to_vec();
                lots.sort_by_key(|lot| (lot.source.is_none(), lot.source));
                let mut order: Vec<usize> = (0..outputs.len()).collect();
                order.sort_by_key(|at| (Reverse(outputs.get(*at)), *at));
                fill(&lots, outputs, order)
            }
            Self::Haircut => prorate(taken, outputs),
            Self::Poison => {
                let source = taken.iter().filter_map(|lot| lot.source).min();
                outputs.iter().map(|amount| vec![Lot { source, amount: *amount }]).collect()
            }
        }
    }
}

/// Makes lots of one source one, in the order of the sources.
pub(super) fn gather(lots: &mut VecDeque<Lot>) {
    // Usually the last lot, just received, belongs to one that is there.
    let mut sums: BTreeMap<Option<Source>, u128> = BTreeMap::new();
    for lot in lots.drain(..) {
        *sums.entry(lot.source).or_default() += lot.amount;
    }
    lots.extend(sums.into_iter().map(|(source, amount)| Lot { source, amount }));
}

/// Taints all if one lot is tainted, with the source of the lowest number.
pub(super) fn poison(lots: &mut VecDeque<Lot>) {
    if let Some(source) = lots.iter().filter_map(|lot| lot.source).min() {
        let amount = lots.drain(..).map(|lot| lot.amount).sum();
        lots.push_back(Lot { source: Some(source), amount });
    }
}

fn take_ends(
    lots: &mut VecDeque<Lot>,
    amount: u128,
    pop: impl Fn(&mut VecDeque<Lot>) -> Option<Lot>,
    push: impl Fn(&mut VecDeque<Lot>, Lot),
) -> Vec<Lot> {
    let (mut taken, mut wanted) = (Vec::new(), amount);
    while wanted > 0 {
        let Some(lot) = pop(lots) else { break };
        let used = lot.amount.min(wanted);
        wanted -= used;
        taken.push(Lot { amount: used, ..lot });
        if used < lot.amount {
            push(lots, Lot { amount: lot.amount - used, ..lot });
        }
    }
    taken
}

fn take_shares(lots: &mut VecDeque<Lot>, total: u128, amount: u128) -> Vec<Lot> {
    let amounts: Vec<u128> = lots.iter().map(|lot| lot.amount).collect();
    let mut taken = Vec::new();
    for (lot, share) in lots.iter_mut().zip(apportion(amount, &amounts, total)) {
        lot.amount -= share;
        if share > 0 {
            taken.push(Lot { amount: share, ..*lot });
        }
    }
    lots.retain(|lot| lot.amount > 0);
    taken
}

/// Fills outputs one after the other with lots in their order.
fn fill(lots: &[Lot], outputs: &[u128], order: impl IntoIterator<Item = usize>) -> Vec<Vec<Lot>> {
    let mut dealt = vec![Vec::new(); outputs.len()];
    let mut lots = lots.iter().copied().filter(|lot| lot.amount > 0);
    let mut rest: Option<Lot> = None;
    for at in order {
        let (Some(output), Some(wanted)) = (dealt.get_mut(at), outputs.get(at)) else { continue };
        let mut wanted = *wanted;
        while wanted > 0 {
            let Some(lot) = rest.take().or_else(|| lots.next()) else { break };
            let used = lot.amount.min(wanted);
            wanted -= used;
            output.push(Lot { amount: used, ..lot });
            if used < lot.amount {
                rest = Some(Lot { amount: lot.amount - used, ..lot });
            }
        }
    }
    dealt
}

/// Gives every output the same mixture. Each output takes its share of what is left, so the last takes all of it.
fn prorate(taken: &[Lot], outputs: &[u128]) -> Vec<Vec<Lot>> {
    let mut pool: VecDeque<Lot> = taken.iter().copied().collect();
    gather(&mut pool);
    let mut left: u128 = pool.iter().map(|lot| lot.amount).sum();
    outputs
        .iter()
        .map(|output| {
            let lots = take_shares(&mut pool, left, *output);
            left -= output;
            lots
        })
        .collect()
}
