//! The language against `cel-python`, an implementation of CEL by others, on the subset both have.
//!
//! Runs where a Python with that package is named by `CAPONIER_TEST_PYTHON` or was set up, and is skipped elsewhere:
//! `python3 -m venv v && v/bin/pip install cel-python==0.5.0`, then `CAPONIER_TEST_PYTHON=v/bin/python`. A missing slot is a
//! variable nobody declared there, whose use is an error that `&&` and `||` treat as this language treats what is missing.
//! Left out is what the two mean differently on purpose: integers beside doubles, `has` of a variable, floats that are not
//! finite, days, money. `getMinutes` of a computed duration is left out too: the other implementation has none there.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use rules::{BinaryOp, Cmp, Expr, ExprKind, Guard, RuleSet};

use crate::{
    expressions::{Event, Held, SLOTS, call, event, expr, fill, schema},
    properties::document,
};

/// Expressions compared, and events for each.
const EXPRESSIONS: usize = 2_000;
const EVENTS: usize = 3;

const REFERENCE: &str = r#"
import json, sys
import celpy
from celpy import celtypes
kinds = {"b": celtypes.BoolType, "i": celtypes.IntType, "d": celtypes.DoubleType, "s": celtypes.StringType,
         "t": lambda nanos: celtypes.DurationType(nanos // 10**9, nanos % 10**9)}
# Showing an error walks its syntax tree and stumbles over some; only the words for a log depend on it.
celpy.CELEvalError.__repr__ = lambda error: "error"
environment = celpy.Environment()
for line in sys.stdin:
    text, events = json.loads(line)
    program = environment.program(environment.compile(text))
    said = ""
    for event in events:
        try:
            said += "1" if program.evaluate({name: kinds[name[0]](value) for name, value in event.items()}) else "0"
        except celpy.CELEvalError:
            said += "-"
    print(said)
"#;

#[allow(clippy::disallowed_methods, reason = "the environment is how the task runner names its tools")]
fn python() -> PathBuf {
    let named = std::env::var("CAPONIER_TEST_PYTHON").map(PathBuf::from).ok();
    named.unwrap_or(Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-tools/venv/bin/python"))
}

fn name(names: &'static [&'static str]) -> BoxedStrategy<Expr> {
    prop::sample::select(names).prop_map(|name| expr(ExprKind::Name(name.to_owned()))).boxed()
}

fn pair(op: BinaryOp, a: Expr, b: Expr) -> Expr {
    expr(ExprKind::Binary(op, Box::new([a, b])))
}

fn joined(ops: &'static [BinaryOp], part: &BoxedStrategy<Expr>) -> BoxedStrategy<Expr> {
    (prop::sample::select(ops), part.clone(), part.clone()).prop_map(|(op, a, b)| pair(op, a, b)).boxed()
}

fn method(receiver: Expr, name: &str, arguments: Vec<Expr>) -> Expr {
    expr(ExprKind::Method(Box::new(receiver), name.to_owned(), arguments))
}

const INT_OPS: &[BinaryOp] =
    &[BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply, BinaryOp::Divide, BinaryOp::Remainder];
const DOUBLE_OPS: &[BinaryOp] = &[BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply];
const SUM_OPS: &[BinaryOp] = &[BinaryOp::Add, BinaryOp::Subtract];

fn int(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        name(&["i1", "i2"]),
        prop_oneof![8 => -4_i64..5, 1 => Just(i64::MAX), 1 => Just(i64::MIN)]
            .prop_map(|value| expr(ExprKind::Int(value))),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    prop_oneof![
        2 => leaf,
        3 => joined(INT_OPS, &int(less)),
        1 => int(less).prop_map(|part| expr(ExprKind::Negate(Box::new(part)))),
        1 => text(less).prop_map(|part| call("size", vec![part])),
        1 => double(less).prop_map(|part| call("int", vec![part])),
        1 => duration(0).prop_map(|part| method(part, "getMinutes", Vec::new())),
        1 => choice(less, int(less)),
    ]
    .boxed()
}

fn double(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        name(&["d1", "d2"]),
        (-8_i32..9).prop_map(|n| expr(ExprKind::Double(f64::from(n) / 2.0))),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    let divided = (double(less), 1_i32..9)
        .prop_map(|(part, by)| pair(BinaryOp::Divide, part, expr(ExprKind::Double(f64::from(by) / 2.0))));
    prop_oneof![2 => leaf, 2 => joined(DOUBLE_OPS, &double(less)), 1 => divided, 1 => choice(less, double(less))].boxed()
}

fn text(depth: u32) -> BoxedStrategy<Expr> {
    let leaf =
        prop_oneof![name(&["s1", "s2"]), "[abé\"\\\\\n]{0,3}".prop_map(|text| expr(ExprKind::Text(text))),];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    prop_oneof![4 => leaf, 1 => choice(less, text(less))].boxed()
}

fn duration(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        name(&["t1", "t2"]),
        (-99_i32..99).prop_map(|n| call("duration", vec![expr(ExprKind::Text(format!("{n}m30s")))])),
    ];
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    prop_oneof![2 => leaf, 1 => joined(SUM_OPS, &duration(less))].boxed()
}

fn choice(depth: u32, branch: BoxedStrategy<Expr>) -> BoxedStrategy<Expr> {
    (condition(depth), branch.clone(), branch)
        .prop_map(|(condition, a, b)| expr(ExprKind::If(Box::new([condition, a, b]))))
        .boxed()
}

fn condition(depth: u32) -> BoxedStrategy<Expr> {
    let leaf = name(&["b1", "b2"]);
    let Some(less) = depth.checked_sub(1) else { return leaf };
    let cmp = || prop::sample::select(vec![Cmp::Eq, Cmp::Ge, Cmp::Gt, Cmp::Le, Cmp::Lt, Cmp::Ne]);
    let same = || prop::sample::select(vec![Cmp::Eq, Cmp::Ne]);
    let compared = |cmp, a, b| pair(BinaryOp::Compare(cmp), a, b);
    let ints = prop::collection::vec((-4_i64..5).prop_map(|value| expr(ExprKind::Int(value))), 0..4);
    let texts = prop::collection::vec("[ab]{0,2}".prop_map(|text| expr(ExprKind::Text(text))), 0..4);
    let list = |(value, items)| pair(BinaryOp::In, value, expr(ExprKind::List(items)));
    prop_oneof![
        2 => leaf,
        3 => (cmp(), int(less), int(less)).prop_map(move |(cmp, a, b)| compared(cmp, a, b)),
        2 => (cmp(), double(less), double(less)).prop_map(move |(cmp, a, b)| compared(cmp, a, b)),
        1 => (cmp(), duration(less), duration(less)).prop_map(move |(cmp, a, b)| compared(cmp, a, b)),
        1 => (same(), text(less), text(less)).prop_map(move |(cmp, a, b)| compared(cmp, a, b)),
        1 => (same(), condition(less), condition(less)).prop_map(move |(cmp, a, b)| compared(cmp, a, b)),
        1 => (int(less), ints).prop_map(list),
        1 => (text(less), texts).prop_map(list),
        1 => (prop::sample::select(vec!["startsWith", "endsWith", "contains"]), text(less), text(less))
            .prop_map(|(name, a, b)| method(a, name, vec![b])),
        2 => condition(less).prop_map(|part| expr(ExprKind::Not(Box::new(part)))),
        3 => prop::collection::vec(condition(less), 2..4).prop_map(|parts| expr(ExprKind::All(parts))),
        3 => prop::collection::vec(condition(less), 2..4).prop_map(|parts| expr(ExprKind::Any(parts))),
        1 => choice(less, condition(less)),
    ]
    .boxed()
}

fn json(text: &str) -> String {
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{}\"", units.concat())
}

/// Whole seconds of durations: the other implementation keeps them to the microsecond and within some ten thousand years.
fn tamed(mut event: Event) -> Event {
    for held in event.iter_mut().flatten() {
        match held {
            Held::Duration(nanos) => *nanos = *nanos / 1_000_000_000 % 100_000 * 1_000_000_000,
            Held::Double(value) if value.abs() > 1e6 || value.abs() < 1e-6 => *value = 0.5,
            _ => {}
        }
    }
    event
}

fn event_json(event: &Event) -> String {
    let members = SLOTS.iter().zip(event).filter_map(|((name, _), held)| {
        let value = match held.as_ref()? {
            Held::Bool(value) => value.to_string(),
            Held::Double(value) => format!("{value:?}"),
            Held::Duration(value) | Held::Int(value) => value.to_string(),
            Held::Text(text) => json(text),
            Held::Money(_) | Held::Timestamp(_) => return None,
        };
        (!name.contains('.')).then(|| format!("\"{name}\":{value}"))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[test]
#[allow(clippy::print_stderr, reason = "a skip is shown")]
fn another_implementation_of_cel_says_the_same() {
    let has_package = Command::new(python()).args(["-c", "import celpy"]).stderr(Stdio::null()).status();
    if !has_package.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no Python with cel-python");
        return;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = (condition(3), prop::collection::vec(event(), EVENTS));
    let (mut lines, mut ours, mut texts) = (String::new(), Vec::new(), Vec::new());
    while ours.len() < EXPRESSIONS {
        let (when, events) = strategy.new_tree(&mut runner).expect("a case").current();
        let text = when.to_string();
        // Conditions that are constant do not load; the other implementation would evaluate them.
        let Ok(set) = RuleSet::load(&document(&text), &schema(), &Guard::default()) else { continue };
        let mut slots = set.slots();
        let events: Vec<Event> = events.into_iter().map(tamed).collect();
        let said = events.iter().map(|event| {
            fill(&mut slots, event);
            match set.rules()[0].truth(&slots) {
                Some(true) => '1',
                Some(false) => '0',
                None => '-',
            }
        });
        ours.push(said.collect::<String>());
        let events: Vec<String> = events.iter().map(event_json).collect();
        lines.push_str(&format!("[{},[{}]]\n", json(&text), events.join(",")));
        texts.push((text, events));
    }
    let mut child = Command::new(python())
        .args(["-c", REFERENCE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("Python ends");
    writer.join().expect("the writer ends").expect("Python reads");
    assert!(output.status.success());
    let theirs = String::from_utf8(output.stdout).expect("digits");
    let theirs: Vec<&str> = theirs.lines().collect();
    assert_eq!(theirs.len(), ours.len());
    let mut differences = Vec::new();
    for ((text, events), (ours, theirs)) in texts.iter().zip(ours.iter().zip(theirs)) {
        if ours != theirs {
            differences.push(format!("{text}\n  {events:?}\n  ours {ours}, theirs {theirs}"));
        }
    }
    let counts = ["1", "0", "-"].map(|said| ours.iter().flat_map(|line| line.matches(said)).count());
    eprintln!("{EXPRESSIONS} expressions, {EVENTS} events each: true, false, missing {counts:?}");
    assert!(counts.iter().all(|count| *count > EXPRESSIONS * EVENTS / 10), "{counts:?}");
    let shown: Vec<&String> = differences.iter().take(10).collect();
    assert!(differences.is_empty(), "{} differ: {shown:#?}", differences.len());
}
