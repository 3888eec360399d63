//! JSON-RPC 2.0 over HTTP, as nodes speak it: one question, one bounded answer.
//!
//! Connections are kept and used again; how a stream is made (plain, TLS, a test's) is a port, [`Dial`]. Nothing is
//! retried here except a question on a kept connection that turns out to be closed.
//!
//! Bounds: [`IDLE_MAX`] kept connections, the configured bytes of an answer, the configured time from question to
//! answer, depth of JSON 128 (the parser's own).

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::source::SourceError;

/// Connections kept for the next question.
const IDLE_MAX: usize = 4;
/// Longest message of a node that is repeated, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// A two-way stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The future of a dialled stream.
pub type Dialling<'d> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'd>>;

/// Makes streams to nodes: the port to TCP and TLS.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Connects.
    fn dial<'d>(&'d self, endpoint: &'d Endpoint) -> Dialling<'d>;
}

/// Plain TCP. An endpoint that wants TLS is refused, never served without.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainDial;

impl Dial for PlainDial {
    fn dial<'d>(&'d self, endpoint: &'d Endpoint) -> Dialling<'d> {
        Box::pin(async move {
            if endpoint.tls {
                return Err(io::Error::other("no certificates were configured to trust"));
            }
            let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// Where a node is. Its path and credentials may be secrets (hosted nodes put keys there), so they are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// From the first slash on.
    path: String,
    /// The value of an `authorization` header.
    authorization: Option<String>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// A text that is no URL of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a URL such as {example}")]
pub struct BadUrl {
    example: &'static str,
}

impl Endpoint {
    /// Parses `http://[USER:PASSWORD@]HOST[:PORT][/PATH]` or `https://...`.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn http(url: &str) -> Result<Self, BadUrl> {
        let bad = BadUrl { example: "http://127.0.0.1:8545" };
        Self::parse(url, ("http://", 80), ("https://", 443)).ok_or(bad)
    }

    /// Parses `ws://...` or `wss://...`.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn web_socket(url: &str) -> Result<Self, BadUrl> {
        let bad = BadUrl { example: "ws://127.0.0.1:8546" };
        Self::parse(url, ("ws://", 80), ("wss://", 443)).ok_or(bad)
    }

    /// Parses `tcp://HOST:PORT`, the way ZeroMQ writes where it publishes.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn tcp(url: &str) -> Result<Self, BadUrl> {
        let bad = BadUrl { example: "tcp://127.0.0.1:28332" };
        // There is no port that goes without saying, and no TLS.
        Self::parse(url, ("tcp://", 0), ("tcp+tls://", 0)).filter(|endpoint| !endpoint.tls).ok_or(bad)
    }

    fn parse(url: &str, plain: (&str, u16), tls: (&str, u16)) -> Option<Self> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (rest, tls, port) = match (url.strip_prefix(plain.0), url.strip_prefix(tls.0)) {
            (Some(rest), _) => (rest, false, plain.1),
            (_, Some(rest)) => (rest, true, tls.1),
            _ => return None,
        };
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, authority),
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => match v6.split_once(']')? {
                (host, "") => (host, port),
                (host, port) => (host, port.strip_prefix(':')?.parse().ok()?),
            },
            None => match authority.split_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (authority, port),
            },
        };
        if host.is_empty() || host.contains('@') || port == 0 {
            return None;
        }
        Some(Self {
            tls,
            host: host.to_owned(),
            port,
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
            authorization: credentials.map(|both| format!("Basic {}", STANDARD.encode(both))),
        })
    }

    /// The `host` header.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

/// How much is waited for and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From question to the end of the answer.
    pub timeout: Duration,
    /// Longest answer. Receipts of a full block take some 5 MB.
    pub answer_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), answer_bytes_max: 64 << 20 }
    }
}

/// A node that answers questions.
pub struct Rpc {
    endpoint: Endpoint,
    dial: Arc<dyn Dial>,
    limits: Limits,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    next_id: AtomicU64,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rpc({})", self.endpoint)
    }
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<RpcFault>,
}

#[derive(Deserialize)]
struct RpcFault {
    code: i64,
    #[serde(default)]
    message: String,
}

impl Rpc {
    /// A node at an endpoint; nothing is connected yet.
    #[must_use]
    pub fn new(endpoint: Endpoint, dial: Arc<dyn Dial>, limits: Limits) -> Self {
        Self { endpoint, dial, limits, idle: Mutex::default(), next_id: AtomicU64::new(1) }
    }

    /// Asks. `params` is a JSON array.
    ///
    /// # Errors
    /// [`SourceError`]; an answer of another form than `T` is [`SourceError::Malformed`].
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &str,
    ) -> Result<T, SourceError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let question = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        let asked = tokio::time::timeout(self.limits.timeout, self.post(method, Bytes::from(question)));
        let body =
            asked.await.map_err(|_| SourceError::TimedOut { method, after: self.limits.timeout })??;
        let malformed = |detail: String| SourceError::Malformed { method, detail };
        let reply: Reply<'_> =
            serde_json::from_slice(&body).map_err(|error| malformed(format!("not a reply: {error}")))?;
        if let Some(fault) = reply.error {
            let message = fault.message.chars().take(MESSAGE_CHARS_MAX).collect();
            return Err(SourceError::Refused { method, code: fault.code, message });
        }
        if reply.id.is_none_or(|got| got.get() != id.to_string()) {
            return Err(malformed("the reply is to another question".to_owned()));
        }
        // Null is an answer too, and deserializes as `None`; the parser gives it as no result.
        let result = reply.result.map_or("null", RawValue::get);
        serde_json::from_str(result).map_err(|error| malformed(error.to_string()))
    }

    async fn post(&self, method: &'static str, question: Bytes) -> Result<Bytes, SourceError> {
        let unreachable = |detail: String| SourceError::Unreachable { method, detail };
        // A kept connection may have been closed by the other side meanwhile; that is no fault of the node.
        let kept = self.idle.lock().pop();
        if let Some(mut connection) = kept
            && connection.ready().await.is_ok()
            && let Ok(response) = connection.send_request(self.request(question.clone())?).await
        {
            return self.read(method, connection, response).await;
        }
        let stream = self.dial.dial(&self.endpoint).await.map_err(|error| unreachable(error.to_string()))?;
        let (mut connection, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
        tokio::spawn(async move {
            // Ends with the connection; how, the question on it tells.
            drop(driver.await);
        });
        let response = connection
            .send_request(self.request(question)?)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        self.read(method, connection, response).await
    }

    fn request(&self, question: Bytes) -> Result<Request<Full<Bytes>>, SourceError> {
        let mut request = Request::post(self.endpoint.path())
            .header(header::HOST, self.endpoint.authority())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.endpoint.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request
            .body(Full::new(question))
            .map_err(|error| SourceError::Unreachable { method: "request", detail: error.to_string() })
    }

    async fn read(
        &self,
        method: &'static str,
        connection: SendRequest<Full<Bytes>>,
        response: http::Response<hyper::body::Incoming>,
    ) -> Result<Bytes, SourceError> {
        let status = response.status();
        let bytes_max = self.limits.answer_bytes_max;
        let body = Limited::new(response.into_body(), bytes_max).collect().await;
        let body = match body {
            Ok(body) => body.to_bytes(),
            Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
                return Err(SourceError::TooLarge { method, bytes_max });
            }
            Err(error) => return Err(SourceError::Unreachable { method, detail: error.to_string() }),
        };
        {
            let mut idle = self.idle.lock();
            if idle.len() < IDLE_MAX {
                idle.push(connection);
            }
        }
        // Bitcoin Core answers 404 and 500 with a reply in the body that says more than the status.
        if status != StatusCode::OK && serde_json::from_slice::<Reply<'_>>(&body).is_err() {
            let message = status.canonical_reason().unwrap_or("no success").to_owned();
            return Err(SourceError::Refused { method, code: i64::from(status.as_u16()), message });
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let plain = Endpoint::http("http://127.0.0.1:8545").unwrap();
        assert_eq!((plain.tls, plain.authority().as_str(), plain.path()), (false, "127.0.0.1:8545", "/"));
        let hosted = Endpoint::http("https://user:secret@node.example/v3/key?x=1").unwrap();
        assert_eq!((hosted.tls, hosted.port, hosted.path()), (true, 443, "/v3/key?x=1"));
        assert_eq!(hosted.authorization(), Some("Basic dXNlcjpzZWNyZXQ="));
        assert_eq!(format!("{hosted} {hosted:?}"), "node.example:443 Endpoint(node.example:443)");
        let v6 = Endpoint::web_socket("wss://[::1]:99?token=k").unwrap();
        assert_eq!((v6.authority().as_str(), v6.path()), ("[::1]:99", "/?token=k"));
        for bad in
            ["", "http://", "ftp://x", "http://:80", "http://h:0", "http://h:99999", "http://h /", "ws://h"]
        {
            assert!(Endpoint::http(bad).is_err(), "{bad}");
        }
    }
}
