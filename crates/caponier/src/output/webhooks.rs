//! Endpoints that are told of what happens, for people.

use serde_json::Value;

use super::{array, text_of};

fn endpoint(one: &Value) -> String {
    let mut lines = vec![format!(
        "{}  {}  {}  {}",
        text_of(one, "name"),
        text_of(one, "state"),
        text_of(one, "scheme"),
        text_of(one, "url")
    )];
    let events: Vec<&str> = array(one, "events").iter().filter_map(Value::as_str).collect();
    let accounts = if one["accounts"] == true { "; names accounts" } else { "" };
    lines.push(format!("  told of {}{accounts}", events.join(", ")));
    lines.push(format!(
        "  delivered {}  waiting {}  behind {} entries  dead letters {}",
        one["delivered"], one["waiting"], one["behind_entries"], one["dead_letters"]
    ));
    if let Some(why) = one["disabled_why"].as_str() {
        lines.push(format!("  out of service since {}: {why}", text_of(one, "state_at")));
    }
    if let Some(until) = one["previous_key_until"].as_str() {
        lines.push(format!("  signed with the old key too until {until}"));
    }
    if one["last_try"].is_object() {
        let last = &one["last_try"];
        lines.push(format!("  last try {}: {}", text_of(last, "at"), text_of(last, "says")));
    }
    lines.join("\n")
}

pub(super) fn text(value: &Value) -> String {
    if let Some(key) = value["key"].as_str() {
        let keep = if key.starts_with("whsec_") {
            "secret (shown this once; whoever has it can pose as this installation)"
        } else {
            "public key"
        };
        return format!("{}\n{keep}: {key}", endpoint(&value["endpoint"]));
    }
    if value["endpoint"].is_object() {
        return endpoint(&value["endpoint"]);
    }
    if value["endpoints"].is_array() {
        let all: Vec<String> = array(value, "endpoints").iter().map(endpoint).collect();
        return if all.is_empty() { "no endpoints".to_owned() } else { all.join("\n") };
    }
    if value["dead_letters"].is_array() {
        let line = |one: &Value| {
            format!(
                "{}  {}  entry {}  given up {} after {} tries: {}",
                text_of(one, "id"),
                text_of(one, "type"),
                one["entry"],
                text_of(one, "at"),
                one["tries"],
                text_of(one, "why")
            )
        };
        let all: Vec<String> = array(value, "dead_letters").iter().map(line).collect();
        return if all.is_empty() { "no dead letters".to_owned() } else { all.join("\n") };
    }
    if value["test"].is_object() {
        let test = &value["test"];
        let word = if test["delivered"] == true { "taken" } else { "not taken" };
        return format!("{word} after {} ms: {}", test["took_ms"], text_of(test, "says"));
    }
    for (name, says) in [("replaying", "are tried again"), ("discarded", "are forgotten")] {
        if value[name].is_u64() {
            return format!("{} dead letters {says}", value[name]);
        }
    }
    format!("{} is removed, with what waited for it", text_of(value, "removed"))
}
