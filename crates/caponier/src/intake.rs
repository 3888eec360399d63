//! Events on their way into the journal: from the control API and from the command line.

use std::{collections::HashSet, sync::Arc, time::Duration};

use api::{BoxFuture, DeadLetters, IntakeError, Recorded};
use domain::{Asset, Event, Subject};
use journal::{AppendError, Draft, Kind, record};

use crate::{core::Core, ground::RecordError};

/// How long a caller is asked to wait when the journal's queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Core {
    /// Records events in order, each once. On return they are durable and every later decision sees them.
    ///
    /// # Errors
    /// [`IntakeError`]; sending them again is safe.
    pub async fn record_events(&self, events: Vec<Event>) -> Result<Recorded, IntakeError> {
        // One batch at a time, so that an id cannot be new twice.
        let _turn = self.intake_turn.lock().await;
        let received = events.len();
        let mut batch = HashSet::new();
        let mut fresh: Vec<Event> = self.ground.read(|fold| {
            let new = |event: &Event| !fold.knows_event(&event.id) && batch.insert(event.id.clone());
            events.into_iter().filter(new).collect()
        });
        let new = fresh.len();
        let journal = self.ground.journal();
        fresh.retain(|event| !journal.is_erased(&Subject::Account(event.account.clone())));
        let accepted = fresh.len();
        let at = self.clock.now();
        let drafts: Vec<Draft> = fresh
            .iter()
            .map(|event| Draft {
                at,
                subject: Subject::Account(event.account.clone()),
                kind: Kind::Event,
                payload: record::encode_event(event),
            })
            .collect();
        if !drafts.is_empty() {
            self.ground.record(drafts).await.map_err(|error| match error {
                RecordError::Append(AppendError::Overloaded) => {
                    IntakeError::Busy { retry_after: RETRY_AFTER }
                }
                error => {
                    tracing::error!(%error, "events were not recorded");
                    IntakeError::Unavailable { why: error.to_string() }
                }
            })?;
        }
        Ok(Recorded { accepted, duplicates: received - new, erased: new - accepted })
    }

    /// Where the decision of an id stands; `None` for an id of no decision there can be here.
    pub(crate) fn decision_position(&self, id: &str) -> Option<u64> {
        let position = self.decider.ids().position(id).ok();
        position.filter(|position| *position < self.ground.journal().size())
    }
}

/// `api` hands in events.
#[derive(Debug)]
pub struct ApiIntake(pub Arc<Core>);

impl api::Intake for ApiIntake {
    fn record(&self, events: Vec<Event>) -> BoxFuture<'_, Result<Recorded, IntakeError>> {
        Box::pin(self.0.record_events(events))
    }

    fn knows_asset(&self, asset: &Asset) -> bool {
        let known = &self.0.config.fraud.assets;
        known.is_empty() || known.contains(asset)
    }

    fn decision_position(&self, id: &str) -> Option<u64> {
        self.0.decision_position(id)
    }

    fn dead_letters(&self) -> &DeadLetters {
        &self.0.dead_letters
    }
}
