//! The small HTTP client that talks to the decision listener: one kind of call, bounded in time and size.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::config::EventsTarget;

/// Largest answer read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CallError {
    /// The answer was too long or broke off.
    #[error("answer of the decision listener could not be read")]
    AnswerUnreadable,
    /// The token is not a header value.
    #[error("request to the decision listener could not be built")]
    RequestInvalid(#[source] http::Error),
    /// No answer in time.
    #[error("decision listener did not answer in time")]
    TimedOut,
    /// No connection.
    #[error("decision listener is unreachable")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
}

/// Keeps connections to one listener.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    target: EventsTarget,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(target: EventsTarget) -> Self {
        Self { target, http: HyperClient::builder(TokioExecutor::new()).build_http() }
    }

    /// Posts `body` and reads the answer, within `timeout` altogether.
    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &'static str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let request = Request::post(format!("http://{}{path}", self.target.addr))
            .header(header::CONTENT_TYPE, content_type)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.target.token.expose()))
            .body(Full::new(body))
            .map_err(CallError::RequestInvalid)?;
        let call = async {
            let response = self.http.request(request).await.map_err(CallError::Unreachable)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(|_| CallError::AnswerUnreadable)?.to_bytes();
            Ok((status, body))
        };
        tokio::time::timeout(timeout, call).await.map_err(|_| CallError::TimedOut)?
    }
}
