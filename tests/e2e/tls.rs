//! What a client may negotiate with the gateway.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, SupportedProtocolVersion,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};

use crate::support::{Serving, folder, trusting};

/// A finished handshake, or why there is none.
fn handshake(
    serving: &Serving,
    ca: &Path,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> Result<ClientConnection, std::io::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(trusting(ca))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = std::net::TcpStream::connect(serving.gateway()).unwrap();
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    connection.complete_io(&mut stream)?;
    Ok(connection)
}

/// A customer's connection is safe from whoever records it today and has a quantum computer later; older clients
/// are served as well as they can be, and nobody is served by an impostor.
#[test]
fn what_a_client_negotiates() {
    let dir = folder();
    let serving = Serving::start(
        &["demo", "--serve", "--json", "--data-dir", dir.path().to_str().unwrap()],
        &dir.path().join("output"),
    );
    let ca = dir.path().join("tls/ca.pem");

    let modern = handshake(&serving, &ca, &[&TLS13, &TLS12], &["h2", "http/1.1"]).unwrap();
    assert_eq!(modern.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(modern.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(modern.alpn_protocol(), Some(&b"h2"[..]));

    let plain = handshake(&serving, &ca, &[&TLS13], &["http/1.1"]).unwrap();
    assert_eq!(plain.alpn_protocol(), Some(&b"http/1.1"[..]));

    let old = handshake(&serving, &ca, &[&TLS12], &[]).unwrap();
    assert_eq!(old.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(old.alpn_protocol(), None);

    assert!(handshake(&serving, &ca, &[&TLS13], &["spdy/3"]).is_err(), "an unknown protocol is refused");

    crate::support::certificates(dir.path());
    let other = handshake(&serving, &dir.path().join("ca.pem"), &[&TLS13], &[]).unwrap_err();
    assert!(
        other.to_string().contains("UnknownIssuer") || other.to_string().contains("BadSignature"),
        "{other}"
    );
    assert_eq!(serving.stop(), 0);
}
