//! Emergencies: what is stopped at once by one person, and let go on by two.
//!
//! A freeze denies every withdrawal of its scope. Whoever may freeze does so alone and gives a reason; to lift a freeze,
//! one person proposes and another approves the proposal they saw. An alarm puts the gateway on its guard until it ends
//! by itself. Every answer is the state after the call, so that a call whose answer was lost is repeated safely.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{Method, Uri},
};
use decide::{Freeze, FreezeScope};
use domain::{Actor, UnixNanos};
use identity::Capability;
use serde_json::{Value, json};

use crate::{
    BoxFuture, Permission,
    auth::Caller,
    limits::EMERGENCY_BODY_BYTES_MAX,
    problem::{Kind, Problem},
    route::{Action, App, Route, read_body},
    wire::{Fault, Fields},
};

/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1_000;
/// Longest alarm, in minutes: a day.
pub const ALARM_MINUTES_MAX: u64 = 24 * 60;

/// A call about emergencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmergencyCall {
    /// Agrees to lift a freeze.
    Approve,
    /// Is against lifting it.
    Decline,
    /// Ends the alarm.
    EndAlarm,
    /// Freezes a scope.
    Freeze,
    /// Proposes to lift a freeze.
    Propose,
    /// Raises the alarm.
    RaiseAlarm,
    /// Says what is stopped.
    Show,
}

/// The routes of emergencies.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/v1/emergency",
        permission: Permission::ReadHealth,
        action: Action::Emergency(EmergencyCall::Show),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/freeze",
        permission: Permission::FreezeOutflow,
        action: Action::Emergency(EmergencyCall::Freeze),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/unfreeze/propose",
        permission: Permission::UnfreezeOutflow,
        action: Action::Emergency(EmergencyCall::Propose),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/unfreeze/approve",
        permission: Permission::UnfreezeOutflow,
        action: Action::Emergency(EmergencyCall::Approve),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/unfreeze/decline",
        permission: Permission::UnfreezeOutflow,
        action: Action::Emergency(EmergencyCall::Decline),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/alarm",
        permission: Permission::RaiseAlarm,
        action: Action::Emergency(EmergencyCall::RaiseAlarm),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/alarm/end",
        permission: Permission::RaiseAlarm,
        action: Action::Emergency(EmergencyCall::EndAlarm),
    },
];

/// A freeze, and the proposal to lift it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenScope {
    /// What is frozen, by whom and why.
    pub freeze: Freeze,
    /// The proposal that waits for a second person.
    pub proposal: Option<UnfreezeProposal>,
}

/// Somebody would let leave again what is frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfreezeProposal {
    /// Its position in the journal, which names it.
    pub position: u64,
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: UnixNanos,
    /// Until when somebody else may approve it.
    pub until: UnixNanos,
}

/// The gateway is on its guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Who raised it.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: UnixNanos,
    /// When it ends by itself.
    pub until: UnixNanos,
}

/// Everything that is stopped, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EmergencyState {
    /// Freezes, the widest first.
    pub freezes: Vec<FrozenScope>,
    /// The alarm, while there is one.
    pub alarm: Option<Alarm>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmergencyError {
    /// More arrives than can be recorded; nothing was done.
    #[error("the journal is busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// As many scopes are frozen as can be.
    #[error("too many scopes are frozen one by one: freeze all")]
    Full,
    /// No alarm is raised.
    #[error("no alarm is raised")]
    NoAlarm,
    /// There is no such proposal, or it has run out.
    #[error("{scope} has no such proposal any more: somebody declined it, or it has run out")]
    NoProposal {
        /// What it would be for.
        scope: String,
    },
    /// Programs do not lift freezes.
    #[error("{actor} is no person: a freeze is lifted by two persons")]
    NotAPerson {
        /// Who tried.
        actor: String,
    },
    /// Nothing of that scope is frozen.
    #[error("{scope} is not frozen")]
    NotFrozen {
        /// What was asked for.
        scope: String,
    },
    /// Whoever proposed it cannot approve it.
    #[error("{actor} proposed it: somebody else must approve")]
    OwnProposal {
        /// Who tried.
        actor: String,
    },
    /// It cannot be made durable, or nobody knows whether it was.
    #[error("nothing can be recorded: {why}")]
    Unavailable {
        /// In words for the operator; not shown to the caller.
        why: String,
    },
}

/// Who stops things. Every call that changes something returns when that is durable and in force.
pub trait Emergencies: Send + Sync {
    /// What is stopped now.
    fn state(&self) -> EmergencyState;

    /// Freezes a scope; one that is frozen stays as it was. No decision behind the freeze lets anything out of it.
    fn freeze(
        &self,
        actor: Actor,
        scope: FreezeScope,
        reason: String,
    ) -> BoxFuture<'_, Result<EmergencyState, EmergencyError>>;

    /// Proposes to lift a freeze, in place of the proposal before.
    fn propose(
        &self,
        actor: Actor,
        scope: FreezeScope,
        reason: String,
    ) -> BoxFuture<'_, Result<EmergencyState, EmergencyError>>;

    /// Agrees to a proposal: the freeze ends.
    fn approve(
        &self,
        actor: Actor,
        scope: FreezeScope,
        proposal: u64,
    ) -> BoxFuture<'_, Result<EmergencyState, EmergencyError>>;

    /// Disagrees with a proposal, or takes one back.
    fn decline(
        &self,
        actor: Actor,
        scope: FreezeScope,
        proposal: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<EmergencyState, EmergencyError>>;

    /// Raises the alarm for some minutes, in place of the one before.
    fn raise_alarm(
        &self,
        actor: Actor,
        minutes: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<EmergencyState, EmergencyError>>;

    /// Ends the alarm before its time.
    fn end_alarm(
        &self,
        actor: Actor,
        reason: String,
    ) -> BoxFuture<'_, Result<EmergencyState, EmergencyError>>;
}

/// The state as JSON. Which accounts are frozen is told to those alone who may read of customers.
#[must_use]
pub fn emergency_json(state: &EmergencyState, with_accounts: bool) -> Value {
    let proposal = |proposal: &UnfreezeProposal| {
        json!({
            "proposal": proposal.position, "by": proposal.by.to_string(), "reason": proposal.reason,
            "at": proposal.at.to_string(), "until": proposal.until.to_string(),
        })
    };
    let freezes: Vec<Value> = state
        .freezes
        .iter()
        .map(|FrozenScope { freeze, proposal: proposed }| {
            let hidden = matches!(freeze.scope, FreezeScope::Account(_)) && !with_accounts;
            let scope = if hidden { "account:...".to_owned() } else { freeze.scope.to_string() };
            let words = |text: &str| if hidden { "...".to_owned() } else { text.to_owned() };
            let mut shown = json!({
                "scope": scope, "by": freeze.by.to_string(), "reason": words(&freeze.reason), "at": freeze.at.to_string(),
            });
            if let (Some(proposed), false, Some(object)) = (proposed, hidden, shown.as_object_mut()) {
                object.insert("unfreeze".to_owned(), proposal(proposed));
            }
            shown
        })
        .collect();
    let mut shown = json!({ "freezes": freezes });
    if let (Some(alarm), Some(object)) = (&state.alarm, shown.as_object_mut()) {
        let alarm = json!({
            "by": alarm.by.to_string(), "reason": alarm.reason, "at": alarm.at.to_string(),
            "until": alarm.until.to_string(),
        });
        object.insert("alarm".to_owned(), alarm);
    }
    shown
}

/// What a body asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Approve { scope: FreezeScope, proposal: u64 },
    Decline { scope: FreezeScope, proposal: u64, reason: String },
    EndAlarm { reason: String },
    Freeze { scope: FreezeScope, reason: String },
    Propose { scope: FreezeScope, reason: String },
    RaiseAlarm { minutes: u64, reason: String },
}

pub(crate) fn ask(call: EmergencyCall, body: &[u8]) -> Result<Ask, Fault> {
    let mut fields = Fields::parse(body)?;
    let scope = |fields: &mut Fields| fields.parsed("scope", str::parse::<FreezeScope>);
    let number = |fields: &mut Fields, name: &str| {
        fields.optional_integer(name)?.ok_or_else(|| fields.fault(name, "is missing"))
    };
    let reason = |fields: &mut Fields| {
        let text = fields.text("reason")?;
        is_reason(&text).then(|| text.clone()).ok_or_else(|| {
            let says = format!("must be 1 to {REASON_BYTES_MAX} bytes without control characters");
            fields.fault("reason", says)
        })
    };
    let ask = match call {
        EmergencyCall::Approve => {
            Ask::Approve { scope: scope(&mut fields)?, proposal: number(&mut fields, "proposal")? }
        }
        EmergencyCall::Decline => Ask::Decline {
            scope: scope(&mut fields)?,
            proposal: number(&mut fields, "proposal")?,
            reason: reason(&mut fields)?,
        },
        EmergencyCall::EndAlarm => Ask::EndAlarm { reason: reason(&mut fields)? },
        EmergencyCall::Freeze => Ask::Freeze { scope: scope(&mut fields)?, reason: reason(&mut fields)? },
        EmergencyCall::Propose => Ask::Propose { scope: scope(&mut fields)?, reason: reason(&mut fields)? },
        EmergencyCall::RaiseAlarm => {
            let minutes = number(&mut fields, "minutes")?;
            if !(1..=ALARM_MINUTES_MAX).contains(&minutes) {
                return Err(fields.fault("minutes", format!("must be 1 to {ALARM_MINUTES_MAX}")));
            }
            Ask::RaiseAlarm { minutes, reason: reason(&mut fields)? }
        }
        EmergencyCall::Show => return Err(fields.fault("", "this call has no body")),
    };
    fields.finish("this call")?;
    Ok(ask)
}

/// Whether a text may be a reason: not blank, not too long, and of one line.
#[must_use]
pub fn is_reason(text: &str) -> bool {
    (1..=REASON_BYTES_MAX).contains(&text.len())
        && text.chars().any(|c| c != ' ')
        && !text.chars().any(char::is_control)
}

/// Serves a call.
pub(crate) async fn serve(
    app: &App,
    call: EmergencyCall,
    caller: &Caller,
    request: Request,
) -> Result<Value, Problem> {
    let port = &*app.ports().emergencies;
    let with_accounts = caller.may(Capability::ReadCases);
    if call == EmergencyCall::Show {
        no_query(request.uri())?;
        return Ok(emergency_json(&port.state(), with_accounts));
    }
    let body = read_body(request, EMERGENCY_BODY_BYTES_MAX).await?;
    let asked = ask(call, &body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
    let actor = caller.actor().clone();
    let done = match asked {
        Ask::Approve { scope, proposal } => port.approve(actor, scope, proposal).await,
        Ask::Decline { scope, proposal, reason } => port.decline(actor, scope, proposal, reason).await,
        Ask::EndAlarm { reason } => port.end_alarm(actor, reason).await,
        Ask::Freeze { scope, reason } => port.freeze(actor, scope, reason).await,
        Ask::Propose { scope, reason } => port.propose(actor, scope, reason).await,
        Ask::RaiseAlarm { minutes, reason } => port.raise_alarm(actor, minutes, reason).await,
    };
    done.map(|state| emergency_json(&state, with_accounts)).map_err(|error| problem(&error))
}

fn no_query(uri: &Uri) -> Result<(), Problem> {
    crate::query::Query::parse(uri)?.finish()
}

fn problem(error: &EmergencyError) -> Problem {
    let kind = match error {
        EmergencyError::Busy { retry_after } => return Problem::busy(*retry_after),
        EmergencyError::Unavailable { .. } => {
            tracing::error!(%error, "an emergency call was not carried out");
            let detail = "look at the state: it may be in force or not; sending it again is safe";
            return Problem::new(Kind::Unavailable, detail);
        }
        EmergencyError::NotFrozen { .. } | EmergencyError::NoProposal { .. } | EmergencyError::NoAlarm => {
            Kind::NotFound
        }
        EmergencyError::NotAPerson { .. } | EmergencyError::OwnProposal { .. } => Kind::FourEyes,
        EmergencyError::Full => Kind::InvalidRequest,
    };
    Problem::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_strictly() {
        let asked = ask(EmergencyCall::Freeze, br#"{"scope":"asset:USDT","reason":"drained"}"#).unwrap();
        let scope: FreezeScope = "asset:USDT".parse().unwrap();
        assert_eq!(asked, Ask::Freeze { scope, reason: "drained".to_owned() });
        for (call, body) in [
            (EmergencyCall::Freeze, r#"{"scope":"assets:USDT","reason":"x"}"#),
            (EmergencyCall::Freeze, r#"{"scope":"all","reason":" "}"#),
            (EmergencyCall::Freeze, r#"{"scope":"all","reason":"a\nb"}"#),
            (EmergencyCall::Freeze, r#"{"scope":"all"}"#),
            (EmergencyCall::Freeze, r#"{"scope":"all","reason":"x","why":"y"}"#),
            (EmergencyCall::Approve, r#"{"scope":"all"}"#),
            (EmergencyCall::Decline, r#"{"scope":"all","proposal":1}"#),
            (EmergencyCall::RaiseAlarm, r#"{"minutes":0,"reason":"x"}"#),
            (EmergencyCall::RaiseAlarm, r#"{"minutes":1441,"reason":"x"}"#),
            (EmergencyCall::Show, "{}"),
        ] {
            assert!(ask(call, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn frozen_accounts_are_not_told_to_everybody() {
        let freeze = Freeze {
            scope: "account:alice".parse().unwrap(),
            by: "user:ann".parse().unwrap(),
            reason: "alice called".to_owned(),
            at: UnixNanos::from_secs(1),
        };
        let state = EmergencyState { freezes: vec![FrozenScope { freeze, proposal: None }], alarm: None };
        assert!(!emergency_json(&state, false).to_string().contains("alice"));
        assert!(emergency_json(&state, true).to_string().contains("account:alice"));
    }
}
