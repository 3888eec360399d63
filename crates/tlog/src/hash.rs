//! Merkle tree hashing (RFC 6962 section 2.1, unchanged in RFC 9162): SHA-256, leaves prefixed with 0x00, nodes with 0x01.
//!
//! The prefixes keep leaves and nodes apart, so no leaf can be passed off as an inner node.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Length of a hash, in bytes.
pub const HASH_BYTES: usize = 32;

/// The hash of a leaf, of an inner node or of a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    /// Standard base64 with padding, as checkpoints and proofs write it (44 characters).
    #[must_use]
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads what [`Hash::to_base64`] writes; any other spelling of the same bytes is refused.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The hash of a leaf whose stored bytes are `entry`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(crypto::sha256(&[&[0x00], entry]))
}

/// The hash of an inner node.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut message = [0x01; 1 + 2 * HASH_BYTES];
    message[1..=HASH_BYTES].copy_from_slice(&left.0);
    message[1 + HASH_BYTES..].copy_from_slice(&right.0);
    Hash(crypto::sha256(&[&message]))
}

/// The root of the tree without leaves: the hash of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(crypto::sha256(&[]))
}

/// The root of the perfect tree over `hashes`; their number must be a power of two.
pub(crate) fn perfect_root(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    let mut row = hashes.to_vec();
    let mut width = row.len();
    while width > 1 {
        width /= 2;
        for i in 0..width {
            row[i] = node_hash(&row[2 * i], &row[2 * i + 1]);
        }
    }
    row[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The roots of the example tree that certificate transparency implementations share.
    #[test]
    fn known_answers() {
        assert_eq!(empty_root().to_base64(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(leaf_hash(b"").to_base64(), "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=");
        assert_ne!(
            node_hash(&leaf_hash(b"a"), &leaf_hash(b"b")),
            node_hash(&leaf_hash(b"b"), &leaf_hash(b"a"))
        );
    }

    #[test]
    fn base64_has_one_spelling() {
        let text = leaf_hash(b"x").to_base64();
        assert_eq!(Hash::from_base64(&text), Some(leaf_hash(b"x")));
        assert_eq!(Hash::from_base64(text.trim_end_matches('=')), None);
        assert_eq!(Hash::from_base64(&text[4..]), None);
        // The last character before the padding carries two unused bits; a non-zero one is another spelling.
        let zero = Hash([0; HASH_BYTES]).to_base64();
        assert_eq!(Hash::from_base64(&zero.replace("A=", "B=")), None);
    }
}
