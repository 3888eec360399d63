//! What is learned admits what was seen, stays within its bounds, and reads as an OpenAPI document.

use proptest::prelude::*;

use super::*;
use crate::check::Conformance;
use crate::model::Model;

const JSON: Option<&str> = Some("application/json");

fn request<'a>(method: &'a str, path: &'a str, query: &'a str, body: &'a str) -> Request<'a> {
    let content_type = if body.is_empty() { None } else { JSON };
    Request { method, path, query: Some(query), content_type, body: body.as_bytes() }
}

fn model(learner: &Learner) -> Model {
    let document = learner.export();
    Model::import(document.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{document}"))
}

#[test]
fn an_order_is_learned_as_a_person_would_write_it() {
    let mut learner = Learner::default();
    for i in 0..64 {
        let side = if i % 3 == 0 { "buy" } else { "sell" };
        let tag = if i % 2 == 0 { r#","tag":"""# } else { "" };
        let body = format!(r#"{{"instId":"BTC-USDT","side":"{side}","sz":"0.{i}1","n":{i}{tag}}}"#);
        let query = if i % 2 == 0 { "demo=true" } else { "" };
        assert_eq!(learner.observe(&request("POST", "/trade/order", query, &body)), Learned::Learned);
        let path = format!("/trade/order/{}", 1_000 + i);
        assert_eq!(learner.observe(&request("GET", &path, "", "")), Learned::Learned);
    }
    let document = learner.export();
    for line in [
        r#""/trade/order/{id}": {"#,
        r#""x-caponier-seen": 64"#,
        r#""format": "decimal""#,
        r#""additionalProperties": false"#,
        r#""buy": 22"#,
    ] {
        assert!(document.contains(line), "{line} in {document}");
    }
    let model = model(&learner);
    let check = |request: &Request<'_>| match model.check(request) {
        Conformance::Conforming(_) => String::new(),
        Conformance::Violations { violations, .. } => violations[0].to_string(),
    };
    let order = |rest: &str| format!(r#"{{"instId":"BTC-USDT","side":"buy","sz":"7.5","n":1{rest}}}"#);
    let post = |body: &str| check(&request("POST", "/trade/order", "", body));
    assert_eq!(post(&order("")), "");
    assert_eq!(post(&order(r#","admin":true"#)), "body/admin: unknown_property");
    assert_eq!(post(&order("").replace("buy", "hold")), "body/side: enum_mismatch");
    assert_eq!(post(&order("").replace("7.5", "1 or 1=1")), "body/sz: format_mismatch");
    assert_eq!(post(&order("").replace(":1}", ":-1}")), "body/n: too_small");
    assert_eq!(post(r#"{"instId":"BTC-USDT"}"#), "body/n: missing_parameter");
    assert_eq!(check(&request("GET", "/trade/order/77", "", "")), "");
    assert_eq!(check(&request("GET", "/trade/order/0x7", "", "")), "path/id: format_mismatch");
    assert_eq!(
        check(&request("POST", "/trade/order", "debug=1", &order(""))),
        "query/debug: unknown_parameter"
    );
}

#[test]
fn what_looks_like_an_id_or_has_many_siblings_is_a_parameter() {
    let mut learner = Learner::default();
    for i in 0..200 {
        let path = format!(
            "/market/c{}/book",
            char::from(b'a' + i % 26).to_string().repeat(usize::from(i / 26) + 1)
        );
        learner.observe(&request("GET", &path, "", ""));
    }
    learner.observe(&request("GET", "/user/123e4567-e89b-12d3-a456-426614174000", "", ""));
    learner.observe(&request("GET", "/user/me", "", ""));
    let model = model(&learner);
    let templates: Vec<&str> = model.routes().iter().map(crate::Route::template).collect();
    assert_eq!(templates, ["/market/{id}/book", "/user/me", "/user/{id}"]);
}

#[test]
fn hostile_traffic_does_not_grow_it_beyond_its_bounds() {
    let bounds = LearnBounds { facts_max: 500, ..LearnBounds::default() };
    let mut learner = Learner::new(bounds);
    let mut n_full = 0;
    for i in 0..20_000 {
        let (path, query, body) = match i % 4 {
            0 => (format!("/a/w{i}x"), String::new(), String::new()),
            1 => ("/b".to_owned(), format!("p{i}=1"), String::new()),
            2 => ("/c".to_owned(), String::new(), format!("{{\"k{i}\":\"v{i}\"}}")),
            _ => (format!("/{i}q/d"), String::new(), format!("[[[{i}]]]")),
        };
        n_full += u32::from(learner.observe(&request("POST", &path, &query, &body)) == Learned::Full);
        assert!(learner.n_facts() <= bounds.facts_max, "{} facts", learner.n_facts());
    }
    assert!(n_full > 0);
    assert!(learner.export().len() < 200_000);
    assert!(!model(&learner).routes().is_empty());
}

#[test]
fn what_no_model_could_admit_is_not_learned() {
    let mut learner = Learner::default();
    let long = "k".repeat(100);
    for request in [
        request("get", "/a", "", ""),
        request("GET", "a", "", ""),
        request("GET", "/%zz", "", ""),
        request("GET", "/a", "b=%ff", ""),
        request("GET", "/a", &format!("{long}=1"), ""),
        request("POST", "/a", "", "{\"a\":1,\"A\":2}"),
        request("POST", "/a", "", "{"),
        request("POST", "/a", "", &format!("[{}1]", "1,".repeat(BODY_VALUES_MAX))),
        Request { content_type: None, ..request("POST", "/a", "", "{}") },
        Request { content_type: Some("*/*"), ..request("POST", "/a", "", "{}") },
    ] {
        assert_eq!(learner.observe(&request), Learned::Unreadable, "{request:?}");
    }
    assert_eq!((learner.n_learned(), learner.n_refused(), learner.n_facts()), (0, 10, 0));
}

/// JSON values of the kinds that bodies have.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        (-50i32..50).prop_map(|n| n.to_string()),
        (-50i32..50).prop_map(|n| format!("{n}.5e1")),
        "[a-c]{0,3}|[ -!#-\\[\\]-~]{0,12}|é|[0-9]{1,4}\\.[0-9]".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map("[a-e]", inner, 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn requests() -> impl Strategy<Value = Vec<(String, String, String, String)>> {
    let path = "(/[a-c]{1,2}){1,2}|/[a-z]/[0-9]{1,3}|/|/[a-z]{1,3}/|/a/%41{1,2}";
    let query = "([a-c]=[a-z0-9+,]{0,4}&){0,3}";
    let one = (
        prop_oneof![Just("GET".to_owned()), Just("POST".to_owned())],
        path,
        query,
        prop_oneof![Just(String::new()), json()],
    );
    prop::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_learned_model_admits_all_it_has_seen(
        requests in requests(),
        siblings_max in 1usize..8,
        properties_max in 1usize..5,
        values_max in 0usize..5,
        samples_min in 1u64..6,
    ) {
        let bounds = LearnBounds { siblings_max, properties_max, values_max, samples_min, ..LearnBounds::default() };
        let mut learner = Learner::new(bounds);
        let mut seen = Vec::new();
        for (method, path, query, body) in &requests {
            let request = request(method, path, query, body);
            if learner.observe(&request) == Learned::Learned {
                seen.push(request);
            }
        }
        prop_assert_eq!(seen.len(), requests.len());
        prop_assert_eq!(learner.n_facts(), learner.root.n_facts());
        let document = learner.export();
        let model = Model::import(document.as_bytes());
        let model = model.map_err(|error| TestCaseError::fail(format!("{error}\n{document}")))?;
        for request in seen {
            let outcome = model.check(&request);
            prop_assert!(matches!(outcome, Conformance::Conforming(_)), "{:?}\n{:?}\n{}", request, outcome, document);
        }
    }
}
