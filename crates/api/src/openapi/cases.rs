//! The calls about cases and alerts, described.

use domain::{AccountId, Actor, Amount, Asset, ReasonCode, UnixNanos, Verdict};
use fraud::cases::{
    Action, AtRisk, Case, CaseAction, CaseEntry, Cases, Disposition, Entity, Held, NAME_BYTES_MAX, PAGE_MAX,
    Priority, Review, Source, TEXT_BYTES_MAX, Trigger,
};
use serde_json::{Value, json};

use super::{
    Content, Operation,
    operations::{plain, schema},
    schemas::{account, amount, answer, described, request, text, time},
};
use crate::{
    CaseCall, CaseFile, DecisionReview, alerts_json, case_json, cases::PAGE_DEFAULT, cases_json,
    problem::Kind,
};

/// 2026-11-22T10:00:00Z.
const AT: UnixNanos = UnixNanos::from_secs(1_795_341_600);
const ID: &str = "dec-7-00112233445566aa";

/// How far the release of the example's decision is.
pub(super) fn sample_review() -> DecisionReview {
    DecisionReview { case: 7, review: Review::Held, used_by: None, now: AT }
}

/// A fold with a case somebody works on and an alert.
fn sample() -> Option<Cases> {
    let mut cases = Cases::default();
    let account = AccountId::parse("u-1001").ok()?;
    let trigger = Trigger {
        source: Source::Decision,
        position: 7,
        at: AT,
        entity: Entity::Account(account),
        code: "fraud.balance_drain".to_owned(),
        verdict: Verdict::Hold,
        at_risk: AtRisk::Asset { asset: Asset::parse("USDT").ok()?, amount: Amount::parse("1000").ok()? },
        probability_ppm: Some(250_000),
        alert: None,
        held: Some(Held { fingerprint: [7; 16], reasons: vec![ReasonCode::new("fraud.balance_drain")] }),
        about: None,
    };
    cases.trigger(&trigger);
    cases.trigger(&Trigger {
        source: Source::FraudAlert,
        position: 8,
        alert: Some("alert-1".to_owned()),
        held: None,
        about: Some(6),
        ..trigger
    });
    let action =
        Action::Propose { decision: 7, until: UnixNanos(AT.0 + 1), reason: "confirmed by phone".to_owned() };
    let actor: Actor = "service:desk".parse().ok()?;
    cases.apply(9, AT, CaseEntry::Action(CaseAction { case: 7, revision: 0, actor, action })).ok()?;
    Some(cases)
}

fn sample_file() -> Option<CaseFile> {
    let case = sample()?.case(7)?.clone();
    Some(CaseFile { case, decisions: [(7, ID.to_owned())].into(), now: AT })
}

fn sample_case() -> Value {
    sample_file().map_or(Value::Null, |file| case_json(&file))
}

fn sample_page() -> Value {
    sample_file().map_or(Value::Null, |file| cases_json(&[file], false))
}

fn sample_alerts() -> Value {
    sample().map_or(Value::Null, |cases| alerts_json(&cases.alerts(None).cloned().collect::<Vec<_>>(), false))
}

/// A body that each call about a case takes.
pub(super) fn body(call: CaseCall) -> Option<Value> {
    Some(match call {
        CaseCall::AlertStream | CaseCall::Alerts | CaseCall::List | CaseCall::Show => return None,
        CaseCall::Approve => json!({ "revision": 1, "decision": ID }),
        CaseCall::Assign => json!({ "revision": 0, "to": "ann" }),
        CaseCall::Decline => json!({ "revision": 1, "decision": ID, "reason": "he did not answer" }),
        CaseCall::Note => json!({ "revision": 0, "text": "called the number on file" }),
        CaseCall::Propose => json!({ "revision": 0, "decision": ID, "reason": "confirmed by phone" }),
        CaseCall::Resolve => {
            json!({ "revision": 2, "disposition": "legitimate", "reason": "confirmed by phone" })
        }
    })
}

fn paging() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("after", text(64), "Where to go on: next of the page before. Absent: from the beginning."),
        (
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT }),
            "Most entries of the page.",
        ),
    ]
}

fn one_of(names: &[&str]) -> Value {
    json!({ "type": "string", "enum": names })
}

pub(super) fn operation(call: CaseCall) -> Operation {
    let changed = |id, summary, description, name, call| Operation {
        id,
        tag: "cases",
        summary,
        description,
        query: vec![],
        body: vec![Content::json(
            "What to do, and the revision of the case it rests on.",
            schema(name),
            body(call).into_iter().map(|body| ("example", body)).collect(),
        )],
        answer: Content::json("The case as it is then.", schema("Case"), vec![("case", sample_case())]),
        problems: &[Kind::NotFound, Kind::CaseConflict, Kind::FourEyes, Kind::Unavailable],
    };
    match call {
        CaseCall::Alerts => Operation {
            id: "listAlerts",
            tag: "cases",
            summary: "Lists alerts, the newest first.",
            description: "What rules, models and followed chains found suspicious. An alert that asks for nothing has no case.",
            query: paging(),
            body: vec![],
            answer: Content::json("A page.", schema("AlertPage"), vec![("page", sample_alerts())]),
            problems: &[],
        },
        CaseCall::AlertStream => Operation {
            id: "streamAlerts",
            tag: "cases",
            summary: "Streams alerts as they come.",
            description: "One JSON object a line, each {\"alert\": as listed, \"next\": cursor}; an empty line now and then says \
                          that the connection lives. Begins behind after; absent: from now on. It ends after an hour, when the \
                          state cannot be read, and when the process stops: go on behind the last next.",
            query: vec![("after", text(64), "The next of the last line; absent: from now on.")],
            body: vec![],
            answer: plain("application/x-ndjson", "Alerts, one a line, without end."),
            problems: &[Kind::StaleCursor, Kind::Unavailable],
        },
        CaseCall::List => Operation {
            id: "listCases",
            tag: "cases",
            summary: "Lists cases.",
            description: "The newest first, or by urgency: then open ones only. The case to go on behind must still be there.",
            query: {
                let mut query = paging();
                query.extend([
                    ("state", one_of(&Case::STATES), "Only cases in this state."),
                    ("account", account(), "Only cases about this account."),
                    (
                        "entity",
                        json!({ "type": "string" }),
                        "Only cases about this, as listed. Excludes account.",
                    ),
                    ("assignee", json!({ "type": "string" }), "Only cases of this name."),
                    ("priority", one_of(&Priority::ALL.map(Priority::as_str)), "At least as urgent."),
                    (
                        "source",
                        one_of(&Source::ALL.map(Source::as_str)),
                        "Only cases with something from this source.",
                    ),
                    ("order", one_of(&["newest", "urgent"]), "newest if absent."),
                ]);
                query
            },
            body: vec![],
            answer: Content::json("A page.", schema("CasePage"), vec![("page", sample_page())]),
            problems: &[Kind::NotFound],
        },
        CaseCall::Show => Operation {
            id: "showCase",
            tag: "cases",
            summary: "Shows a case.",
            description: "With what came together, the withdrawals that wait, and who did what.",
            query: vec![],
            body: vec![],
            answer: Content::json("The case.", schema("Case"), vec![("case", sample_case())]),
            problems: &[Kind::NotFound],
        },
        CaseCall::Approve => changed(
            "approveRelease",
            "Agrees to release a held withdrawal.",
            "Somebody else must have proposed it. The same withdrawal may then be asked for once more.",
            "CaseApproval",
            call,
        ),
        CaseCall::Assign => changed(
            "assignCase",
            "Says who works on a case.",
            "Without to nobody does any more.",
            "CaseAssignment",
            call,
        ),
        CaseCall::Decline => changed(
            "declineRelease",
            "Takes a proposal back, or refuses it.",
            "Anybody may, the one who proposed as well.",
            "CaseProposal",
            call,
        ),
        CaseCall::Note => {
            changed("noteCase", "Adds a note.", "Also to a case that is closed.", "CaseNote", call)
        }
        CaseCall::Propose => changed(
            "proposeRelease",
            "Proposes to release a held withdrawal.",
            "It waits for somebody else to approve.",
            "CaseProposal",
            call,
        ),
        CaseCall::Resolve => changed(
            "resolveCase",
            "Closes a case.",
            "fraud and legitimate become labels that models learn from. What was not released is refused; fraud also ends \
             releases nobody used.",
            "CaseResolution",
            call,
        ),
    }
}

/// Everything that has a name.
pub(super) fn components() -> Vec<(&'static str, Value)> {
    let plain = || json!({ "type": "string" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let or_null = |mut schema: Value| {
        let kind = schema["type"].take();
        schema["type"] = json!([kind, "null"]);
        schema
    };
    let revision = || {
        let whole = json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
        ("revision", described(whole, "Of the case as it was seen; if it has another one, nothing is done."))
    };
    // No control character but the line feed, and something to read.
    let words = || {
        let any = "[^\u{0}-\u{9}\u{b}-\u{1f}\u{7f}-\u{9f}]*";
        let pattern = format!("^{any}[^\u{0}-\u{20}\u{7f}-\u{9f}]{any}$");
        json!({ "type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX, "pattern": pattern })
    };
    let decision = || ("decision", described(text(64), "Id of the decision that held the withdrawal."));
    let case_id = || described(plain(), "Such as case-7.");
    let list = |name: &str| json!({ "type": "array", "items": schema(name) });
    let trigger = answer(
        &[
            ("source", one_of(&Source::ALL.map(Source::as_str))),
            ("position", count()),
            ("at", time()),
            ("code", plain()),
            ("verdict", one_of(&Verdict::ALL.map(Verdict::as_str))),
            ("probability", described(plain(), "Decimal from 0 to 1.")),
            ("expected_loss", described(or_null(amount()), "Null: nobody knows.")),
            ("is_retracted", json!({ "type": "boolean" })),
        ],
        &[("decision", or_null(plain())), ("about", count())],
    );
    let summary = vec![
        ("id", case_id()),
        ("entity", plain()),
        ("account", or_null(plain())),
        ("state", one_of(&Case::STATES)),
        ("priority", one_of(&Priority::ALL.map(Priority::as_str))),
        ("expected_loss", described(or_null(amount()), "Null: part of it is unknown.")),
        ("opened_at", time()),
        ("latest_at", time()),
        ("deadline", time()),
        ("is_overdue", json!({ "type": "boolean" })),
        ("revision", count()),
        ("assignee", or_null(plain())),
        ("disposition", or_null(plain())),
        ("triggers_total", count()),
    ];
    let held = answer(
        &[
            ("decision", or_null(plain())),
            ("position", count()),
            ("at", time()),
            ("reasons", json!({ "type": "array", "items": plain() })),
            ("review", schema("Review")),
        ],
        &[],
    );
    let action = answer(
        &[("position", count()), ("at", time()), ("by", plain()), ("what", plain())],
        &[("decision", plain()), ("text", plain())],
    );
    let mut case = summary.clone();
    case.extend([
        ("triggers", list("CaseTrigger")),
        ("held", json!({ "type": "array", "items": held })),
        ("appeals", list("Appeal")),
        ("actions", json!({ "type": "array", "items": action })),
        ("resolution", or_null(answer(&[("disposition", plain()), ("by", plain()), ("at", time())], &[]))),
    ]);
    let mut alert = trigger.clone();
    for (name, schema) in [("entity", plain()), ("case", or_null(case_id()))] {
        alert["properties"][name] = schema;
        if let Some(required) = alert["required"].as_array_mut() {
            required.push(json!(name));
        }
    }
    let page = |name: &'static str, of: &str| {
        answer(&[(name, list(of)), ("next", described(or_null(plain()), "The after of the next page."))], &[])
    };
    let dispositions = one_of(&Disposition::ALL.map(Disposition::as_str));
    vec![
        ("Alert", alert),
        ("AlertPage", page("alerts", "Alert")),
        ("Case", answer(&case, &[])),
        ("CaseApproval", request(&[revision(), decision()], &[])),
        ("CaseAssignment", request(&[revision()], &[("to", text(NAME_BYTES_MAX))])),
        ("CaseNote", request(&[revision(), ("text", words())], &[])),
        ("CasePage", page("cases", "CaseSummary")),
        ("CaseProposal", request(&[revision(), decision(), ("reason", words())], &[])),
        ("CaseResolution", request(&[revision(), ("disposition", dispositions), ("reason", words())], &[])),
        ("CaseSummary", answer(&summary, &[])),
        ("CaseTrigger", trigger),
        (
            "Review",
            answer(
                &[
                    ("case", case_id()),
                    ("state", one_of(&["expired", "held", "proposed", "refused", "released", "used"])),
                ],
                &[
                    ("proposed_by", plain()),
                    ("proposed_at", time()),
                    ("approved_by", plain()),
                    ("released_at", time()),
                    ("refused_by", plain()),
                    ("refused_at", time()),
                    ("until", time()),
                    ("reason", plain()),
                    ("used_by", plain()),
                ],
            ),
        ),
    ]
}
