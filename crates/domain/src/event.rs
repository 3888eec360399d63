//! What happened at the exchange, as the exchange reports it.

use std::net::IpAddr;

use crate::{AccountId, Amount, ApiKeyId, Asset, DeviceId, EventId, Network, UnixNanos};

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
    /// What else the reporter knows of the circumstances.
    pub context: EventContext,
    /// What happened.
    pub kind: EventKind,
}

/// What the reporter knows of the circumstances of an event. Nothing of it is ever required.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventContext {
    /// Autonomous system that the network address belongs to.
    pub asn: Option<u32>,
    /// What hides the true origin of the network address.
    pub anonymizer: Option<Anonymizer>,
    /// Country of the network address.
    pub country: Option<Country>,
    /// What was at stake, in the reporter's one reference currency.
    pub value: Option<Amount>,
}

impl EventContext {
    /// Whether nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.asn.is_none() && self.anonymizer.is_none() && self.country.is_none() && self.value.is_none()
    }
}

/// What hides where somebody is. True of many honest customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Anonymizer {
    /// A machine in a data centre.
    Hosting,
    /// An open or paid proxy.
    Proxy,
    /// The Tor network.
    Tor,
    /// A virtual private network.
    Vpn,
}

impl Anonymizer {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Hosting, Self::Proxy, Self::Tor, Self::Vpn];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hosting => "hosting",
            Self::Proxy => "proxy",
            Self::Tor => "tor",
            Self::Vpn => "vpn",
        }
    }
}

/// Two capital letters (ISO 3166-1 alpha-2). Whether such a country exists is not looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Two capital letters, or none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Two ASCII letters by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which way a trade goes, as the account sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// It gets the asset.
    Buy,
    /// It gives the asset.
    Sell,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Buy, Self::Sell];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }

    /// The same trade as the other party sees it.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// What a label is about. Always of the account of the label's own event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelTarget {
    /// The account as a whole.
    Account,
    /// A decision, by its position in the journal.
    Decision(u64),
    /// An event, by its id.
    Event(EventId),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The account was opened.
    AccountOpened {
        /// Who brought the customer, if anybody did.
        referrer: Option<AccountId>,
    },
    /// An entry was added to the withdrawal address book.
    AddressAdded {
        /// Network of the address.
        network: Network,
        /// The address as entered.
        address: String,
    },
    /// An API key was created at the exchange.
    ApiKeyCreated {
        /// Its public half.
        key: ApiKeyId,
        /// Whether it may withdraw.
        may_withdraw: bool,
        /// Whether it is bound to network addresses.
        ip_bound: bool,
    },
    /// The account's whole holding of one asset is now this much.
    BalanceChanged {
        /// Which asset.
        asset: Asset,
        /// Available plus held.
        total: Amount,
    },
    /// A bonus or reward was credited.
    BonusGranted {
        /// Which asset.
        asset: Asset,
        /// How much.
        amount: Amount,
        /// For which campaign.
        campaign: String,
        /// For bringing which customer, if that is what it is for.
        referred: Option<AccountId>,
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
    /// A device is no longer bound to the account.
    DeviceRemoved,
    /// What is known of the customer's identity changed.
    KycChanged {
        /// The level reached, 0 for none.
        level: u8,
        /// Digest or other stand-in of the document shown, never its number.
        document: Option<String>,
    },
    /// It became known whether something was fraud. The event's time is when the reporter learned of it.
    Label {
        /// What.
        target: LabelTarget,
        /// Whether it was fraud; otherwise it was legitimate.
        is_fraud: bool,
        /// Who says so, such as `chargeback` or `analyst`.
        source: String,
    },
    /// A login attempt.
    Login {
        /// Whether it succeeded.
        success: bool,
        /// Whether a second factor was shown.
        second_factor: bool,
    },
    /// An order was cancelled.
    OrderCancelled {
        /// Such as `BTC-USDT`.
        instrument: String,
        /// The order.
        order: String,
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
    /// An order was placed.
    OrderPlaced {
        /// Such as `BTC-USDT`.
        instrument: String,
        /// The order.
        order: String,
        /// Which way.
        side: Side,
        /// Quantity of the base asset.
        quantity: Amount,
        /// Limit in the quote asset; none for a market order.
        price: Option<Amount>,
    },
    /// A trade between two customers, paid outside the exchange, came to a new state.
    P2pTrade {
        /// The other party.
        counterparty: AccountId,
        /// Which way the asset goes, as this account sees it.
        side: Side,
        /// Which asset.
        asset: Asset,
        /// How much.
        amount: Amount,
        /// Stand-in of the bank account or card used, never its number.
        payment: Option<String>,
        /// Such as `opened`, `paid`, `released`, `cancelled` or `disputed`.
        status: String,
    },
    /// The customer turned to support.
    SupportContacted {
        /// About what, such as `account_access`.
        topic: String,
    },
    /// Funds went to another account of the exchange.
    Transfer {
        /// Which asset.
        asset: Asset,
        /// How much.
        amount: Amount,
        /// To whom.
        to: AccountId,
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
            Self::AccountOpened { .. } => "account_opened",
            Self::AddressAdded { .. } => "address_added",
            Self::ApiKeyCreated { .. } => "api_key_created",
            Self::BalanceChanged { .. } => "balance_changed",
            Self::BonusGranted { .. } => "bonus_granted",
            Self::CredentialChanged { .. } => "credential_changed",
            Self::Deposit { .. } => "deposit",
            Self::DeviceAdded => "device_added",
            Self::DeviceRemoved => "device_removed",
            Self::KycChanged { .. } => "kyc_changed",
            Self::Label { .. } => "label",
            Self::Login { .. } => "login",
            Self::OrderCancelled { .. } => "order_cancelled",
            Self::OrderFilled { .. } => "order_filled",
            Self::OrderPlaced { .. } => "order_placed",
            Self::P2pTrade { .. } => "p2p_trade",
            Self::SupportContacted { .. } => "support_contacted",
            Self::Transfer { .. } => "transfer",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_capital_letters() {
        assert_eq!(Country::parse("CH").map(|country| country.as_str().to_owned()), Some("CH".to_owned()));
        for text in ["", "C", "ch", "CHE", "C1", "\u{c4}"] {
            assert_eq!(Country::parse(text), None, "{text}");
        }
    }
}
