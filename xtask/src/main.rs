//! The house's tasks: `cargo xtask test` is everything the build server runs, set-up included.
//!
//! Not part of the product: nothing depends on it. It is compiled first on a cold machine, so it uses the
//! standard library and `anyhow` only. The guards over the tree (floors, manifests, map) are tests of this
//! package, so that `cargo nextest run` alone tells the truth.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task runner speaks on its terminal")]

mod attack;
mod bench;
mod debian;
mod env;
mod fuzz;
mod process;
mod setup;
mod steps;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <verb>

  test         everything the build server runs: set-up, format, clippy, licences and bans, documentation, tests
  setup        only the set-up: Debian packages, test clients and cargo-deny below the target directory
  bench        every stand-alone benchmark in release mode, then the comparison with peers if they are installed
  bench-peers  the gateway against HAProxy on this machine: CPU per request, same run, interleaved
  attack [--debug] [--quick] [--only WORD]  attacks on a gateway of our own on loopback, under ten minutes; a table,
               and failure if a criterion is missed. --quick leaves out the programs of others
  fuzz [SECONDS]  each fuzz target for so long (60); needs cargo-fuzz, not part of `test`
  help         this text
";

/// Exit code for a wrong command line (EX_USAGE).
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let verb = args.next();
    let extra: Vec<String> = args.collect();
    let outcome = match (verb.as_deref(), extra.as_slice()) {
        (Some("test"), []) => steps::test(),
        (Some("setup"), []) => setup::run().map(|_tools| ExitCode::SUCCESS),
        (Some("attack"), extra) => attack::run(extra),
        (Some("bench"), []) => bench::all(),
        (Some("bench-peers"), extra) => bench::peers(extra),
        (Some("fuzz"), extra) => fuzz::run(extra),
        (Some("help" | "-h" | "--help"), _) => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
