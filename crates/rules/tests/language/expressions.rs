//! Random expressions and events.

use std::sync::Arc;

use domain::{Amount, UnixNanos};
use proptest::prelude::*;
use rules::{BinaryOp, Cmp, Expr, ExprKind, Schema, Slot, Slots, Span, Type, Value};

/// Slots of random expressions.
pub(crate) const SLOTS: [(&str, Type); 14] = [
    ("b1", Type::Bool),
    ("b2", Type::Bool),
    ("i1", Type::Int),
    ("i2", Type::Int),
    ("i.three", Type::Int),
    ("d1", Type::Double),
    ("d2", Type::Double),
    ("s1", Type::String),
    ("s2", Type::String),
    ("t1", Type::Duration),
    ("t2", Type::Duration),
    ("at", Type::Timestamp),
    ("m1", Type::Money),
    ("m2", Type::Money),
];

pub(crate) fn schema() -> Arc<Schema> {
    let slots = SLOTS.map(|(name, ty)| Slot::new(name, ty));
    Arc::new(Schema::new(slots.into()).expect("names are good"))
}

/// What an event has in one slot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Held {
    Bool(bool),
    Double(f64),
    Duration(i64),
    Int(i64),
    Money(Amount),
    Text(String),
    Timestamp(i64),
}

/// What an event has; `None` is missing.
pub(crate) type Event = Vec<Option<Held>>;

pub(crate) fn fill(slots: &mut Slots, event: &Event) {
    slots.clear();
    for ((name, _), held) in SLOTS.iter().zip(event) {
        let id = slots.schema().slot(name).expect("the schema has it");
        let value = match held {
            None => continue,
            Some(Held::Bool(value)) => Value::Bool(*value),
            Some(Held::Double(value)) => Value::Double(*value),
            Some(Held::Duration(nanos)) => Value::Duration(*nanos),
            Some(Held::Int(value)) => Value::Int(*value),
            Some(Held::Money(value)) => Value::Money(*value),
            Some(Held::Text(text)) => Value::String(text),
            Some(Held::Timestamp(nanos)) => Value::Timestamp(UnixNanos(nanos.unsigned_abs())),
        };
        slots.set(id, value).expect("the value fits");
    }
}

pub(crate) fn ints() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -4_i64..5,
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, i64::MIN + 1, (1 << 53) + 1, -(1 << 53) - 1, 1 << 53]),
        1 => any::<i64>(),
    ]
}

pub(crate) fn doubles() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-8_i32..9).prop_map(|n| f64::from(n) / 2.0),
        1 => prop::sample::select(vec![-0.0, 9_007_199_254_740_992.0, 9_223_372_036_854_775_808.0, 1e300, -1e300, 5e-324, 0.1]),
        1 => any::<f64>().prop_filter("finite", |value| value.is_finite()),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[abé]{1,3}", Just("abé\"\\\n\t\u{7}\u{1F600}".to_owned())]
}

fn amounts() -> impl Strategy<Value = Amount> {
    (-500_i128..500, 0_u32..3)
        .prop_map(|(mantissa, scale)| Amount::from_parts(mantissa, scale).expect("it is small"))
}

fn nanos() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => (-50_i64..50).prop_map(|n| n * 1_800_000_000_000),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, 0, 1]),
    ]
}

/// An event of the schema, often with something missing.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    SLOTS
        .map(|(_, ty)| {
            let held = match ty {
                Type::Bool => any::<bool>().prop_map(Held::Bool).boxed(),
                Type::Double => doubles().prop_map(Held::Double).boxed(),
                Type::Duration => nanos().prop_map(Held::Duration).boxed(),
                Type::Int => ints().prop_map(Held::Int).boxed(),
                Type::Money => amounts().prop_map(Held::Money).boxed(),
                Type::String => texts().prop_map(Held::Text).boxed(),
                _ => (0..i64::MAX).prop_map(Held::Timestamp).boxed(),
            };
            prop::option::weighted(0.85, held)
        })
        .to_vec()
}

pub(crate) fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: Span::default() }
}

fn name(names: &'static [&'static str]) -> BoxedStrategy<Expr> {
    prop::sample::select(names).prop_map(|name| expr(ExprKind::Name(name.to_owned()))).boxed()
}

pub(crate) fn call(function: &str, arguments: Vec<Expr>) -> Expr {
    expr(ExprKind::Call(function.to_owned(), arguments))
}

fn pair(op: BinaryOp, a: Expr, b: Expr) -> Expr {
    expr(ExprKind::Binary(op, Box::new([a, b])))
}

fn cmps() -> impl Strategy<Value = Cmp> {
    prop::sample::select(vec![Cmp::Eq, Cmp::Ge, Cmp::Gt, Cmp::Le, Cmp::Lt, Cmp::Ne])
}

fn conditional(depth: u32, branch: BoxedStrategy<Expr>) -> BoxedStrategy<Expr> {
    (boolean(depth), branch.clone(), branch)
        .prop_map(|(condition, a, b)| expr(ExprKind::If(Box::new([condition, a, b]))))
        .boxed()
}

fn sum(ops: &'static [BinaryOp], part: BoxedStrategy<Expr>) -> BoxedStrategy<Expr> {
    (prop::sample::select(ops), part.clone(), part).prop_map(|(op, a, b)| pair(op, a, b)).boxed()
}

const INT_OPS: &[BinaryOp] =
    &[BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply, BinaryOp::Divide, BinaryOp::Remainder];
const DOUBLE_OPS: &[BinaryOp] = &[BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply, BinaryOp::Divide];
const SUM_OPS: &[BinaryOp] = &[BinaryOp::Add, BinaryOp::Subtract];

/// An expression of integers. `depth` is how many levels may follow.
pub(crate) fn int(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        3 => name(&["i1", "i2", "i.three"]),
        2 => ints().prop_map(|value| expr(ExprKind::Int(value))),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    prop_oneof![
        3 => leaf,
        3 => sum(INT_OPS, int(less)),
        1 => int(less).prop_map(|value| expr(ExprKind::Negate(Box::new(value)))),
        1 => conditional(less, int(less)),
        1 => double(less).prop_map(|value| call("int", vec![value])),
        1 => text(less).prop_map(|value| call("size", vec![value])),
        1 => duration(less).prop_flat_map(|value| {
            prop::sample::select(vec!["getHours", "getMinutes", "getSeconds"])
                .prop_map(move |part| expr(ExprKind::Method(Box::new(value.clone()), part.to_owned(), Vec::new())))
        }),
        1 => prop::sample::select(vec!["getHours", "getDayOfWeek"]).prop_map(|part| {
            let at = expr(ExprKind::Name("at".to_owned()));
            expr(ExprKind::Method(Box::new(at), part.to_owned(), Vec::new()))
        }),
    ]
    .boxed()
}

/// An expression of floats.
pub(crate) fn double(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        3 => name(&["d1", "d2"]),
        2 => doubles().prop_map(|value| expr(ExprKind::Double(value))),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    let mixed = prop_oneof![2 => double(less), 1 => int(less)].boxed();
    prop_oneof![
        3 => leaf,
        3 => (prop::sample::select(DOUBLE_OPS), double(less), mixed.clone()).prop_map(|(op, a, b)| pair(op, a, b)),
        1 => (prop::sample::select(DOUBLE_OPS), mixed, double(less)).prop_map(|(op, a, b)| pair(op, a, b)),
        1 => double(less).prop_map(|value| expr(ExprKind::Negate(Box::new(value)))),
        1 => conditional(less, double(less)),
        1 => int(less).prop_map(|value| call("double", vec![value])),
        1 => money(less).prop_map(|value| call("double", vec![value])),
    ]
    .boxed()
}

/// An expression of amounts.
pub(crate) fn money(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        3 => name(&["m1", "m2"]),
        1 => amounts().prop_map(|value| call("money", vec![expr(ExprKind::Text(value.to_string()))])),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    prop_oneof![
        3 => leaf,
        1 => sum(SUM_OPS, money(less)),
        1 => (money(less), int(less)).prop_map(|(a, b)| pair(BinaryOp::Multiply, a, b)),
        1 => (int(less), money(less)).prop_map(|(a, b)| pair(BinaryOp::Subtract, a, b)),
        1 => conditional(less, money(less)),
    ]
    .boxed()
}

/// An expression of durations.
pub(crate) fn duration(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        3 => name(&["t1", "t2"]),
        1 => (-99_i32..99).prop_map(|n| call("duration", vec![expr(ExprKind::Text(format!("{n}m30s")))])),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    prop_oneof![
        3 => leaf,
        1 => sum(SUM_OPS, duration(less)),
        1 => duration(less).prop_map(|value| expr(ExprKind::Negate(Box::new(value)))),
        1 => conditional(less, duration(less)),
        1 => duration(less).prop_map(|value| {
            let at = expr(ExprKind::Name("at".to_owned()));
            let then = call("timestamp", vec![expr(ExprKind::Text("2026-11-22T10:00:00Z".to_owned()))]);
            pair(BinaryOp::Subtract, pair(BinaryOp::Add, at, value), then)
        }),
    ]
    .boxed()
}

/// An expression of strings.
pub(crate) fn text(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        2 => name(&["s1", "s2"]),
        1 => texts().prop_map(|text| expr(ExprKind::Text(text))),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    prop_oneof![4 => leaf, 1 => conditional(less, text(less))].boxed()
}

/// What people mostly write: a slot beside a small constant or another slot.
fn simple() -> BoxedStrategy<Expr> {
    let slot = || name(&["i1", "i2", "i.three", "d1", "d2"]);
    let other = prop_oneof![
        4 => (-3_i64..4).prop_map(|value| expr(ExprKind::Int(value))),
        4 => (-6_i32..7).prop_map(|n| expr(ExprKind::Double(f64::from(n) / 2.0))),
        1 => slot(),
    ];
    (cmps(), slot(), other, any::<bool>())
        .prop_map(|(cmp, a, b, swap)| {
            let (a, b) = if swap { (b, a) } else { (a, b) };
            pair(BinaryOp::Compare(cmp), a, b)
        })
        .boxed()
}

/// What people write who know the guard: something weak, and something else.
pub(crate) fn guarded() -> BoxedStrategy<Expr> {
    let weak = name(&["b2"]);
    let other = prop_oneof![3 => simple(), 1 => boolean(2)];
    (weak, other.clone(), other)
        .prop_flat_map(|(weak, a, b)| {
            let any = expr(ExprKind::Any(vec![a.clone(), b.clone()]));
            let not = expr(ExprKind::Not(Box::new(b.clone())));
            prop::sample::select(vec![
                vec![weak.clone(), a.clone()],
                vec![weak.clone(), a, not],
                vec![weak, any],
            ])
        })
        .prop_map(|parts| expr(ExprKind::All(parts)))
        .boxed()
}

/// A condition.
pub(crate) fn boolean(depth: u32) -> BoxedStrategy<Expr> {
    let has = prop::sample::select(SLOTS.as_slice())
        .prop_map(|(name, _)| call("has", vec![expr(ExprKind::Name((*name).to_owned()))]));
    let leaf = prop_oneof![
        6 => name(&["b1", "b2"]),
        2 => has,
        1 => any::<bool>().prop_map(|value| expr(ExprKind::Bool(value))),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    let number = prop_oneof![int(less), double(less)].boxed();
    let same = prop::sample::select(vec![Cmp::Eq, Cmp::Ne]);
    let compare = |cmp, (a, b)| pair(BinaryOp::Compare(cmp), a, b);
    let list = |kind: fn(Expr) -> Expr, item: BoxedStrategy<Expr>| {
        prop::collection::vec(item.prop_map(kind), 0..4).prop_map(|items| expr(ExprKind::List(items)))
    };
    let numbers = prop_oneof![
        ints().prop_map(|value| expr(ExprKind::Int(value))),
        doubles().prop_map(|value| expr(ExprKind::Double(value)))
    ]
    .boxed();
    let words = texts().prop_map(|text| expr(ExprKind::Text(text))).boxed();
    let literal = prop_oneof![
        (-4_i64..5).prop_map(|value| expr(ExprKind::Int(value))),
        (-8_i32..9).prop_map(|n| expr(ExprKind::Double(f64::from(n) / 4.0))),
    ];
    prop_oneof![
        2 => leaf,
        8 => simple(),
        4 => (cmps(), (number.clone(), number.clone())).prop_map(move |(cmp, sides)| compare(cmp, sides)),
        1 => (cmps(), (money(less), prop_oneof![money(less), int(less), literal.boxed()]))
            .prop_map(move |(cmp, sides)| compare(cmp, sides)),
        1 => (cmps(), (duration(less), duration(less))).prop_map(move |(cmp, sides)| compare(cmp, sides)),
        2 => (same.clone(), (text(less), text(less))).prop_map(move |(cmp, sides)| compare(cmp, sides)),
        1 => (same, (boolean(less), boolean(less))).prop_map(move |(cmp, sides)| compare(cmp, sides)),
        1 => (number, list(|item| item, numbers)).prop_map(|(a, b)| pair(BinaryOp::In, a, b)),
        1 => (text(less), list(|item| item, words)).prop_map(|(a, b)| pair(BinaryOp::In, a, b)),
        1 => (prop::sample::select(vec!["startsWith", "endsWith", "contains"]), text(less), text(less))
            .prop_map(|(method, a, b)| expr(ExprKind::Method(Box::new(a), method.to_owned(), vec![b]))),
        2 => boolean(less).prop_map(|part| expr(ExprKind::Not(Box::new(part)))),
        3 => prop::collection::vec(boolean(less), 2..4).prop_map(|parts| expr(ExprKind::All(parts))),
        3 => prop::collection::vec(boolean(less), 2..4).prop_map(|parts| expr(ExprKind::Any(parts))),
        1 => conditional(less, boolean(less)),
    ]
    .boxed()
}
