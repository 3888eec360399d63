//! Tainted money followed from hand to hand: a ledger of one asset, with the rule by which taint travels.
//!
//! Money mixes in every account, so which of it is the stolen part is a convention, a [`Policy`]: first in first out
//! (Clayton's case, 1816; Anderson, Shumailov and Ahmed 2018), last in first out, taint in highest out, pro rata
//! (haircut), or poison. All but poison conserve: what entered tainted is held, absorbed or paid as fees, to the last
//! unit ([`Totals`]). Poison multiplies by design; it answers who was touched, not how much.
//!
//! Following **stops at services** ([`Role`]): what an exchange receives is absorbed there, since what it pays out belongs
//! to others. What a mixer pays out carries the mixer's own taint instead.
//!
//! What a holder spends beyond what the ledger has seen it receive is clean: the ledger may begin in the middle of a
//! chain. Blocks can be undone ([`Ledger::undo_to`]). A label that comes later is a new ledger over the same
//! movements.
//!
//! What it is not: a balance. Amounts are whole units of the asset, at most 128 bits; a transfer of more, which only a
//! worthless token can have, is to be left out by the caller.
//!
//! Bounds: [`LOTS_MAX`] lots per holder, [`BLOCKS_MAX`] blocks that can be undone, [`PARTIES_MAX`] on either side of a
//! movement.

mod policy;
mod ratio;

use std::collections::{BTreeMap, VecDeque};

pub use self::policy::Policy;

/// Most lots of one holder, neighbours of one kind counting as one.
pub const LOTS_MAX: usize = 4_096;
/// Most blocks that can be undone at a time.
pub const BLOCKS_MAX: usize = 1_024;
/// Most entries on either side of a movement.
pub const PARTIES_MAX: usize = 100_000;

/// Where taint came from: a number of the caller's, such as that of a label or a theft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(pub u32);

/// Why the ledger refused. Nothing is changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// More goes out of a movement than comes in.
    #[error("the movement pays out more than it takes in")]
    Created,
    /// A block does not stand above the one before.
    #[error("block {got} after block {last}")]
    OutOfOrder {
        /// Its height.
        got: u64,
        /// Height of the newest block.
        last: u64,
    },
    /// A sum that does not fit 128 bits.
    #[error("a sum does not fit 128 bits")]
    Overflow,
    /// Blocks that were settled cannot be undone.
    #[error("cannot undo to block {wanted}: blocks up to {settled} are settled")]
    Settled {
        /// Height asked for.
        wanted: u64,
        /// Highest settled height.
        settled: u64,
    },
    /// More than [`BLOCKS_MAX`] blocks are not settled.
    #[error("{BLOCKS_MAX} blocks are not settled; settle some before block {got}")]
    TooManyBlocks {
        /// Height of the block that found no room.
        got: u64,
    },
    /// A holder whose money is too finely mixed to follow: it behaves as a service and should be declared one.
    #[error("holder {holder} has more than {LOTS_MAX} lots")]
    TooManyLots {
        /// Who.
        holder: u32,
    },
    /// A movement with too many parties.
    #[error("{got} parties on one side of a movement, at most {PARTIES_MAX}")]
    TooManyParties {
        /// How many.
        got: usize,
    },
}

/// What ends at a holder, and what begins there. All it receives is absorbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// What all it pays out is tainted with; `None`: clean, as from an exchange.
    pub pays: Option<Source>,
}

/// An amount of one kind, in the order it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lot {
    /// `None`: clean.
    source: Option<Source>,
    amount: u128,
}

/// What a holder has, oldest lot first. Neighbours differ in kind, and no lot is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Holding {
    lots: VecDeque<Lot>,
    total: u128,
}

impl Holding {
    fn receive(&mut self, lot: Lot) -> Result<(), FlowError> {
        if lot.amount == 0 {
            return Ok(());
        }
        self.total = self.total.checked_add(lot.amount).ok_or(FlowError::Overflow)?;
        match self.lots.back_mut() {
            Some(last) if last.source == lot.source => last.amount += lot.amount,
            _ => self.lots.push_back(lot),
        }
        Ok(())
    }
}

/// What the ledger sums up beside holdings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sum {
    /// By the service that absorbed it.
    Absorbed(Source, u32),
    Entered(Source),
    Fees(Source),
}

/// Where the tainted money of one source is. But under [`Policy::Poison`], which multiplies it, the others sum up to what
/// entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Came in tainted.
    pub entered: u128,
    /// With holders that are followed.
    pub held: u128,
    /// Received by services.
    pub absorbed: u128,
    /// Paid as fees.
    pub fees: u128,
}

/// What a block overwrote.
#[derive(Debug, Clone, Default)]
struct Open {
    height: u64,
    holdings: BTreeMap<u32, Option<Holding>>,
    sums: BTreeMap<Sum, Option<u128>>,
}

/// The ledger of one asset.
#[derive(Debug, Clone)]
pub struct Ledger {
    policy: Policy,
    roles: BTreeMap<u32, Role>,
    holdings: BTreeMap<u32, Holding>,
    sums: BTreeMap<Sum, u128>,
    open: VecDeque<Open>,
    settled: Option<u64>,
}

/// Changes of one movement, kept apart until all of it has succeeded.
#[derive(Debug, Default)]
struct Draft {
    holdings: BTreeMap<u32, Holding>,
    sums: BTreeMap<Sum, u128>,
}

impl Ledger {
    /// An empty ledger with the holders that end the following.
    #[must_use]
    pub fn new(policy: Policy, roles: impl IntoIterator<Item = (u32, Role)>) -> Self {
        Self {
            policy,
            roles: roles.into_iter().collect(),
            holdings: BTreeMap::new(),
            sums: BTreeMap::new(),
            open: VecDeque::new(),
            settled: None,
        }
    }

    /// New money for a holder: minted, or from outside what the ledger sees, tainted or not.
    ///
    /// # Errors
    /// [`FlowError`].
    pub fn enter(&mut self, holder: u32, amount: u128, source: Option<Source>) -> Result<(), FlowError> {
        let mut draft = Draft::default();
        self.entered(&mut draft, source, amount)?;
        self.deliver(&mut draft, holder, Lot { source, amount })?;
        self.commit(draft);
        Ok(())
    }

    /// Moves money between holders: a transfer (one of each), or a transaction with many inputs and outputs. What is not
    /// paid out is a fee.
    ///
    /// # Errors
    /// [`FlowError`].
    pub fn pay(&mut self, from: &[(u32, u128)], to: &[(u32, u128)]) -> Result<(), FlowError> {
        for side in [from, to] {
            if side.len() > PARTIES_MAX {
                return Err(FlowError::TooManyParties { got: side.len() });
            }
        }
        let sum = |side: &[(u32, u128)]| {
            side.iter()
                .try_fold(0_u128, |sum, (_, amount)| sum.checked_add(*amount))
                .ok_or(FlowError::Overflow)
        };
        let fee = sum(from)?.checked_sub(sum(to)?).ok_or(FlowError::Created)?;
        let mut draft = Draft::default();
        let mut taken = Vec::new();
        for (holder, amount) in from {
            self.take(&mut draft, *holder, *amount, &mut taken)?;
        }
        let mut outputs: Vec<u128> = to.iter().map(|(_, amount)| *amount).collect();
        outputs.push(fee);
        let dealt = self.policy.deal(&taken, &outputs);
        for ((holder, _), lots) in to.iter().zip(&dealt) {
            for lot in lots {
                self.deliver(&mut draft, *holder, *lot)?;
            }
        }
        for lot in dealt.last().into_iter().flatten() {
            if let Some(source) = lot.source {
                self.add(&mut draft, Sum::Fees(source), lot.amount)?;
            }
        }
        self.commit(draft);
        Ok(())
    }

    /// Takes an amount from a holder, in the order of the policy.
    fn take(
        &self,
        draft: &mut Draft,
        holder: u32,
        amount: u128,
        taken: &mut Vec<Lot>,
    ) -> Result<(), FlowError> {
        if amount == 0 {
            return Ok(());
        }
        if let Some(role) = self.roles.get(&holder) {
            self.entered(draft, role.pays, amount)?;
            taken.push(Lot { source: role.pays, amount });
            return Ok(());
        }
        let holding = self.draft_holding(draft, holder);
        let known = amount.min(holding.total);
        let lots = self.policy.take(&mut holding.lots, holding.total, known);
        holding.total -= known;
        taken.extend(lots);
        if amount > known {
            // Received before the ledger began.
            taken.push(Lot { source: None, amount: amount - known });
        }
        Ok(())
    }

    fn deliver(&self, draft: &mut Draft, holder: u32, lot: Lot) -> Result<(), FlowError> {
        if self.roles.contains_key(&holder) {
            return match lot.source {
                Some(source) => self.add(draft, Sum::Absorbed(source, holder), lot.amount),
                None => Ok(()),
            };
        }
        let holding = self.draft_holding(draft, holder);
        holding.receive(lot)?;
        if self.policy.is_unordered() {
            policy::gather(&mut holding.lots);
        }
        if self.policy == Policy::Poison {
            policy::poison(&mut holding.lots);
        }
        if holding.lots.len() > LOTS_MAX {
            return Err(FlowError::TooManyLots { holder });
        }
        Ok(())
    }

    fn draft_holding<'d>(&self, draft: &'d mut Draft, holder: u32) -> &'d mut Holding {
        draft
            .holdings
            .entry(holder)
            .or_insert_with(|| self.holdings.get(&holder).cloned().unwrap_or_default())
    }

    fn entered(&self, draft: &mut Draft, source: Option<Source>, amount: u128) -> Result<(), FlowError> {
        source.map_or(Ok(()), |source| self.add(draft, Sum::Entered(source), amount))
    }

    fn add(&self, draft: &mut Draft, of: Sum, amount: u128) -> Result<(), FlowError> {
        let sum = draft.sums.entry(of).or_insert_with(|| self.sums.get(&of).copied().unwrap_or_default());
        *sum = sum.checked_add(amount).ok_or(FlowError::Overflow)?;
        Ok(())
    }

    /// Puts a finished movement into force, remembering what it overwrites.
    fn commit(&mut self, draft: Draft) {
        let mut open = self.open.back_mut();
        for (holder, holding) in draft.holdings {
            let before = if holding.lots.is_empty() {
                self.holdings.remove(&holder)
            } else {
                self.holdings.insert(holder, holding)
            };
            if let Some(open) = open.as_deref_mut() {
                open.holdings.entry(holder).or_insert(before);
            }
        }
        for (of, sum) in draft.sums {
            let before = self.sums.insert(of, sum);
            if let Some(open) = open.as_deref_mut() {
                open.sums.entry(of).or_insert(before);
            }
        }
    }

    /// Opens a block: what moves from here on belongs to it and can be undone.
    ///
    /// # Errors
    /// [`FlowError::OutOfOrder`], [`FlowError::TooManyBlocks`].
    pub fn begin_block(&mut self, height: u64) -> Result<(), FlowError> {
        let last = self.open.back().map(|open| open.height).or(self.settled);
        match last {
            Some(last) if height <= last => Err(FlowError::OutOfOrder { got: height, last }),
            _ if self.open.len() >= BLOCKS_MAX => Err(FlowError::TooManyBlocks { got: height }),
            _ => {
                self.open.push_back(Open { height, ..Open::default() });
                Ok(())
            }
        }
    }

    /// Declares blocks up to `height` final: they can no longer be undone.
    pub fn settle(&mut self, height: u64) {
        while let Some(open) = self.open.pop_front_if(|open| open.height <= height) {
            self.settled = Some(open.height);
        }
    }

    /// Undoes every block above `height`, newest first; returns how many.
    ///
    /// # Errors
    /// [`FlowError::Settled`] when blocks above `height` are final already.
    pub fn undo_to(&mut self, height: u64) -> Result<usize, FlowError> {
        if let Some(settled) = self.settled.filter(|settled| *settled > height) {
            return Err(FlowError::Settled { wanted: height, settled });
        }
        let mut undone = 0;
        while let Some(open) = self.open.pop_back_if(|open| open.height > height) {
            for (holder, before) in open.holdings {
                match before {
                    Some(before) => self.holdings.insert(holder, before),
                    None => self.holdings.remove(&holder),
                };
            }
            for (of, before) in open.sums {
                match before {
                    Some(before) => self.sums.insert(of, before),
                    None => self.sums.remove(&of),
                };
            }
            undone += 1;
        }
        Ok(undone)
    }

    /// What a holder has been seen to receive and not to spend.
    #[must_use]
    pub fn held(&self, holder: u32) -> u128 {
        self.holdings.get(&holder).map_or(0, |holding| holding.total)
    }

    /// How much of what a holder has is tainted, by source, in their order.
    #[must_use]
    pub fn taint(&self, holder: u32) -> Vec<(Source, u128)> {
        let mut taint: BTreeMap<Source, u128> = BTreeMap::new();
        for lot in self.holdings.get(&holder).into_iter().flat_map(|holding| &holding.lots) {
            if let Some(source) = lot.source {
                *taint.entry(source).or_default() += lot.amount;
            }
        }
        taint.into_iter().collect()
    }

    /// What a service received of a source.
    #[must_use]
    pub fn absorbed(&self, service: u32, source: Source) -> u128 {
        self.sums.get(&Sum::Absorbed(source, service)).copied().unwrap_or_default()
    }

    /// Where the money of a source is. Looks at every holder.
    #[must_use]
    pub fn totals(&self, source: Source) -> Totals {
        let sum = |of| self.sums.get(&of).copied().unwrap_or_default();
        let lots = self.holdings.values().flat_map(|holding| &holding.lots);
        Totals {
            entered: sum(Sum::Entered(source)),
            held: lots.filter(|lot| lot.source == Some(source)).map(|lot| lot.amount).sum(),
            absorbed: self
                .sums
                .range(Sum::Absorbed(source, 0)..=Sum::Absorbed(source, u32::MAX))
                .map(|(_, amount)| amount)
                .sum(),
            fees: sum(Sum::Fees(source)),
        }
    }
}

#[cfg(test)]
mod tests;
