//! Events: one JSON object a line (NDJSON), or one JSON array of them.
//!
//! Each line is judged by itself: a line that cannot be read is handed back with the field at fault, and the others are
//! kept. In an array the elements are counted as lines are, from 1.

use domain::{
    AccountId, Anonymizer, ApiKeyId, Asset, Country, Credential, DeviceId, Event, EventContext, EventId,
    EventKind, LabelTarget, Side, UnixNanos,
};
use serde_json::value::RawValue;

use crate::{
    Intake,
    limits::{ADDRESS_BYTES_MAX, EVENT_AHEAD_MAX, EVENT_EARLIEST, EVENT_LINES_MAX, NAME_BYTES_MAX},
    problem::{Kind, Problem},
};

use super::fields::{Fault, Fields};

/// A batch, as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct Batch<'b> {
    pub(crate) events: Vec<Event>,
    pub(crate) refused: Vec<RefusedLine<'b>>,
}

/// A line that is no event.
#[derive(Debug)]
pub(crate) struct RefusedLine<'b> {
    /// Counted from 1, blank ones included.
    pub(crate) line: usize,
    pub(crate) fault: Fault,
    pub(crate) text: &'b [u8],
}

impl RefusedLine<'_> {
    /// `line 3: account: is missing`.
    pub(crate) fn sentence(&self) -> String {
        let Fault { field, reason } = &self.fault;
        let colon = if field.is_empty() { "" } else { ": " };
        format!("line {}: {field}{colon}{reason}", self.line)
    }
}

/// What lines are judged by.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'j> {
    pub(crate) now: UnixNanos,
    pub(crate) intake: &'j dyn Intake,
}

/// Reads a batch. Blank lines are skipped but counted.
///
/// A problem is about the batch as a whole: it is empty, too long, or not one list of lines.
pub(crate) fn events<'b>(body: &'b [u8], judge: Judge<'_>) -> Result<Batch<'b>, Problem> {
    let mut batch = Batch::default();
    let is_array = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if is_array {
        let elements: Vec<&RawValue> = serde_json::from_slice(body)
            .map_err(|error| Problem::new(Kind::InvalidRequest, format!("not a JSON array: {error}")))?;
        for (index, element) in elements.into_iter().enumerate() {
            batch.take(index + 1, element.get().as_bytes(), judge)?;
        }
    } else {
        for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
            if !line.iter().all(u8::is_ascii_whitespace) {
                batch.take(index + 1, line, judge)?;
            }
        }
    }
    if batch.events.is_empty() && batch.refused.is_empty() {
        return Err(Problem::new(Kind::InvalidRequest, "the body holds no event"));
    }
    Ok(batch)
}

impl<'b> Batch<'b> {
    fn take(&mut self, line: usize, text: &'b [u8], judge: Judge<'_>) -> Result<(), Problem> {
        if self.events.len() + self.refused.len() == EVENT_LINES_MAX {
            let detail = format!("a batch holds at most {EVENT_LINES_MAX} events; nothing was recorded");
            return Err(Problem::new(Kind::BodyTooLarge, detail));
        }
        match event(text, judge) {
            Ok(event) => self.events.push(event),
            Err(fault) => self.refused.push(RefusedLine { line, fault, text }),
        }
        Ok(())
    }
}

fn event(line: &[u8], judge: Judge<'_>) -> Result<Event, Fault> {
    event_of(Fields::parse(line)?, None, judge)
}

/// The event of an object; of this type, if one is given.
pub(super) fn event_of(mut fields: Fields, only: Option<&str>, judge: Judge<'_>) -> Result<Event, Fault> {
    let id = fields.parsed("id", EventId::parse)?;
    let account = fields.parsed("account", AccountId::parse)?;
    let occurred_at = fields.time("occurred_at")?;
    if occurred_at > judge.now.plus(EVENT_AHEAD_MAX) {
        let reason = format!("{occurred_at} lies more than {} s ahead", EVENT_AHEAD_MAX.as_secs());
        return Err(fields.fault("occurred_at", reason));
    }
    if occurred_at < EVENT_EARLIEST {
        let reason = format!("{occurred_at} lies before {EVENT_EARLIEST}: a clock that was never set?");
        return Err(fields.fault("occurred_at", reason));
    }
    let device = fields.optional_parsed("device", DeviceId::parse)?;
    let ip = fields.optional_parsed("ip", |text| text.parse().map_err(|_| "not an IP address"))?;
    let context = context(&mut fields)?;
    let name = fields.text("type")?;
    if let Some(only) = only
        && name != only
    {
        return Err(fields.fault("type", format!("expected {only:?}")));
    }
    let kind = kind(&name, &mut fields, judge)?;
    if matches!(kind, EventKind::DeviceAdded | EventKind::DeviceRemoved) && device.is_none() {
        return Err(fields.fault("device", "is missing"));
    }
    fields.finish(&format!("an event of type {}", kind.as_str()))?;
    Ok(Event { id, account, occurred_at, device, ip, context, kind })
}

fn context(fields: &mut Fields) -> Result<EventContext, Fault> {
    Ok(EventContext {
        asn: fields.optional_number("asn")?,
        anonymizer: fields.optional_parsed("anonymizer", |text| {
            Anonymizer::ALL
                .into_iter()
                .find(|anonymizer| anonymizer.as_str() == text)
                .ok_or("expected hosting, proxy, tor or vpn")
        })?,
        country: fields
            .optional_parsed("country", |text| Country::parse(text).ok_or("expected two capital letters"))?,
        value: fields.optional_amount("value")?,
    })
}

fn asset(fields: &mut Fields, judge: Judge<'_>) -> Result<Asset, Fault> {
    let asset = fields.parsed("asset", Asset::parse)?;
    if judge.intake.knows_asset(&asset) {
        return Ok(asset);
    }
    Err(fields.fault("asset", format!("{asset} is not among the assets of this exchange")))
}

fn target(fields: &mut Fields, judge: Judge<'_>) -> Result<LabelTarget, Fault> {
    let event = fields.optional_parsed("event", EventId::parse)?;
    let decision = fields.optional_text("decision")?;
    match (event, decision) {
        (None, None) => Ok(LabelTarget::Account),
        (Some(event), None) => Ok(LabelTarget::Event(event)),
        (None, Some(id)) => {
            let position = judge.intake.decision_position(&id);
            position
                .map(LabelTarget::Decision)
                .ok_or_else(|| fields.fault("decision", "no decision of this installation has such an id"))
        }
        (Some(_), Some(_)) => {
            Err(fields.fault("decision", "a label is about an event or a decision, not both"))
        }
    }
}

fn side(fields: &mut Fields) -> Result<Side, Fault> {
    fields.parsed("side", |text| {
        Side::ALL.into_iter().find(|side| side.as_str() == text).ok_or("expected buy or sell")
    })
}

fn kind(name: &str, fields: &mut Fields, judge: Judge<'_>) -> Result<EventKind, Fault> {
    Ok(match name {
        "account_opened" => {
            EventKind::AccountOpened { referrer: fields.optional_parsed("referrer", AccountId::parse)? }
        }
        "address_added" => EventKind::AddressAdded {
            network: fields.network("network")?,
            address: fields.label("address", ADDRESS_BYTES_MAX)?,
        },
        "api_key_created" => EventKind::ApiKeyCreated {
            key: fields.parsed("api_key", ApiKeyId::parse)?,
            may_withdraw: fields.bool("may_withdraw")?,
            ip_bound: fields.bool("ip_bound")?,
        },
        "balance_changed" => {
            EventKind::BalanceChanged { asset: asset(fields, judge)?, total: fields.amount("total")? }
        }
        "bonus_granted" => EventKind::BonusGranted {
            asset: asset(fields, judge)?,
            amount: fields.amount("amount")?,
            campaign: fields.label("campaign", NAME_BYTES_MAX)?,
            referred: fields.optional_parsed("referred", AccountId::parse)?,
        },
        "credential_changed" => {
            EventKind::CredentialChanged { credential: fields.parsed("credential", credential)? }
        }
        "deposit" => EventKind::Deposit {
            asset: asset(fields, judge)?,
            amount: fields.amount("amount")?,
            network: fields.network("network")?,
            from: fields.optional_label("from", ADDRESS_BYTES_MAX)?,
        },
        "device_added" => EventKind::DeviceAdded,
        "device_removed" => EventKind::DeviceRemoved,
        "kyc_changed" => EventKind::KycChanged {
            level: fields.number("level")?,
            document: fields.optional_label("document", ADDRESS_BYTES_MAX)?,
        },
        "label" => EventKind::Label {
            is_fraud: fields.parsed("label", |text| match text {
                "fraud" => Ok(true),
                "legitimate" => Ok(false),
                _ => Err("expected fraud or legitimate"),
            })?,
            target: target(fields, judge)?,
            source: fields.label("source", NAME_BYTES_MAX)?,
        },
        "login" => EventKind::Login {
            success: fields.bool("success")?,
            second_factor: fields.bool("second_factor")?,
        },
        "order_cancelled" => EventKind::OrderCancelled {
            instrument: fields.label("instrument", NAME_BYTES_MAX)?,
            order: fields.label("order", NAME_BYTES_MAX)?,
        },
        "order_filled" => EventKind::OrderFilled {
            instrument: fields.label("instrument", NAME_BYTES_MAX)?,
            quantity: fields.amount("quantity")?,
            price: fields.amount("price")?,
        },
        "order_placed" => EventKind::OrderPlaced {
            instrument: fields.label("instrument", NAME_BYTES_MAX)?,
            order: fields.label("order", NAME_BYTES_MAX)?,
            side: side(fields)?,
            quantity: fields.amount("quantity")?,
            price: fields.optional_amount("price")?,
        },
        "p2p_trade" => EventKind::P2pTrade {
            counterparty: fields.parsed("counterparty", AccountId::parse)?,
            side: side(fields)?,
            asset: asset(fields, judge)?,
            amount: fields.amount("amount")?,
            payment: fields.optional_label("payment", ADDRESS_BYTES_MAX)?,
            status: fields.label("status", NAME_BYTES_MAX)?,
        },
        "support_contacted" => EventKind::SupportContacted { topic: fields.label("topic", NAME_BYTES_MAX)? },
        "transfer" => EventKind::Transfer {
            asset: asset(fields, judge)?,
            amount: fields.amount("amount")?,
            to: fields.parsed("to", AccountId::parse)?,
        },
        "withdrawal_accepted" => EventKind::WithdrawalAccepted {
            asset: asset(fields, judge)?,
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
