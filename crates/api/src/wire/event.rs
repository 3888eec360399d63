//! Events: one JSON object a line (NDJSON).

use domain::{AccountId, Asset, Credential, DeviceId, Event, EventId, EventKind, UnixNanos};

use crate::{
    limits::{ADDRESS_BYTES_MAX, EVENT_AHEAD_MAX, EVENT_LINES_MAX, NAME_BYTES_MAX},
    problem::{Kind, Problem},
};

use super::fields::{Fault, Fields};

/// Parses a whole batch, or none of it. Blank lines are skipped but counted.
pub(crate) fn events(body: &[u8], now: UnixNanos) -> Result<Vec<Event>, Problem> {
    let mut events = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if events.len() == EVENT_LINES_MAX {
            let detail = format!("a batch holds at most {EVENT_LINES_MAX} events; nothing was recorded");
            return Err(Problem::new(Kind::BodyTooLarge, detail));
        }
        let event = event(line, now)
            .map_err(|fault| Problem::of_field(Kind::InvalidEvent, fault).on_line(index + 1))?;
        events.push(event);
    }
    if events.is_empty() {
        return Err(Problem::new(Kind::InvalidRequest, "the body holds no event"));
    }
    Ok(events)
}

fn event(line: &[u8], now: UnixNanos) -> Result<Event, Fault> {
    let mut fields = Fields::parse(line)?;
    let id = fields.parsed("id", EventId::parse)?;
    let account = fields.parsed("account", AccountId::parse)?;
    let occurred_at = fields.time("occurred_at")?;
    if occurred_at > now.plus(EVENT_AHEAD_MAX) {
        let reason = format!("{occurred_at} lies more than {} s ahead", EVENT_AHEAD_MAX.as_secs());
        return Err(fields.fault("occurred_at", reason));
    }
    let device = fields.optional_parsed("device", DeviceId::parse)?;
    let ip = fields.optional_parsed("ip", |text| text.parse().map_err(|_| "not an IP address"))?;
    let name = fields.text("type")?;
    let kind = kind(&name, &mut fields)?;
    if matches!(kind, EventKind::DeviceAdded) && device.is_none() {
        return Err(fields.fault("device", "is missing"));
    }
    fields.finish(&format!("an event of type {}", kind.as_str()))?;
    Ok(Event { id, account, occurred_at, device, ip, context: domain::EventContext::default(), kind })
}

fn kind(name: &str, fields: &mut Fields) -> Result<EventKind, Fault> {
    Ok(match name {
        "address_added" => EventKind::AddressAdded {
            network: fields.network("network")?,
            address: fields.label("address", ADDRESS_BYTES_MAX)?,
        },
        "balance_changed" => EventKind::BalanceChanged {
            asset: fields.parsed("asset", Asset::parse)?,
            total: fields.amount("total")?,
        },
        "credential_changed" => {
            EventKind::CredentialChanged { credential: fields.parsed("credential", credential)? }
        }
        "deposit" => EventKind::Deposit {
            asset: fields.parsed("asset", Asset::parse)?,
            amount: fields.amount("amount")?,
            network: fields.network("network")?,
            from: fields.optional_label("from", ADDRESS_BYTES_MAX)?,
        },
        "device_added" => EventKind::DeviceAdded,
        "login" => EventKind::Login {
            success: fields.bool("success")?,
            second_factor: fields.bool("second_factor")?,
        },
        "order_filled" => EventKind::OrderFilled {
            instrument: fields.label("instrument", NAME_BYTES_MAX)?,
            quantity: fields.amount("quantity")?,
            price: fields.amount("price")?,
        },
        "withdrawal_accepted" => EventKind::WithdrawalAccepted {
            asset: fields.parsed("asset", Asset::parse)?,
            amount: fields.amount("amount")?,
            network: fields.network("network")?,
            address: fields.label("address", ADDRESS_BYTES_MAX)?,
        },
        other => {
            let other: String = other.chars().take(64).collect();
            return Err(fields.fault("type", format!("{other:?} is not a type of event")));
        }
    })
}

fn credential(name: &str) -> Result<Credential, &'static str> {
    Credential::ALL
        .into_iter()
        .find(|credential| credential.as_str() == name)
        .ok_or("expected authenticator, email, password or phone")
}

#[cfg(test)]
mod tests;
