use std::collections::BTreeSet;

use domain::UnixNanos;
use schema::{Conformance, Model, Request};
use serde_json::{Value, json};

use super::{document, operations};
use crate::{CaseCall, ChangeCall, routes, wire};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi/control-v1.json");
const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

/// A difference is a change of the API: regenerate with `caponier docs openapi > docs/openapi/control-v1.json`.
#[test]
fn the_committed_document_is_what_the_code_generates() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap();
    assert!(
        committed == super::document_text(),
        "docs/openapi/control-v1.json differs; regenerate it with caponier docs openapi"
    );
}

fn operations_of(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

#[test]
fn every_route_is_described_once_with_what_it_needs() {
    let document = document();
    let described = operations_of(&document);
    let ids: BTreeSet<_> =
        described.iter().map(|(.., operation)| operation["operationId"].to_string()).collect();
    assert_eq!(ids.len(), described.len());
    let tags: BTreeSet<_> = operations::TAGS.iter().map(|(name, _)| *name).collect();
    for (.., operation) in &described {
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{operation}");
    }
    for route in routes() {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        assert_eq!(operation["x-permission"], json!(route.permission.as_str()), "{}", route.path);
        for status in ["200", "401", "403", "503"] {
            assert!(operation["responses"][status].is_object(), "{} {status}", route.path);
        }
    }
    for route in crate::OPEN_ROUTES {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        assert_eq!(operation["security"], json!([]), "{}", route.path);
        assert!(operation["x-permission"].is_null(), "{}", route.path);
        assert!(operation["responses"]["401"].is_null(), "{}", route.path);
    }
}

/// One request about each kind of act.
fn acts() -> [Value; 7] {
    use operations::{address_screen, admin_act, api_call, login, order, transfer, withdrawal};
    [withdrawal(), transfer(), login(), order(), api_call(), address_screen(), admin_act()]
}

fn is_decision(text: &str) -> bool {
    let intake = wire::NoIntake::default();
    let judge = wire::Judge { now: NOW, intake: &intake };
    wire::decision_request(text.as_bytes(), wire::Sent::default(), judge).is_ok()
}

/// Every `$ref` leads somewhere.
#[test]
fn no_reference_is_dangling() {
    fn walk<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("$ref", Value::String(text)) => found.push(text),
                        _ => walk(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    walk(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn examples_of_requests_are_accepted_by_the_parsers() {
    assert!(is_event_batch(operations::EVENTS));
    let one = operations::operation(crate::Action::Event(crate::EventCall::Record)).body[1].examples[0]
        .1
        .to_string();
    assert!(one.starts_with('[') && is_event_batch(&one), "{one}");
    for body in acts() {
        assert!(is_decision(&body.to_string()), "{body}");
    }
    wire::screen_request(super::screening::single().to_string().as_bytes(), "a").unwrap();
    let (lines, places, refused) = wire::screen_lines(super::screening::LINES.as_bytes(), "a").unwrap();
    assert_eq!((lines.lines.len(), places, refused.len()), (2, vec![1, 2], 0));
    wire::answer(operations::approval().to_string().as_bytes()).unwrap();
}

fn is_event_batch(text: &str) -> bool {
    let intake = wire::NoIntake::default();
    wire::events(text.as_bytes(), wire::Judge { now: NOW, intake: &intake })
        .is_ok_and(|batch| batch.refused.is_empty())
}

/// A document in which every line of a batch of events is a body, for a checker that knows bodies.
fn checker() -> Model {
    let mut document = document();
    document["paths"]["/v1/events"]["post"]["requestBody"]["content"] =
        json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Event" } } });
    Model::import(document.to_string().as_bytes()).unwrap()
}

fn conforms(model: &Model, path: &str, body: &str) -> bool {
    let request = Request {
        method: "POST",
        path,
        query: None,
        content_type: Some("application/json"),
        body: body.as_bytes(),
    };
    matches!(model.check(&request), Conformance::Conforming(_))
}

/// The gateway's own checker of OpenAPI documents and the parsers agree on what is sent.
#[test]
fn the_document_and_the_parsers_agree() {
    let model = checker();
    let reference = include_str!("../../../../docs/operating/control-api.md");
    let (_, rest) = reference.split_once("```ndjson\n").unwrap();
    let mut seen = BTreeSet::new();
    for line in rest.split_once("```").unwrap().0.lines() {
        assert!(conforms(&model, "/v1/events", line), "{line}");
        let event: Value = serde_json::from_str(line).unwrap();
        seen.insert(event["type"].as_str().unwrap().to_owned());
        for name in event.as_object().unwrap().keys() {
            let mut without = event.clone();
            without.as_object_mut().unwrap().remove(name);
            let text = without.to_string();
            let parsed = is_event_batch(&text);
            assert_eq!(conforms(&model, "/v1/events", &text), parsed, "{text}");
            let mut wrong = event.clone();
            wrong[name] = json!({});
            let text = wrong.to_string();
            assert!(!conforms(&model, "/v1/events", &text) && !is_event_batch(&text), "{text}");
        }
        let mut more = event.clone();
        more["surprise"] = json!(1);
        assert!(!conforms(&model, "/v1/events", &more.to_string()));
    }
    // A new type of event has to be described.
    let described: BTreeSet<_> =
        super::events::event_types().into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(described, seen);

    for body in acts() {
        assert!(conforms(&model, "/v1/decisions", &body.to_string()), "{body}");
        let kind = body["type"].as_str().unwrap();
        let inner = body[kind].as_object().unwrap().keys().map(|name| format!("/{kind}/{name}"));
        let outer = body.as_object().unwrap().keys().map(|name| format!("/{name}"));
        for pointer in outer.chain(inner) {
            for value in [Value::Null, json!({}), json!(-1)] {
                let mut changed = body.clone();
                *changed.pointer_mut(&pointer).unwrap() = value;
                let text = changed.to_string();
                let parsed = is_decision(&text);
                assert_eq!(conforms(&model, "/v1/decisions", &text), parsed, "{text}");
            }
        }
    }
    for (call, path) in
        [(crate::InstallationCall::BanAdd, "/v1/bans"), (crate::InstallationCall::BanLift, "/v1/bans/lift")]
    {
        let body = super::installation::body(call).unwrap();
        for pointer in body.as_object().unwrap().keys().map(|name| format!("/{name}")) {
            for value in [Value::Null, json!({}), json!(-1), json!("192.0.2.7")] {
                let mut changed = body.clone();
                *changed.pointer_mut(&pointer).unwrap() = value;
                let text = changed.to_string();
                let parsed = crate::installation::ban(call, text.as_bytes()).is_ok();
                assert_eq!(conforms(&model, path, &text), parsed, "{text}");
            }
        }
    }
    let limits = super::installation::body(crate::InstallationCall::KeyRestrict).unwrap();
    for name in limits.as_object().unwrap().keys() {
        for value in [json!({}), json!(-1), json!([]), json!(""), json!("BTC-USDT")] {
            let mut changed = limits.clone();
            changed[name] = value;
            let text = changed.to_string();
            let parsed = crate::installation::limits(text.as_bytes()).is_ok();
            assert_eq!(conforms(&model, "/v1/keys/k-1/restrict", &text), parsed, "{text}");
        }
    }
    for (call, name) in [
        (CaseCall::Approve, "approve"),
        (CaseCall::Assign, "assign"),
        (CaseCall::Decline, "decline"),
        (CaseCall::Note, "notes"),
        (CaseCall::Propose, "propose"),
        (CaseCall::Resolve, "resolve"),
    ] {
        let body = super::cases::body(call).unwrap();
        let path = format!("/v1/cases/case-7/{name}");
        let parses = |text: &str| crate::cases::ask(call, text.as_bytes(), |_| Ok(7)).is_ok();
        assert!(conforms(&model, &path, &body.to_string()) && parses(&body.to_string()), "{body}");
        for field in body.as_object().unwrap().keys() {
            for value in [Value::Null, json!({}), json!(-1), json!("")] {
                let mut changed = body.clone();
                changed[field] = value;
                let text = changed.to_string();
                // What is no id of a decision is known to the installation alone.
                if field != "decision" || text.contains(":{}") {
                    assert_eq!(conforms(&model, &path, &text), parses(&text), "{text}");
                }
            }
        }
    }
    for (call, path) in [
        (crate::AppealCall::Bring, "/v1/appeals"),
        (crate::AppealCall::Answer, "/v1/appeals/appeal-12/answer"),
    ] {
        let parses = |text: &str| match call {
            crate::AppealCall::Bring => crate::appeals::new_appeal(text.as_bytes()).is_ok(),
            _ => crate::appeals::answer(text.as_bytes()).is_ok(),
        };
        let body = super::appeals::body(call).unwrap();
        assert!(conforms(&model, path, &body.to_string()) && parses(&body.to_string()), "{body}");
        for field in body.as_object().unwrap().keys() {
            for value in [Value::Null, json!({}), json!(-1), json!(""), json!("ban"), json!(" \n")] {
                let mut changed = body.clone();
                changed[field] = value;
                let text = changed.to_string();
                assert_eq!(conforms(&model, path, &text), parses(&text), "{text}");
            }
        }
    }
    for text in [
        r#"{"label":"fraud"}"#,
        r#"{"label":"nice"}"#,
        r#"{"label":null}"#,
        "{}",
        r#"{"label":"fraud","x":1}"#,
    ] {
        let parses = crate::decisions::label_body(text.as_bytes()).is_ok();
        assert_eq!(conforms(&model, "/v1/decisions/dec-7-aa/label", text), parses, "{text}");
    }
    for (call, name) in [
        (ChangeCall::Approve, "approve"),
        (ChangeCall::Decline, "decline"),
        (ChangeCall::Withdraw, "withdraw"),
    ] {
        let path = format!("/v1/changes/chg-42/{name}");
        let parses = |text: &str| match call {
            ChangeCall::Approve => crate::changes::approval(text.as_bytes()).is_ok(),
            ChangeCall::Decline => crate::changes::refusal(text.as_bytes()).is_ok(),
            _ => text == "{}",
        };
        let body = super::changes::body(call).unwrap();
        assert!(conforms(&model, &path, &body.to_string()) && parses(&body.to_string()), "{body}");
        for field in body.as_object().unwrap().keys() {
            for value in [Value::Null, json!({}), json!(-1), json!(""), json!("A0")] {
                let text = json!({ (field.clone()): value }).to_string();
                assert_eq!(conforms(&model, &path, &text), parses(&text), "{text}");
            }
        }
        assert!(!conforms(&model, &path, r#"{"surprise":1}"#) && !parses(r#"{"surprise":1}"#));
    }
    for route in routes() {
        let crate::Action::Emergency(call) = route.action else { continue };
        let Some(body) = super::emergency::body(call) else { continue };
        let parses = |text: &str| crate::emergency::ask(call, text.as_bytes()).is_ok();
        assert!(conforms(&model, route.path, &body.to_string()) && parses(&body.to_string()), "{body}");
        for field in body.as_object().unwrap().keys() {
            for value in
                [Value::Null, json!({}), json!(-1), json!(0), json!(""), json!(" "), json!("account:a")]
            {
                let mut changed = body.clone();
                changed[field] = value;
                let text = changed.to_string();
                assert_eq!(conforms(&model, route.path, &text), parses(&text), "{text}");
            }
        }
    }
    for route in routes() {
        let crate::Action::Webhook(call) = route.action else { continue };
        let Some(body) = super::webhooks::body(call) else { continue };
        let parses = |text: &str| crate::webhooks::ask(call, text.as_bytes()).is_ok();
        assert!(conforms(&model, route.path, &body.to_string()) && parses(&body.to_string()), "{body}");
        for field in body.as_object().unwrap().keys() {
            for value in [
                Value::Null,
                json!({}),
                json!(-1),
                json!([]),
                json!(169),
                json!("Not One"),
                json!("decision.x"),
            ] {
                let mut changed = body.clone();
                changed[field] = value;
                let text = changed.to_string();
                // What types are called, the pattern does not say; null is the same as absent.
                let is_strict = field != "events" && !changed[field].is_null();
                let (conforms, parses) = (conforms(&model, route.path, &text), parses(&text));
                assert!(
                    if is_strict {
                        conforms == parses
                    } else {
                        conforms || !parses || changed[field].is_null()
                    },
                    "{text}"
                );
            }
        }
        assert!(!parses(r#"{"surprise":1}"#));
    }
    let approval = operations::approval();
    let path = "/v1/oauth/authorizations/x";
    assert!(conforms(&model, path, &approval.to_string()));
    for name in approval.as_object().unwrap().keys() {
        let mut changed = approval.clone();
        changed[name] = json!({});
        let text = changed.to_string();
        assert!(!conforms(&model, path, &text) && wire::answer(text.as_bytes()).is_err(), "{text}");
    }
    assert!(conforms(&model, path, r#"{"decision":"deny"}"#));
}

#[test]
fn the_page_shows_every_call_and_loads_nothing() {
    let (page, policy) = super::page();
    for (method, path, operation) in operations_of(&document()) {
        assert!(page.contains(&format!("<code>{method} {path}</code>")), "{method} {path}");
        assert!(page.contains(&format!("id=\"{}\"", operation["operationId"].as_str().unwrap())));
    }
    assert!(!page.contains("null</pre>"), "an example is empty");
    for outside in ["<script", "src=", "http://", "//cdn", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
}
