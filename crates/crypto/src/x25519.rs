//! X25519 key agreement (RFC 7748).
//!
//! Gives both sides one shared secret, never a key: derive keys from it with [`hkdf_sha256`](crate::hkdf_sha256),
//! and bind both public keys there. Says nothing about who the other side is.

use std::fmt;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};

use crate::Secret;

/// The other side's public key gives no secret: it is of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("public key of the other side is unusable")]
pub struct BadPeerKey;

/// A private key for one agreement.
pub struct X25519Key {
    private: PrivateKey,
    public: [u8; 32],
}

impl X25519Key {
    /// The key of 32 random bytes.
    ///
    /// # Panics
    /// Never: every 32 bytes are a key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let private = PrivateKey::from_private_key(&X25519, bytes).expect("every 32 bytes are an X25519 key");
        let computed = private.compute_public_key().expect("every X25519 key has a public half");
        let mut public = [0; 32];
        public.copy_from_slice(computed.as_ref());
        Self { private, public }
    }

    /// A new key from the operating system's entropy.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_bytes(&crate::random::array())
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The secret shared with the holder of `peer`.
    ///
    /// # Errors
    /// [`BadPeerKey`] when the result would be all zeros whatever the private key (RFC 7748 section 6.1).
    pub fn agree(&self, peer: &[u8; 32]) -> Result<Secret<[u8; 32]>, BadPeerKey> {
        agreement::agree(&self.private, UnparsedPublicKey::new(&X25519, peer), BadPeerKey, |shared| {
            <[u8; 32]>::try_from(shared).map(Secret::new).map_err(|_| BadPeerKey)
        })
    }
}

impl fmt::Debug for X25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519Key(<secret>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7748 section 6.1.
    #[test]
    fn rfc_7748_known_answer() {
        let alice = X25519Key::from_bytes(&[
            0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
            0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
        ]);
        let bob = X25519Key::from_bytes(&[
            0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f, 0x8b, 0x83, 0x80, 0x0e, 0xe6,
            0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18, 0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb,
        ]);
        assert_eq!(alice.public()[..4], [0x85, 0x20, 0xf0, 0x09]);
        assert_eq!(bob.public()[..4], [0xde, 0x9e, 0xdb, 0x7d]);
        let shared = alice.agree(bob.public()).unwrap();
        assert_eq!(shared.expose()[..4], [0x4a, 0x5d, 0x9d, 0x5b]);
        assert_eq!(shared.expose()[28..], [0x1e, 0x16, 0x17, 0x42]);
        assert_eq!(bob.agree(alice.public()).unwrap().expose(), shared.expose());
    }

    #[test]
    fn points_of_small_order_are_refused() {
        let key = X25519Key::generate();
        let mut one = [0; 32];
        one[0] = 1;
        for peer in [[0; 32], one] {
            assert_eq!(key.agree(&peer).err(), Some(BadPeerKey));
        }
    }
}
