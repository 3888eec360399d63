//! What an operator asks about fraud.

use domain::{Event, EventContext, EventId, EventKind, LabelTarget};
use serde_json::json;

use super::{Core, handle::account_id};
use crate::{
    control::{FraudRequest, LabelWords, Response},
    exit::{Exit, Failure},
};

impl Core {
    pub(super) async fn fraud(&self, request: FraudRequest) -> Result<Response, Failure> {
        match request {
            FraudRequest::DeadLetters { from } => {
                Ok(Response::Fraud(self.dead_letters.page(from, api::limits::DEAD_LETTERS_PAGE_MAX)))
            }
            FraudRequest::Label(words) => self.label(words).await,
        }
    }

    /// Records that something turned out to be fraud, or not.
    async fn label(&self, words: LabelWords) -> Result<Response, Failure> {
        let input = |error: &dyn std::fmt::Display| Failure::new(Exit::Input, error.to_string());
        let LabelWords { account, event, decision, is_fraud, source } = words;
        let account = account_id(&account)?;
        if source.is_empty()
            || source.len() > api::limits::NAME_BYTES_MAX
            || source.contains(char::is_control)
        {
            let reason =
                format!("the source is 1 to {} bytes of printable text", api::limits::NAME_BYTES_MAX);
            return Err(Failure::new(Exit::Input, reason));
        }
        let target = match (event, decision) {
            (Some(event), None) => LabelTarget::Event(EventId::parse(&event).map_err(|error| input(&error))?),
            (None, Some(id)) => {
                let position = self.decision_position(&id);
                let unknown = || Failure::new(Exit::NotFound, format!("there is no decision {id:?} here"));
                LabelTarget::Decision(position.ok_or_else(unknown)?)
            }
            (None, None) => LabelTarget::Account,
            (Some(_), Some(_)) => {
                return Err(Failure::new(Exit::Usage, "a label is about an event or a decision, not both"));
            }
        };
        let id = format!("label-{}", hex::encode(crypto::random::array::<16>()));
        let event = Event {
            id: EventId::parse(&id).map_err(|error| input(&error))?,
            account,
            occurred_at: self.clock.now(),
            device: None,
            ip: None,
            context: EventContext::default(),
            kind: EventKind::Label { target, is_fraud, source },
        };
        let recorded = self
            .record_events(vec![event])
            .await
            .map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
        if recorded.erased > 0 {
            return Err(Failure::new(
                Exit::Input,
                "data of the account was erased: nothing more is recorded",
            ));
        }
        Ok(Response::Fraud(json!({ "event": id })))
    }
}
