//! Answers signed for clients that ask for it, so that they notice whoever changes one on the way.
//!
//! Only requests whose sender is proven are answered so: a signature costs some 20 microseconds. What the exchange
//! answers must be whole before it can be signed; bound: [`SIGNED_BYTES_MAX`]. A longer answer of a length the exchange
//! states is passed on unsigned; one without is cut off, and the client told that the outcome is unknown.

use std::{borrow::Cow, future::poll_fn};

use auth::Refusal;
use crypto::sha256;
use domain::UnixNanos;

use super::{Shared, Standing};
use crate::{
    answer::{DECISION, RATE_LIMIT, RATE_LIMIT_POLICY, Refused, Reply, is_signature_field},
    http1::body::{Framing, Step},
    upstream::{Answer, AnswerBody, BodyError},
};

/// Longest answer that is signed, in bytes.
const SIGNED_BYTES_MAX: usize = 1 << 20;

/// Whether an answer of the exchange can be signed.
pub(super) fn is_signable(answer: &Answer) -> bool {
    let has_body = !matches!(answer.head.status, 204 | 304);
    has_body && !matches!(answer.head.framing, Framing::Length(length) if length > SIGNED_BYTES_MAX as u64)
}

impl Shared {
    /// Signs an answer of the gateway's own, where the client asked for it.
    pub(super) fn sign_reply(&self, reply: Reply, answer_for: Option<&[u8]>, now: UnixNanos) -> Reply {
        let (Some(signer), Some(answer_for)) = (&self.answer_signer, answer_for) else { return reply };
        match signer.sign(reply.status, &sha256(&[&reply.body]), answer_for, now) {
            Ok(signed) => reply.signed(signed),
            // A verified request has a `Signature` that can stand in a line.
            Err(_) => reply,
        }
    }

    /// Signs a refusal of a request whose sender was proven, where the client asked for it.
    pub(super) fn sign_refusal(
        &self,
        refused: Refused,
        answer_for: Option<&[u8]>,
        now: UnixNanos,
    ) -> Refused {
        let (Some(signer), Some(answer_for)) = (&self.answer_signer, answer_for) else { return refused };
        let digest = sha256(&[refused.body().as_bytes()]);
        match signer.sign(refused.status(), &digest, answer_for, now) {
            Ok(signed) => refused.signed(signed),
            // As above.
            Err(_) => refused,
        }
    }

    /// Reads an answer of the exchange to its end and signs it.
    pub(super) async fn sign_answer(
        &self,
        answer: Answer,
        decision: Option<&str>,
        standing: Option<&Standing>,
        answer_for: &[u8],
    ) -> Result<Reply, Refused> {
        let passed = |(name, _): &(&[u8], &[u8])| !is_signature_field(name);
        let owned = |(name, value): (&[u8], &[u8])| (Cow::Owned(name.to_vec()), value.to_vec());
        let mut fields: Vec<_> = answer.fields().filter(passed).map(owned).collect();
        fields.extend(decision.map(|id| (Cow::Borrowed(DECISION.as_bytes()), id.as_bytes().to_vec())));
        if let Some(standing) = standing {
            let left = standing.left().into_bytes();
            fields.push((Cow::Borrowed(RATE_LIMIT_POLICY.as_bytes()), standing.policy().as_bytes().to_vec()));
            fields.push((Cow::Borrowed(RATE_LIMIT.as_bytes()), left));
        }
        let (status, has_date) = (answer.head.status, answer.head.has_date);
        let body = match collect(answer.into_body()).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err(Refused::from(Refusal::UpstreamTimeout).labelled("answer_too_large")),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "an answer broke off");
                return Err(Refused::from(Refusal::UpstreamTimeout).labelled("upstream_lost"));
            }
        };
        let reply = Reply { status, fields, has_date, body };
        Ok(self.sign_reply(reply, Some(answer_for), self.clock.now()))
    }
}

/// All of a body; `None` if it is longer than is signed.
async fn collect(mut body: AnswerBody) -> Result<Option<Vec<u8>>, BodyError> {
    let mut whole = Vec::new();
    loop {
        match body.step()? {
            Step::Data(n) => {
                let data = body.unread().get(..n).unwrap_or_default();
                if whole.len() + data.len() > SIGNED_BYTES_MAX {
                    return Ok(None);
                }
                whole.extend_from_slice(data);
                body.consume(n);
            }
            Step::End => return Ok(Some(whole)),
            Step::More | Step::Skip(_) => poll_fn(|cx| body.poll_fill(cx)).await?,
        }
    }
}
