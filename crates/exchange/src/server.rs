//! The running exchange: listener, reporter, and the end of both.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::serve::ListenerExt as _;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    catalog::Catalog,
    client::Client,
    config::Config,
    desk::{Desk, Guard, Shared},
    ledger::Ledger,
    report::Reporter,
    rest::{Site, router},
};

/// How long open requests have to finish when the exchange stops.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Why the exchange did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("exchange cannot listen on {listen}")]
    Listen {
        /// Where it was to listen.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A running exchange. Dropping it stops the reporter; [`Exchange::stop`] ends it in order.
#[derive(Debug)]
pub struct Exchange {
    local_addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
    background: JoinSet<()>,
}

impl Exchange {
    /// Starts listening, with empty books.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listen = config.listen;
        let failed = |cause| StartError::Listen { listen, cause };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let mut background = JoinSet::new();
        let guard = config.events.map(|target| {
            // The start time keeps the ids of different starts with one seed apart.
            let run = format!("x{:x}-{:x}", config.seed, config.clock.now().0);
            let client = Client::new(target);
            let reporter = Reporter::new(client.clone(), run.clone());
            let sending = Arc::clone(&reporter);
            background.spawn(async move { sending.run().await });
            Guard { client, reporter, run }
        });
        let ledger = Ledger::new(Catalog::standard());
        let shared = Arc::new(Shared::new(config.clock, ledger, guard, config.seed));
        let site = Site { shared: Arc::clone(&shared), upstream_token: config.upstream_token };
        let (stop, mut stopping) = watch::channel(false);
        let listener = listener.tap_io(|stream| {
            // Many small messages: waiting to join them would delay each by the other side's acknowledgement.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot turn off the joining of small packets");
            }
        });
        let serving = axum::serve(listener, router(site)).with_graceful_shutdown(async move {
            // An error means that the handle is gone: stop as well.
            let _told = stopping.wait_for(|stop| *stop).await.is_ok();
        });
        let server = tokio::spawn(serving.into_future());
        Ok(Self { local_addr, shared, stop, server, background })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A handle for people and tests.
    #[must_use]
    pub fn desk(&self) -> Desk {
        Desk(Arc::clone(&self.shared))
    }

    /// Waits until everything that happened before the call is acknowledged by the decision listener; at once when
    /// there is none. Waits for ever while the listener does not answer: put a time limit around it.
    pub async fn flush(&self) {
        if let Some(guard) = &self.shared.guard {
            guard.reporter.flush().await;
        }
    }

    /// Stops accepting, lets open requests finish for a few seconds and ends. Answers how many events were not
    /// acknowledged; [`Exchange::flush`] first makes that none.
    pub async fn stop(mut self) -> usize {
        self.stop.send_replace(true);
        self.shared.feed.close();
        if tokio::time::timeout(STOP_GRACE, &mut self.server).await.is_err() {
            tracing::warn!("open requests did not finish in time; closing them");
            self.server.abort();
        }
        self.background.shutdown().await;
        self.shared.guard.as_ref().map_or(0, |guard| guard.reporter.pending())
    }
}
