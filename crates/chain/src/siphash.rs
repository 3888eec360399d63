//! SipHash-1-3: a keyed 64-bit hash whose collisions an attacker cannot aim without the key. Aumasson and Bernstein
//! (2012) with one round for each word and three at the end, as the hash tables of Rust and Python have it: what is
//! hashed here is placed in a table whose key nobody outside sees, not authenticated. Written out here because the hash
//! is part of the segment format and must never change with a library.

/// Hash of `message`, given in parts, under a 16-byte key.
pub(crate) fn siphash13(key: &[u8; 16], message: &[&[u8]]) -> u64 {
    let mut state = start(key);
    // The parts are hashed as one message: `word` collects bytes across part borders.
    let (mut word, mut filled, mut len) = (0u64, 0u32, 0u64);
    for part in message {
        len = len.wrapping_add(part.len() as u64);
        let mut rest = *part;
        if filled == 0 {
            let (words, tail) = rest.as_chunks::<8>();
            for chunk in words {
                absorb(&mut state, u64::from_le_bytes(*chunk));
            }
            rest = tail;
        }
        for byte in rest {
            word |= u64::from(*byte) << (8 * filled);
            filled += 1;
            if filled == 8 {
                absorb(&mut state, word);
                (word, filled) = (0, 0);
            }
        }
    }
    absorb(&mut state, word | (len << 56));
    finish(state)
}

/// [`siphash13`] of a message of 21 bytes, by far the most frequent, given as words: little endian, zero after the end.
#[inline]
pub(crate) fn siphash13_of_21(key: &[u8; 16], message: [u64; 3]) -> u64 {
    let [first, second, last] = message;
    let mut state = start(key);
    absorb(&mut state, first);
    absorb(&mut state, second);
    absorb(&mut state, last | 21 << 56);
    finish(state)
}

#[inline]
fn start(key: &[u8; 16]) -> [u64; 4] {
    let (k0, k1) = (le64(key.get(..8).unwrap_or(&[])), le64(key.get(8..).unwrap_or(&[])));
    [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ]
}

#[inline]
fn finish(mut state: [u64; 4]) -> u64 {
    state[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut state));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn le64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

#[inline]
fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    state[0] ^= word;
}

#[inline]
fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    use super::*;

    proptest! {
        #[test]
        fn equals_another_implementation(key in any::<[u8; 16]>(), a in any::<Vec<u8>>(), b in any::<Vec<u8>>()) {
            let mut oracle = SipHasher13::new_with_keys(le64(&key[..8]), le64(&key[8..]));
            oracle.write(&a);
            oracle.write(&b);
            prop_assert_eq!(siphash13(&key, &[&a, &b]), oracle.finish());
        }

        #[test]
        fn the_short_form_is_the_same_hash(key: [u8; 16], message: [u8; 21]) {
            let mut words = [0; 3];
            for (word, bytes) in words.iter_mut().zip(message.chunks(8)) {
                *word = le64(bytes);
            }
            prop_assert_eq!(siphash13_of_21(&key, words), siphash13(&key, &[&message]));
        }
    }
}
