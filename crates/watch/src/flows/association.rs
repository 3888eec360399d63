//! What an address is tied to: labels of others derived for it, with the path they came by.
//!
//! Three ties say that one person may stand behind two addresses: one **deployed** the contract that the other is, one **funded** the
//! other (paid it first), both pay the same **sink** that few others pay. Around an address its neighbourhood is gathered, known
//! labels are spread over it in both ways ([`chain::propagation`], the same walk and weights that `watch evaluate propagation`
//! measures), and the share of the illicit is scaled down with every tie to the nearest known one: the confidence of a
//! derived label.
//!
//! What it is not: knowledge, nor a state. It is worked out when it is asked for, from the labels in force and the blocks that stand; so
//! it is gone with the label it came from, and with a block that leaves the chain. Nothing is derived from what was derived.
//!
//! Anybody may pay a fresh address first, also to have it tied to himself: that is why what is derived asks for a challenge at most.
//! Holders with many transfers are services until proven otherwise, and so are those a list names as one, a mixer's pool above all:
//! they tie nobody together, or half the chain would be tied to every thief who used an exchange. They count as what they are
//! labelled.
//!
//! Bounds: [`TIES_MAX`] ties, [`NODES_MAX`] holders of which each brings [`NEIGHBOURS_MAX`] others, so a walk takes some ten
//! thousand steps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chain::{
    exposure::Direction,
    label::Category,
    propagation::{Edge, EdgeKind, Graph, Mass, Side, Walk},
};
use domain::Address;

use super::{
    Flows,
    frame::COIN,
    holders::FIRST,
    state::{State, speaks_against},
};

/// Ties between an address and the known one, at most.
pub const TIES_MAX: usize = 3;
/// Holders looked at.
pub const NODES_MAX: usize = 256;
/// Others one holder brings.
pub const NEIGHBOURS_MAX: usize = 32;
/// A holder with more transfers one way is a service.
pub const BUSY: usize = 256;
/// Payers of a sink that ties them together, at most.
pub const SINK_PAYERS_MAX: usize = 16;

/// One tie of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    /// How the two are tied.
    pub kind: EdgeKind,
    /// Where it leads, away from the address that was asked about.
    pub address: Address,
    /// Whether that one acted: deployed, or paid first. Of a shared sink neither did.
    pub acted: bool,
}

/// A label derived for an address.
#[derive(Debug, Clone, PartialEq)]
pub struct Association {
    /// What the known holder at the end of the path is listed as.
    pub category: Category,
    /// Illicit share of what reaches the address from known holders around it.
    pub score: f64,
    /// That share, scaled down with every tie: what the label is worth, 0 to 1.
    pub confidence: f64,
    /// From the address to the known holder.
    pub path: Vec<Tie>,
    /// Known holders around it that lists speak against.
    pub illicit: usize,
    /// Known holders around it that lists name as harmless.
    pub licit: usize,
}

impl Flows {
    /// The label to be derived for an address from those it is tied to; `None` where there is none, and for an address that
    /// lists themselves speak against.
    #[must_use]
    pub fn association(&self, address: &Address) -> Option<Association> {
        let state = self.state.read();
        let holder = state.holders.find(address).filter(|holder| state.is_known(*holder))?;
        let is_known = state.label(holder).is_some_and(|category| speaks_against(category.tag()));
        if is_known { None } else { Neighbourhood::gather(&state, holder).association() }
    }
}

/// Whether a holder has so many transfers that it must be taken for a service.
pub(super) fn is_busy(state: &State, holder: u32) -> bool {
    state.assets.values().any(|flows| {
        [Direction::Source, Direction::Destination]
            .into_iter()
            .any(|direction| flows.transfers.turnover(holder, direction).transfers > BUSY)
    })
}

/// A few holders around one, with what connects them.
struct Neighbourhood<'s> {
    state: &'s State,
    /// The one in the middle first.
    nodes: Vec<u32>,
    places: BTreeMap<u32, u32>,
    edges: Vec<Edge>,
}

impl<'s> Neighbourhood<'s> {
    fn gather(state: &'s State, middle: u32) -> Self {
        let mut around =
            Self { state, nodes: vec![middle], places: BTreeMap::from([(middle, 0)]), edges: Vec::new() };
        let mut expanded = BTreeSet::new();
        let mut next: VecDeque<(u32, usize)> = VecDeque::from([(middle, 0)]);
        while let Some((holder, depth)) = next.pop_front() {
            if depth > TIES_MAX || !around.is_expanded(holder, middle) {
                continue;
            }
            expanded.insert(holder);
            for other in around.neighbours(holder) {
                if around.places.contains_key(&other) || around.nodes.len() >= NODES_MAX {
                    continue;
                }
                let place = u32::try_from(around.nodes.len()).unwrap_or(u32::MAX);
                around.nodes.push(other);
                around.places.insert(other, place);
                next.push_back((other, depth + 1));
            }
        }
        // Most addresses are near nobody a list speaks against: what connects them need not be known.
        if around.nodes.iter().skip(1).any(|holder| around.side(*holder) == Some(Side::Illicit)) {
            around.connect(&expanded);
        }
        around
    }

    /// Whether others are looked at from here: not from services, nor from whoever a list names as one.
    fn is_expanded(&self, holder: u32, middle: u32) -> bool {
        holder == middle || !(self.is_service(holder) || self.is_busy(holder))
    }

    /// Whether a list names it as one: a mixer as well as an exchange.
    fn is_service(&self, holder: u32) -> bool {
        self.state.label(holder).is_some_and(Category::is_service)
    }

    fn is_busy(&self, holder: u32) -> bool {
        is_busy(self.state, holder)
    }

    /// Different holders this one dealt with, contracts and their makers first.
    fn neighbours(&self, holder: u32) -> Vec<u32> {
        let mut found: Vec<u32> = self.state.deployer(holder).into_iter().collect();
        found.extend(self.state.deployed(holder).iter().take(NEIGHBOURS_MAX));
        let mut seen: BTreeSet<u32> = found.iter().copied().collect();
        if !self.is_busy(holder) {
            for flows in self.state.assets.values() {
                for direction in [Direction::Source, Direction::Destination] {
                    flows.transfers.for_each_of(holder, direction, |entry| {
                        if (entry.other as usize) >= FIRST
                            && found.len() < 2 * NEIGHBOURS_MAX
                            && seen.insert(entry.other)
                        {
                            found.push(entry.other);
                        }
                    });
                }
            }
        }
        found.truncate(NEIGHBOURS_MAX);
        found
    }

    /// Who paid a holder coins first, unless that is a service.
    fn funder(&self, holder: u32) -> Option<u32> {
        let coins = self.state.assets.get(&COIN)?;
        if coins.transfers.turnover(holder, Direction::Source).transfers > BUSY {
            return None;
        }
        let mut first = None;
        coins.transfers.for_each_of(holder, Direction::Source, |entry| {
            first.get_or_insert(entry.other);
        });
        first.filter(|payer| (*payer as usize) >= FIRST && !self.is_service(*payer) && !self.is_busy(*payer))
    }

    fn connect(&mut self, expanded: &BTreeSet<u32>) {
        let mut edges = Vec::new();
        let place = |holder: u32| self.places.get(&holder).copied();
        let mut connect = |from: u32, to: u32, kind| {
            if let (Some(from), Some(to)) = (place(from), place(to)) {
                edges.push(Edge { from, to, kind });
            }
        };
        for holder in expanded {
            if let Some(maker) = self.state.deployer(*holder) {
                connect(maker, *holder, EdgeKind::Deployment);
            }
            if let Some(payer) = self.funder(*holder) {
                connect(payer, *holder, EdgeKind::Funding);
            }
            if self.is_busy(*holder) {
                continue;
            }
            let dealt = |direction| {
                let mut others = Vec::new();
                for flows in self.state.assets.values() {
                    flows.transfers.for_each_of(*holder, direction, |entry| others.push(entry.other));
                }
                others.sort_unstable();
                others.dedup();
                others
            };
            let (payers, others) = (dealt(Direction::Source), dealt(Direction::Destination));
            payers.iter().for_each(|payer| connect(*payer, *holder, EdgeKind::Payment));
            others.iter().for_each(|other| connect(*holder, *other, EdgeKind::Payment));
            // A sink of few ties its payers; somebody a list names needs no such guess.
            // Nor does the address itself tie those who paid it, only to be tied to one by the other.
            let is_sink = self.state.label(*holder).is_none() && self.nodes.first() != Some(holder);
            if is_sink && payers.len() <= SINK_PAYERS_MAX {
                let payers: Vec<u32> =
                    payers.into_iter().filter(|payer| expanded.contains(payer) && payer != holder).collect();
                for (at, one) in payers.iter().enumerate() {
                    payers.iter().skip(at + 1).for_each(|two| connect(*one, *two, EdgeKind::SharedSink));
                }
            }
        }
        self.edges = edges;
    }

    fn side(&self, holder: u32) -> Option<Side> {
        let category = self.state.label(holder)?;
        match (speaks_against(category.tag()), category.is_malicious()) {
            (true, _) => Some(Side::Illicit),
            (false, true) => None,
            (false, false) => Some(Side::Licit),
        }
    }

    fn association(&self) -> Option<Association> {
        let mut seeds: Vec<Option<Side>> = self.nodes.iter().map(|holder| self.side(*holder)).collect();
        // What lists say of the address itself, they say themselves.
        if let Some(own) = seeds.first_mut() {
            *own = None;
        }
        let count = |side| seeds.iter().filter(|seed| **seed == Some(side)).count();
        let (illicit, licit) = (count(Side::Illicit), count(Side::Licit));
        if illicit == 0 {
            return None;
        }
        let (known, path) = self.nearest(&seeds)?;
        let graph = Graph::new(self.nodes.len(), &self.edges).ok()?;
        let walk = Walk::default();
        let score = graph.walk(&seeds, &walk).first().copied().and_then(Mass::score)?;
        let ties = i32::try_from(path.len()).unwrap_or(i32::MAX);
        Some(Association {
            category: self.state.label(known)?,
            score,
            confidence: score * walk.keep.powi(ties),
            path,
            illicit,
            licit,
        })
    }

    /// The nearest known illicit holder over ties alone, the gravest among equals, and the way there.
    fn nearest(&self, seeds: &[Option<Side>]) -> Option<(u32, Vec<Tie>)> {
        // The heaviest tie of each pair; each stands at both its ends.
        let mut ties: BTreeMap<(u32, u32), (EdgeKind, bool)> = BTreeMap::new();
        for edge in self.edges.iter().filter(|edge| edge.kind != EdgeKind::Payment && edge.from != edge.to) {
            let has_actor = edge.kind != EdgeKind::SharedSink;
            for (from, to, acted) in [(edge.to, edge.from, has_actor), (edge.from, edge.to, false)] {
                let tie = ties.entry((from, to)).or_insert((edge.kind, acted));
                if edge.kind < tie.0 {
                    *tie = (edge.kind, acted);
                }
            }
        }
        let mut before: BTreeMap<u32, u32> = BTreeMap::new();
        let mut level = vec![0_u32];
        for _ in 0..TIES_MAX {
            let mut next = BTreeSet::new();
            for at in &level {
                for ((_, to), _) in ties.range((*at, 0)..=(*at, u32::MAX)) {
                    if *to != 0 && !before.contains_key(to) {
                        before.insert(*to, *at);
                        next.insert(*to);
                    }
                }
            }
            let holder = |at: u32| self.nodes.get(at as usize).copied();
            let known = next
                .iter()
                .filter(|at| seeds.get(**at as usize) == Some(&Some(Side::Illicit)))
                .filter_map(|at| Some((self.state.label(holder(*at)?), self.address(*at)?, *at)))
                .min();
            if let Some((_, _, end)) = known {
                let mut path = Vec::new();
                let mut at = end;
                while let Some(nearer) = before.get(&at).copied() {
                    let (kind, acted) = ties.get(&(nearer, at)).copied()?;
                    path.push(Tie { kind, address: self.address(at)?, acted });
                    at = nearer;
                }
                path.reverse();
                return Some((holder(end)?, path));
            }
            level = next.into_iter().collect();
        }
        None
    }

    fn address(&self, place: u32) -> Option<Address> {
        self.state.holders.address(self.nodes.get(place as usize).copied()?)
    }
}
