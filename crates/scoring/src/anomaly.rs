//! How unusual a row is among recent rows, without labels: streaming half-space trees.
//!
//! Tan, Ting, Liu, "Fast Anomaly Detection for Streaming Data" (IJCAI 2011). Each tree halves a random work range again
//! and again along random features; each node counts the rows of a window that fall into it. Rows are scored against
//! the counts of the last full window while the current one is counted; after `window` rows the two change places. A
//! row whose cell held few rows for its size is unusual. Meant for a cold start, before there are labels: an anomaly
//! score alone is no fraud detector.
//!
//! The paper's score of a tree is the mass of the node where the row ends times 2^depth: the density relative to an
//! even spread, times the window. Here the mean density d over the trees becomes 1/(1+d), in (0, 1]: 1 where nothing
//! was seen, 0.5 for an even spread, near 0 in a crowd. The order is the paper's, reversed.
//!
//! Deterministic: the seed fixes the trees, the rows the counts. A value outside its range counts as the nearest end,
//! an unknown one as the lower end.
//!
//! # Bounds
//! [`TREES_MAX`] trees of depth [`DEPTH_MAX`]; 8 bytes a node and 8 a split, fixed when built. A row takes `trees`
//! walks.

use thiserror::Error;

use crate::{matrix::FEATURES_MAX, random::Random};

/// Trees, at most.
pub const TREES_MAX: usize = 256;
/// Halvings on the way to a leaf, at most.
pub const DEPTH_MAX: u8 = 15;
/// Rows of a window, at most.
pub const WINDOW_MAX: u32 = 1 << 24;
/// The share of a window below which a node is not worth halving further (the paper's size limit, 0.1).
const SIZE_LIMIT_SHARE: u32 = 10;

/// How to build the trees.
///
/// # Defaults
/// 25 trees of depth 12, window 1,000 rows, seed 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Trees, 1 to [`TREES_MAX`].
    pub trees: usize,
    /// Halvings, 1 to [`DEPTH_MAX`].
    pub depth: u8,
    /// Rows after which counts change places, 1 to [`WINDOW_MAX`].
    pub window: u32,
    /// Seed of the trees.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { trees: 25, depth: 12, window: 1_000, seed: 0 }
    }
}

/// Why there are no trees.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnomalyError {
    /// A parameter outside its range.
    #[error("the parameter `{name}` is outside its range")]
    BadParameter {
        /// Which one.
        name: &'static str,
    },
    /// A range that is empty or not finite.
    #[error("feature {feature}: the range is empty or not finite")]
    BadRange {
        /// Which feature.
        feature: usize,
    },
    /// A row of another length.
    #[error("{found} values for {expected} features")]
    WrongLength {
        /// Features.
        expected: usize,
        /// Values.
        found: usize,
    },
}

/// Half-space trees and their two windows of counts.
#[derive(Debug, Clone)]
pub struct HalfSpaceTrees {
    params: Params,
    /// Lower end and width of each feature's range.
    ranges: Vec<(f64, f64)>,
    /// Feature and middle of each split, in range units; heap order from 1, `2^depth` for each tree.
    splits: Vec<(u8, f32)>,
    /// Counts of the last full window and of the current one; `2^(depth+1)` for each tree.
    counts: Vec<[u32; 2]>,
    /// Which of the two is the current one.
    current: usize,
    /// Rows in the current window.
    filled: u32,
    /// Whether a window has been full.
    is_ready: bool,
}

impl HalfSpaceTrees {
    /// Builds the trees. `ranges` are the ends of each feature's usual values, from data or from what the feature
    /// means.
    ///
    /// # Errors
    /// [`AnomalyError`] when a parameter or range makes no sense.
    pub fn new(ranges: &[(f32, f32)], params: Params) -> Result<Self, AnomalyError> {
        let wrong = |name| Err(AnomalyError::BadParameter { name });
        match () {
            () if !(1..=FEATURES_MAX).contains(&ranges.len()) => return wrong("ranges"),
            () if !(1..=TREES_MAX).contains(&params.trees) => return wrong("trees"),
            () if !(1..=DEPTH_MAX).contains(&params.depth) => return wrong("depth"),
            () if !(1..=WINDOW_MAX).contains(&params.window) => return wrong("window"),
            () => {}
        }
        let is_range = |(low, high): &(f32, f32)| low.is_finite() && high.is_finite() && low < high;
        if let Some(feature) = ranges.iter().position(|range| !is_range(range)) {
            return Err(AnomalyError::BadRange { feature });
        }
        let size = 1usize << params.depth;
        let mut random = Random::new(params.seed);
        let mut splits = vec![(0, 0.0); params.trees * size];
        for tree in splits.chunks_exact_mut(size) {
            build(tree, ranges.len(), &mut random);
        }
        Ok(Self {
            params,
            ranges: ranges
                .iter()
                .map(|&(low, high)| (f64::from(low), f64::from(high) - f64::from(low)))
                .collect(),
            splits,
            counts: vec![[0; 2]; params.trees * 2 * size],
            current: 0,
            filled: 0,
            is_ready: false,
        })
    }

    /// How unusual a row is, in (0, 1]; `None` until a first window is full.
    ///
    /// # Errors
    /// [`AnomalyError::WrongLength`].
    pub fn score(&self, row: &[f32]) -> Result<Option<f64>, AnomalyError> {
        let row = self.scaled(row)?;
        if !self.is_ready {
            return Ok(None);
        }
        let size = 1usize << self.params.depth;
        let last = 1 - self.current;
        let limit = self.params.window / SIZE_LIMIT_SHARE;
        let mut density = 0.0;
        for (splits, counts) in self.splits.chunks_exact(size).zip(self.counts.chunks_exact(2 * size)) {
            let mut at = 1;
            while at < size && counts[at][last] > limit {
                at = child(splits, at, &row);
            }
            // 2^level is the highest power of two in the position.
            let parts = f64::from(1u32 << at.ilog2());
            density += f64::from(counts[at][last]) * parts / f64::from(self.params.window);
        }
        density /= self.params.trees as f64;
        Ok(Some(1.0 / (1.0 + density)))
    }

    /// Counts a row in the current window.
    ///
    /// # Errors
    /// [`AnomalyError::WrongLength`]; nothing is counted then.
    pub fn learn(&mut self, row: &[f32]) -> Result<(), AnomalyError> {
        let row = self.scaled(row)?;
        let size = 1usize << self.params.depth;
        let current = self.current;
        for (splits, counts) in self.splits.chunks_exact(size).zip(self.counts.chunks_exact_mut(2 * size)) {
            let mut at = 1;
            loop {
                counts[at][current] += 1;
                if at >= size {
                    break;
                }
                at = child(splits, at, &row);
            }
        }
        self.filled += 1;
        if self.filled == self.params.window {
            self.filled = 0;
            self.is_ready = true;
            self.current = 1 - current;
            let current = self.current;
            self.counts.iter_mut().for_each(|counts| counts[current] = 0);
        }
        Ok(())
    }

    /// Scores a row against the rows before it, then counts it.
    ///
    /// # Errors
    /// [`AnomalyError::WrongLength`].
    pub fn step(&mut self, row: &[f32]) -> Result<Option<f64>, AnomalyError> {
        let score = self.score(row)?;
        self.learn(row)?;
        Ok(score)
    }

    /// The row in units of its ranges, each value in [0, 1].
    fn scaled(&self, row: &[f32]) -> Result<[f32; FEATURES_MAX], AnomalyError> {
        if row.len() != self.ranges.len() {
            return Err(AnomalyError::WrongLength { expected: self.ranges.len(), found: row.len() });
        }
        let mut scaled = [0.0; FEATURES_MAX];
        for ((scaled, &value), (low, width)) in scaled.iter_mut().zip(row).zip(&self.ranges) {
            let unit = (f64::from(value) - low) / width;
            *scaled = if unit.is_nan() { 0.0 } else { crate::matrix::quantise(unit.clamp(0.0, 1.0)) };
        }
        Ok(scaled)
    }
}

/// The child a row goes to.
fn child(splits: &[(u8, f32)], at: usize, row: &[f32; FEATURES_MAX]) -> usize {
    let (feature, middle) = splits[at];
    2 * at + usize::from(row[usize::from(feature)] >= middle)
}

/// Halves a work range that reaches past [0, 1] on both sides by a random amount, as the paper has it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "features number at most FEATURES_MAX; the nearest f32 is meant"
)]
fn build(tree: &mut [(u8, f32)], n_features: usize, random: &mut Random) {
    let work: Vec<(f64, f64)> = (0..n_features)
        .map(|_| {
            let centre = random.unit();
            let reach = 2.0 * centre.max(1.0 - centre);
            (centre - reach, centre + reach)
        })
        .collect();
    // The ranges of each node follow from those of its parent; heap order has the parent first.
    let mut ranges: Vec<Vec<(f64, f64)>> = vec![Vec::new(), work];
    for at in 1..tree.len() {
        let feature = random.below(n_features);
        let range = std::mem::take(&mut ranges[at]);
        let middle = f64::midpoint(range[feature].0, range[feature].1);
        tree[at] = (feature as u8, middle as f32);
        let (mut left, mut right) = (range.clone(), range);
        left[feature].1 = middle;
        right[feature].0 = middle;
        ranges.push(left);
        ranges.push(right);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small(seed: u64) -> Params {
        Params { trees: 30, depth: 8, window: 250, seed }
    }

    /// A crowd around the middle.
    fn usual(random: &mut Random) -> [f32; 2] {
        let mut one = || crate::matrix::quantise(0.4 + 0.2 * (random.unit() + random.unit()) / 2.0);
        [one(), one()]
    }

    #[test]
    fn what_is_far_from_the_crowd_is_unusual() {
        let mut trees = HalfSpaceTrees::new(&[(0.0, 1.0); 2], small(3)).unwrap();
        let mut random = Random::new(4);
        for index in 0..1_000 {
            let score = trees.step(&usual(&mut random)).unwrap();
            assert_eq!(score.is_some(), index >= 250);
        }
        let far = trees.score(&[0.95, 0.05]).unwrap().unwrap();
        let scores: Vec<f64> = (0..200).map(|_| trees.score(&usual(&mut random)).unwrap().unwrap()).collect();
        assert!(scores.iter().all(|near| *near < far), "{far} {scores:?}");
        assert!(far > 0.5, "{far}");
        // Outside the range is as far as its end; unknown is the lower end.
        let at = |row: &[f32]| trees.score(row).unwrap().unwrap().to_bits();
        assert_eq!(at(&[50.0, f32::NEG_INFINITY]), at(&[1.0, 0.0]));
        assert_eq!(at(&[0.5, f32::NAN]), at(&[0.5, 0.0]));
    }

    #[test]
    fn a_new_usual_is_learnt_within_two_windows() {
        let mut trees = HalfSpaceTrees::new(&[(0.0, 1.0); 2], small(5)).unwrap();
        let mut random = Random::new(6);
        (0..500).for_each(|_| trees.learn(&usual(&mut random)).unwrap());
        let moved = |random: &mut Random| usual(random).map(|value| value + 0.35);
        let before = trees.score(&moved(&mut random)).unwrap().unwrap();
        (0..500).for_each(|_| trees.learn(&moved(&mut random)).unwrap());
        let after = trees.score(&moved(&mut random)).unwrap().unwrap();
        let old = trees.score(&usual(&mut random)).unwrap().unwrap();
        assert!(after < 0.3 && before > 0.5 && old > 0.5, "{before} {after} {old}");
    }

    #[test]
    fn an_even_spread_scores_one_half() {
        // The work range is wider than [0, 1], so an even spread is denser than the range as a whole.
        let mut trees = HalfSpaceTrees::new(&[(0.0, 1.0)], Params { trees: 100, ..small(7) }).unwrap();
        let mut random = Random::new(8);
        (0..250).for_each(|_| trees.learn(&[crate::matrix::quantise(random.unit())]).unwrap());
        let mean =
            (0..100u8).map(|step| trees.score(&[f32::from(step) / 100.0]).unwrap().unwrap()).sum::<f64>()
                / 100.0;
        assert!((0.2..0.5).contains(&mean), "{mean}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let new = |ranges: &[(f32, f32)], params| HalfSpaceTrees::new(ranges, params).unwrap_err();
        let wrong = |name| AnomalyError::BadParameter { name };
        assert_eq!(new(&[], small(0)), wrong("ranges"));
        assert_eq!(new(&[(0.0, 1.0)], Params { trees: 0, ..small(0) }), wrong("trees"));
        assert_eq!(new(&[(0.0, 1.0)], Params { depth: 16, ..small(0) }), wrong("depth"));
        assert_eq!(new(&[(0.0, 1.0)], Params { window: 0, ..small(0) }), wrong("window"));
        assert_eq!(new(&[(0.0, 1.0), (1.0, 1.0)], small(0)), AnomalyError::BadRange { feature: 1 });
        assert_eq!(new(&[(0.0, f32::INFINITY)], small(0)), AnomalyError::BadRange { feature: 0 });
        let mut trees = HalfSpaceTrees::new(&[(0.0, 1.0)], small(0)).unwrap();
        assert_eq!(trees.step(&[]), Err(AnomalyError::WrongLength { expected: 1, found: 0 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn scores_are_bounded_and_fixed_by_seed_and_rows(
            rows in prop::collection::vec((prop::num::f32::ANY, -2.0f32..3.0).prop_map(|(a, b)| [a, b]), 1..80),
            seed in any::<u64>(),
            window in 1u32..20,
        ) {
            let params = Params { trees: 5, depth: 5, window, seed };
            let run = || {
                let mut trees = HalfSpaceTrees::new(&[(-1.0, 1.0), (0.0, 2.0)], params).unwrap();
                let scores: Vec<_> = rows.iter().map(|row| trees.step(row).unwrap()).collect();
                // Every row of the current window is in every tree, once on each level.
                for counts in trees.counts.chunks_exact(64) {
                    prop_assert_eq!(counts[1][trees.current], trees.filled);
                    for at in 1..32 {
                        let below = [0, 1].map(|side| counts[2 * at][side] + counts[2 * at + 1][side]);
                        prop_assert_eq!(counts[at], below);
                    }
                }
                Ok(scores)
            };
            let scores = run()?;
            prop_assert_eq!(&scores, &run()?);
            prop_assert!(scores.iter().flatten().all(|score| *score > 0.0 && *score <= 1.0));
        }
    }
}
