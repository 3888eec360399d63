//! What several walks and the neighbourhood say about a node, as numbers for a model.
//!
//! One walk weighs near and far in one way; which way is best differs from graph to graph. A model trained on nodes whose
//! labels are known, but were kept out of the seeds, combines them better than any fixed formula. Only structure is
//! used, no amount and no time, so a model holds for parts of the graph it has not seen.

use super::{Direction, Graph, Mass, Rows, Side, Walk};

/// Names of the features, in the order of a row.
pub const NAMES: [&str; COUNT] = [
    "near_share",
    "near_illicit",
    "near_licit",
    "middle_share",
    "middle_illicit",
    "middle_licit",
    "far_share",
    "far_illicit",
    "far_licit",
    "downstream_share",
    "downstream_mass",
    "upstream_share",
    "upstream_mass",
    "senders",
    "receivers",
    "neighbours_senders",
    "neighbours_receivers",
    "second_senders",
    "second_receivers",
    "paid_by_illicit",
    "paid_by_licit",
    "pays_illicit",
    "pays_licit",
];
/// How many features a node has.
pub const COUNT: usize = 23;

/// Reached by nothing: below every logarithm of a mass that is.
const NOTHING: f64 = -30.0;

/// A row of [`NAMES`] for every node, all derived from `seeds` and the graph. A seed's row says what its own label adds,
/// so a model must be trained on nodes that were not seeds.
#[must_use]
pub fn features(graph: &Graph, seeds: &[Option<Side>]) -> Vec<[f32; COUNT]> {
    let n_seeds = |side| seeds.iter().filter(|seed| **seed == Some(side)).count();
    let counts = [n_seeds(Side::Illicit), n_seeds(Side::Licit)];
    let walks = [
        Walk { direction: Direction::Both, keep: 0.5, rounds: 12 },
        Walk::default(),
        Walk { direction: Direction::Both, keep: 0.95, rounds: 30 },
        Walk { direction: Direction::Forward, keep: 0.85, rounds: 10 },
        Walk { direction: Direction::Backward, keep: 0.85, rounds: 10 },
    ]
    .map(|walk| graph.walk(seeds, &walk));
    let senders = degrees(&graph.into);
    let receivers = degrees(&graph.out);
    let around = [&senders, &receivers].map(|of| sums(&graph.both, of));
    let beyond = [&around[0], &around[1]].map(|of| sums(&graph.both, of));
    let is = |side| -> Vec<f64> {
        (0..graph.nodes()).map(|node| if seeds.get(node) == Some(&Some(side)) { 1.0 } else { 0.0 }).collect()
    };
    let (illicit, licit) = (is(Side::Illicit), is(Side::Licit));
    let beside = [
        sums(&graph.into, &illicit),
        sums(&graph.into, &licit),
        sums(&graph.out, &illicit),
        sums(&graph.out, &licit),
    ];
    (0..graph.nodes())
        .map(|node| {
            let mut row = Vec::with_capacity(COUNT);
            let [near, middle, far, down, up] =
                walks.each_ref().map(|walk| walk.get(node).copied().unwrap_or_default());
            for mass in [near, middle, far] {
                row.push(share(mass));
                // Per seed, so that more labels do not look like less distance.
                row.push(log(scaled(mass.illicit, counts[0])));
                row.push(log(scaled(mass.licit, counts[1])));
            }
            for mass in [down, up] {
                row.push(share(mass));
                row.push(log(scaled(mass.illicit, counts[0]) + scaled(mass.licit, counts[1])));
            }
            let of = |column: &Vec<f64>| column.get(node).copied().unwrap_or_default();
            row.extend([of(&senders), of(&receivers)]);
            row.extend(around.iter().chain(&beyond).map(|column| of(column).ln_1p()));
            row.extend(beside.iter().map(of));
            let mut cells = [0.0_f32; COUNT];
            for (cell, value) in cells.iter_mut().zip(row) {
                #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
                let value = value as f32;
                *cell = value;
            }
            cells
        })
        .collect()
}

fn degrees(rows: &Rows) -> Vec<f64> {
    rows.starts.windows(2).map(|pair| f64::from(pair[1] - pair[0])).collect()
}

/// Over the neighbours of each node.
fn sums(rows: &Rows, of: &[f64]) -> Vec<f64> {
    (0..of.len())
        .map(|node| {
            rows.row(node)
                .iter()
                .map(|(neighbour, _)| of.get(*neighbour as usize).copied().unwrap_or_default())
                .sum()
        })
        .collect()
}

fn share(mass: Mass) -> f64 {
    mass.score().unwrap_or(-1.0)
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^32 nodes")]
fn scaled(mass: f64, n_seeds: usize) -> f64 {
    mass * n_seeds as f64
}

fn log(value: f64) -> f64 {
    if value > 0.0 { value.ln().max(NOTHING) } else { NOTHING }
}
