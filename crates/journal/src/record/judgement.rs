//! Payloads of [`Kind::Judgement`](crate::Kind::Judgement):
//! `[1, act, verdict, [finding...], decided at ns, caller, idempotency key / null, request sha256]`. A login or an order is
//! written as the event it would be.

use domain::{
    AccountId, Act, Actor, AddressScreen, AdminAct, ApiCall, ApiKeyId, Event, EventKind, Judgement, UnixNanos,
};

use super::{
    RecordError,
    decision::{read_finding, verdict, write_finding},
    decode_event, encode_event,
    house::{begin, encoded},
};
use crate::cbor::{Strict, Writer};

/// The payload of a judgement.
#[must_use]
pub fn encode_judgement(judgement: &Judgement) -> Vec<u8> {
    encoded(7, |cbor| {
        write_act(cbor, &judgement.act);
        cbor.text(judgement.verdict.as_str()).array(judgement.findings.len());
        judgement.findings.iter().for_each(|finding| write_finding(cbor, finding));
        cbor.uint(judgement.decided_at.0)
            .text(&judgement.caller)
            .optional(judgement.idempotency_key.as_deref(), Writer::text)
            .bytes(&judgement.request_sha256);
    })
}

/// The judgement of a payload.
///
/// # Errors
/// [`RecordError`] naming what was expected where.
pub fn decode_judgement(payload: &[u8]) -> Result<Judgement, RecordError> {
    let mut cbor = begin(payload, 7, "a judgement")?;
    let act = act(&mut cbor)?;
    let verdict = verdict(&mut cbor)?;
    let count = cbor.list("findings")?;
    let mut findings = Vec::new();
    for _ in 0..count {
        findings.push(read_finding(&mut cbor)?);
    }
    let judgement = Judgement {
        act,
        verdict,
        findings,
        decided_at: UnixNanos(cbor.u64("a time")?),
        caller: cbor.text("a caller")?.to_owned(),
        idempotency_key: cbor.optional(|cbor| cbor.text("an idempotency key").map(str::to_owned))?,
        request_sha256: cbor.array_of_bytes("a hash of 32 bytes")?,
    };
    cbor.end()?;
    Ok(judgement)
}

fn write_act(cbor: &mut Writer<'_>, act: &Act) {
    match act {
        Act::AddressScreen(AddressScreen { address, network, reference }) => cbor
            .array(4)
            .text("address_screen")
            .text(address)
            .text(network.as_str())
            .optional(reference.as_deref(), Writer::text),
        Act::AdminAct(AdminAct { actor, capability, act, account, ip }) => cbor
            .array(6)
            .text("admin_act")
            .text(&actor.to_string())
            .text(capability)
            .text(act)
            .optional(account.as_ref(), |cbor, account| cbor.text(account.as_str()))
            .optional(*ip, Writer::ip),
        Act::ApiCall(ApiCall { account, key, method, path, ip }) => cbor
            .array(6)
            .text("api_call")
            .text(account.as_str())
            .text(key.as_str())
            .text(method)
            .text(path)
            .ip(*ip),
        Act::Login(event) => cbor.array(2).text("login").bytes(&encode_event(event)),
        Act::Order(event) => cbor.array(2).text("order").bytes(&encode_event(event)),
    };
}

fn act(cbor: &mut Strict<'_>) -> Result<Act, RecordError> {
    let len = cbor.list("an act")?;
    let unknown = cbor.unexpected("the name of an act with its fields");
    let account = |text: &str| AccountId::parse(text).ok();
    match (cbor.text("the name of an act")?, len) {
        ("address_screen", 4) => Ok(Act::AddressScreen(AddressScreen {
            address: cbor.text("an address")?.to_owned(),
            network: cbor.parsed("a network", |text| text.parse().ok())?,
            reference: cbor.optional(|cbor| cbor.text("a reference").map(str::to_owned))?,
        })),
        ("admin_act", 6) => Ok(Act::AdminAct(AdminAct {
            actor: cbor.parsed("an actor", |text| text.parse::<Actor>().ok())?,
            capability: cbor.text("a capability")?.to_owned(),
            act: cbor.text("an act in words")?.to_owned(),
            account: cbor.optional(|cbor| cbor.parsed("an account id", account))?,
            ip: cbor.optional(|cbor| cbor.ip("an IP address"))?,
        })),
        ("api_call", 6) => Ok(Act::ApiCall(ApiCall {
            account: cbor.parsed("an account id", account)?,
            key: cbor.parsed("an API key id", |text| ApiKeyId::parse(text).ok())?,
            method: cbor.text("a method")?.to_owned(),
            path: cbor.text("a path")?.to_owned(),
            ip: cbor.ip("an IP address")?,
        })),
        ("login", 2) => {
            let event = event(cbor, "a login", |kind| matches!(kind, EventKind::Login { .. }))?;
            Ok(Act::Login(event))
        }
        ("order", 2) => {
            let event = event(cbor, "an order", |kind| matches!(kind, EventKind::OrderPlaced { .. }))?;
            Ok(Act::Order(event))
        }
        _ => Err(unknown.into()),
    }
}

fn event(
    cbor: &mut Strict<'_>,
    what: &'static str,
    is_it: impl FnOnce(&EventKind) -> bool,
) -> Result<Event, RecordError> {
    let other = cbor.unexpected(what);
    let event = decode_event(cbor.bytes(what)?)?;
    if is_it(&event.kind) { Ok(event) } else { Err(other.into()) }
}
