//! Inclusion and consistency proofs: generation from tiles (RFC 6962 section 2.1) and verification (RFC 9162 sections
//! 2.1.3.2 and 2.1.4.2).
//!
//! Verification trusts nothing but the roots it is given. Generation trusts nothing either: check what it returns
//! against the root before handing it out, since a damaged tile gives a proof that does not verify.

use std::{cell::RefCell, collections::BTreeMap, ops::Range};

use crate::{
    frontier::fold_right,
    hash::{Hash, empty_root, node_hash, perfect_root},
    source::{ReadError, TileSource, read_hashes},
    tile::{TILE_WIDTH, TileId, TileKind},
};

/// Most hashes of an inclusion proof: one per level of the largest tree.
pub const INCLUSION_HASHES_MAX: usize = 63;

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("leaf {index} is beyond the tree of {size} leaves")]
    IndexBeyondTree {
        /// Zero-based index of the leaf.
        index: u64,
        /// Number of leaves.
        size: u64,
    },
    /// The proof leads to another root.
    #[error("proof does not lead to the root")]
    RootMismatch,
    /// The older tree is larger than the newer.
    #[error("a tree of {old} leaves is no prefix of a tree of {new}")]
    SizesReversed {
        /// Leaves of the older tree.
        old: u64,
        /// Leaves of the newer tree.
        new: u64,
    },
    /// The proof is too short or too long for index and size.
    #[error("proof has the wrong number of hashes, {got}")]
    WrongLength {
        /// Number of hashes.
        got: usize,
    },
}

/// Why no proof can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// Asked for something that no tree has.
    #[error(transparent)]
    Misuse(ProofError),
    /// A tile on the way is unusable.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Verifies that `leaf` is leaf number `index` of the tree with `size` leaves and root `root`.
///
/// # Errors
/// [`ProofError`].
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: Hash,
    proof: &[Hash],
    root: Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::IndexBeyondTree { index, size });
    }
    let wrong_length = ProofError::WrongLength { got: proof.len() };
    let (mut position, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(wrong_length);
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, &hash);
            // A node without a right sibling moves up unchanged until it is one itself.
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if hash == root { Ok(()) } else { Err(ProofError::RootMismatch) }
}

/// Verifies that the tree (`old`, `old_root`) is a prefix of the tree (`new`, `new_root`).
///
/// # Errors
/// [`ProofError`].
pub fn verify_consistency(
    old: u64,
    old_root: Hash,
    new: u64,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let wrong_length = ProofError::WrongLength { got: proof.len() };
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    if old == 0 || old == new {
        let expected = if old == 0 { empty_root() } else { new_root };
        let both_empty = new != 0 || new_root == empty_root();
        return match proof {
            [] if old_root == expected && both_empty => Ok(()),
            [] => Err(ProofError::RootMismatch),
            _ => Err(wrong_length),
        };
    }
    // A perfect older tree is a node of the newer one, and its root is left out of the proof.
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().map(|(first, rest)| (*first, rest)).ok_or(wrong_length.clone())?
    };
    let (mut position, mut last) = (old - 1, new - 1);
    let shift = position.trailing_ones();
    position >>= shift;
    last >>= shift;
    let (mut old_hash, mut new_hash) = (first, first);
    for hash in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if position & 1 == 1 || position == last {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old_hash == old_root && new_hash == new_root { Ok(()) } else { Err(ProofError::RootMismatch) }
}

/// Makes the proof that leaf `index` is in the tree of the first `size` leaves: from its sibling up to the root's child.
///
/// # Errors
/// [`ProveError`].
pub fn inclusion_proof(source: &impl TileSource, index: u64, size: u64) -> Result<Vec<Hash>, ProveError> {
    if index >= size {
        return Err(ProveError::Misuse(ProofError::IndexBeyondTree { index, size }));
    }
    let tree = StoredTree::new(source, size);
    let mut proof = Vec::new();
    let mut range = 0..size;
    while range.end - range.start > 1 {
        let split = split_point(&range);
        let sibling = if index < split {
            let right = split..range.end;
            range.end = split;
            right
        } else {
            let left = range.start..split;
            range.start = split;
            left
        };
        proof.push(tree.root_of(sibling)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Makes the proof that the tree of the first `old` leaves is a prefix of the tree of the first `new`.
///
/// # Errors
/// [`ProveError`].
pub fn consistency_proof(source: &impl TileSource, old: u64, new: u64) -> Result<Vec<Hash>, ProveError> {
    if old > new {
        return Err(ProveError::Misuse(ProofError::SizesReversed { old, new }));
    }
    let mut proof = Vec::new();
    if old == 0 || old == new {
        return Ok(proof);
    }
    let tree = StoredTree::new(source, new);
    let mut range = 0..new;
    while range.end != old {
        let split = split_point(&range);
        let other = if old <= split {
            let right = split..range.end;
            range.end = split;
            right
        } else {
            let left = range.start..split;
            range.start = split;
            left
        };
        proof.push(tree.root_of(other)?);
    }
    // What is left is a perfect subtree; the verifier knows it only if it is the whole older tree.
    if range.start > 0 {
        proof.push(tree.root_of(range)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Computes the root of the tree of the first `at` leaves from the tiles of a log of `size` leaves.
///
/// # Errors
/// [`ProveError`].
pub fn root_at(source: &impl TileSource, at: u64, size: u64) -> Result<Hash, ProveError> {
    if at > size {
        return Err(ProveError::Misuse(ProofError::SizesReversed { old: at, new: size }));
    }
    Ok(StoredTree::new(source, size).root_of(0..at)?)
}

/// Where RFC 6962 splits a tree: the largest power of two smaller than the number of leaves.
fn split_point(range: &Range<u64>) -> u64 {
    let leaves = range.end - range.start;
    range.start + (1 << (leaves - 1).ilog2())
}

/// A tree read through its tiles; keeps those it has read, at most two per level for one proof.
struct StoredTree<'a, S> {
    source: &'a S,
    size: u64,
    tiles: RefCell<BTreeMap<TileId, Vec<Hash>>>,
}

impl<'a, S: TileSource> StoredTree<'a, S> {
    const fn new(source: &'a S, size: u64) -> Self {
        Self { source, size, tiles: RefCell::new(BTreeMap::new()) }
    }

    /// The root over leaves `range`, which must start at a multiple of the next power of two of its length, as all
    /// ranges of proofs do.
    fn root_of(&self, range: Range<u64>) -> Result<Hash, ReadError> {
        let mut subtrees = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let height = (range.end - start).ilog2();
            subtrees.push(self.subtree(height, start >> height)?);
            start += 1 << height;
        }
        Ok(fold_right(&subtrees).unwrap_or_else(empty_root))
    }

    /// The root of the perfect subtree of 2^`height` leaves at `position` among those of its height.
    fn subtree(&self, height: u32, position: u64) -> Result<Hash, ReadError> {
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        let count = 1_u64 << (height % 8);
        let first = position * count;
        let index = first / u64::from(TILE_WIDTH);
        let slot = usize::try_from(first % u64::from(TILE_WIDTH)).unwrap_or(usize::MAX);
        let missing = || ReadError::Missing { path: format!("tile {index} of level {level}") };
        let id = TileId::in_tree(TileKind::Hashes(level), index, self.size).ok_or_else(missing)?;
        let mut tiles = self.tiles.borrow_mut();
        if let std::collections::btree_map::Entry::Vacant(vacant) = tiles.entry(id) {
            vacant.insert(read_hashes(self.source, id)?);
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let hashes = tiles.get(&id).and_then(|row| row.get(slot..slot.checked_add(count)?));
        Ok(perfect_root(hashes.ok_or_else(missing)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{hash::leaf_hash, oracle, writer::TileWriter};

    fn stored(size: u64) -> BTreeMap<String, Vec<u8>> {
        let mut writer = TileWriter::new();
        let mut files = Vec::new();
        (0..size).for_each(|index| files.extend(writer.append(&oracle::entry(index)).unwrap()));
        files.extend(writer.edge());
        files.into_iter().map(|file| (file.id.to_string(), file.bytes)).collect()
    }

    #[test]
    fn all_proofs_of_small_trees_are_those_of_the_definition() {
        for size in 1..=40_usize {
            let leaves = oracle::leaves(size);
            let root = oracle::root(&leaves);
            let files = stored(size as u64);
            for index in 0..size {
                let proof = inclusion_proof(&files, index as u64, size as u64).unwrap();
                assert_eq!(proof, oracle::path(index, &leaves), "{index} of {size}");
                assert_eq!(verify_inclusion(index as u64, size as u64, leaves[index], &proof, root), Ok(()));
            }
            for old in 0..=size {
                let proof = consistency_proof(&files, old as u64, size as u64).unwrap();
                assert_eq!(proof, oracle::proof(old, &leaves), "{old} to {size}");
                let old_root = oracle::root(&leaves[..old]);
                assert_eq!(verify_consistency(old as u64, old_root, size as u64, root, &proof), Ok(()));
                assert_eq!(root_at(&files, old as u64, size as u64), Ok(old_root));
            }
        }
    }

    #[test]
    fn proofs_across_tile_levels() {
        let size = 66_000_usize;
        let leaves = oracle::leaves(size);
        let (root, files) = (oracle::root(&leaves), stored(66_000));
        for index in [0, 255, 256, 32_767, 65_535, 65_536, 65_791, 65_792, 65_999] {
            let proof = inclusion_proof(&files, index as u64, size as u64).unwrap();
            assert_eq!(proof, oracle::path(index, &leaves), "{index}");
        }
        for old in [1, 255, 256, 257, 40_000, 65_535, 65_536, 65_537, 65_999] {
            let proof = consistency_proof(&files, old as u64, size as u64).unwrap();
            assert_eq!(proof, oracle::proof(old, &leaves), "{old}");
        }
        assert_eq!(root_at(&files, 66_000, 66_000), Ok(root));
        assert_eq!(root_at(&files, 65_537, 66_000), Ok(oracle::root(&leaves[..65_537])));
    }

    #[test]
    fn what_no_tree_has_is_refused() {
        let files = stored(3);
        let beyond = ProofError::IndexBeyondTree { index: 3, size: 3 };
        assert_eq!(inclusion_proof(&files, 3, 3), Err(ProveError::Misuse(beyond.clone())));
        assert_eq!(verify_inclusion(3, 3, leaf_hash(b""), &[], leaf_hash(b"")), Err(beyond));
        let reversed = ProofError::SizesReversed { old: 4, new: 3 };
        assert_eq!(consistency_proof(&files, 4, 3), Err(ProveError::Misuse(reversed.clone())));
        assert_eq!(verify_consistency(4, leaf_hash(b""), 3, leaf_hash(b""), &[]), Err(reversed));
        assert!(matches!(inclusion_proof(&files, 0, 4), Err(ProveError::Read(ReadError::Missing { .. }))));
    }

    #[test]
    fn trivial_trees() {
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        assert_eq!(verify_consistency(0, empty_root(), 0, empty_root(), &[]), Ok(()));
        assert_eq!(verify_consistency(0, empty_root(), 1, a, &[]), Ok(()));
        assert_eq!(verify_consistency(0, a, 1, a, &[]), Err(ProofError::RootMismatch));
        assert_eq!(verify_consistency(0, empty_root(), 0, a, &[]), Err(ProofError::RootMismatch));
        assert_eq!(verify_consistency(2, a, 2, b, &[]), Err(ProofError::RootMismatch));
        assert_eq!(verify_consistency(2, a, 2, a, &[b]), Err(ProofError::WrongLength { got: 1 }));
        assert_eq!(verify_consistency(3, a, 4, b, &[]), Err(ProofError::WrongLength { got: 0 }));
        assert_eq!(verify_inclusion(0, 1, a, &[], a), Ok(()));
        assert_eq!(verify_inclusion(0, 1, a, &[b], a), Err(ProofError::WrongLength { got: 1 }));
        assert_eq!(verify_inclusion(0, u64::MAX, a, &[b; 64], a), Err(ProofError::RootMismatch));
    }

    fn flip(hash: &mut Hash, bit: usize) {
        hash.0[bit / 8] ^= 1 << (bit % 8);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_change_to_an_inclusion_proof_is_refused(size in 1_usize..700, pick: prop::sample::Index, what: prop::sample::Index, bit in 0..256_usize) {
            let leaves = oracle::leaves(size);
            let (index, root) = (pick.index(size), oracle::root(&leaves));
            let proof = oracle::path(index, &leaves);
            let check = |index, size, leaf, proof: &[Hash], root| verify_inclusion(index, size, leaf, proof, root);
            let (i, n) = (index as u64, size as u64);
            prop_assert_eq!(check(i, n, leaves[index], &proof, root), Ok(()));
            let (mut leaf, mut changed, mut other_root) = (leaves[index], proof.clone(), root);
            match what.index(proof.len() + 2) {
                0 => flip(&mut leaf, bit),
                1 => flip(&mut other_root, bit),
                k => flip(&mut changed[k - 2], bit),
            }
            prop_assert!(check(i, n, leaf, &changed, other_root).is_err());
            changed.clone_from(&proof);
            changed.push(leaf);
            prop_assert!(check(i, n, leaves[index], &changed, root).is_err());
            if !proof.is_empty() {
                prop_assert!(check(i, n, leaves[index], &proof[1..], root).is_err());
                prop_assert!(check(i, n, leaves[index], &proof[..proof.len() - 1], root).is_err());
            }
        }

        #[test]
        fn any_change_to_a_consistency_proof_is_refused(size in 2_usize..700, pick: prop::sample::Index, what: prop::sample::Index, bit in 0..256_usize) {
            let leaves = oracle::leaves(size);
            let old = 1 + pick.index(size - 1);
            let (old_root, root) = (oracle::root(&leaves[..old]), oracle::root(&leaves));
            let proof = oracle::proof(old, &leaves);
            let (m, n) = (old as u64, size as u64);
            prop_assert_eq!(verify_consistency(m, old_root, n, root, &proof), Ok(()));
            let (mut other_old, mut changed, mut other_root) = (old_root, proof.clone(), root);
            match what.index(proof.len() + 2) {
                0 => flip(&mut other_old, bit),
                1 => flip(&mut other_root, bit),
                k => flip(&mut changed[k - 2], bit),
            }
            prop_assert!(verify_consistency(m, other_old, n, other_root, &changed).is_err());
            changed.clone_from(&proof);
            changed.push(root);
            prop_assert!(verify_consistency(m, old_root, n, root, &changed).is_err());
            prop_assert!(verify_consistency(m, old_root, n, root, &proof[1..]).is_err());
        }

        #[test]
        fn random_proofs_are_refused_without_panic(index: u64, size: u64, old: u64, length in 0_usize..70) {
            let hash = leaf_hash(b"");
            let proof = vec![hash; length];
            prop_assert!(verify_inclusion(index, size, hash, &proof, hash).is_err() || size == 1);
            prop_assert!(verify_consistency(old, hash, size, hash, &proof).is_err() || old == size);
        }
    }
}
