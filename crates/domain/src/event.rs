//! What happened at the exchange, as the exchange reports it.

use std::net::IpAddr;

use crate::{AccountId, Amount, Asset, DeviceId, EventId, Network, UnixNanos};

/// Something that happened to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The reporter's id: reporting the same id again changes nothing.
    pub id: EventId,
    /// Whose account.
    pub account: AccountId,
    /// When it happened, by the reporter's clock.
    pub occurred_at: UnixNanos,
    /// From which device, if any is known.
    pub device: Option<DeviceId>,
    /// From which network address, if any is known.
    pub ip: Option<IpAddr>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// An entry was added to the withdrawal address book.
    AddressAdded {
        /// Network of the address.
        network: Network,
        /// The address as entered.
        address: String,
    },
    /// The account's whole holding of one asset is now this much.
    BalanceChanged {
        /// Which asset.
        asset: Asset,
        /// Available plus held.
        total: Amount,
    },
    /// A password, second factor or contact was changed.
    CredentialChanged {
        /// Which one.
        credential: Credential,
    },
    /// Funds arrived.
    Deposit {
        /// Which asset.
        asset: Asset,
        /// How much.
        amount: Amount,
        /// Over which network.
        network: Network,
        /// Sender, where the chain tells.
        from: Option<String>,
    },
    /// A device was bound to the account.
    DeviceAdded,
    /// A login attempt.
    Login {
        /// Whether it succeeded.
        success: bool,
        /// Whether a second factor was shown.
        second_factor: bool,
    },
    /// An order was filled, in part or whole.
    OrderFilled {
        /// Such as `BTC-USDT`.
        instrument: String,
        /// Quantity of the base asset.
        quantity: Amount,
        /// Price in the quote asset.
        price: Amount,
    },
    /// A withdrawal was accepted by the exchange.
    WithdrawalAccepted {
        /// Which asset.
        asset: Asset,
        /// How much.
        amount: Amount,
        /// Over which network.
        network: Network,
        /// Where to.
        address: String,
    },
}

impl EventKind {
    /// Stable lower-case name, used on the wire and in metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::AddressAdded { .. } => "address_added",
            Self::BalanceChanged { .. } => "balance_changed",
            Self::CredentialChanged { .. } => "credential_changed",
            Self::Deposit { .. } => "deposit",
            Self::DeviceAdded => "device_added",
            Self::Login { .. } => "login",
            Self::OrderFilled { .. } => "order_filled",
            Self::WithdrawalAccepted { .. } => "withdrawal_accepted",
        }
    }
}

/// What protects an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// Authenticator app or passkey.
    Authenticator,
    /// E-mail address.
    Email,
    /// Password.
    Password,
    /// Phone number.
    Phone,
}

impl Credential {
    /// Every credential.
    pub const ALL: [Self; 4] = [Self::Authenticator, Self::Email, Self::Password, Self::Phone];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authenticator => "authenticator",
            Self::Email => "email",
            Self::Password => "password",
            Self::Phone => "phone",
        }
    }
}
