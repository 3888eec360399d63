//! Cases of an installation: what of the journal becomes part of one, what people do with them, and what follows.
//!
//! The state is [`fraud::cases::Cases`], part of the fold. Here entries are translated for it, and changes are made one at
//! a time: looked at, made durable, answered. What a case turned out to be becomes labels, recorded together with it.

mod appeals;

use std::{sync::Arc, time::Duration};

use api::{CaseFile, CasesError, DecisionReview, Order};
use decide::{DecisionIds, Releases, SourceUnavailable};
use domain::{
    AccountId, Actor, AlertEntity, Clock, Decision, Event, EventContext, EventId, EventKind, FindingSource,
    FraudAlert, LabelTarget, Ppm, Subject, UnixNanos, Verdict,
};
use fraud::cases::{
    Action, Against, AlertLine, Ask, AtRisk, Case, CaseEntry, CaseError, Cases, Entity, Filter, Held,
    PAGE_MAX, Policy, Review, Source, Trigger,
};
use journal::{AppendError, Draft, Journal, Kind, Opened, record};
use watch::rescreen::goes_by_lists_alone;

use crate::ground::{Ground, RecordError};

/// Where a label that came of a case says it is from.
const LABEL_SOURCE: &str = "case";

/// Evidence by which a decision says how likely fraud is, in millionths.
const PROBABILITY: &str = "model_score";

/// A withdrawal that waits for the customer or for people; `None` for any other decision.
pub(crate) fn of_decision(position: u64, at: UnixNanos, decision: &Decision) -> Option<Trigger> {
    if !matches!(decision.verdict, Verdict::Challenge | Verdict::Hold) {
        return None;
    }
    let reasons: Vec<_> = decision
        .findings
        .iter()
        .filter(|finding| !finding.shadow && finding.verdict > Verdict::Allow)
        .map(|finding| finding.code.clone())
        .collect();
    let probability = decision
        .findings
        .iter()
        .filter(|finding| finding.source == FindingSource::Fraud && !finding.shadow)
        .flat_map(|finding| &finding.evidence)
        .filter(|evidence| evidence.name == PROBABILITY)
        .filter_map(|evidence| evidence.value.parse().ok().map(Ppm::new))
        .max();
    let request = &decision.request;
    Some(Trigger {
        source: Source::Decision,
        position,
        at,
        entity: Entity::Account(request.account.clone()),
        code: decision.leading().map_or_else(String::new, |finding| finding.code.to_string()),
        verdict: decision.verdict,
        at_risk: AtRisk::Asset { asset: request.asset.clone(), amount: request.amount },
        probability_ppm: probability.map(Ppm::get),
        alert: None,
        held: Some(Held { fingerprint: decide::fingerprint(request), reasons }),
        about: None,
    })
}

/// What the fraud engine saw. Findings in shadow ask for nothing, so an alert of such alone opens no case.
pub(crate) fn of_fraud_alert(position: u64, at: UnixNanos, alert: FraudAlert) -> Trigger {
    let asked = alert.findings.iter().filter(|finding| !finding.shadow).map(|finding| finding.verdict).max();
    let code = alert.findings.iter().find(|finding| !finding.shadow).or(alert.findings.first());
    Trigger {
        source: Source::FraudAlert,
        position,
        at,
        code: code.map_or_else(String::new, |finding| finding.code.to_string()),
        verdict: asked.unwrap_or(Verdict::Allow),
        at_risk: alert.value.map_or(AtRisk::Unknown, AtRisk::Value),
        probability_ppm: alert.score.map(Ppm::get),
        entity: match alert.entity {
            AlertEntity::Account(account) => Entity::Account(account),
            other @ AlertEntity::Network(_) => Entity::other(&other.to_string()),
        },
        alert: Some(alert.id),
        held: None,
        about: Some(alert.entry),
    }
}

/// What was seen on a chain; `None` where nothing is asked for.
pub(crate) fn of_chain_alert(position: u64, at: UnixNanos, alert: record::ChainAlert) -> Option<Trigger> {
    if alert.verdict == Verdict::Allow {
        return None;
    }
    Some(Trigger {
        source: Source::ChainAlert,
        position,
        at,
        entity: address_entity(&alert),
        code: match alert.category {
            Some(category) => format!("{}.{category}", alert.kind),
            None => alert.kind,
        },
        verdict: alert.verdict,
        // In the smallest unit of a token of which neither decimals nor price are known.
        at_risk: AtRisk::Unknown,
        probability_ppm: None,
        alert: Some(alert.id),
        held: None,
        about: None,
    })
}

/// Under which name a suspicion may be taken back.
fn suspicion_of(chain: &str, address: &str) -> String {
    format!("suspicion:{chain}:{address}")
}

/// What a model suspects joins the case of its chain, its model and its day: one address alone is a guess, and a day of them what
/// somebody looks through. What is taken back is taken back there. `chains`: those on which a person's word counts.
pub(crate) fn take_suspicion(
    cases: &mut Cases,
    (position, at): (u64, UnixNanos),
    suspicion: &record::Suspicion,
    chains: &[String],
) {
    match suspicion {
        record::Suspicion::Model(_) => {}
        record::Suspicion::Raised(raised) => {
            let day: String = at.to_string().chars().take(10).collect();
            let model: String = hex::encode(raised.model).chars().take(8).collect();
            cases.trigger(&Trigger {
                source: Source::Suspicion,
                position,
                at,
                entity: Entity::other(&format!("suspected:{}:{model}:{day}", raised.chain)),
                code: "watch.suspected_address".to_owned(),
                verdict: Verdict::Challenge,
                at_risk: AtRisk::Unknown,
                probability_ppm: Some(raised.probability),
                alert: Some(suspicion_of(&raised.chain, &raised.address)),
                held: None,
                about: None,
            });
        }
        record::Suspicion::Withdrawn(withdrawn) => {
            for chain in chains {
                cases.withdraw(&suspicion_of(chain, &withdrawn.address), at);
            }
        }
    }
}

/// Under which name what a list says of a transfer, an answer or an alert of the past may be taken back.
pub(crate) fn said_of(entry: u64, category: &str) -> String {
    format!("transfer:{entry}:{category}")
}

/// What a list now says of a transfer, an answer or an alert of the past: it joins the case of whom it is about, and what was said of
/// it before is taken back there.
pub(crate) fn take_screening_alert(
    cases: &mut Cases,
    journal: &Journal,
    (position, at): (u64, UnixNanos),
    alert: &record::TransferAlert,
    before: Option<&str>,
) {
    let about = match alert.way.as_str() {
        "answer" => About::Said(Entity::other(&format!("address:any:{}", alert.address))),
        "chain_alert" => match chain_alert(journal, alert.entry) {
            Some(seen) => About::Alert(Box::new(seen)),
            None => About::Nothing,
        },
        _ => match alert.category.as_ref().and_then(|_| transfer(journal, alert.entry)) {
            Some((account, at_risk)) => About::Transfer(account, at_risk),
            None => About::Nothing,
        },
    };
    // The newest answer may be another one by the time it is taken back, so answers go by their address.
    let name = |category: &str| match alert.way.as_str() {
        "answer" => format!("answer:{}:{category}", alert.address),
        _ => said_of(alert.entry, category),
    };
    let (entity, at_risk) = match &about {
        About::Alert(seen) => (Some(address_entity(seen)), AtRisk::Unknown),
        About::Nothing => (None, AtRisk::Unknown),
        About::Said(entity) => (Some(entity.clone()), AtRisk::Unknown),
        About::Transfer(account, at_risk) => (Some(Entity::Account(account.clone())), at_risk.clone()),
    };
    if let (Some(category), Some(entity), true) = (&alert.category, entity, alert.verdict > Verdict::Allow) {
        cases.trigger(&Trigger {
            source: Source::Screening,
            position,
            at,
            entity,
            code: format!("screening.{}.{category}", alert.way),
            verdict: alert.verdict,
            at_risk,
            probability_ppm: None,
            alert: Some(name(category)),
            held: None,
            about: Some(alert.entry),
        });
    }
    // After the new one: a case that is still about something is not closed in between.
    if let Some(before) = before.filter(|before| alert.category.as_deref() != Some(before)) {
        cases.withdraw(&name(before), at);
        if let About::Alert(seen) = &about
            && goes_by_lists_alone(&seen.kind)
        {
            cases.retract(&seen.id, at);
        }
    }
}

/// What is spoken of again.
enum About {
    Alert(Box<record::ChainAlert>),
    Nothing,
    Said(Entity),
    Transfer(AccountId, AtRisk),
}

/// The alert an entry tells of; `None` where that cannot be read.
fn chain_alert(journal: &Journal, entry: u64) -> Option<record::ChainAlert> {
    let entry = journal.entry(entry).ok()??;
    let Opened::Payload(payload) = journal.open_payload(&entry).ok()? else { return None };
    (entry.kind == Kind::ChainAlert).then(|| record::ChainAlert::decode(&payload).ok())?
}

/// Whom an alert of a chain is about.
fn address_entity(alert: &record::ChainAlert) -> Entity {
    Entity::other(&match alert.subject.as_ref().or(alert.counterparty.as_ref()) {
        Some(address) => format!("address:{}:{address}", alert.chain),
        None => format!("chain:{}", alert.chain),
    })
}

/// Whose transfer an entry tells of, and of how much; `None` where that can no longer be read.
fn transfer(journal: &Journal, entry: u64) -> Option<(AccountId, AtRisk)> {
    let entry = journal.entry(entry).ok()??;
    let Opened::Payload(payload) = journal.open_payload(&entry).ok()? else { return None };
    match entry.kind {
        Kind::Decision => {
            let request = record::decode_decision(&payload).ok()?.request;
            Some((request.account, AtRisk::Asset { asset: request.asset, amount: request.amount }))
        }
        Kind::Event => {
            let event = record::decode_event(&payload).ok()?;
            let at_risk = match (event.context.value, event.kind) {
                (Some(value), _) => AtRisk::Value(value),
                (
                    None,
                    EventKind::Deposit { asset, amount, .. }
                    | EventKind::WithdrawalAccepted { asset, amount, .. },
                ) => AtRisk::Asset { asset, amount },
                _ => AtRisk::Unknown,
            };
            Some((event.account, at_risk))
        }
        _ => None,
    }
}

/// `decide` asks for releases.
#[derive(Debug)]
pub struct GroundReleases(pub Arc<Ground>);

impl Releases for GroundReleases {
    fn release(
        &self,
        account: &AccountId,
        fingerprint: [u8; 16],
        now: UnixNanos,
    ) -> Result<Option<decide::Release>, SourceUnavailable> {
        self.0.catch_up().map_err(|error| SourceUnavailable(error.to_string()))?;
        let found = self.0.read(|fold| fold.cases().release(account, fingerprint, now));
        Ok(found.map(|release| decide::Release { held: release.held, reasons: release.reasons }))
    }
}

/// How long a caller is asked to wait when the journal's queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

fn failed(error: RecordError) -> CasesError {
    match error {
        RecordError::Append(AppendError::Overloaded) => CasesError::Busy { retry_after: RETRY_AFTER },
        error => CasesError::Unavailable { why: error.to_string() },
    }
}

/// Where people work on cases. Changes are made one at a time.
#[derive(Debug)]
pub struct Desk {
    ground: Arc<Ground>,
    ids: DecisionIds,
    clock: Arc<dyn Clock>,
    bans: appeals::ServedBans,
    turn: tokio::sync::Mutex<()>,
}

impl Desk {
    /// Over a ground and, once a gateway serves, its bans.
    #[must_use]
    pub fn new(
        ground: Arc<Ground>,
        ids: DecisionIds,
        clock: Arc<dyn Clock>,
        bans: Arc<std::sync::OnceLock<gateway::Bans>>,
    ) -> Self {
        Self { ground, ids, clock, bans, turn: tokio::sync::Mutex::new(()) }
    }

    fn file(&self, case: Case, now: UnixNanos) -> CaseFile {
        let named = |position: u64| (position, self.ids.id(position).to_string());
        let decisions = case
            .held
            .iter()
            .flat_map(|item| {
                let used_by = match &item.review {
                    Review::Used { by, .. } => Some(*by),
                    _ => None,
                };
                [Some(item.decision), used_by].into_iter().flatten()
            })
            .chain(case.lines.iter().filter(|line| line.source == Source::Decision).map(|line| line.position))
            .chain(case.appeals.iter().filter_map(|appeal| match appeal.against {
                Against::Decision(position) => Some(position),
                Against::Ban(_) => None,
            }))
            .map(named)
            .collect();
        CaseFile { case, decisions, now }
    }

    /// How far the release of a decision is; `None` if it was not held, or its case was forgotten.
    #[must_use]
    pub fn review(&self, decision: u64) -> Option<DecisionReview> {
        let (case, review) = self
            .ground
            .read(|fold| fold.cases().held(decision).map(|(case, item)| (case.id, item.review.clone())))?;
        let used_by = match &review {
            Review::Used { by, .. } => Some(self.ids.id(*by).to_string()),
            _ => None,
        };
        Some(DecisionReview { case, review, used_by, now: self.clock.now() })
    }

    /// What a case teaches about the decisions and events in it.
    fn labels(&self, case: &Case, is_fraud: Option<bool>, now: UnixNanos) -> Vec<Draft> {
        let (Some(is_fraud), Some(account)) = (is_fraud, case.entity.account()) else {
            return Vec::new();
        };
        let mut targets: Vec<(u64, LabelTarget)> =
            case.held.iter().map(|item| (item.decision, LabelTarget::Decision(item.decision))).collect();
        let about: std::collections::BTreeSet<u64> = case
            .lines
            .iter()
            .filter(|line| !line.is_retracted)
            .filter_map(|line| line.about)
            .filter(|position| case.item(*position).is_none())
            .collect();
        for position in about {
            targets.extend(self.target(position, account).map(|target| (position, target)));
        }
        let drafts = targets.into_iter().filter_map(|(position, target)| {
            let id = format!("case-{}-label-{position}", case.id);
            label(&self.ground, &id, account, (target, is_fraud, LABEL_SOURCE), now)
        });
        drafts.collect()
    }

    /// What a label about an entry is about; `None` for entries that no label can name.
    fn target(&self, position: u64, account: &AccountId) -> Option<LabelTarget> {
        let journal = self.ground.journal();
        let entry = journal.entry(position).ok()??;
        let Ok(Opened::Payload(payload)) = journal.open_payload(&entry) else { return None };
        match entry.kind {
            Kind::Decision | Kind::Judgement => Some(LabelTarget::Decision(position)),
            Kind::Event => {
                let event = record::decode_event(&payload).ok()?;
                (event.account == *account).then_some(LabelTarget::Event(event.id))
            }
            _ => None,
        }
    }
}

impl api::Cases for Desk {
    fn case(&self, id: u64) -> Result<CaseFile, CasesError> {
        let case = self.ground.read(|fold| fold.cases().case(id).cloned());
        Ok(self.file(case.ok_or(CaseError::NotFound { case: id })?, self.clock.now()))
    }

    fn cases(&self, filter: &Filter, order: Order, max: usize) -> Result<Vec<CaseFile>, CasesError> {
        let now = self.clock.now();
        let max = max.min(PAGE_MAX);
        let found = self.ground.read(|fold| {
            let cases = fold.cases();
            Ok::<Vec<Case>, CaseError>(match order {
                Order::Newest(before) => cases.newest(filter, before, now).take(max).cloned().collect(),
                Order::Urgent(after) => {
                    let after =
                        after.map(|id| cases.case(id).ok_or(CaseError::NotFound { case: id })).transpose()?;
                    cases.urgent(filter, after, now).take(max).cloned().collect()
                }
            })
        })?;
        Ok(found.into_iter().map(|case| self.file(case, now)).collect())
    }

    fn alerts(&self, before: Option<u64>, max: usize) -> Vec<AlertLine> {
        self.ground.read(|fold| fold.cases().alerts(before).take(max.min(PAGE_MAX)).cloned().collect())
    }

    fn alerts_from(&self, from: u64, max: usize) -> Result<(Vec<AlertLine>, u64), CasesError> {
        self.ground.catch_up().map_err(|error| failed(error.into()))?;
        let found = self.ground.read(|fold| {
            let newest = fold.cases().alerts(None).take_while(|alert| alert.line.position >= from);
            let mut alerts: Vec<&AlertLine> = newest.collect();
            alerts.reverse();
            // Whole entries only: the one in which there is no more room is left to the next call.
            let cut = alerts.get(max).map(|alert| alert.line.position);
            let told = alerts.iter().take_while(|alert| cut.is_none_or(|cut| alert.line.position < cut));
            let told: Vec<AlertLine> = told.map(|alert| (*alert).clone()).collect();
            match cut {
                Some(cut) if !told.is_empty() => (told, cut),
                // All of them are of one entry.
                Some(cut) => {
                    let one = alerts.iter().take_while(|alert| alert.line.position == cut);
                    (one.map(|alert| (*alert).clone()).collect(), cut + 1)
                }
                None => (told, fold.applied()),
            }
        });
        Ok(found)
    }

    fn beyond(&self, position: u64) -> api::BoxFuture<'_, ()> {
        Box::pin(async move {
            // A journal that has stopped will never hold more: its readers find out by asking.
            drop(self.ground.journal().wait_beyond(position).await);
        })
    }

    fn decision(&self, id: &str) -> Result<u64, CasesError> {
        self.ids.position(id).map_err(|_| CasesError::UnknownDecision)
    }

    fn label<'a>(
        &'a self,
        actor: &'a Actor,
        decision: &'a str,
        is_fraud: bool,
    ) -> api::BoxFuture<'a, Result<String, CasesError>> {
        Box::pin(self.label_decision(actor, decision, is_fraud))
    }

    fn act(
        &self,
        actor: Actor,
        case: u64,
        revision: Option<u64>,
        ask: Ask,
    ) -> api::BoxFuture<'_, Result<CaseFile, CasesError>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.ground.catch_up().map_err(|error| failed(error.into()))?;
            let now = self.clock.now();
            let (done, before) = self.ground.read(|fold| {
                let cases = fold.cases();
                let before = cases.case(case).ok_or(CaseError::NotFound { case })?;
                let revision = revision.unwrap_or(before.revision);
                Ok::<_, CaseError>((cases.prepare(case, revision, actor, ask, now)?, before.clone()))
            })?;
            let (mut drafts, follows) = match &done.action {
                Action::Resolve { disposition, .. } => (self.labels(&before, disposition.label(), now), None),
                _ => self.overturning(&before, &done, now)?,
            };
            let account = before.entity.account();
            let subject = account.map_or(Subject::System, |account| Subject::Account(account.clone()));
            // Last: were the process to end in between, the case would be open and could be closed again, and labels
            // that are known are not recorded twice.
            let payload = CaseEntry::Action(done.clone()).encode();
            drafts.push(Draft { at: now, subject: subject.clone(), kind: Kind::Case, payload });
            drafts.extend(follows.map(|entry| Draft {
                at: now,
                subject,
                kind: Kind::Case,
                payload: entry.encode(),
            }));
            let first = self.ground.record(drafts).await.map_err(failed)?;
            let file = self.case(case)?;
            // The journal's time may have run on while this waited; what the fold did not take in was not done.
            match file.case.done.last() {
                Some(last) if last.position >= first => {
                    self.lift_overturned(&before, &done)?;
                    Ok(file)
                }
                _ => Err(CasesError::Unavailable { why: "the change came too late".to_owned() }),
            }
        })
    }
}

/// The draft of a label under an event's id; `None` if it was recorded before.
fn label(
    ground: &Ground,
    id: &str,
    account: &AccountId,
    (target, is_fraud, source): (LabelTarget, bool, &str),
    now: UnixNanos,
) -> Option<Draft> {
    let id = EventId::parse(id).ok()?;
    if ground.read(|fold| fold.knows_event(&id)) {
        return None;
    }
    let event = Event {
        id,
        account: account.clone(),
        occurred_at: now,
        device: None,
        ip: None,
        context: EventContext::default(),
        kind: EventKind::Label { target, is_fraud, source: source.to_owned() },
    };
    Some(Draft {
        at: now,
        subject: Subject::Account(account.clone()),
        kind: Kind::Event,
        payload: record::encode_event(&event),
    })
}

/// Records the policy of the configuration where another one is in force.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn record_policy(
    ground: &Ground,
    policy: &Policy,
    at: UnixNanos,
) -> Result<(), RecordError> {
    if ground.read(|fold| fold.cases().policy() == policy) {
        return Ok(());
    }
    let payload = CaseEntry::Policy(policy.clone()).encode();
    ground.record(vec![Draft { at, subject: Subject::System, kind: Kind::Case, payload }]).await.map(drop)
}
