//! A trading client: signs like any OKX v5 client, over real TLS, from a loopback address of its own.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use domain::Clock;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpSocket, task::JoinHandle};
use tokio_rustls::TlsConnector;

/// Longest answer read.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What signs a request.
#[derive(Clone)]
pub struct Credentials {
    /// `OK-ACCESS-KEY`.
    pub key: String,
    /// Secret of the HMAC.
    pub secret: String,
    /// `OK-ACCESS-PASSPHRASE`.
    pub passphrase: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A request that is signed and may be sent any number of times: what a thief on the path would have.
#[derive(Debug, Clone)]
pub struct Signed {
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Signed {
    /// The same headers over another body: what somebody on the path could try.
    #[must_use]
    pub fn with_body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as JSON.
    pub json: serde_json::Value,
}

impl Answer {
    /// OKX code: `0` is success.
    #[must_use]
    pub fn code(&self) -> &str {
        self.json.get("code").and_then(serde_json::Value::as_str).unwrap_or("")
    }

    /// The id of the decision behind the answer, if there was one.
    #[must_use]
    pub fn decision_id(&self) -> Option<&str> {
        self.headers.get("x-caponier-decision").and_then(|value| value.to_str().ok())
    }
}

/// One client with one connection, reopened when the server closes it.
pub struct Client {
    gateway: SocketAddr,
    from: IpAddr,
    tls: TlsConnector,
    credentials: Option<Credentials>,
    clock: Arc<dyn Clock>,
    connection: Option<(http1::SendRequest<Full<Bytes>>, JoinHandle<()>)>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("gateway", &self.gateway)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some((_, task)) = self.connection.take() {
            task.abort();
        }
    }
}

impl Client {
    /// A client at `from` (a loopback address) that trusts `roots`.
    #[must_use]
    pub fn new(
        gateway: SocketAddr,
        from: IpAddr,
        tls: Arc<rustls::ClientConfig>,
        credentials: Option<Credentials>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { gateway, from, tls: TlsConnector::from(tls), credentials, clock, connection: None }
    }

    /// Signs a request with the current time.
    #[must_use]
    pub fn sign(&self, method: Method, target: &str, body: &str) -> Signed {
        let mut headers = Vec::new();
        if let Some(credentials) = &self.credentials {
            let timestamp = auth::okx::timestamp_text(self.clock.now());
            let signature = auth::okx::sign(
                credentials.secret.as_bytes(),
                &timestamp,
                method.as_str(),
                target,
                body.as_bytes(),
            );
            headers.push(("ok-access-key", credentials.key.clone()));
            headers.push(("ok-access-sign", signature));
            headers.push(("ok-access-timestamp", timestamp));
            headers.push(("ok-access-passphrase", credentials.passphrase.clone()));
        }
        if !body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        Signed { method, target: target.to_owned(), headers, body: body.to_owned() }
    }

    /// Signs and sends.
    ///
    /// # Errors
    /// When no answer arrives, or one that is not JSON.
    pub async fn call(&mut self, method: Method, target: &str, body: &str) -> anyhow::Result<Answer> {
        let signed = self.sign(method, target, body);
        self.send(&signed).await
    }

    /// Sends a signed request, possibly for the second time.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn send(&mut self, signed: &Signed) -> anyhow::Result<Answer> {
        tokio::time::timeout(PATIENCE, self.send_patiently(signed)).await.map_err(|_elapsed| {
            anyhow!("{} {} got no answer in {PATIENCE:?}", signed.method, signed.target)
        })?
    }

    async fn send_patiently(&mut self, signed: &Signed) -> anyhow::Result<Answer> {
        // A connection the server closed while idle is only noticed when used: one more try on a new one. The
        // request was not sent in that case, so nothing can happen twice.
        if let Some((sender, _)) = &mut self.connection
            && sender.ready().await.is_err()
        {
            self.connection = None;
        }
        let is_reused = self.connection.is_some();
        if !is_reused {
            self.connection = Some(self.connect().await?);
        }
        let Some((sender, _)) = &mut self.connection else { bail!("not connected") };
        let mut request = Request::builder()
            .method(signed.method.clone())
            .uri(&signed.target)
            .header("host", format!("localhost:{}", self.gateway.port()));
        for (name, value) in &signed.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(signed.body.clone())))?;
        let answered = sender.send_request(request).await;
        let answer = match answered {
            Ok(answer) => answer,
            // The gateway ends connections of keys that are taken away, which a client may notice too late. What
            // changes nothing may be sent again.
            Err(_) if is_reused && signed.method == Method::GET => {
                self.connection = None;
                return Box::pin(self.send_patiently(signed)).await;
            }
            Err(error) => {
                self.connection = None;
                return Err(error).with_context(|| format!("{} {}", signed.method, signed.target));
            }
        };
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| anyhow!("{} {}: answer broke off: {error}", signed.method, signed.target))?
            .to_bytes();
        let json = serde_json::from_slice(&body)
            .with_context(|| format!("{} {}: answer is not JSON: {body:?}", signed.method, signed.target))?;
        Ok(Answer { status: parts.status, headers: parts.headers, json })
    }

    async fn connect(&self) -> anyhow::Result<(http1::SendRequest<Full<Bytes>>, JoinHandle<()>)> {
        let socket = if self.from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(self.from, 0))?;
        let stream = socket.connect(self.gateway).await.context("connect to the gateway")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = self.tls.connect(name, stream).await.context("TLS handshake with the gateway")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The connection's own error reaches the sender of the request it broke.
        let task = tokio::spawn(async move { drop(connection.await) });
        Ok((sender, task))
    }
}
