//! Conditions as flat programs: the form rules run in.
//!
//! A rule fires only when its condition is true, so missing need not be carried along: negations are pushed down to the
//! leaves (De Morgan holds in three-valued logic), and each leaf answers "true" or "not true". What is left are tests with
//! two jumps each, both forwards, so a program ends after at most as many steps as it has tests. Comparisons of a slot with
//! a constant, nearly all of what people write, become one test of a range. The programs of a set lie in one array.

use crate::{
    ast::Cmp,
    number::compare,
    slots::Slots,
    tree::{Double, Int, Logic, Test, Text},
};

/// One test and where to go on.
#[derive(Debug, Clone)]
struct Op {
    test: OpTest,
    /// What a missing value answers: `false` when asking whether a rule fires, `true` when asking whether it might.
    missing: bool,
    /// Answer when the test itself holds; `false` for a negated leaf.
    wanted: bool,
    pass: u32,
    fail: u32,
}

#[derive(Debug, Clone)]
enum OpTest {
    /// Two slots of doubles.
    DoubleCompare(u16, u16, Cmp),
    /// `low <= slot <= high`.
    DoubleRange(u16, f64, f64),
    Has(u16),
    IntCompare(u16, u16, Cmp),
    IntRange(u16, i64, i64),
    /// The slot has exactly these bits: flags and strings.
    Same(u16, u64),
    SameSlots(u16, u16),
    /// Everything else: the checked tree.
    Tree(u32),
}

/// Where a program ends.
const FIRES: u32 = u32::MAX;
const QUIET: u32 = u32::MAX - 1;

/// The programs of a set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Programs {
    ops: Vec<Op>,
    trees: Vec<Tree>,
}

#[derive(Debug, Clone)]
enum Tree {
    Logic(Logic),
    Test(Test),
}

/// Where a program starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry(u32);

/// What a program asks about its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Is it true?
    IsTrue,
    /// Is it true or missing?
    MayBeTrue,
}

/// Rules are bounded in number and nodes, so positions fit; this keeps the arithmetic total.
fn position(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(QUIET)
}

impl Programs {
    /// Adds a program.
    pub(crate) fn compile(&mut self, logic: &Logic, asks: Asks) -> Entry {
        // Compiled from the last test to the first, since a test must know where its successors begin; turned round at the
        // end, so that running goes forwards through memory.
        let first = self.ops.len();
        let mut part = Part { ops: Vec::new(), trees: &mut self.trees, missing: asks == Asks::MayBeTrue };
        let entry = part.logic(logic, true, FIRES, QUIET);
        let ops = part.ops;
        let n_ops = ops.len();
        let turned = |target: u32| match target {
            FIRES | QUIET => target,
            index => position(first + n_ops - 1 - index as usize),
        };
        let entry = turned(entry);
        let moved = ops.into_iter().rev().map(|op| Op { pass: turned(op.pass), fail: turned(op.fail), ..op });
        self.ops.extend(moved);
        Entry(entry)
    }

    /// Runs one.
    #[inline]
    pub(crate) fn run(&self, entry: Entry, slots: &Slots) -> bool {
        let mut at = entry.0;
        // Past the last test lie the two ends.
        while let Some(op) = self.ops.get(at as usize) {
            let holds = match self.test(&op.test, slots) {
                Some(holds) => holds == op.wanted,
                None => op.missing,
            };
            at = if holds { op.pass } else { op.fail };
        }
        at == FIRES
    }

    #[inline]
    fn test(&self, test: &OpTest, slots: &Slots) -> Option<bool> {
        match *test {
            OpTest::DoubleCompare(a, b, cmp) => {
                let order = slots.double_at(a)?.partial_cmp(&slots.double_at(b)?)?;
                Some(cmp.holds(order))
            }
            OpTest::DoubleRange(slot, low, high) => {
                let value = slots.double_at(slot)?;
                Some((value >= low) & (value <= high))
            }
            OpTest::Has(slot) => Some(slots.cell(slot).is_some()),
            OpTest::IntCompare(a, b, cmp) => Some(cmp.holds(slots.int_at(a)?.cmp(&slots.int_at(b)?))),
            OpTest::IntRange(slot, low, high) => {
                let value = slots.int_at(slot)?;
                Some((value >= low) & (value <= high))
            }
            OpTest::Same(slot, bits) => Some(slots.cell(slot)? == bits),
            OpTest::SameSlots(a, b) => Some(slots.cell(a)? == slots.cell(b)?),
            OpTest::Tree(index) => match self.trees.get(index as usize)? {
                Tree::Logic(logic) => logic.eval(slots),
                Tree::Test(test) => test.eval(slots),
            },
        }
    }
}

/// One program while it is compiled, last test first.
struct Part<'a> {
    ops: Vec<Op>,
    trees: &'a mut Vec<Tree>,
    missing: bool,
}

impl Part<'_> {
    /// Adds tests for "`logic` is `wanted`" that go on at `pass` or `fail`; returns the first.
    fn logic(&mut self, logic: &Logic, wanted: bool, pass: u32, fail: u32) -> u32 {
        match logic {
            // The negation of "all" is "any" of the negations, and the other way round.
            Logic::All(parts) | Logic::Any(parts) => {
                let needs_all = matches!(logic, Logic::All(_)) == wanted;
                let (mut pass_next, mut fail_next) = (pass, fail);
                for part in parts.iter().rev() {
                    let first = self.logic(part, wanted, pass_next, fail_next);
                    (pass_next, fail_next) = if needs_all { (first, fail) } else { (pass, first) };
                }
                if needs_all { pass_next } else { fail_next }
            }
            Logic::Const(value) => {
                if *value == wanted {
                    pass
                } else {
                    fail
                }
            }
            // Both branches depend on the condition, which may be missing: left to the tree.
            Logic::If(_) => {
                let test = self.tree(Tree::Logic(logic.clone()));
                self.op(test, true, wanted, pass, fail)
            }
            Logic::Leaf(leaf) => {
                let (test, holds) = match op(&leaf.test) {
                    Some(found) => found,
                    None => (self.tree(Tree::Test(leaf.test.clone())), true),
                };
                self.op(test, holds, wanted, pass, fail)
            }
            Logic::Not(part) => self.logic(part, !wanted, pass, fail),
        }
    }

    fn tree(&mut self, tree: Tree) -> OpTest {
        self.trees.push(tree);
        OpTest::Tree(position(self.trees.len() - 1))
    }

    fn op(&mut self, test: OpTest, holds: bool, wanted: bool, pass: u32, fail: u32) -> u32 {
        self.ops.push(Op { test, missing: self.missing, wanted: holds == wanted, pass, fail });
        position(self.ops.len() - 1)
    }
}

/// The simple form of a test, and whether the test holds when that form does.
fn op(test: &Test) -> Option<(OpTest, bool)> {
    Some(match test {
        Test::Double(cmp, Double::Slot(slot), Double::Const(value)) => double_range(*slot, *cmp, *value),
        Test::Double(cmp, Double::Const(value), Double::Slot(slot)) => {
            double_range(*slot, cmp.swapped(), *value)
        }
        Test::Double(cmp, Double::Slot(a), Double::Slot(b)) => (OpTest::DoubleCompare(*a, *b, *cmp), true),
        Test::Flag(slot) => (OpTest::Same(*slot, 1), true),
        Test::Has(slot) => (OpTest::Has(*slot), true),
        Test::Int(cmp, Int::Slot(slot), Int::Const(value)) => int_range(*slot, *cmp, *value)?,
        Test::Int(cmp, Int::Const(value), Int::Slot(slot)) => int_range(*slot, cmp.swapped(), *value)?,
        Test::Int(cmp, Int::Slot(a), Int::Slot(b)) => (OpTest::IntCompare(*a, *b, *cmp), true),
        Test::Mixed(cmp, Int::Slot(slot), Double::Const(value)) => mixed_range(*slot, *cmp, *value)?,
        Test::Same(same, Text::Slot(a), Text::Slot(b)) => (OpTest::SameSlots(*a, *b), *same),
        Test::Same(same, Text::Slot(slot), Text::Const(symbol))
        | Test::Same(same, Text::Const(symbol), Text::Slot(slot)) => {
            (OpTest::Same(*slot, u64::from(symbol.0)), *same)
        }
        _ => return None,
    })
}

/// A comparison with a finite float as a range: strictly above is from the next float on.
fn double_range(slot: u16, cmp: Cmp, value: f64) -> (OpTest, bool) {
    let (low, high, holds) = match cmp {
        Cmp::Eq => (value, value, true),
        Cmp::Ne => (value, value, false),
        Cmp::Ge => (value, f64::INFINITY, true),
        // Zero has two representations and the next float of one of them is the other's neighbour too.
        Cmp::Gt => ((value + 0.0).next_up(), f64::INFINITY, true),
        Cmp::Le => (f64::NEG_INFINITY, value, true),
        Cmp::Lt => (f64::NEG_INFINITY, (value + 0.0).next_down(), true),
    };
    (OpTest::DoubleRange(slot, low, high), holds)
}

/// A comparison with an integer as a range; `None` where no integer is strictly beyond.
fn int_range(slot: u16, cmp: Cmp, value: i64) -> Option<(OpTest, bool)> {
    let (low, high, holds) = match cmp {
        Cmp::Eq => (value, value, true),
        Cmp::Ne => (value, value, false),
        Cmp::Ge => (value, i64::MAX, true),
        Cmp::Gt => (value.checked_add(1)?, i64::MAX, true),
        Cmp::Le => (i64::MIN, value, true),
        Cmp::Lt => (i64::MIN, value.checked_sub(1)?, true),
    };
    Some((OpTest::IntRange(slot, low, high), holds))
}

/// A comparison with a float that is no integer: equal to none, and beyond it from the next integer on.
fn mixed_range(slot: u16, cmp: Cmp, value: f64) -> Option<(OpTest, bool)> {
    let below = crate::number::to_int(value.floor())?;
    // The same for every integer is left to the tree, which answers missing where the slot is.
    if compare(below, value).is_eq() {
        return None;
    }
    match cmp {
        Cmp::Eq | Cmp::Ne => None,
        Cmp::Ge | Cmp::Gt => Some((OpTest::IntRange(slot, below.checked_add(1)?, i64::MAX), true)),
        Cmp::Le | Cmp::Lt => Some((OpTest::IntRange(slot, i64::MIN, below), true)),
    }
}
