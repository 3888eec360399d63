//! Rules about how much goes where, and how often.

use domain::Evidence;

use crate::{
    Rule, Thresholds,
    facts::Facts,
    words::{Share, duration},
};

use super::Hit;

/// Nearly everything to a destination added moments ago, or never seen although the account has been observed for
/// long enough. Needs a known balance; without one, first use asks for a challenge.
pub(super) fn drain(facts: &Facts<'_>, thresholds: &Thresholds) -> Option<Hit> {
    let share = facts.share()?;
    let fresh = match facts.destination.since() {
        Some(since) => facts.age(since) < thresholds.drain_destination_new,
        None => facts.observed_before(None, thresholds.destination_new),
    };
    if !fresh || !share.reaches(thresholds.drain_share_percent) {
        return None;
    }
    Some(Hit {
        code: Rule::BalanceDrain.code(),
        verdict: Rule::BalanceDrain.verdict(),
        message: format!("{} would leave, and {}", facts.share_words(), facts.destination_words()),
        evidence: evidence(facts),
        would_pass_if: format!(
            "the destination had been known for {}, or less than {} % of the balance would leave",
            duration(thresholds.drain_destination_new),
            thresholds.drain_share_percent
        ),
    })
}

/// A drain in parts: each small, together nearly everything the account held a day ago, all to new destinations.
pub(super) fn cumulative_drain(facts: &Facts<'_>, thresholds: &Thresholds) -> Option<Hit> {
    let holding = facts.holding?;
    let (parts, to_new) = holding.to_new_day;
    if parts == 0 || !facts.is_new(facts.destination.since(), thresholds.destination_new) {
        return None;
    }
    // Numbers out of range count as everything.
    let share = to_new
        .checked_add(facts.leaving)
        .zip(holding.remaining.checked_add(holding.withdrawn_day))
        .map_or(Share { part: facts.leaving, whole: facts.leaving }, |(part, whole)| Share { part, whole });
    if !share.reaches(thresholds.drain_share_percent) {
        return None;
    }
    let mut evidence = evidence(facts);
    evidence.push(Evidence::new("withdrawals_to_new_destinations_last_day", parts.to_string()));
    evidence.push(Evidence::new("amount_to_new_destinations_last_day", to_new.to_string()));
    evidence.push(Evidence::new("cumulative_share_of_balance", share.percent()));
    Some(Hit {
        code: Rule::CumulativeDrain.code(),
        verdict: Rule::CumulativeDrain.verdict(),
        message: format!(
            "with {parts} earlier withdrawals within a day, {} of what the account held in {} would have gone to destinations known for less than {}",
            share.percent(),
            facts.request.asset,
            duration(thresholds.destination_new)
        ),
        evidence,
        would_pass_if: format!(
            "the destination had been known for {}, or less than {} % in all went to new destinations within a day",
            duration(thresholds.destination_new),
            thresholds.drain_share_percent
        ),
    })
}

/// More withdrawals within an hour than the limit, this one included.
pub(super) fn velocity(facts: &Facts<'_>, thresholds: &Thresholds) -> Option<Hit> {
    let limit = thresholds.withdrawals_per_hour_max;
    let earlier = facts.withdrawals_hour;
    if earlier < usize::try_from(limit).unwrap_or(usize::MAX) {
        return None;
    }
    Some(Hit {
        code: Rule::WithdrawalVelocity.code(),
        verdict: Rule::WithdrawalVelocity.verdict(),
        message: format!(
            "the account made {earlier} withdrawals within the last hour, {limit} are usual at most"
        ),
        evidence: vec![
            Evidence::new("withdrawals_last_hour", earlier.to_string()),
            Evidence::new("withdrawals_last_day", facts.withdrawals_day.to_string()),
        ],
        would_pass_if: format!("fewer than {limit} withdrawals had been made within the last hour"),
    })
}

/// A large or unknown share to a destination that never received anything from this account.
pub(super) fn first_use(facts: &Facts<'_>, thresholds: &Thresholds) -> Option<Hit> {
    if facts.destination.uses() > 0 || !facts.share_reaches_or_unknown(thresholds.large_share_percent) {
        return None;
    }
    Some(Hit {
        code: Rule::FirstUse.code(),
        verdict: Rule::FirstUse.verdict(),
        message: format!(
            "the account has not sent anything to the destination before, and {} would leave",
            facts.share_words()
        ),
        evidence: evidence(facts),
        would_pass_if: format!(
            "the destination had been used before, or a reported balance showed that less than {} % would leave",
            thresholds.large_share_percent
        ),
    })
}

fn evidence(facts: &Facts<'_>) -> Vec<Evidence> {
    destination_evidence(facts).into_iter().chain(share_evidence(facts)).collect()
}

pub(super) fn destination_evidence(facts: &Facts<'_>) -> Vec<Evidence> {
    let age = |at: Option<_>| at.map_or_else(|| "never".to_owned(), |at| duration(facts.age(at)));
    vec![
        Evidence::new("destination_added_age", age(facts.destination.added)),
        Evidence::new("destination_first_use_age", age(facts.destination.first_used)),
        Evidence::new("destination_uses", facts.destination.uses().to_string()),
    ]
}

pub(super) fn share_evidence(facts: &Facts<'_>) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::new("amount_leaving", facts.leaving.to_string())];
    match (facts.share(), facts.holding) {
        (Some(share), Some(holding)) => {
            evidence.push(Evidence::new("share_of_balance", share.percent()));
            evidence.push(Evidence::new("balance", holding.remaining.to_string()));
            evidence.push(Evidence::new("balance_reported_at", holding.reported_at.to_string()));
        }
        _ => evidence.push(Evidence::new("share_of_balance", "unknown")),
    }
    evidence
}
