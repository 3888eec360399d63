//! Stable 64-bit hashes of entity and category text: what the engine keys its state with.
//!
//! SipHash-2-4 (Aumasson and Bernstein 2012), written out because these values decide which state an event meets:
//! they must be the same in every process and must not change with a library. Under a secret seed nobody outside
//! can aim two names at one state. By chance two of ten million names meet with probability 3e-6.

/// Hashes the text of entities under the installation's seed.
#[derive(Clone, Copy)]
pub struct EntityHash([u64; 2]);

impl std::fmt::Debug for EntityHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EntityHash")
    }
}

impl EntityHash {
    /// Under a 16-byte seed. Replays must use the seed of the recording; a secret one keeps outsiders from choosing
    /// names that collide.
    #[must_use]
    pub const fn new(seed: [u8; 16]) -> Self {
        let seed = u128::from_le_bytes(seed);
        #[allow(clippy::cast_possible_truncation, reason = "the two halves of the seed")]
        Self([seed as u64, (seed >> 64) as u64])
    }

    /// The hash of an entity's canonical bytes.
    #[must_use]
    pub fn of(&self, bytes: &[u8]) -> u64 {
        siphash24(self.0, bytes)
    }
}

/// The hash of a category's text: not seeded, since packs name categories and must mean the same everywhere.
#[must_use]
pub fn category(text: &str) -> u64 {
    siphash24([0, 0], text.as_bytes())
}

/// One number for a pair of hashes, in this order.
pub(crate) const fn pair(first: u64, second: u64) -> u64 {
    spread(first.rotate_left(32) ^ spread(second.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

/// Spreads the bits of a number over all 64 (the finalizer of SplitMix64, Steele and others 2014).
pub(crate) const fn spread(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn siphash24([k0, k1]: [u64; 2], message: &[u8]) -> u64 {
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, tail) = message.as_chunks::<8>();
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    let end = u64::from_le_bytes(last) | (message.len() as u64) << 56;
    for word in words.iter().map(|word| u64::from_le_bytes(*word)).chain([end]) {
        state[3] ^= word;
        (0..2).for_each(|_| round(&mut state));
        state[0] ^= word;
    }
    state[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut state));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_authors() {
        // From the reference implementation: key 00 01 .. 0f, messages of the first n bytes 00 01 02 ...
        let hash = EntityHash::new(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(hash.of(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(hash.of(&message[..8]), 0x93f5_f579_9a93_2462);
        assert_eq!(hash.of(&message), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn a_pair_has_an_order() {
        assert_ne!(pair(1, 2), pair(2, 1));
        assert_ne!(category("a"), category("b"));
    }
}
