//! How many requests the exchange is given at once, and whose turn it is when it cannot keep up.
//!
//! The limit follows the latency of the exchange alone; what clients send slowly and what we decide about does not
//! count. A request asks for its [`Permit`] once its sender is proven and before anything is charged to it: what is
//! shed here costs the client nothing and may be sent again as it is. Cancels go last and have a reserve.

use std::time::Duration;

use admission::{Class, Outcome, Permit};
use auth::Refusal;
use domain::UnixNanos;

use super::Shared;
use crate::{answer::Refused, upstream::SendError};

/// When a client that was turned away may come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Shared {
    /// Lets one more request be under way, or says that there are enough.
    pub(crate) fn let_through(&self, class: Class, now: UnixNanos) -> Result<Permit, Refused> {
        self.concurrency.admit(class).map_err(|shed| {
            self.challenger.overloaded(now);
            tracing::debug!(%shed, "shed");
            let refusal = match class {
                Class::Amend | Class::Cancel | Class::Place | Class::Withdraw => Refusal::SystemBusy,
                Class::Anonymous | Class::PrivateRead | Class::PublicRead => Refusal::ServiceUnavailable,
            };
            Refused { retry_after: Some(RETRY_AFTER), ..Refused::from(refusal).labelled("shed") }
        })
    }
}

/// Says how a request ended that took `latency` from its first byte to the head of its answer.
pub(super) fn settle(permit: Permit, latency: Duration, answered: Result<u16, &SendError>, now: UnixNanos) {
    let outcome = match answered {
        Ok(502..=504) => Outcome::Overloaded,
        Ok(_) => Outcome::Answered,
        Err(SendError::Malformed(_)) => Outcome::Ignored,
        Err(_) => Outcome::Overloaded,
    };
    permit.done(latency, outcome, now);
}
