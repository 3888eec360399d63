//! Withdrawal bodies: what is accepted is what any other reader of JSON reads, and it survives storage.
#![no_main]

use domain::{Decision, Destination, UnixNanos, Verdict};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const EXAMPLES: [&[u8]; 4] = [
    br#"{"ccy":"USDT","amt":"12.5","fee":"0.1","dest":"4","toAddr":"T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb:7","chain":"USDT-TRC20","clientId":"a1","rcvrInfo":{"a":[1]}}"#,
    br#"{"ccy": "BTC", "amt": 0.10, "dest": "3", "toAddr": "a@example.com", "chain": null}"#,
    br#"[{"a":1},{"b":[true,null,-1.5e3]}]"#,
    br#"[{"instId":"BTC-USD-210625-36000-C","sz":"1"},{"instFamily":"BTC-USD","instIdCode":7}]"#,
];

fuzz_target!(|data: &[u8]| {
    let body = edited(&EXAMPLES, data);
    if let Some(orders) = gateway::fuzz::orders(&body) {
        // The ordinary reader finds as many, and the instrument that is counted by wherever it is a plain text.
        let value: Value = serde_json::from_slice(&body).expect("what is accepted is JSON");
        let whole = std::slice::from_ref(&value);
        let found = value.as_array().map_or(whole, Vec::as_slice);
        assert_eq!(orders.len(), found.len());
        for (order, found) in orders.iter().zip(found) {
            if let Some(name) = found["instId"].as_str().filter(|name| !name.is_empty()) {
                assert!(name.starts_with(order.as_str()), "{name} counts by {order}");
            }
        }
    }
    let Ok(request) = gateway::fuzz::withdrawal(&body) else { return };

    // A reader that keeps the last of repeated fields finds the same destination and asset.
    let value: Value = serde_json::from_slice(&body).expect("what is accepted is JSON");
    let text = match &request.destination {
        Destination::OnChain { address, tag: Some(tag), .. } => format!("{address}:{tag}"),
        other => other.text().to_owned(),
    };
    for (name, expected) in [("toAddr", text.as_str()), ("ccy", request.asset.as_str())] {
        match &value[name] {
            Value::String(found) => assert_eq!(found, expected),
            Value::Number(_) => {}
            other => panic!("{name} was read from {other}"),
        }
    }

    let idempotency_key = request.client_id.clone();
    let decided_at = UnixNanos(8);
    let decision =
        Decision { request, verdict: Verdict::Hold, findings: Vec::new(), decided_at, idempotency_key };
    let stored = journal::record::encode_decision(&decision);
    assert!(stored.len() <= journal::PAYLOAD_BYTES_MAX);
    assert_eq!(journal::record::decode_decision(&stored), Ok(decision));
});
