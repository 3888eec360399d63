//! `caponier fraud`: recorded events evaluated and replayed.

mod drift;
pub(super) mod models;
mod past;
mod replay;
mod thresholds;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read as _, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain::{Clock as _, UnixNanos};
use features::Pack;
use fraud::{
    evaluate::{
        FALSE_POSITIVE_RATES, Figures, FoldResult,
        model::model_file,
        protocol::{Day, Protocol},
        run,
    },
    mapping::{Mapping, TEXT_BYTES_MAX},
    preset::{self, PARAMS_BYTES_MAX},
    recording::Recording,
    stream::{DeadLetter, DeadReason},
};
use scoring::gbdt::Params;
use serde_json::{Value, json};

use super::watch::{Stopwatch, open};
use crate::{
    bundles,
    cli::{
        Place,
        fraud::{BundleCommand, Evaluate, Events, FraudCommand, Label, Outcome},
    },
    clock::SystemClock,
    control::{FraudRequest, LabelWords},
    core::chain as causes,
    exit::{Exit, Failure},
    output::{self, Bar},
};

/// Folds trained at one time, at most.
const THREADS_MAX: usize = 64;
/// Features shown as the most important ones.
const IMPORTANT_SHOWN: usize = 20;

/// The request behind a command that is about an installation; the command again if it is not.
pub(super) fn request(command: FraudCommand) -> Result<FraudRequest, FraudCommand> {
    match command {
        FraudCommand::DeadLetters(options) => Ok(FraudRequest::DeadLetters { from: options.from }),
        FraudCommand::Label(Label { label, account, event, decision, source }) => {
            Ok(FraudRequest::Label(LabelWords {
                account,
                event,
                decision,
                is_fraud: label == Outcome::Fraud,
                source,
            }))
        }
        FraudCommand::Bundle(BundleCommand::Status) => Ok(FraudRequest::Bundles),
        FraudCommand::Bundle(BundleCommand::Drift) => Ok(FraudRequest::Drift),
        FraudCommand::Bundle(BundleCommand::Verify) => Ok(FraudRequest::Recompute),
        FraudCommand::Bundle(BundleCommand::Promote { sha256, reason }) => {
            Ok(FraudRequest::Promote { sha256, reason })
        }
        FraudCommand::Bundle(BundleCommand::Demote { reason }) => Ok(FraudRequest::Demote { reason }),
        command => Err(command),
    }
}

pub(super) fn fraud(command: FraudCommand, place: &Place, json: bool) -> Result<Exit, Failure> {
    match command {
        FraudCommand::Evaluate(options) => evaluate(place, &options, json),
        FraudCommand::Thresholds(options) => thresholds::thresholds(place, &options, json),
        FraudCommand::Drift(options) => drift::drift(&options, json),
        FraudCommand::Replay(options) => replay::replay(&options, json),
        FraudCommand::Bundle(BundleCommand::New { dir }) => {
            let bundle = bundles::write_new(&dir)?;
            let told = bundles::told(&bundle);
            output::line(if json { told.to_string() } else { format!("{told:#}") });
            Ok(Exit::Ok)
        }
        FraudCommand::Bundle(BundleCommand::Check { dir }) => {
            let bundle = bundles::read(&dir)?;
            let told = bundles::told(&bundle);
            output::line(if json { told.to_string() } else { format!("{told:#}") });
            Ok(Exit::Ok)
        }
        FraudCommand::Bundle(_)
        | FraudCommand::DeadLetters(_)
        | FraudCommand::Label(_)
        | FraudCommand::Models(_) => Err(Failure::new(Exit::Internal, "this command is for an installation")),
    }
}

/// A file with a bound on its size.
fn bytes(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    open(path)?
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(path.display(), error))?;
    if bytes.len() > bytes_max {
        let message = format!("{}: is longer than {bytes_max} bytes", path.display());
        return Err(Failure::new(Exit::Input, message));
    }
    Ok(bytes)
}

fn text(path: &Path, bytes_max: usize) -> Result<String, Failure> {
    String::from_utf8(bytes(path, bytes_max)?)
        .map_err(|_| Failure::new(Exit::Input, format!("{}: is not UTF-8", path.display())))
}

fn mapping(path: &Path) -> Result<Mapping, Failure> {
    let bad = |fault: &dyn std::fmt::Display| format!("{}: {fault}", path.display());
    Mapping::parse(&text(path, TEXT_BYTES_MAX)?).map_err(|errors| {
        let lines: Vec<String> = errors.0.iter().map(|fault| bad(fault)).collect();
        Failure::new(Exit::Input, lines.join("\n"))
    })
}

/// A pack by name or file, and the parameters that suit it; features that need a field which the mapping lacks are
/// left out.
fn pack(name: &str, mapping: &Mapping) -> Result<(Arc<Pack>, Params), Failure> {
    let (text, params) = match preset::preset(name) {
        Some(preset) => (preset.pack.to_owned(), preset.params),
        None => (text(Path::new(name), features::PACK_BYTES_MAX)?, preset::usual()),
    };
    let present: Vec<&str> = mapping.fields.iter().map(|field| field.name.as_str()).collect();
    let pack = Pack::parse_for(&text, &present)
        .map_err(|error| Failure::new(Exit::Input, format!("{name}: {error}")))?;
    if pack.columns().is_empty() {
        let message = format!("{name}: no feature is left: the mapping has none of the fields it needs");
        return Err(Failure::new(Exit::Input, message));
    }
    Ok((Arc::new(pack), params))
}

/// Writes dead letters, one JSON object a line; without a file they are only counted.
struct DeadLetters(Option<BufWriter<File>>);

impl DeadLetters {
    fn create(path: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self(path.map(create).transpose()?))
    }

    fn take(&mut self, letter: &DeadLetter) -> io::Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let value = match &letter.reason {
            DeadReason::Event(fault) => json!({
                "line": letter.line, "column": fault.column, "value": fault.value,
                "reason": fault.problem.to_string(),
            }),
            other => json!({"line": letter.line, "reason": other.to_string()}),
        };
        writeln!(file, "{value}")
    }

    fn finish(self) -> io::Result<()> {
        self.0.map_or(Ok(()), |mut file| file.flush())
    }
}

/// Creates a file; never replaces one.
fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => Ok(BufWriter::new(file)),
        Err(error) => Err(Failure::io(path.display(), error)),
    }
}

/// The input and what was made of it, as every report states it.
fn input_json(events: &Events, recording: &Recording) -> Value {
    json!({
        "file": events.events, "name": recording.name(), "sha256": hex::encode(recording.sha256()),
        "read": recording.len(), "dead_letters": recording.dead(),
    })
}

fn pack_json(pack: &Pack) -> Value {
    json!({
        "name": pack.name(), "version": pack.version(), "hash": hex::encode(pack.hash()),
        "features": pack.columns().len(), "left_out": pack.omitted(),
    })
}

fn day(text: &str) -> Result<Day, Failure> {
    UnixNanos::parse_rfc3339(&format!("{text}T00:00:00Z")).map(Day::of).map_err(|_| {
        Failure::new(Exit::Usage, format!("--train-start: not a date such as 2018-08-08: {text:?}"))
    })
}

/// `2018-08-08`.
fn date(day: Day) -> String {
    let mut text = day.start().to_string();
    text.truncate(10);
    text
}

/// What an evaluation came to.
struct Evaluated {
    results: Vec<FoldResult>,
    mean: Figures,
    deviation: Figures,
    report: Value,
    /// The model of the latest fold, as a file.
    model: Vec<u8>,
}

fn evaluate(place: &Place, options: &Evaluate, json: bool) -> Result<Exit, Failure> {
    let Evaluated { results, mean, deviation, report, .. } = evaluated(place, options, json)?;
    if json {
        output::line(&report);
    } else {
        print(&results, (&mean, &deviation), &report, options.capacity);
    }
    Ok(Exit::Ok)
}

fn evaluated(place: &Place, options: &Evaluate, json: bool) -> Result<Evaluated, Failure> {
    let clock = Stopwatch::start();
    let protocol = Protocol {
        train_start: day(&options.train_start)?,
        train_days: options.train_days,
        delay_days: options.delay_days,
        test_days: options.test_days,
        folds: options.folds,
        capacity: options.capacity,
    };
    let folds = protocol.folds().map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    if !(1..=THREADS_MAX).contains(&options.threads) {
        return Err(Failure::new(Exit::Usage, format!("--threads: 1 to {THREADS_MAX} are possible")));
    }
    let mut bar = Bar::new(json);
    let past = past::Past::open(place, &options.past, past::Wanted::of(&folds), &mut bar)?;
    let params = match &options.params {
        Some(path) => preset::params(&text(path, PARAMS_BYTES_MAX)?)
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?,
        None => past.params.clone(),
    };
    let read = clock.lap();
    bar.report("features", 1, 3);
    let table = past.table(&folds)?;
    // Of the journal the labels are those that whoever trains by the fold knows.
    let views = folds.iter().map(|fold| past.view(fold)).collect::<Result<Vec<_>, Failure>>()?;
    let computed = clock.lap();
    bar.report("training", 2, 3);
    let results: Vec<FoldResult> = side_by_side(folds.len(), options.threads, |fold| {
        run(past.source(&views[fold]), &table, &folds[fold], &params, options.capacity)
    })
    .into_iter()
    .collect::<Result<_, _>>()
    .map_err(|error| past.failure(&error))?;
    let trained = clock.lap();
    drop(bar);

    let figures: Vec<Figures> = results.iter().map(|result| result.figures).collect();
    let Some((mean, deviation)) = Figures::summary(&figures) else {
        return Err(Failure::new(Exit::Internal, "there is no fold"));
    };
    let mut value = json!({ "ok": true, "events": past.told(), "pack": pack_json(&past.pack) });
    for (key, more) in [
        ("protocol", protocol_json(&protocol)),
        (
            "parameters",
            params.describe().into_iter().map(|(key, value)| (key, Value::String(value))).collect(),
        ),
        ("folds", results.iter().map(|result| fold_json(result, options.capacity)).collect()),
        ("mean", figures_json(&mean, options.capacity)),
        ("standard_deviation", figures_json(&deviation, options.capacity)),
        ("duplicates", table.duplicates().into()),
        (
            "importance",
            importance(&results)
                .into_iter()
                .map(|(name, share)| json!({"feature": name, "share": share}))
                .collect(),
        ),
        ("reading", read.to_json()),
        ("computing", computed.since(&read).to_json()),
        ("training", trained.since(&computed).to_json()),
    ] {
        value[key] = more;
    }
    let by = concat!("caponier ", env!("CARGO_PKG_VERSION"), " fraud evaluate");
    let latest = results.first().ok_or_else(|| Failure::new(Exit::Internal, "there is no fold"))?;
    let view = views.first().map(Vec::as_slice).unwrap_or_default();
    let file = model_file(latest, past.source(view), &past.pack, &params, by, SystemClock.now());
    let bytes = file.encode().map_err(|error| Failure::new(Exit::Internal, causes(&error)))?;
    if let Some(path) = &options.model_out {
        let mut out = create(path)?;
        out.write_all(&bytes)
            .and_then(|()| out.flush())
            .map_err(|error| Failure::io(path.display(), error))?;
        value["model"] =
            json!({"file": path, "digest": scoring::model::file::digest(&bytes).map(hex::encode)});
    }
    Ok(Evaluated { results, mean, deviation, report: value, model: bytes })
}

/// Does `n` pieces of work on up to `threads` threads; the results are in the order of the pieces.
fn side_by_side<T: Send>(n: usize, threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let take = || {
            let mut mine = Vec::new();
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= n {
                    return mine;
                }
                mine.push((piece, work(piece)));
            }
        };
        let helpers: Vec<_> = (1..threads.min(n)).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for helper in helpers {
            match helper.join() {
                Ok(theirs) => done.extend(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(piece, _)| *piece);
    done.into_iter().map(|(_, result)| result).collect()
}

fn protocol_json(protocol: &Protocol) -> Value {
    json!({
        "train_start": date(protocol.train_start), "train_days": protocol.train_days,
        "delay_days": protocol.delay_days, "test_days": protocol.test_days,
        "folds": protocol.folds, "capacity": protocol.capacity,
    })
}

/// `recall at 0.01 %` and so on.
fn rates() -> impl Iterator<Item = String> {
    FALSE_POSITIVE_RATES.iter().map(|rate| format!("{}", rate * 100.0))
}

fn figures_json(figures: &Figures, capacity: usize) -> Value {
    let recall: serde_json::Map<String, Value> = rates()
        .zip(figures.recall)
        .map(|(rate, recall)| (format!("fpr_{rate}_percent"), recall.into()))
        .collect();
    let mut value = json!({
        "auc_roc": figures.auc_roc, "average_precision": figures.average_precision, "recall": recall,
    });
    value[format!("card_precision_{capacity}")] = figures.card_precision.into();
    value
}

fn fold_json(result: &FoldResult, capacity: usize) -> Value {
    let days = |days: &std::ops::Range<Day>| json!([date(days.start), date(Day(days.end.0 - 1))]);
    let mut value = figures_json(&result.figures, capacity);
    for (key, more) in [
        ("train_days", days(&result.fold.train)),
        ("train_rows", result.train_rows.into()),
        ("train_frauds", result.train_frauds.into()),
        ("test_days", days(&result.fold.test)),
        ("test_rows", result.test_rows.into()),
        ("test_frauds", result.test_frauds.into()),
        ("trees", result.model.trees().len().into()),
    ] {
        value[key] = more;
    }
    value
}

/// Share of the gain of all splits, mean over the folds, the most important feature first.
fn importance(results: &[FoldResult]) -> Vec<(String, f64)> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for result in results {
        let gains = result.model.gain_importance();
        let all: f64 = gains.iter().sum();
        for (feature, (name, gain)) in result.model.features().iter().zip(gains).enumerate() {
            let share = if all > 0.0 { gain / all / results.len() as f64 } else { 0.0 };
            match shares.get_mut(feature) {
                Some((_, sum)) => *sum += share,
                None => shares.push((name.to_owned(), share)),
            }
        }
    }
    shares.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    shares
}

fn print(results: &[FoldResult], summary: (&Figures, &Figures), value: &Value, capacity: usize) {
    let text = |pointer: &str| match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    output::line(format!(
        "events    {} read, {} dead letters, {} duplicates, sha256 {}",
        text("/events/read"),
        text("/events/dead_letters"),
        text("/duplicates"),
        text("/events/sha256")
    ));
    output::line(format!(
        "pack      {} version {}, {} features, hash {}",
        text("/pack/name"),
        text("/pack/version"),
        text("/pack/features"),
        text("/pack/hash")
    ));
    if let Some(left_out) = value.pointer("/pack/left_out").and_then(Value::as_array)
        && !left_out.is_empty()
    {
        let names: Vec<&str> = left_out.iter().filter_map(Value::as_str).collect();
        output::line(format!("left out  for lack of fields in the mapping: {}", names.join(", ")));
    }
    let rates: Vec<String> = rates().map(|rate| format!("{:>7}", format!("@{rate}%"))).collect();
    output::line(format!(
        "\n{:<24} {:>8} {:>7} {:>8} {:>7} {:>8} {:>8} {:>8} {}",
        "test",
        "train",
        "frauds",
        "test",
        "frauds",
        "AUC",
        "AP",
        format!("CP@{capacity}"),
        rates.join(" ")
    ));
    let figures = |figures: &Figures| {
        let recall: Vec<String> = figures.recall.iter().map(|recall| format!("{recall:>7.4}")).collect();
        format!(
            "{:>8.4} {:>8.4} {:>8.4} {}",
            figures.auc_roc,
            figures.average_precision,
            figures.card_precision,
            recall.join(" ")
        )
    };
    for result in results {
        let test = &result.fold.test;
        output::line(format!(
            "{:<24} {:>8} {:>7} {:>8} {:>7} {}",
            format!("{} .. {}", date(test.start), date(Day(test.end.0 - 1))),
            result.train_rows,
            result.train_frauds,
            result.test_rows,
            result.test_frauds,
            figures(&result.figures)
        ));
    }
    for (name, of) in [("mean", summary.0), ("standard deviation", summary.1)] {
        output::line(format!("{name:<24} {:>8} {:>7} {:>8} {:>7} {}", "", "", "", "", figures(of)));
    }
    output::line("\nimportance (share of gain)");
    for (name, share) in importance(results).into_iter().take(IMPORTANT_SHOWN) {
        output::line(format!("  {name:<40} {:>6.2} %", share * 100.0));
    }
    for what in ["reading", "computing", "training"] {
        let seconds = |key| value.pointer(&format!("/{what}/{key}")).and_then(Value::as_f64).unwrap_or(0.0);
        let (wall, cpu) = (seconds("seconds"), seconds("cpu_seconds"));
        output::line(format!("{what:<10} {wall:.2} s, {cpu:.2} s of processor time"));
    }
}
