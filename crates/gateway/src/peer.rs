//! Who is at the other end of a connection.

use std::{net::IpAddr, sync::Arc};

use admission::Ja4;

use crate::connection::{Line, Source};

/// What the requests of one connection share.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The client's address: of the connection, or as the trusted proxy in front stated it.
    pub(crate) ip: IpAddr,
    pub(crate) source: Source,
    /// What TLS agreed on; `None` on a plain connection.
    pub(crate) tls: Option<TlsFacts>,
    /// The connection; ends it at once with [`Line::kill`].
    pub(crate) line: Arc<Line>,
    /// The line that tells the exchange who asks.
    pub(crate) forwarded_for: String,
}

/// What a TLS handshake agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TlsFacts {
    /// What kind of client its hello is of; never told to anybody but the operator.
    pub(crate) ja4: Option<Ja4>,
    /// `None` cannot be after a finished handshake.
    pub(crate) version: Option<rustls::ProtocolVersion>,
}

impl Peer {
    pub(crate) fn new(ip: IpAddr, tls: Option<TlsFacts>, line: Arc<Line>) -> Self {
        let ip = ip.to_canonical();
        Self { ip, source: Source::of(ip), tls, line, forwarded_for: format!("x-forwarded-for: {ip}\r\n") }
    }

    /// The fingerprint of its TLS client, where there is one.
    pub(crate) fn ja4(&self) -> Option<&str> {
        self.tls.as_ref()?.ja4.as_ref().map(Ja4::as_str)
    }
}
