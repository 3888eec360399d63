//! Payloads of [`Kind::Event`](crate::Kind::Event):
//! `[1, id, account, occurred at ns, device / null, ip / null, [name, fields...]]`; version 2 has what is known of the
//! circumstances before the name. An event without any is written as version 1, so each has one spelling.

use domain::{
    AccountId, Anonymizer, ApiKeyId, Asset, Country, Credential, DeviceId, Event, EventContext, EventId,
    EventKind, LabelTarget, Network, Side, UnixNanos,
};

use super::RecordError;
use crate::cbor::{Read, Strict, Writer};

/// Without and with circumstances.
const VERSIONS: [u64; 2] = [1, 2];

/// The payload of an event.
///
/// # Panics
/// For a kind of event this build's journal does not know, which its tests rule out.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    let mut cbor = Writer::new(&mut out);
    let [plain, with_context] = VERSIONS;
    let has_context = !event.context.is_empty();
    cbor.array(7 + usize::from(has_context))
        .uint(if has_context { with_context } else { plain })
        .text(event.id.as_str())
        .text(event.account.as_str())
        .uint(event.occurred_at.0)
        .optional(event.device.as_ref(), |cbor, device| cbor.text(device.as_str()))
        .optional(event.ip, Writer::ip);
    if has_context {
        let EventContext { asn, anonymizer, country, value } = &event.context;
        cbor.array(4)
            .optional(*asn, |cbor, asn| cbor.uint(asn))
            .optional(*anonymizer, |cbor, anonymizer| cbor.text(anonymizer.as_str()))
            .optional(country.as_ref(), |cbor, country| cbor.text(country.as_str()))
            .optional(*value, Writer::amount);
    }
    let name = event.kind.as_str();
    match &event.kind {
        EventKind::AccountOpened { referrer } => {
            cbor.array(2).text(name).optional(referrer.as_ref(), |cbor, account| cbor.text(account.as_str()));
        }
        EventKind::AddressAdded { network, address } => {
            cbor.array(3).text(name).text(network.as_str()).text(address);
        }
        EventKind::ApiKeyCreated { key, may_withdraw, ip_bound } => {
            cbor.array(4).text(name).text(key.as_str()).bool(*may_withdraw).bool(*ip_bound);
        }
        EventKind::BalanceChanged { asset, total } => {
            cbor.array(3).text(name).text(asset.as_str()).amount(*total);
        }
        EventKind::BonusGranted { asset, amount, campaign, referred } => {
            cbor.array(5)
                .text(name)
                .text(asset.as_str())
                .amount(*amount)
                .text(campaign)
                .optional(referred.as_ref(), |cbor, account| cbor.text(account.as_str()));
        }
        EventKind::CredentialChanged { credential } => {
            cbor.array(2).text(name).text(credential.as_str());
        }
        EventKind::Deposit { asset, amount, network, from } => {
            cbor.array(5)
                .text(name)
                .text(asset.as_str())
                .amount(*amount)
                .text(network.as_str())
                .optional(from.as_deref(), Writer::text);
        }
        EventKind::DeviceAdded | EventKind::DeviceRemoved => {
            cbor.array(1).text(name);
        }
        EventKind::KycChanged { level, document } => {
            cbor.array(3).text(name).uint(*level).optional(document.as_deref(), Writer::text);
        }
        EventKind::Label { target, is_fraud, source } => {
            cbor.array(4).text(name);
            match target {
                LabelTarget::Decision(position) => cbor.array(2).text("decision").uint(*position),
                LabelTarget::Event(id) => cbor.array(2).text("event").text(id.as_str()),
                // Whatever else: the account is always known.
                _ => cbor.array(1).text("account"),
            };
            cbor.bool(*is_fraud).text(source);
        }
        EventKind::Login { success, second_factor } => {
            cbor.array(3).text(name).bool(*success).bool(*second_factor);
        }
        EventKind::OrderCancelled { instrument, order } => {
            cbor.array(3).text(name).text(instrument).text(order);
        }
        EventKind::OrderFilled { instrument, quantity, price } => {
            cbor.array(4).text(name).text(instrument).amount(*quantity).amount(*price);
        }
        EventKind::OrderPlaced { instrument, order, side, quantity, price } => {
            cbor.array(6)
                .text(name)
                .text(instrument)
                .text(order)
                .text(side.as_str())
                .amount(*quantity)
                .optional(*price, Writer::amount);
        }
        EventKind::P2pTrade { counterparty, side, asset, amount, payment, status } => {
            cbor.array(7)
                .text(name)
                .text(counterparty.as_str())
                .text(side.as_str())
                .text(asset.as_str())
                .amount(*amount)
                .optional(payment.as_deref(), Writer::text)
                .text(status);
        }
        EventKind::SupportContacted { topic } => {
            cbor.array(2).text(name).text(topic);
        }
        EventKind::Transfer { asset, amount, to } => {
            cbor.array(4).text(name).text(asset.as_str()).amount(*amount).text(to.as_str());
        }
        EventKind::WithdrawalAccepted { asset, amount, network, address } => {
            cbor.array(5)
                .text(name)
                .text(asset.as_str())
                .amount(*amount)
                .text(network.as_str())
                .text(address);
        }
        // A kind added to the domain must be added here; the record would be lost otherwise.
        other => unreachable!("no encoding for {}", other.as_str()),
    }
    out
}

/// The event of a payload.
///
/// # Errors
/// [`RecordError`] naming what was expected where.
pub fn decode_event(payload: &[u8]) -> Result<Event, RecordError> {
    let mut cbor = Strict::new(payload);
    let unknown = cbor.unexpected("an event of version 1 or 2");
    let [plain, with_context] = VERSIONS;
    let has_context = match (cbor.list("an event")?, cbor.u64("an event version")?) {
        (7, version) if version == plain => false,
        (8, version) if version == with_context => true,
        _ => return Err(unknown.into()),
    };
    let event = Event {
        id: cbor.parsed("an event id", |text| EventId::parse(text).ok())?,
        account: cbor.parsed("an account id", |text| AccountId::parse(text).ok())?,
        occurred_at: UnixNanos(cbor.u64("a time")?),
        device: cbor.optional(device)?,
        ip: cbor.optional(|cbor| cbor.ip("an IP address"))?,
        context: if has_context { context(&mut cbor)? } else { EventContext::default() },
        kind: kind(&mut cbor)?,
    };
    cbor.end()?;
    Ok(event)
}

fn context(cbor: &mut Strict<'_>) -> Read<EventContext> {
    let empty = cbor.unexpected("circumstances of which something is known");
    cbor.array(4, "circumstances")?;
    let context = EventContext {
        asn: cbor.optional(|cbor| cbor.u32("a number of an autonomous system"))?,
        anonymizer: cbor.optional(|cbor| {
            cbor.parsed("an anonymizer", |text| Anonymizer::ALL.into_iter().find(|one| one.as_str() == text))
        })?,
        country: cbor.optional(|cbor| cbor.parsed("a country", Country::parse))?,
        value: cbor.optional(|cbor| cbor.amount("a value"))?,
    };
    // Nothing known is spelled as version 1.
    if context.is_empty() { Err(empty) } else { Ok(context) }
}

fn kind(cbor: &mut Strict<'_>) -> Read<EventKind> {
    let len = cbor.list("what happened")?;
    let unknown = cbor.unexpected("the name of an event with its fields");
    let name = cbor.text("the name of an event")?;
    Ok(match (name, len) {
        ("account_opened", 2) => EventKind::AccountOpened { referrer: cbor.optional(account)? },
        ("address_added", 3) => {
            EventKind::AddressAdded { network: network(cbor)?, address: cbor.text("an address")?.to_owned() }
        }
        ("api_key_created", 4) => EventKind::ApiKeyCreated {
            key: cbor.parsed("an API key id", |text| ApiKeyId::parse(text).ok())?,
            may_withdraw: cbor.bool("whether it may withdraw")?,
            ip_bound: cbor.bool("whether it is bound to addresses")?,
        },
        ("balance_changed", 3) => {
            EventKind::BalanceChanged { asset: asset(cbor)?, total: cbor.amount("a total")? }
        }
        ("bonus_granted", 5) => EventKind::BonusGranted {
            asset: asset(cbor)?,
            amount: cbor.amount("an amount")?,
            campaign: cbor.text("a campaign")?.to_owned(),
            referred: cbor.optional(account)?,
        },
        ("credential_changed", 2) => EventKind::CredentialChanged { credential: credential(cbor)? },
        ("deposit", 5) => EventKind::Deposit {
            asset: asset(cbor)?,
            amount: cbor.amount("an amount")?,
            network: network(cbor)?,
            from: cbor.optional(|cbor| cbor.text("a sender").map(str::to_owned))?,
        },
        ("device_added", 1) => EventKind::DeviceAdded,
        ("device_removed", 1) => EventKind::DeviceRemoved,
        ("kyc_changed", 3) => EventKind::KycChanged {
            level: u8::try_from(cbor.u64("a level")?).map_err(|_| cbor.unexpected("a level up to 255"))?,
            document: cbor.optional(|cbor| cbor.text("a document").map(str::to_owned))?,
        },
        ("label", 4) => EventKind::Label {
            target: target(cbor)?,
            is_fraud: cbor.bool("whether it was fraud")?,
            source: cbor.text("a source")?.to_owned(),
        },
        ("login", 3) => EventKind::Login {
            success: cbor.bool("whether it succeeded")?,
            second_factor: cbor.bool("whether a second factor was shown")?,
        },
        ("order_cancelled", 3) => EventKind::OrderCancelled {
            instrument: cbor.text("an instrument")?.to_owned(),
            order: cbor.text("an order")?.to_owned(),
        },
        ("order_filled", 4) => EventKind::OrderFilled {
            instrument: cbor.text("an instrument")?.to_owned(),
            quantity: cbor.amount("a quantity")?,
            price: cbor.amount("a price")?,
        },
        ("order_placed", 6) => EventKind::OrderPlaced {
            instrument: cbor.text("an instrument")?.to_owned(),
            order: cbor.text("an order")?.to_owned(),
            side: side(cbor)?,
            quantity: cbor.amount("a quantity")?,
            price: cbor.optional(|cbor| cbor.amount("a price"))?,
        },
        ("p2p_trade", 7) => EventKind::P2pTrade {
            counterparty: account(cbor)?,
            side: side(cbor)?,
            asset: asset(cbor)?,
            amount: cbor.amount("an amount")?,
            payment: cbor.optional(|cbor| cbor.text("a payment account").map(str::to_owned))?,
            status: cbor.text("a status")?.to_owned(),
        },
        ("support_contacted", 2) => EventKind::SupportContacted { topic: cbor.text("a topic")?.to_owned() },
        ("transfer", 4) => {
            EventKind::Transfer { asset: asset(cbor)?, amount: cbor.amount("an amount")?, to: account(cbor)? }
        }
        ("withdrawal_accepted", 5) => EventKind::WithdrawalAccepted {
            asset: asset(cbor)?,
            amount: cbor.amount("an amount")?,
            network: network(cbor)?,
            address: cbor.text("an address")?.to_owned(),
        },
        _ => return Err(unknown),
    })
}

fn target(cbor: &mut Strict<'_>) -> Read<LabelTarget> {
    let len = cbor.list("what the label is about")?;
    let unknown = cbor.unexpected("account, decision or event");
    Ok(match (cbor.text("account, decision or event")?, len) {
        ("account", 1) => LabelTarget::Account,
        ("decision", 2) => LabelTarget::Decision(cbor.u64("a position")?),
        ("event", 2) => LabelTarget::Event(cbor.parsed("an event id", |text| EventId::parse(text).ok())?),
        _ => return Err(unknown),
    })
}

fn account(cbor: &mut Strict<'_>) -> Read<AccountId> {
    cbor.parsed("an account id", |text| AccountId::parse(text).ok())
}

fn side(cbor: &mut Strict<'_>) -> Read<Side> {
    cbor.parsed("buy or sell", |text| Side::ALL.into_iter().find(|side| side.as_str() == text))
}

pub(super) fn asset(cbor: &mut Strict<'_>) -> Read<Asset> {
    cbor.parsed("an asset", |text| Asset::parse(text).ok())
}

pub(super) fn device(cbor: &mut Strict<'_>) -> Read<DeviceId> {
    cbor.parsed("a device id", |text| DeviceId::parse(text).ok())
}

pub(super) fn network(cbor: &mut Strict<'_>) -> Read<Network> {
    cbor.parsed("a network", |text| text.parse().ok())
}

fn credential(cbor: &mut Strict<'_>) -> Read<Credential> {
    cbor.parsed("a credential", |text| {
        Credential::ALL.into_iter().find(|credential| credential.as_str() == text)
    })
}
