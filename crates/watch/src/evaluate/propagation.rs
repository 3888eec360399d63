//! How well labels spread: how often what is known about some nodes finds the bad ones among the others.
//!
//! **Protocol**: of the labelled nodes a random share is revealed, the rest is scored and compared with its labels; once per
//! seed, and the mean of all. Nothing of the hidden labels is used: not for seeds, not for training, not for the
//! numbering of nodes. Two methods: the `walk` alone (illicit share of two walks with restart) and the `stack`
//! ([`crate::propagation::Stack`]), trained on the revealed labels only. A node that no walk reaches counts as the least
//! suspicious.

use std::{collections::HashMap, io::BufRead, time::Duration};

use chain::{
    graph::GraphError,
    propagation::{Edge, EdgeKind, Graph, Side, Walk},
};
use scoring::metrics::{self, MetricError};
use serde_json::{Value, json};

use crate::{
    propagation::{Shuffle, Stack, StackError},
    table::{Row, Table, TableError, Wanted},
};

/// Columns of a table of nodes.
pub const NODE_COLUMNS: &[Wanted] = &[Wanted::required("node"), Wanted::required("class")];
/// Columns of a table of edges.
pub const EDGE_COLUMNS: &[Wanted] =
    &[Wanted::required("src"), Wanted::required("dst"), Wanted::optional("kind")];

/// Most repetitions.
pub const SEEDS_MAX: u32 = 1_000;
/// Longest name of a node, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Nodes without a label that a report names.
const SUSPECTS: usize = 10;
/// Seeds named for each of them.
const CONTRIBUTIONS: usize = 3;

/// How to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How many times, each with another choice of what is revealed; 1 to [`SEEDS_MAX`].
    pub seeds: u32,
    /// What share of the labels of each repetition is revealed, above 0 and below 1.
    pub reveal: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { seeds: 3, reveal: 0.5 }
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PropagationError {
    /// The nodes and edges are not a graph.
    #[error("the edges do not form a graph")]
    Graph(#[from] GraphError),
    /// No figure can be computed, as when one class is missing among the hidden labels.
    #[error("the hidden labels cannot be scored")]
    Metric(#[from] MetricError),
    /// An option is out of its range.
    #[error("{0}")]
    Option(&'static str),
    /// The model could not be learned.
    #[error("the revealed labels do not suffice")]
    Stack(#[from] StackError),
    /// A table is not what it should be.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// A labelled graph as read from its tables.
#[derive(Debug)]
pub struct Labelled {
    names: Vec<String>,
    graph: Graph,
    /// By node.
    sides: Vec<Option<Side>>,
    n_edges: usize,
}

/// Quality of one method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Area under the ROC curve.
    pub auc: f64,
    /// Average precision.
    pub average_precision: f64,
    /// The best F1 of any threshold.
    pub best_f1: f64,
}

/// One repetition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Repetition {
    /// Its seed.
    pub seed: u64,
    /// Of the walk alone.
    pub walk: Quality,
    /// Of the stack.
    pub stack: Quality,
    /// Time of one walk over the whole graph.
    pub walk_took: Duration,
    /// Time of learning and scoring by the stack.
    pub stack_took: Duration,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Report {
    repetitions: Vec<Repetition>,
    suspects: Vec<Value>,
    labels: [usize; 2],
    nodes: usize,
    edges: usize,
}

/// Reads nodes (columns `node`, `class`) and edges (`src`, `dst`, and if there `kind`: see [`EdgeKind`]).
///
/// Nodes are named by any text. Classes are `illicit` or `1`, `licit` or `2`; `unknown`, `3` or nothing for no label.
///
/// # Errors
/// [`PropagationError`], naming file, line and column.
pub fn read<N: BufRead, E: BufRead>(
    mut nodes: Table<N>,
    mut edges: Table<E>,
) -> Result<Labelled, PropagationError> {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let (mut names, mut sides) = (Vec::new(), Vec::new());
    while let Some(row) = nodes.next_row()? {
        let name = row.text(0)?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(row.bad(0, "not 1 to 128 bytes".to_owned()).into());
        }
        let side = match row.text(1)? {
            "illicit" | "1" => Some(Side::Illicit),
            "licit" | "2" => Some(Side::Licit),
            "unknown" | "3" | "" => None,
            _ => return Err(row.bad(1, "not illicit, licit or unknown".to_owned()).into()),
        };
        let number = u32::try_from(names.len()).map_err(|_| row.malformed("too many nodes".to_owned()))?;
        if numbers.insert(name.to_owned(), number).is_some() {
            return Err(row.bad(0, "the node is listed twice".to_owned()).into());
        }
        names.push(name.to_owned());
        sides.push(side);
    }
    let mut list = Vec::new();
    while let Some(row) = edges.next_row()? {
        let end = |column| node(&row, column, &numbers);
        let kind = match row.text(2)? {
            "" => EdgeKind::Payment,
            name => EdgeKind::from_name(name).ok_or_else(|| row.bad(2, "no kind of edge".to_owned()))?,
        };
        list.push(Edge { from: end(0)?, to: end(1)?, kind });
    }
    let graph = Graph::new(names.len(), &list)?;
    Ok(Labelled { names, graph, sides, n_edges: list.len() })
}

fn node<R: BufRead>(
    row: &Row<'_, R>,
    column: usize,
    numbers: &HashMap<String, u32>,
) -> Result<u32, TableError> {
    let name = row.text(column)?;
    numbers.get(name).copied().ok_or_else(|| row.bad(column, "not among the nodes".to_owned()))
}

/// Measures by the protocol of this module. `elapsed` tells the time spent since any fixed moment.
///
/// # Errors
/// [`PropagationError`].
pub fn run(
    labelled: &Labelled,
    options: &Options,
    mut elapsed: impl FnMut() -> Duration,
) -> Result<Report, PropagationError> {
    if options.seeds == 0 || options.seeds > SEEDS_MAX {
        return Err(PropagationError::Option("the number of seeds is not 1 to 1000"));
    }
    if !(options.reveal > 0.0 && options.reveal < 1.0) {
        return Err(PropagationError::Option("the share to reveal is not between 0 and 1"));
    }
    let Labelled { graph, sides, .. } = labelled;
    let known: Vec<usize> = (0..sides.len()).filter(|node| side(sides, *node).is_some()).collect();
    let mut repetitions = Vec::new();
    for seed in 0..u64::from(options.seeds) {
        let mut dealt = known.clone();
        Shuffle::new(seed).shuffle(&mut dealt);
        let (revealed, hidden) = dealt.split_at(share_of(dealt.len(), options.reveal));
        let mut seeds = vec![None; sides.len()];
        for node in revealed {
            if let Some(seed) = seeds.get_mut(*node) {
                *seed = side(sides, *node);
            }
        }
        let started = elapsed();
        let masses = graph.walk(&seeds, &Walk::default());
        let walked = elapsed();
        let stacked = Stack::train(graph, &seeds, seed)?.scores(graph, &seeds);
        let ended = elapsed();
        let truth: Vec<bool> = hidden.iter().map(|node| side(sides, *node) == Some(Side::Illicit)).collect();
        let by_walk = |node: &usize| masses.get(*node).and_then(|mass| mass.score()).unwrap_or(0.0);
        let by_stack = |node: &usize| stacked.get(*node).copied().unwrap_or(0.0);
        repetitions.push(Repetition {
            seed,
            walk: quality(&hidden.iter().map(by_walk).collect::<Vec<_>>(), &truth)?,
            stack: quality(&hidden.iter().map(by_stack).collect::<Vec<_>>(), &truth)?,
            walk_took: walked.saturating_sub(started),
            stack_took: ended.saturating_sub(walked),
        });
    }
    let count = |wanted| sides.iter().filter(|side| **side == Some(wanted)).count();
    Ok(Report {
        repetitions,
        suspects: suspects(labelled)?,
        labels: [count(Side::Illicit), count(Side::Licit)],
        nodes: labelled.names.len(),
        edges: labelled.n_edges,
    })
}

/// The nodes without a label that all labels together speak against most, with what speaks.
fn suspects(labelled: &Labelled) -> Result<Vec<Value>, PropagationError> {
    let Labelled { graph, sides, names, .. } = labelled;
    let scores = Stack::train(graph, sides, 0)?.scores(graph, sides);
    let mut unknown: Vec<usize> = (0..sides.len()).filter(|node| side(sides, *node).is_none()).collect();
    let score = |node: usize| scores.get(node).copied().unwrap_or(0.0);
    unknown.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
    unknown.truncate(SUSPECTS);
    let name = |node: u32| names.get(node as usize).cloned().unwrap_or_default();
    Ok(unknown
        .into_iter()
        .filter_map(|node| Some((node, u32::try_from(node).ok()?)))
        .map(|(at, node)| {
            let evidence = graph.evidence(sides, &Walk::default(), node, CONTRIBUTIONS);
            let seeds: Vec<Value> = evidence
                .contributions
                .into_iter()
                .map(|found| {
                    json!({
                        "seed": name(found.seed),
                        "class": match found.side { Side::Illicit => "illicit", Side::Licit => "licit" },
                        "mass": found.mass,
                        "path": found.path.into_iter().map(name).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({"node": name(node), "score": score(at), "seeds": seeds, "is_cut": evidence.is_cut})
        })
        .collect())
}

fn side(sides: &[Option<Side>], node: usize) -> Option<Side> {
    sides.get(node).copied().flatten()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of fewer than 2^32"
)]
fn share_of(count: usize, share: f64) -> usize {
    (count as f64 * share) as usize
}

fn quality(scores: &[f64], truth: &[bool]) -> Result<Quality, MetricError> {
    let positives = truth.iter().filter(|truth| **truth).count() as u64;
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    let f1 = |step: &metrics::Step| {
        let flagged = step.true_positives + step.false_positives;
        2.0 * step.true_positives as f64 / (flagged + positives).max(1) as f64
    };
    Ok(Quality {
        auc: metrics::auc_roc(scores, truth)?,
        average_precision: metrics::average_precision(scores, truth)?,
        best_f1: metrics::steps(scores, truth)?.iter().map(f1).fold(0.0, f64::max),
    })
}

impl Quality {
    fn mean(of: &[Self]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
        let mean = |value: fn(&Self) -> f64| of.iter().map(value).sum::<f64>() / of.len().max(1) as f64;
        Self {
            auc: mean(|one| one.auc),
            average_precision: mean(|one| one.average_precision),
            best_f1: mean(|one| one.best_f1),
        }
    }

    fn to_json(self) -> Value {
        json!({"auc": self.auc, "average_precision": self.average_precision, "best_f1": self.best_f1})
    }
}

impl Report {
    /// The repetitions.
    #[must_use]
    pub fn repetitions(&self) -> &[Repetition] {
        &self.repetitions
    }

    /// Means over the repetitions: of the walk, and of the stack.
    #[must_use]
    pub fn means(&self) -> (Quality, Quality) {
        let of = |which: fn(&Repetition) -> Quality| {
            Quality::mean(&self.repetitions.iter().map(which).collect::<Vec<_>>())
        };
        (of(|repetition| repetition.walk), of(|repetition| repetition.stack))
    }

    /// The report for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (walk, stack) = self.means();
        let fastest = self.repetitions.iter().map(|repetition| repetition.walk_took).min();
        let repetitions: Vec<Value> = self
            .repetitions
            .iter()
            .map(|repetition| {
                json!({
                    "seed": repetition.seed,
                    "walk": repetition.walk.to_json(),
                    "stack": repetition.stack.to_json(),
                    "walk_cpu_seconds": repetition.walk_took.as_secs_f64(),
                    "stack_cpu_seconds": repetition.stack_took.as_secs_f64(),
                })
            })
            .collect();
        json!({
            "nodes": self.nodes,
            "edges": self.edges,
            "illicit": self.labels[0],
            "licit": self.labels[1],
            "walk": walk.to_json(),
            "stack": stack.to_json(),
            "walk_cpu_seconds_min": fastest.unwrap_or_default().as_secs_f64(),
            "repetitions": repetitions,
            "suspects": self.suspects,
        })
    }
}

#[cfg(test)]
mod tests;
