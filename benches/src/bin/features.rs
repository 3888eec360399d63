//! The feature engine at 300,000 entities: events per second of CPU time and bytes per entity.
//!
//! `features [N_ENTITIES] [N_EVENTS] [DAYS]`. The pack is the 15 features of the card example; half of the entities are
//! customers, half terminals, drawn evenly, so that nearly every event misses the caches of the processor. Every event
//! gets a label a week later, one in 500 a fraud. Budget: 500,000 events/s of CPU time, 700 bytes per entity.
//! Then the entity graph: transfers and links between as many accounts, each timed by itself. Budget: 20 µs p99.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::{hint::black_box, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, ensure};
use benches::{mix, process_cpu};
use domain::UnixNanos;
use features::{
    Engine, EntityHash, Graph, GraphLimits, Label, Limits, Pack, Record, Stepped, Transfer, Value,
};

const PACK: &str = include_str!("../../../crates/features/packs/card-handbook.toml");
const START_SECS: u64 = 1_700_000_000;
const LABEL_DELAY_SECS: u64 = 7 * 86_400;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: u64| match arguments.next() {
        Some(text) => text.parse().with_context(|| format!("not a number: {text}")),
        None => Ok(default),
    };
    let (n_entities, n_events, days) = (argument(300_000)?, argument(6_000_000)?, argument(60)?);
    ensure!(n_entities >= 2 && n_events > 0 && days > 0, "each at least 1, entities at least 2");

    let pack = Arc::new(Pack::parse(PACK)?);
    let limits = Limits { events_max: 1 << 21, labels_max: 1 << 22, ..Limits::default() };
    let mut engine = Engine::new(Arc::clone(&pack), limits);
    let mut row = vec![0.0; pack.columns().len()];
    let hash = EntityHash::new([7; 16]);
    let names: Vec<u64> = (0..n_entities).map(|number| hash.of(&number.to_be_bytes())).collect();
    let half = n_entities / 2;
    let name =
        |number: u64| names.get(usize::try_from(number).unwrap_or_default()).copied().unwrap_or_default();

    // The second half is timed: the windows are full by then.
    let (mut start, mut checksum) = (process_cpu(), 0.0);
    let timed_from = n_events / 2;
    for number in 0..n_events {
        if number == timed_from {
            start = process_cpu();
        }
        let random = mix(number);
        let at = UnixNanos::from_secs(START_SECS + number * days * 86_400 / n_events);
        let values = [
            Value::Entity(name(random % half)),
            Value::Entity(name(half + (random >> 32) % half)),
            Value::Money(i64::try_from(mix(random) % 30_000)?),
        ];
        let stepped =
            engine.step(&Record { position: number + 1, at, id: number, values: &values }, &mut row)?;
        ensure!(stepped == Stepped::Taken, "event {number} was not taken");
        let arrival = UnixNanos::from_secs(at.as_secs() + LABEL_DELAY_SECS);
        let _labelled = engine.label(&Label { id: number, is_fraud: random.is_multiple_of(500), arrival })?;
        checksum += row.iter().sum::<f64>();
    }
    let took = (process_cpu() - start).as_secs_f64();
    let timed = (n_events - timed_from) as f64;

    let (usage, counts) = (engine.usage(), engine.counts());
    println!("{n_entities} entities, {n_events} events over {days} days, {} features", row.len());
    println!("events/s (CPU)      {:>12.0}  budget 500000", timed / took);
    println!("ns/event (CPU)      {:>12.0}", took * 1e9 / timed);
    println!("bytes/entity        {:>12}  budget 700", usage.entity_bytes / usage.entities.max(1));
    println!("samples/entity      {:>12.1}", n_events as f64 * 2.0 / usage.entities.max(1) as f64);
    println!(
        "bytes/event by id   {:>12}  ({} events)",
        usage.event_bytes / usage.events.max(1),
        usage.events
    );
    println!("labels applied      {:>12}  unmatched {}", counts.labels, counts.labels_unmatched);
    println!("checksum of rows    {checksum:>12.3}");
    drop(engine);
    graph(&names, n_events / 4)
}

/// The median and the 99th percentile in microseconds.
fn percentiles(mut nanos: Vec<u128>) -> String {
    nanos.sort_unstable();
    let at =
        |percent: usize| nanos.get(nanos.len() * percent / 100).copied().unwrap_or_default() as f64 / 1e3;
    format!("p50 {:>7.2} µs  p99 {:>7.2} µs", at(50), at(99))
}

fn graph(names: &[u64], n_events: u64) -> Result<()> {
    let mut graph = Graph::new(GraphLimits::default());
    let count = names.len() as u64;
    let name =
        |number: u64| names.get(usize::try_from(number % count).unwrap_or_default()).copied().unwrap_or(0);
    let (mut transfers, mut links, mut facts, mut cycles) = (Vec::new(), Vec::new(), Vec::new(), 0_u64);
    for number in 0..n_events {
        let random = mix(number ^ 0xabcd);
        let at = UnixNanos::from_secs(START_SECS + number * 60);
        // One in eight accounts is busy: half of the transfers are among those.
        let share = if random.is_multiple_of(2) { count } else { (count / 8).max(1) };
        let (from, to) = (name((random >> 8) % share), name((random >> 36) % share));
        if from == to {
            continue;
        }
        let transfer = Transfer { from, to, minor: mix(random) % 50_000, at };
        let start = Instant::now();
        cycles += u64::from(graph.transfer(&transfer)?.is_some());
        transfers.push(start.elapsed().as_nanos());
        let start = Instant::now();
        graph.link(from, mix(random >> 20) % count, at);
        links.push(start.elapsed().as_nanos());
        if number.is_multiple_of(8) {
            let start = Instant::now();
            black_box(graph.facts(to, at));
            facts.push(start.elapsed().as_nanos());
        }
    }
    println!("graph: {} accounts, {} transfers, {cycles} cycles", graph.accounts(), transfers.len());
    println!("transfer            {}  budget 20 µs p99", percentiles(transfers));
    println!("link                {}  budget 20 µs p99", percentiles(links));
    println!("facts               {}", percentiles(facts));
    Ok(())
}
