//! `GET /v1/decisions/{id}/explain`: how a decision came about, step by step, for people who have to answer for it.
//!
//! Everything is taken from the decision as it stands in the journal; nothing is computed again, so the same id always gives
//! the same explanation, whatever is in force today. Who may read decisions but no cases is not shown the evidence: names and
//! values of features tell how to stay below a threshold.

use std::fmt::Write as _;

use domain::{Decision, Evidence, Finding, FindingSource, Judgement, UnixNanos, Verdict};
use serde_json::{Map, Value, json};

use crate::wire::reason;

/// Evidence that says what judged: a version or a digest, as against what was observed.
const VERSIONS: [&str; 9] = [
    "as_of",
    "bundle",
    "bundle_sha256",
    "features_sha256",
    "model_sha256",
    "pack_sha256",
    "rule",
    "rule_sha256",
    "rules_sha256",
];

/// The proof that the journal holds a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Position in the journal.
    pub position: u64,
    /// The receipt: the entry, the path to the root and the signed checkpoint, as text. `None` while no checkpoint covers it.
    pub receipt: Option<String>,
}

/// What is explained, whatever it was about.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) verdict: Verdict,
    pub(crate) at: UnixNanos,
    pub(crate) findings: &'a [Finding],
}

impl<'a> Subject<'a> {
    pub(crate) fn withdrawal(id: &'a str, decision: &'a Decision) -> Self {
        let Decision { verdict, decided_at, findings, .. } = decision;
        Self { id, kind: "withdrawal", verdict: *verdict, at: *decided_at, findings }
    }

    pub(crate) fn act(id: &'a str, judgement: &'a Judgement) -> Self {
        let Judgement { act, verdict, decided_at, findings, .. } = judgement;
        Self { id, kind: act.kind().as_str(), verdict: *verdict, at: *decided_at, findings }
    }

    /// The finding that set the verdict.
    fn leading(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| !finding.shadow && finding.verdict == self.verdict)
    }

    fn sentence(&self) -> String {
        let done = match self.verdict {
            Verdict::Allow => "Allowed",
            Verdict::Challenge => "Challenged: the customer must prove it is them",
            Verdict::Hold => "Held for people to look at",
            Verdict::Deny => "Denied",
        };
        match self.leading().filter(|_| self.verdict > Verdict::Allow) {
            Some(finding) => format!("{done}. {}", full_stop(&finding.message)),
            None => format!("{done}. Nothing that is in force speaks against it."),
        }
    }
}

/// A sentence that ends.
fn full_stop(text: &str) -> String {
    let mut chars = text.chars();
    let begun: String =
        chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default();
    if begun.ends_with(['.', '!', '?']) { begun } else { format!("{begun}.") }
}

/// `(value, added)` of evidence such as `4.2 (+0.3100 logit)`.
fn added_logit(value: &str) -> Option<(&str, f64)> {
    let (value, rest) = value.strip_suffix(" logit)")?.rsplit_once(" (")?;
    rest.parse().ok().filter(|added: &f64| added.is_finite()).map(|added| (value, added))
}

/// What each feature added to the score, the most first, of every finding with a score.
fn waterfall(findings: &[Finding]) -> Vec<Value> {
    let scored = findings.iter().filter_map(|finding| {
        let steps: Vec<Value> = finding
            .evidence
            .iter()
            .filter_map(|item| {
                let (value, added) = added_logit(&item.value)?;
                Some(json!({ "feature": item.name, "value": value, "added_logit": added }))
            })
            .collect();
        let ppm = finding.evidence.iter().find(|item| item.name == "model_score")?;
        Some(json!({ "code": finding.code.as_str(), "probability_ppm": ppm.value, "steps": steps }))
    });
    scored.collect()
}

fn versions(findings: &[Finding]) -> Vec<Value> {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for Evidence { name, value } in findings.iter().flat_map(|finding| &finding.evidence) {
        if VERSIONS.contains(&name.as_ref()) && !seen.contains(&(name, value)) {
            seen.push((name, value));
        }
    }
    seen.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// One step of what was done: who looked, what came of it.
fn step(name: &str, findings: &[&Finding]) -> Value {
    let strictest = |shadow: bool| {
        findings.iter().filter(|finding| finding.shadow == shadow).map(|finding| finding.verdict).max()
    };
    let (asks, would_ask) = (strictest(false), strictest(true));
    let mut outcome = match asks {
        Some(verdict) if verdict > Verdict::Allow => format!("asks for {verdict}"),
        _ => "speaks not against it".to_owned(),
    };
    if let Some(verdict) = would_ask.filter(|verdict| *verdict > asks.unwrap_or(Verdict::Allow)) {
        // Writing to a string does not fail.
        let _ = write!(outcome, "; in shadow it would ask for {verdict}");
    }
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
    let mut step = Map::new();
    step.insert("step".into(), json!(name));
    step.insert("findings".into(), json!(codes));
    step.insert("asks".into(), json!(asks.unwrap_or(Verdict::Allow).as_str()));
    if let Some(verdict) = would_ask {
        step.insert("asks_in_shadow".into(), json!(verdict.as_str()));
    }
    step.insert("outcome".into(), json!(outcome));
    Value::Object(step)
}

fn trace(subject: &Subject<'_>) -> Vec<Value> {
    let looked: &[FindingSource] = match subject.kind {
        "withdrawal" => &[FindingSource::Fraud, FindingSource::Watch, FindingSource::Decide],
        "address_screen" => &[FindingSource::Watch, FindingSource::Decide],
        "login" | "order" => &[FindingSource::Access, FindingSource::Fraud, FindingSource::Decide],
        _ => &[FindingSource::Access, FindingSource::Decide],
    };
    let mut steps: Vec<Value> = looked
        .iter()
        .map(|source| {
            let found: Vec<&Finding> =
                subject.findings.iter().filter(|finding| finding.source == *source).collect();
            step(source.as_str(), &found)
        })
        .collect();
    let by = subject.leading().map(|finding| finding.code.as_str());
    steps.push(json!({
        "step": "combine", "findings": by.into_iter().collect::<Vec<_>>(), "asks": subject.verdict.as_str(),
        "outcome": "the strictest of what is in force decides; what speaks for it outvotes nothing",
    }));
    steps
}

/// The whole explanation.
pub(crate) fn explain_json(subject: &Subject<'_>, proof: &Proof, with_evidence: bool) -> Value {
    let mut reasons: Vec<Value> = subject.findings.iter().map(reason).collect();
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| drop(object.insert(name.into(), value));
    put("id", json!(subject.id));
    put("type", json!(subject.kind));
    put("verdict", json!(subject.verdict.as_str()));
    put("decided_at", json!(subject.at.to_string()));
    put("sentence", json!(subject.sentence()));
    if let Some(would_be) = decide::would_be(subject.findings) {
        put("mode", json!("shadow"));
        put("would_be", json!(would_be.as_str()));
    }
    put("trace", json!(trace(subject)));
    put("versions", json!(versions(subject.findings)));
    put("redacted", json!(!with_evidence));
    if with_evidence {
        put("scores", json!(waterfall(subject.findings)));
        let otherwise = subject.findings.iter().filter_map(|finding| {
            let condition = finding.would_pass_if.as_ref()?;
            Some(json!({ "code": finding.code.as_str(), "would_pass_if": condition }))
        });
        put("would_pass_if", otherwise.collect());
    } else {
        for reason in reasons.iter_mut().filter_map(Value::as_object_mut) {
            reason.insert("evidence".into(), json!({}));
            reason.remove("would_pass_if");
            // Reasons of scores and rules name features and values.
            if reason.get("source").is_some_and(|source| source == FindingSource::Fraud.as_str()) {
                reason.insert("message".into(), json!("Behaviour of the account."));
            }
        }
        if subject.leading().is_some_and(|finding| finding.source == FindingSource::Fraud) {
            put("sentence", json!(format!("Decided: {}. Behaviour of the account.", subject.verdict)));
        }
    }
    put("reasons", json!(reasons));
    let mut proven = Map::new();
    proven.insert("position".into(), json!(proof.position));
    if let Some(receipt) = &proof.receipt {
        proven.insert("receipt".into(), json!(receipt));
    }
    proven.insert("command".into(), json!(format!("caponier audit receipt {}", proof.position)));
    put("proof", Value::Object(proven));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use domain::ReasonCode;

    use super::*;

    fn finding(source: FindingSource, verdict: Verdict, shadow: bool) -> Finding {
        Finding {
            source,
            code: ReasonCode::new("fraud.model_score"),
            verdict,
            shadow,
            message: "the model gives 93.0 % probability of fraud".to_owned(),
            evidence: vec![
                Evidence::new("model_score", "930000"),
                Evidence::new("model_sha256", "ab"),
                Evidence::new("amount_z", "4.2 (+0.3100 logit)"),
                Evidence::new("odd", "4.2 (much logit)"),
            ],
            would_pass_if: Some("amount_z were at most 2".to_owned()),
        }
    }

    fn explained(findings: &[Finding], with_evidence: bool) -> Value {
        let subject =
            Subject { id: "dec-1", kind: "withdrawal", verdict: Verdict::Hold, at: UnixNanos(0), findings };
        explain_json(&subject, &Proof { position: 7, receipt: None }, with_evidence)
    }

    #[test]
    fn score_steps_versions_and_trace_are_told() {
        let findings = [
            finding(FindingSource::Fraud, Verdict::Hold, false),
            finding(FindingSource::Watch, Verdict::Deny, true),
        ];
        let told = explained(&findings, true);
        assert_eq!(
            told["sentence"],
            "Held for people to look at. The model gives 93.0 % probability of fraud."
        );
        let step = json!({ "feature": "amount_z", "value": "4.2", "added_logit": 0.31 });
        assert_eq!(told["scores"][0]["steps"], json!([step]));
        assert_eq!(told["versions"], json!([{ "name": "model_sha256", "value": "ab" }]));
        let steps: Vec<_> =
            told["trace"].as_array().unwrap().iter().map(|step| step["step"].clone()).collect();
        assert_eq!(steps, ["fraud", "watch", "decide", "combine"]);
        assert_eq!(told["trace"][1]["outcome"], "speaks not against it; in shadow it would ask for deny");
        assert_eq!(told["proof"]["position"], 7);
    }

    #[test]
    fn without_the_capability_nothing_teaches_how_to_stay_below() {
        let findings = [finding(FindingSource::Fraud, Verdict::Hold, false)];
        let told = explained(&findings, false);
        let text = told.to_string();
        for secret in ["amount_z", "93.0", "930000", "4.2"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!((&told["redacted"], &told["verdict"]), (&json!(true), &json!("hold")));
    }
}
