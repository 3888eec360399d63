//! The calls about webhooks, described.

use serde_json::{Value, json};
use webhook::{NAME_BYTES_MAX, OVERLAP_MAX, Scheme, Target};

use super::{
    Content, Operation,
    operations::schema,
    schemas::{answer, described, request, time},
};
use crate::{WebhookCall, problem::Kind};

/// An endpoint as an answer shows it.
fn sample() -> Value {
    json!({
        "name": "siem",
        "url": "https://siem.example.com/caponier",
        "events": ["alert", "decision.denied", "decision.held"],
        "accounts": false,
        "scheme": "hmac",
        "state": "enabled",
        "state_at": "2026-11-22T10:00:00Z",
        "added_at": "2026-11-22T10:00:00Z",
        "added_by": "user:sue",
        "acknowledged": 4_711,
        "dead_letters": 0,
        "delivered": 12,
        "failed": { "timeout": 1 },
        "waiting": 0,
        "behind_entries": 3,
        "is_failing": false,
        "last_try": { "at": "2026-11-22T10:05:00Z", "says": "answered 204" },
    })
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MESSAGE: &str = "msg_0123456789abcdef0123456789abcdef";

/// A body that each call takes.
pub(super) fn body(call: WebhookCall) -> Option<Value> {
    Some(match call {
        WebhookCall::Add => json!({
            "name": "siem",
            "url": "https://siem.example.com/caponier",
            "events": "alert, decision.denied, decision.held",
        }),
        WebhookCall::Change => json!({ "enabled": true, "skip": false }),
        WebhookCall::Discard | WebhookCall::Replay => json!({ "message": MESSAGE }),
        WebhookCall::Rotate => json!({ "overlap_hours": 24 }),
        WebhookCall::DeadLetters | WebhookCall::List | WebhookCall::Remove | WebhookCall::Test => {
            return None;
        }
    })
}

pub(super) fn operation(call: WebhookCall) -> Operation {
    type Line =
        (&'static str, &'static str, &'static str, &'static str, &'static str, Value, &'static [Kind]);
    let with_key = json!({ "endpoint": sample(), "key": SECRET });
    let found: &[Kind] = &[Kind::NotFound];
    let changed: &[Kind] = &[Kind::NotFound, Kind::Unavailable];
    let (id, summary, description, takes, gives, example, problems): Line = match call {
        WebhookCall::Add => (
            "addWebhook",
            "Adds an endpoint that is told of what happens from now on.",
            "The answer holds the key that checks signatures. A shared secret (whsec_) is in this answer only. Naming accounts \
             takes the permission to read cases as well.",
            "WebhookRequest",
            "WebhookWithKey",
            with_key,
            &[Kind::Unavailable],
        ),
        WebhookCall::Change => (
            "changeWebhook",
            "Changes an endpoint, stops it, or lets it go on.",
            "What is not named stays. An endpoint that is enabled again is told of what happened meanwhile, unless that is \
             skipped.",
            "WebhookChange",
            "Webhook",
            sample(),
            changed,
        ),
        WebhookCall::DeadLetters => (
            "listDeadWebhooks",
            "Lists messages that were given up on.",
            "Oldest first, at most 1,000.",
            "",
            "DeadWebhooks",
            json!({ "dead_letters": [{
                "id": MESSAGE, "entry": 4_700, "type": "decision.held", "at": "2026-11-22T10:00:00Z", "tries": 18,
                "why": "answered 500",
            }] }),
            found,
        ),
        WebhookCall::Discard => (
            "discardDeadWebhooks",
            "Forgets messages that were given up on.",
            "One, or without a message all.",
            "WebhookMessage",
            "WebhooksDiscarded",
            json!({ "discarded": 1 }),
            changed,
        ),
        WebhookCall::List => (
            "listWebhooks",
            "Lists endpoints that are told of what happens.",
            "Counts are since the start of the process.",
            "",
            "Webhooks",
            json!({ "endpoints": [sample()] }),
            &[],
        ),
        WebhookCall::Remove => (
            "removeWebhook",
            "Removes an endpoint.",
            "With it goes what waits for it, and what was given up on.",
            "",
            "WebhookRemoved",
            json!({ "removed": "siem" }),
            changed,
        ),
        WebhookCall::Replay => (
            "replayDeadWebhooks",
            "Tries messages that were given up on once more.",
            "One, or without a message all. What is taken is no longer among the dead letters; the rest stays.",
            "WebhookMessage",
            "WebhooksReplaying",
            json!({ "replaying": 1 }),
            found,
        ),
        WebhookCall::Rotate => (
            "rotateWebhook",
            "Signs with another key, and with the one before for some hours.",
            "The answer is that of adding. With an overlap of 0 the key before is not used any more.",
            "WebhookRotation",
            "WebhookWithKey",
            json!({ "endpoint": sample(), "key": SECRET }),
            changed,
        ),
        WebhookCall::Test => (
            "testWebhook",
            "Sends a message of the type webhook.test at once.",
            "Answers when the endpoint has, or the time of a try is over.",
            "",
            "WebhookTest",
            json!({ "delivered": true, "says": "answered 204", "took_ms": 87 }),
            found,
        ),
    };
    let content =
        body(call).map(|body| Content::json("What is wanted.", schema(takes), vec![("example", body)]));
    Operation {
        id,
        tag: "webhooks",
        summary,
        description,
        query: vec![],
        body: content.into_iter().collect(),
        answer: Content::json("What came of it.", schema(gives), vec![("example", example)]),
        problems,
    }
}

/// Everything that has a name.
pub(super) fn components() -> Vec<(&'static str, Value)> {
    let plain = || json!({ "type": "string" });
    let flag = || json!({ "type": "boolean" });
    let number = || json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
    let name = || json!({ "type": "string", "pattern": format!("^[a-z0-9_-]{{1,{NAME_BYTES_MAX}}}$") });
    let url = || {
        described(
            json!({ "type": "string", "maxLength": Target::BYTES_MAX, "pattern": "^https?://" }),
            "https, or http within the operator's own networks.",
        )
    };
    let scheme = || json!({ "type": "string", "enum": Scheme::ALL.map(Scheme::as_str) });
    let events = || {
        described(
            json!({ "type": "string", "pattern": "^[a-z_., \n\r\t]+$" }),
            "Types and families of them, divided by commas. A family stands for all its types.",
        )
    };
    let key = || {
        described(
            json!({ "type": "string", "pattern": "^(whsec|whsk)_[A-Za-z0-9+/]{32,90}={0,2}$" }),
            "A key to take over; without one a new one is made.",
        )
    };
    let hours = || json!({ "type": "integer", "minimum": 0, "maximum": OVERLAP_MAX.as_secs() / 3_600 });
    let message = || json!({ "type": "string", "pattern": "^msg_[0-9a-f]{32}$" });
    let last = answer(&[("at", time()), ("says", plain())], &[]);
    let endpoint = answer(
        &[
            ("name", plain()),
            ("url", plain()),
            ("events", json!({ "type": "array", "items": plain() })),
            ("accounts", described(flag(), "Whether messages name accounts and addresses.")),
            ("scheme", scheme()),
            ("state", json!({ "type": "string", "enum": ["disabled", "enabled", "paused"] })),
            ("state_at", time()),
            ("added_at", time()),
            ("added_by", plain()),
            (
                "acknowledged",
                described(number(), "Every entry before is delivered, or among the dead letters."),
            ),
            ("dead_letters", number()),
            ("delivered", number()),
            (
                "failed",
                described(
                    json!({ "type": "object", "additionalProperties": number() }),
                    "Tries that failed, by what they came to.",
                ),
            ),
            ("waiting", number()),
            ("behind_entries", number()),
            ("is_failing", flag()),
        ],
        &[
            (
                "disabled_why",
                json!({ "type": "string", "enum": ["dead_letters_full", "gone", "unreachable"] }),
            ),
            ("last_try", last),
            ("previous_key_until", time()),
            ("public_key", described(plain(), "whpk_ and base64, of the scheme ed25519.")),
        ],
    );
    let dead = answer(
        &[
            ("id", plain()),
            ("entry", number()),
            ("type", plain()),
            ("at", time()),
            ("tries", number()),
            ("why", plain()),
        ],
        &[],
    );
    vec![
        ("DeadWebhooks", answer(&[("dead_letters", json!({ "type": "array", "items": dead }))], &[])),
        ("Webhook", endpoint),
        (
            "WebhookChange",
            request(
                &[],
                &[
                    ("url", url()),
                    ("events", events()),
                    ("accounts", flag()),
                    ("enabled", flag()),
                    ("skip", described(flag(), "What waited is not wanted any more.")),
                ],
            ),
        ),
        ("WebhookMessage", request(&[], &[("message", message())])),
        ("WebhookRemoved", answer(&[("removed", plain())], &[])),
        (
            "WebhookRequest",
            request(
                &[("name", name()), ("url", url()), ("events", events())],
                &[("accounts", flag()), ("scheme", scheme()), ("key", key())],
            ),
        ),
        ("WebhookRotation", request(&[], &[("key", key()), ("overlap_hours", hours())])),
        ("WebhookTest", answer(&[("delivered", flag()), ("says", plain()), ("took_ms", number())], &[])),
        (
            "WebhookWithKey",
            answer(
                &[
                    ("endpoint", schema("Webhook")),
                    ("key", described(plain(), "whsec_ and a secret, or whpk_ and a public key.")),
                ],
                &[],
            ),
        ),
        ("Webhooks", answer(&[("endpoints", json!({ "type": "array", "items": schema("Webhook") }))], &[])),
        ("WebhooksDiscarded", answer(&[("discarded", number())], &[])),
        ("WebhooksReplaying", answer(&[("replaying", number())], &[])),
    ]
}
