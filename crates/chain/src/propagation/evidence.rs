//! Why a node has its score: the seeds that contribute most, each with a path.
//!
//! On a graph walked both ways, what a seed gives to a node and what the node would give to the seed are in the ratio of
//! their weights (the walk is reversible: Levin and Peres 2017, section 1.6), so one walk from the node tells what every
//! seed contributes, and only the neighbourhood of the node is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, Side, Walk, restart};

/// Most nodes looked at for one piece of evidence.
pub const EVIDENCE_NODES_MAX: usize = 4_096;
/// What is less than this share of the start is not followed further.
const SHARE_MIN: f64 = 1e-7;

/// What one seed contributes to a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The seed.
    pub seed: u32,
    /// What it is known as.
    pub side: Side,
    /// What it brings to the node, in the measure of [`super::Mass`].
    pub mass: f64,
    /// Nodes from the seed to the node, both included: a shortest path.
    pub path: Vec<u32>,
}

/// The strongest contributions to a node's score.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Gravest first; ties by number of the seed.
    pub contributions: Vec<Contribution>,
    /// Whether there was more to look at than [`EVIDENCE_NODES_MAX`] nodes: then farther seeds are missing.
    pub is_cut: bool,
}

impl Graph {
    /// The `count` seeds that contribute most to the score of `node` on a walk both ways; the direction of `walk` does not
    /// count here.
    #[must_use]
    pub fn evidence(&self, seeds: &[Option<Side>], walk: &Walk, node: u32, count: usize) -> Evidence {
        let mut reached: BTreeMap<u32, f64> = BTreeMap::new();
        // Who handed something to a node first: a shortest path, as rounds are steps.
        let mut before: BTreeMap<u32, u32> = BTreeMap::new();
        let mut held: BTreeMap<u32, f64> = BTreeMap::from([(node, 1.0)]);
        let (mut left, mut is_cut) = (1.0_f64, false);
        let mut seen: BTreeSet<u32> = BTreeSet::from([node]);
        for round in 0..=walk.rounds {
            // Who stops at this step, of those that got so far; at the last step all do.
            let stops = if round == walk.rounds { left } else { left * (1.0 - walk.keep) };
            for (at, share) in &held {
                *reached.entry(*at).or_default() += share * stops;
            }
            left *= walk.keep;
            let mut next: BTreeMap<u32, f64> = BTreeMap::new();
            for (at, share) in held.iter().filter(|(_, share)| **share * left > SHARE_MIN) {
                let total = self.both.total(*at as usize);
                for (neighbour, weight) in self.both.row(*at as usize) {
                    if !seen.contains(neighbour) {
                        if seen.len() >= EVIDENCE_NODES_MAX {
                            is_cut = true;
                            continue;
                        }
                        seen.insert(*neighbour);
                        before.insert(*neighbour, *at);
                    }
                    *next.entry(*neighbour).or_default() += share * f64::from(*weight) / total;
                }
            }
            held = next;
        }
        let mut contributions = self.contributions(seeds, node, &reached);
        contributions.sort_by(|a, b| b.mass.total_cmp(&a.mass).then(a.seed.cmp(&b.seed)));
        contributions.truncate(count);
        for contribution in &mut contributions {
            let mut at = contribution.seed;
            contribution.path.push(at);
            while let Some(nearer) = before.get(&at) {
                at = *nearer;
                contribution.path.push(at);
            }
        }
        Evidence { contributions, is_cut }
    }

    /// Paths are left empty.
    fn contributions(
        &self,
        seeds: &[Option<Side>],
        node: u32,
        reached: &BTreeMap<u32, f64>,
    ) -> Vec<Contribution> {
        let restart = restart(seeds, self.nodes());
        let own = self.both.total(node as usize);
        reached
            .iter()
            .filter_map(|(seed, share)| {
                let side = (*seeds.get(*seed as usize)?)?;
                let [illicit, licit] = *restart.get(*seed as usize)?;
                let total = self.both.total(*seed as usize);
                // A node without edges reaches itself alone.
                let ratio = if *seed == node { 1.0 } else { own / total };
                Some(Contribution {
                    seed: *seed,
                    side,
                    mass: (illicit + licit) * share * ratio,
                    path: Vec::new(),
                })
            })
            .collect()
    }
}
