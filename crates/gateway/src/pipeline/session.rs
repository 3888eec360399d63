//! Sessions of v2 keys, and the keys that signed answers are verified with: both are answered here, never by the
//! exchange.
//!
//! A session is opened by a request that the key itself signed ([`Endpoint::SESSION`](auth::Endpoint::SESSION)), within
//! the limits of the account, once. It lives in memory only and ends at once when its key is frozen or revoked.

use auth::{Refusal, v2::SessionRandom};
use crypto::Secret;
use domain::UnixNanos;

use super::{Charged, Shared};
use crate::{
    answer::{Refused, Reply},
    peer::Peer,
};

impl Shared {
    /// Opens the session that a request asks for.
    pub(super) fn open_session(
        &self,
        charged: &Charged,
        body: &[u8],
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<Reply, Refused> {
        let private_key = Secret::new(crypto::random::array());
        let random = SessionRandom { id: crypto::random::array(), private_key };
        let grant = self.signatures.open_session(charged.verified(), body, peer.ip, None, random, now)?;
        Ok(Reply::json(grant.body()))
    }

    /// Tells the keys that signed answers are verified with.
    pub(super) fn answer_keys(&self) -> Result<Reply, Refused> {
        match &self.answer_signer {
            Some(signer) => Ok(Reply::json(signer.key_set())),
            None => Err(Refusal::EndpointUnavailable.into()),
        }
    }
}
