//! Changes that take two persons, for people.

use serde_json::Value;

use super::{array, text_of};

fn optional<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn line(change: &Value) -> String {
    format!(
        "{}  {}  {}  by {}  until {}",
        text_of(change, "id"),
        text_of(change, "state"),
        text_of(change, "summary"),
        text_of(change, "opened_by"),
        text_of(change, "expires_at"),
    )
}

pub(super) fn list_text(value: &Value) -> String {
    let lines: Vec<String> = array(value, "changes").iter().map(line).collect();
    let mut text = if lines.is_empty() { "no changes".to_owned() } else { lines.join("\n") };
    if let Some(next) = optional(value, "next") {
        text.push_str(&format!("\nmore: --after {next}"));
    }
    text
}

pub(super) fn one_text(change: &Value) -> String {
    let mut text = line(change);
    for name in
        ["kind", "reason", "opened_at", "needs", "concerns", "approved_by", "ended_by", "ended_at", "outcome"]
    {
        if let Some(value) = optional(change, name) {
            text.push_str(&format!("\n  {}: {value}", name.replace('_', " ")));
        }
    }
    for detail in array(change, "details") {
        text.push_str(&format!("\n  {}: {}", text_of(detail, "name"), text_of(detail, "value")));
    }
    text.push_str(&format!("\n  digest: {}", text_of(change, "digest")));
    text
}
