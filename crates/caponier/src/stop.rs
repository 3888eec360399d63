//! When to stop: SIGTERM or SIGINT. When to read the configuration again: SIGHUP.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// Resolves on SIGTERM or SIGINT. The handlers are in place when this returns, so no early signal is lost.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let handler = |kind| signal(kind).map_err(|error| Failure::io("signal handler", error));
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Yields at each SIGHUP from now on.
pub(crate) fn hangup() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(|error| Failure::io("signal handler", error))
}
