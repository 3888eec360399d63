//! Carrying out an operator's requests about emergencies.

use api::{Emergencies as _, EmergencyError, EmergencyState};
use decide::FreezeScope;
use domain::{Actor, ActorKind};

use super::Core;
use crate::{
    control::{EmergencyWork, Response},
    exit::{Exit, Failure},
};

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, message)
}

fn scope(text: &str) -> Result<FreezeScope, Failure> {
    text.parse().map_err(|error: decide::MalformedFreezeScope| usage(error.to_string()))
}

fn checked(reason: String) -> Result<String, Failure> {
    if api::is_reason(&reason) {
        return Ok(reason);
    }
    let max = api::REASON_BYTES_MAX;
    Err(usage(format!("--reason: must be 1 to {max} bytes without control characters")))
}

fn failure(error: &EmergencyError) -> Failure {
    let exit = match error {
        EmergencyError::Busy { .. } => Exit::Busy,
        EmergencyError::Unavailable { .. } => Exit::Io,
        EmergencyError::NoAlarm | EmergencyError::NoProposal { .. } | EmergencyError::NotFrozen { .. } => {
            Exit::NotFound
        }
        // Refused by the rules: no.
        _ => Exit::No,
    };
    Failure::new(exit, error.to_string())
}

impl Core {
    pub(super) fn emergency_show(&self) -> Response {
        shown(&self.brake.state())
    }

    pub(super) async fn emergency(&self, by: &str, work: EmergencyWork) -> Result<Response, Failure> {
        let actor = Actor::new(ActorKind::Operator, by).map_err(|error| usage(format!("--as: {error}")))?;
        let brake = &self.brake;
        let done = match work {
            EmergencyWork::AlarmEnd { reason } => brake.end_alarm(actor, checked(reason)?).await,
            EmergencyWork::AlarmRaise { minutes, reason } => {
                if !(1..=api::ALARM_MINUTES_MAX).contains(&minutes) {
                    return Err(usage(format!("--minutes: 1 to {} are possible", api::ALARM_MINUTES_MAX)));
                }
                brake.raise_alarm(actor, minutes, checked(reason)?).await
            }
            EmergencyWork::Freeze { scope: text, reason } => {
                brake.freeze(actor, scope(&text)?, checked(reason)?).await
            }
            EmergencyWork::UnfreezeApprove { scope: text, proposal } => {
                brake.approve(actor, scope(&text)?, proposal).await
            }
            EmergencyWork::UnfreezeDecline { scope: text, proposal, reason } => {
                brake.decline(actor, scope(&text)?, proposal, checked(reason)?).await
            }
            EmergencyWork::UnfreezePropose { scope: text, reason } => {
                brake.propose(actor, scope(&text)?, checked(reason)?).await
            }
        };
        done.map(|state| shown(&state)).map_err(|error| failure(&error))
    }
}

fn shown(state: &EmergencyState) -> Response {
    Response::Emergency(api::emergency_json(state, true))
}
