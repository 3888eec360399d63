//! Log output on standard error: one line each, text or JSON, never a secret.

use tracing_subscriber::filter::LevelFilter;

use crate::config::Telemetry;

/// Starts logging as configured. A second call in one process (tests) changes nothing.
pub(super) fn start(telemetry: &Telemetry, quiet: bool) {
    let level =
        if quiet { LevelFilter::WARN } else { telemetry.log_level.parse().unwrap_or(LevelFilter::INFO) };
    let builder =
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(true);
    let started = if telemetry.log_format == "json" {
        builder.json().try_init()
    } else {
        builder.with_ansi(false).try_init()
    };
    drop(started);
}

/// Starts logging for a command: warnings and errors, or errors only.
pub(super) fn start_quiet(quiet: bool) {
    let level = if quiet { LevelFilter::ERROR } else { LevelFilter::WARN };
    drop(
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .try_init(),
    );
}
