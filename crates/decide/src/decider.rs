//! Gathering, deciding, recording, answering.

use std::{hash::BuildHasher as _, sync::Arc, time::Duration};

use domain::{AccountId, Clock, Decision, Finding, Verdict, WithdrawalRequest};
use parking_lot::Mutex;

use crate::{
    DecisionId, DecisionIds, DecisionLog, FindingSource, Freezes, Releases,
    combine::{combine, unavailable},
    idempotency::{KeyedDecision, Keys, Remembered, fingerprint, key_digest},
    release::released,
    shadow::{asked_as, in_shadow},
};

/// Account locks. Two accounts that share one wait for each other, which costs little: a decision holds its
/// lock for one group commit.
const LANES: usize = 1024;

/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 128;

/// A key of a length that is kept.
pub(crate) fn check_key(key: &str) -> Result<(), DecideError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(DecideError::IdempotencyKeyLength { got: key.len() });
    }
    Ok(())
}

/// How decisions are made.
///
/// # Defaults
/// - `deadline`: 500 ms for all sources together. In-process sources answer in microseconds; the deadline is
///   for a source that hangs, and a withdrawal that waits longer is better sent again.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time all sources together may take.
    pub deadline: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(500) }
    }
}

/// Why there is no decision. In every case the action must not go ahead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// The withdrawal was let through before and is asked for again, and its scope has been frozen since. The same
    /// request gets its first answer again once the freeze is lifted.
    #[error("withdrawals of {scope} are frozen")]
    Frozen {
        /// The earlier decision.
        earlier: DecisionId,
        /// What is frozen.
        scope: String,
    },
    /// The caller used one idempotency key for two different requests.
    #[error("idempotency key was already used for a different request")]
    IdempotencyConflict {
        /// What was decided then.
        earlier: DecisionId,
    },
    /// The caller's key is empty or longer than 128 bytes.
    #[error("idempotency key must be 1 to 128 bytes, got {got}")]
    IdempotencyKeyLength {
        /// Length found.
        got: usize,
    },
    /// The decision could not be recorded.
    #[error("decision could not be recorded: {why}")]
    Unavailable {
        /// The log's own words.
        why: String,
    },
}

/// A decision and where to find it again.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Shown to the client; [`Decider::explain`] takes it.
    pub id: DecisionId,
    /// What was decided.
    pub decision: Arc<Decision>,
}

/// Makes decisions. Share it in an [`Arc`].
pub struct Decider {
    config: Config,
    sources: Vec<Arc<dyn FindingSource>>,
    releases: Option<Arc<dyn Releases>>,
    freezes: Arc<Freezes>,
    /// Decisions share it, from looking at the freezes to the record; a standstill has it alone.
    turns: tokio::sync::RwLock<()>,
    log: Arc<dyn DecisionLog>,
    ids: DecisionIds,
    clock: Arc<dyn Clock>,
    keys: Mutex<Keys>,
    lanes: Vec<tokio::sync::Mutex<()>>,
    lane_hash: foldhash::fast::RandomState,
}

impl std::fmt::Debug for Decider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decider").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Config {
    /// Wires a decider.
    #[must_use]
    pub fn build(
        self,
        sources: Vec<Arc<dyn FindingSource>>,
        log: Arc<dyn DecisionLog>,
        ids: DecisionIds,
        clock: Arc<dyn Clock>,
    ) -> Decider {
        Decider {
            config: self,
            sources,
            releases: None,
            freezes: Arc::default(),
            turns: tokio::sync::RwLock::new(()),
            log,
            ids,
            clock,
            keys: Mutex::new(Keys::default()),
            lanes: (0..LANES).map(|_| tokio::sync::Mutex::new(())).collect(),
            lane_hash: foldhash::fast::RandomState::default(),
        }
    }
}

impl Decider {
    /// Asks for releases before it holds or challenges a withdrawal.
    #[must_use]
    pub fn with_releases(self, releases: Arc<dyn Releases>) -> Self {
        Self { releases: Some(releases), ..self }
    }

    /// Lets nothing out of a scope that is frozen there.
    #[must_use]
    pub fn with_freezes(self, freezes: Arc<Freezes>) -> Self {
        Self { freezes, ..self }
    }

    /// Waits until every decision under way is recorded, at most the deadline and one write, and lets none begin until
    /// what it returns is dropped. What is recorded and takes effect meanwhile holds for every later decision.
    pub async fn standstill(&self) -> Standstill<'_> {
        Standstill { _turns: self.turns.write().await }
    }

    /// Decides. On return the decision is durable; the caller may act on it.
    ///
    /// With an idempotency key, a second call for the same account and request returns the first decision
    /// and changes nothing. `deadline` overrides the configured one downwards.
    ///
    /// # Errors
    /// [`DecideError`]; the action must then not go ahead. Dropping the future before it returns may leave a
    /// decision in the log that nobody acted on.
    pub async fn decide(
        &self,
        request: WithdrawalRequest,
        idempotency_key: Option<String>,
        deadline: Option<Duration>,
    ) -> Result<Decided, DecideError> {
        self.decide_as(request, idempotency_key, deadline, false).await
    }

    /// [`Decider::decide`] in shadow: nothing that is found has an effect, no release is used, and the decision says what it
    /// would have been ([`crate::would_be`]). It counts as a withdrawal that went ahead, as it will.
    ///
    /// # Errors
    /// As [`Decider::decide`].
    pub async fn decide_in_shadow(
        &self,
        request: WithdrawalRequest,
        idempotency_key: Option<String>,
        deadline: Option<Duration>,
    ) -> Result<Decided, DecideError> {
        self.decide_as(request, idempotency_key, deadline, true).await
    }

    async fn decide_as(
        &self,
        request: WithdrawalRequest,
        idempotency_key: Option<String>,
        deadline: Option<Duration>,
        is_shadow: bool,
    ) -> Result<Decided, DecideError> {
        let lane = self.lane(&request.account);
        let _in_order = lane.lock().await;
        let asked = asked_as(fingerprint(&request), is_shadow);
        let _turn = self.turns.read().await;
        let remembered_as = match &idempotency_key {
            Some(key) => {
                check_key(key)?;
                let digest = key_digest(&request.account, key);
                let earlier = self.keys.lock().find(&digest);
                if let Some(earlier) = earlier {
                    return self.again(earlier, asked, &request).await;
                }
                Some(digest)
            }
            None => None,
        };

        let deadline = deadline.map_or(self.config.deadline, |asked| asked.min(self.config.deadline));
        let findings = self.gather(&request, deadline).await;
        let freezes = self.freezes.covering(&request).map(|freeze| freeze.finding());
        let (verdict, findings) = if is_shadow {
            // A freeze is no finding to be tried out: it holds whoever asks, however.
            let (_, mut findings) = in_shadow(combine(findings));
            findings.extend(freezes);
            combine(findings)
        } else {
            let findings = findings.into_iter().chain(freezes).collect();
            self.with_release(&request, asked, combine(findings))
        };
        let decision =
            Arc::new(Decision { request, verdict, findings, decided_at: self.clock.now(), idempotency_key });
        let position = self
            .log
            .append(Arc::clone(&decision))
            .await
            .map_err(|error| DecideError::Unavailable { why: error.0 })?;
        if let Some(digest) = remembered_as {
            self.keys.lock().remember(digest, Remembered { position, request: asked });
        }
        Ok(Decided { id: self.ids.id(position), decision })
    }

    /// Reads a decision back by id: `None` for an id of another installation, for a position that holds no
    /// decision, and for a subject that was erased, all alike.
    ///
    /// # Errors
    /// [`DecideError::Unavailable`] when the log cannot be read.
    pub async fn explain(&self, id: &str) -> Result<Option<Decided>, DecideError> {
        let Ok(position) = self.ids.position(id) else {
            return Ok(None);
        };
        let decision =
            self.log.read(position).await.map_err(|error| DecideError::Unavailable { why: error.0 })?;
        Ok(decision.map(|decision| Decided { id: self.ids.id(position), decision }))
    }

    /// Takes in a decision found while replaying the log, so that its idempotency key keeps working.
    pub fn replay(&self, keyed: KeyedDecision) {
        self.keys.lock().remember(keyed.key, keyed.remembered);
    }

    /// The ids of this installation.
    #[must_use]
    pub const fn ids(&self) -> &DecisionIds {
        &self.ids
    }

    /// What was found, after what people said about the same withdrawal. The lane of the account is held, so that no
    /// other decision uses the same release.
    fn with_release(
        &self,
        request: &WithdrawalRequest,
        asked: [u8; 16],
        (verdict, findings): (Verdict, Vec<Finding>),
    ) -> (Verdict, Vec<Finding>) {
        let releases = match &self.releases {
            Some(releases) if matches!(verdict, Verdict::Challenge | Verdict::Hold) => releases,
            _ => return (verdict, findings),
        };
        // Without an answer there is no release, and what was found stands.
        match releases.release(&request.account, asked, self.clock.now()) {
            Ok(Some(release)) => combine(released(findings, &release, &self.ids)),
            Ok(None) | Err(_) => (verdict, findings),
        }
    }

    fn lane(&self, account: &AccountId) -> &tokio::sync::Mutex<()> {
        let lane = usize::try_from(self.lane_hash.hash_one(account) % LANES as u64).unwrap_or(0);
        self.lanes.get(lane).unwrap_or_else(|| unreachable!("the remainder is below LANES"))
    }

    async fn again(
        &self,
        earlier: Remembered,
        asked: [u8; 16],
        request: &WithdrawalRequest,
    ) -> Result<Decided, DecideError> {
        if earlier.request != asked {
            return Err(DecideError::IdempotencyConflict { earlier: self.ids.id(earlier.position) });
        }
        let read = self.log.read(earlier.position).await;
        match read {
            Ok(Some(decision)) if decision.verdict == Verdict::Allow => {
                match self.freezes.covering(request) {
                    Some(freeze) => Err(DecideError::Frozen {
                        earlier: self.ids.id(earlier.position),
                        scope: freeze.scope.to_string(),
                    }),
                    None => Ok(Decided { id: self.ids.id(earlier.position), decision }),
                }
            }
            Ok(Some(decision)) => Ok(Decided { id: self.ids.id(earlier.position), decision }),
            Ok(None) => {
                Err(DecideError::Unavailable { why: "the earlier decision is no longer readable".into() })
            }
            Err(error) => Err(DecideError::Unavailable { why: error.0 }),
        }
    }

    /// Asks all sources at once; whoever is not done by the deadline is replaced by a denying finding.
    async fn gather(&self, request: &WithdrawalRequest, deadline: Duration) -> Vec<Finding> {
        let now = self.clock.now();
        let until = tokio::time::Instant::now() + deadline;
        let mut waiting: Vec<_> =
            self.sources.iter().map(|source| (source, source.examine(request, now))).collect();
        let mut findings = Vec::new();
        // Each future is polled from its own turn on. In-process sources are ready at their first poll, so
        // taking them in turn costs nothing, and the deadline is shared: it is a point in time, not a span.
        for (source, answer) in &mut waiting {
            match tokio::time::timeout_at(until, answer).await {
                Ok(Ok(found)) => findings.extend(found),
                Ok(Err(error)) => findings.push(unavailable(source.name(), &error.0)),
                Err(_elapsed) => findings.push(unavailable(source.name(), "it did not answer in time")),
            }
        }
        findings
    }
}

/// No decision is under way, and none begins.
#[derive(Debug)]
pub struct Standstill<'d> {
    _turns: tokio::sync::RwLockWriteGuard<'d, ()>,
}

#[cfg(test)]
mod tests;
