//! The walk: states of who and when, pushed hop by hop.

use std::collections::{BTreeMap, HashMap};

use crate::label::Category;

use super::Transfers;

/// Most states of one query; what finds no room is unresolved.
pub const STATES_MAX: usize = 1 << 18;

/// Most transfers of the start that are looked at: the latest it received, or the first it paid. The rest is unresolved.
pub const START_TRANSFERS_MAX: usize = 1 << 15;

/// Which way money is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// On over what was paid.
    Destination,
    /// Back over what was received.
    Source,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Query {
    /// Whose money.
    pub start: u32,
    /// As of when: what was received up to then (source), or paid from then on (destination).
    pub time: u32,
    /// Which way.
    pub direction: Direction,
    /// How many transfers away, at most.
    pub hops: u8,
    /// What a share one hop further weighs of one at hand, above 0 and up to 1: weights only, shares are not decayed.
    pub decay: f64,
    /// A holder is looked behind if its decayed share is at least this for each of its transfers, and if it came by some
    /// transfer of at least this. The work is at most `hops / epsilon` transfers.
    pub epsilon: f64,
}

impl Query {
    /// Source of the funds `start` had received by `time`: 5 hops, decay 0.8, epsilon 1e-4.
    #[must_use]
    pub const fn source(start: u32, time: u32) -> Self {
        Self { start, time, direction: Direction::Source, hops: 5, decay: 0.8, epsilon: 1e-4 }
    }

    /// Destination of the funds `start` paid from `time` on, likewise.
    #[must_use]
    pub const fn destination(start: u32, time: u32) -> Self {
        Self { direction: Direction::Destination, ..Self::source(start, time) }
    }
}

/// A step of an evidence path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Number of the transfer.
    pub transfer: u32,
    /// The holder it leads to, away from the start.
    pub holder: u32,
    /// When.
    pub time: u32,
}

/// What one category has of the money.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Which.
    pub category: Category,
    /// Share over one transfer.
    pub direct: f64,
    /// Share over several.
    pub indirect: f64,
    /// Both, each hop after the first decayed.
    pub weight: f64,
    /// Fewest transfers to it.
    pub hops: u8,
    /// The way that carries most, from the start to the labelled holder.
    pub path: Vec<Step>,
}

impl Share {
    /// Direct and indirect.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.direct + self.indirect
    }
}

/// Where the money of a holder came from or went to.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    /// All that was received or paid, in the unit of the transfers; a share times this is an amount.
    pub amount: f64,
    /// Heaviest first.
    pub shares: Vec<Share>,
    /// Came from (or rests with) holders without a label who received (or paid) nothing before (after) that.
    pub unknown: f64,
    /// Was still unlabelled after the last hop.
    pub beyond: f64,
    /// With holders not looked behind, because their share was too small for their number of transfers.
    pub unresolved: f64,
    /// Transfers looked at.
    pub work: usize,
}

#[derive(Debug, Clone, Copy)]
struct State {
    node: u32,
    time: u32,
    share: f64,
    /// The state that brought most, and by which transfer.
    before: u32,
    transfer: u32,
    most: f64,
}

/// What is known of a category so far.
#[derive(Debug)]
struct Found {
    direct: f64,
    indirect: f64,
    weight: f64,
    hops: u8,
    /// The strongest arrival: its share, the state before, the transfer, the holder.
    most: f64,
    last: (u32, Step),
}

impl Transfers {
    /// Follows the money of a query. `label` names the category of a holder at which following ends; `None` to go on.
    /// The start itself is not asked about.
    ///
    /// Deterministic. Takes no more than [`STATES_MAX`] states and `hops / epsilon` transfers, plus [`START_TRANSFERS_MAX`].
    #[must_use]
    pub fn exposure(&self, query: &Query, label: impl Fn(u32) -> Option<Category>) -> Exposure {
        let amount = self.eligible(query.start, query.time, query.direction).total;
        let mut exposure =
            Exposure { amount, shares: Vec::new(), unknown: 0.0, beyond: 0.0, unresolved: 0.0, work: 0 };
        let first =
            State { node: query.start, time: query.time, share: 1.0, before: 0, transfer: 0, most: 1.0 };
        let mut states = vec![first];
        let mut found: BTreeMap<Category, Found> = BTreeMap::new();
        // States of the next hop by holder and time. Only looked up, so that its order does not show.
        let mut places: HashMap<(u32, u32), u32> = HashMap::new();
        let (mut layer, mut decayed) = (0..1, 1.0);
        for hop in 1..=query.hops {
            places.clear();
            let next = layer.end;
            for at in layer.clone() {
                let Some(State { node, time, share, .. }) = states.get(at).copied() else { break };
                let mut eligible = self.eligible(node, time, query.direction);
                if eligible.len() == 0 || eligible.total <= 0.0 {
                    exposure.unknown += share;
                    continue;
                }
                #[expect(clippy::cast_precision_loss, reason = "fewer than 2^32 transfers")]
                let transfers = eligible.len() as f64;
                if share * decayed < query.epsilon * transfers && hop > 1 {
                    exposure.unresolved += share;
                    continue;
                }
                let per_unit = share / eligible.total;
                if hop == 1 {
                    exposure.unresolved += per_unit * eligible.keep(START_TRANSFERS_MAX, query.direction);
                }
                exposure.work += eligible.len();
                // States are at most 2^18.
                let before = u32::try_from(at).unwrap_or(u32::MAX);
                eligible.for_each(|entry| {
                    let part = entry.amount * per_unit;
                    if part <= 0.0 {
                        return;
                    }
                    if let Some(category) = label(entry.other) {
                        let step = Step { transfer: entry.number, holder: entry.other, time: entry.time };
                        arrive(&mut found, category, hop, part, decayed, (before, step));
                        return;
                    }
                    if part * decayed < query.epsilon {
                        exposure.unresolved += part;
                        return;
                    }
                    let place = *places
                        .entry((entry.other, entry.time))
                        .or_insert_with(|| u32::try_from(states.len()).unwrap_or(u32::MAX));
                    if let Some(state) = states.get_mut(place as usize) {
                        state.share += part;
                        if part > state.most {
                            (state.most, state.before, state.transfer) = (part, before, entry.number);
                        }
                    } else if states.len() < STATES_MAX {
                        let (node, time, transfer) = (entry.other, entry.time, entry.number);
                        states.push(State { node, time, share: part, before, transfer, most: part });
                    } else {
                        places.remove(&(entry.other, entry.time));
                        exposure.unresolved += part;
                    }
                });
            }
            layer = next..states.len();
            decayed *= query.decay;
        }
        for state in states.get(layer).unwrap_or_default() {
            exposure.beyond += state.share;
        }
        exposure.shares = found
            .into_iter()
            .map(|(category, found)| Share {
                category,
                direct: found.direct,
                indirect: found.indirect,
                weight: found.weight,
                hops: found.hops,
                path: path(&states, found.last),
            })
            .collect();
        // Stable, so that equals keep the order of categories, gravest first.
        exposure.shares.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        exposure
    }
}

fn arrive(
    found: &mut BTreeMap<Category, Found>,
    category: Category,
    hop: u8,
    part: f64,
    decayed: f64,
    last: (u32, Step),
) {
    let new = Found { direct: 0.0, indirect: 0.0, weight: 0.0, hops: hop, most: 0.0, last };
    let found = found.entry(category).or_insert(new);
    if hop == 1 {
        found.direct += part;
    } else {
        found.indirect += part;
    }
    found.weight += part * decayed;
    if part > found.most {
        (found.most, found.last) = (part, last);
    }
}

/// From the start to the end of the last step.
fn path(states: &[State], (mut at, last): (u32, Step)) -> Vec<Step> {
    let mut steps = vec![last];
    // The first state is the start; every other came from one before it.
    while at != 0
        && let Some(state) = states.get(at as usize)
    {
        steps.push(Step { transfer: state.transfer, holder: state.node, time: state.time });
        at = state.before;
    }
    steps.reverse();
    steps
}
