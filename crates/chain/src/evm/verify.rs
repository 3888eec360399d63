//! Whether what a node says of a block is what the block's hash commits to.
//!
//! [`Proof::Roots`] recomputes the hash from the header, the transactions root from the transactions and the receipts
//! root from the receipts; nothing that these three cover can then be left out, added or changed. [`Proof::Links`] is
//! for chains that hash other fields or keep receipts of their own kinds out of the root (rollups, some side chains):
//! it demands that hash, order and number of the answers agree with each other and that the logs fill the header's
//! bloom exactly, where the chain keeps one.

use super::{Block, Bloom, Outcome, Receipt, Transaction, rlp, trie};
use crate::headers::BlockHash;

/// How much is recomputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The answers agree with each other.
    Links,
    /// Block hash, transactions root and receipts root are recomputed.
    Roots,
}

/// What a node said that cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lie {
    /// The logs do not set the bits that the header says.
    #[error("the logs of block {0} do not fill its bloom: some are missing or foreign")]
    BloomMismatch(BlockHash),
    /// The header does not have the hash it was asked for by.
    #[error("the header of block {claimed} has the hash {computed}")]
    HeaderHashMismatch {
        /// What the node calls it.
        claimed: BlockHash,
        /// What it is.
        computed: BlockHash,
    },
    /// The indices of the logs have a gap.
    #[error("log {expected} of block {block} is missing: the next one has index {got}")]
    LogMissing {
        /// The block.
        block: BlockHash,
        /// The next index.
        expected: u64,
        /// The index found.
        got: u64,
    },
    /// Another block than the one asked for.
    #[error("asked for block {asked}, the answer is block {got}")]
    OtherBlock {
        /// Asked for.
        asked: BlockHash,
        /// Answered.
        got: BlockHash,
    },
    /// A receipt of another block or transaction.
    #[error("receipt {index} of block {block} is not that of its transaction")]
    ReceiptForeign {
        /// The block.
        block: BlockHash,
        /// Its place.
        index: u64,
    },
    /// Too few or too many receipts.
    #[error("block {block} has {transactions} transactions, the node gave {receipts} receipts")]
    ReceiptsMissing {
        /// The block.
        block: BlockHash,
        /// How many there must be.
        transactions: usize,
        /// How many there are.
        receipts: usize,
    },
    /// The receipts are not those the header commits to.
    #[error("the receipts of block {0} do not have the root its header says")]
    ReceiptsRootMismatch(BlockHash),
    /// The transactions are not those the header commits to.
    #[error("the transactions of block {0} do not have the root its header says")]
    TransactionsRootMismatch(BlockHash),
    /// A transaction of a type whose form is not known, so that its root cannot be recomputed.
    #[error(
        "transaction {index} of block {block} has the type {kind}, which only proof = \"links\" can follow"
    )]
    UnknownTransactionType {
        /// The block.
        block: BlockHash,
        /// Its place.
        index: usize,
        /// Its type.
        kind: u64,
    },
}

impl Lie {
    /// Stable name, for counting.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BloomMismatch(_) => "bloom_mismatch",
            Self::HeaderHashMismatch { .. } => "header_hash_mismatch",
            Self::LogMissing { .. } => "log_missing",
            Self::OtherBlock { .. } => "other_block",
            Self::ReceiptForeign { .. } => "receipt_foreign",
            Self::ReceiptsMissing { .. } => "receipts_missing",
            Self::ReceiptsRootMismatch(_) => "receipts_root_mismatch",
            Self::TransactionsRootMismatch(_) => "transactions_root_mismatch",
            Self::UnknownTransactionType { .. } => "unknown_transaction_type",
        }
    }
}

/// A block whose parts belong together. Made by [`verify`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBlock {
    block: Block,
    receipts: Vec<Receipt>,
}

impl VerifiedBlock {
    /// The block.
    #[must_use]
    pub const fn block(&self) -> &Block {
        &self.block
    }

    /// One receipt for each transaction, in the same order.
    #[must_use]
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }
}

/// Checks the answer to a question for block `asked`. Costs a few hashes for each transaction and log.
///
/// # Errors
/// [`Lie`], the first one found.
pub fn verify(
    asked: BlockHash,
    block: Block,
    receipts: Vec<Receipt>,
    proof: Proof,
) -> Result<VerifiedBlock, Lie> {
    if block.hash != asked {
        return Err(Lie::OtherBlock { asked, got: block.hash });
    }
    if block.transactions.len() != receipts.len() {
        return Err(Lie::ReceiptsMissing {
            block: asked,
            transactions: block.transactions.len(),
            receipts: receipts.len(),
        });
    }
    let mut next_log = 0u64;
    for ((index, transaction), receipt) in (0u64..).zip(&block.transactions).zip(&receipts) {
        let belongs = receipt.block == asked
            && receipt.index == index
            && receipt.transaction == transaction.hash
            && receipt.kind == transaction.kind;
        if !belongs {
            return Err(Lie::ReceiptForeign { block: asked, index });
        }
        for log in &receipt.logs {
            if log.index != next_log {
                return Err(Lie::LogMissing { block: asked, expected: next_log, got: log.index });
            }
            next_log += 1;
        }
    }
    match proof {
        Proof::Roots => roots(asked, &block, &receipts)?,
        Proof::Links => bloom(asked, &block, &receipts)?,
    }
    Ok(VerifiedBlock { block, receipts })
}

/// Writes the roots and the hash of a block that is made up: for tests and benchmarks, which need blocks that hold. `None`
/// for a transaction of a type that is not known.
#[must_use]
pub fn seal(mut block: Block, receipts: &mut [Receipt]) -> Option<Block> {
    let encoded: Vec<Vec<u8>> = block.transactions.iter().map(encode_transaction).collect::<Option<_>>()?;
    block.header.transactions_root = trie::ordered_root(&encoded);
    let encoded: Vec<Vec<u8>> = receipts.iter().map(encode_receipt).collect();
    block.header.receipts_root = trie::ordered_root(&encoded);
    block.hash = block.header.hash();
    receipts.iter_mut().for_each(|receipt| receipt.block = block.hash);
    Some(block)
}

fn bloom(asked: BlockHash, block: &Block, receipts: &[Receipt]) -> Result<(), Lie> {
    let mut bloom = Bloom::default();
    receipts.iter().flat_map(|receipt| &receipt.logs).for_each(|log| bloom.add(log));
    let kept = block.header.logs_bloom != Bloom::default();
    if kept && bloom != block.header.logs_bloom {
        return Err(Lie::BloomMismatch(asked));
    }
    Ok(())
}

fn roots(asked: BlockHash, block: &Block, receipts: &[Receipt]) -> Result<(), Lie> {
    let computed = block.header.hash();
    if computed != asked {
        return Err(Lie::HeaderHashMismatch { claimed: asked, computed });
    }
    let encoded: Vec<Vec<u8>> = block
        .transactions
        .iter()
        .enumerate()
        .map(|(index, transaction)| {
            encode_transaction(transaction).ok_or(Lie::UnknownTransactionType {
                block: asked,
                index,
                kind: transaction.kind,
            })
        })
        .collect::<Result<_, _>>()?;
    if trie::ordered_root(&encoded) != block.header.transactions_root {
        return Err(Lie::TransactionsRootMismatch(asked));
    }
    let encoded: Vec<Vec<u8>> = receipts.iter().map(encode_receipt).collect();
    if trie::ordered_root(&encoded) != block.header.receipts_root {
        return Err(Lie::ReceiptsRootMismatch(asked));
    }
    Ok(())
}

fn typed(kind: u64, items: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.len() + 8);
    if let Ok(kind @ 1..) = u8::try_from(kind) {
        out.push(kind);
    }
    rlp::list(&mut out, items);
    out
}

fn encode_receipt(receipt: &Receipt) -> Vec<u8> {
    let mut items = Vec::with_capacity(400);
    match receipt.outcome {
        Outcome::Status(ok) => rlp::number(&mut items, u64::from(ok)),
        Outcome::StateRoot(root) => rlp::bytes(&mut items, &root),
    }
    rlp::number(&mut items, receipt.cumulative_gas_used);
    rlp::bytes(&mut items, &*receipt.logs_bloom.0);
    let mut logs = Vec::new();
    for log in &receipt.logs {
        let (mut fields, mut topics) = (Vec::with_capacity(192), Vec::with_capacity(132));
        rlp::bytes(&mut fields, &log.emitter.0);
        log.topics.iter().for_each(|topic| rlp::bytes(&mut topics, topic));
        rlp::list(&mut fields, &topics);
        rlp::bytes(&mut fields, &log.data);
        rlp::list(&mut logs, &fields);
    }
    rlp::list(&mut items, &logs);
    typed(receipt.kind, &items)
}

/// The bytes of a transaction as its root commits to them; `None` for types that are not known.
fn encode_transaction(transaction: &Transaction) -> Option<Vec<u8>> {
    let tx = transaction;
    let mut items = Vec::with_capacity(160 + tx.input.len());
    let big = |items: &mut Vec<u8>, value: crate::u256::U256| rlp::integer(items, &value.to_be_bytes());
    if tx.kind > 0 {
        big(&mut items, tx.chain_id);
    }
    rlp::number(&mut items, tx.nonce);
    match tx.kind {
        0 | 1 => big(&mut items, tx.gas_price),
        2..=4 => {
            big(&mut items, tx.max_priority_fee_per_gas);
            big(&mut items, tx.max_fee_per_gas);
        }
        _ => return None,
    }
    rlp::number(&mut items, tx.gas);
    rlp::bytes(&mut items, tx.to.as_ref().map_or(&[][..], |account| &account.0));
    big(&mut items, tx.value);
    rlp::bytes(&mut items, &tx.input);
    if tx.kind > 0 {
        let mut list = Vec::new();
        for (account, slots) in &tx.access_list {
            let (mut entry, mut keys) = (Vec::new(), Vec::new());
            rlp::bytes(&mut entry, &account.0);
            slots.iter().for_each(|slot| rlp::bytes(&mut keys, slot));
            rlp::list(&mut entry, &keys);
            rlp::list(&mut list, &entry);
        }
        rlp::list(&mut items, &list);
    }
    if tx.kind == 3 {
        big(&mut items, tx.max_fee_per_blob_gas);
        let mut hashes = Vec::new();
        tx.blob_versioned_hashes.iter().for_each(|hash| rlp::bytes(&mut hashes, hash));
        rlp::list(&mut items, &hashes);
    }
    if tx.kind == 4 {
        let mut list = Vec::new();
        for authorization in &tx.authorizations {
            let mut entry = Vec::new();
            big(&mut entry, authorization.chain_id);
            rlp::bytes(&mut entry, &authorization.delegate.0);
            rlp::number(&mut entry, authorization.nonce);
            rlp::number(&mut entry, authorization.y_parity);
            big(&mut entry, authorization.r);
            big(&mut entry, authorization.s);
            rlp::list(&mut list, &entry);
        }
        rlp::list(&mut items, &list);
    }
    for part in [tx.v, tx.r, tx.s] {
        big(&mut items, part);
    }
    Some(typed(tx.kind, &items))
}
