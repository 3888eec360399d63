//! Who sent it: the signature over the raw bytes of the request.
//!
//! Under the OKX scheme the body is part of what is signed, and once per key a slow check of the passphrase follows.
//! An HTTP message signature ([`auth::v2`]) covers the head and a digest of the body, so the head is proven before a
//! byte of the body is awaited, as is the access token of an app ([`auth::oauth`]). A request that carries more than one
//! of them is refused, and so is a v2 key under the OKX scheme.

use std::sync::Arc;

use auth::{
    Endpoint, Refusal, RequestHead, Verification, Verified,
    v2::{Fault, Head, SignedFields, VerifiedHead},
};
use domain::UnixNanos;
use tokio::time::timeout;

use super::{Routed, Shared, expiry::Expiry};
use crate::{answer::Refused, peer::Peer};

/// The header field by which a client asks for a signed answer (RFC 9421 section 5.1).
const ACCEPT_SIGNATURE: &[u8] = b"accept-signature";
/// What must stand in it.
const ANSWER_TAG: &[u8] = b"tag=\"caponier-v2-answer\"";

/// What a request says to prove its sender, as far as it can be judged without the body.
#[derive(Debug)]
pub(super) enum Claim<'a> {
    /// Everything is proven: an access token covers no body.
    App(Box<Verified>),
    /// Nothing is proven yet.
    Okx(RequestHead<'a>),
    /// The head is proven.
    V2(Box<Signed<'a>>),
}

/// A head with a good HTTP message signature.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    head: VerifiedHead,
    /// The `Signature` field, if the answer is to be signed for it.
    answer_for: Option<&'a [u8]>,
    expiry: Option<Expiry>,
}

/// A request whose sender is proven.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) verified: Verified,
    /// The `Signature` field, if the answer is to be signed for it.
    pub(super) answer_for: Option<Box<[u8]>>,
    pub(super) expiry: Option<Expiry>,
}

impl Shared {
    /// Judges what a request says to prove its sender, before its body is read.
    pub(super) fn claim<'a>(
        &self,
        routed: &Routed<'a>,
        body_is_here: bool,
        peer: &Peer,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Claim<'a>, Refused> {
        if let Some(authorization) = routed.view.app_authorization() {
            let verified = self.claim_app(routed, authorization, peer, endpoint, now)?;
            return Ok(Claim::App(Box::new(verified)));
        }
        if routed.view.head.is_signed {
            let malformed = |fault: Fault| Refusal::SignatureMalformed { fault };
            let fields = SignedFields::collect(routed.view.all_fields()).map_err(malformed)?;
            if let Some(fields) = fields {
                return self.claim_v2(routed, &fields, peer, endpoint, now);
            }
        }
        let head = routed.signed();
        if !body_is_here {
            // Whatever fails before the signature fails before a byte of the body is awaited.
            match self.authenticator.verify(&head, b"", peer.ip, endpoint, now) {
                Err(refusal) if refusal != Refusal::SignatureInvalid => return Err(refusal.into()),
                _ => {}
            }
        }
        Ok(Claim::Okx(head))
    }

    fn claim_v2<'a>(
        &self,
        routed: &Routed<'a>,
        fields: &SignedFields<'a>,
        peer: &Peer,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Claim<'a>, Refused> {
        let view = routed.view;
        let head = Head {
            method: view.method(),
            authority: view.host(),
            target: view.target(),
            // Where a proxy in front ends TLS, clients speak https all the same.
            https: peer.tls.is_some() || !self.proxy_trusted.is_empty(),
            ip: peer.ip,
            // Clients spread requests over connections, so sessions are bound to addresses only.
            tls_exporter: None,
        };
        let named = |refused: Refused| {
            let api_key = self.signatures.key_named(fields);
            refused.named(api_key.as_deref().map(str::as_bytes))
        };
        if self.guard.has_bans() {
            // A key that is banned here is not worth the cost of its signature.
            let api_key = self.signatures.key_named(fields);
            let class = routed.route.criticality;
            self.check_key(peer.ip, api_key.as_deref(), class, now).map_err(named)?;
        }
        let verified = self.signatures.verify_head(&head, fields, endpoint, now);
        let head = verified.map_err(|refusal| named(refusal.into()))?;
        let asks = |(name, value): (&[u8], &[u8])| {
            name.eq_ignore_ascii_case(ACCEPT_SIGNATURE)
                && value.windows(ANSWER_TAG.len()).any(|part| part == ANSWER_TAG)
        };
        let is_asked = self.answer_signer.is_some() && view.all_fields().any(asks);
        let answer_for = is_asked.then(|| fields.signature());
        let expiry = view.field(b"exptime").map(|text| Expiry::parse(text, now)).transpose()?;
        Ok(Claim::V2(Box::new(Signed { head, answer_for, expiry })))
    }

    /// Proves the sender of a request.
    pub(super) async fn verify(
        &self,
        claim: Claim<'_>,
        body: &[u8],
        peer: &Peer,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Proven, Refused> {
        match claim {
            Claim::App(verified) => Ok(Proven { verified: *verified, answer_for: None, expiry: None }),
            Claim::Okx(head) => {
                let attempt = || self.authenticator.verify(&head, body, peer.ip, endpoint, now);
                Ok(Proven { verified: self.prove(attempt).await?, answer_for: None, expiry: None })
            }
            Claim::V2(signed) => {
                let Signed { head, answer_for, expiry } = *signed;
                let key_id = head.key_id().clone();
                let verified = head.with_body(body);
                let verified = verified
                    .map_err(|refusal| Refused::from(refusal).named(Some(key_id.as_str().as_bytes())))?;
                Ok(Proven { verified, answer_for: answer_for.map(Box::from), expiry })
            }
        }
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
