//! Key pairs: in memory, from files, or wherever the signing is done.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::{P256SigningKey, SigningKey};

use crate::ClientError;

/// PKCS #8 of an Ed25519 private key up to its 32 bytes (RFC 8410 section 7).
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// SubjectPublicKeyInfo up to the key itself (RFC 8410 section 4, RFC 5480 section 2).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Something that signs: a key in memory, or a port to hardware that keeps one.
pub trait KeyPair: Send + Sync {
    /// `ed25519` or `ecdsa-p256-sha256`.
    fn algorithm(&self) -> &'static str;

    /// The public half: 32 bytes of Ed25519 or 65 of an uncompressed P-256 point.
    fn public_key(&self) -> Vec<u8>;

    /// Signs: 64 bytes, for P-256 `r || s`. The message is signed as it is, hashing belongs to the algorithm.
    ///
    /// # Errors
    /// [`ClientError::SigningFailed`].
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError>;
}

impl KeyPair for SigningKey {
    fn algorithm(&self) -> &'static str {
        "ed25519"
    }

    fn public_key(&self) -> Vec<u8> {
        self.verifying_key().0.to_vec()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError> {
        Ok(Self::sign(self, message))
    }
}

impl KeyPair for P256SigningKey {
    fn algorithm(&self) -> &'static str {
        "ecdsa-p256-sha256"
    }

    fn public_key(&self) -> Vec<u8> {
        self.verifying_key().as_bytes().to_vec()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError> {
        Ok(Self::sign(self, message))
    }
}

/// The public half as PEM, as it is registered.
#[must_use]
pub fn public_key_pem(key: &dyn KeyPair) -> String {
    let public = key.public_key();
    let prefix: &[u8] = if public.len() == 32 { &ED25519_SPKI_PREFIX } else { &P256_SPKI_PREFIX };
    let text = STANDARD.encode([prefix, &public].concat());
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// An Ed25519 key from the PEM text `openssl genpkey -algorithm ed25519` writes.
///
/// # Errors
/// [`ClientError::KeyInvalid`].
pub fn ed25519_from_pem(text: &str) -> Result<SigningKey, ClientError> {
    let der = private_der(text)?;
    let seed = der.expose().strip_prefix(&ED25519_PKCS8_PREFIX).and_then(|seed| seed.try_into().ok());
    seed.map(SigningKey::from_seed).ok_or(ClientError::KeyInvalid)
}

/// A P-256 key from the PEM text `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` writes.
///
/// # Errors
/// [`ClientError::KeyInvalid`].
pub fn p256_from_pem(text: &str) -> Result<P256SigningKey, ClientError> {
    P256SigningKey::from_pkcs8(private_der(text)?.expose()).map_err(|_| ClientError::KeyInvalid)
}

fn private_der(text: &str) -> Result<crypto::SecretBytes, ClientError> {
    let body = text.trim_ascii().strip_prefix("-----BEGIN PRIVATE KEY-----");
    let body = body.and_then(|body| body.strip_suffix("-----END PRIVATE KEY-----"));
    let body = body.ok_or(ClientError::KeyInvalid)?.split_ascii_whitespace();
    // Room for every key of these kinds, so that growing leaves no copy behind.
    let mut joined = Vec::with_capacity(512);
    body.for_each(|line| joined.extend_from_slice(line.as_bytes()));
    let joined = crypto::SecretBytes::new(joined);
    STANDARD.decode(joined.expose()).map(crypto::SecretBytes::new).map_err(|_| ClientError::KeyInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The private keys of RFC 9421 appendix B.1 and their public halves.
    #[test]
    fn pem_files_are_read_and_written() {
        let ed25519 = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n\
            -----END PRIVATE KEY-----\n";
        let key = ed25519_from_pem(ed25519).unwrap();
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n\
            -----END PUBLIC KEY-----\n";
        assert_eq!(public_key_pem(&key), public);
        assert!(p256_from_pem(ed25519).is_err());
        for bad in ["", "-----BEGIN PRIVATE KEY-----", public, &ed25519.replace("MC4C", "MC4D")] {
            assert!(ed25519_from_pem(bad).is_err(), "{bad}");
        }
        let p256 = P256SigningKey::generate();
        let pem = public_key_pem(&p256);
        assert_eq!(pem.lines().map(str::len).max(), Some(64));
        assert!(auth::v2::PublicKey::from_pem(&pem).is_ok_and(|key| key.as_bytes() == p256.public_key()));
    }
}
