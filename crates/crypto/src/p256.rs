//! ECDSA over P-256 with SHA-256 (FIPS 186-5), signatures as 64 bytes `r || s`, as RFC 9421 section 3.3.4 writes them.
//!
//! For keys that live in hardware: security modules, TPMs and authenticators rarely hold Ed25519.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        ParsedPublicKey, UnparsedPublicKey,
    },
};

use crate::ed25519::BadSignature;

/// The bytes are no key of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 key")]
pub struct NotP256;

/// A private key.
pub struct P256SigningKey(EcdsaKeyPair);

impl P256SigningKey {
    /// From an unencrypted PKCS #8 document (RFC 5208), as DER.
    ///
    /// # Errors
    /// [`NotP256`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, NotP256> {
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        pair.map(Self).map_err(|_| NotP256)
    }

    /// A new key from the operating system's entropy.
    ///
    /// # Panics
    /// When the operating system gives no entropy.
    #[must_use]
    pub fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self(pair.expect("the operating system gives entropy"))
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> P256VerifyingKey {
        let mut point = [0; P256VerifyingKey::BYTES];
        point.copy_from_slice(self.0.public_key().as_ref());
        P256VerifyingKey(point)
    }

    /// Signs; every call gives another signature.
    ///
    /// # Panics
    /// When the operating system gives no entropy.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature =
            self.0.sign(&SystemRandom::new(), message).expect("the operating system gives entropy");
        let mut out = [0; 64];
        out.copy_from_slice(signature.as_ref());
        out
    }
}

impl fmt::Debug for P256SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256SigningKey(<secret>)")
    }
}

/// A public key: a point of the curve, checked when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct P256VerifyingKey([u8; Self::BYTES]);

impl P256VerifyingKey {
    /// Bytes of the uncompressed point (SEC 1 section 2.3.3): 4, then both coordinates.
    pub const BYTES: usize = 65;

    /// From an uncompressed point, the one accepted form.
    ///
    /// # Errors
    /// [`NotP256`] for another length or form and for a point that is not on the curve.
    pub fn from_point(point: &[u8]) -> Result<Self, NotP256> {
        let bytes: [u8; Self::BYTES] = point.try_into().map_err(|_| NotP256)?;
        if bytes[0] != 4 {
            return Err(NotP256);
        }
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).map_err(|_| NotP256)?;
        Ok(Self(bytes))
    }

    /// The uncompressed point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Verifies a signature of 64 bytes over `message`. Of one message and key many signatures are valid, so a
    /// signature identifies nothing.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0)
            .verify(message, signature)
            .map_err(|_| BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hexadecimal: &str) -> [u8; N] {
        let digits = hexadecimal.as_bytes();
        std::array::from_fn(|at| {
            let digit = |at: usize| char::from(digits[at]).to_digit(16).unwrap();
            u8::try_from(digit(2 * at) * 16 + digit(2 * at + 1)).unwrap()
        })
    }

    /// RFC 6979 appendix A.2.5, SHA-256, message "sample".
    #[test]
    fn rfc_6979_known_answer() {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&bytes::<32>(
            "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
        ));
        point[33..].copy_from_slice(&bytes::<32>(
            "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        ));
        let key = P256VerifyingKey::from_point(&point).unwrap();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes::<32>(
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        ));
        signature[32..].copy_from_slice(&bytes::<32>(
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ));
        assert_eq!(key.verify(b"sample", &signature), Ok(()));
        assert_eq!(key.verify(b"simple", &signature), Err(BadSignature));
        assert_eq!(key.verify(b"sample", &signature[..63]), Err(BadSignature));
        signature[40] ^= 1;
        assert_eq!(key.verify(b"sample", &signature), Err(BadSignature));
    }

    #[test]
    fn a_fresh_key_signs_and_only_points_of_the_curve_are_keys() {
        let key = P256SigningKey::generate();
        let public = key.verifying_key();
        assert_eq!(public.verify(b"m", &key.sign(b"m")), Ok(()));
        let mut point = *public.as_bytes();
        assert_eq!(P256VerifyingKey::from_point(&point), Ok(public));
        point[64] ^= 1;
        assert_eq!(P256VerifyingKey::from_point(&point), Err(NotP256));
        assert_eq!(P256VerifyingKey::from_point(&point[..64]), Err(NotP256));
        assert_eq!(P256VerifyingKey::from_point(&[0; 65]), Err(NotP256));
        assert!(P256SigningKey::from_pkcs8(b"0").is_err());
    }
}
