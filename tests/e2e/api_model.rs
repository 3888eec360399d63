//! The model of the API: learned from traffic, reviewed as a document, reported by, enforced.

use std::fs;

use http::Method;
use serde_json::Value;

use crate::support::{BALANCE, House, ORDER, ROOT, Settings, caponier, order};

/// What customers do becomes a document; the document lets them go on and refuses what nobody did.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_is_enforced_after_review() {
    let settings = Settings { more: "[api_model]\nlearn = \"on\"\n", ..Settings::default() };
    let house = House::build(settings).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let mut client = house.client(&serving, &key);
    for number in 0..20 {
        let answer = client.call(Method::POST, ORDER, &order(&format!("learned{number}"))).await.unwrap();
        assert_eq!(answer.code(), "0");
        let balance = format!("{BALANCE}?ccy=USDT");
        assert_eq!(client.call(Method::GET, &balance, "").await.unwrap().code(), "0");
    }
    let learned = house.ask(&["model", "learned"]).exits(0).json();
    let document = house.path("learned.json");
    fs::write(&document, learned.to_string()).unwrap();
    let checked = caponier(&["--json", "model", "check", document.to_str().unwrap()]).exits(0).json();
    assert_eq!(checked["operations"].as_array().unwrap().len(), 2, "{checked}");

    // Report: everything passes, departures are counted.
    let config = fs::read_to_string(house.config()).unwrap();
    let with = |more: &str| {
        config.replace("[api_model]\n", &format!("[api_model]\ndocument = \"learned.json\"\n{more}"))
    };
    fs::write(house.config(), with("")).unwrap();
    let reloaded = house.ask(&["reload"]).exits(0).json();
    assert_eq!(reloaded["in_force"], serde_json::json!(["api_model.document"]));
    let strange = format!("{BALANCE}?ccy=USDT&debug=1");
    assert_eq!(client.call(Method::GET, &strange, "").await.unwrap().code(), "0");

    // Enforce one operation only.
    fs::write(house.config(), with("enforce = [\"POST /api/v5/trade/order\"]\n")).unwrap();
    house.ask(&["reload"]).exits(0);
    assert_eq!(client.call(Method::GET, &strange, "").await.unwrap().code(), "0");
    let mut odd: Value = serde_json::from_str(&order("odd")).unwrap();
    odd["backdoor"] = Value::from("1");
    let refused = client.call(Method::POST, ORDER, &odd.to_string()).await.unwrap();
    assert_eq!(refused.code(), "51000", "{refused:?}");
    assert_eq!(client.call(Method::POST, ORDER, &order("plain")).await.unwrap().code(), "0");

    // Enforce everything: routes that nobody used are closed.
    fs::write(house.config(), with("mode = \"enforce\"\n")).unwrap();
    house.ask(&["reload"]).exits(0);
    assert_eq!(client.call(Method::GET, &strange, "").await.unwrap().code(), "51000");
    let unused = client.call(Method::GET, "/api/v5/asset/currencies", "").await.unwrap();
    assert_eq!(unused.code(), "50005", "{unused:?}");
    let balance = format!("{BALANCE}?ccy=USDT");
    assert_eq!(client.call(Method::GET, &balance, "").await.unwrap().code(), "0");

    // A document that cannot be compiled, or a policy for what is not in it, changes nothing.
    fs::write(&document, "{\"openapi\": \"3.1.0\", \"paths\": 7}").unwrap();
    house.ask(&["reload"]).exits(65);
    fs::write(&document, learned.to_string()).unwrap();
    fs::write(house.config(), with("off = [\"GET /nowhere\"]\n")).unwrap();
    assert!(house.ask(&["reload"]).exits(64).text().contains("GET /nowhere"));
    assert_eq!(client.call(Method::GET, &strange, "").await.unwrap().code(), "51000");
    assert_eq!(serving.stop(), 0);
}

/// The document of the simulated exchange compiles and says what it does not check.
#[test]
fn the_exchanges_document_compiles() {
    let document = format!("{ROOT}/docs/openapi/okx-v5.json");
    let checked = caponier(&["--json", "model", "check", &document]).exits(0).json();
    assert!(checked["operations"].as_array().unwrap().len() > 10, "{checked}");
    assert_eq!(caponier(&["model", "check", &format!("{ROOT}/README.md")]).code, 65);
}
