//! What behaviour is attached to besides accounts and devices: destinations and networks.

use std::{fmt, net::IpAddr};

use crypto::Sha256;
use domain::{ChainFamily, Destination, Network};
use features::{Canonical, StateDigest};

/// Who receives funds, whatever the spelling and the network: the same address on two networks of one family is
/// the same holder.
///
/// The first 128 bits of SHA-256 over family and folded text, so that texts of any length take 16 bytes and no
/// address is kept in the clear. Checksums are not verified here: a mistyped address is just another destination.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationId([u8; 16]);

impl DestinationId {
    /// The destination of a withdrawal request.
    #[must_use]
    pub fn of(destination: &Destination) -> Self {
        match destination {
            Destination::Internal { recipient } => Self::hash("internal", &recipient.trim().to_lowercase()),
            // Addresses of the families here identify their holder alone; a tag given with one changes nothing.
            Destination::OnChain { network, address, .. } => Self::on_chain(*network, address),
            Destination::UnknownNetwork { network, address } => {
                Self::hash(&format!("unknown:{}", network.to_lowercase()), address)
            }
        }
    }

    /// The holder of an address as entered; a label or tag after a colon is cut off.
    #[must_use]
    pub fn on_chain(network: Network, address: &str) -> Self {
        let family = network.family();
        let (address, _) = network.split_tag(address.trim());
        // Written with this prefix or without.
        let address = address.strip_prefix("bitcoincash:").unwrap_or(address);
        // Only these forms mean the same in either case; base58 does not.
        let folds = match family {
            ChainFamily::Evm => true,
            ChainFamily::Bitcoin => address.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("bc1")),
            ChainFamily::Litecoin => address.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("ltc1")),
            ChainFamily::BitcoinCash | ChainFamily::Solana | ChainFamily::Tron | ChainFamily::Xrp => false,
        };
        if folds {
            Self::hash(family.as_str(), &address.to_ascii_lowercase())
        } else {
            Self::hash(family.as_str(), address)
        }
    }

    /// The 16 bytes.
    pub(crate) const fn bytes(self) -> [u8; 16] {
        self.0
    }

    fn hash(family: &str, text: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(&(family.len() as u64).to_be_bytes());
        hasher.update(family.as_bytes());
        hasher.update(text.as_bytes());
        let digest = hasher.finish();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

impl fmt::Debug for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Canonical for DestinationId {
    fn feed(&self, digest: &mut StateDigest) {
        digest.bytes(&self.0);
    }
}

/// The neighbourhood of an address: /24 for IPv4, /64 for IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpNetwork(IpAddr);

impl IpNetwork {
    /// The network of an address; an IPv4 address inside IPv6 is taken as IPv4.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & !0xff).into()),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
        })
    }

    /// Its first address.
    pub(crate) const fn address(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 24 } else { 64 })
    }
}

impl Canonical for IpNetwork {
    fn feed(&self, digest: &mut StateDigest) {
        self.0.feed(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_is_one_destination() {
        let on = DestinationId::on_chain;
        let (cash, other) = ("qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "bitcoincash:qr");
        assert_eq!(on(Network::BitcoinCash, &format!("bitcoincash:{cash}")), on(Network::BitcoinCash, cash));
        assert_ne!(on(Network::BitcoinCash, cash), on(Network::BitcoinCash, other));
        let mixed = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
        assert_eq!(on(Network::Ethereum, mixed), on(Network::Arbitrum, &mixed.to_lowercase()));
        assert_eq!(on(Network::Ethereum, mixed), on(Network::Ethereum, &format!(" {mixed}:label ")));
        assert_eq!(on(Network::Bitcoin, "BC1QABC"), on(Network::Bitcoin, "bc1qabc"));
        // Case is part of a base58 address.
        assert_ne!(on(Network::Tron, "TAbc"), on(Network::Tron, "Tabc"));
        assert_ne!(on(Network::Bitcoin, "1Abc"), on(Network::Bitcoin, "1abc"));
        assert_ne!(on(Network::Bitcoin, "x"), on(Network::Tron, "x"));
        let internal =
            |recipient: &str| DestinationId::of(&Destination::Internal { recipient: recipient.into() });
        assert_eq!(internal("Bob@example.com"), internal(" bob@example.com"));
    }

    #[test]
    fn networks_are_cut_at_their_prefix() {
        let network = |ip: &str| IpNetwork::of(ip.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }
}
