//! What a condition can be when slots may have any of several values: interval arithmetic for numbers, sets for texts.
//!
//! It overestimates where one slot stands in several places, and never underestimates: what it says cannot be true is true
//! for no choice of values. The guard proves with it that weak evidence does not block, the counterfactual that "amount were
//! <= 1000" holds for all such amounts.
//!
//! Source: Cousot and Cousot, "Abstract interpretation" (POPL 1977), the interval domain.

use std::collections::{BTreeMap, BTreeSet};

use domain::Amount;

use crate::{
    ast::Cmp,
    intern::Symbol,
    number::{compare, to_double},
    schema::{SlotId, Type},
    slots::Slots,
    tree::{Double, Int, Leaf, Logic, Money, Test, Text},
};

/// What a condition can be, missing apart: any slot may be missing, and missing never makes a condition true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Can {
    can_be_true: bool,
    can_be_false: bool,
}

impl Can {
    const BOTH: Self = Self { can_be_true: true, can_be_false: true };

    const fn not(self) -> Self {
        Self { can_be_true: self.can_be_false, can_be_false: self.can_be_true }
    }

    const fn or(self, other: Self) -> Self {
        Self {
            can_be_true: self.can_be_true || other.can_be_true,
            can_be_false: self.can_be_false || other.can_be_false,
        }
    }
}

/// From low to high, both included. Values that leave the range of their type are missing, so they need no place here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range<T> {
    pub(crate) low: T,
    pub(crate) high: T,
}

pub(crate) type Ints = Range<i64>;
/// An infinite end means that there is none.
pub(crate) type Doubles = Range<f64>;
/// `None` means that there is no end.
pub(crate) type Amounts = Range<Option<Amount>>;

const ANY_INT: Ints = Range { low: i64::MIN, high: i64::MAX };
const ANY_DOUBLE: Doubles = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };
const ANY_AMOUNT: Amounts = Range { low: None, high: None };

/// Texts that are possible; `None` is any.
type Texts = Option<BTreeSet<Symbol>>;

/// The values each slot may have. Where nothing is said: those of the event, or any value if there is none.
#[derive(Debug, Default)]
pub(crate) struct Values<'e> {
    pub(crate) flags: BTreeMap<u16, bool>,
    pub(crate) ints: BTreeMap<u16, Ints>,
    pub(crate) doubles: BTreeMap<u16, Doubles>,
    pub(crate) amounts: BTreeMap<u16, Amounts>,
    pub(crate) texts: BTreeMap<u16, BTreeSet<Symbol>>,
    /// What it leaves out is missing, all else is known to be there; without an event any slot may be missing.
    event: Option<&'e Slots>,
    /// Slots that may have any value of their type all the same.
    free: Vec<u16>,
    /// Clauses that are known to be true or false, whatever their slots hold.
    known: Vec<(&'e Leaf, bool)>,
}

/// How far, relative to its size, an amount as a float may lie from the amount.
const SLACK: f64 = 1e-12;

#[allow(
    clippy::cast_possible_truncation,
    reason = "a float beyond the range saturates, which is what is wanted"
)]
pub(crate) const fn saturated(value: f64) -> i64 {
    value as i64
}

impl<'e> Values<'e> {
    /// The values of one event.
    pub(crate) fn of(event: &'e Slots) -> Self {
        Self { event: Some(event), ..Self::default() }
    }

    /// Lets a number be its value or anything above (`is_up`) or below it.
    pub(crate) fn widen(&mut self, id: SlotId, is_up: bool) {
        let Some(event) = self.event else { return };
        let slot = id.0;
        match event.schema().describe(id).ty {
            Type::Double => {
                if let Some(value) = event.double_at(slot) {
                    let range = if is_up {
                        Range { low: value, high: f64::INFINITY }
                    } else {
                        Range { low: f64::NEG_INFINITY, high: value }
                    };
                    self.doubles.insert(slot, range);
                }
            }
            Type::Duration | Type::Int | Type::Timestamp => {
                if let Some(value) = event.int_at(slot) {
                    let range = if is_up {
                        Range { low: value, high: i64::MAX }
                    } else {
                        Range { low: i64::MIN, high: value }
                    };
                    self.ints.insert(slot, range);
                }
            }
            Type::Money => {
                let end = event.money_at(slot);
                let range =
                    if is_up { Range { low: end, high: None } } else { Range { low: None, high: end } };
                self.amounts.insert(slot, range);
            }
            Type::Bool | Type::String => {}
        }
    }

    /// Lets a slot be anything with which a clause is true or false.
    pub(crate) fn free(&mut self, id: SlotId, clause: &'e Leaf, truth: bool) {
        self.free.push(id.0);
        self.known.push((clause, truth));
    }

    /// Whether a slot is known to be missing.
    fn is_absent(&self, slot: u16) -> bool {
        self.event.is_some_and(|event| event.cell(slot).is_none() && !self.free.contains(&slot))
    }

    /// The event, for a slot of which nothing else is said.
    fn event_at(&self, slot: u16) -> Option<&'e Slots> {
        self.event.filter(|_| !self.free.contains(&slot))
    }

    /// Whether a condition can be true for some of these values.
    pub(crate) fn can_be_true(&self, logic: &Logic) -> bool {
        self.logic(logic).can_be_true
    }

    /// Whether a test reads a missing slot whatever else it does, and so is missing itself.
    fn is_missing(&self, test: &Test) -> bool {
        let int = |int: &Int| matches!(int, Int::Slot(slot) if self.is_absent(*slot));
        let double = |double: &Double| matches!(double, Double::Slot(slot) if self.is_absent(*slot));
        let money = |money: &Money| matches!(money, Money::Slot(slot) if self.is_absent(*slot));
        let text = |text: &Text| matches!(text, Text::Slot(slot) if self.is_absent(*slot));
        match test {
            Test::Double(_, a, b) => double(a) || double(b),
            Test::DoubleIn(value, _) => double(value),
            Test::Flag(slot) => self.is_absent(*slot),
            Test::Has(_) | Test::Iff(..) => false,
            Test::Int(_, a, b) => int(a) || int(b),
            Test::IntIn(value, _) => int(value),
            Test::Mixed(_, a, b) => int(a) || double(b),
            Test::Money(_, a, b) => money(a) || money(b),
            Test::Same(_, a, b) | Test::Search(_, a, b) => text(a) || text(b),
            Test::TextIn(value, _) => text(value),
        }
    }

    fn logic(&self, logic: &Logic) -> Can {
        match logic {
            Logic::All(parts) => {
                let mut all = Can { can_be_true: true, can_be_false: false };
                for part in parts {
                    let part = self.logic(part);
                    all.can_be_true &= part.can_be_true;
                    all.can_be_false |= part.can_be_false;
                }
                all
            }
            Logic::Any(parts) => {
                let mut any = Can { can_be_true: false, can_be_false: true };
                for part in parts {
                    let part = self.logic(part);
                    any.can_be_true |= part.can_be_true;
                    any.can_be_false &= part.can_be_false;
                }
                any
            }
            Logic::Const(value) => Can { can_be_true: *value, can_be_false: !value },
            Logic::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                self.either(condition, self.logic(then), self.logic(otherwise), Can::or)
                    .unwrap_or(Can { can_be_true: false, can_be_false: false })
            }
            Logic::Leaf(leaf) => match self.known.iter().find(|(known, _)| std::ptr::eq(*known, &**leaf)) {
                Some((_, truth)) => Can { can_be_true: *truth, can_be_false: !truth },
                None => self.test(&leaf.test),
            },
            Logic::Not(part) => self.logic(part).not(),
        }
    }

    /// The values of a conditional: those of the branches that can be taken; `None` if neither can.
    fn either<T>(&self, condition: &Logic, then: T, otherwise: T, join: impl Fn(T, T) -> T) -> Option<T> {
        let condition = self.logic(condition);
        match (condition.can_be_true, condition.can_be_false) {
            (true, true) => Some(join(then, otherwise)),
            (true, false) => Some(then),
            (false, true) => Some(otherwise),
            (false, false) => None,
        }
    }

    fn test(&self, test: &Test) -> Can {
        if self.is_missing(test) {
            return Can { can_be_true: false, can_be_false: false };
        }
        match test {
            Test::Double(cmp, a, b) => {
                let (a, b) = (self.double(a), self.double(b));
                ordered(
                    *cmp,
                    a.low <= b.high && b.low <= a.high,
                    a.low < b.high,
                    a.high > b.low,
                    one(a) && one(b),
                )
            }
            Test::DoubleIn(value, list) => {
                let value = self.double(value);
                let inside = |item: &f64| *item >= value.low && *item <= value.high;
                Can {
                    can_be_true: list.iter().any(inside),
                    can_be_false: !(one(value) && list.iter().any(inside)),
                }
            }
            Test::Flag(slot) => match self.flag(*slot) {
                Some(value) => Can { can_be_true: value, can_be_false: !value },
                None => Can::BOTH,
            },
            Test::Has(slot) if self.event.is_some() => {
                let is_absent = self.is_absent(*slot);
                Can { can_be_true: !is_absent, can_be_false: is_absent }
            }
            Test::Has(_) => Can::BOTH,
            Test::Iff(same, a, b) => {
                let (a, b) = (self.logic(a), self.logic(b));
                let can = Can {
                    can_be_true: (a.can_be_true && b.can_be_true) || (a.can_be_false && b.can_be_false),
                    can_be_false: (a.can_be_true && b.can_be_false) || (a.can_be_false && b.can_be_true),
                };
                if *same { can } else { can.not() }
            }
            Test::Int(cmp, a, b) => {
                let (a, b) = (self.int(a), self.int(b));
                ordered(
                    *cmp,
                    a.low <= b.high && b.low <= a.high,
                    a.low < b.high,
                    a.high > b.low,
                    one(a) && one(b),
                )
            }
            Test::IntIn(value, list) => {
                let value = self.int(value);
                let inside = |item: &i64| *item >= value.low && *item <= value.high;
                Can {
                    can_be_true: list.iter().any(inside),
                    can_be_false: !(one(value) && list.iter().any(inside)),
                }
            }
            Test::Mixed(cmp, a, b) => {
                let (a, b) = (self.int(a), self.double(b));
                let (low_high, high_low) = (compare(a.low, b.high), compare(a.high, b.low));
                let meet = low_high.is_le() && high_low.is_ge();
                ordered(*cmp, meet, low_high.is_lt(), high_low.is_gt(), one(a) && one(b))
            }
            Test::Money(cmp, a, b) => {
                let (a, b) = (self.money(a), self.money(b));
                let at_most = |low: Option<Amount>, high: Option<Amount>| {
                    low.is_none() || high.is_none() || low <= high
                };
                let below =
                    |low: Option<Amount>, high: Option<Amount>| low.is_none() || high.is_none() || low < high;
                let meet = at_most(a.low, b.high) && at_most(b.low, a.high);
                let is_one = a.low.is_some() && a.low == a.high && b.low.is_some() && b.low == b.high;
                ordered(*cmp, meet, below(a.low, b.high), below(b.low, a.high), is_one)
            }
            Test::Same(same, a, b) => {
                let can = match (self.text(a), self.text(b)) {
                    (Some(a), Some(b)) => {
                        Can { can_be_true: !a.is_disjoint(&b), can_be_false: !(a.len() == 1 && a == b) }
                    }
                    _ => Can::BOTH,
                };
                if *same { can } else { can.not() }
            }
            Test::Search(..) => Can::BOTH,
            Test::TextIn(value, list) => match self.text(value) {
                None => Can { can_be_true: !list.is_empty(), can_be_false: true },
                Some(texts) => {
                    let listed = |symbol: &Symbol| list.binary_search(symbol).is_ok();
                    Can { can_be_true: texts.iter().any(listed), can_be_false: !texts.iter().all(listed) }
                }
            },
        }
    }

    fn flag(&self, slot: u16) -> Option<bool> {
        self.flags.get(&slot).copied().or_else(|| self.event_at(slot)?.bool_at(slot))
    }

    fn int(&self, int: &Int) -> Ints {
        let both = |pair: &[Int; 2]| (self.int(&pair[0]), self.int(&pair[1]));
        // Results beyond the range are missing, so the range itself bounds what is left.
        let clamped = |low: i128, high: i128| {
            let clamp = |end: i128| {
                let end = end.clamp(i64::MIN.into(), i64::MAX.into());
                i64::try_from(end).unwrap_or_default()
            };
            Range { low: clamp(low), high: clamp(high) }
        };
        match int {
            Int::Add(pair) => {
                let (a, b) = both(pair);
                clamped(i128::from(a.low) + i128::from(b.low), i128::from(a.high) + i128::from(b.high))
            }
            Int::Const(value) => Range { low: *value, high: *value },
            Int::Divide(pair) => {
                let (a, b) = both(pair);
                if b.low > 0 {
                    // The quotient grows with the dividend and shrinks towards zero with the divisor.
                    let ends = [a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high];
                    return hull(ends);
                }
                let size = i128::from(a.low.unsigned_abs().max(a.high.unsigned_abs()));
                clamped(-size, size)
            }
            Int::FromDouble(value) => {
                let value = self.double(value);
                Range { low: saturated(value.low), high: saturated(value.high) }
            }
            Int::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                self.either(condition, self.int(then), self.int(otherwise), join).unwrap_or(ANY_INT)
            }
            Int::Multiply(pair) => {
                let (a, b) = both(pair);
                let ends = [(a.low, b.low), (a.low, b.high), (a.high, b.low), (a.high, b.high)];
                let products = ends.map(|(a, b)| i128::from(a) * i128::from(b));
                clamped(
                    products.into_iter().min().unwrap_or(i128::MIN),
                    products.into_iter().max().unwrap_or(i128::MAX),
                )
            }
            Int::Negate(value) => {
                let value = self.int(value);
                clamped(-i128::from(value.high), -i128::from(value.low))
            }
            Int::Part(part, value) => {
                let value = self.int(value);
                match part {
                    crate::number::TimePart::DayOfWeek => Range { low: 0, high: 6 },
                    crate::number::TimePart::HourOfDay => Range { low: 0, high: 23 },
                    // Whole units of a duration grow with it.
                    part => Range { low: part.of(value.low), high: part.of(value.high) },
                }
            }
            Int::Remainder(pair) => {
                let (a, b) = both(pair);
                let divisor = i128::from(b.low.unsigned_abs().max(b.high.unsigned_abs())) - 1;
                let low = if a.low < 0 { -divisor.max(0) } else { 0 };
                let high = if a.high > 0 { divisor.max(0) } else { 0 };
                clamped(low.max(i128::from(a.low.min(0))), high.min(i128::from(a.high.max(0))))
            }
            Int::Size(_) => Range { low: 0, high: i64::MAX },
            Int::Slot(slot) => {
                let single =
                    || self.event_at(*slot)?.int_at(*slot).map(|value| Range { low: value, high: value });
                self.ints.get(slot).copied().or_else(single).unwrap_or(ANY_INT)
            }
            Int::Subtract(pair) => {
                let (a, b) = both(pair);
                clamped(i128::from(a.low) - i128::from(b.high), i128::from(a.high) - i128::from(b.low))
            }
        }
    }

    /// Rounding to nearest never changes the order of two results, so the results at the ends bound those between.
    fn double(&self, double: &Double) -> Doubles {
        let both = |pair: &[Double; 2]| (self.double(&pair[0]), self.double(&pair[1]));
        match double {
            Double::Add(pair) => {
                let (a, b) = both(pair);
                whole(a.low + b.low, a.high + b.high)
            }
            Double::Const(value) => Range { low: *value, high: *value },
            Double::Divide(pair) => {
                let (a, b) = both(pair);
                if b.low <= 0.0 && b.high >= 0.0 {
                    return ANY_DOUBLE;
                }
                corners(a, b, |a, b| a / b)
            }
            Double::FromInt(value) => {
                let value = self.int(value);
                Range { low: to_double(value.low), high: to_double(value.high) }
            }
            Double::FromMoney(value) => {
                let value = self.money(value);
                // The way from decimal to float may be off by its last digits.
                let end = |end: Option<Amount>, none: f64| {
                    end.map_or(none, |end| {
                        end.to_f64_lossy() + none.signum() * end.to_f64_lossy().abs() * SLACK
                    })
                };
                whole(end(value.low, f64::NEG_INFINITY), end(value.high, f64::INFINITY))
            }
            Double::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                self.either(condition, self.double(then), self.double(otherwise), join).unwrap_or(ANY_DOUBLE)
            }
            Double::Multiply(pair) => {
                let (a, b) = both(pair);
                corners(a, b, |a, b| a * b)
            }
            Double::Negate(value) => {
                let value = self.double(value);
                Range { low: -value.high, high: -value.low }
            }
            Double::Slot(slot) => {
                let single =
                    || self.event_at(*slot)?.double_at(*slot).map(|value| Range { low: value, high: value });
                self.doubles.get(slot).copied().or_else(single).unwrap_or(ANY_DOUBLE)
            }
            Double::Subtract(pair) => {
                let (a, b) = both(pair);
                whole(a.low - b.high, a.high - b.low)
            }
        }
    }

    fn money(&self, money: &Money) -> Amounts {
        let sum = |a: Option<Amount>, b: Option<Amount>| a.and_then(|a| a.checked_add(b?));
        match money {
            Money::Add(pair) => {
                let (a, b) = (self.money(&pair[0]), self.money(&pair[1]));
                Range { low: sum(a.low, b.low), high: sum(a.high, b.high) }
            }
            Money::Const(value) => Range { low: Some(*value), high: Some(*value) },
            Money::FromInt(value) => {
                let value = self.int(value);
                let amount = |end: i64| Amount::from_parts(end.into(), 0).ok();
                Range { low: amount(value.low), high: amount(value.high) }
            }
            Money::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                let join = |a: Amounts, b: Amounts| Range {
                    low: a.low.and_then(|low| Some(low.min(b.low?))),
                    high: a.high.and_then(|high| Some(high.max(b.high?))),
                };
                self.either(condition, self.money(then), self.money(otherwise), join).unwrap_or(ANY_AMOUNT)
            }
            Money::Negate(value) => {
                let value = self.money(value);
                Range { low: value.high.map(|end| -end), high: value.low.map(|end| -end) }
            }
            Money::Slot(slot) => {
                let single = || {
                    self.event_at(*slot)?
                        .money_at(*slot)
                        .map(|value| Range { low: Some(value), high: Some(value) })
                };
                self.amounts.get(slot).copied().or_else(single).unwrap_or(ANY_AMOUNT)
            }
            Money::Subtract(pair) => {
                let (a, b) = (self.money(&pair[0]), self.money(&pair[1]));
                Range { low: sum(a.low, b.high.map(|end| -end)), high: sum(a.high, b.low.map(|end| -end)) }
            }
            // Amounts times numbers are rare in conditions; any amount is a sound answer.
            Money::Times(_) => ANY_AMOUNT,
        }
    }

    fn text(&self, text: &Text) -> Texts {
        match text {
            Text::Const(symbol) => Some(BTreeSet::from([*symbol])),
            Text::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                let join = |a: Texts, b: Texts| Some(a?.union(&b?).copied().collect());
                self.either(condition, self.text(then), self.text(otherwise), join).unwrap_or(None)
            }
            Text::Slot(slot) => {
                let single = || self.event_at(*slot)?.symbol_at(*slot).map(|symbol| BTreeSet::from([symbol]));
                self.texts.get(slot).cloned().or_else(single)
            }
        }
    }
}

fn one<T: PartialEq>(range: Range<T>) -> bool {
    range.low == range.high
}

fn join<T: PartialOrd>(a: Range<T>, b: Range<T>) -> Range<T> {
    Range {
        low: if b.low < a.low { b.low } else { a.low },
        high: if b.high > a.high { b.high } else { a.high },
    }
}

fn hull(ends: [i64; 4]) -> Ints {
    Range {
        low: ends.into_iter().min().unwrap_or(i64::MIN),
        high: ends.into_iter().max().unwrap_or(i64::MAX),
    }
}

/// A range of floats whose ends may have been computed from "no end".
fn whole(low: f64, high: f64) -> Doubles {
    Range {
        low: if low.is_nan() { f64::NEG_INFINITY } else { low },
        high: if high.is_nan() { f64::INFINITY } else { high },
    }
}

/// The range of a product or quotient from the ends of its operands.
fn corners(a: Doubles, b: Doubles, op: impl Fn(f64, f64) -> f64) -> Doubles {
    let ends = [(a.low, b.low), (a.low, b.high), (a.high, b.low), (a.high, b.high)].map(|(a, b)| op(a, b));
    if ends.iter().any(|end| end.is_nan()) {
        return ANY_DOUBLE;
    }
    Range {
        low: ends.into_iter().fold(f64::INFINITY, f64::min),
        high: ends.into_iter().fold(f64::NEG_INFINITY, f64::max),
    }
}

/// What a comparison of two ranges can be: they have a value in common, left can be below, left can be above, both are one
/// single value.
fn ordered(cmp: Cmp, meet: bool, below: bool, above: bool, both_single: bool) -> Can {
    let equal = Can { can_be_true: meet, can_be_false: !(both_single && meet) };
    let less = Can { can_be_true: below, can_be_false: above || meet };
    let greater = Can { can_be_true: above, can_be_false: below || meet };
    match cmp {
        Cmp::Eq => equal,
        Cmp::Ne => equal.not(),
        Cmp::Lt => less,
        Cmp::Ge => less.not(),
        Cmp::Gt => greater,
        Cmp::Le => greater.not(),
    }
}
