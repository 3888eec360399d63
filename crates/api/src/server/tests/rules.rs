//! Calls about rules and models: what reaches the port, and how its refusals are told.

use domain::Actor;

use super::*;
use crate::{RuleAsk, Rulebook, RulebookError};

impl Rulebook for Backstage {
    fn ask(&self, actor: Actor, ask: RuleAsk) -> BoxFuture<'_, Result<Value, RulebookError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let why = || "because".to_owned();
            match &ask {
                RuleAsk::Version(name) if name == "conflict" => Err(RulebookError::Conflict { why: why() }),
                RuleAsk::Version(name) if name == "invalid" => Err(RulebookError::Invalid { why: why() }),
                RuleAsk::Version(name) if name == "missing" => Err(RulebookError::NotFound { why: why() }),
                RuleAsk::Version(name) if name == "down" => {
                    Err(RulebookError::Unavailable { why: "/secret/path".to_owned() })
                }
                RuleAsk::Version(name) if name == "busy" => Err(RulebookError::Busy),
                _ => Ok(json!({ "asked": format!("{ask:?}"), "by": actor.to_string() })),
            }
        })
    }
}

#[tokio::test]
async fn what_is_asked_about_rules_arrives_as_it_was_meant() {
    let api = start().await;
    for (method, path, body, asked) in [
        ("GET", "/v1/rules", "", "Rules"),
        ("GET", "/v1/rules/text", "", "Text(None)"),
        ("GET", "/v1/rules/text?version=ab", "", "Text(Some(\"ab\"))"),
        ("POST", "/v1/rules/check", r#"{"text":"a\nb"}"#, r#"Check("a\nb")"#),
        ("POST", "/v1/rules/versions", r#"{"text":"a","note":"n"}"#, r#"Keep { text: "a", note: "n" }"#),
        ("GET", "/v1/rules/versions/ab", "", "Version(\"ab\")"),
        ("POST", "/v1/rules/versions/ab/backtest", r#"{"days":3}"#, r#"Backtest { version: "ab", days: 3 }"#),
        ("POST", "/v1/rules/versions/ab/shadow", "", "Shadow(\"ab\")"),
        ("POST", "/v1/rules/versions/ab/shadow-end", "", "ShadowEnd(\"ab\")"),
        (
            "POST",
            "/v1/rules/versions/ab/publish",
            r#"{"reason":"r"}"#,
            r#"Publish { version: "ab", reason: "r" }"#,
        ),
        (
            "POST",
            "/v1/rules/versions/ab/return",
            r#"{"from":"cd","reason":"r"}"#,
            r#"Return { version: "ab", from: "cd", reason: "r" }"#,
        ),
        ("GET", "/v1/backtests", "", "Backtests"),
        ("GET", "/v1/backtests/7", "", "BacktestShow(7)"),
        ("POST", "/v1/backtests/7/cancel", "", "BacktestCancel(7)"),
        ("GET", "/v1/models", "", "Models"),
        ("GET", "/v1/models/ab", "", "Model(\"ab\")"),
        ("POST", "/v1/models/ab/try", "", "ModelTry(\"ab\")"),
    ] {
        let answer = api.exchange(&raw(method, path, Some(TOKEN), "", body)).await;
        let told = answer.body["asked"].as_str();
        assert_eq!((answer.status, told), (200, Some(asked)), "{method} {path}: {answer:?}");
        assert_eq!(answer.body["by"], "service:all", "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_meant_reaches_nobody_and_refusals_are_problems() {
    let api = start().await;
    let long = "x".repeat(limits::RULES_TEXT_BYTES_MAX + 1);
    for (method, path, body, status) in [
        ("GET", "/v1/rules?x=1", String::new(), 400),
        ("GET", "/v1/rules/text?version=a&version=b", String::new(), 400),
        ("POST", "/v1/rules/check", "{}".to_owned(), 400),
        ("POST", "/v1/rules/check", json!({ "text": long }).to_string(), 400),
        ("POST", "/v1/rules/check", "x".repeat(limits::RULES_BODY_BYTES_MAX + 1), 413),
        ("POST", "/v1/rules/versions", json!({ "text": "a", "note": " " }).to_string(), 400),
        ("POST", "/v1/rules/versions", json!({ "text": "a", "note": "n", "x": 1 }).to_string(), 400),
        ("POST", "/v1/rules/versions/a/backtest", json!({ "days": -1 }).to_string(), 400),
        ("POST", "/v1/rules/versions/a/return", json!({ "reason": "r" }).to_string(), 400),
        ("GET", "/v1/backtests/seven", String::new(), 404),
    ] {
        let answer = api.exchange(&raw(method, path, Some(TOKEN), "", &body)).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    assert_eq!(api.backstage.reached.load(Ordering::SeqCst), 0);
    for (name, status, kind) in [
        ("conflict", 409, "rules-conflict"),
        ("invalid", 400, "invalid-request"),
        ("missing", 404, "not-found"),
        ("down", 503, "unavailable"),
        ("busy", 503, "busy"),
    ] {
        let answer = api.get(&format!("/v1/rules/versions/{name}")).await;
        assert_problem(&answer, status, kind);
        assert!(!answer.body.to_string().contains("secret"), "{answer:?}");
    }
}
