//! `attack --caponier PROGRAM [--quick] [--only WORD] [--sslyze FOLDER]`: runs the suite against that program and
//! prints the table; exit code 1 if a criterion is missed. `--trials [--minutes N]` runs the trials of minutes instead.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the suite speaks on its terminal")]
#![allow(clippy::disallowed_methods, reason = "attacks are timed by the real clock")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use attack::house::House;
use attack::report::{Row, Verdict, table};
use attack::upstream::Upstream;
use attack::{flood, framing, http2, replay, slow, tools, trial};

/// How long each flood lasts.
const FLOOD: Duration = Duration::from_secs(8);
/// The whole suite; what has not begun by then is a miss.
const SUITE_MAX: Duration = Duration::from_secs(540);

struct Options {
    caponier: PathBuf,
    is_quick: bool,
    is_trials: bool,
    minutes: u64,
    only: Option<String>,
    sslyze: Option<PathBuf>,
}

fn options() -> Result<Options> {
    let mut options = Options {
        caponier: PathBuf::new(),
        is_quick: false,
        is_trials: false,
        minutes: 5,
        only: None,
        sslyze: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} takes a value"));
        match arg.as_str() {
            "--caponier" => options.caponier = value()?.into(),
            "--only" => options.only = Some(value()?),
            "--sslyze" => options.sslyze = Some(std::fs::canonicalize(value()?)?),
            "--quick" => options.is_quick = true,
            "--trials" => options.is_trials = true,
            "--minutes" => options.minutes = value()?.parse().context("--minutes")?,
            _ => bail!("unknown argument {arg}"),
        }
    }
    if options.caponier.as_os_str().is_empty() {
        bail!("--caponier PROGRAM says what to attack");
    }
    Ok(options)
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            if options.is_trials { trials(&options).await } else { suite(&options).await }
        })
    });
    match outcome {
        Ok(rows) => {
            print!("{}", table(&rows));
            let is_missed = rows.iter().any(|row| row.verdict == Verdict::Miss);
            if is_missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("attack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Collects rows, says what runs, and turns an attack that could not be carried out into a miss.
struct Suite<'a> {
    options: &'a Options,
    start: Instant,
    rows: Vec<Row>,
}

impl Suite<'_> {
    async fn run(&mut self, name: &str, attack: impl Future<Output = Result<Vec<Row>>>) {
        if self.options.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            return;
        }
        let criterion = "can be carried out in time";
        if self.start.elapsed() > SUITE_MAX {
            self.rows.push(Row::new(name, criterion, "the suite's time is over".to_owned(), false));
            return;
        }
        eprintln!("== {:>4.0} s  {name}", self.start.elapsed().as_secs_f64());
        match attack.await {
            Ok(rows) => self.rows.extend(rows),
            Err(error) => self.rows.push(Row::broken(name, criterion, &error)),
        }
    }
}

async fn one(attack: impl Future<Output = Result<Row>>) -> Result<Vec<Row>> {
    attack.await.map(|row| vec![row])
}

async fn trials(options: &Options) -> Result<Vec<Row>> {
    let mut suite = Suite { options, start: Instant::now(), rows: Vec::new() };
    let upstream = Upstream::start().await?;
    let plain = House::plain(&options.caponier, upstream.addr, true)?;
    suite.run("added latency", one(trial::added_latency(&plain, &upstream))).await;
    suite.run("overload", trial::overload(&options.caponier)).await;
    let duration = Duration::from_secs(options.minutes * 60);
    suite.run("reload under load", one(trial::reloads(&plain, duration))).await;
    Ok(suite.rows)
}

async fn suite(options: &Options) -> Result<Vec<Row>> {
    let mut suite = Suite { options, start: Instant::now(), rows: Vec::new() };
    let upstream = Upstream::start().await?;
    let plain = House::plain(&options.caponier, upstream.addr, true)?;
    let demo = House::demo(&options.caponier)?;
    suite.run("framing", framing::run(&plain, &upstream)).await;
    suite.run("replay", replay::run(&demo)).await;
    suite.run("http2 plain", http2::run(&plain, http2::Measure::Everything, |_| true)).await;
    suite.run("http2 tls", http2::run(&demo, http2::Measure::Everything, |_| true)).await;
    suite.run("connection flood", one(slow::flood(&plain))).await;
    suite.run("slow heads", one(slow::heads(&plain))).await;
    suite.run("slow bodies", one(slow::bodies(&plain))).await;
    suite.run("slow readers", one(slow::readers(&plain))).await;
    // Floods against the limits of an installation as it comes; memory is compared within one process.
    let limited = House::plain(&options.caponier, upstream.addr, false)?;
    suite.run("signed flood", one(flood::signed(&limited, FLOOD))).await;
    suite.run("bad-signature flood", one(flood::bad_signatures(&limited, FLOOD))).await;
    suite.run("random-key flood", one(flood::random_keys(&limited, FLOOD))).await;
    if !options.is_quick {
        suite.run("tools slowhttptest", tools::slowhttptest(&plain)).await;
        suite.run("tools h2load", tools::h2load(&demo)).await;
        let sslyze = options.sslyze.as_deref().and_then(tools::sslyze_in);
        suite.run("tools tls", tools::tls(&demo, sslyze.as_deref())).await;
        let modern = House::modern(&options.caponier, upstream.addr, &demo)?;
        suite.run("tools tls modern", one(tools::modern(&modern, demo.authority(), sslyze.as_deref()))).await;
    }
    Ok(suite.rows)
}
