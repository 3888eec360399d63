//! The hand-over of a connection to another protocol.
//!
//! A GET with `Upgrade: websocket` on a route of [`Handling::WebSocket`](crate::route::Handling::WebSocket) passes the
//! checks of every request up to its route and is then judged by [`Upgrades::accept`]. Its answer is written, and the
//! connection, with what the client sent ahead, belongs to [`Upgrades::serve`] in the task it had before: ending the
//! connection from outside ends that too. Without anybody to take it, the route does not exist.

use std::{fmt, sync::Arc};

use domain::UnixNanos;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{answer::Refused, connection::InFlight, peer::Peer, ports::BoxFuture};

/// The bytes of a connection, with or without TLS.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// Takes over connections that ask for another protocol.
pub(crate) trait Upgrades: Send + Sync + fmt::Debug {
    /// Judges a request for an upgrade by its path and all its fields; gives the whole head of the answer that accepts
    /// it, status 101.
    fn accept<'a>(
        &self,
        path: &str,
        fields: &mut dyn Iterator<Item = (&'a [u8], &'a [u8])>,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<String, Refused>;

    /// Serves the connection to its end. `path` is that of the request; `leftover` was read after its head;
    /// `in_flight` says that the connection is in use, and once [authenticated](InFlight::authenticated) keeps its
    /// place from newcomers. Ends by itself when the gateway stops.
    fn serve(
        &self,
        path: String,
        stream: Box<dyn Duplex>,
        leftover: Vec<u8>,
        peer: Arc<Peer>,
        in_flight: InFlight,
    ) -> BoxFuture<'_, ()>;
}
