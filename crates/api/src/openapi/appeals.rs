//! The calls about appeals, described.

use domain::{AccountId, Actor, ActorKind, UnixNanos};
use fraud::cases::{Against, Answer, Appeal, Outcome, TEXT_BYTES_MAX};
use serde_json::{Value, json};

use super::{
    Content, Operation,
    operations::schema,
    schemas::{account, answer, described, paging, request, text, time},
};
use crate::{
    AGAINST_BYTES_MAX, AppealAgainst, AppealCall, AppealFile, appeal_json, appeals_json, problem::Kind,
};

/// 2026-11-22T10:00:00Z.
const AT: UnixNanos = UnixNanos::from_secs(1_795_341_600);
const ID: &str = "dec-7-00112233445566aa";

/// An appeal somebody answered.
fn sample() -> Option<AppealFile> {
    let appeal = Appeal {
        id: 12,
        case: 7,
        account: AccountId::parse("u-1001").ok()?,
        against: Against::Decision(7),
        text: "I changed my e-mail address myself.".to_owned(),
        by: Actor::new(ActorKind::Service, "exchange").ok()?,
        at: AT,
        answer: Some(Answer {
            outcome: Outcome::Overturned,
            reason: "We called you and you confirmed it.".to_owned(),
            by: Actor::new(ActorKind::User, "ann").ok()?,
            at: AT,
        }),
    };
    Some(AppealFile { appeal, decision: Some(ID.to_owned()) })
}

fn sample_json() -> Value {
    sample().map_or(Value::Null, |file| appeal_json(&file))
}

/// A body that each call about an appeal takes.
pub(super) fn body(call: AppealCall) -> Option<Value> {
    match call {
        AppealCall::List | AppealCall::Show => None,
        AppealCall::Answer => Some(json!({ "outcome": "overturned", "reason": "confirmed by phone" })),
        AppealCall::Bring => Some(json!({
            "account": "u-1001", "against": "decision", "id": ID, "text": "I changed my e-mail address myself.",
        })),
    }
}

pub(super) fn operation(call: AppealCall) -> Operation {
    let shown = || Content::json("The appeal.", schema("Appeal"), vec![("overturned", sample_json())]);
    let sent = |name: &str| {
        vec![Content::json(
            "What is said.",
            schema(name),
            body(call).into_iter().map(|body| ("example", body)).collect(),
        )]
    };
    match call {
        AppealCall::List => Operation {
            id: "listAppeals",
            tag: "appeals",
            summary: "Lists appeals, the newest first.",
            description: "Those that wait and those that were answered, as long as their cases are remembered.",
            query: {
                let mut query = paging();
                let states = json!({ "type": "string", "enum": Appeal::STATES });
                query.push(("state", states, "Only appeals in this state."));
                query.push(("account", account(), "Only appeals of this account."));
                query
            },
            body: vec![],
            answer: Content::json(
                "A page.",
                schema("AppealPage"),
                vec![("page", sample().map_or(Value::Null, |file| appeals_json(&[file], false)))],
            ),
            problems: &[],
        },
        AppealCall::Show => Operation {
            id: "showAppeal",
            tag: "appeals",
            summary: "Shows an appeal and what came of it.",
            description: "The reason is in words for whoever appealed.",
            query: vec![],
            body: vec![],
            answer: shown(),
            problems: &[Kind::NotFound],
        },
        AppealCall::Bring => Operation {
            id: "bringAppeal",
            tag: "appeals",
            summary: "Says that a decision or ban was wrong.",
            description: "By the customer through the exchange, or by somebody for them. It joins the case of the withdrawal, or one \
                 of the account. One appeal per decision or ban waits at a time; an account has so many a day.",
            query: vec![],
            body: sent("AppealRequest"),
            answer: shown(),
            problems: &[Kind::NotFound, Kind::AppealConflict, Kind::FourEyes, Kind::Unavailable],
        },
        AppealCall::Answer => Operation {
            id: "answerAppeal",
            tag: "appeals",
            summary: "Answers an appeal.",
            description: "Somebody else must have brought it. Overturned, it becomes a label (legitimate) of the decision, lifts the \
                 ban, and proposes to release the withdrawal if it is held: a second person must agree.",
            query: vec![],
            body: sent("AppealAnswer"),
            answer: shown(),
            problems: &[
                Kind::NotFound,
                Kind::AppealConflict,
                Kind::CaseConflict,
                Kind::FourEyes,
                Kind::Unavailable,
            ],
        },
    }
}

/// Everything that has a name.
pub(super) fn components() -> Vec<(&'static str, Value)> {
    let plain = || json!({ "type": "string" });
    let words = || {
        let any = "[^\u{0}-\u{9}\u{b}-\u{1f}\u{7f}-\u{9f}]*";
        let pattern = format!("^{any}[^\u{0}-\u{20}\u{7f}-\u{9f}]{any}$");
        json!({ "type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX, "pattern": pattern })
    };
    let kinds = || json!({ "type": "string", "enum": AppealAgainst::KINDS });
    let outcomes = json!({ "type": "string", "enum": Outcome::ALL.map(Outcome::as_str) });
    let appeal = answer(
        &[
            ("id", described(plain(), "Such as appeal-12.")),
            ("case", described(plain(), "The case it belongs to.")),
            ("account", plain()),
            ("against", kinds()),
            ("text", plain()),
            ("by", plain()),
            ("at", time()),
            ("state", json!({ "type": "string", "enum": Appeal::STATES })),
        ],
        &[
            ("decision", plain()),
            ("ban", plain()),
            ("reason", described(plain(), "Of the answer.")),
            ("answered_by", plain()),
            ("answered_at", time()),
        ],
    );
    let items = json!({ "type": "array", "items": schema("Appeal") });
    let next = json!({ "type": ["string", "null"], "description": "The after of the next page." });
    let labels = || json!({ "type": "string", "enum": ["fraud", "legitimate"] });
    let labelled = [("decision", plain()), ("label", labels()), ("event", plain())];
    let id = described(text(AGAINST_BYTES_MAX), "Id of the decision, or the ban's target as it is listed.");
    vec![
        ("DecisionLabel", request(&[("label", labels())], &[])),
        ("LabelledDecision", answer(&labelled, &[])),
        ("Appeal", appeal),
        ("AppealAnswer", request(&[("outcome", outcomes), ("reason", words())], &[])),
        ("AppealPage", answer(&[("appeals", items), ("next", next)], &[])),
        (
            "AppealRequest",
            request(&[("account", account()), ("against", kinds()), ("id", id), ("text", words())], &[]),
        ),
    ]
}
