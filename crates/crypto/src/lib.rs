//! Cryptographic primitives: AEAD, MAC, hash, KDF, signatures, key agreement, passphrase hashing, secrets, random bytes.
//!
//! The only importer of the crypto provider (aws-lc-rs) and of the chains' curve (libsecp256k1). Algorithms are chosen by the caller's type, never by a
//! message. Nothing here does I/O except [`random`], which asks the operating system for entropy.

mod aead;
mod ed25519;
mod hash;
mod mac;
mod p256;
mod passphrase;
pub mod random;
mod secp256k1;
mod secret;
mod x25519;

pub use self::{
    aead::{AeadKey, NONCE_BYTES, OpenError, TAG_BYTES},
    ed25519::{BadSignature, SigningKey, VerifyingKey},
    hash::{Sha256, hkdf_sha256, hkdf_sha512, sha256},
    mac::{MacKey, hmac_sha1, hmac_sha256},
    p256::{NotP256, P256SigningKey, P256VerifyingKey},
    passphrase::{MalformedHash, PassphraseHash},
    secp256k1::secp256k1_recover,
    secret::{Secret, SecretBytes, ct_eq},
    x25519::{BadPeerKey, X25519Key},
};
