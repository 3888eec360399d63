//! Fuzzing: every target of `fuzz/` for the same time, as the nightly build does. See `docs/internals/fuzzing.md`.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{env, process};

/// Seconds for each target unless told otherwise.
const SECONDS: u32 = 60;
/// Longest input, in bytes: room for several requests, frames or lines.
const INPUT_BYTES_MAX: u32 = 4_096;
/// Slower inputs than this many seconds are findings.
const INPUT_SECONDS_MAX: u32 = 10;

/// Runs every target; goes on after a finding, so that one run shows all of them.
///
/// # Errors
/// cargo-fuzz that is not installed, a wrong argument, targets that do not build, or findings.
pub(crate) fn run(extra: &[String]) -> Result<ExitCode> {
    let seconds = match extra {
        [] => SECONDS,
        [seconds] => seconds.parse().context("the argument is a number of seconds for each target")?,
        _ => bail!("at most one argument is taken, the number of seconds for each target"),
    };
    if !process::answers(&mut cargo_fuzz("--version")) {
        bail!("cargo-fuzz is not installed; `cargo install cargo-fuzz --locked` installs it");
    }
    process::run(cargo_fuzz("build").arg("--target-dir").arg(env::target().join("fuzz")))?;
    let mut found = Vec::new();
    for target in targets()? {
        eprintln!("== fuzz {target}, {seconds} s");
        let mut fuzz = cargo_fuzz("run");
        fuzz.arg("--target-dir").arg(env::target().join("fuzz")).args([&target, "--"]).args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-timeout={INPUT_SECONDS_MAX}"),
            "-use_value_profile=1".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        if !process::status(&mut fuzz)?.success() {
            found.push(target);
        }
    }
    if !found.is_empty() {
        bail!("findings in {}; the inputs are in fuzz/artifacts", found.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// `cargo fuzz VERB`. Sanitizers and coverage are switches that the stable compiler has but keeps for itself.
fn cargo_fuzz(verb: &str) -> Command {
    let mut command = process::command(env::cargo());
    command.args(["fuzz", verb]).env("RUSTC_BOOTSTRAP", "1");
    command
}

/// The targets, one source file each, in alphabetical order.
fn targets() -> Result<Vec<String>> {
    let folder = env::root().join("fuzz/fuzz_targets");
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem()
        {
            targets.push(name.to_string_lossy().into_owned());
        }
    }
    targets.sort();
    Ok(targets)
}
