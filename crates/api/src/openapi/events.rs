//! Events, type by type.

use domain::{AccountId, Anonymizer, ApiKeyId, Credential, EventId, Side};
use serde_json::{Value, json};

use super::schemas::{
    account, address, amount, asset, described, device, id, ip, network, request, text, time,
};
use crate::limits::NAME_BYTES_MAX;

type Fields = Vec<(&'static str, Value)>;

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn name() -> Value {
    text(NAME_BYTES_MAX)
}

fn other_account() -> Value {
    id(AccountId::BYTES_MAX)
}

fn side() -> Value {
    json!({ "type": "string", "enum": Side::ALL.map(Side::as_str) })
}

/// What an event has beside what all have, required and optional.
fn own() -> Vec<(&'static str, Fields, Fields)> {
    let digest = || described(address(), "Compared and never read: send a digest.");
    let instrument = || ("instrument", name());
    let credential = json!({ "type": "string", "enum": Credential::ALL.map(Credential::as_str) });
    let label = json!({ "type": "string", "enum": ["fraud", "legitimate"] });
    vec![
        ("account_opened", vec![], vec![("referrer", other_account())]),
        ("address_added", vec![("network", network()), ("address", address())], vec![]),
        (
            "api_key_created",
            vec![("api_key", id(ApiKeyId::BYTES_MAX)), ("may_withdraw", flag()), ("ip_bound", flag())],
            vec![],
        ),
        ("balance_changed", vec![("asset", asset()), ("total", amount())], vec![]),
        (
            "bonus_granted",
            vec![("asset", asset()), ("amount", amount()), ("campaign", name())],
            vec![("referred", other_account())],
        ),
        ("credential_changed", vec![("credential", credential)], vec![]),
        (
            "deposit",
            vec![("asset", asset()), ("amount", amount()), ("network", network())],
            vec![("from", address())],
        ),
        ("device_added", vec![("device", device())], vec![]),
        ("device_removed", vec![("device", device())], vec![]),
        (
            "kyc_changed",
            vec![("level", json!({ "type": "integer", "minimum": 0, "maximum": u8::MAX }))],
            vec![("document", digest())],
        ),
        (
            "label",
            vec![("label", label), ("source", name())],
            vec![
                ("event", described(id(EventId::BYTES_MAX), "What it is about; not together with decision.")),
                (
                    "decision",
                    json!({ "type": "string", "description": "What it is about: a decision's id." }),
                ),
            ],
        ),
        ("login", vec![("success", flag()), ("second_factor", flag())], vec![]),
        ("order_cancelled", vec![instrument(), ("order", name())], vec![]),
        ("order_filled", vec![instrument(), ("quantity", amount()), ("price", amount())], vec![]),
        (
            "order_placed",
            vec![instrument(), ("order", name()), ("side", side()), ("quantity", amount())],
            vec![("price", amount())],
        ),
        (
            "p2p_trade",
            vec![
                ("counterparty", other_account()),
                ("side", side()),
                ("asset", asset()),
                ("amount", amount()),
                ("status", name()),
            ],
            vec![("payment", digest())],
        ),
        ("support_contacted", vec![("topic", name())], vec![]),
        ("transfer", vec![("asset", asset()), ("amount", amount()), ("to", other_account())], vec![]),
        (
            "withdrawal_accepted",
            vec![("asset", asset()), ("amount", amount()), ("network", network()), ("address", address())],
            vec![],
        ),
    ]
}

/// Every type of event with its whole schema.
pub(super) fn event_types() -> Vec<(&'static str, Value)> {
    let whole = |(kind, own, own_optional): (&'static str, Fields, Fields)| {
        let mut required = vec![
            ("type", json!({ "type": "string", "const": kind })),
            ("id", described(id(EventId::BYTES_MAX), "The same id is the same event.")),
            ("account", account()),
            ("occurred_at", time()),
        ];
        let mut optional = vec![
            ("ip", ip()),
            ("asn", json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })),
            ("anonymizer", json!({ "type": "string", "enum": Anonymizer::ALL.map(Anonymizer::as_str) })),
            ("country", json!({ "type": "string", "pattern": "^[A-Z]{2}$" })),
            ("value", described(amount(), "What was at stake, in the exchange's reference currency.")),
        ];
        if !own.iter().any(|(name, _)| *name == "device") {
            optional.push(("device", device()));
        }
        required.extend(own);
        optional.extend(own_optional);
        (kind, request(&required, &optional))
    };
    own().into_iter().map(whole).collect()
}
