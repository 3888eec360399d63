//! A certificate ordered from a real ACME server: Debian's pebble, on loopback.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};

use crate::support::{HOME, House, PATIENCE, Serving, Settings, files, finish, skipped, trusting};

/// Debian's package of the same name.
const PEBBLE: &str = "/usr/bin/pebble";

/// The ACME server; killed when dropped.
struct Pebble {
    child: Child,
    directory: String,
    management: SocketAddr,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind(SocketAddr::new(HOME, 0)).unwrap().local_addr().unwrap()
}

impl Pebble {
    /// Challenges names at `port`; serves with the certificate in `dir`.
    fn start(dir: &Path, port: u16) -> Self {
        let (listen, management) = (free_address(), free_address());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": listen.to_string(), "managementListenAddress": management.to_string(),
            "certificate": dir.join("server.pem"), "privateKey": dir.join("server.key"),
            "httpPort": 1, "tlsPort": port, "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        let file = dir.join("pebble.json");
        fs::write(&file, config.to_string()).unwrap();
        let log = fs::File::create(dir.join("pebble.log")).unwrap();
        let child = Command::new(PEBBLE)
            .arg("-config")
            .arg(&file)
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let directory = format!("https://localhost:{}/dir", listen.port());
        Self { child, directory, management }
    }
}

/// A TLS connection to localhost, verified against `roots`, with the ALPN name `http/1.1`.
async fn connect(
    to: SocketAddr,
    roots: Arc<rustls::RootCertStore>,
) -> std::io::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = tokio::net::TcpStream::connect(to).await?;
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Tries until it works. What is waited for happens in another process, which tells nobody.
async fn connect_until(
    to: SocketAddr,
    roots: Arc<rustls::RootCertStore>,
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let tries = async {
        loop {
            tick.tick().await;
            if let Ok(stream) = connect(to, Arc::clone(&roots)).await {
                return stream;
            }
        }
    };
    tokio::time::timeout(PATIENCE, tries).await.expect("it works in time")
}

async fn get(to: SocketAddr, ca: &Path, path: &str) -> Vec<u8> {
    let stream = connect_until(to, trusting(ca)).await;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
    let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    body.to_vec()
}

/// The certificate the gateway shows to a client that trusts the authority.
async fn shown(serving: &Serving, roots: &Arc<rustls::RootCertStore>) -> CertificateDer<'static> {
    let stream = connect_until(serving.gateway(), Arc::clone(roots)).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// The gateway starts without a certificate, gets one by itself, serves with it, keeps it over a restart without asking
/// again, and neither key is readable on disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_ordered_kept_and_sealed() {
    if finish(Command::new("test").args(["-x", PEBBLE])).code != 0 {
        return skipped("no ACME server; apt-get install pebble");
    }
    let house = House::build(Settings::default()).await;
    let gateway = free_address();
    let pebble = Pebble::start(&house.path(""), gateway.port());
    let config = fs::read_to_string(house.config()).unwrap();
    let config = config
        .replace("certificate_file = \"server.pem\"\n", "")
        .replace("private_key_file = \"server.key\"\n", "")
        .replace("listen = \"127.0.0.1:0\"\n", &format!("listen = \"{gateway}\"\n"));
    let acme = format!(
        "[acme]\ndirectory = {:?}\ndomains = [\"localhost\"]\ncontacts = [\"mailto:ops@example.com\"]\nca_file = \"ca.pem\"\n",
        pebble.directory
    );
    fs::write(house.config(), config + &acme).unwrap();
    // The authority itself must be up first: an order that fails is tried again only after a minute.
    let root = get(pebble.management, &house.path("ca.pem"), "/roots/0").await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
    let roots = Arc::new(roots);

    let serving = house.serve();
    let first = shown(&serving, &roots).await;
    let answer = get_time(&serving, &roots).await;
    assert!(answer.contains("\"code\":\"0\""), "{answer}");
    assert!(serving.log().contains("a new certificate is in force"), "{}", serving.log());
    assert_eq!(serving.stop(), 0);

    let kept = files(&house.data().join("acme"));
    assert_eq!(kept, ["account.sealed", "certificate.sealed"]);
    for file in kept {
        let bytes = fs::read(house.data().join("acme").join(file)).unwrap();
        for telling in [b"PRIVATE".as_slice(), b"localhost", b"key_pkcs8"] {
            assert!(!bytes.windows(telling.len()).any(|window| window == telling));
        }
    }
    drop(pebble);
    let serving = house.serve();
    assert_eq!(shown(&serving, &roots).await, first, "the kept certificate serves without the authority");
    assert_eq!(serving.stop(), 0);
}

/// A public call over a connection verified against the authority's root.
async fn get_time(serving: &Serving, roots: &Arc<rustls::RootCertStore>) -> String {
    let stream = connect_until(serving.gateway(), Arc::clone(roots)).await;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("/api/v5/public/time")
        .header("host", "localhost")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    String::from_utf8(body.to_vec()).unwrap()
}
