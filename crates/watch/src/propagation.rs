//! Labels spread to the addresses around them, by several walks that a model combines.
//!
//! [`chain::propagation`] walks; a [`Stack`] learns from the known labels how to weigh walks and neighbourhood. Each known
//! node is scored by walks that did not start from it: the labels are dealt into folds, and the rows of one fold come
//! from walks seeded with the others. So the model never sees what a label says about itself, which is what it will
//! meet on nodes without one.
//!
//! What it is not: a source of labels. A score says whom to look at; [`Graph::evidence`] says why.
//!
//! Deterministic in graph, labels and seed.

use chain::propagation::{
    Graph, Side,
    features::{self, NAMES},
};
use scoring::{
    gbdt::{self, Params, TrainError},
    matrix::{FeatureNames, Matrix, MatrixError},
    model::{Model, sigmoid},
};

/// Into how many parts the labels are dealt.
const FOLDS: usize = 4;

/// Why a model could not be learned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// The features do not form a table.
    #[error("the features do not form a table")]
    Features(#[from] MatrixError),
    /// Fewer labels of one side than parts to deal them into.
    #[error("{illicit} illicit and {licit} licit labels: at least {FOLDS} of each are needed")]
    TooFewLabels {
        /// Illicit labels.
        illicit: usize,
        /// Licit labels.
        licit: usize,
    },
    /// Training failed.
    #[error("training failed")]
    Training(#[from] TrainError),
}

/// A model over [`features::NAMES`].
#[derive(Debug, Clone)]
pub struct Stack {
    model: Model,
}

impl Stack {
    /// Learns from the labels in `seeds`, dealt into folds by `seed`.
    ///
    /// # Errors
    /// [`StackError`].
    pub fn train(graph: &Graph, seeds: &[Option<Side>], seed: u64) -> Result<Self, StackError> {
        let of = |side| -> Vec<usize> {
            let known = seeds.iter().take(graph.nodes()).enumerate();
            known.filter(|(_, known)| **known == Some(side)).map(|(node, _)| node).collect()
        };
        let (mut illicit, mut licit) = (of(Side::Illicit), of(Side::Licit));
        if illicit.len() < FOLDS || licit.len() < FOLDS {
            return Err(StackError::TooFewLabels { illicit: illicit.len(), licit: licit.len() });
        }
        let mut random = Shuffle::new(seed);
        // Each side apart, so that every fold has its share of both.
        random.shuffle(&mut illicit);
        random.shuffle(&mut licit);
        let (mut rows, mut labels) = (Matrix::new(FeatureNames::new(NAMES)?), Vec::new());
        for fold in 0..FOLDS {
            let mut others = seeds.to_vec();
            let held_out: Vec<usize> = [&illicit, &licit]
                .into_iter()
                .flat_map(|side| side.iter().skip(fold).step_by(FOLDS))
                .copied()
                .collect();
            for node in &held_out {
                if let Some(known) = others.get_mut(*node) {
                    *known = None;
                }
            }
            let all = features::features(graph, &others);
            for node in held_out {
                if let Some(row) = all.get(node) {
                    rows.push(row)?;
                    labels.push(seeds.get(node) == Some(&Some(Side::Illicit)));
                }
            }
        }
        let params = Params { trees: 150, depth: 4, rate: 0.08, bins: 128, ..Params::default() };
        Ok(Self { model: gbdt::train(&rows, &labels, None, None, &params)? })
    }

    /// Illicit probability of every node, as far as the labels learned from are like those to be found. For a node in
    /// `seeds` it tells how its label fits its neighbourhood, not what it is.
    #[must_use]
    pub fn scores(&self, graph: &Graph, seeds: &[Option<Side>]) -> Vec<f64> {
        features::features(graph, seeds).iter().map(|row| sigmoid(self.model.logit(row))).collect()
    }

    /// The model, for who wants to explain or keep it.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }
}

/// Shuffles by a seed: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014) and Fisher-Yates. Not for secrets.
#[derive(Debug)]
pub(crate) struct Shuffle(u64);

impl Shuffle {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the upper half of the product is at most `last`"
            )]
            let other = ((u128::from(self.word()) * (last as u128 + 1)) >> 64) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use chain::propagation::{Edge, EdgeKind};

    use super::*;

    /// Rings of ten, every other one illicit; half of each ring is known.
    fn rings() -> (Graph, Vec<Option<Side>>, Vec<bool>) {
        let (mut edges, mut seeds, mut truth) = (Vec::new(), Vec::new(), Vec::new());
        for ring in 0..40_u32 {
            for at in 0..10 {
                edges.push(Edge {
                    from: ring * 10 + at,
                    to: ring * 10 + (at + 1) % 10,
                    kind: EdgeKind::Payment,
                });
                let is_illicit = ring % 2 == 0;
                truth.push(is_illicit);
                let side = if is_illicit { Side::Illicit } else { Side::Licit };
                seeds.push((at % 2 == 0).then_some(side));
            }
        }
        (Graph::new(truth.len(), &edges).unwrap(), seeds, truth)
    }

    #[test]
    fn unknown_nodes_take_after_their_neighbours() {
        let (graph, seeds, truth) = rings();
        let stack = Stack::train(&graph, &seeds, 1).unwrap();
        let scores = stack.scores(&graph, &seeds);
        for ((seed, score), truth) in seeds.iter().zip(&scores).zip(truth) {
            assert!(seed.is_some() || (*score > 0.5) == truth, "{score}");
        }
        assert_eq!(scores, Stack::train(&graph, &seeds, 1).unwrap().scores(&graph, &seeds));
    }

    #[test]
    fn too_few_labels_are_refused() {
        let (graph, mut seeds, _) = rings();
        seeds.iter_mut().filter(|seed| **seed == Some(Side::Illicit)).skip(3).for_each(|seed| *seed = None);
        let error = Stack::train(&graph, &seeds, 1).unwrap_err();
        assert_eq!(error, StackError::TooFewLabels { illicit: 3, licit: 100 });
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Shuffle::new(7).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
