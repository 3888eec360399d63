//! Orders as the bounds of a key see them: what is read is what any other reader of JSON reads, no order is worth less
//! than it says, and only an order that says so can be one that reduces.
#![no_main]

use auth::authority::{NoPrices, Notional, OrderKind, Side, SizeUnit};
use domain::{Asset, UnixNanos};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const EXAMPLES: [&[u8]; 4] = [
    br#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"0.001","px":"30000.5","attachAlgoOrds":[]}"#,
    br#"{"instId":"BTC-USDT-SWAP","tdMode":"cross","side":"sell","posSide":"long","ordType":"market","sz":2,"reduceOnly":true}"#,
    br#"{"instId":"ETH-USDT","ordId":"7","newSz":"1","newPx":"2000"}"#,
    br#"{"instId":"BTC-USDT","side":"buy","ordType":"market","sz":"10","tgtCcy":"quote_ccy","reduceOnly":"false"}"#,
];

const KINDS: [OrderKind; 4] = [OrderKind::Amend, OrderKind::Cancel, OrderKind::Close, OrderKind::Place];

fuzz_target!(|data: &[u8]| {
    let (kind, data) = data.split_at(data.len().min(1));
    let kind = KINDS[usize::from(kind.first().copied().unwrap_or_default()) % KINDS.len()];
    let body = edited(&EXAMPLES, data);
    if gateway::fuzz::reduce_only(&body) {
        let value: Value = serde_json::from_slice(&body).expect("what is accepted is JSON");
        let whole = std::slice::from_ref(&value);
        for order in value.as_array().map_or(whole, Vec::as_slice) {
            let flag = &order["reduceOnly"];
            let position = order["posSide"].as_str().unwrap_or_default();
            let says_so =
                *flag == Value::Bool(true) || *flag == "true" || order["closeFraction"] != Value::Null;
            assert!(says_so || ["long", "short"].contains(&position), "{order}");
            assert!(order["instId"].is_string(), "{order}");
        }
    }
    let Ok(intent) = gateway::fuzz::order_intent(kind, &body) else { return };

    // A reader that keeps the last of repeated fields finds the same.
    let value: Value = serde_json::from_slice(&body).expect("what is accepted is JSON");
    assert_eq!(value["instId"].as_str(), Some(intent.instrument.as_str()));
    if let Some(side) = intent.side {
        assert_eq!(value["side"], if side == Side::Buy { "buy" } else { "sell" });
    }
    let (size, price) = if kind == OrderKind::Amend { ("newSz", "newPx") } else { ("sz", "px") };
    for (name, amount) in [(size, intent.size), (price, intent.price)] {
        let Some(amount) = amount else { continue };
        assert!(!amount.is_negative() && !amount.is_zero());
        if let Some(text) = value[name].as_str() {
            assert_eq!(domain::Amount::parse(text), Ok(amount));
        }
    }
    let quote = Asset::parse("USDT").expect("an asset");
    let worth = intent.notional(&quote, &NoPrices, UnixNanos(0));
    match (kind, worth) {
        (OrderKind::Cancel, worth) => assert_eq!(worth, Some(Notional::ZERO)),
        (OrderKind::Close, worth) => assert_eq!(worth, None),
        (_, None) => {}
        (_, Some(worth)) => {
            assert!(!intent.open_ended);
            let size = Notional::of(intent.size.expect("what has a value has a size")).expect("in range");
            let least = match (intent.unit, intent.price) {
                (SizeUnit::Base, Some(price)) => size.times(price).expect("in range"),
                _ => size,
            };
            assert!(worth >= least, "{intent:?} is worth {worth}");
        }
    }
});
