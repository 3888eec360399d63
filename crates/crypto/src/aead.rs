//! AES-256-GCM-SIV (RFC 8452): authenticated encryption that survives a repeated nonce with no loss but equality.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

/// Bytes the authentication tag adds to a plaintext.
pub const TAG_BYTES: usize = 16;

/// The ciphertext, its associated data or the key is not the one that was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ciphertext does not authenticate")]
pub struct OpenError;

/// A 256-bit key with its key schedule.
pub struct AeadKey(LessSafeKey);

impl AeadKey {
    /// Expands the key schedule once; keep the value rather than rebuild it per message.
    ///
    /// # Panics
    /// Never: a 32-byte key always fits the algorithm.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM_SIV, key).expect("32 bytes are the key length of AES-256");
        Self(LessSafeKey::new(unbound))
    }

    /// Seals `plaintext` in place: afterwards `buffer` holds ciphertext and tag ([`TAG_BYTES`] longer).
    /// `aad` is authenticated, not hidden.
    ///
    /// # Panics
    /// Never for buffers below 64 GiB, the limit of the algorithm.
    pub fn seal_in_place(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], buffer: &mut Vec<u8>) {
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), buffer)
            .expect("buffer is far below the 64 GiB limit");
    }

    /// [`AeadKey::seal_in_place`] of a copy of `plaintext` at the end of `out`, which it lengthens by ciphertext and
    /// tag.
    ///
    /// # Panics
    /// As [`AeadKey::seal_in_place`].
    pub fn seal_onto(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) {
        out.reserve(plaintext.len() + TAG_BYTES);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad),
                &mut out[start..],
            )
            .expect("the plaintext is far below the 64 GiB limit");
        out.extend_from_slice(tag.as_ref());
    }

    /// Opens ciphertext and tag in place and returns the plaintext part of `buffer`.
    ///
    /// # Errors
    /// [`OpenError`]; `buffer` then holds nothing usable.
    pub fn open_in_place<'b>(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &'b mut [u8],
    ) -> Result<&'b mut [u8], OpenError> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), buffer)
            .map_err(|_| OpenError)
    }

    /// [`AeadKey::seal_in_place`] into a new buffer.
    #[must_use]
    pub fn seal(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::new();
        self.seal_onto(nonce, aad, plaintext, &mut buffer);
        buffer
    }

    /// [`AeadKey::open_in_place`] into a new buffer.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let mut buffer = ciphertext.to_vec();
        let len = self.open_in_place(nonce, aad, &mut buffer)?.len();
        buffer.truncate(len);
        Ok(buffer)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(<secret>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8452 appendix C.2, the first AEAD_AES_256_GCM_SIV case with a plaintext.
    #[test]
    fn rfc_8452_known_answer() {
        let mut key = [0; 32];
        key[0] = 1;
        let mut nonce = [0; NONCE_BYTES];
        nonce[0] = 3;
        let sealed = AeadKey::new(&key).seal(&nonce, &[], &[1, 0, 0, 0, 0, 0, 0, 0]);
        let text: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28");
    }

    #[test]
    fn every_way_to_seal_gives_the_same_bytes() {
        let key = AeadKey::new(&[7; 32]);
        for len in [0, 1, 15, 16, 17, 300, 5_000] {
            let plaintext = vec![3; len];
            let mut in_place = plaintext.clone();
            key.seal_in_place(&[1; NONCE_BYTES], b"place", &mut in_place);
            let mut onto = b"before".to_vec();
            key.seal_onto(&[1; NONCE_BYTES], b"place", &plaintext, &mut onto);
            assert_eq!(&onto[..6], b"before");
            assert_eq!(onto[6..], in_place, "{len} bytes");
        }
    }

    #[test]
    fn any_change_is_refused() {
        let key = AeadKey::new(&[7; 32]);
        let sealed = key.seal(&[1; NONCE_BYTES], b"place", b"payload");
        assert_eq!(key.open(&[1; NONCE_BYTES], b"place", &sealed).unwrap(), b"payload");
        assert_eq!(key.open(&[1; NONCE_BYTES], b"elsewhere", &sealed), Err(OpenError));
        assert_eq!(key.open(&[2; NONCE_BYTES], b"place", &sealed), Err(OpenError));
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&[1; NONCE_BYTES], b"place", &flipped), Err(OpenError), "bit {bit}");
        }
    }
}
