//! One row through a batch: down for the products, up for the expected values and their derivatives.
//!
//! No branch depends on the row: guessing those wrong would cost more than all the arithmetic. All sizes are powers of two
//! that the compiler knows, so that a mask takes the place of a check; no index is ever beyond.

use std::{array::from_fn, ops::Index};

use super::{
    batch::{ASKED, Batch, Curve, Kind, Run, Shape, Step},
    quadrature::Quadrature,
};
use crate::matrix::FEATURES_MAX;

/// By feature.
pub(super) type Values = [f64; FEATURES_MAX];

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

/// A row on its way.
#[derive(Debug)]
pub(super) struct Walk<'s, const Q: usize, const N: usize> {
    /// By slot: on the way down with what weight it enters the root, on the way up its expected value.
    cells: &'s mut [Curve<Q>; N],
    /// By slot: what the row's answer adds to the share of the near child, if its feature is known; of twigs, times the
    /// gain. 0 if the row does not follow all splits above on the same feature.
    deltas: &'s mut [f64; N],
    /// By feature: the derivative of the expected value.
    effects: [Curve<Q>; FEATURES_MAX],
}

impl<'s, const Q: usize, const N: usize> Walk<'s, Q, N> {
    pub(super) fn new(cells: &'s mut [Curve<Q>; N], deltas: &'s mut [f64; N]) -> Self {
        const { assert!(N.is_power_of_two()) };
        Self { cells, deltas, effects: [Curve([0.0; Q]); FEATURES_MAX] }
    }

    /// Adds the effects of the batches to the values.
    #[inline(always)]
    pub(super) fn add(mut self, batches: &[Batch<Q>], row: &[f32; ASKED], values: &mut Values) {
        for batch in batches {
            self.answer(batch, row);
            self.descend(batch);
            self.ascend(batch);
        }
        for (value, effect) in values.iter_mut().zip(&self.effects) {
            *value += effect.0.chunks_exact(2).map(|pair| pair[0] + pair[1]).sum::<f64>();
        }
    }

    /// Where the row goes.
    #[inline(always)]
    fn answer(&mut self, batch: &Batch<Q>, row: &[f32; ASKED]) {
        let questions = batch.asked.iter().zip(&batch.thresholds).zip(&batch.shares);
        let (inner, twigs) =
            self.deltas[..batch.shares.len()].split_at_mut(batch.shares.len() - batch.gains.len());
        for (((asked, threshold), share), delta) in questions.clone().zip(&mut *inner) {
            let is_near = row[usize::from(*asked) & (ASKED - 1)] <= *threshold;
            *delta = f64::from(if is_near { 1.0_f32 } else { 0.0 }) - share;
        }
        for ((((asked, threshold), share), gain), delta) in
            questions.skip(inner.len()).zip(&batch.gains).zip(twigs)
        {
            let is_near = row[usize::from(*asked) & (ASKED - 1)] <= *threshold;
            *delta = if is_near { *gain } else { 0.0 } - share;
        }
        for repeat in &batch.repeats {
            let follows = self.deltas[usize::from(repeat.above) & (N - 1)] * f64::from(repeat.sign) > 0.0;
            self.deltas[usize::from(repeat.slot) & (N - 1)] *= f64::from(u8::from(follows));
        }
    }

    #[inline(always)]
    fn descend(&mut self, batch: &Batch<Q>) {
        for &root in &batch.roots {
            self.cells[usize::from(root) & (N - 1)] = Curve(Quadrature::<Q>::RULE.weights);
        }
        for run in &batch.runs {
            let Kind { shape, is_repeat } = run.kind;
            let first = std::iter::repeat(Step::FIRST);
            let again = || batch.steps[run.step..].iter().copied();
            match (shape, is_repeat) {
                (Shape::Both, false) => self.descend_both(batch, run, first),
                (Shape::Both, true) => self.descend_both(batch, run, again()),
                (Shape::One, false) => self.descend_one(batch, run, first),
                (Shape::One, true) => self.descend_one(batch, run, again()),
                (Shape::Twig, _) => {}
            }
        }
    }

    #[inline(always)]
    fn descend_both(&mut self, batch: &Batch<Q>, run: &Run, steps: impl Iterator<Item = Step<Q>>) {
        let range = run.first..run.first + run.len;
        let shares = batch.shares[range.clone()].iter().zip(&self.deltas[range.clone()]);
        for ((((share, delta), children), step), slot) in
            shares.zip(&batch.both[run.own..]).zip(steps).zip(range)
        {
            let product = self.cells[slot & (N - 1)];
            let near = Curve::<Q>::from(|q| product[q] * step.known[q].mul_add(*delta, *share));
            self.cells[usize::from(children[0]) & (N - 1)] = near;
            self.cells[usize::from(children[1]) & (N - 1)] = Curve::from(|q| product[q] - near[q]);
        }
    }

    #[inline(always)]
    fn descend_one(&mut self, batch: &Batch<Q>, run: &Run, steps: impl Iterator<Item = Step<Q>>) {
        let range = run.first..run.first + run.len;
        let shares = batch.shares[range.clone()].iter().zip(&self.deltas[range.clone()]);
        for ((((share, delta), near), step), slot) in shares.zip(&batch.near[run.own..]).zip(steps).zip(range)
        {
            let product = self.cells[slot & (N - 1)];
            self.cells[usize::from(*near) & (N - 1)] =
                Curve::<Q>::from(|q| product[q] * step.known[q].mul_add(*delta, *share));
        }
    }

    #[inline(always)]
    fn ascend(&mut self, batch: &Batch<Q>) {
        for run in batch.runs.iter().rev() {
            let Kind { shape, is_repeat } = run.kind;
            let first = std::iter::repeat(Step::FIRST);
            let again = || batch.steps[run.step..].iter().copied();
            match (shape, is_repeat) {
                (Shape::Both, false) => self.ascend_both(batch, run, first),
                (Shape::Both, true) => self.ascend_both(batch, run, again()),
                (Shape::One, false) => self.ascend_one(batch, run, first),
                (Shape::One, true) => self.ascend_one(batch, run, again()),
                (Shape::Twig, false) => self.turn(batch, run, first),
                (Shape::Twig, true) => self.turn(batch, run, again()),
            }
        }
    }

    #[inline(always)]
    fn ascend_both(&mut self, batch: &Batch<Q>, run: &Run, steps: impl Iterator<Item = Step<Q>>) {
        let range = run.first..run.first + run.len;
        let shares = batch.shares[range.clone()].iter().zip(&self.deltas[range.clone()]);
        let shares = shares.zip(&batch.asked[range.clone()]);
        for (((((share, delta), asked), children), step), slot) in
            shares.zip(&batch.both[run.own..]).zip(steps).zip(range)
        {
            let [near, far] = children.map(|child| self.cells[usize::from(child) & (N - 1)]);
            let difference = Curve::<Q>::from(|q| near[q] - far[q]);
            let cell = &mut self.cells[slot & (N - 1)];
            add(&mut self.effects, *asked, *delta, &Curve::from(|q| cell[q] * difference[q] * step.slope[q]));
            *cell = Curve::from(|q| step.known[q].mul_add(*delta, *share).mul_add(difference[q], far[q]));
        }
    }

    #[inline(always)]
    fn ascend_one(&mut self, batch: &Batch<Q>, run: &Run, steps: impl Iterator<Item = Step<Q>>) {
        let range = run.first..run.first + run.len;
        let shares = batch.shares[range.clone()].iter().zip(&self.deltas[range.clone()]);
        let shares = shares.zip(&batch.asked[range.clone()]);
        let children = batch.near[run.own..].iter().zip(&batch.far[run.own..]);
        for (((((share, delta), asked), (near, far)), step), slot) in
            shares.zip(children).zip(steps).zip(range)
        {
            let near = self.cells[usize::from(*near) & (N - 1)];
            let difference = Curve::<Q>::from(|q| near[q] - far);
            let cell = &mut self.cells[slot & (N - 1)];
            add(&mut self.effects, *asked, *delta, &Curve::from(|q| cell[q] * difference[q] * step.slope[q]));
            *cell = Curve::from(|q| step.known[q].mul_add(*delta, *share).mul_add(difference[q], *far));
        }
    }

    /// Twigs, where the way down becomes the way up.
    #[inline(always)]
    fn turn(&mut self, batch: &Batch<Q>, run: &Run, steps: impl Iterator<Item = Step<Q>>) {
        let range = run.first..run.first + run.len;
        let twigs = batch.means[run.own..].iter().zip(&batch.asked[range.clone()]);
        let cells = self.cells[range.clone()].iter_mut().zip(&self.deltas[range]);
        for (((mean, asked), step), (cell, delta)) in twigs.zip(steps).zip(cells) {
            add(&mut self.effects, *asked, *delta, &Curve::from(|q| cell[q] * step.slope[q]));
            *cell = Curve::from(|q| step.known[q].mul_add(*delta, *mean));
        }
    }
}

/// Adds `delta` times the curve to the effect of the feature that is asked for.
#[inline(always)]
fn add<const Q: usize>(effects: &mut [Curve<Q>; FEATURES_MAX], asked: u16, delta: f64, curve: &Curve<Q>) {
    let effect = &mut effects[usize::from(asked) & (FEATURES_MAX - 1)];
    *effect = Curve::from(|q| curve[q].mul_add(delta, effect[q]));
}
