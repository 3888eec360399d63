use proptest::prelude::*;

use super::*;
use crate::{
    matrix::{FeatureNames, quantise},
    tree::Node,
};

/// A made-up population: `x0` is an amount, `x1` a small count, `x2` noise, `x3` sometimes unknown.
fn population(seed: u64, n: usize) -> (Matrix, Vec<bool>) {
    let mut random = Random::new(seed);
    let mut rows = Matrix::new(FeatureNames::new(["x0", "x1", "x2", "x3"]).unwrap());
    let mut labels = Vec::new();
    for _ in 0..n {
        let amount = random.unit() * 300.0;
        let count = random.below(6) as f64;
        let noise = random.unit();
        let unknown = random.unit() < 0.3;
        let x3 = if unknown { f64::NAN } else { random.unit() };
        let risk =
            0.02 + if amount > 220.0 { 0.6 } else { 0.0 } + if count >= 4.0 && !unknown { 0.3 } else { 0.0 };
        labels.push(random.unit() < risk);
        rows.push_f64(&[amount, count, noise, x3]).unwrap();
    }
    (rows, labels)
}

fn small() -> Params {
    Params { trees: 20, depth: 3, rate: 0.3, lambda: 1.0, bins: 64, ..Params::default() }
}

#[test]
fn what_there_is_to_learn_is_learnt() {
    let (rows, labels) = population(1, 4_000);
    let (unseen, truth) = population(2, 4_000);
    let model = train(&rows, &labels, None, None, &small()).unwrap();
    let auc = metrics::auc_roc(&model.logits(&unseen), &truth).unwrap();
    assert!(auc > 0.85, "{auc}");
    let gains = model.gain_importance();
    assert!(gains[0] > gains[1] && gains[1] > gains[2], "{gains:?}");
}

#[test]
fn the_first_tree_is_the_one_computed_by_hand() {
    // At logit 0 every g is -0.5 or 0.5 and every h is 0.25. Cutting at 2.5 leaves G = 1.5, H = 0.75 left and G = -1,
    // H = 0.5 right.
    let mut rows = Matrix::new(FeatureNames::new(["x"]).unwrap());
    [0.0, 1.0, 2.0, 3.0, 4.0].iter().for_each(|x| rows.push(&[*x]).unwrap());
    let labels = [false, false, false, true, true];
    let params =
        Params { trees: 1, depth: 1, rate: 0.5, lambda: 1.0, min_hessian: 0.25, ..Params::default() };
    let model = train(&rows, &labels, None, None, &params).unwrap();
    let [split, left, right] = model.trees()[0].nodes() else { panic!("one split") };
    let Node::Split { threshold, gain, missing_left, cover, .. } = split else { panic!("a split") };
    assert_eq!((*threshold, *missing_left, *cover), (2.5, true, 5));
    let expected = 1.5 * 1.5 / 1.75 + 1.0 / 1.5 - 0.25 / 2.25;
    assert!((f64::from(*gain) - expected).abs() < 1e-6, "{gain}");
    assert_eq!(*left, Node::Leaf { value: quantise(-1.5 / 1.75 * 0.5), cover: 3 });
    assert_eq!(*right, Node::Leaf { value: quantise(1.0 / 1.5 * 0.5), cover: 2 });
}

#[test]
fn unknown_values_go_the_way_that_was_learnt() {
    let mut rows = Matrix::new(FeatureNames::new(["x"]).unwrap());
    let mut labels = Vec::new();
    for index in 0..60u8 {
        let (x, label) = match index % 3 {
            0 => (0.0, false),
            1 => (1.0, true),
            _ => (f32::NAN, true),
        };
        rows.push(&[x]).unwrap();
        labels.push(label);
    }
    let model = train(&rows, &labels, None, None, &small()).unwrap();
    assert!(model.logit(&[f32::NAN]) > 1.0);
    assert_eq!(model.logit(&[f32::NAN]).to_bits(), model.logit(&[1.0]).to_bits());
    // Only being unknown tells anything.
    let labels: Vec<bool> = rows.column(0).map(f32::is_nan).collect();
    let model = train(&rows, &labels, None, None, &small()).unwrap();
    assert!(model.logit(&[f32::NAN]) > 1.0);
    assert!(model.logit(&[0.0]) < -1.0 && model.logit(&[f32::INFINITY]) < -1.0);
}

#[test]
fn weights_count_as_rows_do() {
    let (rows, labels) = population(3, 600);
    let params = Params { bins: 1_000, ..small() };
    let weights: Vec<f32> = (0..600u16).map(|index| f32::from(1 + index % 2)).collect();
    let weighted = train(&rows, &labels, Some(&weights), None, &params).unwrap();
    let repeated: Vec<usize> = (0..600).flat_map(|index| vec![index; 1 + index % 2]).collect();
    let repeated_labels: Vec<bool> = repeated.iter().map(|&index| labels[index]).collect();
    let copies = train(&rows.select(&repeated), &repeated_labels, None, None, &params).unwrap();
    for row in rows.rows() {
        assert!((weighted.logit(row) - copies.logit(row)).abs() < 1e-5);
    }
    let plain = train(&rows, &labels, None, None, &small()).unwrap();
    let heavy = train(&rows, &labels, None, None, &Params { positive_weight: 5.0, ..small() }).unwrap();
    let mean = |model: &Model| model.logits(&rows).iter().sum::<f64>();
    assert!(mean(&heavy) > mean(&plain));
}

#[test]
fn training_stops_where_unseen_rows_were_ranked_best() {
    let (rows, labels) = population(4, 1_500);
    let (unseen, truth) = population(5, 1_500);
    let params = Params { trees: 200, ..small() };
    let validation = Validation { rows: &unseen, labels: &truth, patience: 10 };
    let stopped = train(&rows, &labels, None, Some(&validation), &params).unwrap();
    let full = train(&rows, &labels, None, None, &params).unwrap();
    let n = stopped.trees().len();
    assert!(n < 200, "{n}");
    assert_eq!(stopped.trees(), &full.trees()[..n]);
    let precision = |model: &Model| metrics::average_precision(&model.logits(&unseen), &truth).unwrap();
    let best = precision(&stopped);
    for m in 1..n + 10 {
        let cut = Model::new(full.features().clone(), 0.0, full.trees()[..m].to_vec()).unwrap();
        assert!(precision(&cut) <= best, "{m} trees rank better than {n}");
    }
}

#[test]
fn columns_are_chosen_by_the_seed() {
    let (rows, labels) = population(6, 800);
    let of = |seed| {
        let params = Params { column_share: 0.25, seed, ..small() };
        train(&rows, &labels, None, None, &params).unwrap()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    for tree in of(1).trees() {
        let used: std::collections::BTreeSet<u8> = tree
            .nodes()
            .iter()
            .filter_map(|node| if let Node::Split { feature, .. } = node { Some(*feature) } else { None })
            .collect();
        assert!(used.len() <= 1, "{used:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (rows, labels) = population(7, 50);
    let check = |labels: &[bool], weights: Option<&[f32]>, params: &Params| {
        train(&rows, labels, weights, None, params).unwrap_err()
    };
    let wrong = |part, found| TrainError::WrongLength { part, rows: 50, found };
    assert_eq!(check(&labels[1..], None, &small()), wrong("labels", 49));
    assert_eq!(check(&labels, Some(&[1.0]), &small()), wrong("weights", 1));
    assert_eq!(check(&[true; 50], None, &small()), TrainError::OneLabel { part: "training" });
    assert_eq!(check(&labels, Some(&[0.0; 50]), &small()), TrainError::BadWeight { row: 0 });
    let mut weights = [1.0; 50];
    weights[7] = f32::NAN;
    assert_eq!(check(&labels, Some(&weights), &small()), TrainError::BadWeight { row: 7 });
    type Change = fn(&mut Params);
    let changes: [(&str, Change); 14] = [
        ("trees", |p| p.trees = 0),
        ("trees", |p| p.trees = u32::MAX),
        ("depth", |p| p.depth = 0),
        ("depth", |p| p.depth = DEPTH_MAX + 1),
        ("rate", |p| p.rate = f64::NAN),
        ("lambda", |p| p.lambda = -1.0),
        ("gamma", |p| p.gamma = f64::INFINITY),
        ("min_hessian", |p| p.min_hessian = 0.0),
        ("bins", |p| p.bins = 1),
        ("monotone", |p| p.monotone = vec![1]),
        ("monotone", |p| p.monotone = vec![0, 0, 0, 2]),
        ("positive_weight", |p| p.positive_weight = 0.0),
        ("base_logit", |p| p.base_logit = f64::NAN),
        ("column_share", |p| p.column_share = 0.0),
    ];
    for (name, change) in changes {
        let mut params = small();
        change(&mut params);
        assert_eq!(check(&labels, None, &params), TrainError::BadParameter { name });
    }
    let other = Matrix::new(FeatureNames::new(["other"]).unwrap());
    let validation = Validation { rows: &other, labels: &[], patience: 1 };
    assert_eq!(train(&rows, &labels, None, Some(&validation), &small()), Err(TrainError::OtherFeatures));
}

/// Rows of three features, some unknown, few distinct values so that ties are common.
fn any_rows() -> impl Strategy<Value = (Vec<[f32; 3]>, Vec<bool>)> {
    let cell = prop_oneof![
        6 => (-4i8..4).prop_map(f32::from),
        3 => -100.0f32..100.0,
        1 => Just(f32::NAN),
        1 => Just(f32::MAX),
    ];
    let row = ([cell.clone(), cell.clone(), cell], any::<bool>());
    prop::collection::vec(row, 4..120).prop_map(|rows| rows.into_iter().unzip())
}

fn matrix(rows: &[[f32; 3]]) -> Matrix {
    let mut matrix = Matrix::new(FeatureNames::new(["a", "b", "c"]).unwrap());
    rows.iter().for_each(|row| matrix.push(row).unwrap());
    matrix
}

proptest! {
    #[test]
    fn training_and_serving_score_alike(
        (rows, labels) in any_rows(),
        depth in 1u8..=DEPTH_MAX,
        trees in 1u32..20,
        bins in 2u16..50,
        rate in 0.05f64..1.0,
    ) {
        prop_assume!(labels.iter().any(|label| *label) && labels.iter().any(|label| !*label));
        let rows = matrix(&rows);
        let params = Params {
            trees, depth, rate, bins, lambda: 0.5, min_hessian: 0.2, ..Params::default()
        };
        let binned = Binned::new(&rows, bins);
        let mut grower = Grower::new(&binned, &params);
        let mut scores = vec![params.base_logit; labels.len()];
        for _ in 0..trees {
            let gradients: Vec<[f64; 2]> = scores
                .iter()
                .zip(&labels)
                .map(|(&score, &label)| {
                    let p = sigmoid(score);
                    [p - f64::from(u8::from(label)), (p * (1.0 - p)).max(HESSIAN_FLOOR)]
                })
                .collect();
            grower.grow(&gradients, &mut scores, &mut Random::new(0));
        }
        let model = train(&rows, &labels, None, None, &params).unwrap();
        prop_assert!(model.depth() <= depth);
        let batch = model.logits(&rows);
        for (index, row) in rows.rows().enumerate() {
            let one = model.logit(row);
            let walked = model
                .trees()
                .iter()
                .fold(model.base_logit(), |sum, tree| sum + f64::from(tree.value(row)));
            prop_assert_eq!(one.to_bits(), scores[index].to_bits());
            prop_assert_eq!(one.to_bits(), batch[index].to_bits());
            prop_assert_eq!(one.to_bits(), walked.to_bits());
        }
        prop_assert_eq!(&model, &train(&rows, &labels, None, None, &params).unwrap());
    }

    #[test]
    fn constrained_features_never_turn_the_score_around(
        (rows, labels) in any_rows(),
        probe in any_rows(),
        sign in prop_oneof![Just(1i8), Just(-1)],
        depth in 1u8..6,
    ) {
        prop_assume!(labels.iter().any(|label| *label) && labels.iter().any(|label| !*label));
        let rows = matrix(&rows);
        let monotone = vec![sign, 0, 0];
        let params = Params { depth, monotone, min_hessian: 0.2, lambda: 0.1, ..small() };
        let model = train(&rows, &labels, None, None, &params).unwrap();
        for row in probe.0 {
            let mut before: Option<f64> = None;
            for value in (-50..=50i8).map(|step| f32::from(step) / 8.0) {
                let logit = model.logit(&[value, row[1], row[2]]);
                if let Some(before) = before {
                    prop_assert!((logit - before) * f64::from(sign) >= -1e-9, "{} after {}", logit, before);
                }
                before = Some(logit);
            }
        }
    }

    /// The best first split is the one found by trying every cut of every feature on the rows themselves.
    #[test]
    fn the_first_split_is_the_best_there_is((rows, labels) in any_rows()) {
        prop_assume!(labels.iter().any(|label| *label) && labels.iter().any(|label| !*label));
        let (lambda, least) = (1.0, 0.5);
        let gradient = |label: bool| if label { -0.5 } else { 0.5 };
        let worth = |g: f64, n: usize| g * g / (n as f64 * 0.25 + lambda);
        let total: f64 = labels.iter().map(|label| gradient(*label)).sum();
        let mut best: f64 = 0.0;
        for feature in 0..3 {
            let mut cuts: Vec<f32> = rows.iter().map(|row| row[feature]).filter(|x| !x.is_nan()).collect();
            cuts.push(f32::MAX);
            for cut in cuts {
                for missing_left in [false, true] {
                    let goes_left = |x: f32| x <= cut || (missing_left && x.is_nan());
                    let left: Vec<bool> = rows
                        .iter()
                        .zip(&labels)
                        .filter(|(row, _)| goes_left(row[feature]))
                        .map(|(_, label)| *label)
                        .collect();
                    let (n, m) = (left.len(), rows.len() - left.len());
                    if (n as f64) * 0.25 < least || (m as f64) * 0.25 < least {
                        continue;
                    }
                    let g: f64 = left.iter().map(|label| gradient(*label)).sum();
                    best = best.max(worth(g, n) + worth(total - g, m) - worth(total, rows.len()));
                }
            }
        }
        let params = Params { trees: 1, depth: 1, lambda, min_hessian: least, bins: 512, ..Params::default() };
        let model = train(&matrix(&rows), &labels, None, None, &params).unwrap();
        match model.trees()[0].nodes()[0] {
            Node::Split { gain, .. } => prop_assert!((f64::from(gain) - best).abs() <= 1e-5 * best.max(1.0)),
            Node::Leaf { .. } => prop_assert!(best <= 1e-8, "a gain of {} was not taken", best),
        }
    }
}
