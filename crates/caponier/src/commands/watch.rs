//! `caponier watch`: recorded chains replayed, and what watches them measured.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use domain::{Clock as _, Network};
use serde_json::{Value, json};
use watch::{
    SOURCE_BYTES_MAX, SourceFile,
    discovery::Detector,
    evaluate,
    replay::{
        self, ListedParties, Monitor, Options, Parties, Report, Stream, TOKEN_COLUMNS, TRANSACTION_COLUMNS,
    },
    table::{Table, Wanted},
};

use crate::{
    cli::watch::{
        EvaluateClustering, EvaluateCommand, EvaluateDiscovery, EvaluatePoisoning, EvaluatePropagation,
        Recording, Replay, WatchCommand,
    },
    clock::SystemClock,
    core::chain as causes,
    exit::{Exit, Failure},
    output,
};

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// A file or a pipe.
pub(super) type Source = BufReader<Box<dyn Read>>;

pub(super) fn watch(command: WatchCommand, json: bool) -> Result<Exit, Failure> {
    let value = match command {
        WatchCommand::Replay(options) => replay(&options)?,
        WatchCommand::Clear { .. }
        | WatchCommand::Load(_)
        | WatchCommand::Run
        | WatchCommand::Status
        | WatchCommand::Suspects { .. } => {
            return Err(Failure::new(Exit::Internal, "the command reads no recording"));
        }
        WatchCommand::Evaluate(EvaluateCommand::Poisoning(options)) => poisoning(&options)?,
        WatchCommand::Evaluate(EvaluateCommand::Propagation(options)) => propagation(&options)?,
        WatchCommand::Evaluate(EvaluateCommand::Clustering(options)) => clustering(&options)?,
        WatchCommand::Evaluate(EvaluateCommand::Discovery(options)) => discovery(&options)?,
    };
    if json {
        output::line(value);
    } else {
        let mut lines = Vec::new();
        as_text("", &value, &mut lines);
        lines.iter().for_each(output::line);
    }
    Ok(Exit::Ok)
}

fn replay(options: &Replay) -> Result<Value, Failure> {
    let started = Stopwatch::start();
    let labels = match &options.labels {
        Some(path) => {
            let file = SourceFile { name: path.display().to_string(), bytes: whole(path)? };
            ListedParties::import(file, SystemClock.now()).map_err(|error| input(&error))?
        }
        None => ListedParties::none(),
    };
    let detector = options.model.as_deref().map(detector).transpose()?;
    let labels_read = started.lap();
    let mut stream = stream(&options.recording)?;
    let mut monitor = Monitor::new(Options {
        labels,
        network: Network::Ethereum,
        cross_customer: Some(watch::crosscustomer::Thresholds::default()),
        detector,
    });
    let mut report = Report::default();
    replay::run(&mut stream, &mut monitor, &mut report).map_err(|error| input(&error))?;
    let took = started.lap();
    if let Some(path) = &options.suspected_out {
        write(path, monitor.suspected_csv(&stream.parties).as_bytes())?;
    }
    let mut value = report.to_json(&monitor);
    let transactions = report.transactions + report.token_transfers;
    add(&mut value, "labels", labels_read.to_json());
    add(&mut value, "stream", took.since(&labels_read).to_json());
    add(&mut value, "per_second", took.since(&labels_read).rates(transactions));
    Ok(value)
}

fn poisoning(options: &EvaluatePoisoning) -> Result<Value, Failure> {
    let payoffs = table(&options.payoffs, evaluate::poisoning::PAYOFF_COLUMNS)?;
    let mut value = evaluate::poisoning::payoffs(payoffs).map_err(|error| input(&error))?.to_json();
    if let Some(transactions) = &options.transactions {
        let recording = Recording {
            transactions: transactions.clone(),
            tokens: options.tokens.clone(),
            addresses: options.addresses.clone(),
        };
        let organic = evaluate::poisoning::organic(&mut stream(&recording)?, Network::Ethereum)
            .map_err(|error| input(&error))?;
        add(&mut value, "organic", organic.to_json());
    }
    Ok(value)
}

fn propagation(options: &EvaluatePropagation) -> Result<Value, Failure> {
    let nodes = table(&options.nodes, evaluate::propagation::NODE_COLUMNS)?;
    let edges = table(&options.edges, evaluate::propagation::EDGE_COLUMNS)?;
    let labelled = evaluate::propagation::read(nodes, edges).map_err(|error| input(&error))?;
    let options = evaluate::propagation::Options { seeds: options.seeds, reveal: options.reveal };
    let report =
        evaluate::propagation::run(&labelled, &options, processor_time).map_err(|error| input(&error))?;
    Ok(report.to_json())
}

fn clustering(options: &EvaluateClustering) -> Result<Value, Failure> {
    let started = Stopwatch::start();
    let guard = match options.without_guard {
        true => evaluate::clustering::Guard::Off,
        false => evaluate::clustering::Guard::On,
    };
    let transactions = table(&options.transactions, evaluate::clustering::TRANSACTION_COLUMNS)?;
    let clustering = evaluate::clustering::Clustering::read(transactions, guard, processor_time)
        .map_err(|error| input(&error))?;
    let mut value = clustering.to_json();
    add(&mut value, "stream", started.lap().to_json());
    if let Some(reference) = &options.reference {
        let reference = table(reference, evaluate::clustering::REFERENCE_COLUMNS)?;
        let comparison = clustering.compare(reference).map_err(|error| input(&error))?;
        add(&mut value, "reference", comparison.to_json());
    }
    Ok(value)
}

fn discovery(options: &EvaluateDiscovery) -> Result<Value, Failure> {
    use evaluate::discovery::{ACCOUNT_COLUMNS, Origin, WINDOW_COLUMNS, collect, judge};
    let started = Stopwatch::start();
    let given = match &options.model {
        Some(path) => Some(detector(path)?.into_file()),
        None => None,
    };
    let windows = table(&options.windows, WINDOW_COLUMNS)?;
    let accounts = options.accounts.as_deref().map(|path| table(path, ACCOUNT_COLUMNS)).transpose()?;
    let collected = collect(stream(&options.recording)?, windows, accounts, usize::from(options.k))
        .map_err(|error| input(&error))?;
    let read = started.lap();
    let origin =
        Origin { created_by: "caponier watch evaluate discovery".to_owned(), created_at: SystemClock.now() };
    let judged = judge(&collected, given, &origin, options.rolling).map_err(|error| input(&error))?;
    let took = started.lap();
    let mut value = judged.to_json().clone();
    let (bytes, card) = judged.model().map_err(|error| Failure::new(Exit::Internal, causes(&error)))?;
    if let Some(path) = &options.model_out {
        write(path, &bytes)?;
    }
    add(
        &mut value,
        "model",
        json!({"sha256": hex::encode(crypto::sha256(&[&bytes])), "bytes": bytes.len(), "card": card}),
    );
    add(&mut value, "read", read.to_json());
    add(&mut value, "train_and_judge", took.since(&read).to_json());
    Ok(value)
}

/// The detector of a model file.
fn detector(path: &Path) -> Result<Detector, Failure> {
    Detector::decode(&whole(path)?)
        .map_err(|error| Failure::new(Exit::Input, format!("{}: {}", path.display(), causes(&error))))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| Failure::io(path.display(), error))
}

pub(super) fn stream(recording: &Recording) -> Result<Stream<Source>, Failure> {
    let parties = match &recording.addresses {
        Some(path) => Parties::read(open(path)?)
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {}", path.display(), causes(&error))))?,
        None => Parties::default(),
    };
    let transactions = table(&recording.transactions, TRANSACTION_COLUMNS)?;
    let tokens = recording.tokens.as_deref().map(|path| table(path, TOKEN_COLUMNS)).transpose()?;
    Ok(Stream::new(parties, transactions, tokens))
}

fn table(path: &Path, columns: &'static [Wanted]) -> Result<Table<Source>, Failure> {
    let source = BufReader::with_capacity(BUFFER, open(path)?);
    Table::open(&path.display().to_string(), source, columns).map_err(|error| input(&error))
}

pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::new(Exit::NotFound, format!("{}: {error}", path.display())))
        }
        Err(error) => Err(Failure::io(path.display(), error)),
    }
}

/// A file that is needed whole.
fn whole(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    open(path)?
        .take(SOURCE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(path.display(), error))?;
    if bytes.len() as u64 > SOURCE_BYTES_MAX {
        return Err(Failure::new(
            Exit::Input,
            format!("{}: more than {SOURCE_BYTES_MAX} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

/// What is wrong with a file is the fault of its giver, unless it could not be read.
fn input(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut causes_of = std::iter::successors(Some(error), |error| error.source());
    let exit = if causes_of.any(|error| error.is::<io::Error>()) { Exit::Io } else { Exit::Input };
    Failure::new(exit, causes(error))
}

fn add(value: &mut Value, name: &str, more: Value) {
    if let Value::Object(object) = value {
        object.insert(name.to_owned(), more);
    }
}

/// One line per value, `name.name: value`; lists of objects are left to --json.
fn as_text(name: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                as_text(&name, value, lines);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            lines.push(format!("{name}: {} (see --json)", items.len()));
        }
        value => lines.push(format!("{name}: {value}")),
    }
}

/// Wall time and processor time since the start.
#[derive(Debug)]
pub(super) struct Stopwatch {
    wall: domain::UnixNanos,
    cpu: std::time::Duration,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Lap {
    wall: std::time::Duration,
    cpu: std::time::Duration,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { wall: SystemClock.now(), cpu: processor_time() }
    }

    pub(super) fn lap(&self) -> Lap {
        Lap { wall: SystemClock.now().since(self.wall), cpu: processor_time().saturating_sub(self.cpu) }
    }
}

impl Lap {
    pub(super) fn since(self, earlier: &Self) -> Self {
        Self { wall: self.wall.saturating_sub(earlier.wall), cpu: self.cpu.saturating_sub(earlier.cpu) }
    }

    pub(super) fn to_json(self) -> Value {
        json!({"seconds": self.wall.as_secs_f64(), "cpu_seconds": self.cpu.as_secs_f64()})
    }

    /// How many of `count` in one second, of the wall and of one processor.
    pub(super) fn rates(self, count: u64) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per = |time: std::time::Duration| (count as f64 / time.as_secs_f64().max(1e-9)).round();
        json!({"wall": per(self.wall), "core": per(self.cpu)})
    }
}

/// What this process has used of processors.
fn processor_time() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    std::time::Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
