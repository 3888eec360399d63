//! Assessment of an address: what lists say about it, whom it dealt with on the chains that are followed, how current all that
//! is, and what it asks for.
//!
//! One function serves the decision about a withdrawal, the command line and the control API. Lists decide by themselves
//! ([`crate::Screening`]); beside them stands **exposure**: what share of the money an address received or paid came from, or went
//! to, holders a list speaks against, directly or over others ([`crate::flows`]). A share at or above the policy's is a finding. It
//! asks for a hold at most: who was paid by somebody who was paid by a thief is no thief.
//!
//! What it is not: a complete view. Chains that are not followed are not looked at, and what happened before following began is
//! known only as far as it was loaded. Both are said ([`Knowledge`]).
//!
//! Bounds: an exposure looks at `hops / epsilon` transfers for each asset and direction at most.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use chain::{exposure::Direction, label::Category, propagation::EdgeKind};
use domain::{
    Address, Destination, Evidence, Finding, FindingSource, Network, ReasonCode, UnixNanos, Verdict,
    WithdrawalRequest,
};

use crate::{
    Screening, Watch,
    customers::Warning,
    flows::{AssetExposure, Association, Coverage, ExposedShare, Flows, Seen, SeenOnChains, SharedDeposit},
    import::hex,
    suspicions::{Held, Suspicions},
};

/// Most steps of a path that are told.
const STEPS_TOLD_MAX: usize = 8;

/// What exposure and stale knowledge ask for.
///
/// # Defaults
/// - `hops`: 5, as far as money is followed.
/// - `epsilon`: 1e-4, see [`chain::exposure::Query::epsilon`].
/// - `share`: 0.1, the least share of a category that is a finding; less is chance in busy parts of a chain.
/// - `shares`: none, shares of single categories that differ.
/// - `is_shadow`: both are, so that they are measured on the installation's own traffic first.
/// - `association`: 0.5: one tie to a known holder with as many harmless ones as bad ones around is less.
/// - `suspected`: challenge: what a model alone says stops nobody for good.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Transfers followed at most; none: exposure is not looked at.
    pub hops: u8,
    /// Least share worth a step.
    pub epsilon: f64,
    /// Least share that is a finding.
    pub share: f64,
    /// Likewise, by category.
    pub shares: BTreeMap<Category, f64>,
    /// Whether exposure only reports.
    pub is_exposure_shadow: bool,
    /// Whether stale knowledge only reports.
    pub is_stale_shadow: bool,
    /// Least confidence of a label derived from others that is a finding.
    pub association: f64,
    /// Whether derived labels only report.
    pub is_association_shadow: bool,
    /// What a suspicion asks for; allow: it only reports.
    pub suspected: Verdict,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hops: 5,
            epsilon: 1e-4,
            share: 0.1,
            shares: BTreeMap::new(),
            is_exposure_shadow: true,
            is_stale_shadow: true,
            association: 0.5,
            is_association_shadow: true,
            suspected: Verdict::Challenge,
        }
    }
}

/// One chain that is looked at.
#[derive(Debug, Clone)]
pub struct Followed {
    /// What was seen on it.
    pub flows: Arc<Flows>,
    /// Which network it is, if it is one withdrawals leave over.
    pub network: Option<Network>,
    /// How old its newest block may be.
    pub stale_after: Duration,
}

/// How much is known of a chain at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knowledge {
    /// The operator's name of the chain.
    pub chain: Arc<str>,
    /// Height and time of the newest block.
    pub tip: Option<(u64, UnixNanos)>,
    /// How old that is.
    pub age: Option<Duration>,
    /// Whether it is older than it may be, or nothing is known at all.
    pub is_stale: bool,
    /// Since when blocks are known without a gap up to the newest.
    pub complete_since: Option<Coverage>,
}

/// What was seen on one chain.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenOn {
    /// The operator's name of the chain.
    pub chain: Arc<str>,
    /// What.
    pub seen: Seen,
    /// Deposit addresses at exchanges that it pays and others pay too: evidence of one holder, no proof.
    pub shared_deposits: Vec<SharedDeposit>,
}

/// An exposure that the policy takes for a finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposed {
    /// The operator's name of the chain.
    pub chain: Arc<str>,
    /// The token's contract; `None` for the coin.
    pub asset: Option<Address>,
    /// Which way.
    pub direction: Direction,
    /// All that was received or paid, in the smallest unit.
    pub of: f64,
    /// What is exposed.
    pub share: ExposedShare,
    /// What it asks for.
    pub verdict: Verdict,
}

/// A label derived from others it is tied to, on one chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// The operator's name of the chain.
    pub chain: Arc<str>,
    /// What, and by which path.
    pub association: Association,
}

pub(crate) const DIRECT_EXPOSURE: ReasonCode = ReasonCode::new("watch.direct_exposure");
pub(crate) const INDIRECT_EXPOSURE: ReasonCode = ReasonCode::new("watch.indirect_exposure");

/// All that is known about an address at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// When.
    pub at: UnixNanos,
    /// What the lists say.
    pub screening: Screening,
    /// What followed chains have seen of it.
    pub seen: Vec<SeenOn>,
    /// Exposures above the policy's share, strictest first.
    pub exposed: Vec<Exposed>,
    /// What a model suspects it of, by chain.
    pub suspected: Vec<Held>,
    /// What that asks for.
    pub suspected_verdict: Verdict,
    /// Labels derived for it from others, by chain.
    pub derived: Vec<Derived>,
    /// Whether those only report.
    pub is_association_shadow: bool,
    /// Chains that were looked at.
    pub knowledge: Vec<Knowledge>,
    /// Whether exposure only reports.
    pub is_exposure_shadow: bool,
    /// Whether stale knowledge only reports.
    pub is_stale_shadow: bool,
    /// The strictest of what lists, exposure and stale knowledge ask for, without what only reports.
    pub verdict: Verdict,
}

/// Assesses addresses.
#[derive(Debug, Clone)]
pub struct Assessor {
    watch: Arc<Watch>,
    followed: Vec<Followed>,
    policy: Policy,
    suspicions: Arc<dyn Suspected>,
}

/// What models suspect: the port to the record of suspicions.
pub trait Suspected: fmt::Debug + Send + Sync {
    /// What is suspected of an address, by the name of the chain; empty for nearly all.
    fn of(&self, address: &Address) -> Vec<Held>;
}

impl Suspected for Suspicions {
    fn of(&self, address: &Address) -> Vec<Held> {
        Self::of(self, address)
    }
}

impl Assessor {
    /// Over lists and followed chains; nobody is suspected.
    #[must_use]
    pub fn new(watch: Arc<Watch>, followed: Vec<Followed>, policy: Policy) -> Self {
        Self { watch, followed, policy, suspicions: Arc::new(Suspicions::default()) }
    }

    /// With what models suspect.
    #[must_use]
    pub fn with_suspicions(self, suspicions: Arc<dyn Suspected>) -> Self {
        Self { suspicions, ..self }
    }

    /// The lists.
    #[must_use]
    pub const fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// The chains.
    #[must_use]
    pub fn followed(&self) -> &[Followed] {
        &self.followed
    }

    /// What the chains have seen, for [`crate::customers`].
    #[must_use]
    pub fn sightings(&self) -> SeenOnChains {
        SeenOnChains(self.followed.iter().map(|chain| Arc::clone(&chain.flows)).collect())
    }

    /// All that is known at `now` about a text, as an address of `network` if one is given.
    #[must_use]
    pub fn assess(&self, text: &str, network: Option<Network>, now: UnixNanos) -> Assessment {
        self.complete(self.watch.screen(text, network), network, now)
    }

    /// [`Assessor::assess`] of each, the lists as they are in force at one moment.
    #[must_use]
    pub fn assess_all(&self, texts: &[(&str, Option<Network>)], now: UnixNanos) -> Vec<Assessment> {
        let screenings = self.watch.screen_all(texts).into_iter().zip(texts);
        screenings.map(|(screening, (_, network))| self.complete(screening, *network, now)).collect()
    }

    fn complete(&self, screening: Screening, network: Option<Network>, now: UnixNanos) -> Assessment {
        let mut assessment = Assessment {
            at: now,
            verdict: screening.verdict,
            screening,
            seen: Vec::new(),
            exposed: Vec::new(),
            suspected: Vec::new(),
            derived: Vec::new(),
            is_association_shadow: self.policy.is_association_shadow,
            suspected_verdict: self.policy.suspected,
            knowledge: Vec::new(),
            is_exposure_shadow: self.policy.is_exposure_shadow,
            is_stale_shadow: self.policy.is_stale_shadow,
        };
        let Some(address) = assessment.screening.address else { return assessment };
        assessment.suspected = self.suspicions.of(&address);
        if !assessment.suspected.is_empty() {
            assessment.verdict = assessment.verdict.max(self.policy.suspected);
        }
        for chain in self.followed.iter().filter(|chain| chain.flows.family() == address.family()) {
            // The same address has the same holder on all chains of its family, but only the network that funds leave over
            // must be known to the last block.
            if network.is_none() || chain.network.is_none() || chain.network == network {
                assessment.knowledge.push(chain.knowledge(now));
            }
            if let Some(seen) = chain.flows.seen(&address, self.policy.hops, self.policy.epsilon) {
                let name = chain.flows.chain();
                for exposure in &seen.exposures {
                    let exposed =
                        exposure.shares.iter().filter_map(|share| self.exposed(name, exposure, share));
                    assessment.exposed.extend(exposed);
                }
                let shared_deposits = chain.flows.shared_deposits(&address);
                assessment.seen.push(SeenOn { chain: Arc::clone(name), seen, shared_deposits });
                let derived = chain.flows.association(&address);
                let derived = derived.filter(|found| found.confidence >= self.policy.association);
                let derived = derived.map(|association| Derived { chain: Arc::clone(name), association });
                assessment.derived.extend(derived);
            }
        }
        assessment.exposed.sort_by(|a, b| {
            let weight = |exposed: &Exposed| exposed.share.direct + exposed.share.indirect;
            b.verdict.cmp(&a.verdict).then(weight(b).total_cmp(&weight(a)))
        });
        if !assessment.derived.is_empty() && !self.policy.is_association_shadow {
            assessment.verdict = assessment.verdict.max(Verdict::Challenge);
        }
        if let Some(first) = assessment.exposed.first().filter(|_| !self.policy.is_exposure_shadow) {
            assessment.verdict = assessment.verdict.max(first.verdict);
        }
        if assessment.knowledge.iter().any(|knowledge| knowledge.is_stale) && !self.policy.is_stale_shadow {
            assessment.verdict = assessment.verdict.max(Verdict::Hold);
        }
        assessment
    }

    /// The gravest exposure of an address on all chains of its family, by the policy.
    #[must_use]
    pub fn exposure_of(&self, address: &Address) -> Option<Exposed> {
        let chains = self.followed.iter().filter(|chain| chain.flows.family() == address.family());
        let mut gravest: Option<Exposed> = None;
        for chain in chains {
            let Some(seen) = chain.flows.seen(address, self.policy.hops, self.policy.epsilon) else {
                continue;
            };
            for exposure in &seen.exposures {
                for share in &exposure.shares {
                    let Some(found) = self.exposed(chain.flows.chain(), exposure, share) else { continue };
                    let weight = |one: &Exposed| one.share.direct + one.share.indirect;
                    let is_graver = gravest.as_ref().is_none_or(|other| {
                        let by_weight = weight(&found).total_cmp(&weight(other));
                        (found.verdict, by_weight) > (other.verdict, std::cmp::Ordering::Equal)
                    });
                    if is_graver {
                        gravest = Some(found);
                    }
                }
            }
        }
        gravest
    }

    /// Over how many transfers money is followed; none: not at all.
    #[must_use]
    pub const fn hops(&self) -> u8 {
        self.policy.hops
    }

    /// What a share asks for; `None` below the policy's.
    fn exposed(&self, chain: &Arc<str>, exposure: &AssetExposure, share: &ExposedShare) -> Option<Exposed> {
        let least = self.policy.shares.get(&share.category).copied().unwrap_or(self.policy.share);
        if !share.category.is_malicious() || share.direct + share.indirect < least {
            return None;
        }
        Some(Exposed {
            chain: Arc::clone(chain),
            asset: exposure.asset,
            direction: exposure.direction,
            of: exposure.amount,
            share: share.clone(),
            verdict: share.category.verdict().min(Verdict::Hold),
        })
    }

    /// What speaks against the destination of a withdrawal, and for it: what the lists say ([`Watch::examine`]), exposure, and
    /// knowledge that is too old.
    #[must_use]
    pub fn examine(&self, request: &WithdrawalRequest, now: UnixNanos) -> Vec<Finding> {
        match &request.destination {
            Destination::OnChain { network, address, .. } => self.examine_address(address, *network, now),
            _ => self.watch.examine(request),
        }
    }

    /// [`Assessor::examine`] of a text as an address of a network: the strictest of the findings is the verdict of
    /// [`Assessor::assess`]. Never empty.
    #[must_use]
    pub fn examine_address(&self, address: &str, network: Network, now: UnixNanos) -> Vec<Finding> {
        let mut findings = self.watch.examine_address(address, network);
        if self.followed.is_empty() && !self.is_suspected(address, network) {
            return findings;
        }
        let assessment = self.assess(address, Some(network), now);
        let shown = assessment.screening.canonical.clone().unwrap_or_default();
        findings.extend(assessment.suspected.iter().map(|held| self.suspicion_finding(&shown, held)));
        let derived = assessment.derived.iter();
        findings.extend(derived.map(|derived| self.derived_finding(&shown, derived)));
        findings.extend(assessment.exposed.iter().map(|exposed| self.exposure_finding(&shown, exposed)));
        findings.extend(
            assessment
                .knowledge
                .iter()
                .filter(|knowledge| knowledge.is_stale)
                .map(|one| self.stale_finding(one)),
        );
        if assessment.exposed.is_empty()
            && assessment.suspected.is_empty()
            && assessment.derived.is_empty()
            && !assessment.knowledge.is_empty()
            && self.policy.hops > 0
        {
            findings.push(counter_evidence(&shown, &assessment, self.policy.hops));
        }
        findings
    }

    fn is_suspected(&self, text: &str, network: Network) -> bool {
        let address = chain::address::decode(network.family(), text);
        address.is_ok_and(|address| !self.suspicions.of(&address).is_empty())
    }

    fn suspicion_finding(&self, shown: &str, held: &Held) -> Finding {
        let mut evidence = vec![
            Evidence::new("address", shown.to_owned()),
            Evidence::new("chain", held.chain.clone()),
            Evidence::new("model_sha256", hex(&held.model)),
            Evidence::new("probability", percent(f64::from(held.probability) / 1e6)),
            Evidence::new("transactions_seen", held.transactions.to_string()),
            Evidence::new("block", held.height.to_string()),
            Evidence::new("recorded_at", held.at.to_string()),
        ];
        if held.transaction != [0; 32] {
            evidence.push(Evidence::new("transaction", hex(&held.transaction)));
        }
        evidence.extend(held.reasons.iter().map(|reason| Evidence::new("reason", reason.clone())));
        let is_shadow = self.policy.suspected == Verdict::Allow;
        Finding {
            source: FindingSource::Watch,
            code: ReasonCode::new("watch.suspected_address"),
            verdict: if is_shadow { Verdict::Challenge } else { self.policy.suspected },
            shadow: is_shadow,
            message: format!(
                "the first transactions of the destination on {} are like those of addresses that turned out malicious; no \
                 list names it",
                held.chain
            ),
            evidence,
            would_pass_if: Some(
                "somebody who knows the address cleared it, or a newer model did not suspect it".to_owned(),
            ),
        }
    }

    fn derived_finding(&self, shown: &str, derived: &Derived) -> Finding {
        let found = &derived.association;
        let mut evidence = vec![
            Evidence::new("address", shown.to_owned()),
            Evidence::new("chain", derived.chain.to_string()),
            Evidence::new("category", found.category.as_str()),
            Evidence::new("confidence", percent(found.confidence)),
            Evidence::new("illicit_share", percent(found.score)),
            Evidence::new("known_around", format!("{} bad, {} harmless", found.illicit, found.licit)),
            Evidence::new("path", ties(found)),
        ];
        if let Some(last) = found.path.last() {
            evidence.extend(self.label_of(last.address));
        }
        Finding {
            source: FindingSource::Watch,
            code: ReasonCode::new("watch.derived_label"),
            verdict: Verdict::Challenge,
            shadow: self.policy.is_association_shadow,
            message: format!(
                "the destination is tied on {} to {} over {} of deployment, first funding or a shared sink",
                derived.chain,
                holders(found.category),
                if found.path.len() == 1 { "one step".to_owned() } else { format!("{} steps", found.path.len()) },
            ),
            evidence,
            would_pass_if: Some(
                "the list no longer named the holder at the end of the path, or more harmless holders stood around it"
                    .to_owned(),
            ),
        }
    }

    fn exposure_finding(&self, shown: &str, exposed: &Exposed) -> Finding {
        let share = &exposed.share;
        let is_direct = share.direct >= share.indirect;
        let (came, word) = match exposed.direction {
            Direction::Source => ("came from", "received"),
            Direction::Destination => ("went to", "paid"),
        };
        let percent = percent(share.direct + share.indirect);
        let transfers = if share.hops == 1 { "transfer" } else { "transfers" };
        let mut evidence = vec![
            Evidence::new("address", shown.to_owned()),
            Evidence::new("chain", exposed.chain.to_string()),
            Evidence::new("category", share.category.as_str()),
            Evidence::new("share_direct", self::percent(share.direct)),
            Evidence::new("share_indirect", self::percent(share.indirect)),
            Evidence::new("amount_smallest_unit", format!("{:.0} of {:.0}", share.amount, exposed.of)),
            Evidence::new("hops", share.hops.to_string()),
            Evidence::new("path", path(share)),
        ];
        if let Some(asset) = exposed.asset {
            evidence.push(Evidence::new("asset", chain::address::encode(&asset)));
        }
        if let Some(holder) = share.holder {
            evidence.push(Evidence::new("listed_address", chain::address::encode(&holder)));
            evidence.extend(self.label_of(share.by_cluster.unwrap_or(holder)));
        }
        if let Some(member) = share.by_cluster {
            let member = chain::address::encode(&member);
            evidence.push(Evidence::new("by_cluster_with", member));
        }
        Finding {
            source: FindingSource::Watch,
            code: if is_direct { DIRECT_EXPOSURE } else { INDIRECT_EXPOSURE },
            verdict: exposed.verdict,
            shadow: self.policy.is_exposure_shadow,
            message: format!(
                "{percent} of what the destination {word} on {} {came} {} over at least {} {transfers}",
                exposed.chain,
                holders(share.category),
                share.hops
            ),
            evidence,
            would_pass_if: Some(
                "less of it did, or a newer state of the list no longer named them".to_owned(),
            ),
        }
    }

    /// The gravest label of an address, in words.
    fn label_of(&self, address: Address) -> Option<Evidence> {
        let screening = self.watch.screen(&chain::address::encode(&address), None);
        let label = screening.labels.first()?;
        let mut text = format!("{:?} on list {}, category {}", label.text, label.list, label.category);
        for (name, value) in [("source", &label.source), ("licence", &label.licence)] {
            if !value.is_empty() {
                // Writing to a string does not fail.
                let _ = write!(text, ", {name} {value}");
            }
        }
        let _ = write!(text, ", imported {}", label.list_imported_at);
        Some(Evidence::new("label", text))
    }

    fn stale_finding(&self, knowledge: &Knowledge) -> Finding {
        let what = match (knowledge.tip, knowledge.age) {
            (Some((height, at)), Some(_)) => format!("its newest block here, {height}, is of {at}"),
            _ => "no block of it is known here yet".to_owned(),
        };
        Finding {
            source: FindingSource::Watch,
            code: ReasonCode::new("watch.stale_chain"),
            verdict: Verdict::Hold,
            shadow: self.policy.is_stale_shadow,
            message: format!("what is known of the chain {} is too old: {what}", knowledge.chain),
            evidence: vec![Evidence::new("chain", knowledge.chain.to_string())],
            would_pass_if: Some("the chain were followed up to its head".to_owned()),
        }
    }
}

impl Followed {
    fn knowledge(&self, now: UnixNanos) -> Knowledge {
        let tip = self.flows.tip();
        let age = tip.map(|(_, at)| now.since(at));
        Knowledge {
            chain: Arc::clone(self.flows.chain()),
            tip,
            age,
            is_stale: age.is_none_or(|age| age > self.stale_after),
            complete_since: self.flows.complete_since(),
        }
    }
}

/// Where nothing speaks against a destination that was looked at.
fn counter_evidence(shown: &str, assessment: &Assessment, hops: u8) -> Finding {
    let chains: Vec<&str> = assessment.knowledge.iter().map(|one| &*one.chain).collect();
    let mut evidence = vec![
        Evidence::new("address", shown.to_owned()),
        Evidence::new("chains", chains.join(", ")),
        Evidence::new("hops", hops.to_string()),
    ];
    for knowledge in &assessment.knowledge {
        if let (Some((height, _)), Some(since)) = (knowledge.tip, knowledge.complete_since) {
            let known = format!("{}: blocks {} to {height}", knowledge.chain, since.first);
            evidence.push(Evidence::new("known", known));
        }
    }
    let message = match assessment.seen.iter().map(|one| one.seen.first_seen).min() {
        Some(first) => {
            evidence.push(Evidence::new("first_seen_on_chain", first.to_string()));
            "no more of the destination's money came from or went to listed holders than is allowed"
        }
        None => "the destination was not seen on the chains that are followed",
    };
    Finding {
        source: FindingSource::Watch,
        code: ReasonCode::new("watch.no_exposure"),
        verdict: Verdict::Allow,
        shadow: false,
        message: message.to_owned(),
        evidence,
        would_pass_if: None,
    }
}

/// Tenths of a percent; a share below one of them is not nothing.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 0.1 => "below 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

fn holders(category: Category) -> String {
    format!("holders listed as {}", category.as_str().replace('_', " "))
}

/// Ties in one line.
fn ties(found: &Association) -> String {
    let steps = found.path.iter().map(|tie| {
        let how = match (tie.kind, tie.acted) {
            (EdgeKind::Deployment, true) => "created by",
            (EdgeKind::Deployment, false) => "creator of",
            (EdgeKind::Funding, true) => "first funded by",
            (EdgeKind::Funding, false) => "first funder of",
            _ => "pays the same sink as",
        };
        format!("{how} {}", chain::address::encode(&tie.address))
    });
    steps.collect::<Vec<_>>().join(", ")
}

/// A path in one line: each step's address, block and transaction.
fn path(share: &ExposedShare) -> String {
    let steps = share.path.iter().take(STEPS_TOLD_MAX).map(|step| {
        let to = step.address.map_or_else(|| "a transaction".to_owned(), |to| chain::address::encode(&to));
        let transaction =
            step.transaction.map_or_else(String::new, |hash| format!(", transaction {}", hex(&hash)));
        format!("{to} (block {}{transaction})", step.height)
    });
    steps.collect::<Vec<_>>().join(", then ")
}

impl Policy {
    /// With those warnings only reporting that are named.
    #[must_use]
    pub fn with_shadow(self, mut is_shadow: impl FnMut(Warning) -> bool) -> Self {
        Self {
            is_exposure_shadow: is_shadow(Warning::Exposure),
            is_stale_shadow: is_shadow(Warning::StaleChain),
            is_association_shadow: is_shadow(Warning::Association),
            ..self
        }
    }
}
