//! One row through a batch: down for the products, up for the expected values and their derivatives.
//!
//! No branch depends on a tree's shape or on the row: guessing those wrong would cost more than all the arithmetic. All
//! sizes are powers of two that the compiler knows, so that a mask takes the place of a check; no index is ever beyond.

use std::{array::from_fn, ops::Index};

use super::{
    batch::{Batch, Fork, Inner, Twig},
    quadrature::Quadrature,
};
use crate::{matrix::FEATURES_MAX, row::Row};

/// By feature.
pub(super) type Values = [f64; FEATURES_MAX];

/// A number at each point of the quadrature. Aligned, so that none lies across two lines of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
struct Curve<const Q: usize>([f64; Q]);

impl<const Q: usize> Curve<Q> {
    #[inline(always)]
    fn from(number: impl FnMut(usize) -> f64) -> Self {
        Self(from_fn(number))
    }
}

impl<const Q: usize> Index<usize> for Curve<Q> {
    type Output = f64;

    #[inline(always)]
    fn index(&self, q: usize) -> &f64 {
        &self.0[q]
    }
}

/// What a split has for its feature; see the module above.
#[derive(Debug, Clone, Copy)]
struct Step<const Q: usize> {
    doubt: Curve<Q>,
    slope: Curve<Q>,
}

/// What is known of a slot. Both parts together: apart, a store to the one would have the same low address bits as a
/// load from the other, and the processor would wait for it.
#[derive(Debug, Clone, Copy)]
struct Cell<const Q: usize> {
    /// With what weight it enters the root.
    product: Curve<Q>,
    /// Its expected value.
    expected: Curve<Q>,
}

/// Scratch space for batches of at most `N` slots.
#[derive(Debug)]
pub(super) struct Walk<const Q: usize, const N: usize> {
    /// By slot.
    cells: Box<[Cell<Q>; N]>,
    /// By slot: 1 if the row goes right, else 0.
    goes_right: Box<[u8; N]>,
    /// By slot: 1 if the row follows all splits above on the same feature, else 0.
    follows: Box<[u8; N]>,
    /// The first for splits whose feature is not above, then one for each repeat.
    steps: Box<[Step<Q>; N]>,
    /// By feature: the derivative of the expected value.
    effects: [Curve<Q>; FEATURES_MAX],
}

/// Without a detour over the stack.
fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    let Ok(array) = vec![value; N].into_boxed_slice().try_into() else { unreachable!("it has N elements") };
    array
}

impl<const Q: usize, const N: usize> Walk<Q, N> {
    const REST: Curve<Q> = {
        let mut rest = [0.0; Q];
        let mut q = 0;
        while q < Q {
            rest[q] = 1.0 - Quadrature::<Q>::RULE.points[q];
            q += 1;
        }
        Curve(rest)
    };

    pub(super) fn new() -> Self {
        const { assert!(N.is_power_of_two()) };
        Self {
            cells: boxed(Cell { product: Curve([1.0; Q]), expected: Curve([0.0; Q]) }),
            goes_right: boxed(0),
            follows: boxed(1),
            steps: boxed(Step { doubt: Self::REST, slope: Curve([1.0; Q]) }),
            effects: [Curve([0.0; Q]); FEATURES_MAX],
        }
    }

    /// Adds the effects of the batches to the values.
    #[inline(always)]
    pub(super) fn add(mut self, batches: &[Batch], row: &Row, values: &mut Values) {
        for batch in batches {
            self.answer(batch, row);
            self.descend(batch);
            self.turn(batch);
            self.ascend(batch);
        }
        for (value, effect) in values.iter_mut().zip(&self.effects) {
            let weighted = Curve::<Q>::from(|q| effect[q] * Quadrature::<Q>::RULE.weights[q]);
            *value += weighted.0.chunks_exact(2).map(|pair| pair[0] + pair[1]).sum::<f64>();
        }
    }

    /// Where the row goes, and what follows from it for features that repeat.
    #[inline(always)]
    fn answer(&mut self, batch: &Batch, row: &Row) {
        let points = Quadrature::<Q>::RULE.points;
        for (question, goes_right) in batch.questions.iter().zip(self.goes_right.iter_mut()) {
            *goes_right = u8::from(!row.goes_left(question.slot, question.threshold));
        }
        self.follows[..batch.questions.len()].fill(1);
        for (repeat, step) in batch.repeats.iter().zip(&mut self.steps[1..]) {
            let above = usize::from(repeat.above) & (N - 1);
            let stays = u8::from(repeat.is_left) ^ self.goes_right[above];
            let follows = self.follows[above] & stays;
            self.follows[usize::from(repeat.slot) & (N - 1)] = follows;
            let follows = f64::from(follows);
            let unknown = Curve::<Q>::from(|q| repeat.share * Self::REST[q]);
            let inverse = Curve::<Q>::from(|q| 1.0 / (follows * points[q] + unknown[q]));
            let numerator = follows * repeat.share;
            step.doubt = Curve::from(|q| unknown[q] * inverse[q]);
            step.slope = Curve::from(|q| numerator * inverse[q] * inverse[q]);
        }
    }

    #[inline(always)]
    fn descend(&mut self, batch: &Batch) {
        for &root in &batch.roots {
            self.cells[usize::from(root) & (N - 1)].product = Curve([1.0; Q]);
        }
        for (slot, split) in batch.inner.iter().enumerate() {
            let slot = slot & (N - 1);
            let side = usize::from(self.goes_right[slot] & 1);
            let product = self.cells[slot].product;
            let doubt = self.steps[usize::from(split.repeat) & (N - 1)].doubt;
            let share = split.others[side];
            let other = Curve::<Q>::from(|q| product[q] * (doubt[q] * share));
            let [taken_slot, other_slot] = children::<N>(split, side);
            self.cells[taken_slot].product = Curve::from(|q| product[q] - other[q]);
            self.cells[other_slot].product = other;
        }
    }

    /// The splits where the way down becomes the way up.
    #[inline(always)]
    fn turn(&mut self, batch: &Batch) {
        let (forks, twigs) = (batch.inner.len(), batch.inner.len() + batch.forks.len());
        let leaves = twigs + batch.twigs.len();
        for (value, cell) in batch.leaves.iter().zip(&mut self.cells[leaves..]) {
            cell.expected = Curve([f64::from(*value); Q]);
        }
        let (parts, _) = self.goes_right[leaves + batch.leaves.len()..].as_chunks::<2>();
        let slots = self.goes_right[forks..].iter().zip(&mut self.cells[forks..]);
        for ((Fork { others, twigs, repeat, feature }, parts), (goes_right, cell)) in
            batch.forks.iter().zip(parts).zip(slots)
        {
            let product = cell.product;
            let side = usize::from(goes_right & 1);
            let step = &self.steps[usize::from(*repeat) & (N - 1)];
            let share = others[side];
            let other = Curve::<Q>::from(|q| product[q] * (step.doubt[q] * share));
            let taken = Curve::<Q>::from(|q| product[q] - other[q]);
            let mut twig = |side: usize, product: &Curve<Q>| {
                leaf(&self.steps, &mut self.effects, &twigs[side], parts[side], product)
            };
            let taken = twig(side, &taken);
            let other = twig(1 - side, &other);
            let difference = Curve::<Q>::from(|q| (taken[q] - other[q]) * share);
            let effect = &mut self.effects[usize::from(*feature) & (FEATURES_MAX - 1)];
            *effect = Curve::from(|q| effect[q] + product[q] * (step.slope[q] * difference[q]));
            cell.expected = Curve::from(|q| taken[q] - step.doubt[q] * difference[q]);
        }
        let slots = self.goes_right[twigs..].iter().zip(&mut self.cells[twigs..]);
        for (twig, (goes_right, cell)) in batch.twigs.iter().zip(slots) {
            cell.expected = leaf(&self.steps, &mut self.effects, twig, *goes_right, &cell.product);
        }
    }

    #[inline(always)]
    fn ascend(&mut self, batch: &Batch) {
        for (slot, split) in batch.inner.iter().enumerate().rev() {
            let slot = slot & (N - 1);
            let side = usize::from(self.goes_right[slot] & 1);
            let product = self.cells[slot].product;
            let step = &self.steps[usize::from(split.repeat) & (N - 1)];
            let share = split.others[side];
            let [taken, other] = children::<N>(split, side).map(|slot| self.cells[slot].expected);
            let difference = Curve::<Q>::from(|q| (taken[q] - other[q]) * share);
            let effect = &mut self.effects[usize::from(split.feature) & (FEATURES_MAX - 1)];
            *effect = Curve::from(|q| effect[q] + product[q] * (step.slope[q] * difference[q]));
            self.cells[slot].expected = Curve::from(|q| taken[q] - step.doubt[q] * difference[q]);
        }
    }
}

/// The expected value of a twig, its effect added.
#[inline(always)]
fn leaf<const Q: usize, const N: usize>(
    steps: &[Step<Q>; N],
    effects: &mut [Curve<Q>; FEATURES_MAX],
    twig: &Twig,
    goes_right: u8,
    product: &Curve<Q>,
) -> Curve<Q> {
    let side = usize::from(goes_right & 1);
    let step = &steps[usize::from(twig.repeat) & (N - 1)];
    let difference = twig.differences[side];
    let effect = &mut effects[usize::from(twig.feature) & (FEATURES_MAX - 1)];
    *effect = Curve::from(|q| effect[q] + product[q] * (step.slope[q] * difference));
    let taken = f64::from(twig.values[side]);
    Curve::from(|q| taken - step.doubt[q] * difference)
}

/// Slots of the child that the row takes and of the other.
#[inline(always)]
fn children<const N: usize>(split: &Inner, side: usize) -> [usize; 2] {
    [split.children[side], split.children[1 - side]].map(|slot| usize::from(slot) & (N - 1))
}
