//! Guilt and innocence by association: known labels spread over a graph to the nodes around them.
//!
//! Two random walks with restart (personalised PageRank; Haveliwala 2002), one from the nodes known as illicit and one
//! from those known as licit, each with unit mass. A node's score is the illicit share of what reaches it. The licit
//! walk is what makes it useful: without it everything near a large service looks guilty. Every step passes on only part
//! ([`Walk::keep`]) of what arrives, so influence decays with distance.
//!
//! Edges have kinds with weights ([`EdgeKind`]): who deployed a contract says more about it than who paid it once. The
//! walk for labels takes edges both ways; [`Graph::walk`] also goes with the money or against it, for those who combine
//! several walks ([`features`]).
//!
//! What it is not: knowledge. A score is a reason to look, never a label; [`Graph::evidence`] names the seeds it comes
//! from, with paths.
//!
//! Bounds: those of [`crate::graph`]; a walk takes 32 bytes per node and O(rounds x (nodes + edges)); evidence looks at
//! [`EVIDENCE_NODES_MAX`] nodes.

mod evidence;
pub mod features;

pub use self::evidence::{Contribution, EVIDENCE_NODES_MAX, Evidence};
use crate::graph::{GraphError, accumulate, check_size};

/// How two nodes are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EdgeKind {
    /// One created the contract that the other is.
    Deployment,
    /// One paid the first fees of the other.
    Funding,
    /// One paid the other.
    Payment,
    /// Both cash out to the same address.
    SharedSink,
}

impl EdgeKind {
    /// Every kind, in order.
    pub const ALL: [Self; 4] = [Self::Deployment, Self::Funding, Self::Payment, Self::SharedSink];

    /// How much more than one payment it says about its ends.
    #[must_use]
    pub const fn weight(self) -> f32 {
        match self {
            Self::Deployment => 4.0,
            Self::Funding => 2.0,
            Self::Payment => 1.0,
            Self::SharedSink => 0.5,
        }
    }

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Funding => "funding",
            Self::Payment => "payment",
            Self::SharedSink => "shared_sink",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A connection between two nodes; `from` acted upon `to` (paid it, deployed it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Who acted.
    pub from: u32,
    /// On whom.
    pub to: u32,
    /// How.
    pub kind: EdgeKind,
}

/// What a node is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Bad.
    Illicit,
    /// Good.
    Licit,
}

/// Which way a walk takes edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both.
    Both,
    /// From who acted to whom: where money goes.
    Forward,
    /// Against it: where money came from.
    Backward,
}

/// How to walk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Walk {
    /// Which way.
    pub direction: Direction,
    /// What share of what arrives at a node is passed on, at least 0 and below 1; the rest restarts from the seeds.
    pub keep: f64,
    /// How many steps; what is beyond the last weighs less than `keep` to that power.
    pub rounds: u32,
}

impl Default for Walk {
    fn default() -> Self {
        Self { direction: Direction::Both, keep: 0.85, rounds: 16 }
    }
}

/// What reached a node.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mass {
    /// From illicit seeds, of one in all.
    pub illicit: f64,
    /// From licit seeds, of one in all.
    pub licit: f64,
}

impl Mass {
    /// The illicit share, 0 to 1; `None` where nothing arrived, which is not innocence but ignorance.
    #[must_use]
    pub fn score(self) -> Option<f64> {
        let total = self.illicit + self.licit;
        (total > 0.0).then(|| self.illicit / total)
    }
}

/// Neighbours with weights, in one direction.
#[derive(Debug, Clone)]
struct Rows {
    starts: Vec<u32>,
    /// Neighbour and weight.
    entries: Vec<(u32, f32)>,
    /// Whose each entry is.
    owners: Vec<u32>,
    /// Weight of all neighbours of each node.
    totals: Vec<f64>,
}

impl Rows {
    /// One entry for each pair of ends, of the heaviest kind among its edges. `ends` gives the ways to take an edge.
    fn new(nodes: usize, edges: &[Edge], ends: impl Fn(&Edge) -> [Option<(u32, u32)>; 2]) -> Self {
        let mut starts = vec![0_u32; nodes + 1];
        for (from, _) in edges.iter().flat_map(|edge| ends(edge).into_iter().flatten()) {
            if let Some(count) = starts.get_mut(from as usize + 1) {
                *count += 1;
            }
        }
        accumulate(&mut starts);
        let mut places = starts.clone();
        let mut entries = vec![(0, 0.0); places.last().copied().unwrap_or_default() as usize];
        for edge in edges {
            for (from, to) in ends(edge).into_iter().flatten() {
                if let Some(next) = places.get_mut(from as usize) {
                    if let Some(place) = entries.get_mut(*next as usize) {
                        *place = (to, edge.kind.weight());
                    }
                    *next += 1;
                }
            }
        }
        let mut kept: Vec<(u32, f32)> = Vec::with_capacity(entries.len());
        let mut owners = Vec::with_capacity(entries.len());
        let (mut from, mut totals) = (0, Vec::with_capacity(nodes));
        for (node, start) in (0_u32..).zip(starts.iter_mut().skip(1)) {
            let row_start = kept.len();
            if let Some(row) = entries.get_mut(from..*start as usize) {
                // Heaviest first among equals, so that the others are the ones dropped.
                row.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
                for entry in row.iter() {
                    if kept.len() == row_start || kept.last().is_none_or(|last| last.0 != entry.0) {
                        kept.push(*entry);
                    }
                }
            }
            from = *start as usize;
            // At most twice as many entries as edges, which fit 32 bits halved.
            *start = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            owners.resize(kept.len(), node);
            totals.push(kept.iter().skip(row_start).map(|(_, weight)| f64::from(*weight)).sum());
        }
        Self { starts, entries: kept, owners, totals }
    }

    #[inline]
    fn row(&self, node: usize) -> &[(u32, f32)] {
        match (self.starts.get(node), self.starts.get(node + 1)) {
            (Some(start), Some(end)) => self.entries.get(*start as usize..*end as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    fn total(&self, node: usize) -> f64 {
        self.totals.get(node).copied().unwrap_or_default()
    }
}

/// Connections between nodes, ready to walk.
#[derive(Debug, Clone)]
pub struct Graph {
    both: Rows,
    out: Rows,
    into: Rows,
}

/// Most edges: each stands in a row of both its ends.
pub const EDGES_MAX: usize = crate::graph::EDGES_MAX / 2;

impl Graph {
    /// The graph of `edges` over nodes 0 to `nodes - 1`. Several edges between two nodes count as the heaviest of them,
    /// an edge from a node to itself as none.
    ///
    /// # Errors
    /// [`GraphError`] when there are too many of either, or an edge names a node that does not exist.
    pub fn new(nodes: usize, edges: &[Edge]) -> Result<Self, GraphError> {
        check_size(nodes, edges.len().saturating_mul(2))?;
        for (position, edge) in edges.iter().enumerate() {
            let node = edge.from.max(edge.to);
            if node as usize >= nodes {
                return Err(GraphError::NoSuchNode { edge: position, node, nodes });
            }
        }
        let outward = |edge: &Edge| (edge.from != edge.to).then_some((edge.from, edge.to));
        let inward = |edge: &Edge| (edge.from != edge.to).then_some((edge.to, edge.from));
        Ok(Self {
            both: Rows::new(nodes, edges, |edge| [outward(edge), inward(edge)]),
            out: Rows::new(nodes, edges, |edge| [outward(edge), None]),
            into: Rows::new(nodes, edges, |edge| [inward(edge), None]),
        })
    }

    /// How many nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.both.totals.len()
    }

    /// Spreads the seeds: what reaches each node. `seeds` has one entry per node; missing ones are unknown.
    #[must_use]
    pub fn walk(&self, seeds: &[Option<Side>], walk: &Walk) -> Vec<Mass> {
        // What arrives at a node is gathered from those that pass on to it.
        let (gather, spread) = match walk.direction {
            Direction::Both => (&self.both, &self.both),
            Direction::Forward => (&self.into, &self.out),
            Direction::Backward => (&self.out, &self.into),
        };
        let restart = restart(seeds, self.nodes());
        // Every node hands out what it has in proportion to weights: dividing once a node is cheaper than once an edge.
        let shares: Vec<f64> =
            spread.totals.iter().map(|total| if *total > 0.0 { walk.keep / *total } else { 0.0 }).collect();
        let mut held = restart.clone();
        let mut handed = vec![[0.0; 2]; self.nodes()];
        for _ in 0..walk.rounds {
            for ((handed, held), share) in handed.iter_mut().zip(&held).zip(&shares) {
                *handed = [held[0] * share, held[1] * share];
            }
            for (held, restart) in held.iter_mut().zip(&restart) {
                *held = restart.map(|mass| (1.0 - walk.keep) * mass);
            }
            // One flat loop over all entries and not one per node: most rows are so short that a processor cannot tell
            // when they end.
            for (node, (neighbour, weight)) in gather.owners.iter().zip(&gather.entries) {
                let [illicit, licit] = handed.get(*neighbour as usize).copied().unwrap_or_default();
                if let Some(held) = held.get_mut(*node as usize) {
                    held[0] += illicit * f64::from(*weight);
                    held[1] += licit * f64::from(*weight);
                }
            }
        }
        held.into_iter().map(|[illicit, licit]| Mass { illicit, licit }).collect()
    }
}

/// Unit mass on the seeds of each side, evenly.
fn restart(seeds: &[Option<Side>], nodes: usize) -> Vec<[f64; 2]> {
    let each = |side| {
        let n_seeds = seeds.iter().take(nodes).filter(|seed| **seed == Some(side)).count();
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^32 nodes")]
        let each = 1.0 / n_seeds.max(1) as f64;
        each
    };
    let (illicit, licit) = (each(Side::Illicit), each(Side::Licit));
    let mut restart: Vec<[f64; 2]> = seeds
        .iter()
        .take(nodes)
        .map(|seed| match seed {
            Some(Side::Illicit) => [illicit, 0.0],
            Some(Side::Licit) => [0.0, licit],
            None => [0.0; 2],
        })
        .collect();
    restart.resize(nodes, [0.0; 2]);
    restart
}

#[cfg(test)]
mod tests;
