//! Benchmarks: the binaries of package `benches`, and the comparison with peers in `bench-peers/`.
//!
//! None of them is a test: figures depend on the machine, so what counts is the ratio within one run.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::{debian, env, process};

/// Binaries of `benches` that serve the comparison with peers and do nothing by themselves.
const PEER_BINARIES: &[&str] = &["gateway-server", "presign"];

/// Builds and runs every stand-alone benchmark, then the comparison with peers if its programs are present.
///
/// # Errors
/// A benchmark that does not build, or that ends with failure.
pub(crate) fn all() -> Result<ExitCode> {
    let benches = names()?;
    process::run(process::command(env::cargo()).args(["build", "--release", "--package", "benches"]))?;
    for name in benches.iter().filter(|name| !PEER_BINARIES.contains(&name.as_str())) {
        eprintln!("== bench {name}");
        process::run(&mut process::command(env::target().join("release").join(name)))?;
    }
    if debian::PEERS.iter().all(|need| (need.present)()) {
        return peers(&[]);
    }
    eprintln!("== peers: SKIPPED, run `cargo xtask bench-peers` to install them");
    Ok(ExitCode::SUCCESS)
}

/// Runs `bench-peers/run.py` with the arguments given, after building what it needs.
///
/// # Errors
/// A missing program of a peer, a failing build, or a failing run.
pub(crate) fn peers(extra: &[String]) -> Result<ExitCode> {
    if !debian::ensure(debian::PEERS)? {
        bail!("the comparison needs haproxy, nginx and wrk");
    }
    let mut build = process::command(env::cargo());
    build.args(["build", "--release", "--package", "benches"]);
    for name in PEER_BINARIES {
        build.args(["--bin", name]);
    }
    process::run(&mut build)?;
    eprintln!("== bench-peers");
    process::run(
        process::command("python3")
            .arg("bench-peers/run.py")
            .arg("--binaries")
            .arg(env::target().join("release"))
            .args(extra),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The binaries of `benches`, one source file each, in alphabetical order.
fn names() -> Result<Vec<String>> {
    let folder = env::root().join("benches/src/bin");
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("could not read {}", folder.display()))?.path();
        let is_binary = path.is_dir() || path.extension().is_some_and(|extension| extension == "rs");
        if let (true, Some(stem)) = (is_binary, path.file_stem()) {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
