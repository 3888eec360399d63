//! Each route in words. Exhaustive: a route without description does not compile.

use serde_json::{Value, json};

use super::{
    Content, Operation, appeals, cases, changes, emergency, installation, rules, samples, schemas, screening,
    webhooks,
};
use crate::{
    Action, AppCall, DecisionCall, EventCall, OpenAction, OperationCall, SessionCall, problem::Kind,
};

/// Groups of operations.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("cases", "What people look at: held withdrawals and alerts that belong together."),
    ("appeals", "What customers say was wrong, and the answers they get."),
    ("changes", "What takes two persons: asked for by one, approved by another."),
    ("decisions", "Whether money may leave, and why."),
    ("documentation", "This API, described. Needs no token."),
    ("emergencies", "What one person stops at once, and two let go on."),
    ("events", "What happened at the exchange."),
    ("apps", "Third-party apps, for the exchange's own consent page. 404 unless oauth.issuer is configured."),
    ("people", "Persons and their sessions. 404 unless identity.origin is configured."),
    ("rules", "What judges, what is tried on the past, what comes into force."),
    ("screening", "What is known about an address."),
    ("installation", "What the installation holds: keys, bans, lists, backup, log."),
    ("operation", "Whether it works, and how much it does."),
    ("webhooks", "Programs elsewhere that are told of what happens."),
];

pub(super) fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn plain(media: &'static str, description: &'static str) -> Content {
    Content { media, or_text: None, schema: json!({ "type": "string" }), examples: Vec::new(), description }
}

pub(super) const EVENTS: &str = concat!(
    r#"{"id":"ev-1","account":"u-1001","occurred_at":"2026-11-22T10:00:00.123Z","ip":"192.0.2.7","type":"login","success":true,"second_factor":true}"#,
    "\n",
    r#"{"id":"ev-2","account":"u-1001","occurred_at":"2026-11-22T10:03:00Z","type":"balance_changed","asset":"USDT","total":"1250"}"#,
    "\n",
);

pub(super) fn withdrawal() -> Value {
    json!({
        "type": "withdrawal", "idempotency_key": "wd-20261122-0001", "deadline_ms": 1000,
        "withdrawal": {
            "account": "u-1001", "asset": "USDT", "amount": "1000", "fee": "1", "network": "tron",
            "address": "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb", "client_id": "web-17", "ip": "192.0.2.7", "device": "d-77",
        },
    })
}

pub(super) fn transfer() -> Value {
    json!({
        "type": "withdrawal",
        "withdrawal": {
            "account": "u-1001", "asset": "USDT", "amount": "5", "internal_recipient": "u-2002", "ip": "192.0.2.7",
        },
    })
}

pub(super) fn login() -> Value {
    json!({
        "type": "login", "idempotency_key": "login-9001", "deadline_ms": 50,
        "login": {
            "type": "login", "id": "ev-9001", "account": "u-1001", "occurred_at": "2026-11-22T10:00:00Z",
            "ip": "192.0.2.7", "device": "d-77", "success": true, "second_factor": false,
        },
    })
}

pub(super) fn order() -> Value {
    json!({
        "type": "order",
        "order": {
            "type": "order_placed", "id": "ev-9002", "account": "u-1001", "occurred_at": "2026-11-22T10:00:00Z",
            "instrument": "BTC-USDT", "order": "o-17", "side": "buy", "quantity": "0.5",
        },
    })
}

pub(super) fn api_call() -> Value {
    json!({
        "type": "api_call",
        "api_call": {
            "account": "u-1001", "api_key": "0e2b7c1d-key", "method": "POST", "path": "/api/v5/trade/order",
            "ip": "192.0.2.7",
        },
    })
}

pub(super) fn admin_act() -> Value {
    json!({
        "type": "admin_act",
        "admin_act": {
            "actor": "user:anna", "capability": "work_cases", "act": "raise the withdrawal limit",
            "account": "u-1001", "ip": "192.0.2.7",
        },
    })
}

pub(super) fn address_screen() -> Value {
    json!({
        "type": "address_screen", "idempotency_key": "dep-17",
        "address_screen": {
            "address": "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb", "network": "tron", "reference": "dep-17",
        },
    })
}

pub(super) fn approval() -> Value {
    json!({
        "decision": "approve", "account": "u-1001", "scopes": "read trade", "days": 30, "environment": "live",
        "ips": "192.0.2.0/24", "instruments": "BTC-USDT, ETH-*", "quote": "USDT", "per_order": "1000",
        "per_day": "5000",
    })
}

/// 32 bytes in base64url.
const CHALLENGE: &str = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU";

/// The first line as a value.
fn json_line(lines: &str) -> Value {
    lines.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

fn account_body() -> Content {
    let example = vec![("account", json!({ "account": "u-1001" }))];
    Content::json("Whose.", schema("Account"), example)
}

#[expect(clippy::too_many_lines, reason = "one list of descriptions, each a few lines")]
pub(super) fn operation(action: Action) -> Operation {
    match action {
        Action::App(AppCall::Answer) => Operation {
            id: "answerApp",
            tag: "apps",
            summary: "Takes a customer's answer to an app, once.",
            description: "Send the customer's browser to the address answered, at once.",
            query: vec![],
            body: vec![Content::json(
                "What the customer says.",
                schema("ConsentAnswer"),
                vec![("approve", approval()), ("deny", json!({ "decision": "deny" }))],
            )],
            answer: Content::json(
                "Where to send the browser.",
                schema("Redirect"),
                vec![("approved", json!({ "redirect": "https://app.example/callback?code=SECRET" }))],
            ),
            problems: &[Kind::NotFound, Kind::AlreadyAnswered, Kind::TooManyGrants],
        },
        Action::App(AppCall::Ask) => Operation {
            id: "askForApp",
            tag: "apps",
            summary: "Says what an app asks a customer for.",
            description: "For the page on which the customer agrees or declines.",
            query: vec![],
            body: vec![],
            answer: Content::json(
                "What to ask the customer.",
                schema("AppRequest"),
                vec![("asked", samples::app_request())],
            ),
            problems: &[Kind::NotFound, Kind::AlreadyAnswered],
        },
        Action::Appeal(call) => appeals::operation(call),
        Action::Case(call) => cases::operation(call),
        Action::Rule(call) => rules::operation(call),
        Action::Change(call) => changes::operation(call),
        Action::Emergency(call) => emergency::operation(call),
        Action::Webhook(call) => webhooks::operation(call),
        Action::Decision(DecisionCall::Decide) => Operation {
            id: "decide",
            tag: "decisions",
            summary: "Decides on a withdrawal, an address, a login, an order, an API call or an admin act before it happens.",
            description: "The decision is durable before it is answered. Only the verdict allow lets it go ahead; \
                          any problem, and no answer, mean that there is no decision. The same account (of a withdrawal) or \
                          caller and idempotency key get the first decision again; another request under the key is \
                          refused. A check that is not done by the deadline denies a withdrawal and an address; for other acts the \
                          configuration says per kind what it means (decide.silent_login and its like).",
            query: vec![(
                "mode",
                json!({ "type": "string", "enum": ["enforce", "shadow"], "default": "enforce" }),
                "In shadow everything is looked at and recorded, the verdict is allow, and would_be says what it would have been.",
            )],
            body: vec![Content::json(
                "What is about to happen.",
                schema("DecisionRequest"),
                vec![
                    ("on_chain", withdrawal()),
                    ("internal", transfer()),
                    ("login", login()),
                    ("order", order()),
                    ("api_call", api_call()),
                    ("address_screen", address_screen()),
                    ("admin_act", admin_act()),
                ],
            )],
            answer: Content::json("What was decided.", schema("Decision"), vec![("hold", samples::answer())]),
            problems: &[Kind::IdempotencyConflict, Kind::Frozen, Kind::Unavailable, Kind::DeadlineExceeded],
        },
        Action::Decision(DecisionCall::Explain) => Operation {
            id: "explainDecision",
            tag: "decisions",
            summary: "Shows a decision.",
            description: "With what was asked, every finding, what would have let it pass, and its position in the journal. Ids \
                          of erased customers are not found.",
            query: vec![],
            body: vec![],
            answer: Content::json(
                "The decision, about a withdrawal or about another act.",
                json!({ "anyOf": [schema("Explanation"), schema("ActExplanation")] }),
                vec![("held", samples::explanation())],
            ),
            problems: &[Kind::NotFound, Kind::Unavailable],
        },
        Action::Decision(DecisionCall::Label) => Operation {
            id: "labelDecision",
            tag: "decisions",
            summary: "Says what a decision was about: fraud, or an honest customer.",
            description: "For any decision, with a case or without. It is known from now on and never used for anything \
                          earlier; a later label replaces it. Nothing is let through by it.",
            query: vec![],
            body: vec![Content::json(
                "What it was.",
                schema("DecisionLabel"),
                vec![("honest", json!({ "label": "legitimate" }))],
            )],
            answer: Content::json(
                "What was recorded.",
                schema("LabelledDecision"),
                vec![(
                    "honest",
                    json!({
                        "decision": "dec-7-00112233445566aa", "label": "legitimate", "event": "label-00ff",
                    }),
                )],
            ),
            problems: &[Kind::NotFound, Kind::AppealConflict, Kind::Unavailable],
        },
        Action::Installation(call) => installation::operation(call),
        Action::Operation(OperationCall::Health) => Operation {
            id: "health",
            tag: "operation",
            summary: "Says whether the parts behind the API work.",
            description: "A problem of type unhealthy names what does not.",
            query: vec![],
            body: vec![],
            answer: Content::json(
                "All is well.",
                schema("Health"),
                vec![("well", json!({ "status": "ok" }))],
            ),
            problems: &[Kind::Unhealthy],
        },
        Action::Decision(DecisionCall::List) => Operation {
            id: "listDecisions",
            tag: "decisions",
            summary: "Lists decisions, oldest first, page by page.",
            description: "A page may hold fewer than limit, even none, while more is true: go on with next. Keep the last next \
                          and ask again later for what was decided since. A cursor from before a restore is refused as \
                          stale-cursor, since what it counted may not exist any more.",
            query: [schemas::paging(), schemas::decisions_filter()].concat(),
            body: vec![],
            answer: Content::json(
                "A page.",
                schema("DecisionPage"),
                vec![(
                    "page",
                    json!({ "decisions": [samples::explanation()], "next": "cur-8-0011223344556677", "more": false }),
                )],
            ),
            problems: &[Kind::StaleCursor, Kind::Unavailable],
        },
        Action::App(AppCall::ListGrants) => Operation {
            id: "listGrants",
            tag: "apps",
            summary: "Lists what a customer has granted.",
            description: "Accounts stand in bodies and not in addresses, which end up in logs.",
            query: vec![],
            body: vec![account_body()],
            answer: Content::json("Grants in force.", schema("Grants"), vec![("grants", samples::grants())]),
            problems: &[Kind::NotFound],
        },
        Action::Operation(OperationCall::Metrics) => Operation {
            id: "metrics",
            tag: "operation",
            summary: "Counters for a monitoring system.",
            description: "OpenMetrics 1.0, which Prometheus reads.",
            query: vec![],
            body: vec![],
            answer: plain("application/openmetrics-text", "Every counter. No secret, no customer."),
            problems: &[],
        },
        Action::Event(EventCall::DeadLetters) => Operation {
            id: "readDeadLetters",
            tag: "events",
            summary: "Shows the lines of batches that were refused.",
            description: "The newest ones since the process started; they are in memory only.",
            query: vec![(
                "from",
                json!({ "type": "integer", "minimum": 0, "default": 0 }),
                "Number of the first letter: next of the page before.",
            )],
            body: vec![],
            answer: Content::json(
                "A page.",
                schema("DeadLetters"),
                vec![("none", json!({ "letters": [], "next": 0, "forgotten": 0 }))],
            ),
            problems: &[],
        },
        Action::Event(EventCall::Record) => Operation {
            id: "recordEvents",
            tag: "events",
            summary: "Records a batch of events.",
            description: "One JSON object a line, or one array of them, each as the schema Event says. Answered only when every event is \
                          durable. A line that is no event is named under refused, or as a problem where there is no other; \
                          the others are recorded. Sending a batch again is always safe.",
            query: vec![],
            body: vec![
                Content {
                    media: "application/x-ndjson",
                    or_text: None,
                    schema: json!({
                        "type": "string", "maxLength": crate::limits::EVENT_BODY_BYTES_MAX,
                        "x-line-schema": { "$ref": "#/components/schemas/Event" },
                    }),
                    examples: vec![("two", json!(EVENTS))],
                    description: "At most 1,000 events, one a line or in one array.",
                },
                Content::json(
                    "",
                    json!({
                        "type": "array", "minItems": 1, "maxItems": crate::limits::EVENT_LINES_MAX,
                        "items": { "$ref": "#/components/schemas/Event" },
                    }),
                    vec![("one", json!([json_line(EVENTS)]))],
                ),
            ],
            answer: Content::json(
                "What became of them.",
                schema("Recorded"),
                vec![("recorded", json!({ "accepted": 2, "duplicates": 0, "erased": 0 }))],
            ),
            problems: &[Kind::InvalidEvent, Kind::Unavailable],
        },
        Action::App(AppCall::RevokeGrant) => Operation {
            id: "revokeGrant",
            tag: "apps",
            summary: "Ends a grant of a customer.",
            description: "When it is answered, no token of the grant works any more.",
            query: vec![],
            body: vec![account_body()],
            answer: Content::json(
                "It is ended.",
                schema("Revoked"),
                vec![("revoked", json!({ "revoked": true }))],
            ),
            problems: &[Kind::NotFound, Kind::Unavailable],
        },
        Action::Screen => screening::operation(),
        Action::Suspicions => screening::suspicions_operation(),
        Action::Session(SessionCall::End) => Operation {
            id: "endSession",
            tag: "people",
            summary: "Ends the caller's session.",
            description: "404 where the call is made by a token.",
            query: vec![],
            body: vec![],
            answer: Content::json("It is ended.", schema("Ended"), vec![("ended", json!({ "ended": true }))]),
            problems: &[Kind::NotFound],
        },
        Action::Session(SessionCall::Show) => Operation {
            id: "showSession",
            tag: "people",
            summary: "Says who calls, and what they may do.",
            description: "In a session also what its pages send as x-caponier-csrf, and when it ends at the latest.",
            query: vec![],
            body: vec![],
            answer: Content::json(
                "Who calls.",
                schema("Session"),
                vec![(
                    "program",
                    json!({ "actor": "service:exchange", "capabilities": ["decide", "write_events"] }),
                )],
            ),
            problems: &[],
        },
        Action::Decision(DecisionCall::Trace) => Operation {
            id: "explainDecisionByStep",
            tag: "decisions",
            summary: "Explains a decision step by step, with its proof.",
            description: "From the journal alone: the same id always gives the same explanation. With what each part found and \
                          asked for, what added to the score, versions and digests of what judged, what would have let it \
                          pass, and the receipt by which others check that the journal holds it. Who may not read cases is \
                          not shown the evidence (redacted is true).",
            query: vec![],
            body: vec![],
            answer: Content::json(
                "How it came about.",
                schema("DecisionTrace"),
                vec![("held", samples::traced())],
            ),
            problems: &[Kind::NotFound, Kind::Unavailable],
        },
        Action::Decision(DecisionCall::Stream) => Operation {
            id: "streamDecisions",
            tag: "decisions",
            summary: "Streams decisions as they are made.",
            description: "One JSON object a line, each {\"decision\": Explanation, \"next\": cursor}; an empty line now and then \
                          says that the connection lives. Begins behind after; absent: from now on. It ends after an hour, \
                          when the journal cannot be read, and when the process stops: go on behind the last next.",
            query: schemas::paging()
                .into_iter()
                .filter(|(name, ..)| *name == "after")
                .chain(schemas::decisions_filter())
                .collect(),
            body: vec![],
            answer: plain("application/x-ndjson", "Decisions, one a line, without end."),
            problems: &[Kind::StaleCursor, Kind::Unavailable],
        },
    }
}

pub(super) fn open_operation(action: OpenAction) -> Operation {
    let sent = |what: &'static str, name: &str, example: Value| {
        vec![Content::json(what, schema(name), vec![("example", example)])]
    };
    match action {
        OpenAction::BeginEnrolment => Operation {
            id: "beginEnrolment",
            tag: "people",
            summary: "Begins to store a passkey.",
            description: "The answer is what navigator.credentials.create() is asked with; binary parts are base64url.",
            query: vec![],
            body: sent("The secret of the invitation.", "Invite", json!({ "invite": "0123456789abcdef" })),
            answer: Content::json("What to ask the authenticator.", schema("EnrolmentBegun"), vec![]),
            problems: &[Kind::NotFound, Kind::InvitationRefused],
        },
        OpenAction::BeginSignIn => Operation {
            id: "beginSignIn",
            tag: "people",
            summary: "Begins to sign in.",
            description: "The answer is what navigator.credentials.get() is asked with; the challenge is good for five minutes.",
            query: vec![],
            body: vec![],
            answer: Content::json("What to ask the authenticator.", schema("SignInBegun"), vec![]),
            problems: &[Kind::NotFound],
        },
        OpenAction::EnrolPage => Operation {
            id: "enrolPage",
            tag: "people",
            summary: "The page an invitation leads to.",
            description: "Stores a passkey and signs in with it.",
            query: vec![],
            body: vec![],
            answer: plain("text/html", "The page."),
            problems: &[],
        },
        OpenAction::FinishEnrolment => Operation {
            id: "finishEnrolment",
            tag: "people",
            summary: "Stores a passkey, which uses up the invitation.",
            description: "Recorded before it is answered.",
            query: vec![],
            body: sent(
                "What the authenticator made.",
                "EnrolmentFinished",
                json!({ "invite": "0123456789abcdef", "challenge": CHALLENGE, "client_data": "e30", "attestation": "oA" }),
            ),
            answer: Content::json(
                "It is stored.",
                schema("Enrolled"),
                vec![("enrolled", json!({ "user": "anna", "enrolled": true }))],
            ),
            problems: &[Kind::NotFound, Kind::InvitationRefused, Kind::PasskeyRefused, Kind::Unavailable],
        },
        OpenAction::FinishSignIn => Operation {
            id: "finishSignIn",
            tag: "people",
            summary: "Signs in: the session comes as a cookie.",
            description: "Recorded before it is answered. The cookie is HttpOnly, Secure and SameSite=Strict; requests that change \
                          something say csrf in x-caponier-csrf beside it.",
            query: vec![],
            body: sent(
                "What the authenticator signed.",
                "SignInFinished",
                json!({
                    "challenge": CHALLENGE, "passkey": "AQ", "client_data": "e30", "authenticator_data": "AA",
                    "signature": "AA",
                }),
            ),
            answer: Content::json(
                "Signed in.",
                schema("SignedIn"),
                vec![(
                    "signed_in",
                    json!({ "user": "anna", "csrf": "0011", "expires_at": "2026-11-22T18:00:00.000Z" }),
                )],
            ),
            problems: &[Kind::NotFound, Kind::PasskeyRefused, Kind::Unavailable],
        },
        OpenAction::Document => Operation {
            id: "document",
            tag: "documentation",
            summary: "This document.",
            description: "OpenAPI 3.1, generated from the code that serves.",
            query: vec![],
            body: vec![],
            answer: Content::json("The document.", json!({ "type": "object" }), vec![]),
            problems: &[],
        },
        OpenAction::Page => Operation {
            id: "documentationPage",
            tag: "documentation",
            summary: "The same for people.",
            description: "One page of HTML without script and without anything from elsewhere.",
            query: vec![],
            body: vec![],
            answer: plain("text/html", "The page."),
            problems: &[],
        },
    }
}
