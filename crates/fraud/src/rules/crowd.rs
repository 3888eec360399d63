//! Rules about several accounts at once.

use domain::{Evidence, Verdict};

use crate::{Rule, Thresholds, facts::Facts, words::duration};

use super::Hit;

/// Several accounts led to pay a destination that nobody paid before today: the second of them with a large or
/// unknown share, the fifth in any case.
///
/// While nothing at all has been observed for longer than a destination counts as new, every destination looks
/// fresh; the rule then asks for a challenge instead of a hold.
pub(super) fn shared_destination(facts: &Facts<'_>, thresholds: &Thresholds) -> Option<Hit> {
    let first = facts.destination_paid_since?;
    let new = thresholds.destination_new;
    let fresh = facts.is_new(Some(first), new) && facts.is_new(facts.destination.since(), new);
    let accounts = facts.other_payers.saturating_add(1);
    let reaches = |limit: u32| accounts >= usize::try_from(limit).unwrap_or(usize::MAX);
    let large = reaches(thresholds.shared_destination_accounts_large)
        && facts.share_reaches_or_unknown(thresholds.large_share_percent);
    if !fresh || facts.other_payers == 0 || !(large || reaches(thresholds.shared_destination_accounts_any)) {
        return None;
    }
    let sure = facts.observing_since.is_some_and(|since| first.since(since) >= new);
    let mut evidence = vec![
        Evidence::new("accounts_paying_last_day", accounts.to_string()),
        Evidence::new("destination_first_paid_at", first.to_string()),
    ];
    evidence.extend(super::balance::share_evidence(facts));
    Some(Hit {
        code: Rule::SharedDestination.code(),
        verdict: if sure { Rule::SharedDestination.verdict() } else { Verdict::Challenge },
        message: format!(
            "{accounts} accounts pay the destination within a day, nobody had paid it until {} ago, and {} would leave",
            duration(facts.age(first)),
            facts.share_words()
        ),
        evidence,
        would_pass_if: format!(
            "the destination had first been paid at least {} ago, or fewer accounts paid it",
            duration(new)
        ),
    })
}

/// Many accounts on one device: a family, an office, or a farm. Watched, never acted on.
pub(super) fn shared_device(facts: &Facts<'_>, thresholds: &Thresholds) -> Option<Hit> {
    let device = facts.device.as_ref()?;
    let accounts = device.other_accounts.saturating_add(1);
    if accounts < usize::try_from(thresholds.device_accounts).unwrap_or(usize::MAX) {
        return None;
    }
    Some(Hit {
        code: Rule::SharedDevice.code(),
        verdict: Rule::SharedDevice.verdict(),
        message: format!("{accounts} accounts were used from the device within 7 d"),
        evidence: vec![
            Evidence::new("device", device.id.as_str()),
            Evidence::new("accounts_on_device", accounts.to_string()),
        ],
        would_pass_if: format!("fewer than {} accounts used the device", thresholds.device_accounts),
    })
}
