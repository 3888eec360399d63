//! HMAC-SHA256 (RFC 2104), with the key state computed once or from the bare key each time; HMAC-SHA-1 for one-time codes.

use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{hash::hash_pieces, sha256};

/// Block size of SHA-256.
const BLOCK_BYTES: usize = 64;

/// HMAC-SHA256 of the concatenation of `parts` under `key` of any length.
///
/// For stores of very many keys: a [`MacKey`] is over 1 kB, a bare key some tens of bytes, and computing its state
/// for each message costs about a tenth more time.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = Zeroizing::new([0_u8; BLOCK_BYTES]);
    if key.len() > BLOCK_BYTES {
        block[..32].copy_from_slice(&sha256(&[key]));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    block.iter_mut().for_each(|byte| *byte ^= 0x36);
    let inner = hash_of(&block, parts);
    block.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
    hash_of(&block, &[&inner])
}

/// HMAC-SHA-1 (RFC 2104): for one-time codes alone, whose apps know nothing else (RFC 4226, RFC 6238). What breaks SHA-1,
/// collisions, does not break its HMAC.
#[must_use]
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), message);
    let mut mac = [0; 20];
    mac.copy_from_slice(tag.as_ref());
    mac
}

fn hash_of(block: &[u8; BLOCK_BYTES], parts: &[&[u8]]) -> [u8; 32] {
    hash_pieces(std::iter::once(&block[..]).chain(parts.iter().copied()))
}

/// A key whose inner and outer hash states are already computed.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// From key bytes of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// MAC of the concatenation of `parts`.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }

    /// Whether `mac` is that of the concatenation of `parts`; constant time in the content.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        crate::ct_eq(&self.sign(parts), mac)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(<secret>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_messages_agree_with_a_computed_key() {
        const SHORT: usize = crate::hash::SHORT_BYTES_MAX;
        let message = [0x5a; 2 * SHORT];
        for key in [&b"k"[..], &[7; BLOCK_BYTES], &[7; BLOCK_BYTES + 1]] {
            for bytes in [0, 1, 63, 64, SHORT - BLOCK_BYTES, SHORT - BLOCK_BYTES + 1, message.len()] {
                let (front, back) = message[..bytes].split_at(bytes / 3);
                assert_eq!(hmac_sha256(key, &[front, back]), MacKey::new(key).sign(&[&message[..bytes]]));
            }
        }
    }

    /// RFC 2202, 3, test cases 1 and 2.
    #[test]
    fn rfc_2202_known_answers() {
        assert_eq!(hmac_sha1(&[0x0b; 20], b"Hi There")[..4], [0xb6, 0x17, 0x31, 0x86]);
        assert_eq!(hmac_sha1(b"Jefe", b"what do ya want for nothing?")[..4], [0xef, 0xfc, 0xdf, 0x6a]);
    }

    /// RFC 4231 test case 2.
    #[test]
    fn rfc_4231_known_answer() {
        let mac = MacKey::new(b"Jefe").sign(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(mac[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert!(MacKey::new(b"Jefe").verify(&[b"what do ya want for nothing?"], &mac));
    }

    /// Keys of every length around the block size, against the provider's own HMAC.
    #[test]
    fn bare_keys_agree_with_the_provider() {
        let key: Vec<u8> = (0..=150).collect();
        for length in 0..key.len() {
            let (key, parts) = (&key[..length], [&key[length..], b"tail"]);
            assert_eq!(hmac_sha256(key, &parts), MacKey::new(key).sign(&parts), "{length}");
        }
    }
}
