//! Growing one tree: the best split of each node, depth first.
//!
//! A split's gain is G_l^2/(H_l+lambda) + G_r^2/(H_r+lambda) - G^2/(H+lambda) (Chen and Guestrin 2016, equation 7,
//! without the factor 1/2), G and H being sums of gradients and hessians. Monotone constraints as in XGBoost: a split
//! against the sign is none, and the middle of its two values bounds what grows below.

use crate::{matrix::FEATURES_MAX, random::Random, tree::Node};

use super::{
    Params,
    bins::Binned,
    histogram::{self, Histogram, Sums},
};

/// What a gain must exceed beyond gamma: rounding is no gain.
const GAIN_MIN: f64 = 1e-9;
/// How much better, relatively, a later candidate must be: cuts that divide the rows alike differ by rounding only,
/// and the first of them stays.
const TIE: f64 = 1.0 + 1e-12;
/// The share of a node's hessian below which its unknown values are rounding.
const MISSING_MIN: f64 = 1e-12;

/// A split that may be made.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    gain: f64,
    feature: usize,
    /// The last bin that goes left; the number of cuts if every known value does.
    bin: usize,
    missing_left: bool,
    /// Whether the node had unknown values, so that their direction was learnt.
    is_learnt: bool,
    left: Sums,
}

/// Where values must lie so that monotone constraints hold.
#[derive(Debug, Clone, Copy)]
struct Limits {
    low: f64,
    high: f64,
}

/// A node to be: its rows as a range of the row list, and the sums over them.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: usize,
    end: usize,
    sums: Sums,
    limits: Limits,
    depth: u8,
}

/// Grows trees over the same rows; keeps its buffers from tree to tree.
pub(super) struct Grower<'a> {
    binned: &'a Binned,
    params: &'a Params,
    /// Row numbers, ascending within each node.
    rows: Vec<u32>,
    /// Rows that go right, while a node is divided.
    right: Vec<u32>,
    gathered: Vec<Sums>,
    free: Vec<Histogram>,
    nodes: Vec<Node>,
    /// Which columns the current tree may use.
    columns: Vec<usize>,
}

impl<'a> Grower<'a> {
    pub(super) const fn new(binned: &'a Binned, params: &'a Params) -> Self {
        Self {
            binned,
            params,
            rows: Vec::new(),
            right: Vec::new(),
            gathered: Vec::new(),
            free: Vec::new(),
            nodes: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Grows a tree and adds its values to the scores of the rows.
    pub(super) fn grow(&mut self, gradients: &[Sums], scores: &mut [f64], random: &mut Random) -> Vec<Node> {
        self.choose_columns(random);
        self.nodes.clear();
        self.rows.clear();
        self.rows.extend(0u32..u32::try_from(self.binned.n_rows).unwrap_or(u32::MAX));
        let sums = gradients.iter().fold([0.0; 2], |sum: Sums, g| [sum[0] + g[0], sum[1] + g[1]]);
        let limits = Limits { low: f64::NEG_INFINITY, high: f64::INFINITY };
        let root = Part { start: 0, end: self.binned.n_rows, sums, limits, depth: 0 };
        let mut histogram = self.free.pop().unwrap_or_default();
        histogram::sum_all(self.binned, gradients, &mut histogram);
        self.node(root, Some(histogram), gradients, scores);
        std::mem::take(&mut self.nodes)
    }

    fn choose_columns(&mut self, random: &mut Random) {
        self.columns.clear();
        self.columns.extend(
            (0..self.binned.columns.len()).filter(|&column| self.binned.columns[column].place.is_some()),
        );
        if self.params.column_share < 1.0 && !self.columns.is_empty() {
            let wanted = column_count(self.columns.len(), self.params.column_share);
            for index in 0..wanted {
                let other = index + random.below(self.columns.len() - index);
                self.columns.swap(index, other);
            }
            self.columns.truncate(wanted);
            self.columns.sort_unstable();
        }
    }

    /// Grows the node and everything below it. Without a histogram it becomes a leaf.
    fn node(&mut self, part: Part, histogram: Option<Histogram>, gradients: &[Sums], scores: &mut [f64]) {
        let Some(mut histogram) = histogram else { return self.leaf(part, scores) };
        let Some(best) = self.best_split(&part, &histogram) else {
            self.free.push(histogram);
            return self.leaf(part, scores);
        };
        let (middle, missing_left) = self.divide(part, &best);
        if middle == part.start || middle == part.end {
            // What looked like rows on one side was rounding.
            self.free.push(histogram);
            return self.leaf(part, scores);
        }
        let (left, right) = self.children(part, &best, middle);
        let (mut left_histogram, mut right_histogram) = (None, None);
        if left.depth < self.params.depth && (self.may_split(&left) || self.may_split(&right)) {
            let is_left_smaller = middle - part.start <= part.end - middle;
            let smaller = if is_left_smaller { left } else { right };
            let mut small = self.free.pop().unwrap_or_default();
            let rows = &self.rows[smaller.start..smaller.end];
            histogram::sum_rows(self.binned, gradients, rows, &mut self.gathered, &mut small);
            histogram::subtract(&mut histogram, &small);
            (left_histogram, right_histogram) =
                if is_left_smaller { (Some(small), Some(histogram)) } else { (Some(histogram), Some(small)) };
        } else {
            self.free.push(histogram);
        }
        let column = &self.binned.columns[best.feature];
        let index = self.nodes.len();
        self.nodes.push(Node::Split {
            feature: feature_byte(best.feature),
            threshold: column.cuts.get(best.bin).copied().unwrap_or(f32::MAX),
            missing_left,
            gain: narrow(best.gain),
            right: 0,
            cover: (part.end - part.start) as u64,
        });
        self.node(left, left_histogram, gradients, scores);
        let behind = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        if let Node::Split { right, .. } = &mut self.nodes[index] {
            *right = behind;
        }
        self.node(right, right_histogram, gradients, scores);
    }

    fn leaf(&mut self, part: Part, scores: &mut [f64]) {
        let value = narrow(self.value(part.sums, part.limits) * self.params.rate);
        let rows = &self.rows[part.start..part.end];
        for &row in rows {
            scores[row as usize] += f64::from(value);
        }
        self.nodes.push(Node::Leaf { value, cover: u32::try_from(rows.len()).unwrap_or(u32::MAX) });
    }

    /// Whether both children of a node could reach the leaf limit.
    fn may_split(&self, part: &Part) -> bool {
        part.sums[1] >= 2.0 * self.params.min_hessian
    }

    /// Reorders the rows of a node, left ones first, both in ascending order. Where the left ones end, and where
    /// unknown values go.
    fn divide(&mut self, part: Part, best: &Candidate) -> (usize, bool) {
        let column = &self.binned.columns[best.feature];
        let Some((block, lane)) = column.place else { return (part.start, best.missing_left) };
        let block = &self.binned.blocks[block];
        let missing_bin = column.missing_bin();
        let rows = &mut self.rows[part.start..part.end];
        self.right.clear();
        let mut n_left = 0;
        for index in 0..rows.len() {
            let row = rows[index];
            let bin = block.bin(row as usize, lane);
            let is_left = if bin == missing_bin { best.missing_left } else { bin <= best.bin };
            if is_left {
                rows[n_left] = row;
                n_left += 1;
            } else {
                self.right.push(row);
            }
        }
        rows[n_left..].copy_from_slice(&self.right);
        // Where no unknown value was seen, they go with the larger child.
        let missing_left = if best.is_learnt { best.missing_left } else { n_left >= rows.len() - n_left };
        (part.start + n_left, missing_left)
    }

    fn children(&self, part: Part, best: &Candidate, middle: usize) -> (Part, Part) {
        let right_sums = [part.sums[0] - best.left[0], part.sums[1] - best.left[1]];
        let (mut left_limits, mut right_limits) = (part.limits, part.limits);
        let sign = self.sign(best.feature);
        // A split of unknown from known values is not constrained.
        if sign != 0 && best.bin < self.binned.columns[best.feature].cuts.len() {
            let middle = (self.value(best.left, part.limits) + self.value(right_sums, part.limits)) / 2.0;
            if sign > 0 {
                left_limits.high = middle;
                right_limits.low = middle;
            } else {
                left_limits.low = middle;
                right_limits.high = middle;
            }
        }
        let depth = part.depth + 1;
        (
            Part { end: middle, sums: best.left, limits: left_limits, depth, ..part },
            Part { start: middle, sums: right_sums, limits: right_limits, depth, ..part },
        )
    }

    fn sign(&self, feature: usize) -> i8 {
        self.params.monotone.get(feature).copied().unwrap_or(0)
    }

    /// The best value of a node, before the learning rate.
    fn value(&self, sums: Sums, limits: Limits) -> f64 {
        let weight = sums[1] + self.params.lambda;
        if weight > 0.0 { (-sums[0] / weight).clamp(limits.low, limits.high) } else { 0.0 }
    }

    /// How much a node with these sums lowers the loss by its value, twice.
    fn worth(&self, sums: Sums, limits: Limits) -> f64 {
        if limits.low == f64::NEG_INFINITY && limits.high == f64::INFINITY {
            return sums[0] * sums[0] / (sums[1] + self.params.lambda);
        }
        let value = self.value(sums, limits);
        -(2.0 * sums[0] * value + (sums[1] + self.params.lambda) * value * value)
    }

    fn best_split(&self, part: &Part, histogram: &Histogram) -> Option<Candidate> {
        if !self.may_split(part) {
            return None;
        }
        let own = self.worth(part.sums, part.limits);
        let mut best: Option<Candidate> = None;
        for &feature in &self.columns {
            self.scan(part, own, histogram, feature, &mut best);
        }
        best
    }

    /// Tries every cut of one feature.
    fn scan(
        &self,
        part: &Part,
        own: f64,
        histogram: &Histogram,
        feature: usize,
        best: &mut Option<Candidate>,
    ) {
        let column = &self.binned.columns[feature];
        let slots = &histogram[column.offset..column.offset + column.n_bins()];
        let missing = if column.has_missing { slots[column.missing_bin()] } else { [0.0; 2] };
        let is_learnt = missing[1] > MISSING_MIN * part.sums[1];
        let sign = self.sign(feature);
        let is_free = sign == 0 && part.limits.low == f64::NEG_INFINITY && part.limits.high == f64::INFINITY;
        let least = self.params.min_hessian;
        let lambda = self.params.lambda;
        let floor = self.params.gamma + GAIN_MIN;
        let mut bar = best.map_or(floor, |best| best.gain * TIE);
        let mut known: Sums = [0.0; 2];
        let n_cuts = column.cuts.len();
        // The last bin splits only unknown from known values.
        let last = if is_learnt { n_cuts + 1 } else { n_cuts };
        for (bin, slot) in slots.iter().enumerate().take(last) {
            if slot[1] == 0.0 && slot[0] == 0.0 {
                continue; // divides the rows as the cut before it
            }
            known[0] += slot[0];
            known[1] += slot[1];
            for missing_left in [false, true] {
                if missing_left && (!is_learnt || bin == n_cuts) {
                    continue;
                }
                let left = if missing_left { [known[0] + missing[0], known[1] + missing[1]] } else { known };
                let right = [part.sums[0] - left[0], part.sums[1] - left[1]];
                if left[1] < least || right[1] < least {
                    continue;
                }
                let gain = if is_free {
                    left[0] * left[0] / (left[1] + lambda) + right[0] * right[0] / (right[1] + lambda) - own
                } else {
                    if sign != 0 && bin < n_cuts {
                        let rise = self.value(right, part.limits) - self.value(left, part.limits);
                        if rise * f64::from(sign) < 0.0 {
                            continue;
                        }
                    }
                    self.worth(left, part.limits) + self.worth(right, part.limits) - own
                };
                if gain > bar {
                    bar = gain * TIE;
                    *best = Some(Candidate { gain, feature, bin, missing_left, is_learnt, left });
                }
            }
        }
    }
}

/// How many of `count` columns a tree may use, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most FEATURES_MAX, not negative"
)]
fn column_count(count: usize, share: f64) -> usize {
    ((count as f64 * share).round() as usize).clamp(1, count)
}

/// The nearest `f32`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to the nearest; what is too large is refused as infinite"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, reason = "features number at most FEATURES_MAX")]
const fn feature_byte(feature: usize) -> u8 {
    const { assert!(FEATURES_MAX <= 256) };
    feature as u8
}
