//! Changes that take two persons, as the console shows them.

use std::sync::Arc;

use api::{ChangeRequests as _, ChangesError};
use console::{BoxFuture, ChangeLine, NotDone, ROWS_MAX, Say, Viewer};
use identity::{
    Principal,
    requests::{ChangeRequest, End, State, is_same_person},
};

use crate::requests::Requests;

/// What waits for a second person.
pub(super) struct Waiting(pub(super) Arc<Requests>);

fn principal(viewer: &Viewer) -> Principal {
    Principal { actor: viewer.actor.clone(), capabilities: viewer.capabilities.clone() }
}

fn is_own(request: &ChangeRequest, viewer: &Viewer) -> bool {
    is_same_person(request.opened.by.id(), viewer.actor.id())
}

/// Why a viewer cannot agree to an open request.
fn not_yours(request: &ChangeRequest, viewer: &Viewer) -> Option<String> {
    let is_concerned = |person: &String| is_same_person(person, viewer.actor.id());
    if is_own(request, viewer) {
        Some("You asked for it: somebody else must approve.".to_owned())
    } else if request.opened.concerns.as_ref().is_some_and(is_concerned) {
        Some("It is about you: somebody else must approve.".to_owned())
    } else if viewer.may(request.opened.needs) {
        None
    } else {
        Some(format!("Approving needs {}, which none of your roles has.", request.opened.needs.as_str()))
    }
}

fn line(file: &api::ChangeFile, viewer: &Viewer) -> ChangeLine {
    let request = &file.request;
    let state = request.state(file.now);
    ChangeLine {
        id: request.id,
        kind: request.opened.kind.clone(),
        summary: request.opened.summary.clone(),
        state: state.as_str(),
        by: request.opened.by.to_string(),
        opened_at: request.opened_at,
        expires_at: request.opened.expires_at,
        waits_for_viewer: state == State::Open && not_yours(request, viewer).is_none(),
    }
}

impl console::Changes for Waiting {
    fn waiting(&self, viewer: &Viewer) -> usize {
        self.0.waiting(|request| not_yours(request, viewer).is_none())
    }

    fn list(&self, viewer: &Viewer, all: bool) -> Vec<ChangeLine> {
        let state = (!all).then_some(State::Open);
        self.0.list(state, None, ROWS_MAX).iter().map(|file| line(file, viewer)).collect()
    }

    fn one(&self, viewer: &Viewer, id: u64) -> Option<console::ChangeFile> {
        let file = self.0.show(&principal(viewer), id).ok()?;
        let request = &file.request;
        let is_open = request.state(file.now) == State::Open;
        let ended = request.end.as_ref().map(|(end, at)| match end {
            End::Declined { by, reason } => (*at, Some(by.to_string()), reason.clone()),
            End::Executed { outcome: said } | End::Failed { why: said } => (*at, None, said.clone()),
            End::Withdrawn => (*at, Some(request.opened.by.to_string()), String::new()),
        });
        Some(console::ChangeFile {
            line: line(&file, viewer),
            reason: request.opened.reason.clone(),
            needs: request.opened.needs,
            details: file.details.clone(),
            digest: hex::encode(request.digest),
            payload_sha256: hex::encode(request.payload_sha256),
            approved: request.approved.as_ref().map(|(by, at)| (by.to_string(), *at)),
            ended,
            not_yours: not_yours(request, viewer).filter(|_| is_open),
            may_withdraw: is_open && is_own(request, viewer),
        })
    }

    fn say<'a>(&'a self, viewer: &'a Viewer, id: u64, say: Say) -> BoxFuture<'a, Result<(), NotDone>> {
        Box::pin(async move {
            let who = principal(viewer);
            let done = match say {
                Say::Approve { digest } => {
                    let mut bytes = [0; 32];
                    if hex::decode_to_slice(&digest, &mut bytes).is_err() {
                        return Err(NotDone("the form is none of this page".to_owned()));
                    }
                    self.0.approve(who, id, bytes).await
                }
                Say::Decline { reason } => self.0.decline(who, id, reason).await,
                Say::Withdraw => self.0.withdraw(who, id).await,
            };
            done.map(drop).map_err(|error| match error {
                ChangesError::Busy { .. } | ChangesError::Unavailable { .. } => {
                    tracing::error!(%error, "a change request is not what it should be");
                    NotDone("it cannot be recorded at the moment; look at it again".to_owned())
                }
                error => NotDone(error.to_string()),
            })
        })
    }
}
