//! Findings, and the decision they combine to.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::{UnixNanos, WithdrawalRequest};

/// What is done with an action; ordered from most to least permissive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Goes ahead.
    Allow,
    /// Goes ahead once the customer has proved it is them.
    Challenge,
    /// Waits for people.
    Hold,
    /// Does not happen.
    Deny,
}

impl Verdict {
    /// Every verdict, most permissive first.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Challenge, Self::Hold, Self::Deny];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == name).ok_or(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stable machine-readable reason such as `watch.sanctioned_address`; lower case, dot between source and reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReasonCode(Cow<'static, str>);

impl ReasonCode {
    /// A code known at compile time.
    #[must_use]
    pub const fn new(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// A code read back from storage.
    #[must_use]
    pub fn stored(code: &str) -> Self {
        Self(Cow::Owned(code.to_owned()))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingSource {
    /// Who may do what, from where: bans, API keys, capabilities.
    Access,
    /// The decision path itself: policy, deadlines, unavailable sources.
    Decide,
    /// Behaviour.
    Fraud,
    /// The destination.
    Watch,
}

impl FindingSource {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Access, Self::Decide, Self::Fraud, Self::Watch];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Decide => "decide",
            Self::Fraud => "fraud",
            Self::Watch => "watch",
        }
    }
}

/// One named observation behind a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Snake-case name, such as `share_of_balance`.
    pub name: Cow<'static, str>,
    /// The value in words or digits.
    pub value: String,
}

impl Evidence {
    /// Names a value.
    #[must_use]
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name: Cow::Borrowed(name), value: value.into() }
    }
}

/// What one source says about an action. [`Verdict::Allow`] is counter-evidence: it explains, but never outvotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Who found it.
    pub source: FindingSource,
    /// Why, for machines.
    pub code: ReasonCode,
    /// The least permissive thing this alone asks for.
    pub verdict: Verdict,
    /// Only watched: reported, without effect on the decision.
    pub shadow: bool,
    /// Why, for people: one sentence.
    pub message: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// What would have changed this finding, in words.
    pub would_pass_if: Option<String>,
}

/// What was decided about a withdrawal, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was asked.
    pub request: WithdrawalRequest,
    /// The answer: the strictest verdict of the findings that are not in shadow.
    pub verdict: Verdict,
    /// Everything that was found, strictest first.
    pub findings: Vec<Finding>,
    /// When.
    pub decided_at: UnixNanos,
    /// Idempotency key of the caller, if one was given: the same key gets the same decision.
    pub idempotency_key: Option<String>,
}

impl Decision {
    /// The finding that set the verdict, if any did.
    #[must_use]
    pub fn leading(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| !finding.shadow && finding.verdict == self.verdict)
    }
}
