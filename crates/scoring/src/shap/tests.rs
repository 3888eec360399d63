use proptest::prelude::*;

use super::{quadrature::Quadrature, *};
use crate::{
    matrix::FeatureNames,
    random::Random,
    tree::{DEPTH_MAX, goes_left},
};

/// The expected value of a tree when only the features of `known` follow the row.
fn conditional(tree: &Tree, at: usize, row: &[f32], known: u32) -> f64 {
    match tree.nodes()[at] {
        Node::Leaf { value, .. } => f64::from(value),
        Node::Split { feature, threshold, missing_left, right, cover, .. } => {
            let right = right as usize;
            if known & (1 << feature) != 0 {
                let is_left = goes_left(row[usize::from(feature)], threshold, missing_left);
                return conditional(tree, if is_left { at + 1 } else { right }, row, known);
            }
            let share = |child: usize| tree.nodes()[child].cover() as f64 / cover as f64;
            share(at + 1) * conditional(tree, at + 1, row, known)
                + share(right) * conditional(tree, right, row, known)
        }
    }
}

/// Shapley values by their definition: every coalition of features.
fn brute_force(model: &Model, row: &[f32]) -> Explanation {
    let m = model.features().len();
    let worth: Vec<f64> = (0..1u32 << m)
        .map(|known| {
            model.base_logit()
                + model.trees().iter().map(|tree| conditional(tree, 0, row, known)).sum::<f64>()
        })
        .collect();
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    let n = u32::try_from(m).unwrap();
    let values = (0..m)
        .map(|feature| {
            (0..1usize << m)
                .filter(|known| known & (1 << feature) == 0)
                .map(|known| {
                    let size = known.count_ones();
                    let weight = factorial(size) * factorial(n - 1 - size) / factorial(n);
                    weight * (worth[known | (1 << feature)] - worth[known])
                })
                .sum()
        })
        .collect();
    Explanation { base: worth[0], values }
}

/// Builds a random tree from a stream of choices, deep enough that features repeat on a path.
fn grow(choices: &mut impl Iterator<Item = u32>, n_features: u8, level: u8, nodes: &mut Vec<Node>) -> u64 {
    let choice = choices.next().unwrap_or(0);
    if level == DEPTH_MAX || choice.is_multiple_of(4) {
        let cover = 1 + choice / 7 % 50;
        nodes.push(Node::Leaf { value: f32::from(u8::try_from(choice % 200).unwrap()) / 50.0 - 2.0, cover });
        return u64::from(cover);
    }
    let at = nodes.len();
    nodes.push(Node::Leaf { value: 0.0, cover: 1 });
    let left = grow(choices, n_features, level + 1, nodes);
    let right = u32::try_from(nodes.len()).unwrap();
    let cover = left + grow(choices, n_features, level + 1, nodes);
    nodes[at] = Node::Split {
        feature: u8::try_from(choice / 4 % u32::from(n_features)).unwrap(),
        threshold: f32::from(u8::try_from(choice / 64 % 16).unwrap()) / 16.0,
        missing_left: (choice / 1_024).is_multiple_of(2),
        gain: 1.0,
        right,
        cover,
    };
    cover
}

prop_compose! {
    fn any_model()(
        n_features in 1u8..9,
        trees in prop::collection::vec(prop::collection::vec(any::<u32>(), 1..120), 1..4),
        base_logit in -1.0f64..1.0,
    ) -> Model {
        let trees = trees
            .into_iter()
            .map(|choices| {
                let mut nodes = Vec::new();
                grow(&mut choices.into_iter(), n_features, 0, &mut nodes);
                Tree::new(nodes, usize::from(n_features)).unwrap()
            })
            .collect();
        let names = FeatureNames::new((0..n_features).map(|n| format!("x{n}"))).unwrap();
        Model::new(names, base_logit, trees).unwrap()
    }
}

fn any_row() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![5 => -0.1f32..1.1, 1 => Just(f32::NAN)], 12)
}

fn close(model: &Model, row: &[f32]) -> Result<(), TestCaseError> {
    let ours = explain(model, row);
    let truth = brute_force(model, row);
    prop_assert!((ours.base - truth.base).abs() <= 1e-9);
    for (ours, truth) in ours.values.iter().zip(&truth.values) {
        prop_assert!((ours - truth).abs() <= 1e-9, "{} instead of {}", ours, truth);
    }
    prop_assert!((ours.logit() - model.logit(row)).abs() <= 1e-9);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn values_are_shapley_values(model in any_model(), row in any_row()) {
        close(&model, &row[..model.features().len()])?;
    }
}

/// Twelve different features on one path, the most there can be: a chain.
#[test]
fn the_longest_path_is_exact() {
    let names = FeatureNames::new((0..12).map(|n| format!("x{n}"))).unwrap();
    let mut nodes = Vec::new();
    for level in 0..12u8 {
        let cover = 13 - u64::from(level);
        // Left is a leaf, right goes on.
        let right = 2 * u32::from(level) + 2;
        nodes.push(Node::Split {
            feature: level,
            threshold: 0.5,
            missing_left: false,
            gain: 0.0,
            right,
            cover,
        });
        nodes.push(Node::Leaf { value: f32::from(level), cover: 1 });
    }
    nodes.push(Node::Leaf { value: -20.0, cover: 1 });
    let model = Model::new(names, 0.0, vec![Tree::new(nodes, 12).unwrap()]).unwrap();
    close(&model, &[1.0; 12]).unwrap();
    close(&model, &[0.0; 12]).unwrap();
    let mut row = [1.0; 12];
    row[7] = 0.0;
    row[11] = f32::NAN;
    close(&model, &row).unwrap();
}

/// A tree that is full down to `depth`, with features, thresholds, values and covers drawn from a seed.
fn full_tree(seed: u64, n_features: u8, depth: u8) -> Tree {
    fn grow(random: &mut Random, n_features: u8, depth: u8, nodes: &mut Vec<Node>) -> u64 {
        let byte = |random: &mut Random, below: u8| u8::try_from(random.below(usize::from(below))).unwrap();
        if depth == 0 {
            let cover = 1 + u32::from(byte(random, 50));
            nodes.push(Node::Leaf { value: f32::from(byte(random, 200)) / 50.0 - 2.0, cover });
            return u64::from(cover);
        }
        let at = nodes.len();
        nodes.push(Node::Leaf { value: 0.0, cover: 1 });
        let (feature, threshold) = (byte(random, n_features), f32::from(byte(random, 16)) / 16.0);
        let left = grow(random, n_features, depth - 1, nodes);
        let right = u32::try_from(nodes.len()).unwrap();
        let cover = left + grow(random, n_features, depth - 1, nodes);
        nodes[at] = Node::Split {
            feature,
            threshold,
            missing_left: depth.is_multiple_of(2),
            gain: 1.0,
            right,
            cover,
        };
        cover
    }
    let mut nodes = Vec::new();
    grow(&mut Random::new(seed), n_features, depth, &mut nodes);
    Tree::new(nodes, usize::from(n_features)).unwrap()
}

/// Trees of every size, so that batches of all kinds occur, several of some, and one slot less would not do.
#[test]
fn every_kind_of_batch_is_exact() {
    let names = FeatureNames::new((0..9).map(|n| format!("x{n}"))).unwrap();
    let mut trees: Vec<Tree> =
        [(1, 9, 12), (2, 2, 12), (3, 9, 8), (4, 9, 8), (5, 3, 8), (6, 7, 9), (7, 4, 10), (8, 7, 12)]
            .map(|(seed, n_features, depth)| full_tree(seed, n_features, depth))
            .into();
    trees.extend((0..60u8).map(|seed| full_tree(u64::from(seed) + 10, 9, seed % 6)));
    let [short, middle, long] = batch::sort(&trees);
    let batches = [
        batch::batches::<2>(short).map(|batches| batches.len()),
        batch::batches::<4>(middle).map(|batches| batches.len()),
        batch::batches::<6>(long).map(|batches| batches.len()),
    ];
    let [[short, short_large], [middle, middle_large], [_, long_large]] = batches;
    assert!(short > 1 && middle > 1 && short_large > 0 && middle_large > 0 && long_large > 0, "{batches:?}");
    let model = Model::new(names, 0.25, trees).unwrap();
    for row in [[0.1; 9], [0.9; 9], [0.0, 0.9, 0.2, 0.8, f32::NAN, 0.7, 0.4, 0.6, 0.5]] {
        close(&model, &row).unwrap();
        // The least vectors any processor has and the most this one has.
        let explainer = Explainer::new(&model);
        let [least, most] = [Level::baseline(), Level::new()].map(|level| explainer.explain_at(level, &row));
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&least.values), bits(&most.values));
    }
}

#[test]
fn quadratures_are_exact_up_to_their_degree() {
    fn check<const Q: usize>() {
        let quadrature = Quadrature::<Q>::RULE;
        for degree in 0..2 * Q {
            let sum: f64 = (0..Q)
                .map(|q| quadrature.weights[q] * quadrature.points[q].powi(i32::try_from(degree).unwrap()))
                .sum();
            assert!((sum - 1.0 / (degree as f64 + 1.0)).abs() < 1e-15, "{Q} points, degree {degree}");
        }
    }
    check::<2>();
    check::<4>();
    check::<6>();
}

#[test]
fn reasons_are_what_raised_the_score() {
    let explanation = Explanation { base: 0.0, values: vec![0.5, -1.0, 2.0, 0.0, 0.5] };
    assert_eq!(explanation.raising(3), [(2, 2.0), (0, 0.5), (4, 0.5)]);
    assert_eq!(explanation.raising(1), [(2, 2.0)]);
}
