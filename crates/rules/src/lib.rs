//! A small rule language in CEL syntax, its sets of rules, and what reviews of them need.
//!
//! - A [`Schema`] says what rules may read: slots with a name, a type and a unit.
//! - [`RuleSet::load`] reads a versioned TOML document, checks all of it and runs the examples each rule carries. One fault
//!   refuses the whole set, with all faults told by line and column.
//! - [`RuleSet::evaluate`] finds the rules that fire on the [`Slots`] of an event; [`RuleSet::explain`] says why in words,
//!   and what would have kept the rule quiet.
//! - A [`Guard`] proves when a set loads that weak evidence alone never blocks.
//! - [`diff()`] says what a new version changes, [`Backtest`] what a set would have done to the past.
//!
//! The language is total: every expression has a value for every event, at a cost that is known when it loads. It has no
//! loops, no regular expressions, no calls of other rules. Missing values follow three-valued logic; see
//! `docs/operating/rules.md`.
//!
//! It decides nothing and knows no event: the caller fills slots, feeds backtests and acts. No I/O, no clock, no state but
//! what the caller holds.
//!
//! Source: Common Expression Language specification (syntax, operators, treatment of errors in `&&` and `||`).

mod ast;
mod backtest;
pub mod bounds;
mod check;
mod counterfactual;
mod diff;
mod document;
mod error;
mod guard;
mod intern;
mod lex;
mod list;
mod nearest;
mod number;
mod parse;
mod possible;
mod print;
mod program;
mod reason;
mod rule;
mod schema;
mod set;
mod slots;
mod span;
mod tree;

pub use ast::{BinaryOp, Cmp, Expr, ExprKind};
pub use backtest::{Backtest, BacktestBounds, BacktestReport, Case, Count, Label, Overlap, RuleReport};
pub use diff::{Diff, FieldChange, ListChange, RuleChange, diff};
pub use error::{ExpressionError, ExpressionFault, Fault, ForeignSlots, LoadError, SchemaError, SlotError};
pub use guard::{Guard, GuardError, Ordinary, Refusal};
pub use intern::{Interner, Symbol};
pub use parse::parse;
pub use rule::{Action, Fixture, Mode, Rule, WhenMissing};
pub use schema::{Schema, Slot, SlotId, Type};
pub use set::{Explanation, Hit, Hits, RuleSet};
pub use slots::{Slots, Value};
pub use span::{Place, Span};
