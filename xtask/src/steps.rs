//! The steps of `cargo xtask test`, cheapest verdict first, the tests last so that their summary ends the output.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::setup::Tools;
use crate::{env, process, setup};

/// The variable in which tests find the Python that has the exchange clients.
const TEST_PYTHON: &str = "CAPONIER_TEST_PYTHON";
/// What is off by default and tested nevertheless.
const FEATURES: &str = "caponier/onnx,caponier/simulation";
/// The variable in which the Node story finds the folder of its client.
const NODE_CLIENTS: &str = "OKX_API_DIR";

/// Runs every step in order and stops at the first that fails.
///
/// # Errors
/// A failing step, by name. The last step, the tests, reports for itself and passes its exit code on, so that
/// its summary stays the end of the output.
pub(crate) fn test() -> Result<ExitCode> {
    let start = now();
    let mut tools = None;
    step("set-up", || {
        tools = Some(setup::run()?);
        Ok(())
    })?;
    let Some(tools) = tools else { bail!("set-up ended without tools") };
    step("format", || process::run(cargo().args(["fmt", "--all", "--check"])))?;
    step("clippy", || {
        process::run(cargo().args([
            "clippy",
            "--workspace",
            "--features",
            FEATURES,
            "--all-targets",
            "--keep-going",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step("licences, bans, sources", || deny(&tools))?;
    step("documentation", || {
        // The readers of these pages work on the house, so links to private items are good links.
        let mut doc = cargo();
        doc.args([
            "doc",
            "--workspace",
            "--features",
            FEATURES,
            "--no-deps",
            "--keep-going",
            "--document-private-items",
            "--quiet",
        ]);
        process::run(doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
    })?;
    eprintln!("== before the tests: {:.1} s", start.elapsed().as_secs_f64());
    eprintln!("== tests");
    let mut tests = cargo();
    tests.args(["nextest", "run", "--workspace", "--features", FEATURES]);
    if let Some(python) = &tools.python {
        tests.env(TEST_PYTHON, python);
    }
    if let Some(node) = &tools.node {
        tests.env(NODE_CLIENTS, node);
    }
    let status = process::status(&mut tests)?;
    // Cut to one byte as the shell sees it; a death by signal has no code and counts as failure.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// One step under its headline, with the seconds it took; its error carries its name.
fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("== {name}");
    let start = now();
    let outcome = work();
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            eprintln!("== {name}: ok, {seconds:.1} s");
            Ok(())
        }
        Err(error) => Err(error.context(format!("step `{name}` failed after {seconds:.1} s"))),
    }
}

fn deny(tools: &Tools) -> Result<()> {
    let Some(cargo_deny) = &tools.cargo_deny else {
        eprintln!("   SKIPPED: cargo-deny is not available");
        return Ok(());
    };
    process::run(process::command(cargo_deny).args([
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn cargo() -> Command {
    process::command(env::cargo())
}

#[allow(clippy::disallowed_methods, reason = "how long a step took is shown to a person and decides nothing")]
fn now() -> Instant {
    Instant::now()
}
