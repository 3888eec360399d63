//! Addresses and networks that may be banned at all: nothing wider than a `/24` of IPv4 or a `/48` of IPv6, so that no
//! ban can shut out a country or a provider.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

/// Shortest prefix of IPv4.
pub const PREFIX_LEN_MIN_V4: u8 = 24;

/// Shortest prefix of IPv6: what one customer's site usually gets.
pub const PREFIX_LEN_MIN_V6: u8 = 48;

/// Why text or a network is no prefix that may be banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// Bits behind the prefix are set.
    #[error("the address has bits behind its prefix length")]
    HostBits,
    /// An IPv4 address written as IPv6: packets carry the IPv4 address.
    #[error("an IPv4-mapped address is written as IPv4")]
    Mapped,
    /// Neither an address nor a prefix.
    #[error("not an IP address or prefix")]
    NotAddress,
    /// Wider than may be banned.
    #[error("prefix is too wide: at least /24 for IPv4 and /48 for IPv6")]
    TooWide,
}

/// A network whose packets may be dropped; a single address is one of full length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(IpNet);

impl Prefix {
    /// Checks a network.
    ///
    /// # Errors
    /// [`PrefixError`].
    pub fn new(net: IpNet) -> Result<Self, PrefixError> {
        let min = match net {
            IpNet::V4(_) => PREFIX_LEN_MIN_V4,
            IpNet::V6(net) if net.addr().to_ipv4_mapped().is_some() => return Err(PrefixError::Mapped),
            IpNet::V6(_) => PREFIX_LEN_MIN_V6,
        };
        if net.prefix_len() < min {
            return Err(PrefixError::TooWide);
        }
        if net.trunc() != net {
            return Err(PrefixError::HostBits);
        }
        Ok(Self(net))
    }

    /// A single address; an IPv4-mapped one means the IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }

    /// Reads `address` or `address/length`.
    ///
    /// # Errors
    /// [`PrefixError`].
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let net = match text.parse::<IpNet>() {
            Ok(net) => net,
            Err(_) => text.parse::<IpAddr>().map_err(|_| PrefixError::NotAddress)?.into(),
        };
        Self::new(net)
    }

    /// The network.
    #[must_use]
    pub const fn net(&self) -> IpNet {
        self.0
    }

    /// Whether it is a single address.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_address() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_wide_or_ambiguous_is_refused() {
        for (text, error) in [
            ("203.0.113.0/23", PrefixError::TooWide),
            ("0.0.0.0/0", PrefixError::TooWide),
            ("2001:db8::/47", PrefixError::TooWide),
            ("::/0", PrefixError::TooWide),
            ("203.0.113.7/24", PrefixError::HostBits),
            ("::ffff:203.0.113.7", PrefixError::Mapped),
            ("::ffff:203.0.113.0/120", PrefixError::Mapped),
            ("203.0.113", PrefixError::NotAddress),
            ("203.0.113.7/33", PrefixError::NotAddress),
            ("203.0.113.7; flush ruleset", PrefixError::NotAddress),
            ("fe80::1%eth0", PrefixError::NotAddress),
            ("", PrefixError::NotAddress),
        ] {
            assert_eq!(Prefix::parse(text), Err(error), "{text}");
        }
        assert_eq!(Prefix::parse("203.0.113.7/32").unwrap().to_string(), "203.0.113.7");
        assert_eq!(Prefix::parse("2001:db8::/48").unwrap().to_string(), "2001:db8::/48");
        assert_eq!(Prefix::of("::ffff:1.2.3.4".parse().unwrap()).to_string(), "1.2.3.4");
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_its_own_text(address: u32, len in 0_u8..=32, six: u128, len6 in 0_u8..=128) {
            let four = IpNet::new(IpAddr::from(address.to_be_bytes()), len).unwrap().trunc();
            let six = IpNet::new(IpAddr::from(six.to_be_bytes()), len6).unwrap().trunc();
            for net in [four, six] {
                if let Ok(prefix) = Prefix::new(net) {
                    prop_assert_eq!(Prefix::parse(&prefix.to_string()), Ok(prefix));
                }
            }
            prop_assert_eq!(Prefix::new(four).is_ok(), len >= 24);
        }
    }
}
