//! Changes that take two persons: asked for, agreed to, done.
//!
//! A part of the product that wants a change of its own to take two persons implements [`GuardedChange`] and registers it at
//! [`Requests::register`]. From then on [`Requests::open`] asks for one; listing, approving, declining and withdrawing are the
//! same for all, at the API, on the command line and in the console.
//!
//! Done exactly once: the entries of the effect and the one that says so are appended together, the latter last. Were the process
//! to end in between, the state is no longer the one the change was made against, the effect is found
//! ([`GuardedChange::is_done`]), and what is missing is recorded on the next start. Approved and nothing done yet: done on the next
//! start, if the request has not run out and the state still holds.
//!
//! Two operators at the command line are two persons only until somebody has a passkey: the machine's shell is one way in.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{ChangeFile, ChangesError};
use domain::{Actor, ActorKind, Clock, Subject, UnixNanos};
use identity::{
    Capability, Principal,
    requests::{ChangeRequest, End, Entry, LIFE_MAX, Opened, RequestError, State, is_same_person},
};
use journal::{AppendError, Draft, Kind};
use parking_lot::RwLock;

use crate::ground::{Ground, RecordError};

/// Shortest time a request may wait.
const LIFE_MIN: Duration = Duration::from_secs(60);

/// How long a caller is asked to wait when the journal's queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A change in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    /// What it does, without anything about customers: whoever reads requests reads this.
    pub(crate) summary: String,
    /// What only those see who may approve it, and who asked for it: names and values.
    pub(crate) details: Vec<(String, String)>,
    /// A person it is about, who therefore cannot approve it.
    pub(crate) concerns: Option<String>,
}

/// Why a change is none, or cannot be done; in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotPossible(pub(crate) String);

/// What doing a change comes to.
#[derive(Debug)]
pub(crate) struct Effect {
    /// What is recorded, together with the entry that says that the request is done.
    pub(crate) drafts: Vec<Draft>,
    /// What came of it, in words.
    pub(crate) outcome: String,
}

/// One kind of change that takes two persons.
pub(crate) trait GuardedChange: Send + Sync {
    /// Its name, such as `identity.roles`.
    fn kind(&self) -> &'static str;

    /// What it takes to approve it.
    fn needs(&self) -> Capability;

    /// What it says.
    ///
    /// # Errors
    /// [`NotPossible`] for bytes that are no such change, or one that makes no sense.
    fn describe(&self, payload: &[u8]) -> Result<Described, NotPossible>;

    /// Digest of the state the change is made against. Doing it must change it.
    ///
    /// # Errors
    /// [`NotPossible`] as for [`GuardedChange::describe`].
    fn precondition(&self, payload: &[u8]) -> Result<[u8; 32], NotPossible>;

    /// Whether the state already is as the change wants it.
    fn is_done(&self, payload: &[u8]) -> bool;

    /// Prepares the change: what to record. Whatever it does beside must do no harm when it is done again, since it is when
    /// the process ends before the entries are durable. The lock of changes is held.
    ///
    /// # Errors
    /// [`NotPossible`]: the request has failed.
    fn execute<'a>(
        &'a self,
        request: &'a ChangeRequest,
        now: UnixNanos,
    ) -> api::BoxFuture<'a, Result<Effect, NotPossible>>;

    /// The entries are durable and in force.
    fn settled(&self, _payload: &[u8]) {}
}

/// Where changes that take two persons are asked for and agreed to.
pub(crate) struct Requests {
    ground: Arc<Ground>,
    clock: Arc<dyn Clock>,
    /// One change of the installation at a time; taken here while one is done.
    turn: Arc<tokio::sync::Mutex<()>>,
    kinds: RwLock<BTreeMap<&'static str, Arc<dyn GuardedChange>>>,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").field("kinds", &self.kinds.read().keys()).finish_non_exhaustive()
    }
}

fn failed(error: RecordError) -> ChangesError {
    match error {
        RecordError::Append(AppendError::Overloaded) => ChangesError::Busy { retry_after: RETRY_AFTER },
        error => ChangesError::Unavailable { why: error.to_string() },
    }
}

fn draft(entry: &Entry, at: UnixNanos) -> Draft {
    Draft { at, subject: Subject::System, kind: Kind::ChangeRequest, payload: entry.encode() }
}

impl Requests {
    /// Over a ground, with the lock that whoever changes the installation holds.
    pub(crate) fn new(ground: Arc<Ground>, clock: Arc<dyn Clock>, turn: Arc<tokio::sync::Mutex<()>>) -> Self {
        Self { ground, clock, turn, kinds: RwLock::default() }
    }

    /// From now on changes of this kind can be asked for; in place of an earlier one of its name.
    pub(crate) fn register(&self, change: Arc<dyn GuardedChange>) {
        self.kinds.write().insert(change.kind(), change);
    }

    fn kind(&self, name: &str) -> Option<Arc<dyn GuardedChange>> {
        self.kinds.read().get(name).cloned()
    }

    /// Asks for a change. Whether `by` may ask is judged by the caller. May be called with the lock of changes held.
    ///
    /// # Errors
    /// [`ChangesError`]; nothing was asked for then.
    pub(crate) async fn open(
        &self,
        by: Actor,
        kind: &str,
        payload: Vec<u8>,
        (reason, life): (&str, Duration),
    ) -> Result<ChangeFile, ChangesError> {
        let change = self
            .kind(kind)
            .ok_or_else(|| ChangesError::NotPossible { why: format!("{kind:?} is no kind of change") })?;
        let not_possible = |NotPossible(why): NotPossible| ChangesError::NotPossible { why };
        let described = change.describe(&payload).map_err(not_possible)?;
        if change.is_done(&payload) {
            return Err(ChangesError::NotPossible { why: "it is so already".to_owned() });
        }
        if !(LIFE_MIN..=LIFE_MAX).contains(&life) {
            return Err(RequestError::Until.into());
        }
        let now = self.clock.now();
        let opened = Opened {
            kind: kind.to_owned(),
            precondition: change.precondition(&payload).map_err(not_possible)?,
            payload,
            summary: described.summary,
            needs: change.needs(),
            concerns: described.concerns,
            reason: reason.trim().to_owned(),
            by: by.clone(),
            // The journal's time may run on while this waits for it.
            expires_at: UnixNanos(now.plus(life).0.saturating_sub(1)),
        };
        let entry = Entry::Opened(opened);
        self.ground.read(|fold| fold.requests().check(&entry, now))?;
        let id = self.ground.record(vec![draft(&entry, now)]).await.map_err(failed)?;
        // Others may have taken the last place meanwhile.
        self.file(id, |_| true).map_err(|_| RequestError::Full.into())
    }

    fn file(
        &self,
        id: u64,
        sees_details: impl FnOnce(&ChangeRequest) -> bool,
    ) -> Result<ChangeFile, ChangesError> {
        let found = self.ground.read(|fold| fold.requests().request(id).cloned());
        let request = found.ok_or(RequestError::NotFound { request: id })?;
        let described = if sees_details(&request) && request.end.is_none() {
            self.kind(&request.opened.kind).and_then(|kind| kind.describe(&request.opened.payload).ok())
        } else {
            None
        };
        let details = described.map(|described| described.details).unwrap_or_default();
        Ok(ChangeFile { request, details, now: self.clock.now() })
    }

    /// Records what somebody did and looks at what came of it.
    async fn act(&self, id: u64, entry: Entry) -> Result<(), ChangesError> {
        self.ground.catch_up().map_err(|error| failed(error.into()))?;
        let now = self.clock.now();
        self.ground.read(|fold| fold.requests().check(&entry, now))?;
        let position = self.ground.record(vec![draft(&entry, now)]).await.map_err(failed)?;
        // Two at once: the journal says who was first.
        let found = self.ground.read(|fold| fold.requests().request(id).cloned());
        let request = found.ok_or(RequestError::NotFound { request: id })?;
        let is_ours = match (&entry, &request.approved, &request.end) {
            (Entry::Approved { by, .. }, Some((approver, _)), None) => approver == by,
            (Entry::Declined { by, .. }, _, Some((End::Declined { by: decliner, .. }, _))) => decliner == by,
            (Entry::Withdrawn { .. }, _, Some((End::Withdrawn, _))) => true,
            _ => false,
        };
        let state = request.state(now);
        if is_ours {
            tracing::info!(request = id, position, state = state.as_str(), "change request");
            Ok(())
        } else {
            Err(RequestError::State { state: state.as_str() }.into())
        }
    }

    /// Does what was agreed to, and says so. Nothing if there is nothing to do.
    async fn finish(&self, id: u64) -> Result<(), ChangesError> {
        let _turn = self.turn.lock().await;
        self.ground.catch_up().map_err(|error| failed(error.into()))?;
        let now = self.clock.now();
        let Some(request) = self.ground.read(|fold| fold.requests().request(id).cloned()) else {
            return Ok(());
        };
        if request.approved.is_none() || request.end.is_some() {
            return Ok(());
        }
        let Some(change) = self.kind(&request.opened.kind) else {
            let why = format!("nobody here does changes of the kind {}", request.opened.kind);
            return Err(ChangesError::Unavailable { why });
        };
        let effect = self.effect(&*change, &request, now).await;
        let drafts = match effect {
            Ok(Effect { mut drafts, outcome }) => {
                drafts.push(draft(&Entry::Executed { request: id, outcome: cut(&outcome) }, now));
                drafts
            }
            Err(NotPossible(why)) => vec![draft(&Entry::Failed { request: id, why: cut(&why) }, now)],
        };
        self.ground.record(drafts).await.map_err(failed)?;
        change.settled(&request.opened.payload);
        Ok(())
    }

    async fn effect(
        &self,
        change: &dyn GuardedChange,
        request: &ChangeRequest,
        now: UnixNanos,
    ) -> Result<Effect, NotPossible> {
        if request.state(now) != State::Approved {
            return Err(NotPossible("it ran out before it was done".to_owned()));
        }
        let payload = &request.opened.payload;
        if change.precondition(payload)? == request.opened.precondition {
            return change.execute(request, now).await;
        }
        if change.is_done(payload) {
            return Ok(Effect { drafts: Vec::new(), outcome: "found done".to_owned() });
        }
        Err(NotPossible("the state it was made against is no longer the one that is".to_owned()))
    }

    /// Does what was agreed to before the process ended. Call it when every kind is registered.
    pub(crate) async fn resume(&self) {
        for id in self.ground.read(|fold| fold.requests().unfinished()) {
            if let Err(error) = self.finish(id).await {
                tracing::error!(request = id, %error, "an approved change is not done");
            }
        }
    }

    /// Open requests that fit.
    pub(crate) fn waiting(&self, fits: impl Fn(&ChangeRequest) -> bool) -> usize {
        let now = self.clock.now();
        self.ground.read(|fold| {
            let open = |request: &&ChangeRequest| request.state(now) == State::Open && fits(request);
            fold.requests().newest(None).filter(open).count()
        })
    }

    fn may_approve(&self, who: &Principal, id: u64) -> Result<(), ChangesError> {
        let found = self.ground.read(|fold| {
            let request = fold.requests().request(id)?;
            Some((request.opened.needs, request.opened.by.kind()))
        });
        let (needs, asked_by) = found.ok_or(RequestError::NotFound { request: id })?;
        if !who.capabilities.contains(&needs) {
            return Err(ChangesError::Missing { needs });
        }
        let both = [asked_by, who.actor.kind()];
        if both == [ActorKind::Operator; 2] && self.ground.people().anybody_enrolled() {
            return Err(ChangesError::OneShell);
        }
        Ok(())
    }
}

/// Words of a change, as long as an entry may have them.
fn cut(text: &str) -> String {
    let clean: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let end = clean.floor_char_boundary(identity::requests::TEXT_BYTES_MAX);
    match clean.get(..end).map(str::trim) {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => "without words".to_owned(),
    }
}

impl api::ChangeRequests for Requests {
    fn list(&self, state: Option<State>, before: Option<u64>, max: usize) -> Vec<ChangeFile> {
        let now = self.clock.now();
        self.ground.read(|fold| {
            fold.requests()
                .newest(before)
                .filter(|request| state.is_none_or(|state| request.state(now) == state))
                .take(max)
                .map(|request| ChangeFile { request: request.clone(), details: Vec::new(), now })
                .collect()
        })
    }

    fn show(&self, who: &Principal, id: u64) -> Result<ChangeFile, ChangesError> {
        self.file(id, |request| {
            who.capabilities.contains(&request.opened.needs)
                || is_same_person(request.opened.by.id(), who.actor.id())
        })
    }

    fn approve(
        &self,
        who: Principal,
        id: u64,
        digest: [u8; 32],
    ) -> api::BoxFuture<'_, Result<ChangeFile, ChangesError>> {
        Box::pin(async move {
            self.may_approve(&who, id)?;
            let entry = Entry::Approved { request: id, digest, by: who.actor.clone() };
            self.act(id, entry).await?;
            self.finish(id).await?;
            self.show(&who, id)
        })
    }

    fn decline(
        &self,
        who: Principal,
        id: u64,
        reason: String,
    ) -> api::BoxFuture<'_, Result<ChangeFile, ChangesError>> {
        Box::pin(async move {
            self.may_approve(&who, id)?;
            let entry =
                Entry::Declined { request: id, reason: reason.trim().to_owned(), by: who.actor.clone() };
            self.act(id, entry).await?;
            self.show(&who, id)
        })
    }

    fn withdraw(&self, who: Principal, id: u64) -> api::BoxFuture<'_, Result<ChangeFile, ChangesError>> {
        Box::pin(async move {
            let entry = Entry::Withdrawn { request: id, by: who.actor.clone() };
            self.act(id, entry).await?;
            self.show(&who, id)
        })
    }
}

#[cfg(test)]
mod tests;
