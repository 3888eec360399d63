//! One regression tree in its stored form: nodes in pre-order, a left child follows its parent.
//!
//! What training grows, files hold, explanations and counterfactuals walk. The layout that answers requests is
//! derived from it (`model::serving`).

use crate::matrix::FEATURES_MAX;

/// Splits on the way to a leaf, at most.
pub const DEPTH_MAX: u8 = 12;

/// A node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// Sends a row left if its value is at most the threshold, right if it is above.
    Split {
        /// Which feature.
        feature: u8,
        /// Finite.
        threshold: f32,
        /// Where a row goes whose value is unknown.
        missing_left: bool,
        /// How much the split lowered the training loss; finite, not negative.
        gain: f32,
        /// Where the right child stands; the left one follows this node.
        right: u32,
        /// Training rows that came here.
        cover: u64,
    },
    /// Adds to the logit.
    Leaf {
        /// In logits, learning rate applied; finite.
        value: f32,
        /// Training rows that came here; at least 1.
        cover: u32,
    },
}

impl Node {
    /// Training rows that came here.
    #[must_use]
    pub fn cover(&self) -> u64 {
        match self {
            Self::Split { cover, .. } => *cover,
            Self::Leaf { cover, .. } => u64::from(*cover),
        }
    }
}

/// What makes a list of nodes no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// More splits in a row than [`DEPTH_MAX`].
    #[error("deeper than {DEPTH_MAX}")]
    Deep,
    /// The nodes end before every split has two children, or go on after that.
    #[error("the number of nodes does not fit")]
    Incomplete,
    /// A leaf no training row came to, or one whose covers do not add up.
    #[error("the cover is wrong")]
    WrongCover,
    /// A threshold, gain or value that is no finite number, or a negative gain.
    #[error("a number is not finite or negative where it must not be")]
    WrongNumber,
    /// A child that does not stand where it must.
    #[error("the right child stands elsewhere")]
    WrongPosition,
    /// A feature the model does not have.
    #[error("there is no feature {feature}")]
    UnknownFeature {
        /// The feature's index.
        feature: u8,
    },
}

/// A valid tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
    depth: u8,
}

impl Tree {
    /// Checks the nodes, which are in pre-order, against the number of features.
    ///
    /// # Errors
    /// [`TreeError`], with the position of the node it concerns.
    pub fn new(nodes: Vec<Node>, n_features: usize) -> Result<Self, (usize, TreeError)> {
        debug_assert!(n_features <= FEATURES_MAX);
        let mut depth = 0;
        // Splits whose right child has not begun: position, depth, where the child is due.
        let mut open: Vec<(usize, u8, u32)> = Vec::new();
        let mut level = 0u8;
        let mut done = false;
        for (index, node) in nodes.iter().enumerate() {
            if done {
                return Err((index, TreeError::Incomplete));
            }
            depth = depth.max(level);
            match *node {
                Node::Split { feature, threshold, gain, right, .. } => {
                    if usize::from(feature) >= n_features {
                        return Err((index, TreeError::UnknownFeature { feature }));
                    }
                    if !threshold.is_finite() || !gain.is_finite() || gain < 0.0 {
                        return Err((index, TreeError::WrongNumber));
                    }
                    level += 1;
                    if level > DEPTH_MAX {
                        return Err((index, TreeError::Deep));
                    }
                    open.push((index, level, right));
                }
                Node::Leaf { value, cover } => {
                    if !value.is_finite() {
                        return Err((index, TreeError::WrongNumber));
                    }
                    if cover == 0 {
                        return Err((index, TreeError::WrongCover));
                    }
                    match open.pop() {
                        Some((parent, at, right)) => {
                            if usize::try_from(right) != Ok(index + 1) {
                                return Err((parent, TreeError::WrongPosition));
                            }
                            level = at;
                        }
                        None => done = true,
                    }
                }
            }
        }
        if !done {
            return Err((nodes.len(), TreeError::Incomplete));
        }
        // Children stand behind their parent: from the end, both covers are known.
        for (index, node) in nodes.iter().enumerate().rev() {
            if let Node::Split { right, cover, .. } = node
                && nodes[index + 1].cover() + nodes[*right as usize].cover() != *cover
            {
                return Err((index, TreeError::WrongCover));
            }
        }
        Ok(Self { nodes, depth })
    }

    /// The nodes in pre-order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The largest number of splits on the way to a leaf.
    #[must_use]
    pub const fn depth(&self) -> u8 {
        self.depth
    }

    /// The same tree with covers from the rows that came to each node, which are given by node: a leaf's is 1 more.
    pub(crate) fn recounted(&self, came: &[u32]) -> Self {
        let mut nodes = self.nodes.clone();
        for index in (0..nodes.len()).rev() {
            nodes[index] = match nodes[index] {
                Node::Leaf { value, .. } => Node::Leaf { value, cover: came[index].saturating_add(1) },
                Node::Split { feature, threshold, missing_left, gain, right, .. } => {
                    let cover = nodes[index + 1].cover() + nodes[right as usize].cover();
                    Node::Split { feature, threshold, missing_left, gain, right, cover }
                }
            };
        }
        Self { nodes, depth: self.depth }
    }

    /// The value of the leaf a row comes to. A row shorter than the features of the tree counts as unknown there.
    #[must_use]
    pub fn value(&self, row: &[f32]) -> f32 {
        match self.nodes[self.leaf(row)] {
            Node::Leaf { value, .. } => value,
            Node::Split { .. } => unreachable!("a way down ends at a leaf"),
        }
    }

    /// Where the leaf stands that a row comes to; short rows as for [`Self::value`].
    pub(crate) fn leaf(&self, row: &[f32]) -> usize {
        let mut index = 0;
        loop {
            match self.nodes[index] {
                Node::Leaf { .. } => return index,
                Node::Split { feature, threshold, missing_left, right, .. } => {
                    let value = row.get(usize::from(feature)).copied().unwrap_or(f32::NAN);
                    index =
                        if goes_left(value, threshold, missing_left) { index + 1 } else { right as usize };
                }
            }
        }
    }
}

/// The one rule of every split. An infinity counts as the largest finite value.
pub(crate) fn goes_left(value: f32, threshold: f32, missing_left: bool) -> bool {
    value.clamp(-f32::MAX, f32::MAX) <= threshold || (missing_left && value.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(feature: u8, right: u32, cover: u64) -> Node {
        Node::Split { feature, threshold: 0.5, missing_left: true, gain: 1.0, right, cover }
    }

    const fn leaf(value: f32, cover: u32) -> Node {
        Node::Leaf { value, cover }
    }

    #[test]
    fn rows_fall_to_their_leaf() {
        let nodes = vec![split(0, 4, 6), split(1, 3, 3), leaf(1.0, 1), leaf(2.0, 2), leaf(3.0, 3)];
        let tree = Tree::new(nodes, 2).unwrap();
        assert_eq!(tree.depth(), 2);
        for (row, value) in [
            ([0.5, 0.5], 1.0),
            ([0.0, 0.6], 2.0),
            ([0.51, 0.0], 3.0),
            ([f32::NAN, 0.6], 2.0),
            ([0.0, f32::NAN], 1.0),
        ] {
            assert_eq!(tree.value(&row), value, "{row:?}");
        }
    }

    #[test]
    fn a_broken_tree_is_refused_where_it_breaks() {
        let check = |nodes: &[Node]| Tree::new(nodes.to_vec(), 2).unwrap_err();
        assert_eq!(check(&[]), (0, TreeError::Incomplete));
        assert_eq!(check(&[split(0, 2, 2), leaf(0.0, 1)]), (2, TreeError::Incomplete));
        assert_eq!(check(&[leaf(0.0, 1), leaf(0.0, 1)]), (1, TreeError::Incomplete));
        let of = |split| vec![split, leaf(0.0, 1), leaf(0.0, 1)];
        assert_eq!(check(&of(split(2, 2, 2))), (0, TreeError::UnknownFeature { feature: 2 }));
        assert_eq!(check(&of(split(0, 1, 2))), (0, TreeError::WrongPosition));
        assert_eq!(check(&of(split(0, 2, 3))), (0, TreeError::WrongCover));
        assert_eq!(check(&[leaf(0.0, 0)]), (0, TreeError::WrongCover));
        assert_eq!(check(&[leaf(f32::NAN, 1)]), (0, TreeError::WrongNumber));
        for threshold in [f32::NAN, f32::INFINITY] {
            let split =
                Node::Split { feature: 0, threshold, missing_left: false, gain: 0.0, right: 2, cover: 2 };
            assert_eq!(check(&of(split)), (0, TreeError::WrongNumber));
        }
        let mut deep: Vec<Node> = (0..=u32::from(DEPTH_MAX)).map(|_| split(0, 0, 1)).collect();
        deep.extend((0..DEPTH_MAX + 2).map(|_| leaf(0.0, 1)));
        assert_eq!(check(&deep), (usize::from(DEPTH_MAX), TreeError::Deep));
    }
}
