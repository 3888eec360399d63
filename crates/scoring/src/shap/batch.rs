//! Trees in the layout that explains rows: a few trees together, so that loops are long, and no more than fit the
//! fastest cache.
//!
//! Each split of a batch has a slot, and so has each leaf beside a split. Splits with splits farther below come first,
//! those nearer to their root before others; then forks, which end after one more split, and after those twigs, which
//! end in leaves. What lies below a fork is done with it, without a detour through memory, and has the last slots.

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

/// A split with a fork or an inner split below.
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

/// A split with two leaves. A leaf beside a twig counts as one that makes no difference.
#[derive(Debug, Clone, Copy)]
pub(super) struct Twig {
    /// What a row gains that goes left, or right, over one that goes the other way, times the share that does.
    pub(super) differences: [f64; 2],
    /// Of the leaves, left and right.
    pub(super) values: [f32; 2],
    /// As [`Inner::repeat`].
    pub(super) repeat: u16,
    pub(super) feature: u8,
}

/// A split whose children are twigs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fork {
    /// As [`Inner::others`].
    pub(super) others: [f64; 2],
    /// Left and right.
    pub(super) twigs: [Twig; 2],
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
    /// By slot, behind the inner splits.
    pub(super) forks: Vec<Fork>,
    /// By slot, behind the forks; those of forks are not among them.
    pub(super) twigs: Vec<Twig>,
    /// By slot, behind the twigs: values of leaves beside a fork or an inner split. Then come two slots for each fork.
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

/// What becomes of a split, in the order of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Inner,
    Fork,
    Twig,
    /// A twig that is part of a fork.
    Part,
}

/// A split and what its place in the tree says of it. Splits are numbered in pre-order.
#[derive(Debug, Clone, Copy)]
struct Placed {
    role: Role,
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
        sorted.assign_roles();
        let is_leaf = |child: &&Child| matches!(child, Child::Leaf(_));
        sorted.n_slots = sorted
            .splits
            .iter()
            .map(|split| match split.role {
                Role::Inner | Role::Fork => 1 + split.children.iter().filter(is_leaf).count(),
                Role::Twig | Role::Part => 1,
            })
            .sum();
        sorted
    }

    fn assign_roles(&mut self) {
        let is_twig = |splits: &[Placed], child: &Child| match child {
            Child::Leaf(_) => true,
            Child::Split(split) => splits[*split].role == Role::Twig,
        };
        for number in (0..self.splits.len()).rev() {
            let children = self.splits[number].children;
            if children.iter().all(|child| matches!(child, Child::Leaf(_))) {
                self.splits[number].role = Role::Twig;
            } else if children.iter().all(|child| is_twig(&self.splits, child)) {
                self.splits[number].role = Role::Fork;
                for child in children {
                    if let Child::Split(split) = child {
                        self.splits[split].role = Role::Part;
                    }
                }
            }
        }
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
                    role: Role::Inner,
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
    // Which tree and which of its splits, by slot; parts of forks have theirs last and come with their forks.
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (tree, sorted) in trees.iter().enumerate() {
        let whole = sorted.splits.iter().enumerate().filter(|(_, split)| split.role != Role::Part);
        order.extend(whole.map(|(split, _)| (tree, split)));
    }
    order.sort_by_key(|&(tree, split)| {
        let Placed { role, level, .. } = trees[tree].splits[split];
        (role, level)
    }); // stable
    let mut joined = Joined {
        trees,
        slots: trees.iter().map(|tree| vec![0; tree.splits.len()]).collect(),
        batch: Batch {
            kind: trees[0].kind(),
            roots: Vec::new(),
            questions: Vec::with_capacity(order.len()),
            repeats: Vec::new(),
            inner: Vec::new(),
            forks: Vec::new(),
            twigs: Vec::new(),
            leaves: Vec::new(),
        },
    };
    for (slot, &(tree, split)) in order.iter().enumerate() {
        joined.slots[tree][split] = narrow(slot);
    }
    joined.batch.roots = joined.slots.iter().map(|slots| slots[0]).collect();
    for &(tree, number) in &order {
        joined.push(tree, number, order.len());
    }
    joined.push_parts(&order);
    joined.batch
}

fn narrow(slot: usize) -> u16 {
    u16::try_from(slot).expect("slots are within SLOTS_MAX")
}

/// A batch under construction.
#[derive(Debug)]
struct Joined<'a> {
    trees: &'a [Sorted],
    /// By tree and split.
    slots: Vec<Vec<u16>>,
    batch: Batch,
}

impl Joined<'_> {
    fn push(&mut self, tree: usize, number: usize, n_splits: usize) {
        let split = self.trees[tree].splits[number];
        self.batch.questions.push(split.question);
        let repeat = self.repeat(tree, number);
        let Placed { others, feature, .. } = split;
        match split.role {
            Role::Inner => {
                let children = split.children.map(|child| match child {
                    Child::Leaf(value) => {
                        self.batch.leaves.push(value);
                        narrow(n_splits + self.batch.leaves.len() - 1)
                    }
                    Child::Split(split) => self.slots[tree][split],
                });
                self.batch.inner.push(Inner { others, children, repeat, feature });
            }
            Role::Fork => {
                // The twigs follow when it is known where their slots begin.
                let none = Twig { differences: [0.0; 2], values: [0.0; 2], repeat: 0, feature: 0 };
                self.batch.forks.push(Fork { others, twigs: [none; 2], repeat, feature });
            }
            Role::Twig | Role::Part => self.batch.twigs.push(twig(&split, repeat)),
        }
    }

    /// The twigs of the forks.
    fn push_parts(&mut self, order: &[(usize, usize)]) {
        // Nothing is asked at a leaf, but it has a slot.
        let nothing = Question { threshold: 0.0, slot: 0 };
        self.batch.questions.resize(order.len() + self.batch.leaves.len(), nothing);
        let forks = self.batch.inner.len()..self.batch.inner.len() + self.batch.forks.len();
        for (fork, &(tree, number)) in order[forks].iter().enumerate() {
            for (side, child) in self.trees[tree].splits[number].children.into_iter().enumerate() {
                let slot = narrow(self.batch.questions.len());
                self.batch.forks[fork].twigs[side] = match child {
                    Child::Leaf(value) => {
                        self.batch.questions.push(nothing);
                        Twig { differences: [0.0; 2], values: [value; 2], repeat: 0, feature: 0 }
                    }
                    Child::Split(split) => {
                        self.slots[tree][split] = slot;
                        let repeat = self.repeat(tree, split);
                        let split = &self.trees[tree].splits[split];
                        self.batch.questions.push(split.question);
                        twig(split, repeat)
                    }
                };
            }
        }
    }

    /// What stands for a split on a feature that is above: 1 plus its place among them, else 0.
    fn repeat(&mut self, tree: usize, number: usize) -> u16 {
        let Some((above, is_left, share)) = self.trees[tree].splits[number].above else { return 0 };
        let (slot, above) = (self.slots[tree][number], self.slots[tree][above]);
        self.batch.repeats.push(Repeat { share, slot, above, is_left });
        narrow(self.batch.repeats.len())
    }
}

fn twig(split: &Placed, repeat: u16) -> Twig {
    let values = split.children.map(|child| match child {
        Child::Leaf(value) => value,
        Child::Split(_) => unreachable!("a twig has two leaves"),
    });
    let gain = f64::from(values[0]) - f64::from(values[1]);
    let differences = [gain * split.others[0], -gain * split.others[1]];
    Twig { differences, values, repeat, feature: split.feature }
}
