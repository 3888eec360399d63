//! What a model costs: training, scoring one row and many, explaining one row.
//!
//! `cargo run --release -p benches --bin scoring`. Rows are made up: 28 features, some continuous, some counts, some nearly
//! always zero, some unknown, and about 1 % positive. Training is processor time of the one thread that trains. Percentiles
//! time each row by itself and so contain the clock's own cost, which is printed; of several rounds the least disturbed
//! counts, since other work on the machine only ever adds.
//!
//! Budgets: training 67,000 rows, 150 trees of depth 4 in 5 s; one row through 500 trees of depth 8 in 20 us (p99);
//! explaining one row of 150 trees of depth 4 in 100 us.

#![allow(clippy::print_stdout, reason = "the figures are the purpose")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use scoring::{
    counterfactual::{Changeable, Direction, counterfactual},
    gbdt::{Params, train},
    matrix::{FeatureNames, Matrix},
    metrics,
    model::Model,
    shap::Explainer,
};

const N_ROWS: usize = 67_000;
const N_FEATURES: usize = 28;
const N_TIMED: usize = 20_000;
const ROUNDS: usize = 5;

fn thread_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// Splitmix64 as numbers in [0, 1).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `noise` is the share of labels that follow nothing.
fn rows(seed: u64, n: usize, noise: f64) -> Result<(Matrix, Vec<bool>)> {
    let mut numbers = Numbers(seed);
    let mut rows = Matrix::new(FeatureNames::new((0..N_FEATURES).map(|index| format!("feature {index}")))?);
    let mut labels = Vec::with_capacity(n);
    for _ in 0..n {
        let mut row = [0.0; N_FEATURES];
        for (index, value) in row.iter_mut().enumerate() {
            let number = numbers.next();
            *value = match index % 4 {
                0 => -(1.0 - number).ln() * 100.0,
                1 => (number * number * 300.0).floor(),
                2 if number < 0.95 => 0.0,
                2 => ((number - 0.95) * 400.0).floor() / 20.0,
                _ if number < 0.02 => f64::NAN,
                _ => number,
            };
        }
        let risk = 0.002
            + if row[0] > 350.0 { 0.3 } else { 0.0 }
            + if row[2] > 0.6 { 0.1 * row[2] } else { 0.0 }
            + if row[1] > 200.0 && row[3] > 0.9 { 0.1 } else { 0.0 };
        let is_noise = numbers.next() < noise;
        labels.push(numbers.next() < if is_noise { 0.5 } else { risk });
        rows.push_f64(&row)?;
    }
    Ok((rows, labels))
}

/// Times `op` on each row by itself; p50, p99 and mean of the least disturbed round.
fn each(rows: &Matrix, mut op: impl FnMut(&[f32]) -> f64) -> [f64; 3] {
    let mut best = [f64::INFINITY; 3];
    let mut times = Vec::with_capacity(rows.n_rows());
    for _ in 0..ROUNDS {
        times.clear();
        for row in rows.rows() {
            let start = Instant::now();
            black_box(op(black_box(row)));
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_unstable_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        for (best, found) in
            best.iter_mut().zip([times[times.len() / 2], times[times.len() * 99 / 100], mean])
        {
            *best = best.min(found);
        }
    }
    best
}

fn describe(model: &Model) -> String {
    let leaves: usize = model.trees().iter().map(|tree| tree.nodes().len().div_ceil(2)).sum();
    format!(
        "{} trees, depth {}, {:.1} leaves a tree",
        model.trees().len(),
        model.depth(),
        leaves as f64 / model.trees().len() as f64
    )
}

fn measure(model: &Model, rows: &Matrix) {
    let show = |what: &str, [p50, p99, mean]: [f64; 3]| {
        println!("  {what:<34} p50 {p50:8.2} us   p99 {p99:8.2} us   mean {mean:8.2} us");
    };
    show("score one row", each(rows, |row| model.logit(row)));
    let mut batch = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = thread_time();
        black_box(model.logits(black_box(rows)));
        batch = batch.min((thread_time() - start).as_secs_f64() * 1e6 / rows.n_rows() as f64);
    }
    println!("  {:<34} {batch:8.2} us of processor time a row", "score many rows");
    let some = rows.select(&(0..1_000).collect::<Vec<_>>());
    let explainer = Explainer::new(model);
    show("explain one row, all features", each(&some, |row| explainer.explain(row).base));
    let changeable: Vec<Changeable> =
        (0..N_FEATURES).map(|feature| Changeable { feature, direction: Direction::Either }).collect();
    let few = rows.select(&(0..50).collect::<Vec<_>>());
    let just_below = |row: &[f32]| {
        counterfactual(model, row, model.logit(row), &changeable).map_or(0.0, |found| found.logit)
    };
    show("counterfactual, one of 28 features", each(&few, just_below));
}

fn main() -> Result<()> {
    let (train_rows, labels) = rows(1, N_ROWS, 0.0)?;
    let (test_rows, truth) = rows(2, N_TIMED, 0.0)?;
    let positives = labels.iter().filter(|label| **label).count();
    println!("{N_ROWS} made-up rows of {N_FEATURES} features, {positives} positive");
    println!("clock                                p50, p99, mean {:.2?} us", each(&test_rows, |_| 0.0));

    for (name, params) in [
        ("150 trees, depth 4, 1,024 bins", Params::default()),
        (
            "50 trees, depth 3, 4,096 bins",
            Params { trees: 50, depth: 3, rate: 0.3, lambda: 1.0, bins: 4_096, ..Params::default() },
        ),
    ] {
        let mut best = Duration::MAX;
        let mut model = None;
        for _ in 0..3 {
            let start = thread_time();
            model = Some(train(&train_rows, &labels, None, None, &params)?);
            best = best.min(thread_time() - start);
        }
        let Some(model) = model else { continue };
        let precision = metrics::average_precision(&model.logits(&test_rows), &truth)?;
        println!(
            "training, {name}: {:.2} s of processor time, average precision {precision:.4} on unseen rows",
            best.as_secs_f64()
        );
        println!("{}", describe(&model));
        measure(&model, &test_rows);
    }
    // Half of the labels follow nothing, so that trees grow as full as they can.
    let (noisy_rows, noisy_labels) = rows(3, N_ROWS, 0.5)?;
    for (name, labels, rows) in
        [("labels as above", &labels, &train_rows), ("noisy labels, full trees", &noisy_labels, &noisy_rows)]
    {
        let params = Params { trees: 500, depth: 8, ..Params::default() };
        let start = thread_time();
        let model = train(rows, labels, None, None, &params)?;
        println!(
            "training, 500 trees, depth 8, {name}: {:.2} s of processor time",
            (thread_time() - start).as_secs_f64()
        );
        println!("{}", describe(&model));
        measure(&model, &test_rows);
    }
    Ok(())
}
