//! Where a client is: its source, and the network around it.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A source: an IPv4 address, or an IPv6 /64, which is what one subscriber gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpNet);

/// The network around a source: an IPv4 /24 or an IPv6 /48, the widest that is ever banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(IpNet);

impl Source {
    /// Of an address; an IPv4 address mapped into IPv6 counts as what it is.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        Self(net(ip, 32, 64))
    }

    /// The network around it.
    #[must_use]
    pub fn prefix(self) -> Prefix {
        Prefix(net(self.0.addr(), 24, 48))
    }

    /// As a network.
    #[must_use]
    pub const fn net(self) -> IpNet {
        self.0
    }
}

impl Prefix {
    /// As a network.
    #[must_use]
    pub const fn net(self) -> IpNet {
        self.0
    }
}

/// The network of a length for each family that holds `ip`. Lengths above the family's own do not occur.
fn net(ip: IpAddr, v4: u8, v6: u8) -> IpNet {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpNet::V4(Ipv4Net::new_assert(ip, v4).trunc()),
        IpAddr::V6(ip) => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(ip.octets()), v6).trunc()),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpNet::V4(net) => net.addr().fmt(f),
            IpNet::V6(net) => net.fmt(f),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address that has completed a TCP handshake, and so was not forged. Only such sources are ever scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proven(IpAddr);

impl Proven {
    /// The peer of an accepted TCP connection, or the client that a trusted proxy names for one. Never the source
    /// of a bare packet.
    #[must_use]
    pub const fn by_handshake(peer: IpAddr) -> Self {
        Self(peer)
    }

    /// The address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// Its source.
    #[must_use]
    pub fn source(self) -> Source {
        Source::of(self.0)
    }
}
