//! The rules: pure functions from [`Facts`] to what they found.

mod access;
mod balance;
mod crowd;

use domain::{Evidence, Finding, FindingSource, ReasonCode, Verdict};

use crate::{Config, Rule, facts::Facts, rule::code, words::duration};

/// What a rule says when it fires.
#[derive(Debug)]
struct Hit {
    code: ReasonCode,
    verdict: Verdict,
    message: String,
    evidence: Vec<Evidence>,
    would_pass_if: String,
}

/// Asks every rule, then adds what speaks for the request.
pub(crate) fn examine(facts: &Facts<'_>, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut asked = 0_u32;
    for rule in Rule::ALL.into_iter().filter(|rule| !config.off.contains(rule)) {
        asked += 1;
        let hits = match rule {
            Rule::AccountTakeover => {
                access::account_takeover(facts, &config.thresholds).into_iter().collect()
            }
            Rule::CredentialChange => access::credential_change(facts, &config.thresholds),
            Rule::BalanceDrain => balance::drain(facts, &config.thresholds).into_iter().collect(),
            Rule::CumulativeDrain => {
                balance::cumulative_drain(facts, &config.thresholds).into_iter().collect()
            }
            Rule::WithdrawalVelocity => balance::velocity(facts, &config.thresholds).into_iter().collect(),
            Rule::SharedDestination => {
                crowd::shared_destination(facts, &config.thresholds).into_iter().collect()
            }
            Rule::FirstUse => balance::first_use(facts, &config.thresholds).into_iter().collect(),
            Rule::FailedLogins => access::failed_logins(facts, &config.thresholds).into_iter().collect(),
            Rule::SharedDevice => {
                crowd::shared_device(facts, &config.thresholds).into_iter().collect::<Vec<_>>()
            }
        };
        let shadow = rule.observes_only() || config.shadow.contains(&rule);
        findings.extend(hits.into_iter().map(|hit| {
            let Hit { code, verdict, message, mut evidence, would_pass_if } = hit;
            evidence.push(Evidence::new("rule", format!("{}@{}", rule.as_str(), rule.version())));
            Finding {
                source: FindingSource::Fraud,
                code,
                verdict,
                shadow,
                message,
                evidence,
                would_pass_if: Some(would_pass_if),
            }
        }));
    }
    let quiet = findings.iter().all(|finding| finding.shadow);
    findings.extend(counter_evidence(facts, config, quiet.then_some(asked)));
    findings
}

/// What speaks for the request, and what is not known about it. `asked` is the number of rules when none fired.
fn counter_evidence(facts: &Facts<'_>, config: &Config, asked: Option<u32>) -> Vec<Finding> {
    let allow = |code, message, evidence| Finding {
        source: FindingSource::Fraud,
        code,
        verdict: Verdict::Allow,
        shadow: false,
        message,
        evidence,
        would_pass_if: None,
    };
    let mut findings = Vec::new();
    let uses = facts.destination.uses();
    if let Some(first_used) = facts.destination.first_used {
        let age = facts.age(first_used);
        if uses >= config.thresholds.established_uses && age >= config.thresholds.established_age {
            findings.push(allow(
                code::ESTABLISHED_DESTINATION,
                format!("the account has used the destination {uses} times over {}", duration(age)),
                vec![
                    Evidence::new("destination_uses", uses.to_string()),
                    Evidence::new("destination_first_used", first_used.to_string()),
                ],
            ));
        }
    }
    if facts.account_since.is_none() {
        findings.push(allow(
            code::NO_HISTORY,
            "nothing has been reported about this account, so its behaviour cannot be judged".to_owned(),
            Vec::new(),
        ));
    }
    if let Some(asked) = asked {
        findings.push(allow(
            code::NO_RULE_FIRED,
            format!("none of {asked} behaviour rules fired"),
            vec![Evidence::new("withdrawals_last_day", facts.withdrawals_day.to_string())],
        ));
    }
    findings
}
