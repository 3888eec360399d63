//! The demo: everything on loopback, the real code, real TLS, a simulated exchange behind it.
//!
//! [`Installation`] is a complete installation in a folder of its own; [`scenarios`] drives honest users and
//! attackers against it and checks what happened from the outside; while somebody watches, [`stay`] keeps it under
//! attack; `demo --serve` leaves it running for any outside client. The tests use the same installation.

mod ca;
pub mod client;
pub mod installation;
mod scenarios;
mod stay;

use std::{io::IsTerminal as _, path::PathBuf, sync::Arc};

use serde::Serialize;

pub use self::installation::{Credential, Installation};
use self::stay::Watched;
use crate::{
    cli,
    clock::SystemClock,
    exit::{Exit, Failure},
    output,
    stop::stop_signal,
};

/// One thing the demo checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name.
    pub name: &'static str,
    /// Whether it held.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

/// A decision about a withdrawal, as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionLine {
    /// Shown to the client; `caponier explain` takes it.
    pub id: String,
    /// Whose withdrawal.
    pub account: String,
    /// How much of what.
    pub asked: String,
    /// `allow`, `challenge`, `hold` or `deny`.
    pub verdict: &'static str,
    /// The reason that decided.
    pub code: String,
    /// The reason in words.
    pub message: String,
}

/// What the demo found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every check held.
    pub ok: bool,
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// Every decision that can still be read, in order.
    pub decisions: Vec<DecisionLine>,
    /// Seed of the population.
    pub seed: u64,
    /// Milliseconds from the start of the program's work to the first refused attack.
    pub first_block_ms: u64,
    /// Milliseconds in all.
    pub elapsed_ms: u64,
    /// Journal entries written.
    pub entries: u64,
    /// Where it all lies, when it was kept.
    pub dir: Option<PathBuf>,
}

/// How a decision reads.
fn decision_line(decision: &DecisionLine) -> String {
    let DecisionLine { id, account, asked, verdict, message, .. } = decision;
    format!("{verdict:<9} {account}, {asked}: {message} ({id})")
}

pub(crate) async fn run(options: cli::Demo, dir: Option<PathBuf>, json: bool) -> Result<Exit, Failure> {
    if options.serve {
        return serve(options.seed, dir, json).await;
    }
    let kept = dir.is_some();
    let place = Place::new(dir)?;
    let mut tell = |text: &str| {
        if !json && !options.headless {
            output::line(text);
        }
    };
    let is_watched = options.stay || (!json && !options.headless && std::io::stdout().is_terminal());
    let mut watched = if is_watched { Some(Watched::until(stop_signal()?)) } else { None };
    let mut report = scenarios::play(place.path(), options.seed, &mut tell, watched.as_mut())
        .await
        .map_err(|error| Failure::new(Exit::Internal, format!("demo: {error:#}")))?;
    report.dir = kept.then(|| place.path().to_owned());
    if json {
        let value =
            serde_json::to_value(&report).map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
        output::line(value);
    } else {
        if options.headless {
            for check in &report.checks {
                output::line(scenarios::check_line(check));
            }
        }
        if !is_watched {
            output::line("\nwhat was decided, and why:");
            for decision in &report.decisions {
                output::line(decision_line(decision));
            }
        }
        let held = report.checks.iter().filter(|check| check.ok).count();
        output::line(format!(
            "\n{held} of {} checks hold; first attack stopped after {} ms, all done in {} ms, {} journal entries",
            report.checks.len(),
            report.first_block_ms,
            report.elapsed_ms,
            report.entries
        ));
        if !kept {
            output::line(
                "try next: caponier demo --stay, and open the console; or caponier demo --data-dir DIR, then",
            );
            output::line("          caponier audit verify DIR/data");
        }
    }
    Ok(if report.ok { Exit::Ok } else { Exit::No })
}

async fn serve(seed: u64, dir: Option<PathBuf>, json: bool) -> Result<Exit, Failure> {
    let place = Place::new(dir)?;
    let failed = |error: anyhow::Error| Failure::new(Exit::Internal, format!("demo: {error:#}"));
    let stop = stop_signal()?;
    let installation =
        Installation::start(place.path(), seed, Arc::new(SystemClock)).await.map_err(failed)?;
    let trader = installation.trader().await.map_err(failed)?;
    let reader = installation.reader(&trader.account).await.map_err(failed)?;
    let about = serde_json::json!({
        "ready": true,
        "gateway": installation.gateway_url(),
        "ca_file": installation.path("tls/ca.pem"),
        "data_dir": installation.path("data"),
        "kek_file": installation.path("data.kek"),
        "backup_dir": installation.path("backup"),
        "config_file": installation.path("caponier.toml"),
        "api": installation.api_url(),
        "api_token_file": installation.path("secrets/exchange.token"),
        "log_vkey": installation.running().core().vkey(),
        "api_keys": [trader, reader],
    });
    if json {
        output::line(&about);
    } else {
        output::line(serde_json::to_string_pretty(&about).unwrap_or_default());
        output::line("running until SIGTERM or Ctrl-C");
    }
    let ticking = installation.tick_chains();
    stop.await;
    ticking.abort();
    installation.stop().await.map_err(failed)?;
    Ok(Exit::Ok)
}

/// A folder: the user's, kept; or a temporary one, removed at the end.
struct Place {
    path: PathBuf,
    temporary: bool,
}

impl Place {
    fn new(dir: Option<PathBuf>) -> Result<Self, Failure> {
        let temporary = dir.is_none();
        let path = dir.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("caponier-demo-{}", hex::encode(crypto::random::array::<6>())))
        });
        std::fs::create_dir_all(&path).map_err(|error| Failure::io(path.display(), error))?;
        let path = std::fs::canonicalize(&path).map_err(|error| Failure::io(path.display(), error))?;
        Ok(Self { path, temporary })
    }

    fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(dir = %self.path.display(), %error, "the demo's folder could not be removed");
        }
    }
}
