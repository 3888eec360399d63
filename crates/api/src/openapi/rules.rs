//! Rules and models in words and schemas.

use serde_json::{Value, json};

use super::{
    Content, Operation,
    operations::schema,
    schemas::{answer, described, request, text, time},
};
use crate::{limits::RULES_TEXT_BYTES_MAX, problem::Kind, rulebook::RuleCall};

/// A digest for examples.
pub(super) const SHA256: &str = "5f78c33274e43fa9de5659265c1d917e25c03722dcb0b8d27db8d5feaa813953";

/// A body that a call takes.
pub(super) fn body(call: RuleCall) -> Option<Value> {
    let rules = "[pack]\nname = \"withdrawals\"\nversion = \"2\"\n";
    Some(match call {
        RuleCall::Backtest => json!({ "days": 30 }),
        RuleCall::Check => json!({ "text": rules }),
        RuleCall::Keep => json!({ "text": rules, "note": "holds fewer honest customers" }),
        RuleCall::Publish => json!({ "reason": "finds twice as much" }),
        RuleCall::Return => json!({ "from": SHA256, "reason": "alerts doubled" }),
        _ => return None,
    })
}

fn line() -> Value {
    json!({
        "sha256": SHA256, "rules": "withdrawals 2", "by": "user:ann", "at": "2026-11-22T10:00:00.000Z",
        "note": "holds fewer honest customers", "state": "draft", "tested": null,
    })
}

fn job() -> Value {
    json!({
        "backtest": 7, "version": SHA256, "by": "user:ann", "days": 30, "state": "running", "percent": 40,
        "failure": null,
    })
}

pub(super) fn operation(call: RuleCall) -> Operation {
    let (id, summary, description) = words(call);
    let (says, name, example) = match call {
        RuleCall::Backtest => ("It waits or runs.", "BacktestBegun", json!({ "backtest": 7 })),
        RuleCall::BacktestCancel | RuleCall::BacktestShow => ("The backtest.", "Backtest", job()),
        RuleCall::Backtests => {
            ("Backtests, the newest first.", "BacktestList", json!({ "backtests": [job()] }))
        }
        RuleCall::Check => (
            "What is wrong, or what it makes.",
            "RulesChecked",
            json!({
                "compiles": false, "compiled": null, "more": 0,
                "faults": [{ "line": 4, "column": 11, "rule": "drain", "message": "unknown name `amont`", "excerpt": "" }],
            }),
        ),
        RuleCall::Keep | RuleCall::ModelTry => ("Its name.", "RulesKept", json!({ "version": SHA256 })),
        RuleCall::Model => ("The model.", "ModelFile", Value::Null),
        RuleCall::Models => ("Models.", "ModelList", json!({ "models": [], "drift": [], "shifts": [] })),
        RuleCall::Publish => ("It waits for somebody else.", "RulesProposed", json!({ "change": "chg-42" })),
        RuleCall::Return | RuleCall::Shadow | RuleCall::ShadowEnd => {
            ("The version as it is then.", "RulesVersion", Value::Null)
        }
        RuleCall::Rules => {
            ("Rules.", "Rules", json!({ "at_work": [], "versions": [line()], "remembered_since": null }))
        }
        RuleCall::Text => ("The text.", "RulesText", json!({ "version": SHA256, "text": "[pack]\n" })),
        RuleCall::Version => ("The version.", "RulesVersion", Value::Null),
    };
    let sends = match call {
        RuleCall::Backtest => Some("BacktestRequest"),
        RuleCall::Check => Some("RulesCheck"),
        RuleCall::Keep => Some("RulesKeep"),
        RuleCall::Publish => Some("RulesPublish"),
        RuleCall::Return => Some("RulesReturn"),
        _ => None,
    };
    let problems: &'static [Kind] = match call {
        RuleCall::Backtests | RuleCall::Models | RuleCall::Rules => {
            &[Kind::InvalidRequest, Kind::Unavailable]
        }
        _ => &[Kind::InvalidRequest, Kind::NotFound, Kind::RulesConflict, Kind::Unavailable],
    };
    Operation {
        id,
        tag: "rules",
        summary,
        description,
        query: if call == RuleCall::Text {
            vec![("version", text(64), "Absent: the version in force.")]
        } else {
            vec![]
        },
        body: sends
            .map(|name| {
                Content::json(
                    "What is asked.",
                    schema(name),
                    body(call).into_iter().map(|body| ("example", body)).collect(),
                )
            })
            .into_iter()
            .collect(),
        answer: Content::json(
            says,
            schema(name),
            if example.is_null() { vec![] } else { vec![("example", example)] },
        ),
        problems,
    }
}

const fn words(call: RuleCall) -> (&'static str, &'static str, &'static str) {
    match call {
        RuleCall::Backtest => (
            "beginBacktest",
            "Plays the installation's own past through a version.",
            "In the background: ask for it by the number answered. One runs, two wait.",
        ),
        RuleCall::BacktestCancel => {
            ("cancelBacktest", "Ends a backtest before its end.", "What it found so far is dropped.")
        }
        RuleCall::BacktestShow => {
            ("showBacktest", "Shows how far a backtest is.", "What it found stands with the version.")
        }
        RuleCall::Backtests => {
            ("listBacktests", "Lists backtests.", "Of this process; reports stay with versions.")
        }
        RuleCall::Check => (
            "checkRules",
            "Says what is wrong with rules, or what they change.",
            "Compiles them in the bundle in force, runs their examples and compares. Nothing is kept.",
        ),
        RuleCall::Keep => (
            "keepRules",
            "Keeps rules as a version.",
            "Only what compiles, differs from what is in force and has another version under [pack].",
        ),
        RuleCall::Model => ("showModel", "Shows a model.", "Its card, what it looks at, and comparisons."),
        RuleCall::ModelTry => (
            "tryModel",
            "Makes a version of the bundle in force with a model.",
            "Refused where the model belongs to another feature pack.",
        ),
        RuleCall::Models => {
            ("listModels", "Lists models, and how far their world has moved.", "The newest first.")
        }
        RuleCall::Publish => (
            "proposeRules",
            "Proposes to put a version in force.",
            "It must be in shadow. Somebody else approves the change request that is answered, over exactly this version.",
        ),
        RuleCall::Return => (
            "returnToRules",
            "Puts a version in force again that was before.",
            "At once, with the effect it had then. Refused unless from is in force.",
        ),
        RuleCall::Rules => (
            "listRules",
            "Lists rules at work with what they did, and versions.",
            "Counted are decisions and alerts that name a rule.",
        ),
        RuleCall::Shadow => (
            "shadowRules",
            "Lets a version judge live traffic without effect.",
            "Beside the version in force. It needs a backtest first.",
        ),
        RuleCall::ShadowEnd => (
            "endShadowRules",
            "Takes a version out of shadow.",
            "What the configuration names stands there again, if it names anything.",
        ),
        RuleCall::Text => {
            ("readRules", "Gives the text of rules.", "As they were written, comments included.")
        }
        RuleCall::Version => (
            "showRules",
            "Shows a version.",
            "What it changes, its examples, and what its last backtest found.",
        ),
    }
}

/// Everything that has a name.
pub(super) fn components() -> Vec<(&'static str, Value)> {
    let plain = || json!({ "type": "string" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let maybe = |kind: &str| json!({ "type": [kind, "null"] });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let list = |name: &str| json!({ "type": "array", "items": schema(name) });
    let objects = || json!({ "type": "array", "items": { "type": "object" } });
    let object = || json!({ "type": "object" });
    // Something to read, and no control character.
    let words = |bytes_max: usize| {
        let any = "[^\u{0}-\u{1f}\u{7f}-\u{9f}]*";
        let pattern = format!("^{any}[^\u{0}-\u{20}\u{7f}-\u{a0}]{any}$");
        json!({ "type": "string", "minLength": 1, "maxLength": bytes_max, "pattern": pattern })
    };
    let rules = || {
        let text = json!({ "type": "string", "maxLength": RULES_TEXT_BYTES_MAX });
        described(text, "TOML as docs/operating/rules.md describes it.")
    };
    let states = json!({ "type": "string", "enum": ["cancelled", "done", "failed", "running", "waiting"] });
    let fault = answer(
        &[
            ("line", count()),
            ("column", count()),
            ("rule", plain()),
            ("message", plain()),
            ("excerpt", plain()),
        ],
        &[],
    );
    let compiled = answer(
        &[
            ("version", plain()),
            ("rules", plain()),
            ("fixtures", objects()),
            ("added", texts()),
            ("removed", texts()),
            ("changed", objects()),
            ("lists", texts()),
            ("unrehearsed", described(texts(), "Enforced though never watched in shadow as they are.")),
        ],
        &[],
    );
    let line = vec![
        ("sha256", plain()),
        ("rules", plain()),
        ("by", plain()),
        ("at", time()),
        ("note", plain()),
        ("state", plain()),
        ("tested", json!({ "type": ["string", "null"] })),
    ];
    let mut version = line.clone();
    version.extend([
        ("compiled", schema("RulesCompiled")),
        ("found", described(maybe("object"), "What the last backtest found.")),
        ("backtest", maybe("object")),
        ("judged_in_shadow", maybe("integer")),
        ("may_return", json!({ "type": "boolean" })),
    ]);
    let set = answer(
        &[
            ("place", json!({ "type": "string", "enum": ["active", "challenger"] })),
            ("bundle", plain()),
            ("rules", plain()),
            ("version", plain()),
            ("has_effect", json!({ "type": "boolean" })),
            ("lines", objects()),
        ],
        &[],
    );
    let days = json!({ "type": "integer", "minimum": 1, "maximum": 3_650 });
    vec![
        (
            "Backtest",
            answer(
                &[
                    ("backtest", count()),
                    ("version", plain()),
                    ("by", plain()),
                    ("days", count()),
                    ("state", states),
                    ("percent", count()),
                    ("failure", maybe("string")),
                ],
                &[],
            ),
        ),
        ("BacktestBegun", answer(&[("backtest", count())], &[])),
        ("BacktestList", answer(&[("backtests", list("Backtest"))], &[])),
        ("BacktestRequest", request(&[("days", days)], &[])),
        (
            "ModelFile",
            answer(
                &[
                    ("model", object()),
                    ("is_readable", json!({ "type": "boolean" })),
                    ("card", object()),
                    ("limits", plain()),
                    ("importance", objects()),
                    ("calibration", objects()),
                    ("comparisons", objects()),
                    ("found", maybe("object")),
                ],
                &[],
            ),
        ),
        ("ModelList", answer(&[("models", objects()), ("drift", objects()), ("shifts", objects())], &[])),
        (
            "Rules",
            answer(
                &[
                    ("at_work", json!({ "type": "array", "items": set })),
                    ("versions", list("RulesLine")),
                    ("remembered_since", json!({ "type": ["string", "null"] })),
                ],
                &[],
            ),
        ),
        ("RulesCheck", request(&[("text", rules())], &[])),
        (
            "RulesChecked",
            answer(
                &[
                    ("compiles", json!({ "type": "boolean" })),
                    ("faults", json!({ "type": "array", "items": fault })),
                    ("more", count()),
                    ("compiled", maybe("object")),
                ],
                &[],
            ),
        ),
        ("RulesCompiled", compiled),
        ("RulesKeep", request(&[("text", rules()), ("note", words(1_000))], &[])),
        ("RulesKept", answer(&[("version", plain())], &[])),
        ("RulesLine", answer(&line, &[])),
        ("RulesProposed", answer(&[("change", plain())], &[])),
        ("RulesPublish", request(&[("reason", words(1_000))], &[])),
        ("RulesReturn", request(&[("from", words(64)), ("reason", words(1_000))], &[])),
        ("RulesText", answer(&[("version", plain()), ("text", plain())], &[])),
        ("RulesVersion", answer(&version, &[])),
    ]
}
