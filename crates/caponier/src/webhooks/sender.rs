//! One try: resolve, check the address, connect to it, ask, look at the status. Nothing is followed and nothing is kept.
//!
//! # Bounds
//! The whole try has one time limit; of names at most [`ADDRESSES_MAX`] addresses are tried; the head of an answer has at most
//! [`ANSWER_BYTES_MAX`] bytes, its body is not read.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use domain::UnixNanos;
use http::{Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use webhook::{Guard, Host, SIGNATURE_HEADERS, Target};

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Longest head of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Longest wait an endpoint can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken.
    Delivered {
        /// 2xx.
        status: u16,
    },
    /// It was not.
    Failed(Refused),
    /// The endpoint wants nothing any more (410).
    Gone,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// One word, for counters.
    pub(super) class: &'static str,
    /// In words.
    pub(super) why: String,
    /// When the endpoint asks to be tried again.
    pub(super) retry_after: Option<Duration>,
}

impl Refused {
    fn new(class: &'static str, why: impl Into<String>) -> Self {
        Self { class, why: why.into(), retry_after: None }
    }
}

/// A signed message.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) at: UnixNanos,
    pub(super) signatures: String,
    pub(super) body: Arc<[u8]>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Who sends.
#[derive(Debug)]
pub(super) struct Sender {
    guard: Guard,
    time_limit: Duration,
    ca_file: PathBuf,
    /// Made for the first message over TLS, or why there is none. Read again after a restart.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Sender {
    /// With the roots of a file to trust. One that cannot be read fails each message over TLS, and not the start.
    pub(super) fn new(guard: Guard, time_limit: Duration, ca_file: &Path) -> Self {
        Self { guard, time_limit, ca_file: ca_file.to_owned(), tls: OnceLock::new() }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        self.tls.get_or_init(|| client_config(&self.ca_file).map(Arc::new)).clone()
    }

    /// Sends a message once.
    pub(super) async fn send(&self, target: &Target, letter: &Letter) -> Outcome {
        match timeout(self.time_limit, self.attempt(target, letter)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(refused)) => Outcome::Failed(refused),
            Err(_elapsed) => {
                let why = format!("no answer within {} ms", self.time_limit.as_millis());
                Outcome::Failed(Refused::new("timeout", why))
            }
        }
    }

    async fn attempt(&self, target: &Target, letter: &Letter) -> Result<Outcome, Refused> {
        let stream = self.connect(target).await?;
        let stream: Box<dyn Stream> = if target.is_tls() {
            let config = self.tls().map_err(|why| Refused::new("tls", why))?;
            let name = match target.host() {
                Host::Address(address) => ServerName::from(*address),
                Host::Name(name) => ServerName::try_from(name.clone())
                    .map_err(|_| Refused::new("tls", "the host is no name a certificate can have"))?,
            };
            let connected = TlsConnector::from(config).connect(name, stream).await;
            Box::new(connected.map_err(|error| Refused::new("tls", format!("TLS: {error}")))?)
        } else {
            Box::new(stream)
        };
        self.ask(stream, target, letter).await
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, Refused> {
        let port = target.port();
        let found: Vec<SocketAddr> = match target.host() {
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(name) => lookup_host((name.as_str(), port))
                .await
                .map_err(|error| Refused::new("dns", format!("{name} does not resolve: {error}")))?
                .collect(),
        };
        let is_tls = target.is_tls();
        let (permitted, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|address| self.guard.permits(address.ip(), is_tls));
        let mut last = match others.first() {
            Some(address) => self.forbidden(address.ip(), is_tls),
            None => Refused::new("dns", "the host has no address"),
        };
        for address in permitted.into_iter().take(ADDRESSES_MAX) {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Without it, the body waits for the head to be acknowledged; nothing else depends on it.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Err(error) => last = Refused::new("connect", connect_words(address.ip(), &error)),
            }
        }
        Err(last)
    }

    fn forbidden(&self, address: IpAddr, is_tls: bool) -> Refused {
        let why = if is_tls || !webhook::is_public(address) {
            format!("{address} is not public and not in webhooks.private_networks")
        } else {
            format!("{address} is public: plain http goes to webhooks.private_networks only")
        };
        Refused::new("forbidden_address", why)
    }

    async fn ask(
        &self,
        stream: Box<dyn Stream>,
        target: &Target,
        letter: &Letter,
    ) -> Result<Outcome, Refused> {
        let broken =
            |error: &dyn std::fmt::Display| Refused::new("connection", format!("connection: {error}"));
        let [id, timestamp, signature] = SIGNATURE_HEADERS;
        let request = Request::post(target.path())
            .header(header::HOST, target.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("caponier-webhooks/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close")
            .header(id, &letter.id)
            .header(timestamp, letter.at.as_secs())
            .header(signature, &letter.signatures)
            .body(Full::new(Bytes::copy_from_slice(&letter.body)))
            .map_err(|error| broken(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(ANSWER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        // When the connection has ended, the answer is there or never will be; both are said by asking once more.
        let answer = tokio::select! {
            answer = &mut answer => answer,
            ended = connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(error),
            },
        };
        let answer = answer.map_err(|error| broken(&error))?;
        let status = answer.status().as_u16();
        Ok(match status {
            200..=299 => Outcome::Delivered { status },
            410 => Outcome::Gone,
            _ => {
                let seconds = answer.headers().get(header::RETRY_AFTER);
                let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                let class = match status {
                    300..=399 => "redirect",
                    400..=499 => "client_error",
                    _ => "server_error",
                };
                let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
                let why = match class {
                    "redirect" => format!("answered {status}: redirects are not followed"),
                    _ => format!("answered {status}"),
                };
                Outcome::Failed(Refused { class, why, retry_after })
            }
        })
    }
}

fn connect_words(address: IpAddr, error: &io::Error) -> String {
    format!("{address}: {error}")
}

fn client_config(ca_file: &Path) -> Result<ClientConfig, String> {
    let bad = |why: String| format!("webhooks.ca_file {}: {why}", ca_file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| bad(error.to_string()))? {
        // System stores hold some that rustls does not take; the others are enough.
        drop(roots.add(certificate.map_err(|error| bad(error.to_string()))?));
    }
    if roots.is_empty() {
        return Err(bad("holds no usable certificate".to_owned()));
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
