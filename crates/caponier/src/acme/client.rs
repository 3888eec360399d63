//! The HTTPS client towards the authority: one connection a request, bounded in time and size.

use std::{future::Future, path::Path, pin::Pin, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::exit::{Exit, Failure};

/// One request, connecting included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer: a certificate chain is some 10 KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A client that trusts the roots of one file.
#[derive(Debug, Clone)]
pub(super) struct HttpsClient(Arc<ClientConfig>);

impl HttpsClient {
    /// Trusts the certificates in a PEM file.
    ///
    /// # Errors
    /// [`Failure`] naming the file.
    pub(super) fn trusting(ca_file: &Path) -> Result<Self, Failure> {
        let bad =
            |what: String| Failure::new(Exit::Usage, format!("acme.ca_file: {}: {what}", ca_file.display()));
        let mut roots = RootCertStore::empty();
        let found = CertificateDer::pem_file_iter(ca_file).map_err(|error| bad(error.to_string()))?;
        for certificate in found {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            // System stores hold some that rustls does not take; the others are enough.
            if let Err(error) = roots.add(certificate) {
                tracing::debug!(%error, file = %ca_file.display(), "a root is not used");
            }
        }
        if roots.is_empty() {
            return Err(bad("holds no usable certificate".to_owned()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    async fn send(
        self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let uri = request.uri().clone();
        if uri.scheme_str() != Some("https") {
            return Err(format!("{uri} is not https").into());
        }
        let host = uri.host().ok_or_else(|| format!("{uri} names no host"))?.to_owned();
        let port = uri.port_u16().unwrap_or(443);
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = TcpStream::connect((bare.as_str(), port)).await?;
        let stream = TlsConnector::from(self.0).connect(ServerName::try_from(bare)?, stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let authority = uri.authority().map_or(host, ToString::to_string);
        request.headers_mut().insert(http::header::HOST, authority.parse()?);
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        *request.uri_mut() = target.parse()?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        drop(sender);
        connection.abort();
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}

impl HttpClient for HttpsClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(REQUEST_TIMEOUT, client.send(request)).await {
                Ok(Ok(response)) => Ok(BytesResponse::from(response)),
                Ok(Err(error)) => Err(Error::Other(error)),
                Err(elapsed) => Err(Error::Other(Box::new(elapsed))),
            }
        })
    }
}
