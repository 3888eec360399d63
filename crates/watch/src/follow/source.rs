//! The port to a node, and to whoever wants to know what blocks hold.

use std::{future::Future, sync::Arc, time::Duration};

use chain::{
    bitcoin::BlockError,
    evm::Lie,
    headers::{BlockHash, BlockId, Header, LinkError},
};

use super::{
    alert::SinkError,
    rules::{Finding, Rules},
};

/// Why a node could not be asked, or gave no usable answer. Every variant leads to another attempt later; none to a
/// guess.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// What it says cannot be true.
    #[error("the node contradicts itself: {0}")]
    Contradicts(#[from] Lie),
    /// What it says of a Bitcoin block cannot be true.
    #[error("the node contradicts itself: {0}")]
    ContradictsBitcoin(#[from] BlockError),
    /// The block a question was about is no longer there: the node has changed its mind meanwhile.
    #[error("the node no longer has block {0}")]
    Gone(BlockHash),
    /// Headers that do not follow each other.
    #[error("the node's headers do not follow each other: {0}")]
    Links(#[from] LinkError),
    /// The answer is no answer to the question.
    #[error("{method}: {detail}")]
    Malformed {
        /// Which question.
        method: &'static str,
        /// What is wrong and where.
        detail: String,
    },
    /// A block whose parent the node does not have: a forged parent, or a node that has changed its mind meanwhile.
    #[error("the node has block {child} but not the parent it names, {parent}")]
    ParentMissing {
        /// The block.
        child: BlockId,
        /// The parent it names.
        parent: BlockHash,
    },
    /// The answer is an error.
    #[error("{method}: the node answered {code}: {message}")]
    Refused {
        /// Which question.
        method: &'static str,
        /// The node's code.
        code: i64,
        /// Its words, cut.
        message: String,
    },
    /// No answer in time.
    #[error("{method}: no answer within {} ms", .after.as_millis())]
    TimedOut {
        /// Which question.
        method: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// More than is read.
    #[error("{method}: the answer is longer than {bytes_max} bytes")]
    TooLarge {
        /// Which question.
        method: &'static str,
        /// The bound.
        bytes_max: usize,
    },
    /// It cannot be reached.
    #[error("{method}: {detail}")]
    Unreachable {
        /// Which question.
        method: &'static str,
        /// Why.
        detail: String,
    },
    /// It follows another chain than it did, or than it should.
    #[error("the node follows another chain: {what} is {got}, expected {expected}")]
    WrongChain {
        /// What differs: `chain id`, `genesis block`.
        what: &'static str,
        /// What should be.
        expected: String,
        /// What is.
        got: String,
    },
}

impl SourceError {
    /// Stable name, for counting.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Contradicts(lie) => lie.as_str(),
            Self::ContradictsBitcoin(lie) => lie.as_str(),
            Self::Gone(_) => "gone",
            Self::Links(_) => "links",
            Self::Malformed { .. } => "malformed",
            Self::ParentMissing { .. } => "parent_missing",
            Self::Refused { .. } => "refused",
            Self::TimedOut { .. } => "timed_out",
            Self::TooLarge { .. } => "too_large",
            Self::Unreachable { .. } => "unreachable",
            Self::WrongChain { .. } => "wrong_chain",
        }
    }
}

/// What a block holds, as one source decodes it.
pub trait Facts: Send + Sync + 'static {
    /// Calls `found` with everything the rules find worth telling, in an order that depends on the block alone.
    fn examine(&self, rules: &Rules, found: &mut dyn FnMut(Finding));
}

/// A node of one chain. Each method asks it once; asking again is the follower's business.
///
/// Answers are checked by the source against what they claim (hash, roots, form) before they are given.
pub trait Source: Send + Sync + 'static {
    /// What its blocks hold.
    type Facts: Facts;

    /// Makes sure that the node follows the chain it should; the hash of the chain's first block, which tells chains apart
    /// that share their other names. Asked first, and again after every error.
    fn identify(&self) -> impl Future<Output = Result<BlockHash, SourceError>> + Send;

    /// The newest block by the node's own choice.
    fn head(&self) -> impl Future<Output = Result<Header, SourceError>> + Send;

    /// The block of a height on the branch the node has chosen; `None` above its head.
    fn header_at(&self, height: u64) -> impl Future<Output = Result<Option<Header>, SourceError>> + Send;

    /// The header of a block, whichever branch it is on; `None` when the node does not have it.
    fn header(&self, id: BlockId) -> impl Future<Output = Result<Option<Header>, SourceError>> + Send;

    /// What a block holds, asked for by its hash; `None` when the node does not have it.
    fn facts(&self, header: &Header)
    -> impl Future<Output = Result<Option<Self::Facts>, SourceError>> + Send;
}

/// What happens to the followed chain.
#[derive(Debug)]
pub enum ChainEvent<'f, F> {
    /// A block was put on.
    Connected {
        /// Its header.
        header: Header,
        /// What it holds.
        facts: &'f Arc<F>,
    },
    /// The newest block was taken off. Everything derived from it has to be undone.
    Disconnected {
        /// Its header.
        header: Header,
    },
    /// The block, and all before it, is as deep as the operator demands.
    Finalized {
        /// Which.
        id: BlockId,
    },
    /// Following starts anew from a height: nothing known before is connected to what comes, so it is to be forgotten.
    Restarted {
        /// The first height that will be connected.
        height: u64,
    },
}

/// Who derives more from blocks: exposure, clusters, balances. Told in order, on the follower's task, so it must be quick.
///
/// It is told from the stored checkpoint on after a restart; what it keeps in memory only, it has to rebuild otherwise.
pub trait BlockSink<F>: Send + Sync {
    /// Takes in one event.
    fn on(&self, event: &ChainEvent<'_, F>);

    /// Makes durable what was taken in, before the follower stores that it told it. May block; nothing is told meanwhile.
    ///
    /// # Errors
    /// [`SinkError`]: the follower's state is not stored then, and it is tried again.
    fn flush(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Whether so much waits for [`BlockSink::flush`] that it should come soon.
    fn is_full(&self) -> bool {
        false
    }
}
