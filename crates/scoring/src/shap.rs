//! Why a row scored as it did: exact Shapley values of its features.
//!
//! The values are those of path-dependent `TreeSHAP` (Lundberg, Erion, Lee, "Consistent Individualized Feature
//! Attribution for Tree Ensembles", 2018, algorithm 2): a feature that is left out of a coalition follows both
//! branches in proportion to the training rows that took them. They add up: base plus values is the logit.
//!
//! They are computed in another way, by a theorem of Owen ("Multilinear Extensions of Games", 1972). Let every feature
//! j be known with probability `t_j`, each by itself, and E be the expected logit: linear in each `t_j`. The Shapley
//! value of j is the integral over t in [0, 1] of E's derivative by `t_j` where all `t_i` are t. Along a tree E is
//! cheap, and so is its derivative, from the leaves up (as one differentiates any formula):
//!
//! - At a split on j let p be the share of training rows that go to the `near` child, g be 1 if the row goes there and
//!   else 0, z the share of training rows that followed all splits on j above (1 if there is none), and o be 1 if the row
//!   follows them too, else 0. The part of E that gets here has the factor o t + z (1-t), and that of the near child
//!   o g t + z p (1-t): p + `known` `delta` of it, where `known` is t / (t + z (1-t)) and `delta` is o (g - p).
//! - So E = E(far) + (p + `known` `delta`) (E(near) - E(far)).
//! - The derivative of `known` is `slope` = z / (t + z (1-t))^2. So the split adds
//!   product `delta` `slope` (E(near) - E(far)) to the value of j, where product is the weight with which E of this split
//!   enters that of the root. The near child's product is product (p + `known` `delta`), the far one's is the rest.
//!
//! Of all this only `delta` depends on the row. No step divides by a share or subtracts what it added before, so rounding
//! stays at rounding. On a path with m different features the integrand is a polynomial of degree m-1, which
//! Gauss-Legendre quadrature with m/2 points integrates exactly (as in Yu et al., "Linear `TreeSHAP`", 2022, who
//! interpolate); its weights are those of the root.
//!
//! A number at each point of the quadrature is one vector where the processor has vectors of 256 bits. Sums of products are
//! rounded once, which processors since 2013 do at no cost; for older ones the same bits take a hundred times longer.
//!
//! # Bounds
//! Time: splits times quadrature points (2 for paths of up to 4 different features, 4 up to 8, 6 up to 12). Memory: some
//! 24 bytes a split, 72 more (136 with 6 points) for one that repeats a feature of its path; while a row is explained
//! 45 KiB of the stack (80 with 6 points), and 300 KiB of the heap if a tree has more than 1,024 splits.

mod batch;
mod quadrature;
mod walk;

use crate::{
    matrix::FEATURES_MAX,
    model::Model,
    row::Row,
    tree::{Node, Tree},
};
use batch::{ASKED, Batch, Curve, SLOTS, SLOTS_MAX};
use fearless_simd::{Level, Simd as _, dispatch};
use walk::{Values, Walk};

/// What each feature added to the score of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The expected logit over the training rows.
    pub base: f64,
    /// For each feature how much its value raised (or lowered) the logit.
    pub values: Vec<f64>,
}

impl Explanation {
    /// The `n` features that raised the score most, from the largest; none that did not raise it. Ties by feature
    /// order.
    #[must_use]
    pub fn raising(&self, n: usize) -> Vec<(usize, f64)> {
        let mut raising: Vec<(usize, f64)> =
            self.values.iter().copied().enumerate().filter(|(_, value)| *value > 0.0).collect();
        raising.sort_by(|a, b| b.1.total_cmp(&a.1));
        raising.truncate(n);
        raising
    }

    /// The logit these values add up to, equal to the model's up to rounding.
    #[must_use]
    pub fn logit(&self) -> f64 {
        self.base + self.values.iter().sum::<f64>()
    }
}

/// Explains one row; [`Explainer`] is faster for more.
///
/// # Panics
/// If the row does not have one value for each feature.
#[must_use]
pub fn explain(model: &Model, row: &[f32]) -> Explanation {
    Explainer::new(model).explain(row)
}

/// A model prepared for explanations. Immutable; share it behind an `Arc`.
#[derive(Debug, Clone)]
pub struct Explainer {
    n_features: usize,
    base: f64,
    short: Batches<2>,
    middle: Batches<4>,
    long: Batches<6>,
}

/// Batches that need so many points: small ones, and of one larger tree each.
type Batches<const Q: usize> = [Vec<Batch<Q>>; 2];

impl Explainer {
    /// Prepares the model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let expected: f64 = model.trees().iter().map(expected_value).sum();
        let [short, middle, long] = batch::sort(model.trees());
        Self {
            n_features: model.features().len(),
            base: model.base_logit() + expected,
            short: batch::batches(short),
            middle: batch::batches(middle),
            long: batch::batches(long),
        }
    }

    /// Explains one row.
    ///
    /// # Panics
    /// If the row does not have one value for each feature.
    #[must_use]
    pub fn explain(&self, row: &[f32]) -> Explanation {
        self.explain_at(Level::new(), row)
    }

    /// With the vectors of a processor of this level; all give the same bits, since nothing is contracted or reordered.
    fn explain_at(&self, level: Level, row: &[f32]) -> Explanation {
        assert_eq!(row.len(), self.n_features, "a row has one value for each feature of the model");
        let row = Row::new(row).and_negated();
        let mut values: Values = [0.0; FEATURES_MAX];
        walk(level, &self.short, &row, &mut values);
        walk(level, &self.middle, &row, &mut values);
        walk(level, &self.long, &row, &mut values);
        Explanation { base: self.base, values: values[..self.n_features].to_vec() }
    }
}

fn walk<const Q: usize>(level: Level, [small, large]: &Batches<Q>, row: &[f32; ASKED], values: &mut Values) {
    if !small.is_empty() {
        // On the stack: blocks of this size cost the heap more than the rest of it does.
        let (mut cells, mut deltas) = ([Curve([0.0; Q]); SLOTS], [0.0; SLOTS]);
        walk_within(level, small, row, values, &mut cells, &mut deltas);
    }
    if !large.is_empty() {
        let (mut cells, mut deltas) = (boxed::<_, SLOTS_MAX>(Curve([0.0; Q])), boxed::<_, SLOTS_MAX>(0.0));
        walk_within(level, large, row, values, &mut cells, &mut deltas);
    }
}

/// Without a detour over the stack.
fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    let Ok(array) = vec![value; N].into_boxed_slice().try_into() else { unreachable!("it has N elements") };
    array
}

fn walk_within<const Q: usize, const N: usize>(
    level: Level,
    batches: &[Batch<Q>],
    row: &[f32; ASKED],
    values: &mut Values,
    cells: &mut [Curve<Q>; N],
    deltas: &mut [f64; N],
) {
    dispatch!(level, simd => simd.vectorize(
        #[inline(always)]
        || Walk::new(cells, deltas).add(batches, row, values)
    ));
}

fn expected_value(tree: &Tree) -> f64 {
    let root = tree.nodes()[0].cover() as f64;
    tree.nodes()
        .iter()
        .map(|node| match node {
            Node::Leaf { value, cover } => f64::from(*value) * (f64::from(*cover) / root),
            Node::Split { .. } => 0.0,
        })
        .sum()
}

#[cfg(test)]
mod tests;
