//! One clause that would be different: which slot takes which value, and what that costs.

use domain::Amount;

use crate::{
    ast::Cmp,
    intern::Symbol,
    number::to_double,
    schema::{SlotId, Type},
    slots::{Slots, Value},
    tree::{Double, Int, Leaf, Money, Test, Text},
};

/// Price of flipping a flag or changing a text.
const FLIP: f64 = 1.0;
/// Price of a change of something computed, which may be no single change of a slot.
const OPAQUE: f64 = 1.5;
/// Price of knowing or not knowing a value: rarely what an analyst wants to hear.
const KNOWING: f64 = 2.0;
/// A text that no event has.
const OTHER: &str = "\u{7f}";
/// Numbers beside a list that are tried on either side.
const NEIGHBOURS_MAX: i64 = 64;
/// Decimal places of the steps between amounts.
const STEP_SCALES: [u32; 3] = [2, 8, 0];

/// A value to put into a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NewValue {
    Bool(bool),
    Double(f64),
    Missing,
    Money(Amount),
    /// Nanoseconds or a plain integer, by the slot's type.
    Nanos(i64),
    /// A text that neither the set nor the event has.
    Other,
    Text(Symbol),
}

/// A clause that would be different.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'r> {
    pub(super) price: f64,
    /// The slot's new value; `None` for a clause that computes, which is then taken as flipped.
    pub(super) set: Option<(SlotId, NewValue)>,
    pub(super) leaf: &'r Leaf,
    pub(super) goal: bool,
}

impl Change<'_> {
    pub(super) fn slot(&self) -> Option<SlotId> {
        self.set.map(|(id, _)| id)
    }

    /// Whether the comparison leaves its slot free upwards or downwards; `None` if it asks for one value, or is none of
    /// numbers.
    pub(super) fn range(&self) -> Option<bool> {
        match self.comparison()? {
            Cmp::Ge | Cmp::Gt => Some(true),
            Cmp::Le | Cmp::Lt => Some(false),
            Cmp::Eq | Cmp::Ne => None,
        }
    }

    /// Whether both move one slot the same way, and this one at least as far.
    pub(super) fn is_beyond(&self, other: &Self) -> bool {
        let (Some(is_up), Some((id, value)), Some((other_id, other_value))) =
            (self.range(), self.set, other.set)
        else {
            return false;
        };
        let order = match (value, other_value) {
            (NewValue::Double(a), NewValue::Double(b)) => a.partial_cmp(&b),
            (NewValue::Money(a), NewValue::Money(b)) => Some(a.cmp(&b)),
            (NewValue::Nanos(a), NewValue::Nanos(b)) => Some(a.cmp(&b)),
            _ => None,
        };
        id == other_id
            && other.range() == Some(is_up)
            && order.is_some_and(|order| if is_up { order.is_ge() } else { order.is_le() })
    }

    /// What the slot on the left, or the only one, has to be to the other side.
    pub(super) fn comparison(&self) -> Option<Cmp> {
        self.set?;
        let cmp = match &self.leaf.test {
            Test::Double(cmp, Double::Slot(_), _)
            | Test::Int(cmp, Int::Slot(_), _)
            | Test::Money(cmp, Money::Slot(_), _) => *cmp,
            Test::Double(cmp, ..) | Test::Int(cmp, ..) | Test::Money(cmp, ..) => cmp.swapped(),
            _ => return None,
        };
        Some(if self.goal { cmp } else { cmp.negated() })
    }
}

/// Puts a value into a slot. One that does not fit leaves it missing, and the check of the answer sees that.
pub(super) fn put(slots: &mut Slots, id: SlotId, value: NewValue) {
    let ty = slots.schema().describe(id).ty;
    let value = match value {
        NewValue::Bool(value) => Value::Bool(value),
        NewValue::Double(value) => Value::Double(value),
        NewValue::Missing => return slots.unset(id),
        NewValue::Money(value) => Value::Money(value),
        NewValue::Nanos(value) => match ty {
            Type::Duration => Value::Duration(value),
            Type::Timestamp => match u64::try_from(value) {
                Ok(nanos) => Value::Timestamp(domain::UnixNanos(nanos)),
                Err(_) => return slots.unset(id),
            },
            _ => Value::Int(value),
        },
        NewValue::Other => Value::String(OTHER),
        NewValue::Text(symbol) => return slots.set_symbol(id, symbol),
    };
    if slots.set(id, value).is_err() {
        slots.unset(id);
    }
}

/// The changes that make a clause true or false: the nearest, and that on the other side where a value may lie on either.
pub(super) fn edges<'r>(
    leaf: &'r Leaf,
    slots: &Slots,
    event: &Slots,
    goal: bool,
) -> impl Iterator<Item = Change<'r>> {
    let change = |(slot, value): (u16, NewValue)| {
        let price = match &leaf.test {
            Test::Has(_) => KNOWING,
            _ => distance(event, slot, value),
        };
        Change { price, set: Some((SlotId(slot), value)), leaf, goal }
    };
    let pair = match values(&leaf.test, slots, goal) {
        Some(pair) => match pair.map(|edge| edge.map(change)) {
            [Some(a), Some(b)] if b.price < a.price => [Some(b), Some(a)],
            pair => pair,
        },
        None => [Some(Change { price: OPAQUE, set: None, leaf, goal }), None],
    };
    pair.into_iter().flatten()
}

/// A slot and its new value, or two of which either will do; `None` for what is no simple clause.
fn values(test: &Test, slots: &Slots, goal: bool) -> Option<[Option<(u16, NewValue)>; 2]> {
    let aim = |cmp: Cmp| if goal { cmp } else { cmp.negated() };
    let one = |slot: u16, value: NewValue| Some([Some((slot, value)), None]);
    let same = |slot: u16, symbol: Symbol, is_same: bool| {
        let value = if is_same == goal { NewValue::Text(symbol) } else { NewValue::Other };
        one(slot, value)
    };
    match test {
        Test::Double(cmp, Double::Slot(slot), Double::Const(value)) => Some(double(*slot, aim(*cmp), *value)),
        Test::Double(cmp, Double::Const(value), Double::Slot(slot)) => {
            Some(double(*slot, aim(cmp.swapped()), *value))
        }
        Test::Double(cmp, Double::Slot(a), Double::Slot(b)) => {
            slots.double_at(*b).map(|value| double(*a, aim(*cmp), value))
        }
        Test::Int(cmp, Int::Slot(slot), Int::Const(value)) => Some(int(*slot, aim(*cmp), *value)),
        Test::Int(cmp, Int::Const(value), Int::Slot(slot)) => Some(int(*slot, aim(cmp.swapped()), *value)),
        Test::Int(cmp, Int::Slot(a), Int::Slot(b)) => slots.int_at(*b).map(|value| int(*a, aim(*cmp), value)),
        Test::Money(cmp, Money::Slot(slot), Money::Const(value)) => Some(money(*slot, aim(*cmp), *value)),
        Test::Money(cmp, Money::Const(value), Money::Slot(slot)) => {
            Some(money(*slot, aim(cmp.swapped()), *value))
        }
        Test::Money(cmp, Money::Slot(a), Money::Slot(b)) => {
            slots.money_at(*b).map(|value| money(*a, aim(*cmp), value))
        }
        Test::Flag(slot) => one(*slot, NewValue::Bool(goal)),
        Test::Has(slot) => one(*slot, if goal { default(slots, *slot) } else { NewValue::Missing }),
        Test::Same(is_same, Text::Slot(slot), Text::Const(symbol))
        | Test::Same(is_same, Text::Const(symbol), Text::Slot(slot)) => same(*slot, *symbol, *is_same),
        Test::Same(is_same, Text::Slot(a), Text::Slot(b)) => {
            slots.symbol_at(*b).and_then(|symbol| same(*a, symbol, *is_same))
        }
        Test::TextIn(Text::Slot(slot), list) if goal => one(*slot, NewValue::Text(*list.first()?)),
        Test::TextIn(Text::Slot(slot), _) => one(*slot, NewValue::Other),
        Test::IntIn(Int::Slot(slot), list) => {
            let now = slots.int_at(*slot).unwrap_or_default();
            let set = |value| (*slot, NewValue::Nanos(value));
            if goal {
                return Some([list.iter().copied().min_by_key(|item| item.abs_diff(now)).map(set), None]);
            }
            let outside = |by: i64| {
                let beside = (1..NEIGHBOURS_MAX).filter_map(|steps| now.checked_add(by * steps));
                beside.into_iter().find(|item| list.binary_search(item).is_err())
            };
            Some([outside(1).map(set), outside(-1).map(set)])
        }
        Test::DoubleIn(Double::Slot(slot), list) => {
            let now = slots.double_at(*slot).unwrap_or_default() + 0.0;
            let set = |value| (*slot, NewValue::Double(value));
            if goal {
                let nearest = |a: &f64, b: &f64| (a - now).abs().total_cmp(&(b - now).abs());
                return Some([list.iter().copied().min_by(nearest).map(set), None]);
            }
            let outside = [now.next_up(), now.next_down()]
                .map(|item| Some(item).filter(|item| item.is_finite() && !list.contains(item)));
            Some(outside.map(|item| item.map(set)))
        }
        _ => None,
    }
}

/// How far a slot's new value lies from that of the event, relative to its size: 0 to 2 for numbers.
fn distance(event: &Slots, slot: u16, to: NewValue) -> f64 {
    let (from, to) = match to {
        NewValue::Double(to) => (event.double_at(slot), to),
        NewValue::Money(to) => (event.money_at(slot).map(Amount::to_f64_lossy), to.to_f64_lossy()),
        NewValue::Nanos(to) => (event.int_at(slot).map(to_double), to_double(to)),
        NewValue::Bool(_) | NewValue::Missing | NewValue::Other | NewValue::Text(_) => return FLIP,
    };
    let Some(from) = from else { return FLIP };
    let size = from.abs().max(to.abs());
    if size == 0.0 { 0.0 } else { (from / size - to / size).abs() }
}

/// A value of the slot's type, for "were known".
fn default(slots: &Slots, slot: u16) -> NewValue {
    match slots.schema().describe(SlotId(slot)).ty {
        Type::Bool => NewValue::Bool(false),
        Type::Double => NewValue::Double(0.0),
        Type::Money => NewValue::Money(Amount::ZERO),
        Type::String => NewValue::Other,
        Type::Duration | Type::Int | Type::Timestamp => NewValue::Nanos(0),
    }
}

/// The nearest values of a comparison, at or beside `value`.
fn near<T: Copy>(cmp: Cmp, value: T, above: Option<T>, below: Option<T>) -> [Option<T>; 2] {
    match cmp {
        Cmp::Eq | Cmp::Ge | Cmp::Le => [Some(value), None],
        Cmp::Gt => [above, None],
        Cmp::Lt => [below, None],
        Cmp::Ne => [above, below],
    }
}

fn double(slot: u16, cmp: Cmp, value: f64) -> [Option<(u16, NewValue)>; 2] {
    let finite = |value: f64| Some(value).filter(|value| value.is_finite());
    // Zero is made positive: the number above negative zero is not above zero.
    let zeroed = value + 0.0;
    near(cmp, value, finite(zeroed.next_up()), finite(zeroed.next_down()))
        .map(|value| value.map(|value| (slot, NewValue::Double(value))))
}

fn int(slot: u16, cmp: Cmp, value: i64) -> [Option<(u16, NewValue)>; 2] {
    near(cmp, value, value.checked_add(1), value.checked_sub(1))
        .map(|value| value.map(|value| (slot, NewValue::Nanos(value))))
}

/// Beside an amount lies the one that is more, or less, by the least of a few steps it can be told from.
fn money(slot: u16, cmp: Cmp, value: Amount) -> [Option<(u16, NewValue)>; 2] {
    let beside = |step: fn(Amount, Amount) -> Option<Amount>| {
        STEP_SCALES
            .into_iter()
            .filter_map(|scale| step(value, Amount::from_parts(1, scale).ok()?))
            .find(|beside| *beside != value)
    };
    near(cmp, value, beside(Amount::checked_add), beside(Amount::checked_sub))
        .map(|value| value.map(|value| (slot, NewValue::Money(value))))
}
