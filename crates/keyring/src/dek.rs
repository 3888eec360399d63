//! Data keys and the payloads they seal.
//!
//! Sealed payload, integers big-endian:
//!
//! ```text
//!  0        1        2                6                22          34
//!  ┌────────┬────────┬────────────────┬────────────────┬───────────┬────────────┬──────────┐
//!  │ver = 1 │alg = 1 │ DEK version u32│ commitment C 16│ nonce 12  │ ciphertext │ tag 16   │
//!  └────────┴────────┴────────────────┴────────────────┴───────────┴────────────┴──────────┘
//! ```
//!
//! Algorithm 1 is AES-256-GCM-SIV (RFC 8452): a repeated nonce shows only that two payloads are equal. It does not
//! commit to its key, so `C`, derived from the DEK and constant for it, is compared in constant time before any
//! decryption: bytes sealed under one DEK are never even tried under another. What the caller passes as associated
//! data is authenticated and not stored.

use std::fmt;

use crypto::{AeadKey, NONCE_BYTES, Secret, TAG_BYTES, ct_eq, hkdf_sha512};

use crate::DekVersion;

const FORMAT_VERSION: u8 = 1;
const AES_256_GCM_SIV: u8 = 1;
const COMMITMENT_BYTES: usize = 16;
const COMMITMENT_AT: usize = 6;
const NONCE_AT: usize = COMMITMENT_AT + COMMITMENT_BYTES;
const CIPHERTEXT_AT: usize = NONCE_AT + NONCE_BYTES;

/// Bytes a sealed payload is longer than the payload.
pub const SEAL_OVERHEAD_BYTES: usize = CIPHERTEXT_AT + TAG_BYTES;

/// Why sealed bytes do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// Ciphertext, tag or associated data were changed.
    #[error("sealed payload does not authenticate")]
    Altered,
    /// Sealed under another DEK, or the commitment was changed.
    #[error("sealed payload is not committed to this data key")]
    OtherKey,
    /// Sealed under another version of the DEK, or the version was changed.
    #[error("sealed payload names data key version {found}")]
    OtherVersion {
        /// The version it names.
        found: u32,
    },
    /// Too short, or of a format or algorithm this build does not know.
    #[error("sealed payload is malformed")]
    Malformed,
}

/// A data key, ready for use: encryption key and commitment are derived once.
pub struct Dek {
    version: DekVersion,
    key: AeadKey,
    commitment: [u8; COMMITMENT_BYTES],
}

impl Dek {
    /// From the 32 bytes the key table wraps.
    #[must_use]
    pub fn new(version: DekVersion, key: &Secret<[u8; 32]>) -> Self {
        let encryption = Secret::new(hkdf_sha512::<32>(key.expose(), b"", b"caponier dek v1 enc"));
        let commitment = hkdf_sha512(key.expose(), b"", b"caponier dek v1 commit");
        Self { version, key: AeadKey::new(encryption.expose()), commitment }
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> DekVersion {
        self.version
    }

    /// Appends the sealed form of `payload` to `out`; `nonce` must be fresh random bytes.
    pub fn seal(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], payload: &[u8], out: &mut Vec<u8>) {
        out.reserve(payload.len() + SEAL_OVERHEAD_BYTES);
        out.extend_from_slice(&[FORMAT_VERSION, AES_256_GCM_SIV]);
        out.extend_from_slice(&self.version.0.to_be_bytes());
        out.extend_from_slice(&self.commitment);
        out.extend_from_slice(nonce);
        self.key.seal_onto(nonce, aad, payload, out);
    }

    /// Replaces the content of `out` by the payload of `sealed`. On error `out` is empty.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn open(&self, aad: &[u8], sealed: &[u8], out: &mut Vec<u8>) -> Result<(), UnsealError> {
        out.clear();
        let (head, ciphertext) = sealed.split_at_checked(CIPHERTEXT_AT).ok_or(UnsealError::Malformed)?;
        if head[..2] != [FORMAT_VERSION, AES_256_GCM_SIV] || ciphertext.len() < TAG_BYTES {
            return Err(UnsealError::Malformed);
        }
        let mut version = [0; 4];
        version.copy_from_slice(&head[2..COMMITMENT_AT]);
        let found = u32::from_be_bytes(version);
        if found != self.version.0 {
            return Err(UnsealError::OtherVersion { found });
        }
        if !ct_eq(&head[COMMITMENT_AT..NONCE_AT], &self.commitment) {
            return Err(UnsealError::OtherKey);
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&head[NONCE_AT..]);
        out.extend_from_slice(ciphertext);
        match self.key.open_in_place(&nonce, aad, out).map(|payload| payload.len()) {
            Ok(len) => {
                out.truncate(len);
                Ok(())
            }
            Err(crypto::OpenError) => {
                out.clear();
                Err(UnsealError::Altered)
            }
        }
    }
}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dek(version {}, <secret>)", self.version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dek(byte: u8) -> Dek {
        Dek::new(DekVersion(3), &Secret::new([byte; 32]))
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let mut sealed = Vec::new();
        dek(1).seal(&[5; 12], b"place", b"payload", &mut sealed);
        assert_eq!(sealed.len(), 7 + SEAL_OVERHEAD_BYTES);
        let mut out = vec![1];
        assert_eq!(dek(1).open(b"place", &sealed, &mut out), Ok(()));
        assert_eq!(out, b"payload");
        assert_eq!(dek(1).open(b"elsewhere", &sealed, &mut out), Err(UnsealError::Altered));
        assert!(out.is_empty());
        assert_eq!(dek(2).open(b"place", &sealed, &mut out), Err(UnsealError::OtherKey));
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0 | 1 => UnsealError::Malformed,
                2..6 => {
                    UnsealError::OtherVersion { found: 3 ^ (1 << (31 - (bit - 16) / 8 * 8 - 7 + bit % 8)) }
                }
                6..22 => UnsealError::OtherKey,
                _ => UnsealError::Altered,
            };
            assert_eq!(dek(1).open(b"place", &flipped, &mut out), Err(expected), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(payload: Vec<u8>, aad: Vec<u8>, nonce: [u8; 12]) {
            let mut sealed = b"before".to_vec();
            dek(9).seal(&nonce, &aad, &payload, &mut sealed);
            let mut out = Vec::new();
            prop_assert_eq!(dek(9).open(&aad, &sealed[6..], &mut out), Ok(()));
            prop_assert_eq!(out, payload);
        }

        #[test]
        fn arbitrary_bytes_never_open(sealed: Vec<u8>) {
            prop_assert!(dek(9).open(b"", &sealed, &mut Vec::new()).is_err());
        }
    }
}
