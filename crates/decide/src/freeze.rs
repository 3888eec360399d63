//! Freezes: scopes from which nothing leaves until two people say otherwise.
//!
//! A freeze is a fact of the journal, held here for the decision path. It denies: a release answers what people saw
//! of one withdrawal, and nobody saw why everything was stopped. [`crate::Decider`] asks before it answers, also for a
//! decision it made earlier and is asked for again, and [`crate::Decider::standstill`] puts a freeze before or behind
//! every decision, never beside one: behind a freeze in the journal stands no decision that lets something out of its
//! scope.
//!
//! Not here: who may freeze, who may unfreeze, and how either becomes durable.
//!
//! Bound: [`FREEZES_MAX`] scopes.

use std::{collections::BTreeMap, fmt, str::FromStr};

use domain::{
    AccountId, Actor, Asset, Destination, Evidence, Finding, FindingSource, Network, ReasonCode, UnixNanos,
    Verdict, WithdrawalRequest,
};
use parking_lot::RwLock;

/// Reason of a decision that denies because its scope is frozen.
pub const FROZEN: ReasonCode = ReasonCode::new("decide.frozen");

/// Most scopes frozen at once; beyond it, everything is to be frozen.
pub const FREEZES_MAX: usize = 10_000;

/// From what nothing leaves. The order is from the widest to the narrowest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FreezeScope {
    /// Everything, transfers within the exchange included.
    All,
    /// Everything over a network. What goes to a network that is not known here belongs to every network.
    Network(Network),
    /// Everything in an asset.
    Asset(Asset),
    /// Everything of an account.
    Account(AccountId),
}

/// Why a text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no scope: expected all, account:NAME, asset:NAME or network:NAME")]
pub struct MalformedFreezeScope {
    /// The beginning of the text.
    text: String,
}

impl FreezeScope {
    /// Whether a withdrawal is within it.
    #[must_use]
    pub fn covers(&self, request: &WithdrawalRequest) -> bool {
        match self {
            Self::All => true,
            Self::Network(frozen) => match &request.destination {
                Destination::OnChain { network, .. } => network == frozen,
                Destination::UnknownNetwork { .. } => true,
                // It stays within the exchange.
                _ => false,
            },
            Self::Asset(asset) => *asset == request.asset,
            Self::Account(account) => *account == request.account,
        }
    }
}

/// `all`, `account:alice`, `asset:USDT`, `network:tron`, which [`FreezeScope::from_str`] reads back.
impl fmt::Display for FreezeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Network(network) => write!(f, "network:{network}"),
            Self::Asset(asset) => write!(f, "asset:{asset}"),
            Self::Account(account) => write!(f, "account:{account}"),
        }
    }
}

impl FromStr for FreezeScope {
    type Err = MalformedFreezeScope;

    fn from_str(text: &str) -> Result<Self, MalformedFreezeScope> {
        let scope = match text.split_once(':') {
            None => (text == "all").then_some(Self::All),
            Some(("account", name)) => AccountId::parse(name).ok().map(Self::Account),
            Some(("asset", name)) => Asset::parse(name).ok().map(Self::Asset),
            Some(("network", name)) => name.parse().ok().map(Self::Network),
            Some(_) => None,
        };
        scope.ok_or_else(|| MalformedFreezeScope { text: text.chars().take(80).collect() })
    }
}

/// A freeze in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// What is frozen.
    pub scope: FreezeScope,
    /// Who froze it.
    pub by: Actor,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub at: UnixNanos,
}

/// The freezes in force. Share it in an [`std::sync::Arc`].
#[derive(Debug, Default)]
pub struct Freezes(RwLock<BTreeMap<FreezeScope, Freeze>>);

impl Freezes {
    /// Puts a freeze in force. One of the same scope stays as it was: it is known who was first.
    /// Says whether it is new.
    pub fn freeze(&self, freeze: Freeze) -> bool {
        let mut freezes = self.0.write();
        if freezes.contains_key(&freeze.scope) {
            return false;
        }
        freezes.insert(freeze.scope.clone(), freeze);
        true
    }

    /// Takes a freeze out of force; says whether there was one.
    pub fn lift(&self, scope: &FreezeScope) -> bool {
        self.0.write().remove(scope).is_some()
    }

    /// The freeze of exactly this scope.
    #[must_use]
    pub fn of(&self, scope: &FreezeScope) -> Option<Freeze> {
        self.0.read().get(scope).cloned()
    }

    /// The widest freeze a withdrawal is within.
    #[must_use]
    pub fn covering(&self, request: &WithdrawalRequest) -> Option<Freeze> {
        let freezes = self.0.read();
        if freezes.is_empty() {
            return None;
        }
        // At most one of each kind covers it, but for networks, when the destination's is not known.
        let network = match &request.destination {
            Destination::OnChain { network, .. } => Some(FreezeScope::Network(*network)),
            _ => None,
        };
        let any_network = || {
            let unknown = matches!(request.destination, Destination::UnknownNetwork { .. });
            freezes.values().find(|freeze| unknown && matches!(freeze.scope, FreezeScope::Network(_)))
        };
        freezes
            .get(&FreezeScope::All)
            .or_else(|| network.and_then(|scope| freezes.get(&scope)))
            .or_else(any_network)
            .or_else(|| freezes.get(&FreezeScope::Asset(request.asset.clone())))
            .or_else(|| freezes.get(&FreezeScope::Account(request.account.clone())))
            .cloned()
    }

    /// All of them, the widest first.
    #[must_use]
    pub fn list(&self) -> Vec<Freeze> {
        self.0.read().values().cloned().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.read().len()
    }

    /// Takes over what others hold, all at once.
    pub fn replace_by(&self, others: &Self) {
        let others = others.0.read().clone();
        *self.0.write() = others;
    }

    /// SHA-256 over what is frozen, for comparison with a state rebuilt elsewhere.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = crypto::Sha256::new();
        for freeze in self.0.read().values() {
            for part in [&freeze.scope.to_string(), &freeze.by.to_string(), &freeze.reason] {
                hasher.update(&(part.len() as u64).to_be_bytes());
                hasher.update(part.as_bytes());
            }
            hasher.update(&freeze.at.0.to_be_bytes());
        }
        hasher.finish()
    }
}

impl Freeze {
    /// What it says against a withdrawal.
    pub(crate) fn finding(&self) -> Finding {
        Finding {
            source: FindingSource::Decide,
            code: FROZEN,
            verdict: Verdict::Deny,
            shadow: false,
            message: match &self.scope {
                FreezeScope::All => "Withdrawals are suspended.".to_owned(),
                FreezeScope::Network(network) => format!("Withdrawals over {network} are suspended."),
                FreezeScope::Asset(asset) => format!("Withdrawals of {asset} are suspended."),
                FreezeScope::Account(_) => "Withdrawals of this account are suspended.".to_owned(),
            },
            evidence: vec![
                Evidence::new("frozen_scope", self.scope.to_string()),
                Evidence::new("frozen_at", self.at.to_string()),
            ],
            would_pass_if: Some("two people lift the freeze, and it is asked for anew".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use domain::{Amount, Channel};
    use proptest::prelude::*;

    use super::*;

    fn request(account: &str, asset: &str, destination: Destination) -> WithdrawalRequest {
        WithdrawalRequest {
            account: AccountId::parse(account).unwrap(),
            asset: Asset::parse(asset).unwrap(),
            amount: Amount::parse("1").unwrap(),
            fee: None,
            destination,
            channel: Channel::Exchange,
            client_id: None,
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            device: None,
            client_ja4: None,
            requested_at: UnixNanos(0),
        }
    }

    fn on(network: Network) -> Destination {
        Destination::OnChain { network, address: "a".to_owned(), tag: None }
    }

    fn freeze(scope: &str) -> Freeze {
        Freeze {
            scope: scope.parse().unwrap(),
            by: Actor::operator(),
            reason: "why".to_owned(),
            at: UnixNanos(7),
        }
    }

    #[test]
    fn what_a_scope_covers() {
        let unknown = Destination::UnknownNetwork { network: "x".to_owned(), address: "a".to_owned() };
        let inside = Destination::Internal { recipient: "bob".to_owned() };
        let tron = request("alice", "USDT", on(Network::Tron));
        for (scope, request, covered) in [
            ("all", &tron, true),
            ("network:tron", &tron, true),
            ("network:ethereum", &tron, false),
            ("asset:USDT", &tron, true),
            ("asset:BTC", &tron, false),
            ("account:alice", &tron, true),
            ("account:bob", &tron, false),
            ("network:tron", &request("alice", "USDT", unknown.clone()), true),
            ("network:tron", &request("alice", "USDT", inside.clone()), false),
            ("all", &request("alice", "USDT", inside), true),
        ] {
            let freezes = Freezes::default();
            assert!(freezes.freeze(freeze(scope)));
            assert!(!freezes.freeze(freeze(scope)));
            assert_eq!(freezes.covering(request).is_some(), covered, "{scope}");
            assert_eq!(freezes.of(&scope.parse().unwrap()), Some(freeze(scope)));
            assert!(freezes.lift(&scope.parse().unwrap()));
            assert_eq!((freezes.covering(request), freezes.count()), (None, 0));
        }
    }

    #[test]
    fn scopes_are_read_strictly() {
        for text in ["all", "account:alice@example.com", "asset:USDT", "network:tron"] {
            assert_eq!(text.parse::<FreezeScope>().unwrap().to_string(), text);
        }
        for text in ["", "ALL", "all:", "asset:", "asset:us dt", "network:mars", "account:", "alice"] {
            assert!(text.parse::<FreezeScope>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn digests_tell_states_apart() {
        let (one, two) = (Freezes::default(), Freezes::default());
        one.freeze(freeze("all"));
        assert_ne!(one.digest(), two.digest());
        two.replace_by(&one);
        assert_eq!((one.digest(), two.list()), (two.digest(), one.list()));
    }

    proptest! {
        /// The look-up by key finds a freeze exactly where one of the scopes covers the withdrawal.
        #[test]
        fn covering_is_any_scope_that_covers(
            scopes in proptest::collection::btree_set(0_usize..7, 0..7), which in 0_usize..4, account in 0_usize..2,
        ) {
            const SCOPES: [&str; 7] =
                ["all", "network:tron", "network:ethereum", "asset:USDT", "asset:BTC", "account:alice", "account:bob"];
            let destination = match which {
                0 => on(Network::Tron),
                1 => on(Network::Bitcoin),
                2 => Destination::UnknownNetwork { network: "x".to_owned(), address: "a".to_owned() },
                _ => Destination::Internal { recipient: "bob".to_owned() },
            };
            let request = request(["alice", "carol"][account], "USDT", destination);
            let freezes = Freezes::default();
            for scope in &scopes {
                freezes.freeze(freeze(SCOPES[*scope]));
            }
            let widest = freezes.list().into_iter().find(|freeze| freeze.scope.covers(&request));
            prop_assert_eq!(freezes.covering(&request), widest);
        }
    }
}
