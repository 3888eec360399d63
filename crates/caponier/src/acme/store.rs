//! Account key, certificate and its key on disk, each file sealed as a whole (AES-256-GCM-SIV under a key derived from
//! the installation's seed, the file's name as associated data).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crypto::{AeadKey, Secret};
use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize};

use crate::secret_file;

/// Largest file read.
const FILE_BYTES_MAX: u64 = 1 << 20;
const ACCOUNT: &str = "account.sealed";
const CERTIFICATE: &str = "certificate.sealed";
const NONCE_BYTES: usize = 12;

/// The folder.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    key: AeadKey,
}

/// A certificate with what it was ordered for.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) directory: String,
    pub(super) domains: Vec<String>,
    /// PEM, leaf first.
    pub(super) chain: String,
    /// PEM.
    pub(super) key: Secret<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptFile {
    directory: String,
    domains: Vec<String>,
    chain: String,
    key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountFile<Credentials> {
    directory: String,
    credentials: Credentials,
}

impl Store {
    pub(super) const fn new(dir: PathBuf, key: AeadKey) -> Self {
        Self { dir, key }
    }

    pub(super) fn certificate(&self) -> io::Result<Option<Kept>> {
        let Some(text) = self.open(CERTIFICATE)? else { return Ok(None) };
        let KeptFile { directory, domains, chain, key } = serde_json::from_slice(text.expose())?;
        Ok(Some(Kept { directory, domains, chain, key: Secret::new(key) }))
    }

    pub(super) fn keep_certificate(&self, kept: &Kept) -> io::Result<()> {
        let file = KeptFile {
            directory: kept.directory.clone(),
            domains: kept.domains.clone(),
            chain: kept.chain.clone(),
            key: kept.key.expose().clone(),
        };
        self.seal(CERTIFICATE, &serde_json::to_vec(&file)?)
    }

    /// The account at an authority, if the one kept is there.
    pub(super) fn account(&self, directory: &str) -> io::Result<Option<AccountCredentials>> {
        let Some(text) = self.open(ACCOUNT)? else { return Ok(None) };
        let file: AccountFile<AccountCredentials> = serde_json::from_slice(text.expose())?;
        Ok((file.directory == directory).then_some(file.credentials))
    }

    pub(super) fn keep_account(&self, directory: &str, credentials: &AccountCredentials) -> io::Result<()> {
        let file = AccountFile { directory: directory.to_owned(), credentials };
        self.seal(ACCOUNT, &serde_json::to_vec(&file)?)
    }

    fn open(&self, name: &str) -> io::Result<Option<Secret<Vec<u8>>>> {
        let path = self.dir.join(name);
        let sealed = match read_bounded(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let damaged = || {
            let message = format!("{}: damaged, or of another installation; delete it", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        let opened = self.key.open(nonce, name.as_bytes(), sealed).map_err(|_| damaged())?;
        Ok(Some(Secret::new(opened)))
    }

    /// Replaces a file whole: written beside it, synced, renamed.
    fn seal(&self, name: &str, content: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let nonce: [u8; NONCE_BYTES] = crypto::random::array();
        let sealed = [&nonce[..], &self.key.seal(&nonce, name.as_bytes(), content)].concat();
        let staged = self.dir.join(format!("{name}.new"));
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        secret_file::create(&staged, &sealed)?;
        fs::rename(&staged, self.dir.join(name))?;
        fs::File::open(&self.dir)?.sync_all()
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_sealed_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("acme"), AeadKey::new(&[3; 32]));
        assert!(store.certificate().unwrap().is_none());
        let kept = Kept {
            directory: "https://ca.example/dir".to_owned(),
            domains: vec!["trade.example".to_owned()],
            chain: "CHAIN".to_owned(),
            key: Secret::new("THE-PRIVATE-KEY".to_owned()),
        };
        store.keep_certificate(&kept).unwrap();
        store.keep_certificate(&kept).unwrap();
        let back = store.certificate().unwrap().unwrap();
        assert_eq!((back.chain.as_str(), back.key.expose().as_str()), ("CHAIN", "THE-PRIVATE-KEY"));
        let path = dir.path().join("acme").join(CERTIFICATE);
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"PRIVATE"));

        let other = Store::new(dir.path().join("acme"), AeadKey::new(&[4; 32]));
        assert_eq!(other.certificate().unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::copy(&path, dir.path().join("acme").join(ACCOUNT)).unwrap();
        assert_eq!(store.account("x").err().unwrap().kind(), io::ErrorKind::InvalidData);
        fs::write(&path, b"short").unwrap();
        assert!(store.certificate().unwrap_err().to_string().contains("certificate.sealed"));
    }
}
