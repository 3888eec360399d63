//! Listener, TLS, HTTP/2, caps, clocks and drain.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gateway::{BuildError, Config, Deps, Unobserved, tls};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::world::{Key, OK, TRADER, WITHDRAWER, World, code, reply, request};

const BALANCE: &str = "/api/v5/account/balance?ccy=BTC%2CETH";

pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    roots: RootCertStore,
}

pub(crate) fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    Identity { server: tls::server_config(vec![cert], key).unwrap(), roots }
}

impl Identity {
    pub(crate) async fn connect(
        &self,
        world: &World,
        provider: CryptoProvider,
        alpn: &[&[u8]],
    ) -> TlsStream<TcpStream> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(world.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

async fn h2<S>(stream: S) -> conn::http2::SendRequest<Full<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn h2_request(world: &World, key: &Key, method: &str, target: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("https://localhost{target}"));
    for (name, value) in world.signed(key, method, target, body) {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}

async fn h2_code(response: Response<Incoming>) -> (String, u16) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    (json["code"].as_str().unwrap().to_owned(), status)
}

#[tokio::test]
async fn http2_over_tls_is_the_same_door() {
    let identity = identity();
    let world = World::configured(|config| config.tls = Some(Arc::clone(&identity.server))).await;
    let key = world.key(&WITHDRAWER);
    let stream = identity.connect(&world, tls::provider(), &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let mut sender = h2(stream).await;
    let mut send = async |request: Request<Full<Bytes>>| {
        sender.ready().await.unwrap();
        h2_code(sender.send_request(request).await.unwrap()).await
    };
    assert_eq!(send(h2_request(&world, &key, "GET", BALANCE, "")).await, code("0", 200));
    assert_eq!(world.exchange.last().line, format!("GET {BALANCE} HTTP/1.1"));
    let order = || h2_request(&world, &key, "POST", "/api/v5/trade/order", r#"{"a": 1}"#);
    assert_eq!(send(order()).await, code("0", 200));
    assert_eq!(world.exchange.last().body, br#"{"a": 1}"#);
    assert_eq!(world.exchange.last().header("host"), Some(world.exchange.address.to_string().as_str()));
    assert_eq!(send(order()).await, code("50042", 200));
    let mut doubled = h2_request(&world, &key, "GET", BALANCE, "");
    doubled.headers_mut().append("ok-access-key", key.id.parse().unwrap());
    assert_eq!(send(doubled).await, code("50114", 401));
    let mut elsewhere = h2_request(&world, &key, "GET", BALANCE, "");
    elsewhere.headers_mut().insert("host", "elsewhere".parse().unwrap());
    assert_eq!(send(elsewhere).await, code("51000", 400));
    assert_eq!(send(h2_request(&world, &key, "DELETE", BALANCE, "")).await, code("50115", 405));
    assert_eq!(send(h2_request(&world, &key, "GET", "/api/v5/a/../b", "")).await, code("51000", 400));
    let withdrawal = r#"{"ccy":"BTC","amt":"1","dest":"4","toAddr":"bc1q"}"#;
    let request = h2_request(&world, &key, "POST", "/api/v5/asset/withdrawal", withdrawal);
    assert_eq!(send(request).await, code("0", 200));
    assert_eq!(world.exchange.last().header("x-caponier-decision"), Some("d-17"));
    assert_eq!(world.exchange.count(), 3);
}

#[tokio::test]
async fn http1_over_tls_and_http2_with_prior_knowledge_work_too() {
    let identity = identity();
    let world = World::configured(|config| config.tls = Some(Arc::clone(&identity.server))).await;
    let key = world.key(&TRADER);
    for alpn in [[b"http/1.1".as_slice()].as_slice(), &[]] {
        let mut stream = identity.connect(&world, tls::provider(), alpn).await;
        let headers = world.signed(&key, "GET", BALANCE, "");
        stream.write_all(request("GET", BALANCE, &headers, "").as_bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().body, OK.as_bytes());
    }
    let plain = World::start().await;
    let key = plain.key(&TRADER);
    let mut sender = h2(TcpStream::connect(plain.address).await.unwrap()).await;
    let request = h2_request(&plain, &key, "GET", BALANCE, "");
    assert_eq!(h2_code(sender.send_request(request).await.unwrap()).await, code("0", 200));
}

#[tokio::test]
async fn an_http2_connection_ends_with_the_key_it_was_used_with() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let mut sender = h2(TcpStream::connect(world.address).await.unwrap()).await;
    let balance = h2_request(&world, &key, "GET", BALANCE, "");
    assert_eq!(h2_code(sender.send_request(balance).await.unwrap()).await, code("0", 200));
    let waiting = sender.send_request(h2_request(&world, &key, "GET", "/api/v5/test/wait", ""));
    let waiting = tokio::spawn(waiting);
    world.exchange.waiting.notified().await;
    let start = tokio::time::Instant::now();
    let id = domain::ApiKeyId::parse(&key.id).unwrap();
    assert_eq!(world.change(auth::KeyChange::Frozen { id, at: crate::world::NOW }), 1);
    assert!(waiting.await.unwrap().is_err());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    eprintln!("an HTTP/2 connection of a frozen key ended after {took:?}");
}

#[tokio::test]
async fn the_hybrid_group_is_preferred_and_old_clients_still_connect() {
    let groups: Vec<_> = tls::provider().kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(
        groups,
        [NamedGroup::X25519MLKEM768, NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1]
    );
    let identity = identity();
    let world = World::configured(|config| config.tls = Some(Arc::clone(&identity.server))).await;
    let group = |stream: &TlsStream<TcpStream>| {
        stream.get_ref().1.negotiated_key_exchange_group().expect("a finished handshake").name()
    };
    let hybrid = identity.connect(&world, tls::provider(), &[b"http/1.1"]).await;
    assert_eq!(group(&hybrid), NamedGroup::X25519MLKEM768);
    assert_eq!(hybrid.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let mut classic = tls::provider();
    classic.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    assert_eq!(group(&identity.connect(&world, classic, &[]).await), NamedGroup::X25519);
}

#[test]
fn keys_that_do_not_fit_are_named() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    assert!(tls::server_config_from_pem(cert.as_bytes(), key.as_bytes()).is_ok());
    let error =
        |cert: &str, key: &str| tls::server_config_from_pem(cert.as_bytes(), key.as_bytes()).unwrap_err();
    assert!(matches!(error("", &key), tls::TlsError::Certificates(None)));
    assert!(matches!(error(&cert, ""), tls::TlsError::PrivateKey(_)));
    assert!(matches!(error(&cert, &other.signing_key.serialize_pem()), tls::TlsError::Unusable(_)));
}

#[tokio::test]
async fn plain_http_stays_on_loopback() {
    let world = World::start().await;
    let deps = Deps {
        authenticator: Arc::new(auth::Authenticator::new(
            Arc::clone(&world.registry),
            auth::ReplayWindow::new(1, 1),
            [0; 32],
        )),
        changes: Arc::new(gateway::Unrecorded),
        clock: Arc::clone(&world.clock) as _,
        observer: Arc::new(Unobserved),
        withdrawals: Arc::clone(&world.decide) as _,
    };
    let config = |address: &str| Config::new(address.parse().unwrap(), "127.0.0.1:1");
    assert!(matches!(config("0.0.0.0:0").build(deps.clone()), Err(BuildError::PlainNotLoopback { .. })));
    assert!(matches!(config("[::]:0").build(deps.clone()), Err(BuildError::PlainNotLoopback { .. })));
    let taken = config(&world.address.to_string()).build(deps.clone());
    assert!(matches!(taken, Err(BuildError::Listen { .. })));
    for authority in ["", "host", "host:", "u@host:1", "host:99999"] {
        let mut bad = config("127.0.0.1:0");
        bad.upstream.authority = authority.to_owned();
        assert!(matches!(bad.build(deps.clone()), Err(BuildError::Upstream(_))), "{authority}");
    }
}

#[tokio::test]
async fn one_source_holds_only_so_many_connections() {
    let world = World::configured(|config| config.connections_per_source_max = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(request("GET", "/", &[], "").as_bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().code(), code("50005", 410));
        held.push(stream);
    }
    let mut fourth = TcpStream::connect(world.address).await.unwrap();
    assert_eq!(fourth.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(world.refusals("connections_per_source_max"), 1);
    // The others go on.
    let first = held.first_mut().unwrap();
    first.write_all(request("GET", "/", &[], "").as_bytes()).await.unwrap();
    assert_eq!(reply(first).await.unwrap().code(), code("50005", 410));
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let world = World::configured(|config| {
        config.timeouts.head = Duration::from_millis(100);
        config.timeouts.body = Duration::from_millis(100);
        config.timeouts.handshake = Duration::from_millis(100);
    })
    .await;
    for start in [b"".as_slice(), b"GET / HTTP/1.1\r\nHost:"] {
        assert!(world.raw(start).await.is_none());
    }
    let key = world.key(&TRADER);
    let target = "/api/v5/trade/order";
    let headers = world.signed(&key, "POST", target, "{}");
    let whole = request("POST", target, &headers, "{}");
    let reply = world.raw(&whole.as_bytes()[..whole.len() - 1]).await.expect("an answer");
    assert_eq!(reply.code(), code("50004", 400));
    assert_eq!(world.refusals("body_too_slow"), 1);
    // Who has no credential is told so before the body is awaited.
    let anonymous = request("POST", target, &[], "{}");
    let reply = world.raw(&anonymous.as_bytes()[..anonymous.len() - 1]).await.expect("an answer");
    assert_eq!(reply.code(), code("50103", 401));

    let identity = identity();
    let secure = World::configured(|config| {
        config.tls = Some(Arc::clone(&identity.server));
        config.timeouts.handshake = Duration::from_millis(100);
    })
    .await;
    assert!(secure.raw(b"\x16\x03\x01").await.is_none());
    assert_eq!(secure.refusals("handshake_too_slow"), 1);
}

#[tokio::test]
async fn draining_finishes_what_is_under_way_and_takes_nothing_new() {
    let mut world = World::configured(|config| {
        config.upstream.response_timeout = Duration::from_secs(30);
    })
    .await;
    let key = world.key(&TRADER);
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));

    let mut idle = TcpStream::connect(world.address).await.unwrap();
    idle.write_all(request("GET", "/", &[], "").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut idle).await.unwrap().code(), code("50005", 410));
    let mut busy = TcpStream::connect(world.address).await.unwrap();
    let target = "/api/v5/test/wait";
    let headers = world.signed(&key, "GET", target, "");
    busy.write_all(request("GET", target, &headers, "").as_bytes()).await.unwrap();
    world.exchange.waiting.notified().await;
    let mut multiplexed = h2(TcpStream::connect(world.address).await.unwrap()).await;
    let waiting = multiplexed.send_request(h2_request(&world, &key, "GET", target, ""));
    let waiting = tokio::spawn(waiting);
    world.exchange.waiting.notified().await;

    world.stop.take().unwrap().send(()).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "the idle connection is closed");
    assert!(TcpStream::connect(world.address).await.is_err(), "nothing listens any more");
    assert!(!world.stopped.is_finished());
    world.exchange.release.notify_one();
    world.exchange.release.notify_one();
    let answers = async {
        let first = reply(&mut busy).await.unwrap().code();
        // A single permit is stored: the second waiter is released once the first has gone.
        world.exchange.release.notify_one();
        (first, h2_code(waiting.await.unwrap().unwrap()).await)
    };
    assert_eq!(answers.await, (code("0", 200), code("0", 200)));
    world.stopped.await.unwrap();
}

#[tokio::test]
async fn draining_ends_at_its_time() {
    let mut world = World::configured(|config| {
        config.upstream.response_timeout = Duration::from_secs(30);
        config.timeouts.drain = Duration::from_millis(50);
    })
    .await;
    let key = world.key(&TRADER);
    let target = "/api/v5/test/wait";
    let headers = world.signed(&key, "GET", target, "");
    let mut busy = TcpStream::connect(world.address).await.unwrap();
    busy.write_all(request("GET", target, &headers, "").as_bytes()).await.unwrap();
    world.exchange.waiting.notified().await;
    world.stop.take().unwrap().send(()).unwrap();
    world.stopped.await.unwrap();
    assert!(reply(&mut busy).await.is_none());
}

/// A body without a declared length that never ends.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(&[b'{'; 4096])))))
    }
}

#[tokio::test]
async fn a_body_without_a_declared_length_is_bounded_too() {
    let world = World::start().await;
    let key = world.key(&TRADER);
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (mut sender, connection) =
        conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (parts, _) = h2_request(&world, &key, "POST", "/api/v5/trade/order", "").into_parts();
    let response = sender.send_request(Request::from_parts(parts, Endless)).await.unwrap();
    assert_eq!(h2_code(response).await, code("51000", 400));
    assert_eq!(world.refusals("body_too_large"), 1);
}
