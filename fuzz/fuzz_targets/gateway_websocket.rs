//! Web socket messages: what the gateway reads in one is what a reader of the other kind finds in it, and what it writes
//! anew reads the same.
#![no_main]

use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const EXAMPLES: [&[u8]; 4] = [
    br#"{"op":"login","id":"1","args":[{"apiKey":"k","passphrase":"p\u0061","timestamp":1704876947,"sign":"s"}]}"#,
    br#"{"id":"7","op":"batch-orders","expTime":"1","args":[{"instId":"BTC-USDT","sz":"0.10"},{"a":[{"b":null}]}]}"#,
    br#"{"op":"unsubscribe","args":[{"channel":"tickers","instId":"BTC-USDT"}],"id":12}"#,
    br#"{"op":"login","args":[{"apiKey":"k"},{"token":"t"}]}"#,
];

fuzz_target!(|data: &[u8]| {
    let message = edited(&EXAMPLES, data);
    let Ok(text) = std::str::from_utf8(&message) else { return };
    let Ok(read) = gateway::fuzz::websocket_message(text) else { return };
    // This reader keeps the last of repeated fields, and names fields as they are spelled.
    let value: Value = serde_json::from_str(text).expect("what is accepted is JSON");
    assert_eq!(value["op"], read.op);
    let args = value["args"].as_array().expect("a list");
    assert_eq!(args.len(), read.args.len());
    for (arg, text) in args.iter().zip(&read.args) {
        assert!(arg.is_object());
        assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), *arg);
    }
    match &read.id {
        Some(id) => assert!(value["id"] == id.as_str() || value["id"].to_string() == *id),
        None => assert!(value.get("id").is_none()),
    }
    if let Some((key, timestamp)) = &read.login {
        assert_eq!(args.len(), 1);
        assert_eq!(args[0]["apiKey"], key.as_str());
        assert!(args[0]["timestamp"] == timestamp.as_str() || args[0]["timestamp"].to_string() == *timestamp);
        assert!(args[0].get("token").is_none());
    }
    let again = gateway::fuzz::websocket_message(&read.written).expect("what is written anew is accepted");
    assert_eq!((again.op, &again.id, &again.args), (read.op, &read.id, &read.args));
});
