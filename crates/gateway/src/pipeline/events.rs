//! What each refusal says about its source: an event against it, or nothing.
//!
//! Only what an honest client does not do, or does not do often, is an event. What an account is limited to, lacks the
//! permission for or gets wrong in its parameters is between it and the exchange, and nothing here depends on it: a
//! customer's bug must not lock out the customer. A test reads the sources and finds every label classified.

use admission::reputation::Event;

/// What a refusal under `label` says; `None` for a label that nobody has thought about.
pub(crate) fn classified(label: &str) -> Option<Option<Event>> {
    let event = match label {
        "signature_invalid"
        | "passphrase_incorrect"
        | "content_digest_mismatch"
        | "dpop_invalid"
        | "token_invalid" => Event::BadSignature,
        "api_key_expired" | "api_key_revoked" | "api_key_unknown" | "session_unknown" => Event::UnknownKey,
        // Of HTTP, TLS and WebSocket as such. What clients get wrong in good faith is below.
        "authority_mismatch"
        | "authorization_invalid"
        | "body_not_json"
        | "connection_option"
        | "content_length"
        | "duplicate_header"
        | "fragment"
        | "h2_connection_error"
        | "head_too_large"
        | "header_field"
        | "headers_too_many"
        | "host_missing"
        | "host_repeated"
        | "line_end"
        | "path_not_canonical"
        | "query_character"
        | "request_line"
        | "signature_malformed"
        | "transfer_encoding"
        | "upgrade_unsupported"
        | "ws_binary"
        | "ws_fragments"
        | "ws_handshake_key"
        | "ws_malformed"
        | "ws_not_utf8"
        | "ws_ping_flood"
        | "ws_protocol"
        | "ws_too_long" => Event::Malformed,
        "endpoint_unavailable" | "method_invalid" => Event::RefusedRoute,
        "repeated" => Event::Replay,
        "answer_too_slow" | "body_too_slow" | "handshake_too_slow" | "head_too_slow" | "ws_slow_reader" => {
            Event::Slow
        }
        "handshake_failed" => Event::HandshakeFailure,
        // Who goes on with a key that is banned there goes on.
        "connections_per_source_max"
        | "key_banned"
        | "public_rate_limited"
        | "source_rate_limited"
        | "ws_connects_limited"
        | "ws_logins_too_frequent" => Event::RateLimited,
        _ if label.starts_with("h2_") => Event::H2Violation,
        _ => return is_harmless(label).then_some(None),
    };
    Some(Some(event))
}

/// Refusals that say nothing against a source.
fn is_harmless(label: &str) -> bool {
    matches!(
        label,
        // A ban in force says nothing new; what one source is refused for another's sake, neither.
        "banned" | "connection_evicted" | "connections_max" | "proxy_header"
        | "proxy_header_too_slow" | "challenged"
        // Mistakes in good faith, before the sender is proven.
        | "api_key_frozen" | "api_key_missing" | "body_broken" | "body_empty" | "body_on_get" | "body_too_large"
        | "content_type" | "content_type_invalid" | "environment_mismatch" | "exchange_domain_unknown"
        | "exchange_id_unknown" | "expectation" | "expiry_in_past" | "ip_forbidden" | "ip_not_bound"
        | "key_signature_required" | "order_expired" | "passphrase_missing" | "query_with_body"
        | "signature_missing" | "timestamp_expired" | "timestamp_invalid" | "timestamp_missing"
        | "token_expired"
        // Of a proven sender.
        | "action_unreadable" | "address_not_verified" | "address_risk" | "address_tag_missing"
        | "amend_rate_limited" | "cancel_rate_limited" | "client_order_id_exists" | "credential_cool_down"
        | "demo_only" | "demo_unsupported" | "destination_forbidden" | "endpoint_forbidden"
        | "funding_rate_limited" | "grant_ended" | "hours_closed" | "instrument_forbidden"
        | "internal_recipient_invalid" | "ip_binding_required" | "json_invalid" | "key_cool_down"
        | "key_rate_limited" | "named_rate_limited" | "network_maintenance" | "non_tradable_needs_ip_binding" | "notional_spent"
        | "notional_too_large" | "notional_unknown" | "order_rate_limited" | "ownership_unproven"
        | "parameter_empty" | "parameter_exists" | "parameter_invalid" | "permission_missing"
        | "place_rate_limited" | "rate_limited" | "rate_limited_upstream" | "read_rate_limited"
        | "sub_account_withdrawal" | "too_frequent" | "too_many_orders" | "transfer_forbidden" | "user_blocked"
        | "withdraw_rate_limited" | "withdrawal_address_invalid" | "withdrawal_address_missing"
        | "key_seen_elsewhere" | "withdrawal_held" | "withdrawal_not_allowed" | "write_rate_limited"
        // Ours, or the exchange's.
        | "answer_too_large" | "budget_contended" | "change_not_recorded" | "decision_unavailable" | "passphrase_checks_busy" | "service_unavailable" | "shed" | "system_busy"
        | "system_error" | "upstream_busy" | "upstream_down" | "upstream_lost" | "upstream_malformed"
        | "upstream_timeout"
        // Of web sockets.
        | "ws_account_full" | "ws_args" | "ws_closed_by_exchange" | "ws_handshake_version" | "ws_id" | "ws_idle" | "ws_illegal" | "ws_key_changed"
        | "ws_login_failed" | "ws_login_incomplete" | "ws_login_mixed" | "ws_login_repeated" | "ws_login_timestamp"
        | "ws_not_logged_in" | "ws_not_upgrade" | "ws_op" | "ws_subscriptions" | "ws_too_frequent" | "ws_upstream_down"
        | "ws_upstream_lost" | "ws_wrong_url"
    ) || label.starts_with("model_")
}

/// Whether an event is held against the API key that was named, beside its source: only what an honest holder of the
/// key does not do. Repeating a request, or asking too often, is no reason to keep a customer from trading.
pub(crate) const fn blames_key(event: Event) -> bool {
    matches!(event, Event::BadSignature | Event::UnknownKey)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// The string literals that follow `marker` in a text, from `skip` literals on.
    fn after<'t>(text: &'t str, marker: &str, skip: usize) -> Vec<&'t str> {
        text.match_indices(marker)
            .filter_map(|(at, _)| text[at + marker.len()..].split('"').nth(1 + 2 * skip))
            .collect()
    }

    fn labels_of(text: &str) -> Vec<&str> {
        // Tests make up labels of their own.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let mut found = Vec::new();
        for marker in ["labelled(\"", "label: \"", "refusal(\"", "note_abuse(&peer, \"", "Some(\"proxy"] {
            let quote = marker.len() - marker.rfind('"').unwrap();
            found.extend(
                text.match_indices(marker)
                    .filter_map(|(at, _)| text[at + marker.len() - quote + 1..].split('"').next()),
            );
        }
        found.extend(after(text, "note_slow(", 0));
        for (at, _) in text.match_indices("fn label(") {
            let body = text[at..].split("\n    }\n").next().unwrap();
            found.extend(after(body, "=> ", 0));
        }
        found
    }

    #[test]
    fn every_label_is_classified() {
        let mut labels = BTreeSet::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut folders = vec![root.join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().is_some_and(|name| name != "tests.rs" && name != "events.rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    labels.extend(labels_of(&text).into_iter().map(str::to_owned));
                    if path.ends_with("websocket/answer.rs") {
                        labels.extend(
                            text.split('"')
                                .filter(|text| text.starts_with("ws_") && !text.contains(' '))
                                .map(str::to_owned),
                        );
                    }
                }
            }
        }
        let refusals = fs::read_to_string(root.join("../auth/src/refusal.rs")).unwrap();
        labels.extend(after(&refusals, "=> row(", 1).into_iter().map(str::to_owned));
        labels.extend(admission::Violation::ALL.iter().map(|violation| violation.label().to_owned()));
        labels.extend(
            ["banned", "key_banned", "h2_connection_error", "handshake_failed", "shed"].map(str::to_owned),
        );
        labels.retain(|label| {
            label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                && !label.is_empty()
        });
        assert!(labels.len() > 130, "{} labels found: {labels:?}", labels.len());
        let unknown: Vec<_> = labels.iter().filter(|label| classified(label).is_none()).collect();
        assert!(unknown.is_empty(), "labels that say neither yes nor no against a source: {unknown:?}");
    }

    #[test]
    fn attacks_are_events_and_business_is_not() {
        assert_eq!(classified("signature_invalid"), Some(Some(Event::BadSignature)));
        assert_eq!(classified("h2_rapid_reset"), Some(Some(Event::H2Violation)));
        assert_eq!(classified("place_rate_limited"), Some(None));
        assert_eq!(classified("no_such_label"), None);
        assert!(blames_key(Event::BadSignature) && !blames_key(Event::Replay));
    }
}
