//! Requests in shadow: everything is looked at and recorded, and nothing has an effect.

use domain::{Evidence, Finding, FindingSource, ReasonCode, Verdict};

use crate::{combine::combine, idempotency::short};

/// Noted in a decision that was asked for in shadow, with the verdict it would have had.
pub const SHADOW_REQUEST: ReasonCode = ReasonCode::new("decide.shadow_request");

/// Evidence that says what would have been decided.
const WOULD_BE: &str = "would_be";

/// The findings without effect, and what they would have come to.
pub(crate) fn in_shadow((verdict, mut findings): (Verdict, Vec<Finding>)) -> (Verdict, Vec<Finding>) {
    for finding in &mut findings {
        finding.shadow = true;
    }
    findings.push(Finding {
        source: FindingSource::Decide,
        code: SHADOW_REQUEST,
        verdict: Verdict::Allow,
        shadow: false,
        message: format!("This was asked in shadow: otherwise the answer would have been {verdict}."),
        evidence: vec![Evidence::new(WOULD_BE, verdict.as_str())],
        would_pass_if: None,
    });
    combine(findings)
}

/// What would have been decided, of a decision that was asked for in shadow.
#[must_use]
pub fn would_be(findings: &[Finding]) -> Option<Verdict> {
    let noted = findings
        .iter()
        .find(|finding| finding.source == FindingSource::Decide && finding.code == SHADOW_REQUEST)?;
    noted.evidence.iter().find(|evidence| evidence.name == WOULD_BE)?.value.parse().ok()
}

/// Digest of a request, another one in shadow: a key used for one is not good for the other.
pub(crate) fn asked_as(asked: [u8; 16], is_shadow: bool) -> [u8; 16] {
    if !is_shadow {
        return asked;
    }
    short(&crypto::sha256(&[b"shadow", &asked]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_an_effect_and_what_would_have_been_is_told() {
        let finding = Finding {
            source: FindingSource::Watch,
            code: ReasonCode::new("watch.listed"),
            verdict: Verdict::Deny,
            shadow: false,
            message: String::new(),
            evidence: Vec::new(),
            would_pass_if: None,
        };
        assert_eq!(would_be(std::slice::from_ref(&finding)), None);
        let (verdict, findings) = in_shadow(combine(vec![finding]));
        assert_eq!((verdict, would_be(&findings)), (Verdict::Allow, Some(Verdict::Deny)));
        assert_eq!(findings.len(), 2);
        assert_ne!(asked_as([1; 16], true), asked_as([1; 16], false));
    }
}
