//! Who sent it: the signature over the raw bytes, and once per key the slow check of the passphrase.

use std::sync::Arc;

use auth::{Endpoint, Refusal, RequestHead, Verification, Verified};
use domain::UnixNanos;
use tokio::time::timeout;

use super::Shared;
use crate::{answer::Refused, peer::Peer};

impl Shared {
    /// Proves the sender of a request.
    pub(super) async fn verify(
        &self,
        head: &RequestHead<'_>,
        body: &[u8],
        peer: &Peer,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Verified, Refused> {
        self.prove(|| self.authenticator.verify(head, body, peer.ip, endpoint, now)).await
    }

    /// Proves a sender by as many attempts as the slow check of a passphrase takes: one, or one on either side of it.
    pub(crate) async fn prove(
        &self,
        attempt: impl Fn() -> Result<Verification, Refusal>,
    ) -> Result<Verified, Refused> {
        let check = match attempt()? {
            Verification::Verified(verified) => return Ok(verified),
            Verification::CheckPassphrase(check) => check,
        };
        let permit = timeout(self.timeouts.passphrase, Arc::clone(&self.passphrase_checks).acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(Refusal::SystemBusy)
            .map_err(|refusal| Refused::from(refusal).labelled("passphrase_checks_busy"))?;
        // Another request of the same key may have passed the check while this one waited.
        match attempt()? {
            Verification::Verified(verified) => return Ok(verified),
            Verification::CheckPassphrase(_) => {}
        }
        let checked = tokio::task::spawn_blocking(move || {
            let checked = check.run();
            drop(permit);
            checked
        });
        checked.await.map_err(|_| Refusal::SystemError)??;
        match attempt()? {
            Verification::Verified(verified) => Ok(verified),
            // Only if the key was replaced in between; the client may come again.
            Verification::CheckPassphrase(_) => Err(Refusal::SystemBusy.into()),
        }
    }
}
