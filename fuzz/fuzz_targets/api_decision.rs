//! Decision requests: what is accepted survives storage and is shown as it was asked.
#![no_main]

use domain::{Decision, UnixNanos, Verdict};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&[u8]; 2] = [
    br#"{"type":"withdrawal","idempotency_key":"wd-1","deadline_ms":1000,"withdrawal":{"account":"u-1001","asset":"USDT","amount":"1000","fee":"1","network":"tron","address":"T9","tag":"7","client_id":"web-17","ip":"192.0.2.7","device":"d-77"}}"#,
    br#"{"type":"withdrawal","withdrawal":{"account":"u","asset":"BTC","amount":"0.5","internal_recipient":"bob","ip":"::1"}}"#,
];

fuzz_target!(|data: &[u8]| {
    let body = edited(&EXAMPLES, data);
    let now = UnixNanos::from_secs(1_795_342_200);
    let Some((request, idempotency_key)) = api::fuzz::decision_request(&body, now) else { return };
    let decision =
        Decision { request, verdict: Verdict::Hold, findings: Vec::new(), decided_at: now, idempotency_key };
    let stored = journal::record::encode_decision(&decision);
    assert!(stored.len() <= journal::PAYLOAD_BYTES_MAX);
    assert_eq!(journal::record::decode_decision(&stored).as_ref(), Ok(&decision));
    let account = decision.request.account.to_string();
    let shown = api::explanation_json(&api::Explained {
        id: "dec-1-0".to_owned(),
        decision: decision.into(),
        position: Some(1),
        review: None,
    });
    assert_eq!(shown["withdrawal"]["account"], account.as_str());
});
