//! Decisions about acts other than withdrawals: addresses, logins, orders, API calls, acts of the exchange's own people.
//!
//! The same way as withdrawals go: every source is asked within one deadline, the strictest finding that is not in shadow
//! wins, the answer is durable before it is given. Different is what a silent source means. A withdrawal nobody looked at
//! is denied; for other acts [`Silence`] says per kind, since a customer who cannot sign in, or cannot get out of a
//! position, is harmed as well.
//!
//! Acts of one account are not put in a row: they move no funds, and nothing counts them before they happen. A key makes
//! two requests one: those of one key wait for each other.
//!
//! # Bounds
//! [`MAX_KEYS`](crate::MAX_KEYS) idempotency keys; [`LANES`] locks.

use std::{hash::BuildHasher as _, sync::Arc, time::Duration};

use domain::{Act, ActKind, Clock, Finding, Judgement, UnixNanos, Verdict};
use parking_lot::Mutex;

use crate::{
    BoxFuture, DecideError, DecisionId, DecisionIds, LogUnavailable, SourceUnavailable,
    combine::{combine, unavailable},
    decider::check_key,
    idempotency::{KeyedDecision, Keys, Remembered, caller_key_digest, short},
    shadow::in_shadow,
};

/// Locks of callers' keys.
const LANES: usize = 1024;

/// What a source that does not answer means, by kind of act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Of acts of the exchange's people. Default: denied.
    pub admin_act: Verdict,
    /// Of requests to the trading API. Default: allowed.
    pub api_call: Verdict,
    /// Of logins. Default: challenged.
    pub login: Verdict,
    /// Of orders. Default: allowed.
    pub order: Verdict,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            admin_act: Verdict::Deny,
            api_call: Verdict::Allow,
            login: Verdict::Challenge,
            order: Verdict::Allow,
        }
    }
}

impl Silence {
    /// What it means for acts of a kind.
    #[must_use]
    pub const fn of(self, kind: ActKind) -> Verdict {
        match kind {
            // Money, as with a withdrawal: not a matter of configuration.
            ActKind::AddressScreen => Verdict::Deny,
            ActKind::AdminAct => self.admin_act,
            ActKind::ApiCall => self.api_call,
            ActKind::Login => self.login,
            ActKind::Order => self.order,
        }
    }
}

/// Somebody with something to say about acts. The contract is that of [`crate::FindingSource`].
pub trait ActSource: Send + Sync {
    /// Lower-case name for messages.
    fn name(&self) -> &'static str;

    /// What is known; an empty list means nothing to say.
    fn examine<'a>(
        &'a self,
        act: &'a Act,
        now: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>>;
}

/// Where judgements become durable. The contract is that of [`crate::DecisionLog`].
pub trait JudgementLog: Send + Sync {
    /// Appends. When it returns `Ok(position)` the judgement survives a crash.
    fn append(&self, judgement: Arc<Judgement>) -> BoxFuture<'_, Result<u64, LogUnavailable>>;

    /// Reads back the judgement at a position, or `None` when there is none or its subject was erased.
    fn read(&self, position: u64) -> BoxFuture<'_, Result<Option<Arc<Judgement>>, LogUnavailable>>;
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeRequest {
    /// What is about to happen.
    pub act: Act,
    /// Who asks.
    pub caller: String,
    /// The caller's key, 1 to 128 bytes.
    pub idempotency_key: Option<String>,
    /// SHA-256 of the request as it was sent.
    pub request_sha256: [u8; 32],
    /// Time for the sources; the configured time is the most.
    pub deadline: Duration,
    /// Nothing of it has an effect.
    pub is_shadow: bool,
}

/// A judgement and where to find it again.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Shown to the caller; [`Judge::explain`] takes it.
    pub id: DecisionId,
    /// What was decided.
    pub judgement: Arc<Judgement>,
}

/// Decides about acts. Share it in an [`Arc`].
pub struct Judge {
    deadline: Duration,
    silence: Silence,
    sources: Vec<Arc<dyn ActSource>>,
    log: Arc<dyn JudgementLog>,
    ids: DecisionIds,
    clock: Arc<dyn Clock>,
    keys: Mutex<Keys>,
    lanes: Vec<tokio::sync::Mutex<()>>,
    lane_hash: foldhash::fast::RandomState,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("silence", &self.silence).finish_non_exhaustive()
    }
}

impl Judge {
    /// Over sources and a log. `deadline`: the most all sources together get.
    #[must_use]
    pub fn new(
        (deadline, silence): (Duration, Silence),
        sources: Vec<Arc<dyn ActSource>>,
        log: Arc<dyn JudgementLog>,
        ids: DecisionIds,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            deadline,
            silence,
            sources,
            log,
            ids,
            clock,
            keys: Mutex::new(Keys::default()),
            lanes: (0..LANES).map(|_| tokio::sync::Mutex::new(())).collect(),
            lane_hash: foldhash::fast::RandomState::default(),
        }
    }

    /// Decides. On return the judgement is durable.
    ///
    /// With a key, a second call of the same caller with the same request returns the first judgement.
    ///
    /// # Errors
    /// [`DecideError`]; there is no decision then.
    pub async fn judge(&self, request: JudgeRequest) -> Result<Judged, DecideError> {
        let JudgeRequest { act, caller, idempotency_key, request_sha256, deadline, is_shadow } = request;
        let asked = short(&request_sha256);
        let Some(key) = &idempotency_key else {
            return self.decide((act, caller, None, request_sha256), deadline, is_shadow).await;
        };
        check_key(key)?;
        let digest = caller_key_digest(&caller, key);
        let lane = usize::try_from(self.lane_hash.hash_one(digest) % LANES as u64).unwrap_or(0);
        let lane = self.lanes.get(lane).unwrap_or_else(|| unreachable!("the remainder is below LANES"));
        let _in_order = lane.lock().await;
        let earlier = self.keys.lock().find(&digest);
        if let Some(earlier) = earlier {
            return self.again(earlier, asked).await;
        }
        let parts = (act, caller, idempotency_key.clone(), request_sha256);
        let judged = self.decide(parts, deadline, is_shadow).await?;
        if let Ok(position) = self.ids.position(judged.id.as_str()) {
            self.keys.lock().remember(digest, Remembered { position, request: asked });
        }
        Ok(judged)
    }

    async fn decide(
        &self,
        (act, caller, idempotency_key, request_sha256): (Act, String, Option<String>, [u8; 32]),
        deadline: Duration,
        is_shadow: bool,
    ) -> Result<Judged, DecideError> {
        let found = combine(self.gather(&act, deadline.min(self.deadline)).await);
        let (verdict, findings) = if is_shadow { in_shadow(found) } else { found };
        let decided_at = self.clock.now();
        let judgement =
            Judgement { act, verdict, findings, decided_at, caller, idempotency_key, request_sha256 };
        let judgement = Arc::new(judgement);
        let appended = self.log.append(Arc::clone(&judgement)).await;
        let position = appended.map_err(|error| DecideError::Unavailable { why: error.0 })?;
        Ok(Judged { id: self.ids.id(position), judgement })
    }

    /// Asks all sources at once, as [`crate::Decider`] does.
    async fn gather(&self, act: &Act, deadline: Duration) -> Vec<Finding> {
        let now = self.clock.now();
        let until = tokio::time::Instant::now() + deadline;
        let mut waiting: Vec<_> =
            self.sources.iter().map(|source| (source, source.examine(act, now))).collect();
        let silent = |source: &dyn ActSource, why: &str| {
            let verdict = self.silence.of(act.kind());
            let message = format!(
                "The {} check could not be made ({why}); for {} that means {verdict}.",
                source.name(),
                act.kind().as_str()
            );
            Finding { verdict, message, ..unavailable(source.name(), why) }
        };
        let mut findings = Vec::new();
        for (source, answer) in &mut waiting {
            match tokio::time::timeout_at(until, answer).await {
                Ok(Ok(found)) => findings.extend(found),
                Ok(Err(error)) => findings.push(silent(&***source, &error.0)),
                Err(_elapsed) => findings.push(silent(&***source, "it did not answer in time")),
            }
        }
        findings
    }

    async fn again(&self, earlier: Remembered, asked: [u8; 16]) -> Result<Judged, DecideError> {
        if earlier.request != asked {
            return Err(DecideError::IdempotencyConflict { earlier: self.ids.id(earlier.position) });
        }
        let id = self.ids.id(earlier.position);
        match self.log.read(earlier.position).await {
            Ok(Some(judgement)) => Ok(Judged { id, judgement }),
            Ok(None) => {
                Err(DecideError::Unavailable { why: "the earlier judgement is no longer readable".into() })
            }
            Err(error) => Err(DecideError::Unavailable { why: error.0 }),
        }
    }

    /// Reads a judgement back by id: `None` for any text that names none.
    ///
    /// # Errors
    /// [`DecideError::Unavailable`] when the log cannot be read.
    pub async fn explain(&self, id: &str) -> Result<Option<Judged>, DecideError> {
        let Ok(position) = self.ids.position(id) else { return Ok(None) };
        let read = self.log.read(position).await;
        let judgement = read.map_err(|error| DecideError::Unavailable { why: error.0 })?;
        Ok(judgement.map(|judgement| Judged { id: self.ids.id(position), judgement }))
    }

    /// Takes in a judgement found while replaying the log, so that its key keeps working.
    pub fn replay(&self, keyed: KeyedDecision) {
        self.keys.lock().remember(keyed.key, keyed.remembered);
    }
}

#[cfg(test)]
mod tests;
