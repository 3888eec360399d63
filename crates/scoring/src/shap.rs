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
//! - At a split on j let z be the share of training rows that followed all splits on j above, and o be 1 if the row does
//!   so too, else 0. The part of E that gets here has the factor o t + z (1-t), and what comes from not knowing j is
//!   `doubt` = z (1-t) / (o t + z (1-t)). With no split on j above, that is 1-t; if the row does not follow, it is 1.
//! - Of the two children the row goes to `taken`. With r the share of rows that go to the `other`,
//!   E = E(taken) - `doubt` r (E(taken) - E(other)).
//! - The derivative of `doubt` is -`slope`, where `slope` = o z / (o t + z (1-t))^2. So the split adds
//!   product `slope` r (E(taken) - E(other)) to the value of j, where product is the weight with which E of this split
//!   enters that of the root. The other child's product is product `doubt` r, the taken one's is the rest.
//!
//! No step divides by a share or subtracts what it added before, so rounding stays at rounding. On a path with m
//! different features the integrand is a polynomial of degree m-1, which Gauss-Legendre quadrature with m/2 points
//! integrates exactly (as in Yu et al., "Linear `TreeSHAP`", 2022, who interpolate).
//!
//! A number at each point of the quadrature is one vector where the processor has vectors of 256 bits.
//!
//! # Bounds
//! Time: splits times quadrature points (2 for paths of up to 4 different features, 4 up to 8, 6 up to 12). Memory: some
//! 50 bytes a split, 80 more for one that repeats a feature of its path, and 40 KiB while a row is explained (1 MiB if
//! a tree is deeper than 8).

mod batch;
mod quadrature;
mod walk;

use crate::{
    matrix::FEATURES_MAX,
    model::Model,
    row::Row,
    tree::{Node, Tree},
};
use batch::{Batch, batches};
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
    batches: Vec<Batch>,
}

impl Explainer {
    /// Prepares the model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let expected: f64 = model.trees().iter().map(expected_value).sum();
        Self {
            n_features: model.features().len(),
            base: model.base_logit() + expected,
            batches: batches(model.trees()),
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
        let row = Row::new(row);
        let mut values: Values = [0.0; FEATURES_MAX];
        let mut rest = self.batches.as_slice();
        while let Some(first) = rest.first() {
            let (same, behind) =
                rest.split_at(rest.iter().take_while(|batch| batch.kind == first.kind).count());
            match (first.kind.points, first.kind.is_large) {
                (2, false) => walk::<2, { batch::SLOTS }>(level, same, &row, &mut values),
                (4, false) => walk::<4, { batch::SLOTS }>(level, same, &row, &mut values),
                (_, false) => walk::<6, { batch::SLOTS }>(level, same, &row, &mut values),
                (2, true) => walk::<2, { batch::SLOTS_MAX }>(level, same, &row, &mut values),
                (4, true) => walk::<4, { batch::SLOTS_MAX }>(level, same, &row, &mut values),
                (_, true) => walk::<6, { batch::SLOTS_MAX }>(level, same, &row, &mut values),
            }
            rest = behind;
        }
        Explanation { base: self.base, values: values[..self.n_features].to_vec() }
    }
}

fn walk<const Q: usize, const N: usize>(level: Level, batches: &[Batch], row: &Row, values: &mut Values) {
    let walk = Walk::<Q, N>::new();
    dispatch!(level, simd => simd.vectorize(
        #[inline(always)]
        || walk.add(batches, row, values)
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
