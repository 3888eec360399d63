//! What would have to be different for a row to pass: the smallest change of one or two features.
//!
//! A reason says what raised the score; this says what would lower it enough, in words such as "would pass if the
//! amount were at most 210". Trees are step functions: along one feature the logit changes only at thresholds, so all
//! values of a feature are tried exactly. One pass over the model does it for all features: another value of a feature leaves the
//! row's way down a tree at a split on that feature, so what is off that way is walked with the feature left open, and nothing else.
//!
//! One feature is tried before two. Among changes that suffice, the one that crosses the smallest share of its
//! feature's thresholds wins: thresholds lie where the training rows are, so this is a distance without units. What
//! comes out is checked on the model itself.
//!
//! Not here: whether a change is possible or wanted. The caller names the features that may change, and in which
//! direction.
//!
//! # Bounds
//! [`CHANGEABLE_MAX`] features, [`PASSES_MAX`] passes over the model, two changes. With many features the search for
//! two is therefore not exhaustive: the first change is one of those that lower the logit most. What it finds is right, but
//! there may be a smaller pair.

use crate::{
    matrix::FEATURES_MAX,
    model::Model,
    tree::{DEPTH_MAX, Node, Tree, goes_left},
};

/// Features that may change.
pub const CHANGEABLE_MAX: usize = 64;
/// Passes over the model for one answer.
pub const PASSES_MAX: usize = 48;
/// Values of the first feature of a pair that are tried.
const FIRST_VALUES_MAX: usize = 8;

/// In which direction a feature may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To smaller values only.
    Down,
    /// To any value.
    Either,
    /// To larger values only.
    Up,
}

/// A feature that may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changeable {
    /// Which feature.
    pub feature: usize,
    /// In which direction.
    pub direction: Direction,
}

/// A change of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Which feature.
    pub feature: usize,
    /// Its value.
    pub from: f32,
    /// The nearest value that suffices.
    pub to: f32,
    /// Every value above this suffices, up to `high`; minus infinity for no bound.
    pub low: f32,
    /// Every value up to this suffices, down to `low`; infinity for no bound.
    pub high: f32,
}

/// Changes after which the row is below the threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Counterfactual {
    /// One or two; none if the row is below the threshold as it is. The range of each holds with the other at `to`.
    pub changes: Vec<Change>,
    /// The logit after the changes.
    pub logit: f64,
}

/// A range (low, high] of one feature with one logit.
#[derive(Debug, Clone, Copy)]
struct Segment {
    low: f32,
    high: f32,
    logit: f64,
}

/// A value worth trying.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    to: f32,
    low: f32,
    high: f32,
    /// Thresholds crossed, as a share of the feature's.
    distance: f64,
    /// With this change alone.
    logit: f64,
}

/// Finds the smallest change that brings the logit below `threshold`. Unknown values are not changed.
///
/// # Panics
/// If the row does not have one value for each feature.
#[must_use]
pub fn counterfactual(
    model: &Model,
    row: &[f32],
    threshold: f64,
    changeable: &[Changeable],
) -> Option<Counterfactual> {
    let logit = model.logit(row);
    if logit < threshold {
        return Some(Counterfactual { changes: Vec::new(), logit });
    }
    let changeable: Vec<Changeable> = changeable
        .iter()
        .filter(|change| row.get(change.feature).is_some_and(|value| value.is_finite()))
        .take(CHANGEABLE_MAX)
        .copied()
        .collect();
    let profiles = profiles(model, row, &changeable);
    one(model, row, threshold, &changeable, &profiles)
        .or_else(|| two(model, row, threshold, &changeable, &profiles))
}

fn one(
    model: &Model,
    row: &[f32],
    threshold: f64,
    changeable: &[Changeable],
    profiles: &[Vec<Segment>],
) -> Option<Counterfactual> {
    let mut best: Option<(f64, Counterfactual)> = None;
    for (change, segments) in changeable.iter().zip(profiles) {
        let from = row[change.feature];
        let Some(candidate) = nearest_below(segments, from, change.direction, threshold) else { continue };
        if best.as_ref().is_some_and(|(distance, _)| *distance <= candidate.distance) {
            continue;
        }
        let mut changed = row.to_vec();
        changed[change.feature] = candidate.to;
        let logit = model.logit(&changed);
        // The profile adds in another order; the model has the last word.
        if logit < threshold {
            let Candidate { to, low, high, distance, .. } = candidate;
            let changes = vec![Change { feature: change.feature, from, to, low, high }];
            best = Some((distance, Counterfactual { changes, logit }));
        }
    }
    best.map(|(_, found)| found)
}

fn two(
    model: &Model,
    row: &[f32],
    threshold: f64,
    changeable: &[Changeable],
    profiles: &[Vec<Segment>],
) -> Option<Counterfactual> {
    let mut firsts: Vec<(Changeable, Candidate)> = Vec::new();
    for (first, segments) in changeable.iter().zip(profiles) {
        let candidates = falling(segments, row[first.feature], first.direction);
        firsts.extend(candidates.into_iter().map(|candidate| (*first, candidate)));
    }
    firsts.sort_by(|a, b| a.1.logit.total_cmp(&b.1.logit)); // stable
    // The first pass was over the row itself, the last two are over what is found.
    firsts.truncate(PASSES_MAX - 3);
    let mut best: Option<(f64, [usize; 2], Vec<f32>)> = None;
    for (first, candidate) in firsts {
        let mut changed = row.to_vec();
        changed[first.feature] = candidate.to;
        let seconds: Vec<Changeable> =
            changeable.iter().filter(|second| second.feature != first.feature).copied().collect();
        for (second, segments) in seconds.iter().zip(&self::profiles(model, &changed, &seconds)) {
            let from = row[second.feature];
            let Some(found) = nearest_below(segments, from, second.direction, threshold) else {
                continue;
            };
            let distance = candidate.distance + found.distance;
            if best.as_ref().is_some_and(|(least, ..)| *least <= distance) {
                continue;
            }
            let mut both = changed.clone();
            both[second.feature] = found.to;
            if model.logit(&both) < threshold {
                best = Some((distance, [first.feature, second.feature], both));
            }
        }
    }
    let (_, features, both) = best?;
    // The range of each with the other changed.
    let mut changes = Vec::with_capacity(2);
    for feature in features {
        let open = [Changeable { feature, direction: Direction::Either }];
        let profile = self::profiles(model, &both, &open);
        let (low, high) = around(profile.first()?, both[feature], threshold)?;
        changes.push(Change { feature, from: row[feature], to: both[feature], low, high });
    }
    Some(Counterfactual { changes, logit: model.logit(&both) })
}

/// Of one feature: the logit at minus infinity, and where it changes by how much.
#[derive(Debug, Clone)]
struct Steps {
    start: f64,
    steps: Vec<(f32, f64)>,
}

impl Steps {
    /// Within a range the logit is higher by so much.
    fn add(&mut self, (low, high): (f32, f32), more: f64) {
        if low == f32::NEG_INFINITY {
            self.start += more;
        } else {
            self.steps.push((low, more));
        }
        if high < f32::INFINITY {
            self.steps.push((high, -more));
        }
    }

    /// From the lowest value to the highest.
    fn segments(mut self) -> Vec<Segment> {
        self.steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut segments = vec![Segment { low: f32::NEG_INFINITY, high: f32::INFINITY, logit: self.start }];
        for (at, change) in self.steps {
            let last = segments.len() - 1;
            let logit = segments[last].logit + change;
            if segments[last].low == at {
                segments[last].logit = logit;
            } else {
                segments[last].high = at;
                segments.push(Segment { low: at, high: f32::INFINITY, logit });
            }
        }
        segments
    }
}

/// A split on the row's way down: where it stands, its feature and threshold, and whether the row goes left.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    feature: usize,
    threshold: f32,
    is_left: bool,
    /// The child the row does not go to.
    other: usize,
}

/// The logit for every value of each of these features, whose values are known, from the lowest; each with the others as
/// they are.
fn profiles(model: &Model, row: &[f32], changeable: &[Changeable]) -> Vec<Vec<Segment>> {
    let mut places = [usize::MAX; FEATURES_MAX];
    for (place, change) in changeable.iter().enumerate() {
        places[change.feature] = place;
    }
    let logit = model.logit(row);
    let mut all = vec![Steps { start: logit, steps: Vec::new() }; changeable.len()];
    for tree in model.trees() {
        let mut way = [Passed::default(); DEPTH_MAX as usize];
        let mut length = 0;
        let mut at = 0;
        let here = loop {
            match tree.nodes()[at] {
                Node::Leaf { value, .. } => break f64::from(value),
                Node::Split { feature, threshold, missing_left, right, .. } => {
                    let feature = usize::from(feature);
                    let is_left = goes_left(row[feature], threshold, missing_left);
                    let (next, other) =
                        if is_left { (at + 1, right as usize) } else { (right as usize, at + 1) };
                    way[length] = Passed { feature, threshold, is_left, other };
                    length += 1;
                    at = next;
                }
            }
        };
        for (index, passed) in way[..length].iter().enumerate() {
            let Some(steps) = all.get_mut(places[passed.feature]) else { continue };
            // Where the splits above on the same feature let the row come here.
            let (mut low, mut high) = (f32::NEG_INFINITY, f32::INFINITY);
            for above in way[..index].iter().filter(|above| above.feature == passed.feature) {
                if above.is_left {
                    high = high.min(above.threshold);
                } else {
                    low = low.max(above.threshold);
                }
            }
            let range = if passed.is_left {
                (low.max(passed.threshold), high)
            } else {
                (low, high.min(passed.threshold))
            };
            if range.0 < range.1 {
                open(tree, passed.other, row, passed.feature, range, here, steps);
            }
        }
    }
    all.into_iter().map(Steps::segments).collect()
}

/// Adds what a subtree gives instead of `here` when one feature is anywhere in a range.
fn open(
    tree: &Tree,
    at: usize,
    row: &[f32],
    feature: usize,
    (low, high): (f32, f32),
    here: f64,
    steps: &mut Steps,
) {
    match tree.nodes()[at] {
        Node::Leaf { value, .. } => steps.add((low, high), f64::from(value) - here),
        Node::Split { feature: own, threshold, missing_left, right, .. } => {
            if usize::from(own) == feature {
                if low < threshold {
                    open(tree, at + 1, row, feature, (low, high.min(threshold)), here, steps);
                }
                if threshold < high {
                    open(tree, right as usize, row, feature, (low.max(threshold), high), here, steps);
                }
            } else {
                let is_left = goes_left(row[usize::from(own)], threshold, missing_left);
                let next = if is_left { at + 1 } else { right as usize };
                open(tree, next, row, feature, (low, high), here, steps);
            }
        }
    }
}

/// Which segment a value lies in.
fn position(segments: &[Segment], value: f32) -> usize {
    segments.partition_point(|segment| segment.high < value).min(segments.len() - 1)
}

/// The value of a segment nearest to what it is now: its upper end from above, just above its lower end from below.
fn nearest_value(segments: &[Segment], from: usize, to: usize) -> f32 {
    if to < from { segments[to].high } else { segments[to].low.next_up() }
}

/// Segments in one direction, nearest first.
fn outward(count: usize, from: usize, direction: Direction) -> impl Iterator<Item = usize> {
    let is_allowed = move |to: usize| match direction {
        Direction::Down => to < from,
        Direction::Either => true,
        Direction::Up => to > from,
    };
    (1..count)
        .flat_map(move |step| [from.checked_sub(step), Some(from + step).filter(|to| *to < count)])
        .flatten()
        .filter(move |to| is_allowed(*to))
}

fn distance(count: usize, from: usize, to: usize) -> f64 {
    from.abs_diff(to) as f64 / count as f64
}

/// The nearest values with a logit below the threshold.
fn nearest_below(
    segments: &[Segment],
    value: f32,
    direction: Direction,
    threshold: f64,
) -> Option<Candidate> {
    let from = position(segments, value);
    let to = outward(segments.len(), from, direction).find(|&to| segments[to].logit < threshold)?;
    let nearest = nearest_value(segments, from, to);
    let (low, high) = around(segments, nearest, threshold)?;
    let distance = distance(segments.len(), from, to);
    Some(Candidate { to: nearest, low, high, distance, logit: segments[to].logit })
}

/// The range around a value in which every logit is below the threshold.
fn around(segments: &[Segment], value: f32, threshold: f64) -> Option<(f32, f32)> {
    let at = position(segments, value);
    let is_below = |segment: &&Segment| segment.logit < threshold;
    let low = segments[..=at].iter().rev().take_while(is_below).last()?.low;
    let high = segments[at..].iter().take_while(is_below).last()?.high;
    Some((low, high))
}

/// Values each of which lowers the logit more than all nearer ones; the ones that lower it most.
fn falling(segments: &[Segment], value: f32, direction: Direction) -> Vec<Candidate> {
    let from = position(segments, value);
    let mut least = segments[from].logit;
    let mut found = Vec::new();
    for to in outward(segments.len(), from, direction) {
        if segments[to].logit < least {
            least = segments[to].logit;
            found.push(Candidate {
                to: nearest_value(segments, from, to),
                low: segments[to].low,
                high: segments[to].high,
                distance: distance(segments.len(), from, to),
                logit: least,
            });
        }
    }
    found.drain(..found.len().saturating_sub(FIRST_VALUES_MAX));
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        gbdt::{Params, train},
        matrix::{FeatureNames, Matrix},
        random::Random,
    };

    const BOTH: [Changeable; 2] = [
        Changeable { feature: 0, direction: Direction::Either },
        Changeable { feature: 1, direction: Direction::Either },
    ];

    /// Trained on rows that are positive if the rule says so.
    fn model(seed: u64, rule: impl Fn(f64, f64) -> bool) -> Model {
        let mut random = Random::new(seed);
        let mut rows = Matrix::new(FeatureNames::new(["amount", "age"]).unwrap());
        let mut labels = Vec::new();
        for _ in 0..600 {
            let (amount, age) = (random.unit() * 300.0, random.unit() * 50.0);
            rows.push_f64(&[amount, age]).unwrap();
            labels.push(rule(amount, age));
        }
        let params = Params { trees: 20, depth: 3, rate: 0.3, lambda: 1.0, bins: 64, ..Params::default() };
        train(&rows, &labels, None, None, &params).unwrap()
    }

    #[test]
    fn one_change_is_found_and_is_the_rule() {
        let model = model(1, |amount, _| amount > 220.0);
        let found = counterfactual(&model, &[280.0, 10.0], 0.0, &BOTH).unwrap();
        let [change] = found.changes[..] else { panic!("{found:?}") };
        assert_eq!((change.feature, change.from), (0, 280.0));
        assert!((210.0..225.0).contains(&change.to) && change.high == change.to, "{change:?}");
        assert_eq!(change.low, f32::NEG_INFINITY);
        assert!(found.logit < 0.0);
    }

    #[test]
    fn two_changes_where_one_is_not_enough() {
        let model = model(2, |amount, age| amount > 150.0 || age < 20.0);
        let found = counterfactual(&model, &[250.0, 5.0], 0.0, &BOTH).unwrap();
        assert_eq!(found.changes.len(), 2, "{found:?}");
        for change in &found.changes {
            match change.feature {
                0 => assert!((130.0..155.0).contains(&change.to), "{change:?}"),
                _ => assert!((18.0..25.0).contains(&change.to), "{change:?}"),
            }
        }
        // Not in a direction that is not allowed, and not with only one of them.
        let up = [Changeable { feature: 0, direction: Direction::Up }, BOTH[1]];
        assert_eq!(counterfactual(&model, &[250.0, 5.0], 0.0, &up), None);
        assert_eq!(counterfactual(&model, &[250.0, 5.0], 0.0, &BOTH[..1]), None);
        assert_eq!(counterfactual(&model, &[250.0, f32::NAN], -3.0, &BOTH[1..]), None);
    }

    /// Every segment is what the model says at its ends, of models that know unknown values too.
    #[test]
    fn profiles_are_the_model_along_each_feature() {
        let model = model(4, |amount, age| amount > 150.0 || age < 20.0 || (amount > 40.0 && age > 45.0));
        for row in [[250.0f32, 5.0], [0.0, 50.0], [151.0, 21.0]] {
            for (feature, segments) in profiles(&model, &row, &BOTH).iter().enumerate() {
                assert!(segments.len() > 5, "{segments:?}");
                assert_eq!(segments[0].low, f32::NEG_INFINITY);
                assert!(
                    segments.windows(2).all(|pair| pair[0].high == pair[1].low && pair[0].low < pair[0].high)
                );
                for segment in segments {
                    for value in [segment.low.next_up(), segment.high] {
                        let mut changed = row;
                        changed[feature] = value;
                        assert!(
                            (model.logit(&changed) - segment.logit).abs() < 1e-9,
                            "{feature} {segment:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_that_passes_needs_no_change() {
        let model = model(3, |amount, _| amount > 220.0);
        assert_eq!(counterfactual(&model, &[10.0, 10.0], 0.0, &BOTH).unwrap().changes, []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_is_promised_holds(
            seed in 0u64..6,
            amount in 0.0f32..300.0,
            age in 0.0f32..50.0,
            threshold in -4.0f64..1.0,
            shares in prop::collection::vec(0.0f32..=1.0, 8),
        ) {
            let model = model(seed, |amount, age| amount > 200.0 || (age < 10.0 && amount > 50.0));
            let row = [amount, age];
            let Some(found) = counterfactual(&model, &row, threshold, &BOTH) else {
                // Then no single value of either feature suffices.
                for step in -10i16..320 {
                    prop_assert!(model.logit(&[f32::from(step), age]) >= threshold);
                    prop_assert!(model.logit(&[amount, f32::from(step)]) >= threshold);
                }
                return Ok(());
            };
            let mut changed = row;
            found.changes.iter().for_each(|change| changed[change.feature] = change.to);
            prop_assert_eq!(model.logit(&changed).to_bits(), found.logit.to_bits());
            prop_assert!(found.logit < threshold);
            for change in &found.changes {
                // Anywhere in the stated range is enough as well.
                let (low, high) = (change.low.max(-1e3), change.high.min(1e3));
                for share in &shares {
                    let value = (low + (high - low) * share).max(low.next_up()).min(high);
                    let mut other = changed;
                    other[change.feature] = value;
                    prop_assert!(model.logit(&other) < threshold + 1e-9);
                }
                // Just beyond the near end is not.
                let beyond = if change.to < change.from { change.to.next_up() } else { change.low };
                let mut other = changed;
                other[change.feature] = beyond;
                prop_assert!(model.logit(&other) >= threshold - 1e-9 || found.changes.len() == 2);
            }
        }
    }
}
