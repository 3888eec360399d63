//! The layout that answers requests: every tree padded to a perfect one, eight trees in one loop.
//!
//! A step down a tree is `p = 2p + !(x <= threshold)` without a branch; eight independent trees at once hide the time
//! memory takes. Eight trees go together and are padded to the deepest of them, so shallow groups end early. A
//! padding split repeats the leaf on both sides. Trees deeper than [`PERFECT_DEPTH_MAX`] would waste memory and
//! are walked node by node.
//!
//! Rows are read through [`Row`], which sends unknown values where each split wants them.

use crate::{
    matrix::Matrix,
    row::{Row, slot},
    tree::{Node, Tree},
};

/// Trees in one loop.
const LANES: usize = 8;
/// The deepest tree that is padded.
const PERFECT_DEPTH_MAX: u8 = 8;
/// Rows that go through one group of trees together, so that the group stays in the cache.
const ROWS_TOGETHER: usize = 64;
/// Eight trees in a row.
#[derive(Debug, Clone)]
struct Group {
    /// The depth of the deepest; all are padded to it.
    depth: u8,
    /// Where the thresholds, slots and leaves of the first tree begin. The others follow.
    start: usize,
}

/// A tree that is too deep to pad.
#[derive(Debug, Clone, Copy)]
struct FlatNode {
    threshold: f32,
    slot: u8,
    is_leaf: bool,
    /// Where the right child stands; the left one follows.
    right: u32,
}

#[derive(Debug, Clone)]
enum Part {
    Perfect(Group),
    Flat(Vec<FlatNode>),
}

/// Trees in the layout that answers requests.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    /// In the order of the trees.
    parts: Vec<Part>,
    thresholds: Vec<f32>,
    slots: Vec<u8>,
    leaves: Vec<f32>,
}

impl Serving {
    pub(super) fn new(trees: &[Tree]) -> Self {
        let mut serving =
            Self { parts: Vec::new(), thresholds: Vec::new(), slots: Vec::new(), leaves: Vec::new() };
        let mut rest = trees;
        while let Some((first, behind)) = rest.split_first() {
            if first.depth() > PERFECT_DEPTH_MAX {
                serving.parts.push(Part::Flat(flat(first)));
                rest = behind;
                continue;
            }
            let together =
                rest.iter().take(LANES).take_while(|tree| tree.depth() <= PERFECT_DEPTH_MAX).count();
            let (group, behind) = rest.split_at(together);
            serving.push_group(group);
            rest = behind;
        }
        serving
    }

    fn push_group(&mut self, trees: &[Tree]) {
        let depth = trees.iter().map(Tree::depth).max().unwrap_or(0);
        let size = 1usize << depth;
        let start = self.leaves.len();
        self.parts.push(Part::Perfect(Group { depth, start }));
        // A group that is not full ends in trees of -0.0: the one number whose addition changes no bit.
        self.thresholds.resize(start + LANES * size, 0.0);
        self.slots.resize(start + LANES * size, 0);
        self.leaves.resize(start + LANES * size, -0.0);
        for (lane, tree) in trees.iter().enumerate() {
            self.pad(tree, 0, start + lane * size, 1, 0, depth);
        }
    }

    /// Writes the subtree at `index` of the tree below `position`, which is at `level`, down to `depth`.
    fn pad(&mut self, tree: &Tree, index: usize, start: usize, position: usize, level: u8, depth: u8) {
        match tree.nodes()[index] {
            Node::Leaf { value, .. } => {
                // All leaves below the position.
                let width = 1usize << (depth - level);
                let first = position * width - (1usize << depth);
                self.leaves[start + first..start + first + width].fill(value);
            }
            Node::Split { feature, threshold, missing_left, right, .. } => {
                self.thresholds[start + position] = threshold;
                self.slots[start + position] = slot(feature, missing_left);
                self.pad(tree, index + 1, start, 2 * position, level + 1, depth);
                self.pad(tree, right as usize, start, 2 * position + 1, level + 1, depth);
            }
        }
    }

    pub(super) fn logit(&self, base_logit: f64, row: &[f32]) -> f64 {
        let prepared = Row::new(row);
        let mut logit = base_logit;
        for part in &self.parts {
            self.add(part, &prepared, &mut logit);
        }
        logit
    }

    pub(super) fn logits(&self, base_logit: f64, rows: &Matrix) -> Vec<f64> {
        let mut logits = vec![base_logit; rows.n_rows()];
        let mut prepared = vec![Row::new(&[]); ROWS_TOGETHER];
        for (chunk, logits) in logits.chunks_mut(ROWS_TOGETHER).enumerate() {
            for (index, prepared) in prepared.iter_mut().enumerate().take(logits.len()) {
                prepared.set(rows.row(chunk * ROWS_TOGETHER + index));
            }
            for part in &self.parts {
                for (logit, row) in logits.iter_mut().zip(&prepared) {
                    self.add(part, row, logit);
                }
            }
        }
        logits
    }

    #[inline]
    fn add(&self, part: &Part, row: &Row, logit: &mut f64) {
        match part {
            Part::Flat(nodes) => *logit += f64::from(walk(nodes, row)),
            Part::Perfect(group) => match group.depth {
                0 => self.add_group::<0, 1>(group, row, logit),
                1 => self.add_group::<1, 2>(group, row, logit),
                2 => self.add_group::<2, 4>(group, row, logit),
                3 => self.add_group::<3, 8>(group, row, logit),
                4 => self.add_group::<4, 16>(group, row, logit),
                5 => self.add_group::<5, 32>(group, row, logit),
                6 => self.add_group::<6, 64>(group, row, logit),
                7 => self.add_group::<7, 128>(group, row, logit),
                _ => self.add_group::<8, 256>(group, row, logit),
            },
        }
    }

    /// Eight trees of `DEPTH`, `SIZE` being 2^`DEPTH`.
    #[inline]
    fn add_group<const DEPTH: u32, const SIZE: usize>(&self, group: &Group, row: &Row, logit: &mut f64) {
        const { assert!(1 << DEPTH == SIZE) };
        let range = group.start..group.start + LANES * SIZE;
        let (thresholds, _) = self.thresholds[range.clone()].as_chunks::<SIZE>();
        let (slots, _) = self.slots[range.clone()].as_chunks::<SIZE>();
        let (leaves, _) = self.leaves[range].as_chunks::<SIZE>();
        let (Some(thresholds), Some(slots), Some(leaves)) =
            (thresholds.first_chunk::<LANES>(), slots.first_chunk::<LANES>(), leaves.first_chunk::<LANES>())
        else {
            unreachable!("a group has {LANES} trees")
        };
        let mut at = [1usize; LANES];
        for _ in 0..DEPTH {
            for lane in 0..LANES {
                // The mask changes nothing: it shows the compiler that the index is in range.
                let here = at[lane] & (SIZE - 1);
                let is_left = row.goes_left(slots[lane][here], thresholds[lane][here]);
                at[lane] = 2 * here + usize::from(!is_left);
            }
        }
        for lane in 0..LANES {
            *logit += f64::from(leaves[lane][at[lane] & (SIZE - 1)]);
        }
    }
}

fn flat(tree: &Tree) -> Vec<FlatNode> {
    tree.nodes()
        .iter()
        .map(|node| match *node {
            Node::Leaf { value, .. } => FlatNode { threshold: value, slot: 0, is_leaf: true, right: 0 },
            Node::Split { feature, threshold, missing_left, right, .. } => {
                FlatNode { threshold, slot: slot(feature, missing_left), is_leaf: false, right }
            }
        })
        .collect()
}

fn walk(nodes: &[FlatNode], row: &Row) -> f32 {
    let mut index = 0;
    loop {
        let node = nodes[index];
        if node.is_leaf {
            return node.threshold;
        }
        let is_left = row.goes_left(node.slot, node.threshold);
        index = if is_left { index + 1 } else { node.right as usize };
    }
}
