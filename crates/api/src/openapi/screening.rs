//! Screening in words and schemas.

use domain::{Address, AddressKind, UnixNanos, Verdict};
use serde_json::{Value, json};
use watch::{
    Screening,
    assess::{Assessment, Knowledge},
    suspicions::Held,
};

use super::{
    Content, Operation,
    operations::schema,
    schemas::{address, answer, described, network, request, text, time},
};
use crate::{
    ScreenAnswer, ScreenLine,
    limits::{IDEMPOTENCY_KEY_BYTES_MAX, NAME_BYTES_MAX, SCREEN_LINES_MAX},
    problem::Kind,
    screen::{SUSPICIONS_DEFAULT, SUSPICIONS_MAX, suspicions_json},
    screened_json,
    wire::{assessment_json, lists_json},
};

/// One line of a bulk screening.
pub(super) const LINES: &str = concat!(
    r#"{"address":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","network":"ethereum","reference":"wd-17"}"#,
    "\n",
    r#"{"address":"T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"}"#,
    "\n",
);

pub(super) fn single() -> Value {
    json!({
        "address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "network": "ethereum", "reference": "wd-17",
        "idempotency_key": "screen-20261122-0001",
    })
}

fn sample() -> Value {
    let at = UnixNanos::from_secs(1_795_341_600);
    let line = ScreenLine {
        address: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned(),
        network: Some(domain::Network::Ethereum),
        reference: Some("wd-17".to_owned()),
    };
    let screening = Screening {
        address: None,
        canonical: Some(line.address.clone()),
        invalid: None,
        family: Some(domain::ChainFamily::Evm),
        labels: Vec::new(),
        verdict: Verdict::Allow,
        lists: Vec::new(),
    };
    let knowledge = Knowledge {
        chain: "ethereum".into(),
        tip: Some((21_000_000, at)),
        age: Some(std::time::Duration::from_secs(9)),
        is_stale: false,
        complete_since: None,
    };
    let assessment = Assessment {
        at,
        screening,
        seen: Vec::new(),
        exposed: Vec::new(),
        suspected: Vec::new(),
        derived: Vec::new(),
        is_association_shadow: true,
        suspected_verdict: Verdict::Challenge,
        knowledge: vec![knowledge],
        is_exposure_shadow: true,
        is_stale_shadow: true,
        verdict: Verdict::Allow,
    };
    screened_json(&ScreenAnswer {
        id: "scr-00112233445566778899aabbccddeeff".to_owned(),
        lines: vec![(assessment_json(&line, &assessment), assessment.verdict)],
        lists: lists_json(&assessment.screening.lists),
    })
}

pub(super) fn operation() -> Operation {
    Operation {
        id: "screen",
        tag: "screening",
        summary: "Screens an address, or many.",
        description: "Says what the lists in force say, what share of the address's money came from or went to listed holders \
                      on the chains that are followed, and how current that knowledge is. One JSON object asks about one \
                      address and is answered by one; application/x-ndjson asks about many, one object a line, and is answered \
                      by a line for each in their order and a last line with a summary. A line that cannot be read is refused \
                      by itself. The same idempotency key of the same caller gets the same answer again. Only labels, and \
                      exposure and staleness that do not merely report (shadow), enter the verdict.",
        query: vec![],
        body: vec![
            Content::json("Which address.", schema("ScreenRequest"), vec![("one", single())]),
            Content {
                media: "application/x-ndjson",
                or_text: None,
                schema: json!({
                    "type": "string",
                    "description": format!("Objects of the form ScreenLine, one a line, at most {SCREEN_LINES_MAX}."),
                }),
                examples: vec![("many", json!(LINES))],
                description: "Which addresses.",
            },
        ],
        answer: Content {
            or_text: Some("application/x-ndjson"),
            ..Content::json("What is known.", schema("Screening"), vec![("clean", sample())])
        },
        problems: &[Kind::IdempotencyConflict, Kind::Unavailable],
    }
}

fn sample_suspicions() -> Value {
    let suspected = Address::new(AddressKind::Evm, &[0x5a; 20]);
    let held = Held {
        chain: "ethereum".to_owned(),
        model: [0x11; 32],
        probability: 931_500,
        height: 21_000_000,
        block: [0x22; 32],
        transaction: [0x33; 32],
        transactions: 4,
        reasons: vec!["it pays out 0.98 of what it received".to_owned()],
        at: UnixNanos::from_secs(1_795_341_600),
        entry: 1_042,
    };
    let page: Vec<_> = suspected.into_iter().map(|address| (address, held.clone())).collect();
    suspicions_json(&page, false)
}

pub(super) fn suspicions_operation() -> Operation {
    let limit = json!({
        "type": "integer", "minimum": 1, "maximum": SUSPICIONS_MAX, "default": SUSPICIONS_DEFAULT,
    });
    Operation {
        id: "listSuspicions",
        tag: "screening",
        summary: "Lists whom models suspect.",
        description: "Addresses of followed chains that a model suspects after their first transactions, by the entry of the journal \
                      that says so. A suspicion is no knowledge; it ends when its block leaves the chain, when another model \
                      judges, and when a person clears the address. Each belongs to a case.",
        query: vec![
            ("after", text(64), "Where to go on: next of the page before. Absent: from the beginning."),
            ("limit", limit, "Most suspicions of the page."),
        ],
        body: vec![],
        answer: Content::json("A page.", schema("SuspicionPage"), vec![("page", sample_suspicions())]),
        problems: &[],
    }
}

pub(super) fn components() -> Vec<(&'static str, Value)> {
    let line = [
        ("network", network()),
        ("reference", described(text(NAME_BYTES_MAX), "The caller's own name for it, given back.")),
    ];
    let mut single = line.to_vec();
    single.push((
        "idempotency_key",
        described(text(IDEMPOTENCY_KEY_BYTES_MAX), "The same key gets the same answer again."),
    ));
    let plain = || json!({ "type": "string" });
    let maybe = |kind: &str| json!({ "type": [kind, "null"] });
    let objects = || json!({ "type": "array", "items": { "type": "object" } });
    let verdict = json!({ "type": "string", "enum": Verdict::ALL.map(Verdict::as_str) });
    let share = || json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let exposed = answer(
        &[
            ("chain", plain()),
            ("asset", maybe("string")),
            ("direction", json!({ "type": "string", "enum": ["received", "paid"] })),
            ("category", plain()),
            ("verdict", verdict.clone()),
            ("shadow", json!({ "type": "boolean", "description": "It only reports." })),
            ("direct", share()),
            ("indirect", share()),
            ("amount", described(plain(), "In the smallest unit, rounded to 15 digits.")),
            ("of", plain()),
            ("hops", json!({ "type": "integer", "minimum": 1 })),
            ("listed_address", maybe("string")),
            ("by_cluster_with", maybe("string")),
            ("path", objects()),
        ],
        &[],
    );
    let suspected = answer(
        &[
            ("chain", plain()),
            ("verdict", verdict.clone()),
            ("shadow", json!({ "type": "boolean", "description": "It only reports." })),
            ("model_sha256", plain()),
            ("probability", share()),
            ("block", json!({ "type": "integer", "minimum": 0 })),
            ("transaction", maybe("string")),
            ("transactions_seen", json!({ "type": "integer", "minimum": 1 })),
            ("reasons", json!({ "type": "array", "items": { "type": "string" } })),
            ("recorded_at", time()),
        ],
        &[],
    );
    let suspicion = answer(
        &[
            ("address", plain()),
            ("chain", plain()),
            ("entry", json!({ "type": "integer", "minimum": 0 })),
            ("at", time()),
            ("probability", share()),
            ("height", json!({ "type": "integer", "minimum": 0 })),
            ("transactions", json!({ "type": "integer", "minimum": 0 })),
            ("reasons", json!({ "type": "array", "items": { "type": "string" } })),
            ("transaction", plain()),
            ("model", described(plain(), "SHA-256 of the file of the model.")),
        ],
        &[],
    );
    let suspicions = answer(
        &[
            ("suspicions", json!({ "type": "array", "items": schema("Suspicion") })),
            ("next", described(maybe("string"), "The after of the next page.")),
        ],
        &[],
    );
    let derived = answer(
        &[
            ("chain", plain()),
            ("category", plain()),
            ("verdict", verdict.clone()),
            ("shadow", json!({ "type": "boolean", "description": "It only reports." })),
            ("confidence", share()),
            ("illicit_share", share()),
            ("illicit_around", json!({ "type": "integer", "minimum": 0 })),
            ("licit_around", json!({ "type": "integer", "minimum": 0 })),
            ("path", objects()),
        ],
        &[],
    );
    let knowledge = answer(
        &[
            ("chain", plain()),
            ("block", maybe("integer")),
            ("block_time", json!({ "type": ["string", "null"], "format": "date-time" })),
            ("age_s", maybe("integer")),
            ("is_stale", json!({ "type": "boolean" })),
            ("shadow", json!({ "type": "boolean" })),
            ("complete_since_block", maybe("integer")),
        ],
        &[],
    );
    let list = answer(
        &[
            ("name", plain()),
            ("imported_at", time()),
            ("entries", json!({ "type": "integer", "minimum": 0 })),
            ("sha256", plain()),
        ],
        &[],
    );
    vec![
        ("ScreenLine", request(&[("address", address())], &line)),
        ("Suspicion", suspicion),
        ("SuspicionPage", suspicions),
        ("ScreenRequest", request(&[("address", address())], &single)),
        (
            "Screening",
            answer(
                &[
                    ("id", plain()),
                    ("address", plain()),
                    ("network", maybe("string")),
                    ("reference", maybe("string")),
                    ("canonical", maybe("string")),
                    ("family", maybe("string")),
                    ("invalid", described(maybe("string"), "Why it is no address of the network asked for.")),
                    ("verdict", verdict),
                    ("categories", json!({ "type": "array", "items": { "type": "string" } })),
                    ("is_contradictory", json!({ "type": "boolean" })),
                    ("labels", objects()),
                    ("more_labels", json!({ "type": "integer", "minimum": 0 })),
                    ("exposed", json!({ "type": "array", "items": exposed })),
                    ("suspected", json!({ "type": "array", "items": suspected })),
                    ("derived", json!({ "type": "array", "items": derived })),
                    ("seen", objects()),
                    ("knowledge", json!({ "type": "array", "items": knowledge })),
                    ("lists", json!({ "type": "array", "items": list })),
                ],
                &[],
            ),
        ),
    ]
}
