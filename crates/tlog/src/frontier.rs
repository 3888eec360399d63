//! The right edge of a growing tree: enough to append leaves and to know the root, in O(log n) memory.
//!
//! A tree of `size` leaves is a row of perfect subtrees, one per set bit of `size`, largest first. The frontier keeps
//! their roots. It cannot prove anything about earlier leaves; that needs the tiles.

use crate::hash::{Hash, empty_root, node_hash};

/// Stored hashes that are no frontier of the stated size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tree of size {size} has {expected} perfect subtrees, got {got} hashes")]
pub struct FrontierMismatch {
    /// The stated tree size.
    pub size: u64,
    /// Number of perfect subtrees of that size.
    pub expected: usize,
    /// Number of hashes given.
    pub got: usize,
}

/// The compact form of a tree; see the module head.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees, largest (leftmost) first; at most 64.
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// Restores what [`Frontier::hashes`] gave for a tree of `size` leaves.
    ///
    /// # Errors
    /// [`FrontierMismatch`] when the number of hashes does not fit the size. The hashes themselves are taken on
    /// trust: compare [`Frontier::root`] with a root from elsewhere.
    pub fn from_hashes(size: u64, hashes: Vec<Hash>) -> Result<Self, FrontierMismatch> {
        let expected = size.count_ones() as usize;
        if hashes.len() != expected {
            return Err(FrontierMismatch { size, expected, got: hashes.len() });
        }
        Ok(Self { size, hashes })
    }

    /// As [`Frontier::from_hashes`], for hashes that are known to be as many as the size has perfect subtrees.
    pub(crate) fn from_parts(size: u64, hashes: Vec<Hash>) -> Self {
        debug_assert_eq!(size.count_ones() as usize, hashes.len());
        Self { size, hashes }
    }

    /// Appends the hash of the next leaf. Amortised one node hash, at most 63.
    ///
    /// # Panics
    /// At 2^64 - 1 leaves, which no log reaches.
    pub fn append(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one bit of the size is a perfect subtree that the new one completes.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
        }
        self.hashes.push(hash);
        self.size = self.size.checked_add(1).expect("a log has fewer than 2^64 leaves");
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree; the hash of nothing when there are no leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_right(&self.hashes).unwrap_or_else(empty_root)
    }

    /// The roots of the perfect subtrees, largest first: one per set bit of the size.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

/// Joins the roots of adjacent subtrees, smallest first, as RFC 6962 joins an incomplete tree.
pub(crate) fn fold_right(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{hash::leaf_hash, oracle};

    #[test]
    fn small_sizes_agree_with_the_definition() {
        let leaves = oracle::leaves(130);
        let mut frontier = Frontier::new();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(frontier.root(), oracle::root(&leaves[..size]), "size {size}");
            frontier.append(*leaf);
        }
        assert_eq!((frontier.size(), frontier.root()), (130, oracle::root(&leaves)));
    }

    #[test]
    fn wrong_number_of_hashes_is_refused() {
        let error = Frontier::from_hashes(6, vec![leaf_hash(b"a")]).unwrap_err();
        assert_eq!(error, FrontierMismatch { size: 6, expected: 2, got: 1 });
        assert_eq!(Frontier::from_hashes(0, vec![]), Ok(Frontier::new()));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition_across_a_restart(size in 0_usize..600, cut in 0_usize..600) {
            let leaves = oracle::leaves(size);
            let cut = cut.min(size);
            let mut first = Frontier::new();
            leaves[..cut].iter().for_each(|leaf| first.append(*leaf));
            let mut second = Frontier::from_hashes(first.size(), first.hashes().to_vec()).unwrap();
            leaves[cut..].iter().for_each(|leaf| second.append(*leaf));
            prop_assert_eq!(second.root(), oracle::root(&leaves));
        }
    }
}
