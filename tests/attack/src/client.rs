//! Raw connections to a gateway, plain or TLS, from any loopback address, and reading of its answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest wait for a connection or an answer; only a broken gateway takes that long.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A stream of bytes to the gateway.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
/// A stream of either kind.
pub type Stream = Box<dyn Io>;

/// A gateway's address and how to speak to it.
#[derive(Debug, Clone)]
pub struct Door {
    /// Where it listens.
    pub addr: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Door {
    /// A door without TLS.
    #[must_use]
    pub const fn plain(addr: SocketAddr) -> Self {
        Self { addr, tls: None }
    }

    /// A door with TLS whose authority is in a file.
    ///
    /// # Errors
    /// A file that holds no certificate.
    pub fn tls(addr: SocketAddr, authority: &Path) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { addr, tls: Some(Arc::new(config)) })
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// A TCP connection from a loopback address of ours.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn tcp(&self, from: Ipv4Addr, receive_buffer: Option<u32>) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(SocketAddr::new(IpAddr::V4(from), 0)).context("bind")?;
        let stream = timeout(PATIENCE, socket.connect(self.addr)).await.context("connect: too late")??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The name of the key exchange that a handshake agrees on.
    ///
    /// # Errors
    /// A door without TLS, or a handshake that fails.
    pub async fn key_exchange(&self) -> Result<String> {
        let config = self.tls.as_ref().context("a door without TLS")?;
        let tcp = self.tcp(Ipv4Addr::LOCALHOST, None).await?;
        let name = ServerName::try_from("localhost")?;
        let handshake = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        let stream = timeout(PATIENCE, handshake).await.context("handshake: too late")??;
        let group = stream.get_ref().1.negotiated_key_exchange_group().context("no group")?;
        Ok(format!("{:?}", group.name()))
    }

    /// A connection, after the TLS handshake if there is one, which offers `protocol`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect(&self, from: Ipv4Addr, protocol: &[u8]) -> Result<Stream> {
        let tcp = self.tcp(from, None).await?;
        let Some(config) = &self.tls else { return Ok(Box::new(tcp)) };
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost")?;
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        Ok(Box::new(timeout(PATIENCE, handshake).await.context("handshake: too late")??))
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The exchange's code in the body, empty if there is none.
    pub code: String,
}

/// Answers of one connection, one after the other.
#[derive(Debug, Default)]
pub struct Answers {
    buffer: Vec<u8>,
}

impl Answers {
    /// The next answer; `None` if the connection ended before one began.
    ///
    /// # Errors
    /// An answer that is not whole, or late.
    pub async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Answer>> {
        timeout(PATIENCE, self.read(stream)).await.context("answer: too late")?
    }

    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Answer>> {
        loop {
            if let Some((answer, len)) = parse(&self.buffer)? {
                self.buffer.drain(..len);
                return Ok(Some(answer));
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                bail!("an answer of more than {ANSWER_BYTES_MAX} bytes");
            }
            match stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => bail!("the connection ended inside an answer"),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn parse(buffer: &[u8]) -> Result<Option<(Answer, usize)>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end + 2])?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let length: usize = match crate::upstream::field(head, "content-length") {
        Some(value) => value.parse()?,
        None => 0,
    };
    let Some(body) = buffer.get(end + 4..end + 4 + length) else { return Ok(None) };
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let code = json.get("code").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Ok(Some((Answer { status, code }, end + 4 + length)))
}
