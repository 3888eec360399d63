//! Where things are told as they happen, in any order, and put into the order of time at the end.

use domain::{
    AccountId, Amount, ApiKeyId, Asset, Channel, Credential, Destination, DeviceId, Event, EventContext,
    EventId, EventKind, Side, WithdrawalRequest,
};

use super::{
    Case, Item, Typology, What,
    world::{ASSETS, Origin, World},
};

/// Who acts: whose account, with which device, from where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Actor<'a> {
    pub(super) account: &'a AccountId,
    pub(super) device: Option<&'a DeviceId>,
    pub(super) origin: Option<Origin>,
    pub(super) case: Option<usize>,
}

impl<'a> Actor<'a> {
    pub(super) fn new(account: &'a AccountId, device: &'a DeviceId, origin: Origin) -> Self {
        Self { account, device: Some(device), origin: Some(origin), case: None }
    }

    pub(super) fn in_case(self, case: usize) -> Self {
        Self { case: Some(case), ..self }
    }

    /// Nobody acts: the exchange does, or somebody outside.
    pub(super) fn nobody(account: &'a AccountId) -> Self {
        Self { account, device: None, origin: None, case: None }
    }
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Stage<'w> {
    world: &'w World,
    items: Vec<(u64, Item)>,
    cases: Vec<Case>,
}

pub(super) fn asset(place: usize) -> Asset {
    Asset::parse(ASSETS[place].0).expect("tickers are upper-case letters")
}

impl<'w> Stage<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self { world, items: Vec::new(), cases: Vec::new() }
    }

    /// Opens a fraud; its number.
    pub(super) fn case(&mut self, typology: Typology, accounts: Vec<AccountId>) -> usize {
        self.cases.push(Case { typology, accounts });
        self.cases.len() - 1
    }

    /// In order of time, numbered; what comes after the end of the story is not told.
    pub(super) fn close(self) -> (Vec<Item>, Vec<Case>) {
        let end = self.world.secs();
        let mut items = self.items;
        items.retain(|(at, _)| *at < end);
        // Stable: what happened in one second stays in the order it was told.
        items.sort_by_key(|(at, _)| *at);
        let seed = self.world.plan.seed;
        let numbered = items.into_iter().enumerate().map(|(number, (_, mut item))| {
            if let What::Event(event) = &mut item.what {
                event.id = EventId::parse(&format!("s{seed}-{number}")).expect("a short printable id");
            }
            item
        });
        (numbered.collect(), self.cases)
    }

    pub(super) fn event(&mut self, secs: u64, actor: Actor<'_>, cents: Option<u64>, kind: EventKind) {
        let origin = actor.origin;
        let event = Event {
            id: EventId::parse("unnumbered").expect("a word is an id"),
            account: actor.account.clone(),
            occurred_at: self.world.at(secs),
            device: actor.device.cloned(),
            ip: origin.map(|origin| origin.ip),
            context: EventContext {
                asn: origin.map(|origin| origin.asn),
                anonymizer: origin.and_then(|origin| origin.anonymizer),
                country: origin.map(|origin| origin.country),
                value: cents.and_then(World::value),
            },
            kind,
        };
        self.items.push((secs, Item { what: What::Event(event), case: actor.case }));
    }

    pub(super) fn login(&mut self, secs: u64, actor: Actor<'_>, success: bool) {
        // Whoever gets in showed a second factor, rightly or not.
        self.event(secs, actor, None, EventKind::Login { success, second_factor: success });
    }

    pub(super) fn credential(&mut self, secs: u64, actor: Actor<'_>, credential: Credential) {
        self.event(secs, actor, None, EventKind::CredentialChanged { credential });
    }

    pub(super) fn address_added(&mut self, secs: u64, actor: Actor<'_>, asset: usize, address: &str) {
        let kind = EventKind::AddressAdded { network: ASSETS[asset].1, address: address.to_owned() };
        self.event(secs, actor, None, kind);
    }

    /// Funds arrive from an address.
    pub(super) fn deposit(&mut self, secs: u64, account: &AccountId, place: usize, cents: u64, from: &str) {
        self.deposit_in(secs, Actor::nobody(account), place, cents, from);
    }

    pub(super) fn deposit_in(&mut self, secs: u64, actor: Actor<'_>, place: usize, cents: u64, from: &str) {
        let kind = EventKind::Deposit {
            asset: asset(place),
            amount: self.world.amount(place, cents, secs),
            network: ASSETS[place].1,
            from: Some(from.to_owned()),
        };
        self.event(secs, actor, Some(cents), kind);
    }

    /// Funds are asked to go to an address, and go.
    pub(super) fn withdraw(&mut self, secs: u64, actor: Actor<'_>, place: usize, cents: u64, to: &str) {
        self.withdraw_by(secs, actor, None, place, cents, to);
    }

    /// As [`Stage::withdraw`], with an API key.
    pub(super) fn withdraw_by(
        &mut self,
        secs: u64,
        actor: Actor<'_>,
        key: Option<&ApiKeyId>,
        place: usize,
        cents: u64,
        to: &str,
    ) {
        let (_, network, ..) = ASSETS[place];
        let amount = self.world.amount(place, cents, secs);
        let Some(origin) = actor.origin else { return };
        let request = WithdrawalRequest {
            account: actor.account.clone(),
            channel: key.map_or(Channel::Exchange, |key| Channel::ApiKey(key.clone())),
            asset: asset(place),
            amount,
            fee: None,
            destination: Destination::OnChain { network, address: to.to_owned(), tag: None },
            client_id: None,
            ip: origin.ip,
            device: actor.device.filter(|_| key.is_none()).cloned(),
            client_ja4: None,
            requested_at: self.world.at(secs),
        };
        self.items.push((secs, Item { what: What::Withdrawal(request), case: actor.case }));
        let kind =
            EventKind::WithdrawalAccepted { asset: asset(place), amount, network, address: to.to_owned() };
        // The exchange reports it, not the customer.
        let told = Actor { device: None, origin: None, ..actor };
        self.event(secs + 2, told, Some(cents), kind);
    }

    /// Tells the whole holding of an asset, in cents.
    pub(super) fn balance(&mut self, secs: u64, account: &AccountId, place: usize, cents: u64) {
        let total = if cents == 0 { Amount::ZERO } else { self.world.amount(place, cents, secs) };
        self.event(
            secs,
            Actor::nobody(account),
            None,
            EventKind::BalanceChanged { asset: asset(place), total },
        );
    }

    pub(super) fn transfer(&mut self, secs: u64, actor: Actor<'_>, cents: u64, to: &AccountId) {
        let amount = self.world.amount(0, cents, secs);
        self.event(secs, actor, Some(cents), EventKind::Transfer { asset: asset(0), amount, to: to.clone() });
    }

    /// A trade between customers that goes through: the actor buys or sells.
    pub(super) fn p2p(
        &mut self,
        secs: u64,
        actor: Actor<'_>,
        side: Side,
        cents: u64,
        other: &AccountId,
        payment: &str,
    ) {
        for (after, status) in [(0, "opened"), (300, "paid"), (900, "released")] {
            let kind = EventKind::P2pTrade {
                counterparty: other.clone(),
                side,
                asset: asset(0),
                amount: self.world.amount(0, cents, secs),
                payment: Some(payment.to_owned()),
                status: status.to_owned(),
            };
            self.event(secs + after, actor, Some(cents), kind);
        }
    }

    /// An order, filled at once.
    pub(super) fn order(&mut self, secs: u64, actor: Actor<'_>, instrument: &str, side: Side, cents: u64) {
        let number = self.items.len();
        let quantity = Amount::from_parts(i128::from(cents), 4).unwrap_or(Amount::ZERO);
        let price = Amount::from_parts(100, 0).unwrap_or(Amount::ZERO);
        let placed = EventKind::OrderPlaced {
            instrument: instrument.to_owned(),
            order: format!("o{number}"),
            side,
            quantity,
            price: Some(price),
        };
        self.event(secs, actor, Some(cents), placed);
        let filled = EventKind::OrderFilled { instrument: instrument.to_owned(), quantity, price };
        let told = Actor { device: None, origin: None, ..actor };
        self.event(secs + 1, told, None, filled);
    }
}
