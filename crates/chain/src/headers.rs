//! The headers of the newest blocks, as a chain of parents: what makes following a chain safe against reorganisations.
//!
//! A [`Headers`] holds the last N headers, each the parent of the next. Whoever follows a chain asks it how a head that
//! a node announces connects ([`Headers::connect`]), fetches what is missing, takes off the blocks that are no longer
//! part of the chain ([`Headers::pop`]) and puts on the new ones ([`Headers::push`]). Nothing is believed beyond the
//! links themselves: not a node's word that a log was removed, nor that a height is still what it was.
//!
//! What it is not: a judge of which branch is right. That is the node's business (its fork choice); here it is only made
//! sure that what was derived from one branch is undone before another one counts.
//!
//! Memory: 88 bytes for each header, at most [`RING_MAX`].

use std::{collections::VecDeque, fmt};

/// Fewest headers kept: deeper reorganisations than this were never seen on a chain an exchange credits deposits of.
pub const RING_MIN: usize = 256;
/// Most headers kept.
pub const RING_MAX: usize = 16_384;

/// The hash of a block, in the order of bytes in which the chain's own tools print it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BlockHash(pub [u8; 32]);

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId {
    /// Distance from the first block.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.height, self.hash)
    }
}

/// What links a block to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which block.
    pub id: BlockId,
    /// The hash of the one before it.
    pub parent: BlockHash,
    /// When it was made, as it says of itself: seconds since 1970.
    pub time_s: u64,
}

/// Why a header does not follow the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The height is not the next one.
    #[error("block {got} does not have height {expected}")]
    WrongHeight {
        /// The block.
        got: BlockId,
        /// The next height.
        expected: u64,
    },
    /// It names another parent.
    #[error("block {got} names the parent {parent}, not {expected}")]
    WrongParent {
        /// The block.
        got: BlockId,
        /// The parent it names.
        parent: BlockHash,
        /// The newest block.
        expected: BlockHash,
    },
}

/// How a head connects to the headers held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// The walked headers follow the block of this height; all above it is no longer part of the chain.
    Attached {
        /// Height of the common ancestor.
        ancestor: u64,
    },
    /// Two walked headers do not follow each other.
    Broken(LinkError),
    /// The branch leaves the chain below the oldest header held.
    DeeperThanRing {
        /// The oldest height held.
        oldest: u64,
    },
    /// Nothing is held yet, so everything connects.
    Empty,
    /// The head is one of the headers held.
    Known,
    /// It is not known yet; the header of this hash has to be looked at.
    NeedParent(BlockId),
}

/// The newest headers, each the parent of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    ring: VecDeque<Header>,
    capacity: usize,
}

impl Headers {
    /// Holds the newest `capacity` headers, at least [`RING_MIN`] and at most [`RING_MAX`].
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { ring: VecDeque::new(), capacity: capacity.clamp(RING_MIN, RING_MAX) }
    }

    /// How many are held at most.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The newest.
    #[must_use]
    pub fn tip(&self) -> Option<&Header> {
        self.ring.back()
    }

    /// The oldest held.
    #[must_use]
    pub fn oldest(&self) -> Option<&Header> {
        self.ring.front()
    }

    /// The one of a height.
    #[must_use]
    pub fn at(&self, height: u64) -> Option<&Header> {
        let first = self.oldest()?.id.height;
        self.ring.get(usize::try_from(height.checked_sub(first)?).ok()?)
    }

    /// Whether this block is held.
    #[must_use]
    pub fn contains(&self, id: BlockId) -> bool {
        self.at(id.height).is_some_and(|header| header.id == id)
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Header> + ExactSizeIterator {
        self.ring.iter()
    }

    /// Puts a header on; returns the oldest when there is no more room for it.
    ///
    /// # Errors
    /// [`LinkError`] when it does not follow the newest.
    pub fn push(&mut self, header: Header) -> Result<Option<Header>, LinkError> {
        if let Some(tip) = self.tip() {
            follows(&header, tip)?;
        }
        self.ring.push_back(header);
        Ok(if self.ring.len() > self.capacity { self.ring.pop_front() } else { None })
    }

    /// Takes the newest off.
    pub fn pop(&mut self) -> Option<Header> {
        self.ring.pop_back()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.ring.clear();
    }

    /// How a head connects, given the headers walked so far from it towards the past: the head first, then its parent,
    /// and so on. Ask again with one more header after [`Connection::NeedParent`]; the walk ends after at most as many
    /// headers as lie between the head and the oldest held.
    #[must_use]
    pub fn connect(&self, walked: &[Header]) -> Connection {
        let (Some(head), Some(last), Some(oldest)) = (walked.first(), walked.last(), self.oldest()) else {
            return Connection::Empty;
        };
        if self.contains(head.id) {
            return Connection::Known;
        }
        for pair in walked.windows(2) {
            if let [child, parent] = pair
                && let Err(error) = follows(child, parent)
            {
                return Connection::Broken(error);
            }
        }
        let deeper = Connection::DeeperThanRing { oldest: oldest.id.height };
        let Some(height) = last.id.height.checked_sub(1) else { return deeper };
        let parent = BlockId { height, hash: last.parent };
        if self.contains(parent) {
            return Connection::Attached { ancestor: height };
        }
        if height <= oldest.id.height { deeper } else { Connection::NeedParent(parent) }
    }
}

fn follows(child: &Header, parent: &Header) -> Result<(), LinkError> {
    let expected = parent.id.height.saturating_add(1);
    if child.id.height != expected {
        return Err(LinkError::WrongHeight { got: child.id, expected });
    }
    if child.parent != parent.id.hash {
        return Err(LinkError::WrongParent { got: child.id, parent: child.parent, expected: parent.id.hash });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The block of a height on a branch; blocks of branch 0 are the trunk.
    fn block(branch: u8, height: u64, parent: BlockHash) -> Header {
        let mut hash = [branch; 32];
        hash[..8].copy_from_slice(&height.to_be_bytes());
        Header { id: BlockId { height, hash: BlockHash(hash) }, parent, time_s: height }
    }

    fn extend(chain: &mut Vec<Header>, branch: u8, n: u64) {
        for _ in 0..n {
            let (height, parent) = chain
                .last()
                .map_or((0, BlockHash::default()), |tip: &Header| (tip.id.height + 1, tip.id.hash));
            chain.push(block(branch, height, parent));
        }
    }

    /// Walks from the head of `chain` as a follower does; what was put on, newest last.
    fn sync(headers: &mut Headers, chain: &[Header]) -> Result<(u64, u64), Connection> {
        let Some(head) = chain.last() else { return Ok((0, 0)) };
        let mut walked = vec![*head];
        loop {
            match headers.connect(&walked) {
                Connection::Known => return Ok((0, 0)),
                Connection::NeedParent(id) => {
                    let found = chain.iter().find(|header| header.id == id).expect("an honest node");
                    walked.push(*found);
                }
                Connection::Attached { ancestor } => {
                    let mut undone = 0;
                    while headers.tip().is_some_and(|tip| tip.id.height > ancestor) {
                        headers.pop();
                        undone += 1;
                    }
                    for header in walked.iter().rev() {
                        headers.push(*header).unwrap();
                    }
                    return Ok((undone, u64::try_from(walked.len()).unwrap()));
                }
                Connection::Empty => {
                    for header in chain.iter().skip(chain.len().saturating_sub(headers.capacity())) {
                        headers.push(*header).unwrap();
                    }
                    return Ok((0, 0));
                }
                other => return Err(other),
            }
        }
    }

    #[test]
    fn a_branch_below_the_ring_is_named() {
        let mut trunk = Vec::new();
        extend(&mut trunk, 0, 600);
        let mut headers = Headers::new(RING_MIN);
        sync(&mut headers, &trunk).unwrap();
        assert_eq!((headers.oldest().unwrap().id.height, headers.len()), (344, 256));
        let mut fork = trunk[..=344].to_vec();
        extend(&mut fork, 1, 300);
        assert_eq!(sync(&mut headers, &fork), Ok((255, 300)));
        let mut deeper = trunk[..=343].to_vec();
        extend(&mut deeper, 2, 400);
        let oldest = headers.oldest().unwrap().id.height;
        assert_eq!(sync(&mut headers, &deeper), Err(Connection::DeeperThanRing { oldest }));
    }

    #[test]
    fn headers_that_do_not_follow_are_refused() {
        let mut trunk = Vec::new();
        extend(&mut trunk, 0, 3);
        let mut headers = Headers::new(RING_MIN);
        sync(&mut headers, &trunk).unwrap();
        let skipped = block(0, 4, trunk[2].id.hash);
        assert!(matches!(headers.push(skipped), Err(LinkError::WrongHeight { expected: 3, .. })));
        let foreign = block(9, 3, BlockHash([7; 32]));
        assert!(matches!(headers.push(foreign), Err(LinkError::WrongParent { .. })));
        // A node that answers a question for one block with another one does not lead the walk astray.
        let head = block(1, 5, BlockHash([8; 32]));
        assert!(matches!(
            headers.connect(&[head, foreign]),
            Connection::Broken(LinkError::WrongHeight { .. })
        ));
    }

    proptest! {
        /// Whatever branches a node shows, the ring ends as the newest part of the branch shown last.
        #[test]
        fn ends_on_the_branch_shown_last(steps in proptest::collection::vec((0u64..200, 1u64..80), 1..12)) {
            let mut chain = Vec::new();
            extend(&mut chain, 0, 300);
            let mut headers = Headers::new(RING_MIN);
            sync(&mut headers, &chain).unwrap();
            for (number, (depth, length)) in (1u8..).zip(steps) {
                let keep = chain.len().saturating_sub(usize::try_from(depth).unwrap()).max(1);
                chain.truncate(keep);
                extend(&mut chain, number, length);
                let before = headers.clone();
                match sync(&mut headers, &chain) {
                    Ok(_) => {
                        prop_assert_eq!(headers.tip(), chain.last());
                        for header in headers.iter() {
                            prop_assert!(chain.contains(header));
                        }
                    }
                    // Only when the ancestor really is not held.
                    Err(Connection::DeeperThanRing { oldest }) => {
                        prop_assert!(!chain.iter().any(|header| before.contains(header.id)
                            && header.id.height >= oldest && header.id != before.tip().unwrap().id));
                        return Ok(());
                    }
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }
}
