//! Entries of the journal as lines of a timeline.

use std::collections::HashMap;

use console::{Evidence, Found, Moment, Push, Score, Tone};
use domain::{Event, EventKind, Finding, LabelTarget, Verdict};
use fraud::cases::{Action, Against, CaseEntry};
use journal::{Entry, Kind, Opened, record};

use super::{casework::Cabinet, entry_fields};
use crate::trails::Sort;

/// Unit of what a reason added to a score, as the fraud engine writes it behind the value.
const LOGIT: &str = " logit)";
/// Evidence by which a score is told, in millionths.
const SCORE: &str = "model_score";

/// What a finding says of a score: the score, and what its reasons added.
pub(super) fn score(finding: &Finding) -> Option<Score> {
    let ppm = finding.evidence.iter().find(|seen| seen.name == SCORE)?.value.parse().ok()?;
    let pushes = finding.evidence.iter().filter_map(|seen| {
        let (value, added) = seen.value.strip_suffix(LOGIT)?.rsplit_once(" (")?;
        Some(Push { name: seen.name.to_string(), value: value.to_owned(), logit: added.parse().ok()? })
    });
    Some(Score { ppm, pushes: pushes.collect() })
}

pub(super) fn found(finding: &Finding) -> Found {
    let score = score(finding);
    let told = |seen: &&domain::Evidence| {
        !score.as_ref().is_some_and(|score| score.pushes.iter().any(|push| *push.name == *seen.name))
    };
    Found {
        source: finding.source.as_str(),
        code: finding.code.to_string(),
        verdict: finding.verdict,
        shadow: finding.shadow,
        message: finding.message.clone(),
        evidence: finding
            .evidence
            .iter()
            .filter(told)
            .map(|seen| (seen.name.to_string(), seen.value.clone()))
            .collect(),
        would_pass_if: finding.would_pass_if.clone(),
        score,
    }
}

fn tone_of(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Allow => Tone::Good,
        Verdict::Challenge | Verdict::Hold => Tone::Warn,
        Verdict::Deny => Tone::Bad,
    }
}

/// What a verdict makes of a withdrawal.
const fn became(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allowed",
        Verdict::Challenge => "challenged",
        Verdict::Deny => "denied",
        Verdict::Hold => "held",
    }
}

/// An entry's kind and what changed, in words.
fn kind_in_words(kind: Kind, what: &str) -> String {
    let what = what.replace('_', " ");
    match kind {
        Kind::ApiKey => format!("API key {what}"),
        kind => format!("{}: {what}", kind.as_str().replace('_', " ")),
    }
}

/// What an event says, in a few words and a sentence.
fn event_in_words(event: &Event) -> (String, String, Tone) {
    let plain = |what: &str, text: String| (what.to_owned(), text, Tone::Plain);
    match &event.kind {
        EventKind::AccountOpened { referrer } => plain(
            "account opened",
            referrer.as_ref().map_or_else(String::new, |referrer| format!("brought by {referrer}")),
        ),
        EventKind::AddressAdded { network, address } => {
            plain("address added to the book", format!("{address} on {}", network.as_str()))
        }
        EventKind::ApiKeyCreated { key, may_withdraw, ip_bound } => {
            let withdraws = if *may_withdraw { "may withdraw" } else { "may not withdraw" };
            let bound = if *ip_bound { "bound to addresses" } else { "usable from anywhere" };
            let tone = if *may_withdraw && !ip_bound { Tone::Warn } else { Tone::Plain };
            ("API key created".to_owned(), format!("{key}: {withdraws}, {bound}"), tone)
        }
        EventKind::BalanceChanged { asset, total } => plain("balance", format!("{total} {asset}")),
        EventKind::BonusGranted { asset, amount, campaign, .. } => {
            plain("bonus granted", format!("{amount} {asset} for {campaign}"))
        }
        EventKind::CredentialChanged { credential } => {
            ("credential changed".to_owned(), credential.as_str().to_owned(), Tone::Warn)
        }
        EventKind::Deposit { asset, amount, network, from } => {
            let from = from.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
            plain("deposit", format!("{amount} {asset} over {}{from}", network.as_str()))
        }
        EventKind::KycChanged { level, .. } => plain("identity checked", format!("level {level}")),
        EventKind::Label { target, is_fraud, source } => {
            let about = match target {
                LabelTarget::Account => "the account".to_owned(),
                LabelTarget::Decision(position) => format!("the decision of entry {position}"),
                LabelTarget::Event(id) => format!("the event {}", id.as_str()),
                _ => "something".to_owned(),
            };
            let (what, tone) = if *is_fraud { ("fraud", Tone::Bad) } else { ("legitimate", Tone::Good) };
            ("known now".to_owned(), format!("{about} was {what}, says {source}"), tone)
        }
        EventKind::Login { success, second_factor } => {
            let factor = if *second_factor { "with a second factor" } else { "without a second factor" };
            let (what, tone) = if *success { ("login", Tone::Plain) } else { ("login failed", Tone::Warn) };
            (what.to_owned(), factor.to_owned(), tone)
        }
        EventKind::OrderCancelled { instrument, order } => {
            plain("order cancelled", format!("{instrument}, order {order}"))
        }
        EventKind::OrderFilled { instrument, quantity, price } => {
            plain("order filled", format!("{quantity} {instrument} at {price}"))
        }
        EventKind::OrderPlaced { instrument, side, quantity, price, .. } => {
            let price = price.map_or_else(|| "at market".to_owned(), |price| format!("at {price}"));
            plain("order placed", format!("{} {quantity} {instrument} {price}", side.as_str()))
        }
        EventKind::P2pTrade { counterparty, side, asset, amount, status, .. } => plain(
            "trade outside the exchange",
            format!("{} {amount} {asset} with {counterparty}: {status}", side.as_str()),
        ),
        EventKind::SupportContacted { topic } => plain("support contacted", topic.clone()),
        EventKind::Transfer { asset, amount, to } => plain("transfer", format!("{amount} {asset} to {to}")),
        EventKind::WithdrawalAccepted { asset, amount, network, address } => {
            plain("withdrawal went out", format!("{amount} {asset} to {address} over {}", network.as_str()))
        }
        kind => plain(&kind.as_str().replace('_', " "), String::new()),
    }
}

fn circumstances(event: &Event) -> Vec<Evidence> {
    let context = &event.context;
    let known = [
        ("device", event.device.as_ref().map(ToString::to_string)),
        ("network address", event.ip.map(|ip| ip.to_string())),
        ("country", context.country.map(|country| country.as_str().to_owned())),
        ("autonomous system", context.asn.map(|asn| format!("AS{asn}"))),
        ("hidden by", context.anonymizer.map(|by| by.as_str().to_owned())),
        ("at stake", context.value.map(|value| value.to_string())),
        ("reported as", Some(event.id.as_str().to_owned())),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn sort_of(kind: Kind, known: Option<Sort>) -> &'static str {
    let sort = known.unwrap_or(match kind {
        Kind::ApiKey | Kind::Oauth => Sort::Key,
        Kind::Case => Sort::Case,
        Kind::ChainAlert | Kind::FraudAlert => Sort::Alert,
        Kind::Decision => Sort::Withdrawal,
        _ => Sort::Other,
    });
    sort.as_str()
}

impl Cabinet {
    /// Entries at some positions, as lines; those that cannot be read any more are left out. `sorts` are those already known.
    pub(super) fn moments(&self, positions: &[u64], sorts: &HashMap<u64, Sort>) -> Vec<Moment> {
        let journal = self.core.ground.journal();
        let read = positions.iter().filter_map(|position| {
            let entry = journal.entry(*position).ok()??;
            let sort = sort_of(entry.kind, sorts.get(position).copied());
            self.moment(&entry, sort)
        });
        read.collect()
    }

    fn moment(&self, entry: &Entry, sort: &'static str) -> Option<Moment> {
        let Opened::Payload(payload) = self.core.ground.journal().open_payload(entry).ok()? else {
            return None;
        };
        let mut line = Moment {
            at: entry.at,
            sort,
            who: String::new(),
            what: entry.kind.as_str().replace('_', " "),
            text: String::new(),
            more: Vec::new(),
            tone: Tone::Plain,
            position: entry.seq,
            decision: None,
            in_case: false,
        };
        match entry.kind {
            Kind::Event => {
                let event = record::decode_event(&payload).ok()?;
                (line.what, line.text, line.tone) = event_in_words(&event);
                line.more = circumstances(&event);
                line.at = event.occurred_at;
            }
            Kind::Decision => {
                let decision = record::decode_decision(&payload).ok()?;
                let asked = self.line(entry.seq, &decision);
                line.what = format!("withdrawal {}", became(decision.verdict));
                line.text = format!("{} to {}", asked.amount, asked.destination);
                if !asked.reason.is_empty() {
                    line.text.push_str(": ");
                    line.text.push_str(&asked.reason);
                }
                line.tone = tone_of(decision.verdict);
                line.decision = Some(asked.id);
            }
            Kind::FraudAlert => {
                let alert = record::decode_fraud_alert(&payload).ok()?;
                line.what = "fraud alert".to_owned();
                let messages = alert.findings.iter().map(|finding| finding.message.as_str());
                line.text = messages.collect::<Vec<_>>().join("; ");
                // The strictest stands first.
                let leading = alert.findings.iter().find(|finding| !finding.shadow);
                line.tone = leading.map_or(Tone::Plain, |finding| tone_of(finding.verdict));
                line.more = vec![
                    ("about entry".to_owned(), alert.entry.to_string()),
                    (
                        "codes".to_owned(),
                        alert.findings.iter().map(|it| it.code.to_string()).collect::<Vec<_>>().join(", "),
                    ),
                ];
                line.more.extend(
                    alert.score.map(|score| ("score".to_owned(), format!("{} of 1 000 000", score.get()))),
                );
            }
            Kind::Case => match CaseEntry::decode(&payload).ok()? {
                CaseEntry::Action(done) => {
                    line.who = done.actor.to_string();
                    line.what = done.action.as_str().replace('_', " ");
                    line.text = done.action.text().unwrap_or_default().to_owned();
                    line.more = vec![("case".to_owned(), format!("case-{}", done.case))];
                    if let Action::Answer { appeal, outcome, .. } = &done.action {
                        line.what = format!("appeal {}", outcome.as_str());
                        line.more.push(("appeal".to_owned(), format!("appeal-{appeal}")));
                    }
                }
                CaseEntry::Appealed(appealed) => {
                    line.who = appealed.by.to_string();
                    line.what = "appealed".to_owned();
                    line.tone = Tone::Warn;
                    let against = match &appealed.against {
                        Against::Ban(target) => format!("the ban of {target}"),
                        Against::Decision(position) => self.core.decider.ids().id(*position).to_string(),
                    };
                    line.more = vec![("against".to_owned(), against)];
                    line.text = appealed.text;
                }
                CaseEntry::Policy(_) => return None,
            },
            kind => {
                // What has no words of its own here is told as the log tells it.
                line.more = entry_fields(self.core.entry_revealed(entry.seq).ok()??);
                let named = |name: &str| {
                    line.more.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
                };
                let what = named("change").or_else(|| named("alert")).or_else(|| named("what"));
                if let Some(what) = what {
                    line.what = kind_in_words(kind, &what);
                }
                line.text = named("category").or_else(|| named("api_key")).unwrap_or_default();
                line.tone = match named("verdict").as_deref().and_then(|verdict| verdict.parse().ok()) {
                    Some(Verdict::Allow) | None => Tone::Plain,
                    Some(verdict) => tone_of(verdict),
                };
            }
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use domain::{FindingSource, ReasonCode};

    use super::*;

    #[test]
    fn what_reasons_added_is_read_back_from_their_evidence() {
        let evidence = |name: &'static str, value: &str| domain::Evidence::new(name, value.to_owned());
        let finding = Finding {
            source: FindingSource::Fraud,
            code: ReasonCode::new("fraud.model"),
            verdict: Verdict::Hold,
            shadow: false,
            message: String::new(),
            evidence: vec![
                evidence("model_score", "931500"),
                evidence("amount_z", "4.2 (+1.2500 logit)"),
                evidence("night (local)", "1 (-0.1000 logit)"),
                evidence("odd", "7 (+x logit)"),
                evidence("model_sha256", "ab"),
            ],
            would_pass_if: None,
        };
        let told = found(&finding);
        let score = told.score.unwrap();
        assert_eq!(score.ppm, 931_500);
        let pushes: Vec<_> =
            score.pushes.iter().map(|push| (push.name.as_str(), push.value.as_str(), push.logit)).collect();
        assert_eq!(pushes, [("amount_z", "4.2", 1.25), ("night (local)", "1", -0.1)]);
        let names: Vec<&str> = told.evidence.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["model_score", "odd", "model_sha256"]);
        assert_eq!(super::score(&Finding { evidence: Vec::new(), ..finding }), None);
    }
}
