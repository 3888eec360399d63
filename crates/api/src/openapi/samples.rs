//! Domain values whose wire forms are the examples of the document.

use std::sync::Arc;

use auth::{
    Environment,
    oauth::{App, ConsentView, GrantSummary, grant_key_id, parse_scope},
};
use domain::{
    AccountId, Amount, Asset, Channel, Decision, Destination, DeviceId, Evidence, Finding, FindingSource,
    Network, ReasonCode, UnixNanos, Verdict, WithdrawalRequest,
};
use serde_json::Value;

use crate::{Decided, Explained, wire};

/// 2026-11-22T10:00:00Z.
const AT: UnixNanos = UnixNanos::from_secs(1_795_341_600);
const ID: &str = "dec-7-00112233445566aa";

/// The value of a constant that is known to parse; `None` is caught by the test that compares the document.
fn decision() -> Option<Arc<Decision>> {
    let request = WithdrawalRequest {
        account: AccountId::parse("u-1001").ok()?,
        channel: Channel::Exchange,
        asset: Asset::parse("USDT").ok()?,
        amount: Amount::parse("1000").ok()?,
        fee: Amount::parse("1").ok(),
        destination: Destination::OnChain {
            network: Network::Tron,
            address: "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb".to_owned(),
            tag: None,
        },
        client_id: Some("web-17".to_owned()),
        ip: [192, 0, 2, 7].into(),
        device: DeviceId::parse("d-77").ok(),
        client_ja4: None,
        requested_at: AT,
    };
    let finding = Finding {
        source: FindingSource::Fraud,
        code: ReasonCode::new("fraud.balance_drain"),
        verdict: Verdict::Hold,
        shadow: false,
        message: "The withdrawal takes 80 % of the balance soon after a credential changed.".to_owned(),
        evidence: vec![Evidence::new("share_of_balance", "80 %")],
        would_pass_if: Some("no credential had changed in the last 24 hours".to_owned()),
    };
    Some(Arc::new(Decision {
        request,
        verdict: Verdict::Hold,
        findings: vec![finding],
        decided_at: AT,
        idempotency_key: Some("wd-20261122-0001".to_owned()),
    }))
}

pub(super) fn answer() -> Value {
    decision().map_or(Value::Null, |decision| wire::answer_json(&Decided { id: ID.to_owned(), decision }))
}

pub(super) fn explanation() -> Value {
    decision().map_or(Value::Null, |decision| {
        let review = Some(super::cases::sample_review());
        wire::explanation_json(&Explained { id: ID.to_owned(), decision, position: Some(7), review })
    })
}

pub(super) fn traced() -> Value {
    let proof = crate::Proof { position: 7, receipt: None };
    decision().map_or(Value::Null, |decision| {
        crate::trace::explain_json(&crate::trace::Subject::withdrawal(ID, &decision), &proof, true)
    })
}

fn app() -> Option<Arc<App>> {
    let scopes = parse_scope("read trade")?;
    App::new("bot-1", "Trading Bot", &["https://app.example/callback"], scopes, AT).ok().map(Arc::new)
}

pub(super) fn app_request() -> Value {
    let view = || {
        Some(ConsentView {
            app: app()?,
            scopes: parse_scope("read trade")?,
            redirect_uri: "https://app.example/callback".to_owned(),
            expires_at: AT,
        })
    };
    view().map_or(Value::Null, |view| wire::view_json(&view))
}

pub(super) fn grants() -> Value {
    let grant = || {
        Some(GrantSummary {
            grant: [7; 16],
            key_id: grant_key_id(&[7; 16]),
            app: app()?,
            account: AccountId::parse("u-1001").ok()?,
            scopes: parse_scope("read")?,
            environment: Environment::Live,
            restrictions: None,
            granted_at: AT,
            expires_at: AT,
            last_uses: Vec::new(),
        })
    };
    grant().map_or(Value::Null, |grant| wire::grants_json(&[grant]))
}
