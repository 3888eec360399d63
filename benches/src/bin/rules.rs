//! One rule of five clauses, a thousand rules, and what compiling them gains over walking trees.
//!
//! `rules`. Budget: a five-clause rule in 50 ns, 1,000 rules in 50 us. Each figure is processor time in the best of
//! [`ROUNDS`] rounds: other work on the machine only ever adds. Events differ in every slot, so branches are not learned
//! by heart. The interpreter beside it walks the syntax tree with names in a map and values that know their type at run
//! time, as a host of a general expression language does.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{collections::HashMap, fmt::Write as _, hint::black_box, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use benches::thread_cpu;
use domain::UnixNanos;
use rules::{
    BinaryOp, Cmp, Expr, ExprKind, Guard, Hits, RuleSet, Schema, Slot, SlotId, Slots, Type, Value, parse,
};

const ROUNDS: usize = 30;
const N_EVENTS: usize = 1_024;
const N_RULES: usize = 1_000;
const NOW: UnixNanos = UnixNanos::from_secs(1_700_000_000);
const FIVE: &str = "amount > 1000.0 && new_device && withdrawals_24h >= 3 && (country != kyc_country || risk > 0.8) && age_days < 30";
const COUNTRIES: [&str; 5] = ["DE", "FR", "GB", "KP", "VN"];

/// Splitmix64: the next number of a stream.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn schema() -> Result<Arc<Schema>> {
    let mut slots = vec![
        Slot::new("amount", Type::Double),
        Slot::new("new_device", Type::Bool),
        Slot::new("withdrawals_24h", Type::Int),
        Slot::new("country", Type::String),
        Slot::new("kyc_country", Type::String),
        Slot::new("risk", Type::Double),
        Slot::new("age_days", Type::Double),
    ];
    slots.extend((0..57).map(|n| Slot::new(format!("f{n}"), Type::Double)));
    Ok(Arc::new(Schema::new(slots)?))
}

/// The values of one event, by name.
type Event = Vec<(String, Dynamic)>;

/// An event at random. The first four clauses hold more often than not, so that evaluation goes far.
fn event(state: &mut u64) -> Event {
    let country =
        COUNTRIES.iter().copied().cycle().nth(usize::from(next(state).to_le_bytes()[0])).unwrap_or("DE");
    let mut unit = || (next(state) >> 11) as f64 / (1_u64 << 53) as f64;
    let mut event = vec![
        ("amount".to_owned(), Dynamic::Double(unit() * 4_000.0)),
        ("new_device".to_owned(), Dynamic::Bool(unit() < 0.7)),
        ("withdrawals_24h".to_owned(), Dynamic::Int(if unit() < 0.7 { 4 } else { 1 })),
        ("country".to_owned(), Dynamic::Text(country)),
        ("kyc_country".to_owned(), Dynamic::Text("DE")),
        ("risk".to_owned(), Dynamic::Double(unit())),
        ("age_days".to_owned(), Dynamic::Double(unit() * 60.0)),
    ];
    event.extend((0..57).map(|n| (format!("f{n}"), Dynamic::Double(unit()))));
    event
}

fn slots(set: &RuleSet, event: &Event) -> Result<Slots> {
    let mut slots = set.slots();
    for (name, value) in event {
        let id = set.schema().slot(name).context("a slot of the schema")?;
        slots.set(
            id,
            match *value {
                Dynamic::Bool(value) => Value::Bool(value),
                Dynamic::Double(value) => Value::Double(value),
                Dynamic::Int(value) => Value::Int(value),
                Dynamic::Text(text) => Value::String(text),
            },
        )?;
    }
    Ok(slots)
}

fn document(conditions: &[String]) -> Result<String> {
    let mut text = "[pack]\nname = 'bench'\nversion = '1'\n".to_owned();
    for (n, when) in conditions.iter().enumerate() {
        writeln!(
            text,
            "[[rule]]\nid = 'r{n}'\ntitle = 't'\nowner = 'o'\naction = 'challenge'\nreason = 'r'"
        )?;
        writeln!(text, "when = '''{when}'''")?;
    }
    Ok(text)
}

/// Conditions of five clauses over slots at random.
fn conditions(state: &mut u64) -> Vec<String> {
    let mut slot = || next(state) % 57;
    (0..N_RULES)
        .map(|n| {
            format!(
                "f{} > 0.{} && amount > {}.0 && (f{} < 0.5 || country in ['KP', 'VN']) && withdrawals_24h >= {} && f{} < 0.9",
                slot(),
                1 + n % 8,
                n % 3_000,
                slot(),
                n % 5,
                slot()
            )
        })
        .collect()
}

/// A value that knows its type at run time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dynamic {
    Bool(bool),
    Double(f64),
    Int(i64),
    Text(&'static str),
}

/// Walks the syntax tree; enough of the language for [`FIVE`].
fn interpret<'a>(expr: &'a Expr, event: &HashMap<&str, Dynamic>) -> Option<Result<Dynamic, &'a str>> {
    let truth = |value: Option<Result<Dynamic, &str>>| value == Some(Ok(Dynamic::Bool(true)));
    Some(match &expr.kind {
        ExprKind::All(parts) => Ok(Dynamic::Bool(parts.iter().all(|part| truth(interpret(part, event))))),
        ExprKind::Any(parts) => Ok(Dynamic::Bool(parts.iter().any(|part| truth(interpret(part, event))))),
        ExprKind::Binary(BinaryOp::Compare(cmp), sides) => {
            let [a, b] = &**sides;
            let (a, b) = (interpret(a, event)?.ok()?, interpret(b, event)?.ok()?);
            Ok(Dynamic::Bool(compare(*cmp, a, b)?))
        }
        ExprKind::Bool(value) => Ok(Dynamic::Bool(*value)),
        ExprKind::Double(value) => Ok(Dynamic::Double(*value)),
        ExprKind::Int(value) => Ok(Dynamic::Int(*value)),
        ExprKind::Name(name) => Ok(*event.get(name.as_str())?),
        _ => Err("not needed here"),
    })
}

fn compare(cmp: Cmp, a: Dynamic, b: Dynamic) -> Option<bool> {
    Some(cmp.holds(match (a, b) {
        (Dynamic::Double(a), Dynamic::Double(b)) => a.partial_cmp(&b)?,
        (Dynamic::Double(a), Dynamic::Int(b)) => a.partial_cmp(&(b as f64))?,
        (Dynamic::Int(a), Dynamic::Int(b)) => a.cmp(&b),
        (Dynamic::Text(a), Dynamic::Text(b)) => a.cmp(b),
        _ => return None,
    }))
}

/// Nanoseconds of processor time of one `op` on one event, in the best round.
fn measure<T>(events: &[T], mut op: impl FnMut(&T) -> usize) -> f64 {
    (0..ROUNDS).fold(f64::INFINITY, |best, _| {
        let start = thread_cpu();
        let sum: usize = events.iter().map(|event| op(black_box(event))).sum();
        black_box(sum);
        best.min((thread_cpu() - start).as_secs_f64() * 1e9 / events.len() as f64)
    })
}

fn main() -> Result<()> {
    let schema = schema()?;
    let mut state = 7;
    let events: Vec<Event> = (0..N_EVENTS).map(|_| event(&mut state)).collect();
    let mut hits = Hits::default();

    let one = RuleSet::load(&document(&[FIVE.to_owned()])?, &schema, &Guard::default())?;
    let filled: Vec<Slots> = events.iter().map(|event| slots(&one, event)).collect::<Result<_>>()?;
    let mut n_hits = 0;
    let program = measure(&filled, |slots| {
        // The slots were made by this set.
        let _foreign = one.evaluate(slots, NOW, &mut hits);
        n_hits += hits.as_slice().len();
        hits.as_slice().len()
    });
    let tree = measure(&filled, |slots| one.evaluate_trees(slots));
    let parsed = parse(FIVE)?;
    let maps: Vec<HashMap<&str, Dynamic>> = events
        .iter()
        .map(|event| event.iter().map(|(name, value)| (name.as_str(), *value)).collect())
        .collect();
    let walked = measure(&maps, |map| usize::from(interpret(&parsed, map) == Some(Ok(Dynamic::Bool(true)))));
    ensure!(n_hits > 0, "the rule fires on some events");
    let by_tree: usize = filled.iter().map(|slots| one.evaluate_trees(slots)).sum();
    let by_walk = maps.iter().filter(|map| interpret(&parsed, map) == Some(Ok(Dynamic::Bool(true)))).count();
    ensure!(n_hits == ROUNDS * by_tree && by_tree == by_walk, "all three agree");
    println!(
        "one rule of five clauses, fires on {:.1} % of events",
        100.0 * by_tree as f64 / N_EVENTS as f64
    );
    println!("  compiled program      {program:8.1} ns");
    println!("  checked tree          {tree:8.1} ns   {:5.1} x", tree / program);
    println!("  syntax tree and map   {walked:8.1} ns   {:5.1} x", walked / program);

    let set = RuleSet::load(&document(&conditions(&mut state))?, &schema, &Guard::default())?;
    let filled: Vec<Slots> = events.iter().map(|event| slots(&set, event)).collect::<Result<_>>()?;
    let mut n_hits = 0;
    let program = measure(&filled, |slots| {
        let _foreign = set.evaluate(slots, NOW, &mut hits);
        n_hits += hits.as_slice().len();
        hits.as_slice().len()
    });
    let tree = measure(&filled, |slots| set.evaluate_trees(slots));
    println!(
        "{N_RULES} rules of five clauses, {:.0} fire on an event",
        n_hits as f64 / (ROUNDS * N_EVENTS) as f64
    );
    println!("  compiled programs     {:8.2} us", program / 1e3);
    println!("  checked trees         {:8.2} us   {:5.1} x", tree / 1e3, tree / program);

    let ids: Vec<SlotId> = schema
        .slots()
        .iter()
        .map(|slot| schema.slot(&slot.name))
        .collect::<Option<_>>()
        .context("its own slots")?;
    let mut again = one.slots();
    let fill = measure(&events, |event| {
        again.clear();
        for ((_, value), id) in event.iter().zip(ids.iter().copied()) {
            let set = match *value {
                Dynamic::Bool(value) => again.set(id, Value::Bool(value)),
                Dynamic::Double(value) => again.set(id, Value::Double(value)),
                Dynamic::Int(value) => again.set(id, Value::Int(value)),
                Dynamic::Text(text) => again.set(id, Value::String(text)),
            };
            black_box(set.is_ok());
        }
        1
    });
    println!("filling {} slots, two of them strings: {fill:.0} ns", ids.len());
    Ok(())
}
