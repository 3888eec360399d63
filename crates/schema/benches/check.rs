//! One check of a typical order, of a balance query and of a batch of twenty orders. Budget: an order in at most 3 us.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "the only public item is main")]

use std::hint::black_box;
use std::time::Instant;

use schema::{Conformance, Model, Request};

const DOCUMENT: &str = include_str!("../../../docs/openapi/okx-v5.json");
const ORDER: &str =
    r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"30000","sz":"0.001"}"#;
/// The longest of the real clients: every field, most of them empty.
const LONG_ORDER: &str = r#"{"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.001", "ccy": "", "clOrdId": "", "tag": "", "posSide": "", "px": "30000", "reduceOnly": "", "tgtCcy": "", "stpMode": "", "attachAlgoOrds": null, "pxUsd": "", "pxVol": "", "banAmend": ""}"#;
const ROUNDS: u32 = 5;

fn measure(name: &str, model: &Model, request: Request<'_>, n: u32) {
    assert!(matches!(model.check(&request), Conformance::Conforming(_)));
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..n {
                black_box(model.check(black_box(&request)));
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(n)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name}: {:.0} ns (median of {ROUNDS}; {:.0} to {:.0})", rounds[2], rounds[0], rounds[4]);
}

fn main() {
    let start = Instant::now();
    let model = Model::import(DOCUMENT.as_bytes()).unwrap();
    println!("import of {} bytes: {:.1} ms", DOCUMENT.len(), start.elapsed().as_secs_f64() * 1e3);
    let post = |path, body: &'static str| Request {
        method: "POST",
        path,
        query: None,
        content_type: Some("application/json"),
        body: body.as_bytes(),
    };
    measure("order, 95 bytes", &model, post("/api/v5/trade/order", ORDER), 200_000);
    measure("order with every field, 275 bytes", &model, post("/api/v5/trade/order", LONG_ORDER), 200_000);
    let batch = format!("[{}]", [ORDER; 20].join(","));
    let request = Request { body: batch.as_bytes(), ..post("/api/v5/trade/batch-orders", "") };
    measure("batch of 20 orders", &model, request, 20_000);
    let query = Request {
        method: "GET",
        path: "/api/v5/trade/orders-pending",
        query: Some("instType=SPOT&instId=BTC-USDT&limit=100"),
        content_type: None,
        body: b"",
    };
    measure("query of three parameters", &model, query, 200_000);
}
