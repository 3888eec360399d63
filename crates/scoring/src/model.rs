//! A trained model: trees over named features that add up to a logit.
//!
//! The stored form ([`Tree`]) and the layout that answers requests give the same logit bit for bit: the base logit,
//! then the leaves added in the order of the trees. The file format is in [`mod@file`], what a person should know
//! about a model in [`card`].
//!
//! # Bounds
//! [`TREES_MAX`] trees, [`NODES_MAX`] nodes, [`LOGIT_MAX`] for the base logit and each leaf.

pub mod card;
pub mod file;
mod serving;

use std::fmt;

use thiserror::Error;

use crate::{
    gbdt::LOGIT_MAX,
    math,
    matrix::{FeatureNames, Matrix},
    tree::{Node, Tree, TreeError},
};
use serving::Serving;

/// Trees of one model.
pub const TREES_MAX: usize = 4_096;
/// Nodes of all trees of one model.
pub const NODES_MAX: usize = 1 << 20;

/// The logistic function: the probability of a logit, in [0, 1], uncalibrated; the same bits on every machine.
#[must_use]
pub fn sigmoid(logit: f64) -> f64 {
    if logit >= 0.0 {
        1.0 / (1.0 + math::exp(-logit))
    } else {
        let e = math::exp(logit);
        e / (1.0 + e)
    }
}

/// Why trees are no model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A base logit or a leaf beyond the bound.
    #[error("a logit is beyond {LOGIT_MAX}")]
    LogitTooLarge,
    /// No tree, or more than [`TREES_MAX`].
    #[error("{count} trees; 1 to {TREES_MAX} are possible")]
    NumberOfTrees {
        /// How many there are.
        count: usize,
    },
    /// More nodes than [`NODES_MAX`].
    #[error("more than {NODES_MAX} nodes")]
    TooManyNodes,
    /// A tree that is none.
    #[error("tree {tree}, node {node}: {error}")]
    Tree {
        /// Which tree, counted from 0.
        tree: usize,
        /// Which of its nodes, counted from 0.
        node: usize,
        /// What is wrong.
        error: TreeError,
    },
}

/// A model that scores rows. Immutable; share it behind an `Arc`.
#[derive(Clone)]
pub struct Model {
    features: FeatureNames,
    base_logit: f64,
    trees: Vec<Tree>,
    serving: Serving,
}

impl Model {
    /// From trees over the features.
    ///
    /// # Errors
    /// [`ModelError`] when a bound is exceeded.
    pub fn new(features: FeatureNames, base_logit: f64, trees: Vec<Tree>) -> Result<Self, ModelError> {
        if !(1..=TREES_MAX).contains(&trees.len()) {
            return Err(ModelError::NumberOfTrees { count: trees.len() });
        }
        if trees.iter().map(|tree| tree.nodes().len()).sum::<usize>() > NODES_MAX {
            return Err(ModelError::TooManyNodes);
        }
        let is_large =
            |node: &Node| matches!(node, Node::Leaf { value, .. } if f64::from(value.abs()) > LOGIT_MAX);
        if !base_logit.is_finite()
            || base_logit.abs() > LOGIT_MAX
            || trees.iter().flat_map(Tree::nodes).any(is_large)
        {
            return Err(ModelError::LogitTooLarge);
        }
        for (tree_index, tree) in trees.iter().enumerate() {
            for (node, split) in tree.nodes().iter().enumerate() {
                if let Node::Split { feature, .. } = split
                    && usize::from(*feature) >= features.len()
                {
                    let error = TreeError::UnknownFeature { feature: *feature };
                    return Err(ModelError::Tree { tree: tree_index, node, error });
                }
            }
        }
        let serving = Serving::new(&trees);
        Ok(Self { features, base_logit, trees, serving })
    }

    /// The features a row has, in order.
    #[must_use]
    pub const fn features(&self) -> &FeatureNames {
        &self.features
    }

    /// The logit before the first tree.
    #[must_use]
    pub const fn base_logit(&self) -> f64 {
        self.base_logit
    }

    /// The trees in their stored form, in the order in which they are added.
    #[must_use]
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// The depth of the deepest tree.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.trees.iter().map(Tree::depth).max().unwrap_or(0)
    }

    /// The score of one row, in logits; NaN is an unknown value, infinities count as the largest finite values.
    /// Does not allocate.
    ///
    /// # Panics
    /// If the row does not have one value for each feature.
    #[must_use]
    pub fn logit(&self, row: &[f32]) -> f64 {
        assert_eq!(row.len(), self.features.len(), "a row has one value for each feature of the model");
        self.serving.logit(self.base_logit, row)
    }

    /// The scores of many rows, in logits: the same as one by one, faster.
    ///
    /// # Panics
    /// If the rows do not have as many features as the model.
    #[must_use]
    pub fn logits(&self, rows: &Matrix) -> Vec<f64> {
        assert_eq!(
            rows.n_features(),
            self.features.len(),
            "a row has one value for each feature of the model"
        );
        self.serving.logits(self.base_logit, rows)
    }

    /// The same model with covers counted anew: that of a leaf is 1 plus the rows that come to it. Scores stay what they
    /// are. Reasons follow the covers: they say how a row differs from these rows. For models whose training rows nobody
    /// counted, or rows of a later time.
    ///
    /// # Panics
    /// If the rows do not have as many features as the model.
    #[must_use]
    pub fn recounted(&self, rows: &Matrix) -> Self {
        assert_eq!(
            rows.n_features(),
            self.features.len(),
            "a row has one value for each feature of the model"
        );
        let trees = self.trees.iter().map(|tree| {
            let mut came = vec![0u32; tree.nodes().len()];
            rows.rows().for_each(|row| came[tree.leaf(row)] += 1);
            tree.recounted(&came)
        });
        Self { trees: trees.collect(), ..self.clone() }
    }

    /// How much the splits on each feature lowered the training loss, by feature.
    #[must_use]
    pub fn gain_importance(&self) -> Vec<f64> {
        let mut gains = vec![0.0; self.features.len()];
        for node in self.trees.iter().flat_map(Tree::nodes) {
            if let Node::Split { feature, gain, .. } = node {
                gains[usize::from(*feature)] += f64::from(*gain);
            }
        }
        gains
    }
}

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        // The serving layout follows from the rest.
        self.features == other.features
            && self.base_logit.to_bits() == other.base_logit.to_bits()
            && self.trees == other.trees
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("features", &self.features)
            .field("base_logit", &self.base_logit)
            .field("trees", &self.trees.len())
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}
