//! What a decision costs in process, with its reasons: windows, rules, score, explanation.
//!
//! `decision [TREES] [DEPTH]`. A pack of 60 windows over accounts, devices and addresses, and six features beside them;
//! 100 rules of five clauses over its columns; a model of 500 trees of depth 8, trained on the vectors this very stream
//! gave before, with labels that arrive a day late. Each decision takes one event into the windows, fills the slots of the
//! rules from the vector, evaluates them, scores, and says why: the five features that raised the score most, and the
//! reasons of the rules that fired, as many of them as the product tells. Every decision is explained; a product may explain only those that do not allow.
//!
//! Budget: 150 us (p99) for all of it. The whole is timed by the clock and by processor time, which other work on the
//! machine disturbs less; the steps by the clock. Each time contains the clock's own cost, which is printed. The rounds
//! follow each other in the stream; of each figure the least disturbed round counts, since other work only ever adds.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::{fmt::Write as _, hint::black_box, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, ensure};
use benches::{mix, thread_cpu};
use domain::UnixNanos;
use features::{Engine, EntityHash, Label, Limits, Pack, Record, Stepped, Value};
use fraud::live::RULES_TOLD_MAX;
use rules::{Guard, Hits, RuleSet, Schema, Slot, SlotId, Slots, Type};
use scoring::{
    gbdt::{Params, train},
    matrix::{FeatureNames, Matrix, quantise},
    model::Model,
    shap::Explainer,
};

const N_RULES: usize = 100;
const N_ACCOUNTS: u64 = 20_000;
/// Events before the vectors are kept, so that windows are full.
const N_WARM: u64 = 150_000;
const N_TRAINED: u64 = 60_000;
const ROUNDS: usize = 7;
const N_TIMED: usize = 4_000;
const REASONS: usize = 5;
const START_SECS: u64 = 1_700_000_000;
const STEP_SECS: u64 = 20;
const LABEL_DELAY_EVENTS: u64 = 86_400 / STEP_SECS;

fn pack() -> Result<Arc<Pack>> {
    let mut text = "[pack]\nname = 'bench'\nversion = 1\nresolution = '1s'\n".to_owned();
    for name in ["account", "device", "address"] {
        write!(text, "[[field]]\nname = '{name}'\ntype = 'entity'\n")?;
    }
    text.push_str("[[field]]\nname = 'amount'\ntype = 'money'\nscale = 2\n");
    for key in ["account", "device", "address"] {
        for kind in ["count", "sum", "mean", "max"] {
            let value = if kind == "count" { "" } else { "value = 'amount'\n" };
            let windows = "windows = ['10m', '1h', '1d', '7d', '30d']";
            write!(
                text,
                "[[feature]]\nname = '{key}_{kind}'\nkind = '{kind}'\nkey = '{key}'\n{value}{windows}\n"
            )?;
        }
    }
    text.push_str("[[feature]]\nname = 'event_amount'\nkind = 'field'\nfield = 'amount'\n");
    text.push_str("[[feature]]\nname = 'hour'\nkind = 'hour'\n");
    text.push_str("[[feature]]\nname = 'new_pair'\nkind = 'first_seen'\nkey = ['account', 'address']\n");
    text.push_str("[[feature]]\nname = 'deviation'\nkind = 'z_score'\nkey = 'account'\nvalue = 'amount'\n");
    text.push_str("[[feature]]\nname = 'since'\nkind = 'since_previous'\nkey = 'account'\n");
    text.push_str("[[feature]]\nname = 'risk'\nkind = 'risk'\nkey = 'address'\nwindow = '30d'\n");
    Ok(Arc::new(Pack::parse(&text)?))
}

/// Rules of five clauses over columns and values that occur in the rows.
fn rules(rows: &Matrix, schema: &Arc<Schema>) -> Result<RuleSet> {
    let mut text = "[pack]\nname = 'bench'\nversion = '1'\n".to_owned();
    for rule in 0..N_RULES {
        write!(
            text,
            "[[rule]]\nid = 'r{rule}'\ntitle = 't'\nowner = 'o'\naction = 'challenge'\nreason = 'why {rule}'\n"
        )?;
        text.push_str("when = '''");
        for clause in 0..5 {
            let random = usize::try_from(mix((rule * 8 + clause) as u64) >> 16)?;
            let column = random % rows.n_features();
            // The first clause holds for one event in twenty or so, the others for most.
            let percent = if clause == 0 { 95 } else { 10 + random / 977 % 40 };
            let mut values: Vec<f32> = rows
                .column(column)
                .take(2_000)
                .map(|value| if value.is_nan() { 0.0 } else { value })
                .collect();
            values.sort_unstable_by(f32::total_cmp);
            let and = if clause == 0 { "" } else { " && " };
            write!(
                text,
                "{and}{} >= {:?}",
                rows.names().name(column),
                f64::from(values[values.len() * percent / 100])
            )?;
        }
        text.push_str("'''\n");
    }
    Ok(RuleSet::load(&text, schema, &Guard::default())?)
}

/// The stream, its windows and its labels.
struct Stream {
    engine: Engine,
    hash: EntityHash,
    number: u64,
}

impl Stream {
    /// Who does what with the event, and whether it is fraud. One account in 60 is taken over at some time: many
    /// payments, new devices, few addresses.
    fn event(&self, number: u64) -> ([u64; 3], i64, bool) {
        let random = mix(number);
        let (first, second) = (mix(random) >> 20, mix(random ^ 1) >> 20);
        // Some accounts are far busier than others, and few amounts are large.
        let mut account = (first % N_ACCOUNTS) * (second % N_ACCOUNTS) / N_ACCOUNTS;
        let is_fraud = random.is_multiple_of(97);
        let (mut device, mut address) = (account * 2 + random % 2, (account * 7 + random / 5 % 6) % 40_000);
        let mut cents = i64::try_from((first % 251) * (second % 257)).unwrap_or(0) / 2 + 100;
        if is_fraud {
            account = number / 3_000 * 60 % N_ACCOUNTS;
            device = 1_000_000 + number / 900;
            address = 2_000_000 + number / 1_500 % 8;
            cents = cents * 2 + 3_000;
        }
        ([account, device, address], cents, is_fraud)
    }

    fn step(&mut self, row: &mut [f64]) -> Result<bool> {
        let (entities, cents, is_fraud) = self.event(self.number);
        let at = UnixNanos::from_secs(START_SECS + self.number * STEP_SECS);
        let [account, device, address] = entities.map(|name| self.hash.of(&name.to_be_bytes()));
        let values =
            [Value::Entity(account), Value::Entity(device), Value::Entity(address), Value::Money(cents)];
        let stepped = self
            .engine
            .step(&Record { position: self.number + 1, at, id: self.number, values: &values }, row)?;
        ensure!(stepped == Stepped::Taken, "event {} was not taken", self.number);
        self.number += 1;
        Ok(is_fraud)
    }

    /// The label of the event a day before.
    fn label(&mut self) -> Result<()> {
        let Some(id) = self.number.checked_sub(LABEL_DELAY_EVENTS) else { return Ok(()) };
        let arrival = UnixNanos::from_secs(START_SECS + self.number * STEP_SECS);
        let (.., is_fraud) = self.event(id);
        let _labelled = self.engine.label(&Label { id, is_fraud, arrival })?;
        Ok(())
    }
}

/// p50, p99 and mean of the least disturbed round.
struct Figures(Vec<[f64; 3]>);

impl Figures {
    fn add(&mut self, times: &mut [f64]) {
        times.sort_unstable_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        self.0.push([times[times.len() / 2], times[times.len() * 99 / 100], mean]);
    }

    fn print(&self, what: &str) {
        let best = |index: usize| self.0.iter().map(|round| round[index]).fold(f64::INFINITY, f64::min);
        println!("  {what:<40} p50 {:8.2} us   p99 {:8.2} us   mean {:8.2} us", best(0), best(1), best(2));
    }
}

/// What decides, and the space it needs.
struct Judge {
    model: Model,
    explainer: Explainer,
    set: RuleSet,
    ids: Vec<SlotId>,
    slots: Slots,
    hits: Hits,
    row: Vec<f32>,
}

impl Judge {
    fn fire(&mut self, row: &[f64], at: UnixNanos) -> Result<usize> {
        for (id, value) in self.ids.iter().zip(row) {
            self.slots.set_number(*id, *value)?;
        }
        self.set.evaluate(&self.slots, at, &mut self.hits)?;
        Ok(self.hits.as_slice().len())
    }

    fn score(&mut self, row: &[f64]) -> f64 {
        self.row.clear();
        self.row.extend(row.iter().copied().map(quantise));
        self.model.logit(&self.row)
    }

    fn explain(&self) -> usize {
        let reasons = self.explainer.explain(&self.row).raising(REASONS);
        let told = self.hits.as_slice().iter().take(RULES_TOLD_MAX);
        let texts = told.filter_map(|hit| self.set.explain(*hit, &self.slots)).count();
        black_box(reasons).len() + texts
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: u32| match arguments.next() {
        Some(text) => text.parse().with_context(|| format!("not a number: {text}")),
        None => Ok(default),
    };
    let (trees, depth) = (argument(500)?, u8::try_from(argument(8)?)?);

    let pack = pack()?;
    let limits = Limits { events_max: 1 << 21, labels_max: 1 << 22, ..Limits::default() };
    let engine = Engine::new(Arc::clone(&pack), limits);
    let mut stream = Stream { engine, hash: EntityHash::new([7; 16]), number: 0 };
    let names = FeatureNames::new(pack.columns().iter().map(|column| column.name.clone()))?;
    let n_features = names.len();
    let (mut rows, mut labels) = (Matrix::new(names), Vec::new());
    let mut row = vec![0.0; n_features];
    while stream.number < N_WARM + N_TRAINED {
        let is_kept = stream.number >= N_WARM;
        let is_fraud = stream.step(&mut row)?;
        stream.label()?;
        if is_kept {
            // One label in 200 is wrong, as labels are.
            labels.push(is_fraud ^ mix(stream.number ^ 0x5eed).is_multiple_of(200));
            rows.push(&row.iter().copied().map(quantise).collect::<Vec<f32>>())?;
        }
    }
    let start = thread_cpu();
    let model = train(&rows, &labels, None, None, &Params { trees, depth, ..Params::default() })?;
    let nodes: usize = model.trees().iter().map(|tree| tree.nodes().len()).sum();
    println!(
        "{n_features} features, {N_RULES} rules, {} trees of depth {} with {:.1} leaves each, trained in {:.1} s",
        model.trees().len(),
        model.depth(),
        (nodes + model.trees().len()) as f64 / 2.0 / model.trees().len() as f64,
        (thread_cpu() - start).as_secs_f64()
    );

    let schema = rows.names().iter().map(|name| Slot::new(name, Type::Double)).collect();
    let schema = Arc::new(Schema::new(schema)?);
    let set = rules(&rows, &schema)?;
    let ids: Vec<SlotId> =
        rows.names().iter().map(|name| schema.slot(name)).collect::<Option<_>>().context("its own slots")?;
    let (explainer, slots) = (Explainer::new(&model), set.slots());
    let mut judge = Judge { model, explainer, set, ids, slots, hits: Hits::default(), row: Vec::new() };

    let mut figures = [const { Figures(Vec::new()) }; 7];
    let mut hits = 0;
    for _ in 0..ROUNDS {
        let mut times = [const { Vec::new() }; 7];
        for _ in 0..N_TIMED {
            let at = UnixNanos::from_secs(START_SECS + stream.number * STEP_SECS);
            let spent = thread_cpu();
            let stamps = {
                let start = Instant::now();
                black_box(stream.step(&mut row)?);
                let stepped = Instant::now();
                hits += judge.fire(&row, at)?;
                let fired = Instant::now();
                black_box(judge.score(&row));
                let scored = Instant::now();
                black_box(judge.explain());
                [start, stepped, fired, scored, Instant::now(), Instant::now()]
            };
            times[6].push((thread_cpu() - spent).as_secs_f64() * 1e6);
            stream.label()?;
            for (times, pair) in times.iter_mut().zip(stamps.windows(2)) {
                times.push((pair[1] - pair[0]).as_secs_f64() * 1e6);
            }
            times[5].push((stamps[4] - stamps[0]).as_secs_f64() * 1e6);
        }
        for (figures, times) in figures.iter_mut().zip(&mut times) {
            figures.add(times);
        }
    }
    println!("{:.1} rules fire on an event", hits as f64 / (ROUNDS * N_TIMED) as f64);
    let [windows, rules, score, reasons, clock, whole, processor] = &figures;
    clock.print("clock");
    windows.print("features, 60 of them windows");
    rules.print("slots and rules");
    score.print("score");
    reasons.print("reasons of the score and the rules");
    whole.print("decision (budget p99 150 us)");
    processor.print("decision, processor time");
    Ok(())
}
