//! The document of the simulated exchange's routes in `docs/openapi` against what real clients send, and what they
//! never would.

use schema::{Conformance, Model, OkxCode, Request};

const DOCUMENT: &str = include_str!("../../../docs/openapi/okx-v5.json");

fn model() -> Model {
    Model::import(DOCUMENT.as_bytes()).expect("the document imports")
}

fn post<'a>(path: &'a str, body: &'a str) -> Request<'a> {
    Request {
        method: "POST",
        path,
        query: None,
        content_type: Some("application/json"),
        body: body.as_bytes(),
    }
}

fn get(target: &str) -> Request<'_> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Request { method: "GET", path, query, content_type: Some("application/json"), body: b"" }
}

#[test]
fn everything_the_document_says_is_checked() {
    let model = model();
    assert!(model.unchecked().is_empty());
    assert_eq!(model.routes().len(), 31);
}

#[test]
fn what_clients_send_conforms() {
    let model = model();
    // Bodies and queries as ccxt, python-okx and okx-api build them.
    for request in [
        post(
            "/api/v5/trade/order",
            r#"{"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.001",
                "ccy": "", "clOrdId": "", "tag": "", "posSide": "", "px": "30000", "reduceOnly": "", "tgtCcy": "",
                "stpMode": "", "attachAlgoOrds": null, "pxUsd": "", "pxVol": "", "banAmend": ""}"#,
        ),
        post(
            "/api/v5/trade/batch-orders",
            r#"[{"instId":"BTC-USDT","side":"buy","ordType":"limit","sz":"0.001","tdMode":"cash","px":"30000",
                "clOrdId":"6b9ad766b55dBCDE0123456789abcdef","tag":"6b9ad766b55dBCDE"}]"#,
        ),
        post("/api/v5/trade/cancel-order", r#"{"instId":"BTC-USDT","ordId":"","clOrdId":"c1"}"#),
        post("/api/v5/trade/amend-order", r#"{"instId":"BTC-USDT","ordId":"12","newPx":"30001"}"#),
        post(
            "/api/v5/asset/withdrawal",
            r#"{"ccy":"USDT","toAddr":"TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf","dest":"4","amt":"100","fee":"1",
                "chain":"USDT-TRC20"}"#,
        ),
        post(
            "/api/v5/asset/withdrawal",
            r#"{"ccy": "USDT", "amt": "100", "dest": "4", "toAddr": "0x742d35Cc6634C0532925a3b844Bc454e4438f44e",
                "chain": "USDT-Optimism (V2)", "areaCode": "", "clientId": "", "rcvrInfo": null}"#,
        ),
        get("/api/v5/account/balance"),
        get("/api/v5/account/balance?ccy=BTC%2CETH"),
        get("/api/v5/account/balance?ccy=BTC,ETH"),
        get("/api/v5/trade/orders-pending?instType=SPOT"),
        get("/api/v5/trade/orders-history?instType=SPOT&instId=&after="),
        get("/api/v5/public/instruments?instType=SPOT"),
        get("/api/v5/public/time"),
        get("/api/v5/asset/currencies"),
    ] {
        let outcome = model.check(&request);
        assert!(matches!(outcome, Conformance::Conforming(_)), "{outcome:?}");
    }
}

#[test]
fn what_they_never_would_does_not() {
    use OkxCode::{EmptyBody, EmptyParameter, InactiveEndpoint, JsonSyntax, ParameterError, WrongMethod};
    let model = model();
    let order = |from: &str, to: &str| {
        r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"30000","sz":"0.001"}"#
            .replace(from, to)
    };
    for (body, expected, code, param) in [
        (order("0.001", "-1"), "body/sz: pattern_mismatch", ParameterError, Some("sz")),
        (order("\"0.001\"", "0.001"), "body/sz: wrong_type", ParameterError, Some("sz")),
        (order("buy", "BUY"), "body/side: enum_mismatch", ParameterError, Some("side")),
        (order("BTC-USDT", "' OR 1=1--"), "body/instId: pattern_mismatch", ParameterError, Some("instId")),
        (order("\"px\"", "\"isAdmin\""), "body/isAdmin: unknown_property", ParameterError, Some("isAdmin")),
        (order(",\"sz\":\"0.001\"", ""), "body/sz: missing_parameter", EmptyParameter, Some("sz")),
        (order("\"px\":\"30000\"", "\"sz\":\"9\""), "body: repeated_name", JsonSyntax, None),
        (String::new(), "body: missing_body", EmptyBody, None),
    ] {
        refused(&model, &post("/api/v5/trade/order", &body), expected, code, param);
    }
    for (target, expected, code, param) in [
        ("/account/balance?ccy=BTC&ccy=ETH", "query/ccy: repeated_parameter", ParameterError, Some("ccy")),
        ("/public/instruments", "query/instType: missing_parameter", EmptyParameter, Some("instType")),
        ("/public/time?callback=x", "query/callback: unknown_parameter", ParameterError, Some("callback")),
        ("/admin/users", "path: unknown_route", InactiveEndpoint, None),
    ] {
        refused(&model, &get(&format!("/api/v5{target}")), expected, code, param);
    }
    refused(&model, &post("/api/v5/trade/batch-orders", "[]"), "body: too_few", ParameterError, None);
    refused(&model, &post("/api/v5/public/time", "{}"), "path: method_not_allowed", WrongMethod, None);
}

fn refused(model: &Model, request: &Request<'_>, expected: &str, code: OkxCode, param: Option<&str>) {
    let Conformance::Violations { violations, .. } = model.check(request) else {
        panic!("conforms: {request:?}");
    };
    let first = &violations[0];
    assert_eq!((first.to_string().as_str(), first.okx_code(), first.param()), (expected, code, param));
}
