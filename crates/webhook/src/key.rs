//! Secrets and signatures, after Standard Webhooks 1.0.0, "Signature scheme".
//!
//! What is signed is `ID.TIMESTAMP.BODY`. A signature is `v1,` and the base64 of HMAC-SHA256, or `v1a,` and the base64 of
//! an Ed25519 signature; while a key is being changed several stand behind each other, divided by spaces.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::{Secret, hmac_sha256};

/// Names of the headers: id, timestamp, signature.
pub const SIGNATURE_HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// Shortest shared secret, in bytes.
const SECRET_BYTES_MIN: usize = 24;
/// Longest shared secret, in bytes.
const SECRET_BYTES_MAX: usize = 64;
/// Bytes of a new shared secret.
const SECRET_BYTES: usize = 32;
/// Longest text read as a key.
const TEXT_BYTES_MAX: usize = 256;

/// How messages to an endpoint are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `v1a`: with a private key; who receives needs no secret.
    Ed25519,
    /// `v1`: with a secret that both sides know.
    Hmac,
}

impl Scheme {
    /// Every scheme, in the order of names.
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::Hmac];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Hmac => "hmac",
        }
    }

    /// The scheme of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// What stands behind the prefix.
    #[error("a key is standard base64 behind whsec_ or whsk_")]
    Base64,
    /// A shared secret of another length.
    #[error("a shared secret is 24 to 64 bytes before base64")]
    Length,
    /// The public half of a private key is of another key, or the length is another.
    #[error("a private key is the 32 bytes of an Ed25519 seed, or those and the 32 bytes of its public key")]
    NotAPair,
    /// It begins with neither.
    #[error("a key begins with whsec_ (shared secret) or whsk_ (private key)")]
    Prefix,
}

/// What messages to an endpoint are signed with.
#[derive(Debug)]
#[non_exhaustive]
pub enum SigningKey {
    /// `v1a`.
    Ed25519(crypto::SigningKey),
    /// `v1`.
    Hmac(Secret<Vec<u8>>),
}

impl SigningKey {
    /// A new key of a scheme from 32 random bytes.
    #[must_use]
    pub fn new(scheme: Scheme, random: [u8; SECRET_BYTES]) -> Self {
        match scheme {
            Scheme::Ed25519 => Self::Ed25519(crypto::SigningKey::from_seed(random)),
            Scheme::Hmac => Self::Hmac(Secret::new(random.to_vec())),
        }
    }

    /// Reads `whsec_` or `whsk_`.
    ///
    /// # Errors
    /// [`KeyError`], which holds nothing of the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let decoded = |base64: &str| match STANDARD.decode(base64) {
            Ok(bytes) if text.len() <= TEXT_BYTES_MAX => Ok(Secret::new(bytes)),
            _ => Err(KeyError::Base64),
        };
        if let Some(base64) = text.strip_prefix("whsec_") {
            let bytes = decoded(base64)?;
            Self::from_bytes(Scheme::Hmac, bytes.expose()).ok_or(KeyError::Length)
        } else if let Some(base64) = text.strip_prefix("whsk_") {
            let bytes = decoded(base64)?;
            let (seed, public) = bytes.expose().split_at_checked(32).ok_or(KeyError::NotAPair)?;
            let key = Self::from_bytes(Scheme::Ed25519, seed).ok_or(KeyError::NotAPair)?;
            match &key {
                Self::Ed25519(pair) if public.is_empty() || pair.verifying_key().0 == *public => Ok(key),
                _ => Err(KeyError::NotAPair),
            }
        } else {
            Err(KeyError::Prefix)
        }
    }

    /// From the bytes that [`SigningKey::bytes`] gives.
    #[must_use]
    pub fn from_bytes(scheme: Scheme, bytes: &[u8]) -> Option<Self> {
        match scheme {
            Scheme::Ed25519 => Some(Self::Ed25519(crypto::SigningKey::from_seed(bytes.try_into().ok()?))),
            Scheme::Hmac => (SECRET_BYTES_MIN..=SECRET_BYTES_MAX)
                .contains(&bytes.len())
                .then(|| Self::Hmac(Secret::new(bytes.to_vec()))),
        }
    }

    /// The bytes, for sealed storage.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(pair) => pair.seed().expose(),
            Self::Hmac(secret) => secret.expose(),
        }
    }

    /// How it signs.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        match self {
            Self::Ed25519(_) => Scheme::Ed25519,
            Self::Hmac(_) => Scheme::Hmac,
        }
    }

    /// What whoever receives needs to check signatures: `whsec_` and the secret, or `whpk_` and the public key.
    #[must_use]
    pub fn verifier(&self) -> Secret<String> {
        Secret::new(match self {
            Self::Ed25519(pair) => format!("whpk_{}", STANDARD.encode(pair.verifying_key().0)),
            Self::Hmac(secret) => format!("whsec_{}", STANDARD.encode(secret.expose())),
        })
    }

    /// The public key, which is no secret: `whpk_` and base64. `None` of a shared secret.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        match self {
            Self::Ed25519(_) => Some(self.verifier().expose().clone()),
            Self::Hmac(_) => None,
        }
    }

    /// The signature of a message, sent at `timestamp` (seconds since 1970).
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        match self {
            Self::Ed25519(pair) => {
                let signature = pair.sign(&[head.as_bytes(), body].concat());
                format!("v1a,{}", STANDARD.encode(signature))
            }
            Self::Hmac(secret) => {
                let mac = hmac_sha256(secret.expose(), &[head.as_bytes(), body]);
                format!("v1,{}", STANDARD.encode(mac))
            }
        }
    }
}

/// Whether one of the signatures in a header is the `v1` signature of a message; for tests and for those who receive.
#[must_use]
pub fn verify_hmac(secret: &[u8], id: &str, timestamp: u64, body: &[u8], header: &str) -> bool {
    let expected = hmac_sha256(secret, &[format!("{id}.{timestamp}.").as_bytes(), body]);
    header
        .split(' ')
        .filter_map(|one| one.strip_prefix("v1,"))
        .filter_map(|base64| STANDARD.decode(base64).ok())
        .any(|mac| crypto::ct_eq(&mac, &expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own example of a secret, and its message.
    #[test]
    fn a_known_secret_signs_as_the_reference_libraries_do() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let SigningKey::Hmac(secret) = &key else { unreachable!("it is a shared secret") };
        let verifies = |body: &[u8], header: &str| {
            verify_hmac(secret.expose(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body, header)
        };
        assert!(verifies(br#"{"test": 2432232314}"#, &format!("v1,AAAA v1a,x {signature}")));
        assert!(!verifies(br#"{"test": 2432232315}"#, &signature));
        assert!(!verifies(br#"{"test": 2432232314}"#, ""));
    }

    #[test]
    fn keys_round_trip_in_their_forms() {
        let shared = SigningKey::new(Scheme::Hmac, [7; 32]);
        let again = SigningKey::parse(shared.verifier().expose()).unwrap();
        assert_eq!((again.bytes(), again.scheme(), again.public()), (&[7_u8; 32][..], Scheme::Hmac, None));

        let private = SigningKey::new(Scheme::Ed25519, [9; 32]);
        let SigningKey::Ed25519(pair) = &private else { unreachable!("it is a private key") };
        let public = pair.verifying_key();
        let both = [&[9; 32][..], &public.0].concat();
        for text in [&both[..32], &both] {
            let again = SigningKey::parse(&format!("whsk_{}", STANDARD.encode(text))).unwrap();
            assert_eq!(again.public(), private.public());
        }
        assert!(private.public().unwrap().starts_with("whpk_"));
        let signature = private.sign("msg_1", 2, b"{}");
        let raw = STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        assert_eq!(public.verify(b"msg_1.2.{}", &raw), Ok(()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (text, error) in [
            ("", KeyError::Prefix),
            ("whpk_AAAA", KeyError::Prefix),
            ("whsec_%", KeyError::Base64),
            ("whsec_AAAA", KeyError::Length),
            ("whsk_AAAA", KeyError::NotAPair),
        ] {
            assert_eq!(SigningKey::parse(text).err(), Some(error), "{text}");
        }
        let long = format!("whsec_{}", STANDARD.encode([0; 65]));
        assert_eq!(SigningKey::parse(&long).err(), Some(KeyError::Length));
        let other = [[9_u8; 32], [1; 32]].concat();
        let other = format!("whsk_{}", STANDARD.encode(other));
        assert_eq!(SigningKey::parse(&other).err(), Some(KeyError::NotAPair));
        assert_eq!(format!("{:?}", SigningKey::new(Scheme::Hmac, [1; 32])), "Hmac(<secret>)");
    }
}
