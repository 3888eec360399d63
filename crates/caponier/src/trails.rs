//! What people look for: the entries of one customer or address, who shares what with whom, and where decisions are.
//!
//! Follows from the journal by the fold. Nothing is decided by it, so it is no part of the state that two folds are compared by. It holds positions and names; whatever is shown is read from the journal, so that
//! an erased person is gone from it with the next fold.
//!
//! # Bounds
//! [`NODES_MAX`] customers and things, the coldest forgotten first; [`LINKS_MAX`] links of each, and how many more there were;
//! [`STEPS_MAX`] entries in all trails and [`DECISIONS_MAX`] decisions, the oldest forgotten first. Full, some 300 MiB.

use std::{collections::VecDeque, hash::BuildHasher as _, net::IpAddr};

use chain::address;
use domain::{AccountId, Address, Decision, Destination, DeviceId, Event, EventKind, UnixNanos, Verdict};
use features::EntityTable;
use fraud::cases::Entity;
use journal::record;

/// Customers, devices, network addresses and addresses on chains that are remembered.
pub(crate) const NODES_MAX: usize = 500_000;
/// Links that a customer or thing keeps, those used last.
pub(crate) const LINKS_MAX: usize = 128;
/// Entries in all trails.
pub(crate) const STEPS_MAX: usize = 4_000_000;
/// Decisions that can be found without reading the journal.
pub(crate) const DECISIONS_MAX: usize = 4_000_000;
/// Addresses of one entry that get a step.
const ADDRESSES_PER_ENTRY: usize = 64;

/// A customer, or something customers use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Node {
    /// A customer.
    Account(AccountId),
    /// An address on a chain, by what it decodes to.
    Address(Address),
    /// A device.
    Device(DeviceId),
    /// A network address.
    Ip(IpAddr),
}

/// How one is linked to another. The order is that of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum How {
    /// The address stands in the customer's book.
    AddressBook,
    /// The customer received from the address.
    Deposit,
    /// A trade outside the exchange.
    P2p,
    /// One brought the other.
    Referral,
    /// Funds went from one to the other.
    Transfer,
    /// The customer used the device or network address.
    Use,
    /// The customer paid the address, or asked to.
    Withdrawal,
}

impl How {
    /// In words, as read from the customer.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AddressBook => "in the address book",
            Self::Deposit => "received from",
            Self::P2p => "traded with",
            Self::Referral => "brought by, or brought",
            Self::Transfer => "transfer",
            Self::Use => "used",
            Self::Withdrawal => "paid, or asked to pay",
        }
    }
}

/// Of what sort an entry is, so that a trail can be looked through without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Sort {
    /// Logins, devices, credentials, identity.
    Access = 0,
    /// Alerts of rules, models, chains and lists.
    Alert,
    /// What people did in cases.
    Case,
    /// API keys and apps.
    Key,
    /// Deposits, transfers, accepted withdrawals, balances.
    Money,
    /// Anything else.
    Other,
    /// Orders and fills.
    Trade,
    /// Decisions about withdrawals.
    Withdrawal,
}

impl Sort {
    pub(crate) const ALL: [Self; 8] = [
        Self::Access,
        Self::Alert,
        Self::Case,
        Self::Key,
        Self::Money,
        Self::Other,
        Self::Trade,
        Self::Withdrawal,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Alert => "alert",
            Self::Case => "case",
            Self::Key => "key",
            Self::Money => "money",
            Self::Other => "other",
            Self::Trade => "trade",
            Self::Withdrawal => "withdrawal",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == name)
    }

    const fn of_event(kind: &EventKind) -> Self {
        match kind {
            EventKind::ApiKeyCreated { .. } => Self::Key,
            EventKind::BalanceChanged { .. }
            | EventKind::BonusGranted { .. }
            | EventKind::Deposit { .. }
            | EventKind::P2pTrade { .. }
            | EventKind::Transfer { .. }
            | EventKind::WithdrawalAccepted { .. } => Self::Money,
            EventKind::OrderCancelled { .. }
            | EventKind::OrderFilled { .. }
            | EventKind::OrderPlaced { .. } => Self::Trade,
            EventKind::AccountOpened { .. }
            | EventKind::AddressAdded { .. }
            | EventKind::CredentialChanged { .. }
            | EventKind::DeviceAdded
            | EventKind::DeviceRemoved
            | EventKind::KycChanged { .. }
            | EventKind::Login { .. } => Self::Access,
            _ => Self::Other,
        }
    }
}

/// A link as the end it was asked from sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Linked {
    pub(crate) other: Node,
    pub(crate) how: How,
    /// Entries that say so.
    pub(crate) times: u32,
    /// When the newest of them happened, in seconds.
    pub(crate) last_s: u32,
}

/// An entry of a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) sort: Sort,
    /// Where to go on behind it.
    pub(crate) next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    other: u64,
    how: How,
    times: u32,
    last_s: u32,
}

#[derive(Debug)]
struct Place {
    node: Node,
    /// Those used last at the end.
    links: Vec<Link>,
    /// Links that made room.
    more: u64,
    /// One behind the newest step; zero for none.
    head: u64,
    /// Steps there were.
    steps: u64,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// Position and sort.
    packed: u64,
    /// As [`Place::head`], of the step before.
    before: u64,
}

/// A decision, to be found by what it says.
#[derive(Debug, Clone, Copy)]
struct Decided {
    packed: u64,
    account: u64,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Trails {
    /// Keys are made in this process alone, so that nobody outside can choose names whose keys are equal.
    hasher: foldhash::fast::RandomState,
    places: EntityTable<u64, Place>,
    steps: VecDeque<Step>,
    /// Steps forgotten.
    steps_gone: u64,
    decisions: VecDeque<Decided>,
    links_max: usize,
    steps_max: usize,
    decisions_max: usize,
}

impl Default for Trails {
    fn default() -> Self {
        Self::bounded(NODES_MAX, LINKS_MAX, STEPS_MAX, DECISIONS_MAX)
    }
}

const fn seconds(at: UnixNanos) -> u32 {
    let seconds = at.0 / 1_000_000_000;
    #[allow(clippy::cast_possible_truncation, reason = "checked in the line before")]
    if seconds > u32::MAX as u64 { u32::MAX } else { seconds as u32 }
}

impl Trails {
    fn bounded(nodes_max: usize, links_max: usize, steps_max: usize, decisions_max: usize) -> Self {
        Self {
            hasher: foldhash::fast::RandomState::default(),
            places: EntityTable::new(nodes_max),
            steps: VecDeque::new(),
            steps_gone: 0,
            decisions: VecDeque::new(),
            links_max,
            steps_max,
            decisions_max,
        }
    }

    fn key(&self, node: &Node) -> u64 {
        self.hasher.hash_one(node)
    }

    fn touch(&mut self, node: &Node) -> (u64, &mut Place) {
        let key = self.key(node);
        let fresh = || Place { node: node.clone(), links: Vec::new(), more: 0, head: 0, steps: 0 };
        (key, self.places.touch(&key, fresh))
    }

    /// Adds an entry to the trail of a node.
    fn step(&mut self, node: &Node, position: u64, sort: Sort) {
        let head = self.steps_gone + self.steps.len() as u64 + 1;
        let (_, place) = self.touch(node);
        let before = std::mem::replace(&mut place.head, head);
        place.steps += 1;
        if self.steps.len() >= self.steps_max {
            self.steps.pop_front();
            self.steps_gone += 1;
        }
        self.steps.push_back(Step { packed: position << 8 | sort as u64, before });
    }

    fn link(&mut self, from: &Node, to: &Node, how: How, at: UnixNanos) {
        if from == to {
            return;
        }
        let last_s = seconds(at);
        let links_max = self.links_max;
        let (a, b) = (self.key(from), self.key(to));
        for (node, other) in [(from, b), (to, a)] {
            let (_, place) = self.touch(node);
            let known = place.links.iter().rposition(|link| link.other == other && link.how == how);
            let mut link = match known {
                Some(known) => place.links.remove(known),
                None => Link { other, how, times: 0, last_s },
            };
            link.times = link.times.saturating_add(1);
            link.last_s = link.last_s.max(last_s);
            if place.links.len() >= links_max {
                place.links.remove(0);
                place.more += 1;
            }
            place.links.push(link);
        }
    }

    /// Takes in an event of the journal.
    pub(crate) fn event(&mut self, position: u64, event: &Event) {
        let account = Node::Account(event.account.clone());
        self.step(&account, position, Sort::of_event(&event.kind));
        let at = event.occurred_at;
        if let Some(device) = &event.device {
            self.link(&account, &Node::Device(device.clone()), How::Use, at);
        }
        if let Some(ip) = event.ip {
            self.link(&account, &Node::Ip(ip.to_canonical()), How::Use, at);
        }
        let on_chain = |network: &domain::Network, text: &str| decoded(*network, text).map(Node::Address);
        let (other, how) = match &event.kind {
            EventKind::AccountOpened { referrer: Some(other) }
            | EventKind::BonusGranted { referred: Some(other), .. } => {
                (Some(Node::Account(other.clone())), How::Referral)
            }
            EventKind::AddressAdded { network, address } => (on_chain(network, address), How::AddressBook),
            EventKind::Deposit { network, from: Some(from), .. } => (on_chain(network, from), How::Deposit),
            EventKind::P2pTrade { counterparty, .. } => (Some(Node::Account(counterparty.clone())), How::P2p),
            EventKind::Transfer { to, .. } => (Some(Node::Account(to.clone())), How::Transfer),
            EventKind::WithdrawalAccepted { network, address, .. } => {
                (on_chain(network, address), How::Withdrawal)
            }
            _ => return,
        };
        let Some(other) = other else { return };
        self.link(&account, &other, how, at);
        if matches!(other, Node::Address(_)) {
            self.step(&other, position, Sort::of_event(&event.kind));
        }
    }

    /// Takes in a decision of the journal.
    pub(crate) fn decision(&mut self, position: u64, decision: &Decision) {
        let request = &decision.request;
        let account = Node::Account(request.account.clone());
        self.step(&account, position, Sort::Withdrawal);
        let at = decision.decided_at;
        self.link(&account, &Node::Ip(request.ip.to_canonical()), How::Use, at);
        if let Some(device) = &request.device {
            self.link(&account, &Node::Device(device.clone()), How::Use, at);
        }
        if let Destination::OnChain { network, address, .. } = &request.destination
            && let Some(address) = decoded(*network, address)
        {
            let address = Node::Address(address);
            self.link(&account, &address, How::Withdrawal, at);
            self.step(&address, position, Sort::Withdrawal);
        }
        if self.decisions.len() >= self.decisions_max {
            self.decisions.pop_front();
        }
        let account = self.key(&account);
        self.decisions.push_back(Decided { packed: position << 8 | decision.verdict as u64, account });
    }

    /// Takes in an entry about a customer.
    pub(crate) fn account(&mut self, position: u64, account: &AccountId, sort: Sort) {
        self.step(&Node::Account(account.clone()), position, sort);
    }

    /// Takes in what people did in a case.
    pub(crate) fn case(&mut self, position: u64, entity: &Entity) {
        if let Some(account) = entity.account() {
            self.account(position, account, Sort::Case);
        } else if let Some(address) = address_of(entity) {
            self.step(&Node::Address(address), position, Sort::Case);
        }
    }

    /// Takes in an alert from a chain.
    pub(crate) fn chain_alert(&mut self, position: u64, alert: &record::ChainAlert) {
        for text in [&alert.subject, &alert.counterparty].into_iter().flatten() {
            if let Ok(address) = address::decode_any(text) {
                self.step(&Node::Address(address), position, Sort::Alert);
            }
        }
    }

    /// Takes in what a model suspects, or no longer.
    pub(crate) fn suspicion(&mut self, position: u64, address: Address) {
        self.step(&Node::Address(address), position, Sort::Alert);
    }

    /// Takes in a screening.
    pub(crate) fn screened(&mut self, position: u64, screened: &record::Screened) {
        for found in screened.found.iter().take(ADDRESSES_PER_ENTRY) {
            if let Ok(address) = address::decode_any(&found.address) {
                self.step(&Node::Address(address), position, Sort::Other);
            }
        }
    }

    /// Whether anything was seen of it.
    pub(crate) fn knows(&self, node: &Node) -> bool {
        self.place(node).is_some()
    }

    fn place(&self, node: &Node) -> Option<&Place> {
        // Two names with one key would be an accident of 64 bits; who was there first is not taken for the other.
        self.places.peek(&self.key(node)).filter(|place| place.node == *node)
    }

    /// What is linked to a node, used last first, and how many links made room.
    pub(crate) fn links(&self, node: &Node) -> (Vec<Linked>, u64) {
        let Some(place) = self.place(node) else { return (Vec::new(), 0) };
        let linked = place.links.iter().rev().filter_map(|link| {
            let other = self.places.peek(&link.other)?.node.clone();
            Some(Linked { other, how: link.how, times: link.times, last_s: link.last_s })
        });
        let linked: Vec<Linked> = linked.collect();
        let lost = place.links.len() - linked.len();
        (linked, place.more + lost as u64)
    }

    /// How many entries a node's trail had.
    pub(crate) fn steps_of(&self, node: &Node) -> u64 {
        self.place(node).map_or(0, |place| place.steps)
    }

    /// Entries of a node, the newest first, from a place that [`Found::next`] named; of all sorts if none is named. Looks at
    /// `look_max` entries at most and yields `most`; where to go on if there may be more.
    pub(crate) fn trail(
        &self,
        node: &Node,
        from: Option<u64>,
        sorts: &[Sort],
        most: usize,
        look_max: usize,
    ) -> (Vec<Found>, Option<u64>) {
        let mut at = match from {
            Some(from) => from,
            None => self.place(node).map_or(0, |place| place.head),
        };
        let (mut found, mut looked) = (Vec::new(), 0);
        while let Some(step) = self.step_at(at) {
            if found.len() >= most || looked >= look_max {
                return (found, Some(at));
            }
            looked += 1;
            let sort = usize::try_from(step.packed & 0xff).ok().and_then(|sort| Sort::ALL.get(sort).copied());
            if let Some(sort) = sort
                && (sorts.is_empty() || sorts.contains(&sort))
            {
                found.push(Found { position: step.packed >> 8, sort, next: step.before });
            }
            at = step.before;
        }
        (found, None)
    }

    fn step_at(&self, at: u64) -> Option<Step> {
        let idx = at.checked_sub(1)?.checked_sub(self.steps_gone)?;
        self.steps.get(usize::try_from(idx).ok()?).copied()
    }

    /// Positions of decisions before one, the newest first: those of one verdict and one customer, where they are named. Looks
    /// at `look_max` at most and yields `most`; where to go on if there may be more.
    pub(crate) fn decisions(
        &self,
        before: u64,
        verdict: Option<Verdict>,
        account: Option<&AccountId>,
        most: usize,
        look_max: usize,
    ) -> (Vec<u64>, Option<u64>) {
        let account = account.map(|account| self.key(&Node::Account(account.clone())));
        let end = self.decisions.partition_point(|decided| decided.packed >> 8 < before);
        let mut found = Vec::new();
        for (looked, decided) in self.decisions.range(..end).rev().enumerate() {
            let position = decided.packed >> 8;
            if found.len() >= most || looked >= look_max {
                return (found, Some(position + 1));
            }
            if verdict.is_none_or(|verdict| decided.packed & 0xff == verdict as u64)
                && account.is_none_or(|account| decided.account == account)
            {
                found.push(position);
            }
        }
        (found, None)
    }
}

/// The address a case or alert is about, as `address:CHAIN:TEXT`.
pub(crate) fn address_of(entity: &Entity) -> Option<Address> {
    let Entity::Other(name) = entity else { return None };
    let (_, text) = name.strip_prefix("address:")?.split_once(':')?;
    address::decode_any(text).ok()
}

fn decoded(network: domain::Network, text: &str) -> Option<Address> {
    address::decode(network.family(), text).ok()
}

#[cfg(test)]
mod tests;
