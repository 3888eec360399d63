//! Payloads of [`Kind::Decision`](crate::Kind::Decision):
//! `[1, request, verdict, [finding...], decided at ns, idempotency key / null]`; version 2 where the request has one
//! element more, the fingerprint of the client. One that has none is written as version 1, so each has one spelling.

use domain::{
    AccountId, ApiKeyId, Channel, Decision, Destination, Evidence, Finding, FindingSource, ReasonCode,
    UnixNanos, Verdict, WithdrawalRequest,
};

use super::{
    RecordError,
    event::{asset, device, network},
};
use crate::cbor::{Read, Strict, Writer};

/// Without and with the fingerprint of the client.
const VERSIONS: [u64; 2] = [1, 2];

/// The payload of a decision.
#[must_use]
pub fn encode_decision(decision: &Decision) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut cbor = Writer::new(&mut out);
    let [plain, with_client] = VERSIONS;
    cbor.array(6).uint(if decision.request.client_ja4.is_some() { with_client } else { plain });
    write_request(&mut cbor, &decision.request);
    cbor.text(decision.verdict.as_str()).array(decision.findings.len());
    decision.findings.iter().for_each(|finding| write_finding(&mut cbor, finding));
    cbor.uint(decision.decided_at.0).optional(decision.idempotency_key.as_deref(), Writer::text);
    out
}

/// The decision of a payload.
///
/// # Errors
/// [`RecordError`] naming what was expected where.
pub fn decode_decision(payload: &[u8]) -> Result<Decision, RecordError> {
    let mut cbor = Strict::new(payload);
    cbor.array(6, "a decision")?;
    let unknown = cbor.unexpected("decision version 1 or 2");
    let [plain, with_client] = VERSIONS;
    let has_client = match cbor.u64("a decision version")? {
        version if version == plain => false,
        version if version == with_client => true,
        _ => return Err(unknown.into()),
    };
    let request = read_request(&mut cbor, has_client)?;
    let verdict = verdict(&mut cbor)?;
    let count = cbor.list("findings")?;
    let mut findings = Vec::new();
    for _ in 0..count {
        findings.push(read_finding(&mut cbor)?);
    }
    let decided_at = UnixNanos(cbor.u64("a time")?);
    let idempotency_key = cbor.optional(|cbor| cbor.text("an idempotency key").map(str::to_owned))?;
    cbor.end()?;
    Ok(Decision { request, verdict, findings, decided_at, idempotency_key })
}

fn write_request(cbor: &mut Writer<'_>, request: &WithdrawalRequest) {
    cbor.array(10 + usize::from(request.client_ja4.is_some())).text(request.account.as_str());
    match &request.channel {
        Channel::ApiKey(id) => cbor.array(2).text("api_key").text(id.as_str()),
        Channel::Exchange => cbor.array(1).text("exchange"),
    }
    .text(request.asset.as_str())
    .amount(request.amount)
    .optional(request.fee, Writer::amount);
    match &request.destination {
        Destination::Internal { recipient } => cbor.array(2).text("internal").text(recipient),
        Destination::OnChain { network, address, tag } => cbor
            .array(4)
            .text("on_chain")
            .text(network.as_str())
            .text(address)
            .optional(tag.as_deref(), Writer::text),
        Destination::UnknownNetwork { network, address } => {
            cbor.array(3).text("unknown_network").text(network).text(address)
        }
    }
    .optional(request.client_id.as_deref(), Writer::text)
    .ip(request.ip)
    .optional(request.device.as_ref(), |cbor, device| cbor.text(device.as_str()))
    .uint(request.requested_at.0);
    if let Some(ja4) = &request.client_ja4 {
        cbor.text(ja4);
    }
}

fn read_request(cbor: &mut Strict<'_>, has_client: bool) -> Read<WithdrawalRequest> {
    cbor.array(10 + usize::from(has_client), "a withdrawal request")?;
    let mut request = WithdrawalRequest {
        account: cbor.parsed("an account id", |text| AccountId::parse(text).ok())?,
        channel: channel(cbor)?,
        asset: asset(cbor)?,
        amount: cbor.amount("an amount")?,
        fee: cbor.optional(|cbor| cbor.amount("a fee"))?,
        destination: destination(cbor)?,
        client_id: cbor.optional(|cbor| cbor.text("a client id").map(str::to_owned))?,
        ip: cbor.ip("an IP address")?,
        device: cbor.optional(device)?,
        requested_at: UnixNanos(cbor.u64("a time")?),
        client_ja4: None,
    };
    if has_client {
        request.client_ja4 = Some(cbor.text("a client fingerprint")?.to_owned());
    }
    Ok(request)
}

fn channel(cbor: &mut Strict<'_>) -> Read<Channel> {
    let len = cbor.list("a channel")?;
    let unknown = cbor.unexpected("the name of a channel with its fields");
    match (cbor.text("the name of a channel")?, len) {
        ("api_key", 2) => {
            cbor.parsed("an API key id", |text| ApiKeyId::parse(text).ok()).map(Channel::ApiKey)
        }
        ("exchange", 1) => Ok(Channel::Exchange),
        _ => Err(unknown),
    }
}

fn destination(cbor: &mut Strict<'_>) -> Read<Destination> {
    let len = cbor.list("a destination")?;
    let unknown = cbor.unexpected("the name of a destination with its fields");
    Ok(match (cbor.text("the name of a destination")?, len) {
        ("internal", 2) => Destination::Internal { recipient: cbor.text("a recipient")?.to_owned() },
        ("on_chain", 4) => Destination::OnChain {
            network: network(cbor)?,
            address: cbor.text("an address")?.to_owned(),
            tag: cbor.optional(|cbor| cbor.text("a tag").map(str::to_owned))?,
        },
        ("unknown_network", 3) => Destination::UnknownNetwork {
            network: cbor.text("a network")?.to_owned(),
            address: cbor.text("an address")?.to_owned(),
        },
        _ => return Err(unknown),
    })
}

pub(super) fn write_finding(cbor: &mut Writer<'_>, finding: &Finding) {
    cbor.array(7)
        .text(finding.source.as_str())
        .text(finding.code.as_str())
        .text(finding.verdict.as_str())
        .bool(finding.shadow)
        .text(&finding.message)
        .array(finding.evidence.len());
    for Evidence { name, value } in &finding.evidence {
        cbor.array(2).text(name).text(value);
    }
    cbor.optional(finding.would_pass_if.as_deref(), Writer::text);
}

pub(super) fn read_finding(cbor: &mut Strict<'_>) -> Read<Finding> {
    cbor.array(7, "a finding")?;
    let source = cbor
        .parsed("a source", |text| FindingSource::ALL.into_iter().find(|source| source.as_str() == text))?;
    let code = ReasonCode::stored(cbor.text("a reason code")?);
    let verdict = verdict(cbor)?;
    let shadow = cbor.bool("whether it is in shadow")?;
    let message = cbor.text("a message")?.to_owned();
    let count = cbor.list("evidence")?;
    let mut evidence = Vec::new();
    for _ in 0..count {
        cbor.array(2, "a named value")?;
        let name = cbor.text("a name")?.to_owned().into();
        evidence.push(Evidence { name, value: cbor.text("a value")?.to_owned() });
    }
    let would_pass_if = cbor.optional(|cbor| cbor.text("a condition").map(str::to_owned))?;
    Ok(Finding { source, code, verdict, shadow, message, evidence, would_pass_if })
}

pub(super) fn verdict(cbor: &mut Strict<'_>) -> Read<Verdict> {
    cbor.parsed("a verdict", |text| text.parse().ok())
}
