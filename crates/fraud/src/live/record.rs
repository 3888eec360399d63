//! The canonical record: what one entry of the journal is to a feature pack and to rules.
//!
//! A live pack declares any of these fields by name, in any order; a rule reads all of them. A field that an entry does
//! not have is missing. Types: `bool`, `category` (a pack may take it as `entity` as well), `entity`, `money` (a pack
//! chooses the `scale`, or takes it as `number`), `number`.
//!
//! | field | type | what it is |
//! |---|---|---|
//! | `kind` | category | what happened, see below |
//! | `account` | entity | whose account |
//! | `device` | entity | device |
//! | `ip` | entity | network address |
//! | `ip_network` | entity | its /24, or /64 of IPv6 |
//! | `asn` | entity | autonomous system of the network address |
//! | `country` | category | country of the network address, such as `CH` |
//! | `anonymizer` | category | `vpn`, `tor`, `proxy` or `hosting`; weak evidence |
//! | `client` | entity | JA4 fingerprint of the TLS client |
//! | `api_key` | entity | API key created, changed, used, or asked with |
//! | `channel` | category | `api_key` or `exchange`: how a withdrawal was asked for |
//! | `destination` | entity | address or recipient to be paid, or added; one holder whatever the spelling and network |
//! | `destination_type` | category | `on_chain`, `internal` or `unknown_network` |
//! | `sender` | entity | address a deposit came from; comparable with `destination` |
//! | `counterparty` | entity | account of the other party; comparable with `account` |
//! | `payment` | entity | bank account or card of a P2P trade |
//! | `document` | entity | identity document |
//! | `asset` | category | such as `USDT` |
//! | `network` | category | such as `tron` |
//! | `instrument` | category | such as `BTC-USDT` |
//! | `side` | category | `buy` or `sell` |
//! | `amount` | money | how much, in the asset |
//! | `value` | money | how much in the reference currency: as told, or by the last rate told for the asset |
//! | `price` | money | price of an order in the quote asset |
//! | `balance` | money | whole holding of the asset |
//! | `success` | bool | whether a login succeeded |
//! | `second_factor` | bool | whether a second factor was shown |
//! | `may_withdraw` | bool | whether the new API key may withdraw |
//! | `ip_bound` | bool | whether the new API key is bound to addresses |
//! | `suspect` | bool | whether the gateway found the new origin of a key suspect |
//! | `credential` | category | `authenticator`, `email`, `password` or `phone` |
//! | `kyc_level` | number | level reached |
//! | `status` | category | state of a P2P trade |
//! | `topic` | category | what support was asked about |
//! | `campaign` | category | campaign of a bonus |
//! | `reason` | category | why the gateway refused |
//! | `count` | number | how many requests were refused in that second |
//! | `verdict` | category | what was decided |
//! | `label` | category | `fraud` or `legitimate` |
//! | `label_source` | category | who says so |
//!
//! Kinds: every kind of event under its name (`login`, `deposit`, `withdrawal_accepted`, ...), and
//!
//! | kind | from |
//! |---|---|
//! | `withdrawal_requested` | a decision: the request as it was judged, without the verdict |
//! | `withdrawal_decided` | the same decision, after it, with the verdict |
//! | `transfer_received`, `p2p_trade` | the other side of a `transfer` or `p2p_trade`, as the other account sees it |
//! | `referral` | an `account_opened` with a referrer, as the referrer sees it |
//! | `gateway_key_created`, `gateway_key_changed`, `gateway_key_seen`, `gateway_key_used` | changes of keys at the gateway: made; frozen, restricted or revoked; used from a new origin; first used that day |
//! | `request_refused` | requests refused by the gateway, one record per source and second |
//!
//! One entry becomes at most [`RECORDS_MAX`] records. A label names the first record of an event, and the request of a
//! decision; it is a record of its own as well, at the time it arrives.
//!
//! Nothing is looked up and nothing interpreted here but the rate of an asset. Bounds: [`RATES_MAX`] assets with a rate.

use std::{collections::BTreeMap, net::IpAddr};

use domain::{
    AccountId, Amount, ApiKeyId, Asset, Channel, Decision, Destination, Event, EventKind, LabelTarget,
    UnixNanos, WithdrawalRequest,
};
use features::StateDigest;

use crate::{DestinationId, IpNetwork};

/// Records one entry of the journal can become.
pub const RECORDS_MAX: u64 = 4;
/// Assets whose last told rate is kept.
pub const RATES_MAX: usize = 10_000;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Yes or no.
    Bool,
    /// One of a few texts.
    Category,
    /// Somebody or something with a history.
    Entity,
    /// An exact amount.
    Money,
    /// A number.
    Number,
}

impl FieldType {
    /// Its word in packs and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Category => "category",
            Self::Entity => "entity",
            Self::Money => "money",
            Self::Number => "number",
        }
    }
}

macro_rules! fields {
    ($($variant:ident $name:literal $ty:ident $doc:literal,)*) => {
        /// A field of the record; the module's head says what each is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $(#[doc = $doc] $variant,)*
        }

        impl Field {
            /// Every field, in the order of the document.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// Its name in packs and rules.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it holds.
            #[must_use]
            pub const fn ty(self) -> FieldType {
                match self { $(Self::$variant => FieldType::$ty,)* }
            }

            /// What it is, for people.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

fields! {
    Kind "kind" Category "what happened",
    Account "account" Entity "whose account",
    Device "device" Entity "device",
    Ip "ip" Entity "network address",
    IpNetwork "ip_network" Entity "its /24, or /64 of IPv6",
    Asn "asn" Entity "autonomous system of the network address",
    Country "country" Category "country of the network address",
    Anonymizer "anonymizer" Category "what hides the origin; weak evidence",
    Client "client" Entity "JA4 fingerprint of the TLS client",
    ApiKey "api_key" Entity "API key created, changed, used, or asked with",
    Channel "channel" Category "how a withdrawal was asked for",
    Destination "destination" Entity "address or recipient to be paid, or added",
    DestinationType "destination_type" Category "on_chain, internal or unknown_network",
    Sender "sender" Entity "address a deposit came from",
    Counterparty "counterparty" Entity "account of the other party",
    Payment "payment" Entity "bank account or card of a P2P trade",
    Document "document" Entity "identity document",
    Asset "asset" Category "asset",
    Network "network" Category "network",
    Instrument "instrument" Category "instrument",
    Side "side" Category "buy or sell",
    Amount "amount" Money "how much, in the asset",
    Value "value" Money "how much in the reference currency",
    Price "price" Money "price of an order in the quote asset",
    Balance "balance" Money "whole holding of the asset",
    Success "success" Bool "whether a login succeeded",
    SecondFactor "second_factor" Bool "whether a second factor was shown",
    MayWithdraw "may_withdraw" Bool "whether the new API key may withdraw",
    IpBound "ip_bound" Bool "whether the new API key is bound to addresses",
    Suspect "suspect" Bool "whether the gateway found the new origin of a key suspect",
    Credential "credential" Category "what was changed",
    KycLevel "kyc_level" Number "level reached",
    Status "status" Category "state of a P2P trade",
    Topic "topic" Category "what support was asked about",
    Campaign "campaign" Category "campaign of a bonus",
    Reason "reason" Category "why the gateway refused",
    Count "count" Number "how many requests were refused in that second",
    Verdict "verdict" Category "what was decided",
    Label "label" Category "fraud or legitimate",
    LabelSource "label_source" Category "who says so",
}

impl Field {
    /// The field of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}

/// Kinds of records that are no kinds of events.
pub mod kind {
    /// A decision: the request as it was judged.
    pub const WITHDRAWAL_REQUESTED: &str = "withdrawal_requested";
    /// A decision, after it was made.
    pub const WITHDRAWAL_DECIDED: &str = "withdrawal_decided";
    /// The other side of a transfer.
    pub const TRANSFER_RECEIVED: &str = "transfer_received";
    /// An account was opened, as its referrer sees it.
    pub const REFERRAL: &str = "referral";
    /// Requests the gateway refused.
    pub const REQUEST_REFUSED: &str = "request_refused";

    /// Every kind of record: those of events, then these and those of [`super::KeyUse`].
    pub const ALL: [&str; 28] = [
        "account_opened",
        "address_added",
        "api_key_created",
        "balance_changed",
        "bonus_granted",
        "credential_changed",
        "deposit",
        "device_added",
        "device_removed",
        "kyc_changed",
        "label",
        "login",
        "order_cancelled",
        "order_filled",
        "order_placed",
        "p2p_trade",
        "support_contacted",
        "transfer",
        "withdrawal_accepted",
        REFERRAL,
        REQUEST_REFUSED,
        TRANSFER_RECEIVED,
        WITHDRAWAL_DECIDED,
        WITHDRAWAL_REQUESTED,
        "gateway_key_changed",
        "gateway_key_created",
        "gateway_key_seen",
        "gateway_key_used",
    ];
}

/// What became of an API key at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// It was frozen, restricted or revoked, or is in force again.
    Changed,
    /// It was made.
    Created {
        /// Whether it may withdraw.
        may_withdraw: bool,
        /// Whether it is bound to addresses.
        ip_bound: bool,
    },
    /// It was used from an origin not seen before.
    Seen {
        /// Whether the gateway found that suspect.
        suspect: bool,
    },
    /// It was used for the first time that day.
    Used,
}

impl KeyUse {
    /// The kind of the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "gateway_key_changed",
            Self::Created { .. } => "gateway_key_created",
            Self::Seen { .. } => "gateway_key_seen",
            Self::Used => "gateway_key_used",
        }
    }
}

/// An entry of the journal as far as behaviour shows in it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// A change or use of an API key at the gateway.
    ApiKey {
        /// Whose key.
        account: &'a AccountId,
        /// Which one.
        key: &'a ApiKeyId,
        /// What became of it.
        change: KeyUse,
        /// When.
        at: UnixNanos,
    },
    /// A decision.
    Decision(&'a Decision),
    /// An event.
    Event(&'a Event),
    /// Requests refused by the gateway.
    Refused {
        /// From where.
        ip: IpAddr,
        /// Whose account, if it was known.
        account: Option<&'a AccountId>,
        /// Why.
        reason: &'a str,
        /// How many.
        count: u64,
        /// When.
        at: UnixNanos,
    },
}

/// A value of a field, as the entry has it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Cell<'a> {
    /// Number of an autonomous system.
    Asn(u32),
    /// Yes or no.
    Bool(bool),
    /// Whom a payment reaches.
    Destination(DestinationId),
    /// A network address.
    Ip(IpAddr),
    /// A network.
    IpNetwork(IpNetwork),
    /// The entry has no such value.
    Missing,
    /// An exact amount.
    Money(Amount),
    /// A number.
    Number(f64),
    /// A category or entity by its text.
    Text(&'a str),
}

/// What names a record to labels and duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordId<'a> {
    /// The event of this id.
    Event(&'a str),
    /// A place: position in the journal times [`RECORDS_MAX`], plus the number within the entry.
    Place(u64),
}

impl RecordId<'_> {
    /// The request of the decision at a position of the journal.
    #[must_use]
    pub const fn of_decision(seq: u64) -> Self {
        Self::Place(seq.saturating_mul(RECORDS_MAX))
    }

    /// Hands over bytes that no other record has.
    pub fn with_bytes<T>(self, take: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            // An id of an event has at most 128 bytes.
            Self::Event(id) => {
                let mut bytes = [0; 160];
                let len = id.len().min(bytes.len() - 1);
                bytes[0] = b'e';
                bytes[1..=len].copy_from_slice(&id.as_bytes()[..len]);
                take(&bytes[..=len])
            }
            Self::Place(place) => {
                let mut bytes = [b'p'; 9];
                bytes[1..].copy_from_slice(&place.to_be_bytes());
                take(&bytes)
            }
        }
    }
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// Rises from record to record.
    pub position: u64,
    /// What labels name it by.
    pub id: RecordId<'a>,
    /// When it happened.
    pub at: UnixNanos,
    /// What happened.
    pub kind: &'static str,
    /// Whose account, if anybody's.
    pub account: Option<&'a AccountId>,
    cells: [Cell<'a>; Field::ALL.len()],
}

impl<'a> Record<'a> {
    fn new(position: u64, at: UnixNanos, kind: &'static str, account: Option<&'a AccountId>) -> Self {
        let cells = [Cell::Missing; Field::ALL.len()];
        let mut record = Self { position, id: RecordId::Place(position), at, kind, account, cells };
        record.set(Field::Kind, Cell::Text(kind));
        record.set(Field::Account, account.map_or(Cell::Missing, |account| Cell::Text(account.as_str())));
        record
    }

    /// The value of a field.
    #[must_use]
    pub fn cell(&self, field: Field) -> Cell<'a> {
        self.cells[field as usize]
    }

    fn set(&mut self, field: Field, cell: Cell<'a>) {
        self.cells[field as usize] = cell;
    }

    fn text(&mut self, field: Field, text: Option<&'a str>) {
        if let Some(text) = text {
            self.set(field, Cell::Text(text));
        }
    }

    fn ip(&mut self, ip: Option<IpAddr>) {
        if let Some(ip) = ip {
            self.set(Field::Ip, Cell::Ip(ip.to_canonical()));
            self.set(Field::IpNetwork, Cell::IpNetwork(IpNetwork::of(ip)));
        }
    }

    /// An asset with an amount of it.
    fn funds(&mut self, asset: &'a Asset, amount: Amount) {
        self.text(Field::Asset, Some(asset.as_str()));
        self.set(Field::Amount, Cell::Money(amount));
    }
}

/// Turns entries into records. What it remembers is the last rate told for each asset.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    rates: BTreeMap<Asset, Amount>,
}

impl Recorder {
    /// Hands the records of the entry at position `seq` to `each`, in order.
    pub fn records<'a>(&mut self, seq: u64, entry: &Entry<'a>, mut each: impl FnMut(&Record<'a>)) {
        let position = seq.saturating_mul(RECORDS_MAX);
        match *entry {
            Entry::Event(event) => {
                self.learn_rate(event);
                let record = self.event(position, event);
                each(&record);
                if let Some(other) = other_side(position + 1, event, &record) {
                    each(&other);
                }
            }
            Entry::Decision(decision) => {
                let mut record = self.request(position, &decision.request);
                each(&record);
                record.position = position + 1;
                record.id = RecordId::Place(position + 1);
                record.at = decision.decided_at;
                record.kind = kind::WITHDRAWAL_DECIDED;
                record.set(Field::Kind, Cell::Text(kind::WITHDRAWAL_DECIDED));
                record.set(Field::Verdict, Cell::Text(decision.verdict.as_str()));
                each(&record);
            }
            Entry::ApiKey { account, key, change, at } => {
                let mut record = Record::new(position, at, change.as_str(), Some(account));
                record.text(Field::ApiKey, Some(key.as_str()));
                match change {
                    KeyUse::Created { may_withdraw, ip_bound } => {
                        record.set(Field::MayWithdraw, Cell::Bool(may_withdraw));
                        record.set(Field::IpBound, Cell::Bool(ip_bound));
                    }
                    KeyUse::Seen { suspect } => record.set(Field::Suspect, Cell::Bool(suspect)),
                    KeyUse::Changed | KeyUse::Used => {}
                }
                each(&record);
            }
            Entry::Refused { ip, account, reason, count, at } => {
                let mut record = Record::new(position, at, kind::REQUEST_REFUSED, account);
                record.ip(Some(ip));
                record.text(Field::Reason, Some(reason));
                // Counts of one second stay far below 2^53.
                record.set(Field::Count, Cell::Number(count as f64));
                each(&record);
            }
        }
    }

    /// The record of a request that is not in the journal yet, as it will be if it comes to stand at `position`.
    #[must_use]
    pub fn request<'a>(&self, position: u64, request: &'a WithdrawalRequest) -> Record<'a> {
        let WithdrawalRequest {
            account,
            channel,
            asset,
            amount,
            destination,
            ip,
            device,
            client_ja4,
            requested_at,
            ..
        } = request;
        let mut record = Record::new(position, *requested_at, kind::WITHDRAWAL_REQUESTED, Some(account));
        record.text(Field::Device, device.as_ref().map(domain::DeviceId::as_str));
        record.ip(Some(*ip));
        record.text(Field::Client, client_ja4.as_deref());
        let channel = match channel {
            Channel::ApiKey(key) => {
                record.text(Field::ApiKey, Some(key.as_str()));
                "api_key"
            }
            Channel::Exchange => "exchange",
        };
        record.text(Field::Channel, Some(channel));
        record.set(Field::Destination, Cell::Destination(DestinationId::of(destination)));
        let destination_type = match destination {
            Destination::Internal { .. } => "internal",
            Destination::OnChain { network, .. } => {
                record.text(Field::Network, Some(network.as_str()));
                "on_chain"
            }
            Destination::UnknownNetwork { .. } => "unknown_network",
        };
        record.text(Field::DestinationType, Some(destination_type));
        record.funds(asset, *amount);
        self.value(&mut record, None, asset, *amount);
        record
    }

    /// Feeds what is remembered.
    pub fn feed(&self, digest: &mut StateDigest) {
        digest.number(self.rates.len() as u64);
        for (asset, rate) in &self.rates {
            digest.bytes(asset.as_str().as_bytes());
            digest.amount(*rate);
        }
    }

    /// The record of an event that is not in the journal yet, as it will be if it comes to stand at `position`.
    #[must_use]
    pub fn event<'a>(&self, position: u64, event: &'a Event) -> Record<'a> {
        let Event { id, account, occurred_at, device, ip, context, kind } = event;
        let mut record = Record::new(position, *occurred_at, kind.as_str(), Some(account));
        record.id = RecordId::Event(id.as_str());
        record.text(Field::Device, device.as_ref().map(domain::DeviceId::as_str));
        record.ip(*ip);
        record.text(Field::Country, context.country.as_ref().map(domain::Country::as_str));
        record.text(Field::Anonymizer, context.anonymizer.map(domain::Anonymizer::as_str));
        if let Some(asn) = context.asn {
            record.set(Field::Asn, Cell::Asn(asn));
        }
        if let Some(value) = context.value {
            record.set(Field::Value, Cell::Money(value));
        }
        if let Some((asset, amount)) = funds(kind) {
            record.funds(asset, amount);
            self.value(&mut record, context.value, asset, amount);
        }
        details(&mut record, kind);
        record
    }

    /// The value in the reference currency: as told, or at the last rate told.
    fn value(&self, record: &mut Record<'_>, told: Option<Amount>, asset: &Asset, amount: Amount) {
        let rated = || self.rates.get(asset).and_then(|rate| amount.checked_mul(*rate));
        if let Some(value) = told.or_else(rated) {
            record.set(Field::Value, Cell::Money(value));
        }
    }

    fn learn_rate(&mut self, event: &Event) {
        let (Some(value), Some((asset, amount))) = (event.context.value, funds(&event.kind)) else { return };
        let known = self.rates.contains_key(asset);
        if let Some(rate) = value.checked_div(amount)
            && (known || self.rates.len() < RATES_MAX)
        {
            self.rates.insert(asset.clone(), rate);
        }
    }
}

fn details<'a>(record: &mut Record<'a>, kind: &'a EventKind) {
    match kind {
        EventKind::AccountOpened { referrer } => {
            record.text(Field::Counterparty, referrer.as_ref().map(AccountId::as_str));
        }
        EventKind::AddressAdded { network, address }
        | EventKind::WithdrawalAccepted { network, address, .. } => {
            record.text(Field::Network, Some(network.as_str()));
            let destination = DestinationId::on_chain(*network, address);
            record.set(Field::Destination, Cell::Destination(destination));
            record.text(Field::DestinationType, Some("on_chain"));
        }
        EventKind::ApiKeyCreated { key, may_withdraw, ip_bound } => {
            record.text(Field::ApiKey, Some(key.as_str()));
            record.set(Field::MayWithdraw, Cell::Bool(*may_withdraw));
            record.set(Field::IpBound, Cell::Bool(*ip_bound));
        }
        EventKind::BalanceChanged { asset, total } => {
            record.text(Field::Asset, Some(asset.as_str()));
            record.set(Field::Balance, Cell::Money(*total));
        }
        EventKind::BonusGranted { campaign, referred, .. } => {
            record.text(Field::Campaign, Some(campaign));
            record.text(Field::Counterparty, referred.as_ref().map(AccountId::as_str));
        }
        EventKind::CredentialChanged { credential } => {
            record.text(Field::Credential, Some(credential.as_str()));
        }
        EventKind::Deposit { network, from, .. } => {
            record.text(Field::Network, Some(network.as_str()));
            if let Some(from) = from {
                let sender = DestinationId::on_chain(*network, from);
                record.set(Field::Sender, Cell::Destination(sender));
            }
        }
        EventKind::KycChanged { level, document } => {
            record.set(Field::KycLevel, Cell::Number(f64::from(*level)));
            record.text(Field::Document, document.as_deref());
        }
        EventKind::Label { is_fraud, source, .. } => {
            record.text(Field::Label, Some(if *is_fraud { "fraud" } else { "legitimate" }));
            record.text(Field::LabelSource, Some(source));
        }
        EventKind::Login { success, second_factor } => {
            record.set(Field::Success, Cell::Bool(*success));
            record.set(Field::SecondFactor, Cell::Bool(*second_factor));
        }
        EventKind::OrderCancelled { instrument, .. } => {
            record.text(Field::Instrument, Some(instrument));
        }
        EventKind::OrderFilled { instrument, quantity, price } => {
            record.text(Field::Instrument, Some(instrument));
            record.set(Field::Amount, Cell::Money(*quantity));
            record.set(Field::Price, Cell::Money(*price));
        }
        EventKind::OrderPlaced { instrument, side, quantity, price, .. } => {
            record.text(Field::Instrument, Some(instrument));
            record.text(Field::Side, Some(side.as_str()));
            record.set(Field::Amount, Cell::Money(*quantity));
            record.set(Field::Price, price.map_or(Cell::Missing, Cell::Money));
        }
        EventKind::P2pTrade { counterparty, side, payment, status, .. } => {
            record.text(Field::Counterparty, Some(counterparty.as_str()));
            record.text(Field::Side, Some(side.as_str()));
            record.text(Field::Payment, payment.as_deref());
            record.text(Field::Status, Some(status));
        }
        EventKind::SupportContacted { topic } => record.text(Field::Topic, Some(topic)),
        EventKind::Transfer { to, .. } => record.text(Field::Counterparty, Some(to.as_str())),
        // The remaining kinds have no details.
        _ => {}
    }
}

/// The asset and amount that changed hands.
const fn funds(kind: &EventKind) -> Option<(&Asset, Amount)> {
    match kind {
        EventKind::BonusGranted { asset, amount, .. }
        | EventKind::Deposit { asset, amount, .. }
        | EventKind::P2pTrade { asset, amount, .. }
        | EventKind::Transfer { asset, amount, .. }
        | EventKind::WithdrawalAccepted { asset, amount, .. } => Some((asset, *amount)),
        _ => None,
    }
}

/// The record of the other party of an event between two accounts: with its own account, and without the device, the
/// network address and the payment account, which are of the first.
fn other_side<'a>(position: u64, event: &'a Event, record: &Record<'a>) -> Option<Record<'a>> {
    let (other, kind) = match &event.kind {
        EventKind::AccountOpened { referrer: Some(referrer) } => (referrer, kind::REFERRAL),
        EventKind::P2pTrade { counterparty, .. } => (counterparty, event.kind.as_str()),
        EventKind::Transfer { to, .. } => (to, kind::TRANSFER_RECEIVED),
        _ => return None,
    };
    let mut mirrored = Record::new(position, record.at, kind, Some(other));
    mirrored.text(Field::Counterparty, Some(event.account.as_str()));
    for field in [Field::Asset, Field::Amount, Field::Value, Field::Status] {
        mirrored.set(field, record.cell(field));
    }
    if let EventKind::P2pTrade { side, .. } = &event.kind {
        mirrored.text(Field::Side, Some(side.other().as_str()));
    }
    Some(mirrored)
}

/// What a label of an event is about, as the engine knows it; `None` for the account as a whole, whose label is a
/// record and nothing more.
#[must_use]
pub fn labelled(target: &LabelTarget) -> Option<RecordId<'_>> {
    match target {
        LabelTarget::Decision(seq) => Some(RecordId::of_decision(*seq)),
        LabelTarget::Event(id) => Some(RecordId::Event(id.as_str())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
