//! Cases and alerts as JSON.

use domain::Amount;
use fraud::cases::{Against, AlertLine, Case, Done, HeldItem, Line, PPM, Review, Source};
use serde_json::{Map, Value, json};

use super::{CaseFile, DecisionReview};
use crate::{AppealFile, appeal_json};

/// `case-12`.
fn name(case: u64) -> String {
    format!("case-{case}")
}

/// A probability in millionths as a decimal, without a float: `0.25`.
fn probability(ppm: u32) -> String {
    if ppm >= PPM {
        return "1".to_owned();
    }
    let digits = format!("{ppm:06}");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { "0".to_owned() } else { format!("0.{digits}") }
}

fn amount(amount: Option<Amount>) -> Value {
    amount.map_or(Value::Null, |amount| json!(amount.to_string()))
}

/// A page of cases, and where the next begins: `{"cases":[...],"next":"case-12"}`.
#[must_use]
pub fn cases_json(files: &[CaseFile], is_full: bool) -> Value {
    let next = files.last().filter(|_| is_full).map(|file| name(file.case.id));
    json!({ "cases": files.iter().map(summary).collect::<Vec<_>>(), "next": next })
}

fn summary(file: &CaseFile) -> Value {
    let CaseFile { case, now, .. } = file;
    let Case { resolution, .. } = case;
    json!({
        "id": name(case.id),
        "entity": case.entity.to_string(),
        "account": case.entity.account().map(ToString::to_string),
        "state": case.state(*now),
        "priority": case.priority.as_str(),
        "expected_loss": amount(case.expected_loss),
        "opened_at": case.opened_at.to_string(),
        "latest_at": case.latest_at.to_string(),
        "deadline": case.deadline.to_string(),
        "is_overdue": resolution.is_none() && case.done.is_empty() && case.deadline < *now,
        "revision": case.revision,
        "assignee": case.assignee,
        "disposition": resolution.as_ref().map(|resolution| resolution.disposition.as_str()),
        "triggers_total": case.triggers,
    })
}

/// A case with all that is known of it.
#[must_use]
pub fn case_json(file: &CaseFile) -> Value {
    let CaseFile { case, decisions, now } = file;
    let mut value = summary(file);
    let id_of = |position: u64| decisions.get(&position);
    value["triggers"] = case.lines.iter().map(|line| trigger(line, id_of(line.position))).collect();
    value["held"] = case
        .held
        .iter()
        .map(|item| {
            let used_by = match &item.review {
                Review::Used { by, .. } => id_of(*by).cloned(),
                _ => None,
            };
            let review = DecisionReview { case: case.id, review: item.review.clone(), used_by, now: *now };
            held(item, id_of(item.decision), &review)
        })
        .collect();
    value["appeals"] = case
        .appeals
        .iter()
        .map(|appeal| {
            let decision = match &appeal.against {
                Against::Decision(position) => id_of(*position).cloned(),
                Against::Ban(_) => None,
            };
            appeal_json(&AppealFile { appeal: appeal.clone(), decision })
        })
        .collect();
    value["actions"] = case.done.iter().map(|done| action(done, done.decision.and_then(id_of))).collect();
    value["resolution"] = case.resolution.as_ref().map_or(Value::Null, |resolution| {
        json!({
            "disposition": resolution.disposition.as_str(),
            "by": resolution.by.to_string(),
            "at": resolution.at.to_string(),
        })
    });
    value
}

fn trigger(line: &Line, decision: Option<&String>) -> Value {
    let mut value = json!({
        "source": line.source.as_str(),
        "position": line.position,
        "at": line.at.to_string(),
        "code": line.code,
        "verdict": line.verdict.as_str(),
        "probability": probability(line.probability_ppm),
        "expected_loss": amount(line.expected_loss),
        "is_retracted": line.is_retracted,
    });
    if line.source == Source::Decision {
        value["decision"] = json!(decision);
    }
    if let Some(about) = line.about {
        value["about"] = json!(about);
    }
    value
}

fn held(item: &HeldItem, decision: Option<&String>, review: &DecisionReview) -> Value {
    json!({
        "decision": decision,
        "position": item.decision,
        "at": item.at.to_string(),
        "reasons": item.reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>(),
        "review": review_json(review),
    })
}

/// How far the release of a held withdrawal is: `{"case","state",...}` with who, until when, and which decision used it.
#[must_use]
pub fn review_json(review: &DecisionReview) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: String| drop(object.insert(name.to_owned(), Value::String(value)));
    put("case", name(review.case));
    put("state", review.review.state(review.now).to_owned());
    match &review.review {
        Review::Held => {}
        Review::Proposed { by, at, until, reason } => {
            put("proposed_by", by.to_string());
            put("proposed_at", at.to_string());
            put("until", until.to_string());
            put("reason", reason.clone());
        }
        Review::Released { proposed_by, approved_by, at, until } => {
            put("proposed_by", proposed_by.to_string());
            put("approved_by", approved_by.to_string());
            put("released_at", at.to_string());
            put("until", until.to_string());
        }
        Review::Used { proposed_by, approved_by, .. } => {
            put("proposed_by", proposed_by.to_string());
            put("approved_by", approved_by.to_string());
            if let Some(id) = &review.used_by {
                put("used_by", id.clone());
            }
        }
        Review::Refused { by, at } => {
            put("refused_by", by.to_string());
            put("refused_at", at.to_string());
        }
    }
    Value::Object(object)
}

fn action(done: &Done, decision: Option<&String>) -> Value {
    let mut value = json!({
        "position": done.position, "at": done.at.to_string(), "by": done.actor.to_string(), "what": done.what,
    });
    if let Some(id) = decision {
        value["decision"] = json!(id);
    }
    if let Some(text) = &done.text {
        value["text"] = json!(text);
    }
    value
}

/// A page of alerts, and where the next begins: `{"alerts":[...],"next":"123"}`.
#[must_use]
pub fn alerts_json(alerts: &[AlertLine], is_full: bool) -> Value {
    let next = alerts.last().filter(|_| is_full).map(|alert| alert.line.position.to_string());
    json!({ "alerts": alerts.iter().map(alert_json).collect::<Vec<_>>(), "next": next })
}

/// One alert.
pub(super) fn alert_json(alert: &AlertLine) -> Value {
    let mut value = trigger(&alert.line, None);
    value["entity"] = json!(alert.entity.to_string());
    value["case"] = json!(alert.case.map(name));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_exact() {
        let texts = [0, 1, 250_000, 999_999, 1_000_000].map(probability);
        assert_eq!(texts, ["0", "0.000001", "0.25", "0.999999", "1"]);
    }
}
