//! Cases and alerts for people.

use serde_json::Value;

use super::{array, text_of};

fn or_dash<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

fn loss(value: &Value) -> &str {
    value.get("expected_loss").and_then(Value::as_str).unwrap_or("unknown")
}

fn with_next(mut text: String, value: &Value) -> String {
    if let Some(next) = value.get("next").and_then(Value::as_str) {
        text.push_str(&format!("\nmore: --after {next}"));
    }
    text
}

pub(super) fn list_text(value: &Value) -> String {
    let cases: Vec<String> = array(value, "cases").iter().map(line).collect();
    with_next(if cases.is_empty() { "no cases".to_owned() } else { cases.join("\n") }, value)
}

fn line(case: &Value) -> String {
    let overdue = if case["is_overdue"] == true { "  OVERDUE" } else { "" };
    let closed = case.get("disposition").and_then(Value::as_str).map(|what| format!(" ({what})"));
    format!(
        "{}  {}{}  {}  expected loss {}  {}  by {}{overdue}  {}",
        text_of(case, "id"),
        text_of(case, "state"),
        closed.unwrap_or_default(),
        text_of(case, "priority"),
        loss(case),
        text_of(case, "entity"),
        text_of(case, "deadline"),
        or_dash(case, "assignee"),
    )
}

pub(super) fn case_text(case: &Value) -> String {
    let mut text = format!(
        "{}\nrevision {}  opened {}  triggers {}",
        line(case),
        case["revision"],
        text_of(case, "opened_at"),
        case["triggers_total"]
    );
    for trigger in array(case, "triggers") {
        let decision = trigger.get("decision").and_then(Value::as_str).map(|id| format!("  {id}"));
        text.push_str(&format!(
            "\n  {}  {}{}",
            text_of(trigger, "at"),
            trigger_text(trigger),
            decision.unwrap_or_default()
        ));
    }
    for held in array(case, "held") {
        text.push_str(&format!("\n  held {}: {}", or_dash(held, "decision"), review_text(&held["review"])));
    }
    for appeal in array(case, "appeals") {
        text.push_str(&format!("\n  {}", appeal_text(appeal).replace('\n', "\n  ")));
    }
    for action in array(case, "actions") {
        let words = action.get("text").and_then(Value::as_str).map(|words| format!(": {words}"));
        let decision = action.get("decision").and_then(Value::as_str).map(|id| format!(" {id}"));
        text.push_str(&format!(
            "\n  {}  {} {}{}{}",
            text_of(action, "at"),
            text_of(action, "by"),
            text_of(action, "what"),
            decision.unwrap_or_default(),
            words.unwrap_or_default()
        ));
    }
    text
}

fn trigger_text(trigger: &Value) -> String {
    let retracted = if trigger["is_retracted"] == true { "  retracted" } else { "" };
    format!(
        "{} {} {}  probability {}  expected loss {}{retracted}",
        text_of(trigger, "source"),
        text_of(trigger, "verdict"),
        text_of(trigger, "code"),
        text_of(trigger, "probability"),
        loss(trigger),
    )
}

/// How far the release of a held withdrawal is, in one line.
pub(super) fn review_text(review: &Value) -> String {
    let mut text = format!("{} ({})", text_of(review, "state"), text_of(review, "case"));
    for (name, words) in [
        ("proposed_by", "proposed by"),
        ("approved_by", "approved by"),
        ("refused_by", "refused by"),
        ("until", "until"),
        ("used_by", "used by"),
    ] {
        if let Some(value) = review.get(name).and_then(Value::as_str) {
            text.push_str(&format!(", {words} {value}"));
        }
    }
    text
}

pub(super) fn appeals_text(value: &Value) -> String {
    let appeals: Vec<String> = array(value, "appeals").iter().map(appeal_text).collect();
    with_next(if appeals.is_empty() { "no appeals".to_owned() } else { appeals.join("\n") }, value)
}

/// An appeal: what it is against, what was said, and what was answered.
pub(super) fn appeal_text(appeal: &Value) -> String {
    let against = match appeal.get("ban").and_then(Value::as_str) {
        Some(target) => format!("ban of {target}"),
        None => or_dash(appeal, "decision").to_owned(),
    };
    let mut text = format!(
        "{}  {}  {}  {against}  {}  by {}  {}\n  said: {}",
        text_of(appeal, "id"),
        text_of(appeal, "state"),
        text_of(appeal, "account"),
        text_of(appeal, "at"),
        text_of(appeal, "by"),
        text_of(appeal, "case"),
        text_of(appeal, "text"),
    );
    if let Some(reason) = appeal.get("reason").and_then(Value::as_str) {
        text.push_str(&format!("\n  answered by {}: {reason}", or_dash(appeal, "answered_by")));
    }
    text
}

pub(super) fn alerts_text(value: &Value) -> String {
    let alert = |alert: &Value| {
        format!(
            "{}  {}  {}  {}  {}",
            alert["position"],
            text_of(alert, "at"),
            text_of(alert, "entity"),
            trigger_text(alert),
            or_dash(alert, "case"),
        )
    };
    let alerts: Vec<String> = array(value, "alerts").iter().map(alert).collect();
    with_next(if alerts.is_empty() { "no alerts".to_owned() } else { alerts.join("\n") }, value)
}
