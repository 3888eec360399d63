//! Plugs: each pillar's ports, filled with another pillar's handle. No logic of their own beyond translation.

use std::{net::IpAddr, sync::Arc, time::Duration};

use api::{
    DecideError as ApiDecideError, Decided as ApiDecided, DecisionFilter, DecisionPage, ExplainError,
    Explained, FoundDecision, ListedDecision, PageError,
};
use auth::{Change, KeyChange, authority::DestinationId};
use decide::{DecideError, Decider, FindingSource, SourceUnavailable};
use domain::{AccountId, Actor, ApiKeyId, Clock, Destination, Finding, UnixNanos, WithdrawalRequest};
use gateway::{Answer, DecisionUnavailable, NotRecorded};
use journal::{Kind, record};
use tokio::sync::mpsc;
use watch::assess::Assessor;

use crate::{
    abuse::News, apps, cases::Desk, core::Core, ground::Ground, lists::ListGaps, metrics::Meters,
    refusals::RefusalCounts,
};

/// `decide` asks `fraud`.
#[derive(Debug)]
pub struct FraudSource(pub Arc<Ground>);

impl FindingSource for FraudSource {
    fn name(&self) -> &'static str {
        "fraud"
    }

    fn examine<'a>(
        &'a self,
        request: &'a WithdrawalRequest,
        now: UnixNanos,
    ) -> decide::BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        Box::pin(async move {
            // A gap between journal and state means that events or decisions may be missing from what the rules see.
            self.0.catch_up().map_err(|error| SourceUnavailable(error.to_string()))?;
            let mut findings = self.0.fraud().examine(request, now);
            findings.extend(self.0.lives().examine(request));
            Ok(findings)
        })
    }
}

/// `decide` asks `watch`.
#[derive(Debug)]
pub struct WatchSource {
    /// Who screens, and what the chains have seen.
    pub assessor: Assessor,
    /// Lists that should be in force and are not.
    pub gaps: Arc<ListGaps>,
    /// What customers pay.
    pub ground: Arc<Ground>,
}

impl FindingSource for WatchSource {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn examine<'a>(
        &'a self,
        request: &'a WithdrawalRequest,
        now: UnixNanos,
    ) -> decide::BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        Box::pin(async move {
            if let Some(problem) = self.gaps.problem() {
                return Err(SourceUnavailable(problem));
            }
            // A gap between journal and state means that payments may be missing from what is compared with.
            self.ground.catch_up().map_err(|error| SourceUnavailable(error.to_string()))?;
            // Following money over busy holders takes milliseconds of work.
            let mut findings = if self.assessor.followed().is_empty() {
                self.assessor.examine(request, now)
            } else {
                tokio::task::block_in_place(|| self.assessor.examine(request, now))
            };
            let sightings = self.assessor.sightings();
            findings.extend(self.ground.customers().examine(request, now, &sightings));
            Ok(findings)
        })
    }
}

/// The decision path with its counters.
#[derive(Debug, Clone)]
pub struct Decisions {
    decider: Arc<Decider>,
    judge: Arc<decide::Judge>,
    desk: Arc<Desk>,
    meters: Arc<Meters>,
    clock: Arc<dyn Clock>,
}

impl Decisions {
    /// Of an installation.
    #[must_use]
    pub fn of(core: &Core) -> Self {
        Self {
            decider: Arc::clone(&core.decider),
            judge: Arc::clone(&core.judge),
            desk: Arc::clone(&core.desk),
            meters: Arc::clone(&core.meters),
            clock: Arc::clone(&core.clock),
        }
    }

    async fn decide(
        &self,
        request: WithdrawalRequest,
        idempotency_key: Option<String>,
        deadline: Option<Duration>,
        is_shadow: bool,
    ) -> Result<decide::Decided, DecideError> {
        let asked_at = self.clock.now();
        let decided = if is_shadow {
            self.decider.decide_in_shadow(request, idempotency_key, deadline).await
        } else {
            self.decider.decide(request, idempotency_key, deadline).await
        };
        let took = self.clock.now().since(asked_at);
        self.meters.decided(decided.as_ref().ok().map(|decided| decided.decision.verdict), took);
        decided
    }
}

/// `gateway` asks `decide`.
#[derive(Debug)]
pub struct GatewayWithdrawals {
    /// Who decides.
    pub decisions: Decisions,
    /// Where the address books are.
    pub ground: Arc<Ground>,
}

impl gateway::Withdrawals for GatewayWithdrawals {
    fn decide(
        &self,
        request: WithdrawalRequest,
    ) -> gateway::BoxFuture<'_, Result<Answer, DecisionUnavailable>> {
        Box::pin(async move {
            let decided = self.decisions.decide(request, None, None, false).await.map_err(|error| {
                tracing::error!(%error, "no decision about a withdrawal");
                DecisionUnavailable { reason: error.to_string() }
            })?;
            let decision = &decided.decision;
            // Nothing speaks against the withdrawal but that nobody could look: the client may try again.
            if decision.leading().is_some_and(|finding| finding.code == decide::SOURCE_UNAVAILABLE) {
                tracing::error!(decision = %decided.id, "a check did not answer; withdrawal refused");
                return Err(DecisionUnavailable {
                    reason: format!("decision {}: a check did not answer", decided.id),
                });
            }
            let (code, message) = match decision.leading() {
                Some(finding) => (finding.code.clone(), finding.message.clone()),
                None => {
                    (domain::ReasonCode::new("decide.nothing_found"), "Nothing speaks against it.".to_owned())
                }
            };
            Ok(Answer { id: decided.id.to_string(), verdict: decision.verdict, code, message })
        })
    }

    fn entry(&self, account: &AccountId, destination: &Destination) -> Option<DestinationId> {
        // The books know no tags, and another tag is another recipient.
        let Destination::OnChain { network, address, tag: None } = destination else { return None };
        let entry = self.ground.address_book().entry(account, *network, address)?;
        DestinationId::parse(&entry.to_string()).ok()
    }
}

/// A change of a key, of whose account, and when.
pub type ChangeToRecord = (AccountId, Change, UnixNanos);

/// `gateway` has changes of keys recorded.
#[derive(Debug)]
pub struct GatewayChanges {
    /// Where.
    pub ground: Arc<Ground>,
    /// Those nobody waits for. Bounded: a lost one is found again by a later request.
    pub later: mpsc::Sender<ChangeToRecord>,
}

impl gateway::Changes for GatewayChanges {
    fn record(
        &self,
        account: &AccountId,
        change: Change,
        at: UnixNanos,
    ) -> gateway::BoxFuture<'_, Result<(), NotRecorded>> {
        let account = account.clone();
        Box::pin(async move { record_change(&self.ground, account, &change, at).await })
    }

    fn note(&self, account: &AccountId, change: Change, at: UnixNanos) {
        if self.later.try_send((account.clone(), change, at)).is_err() {
            tracing::warn!("where a key is used from was not recorded: too many at once");
        }
    }
}

async fn record_change(
    ground: &Ground,
    account: AccountId,
    change: &Change,
    at: UnixNanos,
) -> Result<(), NotRecorded> {
    let not_recorded = |reason: String| NotRecorded { reason };
    match change {
        Change::Key(change) => {
            let recorded = ground.record_key_change(account, change, None, at).await;
            recorded.map(drop).map_err(|error| not_recorded(error.to_string()))
        }
        Change::App(change) => apps::record(ground, change).await,
        _ => Err(not_recorded("a change of no known kind".to_owned())),
    }
}

/// Records what nobody waits for.
pub async fn record_changes(ground: Arc<Ground>, mut later: mpsc::Receiver<ChangeToRecord>) {
    while let Some((account, change, at)) = later.recv().await {
        // Of a key revoked meanwhile nothing more is recorded: its account may have been erased.
        if let Change::Key(change) = &change
            && ground.registry().summary(change.id()).is_none()
        {
            continue;
        }
        if let Err(error) = record_change(&ground, account, &change, at).await {
            tracing::warn!(%error, "where a key is used from was not recorded");
        }
    }
}

/// `gateway` tells what it saw.
#[derive(Debug)]
pub struct GatewayObserver {
    /// Refusals, counted per source and second.
    pub refusals: Arc<RefusalCounts>,
    /// First uses of a key in a day, to be journalled. Bounded: a lost one costs a day of the key's idle time.
    pub used: mpsc::Sender<(ApiKeyId, UnixNanos)>,
    /// Bans, to be journalled. Bounded: a lost one is in force all the same.
    pub bans: mpsc::Sender<News>,
}

impl GatewayObserver {
    fn tell(&self, news: News) {
        if self.bans.try_send(news).is_err() {
            tracing::warn!("a ban was not recorded: too many at once");
        }
    }
}

impl gateway::Observer for GatewayObserver {
    fn refused(&self, ip: IpAddr, account: Option<&AccountId>, label: &'static str, at: UnixNanos) {
        self.refusals.count(ip, account, label, at);
    }

    fn key_used(&self, key: &ApiKeyId, at: UnixNanos) {
        if self.used.try_send((key.clone(), at)).is_err() {
            tracing::warn!("a key's daily use was not recorded: too many at once");
        }
    }

    fn banned(&self, ban: &gateway::Ban) {
        self.tell(News::Banned(ban.clone()));
    }

    fn lifted(&self, target: &gateway::Target, by: Option<&Actor>, at: UnixNanos) {
        self.tell(News::Lifted(target.clone(), by.cloned(), at));
    }
}

/// Journals the first use of each key in a day.
pub async fn record_uses(ground: Arc<Ground>, mut used: mpsc::Receiver<(ApiKeyId, UnixNanos)>) {
    while let Some((id, at)) = used.recv().await {
        let Some(summary) = ground.registry().summary(&id) else { continue };
        if let Err(error) =
            ground.record_key_change(summary.account, &KeyChange::Used { id, at }, None, at).await
        {
            tracing::warn!(%error, "a key's daily use was not recorded");
        }
    }
}

/// `api` asks `decide`.
#[derive(Debug)]
pub struct ApiDecisions {
    /// Who decides.
    pub decisions: Decisions,
    /// Where decisions are read from.
    pub ground: Arc<Ground>,
    /// Who gives receipts.
    pub core: Arc<Core>,
}

impl api::Decisions for ApiDecisions {
    fn decide(
        &self,
        request: WithdrawalRequest,
        idempotency_key: Option<String>,
        deadline: Duration,
        is_shadow: bool,
    ) -> api::BoxFuture<'_, Result<ApiDecided, ApiDecideError>> {
        Box::pin(async move {
            let deciding = self.decisions.decide(request, idempotency_key, Some(deadline), is_shadow);
            let decided = deciding.await.map_err(|error| undecided(&error))?;
            Ok(ApiDecided { id: decided.id.to_string(), decision: decided.decision })
        })
    }

    fn judge(
        &self,
        request: decide::JudgeRequest,
    ) -> api::BoxFuture<'_, Result<api::JudgedAct, ApiDecideError>> {
        Box::pin(async move {
            let judged = self.decisions.judge.judge(request).await.map_err(|error| undecided(&error))?;
            let none = || ApiDecideError::Unavailable { why: "an id of its own is not known".to_owned() };
            self.judged(judged).ok_or_else(none)
        })
    }

    fn proof(&self, position: u64) -> api::BoxFuture<'_, api::Proof> {
        Box::pin(async move {
            let receipt = tokio::task::block_in_place(|| self.core.receipt_text(position)).ok();
            api::Proof { position, receipt }
        })
    }

    fn judgement<'a>(
        &'a self,
        id: &'a str,
    ) -> api::BoxFuture<'a, Result<Option<api::JudgedAct>, ExplainError>> {
        Box::pin(async move {
            let found = self.decisions.judge.explain(id).await;
            let found = found.map_err(|error| ExplainError { why: error.to_string() })?;
            Ok(found.and_then(|judged| self.judged(judged)))
        })
    }

    fn explain<'a>(&'a self, id: &'a str) -> api::BoxFuture<'a, Result<Option<Explained>, ExplainError>> {
        Box::pin(async move {
            let found = self
                .decisions
                .decider
                .explain(id)
                .await
                .map_err(|error| ExplainError { why: error.to_string() })?;
            Ok(found.map(|decided| {
                let position = self.decisions.decider.ids().position(decided.id.as_str()).ok();
                Explained {
                    review: position.and_then(|position| self.decisions.desk.review(position)),
                    position,
                    id: decided.id.to_string(),
                    decision: decided.decision,
                }
            }))
        })
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
        filter: &'a DecisionFilter,
    ) -> api::BoxFuture<'a, Result<DecisionPage, PageError>> {
        Box::pin(async move {
            let from = match after {
                None => 0,
                Some(cursor) => self.position(cursor).ok_or(PageError::CursorUnknown)?,
            };
            tokio::task::block_in_place(|| self.read_page(from, limit, filter))
        })
    }

    fn end(&self) -> String {
        self.cursor(self.ground.journal().size())
    }

    fn beyond<'a>(&'a self, cursor: &'a str) -> api::BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(position) = self.position(cursor) else { return };
            // A journal that has stopped will never hold more: its readers find out by asking.
            drop(self.ground.journal().wait_beyond(position).await);
        })
    }
}

/// Entries looked at for one page: some 10 ms of reading.
const PAGE_SCAN_MAX: u64 = 20_000;

/// A cursor is the id the decision at its position would have, under another name: it proves itself.
const CURSOR: (&str, &str) = ("cur-", "dec-");

fn undecided(error: &DecideError) -> ApiDecideError {
    match error {
        DecideError::Frozen { earlier, scope } => {
            ApiDecideError::Frozen { earlier: earlier.to_string(), scope: scope.clone() }
        }
        DecideError::IdempotencyConflict { earlier } => {
            ApiDecideError::IdempotencyConflict { earlier: earlier.to_string() }
        }
        error => {
            tracing::error!(%error, "no decision");
            ApiDecideError::Unavailable { why: error.to_string() }
        }
    }
}

impl ApiDecisions {
    fn judged(&self, judged: decide::Judged) -> Option<api::JudgedAct> {
        let decide::Judged { id, judgement } = judged;
        let position = self.decisions.decider.ids().position(id.as_str()).ok()?;
        Some(api::JudgedAct { id: id.to_string(), judgement, position })
    }

    fn cursor(&self, position: u64) -> String {
        self.decisions.decider.ids().id(position).as_str().replacen(CURSOR.1, CURSOR.0, 1)
    }

    fn position(&self, cursor: &str) -> Option<u64> {
        let id = format!("{}{}", CURSOR.1, cursor.strip_prefix(CURSOR.0)?);
        self.decisions.decider.ids().position(&id).ok()
    }

    fn read_page(&self, from: u64, limit: usize, filter: &DecisionFilter) -> Result<DecisionPage, PageError> {
        let unavailable = |error: &dyn std::fmt::Display| PageError::Unavailable { why: error.to_string() };
        let journal = self.ground.journal();
        let size = journal.size();
        if from > size {
            return Err(PageError::CursorStale);
        }
        let end = size.min(from.saturating_add(PAGE_SCAN_MAX));
        let mut reader = journal.reader(from);
        let (mut decisions, mut payload) = (Vec::new(), Vec::new());
        let mut at = from;
        while at < end && decisions.len() < limit {
            let Some(entry) = reader.next_ref() else { break };
            let entry = entry.map_err(|error| unavailable(&error))?;
            let position = at;
            at += 1;
            let is_wanted = match entry.kind {
                Kind::Decision => filter.withdrawals,
                Kind::Judgement => !filter.acts.is_empty(),
                _ => false,
            };
            if !is_wanted
                || !journal.open_payload_into(&entry, &mut payload).map_err(|error| unavailable(&error))?
            {
                continue;
            }
            let id = || self.decisions.decider.ids().id(position).to_string();
            let found = if entry.kind == Kind::Decision {
                let decision = record::decode_decision(&payload).map_err(|error| unavailable(&error))?;
                if !filter.takes_withdrawal(&decision) {
                    continue;
                }
                let review = self.decisions.desk.review(position);
                let (decision, position) = (Arc::new(decision), Some(position));
                FoundDecision::Withdrawal(Explained { id: id(), decision, position, review })
            } else {
                let judgement = record::decode_judgement(&payload).map_err(|error| unavailable(&error))?;
                if !filter.takes_act(&judgement) {
                    continue;
                }
                FoundDecision::Act(api::JudgedAct { id: id(), judgement: Arc::new(judgement), position })
            };
            decisions.push(ListedDecision { found, next: self.cursor(at) });
        }
        Ok(DecisionPage { decisions, next: self.cursor(at), more: at < size })
    }
}

/// `api` has changes of identities recorded.
#[derive(Debug)]
pub struct Identities(pub Arc<Ground>);

impl api::IdentityLog for Identities {
    fn record(
        &self,
        change: identity::Change,
        at: UnixNanos,
    ) -> api::BoxFuture<'_, Result<(), api::NotRecorded>> {
        Box::pin(async move {
            let recorded = self.0.record_identity(&change, at).await;
            recorded.map(drop).map_err(|error| api::NotRecorded { why: error.to_string() })
        })
    }
}
