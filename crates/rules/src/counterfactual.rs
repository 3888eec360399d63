//! "Would not have fired if": the smallest change with which a rule that fired stays quiet.
//!
//! A condition that holds as a conjunction fails with any one of its clauses, as a disjunction only with all that hold; so
//! the search walks the tree and keeps the few cheapest sets of clauses to flip. A clause's price is how far its slot has
//! to move, relative to its size; flipping a flag or changing a text costs as much as moving a number by all of it.
//!
//! Alternatives may name one slot twice, and the edge of the one may lie within the other. Where the event as changed still
//! fires, the search goes on from there, so that `a >= -2 || a == -3` comes to "a were <= -4" in two rounds.
//!
//! Every answer is checked by evaluating the condition again with the change made; one that does not hold is not told. "Were
//! <= 1000" is told when it is proven for every such value; else the value itself is told, "were 1000".
//!
//! # Bounds
//! [`CHANGES_MAX`] changes in an answer, [`ALTERNATIVES_MAX`] sets of them at each node of the condition, [`OPEN_MAX`] from
//! which a round goes on, [`ROUNDS_MAX`] rounds; after that all pairs of [`EDGES_MAX`] values at the edges of clauses.

mod change;
mod words;

use crate::{
    bounds::CHANGES_MAX,
    rule::{Rule, WhenMissing},
    slots::Slots,
    tree::{Leaf, Logic, Truth},
};
use change::{Change, edges};
pub(crate) use words::trace;

/// Sets of clauses kept at each node.
const ALTERNATIVES_MAX: usize = 4;
/// Sets of changes from which the search goes on.
const OPEN_MAX: usize = 8;
/// Rounds of the search.
const ROUNDS_MAX: usize = 6;
/// Edges of clauses of which every pair is tried where that search finds nothing.
const EDGES_MAX: usize = 48;

/// Clauses that change together, no slot twice.
type Changes<'r> = Vec<Change<'r>>;

fn price(changes: &[Change<'_>]) -> f64 {
    changes.iter().map(|change| change.price).sum()
}

/// What would have kept a rule quiet on an event it fired on; `None` if it is quiet, undecided, or nothing small was found.
pub(crate) fn would_pass_if(rule: &Rule, event: &Slots) -> Option<String> {
    if rule.logic.eval(event) != Some(true) {
        return None;
    }
    let mut trial = Trial { rule, event, now: event.clone(), touched: Vec::new() };
    if let Some(change) = cheapest_clause(&rule.logic, event)
        && !trial.fires(&[change])
    {
        return Some(words::sentence(&mut trial, &[change]));
    }
    let changes = search(&mut trial).or_else(|| pair(&mut trial))?;
    Some(words::sentence(&mut trial, &changes))
}

/// The cheapest change to one clause of a conjunction of nothing but clauses, which most rules are: the search would find it
/// first.
fn cheapest_clause<'r>(logic: &'r Logic, event: &Slots) -> Option<Change<'r>> {
    let Logic::All(parts) = logic else { return None };
    let mut best: Option<Change<'r>> = None;
    for part in parts {
        let Logic::Leaf(leaf) = part else { return None };
        for change in edges(leaf, event, event, false) {
            if best.is_none_or(|best| change.price < best.price) {
                best = Some(change);
            }
        }
    }
    best
}

/// Flips clauses, and goes on from there while the rule still fires.
fn search<'r>(trial: &mut Trial<'r>) -> Option<Changes<'r>> {
    let (rule, event) = (trial.rule, trial.event);
    let mut open = vec![Vec::new()];
    // At most those of all rounds: ROUNDS_MAX times OPEN_MAX times ALTERNATIVES_MAX.
    let mut tried: Vec<Changes<'_>> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let mut quiet: Option<Changes<'_>> = None;
        let mut next: Vec<Changes<'_>> = Vec::new();
        for from in &open {
            trial.make(from);
            for more in alternatives(&rule.logic, &trial.now, from, event, false) {
                let changes = joined(from, &more);
                if changes.len() > CHANGES_MAX {
                    continue;
                }
                if trial.fires(&changes) {
                    if !tried.iter().any(|other| is_same(other, &changes)) {
                        tried.push(changes.clone());
                        next.push(changes);
                    }
                } else {
                    // The cheapest from here, and from those before the first of equal price.
                    let is_cheaper = quiet.as_ref().is_none_or(|best| price(&changes) < price(best));
                    quiet = if is_cheaper { Some(changes) } else { quiet };
                    break;
                }
            }
        }
        if let Some(mut changes) = quiet {
            trial.spare(&mut changes);
            return Some(changes);
        }
        next.sort_by(|a, b| price(a).total_cmp(&price(b))); // stable
        next.truncate(OPEN_MAX);
        open = next;
    }
    None
}

/// The cheapest edges of any clauses, one or two, that keep the rule quiet. The search keeps few alternatives; this looks at
/// all of so many edges, so that a condition that compares two slots with constants has an answer if there is one.
fn pair<'r>(trial: &mut Trial<'r>) -> Option<Changes<'r>> {
    let mut all: Vec<Change<'r>> = Vec::new();
    collect_edges(&trial.rule.logic, trial.event, &mut all);
    let mut best: Option<Changes<'r>> = None;
    for (index, one) in all.iter().enumerate() {
        for other in &all[index..] {
            let changes = joined(&[*one], &[*other]);
            let is_cheaper = best.as_ref().is_none_or(|best| price(&changes) < price(best));
            if is_cheaper && !trial.fires(&changes) {
                best = Some(changes);
            }
        }
    }
    let mut best = best?;
    trial.spare(&mut best);
    Some(best)
}

/// The edges of clauses to both sides, of the first [`EDGES_MAX`].
fn collect_edges<'r>(logic: &'r Logic, event: &Slots, all: &mut Vec<Change<'r>>) {
    match logic {
        Logic::All(parts) | Logic::Any(parts) => {
            parts.iter().for_each(|part| collect_edges(part, event, all));
        }
        Logic::Const(_) => {}
        Logic::If(parts) => parts.iter().for_each(|part| collect_edges(part, event, all)),
        Logic::Leaf(leaf) => {
            for change in [true, false].into_iter().flat_map(|goal| edges(leaf, event, event, goal)) {
                let is_new = change.set.is_some() && !all.iter().any(|other| other.set == change.set);
                if is_new && all.len() < EDGES_MAX {
                    all.push(change);
                }
            }
        }
        Logic::Not(part) => collect_edges(part, event, all),
    }
}

/// The event with changes made and unmade.
struct Trial<'a> {
    rule: &'a Rule,
    event: &'a Slots,
    now: Slots,
    /// Slots that may differ from the event's.
    touched: Vec<u16>,
}

impl Trial<'_> {
    /// Makes these changes and no others.
    fn make(&mut self, changes: &[Change<'_>]) {
        for slot in self.touched.drain(..) {
            self.now.copy_slot(self.event, slot);
        }
        for (id, value) in changes.iter().filter_map(|change| change.set) {
            change::put(&mut self.now, id, value);
            self.touched.push(id.0);
        }
    }

    /// Whether the rule fires with the changes.
    fn fires(&mut self, changes: &[Change<'_>]) -> bool {
        self.make(changes);
        let truth = truth(&self.rule.logic, &self.now, changes);
        truth.unwrap_or(self.rule.when_missing == WhenMissing::Fire)
    }

    /// Leaves out changes that are not needed.
    fn spare(&mut self, changes: &mut Changes<'_>) {
        let mut index = 0;
        while index < changes.len() && changes.len() > 1 {
            let dropped = changes.remove(index);
            if self.fires(changes) {
                changes.insert(index, dropped);
                index += 1;
            }
        }
    }
}

/// Changes and then more of them. Of two for one slot the later counts, unless both move it the same way: then the farther.
fn joined<'r>(changes: &[Change<'r>], more: &[Change<'r>]) -> Changes<'r> {
    let mut joined = Vec::with_capacity(changes.len() + more.len());
    joined.extend_from_slice(changes);
    for change in more {
        let slot = change.slot();
        match joined.iter_mut().find(|made| slot.is_some() && made.slot() == slot) {
            Some(made) if made.is_beyond(change) => {}
            Some(made) => *made = *change,
            None => joined.push(*change),
        }
    }
    joined
}

/// The condition with clauses that compute taken as flipped.
fn truth(logic: &Logic, slots: &Slots, changes: &[Change<'_>]) -> Truth {
    if changes.iter().all(|change| change.set.is_some()) {
        return logic.eval(slots);
    }
    let parts = |parts: &[Logic], decisive: bool| {
        let mut whole = Some(!decisive);
        for part in parts {
            match truth(part, slots, changes) {
                Some(value) if value == decisive => return Some(decisive),
                Some(_) => {}
                None => whole = None,
            }
        }
        whole
    };
    match logic {
        Logic::All(all) => parts(all, false),
        Logic::Any(any) => parts(any, true),
        Logic::Const(value) => Some(*value),
        Logic::If(branches) => {
            let [condition, then, otherwise] = &**branches;
            let taken = if truth(condition, slots, changes)? { then } else { otherwise };
            truth(taken, slots, changes)
        }
        Logic::Leaf(leaf) => match flipped(leaf, changes) {
            Some(change) => Some(change.goal),
            None => leaf.test.eval(slots),
        },
        Logic::Not(part) => truth(part, slots, changes).map(|value| !value),
    }
}

/// The change that takes this very clause as flipped.
fn flipped<'c, 'r>(leaf: &Leaf, changes: &'c [Change<'r>]) -> Option<&'c Change<'r>> {
    changes.iter().find(|change| change.set.is_none() && std::ptr::eq(change.leaf, leaf))
}

/// The cheapest sets of changes, to the slots as changed so far, that make a condition true (`goal`) or not true, cheapest
/// first. Prices are distances from the event.
fn alternatives<'r>(
    logic: &'r Logic,
    slots: &Slots,
    made: &[Change<'r>],
    event: &Slots,
    goal: bool,
) -> Vec<Changes<'r>> {
    if truth(logic, slots, made) == Some(goal) {
        return vec![Vec::new()];
    }
    let of = |part: &'r Logic, goal| alternatives(part, slots, made, event, goal);
    match logic {
        Logic::All(parts) if goal => together(parts.iter().map(|part| of(part, true))),
        Logic::Any(parts) if !goal => together(parts.iter().map(|part| of(part, false))),
        Logic::All(parts) | Logic::Any(parts) => {
            cheapest(parts.iter().flat_map(|part| of(part, goal)).collect())
        }
        Logic::Const(_) => Vec::new(),
        Logic::If(branches) => {
            let [condition, then, otherwise] = &**branches;
            let taken = truth(condition, slots, made);
            let way = |wanted: bool| {
                let branch = if wanted { then } else { otherwise };
                together([of(condition, wanted), of(branch, goal)])
            };
            match taken {
                Some(taken) => cheapest([way(taken), way(!taken)].concat()),
                None => cheapest([way(true), way(false)].concat()),
            }
        }
        Logic::Leaf(leaf) if flipped(leaf, made).is_some() => Vec::new(),
        Logic::Leaf(leaf) => edges(leaf, slots, event, goal).map(|change| vec![change]).collect(),
        Logic::Not(part) => of(part, !goal),
    }
}

/// One of each, in all ways; none if one has none.
fn together<'r>(parts: impl IntoIterator<Item = Vec<Changes<'r>>>) -> Vec<Changes<'r>> {
    let mut all = vec![Vec::new()];
    for part in parts {
        if let [only] = part.as_slice()
            && only.is_empty()
        {
            continue;
        }
        all = all.iter().flat_map(|before| part.iter().map(|more| joined(before, more))).collect();
        all = cheapest(all);
    }
    all.retain(|changes| changes.len() <= CHANGES_MAX);
    all
}

/// The cheapest few that differ; of equals the one written first.
fn cheapest(mut sets: Vec<Changes<'_>>) -> Vec<Changes<'_>> {
    sets.sort_by(|a, b| price(a).total_cmp(&price(b))); // stable
    let mut kept: Vec<Changes<'_>> = Vec::with_capacity(ALTERNATIVES_MAX);
    for set in sets {
        if kept.len() == ALTERNATIVES_MAX {
            break;
        }
        if !kept.iter().any(|other| is_same(other, &set)) {
            kept.push(set);
        }
    }
    kept
}

/// Whether two sets change the same to the same.
fn is_same(a: &[Change<'_>], b: &[Change<'_>]) -> bool {
    a.len() == b.len()
        && a.iter().all(|change| {
            b.iter().any(|other| match change.set {
                Some(_) => change.set == other.set,
                None => other.set.is_none() && std::ptr::eq(change.leaf, other.leaf),
            })
        })
}
