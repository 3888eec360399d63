//! The public key of a v2 key: Ed25519 (RFC 8032) or P-256 (FIPS 186-5), in exactly one encoding each.
//!
//! Not here: private keys, which never leave the client.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use crypto::{BadSignature, P256VerifyingKey, VerifyingKey};

/// SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 section 4).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// SubjectPublicKeyInfo of an uncompressed P-256 point up to the point itself (RFC 5480 section 2).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Longest PEM text, in bytes: that of a P-256 key in lines of 64 takes 178.
const PEM_BYTES_MAX: usize = 256;

/// The order of the field of Curve25519, 2^255 - 19, little-endian.
const FIELD_ORDER: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
};

/// The y-coordinates of all points of small order, little-endian: 0, 1, -1 and the two of order eight. Under such a
/// key a signature can be made that fits many messages without knowing anything.
const SMALL_ORDER: [[u8; 32]; 5] = {
    let zero = [0; 32];
    let mut one = zero;
    one[0] = 1;
    let mut minus_one = FIELD_ORDER;
    minus_one[0] -= 1;
    [
        zero,
        one,
        minus_one,
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ]
};

/// Bytes that are no acceptable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Neither of the two accepted encodings.
    #[error("public key is neither an Ed25519 nor an uncompressed P-256 key")]
    Encoding,
    /// Not a point of P-256.
    #[error("public key is not a point of P-256")]
    NotOnCurve,
    /// An Ed25519 key of small order or with a coordinate outside the field.
    #[error("public key is a degenerate Ed25519 key")]
    Weak,
}

/// A signature algorithm of the profile, by its name in the HTTP signature algorithms registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `ecdsa-p256-sha256`.
    EcdsaP256Sha256,
    /// `ed25519`.
    Ed25519,
    /// `hmac-sha256`: sessions only.
    HmacSha256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::EcdsaP256Sha256, Self::Ed25519, Self::HmacSha256];

    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::Ed25519 => "ed25519",
            Self::HmacSha256 => "hmac-sha256",
        }
    }

    /// Bytes of a signature.
    #[must_use]
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::EcdsaP256Sha256 | Self::Ed25519 => 64,
            Self::HmacSha256 => 32,
        }
    }
}

/// A public key that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::large_enum_variant, reason = "65 bytes beside 32; a box would cost more")]
pub enum PublicKey {
    /// Ed25519.
    Ed25519(VerifyingKey),
    /// ECDSA over P-256.
    P256(P256VerifyingKey),
}

impl PublicKey {
    /// An Ed25519 key from its 32 bytes.
    ///
    /// # Errors
    /// [`PublicKeyError::Weak`].
    pub fn ed25519(bytes: [u8; 32]) -> Result<Self, PublicKeyError> {
        let mut y = bytes;
        y[31] &= 0x7f; // the top bit is the sign of the other coordinate
        let in_field = y.iter().rev().lt(FIELD_ORDER.iter().rev());
        if !in_field || SMALL_ORDER.contains(&y) {
            return Err(PublicKeyError::Weak);
        }
        Ok(Self::Ed25519(VerifyingKey(bytes)))
    }

    /// A P-256 key from its uncompressed point, 65 bytes.
    ///
    /// # Errors
    /// [`PublicKeyError::NotOnCurve`].
    pub fn p256(point: &[u8]) -> Result<Self, PublicKeyError> {
        P256VerifyingKey::from_point(point).map(Self::P256).map_err(|_| PublicKeyError::NotOnCurve)
    }

    /// From the bare key: 32 bytes are Ed25519, 65 are a P-256 point.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        match bytes.len() {
            32 => Self::ed25519(bytes.try_into().map_err(|_| PublicKeyError::Encoding)?),
            P256VerifyingKey::BYTES => Self::p256(bytes),
            _ => Err(PublicKeyError::Encoding),
        }
    }

    /// From a DER SubjectPublicKeyInfo, in the one form common software writes.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_spki(der: &[u8]) -> Result<Self, PublicKeyError> {
        if let Some(key) = der.strip_prefix(&ED25519_SPKI_PREFIX) {
            return Self::ed25519(key.try_into().map_err(|_| PublicKeyError::Encoding)?);
        }
        match der.strip_prefix(&P256_SPKI_PREFIX) {
            Some(point) if point.len() == P256VerifyingKey::BYTES => Self::p256(point),
            _ => Err(PublicKeyError::Encoding),
        }
    }

    /// From the PEM text `openssl pkey -pubout` writes (RFC 7468 section 13).
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_pem(text: &str) -> Result<Self, PublicKeyError> {
        if text.len() > PEM_BYTES_MAX {
            return Err(PublicKeyError::Encoding);
        }
        let body = text.trim_ascii().strip_prefix("-----BEGIN PUBLIC KEY-----");
        let body = body.and_then(|body| body.strip_suffix("-----END PUBLIC KEY-----"));
        let body: String = body.ok_or(PublicKeyError::Encoding)?.split_ascii_whitespace().collect();
        Self::from_spki(&STANDARD.decode(body).map_err(|_| PublicKeyError::Encoding)?)
    }

    /// From what a person pastes: PEM text, or the Base64 (of either alphabet, padded or not) of a bare key or of a
    /// DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_text(text: &str) -> Result<Self, PublicKeyError> {
        let text = text.trim_ascii();
        if text.starts_with("-----") {
            return Self::from_pem(text);
        }
        if text.len() > PEM_BYTES_MAX {
            return Err(PublicKeyError::Encoding);
        }
        let standard = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
        let bytes = STANDARD_NO_PAD.decode(standard).map_err(|_| PublicKeyError::Encoding)?;
        Self::from_bytes(&bytes).or_else(|error| match error {
            PublicKeyError::Encoding => Self::from_spki(&bytes),
            error => Err(error),
        })
    }

    /// Which algorithm it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::P256(_) => Algorithm::EcdsaP256Sha256,
        }
    }

    /// The bare key: 32 bytes of Ed25519 or 65 of an uncompressed P-256 point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => &key.0,
            Self::P256(key) => key.as_bytes(),
        }
    }

    /// Verifies a signature over `message`. Some 35 microseconds (Ed25519) to 60 (P-256) of one core.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match self {
            Self::Ed25519(key) => key.verify(message, signature),
            Self::P256(key) => key.verify(message, signature),
        }
    }
}

#[cfg(test)]
mod tests {
    use crypto::{P256SigningKey, SigningKey};

    use super::*;

    /// The keys of RFC 9421 appendix B.1.
    const ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n\
        -----END PUBLIC KEY-----\n";
    const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf\n\
        w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn the_usual_encodings_are_read() {
        let ed25519 = PublicKey::from_pem(ED25519_PEM).unwrap();
        let p256 = PublicKey::from_pem(P256_PEM).unwrap();
        assert_eq!((ed25519.algorithm(), p256.algorithm()), (Algorithm::Ed25519, Algorithm::EcdsaP256Sha256));
        for key in [ed25519, p256] {
            assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
        }
        for bad in ["", "-----BEGIN PUBLIC KEY-----", &P256_PEM.replace("QcDQ", "QcDR"), &"A".repeat(300)] {
            assert!(PublicKey::from_pem(bad).is_err(), "{bad}");
        }
        for length in 0..100 {
            assert_eq!(PublicKey::from_bytes(&vec![7; length]).is_ok(), length == 32, "{length}");
            assert!(PublicKey::from_spki(&vec![7; length]).is_err());
        }
    }

    #[test]
    fn both_kinds_verify_what_they_signed_and_nothing_else() {
        let ed25519 = SigningKey::from_seed([5; 32]);
        let p256 = P256SigningKey::generate();
        let signed = [
            (PublicKey::ed25519(ed25519.verifying_key().0).unwrap(), ed25519.sign(b"m")),
            (PublicKey::p256(p256.verifying_key().as_bytes()).unwrap(), p256.sign(b"m")),
        ];
        for (at, (key, signature)) in signed.iter().enumerate() {
            assert!(key.verify(b"m", signature).is_ok());
            assert!(key.verify(b"n", signature).is_err());
            assert!(signed[1 - at].0.verify(b"m", signature).is_err());
        }
    }

    /// Each of the listed points lets a forger sign without a key: that is why it is refused.
    #[test]
    fn weak_keys_are_weak_and_refused() {
        let mut signature = [0; 64];
        signature[0] = 1; // R is the neutral element, S is zero
        for y in SMALL_ORDER {
            let mut negative = y;
            negative[31] |= 0x80;
            for key in [y, negative] {
                assert_eq!(PublicKey::ed25519(key), Err(PublicKeyError::Weak));
            }
            let forged =
                (0_u32..400).filter(|n| VerifyingKey(y).verify(&n.to_be_bytes(), &signature).is_ok()).count();
            assert!(forged > 0, "{y:02x?} is not of small order");
        }
        for outside in [FIELD_ORDER, [0xff; 32]] {
            assert_eq!(PublicKey::ed25519(outside), Err(PublicKeyError::Weak));
        }
    }
}
