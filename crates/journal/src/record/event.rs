//! Payloads of [`Kind::Event`](crate::Kind::Event):
//! `[1, id, account, occurred at ns, device / null, ip / null, [name, fields...]]`.

use domain::{AccountId, Asset, Credential, DeviceId, Event, EventId, EventKind, Network, UnixNanos};

use super::RecordError;
use crate::cbor::{Read, Strict, Writer};

const VERSION: u64 = 1;

/// The payload of an event.
///
/// # Panics
/// For a kind of event this build's journal does not know, which its tests rule out.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    let mut cbor = Writer::new(&mut out);
    cbor.array(7)
        .uint(VERSION)
        .text(event.id.as_str())
        .text(event.account.as_str())
        .uint(event.occurred_at.0)
        .optional(event.device.as_ref(), |cbor, device| cbor.text(device.as_str()))
        .optional(event.ip, Writer::ip);
    let name = event.kind.as_str();
    match &event.kind {
        EventKind::AddressAdded { network, address } => {
            cbor.array(3).text(name).text(network.as_str()).text(address);
        }
        EventKind::BalanceChanged { asset, total } => {
            cbor.array(3).text(name).text(asset.as_str()).amount(*total);
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
        EventKind::DeviceAdded => {
            cbor.array(1).text(name);
        }
        EventKind::Login { success, second_factor } => {
            cbor.array(3).text(name).bool(*success).bool(*second_factor);
        }
        EventKind::OrderFilled { instrument, quantity, price } => {
            cbor.array(4).text(name).text(instrument).amount(*quantity).amount(*price);
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
    cbor.array(7, "an event")?;
    if cbor.u64("an event version")? != VERSION {
        return Err(cbor.unexpected("event version 1").into());
    }
    let event = Event {
        id: cbor.parsed("an event id", |text| EventId::parse(text).ok())?,
        account: cbor.parsed("an account id", |text| AccountId::parse(text).ok())?,
        occurred_at: UnixNanos(cbor.u64("a time")?),
        device: cbor.optional(device)?,
        ip: cbor.optional(|cbor| cbor.ip("an IP address"))?,
        kind: kind(&mut cbor)?,
    };
    cbor.end()?;
    Ok(event)
}

fn kind(cbor: &mut Strict<'_>) -> Read<EventKind> {
    let len = cbor.list("what happened")?;
    let unknown = cbor.unexpected("the name of an event with its fields");
    let name = cbor.text("the name of an event")?;
    Ok(match (name, len) {
        ("address_added", 3) => {
            EventKind::AddressAdded { network: network(cbor)?, address: cbor.text("an address")?.to_owned() }
        }
        ("balance_changed", 3) => {
            EventKind::BalanceChanged { asset: asset(cbor)?, total: cbor.amount("a total")? }
        }
        ("credential_changed", 2) => EventKind::CredentialChanged { credential: credential(cbor)? },
        ("deposit", 5) => EventKind::Deposit {
            asset: asset(cbor)?,
            amount: cbor.amount("an amount")?,
            network: network(cbor)?,
            from: cbor.optional(|cbor| cbor.text("a sender").map(str::to_owned))?,
        },
        ("device_added", 1) => EventKind::DeviceAdded,
        ("login", 3) => EventKind::Login {
            success: cbor.bool("whether it succeeded")?,
            second_factor: cbor.bool("whether a second factor was shown")?,
        },
        ("order_filled", 4) => EventKind::OrderFilled {
            instrument: cbor.text("an instrument")?.to_owned(),
            quantity: cbor.amount("a quantity")?,
            price: cbor.amount("a price")?,
        },
        ("withdrawal_accepted", 5) => EventKind::WithdrawalAccepted {
            asset: asset(cbor)?,
            amount: cbor.amount("an amount")?,
            network: network(cbor)?,
            address: cbor.text("an address")?.to_owned(),
        },
        _ => return Err(unknown),
    })
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
