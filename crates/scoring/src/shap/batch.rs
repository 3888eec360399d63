//! Trees in the layout that explains rows: a few trees together, so that loops are long, and no more than fit the
//! fastest cache.
//!
//! Each split of a batch has a slot, and so has each leaf beside a split. Splits with a split below come first, those
//! nearer to their root before those farther down; then those with two leaves, which cost half as much.

use crate::{
    row::slot,
    tree::{DEPTH_MAX, Node, Tree},
};

/// Slots of a batch: what one tree of depth 8 can have, or several smaller ones.
pub(super) const SLOTS: usize = 1 << 8;
/// Slots of a batch with one tree that is larger.
pub(super) const SLOTS_MAX: usize = 1 << DEPTH_MAX;

/// What decides how a batch is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// Whether it needs more than [`SLOTS`].
    pub(super) is_large: bool,
    /// Points of the quadrature.
    pub(super) points: u8,
}

/// What a row is asked at a split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) threshold: f32,
    /// Of the row.
    pub(super) slot: u8,
}

/// A split on a feature that the path to it has split on before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeat {
    /// The share of training rows that followed all splits on the feature above.
    pub(super) share: f64,
    pub(super) slot: u16,
    /// The slot of the nearest split above on the same feature, and on which side of it this one is.
    pub(super) above: u16,
    pub(super) is_left: bool,
}

/// A split with at least one split below.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inner {
    /// The share of training rows that go right, and left: those of the child that a row which goes left, or right,
    /// does not take.
    pub(super) others: [f64; 2],
    /// Slots of the children, left and right.
    pub(super) children: [u16; 2],
    /// 0, or 1 plus the index of its [`Repeat`].
    pub(super) repeat: u16,
    pub(super) feature: u8,
}

/// A split with two leaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer {
    /// As [`Inner::others`].
    pub(super) others: [f64; 2],
    /// Of the leaves, left and right.
    pub(super) values: [f32; 2],
    /// As [`Inner::repeat`].
    pub(super) repeat: u16,
    pub(super) feature: u8,
}

/// Trees that are walked together.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) kind: Kind,
    /// Slots of the roots.
    pub(super) roots: Vec<u16>,
    /// By slot.
    pub(super) questions: Vec<Question>,
    /// In the order of their slots, so that what is above comes before.
    pub(super) repeats: Vec<Repeat>,
    /// By slot.
    pub(super) inner: Vec<Inner>,
    /// By slot, behind the inner ones.
    pub(super) outer: Vec<Outer>,
    /// Values of leaves beside a split, by slot, behind the splits.
    pub(super) leaves: Vec<f32>,
}

/// The batches of a model, those of one kind together. A tree of one leaf has no effect and is left out.
pub(super) fn batches(trees: &[Tree]) -> Vec<Batch> {
    let mut trees: Vec<Sorted> =
        trees.iter().map(Sorted::new).filter(|tree| !tree.splits.is_empty()).collect();
    trees.sort_by_key(Sorted::kind); // stable
    let mut batches = Vec::new();
    let mut rest = trees.as_slice();
    while let Some(first) = rest.first() {
        let mut slots = 0;
        let together = rest
            .iter()
            .take_while(|tree| {
                slots += tree.n_slots;
                tree.kind() == first.kind() && slots <= SLOTS
            })
            .count();
        let (group, behind) = rest.split_at(together.max(1));
        batches.push(batch(group));
        rest = behind;
    }
    batches
}

/// A split and what its place in the tree says of it. Splits are numbered in pre-order.
#[derive(Debug, Clone, Copy)]
struct Placed {
    question: Question,
    feature: u8,
    level: u8,
    others: [f64; 2],
    children: [Child; 2],
    /// The nearest split above on the same feature, on which side of it, and the share of rows that followed all.
    above: Option<(usize, bool, f64)>,
}

#[derive(Debug, Clone, Copy)]
enum Child {
    Leaf(f32),
    Split(usize),
}

impl Placed {
    fn is_outer(&self) -> bool {
        self.children.iter().all(|child| matches!(child, Child::Leaf(_)))
    }

    /// The place of a split in a batch: what is above comes before, and splits with two leaves come last.
    fn order(&self) -> (bool, u8) {
        (self.is_outer(), self.level)
    }
}

/// A tree taken apart.
#[derive(Debug)]
struct Sorted {
    splits: Vec<Placed>,
    n_slots: usize,
    /// The most different features on one path.
    features_on_path: usize,
}

impl Sorted {
    fn new(tree: &Tree) -> Self {
        let mut sorted = Self { splits: Vec::new(), n_slots: 0, features_on_path: 0 };
        sorted.descend(tree, 0, &mut Vec::new());
        sorted.n_slots = sorted.splits.len();
        for split in sorted.splits.iter().filter(|split| !split.is_outer()) {
            sorted.n_slots += split.children.iter().filter(|child| matches!(child, Child::Leaf(_))).count();
        }
        sorted
    }

    /// Takes the subtree at `node` apart. The path has an edge for each split above: feature, number of the split, whether
    /// it goes left, share of rows that follow all splits on the feature.
    fn descend(&mut self, tree: &Tree, node: usize, path: &mut Vec<(u8, usize, bool, f64)>) -> Child {
        match tree.nodes()[node] {
            Node::Leaf { value, .. } => {
                let mut features: Vec<u8> = path.iter().map(|(feature, ..)| *feature).collect();
                features.sort_unstable();
                features.dedup();
                self.features_on_path = self.features_on_path.max(features.len());
                Child::Leaf(value)
            }
            Node::Split { feature, threshold, missing_left, right, cover, .. } => {
                let right = right as usize;
                let share = |child: usize| tree.nodes()[child].cover() as f64 / cover as f64;
                let above = path
                    .iter()
                    .rfind(|(other, ..)| *other == feature)
                    .map(|(_, split, is_left, share)| (*split, *is_left, *share));
                let own = self.splits.len();
                self.splits.push(Placed {
                    question: Question { threshold, slot: slot(feature, missing_left) },
                    feature,
                    level: u8::try_from(path.len()).unwrap_or(u8::MAX),
                    others: [share(right), share(node + 1)],
                    children: [Child::Leaf(0.0); 2],
                    above,
                });
                let above = above.map_or(1.0, |(.., share)| share);
                for (side, child) in [node + 1, right].into_iter().enumerate() {
                    path.push((feature, own, side == 0, above * share(child)));
                    let child = self.descend(tree, child, path);
                    self.splits[own].children[side] = child;
                    path.pop();
                }
                Child::Split(own)
            }
        }
    }

    fn kind(&self) -> Kind {
        let points = match self.features_on_path {
            0..=4 => 2,
            5..=8 => 4,
            _ => 6,
        };
        Kind { is_large: self.n_slots > SLOTS, points }
    }
}

/// Joins trees of one kind, whose slots are within the bound of it.
fn batch(trees: &[Sorted]) -> Batch {
    let narrow = |slot: usize| u16::try_from(slot).expect("slots are within SLOTS_MAX");
    // Which tree and which of its splits, by slot; and the other way round.
    let mut order: Vec<(usize, usize)> = trees
        .iter()
        .enumerate()
        .flat_map(|(tree, sorted)| (0..sorted.splits.len()).map(move |split| (tree, split)))
        .collect();
    order.sort_by_key(|&(tree, split)| trees[tree].splits[split].order()); // stable
    let mut slots: Vec<Vec<u16>> = trees.iter().map(|tree| vec![0; tree.splits.len()]).collect();
    for (slot, &(tree, split)) in order.iter().enumerate() {
        slots[tree][split] = narrow(slot);
    }
    let mut batch = Batch {
        kind: trees[0].kind(),
        roots: slots.iter().map(|slots| slots[0]).collect(),
        questions: Vec::with_capacity(order.len()),
        repeats: Vec::new(),
        inner: Vec::new(),
        outer: Vec::new(),
        leaves: Vec::new(),
    };
    for &(tree, number) in &order {
        let split = &trees[tree].splits[number];
        batch.questions.push(split.question);
        if let Some((above, is_left, share)) = split.above {
            let (slot, above) = (slots[tree][number], slots[tree][above]);
            batch.repeats.push(Repeat { share, slot, above, is_left });
        }
        let repeat = if split.above.is_some() { narrow(batch.repeats.len()) } else { 0 };
        let Placed { others, feature, .. } = *split;
        if let [Child::Leaf(left), Child::Leaf(right)] = split.children {
            batch.outer.push(Outer { others, values: [left, right], repeat, feature });
            continue;
        }
        let children = split.children.map(|child| match child {
            Child::Leaf(value) => {
                batch.leaves.push(value);
                narrow(order.len() + batch.leaves.len() - 1)
            }
            Child::Split(split) => slots[tree][split],
        });
        batch.inner.push(Inner { others, children, repeat, feature });
    }
    batch
}
