//! A certificate authority for one demo: made in memory, written to the demo's own folder, trusted by nobody else.
//!
//! Its certificates live [`LIFE`], by the machine's clock whatever clock the demo runs on: the clients that check them
//! use that one. They are made anew when an earlier demo left none that lives another day.

use std::{fs, io, path::Path, time::Duration};

use anyhow::Context as _;
use domain::{Clock as _, UnixNanos};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::clock::SystemClock;

/// Names the server certificate is valid for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
const DAY: Duration = Duration::from_secs(86_400);
/// How long the certificates are valid. Scanners warn of less than thirty days.
const LIFE: Duration = Duration::from_secs(90 * DAY.as_secs());
/// How long they are valid already, for clients with a clock that is behind.
const BEFORE: Duration = Duration::from_secs(3_600);

/// Makes sure that `dir` holds `ca.pem`, `server.pem` (chain) and `server.key` (mode 0600), valid for a day at least.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn provide(dir: &Path) -> anyhow::Result<()> {
    let now = SystemClock.now();
    if until(&dir.join("server.pem")).is_none_or(|until| until < now.plus(DAY)) {
        write(dir, now)?;
    }
    Ok(())
}

/// Until when an earlier demo's certificate is valid.
fn until(chain: &Path) -> Option<UnixNanos> {
    let certificate = CertificateDer::from_pem_file(chain).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    Some(UnixNanos::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Without extensions and with a life.
fn params(names: &[&str], common_name: &str, now: UnixNanos) -> anyhow::Result<CertificateParams> {
    let at = |at: UnixNanos| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.as_secs());
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = at(now.minus(BEFORE));
    params.not_after = at(now.plus(LIFE));
    Ok(params)
}

fn write(dir: &Path, now: UnixNanos) -> anyhow::Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = params(&[], "Caponier demo CA", now)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let server_key = KeyPair::generate()?;
    let mut server = params(&NAMES, "localhost", now)?;
    server.use_authority_key_identifier_extension = true;
    let server_certificate = server.signed_by(&server_key, &issuer)?;

    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    let key = dir.join("server.key");
    match fs::remove_file(&key) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("replace {}", key.display()));
        }
        _ => {}
    }
    crate::secret_file::create(&key, server_key.serialize_pem().as_bytes())?;
    write("ca.pem", ca_certificate.pem())?;
    // Last: while it is missing or old, all three are made again.
    write("server.pem", server_certificate.pem() + &ca_certificate.pem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_live_three_months_and_are_replaced_on_their_last_day() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, now) = (dir.path(), SystemClock.now());
        let read =
            || ["ca.pem", "server.pem", "server.key"].map(|name| fs::read_to_string(dir.join(name)).unwrap());
        provide(dir).unwrap();
        let first = read();
        for name in ["ca.pem", "server.pem"] {
            let life = until(&dir.join(name)).unwrap().since(now);
            assert!(life > LIFE - DAY && life <= LIFE + DAY, "{name} {life:?}");
        }
        provide(dir).unwrap();
        assert_eq!(read(), first, "an earlier demo's still live");
        write(dir, now.minus(LIFE)).unwrap();
        let old = read();
        provide(dir).unwrap();
        assert!(read().iter().zip(&old).all(|(new, old)| new != old));
    }
}
