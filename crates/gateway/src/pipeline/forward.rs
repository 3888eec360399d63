//! What the exchange gets: the request line and body as signed, the head written anew, and the gateway's own words.

use auth::{Refusal, Verified};
use domain::AccountId;
use tokio::time::Instant;

use super::{Charged, Routed, Shared, Standing, observe, overload::Turn, signed_answer::is_signable};
use crate::{
    answer::{DECISION, Refused, Reply},
    buffer::Buffer,
    http1::{head::View, text},
    model::Observed,
    peer::Peer,
    upstream::{Answer, SendError},
};

/// A request that may go to the exchange, as the bytes that are sent.
#[derive(Debug)]
pub(crate) struct Passage {
    request: Buffer,
    is_get: bool,
    verified: Option<Verified>,
    standing: Option<Standing>,
    decision: Option<String>,
    /// One of those that may be with the exchange at once.
    turn: Turn,
    /// To be learned from, once it has succeeded.
    observed: Option<Box<Observed>>,
    /// The `Signature` field, if the answer is to be signed for it.
    answer_for: Option<Box<[u8]>>,
}

impl Passage {
    pub(super) fn new(
        shared: &Shared,
        peer: &Peer,
        routed: &Routed<'_>,
        body: &[u8],
        charged: Option<Charged>,
        decision: Option<String>,
        turn: Turn,
    ) -> Self {
        let mut request = Buffer::default();
        let (verified, standing) = match charged.map(Charged::into_parts) {
            Some((verified, standing)) => (Some(verified), standing),
            None => (None, None),
        };
        let out = request.writer();
        out.extend_from_slice(routed.view.method());
        out.push(b' ');
        out.extend_from_slice(routed.view.target());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(shared.upstream.lines());
        out.extend_from_slice(peer.forwarded_for.as_bytes());
        if let Some(verified) = &verified {
            push_field(out, b"x-caponier-account", verified.account().as_str().as_bytes());
            push_field(out, b"x-caponier-key", verified.key_id().as_str().as_bytes());
        }
        if let Some(decision) = &decision {
            push_field(out, DECISION.as_bytes(), decision.as_bytes());
        }
        // Nobody checked the credential of a public request, so nobody behind may believe it.
        for (name, value) in routed.view.fields(verified.is_some()) {
            push_field(out, name, value);
        }
        if !routed.is_get {
            push_length(out, body);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        let observed = shared.learner.as_ref().map(|_| Box::new(Observed::of(&routed.as_modelled(body))));
        Self {
            request,
            is_get: routed.is_get,
            verified,
            standing,
            decision,
            turn,
            observed,
            answer_for: None,
        }
    }

    /// A request whose sender nobody has proven, as it came.
    pub(super) fn unproven(shared: &Shared, peer: &Peer, view: View<'_>, body: &[u8], turn: Turn) -> Self {
        let mut request = Buffer::default();
        let out = request.writer();
        out.extend_from_slice(view.method());
        out.push(b' ');
        out.extend_from_slice(view.target());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(shared.upstream.lines());
        out.extend_from_slice(peer.forwarded_for.as_bytes());
        for (name, value) in view.all_fields().filter(|(name, _)| observe::is_sent_on(name)) {
            push_field(out, name, value);
        }
        let is_get = view.method() == b"GET";
        if !is_get || !body.is_empty() {
            push_length(out, body);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        Self {
            request,
            is_get,
            verified: None,
            standing: None,
            decision: None,
            turn,
            observed: None,
            answer_for: None,
        }
    }

    /// Whose answer is to be signed for this `Signature` field.
    pub(super) fn answered_for(self, answer_for: Option<Box<[u8]>>) -> Self {
        Self { answer_for, ..self }
    }
}

/// Appends a header line.
pub(crate) fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn push_length(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(b"content-length: ");
    text::push_number(out, body.len() as u64);
    out.extend_from_slice(b"\r\n");
}

/// What the exchange answered.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "an answer that is passed on is the usual case")]
pub(crate) enum Answered {
    /// To be passed on as it comes.
    Passed(Relayed),
    /// Read to its end and signed.
    Whole(Reply),
}

/// An answer to be passed on, with the id of the decision that let the request through.
#[derive(Debug)]
pub(crate) struct Relayed {
    pub(crate) answer: Answer,
    pub(crate) decision: Option<String>,
    /// What the sender has left.
    pub(crate) standing: Option<Standing>,
}

impl Shared {
    /// Sends a request to the exchange.
    pub(crate) async fn forward(&self, passage: Passage) -> Result<Answered, Refused> {
        let Passage { request, is_get, verified, standing, decision, turn, observed, answer_for } = passage;
        let began = Instant::now();
        let sent = self.upstream.send(request).await;
        let answered = sent.as_ref().map(|answer| answer.head.status);
        turn.settle(began.elapsed(), answered, self.clock.now());
        match sent {
            Ok(answer) => {
                self.metrics.forwarded();
                if let (Some(learner), Some(observed), 200) = (&self.learner, observed, answer.head.status) {
                    observed.teach(&mut learner.lock());
                }
                let Some(answer_for) = answer_for.filter(|_| is_signable(&answer)) else {
                    return Ok(Answered::Passed(Relayed { answer, decision, standing }));
                };
                match self.sign_answer(answer, decision.as_deref(), standing.as_ref(), &answer_for).await {
                    Ok(reply) => Ok(Answered::Whole(reply)),
                    Err(refused) => {
                        let account = verified.map(|verified| verified.account().clone());
                        Err(self.told(refused, account, decision, standing, Some(&answer_for)))
                    }
                }
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no answer from the upstream");
                let account = verified.map(|verified| verified.account().clone());
                let refused = unanswered(&error, is_get);
                Err(self.told(refused, account, decision, standing, answer_for.as_deref()))
            }
        }
    }
}

impl Shared {
    /// A refusal with all that belongs to its request.
    fn told(
        &self,
        refused: Refused,
        account: Option<AccountId>,
        decision: Option<String>,
        standing: Option<Standing>,
        answer_for: Option<&[u8]>,
    ) -> Refused {
        let (decision, standing) = (decision.map(String::into_boxed_str), standing.map(Box::new));
        let refused = Refused { account, decision, standing, ..refused };
        self.sign_refusal(refused, answer_for, self.clock.now())
    }
}

/// What the client hears when the exchange gave no answer. Once a request that changes something may have arrived,
/// its outcome is unknown, and the text says so.
fn unanswered(error: &SendError, is_get: bool) -> Refused {
    let unknown = if is_get { Refusal::ServiceUnavailable } else { Refusal::UpstreamTimeout };
    match error {
        SendError::Busy => Refused::from(Refusal::SystemBusy).labelled("upstream_busy"),
        SendError::Connect(_) => Refused::from(Refusal::ServiceUnavailable).labelled("upstream_down"),
        SendError::Timeout => Refused::from(Refusal::UpstreamTimeout).labelled("upstream_timeout"),
        SendError::Lost(_) => Refused::from(unknown).labelled("upstream_lost"),
        SendError::Malformed(_) => Refused::from(unknown).labelled("upstream_malformed"),
    }
}
