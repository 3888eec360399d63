//! Why a row scored as it did: exact Shapley values of its features.
//!
//! The values are those of path-dependent `TreeSHAP` (Lundberg, Erion, Lee, "Consistent Individualized Feature
//! Attribution for Tree Ensembles", 2018, algorithm 2): a feature that is left out of a coalition follows both branches in
//! proportion to the training rows that took them. They add up: base plus values is the logit.
//!
//! They are computed in another way. A leaf whose path has the features 1..m gives feature j
//! v (o_j - z_j) sum over S of |S|! (m-1-|S|)!/m! prod_{i in S} o_i prod_{i not in S} z_i, where o_i says whether
//! the row follows all splits on i and z_i is the share of training rows that do. The weight of a coalition is the Beta
//! integral of t^|S| (1-t)^(m-1-|S|) over [0, 1], so the sum is the integral of prod_{i != j} (o_i t + z_i (1-t)): a
//! polynomial of degree m-1, which Gauss-Legendre quadrature with m/2 points integrates exactly. One walk over a tree then
//! does for all leaves at once (as in Yu et al., "Linear `TreeSHAP`", 2022): products go down, sums come up.
//!
//! # Bounds
//! Time: nodes times quadrature points (2 up to depth 4, 4 up to 8, 6 up to 12). Memory: 32 bytes a node.

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
    /// The `n` features that raised the score most, from the largest; none that did not raise it. Ties by feature order.
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

/// A node of a tree, with what explanations need to know about the splits above it.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The threshold, or the value of a leaf.
    number: f32,
    feature: u8,
    missing_left: bool,
    is_leaf: bool,
    /// One more than the level of the nearest split above on the same feature; 0 if there is none.
    above: u8,
    right: u32,
    /// The share of training rows that follow all splits on this feature down to the left child.
    left_share: f64,
    /// Likewise to the right child.
    right_share: f64,
}

#[derive(Debug, Clone)]
struct Plan {
    steps: Vec<Step>,
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
        for plan in &self.plans {
            match plan.features_on_path {
                0..=4 => walk::<2>(plan, &TWO, row, &mut values),
                5..=8 => walk::<4>(plan, &FOUR, row, &mut values),
                _ => walk::<6>(plan, &SIX, row, &mut values),
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
    let mut steps = Vec::with_capacity(tree.nodes().len());
    let mut features_on_path = 0;
    // Feature and share of each edge above the node.
    let mut path: Vec<(u8, f64)> = Vec::new();
    // Splits whose right child has not begun: level, feature, share of the right child.
    let mut open: Vec<(usize, u8, f64)> = Vec::new();
    for (index, node) in tree.nodes().iter().enumerate() {
        match *node {
            Node::Leaf { value, .. } => {
                let mut features: Vec<u8> = path.iter().map(|edge| edge.0).collect();
                features.sort_unstable();
                features.dedup();
                features_on_path = features_on_path.max(features.len());
                steps.push(Step {
                    number: value,
                    feature: 0,
                    missing_left: false,
                    is_leaf: true,
                    above: 0,
                    right: 0,
                    left_share: 1.0,
                    right_share: 1.0,
                });
                if let Some((level, feature, share)) = open.pop() {
                    path.truncate(level);
                    path.push((feature, share));
                }
            }
            Node::Split { feature, threshold, missing_left, right, cover, .. } => {
                let above = path.iter().rposition(|edge| edge.0 == feature);
                let share = above.map_or(1.0, |level| path[level].1);
                let part = |child: usize| share * (tree.nodes()[child].cover() as f64 / cover as f64);
                let (left_share, right_share) = (part(index + 1), part(right as usize));
                steps.push(Step {
                    number: threshold,
                    feature,
                    missing_left,
                    is_leaf: false,
                    above: above.map_or(0, |level| u8::try_from(level + 1).unwrap_or(u8::MAX)),
                    right,
                    left_share,
                    right_share,
                });
                open.push((path.len(), feature, right_share));
                path.push((feature, left_share));
            }
        }
    }
    Plan { steps, features_on_path }
}

/// Points and weights of a Gauss-Legendre quadrature, moved from [-1, 1] to [0, 1].
#[derive(Debug)]
struct Quadrature<const Q: usize> {
    points: [f64; Q],
    weights: [f64; Q],
}

impl<const Q: usize> Quadrature<Q> {
    /// From the half with positive points.
    const fn new(half: &[(f64, f64)]) -> Self {
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
    }
}

// Abramowitz and Stegun, table 25.4.
const TWO: Quadrature<2> = Quadrature::new(&[(0.577_350_269_189_625_8, 1.0)]);
const FOUR: Quadrature<4> = Quadrature::new(&[
    (0.339_981_043_584_856_3, 0.652_145_154_862_546_2),
    (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
]);
const SIX: Quadrature<6> = Quadrature::new(&[
    (0.238_619_186_083_196_9, 0.467_913_934_572_691_04),
    (0.661_209_386_466_264_5, 0.360_761_573_048_138_6),
    (0.932_469_514_203_152, 0.171_324_492_379_170_36),
]);

/// An edge on the way down: the row follows its feature's splits up to here or not.
#[derive(Debug, Clone, Copy)]
struct Edge<const Q: usize> {
    follows: bool,
    /// One over the factor of the feature.
    inverse: [f64; Q],
    /// Weight times (o - z) over the factor.
    effect: [f64; Q],
}

struct Walk<'a, const Q: usize> {
    steps: &'a [Step],
    row: &'a [f32],
    quadrature: &'a Quadrature<Q>,
    path: [Edge<Q>; DEPTH_MAX as usize],
    values: &'a mut [f64; FEATURES_MAX],
}

fn walk<const Q: usize>(
    plan: &Plan,
    quadrature: &Quadrature<Q>,
    row: &[f32],
    values: &mut [f64; FEATURES_MAX],
) {
    let edge = Edge { follows: false, inverse: [0.0; Q], effect: [0.0; Q] };
    let mut walk = Walk { steps: &plan.steps, row, quadrature, path: [edge; DEPTH_MAX as usize], values };
    walk.node(0, 0, &[1.0; Q]);
}

impl<const Q: usize> Walk<'_, Q> {
    /// Adds the effect of all splits below the step; returns the sum over its leaves of value times product.
    fn node(&mut self, at: usize, level: usize, product: &[f64; Q]) -> [f64; Q] {
        let step = self.steps[at];
        if step.is_leaf {
            return product.map(|product| product * f64::from(step.number));
        }
        let is_left = goes_left(self.row[usize::from(step.feature)], step.number, step.missing_left);
        let above = usize::from(step.above).checked_sub(1).map(|level| self.path[level]);
        let mut sums = [0.0; Q];
        for (child, share, takes) in
            [(at + 1, step.left_share, is_left), (step.right as usize, step.right_share, !is_left)]
        {
            let follows = takes && above.is_none_or(|above| above.follows);
            let distance = if follows { 1.0 - share } else { -share };
            let Quadrature { points, weights } = self.quadrature;
            let factor: [f64; Q] = from_fn(|q| {
                let rest = (1.0 - points[q]) * share;
                if follows { points[q] + rest } else { rest }
            });
            let inverse = factor.map(|factor| 1.0 / factor);
            let effect: [f64; Q] = from_fn(|q| weights[q] * distance * inverse[q]);
            self.path[level] = Edge { follows, inverse, effect };
            let mut below: [f64; Q] = from_fn(|q| product[q] * factor[q]);
            if let Some(above) = above {
                below = from_fn(|q| below[q] * above.inverse[q]);
            }
            let part = self.node(child, level + 1, &below);
            let change: [f64; Q] = above.map_or(effect, |above| from_fn(|q| effect[q] - above.effect[q]));
            self.values[usize::from(step.feature)] +=
                part.iter().zip(&change).map(|(part, change)| part * change).sum::<f64>();
            sums = from_fn(|q| sums[q] + part[q]);
        }
        sums
    }
}

#[cfg(test)]
mod tests;
