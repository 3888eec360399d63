//! SHA-256, HKDF-SHA-256 and HKDF-SHA-512 (RFC 5869).

use std::fmt;

use aws_lc_rs::{digest, hkdf};
use zeroize::Zeroize as _;

/// Longest message that is put together on the stack; what a request without a body signs is shorter.
pub(crate) const SHORT_BYTES_MAX: usize = 256;

/// SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    match parts {
        [message] => hash_whole(message),
        _ => hash_pieces(parts.iter().copied()),
    }
}

/// In one call, which costs a quarter less for short messages.
fn hash_whole(message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    out
}

/// SHA-256 of the concatenation of `pieces`, put together on the stack if that is short.
pub(crate) fn hash_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> [u8; 32] {
    let mut message = [0_u8; SHORT_BYTES_MAX];
    let mut end = 0;
    for piece in pieces.clone() {
        let Some(place) = message[end..].get_mut(..piece.len()) else {
            message[..end].zeroize();
            let mut hasher = Sha256::new();
            pieces.for_each(|piece| hasher.update(piece));
            return hasher.finish();
        };
        place.copy_from_slice(piece);
        end += piece.len();
    }
    let hash = hash_whole(&message[..end]);
    message[..end].zeroize();
    hash
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
    derive(hkdf::HKDF_SHA512, secret, salt, info)
}

/// As [`hkdf_sha512`], for protocols whose other side has SHA-256 only.
///
/// # Panics
/// Never for `N` up to 8 160, the limit of HKDF-SHA-256.
#[must_use]
pub fn hkdf_sha256<const N: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; N] {
    derive(hkdf::HKDF_SHA256, secret, salt, info)
}

fn derive<const N: usize>(algorithm: hkdf::Algorithm, secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    hkdf::Salt::new(algorithm, salt)
        .extract(secret)
        .expand(&[info], Len(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("N is within the limit of HKDF");
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

    /// RFC 5869 appendix A.1.
    #[test]
    fn rfc_5869_known_answer() {
        let salt: [u8; 13] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let info: [u8; 10] = std::array::from_fn(|at| 0xf0 + u8::try_from(at).unwrap());
        let okm = hkdf_sha256::<42>(&[0x0b; 22], &salt, &info);
        assert_eq!(okm[..4], [0x3c, 0xb2, 0x5f, 0x25]);
        assert_eq!(okm[38..], [0x87, 0x18, 0x58, 0x65]);
    }
}
