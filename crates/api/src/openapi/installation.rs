//! The calls about the parts of an installation, described.

use domain::ApiKeyId;
use serde_json::{Value, json};

use super::{
    Content, Operation,
    operations::schema,
    schemas::{answer, described, id, or_null, request, text, time},
};
use crate::{
    InstallationCall,
    installation::{BAN_MINUTES_MAX, ENTRIES_MAX, QUERY_CHARS_MAX},
    limits::{NAME_BYTES_MAX, PAGE_MAX, WORDS_BYTES_MAX},
    problem::Kind,
};

/// A body that each call takes.
pub(super) fn body(call: InstallationCall) -> Option<Value> {
    match call {
        InstallationCall::BanAdd => Some(json!({ "target": "192.0.2.7", "minutes": 30 })),
        InstallationCall::BanLift => Some(json!({ "target": "192.0.2.7" })),
        InstallationCall::KeyRestrict => Some(json!({
            "endpoints": "POST /api/v5/trade/order, GET /api/v5/account/*", "instruments": "BTC-USDT, ETH-*",
            "notional_asset": "USDT", "order_max": "1000", "day_max": "5000", "hours": "Mon-Fri 08-18",
        })),
        _ => None,
    }
}

fn ban() -> Value {
    json!({
        "target": "192.0.2.7", "reason": "operator", "evidence": {}, "score": null,
        "since": "2026-11-22T10:00:00Z", "until": "2026-11-22T10:30:00Z", "strikes": 1, "in_force": true,
        "by": "user:anna",
    })
}

fn key() -> Value {
    json!({
        "key": "0e2b7c1d-key", "account": "u-1001", "label": "bot", "permissions": ["read", "trade"], "ips": ["192.0.2.7"],
        "environment": "live", "scheme": "okx", "restricted": false, "state": "active",
        "created_at": "2026-11-01T08:00:00Z", "last_used_at": null,
    })
}

struct Told {
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    query: Vec<(&'static str, Value, &'static str)>,
    schema: &'static str,
    example: Option<Value>,
    problems: &'static [Kind],
}

const READ: &[Kind] = &[Kind::InvalidRequest, Kind::Unavailable];
const ONE: &[Kind] = &[Kind::NotFound, Kind::Unavailable];
const CHANGE: &[Kind] = &[Kind::InvalidRequest, Kind::NotFound, Kind::Unavailable];

#[expect(clippy::too_many_lines, reason = "one list of descriptions, each a few lines")]
fn told(call: InstallationCall) -> Told {
    let changed = |state: &str| Some(json!({ "key": "0e2b7c1d-key", "state": state }));
    let base = |id, summary, description, schema, problems| Told {
        id,
        summary,
        description,
        query: vec![],
        schema,
        example: None,
        problems,
    };
    match call {
        InstallationCall::Backup => base(
            "showBackup",
            "How far the backup is, and the last drill.",
            "target is null where no backup is configured.",
            "Backup",
            READ,
        ),
        InstallationCall::BanAdd => Told {
            example: Some(ban()),
            ..base(
                "addBan",
                "Bans an address, a network or an operator, or a key there.",
                "For at most an hour. 404 unless a gateway serves.",
                "Ban",
                CHANGE,
            )
        },
        InstallationCall::BanLift => Told {
            example: Some(json!({ "target": "192.0.2.7", "lifted": true })),
            ..base(
                "liftBan",
                "Ends a ban.",
                "Named as it was made; lifted is false where there was none.",
                "BanLifted",
                CHANGE,
            )
        },
        InstallationCall::Bans => Told {
            query: vec![
                ("after", text(QUERY_CHARS_MAX), "The next of the page before."),
                ("limit", json!({ "type": "integer", "minimum": 1, "maximum": PAGE_MAX }), "Most of a page."),
            ],
            example: Some(json!({ "bans": [ban()], "next": null })),
            ..base(
                "listBans",
                "Lists bans in the order of their targets.",
                "Those of the shadow mode have in_force false. 404 unless a gateway serves.",
                "Bans",
                ONE,
            )
        },
        InstallationCall::Checkpoint => Told {
            example: Some(json!({ "checkpoint": null })),
            ..base(
                "showCheckpoint",
                "The newest signed checkpoint of the log.",
                "A C2SP signed note; null before the first publication.",
                "Checkpoint",
                READ,
            )
        },
        InstallationCall::Drill => base(
            "runDrill",
            "Restores the backup beside the data, compares it with the live state, and records what came of it.",
            "Takes as long as a restore does. 404 where no backup is configured.",
            "Drill",
            CHANGE,
        ),
        InstallationCall::Entries => Told {
            query: vec![
                (
                    "from",
                    json!({ "type": "integer", "minimum": 0, "default": 0 }),
                    "The first position looked at.",
                ),
                ("kind", text(QUERY_CHARS_MAX), "Kinds of entries, with commas between; absent for all."),
                (
                    "limit",
                    json!({ "type": "integer", "minimum": 1, "maximum": ENTRIES_MAX }),
                    "Positions looked at, and not entries told.",
                ),
            ],
            example: Some(json!({ "next": 0, "entries": [] })),
            ..base(
                "listEntries",
                "Journal entries in words, without what is sealed.",
                "Go on with next; it stays the same at the end of the journal.",
                "Entries",
                READ,
            )
        },
        InstallationCall::Key => base(
            "showKey",
            "Shows an API key: restrictions, use, from where it is known.",
            "Never a secret. A revoked key is not found.",
            "Key",
            ONE,
        ),
        InstallationCall::KeyFreeze => Told {
            example: changed("frozen"),
            ..base(
                "freezeKey",
                "Takes a key out of force until it is unfrozen.",
                "Its connections end at once.",
                "KeyChanged",
                CHANGE,
            )
        },
        InstallationCall::KeyRestrict => base(
            "restrictKey",
            "Restricts a key, in place of what it was restricted to.",
            "The empty object takes all restrictions away. Its connections end at once, and for a day it withdraws nothing.",
            "Key",
            CHANGE,
        ),
        InstallationCall::KeyRevoke => Told {
            example: changed("revoked"),
            ..base(
                "revokeKey",
                "Takes a key out of force for ever.",
                "Its connections end at once.",
                "KeyChanged",
                CHANGE,
            )
        },
        InstallationCall::KeyUnfreeze => Told {
            example: changed("active"),
            ..base(
                "unfreezeKey",
                "Puts a frozen key in force again.",
                "A revoked key is not found.",
                "KeyChanged",
                CHANGE,
            )
        },
        InstallationCall::Keys => Told {
            query: vec![("account", id(domain::AccountId::BYTES_MAX), "Whose; required.")],
            example: Some(json!({ "keys": [key()] })),
            ..base("listKeys", "Lists the API keys of an account.", "Without secrets.", "Keys", READ)
        },
        InstallationCall::Lists => base(
            "listLists",
            "Label lists in force: state, digest and when it was imported.",
            "What the lists say of an address: POST /v1/screen.",
            "Lists",
            READ,
        ),
        InstallationCall::Receipt => base(
            "showReceipt",
            "The proof that the log holds the entry at a position.",
            "A C2SP tlog-proof with the signed checkpoint; publishes first what is durable.",
            "Receipt",
            ONE,
        ),
    }
}

pub(super) fn operation(call: InstallationCall) -> Operation {
    let Told { id, summary, description, query, schema: name, example, problems } = told(call);
    let sent = body(call).map(|example| {
        let named = match call {
            InstallationCall::BanAdd => "BanRequest",
            InstallationCall::KeyRestrict => "KeyLimits",
            _ => "BanLift",
        };
        Content::json("What.", schema(named), vec![("example", example)])
    });
    let examples = example.map(|value| ("example", value)).into_iter().collect();
    Operation {
        id,
        tag: "installation",
        summary,
        description,
        query,
        body: sent.into_iter().collect(),
        answer: Content::json("As asked.", schema(name), examples),
        problems,
    }
}

/// Its schemas by name.
pub(super) fn components() -> Vec<(&'static str, Value)> {
    let plain = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": plain() });
    let yes_no = || json!({ "type": "boolean" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let open = || json!({ "type": "object" });
    let list = |item: Value| json!({ "type": "array", "items": item });
    let target = || described(text(NAME_BYTES_MAX), "Address, network or operator, such as AS64500.");
    let api_key = || id(ApiKeyId::BYTES_MAX);
    let drill = || {
        vec![
            ("ok", yes_no()),
            ("entries", count()),
            ("root", plain()),
            ("took_ms", count()),
            ("detail", plain()),
            ("at", plain()),
        ]
    };
    let listed = || {
        vec![
            ("key", plain()),
            ("account", plain()),
            ("label", plain()),
            ("permissions", texts()),
            ("ips", texts()),
            ("environment", plain()),
            ("scheme", plain()),
            ("restricted", yes_no()),
            ("state", plain()),
            ("created_at", or_null(time())),
            ("last_used_at", or_null(time())),
        ]
    };
    let mut shown = listed();
    shown.extend([
        ("restrictions", open()),
        ("restricted_at", or_null(time())),
        ("may_withdraw_from", or_null(time())),
        ("day_spent", or_null(plain())),
        ("last_uses", list(open())),
        ("known_from", list(open())),
        ("acts", list(answer(&[("at", time()), ("what", plain()), ("by", or_null(plain()))], &[]))),
    ]);
    let words = |about| described(text(WORDS_BYTES_MAX), about);
    let word = |about| described(text(NAME_BYTES_MAX), about);
    let minutes = json!({ "type": "integer", "minimum": 1, "maximum": BAN_MINUTES_MAX });
    vec![
        (
            "Backup",
            answer(
                &[
                    ("target", or_null(plain())),
                    ("entries", count()),
                    ("entries_shipped", count()),
                    ("shipped_at", or_null(plain())),
                    ("last_drill", json!({ "oneOf": [schema("Drill"), { "type": "null" }] })),
                ],
                &[],
            ),
        ),
        (
            "Ban",
            answer(
                &[
                    ("target", plain()),
                    ("reason", plain()),
                    ("evidence", open()),
                    ("score", or_null(count())),
                    ("since", plain()),
                    ("until", plain()),
                    ("strikes", count()),
                    ("in_force", yes_no()),
                ],
                &[("by", described(plain(), "Who decided, where somebody did and they are known."))],
            ),
        ),
        ("BanLift", request(&[("target", target())], &[("api_key", api_key())])),
        ("BanLifted", answer(&[("target", plain()), ("lifted", yes_no())], &[])),
        ("BanRequest", request(&[("target", target())], &[("api_key", api_key()), ("minutes", minutes)])),
        ("Bans", answer(&[("bans", list(schema("Ban"))), ("next", or_null(plain()))], &[])),
        ("Checkpoint", answer(&[("checkpoint", or_null(plain()))], &[])),
        ("Drill", answer(&drill(), &[])),
        ("Entries", answer(&[("next", count()), ("entries", list(open()))], &[])),
        ("Key", answer(&shown, &[])),
        (
            "KeyLimits",
            request(
                &[],
                &[
                    ("day_max", word("Most all orders of a day may be worth.")),
                    (
                        "destinations",
                        words("Entries of the address book: ids, or network:address, with commas between."),
                    ),
                    ("endpoints", words("Such as POST /api/v5/trade/order, GET /api/v5/account/*.")),
                    ("hours", words("Such as Mon-Fri 08-18; Sat,Sun 10-12, UTC, with semicolons between.")),
                    ("instruments", words("Such as BTC-USDT, ETH-*.")),
                    ("notional_asset", word("The asset of order_max and day_max.")),
                    ("order_max", word("Most one order may be worth.")),
                    ("transfers", words("Such as funding_to_trading, with commas between.")),
                ],
            ),
        ),
        ("KeyChanged", answer(&[("key", plain()), ("state", plain())], &[])),
        ("Keys", answer(&[("keys", list(answer(&listed(), &[])))], &[])),
        (
            "Lists",
            answer(
                &[(
                    "lists",
                    list(answer(
                        &[
                            ("name", plain()),
                            ("labels", count()),
                            ("addresses", count()),
                            ("kept_as_text", count()),
                            ("skipped", count()),
                            ("sha256", plain()),
                            ("imported_at", plain()),
                        ],
                        &[],
                    )),
                )],
                &[],
            ),
        ),
        ("Receipt", answer(&[("receipt", plain())], &[])),
    ]
}
