//! From findings to a verdict.

use domain::{Finding, FindingSource, ReasonCode, Verdict};

/// Reason of a decision that failed closed because a source did not answer.
pub const SOURCE_UNAVAILABLE: ReasonCode = ReasonCode::new("decide.source_unavailable");

/// The strictest verdict of the findings that are not in shadow, and the findings in order: first by
/// strictness, those with effect before those in shadow, the decision path's own after what the sources found (a
/// listed address leads, not a check that failed beside it), then by source and code, so that the same findings
/// always read the same.
///
/// Counter-evidence ([`Verdict::Allow`]) is kept for the reader and never outvotes anything: a source can
/// only tighten what the others said.
#[must_use]
pub fn combine(mut findings: Vec<Finding>) -> (Verdict, Vec<Finding>) {
    findings.sort_by(|left, right| {
        right
            .verdict
            .cmp(&left.verdict)
            .then(left.shadow.cmp(&right.shadow))
            .then((left.source == FindingSource::Decide).cmp(&(right.source == FindingSource::Decide)))
            .then(left.source.cmp(&right.source))
            .then(left.code.cmp(&right.code))
            .then(left.message.cmp(&right.message))
    });
    let verdict = findings
        .iter()
        .filter(|finding| !finding.shadow)
        .map(|finding| finding.verdict)
        .max()
        .unwrap_or(Verdict::Allow);
    (verdict, findings)
}

/// The finding that stands in for a source that did not answer. It denies: a withdrawal nobody looked at must
/// not leave, and asking again later costs the customer little.
pub(crate) fn unavailable(source: &str, why: &str) -> Finding {
    Finding {
        source: FindingSource::Decide,
        code: SOURCE_UNAVAILABLE,
        verdict: Verdict::Deny,
        shadow: false,
        message: format!(
            "The {source} check could not be made ({why}), and a withdrawal is not let through unchecked."
        ),
        evidence: vec![domain::Evidence::new("source", source)],
        would_pass_if: Some(format!("the {source} check answers in time")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finding(verdict: Verdict, shadow: bool, code: &'static str) -> Finding {
        Finding {
            source: FindingSource::Fraud,
            code: ReasonCode::new(code),
            verdict,
            shadow,
            message: String::new(),
            evidence: Vec::new(),
            would_pass_if: None,
        }
    }

    #[test]
    fn nothing_found_allows() {
        assert_eq!(combine(Vec::new()).0, Verdict::Allow);
    }

    #[test]
    fn shadow_has_no_effect() {
        let (verdict, findings) =
            combine(vec![finding(Verdict::Deny, true, "a"), finding(Verdict::Challenge, false, "b")]);
        assert_eq!(verdict, Verdict::Challenge);
        assert_eq!(findings.len(), 2);
    }

    proptest! {
        /// Adding a finding can only tighten, and order of arrival does not matter.
        #[test]
        fn adding_only_tightens(kinds in proptest::collection::vec((0..4_usize, any::<bool>()), 0..8), extra in 0..4_usize) {
            let build = |kinds: &[(usize, bool)]| -> Vec<Finding> {
                kinds.iter().map(|(verdict, shadow)| finding(Verdict::ALL[*verdict], *shadow, "x")).collect()
            };
            let (before, _) = combine(build(&kinds));
            let mut more = kinds.clone();
            more.push((extra, false));
            let (after, sorted) = combine(build(&more));
            prop_assert!(after >= before);
            more.reverse();
            prop_assert_eq!(combine(build(&more)), (after, sorted));
        }
    }
}
