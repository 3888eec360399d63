//! "Would not have fired if": the smallest change with which a rule that fired stays quiet.
//!
//! A condition that holds as a conjunction fails with any one of its clauses, as a disjunction only with all that hold; so
//! the search walks the tree once and keeps the few cheapest sets of clauses to flip. A clause's price is how far its slot
//! has to move, relative to its size; flipping a flag or changing a text costs as much as moving a number by all of it.
//!
//! Every answer is checked by evaluating the condition again with the change made; one that does not hold is not told. "Were
//! <= 1000" is told when it is proven for every such value; else the value itself is told, "were 1000".

use domain::Amount;

use crate::{
    ast::Cmp,
    bounds::CHANGES_MAX,
    number::{duration_text, to_double},
    possible::Values,
    reason::{double_text, shown, slot_text},
    rule::{Rule, WhenMissing},
    schema::{SlotId, Type},
    slots::{Slots, Value},
    tree::{Double, Int, Leaf, Logic, Money, Test, Text, Truth},
};

/// Sets of clauses kept at each step.
const ALTERNATIVES_MAX: usize = 4;
/// Price of flipping a flag or changing a text.
const FLIP: f64 = 1.0;
/// Price of a change of something computed, which may be no single change of a slot.
const OPAQUE: f64 = 1.5;
/// Price of knowing or not knowing a value: rarely what an analyst wants to hear.
const KNOWING: f64 = 2.0;
/// A text that no event has.
const OTHER: &str = "\u{7f}";
/// Numbers beside a list that are tried.
const NEIGHBOURS_MAX: i64 = 64;
/// Characters of a clause that is shown as written.
const CLAUSE_CHARS_MAX: usize = 120;

/// A value to put into a slot.
#[derive(Debug, Clone)]
enum NewValue {
    Bool(bool),
    Double(f64),
    Missing,
    Money(Amount),
    /// Nanoseconds or a plain integer, by the slot's type.
    Nanos(i64),
    Text(String),
}

/// A clause that would be different.
#[derive(Debug, Clone)]
struct Change<'r> {
    text: String,
    /// For a number that may move on from its new value: in which direction, and the words for the new value alone.
    range: Option<(bool, String)>,
    price: f64,
    /// The slot's new value; `None` for a clause that computes, which is then taken as flipped.
    set: Option<(SlotId, NewValue)>,
    leaf: &'r Leaf,
    goal: bool,
}

/// Clauses that change together.
type Changes<'r> = Vec<Change<'r>>;

fn price(changes: &[Change<'_>]) -> f64 {
    changes.iter().map(|change| change.price).sum()
}

/// What would have kept a rule quiet on an event it fired on; `None` if it is quiet, undecided, or nothing small was found.
pub(crate) fn would_pass_if(rule: &Rule, slots: &Slots) -> Option<String> {
    if rule.logic.eval(slots) != Some(true) {
        return None;
    }
    let still_fires = |changes: &[Change<'_>]| {
        let truth = with(&rule.logic, &changed(slots, changes), changes);
        truth.unwrap_or(rule.when_missing == WhenMissing::Fire)
    };
    for mut changes in alternatives(&rule.logic, slots, false) {
        // Of two changes of one slot the later counts, so both orders are tried.
        if still_fires(&changes) {
            changes.reverse();
        }
        if still_fires(&changes) {
            continue;
        }
        let mut index = 0;
        while index < changes.len() && changes.len() > 1 {
            let dropped = changes.remove(index);
            if still_fires(&changes) {
                changes.insert(index, dropped);
                index += 1;
            }
        }
        let is_proven = holds_beyond(&rule.logic, &changed(slots, &changes), &changes);
        let words = |change: Change<'_>| match change.range {
            Some((_, exact)) if !is_proven => exact,
            _ => change.text,
        };
        let mut texts: Vec<String> = changes.into_iter().map(words).collect();
        texts.sort_unstable();
        texts.dedup();
        return Some(texts.join(" and "));
    }
    None
}

/// Whether the condition stays untrue however far the changed numbers move on.
fn holds_beyond(logic: &Logic, changed: &Slots, changes: &[Change<'_>]) -> bool {
    let mut values = Values::of(changed);
    for change in changes {
        let (Some((id, _)), range) = (&change.set, &change.range) else { return false };
        if let Some((is_up, _)) = range {
            values.widen(*id, *is_up);
        }
    }
    !values.can_be_true(logic)
}

/// The event with the changes made, in order.
fn changed(slots: &Slots, changes: &[Change<'_>]) -> Slots {
    let mut slots = slots.clone();
    for (id, value) in changes.iter().filter_map(|change| change.set.as_ref()) {
        let ty = slots.schema().describe(*id).ty;
        let value = match value {
            NewValue::Bool(value) => Value::Bool(*value),
            NewValue::Double(value) => Value::Double(*value),
            NewValue::Missing => {
                slots.unset(*id);
                continue;
            }
            NewValue::Money(value) => Value::Money(*value),
            NewValue::Nanos(value) => match ty {
                Type::Duration => Value::Duration(*value),
                Type::Timestamp => Value::Timestamp(domain::UnixNanos(value.unsigned_abs())),
                _ => Value::Int(*value),
            },
            NewValue::Text(text) => Value::String(text),
        };
        // A value that does not fit leaves the slot missing, and the check of the answer sees that.
        if slots.set(*id, value).is_err() {
            slots.unset(*id);
        }
    }
    slots
}

/// The condition with clauses that compute taken as flipped.
fn with(logic: &Logic, slots: &Slots, changes: &[Change<'_>]) -> Truth {
    let parts = |parts: &[Logic], decisive: bool| {
        let mut truth = Some(!decisive);
        for part in parts {
            match with(part, slots, changes) {
                Some(value) if value == decisive => return Some(decisive),
                Some(_) => {}
                None => truth = None,
            }
        }
        truth
    };
    match logic {
        Logic::All(all) => parts(all, false),
        Logic::Any(any) => parts(any, true),
        Logic::Const(value) => Some(*value),
        Logic::If(branches) => {
            let [condition, then, otherwise] = &**branches;
            let taken = if with(condition, slots, changes)? { then } else { otherwise };
            with(taken, slots, changes)
        }
        Logic::Leaf(leaf) => {
            let flipped = |change: &&Change<'_>| change.set.is_none() && std::ptr::eq(change.leaf, &**leaf);
            match changes.iter().find(flipped) {
                Some(change) => Some(change.goal),
                None => leaf.test.eval(slots),
            }
        }
        Logic::Not(part) => with(part, slots, changes).map(|value| !value),
    }
}

/// The cheapest sets of changes that make a condition true (`goal`) or not true, cheapest first.
fn alternatives<'r>(logic: &'r Logic, slots: &Slots, goal: bool) -> Vec<Changes<'r>> {
    if logic.eval(slots) == Some(goal) {
        return vec![Vec::new()];
    }
    match logic {
        Logic::All(parts) => combine(parts, slots, goal, goal),
        Logic::Any(parts) => combine(parts, slots, goal, !goal),
        Logic::Const(_) => Vec::new(),
        Logic::If(branches) => {
            let [condition, then, otherwise] = &**branches;
            match condition.eval(slots) {
                Some(true) => alternatives(then, slots, goal),
                Some(false) => alternatives(otherwise, slots, goal),
                None => Vec::new(),
            }
        }
        Logic::Leaf(leaf) => change(leaf, slots, goal).map(|change| vec![change]).into_iter().collect(),
        Logic::Not(part) => alternatives(part, slots, !goal),
    }
}

/// Either all parts must reach the goal, or one.
fn combine<'r>(parts: &'r [Logic], slots: &Slots, goal: bool, needs_all: bool) -> Vec<Changes<'r>> {
    let mut found: Vec<Changes<'r>> = Vec::new();
    if needs_all {
        let mut together = Vec::new();
        for part in parts {
            match alternatives(part, slots, goal).into_iter().next() {
                Some(changes) => together.extend(changes),
                None => return found,
            }
        }
        if together.len() <= CHANGES_MAX {
            found.push(together);
        }
        return found;
    }
    for part in parts {
        found.extend(alternatives(part, slots, goal));
    }
    // Stable: of equals the one written first.
    found.sort_by(|a, b| price(a).total_cmp(&price(b)));
    found.truncate(ALTERNATIVES_MAX);
    found
}

/// How far a number moves, relative to its size: 0 to 2.
fn distance(from: Option<f64>, to: f64) -> f64 {
    let Some(from) = from else { return FLIP };
    let size = from.abs().max(to.abs());
    if size == 0.0 { 0.0 } else { ((from - to) / size).abs() }
}

/// The change that makes a clause true or false.
fn change<'r>(leaf: &'r Leaf, slots: &Slots, goal: bool) -> Option<Change<'r>> {
    let name = |slot: u16| slots.schema().describe(SlotId(slot)).name.as_str();
    let simple = match &leaf.test {
        Test::Double(cmp, Double::Slot(slot), Double::Const(value)) => {
            double(slots, *slot, *cmp, *value, goal)
        }
        Test::Double(cmp, Double::Const(value), Double::Slot(slot)) => {
            double(slots, *slot, cmp.swapped(), *value, goal)
        }
        Test::Double(cmp, Double::Slot(a), Double::Slot(b)) => slots.double_at(*b).and_then(|value| {
            let (_, price, new) = double(slots, *a, *cmp, value, goal)?;
            Some((beside(slots, *a, *cmp, *b, goal), price, new))
        }),
        Test::Int(cmp, Int::Slot(slot), Int::Const(value)) => int(slots, *slot, *cmp, *value, goal),
        Test::Int(cmp, Int::Const(value), Int::Slot(slot)) => int(slots, *slot, cmp.swapped(), *value, goal),
        Test::Int(cmp, Int::Slot(a), Int::Slot(b)) => slots.int_at(*b).and_then(|value| {
            let (_, price, new) = int(slots, *a, *cmp, value, goal)?;
            Some((beside(slots, *a, *cmp, *b, goal), price, new))
        }),
        Test::Money(cmp, Money::Slot(slot), Money::Const(value)) => money(slots, *slot, *cmp, *value, goal),
        Test::Money(cmp, Money::Const(value), Money::Slot(slot)) => {
            money(slots, *slot, cmp.swapped(), *value, goal)
        }
        Test::Flag(slot) => Some((format!("{} were {goal}", name(*slot)), FLIP, NewValue::Bool(goal))),
        Test::Has(slot) => {
            let (state, value) =
                if goal { ("known", default(slots, *slot)) } else { ("missing", NewValue::Missing) };
            Some((format!("{} were {state}", name(*slot)), KNOWING, value))
        }
        Test::Same(same, Text::Slot(slot), Text::Const(symbol))
        | Test::Same(same, Text::Const(symbol), Text::Slot(slot)) => {
            let text = slots.text(*symbol);
            let (not, value) = if *same == goal { ("", text) } else { ("not ", OTHER) };
            let sentence = format!("{} were {not}\"{}\"", name(*slot), shown(text));
            Some((sentence, FLIP, NewValue::Text(value.to_owned())))
        }
        Test::Same(same, Text::Slot(a), Text::Slot(b)) => slots.symbol_at(*b).map(|symbol| {
            let text = slots.text(symbol);
            let (state, value) =
                if *same == goal { ("the same as", text) } else { ("different from", OTHER) };
            let sentence = format!("{} were {state} {} (\"{}\")", name(*a), name(*b), shown(text));
            (sentence, FLIP, NewValue::Text(value.to_owned()))
        }),
        Test::TextIn(Text::Slot(slot), list) => {
            let value = if goal { list.first().map_or(OTHER, |symbol| slots.text(*symbol)) } else { OTHER };
            Some((membership(leaf, name(*slot), goal), FLIP, NewValue::Text(value.to_owned())))
        }
        Test::IntIn(Int::Slot(slot), list) => {
            let now = slots.int_at(*slot).unwrap_or_default();
            let value = if goal {
                list.iter().copied().min_by_key(|item| item.abs_diff(now))
            } else {
                (1..NEIGHBOURS_MAX)
                    .filter_map(|by| now.checked_add(by))
                    .find(|item| list.binary_search(item).is_err())
            };
            value.map(|value| (membership(leaf, name(*slot), goal), FLIP, NewValue::Nanos(value)))
        }
        Test::DoubleIn(Double::Slot(slot), list) => {
            let now = slots.double_at(*slot).unwrap_or_default();
            let value = if goal {
                list.iter().copied().min_by(|a, b| (a - now).abs().total_cmp(&(b - now).abs()))
            } else {
                let beside = (now + 0.0).next_up();
                list.binary_search_by(|item| item.total_cmp(&beside)).is_err().then_some(beside)
            };
            value.map(|value| (membership(leaf, name(*slot), goal), FLIP, NewValue::Double(value)))
        }
        _ => None,
    };
    match (simple, slot_of(&leaf.test)) {
        (Some((text, price, value)), Some(slot)) => {
            let set = Some((SlotId(slot), value));
            let range = range(&leaf.test, goal).map(|is_up| (is_up, exact(slots, set.as_ref())));
            Some(Change { text, range, price, set, leaf, goal })
        }
        _ => {
            let clause: String = leaf.source.to_string().chars().take(CLAUSE_CHARS_MAX).collect();
            Some(Change {
                text: format!("`{clause}` were {goal}"),
                range: None,
                price: OPAQUE,
                set: None,
                leaf,
                goal,
            })
        }
    }
}

/// Whether a comparison leaves its slot free upwards or downwards; `None` if it asks for one value, or is none of numbers.
fn range(test: &Test, goal: bool) -> Option<bool> {
    let cmp = match test {
        Test::Double(cmp, Double::Slot(_), _)
        | Test::Int(cmp, Int::Slot(_), _)
        | Test::Money(cmp, Money::Slot(_), _) => *cmp,
        Test::Double(cmp, ..) | Test::Int(cmp, ..) | Test::Money(cmp, ..) => cmp.swapped(),
        _ => return None,
    };
    match if goal { cmp } else { cmp.negated() } {
        Cmp::Ge | Cmp::Gt => Some(true),
        Cmp::Le | Cmp::Lt => Some(false),
        Cmp::Eq | Cmp::Ne => None,
    }
}

/// "NAME were VALUE".
fn exact(slots: &Slots, set: Option<&(SlotId, NewValue)>) -> String {
    let Some((id, value)) = set else { return String::new() };
    let described = slots.schema().describe(*id);
    let (value, unit) = match value {
        NewValue::Double(value) => (double_text(*value), described.unit.as_str()),
        NewValue::Money(value) => (value.to_string(), described.unit.as_str()),
        NewValue::Nanos(value) if described.ty == Type::Int => (value.to_string(), described.unit.as_str()),
        NewValue::Nanos(value) if described.ty == Type::Timestamp => {
            (domain::UnixNanos(value.unsigned_abs()).to_string(), "")
        }
        NewValue::Nanos(value) => (duration_text(*value), ""),
        NewValue::Bool(_) | NewValue::Missing | NewValue::Text(_) => return String::new(),
    };
    phrase(slots, *id, Cmp::Eq, value, unit)
}

/// The slot a simple test would see changed: the one on the left, or the only one.
const fn slot_of(test: &Test) -> Option<u16> {
    match test {
        Test::Double(_, Double::Slot(slot), _)
        | Test::Double(_, _, Double::Slot(slot))
        | Test::DoubleIn(Double::Slot(slot), _)
        | Test::Flag(slot)
        | Test::Has(slot)
        | Test::Int(_, Int::Slot(slot), _)
        | Test::Int(_, _, Int::Slot(slot))
        | Test::IntIn(Int::Slot(slot), _)
        | Test::Money(_, Money::Slot(slot), _)
        | Test::Money(_, _, Money::Slot(slot))
        | Test::Same(_, Text::Slot(slot), _)
        | Test::Same(_, _, Text::Slot(slot))
        | Test::TextIn(Text::Slot(slot), _) => Some(*slot),
        _ => None,
    }
}

fn membership(leaf: &Leaf, name: &str, goal: bool) -> String {
    let clause = leaf.source.to_string();
    let list = clause.split_once(" in ").map_or("", |(_, list)| list);
    let list: String = list.chars().take(CLAUSE_CHARS_MAX).collect();
    format!("{name} were {}in {list}", if goal { "" } else { "not " })
}

/// A value of the slot's type, for "were known".
fn default(slots: &Slots, slot: u16) -> NewValue {
    match slots.schema().describe(SlotId(slot)).ty {
        Type::Bool => NewValue::Bool(false),
        Type::Double => NewValue::Double(0.0),
        Type::Money => NewValue::Money(Amount::ZERO),
        Type::String => NewValue::Text(OTHER.to_owned()),
        Type::Duration | Type::Int | Type::Timestamp => NewValue::Nanos(0),
    }
}

/// "a were <= b (20 USD)".
fn beside(slots: &Slots, a: u16, cmp: Cmp, b: u16, goal: bool) -> String {
    let cmp = if goal { cmp } else { cmp.negated() };
    let name = |slot: u16| slots.schema().describe(SlotId(slot)).name.as_str();
    format!("{} were {} {} ({})", name(a), cmp.as_str(), name(b), slot_text(slots, SlotId(b)))
}

/// "amount were <= 1000 USD", its price and the nearest such value.
fn double(slots: &Slots, slot: u16, cmp: Cmp, value: f64, goal: bool) -> Option<(String, f64, NewValue)> {
    let cmp = if goal { cmp } else { cmp.negated() };
    let nearest = match cmp {
        Cmp::Eq | Cmp::Ge | Cmp::Le => value,
        Cmp::Gt | Cmp::Ne => (value + 0.0).next_up(),
        Cmp::Lt => (value + 0.0).next_down(),
    };
    let id = SlotId(slot);
    let unit = &slots.schema().describe(id).unit;
    let text = phrase(slots, id, cmp, double_text(value), unit);
    nearest.is_finite().then(|| (text, distance(slots.double_at(slot), nearest), NewValue::Double(nearest)))
}

/// "withdrawals_24h were <= 2", its price and the nearest such value.
fn int(slots: &Slots, slot: u16, cmp: Cmp, value: i64, goal: bool) -> Option<(String, f64, NewValue)> {
    let cmp = if goal { cmp } else { cmp.negated() };
    let nearest = match cmp {
        Cmp::Eq | Cmp::Ge | Cmp::Le => value,
        Cmp::Gt => value.checked_add(1)?,
        Cmp::Ne => value.checked_add(1).or_else(|| value.checked_sub(1))?,
        Cmp::Lt => value.checked_sub(1)?,
    };
    let id = SlotId(slot);
    let described = slots.schema().describe(id);
    let text = match described.ty {
        // Of whole numbers, "at most 2" reads better than "less than 3".
        Type::Int => match cmp {
            Cmp::Gt => phrase(slots, id, Cmp::Ge, nearest.to_string(), &described.unit),
            Cmp::Lt => phrase(slots, id, Cmp::Le, nearest.to_string(), &described.unit),
            cmp => phrase(slots, id, cmp, value.to_string(), &described.unit),
        },
        Type::Timestamp => {
            let at = u64::try_from(value).map(domain::UnixNanos).ok()?;
            phrase(slots, id, cmp, at.to_string(), "")
        }
        _ => phrase(slots, id, cmp, duration_text(value), ""),
    };
    let from = slots.int_at(slot).map(to_double);
    Some((text, distance(from, to_double(nearest)), NewValue::Nanos(nearest)))
}

/// "amount were <= 1000 USDT", its price and a value beyond by a little.
fn money(slots: &Slots, slot: u16, cmp: Cmp, value: Amount, goal: bool) -> Option<(String, f64, NewValue)> {
    let cmp = if goal { cmp } else { cmp.negated() };
    let step = Amount::from_parts(1, 0).ok()?;
    let nearest = match cmp {
        Cmp::Eq | Cmp::Ge | Cmp::Le => value,
        Cmp::Gt | Cmp::Ne => value.checked_add(step)?,
        Cmp::Lt => value.checked_sub(step)?,
    };
    let id = SlotId(slot);
    let text = phrase(slots, id, cmp, value.to_string(), &slots.schema().describe(id).unit);
    let from = slots.money_at(slot).map(Amount::to_f64_lossy);
    Some((text, distance(from, value.to_f64_lossy()), NewValue::Money(nearest)))
}

/// "NAME were OPERATOR VALUE UNIT".
fn phrase(slots: &Slots, id: SlotId, cmp: Cmp, value: String, unit: &str) -> String {
    let name = &slots.schema().describe(id).name;
    let space = if unit.is_empty() || unit == "%" { "" } else { " " };
    let cmp = match cmp {
        Cmp::Eq => String::new(),
        Cmp::Ne => "not ".to_owned(),
        cmp => format!("{} ", cmp.as_str()),
    };
    format!("{name} were {cmp}{value}{space}{unit}")
}

/// Each clause with what it is for an event: "amount > 1000.0 is true, new_device is missing".
pub(crate) fn trace(logic: &Logic, slots: &Slots) -> String {
    let mut leaves = Vec::new();
    collect(logic, &mut leaves);
    let shown = leaves.iter().take(CHANGES_MAX).map(|leaf| {
        let truth = match leaf.test.eval(slots) {
            Some(true) => "true",
            Some(false) => "false",
            None => "missing",
        };
        let clause: String = leaf.source.to_string().chars().take(CLAUSE_CHARS_MAX).collect();
        format!("`{clause}` is {truth}")
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn collect<'r>(logic: &'r Logic, leaves: &mut Vec<&'r Leaf>) {
    match logic {
        Logic::All(parts) | Logic::Any(parts) => parts.iter().for_each(|part| collect(part, leaves)),
        Logic::Const(_) => {}
        Logic::If(parts) => parts.iter().for_each(|part| collect(part, leaves)),
        Logic::Leaf(leaf) => leaves.push(leaf),
        Logic::Not(part) => collect(part, leaves),
    }
}
