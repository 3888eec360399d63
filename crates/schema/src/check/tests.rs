//! Requests against a document, one departure at a time.

use super::*;
use crate::bounds::VIOLATIONS_MAX;
use crate::violation::OkxCode;

const DOCUMENT: &str = r##"{
  "openapi": "3.1.0", "info": {"title": "t", "version": "1"},
  "paths": {
    "/order": {
      "post": {"requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}},
      "get": {"parameters": [
        {"name": "instId", "in": "query", "required": true, "schema": {"type": "string", "pattern": "^[A-Z0-9]+-[A-Z]+$"}},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
        {"name": "ccy", "in": "query", "explode": false, "schema": {"type": "array", "maxItems": 2, "items": {"enum": ["BTC", "ETH", "USDT"]}}},
        {"name": "state", "in": "query", "schema": {"type": "array", "minItems": 2, "items": {"type": "string", "maxLength": 4}}},
        {"name": "after", "in": "query", "allowEmptyValue": true, "schema": {"type": "integer"}},
        {"name": "live", "in": "query", "schema": {"type": "boolean"}}
      ]}
    },
    "/order/{id}": {"delete": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "format": "int64", "minimum": 1}}]}}
  },
  "components": {"schemas": {
    "Order": {
      "type": "object", "additionalProperties": false, "required": ["instId", "sz", "uid"],
      "properties": {
        "instId": {"type": "string", "minLength": 3, "maxLength": 20},
        "sz": {"type": "string", "format": "decimal", "maxLength": 24},
        "side": {"enum": ["buy", "sell"]},
        "n": {"type": ["integer", "null"], "minimum": 0, "exclusiveMaximum": 10, "multipleOf": 2},
        "tags": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string"}},
        "uid": {"type": "string", "readOnly": true},
        "map": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "boolean"}},
        "leg": {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "no": {"not": {"type": "number"}},
        "any": {"anyOf": [{"type": "integer"}, {"const": "max"}]},
        "self": {"$ref": "#/components/schemas/Order"}
      }
    }
  }}
}"##;

fn model() -> Model {
    Model::import(DOCUMENT.as_bytes()).unwrap()
}

fn said(model: &Model, request: &Request<'_>) -> Vec<String> {
    match model.check(request) {
        Conformance::Conforming(_) => Vec::new(),
        Conformance::Violations { violations, .. } => {
            assert!((1..=VIOLATIONS_MAX).contains(&violations.len()));
            violations.iter().map(ToString::to_string).collect()
        }
    }
}

fn post(body: &[u8]) -> Request<'_> {
    Request { method: "POST", path: "/order", query: None, content_type: Some("application/json"), body }
}

fn get(query: &str) -> Request<'_> {
    Request { method: "GET", path: "/order", query: Some(query), content_type: None, body: b"" }
}

#[test]
fn bodies() {
    let model = model();
    let with = |rest: &str| format!("{{\"instId\":\"BTC-USDT\",\"sz\":\"0.1\"{rest}}}");
    for rest in [
        "",
        r#","side":"buy""#,
        r#","side":"\u0062uy""#,
        r#","n":4.0"#,
        r#","n":null"#,
        r#","tags":["",""]"#,
        r#","map":{"x":true}"#,
        r#","leg":{"a":1}"#,
        r#","no":"x""#,
        r#","any":7"#,
        r#","any":"max""#,
        r#", "self" : { "instId" : "ETH-USDT" , "sz" : "1" } "#,
    ] {
        let body = with(rest);
        assert_eq!(said(&model, &post(body.as_bytes())), [""; 0], "{body}");
    }
    for (rest, expected) in [
        (r#","side":"hold""#, "body/side: enum_mismatch"),
        (r#","side":{}"#, "body/side: enum_mismatch"),
        (r#","n":"4""#, "body/n: wrong_type"),
        (r#","n":4.5"#, "body/n: wrong_type"),
        (r#","n":3"#, "body/n: wrong_step"),
        (r#","n":10"#, "body/n: too_large"),
        (r#","n":-2"#, "body/n: too_small"),
        (r#","tags":[]"#, "body/tags: too_few"),
        (r#","tags":["","","",""]"#, "body/tags: too_many"),
        (r#","tags":["",1]"#, "body/tags/1: wrong_type"),
        (r#","tags":{}"#, "body/tags: wrong_type"),
        (r#","uid":"x""#, "body/uid: read_only_property"),
        (r#","map":{"x":1}"#, "body/map/x: wrong_type"),
        (r#","map":{"x":true,"y":true,"z":true}"#, "body/map: too_many"),
        (r#","leg":{"a":1,"b":1}"#, "body/leg: schema_conflict"),
        (r#","leg":{}"#, "body/leg: schema_mismatch"),
        (r#","no":1"#, "body/no: schema_conflict"),
        (r#","any":"min""#, "body/any: schema_mismatch"),
        (r#","admin":true"#, "body/admin: unknown_property"),
        (r#","self":{"instId":"x"}"#, "body/self/instId: too_short"),
        (r#","INSTID":"x""#, "body: repeated_name"),
        (r#","\u006e":1"#, "body: ambiguous_name"),
        (r#",}"#, "body: malformed"),
    ] {
        let body = with(rest);
        let said = said(&model, &post(body.as_bytes()));
        assert_eq!(said.first().map(String::as_str), Some(expected), "{body}");
    }
    assert_eq!(
        said(&model, &post(b"{\"instId\":\"aaaaaaaaaaaaaaaaaaaaa\"}")),
        ["body/instId: too_long", "body/sz: missing_parameter"]
    );
    assert_eq!(said(&model, &post(b"{\"instId\":\"abc\",\"sz\":\"1,5\"}")), ["body/sz: format_mismatch"]);
    assert_eq!(said(&model, &post(b"[]")), ["body: wrong_type"]);
    assert_eq!(said(&model, &post(b"")), ["body: missing_body"]);
    let deep = "[".repeat(100);
    assert_eq!(said(&model, &post(deep.as_bytes())), ["body: too_deep"]);
}

#[test]
fn queries_and_paths() {
    let model = model();
    for query in [
        "instId=BTC-USDT",
        "&instId=BTC%2DUSDT&",
        "instId=BTC-USDT&limit=100&ccy=BTC,ETH&state=a&state=b&after=&live=true",
        "instId=BTC-USDT&ccy=BTC%2CUSDT",
    ] {
        assert_eq!(said(&model, &get(query)), [""; 0], "{query}");
    }
    for (query, expected) in [
        ("", "query/instId: missing_parameter"),
        ("instId=btc", "query/instId: pattern_mismatch"),
        ("instId=A-B&instId=A-B", "query/instId: repeated_parameter"),
        ("instId=A-B&limit=0", "query/limit: too_small"),
        ("instId=A-B&limit=1000", "query/limit: too_large"),
        ("instId=A-B&limit=+1", "query/limit: wrong_type"),
        ("instId=A-B&limit=1e1x", "query/limit: wrong_type"),
        ("instId=A-B&limit=", "query/limit: wrong_type"),
        ("instId=A-B&ccy=BTC,DOGE", "query/ccy: enum_mismatch"),
        ("instId=A-B&ccy=BTC,ETH,USDT", "query/ccy: too_many"),
        ("instId=A-B&state=a", "query/state: too_few"),
        ("instId=A-B&state=a&state=bcdef", "query/state: too_long"),
        ("instId=A-B&live=TRUE", "query/live: wrong_type"),
        ("instId=A-B&debug=1", "query/debug: unknown_parameter"),
        ("instId=A-B&InstId=A-B", "query/InstId: unknown_parameter"),
        ("instId=%ff", "query/instId: malformed"),
    ] {
        let said = said(&model, &get(query));
        assert_eq!(said.first().map(String::as_str), Some(expected), "{query}");
    }
    let delete = |path| Request { method: "DELETE", path, query: None, content_type: None, body: b"" };
    assert_eq!(said(&model, &delete("/order/7")), [""; 0]);
    assert_eq!(said(&model, &delete("/order/%37")), [""; 0]);
    assert_eq!(said(&model, &delete("/order/7a")), ["path/id: wrong_type"]);
    assert_eq!(said(&model, &delete("/order/0")), ["path/id: too_small"]);
    assert_eq!(said(&model, &delete("/order/9223372036854775808")), ["path/id: too_large"]);
    assert_eq!(said(&model, &delete("/order/%zz")), ["path/id: malformed"]);
    assert_eq!(said(&model, &delete("/order")), ["path: method_not_allowed"]);
    assert_eq!(said(&model, &delete("/orders")), ["path: unknown_route"]);
    assert_eq!(said(&model, &Request { body: b"{}", ..delete("/order/7") }), ["body: unexpected_body"]);
}

#[test]
fn media_types() {
    let model = model();
    let body = br#"{"instId":"BTC-USDT","sz":"1"}"#;
    for content_type in
        ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\";x"]
    {
        let request = Request { content_type: Some(content_type), ..post(body) };
        assert_eq!(said(&model, &request), [""; 0], "{content_type}");
    }
    for content_type in [
        None,
        Some(""),
        Some("text/json"),
        Some("application/json; charset=utf-16"),
        Some("application/jsonx"),
    ] {
        let request = Request { content_type, ..post(body) };
        assert_eq!(said(&model, &request), ["body: unsupported_media_type"], "{content_type:?}");
    }
}

#[test]
fn the_exchange_s_codes() {
    let model = model();
    let first = |request: &Request<'_>| match model.check(request) {
        Conformance::Violations { violations, .. } => {
            (violations[0].okx_code(), violations[0].param().map(str::to_owned))
        }
        Conformance::Conforming(_) => panic!("conforms"),
    };
    assert_eq!(first(&get("")), (OkxCode::EmptyParameter, Some("instId".to_owned())));
    assert_eq!(first(&get("instId=A-B&limit=0")), (OkxCode::ParameterError, Some("limit".to_owned())));
    assert_eq!(first(&get("instId=%ff")), (OkxCode::ParameterError, Some("instId".to_owned())));
    assert_eq!(first(&post(b"")), (OkxCode::EmptyBody, None));
    assert_eq!(first(&post(b"{")), (OkxCode::JsonSyntax, None));
    assert_eq!(
        first(&post(br#"{"instId":"abc","sz":"1","tags":[1]}"#)),
        (OkxCode::ParameterError, Some("tags".to_owned()))
    );
    assert_eq!(first(&Request { path: "/x", ..get("") }).0, OkxCode::InactiveEndpoint);
    assert_eq!(first(&Request { method: "PUT", ..get("") }).0, OkxCode::WrongMethod);
    assert_eq!(first(&Request { content_type: None, ..post(b"{}") }).0, OkxCode::WrongContentType);
    assert_eq!(OkxCode::ParameterError.code(), 51000);
}

#[test]
fn violations_are_bounded() {
    let model = model();
    let members: Vec<String> = (0..500).map(|i| format!("\"x{i}\":1")).collect();
    let body = format!("{{{}}}", members.join(","));
    assert_eq!(said(&model, &post(body.as_bytes())).len(), VIOLATIONS_MAX);
    let query: Vec<String> = (0..500).map(|i| format!("x{i}=1")).collect();
    assert_eq!(said(&model, &get(&query.join("&"))).len(), VIOLATIONS_MAX);
    let long = "k".repeat(5_000);
    let query = format!("instId=A-B&{long}=1");
    assert!(said(&model, &get(&query))[0].len() < 200);
}

#[test]
fn schemas_that_fan_out_cannot_be_made_to() {
    // Each level tries each alternative below twice: 2^depth ways without a budget.
    let document = r##"{"openapi":"3.1.0","info":{},"components":{"schemas":{"L":{"oneOf":[
        {"type":"array","items":{"$ref":"#/components/schemas/L"}},
        {"type":"array","items":{"$ref":"#/components/schemas/L"}},
        {"type":"string"}]}}},"paths":{"/order":{"post":{"requestBody":{"content":{"application/json":
        {"schema":{"$ref":"#/components/schemas/L"}}}}}}}}"##;
    let model = Model::import(document.as_bytes()).unwrap();
    let body = format!("{}\"x\"{}", "[".repeat(60), "]".repeat(60));
    let said = said(&model, &post(body.as_bytes()));
    assert!(said.len() == 1 && said[0].ends_with("too_complex"), "{said:?}");
}
