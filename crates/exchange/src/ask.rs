//! Asking the decision listener about a withdrawal that did not come through the gateway.
//!
//! Only a clear *allow* lets it go on. Whatever is not a clear answer counts as a refusal: funds that were not
//! sent can still be sent later.

use std::{net::IpAddr, time::Duration};

use domain::{DeviceId, Verdict};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    client::Client,
    ledger::{Payee, Withdrawal},
};

/// How long the other side has to decide.
const DEADLINE_MS: u64 = 1_000;
/// How long the exchange waits for the answer, the way there and back included.
const CALL_TIMEOUT: Duration = Duration::from_millis(2 * DEADLINE_MS);
/// Reasons kept of an answer.
const REASONS_MAX: usize = 16;
/// Characters kept of each text of an answer.
const TEXT_CHARS_MAX: usize = 300;

/// One reason of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reason {
    /// Stable code such as `watch.sanctioned_address`.
    pub code: String,
    /// One sentence.
    #[serde(default)]
    pub message: String,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Decided.
    Decided {
        /// Number of the decision, to look up.
        id: String,
        /// The verdict.
        verdict: Verdict,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// Nobody is configured to be asked.
    NobodyToAsk,
    /// No clear answer in time: counts as a refusal.
    Unclear {
        /// What came instead.
        why: String,
    },
}

impl Answer {
    /// What the exchange does about it.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Decided { verdict, .. } => *verdict,
            Self::NobodyToAsk => Verdict::Allow,
            Self::Unclear { .. } => Verdict::Deny,
        }
    }
}

#[derive(Debug, Deserialize)]
struct DecisionWire {
    id: Value,
    verdict: String,
    #[serde(default)]
    reasons: Vec<Reason>,
}

/// Asks about a withdrawal whose funds are held already.
pub(crate) async fn decide(
    client: &Client,
    run: &str,
    withdrawal: &Withdrawal,
    ip: IpAddr,
    device: Option<&DeviceId>,
) -> Answer {
    let body = request(run, withdrawal, ip, device).to_string();
    match client.post("/v1/decisions", "application/json", body.into(), CALL_TIMEOUT).await {
        Ok((StatusCode::OK, body)) => read(&body),
        Ok((status, body)) => {
            let body = String::from_utf8_lossy(&body);
            Answer::Unclear { why: cut(&format!("status {}: {body}", status.as_u16())) }
        }
        Err(error) => Answer::Unclear { why: error.to_string() },
    }
}

fn request(run: &str, withdrawal: &Withdrawal, ip: IpAddr, device: Option<&DeviceId>) -> Value {
    let mut details = Map::new();
    details.insert("account".into(), withdrawal.account.as_str().into());
    details.insert("asset".into(), withdrawal.asset.as_str().into());
    details.insert("amount".into(), withdrawal.amount.to_string().into());
    details.insert("fee".into(), withdrawal.fee.to_string().into());
    match &withdrawal.payee {
        Payee::Account(recipient) => {
            details.insert("internal_recipient".into(), recipient.as_str().into());
        }
        Payee::Address { network, address, tag } => {
            details.insert("network".into(), network.as_str().into());
            details.insert("address".into(), address.as_str().into());
            if let Some(tag) = tag {
                details.insert("tag".into(), tag.as_str().into());
            }
        }
    }
    if let Some(client_id) = &withdrawal.client_id {
        details.insert("client_id".into(), client_id.as_str().into());
    }
    details.insert("ip".into(), ip.to_string().into());
    if let Some(device) = device {
        details.insert("device".into(), device.as_str().into());
    }
    json!({
        "type": "withdrawal",
        "idempotency_key": format!("{run}-withdrawal-{}", withdrawal.id),
        "deadline_ms": DEADLINE_MS,
        "withdrawal": details,
    })
}

fn read(body: &[u8]) -> Answer {
    let Ok(wire) = serde_json::from_slice::<DecisionWire>(body) else {
        return Answer::Unclear { why: "answer is not a decision".to_owned() };
    };
    let Ok(verdict) = wire.verdict.parse() else {
        return Answer::Unclear { why: cut(&format!("unknown verdict {:?}", wire.verdict)) };
    };
    let id = wire.id.as_str().map_or_else(|| wire.id.to_string(), str::to_owned);
    let reasons = wire.reasons.into_iter().take(REASONS_MAX);
    let reasons = reasons.map(|reason| Reason { code: cut(&reason.code), message: cut(&reason.message) });
    Answer::Decided { id: cut(&id), verdict, reasons: reasons.collect() }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_decision_with_a_known_verdict_is_clear() {
        let allow = read(br#"{"id":"d-7","verdict":"allow","reasons":[]}"#);
        assert_eq!(allow, Answer::Decided { id: "d-7".into(), verdict: Verdict::Allow, reasons: vec![] });
        let hold = read(br#"{"id":7,"verdict":"hold","reasons":[{"code":"a.b","message":"why"}],"x":1}"#);
        assert_eq!(hold.verdict(), Verdict::Hold);
        for body in [&b""[..], b"{}", b"allow", br#"{"id":"1","verdict":"ALLOW"}"#, br#"{"verdict":"allow"}"#]
        {
            assert_eq!(read(body).verdict(), Verdict::Deny, "{}", String::from_utf8_lossy(body));
        }
    }
}
