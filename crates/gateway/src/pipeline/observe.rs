//! A gateway that only looks: what it would refuse is counted, and goes to the exchange as if there were no gateway.
//!
//! For the time before the gateway answers for anything: the keys are still the exchange's own, and nobody's request may
//! fail because of what is tried out. A request that would be refused is sent on with every field of its sender, also
//! with credentials this gateway does not know, and without a word of the gateway's own about who sent it. The exchange
//! must therefore authenticate it itself, and [`Config::mode`](crate::Config::mode) goes with no upstream token.
//!
//! What stays refused in either mode: heads that two servers may read differently (whoever stands behind such a gateway
//! would be open to request smuggling), methods other than those of APIs, upgrades, bodies beyond
//! [`BODY_BYTES_MAX`], and what the exchange itself has no room for. Connections stay within their caps.

use auth::Refusal;
use domain::UnixNanos;

use super::{Admitted, Body, Passage, Shared, Stopped, Unreadable};
use crate::{answer::Refused, http1::head::View, peer::Peer, strict::Field};

/// Longest body that is sent on without being understood.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Methods an API may have. `HEAD`, `CONNECT` and `TRACE` change how an answer or a connection is read.
const METHODS: [&[u8]; 6] = [b"DELETE", b"GET", b"OPTIONS", b"PATCH", b"POST", b"PUT"];

/// Whether the gateway has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// What is refused is not forwarded.
    #[default]
    Enforce,
    /// What would be refused is counted and forwarded as it came.
    Observe,
}

impl Shared {
    /// What becomes of a request that would be refused, while the gateway only looks.
    pub(super) async fn pass_unproven<B: Body>(
        &self,
        peer: &Peer,
        view: View<'_>,
        body: &mut B,
        refused: Refused,
        now: UnixNanos,
    ) -> Result<Admitted, Stopped> {
        if view.head.is_ambiguous || view.head.is_upgrade || !METHODS.contains(&view.method()) {
            return Err(refused.into());
        }
        body.read(BODY_BYTES_MAX, self.timeouts.body).await.map_err(|unreadable| {
            let refusal = match unreadable {
                Unreadable::Broken => Refusal::JsonInvalid,
                Unreadable::TooLarge => Refusal::ParameterInvalid { parameter: "body".to_owned() },
                Unreadable::TooSlow => Refusal::UpstreamTimeout,
            };
            Refused::from(refusal).labelled(unreadable.label())
        })?;
        self.metrics.shadow(refused.label);
        // Of the class that is shed last: nobody is turned away by what is tried out.
        let turn = self.let_through(admission::concurrency::Class::Cancel, now).await?;
        Ok(Admitted::Forward(Passage::unproven(self, peer, view, body.bytes(), turn)))
    }
}

/// Whether a field goes on as its sender wrote it: all but those that speak of the connection, state an identity only a
/// proxy may state, or are written anew.
pub(super) fn is_sent_on(name: &[u8]) -> bool {
    !matches!(
        Field::named(name),
        Field::Connection
            | Field::ContentLength
            | Field::Dropped
            | Field::Expect
            | Field::Host
            | Field::TransferEncoding
            | Field::Upgrade
    )
}
