//! Answers: those of the exchange as they stream through, and those the gateway gives itself, always as JSON.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use auth::Refusal;
use bytes::Bytes;
use domain::AccountId;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};

use crate::{
    connection::InFlight,
    upstream::{BodyError, UpstreamBody},
};

/// Carries the id of the decision about a withdrawal, to the exchange and to the client.
pub(crate) const DECISION: HeaderName = HeaderName::from_static("x-caponier-decision");

/// A request that is answered here and not by the exchange.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    /// Metric label; the refusal's own unless several causes share it.
    pub(crate) label: &'static str,
    /// Whose request it was, once that is proven.
    pub(crate) account: Option<AccountId>,
    pub(crate) retry_after: Option<Duration>,
    /// Id of the decision behind it.
    pub(crate) decision: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let label = refusal.label();
        Self { refusal, label, account: None, retry_after: None, decision: None }
    }
}

impl Refused {
    pub(crate) fn of(self, account: &AccountId) -> Self {
        Self { account: Some(account.clone()), ..self }
    }

    pub(crate) fn labelled(self, label: &'static str) -> Self {
        Self { label, ..self }
    }

    /// The answer. A message about a decision starts with the documented text and ends with the decision's id.
    pub(crate) fn into_response(self) -> Response<Payload> {
        let body = match &self.decision {
            None => self.refusal.body(),
            Some(id) => {
                let message = format!("{} (decision {id})", self.refusal.message());
                let message = serde_json::Value::String(message);
                format!("{{\"code\":\"{}\",\"msg\":{message},\"data\":[]}}", self.refusal.code())
            }
        };
        let mut response = Response::new(Payload::Whole(Some(Bytes::from(body))));
        *response.status_mut() =
            StatusCode::from_u16(self.refusal.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            // Whole seconds, rounded up: coming back earlier would be refused again.
            let wait = self.retry_after.unwrap_or(Duration::from_secs(1));
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some(id) = self.decision.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            response.headers_mut().insert(DECISION, id);
        }
        response
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    Whole(Option<Bytes>),
    Upstream(UpstreamBody),
}

/// A body that keeps its request counted as in flight until it is handed over or given up.
#[derive(Debug)]
pub(crate) struct Tracked {
    payload: Payload,
    in_flight: InFlight,
}

impl Tracked {
    pub(crate) const fn new(payload: Payload, in_flight: InFlight) -> Self {
        Self { payload, in_flight }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.in_flight.advance();
        match &mut self.payload {
            Payload::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Payload::Upstream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.payload {
            Payload::Whole(bytes) => bytes.is_none(),
            Payload::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.payload {
            Payload::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Payload::Upstream(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(response: &Response<Payload>) -> serde_json::Value {
        match response.body() {
            Payload::Whole(Some(bytes)) => serde_json::from_slice(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_decision_is_named_in_text_and_header() {
        let refused = Refused { decision: Some("d-\"1".to_owned()), ..Refusal::WithdrawalHeld.into() };
        let response = refused.into_response();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-caponier-decision"], "d-\"1");
        let body = body(&response);
        assert_eq!(body["code"], "58204");
        assert_eq!(body["data"], serde_json::json!([]));
        let message = body["msg"].as_str().unwrap();
        assert!(message.starts_with(&*Refusal::WithdrawalHeld.message()), "{message}");
        assert!(message.ends_with(" (decision d-\"1)"), "{message}");
    }

    #[test]
    fn limits_say_when_to_come_back() {
        let wait = |retry_after| {
            let response = Refused { retry_after, ..Refusal::RateLimited.into() }.into_response();
            response.headers()["retry-after"].to_str().unwrap().to_owned()
        };
        assert_eq!(wait(Some(Duration::from_millis(1_001))), "2");
        assert_eq!(wait(Some(Duration::from_secs(2))), "2");
        assert_eq!(wait(Some(Duration::ZERO)), "1");
        assert_eq!(wait(None), "1");
        assert!(
            !Refused::from(Refusal::SignatureInvalid).into_response().headers().contains_key("retry-after")
        );
    }
}
