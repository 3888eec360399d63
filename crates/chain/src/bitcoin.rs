//! Blocks of Bitcoin: parsed from their bytes, proven against their own hash, and what moved in them.
//!
//! [`Block::parse`] takes the bytes of a whole block, [`Block::from_parts`] its header and its transactions one by one as
//! nodes list them. Both recompute every transaction's id, the Merkle root and the header's hash, and hold that against
//! the target the header names; so a node cannot leave out, add or change a transaction of a block it is asked for.
//!
//! What it is not: a validating node. Scripts are not run, the target is not compared with earlier blocks, and what an
//! input spends is not part of the block that spends it: [`Facts`] takes that from whoever knows (the node), checking only
//! that a transaction does not pay out more than it takes in.
//!
//! Hashes and ids are in the order in which Bitcoin's tools print them, which is reversed. Bounds: [`BLOCK_BYTES_MAX`];
//! every list is bounded by the bytes that are left for it. Sources: BIP 34, 141 to 144, 341; the developer reference on
//! block chain and transactions.

mod facts;
mod parse;

pub use self::{
    facts::{Facts, Moved, Paid, Prevout, Spent, facts},
    parse::{Block, BlockError, BlockHeader, Input, OutPoint, Output, Transaction},
};

/// Longest block: four million units of weight, of which one byte takes at least one (BIP 141), and some for its frame.
pub const BLOCK_BYTES_MAX: usize = 4_000_100;
/// All the coins there will be, in satoshi: no output may be above.
pub const MONEY_MAX: u64 = 21_000_000 * 100_000_000;

#[cfg(test)]
mod tests;
