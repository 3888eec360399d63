//! When to stop: SIGTERM or SIGINT.

use tokio::signal::unix::{SignalKind, signal};

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
