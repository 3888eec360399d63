//! Carrying out an operator's requests about changes that take two persons.

use api::{ChangeRequests as _, ChangesError};
use domain::{Actor, ActorKind};
use identity::{
    Capability, Principal,
    requests::{RequestError, State},
};

use super::Core;
use crate::{
    control::{ChangeSay, Response},
    exit::{Exit, Failure},
};

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, message)
}

/// What a refusal is on the command line.
pub(super) fn failure(error: &ChangesError) -> Failure {
    let exit = match error {
        ChangesError::Busy { .. } => Exit::Busy,
        ChangesError::Unavailable { .. } => Exit::Io,
        ChangesError::Rule(RequestError::NotFound { .. }) => Exit::NotFound,
        ChangesError::NotPossible { .. } => Exit::Input,
        ChangesError::Rule(RequestError::Malformed { .. } | RequestError::Until) => Exit::Usage,
        // Refused by the rules: no.
        _ => Exit::No,
    };
    Failure::new(exit, error.to_string())
}

fn number(text: &str) -> Result<u64, Failure> {
    api::change_id(text)
        .ok_or_else(|| usage(format!("{text:?} is no change request; they are named chg-123")))
}

/// Whoever may use the machine's command line, with a name they gave.
pub(super) fn operator(name: &str) -> Result<Principal, Failure> {
    let actor = Actor::new(ActorKind::Operator, name).map_err(|error| usage(format!("--as: {error}")))?;
    Ok(Principal { actor, capabilities: Capability::ALL.to_vec() })
}

impl Core {
    pub(super) fn changes_list(
        &self,
        state: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Response, Failure> {
        let named = |name: &str| {
            let known = State::ALL.map(State::as_str).join(", ");
            State::named(name).ok_or_else(|| usage(format!("--state: {name:?} is none of {known}")))
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if !(1..=api::limits::PAGE_MAX).contains(&limit) {
            return Err(usage(format!("--limit: 1 to {} are possible", api::limits::PAGE_MAX)));
        }
        let (state, after) = (state.map(named).transpose()?, after.map(number).transpose()?);
        let files = self.requests.list(state, after, limit);
        Ok(Response::Changes(api::changes_json(&files, files.len() == limit)))
    }

    pub(super) fn changes_show(&self, change: &str) -> Result<Response, Failure> {
        let file = self.requests.show(&operator("local")?, number(change)?);
        file.map(|file| Response::Change(api::change_json(&file))).map_err(|error| failure(&error))
    }

    pub(super) async fn changes_act(
        &self,
        change: &str,
        by: &str,
        say: ChangeSay,
    ) -> Result<Response, Failure> {
        let (who, id) = (operator(by)?, number(change)?);
        // A process that opened the directory for this command alone has nobody who did it on the start.
        self.requests.resume().await;
        let done = match say {
            ChangeSay::Approve { digest } => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(&digest, &mut bytes).map_err(|_| {
                    usage("--digest: expected the 64 hexadecimal digits that are shown".to_owned())
                })?;
                self.requests.approve(who, id, bytes).await
            }
            ChangeSay::Decline { reason } => self.requests.decline(who, id, reason).await,
            ChangeSay::Withdraw => self.requests.withdraw(who, id).await,
        };
        done.map(|file| Response::Change(api::change_json(&file))).map_err(|error| failure(&error))
    }
}
