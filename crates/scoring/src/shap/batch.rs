//! Trees in the layout that explains rows: some trees together, so that loops are long, and no more than fit the fastest
//! caches.
//!
//! Each split of a batch has a slot. Splits nearer to their root come before others, and those of one level in runs of one
//! kind: by how many of their children are splits, and by whether their feature is above. Last come twigs, which end in
//! two leaves. So no loop has to ask what a split is, and what it reads lies in a row.
//!
//! A split has a `near` and a `far` child. Near is the left one, but the right one where that alone is a split; the
//! question is turned about then.

use super::quadrature::Quadrature;
use crate::{
    row::slot,
    tree::{DEPTH_MAX, Node, Tree},
};

/// Slots of a batch: several trees of depth 8.
pub(super) const SLOTS: usize = 1 << 10;
/// Slots of a batch with one tree that is larger.
pub(super) const SLOTS_MAX: usize = 1 << DEPTH_MAX;
/// A row as splits ask it: as it is, and negated.
pub(super) const ASKED: usize = 512;

/// A number at each point of the quadrature. Aligned, so that four of them never lie across two lines of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Curve<const Q: usize>(pub(super) [f64; Q]);

/// What a split has for its feature; see the module above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<const Q: usize> {
    pub(super) known: Curve<Q>,
    pub(super) slope: Curve<Q>,
}

impl<const Q: usize> Step<Q> {
    /// Of a split whose feature is not above.
    pub(super) const FIRST: Self =
        Self { known: Curve(Quadrature::<Q>::RULE.points), slope: Curve([1.0; Q]) };

    /// Of a split whose feature is above; that share of the training rows followed the splits on it.
    fn again(share: f64) -> Self {
        let points = Quadrature::<Q>::RULE.points;
        let factor = points.map(|point| point + share * (1.0 - point));
        Self {
            known: Curve(std::array::from_fn(|q| points[q] / factor[q])),
            slope: Curve(factor.map(|factor| share / (factor * factor))),
        }
    }
}

/// A split on a feature that the path to it has split on before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeat {
    /// 1 if it is near the nearest split above on the same feature, -1 if it is far.
    pub(super) sign: f32,
    pub(super) slot: u16,
    /// The slot of that split.
    pub(super) above: u16,
}

/// What splits of a run have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) shape: Shape,
    /// Whether the feature is above.
    pub(super) is_repeat: bool,
}

/// Which children are splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Both,
    /// The near one.
    One,
    /// None.
    Twig,
}

/// Splits that follow each other and are of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) kind: Kind,
    /// The slot of the first.
    pub(super) first: usize,
    pub(super) len: usize,
    /// Where their part begins of what only splits of their shape have.
    pub(super) own: usize,
    /// Where their steps begin, if they repeat features.
    pub(super) step: usize,
}

/// Trees that are walked together, with `Q` points of the quadrature.
#[derive(Debug, Clone)]
pub(super) struct Batch<const Q: usize> {
    /// Slots of the roots.
    pub(super) roots: Vec<u16>,
    /// Those nearer to the roots first, twigs last.
    pub(super) runs: Vec<Run>,
    /// By slot: a row goes near if what is asked of it is at most this.
    pub(super) thresholds: Vec<f32>,
    /// By slot: what is asked.
    pub(super) asked: Vec<u16>,
    /// By slot: the share of training rows that went near; of twigs, times the gain.
    pub(super) shares: Vec<f64>,
    /// In the order of their slots, so that what is above comes before.
    pub(super) repeats: Vec<Repeat>,
    /// Of the same.
    pub(super) steps: Vec<Step<Q>>,
    /// Of splits with two splits: slots of the children, near and far.
    pub(super) both: Vec<[u16; 2]>,
    /// Of splits with one: the slot of the near child.
    pub(super) near: Vec<u16>,
    /// Of the same: the value of the far child.
    pub(super) far: Vec<f64>,
    /// Of twigs: by how much the near leaf is larger than the far one.
    pub(super) gains: Vec<f64>,
    /// Of twigs: the expected value if nothing is known.
    pub(super) means: Vec<f64>,
}

/// Trees taken apart, by the points of the quadrature they need: 2, 4 or 6. A tree of one leaf has no effect and is left
/// out.
pub(super) fn sort(trees: &[Tree]) -> [Vec<Sorted>; 3] {
    let mut sorted = [const { Vec::new() }; 3];
    for tree in trees.iter().map(Sorted::new).filter(|tree| !tree.splits.is_empty()) {
        let place = match tree.features_on_path {
            0..=4 => 0,
            5..=8 => 1,
            _ => 2,
        };
        sorted[place].push(tree);
    }
    sorted
}

/// The batches of trees; those that fit [`SLOTS`], and those that need more.
pub(super) fn batches<const Q: usize>(trees: Vec<Sorted>) -> [Vec<Batch<Q>>; 2] {
    let (small, large): (Vec<_>, Vec<_>) = trees.into_iter().partition(|tree| tree.splits.len() <= SLOTS);
    let mut batches = Vec::new();
    let mut rest = small.as_slice();
    while !rest.is_empty() {
        let mut slots = 0;
        let fits = |tree: &&Sorted| {
            slots += tree.splits.len();
            slots <= SLOTS
        };
        let (group, behind) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        batches.push(Batch::new(group));
        rest = behind;
    }
    [batches, large.chunks(1).map(Batch::new).collect()]
}

/// A split and what its place in the tree says of it. Splits are numbered in pre-order.
#[derive(Debug, Clone, Copy)]
struct Placed {
    threshold: f32,
    asked: u16,
    level: u8,
    /// The share of training rows that went near.
    share: f64,
    /// Near and far.
    children: [Child; 2],
    above: Option<Above>,
}

impl Placed {
    fn kind(&self) -> Kind {
        let shape = match self.children {
            [Child::Split(_), Child::Split(_)] => Shape::Both,
            [Child::Leaf(_), Child::Leaf(_)] => Shape::Twig,
            _ => Shape::One,
        };
        Kind { shape, is_repeat: self.above.is_some() }
    }

    /// The order of slots.
    fn order(&self) -> (bool, u8, Kind) {
        let kind = self.kind();
        let is_twig = kind.shape == Shape::Twig;
        (is_twig, if is_twig { 0 } else { self.level }, kind)
    }
}

/// The nearest split above on the same feature.
#[derive(Debug, Clone, Copy)]
struct Above {
    split: usize,
    is_near: bool,
    /// The share of training rows that followed all splits above on the feature.
    share: f64,
}

#[derive(Debug, Clone, Copy)]
enum Child {
    Leaf(f32),
    Split(usize),
}

/// A tree taken apart.
#[derive(Debug)]
pub(super) struct Sorted {
    splits: Vec<Placed>,
    /// The most different features on one path.
    features_on_path: usize,
}

impl Sorted {
    fn new(tree: &Tree) -> Self {
        let mut sorted = Self { splits: Vec::new(), features_on_path: 0 };
        sorted.descend(tree, 0, &mut Vec::new());
        sorted
    }

    /// Takes the subtree at `node` apart. The path has an edge for each split above.
    fn descend(&mut self, tree: &Tree, node: usize, path: &mut Vec<(u8, Above)>) -> Child {
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
                let is_leaf = |child: usize| matches!(tree.nodes()[child], Node::Leaf { .. });
                let is_turned = is_leaf(node + 1) && !is_leaf(right);
                let children = if is_turned { [right, node + 1] } else { [node + 1, right] };
                let shares = children.map(|child| tree.nodes()[child].cover() as f64 / cover as f64);
                let asked = u16::from(slot(feature, missing_left));
                // What is above the threshold is, negated, below the negated threshold: at most the number before that.
                let (threshold, asked) = if is_turned {
                    ((-threshold).next_down(), asked + narrow(ASKED / 2))
                } else {
                    (threshold, asked)
                };
                let above = path.iter().rfind(|(other, _)| *other == feature).map(|(_, above)| *above);
                let own = self.splits.len();
                self.splits.push(Placed {
                    threshold,
                    asked,
                    level: u8::try_from(path.len()).unwrap_or(u8::MAX),
                    share: shares[0],
                    children: [Child::Leaf(0.0); 2],
                    above,
                });
                for (side, child) in children.into_iter().enumerate() {
                    let share = above.map_or(1.0, |above| above.share) * shares[side];
                    path.push((feature, Above { split: own, is_near: side == 0, share }));
                    let child = self.descend(tree, child, path);
                    self.splits[own].children[side] = child;
                    path.pop();
                }
                Child::Split(own)
            }
        }
    }
}

fn narrow(slot: usize) -> u16 {
    u16::try_from(slot).expect("slots are within SLOTS_MAX")
}

impl<const Q: usize> Batch<Q> {
    /// Joins trees whose splits have slots enough.
    fn new(trees: &[Sorted]) -> Self {
        // Which tree and which of its splits, by slot.
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (tree, sorted) in trees.iter().enumerate() {
            order.extend((0..sorted.splits.len()).map(|split| (tree, split)));
        }
        order.sort_by_key(|&(tree, split)| trees[tree].splits[split].order()); // stable
        let mut slots: Vec<Vec<u16>> = trees.iter().map(|tree| vec![0; tree.splits.len()]).collect();
        for (slot, &(tree, split)) in order.iter().enumerate() {
            slots[tree][split] = narrow(slot);
        }
        let mut batch = Self {
            roots: slots.iter().map(|slots| slots[0]).collect(),
            runs: Vec::new(),
            thresholds: Vec::with_capacity(order.len()),
            asked: Vec::with_capacity(order.len()),
            shares: Vec::with_capacity(order.len()),
            repeats: Vec::new(),
            steps: Vec::new(),
            both: Vec::new(),
            near: Vec::new(),
            far: Vec::new(),
            gains: Vec::new(),
            means: Vec::new(),
        };
        let mut last = None;
        for (slot, &(tree, split)) in order.iter().enumerate() {
            let split = &trees[tree].splits[split];
            if last != Some(split.order()) {
                last = Some(split.order());
                batch.begin(split.kind(), slot);
            }
            if let Some(run) = batch.runs.last_mut() {
                run.len += 1;
            }
            batch.push(split, narrow(slot), &slots[tree]);
        }
        batch
    }

    fn begin(&mut self, kind: Kind, first: usize) {
        let own = match kind.shape {
            Shape::Both => self.both.len(),
            Shape::One => self.near.len(),
            Shape::Twig => self.gains.len(),
        };
        self.runs.push(Run { kind, first, len: 0, own, step: self.steps.len() });
    }

    fn push(&mut self, split: &Placed, slot: u16, slots: &[u16]) {
        self.thresholds.push(split.threshold);
        self.asked.push(split.asked);
        if let Some(Above { split: above, is_near, share }) = split.above {
            self.repeats.push(Repeat { sign: if is_near { 1.0 } else { -1.0 }, slot, above: slots[above] });
            self.steps.push(Step::again(share));
        }
        let mut share = split.share;
        match split.children {
            [Child::Split(near), Child::Split(far)] => self.both.push([slots[near], slots[far]]),
            [Child::Split(near), Child::Leaf(far)] => {
                self.near.push(slots[near]);
                self.far.push(f64::from(far));
            }
            [Child::Leaf(near), Child::Leaf(far)] => {
                let gain = f64::from(near) - f64::from(far);
                share *= gain;
                self.gains.push(gain);
                self.means.push(f64::from(far) + share);
            }
            [Child::Leaf(_), Child::Split(_)] => unreachable!("a child that alone is a split is near"),
        }
        self.shares.push(share);
    }
}
