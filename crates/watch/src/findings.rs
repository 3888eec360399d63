//! From a screening to findings a customer, an operator and an auditor can read.
//!
//! One finding per category of danger, strictest first, each with the labels behind it and what would change it.
//! Where nothing speaks against a destination that is said too, as counter-evidence, with the lists consulted.

use std::collections::BTreeMap;

use chain::label::Category;
use domain::{
    Destination, Evidence, Finding, FindingSource, Network, ReasonCode, Verdict, WithdrawalRequest,
};

use crate::{ListState, ListedLabel, Screening, Watch, import::hex};

/// Most labels or lists quoted in one finding.
const EVIDENCE_MAX: usize = 8;
/// Evidence that names a category.
pub(crate) const CATEGORY: &str = "category";
/// Longest quotation of what the client sent.
const QUOTED_CHARS_MAX: usize = 128;

impl Watch {
    /// What the lists say about the destination of a withdrawal. Empty for an internal destination, which has no
    /// address; never empty otherwise.
    #[must_use]
    pub fn examine(&self, request: &WithdrawalRequest) -> Vec<Finding> {
        match &request.destination {
            Destination::Internal { .. } => Vec::new(),
            Destination::OnChain { network, address, .. } => self.examine_address(address, *network),
            Destination::UnknownNetwork { network, address } => {
                // An exchange writes a destination tag after a colon; a list names the address alone.
                let bare = match address.rsplit_once(':') {
                    Some((bare, tag)) if tag.bytes().all(|byte| byte.is_ascii_digit()) => bare,
                    _ => address,
                };
                let screening = self.screen(bare, None);
                let mut findings = of_labels(&screening, bare);
                findings.push(Finding {
                    evidence: vec![
                        Evidence::new("address", quoted(address)),
                        Evidence::new("network", quoted(network)),
                    ],
                    would_pass_if: Some(
                        "the withdrawal went over a network this build can screen".to_owned(),
                    ),
                    ..finding(
                        "watch.unscreenable_network",
                        Verdict::Hold,
                        format!("addresses of the network {} cannot be checked here", quoted(network)),
                    )
                });
                findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
                findings
            }
        }
    }
}

impl Watch {
    /// What the lists say about a text as an address of a network. Never empty.
    #[must_use]
    pub fn examine_address(&self, address: &str, network: Network) -> Vec<Finding> {
        let screening = self.screen(address, Some(network));
        let mut findings = Vec::new();
        if let Some(error) = &screening.invalid {
            findings.push(Finding {
                evidence: vec![
                    Evidence::new("address", quoted(address)),
                    Evidence::new("network", network.as_str()),
                ],
                would_pass_if: Some(format!("the destination were a valid {network} address")),
                ..finding(
                    "watch.invalid_address",
                    Verdict::Deny,
                    format!("the destination is not a valid {network} address: {error}"),
                )
            });
        }
        findings.extend(of_labels(&screening, address));
        if screening.invalid.is_none() {
            findings.extend(counter_evidence(&screening, address));
        }
        findings
    }
}

/// One finding per category that asks for more than to allow.
fn of_labels(screening: &Screening, text: &str) -> Vec<Finding> {
    let mut by_category: BTreeMap<Category, Vec<&ListedLabel>> = BTreeMap::new();
    for label in screening.labels.iter().filter(|label| label.verdict > Verdict::Allow) {
        by_category.entry(label.category).or_default().push(label);
    }
    let mut findings: Vec<Finding> = by_category
        .into_iter()
        .filter_map(|(category, labels)| {
            // Strictest first, so the first label carries the verdict and the message.
            let first = *labels.first()?;
            let mut evidence = vec![Evidence::new("address", shown(screening, text))];
            evidence.extend(
                labels.iter().take(EVIDENCE_MAX).map(|label| Evidence::new("label", described(label))),
            );
            if labels.len() > EVIDENCE_MAX {
                evidence.push(Evidence::new("more_labels", (labels.len() - EVIDENCE_MAX).to_string()));
            }
            let mut lists: Vec<&str> = labels.iter().map(|label| label.list.as_str()).collect();
            lists.dedup();
            let named = screening.lists.iter().filter(|list| lists.contains(&list.name.as_str()));
            evidence.extend(named.take(EVIDENCE_MAX).map(|list| Evidence::new("list", consulted(list))));
            evidence.push(Evidence::new(CATEGORY, category.as_str()));
            Some(Finding {
                evidence,
                would_pass_if: Some(format!(
                    "a newer state of {} no longer named this address",
                    lists.join(" and of ")
                )),
                ..finding(
                    code(category),
                    first.verdict,
                    format!(
                        "the destination is listed {}: {} on list {}, {}",
                        phrase(category),
                        quoted_label(first),
                        first.list,
                        dated(first),
                    ),
                )
            })
        })
        .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    findings
}

/// What speaks for the destination.
fn counter_evidence(screening: &Screening, text: &str) -> Vec<Finding> {
    if screening.lists.is_empty() {
        return vec![Finding {
            evidence: vec![Evidence::new("address", shown(screening, text))],
            ..finding(
                "watch.no_lists",
                Verdict::Allow,
                "no address list is loaded: the destination's form and checksum were checked, and nothing else".to_owned(),
            )
        }];
    }
    let consulted =
        screening.lists.iter().take(EVIDENCE_MAX).map(|list| Evidence::new("list", consulted(list)));
    let benign: Vec<&ListedLabel> =
        screening.labels.iter().filter(|label| label.verdict == Verdict::Allow).collect();
    let mut findings = Vec::new();
    if let Some(first) = benign.first() {
        let mut evidence = vec![Evidence::new("address", shown(screening, text))];
        evidence
            .extend(benign.iter().take(EVIDENCE_MAX).map(|label| Evidence::new("label", described(label))));
        findings.push(Finding {
            evidence,
            ..finding(
                "watch.known_holder",
                Verdict::Allow,
                format!(
                    "the destination is known {}: {} on list {}{}",
                    phrase(first.category),
                    quoted_label(first),
                    first.list,
                    if screening.is_contradictory() {
                        ", which contradicts what is held against it"
                    } else {
                        ""
                    }
                ),
            )
        });
    }
    if screening.verdict == Verdict::Allow {
        let n = screening.lists.len();
        let mut evidence = vec![Evidence::new("address", shown(screening, text))];
        evidence.extend(consulted);
        findings.push(Finding {
            evidence,
            ..finding(
                "watch.not_listed",
                Verdict::Allow,
                format!(
                    "nothing on {n} {} speaks against the destination",
                    if n == 1 { "list" } else { "lists" }
                ),
            )
        });
    }
    findings
}

fn finding(code: &'static str, verdict: Verdict, message: String) -> Finding {
    Finding {
        source: FindingSource::Watch,
        code: ReasonCode::new(code),
        verdict,
        shadow: false,
        message,
        evidence: Vec::new(),
        would_pass_if: None,
    }
}

/// The canonical text where there is one: what was matched, not what was typed.
fn shown(screening: &Screening, text: &str) -> String {
    screening.canonical.clone().unwrap_or_else(|| quoted(text))
}

/// What a client sent, on one line and cut, with other scripts and control characters spelled out.
fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    cut.chars()
        .flat_map(|c| if c.is_ascii_graphic() || c == ' ' { vec![c] } else { c.escape_unicode().collect() })
        .collect()
}

fn quoted_label(label: &ListedLabel) -> String {
    if label.text.is_empty() { "without a name".to_owned() } else { format!("\"{}\"", label.text) }
}

/// The date the source gives, else that of the list.
fn dated(label: &ListedLabel) -> String {
    match label.last_seen {
        Some(at) => format!("last confirmed {}", day(&at.to_string())),
        None => format!("by its state of {}", day(&label.list_imported_at.to_string())),
    }
}

/// The date of an RFC 3339 text.
fn day(text: &str) -> String {
    text.chars().take(10).collect()
}

fn described(label: &ListedLabel) -> String {
    let mut out = format!(
        "{} on list {}, category {}, confidence {}",
        quoted_label(label),
        label.list,
        label.category,
        label.confidence
    );
    for (name, value) in [("asset", &label.asset), ("source", &label.source), ("licence", &label.licence)] {
        if !value.is_empty() {
            out.push_str(&format!(", {name} {value}"));
        }
    }
    if let Some(at) = label.first_seen {
        out.push_str(&format!(", first seen {}", day(&at.to_string())));
    }
    out.push_str(", ");
    out.push_str(&dated(label));
    out
}

fn consulted(list: &ListState) -> String {
    format!(
        "{}: {} addresses and {} texts, imported {}, source SHA-256 {}",
        list.name,
        list.addresses,
        list.texts,
        list.imported_at,
        hex(&list.source_sha256)
    )
}

/// The category a finding names.
pub(crate) fn named_category(finding: &Finding) -> Option<Category> {
    let named = finding.evidence.iter().find(|item| item.name == CATEGORY)?;
    Category::ALL.iter().copied().find(|category| category.as_str() == named.value)
}

/// The category a list speaks against an address for, where that is what a finding says.
pub(crate) fn category_of(finding: &Finding) -> Option<Category> {
    let category = named_category(finding)?;
    (finding.source == FindingSource::Watch && finding.code.as_str() == code(category)).then_some(category)
}

const fn code(category: Category) -> &'static str {
    match category {
        Category::Sanctions => "watch.sanctioned_address",
        Category::Terrorism => "watch.terrorism_address",
        Category::ChildAbuse => "watch.child_abuse_address",
        Category::Ransomware => "watch.ransomware_address",
        Category::Sextortion => "watch.sextortion_address",
        Category::Theft => "watch.theft_address",
        Category::Exploit => "watch.exploit_address",
        Category::Phishing => "watch.phishing_address",
        Category::Scam => "watch.scam_address",
        Category::PonziScheme => "watch.ponzi_scheme_address",
        Category::AddressPoisoning => "watch.poisoning_address",
        Category::Extremism => "watch.extremism_address",
        Category::Frozen => "watch.frozen_address",
        Category::Mixer => "watch.mixer_address",
        Category::DarknetMarket => "watch.darknet_market_address",
        Category::Suspected => "watch.suspected_address",
        _ => "watch.listed_address",
    }
}

/// How the category completes "is listed" or "is known".
const fn phrase(category: Category) -> &'static str {
    match category {
        Category::Sanctions => "under sanctions",
        Category::Terrorism => "for financing terrorism",
        Category::ChildAbuse => "for abuse of children",
        Category::Ransomware => "for collecting ransom",
        Category::Sextortion => "for blackmail",
        Category::Theft => "for holding stolen funds",
        Category::Exploit => "for exploiting a protocol",
        Category::Phishing => "for phishing",
        Category::Scam => "for fraud",
        Category::PonziScheme => "as a Ponzi scheme",
        Category::AddressPoisoning => "as an imitation of another address",
        Category::Extremism => "for extremism",
        Category::Frozen => "as frozen by a token's issuer",
        Category::Mixer => "as a mixer",
        Category::DarknetMarket => "as a darknet market",
        Category::OtherAbuse => "for another abuse",
        Category::Suspected => "as behaving like malicious addresses",
        Category::Coinjoin => "as a coinjoin",
        Category::Exchange => "as an exchange",
        Category::Gambling => "as a betting service",
        Category::Miner => "as a miner",
        Category::Bridge => "as a bridge between chains",
        Category::Defi => "as a decentralised protocol",
        Category::WalletService => "as a wallet service",
        Category::Service => "as a service",
        Category::Organization => "as an organisation",
        Category::User => "as a person's",
        _ => "without a category",
    }
}
