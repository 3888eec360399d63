//! Which addresses messages may go to: a URL that somebody else chose must not make the installation talk to itself or to
//! its neighbours (server-side request forgery).
//!
//! Decided by the address that is connected to, never by the name. Sources: the IANA IPv4 and IPv6 special-purpose address
//! registries (RFC 6890 and later).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What is not public in IPv4: address and length of the prefix.
const SPECIAL_V4: [([u8; 4], u8); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Within 2000::/3, what is not public: first two segments and length of the prefix.
const SPECIAL_V6: [([u16; 2], u32); 4] = [
    // Protocol assignments, among them Teredo, which carries IPv4.
    ([0x2001, 0x0000], 23),
    ([0x2001, 0x0db8], 32),
    // 6to4 carries IPv4.
    ([0x2002, 0x0000], 16),
    ([0x3fff, 0x0000], 20),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(prefix, length)| {
        let shift = 32 - u32::from(*length);
        bits >> shift == u32::from_be_bytes(*prefix) >> shift
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Only this eighth is given out; loopback, mapped IPv4, NAT64, local and multicast addresses lie outside.
    if segments[0] >> 13 != 1 {
        return false;
    }
    let bits = (u32::from(segments[0]) << 16) | u32::from(segments[1]);
    !SPECIAL_V6.iter().any(|([first, second], length)| {
        let prefix = (u32::from(*first) << 16) | u32::from(*second);
        bits >> (32 - length) == prefix >> (32 - length)
    })
}

/// Whether an address is one of the public network.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Which addresses an installation sends to.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    private: Vec<IpNet>,
}

impl Guard {
    /// Public addresses, and these networks of the operator's own.
    #[must_use]
    pub const fn new(private: Vec<IpNet>) -> Self {
        Self { private }
    }

    /// Whether an address lies in a network the operator named. An IPv4 address within IPv6 counts as what it is.
    #[must_use]
    pub fn is_private(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.private.iter().any(|network| network.contains(&address))
    }

    /// Whether a message may go to an address. Without TLS only into the operator's own networks.
    #[must_use]
    pub fn permits(&self, address: IpAddr, is_tls: bool) -> bool {
        self.is_private(address) || (is_tls && is_public(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "3fff:fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00::1",
            "2003::1",
            "3ffe::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn only_networks_of_the_operator_make_an_exception() {
        let none = Guard::default();
        let loopback = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        for is_tls in [false, true] {
            assert!(!none.permits(at("127.0.0.1"), is_tls));
            assert!(loopback.permits(at("127.0.0.1"), is_tls));
            assert!(loopback.permits(at("::ffff:127.0.0.1"), is_tls));
            assert!(!loopback.permits(at("10.0.0.1"), is_tls));
            assert!(!loopback.permits(at("::1"), is_tls));
            assert_eq!(loopback.permits(at("8.8.8.8"), is_tls), is_tls);
        }
    }
}
