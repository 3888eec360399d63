//! CoinJoin: one transaction made by several owners so that nobody sees who paid whom (Maxwell 2013).
//!
//! Recognised by shape alone, since a chain shows nothing else. Three shapes, each an equality of outputs that payments
//! of one owner rarely have:
//!
//! - **paired** (the rule of Goldfeder et al. 2018, as in `BlockSci`): with n outputs, (n + 1) / 2 of them have one value, go to
//!   different owners, and at least as many different owners sign: each participant takes one equal coin and at most one
//!   change. `JoinMarket` and many Wasabi 1 rounds.
//! - **uniform**: at least 5 outputs, all of one value, and as many different signers as outputs. Whirlpool.
//! - **rounds**: at least 20 different signers and 20 outputs, of which at least half share their value with another
//!   output. Wasabi 2 (`WabiSabi`), whose coins have standard denominations, and large Wasabi 1 rounds.
//!
//! The first counts the values 546 and 2,730 satoshi for nothing: they are the least a node relays, which other protocols
//! pay to many. What it is not: complete. An exchange that pays equal sums out of many addresses is taken for a
//! CoinJoin; then clusters stay apart that are one, which is the harmless error.

use std::collections::{BTreeMap, BTreeSet};

/// Fewest outputs of a uniform CoinJoin.
pub const UNIFORM_OUTPUTS_MIN: usize = 5;
/// Fewest signers, and fewest outputs, of a round.
pub const ROUND_MIN: usize = 20;
/// Satoshi that say nothing about equality.
const DUST: [u64; 2] = [546, 2_730];

/// The shape a transaction was recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Shape {
    /// One equal output and at most one change for each participant.
    Paired,
    /// Many participants, many values that occur more than once.
    Round,
    /// All outputs equal.
    Uniform,
}

impl Shape {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paired => "paired",
            Self::Round => "round",
            Self::Uniform => "uniform",
        }
    }
}

/// An output: whose it is, by any number that differs between owners (`None` if unknown), and how much, in the smallest
/// unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Number of the address.
    pub owner: Option<u32>,
    /// Satoshi.
    pub value: u64,
}

/// The shape of a CoinJoin that a transaction has; `None` if it looks like one owner's. `inputs` are the numbers of the
/// addresses that sign, with repetitions.
///
/// O(n log n) in inputs and outputs.
#[must_use]
pub fn shape(inputs: &[u32], outputs: &[Output]) -> Option<Shape> {
    if inputs.len() < 2 || outputs.len() < 3 {
        return None;
    }
    let signers = inputs.iter().collect::<BTreeSet<_>>().len();
    let mut by_value: BTreeMap<u64, (usize, BTreeSet<u32>)> = BTreeMap::new();
    for output in outputs {
        let (count, owners) = by_value.entry(output.value).or_default();
        *count += 1;
        owners.extend(output.owner);
    }
    let participants = outputs.len().div_ceil(2);
    let most = by_value.iter().map(|(value, (_, owners))| (owners.len(), *value)).max();
    let is_paired = most.is_some_and(|(owners, value)| owners == participants && !DUST.contains(&value));
    if is_paired && signers >= participants {
        return Some(Shape::Paired);
    }
    if by_value.len() == 1 && outputs.len() >= UNIFORM_OUTPUTS_MIN && signers >= outputs.len() {
        return Some(Shape::Uniform);
    }
    let alike: usize = by_value.values().map(|(count, _)| *count).filter(|count| *count > 1).sum();
    (signers >= ROUND_MIN && outputs.len() >= ROUND_MIN && 2 * alike >= outputs.len()).then_some(Shape::Round)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(values: &[u64]) -> Vec<Output> {
        (100..).zip(values).map(|(owner, value)| Output { owner: Some(owner), value: *value }).collect()
    }

    #[test]
    fn shapes_are_told_apart() {
        let signers: Vec<u32> = (0..30).collect();
        let check = |inputs: usize, values: &[u64], expected| {
            assert_eq!(shape(&signers[..inputs], &outputs(values)), expected, "{inputs} {values:?}");
        };
        // Two participants, each with change; one of them without.
        check(2, &[50, 50, 7, 8], Some(Shape::Paired));
        check(2, &[50, 50, 7], Some(Shape::Paired));
        check(2, &[50, 51, 7], None);
        check(1, &[50, 50, 7], None);
        // Dust that protocols pay to many.
        check(3, &[546, 546, 7], None);
        check(5, &[1_000; 5], Some(Shape::Uniform));
        check(4, &[1_000; 5], None);
        let mut round: Vec<u64> = (0..24).map(|at| 5_000 + at / 3).collect();
        check(30, &round, Some(Shape::Round));
        check(19, &round, None);
        round.iter_mut().zip(0..).skip(11).for_each(|(value, at)| *value = 100 + at);
        check(30, &round, None);
    }

    #[test]
    fn an_owner_counts_once() {
        // The same signer twice, and the same receiver twice, are one participant.
        let pair = |owners: [u32; 3]| {
            owners
                .iter()
                .zip([50, 50, 7])
                .map(|(owner, value)| Output { owner: Some(*owner), value })
                .collect()
        };
        let (two, one): (Vec<Output>, Vec<Output>) = (pair([1, 2, 3]), pair([1, 1, 3]));
        assert_eq!(shape(&[8, 9], &two), Some(Shape::Paired));
        assert_eq!(shape(&[8, 8], &two), None);
        assert_eq!(shape(&[8, 9], &one), None);
    }
}
