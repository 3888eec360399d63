//! The attack suite: builds the program and `tests/attack`, provides the programs of others, runs the suite.
//!
//! It takes minutes and its figures depend on the machine, so it is no part of `test`; the part that does not is
//! `tests/attack/tests/short.rs`, which is.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::{debian, env, process};

/// The scanner of TLS. An environment of its own, because it needs an older cryptography than the exchange clients.
const SSLYZE: &str = "sslyze==6.3.1";

/// Builds, runs, and passes the suite's exit code on.
///
/// # Errors
/// A build that fails, or a suite that cannot be started.
pub(crate) fn run(extra: &[String]) -> Result<ExitCode> {
    let is_debug = extra.iter().any(|arg| arg == "--debug");
    let is_quick = extra.iter().any(|arg| arg == "--quick");
    let mut build = process::command(env::cargo());
    build.args(["build", "--package", "caponier", "--package", "attack"]);
    if !is_debug {
        build.arg("--release");
    }
    process::run(&mut build)?;
    let binaries = env::target().join(if is_debug { "debug" } else { "release" });
    let mut suite = process::command(binaries.join("attack"));
    suite.arg("--caponier").arg(binaries.join("caponier")).args(extra.iter().filter(|arg| *arg != "--debug"));
    if !is_quick {
        debian::ensure(debian::ATTACKS)?;
        if let Some(folder) = sslyze()? {
            suite.arg("--sslyze").arg(folder);
        }
    }
    let status = process::status(&mut suite)?;
    // Cut to one byte as the shell sees it; a death by signal has no code and counts as failure.
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// The environment with sslyze, made if need be; `None` where it cannot be, which is said.
fn sslyze() -> Result<Option<std::path::PathBuf>> {
    let folder = env::test_tools().join("sslyze");
    if folder.join("bin/sslyze").exists() {
        return Ok(Some(folder));
    }
    std::fs::create_dir_all(env::test_tools())
        .with_context(|| format!("could not create {}", env::test_tools().display()))?;
    eprintln!("   installing {SSLYZE}");
    let pip = folder.join("bin/python");
    let made = process::run(process::command("python3").args(["-m", "venv"]).arg(&folder)).and_then(|()| {
        process::run(process::command(&pip).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            SSLYZE,
        ]))
    });
    if let Err(error) = made {
        eprintln!("   {error:#}");
        eprintln!("   MISSING: {SSLYZE} -> skipped: TLS as sslyze sees it");
        return Ok(None);
    }
    Ok(Some(folder))
}
