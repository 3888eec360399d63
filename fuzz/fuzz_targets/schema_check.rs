//! Requests against the exchange's document: what conforms is read the same by a second parser of JSON.
#![no_main]

use std::sync::LazyLock;

use fuzz::{Choices, edited_text};
use libfuzzer_sys::fuzz_target;
use schema::{Conformance, Model, Request};

static MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::import(include_bytes!("../../docs/openapi/okx-v5.json")).expect("it imports"));

const BODIES: [&str; 3] = [
    r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"30000","sz":"0.001","tag":""}"#,
    r#"[{"instId":"BTC-USDT","side":"sell","ordType":"market","sz":"1","tdMode":"cash","reduceOnly":true}]"#,
    r#"{"ccy":"USDT","toAddr":"0x742d35Cc6634C0532925a3b844Bc454e4438f44e","dest":"4","amt":"1","rcvrInfo":null}"#,
];
const QUERIES: [&str; 2] = ["instType=SPOT&instId=BTC-USDT&limit=100", "ccy=BTC%2CETH"];

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let route = &MODEL.routes()[choices.below(MODEL.routes().len())];
    let is_post = route.method() == "POST";
    let Some(text) = edited_text(if is_post { &BODIES } else { &QUERIES }, choices.rest()) else { return };
    let request = Request {
        method: route.method(),
        path: route.template(),
        query: (!is_post).then_some(&text),
        content_type: Some("application/json"),
        body: if is_post { text.as_bytes() } else { b"" },
    };
    match MODEL.check(&request) {
        Conformance::Conforming(id) => {
            assert_eq!(MODEL.route(id).map(schema::Route::template), Some(route.template()));
            if is_post {
                serde_json::from_str::<serde_json::Value>(&text).expect("a second parser reads it");
            }
        }
        Conformance::Violations { violations, .. } => {
            assert!((1..=schema::bounds::VIOLATIONS_MAX).contains(&violations.len()));
            assert!(violations.iter().all(|violation| violation.pointer().len() < 16_384));
        }
    }
});
