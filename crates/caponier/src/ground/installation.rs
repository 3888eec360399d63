//! What makes an installation this one: the seed of its log's signing key, in one of its first entries, sealed.
//!
//! Being an entry, it is backed up, restored and covered by the log like everything else, and needs no key file of
//! its own. Everything else that must stay the same over restarts is derived from it.

use crypto::{AeadKey, MacKey, Secret, SigningKey};

/// Identity of an installation.
#[derive(Debug, Clone)]
pub struct Installation {
    seed: Secret<[u8; 32]>,
}

/// The payload is not an installation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("installation entry is malformed")]
pub struct MalformedInstallation;

impl Installation {
    /// A new one from random bytes.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed: Secret::new(seed) }
    }

    /// Deterministic CBOR: `[1, bstr .size 32]`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = vec![0x82, 0x01, 0x58, 0x20];
        payload.extend_from_slice(self.seed.expose());
        payload
    }

    /// Inverse of [`Installation::encode`]; accepts nothing else.
    ///
    /// # Errors
    /// [`MalformedInstallation`].
    pub fn decode(payload: &[u8]) -> Result<Self, MalformedInstallation> {
        let seed = payload.strip_prefix(&[0x82, 0x01, 0x58, 0x20]).ok_or(MalformedInstallation)?;
        Ok(Self::new(seed.try_into().map_err(|_| MalformedInstallation)?))
    }

    /// Signs checkpoints of the transparency log.
    #[must_use]
    pub fn log_key(&self) -> SigningKey {
        SigningKey::from_seed(*self.seed.expose())
    }

    /// Makes decision ids.
    #[must_use]
    pub fn decision_ids(&self) -> decide::DecisionIds {
        let key: [u8; 32] = crypto::hkdf_sha512(self.seed.expose(), b"caponier", b"decision ids v1");
        decide::DecisionIds::new(MacKey::new(&key))
    }

    /// Makes the ids of webhook messages.
    #[must_use]
    pub fn message_ids(&self) -> MacKey {
        let key: [u8; 32] = crypto::hkdf_sha512(self.seed.expose(), b"caponier", b"webhook message ids v1");
        MacKey::new(&key)
    }

    /// Seals the files of the certificate authority's account.
    #[must_use]
    pub fn acme_key(&self) -> AeadKey {
        let key: [u8; 32] = crypto::hkdf_sha512(self.seed.expose(), b"caponier", b"acme files v1");
        AeadKey::new(&key)
    }

    /// Makes and checks the tokens of apps.
    #[must_use]
    pub fn token_key(&self) -> Secret<[u8; 32]> {
        Secret::new(crypto::hkdf_sha512(self.seed.expose(), b"caponier", b"oauth tokens v1"))
    }

    /// Keys the hashes under which the fraud engine knows accounts, devices and addresses.
    #[must_use]
    pub fn entity_seed(&self) -> [u8; 16] {
        crypto::hkdf_sha512(self.seed.expose(), b"caponier", b"fraud entities v1")
    }

    /// Signs answers of the gateway.
    #[must_use]
    pub fn answer_key(&self) -> SigningKey {
        SigningKey::from_seed(crypto::hkdf_sha512(self.seed.expose(), b"caponier", b"answer key v1"))
    }

    /// Public name of the installation, for the backup target.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = crypto::sha256(&[b"caponier installation v1", &self.log_key().verifying_key().0]);
        hex::encode(digest.get(..16).unwrap_or(&digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_nothing_else() {
        let installation = Installation::new([7; 32]);
        let payload = installation.encode();
        assert_eq!(Installation::decode(&payload).unwrap().encode(), payload);
        assert!(Installation::decode(&payload[1..]).is_err());
        assert!(Installation::decode(&[&payload[..], &[0]].concat()).is_err());
        assert_eq!(installation.id().len(), 32);
    }
}
