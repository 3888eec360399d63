//! What a release does to findings.

use domain::{Decision, Evidence, Finding, FindingSource, ReasonCode, Verdict};

use crate::{DecisionIds, ports::Release};

/// Reason of a decision that let a held withdrawal through because people released it.
pub const RELEASED: ReasonCode = ReasonCode::new("decide.released");

/// Noted beside the reasons of a decision that holds a released withdrawal all the same.
pub const RELEASE_EXCEEDED: ReasonCode = ReasonCode::new("decide.release_exceeded");

/// Evidence that says which decision was released, by its position.
const HELD_POSITION: &str = "held_position";

/// The findings after a release. What people saw has no effect any more and says so; if anything else speaks against
/// the withdrawal, all findings stand and the release is not used.
pub(crate) fn released(mut findings: Vec<Finding>, release: &Release, ids: &DecisionIds) -> Vec<Finding> {
    let has_effect = |finding: &Finding| !finding.shadow && finding.verdict > Verdict::Allow;
    let is_answered =
        |finding: &Finding| finding.verdict < Verdict::Deny && release.reasons.contains(&finding.code);
    let held = ids.id(release.held);
    let new = findings.iter().find(|finding| has_effect(finding) && !is_answered(finding));
    let (code, message, evidence) = match new {
        Some(finding) => (
            RELEASE_EXCEEDED,
            format!("People released this withdrawal, but they had not seen {}.", finding.code),
            Vec::new(),
        ),
        None => {
            for finding in findings.iter_mut().filter(|finding| has_effect(finding)) {
                finding.shadow = true;
                finding.evidence.push(Evidence::new("released_decision", held.as_str()));
            }
            let position = Evidence::new(HELD_POSITION, release.held.to_string());
            (RELEASED, "Two people looked at this withdrawal and released it.".to_owned(), vec![position])
        }
    };
    let mut evidence = evidence;
    evidence.push(Evidence::new("released_decision", held.as_str()));
    findings.push(Finding {
        source: FindingSource::Decide,
        code,
        verdict: Verdict::Allow,
        shadow: false,
        message,
        evidence,
        would_pass_if: None,
    });
    findings
}

/// The position of the decision whose release this decision used, if it used one.
#[must_use]
pub fn release_used(decision: &Decision) -> Option<u64> {
    if decision.verdict != Verdict::Allow {
        return None;
    }
    let found = decision.findings.iter().find(|finding| {
        finding.source == FindingSource::Decide && finding.code == RELEASED && !finding.shadow
    })?;
    found.evidence.iter().find(|evidence| evidence.name == HELD_POSITION)?.value.parse().ok()
}
