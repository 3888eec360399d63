//! Addresses screened, and those that models suspect.

use super::*;

#[tokio::test]
async fn suspicions_come_in_pages() {
    let api = start().await;
    let page = api.get("/v1/suspicions?limit=2&after=5").await;
    assert_eq!((page.status, &page.body["next"]), (200, &json!("7")), "{}", page.body);
    let entries: Vec<&Value> =
        page.body["suspicions"].as_array().unwrap().iter().map(|one| &one["entry"]).collect();
    assert_eq!(entries, [&json!(5), &json!(6)]);
    let first = &page.body["suspicions"][0];
    assert_eq!((&first["probability"], &first["model"]), (&json!(0.9), &json!("01".repeat(32))), "{first}");
    assert_eq!(api.get("/v1/suspicions").await.body["next"], Value::Null);
    for (query, field) in [("limit=0", "limit"), ("limit=201", "limit"), ("after=x", "after"), ("of=x", "of")]
    {
        let refused = api.get(&format!("/v1/suspicions?{query}")).await;
        assert_eq!((refused.status, refused.body["field"].as_str()), (400, Some(field)), "{query}");
    }
}

#[tokio::test]
async fn addresses_are_screened_one_by_one_or_many_at_once() {
    let api = start().await;
    let one = r#"{"address":"bad","network":"tron","reference":"w-1"}"#;
    let found = api.post("/v1/screen", one).await;
    assert_eq!(found.status, 200);
    assert_eq!(
        found.body,
        json!({ "id": "scr-1", "address": "bad", "verdict": "deny", "lists": [{ "name": "ofac" }] })
    );
    for (body, field) in [
        (r#"{"network":"tron"}"#, "address"),
        (r#"{"address":"x","network":"dogecoin"}"#, "network"),
        (r#"{"address":"x","adress":"y"}"#, "adress"),
        (r#"{"address":""}"#, "address"),
        ("[]", ""),
    ] {
        let refused = api.post("/v1/screen", body).await;
        assert_eq!(
            (refused.status, refused.body["field"].as_str().unwrap_or_default()),
            (400, field),
            "{body}"
        );
    }
    let taken = r#"{"address":"x","idempotency_key":"taken"}"#;
    assert_eq!(api.post("/v1/screen", taken).await.status, 422);

    let many = "{\"address\":\"good\"}\n\n{\"address\":7}\n{\"address\":\"bad\"}\n";
    let ndjson = "Content-Type: application/x-ndjson; charset=utf-8\r\n";
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(raw("POST", "/v1/screen", Some(TOKEN), ndjson, many).as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("content-type: application/x-ndjson"), "{head}");
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            json!({ "line": 1, "address": "good", "verdict": "allow" }),
            json!({ "line": 3, "refused": { "field": "address", "reason": "expected a string, got a number" } }),
            json!({ "line": 4, "address": "bad", "verdict": "deny" }),
            json!({ "summary": { "id": "scr-1", "screened": 2, "refused": 1, "found": 1, "lists": [{ "name": "ofac" }] } }),
        ]
    );
    let flood = "{\"address\":\"x\"}\n".repeat(limits::SCREEN_LINES_MAX + 1);
    let refused = api.exchange(&raw("POST", "/v1/screen", Some(TOKEN), ndjson, &flood)).await;
    assert_eq!(refused.status, 413);
}
