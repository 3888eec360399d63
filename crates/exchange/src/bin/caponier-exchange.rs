//! Writes scenarios of the simulated exchange to files. See `docs/operating/exchange-bundle.md`.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use domain::UnixNanos;
use exchange::scenarios::{
    ACCOUNTS_MAX, DAYS_MAX, Plan, QUIET_DAYS, Story, Typology, mapping, write_events, write_recording,
    write_truth,
};

/// Days after which the recording's labels are known: later than most in the story.
const LABEL_DELAY_DAYS: u32 = 7;

/// The simulated exchange.
#[derive(Debug, Parser)]
#[command(name = "caponier-exchange", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes what honest customers and criminals do over weeks: events.ndjson for the intake, recording.csv and
    /// mapping.toml to be replayed and evaluated, truth.csv. Simulated: it says nothing about real fraud.
    Scenarios(Scenarios),
}

#[derive(Debug, clap::Args)]
struct Scenarios {
    /// Everything follows from it.
    #[arg(long)]
    seed: u64,
    /// How many days, of which the first two weeks are without fraud.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(i64::from(QUIET_DAYS) + 7..=i64::from(DAYS_MAX)))]
    days: u32,
    /// How many honest customers.
    #[arg(long, default_value_t = 2_000)]
    accounts: usize,
    /// The first day, as midnight UTC.
    #[arg(long, default_value = "2026-01-01T00:00:00Z")]
    start: String,
    /// The folder to write to; made if it is not there.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    let Command::Scenarios(scenarios) = Cli::parse().command;
    match tell(&scenarios) {
        Ok(summary) => {
            #[allow(clippy::print_stdout, reason = "a command says what it did")]
            {
                println!("{summary}");
            }
            ExitCode::SUCCESS
        }
        Err(fault) => {
            #[allow(clippy::print_stderr, reason = "a command says why it failed")]
            {
                eprintln!("caponier-exchange: {fault}");
            }
            ExitCode::FAILURE
        }
    }
}

fn tell(scenarios: &Scenarios) -> Result<String, String> {
    let Scenarios { seed, days, accounts, start, out } = scenarios;
    if !(1..=ACCOUNTS_MAX).contains(accounts) {
        return Err(format!("--accounts {accounts}: from 1 to {ACCOUNTS_MAX}"));
    }
    let at = UnixNanos::parse_rfc3339(start).map_err(|fault| format!("--start {start}: {fault}"))?;
    let story = Story::tell(&Plan { seed: *seed, accounts: *accounts, days: *days, start: at });
    fs::create_dir_all(out).map_err(|fault| format!("{}: {fault}", out.display()))?;
    let write = |name: &str, write: &dyn Fn(BufWriter<File>) -> io::Result<()>| {
        let path: PathBuf = Path::new(out).join(name);
        File::create(&path)
            .and_then(|file| write(BufWriter::new(file)))
            .map_err(|fault| format!("{}: {fault}", path.display()))
    };
    write("events.ndjson", &|file| write_events(&story, file))?;
    write("recording.csv", &|file| write_recording(&story, file))?;
    write("truth.csv", &|file| write_truth(&story, file))?;
    write("mapping.toml", &|mut file| io::Write::write_all(&mut file, mapping(LABEL_DELAY_DAYS).as_bytes()))?;
    let count = |typology| story.cases.iter().filter(|case| case.typology == typology).count();
    let cases: Vec<String> =
        Typology::ALL.iter().map(|typology| format!("{} {}", count(*typology), typology.as_str())).collect();
    Ok(format!(
        "{} events and requests, {} labels, {} honest customers, frauds: {}",
        story.items.len(),
        story.labels.len(),
        story.honest.len(),
        cases.join(", ")
    ))
}
