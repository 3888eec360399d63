//! The calls about changes that take two persons, described.

use domain::{Actor, UnixNanos};
use identity::{
    Capability,
    requests::{ChangeRequest, Opened, State, TEXT_BYTES_MAX},
};
use serde_json::{Value, json};

use super::{
    Content, Operation,
    operations::schema,
    schemas::{answer, described, paging, request, time},
};
use crate::{
    changes::{ChangeCall, ChangeFile, change_json, changes_json},
    problem::Kind,
};

/// 2026-11-22T10:00:00Z.
const AT: UnixNanos = UnixNanos::from_secs(1_795_341_600);

/// A request somebody made.
fn sample() -> ChangeFile {
    let opened = Opened {
        kind: "identity.roles".to_owned(),
        payload: br#"{"user":"ben","roles":["approver"]}"#.to_vec(),
        summary: "ben: approver, instead of nothing".to_owned(),
        precondition: [7; 32],
        needs: Capability::ApproveAccess,
        concerns: Some("ben".to_owned()),
        reason: "ben joins the desk".to_owned(),
        by: Actor::new(domain::ActorKind::User, "anna").unwrap_or_else(|_| Actor::operator()),
        expires_at: UnixNanos::from_secs(1_795_428_000),
    };
    let payload_sha256 = crypto::sha256(&[&opened.payload]);
    let digest = opened.digest();
    let request =
        ChangeRequest { id: 42, opened_at: AT, opened, digest, payload_sha256, approved: None, end: None };
    ChangeFile { request, details: vec![("user".to_owned(), "ben".to_owned())], now: AT }
}

/// A body that each call about a change takes.
pub(super) fn body(call: ChangeCall) -> Option<Value> {
    match call {
        ChangeCall::List | ChangeCall::Show => None,
        ChangeCall::Approve => Some(json!({ "digest": change_json(&sample())["digest"] })),
        ChangeCall::Decline => Some(json!({ "reason": "not this week" })),
        ChangeCall::Withdraw => Some(json!({})),
    }
}

pub(super) fn operation(call: ChangeCall) -> Operation {
    let shown = || Content::json("The request.", schema("Change"), vec![("open", change_json(&sample()))]);
    let acted = |id, summary, description, name: &str| Operation {
        id,
        tag: "changes",
        summary,
        description,
        query: vec![],
        body: vec![Content::json(
            "What is said.",
            schema(name),
            body(call).into_iter().map(|body| ("example", body)).collect(),
        )],
        answer: shown(),
        problems: &[
            Kind::NotFound,
            Kind::ChangeConflict,
            Kind::FourEyes,
            Kind::PermissionMissing,
            Kind::Unavailable,
        ],
    };
    match call {
        ChangeCall::List => Operation {
            id: "listChanges",
            tag: "changes",
            summary: "Lists changes that take two persons, the newest first.",
            description: "Those that wait, and the last thousand of those that ended.",
            query: {
                let mut query = paging();
                let states = json!({ "type": "string", "enum": State::ALL.map(State::as_str) });
                query.push(("state", states, "Only requests in this state."));
                query
            },
            body: vec![],
            answer: Content::json(
                "A page.",
                schema("ChangePage"),
                vec![("page", changes_json(&[sample()], false))],
            ),
            problems: &[],
        },
        ChangeCall::Show => Operation {
            id: "showChange",
            tag: "changes",
            summary: "Shows a change that takes two persons.",
            description: "Details and the change itself are shown to who asked for it and to who may approve it.",
            query: vec![],
            body: vec![],
            answer: shown(),
            problems: &[Kind::NotFound, Kind::Unavailable],
        },
        ChangeCall::Approve => acted(
            "approveChange",
            "Agrees to a change that somebody else asked for.",
            "Takes the permission that the request needs, and the digest of what was seen. It is done at once if the state it was \
             made against still holds; the answer is executed or failed.",
            "ChangeApproval",
        ),
        ChangeCall::Decline => acted(
            "declineChange",
            "Refuses a change that somebody else asked for.",
            "Takes the permission that the request needs.",
            "ChangeRefusal",
        ),
        ChangeCall::Withdraw => acted(
            "withdrawChange",
            "Takes back a change one asked for.",
            "Only who asked for it may.",
            "ChangeWithdrawal",
        ),
    }
}

/// Everything that has a name.
pub(super) fn components() -> Vec<(&'static str, Value)> {
    let plain = || json!({ "type": "string" });
    let or_null = |mut schema: Value| {
        let kind = schema["type"].take();
        schema["type"] = json!([kind, "null"]);
        schema
    };
    let digest = || json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" });
    let words = || {
        let any = "[^\u{0}-\u{9}\u{b}-\u{1f}\u{7f}-\u{9f}]*";
        let pattern = format!("^{any}[^\u{0}-\u{20}\u{7f}-\u{9f}]{any}$");
        json!({ "type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX, "pattern": pattern })
    };
    let summary = vec![
        ("id", described(plain(), "Such as chg-42.")),
        ("kind", plain()),
        ("state", json!({ "type": "string", "enum": State::ALL.map(State::as_str) })),
        ("summary", plain()),
        ("reason", plain()),
        ("opened_by", plain()),
        ("opened_at", time()),
        ("expires_at", time()),
        ("needs", described(plain(), "The permission it takes to approve.")),
        ("concerns", described(or_null(plain()), "A person it is about, who cannot approve it.")),
        ("digest", described(digest(), "What is approved: SHA-256 of the journal entry that asks for it.")),
        ("payload_sha256", described(digest(), "SHA-256 of the change itself.")),
        ("precondition", described(digest(), "Digest of the state it was made against.")),
        ("approved_by", or_null(plain())),
        ("approved_at", or_null(time())),
        ("ended_at", or_null(time())),
        ("ended_by", or_null(plain())),
        ("outcome", described(or_null(plain()), "What came of it, or why not.")),
    ];
    let mut change = summary.clone();
    let detail = answer(&[("name", plain()), ("value", plain())], &[]);
    change.extend([
        ("details", json!({ "type": "array", "items": detail })),
        ("payload", described(or_null(plain()), "The change itself in base64.")),
    ]);
    let page = answer(
        &[
            ("changes", json!({ "type": "array", "items": schema("ChangeSummary") })),
            ("next", described(or_null(plain()), "The after of the next page.")),
        ],
        &[],
    );
    vec![
        ("Change", answer(&change, &[])),
        ("ChangeApproval", request(&[("digest", described(digest(), "Of the request, as shown."))], &[])),
        ("ChangePage", page),
        ("ChangeRefusal", request(&[("reason", words())], &[])),
        ("ChangeSummary", answer(&summary, &[])),
        ("ChangeWithdrawal", request(&[], &[])),
    ]
}
