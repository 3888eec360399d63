//! What people and programs are about to do, other than a withdrawal, and what was decided about it.

use std::net::IpAddr;

use crate::{AccountId, Actor, ApiKeyId, Event, Finding, Network, UnixNanos, Verdict};

/// Kinds of acts that are judged before they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActKind {
    /// Money is about to go to an address, or came from there.
    AddressScreen,
    /// Somebody of the exchange changes something.
    AdminAct,
    /// A request to the trading API that the gateway does not see.
    ApiCall,
    /// A customer signs in.
    Login,
    /// A customer places an order.
    Order,
}

impl ActKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::AddressScreen, Self::AdminAct, Self::ApiCall, Self::Login, Self::Order];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressScreen => "address_screen",
            Self::AdminAct => "admin_act",
            Self::ApiCall => "api_call",
            Self::Login => "login",
            Self::Order => "order",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Money is about to go to an address, or came from there, beside a withdrawal: a deposit to be credited, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressScreen {
    /// The address as text.
    pub address: String,
    /// As an address of this network.
    pub network: Network,
    /// The caller's own name for it.
    pub reference: Option<String>,
}

/// Somebody of the exchange is about to change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminAct {
    /// Who, as the control API knows persons and programs.
    pub actor: Actor,
    /// The capability it takes, by its name.
    pub capability: String,
    /// What, in the exchange's words.
    pub act: String,
    /// To which customer, if to one.
    pub account: Option<AccountId>,
    /// From where, if known.
    pub ip: Option<IpAddr>,
}

/// A request to the trading API that the gateway does not see itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCall {
    /// Whose account.
    pub account: AccountId,
    /// The key it is signed with.
    pub key: ApiKeyId,
    /// Method, upper case.
    pub method: String,
    /// Path, without a query.
    pub path: String,
    /// From where.
    pub ip: IpAddr,
}

/// What is about to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Of [`ActKind::AddressScreen`].
    AddressScreen(AddressScreen),
    /// Of [`ActKind::AdminAct`].
    AdminAct(AdminAct),
    /// Of [`ActKind::ApiCall`].
    ApiCall(ApiCall),
    /// Of [`ActKind::Login`]: a login that would be this event, its kind always [`crate::EventKind::Login`].
    Login(Event),
    /// Of [`ActKind::Order`]: an order that would be this event, its kind always [`crate::EventKind::OrderPlaced`].
    Order(Event),
}

impl Act {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ActKind {
        match self {
            Self::AddressScreen(_) => ActKind::AddressScreen,
            Self::AdminAct(_) => ActKind::AdminAct,
            Self::ApiCall(_) => ActKind::ApiCall,
            Self::Login(_) => ActKind::Login,
            Self::Order(_) => ActKind::Order,
        }
    }

    /// The customer it is about, if about one.
    #[must_use]
    pub const fn account(&self) -> Option<&AccountId> {
        match self {
            Self::AddressScreen(_) => None,
            Self::AdminAct(act) => act.account.as_ref(),
            Self::ApiCall(call) => Some(&call.account),
            Self::Login(event) | Self::Order(event) => Some(&event.account),
        }
    }

    /// From where, if known.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::AddressScreen(_) => None,
            Self::AdminAct(act) => act.ip,
            Self::ApiCall(call) => Some(call.ip),
            Self::Login(event) | Self::Order(event) => event.ip,
        }
    }
}

/// What was decided about an act, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What was asked.
    pub act: Act,
    /// The answer: the strictest verdict of the findings that are not in shadow.
    pub verdict: Verdict,
    /// Everything that was found, strictest first.
    pub findings: Vec<Finding>,
    /// When.
    pub decided_at: UnixNanos,
    /// Who asked.
    pub caller: String,
    /// Idempotency key of the caller, if one was given: the same key gets the same answer.
    pub idempotency_key: Option<String>,
    /// SHA-256 of the request as it was sent: the same key with another request is refused.
    pub request_sha256: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for kind in ActKind::ALL {
            assert_eq!(ActKind::named(kind.as_str()), Some(kind));
        }
        assert_eq!(ActKind::named("withdrawal"), None);
    }
}
