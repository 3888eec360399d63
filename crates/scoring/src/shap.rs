//! Why a row scored as it did: exact Shapley values of its features.
//!
//! The values are those of path-dependent `TreeSHAP` (Lundberg, Erion, Lee, "Consistent Individualized Feature
//! Attribution for Tree Ensembles", 2018, algorithm 2): a feature that is left out of a coalition follows both
//! branches in proportion to the training rows that took them. They add up: base plus values is the logit.
//!
//! They are computed in another way. A leaf whose path has the features 1..m gives feature j
//! v (o_j - z_j) sum over S of |S|! (m-1-|S|)!/m! prod_{i in S} o_i prod_{i not in S} z_i, where o_i says whether
//! the row follows all splits on i and z_i is the share of training rows that do. The weight of a coalition is the Beta
//! integral of t^|S| (1-t)^(m-1-|S|) over [0, 1], so the sum is the integral of prod_{i != j} (o_i t + z_i (1-t)): a
//! polynomial of degree m-1, which Gauss-Legendre quadrature with m/2 points integrates exactly. One walk over a tree
//! then does for all leaves at once (as in Yu et al., "Linear `TreeSHAP`", 2022): products go down, sums come up.
//!
//! # Bounds
//! Time: nodes times quadrature points (2 up to depth 4, 4 up to 8, 6 up to 12). Memory: 32 bytes a
//! node, and 72 to 200 for each split of one tree while a row is explained.

use std::array::from_fn;

use crate::{
    matrix::FEATURES_MAX,
    model::Model,
    tree::{DEPTH_MAX, Node, Tree, goes_left},
};

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

/// An edge of a tree. Splits are numbered in pre-order, the root is 0.
#[derive(Debug, Clone, Copy)]
struct Edge {
    /// The share of training rows that follow all splits on the feature down to here.
    share: f64,
    /// Of the split it leaves.
    threshold: f32,
    /// Of the leaf it leads to, if it does.
    value: f32,
    /// The split it leaves.
    parent: u16,
    /// The nearest split above that an edge on the same feature leads to; the root if there is none.
    above: u16,
    /// Of the split it leaves.
    feature: u8,
    missing_left: bool,
    is_left: bool,
}

#[derive(Debug, Clone)]
struct Plan {
    /// Edges to splits, in the order of those: to each but the root.
    inner: Vec<Edge>,
    /// Edges to leaves.
    outer: Vec<Edge>,
    /// The most different features on one path.
    features_on_path: usize,
}

/// A model prepared for explanations.
#[derive(Debug, Clone)]
pub struct Explainer {
    n_features: usize,
    base: f64,
    plans: Vec<Plan>,
}

impl Explainer {
    /// Prepares the model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let expected: f64 = model.trees().iter().map(expected_value).sum();
        Self {
            n_features: model.features().len(),
            base: model.base_logit() + expected,
            plans: model.trees().iter().map(plan).collect(),
        }
    }

    /// Explains one row.
    ///
    /// # Panics
    /// If the row does not have one value for each feature.
    #[must_use]
    pub fn explain(&self, row: &[f32]) -> Explanation {
        assert_eq!(row.len(), self.n_features, "a row has one value for each feature of the model");
        let mut values = [0.0; FEATURES_MAX];
        let (mut two, mut four, mut six) = (Vec::new(), Vec::new(), Vec::new());
        for plan in &self.plans {
            match plan.features_on_path {
                0..=4 => walk::<2>(plan, row, &mut two, &mut values),
                5..=8 => walk::<4>(plan, row, &mut four, &mut values),
                _ => walk::<6>(plan, row, &mut six, &mut values),
            }
        }
        Explanation { base: self.base, values: values[..self.n_features].to_vec() }
    }
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

fn plan(tree: &Tree) -> Plan {
    const { assert!(1usize << DEPTH_MAX <= 1 << 16) };
    let nodes = tree.nodes();
    let mut plan = Plan { inner: Vec::new(), outer: Vec::new(), features_on_path: 0 };
    // The edge to each node; none to the root.
    let mut edges: Vec<Option<Edge>> = vec![None; nodes.len()];
    // By number of a split, the edges on the way to it: feature, the split they lead to, share.
    let mut paths: Vec<Vec<(u8, u16, f64)>> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let mut path = edges[index].map_or_else(Vec::new, |edge| paths[usize::from(edge.parent)].clone());
        match *node {
            Node::Leaf { value, .. } => {
                let Some(edge) = edges[index] else { continue };
                plan.outer.push(Edge { value, ..edge });
                let mut features: Vec<u8> = path.iter().map(|(feature, ..)| *feature).collect();
                features.push(edge.feature);
                features.sort_unstable();
                features.dedup();
                plan.features_on_path = plan.features_on_path.max(features.len());
            }
            Node::Split { feature, threshold, missing_left, right, cover, .. } => {
                let own = u16::try_from(paths.len()).unwrap_or(u16::MAX);
                if let Some(edge) = edges[index] {
                    plan.inner.push(edge);
                    path.push((edge.feature, own, edge.share));
                }
                let above = path.iter().rfind(|(above, ..)| *above == feature);
                let (above, share) = above.map_or((0, 1.0), |(_, split, share)| (*split, *share));
                for (child, is_left) in [(index + 1, true), (right as usize, false)] {
                    edges[child] = Some(Edge {
                        share: share * (nodes[child].cover() as f64 / cover as f64),
                        threshold,
                        value: 0.0,
                        parent: own,
                        above,
                        feature,
                        missing_left,
                        is_left,
                    });
                }
                paths.push(path);
            }
        }
    }
    plan
}

/// Points and weights of a Gauss-Legendre quadrature on [0, 1].
#[derive(Debug, Clone, Copy)]
struct Quadrature<const Q: usize> {
    points: [f64; Q],
    weights: [f64; Q],
}

impl<const Q: usize> Quadrature<Q> {
    /// The rule with `Q` points, 2, 4 or 6; from Abramowitz and Stegun, table 25.4, where it is given for [-1, 1] and
    /// its positive half.
    const RULE: Self = {
        let half: &[(f64, f64)] = match Q {
            2 => &[(0.577_350_269_189_625_8, 1.0)],
            4 => &[
                (0.339_981_043_584_856_3, 0.652_145_154_862_546_2),
                (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
            ],
            _ => &[
                (0.238_619_186_083_196_9, 0.467_913_934_572_691_04),
                (0.661_209_386_466_264_5, 0.360_761_573_048_138_6),
                (0.932_469_514_203_152, 0.171_324_492_379_170_36),
            ],
        };
        assert!(2 * half.len() == Q);
        let mut points = [0.0; Q];
        let mut weights = [0.0; Q];
        let mut index = 0;
        while index < half.len() {
            let (point, weight) = half[index];
            points[2 * index] = (1.0 - point) / 2.0;
            points[2 * index + 1] = (1.0 + point) / 2.0;
            weights[2 * index] = weight / 2.0;
            weights[2 * index + 1] = weight / 2.0;
            index += 1;
        }
        Self { points, weights }
    };
}

/// What is known of the edge to a split for one row, at each point of the quadrature.
#[derive(Debug, Clone, Copy)]
struct Cell<const Q: usize> {
    /// 1 if the row follows all splits on the feature down to here, else 0.
    follows: f64,
    /// One over the factor of the feature.
    inverse: [f64; Q],
    /// Weight times (o - z) over the factor.
    effect: [f64; Q],
    /// The product of the factors of all features on the path.
    product: [f64; Q],
    /// The sum of product times value over the leaves from here on.
    sums: [f64; Q],
}

/// Adds the effects of one tree: down for the products, along the leaves, up for the sums. Without a branch that
/// depends on the tree's shape or the row: guessing those wrong would cost more than all the arithmetic.
fn walk<const Q: usize>(
    plan: &Plan,
    row: &[f32],
    cells: &mut Vec<Cell<Q>>,
    values: &mut [f64; FEATURES_MAX],
) {
    let Quadrature { points, weights } = Quadrature::<Q>::RULE;
    let follow = |edge: &Edge, above: &Cell<Q>| {
        let goes_left = goes_left(row[usize::from(edge.feature)], edge.threshold, edge.missing_left);
        let follows = f64::from(u8::from(goes_left == edge.is_left)) * above.follows;
        let factor: [f64; Q] = from_fn(|q| follows * points[q] + (1.0 - points[q]) * edge.share);
        (follows, factor)
    };
    // The root stands for "no split above on this feature": factor 1, no effect.
    let root = Cell { follows: 1.0, inverse: [1.0; Q], effect: [0.0; Q], product: [1.0; Q], sums: [0.0; Q] };
    cells.clear();
    cells.push(root);
    for edge in &plan.inner {
        let parent = &cells[usize::from(edge.parent)].product;
        let above = &cells[usize::from(edge.above)];
        let (follows, factor) = follow(edge, above);
        let inverse = factor.map(|factor| 1.0 / factor);
        let distance = follows - edge.share;
        cells.push(Cell {
            follows,
            inverse,
            effect: from_fn(|q| weights[q] * distance * inverse[q]),
            product: from_fn(|q| parent[q] * factor[q] * above.inverse[q]),
            sums: [0.0; Q],
        });
    }
    for edge in &plan.outer {
        let above = &cells[usize::from(edge.above)];
        let (follows, factor) = follow(edge, above);
        let product = &cells[usize::from(edge.parent)].product;
        let value = f64::from(edge.value);
        let rest: [f64; Q] = from_fn(|q| product[q] * above.inverse[q] * value);
        let sums: [f64; Q] = from_fn(|q| rest[q] * factor[q]);
        // As below, but the factor in the sum and the one in the effect cancel.
        let effect: [f64; Q] = from_fn(|q| weights[q] * (follows - edge.share));
        values[usize::from(edge.feature)] += dot(&rest, &effect) - dot(&sums, &above.effect);
        let parent = &mut cells[usize::from(edge.parent)].sums;
        *parent = from_fn(|q| parent[q] + sums[q]);
    }
    for (index, edge) in plan.inner.iter().enumerate().rev() {
        let Cell { sums, effect, .. } = cells[index + 1];
        let above = &cells[usize::from(edge.above)].effect;
        values[usize::from(edge.feature)] += dot(&sums, &from_fn(|q| effect[q] - above[q]));
        let parent = &mut cells[usize::from(edge.parent)].sums;
        *parent = from_fn(|q| parent[q] + sums[q]);
    }
}

fn dot<const Q: usize>(a: &[f64; Q], b: &[f64; Q]) -> f64 {
    // In a tree, so that additions do not wait for each other.
    let products: [f64; Q] = from_fn(|q| a[q] * b[q]);
    products.chunks_exact(2).map(|pair| pair[0] + pair[1]).sum()
}

#[cfg(test)]
mod tests;
