//! A split-block Bloom filter (Putze, Sanders, Singler 2007; the layout of Apache Parquet): tells most absent keys from
//! one half of a cache line.
//!
//! A key owns one block of 256 bits and in each of its eight words one bit. A key that was added always passes, so the
//! filter decides nothing: it only spares a look at the table, where the whole key is compared.

use super::layout::scaled;

/// One block: eight words of 32 bits.
pub(super) const BLOCK_BYTES: usize = 32;
/// 14 bits a key let 1 absent key in 400 through (measured: 0.25 %).
const BITS_PER_KEY: usize = 14;
/// Odd multipliers that pick the bit in each word; those of Apache Parquet.
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Blocks for so many keys.
pub(super) const fn blocks_for(keys: usize) -> usize {
    keys.saturating_mul(BITS_PER_KEY).div_ceil(8 * BLOCK_BYTES) + 1
}

fn block_of(hash: u64, blocks: usize) -> usize {
    scaled(hash, blocks).0
}

/// The bits of a key, one in each word.
fn mask(hash: u64) -> [u32; 8] {
    // The lower half; the upper one has chosen the block.
    let [a, b, c, d, ..] = hash.to_le_bytes();
    let low = u32::from_le_bytes([a, b, c, d]);
    SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
}

pub(super) fn add(filter: &mut [u8], hash: u64) {
    let (blocks, _) = filter.as_chunks_mut::<BLOCK_BYTES>();
    let at = block_of(hash, blocks.len());
    if let Some(block) = blocks.get_mut(at) {
        let (words, _) = block.as_chunks_mut::<4>();
        for (word, bit) in words.iter_mut().zip(mask(hash)) {
            *word = (u32::from_le_bytes(*word) | bit).to_le_bytes();
        }
    }
}

/// Whether the key may have been added.
#[inline]
pub(super) fn may_have(filter: &[u8], hash: u64) -> bool {
    let (blocks, _) = filter.as_chunks::<BLOCK_BYTES>();
    let Some(block) = blocks.get(block_of(hash, blocks.len())) else { return false };
    let (words, _) = block.as_chunks::<4>();
    // All words are looked at, without a branch on each.
    let absent = words
        .iter()
        .zip(mask(hash))
        .fold(0, |absent, (word, bit)| absent | (bit & !u32::from_le_bytes(*word)));
    absent == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::siphash::siphash13;

    #[test]
    fn what_was_added_passes_and_little_else() {
        let n: u32 = 50_000;
        let hash = |i: u32| siphash13(&[3; 16], &[&i.to_le_bytes()]);
        let mut filter = vec![0; blocks_for(50_000) * BLOCK_BYTES];
        (0..n).for_each(|i| add(&mut filter, hash(i)));
        assert!((0..n).all(|i| may_have(&filter, hash(i))));
        let passed = (n..5 * n).filter(|i| may_have(&filter, hash(*i))).count();
        assert!((100..1000).contains(&passed), "{passed} of 200,000 absent keys pass, 500 are expected");
    }
}
