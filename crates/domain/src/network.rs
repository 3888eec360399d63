//! Chains and the networks an exchange names.

use std::{fmt, str::FromStr};

/// Chains that share one address format and one address space: the same payload is the same holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChainFamily {
    /// Bitcoin mainnet.
    Bitcoin,
    /// Bitcoin Cash mainnet: the payloads of Bitcoin, but other coins and other owners' lists.
    BitcoinCash,
    /// Ethereum and every chain with its addresses.
    Evm,
    /// Litecoin mainnet.
    Litecoin,
    /// Solana mainnet.
    Solana,
    /// TRON mainnet.
    Tron,
    /// XRP Ledger mainnet.
    Xrp,
}

impl ChainFamily {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::BitcoinCash => "bitcoin_cash",
            Self::Evm => "evm",
            Self::Litecoin => "litecoin",
            Self::Solana => "solana",
            Self::Tron => "tron",
            Self::Xrp => "xrp",
        }
    }
}

impl fmt::Display for ChainFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no network this build can screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown network {name:?}")]
pub struct UnknownNetwork {
    name: String,
}

/// A network a withdrawal can leave over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Network {
    /// Bitcoin mainnet.
    Bitcoin,
    /// Ethereum mainnet (`ERC20`).
    Ethereum,
    /// Arbitrum One.
    Arbitrum,
    /// Avalanche C-Chain.
    Avalanche,
    /// Base.
    Base,
    /// BNB Smart Chain (`BSC`).
    Bnb,
    /// OP Mainnet.
    Optimism,
    /// Polygon `PoS`.
    Polygon,
    /// TRON mainnet (`TRC20`).
    Tron,
    /// Bitcoin Cash mainnet.
    BitcoinCash,
    /// Litecoin mainnet.
    Litecoin,
    /// Solana mainnet.
    Solana,
    /// XRP Ledger mainnet.
    Xrp,
}

impl Network {
    /// Every network, in declaration order.
    pub const ALL: [Self; 13] = [
        Self::Bitcoin,
        Self::Ethereum,
        Self::Arbitrum,
        Self::Avalanche,
        Self::Base,
        Self::Bnb,
        Self::Optimism,
        Self::Polygon,
        Self::Tron,
        Self::BitcoinCash,
        Self::Litecoin,
        Self::Solana,
        Self::Xrp,
    ];

    /// Stable lower-case name, accepted by [`Network::from_str`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::Ethereum => "ethereum",
            Self::Arbitrum => "arbitrum",
            Self::Avalanche => "avalanche",
            Self::Base => "base",
            Self::Bnb => "bnb",
            Self::Optimism => "optimism",
            Self::Polygon => "polygon",
            Self::Tron => "tron",
            Self::BitcoinCash => "bitcoin_cash",
            Self::Litecoin => "litecoin",
            Self::Solana => "solana",
            Self::Xrp => "xrp",
        }
    }

    /// Address family.
    #[must_use]
    pub const fn family(self) -> ChainFamily {
        match self {
            Self::Bitcoin => ChainFamily::Bitcoin,
            Self::BitcoinCash => ChainFamily::BitcoinCash,
            Self::Litecoin => ChainFamily::Litecoin,
            Self::Solana => ChainFamily::Solana,
            Self::Tron => ChainFamily::Tron,
            Self::Xrp => ChainFamily::Xrp,
            Self::Ethereum
            | Self::Arbitrum
            | Self::Avalanche
            | Self::Base
            | Self::Bnb
            | Self::Optimism
            | Self::Polygon => ChainFamily::Evm,
        }
    }

    /// Address and destination tag of a text that carries both with a colon between, as exchanges write them. Bitcoin Cash
    /// has no tags, and a colon in its addresses.
    #[must_use]
    pub fn split_tag(self, text: &str) -> (&str, Option<&str>) {
        match text.split_once(':').filter(|_| self != Self::BitcoinCash) {
            Some((address, tag)) => (address, Some(tag)),
            None => (text, None),
        }
    }

    /// The network of an OKX v5 `chain` parameter, `<asset>-<chain>`, such as `USDT-TRC20` or `BTC-Bitcoin`.
    ///
    /// # Errors
    /// [`UnknownNetwork`]: the caller decides what an unscreenable network means (for withdrawals: refuse).
    pub fn from_okx_chain(asset: &str, chain: &str) -> Result<Self, UnknownNetwork> {
        let unknown = || UnknownNetwork { name: chain.chars().take(64).collect() };
        let name = chain.strip_prefix(asset).and_then(|rest| rest.strip_prefix('-')).ok_or_else(unknown)?;
        match name {
            "Bitcoin" => Ok(Self::Bitcoin),
            "ERC20" | "Ethereum" => Ok(Self::Ethereum),
            "Arbitrum One" => Ok(Self::Arbitrum),
            "Avalanche C-Chain" | "Avalanche C" => Ok(Self::Avalanche),
            "Base" => Ok(Self::Base),
            "BSC" => Ok(Self::Bnb),
            "Optimism" => Ok(Self::Optimism),
            "Polygon" => Ok(Self::Polygon),
            "TRC20" => Ok(Self::Tron),
            "BitcoinCash" | "Bitcoin Cash" => Ok(Self::BitcoinCash),
            "Litecoin" => Ok(Self::Litecoin),
            "Solana" => Ok(Self::Solana),
            "Ripple" => Ok(Self::Xrp),
            _ => Err(unknown()),
        }
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(name: &str) -> Result<Self, UnknownNetwork> {
        Self::ALL
            .into_iter()
            .find(|network| network.as_str() == name)
            .ok_or_else(|| UnknownNetwork { name: name.chars().take(64).collect() })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_is_found_by_its_name() {
        for network in Network::ALL {
            assert_eq!(network.as_str().parse(), Ok(network));
        }
        assert!("dogecoin".parse::<Network>().is_err());
    }

    #[test]
    fn a_tag_is_told_from_an_address() {
        assert_eq!(Network::Xrp.split_tag("rX:77"), ("rX", Some("77")));
        assert_eq!(Network::Xrp.split_tag("rX"), ("rX", None));
        assert_eq!(Network::BitcoinCash.split_tag("bitcoincash:qp"), ("bitcoincash:qp", None));
    }

    #[test]
    fn chains_of_the_trading_api_are_known_or_refused() {
        for (asset, chain, network) in [
            ("BCH", "BCH-BitcoinCash", Some(Network::BitcoinCash)),
            ("LTC", "LTC-Litecoin", Some(Network::Litecoin)),
            ("SOL", "SOL-Solana", Some(Network::Solana)),
            ("USDC", "USDC-Solana", Some(Network::Solana)),
            ("XRP", "XRP-Ripple", Some(Network::Xrp)),
            ("USDT", "USDT-TRC20", Some(Network::Tron)),
            ("USDT", "USDC-TRC20", None),
            ("USDT", "USDT-Dogecoin", None),
        ] {
            assert_eq!(Network::from_okx_chain(asset, chain).ok(), network, "{chain}");
        }
    }
}
