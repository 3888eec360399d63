//! Emergencies: what one person stops at once and two let go on, as the journal says.
//!
//! [`Emergencies`] is the state: freezes, proposals to lift them, the alarm; a fold over entries of
//! [`Kind::Emergency`]. [`Brake`] is how people change it: it judges, records and answers when that is durable and in
//! force. A freeze is recorded while no decision is under way ([`decide::Decider::standstill`]).
//!
//! What one person does here takes effect without anybody else, so it only ever stops things; whatever lets something go
//! on that concerns money needs a second person, who is another one by name, whatever the way they came.
//!
//! [`Kind::Emergency`]: journal::Kind::Emergency

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{Alarm, EmergencyError, EmergencyState, FrozenScope, UnfreezeProposal};
use decide::{Decider, FREEZES_MAX, Freeze, FreezeScope, Freezes};
use domain::{Actor, ActorKind, Clock, Subject, UnixNanos};
use journal::{AppendError, Draft, Kind, record::Emergency};
use parking_lot::Mutex;

use crate::ground::{Ground, RecordError};

/// How long a second person may take to agree that something leaves again.
pub const PROPOSAL_LIFE: Duration = Duration::from_secs(3_600);
/// How long a caller is asked to wait when the journal's queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is stopped.
#[derive(Debug, Default)]
pub struct Emergencies {
    freezes: Arc<Freezes>,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default, Clone)]
struct Rest {
    /// At most one of each freeze.
    proposals: BTreeMap<FreezeScope, UnfreezeProposal>,
    alarm: Option<Alarm>,
}

impl Emergencies {
    /// What is frozen, for the decision path.
    #[must_use]
    pub const fn freezes(&self) -> &Arc<Freezes> {
        &self.freezes
    }

    /// Takes in an entry. One that breaks a rule changes nothing.
    ///
    /// # Errors
    /// In words, when a scope cannot be read: what is frozen would not be known.
    pub fn apply(&self, position: u64, entry: Emergency, at: UnixNanos) -> Result<(), String> {
        let scope = |text: &str| text.parse::<FreezeScope>().map_err(|error| error.to_string());
        let mut rest = self.rest.lock();
        match entry {
            Emergency::AlarmEnded { .. } => rest.alarm = None,
            Emergency::AlarmRaised { until, by, reason } => {
                rest.alarm = Some(Alarm { by, reason, at, until });
            }
            Emergency::Frozen { scope: text, by, reason } => {
                self.freezes.freeze(Freeze { scope: scope(&text)?, by, reason, at });
            }
            Emergency::UnfreezeDeclined { scope: text, proposal, .. } => {
                let scope = scope(&text)?;
                if rest.proposals.get(&scope).is_some_and(|open| open.position == proposal) {
                    rest.proposals.remove(&scope);
                }
            }
            Emergency::UnfreezeProposed { scope: text, until, by, reason } => {
                let scope = scope(&text)?;
                if self.freezes.of(&scope).is_some() && is_someone(&by) {
                    rest.proposals.insert(scope, UnfreezeProposal { position, by, reason, at, until });
                }
            }
            Emergency::Unfrozen { scope: text, proposal, proposed_by, approved_by } => {
                let scope = scope(&text)?;
                let is_theirs = |open: &UnfreezeProposal| {
                    open.position == proposal && open.by == proposed_by && at <= open.until
                };
                if rest.proposals.get(&scope).is_some_and(is_theirs)
                    && is_someone(&approved_by)
                    && is_somebody_else(&proposed_by, &approved_by)
                {
                    rest.proposals.remove(&scope);
                    self.freezes.lift(&scope);
                }
            }
        }
        Ok(())
    }

    /// What is stopped at a moment.
    #[must_use]
    pub fn state(&self, now: UnixNanos) -> EmergencyState {
        let rest = self.rest.lock();
        let open = |freeze: &Freeze| {
            rest.proposals.get(&freeze.scope).filter(|proposal| now <= proposal.until).cloned()
        };
        let freezes = self.freezes.list();
        let freezes =
            freezes.into_iter().map(|freeze| FrozenScope { proposal: open(&freeze), freeze }).collect();
        EmergencyState { freezes, alarm: rest.alarm.clone().filter(|alarm| now < alarm.until) }
    }

    /// Whether the alarm is raised.
    #[must_use]
    pub fn is_alarm(&self, now: UnixNanos) -> bool {
        self.rest.lock().alarm.as_ref().is_some_and(|alarm| now < alarm.until)
    }

    /// Takes over what others hold.
    pub(crate) fn replace_by(&self, others: &Self) {
        self.freezes.replace_by(&others.freezes);
        let rest = others.rest.lock().clone();
        *self.rest.lock() = rest;
    }

    /// SHA-256 over all of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let rest = self.rest.lock();
        let mut text = format!("{}\n", hex::encode(self.freezes.digest()));
        for (scope, proposal) in &rest.proposals {
            text.push_str(&format!("{scope} {proposal:?}\n"));
        }
        text.push_str(&format!("{:?}\n", rest.alarm));
        crypto::sha256(&[text.as_bytes()])
    }
}

/// A person, or whoever holds the machine; no program.
fn is_someone(actor: &Actor) -> bool {
    matches!(actor.kind(), ActorKind::User | ActorKind::Operator)
}

/// Another name: one person may come by a passkey, a link and the command line.
fn is_somebody_else(one: &Actor, other: &Actor) -> bool {
    one.id() != other.id()
}

/// Changes what is stopped. Changes are made one at a time.
#[derive(Debug)]
pub struct Brake {
    inside: Arc<Inside>,
    /// Told of the alarm while serving.
    gateway: std::sync::OnceLock<gateway::Control>,
}

#[derive(Debug)]
struct Inside {
    ground: Arc<Ground>,
    decider: Arc<Decider>,
    clock: Arc<dyn Clock>,
    turn: tokio::sync::Mutex<()>,
}

impl Brake {
    /// Over a ground and whoever decides there.
    #[must_use]
    pub fn new(ground: Arc<Ground>, decider: Arc<Decider>, clock: Arc<dyn Clock>) -> Self {
        let inside = Inside { ground, decider, clock, turn: tokio::sync::Mutex::new(()) };
        Self { inside: Arc::new(inside), gateway: std::sync::OnceLock::new() }
    }

    /// From now on the gateway is told of the alarm.
    pub fn serves(&self, control: gateway::Control) {
        // Set twice only by a second gateway over one ground, which nobody builds.
        drop(self.gateway.set(control));
        self.tell_gateway();
    }

    /// Tells the gateway whether the alarm is raised; again and again, since it ends by itself.
    pub fn tell_gateway(&self) {
        if let Some(gateway) = self.gateway.get() {
            gateway.set_alarm(self.inside.ground.emergencies().is_alarm(self.inside.clock.now()));
        }
    }

    /// Carries on when whoever asked is gone: half of it would be worse than all.
    async fn detached<F>(&self, work: impl FnOnce(Arc<Inside>) -> F) -> Result<EmergencyState, EmergencyError>
    where
        F: Future<Output = Result<(), EmergencyError>> + Send + 'static,
    {
        let done = tokio::spawn(work(Arc::clone(&self.inside))).await;
        done.unwrap_or_else(|error| Err(EmergencyError::Unavailable { why: error.to_string() }))?;
        self.tell_gateway();
        Ok(api::Emergencies::state(self))
    }
}

impl Inside {
    fn state(&self) -> EmergencyState {
        self.ground.emergencies().state(self.clock.now())
    }

    async fn record(&self, scope: Option<&FreezeScope>, entry: &Emergency) -> Result<(), EmergencyError> {
        let subject = match scope {
            Some(FreezeScope::Account(account)) => Subject::Account(account.clone()),
            _ => Subject::System,
        };
        let draft = Draft { at: self.clock.now(), subject, kind: Kind::Emergency, payload: entry.encode() };
        self.ground.record(vec![draft]).await.map(drop).map_err(|error| match error {
            RecordError::Append(AppendError::Overloaded) => EmergencyError::Busy { retry_after: RETRY_AFTER },
            error => EmergencyError::Unavailable { why: error.to_string() },
        })
    }

    fn catch_up(&self) -> Result<(), EmergencyError> {
        self.ground.catch_up().map_err(|error| EmergencyError::Unavailable { why: error.to_string() })
    }

    /// The freeze of a scope with the proposal that waits, for somebody.
    fn frozen(&self, scope: &FreezeScope, actor: &Actor) -> Result<FrozenScope, EmergencyError> {
        if !is_someone(actor) {
            return Err(EmergencyError::NotAPerson { actor: actor.to_string() });
        }
        self.catch_up()?;
        let frozen = self.state().freezes.into_iter().find(|frozen| frozen.freeze.scope == *scope);
        frozen.ok_or_else(|| EmergencyError::NotFrozen { scope: scope.to_string() })
    }

    fn proposal(
        &self,
        scope: &FreezeScope,
        actor: &Actor,
        position: u64,
    ) -> Result<UnfreezeProposal, EmergencyError> {
        let open = self.frozen(scope, actor)?.proposal.filter(|open| open.position == position);
        open.ok_or_else(|| EmergencyError::NoProposal { scope: scope.to_string() })
    }

    async fn freeze(&self, by: Actor, scope: FreezeScope, reason: String) -> Result<(), EmergencyError> {
        let _turn = self.turn.lock().await;
        let freezes = self.ground.emergencies().freezes();
        let _still = self.decider.standstill().await;
        self.catch_up()?;
        if freezes.of(&scope).is_some() {
            return Ok(());
        }
        if freezes.count() >= FREEZES_MAX && scope != FreezeScope::All {
            return Err(EmergencyError::Full);
        }
        tracing::warn!(%scope, %by, reason, "frozen");
        let entry = Emergency::Frozen { scope: scope.to_string(), by, reason };
        self.record(Some(&scope), &entry).await
    }

    async fn propose(&self, by: Actor, scope: FreezeScope, reason: String) -> Result<(), EmergencyError> {
        let _turn = self.turn.lock().await;
        self.frozen(&scope, &by)?;
        let until = self.clock.now().plus(PROPOSAL_LIFE);
        let entry = Emergency::UnfreezeProposed { scope: scope.to_string(), until, by, reason };
        self.record(Some(&scope), &entry).await
    }

    async fn approve(&self, by: Actor, scope: FreezeScope, proposal: u64) -> Result<(), EmergencyError> {
        let _turn = self.turn.lock().await;
        let open = self.proposal(&scope, &by, proposal)?;
        if !is_somebody_else(&open.by, &by) {
            return Err(EmergencyError::OwnProposal { actor: by.to_string() });
        }
        tracing::warn!(%scope, proposed_by = %open.by, approved_by = %by, "unfrozen");
        let (proposed_by, approved_by) = (open.by, by);
        let entry = Emergency::Unfrozen { scope: scope.to_string(), proposal, proposed_by, approved_by };
        self.record(Some(&scope), &entry).await?;
        // The journal's time may have run on while this waited.
        match self.ground.emergencies().freezes().of(&scope) {
            None => Ok(()),
            Some(_) => Err(EmergencyError::NoProposal { scope: scope.to_string() }),
        }
    }

    async fn decline(
        &self,
        by: Actor,
        scope: FreezeScope,
        proposal: u64,
        reason: String,
    ) -> Result<(), EmergencyError> {
        let _turn = self.turn.lock().await;
        self.proposal(&scope, &by, proposal)?;
        let entry = Emergency::UnfreezeDeclined { scope: scope.to_string(), proposal, by, reason };
        self.record(Some(&scope), &entry).await
    }

    async fn raise_alarm(&self, by: Actor, minutes: u64, reason: String) -> Result<(), EmergencyError> {
        let _turn = self.turn.lock().await;
        let minutes = minutes.clamp(1, api::ALARM_MINUTES_MAX);
        let until = self.clock.now().plus(Duration::from_secs(60 * minutes));
        tracing::warn!(%by, minutes, reason, "alarm raised");
        self.record(None, &Emergency::AlarmRaised { until, by, reason }).await
    }

    async fn end_alarm(&self, by: Actor, reason: String) -> Result<(), EmergencyError> {
        let _turn = self.turn.lock().await;
        self.catch_up()?;
        if self.state().alarm.is_none() {
            return Err(EmergencyError::NoAlarm);
        }
        tracing::warn!(%by, reason, "alarm ended");
        self.record(None, &Emergency::AlarmEnded { by, reason }).await
    }
}

impl api::Emergencies for Brake {
    fn state(&self) -> EmergencyState {
        self.inside.state()
    }

    fn freeze(
        &self,
        actor: Actor,
        scope: FreezeScope,
        reason: String,
    ) -> api::BoxFuture<'_, Result<EmergencyState, EmergencyError>> {
        let work = move |inside: Arc<Inside>| async move { inside.freeze(actor, scope, reason).await };
        Box::pin(self.detached(work))
    }

    fn propose(
        &self,
        actor: Actor,
        scope: FreezeScope,
        reason: String,
    ) -> api::BoxFuture<'_, Result<EmergencyState, EmergencyError>> {
        let work = move |inside: Arc<Inside>| async move { inside.propose(actor, scope, reason).await };
        Box::pin(self.detached(work))
    }

    fn approve(
        &self,
        actor: Actor,
        scope: FreezeScope,
        proposal: u64,
    ) -> api::BoxFuture<'_, Result<EmergencyState, EmergencyError>> {
        let work = move |inside: Arc<Inside>| async move { inside.approve(actor, scope, proposal).await };
        Box::pin(self.detached(work))
    }

    fn decline(
        &self,
        actor: Actor,
        scope: FreezeScope,
        proposal: u64,
        reason: String,
    ) -> api::BoxFuture<'_, Result<EmergencyState, EmergencyError>> {
        let work =
            move |inside: Arc<Inside>| async move { inside.decline(actor, scope, proposal, reason).await };
        Box::pin(self.detached(work))
    }

    fn raise_alarm(
        &self,
        actor: Actor,
        minutes: u64,
        reason: String,
    ) -> api::BoxFuture<'_, Result<EmergencyState, EmergencyError>> {
        let work = move |inside: Arc<Inside>| async move { inside.raise_alarm(actor, minutes, reason).await };
        Box::pin(self.detached(work))
    }

    fn end_alarm(
        &self,
        actor: Actor,
        reason: String,
    ) -> api::BoxFuture<'_, Result<EmergencyState, EmergencyError>> {
        let work = move |inside: Arc<Inside>| async move { inside.end_alarm(actor, reason).await };
        Box::pin(self.detached(work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixNanos = UnixNanos::from_secs(1_000);

    fn at(seconds: u64) -> UnixNanos {
        AT.plus(Duration::from_secs(seconds))
    }

    fn frozen() -> Emergencies {
        let state = Emergencies::default();
        let entry = Emergency::Frozen {
            scope: "all".to_owned(),
            by: "service:exchange".parse().unwrap(),
            reason: "why".to_owned(),
        };
        state.apply(1, entry, AT).unwrap();
        state
    }

    fn proposed(by: &str) -> Emergency {
        let (scope, reason) = ("all".to_owned(), "why".to_owned());
        Emergency::UnfreezeProposed { scope, until: at(3_600), by: by.parse().unwrap(), reason }
    }

    fn unfrozen(proposal: u64, one: &str, two: &str) -> Emergency {
        Emergency::Unfrozen {
            scope: "all".to_owned(),
            proposal,
            proposed_by: one.parse().unwrap(),
            approved_by: two.parse().unwrap(),
        }
    }

    #[test]
    fn two_persons_lift_a_freeze_and_nothing_else_does() {
        for (entry, when) in [
            (unfrozen(2, "user:ann", "user:ann"), 10),
            (unfrozen(2, "user:ann", "operator:ann"), 10),
            (unfrozen(2, "user:ann", "service:bot"), 10),
            (unfrozen(2, "user:eve", "user:bob"), 10),
            (unfrozen(3, "user:ann", "user:bob"), 10),
            (unfrozen(2, "user:ann", "user:bob"), 3_601),
        ] {
            let state = frozen();
            state.apply(2, proposed("user:ann"), at(1)).unwrap();
            state.apply(4, entry.clone(), at(when)).unwrap();
            assert_eq!(state.freezes().count(), 1, "{entry:?}");
        }
        let state = frozen();
        state.apply(2, unfrozen(2, "user:ann", "user:bob"), at(1)).unwrap();
        state.apply(2, proposed("service:bot"), at(1)).unwrap();
        assert_eq!(state.state(at(2)).freezes[0].proposal, None);
        state.apply(3, proposed("user:ann"), at(1)).unwrap();
        assert_eq!(state.state(at(2)).freezes[0].proposal.as_ref().unwrap().position, 3);
        assert_eq!(state.state(at(3_601)).freezes[0].proposal, None);
        state.apply(4, unfrozen(3, "user:ann", "operator:bob"), at(2)).unwrap();
        assert_eq!(state.state(at(2)), EmergencyState::default());
    }

    #[test]
    fn a_declined_or_replaced_proposal_cannot_be_approved() {
        let state = frozen();
        state.apply(2, proposed("user:ann"), at(1)).unwrap();
        state.apply(3, proposed("user:bob"), at(2)).unwrap();
        state.apply(4, unfrozen(2, "user:ann", "user:cal"), at(3)).unwrap();
        let declined = |proposal| Emergency::UnfreezeDeclined {
            scope: "all".to_owned(),
            proposal,
            by: "user:cal".parse().unwrap(),
            reason: "no".to_owned(),
        };
        state.apply(5, declined(2), at(4)).unwrap();
        assert!(state.state(at(5)).freezes[0].proposal.is_some());
        state.apply(6, declined(3), at(5)).unwrap();
        state.apply(7, unfrozen(3, "user:bob", "user:cal"), at(6)).unwrap();
        assert_eq!((state.state(at(7)).freezes[0].proposal.clone(), state.freezes().count()), (None, 1));
    }

    #[test]
    fn an_alarm_ends_by_itself() {
        let state = Emergencies::default();
        let raised = Emergency::AlarmRaised {
            until: at(60),
            by: "user:ann".parse().unwrap(),
            reason: "flood".to_owned(),
        };
        state.apply(1, raised, AT).unwrap();
        assert!(state.is_alarm(at(59)) && !state.is_alarm(at(60)));
        assert_eq!(state.state(at(60)).alarm, None);
        let other = Emergencies::default();
        assert_ne!(state.digest(), other.digest());
        other.replace_by(&state);
        assert_eq!(state.digest(), other.digest());
    }

    #[test]
    fn an_unknown_scope_is_an_error() {
        let entry = Emergency::Frozen {
            scope: "planet:mars".to_owned(),
            by: Actor::operator(),
            reason: "why".to_owned(),
        };
        assert!(Emergencies::default().apply(1, entry, AT).is_err());
    }
}
