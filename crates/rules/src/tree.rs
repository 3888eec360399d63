//! Checked expressions: every name is a slot number, every operator has its types, and evaluation is total.
//!
//! Missing values follow Kleene's three-valued logic, which is also how CEL treats errors: a comparison or calculation with
//! something missing is missing; `false && missing` is false, `true || missing` is true, anything else with something
//! missing is missing; only `has` sees it. Division by zero, overflow and floats that are not finite are missing too.

use std::{collections::BTreeSet, sync::Arc};

use domain::Amount;

use crate::{
    ast::{Cmp, Expr},
    bounds::TEXT_BYTES_MAX,
    intern::Symbol,
    number::{TimePart, compare, finite, to_double, to_int},
    slots::Slots,
};

/// True, false, or missing.
pub(crate) type Truth = Option<bool>;

/// A condition.
#[derive(Debug, Clone)]
pub(crate) enum Logic {
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Const(bool),
    If(Box<[Self; 3]>),
    Leaf(Box<Leaf>),
    Not(Box<Self>),
}

/// A condition without `&&`, `||` and `!`, with the text it was written as.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) test: Test,
    pub(crate) source: Expr,
}

/// What a leaf tests. Lists are sorted and without repetition.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Double(Cmp, Double, Double),
    DoubleIn(Double, Arc<[f64]>),
    Flag(u16),
    Has(u16),
    /// Both true or both false; with `false`, the opposite.
    Iff(bool, Logic, Logic),
    Int(Cmp, Int, Int),
    IntIn(Int, Arc<[i64]>),
    Mixed(Cmp, Int, Double),
    Money(Cmp, Money, Money),
    /// The same text; with `false`, different texts.
    Same(bool, Text, Text),
    Search(Search, Text, Text),
    TextIn(Text, Arc<[Symbol]>),
}

/// Where a string must be found in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    Anywhere,
    AtEnd,
    AtStart,
}

/// Integers, nanoseconds of durations and of timestamps.
#[derive(Debug, Clone)]
pub(crate) enum Int {
    Add(Box<[Self; 2]>),
    Const(i64),
    Divide(Box<[Self; 2]>),
    FromDouble(Box<Double>),
    If(Box<(Logic, Self, Self)>),
    Multiply(Box<[Self; 2]>),
    Negate(Box<Self>),
    Part(TimePart, Box<Self>),
    Remainder(Box<[Self; 2]>),
    /// Characters of a string.
    Size(Text),
    Slot(u16),
    Subtract(Box<[Self; 2]>),
}

/// Floats, always finite.
#[derive(Debug, Clone)]
pub(crate) enum Double {
    Add(Box<[Self; 2]>),
    Const(f64),
    Divide(Box<[Self; 2]>),
    FromInt(Box<Int>),
    FromMoney(Box<Money>),
    If(Box<(Logic, Self, Self)>),
    Multiply(Box<[Self; 2]>),
    Negate(Box<Self>),
    Slot(u16),
    Subtract(Box<[Self; 2]>),
}

/// Exact amounts.
#[derive(Debug, Clone)]
pub(crate) enum Money {
    Add(Box<[Self; 2]>),
    Const(Amount),
    FromInt(Box<Int>),
    If(Box<(Logic, Self, Self)>),
    Negate(Box<Self>),
    Slot(u16),
    Subtract(Box<[Self; 2]>),
    Times(Box<(Self, Int)>),
}

/// Strings.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    Const(Symbol),
    If(Box<(Logic, Self, Self)>),
    Slot(u16),
}

impl Logic {
    pub(crate) fn eval(&self, slots: &Slots) -> Truth {
        match self {
            Self::All(parts) => {
                let mut all = Some(true);
                for part in parts {
                    match part.eval(slots) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => all = None,
                    }
                }
                all
            }
            Self::Any(parts) => {
                let mut any = Some(false);
                for part in parts {
                    match part.eval(slots) {
                        Some(false) => {}
                        Some(true) => return Some(true),
                        None => any = None,
                    }
                }
                any
            }
            Self::Const(value) => Some(*value),
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.eval(slots)? { then.eval(slots) } else { otherwise.eval(slots) }
            }
            Self::Leaf(leaf) => leaf.test.eval(slots),
            Self::Not(part) => part.eval(slots).map(|value| !value),
        }
    }
}

impl Test {
    pub(crate) fn eval(&self, slots: &Slots) -> Truth {
        Some(match self {
            Self::Double(cmp, a, b) => {
                let (a, b) = (a.eval(slots)?, b.eval(slots)?);
                cmp.holds(a.partial_cmp(&b)?)
            }
            Self::DoubleIn(value, list) => {
                let value = value.eval(slots)?;
                // Zero has two representations; lists hold the positive one, and adding it gives that.
                let value = value + 0.0;
                list.binary_search_by(|item| item.total_cmp(&value)).is_ok()
            }
            Self::Flag(slot) => slots.bool_at(*slot)?,
            Self::Has(slot) => slots.cell(*slot).is_some(),
            Self::Iff(same, a, b) => (a.eval(slots)? == b.eval(slots)?) == *same,
            Self::Int(cmp, a, b) => cmp.holds(a.eval(slots)?.cmp(&b.eval(slots)?)),
            Self::IntIn(value, list) => list.binary_search(&value.eval(slots)?).is_ok(),
            Self::Mixed(cmp, a, b) => cmp.holds(compare(a.eval(slots)?, b.eval(slots)?)),
            Self::Money(cmp, a, b) => cmp.holds(a.eval(slots)?.cmp(&b.eval(slots)?)),
            Self::Same(same, a, b) => (a.eval(slots)? == b.eval(slots)?) == *same,
            Self::Search(search, text, part) => {
                let (text, part) = (slots.text(text.eval(slots)?), slots.text(part.eval(slots)?));
                match search {
                    Search::Anywhere => text.contains(part),
                    Search::AtEnd => text.ends_with(part),
                    Search::AtStart => text.starts_with(part),
                }
            }
            Self::TextIn(value, list) => list.binary_search(&value.eval(slots)?).is_ok(),
        })
    }
}

impl Int {
    pub(crate) fn eval(&self, slots: &Slots) -> Option<i64> {
        let both = |pair: &[Self; 2], op: fn(i64, i64) -> Option<i64>| {
            let [a, b] = pair;
            op(a.eval(slots)?, b.eval(slots)?)
        };
        match self {
            Self::Add(pair) => both(pair, i64::checked_add),
            Self::Const(value) => Some(*value),
            Self::Divide(pair) => both(pair, i64::checked_div),
            Self::FromDouble(value) => to_int(value.eval(slots)?),
            Self::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                if condition.eval(slots)? { then.eval(slots) } else { otherwise.eval(slots) }
            }
            Self::Multiply(pair) => both(pair, i64::checked_mul),
            Self::Negate(value) => value.eval(slots)?.checked_neg(),
            Self::Part(part, value) => Some(part.of(value.eval(slots)?)),
            Self::Remainder(pair) => both(pair, i64::checked_rem),
            Self::Size(text) => i64::try_from(slots.text(text.eval(slots)?).chars().count()).ok(),
            Self::Slot(slot) => slots.int_at(*slot),
            Self::Subtract(pair) => both(pair, i64::checked_sub),
        }
    }
}

impl Double {
    pub(crate) fn eval(&self, slots: &Slots) -> Option<f64> {
        let both = |pair: &[Self; 2], op: fn(f64, f64) -> f64| {
            let [a, b] = pair;
            finite(op(a.eval(slots)?, b.eval(slots)?))
        };
        match self {
            Self::Add(pair) => both(pair, |a, b| a + b),
            Self::Const(value) => Some(*value),
            Self::Divide(pair) => both(pair, |a, b| a / b),
            Self::FromInt(value) => value.eval(slots).map(to_double),
            Self::FromMoney(value) => finite(value.eval(slots)?.to_f64_lossy()),
            Self::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                if condition.eval(slots)? { then.eval(slots) } else { otherwise.eval(slots) }
            }
            Self::Multiply(pair) => both(pair, |a, b| a * b),
            Self::Negate(value) => value.eval(slots).map(|value| -value),
            Self::Slot(slot) => slots.double_at(*slot),
            Self::Subtract(pair) => both(pair, |a, b| a - b),
        }
    }
}

impl Money {
    pub(crate) fn eval(&self, slots: &Slots) -> Option<Amount> {
        let both = |pair: &[Self; 2], op: fn(Amount, Amount) -> Option<Amount>| {
            let [a, b] = pair;
            op(a.eval(slots)?, b.eval(slots)?)
        };
        match self {
            Self::Add(pair) => both(pair, Amount::checked_add),
            Self::Const(value) => Some(*value),
            Self::FromInt(value) => Amount::from_parts(value.eval(slots)?.into(), 0).ok(),
            Self::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                if condition.eval(slots)? { then.eval(slots) } else { otherwise.eval(slots) }
            }
            Self::Negate(value) => value.eval(slots).map(|value| -value),
            Self::Slot(slot) => slots.money_at(*slot),
            Self::Subtract(pair) => both(pair, Amount::checked_sub),
            Self::Times(parts) => {
                let (value, times) = &**parts;
                value.eval(slots)?.checked_mul(Amount::from_parts(times.eval(slots)?.into(), 0).ok()?)
            }
        }
    }
}

impl Text {
    pub(crate) fn eval(&self, slots: &Slots) -> Option<Symbol> {
        match self {
            Self::Const(symbol) => Some(*symbol),
            Self::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                if condition.eval(slots)? { then.eval(slots) } else { otherwise.eval(slots) }
            }
            Self::Slot(slot) => slots.symbol_at(*slot),
        }
    }
}

/// Steps of looking at every byte of the longest string: sixteen bytes are one step.
const TEXT_COST: u32 = 64;
const _: () = assert!(TEXT_BYTES_MAX == 16 * 64, "the cost of a text follows its bound");

/// What an expression reads, and its worst-case cost: every node counts, also in branches that exclude each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) reads: BTreeSet<u16>,
    pub(crate) cost: u32,
}

impl Tally {
    pub(crate) fn of(logic: &Logic) -> Self {
        let mut tally = Self::default();
        tally.logic(logic);
        tally
    }

    pub(crate) fn of_test(test: &Test) -> Self {
        let mut tally = Self::default();
        tally.test(test);
        tally
    }

    fn spend(&mut self, steps: u32) {
        self.cost = self.cost.saturating_add(steps);
    }

    fn slot(&mut self, slot: u16) {
        self.reads.insert(slot);
    }

    /// Steps of a binary search.
    fn search(&mut self, len: usize) {
        self.spend(usize::BITS - len.leading_zeros());
    }

    fn logic(&mut self, logic: &Logic) {
        self.spend(1);
        match logic {
            Logic::All(parts) | Logic::Any(parts) => parts.iter().for_each(|part| self.logic(part)),
            Logic::Const(_) => {}
            Logic::If(parts) => parts.iter().for_each(|part| self.logic(part)),
            Logic::Leaf(leaf) => self.test(&leaf.test),
            Logic::Not(part) => self.logic(part),
        }
    }

    fn test(&mut self, test: &Test) {
        match test {
            Test::Double(_, a, b) => {
                self.double(a);
                self.double(b);
            }
            Test::DoubleIn(value, list) => {
                self.search(list.len());
                self.double(value);
            }
            Test::Flag(slot) | Test::Has(slot) => self.slot(*slot),
            Test::Iff(_, a, b) => {
                self.logic(a);
                self.logic(b);
            }
            Test::Int(_, a, b) => {
                self.int(a);
                self.int(b);
            }
            Test::IntIn(value, list) => {
                self.search(list.len());
                self.int(value);
            }
            Test::Mixed(_, a, b) => {
                self.int(a);
                self.double(b);
            }
            Test::Money(_, a, b) => {
                self.money(a);
                self.money(b);
            }
            Test::Same(_, a, b) => {
                self.text(a);
                self.text(b);
            }
            Test::Search(_, a, b) => {
                self.spend(TEXT_COST);
                self.text(a);
                self.text(b);
            }
            Test::TextIn(value, list) => {
                self.search(list.len());
                self.text(value);
            }
        }
    }

    fn int(&mut self, int: &Int) {
        self.spend(1);
        match int {
            Int::Add(pair)
            | Int::Divide(pair)
            | Int::Multiply(pair)
            | Int::Remainder(pair)
            | Int::Subtract(pair) => pair.iter().for_each(|part| self.int(part)),
            Int::Const(_) => {}
            Int::FromDouble(value) => self.double(value),
            Int::If(parts) => {
                self.logic(&parts.0);
                self.int(&parts.1);
                self.int(&parts.2);
            }
            Int::Negate(value) | Int::Part(_, value) => self.int(value),
            Int::Size(text) => {
                self.spend(TEXT_COST);
                self.text(text);
            }
            Int::Slot(slot) => self.slot(*slot),
        }
    }

    fn double(&mut self, double: &Double) {
        self.spend(1);
        match double {
            Double::Add(pair) | Double::Divide(pair) | Double::Multiply(pair) | Double::Subtract(pair) => {
                pair.iter().for_each(|part| self.double(part));
            }
            Double::Const(_) => {}
            Double::FromInt(value) => self.int(value),
            Double::FromMoney(value) => self.money(value),
            Double::If(parts) => {
                self.logic(&parts.0);
                self.double(&parts.1);
                self.double(&parts.2);
            }
            Double::Negate(value) => self.double(value),
            Double::Slot(slot) => self.slot(*slot),
        }
    }

    fn money(&mut self, money: &Money) {
        // Decimal arithmetic takes several times as long as that of the processor.
        self.spend(4);
        match money {
            Money::Add(pair) | Money::Subtract(pair) => pair.iter().for_each(|part| self.money(part)),
            Money::Const(_) => {}
            Money::FromInt(value) => self.int(value),
            Money::If(parts) => {
                self.logic(&parts.0);
                self.money(&parts.1);
                self.money(&parts.2);
            }
            Money::Negate(value) => self.money(value),
            Money::Slot(slot) => self.slot(*slot),
            Money::Times(parts) => {
                self.money(&parts.0);
                self.int(&parts.1);
            }
        }
    }

    fn text(&mut self, text: &Text) {
        match text {
            Text::Const(_) => {}
            Text::If(parts) => {
                self.logic(&parts.0);
                self.text(&parts.1);
                self.text(&parts.2);
            }
            Text::Slot(slot) => self.slot(*slot),
        }
    }
}
