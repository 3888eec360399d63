//! Changes in words, no wider than what is proven.
//!
//! In the words of the clauses if the condition is proven to stay untrue for every value they speak of ("amount were <=
//! 1000 USD"); else as ranges that begin at the new values, if those are proven; else as the new values themselves.

use super::{
    Trial,
    change::{Change, NewValue},
};
use crate::{
    ast::Cmp,
    bounds::CHANGES_MAX,
    number::duration_text,
    possible::Values,
    reason::{double_text, shown, slot_text},
    schema::{SlotId, Type},
    slots::Slots,
    tree::{Double, Int, Leaf, Logic, Money, Test, Text},
};

/// Characters of a clause that is shown as written.
const CLAUSE_CHARS_MAX: usize = 120;

/// How changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As the clauses say it.
    Clauses,
    /// Numbers as ranges from the new value on, away from the event's; everything else as it is.
    Onward,
    /// As new values.
    Exact,
}

/// What would have to be different, in one sentence.
pub(super) fn sentence(trial: &mut Trial<'_>, changes: &[Change<'_>]) -> String {
    trial.make(changes);
    let proven =
        [Manner::Clauses, Manner::Onward].into_iter().find(|manner| is_proven(trial, changes, *manner));
    let manner = proven.unwrap_or(Manner::Exact);
    let mut texts: Vec<String> = changes
        .iter()
        .map(|change| match (change.set, manner) {
            (None, _) => format!("`{}` were {}", as_written(change.leaf), change.goal),
            (Some(_), Manner::Clauses) => clause(&trial.now, change),
            (Some((id, value)), Manner::Onward) => {
                let cmp = onward(trial.event, id, value)
                    .map_or(Cmp::Eq, |is_up| if is_up { Cmp::Ge } else { Cmp::Le });
                new(&trial.now, id, cmp, value)
            }
            (Some((id, value)), Manner::Exact) => new(&trial.now, id, Cmp::Eq, value),
        })
        .collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join(" and ")
}

/// Whether the condition stays untrue for all that the words would allow. Of something computed nothing is proven.
fn is_proven(trial: &Trial<'_>, changes: &[Change<'_>], manner: Manner) -> bool {
    let mut values = Values::of(&trial.now);
    for change in changes {
        let Some((id, value)) = change.set else { return false };
        match manner {
            Manner::Clauses => match (change.comparison(), change.range(), &change.leaf.test) {
                // "Below 5" reaches nearer to 5 than the new value does.
                (Some(Cmp::Gt | Cmp::Lt), _, Test::Money(..)) => values.free(id, change.leaf, change.goal),
                (_, Some(is_up), _) => values.widen(id, is_up),
                (_, None, Test::Flag(_)) => {}
                (_, None, Test::Has(_)) if value == NewValue::Missing => {}
                _ => values.free(id, change.leaf, change.goal),
            },
            Manner::Onward => {
                if let Some(is_up) = onward(trial.event, id, value) {
                    values.widen(id, is_up);
                }
            }
            Manner::Exact => {}
        }
    }
    !values.can_be_true(&trial.rule.logic)
}

/// Whether a number's new value lies above or below that of the event.
fn onward(event: &Slots, id: SlotId, value: NewValue) -> Option<bool> {
    match value {
        NewValue::Double(value) => event.double_at(id.0).map(|from| value > from),
        NewValue::Money(value) => event.money_at(id.0).map(|from| value > from),
        NewValue::Nanos(value) => event.int_at(id.0).map(|from| value > from),
        NewValue::Bool(_) | NewValue::Missing | NewValue::Other | NewValue::Text(_) => None,
    }
}

/// "NAME were VALUE", or at least or at most the value.
fn new(slots: &Slots, id: SlotId, cmp: Cmp, value: NewValue) -> String {
    let described = slots.schema().describe(id);
    let unit = described.unit.as_str();
    match value {
        NewValue::Bool(value) => format!("{} were {value}", described.name),
        NewValue::Double(value) => {
            // The number beside a round one has to be told from it.
            let short = double_text(value);
            let text = if short.parse() == Ok(value) { short } else { value.to_string() };
            phrase(slots, id, cmp, &text, unit)
        }
        NewValue::Missing => format!("{} were missing", described.name),
        NewValue::Money(value) => phrase(slots, id, cmp, &value.to_string(), unit),
        NewValue::Nanos(value) => match described.ty {
            Type::Int => phrase(slots, id, cmp, &value.to_string(), unit),
            Type::Timestamp => phrase(slots, id, cmp, &time_text(value), ""),
            _ => phrase(slots, id, cmp, &duration_text(value), ""),
        },
        NewValue::Other => format!("{} were a text that this rule does not name", described.name),
        NewValue::Text(symbol) => format!("{} were \"{}\"", described.name, shown(slots.text(symbol))),
    }
}

/// The clause as it would be: "amount were <= 1000 USD".
fn clause(slots: &Slots, change: &Change<'_>) -> String {
    let goal = change.goal;
    let name = |slot: u16| slots.schema().describe(SlotId(slot)).name.as_str();
    let unit = |slot: u16| slots.schema().describe(SlotId(slot)).unit.as_str();
    match (&change.leaf.test, change.comparison()) {
        (
            Test::Double(_, Double::Slot(a), Double::Slot(b))
            | Test::Int(_, Int::Slot(a), Int::Slot(b))
            | Test::Money(_, Money::Slot(a), Money::Slot(b)),
            Some(cmp),
        ) => {
            format!("{} were {} {} ({})", name(*a), cmp.as_str(), name(*b), slot_text(slots, SlotId(*b)))
        }
        (
            Test::Double(_, Double::Slot(slot), Double::Const(value))
            | Test::Double(_, Double::Const(value), Double::Slot(slot)),
            Some(cmp),
        ) => phrase(slots, SlotId(*slot), cmp, &double_text(*value), unit(*slot)),
        (
            Test::Int(_, Int::Slot(slot), Int::Const(value))
            | Test::Int(_, Int::Const(value), Int::Slot(slot)),
            Some(cmp),
        ) => whole(slots, *slot, cmp, *value),
        (
            Test::Money(_, Money::Slot(slot), Money::Const(value))
            | Test::Money(_, Money::Const(value), Money::Slot(slot)),
            Some(cmp),
        ) => phrase(slots, SlotId(*slot), cmp, &value.to_string(), unit(*slot)),
        (Test::Flag(slot), _) => format!("{} were {goal}", name(*slot)),
        (Test::Has(slot), _) => format!("{} were {}", name(*slot), if goal { "known" } else { "missing" }),
        (
            Test::Same(same, Text::Slot(slot), Text::Const(symbol))
            | Test::Same(same, Text::Const(symbol), Text::Slot(slot)),
            _,
        ) => {
            let not = if *same == goal { "" } else { "not " };
            format!("{} were {not}\"{}\"", name(*slot), shown(slots.text(*symbol)))
        }
        (Test::Same(same, Text::Slot(a), Text::Slot(b)), _) => {
            let state = if *same == goal { "the same as" } else { "different from" };
            let text = slots.symbol_at(*b).map_or_else(String::new, |symbol| shown(slots.text(symbol)));
            format!("{} were {state} {} (\"{text}\")", name(*a), name(*b))
        }
        (
            Test::TextIn(Text::Slot(slot), _)
            | Test::IntIn(Int::Slot(slot), _)
            | Test::DoubleIn(Double::Slot(slot), _),
            _,
        ) => {
            let clause = change.leaf.source.to_string();
            let list = clause.split_once(" in ").map_or("", |(_, list)| list);
            let list: String = list.chars().take(CLAUSE_CHARS_MAX).collect();
            format!("{} were {}in {list}", name(*slot), if goal { "" } else { "not " })
        }
        // No other clause names a slot to change.
        (_, _) => format!("`{}` were {goal}", as_written(change.leaf)),
    }
}

/// Of whole numbers, "at most 2" reads better than "less than 3".
fn whole(slots: &Slots, slot: u16, cmp: Cmp, value: i64) -> String {
    let id = SlotId(slot);
    let described = slots.schema().describe(id);
    let (cmp, value) = match (described.ty, cmp) {
        (Type::Int, Cmp::Gt) => (Cmp::Ge, value.saturating_add(1)),
        (Type::Int, Cmp::Lt) => (Cmp::Le, value.saturating_sub(1)),
        (_, cmp) => (cmp, value),
    };
    new(slots, id, cmp, NewValue::Nanos(value))
}

fn time_text(nanos: i64) -> String {
    u64::try_from(nanos).map_or_else(|_| nanos.to_string(), |nanos| domain::UnixNanos(nanos).to_string())
}

/// "NAME were OPERATOR VALUE UNIT".
fn phrase(slots: &Slots, id: SlotId, cmp: Cmp, value: &str, unit: &str) -> String {
    let name = &slots.schema().describe(id).name;
    let space = if unit.is_empty() || unit == "%" { "" } else { " " };
    match cmp {
        Cmp::Eq => format!("{name} were {value}{space}{unit}"),
        Cmp::Ne => format!("{name} were not {value}{space}{unit}"),
        cmp => format!("{name} were {} {value}{space}{unit}", cmp.as_str()),
    }
}

fn as_written(leaf: &Leaf) -> String {
    leaf.source.to_string().chars().take(CLAUSE_CHARS_MAX).collect()
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
        format!("`{}` is {truth}", as_written(leaf))
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
