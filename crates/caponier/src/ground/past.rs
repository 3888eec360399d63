//! The past played again through other bundles, while the present ones go on judging.

use std::sync::Arc;

use fraud::Fraud;
use journal::{Kind, record};
use watch::customers::Customers;

use super::{
    Ground,
    fold::{Fold, Keys},
};
use crate::{
    bundles::Lives,
    exit::{Exit, Failure},
};

/// Entries between two questions whether to go on.
const STRIDE: u64 = 4_096;

impl Ground {
    /// Folds the journal up to `end` into bundles that nothing is served from, by the very step that serves. `go_on` is
    /// told entries done after each stretch and says whether to go on; returns whether the end was reached.
    ///
    /// # Errors
    /// [`Failure`] when an entry cannot be read or does not fit.
    pub(crate) fn play(
        &self,
        lives: Lives,
        end: u64,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, Failure> {
        let fraud = Fraud::new(self.fraud_config.clone())
            .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
        let customers = Arc::new(Customers::new(self.customers_config.clone()));
        let fraud = Arc::new(fraud);
        let mut fold = Fold::new(&self.journal, Keys::scratch(), fraud, Arc::default(), customers, lives);
        while fold.applied() < end {
            let before = fold.applied();
            let next = end.min(before.saturating_add(STRIDE));
            fold.catch_up(&self.journal, next).map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
            if fold.applied() == before || !go_on(fold.applied()) {
                return Ok(fold.applied() >= end);
            }
        }
        Ok(true)
    }

    /// Every event up to `end`, in order; those of erased persons are left out. `each` says whether to go on.
    ///
    /// # Errors
    /// [`Failure`] when an entry cannot be read.
    pub(crate) fn events(
        &self,
        end: u64,
        each: &mut dyn FnMut(u64, &domain::Event) -> bool,
    ) -> Result<(), Failure> {
        let io = |error: &dyn std::fmt::Display| Failure::new(Exit::Io, error.to_string());
        let mut reader = self.journal.reader(0);
        let mut payload = Vec::new();
        while reader.position() < end {
            let position = reader.position();
            let Some(next) = reader.next_ref() else { break };
            let next = next.map_err(|error| io(&error))?;
            if next.kind != Kind::Event {
                continue;
            }
            if !self.journal.open_payload_into(&next, &mut payload).map_err(|error| io(&error))? {
                continue;
            }
            let event = record::decode_event(&payload).map_err(|error| io(&error))?;
            if !each(position, &event) {
                break;
            }
        }
        Ok(())
    }
}
