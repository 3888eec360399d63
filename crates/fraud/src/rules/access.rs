//! Rules about who is at the controls.

use domain::{Credential, Evidence, Verdict};

use crate::{
    Rule, Thresholds,
    facts::{Device, Facts},
    rule::code,
    words::duration,
};

use super::Hit;

/// New device, new destination, large share: each is ordinary alone, together they are how accounts are emptied.
///
/// When the account has not been observed long enough to know that device and destination are new, and neither was
/// reported as added, the rule asks for a challenge instead of a hold.
pub(super) fn account_takeover(facts: &Facts<'_>, thresholds: &Thresholds) -> Option<Hit> {
    let Thresholds { device_new, destination_new, large_share_percent, .. } = *thresholds;
    let device = facts.device.as_ref()?;
    let destination_since = facts.destination.since();
    let pattern = facts.is_new(device.since, device_new)
        && facts.is_new(destination_since, destination_new)
        && facts.share_reaches_or_unknown(large_share_percent);
    if !pattern {
        return None;
    }
    let device_surely = device.bound || facts.observed_before(device.since, device_new);
    let destination_surely =
        facts.destination.added.is_some() || facts.observed_before(destination_since, destination_new);
    let sure = device_surely && destination_surely;
    let doubt =
        if sure { "" } else { "; the account has not been observed long enough to be sure what is new" };
    let mut evidence = device_evidence(facts, device);
    evidence.extend(super::balance::destination_evidence(facts));
    evidence.extend(super::balance::share_evidence(facts));
    Some(Hit {
        code: Rule::AccountTakeover.code(),
        verdict: if sure { Rule::AccountTakeover.verdict() } else { Verdict::Challenge },
        message: format!(
            "{}, {}, and {} would leave{doubt}",
            device_words(facts, device),
            facts.destination_words(),
            facts.share_words()
        ),
        evidence,
        would_pass_if: format!(
            "the device had been known for {}, or the destination for {}, or less than {large_share_percent} % of the balance would leave",
            duration(device_new),
            duration(destination_new)
        ),
    })
}

fn device_words(facts: &Facts<'_>, device: &Device) -> String {
    let which = if device.named { "the device" } else { "the newest device of the account" };
    match device.since {
        Some(since) => format!("{which} was first seen {} ago", duration(facts.age(since))),
        None => format!("{which} has never been seen on this account"),
    }
}

fn device_evidence(facts: &Facts<'_>, device: &Device) -> Vec<Evidence> {
    let age = device.since.map_or_else(|| "never seen".to_owned(), |since| duration(facts.age(since)));
    vec![
        Evidence::new("device", device.id.as_str()),
        Evidence::new("device_source", if device.named { "request" } else { "newest on the account" }),
        Evidence::new("device_age", age),
    ]
}

/// A cool-down after a change of password, contact or second factor. A finding each for the password and for the
/// latest of the others, because exchanges answer them with different errors.
pub(super) fn credential_change(facts: &Facts<'_>, thresholds: &Thresholds) -> Vec<Hit> {
    let cooling = thresholds.credential_cooling;
    let latest = |password: bool| {
        facts
            .changes
            .iter()
            .filter(|(credential, at)| {
                (*credential == Credential::Password) == password && facts.age(*at) < cooling
            })
            .max_by_key(|(_, at)| *at)
    };
    let hit = |(credential, at): &(Credential, _), code| {
        let what = match credential {
            Credential::Authenticator => "authenticator",
            Credential::Email => "e-mail address",
            Credential::Password => "password",
            Credential::Phone => "phone number",
        };
        Hit {
            code,
            verdict: Rule::CredentialChange.verdict(),
            message: format!(
                "the {what} was changed {} ago; withdrawals wait {} after such a change",
                duration(facts.age(*at)),
                duration(cooling)
            ),
            evidence: vec![
                Evidence::new("credential", credential.as_str()),
                Evidence::new("changed_at", at.to_string()),
            ],
            would_pass_if: format!("the withdrawal were asked for at or after {}", at.plus(cooling)),
        }
    };
    let contact = latest(false).map(|change| hit(change, code::RECENT_CREDENTIAL_CHANGE));
    let password = latest(true).map(|change| hit(change, code::RECENT_PASSWORD_CHANGE));
    contact.into_iter().chain(password).collect()
}

/// Guessing that ended in success: many failures, then a login from a network new to the account. Failures alone
/// say nothing, or anybody could get a stranger challenged.
pub(super) fn failed_logins(facts: &Facts<'_>, thresholds: &Thresholds) -> Option<Hit> {
    let login = facts.login?;
    let failures = facts.failed_logins_day;
    let enough = failures >= usize::try_from(thresholds.failed_logins).unwrap_or(usize::MAX);
    if !enough || !facts.is_new(login.network_since, thresholds.device_new) {
        return None;
    }
    Some(Hit {
        code: Rule::FailedLogins.code(),
        verdict: Rule::FailedLogins.verdict(),
        message: format!(
            "{failures} logins failed within a day, and the latest that succeeded, {} ago, came from a network first seen within the last {}",
            duration(facts.age(login.at)),
            duration(thresholds.device_new)
        ),
        evidence: vec![
            Evidence::new("failed_logins_last_day", failures.to_string()),
            Evidence::new("login_at", login.at.to_string()),
            Evidence::new("login_network", login.network.to_string()),
        ],
        would_pass_if: format!(
            "fewer than {} logins had failed within a day, or the login came from a network known for {}",
            thresholds.failed_logins,
            duration(thresholds.device_new)
        ),
    })
}
