//! A certificate authority for one demo: made in memory, written to the demo's own folder, trusted by nobody else.

use std::{fs, path::Path};

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Names the server certificate is valid for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Writes `ca.pem`, `server.pem` (chain) and `server.key` (mode 0600) into `dir`.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write(dir: &Path) -> anyhow::Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, "Caponier demo CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let server_key = KeyPair::generate()?;
    let mut server = CertificateParams::new(NAMES.map(String::from).to_vec())?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    server.use_authority_key_identifier_extension = true;
    let server_certificate = server.signed_by(&server_key, &issuer)?;

    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    write("ca.pem", ca_certificate.pem())?;
    write("server.pem", server_certificate.pem() + &ca_certificate.pem())?;
    crate::secret_file::create(&dir.join("server.key"), server_key.serialize_pem().as_bytes())?;
    Ok(())
}
