//! Once only: a signed request that changes something passes a single time.

use auth::{FirstSight, Verified};
use domain::UnixNanos;

use super::Shared;
use crate::answer::Refused;

impl Shared {
    /// The last check, after the limits: what a limit refused may be sent again as it is. Reads may be repeated.
    pub(super) fn admit_once(
        &self,
        verified: &Verified,
        is_get: bool,
        now: UnixNanos,
    ) -> Result<FirstSight, Refused> {
        let first = self.authenticator.admit_once(verified, is_get, now);
        let first = first.map_err(|refusal| Refused::from(refusal).of(verified.account()))?;
        if verified.use_to_record().is_some() {
            self.observer.key_used(verified.key_id(), now);
        }
        Ok(first)
    }
}
