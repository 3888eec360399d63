//! The schemas of version 1. Lengths and patterns come from what the parsers check.

use domain::{AccountId, ActKind, Asset, DeviceId, FindingSource, Network, Verdict};
use identity::webauthn::PART_BYTES_MAX;
use serde_json::{Map, Value, json};

use crate::{
    installation::QUERY_CHARS_MAX,
    limits::{
        ACT_BYTES_MAX, ADDRESS_BYTES_MAX, DEADLINE_MAX, IDEMPOTENCY_KEY_BYTES_MAX, NAME_BYTES_MAX, PAGE_MAX,
        PATH_BYTES_MAX,
    },
    problem::Kind,
};

/// Text of 1 to `bytes_max` bytes without control characters.
pub(crate) fn text(bytes_max: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": bytes_max, "pattern": "^[^\u{0}-\u{1f}\u{7f}-\u{9f}]+$" })
}

pub(super) fn id(bytes_max: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": bytes_max, "pattern": "^[A-Za-z0-9._:@-]+$" })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn described(mut schema: Value, description: &str) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), json!(description));
    }
    schema
}

/// The same, or null, which means absent.
pub(super) fn or_null(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    match object.get("type").cloned() {
        Some(Value::String(kind)) => drop(object.insert("type".to_owned(), json!([kind, "null"]))),
        _ => return json!({ "anyOf": [schema, { "type": "null" }] }),
    }
    if let Some(Value::Array(choices)) = object.get_mut("enum") {
        choices.push(Value::Null);
    }
    schema
}

/// An object of what is sent: closed, since the parsers refuse what they do not know.
pub(super) fn request(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let mut properties = Map::new();
    for (name, schema) in required {
        properties.insert((*name).to_owned(), schema.clone());
    }
    for (name, schema) in optional {
        properties.insert((*name).to_owned(), or_null(schema.clone()));
    }
    let required: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// An object of what is answered: open, since fields may be added.
pub(crate) fn answer(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        required.iter().chain(optional).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

pub(super) fn amount() -> Value {
    json!({
        "type": "string", "pattern": r"^[0-9]{1,28}(\.[0-9]{1,28})?$",
        "description": "Exact decimal of at most 28 significant digits.",
    })
}

pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time", "maxLength": 64 })
}

pub(super) fn address() -> Value {
    described(text(ADDRESS_BYTES_MAX), "As the network writes it.")
}

pub(super) fn ip() -> Value {
    json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
}

pub(super) fn account() -> Value {
    described(id(AccountId::BYTES_MAX), "A customer's account.")
}

pub(super) fn asset() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": Asset::BYTES_MAX, "pattern": "^[A-Z0-9._-]+$" })
}

pub(super) fn device() -> Value {
    id(DeviceId::BYTES_MAX)
}

pub(super) fn network() -> Value {
    json!({ "type": "string", "enum": Network::ALL.map(Network::as_str) })
}

fn verdict() -> Value {
    json!({ "type": "string", "enum": Verdict::ALL.map(Verdict::as_str) })
}

fn withdrawals() -> (Value, Value) {
    let common = |destination: &[(&'static str, Value)], tagged: bool| {
        let mut required = vec![("account", account()), ("asset", asset()), ("amount", amount())];
        required.extend(destination.iter().cloned());
        required.push(("ip", ip()));
        let mut optional = vec![
            ("fee", amount()),
            ("client_id", described(text(NAME_BYTES_MAX), "The exchange's own id of the withdrawal.")),
            ("device", device()),
        ];
        if tagged {
            optional.push(("tag", text(NAME_BYTES_MAX)));
        }
        request(&required, &optional)
    };
    let chain =
        described(text(NAME_BYTES_MAX), "A network. One that cannot be screened is no fault of the form.");
    (
        common(&[("network", chain), ("address", address())], true),
        common(&[("internal_recipient", text(ADDRESS_BYTES_MAX))], false),
    )
}

fn decision_request() -> Value {
    let (on_chain, internal) = withdrawals();
    let deadline = u64::try_from(DEADLINE_MAX.as_millis()).unwrap_or(u64::MAX);
    let admin_act = request(
        &[
            ("actor", described(text(72), "As at the control API: user:anna, service:exchange.")),
            ("capability", described(text(NAME_BYTES_MAX), "What it takes, of the table of capabilities.")),
            ("act", text(ACT_BYTES_MAX)),
        ],
        &[("account", account()), ("ip", ip())],
    );
    let api_call = request(
        &[
            ("account", account()),
            ("api_key", id(domain::ApiKeyId::BYTES_MAX)),
            ("method", json!({ "type": "string", "enum": crate::wire::METHODS })),
            ("path", json!({ "type": "string", "pattern": "^/[!\"$-> @-~]*$", "maxLength": PATH_BYTES_MAX })),
            ("ip", ip()),
        ],
        &[],
    );
    let address_screen = request(
        &[("address", address()), ("network", network())],
        &[("reference", described(text(NAME_BYTES_MAX), "The exchange's own name for it."))],
    );
    let about = [
        ("withdrawal", json!({ "oneOf": [on_chain, internal] })),
        ("address_screen", address_screen),
        ("admin_act", admin_act),
        ("api_call", api_call),
        ("login", reference("LoginEvent")),
        ("order", reference("OrderPlacedEvent")),
    ];
    let ways = about.map(|(kind, schema)| {
        request(
            &[("type", json!({ "type": "string", "const": kind })), (kind, schema)],
            &[
                (
                    "idempotency_key",
                    described(text(IDEMPOTENCY_KEY_BYTES_MAX), "The same key gets the first decision again."),
                ),
                ("deadline_ms", json!({ "type": "integer", "minimum": 1, "maximum": deadline })),
            ],
        )
    });
    json!({ "oneOf": ways })
}

/// What an answer says beside the decision itself.
fn decided_maybe() -> Vec<(&'static str, Value)> {
    let kinds = ActKind::ALL.map(ActKind::as_str);
    vec![
        ("type", described(json!({ "type": "string", "enum": kinds }), "Of an act that is no withdrawal.")),
        ("mode", described(json!({ "type": "string", "const": "shadow" }), "It was asked in shadow.")),
        ("would_be", described(verdict(), "What it would have been, of one that was asked in shadow.")),
    ]
}

fn traced() -> Value {
    let plain = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": plain() });
    let list = |item: Value| json!({ "type": "array", "items": item });
    let step = answer(
        &[("step", plain()), ("findings", texts()), ("asks", verdict()), ("outcome", plain())],
        &[("asks_in_shadow", verdict())],
    );
    let added = answer(
        &[("feature", plain()), ("value", plain()), ("added_logit", json!({ "type": "number" }))],
        &[],
    );
    let score = answer(&[("code", plain()), ("probability_ppm", plain()), ("steps", list(added))], &[]);
    let otherwise = answer(&[("code", plain()), ("would_pass_if", plain())], &[]);
    let receipt = described(plain(), "Absent while no signed checkpoint covers it.");
    let proof = answer(
        &[("position", json!({ "type": "integer", "minimum": 0 })), ("command", plain())],
        &[("receipt", receipt)],
    );
    let mut required = decided();
    required.extend([
        ("type", plain()),
        ("sentence", plain()),
        ("trace", list(step)),
        ("versions", list(answer(&[("name", plain()), ("value", plain())], &[]))),
        ("redacted", json!({ "type": "boolean" })),
        ("proof", proof),
    ]);
    let mut optional = decided_maybe();
    optional.retain(|(name, _)| *name != "type");
    optional.extend([("scores", list(score)), ("would_pass_if", list(otherwise))]);
    answer(&required, &optional)
}

fn act_explained() -> Value {
    let mut required = decided();
    required.extend([
        ("type", json!({ "type": "string", "enum": ActKind::ALL.map(ActKind::as_str) })),
        ("act", json!({ "type": "object", "additionalProperties": { "type": "string" } })),
        ("caller", json!({ "type": "string", "description": "Who asked." })),
        ("position", json!({ "type": "integer", "minimum": 0, "description": "In the journal: proves it." })),
    ]);
    let mut optional = decided_maybe();
    optional.retain(|(name, _)| *name != "type");
    optional.push(("idempotency_key", json!({ "type": "string" })));
    answer(&required, &optional)
}

fn reason() -> Value {
    let source = json!({ "type": "string", "enum": FindingSource::ALL.map(FindingSource::as_str) });
    answer(
        &[
            ("source", source),
            ("code", json!({ "type": "string", "description": "Stable, such as watch.sanctioned." })),
            ("verdict", verdict()),
            ("message", json!({ "type": "string" })),
            ("shadow", json!({ "type": "boolean", "description": "True: it had no effect." })),
            ("evidence", json!({ "type": "object", "additionalProperties": { "type": "string" } })),
        ],
        &[("would_pass_if", json!({ "type": "string" }))],
    )
}

fn decided() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!({ "type": "string", "description": "Looks it up; shown to customers and support." })),
        ("verdict", described(verdict(), "Only allow lets it go ahead.")),
        ("decided_at", time()),
        ("reasons", json!({ "type": "array", "items": reference("Reason") })),
    ]
}

fn asked() -> Value {
    let plain = || json!({ "type": "string" });
    answer(
        &[
            ("account", plain()),
            ("asset", plain()),
            ("amount", amount()),
            ("channel", json!({ "type": "string", "enum": ["api_key", "exchange"] })),
            ("ip", plain()),
            ("requested_at", time()),
        ],
        &[
            ("fee", amount()),
            ("internal_recipient", plain()),
            ("network", plain()),
            ("address", plain()),
            ("tag", plain()),
            ("api_key", plain()),
            ("client_id", plain()),
            ("device", plain()),
            ("client_ja4", plain()),
        ],
    )
}

fn explained() -> Value {
    let mut required = decided();
    required.push(("withdrawal", asked()));
    let position = json!({ "type": "integer", "minimum": 0, "description": "In the journal: proves it." });
    let review = reference("Review");
    let key = json!({ "type": "string" });
    let mut optional = decided_maybe();
    optional.retain(|(name, _)| *name != "type");
    optional.extend([("idempotency_key", key), ("position", position), ("review", review)]);
    answer(&required, &optional)
}

fn consent_answer() -> Value {
    let refusal = request(&[("decision", json!({ "type": "string", "const": "deny" }))], &[]);
    let listed = |what: &str| json!({ "type": "string", "description": what });
    let approval = request(
        &[("decision", json!({ "type": "string", "const": "approve" })), ("account", account())],
        &[
            ("scopes", json!({ "type": "string", "enum": ["read", "trade", "read trade"] })),
            ("days", json!({ "type": "integer", "minimum": 1, "maximum": 90 })),
            ("environment", json!({ "type": "string", "enum": ["live", "demo"] })),
            ("ips", listed("Addresses and networks, with commas between.")),
            ("instruments", listed("Such as BTC-USDT or ETH-*, with commas between.")),
            ("quote", described(asset(), "The asset of per_order and per_day.")),
            ("per_order", amount()),
            ("per_day", amount()),
        ],
    );
    json!({ "oneOf": [approval, refusal] })
}

fn problem() -> Value {
    answer(
        &[
            ("type", json!({ "type": "string", "enum": Kind::ALL.map(Kind::urn) })),
            ("title", json!({ "type": "string" })),
            ("status", json!({ "type": "integer" })),
        ],
        &[
            ("detail", json!({ "type": "string" })),
            ("line", json!({ "type": "integer", "minimum": 1 })),
            ("field", json!({ "type": "string" })),
            ("faults", json!({ "type": "array", "items": { "type": "string" } })),
            ("decision_id", json!({ "type": "string", "description": "The decision it stems from." })),
        ],
    )
}

/// What decisions may be asked for by.
pub(super) fn decisions_filter() -> Vec<(&'static str, Value, &'static str)> {
    let verdicts = Verdict::ALL.map(Verdict::as_str).join("|");
    let types = crate::decisions::types().join("|");
    let listed = |one: &str| json!({ "type": "string", "maxLength": QUERY_CHARS_MAX, "pattern": format!("^({one})(,({one}))*$") });
    vec![
        ("type", listed(&types), "Types with commas between, or all; withdrawal if absent."),
        ("verdict", listed(&verdicts), "Verdicts with commas between; any if absent."),
        ("account", account(), "Only those about this customer."),
    ]
}

/// What a page of something may be asked for by.
pub(crate) fn paging() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("after", text(64), "Where to go on: next of the page before. Absent: from the beginning."),
        (
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_MAX }),
            "Most entries of the page.",
        ),
    ]
}

/// Everything that has a name.
pub(crate) fn components() -> Map<String, Value> {
    let plain = || json!({ "type": "string" });
    let mut events = Vec::new();
    let mut components = Map::new();
    for (kind, schema) in super::events::event_types() {
        let name: String = kind.split('_').map(capital).collect::<String>() + "Event";
        events.push(reference(&name));
        components.insert(name, schema);
    }
    let grant = answer(
        &[
            ("grant", plain()),
            ("client_id", plain()),
            ("name", plain()),
            ("scopes", plain()),
            ("environment", plain()),
            ("restrictions", json!({ "type": "object", "additionalProperties": { "type": "string" } })),
            ("granted_at", time()),
            ("expires_at", time()),
            ("last_used_at", or_null(time())),
            ("last_used_from", or_null(plain())),
        ],
        &[],
    );
    let count = || json!({ "type": "integer", "minimum": 0 });
    let dead_letter = answer(
        &[
            ("number", count()),
            ("at", time()),
            ("caller", plain()),
            ("line", count()),
            ("field", plain()),
            ("reason", plain()),
            ("text", plain()),
        ],
        &[],
    );
    let named = [
        ("Account", request(&[("account", account())], &[])),
        (
            "AppRequest",
            answer(
                &[
                    ("client_id", plain()),
                    ("name", plain()),
                    ("scopes", plain()),
                    ("redirect_uri", plain()),
                    ("expires_at", time()),
                ],
                &[],
            ),
        ),
        ("ConsentAnswer", consent_answer()),
        ("ActExplanation", act_explained()),
        ("DecisionTrace", traced()),
        ("Decision", answer(&decided(), &decided_maybe())),
        ("DecisionRequest", decision_request()),
        (
            "DecisionPage",
            answer(
                &[
                    (
                        "decisions",
                        json!({
                            "type": "array",
                            "items": { "anyOf": [reference("Explanation"), reference("ActExplanation")] },
                        }),
                    ),
                    ("next", json!({ "type": "string", "description": "The after of the next page." })),
                    (
                        "more",
                        json!({ "type": "boolean", "description": "False: next has nothing to give as yet." }),
                    ),
                ],
                &[],
            ),
        ),
        (
            "DeadLetters",
            answer(
                &[
                    ("letters", json!({ "type": "array", "items": dead_letter })),
                    ("next", described(count(), "The from of the next page.")),
                    ("forgotten", described(count(), "Letters that made room; those before this number.")),
                ],
                &[],
            ),
        ),
        ("Event", json!({ "oneOf": events })),
        ("Explanation", explained()),
        ("Grant", grant),
        ("Grants", answer(&[("grants", json!({ "type": "array", "items": reference("Grant") }))], &[])),
        ("Health", answer(&[("status", json!({ "type": "string", "const": "ok" }))], &[])),
        ("Problem", problem()),
        ("Reason", reason()),
        ("Recorded", answer(&[("accepted", count()), ("duplicates", count()), ("erased", count())], &[])),
        (
            "Redirect",
            answer(
                &[(
                    "redirect",
                    json!({ "type": "string", "description": "Holds a secret: to be logged nowhere." }),
                )],
                &[],
            ),
        ),
        ("RefusedLine", answer(&[("line", count()), ("field", plain()), ("reason", plain())], &[])),
        ("Revoked", answer(&[("revoked", json!({ "type": "boolean", "const": true }))], &[])),
    ];
    let named = named
        .into_iter()
        .chain(super::appeals::components())
        .chain(super::cases::components())
        .chain(super::changes::components())
        .chain(super::emergency::components())
        .chain(super::installation::components())
        .chain(super::webhooks::components());
    components.extend(people());
    components.extend(named.map(|(name, schema)| (name.to_owned(), schema)));
    components
}

/// Binary parts in base64url without padding.
fn binary(bytes_max: usize) -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]*$", "maxLength": (bytes_max * 4).div_ceil(3) })
}

fn people() -> Map<String, Value> {
    let plain = || json!({ "type": "string" });
    let part = || binary(PART_BYTES_MAX);
    let challenge = || json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{43}$" });
    let invite = || text(128);
    let timeout = || json!({ "type": "integer", "minimum": 1 });
    let yes = || json!({ "type": "boolean", "const": true });
    let named = [
        ("Ended", answer(&[("ended", yes())], &[])),
        ("Enrolled", answer(&[("user", plain()), ("enrolled", yes())], &[])),
        (
            "EnrolmentBegun",
            answer(
                &[
                    ("challenge", challenge()),
                    ("rp_id", plain()),
                    ("user", plain()),
                    ("user_id", plain()),
                    ("algorithms", json!({ "type": "array", "items": { "type": "integer" } })),
                    ("exclude", json!({ "type": "array", "items": { "type": "string" } })),
                    ("timeout_ms", timeout()),
                ],
                &[],
            ),
        ),
        (
            "EnrolmentFinished",
            request(
                &[
                    ("invite", invite()),
                    ("challenge", challenge()),
                    ("client_data", part()),
                    ("attestation", part()),
                ],
                &[],
            ),
        ),
        ("Invite", request(&[("invite", invite())], &[])),
        (
            "Session",
            answer(
                &[
                    ("actor", described(plain(), "user:NAME or service:NAME.")),
                    ("capabilities", json!({ "type": "array", "items": { "type": "string" } })),
                ],
                &[("csrf", plain()), ("expires_at", time())],
            ),
        ),
        (
            "SignInBegun",
            answer(&[("challenge", challenge()), ("rp_id", plain()), ("timeout_ms", timeout())], &[]),
        ),
        (
            "SignInFinished",
            request(
                &[
                    ("challenge", challenge()),
                    ("passkey", part()),
                    ("client_data", part()),
                    ("authenticator_data", part()),
                    ("signature", part()),
                ],
                &[],
            ),
        ),
        ("SignedIn", answer(&[("user", plain()), ("csrf", plain()), ("expires_at", time())], &[])),
    ];
    named.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}
