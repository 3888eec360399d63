//! What somebody asks for and Caponier decides on before it happens.

use std::net::IpAddr;

use crate::{AccountId, Amount, ApiKeyId, Asset, DeviceId, Network, UnixNanos};

/// A request to move funds out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalRequest {
    /// Whose funds.
    pub account: AccountId,
    /// How the request arrived.
    pub channel: Channel,
    /// Which asset.
    pub asset: Asset,
    /// How much, without the fee; above zero.
    pub amount: Amount,
    /// Fee offered to the network or exchange, where the client names one.
    pub fee: Option<Amount>,
    /// Where to.
    pub destination: Destination,
    /// The client's own id of the withdrawal, if given.
    pub client_id: Option<String>,
    /// From which network address.
    pub ip: IpAddr,
    /// From which device, if known.
    pub device: Option<DeviceId>,
    /// The JA4 fingerprint of the TLS client that sent it, where TLS ended at the gateway: what kind of software asked.
    pub client_ja4: Option<String>,
    /// When it was received.
    pub requested_at: UnixNanos,
}

/// How an action arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// Through the gateway, signed with this API key.
    ApiKey(ApiKeyId),
    /// Asked by the exchange itself (web or app), on the decision listener.
    Exchange,
}

/// Where funds are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To another account of the same exchange.
    Internal {
        /// E-mail, phone or account name as entered.
        recipient: String,
    },
    /// To an address on a network this build can screen.
    OnChain {
        /// Over which network.
        network: Network,
        /// The address as entered, without a tag.
        address: String,
        /// Memo or destination tag, where the text had the `address:tag` form.
        tag: Option<String>,
    },
    /// To a network this build cannot screen.
    UnknownNetwork {
        /// The network's name as entered.
        network: String,
        /// The address as entered.
        address: String,
    },
}

impl Destination {
    /// The address or recipient as entered.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Internal { recipient } => recipient,
            Self::OnChain { address, .. } | Self::UnknownNetwork { address, .. } => address,
        }
    }
}
