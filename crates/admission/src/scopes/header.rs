//! The text of the `RateLimit-Policy`, `RateLimit` and `Retry-After` header fields.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4 (structured fields, RFC 9651: a list of strings
//! with integer parameters); RFC 9110 section 10.2.3. Names are those of limits, which need no escaping.
//!
//! Seconds are whole and rounded up: who waits as long as told is admitted. A quota whose period is not a whole
//! number of seconds is therefore announced a little lower than it is.

use std::{fmt::Write as _, time::Duration};

use crate::gcra::{Admitted, Limited, Quota};

/// Whole seconds, at least 1.
fn seconds(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    whole.max(1)
}

/// `RateLimit-Policy`: the quotas, such as `"place";q=60;w=2, "orders";q=1000;w=2`.
#[must_use]
pub fn policy<'a>(limits: impl IntoIterator<Item = (&'a str, Quota)>) -> String {
    let mut text = String::new();
    for (name, quota) in limits {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}\"{name}\";q={};w={}", quota.burst(), seconds(quota.per()));
    }
    text
}

/// `RateLimit` of an admitted request: what is left, and in how many seconds all of it is back, such as
/// `"place";r=57;t=1`.
#[must_use]
pub fn remaining(name: &str, admitted: &Admitted) -> String {
    let reset = if admitted.reset_after.is_zero() { 0 } else { seconds(admitted.reset_after) };
    format!("\"{name}\";r={};t={reset}", admitted.remaining)
}

/// `RateLimit` of a refused request, such as `"place";r=0;t=1`; without a time when waiting does not help.
#[must_use]
pub fn used_up(name: &str, limited: &Limited) -> String {
    limited
        .retry_after()
        .map_or_else(|| format!("\"{name}\";r=0"), |wait| format!("\"{name}\";r=0;t={}", seconds(wait)))
}

/// `Retry-After` of a refused request, in seconds; none when waiting does not help.
#[must_use]
pub fn retry_after(limited: &Limited) -> Option<String> {
    limited.retry_after().map(|wait| seconds(wait).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_spelled_as_the_draft_has_them() {
        let quota = |burst, millis| Quota::new(burst, Duration::from_millis(millis)).unwrap();
        let text = policy([("place", quota(60, 2_000)), ("orders", quota(1_000, 1_500))]);
        assert_eq!(text, r#""place";q=60;w=2, "orders";q=1000;w=2"#);
        assert_eq!(policy([]), "");
        let admitted = |remaining, millis| Admitted { remaining, reset_after: Duration::from_millis(millis) };
        assert_eq!(remaining("place", &admitted(57, 100)), r#""place";r=57;t=1"#);
        assert_eq!(remaining("place", &admitted(60, 0)), r#""place";r=60;t=0"#);
        let soon = Limited::TooSoon { retry_after: Duration::from_millis(1_001) };
        assert_eq!(used_up("place", &soon), r#""place";r=0;t=2"#);
        assert_eq!(retry_after(&soon).as_deref(), Some("2"));
        let never = Limited::CostAboveBurst { cost: 61, burst: 60 };
        assert_eq!(used_up("place", &never), r#""place";r=0"#);
        assert_eq!(retry_after(&never), None);
    }
}
