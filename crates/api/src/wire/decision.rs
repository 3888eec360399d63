//! Decisions: what is asked, what is answered, what is explained.

use std::{collections::BTreeMap, net::IpAddr, str::FromStr, time::Duration};

use domain::{
    AccountId, Act, ActKind, Asset, Channel, Decision, Destination, DeviceId, Finding, Network, UnixNanos,
    Verdict, WithdrawalRequest,
};
use serde_json::{Map, Value, json};

use crate::{
    Decided, Explained,
    cases::review_json,
    limits::{ADDRESS_BYTES_MAX, DEADLINE_DEFAULT, DEADLINE_MAX, IDEMPOTENCY_KEY_BYTES_MAX, NAME_BYTES_MAX},
};

use super::{
    act::act,
    event::Judge,
    fields::{Fault, Fields},
};

/// A parsed decision request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecisionRequest {
    pub(crate) asked: Asked,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) deadline: Duration,
}

/// What is about to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Act(Act),
    Withdrawal(WithdrawalRequest),
}

/// What the headers say; the body may say the same, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sent {
    pub(crate) idempotency_key: Option<String>,
    pub(crate) deadline_ms: Option<u64>,
}

/// Parses the body of `POST /v1/decisions`.
pub(crate) fn decision_request(body: &[u8], sent: Sent, judge: Judge<'_>) -> Result<DecisionRequest, Fault> {
    let mut fields = Fields::parse(body)?;
    let kind = match fields.text("type")?.as_str() {
        "withdrawal" => None,
        name => Some(ActKind::named(name).ok_or_else(|| {
            let known = ActKind::ALL.map(ActKind::as_str).join(", ");
            fields.fault("type", format!("expected withdrawal, {known}"))
        })?),
    };
    let idempotency_key = fields.optional_label("idempotency_key", IDEMPOTENCY_KEY_BYTES_MAX)?;
    let idempotency_key = match (idempotency_key, sent.idempotency_key) {
        (Some(body), Some(header)) if body != header => {
            return Err(fields.fault("idempotency_key", "differs from the header Idempotency-Key"));
        }
        (body, header) => body.or(header),
    };
    let deadline = match (fields.optional_integer("deadline_ms")?, sent.deadline_ms) {
        (Some(body), Some(header)) if body != header => {
            return Err(fields.fault("deadline_ms", "differs from the header X-Deadline-Ms"));
        }
        (body, header) => body.or(header),
    };
    let deadline = match deadline {
        None => DEADLINE_DEFAULT,
        Some(0) => return Err(fields.fault("deadline_ms", "is zero")),
        Some(millis) if Duration::from_millis(millis) > DEADLINE_MAX => {
            let reason = format!("is {millis}, at most {} is allowed", DEADLINE_MAX.as_millis());
            return Err(fields.fault("deadline_ms", reason));
        }
        Some(millis) => Duration::from_millis(millis),
    };
    let asked = match kind {
        None => Asked::Withdrawal(withdrawal(fields.object("withdrawal", "withdrawal.")?, judge.now)?),
        Some(kind) => Asked::Act(act(kind, &mut fields, judge)?),
    };
    fields.finish("a decision request")?;
    Ok(DecisionRequest { asked, idempotency_key, deadline })
}

fn withdrawal(mut fields: Fields, now: UnixNanos) -> Result<WithdrawalRequest, Fault> {
    let account = fields.parsed("account", AccountId::parse)?;
    let asset = fields.parsed("asset", Asset::parse)?;
    let amount = fields.amount("amount")?;
    if amount.is_zero() {
        return Err(fields.fault("amount", "is zero"));
    }
    let fee = fields.optional_amount("fee")?;
    let destination = destination(&mut fields)?;
    let client_id = fields.optional_label("client_id", NAME_BYTES_MAX)?;
    let ip = fields.parsed("ip", |text| text.parse::<IpAddr>().map_err(|_| "not an IP address"))?;
    let device = fields.optional_parsed("device", DeviceId::parse)?;
    fields.finish("a withdrawal")?;
    Ok(WithdrawalRequest {
        account,
        channel: Channel::Exchange,
        asset,
        amount,
        fee,
        destination,
        client_id,
        ip,
        device,
        client_ja4: None,
        requested_at: now,
    })
}

fn destination(fields: &mut Fields) -> Result<Destination, Fault> {
    let recipient = fields.optional_label("internal_recipient", ADDRESS_BYTES_MAX)?;
    let network = fields.optional_label("network", NAME_BYTES_MAX)?;
    let address = fields.optional_label("address", ADDRESS_BYTES_MAX)?;
    let tag = fields.optional_label("tag", NAME_BYTES_MAX)?;
    match (recipient, network, address, tag) {
        (Some(recipient), None, None, None) => Ok(Destination::Internal { recipient }),
        (Some(_), ..) => Err(fields.fault(
            "internal_recipient",
            "excludes network, address and tag: a withdrawal has one destination",
        )),
        (None, None, ..) => Err(fields.fault("network", "is missing, and so is internal_recipient")),
        (None, Some(_), None, _) => Err(fields.fault("address", "is missing")),
        (None, Some(network), Some(address), tag) => Ok(match Network::from_str(&network) {
            Ok(network) => Destination::OnChain { network, address, tag },
            // A network that cannot be screened is for the decision path to judge, not a malformed request.
            Err(_) => Destination::UnknownNetwork {
                network,
                address: tag.map_or_else(|| address.clone(), |tag| format!("{address}:{tag}")),
            },
        }),
    }
}

/// The answer to a decision request: `{"id","verdict","decided_at","reasons":[…]}`.
#[must_use]
pub fn answer_json(decided: &Decided) -> Value {
    Value::Object(of_withdrawal(&decided.id, &decided.decision))
}

/// A decision with what was asked: the answer, and `withdrawal`, `idempotency_key`, `position` and `review` where known.
#[must_use]
pub fn explanation_json(explained: &Explained) -> Value {
    let Explained { id, decision, position, review } = explained;
    let mut object = of_withdrawal(id, decision);
    object.insert("withdrawal".into(), withdrawal_json(&decision.request));
    if let Some(key) = &decision.idempotency_key {
        object.insert("idempotency_key".into(), json!(key));
    }
    if let Some(position) = position {
        object.insert("position".into(), json!(position));
    }
    if let Some(review) = review {
        object.insert("review".into(), review_json(review));
    }
    Value::Object(object)
}

fn of_withdrawal(id: &str, decision: &Decision) -> Map<String, Value> {
    answer(id, decision.verdict, decision.decided_at, &decision.findings)
}

/// What every answer says, whatever was asked about.
pub(super) fn answer(id: &str, verdict: Verdict, at: UnixNanos, findings: &[Finding]) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("id".into(), json!(id));
    object.insert("verdict".into(), json!(verdict.as_str()));
    object.insert("decided_at".into(), json!(at.to_string()));
    object.insert("reasons".into(), findings.iter().map(reason).collect());
    if let Some(would_be) = decide::would_be(findings) {
        object.insert("mode".into(), json!("shadow"));
        object.insert("would_be".into(), json!(would_be.as_str()));
    }
    object
}

pub(crate) fn reason(finding: &Finding) -> Value {
    // A name that occurs again gets a number, so that every value is a string and none is lost.
    let mut evidence = Map::new();
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for item in &finding.evidence {
        let time = times.entry(&item.name).or_insert(0);
        *time += 1;
        let name = if *time == 1 { item.name.clone().into_owned() } else { format!("{}_{time}", item.name) };
        evidence.insert(name, json!(item.value));
    }
    let mut reason = json!({
        "source": finding.source.as_str(),
        "code": finding.code.as_str(),
        "verdict": finding.verdict.as_str(),
        "message": finding.message,
        "shadow": finding.shadow,
        "evidence": evidence,
    });
    if let (Some(object), Some(condition)) = (reason.as_object_mut(), &finding.would_pass_if) {
        object.insert("would_pass_if".into(), json!(condition));
    }
    reason
}

fn withdrawal_json(request: &WithdrawalRequest) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            object.insert(name.into(), Value::String(value));
        }
    };
    put("account", Some(request.account.to_string()));
    put("asset", Some(request.asset.to_string()));
    put("amount", Some(request.amount.to_string()));
    put("fee", request.fee.map(|fee| fee.to_string()));
    match &request.destination {
        Destination::Internal { recipient } => put("internal_recipient", Some(recipient.clone())),
        Destination::OnChain { network, address, tag } => {
            put("network", Some(network.to_string()));
            put("address", Some(address.clone()));
            put("tag", tag.clone());
        }
        Destination::UnknownNetwork { network, address } => {
            put("network", Some(network.clone()));
            put("address", Some(address.clone()));
        }
    }
    let (channel, api_key) = match &request.channel {
        Channel::ApiKey(api_key) => ("api_key", Some(api_key.to_string())),
        Channel::Exchange => ("exchange", None),
    };
    put("channel", Some(channel.to_owned()));
    put("api_key", api_key);
    put("client_id", request.client_id.clone());
    put("ip", Some(request.ip.to_string()));
    put("device", request.device.as_ref().map(ToString::to_string));
    put("client_ja4", request.client_ja4.clone());
    put("requested_at", Some(request.requested_at.to_string()));
    Value::Object(object)
}

#[cfg(test)]
mod tests;
