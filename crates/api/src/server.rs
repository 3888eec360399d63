//! Accepting connections, with or without TLS, and letting go of them.
//!
//! HTTP/1.1 only: the callers are a handful of services of the exchange, and one protocol has one set of limits.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    limits::{CONNECTIONS_MAX, DRAIN_TIMEOUT, HANDSHAKE_TIMEOUT, HEAD_BYTES_MAX, HEAD_TIMEOUT},
    people::Peer,
    route::App,
};

/// Pause after a failed accept (out of file descriptors), so that the failure does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listening API.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    local_addr: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    app: Arc<App>,
    pages: Option<Router>,
}

impl Api {
    pub(crate) const fn new(
        listener: TcpListener,
        local_addr: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        app: Arc<App>,
        pages: Option<Router>,
    ) -> Self {
        Self { listener, local_addr, tls, app, pages }
    }

    /// Where it listens, with the port that was taken.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown` completes, then stops accepting, lets requests in progress finish for at most
    /// [`DRAIN_TIMEOUT`], and returns.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, tls, app, pages, .. } = self;
        let acceptor = tls.map(TlsAcceptor::from);
        let router = app.router().merge(pages.unwrap_or_default());
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (closing, closed) = watch::channel(false);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = &mut shutdown => break,
                accepted = accepted => accepted,
            };
            let (stream, peer) = match accepted {
                Ok((stream, peer)) => (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())),
                Err(error) => {
                    tracing::warn!(%error, "control API cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (acceptor, closed) = (acceptor.clone(), closed.clone());
            // Pages beside the API know the same by the name the framework has for it.
            let router = router
                .clone()
                .layer(axum::Extension(Peer(peer.ip())))
                .layer(axum::Extension(ConnectInfo(peer)));
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) = connection(stream, acceptor, router, closed).await {
                    tracing::debug!(%error, "control API connection ended");
                }
            });
        }
        drop(listener);
        // Connections that ended have dropped their receivers; the channel closes with the last of them.
        drop(closed);
        closing.send_replace(true);
        app.stop();
        if timeout(DRAIN_TIMEOUT, closing.closed()).await.is_err() {
            tracing::warn!("control API connections were cut at shutdown");
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    closed: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match acceptor {
        None => serve(stream, router, closed).await,
        Some(acceptor) => {
            let stream = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            serve(stream, router, closed).await
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    mut closed: watch::Receiver<bool>,
) -> io::Result<()> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _closing = async { closed.wait_for(|closed| *closed).await.is_ok() } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
