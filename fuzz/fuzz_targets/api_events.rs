//! Reported events: what is accepted survives storage.
#![no_main]

use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&[u8]; 4] = [
    br#"{"id":"ev-1","account":"u-1001","occurred_at":"2026-11-22T10:00:00.123Z","device":"d-77","ip":"192.0.2.7","type":"login","success":true,"second_factor":true}
{"id":"ev-2","account":"u-1001","occurred_at":"2026-11-22T10:00:05Z","device":"d-77","type":"device_added"}"#,
    br#"{"id":"ev-3","account":"u-1001","occurred_at":"2026-11-22T10:01:00Z","type":"address_added","network":"tron","address":"T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"}
{"id":"ev-4","account":"u-1001","occurred_at":"2026-11-22T10:02:00Z","type":"credential_changed","credential":"email"}"#,
    br#"{"id":"ev-5","account":"u-1001","occurred_at":"2026-11-22T10:03:00Z","type":"deposit","asset":"USDT","amount":"250","network":"tron","from":"T9"}
{"id":"ev-6","account":"u-1001","occurred_at":"2026-11-22T10:03:00Z","type":"balance_changed","asset":"USDT","total":"1250"}"#,
    br#"{"id":"ev-7","account":"u-1001","occurred_at":"2026-11-22T10:04:00Z","type":"order_filled","instrument":"BTC-USDT","quantity":"0.01","price":"65000"}
{"id":"ev-8","account":"u-1001","occurred_at":"2026-11-22T10:05:00Z","type":"withdrawal_accepted","asset":"USDT","amount":"100","network":"tron","address":"T9"}"#,
];

fuzz_target!(|data: &[u8]| {
    let body = edited(&EXAMPLES, data);
    let now = UnixNanos::from_secs(1_795_342_200);
    for event in api::fuzz::events(&body, now).unwrap_or_default() {
        let stored = journal::record::encode_event(&event);
        assert!(stored.len() <= journal::PAYLOAD_BYTES_MAX);
        assert_eq!(journal::record::decode_event(&stored), Ok(event));
    }
});
