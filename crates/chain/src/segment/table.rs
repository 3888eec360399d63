//! The hash table of a segment: bucketed cuckoo hashing (Pagh and Rodler 2001, Dietzfelbinger and Weidling 2007).
//!
//! A key lies in one of two buckets, both known from its hash alone, so that a lookup waits once: the processor reads
//! both at the same time, and no comparison decides where to look next. The two buckets of a key lie in one partition
//! of the table, so that building stays within the cache.
//!
//! A slot holds the key's field (payload, tag, what else makes it unequal to others), then the number of its labels.
//! The zero field is no key's.

use super::layout::{index, scaled};

/// Most keys meant for one partition: 16,384 buckets of two, one MiB of short slots.
const PARTITION_KEYS_MAX: usize = 27_852;
/// Share of slots taken, in percent, by slots in a bucket. Cuckoo hashing with two choices begins to fail at 89.7 % with
/// two slots and at 95.9 % with three.
const LOAD_PERCENT_OF_TWO: usize = 85;
const LOAD_PERCENT_OF_THREE: usize = 91;
/// Keys moved for one new key before the hash is given up.
const MOVES_MAX: usize = 5_000;
const EMPTY: u32 = u32::MAX;

/// How many buckets a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    pub(super) partitions: usize,
    pub(super) partition_buckets: usize,
}

impl Shape {
    /// For so many keys in buckets of so many slots.
    pub(super) const fn for_keys(keys: usize, bucket_slots: usize) -> Self {
        let load = if bucket_slots < 3 { LOAD_PERCENT_OF_TWO } else { LOAD_PERCENT_OF_THREE };
        let partitions = if keys == 0 { 1 } else { keys.div_ceil(PARTITION_KEYS_MAX) };
        let slots = (keys * 100).div_ceil(load * partitions);
        // Two more, so that few keys are not crowded.
        Self { partitions, partition_buckets: slots.div_ceil(bucket_slots) + 2 }
    }

    /// `None` when there are more than fit, as only a damaged header says.
    pub(super) const fn buckets(self) -> Option<usize> {
        self.partitions.checked_mul(self.partition_buckets)
    }

    /// Whether a hash can point to every bucket, and to one at least.
    pub(super) const fn is_sound(self) -> bool {
        self.partitions > 0
            && self.partition_buckets > 0
            && self.partitions <= 1 << 32
            && self.partition_buckets <= 1 << 32
    }

    /// Not decreasing in `hash`: keys in the order of hashes are in that of partitions.
    pub(super) fn partition_of(self, hash: u64) -> usize {
        scaled(hash, self.partitions).0
    }

    /// The two buckets within its partition.
    fn choices(self, hash: u64) -> [usize; 2] {
        // What each choice leaves of the hash makes the next: 64 bits are enough for all three.
        let (_, rest) = scaled(hash, self.partitions);
        let (first, rest) = scaled(rest, self.partition_buckets);
        let (second, _) = scaled(rest, self.partition_buckets);
        [first, second]
    }

    /// The two buckets of the whole table.
    #[inline]
    pub(super) fn buckets_of(self, hash: u64) -> [usize; 2] {
        let first = self.partition_of(hash) * self.partition_buckets;
        self.choices(hash).map(|bucket| first + bucket)
    }
}

/// Where each key of one partition goes: for each slot the index into `hashes`, or `None` when some keys find no place
/// under this hash.
pub(super) fn place(hashes: &[u64], shape: Shape, bucket_slots: usize) -> Option<Vec<Option<usize>>> {
    let mut slots = vec![EMPTY; shape.partition_buckets * bucket_slots];
    // A plain generator is enough: it chooses whom to move, and the same keys must always give the same bytes.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for idx in 0..hashes.len() {
        let mut homeless = u32::try_from(idx).ok().filter(|idx| *idx != EMPTY)?;
        let mut moves = 0;
        while homeless != EMPTY {
            homeless = settle(&mut slots, hashes, shape, bucket_slots, homeless, &mut random)?;
            moves += 1;
            if moves > MOVES_MAX {
                return None;
            }
        }
    }
    Some(slots.into_iter().map(|slot| (slot != EMPTY).then(|| index(slot))).collect())
}

/// Puts a key into one of its buckets and returns the key that had to make room, or `EMPTY`.
fn settle(
    slots: &mut [u32],
    hashes: &[u64],
    shape: Shape,
    bucket_slots: usize,
    key: u32,
    random: &mut u64,
) -> Option<u32> {
    let choices = shape.choices(*hashes.get(index(key))?);
    let mut best: Option<(usize, usize)> = None;
    for bucket in choices {
        let from = bucket * bucket_slots;
        let within = slots.get(from..from + bucket_slots)?;
        // Buckets fill from the left and no slot is ever emptied.
        let free = within.iter().filter(|slot| **slot == EMPTY).count();
        if free > 0 && best.is_none_or(|(_, most)| free > most) {
            best = Some((from + bucket_slots - free, free));
        }
    }
    let at = if let Some((at, _)) = best {
        at
    } else {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [first, second] = choices;
        let bucket = if *random >> 63 == 0 { first } else { second };
        bucket * bucket_slots + scaled(*random << 1, bucket_slots).0
    };
    Some(std::mem::replace(slots.get_mut(at)?, key))
}

/// The number stored with `field` in either bucket.
///
/// Every slot of both buckets is compared, without a branch on any: which one it is cannot be predicted.
#[inline]
pub(super) fn find<const BUCKET: usize, const STRIDE: usize, const FIELD: usize>(
    table: &[u8],
    shape: Shape,
    hash: u64,
    field: &[u8; FIELD],
) -> Option<u32> {
    let (buckets, _) = table.as_chunks::<BUCKET>();
    let [first, second] = shape.buckets_of(hash);
    let (first, second) = (buckets.get(first)?, buckets.get(second)?);
    let (mut found, mut number) = (false, 0);
    for bucket in [first, second] {
        for slot in slots::<BUCKET, STRIDE>(bucket) {
            let same = slot.first_chunk() == Some(field);
            found |= same;
            number |= u32::from(same).wrapping_neg() & number_of::<FIELD>(slot);
        }
    }
    // In the first and the second bucket it can be only where both are one, and then the numbers are the same.
    found.then_some(number)
}

/// The same for a field of words, in slots of whole words.
#[inline]
pub(super) fn find_words<const BUCKET: usize, const STRIDE: usize, const WORDS: usize>(
    table: &[u8],
    shape: Shape,
    hash: u64,
    field: [u64; WORDS],
) -> Option<u32> {
    let (buckets, _) = table.as_chunks::<BUCKET>();
    let [first, second] = shape.buckets_of(hash);
    let (first, second) = (buckets.get(first)?, buckets.get(second)?);
    let (mut found, mut number) = (0, 0);
    for bucket in [first, second] {
        for slot in slots::<BUCKET, STRIDE>(bucket) {
            let words = slot.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
            let differs = words.zip(field).fold(0, |differs, (word, wanted)| differs | (word ^ wanted));
            let same = u32::from(differs == 0).wrapping_neg();
            found |= same;
            number |= same & slot.get(8 * WORDS..).map_or(0, number_of::<0>);
        }
    }
    (found != 0).then_some(number)
}

/// The slots of a bucket.
pub(super) fn slots<const BUCKET: usize, const STRIDE: usize>(
    bucket: &[u8; BUCKET],
) -> impl Iterator<Item = &[u8; STRIDE]> {
    bucket.as_chunks::<STRIDE>().0.iter()
}

/// The number beside the field.
#[inline]
pub(super) fn number_of<const FIELD: usize>(slot: &[u8]) -> u32 {
    slot.get(FIELD..).and_then(<[u8]>::first_chunk).map_or(0, |number| u32::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::siphash::siphash13;

    #[test]
    fn every_key_is_in_one_of_its_buckets_at_the_load_used() {
        for (keys, bucket_slots) in [(0, 2), (1, 2), (7, 2), (100, 3), (27_852, 2), (27_853, 2), (100_000, 3)]
        {
            let shape = Shape::for_keys(keys, bucket_slots);
            let mut hashes: Vec<u64> = (0..keys).map(|n| siphash13(&[9; 16], &[&n.to_le_bytes()])).collect();
            hashes.sort_unstable();
            let mut seen = 0;
            for partition in 0..shape.partitions {
                let ours: Vec<u64> =
                    hashes.iter().copied().filter(|hash| shape.partition_of(*hash) == partition).collect();
                let placed = place(&ours, shape, bucket_slots).expect("the load is below the threshold");
                for (slot, key) in placed.iter().enumerate() {
                    let Some(key) = key else { continue };
                    assert!(shape.choices(ours[*key]).contains(&(slot / bucket_slots)));
                    seen += 1;
                }
            }
            assert_eq!(seen, keys);
        }
    }

    #[test]
    fn keys_that_all_want_the_same_buckets_are_given_up() {
        let shape = Shape::for_keys(5, 2);
        assert_eq!(place(&[42; 5], shape, 2), None);
        assert!(place(&[42; 4], shape, 2).is_some() || shape.choices(42)[0] == shape.choices(42)[1]);
    }
}
